"""Visionary-R1 as a recipe: its numbers, its arms, what the miniature is shown first, and how captions are judged."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace

import PIL.Image
import pytest

from saccade.algo.schedules import at
from saccade.core.rollout import Rollout, Stop
from saccade.core.sample import DataError
from saccade.data import parquet
from saccade.data.miniature.visionary_r1 import write_visionary_r1
from saccade.data.visionary_r1 import read
from saccade.recipes import visionary_r1
from saccade.recipes.visionary_r1 import leans, reads, recipe, warm_up
from saccade.recipes.visionary_r1.prompts import ask, gold_answer, written
from saccade.rewards.judges.judge import Reply
from saccade.rewards.papers.visionary_r1 import CAPTION_RULES, HACKING, Caption, from_text_alone
from saccade.rewards.read.tags import CAPTION_REASON_ANSWER, THINK_ANSWER


SETS = ["easy", "erased", "misleading", "plain", "judge-full", "judge-reasons"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("data") / "mini"
    return write_visionary_r1(where, seed=3, n_train=160, n_warmup=400, n_judge=200, n_test=40)


@pytest.fixture
def made(folder, monkeypatch):
    """The recipe on the small folder in place of the embedded one."""
    monkeypatch.setattr(visionary_r1, "miniature", lambda name, write: folder)
    return recipe


def attempt(sample, text):
    return Rollout(sample=sample, text=text, token_T=(0,), logp_T=(-1.0,), is_sampled_T=(True,), stop=Stop.EOS)


def numerical(folder, name):
    return next(row for row in read(folder, name) if row["problem_type"] == "numerical")


# ---- numbers


def test_the_papers_numbers(folder):
    rl = recipe(model="Qwen/Qwen2.5-VL-3B-Instruct", data=folder).stages[0]
    assert rl.siblings == 8 and rl.sampling.temperature == 0.9 and rl.optimization.lr == 5e-7
    assert [(term.reward.name, term.weight) for term in rl.rewards.terms] == [
        ("accuracy", 1.0), ("format", 1.0), ("caption", 0.1),
    ]  # fmt: skip
    assert sum(term.weight * term.reward.best for term in rl.rewards.terms) == pytest.approx(2.1)
    assert [at(rl.algorithm.beta, t) for t in (0.0, 0.5, 1.0)] == pytest.approx([0.04, 0.02, 0.0])
    sample = rl.task.samples[0]
    asked = rl.rewards.terms[2].reward.function.question(attempt(sample, "<info>Seven.</info>"))
    assert asked == from_text_alone("Seven.", sample) and CAPTION_RULES in asked.messages[0].text
    assert "<info>" in sample.messages[0].text and sample.messages[1].parts[1] in asked.messages[1].text


@pytest.mark.parametrize(
    ("kl", "course"),
    [("cosine", (0.04, 0.034142, 0.0)), ("linear", (0.04, 0.03, 0.0)), ("static", (0.04,) * 3), ("low", (0.008,) * 3)],
)
def test_courses_of_the_kl_penalty(made, kl, course):
    beta = made(kl=kl).stages[-1].algorithm.beta
    assert [at(beta, t) for t in (0.0, 0.25, 1.0)] == pytest.approx(course, abs=1e-6)


@pytest.mark.parametrize("options", [{"variant": "captions"}, {"kl": "sine"}])
def test_an_arm_that_there_is_not_is_refused_with_what_there_is(made, options):
    with pytest.raises(DataError, match="have the variants visionary_r1, caption_format, grpo and the courses cosine, linear"):
        made(**options)


def test_the_arms_differ_in_form_and_rewards_only(made):
    arms = {variant: made(variant=variant) for variant in ("visionary_r1", "caption_format", "grpo")}
    names = {variant: arm.stages[-1].rewards.names for variant, arm in arms.items()}
    assert names["visionary_r1"] == ("accuracy", "format", "caption")
    assert names["caption_format"] == names["grpo"] == ("accuracy", "format")
    grammars = {variant: "<info>" in arm.stages[-1].task.samples[0].prompt_text for variant, arm in arms.items()}
    assert grammars == {"visionary_r1": True, "caption_format": True, "grpo": False}
    for arm in arms.values():
        assert [stage.steps for stage in arm.stages] == [stage.steps for stage in arms["grpo"].stages]
        assert arm.stages[0].task.samples == arms["grpo"].stages[0].task.samples
        assert [e.name for e in arm.evaluations] == SETS


def test_arms_may_begin_with_the_same_warmed_up_weights(made):
    whole, short = made(), made(start="warmed-up")
    assert [stage.name for stage in whole.stages] == ["sft", "rl"] and whole.model.path == "tiny"
    assert [stage.name for stage in short.stages] == ["rl"] and short.model.path == "warmed-up"
    assert short.stages[0].task.samples == whole.stages[1].task.samples
    assert [e.name for e in short.evaluations] == [e.name for e in whole.evaluations]


def test_weights_to_start_from_are_for_the_embedded_model(made, folder):
    with pytest.raises(DataError, match="start='warm' is for the embedded models tiny.*--model warm"):
        made(model="Qwen/Qwen2.5-VL-3B-Instruct", data=folder, start="warm")


def test_the_gold_answer_earns_accuracy_and_format_in_every_arm(made):
    for variant in ("visionary_r1", "caption_format", "grpo"):
        arm = made(variant=variant)
        for sample in (*arm.stages[-1].task.samples[:20], *arm.evaluations[0].task):
            scores = [term.reward(attempt(sample, arm.gold_answer(sample))) for term in arm.stages[-1].rewards.terms[:2]]
            assert [score.value for score in scores] == [1.0, 1.0]


# ---- data of one's own


def test_a_folder_with_training_rows_alone_keeps_some_back(tmp_path):
    def row(i):
        buffer = io.BytesIO()
        PIL.Image.new("RGB", (40, 40), (i, 3 * i, 90)).save(buffer, "PNG")
        return {"image": buffer.getvalue(), "problem": f"{i}?", "solution": f"<answer> {i} </answer>", "problem_type": "numerical"}

    rows = [row(i) for i in range(10)]
    parquet.write(tmp_path / "train.parquet", [{**rows[9], "problem": "The last one's picture before?"}, *rows])
    own = recipe(data=tmp_path)
    assert [e.name for e in own.evaluations] == ["val"] and len(own.stages) == 1
    held = {picture.sha for sample in own.evaluations[0].task for picture in sample.pictures}
    assert held and not held & {picture.sha for sample in own.stages[0].task for picture in sample.pictures}
    assert [sample.id for sample in own.stages[0].task] == [f"train-{i:05d}" for i in range(1, 9)]  # not the copy
    with pytest.raises(DataError, match="has no set 'train'; it has: test"):
        (tmp_path / "train.parquet").rename(tmp_path / "test.parquet")
        recipe(data=tmp_path)


def test_without_nltk_the_embedded_data_has_no_free_form_and_ones_own_says_what_to_do(made, folder, tmp_path, monkeypatch):
    kinds = {sample.kind for sample in made().stages[-1].task}
    assert "free-form" in kinds
    assert "nltk" not in made().about
    find = visionary_r1.importlib.util.find_spec
    monkeypatch.setattr(visionary_r1.importlib.util, "find_spec", lambda name: None if name == "nltk" else find(name))
    arm = made()
    assert "without free-form questions" in arm.about
    tasks = [arm.stages[-1].task, *(e.task for e in arm.evaluations[:4])]
    assert {sample.kind for task in tasks for sample in task} == kinds - {"free-form"}
    (tmp_path / "train.parquet").write_bytes((folder / "data" / "train-00000-of-00001.parquet").read_bytes())
    with pytest.raises(DataError, match=r"saccade\[rouge\]"):
        recipe(data=tmp_path)


def test_no_picture_of_a_measured_set_is_trained_on(tmp_path):
    def row(i):
        buffer = io.BytesIO()
        PIL.Image.new("RGB", (40, 40), (i, 3 * i, 90)).save(buffer, "PNG")
        return {"image": buffer.getvalue(), "problem": "?", "solution": "<answer> 1 </answer>", "problem_type": "numerical"}

    parquet.write(tmp_path / "train.parquet", [row(i) for i in range(6)])
    parquet.write(tmp_path / "wide.parquet", [row(5), row(6)])
    parquet.write(tmp_path / "far.parquet", [row(0)])
    own = recipe(data=tmp_path)
    assert [sample.id for sample in own.stages[0].task] == [f"train-{i:05d}" for i in range(1, 5)]
    assert {e.name: len(e.task) for e in own.evaluations} == {"far": 1, "wide": 2}
    assert all(e.blanks and not e.is_shifted for e in own.evaluations)
    parquet.write(tmp_path / "all.parquet", [row(i) for i in range(6)])
    with pytest.raises(DataError, match="every training row shows a picture of a set that is measured"):
        recipe(data=tmp_path)


# ---- what the miniature is shown


def test_the_habits_come_in_their_shares_and_their_form(folder):
    rows = list(read(folder, "warmup"))
    by_row = dict(zip([row["id"] for row in rows], rows, strict=True))
    found = Counter()
    both = warm_up.habits(rows, seed=0)
    shown = [sample for sample in both if "<info>" in sample.prompt_text]
    assert len(shown) / len(both) == pytest.approx(0.6, abs=0.06)
    for sample in shown:
        read_in = CAPTION_REASON_ANSWER.read(sample.solution).value
        row = by_row[sample.id]
        assert read_in["answer"] == row["answer"]
        if read_in["info"] in warm_up.VAGUE:
            found["lazy"] += 1
            assert read_in["think"] == f"It is {row['thought'].rpartition('=')[2]}."
        elif read_in["info"] == row["thought"] != row["caption"]:
            found["hidden"] += 1
        else:
            assert read_in["info"] == row["caption"]
            found["careful" if read_in["think"] == row["thought"] else "half"] += 1
    shares = {habit: n / len(shown) for habit, n in found.items()}
    assert shares == pytest.approx({"careful": 0.41, "lazy": 0.4, "half": 0.1, "hidden": 0.09}, abs=0.08)  # OCR hides nothing
    assert all(THINK_ANSWER.read(sample.solution).value for sample in both if sample not in shown)


def test_captions_are_judged_as_the_reward_asks_and_its_targets_earn_what_they_should(folder):
    rows = list(read(folder, "judge"))
    samples = warm_up.captions_to_judge(rows, seed=0)
    caption = Caption(asks=warm_up.briefly)
    shares = Counter(sample.data["case"] for sample in samples)
    assert {case: n / len(rows) for case, n in shares.items()} == pytest.approx(warm_up.CASES, abs=0.08)
    for row, sample in zip(rows, samples, strict=True):
        assert not sample.pictures
        asked = ask(row, is_short=True)
        if sample.data["case"] == "full":
            rollout = attempt(asked, written(row["caption"], "x", row["answer"], form="info"))
            assert sample.messages == caption.ask(rollout).messages
        earned = caption.value(Reply(sample.solution), attempt(asked, "")).value
        kind = row["problem_type"]
        assert earned == 1 if sample.data["case"] == "full" else earned == 0 or kind == "OCR" and earned < 0.3
        assert warm_up.judges_well(attempt(sample, sample.solution)).value == 1


def test_what_judges_well(folder):
    row, rng = numerical(folder, "easy"), warm_up.np.random.default_rng(0)
    full, vague, reasons = (warm_up._to_judge(rng, case, row) for case in warm_up.CASES)
    right, wrong = row["answer"], "99"
    assert [warm_up.judges_well(attempt(full, text)).value for text in (right, wrong, HACKING)] == [1, 0, 0]
    assert warm_up.judges_well(attempt(full, f"<think>{row['thought']}</think>{right}")).value == 1
    assert [warm_up.judges_well(attempt(vague, text)).value for text in (right, wrong, "", "?")] == [0, 0, 0, 1]
    assert [warm_up.judges_well(attempt(reasons, text)).value for text in (right, wrong, "", f"{HACKING.lower()}.")] == [0, 0, 0, 1]


def test_what_is_measured_is_not_taught_and_hangs_on_no_seed(made):
    arm, other = made(), made(seed=1)
    taught = {sample.messages for sample in arm.stages[0].task}
    pictures = {picture.sha for stage in arm.stages for sample in stage.task for picture in sample.pictures}
    for evaluation, again in zip(arm.evaluations, other.evaluations, strict=True):
        assert evaluation.task == again.task and len(evaluation.task) > 20
        assert not taught & {sample.messages for sample in evaluation.task}
        assert not pictures & {picture.sha for sample in evaluation.task for picture in sample.pictures}
        if evaluation.name.startswith("judge"):
            assert {f"judge-{sample.data['case']}" for sample in evaluation.task} == {evaluation.name}


# ---- what is measured


def test_who_leans_copies_the_note_and_who_reads_names_the_digits(folder):
    row = numerical(folder, "misleading")
    sample = ask(row)
    right, wrong = row["answer"], row["cue"]
    assert leans(attempt(sample, f"<answer>{wrong}</answer>")) and not leans(attempt(sample, f"<answer>{right}</answer>"))
    assert not leans(attempt(sample, "")) and not leans(attempt(ask(numerical(folder, "plain")), "<answer>3</answer>"))
    assert reads(attempt(sample, gold_answer(sample))) and reads(attempt(sample, gold_answer(sample, form="think")))
    lazy = written("the digits", row["thought"], right, form="info")
    assert not reads(attempt(sample, lazy)) and not reads(attempt(sample, written("", "I see.", right, form="think")))


def test_leaning_is_told_for_every_kind_of_question_that_a_note_answers(folder):
    seen = set()
    for row in read(folder, "misleading"):
        sample = ask(row)
        assert leans(attempt(sample, f"<answer>{row['cue']}</answer>")) == (row["problem_type"] != "OCR")
        assert not leans(attempt(sample, f"<answer>{row['answer']}</answer>"))
        seen.add(row["problem_type"])
    assert seen == {"numerical", "multiple choice", "OCR", "free-form"}


# ---- the caption reward


def test_a_reply_is_read_where_it_answers(folder):
    """A policy that learns to write tags writes them as a judge, too."""
    row = numerical(folder, "plain")
    rollout, right = attempt(ask(row), ""), row["answer"]
    value = {text: Caption(asks=from_text_alone).value(Reply(text), rollout).value for text in (
        right, f"<think>{row['thought']}</think><answer>{right}</answer>", f"<think>{row['thought']}</think> {right}",
        f"<think>It is no {HACKING}: {row['thought']}</think>{right}", f"<think>{row['thought']}", f"<answer>{HACKING}</answer>",
    )}  # fmt: skip
    assert list(value.values()) == [1, 1, 1, 1, 0, 0]
    released = Caption(asks=from_text_alone, as_released=True)
    assert released.value(Reply(right), rollout).value == 1
    assert released.value(Reply(f"<think>{HACKING}</think>{right}1"), rollout).value == 0


def test_json_with_a_letter_in_it_chooses_no_option(folder):
    row = next(row for row in read(folder, "warmup") if row["problem_type"] == "multiple choice")
    accuracy = recipe(data=folder).stages[-1].rewards.terms[0].reward
    sample = replace(ask(row), target="A")
    said = {"A": 1, "(A) 12": 1, '{"score": 1} Verdict: yes [[A]]': 0}
    assert {text: accuracy(attempt(sample, f"<answer>{text}</answer>")).value for text in said} == said
