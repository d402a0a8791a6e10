"""What a step had to do with each token of its first groups: a line of tokens.jsonl per rollout.

    trace = Trace(policy, made.asked[:1], temperature=1.0)                      # before the updates
    learn(policy, stage, made, step=11, seed=0, memory=memory, heed=trace.learned)
    folder.append_tokens(trace.rows(policy, step=12, stage="rl"))              # after them

It only looks: two passes without gradients over the traced groups, before the first update and after the last. They are packed
alike and apart from the rest of the step, so a token's change is 0 to the bit where no weight moved.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saccade.core.rollout import Group, Rollout
from saccade.policy.protocol import Policy
from saccade.run.step import Part

DIGITS = 4  # significant ones that a trace keeps


class Trace:
    """The groups' tokens as the policy is now; `learned` hears of the step's packs, `rows` says what became of the tokens."""

    def __init__(self, policy: Policy, groups: Sequence[Group], *, temperature: float) -> None:
        self._groups, self._temperature = tuple(groups), temperature
        self._packs = policy.packs(self._groups) if self._groups else []
        self._logp, self._entropy = self._measured(policy)
        self._weight: dict[int, np.ndarray] = {}

    def learned(self, part: Part) -> None:
        """Add up what the step's loss weighs each token by; a rollout that stands in it twice, by a replay, counts twice."""
        weight_M = part.adv_M * part.weight_M
        if part.imitation_M is not None:
            weight_M = weight_M + part.imitation_M
        for one, weight_T in zip(part.experience, _split(weight_M, [o.rollout for o in part.experience]), strict=True):
            key = id(one.rollout)
            if key in self._logp:
                self._weight[key] = self._weight.get(key, 0.0) + weight_T

    def rows(self, policy: Policy, *, step: int, stage: str) -> list[dict[str, Any]]:
        """One JSON-able row per rollout, its lists as long as `pieces`, with None at tokens that the policy did not sample.

        logp      the sampler's log-prob, None where an engine did not score the token
        entropy   of the distribution that the token was drawn from, before the updates, nats
        change    the learner's log-prob after the step's updates less that before the first
        weight    advantage times the token's weight in the step's loss, plus what imitation weighs it by: above 0 the step
                  pushes the token up, below 0 down. None throughout where the step did not learn from the rollout
        """
        after, _ = self._measured(policy)
        found = []
        for index, group in enumerate(self._groups):
            for sibling, rollout in enumerate(group.rollouts):
                key = id(rollout)
                found.append(
                    {
                        "step": step,
                        "stage": stage,
                        "group": f"{stage}-{step}/{index}",
                        "sibling": sibling,
                        "pieces": list(policy.pieces(rollout.token_T)),
                        "sampled": [int(is_sampled) for is_sampled in rollout.is_sampled_T],
                        "logp": _aligned(rollout, rollout.sampled_logp_T),
                        "entropy": _aligned(rollout, self._entropy[key]),
                        "change": _aligned(rollout, after[key] - self._logp[key]),
                        "weight": _aligned(rollout, self._weight.get(key)),
                    }
                )
        return found

    def _measured(self, policy: Policy) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
        """Log-prob and entropy of every sampled token of each rollout, by its id()."""
        logp: dict[int, np.ndarray] = {}
        entropy: dict[int, np.ndarray] = {}
        for pack, members in self._packs:
            now = policy.logprobs(pack, temperature=self._temperature)
            rollouts = [self._groups[g].rollouts[i] for g, i in members]
            keys = [id(rollout) for rollout in rollouts]
            logp |= zip(keys, _split(now.logp_M, rollouts), strict=True)
            entropy |= zip(keys, _split(now.entropy_M, rollouts), strict=True)
        return logp, entropy


def _split(value_M: Tensor, rollouts: Sequence[Rollout]) -> list[np.ndarray]:
    """A pack's values, one array per rollout."""
    pieces = value_M.detach().to("cpu", torch.float64).split([rollout.n_sampled for rollout in rollouts])
    return [piece.numpy() for piece in pieces]


def _aligned(rollout: Rollout, value_T: Iterable[float] | None) -> list[float | None]:
    """One value per token of the branch, from one per sampled token."""
    if value_T is None:
        return [None] * len(rollout.token_T)
    each = iter(value_T)
    return [_rounded(float(next(each))) if is_sampled else None for is_sampled in rollout.is_sampled_T]


def _rounded(value: float) -> float | None:
    """Four digits of it, None where it is not finite; without the sign that a 0 may have."""
    return float(f"{value:.{DIGITS}g}") or 0.0 if math.isfinite(value) else None
