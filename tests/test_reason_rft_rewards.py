"""Reason-RFT's rewards against the specification's literal numbers, and the pitfalls of the released code."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.core.reward import RewardError, weighted
from saccade.core.rollout import Group, Rollout, Score, Stop
from saccade.core.sample import Message, Sample
from saccade.rewards.papers.reason_rft.matching import Pairs, pair_up
from saccade.rewards.papers.reason_rft import (
    FULL_ONLY,
    PARTIAL,
    PENALTY,
    Discrete,
    FunctionCalls,
    Mathematical,
    accuracy,
    evaluation,
    format,
    length_reward,
    reasoning_steps,
)
from saccade.rewards.read.calls import Call
from saccade.rewards.answers.symbolic import is_equal

needs_math_verify = pytest.mark.skipif(
    importlib.util.find_spec("math_verify") is None, reason="math-verify is an optional extra"
)

GOLD = "change_color(0, red) change_size(1, small)"


def attempt(text: str, target: object = "7", *, kind: str = "counting") -> Rollout:
    sample = Sample(id="row/3", messages=(Message("user", ("?",)),), target=target, kind=kind)
    return Rollout(sample=sample, text=text, token_T=(), logp_T=(), is_sampled_T=(), stop=Stop.EOS)


def answered(answer: str, target: object = "7", **options) -> Rollout:
    return attempt(f"<think>so</think>\n<answer>{answer}</answer>", target, **options)


def group_of(*rollouts: Rollout) -> Group:
    return Group(sample=rollouts[0].sample, rollouts=rollouts)


def scores_of(reward, *rollouts: Rollout, progress: float = 1.0) -> list[float]:
    scores = asyncio.run(reward.scores(group_of(*rollouts), progress=progress))
    assert all(score.why for score in scores)
    return [score.value for score in scores]


# format


@pytest.mark.parametrize(
    ("text", "value", "released"),
    [
        ("<think>a</think><answer>b</answer>", 1, 1),
        ("<think>a\nb</think>\n\n <answer>\nc\n</answer>", 1, 1),
        ("<think></think><answer></answer>", 0, 1),
        ("<think>a</think>x<answer>b</answer>", 0, 0),
        (" <think>a</think><answer>b</answer>", 1, 0),
        ("<think>a</think><answer>b</answer>\n", 1, 0),
        ("<think>a<answer>b</answer>", 0, 0),
        ("<answer>b</answer><think>a</think>", 0, 0),
        ("<answer>b</answer>", 0, 0),
        ("", 0, 0),
    ],
)
def test_format(text, value, released):
    assert (format()(attempt(text)).value, format(as_released=True)(attempt(text)).value) == (value, released)


def test_caption_format_wants_all_four_in_order():
    text = "<summary>s</summary><caption>c</caption>\n<think>t</think><answer>7</answer>"
    assert format(has_caption=True)(attempt(text)).value == 1
    assert format(has_caption=True)(answered("7")).value == format()(attempt(text)).value == 0


# discrete


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [
        ("<answer>7</answer>", "7", 1),
        ("<answer> 7\n</answer>", "<answer> 7 </answer>", 1),
        ("<answer>7</answer> <answer>8</answer>", "7", 0),
        ("<answer>7</answer> <answer>8</answer>", "8", 1),
        ("<answer>3.0</answer>", "3", 0),
        ("<answer>7 digits</answer>", "7", 0),
        ("<answer>B</answer>", "B", 1),
        ("<answer>b</answer>", "B", 0),
        ("<answer>7</answer>", 7, 1),
        ("<answer></answer>", "7", 0),
    ],
)
def test_discrete(text, target, value):
    assert Discrete()(attempt(text, target)).value == value


def test_pitfall_1_an_answer_over_several_lines_counts():
    assert Discrete()(attempt("<think>a\nb</think>\n<answer>\n7\n</answer>")).value == 1
    text = f"<think>\nchange_size(9, large)\n</think>\n<answer>\n{GOLD}\n</answer>"
    assert scores_of(evaluation(), attempt(text, GOLD, kind="spatial")) == [1.0]


def test_pitfall_8_without_tags_there_is_no_accuracy_unless_asked_for():
    assert [judge(attempt("7")).value for judge in (Discrete(), Mathematical())] == [0, 0]
    assert FunctionCalls()(attempt(GOLD, GOLD)).value == 0
    assert Discrete(untagged=is_equal)(attempt(" 7 ")).value == 1
    assert Mathematical(untagged=is_equal)(attempt("7.0")).value == 1
    assert Discrete(untagged=is_equal)(attempt("8")).value == 0
    assert FunctionCalls(reads_untagged=True)(attempt(GOLD, GOLD)).value == 1


def test_the_last_block_counts_and_the_first_as_released():
    text = "<think>perhaps <answer>8</answer></think><answer>7</answer>"
    counted = attempt(text, "7", kind="counting")
    terms = (accuracy(), accuracy(as_released=True), evaluation(), evaluation(as_released=True))
    assert [term(counted).value for term in terms] == [1, 0, 1, 0]
    assert Mathematical()(attempt(text, "7")).value == 1
    moved = attempt(f"<think><answer>{GOLD}</answer></think><answer>f(9, z)</answer>", GOLD, kind="spatial")
    assert [term(moved).value for term in terms] == [0, 1, 0, 1]


@needs_math_verify
def test_pitfall_8_as_released_a_number_in_prose_is_enough_but_not_inside_tags():
    released = accuracy(as_released=True)
    assert scores_of(released, attempt("I count 7 of them"), attempt("it cannot be 7")) == [1, 1]
    assert scores_of(released, answered("I count 7 of them"), answered("7.0"), attempt("I count 8")) == [0, 0, 0]


# mathematical


@pytest.mark.parametrize(
    ("answer", "gold", "value"),
    [
        ("104", "100", 1.0),
        ("105", "100", 1.0),
        ("112.5", "100", 0.5),
        ("108.75", "100", 0.8535534),  # (1 + cos(pi / 4)) / 2
        ("120", "100", 0.0),
        ("121", "100", 0.0),
        ("96", "100", 1.0),
        ("-112.5", "-100", 0.5),
        ("87.5", "1e2", 0.5),
        ("-100", "100", 0.0),
        ("0", "0", 1.0),
        ("0.0", "0", 1.0),
        ("0.001", "0", 0.0),
        ("nan", "100", 0.0),
        ("inf", "100", 0.0),
        ("B", "B", 1.0),
        ("b", "B", 0.0),
        ("B", "100", 0.0),
        ("100", "B", 0.0),
        ("100 cm", "100", 0.0),
    ],
)
def test_mathematical(answer, gold, value):
    assert Mathematical()(answered(answer, gold)).value == pytest.approx(value, abs=1e-7)


@given(st.floats(-1e6, 1e6).filter(lambda x: abs(x) > 1e-6), st.floats(-0.4, 0.4), st.floats(0, 0.4))
def test_being_further_off_never_pays(gold, off, further):
    judge = Mathematical()
    near, far = (judge.closeness(gold * (1 + x), gold) for x in (off, off + further if off >= 0 else off - further))
    assert 0 <= far <= near + 1e-9 <= 1 + 1e-9


def test_a_senseless_tolerance_is_refused():
    with pytest.raises(ValueError, match="full < none"):
        Mathematical(full=0.2, none=0.1)


# function calls


@pytest.mark.parametrize(
    ("answer", "partial", "full_only", "penalty", "evaluator"),
    [
        (GOLD, 1.0, 1.0, 1.0, 1.0),
        ("change_size('1', 'small'), change_color( 0 ,\"red\")", 1.0, 1.0, 1.0, 1.0),
        ("change_color(0, red) change_size(1, large)", 0.75, 0.5, 0.375, 0.75),
        ("change_color(0, red) change_color(0, red)", 0.25, 0.25, 0.25, 0.5),
        ("change_color(0, red)", 0.5, 0.5, 0.5, 0.5),
        ("change_color(5, red)", 0.25, 0.0, -0.125, 0.25),
        ("change_color(5, blue)", 0.125, 0.0, -0.25, 0.125),
        ("change_shape(0, red)", 0.0, 0.0, 0.0, 0.0),
        (GOLD + " change_shape(0, cube) change_shape(1, cube)", 0.5, 0.5, 0.5, 0.5),
        ("nothing changed", 0.0, 0.0, 0.0, 0.0),
        ("", 0.0, 0.0, 0.0, 0.0),
    ],
)
def test_function_variants(answer, partial, full_only, penalty, evaluator):
    rollout = answered(answer, f"<answer>{GOLD}</answer>", kind="spatial")
    values = [FunctionCalls(credits=credits)(rollout).value for credits in (PARTIAL, FULL_ONLY, PENALTY)]
    assert [*values, *scores_of(evaluation(), rollout)] == pytest.approx([partial, full_only, penalty, evaluator])


def test_only_the_answer_block_is_read():
    text = f"<think>{GOLD}</think><answer>change_color(0, red)</answer>"
    assert FunctionCalls()(attempt(text, GOLD)).value == 0.5
    assert FunctionCalls(reads_untagged=True)(attempt(text, GOLD)).value == 0.5


def test_pitfall_7_greedy_in_any_order_can_miss_what_matching_finds():
    gold = {Call("f", "1", "b"), Call("f", "3", "a")}
    said = {Call("f", "1", "a"), Call("f", "2", "b")}
    assert pair_up(said, gold) == Pairs(0, 2, 0)
    text = "f(1, a) f(2, b)", "f(2, b) f(1, a)"
    scores = [FunctionCalls(credits=PARTIAL)(answered(t, "f(3, a) f(1, b)")).value for t in text]
    assert scores == [0.5, 0.5]


SMALL_CALLS = st.sets(st.builds(Call, st.sampled_from("fg"), st.sampled_from("123"), st.sampled_from("ab")), max_size=5)


@given(said=SMALL_CALLS, gold=SMALL_CALLS)
def test_pairing_is_the_best_of_all_assignments(said, gold):
    """By trying them all: for each credits, the highest sum among the assignments that pair as many as can be."""

    def worth(a: Call, b: Call, credits) -> tuple[int, float]:
        if a.func != b.func:
            return 0, 0.0
        if a == b:
            return 1, credits.exact
        return 1, credits.close if a.object_id == b.object_id or a.value == b.value else credits.func

    short, long = sorted((list(said), list(gold)), key=len)
    for credits in (PARTIAL, PENALTY):
        assignments = [zip(short, order, strict=False) for order in itertools.permutations(long)]
        worths = [[worth(a, b, credits) for a, b in assignment] for assignment in assignments]
        best = max((sum(count for count, _ in pairs), sum(value for _, value in pairs)) for pairs in worths)
        pairs = pair_up(said, gold)
        value = pairs.n_exact * credits.exact + pairs.n_close * credits.close + pairs.n_func * credits.func
        assert (sum(pairs), value) == pytest.approx(best)


@given(st.lists(st.sampled_from(["f(1,a)", "f(1,b)", "f(2,a)", "g(1,a)", "x"]), max_size=8), st.randoms())
def test_order_of_calls_and_range(parts, random):
    target = "f(1,a) f(2,b) g(1,b)"
    shuffled = random.sample(parts, len(parts))
    for credits in (PARTIAL, FULL_ONLY, PENALTY):
        judge = FunctionCalls(credits=credits)
        value = judge(answered(" ".join(parts), target)).value
        assert value == judge(answered(" ".join(shuffled), target)).value
        assert (-0.5 if credits is PENALTY else 0) <= value <= 1


# by kind, gold, hostile text


def test_accuracy_is_told_by_kind():
    cases = [
        (answered("7.2", "7", kind="counting"), 0.0),
        (answered("7.2", "7", kind="structure"), 1.0),
        (answered("C", "C", kind="structure"), 1.0),
        (answered("change_color(0, red)", GOLD, kind="spatial"), 0.5),
    ]
    assert [accuracy()(rollout).value for rollout, _ in cases] == [value for _, value in cases]
    exact = accuracy(structure=Discrete())
    assert exact(cases[1][0]).value == 0.0


def test_an_unknown_kind_stops_the_run_and_names_the_row():
    with pytest.raises(RewardError, match="row/3.*'maze'"):
        scores_of(accuracy(), answered("7", kind="maze"))


@pytest.mark.parametrize(("kind", "target"), [("counting", " "), ("structure", None), ("spatial", "none")])
@pytest.mark.parametrize("reward", [accuracy(), evaluation()])
def test_a_gold_answer_that_cannot_be_read_is_absent_and_not_zero(reward, kind, target):
    score = reward(answered("7", target, kind=kind))
    assert score.value is None
    assert "gold" in score.why


@pytest.mark.parametrize("kind", ["counting", "structure", "spatial"])
def test_gold_answers_score_full_marks(kind):
    target = GOLD if kind == "spatial" else "7"
    for reward in (accuracy(), accuracy(spatial=FunctionCalls(credits=PARTIAL)), evaluation(), format()):
        assert scores_of(reward, answered(target, target, kind=kind)) == [1.0]


@given(text=st.text() | st.text(alphabet="<>/answerthink()f,1a' \n", max_size=120))
@pytest.mark.parametrize("kind", ["counting", "structure", "spatial"])
def test_any_text_gets_a_number(kind, text):
    for wrapped in (text, f"<answer>{text}</answer>"):
        rollout = attempt(wrapped, GOLD if kind == "spatial" else "7", kind=kind)
        for reward in (accuracy(), evaluation(), format(), format(has_caption=True), reasoning_steps):
            assert 0 <= reward(rollout).value <= 1


def test_a_hostile_megabyte_is_scored_quickly():
    many = " ".join(f"change_color({i}, red)" for i in range(45_000))
    units = ["f(", "9", "\n", "Step 1", "1.\n-", "a"]
    texts = [f"<answer>{unit * (1_000_000 // len(unit))}</answer>" for unit in units]
    for text in (*texts, f"<answer>{many}</answer>"):
        start = time.process_time()
        for kind, target in (("counting", "7"), ("structure", "7"), ("spatial", GOLD)):
            rollout = attempt(text, target, kind=kind)
            for reward in (accuracy(), evaluation(), format(), reasoning_steps):
                reward(rollout)
        assert time.process_time() - start < 3.0, text[:20]


# evaluation


@pytest.mark.parametrize(
    ("text", "target", "value"),
    [("<answer>3.0</answer>", "3", 1), ("3", "3", 1), ("it is 3", "3", 0), ("<answer>4</answer> 3", "3", 0)],
)
def test_the_evaluator_compares_values_tagged_or_not(text, target, value):
    assert evaluation()(attempt(text, target)).value == value


@needs_math_verify
def test_the_evaluator_as_released_asks_math_verify():
    assert evaluation(same=is_equal)(answered(r"\frac{1}{2}", "0.5", kind="structure")).value == 1


# optional terms


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no steps", 0),
        ("Step 1: look", 1 / 3),
        ("1. look\n2. count", 2 / 3),
        ("First, look. Next, count. Finally, add.", 1),
        ("so:\n- look\n* count", 2 / 3),
        ("Step 1: a Step 2: b Step 3: c Step 4: d", 1),
        ("it is 1. then", 0),
        ("first, next,", 0),
    ],
)
def test_reasoning_steps(text, value):
    assert reasoning_steps(attempt(text)).value == pytest.approx(value)


def lengths_group(kind: str = "counting") -> list[Rollout]:
    """Right and wrong answers of 60, 80, 80, 100 and 100 characters."""
    texts = [("7", 60), ("7", 80), ("8", 80), ("7.0", 100), ("8", 100)]
    return [attempt(f"<answer>{answer}</answer>".rjust(length), kind=kind) for answer, length in texts]


def test_length_reward():
    """lambda = 0.5, 0, 0, -0.5, -0.5; the wrong ones may not earn by being short."""
    assert scores_of(length_reward(), *lengths_group()) == pytest.approx([0.025, 0, 0, -0.025, -0.025])
    short_and_wrong = [attempt("<answer>8</answer>"), attempt("<answer>7</answer>".rjust(40))]
    assert scores_of(length_reward(scale=1.0), *short_and_wrong) == [0.0, -0.5]


def test_length_reward_is_off_early_for_equal_lengths_and_for_spatial():
    assert scores_of(length_reward(), *lengths_group(), progress=0.33) == [0.0] * 5
    assert scores_of(length_reward(starts_at=0.0), *lengths_group(), progress=0.0)[0] == 0.025
    assert scores_of(length_reward(), *[answered("7")] * 3) == [0.0] * 3
    assert scores_of(length_reward(), *lengths_group("spatial")) == [0.0] * 5


# together


def test_the_default_sum_is_accuracy_plus_format():
    rewards = weighted((accuracy(), 1.0), (format(), 1.0))
    (group,) = asyncio.run(rewards.score([group_of(answered("7"), answered("8"), attempt("7"))], progress=0.0))
    assert group.rewards == (2.0, 1.0, 0.0)
    assert group.rollouts[0].scores == {
        "accuracy": Score(1.0, "'7' for '7'"),
        "format": Score(1.0, "is think, answer"),
    }


def test_judges_print_their_numbers_and_compare_by_them():
    assert "full=0.05, none=0.2" in repr(accuracy())
    assert accuracy() == accuracy()
    assert accuracy() != accuracy(spatial=FunctionCalls(credits=PARTIAL))
