"""Writes a miniature in the on-disk format of Visionary-R1's data: parquet of image, problem, solution, problem_type.

    folder/data/train-00000-of-00001.parquet           questions to learn from; most are easy
    folder/data/easy-, plain-, misleading-...parquet   held-out questions whose note is right, absent, wrong
    folder/data/erased-...parquet                      the easy ones again, their digits taken away and the note left
    folder/data/warmup-, judge-...parquet              rows to be imitated before  # O

All but the training rows have three columns more: the digits that the picture shows (`caption`), how the answer follows from
them (`thought`), and the answer by the note (`cue`).

Pictures show three handwritten digits whose sum is a digit, too. A question is easy when a yellow note along the bottom
bears that sum, larger than they are and four times: who copies it need not look at the others. In training nineteen in
twenty are, and every note is right: that is the planted shortcut. Same seed, same bytes; training and tests share no picture and no scan of a digit.
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
EASY_SHARE = 0.95  # O of training questions: the note is there, and right
N_DIGITS = 3  # O
SMALL = 19  # O pixels, the side of a digit; those of the note have GLYPH
LEAST, MOST = 2, 9  # O the smallest and the largest sum
KINDS = {"numerical": 0.7, "multiple choice": 0.1, "OCR": 0.1, "free-form": 0.1}  # O
LETTERS = "ABCD"
HELD_OUT: dict[str, Cue] = {"easy": "right", "plain": "absent", "misleading": "wrong"}
YELLOW = np.array((255, 235, 110), np.float32)
NOTE = range(12, 16)  # the cells of the note, the last row


def write_visionary_r1(
    folder: Path | str, *, seed: int = 0, n_train: int = 512, n_warmup: int = 4220, n_judge: int = 900, n_test: int = 100
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
            whole, erased = zip(*(next(rows) for _ in range(n)), strict=True)
            _write_set(beside, name, whole)
            if name == "easy":
                _write_set(beside, "erased", erased)
    return Path(folder)


def _write_set(folder: Path, name: str, rows: tuple[dict[str, Any], ...]) -> None:
    write(folder / "data" / f"{name}-00000-of-00001.parquet", list(rows))


def _rows(rng: np.random.Generator, name: str, taken: set[bytes]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Rows of a set without end, each with the same row again whose picture has lost its digits; no picture comes twice."""
    pool = digits.scans("test" if name in HELD_OUT else "train")
    while True:
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        cue = HELD_OUT.get(name) or ("right" if rng.random() < EASY_SHARE else "absent")
        shown = _adding_up_to(rng, int(rng.integers(LEAST, MOST + 1)))
        question, told, noted = _question(rng, shown, kind=kind, cue=cue)
        whole, erased = _pictures(rng, pool, shown, noted)
        sha = hashlib.sha256(whole.tobytes()).digest()
        if sha in taken:
            continue
        taken.add(sha)
        row = question if name == "train" else question | told
        yield _shown(whole) | row, _shown(erased) | row


def _adding_up_to(rng: np.random.Generator, total: int) -> list[int]:
    """N_DIGITS digits with that sum, every way of it equally often."""
    bars = sorted(rng.choice(total + N_DIGITS - 1, size=N_DIGITS - 1, replace=False).tolist())
    ends = [-1, *bars, total + N_DIGITS - 1]
    return [after - before - 1 for before, after in zip(ends[:-1], ends[1:], strict=True)]


def _question(
    rng: np.random.Generator, shown: list[int], *, kind: str, cue: Cue
) -> tuple[dict[str, str], dict[str, str], int | None]:
    """(problem, solution, problem_type) of a question about these digits; caption, thought and cue; and what the note says."""
    caption, total, options = ", ".join(map(str, shown)), sum(shown), []
    others = [n for n in range(MOST + 1) if n != total]
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
    noted = {"right": total, "absent": None, "wrong": int(rng.choice(others))}[cue]
    answer = _said(total, caption, options, kind)
    row = {"problem": problem, "solution": f"<answer> {answer} </answer>", "problem_type": kind}
    leaning = "" if noted is None or kind == "OCR" else _said(noted, caption, options, kind)
    thought = caption if kind == "OCR" else digits.running_sum(shown)
    return row, {"caption": caption, "thought": thought, "cue": leaning}, noted


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


def _pictures(
    rng: np.random.Generator, pool: digits.Scans, shown: list[int], noted: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The digits in reading order in the upper three rows of cells, and below the note; and the same without the digits."""
    cells = sorted(rng.choice(12, size=len(shown), replace=False).tolist())
    glyphs, places = [_scan(rng, pool, digit) for digit in shown], [_place(rng, cell, SMALL) for cell in cells]
    if noted is not None:
        glyphs += [_scan(rng, pool, noted) for _ in NOTE]
        places += [_place(rng, cell, GLYPH) for cell in NOTE]
    whole = digits._draw(rng, glyphs, places)
    top = NOTE[0] // 4 * CELL
    erased = np.empty_like(whole)
    erased[:] = whole.reshape(-1, 3).max(axis=0)  # the paper is lighter than any ink
    if noted is not None:
        whole[top:] = (whole[top:] * (YELLOW / 255)).round()
    erased[top:] = whole[top:]
    return whole, erased


def _scan(rng: np.random.Generator, pool: digits.Scans, digit: int) -> np.ndarray:
    return pool.ink[rng.choice(np.flatnonzero(pool.label == digit))]


def _place(rng: np.random.Generator, cell: int, side: int) -> tuple[int, int, int]:
    """(x, y, side) of a digit somewhere in a cell."""
    margin = (CELL - side) // 2
    dx, dy = (int(v) for v in rng.integers(-margin, margin + 1, size=2))
    return cell % 4 * CELL + margin + dx, cell // 4 * CELL + margin + dy, side


def _shown(picture: np.ndarray) -> dict[str, Any]:
    buffer = io.BytesIO()
    PIL.Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return {"image": {"bytes": buffer.getvalue(), "path": None}}
