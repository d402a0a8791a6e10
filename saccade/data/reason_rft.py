"""Reads the published on-disk format of Reason-RFT (specs/reason_rft.md 6.5).

    folder/train_jsons/*.json      one list of rows per task
    folder/test_jsons/*.json       id and ood sets
    folder/images/train_images, folder/images/test_images

    >>> files(folder)["counting", "ood-more"]
    PosixPath('.../test_jsons/Visual-Counting-ood-more-test.json')
    >>> read(folder, "counting", "train")[0]
    {'id': 'clevr-math-00000', 'task': 'counting', 'split': 'train', 'image': ['/.../clevr-math-00000.png'],
     'problem': 'What is the sum of all the digits?', 'answer': '14', 'cot': '<think>...'}

Three kinds of rows stand in such files, and all come out alike: meta {id, image, problem, answer, cot}, RL {id, image,
problem, solution, answer for geometry} and ShareGPT {id, image, messages}. The last hold the whole prompt, not the bare
problem, so their rows carry `has_prompt: True`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from saccade.core.rollout import section
from saccade.core.sample import DataError

TASKS = {
    "counting": "counting",
    "structure": "structure",
    "spatial": "spatial",
    "geo": "structure",
    "trance": "spatial",
}
_PICTURE_FOLDERS = (".", "images", "images/train_images", "images/test_images")


def read(folder: Path | str, task: str, split: str) -> list[dict[str, Any]]:
    """The rows of a task ("counting", "structure", "spatial") and split ("train", "id", "ood", "ood-left", ...).

    DataError, naming what there is, when the folder has no such file or the file holds no rows. A row of a wrong shape
    comes out as {id, fault}, for `ask` to refuse, so that a few bad rows do not stop the many (`Task.from_rows`).
    """
    have = files(folder)
    if (task, split) not in have:
        names = ", ".join(f"{t} {s}" for t, s in have)
        raise DataError(f"{folder} has no {task} {split} set; it has: {names}")
    path, rows = have[task, split], []
    for number, raw in enumerate(_loaded(path)):
        try:
            row = _row(raw, f"{path} row {number}", Path(folder).resolve())
        except DataError as error:
            name = str(raw["id"]) if isinstance(raw, Mapping) and "id" in raw else f"row {number}"
            row = {"id": name, "fault": str(error)}
        rows.append({**row, "task": task, "split": split})
    return rows


def files(folder: Path | str) -> dict[tuple[str, str], Path]:
    """The data set's files by (task, split), told from their names; DataError when the folder is not such a data set."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"data folder {folder} {'is a file, not a folder' if folder.exists() else 'does not exist'}")
    found: dict[tuple[str, str], Path] = {}
    for part in ("train_jsons", "test_jsons"):
        for path in sorted((folder / part).glob("*.json")):
            name = path.stem.lower()
            task = next((task for mark, task in TASKS.items() if mark in name), None)
            if task:
                found.setdefault((task, "train" if part == "train_jsons" else _test_split(name)), path)
    if not found:
        raise DataError(f"{folder} has no train_jsons/*.json or test_jsons/*.json of counting, structure or spatial")
    return found


def read_rows(path: Path | str, *, root: Path | str | None = None) -> list[dict[str, Any]]:
    """The rows of one JSON file, each with id, image (list of absolute paths), problem, answer, and cot where it has one.

    Pictures are looked for beside `root` (default: the data set that the file stands in), in its images folders, and as
    written. Whether they exist and decode is found out by who opens them. A row of a wrong shape raises DataError,
    which names the file, the row and the field.
    """
    path = Path(path)
    root = Path(root) if root else path.resolve().parent.parent
    return [_row(row, f"{path} row {number}", root.resolve()) for number, row in enumerate(_loaded(path))]


def _loaded(path: Path) -> list[Any]:
    """The rows as they stand in the file. DataError, naming it, where they cannot be had."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"data file {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"data file {path} cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is not JSON (line {error.lineno}, column {error.colno}): {error.msg}") from None
    except RecursionError:
        raise DataError(f"{path} is no list of rows: its brackets are nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise DataError(f"data file {path} cannot be read: {error}") from None
    if not isinstance(rows, list):
        raise DataError(f"{path} must hold a list of rows, got {type(rows).__name__}")
    return rows


def _row(row: Any, where: str, root: Path) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise DataError(f"{where} must be an object, got {type(row).__name__}")
    if "id" not in row:
        raise DataError(f"{where} has no field 'id'; it has: {', '.join(row) or 'nothing'}")
    where = f"{where} (id {row['id']!r})"
    problem, solution = _question_and_solution(row, where)
    answer = row.get("answer")
    bare = str(answer) if answer is not None else solution
    if bare is None:
        raise DataError(f"{where} has neither an answer nor a solution")
    plain = {
        "id": str(row["id"]),
        "image": [str(_find(name, root)) for name in _pictures(row, where)],
        "problem": problem,
        "answer": section(bare, "answer") if section(bare, "answer") is not None else bare.strip(),
    }
    if "messages" in row:
        plain["has_prompt"] = True
    cot = row.get("cot") or (solution if solution and "<think>" in solution else None)
    return {**plain, "cot": str(cot)} if cot else plain


def _question_and_solution(row: Mapping[str, Any], where: str) -> tuple[str, str | None]:
    """The question without picture marks, and the worked or tagged answer where there is one."""
    if "messages" in row:
        turns = row["messages"]
        if not isinstance(turns, Sequence) or len(turns) < 2 or not all(isinstance(turn, Mapping) for turn in turns):
            raise DataError(f"{where}: 'messages' must be a list of a user turn and an assistant turn")
        said = {turn.get("role", turn.get("from")): turn.get("content", turn.get("value")) for turn in turns}
        question, solution = said.get("user", said.get("human")), said.get("assistant", said.get("gpt"))
    else:
        question, solution = row.get("problem"), row.get("solution")
    if not isinstance(question, str):
        raise DataError(f"{where} has no field 'problem' with text (and no 'messages')")
    if solution is not None and not isinstance(solution, str | int | float):
        raise DataError(f"{where}: the solution must be text, got {type(solution).__name__}")
    return re.sub(r"\s*<image>\s*", " ", question).strip(), None if solution is None else str(solution)


def _pictures(row: Mapping[str, Any], where: str) -> list[str]:
    names = row.get("image", row.get("images"))
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError(f"{where}: 'image' must be a path or a list of paths, got {names!r}")
    return names


def _find(name: str, root: Path) -> Path:
    """The first place where the picture is; the plain one below the root when it is nowhere."""
    places = [root / part / name for part in _PICTURE_FOLDERS]
    return next((place.resolve() for place in places if place.is_file()), places[0].resolve())


def _test_split(name: str) -> str:
    """`Visual-Counting-ood-more-test-1k` -> `ood-more`; anything without ood is the in-distribution set."""
    found = re.search(r"ood(?:[-_](?!test|\d)([a-z]+))?", name)
    if not found:
        return "id"
    return f"ood-{found[1]}" if found[1] else "ood"
