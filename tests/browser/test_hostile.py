"""Nothing that a model wrote, a data set holds or a file is called does anything but stand there as text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saccade.report.write import write_page
from tests.browser.conftest import eventually
from tests.browser.hostile import MARKUP, hostile

TRAP = "window.__hits = []; window.__hit = (what) => { window.__hits.push(String(what)); };"
VIEWS = ("overview", "rollouts", "evaluation", "data")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    first = hostile(folder / "<img src=x onerror=window.__hit('name')>")
    second = hostile(folder / "b\u202e<script>window.__hit(1)<", seed=1)
    out = folder / "page.html"
    write_page([first, second], out)
    return out


@pytest.fixture
def trapped(browser: Any) -> Iterator[Any]:
    """A page that notices whatever runs, opens or is asked for."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(TRAP)
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.seen = []
    page.on("dialog", lambda dialog: (page.seen.append("dialog"), dialog.dismiss()))
    page.on("popup", lambda other: page.seen.append(f"popup {other.url}"))
    page.on("download", lambda other: page.seen.append(f"download {other.url}"))
    page.on("pageerror", lambda error: page.seen.append(f"error {error}"))
    page.on("console", lambda message: page.seen.append(message.text) if message.type == "error" else None)
    page.on(
        "request",
        lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else page.seen.append(request.url),
    )
    yield page
    context.close()


def opened(page: Any, file: Path, at: str) -> None:
    page.goto(f"{file.as_uri()}{at}")
    page.wait_for_selector("main h2, main h3")


def assert_nothing_happened(page: Any, file: Path) -> None:
    assert page.evaluate("window.__hits") == []
    assert page.seen == []
    assert page.url.startswith(file.as_uri())
    assert page.evaluate("Object.keys(Object.prototype).length + ('polluted' in {} ? 1 : 0)") == 0
    assert page.evaluate("getComputedStyle(document.body).display") == "block"
    assert page.locator("main iframe, main form, main link, main meta, main base, main script, main style").count() == 0
    assert page.locator("a[href^='javascript' i], [onerror], [onload], [onfocus]").count() == 0


def press_everything(page: Any, *, most: int = 80) -> None:
    """Every button and fold that is there, as somebody would who looks for everything."""
    for n in range(min(most, page.locator("main button, main summary").count())):
        page.evaluate("n => document.querySelectorAll('main button, main summary')[n]?.click()", n)
        page.evaluate("new Promise(requestAnimationFrame)")
        page.evaluate("document.querySelectorAll('dialog[open]').forEach((dialog) => dialog.close())")


def test_the_trap_works(trapped):
    trapped.set_content(f"<p>{MARKUP[3]}</p>")
    eventually(lambda: trapped.evaluate("window.__hits.length > 0"))
    assert trapped.evaluate("window.__hits") == ["image"]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view(trapped, page_file, view):
    opened(trapped, page_file, f"#/{view}")
    assert_nothing_happened(trapped, page_file)
    press_everything(trapped)
    trapped.wait_for_timeout(300)
    assert_nothing_happened(trapped, page_file)


def test_groups_show_it_as_text(trapped, page_file):
    opened(trapped, page_file, "#/rollouts")
    texts = []
    for step in range(1, 13, 2):
        for index in range(4):
            trapped.evaluate(f"location.hash = '#/rollouts?group=rl-{step}/{index}'")
            trapped.wait_for_timeout(60)
            texts.append(trapped.inner_text("main"))
    said = "\n".join(texts)
    for payload in (
        "<script>window.__hit('script')</script>",
        "javascript:window.__hit('address')",
        "<style>body{",
        "⟦U+202E⟧",
        "⟦U+200B⟧",
    ):
        assert payload in said
    assert_nothing_happened(trapped, page_file)


def test_its_addresses_are_checked(trapped, page_file):
    for at in ("#/rollouts?group=__proto__", "#/rollouts?sample=constructor", "#/<script>", "#/evaluation?set=__proto__&a=toString",
               "#/data?set=hasOwnProperty&words=%3Cimg%20src=x%20onerror=__hit(1)%3E", "#/rollouts?page=-1&step=NaN&sort=__proto__"):  # fmt: skip
        opened(trapped, page_file, at)
        assert_nothing_happened(trapped, page_file)
