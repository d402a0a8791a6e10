"""Reads the published on-disk format of VLM-R1 (specs/vlm_r1.md 6.2): JSONL files of conversations about pictures.

    {"id": 1, "image": "coco/1.jpg", "conversations": [{"from": "human", "value": "<image>Where is the cat?"},
     {"from": "gpt", "value": "[10, 20, 30, 40]"}], "accu_reward_method": "rec"}

    >>> list_ = sources("a.jsonl:b.jsonl", folders="coco:screens", methods="rec:all_match")      # parallel, ":" between
    >>> read(list_[0])[0]
    {'id': 'a/1', 'image': ['/.../coco/1.jpg'], 'problem': 'Where is the cat?', 'answer': '[10, 20, 30, 40]',
     'accu_reward_method': 'rec'}

`image` is a path, a list of paths, or absent. A row's own accu_reward_method goes before its file's. An unknown method is
refused with those that exist; the released code takes it for its default without a word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade.core.rollout import section
from saccade.core.sample import DataError

METHOD = "accu_reward_method"  # C the column
METHODS = (  # C but rec and numeric, which are ours to name
    "default", "mcq", "yes_no", "all_match", "numeric", "math", "llm",
    "rec", "od_ap", "od_ap50", "odLength", "map", "weighted_sum",
)  # fmt: skip
PLACEHOLDER = "<image>"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file of rows: where its pictures lie, and how rows that do not say it are scored (None: by the default)."""

    path: Path
    folder: Path
    method: str | None = None

    def __post_init__(self) -> None:
        if self.method is not None:
            _require_method(self.method, f"the method of {self.path.name}")


def sources(files: str, *, folders: str, methods: str | None = None, root: Path | str = ".") -> tuple[Source, ...]:
    """The files of ":"-separated parallel lists; paths count from `root`. # C the lists

    One folder, or one method, stands for all files; an empty method is none. DataError where the lists do not go together,
    or a method is unknown.
    """
    paths = _split(files)
    if not paths:
        raise DataError("no files are named; give one or more .jsonl files with ':' between them")
    homes, ways = _as_many("folders", _split(folders), paths), _as_many("methods", _split(methods or "", keep=True), paths)
    return tuple(
        Source(path=Path(root) / path, folder=Path(root) / home, method=way or None)
        for path, home, way in zip(paths, homes, ways, strict=True)
    )


def files(folder: Path | str) -> dict[str, Path]:
    """{name: file} of all .jsonl files at or below a folder, the name being the path without its ending. DataError if none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"data folder {folder} {'is a file, not a folder' if folder.exists() else 'does not exist'}")
    found = {path.relative_to(folder).with_suffix("").as_posix(): path for path in sorted(folder.rglob("*.jsonl"))}
    if not found:
        raise DataError(f"{folder} has no .jsonl file; VLM-R1's data are JSONL files of conversations, and folders of pictures")
    return found


def read(source: Source) -> list[dict[str, Any]]:
    """The rows of a file, each {id, image, problem, answer, accu_reward_method}, and `thought` where the row has one.

    `image` holds absolute paths in reading order, `problem` the question without placeholders, `answer` the gold as text
    without its tags. Ids begin with the file's name, and one that stands twice is told apart by its line. A row of a wrong
    shape comes out as {id, fault}, for `ask` to refuse. DataError where the file cannot be read or holds no row.
    """
    rows: list[dict[str, Any]] = []
    taken: set[str] = set()
    for number, line in enumerate(_lines(source.path), start=1):
        if not line.strip():
            continue
        name = f"{source.path.stem}/line-{number}"
        try:
            raw = _parsed(line)
            if "id" in raw:
                name = f"{source.path.stem}/{raw['id']}"
            row = _row(raw, source)
        except DataError as error:
            row = {"fault": f"{source.path.name} line {number}: {error}"}
        name = name if name not in taken else f"{name}#{number}"
        taken.add(name)
        rows.append({"id": name, **row})
    if not rows:
        raise DataError(f"{source.path} holds no rows")
    return rows


def _split(text: str, *, keep: bool = False) -> list[str]:
    parts = [part.strip() for part in text.split(":")]
    return parts if keep and text else [part for part in parts if part]


def _as_many(what: str, given: list[str], paths: Sequence[str]) -> list[str]:
    if not given:
        given = [""]
    if len(given) not in (1, len(paths)):
        raise DataError(f"{len(paths)} files but {len(given)} {what}; the ':'-separated lists go in parallel (or give one for all)")
    return given * len(paths) if len(given) == 1 else given


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise DataError(f"data file {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"data file {path} cannot be read: {error}") from error


def _parsed(line: str) -> Mapping[str, Any]:
    try:
        raw = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"no JSON (column {error.colno}): {error.msg}") from None
    except RecursionError:
        raise DataError("its brackets are nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise DataError(f"cannot be read: {error}") from None
    if not isinstance(raw, Mapping):
        raise DataError(f"a row must be an object, got {type(raw).__name__}")
    return raw


def _row(raw: Mapping[str, Any], source: Source) -> dict[str, Any]:
    said = _turns(raw)
    question = said["human"]
    if not isinstance(question, str) or not question.replace(PLACEHOLDER, "").strip():
        raise DataError("the human turn holds no question")
    pictures = _pictures(raw)
    if question.count(PLACEHOLDER) > len(pictures):
        raise DataError(f"the question has {question.count(PLACEHOLDER)} {PLACEHOLDER}, the row {len(pictures)} picture(s)")
    method = raw.get(METHOD) or source.method
    if method is not None:
        _require_method(method, METHOD)
    row = {
        "image": [str((source.folder / name).resolve()) for name in pictures],
        "problem": " ".join(part for part in map(str.strip, question.split(PLACEHOLDER)) if part),
        "answer": _answer(said["gpt"]),
        METHOD: method,
    }
    thought = raw.get("thought")  # O not in the published rows: what a worked answer may say before the answer
    return {**row, "thought": thought} if isinstance(thought, str) and thought else row


def _turns(raw: Mapping[str, Any]) -> dict[str, Any]:
    turns = raw.get("conversations")
    if not isinstance(turns, list) or not all(isinstance(turn, Mapping) for turn in turns):
        raise DataError("'conversations' must be a list of turns")
    said: dict[str, Any] = {}
    for turn in turns:
        said.setdefault(str(turn.get("from")), turn.get("value"))  # C the first pair
    if absent := [who for who in ("human", "gpt") if said.get(who) is None]:
        raise DataError(f"no turn of {' and '.join(absent)} in 'conversations'")
    return said


def _pictures(raw: Mapping[str, Any]) -> list[str]:
    names = raw.get("image")
    names = [] if names is None else [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise DataError(f"'image' must be a path, a list of paths, or absent, got {str(names)[:60]!r}")
    return names


def _answer(value: Any) -> str:
    """The gold as text: a number or list as it is written in JSON, a text without its answer tags."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | list):
        raise DataError(f"the gpt turn must be text, a number or a list, got {type(value).__name__}")
    text = value if isinstance(value, str) else json.dumps(value)
    bare = section(text, "answer")
    bare = (text if bare is None else bare).strip()
    if not bare:
        raise DataError("the gpt turn holds no answer")
    return bare


def _require_method(method: Any, what: str) -> None:
    if method not in METHODS:
        raise DataError(f"{what} is {method!r}; have: {', '.join(METHODS)}")
