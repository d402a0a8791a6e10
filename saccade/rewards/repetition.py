"""A punishment for saying the same again: the share of n-grams that stood before.

    >>> repeated_share(["a", "b", "a", "a"])
    0.5
    >>> weighted((accuracy, 1.0), (repetition(), 1.0))
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score


def repeated_share(items: Collection[Hashable]) -> float:
    """1 - distinct / all: 0 where nothing comes twice, or nothing comes at all; towards 1 where all is the same."""
    return 1 - len(set(items)) / len(items) if items else 0.0


def repeated_ngrams(items: Sequence[Hashable], n: int) -> float:
    """The share of the n items in a row that stood in the sequence before; 0 where there are fewer than n items."""
    if len(items) < n:
        return 0.0
    distinct = len(set(zip(*(itertools.islice(items, start, None) for start in range(n)), strict=False)))
    return 1 - distinct / (len(items) - n + 1)


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """Minus the repeated share of n-grams, from -1 to 0, times `factor`.

    Of words (cut at whitespace, and casefolded: # O), or of the tokens that the policy sampled, which also works for
    languages that write no spaces.
    """

    n: int = 6  # C VLM-R1
    of: Literal["words", "tokens"] = "words"  # C VLM-R1
    factor: float = 1.0  # O

    def __post_init__(self) -> None:
        if self.n < 1 or self.factor < 0 or self.of not in ("words", "tokens"):
            raise ValueError(f"repetition needs n >= 1, factor >= 0 and of='words' or 'tokens', got {self}")

    def __call__(self, rollout: Rollout) -> Score:
        if self.of == "words":
            items: list = rollout.text.casefold().split()
        else:
            items = [token for token, sampled in zip(rollout.token_T, rollout.is_sampled_T, strict=True) if sampled]
        share = repeated_ngrams(items, self.n)
        return Score(-self.factor * share, f"{share:.0%} of {self.n} {self.of} in a row stood there before")


def repetition(*, n: int = 6, of: Literal["words", "tokens"] = "words", factor: float = 1.0) -> Reward:
    """What repeats itself costs up to `factor`: see Repetition. Named "repetition"; the best is 0."""
    return Reward(name="repetition", function=Repetition(n=n, of=of, factor=factor), best=0.0)
