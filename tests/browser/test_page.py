"""What is around the views: names and states of runs, where one is, keys, light and dark, a phone, and runs that lack things."""

from __future__ import annotations

import pytest

from saccade.report.write import write_page
from tests.browser import runs
from tests.browser.conftest import eventually

VIEWS = ("overview", "rollouts", "evaluation", "data")


def test_one_run_has_its_name_state_and_title(show, finished):
    page = show(finished)
    assert page.title() == "look_and_point-1"
    assert (
        page.locator("header .name").inner_text() == "look_and_point-1"
        and page.locator("header .state").inner_text() == "finished"
    )
    assert page.locator("header .swatch").count() == 0 and page.locator("header .age").count() == 0


def test_two_runs_are_a_and_b(show, finished, better):
    page = show(finished, better)
    assert page.title() == "look_and_point-1 and look_and_point-2"
    texts = [text.split() for text in page.locator("header .run").all_inner_texts()]
    assert texts == [["A", "look_and_point-1", "finished"], ["B", "look_and_point-2", "finished"]]
    colours = page.evaluate(
        "[...document.querySelectorAll('header .swatch')].map((e) => getComputedStyle(e).backgroundColor)"
    )
    assert len(set(colours)) == 2


def test_views_by_key_link_and_address(show, finished):
    page = show(finished)
    for key, view in zip("2341", ("rollouts", "evaluation", "data", "overview"), strict=True):
        page.keyboard.press(key)
        eventually(lambda view=view: page.url.endswith(f"#/{view}"))
        assert page.locator("header [aria-current=page]").inner_text().lower() == view
    page.get_by_role("link", name="Data").click()
    eventually(lambda: page.url.endswith("#/data"))
    page.go_back()
    eventually(lambda: page.url.endswith("#/overview"))
    page.goto(page.url.replace("#/overview", "#/nonsense"))
    assert page.locator("header [aria-current=page]").inner_text() == "Overview"


def test_keys_are_listed_and_left_again(show, finished):
    page = show(finished)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    assert "next and previous" in dialog.inner_text()
    before = page.url
    page.keyboard.press("2")
    assert page.url == before  # what lies behind it stays
    page.keyboard.press("Escape")
    eventually(lambda: dialog.count() == 0)
    page.get_by_role("button", name="Keys").click()
    dialog.get_by_role("button", name="Close").click()
    eventually(lambda: dialog.count() == 0)


def test_light_and_dark(show, finished):
    def paper(page):
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    page = show(finished, dark=True)
    dark = paper(page)
    page.keyboard.press("t")
    eventually(lambda: paper(page) != dark)
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.reload()
    page.wait_for_selector("main h2")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"  # remembered
    page.get_by_role("button", name="Switch to dark").click()
    eventually(lambda: paper(page) == dark)


@pytest.mark.parametrize("view", VIEWS)
def test_on_a_phone_nothing_scrolls_sideways(show, finished, better, view):
    page = show(finished, better, at=f"#/{view}", width=390, height=844)
    page.wait_for_timeout(300)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    assert page.get_by_role("link", name="Evaluation", exact=True).is_visible()


@pytest.mark.parametrize("kind", ["old", "begun", "sft_only"])
def test_runs_that_lack_things_open_in_every_view(show, tmp_path, kind):
    path = getattr(runs, kind)(tmp_path / kind)
    page = show(path)
    for key in "1234":
        page.keyboard.press(key)
        page.wait_for_selector("main h2, main h3")
        assert page.get_by_role("alert").count() == 0
        assert len(page.inner_text("main")) > 40
    if kind == "old":
        page.keyboard.press("1")
        page.wait_for_selector("text=This run has no evaluations.jsonl")


def test_what_was_left_out_is_on_the_overview(tmp_path, look):
    path = runs.finished(tmp_path / "run")
    with open(path / "metrics.jsonl", "ab") as file:
        file.write(b"garbage\n")
    write_page([path], tmp_path / "page.html")
    page = look((tmp_path / "page.html").as_uri())
    page.wait_for_selector("text=1 line of metrics.jsonl cannot be read")


