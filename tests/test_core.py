"""Pictures and frames, tasks and bad rows, rollouts, rewards: the values that everything is said with."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest

from saccade.core.picture import Box, Frame, Picture, PictureError, Point
from saccade.core.reward import RewardError, as_score, reward, weighted
from saccade.core.rollout import Group, Rollout, Score, Stop, section
from saccade.core.sample import DataError, Message, Sample, Task, left_out_of, said_of_left_out


def picture(width: int = 200, height: int = 100, color: str = "white") -> Picture:
    return Picture.of(PIL.Image.new("RGB", (width, height), color))


def rollout(text: str = "", **options) -> Rollout:
    sample = Sample(id="s", messages=(Message("user", ("?",)),), target="7")
    return Rollout(sample=sample, text=text, token_T=(1, 2), logp_T=(-1.0, -2.0), is_sampled_T=(True, True), stop=Stop.EOS, **options)


def scored(rewards, *texts: str, **offered) -> Group:
    rollouts = tuple(rollout(text) for text in texts)
    (group,) = asyncio.run(rewards.score([Group(sample=rollouts[0].sample, rollouts=rollouts)], **offered))
    return group


# ---- frames


def test_a_box_converts_between_all_frames_with_literal_numbers():
    seen = picture(200, 100).seen_at((112, 56))
    model = Box(11.2, 5.6, 33.6, 16.8, Frame.MODEL)
    for frame, numbers in ((Frame.PIXEL, (20, 10, 60, 30)), (Frame.UNIT, (0.1, 0.1, 0.3, 0.3)), (Frame.MILLE, (100, 100, 300, 300))):
        there = seen.convert(model, to=frame)
        assert (there.x1, there.y1, there.x2, there.y2) == pytest.approx(numbers) and there.frame is frame
        back = seen.convert(there, to=Frame.MODEL)
        assert (back.x1, back.y1, back.x2, back.y2) == pytest.approx((11.2, 5.6, 33.6, 16.8))
    assert seen.convert(Point(112, 56, Frame.MODEL), to=Frame.PIXEL) == Point(200, 100, Frame.PIXEL)


def test_frames_do_not_mix():
    pixel, unit = Box(0, 0, 1, 1, Frame.PIXEL), Box(0, 0, 1, 1, Frame.UNIT)
    with pytest.raises(TypeError, match="'pixel' frame with one in the 'unit' frame"):
        pixel.iou(unit)
    with pytest.raises(TypeError, match="convert one through its Picture"):
        pixel.contains(Point(0.5, 0.5, Frame.MILLE))
    with pytest.raises(ValueError, match="has no model frame: no policy has read it, or its family cuts pictures into tiles"):
        picture().convert(pixel, to=Frame.MODEL)


def test_iou_literal_numbers():
    a = Box(0, 0, 2, 2, Frame.PIXEL)
    assert a.iou(Box(1, 1, 3, 3, Frame.PIXEL)) == pytest.approx(1 / 7)
    assert a.iou(a) == 1.0
    assert a.iou(Box(2, 2, 3, 3, Frame.PIXEL)) == 0.0
    assert Box(1, 1, 1, 1, Frame.PIXEL).iou(Box(1, 1, 1, 1, Frame.PIXEL)) == 0.0  # no area, no overlap, no division by zero
    assert Box(3, 3, 1, 1, Frame.PIXEL).area == 0.0


# ---- pictures


def test_a_pictures_hash_is_of_its_pixels_not_of_its_file(tmp_path):
    image = PIL.Image.new("RGB", (5, 4), "red")
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "b.bmp")
    a, b = Picture.open(tmp_path / "a.png"), Picture.open(tmp_path / "b.bmp")
    assert a.sha == b.sha == Picture.of(image).sha and a == b
    assert a.sha != Picture.of(PIL.Image.new("RGB", (4, 5), "red")).sha  # same bytes, other shape
    assert a.sha != Picture.of(PIL.Image.new("RGB", (5, 4), "blue")).sha


def test_exif_turns_a_picture_upright(tmp_path):
    image, exif = PIL.Image.new("RGB", (40, 20)), PIL.Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert Picture.open(tmp_path / "turned.jpg").size == (20, 40)


def test_bad_pictures_are_named(tmp_path):
    with pytest.raises(PictureError, match="nowhere.png does not exist"):
        Picture.open(tmp_path / "nowhere.png")
    PIL.Image.new("RGB", (50, 50)).save(tmp_path / "torn.png")
    torn = tmp_path / "torn.png"
    torn.write_bytes(torn.read_bytes()[:60])
    with pytest.raises(PictureError, match="torn.png cannot be decoded"):
        Picture.open(torn)
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(PictureError, match="text.jpg cannot be decoded"):
        Picture.open(tmp_path / "text.jpg")


def test_a_torn_exif_tag_is_a_bad_picture_too(tmp_path):
    exif = PIL.Image.Exif()
    exif[0x0112], exif[0x0131] = 6, "x" * 30
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "good.jpg", exif=exif)
    good = (tmp_path / "good.jpg").read_bytes()
    for value in (0, 26, 84):  # of one byte in the tags: PIL then raises struct.error, TypeError, struct.error
        torn = tmp_path / f"torn-{value}.jpg"
        torn.write_bytes(good[:53] + bytes([value]) + good[54:])
        with pytest.raises(PictureError, match=f"torn-{value}.jpg cannot be decoded"):
            Picture.open(torn)


def test_a_picture_that_changes_on_disk_is_caught_when_it_is_read_again(tmp_path):
    from saccade.core import picture as module

    path = tmp_path / "a.png"
    PIL.Image.new("RGB", (8, 8), "white").save(path)
    first = Picture.open(path)
    PIL.Image.new("RGB", (8, 8), "black").save(path)
    module._decode.cache_clear()
    with pytest.raises(PictureError, match="a.png has changed"):
        first.image


# ---- tasks


def ask(row) -> Sample:
    if row.get("bad"):
        raise DataError("its gold answer is empty")
    return Sample(id=row["id"], messages=(Message("user", (row["text"],)),), target="")


def test_bad_rows_are_counted_and_named_and_stop_above_the_share():
    rows = [{"id": f"r{i}", "text": "?"} for i in range(8)] + [{"id": "odd", "text": "?", "bad": True}, {"id": "short"}]
    task = Task.from_rows(rows, ask, name="t", split="train", max_bad_share=0.2)
    assert len(task) == 8
    assert [(row.id, row.why) for row in task.bad_rows] == [("odd", "its gold answer is empty"), ("short", "has no field 'text'")]
    with pytest.raises(DataError, match=r"2 of 10 rows cannot be read, at most 10% may be.*odd: its gold answer"):
        Task.from_rows(rows, ask, name="t", split="train", max_bad_share=0.1)
    with pytest.raises(DataError, match="there are no rows"):
        Task.from_rows([], ask, name="t", split="train")


def test_what_is_held_out_shares_no_picture_and_no_bare_question_with_what_is_trained_on():
    red, blue, grey = (Picture.of(PIL.Image.new("RGB", (4, 4), color)) for color in ("red", "blue", "grey"))
    parts = {"a": (red, "1"), "b": (blue, "2"), "c": ("3",), "d": (red, blue, "4"), "e": (grey, "3"), "f": (red, "5"), "g": ("3",)}
    samples = tuple(Sample(id=name, messages=(Message("user", p),), target="") for name, p in parts.items())
    task = Task(name="t", split="train", samples=samples)
    rest, held = task.hold_out(2)
    assert ([s.id for s in rest], [s.id for s in held], rest.name, held.name) == (["b", "e"], ["f", "g"], "t", "val")
    assert [s.id for s in task.apart_from([samples[4]])] == ["a", "b", "c", "d", "f", "g"]
    assert (rest.left_out, held.left_out, task.left_out) == (("a", "c", "d"), (), ())
    for n in (0, 7):
        with pytest.raises(DataError, match=f"t has 7 samples, so 1 to 6 can be held out, got {n}"):
            task.hold_out(n)
    alike = Task(name="t", split="train", samples=(samples[0], samples[5]))
    with pytest.raises(DataError, match="t: every sample shows a picture of the 1 that are held out, so nothing is left to train on"):
        alike.hold_out(1)


def test_what_is_left_out_is_kept_by_slices_and_told_once_however_many_tasks_lack_it():
    colors = [Picture.of(PIL.Image.new("RGB", (4, 4), (10 * i, 0, 0))) for i in range(6)]
    samples = tuple(Sample(id=str(i), messages=(Message("user", (p, "?")),), target="") for i, p in enumerate(colors))
    task = Task(name="t", split="train", samples=(*samples, replace(samples[5], id="again")))
    first = task.apart_from([samples[1]]).apart_from([samples[3]])
    second, _ = first.hold_out(1)  # "5" shows the picture of "again"
    assert (first.left_out, second.left_out) == (("1", "3"), ("1", "3", "5"))
    few = replace(second, samples=second.samples[:2])
    assert left_out_of([few, first]) == ("1", "3", "5")
    why = "held-out or test sets show their pictures, or ask the same without any"
    assert said_of_left_out([few, second]) == f"3 training samples are left out: {why}; 3 are left"
    assert said_of_left_out([task.apart_from([samples[0]])]) == f"1 training sample is left out: {why}; 6 are left"
    assert said_of_left_out([task]) == ""


def test_other_pictures_take_the_places_of_a_samples_own():
    red, blue, grey = (Picture.of(PIL.Image.new("RGB", (4, 4), color)) for color in ("red", "blue", "grey"))
    whole = Sample(id="s", messages=(Message("system", ("x", red)), Message("user", (blue, "y", red))), target=1)
    shown = whole.showing((blue, grey, red))
    assert [m.parts for m in shown.messages] == [("x", blue), (grey, "y", red)]
    assert (shown.id, shown.target, [m.role for m in shown.messages]) == ("s", 1, ["system", "user"])
    with pytest.raises(ValueError, match="sample 's' has 3 pictures, got 2"):
        whole.showing((red, red))


def test_an_id_that_stands_twice_is_a_bad_row():
    task = Task.from_rows([{"id": "a", "text": "1"}, {"id": "a", "text": "2"}], ask, name="t", split="s", max_bad_share=0.5)
    assert len(task) == 1 and "stands twice" in task.bad_rows[0].why


def test_what_a_code_fault_raises_is_not_swallowed():
    def faulty(row):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Task.from_rows([{"id": "a"}], faulty, name="t", split="s", max_bad_share=1.0)


# ---- rollouts and rewards


def test_sections_are_the_last_whole_pair():
    assert section("<answer>1</answer> no <answer> 2\n</answer>", "answer") == "2"
    assert section("<answer>1</answer><answer>2", "answer") == "1"
    assert section("</answer><answer>", "answer") is None
    assert section("x" * 10**6 + "<answer>" * 10**5, "answer") is None


def test_a_rollouts_columns_are_equally_long():
    with pytest.raises(ValueError, match=r"equally long, got \(1, 2, 2\)"):
        Rollout(sample=None, text="", token_T=(1,), logp_T=(0.0, 0.0), is_sampled_T=(True, True), stop=Stop.EOS)


def test_a_weighted_sum_keeps_each_term_unweighted_and_none_is_not_zero():
    @reward
    def right(r):
        return r.text == "7"

    @reward
    def judged(r):
        return Score(None, "the judge is down") if r.text == "?" else 0.5

    group = scored(weighted((right, 1.0), (judged, 2.0)), "7", "8", "?")
    assert group.rewards == (2.0, 1.0, None)
    assert group.rollouts[0].scores == {"right": Score(1.0), "judged": Score(0.5, weight=2.0)}
    assert group.rollouts[2].scores["judged"].why == "the judge is down"
    assert not group.is_flat and scored(weighted((right, 1.0)), "8", "9").is_flat


def test_rewards_take_what_they_name_and_are_awaited_together():
    order = []

    @reward
    async def slow(r, progress):
        order.append("asked")
        await asyncio.sleep(0)
        order.append("answered")
        return progress

    group = scored(weighted((slow, 1.0)), "a", "b", "c", progress=0.25, unasked="x")
    assert group.rewards == (0.25, 0.25, 0.25)
    assert order[:3] == ["asked"] * 3


def test_a_group_reward_sees_the_siblings_and_answers_for_each():
    @reward(scope="group")
    def shortest(group):
        least = min(len(r.text) for r in group.rollouts)
        return [len(r.text) == least for r in group.rollouts]

    assert scored(weighted((shortest, 1.0)), "aaa", "b").rewards == (0.0, 1.0)

    @reward(scope="group")
    def too_few(group):
        return [1.0]

    with pytest.raises(RewardError, match=r"'too_few' failed on row 's'.*one value per sibling \(2\), got 1"):
        scored(weighted((too_few, 1.0)), "a", "b")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "seven", [1]])
def test_nonsense_from_a_reward_is_a_fault_with_its_name(value):
    @reward
    def odd(r):
        return value

    with pytest.raises(RewardError, match="reward 'odd' failed on row 's'"):
        scored(weighted((odd, 1.0)), "a")


def test_rewards_need_distinct_names():
    @reward
    def same(r):
        return 1

    with pytest.raises(ValueError, match="distinct names"):
        weighted((same, 1.0), (same, 2.0))


def test_nonsense_in_rewards_is_refused_when_they_are_made():
    def plain(rollout):
        return 1.0

    plain_reward = reward(plain)
    with pytest.raises(ValueError, match="the scope of reward 'plain' is one of rollout, group; got 'groups'"):
        reward(scope="groups")(plain)
    with pytest.raises(TypeError, match="'plain' is no Reward; put @reward above the function"):
        weighted((plain, 1.0))
    with pytest.raises(ValueError, match="the weight of 'plain' must be finite, got nan"):
        weighted((plain_reward, math.nan))


def test_text_is_no_score():
    with pytest.raises(ValueError, match="must return a number or None, got the text '1.0'"):
        as_score("1.0")
    assert as_score(np.float32(0.5)).value == 0.5 and as_score(True).value == 1.0 and as_score(None).value is None
