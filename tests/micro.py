"""The smallest whole recipe: Reason-RFT on a handful of embedded rows, a few steps, one core, about two seconds."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from saccade.data.miniature.write import write_reason_rft
from saccade.recipes.reason_rft import recipe
from saccade.run.overrides import override
from saccade.run.recipe import Recipe

SMALL = (
    "stages.0.steps=3",
    "stages.0.batch=2",
    "stages.1.steps=4",
    "stages.1.prompts=3",
    "stages.1.siblings=2",
    "stages.1.sampling.max_tokens=10",
    "checkpoint_every=2",
)


@functools.cache
def rows() -> Path:
    """A data folder of ten rows per training file and two per test file, in the published format."""
    return write_reason_rft(Path(tempfile.mkdtemp()) / "rows", seed=5, n_train=10, n_test=2)


def micro(*settings: str, variant: str = "reason_rft", task: str = "all") -> Recipe:
    """The micro recipe, with further `--set` settings."""
    made = recipe(data=rows(), variant=variant, task=task)
    quick = [f"evaluations.{i}.{key}" for i in range(len(made.evaluations)) for key in ("attempts=2", "max_tokens=8")]
    small = [setting for setting in SMALL if not setting.startswith("stages.1") or len(made.stages) > 1]
    return override(made, [*quick, *small, *settings])
