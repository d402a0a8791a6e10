"""DeepPCB: a board under test, its defect-free template, and a text file of defects.

    folder/list.txt (trainval.txt, test.txt)            "group00041/00041/00041000.jpg group00041/00041_not/00041000.txt"
    folder/group00041/00041/00041000_test.jpg, 00041000_temp.jpg
    folder/group00041/00041_not/00041000.txt            "466 441 493 470 3", by spaces or commas

    >>> read(folder)[0]["image"], read(folder)[0]["objects"][0].label
    (['.../00041000_test.jpg', '.../00041000_temp.jpg'], 'mousebite')

Boxes lie in the first picture, the board under test; the template is aligned with it. Corners are taken as edges.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from saccade.core.sample import DataError
from saccade.data.detection.annotation import Raw, number, text_of
from saccade.data.detection.pictures import Seen, existing, shown
from saccade.data.detection.rows import TOLERANCE, Row, guarded, row, unique
from saccade.data.detection.writing import checked, hold_inside, plain, put
from saccade.data.fresh import fresh

NEEDS = "DeepPCB: a list.txt, trainval.txt or test.txt of lines 'a.jpg a.txt'"
TYPES = {1: "open", 2: "short", 3: "mousebite", 4: "spur", 5: "copper", 6: "pin-hole"}  # the data set's own numbers
_LINE = re.compile(r"(\S+)\.jpg\s+(\S+\.txt)\s*")


def is_here(folder: Path) -> bool:
    """Whether a folder looks like DeepPCB."""
    return bool(_lists(folder))


def read(
    folder: Path | str, *, part: str | None = None, seen: Seen | str = Seen.UPRIGHT, tolerance: float = TOLERANCE
) -> list[Row]:
    """The rows of every list, in its order; `part` names one of several lists ("trainval", "test"). Ids are file stems.

    Faults, each in its row: a picture of the pair that is missing or of another size, a line that is not five numbers, an
    unknown type.
    """
    folder = existing(folder)
    rows = []
    for path in _lists(folder):
        name = "" if path.stem == "list" else path.stem
        for place, line in enumerate(text_of(path, what="list").splitlines(), start=1):
            if line.strip():
                make = partial(_row, folder, line, f"{path} line {place}", Seen(seen), tolerance)
                rows.append(guarded(_stem(line) or f"{path.name} line {place}", make) | {"part": name})
    return unique(rows, part, folder)


def write(folder: Path | str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Writes rows of two pictures each (under test, template) in one group, with a list per part."""
    checked(rows, pictures=2)
    numbers = {name: number_ for number_, name in TYPES.items()}
    lists: dict[str, list[str]] = {}
    with fresh(folder) as inside:
        (inside / "group" / "group_not").mkdir(parents=True)
        for each in rows:
            if "/" in each["id"] or " " in each["id"]:
                raise DataError(f"id {each['id']!r} cannot stand in a DeepPCB list; take away its spaces and folders")
            unknown = sorted({thing.label for thing in each["objects"]} - numbers.keys())
            if unknown:
                raise DataError(f"row {each['id']}: DeepPCB has no type {unknown[0]!r}; it has {', '.join(numbers)}")
            stem = f"group/group/{each['id']}"
            for image, mark in zip(each["image"], ("test", "temp"), strict=True):
                hold_inside(each, _jpeg(put(image, inside / f"{stem}_{mark}")))
            text = "".join(f"{_corners(thing.box)} {numbers[thing.label]}\n" for thing in each["objects"])
            (inside / "group" / "group_not" / f"{each['id']}.txt").write_text(text, encoding="utf-8")
            lists.setdefault(each.get("part", ""), []).append(f"{stem}.jpg group/group_not/{each['id']}.txt\n")
        for part, lines in lists.items():
            (inside / f"{part or 'list'}.txt").write_text("".join(lines), encoding="utf-8")
    return Path(folder)


def _row(folder: Path, line: str, where: str, seen: Seen, tolerance: float) -> Row:
    found = _LINE.fullmatch(line.strip())
    if found is None:
        raise DataError(f"{where} must be a picture and its annotation, got {line.strip()!r:.60}")
    test, template = (shown(folder / f"{found[1]}_{mark}.jpg", seen) for mark in ("test", "temp"))
    if test.size != template.size:
        raise DataError(f"{where}: the template has {template.size} pixels, the board under test {test.size}; align them")
    path = folder / found[2]
    lines = text_of(path).splitlines()
    raws = [_raw(each, f"{path} line {place}") for place, each in enumerate(lines, start=1) if each.strip()]
    return row(_stem(line), [test, template], raws, tolerance=tolerance)


def _raw(line: str, where: str) -> Raw:
    values = [number(word, where) for word in re.split(r"[\s,]+", line.strip())]
    if len(values) != 5:
        raise DataError(f"{where} must be x1 y1 x2 y2 type, got {len(values)} numbers")
    if values[4] not in TYPES:
        raise DataError(f"{where} is of type {values[4]:g}; there are 1 to 6 ({', '.join(TYPES.values())})")
    return Raw(label=TYPES[int(values[4])], corners=tuple(values[:4]), where=where)


def _jpeg(picture: Any) -> Any:
    if picture.path.suffix != ".jpg":
        raise DataError(f"DeepPCB's pictures are .jpg, got {picture.path.name}; save it as JPEG first")
    return picture


def _corners(box: Any) -> str:
    return " ".join(plain(side) for side in (box.x1, box.y1, box.x2, box.y2))


def _stem(line: str) -> str:
    found = _LINE.fullmatch(line.strip())
    return found[1].rpartition("/")[2] if found else ""


def _lists(folder: Path) -> list[Path]:
    """The text files at the top whose first line names a picture and an annotation."""
    found = []
    for path in sorted(folder.glob("*.txt")):
        try:
            first = text_of(path).lstrip().partition("\n")[0]
        except DataError:
            continue
        if _LINE.fullmatch(first.strip()):
            found.append(path)
    return found
