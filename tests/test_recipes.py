"""What holds for every recipe that Saccade ships, whichever system it is: a new one is tested by being there."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from saccade import catalog
from saccade.policy.embedded import EMBEDDED
from saccade.run.check import check
from saccade.run.folder import RunFolder
from saccade.run.overrides import override
from saccade.run.recipe import Recipe
from saccade.run.show import MARKS, shown
from saccade.run.stage import RL, SFT
from saccade.run.train import train

NAMES = list(catalog.recipes())
LARGE = "Qwen/Qwen2.5-VL-3B-Instruct"  # only its name is used: nothing is loaded
PAGES = Path(__file__).parents[1] / "docs/recipes"


def made(name: str, **options: str) -> Recipe:
    words = [f"{key}={value}" for key, value in options.items() if key != "model"]
    return catalog.make(name, options=words, model=options.get("model", catalog.default_model(name)), data=None, seed=0)


def files(name: str) -> list[Path]:
    source = Path(inspect.getsourcefile(importlib.import_module(f"saccade.recipes.{name}")))
    return sorted(source.parent.glob("*.py")) if source.name == "__init__.py" else [source]


@pytest.mark.parametrize("name", NAMES)
def test_its_docstring_tells_the_idea_the_paper_the_command_and_what_departs(name):
    text = ast.get_docstring(ast.parse(files(name)[0].read_text()))
    assert re.search(r"arXiv \d{4}\.\d{5}", text), "no arXiv number"
    assert f"saccade train {name}" in text
    assert re.search(r"^Departs:\n(- .+\n?)", text, re.MULTILINE), "no list of what departs from the original"


@pytest.mark.parametrize("name", NAMES)
def test_every_number_of_the_paper_and_of_the_miniature_has_its_source(name):
    """A keyword with a figure in the module-level values of its files ends in a comment that begins with a mark."""
    unmarked, n = [], 0
    for path in files(name):
        lines = path.read_text().splitlines()
        for node in ast.parse(path.read_text()).body:
            if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
                continue
            for keyword in ast.walk(node.value):
                if isinstance(keyword, ast.keyword) and isinstance(keyword.value, ast.Constant) and type(keyword.value.value) in (int, float):
                    n += 1
                    until = "\n".join(lines[keyword.value.lineno - 1 : node.end_lineno])  # a source may follow the call that it is in
                    comment = re.search(r"#\s*(\w+)", until)
                    if not comment or comment[1] not in MARKS:
                        unmarked.append(f"{path.name}:{keyword.value.lineno} {keyword.arg}")
    assert n >= 10 and unmarked == []


@pytest.mark.parametrize("name", NAMES)
def test_its_page_has_the_idea_the_formulas_the_command_and_a_result_beside_the_papers(name):
    page = (PAGES / f"{name}.md").read_text()
    for heading in ("Idea", "Formulas", "The miniature", "Result", "The paper's", "original"):
        assert re.search(rf"^#+ .*{heading}|\*\*.*{heading}", page, re.MULTILINE | re.IGNORECASE), f"no section on {heading!r}"
    assert f"saccade train {name}" in page
    assert re.search(r"^    saccade train .*--model \S+.*--data", page, re.MULTILINE), "no command for a real model on real data"


@pytest.mark.parametrize("name", NAMES)
def test_the_papers_numbers_make_a_recipe_for_a_large_model_and_it_can_be_shown(name):
    small, large = made(name), made(name, model=LARGE)
    assert small.model.path in EMBEDDED and large.model.path == LARGE
    assert large.model.dtype == "bfloat16" and large.model.gradient_checkpointing
    differ = {path for path, value in large.settings().items() if small.settings().get(path) != value}
    assert any("optimization.lr" in path for path in differ)
    assert any("max_tokens" in path for path in differ)
    text = shown(large, importlib.import_module(f"saccade.recipes.{name}"))
    assert LARGE in text and "claims" in text


@pytest.mark.parametrize("name", NAMES)
def test_what_it_reports_is_not_what_chooses_and_no_held_out_picture_is_trained_on(name):
    recipe = made(name)
    trained = {picture.sha for stage in recipe.stages for sample in stage.task for picture in sample.pictures}
    assert trained
    for evaluation in recipe.evaluations:
        assert not any(picture.sha in trained for sample in evaluation.task for picture in sample.pictures), evaluation.name
    chosen = {id(sample) for one in recipe.evaluations if one.selects for sample in one.task}
    assert chosen.isdisjoint(id(sample) for one in recipe.evaluations if not one.selects for sample in one.task)
    assert any(one.is_shifted for one in recipe.evaluations) and recipe.claims


@pytest.mark.parametrize("name", NAMES)
def test_the_check_finds_it_sound(name):
    checked = check(made(name), rows=12)
    assert [finding.what for finding in checked.findings if finding.level == "error"] == []
    assert checked.is_sound


@pytest.mark.parametrize("name", NAMES)
def test_a_few_steps_of_every_stage_run_and_leave_finite_figures(name, tmp_path):
    recipe = made(name)
    for number, stage in enumerate(recipe.stages):
        small = ["steps=2", "batch=2"] if isinstance(stage, SFT) else ["steps=2", "prompts=4", "siblings=2"]
        recipe = override(recipe, [f"stages.{number}.{setting}" for setting in small])
    few = [replace(e, task=replace(e.task, samples=tuple(e.task)[:2]), attempts=1, triggers=()) for e in recipe.evaluations]
    recipe = replace(recipe, evaluations=tuple(few), checkpoint_every=100)
    with RunFolder.start(tmp_path / "run") as folder:
        train(recipe, folder)
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert max(row.get("run/total_steps", 0) for row in rows) == recipe.total_steps == 2 * len(recipe.stages)
    figures = {key: value for row in rows for key, value in row.items() if isinstance(value, float)}
    assert figures and all(math.isfinite(value) for value in figures.values())
    if any(isinstance(stage, RL) for stage in recipe.stages):
        assert (tmp_path / "run/rollouts.jsonl").stat().st_size > 0
