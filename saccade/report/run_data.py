"""A run's folder as the one object that the page draws (docs/run-folder.md names what is in it).

    {"name", "state", "recipe", "command", "summary", "check", "metrics": [...], "groups": [...], "evaluations": [...],
     "samples": [...], "totals": {...}, "traced": [...], "left_out": [sentence, ...]}

Reads only. A run that is still being written is read up to its last whole line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from saccade.report.source import Source

OF_GROUP = ("step", "stage", "sample", "kind", "prompt", "pictures", "seen", "target", "gold")
OF_ROLLOUT = (
    "text",
    "tokens",
    "forced_tokens",
    "forced",
    "stop",
    "reward",
    "scores",
    "advantage",
    "marks",
    "asked",
    "turns",
)
NEWER = {
    "recipe.json": "what the recipe says and where its numbers come from",
    "evaluations.jsonl": "the answers of each evaluation",
    "samples.jsonl": "the samples of the data",
}


def head(source: Source, *, name: str = "") -> dict[str, Any]:
    """The run without its logs, called by its folder unless by another `name`."""
    objects = ("recipe", "command", "summary", "check")
    return {
        "name": name or source.name,
        "state": source.state(),
        **{key: source.object(f"{key}.json") for key in objects},
    }


def absent(source: Source, run: dict[str, Any]) -> list[str]:
    """Of files that newer runs have by their first step and this one lacks, a sentence each."""
    if not any("run/total_steps" in row for row in run["metrics"]):
        return []
    return [
        f"This run has no {name}: {what} cannot be shown."
        for name, what in NEWER.items()
        if not (source.path / name).exists()
    ]


def names(sources: Sequence[Source]) -> list[str]:
    """What to call runs so that they are told apart: their folders, with those above where two have one name."""
    parts = [source.path.resolve().parts[1:] for source in sources]
    for depth in range(1, max(map(len, parts), default=1) + 1):
        found = ["/".join(some[-depth:]) or "run" for some in parts]
        if len(set(found)) == len(found):
            break
    return found


def folded(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The lines of rollouts.jsonl as groups: what siblings share once, then the siblings."""
    group: dict[str, Any] | None = None
    for row in rows:
        if group is None or group["id"] != row["group"]:
            if group is not None:
                yield group
            group = {"id": row["group"], **{key: row[key] for key in OF_GROUP if key in row}, "rollouts": []}
        one = {key: row[key] for key in OF_ROLLOUT if key in row}
        if row["pictures"] != group["pictures"]:
            one["pictures"] = row["pictures"]
        group["rollouts"].append(one)
    if group is not None:
        yield group


def by_group(rows: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The lines of tokens.jsonl: a group's id to its traces, in the order of the siblings."""
    traces: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        traces.setdefault(row["group"], []).append(row)
    for some in traces.values():
        some.sort(key=lambda row: row["sibling"])
    return traces


def without_totals(rows: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The lines of samples.jsonl, and how many samples each set has."""
    samples, totals = [], {}
    for row in rows:
        if "totals" in row:
            totals = row["totals"]
        else:
            samples.append(row)
    return samples, totals


def pictures_of(run: dict[str, Any]) -> list[str]:
    """The pictures that a run's object names, each once.

    First those of evaluations, then those of groups from the last to the first, then those of samples.
    """
    named: dict[str, None] = {}
    for row in run["evaluations"]:
        named.update(dict.fromkeys(row["pictures"]))
    for group in reversed(run["groups"]):
        named.update(dict.fromkeys(group["pictures"]))
        for rollout in group["rollouts"]:
            named.update(dict.fromkeys(rollout.get("pictures", ())))
            for turn in rollout.get("turns", ()):
                named.update(dict.fromkeys(sha for sha in turn.get("pictures", ()) if isinstance(sha, str)))
    for row in run["samples"]:
        named.update(dict.fromkeys(row["pictures"]))
    return list(named)
