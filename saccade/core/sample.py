"""One problem, and the collections it comes in.

    >>> digits = Picture.open("three_and_four.png")
    >>> sample = Sample(id="count/0", messages=(Message("user", (digits, "What is the sum?")),), target="7", kind="count")
    >>> task = Task.from_rows(rows, ask, name="counting", split="train")     # ask(row) -> Sample
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from saccade.core.picture import Picture, PictureError

EMPTY: Mapping[str, Any] = MappingProxyType({})


class DataError(ValueError):
    """Rows that cannot be read; the message names them and says what to do."""


@dataclass(frozen=True)
class Message:
    """One turn of a conversation: a role and its parts, text and pictures in reading order."""

    role: str
    parts: tuple[str | Picture, ...]

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part for part in self.parts if isinstance(part, str))


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One frozen problem. It knows no model.

    `target` is the gold answer in whatever type the task's rewards read; `solution` a worked answer to imitate (what SFT
    learns), None where there is none; `kind` groups samples in reports; `data` holds the row's other columns.
    """

    id: str
    messages: tuple[Message, ...]
    target: Any
    kind: str = ""
    solution: str | None = None
    data: Mapping[str, Any] = field(default_factory=lambda: EMPTY)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Every picture of the prompt, in reading order."""
        return tuple(part for message in self.messages for part in message.parts if isinstance(part, Picture))

    def showing(self, pictures: Sequence[Picture]) -> Sample:
        """The sample with these in the places of its pictures, in reading order. ValueError if they are not as many."""
        if len(pictures) != len(self.pictures):
            raise ValueError(f"sample {self.id!r} has {len(self.pictures)} pictures, got {len(pictures)}")
        left = iter(pictures)
        turns = (tuple(next(left) if isinstance(part, Picture) else part for part in m.parts) for m in self.messages)
        return replace(self, messages=tuple(Message(m.role, parts) for m, parts in zip(self.messages, turns, strict=True)))

    @property
    def prompt_text(self) -> str:
        """The prompt as text, with [picture] where a picture stands."""
        parts = [part if isinstance(part, str) else "[picture]" for m in self.messages for part in m.parts]
        return "".join(parts)


@dataclass(frozen=True)
class BadRow:
    """A row that could not become a Sample, and why."""

    id: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Rows of which `Task.from_rows` makes no task: too many of them are bad, or none is good. `of` counts all of them."""

    name: str
    split: str
    bad_rows: tuple[BadRow, ...]
    of: int
    max_bad_share: float

    def __str__(self) -> str:
        """One sentence, with the first few named."""
        if not self.of:
            return f"{self.name} ({self.split}): there are no rows"
        first = "; ".join(f"{row.id}: {row.why}" for row in self.bad_rows[:3])
        return (
            f"{self.name} ({self.split}): {len(self.bad_rows)} of {self.of} rows cannot be read, at most "
            f"{self.max_bad_share:.0%} may be; mend or remove them, or raise max_bad_share. First: {first}"
        )


_REFUSALS: ContextVar[list[Refusal] | None] = ContextVar("refusals", default=None)


@contextmanager
def refusals_collected() -> Iterator[list[Refusal]]:
    """While this lasts `Task.from_rows` collects here what it would raise, and goes on with the good rows, perhaps none.

    It is how `saccade check` names all that is wrong with the rows of any recipe at once. Who writes a recipe need not know of it.
    """
    collected: list[Refusal] = []
    token = _REFUSALS.set(collected)
    try:
        yield collected
    finally:
        _REFUSALS.reset(token)


