"""What the view of rollouts reckons with: differences of words, sections of an answer, masks, searches. Run in the browser that runs them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import pytest

Call = Callable[..., Any]


def shortest_edit(a: list[str], b: list[str]) -> int:
    """Words to take away and to add, by the table of longest common subsequences."""
    row = [0] * (len(b) + 1)
    for x in a:
        before, row = row, [0]
        for n, y in enumerate(b):
            row.append(before[n] + 1 if x == y else max(before[n + 1], row[-1]))
    return len(a) + len(b) - 2 * row[-1]


def without(text: str, ranges: list[list[int]]) -> str:
    for start, end in reversed(ranges):
        text = text[:start] + text[end:]
    return text


def test_differences_of_words_are_the_fewest_that_there_are(call: Call) -> None:
    rng = random.Random(0)
    cases = [("", ""), ("", "a b"), ("same text", "same text"), ("at 3.5, 7", "at 3.6, 7"), ("a\nb", "a b")]
    cases += [tuple(" ".join(rng.choices("abcd", k=rng.randrange(14))) for _ in range(2)) for _ in range(60)]
    for before, after in cases:
        found = call("words", "wordChanges", before, after)
        assert without(before, found["removed"]) == without(after, found["added"])
        a, b = (re.findall(r"\s+|\d+(?:\.\d+)?|\w+|.", text, re.DOTALL) for text in (before, after))
        changed = [text[start:end] for text, side in ((before, "removed"), (after, "added")) for start, end in found[side]]
        assert sum(len(re.findall(r"\s+|\d+(?:\.\d+)?|\w+|.", part, re.DOTALL)) for part in changed) == shortest_edit(a, b), (before, after)
    assert call("words", "wordChanges", "at 3.5, 7", "at 3.6, 7") == {"removed": [[3, 6]], "added": [[3, 6]]}
    assert call("words", "wordChanges", "a " * 4000, "b") is None  # too long to be compared


def test_sections_of_whole_nested_and_broken_answers(call: Call) -> None:
    def outline(text: str) -> Any:
        def said(part: dict[str, Any]) -> Any:
            if "tag" not in part:
                return text[slice(*part["text"])]
            state = "" if part["isOpened"] and part["isClosed"] else "?" if part["isOpened"] else "/"
            return (part["tag"] + state, [said(one) for one in part["parts"]])

        return [said(part) for part in call("sections", "sectionsOf", text)]

    assert outline("<think>\na\n</think>\n<answer>b</answer>") == [("think", ["a"]), ("answer", ["b"])]
    assert outline("x <answer><box id='1'>[1, 2]</box> y</answer> z") == ["x", ("answer", [("box", ["[1, 2]"]), " y"]), " z"]
    assert outline("<think>a <answer>b</answer>") == [("think?", ["a"]), ("answer", ["b"])]
    assert outline("a</think><answer>b") == ["a", ("think/", []), ("answer?", ["b"])]
    assert outline("<a><b></a></b>") == [("a", [("b?", [])]), ("b/", [])]
    assert outline("1 < 2 and 3 > 2 <|end|>") == ["1 < 2 and 3 > 2 <|end|>"]
    assert outline("") == []

    text = "see\n```json\n[1]\n```\nor ```[2]"
    pieces = call("sections", "fencesOf", text, [0, len(text)])
    assert [(piece["fence"], text[piece["from"] : piece["to"]].strip(), piece.get("isClosed")) for piece in pieces] == [
        (None, "see", None), ("json", "[1]", True), (None, "or", None), ("", "[2]", False),
    ]  # fmt: skip


def test_an_answer_of_unclosed_tags_is_cut_into_few_parts(call: Call) -> None:
    found = call("sections", "sectionsOf", "<a>" * 50_000 + "<b " * 50_000)
    assert 1 < len(found) <= 402


def test_ranges_of_python_are_those_of_the_page_after_an_emoji(call: Call) -> None:
    text = "a \U0001f600 b Wait c"
    start = text.index("Wait")
    assert call("sections", "inUnits", text, [[start, start + 4]]) == [[start + 1, start + 5]]
    assert call("sections", "inUnits", "plain", [[0, 3]]) == [[0, 3]]


def test_masks_are_read_by_rows_and_found_where_they_lie(call: Call) -> None:
    mask = {"size": [2, 3], "counts": [1, 2, 2, 1]}  # .##
    bits = call("shapes", "maskBits", mask, 3)  # ..#
    assert list(bits["bits"]) == [0, 1, 1, 0, 0, 1]
    assert call("shapes", "drawable", {"picture": 0, "mask": mask})["at"] == pytest.approx([1 / 3, 0, 1, 1])
    assert call("shapes", "drawable", {"box": [0.5, 0.6, 0.1, 0.2]})["at"] == [0.1, 0.2, 0.5, 0.6]
    for nonsense in ({}, {"box": [0, 1, None, 2]}, {"point": ["1", 2]}, {"line": [[0, 0]]}, {"mask": {"size": [1e9, 1e9], "counts": []}}):
        assert call("shapes", "drawable", nonsense) is None


def test_a_search_is_words_and_quoted_phrases(call: Call) -> None:
    assert call("filters", "searchTerms", 'Red  "Exactly This" box "open') == [
        {"text": "red"}, {"text": "Exactly This", "isExact": True}, {"text": "box"}, {"text": "open", "isExact": True},
    ]  # fmt: skip
    terms = [{"text": "red"}, {"text": "Red", "isExact": True}]
    assert call("filters", "placesOf", terms, "red Red İ red") == [[0, 3], [4, 7], [10, 13], [4, 7]]
