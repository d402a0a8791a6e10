"""Reads the published format of VL-Rethinker's data, ViRL39K: parquet beside a folder of pictures (specs/vl_rethinker.md 6.2).

    folder/39Krelease.parquet      the training rows; any parquet files that stand here
    folder/images/...              the pictures, by the paths of the rows
    folder/eval/*.parquet          rows of the same columns to report on, where there are any  # O
    folder/warm_up.parquet         rows with a worked `solution`, where there is one  # O

    >>> files(folder)
    {'train': [PosixPath('.../39Krelease.parquet')], 'eval': [PosixPath('.../eval/digits.parquet')]}
    >>> read(folder, "train")[0]
    {'id': 'digits-00000', 'benchmark': 'digits', 'split': 'train', 'question': 'What is the sum of all the digits?',
     'image': ['/.../images/digits-00000.png'], 'answer': '\\boxed{14}', 'category': 'arithmetic', 'source': 'saccade',
     'pass_rates': {'PassRate_7BBase': 0.25}}

`benchmark` is what stands before the first "-" of a qid: the original groups its evaluation by it.  # C
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saccade.core.sample import DataError
from saccade.data import parquet

SPLITS = ("train", "eval", "warm_up")
NEEDS = ("qid", "question", "answer")  # a set of text alone need not have the column `image`
MARK = "<image>"
_PICTURE_FOLDERS = (".", "images")


def files(folder: Path | str) -> dict[str, list[Path]]:
    """The parquet files of each split that is there; DataError when the folder holds no training rows."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"data folder {folder} {'is a file, not a folder' if folder.exists() else 'does not exist'}")
    found = {
        "train": sorted(path for path in folder.glob("*.parquet") if path.stem != "warm_up"),
        "eval": sorted((folder / "eval").glob("*.parquet")),
        "warm_up": sorted(folder.glob("warm_up.parquet")),
    }
    if not found["train"]:
        raise DataError(f"{folder} has no parquet file of training rows, such as 39Krelease.parquet")
    return {split: paths for split, paths in found.items() if paths}


def read(folder: Path | str, split: str) -> list[dict[str, Any]]:
    """The rows of a split, in order. DataError, naming what there is, when the folder has none of it.

    A row of a wrong shape comes out as {id, benchmark, fault}, for `ask` to refuse, so that a few bad rows do not stop the many
    (`Task.from_rows`). Pictures are absolute paths, or the encoded pictures themselves where a file holds those.
    """
    have = files(folder)
    if split not in have:
        raise DataError(f"{folder} has no {split} set; it has: {', '.join(have)}")
    root, found = Path(folder).resolve(), []
    for path in have[split]:
        for number, raw in enumerate(parquet.rows(path, needs=NEEDS)):
            qid = str(raw["qid"] or "").strip()
            try:
                row = _row(raw, root)
            except DataError as error:
                row = {"fault": f"{path.name} row {number}: {error}"}
            row_id = qid or f"{path.name} row {number}"
            found.append({"id": row_id, "benchmark": row_id.partition("-")[0], "split": split, **row})
    return found


def passable(rows: list[dict[str, Any]], model: str) -> list[dict[str, Any]]:
    """The rows that a model sometimes gets right: those whose pass rate is above 0 in the column that names it, such as "7B".

    All rows where `model` is empty, or where the data has no pass rates at all. Rows that were not measured are left out, as in
    the original's subsets (about 16K of 38,870 for 7B). DataError where no column or several name the model.
    """
    columns = sorted({column for row in rows for column in row.get("pass_rates", {})})
    if not model or not columns:
        return rows
    fitting = [column for column in columns if model.lower() in column.lower()]
    if len(fitting) != 1:
        raise DataError(f"{len(fitting)} columns of pass rates name {model!r}; have: {', '.join(columns)}; name one of them, or ''")
    # Rows of a wrong shape stay, to be counted as bad.
    return [row for row in rows if "fault" in row or (row["pass_rates"].get(fitting[0]) or 0.0) > 0]


def _row(raw: Mapping[str, Any], root: Path) -> dict[str, Any]:
    if not str(raw["qid"] or "").strip():
        raise DataError("the qid is empty")
    question, answer = raw["question"], raw["answer"]
    if not isinstance(question, str) or not isinstance(answer, str):
        raise DataError(f"question and answer must be text, got {type(question).__name__} and {type(answer).__name__}")
    if not question.replace(MARK, "").strip() or not answer.strip():
        raise DataError("the question is empty" if answer.strip() else "the answer is empty")
    pictures = _pictures(raw.get("image"), root)
    n_marks = question.count(MARK)
    if n_marks > len(pictures):
        raise DataError(f"the question shows {n_marks} picture(s), the row has {len(pictures)}")
    plain = {
        "question": re.sub(rf"\s*{MARK}\s*", " ", question).strip(),
        "image": pictures,
        "answer": answer.strip(),
        "category": raw.get("category") or "",
        "source": raw.get("source") or "",
        "pass_rates": {name: _rate(name, value) for name, value in raw.items() if name.lower().startswith("passrate")},
    }
    return plain | {name: raw[name] for name in ("solution", "attempt") if raw.get(name)}


def _pictures(cell: Any, root: Path) -> list[Any]:
    """No picture where the cell is empty; a path or a list of paths, each looked for; or encoded pictures, as they are."""
    cells = cell if isinstance(cell, list) else [cell]
    found = []
    for one in cells:
        if one is None or one == "":
            continue  # C the original skips empty paths
        if not isinstance(one, str | bytes | Mapping):
            raise DataError(f"'image' must be a path or a list of paths, got {type(one).__name__}")
        found.append(str(_find(one, root)) if isinstance(one, str) else one)
    return found


def _find(name: str, root: Path) -> Path:
    """The first place where the picture is; the plain one below the root when it is nowhere."""
    places = [root / part / name for part in _PICTURE_FOLDERS]
    try:
        return next((place.resolve() for place in places if place.is_file()), places[0].resolve())
    except (OSError, ValueError) as error:  # a name that no disk takes
        raise DataError(f"{name[:60]!r} is no file's name: {getattr(error, 'strerror', None) or error}") from None


def _rate(name: str, value: Any) -> float | None:
    """A pass rate, 0 to 1; None where the row was not measured."""
    if value is None or value != value:
        return None
    try:
        rate = float(value)
    except (TypeError, ValueError):
        raise DataError(f"{name} must be a number, got {value!r}") from None
    if not 0 <= rate <= 1:
        raise DataError(f"{name} must lie from 0 to 1, got {rate}")
    return rate
