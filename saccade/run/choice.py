"""Which of a run's checkpoints is handed over: by its score, or by what its reasoning looks like.

    Recipe(..., choose=Highest("eval/val/sampled"))                    the best score
    Recipe(..., choose=HighestCriticalEntropy("val", tolerance=0.02))  the most open reasoning among the good ones
    Recipe(...)                                                        the last

Each checkpoint is compared with the one held so far, as soon as its selecting evaluations are measured; the loser's files
may then go. So the choice is made in the order of training, and a checkpoint that was passed over never comes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from saccade.run.evaluate import Evaluation

ROUNDING = 1e-9  # of scores, so that one just within a tolerance is not out for its last digit
Figures = Mapping[str, float]  # a checkpoint's metrics of the selecting evaluations


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a run's selecting evaluations found: before training, and at each checkpoint in order, the newest last."""

    before: Figures = field(default_factory=dict)
    checkpoints: Mapping[str, Figures] = field(default_factory=dict)


class Choice(Protocol):
    """How the checkpoint to hand over is chosen."""

    def require(self, evaluations: Sequence[Evaluation]) -> None:
        """ValueError unless these evaluations measure what it chooses by."""

    def takes(self, new: str, held: str, record: Record) -> bool:
        """Whether checkpoint `new`, the record's newest, replaces the one held, "" where none is yet."""

    def doubt(self, chosen: str, record: Record) -> str:
        """What a person should know of the final choice, "" where it is what was asked for."""


@dataclass(frozen=True)
class Highest:
    """The checkpoint with the highest value of one metric, the earliest of equals."""

    metric: str

    def require(self, evaluations: Sequence[Evaluation]) -> None:
        """ValueError unless a selecting evaluation has the metric."""
        merits = [merit for evaluation in evaluations if evaluation.selects for merit in evaluation.merits]
        if self.metric not in merits:
            have = ", ".join(merits) or "none (no evaluation selects)"
            raise ValueError(f"the checkpoint is to be chosen by {self.metric!r}; have: {have}")

    def takes(self, new: str, held: str, record: Record) -> bool:
        """Whether its value is higher. A checkpoint without the value is never taken."""
        value = record.checkpoints[new].get(self.metric)
        return value is not None and (not held or value > record.checkpoints[held][self.metric])

    def doubt(self, chosen: str, record: Record) -> str:
        """Nothing, if any checkpoint had the metric."""
        return "" if chosen else f"no checkpoint has {self.metric}, so the last one is taken"


@dataclass(frozen=True)
class HighestCriticalEntropy:
    """The checkpoint with the highest entropy where it turns in its reasoning, of those that score well.

    After Skywork-R1V3 (arXiv 2507.06167). A checkpoint is in the running if its answers to the evaluation, those sampled,
    turn at least `min_tokens` times, their mean length is at least `min_length` of what it was before training, and their
    score is within `tolerance` of the highest of any checkpoint so far. Of the new one and the one held, the one in the
    running is taken; if both are, the higher entropy, then the higher score; if none is, the higher score, and the run says
    so at its end. The paper gives neither numbers nor this order: INFERRED.

    "So far" is meant. A better score later can put the one held out of the running, and then only the checkpoint of that
    moment can take its place, as others that were passed over may be deleted. Seen from the end, the best choice could have
    been one of those.
    """

    evaluation: str
    tolerance: float = 0.02
    min_tokens: int = 200
    min_length: float = 0.5

    def __post_init__(self) -> None:
        if not (self.tolerance >= 0 and self.min_tokens >= 1 and self.min_length >= 0):
            raise ValueError(
                f"choosing by critical entropy needs tolerance >= 0, min_tokens >= 1 and min_length >= 0, got {self}"
            )

    def require(self, evaluations: Sequence[Evaluation]) -> None:
        """ValueError unless the evaluation selects and has triggers."""
        able = [evaluation.name for evaluation in evaluations if evaluation.selects and evaluation.triggers]
        if self.evaluation not in able:
            raise ValueError(
                f"the checkpoint is to be chosen by the critical entropy of evaluation {self.evaluation!r}; "
                f"have with selects and triggers: {', '.join(able) or 'none'}"
            )

    def takes(self, new: str, held: str, record: Record) -> bool:
        """Whether the new one is better in the order above; of equals the earlier is held."""
        return not held or self._merit(new, record) > self._merit(held, record)

    def doubt(self, chosen: str, record: Record) -> str:
        """What the chosen one lacks, if it is chosen by score only."""
        lacks = self._lacks(chosen, record)
        if not lacks:
            return ""
        return f"checkpoint {chosen} is chosen by its score on {self.evaluation!r}, not by critical entropy: {lacks}"

    def _merit(self, name: str, record: Record) -> tuple[float, ...]:
        entropy, score = self._of(name, "critical_entropy", record), self._of(name, "sampled", record)
        return (0.0, score) if self._lacks(name, record) else (1.0, entropy, score)

    def _lacks(self, name: str, record: Record) -> str:
        """What keeps a checkpoint out of the running, "" where nothing does."""
        score, best = self._of(name, "sampled", record), max(self._of(n, "sampled", record) for n in record.checkpoints)
        n, length = self._of(name, "critical_tokens", record), self._of(name, "tokens", record)
        before = record.before[f"eval/{self.evaluation}/tokens"]
        if n < self.min_tokens:
            return f"it has {n:.0f} critical tokens, fewer than {self.min_tokens}"
        if length < self.min_length * before:
            return f"its answers have {length:.1f} tokens on average, before training it was {before:.1f}"
        if best - score > self.tolerance + ROUNDING:
            return f"its score is {score:.3f}, the highest {best:.3f}"
        return ""

    def _of(self, name: str, figure: str, record: Record) -> float:
        return record.checkpoints[name].get(f"eval/{self.evaluation}/{figure}", 0.0)
