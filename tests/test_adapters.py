"""Reward functions of TRL and verl drop in unchanged."""

from __future__ import annotations

import asyncio

import PIL.Image
import pytest

from saccade.core.picture import Picture
from saccade.core.reward import RewardError, reward, weighted
from saccade.core.rollout import Group
from saccade.core.sample import Message, Sample
from saccade.rewards.adapters import from_trl, from_verl
from saccade.rewards.mix import any_of
from tests.rollouts import rollout_of

PICTURE = Picture.of(PIL.Image.new("RGB", (4, 3), "red"))
SAMPLE = Sample(
    id="row 3",
    messages=(Message("system", ("Be short.",)), Message("user", (PICTURE, "How many?"))),
    target="7",
    kind="counting",
    data={"level": 2, "thumb": PICTURE},
)
TEXTS = ("<think>x</think><answer>7</answer>", "<answer>8</answer>", "")


def values(term, **offered):
    group = Group(sample=SAMPLE, rollouts=tuple(rollout_of(None, tokens=2, text=text, sample=SAMPLE) for text in TEXTS))
    (scored,) = asyncio.run(weighted((term, 1.0)).score([group], progress=0.25, **offered))
    return [rollout.scores[term.name].value for rollout in scored.rollouts]


def test_trls_own_reward_function_drops_in():
    from trl.rewards import think_format_reward

    term = from_trl(think_format_reward)
    assert term.name == "think_format_reward"
    assert values(term) == [1.0, 0.0, 0.0]


def test_trls_math_reward_drops_in_and_its_none_adds_nothing():
    from trl.rewards import accuracy_reward

    group = Group(sample=SAMPLE, rollouts=(rollout_of(None, text="\\boxed{7}", sample=SAMPLE), rollout_of(None, text="8", sample=SAMPLE)))
    (scored,) = asyncio.run(weighted((from_trl(accuracy_reward), 1.0)).score([group], progress=0.0))
    assert scored.rewards == (1.0, 0.0)


def test_a_trl_function_gets_what_trl_would_give_it():
    seen = {}

    def spy(prompts, completions, completion_ids, solution, level, **kwargs):
        seen.update(prompts=prompts, completions=completions, ids=completion_ids, solution=solution, level=level, **kwargs)
        return [0.1, 0.2, 0.3]

    assert values(from_trl(spy, steps=40)) == [0.1, 0.2, 0.3]
    assert seen["solution"] == ["7"] * 3 and seen["level"] == [2] * 3
    assert seen["completions"][1] == [{"role": "assistant", "content": "<answer>8</answer>"}]
    assert seen["ids"] == [[0, 1]] * 3
    assert seen["prompts"][0][0] == {"role": "system", "content": "Be short."}
    image, text = seen["prompts"][0][1]["content"]
    assert image["type"] == "image" and image["image"].size == (4, 3) and text == {"type": "text", "text": "How many?"}
    assert [images[0].getpixel((0, 0)) for images in seen["images"]] == [(255, 0, 0)] * 3
    assert seen["thumb"][0].size == (4, 3)
    assert (seen["trainer_state"].global_step, seen["trainer_state"].max_steps) == (10, 40)
    seen["log_extra"]("column", [1, 2, 3])
    seen["log_metric"]("figure", 1.0)


def test_plain_text_completions_async_and_another_gold_column():
    async def exact(completions, answer):
        await asyncio.sleep(0)
        return [text.endswith(f"<answer>{gold}</answer>") for text, gold in zip(completions, answer, strict=True)]

    assert values(from_trl(exact, completions="text", target="answer")) == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(("when_none", "expected"), [(0.0, [1.0, 0.0, 0.0]), (None, [1.0, None, 0.0])])
def test_none_adds_nothing_unless_asked_to_stay_unknown(when_none, expected):
    assert values(from_trl(lambda completions, **_: [1.0, None, 0.0], name="some", when_none=when_none)) == expected


def test_a_function_that_reads_the_trainers_state_needs_the_steps():
    def late(completions, trainer_state):
        return [trainer_state.global_step / trainer_state.max_steps] * len(completions)

    with pytest.raises(ValueError, match="late reads trainer_state; give from_trl the stage's number of steps"):
        from_trl(late)
    assert values(from_trl(late, steps=100)) == [0.25] * 3


@pytest.mark.parametrize("broken", [lambda completions, **_: [1.0], lambda completions, **_: [float("nan")] * 3])
def test_a_broken_trl_function_is_named_with_its_row(broken):
    with pytest.raises(RewardError, match="'broken' failed on row 'row 3'"):
        values(from_trl(broken, name="broken"))


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (lambda completions, **_: [1.0], r"one value per completion \(3\), got 1"),
        (lambda completions, **_: 1.0, "a list with a number for each completion, got 1.0"),
        (lambda completions, **_: None, "a list with a number for each completion, got None"),
        (lambda completions, **_: {"reward": 1.0}, "a list with a number for each completion, got {'reward': 1.0}"),
        (lambda completions, answer, **_: [1.0] * 3, "reads answer, which the row has not; it has level, thumb, images, solution"),
    ],
)
def test_what_is_wrong_with_a_trl_function_is_said(broken, why):
    with pytest.raises(RewardError, match=f"'broken' failed on row 'row 3'.*{why}"):
        values(from_trl(broken, name="broken"))


def test_options_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="completions is one of messages, text; got 'chat'"):
        from_trl(lambda completions, **_: [], name="t", completions="chat")
    with pytest.raises(ValueError, match="scope is one of group, rollout; got 'each'"):
        from_trl(lambda completions, **_: [], name="t", scope="each")


def test_a_trl_function_can_be_mixed_when_it_sees_one_completion_at_a_time():
    asked = []

    def seven(completions, solution, trainer_state, **kwargs):
        asked.append(len(completions))
        return [float(gold in chat[0]["content"]) for chat, gold in zip(completions, solution, strict=True)]

    form = reward(lambda rollout: rollout.text.startswith("<answer>"), name="form")
    term = from_trl(seven, scope="rollout", steps=10)
    assert values(any_of(term, form, name="m")) == [1.0, 1.0, 0.0] and asked == [1, 1, 1]
    assert values(term) == values(from_trl(seven, steps=10)) == [1.0, 0.0, 0.0]


def test_verls_compute_score_drops_in():
    def compute_score(data_source, solution_str, ground_truth, extra_info=None):
        assert (data_source, extra_info["level"]) == ("counting", 2)
        return float(f">{ground_truth}<" in solution_str)

    assert values(from_verl(compute_score)) == [1.0, 0.0, 0.0]


def test_verls_dict_and_async_forms():
    async def compute_score(data_source, solution_str, ground_truth, extra_info):
        return {"score": len(solution_str) / 100, "acc": 1}

    term = from_verl(compute_score, name="length", best=None)
    group = Group(sample=SAMPLE, rollouts=(rollout_of(None, text="x" * 50, sample=SAMPLE),))
    (scored,) = asyncio.run(weighted((term, 1.0)).score([group]))
    score = scored.rollouts[0].scores["length"]
    assert (score.value, score.why) == (0.5, "acc 1")


def test_a_verl_dict_without_a_score_is_named():
    with pytest.raises(RewardError, match="returned a dict without 'score'; it has overall"):
        values(from_verl(lambda **_: {"overall": 1.0}, name="easy"))


def test_a_plain_function_needs_no_adapter():
    @reward
    async def is_seven(rollout) -> bool:
        return rollout.section("answer") == rollout.sample.target

    assert values(is_seven) == [1.0, 0.0, 0.0]
