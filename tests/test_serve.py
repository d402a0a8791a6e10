"""The live page's server: what it answers and refuses, what is new since a token, and the process beside a training."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saccade.report.feed import SETTLED, Feed, Gone
from saccade.report.serve import CannotServe, Server, serving
from saccade.report.source import Source
from saccade.report.watch import watched
from saccade.run.files import take_lock
from tests.browser.runs import RunWriter, finished


@pytest.fixture
def writer(tmp_path: Path) -> RunWriter:
    """A run that has begun, with a step of SFT and two of RL."""
    run = RunWriter(tmp_path / "run")
    run.begin()
    run.sft_step(1)
    for step in (1, 2):
        run.rl_step(step, before=1)
    return run


@pytest.fixture
def server(writer: RunWriter) -> Iterator[Server]:
    with serving(writer.path, port=0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def asked(server: Server, path: str, *, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body; `headers` replace those of a browser that was sent here by the page itself."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for key, value in {
        "Host": f"127.0.0.1:{server.server_port}",
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }.items():
        connection.putheader(key, value)
    connection.endheaders()
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    if reply.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    return reply.status, dict(reply.headers), body


def age(path: Path, *, seconds: float = 2 * SETTLED) -> None:
    """Make a file look as if it was last written some time ago."""
    os.utime(path, (time.time() - seconds,) * 2)


# ---- what is new


def test_all_once_then_what_is_new(writer):
    feed = Feed(writer.path)
    first = feed.news("")
    run = first["run"]
    assert first["whole"] and run["state"] == "stopped" and len(run["groups"]) == 8 and len(run["metrics"]) == 4
    assert run["recipe"]["name"] == "look_and_point" and run["summary"] is None and run["totals"]["stage rl"] == 2000
    again = feed.news(first["after"])
    assert again == {"after": first["after"], "whole": False, "run": {}}
    writer.rl_step(3, before=1)
    writer.measure("rl", skill=0.5, step=4)
    news = feed.news(first["after"])
    assert not news["whole"] and news["run"].keys() == {"metrics", "groups", "traced", "evaluations"}
    assert [group["id"] for group in news["run"]["groups"]] == [f"rl-3/{n}" for n in range(4)]
    assert news["run"]["traced"] == ["rl-3/0"] and len(news["run"]["evaluations"]) == 28
    writer.write("summary.json", {"chosen": "rl-3"})
    ended = feed.news(news["after"])["run"]
    assert ended == {"name": "run", "state": "finished", "summary": {"chosen": "rl-3"}}


def test_a_torn_line_waits_until_it_is_whole(writer):
    feed = Feed(writer.path)
    after = feed.news("")["after"]
    line = (writer.path / "metrics.jsonl").read_bytes().splitlines(keepends=True)[-1]
    with open(writer.path / "metrics.jsonl", "ab") as file:
        file.write(line[:50])
        file.flush()
        assert feed.news(after) == {"after": after, "whole": False, "run": {}}
        file.write(line[50:])
    assert len(feed.news(after)["run"]["metrics"]) == 1


def test_a_step_comes_only_when_all_its_siblings_are_there(writer):
    feed = Feed(writer.path)
    after = feed.news("")["after"]
    whole = (writer.path / "rollouts.jsonl").read_bytes()
    metrics = (writer.path / "metrics.jsonl").read_bytes()
    writer.rl_step(3, before=1)
    new = (writer.path / "rollouts.jsonl").read_bytes()[len(whole) :].splitlines(keepends=True)
    line = (writer.path / "metrics.jsonl").read_bytes()[len(metrics) :]
    (writer.path / "metrics.jsonl").write_bytes(metrics)
    (writer.path / "rollouts.jsonl").write_bytes(whole + b"".join(new[:6]))
    handle = take_lock(writer.path / ".lock", busy="")
    try:
        assert "groups" not in feed.news(after)["run"]
        (writer.path / "rollouts.jsonl").write_bytes(whole + b"".join(new))
        assert "groups" not in feed.news(after)["run"]  # perhaps there is more
        (writer.path / "metrics.jsonl").write_bytes(metrics + line)
        assert [len(group["rollouts"]) for group in feed.news(after)["run"]["groups"]] == [4, 4, 4, 4]
        (writer.path / "metrics.jsonl").write_bytes(metrics)
        age(writer.path / "rollouts.jsonl")
        assert len(feed.news(after)["run"]["groups"]) == 4  # nobody has written for a while
    finally:
        os.close(handle)


def test_logs_that_were_cut_back_are_sent_whole(writer):
    feed = Feed(writer.path)
    after = feed.news("")["after"]
    size = (writer.path / "metrics.jsonl").stat().st_size
    lines = (writer.path / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    os.truncate(writer.path / "metrics.jsonl", size - len(lines[-1]))
    shorter = feed.news(after)
    assert shorter["whole"] and len(shorter["run"]["metrics"]) == 3
    # Cut back and grown past where it was before anybody asked again: the same length says nothing.
    with open(writer.path / "metrics.jsonl", "ab") as file:
        file.write(lines[-1].replace(b'"reward/mean"', b'"reward/MEAN"') * 2)
    longer = feed.news(after)
    assert longer["whole"] and len(longer["run"]["metrics"]) == 5


def test_looking_keeps_no_training_from_beginning(writer):
    source, is_done = Source(writer.path), threading.Event()
    take_lock_once(writer.path)
    looks = threading.Thread(target=lambda: [source.state() for _ in iter(is_done.is_set, True)])
    looks.start()
    try:
        for _ in range(300):
            take_lock_once(writer.path)
    finally:
        is_done.set()
        looks.join()


def take_lock_once(path: Path) -> None:
    os.close(take_lock(path / ".lock", busy="busy"))


def test_tokens_that_are_not_ours_get_everything(writer):
    feed = Feed(writer.path)
    far = json.dumps({"folder": os.stat(writer.path).st_ino, "logs": {"metrics.jsonl": [10**30, 0]}, "objects": {}})
    packed = [base64.urlsafe_b64encode(zlib.compress(text.encode())).decode() for text in ("[" * 40_000, far)]
    for token in ("x", "eJw=", "é", "A" * 5000, "%00", json.dumps({"logs": {}}), *packed):
        assert feed.news(token)["whole"]


def test_a_folder_that_is_gone_and_back(writer, tmp_path):
    feed = Feed(writer.path)
    after = feed.news("")["after"]
    shutil.move(writer.path, tmp_path / "away")
    with pytest.raises(Gone, match="is gone"):
        feed.news(after)
    finished(writer.path, rl_steps=2)
    assert feed.news(after)["whole"]


def test_traces_of_a_growing_run(writer):
    feed = Feed(writer.path)
    assert [row["sibling"] for row in feed.traces("rl-2/0")] == [0, 1, 2, 3] and feed.traces("rl-3/0") is None
    writer.rl_step(3, before=1)
    assert len(feed.traces("rl-3/0")) == 4
    (writer.path / "tokens.jsonl").write_text("")
    assert feed.traces("rl-3/0") is None and feed.traces("__proto__") is None


def test_a_bad_line_is_said_once(writer):
    feed = Feed(writer.path)
    after = feed.news("")["after"]
    with open(writer.path / "metrics.jsonl", "ab") as file:
        file.write(b"garbage\n")
    news = feed.news(after)
    assert news["run"]["left_out"] == ["1 line of metrics.jsonl cannot be read (damaged or edited) and is left out."]
    assert feed.news(news["after"])["run"] == {}


def test_a_log_too_large_to_follow_is_thinned_and_said(writer, monkeypatch):
    for step in range(3, 21):
        writer.rl_step(step, before=1)
    monkeypatch.setattr("saccade.report.feed.MOST", (writer.path / "rollouts.jsonl").stat().st_size // 4)
    run = Feed(writer.path).news("")["run"]
    steps = sorted({group["step"] for group in run["groups"]})
    assert 3 <= len(steps) <= 5 and steps[0] == 1 and steps[-1] == 20 and len(run["groups"]) == 4 * len(steps)
    assert (
        f"{len(steps)} of 20 parts of rollouts.jsonl are shown, evenly spaced: it is too large to follow as a whole."
        in run["left_out"]
    )


# ---- what is answered


def test_the_page_data_traces_and_pictures(server, writer):
    status, headers, body = asked(server, "/")
    assert status == 200 and b"<title>run</title>" in body and headers["Cache-Control"] == "no-store"
    policy = headers["Content-Security-Policy"]
    assert (
        "default-src 'none'" in policy
        and "connect-src 'self'" in policy
        and "unsafe-inline" not in policy.split("style-src")[0]
    )
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cross-Origin-Resource-Policy"] == "same-origin"
    status, headers, body = asked(server, "/data?after=", Accept_Encoding="gzip, br")
    assert status == 200 and headers["Content-Encoding"] == "gzip" and len(json.loads(body)["run"]["groups"]) == 8
    assert len(json.loads(asked(server, "/tokens?group=rl-1%2F0")[2])["traces"]) == 4
    sha = next((writer.path / "pictures").iterdir()).stem
    status, headers, body = asked(server, f"/pictures/{sha}")
    assert status == 200 and headers["Content-Type"] == "image/png" and "immutable" in headers["Cache-Control"]
    assert body == (writer.path / "pictures" / f"{sha}.png").read_bytes()


@pytest.mark.parametrize("path", [
    "/pictures/../../../etc/passwd", "/pictures/%2e%2e/command.json", "/command.json", "/pictures/", "/pictures/ABC", "//etc/passwd",
    "/checkpoints/rl-1/model.safetensors", "/pictures/" + "0" * 64, "/pictures/" + "0" * 64 + "/../x", "/data/", "http://[", "/.lock", "/%00", "/page/js/main.js",
])  # fmt: skip
def test_nothing_else_is_there(server, path):
    status, _, body = asked(server, path)
    assert status == 404 and json.loads(body) == {"error": "there is no such thing here"}


def test_a_picture_that_is_none_or_outside_is_not_sent(server, writer, tmp_path):
    (tmp_path / "secret").write_text("secret")
    first, second = "a" * 64, "b" * 64
    (writer.path / "pictures" / f"{first}.png").write_text("<script>")
    (writer.path / "pictures" / f"{second}.png").symlink_to(tmp_path / "secret")
    assert asked(server, f"/pictures/{first}")[0] == asked(server, f"/pictures/{second}")[0] == 404


def test_other_sites_are_refused(server):
    port = server.server_port
    assert (
        asked(
            server, "/data", Host=f"localhost:{port}", Sec_Fetch_Site="same-origin", Origin=f"http://localhost:{port}"
        )[0]
        == 200
    )
    for headers in (
        {"Host": f"evil.example:{port}"}, {"Host": "127.0.0.1"}, {"Host": f"127.0.0.1:{port + 1}"}, {"Host": f"127.0.0.1:{port}.evil.example"},
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": f"https://127.0.0.1:{port}"},
        {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
    ):  # fmt: skip
        for path in ("/", "/data", "/tokens?group=rl-1%2F0"):
            status, answered, body = asked(server, path, **headers)
            assert status == 403 and b"groups" not in body and "Access-Control-Allow-Origin" not in answered, headers


def test_a_link_on_another_site_opens_the_page_and_no_more(server):
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    status, headers, _ = asked(server, "/", **link)
    assert status == 200 and "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    for path, other in (("/data", {}), ("/", {"Sec_Fetch_Dest": "iframe"}), ("/", {"Sec_Fetch_Mode": "no-cors"}),
                        ("/", {"Host": "evil.example"}), ("/", {"Origin": "http://evil.example"})):  # fmt: skip
        assert asked(server, path, **{**link, **other})[0] == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_it_can_only_be_read(server, method):
    status, headers, _ = asked(server, "/data", method=method)
    assert status == 405 and headers["Allow"] == "GET"


def test_gone_is_said_and_comes_back(server, writer, tmp_path):
    shutil.move(writer.path, tmp_path / "away")
    status, _, body = asked(server, "/data")
    assert status == 503 and "is gone" in json.loads(body)["error"]
    shutil.move(tmp_path / "away", writer.path)
    assert asked(server, "/data")[0] == 200


def test_it_listens_on_loopback_only(server):
    assert server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken(server, writer):
    with (
        pytest.raises(CannotServe, match=f"port {server.server_port} of 127.0.0.1.*--port"),
        serving(writer.path, port=server.server_port),
    ):
        pass


# ---- beside a training


def _answers(address: str) -> bool:
    try:
        connection = http.client.HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=5)
        connection.request("GET", "/data")
        return connection.getresponse().status == 200
    except OSError:
        return False


def test_watching_begins_and_ends_with_the_block(writer):
    with watched(writer.path, port=0) as sentence:
        address = sentence.removeprefix("the page of this run: ")
        assert _answers(address)
    assert not _answers(address)


def test_a_page_hears_how_the_run_ended(writer):
    with watched(writer.path, port=0) as sentence:
        address = sentence.removeprefix("the page of this run: ")
        assert _answers(address)
        writer.write("summary.json", {})
        heard: list[Any] = []
        late = threading.Timer(1.0, lambda: heard.append(_answers(address)))
        late.start()
    late.join()
    assert heard == [True] and not _answers(address)


def test_a_training_goes_on_without_its_page(server, writer, monkeypatch):
    with watched(writer.path, port=server.server_port) as sentence:
        assert sentence.startswith("the page cannot be served (cannot listen on port") and sentence.endswith(
            "the training goes on without it"
        )
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with watched(writer.path) as sentence:
        assert "the training goes on without it" in sentence


def test_the_server_ends_when_the_training_is_killed(writer):
    script = (
        "import sys, time; from pathlib import Path; from saccade.report.watch import watched\n"
        "with watched(Path(sys.argv[1]), port=0) as sentence:\n    print(sentence, flush=True)\n    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(writer.path)], stdout=subprocess.PIPE, text=True)
    address = process.stdout.readline().strip().removeprefix("the page of this run: ")
    assert address.startswith("http://127.0.0.1:")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    until = time.monotonic() + 20
    while _answers(address) and time.monotonic() < until:
        time.sleep(0.2)
    assert not _answers(address)
