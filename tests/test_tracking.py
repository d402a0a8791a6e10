"""Other people's tools: TensorBoard for real; wandb and trackio as recorded, and held against the packages where they are installed."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import inspect
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import PIL.Image
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from saccade import cli
from saccade.core.picture import Picture
from saccade.core.rollout import Group
from saccade.core.sample import Message, Sample
from saccade.run.files import RunError
from saccade.run.folder import RunFolder
from saccade.run.trackers import TRACKERS, Tracked
from saccade.run.tracking import TrackerError, Tracking
from saccade.run.train import train
from tests.micro import micro, rows
from tests.rollouts import group_of, rollout_of, sample_of

SETTINGS = {"seed": 0, "stages.1.optimization.lr": 1e-5, "model.lora": None}


def tracked(path: Path, **given) -> Tracked:
    return Tracked(**{"path": path, "recipe": "reason_rft", "id": "run-3f9c2a1b", "settings": SETTINGS, **given})


class Heard:
    """A tool that writes down what it is told; it fails at the call with this number, counted from 1."""

    package = "heard"

    def __init__(self, fails_at: int = 0) -> None:
        self.calls: list[tuple] = []
        self.fails_at = fails_at

    def _note(self, *call) -> None:
        if len(self.calls) + 1 == self.fails_at:
            self.calls.append(("failed",))
            raise ConnectionError("the service\n  is gone")
        self.calls.append(call)

    def log(self, values, *, step: int, line: int) -> None:
        self._note("log", dict(values), step, line)

    def table(self, name, rows, *, step: int, line: int) -> None:
        self._note("table", name, [dict(row) for row in rows], step, line)

    def close(self, *, is_finished: bool) -> None:
        self._note("close", is_finished)


# ---- what the tools are told


def test_lines_come_at_the_runs_total_step_and_the_chosen_checkpoints_apart():
    tool = Heard()
    tracking = Tracking({"heard": tool})
    for line in (
        {"run/stage": "before", "run/step": 0, "eval/a/greedy": 0.25},
        {"run/stage": "rl", "run/step": 2, "run/total_steps": 22, "reward/mean": 0.5, "reward/other": None, "health/flat": "It is flat."},
        {"run/stage": "rl", "run/step": 22, "eval/a/greedy": 0.5},
        {"run/stage": "best (rl-1)", "run/step": 22, "eval/a/greedy": 0.75},
    ):
        assert tracking.log(line) == []
    assert tool.calls == [
        ("log", {"eval/a/greedy": 0.25}, 0, 0),
        ("log", {"reward/mean": 0.5, "health/flat": "It is flat."}, 22, 1),
        ("log", {"eval/a/greedy": 0.5}, 22, 2),
        ("log", {"best/eval/a/greedy": 0.75}, 22, 3),
    ]


def test_what_the_tools_know_from_before_a_resumption_is_not_told_again():
    tool = Heard()
    tracking = Tracking({"heard": tool})
    tracking.go_on(kept=3, known=5)
    for step in range(3, 7):
        tracking.show([group_of(1.0)], step=11)  # a step that shows
        tracking.log({"run/stage": "rl", "run/step": step, "run/total_steps": step, "reward/mean": step / 4})
    assert [(call[0], *call[2 if call[0] == "log" else 3 :]) for call in tool.calls] == [
        ("table", 11, 5), ("log", 5, 5), ("table", 11, 6), ("log", 6, 6),
    ]  # fmt: skip


def test_every_tenth_step_shows_two_groups_with_their_pictures_side_by_side():
    tool = Heard()
    tracking = Tracking({"heard": tool})
    pictures = tuple(Picture.of(PIL.Image.new("RGB", size, colour)) for size, colour in (((1280, 320), "red"), ((10, 20), "blue")))
    sample = Sample(id="s", messages=(Message("user", (*pictures, "How many?")),), target=7)
    group = group_of(rollout_of(1.0, text="<b>7</b>\n!", sample=sample), rollout_of(None, text="8", sample=sample), sample=sample)
    for step in range(1, 22):
        tracking.show([group, group_of(0.5, sample=sample_of("t")), group_of(0.0)], step=step)
    assert [call[3] for call in tool.calls] == [1, 11, 21]
    (_, name, (first, second), _, _) = tool.calls[0]
    strip = first.pop("pictures")
    assert strip.size == (650, 160) and strip.getpixel((639, 159)) == (255, 0, 0) and strip.getpixel((645, 19)) == (0, 0, 255)
    assert name == "rollouts"
    assert first == {"sample": "s", "prompt": sample.prompt_text, "target": "7", "answers": "1\n<b>7</b>\n!\n\nno reward\n8"}
    assert second["pictures"] is None and second["sample"] == "t" and second["answers"] == "0.5\n"


def test_the_end_is_a_table_of_evaluations():
    tool = Heard()
    found = {"n": 9, "before": {"greedy": {"mean": 0.25}}, "after": {"greedy": {"mean": 0.5, "low": 0.375, "high": 0.625}}}
    Tracking({"heard": tool}).finish({"steps": {"sft": 3, "rl": 4}, "evaluations": {"a": found}})
    row = {"set": "a", "samples": 9, "before": 0.25, "after, mean": 0.5, "after, low": 0.375, "after, high": 0.625}
    assert tool.calls == [("table", "evaluations", [row], 7, 0)]
    assert Tracking({"heard": tool}).finish({"steps": {"sft": 3}, "evaluations": {}}) == [] and len(tool.calls) == 1


def test_a_tool_that_fails_is_said_once_and_let_go_and_the_others_hear_on():
    broken, sound = Heard(fails_at=2), Heard()
    tracking = Tracking({"broken": broken, "sound": sound})
    line = {"run/stage": "rl", "run/step": 1, "run/total_steps": 1, "reward/mean": 0.5}
    assert [tracking.log(line) for _ in range(3)] == [
        [], ["broken is told nothing more of this run, as it failed: the service is gone"], [],
    ]  # fmt: skip
    tracking.close(is_finished=True)
    assert [call[0] for call in broken.calls] == ["log", "failed"]
    assert [call[0] for call in sound.calls] == ["log", "log", "log", "close"]


@pytest.mark.parametrize("fault", [None, RunError("the disk is full")])
def test_tools_hear_whether_the_run_came_to_its_end(fault):
    tool = Heard()
    try:
        with Tracking({"heard": tool}):
            if fault:
                raise fault
    except RunError:
        pass
    assert tool.calls == [("close", fault is None)]


def test_a_tool_that_fails_while_it_is_let_go_is_said(capsys):
    with Tracking({"heard": Heard(fails_at=1)}):
        pass
    assert "heard is told nothing more of this run, as it failed: the service is gone" in capsys.readouterr().err


# ---- asked for on the command line


def test_the_command_line_knows_every_tool():
    assert cli.TRACKERS == tuple(TRACKERS)


@pytest.mark.parametrize("name", list(TRACKERS))
def test_what_is_not_installed_is_one_sentence_before_anything_is_made(name, tmp_path, monkeypatch, capsys):
    whole = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda package, *rest: None if package == name else whole(package, *rest))
    assert cli.main(["train", "reason_rft", "--track", name, "--out", str(tmp_path / "run")]) == 1
    assert capsys.readouterr().err == f"saccade: --track {name} needs the package {name}; install it with `pip install {name}`, or leave it out\n"
    assert not (tmp_path / "run").exists()


def test_a_tool_that_does_not_begin_stops_what_begins_and_not_what_is_resumed(tmp_path, monkeypatch, capsys):
    from saccade.commands import _tracking

    class Mute(Heard):
        def __init__(self, run: Tracked) -> None:
            raise PermissionError("not logged in;\nuse `wandb login`")

    class Open(Heard):
        made: list[Heard] = []

        def __init__(self, run: Tracked) -> None:
            super().__init__()
            self.made.append(self)

    monkeypatch.setitem(TRACKERS, "tensorboard", Open)
    monkeypatch.setitem(TRACKERS, "wandb", Mute)
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: package)
    request = {"track": ["tensorboard", "wandb"], "track_as": "x"}
    recipe = SimpleNamespace(name="mine", settings=dict)
    sentence = "--track wandb could not begin: not logged in; use `wandb login`"
    with pytest.raises(TrackerError, match=sentence):
        _tracking(request, recipe, tmp_path, is_resumed=False)
    assert Open.made[0].calls == [("close", False)]
    tracking = _tracking(request, recipe, tmp_path, is_resumed=True)
    assert tracking.log({"run/stage": "rl", "run/step": 1}) == []
    assert Open.made[1].calls == [("log", {}, 1, 0)]  # the other one hears on
    assert capsys.readouterr().err == f"saccade: {sentence}; the run goes on without it\n"


def test_a_run_is_resumed_where_a_tool_of_its_beginning_is_no_longer_installed(tmp_path, monkeypatch, capsys):
    from saccade.run import train as training

    told: list[list[str]] = []

    def stopped(recipe, folder, *, tracking: Tracking, **rest):
        told.append(list(tracking._tools))
        folder.append_metrics({"run/stage": "before", "run/step": 0})
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", stopped)
    monkeypatch.setattr(training, "load_policy", lambda recipe: None)
    for name in ("wandb", "tensorboard"):
        monkeypatch.setitem(TRACKERS, name, type(name, (Heard,), {"package": name, "__init__": lambda self, run: Heard.__init__(self)}))
    path, absent = tmp_path / "run", set()
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None if package in absent else package)
    words = ["train", "reason_rft", "--data", str(rows()), "--out", str(path), "--track", "wandb", "--track", "tensorboard"]
    assert cli.main(words) == 130
    absent.add("wandb")
    capsys.readouterr()
    assert cli.main(["train", "--resume", str(path)]) == 130
    assert told == [["wandb", "tensorboard"], ["tensorboard"]]
    assert "saccade: --track wandb needs the package wandb;" in capsys.readouterr().err


def test_a_resumed_run_traces_and_tells_what_it_began_with_and_an_old_one_has_its_defaults(tmp_path, monkeypatch, capsys):
    from saccade.run import train as training

    heard: list[tuple] = []
    kept = Heard()

    class Kept(Heard):
        def __new__(cls, run: Tracked) -> Heard:
            heard.append((run.path, run.recipe, run.id, run.settings["seed"]))
            return kept

    def stopped(recipe, folder, *, trace: int, tracking: Tracking, is_resumed: bool, **rest):
        heard.append((trace, is_resumed, list(tracking._tools)))
        folder.append_metrics({"run/stage": "before", "run/step": 0})
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", stopped)
    monkeypatch.setattr(training, "load_policy", lambda recipe: None)
    monkeypatch.setitem(TRACKERS, "wandb", Kept)
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: package)
    path = tmp_path / "my run"
    assert cli.main(["train", "reason_rft", "--data", str(rows()), "--out", str(path), "--trace", "3", "--track", "wandb", "--seed", "5"]) == 130
    assert cli.main(["train", "--resume", str(path)]) == 130
    name = heard[0][2]
    assert re.fullmatch(r"my-run-[0-9a-f]{8}", name)
    begun = (path, "reason_rft", name, 5)
    assert heard == [begun, (3, False, ["wandb"]), begun, (3, True, ["wandb"])]
    assert kept.calls == [("close", False)] * 2
    for words in (["--trace", "1"], ["--track", "wandb"]):
        assert cli.main(["train", "--resume", str(path), *words]) == 2
        assert f"leave out {words[0]}" in capsys.readouterr().err
    command = json.loads((path / "command.json").read_text())
    (path / "command.json").write_text(json.dumps({key: value for key, value in command.items() if not key.startswith("trac")}))
    assert cli.main(["train", "--resume", str(path)]) == 130
    assert heard[4:] == [(1, True, [])]


def test_a_trace_of_less_than_nothing_is_refused(capsys):
    assert cli.main(["train", "reason_rft", "--trace", "-1"]) == 2
    assert capsys.readouterr().err == "saccade: --trace must be 0 or more, got -1\n"


# ---- TensorBoard, for real


def read(path: Path) -> EventAccumulator:
    found = EventAccumulator(str(path), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    return found.Reload()


def text(found: EventAccumulator, tag: str) -> list[tuple[int, str]]:
    return [(event.step, event.tensor_proto.string_val[0].decode()) for event in found.Tensors(f"{tag}/text_summary")]


def scalars(found: EventAccumulator) -> dict[tuple[str, int], float]:
    events = [((tag, event.step), event.value) for tag in found.Tags()["scalars"] for event in found.Scalars(tag)]
    assert len(events) == len(dict(events)), "a step was logged twice"
    return dict(events)


def test_tensorboard_has_every_number_of_a_run_once_also_when_it_was_stopped_and_resumed(tmp_path, monkeypatch):
    from saccade.run import train as training

    class Enough(Exception):
        pass

    recipe = micro("stages.1.steps=6", "checkpoint_every=3")
    recipe = replace(recipe, stages=recipe.stages[1:], evaluations=recipe.evaluations[:2])
    run = tracked(tmp_path / "run", settings=recipe.settings())
    step = training._Run._step

    def until_the_fifth(self, stage):
        if self.progress.step == 5:
            raise Enough
        return step(self, stage)

    monkeypatch.setattr(training._Run, "_step", until_the_fifth)
    with pytest.raises(Enough), RunFolder.start(run.path) as folder, Tracking.open(["tensorboard"], run) as tracking:
        train(recipe, folder, tracking=tracking)
    monkeypatch.setattr(training._Run, "_step", step)
    assert {number for _, number in scalars(read(run.path / "tensorboard"))} == set(range(6))
    with RunFolder.resume(run.path) as folder, Tracking.open(["tensorboard"], run) as tracking:
        tracking.finish(train(recipe, folder, is_resumed=True, tracking=tracking))
    found = read(run.path / "tensorboard")
    expected = {}
    for line in map(json.loads, (run.path / "metrics.jsonl").read_text().splitlines()):
        head = "best/" if line["run/stage"].startswith("best") else ""
        at = line.get("run/total_steps", line["run/step"])
        expected |= {(head + key, at): value for key, value in line.items() if not isinstance(value, str) and not key.startswith("run/")}
    seconds = ("time/", "speed/")  # of a step that was done twice the folder has the second and TensorBoard the first
    assert {key: value for key, value in scalars(found).items() if not key[0].startswith(seconds)} == pytest.approx(
        {key: value for key, value in expected.items() if not key[0].startswith(seconds)}, rel=1e-6
    )
    assert scalars(found).keys() == expected.keys()
    ((at, settings),) = text(found, "settings")
    assert at == 0 and "**stages.0.prompts**\n\n    3" in settings
    ((at, shown),) = text(found, "rollouts")
    rows = [json.loads(line) for line in (run.path / "rollouts.jsonl").read_text().splitlines()]
    assert at == 1 and f"**sample**\n\n    {rows[0]['sample']}" in shown
    assert len(found.Images("rollouts/pictures 0")) == len(found.Images("rollouts/pictures 1")) == 1
    ((at, table),) = text(found, "evaluations")
    assert at == 6 and table.count("**set**") == len(recipe.evaluations)


def test_a_sentence_is_text_and_text_of_a_model_is_no_markup(tmp_path):
    with Tracking.open(["tensorboard"], tracked(tmp_path)) as tracking:
        tracking.log({"run/stage": "rl", "run/step": 1, "run/total_steps": 1, "health/flat": "It is flat."})
        answer = rollout_of(1.0, text="# Title\n<script>alert(1)</script>\n\n[x](javascript:1)")
        tracking.show([group_of(answer)], step=1)
    found = read(tmp_path / "tensorboard")
    assert text(found, "health/flat") == [(1, "It is flat.")]
    ((_, shown),) = text(found, "rollouts")
    assert "**answers**\n\n    1\n    # Title\n    <script>alert(1)</script>\n    \n    [x](javascript:1)" in shown


def test_a_tool_that_fails_changes_no_run(tmp_path):
    """Both runs log the same; the summary says what failed."""
    recipe = micro("stages.1.steps=2")
    recipe = replace(recipe, stages=recipe.stages[1:], evaluations=recipe.evaluations[:1])
    found = {}
    for name, fails_at in (("sound", 0), ("broken", 3)):
        with RunFolder.start(tmp_path / name) as folder:
            found[name] = train(recipe, folder, tracking=Tracking({"heard": Heard(fails_at=fails_at)}))
    assert (tmp_path / "sound/rollouts.jsonl").read_bytes() == (tmp_path / "broken/rollouts.jsonl").read_bytes()
    said = "heard is told nothing more of this run, as it failed: the service is gone"
    assert said in found["broken"]["warnings"] and said not in found["sound"]["warnings"]


# ---- wandb and trackio, as recorded from wandb 0.31.0 and trackio 0.43.0

RECORDED = {
    "wandb.init": "entity= project= dir= id= name= notes= tags= config= config_exclude_keys= config_include_keys= allow_val_change= group= "
    "job_type= mode= force= reinit= resume= resume_from= fork_from= save_code= tensorboard= sync_tensorboard= monitor_gym= settings= anonymous=",
    "wandb.Run.log": "self data step= commit=",
    "wandb.Run.define_metric": "self name step_metric= step_sync= hidden= summary= overwrite=",
    "wandb.Run.finish": "self exit_code=",
    "wandb.Image": "data_or_path mode= caption= grouping= classes= boxes= masks= file_type=",
    "wandb.Table": "columns= data= rows= dataframe= dtype= optional= allow_mixed_types= log_mode=",
    "trackio.init": "project name= group= space_id= server_url= dataset_id= bucket_id= config= resume= settings= private= embed= auto_log_gpu= "
    "gpu_log_interval= auto_log_cpu= cpu_log_interval= webhook_url= webhook_min_level=",
    "trackio.finish": "",
    "trackio.Run.log": "self metrics step=",
    "trackio.Image": "value caption=",
    "trackio.Table": "columns= data= dataframe= rows= optional= allow_mixed_types= log_mode=",
}


def signature(path: str) -> inspect.Signature:
    """The recorded one."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter(word.rstrip("="), kind, default=None if word.endswith("=") else inspect.Parameter.empty)
        for word in RECORDED[path].split()
    ]
    return inspect.Signature(parameters)


