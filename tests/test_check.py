"""`saccade check`: every kind of fault, planted, is named with its rows; what is sound passes."""

from __future__ import annotations

import asyncio
import io
import json
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from saccade.algo.named import grpo
from saccade.cli import main
from saccade.core.picture import Box, Frame, Picture
from saccade.core.reward import Reward, Rewards, reward, weighted
from saccade.core.sample import BadRow, DataError, Message, Sample, Task
from saccade.data.duplicates import appearances, kinship, near_pairs
from saccade.policy.spec import LoRA, ModelSpec, Optimization, Sampling
from saccade.recipes.reason_rft import recipe as reason_rft
from saccade.rewards.answers.accuracy import multiple_choice, normalised
from saccade.rewards.judges import Question, Reply, Rule, judged
from saccade.rewards.length import soft_overlong
from saccade.rewards.mix import any_of, gated, routed
from saccade.rewards.papers.reason_rft import accuracy, length_reward
from saccade.rewards.format import strict_format_of
from saccade.rewards.read.boxes import box
from saccade.rewards.read.choices import choice, yes_no
from saccade.rewards.steps import steps_of
from saccade.run.check import Finding, check
from saccade.run.check.golds import gold_texts
from saccade.run.check.pictures import picture_part
from saccade.run.check.probes import (
    BLANKS,
    FILLED,
    HALF,
    HOSTILES,
    LISTED,
    OTHER,
    PROBES,
    TAGGED,
    TAGS,
    TWICE,
    hostiles_of,
    listing,
    wrong_answers,
)
from saccade.run.check.printing import print_checked
from saccade.run.check.rewards import reward_findings
from saccade.run.check.trying import Words, needs
from saccade.run.evaluate import Evaluation
from saccade.run.recipe import Recipe
from saccade.run.stage import RL, SFT
from tests.micro import rows as data_rows

FORM = "<think>I count.</think><answer>{}</answer>"


def sample(i: int, *, target: object = None, picture: Picture | None = None, **more) -> Sample:
    target = str(i) if target is None else target
    parts = (picture, f"How many? ({i})") if picture else (f"How many? ({i})",)
    return Sample(
        **{"id": f"row-{i}", "messages": (Message("user", parts),), "target": target, "kind": "counting"}
        | {"solution": FORM.format(target)}
        | more
    )


SAMPLES = [sample(i) for i in range(12)]
format_reward = strict_format_of("think", "answer")


@reward
def is_right(rollout):
    return rollout.section("answer") == rollout.sample.target


def found(*terms: Reward, samples: Sequence[Sample] = SAMPLES, watched: Sequence[Reward] = (), **options) -> list[Finding]:
    rewards = weighted(*((term, 1.0) for term in terms))
    golds, of_gold = gold_texts(samples, rewards, gold_answer=options.pop("gold_answer", None))
    return of_gold + reward_findings(rewards, samples, golds, seed=0, watched=watched, **options)


def only(findings: Sequence[Finding], kind: str, level: str = "error") -> Finding:
    """The one finding of that kind and level."""
    (one,) = [finding for finding in findings if (finding.kind, finding.level) == (kind, level)]
    return one


def errors(findings: Sequence[Finding]) -> list[str]:
    return [finding.what for finding in findings if finding.level != "note"]


# rewards


@pytest.mark.parametrize("gold", ["A", "B", "yes", "no"])
def test_a_hostile_text_names_no_option_so_no_choice_is_called_hacked(gold):
    """Each row meets all of them, bare and within its tags."""
    samples = [sample(i, target=gold) for i in range(4 * len(HOSTILES))]
    term = multiple_choice() if len(gold) == 1 else normalised()
    assert [finding.what for finding in found(term, format_reward, samples=samples) if "hostile" in finding.what] == []
    assert all(choice(text).value is None and yes_no(text).value is None for text in HOSTILES.values())


def test_sound_rewards_of_every_sort_have_no_findings():
    @reward
    async def awaited(rollout):
        await asyncio.sleep(0)
        return rollout.section("answer") == rollout.sample.target

    @reward(scope="group")
    def of_group(group):
        return [rollout.section("answer") == group.sample.target for rollout in group.rollouts]

    @reward(scope="group", best=None)
    def shorter(group):
        return [-len(rollout.text) for rollout in group.rollouts]

    @reward
    def early_or_late(rollout, progress, pieces):
        assert progress in (0.0, 1.0) and "".join(pieces(rollout.token_T)).strip() == rollout.text
        return 1.0 if steps_of(rollout, pieces) and rollout.section("answer") == rollout.sample.target else 0.0

    mixed = gated(format_reward, any_of(is_right, awaited, name="either"), name="mixed")
    terms = (is_right, awaited, of_group, shorter, early_or_late, mixed, format_reward, soft_overlong(limit=900, buffer=100))
    for term in terms[:3] + terms[4:6]:
        assert errors(found(term)) == []
    assert errors(found(*(replace(term, name=f"{i}") for i, term in enumerate(terms)))) == []
    assert errors(found(accuracy(), format_reward, replace(length_reward(), best=None))) == []


def test_a_broken_gold_is_named():
    samples = [*SAMPLES[:4], replace(SAMPLES[4], solution=FORM.format("four")), *SAMPLES[5:]]
    one = only(found(is_right, samples=samples), "gold")
    assert one.rows == ("row-4",) and (one.count, one.of) == (1, 12)
    assert one.what == "is_right: the gold answer earns 0 of 1"


def test_an_unreadable_gold_is_named():
    samples = [*SAMPLES, sample(12, target=""), sample(13, target="")]
    one = only(found(accuracy(), samples=samples), "unreadable")
    assert one.rows == ("row-12", "row-13") and "the gold answer is empty" in one.what


