"""The rewards of VLM-R1, Vision-R1 (Griffon) and So-Fake-R1: the specifications' numbers, the originals' pitfalls."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import PIL.Image
import pytest
from scipy.optimize import linear_sum_assignment

from saccade.core.picture import Box, Frame, Labelled, Picture
from saccade.core.reward import RewardError, weighted
from saccade.core.rollout import Group, Rollout, Score, Stop
from saccade.core.sample import Message, Sample
from saccade.rewards.geometry.boxes import pairwise_giou
from saccade.rewards.judges.judge import JudgeFailed, Reply
from saccade.rewards.length import SHORTER_IF_WRONG
from saccade.rewards.papers import so_fake_r1, vision_r1_griffon, vlm_r1
from saccade.rewards.papers.so_fake_r1 import FULL_SYNTHETIC, NAMES_OOD_V1, REAL, TAMPERED, Truth
from saccade.rewards.papers.vision_r1_griffon.reading import predictions, released_predictions
from saccade.rewards.papers.vlm_r1.answers import released_option
from saccade.rewards.papers.vlm_r1.grounding import released_iou
from saccade.rewards.papers.vlm_r1.reading import clean_text

SIZE, SEEN = (200, 100), (100, 50)  # the original, and half of it as the model saw it


def attempt(text, target, *, data=None, n_tokens=1, pictures=True, model_size=SEEN) -> Rollout:
    picture = Picture.of(PIL.Image.new("RGB", SIZE)).seen_at(model_size)
    sample = Sample(id="row/9", messages=(Message("user", ("Where?",)),), target=target, data=data or {})
    parts = {"token_T": (0,) * n_tokens, "logp_T": (0.0,) * n_tokens, "is_sampled_T": (True,) * n_tokens}
    return Rollout(sample=sample, text=text, stop=Stop.EOS, pictures=(picture,) if pictures else (), **parts)


def score(reward, rollout, progress=0.0) -> Score:
    groups = [Group(sample=rollout.sample, rollouts=(rollout,))]
    (group,) = asyncio.run(weighted((reward, 1.0)).score(groups, progress=progress))
    return group.rollouts[0].scores[reward.name]


def value(reward, text, target, progress=0.0, **options) -> float | None:
    found = score(reward, attempt(text, target, **options), progress)
    assert found.why
    return found.value


def pixel(x1, y1, x2, y2) -> Box:
    return Box(x1, y1, x2, y2, Frame.PIXEL)


def things(*rows) -> tuple[Labelled, ...]:
    return tuple(Labelled(label, pixel(*corners)) for label, *corners in rows)


def listed(*rows, scale=0.5) -> str:
    """A JSON list of (label, corners in pixels), written in the model's frame."""
    return json.dumps([{"bbox_2d": [v * scale for v in corners], "label": label} for label, *corners in rows])


def answered(text) -> str:
    return f"<think>I look.</think>\n<answer>{text}</answer>"


def fenced(*rows, **options) -> str:
    return answered(f"```json\n{listed(*rows, **options)}\n```")


CAT, DOG = ("cat", 20, 20, 100, 60), ("dog", 120, 40, 180, 90)
GOLD = things(CAT, DOG)


# VLM-R1: referring expressions


def test_rec_is_iou_in_the_pictures_own_pixels():
    gold = pixel(20, 10, 100, 60)
    assert value(vlm_r1.rec(), answered('{"bbox_2d": [10, 5, 50, 30]}'), gold) == 1.0
    assert value(vlm_r1.rec(), answered("[10, 5, 50, 17.5]"), gold) == 0.5
    assert value(vlm_r1.rec(frame=Frame.PIXEL), answered("[20, 10, 100, 60]"), gold) == 1.0
    assert value(vlm_r1.rec(frame=Frame.MILLE), answered("[100, 100, 500, 600]"), gold) == pytest.approx(1.0)
    assert value(vlm_r1.rec(), answered("[20, 10, 100, 60]"), gold) < 0.2  # the wrong frame, issue 198 and kin


def test_rec_needs_a_picture_to_change_frames_and_says_so():
    with pytest.raises(RewardError, match="row/9.*picture 0"):
        value(vlm_r1.rec(), answered("[10, 5, 50, 30]"), pixel(20, 10, 100, 60), pictures=False)
    assert value(vlm_r1.rec(frame=Frame.PIXEL), answered("[20, 10, 100, 60]"), pixel(20, 10, 100, 60), pictures=False) == 1.0


@pytest.mark.parametrize("text", ["[50, 5, 10, 30]", "no box", "", "[10, 5, 50]", "[-90, -90, -80, -80]"])
def test_rec_without_a_box_in_order_is_zero(text):
    assert value(vlm_r1.rec(), answered(text), pixel(20, 10, 100, 60)) == 0.0


def test_rec_reads_the_last_answer_and_the_released_code_the_first():
    text = "<answer>[0, 0, 5, 5]</answer>" + answered("[10, 5, 50, 30]")
    assert value(vlm_r1.rec(), text, pixel(20, 10, 100, 60)) == 1.0
    assert value(vlm_r1.rec(as_released=True), text, pixel(20, 10, 100, 60)) == 0.0


