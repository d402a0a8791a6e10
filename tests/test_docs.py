"""The documentation says what the code does: metric keys, recipes, examples."""

from __future__ import annotations

import doctest
import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

import saccade.algo.named as algorithms
from saccade import catalog, cli, commands
from saccade.algo.algorithm import Refill
from saccade.algo.corrections import TruncatedRatio
from saccade.algo.imitation import Imitation
from saccade.algo.named import ALGORITHMS, grpo
from saccade.algo.replay import SelectiveReplay
from saccade.algo.rethinking import Begun, ForcedRethinking
from saccade.core.marks import Line, Mark, Mask
from saccade.core.picture import Box, Frame, Point
from saccade.core.reward import reward, weighted
from saccade.core.rollout import Rollout, Score
from saccade.core.sample import Message
from saccade.recipes import reason_rft
from saccade.run.check import check
from saccade.run.folder import RunFolder
from saccade.run.train import train
from saccade.run.watches import WATCHES
from tests import test_learning, test_named
from tests.micro import micro
from tests.rollouts import rollout_of

ROOT = Path(__file__).parents[1]


def documented() -> list[str]:
    rows = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    assert len(rows) == len(set(rows)) > 30
    return rows


def pattern(key: str) -> re.Pattern[str]:
    """A documented key with its <placeholders> opened; an evaluation's further share is told from its fixed keys by order."""
    return re.compile(re.sub(r"<\w+>", r"[\\w.-]+", key.replace("<k>", r"\d+")))


@reward
def accuracy(rollout: Rollout) -> Score:
    """Right for about half of the answers, so that groups differ and something is learned."""
    return Score(float(sum(rollout.token_T) % 2 == 0), route="parity")


@reward
async def vouched(rollout: Rollout, ask) -> Score:
    """What the policy itself says of an answer; no part of what is learned from."""
    return Score(0.0, await ask((Message("user", (f"Is it {rollout.text}",)),), max_tokens=1))


class Doubted(ForcedRethinking):
    """Goes on with the first answer of each group, whatever it is worth, and keeps what comes."""

    def begun(self, groups, *, limit, write, pieces, random):
        def followed(rollout: Rollout) -> Rollout:
            n, forced = 2, write(" Wait, I see")
            return replace(
                rollout,
                token_T=rollout.token_T[:n] + forced,
                logp_T=rollout.logp_T[:n] + (0.0,) * len(forced),
                is_sampled_T=rollout.is_sampled_T[:n] + (False,) * len(forced),
            )

        return [Begun(group=g, sibling=0, rollout=followed(group.rollouts[0])) for g, group in enumerate(groups)]

    def accepted(self, groups, begun, after):
        return [replace(group, rollouts=(new, *group.rollouts[1:])) for group, new in zip(groups, after, strict=True)]


SHAPES = (
    Box(0, 0, 9, 9, Frame.MODEL),
    Point(0.5, 0.5, Frame.UNIT),
    Line((Point(0, 0, Frame.UNIT), Point(1, 1, Frame.UNIT))),
    Mask((1, 2), (1, 1)),
)


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> Path:
    """The folder of a run that does all that a run can do."""
    recipe = micro("stages.0.steps=1", "stages.1.steps=6")
    sft, rl = recipe.stages
    val, *others = recipe.evaluations
    val = replace(val, totals=(lambda rollouts: {"n": len(rollouts)},))
    everything = replace(
        grpo(beta=0.1), refill=Refill(rounds=1), replay=SelectiveReplay(), correct_own_sampler=True, correction=TruncatedRatio(),
        imitation=Imitation(chosen=lambda one: one.size > 0),
    )
    rl = replace(
        rl,
        algorithm=everything,
        rewards=weighted((accuracy, 1.0), (vouched, 0.0)),
        siblings=4,
        revise=Doubted(tokens=4, shortest=1),
        task=replace(rl.task, left_out=("count/9",)),
    )
    recipe = replace(
        recipe,
        stages=(sft, rl),
        evaluations=(replace(val, score=accuracy, shares=(vouched,), blanks=True, triggers=("I see",)), *others),
        choose=None,
        marks=lambda rollout: [Mark(shape=shape, label="it", verb="say") for shape in SHAPES],
        gold_marks=lambda sample: [Mark(shape=shape) for shape in SHAPES],
    )
    path = tmp_path_factory.mktemp("everything") / "run"
    request = commands._request(cli._parser().parse_args(["train", "reason_rft"]))
    with RunFolder.start(path) as folder:
        folder.write_command({**request, "trace": 1, "track": [], "track_as": "", "spec": asdict(recipe.model)})
        train(recipe, folder, module=reason_rft)
        folder.write_check(check(recipe, rows=2).as_dict())
    return path


