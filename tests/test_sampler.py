"""The sampler draws from the very distribution that the learner sees, whatever shares a wave and whenever rows end."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from saccade.core.pack import Branch, Pack
from saccade.core.rollout import Stop
from saccade.policy import sampler
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.policy.spec import LoRA, ModelSpec, Sampling
from tests import exactness, tiny_models
from tests.exactness import learner_gap

FAMILIES = list(tiny_models.MAKERS)


def load(checkpoint, family: str = "Qwen2.5-VL", **spec) -> TransformersPolicy:
    """A policy of a tiny checkpoint that ends an answer at any of 25 tokens, so that rows end at different times."""
    policy = TransformersPolicy.load(ModelSpec(path=str(checkpoint(family)), **spec))
    policy.end = torch.cat([policy.end, torch.arange(60, 85)])
    return policy


def samples_of(policy: TransformersPolicy):
    """Five prompts: two of nearly equal length (a padded bucket), others much shorter or longer."""
    nearly = exactness.sample_of("near", "what is the sum of two and three digits in that!!")
    return [*(row.sample for row in exactness.rows_for(policy)), nearly]


@pytest.mark.parametrize("family", FAMILIES)
def test_sampler_and_learner_agree(family, checkpoint, monkeypatch):
    monkeypatch.setattr(sampler, "GROW", 4)
    policy = load(checkpoint, family, sample_tokens=700)  # less than five prompts with all their answers: several waves
    samples = samples_of(policy)
    sampling = Sampling(max_tokens=70)
    lengths = [len(policy.encode(sample)) for sample in samples]
    assert len(list(policy._waves([policy.encode(s) for s in samples], 5, sampling))) > 1
    groups = policy.sample(samples, n=5, sampling=sampling, seed=1)
    assert [g.sample.id for g in groups] == [s.id for s in samples]
    ends = {len(r.token_T) for g in groups for r in g.rollouts}
    assert len(ends) > 8 and max(ends) > 12, "rows should end at many different times, after the cache has grown often"
    assert any(0.75 * b <= a < b for a in lengths for b in lengths) and min(lengths) < 0.75 * max(lengths)
    assert learner_gap(policy, groups) < 1e-4


def test_one_wave_of_several_buckets_agrees(checkpoint):
    policy = load(checkpoint)
    samples = samples_of(policy)
    pack = Pack.of([(policy.encode(sample), ()) for sample in samples])
    assert len(pack.buckets) > 1 and any(b.is_trunk_bP is not None for b in pack.buckets)
    groups = policy.sample(samples, n=5, sampling=Sampling(max_tokens=40, temperature=0.8), seed=2)
    assert learner_gap(policy, groups, temperature=0.8) < 1e-4


def test_gathering_the_cache_changes_nothing(checkpoint, monkeypatch):
    policy = load(checkpoint, dtype="float64")
    samples, sampling = samples_of(policy), Sampling(max_tokens=40)
    drawn = []
    for share in (0.0, 0.6, 1.01):  # never, sometimes, at every end
        monkeypatch.setattr(sampler, "COMPACT_BELOW", share)
        groups = policy.sample(samples, n=6, sampling=sampling, seed=3)
        assert learner_gap(policy, groups) < 1e-5
        drawn.append([r.token_T for g in groups for r in g.rollouts])
    assert drawn[0] == drawn[1] == drawn[2]


def test_finished_rows_stop_costing(checkpoint):
    policy = load(checkpoint)
    seen = []
    hook = policy.model.get_output_embeddings().register_forward_hook(lambda _, x, y: seen.append(len(y)))
    groups = policy.sample(samples_of(policy)[:2], n=8, sampling=Sampling(max_tokens=40), seed=4)
    hook.remove()
    lengths = [len(r.token_T) for g in groups for r in g.rollouts]
    alive = [sum(n > t for n in lengths) for t in range(max(lengths))]
    assert seen == [2, *alive[1:]] and len(set(alive)) > 4  # the prompts' last states once, then live rows only


def test_the_prompt_is_read_once_however_many_siblings(checkpoint):
    policy = load(checkpoint)
    sample = samples_of(policy)[1]
    read = []
    hook = policy.model.model.visual.register_forward_hook(lambda _, x, y: read.append("pictures"))
    embed = policy.model.get_input_embeddings().register_forward_hook(lambda _, x, y: read.append(x[0].numel()))
    policy.sample([sample], n=16, sampling=Sampling(max_tokens=6, min_tokens=6), seed=0)
    hook.remove(), embed.remove()
    assert read.count("pictures") == 1
    assert [n for n in read if n != "pictures"] == [len(policy.encode(sample))] + [16] * 5


def test_a_sample_draws_the_same_alone_and_among_others(checkpoint):
    policy = load(checkpoint, dtype="float64")
    samples, greedy = samples_of(policy), Sampling(max_tokens=30, temperature=0)
    together = policy.sample(samples, n=2, sampling=greedy, seed=0)
    alone = [policy.sample([sample], n=1, sampling=greedy, seed=9)[0] for sample in samples]
    assert [g.rollouts[1].token_T for g in together] == [g.rollouts[0].token_T for g in alone]


def test_the_same_seed_draws_the_same(checkpoint):
    policy = load(checkpoint)
    samples, sampling = samples_of(policy), Sampling(max_tokens=20)
    first, again, other = (policy.sample(samples, n=3, sampling=sampling, seed=s) for s in (5, 5, 6))
    assert [g.rollouts for g in first] == [g.rollouts for g in again]
    assert [g.rollouts for g in first] != [g.rollouts for g in other]


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_is_transformers_greedy(family, checkpoint):
    policy = TransformersPolicy.load(ModelSpec(path=str(checkpoint(family)), dtype="float64"))
    plain, processor = exactness.plain_model(checkpoint(family), policy)
    samples = samples_of(policy)
    groups = policy.sample(samples, n=1, sampling=Sampling(max_tokens=12, temperature=0), seed=0)
    for group in groups:
        inputs = exactness.inputs_of(processor, group.sample, plain)
        with torch.no_grad():
            out = plain.generate(
                **inputs, do_sample=False, max_new_tokens=12, suppress_tokens=policy.forbidden.tolist(),
                eos_token_id=policy.end.tolist(),
            )  # fmt: skip
        assert out[0, inputs["input_ids"].shape[1] :].tolist() == list(group.rollouts[0].token_T)


@pytest.mark.parametrize("family", FAMILIES)
def test_vision_tokens_are_never_drawn(family, checkpoint):
    policy = load(checkpoint, family)
    head = policy.model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach().clone())  # apart from the embeddings
    with torch.no_grad():
        head.weight[policy.forbidden] *= 300
    wanted = []
    hook = head.register_forward_hook(lambda _, x, y: wanted.extend(y.argmax(-1).tolist()))
    forbidden = set(policy.forbidden.tolist())
    for temperature in (0.0, 1.0, 5.0):
        groups = policy.sample(samples_of(policy), n=3, sampling=Sampling(max_tokens=10, temperature=temperature), seed=0)
        drawn = {t for g in groups for r in g.rollouts for t in r.token_T}
        assert not drawn & forbidden
        assert all(math.isfinite(x) for g in groups for r in g.rollouts for x in r.logp_T)
    hook.remove()
    assert len(forbidden & set(wanted)) > 0 and sum(t in forbidden for t in wanted) > 0.3 * len(wanted)
    names = policy.tokenizer.convert_ids_to_tokens(sorted(forbidden))
    assert policy.tokenizer.convert_ids_to_tokens(policy.reader.image_token) in names


def test_top_k_and_top_p_keep_the_likely(checkpoint):
    policy = load(checkpoint)
    logp_LV = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    kept = sampler._truncated(logp_LV, Sampling(top_k=2)).exp()
    assert (kept > 0).tolist() == [[True, True, False, False]]
    kept = sampler._truncated(logp_LV, Sampling(top_p=0.75)).exp()
    assert (kept > 0).tolist() == [[True, True, False, False]]
    kept = sampler._truncated(logp_LV, Sampling(top_p=0.1)).exp()
    assert (kept > 0).tolist() == [[True, False, False, False]]
    groups = policy.sample(samples_of(policy), n=2, sampling=Sampling(max_tokens=8, top_k=1), seed=0)
    greedy = policy.sample(samples_of(policy), n=2, sampling=Sampling(max_tokens=8, temperature=0), seed=0)
    assert [r.token_T for g in groups for r in g.rollouts] == [r.token_T for g in greedy for r in g.rollouts]


def test_drawn_shares_are_the_distribution(checkpoint):
    """First tokens of 4000 siblings against the learner's probabilities, by chi-square."""
    policy = load(checkpoint)
    sample = samples_of(policy)[2]
    group = policy.sample([sample], n=4000, sampling=Sampling(max_tokens=1), seed=0)[0]
    counts = torch.bincount(torch.tensor([r.token_T[0] for r in group.rollouts]), minlength=400).double()
    likely = counts.topk(12).indices.tolist()
    pack = Pack.of([(policy.encode(sample), [Branch((t,)) for t in likely])])
    expected = policy.logprobs(pack).logp_M.double().exp() * 4000
    assert float(((counts[likely] - expected) ** 2 / expected).sum()) < 45


