"""Watches on literal metric lines: each speaks, names the cause, is silent on sound runs, and recovers."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saccade.run import watches
from saccade.run.health import Health
from saccade.run.watches import WATCHES

WELL = {
    "reward/mean": 1.4,
    "reward/accuracy": 0.41,
    "reward/format": 0.99,
    "rollout/group_std": 0.24,
    "rollout/flat_groups": 0.3,
    "rollout/tokens": 30.0,
    "rollout/truncated": 0.01,
    "rollout/unscored": 0.0,
    "policy/kl": 0.02,
    "rollout/entropy": 0.12,
    "policy/logp": -0.11,
    "policy/grad_norm": 0.15,
    "policy/clipped_positive": 0.001,
    "policy/clipped_negative": 0.002,
    "policy/ratio_max": 1.3,
    "policy/sampler_kl": 0.0004,
    "policy/sampler_gap_max": 0.6,
    "policy/sampler_ratio_max": 1.8,
    "correction/changed": 0.001,
    "learn/trained_tokens": 7600.0,
    "time/step": 2.1,
}
DYNAMIC = {"rollout/rounds": 2, "rollout/kept_groups": 1.0}  # where the algorithm refills

# What is sick, from one step to the next, in the metrics of each watch of steps.
SICK = {
    "flat_groups": {"rollout/flat_groups": 0.84},
    "dynamic_sampling": {"rollout/rounds": 10, "rollout/kept_groups": 0.5},
    "truncated": {"rollout/truncated": 0.4},
    "length": {"rollout/tokens": 9.0},
    "entropy": {"rollout/entropy": 0.01},
    "clipped": {"policy/clipped_negative": 0.8},
    "ratio": {"policy/ratio_max": 40.0},
    "sampler": {"policy/sampler_kl": 0.08, "policy/sampler_gap_max": 3.0},
    "correction": {"correction/changed": 0.4},
    "kl": {"policy/kl": 1.5},
    "gradient": {"policy/grad_norm": 3.0},
    "reward": {"reward/accuracy": 0.15, "reward/mean": 1.14},
    "unscored": {"rollout/unscored": 0.12},
}

# The demo's GRPO stage (tiny model, 32 x 8, 60 steps), as it was on 2026-11-20.
DEMO = {
    "reward/mean": """1.22 1.17 1.13 1.23 1.27 1.33 1.28 1.23 1.34 1.42 1.30 1.19 1.47 1.36 1.36 1.33 1.44 1.35 1.47
        1.45 1.38 1.42 1.36 1.41 1.40 1.43 1.44 1.32 1.40 1.36 1.37 1.42 1.46 1.42 1.29 1.31 1.48 1.51 1.34 1.48 1.30
        1.40 1.45 1.40 1.43 1.41 1.38 1.51 1.37 1.59 1.40 1.24 1.28 1.43 1.34 1.33 1.36 1.28 1.46 1.43""",
    "reward/accuracy": """.30 .25 .21 .27 .31 .37 .31 .27 .36 .43 .32 .23 .48 .37 .37 .34 .46 .36 .48 .46 .39 .42
        .37 .44 .41 .45 .45 .33 .41 .36 .38 .43 .47 .43 .29 .32 .48 .51 .34 .49 .31 .40 .45 .41 .43 .42 .39 .52 .37 .59
        .40 .25 .29 .44 .34 .34 .36 .29 .47 .43""",
    "reward/format": """.92 .92 .92 .96 .96 .96 .97 .96 .99 .99 .98 .96 .99 .99 .99 .99 .98 1 1 1 .99 1 .99 .97 1
        .98 .99 .99 .99 1 .99 .99 .99 .99 1 1 1 1 1 .99 .98 1 1 .99 .99 .99 .99 1 1 1 1 .99 .99 .99 1 1 1 .99 .99 1""",
    "rollout/flat_groups": """.09 .19 .19 .19 .12 .19 .22 .25 .22 .22 .19 .19 .25 .28 .25 .22 .16 .41 .31 .38 .16
        .47 .41 .25 .28 .28 .44 .34 .28 .22 .19 .44 .28 .19 .22 .31 .31 .31 .34 .19 .41 .31 .34 .28 .31 .28 .38 .28 .41
        .38 .19 .44 .34 .34 .38 .38 .25 .16 .41 .44""",
    "rollout/tokens": """24.2 25.4 26.4 25.3 25.6 26.8 29.4 28.6 28.3 27.0 27.7 26.1 28.3 31.3 27.8 30.5 30.1 28.0
        28.0 27.3 29.0 31.6 30.4 28.8 31.4 28.5 29.9 29.8 27.3 29.2 30.1 27.7 28.1 29.2 29.2 29.0 31.8 31.0 31.6 30.5
        30.4 31.2 30.4 29.8 30.3 28.7 30.6 27.6 32.4 31.1 30.3 27.2 30.1 31.5 31.2 31.4 25.7 31.3 30.6 30.0""",
    "rollout/entropy": """.22 .21 .21 .22 .17 .16 .17 .19 .16 .13 .16 .16 .13 .15 .14 .13 .12 .12 .14 .12 .12 .12 .12
        .14 .12 .11 .11 .13 .11 .15 .12 .14 .11 .10 .12 .12 .11 .12 .15 .10 .14 .13 .11 .11 .11 .11 .13 .10 .13 .07 .12
        .16 .15 .10 .13 .13 .12 .14 .09 .13""",
    "policy/grad_norm": """.70 .43 .67 .41 .32 .35 .29 .44 .30 .23 .21 .33 .29 .17 .20 .14 .20 .26 .19 .13 .17 .11
        .15 .33 .15 .18 .20 .31 .23 .12 .16 .13 .26 .18 .16 .13 .14 .13 .12 .12 .15 .14 .16 .19 .19 .15 .14 .21 .09 .14
        .15 .11 .19 .11 .11 .17 .12 .16 .27 .12""",
}


def steps(n: int, *changes: dict, stage: str = "rl") -> list[dict]:
    """So many sound steps, with these changes."""
    line = {"run/stage": stage, "run/step": 1, "run/total_steps": 1, **WELL}
    for change in changes:
        line = line | change
    return [line] * n


def heard(lines: list[dict], hears: Health | None = None) -> list[tuple[int, str, str]]:
    """(number of the line from 0, watch, sentence) of all that was said."""
    hears = hears or Health(WATCHES)
    return [(i, name, said) for i, line in enumerate(lines) for name, said in hears.hear(line).items()]


def only(lines: list[dict]) -> str:
    """The one sentence that is said."""
    ((_, _, sentence),) = heard(lines)
    return sentence


def measured(value: float, *, stage: str = "rl", **changes: float) -> dict:
    """A step on which the selecting set was measured too."""
    return steps(1, {"eval/val/sampled": value, "eval/val/greedy": value}, changes, stage=stage)[0]


# ---- every watch of steps


def test_every_watch_is_tested_here():
    assert {watch.name for watch in WATCHES} == {*SICK, "form", "held_out", "picture", "critical"}
    assert len({watch.name for watch in WATCHES}) == len(WATCHES)


@pytest.mark.parametrize("name", SICK)
def test_it_speaks_once_and_again_only_after_recovery(name):
    base = DYNAMIC if name == "dynamic_sampling" else {}
    well, sick = steps(1, base)[0], steps(1, base, SICK[name])[0]
    said = heard([well] * 30 + [sick] * 12 + [well] * 2 + [sick] * 12 + [well] * 40 + [sick] * 12)
    assert [entry[1] for entry in said] == [name, name]
    assert 30 <= said[0][0] < 42 and 96 <= said[1][0] < 108


@pytest.mark.parametrize("name", SICK)
def test_sentences_are_one_line_with_a_figure_and_a_remedy(name):
    base = DYNAMIC if name == "dynamic_sampling" else {}
    sentence = only(steps(30, base) + steps(12, base, SICK[name]))
    assert "\n" not in sentence and "nan" not in sentence and not sentence.endswith(".")
    assert any(sign.isdigit() for sign in sentence) and ": " in sentence and len(sentence) < 330


@pytest.mark.parametrize("name", SICK)
def test_a_single_odd_step_is_no_news_but_for_the_gradient(name):
    base = DYNAMIC if name == "dynamic_sampling" else {}
    mild = SICK[name] | ({"policy/sampler_kl": 0.03} if name == "sampler" else {})
    said = heard(steps(30, base) + steps(1, base, mild) + steps(30, base))
    assert [entry[1] for entry in said] == (["gradient"] if name == "gradient" else [])


@pytest.mark.parametrize(
    ("name", "key", "short", "beyond"),
    [
        ("flat_groups", "rollout/flat_groups", 0.72, 0.78),
        ("truncated", "rollout/truncated", 0.18, 0.22),
        ("length", "rollout/tokens", 16.0, 14.0),
        ("length", "rollout/tokens", 57.0, 63.0),
        ("entropy", "rollout/entropy", 0.026, 0.022),
        ("entropy", "rollout/entropy", 0.28, 0.32),
        ("clipped", "policy/clipped_positive", 0.58, 0.62),
        ("ratio", "policy/ratio_max", 9.0, 11.0),
        ("sampler", "policy/sampler_kl", 0.009, 0.011),
        ("sampler", "policy/sampler_gap_max", 4.8, 5.2),
        ("correction", "correction/changed", 0.09, 0.11),
        ("kl", "policy/kl", 0.45, 0.55),
        ("gradient", "policy/grad_norm", 1.4, 1.6),
        ("reward", "reward/accuracy", 0.26, 0.23),
        ("reward", "reward/format", 0.62, 0.57),
        ("unscored", "rollout/unscored", 0.045, 0.055),
    ],
)
def test_thresholds(name, key, short, beyond):
    assert heard(steps(20) + steps(15, {key: short})) == []
    assert [entry[1] for entry in heard(steps(20) + steps(15, {key: beyond}))] == [name]


@pytest.mark.parametrize("watch", WATCHES, ids=lambda watch: watch.name)
def test_about_is_one_line_with_its_numbers(watch):
    assert "`" in watch.about and len(watch.about) < 120 and not set("{}\n") & set(watch.about)


def test_a_threshold_can_be_changed():
    lenient = replace(watches.truncated, numbers={**watches.truncated.numbers, "share": 0.5})
    lines = steps(12, SICK["truncated"])
    assert "50%" in lenient.about
    assert heard(lines, Health([lenient])) == []
    assert [entry[1] for entry in heard(lines, Health([watches.truncated]))] == ["truncated"]


# ---- what must be silent


def test_the_demo_is_healthy():
    columns = {key: [float(value) for value in text.split()] for key, text in DEMO.items()}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    assert len(rows) == 60
    lines = [{"run/stage": "rl", "run/step": i + 1, "run/total_steps": i + 1, **row} for i, row in enumerate(rows)]
    for step, score in ((20, 0.418), (40, 0.414)):
        lines[step - 1] |= {"eval/val/sampled": score, "eval/val/picture_gain": 0.3}
    lines += [{"run/stage": "rl", "run/step": 60, "eval/val/sampled": 0.422, "eval/ood/sampled": 0.1}]
    assert heard(lines) == []


def test_noisy_sound_runs_are_silent():
    """300 steps that improve slowly, wobble as the miniature does, and are evaluated fifteen times."""
    for seed in range(10):
        random = np.random.default_rng(seed)
        lines = []
        for step in range(300):
            accuracy = 0.3 + 0.2 * step / 300 + random.normal(0, 0.08)
            change = {
                "reward/accuracy": accuracy,
                "reward/mean": accuracy + 0.98,
                "rollout/flat_groups": float(np.clip(random.normal(0.35, 0.1), 0, 1)),
                "rollout/tokens": 26 + 8 * step / 300 + random.normal(0, 1.5),
                "rollout/entropy": 0.2 - 0.1 * step / 300 + random.normal(0, 0.02),
                "policy/grad_norm": float(np.exp(random.normal(-1.8, 0.35))),
            }
            if step % 20 == 19:
                change["eval/val/sampled"] = 0.3 + 0.2 * step / 300 + random.normal(0, 0.03)
            lines += steps(1, change)
        assert heard(lines) == []


def test_nothing_known_is_nothing_said():
    keys = [*WELL, *DYNAMIC, "eval/val/sampled", "eval/val/picture_gain", "run/total_steps", "run/stage"]
    assert heard([dict.fromkeys(keys)] * 60) == []
    assert heard([{}] * 60) == []
    assert heard([{"run/stage": "probe", "run/step": 0, "probe/blank_shift": 12.5}]) == []


@pytest.mark.parametrize("missing", [*WELL, *DYNAMIC])
def test_a_missing_key_harms_nothing(missing):
    sick = {key: value for change in SICK.values() for key, value in change.items()}
    line = {key: value for key, value in steps(1, sick)[0].items() if key != missing}
    assert "entropy" not in {name for _, name, _ in heard([line] * 60)}  # it was so from the start


values = st.one_of(
    st.none(), st.text(max_size=3), st.booleans(), st.integers(-9, 10**9), st.floats(), st.floats(0, 1), st.just(0.0)
)
some_keys = st.sampled_from([*WELL, *DYNAMIC, "eval/a/sampled", "eval/a/picture_gain", "eval/b/sampled", "health/kl"])


@given(st.lists(st.dictionaries(some_keys, values, max_size=12), max_size=12), st.data())
def test_no_line_raises(lines, data):
    hears = Health(WATCHES)
    for line in lines * 3:
        stage = data.draw(st.sampled_from(["rl", "rl", "rl", "best (rl-2)", None]))
        for name, sentence in hears.hear({"run/stage": stage, **line}).items():
            assert name and "nan" not in sentence


def test_a_new_stage_begins_anew():
    """Another stage has other lengths and another entropy, and the trouble of the old one is told of again."""
    other = {"rollout/tokens": 8.0, "rollout/entropy": 0.01, "policy/grad_norm": 9.0}
    assert heard(steps(30) + steps(30, other, stage="rl again")) == []
    cut = SICK["truncated"]
    said = heard(steps(12, cut) + steps(12, cut, stage="rl again"))
    assert [(i, name) for i, name, _ in said] == [(4, "truncated"), (16, "truncated")]


# ---- resuming


def test_in_two_portions_as_at_once():
    """A resumed run hears its kept lines, read from JSON and with what was said, and goes on as if never stopped."""
    sick = [step for name in SICK if name != "dynamic_sampling" for step in steps(12, SICK[name]) + steps(15)]
    lines = steps(25) + [measured(0.4)] + sick + [measured(0.2), measured(0.2)] + steps(10)
    once = Health(WATCHES)
    said = [once.hear(line) for line in lines]
    written = [line | {f"health/{name}": sentence for name, sentence in new.items()} for line, new in zip(lines, said)]
    assert sum(map(len, said)) >= len(SICK)
    for cut in range(0, len(lines), 31):
        resumed = Health(WATCHES)
        for line in written[:cut]:
            resumed.hear(json.loads(json.dumps(line)))
        assert [resumed.hear(line) for line in lines[cut:]] == said[cut:]
        assert vars(resumed) == vars(once)


# ---- causes


FLAT = SICK["flat_groups"]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"reward/accuracy": 0.97}, "too easy (accuracy 0.97); use harder ones or a curriculum, or dynamic sampling"),
        ({"reward/accuracy": 0.03, "reward/format": 0.5}, "too hard (accuracy 0.03)"),
        ({"reward/accuracy": 0.03, "reward/format": 0.98}, "the form is right, the answer never (accuracy 0.03)"),
        ({"reward/accuracy": 0.0, "reward/format": 0.02}, "no answer can be read (format 0.02)"),
        ({"reward/accuracy": 0.5}, "siblings are all right or all wrong (accuracy 0.50) at an entropy of 0.12 nats"),
        ({"reward/accuracy": 0.5, "reward/mean": 0.99}, "the reward is the form alone, and that is learned (format 0."),
        ({"reward/accuracy": None}, "too easy or too hard samples, or a reward that says the same of all"),
    ],
)
def test_why_groups_are_flat(change, cause):
    sentence = only(steps(12, FLAT, change))
    assert sentence.startswith("84% of the groups had equal rewards over the last 5 steps, so most of the sampling")
    assert cause in sentence


def test_flat_groups_of_a_policy_that_was_better():
    (_, _, worse), (_, _, flat) = heard(steps(20) + steps(20, FLAT, {"reward/accuracy": 0.02, "reward/mean": 1.0}))
    assert "accuracy fell from 0.41" in worse and "equal rewards" in flat
    assert "taught nothing: accuracy fell from 0.41 in the stage's first steps to 0.0" in flat
    never = only(steps(20, {"reward/accuracy": 0.0}) + steps(20, FLAT, {"reward/accuracy": 0.0}))
    assert "fell" not in never and "the answer never (accuracy 0.00)" in never


def test_dynamic_sampling_says_how_many_rounds_and_speaks_for_flat_groups():
    assert only(steps(30, FLAT, DYNAMIC, {"rollout/rounds": 6, "reward/accuracy": 0.95})) == (
        "dynamic sampling filled a step in 6.0 rounds over the last 5 steps: the samples are too easy (accuracy 0.95); "
        "use harder ones or a curriculum"
    )
    assert only(steps(30, FLAT, DYNAMIC, SICK["dynamic_sampling"], {"reward/accuracy": 0.02})).startswith(
        "dynamic sampling filled only 50% of a step in 10.0 rounds over the last 5 steps: the form is right, the answer"
    )
    assert "filled only 50% of a step in 2.0 rounds" in only(steps(30, DYNAMIC, {"rollout/kept_groups": 0.5}))
    assert heard(steps(30, DYNAMIC, {"rollout/rounds": 4, "rollout/kept_groups": 0.92})) == []
    assert heard(steps(30, FLAT, DYNAMIC)) == []  # flat groups are asked again, and do not train


def test_why_answers_are_cut():
    cut = {"rollout/truncated": 0.4}
    assert only(steps(12, cut)) == (
        "40% of the rollouts over the last 5 steps were cut off by the token limit, as from the start: it is too low "
        "for this model; raise max_tokens, or ask for short answers"
    )
    grown = only(steps(20) + steps(10, cut, {"rollout/tokens": 55.0}))
    assert "answers grew from 30 to" in grown and "soft_overlong" in grown
    assert "at first 1%, with lengths as they were: look for repetition" in only(steps(20) + steps(10, cut))


def test_longer_answers_that_pay_are_no_trouble():
    longer = {"rollout/tokens": 90.0}
    assert "went from 30 tokens" in (said := only(steps(20) + steps(12, longer))) and "the reward did not rise" in said
    assert heard(steps(20) + steps(12, longer, {"reward/mean": 1.7})) == []


def test_shorter_answers_that_pay_are_told_from_a_collapse():
    assert "reasoning collapses" in only(steps(20) + steps(12, SICK["length"]))
    assert "being short pays" in only(steps(20) + steps(12, SICK["length"], {"reward/mean": 1.7}))


def test_entropy_falls_rises_or_has_nothing_left_to_try():
    assert "nothing new is tried" in only(steps(20) + steps(12, SICK["entropy"]))
    assert "the policy comes apart" in only(steps(20) + steps(12, {"rollout/entropy": 0.9}))
    solved = {"reward/accuracy": 0.96, "reward/mean": 1.95}
    assert heard(steps(20, solved) + steps(12, solved, SICK["entropy"])) == []
    imitation = {"run/stage": "sft", "run/total_steps": 1, "loss/mean": 0.2, "policy/grad_norm": 0.4}
    lines = [imitation | {"rollout/entropy": value} for value in [0.5] * 20 + [0.01] * 20]
    assert heard(lines) == []  # SFT is meant to make sure of its tokens


def test_gspo_may_clip_what_others_must_not():
    assert heard(steps(30, {"policy/clipped_positive": 0.46, "policy/clipped_negative": 0.34})) == []
    assert "70% of tokens of answers better than" in only(steps(30, {"policy/clipped_positive": 0.7}))
    only_worse = {"policy/clipped_positive": None, "policy/clipped_negative": 0.7}
    assert "of answers worse than their siblings" in only(steps(30, only_worse))


def test_large_ratios_of_replayed_experience_have_a_remedy_of_their_own():
    assert "replay" not in only(steps(30, SICK["ratio"]))
    assert "younger experience in the replay" in only(steps(30, SICK["ratio"], {"learn/replayed": 0.25}))


def test_a_sampler_that_differs_from_the_start_is_told_from_one_that_drifts():
    sick = SICK["sampler"]
    assert "compare temperature, top_p" in only(steps(30, sick))
    assert "did not at first (0.0004): see that updates reach the sampler" in only(steps(20) + steps(12, sick))
    assert "(KL 0.0004 nats a token, single tokens by 7 nats)" in only(steps(30, {"policy/sampler_gap_max": 7.0}))
    gap_alone = {"policy/sampler_gap_max": 7.0, "policy/sampler_kl": None}
    assert "(single tokens by 7 nats)" in only(steps(30, gap_alone))
    assert heard(steps(30, {"policy/sampler_kl": 0.002, "policy/sampler_gap_max": 2.0})) == []  # bfloat16


def test_a_few_wild_tokens_are_told_from_a_policy_that_runs_away():
    assert "raise its coefficient" in only(steps(20) + steps(12, SICK["kl"]))
    rising = (0.04, 0.1, 0.3, 0.9, 2.7, 8.0, 20.0, 20.0, 20.0, 20.0)
    blown = [line for nats in rising for line in steps(1, {"policy/kl": nats})]
    assert "raise its coefficient" in only(steps(20) + blown)
    wild = only(steps(20) + steps(1, {"policy/kl": 60.0}) + steps(12))
    assert wild.startswith("the KL against the reference is 6 nats a token over the last 10 steps, but 0.02 in half of")


def test_gradients_of_idle_steps_do_not_count():
    idle = {"policy/grad_norm": 0.0}
    assert heard(steps(30, idle) + steps(5)) == []
    assert only(steps(12) + steps(20, idle) + steps(1, {"policy/grad_norm": 1.6})) == (
        "the gradient norm of a step was 1.6, usually 0.15: a few odd tokens decide it; look at its rollouts, and "
        "lower the learning rate if it comes again"
    )


def test_form_without_answer():
    first, later = {"reward/format": 0.7, "reward/accuracy": 0.2}, {"reward/format": 0.96, "reward/accuracy": 0.2}
    assert heard(steps(12, first) + steps(280, later)) == []  # answers may take their time
    assert only(steps(12, first) + steps(300, later)) == (
        "format rose from 0.70 to 0.96 while accuracy hardly rose (0.20 to 0.20): the model learns the form, not the "
        "answer; weigh accuracy higher, use easier samples or SFT first, and check that gold answers score as right"
    )
    assert "accuracy fell (0.20 to 0.16)" in only(steps(12, first) + steps(30, later, {"reward/accuracy": 0.15}))
    assert heard(steps(12, first) + steps(300, later, {"reward/accuracy": 0.4})) == []
    for known in (later, later | {"reward/format": 0.88}):
        assert heard(steps(12, known) + steps(300, later)) == []  # SFT had taught the form before
    assert heard(steps(12, first) + steps(300, later, {"reward/format": 0.88})) == []  # it is not learned yet


def test_form_speaks_again_after_recovery():
    first, later = {"reward/format": 0.7, "reward/accuracy": 0.2}, {"reward/format": 0.96, "reward/accuracy": 0.16}
    well = {"reward/format": 0.96, "reward/accuracy": 0.4}
    sick = steps(30, later)
    said = heard(steps(12, first) + sick + steps(5, well) + sick + steps(80, well) + sick)
    assert [name for _, name, _ in said] == ["form", "form"]
    assert 12 <= said[0][0] < 42 and said[1][0] >= 157


def test_what_gets_worse_is_named():
    assert only(steps(20) + steps(12, SICK["reward"])).startswith(
        "accuracy fell from 0.41 in the stage's first steps to 0.23: training makes it worse, unless a curriculum"
    )
    assert "format fell from 0.99" in only(steps(20) + steps(12, {"reward/format": 0.3}))


def test_unscored_rollouts_that_grow_are_told_from_those_there_always_were():
    growing = steps(20, {"rollout/unscored": 0.01}) + steps(10, {"rollout/unscored": 0.09})
    assert "5% of the rollouts over the last 10 steps have no reward, 1.0% at first and growing" in only(growing)
    assert "as from the start" in only(steps(30, {"rollout/unscored": 0.06}))


# ---- held-out sets


def test_a_held_out_score_that_falls_while_the_reward_rises():
    rising = steps(20) + [measured(0.5)] + steps(12, {"reward/mean": 1.7}) + [measured(0.42, **{"reward/mean": 1.7})]
    assert heard(rising) == []  # once is luck
    said = only(rising + [measured(0.41, **{"reward/mean": 1.7})])
    assert said.startswith("the score on val fell from 0.50 to 0.41 while the reward rose (1.40 to 1.70)")
    assert "by heart" in said


def test_a_held_out_score_that_falls_with_the_reward_or_without_a_sign():
    worse = {"reward/mean": 1.0}
    lines = steps(20) + [measured(0.5)] + steps(12, worse) + [measured(0.3, **worse), measured(0.3, **worse)]
    assert only(lines).startswith("the score on val fell from 0.50 to 0.30, the reward too (1.40 to 1.00)")
    same = steps(20) + [measured(0.5)] + steps(12) + [measured(0.3), measured(0.3)]
    assert "which training does not show" in only(same)


def test_held_out_speaks_again_after_good_measurements_but_not_after_one():
    scores = [0.5] * 20 + [0.3, 0.3, 0.5, 0.3, 0.3] + [0.5] * 12 + [0.3, 0.3, 0.3]
    said = heard([line for score in scores for line in [*steps(19), measured(score)]])
    assert {name for _, name, _ in said} == {"held_out"}
    assert [i // 20 for i, _, _ in said] == [21, 38]


def test_a_score_that_always_wobbles_must_fall_further():
    scores = [0.5, 0.38, 0.52, 0.36, 0.5, 0.4, 0.4]
    assert heard([measured(score) for score in scores]) == []
    scores = [0.5, 0.47, 0.5, 0.47, 0.5, 0.47, 0.5]
    assert heard([measured(score) for score in [*scores, 0.42, 0.42]]) == []
    assert [i for i, _, _ in heard([measured(score) for score in [*scores, 0.2, 0.2]])] == [8]
    assert heard([measured(score) for score in (0.5, 0.46, 0.46)]) == []
    assert [i for i, _, _ in heard([measured(score) for score in (0.5, 0.44, 0.44)])] == [2]


def test_only_sets_that_are_measured_while_training_can_fall():
    """Other sets stand on one line at a stage's end, and the choice of the checkpoint does not look at them."""
    lines = [steps(1)[0], *({"run/stage": "rl", "eval/ood/sampled": score} for score in (0.5, 0.3, 0.3))]
    assert heard(lines) == []