class Package:
    """A stand-in for a package: it takes what the real one takes and writes down every call with its arguments by name."""

    def __init__(self, name: str) -> None:
        self.name, self.calls, self.used = name, [], set()
        self.module = ModuleType(name)
        self.module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        run = SimpleNamespace(**{path.rpartition(".")[2]: self._method(path) for path in RECORDED if path.startswith(f"{name}.Run.")})
        for path in RECORDED:
            owner, _, what = path.rpartition(".")
            if owner == name:
                setattr(self.module, what, self._function(path, run if what == "init" else None))
        self.module.Settings = lambda **given: given

    def _function(self, path: str, gives):
        def call(*given, **named):
            arguments = self._bound(path, *given, **named)
            if path.endswith((".Image", ".Table")):
                return (path.rpartition(".")[2], arguments)
            self.calls.append((path, arguments))
            return gives

        return call

    def _method(self, path: str):
        return lambda *given, **named: self.calls.append((path, self._bound(path, None, *given, **named)))

    def _bound(self, path: str, *given, **named) -> dict:
        arguments = signature(path).bind(*given, **named).arguments
        arguments.pop("self", None)
        self.used |= {(path, name) for name in arguments}
        return dict(arguments)


@pytest.fixture
def package(request, monkeypatch) -> Package:
    stand_in = Package(request.param)
    monkeypatch.setitem(sys.modules, request.param, stand_in.module)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return stand_in


