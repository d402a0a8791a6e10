"""Every random number of a run as a function of (seed, what for, when), so that resuming needs no generator's state."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def derive(seed: int, *words: str | int) -> int:
    """A 63-bit seed for one purpose: `derive(0, "rl", 12, "sample")`. Different words give unrelated seeds."""
    text = "/".join(str(word) for word in (seed, *words))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seed_everything(seed: int) -> None:
    """Set Python's, NumPy's and torch's global generators, for rewards and models that draw from them."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def next_indices(n: int, *, first: int, count: int, seed: int) -> list[int]:
    """Which of `n` samples stand at places `first` on of an endless row: epochs of a fresh permutation each, without a gap."""
    indices = []
    for position in range(first, first + count):
        epoch, offset = divmod(position, n)
        indices.append(int(_permutation(n, derive(seed, "epoch", epoch))[offset]))
    return indices


_kept: dict[tuple[int, int], np.ndarray] = {}


def _permutation(n: int, seed: int) -> np.ndarray:
    if (n, seed) not in _kept:
        if len(_kept) > 4:
            _kept.clear()
        _kept[n, seed] = np.random.default_rng(seed).permutation(n)
    return _kept[n, seed]
