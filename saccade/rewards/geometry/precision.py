"""Average precision of a row of detections, best first: the share of 101 recall levels, each at the best precision there.

Shared by whole data sets (`coco.py`) and single answers (`sample_map.py`). COCO samples the precision envelope at recalls
0, 0.01 ... 1, and a recall level is reached at the k-th right detection when k / n_gold >= level, compared as floats.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

IOU_LEVELS = tuple(np.linspace(0.5, 0.95, 10).tolist())  # C pycocotools: 0.5, 0.55 ... 0.95
RECALL_LEVELS = np.linspace(0.0, 1.0, 101)  # C pycocotools


@functools.lru_cache(maxsize=4096)
def levels_per_hit(n_gold: int) -> tuple[int, ...]:
    """How many recall levels are first reached at the k-th right detection, for k of 1 to n_gold; together 101."""
    reached = np.searchsorted(np.arange(1, n_gold + 1) / n_gold, RECALL_LEVELS, side="left")
    return tuple(np.bincount(reached, minlength=n_gold).tolist())


def average_precision(hit_rank_K: Sequence[int], n_gold: int) -> float:
    """AP, 0 to 1, of a ranking whose right detections stand at these 1-based ranks, rising, with `n_gold` to be found.

    >>> average_precision([1, 3], 2)         # right, wrong, right
    0.8349834983498349
    """
    weight_K = levels_per_hit(n_gold)
    total = best = 0.0
    for k in range(len(hit_rank_K), 0, -1):
        best = max(best, k / hit_rank_K[k - 1])
        total += weight_K[k - 1] * best
    return total / 101
