"""A named function from what happened to what it was worth, and sums of such functions.

    >>> @reward
    ... def count_is_right(rollout):
    ...     return rollout.section("answer") == rollout.sample.target
    >>> rewards = weighted((count_is_right, 1.0), (format_is_right, 0.5))
    >>> await rewards.score(groups, progress=0.25)      # groups whose rollouts carry Scores and a total

A function returns a Score, a number, a bool, or None where it cannot tell. It may be async: all rollouts of a step are then
awaited together, so that a judge can answer in batches. It may name what it needs as keywords: `progress` (training
progress, 0 to 1) and `pieces` (`pieces(rollout.token_T)` is the text that each token adds, for rewards of single steps).
With `@reward(scope="group")` it sees a whole Group and returns one value per sibling.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from saccade.core.exchange import Exchange, overheard
from saccade.core.rollout import Group, Rollout, Score
from saccade.core.sample import Sample


Scope = Literal["rollout", "group"]


class RewardError(RuntimeError):
    """A reward function that failed; the message names the function and the row."""


@dataclass(frozen=True, kw_only=True)
class Reward:
    """A named reward function.

    `scope` says whether it sees one Rollout or the whole Group of siblings. `best` is what a perfect answer earns, which
    `saccade check` asks of the gold answers; None where there is no such figure, as for what compares siblings.
    """

    name: str
    function: Callable[..., Any]
    scope: Scope = "rollout"
    best: float | None = 1.0

    def __post_init__(self) -> None:
        if self.scope not in get_args(Scope):
            raise ValueError(f"the scope of reward {self.name!r} is one of {', '.join(get_args(Scope))}; got {self.scope!r}")

    def __call__(self, subject: Rollout | Group, **options: Any) -> Any:
        return self.function(subject, **options)

    def best_for(self, sample: Sample) -> float | None:
        """`best` where one reward serves all samples; the function's own `best_for` where samples take several routes."""
        own = getattr(self.function, "best_for", None)
        return self.best if own is None else own(sample)

    @functools.cached_property
    def wants(self) -> frozenset[str]:
        """Names of what the function asks to be offered: its own `wants`, else its parameters."""
        declared = getattr(self.function, "wants", None)
        return frozenset(inspect.signature(self.function).parameters if declared is None else declared)

    def offer(self, subject: Rollout | Group, **offered: Any) -> Any:
        """Call the function with what it wants of `offered`."""
        wanted = self.wants
        return self.function(subject, **{name: value for name, value in offered.items() if name in wanted})

    async def scores(self, group: Group, **offered: Any) -> list[Score]:
        """One Score per sibling. RewardError, naming function and row, when the function raises or answers nonsense.

        A score knows what judges were asked about its rollout; what was asked about a whole group is with the first sibling.
        """
        try:
            if self.scope == "group":
                values, asked = await self._overheard(group, offered)
                if not isinstance(values, Sequence) or len(values) != len(group.rollouts):
                    got = len(values) if isinstance(values, Sequence) else type(values).__name__
                    raise ValueError(f"must return one value per sibling ({len(group.rollouts)}), got {got}")
                found = [(value, () if place else asked) for place, value in enumerate(values)]
            else:
                found = await asyncio.gather(*(self._overheard(rollout, offered) for rollout in group.rollouts))
            return [replace(score, asked=asked) if asked else score for score, asked in ((as_score(v), a) for v, a in found)]
        except Exception as error:
            raise RewardError(f"reward {self.name!r} failed on row {group.sample.id!r}: {error!r}") from error

    async def _overheard(self, subject: Rollout | Group, offered: Mapping[str, Any]) -> tuple[Any, tuple[Exchange, ...]]:
        """What the function says of a subject, and what it asked judges meanwhile."""
        with overheard() as asked:
            value = await value_of(self.offer(subject, **offered))
        return value, tuple(asked)


@dataclass(frozen=True)
class Term:
    """A reward and its weight in a sum."""

    reward: Reward
    weight: float

    def __post_init__(self) -> None:
        if not isinstance(self.reward, Reward):
            what = getattr(self.reward, "__name__", type(self.reward).__name__)
            raise TypeError(f"{what!r} is no Reward; put @reward above the function, or call the factory that makes one")
        if not math.isfinite(self.weight):
            raise ValueError(f"the weight of {self.reward.name!r} must be finite, got {self.weight}")


@dataclass(frozen=True)
class Rewards:
    """A weighted sum of rewards. Each term is logged unweighted under its own name."""

    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        names = [term.reward.name for term in self.terms]
        if len(set(names)) != len(names) or not names:
            raise ValueError(f"rewards need distinct names and at least one term, got {names}")

    @property
    def names(self) -> tuple[str, ...]:
        """The terms' names, in order."""
        return tuple(term.reward.name for term in self.terms)

    async def score(self, groups: Sequence[Group], **offered: Any) -> list[Group]:
        """The groups with every rollout scored; `offered` is what reward functions may ask for by name.

        A rollout with any None score has reward None.
        """
        return list(await asyncio.gather(*(self._score_group(group, offered) for group in groups)))

    def score_now(self, groups: Sequence[Group], **offered: Any) -> list[Group]:
        """`score` for callers that are not async themselves."""
        found: list[Group] = []

        async def keep() -> None:
            # asyncio.run shows its task's result as text where it handles Ctrl-C, and groups are long: it gets none.
            found.extend(await self.score(groups, **offered))

        asyncio.run(keep())
        return found

    async def _score_group(self, group: Group, offered: Mapping[str, Any]) -> Group:
        columns = await asyncio.gather(*(term.reward.scores(group, **offered) for term in self.terms))
        rollouts = []
        for rollout, *found in zip(group.rollouts, *columns, strict=True):
            scores = [replace(score, weight=term.weight) for term, score in zip(self.terms, found, strict=True)]
            rollouts.append(rollout.scored(dict(zip(self.names, scores, strict=True)), self._total(scores)))
        return replace(group, rollouts=tuple(rollouts))

    def _total(self, scores: Sequence[Score]) -> float | None:
        if any(score.value is None for score in scores):
            return None
        return math.fsum(score.weight * score.value for score in scores)


def reward(
    function: Callable | None = None, *, name: str | None = None, scope: Scope = "rollout", best: float | None = 1.0
) -> Any:
    """Make a Reward of a function; usable bare (`@reward`) or with options (`@reward(scope="group", best=None)`)."""

    def make(function: Callable) -> Reward:
        return Reward(name=name or function.__name__, function=function, scope=scope, best=best)

    return make if function is None else make(function)


def weighted(*terms: tuple[Reward, float]) -> Rewards:
    """A weighted sum of rewards: `weighted((accuracy, 1.0), (format, 1.0))`."""
    return Rewards(tuple(Term(reward, float(weight)) for reward, weight in terms))


async def value_of(result: Any) -> Any:
    """The result, awaited where it has to be."""
    return await result if inspect.isawaitable(result) else result


def as_score(value: Any) -> Score:
    """A number, bool or None as a Score. ValueError where the value is text or not finite."""
    score = value if isinstance(value, Score) else Score(value)
    if isinstance(score.value, str | bytes):
        raise ValueError(f"must return a number or None, got the text {score.value!r:.60}")
    if score.value is not None:  # also out of NumPy's and torch's scalars
        score = replace(score, value=float(score.value))
    if score.value is not None and not math.isfinite(score.value):
        raise ValueError(f"must return a finite number or None, got {score.value}")
    return score
