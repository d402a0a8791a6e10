"""Somebody's own recipe, a Python file, through the same commands as ours."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from saccade import catalog
from saccade.cli import main

OWN = '''"""Squares: how many there are."""

from pathlib import Path

import PIL.Image

from saccade.algo.named import grpo
from saccade.core.picture import Picture
from saccade.core.reward import weighted
from saccade.core.sample import Message, Sample, Task
from saccade.policy.spec import ModelSpec, Optimization, Sampling
from saccade.rewards.answers.accuracy import numeric
from saccade.rewards.format import format_of
from saccade.rewards.read.tags import THINK_ANSWER
from saccade.run.evaluate import Evaluation
from saccade.run.recipe import Recipe
from saccade.run.stage import RL


def ask(row):
    picture = Picture.of(PIL.Image.new("RGB", (112, 112), (row["n"] * 9 % 256, row["i"] * 11 % 256, 90)))
    question = "How many? Think inside <think> tags, then give a number inside <answer> tags."
    return Sample(id=f"row-{row['i']}", messages=(Message("user", (picture, question)),), target=str(row["n"]), kind="counting")


def recipe(*, model="tiny", data=None, seed=0, most: int = 9):
    """Twelve rows are trained on, four are held out."""
    rows = [{"i": i, "n": i % most} for i in range(16)]
    task = lambda name, chosen: Task.from_rows(chosen, ask, name=name, split=name)
    return Recipe(
        name="own",
        about="a recipe of my own",
        model=ModelSpec(path=model),
        stages=(
            RL(
                task=task("train", rows[:12]),
                rewards=weighted((numeric(), 1.0), (format_of(THINK_ANSWER), 0.5)),
                algorithm=grpo(),
                steps=2, prompts=2, siblings=2,
                sampling=Sampling(max_tokens=8),
                optimization=Optimization(lr=1e-5),
            ),
        ),
        evaluations=(Evaluation(name="held-out", task=task("test", rows[12:]), score=numeric(), max_tokens=8),),
        gold_answer=lambda sample: f"<think>I count {sample.target}.</think><answer>{sample.target}</answer>",
        seed=seed,
    )
'''


@pytest.fixture
def own(tmp_path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    return path


def test_it_is_shown_checked_trained_and_evaluated_like_ours(own, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["show", "mine.py"]) == 0
    assert "Squares: how many there are." in capsys.readouterr().out
    assert main(["check", "mine.py"]) == 0
    assert "own is sound" in capsys.readouterr().out
    assert main(["train", "mine.py", "--with", "most=5", "--out", "run", "--threads", "1"]) == 0
    assert json.loads((tmp_path / "run/command.json").read_text())["recipe"] == str(own)
    capsys.readouterr()
    assert main(["eval", "run", "--threads", "1"]) == 0
    assert main(["eval", "mine.py", "--threads", "1"]) == 0
    assert capsys.readouterr().out.count("held-out") >= 2


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("gone.py", None, "gone.py; give the path of a recipe, or a name that `saccade list` prints"),
        ("bare.py", "x = 1\n", "bare.py has no function 'recipe'; it needs recipe(*, model, data, seed) that returns a Recipe"),
        ("less.py", "def recipe(*, model):\n    pass\n", "less.py has a 'recipe' that takes no data, seed; it needs recipe(*,"),
    ],
)
def test_what_is_no_recipe_gets_one_sentence(name, text, says, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / name).write_text(text)
    assert main(["show", name]) == 2
    assert says in capsys.readouterr().err


OPTIONS = '''"""Options of every type."""

from typing import Literal


def recipe(*, model="tiny", data=None, seed=0, share: float = 0.5, is_on: bool = False, start: str | None = None, kind: Literal["a", "b"] = "a",
           n: int = 1, names: str = "x", most=9, must: str):
    return dict(share=share, is_on=is_on, start=start, kind=kind, n=n, names=names, most=most, must=must)
'''


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("share=0.25", 0.25), ("share=1", 1.0), ("is_on=true", True), ("is_on=false", False), ("start=a/b", "a/b"), ("start=None", None),
        ("kind=b", "b"), ("n=0", 0), ("names=", ""), ("names=1", "1"), ("most=3", 3), ("must=be=so", "be=so"),
    ],
)  # fmt: skip
def test_options_arrive_as_what_they_are_declared_to_be(tmp_path, option, value):
    (tmp_path / "options.py").write_text(OPTIONS)
    made = catalog.make(str(tmp_path / "options.py"), options=["must=", option], model="tiny", data=None, seed=0)
    found = made[option.partition("=")[0]]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("share=half", "--with share=half: got 'half' where 0.5 stands; allowed is a number"),
        ("share=nan", "allowed is a number"),
        ("is_on=maybe", "allowed is true or false"),
        ("kind=c", "allowed is one of a, b"),
        ("n=1.5", "allowed is a whole number"),
        ("n=-1", "n is a whole number from 0, got '-1'"),
        ("nn=1", "takes share=..., is_on=..., start=..., kind=..., n=..., names=..., most=..., must=..."),
        ("n", "takes share=..."),
    ],
)
def test_options_of_another_type_are_misuse(tmp_path, option, says):
    (tmp_path / "options.py").write_text(OPTIONS)
    with pytest.raises(catalog.UnknownRecipe, match=re.escape(says)):
        catalog.make(str(tmp_path / "options.py"), options=[option], model="tiny", data=None, seed=0)


def test_settings_hold_no_addresses_that_differ_from_run_to_run(own):
    made = catalog.make(str(own), options=[], model="tiny", data=None, seed=0)
    settings = replace(made, gold_answer=partial(partial(sorted, reverse=True), "ab", key=len)).settings()
    assert settings["gold_answer"] == "sorted(ab, reverse=True, key=len)"
    assert not [value for value in settings.values() if " at 0x" in str(value)]
