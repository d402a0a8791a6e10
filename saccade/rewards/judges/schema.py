"""JSON that a judge wrote: found in its text, and checked against the part of JSON schema that verdicts need.

    >>> score = {"type": "integer", "minimum": 1, "maximum": 5}
    >>> schema = {"type": "object", "properties": {"score": score}, "required": ["score"]}
    >>> read_json('Here you are: {"score": 4}', schema)
    Reading(value={'score': 4}, why='')
    >>> read_json('{"score": 9}', schema).why
    'its score is 9, at most 5'

Understood: type, enum, const, properties, required, additionalProperties (true or false), items, minItems, maxItems,
minimum, maximum, minLength, maxLength; title, description and the like are passed on. Anything else is refused where the
question is made: a rule that is not checked is no rule.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from saccade.rewards.judges.quote import without_halves
from saccade.rewards.read.reading import Reading

TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "number": (int, float), "integer": (int,), "boolean": (bool,),
    "null": (type(None),),
}  # fmt: skip
CHECKED = {
    "type", "enum", "const", "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "minimum",
    "maximum", "minLength", "maxLength",
}  # fmt: skip
TOLD = {"title", "description", "$schema", "default", "examples"}
# Places in a text that are tried as the beginning of an object.
TRIES = 64


def require_known(schema: Mapping[str, Any]) -> None:
    """ValueError where the schema is not of an object, or holds a rule that would not be checked."""
    if schema.get("type") != "object":
        raise ValueError(f"a judge's schema must be of type 'object', as servers want it, got {schema.get('type')!r}")
    _require_known(schema, "schema")


def _require_known(schema: Any, where: str) -> None:
    if not isinstance(schema, Mapping):
        raise ValueError(f"{where} must be a JSON schema, a mapping, got {schema!r}")
    unknown = sorted(schema.keys() - CHECKED - TOLD)
    if unknown:
        raise ValueError(f"{where} uses {', '.join(unknown)}, which is not checked here; have: {', '.join(sorted(CHECKED))}")
    types = _types(schema)
    if not types <= TYPES.keys():
        raise ValueError(f"{where} has the type {schema['type']!r}; have: {', '.join(TYPES)}")
    if not isinstance(schema.get("additionalProperties", True), bool):
        raise ValueError(f"additionalProperties of {where} must be true or false, got {schema['additionalProperties']!r}")
    for name, inner in schema.get("properties", {}).items():
        _require_known(inner, f"{where}.{name}")
    if "items" in schema:
        _require_known(schema["items"], f"{where}[]")


def read_json(text: str, schema: Mapping[str, Any]) -> Reading[Any]:
    """The JSON object of a reply, bare, fenced or within prose, that fits the schema.

    A reply with two different ones is refused: the second may be the judge's own, or an echo of what it judged. So is one
    that gives a key twice with values that differ. What a <think> block at the beginning says is a draft and not read.
    """
    said = without_thoughts(text)
    if said is None:
        return Reading(None, "its reply ends within its reasoning")
    try:
        return _one_fitting(said, schema)
    except _Contradiction as error:
        return Reading(None, str(error))


def _one_fitting(text: str, schema: Mapping[str, Any]) -> Reading[Any]:
    whole = _loaded(text)
    if isinstance(whole, dict):
        why = problem(whole, schema)
        return Reading(None, why) if why else Reading(whole)
    found = list(_objects(text))
    fitting = [value for value in found if problem(value, schema) is None]
    if not found:
        return Reading(None, "its reply holds no JSON object")
    if not fitting:
        return Reading(None, problem(found[-1], schema) or "")
    if any(value != fitting[0] for value in fitting):
        return Reading(None, f"its reply holds {len(fitting)} verdicts that differ")
    return Reading(fitting[0])


def problem(value: Any, schema: Mapping[str, Any], *, where: str = "its reply") -> str | None:
    """What about the value does not fit, in a few words; None where it does."""
    types = _types(schema)
    if types and not any(_is(value, name) for name in types):
        return f"{where} is {_shown(value)}, not {' or '.join(sorted(types))}"
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        return f"{where} is {_shown(value)}, not one of {', '.join(map(_shown, schema['enum']))}"
    if "const" in schema and not _same(value, schema["const"]):
        return f"{where} is {_shown(value)}, not {_shown(schema['const'])}"
    if isinstance(value, dict):
        return _problem_of_object(value, schema, where)
    if isinstance(value, list):
        return _out_of(len(value), schema, "Items", f"the length of {where}") or _problem_of_items(value, schema, where)
    if isinstance(value, str):
        return _out_of(len(value), schema, "Length", f"the length of {where}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _out_of(value, schema, "imum", where)
    return None


def in_words(schema: Mapping[str, Any]) -> str:
    """An instruction to reply by the schema, for judges that cannot be held to it."""
    told = json.dumps(schema, sort_keys=True)
    return f"\nReply with one JSON object that fits this JSON schema, and with nothing else:\n{told}"


def _problem_of_object(value: dict[str, Any], schema: Mapping[str, Any], where: str) -> str | None:
    properties = schema.get("properties", {})
    absent = [name for name in schema.get("required", ()) if name not in value]
    if absent:
        return f"{where} has no {', '.join(absent)}"
    more = sorted(value.keys() - properties.keys())
    if more and schema.get("additionalProperties", True) is False:
        return f"{where} has {', '.join(more)}, which was not asked for"
    inner = (problem(value[name], rules, where=f"its {name}") for name, rules in properties.items() if name in value)
    return next(filter(None, inner), None)


def _problem_of_items(value: list[Any], schema: Mapping[str, Any], where: str) -> str | None:
    rules = schema.get("items", {})
    return next(filter(None, (problem(item, rules, where=f"{where}[{i}]") for i, item in enumerate(value))), None)


def _out_of(size: float, schema: Mapping[str, Any], what: str, where: str) -> str | None:
    if size < schema.get(f"min{what}", size):
        return f"{where} is {size}, at least {schema[f'min{what}']}"
    if size > schema.get(f"max{what}", size):
        return f"{where} is {size}, at most {schema[f'max{what}']}"
    return None


def _types(schema: Mapping[str, Any]) -> set[str]:
    named = schema.get("type", ())
    return {named} if isinstance(named, str) else set(named)


def _is(value: Any, name: str) -> bool:
    if name == "integer" and isinstance(value, float):
        return value.is_integer()  # JSON schema: 4.0 is an integer
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def _same(a: Any, b: Any) -> bool:
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def without_thoughts(text: str) -> str | None:
    """The text behind the think block that it begins with, if it does; None where that stays open.

    The block ends at its first end tag: one that the thoughts merely mention leaves two verdicts, which are refused.
    """
    text = text.lstrip()
    if not text.startswith("<think>"):
        return text
    _, end, said = text.partition("</think>")
    return said if end else None


# read/literals.py finds objects in text as well, but is made to get something out of what a policy wrote: it takes single
# quotes and the last of two equal keys, and what is whole within something broken. A verdict must leave no doubt.


def _loaded(text: str) -> Any:
    try:
        return _DECODER.decode(text.strip())
    except (ValueError, RecursionError):
        return None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The outermost JSON objects in the text, in order."""
    place, tries = text.find("{"), 0
    while place >= 0 and tries < TRIES:
        try:
            value, end = _DECODER.raw_decode(text, place)
            yield value
        except (ValueError, RecursionError):
            end = place + 1
        place, tries = text.find("{", end), tries + 1


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


class _Contradiction(Exception):
    """An object that gives a key twice, with values that differ; no ValueError, as the search must end with it."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        key, value = without_halves(key), _mended(value)
        if key in found and not _same(found[key], value):
            raise _Contradiction(f"its reply gives {_shown(key)} twice, as {_shown(found[key])} and {_shown(value)}")
        found[key] = value
    return found


def _mended(value: Any) -> Any:
    """Text, or a list, without the halves of surrogate pairs that JSON can write as escapes."""
    if isinstance(value, str):
        return without_halves(value)
    return [_mended(item) for item in value] if isinstance(value, list) else value


_DECODER = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_object)
