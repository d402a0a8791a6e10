"""An algorithm as the handful of pure functions that tell it from the others.

A step uses them in this order (`run/step.py`):

    kept      = algorithm.keep(groups)                                   which groups train
    credits   = algorithm.credit(kept, costs)                            advantage of each rollout, or token
                algorithm.trains(rollout)                                which of the credited rollouts the loss is over
                algorithm.replay(fresh, held, ...)                       old experience in place of what says nothing
    weight_M  = algorithm.weigh(lengths_B)                               weight of each trained token of the step
    per micro-batch:
        loss_M  = algorithm.surrogate(logp_M, old_M, adv_M, rollout_M)
        loss_M *= algorithm.correction(old_M, sampler_M, rollout_M)      where sampler and learner may differ
        loss_M += beta * algorithm.penalty(logp_M, ref_M)                unless it stands in the reward, as `costs`
        (weight_M * loss_M + imitation's weights * nll).sum().backward()

The field's algorithms by name, sentences over these parts, are in `named.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from saccade.algo.corrections import Correction, TruncatedRatio
from saccade.algo.credit import Assign
from saccade.algo.imitation import Imitation
from saccade.algo.keep import Keep, every_rollout, keep_scored
from saccade.algo.penalties import Penalty
from saccade.algo.replay import Replay
from saccade.algo.schedules import Adaptive, Schedule, at, values_of
from saccade.algo.surrogates import Surrogate
from saccade.algo.weights import Weigh
from saccade.core.rollout import Rollout


@dataclass(frozen=True, kw_only=True)
class Refill:
    """Dynamic sampling, DAPO (2503.14476) section 3.2: ask further samples until the step is full of groups that `keep` keeps.

    The first round asks `oversampling` times the step's prompts; each further one as many as should fill the step, judging by
    the share kept so far, and never more than the first (the released code asks as many again). What is left over when the
    step is full does not train. Where `rounds` do not fill it, the step trains on what there is; the run warns when that
    becomes usual.
    """

    rounds: int = 10  # C max_num_gen_batches; the released code stops with an error there
    oversampling: float = 1.0  # O the paper's run has 3

    def __post_init__(self) -> None:
        if not (isinstance(self.rounds, int) and self.rounds >= 1 and 0 < self.oversampling < math.inf):
            raise ValueError(f"refilling needs a whole number of rounds, at least 1, and oversampling above 0, got {self}")

    def count(self, prompts: int, *, kept: int, asked: int) -> int:
        """How many samples the next round asks, when `kept` of the `asked` groups were kept so far."""
        most = max(1, round(prompts * self.oversampling))
        if not kept:
            return most
        return min(most, math.ceil((prompts - kept) * asked / kept))


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """What distinguishes one policy-gradient algorithm from another.

    name                 as in metrics and tables
    keep                 which groups train
    credit               the advantage of every rollout, or of every token
    trains               whether a credited rollout is learned from; those left out count in their group's statistics only
    weigh                weights of the step's trained tokens
    surrogate            loss per token
    penalty, beta        estimator of the KL against the reference, and its coefficient: a number, a Schedule, or Adaptive.
                         With 0, or without a penalty, no reference is needed and none is held
    penalty_in           "loss", or "reward": the coefficient times the estimate is then paid out of the reward
    penalty_by_ratio     multiply the penalty in the loss by the policy's ratio (DeepSeek-V3.2's unbiased estimate)
    correction           for rollouts of another engine, whose log-probs are not the learner's (corrections.py); None for none
    correct_own_sampler  correct rollouts of the policy's own sampler as well (for models in bfloat16)
    ratio_to             whose log-probs later updates are compared with: the "learner"'s before the first, or the "sampler"'s as
                         they are (verl's bypass mode: one pass less, and ratios carry the mismatch)
    refill               ask further samples until the step is full; None takes the step as it comes
    replay               old experience in place of what says nothing; None for none
    imitation            answers of its own that are imitated as well; None for none
    """

    name: str
    keep: Keep = keep_scored
    credit: Assign
    trains: Callable[[Rollout], bool] = every_rollout
    weigh: Weigh
    surrogate: Surrogate
    penalty: Penalty | None = None
    beta: float | Schedule | Adaptive = 0.0
    penalty_in: Literal["loss", "reward"] = "loss"
    penalty_by_ratio: bool = False
    correction: Correction | None = TruncatedRatio()
    correct_own_sampler: bool = False
    ratio_to: Literal["learner", "sampler"] = "learner"
    refill: Refill | None = None
    replay: Replay | None = None
    imitation: Imitation | None = None

    def __post_init__(self) -> None:
        if self.penalty is None and self.beta != 0:
            raise ValueError(f"{self.name}: beta is {self.beta} but there is no penalty for it; set one, or beta=0")
        if not isinstance(self.beta, Adaptive) and not all(0 <= value < math.inf for value in values_of(self.beta)):
            raise ValueError(f"{self.name}: beta must be 0 or more and finite, got {self.beta}")
        if self.penalty_in not in ("loss", "reward"):
            raise ValueError(f"{self.name}: penalty_in is 'loss' or 'reward', got {self.penalty_in!r}")
        if self.ratio_to not in ("learner", "sampler"):
            raise ValueError(f"{self.name}: ratio_to is 'learner' or 'sampler', got {self.ratio_to!r}")
        if self.penalty_by_ratio and self.penalty_in == "reward":
            raise ValueError(f"{self.name}: penalty_by_ratio corrects a penalty in the loss, but it stands in the reward")

    @property
    def needs_reference(self) -> bool:
        """Whether log-probs of the reference policy are used at any time of the training."""
        return self.penalty is not None and self.beta != 0

    @property
    def terms(self) -> set[str]:
        """The names of reward terms that its parts look at."""
        parts = (self.keep, self.credit, getattr(self.credit, "credit", None))
        return {name for part in parts for key in ("by", "term") if isinstance(name := getattr(part, key, None), str)}

    def beta_at(self, progress: float, *, held: float | None = None) -> float:
        """The penalty's coefficient at this training progress (0 to 1); `held` is what an Adaptive one has come to."""
        if isinstance(self.beta, Adaptive):
            return self.beta.start if held is None else held
        return at(self.beta, progress)
