"""The view of held-out sets in a real browser: two moments or two runs compared sample by sample, tables, cases, and what it reckons with."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saccade.report.serve import serving
from saccade.run.files import take_lock
from saccade.run.stats import mcnemar, paired_interval, wilson
from tests.browser import runs

Line = dict[str, Any]


def lines_of(run: Path, name: str, moment: str) -> list[Line]:
    """Lines of evaluations.jsonl of a set at a moment."""
    rows = map(json.loads, (run / "evaluations.jsonl").read_text().splitlines())
    return [row for row in rows if row["set"] == name and row["moment"] == moment]


def scores_of(lines: list[Line]) -> np.ndarray:
    return np.array([line["score"] or 0.0 for line in lines])


def fates(page: Any) -> list[int]:
    """Right both times, lost, won, wrong both times: as the table of four shows them."""
    return [int(text.replace(",", "")) for text in page.locator(".fates td.fate b").all_inner_texts()]


def cases(page: Any) -> list[str]:
    """Names of the cases that are drawn in the list."""
    page.locator("#cases").scroll_into_view_if_needed()
    page.wait_for_timeout(80)
    return page.locator(".case-row .case-row-head .said").all_inner_texts()


def words(text: str) -> str:
    return " ".join(text.split())


def evaluated(path: Path, *, sets: dict[str, list[Line]]) -> Path:
    """A run's folder with these lines of evaluations.jsonl; a line needs only what it is about."""
    run = runs.RunWriter(path)
    run.write("command.json", {"recipe": "mine"})
    usual = {"step": 0, "kind": "word", "prompt": "Which word?", "pictures": [], "target": "cat", "tokens": 9, "stop": "eos", "scores": {}, "sampled": []}
    for name, lines in sets.items():
        run.append("evaluations.jsonl", [{**usual, "set": name, **line} for line in lines])
    run.append("metrics.jsonl", [{"run/stage": "rl", "run/step": 1, "run/total_steps": 1, "reward/mean": 0.5}])
    run.append("rollouts.jsonl", [])
    return run.path


# ---- what it reckons with


@pytest.mark.parametrize(
    ("lost", "won", "p"),
    # scipy 1.17.1: binomtest(lost, lost + won, 0.5).pvalue
    [(1, 11, 0.00634765625), (15, 44, 0.00020372185740785698), (0, 5, 0.0625), (3, 3, 1.0), (0, 0, 1.0), (40, 61, 0.046044066929342785),
     (480, 560, 0.014259079095385853), (49_500, 50_500, 0.0015823598788515154), (49_000, 51_000, 2.5887160383468943e-10), (10, 2000, 0.0)],
)  # fmt: skip
def test_mcnemar_is_the_exact_binomial_test(call: Callable[..., Any], lost: int, won: int, p: float) -> None:
    assert call("stats", "mcnemar", lost, won) == pytest.approx(p, rel=1e-7, abs=1e-300)
    assert call("stats", "mcnemar", won, lost) == call("stats", "mcnemar", lost, won)
    if lost + won < 2000:
        before, after = [1] * lost + [0] * won, [0] * lost + [1] * won
        assert call("stats", "mcnemar", lost, won) == pytest.approx(mcnemar(before, after).p if before else 1.0, rel=1e-9)


