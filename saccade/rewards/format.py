"""Whether an answer has the form that the prompt asked for: 1 or 0, whatever it says.

    >>> weighted((numeric(), 1.0), (format_of(THINK_ANSWER), 0.5))
    >>> format_of(Grammar(tags=("look", "answer"), between="text"))             # a form of your own
"""

from __future__ import annotations

from dataclasses import dataclass

from saccade.core.reward import Reward
from saccade.core.rollout import Rollout, Score
from saccade.rewards.read.tags import Grammar, layout


@dataclass(frozen=True, kw_only=True)
class Format:
    """1 if the text is what the grammar says, else 0."""

    grammar: Grammar

    def __call__(self, rollout: Rollout) -> Score:
        reading = self.grammar.read(rollout.text)
        return Score(float(reading.value is not None), reading.why or f"is {', '.join(self.grammar.tags) or 'text'}")


@dataclass(frozen=True, kw_only=True)
class StrictFormat:
    """1 if the text is these blocks, with nothing around them, else 0; a block may be empty or hold tags."""

    tags: tuple[str, ...]

    def __call__(self, rollout: Rollout) -> Score:
        reading = layout(rollout.text, *self.tags)
        return Score(float(reading.value is not None), reading.why or f"is {', '.join(self.tags)}")


def format_of(grammar: Grammar, *, name: str = "format") -> Reward:
    """A reward for the form that a grammar describes (rewards/read/tags.py has those of the published systems)."""
    return Reward(name=name, function=Format(grammar=grammar))


def strict_format_of(*tags: str, name: str = "format") -> Reward:
    """The full match of most released code bases, `<a>.*?</a>\\s*<b>.*?</b>`. # C

    Whitespace around the whole fails, empty blocks and blocks within blocks pass. `format_of` is more robust.
    """
    return Reward(name=name, function=StrictFormat(tags=tags))
