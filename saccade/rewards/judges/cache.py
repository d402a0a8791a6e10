"""Replies of a judge, kept on disk by what was asked: a question asked again costs nothing, today or in another run.

    >>> judge = Cached(Server(url="http://localhost:8000/v1", model="Qwen2.5-VL-7B-Instruct"), "runs/judge.sqlite")

The key is a hash over the judge's name, the messages with the pixels of their pictures, the schema and the limit. Failures
are not kept. One file may be used by several threads and processes at once. A file that is damaged is moved aside and begun
anew, with a warning. Where a file can be read but not written (rights, a full disk), its replies are used, new ones are
returned and not kept, and one warning says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from weakref import WeakKeyDictionary

from saccade.core.picture import Picture
from saccade.rewards.judges.judge import Judge, JudgeFailed, Question, Reply
from saccade.rewards.judges.quote import without_halves

VERSION = 1  # of the key: count up when what a reply depends on changes
WAIT = 30.0  # O seconds that a writer waits for another process
BEGUN = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID",
)
UNWRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL)
Found = TypeVar("Found")


class CacheError(RuntimeError):
    """The file of a cache cannot be used; the message says why and what to do."""


def key_of(name: str, question: Question) -> str:
    """SHA-256 over everything that a reply depends on, in hex."""
    asked = [[m.role, [{"sha": p.sha} if isinstance(p, Picture) else p for p in m.parts]] for m in question.messages]
    said = json.dumps([VERSION, name, asked, question.schema, question.max_tokens], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


class Cached:
    """`judge`, whose replies are kept in the file `path`. Equal questions that are open at the same time are asked once."""

    def __init__(self, judge: Judge, path: Path | str) -> None:
        self.judge, self.path = judge, Path(path)
        self._store = _Store(self.path)
        self._is_warned = False
        self._open: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Task[Reply]]] = WeakKeyDictionary()

    @property
    def name(self) -> str:
        """The judge's: a cache changes nothing about a reply."""
        return self.judge.name

    async def __call__(self, question: Question) -> Reply:
        """The reply from disk, or the judge's. JudgeFailed as the judge does; CacheError where the file cannot be used."""
        key = key_of(self.name, question)
        text = self._store.get(key)
        if text is not None:
            try:
                return Reply.to(question, text)
            except JudgeFailed:
                pass  # damaged, or written when less was checked: it is asked anew
        asked = self._open.setdefault(asyncio.get_running_loop(), {})
        if key not in asked:
            asked[key] = asyncio.create_task(self._ask(key, question))
            asked[key].add_done_callback(lambda _: asked.pop(key))
        # Shielded: one asker that is cancelled does not take the reply from the others.
        return await asyncio.shield(asked[key])

    async def _ask(self, key: str, question: Question) -> Reply:
        reply = await self.judge(question)
        try:
            self._store.put(key, without_halves(reply.text))
        except CacheError as error:  # the reply is paid for: no fault of the disk takes it away
            if not self._is_warned:
                self._is_warned = True
                warnings.warn(f"replies are used but not kept: {error}", stacklevel=2)
        return reply


class _Store:
    """Texts by key in one SQLite file; a connection per process, made when first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pid, self._lock = os.getpid(), threading.Lock()
        self._db: sqlite3.Connection | None = None

    def get(self, key: str) -> str | None:
        row = self._do(lambda db: db.execute("SELECT text FROM replies WHERE key = ?", (key,)).fetchone())
        return row[0] if row else None

    def put(self, key: str, text: str) -> None:
        self._do(lambda db: db.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (key, text)))

    def _do(self, work: Callable[[sqlite3.Connection], Found]) -> Found:
        if self._pid != os.getpid():  # after a fork a connection may be neither used nor closed, and a lock be held for ever
            self._inherited = self._db
            self._pid, self._lock, self._db = os.getpid(), threading.Lock(), None
        with self._lock:
            try:
                return self._tried(work)
            except (sqlite3.Error, OSError) as error:
                raise CacheError(
                    f"the cache of judge replies {self._path} cannot be used: {error}; give another path, or remove the file"
                ) from error

    def _tried(self, work: Callable[[sqlite3.Connection], Found]) -> Found:
        try:
            return work(self._connection())
        except sqlite3.OperationalError:  # a folder that cannot be written, a disk that is full: no damage
            raise
        except sqlite3.DatabaseError:
            self._close()
        try:  # another process may have begun it anew already
            return work(self._connection())
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            self._close()
            self._move_aside(error)
        return work(self._connection())

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._db = _opened(self._path, *BEGUN)
            except sqlite3.OperationalError as error:
                if (error.sqlite_errorcode & 0xFF) not in UNWRITABLE or not self._path.is_file():
                    raise
                self._db = self._opened_to_read(error)
        return self._db

    def _opened_to_read(self, error: sqlite3.OperationalError) -> sqlite3.Connection:
        """A connection that only reads; `error` says why none that writes could be had."""
        uri = self._path.resolve().as_uri()
        # Beside a file in WAL mode even a reader writes, unless it is told that nobody changes the file.
        for how in ("mode=ro", "mode=ro&immutable=1"):
            try:
                return _opened(f"{uri}?{how}", "SELECT key FROM replies LIMIT 1")
            except sqlite3.OperationalError:
                continue
        raise error

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _move_aside(self, error: Exception) -> None:
        aside = self._path.with_name(f"{self._path.name}.damaged")
        self._path.replace(aside)
        for ending in ("-wal", "-shm"):  # of the damaged file: they would be replayed into the fresh one
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
        warnings.warn(
            f"the cache of judge replies {self._path} is damaged ({error}); it is now {aside}, and begun anew", stacklevel=2
        )


def _opened(path: Path | str, *statements: str) -> sqlite3.Connection:
    """A connection to a path, or a file: URI, on which these statements have run."""
    is_uri = isinstance(path, str)
    db = sqlite3.connect(path, timeout=WAIT, isolation_level=None, check_same_thread=False, uri=is_uri)
    try:
        for statement in statements:
            db.execute(statement)
    except sqlite3.Error:
        db.close()
        raise
    return db
