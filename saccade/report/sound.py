"""Rows of a run's logs in the form that the page relies on.

What a damaged or foreign file says otherwise is dropped, row by row or part by part, so that the page needs no doubt of
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

LARGEST = 1e300  # beyond what any number of ours is
Row = dict[str, Any]
Check = Callable[[Any], bool]
OF_SAMPLE = {"sample": str, "kind": str, "prompt": str, "pictures": list}
OF_ANSWER = {"text": str, "stop": str, "scores": dict}
NEEDED: dict[str, dict[str, type]] = {
    "rollouts.jsonl": {"step": int, "stage": str, "group": str, **OF_SAMPLE, **OF_ANSWER},
    "tokens.jsonl": {"group": str, "sibling": int, "pieces": list, "sampled": list},
    "evaluations.jsonl": {"moment": str, "step": int, "set": str, **OF_SAMPLE, **OF_ANSWER, "sampled": list},
    "samples.jsonl": {"set": str, "split": str, **OF_SAMPLE},
    "metrics.jsonl": {},
}


def sound(name: str, row: Row) -> Row | None:
    """The row of the log `name` with its bad parts left out; None if it lacks what every such row has."""
    if name == "samples.jsonl" and isinstance(row.get("totals"), dict):
        return {key: _numbers(value) for key, value in row.items() if isinstance(value, dict)}
    for key, kind in NEEDED[name].items():
        if not isinstance(row.get(key), kind) or (kind is int and not is_number(row[key])):
            return None
    if name == "metrics.jsonl":
        return {key: value for key, value in row.items() if value is None or isinstance(value, str) or is_number(value)}
    if name == "tokens.jsonl":
        return _trace(row)
    found = {**row, "pictures": [sha for sha in row["pictures"] if isinstance(sha, str)]}
    for key in ("reward", "advantage", "score", "forced_tokens"):
        if key in found and not is_number(found[key]):
            found[key] = None
    if name in ("rollouts.jsonl", "evaluations.jsonl"):
        found["scores"] = {term: _score(score) for term, score in row["scores"].items() if isinstance(score, dict)}
        found["tokens"] = row.get("tokens") if is_number(row.get("tokens")) else None
    if name == "evaluations.jsonl":
        found["sampled"] = [value if is_number(value) else None for value in row["sampled"]]
    for key, is_good in PARTS.items():
        if key in found:
            found[key] = [part for part in found[key] if is_good(part)] if isinstance(found[key], list) else []
    if name == "samples.jsonl":
        found["tokens"] = _numbers(row.get("tokens"))
    return found


def _trace(row: Row) -> Row | None:
    n = len(row["pieces"])
    if len(row["sampled"]) != n or not all(isinstance(piece, str) for piece in row["pieces"]):
        return None
    found = dict(row)
    for key in ("logp", "entropy", "change", "weight"):
        values = row.get(key)
        is_whole = isinstance(values, list) and len(values) == n
        found[key] = [value if is_number(value) else None for value in values] if is_whole else [None] * n
    return found


def _score(score: Mapping[str, Any]) -> Row:
    why = score.get("why")
    found = {**score, "why": why if isinstance(why, str) else ""}
    value = score.get("value")
    if not is_number(value):
        found["value"] = None
        if value is not None:  # NaN is kept as text
            found["why"] = f"{found['why']} (the value was {str(value)[:40]})".strip()
    return found


def _numbers(value: Any) -> dict[str, float]:
    return {key: number for key, number in value.items() if is_number(number)} if isinstance(value, dict) else {}


def is_number(value: Any) -> bool:
    """Whether it is a number that a browser can hold: JSON may have integers of any length."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST


def _are_numbers(value: Any, n: int | None = None) -> bool:
    return isinstance(value, list) and (n is None or len(value) == n) and all(map(is_number, value))


def _is_mark(mark: Any) -> bool:
    if not isinstance(mark, dict) or not isinstance(mark.get("picture", 0), int):
        return False
    if not all(isinstance(mark.get(key, ""), str) for key in ("label", "verb")):
        return False
    if "box" in mark:
        return _are_numbers(mark["box"], 4)
    if "point" in mark:
        return _are_numbers(mark["point"], 2)
    if "line" in mark:
        return isinstance(mark["line"], list) and all(_are_numbers(point, 2) for point in mark["line"])
    mask = mark.get("mask")
    return isinstance(mask, dict) and _are_numbers(mask.get("size"), 2) and _are_numbers(mask.get("counts"))


def _holds_texts(*keys: str) -> Check:
    return lambda part: isinstance(part, dict) and all(isinstance(part.get(key), str) for key in keys)


def _is_turn(part: Any) -> bool:
    return _holds_texts("role", "text")(part) and isinstance(part.get("pictures", []), list)


PARTS: dict[str, Check] = {
    "seen": lambda part: _are_numbers(part, 2),
    "gold": _is_mark,
    "marks": _is_mark,
    "forced": lambda part: _are_numbers(part, 2),
    "asked": _holds_texts("judge", "prompt", "reply"),
    "turns": _is_turn,
}
