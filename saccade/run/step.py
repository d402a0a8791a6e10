"""One step of learning, the part that everyone should read.

    groups (sampled and scored)
      experience:
      -> keep       which groups train
      -> credit     an advantage per rollout or token, less the KL penalty where it stands in the reward
      -> trains     which of the credited rollouts the loss is over
      -> replay     old experience in place of what says nothing
      optimizer_step, once or several times:
      -> weigh      a weight per trained token of the WHOLE step, so that splitting cannot change the answer
      -> pack       whole groups into token streams under a budget
      -> per pack   log-probs, surrogate, correction, penalty, imitation, backward
      -> update     clip the gradient, AdamW
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from saccade.algo.algorithm import Algorithm
from saccade.algo.corrections import Correction, touched
from saccade.algo.imitation import Imitation
from saccade.algo.surrogates import ratio
from saccade.algo.weights import Weigh
from saccade.core.experience import Experience
from saccade.core.pack import Pack
from saccade.core.rollout import Group
from saccade.policy.protocol import NotFinite, Policy
from saccade.run.meter import Meter


@dataclass(frozen=True, kw_only=True)
class Part:
    """A pack, the experience in it, and what the algorithm said of its trained tokens."""

    pack: Pack
    experience: tuple[Experience, ...]
    adv_M: Tensor
    weight_M: Tensor
    imitation_M: Tensor | None = None  # what each token's negative log-prob weighs, where answers are imitated

    @property
    def rollout_M(self) -> Tensor:
        """Which of the pack's rollouts each trained token belongs to."""
        return self.pack.rollout_M

    @property
    def is_fresh_M(self) -> Tensor:
        """Whether each trained token was sampled for this step."""
        return torch.tensor([not one.is_replayed for one in self.experience])[self.rollout_M]

    @property
    def sampler_M(self) -> Tensor:
        """The sampler's log-prob of each trained token, float64."""
        return torch.tensor([p for one in self.experience for p in one.rollout.sampled_logp_T], dtype=torch.float64)


def experience(
    policy: Policy, groups: Sequence[Group], *, algorithm: Algorithm, beta: float = 0.0, temperature: float = 1.0
) -> tuple[list[Experience], dict[str, float]]:
    """What scored groups are worth: their rollouts with advantages, in order, and what that took. Replay comes after.

    `beta` is the coefficient of the KL penalty; it counts here where the penalty stands in the reward.
    """
    kept = algorithm.keep(groups)
    costs, metrics = None, {}
    if algorithm.needs_reference and algorithm.penalty_in == "reward":
        kl = _kl(policy, kept, algorithm=algorithm, temperature=temperature)
        costs = [[beta * kl_T for kl_T in row] for row in kl]
        if tokens := [token for row in kl for kl_T in row for token in kl_T]:
            metrics["policy/kl"] = float(np.mean(tokens))
    corrects = policy.samples_elsewhere or algorithm.correct_own_sampler
    lessons = [
        Experience(
            rollout=rollout,
            advantage=advantage,
            old_T=rollout.sampled_logp_T if algorithm.ratio_to == "sampler" else None,
            correction=algorithm.correction if corrects else None,
        )
        for group, credit in zip(kept, algorithm.credit(kept, costs), strict=True)
        for rollout, advantage in zip(group.rollouts, credit, strict=True)
        if algorithm.trains(rollout)
    ]
    return lessons, metrics


