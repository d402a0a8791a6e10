"""Boxes and points in a text, typed in the frame that the prompt asked for. The caller says which; no reader guesses it.

    >>> written = '```json\\n[{"bbox_2d": [10, 20, 30, 40], "label": "cat"}, {"bbox_2d": [9, 9, 1, 1]}]\\n```'
    >>> boxes(written, frame=Frame.MODEL).value
    Boxes(found=(Labelled(label='cat', box=Box(x1=10, y1=20, x2=30, y2=40, frame=<Frame.MODEL: 'model'>)),),
          dropped=('corners swapped',), says_none=False)
    >>> box("<answer>TAMPERED,(0,4),(213,205).</answer>", frame=Frame.MODEL).value
    Box(x1=0, y1=4, x2=213, y2=205, frame=<Frame.MODEL: 'model'>)
    >>> point("click at (12, 30.5)", frame=Frame.PIXEL).value
    Point(x=12, y=30.5, frame=<Frame.PIXEL: 'pixel'>)

A text with markdown fences is read in the last of them (the last marked json, if any is) and, if nothing stands there, as
a whole. Of a list cut off, the whole items count. Numbers are as written: integers stay integers, a minus is read, True is
no number, nor is "12" in quotes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from saccade.core.picture import Box, Frame, Labelled, Point
from saccade.rewards.read.literals import MAX_NUMBER, keyed, likely, standing
from saccade.rewards.read.reading import Reading

MAX_SHAPES = 2_000  # O that are looked at in one text, the first ones; COCO's pictures hold at most 100

BOX_KEYS = ("bbox_2d", "bbox", "box_2d", "box")
POINT_KEYS = ("point_2d", "point", "coordinate", "coordinates")


@dataclass(frozen=True)
class Boxes:
    """What a text says about boxes: those that can be read, in order; why each of the others cannot; whether it says None.

    `len` and iteration are over `found`. `n_written` counts every item, as a length penalty must: a list of 100 boxes
    without corners is long. `says_none`: the whole text is the word None, by which some prompts let a model say that
    nothing is there.
    """

    found: tuple[Labelled, ...]
    dropped: tuple[str, ...] = ()
    says_none: bool = False

    @property
    def n_written(self) -> int:
        """Items in the text, readable or not."""
        return len(self.found) + len(self.dropped)

    def __iter__(self) -> Iterator[Labelled]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)


def boxes(text: str, *, frame: Frame, keys: Sequence[str] = (), keep_swapped: bool = False) -> Reading[Boxes]:
    """All boxes in the text, with the labels beside them ("" where there is none).

    Read are lists of four numbers, in any brackets and with commas, in [ ] with blanks as well; two corners (x1, y1),
    (x2, y2); dicts with such a list under one of BOX_KEYS and perhaps a "label"; pairs ["label", [x1, y1, x2, y2]]; and
    lists and dicts of these. With `keys`, only what stands under these quoted keys. A box whose corners are swapped (x1
    > x2 or y1 > y2) is dropped, or with `keep_swapped` turned round. None where the text has neither an item nor an
    empty list nor the word None alone.
    """
    parts = likely(text)
    items = _first_told(_box_items, parts, keys)
    if items is None:
        return Reading(Boxes((), says_none=True)) if any(map(_is_none, parts)) else Reading(None, "no box")
    found, dropped = [], []
    for item in items:
        read = item.read(frame, keep_swapped=keep_swapped)
        if read.value is None:
            dropped.append(read.why)
        else:
            found.append(Labelled(item.label, read.value))
    return Reading(Boxes(tuple(found), tuple(dropped)))


def box(
    text: str,
    *,
    frame: Frame,
    which: Literal["first", "last"] = "first",
    keys: Sequence[str] = (),
    keep_swapped: bool = False,
) -> Reading[Box]:
    """The first or last four numbers that stand as a box in the text; if its corners are swapped, none and no other."""
    items = [item for item in _first_told(_box_items, likely(text), keys) or () if item.corners is not None]
    if not items:
        return Reading(None, "no box")
    return items[0 if which == "first" else -1].read(frame, keep_swapped=keep_swapped)


def points(text: str, *, frame: Frame, keys: Sequence[str] = ()) -> Reading[tuple[Point, ...]]:
    """All points in the text: [x, y], (x, y), {"point_2d": [x, y]}, {"x": x, "y": y}, <point x="" y="">, and lists of these.

    With `keys`, only what stands under these quoted keys. An empty list is no points; a text without any is None.
    """
    pairs = _first_told(_point_items, likely(text), keys)
    if pairs is None:
        return Reading(None, "no point")
    return Reading(tuple(Point(x, y, frame) for x, y in pairs))


def point(
    text: str, *, frame: Frame, which: Literal["first", "last"] = "first", keys: Sequence[str] = ()
) -> Reading[Point]:
    """The first or last point in the text."""
    found = points(text, frame=frame, keys=keys).value
    return Reading(found[0 if which == "first" else -1]) if found else Reading(None, "no point")


def point_of(value: Any, frame: Frame) -> Reading[Point]:
    """The point that a value read by `literals` is: two numbers, or a dict with an x and a y."""
    pair = _pair(value)
    return Reading(None, "not two numbers") if pair is None else Reading(Point(*pair, frame))


@dataclass(frozen=True)
class _Item:
    """Something written where a box belongs: four corners, or why it has none."""

    corners: tuple[float, ...] | None
    label: str = ""
    why: str = ""

    def read(self, frame: Frame, *, keep_swapped: bool) -> Reading[Box]:
        if self.corners is None:
            return Reading(None, self.why)
        x1, y1, x2, y2 = self.corners
        if x1 > x2 or y1 > y2:
            if not keep_swapped:
                return Reading(None, "corners swapped")
            x1, y1, x2, y2 = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
        return Reading(Box(x1, y1, x2, y2, frame))


Told = TypeVar("Told")


def _first_told(
    read: Callable[[str, Sequence[str]], list[Told] | None], parts: Sequence[str], keys: Sequence[str]
) -> list[Told] | None:
    """What `read` finds in the first part where it finds anything written; None if there is no such part."""
    for part in parts:
        told = read(part, keys)
        if told is not None:
            return told
    return None


def _is_none(text: str) -> bool:
    return text.strip().strip("'\"`.").lower() == "none"


_NUM = r"([+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++))"
_PAIR = rf"\s*+{_NUM}\s*+,\s*+{_NUM}\s*+"
_TWO = rf"\({_PAIR}\)"
# (x1, y1), (x2, y2) and (x1, y1, x2, y2), perhaps behind a name, and [x1 y1 x2 y2]
_CORNERS = re.compile(
    r"(?:\(|<\|object_ref_start\|>([^<]*+)<\|object_ref_end\|>\s*+(?:<\|box_start\|>\s*+)?\()"
    rf"{_PAIR}(?:\)\s*+,?\s*+\(|,){_PAIR}\)"
    rf"|\[\s*+{_NUM}\s++{_NUM}\s++{_NUM}\s++{_NUM}\s*+\]"
)
_PLACE = re.compile(
    rf"{_TWO}|<point\b(?=[^<>]*?\sx=[\"']?{_NUM}(?![\w.]))(?=[^<>]*?\sy=[\"']?{_NUM}(?![\w.]))"
    rf"|<point>\s*+[\[(]?\s*+{_NUM}(?:\s*+,\s*+|\s++){_NUM}\s*+[\])]?\s*+</point>"
)


def _box_items(text: str, keys: Sequence[str]) -> list[_Item] | None:
    if keys:
        return _capped(item for value in keyed(text, keys) for item in _box_walk(value, 0))
    return _in_order(text, _CORNERS, _corner_item, _box_walk)


def _point_items(text: str, keys: Sequence[str]) -> list[tuple[float, float]] | None:
    if keys:
        return _capped(pair for value in keyed(text, keys) for pair in _point_walk(value, 0))
    return _in_order(text, _PLACE, _place_pair, _point_walk)


def _capped(items: Iterator[Told]) -> list[Told] | None:
    return list(itertools.islice(items, MAX_SHAPES)) or None


def _in_order(
    text: str,
    loose: re.Pattern[str],
    of_match: Callable[[re.Match[str]], Told | None],
    walk: Callable[[Any, int], Iterator[Told]],
) -> list[Told] | None:
    """What stands in containers and, between these, what the pattern finds; [] if all there is is an empty list."""
    is_told = False

    def items() -> Iterator[Told]:
        nonlocal is_told
        begin = 0
        for value, start, end in itertools.chain(standing(text), [(None, len(text), len(text))]):
            for match in loose.finditer(text, begin, start):
                item = of_match(match)
                if item is not None:
                    yield item
            is_told |= value == []
            yield from walk(value, 0)
            begin = end

    return _capped(items()) or ([] if is_told else None)


def _corner_item(match: re.Match[str]) -> _Item:
    label, *numbers = match.groups()
    corners = _numbers([number for number in numbers if number is not None])
    return _Item(corners, (label or "").strip(), "" if corners else "a number that is too long")


def _place_pair(match: re.Match[str]) -> tuple[float, float] | None:
    return _numbers([number for number in match.groups() if number is not None])


def _numbers(written: Sequence[str]) -> tuple[float, ...] | None:
    if any(len(number) > MAX_NUMBER for number in written):
        return None
    return tuple(int(number) if number.lstrip("+-").isdigit() else float(number) for number in written)


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float


def _is_row(value: Any) -> bool:
    return (type(value) is list or type(value) is tuple) and bool(value) and all(map(_is_number, value))


def _pair(value: Any) -> tuple[float, float] | None:
    if _is_row(value) and len(value) == 2:
        return value[0], value[1]
    if type(value) is dict and _is_number(value.get("x")) and _is_number(value.get("y")):
        return value["x"], value["y"]
    return None


def _four(value: Any) -> tuple[float, ...] | None:
    """The four numbers that a list of four, a list of two corners, or a dict with x1, y1, x2 and y2 is."""
    if type(value) is dict:
        value = [value.get(key) for key in ("x1", "y1", "x2", "y2")]
    if _is_row(value) and len(value) == 4:
        return tuple(value)
    if type(value) in (list, tuple) and len(value) == 2 and all(_is_row(corner) and len(corner) == 2 for corner in value):
        return (*value[0], *value[1])
    return None


def _box_walk(value: Any, depth: int, label: str = "") -> Iterator[_Item]:
    """The items in a value, the value itself perhaps being one; `depth` 0 is the outermost."""
    if type(value) is dict:
        yield from _box_in_dict(value, depth, label)
    elif (corners := _four(value)) is not None:
        yield _Item(corners, label)
    elif _is_row(value):
        yield _Item(None, label, f"{len(value)} numbers, not 4")
    elif type(value) in (list, tuple):
        if len(value) == 2 and type(value[0]) is str and _four(value[1]) is not None:
            yield _Item(_four(value[1]), value[0])
        elif any(map(_is_number, value)):
            yield _Item(None, label, "not all are numbers")
        else:
            for item in value:
                yield from _box_walk(item, depth + 1, label)
    elif depth > 0:
        yield _Item(None, label, "not a list of numbers")


def _box_in_dict(value: dict[Any, Any], depth: int, label: str) -> Iterator[_Item]:
    written = value.get("label", label)
    label = "" if written is None else str(written)
    if (corners := _four(value)) is not None:
        yield _Item(corners, label)
        return
    key = next((key for key in BOX_KEYS if key in value), None)
    if key is not None:
        items = list(_box_walk(value[key], depth + 1, label))
        yield from items or [_Item(None, label, f"{key} is empty")]
        return
    inner = [item for item in value.values() if type(item) in (list, tuple, dict)]
    if inner:
        for item in inner:
            yield from _box_walk(item, depth + 1, label)
    elif value or depth > 0:
        yield _Item(None, label, f"no {BOX_KEYS[0]}")


def _point_walk(value: Any, depth: int) -> Iterator[tuple[float, float]]:
    if (pair := _pair(value)) is not None:
        yield pair
    elif type(value) is dict:
        key = next((key for key in POINT_KEYS if key in value), None)
        for item in [value[key]] if key is not None else value.values():
            yield from _point_walk(item, depth + 1)
    elif type(value) in (list, tuple) and not _is_row(value):
        for item in value:
            yield from _point_walk(item, depth + 1)
