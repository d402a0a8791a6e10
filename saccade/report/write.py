"""`saccade view`: one or two runs as one HTML file of limited size.

    >>> write_page([Path("runs/reason_rft-2026-11-20-1")], Path("view.html"), size=16_000_000)
    Written(path=PosixPath('view.html'), size=2408113, left_out=())

What a page holds is small but for pictures, rollouts and token traces. Where all do not fit, pictures become smaller
first, down to 160 pixels. Then lines are left out, evenly spaced ones, by shares that favour rollouts; last, the pictures
of the oldest steps. The page says each of these in a sentence.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saccade.report import run_data
from saccade.report.fit import SAMPLED, WEIGHED, Entry, chosen, evenly, fair, read, scanned
from saccade.report.page import packed, static_page
from saccade.report.pictures import Fitted, fit_pictures, smallest_need
from saccade.report.source import Source
from saccade.run.files import write_atomically

MEGABYTE = 1_000_000
SIZE = 16 * MEGABYTE  # under the 20 to 25 MB that common mail services allow
SMALLEST = MEGABYTE  # the page itself and a few figures need that
DENSEST = 12  # lines that pack better count as if they did not: a browser has to hold them unpacked
PICTURES = 0.35  # of the room at most is kept free for pictures where lines compete with them
NOUNS = {
    "metrics.jsonl": "steps in the curves",
    "rollouts.jsonl": "steps with rollouts",
    "tokens.jsonl": "groups with token traces",
}
_Logs = dict[tuple[int, str], list[Entry]]  # (which run, name of the log) -> its entries


@dataclass(frozen=True)
class Written:
    """A page that was written: where, how many bytes, and what did not fit, in sentences."""

    path: Path
    size: int
    left_out: tuple[str, ...]


def write_page(paths: Sequence[Path], out: Path, *, size: int = SIZE) -> Written:
    """Write the page of one or two runs to `out`, whole or not at all, in about `size` bytes at most.

    RunError if the disk refuses.
    """
    sources = [Source(path) for path in paths]
    room = size - len(static_page([], runs=[], tokens=[], pictures={})) - 8_000  # for the sentences
    logs = {(n, name): scanned(source, name) for n, source in enumerate(sources) for name in WEIGHED}
    needs = {key: _need(sources[key[0]], key[1], entries) for key, entries in logs.items()}
    kept: _Logs = logs
    if sum(needs.values()) > room:  # never read what cannot fit
        kept = _chosen(logs, needs, room=room)
    slacks = iter((0.95, 0.85, 0.7, 0.5, 0.25, 0.0))
    while True:
        runs, texts = _texts(sources, kept)
        wanted = _wanted(sources, runs)
        lines_room = room - min(smallest_need(wanted), PICTURES * room)
        if sum(map(len, texts)) <= lines_room or (slack := next(slacks, None)) is None:
            break
        kept = _chosen(logs, needs, room=slack * lines_room)
    fitted = fit_pictures(wanted, room=room - sum(map(len, texts)))
    for n, (source, run) in enumerate(zip(sources, runs, strict=True)):
        run["left_out"] += [
            sentence for name in WEIGHED for sentence in _said_of_lines(name, logs[n, name], kept[n, name])
        ]
        run["left_out"] += _said_of_pictures(run_data.pictures_of(run), fitted)
        run["left_out"] += source.faults()
    packed_runs = [packed(run) for run in runs]
    pictures = {sha: base64.b64encode(data).decode() for sha, data in fitted.webp.items()}
    page = static_page([run["name"] for run in runs], runs=packed_runs, tokens=texts[len(runs) :], pictures=pictures)
    data = page.encode("utf-8")
    write_atomically(out, data)
    said = [sentence for run in runs for sentence in run["left_out"]]
    return Written(out, len(data), tuple(dict.fromkeys(said)))


def _need(source: Source, name: str, entries: Sequence[Entry]) -> float:
    """About how many bytes of the page these lines take, judged by some of them."""
    total = sum(entry.size for entry in entries)
    some = evenly(entries, max(1, int(len(entries) * min(1.0, SAMPLED / max(1, total)))))
    seen = sum(entry.size for entry in some)
    rows = list(read(source, name, some))
    found = list(run_data.folded(rows)) if name == "rollouts.jsonl" else rows
    return max(len(packed(found)) / max(1, seen) * total, total / DENSEST)


def _chosen(logs: _Logs, needs: dict[tuple[int, str], float], *, room: float) -> _Logs:
    """Of each log as many entries as its part of the room takes."""
    parts = fair(room, needs, weights={key: WEIGHED[key[1]] for key in logs})
    return {key: chosen(entries, share=parts[key] / max(1.0, needs[key])) for key, entries in logs.items()}


def _texts(sources: Sequence[Source], kept: _Logs) -> tuple[list[dict[str, Any]], list[str]]:
    """The objects of the runs, and as packed text first all of them, then the traces of each."""
    runs, traces = [], []
    for source in sources:
        source.skipped.clear()
    for n, (source, name) in enumerate(zip(sources, run_data.names(sources), strict=True)):
        run = run_data.head(source, name=name)
        run["metrics"] = list(read(source, "metrics.jsonl", kept[n, "metrics.jsonl"]))
        run["groups"] = list(run_data.folded(read(source, "rollouts.jsonl", kept[n, "rollouts.jsonl"])))
        run["evaluations"] = list(read(source, "evaluations.jsonl", kept[n, "evaluations.jsonl"]))
        run["samples"], run["totals"] = run_data.without_totals(read(source, "samples.jsonl", kept[n, "samples.jsonl"]))
        shown = {group["id"] for group in run["groups"]}
        entries = [entry for entry in kept[n, "tokens.jsonl"] if entry.unit in shown]
        own = run_data.by_group(read(source, "tokens.jsonl", entries))
        run["traced"] = list(own)
        run["left_out"] = run_data.absent(source, run)
        runs.append(run)
        traces.append(own)
    return runs, [packed(value) for value in (*runs, *traces)]


def _wanted(sources: Sequence[Source], runs: Sequence[dict[str, Any]]) -> list[tuple[Source, str]]:
    """The pictures of all runs, each once, the most wanted first: runs take turns."""
    found: dict[str, Source] = {}
    named = [run_data.pictures_of(run) for run in runs]
    for place in range(max(map(len, named), default=0)):
        for source, shas in zip(sources, named, strict=True):
            if place < len(shas):
                found.setdefault(shas[place], source)
    return [(source, sha) for sha, source in found.items()]


def _said_of_lines(name: str, entries: Sequence[Entry], kept: Sequence[Entry]) -> list[str]:
    """How many units of a log were left out."""
    if len(kept) == len(entries):
        return []
    units = [{(entry.family, entry.unit) for entry in some if entry.unit is not None} for some in (entries, kept)]
    total, shown = map(len, units)
    if name in NOUNS:
        what = NOUNS[name]
    else:
        what = f"samples with {'answers of evaluations' if name == 'evaluations.jsonl' else 'their data'}"
    spaced = "evenly spaced, the first and the last among them" if shown > 1 else "the last"
    return [f"{shown:,} of {total:,} {what} are in this file ({spaced}); the others did not fit. --size allows more."]


def _said_of_pictures(shas: Sequence[str], fitted: Fitted) -> list[str]:
    """How many of a run's pictures are smaller, or not there, and why."""
    own = frozenset(shas)
    said = []
    if small := len(own & fitted.shrunk):
        said.append(
            f"{small:,} of {len(own):,} pictures are smaller than the originals: {fitted.side} px on the long side."
        )
    if missing := len(own - fitted.webp.keys() - fitted.absent - fitted.unreadable):
        said.append(
            f"{missing:,} of {len(own):,} pictures are left out, those of the oldest steps first; --size allows more."
        )
    if lost := len(own & fitted.absent):
        said.append(f"{lost:,} of {len(own):,} pictures are not in the run's folder.")
    if bad := len(own & fitted.unreadable):
        said.append(f"{bad:,} of {len(own):,} picture files cannot be read as pictures and are left out.")
    return said
