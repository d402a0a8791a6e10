"""Reward functions written for TRL or verl, unchanged, as rewards of ours.

    >>> from trl.rewards import think_format_reward
    >>> weighted((from_trl(think_format_reward), 1.0), (from_verl(compute_score), 1.0))

Both may be async. Picture columns reach them as PIL images, other columns of the row as they are.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal, get_args

from saccade.core.picture import Picture
from saccade.core.reward import Reward, as_score, value_of
from saccade.core.rollout import Group, Rollout, Score
from saccade.core.sample import Message, Sample

Completions = Literal["messages", "text"]
Scope = Literal["group", "rollout"]


def from_trl(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    target: str = "solution",
    completions: Completions = "messages",
    scope: Scope = "group",
    when_none: float | None = 0.0,
    steps: int | None = None,
    best: float | None = 1.0,
) -> Reward:
    """A TRL reward function, `function(prompts, completions, completion_ids, **columns) -> list`, as a Reward.

    It is called once per group of siblings; with `scope="rollout"` with one completion at a time, so that it can be a
    part of a mix (rewards/mix.py). `target` names the column in which it looks for the gold answer (sample.target); the
    row's other columns are passed under their names, and `images` where it has pictures. `completions` says whether it
    expects chat messages (TRL's form for chat models, [{"role": "assistant", "content": text}]) or plain text. A None
    that it returns means "not for this row" in TRL and adds nothing to the sum: `when_none` is 0; set it to None for
    "cannot tell". `steps`, the stage's, is needed only by a function that reads trainer_state (global_step and
    max_steps).
    """
    for name_of, said, allowed in (("completions", completions, Completions), ("scope", scope, Scope)):
        if said not in get_args(allowed):
            raise ValueError(f"{name_of} is one of {', '.join(get_args(allowed))}; got {said!r}")
    if steps is None and "trainer_state" in inspect.signature(function).parameters:
        raise ValueError(f"{_name_of(function)} reads trainer_state; give from_trl the stage's number of steps")
    adapted = FromTRL(function=function, target=target, completions=completions, when_none=when_none, steps=steps)
    return Reward(name=name or _name_of(function), function=adapted, scope=scope, best=best)


def from_verl(
    function: Callable[..., Any], *, name: str | None = None, data_source: str = "data_source", best: float | None = 1.0
) -> Reward:
    """A verl `compute_score(data_source, solution_str, ground_truth, extra_info=None)` as a Reward.

    It may return a number, or a dict whose "score" is the number; the rest of the dict goes into the Score's `why`.
    `data_source` names the column that says where a row is from; where there is no such column the sample's kind is
    passed. `ground_truth` is sample.target, `extra_info` the row's other columns.
    """
    adapted = FromVerl(function=function, data_source=data_source)
    return Reward(name=name or _name_of(function), function=adapted, best=best)


@dataclass(frozen=True, kw_only=True)
class FromTRL:
    """See `from_trl`."""

    function: Callable[..., Any]
    target: str
    completions: str
    when_none: float | None
    steps: int | None

    async def __call__(self, subject: Group | Rollout, *, progress: float) -> list[Score] | Score:
        if isinstance(subject, Group):
            return await self._scores(subject.sample, subject.rollouts, progress=progress)
        return (await self._scores(subject.sample, (subject,), progress=progress))[0]

    async def _scores(self, sample: Sample, siblings: tuple[Rollout, ...], *, progress: float) -> list[Score]:
        columns = {key: [value] * len(siblings) for key, value in self._columns(sample).items()}
        state = SimpleNamespace(global_step=round(progress * (self.steps or 0)), max_steps=self.steps or 0, epoch=None)
        offered = {
            **columns,
            "prompts": [_chat(sample)] * len(siblings),
            "completions": [self._completion(rollout) for rollout in siblings],
            "completion_ids": [_sampled(rollout) for rollout in siblings],
            "trainer_state": state,
            "log_extra": _ignored,
            "log_metric": _ignored,
        }
        values = await value_of(self.function(**_accepted(self.function, offered)))
        if not isinstance(values, Iterable) or isinstance(values, str | Mapping):
            raise ValueError(f"must return a list with a number for each completion, got {values!r}"[:200])
        scores = [Score(self.when_none, "returned None") if value is None else as_score(value) for value in values]
        if len(scores) != len(siblings):
            raise ValueError(f"must return one value per completion ({len(siblings)}), got {len(scores)}")
        return scores

    def _columns(self, sample: Sample) -> dict[str, Any]:
        columns = {key: _without_pictures(value) for key, value in sample.data.items()}
        if sample.pictures:
            columns["images"] = [picture.image for picture in sample.pictures]
        return {**columns, self.target: sample.target}

    def _completion(self, rollout: Rollout) -> Any:
        return rollout.text if self.completions == "text" else [{"role": "assistant", "content": rollout.text}]


@dataclass(frozen=True, kw_only=True)
class FromVerl:
    """See `from_verl`."""

    function: Callable[..., Any]
    data_source: str

    async def __call__(self, rollout: Rollout) -> Score:
        sample = rollout.sample
        extra = {key: _without_pictures(value) for key, value in sample.data.items()}
        found = await value_of(
            self.function(
                data_source=extra.get(self.data_source, sample.kind),
                solution_str=rollout.text,
                ground_truth=sample.target,
                extra_info=extra,
            )
        )
        if not isinstance(found, Mapping):
            return as_score(found)
        if "score" not in found:
            raise ValueError(f"returned a dict without 'score'; it has {', '.join(map(str, found)) or 'nothing'}")
        rest = ", ".join(f"{key} {value}" for key, value in found.items() if key != "score")
        return Score(as_score(found["score"]).value, rest)


def _accepted(function: Callable, offered: Mapping[str, Any]) -> dict[str, Any]:
    """What the function has a parameter for: all of it where it takes **kwargs, as TRL asks of every reward function."""
    parameters = inspect.signature(function).parameters.values()
    varied = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = [parameter for parameter in parameters if parameter.kind not in varied]
    if absent := [one.name for one in named if one.default is one.empty and one.name not in offered]:
        raise ValueError(f"reads {', '.join(absent)}, which the row has not; it has {', '.join(offered)}")
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return dict(offered)
    return {one.name: offered[one.name] for one in named if one.name in offered}


def _chat(sample: Sample) -> list[dict[str, Any]]:
    """The prompt as TRL's chat messages, pictures as parts of the content."""
    return [{"role": message.role, "content": _content(message)} for message in sample.messages]


def _content(message: Message) -> str | list[dict[str, Any]]:
    if not any(isinstance(part, Picture) for part in message.parts):
        return message.text
    return [
        {"type": "image", "image": part.image} if isinstance(part, Picture) else {"type": "text", "text": part}
        for part in message.parts
    ]


def _sampled(rollout: Rollout) -> list[int]:
    return [token for token, is_sampled in zip(rollout.token_T, rollout.is_sampled_T, strict=True) if is_sampled]


def _without_pictures(value: Any) -> Any:
    return value.image if isinstance(value, Picture) else value


def _ignored(*_: Any, **__: Any) -> None:
    """TRL's log_extra and log_metric: a run here logs every term by itself."""


def _name_of(function: Callable) -> str:
    inner = function.func if isinstance(function, partial) else function
    return getattr(inner, "__name__", type(inner).__name__)