def test_the_released_rec_knows_no_floats_and_no_signs():
    for text in ("[10.0, 5, 50, 30]", "[-1, 5, 50, 30]"):
        assert value(vlm_r1.rec(as_released=True), answered(text), pixel(20, 10, 100, 60)) == 0.0
        assert value(vlm_r1.rec(), answered(text), pixel(20, 10, 100, 60)) > 0.7


def test_the_released_iou_is_iou_but_for_overlaps_of_a_pixel():
    assert released_iou(pixel(0, 0, 10, 10), pixel(5, 0, 15, 10)) == pixel(0, 0, 10, 10).iou(pixel(5, 0, 15, 10)) == 1 / 3
    assert released_iou(pixel(0, 0, 10, 10), pixel(9, 0, 19, 10)) == 0.0 < pixel(0, 0, 10, 10).iou(pixel(9, 0, 19, 10))
    assert released_iou(pixel(0, 0, 10, 10), pixel(8, 0, 18, 10)) == pixel(0, 0, 10, 10).iou(pixel(8, 0, 18, 10)) > 0


def test_the_first_release_was_hard_at_one_half():
    assert value(vlm_r1.rec(above=0.5), answered("[10, 5, 50, 17.5]"), pixel(20, 10, 100, 60)) == 0.0
    assert value(vlm_r1.rec(above=0.5), answered("[10, 5, 50, 20]"), pixel(20, 10, 100, 60)) == 1.0


@pytest.mark.parametrize("bad", [None, "[1, 2, 3, 4]", (), GOLD, pixel(5, 5, 5, 9)])
def test_rec_with_gold_that_is_not_one_box_cannot_tell(bad):
    assert value(vlm_r1.rec(), answered("[1, 2, 3, 4]"), bad) is None


def test_format_rec_wants_the_whole_text_and_the_released_one_does_not():
    good = answered('{"bbox_2d": [1, 2, 3, 4]}')
    strict, loose = vlm_r1.format_rec(), vlm_r1.format_rec(as_released=True)
    assert value(strict, good, None) == value(loose, good, None) == 1.0
    junk = f"well {good} and more </answer>"
    assert (value(strict, junk, None), value(loose, junk, None)) == (0.0, 1.0)
    bare = answered("[1, 2, 3, 4]")
    assert (value(strict, bare, None), value(loose, bare, None)) == (1.0, 0.0)
    assert value(vlm_r1.format_rec(as_released=True, of="internvl"), bare, None) == 1.0
    assert value(vlm_r1.format_rec(as_released=True, of="glm"), answered("no"), None) == 1.0
    assert value(loose, "<answer>{[1, 2, 3, 4]}</answer><think></think>", None) == 0.0
    assert value(loose, answered("{[1.5, 2, 3, 4]}"), None) == 0.0


# VLM-R1: detection


def test_odlength_is_the_share_that_the_gold_has_room_for_times_map():
    assert value(vlm_r1.od_length(), fenced(CAT, DOG), GOLD) == 1.0
    crowd = [("bird", 0, 0, 9, 9), ("boat", 0, 0, 9, 9)]
    assert value(vlm_r1.od_ap(), fenced(CAT, DOG, *crowd), GOLD) == 1.0  # the hole
    assert value(vlm_r1.od_length(), fenced(CAT, DOG, *crowd), GOLD) == 0.5  # L_gold / L_said = 2 / 4
    assert value(vlm_r1.od_length(), fenced(CAT), GOLD) == 0.5  # the mAP of two classes, min(1, 2 / 1) = 1
    assert value(vlm_r1.od_length(), fenced(*[CAT] * 16), GOLD) == pytest.approx(2 / 16 * 0.5)


def test_ap50_is_kinder_than_map():
    half = ("cat", 20, 20, 100, 45)  # IoU 0.625: right at .5, .55 and .6
    assert value(vlm_r1.od_ap50(), fenced(half), things(CAT)) == 1.0
    assert value(vlm_r1.od_ap(), fenced(half), things(CAT)) == pytest.approx(0.3)


@pytest.mark.parametrize("make", [vlm_r1.od_ap, vlm_r1.od_ap50, vlm_r1.od_length])
@pytest.mark.parametrize("as_released", [False, True])
def test_nothing_there(make, as_released):
    reward = make(as_released=as_released)
    assert value(reward, answered("None"), ()) == 1.0
    assert value(reward, answered("```json\n[]\n```"), ()) == 1.0
    assert value(reward, fenced(CAT), ()) == 0.0
    assert value(reward, answered("None"), GOLD) == 0.0
    assert value(reward, answered("```json\n[]\n```"), GOLD) == 0.0
    assert value(reward, "None", ()) == 0.0  # no answer block
    assert value(reward, answered("[] {} () null None"), ()) == (1.0 if as_released else 0.0)  # all at once says nothing
    assert value(reward, answered(" [ ] "), ()) == 1.0


def test_malformed_items_count_in_the_length():
    items = '{"bbox_2d": [10, 10, 50, 30], "label": "cat"}, {"label": "cat"}, {"bbox_2d": [9, 9, 1], "label": "x"}'
    broken = answered(f"```json\n[{items}]\n```")
    assert value(vlm_r1.od_length(), broken, things(CAT)) == pytest.approx(1 / 3)


