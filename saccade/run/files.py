"""Files that survive a killed process and a full disk: atomic replacement, JSON lines, a lock."""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

MAKE_ROOM = "make room on that disk, then continue with --resume"
WRITING = ".writing-"  # in the hidden name of a file that is not whole yet


class RunError(RuntimeError):
    """Something about a run's files that a person must decide or mend; the message says what to do."""


def read_only(path: Path) -> RunError:
    """What to raise where a run that was opened for reading is written to."""
    return RunError(f"{path} is open for reading only; RunFolder.start or RunFolder.resume opens it to write")


def write_atomically(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Put `data` at `path`, whole or not at all; RunError if the disk does not take it.

    Without `sync` a power cut, but no kill, may leave it empty.
    """
    temp = path.with_name(f".{path.name}{WRITING}{os.getpid()}")
    try:
        with open(temp, "wb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(temp, path)
        if sync:
            sync_path(path.parent)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}; {MAKE_ROOM}") from error
    finally:
        temp.unlink(missing_ok=True)


def write_object(path: Path, value: Mapping[str, Any]) -> None:
    """Put a JSON object at `path`, whole or not at all. ValueError for NaN or infinity, RunError as `write_atomically`."""
    data = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, data.encode("utf-8", "backslashreplace"))


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. RunError where it is none."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is not JSON ({error}); put the original back") from error
    if not isinstance(found, dict):
        raise RunError(f"{path} must hold an object, got {type(found).__name__}; put the original back")
    return found


def sync_path(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_folder(path: Path) -> None:
    """Remove a folder so that a kill halfway leaves no half folder under its name (only a hidden one)."""
    aside = path.with_name(f".removing-{path.name}")
    shutil.rmtree(aside, ignore_errors=True)
    os.rename(path, aside)
    shutil.rmtree(aside, ignore_errors=True)


def take_lock(path: Path, *, busy: str) -> int:
    """Lock the file at `path` until the returned handle is closed or the process ends. RunError(busy) if it is taken.

    `busy` may hold {holder}, which becomes the other process.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    if not _is_locked(handle):
        holder = os.pread(handle, 100, 0).decode(errors="replace").strip() or "another process"
        os.close(handle)
        raise RunError(busy.replace("{holder}", holder))
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"process {os.getpid()} on {os.uname().nodename}\n".encode(), 0)
    return handle


def _is_locked(handle: int) -> bool:
    """Whether the lock could be had. A page that asks whether somebody trains holds it for a moment, so this tries again."""
    for pause in (0.0, 0.01, 0.05, 0.1):
        time.sleep(pause)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False


class JsonLines:
    """A growing file of JSON objects, one per line. A last line that a kill or a full disk tore does not count."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def open(self) -> int:
        """Make it writable, cutting off a torn end; returns how many bytes were cut."""
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        size = self.size
        sound = _sound_size(self._handle, size)
        os.ftruncate(self._handle, sound)
        return size - sound

    def close(self) -> None:
        """Stop writing."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows, all or none, and hand them to the system at once.

        RunError if the disk does not take them; ValueError for NaN and infinities.
        """
        # ASCII: a model may write line separators that some readers of lines split at, and lone surrogates.
        lines = [json.dumps(row, allow_nan=False) + "\n" for row in rows]
        data = memoryview("".join(lines).encode("ascii"))
        before, handle = self.size, self._writable()
        try:
            while data:
                data = data[os.write(handle, data) :]
        except OSError as error:
            os.ftruncate(handle, before)
            raise RunError(f"cannot write {self.path}: {error.strerror}; {MAKE_ROOM}") from error

    def sync(self) -> None:
        """Wait until every line is on the disk."""
        try:
            os.fsync(self._writable())
        except OSError as error:
            raise RunError(f"cannot write {self.path}: {error.strerror}; {MAKE_ROOM}") from error

    def truncate(self, size: int) -> None:
        """Forget every line after the first `size` bytes. RunError if that is not the end of a line of this file."""
        handle = self._writable()
        if self.size < size or (size > 0 and os.pread(handle, 1, size - 1) != b"\n"):
            raise RunError(
                f"{self.path} was changed since the checkpoint that expects a line to end at byte {size} of it "
                f"(it has {self.size}); put the original back, or train into another folder"
            )
        os.ftruncate(handle, size)

    def read(self) -> Iterator[dict[str, Any]]:
        """Every whole line, also while another process writes. RunError, naming it, if one in the middle is bad."""
        if not self.path.exists():
            return
        bad_line = None
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if bad_line is not None:
                    raise RunError(f"{self.path}, line {bad_line} is not a JSON object; the file was damaged or edited")
                row = _row(line)
                if row is None:
                    bad_line = number
                else:
                    yield row

    def _writable(self) -> int:
        if self._handle is None:
            raise read_only(self.path)
        return self._handle


def _row(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _sound_size(handle: int, size: int) -> int:
    """Where the last whole line ends."""
    if size == 0:
        return 0
    with mmap.mmap(handle, size, access=mmap.ACCESS_READ) as content:
        end = content.rfind(b"\n") + 1
        while end > 0:
            start = content.rfind(b"\n", 0, end - 1) + 1
            if _row(content[start:end]) is not None:
                return end
            end = start
    return 0
