"""YOLO: one text file per picture, a line per object: class, centre x, centre y, width, height, as fractions of the picture.

    folder/data.yaml or classes.txt                        the class names, in the order of their numbers
    folder/images/train/a.jpg, folder/labels/train/a.txt   or train/images and train/labels, or each beside its picture

    >>> read(folder)[0]["objects"]                # "0 0.5 0.5 0.25 0.5" in a picture of 640 x 480
    (Annotation(label='cat', box=Box(x1=240.0, y1=120.0, x2=400.0, y2=360.0, frame=<Frame.PIXEL: 'pixel'>), ...),)

A line of a class and three or more points is an outline; its box bounds it. A picture without a text file, or with an
empty one, shows nothing, if the folder where its file would be is there: pictures whose labels are withheld are no rows.
Fractions cannot tell how a picture with an EXIF turn was seen; it is taken upright unless `seen` says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from saccade.core.sample import DataError
from saccade.data.detection.annotation import Raw, number, shortened, text_of
from saccade.data.detection.pictures import Seen, counterparts, existing, files_below, is_picture, shown
from saccade.data.detection.rows import TOLERANCE, Row, faulty, guarded, id_of, row, unique
from saccade.data.detection.writing import checked, hold_inside, put
from saccade.data.fresh import fresh

NEEDS = "YOLO: .txt files in labels/ or beside their pictures, and class names in data.yaml or classes.txt"
# A line as only YOLO has it: others write pixels.
_LINE = re.compile(r"\s*\d+(?:\.0+)?(?:\s+-?(?:[01]|[01]?\.\d+)(?:[eE][-+]?\d+)?){4,}\s*")
_LABELS, _IMAGES = ("labels",), ("images", "jpegimages")
_NAME_FILES = (
    *("data.yaml", "data.yml", "dataset.yaml", "classes.txt", "obj.names", "*.names"),
    *("*.yaml", "*.yml", "labels/classes.txt"),
)
_NOT_LABELS = ("classes.txt", "readme.txt", "requirements.txt")


def is_here(folder: Path) -> bool:
    """Whether a folder looks like YOLO: a line of it stands in one of the first text files that could hold one."""
    for path in _label_files(folder)[:20]:
        try:
            first = next((line for line in text_of(path).splitlines() if line.strip()), "")
        except DataError:
            continue
        if _LINE.fullmatch(first):
            return True
    return bool(_name_file(folder)) and any(path.is_dir() for path in (folder / "labels", *folder.glob("*/labels")))


def read(
    folder: Path | str,
    *,
    part: str | None = None,
    seen: Seen | str = Seen.UPRIGHT,
    tolerance: float = TOLERANCE,
    names: Sequence[str] | None = None,
) -> list[Row]:
    """The rows of all pictures, by path, or of one `part` ("train", "valid"); `names` in place of the folder's own file.

    DataError where there are no class names. Faults, each in its row: a line that is not five numbers or an outline, an
    unknown class number, a box that leaves the picture, labels without a picture.
    """
    folder = existing(folder)
    known = list(names) if names is not None else class_names(folder)
    rows, used = [], set()
    pictures = [path for path in files_below(folder) if is_picture(path)]
    of_labels: dict[Path, list[Path]] = {}
    stems = {path.with_suffix("") for path in pictures}
    labelled = {path.parent for path in _label_files(folder) if path.with_suffix("") in stems}
    for picture in pictures:
        labels = _labels_of(picture, folder)
        if labels.parent in labelled or labels.parent.is_dir() and labels.parent != picture.parent:
            of_labels.setdefault(labels, []).append(picture)
    for labels, same in of_labels.items():
        if len(same) > 1:
            why = f"{labels.parent} has one {labels.name} for {same[0].name} and {same[1].name}; which one is annotated?"
            rows.append(faulty(_id(same[0], folder), why))
        else:
            make = partial(_row, same[0], labels, folder, known, Seen(seen), tolerance)
            rows.append(guarded(_id(same[0], folder), make))
        used.add(labels)
    for path in _label_files(folder):
        if path not in used and "labels" in _inside(path, folder):
            rows.append(faulty(_id(path, folder), f"annotation {path} has no picture {path.stem}.* in images or beside it"))
    return unique(rows, part, folder)


def class_names(folder: Path) -> list[str]:
    """The class names that a folder declares. DataError where it declares none."""
    path = _name_file(folder)
    if path is None:
        raise DataError(f"{folder} has YOLO labels but no class names; add classes.txt with a name per line, or pass names=")
    if path.suffix not in (".yaml", ".yml"):
        names: Any = [line.strip() for line in text_of(path, what="class names").rstrip().splitlines()]
    else:
        names = _of_yaml(path)
    if not isinstance(names, list) or not all(map(_is_name, names)):
        bad = next((name for name in names if not _is_name(name)), names) if isinstance(names, list) else names
        allowed = "a list of names (no empty line; yes and no in quotes)"
        raise DataError(f"class names {path} must be {allowed}, got {shortened(bad)}")
    return [str(name).strip() for name in names]


def write(folder: Path | str, rows: Sequence[Mapping[str, Any]], *, names: Sequence[str] = ()) -> Path:
    """Writes rows as images/<id>, labels/<id>.txt and classes.txt: `names`, then those that rows add, sorted."""
    checked(rows, keeps=("outline",))
    labels = {thing.label for each in rows for thing in each["objects"]}
    order = [*names, *sorted(labels - set(names))]
    with fresh(folder) as inside:
        (inside / "labels").mkdir()
        for each in rows:
            picture = put(each["image"][0], inside / "images" / each["id"])
            hold_inside(each, picture)
            lines = [_line(order.index(thing.label), thing, picture.size) for thing in each["objects"]]
            path = inside / "labels" / f"{each['id']}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        (inside / "classes.txt").write_text("".join(f"{name}\n" for name in order), encoding="utf-8")
    return Path(folder)


def _row(path: Path, labels: Path, folder: Path, names: list[str], seen: Seen, tolerance: float) -> Row:
    picture = shown(path, seen)
    lines = text_of(labels).splitlines() if labels.is_file() else []
    numbered = [(f"{labels} line {place}", line) for place, line in enumerate(lines, start=1) if line.strip()]
    raws = [_raw(line, where, names, picture.extent) for where, line in numbered]
    return row(_id(path, folder), [picture], raws, tolerance=tolerance)


def _raw(line: str, where: str, names: list[str], extent: tuple[int, int]) -> Raw:
    values = [number(word, where) for word in line.split()]
    if len(values) != 5 and (len(values) < 7 or len(values) % 2 == 0):
        raise DataError(f"{where} must be a class and four numbers, or a class and three or more points; got {len(values)}")
    index, sides = values[0], values[1:]
    if index != int(index) or not 0 <= index < len(names):
        raise DataError(f"{where} is of class {index:g}; there are {len(names)}, from 0 ({', '.join(names[:10])})")
    if max(map(abs, sides)) > 2:
        raise DataError(f"{where} holds {max(sides, key=abs):g}; YOLO counts in fractions of the picture, not in pixels")
    width, height = extent
    label = names[int(index)]
    if len(sides) > 4:
        xs, ys = [x * width for x in sides[::2]], [y * height for y in sides[1::2]]
        ring = tuple(round(side, 6) for place in zip(xs, ys, strict=True) for side in place)
        return Raw(label=label, corners=(min(xs), min(ys), max(xs), max(ys)), where=where, outline=(ring,))
    x, y, w, h = sides
    corners = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
    return Raw(label=label, corners=corners, where=where)


def _line(index: int, thing: Any, size: tuple[int, int]) -> str:
    width, height = size
    outline, box = getattr(thing, "outline", None), thing.box
    if outline is None:
        centre = ((box.x1 + box.x2) / 2 / width, (box.y1 + box.y2) / 2 / height)
        sides = (*centre, (box.x2 - box.x1) / width, (box.y2 - box.y1) / height)
        return " ".join([str(index), *map(repr, map(float, sides))])
    if not isinstance(outline, tuple) or len(outline) != 1:
        raise DataError("YOLO holds outlines of one ring; leave the outline out, or write COCO")
    xs, ys = outline[0][::2], outline[0][1::2]
    if (min(xs), min(ys), max(xs), max(ys)) != (box.x1, box.y1, box.x2, box.y2):
        raise DataError(f"YOLO holds the outline alone, and {box} does not bound it; leave the outline out, or write COCO")
    return " ".join([str(index), *(repr(side / (height if place % 2 else width)) for place, side in enumerate(outline[0]))])


def _labels_of(picture: Path, folder: Path) -> Path:
    """Where a picture's labels are; where they would be when they are nowhere."""
    places = [place / f"{picture.stem}.txt" for place in counterparts(picture.parent, folder, _IMAGES, _LABELS)]
    return next((place for place in places if place.is_file()), places[min(1, len(places) - 1)])


