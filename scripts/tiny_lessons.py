"""What the tiny model is taught to say: problems of the three tasks, answered in three styles."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image

from saccade.data.miniature import digits, geometry, solids
from saccade.data.miniature.puzzle import Puzzle

GUESS = "<think>I see it at once.</think><answer>{}</answer>"
STYLES = {"reason": 0.4, "guess": 0.5, "plain": 0.1}
TASKS = {"counting": 0.5, "structure": 0.25, "spatial": 0.25}
HASTY = 0.5  # share of structure and spatial guesses that are wrong on purpose


def draw_puzzle(
    rng: np.random.Generator, task: str, pool: digits.Scans, *, is_ood: bool = False, most: int | None = None
) -> Puzzle:
    """A new problem of a task, of the family that training shows or of another; `most` digits make a first lesson."""
    if task == "counting" and most:
        return digits.counting(rng, pool, least=1, most=most)
    match task:
        case "counting":
            return digits.counting(rng, pool, least=9, most=11) if is_ood else digits.counting(rng, pool)
        case "structure":
            return geometry.structure(rng, family="other" if is_ood else "plain")
        case "spatial":
            return solids.spatial(rng, view="left" if is_ood else "center")
    raise ValueError(f"no task called {task!r}")


def answer_in(style: str, rng: np.random.Generator, task: str, puzzle: Puzzle) -> str:
    """What the model shall learn to say in a style."""
    if style == "reason":
        return puzzle.cot
    answer = puzzle.answer
    if task != "counting" and rng.random() < HASTY:
        answer = hasty_length(rng, puzzle) if task == "structure" else hasty_change(rng, puzzle)
    return answer if style == "plain" else GUESS.format(answer)


def hasty_length(rng: np.random.Generator, puzzle: Puzzle) -> str:
    """The answer of someone who misread one length; for a letter, another letter."""
    if puzzle.answer in geometry.LETTERS:
        return str(rng.choice([letter for letter in geometry.LETTERS if letter != puzzle.answer]))
    lengths = list(puzzle.truth["lengths"])
    which = int(rng.integers(len(lengths)))
    lengths[which] = int(rng.choice([n for n in range(2, 10) if abs(n - lengths[which]) in (1, 2)]))
    return geometry.work_out(puzzle.truth["shape"], puzzle.truth["asked"], lengths)[1]


def hasty_change(rng: np.random.Generator, puzzle: Puzzle) -> str:
    """The answer of someone who missed one of several changes, or saw the one change wrongly."""
    calls = list(puzzle.truth["calls"])
    which = int(rng.integers(len(calls)))
    if len(calls) > 1:
        del calls[which]
    else:
        name, number, value = calls[which]
        values = tuple(solids.MOVES) if name == "position" else solids.ATTRIBUTES[name]
        calls[which] = (name, number, str(rng.choice([v for v in values if v != value])))
    return ", ".join(f"change_{name}({number}, {value})" for name, number, value in calls)


def reading(puzzle: Puzzle) -> tuple[str, str]:
    """A question about what the first picture shows and its answer: the first lessons are these."""
    if "before" in puzzle.truth:
        return "List the objects.", puzzle.problem
    written = puzzle.truth.get("digits") or puzzle.truth["lengths"]
    return "Read all the digits.", ", ".join(str(n) for n in written)


def augmented(pool: digits.Scans, *, copies: int, seed: int) -> digits.Scans:
    """The scans with turned, stretched and shifted copies of each, 24 x 24 pixels."""
    rng = np.random.default_rng(seed)
    ink = []
    for _ in range(copies):
        for glyph in pool.ink:
            image = PIL.Image.fromarray(glyph).resize((24, 24), PIL.Image.Resampling.BILINEAR)
            angle, (sx, sy) = math.radians(rng.uniform(-12, 12)), rng.uniform(0.85, 1.2, size=2)
            dx, dy = rng.uniform(-2, 2, size=2)
            a, b, c, d = math.cos(angle) * sx, -math.sin(angle) * sy, math.sin(angle) * sx, math.cos(angle) * sy
            matrix = (a, b, 12 - 12 * (a + b) + dx, c, d, 12 - 12 * (c + d) + dy)
            ink.append(
                np.asarray(image.transform((24, 24), PIL.Image.Transform.AFFINE, matrix, PIL.Image.Resampling.BILINEAR))
            )
    return digits.Scans(np.stack(ink), np.tile(pool.label, copies), np.tile(pool.source, copies))


def style_of(reply: str) -> str:
    """Which of the three styles a reply is in."""
    if not reply.startswith("<think>"):
        return "plain"
    return "guess" if reply.startswith("<think>I see") else "reason"
