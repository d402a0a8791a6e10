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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from saccade.core.reward import Reward, as_score, value_of
from saccade.core.rollout import Rollout, Score
from saccade.core.sample import DataError, Sample


def routed(by: str | Callable[[Sample], str], routes: Mapping[str, Reward], *, name: str) -> Reward:
    """The reward that the sample asks for. `by` is "kind", a column of the row, or a function of the Sample.

    A sample whose route is not among `routes` is a fault of the data and fails with one sentence: a typing error must not
    fall silently to some default.
    """
    _require(routes.values(), name=name)
    return Reward(name=name, function=Routed(by=by, routes=dict(routes)), best=_common_best(routes.values()))


def gated(gate: Reward, reward: Reward, *, name: str, closed: float = 0.0) -> Reward:
    """`reward` where `gate` gives its best, else `closed`. What stands behind a closed gate is not computed."""
    _require((gate, reward), name=name, asked=(gate,))
    return Reward(name=name, function=Gated(gate=gate, reward=reward, closed=closed), best=reward.best)


def all_of(*rewards: Reward, name: str) -> Reward:
    """1 where each gives its best, else 0. They are asked in order, and no further once one falls short.

    Their names must differ: a run logs which of them decided.
    """
    _require(rewards, name=name, asked=rewards)
    return Reward(name=name, function=AllOf(rewards), best=1.0)


def any_of(*rewards: Reward, name: str) -> Reward:
    """1 where one gives its best, else 0. They are asked in order, and no further once one does.

    Put the sure and cheap one first, and give each a name of its own: a run logs which of them decided. Where none gives
    its best and one cannot tell, nobody knows: None.
    """
    _require(rewards, name=name, asked=rewards)
    return Reward(name=name, function=AnyOf(rewards), best=1.0)


def blended(*terms: tuple[Reward, float], name: str) -> Reward:
    """The weighted sum as one term: `blended((accuracy, 0.7), (format, 0.3), name="hybrid")`. None where one is None.

    Prefer `weighted` for a stage's rewards, which logs every term; this is for a sum inside a route or a gate.
    """
    _require([reward for reward, _ in terms], name=name)
    bests = [None if reward.best is None else reward.best * weight for reward, weight in terms]
    return Reward(name=name, function=Blended(terms), best=None if None in bests else math.fsum(bests))


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
        elif self.by == "kind":
            route = sample.kind
        elif self.by in sample.data:
            route = sample.data[self.by]
        else:
            columns = ", ".join(map(str, sample.data)) or "none"
            raise DataError(f"sample {sample.id!r} has no column {self.by!r} to take its route from; its columns: {columns}")
        if route not in tuple(self.routes):
            what = repr(route) if isinstance(route, str) else f"{route!r}, which is no text but {type(route).__name__}"
            raise DataError(f"sample {sample.id!r} asks for the route {what}; have: {', '.join(map(str, self.routes))}")
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
            return replace(opened, why=_said(f"{self.gate.name} cannot tell", opened))
        if not _is_full(self.gate, opened, rollout):
            return Score(self.closed, _said(self.gate.name, opened), route="closed")
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
                unknown = unknown or replace(score, why=_said(f"{reward.name} cannot tell", score))
            elif not _is_full(reward, score, rollout):
                return Score(0.0, _said(reward.name, score), route=reward.name)
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
                unknown = unknown or replace(score, why=_said(f"{reward.name} cannot tell", score))
            elif _is_full(reward, score, rollout):
                return Score(1.0, _said(reward.name, score), route=reward.name)
            else:
                said.append(_said(reward.name, score))
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
                return Score(None, _said(f"{reward.name} cannot tell", score))
            total.append(weight * score.value)
            why = f" ({score.why})" if score.why else ""
            said.append(f"{weight:g} x {reward.name} {score.value:g}{why}")
        return Score(math.fsum(total), " + ".join(said))


def _require(rewards: Iterable[Reward], *, name: str, asked: Sequence[Reward] = ()) -> None:
    """TypeError or ValueError where these make no mix; `asked` are those of which it asks whether they gave their best."""
    rewards = tuple(rewards)
    if not rewards:
        raise ValueError(f"{name!r} mixes no rewards; give at least one")
    if strange := [one for one in rewards if not isinstance(one, Reward)]:
        what = getattr(strange[0], "__name__", repr(strange[0]))
        raise TypeError(
            f"{name!r} mixes rewards, and {what} is none: put @reward on a function, and call what makes a reward"
        )
    if over_groups := [one.name for one in rewards if one.scope == "group"]:
        who = ", ".join(over_groups)
        raise ValueError(f"{name!r} mixes {who}, which compares siblings; make it a term of weighted(...) instead")
    names = [one.name for one in asked]
    if len(set(names)) < len(names):
        raise ValueError(f"{name!r} needs distinct names to log which decided, got {', '.join(names)}; give them name=")
    if silent := [one.name for one in asked if one.best is None and not hasattr(one.function, "best_for")]:
        raise ValueError(f"{name!r} asks {silent[0]} whether it gave its best, which it does not say; give it best=")


def _common_best(rewards: Iterable[Reward]) -> float | None:
    bests = {reward.best for reward in rewards}
    return bests.pop() if len(bests) == 1 else None


def _wanted(rewards: Iterable[Reward]) -> frozenset[str]:
    return frozenset().union(*(reward.wants for reward in rewards))


async def _ask(reward: Reward, rollout: Rollout, offered: Mapping[str, Any]) -> Score:
    return as_score(await value_of(reward.offer(rollout, **offered)))


def _is_full(reward: Reward, score: Score, rollout: Rollout) -> bool:
    best = reward.best_for(rollout.sample)
    if best is None:
        asked = f"{reward.name} is asked whether it gave its best"
        raise ValueError(f"{asked}, which it does not say for this sample; give it best=")
    return score.value >= best - 1e-9


def _said(who: str, score: Score) -> str:
    return f"{who}: {score.why}" if score.why else who
