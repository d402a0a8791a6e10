"""What the terminal can hold: its width, its letters."""

from __future__ import annotations

import os
import shutil
from typing import TextIO


def width_of(out: TextIO) -> int:
    """Columns of the terminal, or of the one that COLUMNS claims; at least 20."""
    try:
        return max(20, os.get_terminal_size(out.fileno()).columns or 80)
    except (OSError, ValueError):
        return max(20, shutil.get_terminal_size().columns)


def can_show(text: str, out: TextIO) -> bool:
    """Whether the stream's encoding has these letters."""
    try:
        text.encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def printable(text: str) -> str:
    """The text with a space for each control character, so that no model or file name can steer the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def fit(line: str, width: int) -> str:
    """The line without control characters, cut to the width."""
    line = printable(line)
    return line if len(line) <= width else line[: max(0, width - 2)] + ".."
