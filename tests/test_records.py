"""What a line says beyond the rollout: forced words, judges' replies, marks and gold; and the lines of measured samples."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest

from saccade.core.exchange import Exchange
from saccade.core.marks import Mark, Mask
from saccade.core.picture import Box, Frame, Labelled, Picture, Point
from saccade.core.reward import Reward, reward, weighted
from saccade.core.rollout import Group, Rollout, Score, Stop
from saccade.core.sample import Message, Sample, Task
from saccade.rewards.judges import JudgeFailed, Question, Rule, judged
from saccade.rewards.mix import any_of
from saccade.run.ask import asking
from saccade.run.evaluate import Evaluation, Measured
from saccade.run.records import Details, evaluation_rows, forced_ranges, rollout_rows
from saccade.run.samples import sample_lines

WORDS = {1: "I see", 2: " 7", 3: " Wait,", 4: " no:", 5: " 8", 6: "", 7: "\n ", 8: "é"}


def pieces(token_T):
    return tuple(WORDS[token] for token in token_T)


def written(tokens: list[int], forced: str, *, text: str | None = None, sample: Sample | None = None, **more) -> Rollout:
    """A rollout of these tokens; "x" where a token was forced."""
    return Rollout(
        sample=sample or Sample(id="s", messages=(Message("user", ("?",)),), target="8"),
        text="".join(pieces(tokens)).strip() if text is None else text,
        token_T=tuple(tokens),
        logp_T=(0.0,) * len(tokens),
        is_sampled_T=tuple(mark != "x" for mark in forced),
        stop=Stop.EOS,
        **more,
    )


@pytest.mark.parametrize(
    ("tokens", "forced", "said"),
    [
        ([1, 2, 3, 4, 5, 6], "..xx..", [" Wait, no:"]),
        ([7, 1, 2, 3, 5, 7, 6], "...x...", [" Wait,"]),  # the text is stripped, and what is forced moves with it
        ([7, 1], "x.", []),  # nothing of it is left
        ([3, 1, 4, 6], "x.xx", ["Wait,", " no:"]),
        ([8, 3, 8], ".x.", [" Wait,"]),
        ([1, 2], "..", []),
    ],
)
def test_forced_words_are_found_in_the_text(tokens, forced, said):
    rollout = written(tokens, forced)
    assert [rollout.text[start:end] for start, end in forced_ranges(rollout, pieces)] == said
    assert all(rollout.text[:start].strip() or start == 0 for start, _ in forced_ranges(rollout, pieces))


def test_where_the_tokens_are_not_the_text_nothing_is_said_of_places():
    rollout = written([1, 3, 2], ".x.", text="I see, 7")
    assert forced_ranges(rollout, pieces) == []
    (row,) = rollout_rows([Group(sample=rollout.sample, rollouts=(rollout,))], step=1, stage="rl", details=Details(pieces=pieces))
    assert row["forced_tokens"] == 1 and "forced" not in row


# judges


class Echo:
    """A policy that answers each question with its last word."""

    def check(self, sample):
        pass

    def sample(self, samples, *, n, sampling, seed):
        return [Group(sample=s, rollouts=(written([], "", text=s.messages[-1].text.split()[-1], sample=s),)) for s in samples]


def scored(rewards, *texts: str, **offered) -> list[Rollout]:
    sample = Sample(id="s", messages=(Message("user", (Picture.of(PIL.Image.new("RGB", (2, 2))), "?")),), target="8")
    group = Group(sample=sample, rollouts=tuple(written([1], ".", text=text, sample=sample) for text in texts))
    return list(asyncio.run(rewards.score([group], **offered))[0].rollouts)


def test_what_the_policy_was_asked_is_with_the_answer_that_it_was_asked_about():
    @reward
    async def good(rollout, ask):
        first = await ask((Message("system", ("Be brief.",)), Message("user", (rollout.sample.pictures[0], f"Is it {rollout.text}"))))
        return float(await ask((Message("user", (f"sure {first}",)),)) == "8")

    one, two = scored(weighted((good, 1.0)), "7", "8", ask=asking(Echo(), seed=0))
    for rollout in (one, two):
        said = rollout.text
        assert rollout.scores["good"].asked == (
            Exchange("policy", f"system: Be brief.\n\nuser: [picture]Is it {said}", said),
            Exchange("policy", f"user: sure {said}", said),
        )
    (row, _) = rollout_rows([Group(sample=one.sample, rollouts=(one, two))], step=1, stage="rl")
    assert row["asked"][1] == {"judge": "policy", "prompt": "user: sure 7", "reply": "7"}
    assert (one.reward, two.reward) == (0.0, 1.0)


def test_a_judge_of_any_kind_is_heard_also_within_a_mix_and_where_it_failed_its_form():
    def ask(rollout):
        return Question(messages=(Message("user", (rollout.text,)),))

    def grade(question):
        if "silent" in question.messages[0].text:
            raise JudgeFailed("nobody is there")
        return f"grade {question.messages[0].text}"

    by_rule = judged("judge", judge=Rule(grade, name="strict"), ask=ask, read=lambda reply, rollout: float("good" in reply.text))
    never = Reward(name="never", function=lambda rollout: 0.0)
    rollouts = scored(weighted((any_of(never, by_rule, name="accuracy"), 1.0), (by_rule, 1.0)), "good", "bad", "silent")
    heard = [[(e.judge, e.prompt, e.reply) for s in r.scores.values() for e in s.asked] for r in rollouts]
    assert heard == [[("strict", "user: good", "grade good")] * 2, [("strict", "user: bad", "grade bad")] * 2, []]
    assert rollouts[2].reward is None


def test_what_was_asked_of_a_group_is_with_its_first_sibling():
    @reward(scope="group")
    async def best(group, ask):
        said = await ask((Message("user", (" ".join(r.text for r in group.rollouts),)),))
        return [float(r.text == said) for r in group.rollouts]

    one, two = scored(weighted((best, 1.0)), "7", "8", ask=asking(Echo(), seed=0))
    assert [e.prompt for e in one.scores["best"].asked] == ["user: 7 8"] and not two.scores["best"].asked
    assert (one.reward, two.reward) == (0.0, 1.0)


def test_scores_are_equal_whoever_was_asked():
    assert Score(1.0, "why", asked=(Exchange("a", "b", "c"),)) == Score(1.0, "why") and "asked" not in repr(Score(1.0, asked=(1,)))


# marks


def looked_at(*, text: str = "7", target: object = "8", size: tuple[int, int] | None = (100, 50)) -> Rollout:
    picture = Picture.of(PIL.Image.new("RGB", (200, 100)))
    sample = Sample(id="s", messages=(Message("user", (picture, "?")),), target=target)
    return written([1], ".", text=text, sample=sample, pictures=(picture.seen_at(size) if size else picture,))


def row_of(rollout: Rollout, details: Details) -> dict:
    (row,) = rollout_rows([Group(sample=rollout.sample, rollouts=(rollout,))], step=1, stage="rl", details=details)
    return row


def test_marks_and_gold_are_drawn_at_the_size_that_the_model_saw():
    details = Details(marks=lambda rollout: [Mark(shape=Point(20, 10, Frame.MODEL), verb=f"say {rollout.text}")])
    row = row_of(looked_at(target=(Labelled("cat", Box(20, 10, 60, 30, Frame.PIXEL)),)), details)
    assert row["seen"] == [[100, 50]]
    assert row["gold"] == [{"picture": 0, "label": "cat", "box": [0.1, 0.1, 0.3, 0.3]}]
    assert row["marks"] == [{"picture": 0, "verb": "say 7", "point": [0.2, 0.2]}]


def test_what_there_is_nothing_to_say_of_is_left_out():
    details = Details(marks=lambda rollout: [Mark(shape=Point(20, 10, Frame.MODEL))], pieces=pieces)
    row = row_of(looked_at(size=None), details)  # a family that cuts pictures into tiles tells no size
    assert not {"seen", "gold", "marks", "forced", "forced_tokens", "asked"} & row.keys()
    assert not {"marks", "asked"} & row_of(looked_at(), Details()).keys()


def test_a_rollout_that_lists_no_pictures_of_its_own_is_drawn_on_its_samples():
    """A rollout that was made elsewhere than by our sampler need not repeat them."""
    rollout = replace(looked_at(), pictures=())
    row = row_of(rollout, Details(marks=lambda rollout: [Mark(shape=Point(100, 50, Frame.PIXEL))]))
    assert row["pictures"] == [rollout.sample.pictures[0].sha]
    assert row["marks"] == [{"picture": 0, "point": [0.5, 0.5]}]


def test_targets_of_other_libraries_numbers_are_numbers_and_sets_have_one_order():
    target = {"n": np.int64(3), "share": np.float32(0.5), "is_there": np.bool_(True), "none": np.float64("nan"), "labels": {"b", "c", "a"}}
    row = row_of(looked_at(target=target), Details())
    assert json.loads(json.dumps(row["target"])) == {"n": 3, "share": 0.5, "is_there": True, "none": "nan", "labels": ["a", "b", "c"]}
    assert row["target"]["is_there"] is True


def test_marks_of_other_libraries_numbers_can_be_written():
    mask = Mask(size=(np.int64(1), np.int64(3)), counts=(np.int64(1), np.int64(2)))
    row = row_of(looked_at(), Details(marks=lambda rollout: [Mark(shape=mask, picture=np.int64(0))]))
    assert json.loads(json.dumps(row["marks"])) == [{"picture": 0, "mask": {"size": [1, 3], "counts": [1, 2]}}]


def test_a_recipe_may_say_what_is_asked_for_and_a_reader_that_raises_is_heard():
    details = Details(gold=lambda sample: [Mark(shape=Point(0.5, 0.5, Frame.UNIT), label=str(sample.target))])
    assert row_of(looked_at(), details)["gold"] == [{"picture": 0, "label": "8", "point": [0.5, 0.5]}]

    def broken(rollout):
        raise ZeroDivisionError("a fault of the reader")

    with pytest.raises(ZeroDivisionError):
        row_of(looked_at(), Details(marks=broken))


# evaluations


def test_a_measured_sample_has_its_greedy_answer_and_the_scores_of_the_sampled_ones():
    def answer(text: str, value: float | None) -> Rollout:
        return looked_at(text=text, target=Point(0.5, 0.5, Frame.UNIT)).scored({"right": Score(value, "so"), "long": Score(0.5)}, value)

    sample = answer("", 0.0).sample
    evaluation = Evaluation(name="val", task=Task(name="t", split="test", samples=(sample,)), score=Reward(name="right", function=len), attempts=2)
    greedy, sampled = [answer("8", None)], [answer("7", 0.0), answer("8", 1.0)]
    groups = tuple(Group(sample=sample, rollouts=tuple(rollouts)) for rollouts in (greedy, sampled))
    measured = Measured(evaluation=evaluation, greedy=(0.0,), sampled=((0.0, 1.0),), metrics={}, groups=groups)
    details = Details(marks=lambda rollout: [Mark(shape=Point(0, 0, Frame.MODEL))])
    (row,) = evaluation_rows(measured, moment="rl-15", step=45, details=details)
    assert row == {
        "moment": "rl-15",
        "step": 45,
        "set": "val",
        "sample": "s",
        "kind": "",
        "prompt": "[picture]?",
        "pictures": [sample.pictures[0].sha],
        "target": {"x": 0.5, "y": 0.5, "frame": "unit"},
        "seen": [[100, 50]],
        "gold": [{"picture": 0, "point": [0.5, 0.5]}],
        "score": None,  # unscorable, which the evaluation counts as wrong
        "text": "8",
        "tokens": 1,
        "stop": "eos",
        "scores": {"right": {"value": None, "why": "so"}, "long": {"value": 0.5, "why": ""}},
        "sampled": [0.0, 1.0],
        "marks": [{"picture": 0, "point": [0, 0]}],
    }
    other = replace(measured, groups=(groups[0],))
    with pytest.raises(ValueError, match="zip"):
        list(evaluation_rows(other, moment="before", step=0))


# samples


@pytest.mark.parametrize("fault", [ValueError("no such frame"), KeyError("answer")])
def test_a_gold_answer_that_cannot_be_written_keeps_no_run_from_beginning(fault):
    """It is shown and not trained on; `saccade check` names it."""

    class Reads:
        def prompt_tokens(self, sample):
            return 9, 0

        def seen(self, sample):
            return sample.pictures

    def gold_answer(sample: Sample) -> str:
        if sample.id == "odd":
            raise fault
        return f"<answer>{sample.target}</answer>"

    samples = tuple(Sample(id=name, messages=(Message("user", ("?",)),), target="8") for name in ("even", "odd"))
    task = Task(name="t", split="test", samples=samples)
    stage = SimpleNamespace(name="rl", task=task)
    recipe = SimpleNamespace(stages=(stage,), evaluations=(), gold_answer=gold_answer)
    even, odd, last = (row for row, _ in sample_lines(recipe, Reads(), Details()))
    assert even["solution"] == "<answer>8</answer>" and even["tokens"] == {"prompt": 9, "pictures": 0}
    assert "solution" not in odd and odd["target"] == "8"
    assert last == {"totals": {"stage rl": 2}}


def test_what_a_run_is_held_to_is_the_same_in_every_process():
    code = (
        "from saccade.core.sample import Message, Sample, Task\n"
        "from saccade.run.progress import fingerprint\n"
        "sample = Sample(id='a', messages=(Message('user', ('?',)),), target=frozenset({'red', 'green', 'blue', 'grey'}))\n"
        "print(fingerprint([Task(name='t', split='train', samples=(sample,))]))"
    )
    found = {
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout
        for seed in "123"
    }
    assert len(found) == 1 and len(found.pop().strip()) == 64
