"""Grammars, choices, quantities and LaTeX: what they read, why they don't, and that hostile text costs no time."""

from __future__ import annotations

import dataclasses
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saccade.rewards.read.choices import choice, yes_no
from saccade.rewards.read.latex import boxed, plain
from saccade.rewards.read.numbers import Quantity, quantities, quantity
from saccade.rewards.read.tags import (
    ANSWER_ONLY,
    ANSWER_THINK,
    CAPTION_REASON_ANSWER,
    PLAIN_JSON,
    THINK_ACTION_TOOL_CALL,
    THINK_ANSWER,
    THINK_TEXT_ANSWER,
    THINK_THEN_TEXT,
    Grammar,
    final_answer,
    layout,
)

# grammars

GOOD = [
    (THINK_ANSWER, "<think>a</think><answer>b</answer>", {"think": "a", "answer": "b"}),
    (THINK_ANSWER, "\n <think> a\nb </think>\n\n <answer>\nb\n</answer>\n", {"think": "a\nb", "answer": "b"}),
    (
        CAPTION_REASON_ANSWER,
        "<info>a dog\nand a cat</info><think>t</think>  <answer>2</answer>",
        {"info": "a dog\nand a cat", "think": "t", "answer": "2"},
    ),
    (
        THINK_TEXT_ANSWER,
        "<think>t</think> As both are red: <answer>B</answer>",
        {"think": "t", "between": "As both are red:", "answer": "B"},
    ),
    (ANSWER_ONLY, "<answer>C</answer>\n", {"answer": "C"}),
    (ANSWER_THINK, "<answer>C</answer><think>as it is round</think>", {"answer": "C", "think": "as it is round"}),
    (
        THINK_ACTION_TOOL_CALL,
        '<think>t</think>\n<action>tap it</action>\n<tool_call>{"name": "mobile_use"}</tool_call>',
        {"think": "t", "action": "tap it", "tool_call": '{"name": "mobile_use"}'},
    ),
    (THINK_THEN_TEXT, "<think>t</think>\n\n\\boxed{4}", {"think": "t", "after": "\\boxed{4}"}),
    (PLAIN_JSON, ' [{"bbox_2d": [1, 2, 3, 4]}]\n', {"answer": '[{"bbox_2d": [1, 2, 3, 4]}]'}),
]


@pytest.mark.parametrize(("grammar", "text", "value"), GOOD)
def test_grammars_read_what_they_ask_for(grammar, text, value):
    assert grammar.read(text).value == value


@pytest.mark.parametrize(
    ("grammar", "text", "why"),
    [
        (THINK_ANSWER, "", "no think block"),
        (THINK_ANSWER, "<think>a</think>", "no answer block"),
        (THINK_ANSWER, "<think>a</think><answer>b", "the answer block is not closed"),
        (THINK_ANSWER, "a</think><answer>b</answer>", "the think block is not opened"),
        (THINK_ANSWER, "<think> \n</think><answer>b</answer>", "the think block is empty"),
        (THINK_ANSWER, "<think>a</think><answer></answer>", "the answer block is empty"),
        (THINK_ANSWER, "<think>a</think><answer>b</answer><answer>c</answer>", "two answer blocks"),
        (THINK_ANSWER, "<think>a</think>" + "<answer>b</answer>" * 3, "3 answer blocks"),
        (THINK_ANSWER, "<think>a <answer> b</think><answer>b</answer>", "two <answer>"),
        (THINK_ANSWER, "<think>a</think></think><answer>b</answer>", "two </think>"),
        (THINK_ANSWER, "<think>a</think><answer>b</answer> and so on", "text after </answer>"),
        (THINK_ANSWER, "Well: <think>a</think><answer>b</answer>", "text before <think>"),
        (THINK_ANSWER, "<think>a</think> so <answer>b</answer>", "text between </think> and <answer>"),
        (THINK_ANSWER, "<answer>b</answer><think>a</think>", "the blocks do not stand in the order think, answer"),
        (THINK_ANSWER, "<think>a<answer>b</think></answer>", "the blocks do not stand in the order think, answer"),
        (THINK_ANSWER, "<THINK>a</THINK><answer>b</answer>", "no think block"),
        (THINK_TEXT_ANSWER, "<think>a</think>\n<answer>b</answer>", "no text between </think> and <answer>"),
        (THINK_THEN_TEXT, "<think>a</think>\n", "no text after </think>"),
        (ANSWER_ONLY, "It is <answer>C</answer>", "text before <answer>"),
        (ANSWER_THINK, "<think>a</think><answer>b</answer>", "the blocks do not stand in the order answer, think"),
        (CAPTION_REASON_ANSWER, "<info></info><think></think><answer>2</answer>", "the info block is empty"),
        (PLAIN_JSON, " \n", "the text is empty"),
        (Grammar(tags=("answer",), after="nothing"), "<answer>C</answer>\n", "whitespace after </answer>"),
        (Grammar(tags=("think", "answer"), between="nothing"), "<think>a</think> <answer>b</answer>",
         "whitespace between </think> and <answer>"),
        (THINK_ANSWER, "<think>" * 20_000 + "</think><answer></answer>", "the think block is not closed"),
        (Grammar(tags=("think", "answer"), may_repeat=True), "<think>" + "</think><answer>" * 9_000 + "</answer>",
         "the answer block is not closed"),
    ],
)  # fmt: skip
def test_grammars_say_precisely_what_is_wrong(grammar, text, why):
    assert (grammar.read(text).value, grammar.read(text).why) == (None, why)


