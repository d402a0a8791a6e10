"""What each variant of the rewards would have paid for the answers of a run: who writes boxes too many, and which
groups teach nothing.

    python -m saccade.recipes.vision_r1_griffon.paid RUN [DATA]         # a run of this recipe, and the --data it had

The same answers under every variant, so that nothing but the rewards differs; no model is asked.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from saccade.core.reward import Rewards
from saccade.core.rollout import Group, Rollout, Stop
from saccade.core.sample import DataError, Sample
from saccade.policy.reader import Reader
from saccade.recipes import vision_r1_griffon as griffon
from saccade.rewards.papers.vision_r1_griffon.reading import predictions

# name -> the recipe's options, and the progress at which it is asked
VARIANTS: Mapping[str, tuple[Mapping[str, str], float]] = {
    "paper, first": ({"progression": "half"}, 0.0),
    "paper, after the switch": ({"progression": "half"}, 0.9),
    "paper, no differentiation": ({"differentiation": "off"}, 0.0),
    "pairs": ({"rewards": "pairs"}, 0.0),
    "released": ({"rewards": "released"}, 0.0),
    "adaptive, after the switch": ({"rewards": "adaptive"}, 0.9),
}
EPS = 1e-4  # L of the advantage


@dataclass(frozen=True, kw_only=True)
class Paid:
    """Mean advantages within groups of answers with more, exactly as many and fewer boxes than there are objects
    (answers without any box belong to none), and the share of groups in which recall, or recall and precision together,
    tells no answers apart."""

    extra: float
    exact: float
    fewer: float
    recall_is_flat: float
    both_are_flat: float


def paid(groups: Sequence[Group], rewards: Rewards, *, progress: float) -> Paid:
    """What the rewards say of these groups, all of one size, at this progress. NaN for a kind of answer that none is."""
    scored = rewards.score_now(groups, progress=progress)
    reward_GS = np.array([group.rewards for group in scored], dtype=float)
    deviation_GS = reward_GS - reward_GS.mean(axis=1, keepdims=True)
    adv_GS = deviation_GS / (reward_GS.std(axis=1, ddof=1, keepdims=True) + EPS)
    recall_GS, precision_GS = (
        np.array([[r.scores[name].value for r in group.rollouts] for group in scored]) for name in ("recall", "precision")
    )
    said_GS = np.array([[predictions(r.text).n_written for r in group.rollouts] for group in groups])
    gold_G1 = np.array([[len(group.sample.target)] for group in groups])

    def mean(chosen_GS: np.ndarray) -> float:
        return float(adv_GS[chosen_GS].mean()) if chosen_GS.any() else float("nan")

    return Paid(
        extra=mean(said_GS > gold_G1),
        exact=mean((said_GS == gold_G1) & (said_GS > 0)),
        fewer=mean((said_GS < gold_G1) & (said_GS > 0)),
        recall_is_flat=float((np.ptp(recall_GS, axis=1) == 0).mean()),
        both_are_flat=float(((np.ptp(recall_GS, axis=1) == 0) & (np.ptp(precision_GS, axis=1) == 0)).mean()),
    )


def groups_of(run: Path, samples: Mapping[str, Sample], reader: Reader) -> list[Group]:
    """The groups of a run's rollouts.jsonl, their pictures as the model saw them. DataError for a sample that is not
    there."""
    path = run / "rollouts.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    if not lines:
        raise DataError(f"{path} holds no answers; name the folder of a run that has sampled some")
    found: dict[tuple[str, int, str], list[Rollout]] = {}
    for line in lines:
        row = json.loads(line)
        if row["sample"] not in samples:
            why = "which this data set does not train on; name the run's --data"
            raise DataError(f"{run} has answers to {row['sample']!r}, {why}")
        sample = samples[row["sample"]]
        rollout = Rollout(
            sample=sample,
            text=row["text"],
            token_T=(),
            logp_T=(),
            is_sampled_T=(),
            stop=Stop(row["stop"]),
            pictures=reader.seen(sample),
        )
        found.setdefault((row["stage"], row["step"], row["group"]), []).append(rollout)
    return [Group(sample=siblings[0].sample, rollouts=tuple(siblings)) for siblings in found.values()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for every variant; the exit status, 1 with one sentence where the run or its data do not fit."""
    about = (__doc__ or "").partition("\n\n")[0]
    parser = argparse.ArgumentParser(prog=f"python -m {griffon.__name__}.paid", description=about)
    parser.add_argument("run", type=Path, help="the folder of a run of this recipe")
    parser.add_argument("data", nargs="?", help="the --data that the run had")
    options = parser.parse_args(arguments)
    try:
        made = {name: griffon.recipe(data=options.data, **changed) for name, (changed, _) in VARIANTS.items()}
        plain = next(iter(made.values()))
        groups = groups_of(options.run, {s.id: s for s in plain.stages[0].task}, Reader.of(plain.model))
    except DataError as error:
        print(f"paid: {error}", file=sys.stderr)
        return 1
    print(f"{len(groups)} groups of {len(groups[0].rollouts)}; mean advantage of answers with boxes too many, as many, too")
    print("few; groups in which recall tells nothing apart, and neither term does")
    for name, (_, progress) in VARIANTS.items():
        found = paid(groups, made[name].stages[0].rewards, progress=progress)
        print(
            f"{name:28s} {found.extra:+.2f} {found.exact:+.2f} {found.fewer:+.2f}   "
            f"{found.recall_is_flat:.2f} {found.both_are_flat:.2f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