def test_lists_without_a_fence_and_in_single_quotes_are_read_here_and_not_in_the_released_code():
    text = answered(listed(CAT, DOG).replace('"', "'"))
    assert value(vlm_r1.od_ap(), text, GOLD) == 1.0
    assert value(vlm_r1.od_ap(as_released=True), text, GOLD) == 0.0


def test_the_last_fence_of_the_last_answer_counts():
    text = answered(f"```json\n{listed(('cat', 0, 0, 4, 4))}\n``` or rather\n```json\n{listed(CAT)}\n```")
    for as_released in (False, True):
        assert value(vlm_r1.od_ap(as_released=as_released), text, things(CAT)) == 1.0


def test_labels_are_compared_without_case_here_only():
    text = fenced(("Cat ", *CAT[1:]))
    assert value(vlm_r1.od_ap(), text, things(CAT)) == 1.0
    assert value(vlm_r1.od_ap(as_released=True), text, things(CAT)) == 0.0


def test_swapped_corners_are_free_in_the_released_map_and_long_here():
    text = fenced(("cat", 100, 20, 20, 60), CAT)
    assert value(vlm_r1.od_ap(as_released=True), text, things(CAT)) == 1.0
    assert value(vlm_r1.od_length(), text, things(CAT)) == 0.5


def test_map_reads_the_raw_text_and_has_no_length_term():
    text = f"Here:\n```json\n{listed(CAT, DOG, ('bird', 0, 0, 9, 9))}\n```"
    assert value(vlm_r1.map(), text, GOLD) == 1.0
    assert value(vlm_r1.od_ap(), text, GOLD) == 0.0


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([CAT, DOG], 1.0),
        ([CAT], 0.7 * 0.5 + 0.3 * 0.75),  # half missed, no false alarm
        ([CAT, DOG, ("cat", 0, 0, 9, 9), ("dog", 0, 0, 9, 9)], 0.7 + 0.3 * 0.75),  # half false alarms
        ([("dog", *CAT[1:]), DOG], 0.7 * 0.5 + 0.3),  # a wrong label uses both up, and adds no IoU
        ([("", *CAT[1:]), DOG], 0.7 * 0.5 + 0.3),
        ([("CAT", 20, 20, 100, 50), DOG], 0.7 * (0.75 + 1) / 2 + 0.3),
        ([("cat", 20, 20, 100, 39), DOG], 0.7 * 0.5 + 0.3 * 0.5),  # IoU below one half: missed, and an alarm
        ([("cat", 0, 0, 9, 9)], 0.0 + 0.3 * 0.0),
    ],
)
def test_the_weighted_sum(rows, wanted):
    assert value(vlm_r1.weighted_sum(), fenced(*rows), GOLD) == pytest.approx(wanted)


def test_the_weighted_sum_of_nothing():
    assert value(vlm_r1.weighted_sum(), answered("None"), ()) == 1.0
    assert value(vlm_r1.weighted_sum(), fenced(CAT), ()) == 0.0
    assert value(vlm_r1.weighted_sum(), answered("None"), GOLD) == 0.0
    assert value(vlm_r1.weighted_sum(position=0, label=1, completeness=0), fenced(CAT, ("cat", *DOG[1:])), GOLD) == 0.5
    with pytest.raises(ValueError, match="not all 0"):
        vlm_r1.weighted_sum(position=0, completeness=0)


def test_a_missing_label_is_a_wrong_one():
    text = answered('```json\n[{"bbox_2d": [10, 10, 50, 30]}, {"bbox_2d": [60, 20, 90, 45], "label": "dog"}]\n```')
    assert value(vlm_r1.weighted_sum(), text, GOLD) == pytest.approx(0.7 * 0.5 + 0.3)


def test_formats():
    fence = fenced(CAT)
    assert value(vlm_r1.format_ovd(), fence, None) == value(vlm_r1.format_ovd(), answered("None"), None) == 1.0
    assert value(vlm_r1.format_ovd(), answered(listed(CAT)), None) == 0.0
    assert value(vlm_r1.format_ovd(as_released=True), answered(listed(CAT)), None) == 1.0
    assert value(vlm_r1.format_ovd(), answered('```json\n{"a": 1}\n```'), None) == 0.0
    assert value(vlm_r1.format(), f"\n{fence}\n", None) == 1.0
    assert value(vlm_r1.format(as_released=True), f"\n{fence}\n", None) == 0.0
    assert value(vlm_r1.format(), "<think></think><answer>1</answer>", None) == 0.0
    assert value(vlm_r1.format(as_released=True), "<think></think><answer>1</answer>", None) == 1.0


# VLM-R1: answers in words


