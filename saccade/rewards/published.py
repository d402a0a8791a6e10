"""The rewards of the published systems, each with its formula and its source: what docs/rewards.md is made of.

Every file in `rewards/papers/` is one system. Its functions make a Reward and say beside themselves what they are:

    SYSTEM = "Skywork-R1V3"

    @published(
        formula="1 if the rule or the verifier says equal, else 0",
        source="P",
        target="the gold answer, a str",
        changed="the two verdicts are logged apart: their OR only inflates",
        example=Example(text="<think>6*7</think>\\n\\\\boxed{42}", target="42"),
    )
    def accuracy(*, as_released: bool = False) -> Reward:
        ...

    >>> from saccade.rewards.papers import skywork_r1v3
    >>> rewards = weighted((skywork_r1v3.accuracy(), 0.8), (skywork_r1v3.format(), 0.2))
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from saccade.core.picture import Picture
from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Stop
from saccade.core.sample import EMPTY, Message, Sample


@dataclass(frozen=True, kw_only=True)
class Example:
    """An answer that earns the whole of a reward: its text, the gold target, and what else the sample must hold.

    `size` is the picture's in pixels, None for a text-only sample; `model_size` that at which the model saw it.
    """

    text: str
    target: Any
    data: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    kind: str = ""
    size: tuple[int, int] | None = None
    model_size: tuple[int, int] | None = None

    def rollout(self, text: str | None = None) -> Rollout:
        """The example as a rollout, with another text where one is given."""
        pictures: tuple[Picture, ...] = ()
        if self.size is not None:
            import PIL.Image

            pictures = (Picture.of(PIL.Image.new("RGB", self.size)),)
        sample = Sample(
            id="example", messages=(Message("user", (*pictures, "?")),), target=self.target, kind=self.kind, data=self.data
        )
        seen = tuple(picture.seen_at(self.model_size or self.size) for picture in pictures)
        return Rollout(
            sample=sample,
            text=self.text if text is None else text,
            token_T=(0,),
            logp_T=(-1.0,),
            is_sampled_T=(True,),
            stop=Stop.EOS,
            pictures=seen,
        )


@dataclass(frozen=True, kw_only=True)
class Published:
    """A reward of a published system. `source` marks: P paper, C released code, S second-hand, I inferred, O ours.

    `released` says in what the released code differs (`as_released=True` does as it does); `changed` what we do otherwise
    than both, and why. `example` is None for rewards that compare siblings or ask a judge.
    """

    system: str
    name: str
    make: Callable[..., Reward]
    formula: str
    source: str
    target: str
    released: str
    changed: str
    example: Example | None


def published(
    *, formula: str, source: str, target: str, released: str = "", changed: str = "", example: Example | None = None
) -> Callable[[Callable[..., Reward]], Callable[..., Reward]]:
    """Mark a function of a paper's file, which must name its SYSTEM above, as one of that system's rewards."""

    def mark(make: Callable[..., Reward]) -> Callable[..., Reward]:
        make.published = Published(
            system=sys.modules[make.__module__].SYSTEM,
            name=make.__name__,
            make=make,
            formula=formula,
            source=source,
            target=target,
            released=released,
            changed=changed,
            example=example,
        )
        return make

    return mark


def all_published() -> list[Published]:
    """Every published reward, by file and then in the order in which the file defines them."""
    from saccade.rewards import papers

    found = []
    for info in pkgutil.iter_modules(papers.__path__):
        module = importlib.import_module(f"{papers.__name__}.{info.name}")
        marks = (getattr(thing, "published", None) for thing in vars(module).values())
        found += [mark for mark in marks if isinstance(mark, Published)]
    return found
