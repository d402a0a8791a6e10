"""Defect or not: what gold and answers say, and how many rollouts of each class were seen and right. # I"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from saccade.core.rollout import Group, Rollout
from saccade.core.sample import Sample
from saccade.rewards.read.choices import yes_no
from saccade.rewards.read.tags import last_section


def is_defect(sample: Sample) -> bool | None:
    """What the gold says: True for a defect. A bool, or a text that says yes or no; None where it is neither."""
    return sample.target if isinstance(sample.target, bool) else yes_no(str(sample.target)).value


def normal_or_defect(sample: Sample) -> str:
    """The sample's class of two: "defect" or "normal", "" where the gold cannot be read."""
    return {True: "defect", False: "normal", None: ""}[is_defect(sample)]


def answer_of(rollout: Rollout) -> bool | None:
    """What the last answer block says: True for yes, None where it says neither."""
    return last_section(rollout.text, "answer").then(yes_no).value


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
