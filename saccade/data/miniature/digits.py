"""Counting scenes: real handwritten digits composed into one picture, with questions that need arithmetic.

The digits are the 1,797 scans of 8 x 8 pixels that scikit-learn ships (UCI optical recognition of handwritten digits).
Every fifth scan is kept for tests only, so that no held-out picture shows a digit image that training has shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import PIL.Image

from saccade.data.miniature.puzzle import SIDE, Puzzle

CELL = 28  # pixels; the grid is 4 x 4 cells  # O
GLYPH = 24  # pixels, the side of a digit on the grid  # O
Layout = Literal["grid", "free"]


@dataclass(frozen=True)
class Scans:
    """Digit images to draw with: ink uint8 [n, 8, 8] with 0 paper and 255 ink, the label of each, and its source number."""

    ink: np.ndarray
    label: np.ndarray
    source: np.ndarray


@cache
def scans(split: str) -> Scans:
    """The digit images of a split: "test" is every fifth scan of the published order, "train" the others."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    number = np.arange(len(bunch.target))
    match split:
        case "train":
            keep = number % 5 != 0
        case "test":
            keep = number % 5 == 0
        case _:
            raise ValueError(f"split is {split!r}; have: train, test")
    ink = np.clip(bunch.images * 16, 0, 255).astype(np.uint8)
    return Scans(ink[keep], bunch.target[keep], number[keep])


def counting(
    rng: np.random.Generator, pool: Scans, *, least: int = 3, most: int = 8, layout: Layout = "grid"
) -> Puzzle:
    """A scene of `least` to `most` digits and a question about their sum.

    On the grid every digit has its own cell of CELL pixels and moves by at most 2; free, it stands anywhere at 16 to 26
    pixels, without overlap. Three questions in four ask for the sum of all, the others leave one digit out.
    """
    n = int(rng.integers(least, most + 1))
    places = _on_grid(rng, n) if layout == "grid" else _anywhere(rng, n)
    picks = rng.integers(len(pool.label), size=n)
    picture = _draw(rng, [pool.ink[i] for i in picks], places)
    shown = [int(pool.label[i]) for i in picks]
    left_out = _choose_left_out(rng, shown)
    kept = [digit for digit in shown if digit != left_out]
    problem = "What is the sum of all the digits?"
    if left_out is not None:
        problem = f"Leave out every {left_out}. What is the sum of the other digits?"
    truth = {"digits": shown, "left_out": left_out, "sources": [int(pool.source[i]) for i in picks], "places": places}
    return Puzzle(pictures=(picture,), problem=problem, thought=running_sum(kept), answer=str(sum(kept)), truth=truth)


def running_sum(numbers: list[int]) -> str:
    """The sum worked out from left to right: [3, 5, 2] gives "3+5=8, +2=10"."""
    steps, total = [], numbers[0]
    for number in numbers[1:]:
        before, total = total, total + number
        steps.append(f"+{number}={total}" if steps else f"{before}+{number}={total}")
    return ", ".join(steps) or str(total)


def _choose_left_out(rng: np.random.Generator, shown: list[int]) -> int | None:
    """A digit to leave out: present, and with at least two others left; mostly None."""
    candidates = [digit for digit in sorted(set(shown)) if len(shown) - shown.count(digit) >= 2]
    if rng.random() < 0.75 or not candidates:
        return None
    return int(rng.choice(candidates))


def _on_grid(rng: np.random.Generator, n: int) -> list[tuple[int, int, int]]:
    """(x, y, side) of n glyphs in distinct cells, in reading order."""
    cells = sorted(rng.choice(16, size=n, replace=False).tolist())
    margin = (CELL - GLYPH) // 2
    shift = rng.integers(-margin, margin + 1, size=(n, 2))
    return [
        (cell % 4 * CELL + margin + int(dx), cell // 4 * CELL + margin + int(dy), GLYPH)
        for cell, (dx, dy) in zip(cells, shift, strict=True)
    ]


def _anywhere(rng: np.random.Generator, n: int) -> list[tuple[int, int, int]]:
    """(x, y, side) of n glyphs that do not overlap, by rows of centres as one would read them."""
    places: list[tuple[int, int, int]] = []
    while len(places) < n:
        for _ in range(60):
            side = int(rng.integers(16, 27))
            x, y = (int(v) for v in rng.integers(0, SIDE - side + 1, size=2))
            if all(x + side <= a or a + s <= x or y + side <= b or b + s <= y for a, b, s in places):
                places.append((x, y, side))
                break
        else:
            places = []  # too crowded to go on: begin again
    return sorted(places, key=lambda p: ((p[1] + p[2] // 2) // CELL, p[0]))


def _draw(rng: np.random.Generator, glyphs: list[np.ndarray], places: list[tuple[int, int, int]]) -> np.ndarray:
    """Dark ink on light paper of a random tint."""
    ink = np.zeros((SIDE, SIDE), np.float32)
    for glyph, (x, y, side) in zip(glyphs, places, strict=True):
        large = PIL.Image.fromarray(glyph).resize((side, side), PIL.Image.Resampling.BILINEAR)
        ink[y : y + side, x : x + side] = np.maximum(
            ink[y : y + side, x : x + side], np.asarray(large, np.float32) / 255
        )
    paper = rng.integers(215, 256, size=3)
    pen = rng.integers(0, 70, size=3)
    return (paper + ink[..., None] * (pen - paper)).round().astype(np.uint8)
