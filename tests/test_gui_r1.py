"""GUI-R1 as a recipe: its questions, gold answers, numbers, arms and figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from saccade.algo.penalties import Bounded
from saccade.core.marks import all_drawn
from saccade.core.rollout import Rollout, Stop
from saccade.core.sample import DataError, Sample
from saccade.data import parquet
from saccade.data.miniature.gui_r1 import write_gui_r1
from saccade.recipes.gui_r1 import MINIATURE, PAPER, figures, figures_as_released, recipe
from saccade.recipes.gui_r1.prompts import answer, question
from saccade.recipes.gui_r1.samples import bare, worked
from saccade.rewards.papers.gui_r1 import accuracy, format, success, type_match
from saccade.rewards.papers.gui_r1.action import ACTIONS
from saccade.run.stage import RL, SFT

MINIWOB = Path(__file__).parents[2] / "shared/data/gui_miniwob"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_gui_r1(tmp_path_factory.mktemp("data") / "mini", seed=0, n_train=120, n_watch=10, n_test=40)


def seen(sample: Sample, size: tuple[int, int] = (112, 112)) -> Sample:
    return sample.showing(tuple(picture.seen_at(size) for picture in sample.pictures))


def said(sample: Sample, text: str, size: tuple[int, int] = (112, 112)) -> Rollout:
    shown = seen(sample, size)
    token_T = tuple(range(3))
    return Rollout(
        sample=shown, text=text, token_T=token_T, logp_T=(0.0,) * 3, is_sampled_T=(True,) * 3, stop=Stop.EOS, pictures=shown.pictures
    )


def test_the_two_questions_word_for_word():
    assert question("Go back.", "None", ACTIONS["train"]) == (
        "Command: Go back. Done: None. Actions: complete, close/delete, press_home, click, press_back, type, select, scroll, enter. "
        "Which comes next? Think in <think> tags, then answer in <answer> tags: [{'action': 'name', 'point': [x, y], 'input_text': "
        "'no input text'}]. The point is in pixels, [-100, -100] where none is needed. type and select need a text, scroll needs up, "
        "down, left or right."
    )
    low = question("Click it.", "click", ("click",))
    assert low.startswith("Command: Click it. Action: click. Where? Think in") and "Done" not in low


@pytest.mark.parametrize(
    ("action", "point", "text", "written"),
    [
        ("click", (12, 30), None, "[{'action': 'click', 'point': [12, 30], 'input_text': 'no input text'}]"),
        ("type", None, "it's", "[{'action': 'type', 'point': [-100, -100], 'input_text': \"it's\"}]"),
        ("scroll", None, "down", "[{'action': 'scroll', 'point': [-100, -100], 'input_text': 'down'}]"),
        ("click", (0, 0), None, "[{'action': 'click', 'point': [0, 0], 'input_text': 'no input text'}]"),
    ],
)
def test_an_answer_is_a_python_literal_in_its_tags(action, point, text, written):
    assert answer(action, point, text) == f"<answer>{written}</answer>"


@pytest.mark.parametrize("size", [(112, 112), (224, 84)])
def test_every_gold_answer_earns_full_marks_at_any_size_and_without_thought_all_but_the_form(data, size):
    samples = list(recipe(model="tiny", data=data).stages[0].task)
    for sample in samples:
        full, plain = (said(sample, write(seen(sample, size)), size) for write in (worked, bare))
        assert [term(full).value for term in (accuracy(), format(), success(), type_match())] == [1, 1, 1, 1]
        assert [term(plain).value for term in (accuracy(), format(), success(), type_match())] == [1, 0, 1, 1]
    clicks = [sample for sample in samples if sample.target.name == "click"]
    assert len(clicks) > 60
    far = [said(sample, answer("click", (1, 1)), size) for sample in clicks]
    assert [accuracy()(rollout).value for rollout in far] == [0] * len(far)


@pytest.mark.parametrize("as_released", [False, True])
@pytest.mark.parametrize("size", [(112, 112), (224, 84)])
def test_a_click_is_drawn_in_the_gold_box_exactly_where_it_is_right(data, size, as_released):
    """What is drawn is what is paid for: a hundred clicks all over each screen, and every worked answer."""
    made = recipe(model="tiny", data=data, as_released=as_released)
    term = accuracy(as_released=as_released)
    seen_right = set()
    for sample in made.stages[0].task.samples[:40]:
        (gold,) = all_drawn(made.gold_marks(sample), sample.pictures)
        texts = [worked(seen(sample, size)), *(answer("click", (x, y)) for x in range(3, size[0], 23) for y in range(3, size[1], 23))]
        for text in texts:
            rollout = said(sample, text, size)
            (mark,) = all_drawn(made.marks(rollout), rollout.pictures)
            is_right = term(rollout).value == 1
            if sample.target.name != "click" or not mark["verb"].startswith("click"):
                assert (mark["verb"] == gold["verb"]) == is_right
                continue
            x, y = mark["point"]
            x1, y1, x2, y2 = gold["box"]
            assert (x1 < x < x2 and y1 < y < y2) == is_right
            seen_right.add(is_right)
    assert seen_right == {True, False}


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        (answer("click", (56, 28)), {"point": [0.5, 0.25], "verb": "click"}),
        (answer("scroll", None, "up"), {"box": [0, 0, 1, 1], "verb": "scroll up"}),
        (answer("type", None, "it's"), {"box": [0, 0, 1, 1], "verb": 'type "it\'s"'}),
        (answer("type", (56, 28), "7"), {"point": [0.5, 0.25], "verb": "type '7'"}),
        (answer("press_back"), {"box": [0, 0, 1, 1], "verb": "press_back"}),
        ("<answer>[]</answer>", None),
        ("I do not know", None),
    ],
)
def test_an_action_is_drawn_with_its_words_and_one_without_a_place_around_the_screen(data, text, drawn):
    made = recipe(model="tiny", data=data)
    rollout = said(made.stages[0].task.samples[0], text)
    assert all_drawn(made.marks(rollout), rollout.pictures) == ([] if drawn is None else [{"picture": 0, **drawn}])


def test_a_gold_point_in_the_models_frame_is_refused_before_a_model_has_seen_the_picture(data):
    sample = next(s for s in recipe(model="tiny", data=data).stages[0].task if s.target.name == "click")
    with pytest.raises(ValueError, match="no model frame"):
        worked(sample)


def test_the_papers_numbers():
    assert (PAPER.prompts, PAPER.siblings, PAPER.updates, PAPER.epochs, PAPER.beta) == (512, 5, 4, 9, 0.01)
    assert (PAPER.rl.lr, PAPER.rl.weight_decay, PAPER.rl.max_grad_norm, PAPER.rl.schedule) == (1e-6, 0.01, 1.0, "constant")
    assert (PAPER.sampling.temperature, PAPER.sampling.top_p, PAPER.sampling.max_tokens) == (1.0, 1.0, 1024)
    assert (MINIATURE.siblings, MINIATURE.updates, MINIATURE.beta) == (5, 4, 0.01)


def test_a_large_model_is_trained_as_in_the_released_code(data):
    made = recipe(model="Qwen/Qwen2.5-VL-3B-Instruct", data=data)
    assert (made.model.min_pixels, made.model.max_pixels, made.model.dtype) == (262144, 1258291, "bfloat16")
    (stage,) = made.stages
    algorithm = stage.algorithm
    assert isinstance(stage, RL) and (stage.prompts, stage.updates_per_rollout) == (120, 4)  # all rows where there are fewer than 512
    assert stage.steps == 9
    assert (algorithm.surrogate.low, algorithm.surrogate.high, algorithm.beta, algorithm.penalty_in) == (0.2, 0.2, 0.01, "loss")
    assert isinstance(algorithm.penalty, Bounded) and algorithm.penalty.limit == 10
    assert [(term.reward.name, term.weight) for term in stage.rewards.terms] == [("accuracy", 0.8), ("format", 0.2)]


def test_the_3000_rows_of_the_paper_make_five_steps_an_epoch(data):
    made = recipe(model="Qwen/Qwen2.5-VL-3B-Instruct", data=data)
    from saccade.recipes.gui_r1 import _stage

    task = made.stages[0].task
    three_thousand = replace(task, samples=tuple(task.samples[i % 120] for i in range(3000)))
    assert _stage("rl", three_thousand, PAPER, made.stages[0].rewards).steps == 45  # C 3,000 // 512 = 5, nine times


@pytest.mark.parametrize(("weight", "form"), [(0.8, 0.2), (0.5, 0.5), (0.2, 0.8), (1.0, 0.0)])
def test_the_weights_are_an_option_and_share_one(data, weight, form):
    terms = recipe(model="tiny", data=data, accuracy_weight=weight).stages[0].rewards.terms
    assert [term.weight for term in terms] == [weight, form]


def test_options_that_cannot_be_are_refused(data, tmp_path):
    with pytest.raises(DataError, match="accuracy_weight is a share from 0 to 1"):
        recipe(model="tiny", data=data, accuracy_weight=1.5)
    with pytest.raises(DataError, match="variant is 'cot'; have: rl, sft"):
        recipe(model="tiny", data=data, variant="cot")
    (tmp_path / "desktop_test.parquet").write_bytes((data / "desktop_test.parquet").read_bytes())
    with pytest.raises(DataError, match="has no train.parquet; it has: desktop"):
        recipe(model="tiny", data=tmp_path)


def test_the_control_arm_imitates_the_same_rows_without_thoughts(data):
    sft, rl = recipe(model="tiny", data=data, variant="sft"), recipe(model="tiny", data=data)
    (stage,) = sft.stages
    assert isinstance(stage, SFT) and sft.name == "gui_r1-sft" and stage.answer is bare
    (other,) = rl.stages  # as many rows in as many optimizer steps
    assert (stage.steps, stage.batch) == (other.steps * other.updates_per_rollout, other.prompts // other.updates_per_rollout) == (28, 4)
    assert [sample.id for sample in stage.task] == [sample.id for sample in rl.stages[0].task]
    assert [e.name for e in sft.evaluations] == [e.name for e in rl.evaluations] == ["val", "desktop", "screens"]
    assert [e.is_shifted for e in rl.evaluations] == [False, True, False]


def test_as_released_a_delete_earns_the_form_alone(data):
    mended, released = (recipe(model="tiny", data=data, as_released=flag) for flag in (False, True))
    sample = next(s for s in mended.stages[0].task if s.target.name == "close/delete")
    rollout = said(sample, worked(seen(sample)))

    def total(made):
        return sum(term.weight * term.reward(rollout).value for term in made.stages[0].rewards.terms)

    assert total(mended) == pytest.approx(1.0) and total(released) == pytest.approx(0.2)
    assert [len(e.totals) for e in mended.evaluations] == [1, 1, 1] and [len(e.totals) for e in released.evaluations] == [2, 2, 2]


def test_the_benchmarks_to_report_on_can_be_named(data):
    names = [e.name for e in recipe(model="tiny", data=data, only="desktop").evaluations]
    assert names == ["val", "desktop"]
    with pytest.raises(DataError, match="has no set 'phones'; it has: test, train, desktop, screens"):
        recipe(model="tiny", data=data, only="desktop, phones")


def test_no_screen_of_any_test_set_is_trained_on(data, tmp_path):
    for name in ("train", "test", "screens_test"):
        (tmp_path / f"{name}.parquet").write_bytes((data / f"{name}.parquet").read_bytes())
    rows = [*parquet.rows(data / "train.parquet")]
    parquet.write(tmp_path / "omni web_test.parquet", rows[:5])
    parquet.write(tmp_path / "val_test.parquet", rows[7:9])
    made = recipe(model="tiny", data=tmp_path)
    assert [e.name for e in made.evaluations] == ["val", "omni-web", "screens", "val-test"]
    shown = {picture.sha for e in made.evaluations for sample in e.task for picture in sample.pictures}
    train = made.stages[0].task
    assert not any(sample.pictures[0].sha in shown for sample in train) and 100 < len(train) <= 113
    assert len(train.left_out) == 120 - len(train)
    parquet.write(tmp_path / "train.parquet", rows[:5])
    with pytest.raises(DataError, match="every training row shows a screen of a test set"):
        recipe(model="tiny", data=tmp_path)


def test_rows_are_held_back_where_there_is_no_test_file(data, tmp_path):
    for name in ("train", "desktop_test"):
        (tmp_path / f"{name}.parquet").write_bytes((data / f"{name}.parquet").read_bytes())
    made = recipe(model="tiny", data=tmp_path)
    val, train = made.evaluations[0].task, made.stages[0].task
    shown = {sample.pictures[0].sha for sample in val}
    assert len(val) == 24 and not any(sample.pictures[0].sha in shown for sample in train)
    assert len(train) + len(train.left_out) + len(val) == 120


def test_the_figures_are_over_the_steps_that_they_apply_to(data):
    samples = list(recipe(model="tiny", data=data).stages[0].task)
    low = [s for s in samples if s.kind == "low"][:2]
    back = next(s for s in samples if s.target.name == "press_back")
    typed = next(s for s in samples if s.target.name == "type")
    rollouts = [
        said(low[0], worked(seen(low[0]))),
        said(low[1], answer("click", (1, 1))),
        said(back, answer("press_home")),
        said(typed, answer("type", None, "wrong")),
    ]
    assert figures(rollouts) == pytest.approx({"Type": 0.75, "GR": 0.5, "SR": 0.25, "SR_low": 0.5, "SR_high": 0.0})
    assert figures(rollouts[2:]) == pytest.approx({"Type": 0.5, "SR": 0.0})  # no GR where nothing is clicked, not 0
    assert figures_as_released(rollouts[2:3]) == {"Type_as_released": 0.0}


@pytest.mark.skipif(not MINIWOB.is_dir(), reason="the shared data is not here")
def test_real_records_of_screenspot_are_a_further_benchmark_or_the_training_set(data):
    further = recipe(model="tiny", data=data, benchmark=str(MINIWOB)).evaluations[-1]
    assert further.name == "gui_miniwob-screenspot" and len(further.task) == 92
    made = recipe(model="tiny", data=MINIWOB)
    assert len(made.stages[0].task) + sum(len(e.task) for e in made.evaluations) == 92
    assert {sample.kind for sample in made.stages[0].task} == {"low"}