@dataclass(frozen=True, kw_only=True)
class Task:
    """Samples with a name and a split; rows that could not be read stay beside them, named.

    `left_out` are the ids of samples that `apart_from` and `hold_out` took out; slices of the task, by `replace`, still know them.
    """

    name: str
    split: str
    samples: Sequence[Sample]
    bad_rows: tuple[BadRow, ...] = ()
    left_out: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Task({self.name!r}, {self.split!r}, {len(self.samples)} samples)"

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    def apart_from(self, held: Iterable[Sample]) -> Task:
        """The task without samples that show a picture of the `held` ones, or that ask without any picture what one of them asks.

        Those are `left_out`; `saccade train` and `saccade check` say how many they are.
        """
        held = list(held)
        shown = {picture.sha for sample in held for picture in sample.pictures}
        asked = {sample.prompt_text for sample in held if not sample.pictures}

        def is_apart(sample: Sample) -> bool:
            if sample.pictures:
                return all(picture.sha not in shown for picture in sample.pictures)
            return sample.prompt_text not in asked

        kept, out = [], []
        for sample in self.samples:
            (kept if is_apart(sample) else out).append(sample)
        return replace(self, samples=tuple(kept), left_out=(*self.left_out, *(sample.id for sample in out)))

    def hold_out(self, n: int) -> tuple[Task, Task]:
        """What is left to train on, and the last `n` samples as the task "val": no picture is in both. Bad rows stay with the first.

        DataError where that leaves nothing.
        """
        if not 0 < n < len(self):
            raise DataError(f"{self.name} has {len(self)} samples, so 1 to {len(self) - 1} can be held out, got {n}")
        held = Task(name="val", split=self.split, samples=tuple(self.samples[-n:]))
        left = replace(self, samples=tuple(self.samples[:-n])).apart_from(held)
        if not left.samples:
            raise DataError(f"{self.name}: every sample shows a picture of the {n} that are held out, so nothing is left to train on")
        return left, held

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Mapping[str, Any]],
        ask: Callable[[Mapping[str, Any]], Sample],
        *,
        name: str,
        split: str,
        max_bad_share: float = 0.02,
    ) -> Task:
        """A task from rows of any reader, each turned into a Sample by `ask`.

        A row fails when `ask` raises DataError, PictureError, KeyError, TypeError or ValueError. Failed rows are kept in
        `bad_rows`; more than `max_bad_share` of all rows (0 to 1), or no good row at all, raises DataError with the
        first few named.
        """
        samples, bad, seen = [], [], set()
        for number, row in enumerate(rows):
            row_id = str(row.get("id", f"row {number}")) if isinstance(row, Mapping) else f"row {number}"
            try:
                sample = ask(row)
                if sample.id in seen:
                    raise DataError(f"id {sample.id!r} stands twice; ids must be unique")
                seen.add(sample.id)
                samples.append(sample)
            except KeyError as error:
                bad.append(BadRow(row_id, f"has no field {error}"))
            except (PictureError, TypeError, ValueError) as error:
                bad.append(BadRow(row_id, str(error)))
        total = len(samples) + len(bad)
        if not samples or len(bad) > max_bad_share * total:
            refusal = Refusal(name=name, split=split, bad_rows=tuple(bad), of=total, max_bad_share=max_bad_share)
            collected = _REFUSALS.get()
            if collected is None:
                raise DataError(str(refusal))
            collected.append(refusal)
        return cls(name=name, split=split, samples=tuple(samples), bad_rows=tuple(bad))


def left_out_of(tasks: Iterable[Task]) -> tuple[str, ...]:
    """Ids of what was left out of tasks that are trained on, each once though several tasks lack it."""
    return tuple(dict.fromkeys(name for task in tasks for name in task.left_out))


def said_of_left_out(tasks: Sequence[Task]) -> str:
    """The same as a sentence: how many, why, and how many are left; empty where nothing was left out.

    >>> said_of_left_out([rest])
    '12 training samples are left out: held-out or test sets show their pictures, or ask the same without any; 3,000 are left'
    """
    n_out, n_left = len(left_out_of(tasks)), len({sample.id for task in tasks for sample in task})
    if not n_out:
        return ""
    many = "s are" if n_out > 1 else " is"
    return (
        f"{n_out:,} training sample{many} left out: held-out or test sets show their pictures, or ask the same without any; "
        f"{n_left:,} are left"
    )
