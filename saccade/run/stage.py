"""The legs of a training: each makes groups for a step; `train.py` learns from them with the one optimizer step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, pstdev
from typing import TYPE_CHECKING, Literal

import numpy as np

from saccade.algo.algorithm import Algorithm
from saccade.algo.curriculum import Curriculum
from saccade.algo.keep import term_values
from saccade.algo.named import sft
from saccade.algo.schedules import Schedule, at, values_of
from saccade.algo.surrogates import needs_fresh
from saccade.core.reward import Rewards
from saccade.core.rollout import Group, Rollout, Score, Stop
from saccade.core.sample import DataError, Sample, Task
from saccade.policy.spec import Optimization, Sampling
from saccade.run.ask import asking
from saccade.run.memory import Memory
from saccade.run.revise import Revision, revised
from saccade.run.seeds import derive, next_indices

if TYPE_CHECKING:
    from saccade.policy.protocol import Policy


class TooManyUnscored(RuntimeError):
    """More rollouts without a score than a stage allows."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """What a step made: the groups to learn from, all that were asked for it, and what they were like."""

    groups: list[Group]
    asked: list[Group]
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(kw_only=True)
class _Tally:
    """What a step of RL adds up over its rounds: seconds, the answers as they were first, and how many were revised."""

    sampling: float = 0.0
    scoring: float = 0.0
    first: list[Group] = field(default_factory=list)
    n_tries: int = 0
    n_replaced: int = 0

    def revision(self) -> dict[str, float]:
        """The metrics of a stage that revises."""
        rewards = [reward for group in self.first for reward in group.rewards]
        known = [reward for reward in rewards if reward is not None]
        return {
            "reward/first": fmean(known) if known else 0.0,
            "rollout/revision_tries": self.n_tries / len(rewards),
            "rollout/revised": self.n_replaced / len(rewards),
        }


@dataclass(frozen=True, kw_only=True)
class SFT:
    """Supervised fine-tuning on worked answers: `batch` samples a step.

    `answer` writes the worked answer of a sample, whose pictures then know the size at which the model sees them, so that boxes can be
    written in the model's frame; None takes the samples' own solutions.
    """

    name: str = "sft"
    task: Task
    steps: int
    batch: int
    optimization: Optimization
    answer: Callable[[Sample], str | None] | None = None
    algorithm: Algorithm = field(default_factory=sft)
    # What every stage says of itself, and imitation cannot change.
    updates_per_rollout: int = field(default=1, init=False)
    temperature: float = field(default=1.0, init=False)
    was_sampled: bool = field(default=False, init=False)
    reference: Literal["stage"] = field(default="stage", init=False)
    sync_every: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        _require_samples(self.name, self.task)
        _require_counts(self.name, steps=self.steps, batch=self.batch)
        without = [sample.id for sample in self.task if sample.solution is None]
        if without and self.answer is None:
            raise DataError(
                f"stage {self.name!r} imitates solutions, but {len(without)} of {len(self.task)} samples of "
                f"{self.task.name!r} have none (first: {without[0]}); give the rows a solution or the stage an answer, or drop the stage"
            )

    def round(self, policy: Policy, step: int, *, seed: int, memory: Memory) -> Round:
        """This step's solutions as groups of one."""
        indices = next_indices(
            len(self.task), first=memory.drawn, count=self.batch, seed=derive(seed, self.name)
        )
        memory.drawn += self.batch
        groups = [self._imitated(policy, self.task.samples[i]) for i in indices]
        return Round(groups=groups, asked=groups)

    def _imitated(self, policy: Policy, sample: Sample) -> Group:
        """The worked answer as a group of one."""
        pictures = policy.seen(sample)
        text = sample.solution if self.answer is None else self.answer(sample.showing(pictures))
        if text is None:
            raise DataError(f"stage {self.name!r}: its answer to sample {sample.id!r} is None; leave the sample out, or answer it")
        token_T = policy.branch_of(text).token_T
        n = len(token_T)
        rollout = Rollout(
            sample=sample,
            text=text,
            token_T=token_T,
            logp_T=(0.0,) * n,
            is_sampled_T=(True,) * n,
            stop=Stop.EOS,
            pictures=pictures,
        )
        return Group(sample=sample, rollouts=(rollout,))