@pytest.mark.parametrize(
    ("reward", "answer", "gold", "ours", "released"),
    [
        (vlm_r1.mcq, "B", "B", 1, 1),
        (vlm_r1.mcq, "B)", "B", 1, 0),
        (vlm_r1.mcq, "(b) two", "B", 1, 0),
        (vlm_r1.mcq, "B.", "C", 0, 0),
        (vlm_r1.mcq, "none of them", "C", 0, 0),
        (vlm_r1.yes_no, "Yes.", "yes", 1, 1),
        (vlm_r1.yes_no, "no", "yes", 0, 0),
        (vlm_r1.yes_no, "nothing", "no", 0, 1),
        (vlm_r1.all_match, "No  Defect.\n", "no  defect", 1, 1),
        (vlm_r1.all_match, "a defect", "no defect", 0, 0),
        (vlm_r1.numeric, "1,000", "1000", 1, 0),
        (vlm_r1.numeric, "4.0", "4", 1, 1),
        (vlm_r1.numeric, "four", "4", 0, 0),
        (vlm_r1.math, "2/4", "0.5", 1, 1),
        (vlm_r1.math, "it cannot be 8", "8", 0, 1),
        (vlm_r1.default, "8", "8", 1, 1),
        (vlm_r1.default, "43", "42", 0, 0.5),
        (vlm_r1.default, "B", "A", 0, 0),
        (vlm_r1.default, "red kites", "red kite", 8 / 9, 8 / 9),
        (vlm_r1.default, "Red Kite.", "red kite", 1, 1),
    ],
)
def test_answers_in_words(reward, answer, gold, ours, released):
    assert value(reward(), answered(answer), gold) == pytest.approx(ours)
    assert value(reward(as_released=True), answered(answer), gold) == pytest.approx(released)


def test_both_missing_is_not_equal():
    assert value(vlm_r1.yes_no(as_released=True), answered("perhaps"), "maybe") == 1.0  # the bug
    assert value(vlm_r1.yes_no(), answered("perhaps"), "yes") == 0.0
    assert value(vlm_r1.yes_no(), answered("perhaps"), "maybe") is None  # the gold cannot be read


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B.", "B"), ("the answer is c", "C"), ("B)", None), ("AB.", None), ("x", "X"), ("", None),
        ("A. red B. blue", "B"), ("A, B, C, D. The answer is A. Blue is not.", "A"),
    ],
)  # fmt: skip
def test_the_released_heuristics_for_letters(text, letter):
    assert released_option(text) == letter


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("<answer> Red\nKite. </answer>", "red kite"),
        ("Red \nKite", "red kite"),
        ("<answer>a</answer><answer>B..</answer>", "b"),
        ("", ""),
    ],
)
def test_clean_text(text, cleaned):
    assert clean_text(text) == cleaned


# VLM-R1: a method per sample


@pytest.mark.parametrize(
    ("method", "text", "target"),
    [
        ("mcq", answered("B"), "B"),
        ("yes_no", answered("Yes"), "yes"),
        ("all_match", answered("No Defect"), "No Defect"),
        ("numeric", answered("12"), 12),
        ("math", answered("0.50"), "1/2"),
        ("default", answered("a kite"), "a kite"),
        ("", answered("a kite"), "a kite"),
        ("rec", answered("[10, 5, 50, 30]"), pixel(20, 10, 100, 60)),
        ("od_ap", fenced(CAT, DOG), GOLD),
        ("od_ap50", fenced(CAT, DOG), GOLD),
        ("odLength", fenced(CAT, DOG), GOLD),
        ("map", listed(CAT, DOG), GOLD),
        ("weighted_sum", fenced(CAT, DOG), GOLD),
    ],
)
def test_the_row_names_its_method(method, text, target):
    found = score(vlm_r1.accuracy(), attempt(text, target, data={vlm_r1.METHOD: method}))
    assert found.value == 1.0 and found.route == (method or "default")


def test_a_mistyped_method_is_refused_with_the_list_and_falls_to_default_in_the_released_code():
    rollout = attempt(answered("a kite"), "a kite", data={vlm_r1.METHOD: "od_length"})
    with pytest.raises(RewardError, match=r"'od_length'; have: default, mcq, .*odLength"):
        score(vlm_r1.accuracy(), rollout)
    assert score(vlm_r1.accuracy(as_released=True), rollout).route == "default"


def test_llm_rows_need_a_judge():
    rollout = attempt(answered("a kite"), "a kite", data={vlm_r1.METHOD: "llm"})
    with pytest.raises(RewardError, match=r"row/9.*needs accuracy\(judge=...\)"):
        score(vlm_r1.accuracy(), rollout)

    class Kind:
        name = "kind"

        async def __call__(self, question):
            return Reply.to(question, '{"verdict": 1}')

    assert score(vlm_r1.accuracy(judge=Kind()), rollout).value == 1.0


def test_a_judge_that_fails_gives_no_score_and_in_the_released_code_equal_strings():
    class Dead:
        name = "dead"

        async def __call__(self, question):
            raise JudgeFailed("gone")

    same, other = (attempt(answered(text), "a kite") for text in ("a kite", "A kite"))
    assert score(vlm_r1.llm(judge=Dead()), same).value is None
    assert score(vlm_r1.llm(judge=Dead(), as_released=True), same).value == 1.0
    assert score(vlm_r1.llm(judge=Dead(), as_released=True), other).value == 0.0


# VLM-R1: length and repetition


