"""Reads the published on-disk format of Vision-R1 (Griffon): parquet files with one localisation problem per row (specs/vision_r1_griffon.md 2.2).

    folder/train-00000-of-00001.parquet, or below folder/data        # I further sets are told from their files' names

    >>> rows = read(folder, "train")                    # 1 to 30 objects, as the released loader keeps
    >>> rows[0]["problem"], rows[0]["objects"]
    ('Look for objects. The category set includes 7, red.', (Labelled(label='7', box=Box(18.0, 45.0, 60.0, 90.0, 'pixel')),))
    >>> read(folder, "train", least=10)                 # its --hard
    >>> read(folder, "train", least=0)                  # with the negatives, which show nothing of what they ask for

    >>> rows = detection.read("bccd")                   # any annotated pictures
    >>> from_annotations(rows, categories(rows))        # as rows that ask for all categories (COCO)
    >>> one_by_one(rows)                                # and for each that a picture shows, alone (ODinW)

A row's columns are problem, image, solution (JSON: [[class, [x1, y1, x2, y2]], ...]), width and height (of the picture that these
boxes count pixels of), num_instances, target_id_maps (JSON: class -> number from 1).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from saccade.core.picture import Box, Frame, Labelled, Picture, PictureError
from saccade.core.sample import DataError
from saccade.data import parquet

COLUMNS = ("problem", "image", "solution", "width", "height", "num_instances")
LEAST, MOST, HARD = 1, 30, 10  # C objects of the rows that are kept, and of those that --hard keeps
# The three kinds of problems: our sentences around the marks by which the released loader tells them.  # C marks
PROBLEMS: Mapping[str, str] = {
    "detection": "Look for objects. The category set includes {names}.",
    "grounding": "Give the exact position of {names} in the picture.",
    "referring": "Please point out the {names} in the image.",
}
_SHARD = re.compile(r"(?P<split>.+?)(?:-\d{5}-of-\d{5}(?:-[0-9a-f]+)?)?")
_ASPECT = 0.02  # O by how much the stored picture's shape may differ from the stated one: rounding of a resized picture


def is_published(folder: Path | str) -> bool:
    """Whether the folder is to be read by `read`: it holds parquet files, or is not there, as `read` then says."""
    return not Path(folder).is_dir() or any(_parquets(Path(folder)))


def files(folder: Path | str) -> dict[str, list[Path]]:
    """The parquet files of each set, by its name ("train", ...). DataError where the folder has none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"data folder {folder} {'is a file, not a folder' if folder.exists() else 'does not exist'}")
    found: dict[str, list[Path]] = {}
    for path in _parquets(folder):
        match = _SHARD.fullmatch(path.stem)
        found.setdefault(match["split"] if match else path.stem, []).append(path)
    if not found:
        raise DataError(f"{folder} has no *.parquet and no data/*.parquet")
    return found


def read(folder: Path | str, split: str, *, least: int = LEAST, most: int = MOST) -> list[dict[str, Any]]:
    """The rows of a set that have `least` to `most` objects, each with id, split, problem, picture and objects.

    `objects` are Labelled in pixels of the stored picture, cut at its edges. Their number is that of the solution; the
    column num_instances only decides whether a row is kept, as in the released loader. A row that makes no sense comes out as
    {id, fault}, for the recipe to refuse. DataError, naming what there is, when there is no such set.
    """
    have = files(folder)
    if split not in have:
        raise DataError(f"{folder} has no {split} set; it has: {', '.join(have)}")
    return list(_rows(have[split], split, least=least, most=most))


