"""How far a packed stream is from separate rows, and the sampler from the learner, on tiny random models.

    python -m tests.exactness        prints the tables of every family (docs/exactness.md)

`packed` is Saccade's way; `separate` is the plain transformers model: its own attention (sdpa), its own position ids, one
row at a time, pictures straight from the checkpoint's processor.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers import AutoModelForImageTextToText, AutoProcessor

from saccade.core.pack import Branch, Pack, plan_packs
from saccade.core.picture import Picture
from saccade.core.rollout import Group
from saccade.core.sample import Message, Sample
from saccade.policy.logprobs import allowed_logits
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.policy.spec import LoRA, ModelSpec, Sampling
from tests import tiny_models


class StayDouble(TorchFunctionMode):
    """Within it, casts of float64 tensors to float32 do nothing.

    transformers' norms and rotary tables round through float32 whatever the model's type; at 1e-7 that noise would hide
    what we want to see. Both sides of a comparison run inside it.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Calls `func` without the cast."""
        kwargs = dict(kwargs or {})
        if args and isinstance(args[0], Tensor) and args[0].dtype == torch.float64:
            if func is Tensor.float:
                return args[0]
            if kwargs.get("dtype") is torch.float32:
                kwargs["dtype"] = torch.float64
            if func is Tensor.to:
                args = tuple(torch.float64 if a is torch.float32 else a for a in args)
        return func(*args, **kwargs)


def backward(loss: Tensor) -> None:
    """loss.backward(), which would leave StayDouble while checkpoints are computed again."""
    torch.autograd.Variable._execution_engine.run_backward(
        (loss,), (torch.ones_like(loss),), False, False, (), allow_unreachable=True, accumulate_grad=True
    )


@dataclass(frozen=True)
class Row:
    """A sample and the answers that its siblings gave."""

    sample: Sample
    branches: tuple[Branch, ...]


def sample_of(name: str, *parts: Any) -> Sample:
    """A sample whose user turn holds these texts and PIL pictures."""
    parts = tuple(part if isinstance(part, str) else Picture.of(part) for part in parts)
    return Sample(id=name, messages=(Message("user", parts),), target="")


def rows_for(policy: TransformersPolicy, *, seed: int = 0) -> list[Row]:
    """Four groups: a picture, three pictures of different sizes, none, and a small one after a long text.

    Answers are of unequal lengths, some of one token, some with tokens that were not sampled.
    """
    wide, tall, small, other = tiny_models.pictures((120, 60), (50, 110), (30, 28), (90, 70), seed=seed)
    samples = (
        sample_of("one", wide, "how many?"),
        sample_of("three", small, "then ", tall, " and ", other, "what is the sum of two and three?"),
        sample_of("none", "what is the sum of two and three digits in this?"),
        sample_of("late", "user and assistant " * 4, other),
    )
    generator = torch.Generator().manual_seed(seed)
    allowed = torch.tensor(sorted(set(range(len(policy.tokenizer))) - set(policy.forbidden.tolist())))

    def answer(length: int, *, turns: bool = False) -> Branch:
        token_T = allowed[torch.randint(len(allowed), (length,), generator=generator)].tolist()
        is_sampled_T = tuple(t % 5 != 2 for t in range(length)) if turns else None
        return Branch(tuple(token_T), is_sampled_T)

    lengths = ((5, 1, 9), (7, 12, 3, 1), (1, 1), (6,))
    return [
        Row(sample, tuple(answer(n, turns=n == 12) for n in row)) for sample, row in zip(samples, lengths, strict=True)
    ]


def weights_of(rows: Sequence[Row], *, seed: int = 1) -> list[list[Tensor]]:
    """A random loss weight for each trained token, per row and sibling."""
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(b.n_trained, generator=generator, dtype=torch.float64) for b in row.branches] for row in rows]


def packed(
    policy: TransformersPolicy, rows: Sequence[Row], weights: list[list[Tensor]], *, budget: int = 10**6, temperature: float = 1.0
) -> tuple[list[list[Tensor]], dict[str, Tensor]]:
    """Log-probs per row and sibling, and gradients of their weighted sum, through packs within a token budget."""
    prompts = [policy.encode(row.sample) for row in rows]
    plan = plan_packs([len(p) for p in prompts], [[b.n_read for b in row.branches] for row in rows], budget=budget)
    logps = [[torch.empty(0)] * len(row.branches) for row in rows]
    policy.model.zero_grad()
    for shares in plan:
        pack = Pack.of([(prompts[s.group], [rows[s.group].branches[i] for i in s.siblings]) for s in shares])
        weight_M = torch.cat([weights[s.group][i] for s in shares for i in s.siblings])
        with policy.learning(pack, temperature=temperature) as logprobs:
            backward((logprobs.logp_M * weight_M.to(logprobs.logp_M)).sum())
        parts = iter(logprobs.logp_M.detach().split([rows[s.group].branches[i].n_trained for s in shares for i in s.siblings]))
        for s in shares:
            for i in s.siblings:
                logps[s.group][i] = next(parts)
    return logps, gradients(policy.model)


def separate(
    plain: nn.Module, processor: Any, rows: Sequence[Row], weights: list[list[Tensor]], *, forbidden: Tensor, temperature: float = 1.0
) -> tuple[list[list[Tensor]], dict[str, Tensor]]:  # fmt: skip
    """The same by the plain model, one row at a time."""
    logps = []
    plain.zero_grad()
    for row, row_weights in zip(rows, weights, strict=True):
        logps.append([])
        for branch, weight_T in zip(row.branches, row_weights, strict=True):
            inputs = inputs_of(processor, row.sample, plain)
            n = inputs["input_ids"].shape[1]
            answer = torch.tensor([branch.token_T])
            for key, value in (("input_ids", answer), ("attention_mask", torch.ones_like(answer)),
                               ("mm_token_type_ids", torch.zeros_like(answer))):  # fmt: skip
                if key in inputs:
                    inputs[key] = torch.cat([inputs[key], value], 1)
            logits_TV = plain(**inputs, use_cache=False).logits[0, n - 1 : -1]
            logp_TV = allowed_logits(logits_TV, forbidden, temperature).log_softmax(-1)
            logp_T = logp_TV.gather(-1, answer[0][:, None])[:, 0]
            if branch.is_sampled_T is not None:
                logp_T = logp_T[torch.tensor(branch.is_sampled_T)]
            backward((logp_T * weight_T.to(logp_T)).sum())
            logps[-1].append(logp_T.detach())
    return logps, gradients(plain)


def inputs_of(processor: Any, sample: Sample, plain: nn.Module) -> dict[str, Tensor]:
    """A sample's model inputs by the checkpoint's processor alone."""
    chat = [
        {"role": m.role, "content": [{"type": "text", "text": p} if isinstance(p, str) else {"type": "image"} for p in m.parts]}
        for m in sample.messages
    ]
    text = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    images = [[picture.image for picture in sample.pictures]] if sample.pictures else None
    inputs = dict(processor(text=[text], images=images, return_tensors="pt", return_mm_token_type_ids=True))
    if not plain.config.model_type.startswith("qwen"):
        inputs.pop("mm_token_type_ids", None)
    return {key: value.to(plain.dtype) if value.is_floating_point() else value for key, value in inputs.items()}


def plain_model(folder: Path, policy: TransformersPolicy) -> tuple[nn.Module, Any]:
    """The checkpoint loaded by transformers alone, with the policy's adapters where it has some, and its processor."""
    plain = AutoModelForImageTextToText.from_pretrained(folder, dtype=policy._hf.dtype, attn_implementation="sdpa")
    if policy.spec.lora is not None:
        from peft import get_peft_model

        plain = get_peft_model(plain, policy.model.peft_config["default"])
        plain.load_state_dict(policy.model.state_dict())
    return plain.eval(), AutoProcessor.from_pretrained(folder)