@pytest.mark.parametrize(
    ("n", "right", "wrong", "wrong_shorter", "released"),
    [(1024, 0.5, 0.0, -0.5, 0.5), (2048, 0.5, 0.0, -0.5, 1.0), (512, 0.75, -0.25, -0.25, 0.75)],
)
def test_the_cosine_length_is_bounded_and_minds_the_accuracy(n, right, wrong, wrong_shorter, released):
    good, bad = (attempt(text, GOLD, n_tokens=n) for text in (fenced(CAT, DOG), answered("None")))
    assert score(vlm_r1.length(), good).value == pytest.approx(right)
    assert score(vlm_r1.length(), bad).value == pytest.approx(wrong)
    assert score(vlm_r1.length(wrong=SHORTER_IF_WRONG), bad).value == pytest.approx(wrong_shorter)
    for rollout in (good, bad):
        assert score(vlm_r1.length(as_released=True), rollout).value == pytest.approx(released)


def test_the_cosine_length_at_no_token():
    good, bad = (attempt(text, GOLD, n_tokens=0) for text in (fenced(CAT, DOG), answered("None")))
    assert (score(vlm_r1.length(), good).value, score(vlm_r1.length(), bad).value) == (1.0, -0.5)


def test_the_cosine_length_takes_any_accuracy():
    reward = vlm_r1.length(accuracy=vlm_r1.accuracy())
    assert score(reward, attempt(answered("B"), "B", data={vlm_r1.METHOD: "mcq"}, n_tokens=1024)).value == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", 0.0),
        ("one two three four five", 0.0),
        (fenced(CAT, DOG), 0.0),
        (fenced(CAT, CAT, CAT, DOG), -0.5),
        (fenced(CAT, ("dog", *CAT[1:])), 0.0),
        ("a b c d e f a b c d e f", -1 / 7),
        ("no " * 105, -0.99),
    ],
)
def test_repetition_counts_boxes_or_six_words(text, wanted):
    assert value(vlm_r1.repetition(), text, None) == pytest.approx(wanted)


# Vision-R1 (Griffon)


@pytest.mark.parametrize(
    ("text", "ours", "released"),
    [
        (listed(CAT, DOG), 1, 1),
        (f"```json\n{listed(CAT)}\n```", 1, 1),
        ("[]", 1, 1),
        ("{}", 0, 1),
        ("5", 0, 1),
        ('[{"label": "cat"}]', 0, 1),
        ('[{"bbox_2d": [1, 2, 3], "label": "cat"}]', 0, 0),
        ('[{"bbox_2d": "1234", "label": "cat"}]', 0, 0),
        ('[{"bbox_2d": [30, 2, 3, 9], "label": "cat"}]', 0, 1),  # corners out of order
        ('[{"bbox_2d": [10, 2, 101, 9], "label": "cat"}]', 0, 1),  # the model saw 100 x 50
        ('[{"bbox_2d": [-1, 2, 10, 9], "label": "cat"}]', 0, 1),
        ('[{"bbox_2d": [0, 0, 100, 50], "label": "cat"}]', 1, 1),
        ('[{"bbox_2d": [0, 0, 100, 50], "label": " "}]', 0, 1),
        ('[{"bbox_2d": [0, 0, true, 50], "label": "cat"}]', 0, 1),
        ('[{"bbox_2d": [0, 0, NaN, 50], "label": "cat"}]', 0, 1),
        ("", 0, 0),
        (f"Here: {listed(CAT)}", 0, 0),
        (listed(CAT) + " done", 0, 0),
        (listed(CAT).replace('"', "'"), 0, 0),
        ("[" * 100_000, 0, 0),
        ("9" * 5000, 0, 0),
    ],
    ids=lambda text: str(text)[:30],
)
def test_dual_format(text, ours, released):
    assert value(vision_r1_griffon.dual_format(), text, GOLD) == ours
    assert value(vision_r1_griffon.dual_format(as_released=True), text, GOLD) == released


def test_where_there_is_nothing_the_released_format_is_turned_round():
    for text, is_right in (("[]", 1.0), ("nothing there", 0.0)):
        assert value(vision_r1_griffon.dual_format(), text, ()) == is_right
        assert value(vision_r1_griffon.dual_format(as_released=True), text, ()) == 1 - is_right


@pytest.mark.parametrize(
    ("progress", "below", "top"), [(0.0, 0.5, 0.75), (0.49, 0.5, 0.75), (0.5, 0.75, 0.9), (1.0, 0.75, 0.9)]
)
def test_the_papers_thresholds_rise_halfway(progress, below, top):
    f = vision_r1_griffon.staged().f
    assert (f(below - 1e-9, progress), f(below, progress), f(top - 1e-9, progress)) == (0.0, below, top - 1e-9)
    assert f(top, progress) == f(1.0, progress) == 1.0
    assert vision_r1_griffon.staged(1.0).f(0.6, 1.0) == 0.6  # never


