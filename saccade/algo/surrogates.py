"""The loss of each trained token, before anything is averaged.

Every surrogate takes four tensors over the same M trained tokens and returns loss_M, differentiable in logp_M:

    logp_M      log-prob of the token under the policy that is being trained
    old_M       the same under the policy that sampled it (or its recomputation before the first update); a constant
    adv_M       how good the token's rollout was
    rollout_M   which rollout the token belongs to: any integers, equal for tokens of one rollout

With rho = exp(logp - old), A the advantage, and sg[] what no gradient passes through:

    ClippedRatio            max(-A rho, -A clip(rho))                     PPO, GRPO, DAPO; with `dual` a cap where A < 0
    SequenceRatio           the same with one rho per rollout             GSPO
    SequenceRatioPerToken   its value, each token for itself in gradient  GSPO-token
    CappedWeight            -A sg[min(rho, cap)] logp                     CISPO
    SoftRatio               -A (4 / tau) sigmoid(tau (rho - 1))           SAPO
    GammaWeight             -A sg[phi(rho of the rollout)] logp           VESPO
    policy_gradient         -A exp(logp - sg[logp])                       REINFORCE
    nll                     -logp                                         imitation

Averaging is the business of token weights (`weights.py`). The tokens of one rollout must stand in one call, as some
surrogates look at the whole rollout. A rollout whose advantages are all 0 must have no gradient: the step leaves it out. (`nll`
has one; imitation credits every rollout.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

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
    with A < 0 never exceeds -A c (dual clip, 1912.09729; TRL's `delta`), None leaves it out. On the first update after
    sampling rho is 1 everywhere and the gradient is REINFORCE's.
    """

    low: float = 0.2
    high: float = 0.2
    dual: float | None = None

    def __post_init__(self) -> None:
        _check_clip(self.low, self.high)
        if self.dual is not None and self.dual <= 1 + self.high:
            raise ValueError(
                f"dual is a cap on the ratio above the clip and must exceed 1 + high = {1 + self.high:g} (3 and 10 are usual), "
                f"got {self.dual}"
            )

    def __call__(self, logp_M: Tensor, old_M: Tensor, adv_M: Tensor, rollout_M: Tensor) -> Tensor:
        loss_M = _clipped(ratio(logp_M, old_M), adv_M, low=self.low, high=self.high)
        if self.dual is None:
            return loss_M
        return torch.where(adv_M < 0, torch.minimum(-adv_M * self.dual, loss_M), loss_M)


@dataclass(frozen=True, kw_only=True)
class SequenceRatio:
    """The clipped loss with one ratio per rollout: GSPO (2507.18071) equations 5 and 7.

    s = exp(mean over the rollout's tokens of logp - old), length-normalised. Every token bears its rollout's loss, so with
    weights that are equal within a rollout the sum is the paper's. Ranges are tiny (3e-4 below, 4e-4 above), and clipping
    15 % of tokens is normal.
    """

    low: float = 3e-4  # P
    high: float = 4e-4  # P

    def __post_init__(self) -> None:
        _check_clip(self.low, self.high)

    def __call__(self, logp_M: Tensor, old_M: Tensor, adv_M: Tensor, rollout_M: Tensor) -> Tensor:
        log_ratio_M = rollout_means(logp_M - old_M.detach(), rollout_M)
        return _clipped(log_ratio_M.clamp(max=MAX_LOG_SEQUENCE_RATIO).exp(), adv_M, low=self.low, high=self.high)


@dataclass(frozen=True, kw_only=True)
class SequenceRatioPerToken:
    """GSPO-token (2507.18071 section 4.3): the rollout's ratio in value, while in gradient each token stands for itself.

    Equal to SequenceRatio in loss and gradient where a rollout's tokens share advantage and weight; unlike it, it means
    something where their advantages differ.
    """

    low: float = 3e-4
    high: float = 4e-4

    def __post_init__(self) -> None:
        _check_clip(self.low, self.high)

    def __call__(self, logp_M: Tensor, old_M: Tensor, adv_M: Tensor, rollout_M: Tensor) -> Tensor:
        mean_M = rollout_means((logp_M - old_M).detach(), rollout_M)
        log_ratio_M = mean_M + logp_M - logp_M.detach()
        return _clipped(log_ratio_M.clamp(max=MAX_LOG_SEQUENCE_RATIO).exp(), adv_M, low=self.low, high=self.high)


@dataclass(frozen=True, kw_only=True)
class CappedWeight:
    """-A sg[clip(rho, floor, cap)] logp: CISPO, MiniMax-M1 (2506.13585) equations 4 and 5.

    The weight is clipped and the token is not dropped: every token keeps a gradient. `cap` bounds rho itself (TRL's
    epsilon_high; the paper writes 1 + epsilon_high). The paper states neither bound, and only tunes the upper one.
    """

    cap: float = 5.0  # C TRL's recommendation, after ScaleRL (2510.13786)
    floor: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.floor < self.cap:
            raise ValueError(f"the bounds of a ratio need 0 <= floor < cap, got floor={self.floor}, cap={self.cap}")

    def __call__(self, logp_M: Tensor, old_M: Tensor, adv_M: Tensor, rollout_M: Tensor) -> Tensor:
        weight_M = ratio(logp_M.detach(), old_M).clamp(self.floor, self.cap)
        return -weight_M * adv_M * logp_M


