"""Our losses, gradients and advantages equal those that TRL itself computes.

A real GRPOTrainer (or RLOOTrainer) runs its own code on the CPU, in float64: rewards to advantages, the reference's
log-probs, the ratio between vLLM and learner, masks, loss. Only generation is replaced, by given answers, and the
model, by one whose log-probs are a parameter; so the gradients compared are those by the log-prob of every token. vLLM
is not needed: the trainer is told after it was built that its answers came from there, with their log-probs.

TRL computes on padded rows, we on flat tokens; outside the trained tokens TRL gets noise, which must not matter. The
last part has the places where we differ from TRL on purpose, each in the name of a test.
"""

from __future__ import annotations

import asyncio
import functools
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saccade.algo.advantages import ZScore, mean_only
from saccade.algo.algorithm import Algorithm
from saccade.algo.corrections import MaskedRatio, TruncatedRatio
from saccade.algo.credit import Assign, BatchScaled, PerReward, WithinGroup
from saccade.algo.keep import keep_all, unless_truncated
from saccade.algo.named import (
    bnpo,
    cispo,
    dapo,
    dr_grpo,
    gdpo,
    grpo,
    grpo_r1v,
    grpo_trl_0_16,
    grpo_trl_1,
    grpo_vlm_r1,
    gspo,
    gspo_token,
    luspo,
    rloo,
    sapo,
    vespo,
)
from saccade.algo.penalties import k3
from saccade.algo.surrogates import ClippedRatio, GammaWeight, SequenceRatio, WithoutStaleFailures, ratio
from saccade.core.pack import Branch, Pack, Prompt
from saccade.core.reward import reward, weighted
from saccade.core.rollout import Group, Rollout, Score, Stop
from saccade.core.sample import Message, Sample
from saccade.policy.logprobs import LogProbs
from saccade.run.step import experience, optimizer_step

pytest.importorskip("trl", minversion="1.16", reason="compares with TRL's own code: pip install 'trl>=1.16'")
pytestmark = pytest.mark.filterwarnings("ignore")  # TRL's, about parts that are experimental or that it advises against

SAME = 1e-10  # largest difference of losses and gradients, in float64
B, G, T = 12, 4, 9  # rollouts, siblings, the longest answer
PAD, EOS = B, B + 1  # every other token of answer b is b, so that a model knows whose log-probs are asked for
SEEDS = (0, 1, 2)


@pytest.fixture(autouse=True)
def float64():
    """TRL makes its tensors in the default type."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


TERMS, WEIGHTS = ("accuracy", "form"), (1.0, 0.5)  # two rewards of every answer
Column = Sequence[float | None]
"""One reward of every answer of a batch; None where it could not tell."""


# the same random answers for both sides


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Answers of unequal length, and what four policies say of their tokens; noise where there is no token."""

    is_there_BT: Tensor
    is_trained_BT: Tensor  # without what an environment wrote
    logp_BT: Tensor
    old_BT: Tensor
    ref_BT: Tensor
    sampler_BT: Tensor
    adv_B: Tensor
    ends_by_itself: tuple[bool, ...]

    @property
    def lengths(self) -> list[int]:
        """Trained tokens of each answer."""
        return self.is_trained_BT.sum(1).tolist()

    @property
    def answers(self) -> list[list[int]]:
        """Token ids: b in answer b, and at its end EOS where it ended by itself."""
        lengths = self.is_there_BT.sum(1).tolist()
        rows = enumerate(zip(lengths, self.ends_by_itself, strict=True))
        return [[b] * (n - ends) + [EOS] * ends for b, (n, ends) in rows]

    def flat(self, value_BT: Tensor) -> Tensor:
        """Trained tokens only, answer after answer, as our side has them."""
        return value_BT[self.is_trained_BT]

    def ragged(self, value_BT: Tensor) -> list[list]:
        """Rows without padding, as TRL gets them."""
        return [row[is_there].tolist() for row, is_there in zip(value_BT, self.is_there_BT, strict=True)]


def batch_of(seed: int, *, drift: float = 0.25, mismatch: float = 0.3, replies: bool = True) -> Batch:
    """`drift` is the policy's distance from `old`, `mismatch` the sampler's; `replies` are tokens not sampled."""
    rng = torch.Generator().manual_seed(seed)
    noise = functools.partial(torch.randn, B, T, generator=rng)
    lengths = torch.randint(1, T + 1, (B,), generator=rng)
    lengths[seed % B], lengths[(seed + 5) % B] = T, 1
    is_there = torch.arange(T) < lengths[:, None]
    is_trained = is_there & ((torch.rand(B, T, generator=rng) < 0.8) | (torch.arange(T) == 0) | (not replies))
    logp = -noise().abs()
    old = logp + drift * noise()
    adv = torch.randn(B, generator=rng)
    adv[3] = 0.0
    return Batch(
        is_there_BT=is_there,
        is_trained_BT=is_trained,
        logp_BT=logp,
        old_BT=old,
        ref_BT=logp + 0.5 * noise(),
        sampler_BT=old + mismatch * noise(),
        adv_B=adv,
        ends_by_itself=tuple(b % 3 > 0 and n > 1 for b, n in enumerate(lengths.tolist())),
    )


# TRL's side