def test_what_earns_the_same_for_everything_is_constant():
    always = Reward(name="always", function=lambda rollout: 1.0)
    never = Reward(name="never", function=lambda rollout: 0.0)
    for term in (always, never):
        findings = found(is_right, term)
        assert [f.kind for f in findings if f.level == "error"] == ["constant"]
        assert only(findings, "constant").count == 12
    assert [f.kind for f in found(always)] == ["constant"]
    # A punishment that nothing calls for is no fault, and neither is a relative reward.
    assert errors(found(is_right, Reward(name="idle", function=lambda rollout: 0.0, best=0.0))) == []


def test_a_best_that_nothing_reaches():
    half = Reward(name="half", function=lambda rollout: 0.5 * is_right(rollout))
    one = only(found(half), "unreachable")
    assert one.what == "half: no gold answer earns its best of 1, the most is 0.5" and one.count == 12
    assert errors(found(replace(half, best=0.5))) == []


def test_one_that_pays_above_its_best_is_named():
    doubled = Reward(name="doubled", function=lambda rollout: 2.0 * is_right(rollout))
    one = only(found(doubled), "above")
    assert one.what == "doubled: the gold answer earns 2, and its best is said to be 1" and one.count == 12
    assert errors(found(replace(doubled, best=2.0))) == [] and errors(found(is_right, watched=(doubled,))) == []
    # Like VL-Rethinker's: the best is what a perfect answer can earn, so the gold answer must be perfect.
    shaped = Reward(name="shaped", function=lambda r: is_right(r) * (1.0 + 0.1 * ("wait" in r.text)), best=1.1)
    assert "no gold answer earns its best of 1.1, the most is 1" in only(found(shaped), "unreachable").what
    assert errors(found(shaped, gold_answer=lambda s: FORM.format(s.target).replace("I count", "I wait"))) == []
    assert only(found(replace(shaped, best=1.0), gold_answer=lambda s: f"wait {s.solution}"), "above").count == 12


def test_one_that_raises_before_it_scores_is_named():
    by_kind = routed("kind", {"counting": is_right}, name="by_kind")
    one = only(found(by_kind, samples=[*SAMPLES, sample(12, kind="box"), sample(13, kind="box")]), "raises")
    assert one.rows == ("row-12", "row-13") and one.of == 14 and "asks for the route 'box'" in one.what
    nothing = Reward(name="nothing", function=lambda: 1.0)
    findings = found(nothing, is_right)
    assert "nothing: cannot be called with a rollout" in only(findings, "raises").what and len(errors(findings)) == 1


def test_one_that_raises_is_named_with_row_and_text():
    @reward
    def fragile(rollout):
        if rollout.sample.id == "row-3" and is_right(rollout):
            raise KeyError(rollout.sample.id)
        return is_right(rollout)

    one = only(found(fragile), "raises")
    assert one.rows == ("row-3",) and one.of == 12
    assert one.what == "fragile: raises KeyError('row-3') on the gold answer and 2 further texts"

    @reward
    def reads(rollout):
        return float(int(rollout.section("answer") or 0) == int(rollout.sample.target))

    one = only(found(reads), "raises")
    assert one.what.startswith("reads: raises ValueError(") and one.count == 12

    nonsense = Reward(name="nonsense", function=lambda rollout: float("nan"))
    assert "must return a finite number" in only(found(is_right, nonsense), "raises").what
    short = Reward(name="short", function=lambda group: [1.0], scope="group")
    assert "one value per sibling" in only(found(is_right, short), "raises").what
    hostile_only = Reward(name="brackets", function=lambda r: json.loads("1" if r.text[:2] != "[[" else r.text) and is_right(r))
    one = only(found(hostile_only), "raises")
    assert one.rows == tuple(s.id for i, s in enumerate(SAMPLES) if "nested brackets" in hostiles_of(i, rows=12))
    assert "on hostile text (nested brackets)" in one.what and "RecursionError" in one.what


def test_watched_rewards_must_not_raise_and_need_no_best():
    grumpy = Reward(name="grumpy", function=lambda rollout: 1 / len(rollout.text))
    assert only(found(is_right, watched=(grumpy,)), "raises").what.startswith("grumpy: raises ZeroDivisionError")
    assert errors(found(is_right, watched=(Reward(name="any", function=lambda rollout: 0.3),))) == []


def test_a_slow_one_is_named():
    @reward
    def slow(rollout):
        until = time.process_time() + 0.06
        while time.process_time() < until:
            pass
        return is_right(rollout)

    one = only(found(slow, samples=SAMPLES[:2]), "slow", "warning")
    assert one.rows[0] in ("row-0", "row-1") and "ms of this process a call in the median" in one.what
    assert not [f for f in found(is_right) if f.kind == "slow"]

    @reward
    async def waiting(rollout):  # is asked about many rows at once
        await asyncio.sleep(0.03)
        return is_right(rollout)

    begin = time.perf_counter()
    assert errors(found(waiting, samples=[sample(i) for i in range(100)])) == []
    assert time.perf_counter() - begin < 0.03 * 100 * 9 / 2


