r"""LaTeX in answers: the last box, and a normal form in which two ways of writing one answer are the same text.

    >>> boxed(r"so $x = \boxed{\frac{1}{2}}$.")
    Reading(value='\\frac{1}{2}', why='')
    >>> plain(r"$\dfrac{1}{2}\text{ cm}$.")
    '\\frac{1}{2}'
"""

from __future__ import annotations

import re

from saccade.rewards.read.reading import Reading

MAX_BOX = 10_000  # O characters; what is longer is no answer
MAX_BARE = 64  # O characters of an answer that is boxed without braces

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")
_BRACES = re.compile(r"(?P<box>\\(?:boxed|fbox)\s{0,3}\{)|\\(?!\\(?:boxed|fbox)).|[{}]", re.DOTALL)
_BARE = re.compile(rf"\\(?:boxed|fbox)\s{{0,3}}(?P<content>[^\s${{}}]{{1,{MAX_BARE}}}+)")


def boxed(text: str) -> Reading[str]:
    r"""The stripped content of the last \boxed{...} or \fbox{...}, braces balanced; also of the form `\boxed 5`.

    None where there is no box, where the last one was cut off before its end, and where it is empty.
    """
    last = None
    for last in _BOX.finditer(text):  # noqa: B007  we want the last
        pass
    if last is None:
        return Reading(None, "no box")
    # The last box may stand inside another, so what is around it counts.
    left = max(0, last.start() - MAX_BOX)
    content = _around(text[left : last.start() + MAX_BOX], last.start() - left)
    if content is None:
        bare = _BARE.match(text, last.start())
        content = bare["content"].rstrip(".,;:") if bare else ""
        return Reading(content) if content else Reading(None, "the last box is not closed")
    return Reading(content.strip()) if content.strip() else Reading(None, "the box is empty")


def _around(text: str, at: int) -> str | None:
    """The content of the outermost closed box around the one that begins at `at`, None where that one is not closed."""
    opened: list[tuple[int, int] | None] = []  # where a box and its content begin, None for other braces
    content = None
    for brace in _BRACES.finditer(text):
        if brace["box"]:
            opened.append(brace.span())
        elif brace[0] == "{":
            opened.append(None)
        elif brace[0] == "}" and opened:
            box = opened.pop()
            if box is not None and (box[0] == at or (content is not None and box[0] < at)):
                content = text[box[1] : brace.start()]
    return content


# Commands that only set type, spaces, and other names of the same sign.
_DROPPED = re.compile(
    r"\\(?:left|right|displaystyle|bigg?|Bigg?|limits|quad|qquad)(?![A-Za-z])|\\[!,;:> ()\[\]]|[$~\s]"
)
_FRACTION = re.compile(r"\\[dtc]frac(?![A-Za-z])")
_BARE_FRACTION = re.compile(r"\\frac(?P<top>[0-9A-Za-z])(?P<bottom>[0-9A-Za-z])")
_DEGREE = re.compile(r"\^\{?\\circ\}?|\\degree(?![A-Za-z])|°")
_UNIT = re.compile(r"(?<=[0-9)}])\\(?:text|textrm|mathrm|mbox|operatorname)\{[^{}]{1,40}\}(?:\^\{?[0-9]\}?)?$")
_TYPE = re.compile(r"\\(?:text|textrm|textbf|textit|mathrm|mathbf|mathit|mbox|operatorname)\{(?P<inner>[^{}]{0,200})\}")
_WHOLE_RATIO = re.compile(r"(?P<sign>-?)(?P<top>[0-9]{1,20})/(?P<bottom>[0-9]{1,20})")
_NAME = re.compile(r"[A-Za-z](?:_?[0-9A-Za-z])?=(?=.)")
_SQUARE_ROOT = re.compile(r"\\sqrt(?P<inner>[0-9A-Za-z])")


def plain(text: str) -> str:
    r"""A normal form, for comparing two answers as text. Linear in the length; any text gives some text.

    Gone are dollar signs, spaces, \left and \right, type (\text, \mathrm), the unit in \text after a number, degrees, a
    final period, and a leading "x ="; \dfrac and \frac12 become \frac{1}{2}, as does 1/2; .5 becomes 0.5, \varnothing
    \emptyset, a typographical minus a hyphen.
    """
    text = _DROPPED.sub("", text.replace("−", "-")).removesuffix(".")
    text = _DEGREE.sub("", _FRACTION.sub(r"\\frac", text))
    text = _TYPE.sub(r"\g<inner>", _UNIT.sub("", text)).removesuffix(".")
    text = text.replace("\\varnothing", "\\emptyset").replace("\\%", "%")
    text = _BARE_FRACTION.sub(r"\\frac{\g<top>}{\g<bottom>}", text)
    text = _SQUARE_ROOT.sub(r"\\sqrt{\g<inner>}", text)
    if name := _NAME.match(text):
        text = text[name.end() :]
    if text.startswith("{") and text.endswith("}") and "{" not in text[1:] and "}" not in text[:-1]:
        text = text[1:-1]
    if ratio := _WHOLE_RATIO.fullmatch(text):
        text = ratio.expand(r"\g<sign>\\frac{\g<top>}{\g<bottom>}")
    return f"{text[: -len(text.lstrip('-'))]}0{text.lstrip('-')}" if re.match(r"-?\.[0-9]", text) else text
