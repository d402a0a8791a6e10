"""A rollout together with how good it was: what the learner learns from.

    >>> Experience(rollout=rollout, advantage=0.7)                      # fresh: its ratio is to the policy as it is
    >>> Experience(rollout=rollout, advantage=0.7, old_T=rollout.sampled_logp_T, is_replayed=True)      # from an older policy
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from saccade.core.rollout import Rollout


@dataclass(frozen=True, kw_only=True)
class Experience:
    """One rollout to learn from.

    `advantage` is one number, or one per sampled token. `old_T`, one per sampled token, are the log-probs that ratios are
    taken to; None means those of the policy before the first update from it. `correction` weighs its tokens by how the
    sampler's log-probs differ from those (algo/corrections.py); None leaves them as they are.
    """

    rollout: Rollout
    advantage: float | np.ndarray
    old_T: tuple[float, ...] | None = None
    correction: Callable[..., Any] | None = None
    is_replayed: bool = False

    def __post_init__(self) -> None:
        if not np.isfinite(self.advantage).all():
            raise ValueError(
                f"the advantage of a rollout of sample {self.rollout.sample.id!r} is {self.advantage}; a credit function must "
                "give finite numbers"
            )

    @property
    def size(self) -> float:
        """How far its advantage is from 0: the largest over its tokens."""
        return float(np.max(np.abs(self.advantage), initial=0.0))

    @property
    def advantage_T(self) -> np.ndarray:
        """One advantage per sampled token."""
        return np.broadcast_to(np.asarray(self.advantage, dtype=np.float64), self.rollout.n_sampled)
