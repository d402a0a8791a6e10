"""Many questions, one call: what all rollouts of a step ask at the same time is answered as one batch.

    >>> wave = Wave(lambda items: [item.upper() for item in items])
    >>> await asyncio.gather(wave("a"), wave("b"))             # one call, of ["a", "b"]
    ['A', 'B']

A model that runs in this process answers a batch far faster than one question after the other, and rewards ask one by
one. So a wave waits for as long as the turns of the event loop bring further questions, and then makes one call, in a
thread, so that servers can be waited for meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from saccade.core.sample import Message
from saccade.rewards.judges.judge import JudgeFailed, Question, Reply

Item = TypeVar("Item")
_Waiting = list[tuple[Item, asyncio.Future]]
# Turns of the event loop without a further question after which a wave sets out: rewards within mixes come a turn later.
QUIET = 3


class Wave(Generic[Item]):
    """Collects items asked in the same turns of an event loop and answers them with one call of `answers`.

    `answers` gives one text per item, in order; where one is an exception, it is raised to who asked for that item. What
    `answers` itself raises is raised to all. Waves of several threads are answered one after the other.
    """

    def __init__(self, answers: Callable[[Sequence[Item]], Sequence[str | Exception]]) -> None:
        self._answers = answers
        self._one_at_a_time = threading.Lock()
        self._waiting: WeakKeyDictionary[asyncio.AbstractEventLoop, _Waiting[Item]] = WeakKeyDictionary()
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, item: Item) -> str:
        """The text that answers this item."""
        loop = asyncio.get_running_loop()
        waiting = self._waiting.setdefault(loop, [])
        future: asyncio.Future[str] = loop.create_future()
        waiting.append((item, future))
        if len(waiting) == 1:
            task = loop.create_task(self._set_out(loop))
            self._running.add(task)  # the loop itself holds tasks weakly
            task.add_done_callback(self._running.discard)
        return await future

    async def _set_out(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting = self._waiting[loop]
        seen = quiet = 0
        while quiet < QUIET:
            seen, quiet = (seen, quiet + 1) if len(waiting) == seen else (len(waiting), 0)
            await asyncio.sleep(0)
        del self._waiting[loop]
        try:
            found = await asyncio.to_thread(self._answered, [item for item, _ in waiting])
        except Exception as error:  # whoever asked decides what it means
            found = [error] * len(waiting)
        for (_, future), answer in zip(waiting, found, strict=True):
            if future.done():  # its asker was cancelled
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _answered(self, items: Sequence[Item]) -> Sequence[str | Exception]:
        with self._one_at_a_time:
            found = self._answers(items)
        if len(found) != len(items):
            raise ValueError(f"a wave of {len(items)} questions must get as many answers, got {len(found)}")
        return found


class Local:
    """A judge in this process: `answers(messages, max_tokens=...)` gives one text, or an exception, per conversation.

        >>> judge = Local(TextJudge.load("Qwen/Qwen2.5-1.5B-Instruct"), name="qwen2.5-1.5b greedy")

    A schema is told in words. `answers` is called once for all questions of a wave that have the same limit.
    """

    def __init__(self, answers: Callable[..., Sequence[str | Exception]], *, name: str) -> None:
        self.name = name
        self._text_of = answers
        self._wave: Wave[Question] = Wave(self._answers)

    async def __call__(self, question: Question) -> Reply:
        """The model's reply. JudgeFailed where it could not read the question, or replied by no schema."""
        return Reply.to(question, await self._wave(question.in_words()))

    def _answers(self, questions: Sequence[Question]) -> list[str | Exception]:
        found: dict[int, str | Exception] = {}
        for limit in dict.fromkeys(question.max_tokens for question in questions):
            places = [i for i, question in enumerate(questions) if question.max_tokens == limit]
            messages: list[tuple[Message, ...]] = [questions[i].messages for i in places]
            for i, text in zip(places, self._text_of(messages, max_tokens=limit), strict=True):
                found[i] = JudgeFailed(f"{self.name}: {text}") if isinstance(text, Exception) else text
        return [found[i] for i in range(len(questions))]
