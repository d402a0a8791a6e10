"""Rollouts and measurements as lines of JSON: rollouts.jsonl and evaluations.jsonl (docs/run-folder.md has every key)."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from saccade.core.marks import Mark, all_drawn, marks_in
from saccade.core.picture import Picture
from saccade.core.rollout import Group, Rollout, Score
from saccade.core.sample import Sample

if TYPE_CHECKING:
    from saccade.run.evaluate import Measured


@dataclass(frozen=True, kw_only=True)
class Details:
    """What a line says beyond the rollout: where the answer points, what was asked for, which words were not its own.

    `marks` reads what an answer points at, as its rewards do; `gold` says what a sample asks for, None takes the shapes in
    its target (core/marks.py); `pieces` tells the text that each token adds (`Policy.pieces`), for the places of forced
    words.
    """

    marks: Callable[[Rollout], Sequence[Mark]] | None = None
    gold: Callable[[Sample], Iterable[Mark]] | None = None
    pieces: Callable[[Sequence[int]], Sequence[str]] | None = None

    def of_sample(self, sample: Sample, pictures: Sequence[Picture]) -> dict[str, Any]:
        """`seen` and `gold`, where there are any; `pictures` are the sample's as the model saw them."""
        sizes = [picture.model_size for picture in pictures]
        golds = marks_in(sample.target) if self.gold is None else self.gold(sample)
        return _some(seen=[] if None in sizes else list(map(list, sizes)), gold=all_drawn(golds, pictures))

    def of_rollout(self, rollout: Rollout) -> dict[str, Any]:
        """`marks`, `forced`, `forced_tokens` and `asked`, where there are any."""
        marks = [] if self.marks is None else all_drawn(self.marks(rollout), _shown(rollout))
        asked = [dataclasses.asdict(exchange) for score in rollout.scores.values() for exchange in score.asked]
        n_forced = len(rollout.token_T) - rollout.n_sampled
        forced = forced_ranges(rollout, self.pieces) if n_forced and self.pieces is not None else []
        return _some(forced_tokens=n_forced, forced=forced, marks=marks, asked=asked)


def checked_metrics(metrics: Mapping[str, float | int | str | None]) -> Mapping[str, float | int | str | None]:
    """A line of metrics.jsonl. ValueError for a key that is not `area/name`, and for NaN or infinity."""
    for key, value in metrics.items():
        _require_metric(key, value)
    return metrics


def rollout_rows(
    groups: Sequence[Group],
    *,
    step: int,
    stage: str,
    advantages: Sequence[Sequence[float | None]] | None = None,
    details: Details = Details(),
) -> Iterator[dict[str, Any]]:
    """One JSON-able row per rollout, siblings together.

    `advantages` has one row of numbers per group: of the first token where those of an answer differ, None where it did
    not train.
    """
    if advantages is None:
        advantages = [[None] * len(group.rollouts) for group in groups]
    for index, (group, row) in enumerate(zip(groups, advantages, strict=True)):
        for rollout, advantage in zip(group.rollouts, row, strict=True):
            yield {
                "step": step,
                "stage": stage,
                "group": f"{stage}-{step}/{index}",
                **_asked_for(rollout, details),
                **_answered(rollout),
                "reward": plain(rollout.reward),
                "scores": _scores(rollout),
                "advantage": None if advantage is None else plain(float(advantage)),
                **details.of_rollout(rollout),
            }


def evaluation_rows(measured: Measured, *, moment: str, step: int, details: Details = Details()) -> Iterator[dict[str, Any]]:
    """One row per sample of a set as it was measured: the greedy answer whole, of the sampled ones their scores."""
    evaluation, n = measured.evaluation, len(measured.greedy)
    for greedy, sampled in zip(measured.groups[:n], measured.groups[n:], strict=True):
        (rollout,) = greedy.rollouts
        yield {
            "moment": moment,
            "step": step,
            "set": evaluation.name,
            **_asked_for(rollout, details),
            "score": rollout.scores[evaluation.score.name].value,
            **_answered(rollout),
            "scores": _scores(rollout),
            "sampled": [one.scores[evaluation.score.name].value for one in sampled.rollouts],
            **details.of_rollout(rollout),
        }


def sample_row(sample: Sample, pictures: Sequence[Picture], details: Details) -> dict[str, Any]:
    """What every line says of its sample."""
    return {
        "sample": sample.id,
        "kind": sample.kind,
        "prompt": sample.prompt_text,
        "pictures": [picture.sha for picture in pictures],
        "target": plain(sample.target),
        **details.of_sample(sample, pictures),
    }


def forced_ranges(rollout: Rollout, pieces: Callable[[Sequence[int]], Sequence[str]]) -> list[list[int]]:
    """[start, end] in the characters of its text of each run of tokens that the policy did not sample.

    None where the tokens do not add up to the text, as there is then no telling.
    """
    texts = pieces(rollout.token_T)
    whole = "".join(texts)
    if whole.strip() != rollout.text.strip():
        return []
    shift = whole.find(rollout.text.strip()) - (len(rollout.text) - len(rollout.text.lstrip()))
    ends = list(itertools.accumulate(map(len, texts)))
    ranges = []
    for is_sampled, run in itertools.groupby(range(len(texts)), key=rollout.is_sampled_T.__getitem__):
        places = list(run)
        edges = (ends[places[0]] - len(texts[places[0]]), ends[places[-1]])
        start, end = (max(0, min(edge - shift, len(rollout.text))) for edge in edges)
        if not is_sampled and start < end:
            ranges.append([start, end])
    return ranges


def _require_metric(key: str, value: Any) -> None:
    area, slash, name = key.partition("/")
    if not (area and slash and name):
        raise ValueError(f"metric {key!r} needs a name like area/name, such as reward/mean")
    if value is not None and not isinstance(value, (int, float, str)):
        raise ValueError(f"metric {key} is a {type(value).__name__}; log a number, a string or None (tensors: .item())")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"metric {key} is {value}; metrics are finite, and None says that there is nothing to report")


def _asked_for(rollout: Rollout, details: Details) -> dict[str, Any]:
    return sample_row(rollout.sample, _shown(rollout), details)


def _shown(rollout: Rollout) -> Sequence[Picture]:
    """What the model read, by which `pictures` are named and marks are counted."""
    return rollout.pictures or rollout.sample.pictures


def _answered(rollout: Rollout) -> dict[str, Any]:
    return {"text": rollout.text, "tokens": rollout.n_sampled, "stop": str(rollout.stop)}


def _scores(rollout: Rollout) -> dict[str, Any]:
    return {name: _score(score) for name, score in rollout.scores.items()}


def _score(score: Score) -> dict[str, Any]:
    row = {"value": plain(score.value), "why": score.why}
    return {**row, "route": score.route} if score.route else row


def _some(**values: Any) -> dict[str, Any]:
    """Those that say something."""
    return {key: value for key, value in values.items() if value}


def plain(value: Any) -> Any:
    """The value as JSON can hold it: NaN, infinities and unknown things become their text, sets lists in an order of their own."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (np.bool_, np.number)):
        return plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Picture):
        return value.sha
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(plain, value), key=repr)  # theirs differs from process to process
    return str(value)
