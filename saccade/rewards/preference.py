"""How well distances agree with what people found more alike: the two-alternative forced choice (2AFC) of NIGHTS.

    >>> two_afc([0.2, 0.5, 0.3], [0.4, 0.1, 0.3], [0.0, 1.0, 1.0])          # right, right, undecided
    0.8333333333333334
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def two_afc(left_N: Sequence[float], right_N: Sequence[float], p_right_N: Sequence[float]) -> float:
    """Mean agreement over N triplets, 0 to 1. # C DreamSim's evaluation

        (D_left < D_right) (1 - p) + (D_right < D_left) p + 0.5 (D_left = D_right)

    `left_N` and `right_N` are the distances of the two pictures from the reference, `p_right_N` the share of votes for the
    right one (0 to 1). ValueError where lengths differ, nothing is given, or a share or distance is none.
    """
    left, right, p = (np.asarray(values, dtype=np.float64) for values in (left_N, right_N, p_right_N))
    if not (left.shape == right.shape == p.shape and left.ndim == 1 and left.size):
        shapes = f"{left.shape}, {right.shape}, {p.shape}"
        raise ValueError(f"needs as many distances left and right as votes, at least 1; got {shapes}")
    if not (np.isfinite(left).all() and np.isfinite(right).all() and ((p >= 0) & (p <= 1)).all()):
        raise ValueError("distances must be finite and votes shares from 0 to 1")
    return float(np.mean(np.where(left < right, 1 - p, np.where(right < left, p, 0.5))))
