"""How far each token strayed from the reference policy: estimators of KL(policy || reference) from sampled tokens.

With x = logp - ref and tokens sampled from the policy (Schulman, "Approximating KL divergence", 2020):

    estimator            value                   gradient as a loss
    k1                   unbiased, either sign   has expectation 0: pulls nowhere; for rewards, not for losses
    k2                   biased, >= 0            exactly that of the reverse KL
    k3                   unbiased, >= 0          biased (GRPO as published)
    k3_straight_through  that of k3              that of k2
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from saccade.algo.surrogates import MAX_LOG_RATIO

Penalty = Callable[[Tensor, Tensor], Tensor]
"""(logp_M, ref_M) -> penalty_M, one number per trained token."""


def k1(logp_M: Tensor, ref_M: Tensor) -> Tensor:
    """x."""
    return logp_M - ref_M.detach()


def k2(logp_M: Tensor, ref_M: Tensor) -> Tensor:
    """x^2 / 2."""
    return (logp_M - ref_M.detach()).square() / 2


def k3(logp_M: Tensor, ref_M: Tensor) -> Tensor:
    """exp(-x) + x - 1: the KL term of GRPO, DeepSeekMath (2402.03300) equation 4."""
    x_M = logp_M - ref_M.detach()
    return (-x_M).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO).exp() + x_M - 1


@dataclass(frozen=True, kw_only=True)
class Bounded:
    """An estimator whose value is held within [-limit, limit], beyond which it no longer pulls. C verl, EasyR1: 10."""

    estimator: Penalty = k3
    limit: float = 10.0

    def __call__(self, logp_M: Tensor, ref_M: Tensor) -> Tensor:
        return self.estimator(logp_M, ref_M).clamp(-self.limit, self.limit)


def k3_straight_through(logp_M: Tensor, ref_M: Tensor) -> Tensor:
    """The value of k3 with the gradient of k2 (verl's "k3+")."""
    k2_M = k2(logp_M, ref_M)
    return k2_M + (k3(logp_M, ref_M) - k2_M).detach()
