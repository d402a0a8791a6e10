"""COCO detection metrics over a whole data set, equal to pycocotools', in NumPy.

    >>> result = coco_metrics(gold, predicted)                 # Objects each: flat arrays over all pictures
    >>> result.ap, result.ap50, result.ar100, result.by_class
    >>> result = coco_metrics(*from_coco(annotations, results))   # the files' own dictionaries

Greedy matching is sequential within a picture and class, so one pass matches the first candidates of all pictures at
once, the next pass the second, at all IoU levels and area ranges together. Where no gold exists, a figure is -1, as there.
An annotation whose id is 0 can be matched here; in pycocotools such a match counts as none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from saccade.core.picture import Labelled
from saccade.rewards.geometry.boxes import one_frame
from saccade.rewards.geometry.precision import IOU_LEVELS, average_precision

AREAS = ((0.0, 1e5**2), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e5**2))  # C all, small, medium, large; inclusive
MAX_DETECTIONS = (1, 10, 100)  # C of one class in one picture
STATS = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"),
)


@dataclass(frozen=True, kw_only=True)
class Objects:
    """Gold objects or predictions of a data set, N in all, in the order of their file.

    `picture_N` and `class_N` are whole numbers; pictures rank in their numeric order, which decides ties of score, as in
    COCO. `box_N4` is x, y, width, height in pixels. Gold has `area_N` (width times height by default) and `crowd_N`;
    predictions have `score_N` (all equal by default).
    """

    picture_N: np.ndarray
    class_N: np.ndarray
    box_N4: np.ndarray
    area_N: np.ndarray = field(default_factory=lambda: np.zeros(0))
    crowd_N: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    score_N: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        n = len(self.picture_N)
        box_N4 = np.asarray(self.box_N4, dtype=np.float64).reshape(-1, 4)
        self._set("picture_N", self.picture_N, np.int64)
        self._set("class_N", self.class_N, np.int64)
        self._set("box_N4", box_N4, np.float64)
        self._set("area_N", self.area_N if len(self.area_N) else box_N4[:, 2] * box_N4[:, 3], np.float64)
        self._set("crowd_N", self.crowd_N if len(self.crowd_N) else np.zeros(n), bool)
        self._set("score_N", self.score_N if len(self.score_N) else np.ones(n), np.float64)
        lengths = sorted({len(getattr(self, each.name)) for each in fields(self)})
        if lengths != [n]:
            raise ValueError(f"objects need equally long arrays, got lengths {lengths}")
        if not np.isfinite(self.box_N4).all() or not np.isfinite(self.score_N).all():
            raise ValueError("objects need finite boxes and scores")

    def _set(self, name: str, values: Any, dtype: type) -> None:
        object.__setattr__(self, name, np.asarray(values, dtype=dtype))

    def __len__(self) -> int:
        return len(self.picture_N)

    def of(self, keep: np.ndarray) -> Objects:
        """Those at these positions, or where a mask is true."""
        return Objects(**{each.name: getattr(self, each.name)[keep] for each in fields(self)})


@dataclass(frozen=True, kw_only=True)
class CocoMetrics:
    """The twelve figures of COCO, 0 to 1 or -1 where no gold exists, and each class's AP."""

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar1: float
    ar10: float
    ar100: float
    ar_small: float
    ar_medium: float
    ar_large: float
    by_class: Mapping[int, float]

    @property
    def stats(self) -> tuple[float, ...]:
        """The twelve, in COCO's order."""
        return tuple(getattr(self, name) for name in STATS)