def test_one_that_waits_is_timed_without_its_company(monkeypatch):
    monkeypatch.setattr("saccade.run.check.rewards.WAITING", 0.05)

    @reward
    async def far(rollout):
        await asyncio.sleep(0.06)
        return is_right(rollout)

    samples = [sample(i) for i in range(12)]
    rewards = weighted((far, 1.0))
    golds, _ = gold_texts(samples, rewards, gold_answer=None)
    one = only(reward_findings(rewards, samples, golds, seed=0), "slow", "warning")
    median, worst = (int(number) for number in re.findall(r"(\d+)(?= ms|\ at worst)", one.what))
    assert 60 <= median <= worst and ", mostly waiting, a call in the median" in one.what

    @reward
    async def crowded(rollout):  # works for a moment and waits: asked together, each call would take the work of all, 0.14 s
        until = time.process_time() + 0.005
        while time.process_time() < until:
            pass
        await asyncio.sleep(0.021)
        return is_right(rollout)

    monkeypatch.setattr("saccade.run.check.rewards.WAITING", 0.1)
    assert [f.what for f in found(crowded, samples=[sample(i) for i in range(24)]) if f.kind == "slow"] == []


def test_a_random_one_is_named():
    dice = random.Random(0)
    one = only(found(Reward(name="dice", function=lambda rollout: is_right(rollout) - 0.1 * dice.random())), "random")
    assert one.count == 12


@pytest.mark.parametrize(
    ("hackable", "probe"),
    [
        (lambda r: "<answer>" in r.text and r.section("answer") in (r.sample.target, ""), "the tags alone"),
        (lambda r: r.section("answer") in (r.sample.target, "..."), "the form filled with nothing"),
        (lambda r: r.text == "" or is_right(r), "an empty answer"),
        (lambda r: not r.text.strip() or is_right(r), "white space"),
        (lambda r: "full marks" in r.text or is_right(r), "hostile text (orders to the judge)"),
        (lambda r: is_right(r) or (r.section("answer") or "").isdigit() and int(r.sample.target) % 2 == 0, "another row's gold answer"),
    ],
)
def test_one_that_can_be_hacked_is_named(hackable: Callable, probe: str):
    samples = [sample(i) for i in range(len(HOSTILES))]
    findings = [f for f in found(Reward(name="soft", function=hackable), samples=samples) if f.kind == "hacked" and f.level == "error"]
    (one,) = [f for f in findings if f"soft: {probe} earns full marks" in f.what]
    assert 0 < one.count <= 14 and set(one.rows) <= {s.id for s in samples}
    assert errors(found(is_right, samples=samples)) == []


def test_form_alone_is_no_fault_beside_correctness_and_one_without():
    assert errors(found(is_right, format_reward)) == []
    kinds = {f.what.partition(" earns")[0]: f for f in found(format_reward) if f.level == "error"}
    assert {"format: another row's gold answer", "format: the form filled with nothing"} <= set(kinds)
    assert kinds["format: another row's gold answer"].count == 12


