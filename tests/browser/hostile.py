"""A run in which every text tries to be more than text: markup, scripts, links, styles, invisible letters, keys of prototypes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.browser import runs

MARKUP = [
    "<script>window.__hit('script')</script>",
    "</script><script>window.__hit('closed')</script>",
    "<!--<script>window.__hit('comment')</script>",
    "<img src=x onerror=\"window.__hit('image')\">",
    "<svg onload=\"window.__hit('svg')\"><animate onbegin=\"window.__hit('animate')\" attributeName=x></svg>",
    "<iframe srcdoc=\"<script>parent.__hit('frame')</script>\"></iframe>",
    "<a href=\"javascript:window.__hit('link')\">click</a>",
    "javascript:window.__hit('address')",
    "\" autofocus onfocus=\"window.__hit('attribute')\" x=\"",
    "' onmouseover='window.__hit(1)' '",
    "<style>body{display:none!important}</style>",
    "<link rel=stylesheet href=http://evil.example/x.css><img src=http://evil.example/x.png>",
    "color:red;background:url(http://evil.example/y.png);position:fixed;inset:0",
    "${window.__hit('template')} {{constructor.constructor('window.__hit(2)')()}} `${window.__hit(3)}`",
    "<meta http-equiv=refresh content=\"0;url=http://evil.example/\"><base href=http://evil.example/>",
    "<form action=http://evil.example/><input name=x><button>go</button></form>",
]  # fmt: skip
LETTERS = [
    "\u2028line\u2029separators",
    "right\u202eto left\u202c",
    "zero\u200bwidth\ufeff",
    "\ud800 lone \udfff",
    "nul\x00bell\x07",
    "tag\U000e0041",
]
NAMES = ["__proto__", "constructor", "toString", "hasOwnProperty", "prototype", "NaN", "Infinity", "-0", "", " "]
TEXTS = MARKUP + LETTERS + NAMES
LONG = "<b>" + "wide" * 50_000 + " " + "word " * 20_000


def hostile(path: Path, *, seed: int = 0) -> Path:
    """The run of runs.finished, every text in it replaced or added to by one of these."""
    runs.finished(path, seed=seed)
    for file in ("rollouts", "evaluations", "samples", "tokens"):
        name = path / f"{file}.jsonl"
        rows = [json.loads(line) for line in name.read_text().splitlines()]
        _write(name, [_SPOILS[file](row, n) for n, row in enumerate(rows)])
    metrics = path / "metrics.jsonl"
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    for n, row in enumerate(rows):
        more = {
            f"{area}/{_text(n + k)}": float(n)
            for k, area in enumerate(("reward", "policy", "__proto__", "route", "time"))
        }
        row |= {**more, "health/x": _text(n), "reward/nan": "nan", "run/__proto__": 1, "eval/__proto__/greedy": 0.5}
    _write(metrics, rows)
    for name in ("recipe", "check", "command", "summary"):
        file = path / f"{name}.json"
        file.write_text(json.dumps(_spoilt(json.loads(file.read_text()), iter(range(10**6)))))
    return path


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_bytes("".join(json.dumps(row) + "\n" for row in rows).encode("ascii"))


def _text(n: int) -> str:
    return TEXTS[n % len(TEXTS)]


def _rollout(row: dict[str, Any], n: int) -> dict[str, Any]:
    scores = {**row["scores"], _text(n): {"value": 1.0, "why": _text(n + 1), "route": _text(n + 2)},
              "__proto__": {"value": "nan", "why": _text(n)}}  # fmt: skip
    row = {
        **row,
        **_sample(row, n),
        "text": f"<think>{_text(n)}</think>{_text(n + 3)}<answer>{_text(n + 5)}</answer>",
        "scores": scores,
    }
    row["stop"] = _text(n) if n % 5 == 0 else row["stop"]
    row["marks"] = [{**mark, "label": _text(n), "verb": _text(n + 1)} for mark in row.get("marks", [])]
    row["marks"] += [
        {"picture": 10**9, "box": [-5, -5, 1e300, 2]},
        {"picture": 0, "point": [1e-300, -1e9], "label": LONG[:500]},
    ]
    row["asked"] = [{"judge": _text(n), "prompt": _text(n + 1), "reply": _text(n + 2)}]
    if "turns" in row:
        row["turns"] = [{**turn, "text": _text(n), "pictures": ["../../etc/passwd", _text(n)]} for turn in row["turns"]]
    if n == 0:
        row["text"] = LONG
    if n == 1:
        row |= {"reward": "nan", "advantage": "inf", "tokens": "many"}
    return row


def _sample(row: dict[str, Any], n: int) -> dict[str, Any]:
    # All siblings of a group have the same sample: what differs between rows of one group goes by its name.
    key = sum(map(ord, row.get("group", row["sample"])))
    return {
        "sample": f"{row['sample']}{_text(key)}", "kind": _text(key + 1), "prompt": f"[picture]{_text(key)}{_text(key + 2)}",
        "target": {_text(key): _text(key + 1), "__proto__": {"polluted": _text(key)}, "nested": [[[_text(key)]]]},
        "gold": [{**mark, "label": _text(key)} for mark in row.get("gold", [])],
        "pictures": row["pictures"] + (["https://evil.example/x.png", _text(key)] if key % 3 == 0 else []),
    }  # fmt: skip


def _evaluation(row: dict[str, Any], n: int) -> dict[str, Any]:
    key = sum(map(ord, row["sample"]))
    return {**row, **_sample(row, n), "kind": _text(key % 7), "text": f"<answer>{_text(n)}</answer>", "set": row["set"] + MARKUP[0],
            "scores": {**row["scores"], "__proto__": {"value": 1, "why": _text(n)}, _text(n): {"value": None, "why": _text(n)}}}  # fmt: skip


def _data(row: dict[str, Any], n: int) -> dict[str, Any]:
    if "totals" in row:
        return {"totals": {f"{name}{MARKUP[0]}": count for name, count in row["totals"].items()} | {"__proto__": 5}}
    return {**row, **_sample(row, n), "solution": _text(n), "set": row["set"] + MARKUP[0], "split": _text(n)}


def _trace(row: dict[str, Any], n: int) -> dict[str, Any]:
    return {**row, "pieces": [_text(n + k) for k in range(len(row["pieces"]))]}


_SPOILS = {"rollouts": _rollout, "evaluations": _evaluation, "samples": _data, "tokens": _trace}


def _spoilt(value: Any, numbers: Any, key: str = "") -> Any:
    """Every text of a description, but for the words that the page chooses by."""
    if isinstance(value, str):
        return (
            value
            if key in ("level", "source", "kind", "name") and len(value) < 8
            else f"{value} {_text(next(numbers))}"
        )
    if isinstance(value, list):
        return [_spoilt(item, numbers, key) for item in value]
    if isinstance(value, dict):
        found = {name: _spoilt(item, numbers, name) for name, item in value.items()}
        kinds = set(map(type, value.values()))
        return found | {"__proto__": next(iter(found.values()))} if len(kinds) == 1 else found
    return value