def categories(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of all objects of rows of `saccade.data.detection`. DataError where one cannot stand in a list."""
    names = sorted({thing.label for row in rows for thing in _wanted(row)})
    if held := [name for name in names if "," in name]:
        raise DataError(f"categories are listed with commas, and {held[0]!r} has one; rename it")
    return tuple(names)


def from_annotations(
    rows: Iterable[Mapping[str, Any]], names: Sequence[str], *, least: int = 0, most: int = 10_000
) -> list[dict[str, Any]]:
    """Rows of `saccade.data.detection` as rows of this data set: each asks for all these categories (COCO's way).

    Objects flagged difficult or crowd are no target. Faults are passed on. Rows with fewer or more objects are left out.
    """
    problem = PROBLEMS["detection"].format(names=", ".join(names))
    asked = (_asked(row, row["id"], problem, _wanted(row)) if "fault" not in row else dict(row) for row in rows)
    return [row for row in asked if "fault" in row or least <= len(row["objects"]) <= most]


def one_by_one(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The same for one category at a time: a row for every picture and category that it shows (ODinW's way, # C --single --pos)."""
    made: list[dict[str, Any]] = []
    for row in rows:
        if "fault" in row:
            made.append(dict(row))
            continue
        for name in sorted({thing.label for thing in _wanted(row)}):
            problem = PROBLEMS["grounding"].format(names=name)
            made.append(_asked(row, f"{row['id']}/{name}", problem, [t for t in _wanted(row) if t.label == name]))
    return made


def _parquets(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.parquet"), *folder.glob("data/*.parquet")])


def _wanted(row: Mapping[str, Any]) -> list[Labelled]:
    """The plain objects of a row of annotations that are targets."""
    things = row.get("objects", ())
    return [Labelled(t.label, t.box) for t in things if not {"difficult", "crowd"} & {*getattr(t, "flags", ())}]


def _asked(row: Mapping[str, Any], row_id: str, problem: str, things: Sequence[Labelled]) -> dict[str, Any]:
    plain = {"id": row_id, "split": row.get("part", "")}
    try:
        picture = Picture.open(row["image"][0])
    except PictureError as error:
        return {**plain, "fault": str(error)}
    return {**plain, "problem": problem, "picture": picture, "objects": tuple(things)}


def _rows(paths: list[Path], split: str, *, least: int, most: int) -> Iterator[dict[str, Any]]:
    number = 0
    for path in paths:
        for raw in parquet.rows(path, needs=COLUMNS):
            row_id, number = f"{split}-{number:05d}", number + 1
            try:
                if least <= _count(raw["num_instances"]) <= most:
                    yield {"id": row_id, "split": split, **_plain(raw, beside=path.parent)}
            except (DataError, PictureError) as error:
                yield {"id": row_id, "split": split, "fault": str(error)}


def _plain(raw: Mapping[str, Any], *, beside: Path) -> dict[str, Any]:
    if not isinstance(raw["problem"], str):
        raise DataError(f"the problem must be text, got {type(raw['problem']).__name__}")
    picture = parquet.picture(raw["image"], beside=beside)
    scale = _scale(picture, width=raw["width"], height=raw["height"])
    objects = tuple(_object(item, picture, scale) for item in _listed(raw["solution"]))
    return {"problem": raw["problem"], "picture": picture, "objects": objects}


def _count(value: Any) -> int:
    """The number of instances; it stands there as a number or as text. # C int(...)"""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):  # the last: infinity
        raise DataError(f"num_instances must be a whole number, got {value!r}") from None


def _scale(picture: Picture, *, width: Any, height: Any) -> tuple[float, float]:
    """By how much the stored picture is larger than the one that the boxes were drawn on."""
    if not all(isinstance(side, int) and side > 0 for side in (width, height)):
        raise DataError(f"width and height must be whole numbers above 0, got {width!r} and {height!r}")
    x, y = picture.size[0] / width, picture.size[1] / height
    if abs(x / y - 1) > _ASPECT:
        stored = "x".join(map(str, picture.size))
        raise DataError(f"the picture is {stored} but width and height say {width}x{height}: another shape, so boxes do not fit it")
    return x, y


def _listed(solution: Any) -> list[Any]:
    try:
        items = json.loads(solution)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"the solution is not JSON: {error}") from None
    if not isinstance(items, list):
        raise DataError(f"the solution must be a list of [class, box], got {type(items).__name__}")
    return items


def _object(item: Any, picture: Picture, scale: tuple[float, float]) -> Labelled:
    is_pair = isinstance(item, list) and len(item) == 2 and isinstance(item[0], str) and item[0].strip()
    if not (is_pair and isinstance(item[1], list) and len(item[1]) == 4 and all(map(_is_number, item[1]))):
        raise DataError(f"an object must be [class, [x1, y1, x2, y2]], got {str(item)[:80]}")
    (width, height), (sx, sy) = picture.size, scale
    x1, x2 = (min(max(float(v) * sx, 0.0), float(width)) for v in item[1][::2])
    y1, y2 = (min(max(float(v) * sy, 0.0), float(height)) for v in item[1][1::2])
    if x1 >= x2 or y1 >= y2:
        raise DataError(f"the box {item[1]} of {item[0]!r} has no area in the picture of {width}x{height}")
    return Labelled(item[0].strip(), Box(x1, y1, x2, y2, Frame.PIXEL))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e9  # NaN compares false
