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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from saccade.core.reward import Reward
from saccade.core.rollout import Group, Rollout, Score
from saccade.core.sample import EMPTY, Sample
from saccade.rewards.format import format_of
from saccade.rewards.published import Example, published
from saccade.rewards.read.choices import yes_no
from saccade.rewards.read.tags import THINK_ANSWER, last_section

SYSTEM = "LR-IAD"

Pieces = Callable[[Sequence[int]], Sequence[str]]
"""The text that each token adds."""


def is_defect(sample: Sample) -> bool | None:
    """What the gold says: True for a defect. A bool, or a text that says yes or no; None where it is neither."""
    return sample.target if isinstance(sample.target, bool) else yes_no(str(sample.target)).value


def normal_or_defect(sample: Sample) -> str:
    """The sample's class of two: "defect" or "normal", "" where the gold cannot be read."""
    return {True: "defect", False: "normal", None: ""}[is_defect(sample)]


def answer_of(rollout: Rollout) -> bool | None:
    """What the last answer block says: True for yes, None where it says neither."""
    return last_section(rollout.text, "answer").then(yes_no).value


# how probable the right answer is


class Probability(Protocol):
    """p for every sibling, from the group and which of it are right."""

    def __call__(self, group: Group, is_right_G: Sequence[bool], pieces: Pieces | None) -> list[float]: ...


@dataclass(frozen=True)
class GroupAccuracy:
    """p = right siblings / siblings. # I estimator (b)"""

    def __call__(self, group: Group, is_right_G: Sequence[bool], pieces: Pieces | None) -> list[float]:
        return [sum(is_right_G) / len(is_right_G)] * len(is_right_G)


@dataclass(frozen=True)
class AnswerProbability:
    """p = the probability with which the tokens of the last answer block were sampled, at its temperature. # I (a)

    A right rollout's answer is the gold answer, so this is the gold's probability after that reasoning; wrong ones earn
    nothing whatever p is. Tokens that only partly lie in the block count whole, blank ones not; what was not sampled is
    certain. A confident right answer earns less than a hesitant one: give the reward a `base`.
    """

    def __call__(self, group: Group, is_right_G: Sequence[bool], pieces: Pieces | None) -> list[float]:
        if pieces is None:
            raise TypeError("AnswerProbability needs `pieces`, the text that each token adds; a run offers it")
        return [
            self.probability(rollout, pieces) if is_right else 0.0
            for rollout, is_right in zip(group.rollouts, is_right_G, strict=True)
        ]

    def probability(self, rollout: Rollout, pieces: Pieces) -> float:
        """Of one rollout whose answer block can be read."""
        written = pieces(rollout.token_T)
        text = "".join(written)
        end = text.rfind("</answer>")
        start = text.rfind("<answer>", 0, max(end, 0))
        if start < 0:
            return 0.0
        start += len("<answer>")
        total, at = 0.0, 0
        for piece, logp in zip(written, rollout.logp_T, strict=True):
            if at < end and at + len(piece) > start and piece.strip():
                total += logp
            at += len(piece)
        return math.exp(min(0.0, total))


@dataclass(frozen=True, kw_only=True)
class RunningAccuracy:
    """p = the accuracy given for the sample's class, as by `ClassCounts.accuracy`; 0 for one it lacks. # I (c)"""

    accuracy: Mapping[str, float]
    class_of: Callable[[Sample], str] = normal_or_defect

    def __post_init__(self) -> None:
        odd = {name: share for name, share in self.accuracy.items() if not 0 <= share <= 1}
        if odd:
            raise ValueError(f"accuracies lie between 0 and 1, got {odd}")

    def __call__(self, group: Group, is_right_G: Sequence[bool], pieces: Pieces | None) -> list[float]:
        return [self.accuracy.get(self.class_of(group.sample), 0.0)] * len(is_right_G)


# what was seen of each class