@dataclass(frozen=True, kw_only=True)
class SoftRatio:
    """-A (4 / tau) sigmoid(tau (rho - 1)): SAPO (2511.20347), a gate that closes softly where PPO's clip cuts.

    At rho = 1 its gradient is REINFORCE's. `tau_positive` holds where A > 0, `tau_negative` elsewhere.
    """

    tau_positive: float = 1.0  # C TRL, verl
    tau_negative: float = 1.05  # C

    def __post_init__(self) -> None:
        if not (self.tau_positive > 0 and self.tau_negative > 0):
            raise ValueError(f"temperatures of the gate must be above 0, got {self.tau_positive} and {self.tau_negative}")

    def __call__(self, logp_M: Tensor, old_M: Tensor, adv_M: Tensor, rollout_M: Tensor) -> Tensor:
        tau_M = torch.full_like(adv_M, self.tau_negative).masked_fill(adv_M > 0, self.tau_positive)
        return -adv_M * torch.sigmoid(tau_M * (ratio(logp_M, old_M) - 1)) * 4 / tau_M


@dataclass(frozen=True, kw_only=True)
class GammaWeight:
    """-A sg[phi(W)] logp with W = exp(sum over the rollout of logp - old), phi(W) = exp(lambda) W^k exp(-lambda W): VESPO.

    phi is 1 at W = 1, greatest at W = k / lambda, and falls to 0 far on either side. As TRL 1.16 has it (C); `positive` and `negative` are (k, lambda) where
    A >= 0 and where A < 0.
    """

    positive: tuple[float, float] = (2.0, 3.0)  # C TRL
    negative: tuple[float, float] = (3.0, 2.0)  # C TRL

    def __call__(self, logp_M: Tensor, old_M: Tensor, adv_M: Tensor, rollout_M: Tensor) -> Tensor:
        log_M = (logp_M - old_M).detach().clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
        total_M = rollout_sums(log_M, rollout_M).clamp(_LOG_SMALLEST, MAX_LOG_RATIO)
        (k, lam), (k_negative, lam_negative) = self.positive, self.negative
        is_negative_M = adv_M < 0
        k_M = torch.full_like(adv_M, k).masked_fill(is_negative_M, k_negative)
        lam_M = torch.full_like(adv_M, lam).masked_fill(is_negative_M, lam_negative)
        return -(lam_M + k_M * total_M - lam_M * total_M.exp()).exp() * adv_M * logp_M


_LOG_SMALLEST = -18.420680743952367  # C TRL: log(1e-8)


@dataclass(frozen=True, kw_only=True)
class WithoutStaleFailures:
    """Another surrogate without the failures that the policy has moved away from: DeepSeek-V3.2's off-policy mask.

    A rollout with A < 0 whose mean of old - logp exceeds `limit` bears no loss. TRL's off_policy_mask_threshold.
    """

    surrogate: Surrogate = field(default_factory=ClippedRatio)
    limit: float

    def __call__(self, logp_M: Tensor, old_M: Tensor, adv_M: Tensor, rollout_M: Tensor) -> Tensor:
        strayed_M = rollout_means((old_M - logp_M).detach(), rollout_M)
        loss_M = self.surrogate(logp_M, old_M, adv_M, rollout_M)
        return loss_M.masked_fill((adv_M < 0) & (strayed_M > self.limit), 0.0)


def policy_gradient(logp_M: Tensor, old_M: Tensor, adv_M: Tensor, rollout_M: Tensor) -> Tensor:
    """-A exp(logp - stop_gradient(logp)): value -A, gradient REINFORCE's. For rollouts of the current policy only."""
    return -adv_M * (logp_M - logp_M.detach()).exp()


def needs_fresh(surrogate: Surrogate) -> bool:
    """Whether it is right for rollouts of the current policy only, as it has no ratio to correct others with."""
    return getattr(surrogate, "surrogate", surrogate) is policy_gradient


def nll(logp_M: Tensor, old_M: Tensor, adv_M: Tensor, rollout_M: Tensor) -> Tensor:
    """-logp: imitation of the tokens as they stand."""
    return -logp_M


def ratio(logp_M: Tensor, old_M: Tensor) -> Tensor:
    """rho = exp(logp - old), finite whatever they are."""
    return (logp_M - old_M.detach()).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp()


def rollout_sums(value_M: Tensor, rollout_M: Tensor) -> Tensor:
    """The sum of `value_M` over each token's rollout, at each token."""
    index_M, count_B = _rollouts(rollout_M)
    return value_M.new_zeros(len(count_B)).index_add(0, index_M, value_M)[index_M]


def rollout_means(value_M: Tensor, rollout_M: Tensor) -> Tensor:
    """The mean of `value_M` over each token's rollout, at each token."""
    index_M, count_B = _rollouts(rollout_M)
    return (value_M.new_zeros(len(count_B)).index_add(0, index_M, value_M) / count_B)[index_M]


def rollout_peaks(value_M: Tensor, rollout_M: Tensor) -> Tensor:
    """The largest `value_M` of each token's rollout, at each token."""
    index_M, count_B = _rollouts(rollout_M)
    return value_M.new_full((len(count_B),), -torch.inf).scatter_reduce(0, index_M, value_M, "amax")[index_M]


def _rollouts(rollout_M: Tensor) -> tuple[Tensor, Tensor]:
    """Each token's rollout counted from 0, and how many tokens each has."""
    _, index_M, count_B = torch.unique(rollout_M, return_inverse=True, return_counts=True)
    return index_M, count_B


def _clipped(ratio_M: Tensor, adv_M: Tensor, *, low: float, high: float) -> Tensor:
    return torch.maximum(-adv_M * ratio_M, -adv_M * ratio_M.clamp(1 - low, 1 + high))


def _check_clip(low: float, high: float) -> None:
    if not (0 <= low <= 1 and high >= 0):
        raise ValueError(f"a clip range needs 0 <= low <= 1 and high >= 0, got low={low}, high={high}")
