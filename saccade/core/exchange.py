"""What was asked of a judge about a rollout, and what it replied, kept with the score that came of it.

    >>> with overheard() as exchanges:                      # around the scoring of one rollout
    ...     await judge(question)                           # whoever asks calls note(...)
    >>> exchanges
    [Exchange(judge='policy', prompt='Is this text ...', reply='no')]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from saccade.core.sample import Message


@dataclass(frozen=True)
class Exchange:
    """A question to a judge as text, [picture] where it shows one, and the reply as it came."""

    judge: str
    prompt: str
    reply: str


_HEARD: ContextVar[list[Exchange] | None] = ContextVar("heard", default=None)


@contextmanager
def overheard() -> Iterator[list[Exchange]]:
    """The exchanges noted while this lasts, by this task and those that it starts. The inner of two hears alone."""
    found: list[Exchange] = []
    token = _HEARD.set(found)
    try:
        yield found
    finally:
        _HEARD.reset(token)


def note(judge: str, messages: Sequence[Message], reply: str) -> None:
    """Remember a question and its reply for whom it is asked about; nothing where nobody listens."""
    heard = _HEARD.get()
    if heard is not None:
        heard.append(Exchange(judge, "\n\n".join(f"{message.role}: {_written(message)}" for message in messages), reply))


def _written(message: Message) -> str:
    return "".join(part if isinstance(part, str) else "[picture]" for part in message.parts).strip()
