"""JSON and Python literals in a text: one tolerant parser for everything that models write in brackets.

    >>> literal("Here it is: {'label': 'a dog's bowl', \\"box\\": (1, 2.5,)} and more")
    Reading(value={'label': "a dog's bowl", 'box': (1, 2.5)}, why='')
    >>> literals("[1] or [2")
    [[1]]

What it reads: lists, tuples, dicts; text in single or double quotes, with the escapes of both languages; True or true,
None or null; numbers of up to 64 characters; a comma before the closing bracket. A quotation mark that no comma, colon
or closing bracket follows belongs to the text, so a forgotten backslash before an apostrophe does no harm. Of two equal
keys the last wins. What it refuses: NaN and infinities, comments, sets, calls, more than 64 brackets inside each other.

It takes time linear in the length of the text. JSON is read by the C parser of the standard library. What that one
cannot read is read by ours, in one pass: where a container breaks, those within it that are whole count, and the search
goes on at the break. It gives up after a number of values that no answer of a model needs, as Python is slow, and of
characters read in vain.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from saccade.rewards.read.reading import Reading

MAX_DEPTH = 64  # O brackets inside each other
MAX_NUMBER = 64  # O characters of one number
MAX_PARTS = 10_000  # O values, keys, escapes and openings that our parser tries in one text; a long answer has some hundred
MAX_FENCES = 64  # O markdown fences that are searched before the text as a whole


class Standing(NamedTuple):
    """A container and where in the text it stands."""

    value: Any
    start: int
    end: int


def literal(text: str) -> Reading[Any]:
    """The first list or dict in the text; those in markdown fences before bare ones, fences marked json before others."""
    fenced = [body for mark, body in sorted(_FENCE.findall(text)[:MAX_FENCES], key=lambda fence: fence[0].lower() != "json")]
    parts, why = MAX_PARTS, ""
    for part in (*fenced, text):
        search = _Search(part, parts)
        for found in search.containers():
            return Reading(found.value)
        parts, why = search.parts, why or search.why
    return Reading(None, why or "no list or dict")


def whole_literal(text: str) -> Reading[Any]:
    """The list, tuple or dict that the whole stripped text is."""
    text = text.strip()
    if not text.startswith(("[", "{", "(")):
        return Reading(None, "does not begin with a bracket")
    search = _Search(text)
    found, end = search.container(0)
    if search.why or end < len(text):
        return Reading(None, search.why or "more text behind the closing bracket")
    return Reading(found[0].value)


def literals(text: str) -> list[Any]:
    """Every list and dict in the text that stands in no other, in order; of a broken one, the whole ones that it holds."""
    return [found.value for found in standing(text)]


def standing(text: str) -> Iterator[Standing]:
    """The same as `literals`, each with its place."""
    return _Search(text).containers()


def keyed(text: str, keys: Iterable[str]) -> list[Any]:
    """The containers that follow one of these quoted keys and a colon, in order; in prose or a dict cut off, too."""
    search = _Search(text)
    values, end = [], 0
    for match in _after_key(tuple(keys)).finditer(text):
        if match.start() < end:
            continue
        if search.is_spent:
            break
        found, end = search.container(match.end())
        values += [one.value for one in found if one.start == match.end()]
    return values


def fences(text: str, language: str | None = "json") -> list[str]:
    """What stands in the markdown fences of this language (None: in all), stripped, in order; the last may lack its end."""
    return [
        body.strip() for mark, body in _FENCE.findall(text) if language is None or mark.lower() == language.lower()
    ]


def likely(text: str) -> list[str]:
    """The parts of a text in which its answer stands, likeliest first: the last fence (marked json, if any is), the text."""
    fenced = _FENCE.findall(text)
    marked = [body for mark, body in fenced if mark.lower() == "json"] or [body for _, body in fenced]
    return [*marked[-1:], text]


_FENCE = re.compile(r"```[ \t]*+([A-Za-z][\w+-]*+(?=[\s\[{(]))?((?:[^`]++|`(?!``))*+)(?:```|\Z)")

# A bracket that something which can stand in a container follows.
_OPENING = re.compile(r"\[(?=\s*+[\]\[{('\"0-9+.tfnTFN-])|\{(?=\s*+[}'\"0-9+.tfnTFN-])")
_SPACE = re.compile(r"\s*+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?(?![\w.])")
_WORD = re.compile(r"[^\W\d]\w*+")
_WORDS = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None}

# What the C parser would read and we must not: numbers too long or too large, halves of surrogate pairs.
_UNSAFE = re.compile(r"(?<![0-9])[0-9]{65}|[0-9][eE]\+?[0-9]{3}|\\u[dD][89a-fA-F]")


def _strings(quote: str) -> dict[str, re.Pattern[str]]:
    """For each mark that ends the place a text stands in: the text up to the quotation mark that closes it there."""
    value = r"\s*+(?:%s|,(?!\s*+(?!(?:True|False|None|true|false|null)\b)[^\W\d]))"  # a bare word after the comma is prose
    closes = {":": r"\s*+:", "}": value % r"\}", "]": value % r"\]", ")": value % r"\)"}
    return {
        mark: re.compile(rf"((?:[^{quote}\\]++|\\.|{quote}(?!{close}))*+){quote}", re.DOTALL)
        for mark, close in closes.items()
    }


_STRINGS = {quote: _strings(quote) for quote in "'\""}

_ESCAPE = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2}))|(.))",
    re.DOTALL,
)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": ""} | {char: char for char in "/\\'\""}


def _unescaped(match: re.Match[str]) -> str:
    high, low, *codes, char = match.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF))
    if char is not None:
        return _ESCAPED.get(char, match[0])
    code = int(next(filter(None, codes)), 16)
    return match[0] if code > 0x10FFFF else "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)


@functools.cache
def _after_key(keys: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"""['"](?:{"|".join(map(re.escape, keys))})['"]\s*+:\s*+(?=[\[({{])""")


