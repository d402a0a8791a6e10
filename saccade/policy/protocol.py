"""What the rest of Saccade asks of a policy, whatever it is made of.

`TransformersPolicy` does this for vision-language models. A detector or a CLIP implements the same verbs with packs of its own:
the step, the stages, the evaluations and the run folder use nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from saccade.core.pack import Branch, Pack
from saccade.core.picture import Picture
from saccade.core.rollout import Group, Rollout
from saccade.core.sample import Sample
from saccade.policy.logprobs import LogProbs
from saccade.policy.spec import ModelSpec, Optimization, Sampling


class NotFinite(RuntimeError):
    """Log-probs or gradients that are NaN or infinite. `rollouts` are those that they belong to."""

    def __init__(self, message: str, rollouts: Sequence[Rollout]) -> None:
        super().__init__(message)
        self.rollouts = tuple(rollouts)


class Policy(Protocol):
    """A model that samples and learns.

    `samples_elsewhere` says that its rollouts come from another engine, whose log-probs are not the learner's.
    """

    spec: ModelSpec
    samples_elsewhere: bool
    optimizer: torch.optim.Optimizer | None

    def sample(self, samples: Sequence[Sample], *, n: int, sampling: Sampling, seed: int) -> list[Group]:
        """`n` unscored rollouts of each sample, in order; the same seed gives the same rollouts. NotFinite if log-probs are."""

    def extend(self, begun: Sequence[Rollout], *, sampling: Sampling, seed: int) -> list[Rollout]:
        """Each rollout with its branch gone on with, forced words at its end included. NotFinite if log-probs are."""

    def check(self, sample: Sample) -> None:
        """Refuse a sample that the model would misread, quickly: it is asked of every sample before the first step."""

    def seen(self, sample: Sample) -> tuple[Picture, ...]:
        """The sample's pictures with the sizes at which the model sees them."""

    def prompt_tokens(self, sample: Sample) -> tuple[int, int]:
        """Tokens of the sample's prompt, and how many of them stand for its pictures."""

    def branch_of(self, text: str) -> Branch:
        """A written answer as the tokens that the model should have sampled."""

    def pieces(self, token_T: Sequence[int]) -> tuple[str, ...]:
        """The text that each token of an answer adds, "" for special ones; joined they are what was written."""

    def packs(self, groups: Sequence[Group]) -> list[tuple[Pack, tuple[tuple[int, int], ...]]]:
        """The groups as packs that fit into memory, each with the (group, sibling) of its rollouts in order."""

    def learning(self, pack: Pack, *, temperature: float = 1.0) -> AbstractContextManager[LogProbs]:
        """Differentiable log-probs of a pack's sampled tokens; call backward() inside."""

    def logprobs(self, pack: Pack, *, temperature: float = 1.0) -> LogProbs:
        """The same without gradients."""

    def separate_logprobs(self, sample: Sample, token_T: Sequence[int]) -> Tensor:
        """One rollout's log-probs computed the slow and plain way, for the probe."""

    def reference_logprobs(self, pack: Pack, *, temperature: float = 1.0) -> Tensor:
        """Log-probs under the reference that `hold_reference` keeps."""

    def hold_reference(self, state: Mapping[str, Tensor] | None = None) -> None:
        """Keep the weights as they are now, or those of an earlier `reference_state`, as the reference."""

    def base_state(self) -> dict[str, Tensor]:
        """The reference that is the model without its adapters, for `hold_reference`. ValueError where it has none."""

    def reference_state(self) -> dict[str, Tensor]:
        """What the reference is, for a checkpoint."""

    def sync_reference(self, *, mix: float) -> None:
        """Move the reference towards the policy: mix * policy + (1 - mix) * reference."""

    def drop_reference(self) -> None:
        """Let go of it."""

    def start_optimizer(self, settings: Optimization) -> None:
        """A fresh optimizer over what trains."""

    def update(self, *, lr: float) -> float:
        """Clip, step, clear; the gradient norm before clipping. Weights stay as they are where it is not finite."""

    def save(self, folder: Path) -> Any:
        """Write an ordinary checkpoint folder."""

    def save_merged(self, folder: Path) -> Any:
        """Write one that loads without us, adapters merged."""

    def restore(self, folder: Path) -> None:
        """Take the weights that `save` wrote."""
