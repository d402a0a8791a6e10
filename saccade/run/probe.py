"""Does the model really see the pictures, and do sampler, packed learner and plain model agree? Asked before the first step.

The field's worst bugs are silent here: images swapped, dropped, or encoded differently by sampler and learner, with losses
that look normal. So a run starts by computing a few rollouts three ways, and with each picture blanked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from saccade.core.blank import blanked
from saccade.core.pack import Branch, Pack
from saccade.core.sample import Sample
from saccade.policy.spec import Sampling

if TYPE_CHECKING:
    from saccade.policy.protocol import Policy

# Largest allowed difference of a token's log-prob between two ways of computing it, by the model's float type.
TOLERANCE = {"float64": 1e-6, "float32": 1e-3, "bfloat16": 0.5}
# Mean, for types in which single tokens may differ.
MEAN_TOLERANCE = {"float64": 1e-7, "float32": 1e-4, "bfloat16": 0.05}
# What a picture that reaches the model always exceeds, as a share of MEAN_TOLERANCE: both sides are the same computation.
UNSEEN = 0.01
SAMPLES = 4
TOKENS = 32


class ProbeFailed(RuntimeError):
    """Two ways of computing the same log-probs differ, or pictures do not matter; names the sample."""


def probe(policy: Policy, samples: Sequence[Sample], *, seed: int) -> dict[str, float]:
    """Compare log-probs packed, one row at a time and as sampled, and with each picture blanked, on up to four samples.

    Returns the largest differences (`probe/...` of docs/metrics.md). ProbeFailed names the sample that does not agree.
    """
    chosen = _varied(samples)
    groups = policy.sample(chosen, n=2, sampling=Sampling(max_tokens=TOKENS), seed=seed)
    branches = [[Branch(rollout.token_T) for rollout in group.rollouts] for group in groups]
    pack = Pack.of([(policy.encode(s), row) for s, row in zip(chosen, branches, strict=True)])
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    packed = policy.logprobs(pack).logp_M.double().cpu().split([r.n_sampled for r in rollouts])
    found = {"probe/separate_gap": 0.0, "probe/sampler_gap": 0.0}
    shifts: dict[tuple[str, int], float] = {}
    for rollout, logp_T in zip(rollouts, packed, strict=True):
        separate = policy.separate_logprobs(rollout.sample, rollout.token_T).double().cpu()
        sampled = torch.tensor(rollout.logp_T, dtype=torch.float64)
        for key, other, what in (
            ("probe/separate_gap", separate, "the packed learner and the plain model, one row at a time,"),
            ("probe/sampler_gap", sampled, "the learner and the sampler"),
        ):
            found[key] = max(found[key], _agree(policy, rollout.sample, logp_T, other, what))
        for number in range(len(rollout.sample.pictures)):
            unseen = policy.separate_logprobs(blanked(rollout.sample, only=number), rollout.token_T).double().cpu()
            key = (rollout.sample.id, number)
            shifts[key] = max(shifts.get(key, 0.0), float((unseen - separate).abs().max()))
    if shifts:
        found["probe/blank_shift"] = max(shifts.values())
        _require_seen(shifts, MEAN_TOLERANCE[policy.spec.dtype])
    return found


def _require_seen(shifts: Mapping[tuple[str, int], float], tolerance: float) -> None:
    """ProbeFailed unless blanking matters: for every single picture at all, and for one of them beyond the tolerance."""
    for (sample, number), shift in shifts.items():
        if shift <= UNSEEN * tolerance or max(shifts.values()) <= tolerance:
            raise ProbeFailed(
                f"blanking picture {number + 1} of sample {sample!r} changes no log-prob: the model does not see it; "
                "check the processor and the picture tensors"
            )


def _agree(policy: Policy, sample: Sample, a: torch.Tensor, b: torch.Tensor, what: str) -> float:
    gap = (a - b).abs()
    if gap.max() > TOLERANCE[policy.spec.dtype] or gap.mean() > MEAN_TOLERANCE[policy.spec.dtype]:
        raise ProbeFailed(
            f"sample {sample.id!r}: {what} disagree on log-probs by up to {gap.max():.2g} (allowed "
            f"{TOLERANCE[policy.spec.dtype]:.0e} in {policy.spec.dtype}); training on them would be wrong"
        )
    return float(gap.max())


def _varied(samples: Sequence[Sample]) -> list[Sample]:
    """A few samples, of different kinds first."""
    distinct = {sample.id: sample for sample in samples}.values()
    by_kind: dict[str, list[Sample]] = {}
    for sample in distinct:
        by_kind.setdefault(sample.kind, []).append(sample)
    rounds = max(len(row) for row in by_kind.values())
    return [row[i] for i in range(rounds) for row in by_kind.values() if i < len(row)][:SAMPLES]
