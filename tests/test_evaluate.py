"""What an evaluation measures besides scores: how much answers depend on pictures, and that asking changes nothing else."""

from __future__ import annotations

from dataclasses import replace

import PIL.Image
import pytest

from saccade.core.blank import GREY, blanked
from saccade.core.picture import Picture
from saccade.core.reward import reward
from saccade.core.rollout import Group, Rollout, Stop
from saccade.core.sample import Message, Sample, Task
from saccade.policy.spec import ModelSpec
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.run.evaluate import Evaluation, measure
from tests.micro import micro


@reward
def right(rollout):
    return rollout.text == rollout.sample.target


def picture(color: str, size: tuple[int, int] = (6, 4)) -> Picture:
    return Picture.of(PIL.Image.new("RGB", size, color))


def sample(name: str, *colors: str, target: str) -> Sample:
    return Sample(id=name, messages=(Message("user", ("Look:", *map(picture, colors), "Which?")),), target=target)


class Painter:
    """Says the colours it sees; on every second attempt it says nothing."""

    def __init__(self):
        self.asked = []

    def sample(self, samples, *, n, sampling, seed):
        self.asked.append((tuple(one.id for one in samples), n, sampling.temperature, seed))
        return [Group(sample=s, rollouts=tuple(self._answer(s, i) for i in range(n))) for s in samples]

    def pieces(self, token_T):
        raise NotImplementedError("no reward here asks for them")

    def _answer(self, sample: Sample, attempt: int) -> Rollout:
        seen = "+".join("#%02x%02x%02x" % p.image.getpixel((0, 0)) for p in sample.pictures)
        text = "" if attempt % 2 else seen
        return Rollout(sample=sample, text=text, token_T=(1,), logp_T=(0.0,), is_sampled_T=(True,), stop=Stop.EOS)


TASK = Task(
    name="colours",
    split="test",
    samples=(
        sample("red", "red", target="#ff0000"),
        sample("both", "red", "lime", target="#ff0000+#00ff00"),
        sample("grey", "#7f7f7f", target="#7f7f7f"),  # right without looking
        sample("words", target=""),
    ),
)


def test_picture_gain_by_hand():
    """Sampled: 1 of 2 attempts right at the first three, both at the last: 0.625. Grey: the last two right: 0.5."""
    policy = Painter()
    evaluation = Evaluation(name="val", task=TASK, score=right, attempts=2, temperature=0.7, blanks=True)
    found = measure(policy, evaluation, seed=3)
    assert found.metrics["eval/val/sampled"] == 0.625
    assert found.metrics["eval/val/blanked"] == 0.5
    assert found.metrics["eval/val/picture_gain"] == 0.125
    ids = ("red", "both", "grey", "words")
    assert policy.asked == [(ids, 1, 0.0, 3), (ids, 2, 0.7, 3), (tuple(f"{name} (blank)" for name in ids), 1, 0.7, 3)]


def test_totals_see_all_greedy_answers_in_the_order_of_the_samples():
    def seen(rollouts):
        assert [rollout.sample.id for rollout in rollouts] == ["red", "both", "grey", "words"]
        return {"rightness": sum(right.function(rollout) for rollout in rollouts), "n": len(rollouts)}

    evaluation = Evaluation(name="val", task=TASK, score=right, attempts=2, totals=(seen,))
    found = measure(Painter(), evaluation, seed=3).metrics
    assert found["eval/val/total/n"] == 4
    assert found["eval/val/total/rightness"] == 4 * found["eval/val/greedy"]
    with pytest.raises(ValueError, match="name a figure twice: rightness, n, rightness, n"):
        measure(Painter(), replace(evaluation, totals=(seen, seen)), seed=3)


def test_blanked_pictures_are_grey_and_of_the_same_size():
    parts = ("a", picture("red", (6, 4)), "b", picture("blue", (3, 9)))
    whole = Sample(id="s", messages=(Message("user", parts), Message("user", (picture("lime"), "c"))), target=1)
    everything = blanked(whole)
    assert [p.size for p in everything.pictures] == [(6, 4), (3, 9), (6, 4)]
    assert {p.image.getpixel(at) for p in everything.pictures for at in ((0, 0), (2, 3))} == {GREY}
    assert everything.prompt_text == whole.prompt_text and everything.target == 1
    second = blanked(whole, only=1)
    assert [p.sha == q.sha for p, q in zip(second.pictures, whole.pictures, strict=True)] == [True, False, True]
    assert second.pictures[1].image.getpixel((0, 0)) == GREY


@pytest.fixture(scope="module")
def policy() -> TransformersPolicy:
    return TransformersPolicy.load(ModelSpec())


def test_looking_closer_changes_no_other_figure(policy):
    plain = replace(micro(task="counting").evaluations[0], blanks=False)
    closer = replace(plain, blanks=True, triggers=("I see", "wait"))
    before, looked, again, after = (measure(policy, one, seed=7) for one in (plain, closer, closer, plain))
    assert before == after
    assert looked.metrics == again.metrics
    assert (looked.greedy, looked.sampled, looked.groups) == (before.greedy, before.sampled, before.groups)
    assert before.metrics == {key: looked.metrics[key] for key in before.metrics}
    assert {key.removeprefix("eval/val/") for key in looked.metrics.keys() - before.metrics.keys()} == {
        "blanked", "picture_gain", "critical_tokens", "critical_entropy", "critical_entropy/i_see", "after_critical_entropy",
        "entropy", "high_entropy",
    }  # fmt: skip


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="'val' has triggers but temperature 0"):
        Evaluation(name="val", task=TASK, score=right, temperature=0.0, triggers=("wait",))
    with pytest.raises(ValueError, match="triggers of evaluation 'val' are words that differ"):
        Evaluation(name="val", task=TASK, score=right, triggers=("wait", "WAIT"))


def test_the_report_tells_shares_from_entropies(policy, capsys):
    from saccade.run.report import print_measured, print_report

    evaluation = replace(micro(task="counting").evaluations[0], blanks=True, triggers=("I see",), selects=False)
    found = measure(policy, evaluation, seed=7)
    print_measured(found)
    line = capsys.readouterr().out
    assert f"picture_gain {found.metrics['eval/val/picture_gain']:.3f}" in line
    assert f"critical_entropy {found.metrics['eval/val/critical_entropy']:.3f}" in line
    before = found.as_dict()
    after = before | {"metrics": {key: v for key, v in before["metrics"].items() if "critical_entropy" not in key}}
    one = {"before": before, "after": after, "n": 2, "is_shifted": False, "selects": False}
    warnings = ["half of the groups were flat", "a \x1b[31mred\x1b[0m sentence"]
    print_report({"evaluations": {"val": one}, "chosen": "rl-4", "seconds": 1.0, "warnings": warnings}, "run")
    printed = capsys.readouterr().out
    assert "What the run warned of\n- half of the groups were flat\n- a " in printed and "\x1b" not in printed
    shares = next(line for line in printed.splitlines() if "format" in line)
    entropies = next(line for line in printed.splitlines() if "critical_tokens" in line)
    assert "picture_gain" in shares and "critical" not in shares and "pass@" not in shares
    metrics = before["metrics"]
    count, entropy = metrics["eval/val/critical_tokens"], metrics["eval/val/critical_entropy"]
    assert f"critical_tokens {count} > {count}" in entropies
    assert f"critical_entropy {entropy:.3f} > -" in entropies
