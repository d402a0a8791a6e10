"""Measuring a policy on held-out samples: greedy and sampled scores, pass@k, how sure they are and what they rest on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from saccade.core.blank import blanked
from saccade.core.reward import Reward, Rewards, Term
from saccade.core.rollout import Group, Rollout
from saccade.core.sample import Sample, Task
from saccade.policy.spec import Sampling
from saccade.run.ask import asking
from saccade.run.critical import critical_metrics, require_triggers
from saccade.run.stats import mean_interval, pass_at_k

if TYPE_CHECKING:
    from saccade.policy.protocol import Policy


# Figures of a whole set, such as a detector's mAP, from its greedy rollouts in the order of the samples.
Totals = Callable[[Sequence[Rollout]], Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A held-out set and how to score it.

    `score` is the figure of merit, 0 to 1; None (unscorable) counts as wrong. `shares` are further rewards whose means
    are reported beside it. `totals` are functions of all greedy answers to named figures that are no mean over samples, such as
    the mAP of a detection set. `attempts` answers are sampled for each sample at `temperature`, and one is greedy.
    `is_shifted` says that the set is out of distribution on purpose. `selects` marks the set by which the best checkpoint
    is chosen: it should then hold samples that no other evaluation reports.

    Two further measurements look at what the answers rest on. `blanks` asks every sample once more with all its pictures
    grey: picture_gain is how much the score owes to what is seen. `triggers`, such as ("wait", "alternatively", "hmm"),
    measures the entropy of the steps at which sampled answers turn to one of these words (critical.py); 4 and more
    `attempts`, with a few hundred turns among them, make it a figure to go by.
    """

    name: str
    task: Task
    score: Reward
    shares: tuple[Reward, ...] = ()
    totals: tuple[Totals, ...] = ()
    attempts: int = 1
    temperature: float = 1.0
    max_tokens: int = 128
    is_shifted: bool = False
    selects: bool = False
    blanks: bool = False
    triggers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"evaluation {self.name!r} needs at least 1 attempt at each sample, got {self.attempts}")
        self.sampling(self.temperature)
        require_triggers(self.triggers, of=f"evaluation {self.name!r}")
        if self.triggers and self.temperature == 0:
            raise ValueError(f"evaluation {self.name!r} has triggers but temperature 0, without entropy; set it to 1")

    @property
    def merits(self) -> tuple[str, ...]:
        """Keys of its metrics by which a checkpoint can be chosen: the higher the better."""
        probes = (("picture_gain", self.blanks), ("critical_entropy", self.triggers))
        shares = (share.name for share in self.shares)
        names = ("greedy", "sampled", *shares, *(name for name, is_measured in probes if is_measured))
        return tuple(f"eval/{self.name}/{name}" for name in names)

    def sampling(self, temperature: float) -> Sampling:
        """How its answers are drawn at a temperature, 0 for the greedy ones."""
        return Sampling(temperature=temperature, max_tokens=self.max_tokens)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What an evaluation found. `greedy` has one score per sample, `sampled` one row of attempts per sample."""

    evaluation: Evaluation
    greedy: tuple[float, ...]
    sampled: tuple[tuple[float, ...], ...]
    metrics: dict[str, float]
    groups: tuple[Group, ...]

    def estimate(self, mode: str) -> dict[str, float]:
        """{mean, low, high} of 'greedy' or 'sampled' with its 95 % interval over samples."""
        scores = self.greedy if mode == "greedy" else self.sampled
        interval = mean_interval(scores)
        mean = fmean(self.greedy) if mode == "greedy" else fmean(fmean(row) for row in self.sampled)
        return {"mean": mean, "low": interval.low, "high": interval.high}

    def as_dict(self) -> dict[str, Any]:
        """For summary.json and checkpoints: plain values only."""
        estimates = {mode: self.estimate(mode) for mode in ("greedy", "sampled")}
        kind = {"is_shifted": self.evaluation.is_shifted, "selects": self.evaluation.selects}
        return {"n": len(self.greedy), **kind, **estimates, "metrics": self.metrics}


def measure(policy: Policy, evaluation: Evaluation, *, seed: int) -> Measured:
    """Score a policy on an evaluation's samples. The same seed and weights give the same answers."""
    samples = list(evaluation.task)
    greedy = _answers(policy, evaluation, samples, n=1, temperature=0.0, seed=seed)
    sampled = _answers(policy, evaluation, samples, n=evaluation.attempts, temperature=evaluation.temperature, seed=seed)
    greedy_scores = tuple(_values(group, evaluation.score.name)[0] for group in greedy)
    sampled_scores = tuple(_values(group, evaluation.score.name) for group in sampled)
    found = {"greedy": fmean(greedy_scores), "sampled": fmean(map(fmean, sampled_scores))}
    found |= _of_answers(evaluation, sampled) | _pass_rates(sampled_scores) | _of_the_set(evaluation, greedy)
    if evaluation.blanks:
        found |= _without_pictures(policy, evaluation, samples, score=found["sampled"], seed=seed)
    if evaluation.triggers:
        found |= critical_metrics(policy, sampled, triggers=evaluation.triggers, temperature=evaluation.temperature)
    metrics = {f"eval/{evaluation.name}/{name}": value for name, value in found.items()}
    groups = tuple(greedy) + tuple(sampled)
    return Measured(evaluation=evaluation, greedy=greedy_scores, sampled=sampled_scores, metrics=metrics, groups=groups)