@pytest.mark.parametrize(("every", "level"), [(2, "error"), (7, "warning"), (40, "note")])
def test_how_bad_it_is_that_anothers_answer_is_right_depends_on_how_often(every: int, level: str):
    samples = [sample(i, target=str(i)) for i in range(40)]

    @reward
    def lucky(rollout):
        said = rollout.section("answer") or ""
        return is_right.function(rollout) or len(said) < 5 and said.isdecimal() and int(rollout.sample.target) % every == 0

    (one,) = [f for f in found(lucky, samples=samples) if f.kind == "hacked" and "another" in f.what]
    assert one.level == level and one.count <= -(-40 // every) and one.count > 30 // every - 1


def test_other_answers_are_only_compared_where_targets_differ():
    yes_no = [sample(i, target="yes" if i % 2 else "no") for i in range(20)]
    assert errors(found(is_right, samples=yes_no)) == []
    close = Reward(name="close", function=lambda r: abs(int(r.section("answer") or -99) - int(r.sample.target)) <= 1)
    spread = [sample(i, target=str(3 * i // 2)) for i in range(40)]

    @reward
    def tolerant(rollout):
        said = rollout.section("answer") or ""
        return len(said) < 5 and said.isdecimal() and close(rollout)

    findings = [f for f in found(tolerant, samples=spread) if f.kind == "hacked" and "another" in f.what]
    assert all(f.level == "note" and f.count <= 2 for f in findings)
    same = [sample(i, target="7") for i in range(9)]
    assert only(found(is_right, samples=same), "targets", "warning").what == 'every row has the same target, "7"'


def test_a_form_that_depends_on_the_row_is_no_error_where_another_term_judges():
    # As one that asks whether boxes lie within the picture: it knows rows apart, and not right from wrong.
    fits = Reward(name="fits", function=lambda r: (r.section("answer") or "").isdecimal() and int(r.sample.target) % 2 == 0)
    gold_fits = [sample(2 * i) for i in range(12)] + [sample(1, solution="none")]
    alone = [f for f in found(fits, samples=gold_fits) if "another" in f.what]
    assert [f.level for f in alone] == ["error"]
    beside = [f for f in found(fits, is_right, samples=gold_fits) if "another" in f.what]
    assert [(f.level, f.count) for f in beside] == [("note", alone[0].count)] and alone[0].count >= 10


def test_one_that_looks_for_the_answer_in_the_text_is_named():
    for contains in (
        lambda r: r.sample.target in r.text,
        lambda r: r.sample.target in (r.section("answer") or "").split(", "),
    ):
        one = only(found(Reward(name="contains", function=contains)), "hacked")
        assert one.what == f"contains: {LISTED} earns full marks" and one.count == 12
        letters = [sample(i, target="QXZK"[i % 4]) for i in range(8)]
        assert only(found(Reward(name="contains", function=contains), samples=letters), "hacked").count == 8
    # A recall pays for lists by its nature, and a precision beside it does not.
    recall = Reward(name="recall", function=lambda r: r.sample.target in (r.section("answer") or "").split(", "))
    assert only(found(recall, is_right), "hacked", "warning").what == f"recall: {LISTED} earns full marks"
    # The first or the last of several is a convention, and no search.
    last = Reward(name="last", function=lambda r: (r.section("answer") or "").split(", ")[-1] == r.sample.target)
    first = Reward(name="first", function=lambda r: (r.section("answer") or "").split(", ")[0] == r.sample.target)
    assert errors(found(last)) == errors(found(first)) == []
    assert errors(found(accuracy(), format_reward)) == []


def test_a_list_of_answers_keeps_the_form_and_hides_the_right_one():
    golds = [(FORM.format(n), n) for n in ("7", "1", "2", "3")]
    assert listing(golds[0], golds[1:]) == "<think>I count.</think><answer>1, 2, 7, 3</answer>"
    assert listing(golds[0], golds[1:2]) == "<think>I count.</think><answer>1, 7, 1</answer>"
    assert listing((r"so \boxed{\frac{1}{2}}", "1/2"), [(r"so \boxed{5}", "5")]) == r"so \boxed{5, \frac{1}{2}, 5}"
    assert listing(("<answer>7</answer><think>7 it is</think>", "7"), golds[1:2]) == "<answer>1, 7, 1</answer><think>7 it is</think>"
    assert listing(("seven", "7"), [("one", "1")]) == "one, seven, one"
    # Answers that are a part of the right one say nothing wrong.
    assert listing(("turn(1), move(2)", ""), [("turn(1)", "")]) is None
    boxes = [(f'```json\n[{{"bbox_2d": [{n}, 2, 3, 4]}}]\n```', "") for n in (1, 5)]
    assert listing(boxes[0], boxes[1:]) == '```json\n[{"bbox_2d": [5, 2, 3, 4]}, {"bbox_2d": [1, 2, 3, 4]}, {"bbox_2d": [5, 2, 3, 4]}]\n```'
    assert listing(("<answer>[1, 2]</answer>", ""), [("<answer>[3, 4]</answer>", "")]) == "<answer>[3, 4], [1, 2], [3, 4]</answer>"


def test_half_and_twice_are_told_apart():
    starts = Reward(name="starts", function=lambda r: r.text.startswith(r.sample.target))
    samples = [sample(i, target=chr(65 + i), solution=f"{chr(65 + i)} because I counted") for i in range(9)]
    findings = found(starts, samples=samples)
    assert only(findings, "hacked", "warning").what == f"starts: {HALF} earns full marks"
    assert [f.what for f in findings if f.level == "note"] == [f"starts: {TWICE} earns full marks"]
    assert [f.what for f in found(starts, samples=samples, is_trained=False) if f.level == "note"] == []


def test_what_needs_a_model_is_named_and_the_rest_is_checked():
    def ask_of(rollout):
        return Question.about("Grade.", rollout.text)

    async def never(question):
        raise AssertionError("was asked")

    never.name = "never"
    by_policy = judged("by_policy", judge="policy", ask=ask_of, read=lambda reply, rollout: 1.0)
    by_server = judged("by_server", judge=never, ask=ask_of, read=lambda reply, rollout: 1.0)

    @reward
    async def asks(rollout, ask):
        return 1.0

    mixed = any_of(is_right, by_server, name="mixed")
    assert needs(by_policy) == ["ask"] and needs(by_server) == needs(mixed) == ["a judge"] and needs(asks) == ["ask"]
    assert needs(is_right) == needs(Reward(name="d", function=lambda rollout, scale=2.0: 1.0)) == []
    always = Reward(name="always", function=lambda rollout: 1.0)
    findings = found(by_policy, by_server, asks, mixed, always)
    assert [f.what.partition(":")[0] for f in findings if f.kind == "unchecked"] == ["by_policy", "by_server", "asks", "mixed"]
    assert only(findings, "constant").what.startswith("always")


def test_a_rule_as_judge_is_checked():
    rule = Rule(lambda question: Reply("1" if ">7<" in question.messages[1].text else "0"))
    term = judged("rule", judge=rule, ask=lambda r: Question.about("Grade.", r.text), read=lambda reply, r: float(reply.text))
    assert needs(term) == []


# gold answers


def box_row(i: int) -> Sample:
    picture = Picture.of(PIL.Image.new("RGB", (100 + i, 80), (i, 40, 90)))
    return sample(i, target=Box(10 + i, 20, 50, 60, Frame.PIXEL), picture=picture, solution=None)


def in_frame(frame: Frame) -> Callable[[Sample], str]:
    def gold_answer(sample: Sample) -> str:
        box = sample.pictures[0].convert(sample.target, to=frame)
        return f"<answer>[{box.x1:g}, {box.y1:g}, {box.x2:g}, {box.y2:g}]</answer>"

    return gold_answer


@pytest.mark.parametrize("asked", [Frame.MODEL, Frame.PIXEL])
@pytest.mark.parametrize("compared", [Frame.MODEL, Frame.PIXEL])
def test_a_box_compared_in_another_frame_than_it_was_asked_for_is_named(asked, compared):
    @reward
    def overlap(rollout):
        said = box(rollout.section("answer") or "", frame=compared).value
        return 0.0 if said is None else rollout.pictures[0].convert(said, to=Frame.PIXEL).iou(rollout.sample.target)

    findings = found(overlap, samples=[box_row(i) for i in range(6)], gold_answer=in_frame(asked))
    if asked == compared:
        assert errors(findings) == []
    else:
        assert only(findings, "constant").what == "overlap: earns 0 whatever is written"


def test_gold_answers_come_from_the_recipe_the_solution_or_the_likeliest_form():
    samples = [replace(s, solution=None) for s in SAMPLES]
    assert errors(found(is_right, samples=samples)) == []
    assert "<answer>TARGET</answer>" in only(found(is_right, samples=samples), "gold", "note").what
    assert "<think>" in only(found(is_right, format_reward, samples=samples), "gold", "note").what
    assert errors(found(is_right, samples=samples, gold_answer=lambda s: FORM.format(s.target))) == []
    half = found(is_right, samples=samples, gold_answer=lambda s: None if s.id == "row-2" else FORM.format(s.target))
    assert only(half, "gold", "warning").rows == ("row-2",)
    raising = found(is_right, samples=samples, gold_answer=lambda s: FORM.format(9 // int(s.target)))
    assert only(raising, "raises").rows == ("row-0",) and "ZeroDivisionError" in only(raising, "raises").what


def test_wrong_answers_keep_the_form_and_never_equal_the_gold():
    texts = wrong_answers("<think>3+4=7</think><answer>7</answer>", other="<answer>2</answer>", hostile=["a huge number"])
    assert texts[TAGS] == "<think></think><answer></answer>" and texts[FILLED] == "<think>...</think><answer>...</answer>"
    assert texts[BLANKS] == "<think> \n</think> \n<answer> \n</answer>" and texts[OTHER] == "<answer>2</answer>"
    assert texts[f"{TAGGED} (a huge number)"].count("9" * 5000) == 2 and texts[HALF] == "<think>3+4=7</think"
    boxes = wrong_answers('```json\n[{"bbox": [1, 2.5], "label": "car", "ok": true}]\n```', other=None, hostile=["a huge number"])
    assert boxes[FILLED] == '```json\n[{"bbox": [0, 0], "label": "", "ok": false}]\n```'
    assert wrong_answers(r"so \boxed{\frac{1}{2}}", other=None, hostile=["a huge number"])[TAGS] == r"\boxed{}"
    assert all(text.strip() for text in wrong_answers("", other=None, hostile=["a huge number"]).values())
    assert set(texts) <= set(PROBES)
    for rows in (1, 2, 5, 13, 14, 15, 40):
        met = [name for row in range(rows) for name in hostiles_of(row, rows=rows)]
        assert set(met) == set(HOSTILES) and len(met) <= 2 * max(rows, len(HOSTILES))


def test_words_stand_for_a_tokenizer():
    words = Words()
    for text in ("", " a b\n\nc  ", "x", "ab a"):
        assert "".join(words.pieces(words.tokens(text))) == text
    assert words.rollout(SAMPLES[0], "one two three").n_sampled == 3


# pictures


def scene(seed: int, side: int = 96) -> PIL.Image.Image:
    """Smooth blobs: different seeds look different."""
    coarse = np.random.default_rng(seed).integers(0, 256, size=(6, 6, 3), dtype=np.uint8)
    return PIL.Image.fromarray(coarse).resize((side, side), PIL.Image.Resampling.BICUBIC)


def saved_again(image: PIL.Image.Image, *, scale: float = 0.6, quality: int = 75) -> PIL.Image.Image:
    buffer = io.BytesIO()
    image.resize((round(image.width * scale), round(image.height * scale))).save(buffer, "JPEG", quality=quality)
    return PIL.Image.open(buffer)


def shown(i: int, image: PIL.Image.Image, **more) -> Sample:
    return sample(i, picture=Picture.of(image), **more)


TRAIN = [shown(i, scene(i)) for i in range(6)]


def test_pictures_that_are_sound():
    part = picture_part(TRAIN, {"test": [shown(9, scene(9))]})
    assert part.findings == () and part.about == "7 different, 96x96 pixels"
    assert picture_part(SAMPLES, {"test": [sample(99)]}).about == "none"


def test_an_exact_leak_is_an_error_with_pairs():
    twin = Picture.of(PIL.Image.open(io.BytesIO(TRAIN[2].pictures[0].data)))  # other bytes, same pixels
    part = picture_part(TRAIN, {"test": [shown(9, scene(9)), sample(10, picture=twin)], "other": [shown(11, scene(11))]})
    one = only(part.findings, "leak")
    assert one.rows == ("row-2 = row-10",) and one.what.startswith("test ")


@pytest.mark.parametrize(("scale", "quality"), [(0.5, 60), (0.6, 75), (1.0, 40), (1.7, 90)])
def test_a_picture_saved_again_is_near(scale, quality):
    copy = saved_again(scene(4), scale=scale, quality=quality)
    part = picture_part(TRAIN, {"test": [shown(9, scene(9)), shown(10, copy)]})
    assert only(part.findings, "near", "warning").rows == ("row-4 ~ row-10",)


def test_other_colours_are_not_near_and_blank_ones_are_no_pair():
    red_for_green = PIL.Image.merge("RGB", [scene(4).split()[i] for i in (1, 0, 2)])
    grey = PIL.Image.new("RGB", (96, 96), (90, 90, 90))
    part = picture_part([*TRAIN, shown(20, grey)], {"test": [shown(10, red_for_green), shown(11, PIL.Image.new("RGB", (96, 96), (91, 91, 91)))]})
    assert [f.kind for f in part.findings] == ["content"]
    assert only(part.findings, "content", "warning").rows == ("row-20", "row-11")


def test_ten_thousand_pictures_are_compared_in_seconds():
    few = appearances([s.pictures[0] for s in TRAIN])
    bits = np.random.default_rng(0)
    hash_K = bits.integers(0, 2**64, size=10_000, dtype=np.uint64)
    many = replace(few[[0] * 10_000], hash_K=hash_K)
    flipped = hash_K.copy()
    flipped[17] ^= np.uint64(0b1011)
    begin = time.process_time()
    pairs = near_pairs(many[range(5_000)], replace(many, hash_K=flipped)[range(10_000)])
    assert time.process_time() - begin < 10
    assert (17, 17, 3) in pairs and {pair.left for pair in pairs} == set(range(5_000))
    assert all(pair.left == pair.right for pair in pairs if pair.distance == 0)


def test_what_looks_alike_through_another_belongs_together():
    few = appearances([TRAIN[0].pictures[0]])
    hash_K = np.array([0b1111_0000_0000, 2**40 - 1, 0b1111, 0, 0b1111_0000, 2**40 - 2], dtype=np.uint64)  # each 4 bits from 0, or far
    assert kinship(replace(few[[0] * 6], hash_K=hash_K), within=4) == (0, 1, 0, 0, 0, 1)
    assert kinship(replace(few[[0] * 6], hash_K=hash_K), within=0) == (0, 1, 2, 3, 4, 5)
    assert kinship(few[[]]) == ()


def test_popcount_without_numpy_2(monkeypatch):
    few = appearances([s.pictures[0] for s in TRAIN])
    expected = near_pairs(few, few, within=64, alike=-1)
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert near_pairs(few, few, within=64, alike=-1) == expected and len(expected) == 36


def test_sizes_and_contents_that_a_model_cannot_see(tmp_path, monkeypatch):
    monkeypatch.setattr("saccade.run.check.pictures.MOST_PIXELS", 90_000)
    clear = PIL.Image.new("RGBA", (64, 64), (9, 9, 9, 0))
    clear.paste((200, 0, 0, 255), (0, 0, 32, 32))
    clear.save(tmp_path / "clear.png")
    turned = scene(31)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    samples = [
        *TRAIN,
        shown(20, scene(20, side=20)),
        shown(21, scene(21, side=400)),
        shown(22, scene(22).resize((30 * 201, 30))),
        sample(23, picture=Picture(path=tmp_path / "clear.png")),
        sample(24, picture=Picture(path=tmp_path / "turned.jpg")),
    ]
    findings = picture_part(samples, {}).findings
    assert only(findings, "small", "warning").rows == ("row-20",) and "20x20" in only(findings, "small", "warning").what
    assert set(only(findings, "large", "warning").rows) == {"row-21", "row-22"}
    assert only(findings, "shape", "warning").rows == ("row-22",)
    assert only(findings, "content", "warning").rows == ("row-23",) and "RGBA" in only(findings, "content", "warning").what
    assert only(findings, "content", "note").rows == ("row-24",)


def test_several_questions_about_one_picture_are_normal_and_shared_questions_are_not():
    findings = picture_part([*TRAIN, sample(20, picture=TRAIN[0].pictures[0])], {}).findings
    assert only(findings, "repeated", "note").rows == ("row-0", "row-20")
    asked_again = replace(SAMPLES[3], id="test-3")
    part = picture_part(SAMPLES, {"test": [asked_again, sample(44)]})
    assert only(part.findings, "leak").rows == ("row-3 = test-3",)


# whole recipes


def recipe_of(
    samples: Sequence[Sample], held_out: Sequence[Sample] = (), *, rewards: Rewards | None = None, limit: int = 60, **more
) -> Recipe:
    rl = RL(
        task=Task(name="mine", split="train", samples=tuple(samples), bad_rows=more.pop("bad_rows", ())),
        rewards=rewards or weighted((is_right, 1.0), (format_reward, 0.5)),
        algorithm=grpo(beta=0.0),
        steps=1,
        prompts=2,
        siblings=2,
        sampling=Sampling(max_tokens=limit),
        optimization=Optimization(lr=1e-5),
    )
    test = Evaluation(name="test", task=Task(name="mine", split="test", samples=tuple(held_out)), score=is_right, max_tokens=60)
    return Recipe(name="mine", about="planted", **{"model": ModelSpec(lora=LoRA())} | more, stages=(rl,), evaluations=(test,) * bool(held_out))


def test_what_a_stage_of_imitation_writes_is_looked_at_as_its_solutions_are():
    def answer(sample):
        return f"<answer>{sample.pictures[0].model_size[0]}</answer>"

    whole = recipe_of([replace(one, solution=None) for one in TRAIN])
    sft = SFT(task=whole.stages[0].task, steps=1, batch=2, optimization=Optimization(lr=1e-5), answer=answer)
    assert check(replace(whole, stages=(sft,))).is_sound

    def broken(sample):
        return sample.data["box"]

    parts = check(replace(whole, stages=(replace(sft, answer=broken),))).parts
    assert only(next(part for part in parts if part.name == "stage sft").findings, "raises").what == "the stage's answer raises KeyError('box')"


HELD_OUT = [shown(30 + i, scene(30 + i)) for i in range(3)]


def test_a_sound_recipe_passes_whole():
    checked = check(recipe_of(TRAIN, HELD_OUT))
    assert checked.is_sound and [f for f in checked.findings if f.level != "note"] == []
    assert [part.name for part in checked.parts] == ["stage rl", "test", "pictures", "tokens"]
    assert "6 rows, is_right + format" in checked.parts[0].about
    assert json.loads(json.dumps(checked.as_dict()))["is_sound"] is True


def test_an_unreadable_picture_is_told_once_and_stops_nothing(tmp_path):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG no more")
    torn = sample(7, picture=Picture(path=tmp_path / "torn.png"))
    checked = check(recipe_of([*TRAIN, torn], HELD_OUT))
    assert not checked.is_sound and [f.rows for f in checked.findings if f.level == "error"] == [("row-7",)]
    assert "torn.png" in only(checked.findings, "unopened").what


def test_bad_rows_are_listed_by_reason():
    bad = (BadRow("a", "the answer is empty"), BadRow("b", "the answer is empty"), BadRow("c", "has no field 'id'"))
    findings = check(recipe_of(TRAIN, bad_rows=bad)).findings
    assert [(f.rows, f.of) for f in findings if f.kind == "rows"] == [(("a", "b"), 9), (("c",), 9)]


def test_what_is_left_out_of_training_is_a_note():
    whole = recipe_of(TRAIN, HELD_OUT)
    (rl,) = whole.stages
    rest = replace(rl.task, samples=(*TRAIN, replace(HELD_OUT[0], id="shown"), replace(HELD_OUT[2], id="too"))).apart_from(HELD_OUT)
    checked = check(replace(whole, stages=(replace(rl, task=rest), replace(rl, name="more", task=rest))))
    (note,) = [finding for finding in checked.findings if finding.kind == "apart"]
    why = "held-out or test sets show their pictures, or ask the same without any"
    assert checked.is_sound and (note.level, note.rows) == ("note", ("shown", "too"))
    assert note.what == f"2 training samples are left out: {why}; 6 are left"
    out = io.StringIO()
    print_checked(checked, seconds=1, out=out)
    assert f"{note.what} (such as shown)" in " ".join(out.getvalue().split())


def from_rows(rows: Sequence[dict], name: str, **options) -> Task:
    return Task.from_rows(rows, lambda row: sample(row["i"], picture=None if row["i"] % 2 else scene_picture(row["i"])), name=name, **options)


def scene_picture(i: int) -> Picture:
    return Picture.of(scene(i))


def rows_of(numbers: Sequence[int], *, bad: int) -> list[dict]:
    """So many rows of which the first few lack a field."""
    return [{"id": f"row-{i}"} | ({} if place < bad else {"i": i}) for place, i in enumerate(numbers)]


def test_all_bad_rows_are_named_and_the_rest_is_checked():
    def make(bad: int = 5, bad_held_out: int = 1) -> Recipe:
        held_out = from_rows(rows_of(range(50, 54), bad=bad_held_out), "seen", split="test")
        train = from_rows(rows_of(range(20), bad=bad), "mine", split="train")
        one = recipe_of(train.samples, HELD_OUT, bad_rows=train.bad_rows)
        return replace(one, evaluations=(replace(one.evaluations[0], task=held_out),))

    with pytest.raises(DataError, match="1 of 4 rows cannot be read"):
        make()
    checked = check(make)
    data, stage, *_ = checked.parts
    assert [(f.level, f.kind, f.rows, f.of) for f in data.findings] == [
        ("error", "rows", ("row-50",), 4),
        ("error", "rows", ("row-0", "row-1", "row-2", "row-3", "row-4"), 20),
    ]
    assert data.findings[1].what == "mine (train): cannot be read, and at most 2% of the rows may be so: has no field 'i'"
    assert data.findings[1].whys == ("has no field 'i'",) * 5 and data.about == "no run would start with seen (test), mine (train)"
    assert stage.about == "15 rows, is_right + format" and checked.count("error") == 2, "told once"
    assert [part.name for part in checked.parts] == ["data", "stage rl", "test", "pictures", "tokens"]
    with pytest.raises(DataError):  # as ever, once the check is over
        make()

    nothing_left = check(lambda: make(bad=20), name="mine").findings
    assert [f.count for f in nothing_left] == [1, 20, 0] and "no samples to train on" in nothing_left[-1].what
    held_out_empty = check(lambda: make(bad=0, bad_held_out=4))
    assert "has no rows" in only(held_out_empty.findings, "rows", "warning").what and held_out_empty.count("error") == 1
    with pytest.raises(ZeroDivisionError):
        check(lambda: 1 / 0)


def test_every_row_keeps_its_own_reason():
    def ask(row):
        raise DataError(f"is {row['id'] * 3} of kind {row['kind']}")

    rows = [{"id": f"r{i}", "kind": "abcdefghijk"[i % 11]} for i in range(30)]
    findings = check(lambda: Task.from_rows(rows, ask, name="odd", split="train").samples[0], name="odd").findings
    told = {row: why for finding in findings for row, why in zip(finding.rows, finding.whys, strict=True)}
    assert told == {row["id"]: f"is {row['id'] * 3} of kind {row['kind']}" for row in rows}
    assert len(findings) == 8 + 1 + 1 and "further reasons, such as" in findings[-2].what


def test_a_list_without_rows_says_so():
    (one, _) = check(lambda: from_rows([], "mine", split="train").samples[0]).findings
    assert one.what == "mine (train): there are no rows"
    with pytest.raises(DataError, match=r"^mine \(train\): there are no rows$"):
        from_rows([], "mine", split="train")


def test_a_picture_that_is_gone_after_it_was_read_is_named(tmp_path):
    scene(40).save(tmp_path / "gone.png")
    gone = sample(40, picture=Picture.open(tmp_path / "gone.png"))
    assert gone.pictures[0].size == (96, 96) and gone.pictures[0].image
    (tmp_path / "gone.png").unlink()
    checked = check(recipe_of([*TRAIN, gone], HELD_OUT))
    one = only(checked.findings, "unopened")
    assert one.rows == ("row-40",) and "gone.png" in one.what


def test_tokens_are_held_against_the_limit_and_the_context():
    findings = check(recipe_of(TRAIN, limit=5)).findings
    assert only(findings, "tokens", "warning").count == 6 and "an answer may have 5" in only(findings, "tokens", "warning").what
    findings = check(recipe_of(TRAIN, limit=100_000)).findings
    assert "the model has room for" in only(findings, "tokens", "warning").what
    holds_a_mark = replace(TRAIN[1], messages=(Message("user", (*TRAIN[1].pictures, "<|image_pad|>")),))
    findings = check(recipe_of([TRAIN[0], holds_a_mark, *TRAIN[2:]])).findings
    assert only(findings, "tokens").rows == ("row-1",)


def test_without_a_processor_the_rest_is_checked(tmp_path):
    checked = check(recipe_of(TRAIN, HELD_OUT, model=ModelSpec(path=str(tmp_path / "nothing"))))
    assert checked.is_sound and "tokens are not counted" in only(checked.findings, "model", "warning").what


def test_rows_are_drawn_by_the_seed_and_counted():
    made = recipe_of([sample(i) for i in range(100, 150)])
    few = check(made, rows=7)
    assert few.parts[0].about.startswith("7 of 50 rows") and few == check(made, rows=7)
    for rows in (0, -3):
        with pytest.raises(ValueError, match=f"rows must be at least 1, or None for all, got {rows}"):
            check(made, rows=rows)


def test_a_narrow_terminal_wraps_and_cuts_nothing():
    checked, out = check(recipe_of(TRAIN, HELD_OUT)), io.StringIO()
    about = checked.parts[-1].about
    for width in ("40", "80"):
        out = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", width)
            print_checked(checked, seconds=1.0, out=out)
        assert " ".join(about.split()) in " ".join(out.getvalue().split())
        assert max(map(len, out.getvalue().splitlines())) <= int(width)


# the command


def test_the_command_says_sound(tmp_path, capsys):
    words = ["check", "reason_rft", "--data", str(data_rows()), "--json", str(tmp_path / "found.json")]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1].startswith("reason_rft is sound") and "stage rl" in out
    written = json.loads((tmp_path / "found.json").read_text())
    assert written["is_sound"] and written["errors"] == 0 and len(written["parts"]) == len(reason_rft(data=data_rows()).evaluations) + 4


@pytest.fixture
def spoilt(tmp_path) -> Path:
    """A copy of the data in which three answers do not fit their worked solutions, and a test picture is a training one."""
    folder = Path(shutil.copytree(data_rows(), tmp_path / "spoilt"))
    path = folder / "train_jsons/A3-Visual-Counting-train.json"
    rows = json.loads(path.read_text())
    for row in rows[:3]:
        row["answer"] = "1000"
    path.write_text(json.dumps(rows))
    test = next(folder.glob("images/test_images/clevr-math-id-*.png"))
    shutil.copy(folder / "images/train_images/clevr-math-00004.png", test)
    return folder


def test_the_command_says_not_sound_and_names_the_rows(spoilt):
    script = "import sys; from saccade.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ["check", "reason_rft", "--data", str(spoilt), "--with", "variant=rft_zero", "--with", "task=counting"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, env={**__import__("os").environ, "COLUMNS": "200"})
    assert done.returncode == 1, done.stderr
    assert "reason_rft-rft_zero is NOT sound: 1 error " in done.stdout
    assert "3 of 7: clevr-math-00000, clevr-math-00001, clevr-math-00002" in done.stdout
    # The recipe trains on no picture of a test set.
    assert "note     1 training sample is left out:" in done.stdout and done.stdout.count("clevr-math-00004") == 1


def test_the_command_names_all_bad_pictures_and_writes_the_findings(tmp_path, capsys):
    folder = Path(shutil.copytree(data_rows(), tmp_path / "torn"))
    for i in range(2):
        (folder / f"images/train_images/clevr-math-0000{i}.png").write_bytes(b"torn")
    words = ["check", "reason_rft", "--data", str(folder), "--with", "variant=rft_zero", "--with", "task=counting"]
    assert main([*words, "--json", str(tmp_path / "found.json")]) == 1
    assert "2 of 10: clevr-math-00000, clevr-math-00001" in capsys.readouterr().out
    data, stage, *_ = json.loads((tmp_path / "found.json").read_text())["parts"]
    assert data["findings"][0]["rows"] == ["clevr-math-00000", "clevr-math-00001"]
    assert all(f"clevr-math-0000{i}.png cannot be decoded" in why for i, why in enumerate(data["findings"][0]["whys"]))
    assert stage["name"] == "stage rl" and stage["findings"] == []


def test_the_command_keeps_the_findings_where_they_cannot_be_written(capsys):
    if not Path("/dev/full").exists():
        pytest.skip("has no device that is always full")
    assert main(["check", "reason_rft", "--data", str(data_rows()), "--json", "/dev/full"]) == 2
    said = capsys.readouterr()
    assert "reason_rft is sound" in said.out and "--json /dev/full cannot be written" in said.err


def test_the_command_warns_of_a_model_that_is_not_there(capsys, tmp_path):
    assert main(["check", "reason_rft", "--data", str(data_rows()), "--model", str(tmp_path / "no/such")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "warning tokens are not counted, as the model's processor cannot be loaded" in out and "sound: 1 warning" in out


def test_the_command_refuses_misuse(capsys, tmp_path):
    data = ["--data", str(data_rows())]
    for words in (
        ["nope"],
        ["reason_rft", *data, "--rows", "0"],
        ["reason_rft", *data, "--json", "/nowhere/at/all.json"],
        ["reason_rft", *data, "--json", str(tmp_path)],
        ["reason_rft", "--data", str(tmp_path / "nowhere")],
        [],
    ):
        try:
            status = main(["check", *words])
        except SystemExit as stop:
            status = stop.code
        assert status == 2
        assert capsys.readouterr().err
