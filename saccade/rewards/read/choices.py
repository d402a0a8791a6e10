r"""Which option an answer names: a letter said in so many words, or yes and no.

    >>> choice("The answer is (B).").value, choice("b) blue").value, choice(r"\boxed{C}").value
    ('B', 'B', 'C')
    >>> choice("A scratch is visible on the surface")             # an article is no choice
    Reading(value=None, why='no option is named')
    >>> choice("Red.", {"A": "red", "B": "blue"}).value
    'A'
    >>> yes_no("Yes, there is no dent").value
    True
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping

from saccade.rewards.read.latex import boxed
from saccade.rewards.read.reading import Reading

MAX_OPTIONS = 64  # O
MAX_WORDS = 2_000  # O characters of an option
MAX_TEXT = 50_000  # O characters, of which the last are read: an answer stands at the end


REACH = 100  # characters; no way of naming a letter is longer


def choice(text: str, options: str | Iterable[str] | Mapping[str, str] = "ABCD") -> Reading[str]:
    r"""The one option that the text names, as it is written in `options`: letters, or letters with the options' words.

    The clearest way of naming decides:
    1. the text is the letter and nothing else: "B", "(b)", "**B.**", "$B$"
    2. the last box: "\boxed{B}"
    3. a sentence says so: "the answer is B", "I choose b", "option C is correct", "it must be D.", "B, because"
    4. a line is the letter and nothing else
    5. a label begins the text or a line: "B) blue", "(b) blue", "B. blue", "B: blue"
    6. a letter is marked: "(B)", "**B**", "option B"; but not denied: "not (B)"
    7. the text is the words of one option
    Two letters named in the same way are none, nor is a label before another option's words. ValueError where there are no
    options, more than 64, or two that differ in case only.
    """
    words = dict(options) if isinstance(options, Mapping) else dict.fromkeys(options, "")
    ways = _ways(tuple(words))
    text = _cut(text.translate(_WIDE).strip())
    if not text:
        return Reading(None, "the text is empty")
    in_box = boxed(text).then(lambda content: _choice(content, words, ways))
    return _choice(text, words, ways) if in_box.value is None else in_box


def yes_no(text: str) -> Reading[bool]:
    r"""True for yes, False for no: in the last box, else as a sentence's first word, else at a clause's end.

    "No dent" is no, but the "no" of "there is no dent" is neither. Yes and no said equally clearly are none.
    """
    text = _cut(text.translate(_WIDE).strip())
    in_box = boxed(text).then(_verdict)
    return _verdict(text) if in_box.value is None else in_box


def _verdict(text: str) -> Reading[bool]:
    for pattern in (_FIRST_VERDICT, _LATER_VERDICT):
        said = {match["word"].lower() for match in pattern.finditer(text)}
        if len(said) > 1:
            return Reading(None, "says yes and no")
        if said:
            return Reading("yes" in said)
    return Reading(None, "says neither yes nor no")


def _choice(text: str, words: Mapping[str, str], ways: tuple[re.Pattern[str], ...]) -> Reading[str]:
    named = next(filter(None, _named(text, ways)), set())
    if len(named) > 1:
        return Reading(None, f"several options are named: {', '.join(sorted(named))}")
    said = _by_words(_without_label(text, tuple(words)), words)
    if not named:
        return said
    letter = next(option for option in words if {option.upper(), option.lower().upper()} & named)
    if said.value not in (None, letter):
        return Reading(None, f"names {letter} with the words of {said.value}")
    return Reading(letter)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"…{text[-MAX_TEXT:]}"


def _named(text: str, ways: tuple[re.Pattern[str], ...]) -> Iterator[set[str]]:
    """The letters named in each way, the clearest way first."""
    candidate, alone, *others = ways
    if match := alone.fullmatch(text):
        yield _letters(match)
    around = _around(text, candidate)
    for way in others:
        yield set().union(*(_letters(match) for start, end in around for match in way.finditer(text, start, end)))


def _around(text: str, candidate: re.Pattern[str]) -> list[tuple[int, int]]:
    """Where to look: around what may be a letter, which in long texts is little of it."""
    around: list[tuple[int, int]] = []
    for match in candidate.finditer(text):
        start, end = max(0, match.start() - REACH), match.end() + REACH
        if around and start <= around[-1][1]:
            start = around.pop()[0]
        around.append((start, end))
    return around


def _letters(match: re.Match[str]) -> set[str]:
    return {value.upper() for value in match.groupdict().values() if value}


def _by_words(text: str, words: Mapping[str, str]) -> Reading[str]:
    """The option whose words the text is, but for case, spaces and punctuation around."""
    said = _normal(_LEAD.sub("", text[:MAX_WORDS], count=1)) if any(words.values()) else ""
    same = [option for option, written in words.items() if said and said == _normal(written)]
    if len(same) > 1:
        return Reading(None, f"the words are those of {' and '.join(same)}")
    return Reading(same[0]) if same else Reading(None, "no option is named")


def _normal(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .,:;!*_`'\"$")


def _without_label(text: str, options: tuple[str, ...]) -> str:
    label = _label(options).match(text)
    return text[label.end() :].lstrip("*_ \t") if label else text


_PREDICATE = r"\s(?:is|are|was|has|does|would|can|cannot)\b"
# Wide forms of ASCII characters, as East Asian keyboards write them.
_WIDE = {0xFF01 + i: 0x21 + i for i in range(94)}

_OPEN, _CLOSE = r"[\s*_`'\"$(\[{#>-]{0,8}+", r"[\s*_`'\"$)\]}.:,;!。，、]{0,8}+"
_NOUN = r"(?i:(?:the\s)?(?:option|choice|letter)\s{1,2})?"
_DENIED = r"(?<!\bnot\s)(?<!n['’]t\s)"
_BECAUSE = r"(?i:because|since|as(?!\s(?:well|does|do|is|are)\b)|due|given|not|rather\sthan|instead\sof)\b"
_TYPE = r"(?:\\(?:text|textbf|mathrm|mathbf)\{)?"
_START, _END = r"(?<![\w\\'’-])", r"(?![\w+#°]|[-'’]\w)"
# "A" and "I" before another word are words themselves, except before these.
_ARTICLE = r"[aAiI][ \t]{1,4}(?!(?:and|or|because|since|as|due|given|which|based|is)\b)[^\W\d_]"
_LEAD = re.compile(
    r"\A\W{0,4}(?:the\s)?(?:(?:final|correct|right|best)\s)?(?:answer|option|choice)\s?(?:is|:)[\s*:]{0,4}", re.IGNORECASE
)
_SAID = (
    r"(?i:(?<!wrong )(?<!incorrect )(?<!false )\b(?:answer|ans\.?|choice|option|solution)\**(?:\s(?:here|then))?\s{0,2}"
    r"(?:(?:is|must\sbe|should\sbe|would\sbe|will\sbe)\s{0,2}:?|:|=)"
    r"|\b(?:i|we|i'd|i'll|would|must|should|will|therefore|so|thus)"
    r"\s(?:choose|select|pick|chose|go\swith|answer(?:\swith)?)\b"
    r"|答案(?:是|为|:)?|选择?)\**\s{0,3}(?i:(?:the\s)?(?:(?:option|choice|letter|answer)\s{1,2})?)"
)
_VERDICT = r"(?:is|are|seems|looks)\s(?:clearly\s|therefore\s|thus\s|then\s)?(?:the\s)?(?:correct|right|best|true|answer)\b"


@functools.lru_cache(maxsize=64)
def _ways(options: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """What may be a letter, and then the ways of naming one of these options, the clearest first."""
    if not 0 < len(options) <= MAX_OPTIONS or len({o.upper() for o in options}) < len(options) or not all(options):
        raise ValueError(f"options are 1 to {MAX_OPTIONS} distinct letters; got {', '.join(options[:8]) or 'none'}")
    either, capital = _either(options), _capital(options)
    letter = rf"(?!{_ARTICLE})(?P<letter>{either}){_END}"
    another = (
        rf"(?:[\s*)\]]{{0,4}}(?:,|/|&|\band\b|\bor\b)\s{{0,2}}(?:(?:and|or)\s{{1,2}})?[(\[*]{{0,3}}"
        rf"(?P<another>{capital}){_END}(?![)\]*]{{0,3}}{_PREDICATE}))?"
    )
    subject = r"(?:\A|[.!?\n]\s{0,3}|\b(?i:option|choice|letter|answer|so|thus|therefore|hence|that)\s{1,2})[(\[*\"']{0,3}"
    small_article = "".join({"a", "i"} & {option.lower() for option in options})
    return (
        re.compile(
            rf"(?<![A-Za-z0-9_])(?:{either})(?![A-Za-z0-9_])"
            + (rf"(?<!(?<![A-Za-z0-9_])[{small_article}](?=[ \t]{{1,4}}+[a-z]))" if small_article else "")
        ),
        re.compile(rf"{_OPEN}{_NOUN}{_TYPE}{_OPEN}(?P<letter>{either}){_CLOSE}"),
        re.compile(
            rf"{_SAID}[*_`'\"$(\[{{]{{0,4}}{_TYPE}{letter}{another}"
            rf"|\A[*(\[\"']{{0,3}}(?!{_ARTICLE})(?P<reasoned>{capital})[)\]*\"'.]{{0,3}},?\s\(?{_BECAUSE}"
            rf"|{subject}(?P<subject>{capital})[)\]*\"']{{0,3}}\s{_VERDICT}"
            r"|\b(?i:it|this|that)\s(?:is|must\sbe|should\sbe)"
            rf"\s[(\[*\"']{{0,3}}(?P<it>{capital})[)\]*\"']{{0,3}}(?:[.,;!]|\Z)"
        ),
        re.compile(rf"^[ \t*_`'\"$(\[]{{0,6}}+{_TYPE}(?P<letter>{capital})[ \t*_`'\"$)\]}}.]{{0,6}}+$", re.MULTILINE),
        _label(options),
        re.compile(
            rf"{_DENIED}(?:(?<!\w)[(\[](?P<bracketed>{either})[)\]]|(?<![\w(\[\\'’-])(?P<half>{capital})\)(?!\w)"
            rf"|\*\*\(?(?P<bold>{capital})[).:]{{0,2}}\*\*|[\"`](?P<quoted>{capital})[\"`]"
            rf"|\b(?i:option|choice|letter)\s{{1,2}}[(\"'*]{{0,3}}(?P<option>{capital}){_END})"
        ),
    )


@functools.lru_cache(maxsize=64)
def _label(options: tuple[str, ...]) -> re.Pattern[str]:
    """A label in front of the text, of a line, or of a part of a list: the first one of an enumeration is no choice."""
    either, capital = _either(options), _capital(options)
    point = r"(?:(?=\s|\Z|[*_]|[^\x00-\x7f]|[A-Z][a-z])|(?<=[A-Z].)(?=[a-z]{2}))"
    return re.compile(
        rf"(?:\A|\n|[,;/&]\s|\s(?:and|or)\s)[ \t*_`'\"$]{{0,4}}+"
        rf"(?:[(\[](?P<bracketed>{either})[)\]]|(?P<letter>{either})(?:[)\]]|[.:]{point}|\s[-–—]\s))"
        rf"|(?<!\bnot)(?<!n't)\s(?:[(\[](?P<later>{either})[)\]]|(?P<half>{capital})\))(?!{_PREDICATE})(?!\w)"
    )


def _either(options: tuple[str, ...]) -> str:
    """Any of the options in capital or in small letters."""
    return f"{_capital(options)}|{_alternatives(o.lower() for o in options)}"


def _capital(options: tuple[str, ...]) -> str:
    return _alternatives(option.upper() for option in options)


def _alternatives(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


_WORD = r"(?<![^\W_])(?<!\bnot\s)(?P<word>yes|no)(?![^\W_]|['’-]\w|\.\s?\d|\s(?:doubt|question)\b)"
_FIRST_VERDICT = re.compile(
    rf"(?:\A|[.!?\n]\s|(?:(?<=yes)|(?<=no))[\s,/|;]{{1,3}}(?:(?:or|and)\s)?)[\W_]{{0,6}}{_WORD}", re.IGNORECASE
)
_LATER_VERDICT = re.compile(rf"{_WORD}(?=[\W_]{{0,4}}(?:\Z|[.,;:!?)\n}}]|\s(?:because|since|as)\b))", re.IGNORECASE)
