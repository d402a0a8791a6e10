"""The loss of each trained token, before anything is averaged.

Every surrogate takes four tensors over the same M trained tokens and returns loss_M, differentiable in logp_M:

    logp_M      log-prob of the token under the policy that is being trained
    old_M       the same under the policy that sampled it (or its recomputation before the first update); a constant
    adv_M       how good the token's rollout was
    rollout_M   which rollout the token belongs to: any integers, equal for tokens of one rollout

Averaging is the business of token weights (`weights.py`). The tokens of one rollout must stand in one call, as
SequenceRatio averages over them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Surrogate = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(logp_M, old_M, adv_M, rollout_M) -> loss_M."""

MAX_LOG_RATIO = 20.0  # C verl: exp(20) is finite in bfloat16, and no sane ratio comes near
MAX_LOG_SEQUENCE_RATIO = 10.0  # C verl, GSPO


@dataclass(frozen=True, kw_only=True)
class ClippedRatio:
    """max(-A rho, -A clip(rho, 1 - low, 1 + high)), rho = exp(logp - old): PPO (1707.06347) equation 7.

    `low` = `high` is GRPO's clip; DAPO (2503.14476) opens the upper side alone. With `dual` = c > 1 the loss of a token
    with A < 0 never exceeds -A c (dual clip, 1912.09729), None leaves it out. On the first update after sampling rho is
    1 everywhere and the gradient is REINFORCE's.
    """

    low: float = 0.2
    high: float = 0.2
    dual: float | None = None

    def __post_init__(self) -> None:
        _check_clip(self.low, self.high)
        if self.dual is not None and self.dual <= 1:
            raise ValueError(f"dual is a cap on the ratio and must be above 1 (3 and 10 are usual), got {self.dual}")

    def __call__(self, logp_M: Tensor, old_M: Tensor, adv_M: Tensor, rollout_M: Tensor) -> Tensor:
        ratio_M = (logp_M - old_M.detach()).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()
        loss_M = _clipped(ratio_M, adv_M, low=self.low, high=self.high)
        if self.dual is None:
            return loss_M
        return torch.where(adv_M < 0, torch.minimum(-adv_M * self.dual, loss_M), loss_M)


@dataclass(frozen=True, kw_only=True)
class SequenceRatio:
    """The clipped loss with one ratio per rollout: GSPO (2507.18071), in the token form of its section 4.3.

    s = exp(mean over the rollout's tokens of logp - old) in value; in gradient each token stands for itself, so that
    token advantages stay possible. Ranges are tiny (3e-4 below, 4e-4 above) and clipping 15 % of tokens is normal.
    """

    low: float = 3e-4
    high: float = 4e-4

    def __post_init__(self) -> None:
        _check_clip(self.low, self.high)

    def __call__(self, logp_M: Tensor, old_M: Tensor, adv_M: Tensor, rollout_M: Tensor) -> Tensor:
        mean_M = rollout_means((logp_M - old_M).detach(), rollout_M)
        log_ratio_M = mean_M + logp_M - logp_M.detach()
        return _clipped(log_ratio_M.clamp(max=MAX_LOG_SEQUENCE_RATIO).exp(), adv_M, low=self.low, high=self.high)


def policy_gradient(logp_M: Tensor, old_M: Tensor, adv_M: Tensor, rollout_M: Tensor) -> Tensor:
    """-A exp(logp - stop_gradient(logp)): value -A, gradient REINFORCE's. For rollouts of the current policy only."""
    return -adv_M * (logp_M - logp_M.detach()).exp()


def nll(logp_M: Tensor, old_M: Tensor, adv_M: Tensor, rollout_M: Tensor) -> Tensor:
    """-logp: imitation of the tokens as they stand."""
    return -logp_M


def rollout_means(value_M: Tensor, rollout_M: Tensor) -> Tensor:
    """The mean of `value_M` over each token's rollout, at each token."""
    _, index_M, count_B = torch.unique(rollout_M, return_inverse=True, return_counts=True)
    sum_B = value_M.new_zeros(len(count_B)).index_add(0, index_M, value_M)
    return (sum_B / count_B)[index_M]


def _clipped(ratio_M: Tensor, adv_M: Tensor, *, low: float, high: float) -> Tensor:
    return torch.maximum(-adv_M * ratio_M, -adv_M * ratio_M.clamp(1 - low, 1 + high))


def _check_clip(low: float, high: float) -> None:
    if not (0 <= low <= 1 and high >= 0):
        raise ValueError(f"a clip range needs 0 <= low <= 1 and high >= 0, got low={low}, high={high}")
