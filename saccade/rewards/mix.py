"""Several rewards as one: a route per sample, a gate, all of, any of, a weighted blend.

    >>> accuracy = routed("route", {"digit": digit, "mcq": letter, "iou": overlap}, name="accuracy")     # VLAA-Thinker
    >>> verified = any_of(rule, judge, name="accuracy")          # Skywork: the judge is asked only where the rule says no
    >>> hard = all_of(format_is_right, answer_is_right, name="hffrf")                                    # Vision-R1
    >>> weighted((gated(has_answer, accuracy, name="accuracy"), 0.7), (format_is_right, 0.3))

Each is a Reward like any other and may be mixed again. What decided is the Score's `route`, and a run logs mean and share of
every route (`reward/<term>/<route>`, docs/metrics.md), so that a route that never pays or a judge that says yes to
all is seen. Rewards that compare siblings cannot be mixed this way: they see groups, not rollouts.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from saccade.core.reward import Reward, as_score, value_of
from saccade.core.rollout import Rollout, Score
from saccade.core.sample import DataError, Sample


def routed(by: str | Callable[[Sample], str], routes: Mapping[str, Reward], *, name: str) -> Reward:
    """The reward that the sample asks for. `by` is "kind", a column of the row, or a function of the Sample.

    A sample whose route is not among `routes` is a fault of the data and fails with one sentence: a typing error must not fall
    silently to some default.
    """
    return _mixed(Routed(by=by, routes=dict(routes)), routes.values(), name=name, best=_common_best(routes.values()))


def gated(gate: Reward, reward: Reward, *, name: str, closed: float = 0.0) -> Reward:
    """`reward` where `gate` gives its best, else `closed`. What stands behind a closed gate is not computed."""
    return _mixed(Gated(gate=gate, reward=reward, closed=closed), (gate, reward), name=name, best=reward.best)


def all_of(*rewards: Reward, name: str) -> Reward:
    """1 where each gives its best, else 0. They are asked in order, and no further once one falls short."""
    return _mixed(AllOf(rewards), rewards, name=name, best=1.0)


def any_of(*rewards: Reward, name: str) -> Reward:
    """1 where one gives its best, else 0. They are asked in order, and no further once one does.

    Put the sure and cheap one first. Where none does and one cannot tell, nobody knows: None.
    """
    return _mixed(AnyOf(rewards), rewards, name=name, best=1.0)


def blended(*terms: tuple[Reward, float], name: str) -> Reward:
    """The weighted sum as one term: `blended((accuracy, 0.7), (format, 0.3), name="hybrid")`. None where one is None.

    Prefer `weighted` for a stage's rewards, which logs every term; this is for a sum inside a route or a gate.
    """
    bests = [None if reward.best is None else reward.best * weight for reward, weight in terms]
    best = None if None in bests else math.fsum(bests)
    return _mixed(Blended(terms), [reward for reward, _ in terms], name=name, best=best)


@dataclass(frozen=True, kw_only=True)
class Routed:
    """See `routed`."""

    by: str | Callable[[Sample], str]
    routes: Mapping[str, Reward]

    @property
    def wants(self) -> frozenset[str]:
        return _wanted(self.routes.values())

    async def __call__(self, rollout: Rollout, **offered: Any) -> Score:
        route = self.route_of(rollout.sample)
        score = await _ask(self.routes[route], rollout, offered)
        return replace(score, route=f"{route}/{score.route}" if score.route else route)

    def best_for(self, sample: Sample) -> float | None:
        """What a perfect answer to this sample earns."""
        return self.routes[self.route_of(sample)].best_for(sample)

    def route_of(self, sample: Sample) -> str:
        """The name of the sample's route. DataError where there is none of that name."""
        if callable(self.by):
            route = self.by(sample)
        else:
            route = sample.kind if self.by == "kind" else sample.data.get(self.by)
        if route not in self.routes:
            raise DataError(f"sample {sample.id!r} asks for the route {route!r}; have: {', '.join(self.routes)}")
        return route


