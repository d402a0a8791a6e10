"""A run's JSON files (recipe, command, summary, check) in the form that the page relies on.

As with rows of logs (sound.py), parts of a damaged or foreign file that have another form are dropped.

    >>> described("recipe.json", {"stages": [{"name": "rl"}, 5], "claims": "none"})
    {'stages': []}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from saccade.report.sound import is_number


class Record(NamedTuple):
    """An object. Without one of the `needed` keys it is dropped; of the `more` those are dropped that do not fit."""

    needed: Mapping[str, Any] = {}
    more: Mapping[str, Any] = {}


class Some(NamedTuple):
    """A list; items that do not fit are dropped."""

    of: Any


class Named(NamedTuple):
    """An object from any name to one thing; what does not fit is dropped."""

    of: Any


class Row(NamedTuple):
    """A list that goes with others by place: all of it fits, or it is dropped."""

    of: Any


FLAGS = {"is_shifted": bool, "selects": bool}
MEAN = Record({"mean": float, "low": float, "high": float})
MEASURED = Record({"metrics": Named(float)}, {"n": float, "greedy": MEAN, "sampled": MEAN, **FLAGS})
MODEL = Record({}, {"path": str, "dtype": str})
REWARD = Record({"name": str, "weight": float})
STAGE = Record(
    {"name": str, "kind": str, "steps": float, "task": str, "samples": float},
    {"rewards": Some(REWARD), "algorithm": str, "prompts": float, "siblings": (float, str)},
)
EVALUATION = Record({"name": str}, {"samples": float, "score": str, "shares": Some(str), "totals": bool, **FLAGS})
FINDING = Record(
    {"level": str, "what": str},
    {"kind": str, "rows": Row(str), "whys": Row(str), "of": float, "count": float, "advice": str},
)
FORMS: dict[str, Record] = {
    "recipe.json": Record({}, {
        "name": str, "about": str, "idea": str, "model": MODEL, "stages": Some(STAGE), "evaluations": Some(EVALUATION),
        "claims": Some(Record({"text": str, "source": str})), "settings": Named(object),
        "numbers": Some(Record({"owner": str, "code": str, "source": str}, {"note": str})),
    }),
    "command.json": Record({}, {
        "recipe": str, "model": str, "data": str, "algorithm": str, "seed": float, "threads": float, "spec": MODEL,
    }),
    "summary.json": Record({}, {
        "recipe": str, "settings": Named(object), "seed": float, "seconds": float, "steps": Named(float),
        "bad_rows": Named(float), "left_out": float, "chosen": str, "warnings": Some(str),
        "evaluations": Named(Record({"after": MEASURED}, {"before": MEASURED, "n": float, **FLAGS})),
        "after_stage": Named(Named(MEASURED)), "environment": Named((str, float, bool)),
    }),
    "check.json": Record({}, {
        "recipe": str, "is_sound": bool, "errors": float, "warnings": float, "notes": float,
        "parts": Some(Record({"name": str}, {"about": str, "findings": Some(FINDING)})),
    }),
}  # fmt: skip
_NOT = object()


def described(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """What the file `name` holds, without the parts that are not as docs/run-folder.md says. Keys of its own are kept."""
    return _fitted(found, FORMS[name]) if name in FORMS else found


def _fitted(value: Any, form: Any) -> Any:
    """The value as its form says, or _NOT. float stands for any number that a browser can hold."""
    match form:
        case Record(needed, more):
            return _record(value, needed, more)
        case Some(of) | Row(of):
            if not isinstance(value, list):
                return _NOT
            items = [item for item in (_fitted(one, of) for one in value) if item is not _NOT]
            return _NOT if isinstance(form, Row) and len(items) < len(value) else items
        case Named(of):
            if not isinstance(value, dict):
                return _NOT
            pairs = ((key, _fitted(one, of)) for key, one in value.items())
            return {key: one for key, one in pairs if one is not _NOT}
        case tuple():
            return value if any(_fitted(value, one) is not _NOT for one in form) else _NOT
    is_fit = is_number(value) if form is float else isinstance(value, form)
    return value if is_fit else _NOT


def _record(value: Any, needed: Mapping[str, Any], more: Mapping[str, Any]) -> Any:
    if not isinstance(value, dict):
        return _NOT
    found = dict(value)
    for key, form in (*needed.items(), *more.items()):
        if key not in value and key not in needed:
            continue
        fitted = _fitted(value.get(key), form)
        if fitted is not _NOT:
            found[key] = fitted
        elif key in needed:
            return _NOT
        elif value[key] is not None or not isinstance(form, type):  # null is how a run says that it has none
            del found[key]
    return found
