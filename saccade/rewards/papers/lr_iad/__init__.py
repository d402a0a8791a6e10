"""The rewards of LR-IAD (2504.19524): format, and an accuracy that weighs what is rare and what is not yet learnt.

    rewards = weighted((format(), 1.0), (focal(), 1.0))                 # I

No code was ever released. The two formulas are second-hand (# S); EVERY number, the way p is had, the tags and the
answers yes (defective) and no are inferred (# I specs/lr_iad.md 3.3).

    R_focal = 1[right] * (b + (1 - b) * alpha * (1 - p)^gamma * f_c)

p is how probable the right answer is, by one of three estimators:

    GroupAccuracy         the share of the siblings that are right (the default)
    AnswerProbability     the probability with which this rollout's answer tokens were sampled
    RunningAccuracy       given for each class, as `ClassCounts` keeps it from step to step

f_c = clip((N / (K n_c))^tau, f_min, f_max) is large for a rare class: 2.10 for defects that are 23.8 % of the pictures
and 4.50 for 11.1 %. It is given as numbers, so that a reward stays a value: `ClassCounts` is the state, which whoever
runs the training keeps, saves with the run, and turns into the next step's reward:

    >>> counts = ClassCounts.of({"normal": 76.2, "defect": 23.8})
    >>> focal(factors=counts.factors())
    >>> counts = counts.after(tally(groups))                      # of one step: {"normal": (6, 5), "defect": (2, 0)}

Two traps, both certain (spec 3.4):
- Dividing by the group's standard deviation cancels whatever is constant in a group, as f_c is, and p of two
  estimators. Here the factor acts only through its ratio to the format reward. To prioritise rare classes, weigh the
  ADVANTAGE: `ClassWeighted` with `balanced_weights`, in saccade/algo/credit.py.
- Where p is 1 a right answer earns what a wrong one does, so that mastered samples stop defending it. `base` b > 0 pays
  for being right whatever p is; 0.5 is the spec's advice (# I), 0 the paper's formula and the default.

Departs: `base` (above); nothing else is known to depart from.

Marks: # P paper, # S second-hand, # I inferred, # O ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from saccade.core.reward import Reward
from saccade.core.rollout import Group, Rollout, Score
from saccade.core.sample import EMPTY, Sample
from saccade.rewards.format import format_of
from saccade.rewards.papers.lr_iad.classes import ClassCounts, answer_of, is_defect, normal_or_defect, tally
from saccade.rewards.papers.lr_iad.confusion import Confusion
from saccade.rewards.papers.lr_iad.probability import (
    AnswerProbability,
    GroupAccuracy,
    Pieces,
    Probability,
    RunningAccuracy,
)
from saccade.rewards.published import Example, published
from saccade.rewards.read.tags import THINK_ANSWER

__all__ = [
    "AnswerProbability",
    "ClassCounts",
    "Confusion",
    "Focal",
    "GroupAccuracy",
    "Probability",
    "RunningAccuracy",
    "accuracy",
    "focal",
    "format",
    "is_defect",
    "normal_or_defect",
    "tally",
]

SYSTEM = "LR-IAD"


@dataclass(frozen=True, kw_only=True)
class Focal:
    """R_focal of every sibling; the formula is in this file's head. `factors` is f_c by class, 1 for a class it lacks."""

    p: Probability = GroupAccuracy()
    factors: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    class_of: Callable[[Sample], str] = normal_or_defect
    alpha: float = 1.0  # I
    gamma: float = 2.0  # I
    base: float = 0.0  # S the formula as reported; 0.5 is the spec's advice

    def __post_init__(self) -> None:
        if not (self.alpha > 0 and self.gamma >= 0 and 0 <= self.base <= 1):
            raise ValueError(f"the focal reward needs alpha > 0, gamma >= 0 and base in [0, 1], got {self}")
        if any(not 0 <= factor < math.inf for factor in self.factors.values()):
            raise ValueError(f"class factors must be 0 or more and finite, got {dict(self.factors)}")

    def __call__(self, group: Group, *, pieces: Pieces | None = None) -> list[Score]:
        gold = is_defect(group.sample)
        if gold is None:
            why = f"the gold answer {group.sample.target!r} says neither yes nor no"
            return [Score(None, why)] * len(group.rollouts)
        said_G = [answer_of(rollout) for rollout in group.rollouts]
        is_right_G = [said == gold for said in said_G]
        name = self.class_of(group.sample)
        factor = self.factors.get(name, 1.0)
        p_G = self.p(group, is_right_G, pieces)
        return [
            Score(self.worth(p=p, factor=factor), f"right, p {p:.3g}, factor {factor:.3g} of {name}")
            if is_right
            else Score(0.0, "neither yes nor no" if said is None else f"says {'yes' if said else 'no'}")
            for said, is_right, p in zip(said_G, is_right_G, p_G, strict=True)
        ]

    def worth(self, *, p: float, factor: float = 1.0) -> float:
        """What a right answer earns."""
        return self.base + (1 - self.base) * self.alpha * (1 - p) ** self.gamma * factor


@published(
    formula="1[right] * (b + (1 - b) * alpha * (1 - p)^gamma * f_c); alpha 1, gamma 2, b 0, p the group's accuracy",
    source="S, every number I",
    target="whether there is a defect: a bool, or yes or no",
    changed="base b can pay for being right where p is 1; factors and running accuracies are given as numbers",
)
def focal(
    *,
    p: Probability = GroupAccuracy(),
    factors: Mapping[str, float] = EMPTY,
    class_of: Callable[[Sample], str] = normal_or_defect,
    alpha: float = 1.0,
    gamma: float = 2.0,
    base: float = 0.0,
) -> Reward:
    """The focal accuracy term over a group, named "focal"; no best figure, as it hangs on the siblings."""
    function = Focal(p=p, factors=factors, class_of=class_of, alpha=alpha, gamma=gamma, base=base)
    return Reward(name="focal", function=function, scope="group", best=None)


@published(
    formula="1 if the whole text is a think block, then an answer block, neither empty, else 0",
    source="S, the tags I",
    target="not read",
    example=Example(text="<think>the rim is cracked</think>\n<answer>yes</answer>", target="yes"),
)
def format() -> Reward:
    """The format term, named "format"."""
    return format_of(THINK_ANSWER)


@published(
    formula="1 if the last answer block says yes or no as the gold does, else 0",
    source="I",
    target="whether there is a defect: a bool, or yes or no",
    example=Example(text="<think>the rim is cracked</think>\n<answer>yes</answer>", target="yes"),
)
def accuracy() -> Reward:
    """What an evaluation counts, named "accuracy"; report `Confusion.balanced_accuracy` beside it."""
    return Reward(name="accuracy", function=_accuracy)


def _accuracy(rollout: Rollout) -> Score:
    gold, said = is_defect(rollout.sample), answer_of(rollout)
    if gold is None:
        return Score(None, f"the gold answer {rollout.sample.target!r} says neither yes nor no")
    return Score(float(said == gold), "neither yes nor no" if said is None else f"says {'yes' if said else 'no'}")