def test_intervals_are_those_of_the_run(call: Callable[..., Any]) -> None:
    random = np.random.default_rng(0)
    for n in (1, 2, 14, 30, 500):
        before, after = (random.integers(0, 2, n).tolist() for _ in range(2))
        found, expected = call("stats", "pairedDifference", before, after), paired_interval(before, after)
        assert [found["low"], found["high"]] == pytest.approx([expected.low, expected.high], abs=1e-6)
        assert found["method"] == "Agresti and Min"
        one, own = call("stats", "meanEstimate", after), wilson(sum(after), n)
        assert [one["mean"], one["low"], one["high"]] == pytest.approx([sum(after) / n, own.low, own.high], abs=1e-6)

    before, after = (random.random(400).round(4).tolist() for _ in range(2))  # partial scores: close to the run's bootstrap
    found, expected = call("stats", "pairedDifference", before, after), paired_interval(before, after)
    width = expected.high - expected.low
    assert [found["low"], found["high"]] == pytest.approx([expected.low, expected.high], abs=0.06 * width)
    assert found["method"] == "normal"

    same = call("stats", "pairedDifference", [0.5] * 6, [0.5] * 6)  # nothing changed on six samples is no certainty
    assert same["mean"] == 0 and same["low"] < -0.2 and same["high"] > 0.2
    few = call("stats", "meanEstimate", [0.9, 0.9])
    assert few["low"] < 0.4 and few["high"] > 0.95
    assert call("stats", "meanEstimate", []) is None


def test_an_answer_is_read_from_its_last_section_in_no_time(call: Callable[..., Any]) -> None:
    cases = {
        "<think>4</think><answer> 5\n6 </answer>": "5 6", "<answer>1</answer> no, <answer>2</answer>": "2", "plain  words": "plain words",
        "<answer>cut of": "<answer>cut of", "</answer>": "</answer>", "<answer></answer>": "",
    }  # fmt: skip
    for text, said in cases.items():
        assert call("measured", "answerOf", {"text": text}) == said
    begun = time.perf_counter()
    for text in ("x" * 300_000, "<answer>" * 40_000, "</answer>" * 40_000):
        call("measured", "answerOf", {"text": text})
    assert time.perf_counter() - begun < 3  # a pattern that tries every start needs minutes


# ---- what a reader sees


