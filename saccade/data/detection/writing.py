"""What the writers share: pictures put in their places, and refusals.

Rows for a writer are rows as the readers give them; "image" may hold `Picture`s beside paths (what a miniature draws). A
file is copied byte for byte, a Picture in memory is saved as PNG. What a format has no field for is refused, not dropped.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saccade.core.picture import Frame, Labelled, Picture, PictureError
from saccade.core.sample import DataError
from saccade.data.detection.annotation import Annotation
from saccade.data.detection.pictures import Seen, Shown, shown

_ID = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[^\\:*?\"<>|\x00-\x1f/]+(?:/[^\\:*?\"<>|\x00-\x1f/]+)*")


def put(image: str | Path | Picture, stem: Path) -> Shown:
    """Puts a picture where `stem` says, with the suffix of its own file, or .png."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(image, Picture) and image.path is None:
        path = stem.with_name(f"{stem.name}.png")
        image.image.save(path)
    else:
        source = Path(image.path if isinstance(image, Picture) else image)
        path = stem.with_name(f"{stem.name}{source.suffix}")
        try:
            shutil.copyfile(source, path)
        except OSError as error:
            raise PictureError(f"picture {source} cannot be copied: {error.strerror}") from None
    return shown(path, Seen.UPRIGHT)


def checked(rows: Sequence[Mapping[str, Any]], *, keeps: Sequence[str] = (), pictures: int = 1) -> None:
    """DataError where rows cannot be written and read again as they are.

    `keeps` names the flags that the format has a field for, and "outline" and "area" where it has these.
    """
    seen = set()
    for row in rows:
        id_ = row["id"]
        if "fault" in row:
            raise DataError(f"row {id_} has a fault and cannot be written: {row['fault']}")
        if not _ID.fullmatch(id_) or id_ in seen:
            why = "stands twice" if id_ in seen else "cannot be a file name"
            raise DataError(f"id {id_!r} {why}; give each row its own plain name")
        seen.add(id_)
        if len(row["image"]) != pictures:
            raise DataError(f"row {id_} has {len(row['image'])} pictures; the format holds {pictures}")
        for thing in row.get("objects", ()):
            _check_object(thing, f"row {id_}", keeps)


def hold_inside(row: Mapping[str, Any], picture: Shown) -> None:
    """DataError where an object passes the edge of the picture: reading would cut it."""
    width, height = picture.size
    for thing in row.get("objects", ()):
        box = thing.box
        if not (0 <= box.x1 < box.x2 <= width and 0 <= box.y1 < box.y2 <= height):
            raise DataError(f"row {row['id']}: {box} has no area inside its {width}x{height} picture")


def plain(value: float) -> str:
    """A number as short as it can be said without loss."""
    value = round(value, 9)
    return str(int(value)) if value == int(value) else repr(value)


def _check_object(thing: Labelled, where: str, keeps: Sequence[str]) -> None:
    if thing.box.frame != Frame.PIXEL:
        raise DataError(f"{where} has a box in the '{thing.box.frame}' frame; convert it to pixels through its Picture")
    if not thing.label or thing.label != thing.label.strip() or not thing.label.isprintable():
        raise DataError(f"{where} has the label {thing.label!r}; labels are one line of text without spaces around it")
    if not isinstance(thing, Annotation):
        return
    has = [*thing.flags, *(name for name in ("outline", "area") if getattr(thing, name) is not None)]
    lost = [name for name in has if name not in keeps]
    if lost:
        raise DataError(f"{where}: the format has no place for {', '.join(lost)}; leave it out, or write COCO")
