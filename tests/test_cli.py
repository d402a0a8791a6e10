"""The command as a user meets it: every command once, and every mistake answered with one sentence and an exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from saccade.cli import main
from tests.micro import SMALL, rows

QUICK = [word for setting in SMALL for word in ("--set", setting)]


def run(*words: str, capsys) -> tuple[int, str, str]:
    try:
        status = main([*words])
    except SystemExit as stop:  # argparse
        status = stop.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "run"
    words = ["train", "reason_rft", "--data", str(rows()), "--with", "task=counting", "--out", str(path), "--threads", "1"]
    quick = [w for s in ("evaluations.0.attempts=1", "evaluations.1.attempts=1") for w in ("--set", s)]
    assert main([*words, *QUICK, *quick]) == 0
    return path


def test_train_says_before_and_after_and_where(finished, capsys):
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["recipe"] == "reason_rft" and summary["settings"]["stages.1.prompts"] == 3
    assert summary["environment"]["torch"] and summary["seconds"] > 0
    assert {"counting-id", "counting-ood-more"} <= set(summary["evaluations"])


def test_list_and_show(capsys):
    status, out, _ = run("list", capsys=capsys)
    assert status == 0 and "reason_rft" in out
    status, out, _ = run("show", "reason_rft", "--data", str(rows()), capsys=capsys)
    assert status == 0
    for words in ("sft_rows=1600", "P", "Departs", "stages.1.siblings", "accuracy", "counting-ood-more", "arXiv 2503.20752"):
        assert words in out


def test_another_algorithm_by_name(tmp_path, capsys):
    from saccade import catalog
    from saccade.algo.named import ALGORITHMS

    assert list(catalog.algorithms()) == list(ALGORITHMS) and all(catalog.algorithms().values())
    status, out, _ = run("list", capsys=capsys)
    assert status == 0 and "reinforce_pp_baseline" in out
    with_data = ["reason_rft", "--data", str(rows()), "--with", "task=counting"]
    status, out, _ = run("show", *with_data, "--algorithm", "dr_grpo", "--set", "stages.1.sampling.max_tokens=33", capsys=capsys)
    assert status == 0 and "dr_grpo, 32 prompts" in out
    for words, said in (
        (["--algorithm", "grop"], "no algorithm 'grop'; have: grpo"),
        (["--algorithm", "dapo", "--with", "variant=cot_sft"], "has no stage of reinforcement learning"),
        (["--algorithm", "rloo", "--set", "stages.1.updates_per_rollout=2"], "rloo has no ratio"),
    ):
        status, _, error = run("show", *with_data, *words, capsys=capsys)
        assert status in (1, 2) and said in error and error.count("\n") == 1
    path = tmp_path / "run"
    quick = [w for i in range(4) for key in ("attempts=1", "max_tokens=4") for w in ("--set", f"evaluations.{i}.{key}")]
    words = ["--algorithm", "cispo", "--out", str(path), "--threads", "1", *QUICK, *quick, "--set", "stages.1.steps=1"]
    assert run("train", *with_data, *words, capsys=capsys)[0] == 0
    assert json.loads((path / "summary.json").read_text())["settings"]["stages.1.algorithm.name"] == "cispo"
    assert run("eval", str(path), "--algorithm", "grpo", capsys=capsys)[0] == 2


def test_eval_of_a_run_repeats_its_summary(finished, capsys):
    status, out, _ = run("eval", str(finished), "--threads", "1", capsys=capsys)
    assert status == 0
    after = json.loads((finished / "summary.json").read_text())["evaluations"]["counting-id"]["after"]["greedy"]["mean"]
    line = next(line for line in out.splitlines() if line.startswith("counting-id"))
    assert f"greedy {100 * after:.1f} " in line


def test_a_run_is_checked_as_it_was_started_and_keeps_what_was_found(finished, tmp_path, capsys):
    from saccade.run.folder import RunFolder

    words = ["check", "reason_rft", "--data", str(rows()), "--with", "task=counting", "--json", str(tmp_path / "found.json")]
    assert run(*words, *QUICK, capsys=capsys)[0] == 0
    with RunFolder.resume(finished):  # as while it is trained into
        status, out, _ = run("check", str(finished), capsys=capsys)
    assert status == 0 and out.splitlines()[-1].startswith("reason_rft is sound")
    assert json.loads((finished / "check.json").read_text()) == json.loads((tmp_path / "found.json").read_text())
    status, _, err = run("check", str(finished), "--seed", "3", "--with", "task=all", capsys=capsys)
    assert status == 2 and "is a run and says them itself; leave out --with, --seed" in err
    status, _, err = run("check", str(tmp_path), capsys=capsys)
    assert status == 1 and "holds no run" in err and err.count("\n") == 1


def test_a_run_says_what_was_run_and_where_its_numbers_are_from(finished):
    said = json.loads((finished / "recipe.json").read_text())
    assert said["idea"].startswith("Reason-RFT") and said["model"]["path"] == "tiny"
    assert [(stage["name"], stage["kind"], stage["steps"]) for stage in said["stages"]] == [("sft", "SFT", 3), ("rl", "RL", 4)]
    rl = said["stages"][1]
    assert (rl["prompts"], rl["siblings"], rl["algorithm"]) == (3, 2, "grpo") and {"name": "format", "weight": 1.0} in rl["rewards"]
    assert said["settings"]["stages.1.prompts"] == 3
    assert {"owner": "PAPER", "code": "rl_siblings=8", "source": "C", "note": ""} in said["numbers"]
    assert {number["source"] for number in said["numbers"]} <= set("PCLIO") and "grpo" in {number["owner"] for number in said["numbers"]}
    assert [one["name"] for one in said["evaluations"] if one["selects"]] == ["val"]


def test_export_writes_what_plain_transformers_loads(finished, tmp_path, capsys):
    status, out, _ = run("export", str(finished), "--to", str(tmp_path / "model"), capsys=capsys)
    assert status == 0
    # A process that has never heard of saccade.
    script = (
        "import sys; from transformers import AutoModelForImageTextToText as M, AutoProcessor as P\n"
        f"m = M.from_pretrained({str(tmp_path / 'model')!r}); p = P.from_pretrained({str(tmp_path / 'model')!r})\n"
        "assert 'saccade' not in sys.modules and m.config._attn_implementation == 'sdpa', m.config._attn_implementation\n"
        "ids = p.tokenizer('What is the sum?', return_tensors='pt'); print(m(**ids).logits.shape)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    status, _, err = run("export", str(finished), "--to", str(tmp_path / "model"), capsys=capsys)
    assert status == 2 and "exists already" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("train",), "name a recipe"),
        (("train", "reason_rtf"), "have: reason_rft"),
        (("train", "reason_rft", "--with", "variant=zero"), "rft_zero"),
        (("train", "reason_rft", "--with", "colour=red"), "takes variant"),
        (("train", "reason_rft", "--set", "stages.0.optimization.learning_rate=1"), "stages.0.optimization.lr"),
        (("train", "reason_rft", "--set", "stages.0.steps=many"), "stages.0.steps"),
        (("train", "reason_rft", "--data", "/nowhere"), "/nowhere does not exist"),
        (("train", "reason_rft", "--model", "/nowhere"), "there is no model folder /nowhere"),
        (("train", "--resume", "/nowhere"), "holds no run"),
        (("train", "reason_rft", "--threads", "0"), "--threads"),
        (("train", "reason_rft", "--set", "stages.1.siblings=1"), "at least 2 siblings"),
        (("train", "reason_rft", "--set", "stages.1.sampling.top_p=0.9"), "whole distribution"),
        (("eval", "/nowhere"), "/nowhere is neither a run's folder nor a recipe"),
        (("eval", "reason_rft", "--checkpoint", "last"), "leave out --checkpoint"),
        (("eval", "reason_rft", "--threads", "-1"), "--threads must be at least 1"),
        (("train", "--resume", "runs/any", "--set", "stages.1.steps=9", "--seed", "3"), "leave out --set, --seed"),
        (("train", "reason_rft", "--data", __file__), "is a file, not a folder"),
        (("train", "reason_rft", "--out", f"{__file__}/run"), "cannot make the run's folder"),
        (("train", "reason_rft", "--set", "model.device=abacus"), "device 'abacus' cannot be used"),
        (("train", "reason_rft", "--set", "stages.0.batch=0"), "batch of stage 'sft' must be at least 1"),
        (("train", "reason_rft", "--set", "stages.1.steps=-1"), "steps of stage 'rl' must be at least 1"),
        (("train", "reason_rft", "--set", "stages.0.updates_per_rollout=0"), "there is no stages.0.updates_per_rollout"),
        (("train", "reason_rft", "--set", "stages.0.name=a/b"), "stage name may hold letters"),
        (("train", "reason_rft", "--set", "stages.0.optimization.lr=inf"), "finite lr"),
        (("train", "reason_rft", "--set", "stages.0.optimization.beta1=2"), "beta1"),
        (("train", "reason_rft", "--set", "evaluations.0.attempts=0"), "at least 1 attempt"),
        (("train", "reason_rft", "--set", "evaluations.0.max_tokens=0"), "max_tokens >= 1"),
        (("export", "/nowhere", "--to", "/tmp/never"), "holds no run"),
    ],
)
def test_mistakes_get_one_sentence(words, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(*words, *(["--data", str(rows())] if "reason_rft" in words and "--data" not in words else []), capsys=capsys)
    assert status in (1, 2)
    assert says in err
    assert "Traceback" not in err and len(err.strip().splitlines()) <= 3
    assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").iterdir()), "a run that never began left a folder"


def test_a_finished_run_is_not_run_again(finished, capsys):
    before = (finished / "metrics.jsonl").read_bytes()
    status, out, err = run("train", "--resume", str(finished), capsys=capsys)
    assert status == 0 and "is finished" in err and "counting-ood-more" in out
    assert (finished / "metrics.jsonl").read_bytes() == before
    status, _, err = run("eval", str(finished), "--model", "tiny", "--data", "x", capsys=capsys)
    assert status == 2 and "leave out --model, --data" in err


def test_data_without_test_sets_reports_its_validation_set(tmp_path, capsys):
    import shutil

    folder = tmp_path / "rows"
    shutil.copytree(rows(), folder)
    shutil.rmtree(folder / "test_jsons")
    words = ["train", "reason_rft", "--data", str(folder), "--with", "task=counting", "--out", str(tmp_path / "run"), "--threads", "1"]
    status, out, _ = run(*words, *QUICK, capsys=capsys)
    assert status == 0 and "val " in out


def test_a_model_folder_is_remembered_by_its_whole_path(tmp_path, monkeypatch):
    from saccade.cli import _parser
    from saccade.commands import _request

    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "tiny").mkdir()
    models = [_request(_parser().parse_args(["show", "reason_rft", *words]))["model"] for words in (
        ("--model", "./mine"), ("--model", "tiny"), ("--model", "Qwen/Qwen2-VL-2B-Instruct"), ())]  # fmt: skip
    assert models == [str(tmp_path / "mine"), "tiny", "Qwen/Qwen2-VL-2B-Instruct", "tiny"]


def test_stopped_by_hand_only_a_training_can_go_on(monkeypatch, capsys):
    import saccade.commands as commands

    def stopped(options):
        raise KeyboardInterrupt

    for words, can_resume in ((("train", "reason_rft"), True), (("list",), False)):
        monkeypatch.setitem(commands._COMMANDS, words[0], stopped)
        status, _, err = run(*words, capsys=capsys)
        assert status == 130 and "stopped" in err and ("--resume" in err) == can_resume


def test_a_torn_command_file_is_named(tmp_path, capsys):
    (tmp_path / "command.json").write_text("{torn")
    for words in (("train", "--resume", str(tmp_path)), ("eval", str(tmp_path)), ("export", str(tmp_path), "--to", str(tmp_path / "m"))):
        status, _, err = run(*words, capsys=capsys)
        assert status == 1 and "command.json is not JSON" in err
    for text, says in (("[1]", "must hold an object, got list"), ('{"recipe": "reason_rft"}', "lacks data, model")):
        (tmp_path / "command.json").write_text(text)
        status, _, err = run("eval", str(tmp_path), capsys=capsys)
        assert status == 1 and says in err


def test_a_misshapen_row_is_counted_and_named_and_the_others_train(tmp_path, capsys):
    import shutil

    folder = tmp_path / "rows"
    shutil.copytree(rows(), folder)
    path = next((folder / "train_jsons").glob("*Counting*"))
    good = json.loads(path.read_text())
    many = [{**row, "id": f"{row['id']}-{copy}"} for row in good for copy in range(6)]
    del many[7]["problem"]
    path.write_text(json.dumps(many))
    status, out, err = run("show", "reason_rft", "--data", str(folder), "--with", "task=counting", capsys=capsys)
    assert status == 0, err
    path.write_text(json.dumps(["not a row", *good]))
    status, _, err = run("show", "reason_rft", "--data", str(folder), "--with", "task=counting", capsys=capsys)
    assert status == 1 and "1 of 11 rows cannot be read" in err and "row 0" in err


def test_a_corrupt_picture_is_named_and_too_many_stop_the_run(tmp_path, capsys):
    import shutil

    folder = tmp_path / "rows"
    shutil.copytree(rows(), folder)
    broken = sorted((folder / "images/train_images").glob("clevr*.png"))[0]
    broken.write_bytes(broken.read_bytes()[:50])
    status, _, err = run("train", "reason_rft", "--data", str(folder), "--out", str(tmp_path / "run"), capsys=capsys)
    assert status == 1
    assert broken.name in err and "1 of 10 rows cannot be read" in err


def test_the_recipes_options_reach_the_model_and_the_rewards():
    from saccade import catalog

    def made(*options: str):
        return catalog.make("reason_rft", options=options, model="tiny", data=rows(), seed=0)

    assert made("lora=4").model.lora.rank == 4 and made().model.lora is None
    assert made("terms=both").stages[-1].rewards.names == ("accuracy", "format", "reasoning_steps", "length")
    credits = made("spatial=penalty").stages[-1].rewards.terms[0].reward.function.spatial.credits
    assert (credits.exact, credits.close, credits.func) == (1.0, -0.25, -0.5)
    assert [stage.name for stage in made("variant=cot_sft").stages] == ["sft"]
    assert [stage.name for stage in made("variant=rft_zero").stages] == ["rl"]
    answers = made("variant=ans_sft").stages[0].task.samples[0]
    assert answers.solution == f"<answer>{answers.target}</answer>"
    with pytest.raises(catalog.UnknownRecipe, match="whole number"):
        made("lora=many")


def test_export_needs_the_run_only_not_its_data(finished, tmp_path, capsys):
    import shutil

    from saccade.policy.spec import LoRA, ModelSpec

    shutil.copytree(finished, tmp_path / "moved")
    command = json.loads((tmp_path / "moved/command.json").read_text())
    (tmp_path / "moved/command.json").write_text(json.dumps({**command, "data": "/gone"}))
    status, out, err = run("export", str(tmp_path / "moved"), "--to", str(tmp_path / "model"), capsys=capsys)
    assert status == 0, err
    assert (tmp_path / "model/model.safetensors").exists()
    spec = ModelSpec(lora=LoRA(rank=4, parts=("vision", "language")), freeze=("connector",))
    from dataclasses import asdict

    assert ModelSpec.of(json.loads(json.dumps(asdict(spec)))) == spec
