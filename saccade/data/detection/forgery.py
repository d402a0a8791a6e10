"""Forgeries with masks: folders like CASIA's, and a line of JSON per picture.

    folder/list.jsonl      {"image": "Tp/a.jpg", "label": "tampered", "type": "splicing", "mask": "Gt/a_gt.png",
                            "bbox": [460, 217, 565, 287], ...}
    folder/Au, folder/Tp, folder/Gt

    >>> read(folder)[60]["objects"]
    (Annotation(label='splicing', box=Box(x1=460.0, ...), outline='/.../Gt/a_gt.png'),)

The box is the edges of the pasted area. The mask stays a file; that it is there and of the picture's size is checked,
and its path is also the row's `masks`. Other columns are kept in `more`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from saccade.core.picture import Picture
from saccade.core.sample import DataError
from saccade.data.detection.annotation import Raw, number, shortened, text_of
from saccade.data.detection.pictures import Seen, existing, shown
from saccade.data.detection.rows import TOLERANCE, Row, guarded, row, unique
from saccade.data.detection.writing import checked, hold_inside, plain, put
from saccade.data.fresh import fresh

NEEDS = "forgeries: a list.jsonl with image, label, type, mask and bbox"
_COLUMNS = ("image", "label", "type", "mask", "bbox")


def is_here(folder: Path) -> bool:
    """Whether a folder looks like such a set."""
    return (folder / "list.jsonl").is_file()


def read(
    folder: Path | str, *, part: str | None = None, seen: Seen | str = Seen.UPRIGHT, tolerance: float = TOLERANCE
) -> list[Row]:
    """The rows of the list, in its order, each with `label` ("authentic", "tampered"), `masks` and `more`. Ids are stems.

    Faults, each in its row: a line that is not JSON, no label, a mask that is missing or of another size, a box without a
    mask or the other way round.
    """
    folder = existing(folder)
    path = folder / "list.jsonl"
    rows = []
    for place, line in enumerate(text_of(path, what="list").splitlines(), start=1):
        if line.strip():
            rows.append(_of_line(line, folder, f"{path} line {place}", Seen(seen), tolerance))
    return unique(rows, part, folder)


def write(folder: Path | str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Writes rows as Au/ or Tp/, Gt/ and list.jsonl; an object's outline is the path of a mask, or a Picture of it."""
    checked(rows, keeps=("outline",))
    lines = []
    with fresh(folder) as inside:
        for each in rows:
            things, label = each["objects"], each["label"]
            if len(things) > 1 or bool(things) != (label == "tampered") or "/" in each["id"]:
                raise DataError(f"row {each['id']}: a forgery has a plain id, and one object when tampered, else none")
            picture = put(each["image"][0], inside / ("Tp" if things else "Au") / each["id"])
            hold_inside(each, picture)
            line = {"image": picture.path.relative_to(inside).as_posix(), "label": label}
            line |= {"type": None, "mask": None, "bbox": None}
            for thing in things:
                if not isinstance(thing.outline, str | Path | Picture):
                    raise DataError(f"row {each['id']}: the outline of a forgery is a mask, got {shortened(thing.outline)}")
                mask = put(thing.outline, inside / "Gt" / f"{each['id']}_gt")
                box = thing.box
                bbox = [json.loads(plain(side)) for side in (box.x1, box.y1, box.x2, box.y2)]
                line |= {"type": thing.label, "mask": mask.path.relative_to(inside).as_posix(), "bbox": bbox}
            lines.append(json.dumps({**line, **each.get("more", {})}, ensure_ascii=False) + "\n")
        (inside / "list.jsonl").write_text("".join(lines), encoding="utf-8")
    return Path(folder)


def _of_line(line: str, folder: Path, where: str, seen: Seen, tolerance: float) -> Row:
    try:
        body = json.loads(line)
    except (ValueError, RecursionError) as error:
        why = f"{where} is not JSON: {error}"
        return guarded(where.rpartition("/")[2], partial(_refuse, why))
    image = body.get("image") if isinstance(body, Mapping) else None
    if not isinstance(image, str) or not image:
        return guarded(where.rpartition("/")[2], partial(_refuse, f"{where} has no image"))
    return guarded(Path(image).stem, partial(_row, body, folder, where, seen, tolerance))


def _refuse(why: str) -> Row:
    raise DataError(why)


def _row(body: Mapping[str, Any], folder: Path, where: str, seen: Seen, tolerance: float) -> Row:
    picture = shown(folder / body["image"], seen)
    label, kind, mask, bbox = (body.get(name) for name in _COLUMNS[1:])
    if label not in ("authentic", "tampered"):
        raise DataError(f"{where}: label must be authentic or tampered, got {shortened(label)}")
    if [label == "tampered"] * 3 != [each is not None for each in (kind, mask, bbox)]:
        raise DataError(f"{where}: a tampered picture has a type, a mask and a bbox, an authentic one none of them")
    more = {name: value for name, value in body.items() if name not in _COLUMNS}
    raws, masks = [], ()
    if label == "tampered":
        masks = (str(_mask(folder, mask, picture.stored, where)),)
        if not isinstance(bbox, list) or len(bbox) != 4:
            raise DataError(f"{where}: bbox must be x1, y1, x2, y2, got {shortened(bbox)}")
        corners = tuple(number(side, f"{where} bbox") for side in bbox)
        raws.append(Raw(label=str(kind), corners=corners, where=where, outline=masks[0]))
    return row(picture.path.stem, [picture], raws, tolerance=tolerance, label=label, masks=masks, more=more)


def _mask(folder: Path, name: Any, size: tuple[int, int], where: str) -> Path:
    if not isinstance(name, str):
        raise DataError(f"{where}: mask must be a path, got {shortened(name)}")
    mask = shown(folder / name, Seen.STORED)
    if mask.stored != size:
        raise DataError(f"{where}: the mask {name} has {mask.stored} pixels, the picture {size}")
    return mask.path
