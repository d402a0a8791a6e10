"""A vision-language model as a policy: a transformers checkpoint behind the few verbs that training needs.

    policy = TransformersPolicy.load(ModelSpec(path="Qwen/Qwen2.5-VL-3B-Instruct", lora=LoRA()))
    prompt = policy.encode(sample)                        # once per sample
    groups = policy.sample(samples, n=8, sampling=Sampling(max_tokens=256), seed=0)
    pack = Pack.of([(prompt, [Branch(r.token_T) for r in groups[0].rollouts])])
    with policy.learning(pack) as logprobs:               # differentiable log-probs of all sampled tokens
        (-logprobs.logp_M.mean()).backward()
    policy.update(lr=1e-6)

The model class is transformers' own, unmodified; only the name of its attention function is set.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from saccade.core.pack import Branch, Pack, Prompt, plan_packs
from saccade.core.picture import Picture
from saccade.core.rollout import Group, Rollout, Stop
from saccade.core.sample import EMPTY, Sample
from saccade.policy import attention
from saccade.policy.families import Family, UnsupportedModel
from saccade.policy.loading import load_model, vision_token_ids
from saccade.policy.logprobs import LogProbs, allowed_logits, token_logprobs
from saccade.policy.protocol import NotFinite
from saccade.policy.reader import TEXT_KEYS, PictureMismatch, Reader
from saccade.policy.sampler import Attempt, sample_wave
from saccade.policy.spec import ModelSpec, Optimization, Sampling

class TransformersPolicy:
    """A model that samples and learns.

    `model` is the transformers model (with peft's adapters in place where LoRA is on); `processor` its processor.
    """

    samples_elsewhere = False

    def __init__(self, model: nn.Module, processor: Any, *, family: Family, spec: ModelSpec) -> None:
        self.model, self.processor, self.family, self.spec = model, processor, family, spec
        self.device = next(model.parameters()).device
        self.tokenizer = processor.tokenizer
        n_logits = self._hf.get_output_embeddings().weight.shape[0]
        forbidden = sorted(vision_token_ids(self._hf.config, self.tokenizer, n_logits=n_logits))
        self.forbidden = torch.tensor(forbidden, dtype=torch.long, device=self.device)
        self.end = torch.tensor(sorted(_end_ids(self._hf, self.tokenizer)), dtype=torch.long, device=self.device)
        self.reader = Reader(processor, config=self._hf.config, family=family, forbidden=forbidden)
        self._reference: dict[str, Tensor] | None = None
        self.optimizer: torch.optim.Optimizer | None = None

    @classmethod
    def load(cls, spec: ModelSpec) -> TransformersPolicy:
        """The policy of a checkpoint. UnsupportedModel in one sentence when it is missing, no VLM, or of no known family."""
        model, processor, family = load_model(spec)
        return cls(model, processor, family=family, spec=spec)

    @property
    def _hf(self) -> nn.Module:
        """The transformers model inside peft's wrapper, or itself."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    # ---- reading samples

    def encode(self, sample: Sample) -> Prompt:
        """The sample's messages as this model reads them, with the generation prompt; kept for the next time.

        PictureMismatch when the number of image tokens is not the number of vectors that the vision tower will give.
        """
        return self.reader.encode(sample)

    def check(self, sample: Sample) -> None:
        """PictureMismatch if the sample's text holds a token that this model reads as part of a picture."""
        self.reader.check(sample)

    def seen(self, sample: Sample) -> tuple[Picture, ...]:
        """The sample's pictures with the sizes at which this model sees them, where its family has such a size."""
        return self.reader.seen(sample)

    def prompt_tokens(self, sample: Sample) -> tuple[int, int]:
        """Tokens of the sample's prompt, and how many of them are replaced by vectors of its pictures."""
        token_P = self.encode(sample).token_P
        return len(token_P), int((token_P == self.reader.image_token).sum())

    def branch_of(self, text: str) -> Branch:
        """A written answer as the tokens that the model should have sampled, the end token included."""
        return self.reader.branch_of(text)

    def pieces(self, token_T: Sequence[int]) -> tuple[str, ...]:
        """The text that each token of an answer adds; a character that spans several tokens is the first one's."""
        return self.reader.pieces(token_T)

    # ---- sampling

    def sample(self, samples: Sequence[Sample], *, n: int, sampling: Sampling, seed: int) -> list[Group]:
        """`n` rollouts of each sample, unscored, as Groups in order. The same seed gives the same rollouts.

        NotFinite where the model's logits are.
        """
        attempts = self._drawn([self.encode(sample) for sample in samples], n, sampling, seed)
        rollouts = [[self._rollout(s, a) for a in rows] for s, rows in zip(samples, attempts, strict=True)]
        self._require_finite([rollout for row in rollouts for rollout in row])
        return [Group(sample=s, rollouts=tuple(row)) for s, row in zip(samples, rollouts, strict=True)]

    def extend(self, begun: Sequence[Rollout], *, sampling: Sampling, seed: int) -> list[Rollout]:
        """Each rollout with its branch gone on with: up to `sampling.max_tokens` further tokens are sampled, unscored.

        Words that are forced upon an answer stand at the end of its branch already, with is_sampled_T False and a log-prob of
        0. NotFinite where the model's logits are.
        """
        prompts = [self.encode(rollout.sample).followed_by(rollout.token_T) for rollout in begun]
        attempts = self._drawn(prompts, 1, sampling, seed)
        rollouts = [self._extended(rollout, attempt) for rollout, (attempt,) in zip(begun, attempts, strict=True)]
        self._require_finite(rollouts)
        return rollouts

    def _drawn(self, prompts: Sequence[Prompt], n: int, sampling: Sampling, seed: int) -> list[list[Attempt]]:
        """`n` attempts at each prompt, in order."""
        generator = torch.Generator(self.device).manual_seed(seed)
        attempts: list[list[Attempt]] = [[]] * len(prompts)
        for wave in self._waves(prompts, n, sampling):
            drawn = self._sample_wave([prompts[i] for i in wave], n, sampling, generator)
            for i, rows in zip(wave, drawn, strict=True):
                attempts[i] = rows
        return attempts

    @staticmethod
    def _require_finite(rollouts: Sequence[Rollout]) -> None:
        broken = [r for r in rollouts if not math.isfinite(math.fsum(r.logp_T))]
        if broken:
            names = ", ".join(dict.fromkeys(r.sample.id for r in broken))
            raise NotFinite(f"the log-probs of {len(broken)} answers as they were sampled, to {names}, are not finite", broken)

    def _waves(self, prompts: Sequence[Prompt], n: int, sampling: Sampling) -> Iterator[list[int]]:
        """Indices of prompts that are sampled together: similar lengths, within the token budget."""
        wave, cost = [], 0
        for i in sorted(range(len(prompts)), key=lambda i: len(prompts[i])):
            more = len(prompts[i]) + n * sampling.max_tokens
            if wave and cost + more > self.spec.sample_tokens:
                yield wave
                wave, cost = [], 0
            wave.append(i)
            cost += more
        if wave:
            yield wave

    @torch.inference_mode()
    def _sample_wave(self, prompts: Sequence[Prompt], n: int, sampling: Sampling, generator: torch.Generator):
        self.model.eval()
        with self._autocast():
            return sample_wave(
                self._states, self._hf.get_output_embeddings(), prompts,
                n=n, sampling=sampling, forbidden=self.forbidden, end=self.end, generator=generator, device=self.device,
            )  # fmt: skip

    def _rollout(self, sample: Sample, attempt: Attempt) -> Rollout:
        nothing = Rollout(
            sample=sample, text="", token_T=(), logp_T=(), is_sampled_T=(), stop=Stop.LENGTH, pictures=self.seen(sample)
        )
        return self._extended(nothing, attempt)

    def _extended(self, begun: Rollout, attempt: Attempt) -> Rollout:
        token_T = begun.token_T + attempt.token_T
        return replace(
            begun,
            text=self.reader.text_of(token_T),
            token_T=token_T,
            logp_T=begun.logp_T + attempt.logp_T,
            is_sampled_T=begun.is_sampled_T + (True,) * len(attempt.token_T),
            stop=Stop.EOS if attempt.is_ended else Stop.LENGTH,
            scores=EMPTY,
            reward=None,
        )

    # ---- learning

    def packs(self, groups: Sequence[Group]) -> list[tuple[Pack, tuple[tuple[int, int], ...]]]:
        """The groups as packs within the token budget, each with the (group, sibling) of its rollouts in order.

        PictureMismatch when a rollout was sampled from other pixels than the learner would encode.
        """
        prompts = [self.encode(group.sample) for group in groups]
        for group, prompt in zip(groups, prompts, strict=True):
            if any(rollout.picture_shas != prompt.picture_shas for rollout in group.rollouts):
                raise PictureMismatch(
                    f"sample {group.sample.id!r}: its pictures are not those that its rollouts were sampled from; "
                    "did the files change while the run was on?"
                )
        branches = [[Branch(r.token_T, r.is_sampled_T) for r in group.rollouts] for group in groups]
        plan = plan_packs(
            [len(prompt) for prompt in prompts],
            [[branch.n_read for branch in row] for row in branches],
            budget=self.spec.learn_tokens,
        )
        return [
            (
                Pack.of([(prompts[s.group], [branches[s.group][i] for i in s.siblings]) for s in shares]),
                tuple((s.group, i) for s in shares for i in s.siblings),
            )
            for shares in plan
        ]

    @contextlib.contextmanager
    def learning(self, pack: Pack, *, temperature: float = 1.0) -> Iterator[LogProbs]:
        """Differentiable log-probs of a pack's sampled tokens. Call backward() inside."""
        pack = pack.to(self.device)
        self.model.train()
        with attention.attending(attention.PackStream(pack)):
            with self._autocast():
                logprobs = self._logprobs(pack, temperature)
            yield logprobs

    @torch.no_grad()
    def logprobs(self, pack: Pack, *, temperature: float = 1.0) -> LogProbs:
        """Log-probs of a pack's sampled tokens under the weights as they are."""
        pack = pack.to(self.device)
        self.model.eval()
        with attention.attending(attention.PackStream(pack)), self._autocast():
            return self._logprobs(pack, temperature)

    @torch.no_grad()
    def separate_logprobs(self, sample: Sample, token_T: Sequence[int]) -> Tensor:
        """One rollout's log-probs [T] the plain way: one row, transformers' own attention, positions and logits.

        Slow, and independent of everything above: the probe compares the packed stream with it.
        """
        inputs = self.reader.processed(sample)
        for key in TEXT_KEYS & inputs.keys():
            fill = torch.tensor([token_T]) if key == "input_ids" else torch.full((1, len(token_T)), key == "attention_mask")
            inputs[key] = torch.cat([inputs[key], fill.to(inputs[key].dtype)], 1)
        inputs = {key: self._to_model(value) for key, value in inputs.items()}
        text, ours = self._hf.config.get_text_config(), attention.NAME
        self.model.eval()
        try:
            text._attn_implementation = "sdpa"
            with self._autocast():
                # The prompt's logits are never made: a long one would take gigabytes.
                logits_TV = self._hf(**inputs, use_cache=False, logits_to_keep=len(token_T) + 1).logits[0, :-1]
        finally:
            text._attn_implementation = ours
        logp_TV = allowed_logits(logits_TV, self.forbidden, 1.0).log_softmax(-1)
        return logp_TV.gather(-1, torch.tensor(token_T, device=self.device)[:, None])[:, 0]

    def reference_logprobs(self, pack: Pack, *, temperature: float = 1.0) -> Tensor:
        """The same log-probs under the reference that `hold_reference` keeps."""
        with self._as_reference():
            return self.logprobs(pack, temperature=temperature).logp_M

    def hold_reference(self, state: Mapping[str, Tensor] | None = None) -> None:
        """Keep a frozen copy of the trained weights as they are now, or of an earlier `reference_state`.

        Weights that do not train are shared, so with LoRA the copy is the size of the adapters. Held before the first step
        of a fresh adapter it is the base model: the disabled adapter.
        """
        trained = self._trained()
        if state is not None and state.keys() != trained.keys():
            raise ValueError("the reference's weights are not of the parts that train now; begin the stage anew")
        self._reference = {
            name: (own if state is None else state[name].to(own)).detach().clone() for name, own in trained.items()
        }

    def base_state(self) -> dict[str, Tensor]:
        """The reference that is the base model: adapters of zero, which is adapters disabled. ValueError without LoRA."""
        if self.spec.lora is None:
            raise ValueError("only a model with adapters still knows its base; set lora, or reference='stage'")
        return {name: torch.zeros_like(own) for name, own in self._trained().items()}

    def reference_state(self) -> dict[str, Tensor]:
        """The reference's own weights, on the CPU."""
        return {name: weight.to("cpu", copy=True) for name, weight in self._held().items()}

    @torch.no_grad()
    def sync_reference(self, *, mix: float) -> None:
        """reference = mix * policy + (1 - mix) * reference, weight by weight: TR-DPO (2404.09656).

        With LoRA the weights are the adapters' factors A and B, each mixed for itself: their product moves by another share.
        """
        for name, own in self._trained().items():
            self._held()[name].lerp_(own, mix)

    def drop_reference(self) -> None:
        """Free the frozen copy."""
        self._reference = None

    @contextlib.contextmanager
    def _as_reference(self) -> Iterator[None]:
        """Within it the model has the reference's weights; nothing is copied."""
        held, trained = self._held(), self._trained()
        own = {name: parameter.data for name, parameter in trained.items()}
        try:
            for name, parameter in trained.items():
                parameter.data = held[name]
            yield
        finally:
            for name, parameter in trained.items():
                parameter.data = own[name]

    def _held(self) -> dict[str, Tensor]:
        if self._reference is None:
            raise RuntimeError("no reference is held; call hold_reference() where the stage begins")
        return self._reference

    def _trained(self) -> dict[str, nn.Parameter]:
        return {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}

    def _logprobs(self, pack: Pack, temperature: float) -> LogProbs:
        hidden_NH = self._states(pack.token_N, pack.position_AN, pack.features)
        head = self._hf.get_output_embeddings()
        return token_logprobs(
            head, hidden_NH[pack.source_M], target_M=pack.target_M, forbidden=self.forbidden,
            temperature=temperature, vocabulary=head.weight.shape[0],
        )  # fmt: skip

    def _states(self, token_N: Tensor, position_AN: Tensor, features: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """The last hidden state of every token of a stream, [N, H]; each picture of `features` is encoded once."""
        pictures = self.family.join(features) if features else {}
        pictures = {key: self._to_model(value) for key, value in pictures.items()}
        position = position_AN[:, None] if position_AN.shape[0] > 1 else position_AN
        out = self._hf.model(input_ids=token_N[None], position_ids=position, use_cache=False, **pictures)
        return out.last_hidden_state[0]

    def _to_model(self, value: Tensor) -> Tensor:
        dtype = self._hf.dtype if value.is_floating_point() else None
        return value.to(self.device, dtype)

    def _autocast(self) -> Any:
        if self.spec.dtype != "bfloat16":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    # ---- stepping

    def part_of(self, name: str) -> str:
        """'vision', 'connector' or 'language': where a named parameter of `model` belongs."""
        inner = name.removeprefix("base_model.model.")
        return self.family.part_of(inner.removeprefix("model.")) if inner.startswith("model.") else "language"

    def start_optimizer(self, settings: Optimization) -> None:
        """A fresh AdamW over the trained parameters, one group per part with its own learning rate."""
        scales = {
            "vision": self.spec.lr_scale_vision,
            "connector": self.spec.lr_scale_connector,
            "language": self.spec.lr_scale_language,
        }
        parts: dict[str, list[nn.Parameter]] = {part: [] for part in scales}
        for name, parameter in self._trained().items():
            parts[self.part_of(name)].append(parameter)
        groups = [{"params": p, "lr": 0.0, "scale": scales[part], "part": part} for part, p in parts.items() if p]
        if not groups:
            raise ValueError(f"nothing is left to train: every part is frozen ({', '.join(self.spec.freeze)})")
        self.optimization = settings
        self.optimizer = torch.optim.AdamW(
            groups, betas=(settings.beta1, settings.beta2), eps=settings.eps, weight_decay=settings.weight_decay, fused=True
        )

    def update(self, *, lr: float) -> float:
        """Clip the gradients, take one AdamW step at this rate, clear them; the gradient norm before clipping."""
        if self.optimizer is None:
            raise RuntimeError("no optimizer; call start_optimizer() where the stage begins")
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm = nn.utils.clip_grad_norm_(trained, self.optimization.max_grad_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["scale"]
        if torch.isfinite(norm):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(norm)

    # ---- saving

    def save(self, folder: Path) -> None:
        """An ordinary Hugging Face folder: the model (or, with LoRA, the adapter) and its processor."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)

    def save_merged(self, folder: Path) -> None:
        """A folder that plain from_pretrained loads: with LoRA the adapters are merged into a copy of the weights."""
        model = copy.deepcopy(self.model).merge_and_unload() if self.spec.lora else self.model
        model.save_pretrained(folder)
        self.processor.save_pretrained(folder)

    def restore(self, folder: Path) -> None:
        """Take the weights that `save` wrote into `folder`; the model stays the same object.

        UnsupportedModel where they are another model's: the one that the run began with was changed or replaced.
        """
        try:
            if self.spec.lora is not None:
                self._load_adapters(folder)
            else:
                self._load_weights(folder)
        except RuntimeError as error:  # torch's word for names and shapes that differ
            raise UnsupportedModel(
                f"the weights in {folder} are not of the model {self.spec.path!r} as it is now: {str(error).splitlines()[-1].strip()}; "
                "put back the model that the run began with"
            ) from error

    def _load_adapters(self, folder: Path) -> None:
        from peft import set_peft_model_state_dict
        from safetensors.torch import load_file

        set_peft_model_state_dict(self.model, load_file(folder / "adapter_model.safetensors"))

    def _load_weights(self, folder: Path) -> None:
        # The widest type in the model: frozen bfloat16 weights come back exactly from float32.
        dtype = torch.float64 if self.spec.dtype == "float64" else torch.float32
        self.model.load_state_dict(type(self._hf).from_pretrained(folder, dtype=dtype).state_dict())


def _end_ids(model: nn.Module, tokenizer: Any) -> set[int]:
    ids = getattr(model.generation_config, "eos_token_id", None)
    ids = ids if isinstance(ids, list) else [ids]
    return {i for i in (*ids, tokenizer.eos_token_id) if i is not None}
