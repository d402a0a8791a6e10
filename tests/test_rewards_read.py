"""The shared reader: what it finds, that it agrees with the plain regular expression, that nothing upsets it."""

from __future__ import annotations

import importlib.util
import re
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.rewards.answers import symbolic
from saccade.rewards.read.calls import calls
from saccade.rewards.read.numbers import number, numbers
from saccade.rewards.read.tags import first_section, last_section, layout
from saccade.rewards.answers.symbolic import SymbolicError, is_equal

needs_math_verify = pytest.mark.skipif(
    importlib.util.find_spec("math_verify") is None, reason="math-verify is an optional extra"
)

TAGGED = st.lists(
    st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", " ", "\n", "7", "x", "<", "f(1, a)"]), max_size=14
).map("".join)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("<answer>7</answer>", "7", "7"),
        ("<answer>\n 7\n</answer>", "7", "7"),
        ("a <answer>1</answer> b <answer>2</answer> c", "1", "2"),
        ("<answer>1<answer>2</answer>", "1<answer>2", "2"),
        ("</answer><answer>1</answer>", "1", "1"),
        ("<answer>1", None, None),
        ("1</answer>", None, None),
        ("<Answer>1</Answer>", None, None),
        ("", None, None),
        ("<answer></answer>", "", ""),
    ],
)
def test_sections(text, first, last):
    assert (first_section(text, "answer").value, last_section(text, "answer").value) == (first, last)


@given(TAGGED)
def test_first_section_is_the_lazy_regular_expression(text):
    match = re.search(r"<answer>(.*?)</answer>", text, re.DOTALL)
    assert first_section(text, "answer").value == (match.group(1).strip() if match else None)


@given(TAGGED)
@settings(max_examples=400)
def test_layout_is_the_lazy_full_match(text):
    for candidate in (text, f"<think>{text}</answer>", f"<think>{text}</think><answer>{text}</answer>"):
        match = re.fullmatch(r"<think>(.*?)</think>\s*<answer>(.*?)</answer>", candidate, re.DOTALL)
        assert layout(candidate, "think", "answer").value == (match.groups() if match else None)


def test_layout_of_four_blocks_wants_their_order():
    text = "<summary>s</summary>\n<caption>c</caption><think>t</think> <answer>a</answer>"
    assert layout(text, "summary", "caption", "think", "answer").value == ("s", "c", "t", "a")
    assert layout(text, "caption", "summary", "think", "answer").value is None
    assert layout(text, "think", "answer").value is None
    assert layout("<a></a>", "a").value == ("",)
    assert layout("<a></", "a").value is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7.0), (" -3.50\n", -3.5), ("+2", 2.0), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("-0", 0.0),
        ("", None), ("-", None), (".", None), ("3 apples", None), ("1_000", None), ("1,000", None), ("nan", None),
        ("inf", None), ("-Infinity", None), ("1e999", None), ("٣", None), ("7.", 7.0), ("1.2.3", None), ("0x10", None),
        ("9" * 65, None), ("--7", None), ("7\n8", None),
    ],
)  # fmt: skip
def test_number(text, value):
    assert number(text).value == value


def test_numbers():
    text = "from -3 to +4.5, then 7-3 and x-2, .5 and 1e2; (1)-2 v1.2"
    assert numbers(text) == [-3, 4.5, 7, 3, 2, 0.5, 100, 1, 2, 1.2]
    assert numbers("none at all") == numbers("") == numbers("9" * 65 + " 1e999") == []


def test_calls():
    text = """First change_color(0, 'red'), then change_size( 1 ,small) change_shape(obj_2,"cube")\nf(g(1,a), 2)"""
    assert [str(call) for call in calls(text)] == [
        "change_color(0, red)",
        "change_size(1, small)",
        "change_shape(obj_2, cube)",
        "g(1, a)",
    ]
    assert calls("f(1,\n  a)") == calls("f(1,a)") == [("f", "1", "a")]
    assert [str(call) for call in calls("f(1, a)f(1, a)")] == ["f(1, a)"] * 2
    assert calls("f(1) f() f(1,2,3) (1,2) f (1,2) f(1,a b) f(1, -2) f[1,2]") == []


READERS = {
    "first": lambda text: first_section(text, "answer"),
    "last": lambda text: last_section(text, "answer"),
    "layout": lambda text: layout(text, "think", "answer"),
    "layout of four": lambda text: layout(text, "summary", "caption", "think", "answer"),
    "number": number,
    "numbers": numbers,
    "calls": calls,
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@given(text=st.text() | TAGGED | st.text(alphabet="(),'\" \n.+-eE0_a<>/", max_size=200))
def test_any_text_gets_an_answer(read, text):
    read(text)


HOSTILE = [
    "a", "f(", "(a", "f(a,", "f(a,'", "f(a, b", "1", "-", ".", "1e", "1.1.", "-.", "<", "<think>", "</think>",
    "<answer>", "</answer>", "</think> ", "<answer></answer>", "</think>" + " " * 100, "f(" + " " * 100,
    "f(" + "a" * 100, "\n", "\0",
]  # fmt: skip
WRAPS = ["{}", "<think>{}</answer>", "<think></think>{}", "<summary>{}</answer>", "f({}"]


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_reading_time_is_linear(read):
    """A tenth of a megabyte takes a hundredth of a second; a quadratic reader would take a minute."""
    for unit in HOSTILE:
        for wrap in WRAPS:
            assert seconds_for(read, wrap, unit, 100_000) < 0.3, (wrap, unit)


@pytest.mark.parametrize(("read", "unit"), [("numbers", "1.1."), ("calls", "f(a,"), ("layout", "</think> ")])
def test_a_hostile_megabyte_takes_less_than_a_fifth_of_a_second(read, unit):
    assert min(seconds_for(READERS[read], "<think>{}</answer>", unit, 1_000_000) for _ in range(5)) < 0.2


def seconds_for(read, wrap: str, unit: str, length: int) -> float:
    """Process time, so that a busy machine does not count."""
    text = wrap.format(unit * (length // len(unit)))
    start = time.process_time()
    read(text)
    return time.process_time() - start


# symbolic equality


def test_text_and_plain_numbers_are_decided_without_the_worker(monkeypatch):
    monkeypatch.setattr(symbolic._workers, "ask", lambda *_: pytest.fail("asked the worker"))
    assert is_equal(" B ", "B")
    assert is_equal("3.0", "3")
    assert is_equal("0.33333333", "0.3333333")
    assert not is_equal("3.1", "3")


def test_without_math_verify_one_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "math_verify", None)
    monkeypatch.setattr(symbolic, "_workers", symbolic._Workers())
    monkeypatch.setattr(symbolic.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SymbolicError, match="pip install math-verify"):
        is_equal("one half", "1/2")


@needs_math_verify
@pytest.mark.parametrize(
    ("text", "gold", "expected"),
    [
        (r"\frac{1}{2}", "0.5", True),
        ("the sum is 7.", "7", True),
        ("the sum is 8.", "7", False),
        ("it cannot be 8", "8", True),  # why this must not judge whole completions by default
        ("no idea", "7", False),
        ("\0\ud800", "7", False),
    ],
)
def test_symbolic_equality(text, gold, expected):
    assert is_equal(text, gold, seconds=30) is expected


@needs_math_verify
def test_an_endless_comparison_is_cut_off_and_the_next_one_works():
    is_equal("it is 7", "7", seconds=30)  # the worker is up
    start = time.perf_counter()
    assert not is_equal("$9^{9^{9^{9}}}$", "8", seconds=0.5)
    assert time.perf_counter() - start < 5
    assert is_equal("it is 7", "7", seconds=30)
