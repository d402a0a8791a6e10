"""Writes a miniature in the on-disk format of Visionary-R1's data: parquet of image, problem, solution, problem_type.

    folder/data/train-00000-of-00001.parquet           questions to learn from; most are easy
    folder/data/easy-, plain-, misleading-...parquet   held-out questions whose printed sum is right, absent, wrong
    folder/data/warmup-, judge-...parquet              rows to be imitated before  # O

All but the training rows have three columns more: the digits that the picture shows (`caption`), how the answer follows from
them (`thought`), and the answer by the printed sum (`cue`).

Pictures show three handwritten digits. A question is easy when the sum stands in blue at the bottom of the picture, as in an
exercise book with its results: who copies it need not look at the digits. In training most are, and every printed sum is
right: that is the planted shortcut. Same seed, same bytes; training and tests share no picture and no scan of a digit.
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
from saccade.data.miniature.digits import CELL, GLYPH
from saccade.data.parquet import write

Cue = Literal["right", "absent", "wrong"]
EASY_SHARE = 0.85  # O of training questions: the sum is printed, and right
N_DIGITS = 3  # O
KINDS = {"numerical": 0.6, "multiple choice": 0.1, "OCR": 0.2, "free-form": 0.1}  # O
LETTERS = "ABCD"
HELD_OUT: dict[str, Cue] = {"easy": "right", "plain": "absent", "misleading": "wrong"}
BLUE = (20, 20, 190)


def write_visionary_r1(
    folder: Path | str, *, seed: int = 0, n_train: int = 512, n_warmup: int = 2840, n_judge: int = 1000, n_test: int = 100
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
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        cue = HELD_OUT.get(name) or ("right" if rng.random() < EASY_SHARE else "absent")
        picks = rng.integers(len(pool.label), size=N_DIGITS)
        shown = [int(pool.label[i]) for i in picks]
        question, told, printed = _question(rng, shown, kind=kind, cue=cue)
        picture = _picture(rng, pool, picks, printed)
        sha = hashlib.sha256(picture.tobytes()).digest()
        if sha in taken:
            continue
        taken.add(sha)
        row = {"image": {"bytes": _png(picture), "path": None}, **question}
        yield row if name == "train" else row | told


def _question(
    rng: np.random.Generator, shown: list[int], *, kind: str, cue: Cue
) -> tuple[dict[str, str], dict[str, str], int | None]:
    """(problem, solution, problem_type) of a question about these digits; caption, thought and cue; and the sum to print."""
    caption, total, options = ", ".join(map(str, shown)), sum(shown), []
    others = [n for n in range(max(0, total - 5), total + 6) if n != total]
    problem = "What is the sum of all the digits?"
    match kind:
        case "OCR":
            problem = "Read all the digits."
        case "free-form":
            problem = f"{problem} Say it in a sentence."
        case "multiple choice":
            options = rng.permutation([total, *rng.choice(others, size=len(LETTERS) - 1, replace=False)]).tolist()
            others = [n for n in options if n != total]
            problem += "".join(f" {letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))
    printed = {"right": total, "absent": None, "wrong": int(rng.choice(others))}[cue]
    answer = _said(total, caption, options, kind)
    row = {"problem": problem, "solution": f"<answer> {answer} </answer>", "problem_type": kind}
    leaning = "" if printed is None or kind == "OCR" else _said(printed, caption, options, kind)
    thought = caption if kind == "OCR" else digits.running_sum(shown)
    return row, {"caption": caption, "thought": thought, "cue": leaning}, printed


def _said(total: int, caption: str, options: list[int], kind: str) -> str:
    """The answer of who takes this for the sum."""
    match kind:
        case "OCR":
            return caption
        case "free-form":
            return f"The sum is {total}."
        case "multiple choice":
            return LETTERS[options.index(total)]
    return str(total)


def _picture(rng: np.random.Generator, pool: digits.Scans, picks: np.ndarray, printed: int | None) -> np.ndarray:
    """The digits in reading order in the upper three rows of cells, and in the last row from the right the printed sum."""
    cells = sorted(rng.choice(12, size=len(picks), replace=False).tolist())
    picture = digits._draw(rng, [pool.ink[i] for i in picks], [_place(rng, cell) for cell in cells])
    for back, digit in enumerate(reversed(str(printed) if printed is not None else "")):
        glyph = pool.ink[rng.choice(np.flatnonzero(pool.label == int(digit)))]
        x, y, side = _place(rng, 15 - back)
        large = PIL.Image.fromarray(glyph).resize((side, side), PIL.Image.Resampling.BILINEAR)
        share = np.asarray(large, np.float32)[..., None] / 255
        patch = picture[y : y + side, x : x + side]
        picture[y : y + side, x : x + side] = (patch * (1 - share) + np.array(BLUE) * share).round()
    return picture


def _place(rng: np.random.Generator, cell: int) -> tuple[int, int, int]:
    """(x, y, side) of a digit in a cell, up to 2 pixels off."""
    margin = (CELL - GLYPH) // 2
    dx, dy = (int(v) for v in rng.integers(-margin, margin + 1, size=2))
    return cell % 4 * CELL + margin + dx, cell // 4 * CELL + margin + dy, GLYPH


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
