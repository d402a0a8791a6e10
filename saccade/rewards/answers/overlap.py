"""How many words two longer texts share: ROUGE and token F1, from 0 to 1.

    >>> rouge_n("the cat sat", "the cat ran", n=1).f1, rouge_l("the cat sat", "the cat ran").f1
    (0.6666666666666666, 0.6666666666666666)
    >>> token_f1("a tall tree", "the tree"), word_set_f1("[Open Mail]", "open the mail")
    (0.6666666666666666, 0.8)

ROUGE says the same as Google's rouge-score package, with Porter stemming by nltk (the extra `rouge`), for texts up to
MAX_TEXT characters with words up to MAX_WORD; of longer texts the beginning is compared, and longer words are not
stemmed.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rapidfuzz.distance import LCSseq

from saccade.rewards.answers.text import normalise

if TYPE_CHECKING:
    from nltk.stem.porter import PorterStemmer

MAX_TEXT = 50_000  # O characters, some 8,000 words
MAX_WORD = 64  # O letters; no word that has a stem is longer

_WORD = re.compile(r"[a-z0-9]+")
_NORMAL = functools.partial(normalise, drop_articles=True)


class RougeError(RuntimeError):
    """Stemming cannot be done; the message says what to do."""


class Overlap(NamedTuple):
    """What share of the text is in the gold, what share of the gold is in the text, and their harmonic mean."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """2 p r / (p + r), 0 where both are."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0

    @classmethod
    def of(cls, shared: float, n_text: int, n_gold: int) -> Overlap:
        """From how much is shared and how much there is on either side; nothing shares nothing."""
        return cls(shared / max(n_text, 1), shared / max(n_gold, 1))


def rouge_n(text: str, gold: str, *, n: int, stem: bool = True) -> Overlap:
    """ROUGE-n: n words in a row that are in both, each as often as in the one that has it less often."""
    return _rouge_n(words(text, stem=stem), words(gold, stem=stem), n)


def rouge_l(text: str, gold: str, *, stem: bool = True) -> Overlap:
    """ROUGE-L: the longest sequence of words that both hold in that order, with whatever between them."""
    return _rouge_l(words(text, stem=stem), words(gold, stem=stem))


def rouge_mean(text: str, gold: str, *, stem: bool = True) -> float:
    """The mean F1 of ROUGE-1, ROUGE-2 and ROUGE-L."""
    a, b = words(text, stem=stem), words(gold, stem=stem)
    return (_rouge_n(a, b, 1).f1 + _rouge_n(a, b, 2).f1 + _rouge_l(a, b).f1) / 3


def words(text: str, *, stem: bool = True) -> list[str]:
    """ROUGE's words: runs of a-z and 0-9 of the lower-cased text, stemmed where they are longer than three letters."""
    found = _WORD.findall(text[:MAX_TEXT].lower())
    if not stem:
        return found
    return [_stem(word) if len(word) > 3 else word for word in found]


def token_f1(text: str, gold: str, *, normal: Callable[[str], str] = _NORMAL) -> float:
    """SQuAD's F1: words in common, repeats counted, after `normal`; that of two texts without words is 1.

    Our normalisation drops articles, too, but leaves numbers whole, where SQuAD's makes "3.5" and "35" the same.
    """
    a, b = normal(text).split(), normal(gold).split()
    if not a or not b:
        return float(a == b)
    shared = sum((Counter(a) & Counter(b)).values())
    return Overlap.of(shared, len(a), len(b)).f1


def word_set_f1(text: str, gold: str, *, parts_count: bool = False) -> float:
    """F1 of the two sets of words, lower-cased and cut at whitespace, without [ and ]; 0 where one side is empty.

    `parts_count` makes it 1 where either side is a single word and one stands in the other ("set" in "settings"). # C GUI-R1
    """
    a, b = (set(side[:MAX_TEXT].translate(_NO_BRACKETS).lower().split()) for side in (text, gold))
    if not a or not b:
        return 0.0
    if parts_count and len(a) == len(b) == 1:
        (one,), (other,) = a, b
        if one in other or other in one:
            return 1.0
    return Overlap.of(len(a & b), len(a), len(b)).f1


_NO_BRACKETS = {ord("["): None, ord("]"): None}


def _rouge_n(a: Sequence[str], b: Sequence[str], n: int) -> Overlap:
    grams_a, grams_b = (Counter(zip(*(side[start:] for start in range(n)), strict=False)) for side in (a, b))
    return Overlap.of(sum((grams_a & grams_b).values()), max(len(a) - n + 1, 0), max(len(b) - n + 1, 0))


def _rouge_l(a: Sequence[str], b: Sequence[str]) -> Overlap:
    return Overlap.of(LCSseq.similarity(a, b), len(a), len(b))


@functools.lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    return word if len(word) > MAX_WORD else _stemmer().stem(word)


@functools.cache
def _stemmer() -> PorterStemmer:
    if importlib.util.find_spec("nltk") is None:
        raise RougeError("ROUGE with stemming needs nltk: pip install 'saccade[rouge]', or ask for stem=False")
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()
