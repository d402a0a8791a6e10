"""Changes to a recipe's numbers from the command line, `--set stages.0.lr=1e-6`, and the list of what can be changed.

    >>> override(recipe, ["stages.0.lr=1e-6", "stages.0.algorithm.beta=0"]).stages[0].lr
    1e-06
    >>> flatten(recipe)["stages.0.algorithm.surrogate.high"]
    0.2

A path leads through the fields of dataclasses, the places of tuples and lists, and the keys of dicts. Only what exists
can be set, and only scalars: a function is exchanged in Python, where its arguments are seen.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from saccade.core.picture import Picture
from saccade.core.sample import Sample, Task

Tree = TypeVar("Tree")
NEAREST = 3
WHOLE = (Task, Sample, Picture)  # data, which is not configuration: never entered


class OverrideError(ValueError):
    """An override that cannot be applied; the message says what we got, what is allowed and what to do."""


@dataclasses.dataclass(frozen=True)
class Leaf:
    """A value at the end of a path, and the annotation it was declared with (Any where there is none)."""

    value: Any
    annotation: Any


def override(recipe: Tree, settings: Iterable[str]) -> Tree:
    """The recipe with each `path=value` in place, all at once, so that checks see the final values only.

    OverrideError for an unknown path (naming the nearest), for one that leads to no scalar, and for a value of another
    type than the field's, or one that the recipe itself refuses. Where a path is set twice the last one holds.
    """
    leaves = dict(_leaves(recipe, Any, ""))
    changes = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        path = path.strip()
        if not equals:
            raise OverrideError(f"--set {setting}: write path=value, such as stages.0.lr=1e-6")
        changes[path] = read_as(text.strip(), _scalar_at(path, leaves), where=f"--set {setting}")
    return _rebuilt(recipe, changes)


def flatten(recipe: Any) -> dict[str, Any]:
    """Every value of a recipe by its path, in reading order; functions and tasks as themselves (see `is_scalar`)."""
    return {path: leaf.value for path, leaf in _leaves(recipe, Any, "")}


def is_scalar(value: Any) -> bool:
    """Whether `--set` can change such a value."""
    return value is None or isinstance(value, (bool, int, float, str, Enum, Path))


def _leaves(value: Any, annotation: Any, path: str) -> Iterator[tuple[str, Leaf]]:
    children = list(_children(value, annotation))
    if not children:
        yield path, Leaf(value, annotation)
    for name, child, child_annotation in children:
        yield from _leaves(child, child_annotation, f"{path}.{name}" if path else name)


def _children(value: Any, annotation: Any) -> Iterator[tuple[str, Any, Any]]:
    """(name, value, annotation) of what is directly inside `value`."""
    if isinstance(value, WHOLE) or is_scalar(value):
        return
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = _hints(type(value))
        for field in dataclasses.fields(value):
            if field.init:
                yield field.name, getattr(value, field.name), hints.get(field.name, Any)
    elif isinstance(value, (tuple, list)):
        for index, item in enumerate(value):
            yield str(index), item, _item_annotation(annotation, index)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key), item, _item_annotation(annotation, 1)


def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls)
    except NameError:  # a name that is imported for type checkers only
        return {}


def _item_annotation(annotation: Any, index: int) -> Any:
    """The annotation of item `index` of a container that is annotated so."""
    for option in _options(annotation):
        arguments = [argument for argument in typing.get_args(option) if argument is not Ellipsis]
        if typing.get_origin(option) is not Literal and arguments:
            return arguments[min(index, len(arguments) - 1)]
    return Any


def _options(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, or the annotation alone."""
    is_union = typing.get_origin(annotation) in (Union, types.UnionType)
    return typing.get_args(annotation) if is_union else (annotation,)


def _scalar_at(path: str, leaves: Mapping[str, Leaf]) -> Leaf:
    leaf = leaves.get(path)
    if leaf is not None and is_scalar(leaf.value):
        return leaf
    inside = [other for other in leaves if other.startswith(f"{path}.") and is_scalar(leaves[other].value)]
    if inside:
        more = f" and {len(inside) - NEAREST} more" if len(inside) > NEAREST else ""
        raise OverrideError(f"{path} is not a single value; set one inside it: {', '.join(inside[:NEAREST])}{more}")
    if leaf is not None:
        name = getattr(leaf.value, "__name__", type(leaf.value).__name__)
        raise OverrideError(f"{path} is {name}, not a number, string or bool; change it in the recipe's file")
    scalars = [other for other in leaves if is_scalar(leaves[other].value)]
    nearest = sorted(scalars, key=lambda other: _likeness(path, other), reverse=True)[:NEAREST]
    raise OverrideError(f"there is no {path}; the nearest are: {', '.join(nearest)}")


