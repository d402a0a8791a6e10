r"""Numbers in a text: the whole text as one, or every one that stands in it.

`number` and `numbers` are strict, for formats that ask for digits; `quantity` and `quantities` read what people write.

    >>> quantity(r"x = \$1,234.50"), quantity("3 1/2 cm").value.value, quantity("45%").value.share
    (Reading(value=Quantity(value=1234.5, unit='$', is_percent=False), why=''), 3.5, 0.45)
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass

from saccade.rewards.read.reading import Reading

MAX_NUMBER = 64  # O characters; no answer needs more, and a million digits are not a number but an attack

_NUMBER = r"(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?"
_WHOLE_NUMBER = re.compile(rf"[+-]?{_NUMBER}")
_ANY_NUMBER = re.compile(rf"(?:(?<![\w.)])[+-])?{_NUMBER}")


def number(text: str) -> Reading[float]:
    """The number that the whole stripped text is: digits, sign, decimal point, exponent.

    Stricter than `float`: no nan, no inf or overflow to it, no underscores, no digits outside ASCII.
    """
    text = text.strip()
    if len(text) > MAX_NUMBER or not _WHOLE_NUMBER.fullmatch(text):
        return Reading(None, "not a plain number")
    value = float(text)
    return Reading(value) if math.isfinite(value) else Reading(None, "a number beyond all bounds")


def numbers(text: str) -> list[float]:
    """Every number in the text, in order. A sign counts unless it follows a word or a bracket ("7-3" is 7 and 3)."""
    values = (float(found) for found in _ANY_NUMBER.findall(text) if len(found) <= MAX_NUMBER)
    return [value for value in values if math.isfinite(value)]


MAX_QUANTITY = 128  # O characters of one quantity with its name, sign and unit
MAX_QUANTITIES = 1000  # O of one text


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as it was written: 45% has the value 45. `unit` is what stood behind or before it, "" where nothing did."""

    value: float
    unit: str = ""
    is_percent: bool = False

    @property
    def share(self) -> float:
        """The value as a share of one: 0.45 of "45%", 0.45 of "0.45"."""
        return self.value / 100 if self.is_percent else self.value


def quantity(text: str) -> Reading[Quantity]:
    r"""The quantity that the whole stripped text is, and nothing but it.

    Signs (a typographical minus and "minus 5", too), thousands ("1,234.5", "1 234"; but "1,2" is none), percents,
    fractions ("1/2", "3 1/2", "\frac{1}{2}"), powers of ten ("1.2e3", "1.2 x 10^3"), a currency in front, a unit
    behind, "x = " in front, LaTeX and a final full stop around. A comma is never a decimal point; "5 million" is 5 with
    the unit "million"; "5x" and "5th" are no quantities.
    """
    text = text.strip()
    if len(text) > MAX_QUANTITY:
        return Reading(None, "too long for a quantity")
    text = _tidy(_bare(text)).strip().removesuffix(".")
    if name := _NAME.match(text):
        text = text[name.end() :]
    match = _WHOLE_QUANTITY.fullmatch(text)
    if match is None:
        return Reading(None, "not a quantity")
    unit = match["unit"] or ""
    if len(unit) < 3 and unit and unit not in _UNITS and unit[0].isalpha():
        return Reading(None, f"{unit!r} is no unit")
    return _quantity(match)


def quantities(text: str) -> list[Quantity]:
    """Every quantity in the text, in order, of very many the first 1,000.

    A sign counts unless it follows a word or a bracket. Only common units are read: "3 apples" is 3, "3 cm" is 3 cm.
    "100,200" is one number, "100, 200" are two.
    """
    found = itertools.islice(_ANY_QUANTITY.finditer(_tidy(text)), MAX_QUANTITIES)
    values = (_quantity(match).value for match in found if len(match[0]) <= MAX_QUANTITY)
    return [value for value in values if value is not None]


def _quantity(match: re.Match[str]) -> Reading[Quantity]:
    if match["bottom"] is not None:
        if not int(match["bottom"]):
            return Reading(None, "a division by zero")
        value = int(match["whole"] or 0) + int(match["top"]) / int(match["bottom"])
    elif match["exponent"] is not None:
        value = float(f"{match['mantissa']}e{match['exponent']}")
    elif match["power"] is not None:
        value = float(f"{_digits(match['factor'] or '1')}e{match['power']}")
    else:
        value = float(_digits(match["number"]))
    if not math.isfinite(value):
        return Reading(None, "a number beyond all bounds")
    if "-" in (match["sign"], match["inner"]):
        value = -value
    is_percent = match["percent"] is not None
    is_typeset = match["currency"] == "$" and match.string.startswith("$", match.end())  # "$5$" is no money
    unit = match["unit"] or ("" if is_typeset else match["currency"]) or ""
    return Reading(Quantity(value, "%" if is_percent else unit, is_percent))


def _digits(number: str) -> str:
    return number.replace(",", "").replace(" ", "")


