"""Reads the published on-disk format of Visionary-R1: parquet of image, problem, solution, problem_type.

    folder/data/train-00000-of-00012.parquet ...       or the same files in the folder itself

    >>> sets(folder)
    {'plain': [...], 'train': [PosixPath('.../data/train-00000-of-00001.parquet')]}
    >>> next(read(folder, "train"))
    {'id': 'train-00000', 'picture': Picture(...), 'problem': 'What is the sum of all the digits?',
     'answer': '7', 'problem_type': 'numerical'}

The solution is wrapped in <answer> tags. Pictures under 28 pixels on a side are refused: the original drops them, as its
model's processor cannot take them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from saccade.core.picture import PictureError
from saccade.core.rollout import section
from saccade.core.sample import DataError
from saccade.data.parquet import picture, rows

COLUMNS = ("image", "problem", "solution", "problem_type")
LEAST_SIDE = 28  # C pixels
_SHARD = re.compile(r"(?P<name>.+?)(?:-\d{5}-of-\d{5})?")


def sets(folder: Path | str) -> dict[str, list[Path]]:
    """The files of every set by its name, told from theirs; DataError where the folder has no parquet files."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"data folder {folder} {'is a file, not a folder' if folder.exists() else 'does not exist'}")
    found: dict[str, list[Path]] = {}
    for path in sorted([*folder.glob("*.parquet"), *(folder / "data").glob("*.parquet")]):
        found.setdefault(_SHARD.fullmatch(path.stem)["name"], []).append(path)
    if not found:
        raise DataError(f"{folder} has no parquet files, nor has its folder data; one is named such as train-00000-of-00001.parquet")
    return found


def read(folder: Path | str, name: str) -> Iterator[dict[str, Any]]:
    """The rows of a set, its files in order. DataError, naming what there is, when the folder has no such set.

    A row that cannot be used comes out as {id, fault}, for `ask` to refuse, so that a few bad rows do not stop the many
    (`Task.from_rows`). Columns beside the published ones are passed on.
    """
    have = sets(folder)
    if name not in have:
        raise DataError(f"{folder} has no set {name!r}; it has: {', '.join(have)}")
    numbered = enumerate(row for path in have[name] for row in rows(path, needs=COLUMNS))
    return (_row(raw, f"{name}-{number:05d}", beside=Path(folder)) for number, raw in numbered)


def _row(raw: Mapping[str, Any], row_id: str, *, beside: Path) -> dict[str, Any]:
    try:
        return {"id": row_id, **_read(raw, beside)}
    except (DataError, PictureError) as error:
        return {"id": row_id, "fault": str(error)}


def _read(raw: Mapping[str, Any], beside: Path) -> dict[str, Any]:
    for column in COLUMNS[1:]:
        if not isinstance(raw[column], str) or not raw[column].strip():
            raise DataError(f"the {column} must be text, got {raw[column]!r:.60}")
    shown = picture(raw["image"], beside=beside)
    if min(shown.size) < LEAST_SIDE:
        width, height = shown.size
        raise DataError(f"the picture has {width} x {height} pixels, and needs at least {LEAST_SIDE} on each side")
    wrapped = section(raw["solution"], "answer")
    answer = (raw["solution"] if wrapped is None else wrapped).strip()
    if not answer:
        raise DataError("the answer is empty")
    others = {key: value for key, value in raw.items() if key not in COLUMNS}
    return others | {
        "picture": shown,
        "problem": raw["problem"].strip(),
        "answer": answer,
        "problem_type": raw["problem_type"].strip(),
    }