def coco_metrics(
    gold: Objects,
    predicted: Objects,
    *,
    max_detections: Sequence[int] = MAX_DETECTIONS,
    iou_levels: Sequence[float] = IOU_LEVELS,
) -> CocoMetrics:
    """COCO's figures for these predictions. AR1, AR10, AR100 are at the three `max_detections`, AP at the last.

    Classes are those of the gold; others' predictions do not count. ap50 and ap75 are -1 without such a level.
    """
    if len(max_detections) != 3 or not iou_levels:
        raise ValueError(f"COCO has three numbers of detections and some IoU levels, got {max_detections} and {iou_levels}")
    classes = np.unique(gold.class_N)
    predicted = _ranked(predicted.of(np.isin(predicted.class_N, classes)), max_detections[-1])
    rank_D = _rank(predicted)
    ignored_GA = np.stack([gold.crowd_N | (gold.area_N < low) | (gold.area_N > high) for low, high in AREAS], axis=1)
    matched_DAT, ignored_DAT = _match(gold, predicted, ignored_GA, np.asarray(iou_levels))

    ap_KAT = np.full((len(classes), len(AREAS), len(iou_levels)), -1.0)
    recall_KMAT = np.full((len(classes), 3, len(AREAS), len(iou_levels)), -1.0)
    order_D = np.lexsort((rank_D, predicted.picture_N, -predicted.score_N, predicted.class_N))
    starts = np.searchsorted(predicted.class_N[order_D], [classes, classes + 1])
    for k, (start, end) in enumerate(starts.T):
        of_class = order_D[start:end]
        is_hit, is_counted = matched_DAT[of_class] & ~ignored_DAT[of_class], ~ignored_DAT[of_class]
        n_gold_A = (~ignored_GA[gold.class_N == classes[k]]).sum(axis=0)
        for a in np.flatnonzero(n_gold_A):
            n_gold = int(n_gold_A[a])
            for m, limit in enumerate(max_detections):
                recall_KMAT[k, m, a] = is_hit[rank_D[of_class] < limit, a].sum(axis=0) / n_gold
            place_DT = is_counted[:, a].cumsum(axis=0)
            for t in range(len(iou_levels)):
                ap_KAT[k, a, t] = average_precision(place_DT[is_hit[:, a, t], t].tolist(), n_gold)
    return _summary(classes, ap_KAT, recall_KMAT, iou_levels)


def mean_over_sets(metrics: Sequence[CocoMetrics]) -> float:
    """The unweighted mean of AP over data sets, as ODinW-13 and ODinW-35 are reported. ValueError where there is none."""
    if not metrics:
        raise ValueError("a mean over data sets needs at least one")
    return float(np.mean([each.ap for each in metrics]))


