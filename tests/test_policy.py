"""What a policy trains, what it leaves alone, and what it writes to disk."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import PIL.Image
import pytest
import torch
from transformers import AutoModelForImageTextToText

from saccade.core.pack import Branch, Pack
from saccade.policy.attention import PackStream, attending
from saccade.policy.families import UnsupportedModel
from saccade.core.picture import Picture
from saccade.core.sample import Message, Sample
from saccade.policy.reader import PictureMismatch, Reader
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.policy.spec import LoRA, ModelSpec, Optimization
from tests import exactness, tiny_models

FAMILIES = list(tiny_models.MAKERS)
PARTS = ("vision", "connector", "language")


def load(checkpoint, family: str = "Qwen2.5-VL", **spec) -> TransformersPolicy:
    return TransformersPolicy.load(ModelSpec(path=str(checkpoint(family)), **spec))


def pack_of(policy: TransformersPolicy, *, seed: int = 0) -> Pack:
    return Pack.of([(policy.encode(row.sample), row.branches) for row in exactness.rows_for(policy, seed=seed)])


def train(policy: TransformersPolicy, *, steps: int = 2, lr: float = 1e-2) -> None:
    """A few steps towards the pack's answers."""
    if policy.optimizer is None:
        policy.start_optimizer(Optimization(lr=lr))
    pack = pack_of(policy)
    for _ in range(steps):
        with policy.learning(pack) as logprobs:
            (-logprobs.logp_M.mean()).backward()
        policy.update(lr=lr)


def copy_of(policy: TransformersPolicy) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in policy.model.named_parameters()}


def changed_parts(policy: TransformersPolicy, before: dict[str, torch.Tensor]) -> set[str]:
    return {policy.part_of(n) for n, p in policy.model.named_parameters() if not torch.equal(p, before[n])}


# What trains


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("part", PARTS)
def test_a_frozen_part_stays_and_the_others_learn(family, part, checkpoint):
    policy = load(checkpoint, family, freeze=(part,))
    before = copy_of(policy)
    train(policy, steps=1)
    assert changed_parts(policy, before) == set(PARTS) - {part}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_parts_are_the_models_own(family, checkpoint):
    """Every parameter has the part that transformers' own module names say."""
    policy = load(checkpoint, family)
    says = {"vision": ("visual", "vision"), "connector": ("merger", "connector", "projector", "newline")}
    for name, _ in policy.model.named_parameters():
        inner = name.removeprefix("model.")
        part = next((p for p in ("connector", "vision") if any(s in inner.split("layers")[0] for s in says[p])), "language")
        assert policy.part_of(name) == part, name


def test_everything_frozen_has_nothing_to_train(checkpoint):
    policy = load(checkpoint, freeze=PARTS)
    with pytest.raises(ValueError, match=r"nothing is left to train: .*vision, connector, language"):
        policy.start_optimizer(Optimization(lr=1e-3))


def test_each_part_has_its_own_learning_rate(checkpoint):
    policy = load(checkpoint, lr_scale_connector=0.0, lr_scale_vision=0.1)
    before = copy_of(policy)
    train(policy, steps=1, lr=1e-3)
    assert changed_parts(policy, before) == {"vision", "language"}
    # AdamW's first step is the rate times the sign of the gradient.
    moved = {part: 0.0 for part in PARTS}
    for name, p in policy.model.named_parameters():
        part = policy.part_of(name)
        moved[part] = max(moved[part], float((p.detach() - before[name]).abs().max()))
    assert moved["language"] == pytest.approx(1e-3, rel=1e-2) and moved["vision"] == pytest.approx(1e-4, rel=1e-2)


