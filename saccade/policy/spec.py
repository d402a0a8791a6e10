"""How to load a model, how to sample from it, and how to step it: the plain values that a recipe holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class LoRA:
    """Low-rank adapters (Hu et al. 2021) on the linear layers of some parts instead of full training."""

    rank: int = 16
    alpha: float = 32.0
    parts: tuple[Literal["vision", "connector", "language"], ...] = ("language",)


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """Which checkpoint, and how it is held and trained.

    path                    a Hugging Face checkpoint folder or hub name; "tiny" and "tiny-grounding" are embedded models
    dtype                   "float32", "bfloat16" (trained weights stay float32, frozen ones and all compute are bfloat16),
                            or "float64"
    lora                    None trains the weights themselves
    freeze                  parts that do not train
    lr_scale_vision, ...    a part's learning rate as a multiple of the stage's
    gradient_checkpointing  recompute activations in the backward pass: less memory, about a third more time
    learn_tokens            token budget of a learner's pack
    sample_tokens           token budget (prompts once, plus every row's limit) of one sampling wave
    min_pixels, max_pixels  bounds for the processor's resizing, None keeps the checkpoint's own
    device                  "auto", "cpu", "cuda", ...
    """

    path: str = "tiny"
    dtype: Literal["float32", "bfloat16", "float64"] = "float32"
    lora: LoRA | None = None
    freeze: tuple[Literal["vision", "connector", "language"], ...] = ()
    lr_scale_vision: float = 1.0
    lr_scale_connector: float = 1.0
    lr_scale_language: float = 1.0
    gradient_checkpointing: bool = False
    learn_tokens: int = 8192
    sample_tokens: int = 131072
    min_pixels: int | None = None
    max_pixels: int | None = None
    device: str = "auto"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> ModelSpec:
        """The spec that `dataclasses.asdict`, or JSON of it, came from."""
        lora = values["lora"] and LoRA(**{**values["lora"], "parts": tuple(values["lora"]["parts"])})
        return cls(**{**values, "lora": lora, "freeze": tuple(values["freeze"])})

    def __post_init__(self) -> None:
        both = sorted(set(self.freeze) & set(self.lora.parts)) if self.lora else []
        if both:
            raise ValueError(f"freeze and lora.parts both name {', '.join(both)}; adapters cannot train a frozen part")


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How answers are drawn. temperature 0 is greedy; top_p 1 and top_k 0 leave the whole distribution.

    `min_tokens` forbids the end token before that many (for benchmarks of equal work).
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 512
    min_tokens: int = 0

    def __post_init__(self) -> None:
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.top_k < 0 or self.max_tokens < 1:
            raise ValueError(
                f"sampling needs temperature >= 0, 0 < top_p <= 1, top_k >= 0, max_tokens >= 1, got {self}"
            )

    @property
    def is_whole(self) -> bool:
        """Whether sampling draws from the whole distribution, so that log-probs of it are the learner's."""
        return self.temperature > 0 and self.top_p == 1 and self.top_k == 0


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """AdamW and its schedule. `lr` is the peak; the schedule runs from warm-up to the end of the stage.

    `floor` is the share of the peak that linear and cosine fall to: 0.5 ends a cosine at half of it.
    """

    lr: float
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: int = 0
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        is_sound = 0 <= self.lr < math.inf and self.warmup_steps >= 0 and 0 <= self.beta1 < 1 and 0 <= self.beta2 < 1
        if not (is_sound and self.eps > 0 and self.weight_decay >= 0 and self.max_grad_norm > 0 and 0 <= self.floor <= 1):
            raise ValueError(
                "optimization needs a finite lr >= 0, warmup_steps >= 0, beta1 and beta2 from 0 to below 1, eps > 0, "
                f"weight_decay >= 0, max_grad_norm > 0 and floor from 0 to 1, got {self}"
            )

    def lr_at(self, step: int, *, total: int) -> float:
        """The learning rate of a step (counted from 0) of a stage with `total` steps."""
        if step < self.warmup_steps:
            return self.lr * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(1, total - self.warmup_steps)
        match self.schedule:
            case "constant":
                return self.lr
            case "linear":
                left = 1 - done
            case "cosine":
                left = 0.5 * (1 + math.cos(math.pi * done))
        return self.lr * (self.floor + (1 - self.floor) * left)
