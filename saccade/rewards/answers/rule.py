r"""The rule of a rule-based verifier: whether an answer and the gold say the same, as words, as a number or as a formula.

    >>> says_the_same("The Eiffel tower.", "eiffel tower"), says_the_same("0.5", r"\frac{1}{2}"), says_the_same("not 8", "8")
    (1.0, 1.0, 0.0)

math-verify alone finds a value inside any prose, so that "it cannot be 8" is 8. Here it is asked only where the answer
has no words but those of the gold and of mathematics.
"""

from __future__ import annotations

import re

from saccade.rewards.answers.numeric import is_close
from saccade.rewards.answers.symbolic import is_equal
from saccade.rewards.answers.text import same_normalised
from saccade.rewards.read.choices import choice
from saccade.rewards.read.latex import boxed, plain

OPTIONS = "ABCDEFGHIJ"  # O
MAX_FORMULA = 500  # O characters; no gold formula of the data sets comes near

_OPTION = re.compile(r"[(\[]?(?P<letter>[A-Za-z])(?:\Z|[.:)\]](?:\s|\Z))")  # a gold: "B", "(B)", "B. cat"
_FORMULA = re.compile(r"[0-9\\=^√π∞]")
_TYPESET = re.compile(r"[\\$]")
_ROOT = re.compile(r"(?<![\\A-Za-z])sqrt\s?\((?P<inner>[^()]{1,200})\)")
_ROOT_SIGN = re.compile(r"√\s?(?:\((?P<inner>[^()]{1,200})\)|(?P<bare>[0-9]+|[A-Za-z]))")
_POWER = re.compile(r"\*\*\s?(?:(?P<bare>-?(?:[0-9]+(?:\.[0-9]+)?|[A-Za-z]))|\((?P<round>[^()]{1,200})\)|\{(?P<curly>[^{}]{1,200})\})")
_UNREAD = re.compile(r"\*\*\s?(?:-?[\w.]{1,200}|\([^()]{1,200}\)|\{[^{}]{1,200}\})\s?\*\*|\*{3}")  # towers of powers, and no power at all
_LEAD = re.compile(
    r"\A[\s*_#>]{0,8}(?:(?:so|thus|hence|therefore),?\s)?(?:(?:the|my)\s)?(?:(?:final|correct|right)\s)?answer"
    r"(?:\s(?:is|must\sbe|should\sbe)(?=[\s:*]):?|\**\s?:)[\s*_]{0,8}",
    re.IGNORECASE,
)
_COMMAND = re.compile(r"(?<![\\A-Za-z])(?:pi|sin|cos|tan|cot|sec|csc|log|ln|exp|infty)(?![A-Za-z])")
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}+")
_MATHEMATICS = frozenset("sin cos tan cot sec csc log ln exp sqrt pi or and infty text mathrm frac".split())


def says_the_same(text: str, gold: str) -> float:
    """`is_the_same` of what the last box holds, else of the text without "the answer is" in front and bold type around."""
    return is_the_same(_bare(text.strip()), boxed(gold).value or gold)


def is_the_same(text: str, gold: str) -> float:
    """1 if the answer is the gold: the same words, or the same number, or, where the gold is a formula, its value; else 0.

    Words are compared normalised, without articles. Brackets matter in formulas: [0, 1] is not (0, 1). Needs math-verify for
    formulas that differ as text (SymbolicError without it).
    """
    text, gold = text.strip(), gold.strip()
    if text == gold:
        return 1.0
    is_words, is_long = not _FORMULA.search(gold), len(text) > MAX_FORMULA or len(gold) > MAX_FORMULA
    if is_words and (is_long or not _TYPESET.search(text)):
        return same_normalised(text, gold, drop_articles=True)
    if is_long:
        return 0.0
    if plain(text).casefold() == plain(gold).casefold() or is_close(text, gold):
        return 1.0
    if is_words or not is_formula(text, gold) or _UNREAD.search(text) or _UNREAD.search(gold):
        return 0.0
    text, gold = _as_latex(text), _as_latex(gold)
    # math-verify stops at ** and would take 3**[x] for 3
    return float("**" not in text and "**" not in gold and is_equal(text, gold))


def says_the_same_or_chooses(text: str, gold: str, *, options: str = OPTIONS) -> float:
    """1 if the answer says the same, or chooses the option that the gold is, by its letter: "B", "(b)", "B. cat"; else 0.

    >>> says_the_same_or_chooses("(B)", "B. cat"), says_the_same_or_chooses("B or C", "B")
    (1.0, 0.0)
    """
    return max(_chooses(text, gold, options), says_the_same(text, gold))


def same_words_or_option(text: str, gold: str, *, options: str = OPTIONS) -> float:
    """The same, where no gold is a formula: words are compared, and nothing is calculated."""
    bare, gold = _bare(text.strip()), gold.strip()
    return max(_chooses(text, gold, options), same_normalised(bare, gold, drop_articles=True), _same_typeset(bare, gold))


def _chooses(text: str, gold: str, options: str) -> float:
    option = _OPTION.match(gold)
    letter = option and option["letter"].upper()
    return float(letter is not None and letter in options and choice(text, options).value == letter)


def _same_typeset(text: str, gold: str) -> float:
    return float(len(text) <= MAX_FORMULA and "\\" in text and plain(text).casefold() == plain(gold).casefold())


def is_formula(text: str, gold: str) -> bool:
    """Whether the text is a formula and no prose: it has no words but those of mathematics and of the gold."""
    words = set(map(str.lower, _WORD.findall(text)))
    return words <= _MATHEMATICS | set(map(str.lower, _WORD.findall(gold)))


def _bare(text: str) -> str:
    """What the last box holds, else the text without a lead and bold type; the text itself where nothing would be left."""
    content = boxed(text).value
    if content is not None:
        return content
    lead = _LEAD.match(text)
    bare = text[lead.end() :].strip() if lead else text
    for mark in ("**", "__", "`"):
        bare = bare.removeprefix(mark).removesuffix(f"{mark}.").removesuffix(mark)
    return bare.strip() or text


def _as_latex(text: str) -> str:
    r"""The formula as LaTeX between dollar signs, where alone math-verify reads it: "sqrt(8) pi**2" as $\sqrt{8} \pi ^{2}$."""
    text = _POWER.sub(lambda power: f"^{{{power['bare'] or power['round'] or power['curly']}}}", text)
    if "√" in text:
        text = _ROOT_SIGN.sub(lambda root: f"\\sqrt{{{root['inner'] or root['bare']}}}", text)
    if "$" in text or "\\boxed" in text:
        return text
    text = _ROOT.sub(r"\\sqrt{\g<inner>}", text)
    return f"${_COMMAND.sub(_with_backslash, text)}$"


def _with_backslash(match: re.Match[str]) -> str:
    return f"\\{match[0]} "