def test_switches_of_a_grammar():
    assert Grammar(tags=("think", "answer"), any_case=True).read("<THINK>a</Think><answer>b</ANSWER>").value == {
        "think": "a",
        "answer": "b",
    }
    empty = dataclasses.replace(THINK_ANSWER, may_be_empty=True)
    assert empty.read("<think></think><answer></answer>").value == {"think": "", "answer": ""}
    assert dataclasses.replace(THINK_TEXT_ANSWER, between="text").read("<think>a</think><answer>b</answer>").value == {
        "think": "a",
        "between": "",
        "answer": "b",
    }
    # AnomalyR1: somewhere in the text a think block directly before an answer block; the last ones count.
    anywhere = Grammar(tags=("think", "answer"), before="text", after="text", may_repeat=True)
    text = "1 <think>a</think> <answer>A</answer> 2 <think>b</think>\n<answer>B</answer> 3"
    assert anywhere.read(text).value == {
        "before": "1 <think>a</think> <answer>A</answer> 2",
        "think": "b",
        "answer": "B",
        "after": "3",
    }
    assert anywhere.read("<think>a</think> so <answer>A</answer>").value is None


def test_an_answer_inside_the_reasoning_is_no_answer():
    assert THINK_ANSWER.read("<think>say <answer>A</answer></think><answer>B</answer>").why == "two answer blocks"
    loose = dataclasses.replace(THINK_ANSWER, may_repeat=True)
    assert loose.read("<think>say <answer>A</answer></think><answer>B</answer>").value == {
        "think": "say <answer>A</answer>",
        "answer": "B",
    }


def test_wrong_grammars_are_refused():
    with pytest.raises(ValueError, match="distinct tags"):
        Grammar(tags=("think", "think"))
    with pytest.raises(ValueError, match="other than before, between and after"):
        Grammar(tags=("between",))
    with pytest.raises(ValueError, match="one of nothing, space, text, some text; got 'anything'"):
        Grammar(tags=("think",), between="anything")


PIECES = st.lists(
    st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", " ", "\n", "7", "x", "<"]), max_size=12
).map("".join)


@given(PIECES)
@settings(max_examples=400)
def test_a_grammar_with_repeats_is_the_lazily_anchored_full_match(text):
    loose = Grammar(tags=("think", "answer"), before="nothing", after="nothing", may_be_empty=True, may_repeat=True)
    spaced = dataclasses.replace(loose, before="space", after="space")
    anywhere = dataclasses.replace(loose, before="text", after="text")
    for candidate in (text, f"<think>{text}</answer>", f"<think>{text}</think><answer>{text}</answer>"):
        assert (loose.read(candidate).value is None) == (layout(candidate, "think", "answer").value is None)
        assert (spaced.read(candidate).value is None) == (layout(candidate.strip(), "think", "answer").value is None)
        found = re.search(r"<think>.*?</think>\s*<answer>.*?</answer>", candidate, re.DOTALL)
        assert (anywhere.read(candidate).value is None) == (found is None)