@pytest.mark.parametrize("parts", [("language",), ("vision", "connector")])
def test_lora_trains_adapters_of_the_chosen_parts_only(parts, checkpoint):
    policy = load(checkpoint, lora=LoRA(rank=2, parts=parts))
    trained = {n for n, p in policy.model.named_parameters() if p.requires_grad}
    assert trained and all("lora_" in name for name in trained)
    assert {policy.part_of(name) for name in trained} == set(parts)
    before = copy_of(policy)
    train(policy)
    changed = {n for n, p in policy.model.named_parameters() if not torch.equal(p, before[n])}
    assert changed == trained


def test_dropout_is_off_while_learning(checkpoint):
    for family in FAMILIES:
        policy = load(checkpoint, family)
        assert policy.model.config.get_text_config().attention_dropout > 0
        pack = pack_of(policy)
        with policy.learning(pack) as first, policy.learning(pack) as second:
            assert torch.equal(first.logp_M, second.logp_M)


# Precision


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("change", [{}, {"freeze": ("vision",)}, {"freeze": ("language",)}, {"lora": LoRA(rank=2)}], ids=str)
def test_bfloat16_learns_and_is_near_float32(family, change, checkpoint):
    exact = load(checkpoint, family).logprobs(pack_of(load(checkpoint, family))).logp_M
    policy = load(checkpoint, family, dtype="bfloat16", gradient_checkpointing=True, **change)
    pack = pack_of(policy)
    rough = policy.logprobs(pack).logp_M
    assert rough.dtype == torch.float32
    assert float((rough - exact).abs().mean()) < 0.1
    before = copy_of(policy)
    train(policy, steps=3)
    assert changed_parts(policy, before) == set(PARTS) - set(change.get("freeze", ())) - (
        {"vision", "connector"} if "lora" in change else set()
    )
    first = next(policy._hf.parameters())
    for name, p in policy.model.named_parameters():
        assert p.dtype == (torch.float32 if p.requires_grad else torch.bfloat16) or (family == "SmolVLM" and p is first), name
    assert policy.logprobs(pack).logp_M.mean() > rough.mean() + 0.05


# The reference


@pytest.mark.parametrize("lora", [None, LoRA(rank=2)], ids=["full", "lora"])
def test_the_reference_is_the_model_as_it_was(lora, checkpoint):
    policy = load(checkpoint, lora=lora)
    pack = pack_of(policy)
    start = policy.logprobs(pack).logp_M
    policy.hold_reference()
    train(policy)
    assert (policy.logprobs(pack).logp_M - start).abs().max() > 0.01
    now = policy.logprobs(pack).logp_M
    torch.testing.assert_close(policy.reference_logprobs(pack), start, atol=1e-5, rtol=0)
    assert torch.equal(policy.logprobs(pack).logp_M, now)  # and looking at it changed nothing
    train(policy)  # adapters still train afterwards
    assert not torch.equal(policy.logprobs(pack).logp_M, now)


# On disk

PLAIN = """
import sys, torch, transformers
assert "saccade" not in sys.modules
for folder in sys.argv[1:]:
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    transformers.AutoProcessor.from_pretrained(folder)
    with torch.no_grad():
        torch.save(model(**torch.load(folder + "/given.pt")).logits[0], folder + "/found.pt")
"""


def own_logits(policy: TransformersPolicy, sample) -> torch.Tensor:
    """The policy's logits over the prompt, computed its own way."""
    prompt = policy.encode(sample)
    pack = Pack.of([(prompt, [Branch((3,))])])
    with torch.no_grad(), attending(PackStream(pack)):
        policy.model.eval()
        return policy._hf.get_output_embeddings()(policy._states(pack.token_N, pack.position_AN, pack.features))


