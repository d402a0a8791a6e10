"""The page of a run that trains, in a browser: it grows by itself, keeps what was selected, and says when nobody answers."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from saccade.report.serve import Server, serving
from saccade.run.files import take_lock
from tests.browser.conftest import eventually
from tests.browser.runs import RunWriter


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[RunWriter]:
    """A run that trains: its lock is held."""
    run = RunWriter(tmp_path / "growing")
    handle = take_lock(run.path / ".lock", busy="")
    run.begin()
    run.sft_step(1)
    run.rl_step(1, before=1)
    run.lock = handle
    yield run
    if run.lock is not None:
        os.close(run.lock)


@pytest.fixture
def server(writer: RunWriter) -> Iterator[Server]:
    with serving(writer.path, port=0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def stop(writer: RunWriter) -> None:
    os.close(writer.lock)
    writer.lock = None


def test_new_steps_come_without_a_reload(writer, server, look):
    page = look(server.address)
    page.evaluate("window.stays = true")
    assert page.locator(".state").inner_text() == "running"
    assert "updated" in page.locator(".age").inner_text()
    assert page.title() == "11 %: growing"  # 2 of 18 steps
    page.goto(f"{server.address}#/rollouts?group=rl-1%2F1")
    page.wait_for_selector("text=Step 1")
    page.evaluate("window.stays = true")
    for step in (2, 3):
        writer.rl_step(step, before=1)
    eventually(lambda: page.title().startswith("22 %"))
    assert "group=rl-1%2F1" in page.url  # what is being read stays
    page.locator("button", has_text="new groups").click()
    page.wait_for_selector("text=All 12 groups")
    stop(writer)
    writer.write("summary.json", {"chosen": "rl-3", "warnings": []})
    page.wait_for_selector(".state.finished")
    assert page.title() == "growing" and page.evaluate("window.stays")


def test_torn_lines_and_logs_that_are_cut_back(writer, server, look):
    page = look(f"{server.address}#/rollouts")
    page.wait_for_selector("text=All 4 groups")
    writer.rl_step(2, before=1)
    with open(writer.path / "rollouts.jsonl", "ab") as file:
        file.write(b'{"step": 3, "stage": "rl", "gro')
    page.wait_for_selector("text=/All 8 groups|new groups/")
    for name in ("metrics.jsonl", "rollouts.jsonl", "tokens.jsonl"):  # resumed from the end of step 1
        path = writer.path / name
        kept = [
            line
            for line in path.read_bytes().splitlines(keepends=True)
            if b'"step": 2' not in line and b'"run/step": 2' not in line
        ]
        path.write_bytes(b"".join(line for line in kept if line.endswith(b"\n")))
    page.wait_for_selector("text=All 4 groups")
    writer.rl_step(2, before=1)
    page.wait_for_selector("text=/All 8 groups|new groups/")


def test_a_server_that_stops_answering(writer, server, look, tmp_path):
    page = look(server.address)
    shutil.move(writer.path, tmp_path / "away")
    page.wait_for_selector(".state.lost")
    assert "is gone" in page.locator(".state").get_attribute("title")
    assert page.locator("main h2").count() > 0  # what is known stays to be read
    shutil.move(tmp_path / "away", writer.path)
    page.wait_for_selector(".state.running", timeout=30_000)
    stop(writer)
    page.wait_for_selector(".state.stopped", timeout=30_000)
    page.faults[:] = [fault for fault in page.faults if "503" not in fault]


def test_pictures_and_traces_come_from_the_server(writer, server, look):
    page = look(f"{server.address}#/rollouts?group=rl-1%2F0")
    eventually(
        lambda: page.evaluate("[...document.querySelectorAll('main img')].some((image) => image.naturalWidth > 0)")
    )
    assert "pictures/" in page.locator("main img").first.get_attribute("src")
    found = page.evaluate("fetch('tokens?group=rl-1%2F0').then((reply) => reply.json())")
    assert len(found["traces"]) == 4


def test_another_site_cannot_read_it(writer, server, browser):
    """A page of another origin asks with fetch, as a script and in a frame."""
    context = browser.new_context()
    page = context.new_page()
    page.goto("data:text/html,<h1>elsewhere</h1>")
    tried = page.evaluate(f"fetch('{server.address}data').then(() => 'read', () => 'refused')")
    blind = page.evaluate(
        f"fetch('{server.address}data', {{mode: 'no-cors'}}).then((reply) => reply.type, () => 'refused')"
    )
    assert tried == "refused" and blind in ("refused", "opaque")
    page.set_content(f"<iframe src='{server.address}'></iframe>")
    page.wait_for_timeout(500)
    assert all(frame.locator("main h2").count() == 0 for frame in page.frames)
    context.close()
