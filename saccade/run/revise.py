"""Going on with some of a round's answers before they are learned from, and keeping what came out better.

    groups, metrics = revised(policy, groups, stage.revise, score=score, sampling=sampling, seed=seed)

The revision decides (algo/rethinking.py), the policy goes on (`Policy.extend`), the stage's rewards score the results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

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
        write: Callable[[str], tuple[int, ...]],
        pieces: Callable[[Sequence[int]], Sequence[str]],
        random: np.random.Generator,
    ) -> list[Begun]: ...

    def accepted(self, groups: Sequence[Group], begun: Sequence[Begun], after: Sequence[Rollout]) -> list[Group]: ...


def revised(
    policy: Policy,
    groups: Sequence[Group],
    revision: Revision,
    *,
    score: Callable[[Sequence[Group]], list[Group]],
    sampling: Sampling,
    seed: int,
) -> tuple[list[Group], dict[str, float]]:
    """The scored groups with what was rethought and kept in its place, and the shares of answers tried and replaced.

    `score` scores groups; each result is scored as a group of its own, so the rewards must not compare siblings.
    """

    def write(text: str) -> tuple[int, ...]:
        return policy.branch_of(text).token_T[:-1]  # without its end

    n = sum(len(group.rollouts) for group in groups)
    begun = revision.begun(groups, write=write, pieces=policy.pieces, random=np.random.default_rng(seed))
    if not begun:
        return list(groups), {"rollout/revision_tries": 0.0, "rollout/revised": 0.0}
    room = replace(sampling, max_tokens=revision.tokens)
    after = policy.extend([one.rollout for one in begun], sampling=room, seed=seed)
    scored = score([Group(sample=rollout.sample, rollouts=(rollout,)) for rollout in after])
    found = revision.accepted(groups, begun, [group.rollouts[0] for group in scored])
    changed = sum(a is not b for old, new in zip(groups, found, strict=True) for a, b in zip(old.rollouts, new.rollouts, strict=True))
    return found, {"rollout/revision_tries": len(begun) / n, "rollout/revised": changed / n}
