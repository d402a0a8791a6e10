"""Reads the published format of GUI-R1's data: parquet files of steps on screens (specs/gui_r1.md 3.2).

    folder/train.parquet               GUI-R1-3K; test.parquet, by which a run is watched
    folder/NAME_test.parquet           a benchmark each: androidcontrol_high, androidcontrol_low, guiact_web, guiodyssey,
                                       omniact_web, omniact_desktop, screenspot, screenspot_pro, or any other name

    >>> files(folder)["omniact_web"]
    PosixPath('.../omniact_web_test.parquet')
    >>> read(folder, "train")[0]
    {'id': 'web-train-0007/3', 'set': 'train', 'image': {'bytes': b'...', 'path': None}, 'instruction': 'Write 42 in the red box.',
     'history': 'click red box', 'task_type': 'high', 'gt_bbox': [], 'gt_action': 'type', 'gt_input_text': '42', ...}

Further columns (group, verify_bbox, success_rate, scale, ui_type) stay in the row as they are. Records of ScreenSpot become rows of the
same columns: `screenspot`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from saccade.core.picture import Frame, Picture, PictureError
from saccade.core.sample import DataError
from saccade.data import detection, parquet
from saccade.data.duplicates import appearance, joined, kinship

NEEDS = ("image", "instruction", "gt_bbox", "gt_action")
NO_TEXT = "no input text"  # C
NO_HISTORY = "None"  # C
SUFFIX = "_test"


def files(folder: Path | str) -> dict[str, Path]:
    """The parquet files by the name of their set: train, test, and the benchmarks; DataError where there is none at all."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"data folder {folder} {'is a file, not a folder' if folder.exists() else 'does not exist'}")
    paths = sorted(folder.glob("*.parquet"))
    found = {path.stem.removesuffix(SUFFIX): path for path in paths if path.stem.endswith(SUFFIX)}
    found = {path.stem: path for path in paths if path.stem in ("train", "test")} | found
    if not found:
        raise DataError(f"{folder} has no train.parquet, test.parquet or NAME_test.parquet")
    return found


def read(folder: Path | str, name: str) -> list[dict[str, Any]]:
    """The rows of a set, in order. DataError, naming the sets there are, where the folder has none of that name.

    A row of a wrong shape comes out as {id, fault}, for `ask` to refuse, so that a few bad rows do not stop the many
    (`Task.from_rows`). Pictures are not decoded here. A row without an id, or with one that stood before, is called by its
    number.
    """
    have = files(folder)
    if name not in have:
        raise DataError(f"{folder} has no set {name!r}; it has: {', '.join(have)}")
    rows: list[dict[str, Any]] = []
    taken: set[str] = set()
    for number, raw in enumerate(parquet.rows(have[name], needs=NEEDS)):
        row_id = f"{name}/{number}" if raw.get("id") in (None, "") else str(raw["id"])
        row_id = f"{row_id}#{number}" if row_id in taken else row_id
        taken.add(row_id)
        try:
            row = _row(raw)
        except DataError as error:
            row = {"fault": f"{have[name].name} row {number}: {error}"}
        rows.append({**row, "id": row_id, "set": name, "beside": str(Path(folder).resolve())})
    return rows


def is_screenspot(folder: Path | str) -> bool:
    """Whether a folder holds records of ScreenSpot and no parquet of ours."""
    folder = Path(folder)
    return folder.is_dir() and not list(folder.glob("*.parquet")) and detection.FORMATS["screenspot"].is_here(folder)


def screenspot(folder: Path | str, *, held_out: float = 0.3, seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """ScreenSpot's records as rows of the sets train, test and screenspot, which share no picture, nor any that look alike.

    Each is a low-level click, its box in fractions. `held_out` is the share of the rows that are tested on, a third of
    these to watch the run by. Pages of one template that differ in a word look alike; such screens are kept in one set.
    DataError where all of them look alike.
    """
    rows = detection.read(folder, form="screenspot")
    kin = _kin(rows)
    train, rest = detection.split(rows, held_out=held_out, seed=seed, together=lambda row: kin[row["image"][0]])
    benchmark, watched = detection.split(rest, held_out=1 / 3, seed=seed, together=lambda row: kin[row["image"][0]])
    sets = {"train": train, "test": watched, "screenspot": benchmark}
    return {name: [_of_record(row, name) for row in part] for name, part in sets.items()}


def _kin(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Which screens look alike: path -> a number. Those that cannot be decoded are left to `split`."""
    looks = {}
    for path in dict.fromkeys(row["image"][0] for row in rows if "fault" not in row):
        with suppress(PictureError):
            looks[path] = appearance(Picture.open(path).image)
    return dict(zip(looks, kinship(joined(list(looks.values()))), strict=True))


def _of_record(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    plain = {"id": record["id"], "set": name, "beside": "."}
    if "fault" in record:
        return {**plain, "fault": record["fault"]}
    (thing,) = record["objects"]
    try:
        box = Picture.open(record["image"][0]).convert(thing.box, to=Frame.UNIT)
    except PictureError as error:
        return {**plain, "fault": str(error)}
    return {
        **plain,
        "image": record["image"][0],
        "instruction": record["instruction"],
        "history": NO_HISTORY,
        "task_type": "low",
        "gt_bbox": [box.x1, box.y1, box.x2, box.y2],
        "gt_action": "click",
        "gt_input_text": NO_TEXT,
        "ui_type": thing.label,
        "group": record.get("more", {}).get("data_source", ""),
    }


def _row(raw: Mapping[str, Any]) -> dict[str, Any]:
    for column in ("instruction", "gt_action"):
        if not isinstance(raw[column], str) or not raw[column].strip():
            raise DataError(f"{column} must be a text, got {_short(raw[column])}")
    if not isinstance(raw["image"], bytes | Mapping | str):
        raise DataError(f"image must be bytes, {{bytes}} or a path, got {_short(raw['image'])}")
    place = raw["gt_bbox"]
    place = [] if place is None else place
    if not isinstance(place, Sequence) or isinstance(place, str | bytes) or not all(map(_is_number, place)):
        raise DataError(f"gt_bbox must be a list of numbers, got {_short(place)}")
    text = raw.get("gt_input_text")
    plain = {
        "instruction": raw["instruction"].strip(),
        "history": str(raw.get("history") or NO_HISTORY).strip(),
        "task_type": str(raw.get("task_type") or "high").strip().lower(),  # I a row that does not say is of the fuller kind
        "gt_bbox": [float(value) for value in place],
        "gt_action": raw["gt_action"].strip(),
        "gt_input_text": NO_TEXT if text is None or not str(text).strip() else str(text),
    }
    return {**raw, **plain}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _short(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:40]!r}"
