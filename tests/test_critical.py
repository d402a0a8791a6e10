"""Where answers turn, which token began it, and the entropy of that step: by hand, and against plain full logits."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForImageTextToText

from saccade.core.rollout import Group, Rollout, Stop
from saccade.core.sample import Message, Sample
from saccade.policy.embedded import TINY
from saccade.policy.families import UnsupportedModel
from saccade.policy.reader import Reader
from saccade.policy.spec import ModelSpec, Sampling
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.run.critical import Turn, critical_metrics, metric_name, require_triggers, turns
from tests.micro import micro

SAMPLE = Sample(id="s", messages=(Message("user", ("How many?",)),), target="1")


@pytest.fixture(scope="module")
def policy() -> TransformersPolicy:
    return TransformersPolicy.load(ModelSpec(dtype="float64"))


# ---- the text of tokens


def test_pieces_of_text_with_characters_of_several_tokens(policy):
    token_T = policy.tokenizer("aü世!😀\n")["input_ids"]
    assert policy.pieces(token_T) == ("a", "ü", "", "世", "", "", "!", "😀", "", "", "", "\n")


def test_special_tokens_and_ids_without_a_word_add_nothing(policy):
    end = policy.tokenizer.eos_token_id
    half = policy.tokenizer("ü")["input_ids"]
    token_T = [half[0], end, 10**6, half[1], end]
    assert policy.pieces(token_T) == ("ü", "", "", "", "")


def test_a_character_that_is_never_finished_is_shown_where_it_began(policy):
    a, first = policy.tokenizer("a")["input_ids"][0], policy.tokenizer("世")["input_ids"][0]
    assert policy.pieces([first, a, first, first, policy.tokenizer.eos_token_id]) == ("\ufffd", "a", "\ufffd", "\ufffd", "")
    assert policy.pieces([]) == ()


# Bytes above ASCII often, so that characters begin, break off and end in all ways.
@given(st.lists(st.one_of(st.integers(0, 561), st.integers(94, 255)), max_size=16))
def test_pieces_joined_are_the_decoded_text(policy, token_T):
    assert "".join(policy.pieces(token_T)) == policy.tokenizer.decode(token_T, skip_special_tokens=True)
    assert len(policy.pieces(token_T)) == len(token_T)


def test_pieces_take_linear_time_even_of_broken_characters(policy):
    first = policy.tokenizer("世")["input_ids"][0]
    begin = time.perf_counter()
    assert policy.pieces([first] * 50_000) == ("\ufffd",) * 50_000
    assert time.perf_counter() - begin < 5  # DecodeStream of tokenizers takes minutes


def test_a_tokenizer_whose_tokens_are_no_bytes_is_refused():
    reader = Reader.__new__(Reader)
    reader.tokenizer = SimpleNamespace(backend_tokenizer=SimpleNamespace(decoder=type("Metaspace", (), {})()))
    with pytest.raises(UnsupportedModel, match="decodes by Metaspace.*leave the triggers"):
        reader.pieces([1])


# ---- turns

TRIGGERS = ("wait", "hmm", "let me see", "wait a moment")


def found(text: str, triggers: tuple[str, ...] = TRIGGERS) -> list[tuple[str, int]]:
    """Turns of a text, one token per character: (trigger, place)."""
    return [(turn.trigger, turn.first) for turn in turns(tuple(text), triggers)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Wait", [("wait", 0)]),
        ("  \n wAIT, no", [("wait", 4)]),
        ("5. Wait. HMM? hmm!wait…", [("wait", 3), ("hmm", 9), ("hmm", 14), ("wait", 18)]),
        ("hm…Wait\nwait", [("wait", 3), ("wait", 8)]),
        ("<think>Wait", [("wait", 7)]),
        ('It is 5." Wait', [("wait", 10)]),
        ("- no\n- **Wait**, \u201cHmm\u201d", [("wait", 9)]),  # after a comma it is no turn
        ("So wait, I cannot wait; hmm", []),
        ("Waiting. Await. Wait_. Waits", []),
        ("10 wait 5 - wait", []),
        ("Let  me\nsee. Let me, see", [("let me see", 0)]),
        ("Wait a moment. Wait a minute", [("wait a moment", 0), ("wait", 15)]),
        ("", []),
    ],
)
def test_which_words_are_turns(text, expected):
    assert found(text) == expected


def test_words_of_other_scripts():
    assert found("不对。等等，再看", ("等等",)) == [("等等", 3)]
    assert found("Wa\u0130t. HMM", ("wait", "hmm")) == [("wait", 0), ("hmm", 6)]  # re folds more letters than str does


@pytest.mark.parametrize(
    ("piece_T", "expected"),
    [
        (("Wait", ",", " no"), Turn("wait", 0, 1)),
        (("W", "ai", "t", ", no"), Turn("wait", 0, 3)),
        (("5", ".", " Wait", ","), Turn("wait", 2, 3)),
        (("5", ".\n", "\nWa", "it", ","), Turn("wait", 2, 4)),
        (("5.Wa", "it no"), Turn("wait", 0, None)),
        (("", "", "Wait", "", "!", ""), Turn("wait", 2, 4)),
        (("5.", "", "Wait", ""), Turn("wait", 2, None)),
    ],
)
def test_the_token_that_began_the_word_and_the_one_after_it(piece_T, expected):
    assert turns(piece_T, ("wait",)) == (expected,)


def test_every_tokenisation_of_a_word_is_the_same_turn(policy):
    words = ("Hm", "m", "H", "mm", "Hmm")
    of = {word: policy.tokenizer(word, add_special_tokens=False)["input_ids"] for word in words}
    letters = [of["H"][0], *of["m"], *of["m"]]
    text = policy.tokenizer("5. ")["input_ids"]
    for token_T in ([*text, *of["Hmm"]], [*text, *letters], [*text, *of["Hm"], *of["m"]]):
        (turn,) = turns(policy.pieces(token_T), ("hmm",))
        assert turn.first == len(text) and turn.next is None


def test_finding_turns_takes_linear_time():
    begin = time.perf_counter()
    blank = " " * 100_000
    for text in ("\n" * 100_000, blank + "wait", ("let" + " " * 50) * 2000, "wait " * 20_000, "\n\"*" * 30_000 + "wait"):
        turns((text,), TRIGGERS)
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize("triggers", [("wait", "Wait"), ("",), ("wait", " "), ("let me", "Let  me"), "wait", ("?",)])
def test_triggers_that_cannot_be_are_refused(triggers):
    with pytest.raises(ValueError, match="triggers of evaluation 'val' are words that differ"):
        require_triggers(triggers, of="evaluation 'val'")


def test_names_of_metrics():
    names = {"Wait": "wait", "let me  see": "let_me_see", "let's": "let_s", "等等": "等等", "hm,": "hm"}
    assert {trigger: metric_name(trigger) for trigger in names} == names


# ---- entropies


class Scripted:
    """Answers whose tokens are letters, and the entropies of their steps, packed one group each in reverse order."""

    def __init__(self, groups, entropies):
        self.groups, self.entropies = groups, entropies

    def pieces(self, token_T):
        return tuple(map(chr, token_T))

    def packs(self, groups):
        assert list(groups) == self.groups
        order = reversed(range(len(groups)))
        return [(g, tuple((g, i) for i in range(len(groups[g].rollouts)))) for g in order]

    def logprobs(self, pack, *, temperature):
        flat = [h / temperature for row in self.entropies[pack] for h in row]
        return SimpleNamespace(entropy_M=torch.tensor(flat))


def answer(text: str, forced: str = "") -> Rollout:
    token_T = tuple(map(ord, text))
    start = text.find(forced) if forced else -1
    is_sampled = tuple(not (start >= 0 and start <= t < start + len(forced)) for t in range(len(text)))
    logp_T = (0.0,) * len(text)
    return Rollout(sample=SAMPLE, text=text, token_T=token_T, logp_T=logp_T, is_sampled_T=is_sampled, stop=Stop.EOS)


def test_entropies_by_hand():
    """Letters are tokens. Turns: 'hm' at 1.0 (then 3.0), 'wait' at 8.0 (the last), 'hm' at 2.0 (then 7.0); one is forced."""
    rows = [[answer("hm."), answer("5.wait")], [answer("hm!"), answer("a.hm.b", forced="hm")]]
    entropies = [[[1.0, 0.5, 3.0], [0.0, 0.0, 8.0, 0.25, 0.25, 0.25]], [[2.0, 0.5, 7.0], [1.0, 1.0, 1.0, 1.0]]]
    groups = [Group(sample=SAMPLE, rollouts=tuple(row)) for row in rows]
    measured = critical_metrics(Scripted(groups, entropies), groups, triggers=("wait", "hm", "so"), temperature=1.0)
    assert measured == {
        "critical_tokens": 3,
        "critical_entropy": pytest.approx(11 / 3),
        "critical_entropy/wait": 8.0,
        "critical_entropy/hm": 1.5,
        "after_critical_entropy": 5.0,
        "entropy": pytest.approx((4.5 + 8.75 + 9.5 + 4.0) / 16),
        "high_entropy": 2 / 16,
    }


def test_without_a_turn_there_is_a_count_and_no_mean():
    groups = [Group(sample=SAMPLE, rollouts=(answer("ok"),))]
    measured = critical_metrics(Scripted(groups, [[[1.0, 2.0]]]), groups, triggers=("wait",), temperature=0.5)
    assert measured == {"critical_tokens": 0, "entropy": 3.0, "high_entropy": 0.0}


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_entropies_are_those_of_plain_full_logits(policy, temperature):
    samples = [sample for kind in ("counting", "spatial") for sample in micro(task=kind).evaluations[0].task][:4]
    groups = policy.sample(samples, n=3, sampling=Sampling(temperature=temperature, max_tokens=24), seed=4)
    plain = AutoModelForImageTextToText.from_pretrained(TINY, dtype=torch.float64).eval()
    at, everywhere = [], []
    for group in groups:
        for rollout in group.rollouts:
            entropy_T = full_entropies(plain, policy, rollout, temperature)
            everywhere += entropy_T
            if rollout.text.startswith("<think>I see"):
                first = next(t for t, token in enumerate(rollout.token_T) if "I" in policy.tokenizer.decode([token]))
                at.append(entropy_T[first])
    assert 2 <= len(at) < 12
    measured = critical_metrics(policy, groups, triggers=("i see",), temperature=temperature)
    assert measured["critical_tokens"] == len(at)
    assert measured["critical_entropy"] == pytest.approx(sum(at) / len(at), rel=1e-6)
    assert measured["critical_entropy/i_see"] == measured["critical_entropy"]
    assert measured["entropy"] == pytest.approx(sum(everywhere) / len(everywhere), rel=1e-6)
    assert 0 < measured["entropy"] < math.log(562)


@torch.no_grad()
def full_entropies(plain, policy: TransformersPolicy, rollout: Rollout, temperature: float) -> list[float]:
    """From plain transformers: one row, all logits, vision tokens struck out, -sum p log p."""
    inputs = policy.reader.processed(rollout.sample)
    id_1T = torch.tensor([rollout.token_T])
    fills = {"input_ids": id_1T, "attention_mask": torch.ones_like(id_1T), "mm_token_type_ids": torch.zeros_like(id_1T)}
    for key in fills.keys() & inputs.keys():
        inputs[key] = torch.cat([inputs[key], fills[key].to(inputs[key].dtype)], 1)
    inputs["pixel_values"] = inputs["pixel_values"].double()
    logits_TV = plain(**inputs).logits[0, -len(rollout.token_T) - 1 : -1] / temperature
    logits_TV[:, policy.forbidden] = -math.inf
    probability_TV = logits_TV.softmax(-1)
    return (-(probability_TV * probability_TV.clamp_min(1e-300).log()).sum(-1)).tolist()
