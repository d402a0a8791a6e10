"""Overrides change what exists, keep types, and say what else could have been meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

import pytest

from saccade.algo.named import grpo
from saccade.core.picture import Picture
from saccade.core.sample import Message, Sample, Task
from saccade.run.overrides import OverrideError, flatten, is_scalar, override


class Keep(StrEnum):
    LAST = "last"
    BEST = "best"


def warm(progress: float) -> float:
    return progress


@dataclass(frozen=True, kw_only=True)
class Leg:
    lr: float = 1e-5
    steps: int = 60
    warmup: float = 0
    is_packed: bool = True
    limit: int | None = None
    clip: float | None = 1.0
    note: str = "none"
    mode: Literal["greedy", "sampled"] = "sampled"
    keep: Keep = Keep.LAST
    schedule: Callable[[float], float] = warm
    beta: float | Callable[[float], float] = 0.04

    def __post_init__(self) -> None:
        if self.lr <= 0:
            raise ValueError(f"lr must be above 0, got {self.lr}")


@dataclass(frozen=True, kw_only=True)
class Plan:
    stages: tuple[Leg, ...] = (Leg(), Leg(lr=5e-5))
    weights: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({"accuracy": 1.0, "format": 0.5}))
    sizes: tuple[int, ...] = (112, 224)
    low: int = 1
    high: int = 2
    task: Task | None = None

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")


def test_a_nested_float_changes_and_nothing_else_does():
    plan = Plan()
    new = override(plan, ["stages.1.lr=1e-6"])
    assert new.stages[1].lr == 1e-6
    assert plan.stages[1].lr == 5e-5
    assert new.stages[0] is plan.stages[0]
    assert new.weights is plan.weights
    assert {path for path in flatten(plan) if flatten(plan)[path] != flatten(new)[path]} == {"stages.1.lr"}


@pytest.mark.parametrize(
    ("setting", "path", "value"),
    [
        ("stages.0.lr=2", "stages.0.lr", 2.0),
        ("stages.0.warmup=0.1", "stages.0.warmup", 0.1),  # the value is an int, the annotation a float
        ("stages.0.steps=5", "stages.0.steps", 5),
        ("stages.0.is_packed=false", "stages.0.is_packed", False),
        ("stages.0.limit=64", "stages.0.limit", 64),
        ("stages.0.clip=None", "stages.0.clip", None),
        ("stages.0.note=a = b", "stages.0.note", "a = b"),
        ("stages.0.note=None", "stages.0.note", "None"),  # a str that may not be None
        ("stages.0.note=", "stages.0.note", ""),
        ("stages.0.mode=greedy", "stages.0.mode", "greedy"),
        ("stages.0.keep=best", "stages.0.keep", Keep.BEST),
        ("stages.0.beta=1", "stages.0.beta", 1.0),
        ("weights.format=1", "weights.format", 1.0),
        ("sizes.1=448", "sizes.1", 448),
    ],
)
def test_values_take_the_type_of_their_field(setting, path, value):
    got = flatten(override(Plan(), [setting]))[path]
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("stages.0.steps=1.5", "'1.5' where 60 stands; allowed is a whole number"),
        ("stages.0.steps=1e3", "allowed is a whole number"),
        ("stages.0.steps=None", "allowed is a whole number"),
        ("stages.0.lr=fast", "'fast' where 1e-05 stands; allowed is a number"),
        ("stages.0.lr=nan", "allowed is a number"),
        ("stages.0.lr=1e999", "allowed is a number"),
        ("stages.0.is_packed=1", "allowed is true or false"),
        ("stages.0.limit=x", "allowed is None or a whole number"),
        ("stages.0.mode=beam", "allowed is one of greedy, sampled"),
        ("stages.0.keep=all", "allowed is one of last, best"),
        ("stages.0.schedule=linear", "stages.0.schedule is warm, not a number, string or bool"),
        ("stages.0=3", "stages.0 is not a single value; set one inside it: stages.0.lr, stages.0.steps, "),
        ("stages=3", "not a single value"),
        ("stages.0.lr", "write path=value"),
        ("stages.0.lr=-1", "lr must be above 0, got -1.0"),
    ],
)
def test_what_cannot_be_set_is_said(setting, said):
    with pytest.raises(OverrideError) as error:
        override(Plan(), [setting])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("stages.0.learning_rate", "stages.0.lr"),
        ("stages.0.step", "stages.0.steps"),
        ("stage.0.lr", "stages.0.lr"),
        ("stages.1.ispacked", "stages.1.is_packed"),
        ("weights.acuracy", "weights.accuracy"),
    ],
)
def test_an_unknown_path_names_the_nearest_three(path, nearest):
    with pytest.raises(OverrideError) as error:
        override(Plan(), [f"{path}=1"])
    head, _, named = str(error.value).partition("; the nearest are: ")
    assert head == f"there is no {path}"
    named = named.split(", ")
    assert len(named) == 3
    assert set(named) <= set(flatten(Plan()))
    assert named[0] == nearest


def test_settings_are_applied_together():
    plan = override(Plan(), ["low=5", "high=6"])  # low=5 alone would be refused
    assert (plan.low, plan.high) == (5, 6)
    with pytest.raises(OverrideError, match="low must be below high"):
        override(Plan(), ["low=5"])


def test_the_last_of_two_settings_holds_and_none_changes_nothing():
    assert override(Plan(), ["low=0", "low=-1"]).low == -1
    plan = Plan()
    assert override(plan, []) is plan


def test_a_real_algorithm_can_be_tuned():
    algorithm = override(grpo(), ["surrogate.high=0.28", "beta=0"])
    assert algorithm == grpo(high=0.28, beta=0.0)
    with pytest.raises(OverrideError, match="beta must be 0 or more"):
        override(grpo(), ["beta=-1"])


def test_tasks_and_functions_stand_as_themselves():
    sample = Sample(id="a", messages=(Message("user", ("?", Picture(data=b"not decoded"))),), target="7")
    task = Task(name="t", split="train", samples=(sample,) * 3)
    flat = flatten(Plan(task=task))
    assert flat["task"] is task
    assert flat["stages.0.schedule"] is warm
    assert not is_scalar(flat["stages.0.schedule"])
    assert not any(path.startswith("task.") for path in flat)
    with pytest.raises(OverrideError, match="task is Task"):
        override(Plan(task=task), ["task=x"])