def _likeness(wanted: str, path: str) -> float:
    """How alike two paths are: as wholes, and by their last names, where initials (learning_rate, lr) are alike."""
    last, other = wanted.rpartition(".")[2], path.rpartition(".")[2]
    is_short = other in (last, _initials(last)) or last == _initials(other)
    names = 1.0 if is_short else SequenceMatcher(None, last, other).ratio()
    return names + SequenceMatcher(None, wanted, path).ratio()


def _initials(name: str) -> str:
    return "".join(word[:1] for word in name.split("_"))


def read_as(text: str, leaf: Leaf, *, where: str) -> Any:
    """The text as the first of the leaf's types that takes it. OverrideError, beginning with `where`, if none does."""
    readers = _readers(leaf)
    if not readers:
        raise OverrideError(f"{where}: the field does not say what it may hold beside None; change it in Python")
    for _, read in readers:
        try:
            return read(text)
        except (ValueError, KeyError):
            continue
    allowed = " or ".join(name for name, _ in readers)
    raise OverrideError(f"{where}: got {text!r} where {leaf.value!r} stands; allowed is {allowed}")


def _readers(leaf: Leaf) -> list[tuple[str, Callable[[str], Any]]]:
    """(what is allowed, how to read it), narrowest first: by the annotation, or by the value where that is silent."""
    options = [option for option in _options(leaf.annotation) if _is_readable(option)]
    if leaf.value is not None and not any(_holds(option, leaf.value) for option in options):
        options.append(type(leaf.value))
    found = [(rank, name, read) for option in options for rank, name, read in [_reader(option)]]
    return [(name, read) for _, name, read in sorted(found, key=lambda one: one[0])]


def _is_readable(option: Any) -> bool:
    is_kind = isinstance(option, type) and issubclass(option, (bool, int, float, str, Enum, Path, types.NoneType))
    return is_kind or typing.get_origin(option) is Literal


def _holds(option: Any, value: Any) -> bool:
    if typing.get_origin(option) is Literal:
        return value in typing.get_args(option)
    if isinstance(value, bool):
        return option is bool
    return isinstance(value, (int, float) if option is float else option)


def _reader(option: Any) -> tuple[int, str, Callable[[str], Any]]:
    if typing.get_origin(option) is Literal:
        choices = {str(choice): choice for choice in typing.get_args(option)}
        return 1, "one of " + ", ".join(choices), choices.__getitem__
    if option is types.NoneType:
        return 0, "None", {"None": None}.__getitem__
    if issubclass(option, Enum):
        choices = {str(member.value): member for member in option}
        return 1, "one of " + ", ".join(choices), choices.__getitem__
    if option is bool:
        return 2, "true or false", {"true": True, "false": False, "True": True, "False": False}.__getitem__
    if option is int:
        return 3, "a whole number", int
    if option is float:
        return 4, "a number", _number
    return 5, "a path" if issubclass(option, Path) else "a string", option


def _number(text: str) -> float:
    number = float(text)
    if math.isnan(number) or (math.isinf(number) and "inf" not in text.lower()):
        raise ValueError(f"{text} is not a number that a float can hold")
    return number


def _rebuilt(value: Any, changes: Mapping[str, Any], path: str = "") -> Any:
    """`value` with the changes below `path` in place; whatever holds none of them stays the same object."""
    if path in changes:
        return changes[path]
    prefix = f"{path}." if path else ""
    if not any(changed.startswith(prefix) for changed in changes):
        return value
    items = {name: _rebuilt(child, changes, f"{prefix}{name}") for name, child, _ in _children(value, Any)}
    if isinstance(value, Mapping):
        new = dict(zip(value, items.values(), strict=True))
        return types.MappingProxyType(new) if isinstance(value, types.MappingProxyType) else new
    if isinstance(value, (tuple, list)):
        return type(value)(*items.values()) if hasattr(value, "_fields") else type(value)(items.values())
    try:
        return dataclasses.replace(value, **items)
    except (TypeError, ValueError) as error:
        set_here = ", ".join(f"{changed}={new}" for changed, new in changes.items() if changed.startswith(prefix))
        raise OverrideError(f"--set {set_here}: {error}") from error
