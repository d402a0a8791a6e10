"""Which prediction answers which gold object, each used once, and what that says: precision, recall, F1.

    >>> greedy(np.array([[0.9, 0.6], [0.8, 0.1]]), at_least=0.5)     # the best pair first, then what is left
    [(0, 0)]
    >>> hungarian(-np.array([[0.9, 0.6], [0.8, 0.1]]))               # the least total cost
    [(0, 1), (1, 0)]

N predictions, M gold objects.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from saccade.core.picture import Labelled
from saccade.rewards.geometry.boxes import pairwise_iou


def hungarian(cost_NM: np.ndarray) -> list[tuple[int, int]]:
    """The min(N, M) pairs (row, column) of least total cost, by row. ValueError where a cost is not a number."""
    rows, columns = linear_sum_assignment(cost_NM)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def greedy(score_NM: np.ndarray, *, at_least: float = 0.0) -> list[tuple[int, int]]:
    """Pairs (row, column), the highest score first, each row and column once, down to scores of `at_least`.

    Of equal scores the lower row comes first, then the lower column.
    """
    rows, columns = np.nonzero(score_NM >= at_least)
    order = np.argsort(-score_NM[rows, columns], kind="stable")
    free_row, free_column = [True] * score_NM.shape[0], [True] * score_NM.shape[1]
    pairs = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if free_row[row] and free_column[column]:
            free_row[row] = free_column[column] = False
            pairs.append((row, column))
    return pairs


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many were found right, said, and there to find. Add counts for the micro average over a set."""

    n_right: int
    n_said: int
    n_gold: int

    @property
    def precision(self) -> float:
        """The share of what was said that is right; with nothing said, 1 where there was nothing to find, else 0."""
        return self.n_right / self.n_said if self.n_said else float(self.n_gold == 0)

    @property
    def recall(self) -> float:
        """The share of what was there that was found; with nothing there, 1 where nothing was said, else 0."""
        return self.n_right / self.n_gold if self.n_gold else float(self.n_said == 0)

    @property
    def f1(self) -> float:
        """2 right / (said + gold), the harmonic mean of precision and recall; 1 where both are empty."""
        total = self.n_said + self.n_gold
        return 2 * self.n_right / total if total else 1.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            n_right=self.n_right + other.n_right, n_said=self.n_said + other.n_said, n_gold=self.n_gold + other.n_gold
        )


def found(predicted: Sequence[Labelled], gold: Sequence[Labelled], *, iou: float = 0.5, by_label: bool = True) -> Counts:
    """Greedy one-to-one matches of at least this IoU, of equal label unless `by_label` is off.

    The "greedy precision" and "greedy recall" of open-vocabulary detection (VLM-R1's table): `.precision`, `.recall`.
    """
    iou_NM = pairwise_iou([p.box for p in predicted], [g.box for g in gold])
    if by_label:
        label_N, label_M = ([thing.label for thing in side] for side in (predicted, gold))
        iou_NM = np.where(np.array(label_N, dtype=object)[:, None] == np.array(label_M, dtype=object)[None, :], iou_NM, -1.0)
    pairs = greedy(iou_NM, at_least=max(iou, 1e-12))  # a pair that does not overlap is no match at iou=0 either
    return Counts(n_right=len(pairs), n_said=len(predicted), n_gold=len(gold))


@dataclass(frozen=True)
class Staged:
    """A number that changes in steps as training progresses: `values[i]` from `starts[i]` on, `starts[0]` being 0.

    >>> threshold = Staged(values=(0.5, 0.75), starts=(0.0, 0.5))
    >>> threshold(0.49), threshold(0.5)
    (0.5, 0.75)
    """

    values: tuple[float, ...]
    starts: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        rises = all(a < b for a, b in zip(self.starts, self.starts[1:], strict=False))
        if len(self.values) != len(self.starts) or self.starts[:1] != (0.0,) or not rises:
            raise ValueError(f"stages need one start per value, the first 0 and rising, got {self}")

    def __call__(self, progress: float) -> float:
        """The value at this training progress, 0 to 1."""
        return self.values[bisect.bisect_right(self.starts, progress) - 1]
