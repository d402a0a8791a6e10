"""The Vision-R1 (Griffon) recipe: its arms, its rewards in them, its figures, its solutions in the model's frame."""

from __future__ import annotations

import functools
import json

import PIL.Image
import pytest

from saccade.core.marks import all_drawn, marks_in
from saccade.core.picture import Box, Frame, Labelled, Picture
from saccade.core.rollout import Group, Rollout, Stop
from saccade.core.sample import DataError, Message, Sample
from saccade.data.miniature.vision_r1_griffon import write_vision_r1_griffon
from saccade.policy.reader import Reader
from saccade.recipes.vision_r1_griffon import recipe
from saccade.recipes.vision_r1_griffon.figures import box_f1, figures, too_many
from saccade.recipes.vision_r1_griffon.paid import VARIANTS, Paid, groups_of, main, paid
from saccade.recipes.vision_r1_griffon.prompts import gold_answer, written
from saccade.rewards.papers.vision_r1_griffon import staged
from saccade.run.folder import RunFolder
from saccade.run.stage import RL, SFT

LARGE = "Qwen/Qwen2.5-VL-7B-Instruct"  # only its name is used
CAT, DOG = Box(20, 20, 100, 60, Frame.PIXEL), Box(120, 40, 180, 90, Frame.PIXEL)