@given(PIECES)
@settings(max_examples=400)
def test_a_strict_grammar_is_the_full_match_with_one_of_each_tag_and_something_in_each_block(text):
    for candidate in (text, f"<think>{text}</answer>", f"<think>{text}</think><answer>{text}</answer>"):
        match = re.fullmatch(r"\s*<think>(.*)</think>\s*<answer>(.*)</answer>\s*", candidate, re.DOTALL)
        tags = ("<think>", "</think>", "<answer>", "</answer>")
        is_good = match and all(candidate.count(tag) == 1 for tag in tags) and all(part.strip() for part in match.groups())
        expected = dict(zip(("think", "answer"), (part.strip() for part in match.groups()), strict=True)) if is_good else None
        assert THINK_ANSWER.read(candidate).value == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" Final Answer:42 ", "42"),
        ("final answer: B", "B"),
        ("**Final Answer:** B", "B"),
        ("B", "B"),
        ("The Final Answer: B", "The Final Answer: B"),
        ("Final Answer:", None),
        ("", None),
    ],
)
def test_final_answer(text, value):
    assert final_answer(text).value == value


# choices

CHOICES = {
    "A": ["A", "a", "(A)", "A) red", "A. Scratch", "A: red", "The answer is A because it is red", "Answer: A", "It is A.",
          "Answer: A\nThe surface is scratched", "option A", "So the correct option is **A**.", "A is correct", "答案是A"],
    "B": ["B", "(B)", "B)", "B.", "B: text", "answer is B", "option B", r"\boxed{B}", "**B**", "b", "(b)", "b) blue", "$B$",
          r"$\text{B}$", r"\boxed{\text{B}}", r"\boxed{\textbf{(B)}}", "The answer is (B).", "**Answer:** B", "[B]", "'B'",
          "B) red, because (A) is wrong", "The answer is B, and A is incorrect.", "**B.** blue", "B.Blue", "（Ｂ）", "选B",
          r"First \boxed{A}, no: \boxed{B}", "I choose b", "It can't be A. So the answer is B.", "Final Answer:B",
          "A) red\nB) blue\nC) green\nThe answer is B", "the reasoning\n\nB", "Correct choice: B, since it is blue",
          "(B) is the right answer", "I would go with B.", "B (not A)", "B, not A", "B, because A is wrong", "B since it is blue",
          "B.blue", "option b", "ans: B", "B。", "### B", "- B"],
    "D": ["D) \n", "The answer: d.", "d - dent", "So, option (D) is correct", "The correct answer is option D.", "D, \n"],
    None: ["", " ", "E", "(E)", "AB", "A or B", "The answer is A or B", "A) red, B) blue", "A) red B) blue C) white D) black",
           "A\nB\nC\nD", "(A) (B)", "A scratch is visible on the surface", "a scratch", "The answer is A scratch",
           "Answer: A scratch on the surface", "There is a dent", "B-cell lymphoma", "Vitamin D", "Hepatitis B is the correct answer",
           "The answer is not A", "The wrong answer is A", "C++", "P(A) = 0.5", "item(s)", "i.e. this", "A.M.", "D'Artagnan",
           "The answer is B. No, the answer is C.", "<answer>B</answer>", "42", "B red", "A cat, D dog", r"\boxed{7}", "not (B)", "It isn't (B)",
           "B as well as C", "not option B", "B or C, because both fit", "A not so clear picture", "option a or b", "a.out"],
}  # fmt: skip


@pytest.mark.parametrize(("letter", "text"), [(letter, text) for letter, texts in CHOICES.items() for text in texts])
def test_choice(letter, text):
    assert choice(text).value == letter


def test_choices_among_other_options():
    assert choice("E", "ABCDE").value == "E"
    assert choice("the answer is 3", "1234").value == "3"
    assert choice("(2) two", "1234").value == "2"
    assert choice("3.5", "1234").value is None
    assert choice("the answer is 13", "1234").value is None
    assert choice("The answer is I think so", "ABCDEFGHI").value is None
    assert choice("answer: k", "abcdefghijk").value == "k"
    assert choice("i̇", "İJ").value == "İ"  # whose small letter is another in capitals
    assert choice("B", ["a", "b"]).value == "b"  # as written in options
    for options in ("", "Aa", [""], [str(n) for n in range(65)]):
        with pytest.raises(ValueError, match="distinct letters"):
            choice("A", options)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("red", "A"), ("Red.", "A"), ("The answer is blue  car", "B"), ("Answer: red", "A"), ("-5", "C"), ("5", "D"),
        ("A) red", "A"), ("(b) Blue car.", "B"), ("C", "C"), (r"\boxed{red}", "A"), (r"\boxed{B) blue car}", "B"),
        ("B) red", None), ("C) 5", None), ("blue", None), ("not red", None), ("both", None),
    ],
)  # fmt: skip
def test_choice_by_the_words_of_the_options(text, letter):
    assert choice(text, {"A": "red", "B": "blue car", "C": "-5", "D": "5", "E": "both", "F": "Both"}).value == letter