def test_lora_and_bfloat16_sample_what_they_learn(checkpoint):
    policy = load(checkpoint, lora=LoRA(rank=2, parts=("vision", "language")))
    exactness.wake_adapters(policy.model)
    groups = policy.sample(samples_of(policy), n=3, sampling=Sampling(max_tokens=20), seed=0)
    assert learner_gap(policy, groups) < 1e-4
    policy = load(checkpoint, dtype="bfloat16")
    groups = policy.sample(samples_of(policy), n=3, sampling=Sampling(max_tokens=20), seed=0)
    assert learner_gap(policy, groups) < 0.3


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_gone_on_with_is_the_answer(family, checkpoint):
    """Greedy answers, cut anywhere and gone on with, come out as they were, log-probs and all."""
    policy = load(checkpoint, family, sample_tokens=700)
    greedy = Sampling(max_tokens=24, temperature=0.0)
    whole = [group.rollouts[0] for group in policy.sample(samples_of(policy), n=1, sampling=greedy, seed=0)]
    begun = []
    for i, rollout in enumerate(whole):
        cut = len(rollout.token_T) * i // len(whole)  # the first is gone on with from nothing
        begun.append(replace(rollout, token_T=rollout.token_T[:cut], logp_T=rollout.logp_T[:cut], is_sampled_T=(True,) * cut))
    extended = policy.extend(begun, sampling=greedy, seed=1)
    for before, after in zip(whole, extended, strict=True):
        assert after.token_T[: len(before.token_T)] == before.token_T and after.text.startswith(before.text)
        n = len(before.token_T)
        assert after.logp_T[:n] == pytest.approx(before.logp_T, abs=1e-4)
        assert before.stop is Stop.LENGTH or after == replace(before, logp_T=after.logp_T)


