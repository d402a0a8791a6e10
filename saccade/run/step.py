"""One optimizer step, the part that everyone should read: keep, credit, pack, weigh, then learn pack by pack, and update.

    groups (sampled and scored)
      -> keep       which groups train
      -> credit     an advantage per rollout
      -> weigh      a weight per trained token of the WHOLE step, so that splitting cannot change the answer
      -> pack       whole groups into token streams under a budget
      -> per pack   log-probs, surrogate, penalty, backward
      -> update     clip the gradient, AdamW
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from saccade.algo.advantages import Credit
from saccade.algo.algorithm import Algorithm
from saccade.algo.weights import Weigh
from saccade.core.pack import Pack
from saccade.core.rollout import Group, Rollout
from saccade.policy.protocol import NotFinite, Policy


@dataclass(frozen=True)
class Part:
    """A pack, the rollouts in it, and what the algorithm said of their trained tokens."""

    pack: Pack
    rollouts: tuple[Rollout, ...]
    adv_M: Tensor
    weight_M: Tensor


def optimizer_step(
    policy: Policy,
    groups: Sequence[Group],
    *,
    algorithm: Algorithm,
    progress: float,
    lr: float,
    temperature: float = 1.0,
    old_logps: dict[int, Tensor] | None = None,
    was_sampled: bool = True,
) -> dict[str, float]:
    """Learn once from scored groups and return the step's metrics (docs/metrics.md).

    `old_logps` are log-probs from before the first update (`old_logprobs`), None for the first update after sampling,
    where the policy is the one that sampled. `was_sampled` False (SFT) leaves out the comparison with the sampler.
    NotFinite, before any weight changes, when a log-prob or the gradient is.
    """
    start = time.perf_counter()
    kept = algorithm.keep(groups)
    credits = algorithm.credit(kept)
    parts = _parts(policy, kept, algorithm.weigh, credits)
    meter = _Meter()
    beta = algorithm.beta_at(progress) if algorithm.needs_reference else 0.0
    for part in parts:
        ref_M = policy.reference_logprobs(part.pack, temperature=temperature) if algorithm.needs_reference else None
        with policy.learning(part.pack, temperature=temperature) as now:
            logp_M = now.logp_M
            _require_finite(logp_M.detach(), part)
            old_M = logp_M.detach() if old_logps is None else _gather(old_logps, part.rollouts, logp_M)
            adv_M, weight_M = part.adv_M.to(logp_M), part.weight_M.to(logp_M)
            loss_M = algorithm.surrogate(logp_M, old_M, adv_M, part.pack.rollout_M.to(logp_M.device))
            if ref_M is not None:
                kl_M = algorithm.penalty(logp_M, ref_M)
                loss_M = loss_M + beta * kl_M
                meter.add("loss/kl", kl_M)
            loss = (weight_M * loss_M).sum()
            loss.backward()
        meter.total("loss/mean", loss)
        meter.add("policy/entropy", now.entropy_M)
        meter.add("policy/logp", logp_M)
        if was_sampled:
            _compare_with_sampler(meter, part, logp_M.detach())
    norm = policy.update(lr=lr)
    if not np.isfinite(norm):
        rollouts = [rollout for part in parts for rollout in part.rollouts]
        raise NotFinite(f"the gradient norm is {norm} although all log-probs are finite", rollouts)
    n_tokens = sum(len(part.pack) for part in parts)
    return {
        **meter.means(),
        "policy/grad_norm": norm,
        "policy/lr": lr,
        "policy/kl_coefficient": beta,
        "learn/packs": len(parts),
        "learn/stream_tokens": n_tokens,
        "learn/trained_tokens": sum(len(part.pack.target_M) for part in parts),
        "time/learn": time.perf_counter() - start,
    }


def old_logprobs(policy: Policy, groups: Sequence[Group], *, temperature: float) -> dict[int, Tensor]:
    """Each rollout's log-probs under the policy as it is, by the rollout's id(): what later updates are compared with."""
    flat = [[0.0] * len(group.rollouts) for group in groups]
    old: dict[int, Tensor] = {}
    for part in _parts(policy, groups, _no_weights, flat):
        logp_M = policy.logprobs(part.pack, temperature=temperature).logp_M
        for rollout, piece in zip(part.rollouts, logp_M.split([r.n_sampled for r in part.rollouts]), strict=True):
            old[id(rollout)] = piece
    return old


def _parts(policy: Policy, groups: Sequence[Group], weigh: Weigh, credits: Sequence[Credit]) -> list[Part]:
    """The step as packs within the policy's token budget, each with its advantages and its share of the step's weights."""
    lengths = [[r.n_sampled for r in group.rollouts] for group in groups]
    flat = [n for row in lengths for n in row]
    weights = np.split(weigh(flat), np.cumsum(flat)[:-1])
    firsts = np.cumsum([0] + [len(row) for row in lengths])
    return [
        Part(
            pack=pack,
            rollouts=tuple(groups[g].rollouts[i] for g, i in members),
            adv_M=_concatenated(np.broadcast_to(credits[g][i], lengths[g][i]) for g, i in members),
            weight_M=_concatenated(weights[firsts[g] + i] for g, i in members),
        )
        for pack, members in policy.packs(groups)
    ]


def _concatenated(pieces) -> Tensor:
    return torch.from_numpy(np.concatenate([np.asarray(piece, dtype=np.float64) for piece in pieces]))


def _no_weights(lengths_B: Sequence[int]) -> np.ndarray:
    return np.zeros(sum(lengths_B))


def _gather(old: dict[int, Tensor], rollouts: Sequence[Rollout], like: Tensor) -> Tensor:
    return torch.cat([old[id(rollout)] for rollout in rollouts]).to(like)


def _require_finite(logp_M: Tensor, part: Part) -> None:
    if torch.isfinite(logp_M).all():
        return
    bad = {int(b) for b in part.pack.rollout_M[~torch.isfinite(logp_M).cpu()]}
    rollouts = [part.rollouts[b] for b in sorted(bad)]
    names = ", ".join(dict.fromkeys(r.sample.id for r in rollouts))
    raise NotFinite(f"log-probs are not finite for {len(rollouts)} rollouts of {names}", rollouts)


def _compare_with_sampler(meter: _Meter, part: Part, logp_M: Tensor) -> None:
    """How far the learner's log-probs are from the sampler's; exact groups keep this at rounding error."""
    sampled = [logp for r in part.rollouts for logp, is_sampled in zip(r.logp_T, r.is_sampled_T) if is_sampled]
    gap_M = (logp_M.cpu().double() - torch.tensor(sampled, dtype=torch.float64)).abs()
    meter.add("policy/sampler_gap", gap_M)
    meter.peak("policy/sampler_gap_max", gap_M)


class _Meter:
    """Means over tokens and sums over packs of one step."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, key: str, value_M: Tensor) -> None:
        self._sums[key] = self._sums.get(key, 0.0) + float(value_M.detach().sum())
        self._counts[key] = self._counts.get(key, 0) + value_M.numel()

    def total(self, key: str, value: Tensor) -> None:
        self._sums[key] = self._sums.get(key, 0.0) + float(value.detach())
        self._counts[key] = 1

    def peak(self, key: str, value_M: Tensor) -> None:
        self._sums[key] = max(self._sums.get(key, 0.0), float(value_M.max()) if value_M.numel() else 0.0)
        self._counts[key] = 1

    def means(self) -> dict[str, float]:
        return {key: total / max(1, self._counts[key]) for key, total in self._sums.items()}
