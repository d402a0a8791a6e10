"""The field's algorithms by name, each a sentence over the parts of the other files.

    >>> dapo() == replace(grpo(high=0.28, beta=0.0), name="dapo", weigh=token_mean, keep=Differing(), refill=Refill())
    True
    >>> named("gspo", limit=512).surrogate
    SequenceRatio(low=0.0003, high=0.0004)

To add one, write a function here and put it into ALGORITHMS: the common tests (tests/test_named.py) then run over it, and
`saccade train RECIPE --algorithm NAME` knows it. Where a paper and a released code base differ, the argument's comment says which
number is whose: P paper, C released code, I inferred, O ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from inspect import signature

from saccade.algo.advantages import ZScore, leave_one_out, mean_only
from saccade.algo.algorithm import Algorithm, Refill
from saccade.algo.corrections import MaskedRatio
from saccade.algo.credit import BatchWhitened, PerReward, WithinGroup, equal_credit
from saccade.algo.keep import Differing, keep_all
from saccade.algo.penalties import Bounded, k1, k2, k3
from saccade.algo.schedules import Adaptive, Schedule
from saccade.algo.surrogates import (
    CappedWeight,
    ClippedRatio,
    GammaWeight,
    SequenceRatio,
    SequenceRatioPerToken,
    SoftRatio,
    nll,
    policy_gradient,
)
from saccade.algo.weights import ConstantLimit, sequence_mean_token_mean, sequence_mean_token_sum, token_mean

Beta = float | Schedule | Adaptive


def grpo(
    *,
    low: float = 0.2,  # I community default; the paper states none
    high: float = 0.2,
    beta: Beta = 0.04,  # P
    eps: float = 1e-6,  # C verl, EasyR1; TRL has 1e-4
    is_unbiased: bool = True,  # C
) -> Algorithm:
    """GRPO (DeepSeekMath, 2402.03300): z-score in the group, clipped ratio, mean of means, k3 in the loss."""
    return Algorithm(
        name="grpo",
        credit=WithinGroup(ZScore(eps=eps, is_unbiased=is_unbiased)),
        weigh=sequence_mean_token_mean,
        surrogate=ClippedRatio(low=low, high=high),
        penalty=k3,
        beta=beta,
    )


def dr_grpo(*, limit: int, low: float = 0.2, high: float = 0.2, beta: Beta = 0.0) -> Algorithm:  # C
    """Dr. GRPO (2503.20783): no division by the group's std, none by the answer's length; `limit` is the answer budget.

    The reference run has G 8, limit 3000, clip 0.2, beta 0.
    """
    parts = grpo(low=low, high=high, beta=beta)
    return replace(parts, name="dr_grpo", credit=WithinGroup(mean_only), weigh=ConstantLimit(limit=limit))


def dapo(
    *,
    low: float = 0.2,  # P
    high: float = 0.28,  # P clip-higher
    dual: float | None = None,  # C the released run has 10, verl's default is 3; the paper has none
    eps: float = 1e-6,  # C
    by: str = "accuracy",  # C filtered by this term, not by the shaped reward
    refill: Refill | None = Refill(),  # P; None filters and trains on what is left
) -> Algorithm:
    """DAPO (2503.14476): clip-higher, every token counts the same, no KL, dynamic sampling by accuracy.

    Its soft overlong punishment is a reward (`rewards.length.soft_overlong`); its alternative, overlong filtering, is
    `trains=unless_truncated`.
    """
    return replace(
        grpo(eps=eps, beta=0.0),
        name="dapo",
        keep=Differing(by=by),
        weigh=token_mean,
        surrogate=ClippedRatio(low=low, high=high, dual=dual),
        refill=refill,
    )


def gspo(*, low: float = 3e-4, high: float = 4e-4, eps: float = 1e-6) -> Algorithm:  # P ranges, C eps
    """GSPO (2507.18071): one length-normalised ratio per answer, clipped tightly; no KL."""
    return replace(grpo(eps=eps, beta=0.0), name="gspo", surrogate=SequenceRatio(low=low, high=high))


def gspo_token(*, low: float = 3e-4, high: float = 4e-4, eps: float = 1e-6) -> Algorithm:  # P ranges, C eps
    """GSPO-token (2507.18071 section 4.3): GSPO for advantages that differ within an answer."""
    return replace(grpo(eps=eps, beta=0.0), name="gspo_token", surrogate=SequenceRatioPerToken(low=low, high=high))


def rloo(*, beta: Beta = 0.03) -> Algorithm:  # P TL;DR; 0.10 for HH
    """RLOO (2402.14740): leave-one-out baseline, k1 in the reward, plain policy gradient of whole answers."""
    return Algorithm(
        name="rloo",
        credit=WithinGroup(leave_one_out),
        weigh=sequence_mean_token_sum,
        surrogate=policy_gradient,
        penalty=k1,
        beta=beta,
        penalty_in="reward",
    )


def reinforce_pp(
    *,
    low: float = 0.2,  # P
    high: float = 0.2,  # P
    beta: Beta = 0.01,  # P in general; 0.001 for mathematics
    eps: float = 1e-8,  # I the paper names none
) -> Algorithm:
    """REINFORCE++ (2501.03262): k1 in the reward of each token, whitened over the tokens of the batch, PPO's clip."""
    return Algorithm(
        name="reinforce_pp",
        credit=BatchWhitened(eps=eps),
        weigh=token_mean,  # I
        surrogate=ClippedRatio(low=low, high=high),
        penalty=k1,
        beta=beta,
        penalty_in="reward",
    )


