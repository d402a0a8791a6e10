"""Writes a miniature in the on-disk format of Visionary-R1's data: parquet of image, problem, solution, problem_type.

    folder/data/train-00000-of-00001.parquet           questions to learn from; most are easy
    folder/data/easy-, plain-, misleading-...parquet   held-out questions whose hint is right, absent, wrong
    folder/data/warmup-, judge-...parquet              rows to be imitated before  # O

All but the training rows have three columns more: what the picture shows (`caption`), how the answer follows from it
(`thought`) and the `hint`.

Pictures show three handwritten digits. A question is easy when its own words give the answer away: "What is the
sum of all the digits? Hint: 12." In training most are, and every hint is right, so nobody has to look who trusts hints:
that is the planted shortcut. Same seed, same bytes; training and tests share no picture and no scan of a digit.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.Image

from saccade.core.sample import DataError
from saccade.data.fresh import fresh
from saccade.data.miniature import digits
from saccade.data.parquet import write

Hint = Literal["right", "absent", "wrong"]
EASY_SHARE = 0.85  # O of training questions: their hint is right, the others have none
N_DIGITS = 3  # O
KINDS = {"numerical": 0.5, "multiple choice": 0.15, "OCR": 0.25, "free-form": 0.1}  # O
LETTERS = "ABCD"
HELD_OUT: dict[str, Hint] = {"easy": "right", "plain": "absent", "misleading": "wrong"}


def write_visionary_r1(
    folder: Path | str, *, seed: int = 0, n_train: int = 512, n_warmup: int = 3040, n_judge: int = 800, n_test: int = 100
) -> Path:
    """The folder, freshly written, with so many rows in each file. DataError if something is there already."""
    counts = {"train": n_train, "warmup": n_warmup, "judge": n_judge, **dict.fromkeys(HELD_OUT, n_test)}
    if min(counts.values()) < 1:
        raise DataError(f"every set needs at least 1 row, got {counts}")
    taken: set[bytes] = set()
    with fresh(folder) as beside:
        (beside / "data").mkdir()
        for name, n in counts.items():
            rng = np.random.default_rng([seed, *name.encode()])
            rows = _rows(rng, name, taken)
            write(beside / "data" / f"{name}-00000-of-00001.parquet", [next(rows) for _ in range(n)])
    return Path(folder)


def _rows(rng: np.random.Generator, name: str, taken: set[bytes]) -> Iterator[dict[str, Any]]:
    """Rows of a set without end; no picture comes twice."""
    pool = digits.scans("test" if name in HELD_OUT else "train")
    while True:
        puzzle = digits.counting(rng, pool, least=N_DIGITS, most=N_DIGITS)
        sha = hashlib.sha256(puzzle.pictures[0].tobytes()).digest()
        if sha in taken:
            continue
        taken.add(sha)
        if name in HELD_OUT:
            hint = HELD_OUT[name]
        elif name == "judge":  # who answers from captions shall not lean on hints
            hint = str(rng.choice(["right", "absent", "wrong"]))
        else:
            hint = "right" if rng.random() < EASY_SHARE else "absent"
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        question, told = _question(rng, puzzle.truth["digits"], kind=kind, hint=hint)
        row = {"image": {"bytes": _png(puzzle.pictures[0]), "path": None}, **question}
        yield row if name == "train" else row | told


def _question(
    rng: np.random.Generator, shown: list[int], *, kind: str, hint: str
) -> tuple[dict[str, str], dict[str, str]]:
    """(problem, solution, problem_type) of a question about these digits, and the caption, the thought and the hint."""
    caption, total = ", ".join(map(str, shown)), sum(shown)
    thought = digits.running_sum(shown)
    match kind:
        case "OCR":
            problem, answer, thought = "Read all the digits.", caption, caption
            other = ", ".join(str(digit) for digit in _misread(rng, shown))
        case "free-form":
            problem, answer = "What is the sum of all the digits? Say it in a sentence.", f"The sum is {total}."
            other = f"The sum is {_other_sum(rng, total)}."
        case "multiple choice":
            place, options = _options(rng, total)
            problem = "What is the sum of all the digits? " + " ".join(
                f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True)
            )
            answer = LETTERS[place]
            other = str(rng.choice([letter for letter in LETTERS if letter != answer]))
        case _:
            problem, answer, other = "What is the sum of all the digits?", str(total), str(_other_sum(rng, total))
    said = {"right": answer, "absent": "", "wrong": other}[hint].removesuffix(".")
    problem = f"{problem} Hint: {said}." if said else problem
    row = {"problem": problem, "solution": f"<answer> {answer} </answer>", "problem_type": kind}
    return row, {"caption": caption, "thought": thought, "hint": said}


def _other_sum(rng: np.random.Generator, total: int) -> int:
    """A sum near the right one, and not it."""
    return int(rng.choice([n for n in range(max(0, total - 5), total + 6) if n != total]))


def _misread(rng: np.random.Generator, shown: list[int]) -> list[int]:
    """The digits with one of them read as another."""
    which = int(rng.integers(len(shown)))
    wrong = int(rng.choice([digit for digit in range(10) if digit != shown[which]]))
    return [*shown[:which], wrong, *shown[which + 1 :]]


def _options(rng: np.random.Generator, total: int) -> tuple[int, list[int]]:
    """Where the right sum stands among four options, and the options."""
    others = [n for n in range(max(0, total - 5), total + 6) if n != total]
    options = [int(n) for n in rng.choice(others, size=len(LETTERS) - 1, replace=False)]
    place = int(rng.integers(len(LETTERS)))
    return place, [*options[:place], total, *options[place:]]


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