@dataclass(frozen=True, kw_only=True)
class RL:
    """Group-relative reinforcement learning: `prompts` samples a step, `siblings` rollouts of each.

    siblings             a number, or a Schedule of progress
    limit                the most tokens of an answer, a number or a Schedule of progress; None leaves it to `sampling`
    updates_per_rollout  optimizer steps that a step's experience is split into, by order, samples whole
    curriculum           how the odds of a sample follow from its pass rate; None asks all in random order, again and again
    max_unscored_share   more of a step's rollouts without a reward stop the run
    reference            what a KL penalty pulls to: the policy where the "stage" began, or the "base" model without adapters
    sync_every           move the reference towards the policy every so many steps, by `sync_mix`; 0 never
    revise               answers that are gone on with, and replaced by what is right then (algo/rethinking.py); None for none
    """

    name: str = "rl"
    task: Task
    rewards: Rewards
    algorithm: Algorithm
    steps: int
    prompts: int
    siblings: int | Schedule
    sampling: Sampling
    optimization: Optimization
    limit: int | Schedule | None = None
    updates_per_rollout: int = 1
    curriculum: Curriculum | None = None
    max_unscored_share: float = 0.2  # O
    reference: Literal["stage", "base"] = "stage"
    sync_every: int = 0
    sync_mix: float = 0.6  # C TRL, every 512 steps
    revise: Revision | None = None
    was_sampled: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        _require_samples(self.name, self.task)
        _require_counts(self.name, steps=self.steps, prompts=self.prompts)
        if min(values_of(self.siblings)) < 2:
            raise ValueError(f"a group needs at least 2 siblings to compare, got {self.siblings}")
        if self.limit is not None and min(values_of(self.limit)) < 1:
            raise ValueError(f"an answer may have at least 1 token, got the limit {self.limit}")
        if not self.sampling.is_whole:
            raise ValueError(
                "RL must sample from the whole distribution (temperature above 0, top_p 1, top_k 0): log-probs of a "
                f"truncated one are not the learner's; got {self.sampling}"
            )
        if needs_fresh(self.algorithm.surrogate):
            if self.updates_per_rollout > 1:
                raise ValueError(
                    f"{self.algorithm.name} has no ratio to correct later updates with; set updates_per_rollout=1, or choose "
                    "an algorithm that clips"
                )
            if self.algorithm.replay is not None and self.algorithm.replay.needs_ratio:
                raise ValueError(
                    f"{self.algorithm.name} has no ratio to correct replayed experience with; give the replay a cap, or "
                    "choose an algorithm that clips"
                )
        if not 1 <= self.updates_per_rollout <= self.prompts:
            raise ValueError(f"updates_per_rollout must be 1 to prompts ({self.prompts}), got {self.updates_per_rollout}")
        if self.sync_every < 0 or not 0 < self.sync_mix <= 1:
            raise ValueError(
                f"sync_every must be 0 or more and sync_mix above 0 to 1, got {self.sync_every} and {self.sync_mix}"
            )
        if self.curriculum:
            _require_pass_rates(self.name, self.task)
        if self.revise is not None:
            over_groups = [term.reward.name for term in self.rewards.terms if term.reward.scope == "group"]
            if over_groups:
                raise ValueError(
                    f"stage {self.name!r} revises answers one by one, but {', '.join(over_groups)} compares siblings; drop one"
                )
            least = min(values_of(self.sampling.max_tokens if self.limit is None else self.limit))
            if self.revise.tokens >= least:
                raise ValueError(
                    f"stage {self.name!r} adds up to {self.revise.tokens} tokens to an answer that may have {least:g} in all; lower "
                    "the revision's tokens, or raise the limit"
                )
        looks = [(self.algorithm.name, term) for term in sorted(self.algorithm.terms)]
        looks += [("the curriculum", self.curriculum.by)] if self.curriculum else []
        looks += [("the revision", by)] if (by := getattr(self.revise, "by", None)) else []
        for who, term in looks:
            if term not in self.rewards.names:
                raise ValueError(
                    f"stage {self.name!r}: {who} looks at the reward {term!r}; have: {', '.join(self.rewards.names)}; name "
                    "one of them with by=, or add it with weight 0"
                )

    @property
    def temperature(self) -> float:
        """The temperature at which log-probs count."""
        return self.sampling.temperature

    def round(self, policy: Policy, step: int, *, seed: int, memory: Memory) -> Round:
        """This step's rollouts, sampled and scored; again and again where the algorithm refills, until the step is full."""
        refill = self.algorithm.refill
        most = 1 if refill is None else refill.rounds
        asked: list[Group] = []
        kept: list[Group] = []
        tally = _Tally()
        for number in range(most):
            count = self.prompts if refill is None else refill.count(self.prompts, kept=len(kept), asked=len(asked))
            asked += self._asked(policy, step, count, number=number, seed=seed, memory=memory, tally=tally)
            kept = asked if refill is None else self.algorithm.keep(asked)[: self.prompts]
            if len(kept) >= self.prompts:
                break
        metrics = {**rollout_metrics(asked, self.rewards), "time/sample": tally.sampling, "time/score": tally.scoring}
        if self.revise is not None:
            metrics |= tally.revision()
        self._learn_pass_rates(tally.first, memory)
        if metrics["rollout/unscored"] > self.max_unscored_share:
            raise TooManyUnscored(
                f"{metrics['rollout/unscored']:.0%} of the rollouts of step {step} have no reward, at most "
                f"{self.max_unscored_share:.0%} may; look at the 'why' of their scores in rollouts.jsonl"
            )
        if refill is not None:
            metrics["rollout/rounds"] = number + 1
            metrics["rollout/kept_groups"] = len(kept) / self.prompts
        return Round(groups=kept, asked=asked, metrics=metrics)

    def _asked(
        self,
        policy: Policy,
        step: int,
        count: int,
        *,
        number: int,
        seed: int,
        memory: Memory,
        tally: _Tally,
    ) -> list[Group]:
        """Further samples, their rollouts sampled, scored and revised; `number` counts the rounds of this step."""
        progress = step / self.steps
        purpose = "sample" if number == 0 else f"sample {number}"
        begin = time.perf_counter()
        limit = self.sampling.max_tokens if self.limit is None else int(at(self.limit, progress))
        sampling = replace(self.sampling, max_tokens=limit)
        groups = policy.sample(
            [self.task.samples[i] for i in self._next(count, step, number=number, seed=seed, memory=memory)],
            n=int(at(self.siblings, progress)),
            sampling=sampling,
            seed=derive(seed, self.name, step, purpose),
        )
        ask = asking(policy, seed=derive(seed, self.name, step, f"ask {number}"))

        def score(some: Sequence[Group]) -> list[Group]:
            start = time.perf_counter()
            scored = self.rewards.score_now(some, progress=progress, pieces=policy.pieces, ask=ask)
            tally.scoring += time.perf_counter() - start
            return scored

        before = tally.scoring
        groups = score(groups)
        tally.first += groups
        if self.revise is not None:
            revising = derive(seed, self.name, step, f"revise {number}")
            groups, tried = revised(policy, groups, self.revise, score=score, sampling=sampling, seed=revising)
            tally.n_tries, tally.n_replaced = tally.n_tries + tried.n_tries, tally.n_replaced + tried.n_replaced
        tally.sampling += time.perf_counter() - begin - (tally.scoring - before)
        return groups

    def _next(self, count: int, step: int, *, number: int, seed: int, memory: Memory) -> list[int]:
        """Which samples are asked next."""
        if self.curriculum is None:
            first, memory.drawn = memory.drawn, memory.drawn + count
            return next_indices(len(self.task), first=first, count=count, seed=derive(seed, self.name))
        rates = [memory.pass_rates.get(i, sample.data.get("pass_rate")) for i, sample in enumerate(self.task.samples)]
        random = np.random.default_rng(derive(seed, self.name, step, f"curriculum {number}"))
        return self.curriculum.draw(rates, count, progress=step / self.steps, random=random)

    def _learn_pass_rates(self, groups: Sequence[Group], memory: Memory) -> None:
        if self.curriculum is None:
            return
        places = {id(sample): place for place, sample in enumerate(self.task.samples)}
        found = {places[id(g.sample)]: fmean(v) for g in groups if (v := term_values(g, self.curriculum.by))}
        memory.pass_rates = self.curriculum.updated(memory.pass_rates, found)


