"""A large JSON object read piece by piece: the elements of its lists one at a time, never the whole text.

    >>> list(pieces(path))                       # {"images": [{"id": 1}, {"id": 2}], "info": {"year": 2017}}
    [Piece(key='images', index=0, value={'id': 1}), Piece(key='images', index=1, value={'id': 2}),
     Piece(key='info', index=None, value={'year': 2017})]
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from saccade.core.sample import DataError

_AFTER = tuple(",]}: \t\r\n")  # what ends a value
CHUNK = 1 << 20  # O characters read at once


class Piece(NamedTuple):
    """An element of a top-level list, or (index None) a top-level value that is no list."""

    key: str
    index: int | None
    value: Any


def pieces(path: Path, *, chunk: int = CHUNK) -> Iterator[Piece]:
    """Every piece in the order of the file; an empty list gives none. DataError, naming file and line, where it breaks."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _Scanner(file, path, chunk).pieces()
    except FileNotFoundError:
        raise DataError(f"data file {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"data file {path} cannot be read: {error}") from None


class _Scanner:
    def __init__(self, file: Any, path: Path, chunk: int) -> None:
        self.file, self.path, self.chunk = file, path, chunk
        self.text, self.at, self.lines_before = "", 0, 1
        self.decoder = json.JSONDecoder()

    def pieces(self) -> Iterator[Piece]:
        if self.peek() != "{":
            raise self.broken("must be an object, beginning with {")
        for _ in self.items("}"):
            key = self.value()
            if not isinstance(key, str):
                raise self.broken(f"a key must be text, got {key!r:.40}")
            if self.peek() != ":":
                raise self.broken("a key must be followed by a colon")
            self.at += 1
            if self.peek() != "[":
                yield Piece(key, None, self.value())
                continue
            for index in self.items("]"):
                yield Piece(key, index, self.value())
        if self.peek():
            raise self.broken("there is text after the object")

    def items(self, end: str) -> Iterator[int]:
        """Stands before each item of an object or list in turn, whose opening sign is next."""
        self.at += 1
        if self.peek() == end:
            self.at += 1
            return
        index = 0
        while True:
            self.peek()
            yield index
            index += 1
            sign = self.peek()
            if sign not in (",", end):
                raise self.broken(f"expected a comma or {end}" + ("" if sign else ", but the file ends"))
            self.at += 1
            if sign == end:
                return

    def peek(self) -> str:
        """The next sign that is no space, "" at the end; moves before it."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more(self.chunk):
                return ""

    def value(self) -> Any:
        """The JSON value that stands next; reads on until it is whole."""
        self.peek()
        wanted = self.chunk
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                length = error.pos - self.at
                if self.more(wanted):
                    wanted *= 2  # a broken value is tried again at twice the length only
                    continue
                self.at += length
                raise self.broken(error.msg) from None
            except (RecursionError, ValueError) as error:
                raise self.broken(f"a value cannot be read ({error})") from None
            length = end - self.at
            if self.text[end : end + 1] in _AFTER or not self.more(wanted):  # "0" may go on as "0.5"
                self.at += length
                return value

    def more(self, size: int) -> bool:
        """Reads on, and forgets what lies behind; False at the end of the file."""
        fresh = self.file.read(size)
        self.lines_before += self.text.count("\n", 0, self.at)
        self.text, self.at = self.text[self.at :] + fresh, 0
        return bool(fresh)

    def broken(self, why: str) -> DataError:
        line = self.lines_before + self.text.count("\n", 0, self.at)
        return DataError(f"{self.path} is not JSON of a data set (line {line}): {why}")
