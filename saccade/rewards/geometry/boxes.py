"""Boxes against boxes: overlap of every pair, and points inside.

    >>> pairwise_iou([Box(0, 0, 2, 2, Frame.PIXEL)], [Box(1, 0, 3, 2, Frame.PIXEL), Box(2, 0, 4, 2, Frame.PIXEL)])
    array([[0.33333333, 0.        ]])

The functions of boxes refuse mixed frames with a TypeError; those of arrays take (x1, y1, x2, y2) rows in one frame. A box
with swapped corners has width or height 0, and boxes that only touch do not overlap. N, M: boxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from saccade.core.picture import Box, Frame, Point

Array = np.ndarray


def corners(boxes: Iterable[Box]) -> Array:
    """The boxes as an (N, 4) float64 array of x1, y1, x2, y2. TypeError when their frames differ."""
    boxes = list(boxes)
    one_frame(boxes)
    return np.array([(box.x1, box.y1, box.x2, box.y2) for box in boxes], dtype=np.float64).reshape(-1, 4)


def one_frame(boxes: Iterable[Box]) -> Frame | None:
    """The frame that all the boxes live in, None where there is no box. TypeError when there are two."""
    frames = sorted({box.frame for box in boxes})
    if len(frames) > 1:
        raise TypeError(f"boxes live in the frames {', '.join(frames)}; convert them to one through their Picture")
    return frames[0] if frames else None


def pairwise_iou(a: Sequence[Box], b: Sequence[Box]) -> Array:
    """Intersection over union of every pair, (N, M), 0 to 1; 0 where the union is empty. TypeError when frames differ."""
    one_frame((*a, *b))
    return iou(corners(a), corners(b))


def pairwise_giou(a: Sequence[Box], b: Sequence[Box]) -> Array:
    """Generalised IoU of every pair, (N, M), above -1 and up to 1; see `giou`. TypeError when frames differ."""
    one_frame((*a, *b))
    return giou(corners(a), corners(b))


def iou(a_N4: Array, b_M4: Array) -> Array:
    """Intersection over union of every pair of rows, (N, M), 0 to 1; 0 where the union is empty."""
    return _ratio(*_overlap(a_N4, b_M4))


def giou(a_N4: Array, b_M4: Array) -> Array:
    """IoU minus the share of the smallest enclosing box C that the union leaves empty, (N, M), above -1 and up to 1.

        IoU - (|C| - |union|) / |C|             IoU alone where |C| is 0

    Generalised IoU (1902.09630). It is not the gIoU of segmentation papers, a mean over pictures (`masks.giou_over_set`).
    """
    return iou_and_giou(a_N4, b_M4)[1]


@np.errstate(over="ignore", invalid="ignore")  # a model may write 1e300
def iou_and_giou(a_N4: Array, b_M4: Array) -> tuple[Array, Array]:
    """Both, at little more than the cost of one."""
    both, union = _overlap(a_N4, b_M4)
    low = np.minimum(a_N4[:, None, :2], b_M4[None, :, :2])
    high = np.maximum(a_N4[:, None, 2:], b_M4[None, :, 2:])
    around = _area(high - low)
    plain = _ratio(both, union)
    return plain, plain - _ratio(around - union, around)


def l1(a_N4: Array, b_M4: Array) -> Array:
    """The sum of the four coordinates' absolute differences for every pair of rows, (N, M), in the frame's unit."""
    return np.abs(a_N4[:, None, :] - b_M4[None, :, :]).sum(axis=2)


def holds(box: Box, point: Point, *, strict: bool = False) -> bool:
    """Whether the point is in the box: on the edge counts, unless `strict`. TypeError when frames differ."""
    return box.contains(point) and (not strict or (box.x1 < point.x < box.x2 and box.y1 < point.y < box.y2))


def is_proper(box: Box) -> bool:
    """Whether it has a width and a height: neither a line nor its corners swapped."""
    return box.x1 < box.x2 and box.y1 < box.y2


def clipped(box: Box, *, width: float, height: float) -> Box:
    """The part inside a picture of this width and height in the box's own frame; empty where there is none."""
    x1, x2 = (min(max(x, 0.0), width) for x in (box.x1, box.x2))
    y1, y2 = (min(max(y, 0.0), height) for y in (box.y1, box.y2))
    return Box(x1, y1, x2, y2, box.frame)


def areas(boxes_N4: Array) -> Array:
    """Width times height of every row, (N,), 0 where the corners are swapped."""
    return _area(boxes_N4[:, 2:] - boxes_N4[:, :2])


@np.errstate(over="ignore", invalid="ignore")
def _overlap(a_N4: Array, b_M4: Array) -> tuple[Array, Array]:
    low = np.maximum(a_N4[:, None, :2], b_M4[None, :, :2])
    high = np.minimum(a_N4[:, None, 2:], b_M4[None, :, 2:])
    both = _area(high - low)
    return both, areas(a_N4)[:, None] + areas(b_M4)[None, :] - both


@np.errstate(over="ignore", invalid="ignore")
def _area(size: Array) -> Array:
    """Width times height, the last axis, 0 where one of them is negative."""
    size = np.maximum(size, 0.0)
    return size[..., 0] * size[..., 1]


def _ratio(part: Array, whole: Array) -> Array:
    """part / whole, 0 where the whole is nothing or beyond all numbers."""
    return np.divide(part, whole, out=np.zeros_like(part), where=(whole > 0) & np.isfinite(whole) & np.isfinite(part))