def test_forced_words_are_read_and_not_learned(checkpoint):
    policy = load(checkpoint, dtype="float64")
    (group,) = policy.sample(samples_of(policy)[:1], n=3, sampling=Sampling(max_tokens=9), seed=3)
    wait = policy.branch_of("wait").token_T[:-1]
    begun = []
    for rollout in group.rollouts:
        n = len(rollout.token_T) - (rollout.stop is Stop.EOS)
        begun.append(
            replace(
                rollout,
                token_T=rollout.token_T[:n] + wait,
                logp_T=rollout.logp_T[:n] + (0.0,) * len(wait),
                is_sampled_T=(True,) * n + (False,) * len(wait),
            )
        )
    extended = policy.extend(begun, sampling=Sampling(max_tokens=9), seed=4)
    for before, after in zip(begun, extended, strict=True):
        n = len(before.token_T)
        assert after.token_T[:n] == before.token_T and after.is_sampled_T[:n] == before.is_sampled_T
        assert 0 < len(after.token_T) - n <= 9 and all(after.is_sampled_T[n:])
        assert after.pictures == before.pictures and after.reward is None
    assert learner_gap(policy, [replace(group, rollouts=tuple(extended))]) < 1e-4
    assert policy.extend(begun, sampling=Sampling(max_tokens=9), seed=4) == extended
    assert policy.extend(begun, sampling=Sampling(max_tokens=9), seed=5) != extended
