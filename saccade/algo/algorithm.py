"""An algorithm as the handful of pure functions that tell it from the others, and the field's algorithms by name.

One optimizer step uses them in this order (`run/step.py`):

    kept      = algorithm.keep(groups)                                   which groups train
    credits   = algorithm.credit(kept)                                   advantage of each rollout
    weight_M  = algorithm.weigh(lengths_B)                               weight of each trained token of the step
    per micro-batch:
        loss_M  = algorithm.surrogate(logp_M, old_M, adv_M, rollout_M)
        loss_M += algorithm.beta_at(progress) * algorithm.penalty(logp_M, ref_M)      where needs_reference
        (weight_M * loss_M).sum().backward()

Algorithms compare by their parts:

    >>> dapo() == replace(grpo(high=0.28, beta=0.0), name="dapo", weigh=token_mean)
    True
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from saccade.algo.advantages import Credit, WithinGroup, ZScore, equal_credit, leave_one_out, mean_only
from saccade.algo.penalties import Penalty, k3
from saccade.algo.schedules import Schedule, at
from saccade.algo.surrogates import ClippedRatio, SequenceRatio, Surrogate, nll, policy_gradient
from saccade.algo.weights import ConstantLimit, Weigh, sequence_mean_token_mean, sequence_mean_token_sum, token_mean
from saccade.core.rollout import Group


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """What distinguishes one policy-gradient algorithm from another.

    `beta` is the coefficient of the penalty, a number or a Schedule; with 0, or without a penalty, no reference model
    is needed and none is loaded.
    """

    name: str
    keep: Callable[[Sequence[Group]], list[Group]]
    credit: Callable[[Sequence[Group]], list[Credit]]
    weigh: Weigh
    surrogate: Surrogate
    penalty: Penalty | None = None
    beta: float | Schedule = 0.0

    def __post_init__(self) -> None:
        if self.penalty is None and self.beta != 0:
            raise ValueError(f"{self.name}: beta is {self.beta} but there is no penalty for it; set one, or beta=0")
        if not callable(self.beta) and self.beta < 0:
            raise ValueError(f"{self.name}: beta must be 0 or more, got {self.beta}")

    @property
    def needs_reference(self) -> bool:
        """Whether log-probs of the reference policy are used at any time of the training."""
        return self.penalty is not None and self.beta != 0

    def beta_at(self, progress: float) -> float:
        """The penalty's coefficient at this training progress (0 to 1)."""
        return at(self.beta, progress)


def keep_all(groups: Sequence[Group]) -> list[Group]:
    """Every group as it is; unscored rollouts and flat groups stay, with advantage 0."""
    return list(groups)


def keep_scored(groups: Sequence[Group]) -> list[Group]:
    """The groups without their unscored rollouts, which then count in no average and feel no penalty."""
    scored = [replace(g, rollouts=tuple(r for r in g.rollouts if r.reward is not None)) for g in groups]
    return [group for group in scored if group.rollouts]


def keep_informative(groups: Sequence[Group]) -> list[Group]:
    """The groups whose rewards differ, without their unscored rollouts: where something can be learned."""
    return [group for group in keep_scored(groups) if not group.is_flat]


def grpo(
    *,
    low: float = 0.2,  # I community default; the paper states none
    high: float = 0.2,
    beta: float | Schedule = 0.04,  # P
    eps: float = 1e-6,  # C verl, EasyR1; TRL has 1e-4
    is_unbiased: bool = True,  # C
) -> Algorithm:
    """GRPO (DeepSeekMath, 2402.03300): z-score in the group, clipped ratio, mean of means, k3 in the loss."""
    return Algorithm(
        name="grpo",
        keep=keep_all,
        credit=WithinGroup(ZScore(eps=eps, is_unbiased=is_unbiased)),
        weigh=sequence_mean_token_mean,
        surrogate=ClippedRatio(low=low, high=high),
        penalty=k3,
        beta=beta,
    )


def dr_grpo(*, limit: int, low: float = 0.2, high: float = 0.2, beta: float | Schedule = 0.0) -> Algorithm:
    """Dr. GRPO (2503.20783): no division by the group's std, none by the answer's length; `limit` is the answer budget.

    The reference run has G 8, limit 3000, clip 0.2, beta 0. # C
    """
    return replace(
        grpo(low=low, high=high, beta=beta),
        name="dr_grpo",
        credit=WithinGroup(mean_only),
        weigh=ConstantLimit(limit=limit),
    )


def dapo(
    *,
    low: float = 0.2,  # P
    high: float = 0.28,  # P clip-higher
    dual: float | None = None,  # C the released run has 10, verl's default is 3; the paper has none
    eps: float = 1e-6,  # C
) -> Algorithm:
    """DAPO's loss (2503.14476): clip-higher, every token counts the same, no KL.

    Its other two parts are not here yet: dynamic sampling (refill until every group is informative), which is a matter
    of sampling, and the overlong penalty, which is a reward. Until then flat groups stay and have advantage 0.
    """
    return replace(
        grpo(eps=eps, beta=0.0),
        name="dapo",
        weigh=token_mean,
        surrogate=ClippedRatio(low=low, high=high, dual=dual),
    )


def gspo(*, low: float = 3e-4, high: float = 4e-4, eps: float = 1e-6) -> Algorithm:
    """GSPO (2507.18071): one length-normalised ratio per answer, clipped tightly; no KL. # P"""
    return replace(grpo(eps=eps, beta=0.0), name="gspo", surrogate=SequenceRatio(low=low, high=high))


def rloo() -> Algorithm:
    """RLOO (2402.14740): leave-one-out baseline, plain policy gradient of whole answers; one update per sampling round.

    The paper's KL stands inside the reward; that is not here yet.
    """
    return Algorithm(
        name="rloo",
        keep=keep_scored,
        credit=WithinGroup(leave_one_out),
        weigh=sequence_mean_token_sum,
        surrogate=policy_gradient,
    )


def sft() -> Algorithm:
    """Supervised fine-tuning in the same words: imitate every trained token of the step, rewards unseen."""
    return Algorithm(name="sft", keep=keep_all, credit=equal_credit, weigh=token_mean, surrogate=nll)
