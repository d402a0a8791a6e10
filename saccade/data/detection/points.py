"""Point sets: a CSV of points per picture, as the Urban Tree Detection Data has them.

    folder/csv/chico_2020_1.csv             header x,y (or x,y,label), then a point per line
    folder/images_rgb/chico_2020_1.jpg      or images/

    >>> read(folder, label="tree")[0]["points"][0]
    Mark(x=20.0, y=191.0, frame=<Frame.PIXEL: 'pixel'>, label='tree')

A picture without a CSV shows nothing. Points are taken as written: no half pixel is added, as files do not say whether they
count pixels or edges. They have no boxes; rows hold `points` and empty `objects`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from saccade.core.picture import Frame
from saccade.core.sample import DataError
from saccade.data.detection.annotation import number, text_of
from saccade.data.detection.pictures import Seen, Shelf, existing, shown
from saccade.data.detection.rows import TOLERANCE, Row, faulty, guarded, placed_points, row, unique
from saccade.data.detection.writing import checked, plain, put
from saccade.data.fresh import fresh

NEEDS = "points: .csv files with the columns x,y in csv/, pictures in images_rgb/ or images/"
_PICTURE_FOLDERS = ("images_rgb", "images")


def is_here(folder: Path) -> bool:
    """Whether a folder looks like a point set."""
    return any((folder / "csv").glob("*.csv"))


def read(
    folder: Path | str,
    *,
    part: str | None = None,
    seen: Seen | str = Seen.UPRIGHT,
    tolerance: float = TOLERANCE,
    label: str = "",
) -> list[Row]:
    """The rows of all pictures, by name; `label` names the points of files that have no column for it.

    Faults, each in its row: other columns, a line that is not numbers, a point outside, a CSV without a picture.
    """
    folder, shelf = existing(folder), Shelf()
    pictures = next((found for name in _PICTURE_FOLDERS if (found := folder / name).is_dir()), None)
    if pictures is None:
        raise DataError(f"{folder} has no folder {' or '.join(_PICTURE_FOLDERS)}")
    stems = shelf.stems(pictures)
    rows = [guarded(stem, partial(_row, stem, folder, pictures, shelf, Seen(seen), tolerance, label)) for stem in stems]
    for path in sorted((folder / "csv").glob("*.csv")):
        if path.stem not in stems:
            rows.append(faulty(path.stem, f"annotation {path} has no picture {path.stem}.* in {pictures}"))
    return unique(rows, part, folder)


def write(folder: Path | str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Writes rows as images/<id> and csv/<id>.csv; a picture without points gets no CSV."""
    checked(rows)
    with fresh(folder) as inside:
        (inside / "csv").mkdir()
        (inside / "images").mkdir()
        for each in rows:
            if "/" in each["id"] or each.get("objects"):
                raise DataError(f"row {each['id']}: a point set has neither folders of pictures nor boxes")
            put(each["image"][0], inside / "images" / each["id"])
            if any(mark.frame != Frame.PIXEL for mark in each["points"]):
                raise DataError(f"row {each['id']} has points in another frame; convert them through their Picture")
            has_labels = any(mark.label for mark in each["points"])
            if not each["points"]:
                continue
            with (inside / "csv" / f"{each['id']}.csv").open("w", encoding="utf-8", newline="") as file:
                lines = csv.writer(file, lineterminator="\n")
                lines.writerow(("x", "y", "label") if has_labels else ("x", "y"))
                for mark in each["points"]:
                    lines.writerow((plain(mark.x), plain(mark.y), *([mark.label] if has_labels else [])))
    return Path(folder)


def _row(stem: str, folder: Path, pictures: Path, shelf: Shelf, seen: Seen, tolerance: float, label: str) -> Row:
    picture = shown(shelf.find(stem, [pictures]), seen)
    path = folder / "csv" / f"{stem}.csv"
    points = _points(path, label) if path.is_file() else []
    marks, noise = placed_points(picture, points, tolerance=tolerance)
    return row(stem, [picture], (), tolerance=tolerance, noise=noise, points=marks)


def _points(path: Path, label: str) -> list[tuple[float, float, str, str]]:
    try:
        lines = list(csv.reader(text_of(path).splitlines(), strict=True))
    except csv.Error as error:
        raise DataError(f"annotation {path} is not CSV: {error}") from None
    header = [name.strip().lower() for name in lines[0]] if lines else []
    if header not in (["x", "y"], ["x", "y", "label"]):
        got = ",".join(header) or "nothing"
        raise DataError(f"annotation {path} must begin with the columns x,y or x,y,label, got {got}")
    points = []
    for place, line in enumerate(lines[1:], start=2):
        where = f"{path} line {place}"
        if not line:
            continue
        if len(line) != len(header):
            raise DataError(f"{where} has {len(line)} columns, the header {len(header)}")
        points.append((number(line[0], where), number(line[1], where), line[2].strip() if len(line) > 2 else label, where))
    return points