def optimizer_step(
    policy: Policy,
    lessons: Sequence[Experience],
    *,
    algorithm: Algorithm,
    lr: float,
    beta: float = 0.0,
    temperature: float = 1.0,
    is_fresh: bool = True,
    heed: Callable[[Part], None] | None = None,
) -> dict[str, float]:
    """Learn once from experience and return the step's metrics (docs/metrics.md).

    An experience without `old_T` is compared with the policy as it is: right for the first update after sampling, before
    the later ones `anchored` notes them. `is_fresh` says that the policy is still the one that sampled, so that the two can be
    compared; False for later updates and for SFT. Where no advantage differs from 0 and no penalty pulls, nothing is
    computed and no weight moves. `heed` is told of every pack that was learned from. NotFinite, before any weight changes, when
    a log-prob or the gradient is.
    """
    has_penalty = algorithm.needs_reference and algorithm.penalty_in == "loss" and beta > 0
    parts = _parts(policy, lessons, algorithm.weigh, skips_idle=not has_penalty, imitation=algorithm.imitation)
    meter = Meter()
    for part in parts:
        ref_M = policy.reference_logprobs(part.pack, temperature=temperature) if has_penalty else None
        with policy.learning(part.pack, temperature=temperature) as now:
            logp_M = now.logp_M
            _require_finite(logp_M.detach(), part)
            old_M = _old(part, logp_M)
            adv_M, weight_M = part.adv_M.to(logp_M), part.weight_M.to(logp_M)
            rollout_M = part.rollout_M.to(logp_M.device)
            loss_M = algorithm.surrogate(logp_M, old_M, adv_M, rollout_M)
            meter.clipping(loss_M, logp_M, adv_M)
            loss_M = loss_M * _correction(part, old_M, rollout_M, meter)
            if ref_M is not None:
                kl_M = algorithm.penalty(logp_M, ref_M)
                meter.add("policy/kl", kl_M)
                loss_M = loss_M + beta * (kl_M * ratio(logp_M, old_M) if algorithm.penalty_by_ratio else kl_M)
            loss = (weight_M * loss_M).sum()
            meter.total("loss/mean", loss)
            if part.imitation_M is not None:
                imitation = -(part.imitation_M.to(logp_M) * logp_M).sum()
                meter.total("loss/imitation", imitation)
                loss = loss + imitation
            loss.backward()
        meter.add("policy/entropy", now.entropy_M)
        meter.add("policy/logp", logp_M)
        meter.ratios(logp_M.detach(), old_M)
        if is_fresh:
            meter.sampler(logp_M.detach()[part.is_fresh_M], part.sampler_M[part.is_fresh_M])
        if heed is not None:
            heed(part)
    norm = policy.update(lr=lr) if parts else 0.0
    if not np.isfinite(norm):
        rollouts = [one.rollout for part in parts for one in part.experience]
        raise NotFinite(f"the gradient norm is {norm} although all log-probs are finite", rollouts)
    return {
        **meter.metrics(),
        **({"policy/grad_norm": norm} if parts else {}),
        "policy/lr": lr,
        "learn/packs": len(parts),
        "learn/stream_tokens": sum(len(part.pack) for part in parts),
        "learn/trained_tokens": sum(len(part.pack.target_M) for part in parts),
        **({"learn/imitated_tokens": sum(int((part.imitation_M > 0).sum()) for part in parts)} if algorithm.imitation else {}),
    }


def anchored(policy: Policy, lessons: Sequence[Experience], *, temperature: float) -> list[Experience]:
    """The experience with `old_T` filled in from the policy as it is: what later updates are compared with."""
    without = [one for one in lessons if one.old_T is None]
    old: dict[int, tuple[float, ...]] = {}
    for part in _parts(policy, without, _no_weights, skips_idle=False):
        logp_M = policy.logprobs(part.pack, temperature=temperature).logp_M.double().cpu()
        for one, piece in zip(part.experience, logp_M.split([o.rollout.n_sampled for o in part.experience]), strict=True):
            old[id(one)] = tuple(piece.tolist())
    return [one if one.old_T is not None else replace(one, old_T=old[id(one)]) for one in lessons]


def bundles(lessons: Sequence[Experience]) -> list[list[Experience]]:
    """The experience by sample, in order of first appearance: what shares a prompt, fresh or replayed, is computed together."""
    found: dict[int, list[Experience]] = {}
    for one in lessons:
        found.setdefault(id(one.rollout.sample), []).append(one)
    return list(found.values())


