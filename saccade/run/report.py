"""What a run prints when it is done: before and after per held-out set, and where everything is."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from saccade.run.evaluate import Measured
from saccade.run.terminal import printable
from saccade.run.table import Estimate, Row, print_table


FIXED = ("greedy", "sampled", "tokens", "truncated")  # an evaluation's metrics that are not further shares
TOTAL = "total/"  # what begins the name of a figure of the whole set
ENTROPIES = ("critical_tokens", "critical_entropy", "after_critical_entropy", "entropy")  # nats, but for the first


def print_report(summary: dict[str, Any], path: Path) -> None:
    """The tables before -> after per reported set, and where the run is."""
    measured = summary["evaluations"]
    reported = {name: found for name, found in measured.items() if not found["selects"]} or measured
    if reported:
        _print_tables(summary["chosen"], reported)
    if summary["warnings"]:
        print("\nWhat the run warned of")
        for sentence in summary["warnings"]:
            print(textwrap.fill(printable(sentence), 100, initial_indent="- ", subsequent_indent="  "))
    minutes, seconds = divmod(round(summary["seconds"]), 60)
    print(f"\n{minutes} min {seconds} s; everything is in {path}")
    print(f"saccade view {path} shows what it did, as a page")
    print(f"saccade export {path} --to FOLDER writes the model as an ordinary Hugging Face checkpoint")


def _print_tables(chosen: str, reported: dict[str, Any]) -> None:
    for mode, title in (("sampled", "Sampled answers"), ("greedy", "Greedy answers")):
        print(f"\n{title}: score before training and after (checkpoint {chosen}); * is out of distribution")
        print_table([_row(name + "*" * found["is_shifted"], found, mode) for name, found in reported.items()])
    print("\nOf the sampled answers, in %, before > after")
    print("\n".join(_share_lines(reported)))
    if lines := _total_lines(reported):
        print("\nOf each set as a whole, greedy answers, before > after")
        print("\n".join(lines))
    if lines := _entropy_lines(reported):
        print("\nEntropy of the sampled answers, in nats, before > after")
        print("\n".join(lines))


def print_measured(found: Measured) -> None:
    """One evaluation's figures on a line."""
    greedy, sampled = found.estimate("greedy"), found.estimate("sampled")
    figures = "  ".join(
        f"{mode} {100 * one['mean']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"
        for mode, one in (("greedy", greedy), ("sampled", sampled))
    )
    name = found.evaluation.name
    probes = {key: found.metrics.get(f"eval/{name}/{key}") for key in ("picture_gain", "critical_entropy")}
    probes |= {_name(key).removeprefix(TOTAL): value for key, value in found.metrics.items() if _name(key).startswith(TOTAL)}
    more = "".join(f"  {key} {value:.3f}" for key, value in probes.items() if value is not None)
    print(f"{name:24} n {len(found.greedy):5}  {figures}{more}")


def _row(name: str, found: dict[str, Any], mode: str) -> Row:
    before, after = (_estimate(found[moment][mode]) for moment in ("before", "after"))
    return Row(name=name, n=found["n"], before=before, after=after)


def _estimate(one: dict[str, float]) -> Estimate:
    return Estimate(value=one["mean"], low=one["low"], high=one["high"])


def _share_lines(reported: dict[str, Any]) -> list[str]:
    """A line per set: every further share, such as format or reasons, before and after."""
    width = max(map(len, reported)) + 1
    lines = []
    for name, found in reported.items():
        before, after = found["before"]["metrics"], found["after"]["metrics"]
        shares = [key for key in before if _is_share(_name(key))]
        cells = [f"{_name(key)} {100 * before[key]:5.1f} > {100 * after[key]:5.1f}" for key in shares]
        lines.append(f"{name + '*' * found['is_shifted']:{width}}  " + "   ".join(cells))
    return lines


def _total_lines(reported: dict[str, Any]) -> list[str]:
    """A line per set with figures of the whole set, such as mAP."""
    width = max(map(len, reported)) + 1
    lines = []
    for name, found in reported.items():
        before, after = found["before"]["metrics"], found["after"]["metrics"]
        keys = [key for key in before if _name(key).startswith(TOTAL)]
        cells = [f"{_name(key).removeprefix(TOTAL)} {before[key]:.3f} > {after[key]:.3f}" for key in keys]
        if cells:
            lines.append(f"{name + '*' * found['is_shifted']:{width}}  " + "   ".join(cells))
    return lines


def _entropy_lines(reported: dict[str, Any]) -> list[str]:
    """A line per set with triggers; a figure that one of the moments has not is -."""
    width = max(map(len, reported)) + 1
    lines = []
    for name, found in reported.items():
        before, after = found["before"]["metrics"], found["after"]["metrics"]
        if f"eval/{name}/critical_tokens" in before:
            keys = {key: f"eval/{name}/{key}" for key in ENTROPIES}
            cells = [f"{short} {_figure(before.get(key))} > {_figure(after.get(key))}" for short, key in keys.items()]
            lines.append(f"{name + '*' * found['is_shifted']:{width}}  " + "   ".join(cells))
    return lines


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:g}" if isinstance(value, int) else f"{value:.3f}"


def _is_share(name: str) -> bool:
    is_entropy = name in ENTROPIES or name.startswith("critical_entropy/")
    return name not in FIXED and not is_entropy and not name.startswith(("pass@", TOTAL))


def _name(key: str) -> str:
    """What eval/<set>/<name> measures."""
    return key.split("/", 2)[2]
