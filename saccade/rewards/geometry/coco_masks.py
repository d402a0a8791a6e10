"""Masks in COCO's formats: polygons, RLE as counts, RLE as a compressed string. Needs pycocotools: the extra `masks`.

    >>> decode([[10, 10, 20, 10, 20, 20, 10, 20]], size=(30, 40)).sum()     # polygons of one object; size is width, height
    100
    >>> decode({"size": [3, 2], "counts": [2, 3, 1]}, size=(2, 3))          # column by column, first how many are 0
    >>> encode(mask_HW)
    {'size': [3, 2], 'counts': '231'}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np


class MasksError(RuntimeError):
    """Masks in COCO's formats cannot be read at all; the message says what to do."""


def decode(segmentation: Mapping[str, Any] | Sequence[Sequence[float]], *, size: tuple[int, int]) -> np.ndarray:
    """The (H, W) bool mask of a segmentation, polygons [[x, y, x, y, ...], ...] or RLE {"size": [h, w], "counts": ...}.

    `size` is the picture's (width, height). ValueError, saying which, for a segmentation of another size or shape.
    """
    width, height = size
    return _library().decode(_rle(segmentation, height, width)).astype(bool)


def encode(mask_HW: np.ndarray) -> dict[str, Any]:
    """A mask as compressed RLE with its counts as text, ready for JSON."""
    rle = _library().encode(np.asfortranarray(np.asarray(mask_HW) > 0, dtype=np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def _rle(segmentation: Any, height: int, width: int) -> Any:
    library = _library()
    if isinstance(segmentation, Mapping):
        have = [int(side) for side in segmentation.get("size", ())]
        if have != [height, width] or "counts" not in segmentation:
            raise ValueError(f"an RLE needs counts and the size [{height}, {width}] of its picture, got the size {have}")
        counts = segmentation["counts"]
        if isinstance(counts, str | bytes):
            raw = counts.encode("ascii") if isinstance(counts, str) else counts
            return _checked({"size": have, "counts": raw}, library, height, width)
        counts = [int(count) for count in counts]
        if sum(counts) != height * width or any(count < 0 for count in counts):
            raise ValueError(f"the counts of an RLE add up to its picture's {height * width} pixels, got {sum(counts)}")
        return library.frPyObjects({"size": have, "counts": counts}, height, width)
    polygons = [[float(value) for value in polygon] for polygon in segmentation]
    if not polygons:
        return library.encode(np.zeros((height, width), dtype=np.uint8, order="F"))
    bad = [polygon for polygon in polygons if len(polygon) < 6 or len(polygon) % 2 or not np.isfinite(polygon).all()]
    if bad:
        raise ValueError(f"a polygon has at least three points, x and y in turns, got {len(bad[0])} numbers")
    return library.merge(library.frPyObjects(polygons, height, width))


def _checked(rle: dict[str, Any], library: ModuleType, height: int, width: int) -> dict[str, Any]:
    """The compressed RLE, refused here if it is longer or shorter than its picture: the C code would not look."""
    total = sum(_counts(rle["counts"]))
    if total != height * width:
        raise ValueError(f"the counts of an RLE add up to its picture's {height * width} pixels, got {total}")
    return rle


def _counts(text: bytes) -> list[int]:
    """Run lengths out of COCO's text: five bits a character, from 48 up; from the fourth on less the run before last."""
    counts: list[int] = []
    position = 0
    while position < len(text):
        value = shift = 0
        more = True
        while more:
            if position >= len(text) or shift > 60 or not 48 <= text[position] < 112:
                raise ValueError("the counts of an RLE are cut off, or hold a character that cannot be there")
            bits = text[position] - 48
            value |= (bits & 0x1F) << shift
            more = bool(bits & 0x20)
            position, shift = position + 1, shift + 5
            if not more and bits & 0x10:
                value -= 1 << shift
        if len(counts) > 2:
            value += counts[-2]
        if value < 0:
            raise ValueError("the counts of an RLE hold a negative run")
        counts.append(value)
    return counts


def _library() -> ModuleType:
    try:
        from pycocotools import mask
    except ImportError:
        raise MasksError("masks in COCO's formats need pycocotools: pip install 'saccade[masks]'") from None
    return mask