def _of_answers(evaluation: Evaluation, sampled: Sequence[Group]) -> dict[str, float]:
    """Of the sampled answers: how long they are, and the means of the further shares."""
    return {
        "tokens": fmean(r.n_sampled for g in sampled for r in g.rollouts),
        "truncated": fmean(r.is_truncated for g in sampled for r in g.rollouts),
        **{share.name: fmean(v for g in sampled for v in _values(g, share.name)) for share in evaluation.shares},
    }


def _of_the_set(evaluation: Evaluation, greedy: Sequence[Group]) -> dict[str, float]:
    """What the totals say, under total/."""
    rollouts = [rollout for group in greedy for rollout in group.rollouts]
    figures = [pair for total in evaluation.totals for pair in total(rollouts).items()]
    if len(figures) > len(dict(figures)):
        raise ValueError(f"the totals of evaluation {evaluation.name!r} name a figure twice: {', '.join(name for name, _ in figures)}")
    return {f"total/{name}": float(value) for name, value in figures}


def _pass_rates(sampled: Sequence[Sequence[float]]) -> dict[str, float]:
    """pass@k where there are several attempts and each is right or wrong."""
    n = len(sampled[0])
    if n == 1 or any(value not in (0.0, 1.0) for row in sampled for value in row):
        return {}
    sizes = sorted({2, 4, 8, 16, 32, 64, n} & set(range(2, n + 1)))
    return {f"pass@{k}": fmean(pass_at_k(n=n, correct=int(sum(row)), k=k) for row in sampled) for k in sizes}


def _without_pictures(
    policy: Policy, evaluation: Evaluation, samples: Sequence[Sample], *, score: float, seed: int
) -> dict[str, float]:
    """The score with every picture grey, one sampled answer per sample, and what of the sampled `score` that loses."""
    unseen = [blanked(sample) for sample in samples]
    answers = _answers(policy, evaluation, unseen, n=1, temperature=evaluation.temperature, seed=seed)
    blind = fmean(_values(group, evaluation.score.name)[0] for group in answers)
    return {"blanked": blind, "picture_gain": score - blind}


def _answers(
    policy: Policy, evaluation: Evaluation, samples: Sequence[Sample], *, n: int, temperature: float, seed: int
) -> list[Group]:
    groups = policy.sample(samples, n=n, sampling=evaluation.sampling(temperature), seed=seed)
    names = {reward.name: reward for reward in (evaluation.score, *evaluation.shares)}
    rewards = Rewards(tuple(Term(reward, 1.0) for reward in names.values()))
    return rewards.score_now(groups, progress=1.0, pieces=policy.pieces, ask=asking(policy, seed=seed))


def _values(group: Group, name: str) -> tuple[float, ...]:
    return tuple(rollout.scores[name].value or 0.0 for rollout in group.rollouts)
