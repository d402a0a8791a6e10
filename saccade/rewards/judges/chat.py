"""One request to an OpenAI-compatible chat endpoint, and what its answer or its failure means.

Here is all that Saccade knows of the `openai` client: server.py asks again, waits and gives up.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import importlib.util
import io
import json
import os
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Literal

from saccade.core.picture import Picture
from saccade.core.sample import Message
from saccade.rewards.judges.judge import JudgeFailed, Question
from saccade.rewards.judges.quote import without_halves

if TYPE_CHECKING:
    import openai

PictureFormat = Literal["png", "jpeg"]
Form = Literal["json_schema", "json_object", "words"]
FORMS: tuple[Form, ...] = ("json_schema", "json_object", "words")
AGAIN = (408, 409, 429)  # and all from 500 on
NO_USE = "insufficient_quota"  # a 429 that no wait mends
JPEG_QUALITY = 92  # O


class Trouble(JudgeFailed):
    """A failure that may pass. `wait` is in how many seconds, None where nobody knows; `is_silence`: no answer at all."""

    def __init__(self, why: str, *, wait: float | None = None, is_silence: bool = False) -> None:
        super().__init__(why)
        self.wait, self.is_silence = wait, is_silence


class CutOff(Trouble):
    """The reply met its token limit before it was whole."""


class Refused(JudgeFailed):
    """The server will not answer this request, now or later."""

    def __init__(self, why: str, *, status: int) -> None:
        super().__init__(why)
        self.status = status


def client_of(url: str, *, key_variable: str | None) -> openai.AsyncOpenAI:
    """A client that belongs to the running event loop and tries nothing twice. RuntimeError where one cannot be made."""
    if importlib.util.find_spec("openai") is None:
        raise RuntimeError("a judge behind a server needs the openai client: pip install 'saccade[judges]'")
    import openai

    key = "none" if key_variable is None else os.environ.get(key_variable)
    if not key:
        raise RuntimeError(
            f"the judge at {url} takes its key from {key_variable}, which is not set; set it in the environment"
        )
    return openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0)


def fields_of(question: Question, *, form: Form, pictures: PictureFormat) -> dict[str, Any]:
    """What the request says of the question itself: messages, and the form of the reply."""
    told = question if form == "json_schema" else question.in_words()
    fields: dict[str, Any] = {"messages": [_message(message, pictures) for message in told.messages]}
    if question.schema is not None and form == "json_schema":
        schema = {"name": "verdict", "schema": question.schema, "strict": True}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    if question.schema is not None and form == "json_object":
        fields["response_format"] = {"type": "json_object"}
    return fields


async def text_of(
    client: openai.AsyncOpenAI, fields: Mapping[str, Any], *, extra: Mapping[str, Any], seconds: float, is_whole: bool
) -> str:
    """The text of the reply; with `is_whole` it must not have been cut off.

    Trouble or Refused say in a few words what became of the request.
    """
    import openai

    try:
        # The client's own limit is for each read, so a server that drips would never meet it.
        async with asyncio.timeout(seconds):
            raw = await client.chat.completions.with_raw_response.create(
                **fields, extra_body=dict(extra) or None, timeout=seconds + 1
            )
            said = raw.text
    except (TimeoutError, openai.APITimeoutError) as error:
        raise Trouble(f"did not answer within {seconds:.3g} s", is_silence=True) from error
    except openai.APIConnectionError as error:
        cause = error.__cause__ or error
        raise Trouble(f"cannot be reached: {_line(str(cause) or type(cause).__name__)}", is_silence=True) from error
    except openai.APIStatusError as error:
        status, why = error.status_code, f"answered with HTTP {error.status_code}: {_line(error.response.text)}"
        if (status in AGAIN and error.code != NO_USE) or status >= 500:
            raise Trouble(why, wait=_asked_wait(error.response.headers), is_silence=status >= 500) from error
        raise Refused(why, status=status) from error
    return _content(said, is_whole=is_whole)


def _content(said: str, *, is_whole: bool) -> str:
    """The text in a chat completion."""
    try:
        choice = json.loads(said)["choices"][0]
        message, reason = choice["message"], choice.get("finish_reason")
        content, refusal = message.get("content"), message.get("refusal")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise Trouble(f"sent no chat completion: {_line(said) or 'nothing'!r}") from error
    if refusal:
        raise JudgeFailed(f"refuses to answer: {_line(str(refusal))}")
    if reason == "content_filter":
        raise JudgeFailed("gave an answer that its content filter took away")
    if is_whole and reason == "length":
        raise CutOff("was cut off by its token limit", wait=0.0)
    if not isinstance(content, str) or not content.strip():
        raise Trouble("sent an empty answer", wait=0.0)
    return content


def _message(message: Message, pictures: PictureFormat) -> dict[str, Any]:
    """A message as the protocol has it: plain text where there is no picture, as some servers know no other."""
    if all(isinstance(part, str) for part in message.parts):
        return {"role": message.role, "content": without_halves(message.text)}
    parts: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, Picture):
            parts.append({"type": "image_url", "image_url": {"url": _data_url(part, pictures)}})
        else:
            parts.append({"type": "text", "text": without_halves(part)})
    return {"role": message.role, "content": parts}


@functools.lru_cache(maxsize=64)
def _data_url(picture: Picture, kind: PictureFormat) -> str:
    buffer = io.BytesIO()
    picture.image.save(buffer, kind.upper(), **({"quality": JPEG_QUALITY} if kind == "jpeg" else {"compress_level": 1}))
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _asked_wait(headers: Mapping[str, str]) -> float | None:
    """What Retry-After says, in seconds: a number of them, or a date."""
    said = headers.get("retry-after")
    if said is None:
        return None
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _line(text: str, most: int = 160) -> str:
    """The text on one line, its end left out where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}..."
