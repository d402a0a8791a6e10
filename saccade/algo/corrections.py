"""What to do where the engine that sampled and the learner disagree about a token's log-prob.

A vLLM or SGLang server computes in other kernels, often in other precision, so tokens are drawn from a slightly other policy
than the one that learns from them. With w = exp(old - sampler), old being the learner's log-prob before the first update:

    TruncatedRatio   min(w, cap)                         truncated importance sampling (TIS)
    MaskedRatio      w where it lies in [low, high]      TRL's default for vLLM; IcePop (per token)
    Rejected         1 where a statistic does, else 0    verl's rejection sampling
    Corrections      the product of several

A correction takes (old_M, sampler_M, rollout_M) and returns one weight >= 0 per token, without gradient, by which the surrogate's
loss is multiplied, before the KL penalty is added. Token weights are not changed: a rejected token still counts in the
denominators, so that a step of a hundred rejected rollouts is a small step.

    >>> TruncatedRatio(cap=2.0)(torch.tensor([-1.0]), torch.tensor([-2.0]), torch.tensor([0]))     # e^1 is 2.718
    tensor([2.])

A token that the engine gave no log-prob for (NaN) counts as one that both agree on.

Off where the policy samples with its own weights: the two agree there to rounding error, which the probe proves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from saccade.algo.surrogates import MAX_LOG_RATIO, rollout_means, rollout_peaks, rollout_sums

Correction = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(old_M, sampler_M, rollout_M) -> weight_M."""

Level = Literal["token", "sequence"]
Statistic = Literal["k1", "k2", "k3"]
Over = Literal["token", "sum", "mean", "max"]


@dataclass(frozen=True, kw_only=True)
class TruncatedRatio:
    """min(max(w, floor), cap): biased a little, and never large.

    Per token, or with `level` "sequence" one w = exp(sum over the rollout) for all its tokens; the sum collapses for long
    answers. Typical caps are 1.5 to 5 per token, 2 to 10 per sequence.
    """

    cap: float = 2.0  # C verl
    floor: float = 0.0
    level: Level = "token"

    def __post_init__(self) -> None:
        _require_range(self.floor, self.cap, at_least=0.0)
        _require_word("level", self.level, Level)

    def __call__(self, old_M: Tensor, sampler_M: Tensor, rollout_M: Tensor) -> Tensor:
        return _ratio(old_M, sampler_M, rollout_M, self.level).clamp(self.floor, self.cap)

    def touched(self, old_M: Tensor, sampler_M: Tensor, rollout_M: Tensor) -> Tensor:
        """Which tokens' weights were truncated."""
        return self(old_M, sampler_M, rollout_M) != _ratio(old_M, sampler_M, rollout_M, self.level)


@dataclass(frozen=True, kw_only=True)
class MaskedRatio:
    """w where low <= w <= high, 0 elsewhere."""

    high: float = 3.0  # C TRL
    low: float = 0.0
    level: Level = "sequence"  # C TRL

    def __post_init__(self) -> None:
        _require_range(self.low, self.high, at_least=0.0)
        _require_word("level", self.level, Level)

    def __call__(self, old_M: Tensor, sampler_M: Tensor, rollout_M: Tensor) -> Tensor:
        weight_M = _ratio(old_M, sampler_M, rollout_M, self.level)
        return weight_M.masked_fill((weight_M < self.low) | (weight_M > self.high), 0.0)


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """1 where a statistic of x = old - sampler lies in [low, high], 0 elsewhere; nothing is reweighted.

    `statistic` of a token is k1 = x, k2 = x^2 / 2 or k3 = exp(x) - x - 1 (the KL from sampler to learner); `over` is "token",
    or the "sum", "mean" or "max" over the rollout, which then stands or falls as a whole. Ratios from 0.6 to 1.4 are
    low=log(0.6), high=log(1.4) with k1.
    """

    low: float = -math.inf
    high: float
    statistic: Statistic = "k1"
    over: Over = "token"

    def __post_init__(self) -> None:
        _require_range(self.low, self.high)
        _require_word("statistic of a token", self.statistic, Statistic)
        _require_word("over", self.over, Over)

    def __call__(self, old_M: Tensor, sampler_M: Tensor, rollout_M: Tensor) -> Tensor:
        x_M = _difference(old_M, sampler_M).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
        match self.statistic:
            case "k1":
                value_M = x_M
            case "k2":
                value_M = x_M.square() / 2
            case "k3":
                value_M = x_M.exp() - x_M - 1
        reduce = {"token": lambda v, _: v, "sum": rollout_sums, "mean": rollout_means, "max": rollout_peaks}[self.over]
        value_M = reduce(value_M, rollout_M)
        return ((value_M >= self.low) & (value_M <= self.high)).to(x_M.dtype)


@dataclass(frozen=True)
class Corrections:
    """Several at once: the product of their weights, such as TruncatedRatio per token and Rejected per rollout."""

    parts: tuple[Correction, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))

    def touched(self, old_M: Tensor, sampler_M: Tensor, rollout_M: Tensor) -> Tensor:
        """Which tokens' weights any part touched."""
        return torch.stack([touched(part, old_M, sampler_M, rollout_M) for part in self.parts]).any(0)

    def __call__(self, old_M: Tensor, sampler_M: Tensor, rollout_M: Tensor) -> Tensor:
        weight_M = torch.ones_like(old_M)
        for part in self.parts:
            weight_M = weight_M * part(old_M, sampler_M, rollout_M)
        return weight_M


def touched(correction: Correction, old_M: Tensor, sampler_M: Tensor, rollout_M: Tensor) -> Tensor:
    """Which tokens a correction truncated, masked or rejected: as it says itself, else those of weight 0."""
    if hasattr(correction, "touched"):
        return correction.touched(old_M, sampler_M, rollout_M)
    return correction(old_M, sampler_M, rollout_M) == 0


def _difference(old_M: Tensor, sampler_M: Tensor) -> Tensor:
    """old - sampler; 0 for a token that the engine gave no log-prob for (NaN), which is then not corrected."""
    return (old_M - sampler_M).detach().nan_to_num(nan=0.0)


def _ratio(old_M: Tensor, sampler_M: Tensor, rollout_M: Tensor, level: Level) -> Tensor:
    x_M = _difference(old_M, sampler_M)
    if level == "sequence":
        x_M = rollout_sums(x_M, rollout_M)
    return x_M.clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()


def _require_word(what: str, word: str, allowed: Any) -> None:
    if word not in get_args(allowed):
        raise ValueError(f"{what} is one of {', '.join(get_args(allowed))}; got {word!r}")


def _require_range(low: float, high: float, *, at_least: float = -math.inf) -> None:
    if not at_least <= low < high:
        raise ValueError(f"the range needs low < high (and ratios are 0 or more), got {low} to {high}")