def test_the_released_thresholds():
    recall, precision = vision_r1_griffon.RELEASED_RECALL_ADAPTIVE, vision_r1_griffon.RELEASED_PRECISION_ADAPTIVE
    early, late = 1499 / 3060, 1500 / 3060
    assert (recall.hit(early), recall.hit(late)) == (0.5, 0.75)
    assert [recall.f(x, late) for x in (0.49, 0.5, 0.75, 0.76)] == [0.0, 0.5, 0.75, 1.0]  # unchanged; 1 only above
    assert [precision.f(x, early) for x in (0.49, 0.6, 0.76)] == [0.0, 0.6, 1.0]
    assert [precision.f(x, late) for x in (0.74, 0.8, 0.9, 0.91)] == [0.0, 0.8, 0.9, 1.0]
    still = vision_r1_griffon.RELEASED_PRECISION
    assert [still.f(x, late) for x in (-0.3, 0.2, 1.0)] == [0.0, 0.2, 1.0]


NEAR = ("cat", 20, 20, 100, 52)  # IoU and GIoU 0.8 with CAT
FAR = ("cat", 20, 20, 100, 44)  # 0.6


@pytest.mark.parametrize(
    ("rows", "progress", "recall", "precision"),
    [
        ([CAT, DOG], 0.0, 1.0, 1.0),
        ([CAT], 0.0, 0.5, 1.0),  # half of the gold: f(0.5) is 0.5
        ([NEAR, DOG], 0.0, 1.0, 1.0),
        ([FAR, DOG], 0.0, 1.0, (0.6 + 1) / 2),
        ([FAR, DOG], 0.6, 0.0, 0.5),  # 0.6 is no hit any more: recall 1 / 2 falls below 0.75
        ([NEAR, DOG], 0.6, 1.0, (0.8 + 1) / 2),
        ([CAT, DOG, ("cat", 0, 0, 8, 8), ("cat", 190, 90, 198, 98)], 0.0, 1.0, 0.5),  # M counts the extra ones
        ([("dog", *CAT[1:]), ("cat", *DOG[1:])], 0.0, 1.0, 1.0),  # labels hardly matter (P)
    ],
)
def test_recall_and_precision(rows, progress, recall, precision):
    text = listed(*rows)
    assert value(vision_r1_griffon.recall(), text, GOLD, progress) == pytest.approx(recall)
    assert value(vision_r1_griffon.precision(), text, GOLD, progress) == pytest.approx(precision)


