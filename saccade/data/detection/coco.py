"""COCO: one JSON file for many pictures.

    folder/annotations.json                                  {"images": [...], "annotations": [...], "categories": [...]}
    folder/annotations/instances_val2017.json, folder/val2017/*.jpg      the original layout, a part per file
    folder/train/_annotations.coco.json, folder/train/*.jpg              or per folder

    >>> read(folder)[0]["objects"][0]
    Annotation(label='inflammatory', box=Box(x1=207.0, y1=0.0, x2=221.0, y2=16.0, ...), outline=((207.0, 4.0, ...),),
               area=196.6)

`bbox` is x, y, width, height in edge coordinates. Polygons and run-length codes are kept as the file has them, and `iscrowd`
as the flag "crowd": a crowd's box bounds many objects and is no target. Files of any size are read piece by piece.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from saccade.core.sample import DataError
from saccade.data.detection.annotation import Outline, Raw, number, shortened
from saccade.data.detection.pictures import Seen, existing, shown
from saccade.data.detection.rows import TOLERANCE, Row, faulty, guarded, part_of, row, unique
from saccade.data.detection.stream import pieces
from saccade.data.detection.writing import checked, hold_inside, plain, put
from saccade.data.fresh import fresh

NEEDS = "COCO: a .json file with images, annotations and categories, in the folder or in annotations/"
_HEAD = 1 << 16  # O characters in which a COCO file shows one of its lists
_LISTS = re.compile(r'"(?:images|annotations|categories)"\s*:\s*\[')


def is_here(folder: Path) -> bool:
    """Whether a folder looks like COCO."""
    return bool(_files(folder))


def read(
    folder: Path | str,
    *,
    part: str | None = None,
    seen: Seen | str = Seen.UPRIGHT,
    tolerance: float = TOLERANCE,
    outlines: bool = True,
) -> list[Row]:
    """The rows of all files, or of one `part` ("val2017", "train"), in the order of `images`. Ids are `part/image id`.

    `outlines=False` leaves polygons and masks in the file, which saves memory on large sets. DataError where a file is not
    JSON or has no images; faults, each in its row: an unknown class or picture id, an id that stands twice, a box of not
    four numbers, a declared size that is not the picture's.
    """
    folder = existing(folder)
    rows: list[Row] = []
    for path in _files(folder):
        name = _part(path, folder)
        if part in (None, name):
            rows += _File(path, folder, name, Seen(seen), tolerance, outlines).rows()
        else:
            rows.append({"id": "", "part": name})  # for unique to name
    return unique(rows, part, folder)


def write(folder: Path | str, rows: Sequence[Mapping[str, Any]], *, categories: Sequence[str] = ()) -> Path:
    """Writes rows as annotations.json, or annotations/instances_<part>.json where their ids have parts, and images/.

    `categories` are class names in the order of their ids, from 1; those that rows add follow sorted.
    """
    checked(rows, keeps=("crowd", "outline", "area"))
    labels = {thing.label for each in rows for thing in each["objects"]}
    names = [*categories, *sorted(labels - set(categories))]
    ids = {name: place for place, name in enumerate(names, start=1)}
    parts: dict[str, dict[str, list[dict[str, Any]]]] = {}
    with fresh(folder) as inside:
        for each in rows:
            part = part_of(each["id"])
            body = parts.setdefault(part, {"images": [], "annotations": [], "categories": []})
            picture = put(each["image"][0], inside / "images" / each["id"])
            hold_inside(each, picture)
            own = each["id"].removeprefix(f"{part}/")
            image_id = int(own) if re.fullmatch(r"0|[1-9]\d{0,17}", own) else own
            width, height = picture.size
            file_name = picture.path.relative_to(inside / "images" / part).as_posix()
            body["images"].append({"id": image_id, "file_name": file_name, "width": width, "height": height})
            for thing in each["objects"]:
                entry = {"id": len(body["annotations"]) + 1, "image_id": image_id, "category_id": ids[thing.label]}
                body["annotations"].append(entry | _entry(thing))
        for part, body in parts.items() or [("", {"images": [], "annotations": []})]:
            body["categories"] = [{"id": place, "name": name} for name, place in ids.items()]
            path = inside / "annotations" / f"instances_{part}.json" if part else inside / "annotations.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
    return Path(folder)


@dataclass
class _File:
    """One file on its way to rows: pictures in order, annotations by picture, and what is wrong with either."""

    path: Path
    folder: Path
    part: str
    seen: Seen
    tolerance: float
    outlines: bool
    images: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    found: dict[str, list[tuple[str, Mapping[str, Any]]]] = field(default_factory=lambda: defaultdict(list))
    names: dict[str, str] = field(default_factory=dict)
    faults: list[Row] = field(default_factory=list)

    def rows(self) -> list[Row]:
        known = self._load()
        if not self.images:
            raise DataError(f"{self.path} has no images")
        taken: dict[str, str] = {}  # file name -> the id of the picture that has it
        rows = []
        for key, image in self.images:
            rows.append(guarded(self._id(key), partial(self._row, key, image, taken)))
        for key in [key for key in self.found if key not in known]:
            for where, _ in self.found[key]:
                self._blame(where, f"{where} is of the picture {key}, which is not among the images")
        return rows + self.faults

    def _load(self) -> set[str]:
        """Reads the file; the ids of its pictures."""
        seen_ids: set[str] = set()
        for key, index, value in pieces(self.path):
            if key not in ("images", "annotations", "categories"):
                continue
            if index is None:
                raise DataError(f"{self.path}: {key} must be a list, got {type(value).__name__}")
            where = f"{self.path} {key}[{index}]"
            try:
                if not isinstance(value, Mapping):
                    raise DataError(f"{where} must be an object, got {shortened(value)}")
                if key == "images":
                    self.images.append((_key(value, "id", where), value))
                elif key == "categories":
                    self._name(value, where)
                else:
                    self._keep(value, where, seen_ids)
            except DataError as error:
                if key == "categories":
                    raise
                self._blame(where, str(error))
        if not self.names and self.found:
            raise DataError(f"{self.path} has no categories; without their names no class can be asked for")
        return {key for key, _ in self.images}

    def _name(self, value: Mapping[str, Any], where: str) -> None:
        key, name = _key(value, "id", where), value.get("name")
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"{where} has no name")
        if key in self.names:
            raise DataError(f"{where}: class id {key} stands twice ({self.names[key]}, {name})")
        self.names[key] = name.strip()

    def _keep(self, value: Mapping[str, Any], where: str, seen_ids: set[str]) -> None:
        if "id" in value:
            own = _key(value, "id", where)
            where = f"{where} (id {own})"
            if own in seen_ids:
                value = {**value, "fault": f"{where}: this annotation id stands twice"}
            seen_ids.add(own)
        wanted = ("bbox", "category_id", "iscrowd", "area", "fault", *(["segmentation"] if self.outlines else []))
        self.found[_key(value, "image_id", where)].append((where, {name: value[name] for name in wanted if name in value}))

    def _row(self, key: str, image: Mapping[str, Any], taken: dict[str, str]) -> Row:
        where = f"{self.path} image {key}"
        name = image.get("file_name")
        if not isinstance(name, str) or not name:
            raise DataError(f"{where} has no file_name")
        if name in taken:
            raise DataError(f"{where} is the picture {name} of image {taken[name]} once more")
        taken[name] = key
        picture = shown(self._find(name), self.seen)
        sides = [number(image[side], f"{where} {side}") for side in ("width", "height") if image.get(side)]
        noise = [] if len(sides) == 2 else [f"{where} declares no size; it cannot be held against the picture's"]
        if len(sides) == 2:
            picture.hold_against(tuple(sides), where)
        raws = [self._raw(where, value) for where, value in self.found.get(key, ())]
        return row(self._id(key), [picture], raws, tolerance=self.tolerance, noise=noise) | {"part": self.part}

    def _raw(self, where: str, value: Mapping[str, Any]) -> Raw:
        if "fault" in value:
            raise DataError(value["fault"])
        category = _key(value, "category_id", where)
        if category not in self.names:
            raise DataError(f"{where} is of class id {category}; known are {', '.join(list(self.names)[:20])}")
        bbox = value.get("bbox")
        if not isinstance(bbox, list) or len(bbox) != 4:
            raise DataError(f"{where}: bbox must be x, y, width, height, got {shortened(bbox)}")
        x, y, width, height = [number(side, f"{where} bbox") for side in bbox]
        flags = ("crowd",) if value.get("iscrowd") in (1, True) else ()
        area = number(value["area"], f"{where} area") if value.get("area") is not None else None
        outline = _outline(value.get("segmentation"), where)
        corners = (x, y, x + width, y + height)
        return Raw(label=self.names[category], corners=corners, where=where, flags=flags, outline=outline, area=area)

    def _find(self, name: str) -> Path:
        beside = self.path.parent
        above = beside.parent if beside.name.lower() == "annotations" else beside
        places = [beside, above, *(above / part for part in (self.part, "images", f"images/{self.part}") if part)]
        return next((place / name for place in places if (place / name).is_file()), above / name)

    def _id(self, key: str) -> str:
        return f"{self.part}/{key}" if self.part else key

    def _blame(self, where: str, why: str) -> None:
        name = where.removeprefix(f"{self.path} ")
        self.faults.append({**faulty(self._id(name), why), "part": self.part})


def _key(value: Mapping[str, Any], name: str, where: str) -> str:
    """An id as text: 7, 7.0 (what table tools make of it) and "7" are one."""
    found = value.get(name)
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int | str) or found == "":
        raise DataError(f"{where}: {name} must be a whole number or text, got {shortened(found)}")
    return str(found)


def _outline(value: Any, where: str) -> Outline:
    if value is None or value == []:
        return None
    if isinstance(value, Mapping) and {"counts", "size"} <= value.keys():
        return dict(value)
    if isinstance(value, list) and all(isinstance(ring, list) and len(ring) >= 6 and len(ring) % 2 == 0 for ring in value):
        where = f"{where} segmentation"
        return tuple(tuple([number(side, where) for side in ring]) for ring in value)
    raise DataError(f"{where}: segmentation must be rings of x, y, ... or counts and size, got {shortened(value)}")


def _entry(thing: Any) -> dict[str, Any]:
    box = thing.box
    area, outline = getattr(thing, "area", None), getattr(thing, "outline", None)
    bbox = [json.loads(plain(side)) for side in (box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1)]
    entry = {"bbox": bbox, "iscrowd": int("crowd" in getattr(thing, "flags", ()))}
    if isinstance(outline, str):
        raise DataError(f"the mask {outline} is a file; COCO holds polygons and run-length codes")
    if area is not None:
        entry["area"] = area
    return entry | ({"segmentation": outline} if outline is not None else {})


def _files(folder: Path) -> list[Path]:
    """The data set's files; where instances lie beside captions and key points of the same pictures, the instances."""
    paths = sorted({*folder.glob("*.json"), *folder.glob("*/*.json"), *folder.glob("*/annotations/*.json")})
    found = [path for path in paths if not path.name.startswith(".") and _looks_like_coco(path)]
    with_instances = {path.parent for path in found if path.name.startswith("instances_")}
    return [path for path in found if path.parent not in with_instances or path.name.startswith("instances_")]


def _looks_like_coco(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return head.lstrip().startswith("{") and bool(_LISTS.search(head))


def _part(path: Path, folder: Path) -> str:
    """`annotations/instances_val2017.json` -> val2017, `train/_annotations.coco.json` -> train, else ""."""
    stem = path.stem.removeprefix("instances_")
    return part_of(f"{stem}/") or part_of(f"{path.parent.relative_to(folder).as_posix()}/")