@dataclass(frozen=True, kw_only=True)
class Gated:
    """See `gated`."""

    gate: Reward
    reward: Reward
    closed: float

    def best_for(self, sample: Sample) -> float | None:
        """What a perfect answer to this sample earns."""
        return self.reward.best_for(sample)

    @property
    def wants(self) -> frozenset[str]:
        return _wanted((self.gate, self.reward))

    async def __call__(self, rollout: Rollout, **offered: Any) -> Score:
        opened = await _ask(self.gate, rollout, offered)
        if opened.value is None:
            return replace(opened, why=f"{self.gate.name} cannot tell: {opened.why}")
        if not _is_full(self.gate, opened, rollout):
            return Score(self.closed, f"{self.gate.name}: {opened.why}", route="closed")
        score = await _ask(self.reward, rollout, offered)
        return replace(score, route=score.route or "open")


@dataclass(frozen=True)
class AllOf:
    """See `all_of`."""

    rewards: tuple[Reward, ...]

    @property
    def wants(self) -> frozenset[str]:
        return _wanted(self.rewards)

    async def __call__(self, rollout: Rollout, **offered: Any) -> Score:
        unknown: Score | None = None
        for reward in self.rewards:
            score = await _ask(reward, rollout, offered)
            if score.value is None:
                unknown = unknown or replace(score, why=f"{reward.name} cannot tell: {score.why}")
            elif not _is_full(reward, score, rollout):
                return Score(0.0, f"{reward.name}: {score.why}", route=reward.name)
        return unknown or Score(1.0, "all full", route="all")


@dataclass(frozen=True)
class AnyOf:
    """See `any_of`."""

    rewards: tuple[Reward, ...]

    @property
    def wants(self) -> frozenset[str]:
        return _wanted(self.rewards)

    async def __call__(self, rollout: Rollout, **offered: Any) -> Score:
        unknown: Score | None = None
        said = []
        for reward in self.rewards:
            score = await _ask(reward, rollout, offered)
            if score.value is None:
                unknown = unknown or replace(score, why=f"{reward.name} cannot tell: {score.why}")
            elif _is_full(reward, score, rollout):
                return Score(1.0, f"{reward.name}: {score.why}", route=reward.name)
            else:
                said.append(f"{reward.name}: {score.why}")
        return unknown or Score(0.0, "; ".join(said), route="none")


@dataclass(frozen=True)
class Blended:
    """See `blended`."""

    terms: tuple[tuple[Reward, float], ...]

    @property
    def wants(self) -> frozenset[str]:
        return _wanted(reward for reward, _ in self.terms)

    async def __call__(self, rollout: Rollout, **offered: Any) -> Score:
        scores = await asyncio.gather(*(_ask(reward, rollout, offered) for reward, _ in self.terms))
        total, said = [], []
        for (reward, weight), score in zip(self.terms, scores, strict=True):
            if score.value is None:
                return Score(None, f"{reward.name} cannot tell: {score.why}")
            total.append(weight * score.value)
            why = f" ({score.why})" if score.why else ""
            said.append(f"{weight:g} x {reward.name} {score.value:g}{why}")
        return Score(math.fsum(total), " + ".join(said))


def _mixed(function: Callable, rewards: Any, *, name: str, best: float | None) -> Reward:
    rewards = tuple(rewards)
    if not rewards:
        raise ValueError(f"{name!r} mixes no rewards; give at least one")
    over_groups = [reward.name for reward in rewards if reward.scope == "group"]
    if over_groups:
        raise ValueError(f"{name!r} mixes {', '.join(over_groups)}, which compares siblings; make it a term of weighted(...) instead")
    return Reward(name=name, function=function, best=best)


def _common_best(rewards: Any) -> float | None:
    bests = {reward.best for reward in rewards}
    return bests.pop() if len(bests) == 1 else None


def _wanted(rewards: Any) -> frozenset[str]:
    return frozenset().union(*(reward.wants for reward in rewards))


async def _ask(reward: Reward, rollout: Rollout, offered: Mapping[str, Any]) -> Score:
    return as_score(await value_of(reward.offer(rollout, **offered)))


def _is_full(reward: Reward, score: Score, rollout: Rollout) -> bool:
    best = reward.best_for(rollout.sample)
    if best is None:
        raise ValueError(f"{reward.name} is asked whether it gave its best, which it does not say for this sample; give it best=")
    return score.value >= best - 1e-9
