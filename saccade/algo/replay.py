"""Filling a step with old experience where the fresh one says nothing: Selective Sample Replay, VL-Rethinker (2504.08837).

As a policy gets better or hits its limit, more and more groups are flat and their rollouts have advantage 0. A replay is a
function from the step's fresh experience and what is held from earlier steps to what the step learns from and what is held on:

    chosen, held = replay(fresh, held, step=12, random=generator)

Replayed rollouts keep the advantage of their day. `held` is plain data, so that it can stand in a checkpoint.

    SelectiveReplay     the paper's algorithm; with an importance cap of ours, off in `paper_replay`
    ReleasedReplay      what the released code does
    RepeatedNonzero     its control: no memory, the informative ones repeated until the step is full
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

import numpy as np

from saccade.algo.corrections import TruncatedRatio
from saccade.core.experience import Experience


class Replay(Protocol):
    """(fresh, held, *, step, random) -> (chosen, held)."""

    @property
    def needs_ratio(self) -> bool:
        """Whether what it replays is compared with the policy of its day, so that the surrogate must have a ratio."""

    def __call__(
        self, fresh: Sequence[Experience], held: Sequence[Experience], *, step: int, random: np.random.Generator
    ) -> tuple[list[Experience], tuple[Experience, ...]]: ...


@dataclass(frozen=True, kw_only=True)
class SelectiveReplay:
    """Draw in place of what has advantage 0, from all held experience, with P ~ |A|^alpha. specs/vl_rethinker.md 6.6

    What was drawn has an advantage other than 0; `len(fresh)` experiences come out unless nothing is held. Everything held is let
    go every `clear_every` steps (the paper: after an episode of 1024 queries).

    `cap` corrects for the policy having moved on: a replayed token weighs min(pi_now / pi_then, cap) and is clipped around the
    policy as it is (decoupled PPO, 2110.00641). None is the paper's way, whose only control is the clip around the old policy: a
    replayed failure (A < 0) is then pushed down without bound while it becomes likelier.
    """

    alpha: float = 1.0  # P
    clear_every: int = 16  # I 1024 queries of 64 a step
    cap: float | None = 2.0  # O

    def __post_init__(self) -> None:
        if not (0 <= self.alpha < math.inf and self.clear_every >= 1 and (self.cap is None or self.cap > 0)):
            raise ValueError(f"replay needs alpha >= 0, clear_every >= 1 and a cap above 0 or None, got {self}")

    @property
    def needs_ratio(self) -> bool:
        """Unless a cap makes up for the policy having moved."""
        return self.cap is None

    def __call__(
        self, fresh: Sequence[Experience], held: Sequence[Experience], *, step: int, random: np.random.Generator
    ) -> tuple[list[Experience], tuple[Experience, ...]]:
        informative = [one for one in fresh if one.size > 0]
        held = () if step % self.clear_every == 0 else tuple(held)
        held = held + tuple(as_held(one) for one in informative)
        wanted = len(fresh) - len(informative)
        drawn = weighted_draw(held, wanted, alpha=self.alpha, random=random)
        return informative + [self._corrected(one) for one in drawn], held

    def _corrected(self, one: Experience) -> Experience:
        return one if self.cap is None else replace(one, old_T=None, correction=TruncatedRatio(cap=self.cap))


def paper_replay(*, alpha: float = 1.0, clear_every: int = 16) -> SelectiveReplay:
    """Selective Sample Replay as published: no importance cap."""
    return SelectiveReplay(alpha=alpha, clear_every=clear_every, cap=None)


@dataclass(frozen=True, kw_only=True)
class ReleasedReplay:
    """What VL-Rethinker's released code does in place of the paper's algorithm. specs/vl_rethinker.md 6.6 (C)

    A step shrinks to half of its experiences. Up to half come from the fresh ones (those with an advantage, and a tenth of the
    fully right ones without), RE-DRAWN with P ~ |A|, so that some stand there twice and the added ones never; the rest from a
    queue of that length, with P ~ |A| + 1e-4. The queue is never cleared. In the released HEAD all this is switched off by a
    default argument; nothing here depends on it.
    """

    added_share: float = 0.1  # C
    full_marks: float = 1.0  # I which reward counts as fully right
    needs_ratio: ClassVar[bool] = True

    def __call__(
        self, fresh: Sequence[Experience], held: Sequence[Experience], *, step: int, random: np.random.Generator
    ) -> tuple[list[Experience], tuple[Experience, ...]]:
        target = len(fresh) // 2
        informative = [one for one in fresh if one.size > 0]
        length = max(target, len(held))  # of a queue whose length the released code fixes once
        held = (*held, *(as_held(one) for one in informative))[-length:] if length else ()
        right = [one for one in fresh if one.size == 0 and (one.rollout.reward or 0.0) >= self.full_marks]
        added = [right[i] for i in random.permutation(len(right))[: round(self.added_share * len(right))]]
        current = informative + added
        current = [current[i] for i in random.permutation(len(current))[:target]]
        chosen = weighted_draw(current, min(target, len(current)), alpha=1.0, random=random)
        chosen += _without_replacement(held, target - len(chosen), random=random)
        return chosen, held


@dataclass(frozen=True, kw_only=True)
class RepeatedNonzero:
    """The informative experiences alone, in order, again and again until the step is as large as it was: the mode "Filter"."""

    needs_ratio: ClassVar[bool] = False

    def __call__(
        self, fresh: Sequence[Experience], held: Sequence[Experience], *, step: int, random: np.random.Generator
    ) -> tuple[list[Experience], tuple[Experience, ...]]:
        informative = [one for one in fresh if one.size > 0]
        return [informative[i % len(informative)] for i in range(len(fresh))] if informative else [], ()


def as_held(one: Experience) -> Experience:
    """Experience as it is remembered: its ratio is to the policy that sampled it."""
    return replace(one, old_T=one.rollout.sampled_logp_T, correction=None, is_replayed=True)


def chances(sizes: Sequence[float], *, alpha: float) -> np.ndarray:
    """P(j) = |A_j|^alpha / sum. All equal where alpha is 0; 0 / 0 counts as 0."""
    power = np.asarray(sizes, dtype=np.float64) ** alpha
    return power / power.sum() if power.sum() > 0 else np.zeros(len(power))


def weighted_draw(
    items: Sequence[Experience], n: int, *, alpha: float, random: np.random.Generator
) -> list[Experience]:
    """`n` of the items with replacement, P ~ |A|^alpha; none where no item has a chance."""
    chance = chances([one.size for one in items], alpha=alpha)
    if n <= 0 or not chance.any():
        return []
    return [items[i] for i in random.choice(len(items), size=n, p=chance)]


def _without_replacement(items: Sequence[Experience], n: int, *, random: np.random.Generator) -> list[Experience]:
    """`n` of the items with P ~ |A| + 1e-4, each once; all of them repeated first where there are too few."""
    if n <= 0 or not items:
        return []
    whole, rest = divmod(n, len(items))
    chance = np.asarray([one.size for one in items]) + 1e-4
    drawn = random.choice(len(items), size=rest, replace=False, p=chance / chance.sum())
    return list(items) * whole + [items[i] for i in drawn]