def _refuse(name: str) -> Any:
    raise ValueError(name)


_SINGLE = re.compile(r"[\[{\s]*+'")  # no JSON begins so
_JSON = json.JSONDecoder(strict=False, parse_constant=_refuse)


class _Broken(Exception):
    """There is no container here: why, and from where on the text is still to be searched."""

    def __init__(self, why: str, at: int) -> None:
        super().__init__(why)
        self.at = at


class _Search:
    """A search for containers in one text, with the work that it may still do."""

    def __init__(self, text: str, parts: int = MAX_PARTS) -> None:
        self.text = text
        self.why = ""  # of the first container that broke
        self.parts = parts
        self._vain = len(text) + 2_000  # O characters, read to the end for a quotation mark that is not there
        is_safe = text.count("[") + text.count("{") < MAX_PARTS and not _UNSAFE.search(text)
        self._vain_fast = len(text) + 3_000 if is_safe else -1  # the same of the C parser
        self._whole: list[Standing] = []

    @property
    def is_spent(self) -> bool:
        return self.parts < 0 or self._vain < 0

    def containers(self) -> Iterator[Standing]:
        """Those that stand in no other one."""
        at = 0
        while (opening := _OPENING.search(self.text, at)) and not self.is_spent:
            found, at = self.container(opening.start())
            yield from found

    def container(self, start: int) -> tuple[list[Standing], int]:
        """The one whose opening bracket stands here, or the whole ones in it if it breaks; and where the search goes on."""
        self.parts -= 2
        found = self._fast(start)
        if found is not None:
            return [found], found.end
        self._whole = []
        try:
            at = self._value(start, "]", 0)[1]
        except _Broken as broken:
            at = broken.at
            self.why = self.why or f"no list or dict that can be read: {broken}"
        return self._whole, at

    def _fast(self, start: int) -> Standing | None:
        if self._vain_fast < 0 or _SINGLE.match(self.text, start):
            return None
        try:
            value, end = _JSON.raw_decode(self.text, start)
        except json.JSONDecodeError as error:
            self._vain_fast -= max(error.pos - start, 1_000)  # at most some tries, however early they end
            return None
        except (ValueError, RecursionError):
            self._vain_fast = -1
            return None
        if _is_deep(value, self.text.count("[", start, end) + self.text.count("{", start, end)):
            self._vain_fast = -1
            return None
        return Standing(value, start, end)

    def _spend(self, parts: int, at: int) -> None:
        self.parts -= parts
        if self.parts < 0:
            raise _Broken("too much to read", at)

    def _value(self, pos: int, mark: str, depth: int) -> tuple[Any, int]:
        """The value that begins here, in a place that `mark` ends, and where it stops."""
        self._spend(1, pos)
        char = self.text[pos : pos + 1]
        if char == "{" or char == "[" or char == "(":
            if depth == MAX_DEPTH:
                raise _Broken(f"more than {MAX_DEPTH} brackets inside each other", pos)
            n_whole = len(self._whole)
            value, end = self._mapping(pos, depth + 1) if char == "{" else self._sequence(pos, depth + 1)
            self._whole[n_whole:] = [Standing(value, pos, end)]
            return value, end
        if char == "'" or char == '"':
            return self._string(pos, mark)
        return self._scalar(pos)

    def _sequence(self, pos: int, depth: int) -> tuple[list[Any] | tuple[Any, ...], int]:
        text, close = self.text, "]" if self.text[pos] == "[" else ")"
        items = []
        pos = _SPACE.match(text, pos + 1).end()
        while not text.startswith(close, pos):
            item, pos = self._value(pos, close, depth)
            items.append(item)
            pos = self._after(pos, close)
        return (items if close == "]" else tuple(items)), pos + 1

    def _mapping(self, pos: int, depth: int) -> tuple[dict[Any, Any], int]:
        text, items = self.text, {}
        pos = _SPACE.match(text, pos + 1).end()
        while not text.startswith("}", pos):
            self._spend(1, pos)
            key, pos = self._string(pos, ":") if text.startswith(("'", '"'), pos) else self._scalar(pos)
            pos = _SPACE.match(text, pos).end()
            if not text.startswith(":", pos):
                raise _Broken("a key without its colon", pos)
            items[key], pos = self._value(_SPACE.match(text, pos + 1).end(), "}", depth)
            pos = self._after(pos, "}")
        return items, pos + 1

    def _after(self, pos: int, close: str) -> int:
        """Where the next item begins, or the closing bracket stands."""
        pos = _SPACE.match(self.text, pos).end()
        if self.text.startswith(",", pos):
            return _SPACE.match(self.text, pos + 1).end()
        if self.text.startswith(close, pos):
            return pos
        raise _Broken(f"neither , nor {close} after a value" if pos < len(self.text) else "a bracket that stays open", pos)

    def _string(self, pos: int, mark: str) -> tuple[str, int]:
        match = _STRINGS[self.text[pos]][mark].match(self.text, pos + 1)
        if match is None:
            self._vain -= len(self.text) - pos
            raise _Broken("a text without its closing quotation mark", pos + 1)
        body = match[1]
        if "\\" in body:
            self._spend(body.count("\\"), match.end())
            body = _ESCAPE.sub(_unescaped, body)
        return body, match.end()

    def _scalar(self, pos: int) -> tuple[Any, int]:
        if match := _NUMBER.match(self.text, pos):
            number = match[0]
            if len(number) > MAX_NUMBER:
                raise _Broken(f"a number of more than {MAX_NUMBER} characters", match.end())
            value = int(number) if number.lstrip("+-").isdigit() else float(number)
            if isinstance(value, float) and not math.isfinite(value):
                raise _Broken("a number beyond all bounds", match.end())
            return value, match.end()
        match = _WORD.match(self.text, pos)
        if match is None or match[0] not in _WORDS:
            raise _Broken("a bracket that stays open" if pos == len(self.text) else "something that is no value", pos)
        return _WORDS[match[0]], match.end()


def _is_deep(value: Any, n_brackets: int) -> bool:
    """Whether more than MAX_DEPTH containers lie inside each other."""
    if n_brackets <= MAX_DEPTH:
        return False
    layer = [value]
    for _ in range(MAX_DEPTH):
        layer = [
            item
            for container in layer
            for item in (container.values() if type(container) is dict else container)
            if type(item) is list or type(item) is dict
        ]
    return bool(layer)