def test_choice_says_why():
    assert choice("").why == "the text is empty"
    assert choice("a dent").why == "no option is named"
    assert choice("(A) or (C)").why == "several options are named: A, C"
    assert choice("B) red", {"A": "red", "B": "blue"}).why == "names B with the words of A"
    assert choice("both", {"A": "both", "B": "Both"}).why == "the words are those of A and B"


def test_the_last_part_of_a_very_long_text_is_read():
    assert choice("A) red. " + "blah " * 20_000 + "The answer is C.").value == "C"
    assert choice("B " * 40_000).value is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True), ("No.", False), ("**Yes**", True), (" YES!\n", True), ("(no)", False), (r"\boxed{yes}", True),
        ("Yes, there is no dent", True), ("No dent", False), ("The answer is no", False), ("The answer: yes.", True),
        ("The answer is no because it is whole", False), ("Is it? Yes.", True), ("yes yes", True), ("_Yes_", True),
        ("there is no dent", None), ("yes/no", None), ("yes|no", None), ("Yes or no", None), ("not yes", None), ("Yes, no doubt.", True), ("no, yes", None), ("yes and no", None),
        ("Yes it is. No it is not.", None), ("No. 5 is bad", None), ("nobody", None), ("yes-man", None), ("noyes", None),
        (r"Yes, it looks so at first. \boxed{no}", False), ("", None), ("maybe", None), ("not", None), ("it could be yes, it could be no.", None),
    ],
)  # fmt: skip
def test_yes_no(text, value):
    assert yes_no(text).value is value


# quantities