def tell(name: str, path: Path) -> None:
    """A run of one step with a picture, a sentence and an end."""
    picture = Picture.of(PIL.Image.new("RGB", (4, 3)))
    sample = Sample(id="s", messages=(Message("user", (picture, "How many?")),), target="7")
    groups: list[Group] = [group_of(rollout_of(1.0, text="<b>7</b>", sample=sample), sample=sample)]
    with Tracking.open([name], tracked(path)) as tracking:
        tracking.go_on(kept=4, known=4)
        assert tracking.show(groups, step=1) == []
        line = {"run/stage": "rl", "run/step": 1, "run/total_steps": 1, "reward/mean": 0.5, "health/flat": "a < b"}
        assert tracking.log(line) == []


@pytest.mark.parametrize("package", ["wandb"], indirect=True)
def test_wandb_is_called_as_it_is_written(package, tmp_path):
    tell("wandb", tmp_path)
    (init, (_, step), (_, rest), (_, shown), (_, logged), (_, ended)) = package.calls
    assert init == (
        "wandb.init",
        {
            "project": "saccade", "group": "reason_rft", "name": tmp_path.name, "id": "run-3f9c2a1b", "resume": "allow", "dir": str(tmp_path),
            "config": {"seed": 0, "stages/1/optimization/lr": 1e-5, "model/lora": None}, "allow_val_change": True,
            "settings": {"console": "off"},
        },
    )  # fmt: skip
    assert step == {"name": "run/total_steps"} and rest == {"name": "*", "step_metric": "run/total_steps"}
    (kind, table) = shown["data"].pop("rollouts")
    assert kind == "Table" and table["columns"] == ["pictures", "sample", "prompt", "target", "answers"]
    ((picture, *cells),) = table["data"]
    assert picture[0] == "Image" and picture[1]["data_or_path"].size == (4, 3) and cells[0::3] == ["s", "1\n<b>7</b>"]
    assert shown == {"data": {"run/total_steps": 1}, "step": 4}
    assert logged == {"data": {"reward/mean": 0.5, "health/flat": "a < b", "run/total_steps": 1}, "step": 4}
    assert ended == {"exit_code": 0}


