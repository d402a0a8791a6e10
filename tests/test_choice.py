"""Which checkpoint is chosen: tables by hand, what recipes refuse, and the same choice where the run was interrupted."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from saccade.run.choice import Highest, HighestCriticalEntropy, Record
from saccade.run.folder import RunFolder
from saccade.run.overrides import override
from saccade.run.train import train
from tests.micro import micro

SCORE = Highest("eval/val/sampled")


def figures(score: float, entropy: float = 1.0, n: int = 500, length: float = 100.0) -> dict[str, float]:
    names = {"sampled": score, "critical_entropy": entropy, "critical_tokens": n, "tokens": length}
    return {f"eval/val/{name}": value for name, value in names.items()}


def held(choice, rows: list[dict[str, float]]) -> list[str]:
    """The checkpoint held after each of these was measured, and at last the doubt."""
    record, best, story = Record(before=figures(0.1, length=100.0)), "", []
    for number, row in enumerate(rows):
        record = replace(record, checkpoints={**record.checkpoints, f"c{number}": row})
        if choice.takes(f"c{number}", best, record):
            best = f"c{number}"
        story.append(best)
    return [*story, choice.doubt(best, record)]


def test_the_highest_score_the_earliest_of_equals():
    rows = [figures(0.2), figures(0.5), figures(0.5), {}, figures(0.4), figures(0.6)]
    assert held(SCORE, rows) == ["c0", "c1", "c1", "c1", "c1", "c5", ""]
    assert held(SCORE, [{}, figures(0.0)]) == ["", "c1", ""]
    assert held(SCORE, [{}]) == ["", "no checkpoint has eval/val/sampled, so the last one is taken"]


BY_ENTROPY = HighestCriticalEntropy("val", tolerance=0.1)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # Among scores within 0.1 of the best the higher entropy; exactly 0.1 is within.
        ([figures(0.5, 1.0), figures(0.45, 2.0), figures(0.4, 3.0)], ["c0", "c1", "c2"]),
        ([figures(0.5, 1.0), figures(0.39, 3.0)], ["c0", "c0"]),
        ([figures(0.5, 2.0), figures(0.55, 1.0)], ["c0", "c0"]),
        # Equal entropies: the higher score; all equal: the earlier.
        ([figures(0.5, 2.0), figures(0.55, 2.0), figures(0.55, 2.0)], ["c0", "c1", "c1"]),
        # An early one of low score, where entropy is high, is put out of the running by a better score.
        ([figures(0.1, 5.0), figures(0.6, 1.0), figures(0.62, 0.5)], ["c0", "c1", "c1"]),
        # So is one by degrees: c1 was passed over when c0 was held, and does not come back although 0.55 is still within.
        ([figures(0.5, 2.0), figures(0.55, 1.5), figures(0.61, 1.0)], ["c0", "c0", "c2"]),
        # Too few turns or short answers do not count, whatever their entropy; on the edge they do.
        ([figures(0.5, 1.0), figures(0.5, 9.0, n=199), figures(0.5, 2.0, n=200)], ["c0", "c0", "c2"]),
        ([figures(0.5, 1.0), figures(0.5, 9.0, length=49), figures(0.5, 2.0, length=50)], ["c0", "c0", "c2"]),
        # One in the running is taken even where one that is not scores a little higher.
        ([figures(0.5, n=0), figures(0.45, 1.0)], ["c0", "c1"]),
    ],
)
def test_the_highest_critical_entropy_of_those_that_score_well(rows, expected):
    assert held(BY_ENTROPY, rows) == [*expected, ""]


@pytest.mark.parametrize(
    ("rows", "expected", "why"),
    [
        (
            [figures(0.3, n=10), figures(0.5, n=10), figures(0.4, 9.0, n=20)],
            ["c0", "c1", "c1"],
            "it has 10 critical tokens, fewer than 200",
        ),
        ([figures(0.3, n=3), {"eval/val/sampled": 0.2}], ["c0", "c0"], "it has 3 critical tokens"),
        (
            [figures(0.5, 1.0), figures(0.7, 1.0, length=20)],
            ["c0", "c1"],
            "its answers have 20.0 tokens on average, before training it was 100.0",
        ),
        ([figures(0.7, n=3), figures(0.4, 3.0)], ["c0", "c0"], "it has 3 critical tokens"),
    ],
)
def test_the_highest_score_where_none_is_in_the_running(rows, expected, why):
    *story, doubt = held(BY_ENTROPY, rows)
    assert story == expected
    assert doubt.startswith(f"checkpoint {expected[-1]} is chosen by its score on 'val', not by critical entropy: {why}")


# ---- recipes


def with_triggers(recipe, *, selects: bool = True):
    val, *others = recipe.evaluations
    val = replace(val, triggers=("I see",), blanks=True, selects=selects)
    return replace(recipe, choose=None, evaluations=(val, *others))


def test_a_recipe_refuses_to_choose_by_what_is_not_measured():
    recipe = micro()
    shares = "eval/val/greedy, eval/val/sampled, eval/val/format, eval/val/reasons, eval/val/picture_gain$"
    with pytest.raises(ValueError, match=rf"chosen by 'eval/val/sample'; have: {shares}"):
        replace(recipe, choose=Highest("eval/val/sample"))
    with pytest.raises(ValueError, match="'eval/counting-id/sampled'; have: eval/val/greedy"):
        replace(recipe, choose=Highest("eval/counting-id/sampled"))
    with pytest.raises(ValueError, match=r"have: none \(no evaluation selects\)"):
        replace(recipe, evaluations=recipe.evaluations[1:])
    with pytest.raises(ValueError, match="critical entropy of evaluation 'val'; have with selects and triggers: none"):
        replace(recipe, choose=HighestCriticalEntropy("val"))
    with pytest.raises(ValueError, match="have with selects and triggers: none"):
        replace(with_triggers(recipe, selects=False), choose=HighestCriticalEntropy("val"))
    with pytest.raises(ValueError, match="evaluation 'vall'; have with selects and triggers: val"):
        replace(with_triggers(recipe), choose=HighestCriticalEntropy("vall"))
    replace(with_triggers(recipe), choose=HighestCriticalEntropy("val"))
    replace(with_triggers(recipe), choose=Highest("eval/val/picture_gain"))


@pytest.mark.parametrize("setting", ["tolerance=-0.1", "min_tokens=0", "min_length=-1"])
def test_numbers_that_cannot_be_are_refused(setting):
    name, _, value = setting.partition("=")
    with pytest.raises(ValueError, match="needs tolerance >= 0, min_tokens >= 1 and min_length >= 0"):
        HighestCriticalEntropy("val", **{name: float(value)})


def test_the_command_line_changes_a_choice():
    assert micro("choose.metric=eval/val/greedy").choose == Highest("eval/val/greedy")
    assert micro().settings()["choose.metric"] == "eval/val/sampled"


# ---- runs


class Interrupted(Exception):
    pass


def run(recipe, path: Path) -> dict:
    with RunFolder.start(path) as folder:
        return train(recipe, folder)


def run_in_two(recipe, path: Path, monkeypatch, *, stop: str) -> dict:
    """Begin, stop where checkpoint `stop` was written, and resume."""
    write = RunFolder.save_checkpoint

    def writes_and_stops(self, name, *arguments, **options):
        write(self, name, *arguments, **options)
        if name == stop:
            raise Interrupted

    with monkeypatch.context() as patch, RunFolder.start(path) as folder, pytest.raises(Interrupted):
        patch.setattr(RunFolder, "save_checkpoint", writes_and_stops)
        train(recipe, folder)
    with RunFolder.resume(path) as folder:
        return train(recipe, folder, is_resumed=True)


def selecting(path: Path) -> dict[str, dict[str, float]]:
    """What metrics.jsonl says the selecting set found, by checkpoint."""
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    stages = [line for line in lines if "eval/val/sampled" in line and line["run/stage"] in ("sft", "rl")]
    ends = {3: "sft-3", 7: "rl-4"}  # lines where a stage ends count steps over all stages
    places = [(line["run/stage"], line["run/step"], "run/total_steps" in line) for line in stages]
    names = [f"{stage}-{step}" if is_within else ends[step] for stage, step, is_within in places]
    found = [{key: v for key, v in line.items() if key.startswith("eval/val/")} for line in stages]
    return dict(zip(names, found, strict=True))


@dataclass(frozen=True)
class Third:
    """Holds the third checkpoint, by what the record says; and tells at the end all that it was shown."""

    def require(self, evaluations):
        pass

    def takes(self, new, held, record):
        return len(record.checkpoints) == 3

    def doubt(self, chosen, record):
        return json.dumps([dict(record.before), dict(record.checkpoints)])


@pytest.mark.parametrize("stop", ["sft-3", "rl-2"])
def test_a_resumed_run_chooses_by_all_that_was_measured_before(tmp_path, monkeypatch, stop):
    recipe = replace(micro(task="counting"), choose=Third())
    summary = run_in_two(recipe, tmp_path / "run", monkeypatch, stop=stop)
    assert summary["chosen"] == "rl-2"
    assert {path.name for path in (tmp_path / "run/checkpoints").iterdir()} == {"rl-2", "rl-4"}
    before, checkpoints = json.loads(summary["warnings"][-1])
    assert list(checkpoints) == ["sft-2", "sft-3", "rl-2", "rl-4"]
    assert checkpoints == selecting(tmp_path / "run")
    assert before["eval/val/tokens"] == summary["evaluations"]["val"]["before"]["metrics"]["eval/val/tokens"]


def test_a_run_chooses_by_critical_entropy_and_says_so_where_it_cannot(tmp_path, monkeypatch):
    longer = ("evaluations.0.max_tokens=24", "stages.1.sampling.max_tokens=24", "stages.1.siblings=4")
    recipe = with_triggers(micro("evaluations.0.attempts=4", *longer, task="counting"))
    able = replace(recipe, choose=HighestCriticalEntropy("val", tolerance=1.0, min_tokens=1, min_length=0.0))
    whole = run(able, tmp_path / "whole")
    found = selecting(tmp_path / "whole")
    entropy = {name: values["eval/val/critical_entropy"] for name, values in found.items()}
    assert len(set(entropy.values())) == 4
    assert whole["chosen"] == max(entropy, key=entropy.get) and whole["warnings"] == []
    assert run_in_two(able, tmp_path / "two", monkeypatch, stop="sft-3")["chosen"] == whole["chosen"]
    short = override(recipe, ["stages.0.steps=1", "stages.1.steps=1"])
    unable = run(replace(short, choose=HighestCriticalEntropy("val")), tmp_path / "unable")
    scores = {f"{stage}-1": after["val"]["sampled"]["mean"] for stage, after in unable["after_stage"].items()}
    assert unable["chosen"] == max(scores, key=scores.get)
    assert f"{unable['chosen']} is chosen by its score on 'val', not by critical entropy" in unable["warnings"][-1]
