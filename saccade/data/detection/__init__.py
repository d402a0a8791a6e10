"""Detection data in its native annotation format, read into rows that serve every box recipe (docs/detection-data.md).

    >>> rows = read("bccd")                                  # PASCAL VOC, told from what lies there
    >>> train, held_out = split(rows, held_out=0.2, seed=0)
    >>> rows[0]["id"], rows[0]["image"]
    ('BloodImage_00003', ['/.../JPEGImages/BloodImage_00003.jpg'])
    >>> rows[0]["objects"][0].box
    Box(x1=126.0, y1=39.0, x2=344.0, y2=226.0, frame=<Frame.PIXEL: 'pixel'>)

Every box is in `Frame.PIXEL` of the upright picture. A row that cannot be used holds its `fault` instead.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from saccade.core.sample import DataError
from saccade.data.detection import coco, deeppcb, forgery, points, screenspot, voc, yolo
from saccade.data.detection.pictures import Seen, existing
from saccade.data.detection.rows import Row
from saccade.data.detection.splitting import parted, split

FORMATS: dict[str, ModuleType] = {
    "voc": voc,
    "coco": coco,
    "yolo": yolo,
    "deeppcb": deeppcb,
    "points": points,
    "forgery": forgery,
    "screenspot": screenspot,
}

__all__ = ["FORMATS", "Seen", "format_of", "parted", "read", "read_boxes", "split"]


def read(folder: Path | str, *, form: str | None = None, part: str | None = None, **options: Any) -> list[Row]:
    """The rows of a folder in any of the FORMATS; `form` names it where several lie there, `part` as in each format.

    `options` are `seen`, `tolerance`, and what the format's own `read` takes. DataError where the folder is of no known
    format, or holds no rows of that part.
    """
    return FORMATS[format_of(folder, form=form)].read(folder, part=part, **options)


def read_boxes(folder: Path | str, **options: Any) -> list[Row]:
    """The rows of a folder for a detector: all that a picture shows of its labels has a box. `options` are those of `read`.

    DataError where that does not hold, as in ScreenSpot's records, which box one element of a screen, or where no row has
    a box.
    """
    rows, form = read(folder, **options), format_of(folder, form=options.get("form"))
    if form == "screenspot":
        why = "holds ScreenSpot's records, which box one element of a screen and no other of its kind"
        raise DataError(f"{folder} {why}: nothing to train a detector on; take a recipe for GUIs, such as gui_r1")
    if not any(row.get("objects") for row in rows):
        faults = [row["fault"] for row in rows if "fault" in row]
        also = f" ({len(faults)} of {len(rows)} rows cannot be used, the first: {faults[0]})" if faults else ""
        raise DataError(f"{folder} ({form}) has no boxes to find; detection needs labelled boxes{also}")
    return rows


def format_of(folder: Path | str, *, form: str | None = None) -> str:
    """The name of the format that a folder is in. DataError, saying what each format needs, where it is none or several."""
    if form is not None:
        if form not in FORMATS:
            raise DataError(f"there is no format {form!r}; there are {', '.join(FORMATS)}")
        return form
    root = existing(folder)
    found = [name for name, module in FORMATS.items() if module.is_here(root)]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(f"{root} looks like {' and like '.join(found)}; say which with form='{found[0]}'")
    have = ", ".join(sorted(path.name + "/" * path.is_dir() for path in root.iterdir())[:8]) or "nothing"
    needs = "; ".join(module.NEEDS for module in FORMATS.values())
    raise DataError(f"{root} holds no annotations that can be read: it has {have}. {needs}")