def reinforce_pp_baseline(
    *,
    low: float = 0.2,  # P
    high: float = 0.2,  # P
    beta: Beta = 0.01,  # P
    eps: float = 1e-8,  # I
) -> Algorithm:
    """REINFORCE++-baseline (2501.03262): the group's mean as baseline, then whitened over the batch; k2 in the loss."""
    return replace(
        reinforce_pp(low=low, high=high, beta=beta),
        name="reinforce_pp_baseline",
        credit=BatchWhitened(baseline=mean_only, eps=eps),
        penalty=k2,
        penalty_in="loss",
    )


def cispo(*, cap: float = 5.0, eps: float = 1e-6) -> Algorithm:  # C TRL's cap, verl's eps
    """CISPO (MiniMax-M1, 2506.13585): the ratio is a capped weight without gradient, and no token is dropped; no KL."""
    return replace(grpo(eps=eps, beta=0.0), name="cispo", weigh=token_mean, surrogate=CappedWeight(cap=cap))


def sapo(*, tau_positive: float = 1.0, tau_negative: float = 1.05, eps: float = 1e-6) -> Algorithm:  # C verl
    """SAPO (2511.20347): a soft gate in place of the clip; no KL."""
    gate = SoftRatio(tau_positive=tau_positive, tau_negative=tau_negative)
    return replace(grpo(eps=eps, beta=0.0), name="sapo", surrogate=gate)


def bnpo(*, low: float = 0.2, high: float = 0.2, beta: Beta = 0.0, eps: float = 1e-4) -> Algorithm:  # C TRL
    """The loss that TRL and ms-swift call bnpo: GRPO with the mean over all tokens of the batch.

    There the batch is a micro-batch, so that splitting changes the loss; here it is the step. The paper of that name (2506.02864)
    is about something else, a reward normalised by a Beta distribution, which is not here.
    """
    return replace(grpo(low=low, high=high, beta=beta, eps=eps), name="bnpo", weigh=token_mean)


def luspo(*, low: float = 3e-4, high: float = 4e-4, eps: float = 1e-4) -> Algorithm:  # C TRL
    """LUSPO (2602.05261): GSPO's loss times the answer's length, so that long answers are not underweighted."""
    return replace(gspo(low=low, high=high, eps=eps), name="luspo", weigh=sequence_mean_token_sum)


def vespo(*, eps: float = 1e-4) -> Algorithm:  # C TRL
    """VESPO (2602.10693): a smooth weight of the whole answer's ratio that vanishes on either side."""
    parts = grpo(eps=eps, beta=0.0)
    return replace(parts, name="vespo", weigh=token_mean, surrogate=GammaWeight(), correction=None, ratio_to="sampler")


