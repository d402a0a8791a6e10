"""What a person sees of the overview: what the run is and how it went, every metric, and two runs compared."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser import runs

expect = pytest.importorskip("playwright.sync_api").expect

AXE = """() => {
  const levels = [...document.querySelectorAll("main h2, main h3, main h4")].map((one) => Number(one.tagName[1]));
  const jumps = levels.filter((level, n) => n && level > levels[n - 1] + 1);
  const unnamed = [...document.querySelectorAll("main button, main input, main select, main [role=img]")]
    .filter((one) => !(one.ariaLabel || one.textContent.trim() || one.closest("label")));
  return [jumps.length, unnamed.map((one) => one.outerHTML)];
}"""


def chart(page: Any, title: str) -> Any:
    """The chart with a title."""
    return page.locator("figure.chart").filter(has=page.get_by_role("heading", name=title, exact=True))


def set_card(page: Any, name: str) -> str:
    """The text of a held-out set's card on one line."""
    card = page.locator(".set-card").filter(has=page.get_by_role("heading", name=name))
    return re.sub(r"\s+", " ", card.inner_text())


def lines(path: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl."""
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def test_a_run_says_what_it_is_and_how_it_went(show: Callable[..., Any], finished: Path) -> None:
    page = show(finished, at="#/overview")
    facts = re.sub(r"\s+", " ", page.locator(".facts").inner_text())
    assert "look_and_point" in facts and "SFT on worked answers" in facts
    assert "Model tiny-grounding float32" in facts and "Steps 18 sft 6, rl 12" in facts and "Checkpoint rl-12 handed over" in facts

    summary = json.loads((finished / "summary.json").read_text())
    before, after = (summary["evaluations"]["test-shifted"][moment]["greedy"] for moment in ("before", "after"))
    card = set_card(page, "test-shifted")
    assert f"{100 * before['mean']:.1f} → {100 * after['mean']:.1f} %" in card.replace("to ", "")
    assert f"[{100 * before['low']:.1f}, {100 * before['high']:.1f}]" in card and "shifted" in card and "14 samples" in card
    assert f"+{100 * (after['mean'] - before['mean']):.1f}" in card
    assert "chooses checkpoint" in set_card(page, "val") and "mAP" in set_card(page, "val")

    warnings = page.locator(".warnings").inner_text()
    said = next((line, text) for line in lines(finished) for key, text in line.items() if key.startswith("health/"))
    assert said[1][1:] in warnings and f"rl step {said[0]['run/step']} ({said[0]['run/total_steps']} of all)" in warnings
    assert page.evaluate(AXE) == [0, []]
    page.locator(".warnings").get_by_role("link", name="Look at them").click()
    assert page.locator("nav [aria-current]").inner_text() == "Data"


def test_no_metric_is_lost_and_each_can_be_found(show: Callable[..., Any], finished: Path) -> None:
    page = show(finished, at="#/overview")
    for button in page.get_by_role("button", name=re.compile(r"^Show \d+ charts$")).all():
        button.click()
    shown = {key for title in page.locator("figure.chart h4").all() for key in title.get_attribute("title").split(", ")}
    shown |= {row.get_attribute("title") for row in page.locator(".probes tbody th").all()}
    written = {key for line in lines(finished) for key in line if not key.startswith(("run/", "health/"))}
    assert written - shown == set()

    page.keyboard.press("/")
    page.keyboard.type("grad norm")
    expect(page.locator("figure.chart")).to_have_count(1)
    assert page.locator("figure.chart h4").inner_text() == "Gradient norm" and "find=grad" in page.url
    page.get_by_label("Find a metric").fill("no such metric")
    assert page.get_by_text("No metric fits").is_visible()


def test_a_chart_reads_aloud_as_a_table_and_by_keys(show: Callable[..., Any], finished: Path) -> None:
    page = show(finished, at="#/overview?smooth=5")
    entropy = chart(page, "KL to the reference")
    entropy.scroll_into_view_if_needed()
    values = {line["run/total_steps"]: line["policy/kl"] for line in lines(finished) if "policy/kl" in line}
    name = entropy.get_by_role("img").get_attribute("aria-label")
    assert f"from {values[7]:g} nats at step 7 to {values[18]:g} nats at step 18" in name

    entropy.get_by_role("img").focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    legend = entropy.locator(".chart-legend")
    mean = sum(values[step] for step in range(13, 18)) / 5
    assert re.sub(r"\s+", " ", legend.inner_text()) == f"KL {values[17]:g} nats mean {mean:g} nats step 17"

    entropy.get_by_role("button", name="table").click()
    rows = [re.sub(r"\s+", " ", row.inner_text()) for row in entropy.locator("tbody tr").all()]
    assert rows[0] == f"7 {values[7]:g} nats" and len(rows) == len(values)


def test_a_chart_follows_theme_and_zoom(show: Callable[..., Any], finished: Path) -> None:
    page = show(finished, at="#/overview")
    length = chart(page, "Length")
    length.scroll_into_view_if_needed()
    image = length.locator("canvas")
    image.wait_for()
    page.wait_for_timeout(200)

    def drawn() -> str:
        return image.evaluate("(canvas) => canvas.toDataURL()")

    light = drawn()
    page.keyboard.press("t")
    page.wait_for_timeout(200)
    dark = drawn()
    assert dark != light
    box = length.locator(".u-over").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 22, steps=4)
    page.mouse.up()
    page.wait_for_timeout(200)
    assert drawn() != dark
    page.mouse.dblclick(box["x"] + 30, box["y"] + 20)
    page.mouse.move(0, 0)
    page.wait_for_timeout(200)
    assert drawn() == dark


def test_the_recipe_names_the_source_of_each_number(show: Callable[..., Any], finished: Path) -> None:
    page = show(finished, at="#/overview")
    card = page.locator(".recipe")
    text = re.sub(r"\s+", " ", card.inner_text())
    assert "teaches a tiny model to look before it points" in text and "Rewards on boxes beat imitation" in text
    assert "4 prompts × 4 siblings a step" in text and "1 × accuracy + 1 × format" in text
    card.get_by_role("button", name="released code").click()
    rows = card.locator(".numbers tbody tr")
    assert rows.count() == 1 and "kl=0.04" in rows.inner_text() and "train.py line 41" in rows.inner_text()
    card.get_by_text("All settings").click()
    card.get_by_label("Find a setting").fill("siblings")
    assert re.sub(r"\s+", " ", card.locator(".settings tbody").inner_text()) == "stages.1.siblings 4"


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_two_runs_are_compared(show: Callable[..., Any], finished: Path, better: Path, width: int, dark: bool) -> None:
    page = show(finished, better, at="#/overview", width=width, height=844, dark=dark)
    differs = page.locator("section", has=page.get_by_role("heading", name="What differs"))
    assert [re.sub(r"\s+", " ", row.inner_text()) for row in differs.locator("tbody tr").all()] == ["seed 0 1"]

    found = [json.loads((path / "summary.json").read_text())["evaluations"]["val"]["after"]["greedy"]["mean"] for path in (finished, better)]
    card = set_card(page, "val")
    assert f"+{100 * (found[1] - found[0]):.1f}" in card and all(f"{100 * value:.1f} %" in card for value in found)

    reward = chart(page, "Reward: weighted sum")
    reward.scroll_into_view_if_needed()
    reward.locator("canvas").wait_for()
    ends = [lines(path)[-2]["reward/mean"] for path in (finished, better)]
    legend = re.sub(r"\s+", " ", reward.locator(".chart-legend").inner_text())
    assert all(f"{path.name} {value:.2f}" in legend for path, value in zip((finished, better), ends, strict=True))
    dashes = [line.get_attribute("stroke-dasharray") for line in reward.locator(".chart-key line").all()]
    assert dashes[0] != dashes[1]  # told apart without colour
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(AXE) == [0, []]


def test_a_run_that_has_only_begun(show: Callable[..., Any], tmp_path: Path) -> None:
    page = show(runs.begun(tmp_path / "begun"), at="#/overview")
    text = page.locator("main").inner_text()
    assert "Nothing held out has been measured yet." in text and "No step has been done yet." in text


def test_an_old_run_and_one_with_hostile_names(show: Callable[..., Any], tmp_path: Path) -> None:
    run = runs.old(tmp_path / "old")
    planted = "<img src=x onerror=\"window.caught=1\">\u202eabc"
    with open(run / "metrics.jsonl", "a") as file:
        line = {"run/stage": planted, "run/step": 1, "run/total_steps": 19, f"odd/{planted}": 1.5, "loss/mean": "nan"}
        more = {"health/constructor": planted, "__proto__": 2.0, "eval/__proto__/greedy": 0.5, f"eval/{planted}/greedy": 0.25}
        file.write(json.dumps({**line, **more}) + '\n{"run/stage": "torn')
    page = show(run, at="#/overview")
    text = page.locator("main").inner_text()
    assert "recipe.json" in page.locator(".recipe").inner_text()  # says what an old run does not have
    assert re.search(r"loss/mean was no finite number in 1 step\b", text)
    page.get_by_role("button", name=re.compile(r"Show \d+ charts?$")).last.click()
    assert chart(page, "odd/<img src=x onerror=\"window.caught=1\">⟦U+202E⟧abc").is_visible()
    assert "⟦U+202E⟧abc" in page.locator(".warnings").inner_text() and "<img" in page.locator(".set-cards").inner_text()
    assert "50.0" in set_card(page, "__proto__")
    assert page.evaluate("window.caught") is None


def test_curves_grow_while_somebody_looks(look: Callable[..., Any], tmp_path: Path) -> None:
    from saccade.report.serve import serving

    writer = runs.RunWriter(tmp_path / "growing")
    writer.begin()
    for step in (1, 2):
        writer.rl_step(step)
    with serving(writer.path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = look(f"{server.address}#/overview?find=reward")
        spread = chart(page, "Reward")
        spread.get_by_role("button", name="table").click()
        expect(spread.locator("tbody tr")).to_have_count(2)
        writer.rl_step(3)
        expect(spread.locator("tbody tr")).to_have_count(3, timeout=15_000)  # the table stays open and grows
        assert "3 of 18" in re.sub(r"\s+", " ", page.locator(".facts").inner_text())
        assert page.get_by_label("Find a metric").input_value() == "reward"
        spread.get_by_role("button", name="table").click()
        writer.rl_step(4)
        expect(spread.get_by_role("img")).to_have_attribute("aria-label", re.compile(r"at step 4\b"), timeout=15_000)
        server.shutdown()
