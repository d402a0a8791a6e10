"""Going on with some of a round's answers before they are learned from, and keeping what is right then.

    groups, tried = revised(policy, groups, stage.revise, score=score, sampling=sampling, seed=seed)

The revision decides (algo/rethinking.py), the policy goes on (`Policy.extend`), the stage's rewards score the results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from saccade.algo.rethinking import Begun
from saccade.core.rollout import Group, Rollout

if TYPE_CHECKING:
    from saccade.policy.protocol import Policy
    from saccade.policy.spec import Sampling


class Revision(Protocol):
    """Which answers are gone on with, and which results are kept. `tokens` is the most that is added to one."""

    tokens: int

    def begun(
        self,
        groups: Sequence[Group],
        *,
        limit: int,
        write: Callable[[str], tuple[int, ...]],
        pieces: Callable[[Sequence[int]], Sequence[str]],
        random: np.random.Generator,
    ) -> list[Begun]: ...

    def accepted(self, groups: Sequence[Group], begun: Sequence[Begun], after: Sequence[Rollout]) -> list[Group]: ...


class Tried(NamedTuple):
    """How many answers were gone on with, and how many of them were replaced."""

    n_tries: int
    n_replaced: int


def revised(
    policy: Policy,
    groups: Sequence[Group],
    revision: Revision,
    *,
    score: Callable[[Sequence[Group]], list[Group]],
    sampling: Sampling,
    seed: int,
) -> tuple[list[Group], Tried]:
    """The scored groups with what was rethought and kept in its place, and how many answers were tried and replaced.

    `score` scores groups; each result is scored as a group of its own, so the rewards must not compare siblings.
    """

    def write(text: str) -> tuple[int, ...]:
        return policy.branch_of(text).token_T[:-1]  # without its end

    random = np.random.default_rng(seed)
    begun = revision.begun(groups, limit=sampling.max_tokens, write=write, pieces=policy.pieces, random=random)
    if not begun:
        return list(groups), Tried(0, 0)
    room = replace(sampling, max_tokens=revision.tokens)
    after = policy.extend([one.rollout for one in begun], sampling=room, seed=seed)
    scored = score([Group(sample=rollout.sample, rollouts=(rollout,)) for rollout in after])
    found = revision.accepted(groups, begun, [group.rollouts[0] for group in scored])
    pairs = [pair for old, new in zip(groups, found, strict=True) for pair in zip(old.rollouts, new.rollouts, strict=True)]
    return found, Tried(len(begun), sum(before is not now for before, now in pairs))