Stage = SFT | RL


def rollout_metrics(groups: Sequence[Group], rewards: Rewards) -> dict[str, float]:
    """Rewards (each term unweighted), lengths and group statistics of a step, by the keys of docs/metrics.md."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    known = [rollout.reward for rollout in rollouts if rollout.reward is not None]
    metrics: dict[str, float] = {"reward/mean": fmean(known) if known else 0.0}
    for name in rewards.names:
        values = [r.scores[name].value for r in rollouts if r.scores[name].value is not None]
        metrics[f"reward/{name}"] = fmean(values) if values else 0.0
        metrics |= _route_metrics(name, [r.scores[name] for r in rollouts])
    spreads = [pstdev(rewards_G) for g in groups if len(rewards_G := [r for r in g.rewards if r is not None]) > 1]
    metrics["rollout/group_std"] = fmean(spreads) if spreads else 0.0
    metrics["rollout/flat_groups"] = fmean(group.is_flat for group in groups)
    metrics["rollout/tokens"] = fmean(rollout.n_sampled for rollout in rollouts)
    metrics["rollout/truncated"] = fmean(rollout.is_truncated for rollout in rollouts)
    logps = [logp for rollout in rollouts for logp in rollout.sampled_logp_T if not math.isnan(logp)]
    metrics["rollout/entropy"] = -fmean(logps) if logps else 0.0
    metrics["rollout/unscored"] = 1 - len(known) / len(rollouts)
    return metrics


def _route_metrics(name: str, scores: Sequence[Score]) -> dict[str, float]:
    """Of a term that decides in several ways: how often each did, and the mean of what it gave."""
    found: dict[str, float] = {}
    for route in sorted({score.route for score in scores} - {""}):
        values = [score.value for score in scores if score.route == route]
        known = [value for value in values if value is not None]
        found[f"reward/{name}/{route}"] = fmean(known) if known else 0.0
        found[f"route/{name}/{route}"] = len(values) / len(scores)
    return found


def _require_samples(stage: str, task: Task) -> None:
    if not len(task):
        raise DataError(f"stage {stage!r} has no samples to train on; give it a larger data set, or drop the stage")


def _require_pass_rates(stage: str, task: Task) -> None:
    """Where samples bring a pass rate of their own it must be a share."""
    for sample in task:
        rate = sample.data.get("pass_rate")
        if not (rate is None or (isinstance(rate, (int, float)) and 0 <= rate <= 1)):
            raise DataError(
                f"stage {stage!r} has a curriculum, but sample {sample.id!r} has the pass_rate {rate!r}; give a share from 0 to "
                "1, or none"
            )


def _require_counts(stage: str, **counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} of stage {stage!r} must be at least 1, got {count}")