@pytest.mark.parametrize("package", ["trackio"], indirect=True)
def test_trackio_is_called_as_it_is_written(package, tmp_path):
    tell("trackio", tmp_path)
    (init, (_, shown), (_, logged), ended) = package.calls
    assert init == (
        "trackio.init",
        {"project": "saccade", "group": "reason_rft", "name": "run-3f9c2a1b", "resume": "allow", "config": SETTINGS, "embed": False},
    )
    (kind, table) = shown["metrics"].pop("rollouts")
    ((picture, *cells),) = table["data"]
    assert kind == "Table" and picture[0] == "Image" and picture[1]["value"].size == (4, 3)
    assert cells[3] == "1\n&lt;b&gt;7&lt;/b&gt;"  # its page takes text for HTML
    assert shown == {"metrics": {}, "step": 1}
    assert logged == {"metrics": {"reward/mean": 0.5, "health/flat": "a &lt; b"}, "step": 1}
    assert ended == ("trackio.finish", {})


@pytest.mark.parametrize("package", ["wandb", "trackio"], indirect=True)
def test_the_packages_themselves_take_what_we_call_them_with(package, tmp_path, monkeypatch):
    tell(package.name, tmp_path)
    used = package.used
    monkeypatch.delitem(sys.modules, package.name)
    real = pytest.importorskip(package.name)
    for path, argument in sorted(used):
        found = real
        for word in path.split(".")[1:]:
            found = getattr(found, word)
        assert argument in inspect.signature(found).parameters, f"{path} takes no {argument}"
    assert package.name != "wandb" or real.Settings(console="off").console == "off"
