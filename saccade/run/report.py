"""What a run prints when it is done: before and after per held-out set, and where everything is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saccade.run.evaluate import Measured
from saccade.run.table import Estimate, Row, print_table


def print_report(summary: dict[str, Any], path: Path) -> None:
    """The table before -> after per reported set, sampled and greedy, and the run's folder."""
    for mode in ("sampled", "greedy"):
        title = "sampled at the evaluation's temperature" if mode == "sampled" else "greedy"
        print(f"\n{title}, mean and 95 % interval, before -> after ({summary['chosen']}); * is out of distribution")
        rows = []
        for name, found in summary["evaluations"].items():
            if name.endswith("-val"):
                continue
            rows.append(_row(name + "*" * found["is_shifted"], found, mode))
        print_table(rows)
    print("\nshare of sampled answers, before -> after")
    print_table(_share_rows(summary))
    minutes, seconds = divmod(round(summary["seconds"]), 60)
    print(f"\n{minutes} min {seconds} s; everything is in {path}")
    print(f"saccade export {path} --to FOLDER writes the model as an ordinary Hugging Face checkpoint")


def print_measured(found: Measured) -> None:
    """One evaluation's figures on a line."""
    greedy, sampled = found.estimate("greedy"), found.estimate("sampled")
    figures = "  ".join(
        f"{mode} {100 * one['mean']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"
        for mode, one in (("greedy", greedy), ("sampled", sampled))
    )
    print(f"{found.evaluation.name:24} n {len(found.greedy):5}  {figures}")


def _row(name: str, found: dict[str, Any], mode: str) -> Row:
    before, after = (_estimate(found[moment][mode]) for moment in ("before", "after"))
    return Row(name=name, n=found["n"], before=before, after=after)


def _estimate(one: dict[str, float]) -> Estimate:
    return Estimate(value=one["mean"], low=one["low"], high=one["high"])


def _share_rows(summary: dict[str, Any]) -> list[Row]:
    """Every further share of every reported set, such as format or reasons."""
    rows = []
    for name, found in summary["evaluations"].items():
        if name.endswith("-val"):
            continue
        for key, before in found["before"]["metrics"].items():
            short = key.rpartition("/")[2]
            if short in ("greedy", "sampled", "tokens", "truncated") or "@" in short:
                continue
            after = found["after"]["metrics"][key]
            rows.append(
                Row(name=f"{name} {short}", n=found["n"], before=Estimate(before, before, before), after=Estimate(after, after, after))
            )
    return rows
