"""COCO mAP of one answer, where every box has the same score, so that the order of the boxes counts: a reward's use of it.

    >>> cat = Labelled("cat", Box(0, 0, 10, 10, Frame.MODEL))
    >>> dog = Labelled("dog", Box(0, 0, 10, 10, Frame.MODEL))
    >>> sample_map([dog, cat], [cat])
    SampleMap(map=1.0, ap50=1.0, by_label={'cat': 1.0})

The numbers are those of pycocotools for one picture, categories the labels of the gold, all scores 1, without its set-up: no
index, no four area ranges, no printing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saccade.core.picture import Box, Labelled
from saccade.rewards.geometry.boxes import one_frame
from saccade.rewards.geometry.precision import IOU_LEVELS, average_precision

MAX_DETECTIONS = 100  # C pycocotools: of one label
_MAX_AREA = 1e5**2  # C pycocotools: what is larger, or negative, is ignored


@dataclass(frozen=True)
class SampleMap:
    """mAP over the IoU levels .5 to .95, AP at .5, and each gold label's mAP. -1 where there is no gold to find."""

    map: float
    ap50: float
    by_label: Mapping[str, float]


def sample_map(predicted: Sequence[Labelled], gold: Sequence[Labelled]) -> SampleMap:
    """The mAP of these predictions, in the order in which they were given. TypeError when frames differ.

    As in pycocotools, predictions whose label no gold has do not count, nor those after the hundredth of a label; a box
    with one pair of corners swapped has a negative area and is ignored, on either side. Rewards that must punish such
    boxes count them themselves.
    """
    one_frame([thing.box for thing in (*predicted, *gold)])
    gold_of = _by_label(gold)
    said_of = _by_label([thing for thing in predicted if thing.label in gold_of])
    maps, ap50s = {}, []
    for label, boxes in gold_of.items():
        aps = _label_aps(said_of.get(label, ())[:MAX_DETECTIONS], boxes)
        if aps is not None:
            maps[label] = sum(aps) / len(aps)
            ap50s.append(aps[0])
    if not maps:
        return SampleMap(-1.0, -1.0, {})
    return SampleMap(sum(maps.values()) / len(maps), sum(ap50s) / len(ap50s), maps)


_Row = tuple[float, float, float, float, float]  # x1, y1, x2, y2, signed area


def _by_label(things: Sequence[Labelled]) -> dict[str, list[_Row]]:
    rows: dict[str, list[_Row]] = {}
    for thing in things:
        rows.setdefault(thing.label, []).append(_row(thing.box))
    return rows


def _row(box: Box) -> _Row:
    width, height = box.x2 - box.x1, box.y2 - box.y1  # COCO has widths: the same rounding
    return box.x1, box.y1, box.x1 + width, box.y1 + height, width * height


def _label_aps(said: Sequence[_Row], gold: Sequence[_Row]) -> list[float] | None:
    """AP at every IoU level; None where no gold counts."""
    n_gold = sum(map(_counts, gold))
    if n_gold == 0:
        return None
    gold = sorted(gold, key=lambda row: not _counts(row))  # ignored ones last
    counted, near = 0, []
    for row in said:
        counts = _counts(row)
        counted += counts
        found = _overlaps(row, gold)
        if found:
            near.append((counted, counts, found))
    aps: list[float] = []
    before: list[int] | None = None
    for level in IOU_LEVELS:
        ranks = _hit_ranks(near, level, n_gold)
        aps.append(aps[-1] if ranks == before else average_precision(ranks, n_gold))
        before = ranks
    return aps


def _hit_ranks(near: Sequence[tuple[int, bool, list[tuple[int, float]]]], level: float, n_gold: int) -> list[int]:
    """Where the hits stand, from 1. Each prediction near some gold: (place if it counts, whether, what is near)."""
    ranks, taken, shift = [], set(), 0
    for place, counts, found in near:
        best = _best(found, level, taken, n_gold)
        if best is None:
            continue
        taken.add(best)
        if best < n_gold:
            shift += not counts
            ranks.append(place + shift)
        else:
            shift -= counts
    return ranks


def _overlaps(row: _Row, gold: Sequence[_Row]) -> list[tuple[int, float]]:
    """(gold index, IoU) where the IoU reaches the lowest level."""
    x1, y1, x2, y2, area = row
    found = []
    for j, (gx1, gy1, gx2, gy2, garea) in enumerate(gold):
        width = (x2 if x2 < gx2 else gx2) - (x1 if x1 > gx1 else gx1)
        if width <= 0:
            continue
        height = (y2 if y2 < gy2 else gy2) - (y1 if y1 > gy1 else gy1)
        if height <= 0:
            continue
        both = width * height
        iou = both / (area + garea - both)
        if iou >= IOU_LEVELS[0]:
            found.append((j, iou))
    return found


def _best(found: list[tuple[int, float]], level: float, taken: set[int], n_gold: int) -> int | None:
    """The free gold of highest IoU, the last of equals; one that is ignored only where no other is free."""
    best, best_iou = None, level
    for j, iou in found:
        if j in taken:
            continue
        if j >= n_gold and best is not None and best < n_gold:
            break
        if iou >= best_iou:
            best, best_iou = j, iou
    return best


def _counts(row: _Row) -> bool:
    return 0 <= row[4] <= _MAX_AREA
