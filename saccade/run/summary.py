"""What summary.json says of a finished run (docs/run-folder.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from saccade.core.sample import Task, left_out_of
from saccade.run.environment import environment
from saccade.run.progress import Progress
from saccade.run.recipe import Recipe


def summarised(
    recipe: Recipe,
    progress: Progress,
    *,
    chosen: str,
    after: Mapping[str, Any],
    tasks: Iterable[Task],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """The summary: what was run, where, and what came of it. `after` are the evaluations of checkpoint `chosen`."""
    return {
        "recipe": recipe.name,
        "settings": recipe.settings(),
        "seed": recipe.seed,
        "seconds": progress.seconds,
        "steps": {stage.name: stage.steps for stage in recipe.stages},
        "bad_rows": {f"{task.name} ({task.split})": len(task.bad_rows) for task in tasks},
        "left_out": len(left_out_of(stage.task for stage in recipe.stages)),
        "chosen": chosen,
        "evaluations": {
            name: {
                "before": before,
                "after": after[name],
                **{key: before[key] for key in ("n", "is_shifted", "selects")},
            }
            for name, before in progress.before.items()
        },
        "after_stage": progress.after,
        "warnings": list(warnings),
        "environment": environment(),
    }
