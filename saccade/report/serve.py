"""The page of a run that trains, on 127.0.0.1 and nowhere else.

    >>> with serving(Path("runs/reason_rft-2026-11-20-1")) as server:
    ...     server.address                          # http://127.0.0.1:8421/
    ...     server.serve_forever()

It answers GET for four things: the page, /data, /tokens and /pictures/<hash>, all of this one run. A web page of another
site must not read them through the browser of whoever trains, so requests that name another host or come from another
origin are refused; only a link to the page may stand elsewhere.

`python -m saccade.report.serve RUN` is what `saccade train --watch` starts: it says its address on one line, and ends
with whoever holds the other end of its standard input.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from PIL import Image

from saccade.report.feed import Feed, Gone
from saccade.report.page import live_page
from saccade.report.pictures import opened, thumbnail
from saccade.report.source import Source

HOST = "127.0.0.1"
PORT, PORTS = 8421, 20  # the first port, and how many are tried
SIDE, SMALL_FILE = 640, 200_000  # pictures of a longer side (pixels) and larger file (bytes) are sent smaller
PICTURE = re.compile(r"/pictures/([0-9a-f]{64})")
LINK = ("navigate", "document")  # Sec-Fetch-Mode and -Dest where a link is followed, not where a page embeds or fetches
LAST_WORDS = 5.0  # seconds in which an open page may ask how the run ended
WATCHED = 15.0  # seconds since its last question in which a page counts as open


class CannotServe(RuntimeError):
    """No server could be started; the message says why."""


class Server(ThreadingHTTPServer):
    """Serves one run's folder."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, run: Path, port: int) -> None:
        super().__init__((HOST, port), _Handler)
        self.run, self.feed = Path(run), Feed(run)
        self.page = live_page(Source(run).name)
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}
        self.asked_at = self.answered_at = float(
            "-inf"
        )  # when a page last asked, and when it asked what it last got an answer to
        self.picture = lru_cache(maxsize=256)(self._picture)

    @property
    def address(self) -> str:
        """Where to look."""
        return f"http://{HOST}:{self.server_port}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that went away is nothing to report; anything else keeps its traceback."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def _picture(self, sha: str) -> tuple[bytes, str] | None:
        """A picture's bytes and type; None where there is none that can be shown."""
        try:
            found = opened(Source(self.run), sha)
            if found is None:
                return None
            data, image = found
            if max(image.size) > SIDE and len(data) > SMALL_FILE:
                image.load()
                return thumbnail(image, side=SIDE, quality=80), "image/webp"
            image.verify()
            return data, f"image/{image.format.lower()}"
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return None


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 60

    def version_string(self) -> str:
        return "saccade"

    def do_GET(self) -> None:
        if not self._is_ours():
            return self._say(HTTPStatus.FORBIDDEN, "this page answers its own address only")
        try:
            url = urlsplit(self.path)
        except ValueError:
            return self._say(HTTPStatus.NOT_FOUND, "there is no such thing here")
        query = parse_qs(url.query)
        if url.path == "/":
            return self._send(self.server.page.text.encode(), "text/html; charset=utf-8")
        if url.path == "/data":
            return self._json(lambda: self.server.feed.news(query.get("after", [""])[0]))
        if url.path == "/tokens":
            return self._json(lambda: {"traces": self.server.feed.traces(query.get("group", [""])[0])})
        if match := PICTURE.fullmatch(url.path):
            if found := self.server.picture(match[1]):
                return self._send(*found, cache="private, max-age=31536000, immutable")
            self.server.picture.cache_clear()  # it may be there a moment later
        self._say(HTTPStatus.NOT_FOUND, "there is no such thing here")

    def _refuse_method(self) -> None:
        self.close_connection = True  # whatever follows is not read
        self._say(HTTPStatus.METHOD_NOT_ALLOWED, "this page can only be read", Allow="GET")

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _refuse_method

    def _is_ours(self) -> bool:
        """Whether the browser was sent here by this page, or by a person."""
        hosts, headers = self.server.hosts, self.headers
        if len(headers.get_all("Host", [])) != 1 or headers["Host"] not in hosts:
            return False
        if "Origin" in headers and headers["Origin"] not in {f"http://{host}" for host in hosts}:
            return False
        if headers.get("Sec-Fetch-Site", "none") in ("none", "same-origin"):
            return True
        # A link that somebody follows, in a chat or a terminal in the browser: it opens the page, and holds nothing of it.
        return self.path == "/" and (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")) == LINK

    def _json(self, make: object) -> None:
        began = self.server.asked_at = time.monotonic()
        try:
            found = make()
        except (Gone, FileNotFoundError) as gone:  # removed before, or while, it was read
            return self._say(
                HTTPStatus.SERVICE_UNAVAILABLE, str(gone) if isinstance(gone, Gone) else f"{self.server.run} is gone"
            )
        self._send(json.dumps(found, separators=(",", ":")).encode("ascii"), "application/json")
        self.server.answered_at = began

    def _say(self, status: HTTPStatus, sentence: str, **headers: str) -> None:
        self._send(json.dumps({"error": sentence}).encode(), "application/json", status=status, **headers)

    def _send(
        self, data: bytes, kind: str, *, status: HTTPStatus = HTTPStatus.OK, cache: str = "no-store", **headers: str
    ) -> None:
        is_text = not kind.startswith("image/")
        if is_text and len(data) > 1000 and "gzip" in self.headers.get("Accept-Encoding", ""):
            data = gzip.compress(data, compresslevel=3, mtime=0)
            headers["Content-Encoding"] = "gzip"
        self.send_response(status)
        said = {
            "Content-Type": kind, "Content-Length": str(len(data)), "Cache-Control": cache, "Vary": "Accept-Encoding",
            "Content-Security-Policy": f"{self.server.page.policy}; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin", **headers,
        }  # fmt: skip
        for key, value in said.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Requests are not logged: the terminal belongs to the training."""


@contextmanager
def serving(run: Path, *, port: int | None = None) -> Iterator[Server]:
    """A server for a run's folder, listening. Without `port` the first free one from 8421. CannotServe."""
    server = _bound(run, port)
    try:
        yield server
    finally:
        server.server_close()


def _bound(run: Path, port: int | None) -> Server:
    if port is not None and not 0 <= port <= 65535:
        raise CannotServe(f"--port must be 0 to 65535, got {port}")
    tried = range(PORT, PORT + PORTS) if port is None else [port]
    for one in tried:
        try:
            return Server(run, one)
        except OSError as error:
            why = error.strerror or str(error)
    which = f"port {port}" if port is not None else f"any port from {PORT} to {PORT + PORTS - 1}"
    raise CannotServe(f"cannot listen on {which} of {HOST}: {why}; name another with --port")


def main(arguments: list[str] | None = None) -> int:
    """Serve until standard input ends, then a moment longer, so that open pages hear how the run ended."""
    parser = argparse.ArgumentParser(prog="python -m saccade.report.serve")
    parser.add_argument("run", type=Path)
    parser.add_argument("--port", type=int)
    options = parser.parse_args(arguments)
    with suppress(OSError):
        os.nice(10)  # the training goes first
    try:
        with serving(options.run, port=options.port) as server:
            print(server.address, flush=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            sys.stdin.buffer.read()
            _linger(server, ended_at=time.monotonic())
    except CannotServe as error:
        print(f"error: {error}", flush=True)
        return 1
    return 0


def _linger(server: Server, *, ended_at: float) -> None:
    if ended_at - server.asked_at > WATCHED:
        return
    while server.answered_at < ended_at and time.monotonic() < ended_at + LAST_WORDS:
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