QUANTITIES = [
    ("1,234", 1234, ""), ("1 234", 1234, ""), ("1,234.5", 1234.5, ""), ("12,345,678", 12345678, ""), ("1{,}234", 1234, ""),
    ("-3", -3, ""), ("−3", -3, ""), ("minus 3", -3, ""), ("Negative 1/2", -0.5, ""), ("+3.50", 3.5, ""), (".5", 0.5, ""), ("5.", 5, ""), ("007", 7, ""),
    ("45%", 45, "%"), ("45 %", 45, "%"), (r"45\%", 45, "%"), ("23.2%", 23.2, "%"), ("50 percent", 50, "%"),
    ("1/2", 0.5, ""), ("3 1/2", 3.5, ""), ("-3 1/2", -3.5, ""), (r"\frac{1}{2}", 0.5, ""), (r"-\dfrac{3}{4}", -0.75, ""),
    (r"3\frac{1}{2}", 3.5, ""), (r"\frac12", 0.5, ""), ("½", 0.5, ""), ("2½", 2.5, ""), (r"\frac{-1}{2}", -0.5, ""),
    ("1e3", 1000, ""), ("1.2E-3", 0.0012, ""), (r"1.2 \times 10^{3}", 1200, ""), ("1.2×10^-3", 0.0012, ""), ("10^3", 1000, ""),
    ("$5", 5, "$"), ("-$5", -5, "$"), ("$-5", -5, "$"), (r"\$1,234.50", 1234.5, "$"), ("€ 5", 5, "€"), ("5 €", 5, "€"),
    ("12.5 cm", 12.5, "cm"), ("12.5cm.", 12.5, "cm"), ("30°", 30, "°"), (r"30^\circ", 30, "°"), (r"30^{\circ}", 30, "°"),
    ("20 °C", 20, "°C"), (r"6\text{ m}", 6, "m"), ("60 km/h", 60, "km/h"), ("3 square meters", 3, "square meters"),
    ("9.8 m/s^2", 9.8, "m/s^2"), ("3 apples", 3, "apples"), ("5 million", 5, "million"),
    ("x = 5", 5, ""), ("$x=5$", 5, ""), (r"\(x = \frac{1}{4}\)", 0.25, ""), ("∠ABC = 30°", 30, "°"), ("AB ≈ 2.5 cm", 2.5, "cm"),
    ("**7**", 7, ""), ("$5$", 5, ""), ("$$7$$", 7, ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value", "unit"), QUANTITIES)
def test_quantity(text, value, unit):
    assert quantity(text).value == Quantity(pytest.approx(value, rel=1e-12), unit, unit == "%")


@pytest.mark.parametrize(
    "text",
    ["", "-", "%", "$", "°", "x", "x =", "1,2", "1,23", "1,234,5", "1234,567", "1 2", "1234 567", "1.2.3", "1:2", "1/2/3", "1/0", "--7",
     "5x", "2π", "3i", "5th", "7 is it 8", "2 or 3", "nan", "inf", "1e999", "10^999", "٣", "1_000", "0x10", "x=y=5", "= 5", "(2, 3)",
     r"\sqrt{2}", r"2\pi", r"\frac{1}{x}", "9" * 129, "5\n6"],
)  # fmt: skip
def test_no_quantity(text):
    assert quantity(text).value is None


def test_why_there_is_no_quantity():
    assert quantity("1/0").why == "a division by zero"
    assert quantity("5x").why == "'x' is no unit"
    assert quantity("1e999").why == "a number beyond all bounds"
    assert quantity("9" * 129).why == "too long for a quantity"
    assert quantity("1,2").why == "not a quantity"


def test_a_percent_is_its_value_and_its_share():
    """Visionary-R1, pitfall 9: 23.2% against 23.2 scored 0 there, as the percent alone was divided."""
    percent, number = quantity("23.2%").value, quantity("23.2").value
    assert (percent.value, percent.is_percent, number.value, number.is_percent) == (23.2, True, 23.2, False)
    assert (percent.share, number.share) == (pytest.approx(0.232), 23.2)


def test_quantities():
    text = "from -3 to +4.5, then 7-3 and x-2, .5 and 1e2; (1)-2 v1.2"
    assert [found.value for found in quantities(text)] == [-3, 4.5, 7, 3, 2, 0.5, 100, 1, 2, 1.2]
    text = r"3 cm, 45% of $1,234 at 30°: 1/2 or \frac{3}{4}, $5$; 3 apples, 100, 200, 1 234.5 and 12cm, 5th, 1/0, 7 in all"
    assert [(found.value, found.unit) for found in quantities(text)] == [
        (3, "cm"), (45, "%"), (1234, "$"), (30, "°"), (0.5, ""), (0.75, ""), (5, ""), (3, ""), (100, ""), (200, ""),
        (1234.5, ""), (12, "cm"), (5, ""), (7, ""),
    ]  # fmt: skip
    assert quantities("none") == quantities("") == quantities("1e999 " + "9" * 200) == []
    assert len(quantities("1; " * 5000)) == 1000


# LaTeX


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"so \boxed{5}", "5"), (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"), (r"\boxed{a_{b_{c}}} and so on", "a_{b_{c}}"),
        (r"\boxed{1} or \boxed{ 2 }", "2"), (r"\fbox{B}", "B"), (r"\boxed {7}", "7"), (r"$\boxed 5$", "5"), (r"\boxed 42.", "42"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"), (r"\boxed{\boxed{3}}", r"\boxed{3}"), (r"\boxed{x = \fbox{3}}", r"x = \fbox{3}"),
        (r"\boxed{\text{the last \boxed{5}", "5"), (r"\\boxed{3}", "3"), (r"\boxed{5\\}", r"5\\"), ("\\boxed{\n5\n}", "5"),
        (r"\boxed", None), (r"\boxed{", None), (r"\boxed{5", None), (r"\boxed{4} \boxed{\frac{1}{", None), (r"\boxed{}", None),
        (r"\boxedx{5}", None), ("boxed{5}", None), ("", None), (r"\boxed{ }", None),
    ],
)  # fmt: skip
def test_boxed(text, value):
    assert boxed(text).value == value


def test_why_there_is_no_box():
    assert boxed("5").why == "no box"
    assert boxed(r"\boxed{4} \boxed{5").why == "the last box is not closed"
    assert boxed(r"\boxed{}").why == "the box is empty"
    assert boxed(r"\boxed{" + "1" * 20_000 + "}").value is None
    deep = r"\boxed{" + "{" * 4000 + "1" + "}" * 4000 + "}"
    assert boxed(deep).value == "{" * 4000 + "1" + "}" * 4000


@pytest.mark.parametrize(
    "same",
    [
        ["$5$", "5", "5.", " 5 ", r"\text{5}", "x = 5", "{5}", r"5^\circ", r"5^{\circ}", "5°", r"5\text{ cm}", r"5\mathrm{~cm}^2"],
        [r"\frac{1}{2}", r"\dfrac{1}{2}", r"\tfrac12", r"\frac12", "1/2", r"$\displaystyle \frac { 1 } { 2 }$"],
        [r"-\frac{1}{2}", "-1/2", "−1/2"],
        ["0.5", ".5"],
        ["-0.5", "-.5"],
        [r"\left( 1, 2 \right)", "(1,2)", r"\big(1,2\big)", r"(1,\,2)", r"\[(1, 2)\]"],
        [r"\emptyset", r"\varnothing"],
        [r"\sqrt{3}", r"\sqrt3"],
        ["B", r"\text{B}", r"\textbf{B}.", r"\mathrm{B}"],
        ["50%", r"50\%"],
    ],
)  # fmt: skip
def test_plain_makes_equal_what_is_equal(same):
    assert {plain(text) for text in same} == {plain(same[0])}


def test_plain_keeps_apart_what_differs():
    different = ["5", "-5", "50", "5%", "5x", "x", r"\frac{1}{2}", r"\frac{2}{1}", "(1,2)", "[1,2)", "B", "b", r"\leftarrow", r"\sqrt{5}", "5^2"]
    assert len({plain(text) for text in different}) == len(different)
    assert plain("") == plain("$$") == plain(".") == ""


@given(st.text(alphabet="\\{}$frac12.^ textboxd=°−/", max_size=40))
@settings(max_examples=400)
def test_plain_of_plain_is_at_rest_after_a_few_times(text):
    for _ in range(20):
        text = plain(text)
    assert plain(text) == text


# any text, in linear time

READERS = {
    "think answer": THINK_ANSWER.read,
    "with repeats": Grammar(tags=("think", "answer"), may_repeat=True, any_case=True).read,
    "anywhere": Grammar(tags=("think", "answer"), before="text", between="text", after="text", may_repeat=True).read,
    "three": THINK_ACTION_TOOL_CALL.read,
    "plain json": PLAIN_JSON.read,
    "final answer": final_answer,
    "choice": choice,
    "choice of words": lambda text: choice(text, {"A": "red", "B": "b" * 3000}),
    "yes no": yes_no,
    "quantity": quantity,
    "quantities": quantities,
    "boxed": boxed,
    "plain": plain,
}
HOSTILE = [
    "a", "A", "A ", "(A", "B) ", "answer is ", "answer is A or ", "**", "\n", " \n", "yes ", "no. ", "yes, ", "I ", "and ", "option ",
    "<think>", "</think>", "</think><answer>", "<THINK>", "<", "</", "<answer></answer>", "1", "1 ", "1,111", "1/", "1 1/", "1.1.",
    "10^", "1e", "-", "+$", "$", "US$", "x=", "=", "°", "5 c", "½", "{,}", "\\", "\\frac{1}{", "\\frac", "\\text{", "\\boxed{", "\\boxed",
    "\\boxed ", "\\boxed{}", "\\boxedx", "\\fbox{{", "{}", "{", "}", "^{", "\0", "\ud800", "答案是", "Ａ", "é", "Final Answer:", "٣", "İ",
]  # fmt: skip


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@given(text=st.text() | PIECES | st.text(alphabet="AB()[]{}\\boxedfrac$%°.,:;/ -+0123=^*_\n<>'\"", max_size=200))
def test_any_text_gets_an_answer(read, text):
    read(text)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_reading_time_is_linear(read):
    """A tenth of a megabyte takes a hundredth of a second; a quadratic reader would take a minute."""
    for unit in HOSTILE:
        for wrap in ("{}", "<think>{}</think><answer>1</answer>", "\\boxed{{{}}}"):
            text = wrap.format(unit * (100_000 // len(unit)))
            assert any(seconds(read, text) < 0.04 for _ in range(4)), (wrap, unit)


@pytest.mark.parametrize(
    ("read", "unit"),
    [
        ("with repeats", "</think><answer>"), ("choice", "A "), ("choice", "answer is "), ("choice of words", "(A"), ("yes no", "no. "),
        ("quantities", "$"), ("quantities", "\\"), ("boxed", "\\boxed{"), ("boxed", "{"), ("plain", "\\"), ("plain", "\\text{"),
    ],
)  # fmt: skip
def test_a_hostile_megabyte_takes_less_than_a_fifth_of_a_second(read, unit):
    text = unit * (1_000_000 // len(unit))
    assert any(seconds(READERS[read], text) < 0.2 for _ in range(4))


def seconds(read, text: str) -> float:
    """Process time, so that a busy machine does not count."""
    start = time.process_time()
    read(text)
    return time.process_time() - start
