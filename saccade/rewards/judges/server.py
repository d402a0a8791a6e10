"""A judge behind any OpenAI-compatible server: a hosted one, or vLLM, SGLang, llama.cpp or Ollama on a machine of one's own.

    >>> judge = Server(url="http://localhost:8000/v1", model="Qwen/Qwen2.5-VL-7B-Instruct")
    >>> judge = Server(url="https://api.openai.com/v1", model="gpt-4o-2024-08-06", key_variable="OPENAI_API_KEY")

What can go wrong with a server does. A request has a time limit, from its first byte to its last. What may pass (no
connection, a time-out, HTTP 408, 409, 429 and 5xx, a reply that is no verdict) is tried again, after a wait that doubles or
the one that the server asks for. A question takes `patience` seconds at most. And when several questions in a row met
silence, the server is taken for down and the others fail at once: a dead judge costs a step about `patience`, not an hour.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from saccade.rewards.judges.chat import FORMS, CutOff, Form, PictureFormat, Refused, Trouble, client_of, fields_of, text_of
from saccade.rewards.judges.judge import JudgeFailed, Question, Reply

if TYPE_CHECKING:
    import openai

REFUSALS = (400, 422)  # O how servers say that they do not know a response format
JITTER = 0.25  # O of a wait: askers that failed together do not come back together


@dataclass(frozen=True)
class _Line:
    """The connections of one event loop. `held` closes them when the loop ends."""

    held: AsyncIterator[Any]
    client: openai.AsyncOpenAI
    gate: asyncio.Semaphore


@dataclass(kw_only=True, eq=False)
class Server:
    """A chat model at `url` (up to and with /v1), asked for its most likely answer.

    key_variable      the environment variable that holds the key; None sends none
    seconds           the most that one request may take
    patience          the most that one question may take once it is its turn, tries and waits together
    tries             requests for one question; each has a seed of its own
    backoff           seconds before the second try, doubled before each further one
    concurrency       questions at the server at the same time, of one event loop
    gives_up_after    questions in a row that met silence, after which the server is down for `rest` seconds
    temperature, seed None leaves them out, for servers that refuse them; so is `limit_name` how they call the token limit
    structured        the first form of structured output to try; forms that the server refuses are not tried again
    picture_format    how pictures are sent
    extra             further fields of the request
    """

    url: str
    model: str
    key_variable: str | None = None
    seconds: float = 60.0
    patience: float = 180.0
    tries: int = 4
    backoff: float = 1.0
    concurrency: int = 16
    gives_up_after: int = 8
    rest: float = 30.0
    temperature: float | None = 0.0
    seed: int | None = 0
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    structured: Form = "json_schema"
    picture_format: PictureFormat = "png"
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counted = ("seconds", "patience", "tries", "concurrency", "gives_up_after")
        if bad := {name: value for name in counted if not (value := getattr(self, name)) > 0}:
            raise ValueError(f"a server judge needs {', '.join(counted)} above 0, got {bad}")
        if min(self.backoff, self.rest) < 0:
            raise ValueError(f"backoff and rest must not be negative, got {self.backoff} and {self.rest}")
        if self.structured not in FORMS or self.picture_format not in ("png", "jpeg"):
            raise ValueError(
                f"structured must be one of {', '.join(FORMS)}, and picture_format png or jpeg; got {self.structured!r} and "
                f"{self.picture_format!r}"
            )
        if why := _no_url(self.url):
            raise ValueError(f"the url of a judge is like http://localhost:8000/v1, got {self.url!r}: {why}")
        self._form = FORMS.index(self.structured)
        self._silent, self._down_until, self._last = 0, 0.0, ""
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = WeakKeyDictionary()

    @property
    def name(self) -> str:
        """Where, which model, and what of the request, besides the question, its answers depend on."""
        rest = json.dumps([self.temperature, self.seed, self.picture_format, dict(self.extra)], sort_keys=True)
        return f"{self.model} at {self.url} {rest}"

    async def __call__(self, question: Question) -> Reply:
        """The server's reply. JudgeFailed, naming the server and its last trouble, where `patience` brought none."""
        line = await self._line()
        who = f"the judge {self.model} at {self.url}"
        async with line.gate:
            if time.monotonic() < self._down_until:
                raise JudgeFailed(
                    f"{who} is down: {self._silent} questions in a row met silence; the last time it {self._last}"
                )
            try:
                reply = await self._patiently(line.client, question)
            except JudgeFailed as error:
                self._count(error)
                raise JudgeFailed(f"{who} {error}") from error
            self._silent, self._down_until = 0, 0.0
            return reply

    def _count(self, error: JudgeFailed) -> None:
        """Take the server for down where too many questions in a row met silence."""
        self._silent = self._silent + 1 if isinstance(error, Trouble) and error.is_silence else 0
        if self._silent >= self.gives_up_after:
            self._down_until, self._last = time.monotonic() + self.rest, str(error)

    async def _patiently(self, client: openai.AsyncOpenAI, question: Question) -> Reply:
        """The reply of the first of `tries` requests within `patience` seconds that has one; else the last Trouble."""
        end, tokens = time.monotonic() + self.patience, question.max_tokens
        for number in range(self.tries):
            try:
                return await self._structured(client, question, tokens=tokens, number=number, end=end)
            except Trouble as error:
                trouble = error
            tokens *= 2 if isinstance(trouble, CutOff) else 1
            usual = self.backoff * 2**number * (1 + JITTER * random.random())
            wait = usual if trouble.wait is None else trouble.wait * (1 + JITTER * random.random())
            if number + 1 < self.tries and time.monotonic() + wait >= end:
                asks = f" and asks for {trouble.wait:.6g} s" if trouble.wait else ""
                raise Trouble(f"{trouble}{asks}; it has {self.patience:.3g} s in all", is_silence=trouble.is_silence)
            if number + 1 < self.tries:
                await asyncio.sleep(wait)
        raise Trouble(f"{trouble} (asked {self.tries} times)", is_silence=trouble.is_silence)

    async def _structured(
        self, client: openai.AsyncOpenAI, question: Question, *, tokens: int, number: int, end: float
    ) -> Reply:
        """One try, in the best form of structured output that the server is not known to refuse."""
        first = self._form if question.schema is not None else len(FORMS) - 1
        for place in range(first, len(FORMS)):
            fields = {"model": self.model, self.limit_name: tokens}
            fields |= fields_of(question, form=FORMS[place], pictures=self.picture_format)
            fields |= {} if self.temperature is None else {"temperature": self.temperature}
            fields |= {} if self.seed is None else {"seed": self.seed + number}
            left = max(0.001, end - time.monotonic())
            try:
                text = await text_of(
                    client, fields, extra=self.extra, seconds=min(self.seconds, left), is_whole=question.schema is not None
                )
            except Refused as error:
                if error.status in REFUSALS and place + 1 < len(FORMS):
                    continue
                raise
            if question.schema is not None:  # only now: what was refused may have been the question, and not its form
                self._form = max(self._form, place)
            break
        try:
            return Reply.to(question, text)
        except JudgeFailed as error:
            raise Trouble(f"gave no verdict: {error}", wait=0.0) from error

    async def _line(self) -> _Line:
        """This event loop's connections. A run has a loop per step, and a client of one that has ended is of no use."""
        loop = asyncio.get_running_loop()
        if loop not in self._lines:
            for old in [old for old in self._lines if old.is_closed()]:
                del self._lines[old]
            held = self._client()
            self._lines[loop] = _Line(held, await anext(held), asyncio.Semaphore(self.concurrency))
        return self._lines[loop]

    async def _client(self) -> AsyncIterator[openai.AsyncOpenAI]:
        # A generator, because event loops close the generators that they still hold when they end: asyncio.run does.
        client = client_of(self.url, key_variable=self.key_variable)
        try:
            yield client
        finally:
            await client.close()


def _no_url(url: str) -> str:
    """Why this cannot be the address of a server; empty where it can."""
    if not url.startswith(("http://", "https://")):
        return "it does not begin with http:// or https://"
    if any(char.isspace() or not char.isprintable() for char in url):
        return "it holds a blank"
    try:
        parts = urlsplit(url)
        return "" if parts.hostname and parts.port != 0 else "it names no host" if not parts.hostname else "its port is 0"
    except ValueError as error:  # a port that is no number up to 65535, a bracket that stays open
        return str(error)