def _bare(text: str) -> str:
    """Without what marks the whole of it as mathematics or as important."""
    for start, end in (("**", "**"), ("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        if len(text) > len(start + end) and text.startswith(start) and text.removesuffix(".").endswith(end):
            text = text.removesuffix(".")[len(start) : -len(end)].strip()
    return text


def _tidy(text: str) -> str:
    """The same numbers in fewer ways of writing them."""
    text = _MINUS.sub("-", text.translate(_CHARACTERS))
    if "\\" in text or "{,}" in text:
        for pattern, plain in _COMMANDS:
            text = pattern.sub(plain, text)
    return text


_CHARACTERS = str.maketrans(
    {"−": "-", "–": "-", "\u00a0": " ", "\u2009": " ", "\u202f": " ", "×": "x", "·": "x", "µ": "μ", "º": "°", "％": "%"}
    | {"½": " 1/2", "¼": " 1/4", "¾": " 3/4", "⅓": " 1/3", "⅔": " 2/3"}
)
_MINUS = re.compile(r"\b(?:minus|negative)\s(?=[0-9.])", re.IGNORECASE)
_COMMANDS = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"(?<=[0-9])\s?(?=\\[dtc]?frac)", " "),
        (r"\\[dtc]?frac\{([+-]?[0-9]{1,20})\}\{([0-9]{1,20})\}", r"\1/\2"),
        (r"\\[dtc]?frac([0-9])([0-9])", r"\1/\2"),
        (r"\\(?:times|cdot)(?![A-Za-z])", "x"),
        (r"\\approx(?![A-Za-z])", "≈"),
        (r"\^\{?\\circ\}?|\\degree(?![A-Za-z])", "°"),
        (r"\\(?:text|textrm|mathrm|mbox|textbf|mathbf)\{([^{}]{0,40})\}", r"\1"),
        (r"\{,\}", ","),
        (r"\\([%$])", r"\1"),
        (r"\\[,;: ]", " "),
        (r"\\!", ""),
    )
)

# Units that may touch other words; and all that are shorter than three letters ("5 x" and "5th" are no quantities).
_UNITS = frozenset(
    "m s g h d l L N J W V A K C F Ω cm mm km nm dm μm kg mg ms in ft yd mi lb oz Hz Pa kW mW mL ml dL hr am pm AM PM px cc "
    "kJ kV mA mV eV dB GB MB KB TB °C °F m² m³ m2 m3".split()
)
_COMMON = (_UNITS - frozenset("in am pm AM PM A C F K V W J N L d l".split())) | frozenset(
    "cm² cm³ km² mm² cm^2 cm^3 m^2 m^3 km/h m/s m/s^2 mph kHz MHz min sec hours hour minutes minute seconds second days day "
    "years year degrees degree meters metres inches feet miles pixels dollars cents euros liters litres grams".split()
)
_PLAIN = r"[0-9]++(?:\.[0-9]*+)?|\.[0-9]++"
_GROUPED = r"[0-9]{1,3}(?:(?:,[0-9]{3}){1,7}|(?: [0-9]{3}){1,7})(?![0-9])(?:\.[0-9]++)?"
_NUMERAL = rf"{_GROUPED}|{_PLAIN}"
_VALUE = (
    rf"(?:(?:(?P<whole>[0-9]{{1,20}})\s)?(?P<top>[0-9]{{1,20}})\s?/\s?(?P<bottom>[0-9]{{1,20}})(?![0-9]|[./][0-9])"
    rf"|(?P<mantissa>{_PLAIN})[eE](?P<exponent>[+-]?[0-9]{{1,4}})(?![0-9])"
    rf"|(?:(?P<factor>{_NUMERAL})\s?[x*]\s?)?10\^\{{?(?P<power>[+-]?[0-9]{{1,4}})\}}?"
    rf"|(?P<number>{_NUMERAL}))"
)
_CURRENCY = r"US\$|[$€£¥₹]"
_ANY_UNIT = (
    r"(?:(?:square|cubic|sq\.?|cu\.?|US)\s)?(?:°[CF]?|[^\W\d_][^\s\d,;:=()\[\]{}<>\\]{0,23}[23]?)"
    rf"(?:\s(?:per|of)\s[^\W\d_]{{1,20}})?|{_CURRENCY}"
)
_COMMON_UNIT = "°[CF]?|(?:" + "|".join(map(re.escape, sorted(_COMMON, key=len, reverse=True))) + r")(?![\w^²³/])"


def _quantity_pattern(sign: str, unit: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?=[-+$€£¥₹US ]{{0,6}}+\.?[0-9])"  # a cheap no for most places
        rf"(?P<sign>{sign})?(?P<currency>{_CURRENCY})?\s?(?P<inner>(?<=[$€£¥₹])[+-])?{_VALUE}"
        rf"(?:\s?(?P<percent>%|percent\b)|\s?(?P<unit>{unit}))?"
    )


_WHOLE_QUANTITY = _quantity_pattern(r"[+-]", _ANY_UNIT)
_ANY_QUANTITY = _quantity_pattern(r"(?<![\w.)\]])[+-]", _COMMON_UNIT)
_NAME = re.compile(r"(?:[^\W\d_]|[\\∠△°])[^=≈\n]{0,40}(?:=|≈)\s?|[≈~]\s?")
