"""Spatial scenes: a floor with a few solids before and after some changes, in the manner of TRANCE.

The picture truly shows every attribute: shape by outline, size by extent, colour, material by shading (rubber is flat,
metal has a gloss, glass lets the floor shine through), position by the place on the floor. The floor is a square of
4 x 4 places; front is towards the viewer, so down in the picture of the centre view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import PIL.Image
import PIL.ImageDraw

from saccade.data.miniature.puzzle import SIDE, Puzzle

SIZES = {"small": 5, "medium": 8, "large": 12}  # half extent in pixels
COLORS = {
    "yellow": (235, 205, 20),
    "gray": (125, 125, 125),
    "cyan": (30, 205, 215),
    "blue": (40, 70, 220),
    "brown": (130, 75, 30),
    "green": (30, 150, 50),
    "red": (215, 35, 35),
    "purple": (145, 45, 190),
}
MATERIALS = ("glass", "metal", "rubber")
SHAPES = ("cube", "sphere", "cylinder")
MOVES = {  # value of change_position -> (columns to the right, rows to the front)
    "front": (0, 1),
    "behind": (0, -1),
    "left": (-1, 0),
    "right": (1, 0),
    "front_left": (-1, 1),
    "front_right": (1, 1),
    "behind_left": (-1, -1),
    "behind_right": (1, -1),
}
ATTRIBUTES = {"shape": SHAPES, "size": tuple(SIZES), "color": tuple(COLORS), "material": MATERIALS}
VIEWS = {"center": 0.0, "left": -20.0, "right": 20.0}  # degrees that the camera goes round the floor's middle  # O
FLOOR = (222, 216, 204)
Place = tuple[int, int]


@dataclass(frozen=True)
class Solid:
    """One object: its attributes and its place (column from the left, row from the back), 0 to 3 each."""

    shape: str
    size: str
    color: str
    material: str
    place: Place


def spatial(rng: np.random.Generator, *, view: str = "center") -> Puzzle:
    """Two pictures, before (always from the centre) and after (from `view`), and the calls that lead from one to the other.

    Two to four objects, numbered in reading order at the start (back to front, then left to right); one to four of them change, each in one attribute.
    """
    n = int(rng.choice([2, 3, 4], p=[0.4, 0.4, 0.2]))
    before = _start(rng, n)
    n_changes = min(n, int(rng.choice([1, 2, 3, 4], p=[0.6, 0.3, 0.07, 0.03])))
    changed = set(rng.choice(n, size=n_changes, replace=False).tolist())
    after, calls = list(before), []
    for number in sorted(changed):
        after[number], call = _change(rng, after, number)
        calls.append((call[0], number, call[1]))
    by_number = {number: f"{number} {function} {value}" for function, number, value in calls}
    thought = ", ".join(by_number.get(number, f"{number} same") for number in range(n))
    answer = ", ".join(f"change_{function}({number}, {value})" for function, number, value in calls)
    listed = " ".join(f"({i}, {s.shape}, {s.size}, {s.color}, {s.material})" for i, s in enumerate(before))
    truth = {"before": before, "after": tuple(after), "calls": calls, "view": view}
    pictures = (draw(rng, before, view="center"), draw(rng, after, view=view))
    return Puzzle(pictures=pictures, problem=f"Objects: {listed}", thought=thought, answer=answer, truth=truth)


def _start(rng: np.random.Generator, n: int) -> tuple[Solid, ...]:
    """n solids in distinct places, row by row from the back, each row from the left."""
    cells = sorted(rng.choice(16, size=n, replace=False).tolist())
    places = [(cell % 4, cell // 4) for cell in cells]
    pick = {name: rng.choice(values, size=n).tolist() for name, values in ATTRIBUTES.items()}
    return tuple(Solid(place=place, **{name: pick[name][i] for name in pick}) for i, place in enumerate(places))


def _change(rng: np.random.Generator, solids: list[Solid], number: int) -> tuple[Solid, tuple[str, str]]:
    """The solid after one change, and the change as (attribute, value)."""
    solid = solids[number]
    taken = {other.place for other in solids}
    column, row = solid.place
    moves = {name: (column + dx, row + dy) for name, (dx, dy) in MOVES.items()}
    free = [name for name, place in moves.items() if place not in taken and min(place) >= 0 and max(place) <= 3]
    attribute = str(rng.choice([*ATTRIBUTES, *(["position"] if free else [])]))
    if attribute == "position":
        value = str(rng.choice(free))
        return replace(solid, place=moves[value]), (attribute, value)
    value = str(rng.choice([v for v in ATTRIBUTES[attribute] if v != getattr(solid, attribute)]))
    return replace(solid, **{attribute: value}), (attribute, value)


def draw(rng: np.random.Generator, solids: tuple[Solid, ...] | list[Solid], *, view: str = "center") -> np.ndarray:
    """The scene from a view, back rows first, uint8 [SIDE, SIDE, 3]."""
    tint = rng.integers(-10, 11)
    floor = tuple(int(c + tint) for c in FLOOR)
    image = PIL.Image.new("RGB", (SIDE, SIDE), floor)
    pen = PIL.ImageDraw.Draw(image)
    for k in range(1, 4):
        for a, b in (((k * 28, 0), (k * 28, SIDE)), ((0, k * 28), (SIDE, k * 28))):
            pen.line([_turned(a, view), _turned(b, view)], fill=tuple(c - 14 for c in floor))
    shift = rng.uniform(-1.5, 1.5, size=(len(solids), 2))
    spots = [
        (_turned((14 + 28 * solid.place[0] + dx, 14 + 28 * solid.place[1] + dy), view), solid)
        for solid, (dx, dy) in zip(solids, shift, strict=True)
    ]
    for (x, y), solid in sorted(spots, key=lambda spot: spot[0][1]):
        draw_solid(pen, x, y, solid, floor)
    return np.asarray(image)


def _turned(point: tuple[float, float], view: str) -> tuple[float, float]:
    """Where a point of the floor is seen: the camera goes round the middle, a little further off when not in the centre."""
    angle = math.radians(VIEWS[view])
    x, y, far = point[0] - SIDE / 2, point[1] - SIDE / 2, 1.0 if view == "center" else 0.85
    cos, sin = far * math.cos(angle), far * math.sin(angle)
    return SIDE / 2 + cos * x - sin * y, SIDE / 2 + sin * x + cos * y


def draw_solid(pen: PIL.ImageDraw.ImageDraw, x: float, y: float, solid: Solid, floor: tuple[int, ...]) -> None:
    h = SIZES[solid.size]
    color = COLORS[solid.color]
    glass = solid.material == "glass"
    fill = _mix(color, floor, 0.55) if glass else color
    edge = color if glass else _mix(color, (0, 0, 0), 0.45)
    light, dark = _mix(fill, (255, 255, 255), 0.3), _mix(fill, (0, 0, 0), 0.25)
    match solid.shape:
        case "sphere":
            pen.ellipse([x - h, y - h, x + h, y + h], fill=fill, outline=edge)
        case "cube":
            d = h * 0.5
            pen.polygon(
                [(x - h, y - h + d), (x - h + d, y - h), (x + h, y - h), (x + h - d, y - h + d)],
                fill=light,
                outline=edge,
            )
            pen.polygon(
                [(x + h - d, y - h + d), (x + h, y - h), (x + h, y + h - d), (x + h - d, y + h)],
                fill=dark,
                outline=edge,
            )
            pen.rectangle([x - h, y - h + d, x + h - d, y + h], fill=fill, outline=edge)
        case "cylinder":
            w, cap = h * 0.72, h * 0.35
            pen.ellipse([x - w, y + h - 2 * cap, x + w, y + h], fill=fill, outline=edge)
            pen.rectangle([x - w, y - h + cap, x + w, y + h - cap], fill=fill)
            pen.line([x - w, y - h + cap, x - w, y + h - cap], fill=edge)
            pen.line([x + w, y - h + cap, x + w, y + h - cap], fill=edge)
            pen.ellipse([x - w, y - h, x + w, y - h + 2 * cap], fill=light, outline=edge)
    if solid.material == "metal":  # a gloss
        g = h * 0.3
        pen.ellipse([x - h * 0.35 - g, y - g, x - h * 0.35 + g, y + g], fill=(255, 255, 255))
    if glass:  # a streak of light and the floor shining through
        pen.line([x - h * 0.5, y + h * 0.6, x + h * 0.5, y - h * 0.4], fill=(255, 255, 255), width=1 if h < 8 else 2)


def _mix(a: tuple[int, ...], b: tuple[int, ...], share: float) -> tuple[int, ...]:
    return tuple(round(p + (q - p) * share) for p, q in zip(a, b, strict=True))
