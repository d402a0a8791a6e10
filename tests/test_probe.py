"""The probe at the start of a run: it passes a sound model and stops every disagreement that it exists to find."""

from __future__ import annotations

import pytest
import torch

from saccade.policy import attention
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.policy.spec import LoRA, ModelSpec
from saccade.run.probe import ProbeFailed, probe
from tests.micro import micro


@pytest.fixture(scope="module")
def samples():
    return [s for kind in micro().stages[0].task.samples for s in [kind]]


@pytest.mark.parametrize("spec", [ModelSpec(), ModelSpec(lora=LoRA(rank=2)), ModelSpec(dtype="float64"), ModelSpec(dtype="bfloat16")])
def test_a_sound_model_passes(samples, spec):
    found = probe(TransformersPolicy.load(spec), samples, seed=1)
    assert found["probe/blank_shift"] > 1e-4
    limit = {"float32": 1e-4, "float64": 1e-6, "bfloat16": 0.5}[spec.dtype]
    assert found["probe/separate_gap"] < limit and found["probe/sampler_gap"] < limit


def test_swapped_pictures_are_found(samples, monkeypatch):
    policy = TransformersPolicy.load(ModelSpec())
    states = TransformersPolicy._states

    def swapped(self, token_N, position_AN, features):
        return states(self, token_N, position_AN, features[::-1] if len(features) > 1 else features)

    monkeypatch.setattr(TransformersPolicy, "_states", swapped)
    counting = [sample for sample in samples if sample.kind == "counting"]
    with pytest.raises(ProbeFailed, match="disagree"):
        probe(policy, counting, seed=1)


def test_a_leak_between_siblings_is_found(samples, monkeypatch):
    policy = TransformersPolicy.load(ModelSpec())
    scores = attention._chunk_scores

    def leaking(q, kt, ko, is_trunk, scale, rows, lse=None):
        return scores(q, kt, ko.roll(1, dims=2), is_trunk, scale, rows, lse)  # each sibling reads its neighbour's keys

    monkeypatch.setattr(attention, "_chunk_scores", leaking)
    with pytest.raises(ProbeFailed, match="packed learner"):
        probe(policy, samples, seed=1)


def test_pictures_that_do_not_matter_are_found(samples, monkeypatch):
    policy = TransformersPolicy.load(ModelSpec())
    visual = policy.model.model.visual
    forward = visual.forward

    def blind(*arguments, **options):
        out = forward(*arguments, **options)
        out.pooler_output = torch.zeros_like(out.pooler_output)
        return out

    monkeypatch.setattr(visual, "forward", blind)
    with pytest.raises(ProbeFailed, match="changes no log-prob"):
        probe(policy, samples, seed=1)


def test_one_picture_of_two_that_does_not_matter_is_found(samples, monkeypatch):
    policy = TransformersPolicy.load(ModelSpec())
    visual = policy.model.model.visual
    forward = visual.forward

    def half_blind(*arguments, **options):
        out = forward(*arguments, **options)
        out.pooler_output = out.pooler_output.clone()
        out.pooler_output[-len(out.pooler_output) // 2 :] = 0
        return out

    monkeypatch.setattr(visual, "forward", half_blind)
    # One sample alone: in its stream the second half of the vectors is the second picture's.
    spatial = [sample for sample in samples if sample.kind == "spatial"][:1]
    with pytest.raises(ProbeFailed, match="blanking picture 2 of sample"):
        probe(policy, spatial, seed=1)


def test_a_run_probes_every_kind_of_its_samples(tmp_path, monkeypatch):
    from saccade.run import train as training
    from saccade.run.folder import RunFolder
    from saccade.run.probe import _varied

    seen = {}

    def recording(policy, samples, *, seed):
        seen["kinds"] = {sample.kind for sample in _varied(samples)}
        raise ProbeFailed("enough")

    monkeypatch.setattr(training, "probe", recording)
    with pytest.raises(ProbeFailed), RunFolder.start(tmp_path / "run") as folder:
        training.train(micro(), folder)
    assert seen["kinds"] == {"counting", "structure", "spatial"}


def test_positions_that_are_off_by_one_are_found(samples, monkeypatch):
    from saccade.core.pack import Prompt

    policy = TransformersPolicy.load(ModelSpec())
    monkeypatch.setattr(Prompt, "next_position", property(lambda self: int(self.position_AP.max()) + 2))
    with pytest.raises(ProbeFailed, match="disagree"):
        probe(policy, samples, seed=1)
