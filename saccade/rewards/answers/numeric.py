"""Whether two texts name the same number, exactly or nearly: 1 or 0.

    >>> is_close("1,234", "1234"), is_close("23.2%", "23.2"), is_close("50%", "0.5"), is_close("5 cm", "5 kg")
    (1.0, 1.0, 1.0, 0.0)
    >>> is_close("3.14", "3.14159", absolute=0.01), relaxed("104", "100"), relaxed("106", "100"), relaxed("Oslo", "oslo")
    (1.0, 1.0, 0.0, 1.0)

Numbers are read by `read.numbers.quantity`: the whole answer must be one, or, by `only_quantity`, name just one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from saccade.rewards.answers.text import MAX_ANSWER
from saccade.rewards.read.latex import boxed
from saccade.rewards.read.numbers import Quantity, quantities, quantity
from saccade.rewards.read.reading import Reading

ROUNDING = 1e-9  # O relative; two ways of writing one number may differ by this much in binary

_DATA = re.compile(r"[\[\]{}<>|]|[0-9]\*\*[0-9]|==|__")
_DENIED = re.compile(
    r"(?:not|never|except|(?:less|more|fewer|greater|other)\sthan|at\s(?:least|most)|n['’]t)"
    r"\s(?:be\s|equal\s(?:to\s)?|exactly\s)?[-+$]?\.?[0-9]|[0-9]\sand\s(?:a|one)\s(?:half|third|quarter)\b",
    re.IGNORECASE,
)
_SAME_UNIT = {"$": "dollar", "us$": "dollar", "usd": "dollar", "€": "euro", "£": "pound", "°": "degree", "inche": "inch"}


def is_close(
    text: str,
    gold: str,
    *,
    absolute: float = 0.0,
    relative: float = 0.0,
    read: Callable[[str], Reading[Quantity]] = quantity,
) -> float:
    """1 if both are numbers and the first is within `absolute`, or `relative` times |gold|, of the second; else 0.

    `read` finds the number in the text: `quantity`, or `only_quantity` where it may stand in a phrase.

    Two percentages are compared as written. A percentage and a plain number agree in either sense, "50%" with 50 and with
    0.5, as data sets write both. Units count where both sides write one; they are never converted.
    """
    a, b = read(text).value, quantity(gold).value
    return 0.0 if a is None or b is None else float(_is_close(a, b, absolute, relative))


def only_quantity(text: str) -> Reading[Quantity]:
    """The quantity that the text is or boxes, or the only one that a phrase names: "about 23 people".

    Two different ones are none, nor is one that is denied or a bound: "not 3", "at least 3". A phrase has no brackets but
    round ones: in data and code a number is not what is said.
    """
    whole = quantity(text)
    if whole.value is not None or len(text) > MAX_ANSWER:
        return whole
    text = boxed(text).value or text
    if _DATA.search(text):
        return Reading(None, "no phrase, but data or code")
    if _DENIED.search(text):
        return Reading(None, "says what the number is not, or a bound")
    found = quantities(text)
    if len({(one.value, one.is_percent) for one in found}) > 1:
        return Reading(None, "names several numbers")
    return Reading(found[0]) if found else Reading(None, "names no number")


def relaxed(text: str, gold: str, *, tolerance: float = 0.05, exact_years: bool = False) -> float:
    """ChartQA's relaxed accuracy (2203.10244): numbers within 5 % of the gold, other answers equal but for case.

    As in the convention, years are numbers like any other, so that 2008 passes for 2020: `exact_years` asks for
    four-digit whole numbers from 1000 to 2999 to be met exactly. More lenient than float(): thousands, currencies and
    units are read, and a percentage may be met by its number (`is_close`). A gold of 0 must be met exactly.
    """
    a, b = quantity(text).value, quantity(gold).value
    if a is None or b is None:
        return float(len(text) <= MAX_ANSWER and " ".join(text.lower().split()) == " ".join(gold.lower().split()))
    is_year = exact_years and 1000 <= b.value < 3000 and b.value.is_integer() and not b.is_percent and not b.unit
    return float(_is_close(a, b, 0.0, 0.0 if is_year else tolerance))


def _is_close(a: Quantity, b: Quantity, absolute: float, relative: float) -> bool:
    if a.unit and b.unit and _unit(a.unit) != _unit(b.unit):
        return False
    pairs = [(a.value, b.value)] if a.is_percent == b.is_percent else [(a.value, b.value), (a.share, b.share)]
    return any(abs(x - y) <= max(absolute, relative * abs(y)) + ROUNDING * abs(y) for x, y in pairs)


def _unit(unit: str) -> str:
    unit = unit.casefold().rstrip(".").removesuffix("s")
    return _SAME_UNIT.get(unit, unit)
