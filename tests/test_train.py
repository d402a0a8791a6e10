"""A run from start to summary, killed and resumed, broken and named."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from saccade.core.reward import RewardError, reward, weighted
from saccade.run.files import RunError
from saccade.run.folder import LOGS, RunFolder
from saccade.run.overrides import override
from saccade.run.recipe import Recipe
from saccade.run.train import train
from tests.micro import micro

TIMING = ("time/", "speed/")


def run(recipe: Recipe, path: Path) -> dict:
    with RunFolder.start(path) as folder:
        return train(recipe, folder)


def logged(path: Path) -> list[dict]:
    """metrics.jsonl without its timing keys."""
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.startswith(TIMING)} for line in lines]


def everything_told(path: Path) -> dict[str, bytes]:
    """The other logs and what says what is run, to the byte."""
    return {name: (path / name).read_bytes() for name in (*(f"{log}.jsonl" for log in LOGS if log != "metrics"), "recipe.json")}


def weights(path: Path) -> bytes:
    return (path / "model.safetensors").read_bytes()


def last(path: Path) -> Path:
    return RunFolder(path).latest_checkpoint().path


def test_a_run_leaves_its_folder_whole(tmp_path):
    summary = run(micro(), tmp_path / "run")
    assert summary["steps"] == {"sft": 3, "rl": 4}
    for found in summary["evaluations"].values():
        for moment in ("before", "after"):
            for mode in ("greedy", "sampled"):
                assert 0 <= found[moment][mode]["low"] <= found[moment][mode]["mean"] <= found[moment][mode]["high"] <= 1
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == summary
    rollouts = [json.loads(line) for line in (tmp_path / "run" / "rollouts.jsonl").read_text().splitlines()]
    assert len(rollouts) == 4 * 3 * 2
    for row in rollouts:
        assert row["pictures"] and all((tmp_path / "run" / "pictures" / f"{sha}.png").exists() for sha in row["pictures"])
        assert row["reward"] == pytest.approx(sum(score["value"] for score in row["scores"].values()))


def test_every_measured_sample_is_told_with_its_moment_and_every_picture_is_kept(tmp_path):
    recipe = micro()
    run(recipe, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    sizes = {evaluation.name: len(evaluation.task) for evaluation in recipe.evaluations}
    told = {}
    for row in folder.evaluations():
        told.setdefault((row["moment"], row["step"]), {}).setdefault(row["set"], []).append(row)
    moments = [("before", 0), ("sft-2", 2), ("sft", 3), ("rl-2", 5), ("rl", 7)]
    chosen = folder.summary()["chosen"]
    assert list(told)[:5] == moments and list(told)[5:] == ([] if chosen == "rl-4" else [(f"best ({chosen})", 7)])
    for (moment, _), sets in told.items():
        assert {name: len(rows) for name, rows in sets.items()} == ({"val": sizes["val"]} if moment in ("sft-2", "rl-2") else sizes)
    metrics = {line["run/stage"]: line for line in folder.metrics() if line["run/stage"] in ("before", "sft")}
    for moment, line in metrics.items():
        for name in sizes:
            rows = next(sets for (when, _), sets in told.items() if when == moment)[name]
            assert sum(row["score"] or 0 for row in rows) / len(rows) == pytest.approx(line[f"eval/{name}/greedy"])
            assert sum(sum(row["sampled"]) for row in rows) / len(rows) / 2 == pytest.approx(line[f"eval/{name}/sampled"])
    *samples, last = folder.samples()
    tasks = {f"stage {stage.name}": stage.task for stage in recipe.stages} | {one.name: one.task for one in recipe.evaluations}
    assert last["totals"] == {name: len(task) for name, task in tasks.items()}
    assert [row["sample"] for row in samples] == [sample.id for task in tasks.values() for sample in task]
    assert all(row["tokens"]["pictures"] == 16 * len(row["pictures"]) < row["tokens"]["prompt"] for row in samples)
    assert all(row["solution"] for row in samples if row["set"] == "stage sft")
    for row in (*samples, *folder.evaluations()):
        assert row["seen"] == [[112, 112]] * len(row["pictures"])
        for sha in row["pictures"]:
            assert any((folder.path / name).stat().st_size for name in (f"pictures/{sha}.png", f"previews/{sha}.webp") if (folder.path / name).exists())


def test_a_large_task_is_told_by_samples_from_all_over_it():
    from saccade.run.samples import shown_samples

    task = replace(micro().stages[0].task, samples=tuple(range(1203)))
    shown = shown_samples(task, most=500)
    assert len(set(shown)) == 500 and shown[0] == 0 and shown[-1] > 1199
    assert {b - a for a, b in zip(shown, shown[1:])} == {2, 3}
    assert list(shown_samples(replace(task, samples=tuple(range(500))), most=500)) == list(range(500))


def test_a_run_that_an_older_version_began_goes_on_and_is_told_from_there(tmp_path, monkeypatch):
    from saccade.run import folder as folders

    recipe = micro("stages.0.steps=1", "stages.1.steps=2", "checkpoint_every=1", task="counting")
    run(recipe, tmp_path / "whole")
    with monkeypatch.context() as older:  # one that knew two logs, no recipe.json and no previews
        older.setattr(folders, "LOGS", ("metrics", "rollouts"))
        older.setattr(RunFolder, "append_evaluation", lambda *_, **__: None)
        older.setattr(RunFolder, "append_samples", lambda *_: None)
        older.setattr(RunFolder, "samples", lambda _: iter(()))
        older.setattr(RunFolder, "append_tokens", lambda *_: None)
        older.setattr(RunFolder, "write_recipe", lambda *_: None)
        run(recipe, tmp_path / "old")
    path = tmp_path / "old"
    for name in ("summary.json", "checkpoints/rl-2/manifest.json"):
        (path / name).unlink()
    assert [list(log) for log in (RunFolder(path).evaluations(), RunFolder(path).samples(), RunFolder(path).tokens())] == [[], [], []]
    with RunFolder.resume(path, say=lambda sentence: None) as folder:
        train(recipe, folder, is_resumed=True)
    assert logged(path) == logged(tmp_path / "whole")
    whole, again = everything_told(tmp_path / "whole"), everything_told(path)
    assert again["samples.jsonl"] == whole["samples.jsonl"] and again["recipe.json"] == whole["recipe.json"]
    assert again["rollouts.jsonl"] == whole["rollouts.jsonl"]
    assert again["evaluations.jsonl"] and whole["evaluations.jsonl"].endswith(again["evaluations.jsonl"])


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path):
    for name, recipe in (("a", micro()), ("b", micro()), ("c", replace(micro(), seed=1))):
        run(recipe, tmp_path / name)
    assert logged(tmp_path / "a") == logged(tmp_path / "b") != logged(tmp_path / "c")
    assert weights(last(tmp_path / "a")) == weights(last(tmp_path / "b")) != weights(last(tmp_path / "c"))


@pytest.mark.parametrize("case", ["full", "lora", "kl", "updates"])
def test_killed_at_any_moment_and_resumed_equals_never_killed(tmp_path, case):
    recipe = {
        "full": lambda: micro(),
        "lora": with_lora,
        "kl": lambda: with_kl(micro()),
        "updates": lambda: micro("stages.1.updates_per_rollout=2"),
    }[case]()
    begin = time.monotonic()
    run(recipe, tmp_path / "whole")
    length = time.monotonic() - begin
    chance = random.Random(case)
    kills, attempt = 0, 0
    while not (tmp_path / "killed" / "summary.json").exists():
        attempt += 1
        # Few enough kills that the run gets on: at most six, then it may finish. The first three come early, as the machine may be
        # twice as fast by now as it was for the whole run.
        patience = chance.uniform(0.05, 0.2 if kills < 3 else 0.6) * length if kills < 6 else 60 * length + 60
        kills += killed_after(patience, recipe, tmp_path / "killed", is_resumed=attempt > 1)
        assert attempt < 12
    assert kills >= 3
    assert logged(tmp_path / "killed") == logged(tmp_path / "whole")
    assert everything_told(tmp_path / "killed") == everything_told(tmp_path / "whole")
    name = "adapter_model.safetensors" if case == "lora" else "model.safetensors"
    assert (last(tmp_path / "killed") / name).read_bytes() == (last(tmp_path / "whole") / name).read_bytes()


def killed_after(seconds: float, recipe: Recipe, path: Path, *, is_resumed: bool) -> bool:
    """Train in a forked process and kill it after so long; whether it was killed before it ended."""
    child = os.fork()
    if child == 0:
        try:
            torch.set_num_threads(1)
            # A child that dies before its first line has nothing to resume: then it starts again.
            fresh = not is_resumed or not (path / "metrics.jsonl").exists()
            with RunFolder.start(path) if fresh else RunFolder.resume(path) as folder:
                train(recipe, folder, is_resumed=not fresh)
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, "the child failed by itself"
            return False
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def with_kl(recipe: Recipe) -> Recipe:
    rl = recipe.stages[-1]
    from saccade.algo.named import grpo

    return replace(recipe, stages=(*recipe.stages[:-1], replace(rl, algorithm=grpo(beta=0.04))))


def with_lora() -> Recipe:
    from saccade.policy.spec import LoRA

    recipe = with_kl(micro())
    return replace(recipe, model=replace(recipe.model, lora=LoRA(rank=4)))


def test_a_reward_that_raises_names_itself_and_the_row(tmp_path):
    @reward
    def broken(rollout):
        raise ZeroDivisionError("no digits")

    recipe = micro()
    rl = replace(recipe.stages[1], rewards=weighted((broken, 1.0)))
    with pytest.raises(RewardError, match=r"reward 'broken' failed on row '.*no digits"):
        run(replace(recipe, stages=(rl,)), tmp_path / "run")


def test_a_nan_stops_the_run_and_saves_the_offending_rows(tmp_path):
    recipe = micro("stages.0.optimization.lr=1e30", "stages.0.optimization.warmup_steps=0")
    with pytest.raises(RunError, match="is not finite") as error:
        run(recipe, tmp_path / "run")
    saved = next((tmp_path / "run").glob("offenders-*.jsonl"))
    assert str(saved) in str(error.value)
    rows = [json.loads(line) for line in saved.read_text().splitlines()]
    assert rows and all((tmp_path / "run" / "pictures" / f"{sha}.png").exists() for row in rows for sha in row["pictures"])
    assert all(math.isfinite(v) for line in logged(tmp_path / "run") for v in line.values() if isinstance(v, float))


@pytest.mark.parametrize("stage", ["sft", "rl"])
def test_a_nan_that_only_sampling_meets_stops_the_run_too(tmp_path, stage):
    from saccade.core.rollout import Rollout

    @reward
    def length(rollout: Rollout):
        return float(len(rollout.text))

    # The last step of a stage destroys the weights; what comes next is sampling, for an evaluation or for stage rl.
    recipe = micro(f"stages.{['sft', 'rl'].index(stage)}.optimization.lr=1e30", "stages.0.steps=1", "stages.0.optimization.warmup_steps=0")
    recipe = replace(recipe, stages=(recipe.stages[0], replace(recipe.stages[1], rewards=weighted((length, 1.0)))))
    with pytest.raises(RunError, match="is not finite: the log-probs of .* answers as they were sampled"):
        run(recipe, tmp_path / "run")
    saved = next((tmp_path / "run").glob(f"offenders-{stage}-*.jsonl"))
    assert [json.loads(line)["sample"] for line in saved.read_text().splitlines()]


def test_too_many_unscored_rollouts_stop_the_run(tmp_path):
    from saccade.run.stage import TooManyUnscored

    @reward
    def silent(rollout):
        return None

    recipe = micro()
    rl = replace(recipe.stages[1], rewards=weighted((silent, 1.0)))
    with pytest.raises(TooManyUnscored, match="100% of the rollouts"):
        run(replace(recipe, stages=(rl,)), tmp_path / "run")


def test_pictures_that_change_under_way_stop_the_run(tmp_path):
    import shutil

    import PIL.Image

    from saccade.core.picture import Picture
    from saccade.core.sample import Message, Sample
    from saccade.policy.reader import PictureMismatch
    from saccade.policy.spec import ModelSpec, Sampling
    from saccade.policy.transformers_policy import TransformersPolicy

    path = tmp_path / "a.png"
    PIL.Image.new("RGB", (112, 112), "white").save(path)
    policy = TransformersPolicy.load(ModelSpec())

    def sample() -> Sample:
        return Sample(id="s", messages=(Message("user", (Picture.open(path), "How many?")),), target="1")

    groups = policy.sample([sample()], n=2, sampling=Sampling(max_tokens=4), seed=0)
    assert len(policy.packs(groups)) == 1
    other = tmp_path / "b.png"
    PIL.Image.new("RGB", (112, 112), "black").save(other)
    swapped = replace(groups[0], sample=replace(groups[0].sample, messages=(Message("user", (Picture.open(other), "How many?")),)))
    with pytest.raises(PictureMismatch, match="'s'"):
        policy.packs([swapped])
    shutil.rmtree(tmp_path)


def test_resume_refuses_what_is_no_run_and_start_refuses_what_is(tmp_path):
    with pytest.raises(RunError, match="no run"):
        RunFolder.resume(tmp_path / "nothing")
    run(override(micro(), ["stages.0.steps=1", "stages.1.steps=1"]), tmp_path / "run")
    with pytest.raises(RunError, match="holds a run already"):
        RunFolder.start(tmp_path / "run")


def test_adapters_begin_as_the_seed_says():
    from saccade.run.train import load_policy

    def first_weights(recipe: Recipe) -> dict[str, torch.Tensor]:
        return {name: p.detach() for name, p in load_policy(recipe).model.named_parameters() if "lora_A" in name}

    one, again, other = (first_weights(replace(with_lora(), seed=seed)) for seed in (0, 0, 1))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)


def test_an_update_of_which_nothing_is_kept_has_no_loss_and_stops_nothing(tmp_path):
    from saccade.algo.keep import keep_scored
    from saccade.algo.named import grpo

    @reward
    def only_some(rollout):
        return None if int(rollout.sample.id[-1]) % 2 else float(len(rollout.text))

    recipe = micro("stages.1.updates_per_rollout=3", "stages.1.max_unscored_share=1", task="counting")
    rl = replace(recipe.stages[1], rewards=weighted((only_some, 1.0)), algorithm=replace(grpo(beta=0.0), keep=keep_scored))
    run(replace(recipe, stages=(rl,)), tmp_path / "run")
    steps = [line for line in logged(tmp_path / "run") if "learn/packs" in line]
    assert len(steps) == 4
    assert all(("loss/mean" in line) == ("policy/grad_norm" in line) == (line["learn/packs"] > 0) for line in steps)
    assert any(line["learn/packs"] for line in steps)


def test_a_resumed_run_still_says_which_rows_are_bad(tmp_path):
    from saccade.core.sample import BadRow

    recipe = micro()
    task = replace(recipe.stages[0].task, bad_rows=(BadRow("odd-7", "has no picture"),))
    recipe = replace(recipe, stages=(replace(recipe.stages[0], task=task), *recipe.stages[1:]))
    run(recipe, tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()
    with RunFolder.resume(tmp_path / "run") as folder:
        summary = train(recipe, folder, is_resumed=True)
    assert any("odd-7: has no picture" in warning for warning in summary["warnings"])


def test_what_is_left_out_of_training_is_said_once_in_every_leg_and_is_no_warning(tmp_path, capsys):
    recipe = micro(task="counting")
    stages = tuple(replace(stage, task=replace(stage.task, left_out=("a", "b"))) for stage in recipe.stages)
    recipe = replace(recipe, stages=stages)
    n_left = len({sample.id for stage in stages for sample in stage.task})
    summary = run(recipe, tmp_path / "run")
    said = capsys.readouterr().err
    (tmp_path / "run" / "summary.json").unlink()
    with RunFolder.resume(tmp_path / "run") as folder:
        train(recipe, folder, is_resumed=True)
    why = "held-out or test sets show their pictures, or ask the same without any"
    for err in (said, capsys.readouterr().err):
        assert " ".join(err.split()).count(f"2 training samples are left out: {why}; {n_left} are left") == 1
    assert summary["left_out"] == 2 and not any("left out" in warning for warning in summary["warnings"])


def test_settings_that_json_cannot_hold_stop_no_run(tmp_path):
    from saccade.algo.corrections import Rejected
    from saccade.algo.named import grpo

    recipe = micro("stages.0.steps=1", "stages.1.steps=1", task="counting")
    rl = replace(recipe.stages[1], algorithm=replace(grpo(beta=0.0), correction=Rejected(high=0.1, over="mean")))
    summary = run(replace(recipe, stages=(recipe.stages[0], rl)), tmp_path / "run")
    assert summary["settings"]["stages.1.algorithm.correction.low"] == "-inf"
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == summary


def test_a_run_of_another_version_is_not_resumed(tmp_path, monkeypatch):
    recipe = micro("stages.0.steps=1", "stages.1.steps=1", task="counting")
    run(recipe, tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()
    from saccade.run.checkpoint import Checkpoint

    whole = Checkpoint.training_state
    monkeypatch.setattr(Checkpoint, "training_state", lambda self: {k: v for k, v in whole(self).items() if k != "memory"})
    before = logged(tmp_path / "run")
    with RunFolder.resume(tmp_path / "run") as folder, pytest.raises(RunError, match="begun by another version"):
        train(recipe, folder, is_resumed=True)
    assert logged(tmp_path / "run") == before


def test_a_run_whose_reference_is_gone_says_so(tmp_path, monkeypatch):
    from saccade.run import train as training

    class Enough(Exception):
        pass

    whole = training._Run._step
    monkeypatch.setattr(training._Run, "_step", lambda self, stage: (_ for _ in ()).throw(Enough) if self.progress.step == 3 else whole(self, stage))
    recipe = with_kl(micro("checkpoint_every=1", task="counting"))
    recipe = replace(recipe, stages=recipe.stages[1:])
    with pytest.raises(Enough):
        run(recipe, tmp_path / "run")
    monkeypatch.setattr(training._Run, "_step", whole)
    (gone,) = (tmp_path / "run" / "references").glob("*/*.safetensors")
    kept = gone.read_bytes()
    for damage in (gone.unlink, lambda: gone.write_bytes(kept[:100])):
        damage()
        with RunFolder.resume(tmp_path / "run") as folder, pytest.raises(RunError, match="cannot go on without the reference"):
            train(recipe, folder, is_resumed=True)
    gone.write_bytes(kept)
    with RunFolder.resume(tmp_path / "run") as folder:
        train(recipe, folder, is_resumed=True)


def test_what_is_wrong_with_a_run_is_said_logged_and_remembered(tmp_path, capsys):
    """Every answer is cut at ten tokens: the terminal, the line of that step and the summary say so, also after a resumption."""
    recipe = micro("stages.1.steps=8", "checkpoint_every=6", task="counting")
    summary = run(recipe, tmp_path / "run")
    (sentence,) = [line["health/truncated"] for line in logged(tmp_path / "run") if "health/truncated" in line]
    assert "were cut off by the token limit" in sentence
    assert sentence in summary["warnings"]
    assert "cut off by the token limit" in " ".join(capsys.readouterr().err.split())
    (tmp_path / "run" / "summary.json").unlink()
    import shutil

    shutil.rmtree(tmp_path / "run" / "checkpoints" / "rl-8")
    with RunFolder.resume(tmp_path / "run") as folder:
        again = train(recipe, folder, is_resumed=True)
    assert again["warnings"] == summary["warnings"]


def test_a_run_without_a_sound_checkpoint_is_not_silently_begun_anew(tmp_path):
    recipe = micro(task="counting")
    run(recipe, tmp_path / "run")
    for path in (tmp_path / "run" / "checkpoints").glob("*/training_state.pt"):
        path.write_bytes(b"torn")
    before = logged(tmp_path / "run")
    with RunFolder.resume(tmp_path / "run", say=lambda sentence: None) as folder, pytest.raises(RunError, match="no checkpoint .* is sound"):
        train(recipe, folder, is_resumed=True)
    assert logged(tmp_path / "run") == before and len(list((tmp_path / "run" / "checkpoints").iterdir())) >= 2


def test_a_run_is_not_resumed_on_other_data(tmp_path):
    recipe = micro("stages.0.steps=1", "stages.1.steps=1")
    run(recipe, tmp_path / "run")
    (tmp_path / "run" / "summary.json").unlink()
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    sft, rl = recipe.stages
    other = replace(rl.task, samples=(*rl.task.samples[1:], replace(rl.task.samples[0], target="999")))
    with RunFolder.resume(tmp_path / "run") as folder, pytest.raises(RunError, match="the data has changed"):
        train(replace(recipe, stages=(sft, replace(rl, task=other))), folder, is_resumed=True)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_an_algorithm_without_a_ratio_takes_one_update_per_sampling():
    from saccade.algo.named import rloo

    rl = micro("stages.1.updates_per_rollout=2").stages[1]
    with pytest.raises(ValueError, match="rloo has no ratio"):
        replace(rl, algorithm=rloo())
