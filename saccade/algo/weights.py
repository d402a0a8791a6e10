"""How much each trained token counts in the loss of a whole optimizer step: loss = sum(weight_M * loss_M).

A `weigh` function sees the number of trained tokens of EVERY rollout of the step, and returns one weight per token,
rollout after rollout. Because the weights are fixed before the step is split into micro-batches or ranks, splitting can
never change the loss; averaging inside a micro-batch does, and is a common bug of the field.

    >>> sequence_mean_token_mean([1, 3])          # each rollout half, shared by its tokens
    array([0.5       , 0.16666667, 0.16666667, 0.16666667])
    >>> token_mean([1, 3])
    array([0.25, 0.25, 0.25, 0.25])

A rollout without trained tokens counts for nothing, also not as a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Weigh = Callable[[Sequence[int]], np.ndarray]
"""lengths_B, trained tokens per rollout of the whole step -> weight_M, float64."""


def sequence_mean_token_mean(lengths_B: Sequence[int]) -> np.ndarray:
    """1 / (rows * length): the mean over rollouts of each one's mean over tokens. GRPO as published."""
    length_B, n_rows = _lengths(lengths_B)
    return np.repeat(1 / (n_rows * np.maximum(length_B, 1)), length_B)


def token_mean(lengths_B: Sequence[int]) -> np.ndarray:
    """1 / all tokens: every token of the step counts the same. DAPO (2503.14476) equation 8."""
    length_B, _ = _lengths(lengths_B)
    n_tokens = int(length_B.sum())
    return np.full(n_tokens, 1 / max(n_tokens, 1))


def sequence_mean_token_sum(lengths_B: Sequence[int]) -> np.ndarray:
    """1 / rows: the mean over rollouts of each one's sum over tokens: the policy gradient of whole answers."""
    length_B, n_rows = _lengths(lengths_B)
    return np.full(int(length_B.sum()), 1 / n_rows)


@dataclass(frozen=True, kw_only=True)
class ConstantLimit:
    """1 / (rows * limit): sums over tokens, divided by a constant, the generation budget. Dr. GRPO (2503.20783)."""

    limit: int

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ValueError(f"limit is the most tokens that an answer may have, at least 1, got {self.limit}")

    def __call__(self, lengths_B: Sequence[int]) -> np.ndarray:
        return sequence_mean_token_sum(lengths_B) / self.limit


def _lengths(lengths_B: Sequence[int]) -> tuple[np.ndarray, int]:
    length_B = np.asarray(lengths_B, dtype=np.int64).reshape(-1)
    if (length_B < 0).any():
        raise ValueError(f"lengths are counts of tokens, got {length_B.min()}")
    return length_B, max(int((length_B > 0).sum()), 1)