def gdpo(*, low: float = 0.2, high: float = 0.2, eps: float = 1e-4) -> Algorithm:  # C TRL
    """GDPO (2601.05242): every reward normalised by itself before they are summed, then GRPO."""
    return replace(grpo(low=low, high=high, beta=0.0), name="gdpo", credit=PerReward(eps=eps))


def sft() -> Algorithm:
    """Supervised fine-tuning in the same words: imitate every trained token of the step, rewards unseen."""
    return Algorithm(name="sft", keep=keep_all, credit=equal_credit, weigh=token_mean, surrogate=nll, correction=None)


# What most of the papers really ran: older defaults of the trainers that they forked. specs/01-algorithms.md, second part


def grpo_r1v(*, beta: Beta = 0.04) -> Algorithm:  # C
    """GRPO of TRL 0.14 and 0.15 and of forks that kept it (R1-V, Griffon's Vision-R1, Med-R1, Reason-RFT): no ratio, no clip."""
    return replace(grpo(beta=beta, eps=1e-4), name="grpo_r1v", keep=keep_all, surrogate=policy_gradient)  # C eps


def grpo_vlm_r1(*, low: float = 0.2, high: float = 0.2, beta: Beta = 0.04) -> Algorithm:  # C
    """GRPO of VLM-R1's own trainer: clipped, mean of means, k3."""
    return replace(grpo(low=low, high=high, beta=beta, eps=1e-4), name="grpo_vlm_r1", keep=keep_all)  # C eps


def grpo_trl_0_16(*, low: float = 0.2, high: float = 0.2, beta: Beta = 0.04) -> Algorithm:  # C
    """GRPO of TRL 0.16: clipped, mean over the tokens of the batch (there a micro-batch), k3."""
    return replace(grpo_vlm_r1(low=low, high=high, beta=beta), name="grpo_trl_0_16", weigh=token_mean)


def grpo_trl_1(*, low: float = 0.2, high: float = 0.2, beta: Beta = 0.0) -> Algorithm:  # C
    """GRPO as TRL 1.x has it by default: mean over tokens, no KL (where there is one, weighted by the ratio), eps 1e-4."""
    parts = grpo_trl_0_16(low=low, high=high, beta=beta)
    return replace(parts, name="grpo_trl_1", penalty_by_ratio=True, correction=MaskedRatio())


def grpo_easyr1(*, low: float = 0.2, high: float = 0.3, dual: float = 3.0, beta: Beta = 0.01) -> Algorithm:  # C
    """GRPO of EasyR1 (OpenVLThinker; GUI-R1 with high=0.2): mean over tokens, dual clip, k3 held within 10, eps 1e-6."""
    return replace(
        grpo(beta=beta, eps=1e-6),  # C
        name="grpo_easyr1",
        keep=keep_all,
        weigh=token_mean,
        surrogate=ClippedRatio(low=low, high=high, dual=dual),
        penalty=Bounded(estimator=k3, limit=10.0),  # C
    )


ALGORITHMS: dict[str, Callable[..., Algorithm]] = {
    function.__name__: function
    for function in (
        grpo, dr_grpo, dapo, gspo, gspo_token, rloo, reinforce_pp, reinforce_pp_baseline, cispo, sapo, bnpo, luspo, vespo, gdpo,
        grpo_r1v, grpo_vlm_r1, grpo_trl_0_16, grpo_trl_1, grpo_easyr1,
    )
}  # fmt: skip


def named(name: str, **numbers: object) -> Algorithm:
    """The algorithm of this name with its own numbers or those given, and what it must be told of its stage where it asks.

    limit   the answer budget in tokens, for those that divide by it
    by      the reward term that says what is right, for those that filter by it

    ValueError names those that there are.
    """
    if name not in ALGORITHMS:
        raise ValueError(f"there is no algorithm {name!r}; have: {', '.join(ALGORITHMS)}")
    function = ALGORITHMS[name]
    wanted = signature(function).parameters
    return function(**{key: value for key, value in numbers.items() if key in wanted or key not in ("limit", "by")})
