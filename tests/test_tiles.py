"""Models that cut pictures into tiles have no pixels of the picture as they see it: recipes that need them say so at the start."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from saccade import catalog
from saccade.cli import main
from saccade.data.miniature.gui_r1 import write_gui_r1
from saccade.data.miniature.vision_r1_griffon import write_vision_r1_griffon
from saccade.data.miniature.vlm_r1 import write_vlm_r1
from saccade.policy.families import CutsPictures, UnsupportedModel, family_of
from saccade.policy.reader import Reader
from saccade.policy.spec import ModelSpec
from saccade.run.check import check
from saccade.run.folder import RunFolder
from saccade.run.overrides import override
from saccade.run.recipe import Recipe
from saccade.run.train import load_policy, train
from tests.tiny_models import MAKERS

WHOLE = ("Qwen2-VL", "Qwen2.5-VL", "Qwen3-VL")
WRITERS: dict[str, Callable[[Path], Path]] = {
    "gui_r1": lambda folder: write_gui_r1(folder, seed=0, n_train=20, n_watch=4, n_test=4),
    "vision_r1_griffon": lambda folder: write_vision_r1_griffon(folder, n_train=20, n_test=2),
    "vlm_r1": lambda folder: write_vlm_r1(folder, seed=1, n_train=12, n_test=4),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> dict[str, Path]:
    """A small folder of each recipe that asks for boxes or points."""
    return {name: write(tmp_path_factory.mktemp(name) / "rows") for name, write in WRITERS.items()}


@pytest.fixture()
def without_weights(checkpoint, tmp_path):
    """A family's checkpoint of which the weights are gone, so that whatever loads them fails otherwise."""

    def folder(family: str) -> Path:
        ignored = shutil.ignore_patterns("*.safetensors")
        return Path(shutil.copytree(checkpoint(family), tmp_path / family, ignore=ignored))

    return folder


def made(name: str, data: Path, model: Path, *options: str) -> Recipe:
    recipe = catalog.make(name, options=options, model=str(model), data=str(data), seed=0)
    return override(recipe, [f"model.{bound}_pixels=None" for bound in ("min", "max")])


@pytest.mark.parametrize("family", MAKERS)
def test_a_family_knows_whether_its_pictures_have_a_size(checkpoint, rows, family):
    reader = Reader.of(ModelSpec(path=str(checkpoint(family))))
    sample = made("gui_r1", rows["gui_r1"], checkpoint(family)).stages[0].task.samples[0]
    assert reader.family is family_of(reader.config)
    assert reader.family.sees_whole_pictures == (reader.seen(sample)[0].model_size is not None) == (family in WHOLE)


@pytest.mark.parametrize("family", [family for family in MAKERS if family not in WHOLE])
def test_it_is_refused_before_any_weights_load(rows, without_weights, family):
    model = without_weights(family)
    for name in WRITERS:
        for option in ("", "variant=sft"):
            recipe = made(name, rows[name], model, *filter(None, [option]))
            with pytest.raises(CutsPictures) as caught:
                load_policy(recipe)
            sentence = str(caught.value)
            assert sentence.startswith(f"{recipe.name} tells places in pixels of the picture as the model sees it, ")
            assert f"and {family} cuts pictures into tiles" in sentence
            assert f"({', '.join(WHOLE)})" in sentence and "--with frame=mille" in sentence and "\n" not in sentence


def test_others_are_not_refused_for_it(rows, without_weights):
    models = {family: without_weights(family) for family in ("Qwen2.5-VL", "InternVL")}
    for family, name, options in (
        ("Qwen2.5-VL", "gui_r1", ()),
        ("InternVL", "vlm_r1", ("frame=mille",)),
        ("InternVL", "vlm_r1", ("task=text",)),
    ):
        with pytest.raises(UnsupportedModel, match="cannot be loaded.*model.safetensors") as caught:
            load_policy(made(name, rows[name], models[family], *options))
        assert not isinstance(caught.value, CutsPictures)


def test_the_commands_say_it_and_leave_nothing_behind(rows, without_weights, tmp_path, capsys):
    words = ["gui_r1", "--model", str(without_weights("InternVL")), "--data", str(rows["gui_r1"])]
    says = "and InternVL cuts pictures into tiles"
    assert main(["train", *words, "--out", str(tmp_path / "run"), "--threads", "1"]) == 1
    err = capsys.readouterr().err
    assert says in err and len(err.strip().splitlines()) == 1 and not (tmp_path / "run").exists()
    assert main(["eval", *words, "--threads", "1"]) == 1
    assert says in capsys.readouterr().err
    assert main(["check", *words]) == 1
    assert says in " ".join(capsys.readouterr().out.split())


def test_the_check_makes_an_error_of_it(rows, without_weights):
    model = without_weights("SmolVLM")
    options = ("task=rec", "frame=mille")
    refused, mille = (check(made("vlm_r1", rows["vlm_r1"], model, *options[:n]), rows=4) for n in (1, 2))
    (finding,) = [finding for finding in refused.findings if finding.kind == "model"]
    assert finding.level == "error" and "SmolVLM cuts pictures into tiles" in finding.what and not refused.is_sound
    assert not [finding for finding in mille.findings if finding.kind == "model"]


def test_thousandths_train_a_model_that_sees_tiles(rows, checkpoint, tmp_path):
    recipe = made("vlm_r1", rows["vlm_r1"], checkpoint("InternVL"), "frame=mille", "task=rec", "variant=sft")
    few = [f"evaluations.{place}.max_tokens=8" for place in range(len(recipe.evaluations))]
    recipe = override(recipe, ["model.dtype=float32", "stages.0.steps=1", "stages.0.batch=4", *few])
    with RunFolder.start(tmp_path / "run") as folder:
        summary = train(recipe, folder)
    assert summary["steps"] == {"sft": 1} and "val-rec" in summary["evaluations"]
