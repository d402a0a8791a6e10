"""Non-maximum suppression: of predictions that overlap, only the best stays.

    >>> kept = nms(predicted)                                  # across labels: one box, one label
    >>> coco_metrics(gold, kept).ap                            # NMS-AP, as OVDEval reports it

AP alone rewards saying every label of the same box; after suppression across labels a model must decide.
"""

from __future__ import annotations

import numpy as np

from saccade.rewards.geometry.boxes import iou
from saccade.rewards.geometry.coco import Objects


def nms(predicted: Objects, *, above: float = 0.5, across_labels: bool = True) -> Objects:
    """The predictions that overlap no better one of their picture by an IoU above `above`, in their order.

    Better is a higher score, of equal scores the earlier. `across_labels`: whatever its label (# S OVDEval; its
    threshold of 0.5 is # I); else suppression is within a label.
    """
    if not 0 <= above < 1:
        raise ValueError(f"an IoU that suppresses is from 0 to below 1, got {above}")
    box_N4 = predicted.box_N4.copy()
    box_N4[:, 2:] += box_N4[:, :2]
    keys = [predicted.picture_N] if across_labels else [predicted.picture_N, predicted.class_N]
    group_N = np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    order_N = np.lexsort((-predicted.score_N, group_N))
    is_kept_N = np.zeros(len(predicted), bool)
    for members in np.split(order_N, np.flatnonzero(np.diff(group_N[order_N])) + 1):
        is_kept_N[members[_survivors(box_N4[members], above)]] = True
    return predicted.of(is_kept_N)


def _survivors(box_K4: np.ndarray, above: float) -> list[int]:
    """Positions of those that no survivor before them suppresses; best first."""
    overlaps_KK = iou(box_K4, box_K4) > above
    is_free_K, kept = np.ones(len(box_K4), bool), []
    for k in range(len(box_K4)):
        if is_free_K[k]:
            kept.append(k)
            is_free_K &= ~overlaps_KK[k]
    return kept
