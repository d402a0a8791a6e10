"""PASCAL VOC: one XML file per picture.

    folder/Annotations/a.xml, folder/JPEGImages/a.jpg          the original layout
    folder/images/train/a.xml, folder/images/train/a.jpg       or each beside its picture, in parts or not

    >>> read(folder)[0]["objects"]
    (Annotation(label='WBC', box=Box(x1=126.0, y1=39.0, x2=344.0, y2=226.0, frame=<Frame.PIXEL: 'pixel'>), ...), ...)

VOC's corners are the first and the last pixel of an object, counted from 1 (xmin 1, xmax 640 is the whole width), ours are
edges (0, 640), so 1 is taken off xmin and ymin. Tools that write another count are read by naming it (`Corners`).

No document type is accepted, so there are no entities to expand and none to fetch.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
import xml.parsers.expat
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

from saccade.core.sample import DataError
from saccade.data.detection.annotation import FLAGS, Raw, number, text_of
from saccade.data.detection.pictures import Seen, Shelf, Shown, counterparts, existing, files_below, shown
from saccade.data.detection.rows import TOLERANCE, Row, faulty, guarded, id_of, row, unique
from saccade.data.detection.writing import checked, hold_inside, plain, put
from saccade.data.fresh import fresh

NEEDS = "VOC: .xml files in Annotations/ or beside their pictures"
_XML_FOLDERS = ("annotations", "xmls")
_PICTURE_FOLDERS = ("JPEGImages", "images", "Images", "img", "imgs")
_FORMAT_FOLDERS = (*_XML_FOLDERS, *(name.lower() for name in _PICTURE_FOLDERS))
_FLAGS = FLAGS[:3]  # VOC has no crowds
_LARGEST = 32 << 20  # O bytes of one annotation
_DEEPEST = 32  # O elements within each other; VOC has 5


class Corners(Enum):
    """What xmin and xmax count: what is added to them to make edges."""

    ONE_BASED = (-1.0, 0.0)  # first and last pixel, counted from 1: VOC
    ZERO_BASED = (0.0, 1.0)  # first and last pixel, counted from 0
    EDGES = (0.0, 0.0)  # edges already


def is_here(folder: Path) -> bool:
    """Whether a folder looks like VOC."""
    return any(_root_name(path) == "annotation" for path in _files(folder)[:3])


def read(
    folder: Path | str,
    *,
    part: str | None = None,
    seen: Seen | str = Seen.UPRIGHT,
    tolerance: float = TOLERANCE,
    corners: Corners = Corners.ONE_BASED,
) -> list[Row]:
    """The rows of a folder, by path; `part` a folder's ("train") or that of a list in ImageSets/Main.

    An XML file without objects is a row without objects. Faults, each in its row: broken XML, a document type, a declared
    size that is not the picture's, an XML file without a picture or a picture without one. A row has `masks` where
    SegmentationClass/ and SegmentationObject/ hold some.
    """
    folder, shelf = existing(folder), Shelf()
    rows, used, searched = [], set(), []
    for path in _files(folder):
        places = counterparts(path.parent, folder, _XML_FOLDERS, _PICTURE_FOLDERS)
        searched += places
        make = partial(_row, path, folder, shelf, places, Seen(seen), tolerance, corners)
        rows.append(guarded(_id(path, folder), make))
        used |= {*rows[-1].get("image", ())}
        used |= {str(found) for place in places for found in shelf.stems(place).get(path.stem, ())}
    for place in sorted(set(searched)):
        for picture in (found for paths in shelf.stems(place).values() for found in paths if str(found) not in used):
            why = f"picture {picture} has no {picture.stem}.xml; a picture without objects needs one, too"
            rows.append(faulty(_id(picture, folder), why))
    listed = folder / "ImageSets" / "Main" / f"{part}.txt"
    if part is None or not listed.is_file():
        return unique(rows, part, folder)
    names = _names(listed)
    missing = sorted(names - {each["id"] for each in rows})
    rows = [each for each in rows if each["id"] in names]
    rows += [faulty(name, f"{listed} names {name}, which has no annotation") for name in missing]
    return unique([{**each, "part": part} for each in rows], part, folder)


def write(folder: Path | str, rows: Sequence[Mapping[str, Any]], *, corners: Corners = Corners.ONE_BASED) -> Path:
    """Writes rows as JPEGImages/<id> and Annotations/<id>.xml. DataError where VOC cannot say what a row holds."""
    checked(rows, keeps=_FLAGS)
    with fresh(folder) as inside:
        for each in rows:
            picture = put(each["image"][0], inside / "JPEGImages" / each["id"])
            hold_inside(each, picture)
            path = inside / "Annotations" / f"{each['id']}.xml"
            path.parent.mkdir(parents=True, exist_ok=True)
            ET.ElementTree(_element(each, picture, corners)).write(path, encoding="utf-8")
        (inside / "Annotations").mkdir(exist_ok=True)
    return Path(folder)


def parsed(path: Path) -> ET.Element:
    """The root of an XML file. DataError where it is broken, has a document type, or is too large or deep to be honest."""
    builder, depth = ET.TreeBuilder(), 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise DataError(f"annotation {path} nests more than {_DEEPEST} elements; VOC has 5")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def refuse(*_: Any) -> None:
        raise DataError(f"annotation {path} has a document type (<!DOCTYPE), which may define or fetch things; take it out")

    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise DataError(f"annotation {path} is larger than {_LARGEST >> 20} MiB")
        parser.Parse(text, True)
    except OSError as error:
        raise DataError(f"annotation {path} cannot be read: {error}") from None
    except (xml.parsers.expat.ExpatError, LookupError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"annotation {path} is not XML: {error}") from None
    return builder.close()


def _row(path: Path, folder: Path, shelf: Shelf, places: list[Path], seen: Seen, tolerance: float, corners: Corners) -> Row:
    root = parsed(path)
    if root.tag != "annotation":
        raise DataError(f"annotation {path} begins with <{root.tag}>, not <annotation>")
    picture = shown(_picture(path, root, shelf, places), seen)
    size = _size(root, str(path))
    noise = [] if size else [f"{path} declares no size; it cannot be held against the picture's"]
    if size:
        picture.hold_against(size, str(path))
    raws = [_raw(each, f"{path} object {place}", corners) for place, each in enumerate(root.findall("object"), start=1)]
    id_ = _id(path, folder)
    masks = [folder / name / f"{id_}.png" for name in ("SegmentationClass", "SegmentationObject")]
    more = {"masks": tuple(str(mask) for mask in masks if mask.is_file())} if any(mask.is_file() for mask in masks) else {}
    return row(id_, [picture], raws, tolerance=tolerance, noise=noise, **more)


def _picture(path: Path, root: ET.Element, shelf: Shelf, places: list[Path]) -> Path:
    """The picture of the file's own name; else the one that its <filename> names."""
    found = shelf.find(path.stem, places)
    if found is None:
        named = (root.findtext("filename") or "").strip().replace("\\", "/").rpartition("/")[2]
        found = next((place / named for place in places if named and (place / named).is_file()), None)
    if found is None:
        names = " or ".join(dict.fromkeys(place.name for place in places))
        raise DataError(f"annotation {path} has no picture {path.stem}.* in {names}")
    return found