def whole(*rows) -> str:
    return json.dumps([{"bbox_2d": [v // 2 for v in corners], "label": label} for label, *corners in rows])


def test_as_released_extra_boxes_cost_nothing_and_giou_counts():
    spray = [("cat", x, y, x + 10, y + 10) for x in range(0, 200, 20) for y in range(0, 100, 20)]
    text = whole(CAT, DOG, *spray)
    assert value(vision_r1_griffon.precision(as_released=True), text, GOLD) == 1.0
    assert value(vision_r1_griffon.precision(), text, GOLD) == pytest.approx(2 / 52)
    only_free = vision_r1_griffon.precision(over="pairs")  # the released denominator, and nothing else of it
    assert value(only_free, text, GOLD) == 1.0
    for rows in ([CAT, DOG], [FAR, DOG], [CAT], [NEAR, ("cat", 0, 0, 8, 8)]):
        for progress in (0.0, 0.6):
            assert value(only_free, listed(*rows), GOLD, progress) == value(vision_r1_griffon.precision(), listed(*rows), GOLD, progress)
    assert value(only_free, listed(FAR, DOG).replace('"', "'"), GOLD) == pytest.approx(0.8)
    apart = whole(("cat", 110, 20, 190, 60))
    assert value(vision_r1_griffon.precision(as_released=True), apart, things(CAT)) == 0.0  # GIoU below 0 counts 0
    touching = whole(("cat", 20, 0, 100, 30))
    iou = pixel(20, 20, 100, 60).iou(pixel(20, 0, 100, 30))
    assert value(vision_r1_griffon.precision(as_released=True), touching, things(CAT)) == pytest.approx(iou)
    corner = whole(("cat", 60, 40, 140, 80))  # IoU 1/7; 1600 of the enclosing 7200 are empty
    giou = 800 / 5600 - (7200 - 5600) / 7200
    assert value(vision_r1_griffon.precision(as_released=True), corner, things(CAT)) == pytest.approx(max(0.0, giou))


def test_as_released_a_pair_at_exactly_one_half_counts_half():
    half = whole(("cat", 20, 20, 100, 40))  # IoU and GIoU exactly 0.5
    assert value(vision_r1_griffon.recall(as_released=True), half, things(CAT)) == 0.5
    assert value(vision_r1_griffon.recall(), half, things(CAT)) == 1.0
    assert value(vision_r1_griffon.precision(), half, things(CAT)) == 0.5


def test_labels_decide_between_boxes_less_than_a_pixel_apart():
    gold = things(CAT, ("dog", 20.1, 20, 100, 60))
    said = things(("cat", 20.1, 20, 100, 60), ("dog", *CAT[1:]))
    assert max(vision_r1_griffon.pair_overlaps(said, gold, attempt("", None))) < 1.0


def test_pairs_are_the_same_whatever_the_frame_of_the_gold():
    rollout = attempt("", None)
    near = ("dog", 24, 20, 104, 60)  # four pixels beside CAT: labels would win in fractions of the picture
    said = things(("dog", *CAT[1:]), ("cat", *near[1:]))
    for frame in Frame:
        gold = [Labelled(thing.label, rollout.pictures[0].convert(thing.box, to=frame)) for thing in things(CAT, near)]
        assert vision_r1_griffon.pair_overlaps(said, gold, rollout) == pytest.approx([1.0, 1.0]), frame


@pytest.mark.parametrize("make", [vision_r1_griffon.recall, vision_r1_griffon.precision])
@pytest.mark.parametrize("as_released", [False, True])
def test_nothing_said_and_nothing_there(make, as_released):
    reward = make(as_released=as_released)
    assert value(reward, "[]", GOLD) == value(reward, "", GOLD) == 0.0
    assert value(reward, "[]", ()) == value(reward, "", ()) == 1.0
    assert value(reward, whole(CAT), ()) == 0.0
    assert value(reward, whole(CAT), "cat") is None


def test_malformed_items_count_as_predictions():
    text = '[{"bbox_2d": [10, 10, 50, 30], "label": "cat"}, {"bbox_2d": [9, 9, 1, 1], "label": "x"}, {"label": "y"}]'
    assert value(vision_r1_griffon.precision(), text, things(CAT)) == pytest.approx(1 / 3)
    assert value(vision_r1_griffon.precision(as_released=True), text, things(CAT)) == 1.0


def test_pairs_are_those_of_least_l1_in_original_pixels():
    rng = np.random.default_rng(0)
    for _ in range(30):
        rows = [[("c", x, y, x + w, y + h) for x, y, w, h in rng.integers(2, 90, (4, 4)).tolist()] for _ in range(2)]
        said, gold = things(*rows[0]), things(*rows[1])
        overlaps = vision_r1_griffon.pair_overlaps(said, gold, attempt("", None))
        l1 = np.array([[sum(abs(np.subtract(a[1:], b[1:]))) for b in rows[1]] for a in rows[0]], float)
        giou = pairwise_giou([thing.box for thing in said], [thing.box for thing in gold])
        i, j = linear_sum_assignment(l1 - 1 - giou)
        assert overlaps.tolist() == [said[a].box.iou(gold[b].box) for a, b in zip(i, j, strict=True)]


def test_frames_are_converted_before_boxes_meet():
    rows = ((label, 5 * x1, 10 * y1, 5 * x2, 10 * y2) for label, x1, y1, x2, y2 in (CAT, DOG))
    gold = tuple(Labelled(label, Box(*corners, Frame.MILLE)) for label, *corners in rows)
    assert value(vision_r1_griffon.recall(), listed(CAT, DOG), gold) == 1.0
    assert value(vision_r1_griffon.recall(frame=Frame.PIXEL), listed(CAT, DOG, scale=1), gold) == 1.0
    assert value(vision_r1_griffon.recall(), listed(CAT, DOG, scale=1), gold) == 0.0


def test_coordinates_beyond_all_bounds_are_far_and_harm_nothing():
    text = '[{"bbox_2d": [-1e300, 0, 1e300, 10], "label": "cat"}, {"bbox_2d": [10, 10, 50, 30], "label": "cat"}]'
    assert value(vision_r1_griffon.precision(), text, things(CAT)) == 0.5


def test_the_released_reading():
    compact = '{"bbox_2d": [10, 10, 50, 30], "label": "cat"}'
    assert released_predictions(f"```json\n[{compact}]\n``` and more").n_written == 1
    assert released_predictions(f"The cat: {compact}, {compact.replace('30]', '1001]')}").n_written == 1  # the fallback
    assert released_predictions('[{"bbox_2d": ["10", 10.9, 50, 30], "label": "cat"}]').found[0].box.y1 == 10
    assert released_predictions(f"[{compact.replace('50', '5')}]").n_written == 0
    assert released_predictions("").found == predictions("").found == ()


# So-Fake-R1


FAKE = Truth(label=TAMPERED, box=Box(0, 4, 213, 205, Frame.MODEL))


def verdict_of(reward, text, truth, **options) -> float | None:
    return value(reward, text, truth, model_size=(224, 224), **options)


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        ("REAL", True), ("FULL_SYNTHETIC", True), ("REAL.", True), (" REAL \n", True), ("TAMPERED,(0,4),(213,205).", True),
        ("TAMPERED,(0,4),(213,205)", True), ("TAMPERED, (0, 4), (213, 205)", True), ("TAMPERED", False), ("real", False),
        ("REAL,(0,4),(213,205)", False), ("TAMPERED,(0,4)", False), ("TAMPERED,(0,-4),(2,3)", False),
        ("TAMPERED,(0,4.5),(2,3)", False), ("REAL FULL_SYNTHETIC", False), ("", False), ("REAL..", False),
    ],
)  # fmt: skip
def test_the_grammar_of_verdicts(body, is_one):
    assert verdict_of(so_fake_r1.format(), answered(body), FAKE) == float(is_one)


def test_the_format_wants_both_blocks_and_nothing_else():
    assert verdict_of(so_fake_r1.format(), "<think> </think><answer>REAL</answer>", FAKE) == 0.0
    assert verdict_of(so_fake_r1.format(), "<answer>REAL</answer>", FAKE) == 0.0
    assert verdict_of(so_fake_r1.format(), answered("REAL") + " bye", FAKE) == 0.0
    assert verdict_of(so_fake_r1.format(), f" {answered('REAL')}\n", FAKE) == 1.0


def test_classes():
    assert verdict_of(so_fake_r1.classification(), answered("TAMPERED,(1,1),(2,2)"), FAKE) == 1.0
    assert verdict_of(so_fake_r1.classification(), answered("TAMPERED"), FAKE) == 0.0
    assert verdict_of(so_fake_r1.classification(), answered("REAL"), Truth(label=REAL)) == 1.0
    assert verdict_of(so_fake_r1.classification(), answered("FULL_SYNTHETIC"), Truth(label=REAL)) == 0.0
    assert verdict_of(so_fake_r1.classification(), answered("REAL"), "REAL") is None


def test_localisation_pays_for_overlap_on_tampered_pictures_only():
    loc = so_fake_r1.localisation()
    assert verdict_of(loc, answered("TAMPERED,(0,4),(213,205)."), FAKE) == 1.0
    assert verdict_of(loc, answered("TAMPERED,(0,4),(213,105)."), FAKE) == pytest.approx(101 / 201)
    assert verdict_of(loc, answered("REAL"), FAKE) == 0.0
    assert verdict_of(loc, answered("TAMPERED,(213,4),(0,205)"), FAKE) == 0.0  # corners swapped
    assert verdict_of(loc, answered("TAMPERED,(300,4),(900,205)"), FAKE) == 0.0  # outside
    assert verdict_of(loc, answered("TAMPERED,(0,4),(9,9)"), Truth(label=REAL)) == 0.0
    assert loc.best_for(attempt("", FAKE).sample) == 1.0 and loc.best_for(attempt("", Truth(label=REAL)).sample) == 0.0


def test_boxes_are_clipped_to_the_picture_before_they_are_compared():
    edge = Truth(label=TAMPERED, box=Box(100, 100, 224, 224, Frame.MODEL))
    assert verdict_of(so_fake_r1.localisation(), answered("TAMPERED,(100,100),(999,999)"), edge) == pytest.approx(1.0)


def test_the_gold_may_be_in_original_pixels_which_are_resized_unevenly():
    gold = Truth(label=TAMPERED, box=pixel(50, 50, 150, 100))
    assert verdict_of(so_fake_r1.localisation(), answered("TAMPERED,(56,112),(168,224)"), gold) == pytest.approx(1.0)


def test_a_box_around_everything_earns_the_tampered_share_and_coverage_shows_it():
    text = answered("TAMPERED,(0,0),(224,224)")
    share = 213 * 201 / 224**2
    assert verdict_of(so_fake_r1.localisation(), text, FAKE) == pytest.approx(share)
    assert verdict_of(so_fake_r1.coverage(), text, FAKE) == 1.0
    assert verdict_of(so_fake_r1.coverage(), answered("REAL"), FAKE) == 0.0
    small = Truth(label=TAMPERED, box=Box(0, 0, 100, 100, Frame.MODEL))
    assert verdict_of(so_fake_r1.localisation(above=0.5), text, small) == 0.0
    assert verdict_of(so_fake_r1.localisation(above=0.5), text, FAKE) == 1.0
    half = Truth(label=TAMPERED, box=Box(0, 0, 112, 112, Frame.MODEL))
    assert verdict_of(so_fake_r1.localisation(), answered("TAMPERED,(0,0),(112,56)"), half) == 0.5
    assert verdict_of(so_fake_r1.localisation(above=0.5), answered("TAMPERED,(0,0),(112,56)"), half) == 0.0


def test_labels_go_by_name_as_their_numbers_changed():
    mask = np.zeros((10, 20))
    mask[2, 3], mask[7, 15] = 90, 255  # grey counts, and all components
    assert Truth.of(1, mask) == Truth(label=TAMPERED, box=pixel(3, 2, 16, 8))
    assert Truth.of(2, mask, names=NAMES_OOD_V1) == Truth.of("tampered", mask)
    assert Truth.of(0).label == REAL and Truth.of(0, names=NAMES_OOD_V1).label == FULL_SYNTHETIC
    assert Truth.of("full synthetic") == Truth(label=FULL_SYNTHETIC)
    with pytest.raises(ValueError, match="needs a box"):
        Truth.of(1, np.zeros((4, 4)))
    with pytest.raises(ValueError, match="must be one of"):
        Truth(label="fake")


def test_the_evaluation_counts_every_tampered_picture():
    from saccade.rewards.geometry.masks import compare

    hit, miss = compare(np.ones((2, 2)), np.ones((2, 2))), compare(np.zeros((2, 2)), np.ones((2, 2)))
    said, truth = [REAL, TAMPERED, "", REAL], [REAL, TAMPERED, TAMPERED, FULL_SYNTHETIC]
    found = so_fake_r1.evaluation(said, truth, tampered=[hit, miss])
    assert found.accuracy == 0.5
    assert found.by_label == {REAL: 1.0, TAMPERED: 0.5, FULL_SYNTHETIC: 0.0}
    assert found.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert (found.mean_iou, found.mean_f1, found.ciou) == (0.5, 0.5, 0.5)
    assert so_fake_r1.evaluation([REAL], [REAL]).mean_iou is None
