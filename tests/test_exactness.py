"""A group computed once is exactly its rows computed one by one: every family, in float64, against the plain model."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from saccade.core.pack import Branch, Pack
from saccade.core.picture import Picture
from saccade.core.sample import Message, Sample
from saccade.policy import attention, logprobs
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.policy.spec import ModelSpec
from tests import exactness, tiny_models

FAMILIES = list(tiny_models.MAKERS)
LOGP, GRADIENT = 1e-9, 1e-8


@pytest.mark.parametrize("case", exactness.CASES)
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_is_separate(family, case, checkpoint):
    spec, options = exactness.CASES[case]
    logp, gradient = exactness.errors(checkpoint(family), spec, **options)
    assert logp < LOGP and gradient < GRADIENT


def test_the_measure_sees_a_wrong_mask(checkpoint, monkeypatch):
    """A branch that reads one token of its own too few is noticed: the proof above can fail."""
    honest = attention._chunk_scores

    def short_sighted(q, kt, ko, is_trunk, scale, rows, lse=None):
        hidden = torch.ones(kt.shape[0], kt.shape[2], dtype=torch.bool)
        hidden[:, 0] = False
        return honest(q, kt, ko, hidden, scale, rows, lse=lse)

    monkeypatch.setattr(attention, "_chunk_scores", short_sighted)
    logp, gradient = exactness.errors(checkpoint("Qwen2.5-VL"), ModelSpec())
    assert logp > 1e-4 and gradient > 1e-4


def test_the_split_case_splits_a_group(checkpoint):
    policy = TransformersPolicy.load(ModelSpec(path=str(checkpoint("Qwen2.5-VL"))))
    rows = exactness.rows_for(policy)
    budget = exactness.CASES["split"][1]["budget"]
    lengths = [len(policy.encode(r.sample)) + sum(b.n_read for b in r.branches) for r in rows]
    assert max(lengths) > budget


@pytest.fixture()
def double(checkpoint):
    """A float64 policy, four rows and their loss weights."""
    with exactness.StayDouble():
        policy = TransformersPolicy.load(ModelSpec(path=str(checkpoint("Qwen2.5-VL")), dtype="float64"))
        rows = exactness.rows_for(policy)
        yield policy, rows, exactness.weights_of(rows)


def test_small_chunks_change_nothing(double, monkeypatch):
    policy, rows, weights = double
    whole = exactness.packed(policy, rows, weights)
    monkeypatch.setattr(attention, "MAX_SCORES", 500)
    monkeypatch.setattr(logprobs, "MAX_LOGITS", 1000)
    chunked = exactness.packed(policy, rows, weights)
    assert exactness.logp_error(chunked[0], whole[0]) < LOGP
    assert exactness.gradient_error(chunked[1], whole[1]) < GRADIENT


def test_the_order_of_groups_and_siblings_changes_nothing(double):
    policy, rows, weights = double
    there = exactness.packed(policy, rows, weights)
    turned = [exactness.Row(row.sample, row.branches[::-1]) for row in rows[::-1]]
    back = exactness.packed(policy, turned, [row[::-1] for row in weights[::-1]])
    assert exactness.logp_error([row[::-1] for row in back[0][::-1]], there[0]) < LOGP
    assert exactness.gradient_error(back[1], there[1]) < GRADIENT


@pytest.mark.parametrize("family", FAMILIES)
def test_swapped_pictures_are_noticed(family, checkpoint):
    policy = TransformersPolicy.load(ModelSpec(path=str(checkpoint(family))))
    a, b = tiny_models.pictures((60, 60), (60, 60), seed=3)
    branch = [Branch((5, 6, 7))]

    def logp_of(first, second):
        prompts = [policy.encode(exactness.sample_of(str(i), p, "what?")) for i, p in enumerate((first, second))]
        return policy.logprobs(Pack.of([(prompt, branch) for prompt in prompts])).logp_M.view(2, 3)

    straight, swapped = logp_of(a, b), logp_of(b, a)
    assert (straight - swapped).abs().amax(1).min() > 1e-3
    torch.testing.assert_close(straight, swapped.flip(0), atol=1e-5, rtol=0)


# LLaVA-OneVision reads a lone picture in tiles and several without, so a picture that comes later changes the first.
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "LLaVA-OneVision"])
def test_a_picture_shown_on_the_way_is_exact(family, checkpoint):
    """Two siblings are shown different second pictures by their environment; both are one stream with the shared prompt."""
    first, second, third = map(Picture.of, tiny_models.pictures((60, 60), (110, 50), (40, 90), seed=4))
    opening = Message("user", (first, "how many?"))
    sample = Sample(id="start", messages=(opening,), target="")
    with exactness.StayDouble():
        policy = TransformersPolicy.load(ModelSpec(path=str(checkpoint(family)), dtype="float64"))
        plain, processor = exactness.plain_model(checkpoint(family), policy)
        prompt, rows, branches = policy.encode(sample), [], []
        for shown in (second, third):
            messages = (opening, Message("assistant", ("two and",)), Message("user", (shown, "and in this?")))
            whole = policy.encode(Sample(id="whole", messages=messages, target=""))
            answer = torch.tensor([40, 50, 60, 41])
            token_W, n = torch.cat([whole.token_P, answer]), len(prompt)
            assert torch.equal(token_W[:n], prompt.token_P)
            position_AW = policy.family.positions(policy._hf.config, token_W, whole.features)
            is_sampled_T = tuple(t < 3 or t >= len(whole) - n for t in range(len(token_W) - n))
            alone = policy.encode(Sample(id="alone", messages=(Message("user", (shown,)),), target=""))
            branches.append(Branch(tuple(token_W[n:].tolist()), is_sampled_T, alone.features, position_AW[:, n:]))
            rows.append(exactness.Row(Sample(id="whole", messages=messages, target=""), (Branch((40, 50, 60, 41)),)))
        with policy.learning(Pack.of([(prompt, branches)])) as found:
            ours = found.logp_M.view(2, 7)[:, 3:]
            exactness.backward((ours * torch.arange(1.0, 9).view(2, 4)).sum())
        weights = [[torch.arange(1.0, 5)], [torch.arange(5.0, 9)]]
        theirs, gradients = exactness.separate(plain, processor, rows, weights, forbidden=policy.forbidden)
    assert exactness.logp_error([[row] for row in ours.detach()], theirs) < LOGP
    assert exactness.gradient_error(exactness.gradients(policy.model), gradients) < GRADIENT


@pytest.mark.parametrize("family", FAMILIES)
def test_the_probes_plain_path_agrees(family, checkpoint):
    """Policy.separate_logprobs, which every run's probe uses, is the plain model's answer."""
    with exactness.StayDouble():
        policy = TransformersPolicy.load(ModelSpec(path=str(checkpoint(family)), dtype="float64"))
        rows = exactness.rows_for(policy)
        plain, processor = exactness.plain_model(checkpoint(family), policy)
        row = exactness.Row(rows[1].sample, rows[1].branches[2:3])
        theirs, _ = exactness.separate(plain, processor, [row], exactness.weights_of([row]), forbidden=policy.forbidden)
        ours = policy.separate_logprobs(row.sample, row.branches[0].token_T)
    assert (ours - theirs[0][0]).abs().max() < LOGP


def test_a_pack_without_trained_tokens_is_empty_and_differentiable(double):
    policy, rows, _ = double
    pack = Pack.of([(policy.encode(rows[0].sample), [Branch((4, 5), (False, False))])])
    with policy.learning(pack) as found:
        assert found.logp_M.shape == (0,)
        found.logp_M.sum().backward()


def test_the_head_never_sees_more_than_a_chunk(double, monkeypatch):
    policy, rows, weights = double
    monkeypatch.setattr(logprobs, "MAX_ROWS", 4)
    seen = []
    hook = policy.model.get_output_embeddings().register_forward_hook(lambda _, x, y: seen.append(y.shape.numel() // y.shape[-1]))
    exactness.packed(policy, rows, weights)
    hook.remove()
    trained = sum(b.n_trained for row in rows for b in row.branches)
    assert max(seen) == 4 and sum(seen) >= 2 * trained - len(seen)  # forward, and again in the backward pass


PEAK = """
import re, torch
from pathlib import Path
from saccade.core.pack import Branch, Pack, Prompt
from saccade.core.picture import Picture
from saccade.core.sample import Message, Sample
from saccade.policy import attention
torch.set_num_threads(1)
attention.MAX_SCORES = 2**21

def memory(name):
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

def peak(run):
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    base = memory("VmRSS")
    run()
    return memory("VmHWM") - base

def grouped(trunk, siblings, reads):
    token_P = torch.zeros(trunk, dtype=torch.long)
    prompt = Prompt(token_P=token_P, position_AP=torch.arange(trunk)[None], features={}, picture_shas=())
    pack = Pack.of([(prompt, [Branch((0,) * (reads + 1))] * siblings)])
    q, k, v = (torch.randn(heads, len(pack), 8, requires_grad=True) for heads in (2, 1, 1))
    attention.PackStream(pack).attend(0, q, k, v, scale=0.3).sum().backward()

dense = peak(lambda: torch.randn(20480, 1) @ torch.randn(1, 20480))
print(dense, peak(lambda: grouped(20480, 0, 0)), peak(lambda: grouped(10240, 4, 2560)))
"""


def test_attention_memory_does_not_grow_with_the_square_of_the_stream():
    ran = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    dense, trunk, branches = map(float, ran.stdout.split())
    assert dense > 1500  # one head's scores over the stream, in MiB
    assert trunk < 100 and branches < 150