def test_a_saved_model_is_an_ordinary_checkpoint(checkpoint, tmp_path):
    """Full or merged, its logits in a process that knows only transformers are the policy's."""
    wanted = {}
    for family, is_lora in (("Qwen2-VL", False), ("Qwen2.5-VL", True), ("SmolVLM", True)):
        policy = load(checkpoint, family, lora=LoRA(rank=2, parts=PARTS) if is_lora else None)
        exactness.wake_adapters(policy.model)
        train(policy)
        folder, before = tmp_path / family, copy_of(policy)
        (policy.save_merged if is_lora else policy.save)(folder)
        assert all(torch.equal(p, before[n]) for n, p in policy.model.named_parameters())  # saving changes nothing here
        assert "saccade" not in (folder / "config.json").read_text()
        sample = exactness.rows_for(policy)[1].sample
        plain, processor = exactness.plain_model(checkpoint(family), replace_lora(policy))
        torch.save(exactness.inputs_of(processor, sample, plain), folder / "given.pt")
        wanted[folder] = own_logits(policy, sample)
        again, pack = TransformersPolicy.load(ModelSpec(path=str(folder))), pack_of(policy)
        torch.testing.assert_close(again.logprobs(pack).logp_M, policy.logprobs(pack).logp_M, atol=1e-3, rtol=0)
    subprocess.run([sys.executable, "-c", PLAIN, *map(str, wanted)], check=True, capture_output=True, cwd=tmp_path)
    for folder, logits in wanted.items():
        torch.testing.assert_close(torch.load(folder / "found.pt"), logits, atol=2e-3, rtol=0)


def replace_lora(policy: TransformersPolicy) -> TransformersPolicy:
    """The same policy as far as `plain_model` asks, without adapters."""
    bare = TransformersPolicy.__new__(TransformersPolicy)
    bare.__dict__.update(policy.__dict__, spec=replace(policy.spec, lora=None))
    return bare


@pytest.mark.parametrize("family", FAMILIES)
def test_restore_is_bit_exact(family, checkpoint, tmp_path):
    policy = load(checkpoint, family)
    train(policy)
    policy.save(tmp_path)
    saved = copy_of(policy)
    train(policy)
    assert changed_parts(policy, saved) == set(PARTS)
    objects = {n: id(p) for n, p in policy.model.named_parameters()}
    policy.restore(tmp_path)
    assert all(torch.equal(p, saved[n]) for n, p in policy.model.named_parameters())
    assert objects == {n: id(p) for n, p in policy.model.named_parameters()}  # the optimizer still holds them


@pytest.mark.parametrize(
    "spec",
    [
        {"dtype": "float64"},
        {"dtype": "bfloat16"},
        {"dtype": "bfloat16", "freeze": ("vision", "connector")},
        {"dtype": "bfloat16", "freeze": ("language",)},
        {"lora": LoRA(rank=2, parts=PARTS)},
        {"dtype": "bfloat16", "lora": LoRA(rank=2)},
    ],
    ids=str,
)
def test_restore_is_bit_exact_in_every_precision(spec, checkpoint, tmp_path):
    for family in ("Qwen2-VL", "SmolVLM", "LLaVA-OneVision"):
        policy = load(checkpoint, family, **spec)
        train(policy)
        policy.save(tmp_path / family)
        saved = copy_of(policy)
        fresh = load(checkpoint, family, **spec)
        fresh.restore(tmp_path / family)
        assert fresh.model.state_dict().keys() == policy.model.state_dict().keys()
        for name, p in fresh.model.named_parameters():
            assert p.dtype == saved[name].dtype and torch.equal(p, saved[name]), name


def test_tied_embeddings_stay_tied(checkpoint, tmp_path):
    policy = load(checkpoint, "Qwen2-VL")
    tied = policy.model.get_input_embeddings().weight
    assert tied is policy.model.get_output_embeddings().weight
    train(policy)
    policy.save(tmp_path)
    policy.restore(tmp_path)
    assert policy.model.get_input_embeddings().weight is policy.model.get_output_embeddings().weight is tied
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert torch.equal(plain.get_output_embeddings().weight, tied) and torch.equal(plain.get_input_embeddings().weight, tied)
    assert json.loads((tmp_path / "config.json").read_text())["tie_word_embeddings"] is True


# Prompts


