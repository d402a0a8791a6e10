"""What a stage remembers from step to step besides weights and optimizer. All of it is in every checkpoint.

    memory = Memory.restored(memory.saved(task), task)        # held experience without its single scores, which no one asks again
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saccade.core.experience import Experience
from saccade.core.rollout import Rollout, Stop
from saccade.core.sample import Task


@dataclass
class Memory:
    """drawn       samples asked so far, in the endless row that `next_indices` deals out
    beta        what an Adaptive coefficient has come to, None before the first step
    pass_rates  running pass rate of samples asked, by their place in the task, for a Curriculum
    held        experience for a Replay
    """

    drawn: int = 0
    beta: float | None = None
    pass_rates: dict[int, float] = field(default_factory=dict)
    held: tuple[Experience, ...] = ()

    def saved(self, task: Task) -> dict[str, Any]:
        """As plain values; samples by their place in the stage's task."""
        places = {id(sample): place for place, sample in enumerate(task.samples)}
        return {
            "drawn": self.drawn,
            "beta": self.beta,
            "pass_rates": dict(self.pass_rates),
            "held": [_plain(one, places[id(one.rollout.sample)]) for one in self.held],
        }

    @classmethod
    def restored(cls, saved: Mapping[str, Any], task: Task) -> Memory:
        """What `saved` made plain."""
        held = tuple(_experience(one, task) for one in saved["held"])
        return cls(drawn=saved["drawn"], beta=saved["beta"], pass_rates=dict(saved["pass_rates"]), held=held)


def _plain(one: Experience, place: int) -> dict[str, Any]:
    rollout = one.rollout
    return {
        "sample": place,
        "text": rollout.text,
        "token_T": rollout.token_T,
        "logp_T": rollout.logp_T,
        "is_sampled_T": rollout.is_sampled_T,
        "stop": rollout.stop.value,
        "reward": rollout.reward,
        "advantage": np.asarray(one.advantage, dtype=np.float64).tolist(),
    }


def _experience(plain: Mapping[str, Any], task: Task) -> Experience:
    sample = task.samples[plain["sample"]]
    rollout = Rollout(
        sample=sample,
        text=plain["text"],
        token_T=plain["token_T"],
        logp_T=plain["logp_T"],
        is_sampled_T=plain["is_sampled_T"],
        stop=Stop(plain["stop"]),
        pictures=sample.pictures,
        reward=plain["reward"],
    )
    advantage = plain["advantage"]
    return Experience(
        rollout=rollout,
        advantage=np.asarray(advantage) if isinstance(advantage, list) else advantage,
        old_T=rollout.sampled_logp_T,
        is_replayed=True,
    )
