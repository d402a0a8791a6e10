"""Masks against masks: overlap per picture and over a set, pixel AUC, and the box around a mask.

    >>> truth, said = np.array([[1, 1, 0]]), np.array([[0, 1, 1]])
    >>> overlap = compare(said, truth)
    >>> overlap.iou, overlap.f1
    (0.3333333333333333, 0.5)
    >>> ciou_over_set([overlap]), giou_over_set([overlap])

A mask is an (H, W) array that is true where it is above 0: the grey values of the published truth masks count too. Where
truth and prediction are both empty every figure is 1.0; where only one is, 0.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from saccade.core.picture import Box, Frame


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Pixels that prediction and truth share, that only the prediction has, and that only the truth has."""

    n_both: int
    n_said_only: int
    n_true_only: int

    @property
    def n_union(self) -> int:
        """Pixels of either."""
        return self.n_both + self.n_said_only + self.n_true_only

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN)."""
        return _share(self.n_both, self.n_union)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN), which is Dice, and 2 IoU / (1 + IoU) of one picture."""
        return _share(2 * self.n_both, self.n_both + self.n_union)

    @property
    def precision(self) -> float:
        """TP / (TP + FP); with nothing predicted, 1.0 where there was nothing to find, else 0.0."""
        return _share(self.n_both, self.n_both + self.n_said_only, is_empty_right=self.n_true_only == 0)

    @property
    def recall(self) -> float:
        """TP / (TP + FN); with nothing to find, 1.0 where nothing was predicted, else 0.0."""
        return _share(self.n_both, self.n_both + self.n_true_only, is_empty_right=self.n_said_only == 0)


def compare(said_HW: np.ndarray, truth_HW: np.ndarray, *, threshold: float = 0.0) -> Overlap:
    """The overlap of a prediction with the truth. The prediction counts where it is above `threshold`; the truth above 0.

    A prediction of another size is brought to the truth's by nearest neighbour. `threshold` is 0.5 for probabilities, 0
    for logits and for masks. ValueError for arrays that are not (H, W).
    """
    said_HW = resized(np.asarray(said_HW), _flat(truth_HW).shape)
    said, truth = said_HW > threshold, _flat(truth_HW) > 0
    n_both = int(np.count_nonzero(said & truth))
    return Overlap(
        n_both=n_both, n_said_only=int(np.count_nonzero(said)) - n_both, n_true_only=int(np.count_nonzero(truth)) - n_both
    )


def giou_over_set(overlaps: Sequence[Overlap], *, smooth: float = 0.0) -> float:
    """The mean of the pictures' IoU, which LISA and SIDA call gIoU. It is not the generalised IoU of boxes.

    `smooth` is added to every union; theirs is 1e-5 (# C). An empty union counts 1. ValueError where there is no picture.
    """
    _need(overlaps)
    return float(np.mean([o.n_both / (o.n_union + smooth) if o.n_union else 1.0 for o in overlaps]))


def ciou_over_set(overlaps: Sequence[Overlap]) -> float:
    """All shared pixels of the set over all pixels of its unions, which LISA and SIDA call cIoU; large objects weigh more.

    1.0 where all unions are empty. ValueError where there is no picture.
    """
    _need(overlaps)
    return _share(sum(o.n_both for o in overlaps), sum(o.n_union for o in overlaps))


def f1_over_set(overlaps: Sequence[Overlap]) -> float:
    """The mean of the pictures' pixel F1. ValueError where there is no picture."""
    _need(overlaps)
    return float(np.mean([o.f1 for o in overlaps]))


def pixel_auc(score_HW: np.ndarray, truth_HW: np.ndarray) -> float | None:
    """Area under the ROC curve over the pixels of one picture, equal scores counting half; average it over pictures.

    None where the truth is empty or fills the picture, as there is then nothing to tell apart.
    """
    truth = _flat(truth_HW) > 0
    score = resized(np.asarray(score_HW), truth.shape)
    n_true = int(np.count_nonzero(truth))
    n_false = truth.size - n_true
    if not n_true or not n_false:
        return None
    rank_sum = rankdata(score, method="average")[truth.ravel()].sum()
    return float((rank_sum - n_true * (n_true + 1) / 2) / (n_true * n_false))


def macro_f1(said: Sequence[str], truth: Sequence[str], *, classes: Sequence[str]) -> float:
    """The mean over classes of 2 TP / (2 TP + FP + FN), 0 for a class that neither said nor true answers have.

    What is said and is no class, such as an answer that could not be read, is wrong. ValueError when lengths differ.
    """
    if not classes:
        raise ValueError("macro F1 needs its classes")
    pairs = list(zip(said, truth, strict=True))
    scores = []
    for name in classes:
        n_both = sum(a == b == name for a, b in pairs)
        n_either = sum((a == name) + (b == name) for a, b in pairs)
        scores.append(2 * n_both / n_either if n_either else 0.0)
    return sum(scores) / len(scores)


def resized(mask_HW: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The array at another (height, width), each pixel that of the nearest centre. ValueError for empty or non-(H, W)."""
    mask_HW = _flat(mask_HW)
    if mask_HW.shape == tuple(shape):
        return mask_HW
    if 0 in mask_HW.shape or 0 in shape:
        raise ValueError(f"cannot resize a mask of {mask_HW.shape} to {tuple(shape)}")
    row, column = (((2 * np.arange(to) + 1) * have) // (2 * to) for have, to in zip(mask_HW.shape, shape, strict=True))
    return mask_HW[row[:, None], column[None, :]]


def box_around(mask_HW: np.ndarray, *, frame: Frame = Frame.PIXEL) -> Box | None:
    """The smallest box around all that is above 0, edges of pixels: one pixel at (3, 2) is (3, 2, 4, 3). None if empty."""
    mask_HW = _flat(mask_HW) > 0
    rows, columns = np.flatnonzero(mask_HW.any(axis=1)), np.flatnonzero(mask_HW.any(axis=0))
    if not len(rows):
        return None
    return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1), frame)


def box_mask(box: Box, shape: tuple[int, int]) -> np.ndarray:
    """The (H, W) mask of the pixels whose centre lies in the box, whose coordinates are those of this picture size."""
    height, width = shape
    y, x = np.arange(height) + 0.5, np.arange(width) + 0.5
    return ((box.y1 <= y) & (y < box.y2))[:, None] & ((box.x1 <= x) & (x < box.x2))[None, :]


def _flat(mask: np.ndarray) -> np.ndarray:
    mask = np.asarray(mask)
    if mask.ndim != 2:
        raise ValueError(f"a mask is (height, width), got the shape {mask.shape}")
    return mask


def _share(part: int, whole: int, *, is_empty_right: bool = True) -> float:
    return part / whole if whole else float(is_empty_right)


def _need(overlaps: Sequence[Overlap]) -> None:
    if not overlaps:
        raise ValueError("a figure over a set needs at least one picture")