class Given(nn.Module):
    """A causal language model whose log-probs are a parameter, found by the first token of each answer."""

    is_gradient_checkpointing = False

    def __init__(self, logp_BT: Tensor) -> None:
        super().__init__()
        self.logp_BT = nn.Parameter(logp_BT.clone())

    def forward(self, input_ids: Tensor, **_) -> SimpleNamespace:
        row_B = input_ids[:, -T]
        logp = nn.functional.pad(self.logp_BT[row_B], (input_ids.shape[1] - T, 0))
        return SimpleNamespace(log_probs=logp, entropy=torch.zeros_like(logp))


@functools.cache
def home() -> Path:
    """A folder with a tiny language model, for TRL to read its reference from; it is then replaced."""
    folder = Path(tempfile.mkdtemp())
    tiny_model().save_pretrained(folder)
    return folder


def tiny_model():
    from transformers import Qwen2Config, Qwen2ForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    return Qwen2ForCausalLM(Qwen2Config(vocab_size=B + 4, **sizes, **heads))


@functools.cache
def tokenizer():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = [str(b) for b in range(B)] + ["<pad>", "<eos>", "?", "<unk>"]
    model = models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    special = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model), **special)


@functools.cache
def trainer(*, by_vllm: bool = False, **options):
    """A GRPOTrainer with these options; `by_vllm` tells it the sampler's log-probs. `generated` gives it answers."""
    from trl import GRPOConfig, GRPOTrainer

    def generate(prompts, trainer):
        batch = trainer.batch
        return {
            "prompt_ids": [[B + 2] * (1 + b % 3) for b in range(B)],
            "completion_ids": batch.answers,
            "logprobs": batch.ragged(batch.sampler_BT) if by_vllm else None,
            "env_mask": batch.ragged(batch.is_trained_BT.long()),
        }

    # with num_iterations 2 TRL compares with the log-probs at generation, which it else takes to be the update's own
    made = built(GRPOTrainer, GRPOConfig, {"num_iterations": 2} | options, rollout_func=generate)
    if by_vllm:
        made.use_vllm, made._last_loaded_step = True, made.state.global_step  # the latter: there is no engine to update
    return made


@functools.cache
def rloo_trainer(**options):
    from trl import RLOOConfig, RLOOTrainer

    made = built(RLOOTrainer, RLOOConfig, options)
    made._generate_single_turn = lambda *_: made.batch.answers
    return made


