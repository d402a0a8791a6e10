"""Is this recipe, on this data, worth a run? Rewards, gold answers, pictures and tokens, without a model's weights.

    >>> checked = check(recipe)
    >>> checked.is_sound, [finding.what for finding in checked.findings]
    (False, ["accuracy: the gold answer earns 0 of 1 ('7' for 'seven')"])

What it asks is in `golds.py` (right answers), `probes.py` (wrong ones), `trying.py` and `asking.py` (asking rewards about them),
`rewards.py` and `wrong.py` (what the scores mean), `rows.py`, `pictures.py` and `tokens.py`; docs/check.md says it for users.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from saccade.algo.schedules import values_of
from saccade.core.reward import Reward, Rewards, weighted
from saccade.core.sample import Sample, Task, refusals_collected
from saccade.run.check.findings import Checked, Finding, Level, Part
from saccade.run.check.golds import answered, gold_texts
from saccade.run.check.pictures import picture_part, unopened
from saccade.run.check.rewards import reward_findings
from saccade.run.check.rows import Told, of_bad_rows, of_left_out, of_no_rows, of_refusals
from saccade.run.check.tokens import Reads, tile_findings, token_part
from saccade.run.recipe import Recipe
from saccade.run.seeds import derive
from saccade.run.stage import RL

__all__ = ["Checked", "Finding", "Level", "Part", "check"]


def check(
    recipe: Recipe | Callable[[], Recipe],
    *,
    rows: int | None = None,
    say: Callable[[str], None] = lambda name: None,
    name: str = "the recipe",
) -> Checked:
    """Everything that can be known about a recipe before it runs.

    Given a function that makes the recipe, sets with too many bad rows are findings with all these rows, and the check goes on with
    the good ones; in a run, and where the recipe is made before, such a set raises DataError. `name` is what to call the recipe
    where what is left makes none. `rows` (at least 1) bounds how many rows of each set are looked at, drawn by the recipe's
    seed; None looks at all. `say` is told the name of each part before it is checked.
    """
    if rows is not None and rows < 1:
        raise ValueError(f"rows must be at least 1, or None for all, got {rows}")
    told: Told = set()
    parts, reads = [], {}
    if not isinstance(recipe, Recipe):
        say("data")
        recipe, data = _made(recipe, told)
        parts += [data] if data else []
        if recipe is None:
            return Checked(recipe=name, parts=tuple(parts))
    sets = _sets(recipe, rows)
    for one in sets:
        say(one.name)
        part, read = _checked(recipe, one, told)
        parts.append(part)
        reads[one.name] = read
    say("pictures")
    train = _distinct([sample for one in sets if one.is_stage for sample in one.samples])
    pictures = picture_part(train, {one.name: one.samples for one in sets if not one.is_stage})
    left_out = of_left_out([stage.task for stage in recipe.stages])
    parts.append(replace(pictures, findings=(*pictures.findings, *left_out)))
    say("tokens")
    tokens = token_part(recipe.model, reads, seed=recipe.seed)
    parts.append(replace(tokens, findings=(*tile_findings(recipe), *tokens.findings)))
    return Checked(recipe=recipe.name, parts=tuple(parts))


def _made(make: Callable[[], Recipe], told: Told) -> tuple[Recipe | None, Part | None]:
    """The recipe, None where too few rows can be read for one, and the findings about sets with too many bad rows."""
    with refusals_collected() as refusals:
        try:
            recipe, error = make(), None
        except Exception as raised:  # a recipe may trip in any way over a set that lost its rows
            if not refusals:
                raise
            recipe, error = None, raised
    if not refusals:
        return recipe, None
    findings = of_refusals(refusals, told)
    if error is not None:
        what = f"no recipe can be made of the rows that are left, and nothing else is checked: {error!r:.200}"
        findings.append(Finding(level="error", kind="rows", what=what, advice="mend the rows first"))
    about = ", ".join(f"{refusal.name} ({refusal.split})" for refusal in dict.fromkeys(refusals))
    return recipe, Part(name="data", about=f"no run would start with {about}", findings=tuple(findings))


@dataclass(frozen=True, kw_only=True)
class _Set:
    """A stage or an evaluation: its samples, as many as are looked at, and what scores them."""

    name: str
    task: Task
    samples: tuple[Sample, ...]
    rewards: Rewards | None = None
    watched: tuple[Reward, ...] = ()
    limit: int | None = None
    is_stage: bool = False
    answer: Callable[[Sample], str | None] | None = None


def _sets(recipe: Recipe, rows: int | None) -> list[_Set]:
    found = []
    for stage in recipe.stages:
        limit = rewards = None
        answer = getattr(stage, "answer", None)
        if isinstance(stage, RL):
            limit = stage.sampling.max_tokens if stage.limit is None else int(max(values_of(stage.limit)))
            rewards = stage.rewards
        samples = _drawn(stage.task.samples, rows, seed=derive(recipe.seed, "check", "stage", stage.name))
        name = f"stage {stage.name}"
        found.append(_Set(name=name, task=stage.task, samples=samples, rewards=rewards, limit=limit, is_stage=True, answer=answer))
    for evaluation in recipe.evaluations:
        samples = _drawn(evaluation.task.samples, rows, seed=derive(recipe.seed, "check", evaluation.name))
        watched = tuple(share for share in evaluation.shares if share.name != evaluation.score.name)
        found.append(
            _Set(
                name=evaluation.name,
                task=evaluation.task,
                samples=samples,
                rewards=weighted((evaluation.score, 1.0)),
                watched=watched,
                limit=evaluation.max_tokens,
            )
        )
    return found


def _checked(recipe: Recipe, one: _Set, told: Told) -> tuple[Part, Reads]:
    """The set's findings, and what its tokens are counted of. Bad rows that were `told` before are not told again."""
    bad = unopened(one.samples)  # told with the pictures
    samples = [sample for sample in one.samples if sample.id not in bad]
    findings = [*of_bad_rows(one.task, told), *of_no_rows(one.task, is_trained=one.is_stage)]
    golds: list[str | None] = [sample.solution for sample in samples]
    if one.answer is not None:
        golds, of_answer = answered(samples, one.answer, by="the stage's answer")
        findings += of_answer
    if one.rewards is not None:
        golds, of_gold = gold_texts(samples, one.rewards, gold_answer=recipe.gold_answer)
        seed = derive(recipe.seed, "check", "others", one.name)
        findings += of_gold
        findings += reward_findings(
            one.rewards, samples, golds, seed=seed, is_trained=one.is_stage, watched=one.watched
        )
    part = Part(name=one.name, about=_about(one), findings=tuple(findings))
    return part, Reads(samples=samples, golds=golds, limit=one.limit)


def _drawn(samples: Sequence[Sample], rows: int | None, *, seed: int) -> tuple[Sample, ...]:
    if rows is None or rows >= len(samples):
        return tuple(samples)
    places = sorted(np.random.default_rng(seed).permutation(len(samples))[:rows].tolist())
    return tuple(samples[place] for place in places)


def _distinct(samples: Sequence[Sample]) -> list[Sample]:
    """Each sample once, though several stages train on it."""
    return list({(sample.id, sample.prompt_text): sample for sample in samples}.values())


def _about(one: _Set) -> str:
    looked = "" if len(one.samples) == len(one.task) else f" of {len(one.task):,}"
    scored = "imitated" if one.rewards is None else " + ".join(one.rewards.names)
    return f"{len(one.samples):,}{looked} rows, {scored}"
