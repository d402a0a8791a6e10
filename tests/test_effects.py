"""bench.effects: what an arm means, and figures of the table that were worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.effects import Arm, main
from bench.effects_table import Misuse, report
from tests.test_own_recipe import OWN


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("plain:", "plain", ()),
        ("variant=rft_zero", "variant=rft_zero", ("--with", "variant=rft_zero")),
        ("few:n=3,stages.0.lr=1e-5", "few", ("--with", "n=3", "--set", "stages.0.lr=1e-5")),
        ("big:model=Qwen/Qwen2.5-VL,algorithm=dapo,data=a/b", "big", ("--model", "Qwen/Qwen2.5-VL", "--algorithm", "dapo", "--data", "a/b")),
        ("tasks:only=a,b,more=1", "tasks", ("--with", "only=a,b", "--with", "more=1")),
        ("model=a/b,n=1", "model=a_b_n=1", ("--model", "a/b", "--with", "n=1")),
        ("all:pass_rate=", "all", ("--with", "pass_rate=")),
        ("url:data=http://x:1", "url", ("--data", "http://x:1")),
    ],
)
def test_an_arm_says_what_train_is_told(text, name, arguments):
    assert Arm.parse(text) == Arm(name, arguments)
    assert Arm.parse(text, common=("--seed", "3")).arguments == ("--seed", "3", *arguments)


@pytest.mark.parametrize("text", ["plain", "a:b", "a:=1", "a:data=", "a:n=1,,m=2,", "a/b:n=1", ":n=1", "", "../a:n=1", ".a:"])
def test_what_is_no_arm_is_refused(text):
    with pytest.raises(Misuse, match="--arm"):
        Arm.parse(text)


def measured(name: str, **figures: float) -> dict:
    return {"n": 10, "is_shifted": False, "selects": name == "val", "metrics": {f"eval/{name}/{key}": value for key, value in figures.items()}}


def stored(out: Path, arm: str, seed: int, *, greedy: float, mAP: float, val: float = 0.5, before: float = 0.1, last: float | None = None) -> Path:
    """A finished run: summary.json and metrics.jsonl as `saccade train` writes them."""
    path = out / f"{arm}-{seed}"
    path.mkdir(parents=True)
    sets = {"val": {"greedy": val}, "test": {"greedy": greedy, "tokens": 20 + seed, "total/mAP": mAP, "pass@2": 0.9}}
    after = {name: measured(name, **figures) for name, figures in sets.items()}
    began = {"val": measured("val", greedy=before), "test": measured("test", greedy=before, **{"total/mAP": 0.0})}
    ends = after | {"test": measured("test", greedy=greedy if last is None else last)}
    summary = {
        "seconds": 60.0 + 30 * seed,
        "steps": {"sft": 2, "rl": 20},
        "chosen": "rl-20",
        "evaluations": {name: {"before": began[name], "after": after[name], "n": 10, "is_shifted": False, "selects": name == "val"} for name in after},
        "after_stage": {"sft": began, "rl": ends},
        "warnings": ["hm"] if seed else [],
        "environment": {"git_revision": "f" * 40},
    }
    (path / "summary.json").write_text(json.dumps(summary))
    lines = [{"run/stage": "before", "run/step": 0, "rollout/tokens": 99}, {"run/stage": "sft", "run/step": 1, "loss/mean": 1.0}]
    lines += [{"run/stage": "rl", "run/step": step, "rollout/tokens": step + 10 * seed} for step in range(1, 21)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (path / "command.json").write_text("{}")
    return path


@pytest.fixture
def out(tmp_path) -> Path:
    """Two arms of three seeds. Of the greedy answers `a` has 50, 60 and 70 %, `b` 40, 61 and 30 %."""
    for seed, (a, b) in enumerate(((0.5, 0.4), (0.6, 0.61), (0.7, 0.3))):
        stored(tmp_path, "a", seed, greedy=a, mAP=0.25, last=0.9)
        stored(tmp_path, "b", seed, greedy=b, mAP=0.05)
    arms = {"a": ["--set", "x.y=1", "--with", "k=1"], "b": ["--set", "x.y=1", "--with", "k=2"]}
    (tmp_path / "arms.json").write_text(json.dumps({"recipe": "some", "arms": arms}))
    return tmp_path


def cells(lines: list[str], name: str) -> list[str]:
    """The cells of the one row that begins with this name."""
    (row,) = [line for line in lines if line.startswith(f"| {name} ")]
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


def test_the_table_holds_means_ranges_and_differences_paired_by_seed(out):
    lines = report(out)
    assert cells(lines, "set/figure") == ["before", "a", "b", "a less b"]
    assert cells(lines, "test/greedy") == ["10.0 [10.0, 10.0]", "60.0 [50.0, 70.0]", "43.7 [30.0, 61.0]", "+16.3 [-1.0, +40.0] +-+"]
    assert cells(lines, "test/total/mAP") == ["0.000 [0.000, 0.000]", "0.250 [0.250, 0.250]", "0.050 [0.050, 0.050]", "+0.200 [+0.200, +0.200] +++"]
    assert not [line for line in lines if "val/" in line or "tokens" in line or "pass@" in line]
    assert "- All arms: `--set x.y=1`" in lines
    assert "- b (`--with k=2`): seeds 0, 1, 2, 90 s each; chosen: rl-20, rl-20, rl-20; warnings: 2" in lines
    assert lines[-1] == "- 3 equal signs happen by chance once in 4 times."


def test_pairs_are_of_the_seeds_in_common(out):
    stored(out, "a", 7, greedy=1.0, mAP=0.25)
    lines = report(out)
    assert cells(lines, "test/greedy")[1] == "70.0 [50.0, 100.0]"
    assert cells(lines, "test/greedy")[3] == "+16.3 [-1.0, +40.0] +-+"
    assert any("have not all the same seeds" in line for line in lines)


def test_keys_choose_the_figures_and_their_units(out):
    lines = report(out, keys=["val/*", "*/tokens"])
    assert cells(lines, "val/greedy")[3] == "+0.0 [+0.0, +0.0] 000"
    assert cells(lines, "test/tokens")[:2] == ["-", "21.000 [20.000, 22.000]"]
    assert not [line for line in lines if line.startswith("| test/greedy")]
    with pytest.raises(Misuse, match="no figure is named so; there are, for example, test/greedy"):
        report(out, keys=["test/gredy"])


def test_the_end_of_a_stage_may_be_shown_in_place_of_the_chosen_checkpoint(out):
    assert cells(report(out, at="last"), "test/greedy")[1] == "90.0 [90.0, 90.0]"
    assert cells(report(out, at="sft"), "test/greedy")[1] == "10.0 [10.0, 10.0]"
    with pytest.raises(Misuse, match="no such stage; have: chosen, last, sft, rl"):
        report(out, at="rll")


def test_a_curve_is_the_mean_of_its_first_middle_and_last_tenth(out):
    """20 steps of 1 to 20, 11 to 30, 21 to 40: a tenth is two steps."""
    lines = report(out, curves=["rollout/tokens"])
    assert cells(lines, "a, rl") == ["11.5 [1.5, 21.5]", "20.5 [10.5, 30.5]", "29.5 [19.5, 39.5]"]
    with pytest.raises(Misuse, match="--curve rollout/token: no run logged it; the nearest are rollout/tokens"):
        report(out, curves=["rollout/token"])


def test_what_makes_the_table_less_than_it_seems_is_said(out):
    stored(out, "c", 0, greedy=0.5, mAP=0.1, before=0.2)
    known = json.loads((out / "arms.json").read_text())
    (out / "arms.json").write_text(json.dumps(known | {"arms": known["arms"] | {"c": ["--model", "other"], "d": []}}))
    (out / "d-0").mkdir()
    (out / "d-0/command.json").write_text("{}")
    summary = json.loads((out / "c-0/summary.json").read_text()) | {"environment": {"git_revision": "e" * 40}}
    (out / "c-0/summary.json").write_text(json.dumps(summary))
    lines = report(out)
    assert "- Before training the arms differ (model, data or sets); the column is that of a." in lines
    assert "- Not finished, and left out: d-0." in lines
    assert "- The runs are of 2 states of the code (eeeeeeeee, fffffffff)." in lines
    assert "a less c" in cells(lines, "set/figure") and "d" not in cells(lines, "set/figure")


def test_names_that_begin_alike_keep_their_runs_apart(tmp_path):
    stored(tmp_path, "a", 0, greedy=0.5, mAP=0.1)
    stored(tmp_path, "a-1", 0, greedy=0.9, mAP=0.1)
    (tmp_path / "arms.json").write_text(json.dumps({"recipe": "some", "arms": {"a": [], "a-1": []}}))
    assert cells(report(tmp_path), "test/greedy")[1:3] == ["50.0", "90.0"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name a recipe and at least one --arm, or a folder with --report"),
        (["some"], "name a recipe and at least one --arm"),
        (["some", "--arm", "a:", "--arm", "a:k=1"], "two arms are named a; begin each with a name of its own"),
        (["some", "--arm", "a:", "--seeds", "0"], "--seeds and --threads must be at least 1, got 0 and 1"),
        (["some", "--arm", "a:k=2", "--out", "OUT"], "was run with --set x.y=1 --with k=1; give this one another name"),
        (["other", "--arm", "e:", "--out", "OUT"], "holds runs of some; name another folder with --out"),
        (["--report", "OUT/a-0"], "arms.json is not in it"),
    ],
)
def test_misuse_is_one_sentence_and_2(arguments, says, out, capsys):
    assert main([part.replace("OUT", str(out)) for part in arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert says in said and len(said.splitlines()) == 1


def test_runs_are_trained_once_go_on_where_they_stopped_and_faults_are_told(tmp_path, capsys):
    """Real runs of a few seconds: finished ones are left alone, one without its summary is resumed."""
    (tmp_path / "mine.py").write_text(OWN)
    command = [str(tmp_path / "mine.py"), "--out", str(tmp_path / "out"), "--seeds", "1", "--set", "stages.0.steps=1", "--through", "env A=1"]
    assert main([*command, "--arm", "few:most=3", "--arm", "hot:stages.0.optimization.lr=1e-3"]) == 0
    heard = capsys.readouterr()
    assert "[2/2] hot-0: done" in heard.err
    assert cells(heard.out.splitlines(), "set/figure") == ["before", "few", "hot", "few less hot"]
    settings = json.loads((tmp_path / "out/hot-0/summary.json").read_text())["settings"]
    assert (settings["stages.0.steps"], settings["stages.0.optimization.lr"]) == (1, 1e-3)
    kept = (tmp_path / "out/few-0/summary.json").stat().st_mtime_ns
    (tmp_path / "out/hot-0/summary.json").unlink()
    assert main([*command, "--arm", "few:most=3", "--arm", "hot:stages.0.optimization.lr=1e-3"]) == 0
    assert "few-0" not in capsys.readouterr().err and (tmp_path / "out/few-0/summary.json").stat().st_mtime_ns == kept
    assert "resumed from rl-1" in (tmp_path / "out/hot-0.log").read_text()
    assert main([*command, "--arm", "odd:mots=3"]) == 2
    assert "odd-0: saccade: --with mots=3: " in capsys.readouterr().err


def test_a_run_that_fails_is_named_and_the_others_are_done(tmp_path, capsys):
    command = ["mine.py", "--out", str(tmp_path), "--arm", "a:", "--seeds", "2", "--through", "false"]
    assert main(command) == 1
    heard = capsys.readouterr()
    assert "[1/2] a-0: nothing was said; false " in heard.err and "[2/2] a-1: nothing was said" in heard.err
    assert f"effects: 2 of 2 runs failed: a-0, a-1; their logs are in {tmp_path}" in heard.err
    assert heard.out.strip() == f"No run in {tmp_path} is finished."