def built(trainer_class, config_class, options: dict, **parts):
    from datasets import Dataset

    sizes = {"per_device_train_batch_size": B // options.get("gradient_accumulation_steps", 1), "num_generations": G}
    settings = {"use_cpu": True, "bf16": False, "report_to": "none", "reward_weights": WEIGHTS} | sizes | options
    args = config_class(str(home()), **settings)
    model = tiny_model()
    model.config._name_or_path = str(home())
    made = trainer_class(
        model,
        reward_funcs=[accuracy, form],
        args=args,
        train_dataset=Dataset.from_list([{"prompt": "?"}]),
        processing_class=tokenizer(),
        **parts,
    )
    made.current_gradient_accumulation_steps = args.gradient_accumulation_steps  # as its training loop would set it
    return made


def accuracy(*, given_accuracy: Column, **_) -> Column:
    return given_accuracy


def form(*, given_form: Column, **_) -> Column:
    return given_form


def generated(made, batch: Batch, scores: Sequence[Column] = ((0.0,) * B, (0.0,) * B)) -> dict[str, Tensor]:
    """What TRL makes of answers and scores before it learns: advantages, old and reference log-probs, ratios."""
    made.batch, made.model, made.ref_model = batch, Given(batch.old_BT).train(), Given(batch.ref_BT)
    rows = [{"prompt": "?", "given_accuracy": a, "given_form": f} for a, f in zip(*scores, strict=True)]
    return made._generate_and_score_completions(rows)


def learned(made, batch: Batch, inputs: dict[str, Tensor], *, pieces: int = 1) -> tuple[float, Tensor]:
    """TRL's loss and its gradient by the log-prob of each token, added up over `pieces` micro-batches."""
    from trl.trainer.utils import split_tensor_dict

    made.model = Given(batch.logp_BT).train()
    loss = sum(made.compute_loss(made.model, part) for part in split_tensor_dict(inputs, pieces))
    loss.backward()
    return float(loss.detach()), made.model.logp_BT.grad


def trl_loss(batch: Batch, *, pieces: int = 1, **options) -> tuple[float, Tensor]:
    """The two for the batch's advantages."""
    made = trainer(gradient_accumulation_steps=pieces, **options)
    return learned(made, batch, generated(made, batch) | {"advantages": batch.adv_B}, pieces=pieces)


# our side


def our_loss(
    algorithm: Algorithm, logp_M: Tensor, *, old_M: Tensor, ref_M: Tensor, sampler_M: Tensor, adv_M: Tensor,
    rollout_M: Tensor, lengths: Sequence[int], beta: float,
) -> Tensor:  # fmt: skip
    """The parts of an algorithm in the order of `saccade.run.step.optimizer_step`."""
    old_M = sampler_M if algorithm.ratio_to == "sampler" else old_M
    loss_M = algorithm.surrogate(logp_M, old_M, adv_M, rollout_M)
    if algorithm.correction is not None:
        loss_M = loss_M * algorithm.correction(old_M, sampler_M, rollout_M)
    if beta != 0:
        kl_M = algorithm.penalty(logp_M, ref_M)
        loss_M = loss_M + beta * (kl_M * ratio(logp_M, old_M) if algorithm.penalty_by_ratio else kl_M)
    return (torch.from_numpy(algorithm.weigh(lengths)) * loss_M).sum()


def ours(algorithm: Algorithm, batch: Batch, *, by_vllm: bool = False) -> tuple[float, Tensor]:
    """Our loss and gradient, the latter laid out as TRL's. Without `by_vllm` the sampler is `old` itself."""
    leaf_BT = batch.logp_BT.clone().requires_grad_()
    loss = our_loss(algorithm, batch.flat(leaf_BT), **flat_inputs(batch, by_vllm=by_vllm), beta=algorithm.beta_at(0.0))
    loss.backward()
    return float(loss.detach()), leaf_BT.grad


def flat_inputs(batch: Batch, *, by_vllm: bool = False) -> dict:
    rollout_M = batch.is_trained_BT.nonzero()[:, 0]
    return {
        "old_M": batch.flat(batch.old_BT),
        "ref_M": batch.flat(batch.ref_BT),
        "sampler_M": batch.flat(batch.sampler_BT if by_vllm else batch.old_BT),
        "adv_M": batch.adv_B[rollout_M],
        "rollout_M": rollout_M,
        "lengths": batch.lengths,
    }


def gap(a: tuple[float, Tensor], b: tuple[float, Tensor]) -> float:
    """The larger of the differences of two losses and of two gradients, in units of the gradient's largest entry."""
    scale = float(b[1].abs().max())
    assert scale > 1e-3, "the batch has no gradient, so that nothing would be compared"
    return max(abs(a[0] - b[0]), float((a[1] - b[1]).abs().max())) / min(1.0, scale)


# losses

HIGHER = {"epsilon": 0.1, "epsilon_high": 0.3}
SEQUENCE = {"importance_sampling_level": "sequence", "epsilon": 0.05, "epsilon_high": 0.08}
TIGHT = {"importance_sampling_level": "sequence", "epsilon": 3e-4, "epsilon_high": 4e-4}
BY_SEQUENCE = SequenceRatio(low=0.05, high=0.08)

LOSSES = {
    "grpo": (grpo(beta=0.0), {"loss_type": "grpo"}),
    "grpo, clip higher": (grpo(low=0.1, high=0.3, beta=0.0), {"loss_type": "grpo"} | HIGHER),
    "grpo_vlm_r1": (grpo_vlm_r1(beta=0.0), {"loss_type": "grpo"}),
    "grpo_trl_0_16": (grpo_trl_0_16(beta=0.0), {"loss_type": "bnpo"}),
    "grpo_trl_1": (grpo_trl_1(), {}),  # TRL's defaults
    "bnpo": (bnpo(), {"loss_type": "bnpo"}),
    "bnpo, clip higher": (bnpo(low=0.1, high=0.3), {"loss_type": "bnpo"} | HIGHER),
    "dr_grpo": (dr_grpo(limit=11), {"loss_type": "dr_grpo", "max_completion_length": 11}),
    "dapo": (dapo(), {"loss_type": "dapo", "epsilon_high": 0.28}),
    "cispo": (cispo(), {"loss_type": "cispo", "epsilon_high": 5.0}),
    "cispo, capped": (cispo(cap=1.1), {"loss_type": "cispo", "epsilon_high": 1.1}),
    "sapo": (sapo(), {"loss_type": "sapo"}),
    "sapo, steep": (
        sapo(tau_positive=3.0, tau_negative=0.5),
        {"loss_type": "sapo", "sapo_temperature_pos": 3.0, "sapo_temperature_neg": 0.5},
    ),
    "vespo": (vespo(), {"loss_type": "vespo"}),
    "vespo, other shape": (
        replace(vespo(), surrogate=GammaWeight(positive=(1.5, 1.0), negative=(0.5, 2.5))),
        {"loss_type": "vespo"}
        | {"vespo_k_pos": 1.5, "vespo_lambda_pos": 1.0, "vespo_k_neg": 0.5, "vespo_lambda_neg": 2.5},
    ),
    "luspo": (luspo(low=0.05, high=0.08), {"loss_type": "luspo"} | SEQUENCE),
    "luspo, tight": (luspo(), {"loss_type": "luspo"} | TIGHT),
    "luspo by token": (replace(luspo(), surrogate=ClippedRatio()), {"loss_type": "luspo"}),
    "gspo": (gspo(low=0.05, high=0.08), {"loss_type": "grpo"} | SEQUENCE),
    "gspo_token": (gspo_token(low=0.05, high=0.08), {"loss_type": "grpo"} | SEQUENCE),
    "bnpo by sequence": (replace(bnpo(), surrogate=BY_SEQUENCE), {"loss_type": "bnpo"} | SEQUENCE),
    "dapo by sequence": (replace(dapo(), surrogate=BY_SEQUENCE), {"loss_type": "dapo"} | SEQUENCE),
    "dr_grpo by sequence": (
        replace(dr_grpo(limit=11), surrogate=BY_SEQUENCE),
        {"loss_type": "dr_grpo", "max_completion_length": 11} | SEQUENCE,
    ),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_type(name, seed):
    algorithm, options = LOSSES[name]
    batch = batch_of(seed)
    assert gap(ours(algorithm, batch), trl_loss(batch, **options)) < SAME


def with_kl(algorithm: Algorithm, *, by_ratio: bool) -> Algorithm:
    return replace(algorithm, penalty=k3, beta=0.1, penalty_by_ratio=by_ratio)


def with_dual(algorithm: Algorithm) -> Algorithm:
    return replace(algorithm, surrogate=replace(algorithm.surrogate, dual=1.4))


def without_stale_failures(algorithm: Algorithm) -> Algorithm:
    return replace(algorithm, surrogate=WithoutStaleFailures(surrogate=algorithm.surrogate, limit=0.02))


def by_vllm(mode: str, low: float | None = None, high: float | None = None) -> dict:
    options = {"vllm_importance_sampling_clip_min": low, "vllm_importance_sampling_clip_max": high}
    return {"by_vllm": True, "vllm_importance_sampling_mode": mode} | options


def corrected(correction):
    return functools.partial(replace, correction=correction)


OPTIONS = {
    "kl": (lambda a: with_kl(a, by_ratio=False), {"beta": 0.1, "use_bias_correction_kl": False}),
    "kl by ratio": (lambda a: with_kl(a, by_ratio=True), {"beta": 0.1, "use_bias_correction_kl": True}),
    "delta": (with_dual, {"delta": 1.4}),
    "off-policy mask": (without_stale_failures, {"off_policy_mask_threshold": 0.02}),
    "kl, delta and mask": (
        lambda a: with_kl(without_stale_failures(with_dual(a)), by_ratio=True),
        {"beta": 0.1, "delta": 1.4, "off_policy_mask_threshold": 0.02},
    ),
    "vllm as by default": (corrected(MaskedRatio()), {"by_vllm": True}),
    "token_truncate": (corrected(TruncatedRatio(cap=1.2)), by_vllm("token_truncate", high=1.2)),
    "token_truncate, both sides": (
        corrected(TruncatedRatio(cap=1.2, floor=0.9)),
        by_vllm("token_truncate", low=0.9, high=1.2),
    ),
    "token_mask": (corrected(MaskedRatio(low=0.7, high=1.3, level="token")), by_vllm("token_mask", low=0.7, high=1.3)),
    "sequence_truncate": (
        corrected(TruncatedRatio(cap=1.5, floor=0.8, level="sequence")),
        by_vllm("sequence_truncate", low=0.8, high=1.5),
    ),
    "sequence_mask": (corrected(MaskedRatio(low=0.5, high=2.0)), by_vllm("sequence_mask", low=0.5, high=2.0)),
    "vllm and kl": (
        lambda a: with_kl(replace(a, correction=MaskedRatio()), by_ratio=False),
        {"by_vllm": True, "beta": 0.1, "use_bias_correction_kl": False},
    ),
}


def is_comparable(option: str, name: str) -> bool:
    """Whether both have it and mean the same by it; where they mean different things, a test below shows it."""
    algorithm, options = LOSSES[name]
    more = OPTIONS[option][1]
    is_by_sequence = "importance_sampling_level" in options
    return not (
        ("delta" in more and not isinstance(algorithm.surrogate, ClippedRatio))
        or (more.get("use_bias_correction_kl") and is_by_sequence)
        or (more.get("by_vllm") and name.startswith("vespo"))
        or (more.get("vllm_importance_sampling_mode", "").startswith("token") and name == "gspo_token")
    )


@pytest.mark.parametrize("seed", SEEDS[:2])
@pytest.mark.parametrize(
    ("option", "name"), [(o, n) for o in OPTIONS for n in LOSSES if "," not in n and is_comparable(o, n)]
)
def test_every_loss_type_with_every_option(option, name, seed):
    algorithm, options = LOSSES[name]
    change, more = OPTIONS[option]
    batch = batch_of(seed)
    mine = ours(change(algorithm), batch, by_vllm="by_vllm" in more)
    assert gap(mine, trl_loss(batch, **(options | more))) < SAME


@pytest.mark.parametrize("seed", SEEDS)
def test_vespo_weighs_by_the_ratio_to_the_sampler(seed):
    batch = batch_of(seed)
    nothing_truncated = by_vllm("token_truncate", high=1e9)
    assert gap(ours(vespo(), batch, by_vllm=True), trl_loss(batch, loss_type="vespo", **nothing_truncated)) < SAME


@pytest.mark.parametrize("name", [name for name in LOSSES if not name.startswith(("bnpo", "grpo_trl_0_16"))])
def test_trl_over_two_micro_batches_is_our_whole_step(name):
    algorithm, options = LOSSES[name]
    batch = batch_of(4)
    assert gap(ours(algorithm, batch), trl_loss(batch, pieces=2, **options)) < SAME


def test_through_a_real_language_model():
    """TRL's own log-probs, of its fused head, against ours of a plain softmax: the gradient of every weight."""
    batch = batch_of(5)
    made = trainer(beta=0.1)
    inputs = generated(made, batch) | {"advantages": batch.adv_B}
    made.model = made.accelerator.unwrap_model(made.model_wrapped)
    loss = made.compute_loss(made.model, inputs)
    theirs = torch.autograd.grad(loss, list(made.model.parameters()))

    plain = tiny_model()
    plain.load_state_dict(made.model.state_dict())
    token_BS = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], 1)
    mask_BS = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], 1)
    logits = plain(input_ids=token_BS, attention_mask=mask_BS).logits[:, -T - 1 : -1]
    leaf_BT = logits.log_softmax(-1).gather(2, token_BS[:, -T:, None])[..., 0]
    mine = our_loss(grpo_trl_1(beta=0.1), batch.flat(leaf_BT), **flat_inputs(batch), beta=0.1)
    assert mine.item() == pytest.approx(loss.item(), rel=1e-6)
    for one, other in zip(torch.autograd.grad(mine, list(plain.parameters())), theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


# what a broken formula looks like

GRPO = grpo(beta=0.0)
WRONG = {
    "clip bounds swapped": (grpo(low=0.3, high=0.1, beta=0.0), "grpo, clip higher"),
    "no clip": (replace(GRPO, surrogate=ClippedRatio(low=1.0, high=99.0)), "grpo"),
    "mean over tokens for mean of means": (bnpo(), "grpo"),
    "mean of means for mean over tokens": (GRPO, "bnpo"),
    "another budget": (dr_grpo(limit=12), "dr_grpo"),
    "clip not raised": (dapo(high=0.2), "dapo"),
    "another cap": (cispo(cap=1.2), "cispo, capped"),
    "temperatures swapped": (sapo(tau_positive=1.05, tau_negative=1.0), "sapo"),
    "shapes swapped": (replace(vespo(), surrogate=GammaWeight(positive=(3.0, 2.0), negative=(2.0, 3.0))), "vespo"),
    "ratio per token": (replace(luspo(), surrogate=ClippedRatio(low=0.05, high=0.08)), "luspo"),
    "answers not weighted by length": (gspo(low=0.05, high=0.08), "luspo"),
    "kl left out": (GRPO, "grpo", "kl"),
    "kl by ratio": (with_kl(GRPO, by_ratio=True), "grpo", "kl"),
    "kl not by ratio": (with_kl(GRPO, by_ratio=False), "grpo", "kl by ratio"),
    "delta left out": (GRPO, "grpo", "delta"),
    "stale failures left in": (GRPO, "grpo", "off-policy mask"),
    "no correction": (replace(GRPO, correction=None), "grpo", "vllm as by default"),
    "token for sequence": (replace(GRPO, correction=MaskedRatio(level="token")), "grpo", "vllm as by default"),
    "truncated for masked": (replace(GRPO, correction=TruncatedRatio(cap=1.3, floor=0.7)), "grpo", "token_mask"),
    "no floor": (replace(GRPO, correction=TruncatedRatio(cap=1.2)), "grpo", "token_truncate, both sides"),
    "no cap": (replace(GRPO, correction=TruncatedRatio(cap=99.0)), "grpo", "token_truncate"),
    "sum for token": (replace(GRPO, correction=TruncatedRatio(cap=1.5, floor=0.8)), "grpo", "sequence_truncate"),
    "wide mask": (replace(GRPO, correction=MaskedRatio()), "grpo", "sequence_mask"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_formula_is_seen(what):
    algorithm, name, *option = WRONG[what]
    more = OPTIONS[option[0]][1] if option else {}
    batch = batch_of(1)
    assert gap(ours(algorithm, batch, by_vllm="by_vllm" in more), trl_loss(batch, **(LOSSES[name][1] | more))) > 1e-3


# advantages


def scores_of(seed: int, kind: str = "all scored") -> list[Column]:
    """Two rewards of every answer, multiples of 1/64 because TRL keeps rewards in float32; unscored is None in both."""
    rng = np.random.default_rng(seed)
    columns = [[int(rng.integers(0, 65)) / 64 for _ in range(B)] for _ in TERMS]
    gone = {"all scored": (), "some unscored": (1, 6, 7), "poor groups": (0, 1, 2)}[kind]
    same = range(4, 8) if kind == "poor groups" else ()
    shaped = [[column[4] if b in same else column[b] for b in range(B)] for column in columns]
    return [[None if b in gone else column[b] for b in range(B)] for column in shaped]


def groups_of(batch: Batch, scores: Sequence[Column], *, sampler_BT: Tensor | None = None) -> list[Group]:
    """The batch as our rollouts; every token of answer b is b, which is how `GivenPolicy` knows it again."""
    logp = batch.ragged(torch.where(batch.is_trained_BT, batch.old_BT if sampler_BT is None else sampler_BT, 0.0))
    rollouts = [
        Rollout(
            sample=SAMPLES[b // G],
            text=str(b),
            token_T=(b,) * len(is_sampled),
            logp_T=tuple(logp[b]),
            is_sampled_T=tuple(is_sampled),
            stop=Stop.EOS if batch.ends_by_itself[b] else Stop.LENGTH,
        ).scored(
            {term: Score(column[b], weight=w) for term, w, column in zip(TERMS, WEIGHTS, scores, strict=True)},
            total([column[b] for column in scores]),
        )
        for b, is_sampled in enumerate(batch.ragged(batch.is_trained_BT))
    ]
    return [Group(sample=sample, rollouts=tuple(rollouts[g * G : g * G + G])) for g, sample in enumerate(SAMPLES)]


def total(values: Column) -> float | None:
    """The weighted sum of what is known, None where nothing is: TRL's rule."""
    known = [w * value for w, value in zip(WEIGHTS, values, strict=True) if value is not None]
    return sum(known) if known else None


SAMPLES = [Sample(id=str(g), messages=(Message("user", ("?",)),), target="") for g in range(B // G)]
CREDITS = {
    "group": (WithinGroup(ZScore(eps=1e-4)), {"scale_rewards": "group"}),
    "batch": (BatchScaled(), {"scale_rewards": "batch"}),
    "none": (WithinGroup(mean_only), {"scale_rewards": "none"}),
    "normalize_then_sum": (PerReward(), {"multi_objective_aggregation": "normalize_then_sum"}),
}
KINDS = ("all scored", "some unscored", "poor groups")


def trl_advantages(scores: Sequence[Column], **options) -> np.ndarray:
    return generated(trainer(**options), batch_of(0), scores)["advantages"].numpy()


def our_advantages(credit: Assign, scores: Sequence[Column]) -> np.ndarray:
    return np.concatenate(credit(groups_of(batch_of(0), scores), None))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CREDITS)
def test_advantages(name, kind, seed):
    credit, options = CREDITS[name]
    scores = scores_of(seed, kind)
    theirs = trl_advantages(scores, **options)
    assert np.abs(theirs).max() > 0.1
    np.testing.assert_allclose(our_advantages(credit, scores), theirs, rtol=0, atol=SAME)


def test_a_term_that_is_unknown_adds_nothing_when_each_is_normalised_by_itself():
    scores = scores_of(0)
    scores[0][2] = scores[1][5] = scores[1][9] = None
    theirs = trl_advantages(scores, multi_objective_aggregation="normalize_then_sum")
    np.testing.assert_allclose(our_advantages(PerReward(), scores), theirs, rtol=0, atol=SAME)


@pytest.mark.parametrize("what", ["another epsilon", "biased std", "std of the group", "sum before normalising"])
def test_a_wrong_advantage_is_seen(what):
    credit, name = {
        "another epsilon": (WithinGroup(ZScore(eps=1e-2)), "group"),
        "biased std": (WithinGroup(ZScore(eps=1e-4, is_unbiased=False)), "group"),
        "std of the group": (WithinGroup(ZScore(eps=1e-4)), "batch"),
        "sum before normalising": (WithinGroup(ZScore(eps=1e-4)), "normalize_then_sum"),
    }[what]
    scores = scores_of(1)
    assert np.abs(our_advantages(credit, scores) - trl_advantages(scores, **CREDITS[name][1])).max() > 1e-3


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beta", [0.0, 0.05])
def test_leave_one_out_with_the_kl_in_the_reward(beta, kind, seed):
    batch, scores = batch_of(seed, replies=False), scores_of(seed, kind)
    theirs = generated(rloo_trainer(beta=beta), batch, scores)["advantages"].numpy()
    algorithm = rloo(beta=beta)
    kl = iter(batch.flat(algorithm.penalty(batch.old_BT, batch.ref_BT)).split(batch.lengths))
    groups = groups_of(batch, scores)
    costs = [[beta * next(kl).numpy() for _ in group.rollouts] for group in groups]
    assert np.abs(theirs).max() > 0.1
    np.testing.assert_allclose(np.concatenate(algorithm.credit(groups, costs)), theirs, rtol=0, atol=SAME)


# a whole step, from rewards to the gradient


class GivenPolicy:
    """A policy whose log-probs are a leaf, so that the step shows what it would do to them. Each group is a pack."""

    def __init__(self, batch: Batch, *, samples_elsewhere: bool) -> None:
        self.batch, self.samples_elsewhere = batch, samples_elsewhere
        self.leaf_BT = batch.logp_BT.clone().requires_grad_()

    def packs(self, groups: Sequence[Group]) -> list[tuple[Pack, tuple[tuple[int, int], ...]]]:
        prompt = Prompt(token_P=torch.tensor([0]), position_AP=torch.tensor([[0]]), features={}, picture_shas=())
        return [
            (
                Pack.of([(prompt, [Branch(r.token_T, r.is_sampled_T) for r in group.rollouts])]),
                tuple((g, i) for i in range(len(group.rollouts))),
            )
            for g, group in enumerate(groups)
        ]

    @contextmanager
    def learning(self, pack: Pack, *, temperature: float):
        logp_M = self._of(pack, self.leaf_BT)
        yield LogProbs(logp_M, torch.zeros_like(logp_M))

    def reference_logprobs(self, pack: Pack, *, temperature: float) -> Tensor:
        return self._of(pack, self.batch.ref_BT)

    def update(self, *, lr: float) -> float:
        return float(self.leaf_BT.grad.norm())

    def _of(self, pack: Pack, value_BT: Tensor) -> Tensor:
        rows = pack.target_M.unique_consecutive()
        return torch.cat([value_BT[b][self.batch.is_trained_BT[b]] for b in rows])


def our_step(
    algorithm: Algorithm, batch: Batch, scores: Sequence[Column], *, by_vllm: bool = False
) -> tuple[float, Tensor]:
    """What `experience` and `optimizer_step` make of the batch as a later update, when the policy has left `old`."""
    policy = GivenPolicy(batch, samples_elsewhere=by_vllm)
    groups = groups_of(batch, scores, sampler_BT=batch.sampler_BT if by_vllm else None)
    beta = algorithm.beta_at(0.0)
    lessons, _ = experience(policy, groups, algorithm=algorithm, beta=beta)
    old = batch.flat(batch.old_BT).split(batch.lengths)
    if algorithm.ratio_to == "learner":
        lessons = [replace(one, old_T=tuple(old[int(one.rollout.text)].tolist())) for one in lessons]
    metrics = optimizer_step(policy, lessons, algorithm=algorithm, lr=0.0, beta=beta)
    return metrics["loss/mean"], policy.leaf_BT.grad


def trl_step(batch: Batch, scores: Sequence[Column], **options) -> tuple[float, Tensor]:
    made = trainer(**options)
    return learned(made, batch, generated(made, batch, scores))


STEPS = {
    "grpo_trl_1": (grpo_trl_1(), {}),
    "grpo_trl_1 with kl": (grpo_trl_1(beta=0.1), {"beta": 0.1}),
    "grpo_vlm_r1": (grpo_vlm_r1(), {"loss_type": "grpo", "beta": 0.04, "use_bias_correction_kl": False}),
    "grpo_trl_0_16": (grpo_trl_0_16(), {"loss_type": "bnpo", "beta": 0.04, "use_bias_correction_kl": False}),
    "grpo": (grpo(eps=1e-4), {"loss_type": "grpo", "beta": 0.04, "use_bias_correction_kl": False}),
    "bnpo": (bnpo(beta=0.1), {"loss_type": "bnpo", "beta": 0.1, "use_bias_correction_kl": False}),
    "dr_grpo": (dr_grpo(limit=11), {"loss_type": "dr_grpo", "max_completion_length": 11, "scale_rewards": "none"}),
    "dapo": (dapo(eps=1e-4), {"loss_type": "dapo", "epsilon_high": 0.28}),
    "gspo": (gspo(eps=1e-4), {"loss_type": "grpo"} | TIGHT),
    "gspo_token": (gspo_token(eps=1e-4), {"loss_type": "grpo"} | TIGHT),
    "cispo": (cispo(eps=1e-4), LOSSES["cispo"][1]),
    "sapo": (sapo(eps=1e-4), LOSSES["sapo"][1]),
    "luspo": (luspo(), {"loss_type": "luspo"} | TIGHT),
    "vespo": (vespo(), {"loss_type": "vespo"}),
    "gdpo": (gdpo(), {"loss_type": "grpo", "multi_objective_aggregation": "normalize_then_sum"}),
    "std of the batch": (replace(grpo_trl_1(), credit=BatchScaled()), {"scale_rewards": "batch"}),
    "vllm as by default": (replace(grpo_trl_1(beta=0.1), correction=MaskedRatio()), {"beta": 0.1, "by_vllm": True}),
    "vllm, vespo": (vespo(), {"loss_type": "vespo"} | by_vllm("token_truncate", high=1e9)),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", STEPS)
def test_a_whole_step_from_rewards_to_gradient(name, seed):
    algorithm, options = STEPS[name]
    batch, scores = batch_of(seed), scores_of(seed)
    mine = our_step(algorithm, batch, scores, by_vllm="by_vllm" in options)
    assert gap(mine, trl_step(batch, scores, **options)) < SAME


def test_grpo_trl_1_keeps_unscored_answers_in_its_denominator_as_trl_does():
    batch, scores = batch_of(0), scores_of(0, "some unscored")
    assert gap(our_step(grpo_trl_1(beta=0.1), batch, scores), trl_step(batch, scores, beta=0.1)) < SAME


def test_grpo_r1v_is_the_first_update_of_trl():
    batch, scores = batch_of(0, drift=0.0), scores_of(0)
    theirs = trl_step(batch, scores, loss_type="grpo", beta=0.04, use_bias_correction_kl=False)
    assert gap(our_step(grpo_r1v(), batch, scores), theirs) < SAME


def rloo_steps(batch: Batch, *, beta: float) -> tuple[tuple[float, Tensor], tuple[float, Tensor]]:
    scores = scores_of(0, "some unscored")
    made = rloo_trainer(beta=beta)
    mine = our_step(replace(rloo(beta=beta), keep=keep_all), batch, scores)
    return mine, learned(made, batch, generated(made, batch, scores))


def test_rloo_has_the_gradient_of_trl_on_the_first_update():
    mine, theirs = rloo_steps(batch_of(0, drift=0.0, replies=False), beta=0.05)
    assert gap((0.0, mine[1]), (0.0, theirs[1])) < SAME


# where we differ on purpose: each test shows the difference, and the condition under which there is none


def scaled(by: float, result: tuple[float, Tensor]) -> tuple[float, Tensor]:
    return by * result[0], by * result[1]


def test_rloo_differs_in_the_value_of_its_loss_which_is_over_tokens_and_in_having_no_ratio():
    mine, theirs = rloo_steps(batch_of(0, drift=0.0, replies=False), beta=0.05)
    assert abs(mine[0] - theirs[0]) > 1e-3
    mine, theirs = rloo_steps(batch_of(0, drift=0.25, replies=False), beta=0.05)
    assert gap((0.0, mine[1]), (0.0, theirs[1])) > 1e-3


def test_vespo_does_not_truncate_the_ratio_to_the_sampler():
    batch = batch_of(0)
    theirs = trl_loss(batch, loss_type="vespo", **by_vllm("token_truncate", high=1.2))
    assert gap(ours(vespo(), batch, by_vllm=True), theirs) > 1e-3


def test_the_kl_by_ratio_takes_the_ratio_of_the_token_where_trl_takes_that_of_the_answer():
    batch = batch_of(0)
    theirs = trl_loss(batch, loss_type="grpo", beta=0.1, **SEQUENCE)
    assert gap(ours(with_kl(gspo(low=0.05, high=0.08), by_ratio=True), batch), theirs) > 1e-3


def test_gspo_token_corrects_each_token_for_itself_where_trl_spreads_the_correction_over_the_answer():
    batch = batch_of(0)
    mine = ours(replace(gspo_token(low=0.05, high=0.08), correction=TruncatedRatio(cap=1.2)), batch, by_vllm=True)
    theirs = trl_loss(batch, loss_type="grpo", **SEQUENCE, **by_vllm("token_truncate", high=1.2))
    assert mine[0] == pytest.approx(theirs[0], abs=SAME)
    assert gap(mine, theirs) > 1e-3


def test_stale_failures_are_judged_by_old_where_trl_judges_by_the_sampler():
    def both(batch):
        algorithm = corrected(MaskedRatio())(without_stale_failures(grpo(beta=0.0)))
        theirs = trl_loss(batch, loss_type="grpo", off_policy_mask_threshold=0.02, by_vllm=True)
        return ours(algorithm, batch, by_vllm=True), theirs

    assert gap(*both(batch_of(0))) > 1e-3
    assert gap(*both(batch_of(0, mismatch=0.0))) < SAME


def test_bnpo_of_trl_changes_with_the_split_and_ours_is_the_unsplit_one():
    batch = batch_of(4)
    assert gap(ours(bnpo(), batch), trl_loss(batch, loss_type="bnpo")) < SAME
    assert gap(ours(bnpo(), batch), trl_loss(batch, loss_type="bnpo", pieces=2)) > 1e-3


def test_token_means_are_of_this_step_where_trl_takes_the_average_step_of_the_generation():
    batch = batch_of(4)
    made = trainer(loss_type="dapo", per_device_train_batch_size=B // 2, steps_per_generation=2)
    inputs = generated(made, batch) | {"advantages": batch.adv_B}
    half = {key: value[: B // 2] if value.dim() else value for key, value in inputs.items()}
    first = replace(batch, is_trained_BT=batch.is_trained_BT & (torch.arange(B)[:, None] < B // 2))
    share = sum(first.lengths) / (sum(batch.lengths) / 2)
    assert abs(share - 1) > 0.01
    assert gap(scaled(share, ours(dapo(high=0.2), first)), learned(made, batch, half)) < SAME


@pytest.mark.parametrize(("name", "counts_rows"), [("grpo", True), ("dr_grpo", True), ("luspo", True), ("dapo", False)])
def test_an_answer_without_trained_tokens_is_no_row_for_us_and_one_for_trl(name, counts_rows):
    algorithm, options = LOSSES[name]
    batch = batch_of(0)
    batch = replace(batch, is_trained_BT=batch.is_trained_BT & (torch.arange(B)[:, None] != 2))
    share = (B - 1) / B if counts_rows else 1.0
    assert gap(scaled(share, ours(algorithm, batch)), trl_loss(batch, **options)) < SAME


@pytest.mark.parametrize(("name", "counts_rows"), [("grpo_vlm_r1", True), ("luspo", True), ("dapo", False)])
def test_truncated_answers_left_out_are_no_rows_for_us_and_rows_for_trl(name, counts_rows):
    algorithm, options = STEPS[name]
    batch, scores = batch_of(0), scores_of(0)
    algorithm = replace(algorithm, trains=unless_truncated, beta=0.0)
    share = sum(batch.ends_by_itself) / B if counts_rows else 1.0
    theirs = trl_step(batch, scores, mask_truncated_completions=True, **(options | {"beta": 0.0}))
    assert gap(scaled(share, our_step(algorithm, batch, scores)), theirs) < SAME


@pytest.mark.parametrize(
    ("name", "kind"), [("bnpo", "some unscored"), ("luspo", "some unscored"), ("dapo", "flat group")]
)
def test_answers_that_we_do_not_keep_count_in_trls_denominator(name, kind):
    algorithm, options = STEPS[name]
    algorithm = replace(algorithm, beta=0.0)
    batch, scores = batch_of(0), scores_of(0, "all scored" if kind == "flat group" else kind)
    left_out = (1, 6, 7)
    if kind == "flat group":
        left_out = (4, 5, 6, 7)
        scores = [[0.5 if b in left_out else value for b, value in enumerate(column)] for column in scores]
    kept = [0 if b in left_out else 1 if name == "luspo" else n for b, n in enumerate(batch.lengths)]
    share = sum(kept) / (B if name == "luspo" else sum(batch.lengths))
    theirs = trl_step(batch, scores, **(options | {"beta": 0.0}))
    assert gap(scaled(share, our_step(algorithm, batch, scores)), theirs) < SAME
    assert gap(our_step(replace(algorithm, keep=keep_all), batch, scores), theirs) < SAME


def test_a_flat_group_is_exactly_0_where_trls_rounding_leaks_through_epsilon():
    torch.set_default_dtype(torch.float32)  # as TRL runs
    scores = [[0.9] * B, [0.0] * B]
    theirs = trl_advantages(scores, num_generations=6)
    assert 0 < np.abs(theirs).max() < 1e-2
    assert not our_advantages(WithinGroup(ZScore(eps=1e-4)), scores).any()


def test_a_rollout_with_one_unknown_term_is_unscored_where_trl_counts_the_term_as_0():
    scores = scores_of(0)
    scores[1][2] = None
    terms = [
        (reward(lambda rollout, column=column: column[int(rollout.text)], name=term), weight)
        for term, weight, column in zip(TERMS, WEIGHTS, scores, strict=True)
    ]
    groups = asyncio.run(weighted(*terms).score(groups_of(batch_of(0), scores)))
    assert groups[0].rollouts[2].reward is None
    assert WithinGroup(ZScore(eps=1e-4))(groups)[0][2] == 0.0
    zeroed = [[0.0 if value is None else value for value in column] for column in scores]
    np.testing.assert_allclose(trl_advantages(scores), trl_advantages(zeroed), rtol=0, atol=SAME)
    assert abs(trl_advantages(scores)[2]) > 0.1


def test_ratios_are_held_below_e_to_the_20_and_trls_are_not():
    batch = batch_of(0)
    spot = int((batch.adv_B < 0).nonzero()[0])
    batch.old_BT[spot, 0] = batch.logp_BT[spot, 0] - 30
    mine, theirs = ours(grpo(beta=0.0), batch), trl_loss(batch, loss_type="grpo")
    assert theirs[0] / mine[0] == pytest.approx(np.exp(10), rel=1e-6)
