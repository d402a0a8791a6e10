"""Structure scenes: drawn figures with the lengths of some sides written beside them, and exact answers.

In distribution are rectangles, squares, right triangles and triangles; the other family (parallelograms with their
height, quadrilaterals, pentagons) stands to them as Geometry3K stands to GeoMath: the same words, other drawings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from saccade.data.miniature.digits import CELL, running_sum
from saccade.data.miniature.puzzle import SIDE, Puzzle

Family = Literal["plain", "other"]
LETTERS = "ABCD"


@dataclass(frozen=True)
class Figure:
    """Corner points in pixels, an optional dashed line, labels (value, x, y), and what may be asked of it."""

    shape: str
    corners: list[tuple[float, float]]
    labels: list[tuple[int, float, float]]
    dashed: tuple[tuple[float, float], tuple[float, float]] | None = None


def structure(rng: np.random.Generator, *, family: Family = "plain") -> Puzzle:
    """A figure and a question about its area or perimeter; half the questions offer four options and want a letter."""
    shapes = ("rectangle", "square", "right triangle", "triangle")
    if family == "other":
        shapes = ("parallelogram", "quadrilateral", "pentagon")
    shape = str(rng.choice(shapes))
    figure = _figure(rng, shape)
    labels = sorted(figure.labels, key=lambda label: (_inside(*label[1:])[1] // CELL, label[1]))
    lengths = [value for value, _, _ in labels]
    wants_area = shape in ("parallelogram", "right triangle") or (
        shape in ("rectangle", "square") and rng.random() < 0.5
    )
    asked = "area" if wants_area else "perimeter"
    thought, value = work_out(shape, asked, lengths)
    problem, answer = f"What is the {asked} of the figure?", value
    if rng.random() < 0.5:
        options = _options(rng, value)
        answer = LETTERS[options.index(value)]
        problem += "".join(f" {letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))
        thought += f" is {answer}"
    truth = {"shape": shape, "asked": asked, "lengths": lengths, "value": value}
    truth["places"] = [_inside(x, y) for _, x, y in labels]
    return Puzzle(pictures=(_draw(rng, figure),), problem=problem, thought=thought, answer=answer, truth=truth)


def work_out(shape: str, asked: str, lengths: list[int]) -> tuple[str, str]:
    """The reasoning and the value. `lengths` are the written ones in reading order: ("square", "area", [4]) -> ("4*4=16", "16")."""
    if asked == "perimeter" and shape == "square":
        return f"{lengths[0]}*4={lengths[0] * 4}", str(lengths[0] * 4)
    if asked == "perimeter":
        half = running_sum(lengths)
        if shape == "rectangle":
            return f"{half}, *2={sum(lengths) * 2}", str(sum(lengths) * 2)
        return half, str(sum(lengths))
    a, b = lengths if len(lengths) == 2 else lengths * 2
    if shape == "right triangle":
        area = str(a * b // 2) if a * b % 2 == 0 else str(a * b / 2)
        return f"{a}*{b}={a * b}, /2={area}", area
    return f"{a}*{b}={a * b}", str(a * b)


def _options(rng: np.random.Generator, value: str) -> list[str]:
    """Four distinct options, the right one among them, the others close to it."""
    whole = math.floor(float(value))
    near = [n for n in range(max(1, whole - 9), whole + 10) if str(n) != value]
    options = [value, *(str(n) for n in rng.choice(near, size=3, replace=False))]
    return [options[i] for i in rng.permutation(4)]


def _figure(rng: np.random.Generator, shape: str) -> Figure:
    a, b = (int(v) for v in rng.integers(2, 10, size=2))
    cx, cy = 58 + rng.uniform(-5, 5, size=2)
    match shape:
        case "rectangle" | "square":
            b = a if shape == "square" else b
            w, h = 20 + 5.5 * a, 20 + 5.5 * b
            x, y = cx - w / 2, cy - h / 2
            labels = [(a, cx, y + h + 10)] if shape == "square" else [(b, x - 9, cy), (a, cx, y + h + 10)]
            return Figure(shape, [(x, y), (x + w, y), (x + w, y + h), (x, y + h)], labels)
        case "right triangle":
            w, h = 25 + 5 * a, 25 + 5 * b
            x, y = cx - w / 2, cy - h / 2
            return Figure(shape, [(x, y), (x, y + h), (x + w, y + h)], [(b, x - 9, cy), (a, cx, y + h + 10)])
        case "parallelogram":
            w, h, lean = 25 + 4 * a, 25 + 5 * b, float(rng.uniform(12, 22))
            x, y = cx - (w + lean) / 2, cy - h / 2
            corners = [(x + lean, y), (x + w + lean, y), (x + w, y + h), (x, y + h)]
            foot = (x + lean, y + h)
            return Figure(shape, corners, [(b, x + lean + 9, cy), (a, x + w / 2 + 8, y + h + 10)], (corners[0], foot))
        case "triangle" | "quadrilateral" | "pentagon":
            return _polygon(rng, shape, {"triangle": 3, "quadrilateral": 4, "pentagon": 5}[shape], cx - 2, cy - 2)
    raise ValueError(f"no figure called {shape!r}")


def _polygon(rng: np.random.Generator, shape: str, n: int, cx: float, cy: float) -> Figure:
    """An irregular polygon, every side labelled outside its middle."""
    turn = rng.uniform(0, 2 * math.pi)
    angles = turn + (np.arange(n) + rng.uniform(-0.18, 0.18, size=n)) * 2 * math.pi / n
    corners = [(cx + 36 * math.cos(angle), cy + 36 * math.sin(angle)) for angle in angles]
    labels = []
    for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
        mx, my = (x1 + x2) / 2, (y1 + y2) / 2
        away = math.hypot(mx - cx, my - cy)
        labels.append((int(rng.integers(2, 10)), mx + 10 * (mx - cx) / away, my + 10 * (my - cy) / away))
    return Figure(shape, corners, labels)


def _draw(rng: np.random.Generator, figure: Figure) -> np.ndarray:
    """The figure in a random dark colour on light paper, its labels in black, 15 pixels high."""
    image = PIL.Image.new("RGB", (SIDE, SIDE), tuple(rng.integers(225, 256, size=3).tolist()))
    draw = PIL.ImageDraw.Draw(image)
    line = tuple(rng.integers(0, 150, size=3).tolist())
    draw.line([*figure.corners, figure.corners[0], figure.corners[1]], fill=line, width=2, joint="curve")
    if figure.dashed:
        (x1, y1), (x2, y2) = figure.dashed
        for k in range(0, 10, 2):
            draw.line(
                [
                    x1 + (x2 - x1) * k / 10,
                    y1 + (y2 - y1) * k / 10,
                    x1 + (x2 - x1) * (k + 1) / 10,
                    y1 + (y2 - y1) * (k + 1) / 10,
                ],
                fill=line,
            )
    for value, x, y in figure.labels:
        draw.text(_inside(x, y), str(value), fill=(0, 0, 0), font=_font(), anchor="mm")
    return np.asarray(image)


def _inside(x: float, y: float) -> tuple[float, float]:
    """The middle of a label, moved so that the label is in the picture and, a little, so that one cell holds it whole."""
    column, row = (min(max(int(v // CELL), 0), SIDE // CELL - 1) * CELL for v in (x, y))
    return min(max(x, column + 7), column + CELL - 7), min(max(y, row + 9), row + CELL - 9)


@cache
def _font() -> PIL.ImageFont.ImageFont | PIL.ImageFont.FreeTypeFont:
    return PIL.ImageFont.load_default(size=17)
