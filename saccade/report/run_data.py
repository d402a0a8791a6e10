"""A run's folder as the one object that the page draws. Reads only; a run that is still being written is read up to its last whole line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from saccade.run.files import JsonLines, RunError

OF_GROUP = ("step", "stage", "sample", "kind", "prompt", "pictures", "seen", "target", "gold")
OF_ROLLOUT = ("text", "tokens", "forced_tokens", "forced", "stop", "reward", "scores", "advantage", "marks", "asked", "turns")


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