@pytest.mark.parametrize("family", FAMILIES)
def test_a_picture_token_in_the_text_is_refused(family, checkpoint):
    policy = load(checkpoint, family)
    token = policy.tokenizer.convert_ids_to_tokens(policy.reader.image_token)
    with pytest.raises(PictureMismatch, match="hostile"):
        policy.encode(exactness.sample_of("hostile", *tiny_models.pictures((60, 60), seed=0), f"look: {token}"))


def test_the_same_id_asked_otherwise_is_another_prompt(checkpoint):
    policy = load(checkpoint)
    first, second = exactness.sample_of("id", "how many?"), exactness.sample_of("id", "what is the sum?")
    assert policy.encode(first) is policy.encode(first)
    assert len(policy.encode(first)) != len(policy.encode(second))


def test_the_cache_of_prompts_is_bounded(checkpoint, monkeypatch):
    policy = load(checkpoint)
    samples = [exactness.sample_of(str(i), *tiny_models.pictures((60, 60), seed=i), "x") for i in range(6)]
    size = policy.encode(samples[0]).features["pixel_values"].nbytes
    monkeypatch.setattr("saccade.policy.reader.CACHED_BYTES", 3.5 * size)
    first = policy.encode(samples[0])
    assert all(policy.encode(sample) is policy.encode(sample) for sample in samples)
    assert len(policy.reader._encoded) == 3 and policy.encode(samples[0]) is not first


def test_pixels_bounds_reach_the_processor(checkpoint):
    wide = exactness.sample_of("a", *tiny_models.pictures((110, 110), seed=0), "x")
    assert load(checkpoint).encode(wide).model_sizes == ((112, 112),)
    assert load(checkpoint, max_pixels=60 * 60).encode(wide).model_sizes == ((56, 56),)
    small = exactness.sample_of("b", *tiny_models.pictures((30, 30), seed=0), "x")
    assert load(checkpoint).encode(small).model_sizes == ((28, 28),)
    assert load(checkpoint, min_pixels=80 * 80).encode(small).model_sizes == ((84, 84),)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_plain_way_is_the_packed_ones_result_without_the_prompts_logits(family, checkpoint):
    policy = load(checkpoint, family)
    sizes = []
    head = policy.model.get_output_embeddings()
    watch = head.register_forward_hook(lambda module, inputs, output: sizes.append(output.shape[-2]))
    for row in exactness.rows_for(policy, seed=0):
        token_T = row.branches[0].token_T
        sizes.clear()
        plain_T = policy.separate_logprobs(row.sample, token_T)
        assert max(sizes) == len(token_T) + 1
        packed_T = policy.logprobs(Pack.of([(policy.encode(row.sample), [Branch(token_T)])])).logp_M
        assert torch.allclose(plain_T, packed_T, atol=1e-4)
    watch.remove()


def test_a_solution_with_a_vision_token_is_refused(checkpoint):
    policy = load(checkpoint)
    token = policy.tokenizer.convert_ids_to_tokens(int(policy.forbidden[0]))
    with pytest.raises(PictureMismatch, match="solution 'it is .* its text holds"):
        policy.branch_of(f"it is {token}")


@pytest.mark.parametrize("lora", [None, LoRA(rank=2)])
def test_weights_of_another_model_are_refused_in_one_sentence(checkpoint, tmp_path, lora):
    policy = load(checkpoint, lora=lora)
    policy.save(tmp_path / "saved")
    other = TransformersPolicy.load(ModelSpec(lora=lora))
    with pytest.raises(UnsupportedModel, match="are not of the model 'tiny' as it is now"):
        other.restore(tmp_path / "saved")


def test_a_picture_that_the_processor_refuses_is_named_with_its_row():
    with pytest.raises(PictureMismatch, match=r"sample 'thin'.*processor refuses it.*aspect ratio"):
        Reader.of(ModelSpec(path="tiny")).encode(
            Sample(id="thin", messages=(Message("user", (Picture.of(PIL.Image.new("RGB", (4000, 10))), "?")),), target=None)
        )
