"""Rows out of raw boxes: held against the real picture, turned upright, cut at its edges; what was mended is named.

    {"id": "BloodImage_00003", "part": "", "image": ["/.../BloodImage_00003.jpg"], "size": (640, 480),
     "objects": (Annotation("WBC", Box(126.0, 39.0, 344.0, 226.0, Frame.PIXEL)), ...), "noise": ()}
    {"id": "BloodImage_00099", "part": "", "fault": ".../BloodImage_00099.xml declares 480x640 pixels, but ..."}

A row with a `fault` is for `ask` to refuse (`Task.from_rows` counts and names it); `noise` are sentences on single objects
that were cut or left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from saccade.core.picture import Box, Frame
from saccade.core.sample import DataError
from saccade.data.detection.annotation import Annotation, Mark, Outline, Raw
from saccade.data.detection.pictures import Shown

Row = dict[str, Any]

TOLERANCE = 2.0  # O pixels that a box may pass the edge by and is cut; more says that it belongs to another picture or size
_PARTS = ("train", "val", "test", "dev")  # a folder whose name begins so is a part: train2017, valid, testing


def row(
    id_: str, pictures: Sequence[Shown], raws: Iterable[Raw], *, tolerance: float, noise: Sequence[str] = (), **more: Any
) -> Row:
    """A good row. Boxes lie in the first picture. DataError where one passes its edges by more than `tolerance` pixels."""
    objects, mended = placed(pictures[0], raws, tolerance=tolerance)
    shown_as = {"image": [str(picture.path) for picture in pictures], "size": pictures[0].size}
    return {"id": id_, "part": part_of(id_), **shown_as, "objects": objects, "noise": (*noise, *mended), **more}


def guarded(id_: str, make: Callable[[], Row]) -> Row:
    """What `make` gives; a row with its fault where that raises DataError."""
    try:
        return make()
    except DataError as error:
        return faulty(id_, str(error))
    except OSError as error:  # a name that no disk takes, a folder that may not be read
        return faulty(id_, f"{id_}: {error.strerror or error}")


def faulty(id_: str, why: str) -> Row:
    """A row that cannot be used, and why."""
    return {"id": id_, "part": part_of(id_), "fault": why}


def unique(rows: Iterable[Row], part: str | None, folder: Path) -> list[Row]:
    """The rows of a part (None: all), a second one of the same id turned into a fault. DataError where there are none."""
    rows = list(rows)
    chosen = [each for each in rows if part is None or each["part"] == part]
    if not rows:
        raise DataError(f"{folder} holds no annotated pictures")
    if not chosen:
        parts = ", ".join(repr(name) for name in sorted({each["part"] for each in rows}))
        raise DataError(f"{folder} has no part {part!r}; it has: {parts}")
    seen: set[str] = set()
    for place, each in enumerate(chosen):
        if each["id"] in seen:
            why = f"id {each['id']!r} stands twice in {folder}; ids must be unique"
            chosen[place] = {"id": f"{each['id']} (again, row {place})", "part": each["part"], "fault": why}
        seen.add(chosen[place]["id"])
    return chosen


def id_of(path: Path, folder: Path, *, without: Sequence[str]) -> str:
    """`train/labels/a.txt` -> `train/a`: the way to a file, without the folders that only the format wants."""
    inside = path.relative_to(folder)
    names = [name for name in inside.parent.parts if name.lower() not in without]
    return str(PurePosixPath(*names, inside.stem))


def part_of(id_: str) -> str:
    """The first folder of an id that is named like a part of a data set, "" where none is."""
    return next((name for name in id_.split("/")[:-1] if name.lower().startswith(_PARTS)), "")


def placed(picture: Shown, raws: Iterable[Raw], *, tolerance: float = TOLERANCE) -> tuple[tuple[Annotation, ...], list[str]]:
    """The objects in pixels of the upright picture, and a sentence on each that was cut or left out."""
    objects, noise = [], []
    width, height = picture.extent
    for raw in raws:
        x1, y1, x2, y2 = raw.corners
        if x2 <= x1 or y2 <= y1:
            noise.append(f"{raw.where} ({raw.label}) has no area and is left out: {_plain(raw.corners)}")
            continue
        beyond = max(-x1, -y1, x2 - width, y2 - height)
        if beyond > tolerance:
            raise DataError(
                f"{raw.where} ({raw.label}) passes the edge of the {width}x{height} picture by {beyond:g} pixels: "
                f"{_plain(raw.corners)}; at most {tolerance:g} are cut off, as it belongs to another picture or size"
            )
        x1, y1, x2, y2 = max(0.0, x1), max(0.0, y1), min(float(width), x2), min(float(height), y2)
        if x2 <= x1 or y2 <= y1:
            noise.append(f"{raw.where} ({raw.label}) lies outside and is left out: {_plain(raw.corners)}")
            continue
        if beyond > 1e-6:
            noise.append(f"{raw.where} ({raw.label}) was cut at the edge, which it passed by {beyond:g} pixels")
        (ax, ay), (bx, by) = picture.upright(x1, y1), picture.upright(x2, y2)
        box = Box(min(ax, bx), min(ay, by), max(ax, bx), max(ay, by), Frame.PIXEL)
        outline = _turned(picture, raw)
        objects.append(Annotation(raw.label, box, flags=raw.flags, outline=outline, area=raw.area))
    return tuple(objects), noise


def placed_points(
    picture: Shown, points: Iterable[tuple[float, float, str, str]], *, tolerance: float = TOLERANCE
) -> tuple[tuple[Mark, ...], list[str]]:
    """The same for points (x, y, label, where). One that stands twice stays, and is named."""
    marks, noise, seen = [], [], set()
    width, height = picture.extent
    for x, y, label, where in points:
        beyond = max(-x, -y, x - width, y - height)
        if beyond > tolerance:
            raise DataError(
                f"{where} ({x:g}, {y:g}) lies {beyond:g} pixels outside the {width}x{height} picture, at most {tolerance:g} "
                "are mended; it belongs to another picture or size"
            )
        if beyond > 0:
            noise.append(f"{where} ({x:g}, {y:g}) was moved to the edge")
        mark = Mark(*picture.upright(min(max(x, 0.0), width), min(max(y, 0.0), height)), Frame.PIXEL, label=label)
        if mark in seen:
            noise.append(f"{where} ({x:g}, {y:g}) stands twice")
        seen.add(mark)
        marks.append(mark)
    return tuple(marks), noise


def _turned(picture: Shown, raw: Raw) -> Outline:
    if not picture.is_turned or raw.outline is None:
        return raw.outline
    if not isinstance(raw.outline, tuple):
        raise DataError(f"{raw.where}: its mask was made on the stored picture, which is not upright; save both upright")
    rings = []
    for ring in raw.outline:
        turned = [picture.upright(x, y) for x, y in zip(ring[::2], ring[1::2], strict=True)]
        rings.append(tuple(side for place in turned for side in place))
    return tuple(rings)


def _plain(corners: tuple[float, ...]) -> str:
    return ", ".join(f"{corner:g}" for corner in corners)