def _size(root: ET.Element, where: str) -> tuple[float, float] | None:
    """The declared (width, height); None where there is none, or it is 0 x 0, as some tools write."""
    size = root.find("size")
    if size is None:
        return None
    width, height = (number(_text(size, name, f"{where} <size>"), f"{where} <{name}>") for name in ("width", "height"))
    return (width, height) if width or height else None


def _raw(element: ET.Element, where: str, corners: Corners) -> Raw:
    label, box = _text(element, "name", where), element.find("bndbox")
    if box is None:
        raise DataError(f"{where} ({label}) has no <bndbox>")
    x1, y1, x2, y2 = (number(_text(box, side, where), f"{where} <{side}>") for side in ("xmin", "ymin", "xmax", "ymax"))
    flags = tuple(flag for flag in _FLAGS if (element.findtext(flag) or "0").strip().lower() in ("1", "true", "yes"))
    if (x1, y1) == (x2, y2):  # a click and no box, in every count
        return Raw(label=label, corners=(x1, y1, x2, y2), where=where, flags=flags)
    first, last = corners.value
    return Raw(label=label, corners=(x1 + first, y1 + first, x2 + last, y2 + last), where=where, flags=flags)


def _text(element: ET.Element, name: str, where: str) -> str:
    text = (element.findtext(name) or "").strip()
    if not text:
        raise DataError(f"{where} has no <{name}>")
    return text


def _element(each: Mapping[str, Any], picture: Shown, corners: Corners) -> ET.Element:
    root = ET.Element("annotation")
    ET.SubElement(root, "filename").text = picture.path.name
    size = ET.SubElement(root, "size")
    for name, value in zip(("width", "height", "depth"), (*picture.size, 3), strict=True):
        ET.SubElement(size, name).text = str(value)
    first, last = corners.value
    for thing in each["objects"]:
        element = ET.SubElement(root, "object")
        ET.SubElement(element, "name").text = thing.label
        for flag in _FLAGS:
            ET.SubElement(element, flag).text = str(int(flag in getattr(thing, "flags", ())))
        box, said = ET.SubElement(element, "bndbox"), thing.box
        sides = (said.x1 - first, said.y1 - first, said.x2 - last, said.y2 - last)
        if sides[:2] == sides[2:]:
            raise DataError(f"row {each['id']}: {said} is a single pixel, which is read as a click and no box")
        for name, value in zip(("xmin", "ymin", "xmax", "ymax"), sides, strict=True):
            ET.SubElement(box, name).text = plain(value)
    ET.indent(root)
    return root


def _files(folder: Path) -> list[Path]:
    return [path for path in files_below(folder) if path.suffix.lower() == ".xml"]


def _id(path: Path, folder: Path) -> str:
    return id_of(path, folder, without=_FORMAT_FOLDERS)


def _names(path: Path) -> set[str]:
    lines = [line.split() for line in text_of(path, what="list").splitlines() if line.strip()]
    if any(len(line) > 1 for line in lines):
        raise DataError(f"list {path} has more than names; name one of whole pictures, like trainval")
    return {line[0] for line in lines}


def _root_name(path: Path) -> str:
    try:
        return parsed(path).tag
    except DataError:  # a broken file is named by read
        return "annotation"
