"""What one optimizer step was like, gathered pack by pack: means over tokens, peaks, shares."""

from __future__ import annotations

import torch
from torch import Tensor

from saccade.algo.surrogates import MAX_LOG_RATIO


class Meter:
    """Sums and counts by metric (docs/metrics.md); `metrics` divides them."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, key: str, value_M: Tensor) -> None:
        """Take these values into a mean."""
        self._sums[key] = self._sums.get(key, 0.0) + float(value_M.detach().double().sum())
        self._counts[key] = self._counts.get(key, 0) + value_M.numel()

    def total(self, key: str, value: Tensor) -> None:
        """Add to a sum over packs."""
        self._sums[key] = self._sums.get(key, 0.0) + float(value.detach())
        self._counts[key] = 1

    def peak(self, key: str, value_M: Tensor) -> None:
        """Keep the largest of values that are 0 or more."""
        if value_M.numel():
            self._sums[key] = max(self._sums.get(key, 0.0), float(value_M.max()))
            self._counts[key] = 1

    def clipping(self, loss_M: Tensor, logp_M: Tensor, adv_M: Tensor) -> None:
        """The share of tokens whose gradient the surrogate switched off, by the sign of their advantage."""
        (slope_M,) = torch.autograd.grad(loss_M.sum(), logp_M, retain_graph=True)
        for key, is_in_M in (("policy/clipped_positive", adv_M > 0), ("policy/clipped_negative", adv_M < 0)):
            self.add(key, (slope_M == 0)[is_in_M].float())

    def ratios(self, logp_M: Tensor, old_M: Tensor) -> None:
        """How far the policy is from the one that it is compared with."""
        ratio_M = (logp_M - old_M).clamp(max=MAX_LOG_RATIO).exp()
        self.add("policy/ratio_mean", ratio_M)
        self.peak("policy/ratio_max", ratio_M)

    def sampler(self, logp_M: Tensor, sampler_M: Tensor) -> None:
        """How far the learner's log-probs are from the sampler's; rounding error where the two are one model."""
        gap_M = logp_M.cpu().double() - sampler_M
        gap_M = gap_M[~gap_M.isnan()]  # an engine may not have scored every token
        self.add("policy/sampler_gap", gap_M.abs())
        self.peak("policy/sampler_gap_max", gap_M.abs())
        self.add("policy/sampler_kl", gap_M.clamp(max=MAX_LOG_RATIO).exp() - gap_M - 1)
        self.peak("policy/sampler_ratio_max", gap_M.clamp(max=MAX_LOG_RATIO).exp())

    def correction(self, weight_M: Tensor, is_touched_M: Tensor, *, is_fresh_M: Tensor) -> None:
        """What a correction did: the weights of replayed tokens, or of fresh ones, and how many it truncated or dropped."""
        self.add("replay/weight", weight_M[~is_fresh_M])
        weight_M, is_touched_M = weight_M[is_fresh_M], is_touched_M[is_fresh_M]
        self.add("correction/mean", weight_M)
        self.peak("correction/max", weight_M)
        self.add("correction/changed", is_touched_M.float())

    def metrics(self) -> dict[str, float]:
        """Every mean, sum and peak that anything was counted for."""
        return {key: total / self._counts[key] for key, total in self._sums.items() if self._counts[key]}