def picture(width: int = 200, height: int = 100) -> Picture:
    return Picture.of(PIL.Image.new("RGB", (width, height), (width % 255, 9, 9))).seen_at((width // 2, height // 2))


def sample(*things: Labelled, kind: str = "detection", names: tuple[str, ...] = ("cat", "dog"), shown: Picture | None = None) -> Sample:
    shown = shown or picture()
    return Sample(id=f"{kind}/{len(things)}", messages=(Message("user", (shown, "?")),), target=things, kind=kind, data={"names": names})


def said(of: Sample, *items: tuple[str, list[float]], text: str | None = None) -> Rollout:
    """A rollout that writes these boxes, in pixels of the picture as the model saw it: half the original's."""
    body = json.dumps([{"bbox_2d": box, "label": label} for label, box in items])
    text = f"```json\n{body}\n```" if text is None else text
    return Rollout(sample=of, text=text, token_T=(1,), logp_T=(0.0,), is_sampled_T=(True,), stop=Stop.EOS, pictures=of.pictures)


BOTH = sample(Labelled("cat", CAT), Labelled("dog", DOG))
RIGHT = (("cat", [10, 10, 50, 30]), ("dog", [60, 20, 90, 45]))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The embedded miniature is too much to read for every recipe that is made here."""
    return write_vision_r1_griffon(tmp_path_factory.mktemp("griffon") / "data", n_train=90, n_test=2)


@functools.cache
def made(folder, **options):
    return recipe(data=folder, **options)


def total(rollout: Rollout, folder, *, progress: float, **options) -> float:
    """What a stage of these options pays."""
    (stage,) = made(folder, model="tiny", **options).stages
    (group,) = stage.rewards.score_now([Group(sample=rollout.sample, rollouts=(rollout,))], progress=progress)
    return group.rewards[0]


# numbers and arms


def test_the_papers_numbers(small):
    large = made(small, model=LARGE)
    (stage,) = large.stages
    assert (stage.prompts, stage.siblings, stage.sampling.max_tokens, stage.sampling.temperature) == (16, 4, 512, 1.0)
    assert (stage.optimization.lr, stage.algorithm.beta, large.model.max_pixels) == (1e-6, 0.2, 401_408)
    assert stage.algorithm.name == "grpo_r1v" and large.checkpoint_every == 200
    assert stage.steps == round(len(stage.task) / 16)  # one epoch
    assert made(small, model=LARGE, beta="code").stages[0].algorithm.beta == 0.04
    # Never is best for Qwen2.5-VL, which the paper's numbers are for; half way for Griffon-G.
    for options, switch in (({}, 1.0), ({"progression": "never"}, 1.0), ({"progression": "half"}, 0.5), ({"progression": "third"}, 1 / 3)):
        terms = made(small, model=LARGE, **options).stages[0].rewards.terms
        assert [term.reward.function.thresholds for term in terms[1:]] == [staged(switch)] * 2


def test_the_arms_are_stages(small):
    assert [type(s) for s in made(small, model="tiny").stages] == [RL]
    assert [type(s) for s in made(small, model="tiny", variant="sft").stages] == [SFT]
    warm, rl = made(small, model="tiny", variant="warmed").stages
    assert isinstance(warm, SFT) and isinstance(rl, RL) and len(warm.task) == len(rl.task) // 2


def test_rows_are_the_usual_the_hard_or_all(small):
    counts = {rows: [len(s.target) for s in made(small, model="tiny", rows=rows).stages[0].task] for rows in ("usual", "hard", "all")}
    assert min(counts["usual"]) == 1 and min(counts["hard"]) == 4 and min(counts["all"]) == 0
    assert len(counts["hard"]) < len(counts["usual"]) < len(counts["all"])


@pytest.mark.parametrize(("option", "value"), [("rows", "most"), ("rewards", "best"), ("variant", "rl"), ("progression", "late"), ("beta", "0.1"), ("differentiation", "no")])
def test_an_unknown_choice_is_refused_with_what_there_is(small, option, value):
    with pytest.raises(DataError, match=f"{option} is '{value}'; have: "):
        made(small, model="tiny", **{option: value})


# what the arms pay, in literal numbers


def test_a_right_answer_earns_three_in_every_arm_that_asks_for_a_fit(small):
    for options in ({}, {"progression": "never"}, {"rewards": "pairs"}, {"rewards": "released"}, {"rewards": "adaptive"}, {"differentiation": "off"}):
        for progress in (0.0, 0.9):
            assert total(said(BOTH, *RIGHT), small, progress=progress, **options) == pytest.approx(3.0)


def test_extra_boxes_cost_in_the_papers_rewards_and_nothing_in_those_over_pairs(small):
    many = said(BOTH, *RIGHT, *[("cat", [1, 1, 9, 9])] * 2)
    assert total(many, small, progress=0.0) == pytest.approx(1 + 1 + 2 / 4)
    # One box and one object: over pairs is the paper's, IoU 0.6 and single quotes included.
    one = sample(Labelled("dog", DOG))
    for text in ('[{"bbox_2d": [60, 20, 78, 45], "label": "dog"}]', "[{'bbox_2d': [60, 20, 90, 45], 'label': 'dog'}]"):
        answer = said(one, text=text)
        assert total(answer, small, progress=0.0, rewards="pairs") == total(answer, small, progress=0.0) > 1.5
    for name in ("pairs", "released", "adaptive"):
        assert total(many, small, progress=0.0, rewards=name) == pytest.approx(3.0)
    assert too_many(many) and not too_many(said(BOTH, *RIGHT)) and box_f1(many).value == pytest.approx(2 * 2 / (4 + 2))


def test_thresholds_rise_half_way_unless_the_switch_says_never(small):
    # The dog's box is 24 of 30 wide: IoU 0.8, between full (0.75) and the later zero (0.75) to full (0.9).
    near = said(BOTH, RIGHT[0], ("dog", [60, 20, 84, 45]))
    assert total(near, small, progression="half", progress=0.49) == pytest.approx(1 + 1 + 1)
    assert total(near, small, progression="half", progress=0.5) == pytest.approx(1 + 1 + 1.8 / 2)
    assert total(near, small, progress=0.99) == pytest.approx(3.0)
    # 18 of 30 wide: IoU 0.6, a hit at first and none later; then half are found, below 0.75: recall earns nothing.
    far = said(BOTH, RIGHT[0], ("dog", [60, 20, 78, 45]))
    assert total(far, small, progression="half", progress=0.0) == pytest.approx(1 + 1 + 1.6 / 2)
    assert total(far, small, progression="half", progress=0.5) == pytest.approx(1 + 0 + 1 / 2)
    assert total(far, small, progression="half", progress=0.5, differentiation="off") == pytest.approx(1 + 1 / 2 + 1 / 2)
    assert total(near, small, progression="half", progress=0.0, differentiation="off") == pytest.approx(1 + 1 + 1.8 / 2)


def test_what_is_drawn_is_what_is_paid_for(small):
    rollout = said(BOTH, *RIGHT, ("cow", [50, 30, 10, 10]))  # a box turned round is none
    marks, golds = (all_drawn(found, rollout.pictures) for found in (made(small).marks(rollout), marks_in(BOTH.target)))
    assert marks == golds and [mark["label"] for mark in marks] == ["cat", "dog"]
    floats = said(BOTH, text='Here: [{"bbox_2d": [10.5, 10, 50, 30], "label": "cat"}]')  # the released code wants JSON alone
    assert [len(made(small, rewards=name).marks(floats)) for name in ("paper", "pairs", "released", "adaptive")] == [1, 1, 0, 0]


def test_boxes_in_pixels_of_the_original_earn_only_their_form(small):
    wrong = said(BOTH, ("cat", [20, 20, 100, 60]), ("dog", [120, 40, 180, 90]))
    assert total(wrong, small, progress=0.0) == 0.0  # not even that: the dog is outside the picture as the model sees it
    assert box_f1(wrong).value == 0.0 and figures([wrong])["mAP"] == 0.0


# figures


def test_figures_of_a_detection_set_in_literal_numbers():
    alone = sample(Labelled("Cat", CAT), shown=picture(220, 100))
    # Two of the three classes' objects: dog found at IoU 0.8, cat once right and once in another class.
    rollouts = [said(BOTH, RIGHT[0], ("dog", [60, 20, 84, 45])), said(alone, ("dog", [10, 10, 50, 30]), ("x", [1, 1, 2, 2]))]
    found = figures(rollouts)
    assert found["boxes"] == 2.0 and found["gold"] == 1.5
    assert found["precision"] == pytest.approx(2 / 4) and found["recall"] == pytest.approx(2 / 3)
    assert found["placed"] == 1.0  # the second picture's cat was called a dog, in the right place
    # Cat: recall 1/2 with precision 1 up to it, 51 of 101 recall levels. Dog: the false one stands after the right one, so 1
    # up to IoU 0.8 and 0 at 0.85, 0.9 and 0.95.
    assert found["AP50"] == pytest.approx((51 / 101 + 1) / 2)
    assert found["mAP"] == pytest.approx((51 / 101 + 0.7) / 2)
    assert found["AP75"] == found["AP50"] and found["AR100"] == pytest.approx((0.5 + 0.7) / 2)


def test_a_question_for_one_category_counts_what_is_said_as_of_that_category():
    one = sample(Labelled("dog", DOG), kind="grounding", names=("dog",))
    other = sample(Labelled("cat", CAT), kind="grounding", names=("cat",))
    found = figures([said(one, ("a big dog", [60, 20, 90, 45])), said(other, ("cat", [1, 1, 9, 9]))])
    assert found["mAP"] == 0.5 and found["recall"] == 0.5  # the mean over the two categories
    expression = sample(Labelled("red dog", DOG), kind="referring", names=("red dog",))
    assert figures([said(expression, ("dog", [60, 20, 90, 45]))])["mAP"] == 1.0
    assert box_f1(said(expression, ("dog", [60, 20, 90, 45]))).value == 1.0


def test_nothing_said_of_nothing_is_right_and_items_that_are_no_boxes_were_written():
    nothing = sample(names=("cat",))
    assert box_f1(said(nothing)).value == 1.0 and box_f1(said(nothing, RIGHT[0])).value == 0.0
    assert figures([said(nothing), said(nothing, RIGHT[0])])["mAP"] == -1.0
    broken = said(BOTH, *RIGHT, ("cat", [5, 5]), ("cat", [9, 9, 1, 1]))
    assert box_f1(broken).value == pytest.approx(2 * 2 / (4 + 2)) and too_many(broken)
    assert box_f1(said(BOTH, text="I see a cat.")).value == 0.0 and figures([said(BOTH, text="")])["boxes"] == 0.0


# the model's frame


def test_the_gold_answer_is_written_in_the_frame_of_the_model_and_earns_full_marks(small):
    text = gold_answer(BOTH)
    assert text == written([Labelled("cat", Box(10, 10, 50, 30, Frame.MODEL)), Labelled("dog", Box(60, 20, 90, 45, Frame.MODEL))])
    assert total(said(BOTH, text=text), small, progress=0.9) == 3.0 and box_f1(said(BOTH, text=text)).value == 1.0


def test_imitated_boxes_stand_in_the_picture_as_the_model_sees_it(small):
    sft = made(small, model="tiny", variant="sft")
    reader, sides = Reader.of(sft.model), set()
    for sample in sft.stages[0].task.samples[:40]:
        (seen,) = reader.seen(sample)
        assert seen.model_size == (112, 112)
        text = sft.stages[0].answer(sample.showing((seen,)))
        boxes = [item["bbox_2d"] for item in json.loads(text.split("\n")[1])]
        for (x1, y1, x2, y2), thing in zip(boxes, sample.target, strict=True):
            assert seen.convert(Box(x1, y1, x2, y2, Frame.MODEL), to=Frame.PIXEL).iou(thing.box) > 0.97
        sides.add(seen.size[0])
    assert sides == {112, 168, 224}


def test_sft_and_rl_see_the_same_rows_in_the_same_number_of_steps():
    rl, sft = (recipe(model="tiny", variant=variant).stages[0] for variant in ("vision_r1", "sft"))
    assert [s.id for s in rl.task] == [s.id for s in sft.task] and len(rl.task) == 960
    assert (rl.steps, rl.prompts, rl.optimization) == (60, 16, sft.optimization) == (sft.steps, sft.batch, sft.optimization)


def test_thresholds_are_refused_where_the_rewards_have_their_own(small):
    for name in ("released", "adaptive"):
        for option in ({"progression": "half"}, {"differentiation": "off"}):
            with pytest.raises(DataError, match=f"rewards={name} have thresholds of their own"):
                made(small, model="tiny", rewards=name, **option)


# what is paid for the answers of a run


def test_boxes_too_many_are_worth_less_than_none_by_the_papers_rewards_and_not_over_pairs(small):
    def group() -> Group:
        exact, short = said(BOTH, *RIGHT), said(BOTH, RIGHT[0])
        many = said(BOTH, *RIGHT, ("cat", [1, 1, 9, 9]), ("cat", [2, 2, 9, 9]))
        return Group(sample=BOTH, rollouts=(exact, many, short))

    def of(**options) -> Paid:
        (stage,) = made(small, model="tiny", **options).stages
        return paid([group()], stage.rewards, progress=0.0)

    # Rewards 3, 2.5 and 1 + 1/2 + 1 = 2.5 by the paper's; 3, 3 and 2.5 over pairs.
    paper, pairs = of(), of(rewards="pairs")
    assert paper.exact == pytest.approx(1.1547, abs=1e-3) and paper.extra == paper.fewer == pytest.approx(-0.5774, abs=1e-3)
    assert pairs.extra == pairs.exact == pytest.approx(0.5774, abs=1e-3) and pairs.fewer == pytest.approx(-1.1547, abs=1e-3)
    assert (paper.recall_is_flat, paper.both_are_flat) == (0.0, 0.0)


def test_groups_are_read_back_from_a_runs_rollouts(small, tmp_path):
    recipe_ = made(small, model="tiny")
    sample = recipe_.stages[0].task.samples[0]
    row = {"stage": "rl", "step": 1, "group": "rl-1/0", "sample": sample.id, "stop": "eos"}
    lines = [json.dumps(row | {"text": text}) for text in ("[]", written(sample.target))]
    (tmp_path / "rollouts.jsonl").write_text("\n".join(lines) + "\n")
    reader = Reader.of(recipe_.model)
    (group,) = groups_of(tmp_path, {sample.id: sample}, reader)
    assert [r.text for r in group.rollouts] == ["[]", written(sample.target)] and group.sample is sample
    assert group.rollouts[0].pictures[0].model_size == (112, 112)
    with pytest.raises(DataError, match="does not train on; name the run's --data"):
        groups_of(tmp_path, {}, reader)


def test_a_runs_answers_are_weighed_by_every_variant(small, tmp_path, capsys):
    recipe_ = made(small, model="tiny")
    of = next(s for s in recipe_.stages[0].task if len(s.target) == 2)
    gold = gold_answer(of.showing([p.seen_at((112, 112)) for p in of.pictures]))
    items = json.loads(gold.removeprefix("```json").removesuffix("```"))
    many = [*items, *({"bbox_2d": [x, 1, x + 3, 5], "label": items[0]["label"]} for x in (1, 2))]
    with RunFolder.start(tmp_path / "run") as folder:
        rollouts = tuple(said(of, text=json.dumps(some)) for some in (items, many, items[:1]))
        folder.append_rollouts([Group(sample=of, rollouts=rollouts)], step=1, stage="rl")
    assert main([str(tmp_path / "run"), str(small)]) == 0
    head, _, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("1 groups of 3;") and [line[:28].strip() for line in lines] == list(VARIANTS)
    figures_of = {line[:28].strip(): [float(word) for word in line[28:].split()] for line in lines}
    # As above: 3, 2.5 and 2.5 by the paper's rewards, 3, 3 and 2.5 over pairs.
    assert figures_of["paper, first"] == [-0.58, 1.15, -0.58, 0.0, 0.0] and figures_of["pairs"] == [0.58, 0.58, -1.15, 0.0, 0.0]
    for run_, data, says in (("none", small, "holds no answers"), ("run", tmp_path / "no", "does not exist")):
        assert main([str(tmp_path / run_), str(data)]) == 1
        assert says in capsys.readouterr().err
