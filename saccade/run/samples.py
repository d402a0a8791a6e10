"""What a recipe trains and is measured on, as lines of samples.jsonl, to be looked at beside the answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from saccade.core.picture import Picture, PictureError
from saccade.core.sample import Sample, Task
from saccade.policy.reader import PictureMismatch
from saccade.run.recipe import Recipe
from saccade.run.records import Details, sample_row
from saccade.run.stage import SFT, Stage

if TYPE_CHECKING:
    from saccade.policy.protocol import Policy

MOST = 500  # samples of a set that are written down, evenly spaced


def shown_samples(task: Task, *, most: int = MOST) -> Sequence[Sample]:
    """So many of a task's samples, evenly spaced; all of a small task."""
    n = len(task)
    return task.samples if n <= most else [task.samples[place * n // most] for place in range(most)]


def sample_lines(recipe: Recipe, policy: Policy, details: Details) -> Iterator[tuple[dict[str, Any], Sequence[Picture]]]:
    """Each line with the pictures that it shows: stages in order, then evaluations, then what all sets hold.

    A sample that the model's processor refuses, or whose picture is gone, has no `tokens`: it may never be drawn, and
    stops the run if it is.
    """
    sets = {f"stage {stage.name}": (stage.task, stage) for stage in recipe.stages}
    sets |= {evaluation.name: (evaluation.task, None) for evaluation in recipe.evaluations}
    for name, (task, stage) in sets.items():
        for sample in shown_samples(task):
            pictures, tokens = _read(policy, sample)
            solution = _solution(recipe, stage, sample.showing(pictures)) if tokens else sample.solution
            yield {
                "set": name,
                "split": task.split,
                **sample_row(sample, pictures, details),
                **({} if solution is None else {"solution": solution}),
                **tokens,
            }, pictures if tokens else ()
    left_out = {name: len(task.left_out) for name, (task, _) in sets.items() if task.left_out}
    totals = {name: len(task) for name, (task, _) in sets.items()}
    yield {"totals": totals, **({"left_out": left_out} if left_out else {})}, ()


def _read(policy: Policy, sample: Sample) -> tuple[Sequence[Picture], dict[str, Any]]:
    """The pictures as the model sees them, and `tokens`."""
    try:
        n_all, n_pictures = policy.prompt_tokens(sample)
        return policy.seen(sample), {"tokens": {"prompt": n_all, "pictures": n_pictures}}
    except (PictureMismatch, PictureError):
        return sample.pictures, {}


def _solution(recipe: Recipe, stage: Stage | None, sample: Sample) -> str | None:
    """The worked answer: what the stage imitates, else the row's own, else the recipe's."""
    if isinstance(stage, SFT) and stage.answer is not None:
        return stage.answer(sample)
    if sample.solution is not None or recipe.gold_answer is None:
        return sample.solution
    try:
        return recipe.gold_answer(sample)
    except Exception:  # the recipe's own function, which training can do without; `saccade check` says what it raises
        return None