def test_two_moments_are_compared_sample_by_sample(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    before, after = (lines_of(finished, "test-shifted", moment) for moment in ("before", "rl"))
    was, now = scores_of(before), scores_of(after)
    page = show(finished, at="#/evaluation")

    def expected(threshold: float) -> list[int]:
        a, b = was >= threshold, now >= threshold
        return [int(some.sum()) for some in (a & b, a & ~b, ~a & b, ~a & ~b)]

    assert fates(page) == expected(0.5)
    card = page.locator(".pair-card")
    _, lost, won, _ = expected(0.5)
    expect(card).to_contain_text(f"Of 14 samples, {won} went from wrong to right and {lost} from right to wrong.")
    expect(card).to_contain_text(f"{mcnemar([1] * lost + [0] * won, [0] * lost + [1] * won).p:.2g}"[:5])
    expect(card).to_contain_text(f"before training {100 * was.mean():.1f} %")
    expect(card).to_contain_text(f"Difference +{100 * (now.mean() - was.mean()):.1f} points")
    expect(card).to_contain_text(f"{(now > was).sum()} rose, {(now == was).sum()} stayed, {(now < was).sum()} fell")

    page.get_by_label("An answer counts as right").fill("0.9")
    page.keyboard.press("Enter")
    expect(page.locator(".fates td.fate b").first).to_have_text(str(expected(0.9)[0]))
    assert fates(page) == expected(0.9) != expected(0.5)
    page.get_by_label("An answer counts as right").fill("7")  # no score is above 1
    page.keyboard.press("Enter")
    expect(page.locator(".fates td.fate b").first).to_have_text(str(expected(1.0)[0]))

    page.get_by_label("Held-out set").select_option("val")
    page.get_by_role("combobox", name="From", exact=True).select_option("0:sft")
    page.get_by_role("combobox", name="To", exact=True).select_option("0:rl-6")
    sft, checkpoint = (scores_of(lines_of(finished, "val", moment)) for moment in ("sft", "rl-6"))
    expect(card).to_contain_text(f"after sft {100 * sft.mean():.1f} %")
    expect(card).to_contain_text(f", rl-6 {100 * checkpoint.mean():.1f} %")
    page.get_by_role("button", name="Swap the two moments").click()
    expect(card).to_contain_text(f"rl-6 {100 * checkpoint.mean():.1f} %")
    sign = "+" if sft.mean() > checkpoint.mean() else "−"
    expect(card).to_contain_text(f"Difference {sign}{abs(100 * (sft.mean() - checkpoint.mean())):.1f} points")


def test_a_flipped_sample_is_read_with_both_answers(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    before, after = (lines_of(finished, "test-shifted", moment) for moment in ("before", "rl"))
    won = [n for n, (a, b) in enumerate(zip(scores_of(before), scores_of(after), strict=True)) if a < 0.5 <= b]
    page = show(finished, at="#/evaluation?which=right")
    page.locator(".fates td.good a").click()
    expect(page.locator(".cases-head [role=status]")).to_have_text(f"{len(won)} of 14")
    assert cases(page) == [before[n]["sample"] for n in won][: len(cases(page))]
    assert page.get_by_label("Which cases").input_value() == "won"

    page.locator(".case-row").nth(1).click()
    a, b = before[won[1]], after[won[1]]
    reading = page.locator(".case-reading")
    expect(reading.locator("h3")).to_have_text(a["sample"])
    for line, name in ((a, "before training"), (b, "after rl")):
        side = reading.get_by_role("region", name=name)
        expect(side).to_contain_text(line["scores"]["accuracy"]["why"])
        expect(side).to_contain_text(re.search(r"<answer>([^<]*)", line["text"])[1])
        expect(side.locator(".case-score")).to_have_text(re.compile(rf"^{line['score']:.3g}"[:4]))
    expect(reading.locator("img").first).to_be_visible()
    if a["marks"] and b["marks"]:
        expect(reading.locator("svg > .drawn.tone-0").first).to_be_attached()
        expect(reading.locator("svg > .drawn.tone-1").first).to_be_attached()
    assert "case=" in page.url

    page.locator(".case h3").click()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(reading.locator("h3")).to_have_text(before[won[2]]["sample"])
    page.get_by_role("combobox", name="From", exact=True).select_option("0:sft")  # another moment: the sample stays open, be it listed or not
    expect(reading.locator("h3")).to_have_text(before[won[2]]["sample"])
    expect(reading.get_by_role("region", name="after sft")).to_be_visible()

    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.get_by_label("Search in prompts").fill("no such words")
    expect(page.locator("#cases")).to_contain_text("No such sample has these words.")


def test_cases_are_sorted_and_shown_as_a_gallery(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    before, after = (lines_of(finished, "test-shifted", moment) for moment in ("before", "rl"))
    names, was, now = [line["sample"] for line in after], scores_of(before), scores_of(after)
    sampled = np.array([np.mean([value or 0.0 for value in line["sampled"]]) for line in after])
    page = show(finished, at="#/evaluation?which=worst", height=1200)
    for which, order in {"worst": now, "best": -now, "fell": now - was, "rose": was - now, "sampled": sampled, "apart": -abs(now - sampled)}.items():
        page.get_by_label("Which cases").select_option(which)
        expect(page.locator(".case-reading h3")).to_have_text(names[int(np.argmin(order.round(9)))])
        drawn = cases(page)
        assert drawn == [names[n] for n in np.argsort(order.round(9), kind="stable")][: len(drawn)]

    page.get_by_label("Which cases").select_option("worst")
    page.get_by_role("button", name="gallery").click()
    tiles = page.locator(".tile")
    expect(tiles.first).to_be_visible()
    assert tiles.count() == 14
    assert page.locator(".case-reading").count() == 0
    worst = names[int(np.argmin(now))]
    expect(tiles.first).to_contain_text(worst)
    tiles.first.click()
    expect(page.locator(".case-reading h3")).to_have_text(worst)
    page.get_by_role("button", name="All cases").click()
    expect(tiles.first).to_be_visible()


def test_kinds_are_a_table_that_sorts_and_chooses(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    before, after = (lines_of(finished, "test-shifted", moment) for moment in ("before", "rl"))
    kinds = sorted({line["kind"] for line in after})
    mean = {kind: scores_of([line for line in after if line["kind"] == kind]).mean() for kind in kinds}
    page = show(finished, at="#/evaluation")
    rows = page.locator(".kinds tbody tr")
    expect(rows).to_have_count(len(kinds))
    page.get_by_role("button", name="Kind", exact=True).click()
    assert rows.locator("th").all_inner_texts() == kinds
    header = page.locator(".kinds thead th").nth(4)
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    assert [mean[kind] for kind in rows.locator("th").all_inner_texts()] == sorted(mean.values(), reverse=True)
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    assert [mean[kind] for kind in rows.locator("th").all_inner_texts()] == sorted(mean.values())

    kind = "click"
    own = [[line for line in lines if line["kind"] == kind] for lines in (before, after)]
    row = rows.filter(has=page.get_by_role("button", name=kind, exact=True))
    low, high = wilson(int(scores_of(own[1]).sum()), len(own[1]))
    expect(row).to_contain_text(f"{100 * scores_of(own[1]).mean():.1f} % [{100 * low:.0f}, {100 * high:.0f}]")
    cut = [100 * np.mean([line["stop"] == "length" for line in lines]) for lines in own]
    form = [100 * np.mean([line["scores"]["format"]["value"] for line in lines]) for lines in own]
    assert [words(text) for text in row.locator("td").all_inner_texts()[-2:]] == [f"{x:.0f} → {y:.0f} %" for x, y in (form, cut)]

    page.get_by_role("button", name=kind, exact=True).click()
    page.get_by_label("Which cases").select_option("best")
    expect(page.locator(".cases-head [role=status]")).to_have_text("2 of 14")
    formats = [np.mean([line["scores"]["format"]["value"] for line in lines]) for lines in own]
    assert words(page.locator(".habits tbody tr", has_text="format, mean").inner_text()) == f"format, mean {formats[0]:g} {formats[1]:g}"
    page.locator(".cases-head .chip").click()
    expect(page.locator(".cases-head [role=status]")).to_have_text("14 of 14")


def test_short_answers_make_a_confusion_table(show: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    said = [("2", "2"), ("2", "3"), ("2", "3"), ("10", "10"), ("10", "many"), ("3", " 3 "), ("3", "2")]

    def lines(moment: str, step: int) -> list[Line]:
        return [
            {"moment": moment, "step": step, "sample": f"count/{n}", "target": target, "score": float(answer.strip() == target),
             "text": f"<think>2</think><answer>{answer if moment == 'rl' else 'dunno'}</answer>", "kind": "__proto__" if n % 2 else "count"}
            for n, (target, answer) in enumerate(said)
        ]  # fmt: skip

    run = evaluated(tmp_path / "counts", sets={"test": lines("before", 0) + lines("rl", 5)})
    page = show(run, at="#/evaluation")
    table = page.locator(".confusion")
    assert [words(text) for text in table.locator("thead th").all_inner_texts()] == ["target", "2", "3", "10", "other"]  # numbers in their order
    cells = [[int(text) for text in row.locator("td").all_inner_texts()] for row in table.locator("tbody tr").all()]
    assert cells == [[1, 2, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]]
    expect(page.locator(".common")).to_contain_text("many")
    assert page.locator("#threshold").count() == 0  # scores of 0 and 1 need none
    page.get_by_role("group", name="Answers of which moment").get_by_role("button", name="before training").click()
    expect(page.locator(".common")).to_contain_text("dunno")
    assert [row.locator("td").last.inner_text() for row in table.locator("tbody tr").all()] == ["3", "2", "2"]
    page.get_by_role("button", name="__proto__", exact=True).click()
    expect(page.locator(".cases-head .chip")).to_contain_text("__proto__")
    assert sum(int(text) for text in table.locator("td").all_inner_texts()) == 3


def test_odd_lines_are_counted_and_said(show: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    odd = [
        {"score": None, "target": None, "text": "", "marks": None},
        {"score": "NaN", "target": True, "text": "<answer>" * 50, "sampled": [None, 0.5], "stop": "world"},
        {"score": 0.25, "target": [], "text": "\u202egnp", "kind": "", "scores": {"__proto__": {"value": 1.0}, "x": None}},
        {"score": 1.0, "target": {"a": {}}, "text": "fine", "kind": "constructor"},
    ]
    lines = [{"moment": moment, "step": step, "sample": f"s/{n}", **one} for moment, step in (("before", 0), ("__proto__", 3)) for n, one in enumerate(odd)]
    del lines[1]["sampled"], lines[2]["scores"]
    run = evaluated(tmp_path / "odd", sets={"toString": lines, "once": [{"moment": "before", "sample": "only", "score": 1.0, "text": "x"}]})
    page = show(run, at="#/evaluation?set=toString&which=worst")
    expect(page.locator(".pair-card")).to_contain_text("No sample changed sides.")
    assert words(page.locator(".habits tbody tr", has_text="could not be scored").inner_text()) == "answers that could not be scored 2 2"
    for n in range(4):
        page.keyboard.press("j") if n else None
        expect(page.locator(".case-reading .case-score").first).to_have_text(("unscored", "unscored", "0.25", "1")[n])
    page.get_by_label("Held-out set").select_option("once")
    expect(page.locator(".picks")).to_contain_text("Both are the same moment")


def test_two_runs_keep_their_colours_and_pair_only_like_samples(show: Any, finished: Path, better: Path, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    page = show(finished, better, at="#/evaluation?set=val")
    a, b = (scores_of(lines_of(run, "val", "rl")) for run in (finished, better))
    card = page.locator(".pair-card")
    expect(card).to_contain_text(f"A, after rl {100 * a.mean():.1f} %")
    expect(card).to_contain_text(f"B, after rl {100 * b.mean():.1f} %")
    keys = page.locator(".bar-key")
    swatches = page.locator("header .swatch")
    for n in range(2):
        assert keys.nth(n).evaluate("one => getComputedStyle(one).backgroundColor") == swatches.nth(n).evaluate("one => getComputedStyle(one).backgroundColor")
    page.get_by_role("combobox", name="To", exact=True).select_option("1:rl-6")
    expect(card).to_contain_text("B, rl-6")

    def lines(targets: str, *, first: int = 0) -> list[Line]:
        return [{"moment": "rl", "step": 3, "sample": f"s/{n + first}", "target": target, "score": 1.0, "text": "x"} for n, target in enumerate(targets)]

    one = evaluated(tmp_path / "one", sets={"test": lines("abcd"), "mine": lines("a")})
    two = evaluated(tmp_path / "two", sets={"test": lines("bxxe", first=1)})
    page = show(one, two, at="#/evaluation?set=test")
    notes = words(page.locator(".picks").inner_text())
    assert "1 sample measured at both moments is compared; 2 samples of only one of them are left out." in notes
    assert "2 samples bear the same name in both runs but have other pictures or another target, and are left out." in notes
    assert sum(fates(page)) == 1
    page.get_by_label("Held-out set").select_option("mine")
    expect(page.locator(".picks")).to_contain_text("Run B has no recorded answers of this set.")


def test_old_begun_and_plain_runs_say_what_is_missing(show: Any, tmp_path: Path, finished: Path) -> None:
    assert "written before single held-out answers were recorded" in show(runs.old(tmp_path / "old"), at="#/evaluation").locator("main").inner_text()
    assert "Nothing held out has been measured yet" in show(runs.begun(tmp_path / "begun"), at="#/evaluation").locator("main").inner_text()
    page = show(tmp_path / "old", finished, at="#/evaluation", dark=True)
    assert "Run A has no recorded answers of this set." in page.locator(".picks").inner_text()
    assert page.locator(".case-list .case-row").count() > 0 or page.locator("#cases").count() == 1


def test_what_is_chosen_stays_while_the_run_grows(look: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    run = runs.RunWriter(tmp_path / "growing")
    run.begin()
    run.measure("before", skill=0.15, step=0)
    with serving(run.path, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        handle = take_lock(run.path / ".lock", busy="")
        try:
            page = look(f"{server.address}#/evaluation?set=val&which=worst")
            expect(page.locator(".picks")).to_contain_text("Both are the same moment")
            run.measure("sft", skill=0.4, step=6)
            expect(page.locator(".pair-card h2")).to_have_text("What changed from before training to after sft")  # the latest, as nothing was chosen
            page.get_by_label("Search in prompts").fill("the")
            page.locator(".case-row").nth(1).click()
            name = page.locator(".case-reading h3").inner_text()
            run.measure("rl", skill=0.8, step=18)
            expect(page.get_by_role("combobox", name="To", exact=True).locator("option")).to_have_count(3)
            expect(page.locator(".pair-card h2")).to_have_text("What changed from before training to after sft")
            expect(page.locator(".case-reading h3")).to_have_text(name)
            assert page.get_by_label("Search in prompts").input_value() == "the"
        finally:
            os.close(handle)
            server.shutdown()


def test_many_samples_open_and_filter_fast(show: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    n = 10_000
    lines = [
        {"moment": moment, "step": step, "sample": f"s/{k}", "score": (k * 7919 % 100) / 100, "text": f"<answer>{k * 31 % 997}</answer>", "target": str(k),
         "kind": f"kind {k % 60}", "sampled": [0.5]}
        for moment, step in (("before", 0), ("rl", 9)) for k in range(n)
    ]  # fmt: skip
    page = show(evaluated(tmp_path / "many", sets={"test": lines}), at="#/evaluation?which=apart")
    expect(page.locator(".pair-card")).to_contain_text("Of 10,000 samples")
    took = page.evaluate("performance.now()")
    assert took < 4000, f"{took:.0f} ms until it was drawn"
    assert page.locator(".case-row").count() < 60
    expect(page.locator("#kinds-title + div + p")).to_contain_text("The first 40 of 60 kinds")
    typed = page.evaluate("""async () => {
      const box = document.getElementById("case-search");
      const begun = performance.now();
      box.value = "s/9999"; box.dispatchEvent(new Event("input"));
      while (document.querySelector(".cases-head [role=status]").textContent !== "1 of 10,000") await new Promise(requestAnimationFrame);
      return performance.now() - begun;
    }""")
    assert typed < 1000, f"{typed:.0f} ms for a search"


def test_a_phone_reads_one_case_at_a_time(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    page = show(finished, at="#/evaluation?which=best", width=390, height=844)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert page.locator(".case-reading").count() == 0
    page.locator("#cases").scroll_into_view_if_needed()
    row = page.locator(".case-row").nth(4)
    row.scroll_into_view_if_needed()
    page.wait_for_timeout(80)
    name, left = row.locator(".case-row-head .said").inner_text(), page.evaluate("() => scrollY")
    row.click()
    expect(page.locator(".case-reading h3")).to_have_text(name)
    assert page.locator(".case-list").count() == 0
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="All cases").click()
    expect(row).to_be_visible()
    page.wait_for_timeout(80)
    assert page.evaluate("() => scrollY") == pytest.approx(left, abs=5)


def test_probes_are_charts_over_checkpoints(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    page = show(finished, at="#/evaluation")
    card = page.locator("section", has=page.locator("#probes-title")).last
    card.scroll_into_view_if_needed()
    chart = card.locator("figure").first
    chart.get_by_role("button", name=re.compile("table", re.IGNORECASE)).click()
    metrics = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    measured = [line["eval/test-shifted/critical_entropy"] for line in metrics if "eval/test-shifted/critical_entropy" in line]
    expect(chart.locator("tbody tr")).to_have_count(len(measured))
    for row, value in zip(chart.locator("tbody tr").all(), measured, strict=True):
        expect(row).to_contain_text(f"{value:.3g} nats")
    expect(card.locator("figure").nth(1)).to_contain_text("Picture gain")