def test_the_file_needs_no_network_and_no_neighbour(tmp_path, finished, browser):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    write_page([finished], folder / "mail.html")
    context = browser.new_context(offline=True)
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((folder / "mail.html").as_uri())
    page.wait_for_selector("main h2")
    for key in "234":
        page.keyboard.press(key)
        page.wait_for_timeout(150)
    own = (folder / "mail.html").as_uri()
    assert {url.split("#")[0] for url in asked if not url.startswith(("data:", "blob:"))} == {own}
    context.close()


def test_headings_names_and_focus(show, finished, better):
    page = show(finished, better)
    for key in "1234":
        page.keyboard.press(key)
        page.wait_for_selector("main h2, main h3")
        page.wait_for_timeout(200)
        assert page.evaluate(NAMELESS) == []
        levels = page.evaluate(
            "[...document.querySelectorAll('h1, h2, h3, h4')].filter((e) => e.checkVisibility()).map((e) => +e.tagName[1])"
        )
        assert levels[0] == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:], strict=False)), levels
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement !== document.body")


def test_a_view_that_fails_leaves_the_others(show, finished, monkeypatch):
    # Rows such as sound.py lets nobody write into a page.
    monkeypatch.setattr("saccade.report.run_data.without_totals", lambda rows: (7, {}))
    monkeypatch.setattr("saccade.report.run_data.pictures_of", lambda run: [])
    page = show(finished, at="#/data")
    page.wait_for_selector("text=This view cannot be drawn")
    page.keyboard.press("2")
    page.wait_for_selector("text=All 48 groups")
    assert page.get_by_role("alert").count() == 0
    page.faults.clear()


# Buttons, links, fields and pictures that a screen reader could not name.
NAMELESS = """() => {
  const parts = [...document.querySelectorAll("button, a[href], input, select, textarea, img, [role=img], summary")];
  return parts.filter((part) => part.checkVisibility()).filter((part) => {
    const labelled = part.getAttribute("aria-labelledby")?.split(" ").map((id) => document.getElementById(id)?.textContent).join(" ");
    const own = part.tagName === "IMG" ? part.alt : part.textContent;
    const name = part.getAttribute("aria-label") || labelled || own || part.labels?.[0]?.textContent || part.title;
    return !name?.trim() && part.getAttribute("aria-hidden") !== "true" && !part.closest("[aria-hidden=true]") && part.getAttribute("alt") !== "";
  }).map((part) => part.outerHTML.slice(0, 120));
}"""


def test_figures_have_three_digits_and_no_exponent_before_they_need_one(call):
    known = {0: "0", 1: "1", 0.5: "0.5", 12.345: "12.3", 999.4: "999", 999.6: "1,000", -999.6: "-1,000", 99999.5: "100,000",
             0.00123: "0.00123", 0.00012: "1.2e-4", 20: "20", 0.1 + 0.2: "0.3"}  # fmt: skip
    assert {value: call("format", "figure", value) for value in known} == known
    assert [call("format", "signed", value) for value in (0.5, -0.5, 1e-4, -1e-4, 0)] == ["+0.5", "−0.5", "+1.0e−4", "−1.0e−4", "0"]


CONTRASTS = """() => {
  const probe = document.body.appendChild(document.createElement("i"));
  const light = (name) => {
    probe.style.color = `var(${name})`;
    const [r, g, b] = getComputedStyle(probe).color.match(/[\\d.]+/g).map((n) => n / 255).map((n) => (n <= 0.03928 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const pairs = ["--ink", "--ink-2", "--ink-3", "--accent", "--good", "--bad", "--warn"].flatMap((ink) => ["--paper", "--card", "--sunk"].map((under) => [ink, under]));
  pairs.push(["--good", "--good-soft"], ["--bad", "--bad-soft"], ["--warn", "--warn-soft"], ["--accent", "--accent-soft"], ["--accent-ink", "--accent"]);
  return pairs.map(([ink, under]) => [ink, under, (Math.max(light(ink), light(under)) + 0.05) / (Math.min(light(ink), light(under)) + 0.05)]);
}"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_as_wcag_asks(show, finished, dark):
    found = show(finished, dark=dark).evaluate(CONTRASTS)
    assert len(found) == 26 and [(ink, under) for ink, under, ratio in found if ratio < 4.5] == []
