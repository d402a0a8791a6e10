"""The browser of the data in a real browser: sets, samples, token counts, duplicates and leaks, and what `saccade check` found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.browser import runs

Line = dict[str, Any]


def samples_of(run: Path) -> list[Line]:
    """Lines of samples.jsonl without the totals."""
    return [row for row in map(json.loads, (run / "samples.jsonl").read_text().splitlines()) if "totals" not in row]


def words(text: str) -> str:
    return " ".join(text.split())


def described(path: Path, lines: list[Line], *, totals: dict[str, int] | None = None) -> Path:
    """A run's folder with these lines of samples.jsonl; a line needs only what it is about."""
    run = runs.RunWriter(path)
    run.write("command.json", {"recipe": "mine"})
    usual = {"set": "stage rl", "split": "train", "kind": "word", "prompt": "Which word?", "pictures": [], "target": "cat", "tokens": {"prompt": 40, "pictures": 0}}
    rows = [{**usual, "sample": f"s/{n}", **line} for n, line in enumerate(lines)]
    run.append("samples.jsonl", [*rows, {"totals": totals or {}}])
    run.append("metrics.jsonl", [])
    run.append("rollouts.jsonl", [])
    return run.path


def test_sets_are_counted_and_samples_chosen(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    samples = samples_of(finished)
    page = show(finished, at="#/data")
    status = page.locator("#samples [role=status]")
    for name, total in (("stage rl", 2000), ("val", 15), ("test-shifted", 14)):
        own = [line for line in samples if line["set"] == name]
        cells = [words(text) for text in page.locator(".sets tbody tr", has_text=name).locator("td").all_inner_texts()]
        prompts = [line["tokens"]["prompt"] for line in own]
        kinds, pictures = {line["kind"] for line in own}, {sha for line in own for sha in line["pictures"]}
        assert cells[1:] == [f"{total:,}", str(len(own)), str(len(kinds)), str(len(pictures)), f"{min(prompts)} to {max(prompts)}"]
    expect(page.locator("main")).to_contain_text("samples spread evenly over it are recorded")

    page.locator(".sets").get_by_role("button", name="stage rl").click()
    own = [line for line in samples if line["set"] == "stage rl"]
    expect(status).to_have_text(f"{len(own)} of {len(samples)} samples")
    page.get_by_role("combobox", name="Kind", exact=True).select_option("click")
    clicks = [line for line in own if line["kind"] == "click"]
    expect(status).to_have_text(f"{len(clicks)} of {len(samples)} samples")
    page.locator("h2#samples-title").click()
    page.keyboard.press("/")
    page.keyboard.type("tap back")
    found = [line for line in clicks if "Tap Back" in line["prompt"]]
    assert 0 < len(found) < len(clicks)
    expect(status).to_have_text(f"{len(found)} of {len(samples)} samples")
    assert page.locator(".case-row .case-row-head .said").all_inner_texts() == [line["sample"] for line in found]
    expect(page.locator(".case-reading h3")).to_have_text(found[0]["sample"])
    page.get_by_label("Search in names").fill("nothing has this")
    expect(page.locator("#samples")).to_contain_text("No sample matches.")


def test_a_sample_shows_its_target_and_keys_walk(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    samples = samples_of(finished)
    page = show(finished, at="#/data")
    reading = page.locator(".case-reading")
    first = samples[0]
    expect(reading.locator("h3")).to_have_text(first["sample"])
    expect(reading).to_contain_text(first["solution"].removeprefix("<answer>").removesuffix("</answer>"))
    expect(reading).to_contain_text(f"{first['tokens']['prompt']} prompt tokens, {first['tokens']['pictures']} of them from the picture.")
    page.wait_for_selector(".case-reading .drawn.gold rect.ink")
    image, box = (reading.locator(what).first.bounding_box() for what in (".picture-frame img", ".picture-frame .drawn.gold rect.ink"))
    x1, y1, x2, y2 = first["gold"][0]["box"]
    assert abs((box["x"] - image["x"]) / image["width"] - x1) < 0.015 and abs(box["height"] / image["height"] - (y2 - y1)) < 0.015

    page.locator("h2#samples-title").click()
    for key in "jjjk":
        page.keyboard.press(key)
    expect(reading.locator("h3")).to_have_text(samples[2]["sample"])
    page.get_by_role("button", name="gallery").click()
    expect(page.locator(".tile").first).to_contain_text(first["sample"])
    assert 8 < page.locator(".tile").count() <= len(samples)
    page.locator(".tile").nth(3).click()
    expect(reading.locator("h3")).to_have_text(samples[3]["sample"])
    assert len(samples[3]["pictures"]) == 2
    expect(reading.locator("img")).to_have_count(2)

    held_out = next(line for line in samples if line["set"] == "val")
    page.goto(page.url.split("#")[0] + f"#/data?sample=val%20{held_out['sample']}")
    reading.get_by_text("its answers").click()
    expect(page.locator(".case-reading h3")).to_have_text(held_out["sample"])
    expect(page.get_by_label("Held-out set")).to_have_value("val")


def test_leaks_duplicates_and_findings_lead_to_their_samples(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    page = show(finished, at="#/data?set=test-shifted&kind=sum")
    twice = page.locator("section", has=page.locator("#twice-title")).last
    expect(twice.locator(".warning")).to_have_text("Leak: 1 picture of training is also in a held-out set. Scores there say less than they seem to.")
    expect(twice).to_contain_text("1 question stands in a set more than once, word for word with the same pictures.")
    page.get_by_label("Search in names").fill("sum")
    twice.get_by_role("button", name="val: box_val/leak").click()  # no filter hides it
    expect(page.locator(".case-reading h3")).to_have_text("box_val/leak")

    check = page.locator("section", has=page.locator("#check-title")).last
    expect(check).to_contain_text("not sound 1 error, 1 warning, 1 note in 2 parts.")
    gold = check.locator(".findings > li", has_text="accuracy: the gold answer earns 0.5 of 1")
    expect(gold).to_contain_text("2 rows of 42: box_train/0 (IoU 0.50)")
    gold.get_by_role("button", name="box_train/7").click()
    expect(page.locator(".case-reading h3")).to_have_text("box_train/7")
    check.get_by_role("button", name="box_val/leak").click()
    expect(page.locator(".case-reading .tag").first).to_have_text("val")


def test_every_way_to_be_twice_is_said(show: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    a, b, c, d = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
    lines = [
        {"pictures": [a], "prompt": "How many?", "target": "2"}, {"pictures": [a], "prompt": "How many?", "target": "3"},
        {"pictures": [b], "prompt": "Where?"}, {"pictures": [b], "prompt": "What?"}, {"set": "stage sft", "pictures": [b]},
        {"set": "val", "pictures": [c]}, {"set": "test", "pictures": [c]}, {"set": "__proto__", "pictures": [d], "kind": "__proto__", "target": None},
    ]  # fmt: skip
    page = show(described(tmp_path / "twice", lines, totals={"stage rl": 4}), at="#/data")
    twice = page.locator("section", has=page.locator("#twice-title")).last
    expect(twice).to_contain_text("No picture is both in training and in a held-out set")  # two stages may share theirs
    expect(twice).to_contain_text("1 picture is in more than one held-out set.")
    expect(twice).to_contain_text("1 question stands in a set more than once")
    expect(twice).to_contain_text("1 has unlike targets.")
    expect(twice).to_contain_text("2 pictures are shown by several samples of a set.")
    expect(page.locator("main")).to_contain_text("Not run yet. saccade check twice")
    page.locator(".sets").get_by_role("button", name="__proto__").click()
    expect(page.locator("#samples [role=status]")).to_have_text("1 of 8 samples")


def test_prompt_lengths_are_drawn_by_set(show: Any, finished: Path) -> None:
    from playwright.sync_api import expect

    samples = samples_of(finished)
    page = show(finished, at="#/data")
    card = page.locator("section", has=page.locator("#tokens-title")).last
    for button, value in (("whole prompt", lambda t: t["prompt"]), ("pictures", lambda t: t["pictures"]), ("text", lambda t: t["prompt"] - t["pictures"])):
        card.get_by_role("button", name=button).click()
        every, own = ([value(line["tokens"]) for line in samples if line["set"] in sets] for sets in (("stage rl", "val", "test-shifted"), ("val",)))
        low, width = min(every), -(-(max(every) - min(every) + 1) // 24)
        bars = {low + (n - low) // width * width: 0 for n in sorted(own)}
        for n in own:
            bars[low + (n - low) // width * width] += 1
        said = [f"{n}{f' to {n + width - 1}' if width > 1 else ''} tokens: {many} sample{'s' if many > 1 else ''}" for n, many in bars.items()]
        chart = card.get_by_role("img", name="Prompts of val by length")
        expect(chart).to_have_attribute("aria-label", f"Prompts of val by length: mean {sum(own) / len(own):.3g} tokens; {', '.join(said)}")


def test_two_runs_old_ones_and_a_phone(show: Any, finished: Path, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    other = described(tmp_path / "other", [{"sample": f"mine/{n}", "tokens": {"prompt": 10**9 * n, "pictures": 1}} for n in range(600)])
    page = show(finished, other, at="#/data", width=390, height=844)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="B other").click()
    expect(page.locator("#samples [role=status]")).to_have_text("600 of 600 samples")
    page.locator("#samples").scroll_into_view_if_needed()
    expect(page.locator(".case-row").first).to_contain_text("mine/0")
    assert page.locator(".case-row").count() < 60
    page.locator(".case-row").nth(2).click()
    expect(page.locator(".case-reading")).to_contain_text("A sample without a picture.")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="All samples").click()
    expect(page.locator(".case-row").first).to_be_visible()

    assert "This run has no recorded samples" in show(runs.old(tmp_path / "old"), at="#/data", dark=True).locator("main").inner_text()
    assert "no recorded samples" in show(runs.begun(tmp_path / "begun"), at="#/data").locator("main").inner_text()