def _inside(path: Path, folder: Path) -> list[str]:
    """The folders that a file lies in."""
    return [name.lower() for name in path.relative_to(folder).parts[:-1]]


def _label_files(folder: Path) -> list[Path]:
    return [path for path in files_below(folder) if path.suffix == ".txt" and path.name.lower() not in _NOT_LABELS]


def _name_file(folder: Path) -> Path | None:
    return next((path for pattern in _NAME_FILES for path in sorted(folder.glob(pattern)) if path.is_file()), None)


def _of_yaml(path: Path) -> Any:
    import yaml

    try:
        body = yaml.safe_load(text_of(path, what="class names"))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"class names {path} are not YAML: {' '.join(str(error).split())}") from None
    names = body.get("names") if isinstance(body, Mapping) else None
    if isinstance(names, Mapping):
        if set(names) != set(range(len(names))):
            raise DataError(f"class names {path} must be numbered 0 to {len(names) - 1}, got {shortened(list(names))}")
        return [names[key] for key in range(len(names))]
    return names


def _is_name(name: Any) -> bool:
    return isinstance(name, str | int) and not isinstance(name, bool) and bool(str(name).strip())


def _id(path: Path, folder: Path) -> str:
    return id_of(path, folder, without=(*_LABELS, *_IMAGES))
