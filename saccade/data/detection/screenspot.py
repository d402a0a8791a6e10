"""ScreenSpot's records: a screenshot, an instruction, and the element to act on.

    folder/screenspot_*.json     [{"img_filename": "a.png", "instruction": "Click the button.", "bbox": [48, 154, 126, 126],
                                   "data_type": "text", "data_source": "miniwob/click-test"}, ...]
    folder/images/a.png          or screenspot_imgs/, or beside the file

    >>> row = read(folder)[0]
    >>> row["instruction"], row["objects"]
    ('Click the button.', (Annotation(label='text', box=Box(x1=48.0, y1=154.0, x2=174.0, y2=280.0, ...), ...),))

`bbox` is x, y, width, height in edge coordinates. A screenshot may stand in many records, so ids are stem and place:
`click-test_001/0`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from saccade.core.sample import DataError
from saccade.data.detection.annotation import Raw, number, shortened, text_of
from saccade.data.detection.pictures import Seen, existing, shown
from saccade.data.detection.rows import TOLERANCE, Row, guarded, row, unique
from saccade.data.detection.writing import checked, hold_inside, plain, put
from saccade.data.fresh import fresh

NEEDS = "ScreenSpot: a .json list of records with img_filename, instruction and bbox"
_PICTURE_FOLDERS = ("images", "screenspot_imgs", "imgs", ".")
_COLUMNS = ("img_filename", "instruction", "bbox", "data_type")


def is_here(folder: Path) -> bool:
    """Whether a folder looks like ScreenSpot."""
    return bool(_files(folder))


def read(
    folder: Path | str, *, part: str | None = None, seen: Seen | str = Seen.UPRIGHT, tolerance: float = TOLERANCE
) -> list[Row]:
    """The records of every file, in order; `part` names one of several files. Other columns are kept in `more`.

    Faults, each in its row: a record without a picture or instruction, a box that is not four numbers or without area.
    """
    folder = existing(folder)
    rows = []
    for path in _files(folder):
        try:
            records = json.loads(text_of(path))
        except (ValueError, RecursionError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path} is not JSON: {error}") from None
        for place, record in enumerate(records):
            name = record.get("img_filename") if isinstance(record, Mapping) else None
            id_ = f"{Path(name).stem if isinstance(name, str) else path.stem}/{place}"
            made = guarded(id_, partial(_row, id_, record, folder, f"{path} record {place}", Seen(seen), tolerance))
            rows.append({**made, "part": path.stem.removeprefix("screenspot_")})
    return unique(rows, part, folder)


def write(folder: Path | str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Writes rows in order, one file per part; each picture once. Their ids must be those that reading will give."""
    checked(rows)
    files: dict[str, list[dict[str, Any]]] = {}
    names: dict[Any, Any] = {}
    with fresh(folder) as inside:
        for each in rows:
            records = files.setdefault(each["part"], [])
            stem, _, place = each["id"].rpartition("/")
            if len(each["objects"]) != 1 or place != str(len(records)) or not stem or "/" in stem:
                raise DataError(f"row {each['id']}: a record has one object, and an id of screenshot/place")
            image = each["image"][0]
            if names.setdefault(stem, image) != image:
                raise DataError(f"row {each['id']}: two screenshots have the stem {stem!r}")
            picture = put(image, inside / "images" / stem)
            hold_inside(each, picture)
            box = each["objects"][0].box
            bbox = [json.loads(plain(side)) for side in (box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1)]
            record = {"img_filename": picture.path.name, "instruction": each["instruction"], "bbox": bbox}
            records.append({**record, "data_type": each["objects"][0].label, **each.get("more", {})})
        for part, records in files.items():
            text = json.dumps(records, ensure_ascii=False, indent=1)
            (inside / f"screenspot_{part}.json").write_text(text, encoding="utf-8")
    return Path(folder)


def _row(id_: str, record: Any, folder: Path, where: str, seen: Seen, tolerance: float) -> Row:
    if not isinstance(record, Mapping):
        raise DataError(f"{where} must be an object, got {shortened(record)}")
    name, instruction, bbox, kind = (record.get(column) for column in _COLUMNS)
    for column, value in (("img_filename", name), ("instruction", instruction), ("data_type", kind)):
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"{where} has no {column}")
    places = [folder / place / name for place in _PICTURE_FOLDERS]
    picture = shown(next((path for path in places if path.is_file()), places[0]), seen)
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise DataError(f"{where}: bbox must be x, y, width, height, got {shortened(bbox)}")
    x, y, width, height = (number(side, f"{where} bbox") for side in bbox)
    if width <= 0 or height <= 0:
        raise DataError(f"{where}: bbox {bbox} has no area, and there would be nothing to act on")
    raw = Raw(label=kind.strip(), corners=(x, y, x + width, y + height), where=where)
    more = {column: value for column, value in record.items() if column not in _COLUMNS}
    return row(id_, [picture], [raw], tolerance=tolerance, instruction=instruction, more=more)


def _files(folder: Path) -> list[Path]:
    """Lists whose first record names a screenshot."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            with path.open(encoding="utf-8-sig", errors="replace") as file:
                head = file.read(4096)
        except OSError:
            continue
        if head.lstrip().startswith("[") and '"img_filename"' in head:
            found.append(path)
    return found
