"""Med-R1, AnomalyR1, LR-IAD and Patho-R1: the specifications' literal numbers, and the pitfalls of the released code."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import math

import pytest

from saccade.algo.credit import balanced_weights
from saccade.core.reward import RewardError, weighted
from saccade.core.rollout import Group, Rollout, Score, Stop
from saccade.core.sample import Message, Sample
from saccade.rewards.papers import anomaly_r1, lr_iad, med_r1, patho_r1


def attempt(text: str, target: object = "B", *, kind: str = "", tokens: int = 1, logp: float = -1.0) -> Rollout:
    sample = Sample(id="row/3", messages=(Message("user", ("?",)),), target=target, kind=kind)
    ids = tuple(range(tokens))
    logps, sampled = (logp,) * tokens, (True,) * tokens
    return Rollout(sample=sample, text=text, token_T=ids, logp_T=logps, is_sampled_T=sampled, stop=Stop.EOS)


def thought(think: str, answer: str, target: object = "B", **options) -> Rollout:
    return attempt(f"<think>{think}</think>\n<answer>{answer}</answer>", target, **options)


def scores_of(term, *rollouts: Rollout, **offered) -> list[Score]:
    group = Group(sample=rollouts[0].sample, rollouts=rollouts)
    scores = asyncio.run(term.scores(group, **offered))
    assert all(score.why for score in scores)
    return scores


def worth(term, rollout: Rollout, **offered) -> float | None:
    return scores_of(term, rollout, **offered)[0].value


def total(terms, rollout: Rollout) -> float | None:
    (group,) = asyncio.run(terms.score([Group(sample=rollout.sample, rollouts=(rollout,))]))
    return group.rollouts[0].reward


# Med-R1


@pytest.mark.parametrize(
    ("text", "ours", "released"),
    [
        ("<think>a</think><answer>C</answer>", 1, 1),
        ("<think>a</think><answer> C </answer>", 1, 1),
        ("<think>a</think><answer>B</answer>", 0, 0),
        ("<think>a</think><answer>\nC\n</answer>", 1, 0),  # a block over several lines is not found there
        ("<think>a</think><answer>C)</answer>", 1, 0),
        ("<think>a</think><answer>C.</answer>", 1, 0),
        ("<think>a</think><answer>C. Lung</answer>", 1, 0),
        ("<think>a</think><answer>The answer is C</answer>", 1, 0),
        ("<answer>B</answer> no, <answer>C</answer>", 1, 0),  # the last block, not the first
        ("<answer>C</answer> no, <answer>B</answer>", 0, 1),
        ("C", 0, 1),  # a bare letter is the whole text
        ("", 0, 0),
        ("<answer></answer>", 0, 0),
    ],
)
def test_med_r1_letters(text, ours, released):
    for gold in ("<answer> C </answer>", "C"):
        assert worth(med_r1.accuracy(), attempt(text, gold)) == ours
        assert worth(med_r1.accuracy(as_released=True), attempt(text, gold)) == released


def test_med_r1_no_think_leaves_no_answer_where_text_leaks():
    no_think = med_r1.accuracy(answer_only=True)
    assert worth(no_think, attempt("\n<answer>B</answer>\n")) == 1
    assert worth(no_think, attempt("I see. <answer>B</answer>")) == 0
    assert worth(med_r1.accuracy(), attempt("I see. <answer>B</answer>")) == 1


@pytest.mark.parametrize("gold", [None, "", "<answer></answer>", "lung", "Z", 3])
def test_med_r1_gold_that_cannot_be_read(gold):
    assert worth(med_r1.accuracy(), attempt("<answer>B</answer>", gold)) is None


@pytest.mark.parametrize(
    ("make", "text", "ours", "released"),
    [
        (med_r1.format_think, "<think>a</think>\n<answer>b</answer>", 1, 1),
        (med_r1.format_think, "<think>a</think><answer>b</answer>\n", 1, 0),
        (med_r1.format_think, "<think>a</think>x<answer>b</answer>", 0, 0),
        (med_r1.format_think, "<think></think><answer></answer>", 0, 1),
        (med_r1.format_think, "<think>a</think><answer>b</answer><answer>c</answer>", 0, 1),
        (med_r1.format_think, "<answer>b</answer>", 0, 0),
        (med_r1.format_no_think, "<answer>b</answer>", 1, 1),
        (med_r1.format_no_think, " \n<answer>b</answer>", 1, 1),
        (med_r1.format_no_think, "<answer>b</answer>\n", 1, 0),  # the pitfall: a trailing newline
        (med_r1.format_no_think, "<answer>b</answer><answer>c</answer>", 0, 1),  # and two blocks
        (med_r1.format_no_think, "so <answer>b</answer>", 0, 0),
    ],
)
def test_med_r1_formats(make, text, ours, released):
    assert worth(make(), attempt(text)) == ours
    assert worth(make(as_released=True), attempt(text)) == released


def test_med_r1_think_after():
    term = med_r1.format_think_after()
    assert worth(term, attempt("<answer>b</answer>\n<think>a</think>")) == 1
    assert worth(term, attempt("<think>a</think><answer>b</answer>")) == 0


def test_med_r1_sums_to_two_and_empty_text_to_nothing():
    terms = weighted((med_r1.accuracy(), 1.0), (med_r1.format_think(), 1.0))
    assert total(terms, thought("a", "B")) == 2
    assert total(terms, attempt("")) == 0


def test_the_fifteen_chest_labels():
    assert len(med_r1.CHEST_LABELS) == len(set(med_r1.CHEST_LABELS)) == 15
    assert med_r1.CHEST_LABELS[-1] == "No Finding"


@pytest.mark.parametrize(
    ("gold", "answer", "ours", "released"),
    [
        ("Mass", "Mass", 1, 1),
        ("Mass|Effusion", "Effusion|Mass", 2, 2),
        ("Mass|Effusion", "Mass", 1, 1),
        ("Mass|Effusion", "Mass, Effusion and Nodule", 0, 0),  # a known label that is not gold
        ("Mass", "Mass, scar", 1, 1),  # an unknown one is no label
        ("No Finding", "No Finding", 0.25, 0.25),
        ("No Finding", "Mass", 0, 0),
        ("No Finding", "nothing", 0, 0),
        ("Effusion", "no Effusion", 0, 1),  # the pitfall: letters that stand in something else
        ("Mass", "massive heart", 0, 0),
        ("Mass", "a Mass?", 0, 1),
        ("Pleural_Thickening", "pleural thickening", 1, 0),  # case and spaces
        ("Effusion|Mass", "effusion; mass.", 2, 0),
        ("Mass|Effusion", "1. Mass\n2. Effusion", 2, 2),
        ("Mass|Effusion", "Mass/Effusion", 2, 2),
        ("Mass", "", 0, 0),
    ],
)
def test_chest_labels(gold, answer, ours, released):
    rollout = thought("a", answer, f"<answer>{gold}</answer>")
    assert worth(med_r1.chest_labels(), rollout) == ours
    assert worth(med_r1.chest_labels(as_released=True), rollout) == released


def test_chest_labels_gain_nothing_by_repetition_or_by_naming_all():
    term = med_r1.chest_labels()
    assert worth(term, thought("a", "Mass, Mass, Mass", "Mass|Effusion")) == 1
    assert worth(term, thought("a", "|".join(med_r1.CHEST_LABELS), "Mass|Effusion")) == 0
    assert worth(term, attempt("Mass", "Mass")) == 0  # no answer block


@pytest.mark.parametrize("gold", ["", "Scar", "No Finding|Mass", None])
def test_chest_gold_that_cannot_be_read(gold):
    assert worth(med_r1.chest_labels(), thought("a", "Mass", gold)) is None


def test_what_a_perfect_answer_earns_hangs_on_the_row():
    term = med_r1.chest_labels()
    assert term.best_for(attempt("", "Mass|Effusion").sample) == 2
    assert term.best_for(attempt("", "No Finding").sample) == 0.25


# AnomalyR1

ROAM_TABLE = [  # thought, answer, gold; ROAM, choice
    (None, None, "B", 0.0, 0),
    (None, "B", "B", 0.8, 1),
    (None, "C", "B", 0.05, 0),
    ("B", "B", "B", 1.0, 1),
    ("C", "C", "B", 0.1, 0),
    ("C", "D", "B", 0.0, 0),
    ("C", None, "B", 0.0, 0),
    ("C", "B", "B", 0.0, 1),
    ("B", "C", "B", 0.0, 0),
    ("B", None, "B", 0.0, 0),
]


@pytest.mark.parametrize(("t", "a", "gold", "roam", "choice"), ROAM_TABLE)
@pytest.mark.parametrize("as_released", [False, True])
def test_roam_has_every_row_of_the_table(t, a, gold, roam, choice, as_released):
    rollout = thought(f"so the answer is {t}." if t else "the rim looks odd.", f"{a}." if a else "it is odd", gold)
    assert anomaly_r1.Roam().worth(t, a, gold) == roam
    assert worth(anomaly_r1.roam(as_released=as_released), rollout) == roam
    assert worth(anomaly_r1.choice_reward(as_released=as_released), rollout) == choice


def test_roam_totals_fall_in_the_order_of_the_table():
    terms = weighted((anomaly_r1.choice_reward(), 1.0), (anomaly_r1.roam(), 1.0))
    seen = [
        total(terms, thought(think, answer))
        for think, answer in [
            ("the answer is B", "B"), ("odd rim", "B"), ("the answer is C", "B"), ("the answer is C", "C"), ("odd rim", "C"),
            ("the answer is C", "D"),
        ]
    ]  # fmt: skip
    assert seen == [2.0, 1.8, 1.0, 0.1, 0.05, 0.0]


def test_other_credits_and_the_table_without_floors():
    other = anomaly_r1.Roam(credits=anomaly_r1.Credits(silent_right=0.7, silent_wrong=0.1, same_wrong=0.2))
    assert [other.worth(None, "B", "B"), other.worth(None, "C", "B"), other.worth("C", "C", "B")] == [0.7, 0.1, 0.2]
    assert other.worth("B", "B", "B") == 1
    bare = anomaly_r1.Roam(credits=anomaly_r1.NO_FLOORS)
    assert [bare.worth(None, "B", "B"), bare.worth(None, "C", "B"), bare.worth("C", "C", "B")] == [0.8, 0, 0]


@pytest.mark.parametrize(
    ("text", "released", "ours"),
    [
        ("A scratch is visible on the surface", "A", None),  # the article
        ("The answer is (B).", "B", "B"),
        ("b", "b", "B"),
        ("", None, None),
        ("  ", None, None),
        ("E", "E", None),  # any character of a short answer
        ("7", "7", None),
        ("?!", None, None),
        ("(C", "C", "C"),
        ("B.", "B", "B"),
        ("no option here", None, None),
        ("CAD drawing", "C", None),  # capitals may touch; of equals the first
    ],
)
def test_the_extractors(text, released, ours):
    assert anomaly_r1.released_choice(text).value == released
    assert anomaly_r1.explicit_choice(text).value == ours


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("A or B", "B"),  # 2 for the last 30 % of the text
        ("B, then much text that goes on and on, not D at all and so on it goes to the end", "B"),  # 1 for a stop
        ("B then much text that goes on and on, not D at all and so on it goes to the end", "B"),  # equal: the first
        ("D then much text that goes on and on, not B at all and so on it goes to the end", "D"),
        ("B then much text that goes on and on, RIGHT D at all and so on it goes to the end", "D"),  # in capitals
        ("B then much text that goes on and on, ANSWER D at all and so on it goes to the end", "A"),  # its own A
        ("B then much text that goes on and on, answer D at all and so on it goes to the end", "B"),  # not otherwise
        ("B then much text that goes on and on, 答案 D at all and so on it goes to the end", "D"),
        ("B B B then text, and A", "A"),
    ],
)
def test_the_released_extractor_weighs_several_letters(text, letter):
    assert anomaly_r1.released_choice(text).value == letter


def test_free_reasoning_is_no_choice():
    """Pitfall 1: as released, reasoning that begins with the article thinks A."""
    rollout = thought("A scratch is visible on the surface", "B", "B")
    assert worth(anomaly_r1.roam(), rollout) == 0.8
    assert worth(anomaly_r1.roam(as_released=True), rollout) == 0.0
    wrong = thought("A scratch is visible on the surface", "A", "B")
    assert worth(anomaly_r1.roam(), wrong) == 0.05
    assert worth(anomaly_r1.roam(as_released=True), wrong) == 0.1


def test_a_small_letter_is_an_answer():
    """Pitfall 2."""
    assert worth(anomaly_r1.choice_reward(), thought("odd", "b")) == 1
    assert worth(anomaly_r1.choice_reward(as_released=True), thought("odd", "b")) == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "B",
        "<answer>B</answer>",
        "<think>B</think>",
        "<think>B</think> so <answer>B</answer>",
        "<answer>B</answer><think>B</think>",
    ],
)
def test_without_the_layout_both_are_nothing(text):
    for as_released in (False, True):
        terms = (anomaly_r1.choice_reward(as_released=as_released), anomaly_r1.roam(as_released=as_released))
        assert [worth(term, attempt(text)) for term in terms] == [0, 0]


def test_the_layout_may_stand_anywhere_and_the_last_blocks_count():
    text = "So <think>The answer is A.</think><answer>A</answer> no. <think>The answer is B.</think> <answer>B</answer>. Ok"
    assert worth(anomaly_r1.roam(), attempt(text)) == 1
    assert worth(anomaly_r1.choice_reward(), attempt(text)) == 1


@pytest.mark.parametrize("gold", ["E", "", None, "AB", 1])
def test_anomaly_gold_that_cannot_be_read(gold):
    assert worth(anomaly_r1.roam(), thought("a", "B", gold)) is None
    assert worth(anomaly_r1.choice_reward(), thought("a", "B", gold)) is None


# LR-IAD


def judged(*answers: str, target: object = "yes", **options) -> list[Rollout]:
    return [thought("a", answer, target, **options) for answer in answers]


def test_focal_has_the_number_of_the_specification():
    """Right, p = 0.25, gamma 2, alpha 1, f 2: 1.125."""
    assert lr_iad.Focal().worth(p=0.25, factor=2.0) == pytest.approx(1.125)
    group = judged("yes", "no", "no", "no")
    values = [score.value for score in scores_of(lr_iad.focal(factors={"defect": 2.0}), *group)]
    assert values == pytest.approx([1.125, 0, 0, 0])
    assert lr_iad.Focal(base=0.5).worth(p=0.25, factor=2.0) == pytest.approx(0.5 + 0.5 * 1.125)


@pytest.mark.parametrize(("share", "defect", "normal"), [(23.8, 2.10, 0.66), (11.1, 4.50, 0.56)])
def test_class_factors(share, defect, normal):
    factors = lr_iad.ClassCounts.of({"normal": 100 - share, "defect": share}).factors()
    assert factors["defect"] == pytest.approx(defect, abs=0.005)
    assert factors["normal"] == pytest.approx(normal, abs=0.005)


def test_class_factors_are_those_of_the_advantage_weights():
    counts = {"normal": 88.9, "defect": 11.1, "rare": 0.4}
    assert lr_iad.ClassCounts.of(counts).factors() == balanced_weights(counts)


def test_class_factors_are_capped():
    counts = lr_iad.ClassCounts.of({"normal": 99, "defect": 1, "unseen": 0})
    assert counts.factors()["defect"] == 5 and counts.factors()["unseen"] == 5
    assert counts.factors(low=1)["normal"] == 1
    assert lr_iad.ClassCounts.of({"a": 75, "b": 25}).factors(tau=0.5)["b"] == pytest.approx(2**0.5)


def test_mastered_samples_earn_nothing_without_a_base():
    """Spec 3.4, trap 2: with p 1 a right answer earns what a wrong one does; the base mends it."""
    group = judged("yes", "yes", "yes")
    assert [score.value for score in scores_of(lr_iad.focal(), *group)] == [0, 0, 0]
    assert [score.value for score in scores_of(lr_iad.focal(base=0.5), *group)] == [0.5, 0.5, 0.5]


def test_the_classes_cancel_in_a_normalised_group():
    """Spec 3.4, trap 1: z-scores of the focal rewards are the same whatever alpha, gamma and the factor."""
    group = judged("yes", "no", "no", "yes")
    found = []
    for term in (lr_iad.focal(), lr_iad.focal(alpha=3.0, gamma=1.0, factors={"defect": 4.5})):
        values = [score.value for score in scores_of(term, *group)]
        mean = sum(values) / 4
        spread = math.sqrt(sum((value - mean) ** 2 for value in values) / 3)
        found.append([(value - mean) / spread for value in values])
    assert found[0] == pytest.approx(found[1])


def test_sampled_probability_of_the_answer():
    pieces = ["<think>", "a", "</think>", "<answer>", "yes", "</", "answer>"]
    rollout = dataclasses.replace(
        thought("a", "yes", "yes", tokens=7), logp_T=(-9.0, -9.0, -9.0, -9.0, math.log(0.25), -9.0, -9.0)
    )
    hesitant = lr_iad.focal(p=lr_iad.AnswerProbability(), factors={"defect": 2.0})
    assert worth(hesitant, rollout, pieces=lambda token_T: pieces) == pytest.approx(1.125)
    two = ["<think>a</think><ans", "wer>", " y", "es ", "</answer>", "", ""]
    logps = (-9.0, -9.0, math.log(0.5), math.log(0.5), -9.0, -9.0, -9.0)
    split = dataclasses.replace(rollout, text="".join(two), logp_T=logps)
    assert worth(hesitant, split, pieces=lambda token_T: two) == pytest.approx(1.125)
    with pytest.raises(RewardError, match="pieces"):
        worth(hesitant, rollout)


def test_running_accuracy_is_given_and_its_state_is_a_value():
    counts = lr_iad.ClassCounts(decay=0.5).after({"defect": (8, 2), "normal": (8, 8)})
    assert counts.accuracy == {"defect": 0.25, "normal": 1.0}
    later = counts.after({"defect": (4, 4)})
    assert (later.seen, later.right) == ({"defect": 8.0, "normal": 4.0}, {"defect": 5.0, "normal": 4.0})
    assert counts.seen["defect"] == 8  # the older value is as it was
    assert lr_iad.ClassCounts(**json.loads(json.dumps(dataclasses.asdict(later)))) == later
    term = lr_iad.focal(p=lr_iad.RunningAccuracy(accuracy=counts.accuracy), factors={"defect": 2.0})
    assert worth(term, *judged("yes")) == pytest.approx(1.125)
    assert worth(term, *judged("no", target="no")) == 0  # normal, mastered


def test_a_step_is_counted():
    groups = [
        Group(sample=rollouts[0].sample, rollouts=tuple(rollouts))
        for rollouts in (judged("yes", "no", "", "yes"), judged("no", "no", target=False), judged("yes", target="?"))
    ]
    assert lr_iad.tally(groups) == {"defect": (4, 2), "normal": (2, 2)}
    assert lr_iad.tally(groups, class_of=lambda sample: "all") == {"all": (6, 4)}
    start = lr_iad.ClassCounts()
    assert lr_iad.ClassCounts(**json.loads(json.dumps(dataclasses.asdict(start)))) == start
    assert start.after(lr_iad.tally(groups)).accuracy == {"defect": 0.5, "normal": 1.0}


@pytest.mark.parametrize(
    "text", ["", "<answer>" * 3000, "</answer>" * 3000, "yes" * 30_000, "<answer>yes no</answer>", "\x00\ud800"]
)
def test_focal_gives_hostile_text_nothing(text):
    for p in (lr_iad.GroupAccuracy(), lr_iad.AnswerProbability(), lr_iad.RunningAccuracy(accuracy={})):
        scores = scores_of(lr_iad.focal(p=p), attempt(text, "yes"), attempt(text, "yes"), pieces=lambda token_T: [text])
        assert [score.value for score in scores] == [0, 0]


@pytest.mark.parametrize("options", [{"alpha": 0}, {"gamma": -1}, {"base": 2}, {"factors": {"defect": math.inf}}])
def test_focal_refuses_what_makes_no_sense(options):
    with pytest.raises(ValueError):
        lr_iad.focal(**options)


@pytest.mark.parametrize(
    ("answer", "gold", "value"),
    [
        ("yes", "yes", 1),
        ("No.", "no", 1),
        ("YES", True, 1),
        ("no", True, 0),
        ("no", False, 1),
        ("maybe", "no", 0),
        ("", "no", 0),
    ],
)
def test_lr_iad_answers(answer, gold, value):
    assert worth(lr_iad.accuracy(), thought("a", answer, gold)) == value


def test_lr_iad_format_and_gold():
    assert worth(lr_iad.format(), thought("a", "yes")) == 1
    assert worth(lr_iad.format(), attempt("<answer>yes</answer>")) == 0
    assert worth(lr_iad.focal(), *judged("yes", target="perhaps")) is None
    assert worth(lr_iad.accuracy(), *judged("yes", target=None)) is None


def test_always_normal_has_high_accuracy_and_balanced_accuracy_of_one_half():
    golds = [True] * 1_200 + [False] * 9_621
    always = lr_iad.Confusion.of(golds, [False] * len(golds))
    assert always.accuracy == pytest.approx(0.889, abs=5e-4)
    assert (always.balanced_accuracy, always.recall, always.f1, always.precision) == (0.5, 0, 0, None)
    some = lr_iad.Confusion.of([True, True, False, False, False], [True, None, False, None, True])
    assert (some.n_hit, some.n_miss, some.n_alarm, some.n_calm) == (1, 1, 2, 1)
    assert (some.precision, some.recall, some.accuracy) == (pytest.approx(1 / 3), 0.5, 0.4)
    assert some.f1 == pytest.approx(2 * (1 / 3) * 0.5 / (1 / 3 + 0.5))
    assert lr_iad.Confusion().accuracy is None


# Patho-R1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<think>a</think><answer>B</answer>", 1.0),
        ("so <answer>B</answer>", 0.9),
        ("<think>a</think><answer>C</answer>", 0.1),
        ("so <answer>C</answer>", 0.0),
        ("", 0.0),
    ],
)
def test_patho_grpo_branch(text, value):
    assert total(patho_r1.grpo_rewards(), attempt(text)) == pytest.approx(value)


@pytest.mark.parametrize(
    ("answer", "tokens", "parts", "gate"),
    [("B", 10, 1.0, 1.0), ("C", 10, 0.0, -1.0), ("B", 30, 0.0, -1.0), ("B", 2, 0.0, -1.0), ("C", 30, -1.0, -1.0)],
)
def test_patho_dapo_branch_both_ways(answer, tokens, parts, gate):
    rollout = thought("a", answer, tokens=tokens)
    assert total(patho_r1.dapo_rewards(low=5, high=20), rollout) == pytest.approx(parts)
    assert total(patho_r1.dapo_rewards(low=5, high=20, joint_gate=True), rollout) == gate


@pytest.mark.parametrize(("tokens", "value"), [(16, 0.5), (18, 0.25), (20, 0.0), (40, 0.0)])
def test_patho_soft_ramp(tokens, value):
    """0.5 * 1 + 0.5 * P, where P falls from 0 at 16 tokens to -1 at 20."""
    assert total(patho_r1.dapo_rewards(high=20, buffer=4), thought("a", "B", tokens=tokens)) == pytest.approx(value)


def test_patho_refuses_bad_windows_and_bad_gold():
    with pytest.raises(ValueError, match="window"):
        patho_r1.length(low=5, high=5)
    assert worth(patho_r1.accuracy(), thought("a", "B", "Z")) is None
    assert worth(patho_r1.joint(), thought("a", "B", "")) is None