@dataclass(frozen=True, kw_only=True)
class ClassCounts:
    """How many rollouts of each class were seen, and how many of them right, older steps fading by `decay`. # I

    A value: `after` returns the next one, and the three fields are all there is to save.
    """

    seen: Mapping[str, float] = field(default_factory=dict)
    right: Mapping[str, float] = field(default_factory=dict)
    decay: float = 0.99  # I

    def __post_init__(self) -> None:
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay lies in (0, 1], got {self.decay}")

    @classmethod
    def of(cls, seen: Mapping[str, float], *, decay: float = 0.99) -> ClassCounts:
        """Known class frequencies, shares or counts, to begin with."""
        return cls(seen=dict(seen), decay=decay)

    def after(self, step: Mapping[str, tuple[int, int]]) -> ClassCounts:
        """The counts after one more step of class: (siblings, of which right)."""
        names = {**self.seen, **step}
        seen = {name: self.decay * self.seen.get(name, 0.0) + step.get(name, (0, 0))[0] for name in names}
        right = {name: self.decay * self.right.get(name, 0.0) + step.get(name, (0, 0))[1] for name in names}
        return replace(self, seen=seen, right=right)

    @property
    def accuracy(self) -> dict[str, float]:
        """The share of right answers of each class, 0 where nothing was seen."""
        return {name: self.right.get(name, 0.0) / n if n > 0 else 0.0 for name, n in self.seen.items()}

    def factors(self, *, tau: float = 1.0, low: float = 0.5, high: float = 5.0) -> dict[str, float]:
        """f_c of each class; `high` for one of which nothing was seen. # I a `low` of 1 is the spec's other choice"""
        total, n_classes = math.fsum(self.seen.values()), len(self.seen)
        return {
            name: min(high, max(low, (total / (n_classes * n)) ** tau)) if n > 0 else high
            for name, n in self.seen.items()
        }


def tally(groups: Sequence[Group], *, class_of: Callable[[Sample], str] = normal_or_defect) -> dict[str, tuple[int, int]]:
    """(siblings, of which right) of each class, for `ClassCounts.after`. Groups without a readable gold are left out."""
    found: dict[str, tuple[int, int]] = {}
    for group in groups:
        gold = is_defect(group.sample)
        if gold is not None:
            name = class_of(group.sample)
            n, n_right = found.get(name, (0, 0))
            n_right += sum(answer_of(rollout) == gold for rollout in group.rollouts)
            found[name] = (n + len(group.rollouts), n_right)
    return found


# the rewards


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


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Counts of a test of defect or not. No answer is wrong: a miss where there is a defect, else an alarm.

    Of 1,200 defects among 10,821 pictures, "always normal" has accuracy 0.889 and balanced accuracy 0.5.
    """

    n_hit: int = 0
    n_miss: int = 0
    n_alarm: int = 0
    n_calm: int = 0

    @classmethod
    def of(cls, golds: Sequence[bool], answers: Sequence[bool | None]) -> Confusion:
        """Of gold and answered defects, in the same order."""
        pairs = list(zip(golds, answers, strict=True))
        hit = sum(gold and said is True for gold, said in pairs)
        calm = sum(not gold and said is False for gold, said in pairs)
        n_defects = sum(bool(gold) for gold, _ in pairs)
        return cls(n_hit=hit, n_miss=n_defects - hit, n_alarm=len(pairs) - n_defects - calm, n_calm=calm)

    @property
    def accuracy(self) -> float | None:
        """Right answers of all; None of none."""
        return _share(self.n_hit + self.n_calm, self.n_miss + self.n_alarm)

    @property
    def recall(self) -> float | None:
        """Defects that were found; None where there are no defects."""
        return _share(self.n_hit, self.n_miss)

    @property
    def normal_recall(self) -> float | None:
        """Sound pictures that were called so; None where there are none."""
        return _share(self.n_calm, self.n_alarm)

    @property
    def precision(self) -> float | None:
        """Alarms that were right; None where there were none."""
        return _share(self.n_hit, self.n_alarm)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None where there are neither defects nor alarms."""
        return _share(2 * self.n_hit, self.n_miss + self.n_alarm)

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of both recalls; None where one class is missing."""
        recalls = (self.recall, self.normal_recall)
        return None if None in recalls else sum(recalls) / 2


def _share(good: int, bad: int) -> float | None:
    return good / (good + bad) if good + bad else None
