"""A rollout as one line of rollouts.jsonl."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from saccade.core.picture import Picture
from saccade.core.rollout import Group, Rollout, Score


def rollout_rows(
    groups: Sequence[Group],
    *,
    step: int,
    stage: str,
    advantages: Sequence[Sequence[float | None]] | None = None,
) -> Iterator[dict[str, Any]]:
    """One JSON-able row per rollout, siblings together.

    `advantages` has one row of numbers per group: of the first token where those of an answer differ, None where it did not train.
    """
    if advantages is None:
        advantages = [[None] * len(group.rollouts) for group in groups]
    for index, (group, row) in enumerate(zip(groups, advantages, strict=True)):
        sample = group.sample
        for rollout, advantage in zip(group.rollouts, row, strict=True):
            yield {
                "step": step,
                "stage": stage,
                "group": f"{stage}-{step}/{index}",
                "sample": sample.id,
                "kind": sample.kind,
                "prompt": sample.prompt_text,
                "pictures": list(rollout.picture_shas or (picture.sha for picture in sample.pictures)),
                "target": plain(sample.target),
                "text": rollout.text,
                "tokens": rollout.n_sampled,
                **_forced(rollout),
                "stop": str(rollout.stop),
                "reward": plain(rollout.reward),
                "scores": {name: _score(score) for name, score in rollout.scores.items()},
                "advantage": None if advantage is None else plain(float(advantage)),
            }


def _forced(rollout: Rollout) -> dict[str, int]:
    """How many tokens of the answer the policy did not sample, where there are such."""
    n = len(rollout.token_T) - rollout.n_sampled
    return {"forced_tokens": n} if n else {}


def _score(score: Score) -> dict[str, Any]:
    row = {"value": plain(score.value), "why": score.why}
    return {**row, "route": score.route} if score.route else row


def plain(value: Any) -> Any:
    """The value as JSON can hold it: NaN, infinities and unknown things become their text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Picture):
        return value.sha
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value)
