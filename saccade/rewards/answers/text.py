"""How alike two short texts are, from 0 to 1: equal as written, equal once normalised, close by edits.

    >>> same("Paris ", "Paris"), same("paris.", "Paris"), same_normalised("  the  PARIS.", "Paris", drop_articles=True)
    (1.0, 0.0, 1.0)
    >>> edit_similarity("loblaw", "loblaws"), anls("loblaw", "loblaws"), anls("cat", "dog")
    (0.8571428571428572, 0.8571428571428572, 0.0)

These compare words. Numbers with a tolerance are in `numeric`, shared words in `overlap`, formulas in `symbolic`. No text
costs more than MAX_ANSWER characters do: what is longer is the same as nothing but itself, and only its beginning is close
to something.
"""

from __future__ import annotations

import re
import unicodedata

from rapidfuzz.distance import Levenshtein

MAX_ANSWER = 10_000  # O characters; putting more marks than that upon one letter into order takes seconds (NFKC)

_DASHES = {ord(dash): "-" for dash in "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"}
_ARTICLES = re.compile(r"\b(?:an?|the)\b", re.ASCII)
# Punctuation says something between two digits (3.5, 12:30), as the sign or point of a number (-5, .5), and nowhere else.
_PUNCTUATION = re.compile(
    r"(?P<keep>(?<=\d)[.,:;'](?=\d)|(?<!\w)\.(?=\d))"
    r"|[.,:;!?\"'`()\[\]{}\u2018\u2019\u201c\u201d\u00ab\u00bb\u3001\u3002\u300c\u300d\u00bf\u00a1\u2026]"
)
_HYPHEN = re.compile(r"(?<=[^\W\d])[-_](?=[^\W\d])")


def same(text: str, gold: str) -> float:
    """1 if the two are the same characters, but for whitespace around them, else 0."""
    return float(text.strip() == gold.strip())


def same_normalised(
    text: str, gold: str, *, casefold: bool = True, drop_punctuation: bool = True, drop_articles: bool = False
) -> float:
    """1 if the two are the same once normalised, else 0; see `normalise`, whose options these are."""
    if text == gold:
        return 1.0
    if len(text) > MAX_ANSWER or len(gold) > MAX_ANSWER:
        return 0.0
    options = {"casefold": casefold, "drop_punctuation": drop_punctuation, "drop_articles": drop_articles}
    return float(normalise(text, **options) == normalise(gold, **options))


def normalise(text: str, *, casefold: bool = True, drop_punctuation: bool = True, drop_articles: bool = False) -> str:
    """The text without what does not matter.

    Always: one form of every letter and width (NFKC), one kind of dash, single spaces. `casefold` makes upper and lower
    case one. `drop_punctuation` takes out full stops, commas, colons, quotes and brackets, but not those inside or before
    a number, and makes a space of a hyphen between letters; "3.5" never becomes "35" nor "-5" "5", as in SQuAD's
    normalisation (# O). `drop_articles` takes out a, an and the. What would vanish altogether stays: "A" and "?" are
    answers.

    >>> normalise("The  ３.５-inch “floppy-disk”!", drop_articles=True)
    '3.5-inch floppy disk'
    """
    text = text[:MAX_ANSWER]
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_DASHES)[:MAX_ANSWER]
    if casefold:
        text = text.casefold()
    if drop_punctuation:
        # Twice: what stood between a letter and a point, as in "a(.5", is gone the second time.
        bare = _PUNCTUATION.sub(_kept, _PUNCTUATION.sub(_kept, text))
        text = _HYPHEN.sub(" ", bare) or text
    text = " ".join(text.split())
    if drop_articles:
        text = " ".join(_ARTICLES.sub(" ", text).split()) or text
    return text


def edit_similarity(text: str, gold: str) -> float:
    """1 - edits / length of the longer one, edits being Levenshtein's: letters to put in, take out or replace.

    As written: casefold or normalise both first where that should not count. Two empty texts are the same.
    """
    return Levenshtein.normalized_similarity(text[:MAX_ANSWER], gold[:MAX_ANSWER])


def anls(text: str, gold: str, *, cutoff: float = 0.5) -> float:
    """Edit similarity of the lower-cased texts with single spaces, 0 where `cutoff` of the longer one or more is edited.

    The measure of DocVQA and its kin (1905.13648). For one gold answer; of several, the best counts: take the maximum.
    """
    text, gold = (" ".join(side[:MAX_ANSWER].lower().split()) for side in (text, gold))
    distance = 1 - edit_similarity(text, gold)
    return 1 - distance if distance < cutoff else 0.0


def _kept(match: re.Match[str]) -> str:
    return match["keep"] or ""
