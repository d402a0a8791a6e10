"""Scenes of named things with their boxes: the world that the grounding and detection miniatures ask about.

    >>> picture, things = scene(np.random.default_rng(0), "train", most=3)
    >>> picture.shape, [(thing.label, thing.box) for thing in things]
    ((112, 112, 3), [('1', (58, 2, 80, 26)), ('gray', (57, 57, 82, 82)), ('purple', (4, 89, 21, 106))])

A thing is a handwritten digit or a coloured solid. A digit is called by its value, a solid by its colour: on the tiny
model's vision tower colours are the surest of a solid's attributes, and a name of one word is found far sooner than one
of two. The box of a thing is the smallest that holds every pixel which drawing it has changed visibly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import PIL.Image
import PIL.ImageDraw

from saccade.data.miniature import digits, solids
from saccade.data.miniature.digits import CELL
from saccade.data.miniature.puzzle import SIDE

Layout = Literal["grid", "free"]
Bounds = tuple[int, int, int, int]
KINDS = {"digit": tuple(str(n) for n in range(10)), "solid": tuple(solids.COLORS)}  # kind -> its labels
LABELS = KINDS["digit"] + KINDS["solid"]
CROWD = {"grid": 16, "free": 9}  # most things that a layout has room for


@dataclass(frozen=True)
class Thing:
    """One object of a scene.

    `label` names its class ("7", "red"). `words` are ways to refer to it, all unique where labels are: the label first,
    then longer ones ("red cube", "digit 7"). `box` is (x1, y1, x2, y2) in pixels of the picture, right and bottom
    exclusive, so that picture[y1:y2, x1:x2] holds the thing.
    """

    label: str
    words: tuple[str, ...]
    box: Bounds


def scene(
    rng: np.random.Generator,
    split: str | digits.Scans,
    *,
    least: int = 2,
    most: int = 5,
    layout: Layout = "grid",
    kinds: tuple[str, ...] = ("digit", "solid"),
    repeat: bool = False,
) -> tuple[np.ndarray, list[Thing]]:
    """A picture, uint8 [SIDE, SIDE, 3], of `least` to `most` things of the kinds, and the things in reading order.

    Digits are scans of the split ("train" and "test" share none; or a pool of one's own). On the grid every thing stands
    in its own cell of 28 pixels, within 2 pixels of its middle; "free" things stand anywhere without touching, and come
    in more sizes. Without `repeat` no label occurs twice; with it several things may share one. Reading order is by rows
    of 28 pixels of the middles, then from left to right. ValueError for what cannot be drawn.
    """
    _check(least=least, most=most, layout=layout, kinds=kinds, repeat=repeat)
    pool = digits.scans(split) if isinstance(split, str) else split
    labels = _labels(rng, int(rng.integers(least, most + 1)), kinds=kinds, repeat=repeat)
    extents = [_extent(rng, label, layout=layout) for label in labels]
    middles = _on_grid(rng, len(labels)) if layout == "grid" else _anywhere(rng, extents)
    paper, pen = rng.integers(212, 251, size=3), rng.integers(0, 70, size=3)
    picture = np.broadcast_to(paper, (SIDE, SIDE, 3)).astype(np.uint8)
    things = []
    for label, half, (x, y) in zip(labels, extents, middles, strict=True):
        if label in KINDS["digit"]:
            drawn, words = _with_digit(rng, picture, pool, label, half, (x, y), pen), (label, f"digit {label}")
        else:
            drawn, shape = _with_solid(rng, picture, label, half, (x, y))
            words = (label, f"{label} {shape}")
        things.append(Thing(label, words, _changed(picture, drawn)))
        picture = drawn
    return picture, sorted(things, key=_reading_order)


def _check(*, least: int, most: int, layout: str, kinds: tuple[str, ...], repeat: bool) -> None:
    if layout not in CROWD:
        raise ValueError(f"layout is {layout!r}; have: {', '.join(CROWD)}")
    if not kinds or not set(kinds) <= set(KINDS):
        raise ValueError(f"kinds are {kinds!r}; have: {', '.join(KINDS)}, at least one")
    room = CROWD[layout] if repeat else min(CROWD[layout], *(len(KINDS[kind]) for kind in kinds))
    if not 1 <= least <= most <= room:
        raise ValueError(f"least and most are {least} and {most}; need 1 <= least <= most <= {room} here")


def _labels(rng: np.random.Generator, n: int, *, kinds: tuple[str, ...], repeat: bool) -> list[str]:
    """n labels, each of a random kind; all different, or drawn again from a few."""
    distinct = n if not repeat else max(1, min(8, n - int(rng.integers(0, 3))))  # 8: no kind has fewer labels
    waiting = {kind: rng.permutation(KINDS[kind]).tolist() for kind in kinds}
    labels = [waiting[str(rng.choice(kinds))].pop() for _ in range(distinct)]
    return labels + [str(rng.choice(labels)) for _ in range(n - distinct)]


def _extent(rng: np.random.Generator, label: str, *, layout: Layout) -> int:
    """Half the side of the square that the thing is drawn in."""
    if label in KINDS["digit"]:
        return digits.GLYPH // 2 if layout == "grid" else int(rng.integers(8, 14))
    sizes = ("medium", "large") if layout == "grid" else tuple(solids.SIZES)
    return solids.SIZES[str(rng.choice(sizes))]


def _on_grid(rng: np.random.Generator, n: int) -> list[tuple[int, int]]:
    """Middles in n different cells, at most 2 pixels off: nothing drawn reaches into the next cell."""
    cells = rng.choice((SIDE // CELL) ** 2, size=n, replace=False)
    shift = rng.integers(-2, 2, size=(n, 2))
    return [
        (int(cell % 4 * CELL + 14 + dx), int(cell // 4 * CELL + 14 + dy))
        for cell, (dx, dy) in zip(cells, shift, strict=True)
    ]


def _anywhere(rng: np.random.Generator, extents: list[int]) -> list[tuple[int, int]]:
    """Middles such that no two squares touch."""
    middles: list[tuple[int, int]] = []
    while len(middles) < len(extents):
        half = extents[len(middles)]
        for _ in range(60):
            x, y = (int(v) for v in rng.integers(half, SIDE - half, size=2))
            near = zip(middles, extents, strict=False)
            if all(max(abs(x - a), abs(y - b)) > half + other + 1 for (a, b), other in near):
                middles.append((x, y))
                break
        else:
            middles = []  # too crowded to go on: begin again
    return middles


def _with_digit(
    rng: np.random.Generator,
    picture: np.ndarray,
    pool: digits.Scans,
    label: str,
    half: int,
    middle: tuple[int, int],
    pen: np.ndarray,
) -> np.ndarray:
    """The picture with a scan of the digit in dark ink."""
    glyph = pool.ink[rng.choice(np.flatnonzero(pool.label == int(label)))]
    side = 2 * half
    ink = PIL.Image.fromarray(glyph).resize((side, side), PIL.Image.Resampling.BILINEAR)
    share = np.asarray(ink, np.float32)[..., None] / 255
    rows, columns = (slice(m - half, m + half) for m in (middle[1], middle[0]))
    drawn = picture.copy()
    drawn[rows, columns] = (drawn[rows, columns] * (1 - share) + pen * share).round()
    return drawn


def _with_solid(
    rng: np.random.Generator, picture: np.ndarray, color: str, half: int, middle: tuple[int, int]
) -> tuple[np.ndarray, str]:
    """The picture with a solid of the colour, and its shape."""
    shape, material = str(rng.choice(solids.SHAPES)), str(rng.choice(("rubber", "metal")))
    size = next(name for name, extent in solids.SIZES.items() if extent == half)
    image = PIL.Image.fromarray(picture)
    solid = solids.Solid(shape, size, color, material, (0, 0))
    solids.draw_solid(PIL.ImageDraw.Draw(image), *middle, solid, tuple(int(c) for c in picture[0, 0]))
    return np.asarray(image), shape


def _changed(before: np.ndarray, after: np.ndarray, visible: int = 40) -> Bounds:
    """The smallest box of all pixels of which some channel has changed by more than `visible` of 255."""
    rows, columns = np.nonzero(np.abs(after.astype(int) - before.astype(int)).max(-1) > visible)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def _reading_order(thing: Thing) -> tuple[int, int]:
    x1, y1, x2, y2 = thing.box
    return (y1 + y2) // 2 // CELL, x1 + x2
