"""A judge that is a plain function: for tests, for work offline, and for rules that other rewards ask a model for.

    >>> longest = Rule(lambda question: {"score": 5}, name="generous")
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from saccade.core.reward import value_of
from saccade.rewards.judges.judge import Question, Reply


@dataclass(frozen=True)
class Rule:
    """Answers by `function`, async or not: text, or the mapping that a schema asks for. It fails by raising JudgeFailed."""

    function: Callable[[Question], Any | Awaitable[Any]]
    name: str = "rule"

    async def __call__(self, question: Question) -> Reply:
        """The function's reply, checked against the question's schema like any other."""
        found = await value_of(self.function(question))
        return Reply.to(question, found if isinstance(found, str) else json.dumps(found))