def from_coco(annotations: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> tuple[Objects, Objects]:
    """Gold and predictions out of COCO's dictionaries: an annotation file's content, and a results file's list.

    ValueError where a result names a picture that the annotations do not have. What belongs to no listed picture or
    category is left out, as in pycocotools.
    """
    pictures = {picture["id"] for picture in annotations["images"]}
    categories = {category["id"] for category in annotations["categories"]}
    unknown = {result["image_id"] for result in results} - pictures
    if unknown:
        raise ValueError(f"results name pictures that the annotations do not have: {sorted(unknown)[:5]}")
    listed = (thing for thing in annotations["annotations"] if thing["image_id"] in pictures)
    things = [thing for thing in listed if thing["category_id"] in categories]
    said = [result for result in results if result["category_id"] in categories]
    gold = _objects(things, area_N=[t["area"] for t in things], crowd_N=[bool(t.get("iscrowd", 0)) for t in things])
    return gold, _objects(said, score_N=[result["score"] for result in said])


def from_labelled(
    gold: Sequence[Sequence[Labelled]],
    predicted: Sequence[Sequence[Labelled]],
    *,
    scores: Sequence[Sequence[float]] | None = None,
) -> tuple[Objects, Objects, tuple[str, ...]]:
    """Gold and predictions, one list per picture in each, and the labels that the class numbers stand for.

    Boxes must be in pixels of one frame for the area ranges to mean what COCO means; `scores` are all 1 by default.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"needs one list of gold and one of predictions per picture, got {len(gold)} and {len(predicted)}")
    one_frame([thing.box for side in (gold, predicted) for things in side for thing in things])
    labels = tuple(sorted({thing.label for side in (gold, predicted) for things in side for thing in things}))
    number = {label: k for k, label in enumerate(labels)}

    def flat(side: Sequence[Sequence[Labelled]], **more: Any) -> Objects:
        rows = [
            (i, number[thing.label], thing.box.x1, thing.box.y1, thing.box.x2 - thing.box.x1, thing.box.y2 - thing.box.y1)
            for i, things in enumerate(side)
            for thing in things
        ]
        table = np.array(rows, dtype=np.float64).reshape(-1, 6)
        return Objects(picture_N=table[:, 0], class_N=table[:, 1], box_N4=table[:, 2:], **more)

    score_N = [] if scores is None else [s for each in scores for s in each]
    return flat(gold), flat(predicted, score_N=np.array(score_N)), labels


def _objects(rows: Sequence[Mapping[str, Any]], **more: Any) -> Objects:
    return Objects(
        picture_N=np.array([row["image_id"] for row in rows], dtype=np.int64),
        class_N=np.array([row["category_id"] for row in rows], dtype=np.int64),
        box_N4=np.array([row["bbox"] for row in rows], dtype=np.float64),
        **{name: np.array(values) for name, values in more.items()},
    )


def _ranked(predicted: Objects, limit: int) -> Objects:
    """By picture, class and falling score; of a class in a picture at most `limit`. Equal scores keep their order."""
    predicted = predicted.of(np.lexsort((-predicted.score_N, predicted.class_N, predicted.picture_N)))
    return predicted.of(_rank(predicted) < limit)


def _rank(ranked: Objects) -> np.ndarray:
    """The place of each within its picture and class, from 0."""
    n = len(ranked)
    is_first = np.ones(n, bool)
    is_first[1:] = (np.diff(ranked.picture_N) != 0) | (np.diff(ranked.class_N) != 0)
    return np.arange(n) - np.maximum.accumulate(np.where(is_first, np.arange(n), 0)) if n else np.zeros(0, np.int64)


def _match(gold: Objects, predicted: Objects, ignored_GA: np.ndarray, level_T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each prediction is matched, and whether it is ignored, by area range and IoU level: both (D, A, T)."""
    n_area, n_level = len(AREAS), len(level_T)
    matched_DAT = np.zeros((len(predicted), n_area, n_level), bool)
    area_D = predicted.box_N4[:, 2] * predicted.box_N4[:, 3]
    is_outside_DA = np.stack([(area_D < low) | (area_D > high) for low, high in AREAS], axis=1)
    ignored_DAT = np.repeat(is_outside_DA[:, :, None], n_level, axis=2)
    level_T = np.minimum(level_T, 1 - 1e-10)  # C
    det_E, gold_E, iou_E = _candidates(gold, predicted, level_T.min())
    taken_GAT = np.zeros((len(gold), n_area, n_level), bool)
    for edges in _passes(det_E, predicted):
        # Per prediction the edges rise by IoU, then by gold position: the last free one is the match, and gold that
        # counts goes before gold that does not.
        det_e, gold_e = det_E[edges], gold_E[edges]
        starts = np.flatnonzero(np.diff(det_e, prepend=-1))
        is_free_eAT = (iou_E[edges][:, None, None] >= level_T) & (~taken_GAT[gold_e] | gold.crowd_N[gold_e][:, None, None])
        preferred_eA = np.arange(len(edges))[:, None] + np.where(ignored_GA[gold_e], 0, len(edges))
        best_sAT = np.maximum.reduceat(np.where(is_free_eAT, preferred_eA[:, :, None], -1), starts, axis=0)
        s, a, t = np.nonzero(best_sAT >= 0)
        det, chosen = det_e[starts][s], gold_e[best_sAT[s, a, t] % len(edges)]
        taken_GAT[chosen, a, t] = True
        matched_DAT[det, a, t] = True
        ignored_DAT[det, a, t] = ignored_GA[chosen, a]
    return matched_DAT, ignored_DAT


def _candidates(gold: Objects, predicted: Objects, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every (prediction, gold, IoU) of one picture and class with an IoU of at least `level`, by prediction, IoU, gold."""
    key_G, key_D = _key(gold, predicted)
    order_G = np.argsort(key_G, kind="stable")
    first_D, last_D = np.searchsorted(key_G[order_G], [key_D, key_D + 1])
    count_D = last_D - first_D
    det_E = np.repeat(np.arange(len(predicted)), count_D)
    within = np.arange(len(det_E)) - np.repeat(count_D.cumsum() - count_D, count_D)
    gold_E = order_G[first_D[det_E] + within]
    iou_E = _iou_of_pairs(predicted.box_N4[det_E], gold.box_N4[gold_E], gold.crowd_N[gold_E])
    near = np.flatnonzero(iou_E >= level)
    near = near[np.lexsort((gold_E[near], iou_E[near], det_E[near]))]
    return det_E[near], gold_E[near], iou_E[near]


def _key(gold: Objects, predicted: Objects) -> tuple[np.ndarray, np.ndarray]:
    """One number per object for its picture and class."""
    pictures = np.unique(np.concatenate([gold.picture_N, predicted.picture_N]))
    classes = np.unique(np.concatenate([gold.class_N, predicted.class_N]))

    def of(side: Objects) -> np.ndarray:
        return np.searchsorted(pictures, side.picture_N) * len(classes) + np.searchsorted(classes, side.class_N)

    return of(gold), of(predicted)


def _iou_of_pairs(said_E4: np.ndarray, gold_E4: np.ndarray, crowd_E: np.ndarray) -> np.ndarray:
    """IoU row by row; over the prediction's own area where the gold is a crowd. # C"""
    low = np.maximum(said_E4[:, :2], gold_E4[:, :2])
    high = np.minimum(said_E4[:, :2] + said_E4[:, 2:], gold_E4[:, :2] + gold_E4[:, 2:])
    size = high - low
    both = np.where((size > 0).all(axis=1), size[:, 0] * size[:, 1], 0.0)
    said, of_gold = said_E4[:, 2] * said_E4[:, 3], gold_E4[:, 2] * gold_E4[:, 3]
    whole = np.where(crowd_E, said, said + of_gold - both)
    return np.divide(both, whole, out=np.zeros_like(both), where=both > 0)


def _passes(det_E: np.ndarray, predicted: Objects) -> list[np.ndarray]:
    """The edges' positions, in passes that each hold at most one prediction of a picture and class, best score first."""
    if not len(det_E):
        return []
    det, position_E = np.unique(det_E, return_inverse=True)  # predictions that may match at all
    rank_E = _rank(predicted.of(det))[position_E]
    order = np.argsort(rank_E, kind="stable")
    return np.split(order, np.searchsorted(rank_E[order], np.arange(1, rank_E.max() + 1)))


def _summary(classes: np.ndarray, ap_KAT: np.ndarray, recall_KMAT: np.ndarray, iou_levels: Sequence[float]) -> CocoMetrics:
    def mean(values: np.ndarray) -> float:
        values = values[values > -1]
        return float(values.mean()) if values.size else -1.0

    def at(level: float) -> float:
        return mean(ap_KAT[:, 0, np.flatnonzero(np.asarray(iou_levels) == level)])

    ap = [mean(ap_KAT[:, a]) for a in range(4)]
    recall = [mean(recall_KMAT[:, m, 0]) for m in range(3)] + [mean(recall_KMAT[:, 2, a]) for a in (1, 2, 3)]
    figures = dict(zip(STATS, (ap[0], at(0.5), at(0.75), *ap[1:], *recall), strict=True))
    return CocoMetrics(**figures, by_class={int(k): mean(ap_KAT[i, 0]) for i, k in enumerate(classes)})
