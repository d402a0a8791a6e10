"""A published system as one value: the model, the stages, the evaluations and what the paper claims."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from saccade.core.marks import Mark
from saccade.core.rollout import Rollout
from saccade.core.sample import Sample
from saccade.policy.spec import ModelSpec
from saccade.run.choice import Choice
from saccade.run.evaluate import Evaluation
from saccade.run.overrides import flatten
from saccade.run.stage import Stage


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What the paper says happens, with its source, to be held beside what we measure."""

    text: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Stages in order, what is measured, and the paper's claims.

    Every `checkpoint_every` steps, and where a stage ends, the selecting evaluations are measured and a checkpoint is
    written. `choose` says which checkpoint is handed over (choice.py), such as Highest("eval/counting-val/sampled"); None
    takes the last. `seed` decides everything random in the run. `gold_answer` writes the answer to a sample that deserves full
    marks, for `saccade check` to hold the rewards against; None takes the samples' solutions. The pictures of the sample that it is
    given know the size at which the model sees them, so boxes can be written in the model's frame (`picture.convert`).
    `uses_model_pixels` says that answers tell places in that frame (Frame.MODEL): models that cut pictures into tiles, which have
    none, are refused.
    `marks` reads what an answer points at, to be drawn, with the reader of its rewards; `gold_marks` says what a sample
    asks for, and None draws the boxes, points and masks in its target (core/marks.py).
    """

    name: str
    about: str
    model: ModelSpec
    stages: tuple[Stage, ...]
    evaluations: tuple[Evaluation, ...] = ()
    claims: tuple[Claim, ...] = ()
    checkpoint_every: int = 20
    choose: Choice | None = None
    seed: int = 0
    gold_answer: Callable[[Sample], str | None] | None = None
    uses_model_pixels: bool = False
    marks: Callable[[Rollout], Sequence[Mark]] | None = None
    gold_marks: Callable[[Sample], Iterable[Mark]] | None = None

    def __post_init__(self) -> None:
        for kind, names in (("stage", [s.name for s in self.stages]), ("evaluation", [e.name for e in self.evaluations])):
            if len(set(names)) != len(names):
                raise ValueError(f"{kind} names must differ, got {names}")
            _require_file_names(kind, names)
        _require_file_names("recipe", [self.name])
        if self.model.lora is None and any(stage.reference == "base" for stage in self.stages):
            raise ValueError("reference='base' is the model without its adapters, and there are none; set lora, or 'stage'")
        if self.choose is not None:
            self.choose.require(self.evaluations)

    @property
    def total_steps(self) -> int:
        """Optimizer rounds over all stages."""
        return sum(stage.steps for stage in self.stages)

    def settings(self) -> dict[str, Any]:
        """Every setting of the recipe by its path, as `--set` names it; functions and tasks by their names."""
        return {path: _plain(value) for path, value in flatten(self).items()}


def _require_file_names(kind: str, names: Sequence[str]) -> None:
    """They become names of folders, of checkpoints and of metrics."""
    for name in names:
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise ValueError(f"a {kind} name may hold letters, digits, '-', '_' and '.' only, got {name!r}")


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)  # JSON has no word for it
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, functools.partial):  # its own repr holds an address, which differs from run to run
        given = [*(str(_plain(one)) for one in value.args), *(f"{key}={_plain(one)}" for key, one in value.keywords.items())]
        return f"{_plain(value.func)}({', '.join(given)})"
    return getattr(value, "__name__", None) or repr(value)