def gradients(model: nn.Module) -> dict[str, Tensor]:
    """Every gradient that exists, by parameter name."""
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def logp_error(ours: list[list[Tensor]], theirs: list[list[Tensor]]) -> float:
    """The largest difference of any log-prob."""
    pairs = [(a, b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True)]
    return max(float((a - b).abs().max()) for a, b in pairs)


def gradient_error(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    """The largest relative error of any parameter's gradient, in norms.

    Some gradients are zero in theory (the bias of SigLIP's keys): a gradient below a millionth of the whole is compared
    with that millionth.
    """
    if ours.keys() != theirs.keys():
        raise AssertionError(f"gradients on one side only: {sorted(ours.keys() ^ theirs.keys())}")
    floor = 1e-6 * float(torch.stack([g.norm() for g in theirs.values()]).norm())
    return max(float((ours[n] - g).norm()) / max(float(g.norm()), floor) for n, g in theirs.items())


def wake_adapters(model: nn.Module) -> None:
    """Fill LoRA's B matrices, zero at first, so that adapters do something."""
    generator = torch.Generator().manual_seed(5)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * 0.1


def errors(
    folder: Path, spec: ModelSpec, *, budget: int = 10**6, temperature: float = 1.0, dtype: Any = "float64"
) -> tuple[float, float]:
    """(largest log-prob difference, largest relative gradient error) of a checkpoint, packed against separate rows."""
    with StayDouble():  # which leaves a float32 model alone
        policy = TransformersPolicy.load(replace(spec, path=str(folder), dtype=dtype))
        wake_adapters(policy.model)
        rows = rows_for(policy)
        weights = weights_of(rows)
        plain, processor = plain_model(folder, policy)
        ours = packed(policy, rows, weights, budget=budget, temperature=temperature)
        theirs = separate(plain, processor, rows, weights, forbidden=policy.forbidden, temperature=temperature)
    return logp_error(ours[0], theirs[0]), gradient_error(ours[1], theirs[1])


def learner_gap(policy: TransformersPolicy, groups: Sequence[Group], *, temperature: float = 1.0) -> float:
    """The largest difference between the log-probs with which rollouts were sampled and the learner's."""
    pack = Pack.of([(policy.encode(g.sample), [Branch(r.token_T, r.is_sampled_T) for r in g.rollouts]) for g in groups])
    learned_M = policy.logprobs(pack, temperature=temperature).logp_M
    sampled_M = torch.tensor([x for g in groups for r in g.rollouts for x in r.sampled_logp_T])
    return float((sampled_M - learned_M.double()).abs().max())


CASES: dict[str, tuple[ModelSpec, dict[str, Any]]] = {
    "full": (ModelSpec(), {}),
    "split": (ModelSpec(), {"budget": 70, "temperature": 0.7}),
    "lora": (ModelSpec(lora=LoRA(rank=2, parts=("vision", "connector", "language"))), {}),
    "checkpointing": (ModelSpec(gradient_checkpointing=True), {}),
}


def main() -> None:
    """Print, per family, the worst of all cases."""
    print("| family | log-probs, float64 | gradients, float64 | log-probs, float32 | sampler, float32 |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as root:
        for family in tiny_models.MAKERS:
            folder = tiny_models.make(family, Path(root, family))
            double = [errors(folder, spec, **options) for spec, options in CASES.values()]
            single = [errors(folder, spec, dtype="float32", **options) for spec, options in CASES.values()]
            figures = [max(e[0] for e in double), max(e[1] for e in double), max(e[0] for e in single)]
            policy = TransformersPolicy.load(ModelSpec(path=str(folder)))
            samples = [row.sample for row in rows_for(policy)]
            figures.append(learner_gap(policy, policy.sample(samples, n=8, sampling=Sampling(max_tokens=64), seed=0)))
            print(f"| {family} | " + " | ".join(f"{figure:.0e}" for figure in figures) + " |", flush=True)


if __name__ == "__main__":
    main()
