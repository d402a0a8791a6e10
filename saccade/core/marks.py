"""What an answer points at and what was asked for, as shapes that can be drawn on a sample's pictures.

    >>> seen = Picture.of(PIL.Image.new("RGB", (200, 100))).seen_at((100, 50))
    >>> said = Mark(shape=Point(20, 10, Frame.MODEL), verb="click")              # read from a model's answer
    >>> drawn(said, [seen])                                                      # in fractions of its picture
    {'picture': 0, 'verb': 'click', 'point': [0.2, 0.2]}
    >>> [drawn(mark, [seen]) for mark in marks_in((Labelled("cat", Box(20, 10, 60, 30, Frame.PIXEL)),))]
    [{'picture': 0, 'label': 'cat', 'box': [0.1, 0.1, 0.3, 0.3]}]

Shapes come in whatever frame they were read in; only the picture that they lie in, which knows its sizes, converts them.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from saccade.core.picture import Box, Frame, Picture, Point

DIGITS = 6  # decimals of a fraction: a hundredth of a pixel of the largest pictures
DEEPEST = 8  # containers within containers that a target is looked through


@dataclass(frozen=True)
class Line:
    """Places in order, such as a path that is walked or an edge; all in one frame."""

    points: tuple[Point, ...]


@dataclass(frozen=True)
class Mask:
    """Some of a picture's pixels, as run lengths row by row: so many outside, so many inside, so many outside, ...

    `size` is (height, width) of the grid, which covers the whole picture, whatever that one's own size is.
    """

    size: tuple[int, int]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, mask_HW: np.ndarray) -> Mask:
        """The pixels of an (H, W) array that are above 0. ValueError for an array of another shape.

        >>> Mask.of(numpy.array([[0, 1, 1], [1, 0, 0]]))
        Mask(size=(2, 3), counts=(1, 3, 2))
        """
        if np.ndim(mask_HW) != 2:
            raise ValueError(f"a mask is (height, width), got the shape {np.shape(mask_HW)}")
        inside = np.asarray(mask_HW).ravel() > 0
        turns = np.flatnonzero(np.diff(inside)) + 1
        edges = np.concatenate([[0] if inside.size and inside[0] else [], [0], turns, [inside.size]]).astype(int)
        return cls(size=tuple(map(int, np.shape(mask_HW))), counts=tuple(np.diff(edges).tolist()))


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A shape in one of the pictures (counted from 0), what it is called, and what is done there: click, type 'x'."""

    shape: Box | Point | Line | Mask
    picture: int = 0
    label: str = ""
    verb: str = ""


def drawn(mark: Mark, pictures: Sequence[Picture]) -> dict[str, Any] | None:
    """The mark for a file, its coordinates in fractions of its picture; None where it cannot be brought there.

    That is where there is no such picture, where the shape is in the model's frame and no model has seen the picture,
    and where a coordinate is not finite. What lies outside the picture stays outside.
    """
    if not 0 <= mark.picture < len(pictures):
        return None
    words = {key: word for key, word in (("label", mark.label), ("verb", mark.verb)) if word}
    try:
        shape = _in_fractions(mark.shape, pictures[mark.picture])
    except (ValueError, OverflowError):  # no such frame, or a number that is too large for a fraction
        return None
    return {"picture": int(mark.picture), **words, **shape}


def all_drawn(marks: Iterable[Mark], pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    """Those of the marks that can be drawn."""
    return [found for mark in marks if (found := drawn(mark, pictures)) is not None]


def marks_in(target: Any, *, label: str = "") -> Iterator[Mark]:
    """Every Box, Point, Line, Mask and boolean (H, W) array in a gold answer, taken to lie in the first picture.

    Dataclasses, mappings, lists and tuples are looked through; a shape is called what the text under `label` or `name`
    beside it says. Marks stand for themselves. Numbers without a frame are no shape.
    """
    yield from _walk(target, label, DEEPEST)


def _walk(value: Any, label: str, depth: int) -> Iterator[Mark]:
    if isinstance(value, Mark):
        yield value
    elif isinstance(value, (Box, Point, Line, Mask)):
        yield Mark(shape=value, label=label)
    elif isinstance(value, np.ndarray):
        if value.ndim == 2 and value.dtype == bool:
            yield Mark(shape=Mask.of(value), label=label)
    elif depth and not isinstance(value, (str, bytes, type, Picture)):
        fields = _fields(value)
        own = next((fields[key] for key in ("label", "name") if isinstance(fields.get(key), str)), label)
        items = fields.values() if fields else value if isinstance(value, (list, tuple)) else ()
        for item in items:
            yield from _walk(item, own, depth - 1)


def _fields(value: Any) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {}


def _in_fractions(shape: Box | Point | Line | Mask, picture: Picture) -> dict[str, Any]:
    match shape:
        case Mask():
            return {"mask": {"size": list(map(int, shape.size)), "counts": list(map(int, shape.counts))}}
        case Line():
            return {"line": [_pair(point, picture) for point in shape.points]}
        case Point():
            return {"point": _pair(shape, picture)}
        case _:
            box = picture.convert(shape, to=Frame.UNIT)
            return {"box": _rounded(box.x1, box.y1, box.x2, box.y2)}


def _pair(point: Point, picture: Picture) -> list[float]:
    there = picture.convert(point, to=Frame.UNIT)
    return _rounded(there.x, there.y)


def _rounded(*values: float) -> list[float]:
    if not all(map(math.isfinite, values)):
        raise ValueError("not finite")
    return [round(float(value), DIGITS) for value in values]