def test_the_line_at_the_end_of_a_stage_counts():
    lines = steps(20) + [measured(0.5), measured(0.3)]
    assert heard(lines) == []
    end = {"run/stage": "rl", "run/step": 22, "eval/val/sampled": 0.3, "eval/ood/sampled": 0.1}
    assert [entry[1] for entry in heard([*lines, end])] == ["held_out"]


# ---- pictures


def seen(score: float, gain: float, *, name: str = "val") -> dict:
    """An evaluation with the pictures blanked as well."""
    values = {"sampled": score, "blanked": score - gain, "picture_gain": gain}
    return {"run/stage": "rl", "run/step": 9, **{f"eval/{name}/{key}": value for key, value in values.items()}}


def test_answers_from_the_words_alone():
    assert only([seen(0.55, 0.02)]) == (
        "pictures are worth 0.02 of the score of 0.55 on val: the model answers from the words alone; use samples, and "
        "a set, whose words do not give it away"
    )
    assert "0.02 of the score of 0.55 on val and were worth 0.30 earlier in the stage: " in only(
        [seen(0.5, 0.3), seen(0.55, 0.02)]
    )
    assert "on b (and 1 more)" in only([seen(0.55, 0.02, name="a") | seen(0.6, -0.01, name="b")])


def test_a_guess_needs_no_picture():
    assert heard([seen(0.25, 0.0), seen(0.29, 0.02), seen(0.5, 0.3), seen(0.5, 0.12)]) == []
    assert len(heard([seen(0.31, 0.05)])) == len(heard([seen(0.5, 0.09)])) == 1


def test_pictures_that_matter_again_and_then_not():
    said = heard([seen(0.5, 0.02), seen(0.5, 0.01), seen(0.5, 0.3), seen(0.5, 0.02)])
    assert [i for i, _, _ in said] == [0, 3]


def test_turns_that_become_a_habit():
    """Half of the first entropy, over enough positions; the first measurement is the yardstick."""

    def turning(entropy: float, positions: float = 300) -> dict:
        found = {"eval/val/critical_entropy": entropy, "eval/val/critical_tokens": positions}
        return measured(0.4, **found)

    (entry,) = heard([turning(1.2), turning(1.0), turning(0.7), turning(0.6), turning(0.5)])
    assert entry[:2] == (3, "critical")
    assert "answers to val turn in their reasoning the entropy fell from 1.2 to 0.6 nats: the turns become a habit" in entry[2]
    assert heard([turning(1.2), turning(0.5, positions=40)]) == []
    assert heard([turning(0.0), turning(0.0)]) == []


def test_numbers_beyond_all_sense_are_passed_over():
    health = Health(WATCHES)
    for step in range(1, 30):
        assert health.hear({"run/stage": "rl", "run/step": step, "policy/clipped_positive": 1.7e308, "reward/mean": 1.7e308}) == {}