def test_every_metric_is_documented_and_every_documented_metric_is_written(everything):
    written = {key for line in (everything / "metrics.jsonl").read_text().splitlines() for key in json.loads(line)}
    keys = documented()
    assert [key for key in sorted(written) if not any(pattern(k).fullmatch(key) for k in keys)] == []
    assert [key for key in keys if not any(pattern(key).fullmatch(w) for w in written)] == []


WHOLE = ("target",)  # whatever the data hold
FORMS = {  # sections of the page that several files refer to, and how their objects are told
    "A mark": lambda value: "picture" in value and {"box", "point", "line", "mask"} & value.keys(),
    "A measured set": lambda value: {"greedy", "sampled"} <= value.keys(),
}


def keys_in(value: object, section: str, path: str = "") -> Iterator[tuple[str, str]]:
    """(section of the page, key) of everything in a JSON value."""
    if isinstance(value, dict) and path.rpartition(".")[2] not in WHOLE:
        form = next((name for name, holds in FORMS.items() if section != name and holds(value)), None)
        if form is not None:
            yield section, path.removesuffix("[]")
        for key, item in value.items():
            yield from keys_in(item, form or section, f"{path}.{key}" if path and form is None else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield from keys_in(item, section, f"{path}[]")
    elif path:
        yield section, path


def test_every_key_of_a_run_folder_is_documented_and_every_documented_key_is_written(everything):
    page = (ROOT / "docs/run-folder.md").read_text()
    told = {}
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        rows = re.findall(r"^\| `([^`]+)` \|(.*)", section, re.MULTILINE)
        told[section.splitlines()[0].strip("`")] = [key for key, about in rows if "reserved" not in about]
        assert len(rows) == len(dict(rows))
    files = {path.name: path for path in everything.glob("*.json*") if path.name != "metrics.jsonl"}
    assert files.keys() == {name for name in told if ".json" in name}
    written: dict[str, set[str]] = {name: set() for name in told if told[name]}
    for name, path in files.items():
        for line in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
            for section, key in keys_in(json.loads(line), name):
                written[section].add(key)
    for name, keys in written.items():
        patterns = {key: re.compile(re.sub(r"<\w+>", ".+", re.escape(key))) for key in told[name]}
        keys -= {key for key in keys if any(one.startswith(f"{key}[]") for one in told[name])}  # a list that is empty
        assert [key for key in sorted(keys) if not any(p.fullmatch(key) for p in patterns.values())] == [], name
        assert [key for key, p in patterns.items() if not any(map(p.fullmatch, keys))] == [], name
    shown = {sha for name in ("samples", "evaluations", "rollouts") for row in getattr(RunFolder(everything), name)() for sha in row.get("pictures", ())}
    kept = {path.stem for folder in ("pictures", "previews") for path in (everything / folder).iterdir()}
    assert shown == kept


def test_every_algorithm_has_a_row_in_order():
    rows = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/algorithms.md").read_text(), re.MULTILINE)
    assert [name for name in rows if name in ALGORITHMS] == list(ALGORITHMS)


def shown(page: str, heading: str, number: int = 0) -> str:
    """A Python block of a page, counted from a heading."""
    text = (ROOT / page).read_text().partition(heading)[2]
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[number]


def test_the_example_of_a_new_algorithm_passes_the_common_tests():
    """Where it is to be written, with nothing but what is imported there."""
    space = dict(vars(algorithms))
    exec(shown("docs/algorithms.md", "## A new one"), space)
    new = space["grpo_open"]()
    for test in (
        test_named.test_a_step_moves_something_and_an_older_policy_changes_it,
        test_named.test_the_first_step_after_sampling_is_the_policy_gradient,
        test_named.test_the_order_of_groups_and_siblings_changes_nothing,
        test_named.test_equal_rewards_move_nothing,
        test_named.test_a_flat_group_gets_nothing_beside_one_that_is_not,
        test_named.test_an_unscored_rollout_leaves_the_others_alone,
        test_named.test_a_better_answer_becomes_likelier_and_a_worse_one_less_likely,
        test_named.test_a_flipped_advantage_is_noticed,
    ):
        test(new)
    test_named.test_splitting_into_micro_batches_changes_neither_loss_nor_gradient(new, 4)
    test_learning.learns(new)


def test_the_example_of_a_process_reward_credits_its_steps():
    space: dict = {}
    exec(shown("docs/algorithms.md", "**Process rewards.**"), space)
    term = space["every_line"]
    pieces = {0: "3 + 4", 1: " = 7", 2: "\n\n", 3: "so 8", 4: ""}
    rollout = rollout_of(None, tokens=5, text="3 + 4 = 7\n\nso 8")
    score = term(rollout, pieces=lambda token_T: [pieces[t] for t in token_T])
    assert term.name == "steps" and score.steps == ((2, 1.0), (4, 0.0)) and score.value == 0.5


def test_every_watch_has_its_row_as_it_is():
    text = (ROOT / "docs/algorithms.md").read_text()
    assert [f"| `{watch.name}` | {watch.about} |" for watch in WATCHES if f"| `{watch.name}` | {watch.about} |" not in text] == []


def test_every_recipe_has_a_page_and_its_first_line_in_the_list():
    for name, about in catalog.recipes().items():
        assert about
        assert (ROOT / "docs/recipes" / f"{name}.md").exists(), f"docs/recipes/{name}.md is missing"


@pytest.mark.parametrize("module", ["saccade.core.pack", "saccade.algo.weights", "saccade.algo.schedules", "saccade.run.critical"])
def test_worked_examples_run(module):
    found = doctest.testmod(importlib.import_module(module), extraglobs={"torch": torch})
    assert found.attempted and not found.failed


def test_links_between_pages_lead_somewhere():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_the_readmes_example_trains(tmp_path, monkeypatch):
    import PIL.Image

    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    small = {
        'ModelSpec(path="Qwen/Qwen2.5-VL-3B-Instruct", dtype="bfloat16", lora=LoRA())': "ModelSpec(lora=LoRA())",
        "steps=200, prompts=16, siblings=8": "steps=2, prompts=2, siblings=2",
        "max_tokens=512": "max_tokens=6",
    }
    for written, tried in small.items():
        assert code.count(written) == 1
        code = code.replace(written, tried)
    rows = []
    for i in range(4):
        PIL.Image.new("RGB", (112, 112), (60 * i, 90, 120)).save(tmp_path / f"{i}.png")
        rows.append({"id": str(i), "image": tmp_path / f"{i}.png", "question": "How many?", "answer": "1"})
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"rows": rows})
    steps = [json.loads(line) for line in (tmp_path / "runs/mine/metrics.jsonl").read_text().splitlines()]
    assert sum(line["run/stage"] == "rl" for line in steps) == 3  # two steps and the stage's end
    assert (tmp_path / "runs/mine/summary.json").exists()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_examples_of_the_rewards_page_run(number, capsys):
    """The judge of the last one is made, and not asked: nothing listens at its address."""
    exec(shown("docs/rewards.md", "# Reading and scoring", number), {})
    assert number or capsys.readouterr().out == "no answer block\n"
