"""A real Chromium for the tests of the page, and what each of them holds the page to."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

IS_REQUIRED = os.environ.get("SACCADE_BROWSER") == "required"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Whatever asks for a browser is marked so, and runs with `make test-browser` only."""
    for item in items:
        if {"browser", "show", "look", "call"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, one for all tests. Skips where there is none, but fails where SACCADE_BROWSER=required."""
    refuse = pytest.fail if IS_REQUIRED else pytest.skip
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        refuse("the tests of the page need Playwright: pip install 'saccade[browser]'")
    path = (
        os.environ.get("SACCADE_CHROMIUM")
        or shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if path is None:
        refuse("the tests of the page need Chromium: apt-get install chromium, or name one with SACCADE_CHROMIUM=/path")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


def eventually(check: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Waits until `check` is true. (Playwright's wait_for_function needs eval, which the page's policy forbids.)"""
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until, "it did not become so in time"
        time.sleep(0.05)


class Faults(list):
    """What went wrong in a page. A test that expects some empties it."""


@pytest.fixture
def look(browser: Any) -> Iterator[Callable[..., Any]]:
    """look(address, width=1280, height=900, dark=False) opens an address; no page may log an error or raise one."""
    contexts, faults = [], Faults()

    def opened(address: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.faults = faults
        page.goto(address)
        page.wait_for_selector("main h2, main h3, [role=alert]")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults, f"the page had errors: {faults}"


@pytest.fixture(scope="session")
def call(browser: Any) -> Iterator[Callable[..., Any]]:
    """call("words", "wordChanges", *arguments) is what the function of page/js/words.js returns."""
    from saccade.report.page import bundled

    page = browser.new_page()

    def called(module: str, name: str, *arguments: Any) -> Any:
        script = bundled(module).removesuffix("})();") + f"return {name};}})"
        return page.evaluate(f"(given) => ({script})()(...given)", json.loads(json.dumps(arguments)))

    yield called
    page.close()


@pytest.fixture
def show(look: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """show(run, other, at="#/rollouts", ...) writes the page of one or two run folders, as `saccade view` does, and opens it."""

    def shown(*runs: Path, at: str = "", **how: Any) -> Any:
        from saccade.report.write import write_page

        out = tmp_path / f"page-{'-'.join(run.name for run in runs)}.html"
        write_page(runs, out)
        return look(f"{out.as_uri()}{at}", **how)

    return shown


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run's folder; read only."""
    from tests.browser import runs

    return runs.finished(tmp_path_factory.mktemp("page") / "look_and_point-1")


@pytest.fixture(scope="session")
def better(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another run of the same recipe, a little better; read only."""
    from tests.browser import runs

    return runs.finished(tmp_path_factory.mktemp("page") / "look_and_point-2", seed=1, skill=0.15)
