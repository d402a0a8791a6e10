"""VL-Rethinker as a recipe: what each variant trains with, the paper's numbers, and what is said of second thoughts."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from saccade.algo.imitation import extended_and_better
from saccade.algo.replay import ReleasedReplay, RepeatedNonzero, SelectiveReplay
from saccade.core.experience import Experience
from saccade.core.rollout import Group, Rollout, Stop
from saccade.core.sample import DataError, left_out_of
from saccade.data.miniature.vl_rethinker import write_vl_rethinker
from saccade.data.parquet import rows, write
from saccade.policy.spec import ModelSpec
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.recipes.vl_rethinker import gold_answer, gold_answer_in_doubt, recipe
from saccade.recipes.vl_rethinker.prompts import EMBEDDED_ONES, PUBLISHED
from saccade.recipes.vl_rethinker.shares import mends, spoils, waits, waits_and_better
from saccade.run.probe import probe
from saccade.run.stage import RL, SFT
from tests.rollouts import SAMPLE

LARGE = "Qwen/Qwen2.5-VL-7B-Instruct"  # only its name is used: nothing is loaded


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_vl_rethinker(tmp_path_factory.mktemp("data") / "mini", seed=1, n_train=60, n_test=6, n_warm_up=24)


def scored(rewards, *texts: str):
    rollouts = tuple(
        Rollout(sample=SAMPLE, text=text, token_T=(1, 0), logp_T=(-1.0, -1.0), is_sampled_T=(True, True), stop=Stop.EOS) for text in texts
    )
    (group,) = rewards.score_now([Group(sample=SAMPLE, rollouts=rollouts)])
    return group


def right(text: str = "So") -> str:
    return rf"{text} \boxed{{{SAMPLE.target}}}"


def test_two_stages_after_a_warm_up_and_none_for_a_real_model(folder):
    small, large = recipe(data=folder), recipe(model=LARGE, data=folder)
    assert [stage.name for stage in small.stages] == ["warm-up", "reason", "rethink"]
    assert [stage.name for stage in large.stages] == ["reason", "rethink"]
    assert isinstance(small.stages[0], SFT) and all(isinstance(stage, RL) for stage in large.stages)
    for made, words in ((small, EMBEDDED_ONES), (large, PUBLISHED)):
        reason, rethink = made.stages[-2:]
        assert all(sample.prompt_text.endswith(words.reason.rpartition("}")[2]) for sample in reason.task)
        assert all(sample.prompt_text.endswith(words.rethink.rpartition("}")[2]) for sample in rethink.task)
        assert all(sample.prompt_text.endswith(words.rethink.rpartition("}")[2]) for evaluation in made.evaluations for sample in evaluation.task)
    other = recipe(model="runs/warm", data=folder, scale="miniature")
    assert [stage.name for stage in other.stages] == ["reason", "rethink"] and other.stages == small.stages[1:]
    (folder / "warm_up.parquet").rename(folder / "warm_up.away")
    try:
        assert [stage.name for stage in recipe(data=folder).stages] == ["reason", "rethink"]
    finally:
        (folder / "warm_up.away").rename(folder / "warm_up.parquet")


def test_the_variants_differ_in_replay_forcing_and_imitation_alone(folder):
    found = {}
    for variant in ("full", "no_forced", "filter", "grpo"):
        reason, rethink = recipe(data=folder, variant=variant).stages[1:]
        assert reason.revise is None and reason.algorithm.imitation is None
        assert (reason.steps, reason.prompts, reason.siblings) == (rethink.steps, rethink.prompts, rethink.siblings)
        assert reason.algorithm.replay == rethink.algorithm.replay
        found[variant] = (type(reason.algorithm.replay), rethink.revise is not None, rethink.algorithm.imitation is not None)
    assert found == {
        "full": (SelectiveReplay, True, True),
        "no_forced": (SelectiveReplay, False, False),
        "filter": (RepeatedNonzero, False, False),
        "grpo": (type(None), False, False),
    }
    with pytest.raises(DataError, match="have: full, no_forced, filter, grpo"):
        recipe(data=folder, variant="ssr")


def test_what_is_replayed_can_be_the_papers_ours_or_the_codes(folder):
    def replay(ssr):
        return recipe(model=LARGE, data=folder, ssr=ssr).stages[0].algorithm.replay

    assert replay("paper") == SelectiveReplay(alpha=1.0, clear_every=1, cap=None)
    assert replay("capped") == SelectiveReplay(alpha=1.0, clear_every=1, cap=2.0)
    assert replay("released") == ReleasedReplay()
    with pytest.raises(DataError, match="have: paper, capped, released"):
        replay("none")


def test_the_papers_algorithm(folder):
    stage = recipe(model=LARGE, data=folder).stages[1]
    algorithm = stage.algorithm
    group = scored(stage.rewards, right(), "no", "no", "no")
    assert algorithm.credit([group], None)[0] == pytest.approx([0.75, -0.25, -0.25, -0.25])  # less the mean, not divided by the std
    assert list(algorithm.weigh([1, 3])) == [0.25] * 4  # every token counts the same
    assert (algorithm.surrogate.low, algorithm.surrogate.high, algorithm.surrogate.dual) == (0.2, 0.35, None)
    assert not algorithm.needs_reference
    assert algorithm.imitation.weight == 0.05
    revise = stage.revise
    assert (revise.share, revise.skip_above, revise.cut, revise.tokens, revise.shortest, revise.most, revise.waits) == (
        0.65, 0.7, 0.5, 1024, 31, 2, 4,
    )  # fmt: skip


def test_the_papers_rate_rises_and_falls_to_half(folder):
    stage = recipe(model=LARGE, data=folder).stages[0]
    assert (stage.siblings, stage.sampling.max_tokens, stage.sampling.temperature) == (8, 2048, 1.0)
    optimization = stage.optimization
    assert (optimization.beta1, optimization.beta2, optimization.weight_decay, optimization.max_grad_norm) == (0.9, 0.95, 0.0, 1.0)
    assert optimization.lr_at(optimization.warmup_steps, total=100) == pytest.approx(1e-6)
    assert optimization.lr_at(100, total=100) == pytest.approx(0.5e-6)


def test_rewards_are_right_or_wrong_or_the_codes_scheme(folder):
    texts = (right(), right("Wait, no."), right("Wait, a. Wait, b. Wait, c."), "no box", r"\boxed{-1}")
    paper = scored(recipe(data=folder).stages[1].rewards, *texts)
    assert paper.rewards == (1.0, 1.0, 1.0, 0.0, 0.0)
    code = scored(recipe(model=LARGE, data=folder, reward="code").stages[1].rewards, *texts)
    assert code.rewards == pytest.approx((1.0, 1.1, 0.4, -0.1, 0.0))
    small = scored(recipe(data=folder, reward="code").stages[1].rewards, *texts)  # it answers in tags: no box is no fault
    assert small.rewards == pytest.approx((1.0, 1.1, 0.4, 0.0, 0.0))
    with pytest.raises(DataError, match="have: paper, code"):
        recipe(data=folder, reward="both")


def test_gold_answers_earn_the_most(folder):
    for reward, text in (("paper", gold_answer), ("code", gold_answer_in_doubt)):
        made = recipe(data=folder, reward=reward)
        assert made.gold_answer is text
        rewards = made.stages[1].rewards
        most = sum(term.weight * term.reward.best for term in rewards.terms)
        for sample in list(made.stages[1].task)[:8]:
            rollout = Rollout(sample=sample, text=text(sample), token_T=(1, 0), logp_T=(0.0,) * 2, is_sampled_T=(True,) * 2, stop=Stop.EOS)
            (group,) = rewards.score_now([Group(sample=sample, rollouts=(rollout,))])
            assert group.rewards == (pytest.approx(most),)


def test_an_answer_block_counts_where_there_is_no_box(folder):
    gold = SAMPLE.target
    texts = (f"<answer>{gold}</answer>", f"<answer>{gold}</answer> \\boxed{{-1}}", f"It is {gold}.", f"Answer: {gold}", "<answer>")
    assert scored(recipe(data=folder).stages[1].rewards, *texts).rewards == (1.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (r"\boxed{W}. Wait, it is \boxed{R}", (1, 1, 0)),
        (r"\boxed{R}. Wait, it is \boxed{W}", (1, 0, 1)),
        (r"\boxed{R}. Wait, it is \boxed{R}", (1, 0, 0)),
        (r"\boxed{W}. Wait, it is \boxed{W}", (1, 0, 0)),
        (r"\boxed{W}, no, \boxed{R}", (0, 0, 0)),
        (r"Wait, it is \boxed{R}", (1, 0, 0)),
        (r"\boxed{R}. Waiter!", (0, 0, 0)),
        (r"\boxed{W}. wait, \boxed{R}. Wait, \boxed{W}", (1, 0, 0)),
    ],
)
def test_second_thoughts_are_told_by_what_stood_before_the_first_wait(text, wanted):
    rollout = Rollout(
        sample=SAMPLE, text=text.replace("R", SAMPLE.target).replace("W}", "-1}"), token_T=(), logp_T=(), is_sampled_T=(), stop=Stop.EOS
    )  # fmt: skip
    assert tuple(int(share.function(rollout)) for share in (waits, mends, spoils)) == wanted


def assert_apart(made):
    trained = [sample for stage in made.stages for sample in stage.task]
    pictures = {picture.sha for sample in trained for picture in sample.pictures}
    words = {sample.data["question"] for sample in trained if not sample.pictures}
    assert len(words) > 8 and len(pictures) > 20
    for evaluation in made.evaluations:
        for sample in evaluation.task:
            assert not any(picture.sha in pictures for picture in sample.pictures)
            assert sample.pictures or sample.data["question"] not in words


def changed(folder: Path, to: Path, name: str, change) -> Path:
    """A copy of the folder in which `change` made other rows of one file."""
    shutil.copytree(folder, to)
    write(to / name, change(list(rows(to / name))))
    return to


def test_what_chooses_and_what_is_reported_is_never_trained_on(folder, tmp_path):
    assert_apart(recipe(data=folder))
    seen = list(rows(folder / "39Krelease.parquet"))[:10]
    words = next(row for row in seen if not row["image"])
    seen = [row for row in seen if row["image"]][:5] + [words]
    reported = [{**row, "qid": f"seen-{number}"} for number, row in enumerate(seen)]
    shared = changed(folder, tmp_path / "shared", "eval/words.parquet", lambda _: reported)
    for model in ("tiny", LARGE):  # the large one has another instruction in each stage
        small = recipe(model=model, data=shared)
        assert_apart(small)
        reason, rethink = small.stages[-2:]
        assert [one.id for one in reason.task] == [one.id for one in rethink.task]
        n_out = len(recipe(model=model, data=folder).stages[-1].task) - len(rethink.task)
        assert n_out == len(rethink.task.left_out) >= 6 and reason.task.left_out == rethink.task.left_out
    assert left_out_of(stage.task for stage in recipe(data=folder).stages) == ()


def test_a_bad_row_of_the_warm_up_is_a_bad_row(folder, tmp_path):
    def spoiled(found):
        return [{**row, "answer": "" if number == 7 else row["answer"]} for number, row in enumerate(found * 3)]

    def unique(found):
        return [{**row, "qid": f"{row['qid']}-{number}"} for number, row in enumerate(spoiled(found))]

    warm = recipe(data=changed(folder, tmp_path / "spoiled", "warm_up.parquet", unique)).stages[0]
    assert len(warm.task) == 3 * 24 - 1 and [bad.why for bad in warm.task.bad_rows] == ["warm_up.parquet row 7: the answer is empty"]


def test_benchmarks_have_names_that_no_folder_and_no_other_set_minds(folder, tmp_path):
    qids = ["MMMU Pro-7", "MMMU/Pro-1", "val-7", "Val-1", "-3", "MMMU Pro-8"]

    def named(found):
        return [{**row, "qid": qid} for row, qid in zip(found, qids, strict=True)]

    made = recipe(data=changed(folder, tmp_path / "named", "eval/figures.parquet", named))
    names = {evaluation.name: len(evaluation.task) for evaluation in made.evaluations}
    assert {"MMMU-Pro": 2, "MMMU-Pro-2": 1, "val-2": 1, "Val-3": 1, "eval": 1}.items() <= names.items() and "val" in names


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"variant": "grpo", "ssr": "capped"}, "replays nothing, so ssr=capped would do nothing"),
        ({"variant": "filter", "ssr": "released"}, "replays nothing"),
        ({"variant": "grpo", "ssr": "foo"}, "ssr is 'foo'; have: paper, capped, released"),
        ({"variant": "no_forced", "imitation": 0.1}, "imitates nothing"),
        ({"variant": "grpo", "imitate": "waits"}, "imitates nothing"),
        ({"imitation": 0, "imitate": "waits"}, "with imitation=0 nothing is imitated"),
        ({"imitate": "all"}, "have: forced, waits"),
        ({"scale": "large"}, "have: auto, paper, miniature"),
        ({"imitation": -1}, "imitation must be 0 .none. or a finite number above it, got -1"),
        ({"imitation": math.inf}, "got inf"),
        ({"imitation": math.nan}, "got nan"),
        ({"pass_rate": "32B"}, "no pass rates, so pass_rate=32B would do nothing"),
    ],
)
def test_options_that_do_nothing_or_are_none_are_refused(folder, options, why):
    with pytest.raises(DataError, match=why):
        recipe(data=folder, **options)


def test_what_is_imitated_is_what_was_forced_or_all_that_waits(folder):
    plain = Rollout(sample=SAMPLE, text="Wait, 3", token_T=(1, 0), logp_T=(-1.0, -1.0), is_sampled_T=(True, True), stop=Stop.EOS)
    forced = replace(plain, is_sampled_T=(False, True))
    silent = replace(plain, text="Waiter, 3")

    def chosen(imitate, rollout, advantage=0.5, **more):
        imitation = recipe(data=folder, imitate=imitate).stages[-1].algorithm.imitation
        return imitation.weights([Experience(rollout=rollout, advantage=advantage, **more)])[0] > 0

    assert recipe(data=folder).stages[-1].algorithm.imitation.chosen is extended_and_better
    assert recipe(data=folder, imitate="waits").stages[-1].algorithm.imitation.chosen is waits_and_better
    assert [chosen("forced", one) for one in (plain, forced, silent)] == [False, True, False]
    assert [chosen("waits", one) for one in (plain, forced, silent)] == [True, True, False]
    assert not chosen("waits", plain, advantage=-0.5) and not chosen("waits", plain, is_replayed=True)


def test_questions_of_text_alone_are_packed_with_pictured_ones(folder):
    policy = TransformersPolicy.load(ModelSpec(path="tiny"))
    samples = list(recipe(data=folder).stages[1].task)
    mixed = [s for s in samples if s.kind == "words"][:2] + [s for s in samples if s.kind != "words"][:2]
    found = probe(policy, mixed, seed=0)
    assert found["probe/separate_gap"] < 1e-4 and found["probe/sampler_gap"] < 1e-4
    assert found["probe/blank_shift"] > 1e-3


def test_a_single_row_is_too_few_and_says_so(tmp_path):
    write(tmp_path / "rows.parquet", [{"qid": "sums-0", "question": "What is 1 + 2?", "answer": "3"}])
    with pytest.raises(DataError, match=r"has 1 row\(s\) to train on, and none is left beside the 1 held out"):
        recipe(data=tmp_path)