def _parts(
    policy: Policy, lessons: Sequence[Experience], weigh: Weigh, *, skips_idle: bool, imitation: Imitation | None = None
) -> list[Part]:
    """The step as packs within the policy's token budget, each with its advantages and its share of the step's weights.

    Weights are those of the whole step. `skips_idle` leaves out what has no gradient, advantages of 0, after they are known.
    """
    rows = bundles(lessons)
    in_order = [one for row in rows for one in row]
    lengths = [one.rollout.n_sampled for one in in_order]
    weights = np.split(weigh(lengths), np.cumsum(lengths)[:-1])
    imitated = [0.0] * len(in_order) if imitation is None else imitation.weights(in_order)
    each = iter(zip(in_order, weights, imitated, strict=True))
    weighted = [[next(each) for _ in row] for row in rows]
    if skips_idle:
        weighted = [busy for row in weighted if (busy := [item for item in row if item[0].size > 0 or item[2] > 0])]
    groups = [Group(sample=row[0][0].rollout.sample, rollouts=tuple(one.rollout for one, *_ in row)) for row in weighted]
    parts = []
    for pack, members in policy.packs(groups) if groups else ():
        chosen = [weighted[g][i] for g, i in members]
        own = [np.full(one.rollout.n_sampled, share) for one, _, share in chosen]
        parts.append(
            Part(
                pack=pack,
                experience=tuple(one for one, *_ in chosen),
                adv_M=torch.from_numpy(np.concatenate([one.advantage_T for one, *_ in chosen])),
                weight_M=torch.from_numpy(np.concatenate([weight for _, weight, _ in chosen])),
                imitation_M=None if imitation is None else torch.from_numpy(np.concatenate(own)),
            )
        )
    return parts


def _kl(policy: Policy, groups: Sequence[Group], *, algorithm: Algorithm, temperature: float) -> list[list[np.ndarray]]:
    """The estimate of the KL between the policy that sampled each token and the reference, by group and sibling."""
    fresh = [Experience(rollout=rollout, advantage=0.0) for group in groups for rollout in group.rollouts]
    found: dict[int, np.ndarray] = {}
    for part in _parts(policy, fresh, _no_weights, skips_idle=False):
        ref_M = policy.reference_logprobs(part.pack, temperature=temperature).double().cpu()
        kl_M = algorithm.penalty(part.sampler_M, ref_M).nan_to_num(nan=0.0)  # an engine may not have scored every token
        for one, piece in zip(part.experience, kl_M.split([o.rollout.n_sampled for o in part.experience]), strict=True):
            found[id(one.rollout)] = piece.numpy()
    return [[found[id(rollout)] for rollout in group.rollouts] for group in groups]


def _no_weights(lengths_B: Sequence[int]) -> np.ndarray:
    return np.zeros(sum(lengths_B))


def _old(part: Part, logp_M: Tensor) -> Tensor:
    """What each token's ratio is taken to: its own log-prob where nothing else is on record."""
    if all(one.old_T is None for one in part.experience):
        return logp_M.detach()
    own = logp_M.detach().split([one.rollout.n_sampled for one in part.experience])
    old = [now if one.old_T is None else now.new_tensor(one.old_T) for one, now in zip(part.experience, own, strict=True)]
    old_M = torch.cat(old)
    return torch.where(old_M.isnan(), logp_M.detach(), old_M)  # an engine may not have scored every token


def _correction(part: Part, old_M: Tensor, rollout_M: Tensor, meter: Meter) -> Tensor:
    """The weight of each token that makes up for the sampler being another policy; 1 where nothing has to be."""
    weight_M = torch.ones_like(old_M)
    distinct: list[Correction] = []
    for one in part.experience:
        if one.correction is not None and one.correction not in distinct:
            distinct.append(one.correction)
    for correction in distinct:
        is_in_B = torch.tensor([one.correction == correction for one in part.experience], device=old_M.device)
        is_in_M = is_in_B[rollout_M]
        arguments = (old_M[is_in_M], part.sampler_M.to(old_M)[is_in_M], rollout_M[is_in_M])
        weight_M[is_in_M] = correction(*arguments)
        meter.correction(weight_M[is_in_M], touched(correction, *arguments), is_fresh_M=part.is_fresh_M.to(old_M.device)[is_in_M])
    return weight_M


def _require_finite(logp_M: Tensor, part: Part) -> None:
    if torch.isfinite(logp_M).all():
        return
    bad = {int(b) for b in part.rollout_M[~torch.isfinite(logp_M).cpu()]}
    rollouts = [part.experience[b].rollout for b in sorted(bad)]
    names = ", ".join(dict.fromkeys(r.sample.id for r in rollouts))
    raise NotFinite(f"log-probs are not finite for {len(rollouts)} rollouts of {names}", rollouts)
