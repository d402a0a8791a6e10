"""The view of rollouts in a real browser: the list and its filters, a group, tokens, comparisons, and what a phone shows."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import runs

Group = list[dict[str, Any]]


def groups_of(run: Path) -> dict[str, Group]:
    """Group -> its lines of rollouts.jsonl."""
    found: dict[str, Group] = {}
    for line in (run / "rollouts.jsonl").read_text().splitlines():
        row = json.loads(line)
        found.setdefault(row["group"], []).append(row)
    return found


def count(page: Any) -> str:
    return page.locator(".groups-count").inner_text()


def listed(page: Any) -> list[str]:
    """Heads of the rows that are drawn, such as "Step 12 mask 1.63"."""
    return [" ".join(text.split()) for text in page.locator(".group-row-head").all_inner_texts()]


def test_filters_choose_groups_and_live_in_the_address(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    groups = groups_of(finished)
    rewards = {name: [row["reward"] for row in rows if row["reward"] is not None] for name, rows in groups.items()}
    span = max(map(max, rewards.values())) - min(map(min, rewards.values()))
    expected = {
        "Siblings disagree": [max(r) - min(r) >= span / 2 for r in rewards.values()],
        "No signal": [len(set(r)) == 1 and len(r) == len(rows) for r, rows in zip(rewards.values(), groups.values(), strict=True)],
        "Cut off": [any(row["stop"] == "length" for row in rows) for rows in groups.values()],
        "Unscored": [any(row["reward"] is None for row in rows) for rows in groups.values()],
        "Has token traces": [name.endswith("/0") for name in groups],
    }
    page = show(finished, at="#/rollouts")
    assert count(page) == "All 48 groups"
    page.get_by_role("button", name="Filters").click()
    for name, matches in expected.items():
        assert 0 < sum(matches) < 48, name
        page.get_by_label(name).check()
        expect(page.locator(".groups-count")).to_have_text(f"{sum(matches)} of 48 groups")
        page.get_by_label(name).uncheck()

    right = [sum((row["scores"]["accuracy"]["value"] or 0) >= 0.9 for row in rows) for rows in groups.values()]
    some = sum(0 < n < len(rows) for n, rows in zip(right, groups.values(), strict=True))
    page.get_by_role("combobox", name="Answers", exact=True).select_option("some")
    page.get_by_label("Right from this score").fill("0.9")
    expect(page.locator(".groups-count")).to_have_text(f"{some} of 48 groups")
    mixed = [rows[0] for n, rows in zip(right, groups.values(), strict=True) if 0 < n < len(rows)]
    kind = next(row["kind"] for row in mixed if row["step"] >= 3)
    page.get_by_role("combobox", name="Kind", exact=True).select_option(kind)
    page.get_by_label("From step").fill("3")
    both = [row for row in mixed if row["kind"] == kind and row["step"] >= 3]
    expect(page.locator(".groups-count")).to_have_text(f"{len(both)} of 48 groups")
    assert [head.split()[2] for head in listed(page)] == [kind] * len(both)

    page.reload()
    expect(page.locator(".groups-count")).to_have_text(f"{len(both)} of 48 groups")
    page.get_by_role("button", name="Reset").click()
    expect(page.locator(".groups-count")).to_have_text("All 48 groups")
    assert "kind" not in page.url


def test_search_sort_and_keys(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    groups = groups_of(finished)
    page = show(finished, at="#/rollouts")
    page.keyboard.press("/")
    page.keyboard.type('NEAR "Let me look"')
    texts = {name: "\n".join([rows[0]["prompt"], *(row["text"] for row in rows)]) for name, rows in groups.items()}
    found = [name for name, text in texts.items() if "near" in text.lower() and "Let me look" in text]
    assert 0 < len(found) < 48
    expect(page.locator(".groups-count")).to_have_text(f"{len(found)} of 48 groups")
    expect(page.locator(".answer mark").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".groups-count")).to_have_text("All 48 groups")

    page.get_by_label("Order", exact=True).select_option("worst")
    means = {name: [row["reward"] for row in rows if row["reward"] is not None] for name, rows in groups.items()}
    worst = sorted(means, key=lambda name: sum(means[name]) / len(means[name]))
    expect(page.locator(".group h3")).to_contain_text(f"Step {groups[worst[0]][0]['step']}")
    page.locator(".group h3").click()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator(".group-walk")).to_contain_text("2 of 48")
    assert worst[1].replace("/", "%2F") in page.url
    assert page.locator(".group-row[aria-current]").count() == 1


def test_a_group_shows_reasons_sections_and_marks(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    groups = groups_of(finished)
    name = next(name for name, rows in groups.items() if rows[0]["kind"] == "box" and len({row["reward"] for row in rows}) == 4 and "length" in {row["stop"] for row in rows})
    rows = groups[name]
    page = show(finished, at=f"#/rollouts?group={name}")
    cards = page.locator(".sibling")
    order = sorted(range(4), key=lambda n: (-rows[n]["reward"], n))
    assert [text.strip() for text in cards.locator("h5").all_inner_texts()] == [f"#{n + 1}" for n in order]
    best = rows[order[0]]
    expect(cards.first).to_contain_text(best["scores"]["accuracy"]["why"])
    expect(cards.first.locator(".scores .tag")).to_have_text("by box")
    expect(cards.first.locator(".advantage")).to_contain_text(f"+{best['advantage']:.3g}")
    cut = next(n for n in order if rows[n]["stop"] == "length")
    expect(page.get_by_label(f"Answer {cut + 1}", exact=True)).to_contain_text("never closed")

    # The gold box is drawn where the file says, measured on the picture itself.
    page.wait_for_selector(".question .picture-frame .drawn.gold rect.ink")
    image, box = (page.locator(f".question .picture-frame {what}").first.bounding_box() for what in ("img", ".drawn.gold rect.ink"))
    x1, y1, x2, y2 = rows[0]["gold"][0]["box"]
    drawn = [(box["x"] - image["x"]) / image["width"], (box["y"] - image["y"]) / image["height"], box["width"] / image["width"], box["height"] / image["height"]]
    assert drawn == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=0.015)
    predicted = page.locator(".question .drawn.tone-0")
    assert predicted.count() == sum(len(row.get("marks", [])) for row in rows) + 1  # and the line of the legend
    cards.first.hover()
    expect(page.locator(".question svg > .drawn.is-faint")).to_have_count(3)
    page.get_by_role("button", name=re.compile("^predicted")).click()
    expect(predicted).to_have_count(1)

    page.get_by_role("button", name="as sampled").click()
    expect(cards.locator("h5").first).to_have_text("#1")
    asked = next(name for name, rows in groups.items() if rows[0].get("asked"))
    page.goto(page.url.split("#")[0] + f"#/rollouts?group={asked}")
    page.get_by_text("A judge was asked").first.click()
    expect(page.locator(".exchange").first).to_contain_text("Does this answer follow from the picture?")


def test_forced_words_turns_and_full_size(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    groups = groups_of(finished)
    forced = next(name for name, rows in groups.items() if rows[0].get("forced") and not rows[0].get("turns") and len(rows[0]["pictures"]) == 2)
    page = show(finished, at=f"#/rollouts?group={forced}&order=sampled")
    expect(page.locator(".sibling").first.locator(".forced")).to_have_text("Wait, let me check that again.")
    expect(page.locator(".sibling").first).to_contain_text("8 more forced")
    assert page.locator(".question figure").count() == 2

    turns = next(name for name, rows in groups.items() if rows[0].get("turns"))
    page.goto(page.url.split("#")[0] + f"#/rollouts?group={turns}")
    first = page.locator(".sibling").first
    expect(first.locator(".transcript li")).to_have_count(3)
    expect(first.locator(".transcript .by-world img")).to_be_visible()
    assert page.locator(".question figure").count() == 1  # the later screen is shown in its turn

    page.get_by_role("button", name="Open full size: picture of the sample").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("160 × 240 as the model saw it")
    fit = dialog.locator("img").bounding_box()["width"]
    page.keyboard.press("+")
    page.wait_for_timeout(100)
    assert dialog.locator("img").bounding_box()["width"] == pytest.approx(1.5 * fit, rel=0.02)
    page.keyboard.press("j")  # the list does not walk behind an open dialog
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert turns.replace("/", "%2F") in page.url or turns in page.url


def test_tokens_are_coloured_and_their_values_read(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    traces = [json.loads(line) for line in (finished / "tokens.jsonl").read_text().splitlines()]
    trace = next(trace for trace in traces if trace["change"][2] is not None and trace["sibling"] == 0)
    page = show(finished, at=f"#/rollouts?group={trace['group']}&order=sampled")
    page.get_by_role("button", name="Log-prob change").click()
    first = page.locator(".sibling").first
    tokens = first.locator(".token")
    expect(tokens).to_have_count(len(trace["pieces"]))
    sizes = [abs(value) for value in trace["change"]]
    strong, weak = sizes.index(max(sizes)), sizes.index(min(sizes))
    alpha = [float(re.findall(r"[\d.]+", tokens.nth(n).evaluate("one => getComputedStyle(one).backgroundColor"))[3:][0]) for n in (strong, weak)]
    assert alpha[0] == pytest.approx(0.5, abs=0.01) and alpha[1] < 0.25
    side = "goes-up" if trace["change"][strong] > 0 else "goes-down"
    assert side in tokens.nth(strong).get_attribute("class")

    first.locator(".tokens").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    values = first.locator(".token-values")
    expect(values).to_contain_text(f"entropy {trace['entropy'][2]:.3g}")
    expect(values).to_contain_text(f"log-prob −{-trace['logp'][2]:.3g}")
    first.get_by_role("button", name="As a table").click()
    assert first.locator("tbody tr").count() == len(trace["pieces"])

    other = trace["group"].replace("/0", "/1")
    page.goto(page.url.split("#")[0] + f"#/rollouts?group={other}")
    expect(page.locator(".answers-bar")).to_contain_text("This group has no token traces. Nearest with some: step")
    page.locator(".answers-bar a").first.click()
    expect(page.get_by_role("button", name="Log-prob change")).to_be_enabled()


def test_two_groups_of_a_sample_are_compared_word_by_word(show: Any, finished: Path, better: Path) -> None:
    from playwright.sync_api import expect

    groups, others = groups_of(finished), groups_of(better)
    page = show(finished, better, at="#/rollouts?group=rl-3/0&in=1")
    expect(page.locator(".group h3")).to_contain_text("B · Step 3")
    page.get_by_label("Compare with another group of this sample").select_option("0:rl-3/0")
    sides = page.locator(".compare-side")
    expect(sides.nth(0).locator("h4")).to_contain_text("A · rl step 3")  # run A stands left
    expect(sides.nth(1).locator("h4")).to_contain_text("B · rl step 3")
    sides.nth(0).get_by_role("combobox").select_option("0")
    sides.nth(1).get_by_role("combobox").select_option("2")
    left, right = groups["rl-3/0"][0], others["rl-3/0"][2]
    for side, row, mark in ((0, left, "del"), (1, right, "ins")):
        words = set(re.findall(r"\d+(?:\.\d+)?|\w+", row["text"]))
        marked = set(re.findall(r"\d+(?:\.\d+)?|\w+", " ".join(sides.nth(side).locator(mark).all_inner_texts())))
        missing = words - set(re.findall(r"\d+(?:\.\d+)?|\w+", (right if side == 0 else left)["text"]))
        assert missing <= marked <= words
    row = page.locator(".compare-scores tbody tr").first
    difference = float(row.locator("td").nth(2).inner_text().replace("−", "-").replace("+", ""))
    assert difference == pytest.approx(right["reward"] - left["reward"], abs=0.006)
    page.get_by_text("Back to the group").click()
    expect(page.locator(".group h3")).to_contain_text("B · Step 3")

    page.get_by_role("button", name="Filters").click()
    page.get_by_role("combobox", name="Run", exact=True).select_option("1")
    expect(page.locator(".groups-count")).to_have_text("48 of 96 groups")


def test_a_phone_shows_the_list_then_the_group(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    page = show(finished, at="#/rollouts", width=390, height=844)

    def assert_nothing_sideways() -> None:
        assert page.evaluate("() => document.documentElement.scrollWidth") <= 390

    assert page.locator(".group").count() == 0
    assert_nothing_sideways()
    page.mouse.wheel(0, 1500)
    page.wait_for_timeout(300)
    before = page.evaluate("() => scrollY")
    assert before > 1000
    page.locator(".group-row").nth(9).click()
    expect(page.locator(".group h3")).to_be_visible()
    assert page.locator(".group-row").count() == 0
    assert_nothing_sideways()
    page.get_by_text("All groups").click()
    expect(page.locator(".group-row").first).to_be_visible()
    page.wait_for_timeout(100)
    assert page.evaluate("() => scrollY") == pytest.approx(before, abs=5)
    page.get_by_role("button", name="Filters").click()
    assert_nothing_sideways()
    page.goto(page.url.split("#")[0] + "#/rollouts?group=rl-11/3&with=0:rl-5/1")
    expect(page.locator(".compare-side").first).to_be_visible()
    assert_nothing_sideways()


def test_old_begun_and_imitation_only_runs_say_what_is_missing(show: Any, tmp_path: Path) -> None:
    old = show(runs.old(tmp_path / "old"), at="#/rollouts", dark=True)
    assert "before marks, sizes and traces were recorded" in old.locator(".question").inner_text()
    assert "This run has no token traces" in old.locator(".answers-bar").inner_text()
    imitation = show(runs.sft_only(tmp_path / "sft"), at="#/rollouts")
    assert "no RL stage" in imitation.locator("main").inner_text()
    begun = show(runs.begun(tmp_path / "begun"), at="#/rollouts")
    assert "No rollouts" in begun.locator("main").inner_text()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[runs.RunWriter, str]]:
    """A run that is being written, and the address of its page."""
    from saccade.report.serve import Server
    from saccade.run.files import take_lock

    run = runs.RunWriter(tmp_path / "growing")
    lock = take_lock(run.path / ".lock", busy="")  # it trains: the page asks every two seconds
    run.begin()
    run.rl_step(1)
    server = Server(run.path, 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield run, server.address
    server.shutdown()
    thread.join()
    server.server_close()
    os.close(lock)


def test_new_groups_wait_until_they_are_asked_for(served: tuple[runs.RunWriter, str], look: Any) -> None:
    from playwright.sync_api import expect

    run, address = served
    page = look(f"{address}#/rollouts")
    expect(page.locator(".groups-count")).to_have_text("All 4 groups")
    page.locator(".group-row").nth(2).click()
    read = page.locator(".group-about").inner_text()
    run.rl_step(2)
    run.rl_step(3)
    button = page.get_by_role("button", name="8 new groups")
    expect(button).to_be_visible(timeout=10_000)
    assert count(page) == "All 4 groups" and page.locator(".group-about").inner_text() == read
    button.click()
    expect(page.locator(".groups-count")).to_have_text("All 12 groups")
    assert page.locator(".group-about").inner_text() == read
    assert listed(page)[0].startswith("Step 3")
