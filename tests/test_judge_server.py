"""Judges behind a server, against a real HTTP server on loopback that is slow, wrong, rate-limiting, failing and dying."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import email.utils
import io
import json
import multiprocessing
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import PIL.Image
import pytest

from saccade.core.picture import Picture
from saccade.core.reward import RewardError, reward, weighted
from saccade.core.rollout import Group, Rollout, Score
from saccade.core.sample import Message
from saccade.rewards.judges import Cached, JudgeFailed, Question, Server, judged, quoted
from tests.rollouts import group_of, rollout_of, sample_of

SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 0, "maximum": 10}},
    "required": ["score"],
    "additionalProperties": False,
}


class Sent(Exception):
    """What a script raises to answer with anything but a chat completion."""

    def __init__(self, status: int, body: str = "", headers: dict[str, str] | None = None, *, missing: int = 0) -> None:
        self.status, self.body, self.headers, self.missing = status, body, headers or {}, missing


class ChatServer:
    """A chat endpoint on loopback. `script(body, number)` gives the text of a reply, or raises Sent; `number` counts from 0."""

    def __init__(self, script: Callable[[dict[str, Any], int], Any]) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.keys: list[str | None] = []
        self.most_at_once = self._now = 0
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16  # head and body in one packet: two of them wait for each other

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                assert self.path == "/v1/chat/completions"
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with lock:
                    number = len(outer.bodies)
                    outer.bodies.append(body)
                    outer.times.append(time.monotonic())
                    outer.keys.append(self.headers["authorization"])
                    outer._now += 1
                    outer.most_at_once = max(outer.most_at_once, outer._now)
                try:
                    said = script(body, number)
                    said = said if isinstance(said, dict) else {"content": said}
                    reason = said.pop("finish_reason", "stop")
                    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", **said}}
                    self.send(Sent(200, json.dumps({"id": "x", "object": "chat.completion", "choices": [choice]})))
                except Sent as sent:
                    self.send(sent)
                finally:
                    with lock:
                        outer._now -= 1

            def send(self, sent: Sent) -> None:
                body = sent.body.encode()
                with contextlib.suppress(OSError):  # the client may have gone
                    self.send_response(sent.status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(body) + sent.missing))
                    for name, value in sent.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)
                    self.wfile.flush()
                self.close_connection = bool(sent.missing)

        class Httpd(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                assert isinstance(sys.exc_info()[1], OSError), sys.exc_info()  # a client that has gone

        self.httpd = Httpd(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}/v1"
        self.thread = threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def judge(self, **changes: Any) -> Server:
        return Server(url=self.url, model="fake", **{"backoff": 0.01, "seconds": 5.0, "patience": 10.0, **changes})


@pytest.fixture
def serve() -> Iterator[Callable[..., ChatServer]]:
    made: list[ChatServer] = []

    def start(script: Callable[[dict[str, Any], int], Any]) -> ChatServer:
        made.append(ChatServer(script))
        return made[-1]

    yield start
    for one in made:
        one.httpd.shutdown()
        one.httpd.server_close()
        one.thread.join()


def asked(body: dict[str, Any]) -> str:
    """What the user's message says, without pictures."""
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join(p["text"] for p in content if p["type"] == "text")


def question(text: str = "7", **changes: Any) -> Question:
    return Question(messages=(Message("system", ("Grade.",)), Message("user", (text,))), **changes)


def ask(judge: Any, *questions: Question) -> list[Any]:
    """Replies or failures, all asked at the same time."""

    async def together() -> list[Any]:
        return await asyncio.gather(*map(judge, questions), return_exceptions=True)

    return asyncio.run(together())


def failure(judge: Any, *questions: Question) -> str:
    (found,) = ask(judge, *(questions or (question(),)))
    assert isinstance(found, JudgeFailed), found
    return str(found)


def dead_url() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


# what is sent


def test_a_question_is_sent_as_it_is(serve, monkeypatch):
    monkeypatch.setenv("SECRET", "sk-1")
    server = serve(lambda body, n: "fine")
    (reply,) = ask(server.judge(key_variable="SECRET", seed=42, extra={"top_k": 1}), question("7", max_tokens=9))
    assert reply.text == "fine" and reply.data is None
    (body,) = server.bodies
    assert body == {
        "model": "fake",
        "messages": [{"role": "system", "content": "Grade."}, {"role": "user", "content": "7"}],
        "max_tokens": 9,
        "temperature": 0.0,
        "seed": 42,
        "top_k": 1,
    }
    assert server.keys == ["Bearer sk-1"]


def test_what_a_server_does_not_take_is_left_out(serve):
    server = serve(lambda body, n: "fine")
    ask(server.judge(temperature=None, seed=None, limit_name="max_completion_tokens"), question(max_tokens=3))
    assert server.bodies[0].keys() == {"model", "messages", "max_completion_tokens"}


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_pictures_are_sent_in_reading_order_as_data_urls(serve, kind):
    picture = Picture.of(PIL.Image.new("RGB", (30, 20), (200, 30, 40)))
    server = serve(lambda body, n: "red")
    ask(server.judge(picture_format=kind), Question(messages=(Message("user", ("What colour", picture, "is this?")),)))
    first, second, third = server.bodies[0]["messages"][0]["content"]
    assert (first["text"], third["text"]) == ("What colour", "is this?")
    head, _, data = second["image_url"]["url"].partition(",")
    assert head == f"data:image/{kind};base64"
    image = PIL.Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.size == (30, 20) and image.format == kind.upper()
    assert max(abs(a - b) for a, b in zip(image.convert("RGB").getpixel((9, 9)), (200, 30, 40), strict=True)) <= 3


def test_text_that_utf8_cannot_hold_is_sent_all_the_same(serve):
    server = serve(lambda body, n: asked(body))
    (reply,) = ask(server.judge(), question("a\ud800b"))
    assert reply.text == "a\ufffdb"


def test_a_missing_key_or_client_is_wrong_configuration_and_no_failed_judge(serve, monkeypatch):
    server = serve(lambda body, n: "fine")
    monkeypatch.delenv("SECRET", raising=False)
    (found,) = ask(server.judge(key_variable="SECRET"), question())
    assert "SECRET, which is not set" in str(found) and not isinstance(found, JudgeFailed)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (found,) = ask(server.judge(), question())
    assert "pip install 'saccade[judges]'" in str(found) and not isinstance(found, JudgeFailed)


@pytest.mark.parametrize(
    "changes", [{"tries": 0}, {"seconds": 0}, {"backoff": -1}, {"structured": "xml"}, {"picture_format": "gif"}, {"url": "localhost"}]
)
def test_settings_that_make_no_sense_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        Server(**{"url": "http://localhost/v1", "model": "m", **changes})


@pytest.mark.parametrize(
    "url",
    ["", "localhost:8000/v1", "ftp://a/v1", "http://", "http:///v1", "http://127.0.0.1:99999/v1", "http://a:port/v1", "http://a:0/v1"]
    + ["http://[::1", "http://[::1/v1", "http://a b/v1", "http://a/v1\n"],
)
def test_an_url_that_cannot_be_one_is_refused_where_the_judge_is_made(url):
    with pytest.raises(ValueError, match="the url of a judge is like http://localhost:8000/v1, got .*: .+"):
        Server(url=url, model="m")


@pytest.mark.parametrize("url", ["http://localhost:8000/v1", "https://api.openai.com/v1", "http://[::1]:8000/v1", "http://a/v1?x=1"])
def test_an_url_that_can_be_one_is_taken(url):
    assert Server(url=url, model="m").url == url


def test_a_surrogate_half_in_a_reply_is_mended(serve):
    server = serve(lambda body, n: "ok \ud83d")
    assert ask(server.judge(), question())[0].text == "ok \ufffd"


# structured output


def test_a_schema_is_sent_and_its_reply_is_data(serve):
    server = serve(lambda body, n: '{"score": 7}')
    (reply,) = ask(server.judge(), question(schema=SCHEMA))
    assert reply.data == {"score": 7}
    form = server.bodies[0]["response_format"]
    assert form == {"type": "json_schema", "json_schema": {"name": "verdict", "schema": SCHEMA, "strict": True}}


def only(*known: str) -> Callable[[dict[str, Any], int], str]:
    """A server that knows these response formats, and with others answers 400."""

    def script(body: dict[str, Any], number: int) -> str:
        form = body.get("response_format", {}).get("type", "words")
        if form not in known:
            raise Sent(400, '{"error": {"message": "unknown response_format"}}')
        return 'Sure: ```json\n{"score": 7}\n```' if form == "words" else '{"score": 7}'

    return script


@pytest.mark.parametrize(("known", "refusals"), [("json_object", 1), ("words", 2)])
def test_a_form_that_the_server_refuses_is_tried_once_and_then_no_more(serve, known, refusals):
    server = serve(only(known))
    judge = server.judge()
    for _ in range(3):
        (reply,) = ask(judge, question(schema=SCHEMA))
        assert reply.data == {"score": 7}
    assert len(server.bodies) == 3 + refusals
    assert '"maximum": 10' in asked(server.bodies[-1])  # the schema is told in words
    assert '"maximum": 10' not in asked(server.bodies[0])


def test_a_question_that_is_refused_in_every_form_teaches_nothing_about_forms(serve):
    def script(body: dict[str, Any], number: int) -> str:
        if "too long" in asked(body):
            raise Sent(400, "the context is too long")
        return '{"score": 7}'

    server = serve(script)
    judge = server.judge()
    assert "HTTP 400: the context is too long" in failure(judge, question("too long", schema=SCHEMA))
    ask(judge, question("short", schema=SCHEMA))
    assert server.bodies[-1]["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("seven", "holds no JSON object: 'seven'"),
        ('{"score": 7', "holds no JSON object"),
        ('{"score": 11}', "its score is 11, at most 10"),
        ('{"score": "7"}', 'its score is "7", not integer'),
        ('{"score": true}', "its score is true, not integer"),
        ('{"points": 7}', "has no score"),
        ('{"score": 7, "note": ""}', "has note, which was not asked for"),
        ('[7]', "holds no JSON object"),
        ('{"score": NaN}', "holds no JSON object"),
        ('either {"score": 1} or {"score": 2}', "2 verdicts that differ"),
        ("[" * 100_000, "holds no JSON object"),
        ('{"score":' * 10_000, "holds no JSON object"),
    ],
)
def test_a_reply_that_does_not_fit_is_asked_for_again_and_then_a_failure(serve, wrong, why):
    server = serve(lambda body, n: wrong)
    assert why in failure(server.judge(tries=3), question(schema=SCHEMA))
    assert len(server.bodies) == 3 and [body["seed"] for body in server.bodies] == [0, 1, 2]
    server = serve(lambda body, n: wrong if n == 0 else '{"score": 3}')
    (reply,) = ask(server.judge(), question(schema=SCHEMA))
    assert reply.data == {"score": 3}


@pytest.mark.parametrize("structured", ["json_schema", "json_object", "words"])
def test_a_verdict_that_was_cut_off_is_asked_for_with_twice_the_tokens(serve, structured):
    def script(body: dict[str, Any], number: int) -> Any:
        whole = body["max_tokens"] >= 1000
        return '{"score": 3}' if whole else {"content": '{"score": 3}', "finish_reason": "length"}  # it fits, but who knows

    server = serve(script)
    (reply,) = ask(server.judge(structured=structured), question(schema=SCHEMA, max_tokens=320))
    assert reply.data == {"score": 3} and [body["max_tokens"] for body in server.bodies] == [320, 640, 1280]
    assert "cut off by its token limit (asked 2 times)" in failure(server.judge(tries=2), question(schema=SCHEMA, max_tokens=10))


def test_free_text_may_be_cut_off(serve):
    """"0" or "1" with max_tokens=1 is how yes-or-no judges are asked."""
    server = serve(lambda body, n: {"content": "1", "finish_reason": "length"})
    assert ask(server.judge(), question(max_tokens=1))[0].text == "1"


@pytest.mark.parametrize(
    ("sent", "why", "requests"),
    [
        ({"content": None, "refusal": "I cannot"}, "refuses to answer: I cannot", 1),
        ({"content": "half", "finish_reason": "content_filter"}, "content filter", 1),
        ({"content": ""}, "empty answer", 2),
        ({"content": None}, "empty answer", 2),
        ({"content": [1]}, "empty answer", 2),
    ],
)
def test_answers_that_are_none(serve, sent, why, requests):
    server = serve(lambda body, n: dict(sent))
    assert why in failure(server.judge(tries=2))
    assert len(server.bodies) == requests


# a server in trouble


def sending(*sent: Sent | str) -> Callable[[dict[str, Any], int], str]:
    """Sends these in turn, the last again and again."""

    def script(body: dict[str, Any], number: int) -> str:
        one = sent[min(number, len(sent) - 1)]
        if isinstance(one, Sent):
            raise one
        return one

    return script


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_what_may_pass_is_tried_again(serve, status):
    server = serve(sending(Sent(status, "busy"), Sent(status, "busy"), "fine"))
    assert ask(server.judge(), question())[0].text == "fine"
    assert len(server.bodies) == 3
    server = serve(sending(Sent(status, "busy")))
    assert failure(server.judge(tries=3)).endswith(f"answered with HTTP {status}: busy (asked 3 times)")
    assert len(server.bodies) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_will_not_pass_is_not_tried_again(serve, status):
    server = serve(sending(Sent(status, "no")))
    said = failure(server.judge())
    assert said == f"the judge fake at {server.url} answered with HTTP {status}: no"
    assert len(server.bodies) == 1


def test_an_empty_purse_is_not_tried_again(serve):
    server = serve(sending(Sent(429, '{"error": {"message": "pay", "code": "insufficient_quota"}}')))
    assert "HTTP 429" in failure(server.judge()) and len(server.bodies) == 1


def test_waits_double(serve):
    server = serve(sending(Sent(500)))
    failure(server.judge(tries=4, backoff=0.1))
    waits = [b - a for a, b in zip(server.times, server.times[1:], strict=False)]
    assert len(waits) == 3
    for wait, least in zip(waits, (0.1, 0.2, 0.4), strict=True):
        assert least <= wait < 1.25 * least + 0.15


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_rate_limit_is_waited_for_as_long_as_it_asks(serve, form):
    def script(body: dict[str, Any], number: int) -> str:
        if number == 0:
            said = "0.4" if form == "seconds" else email.utils.formatdate(time.time() + 2, usegmt=True)
            raise Sent(429, "slow down", {"Retry-After": said})
        return "fine"

    server = serve(script)
    assert ask(server.judge(), question())[0].text == "fine"
    first, second = server.times
    assert second - first >= (0.4 if form == "seconds" else 0.9)  # dates have whole seconds


def test_a_rate_limit_beyond_all_patience_fails_at_once(serve):
    server = serve(sending(Sent(429, "slow down", {"Retry-After": "3600"})))
    begin = time.monotonic()
    assert "HTTP 429: slow down and asks for 3600 s; it has 10 s in all" in failure(server.judge())
    assert time.monotonic() - begin < 5 and len(server.bodies) == 1


@pytest.mark.parametrize(("said", "shown"), [("1e308", "1e+308"), ("inf", "inf"), ("86400", "86400")])
def test_an_absurd_wait_is_told_in_a_few_digits(serve, said, shown):
    server = serve(sending(Sent(429, "slow down", {"Retry-After": said})))
    assert failure(server.judge()).endswith(f"HTTP 429: slow down and asks for {shown} s; it has 10 s in all")


@pytest.mark.parametrize("said", ["soon", "-5", "", "nan"])
def test_nonsense_in_retry_after_does_no_harm(serve, said):
    server = serve(sending(Sent(429, "slow down", {"Retry-After": said}), "fine"))
    assert ask(server.judge(), question())[0].text == "fine"


def test_a_slow_server_costs_its_time_limit_and_no_more(serve):
    free = threading.Event()
    server = serve(lambda body, n: "late" if free.wait(20) else "")
    begin = time.monotonic()
    assert "did not answer within 0.2 s (asked 2 times)" in failure(server.judge(seconds=0.2, tries=2))
    assert time.monotonic() - begin < 5
    free.set()
    assert len(server.bodies) == 2


def test_patience_ends_a_request_too(serve):
    free = threading.Event()
    server = serve(lambda body, n: sending(Sent(500, "busy"))(body, n) if n == 0 else "late" if free.wait(20) else "")
    begin = time.monotonic()
    said = failure(server.judge(seconds=10.0, patience=0.5))
    assert "did not answer within" in said and said.endswith("it has 0.5 s in all") and time.monotonic() - begin < 5
    free.set()


def test_a_server_that_drips_is_slow_too():
    """The client's own time limit is for each read: bytes that keep coming would keep it waiting for ever."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n")
                while not stop.wait(0.05):
                    connection.sendall(b" ")

        thread = threading.Thread(target=drip)
        thread.start()
        judge = Server(url=f"http://127.0.0.1:{listener.getsockname()[1]}/v1", model="m", seconds=0.5, tries=1)
        begin = time.monotonic()
        try:
            assert "did not answer within 0.5 s" in failure(judge)
            assert time.monotonic() - begin < 5
        finally:
            stop.set()
            thread.join()


def test_a_server_that_dies_in_mid_answer(serve):
    server = serve(sending(Sent(200, '{"choices": [{"mess', missing=1000), "fine"))
    assert ask(server.judge(), question())[0].text == "fine"
    server = serve(sending(Sent(200, '{"choices": [{"mess', missing=1000)))
    assert "cannot be reached" in failure(server.judge(tries=2)) and len(server.bodies) == 2


@pytest.mark.parametrize(
    "body", ["", "<html>busy</html>", "[]", "{}", '{"choices": []}', '{"choices": [{}]}', "null", '"x"', "[" * 100_000]
)
def test_answers_that_are_no_chat_completions(serve, body):
    server = serve(sending(Sent(200, body)))
    assert "sent no chat completion" in failure(server.judge(tries=2)) and len(server.bodies) == 2


def test_a_closed_port():
    judge = Server(url=dead_url(), model="m", backoff=0.01, tries=3)
    said = failure(judge)
    assert "cannot be reached" in said and "(asked 3 times)" in said


# many questions


def test_answers_reach_who_asked_however_late_they_are(serve):
    def script(body: dict[str, Any], number: int) -> str:
        time.sleep(0.002 * (number * 7 % 13))
        return asked(body)

    server = serve(script)
    texts = [f"answer {i}" for i in range(80)]
    replies = ask(server.judge(concurrency=8), *map(question, texts))
    assert [reply.text for reply in replies] == texts
    assert 2 <= server.most_at_once <= 8 and len(server.bodies) == 80


def test_a_judge_serves_one_event_loop_after_another_and_two_at_once(serve):
    """A run has a loop per step."""
    server = serve(lambda body, n: asked(body))
    judge = server.judge()
    for step in range(3):
        assert [r.text for r in ask(judge, question(f"{step}"), question("x"))] == [f"{step}", "x"]
    found: dict[int, list[Any]] = {}
    threads = [threading.Thread(target=lambda i=i: found.update({i: ask(judge, question(f"{i}"))})) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {i: replies[0].text for i, replies in found.items()} == {i: f"{i}" for i in range(4)}


@pytest.mark.filterwarnings("error")
def test_no_connection_outlives_its_event_loop(serve):
    server = serve(lambda body, n: "fine")
    judge = server.judge()
    ask(judge, question())
    (line,) = judge._lines.values()
    assert line.client.is_closed()
    ask(judge, question())
    assert len(judge._lines) == 1


def test_a_dead_judge_costs_a_step_little(serve):
    """300 questions that all wait for their time limit, 16 at a time, would take 300 / 16 * 0.9 s."""
    free = threading.Event()
    server = serve(lambda body, n: "late" if free.wait(30) else "")
    judge = server.judge(seconds=0.3, patience=5.0, tries=3, concurrency=16)
    begin = time.monotonic()
    found = ask(judge, *(question(f"{i}") for i in range(300)))
    assert time.monotonic() - begin < 10
    assert all(isinstance(one, JudgeFailed) for one in found) and len(server.bodies) <= 3 * 24
    assert "is down: " in str(found[-1]) and "did not answer within 0.3 s" in str(found[-1])
    free.set()


def test_a_judge_that_was_down_is_asked_again_after_its_rest(serve):
    server = serve(lambda body, n: sending(Sent(503, "down"))(body, n) if n < 8 else "fine")
    judge = server.judge(tries=1, gives_up_after=8, concurrency=1, rest=0.3)
    found = ask(judge, *[question()] * 12)
    assert len(server.bodies) == 8 and all(isinstance(one, JudgeFailed) for one in found)
    time.sleep(0.35)
    assert [one.text for one in ask(judge, *[question()] * 12)] == ["fine"] * 12


def test_a_judge_that_answers_now_and_then_is_not_dead(serve):
    server = serve(lambda body, n: "fine" if n % 3 == 2 else sending(Sent(503, "busy"))(body, n))
    found = ask(server.judge(tries=1, gives_up_after=3, concurrency=1), *[question()] * 12)
    assert [isinstance(one, JudgeFailed) for one in found] == [True, True, False] * 4 and len(server.bodies) == 12


def test_refusals_do_not_make_a_judge_dead(serve):
    server = serve(lambda body, n: sending(Sent(400, "no"))(body, n) if n < 20 else "fine")
    found = ask(server.judge(concurrency=1), *[question()] * 21)
    assert found[-1].text == "fine"


# rewards that ask


def points(server_or_judge: Any, *, on_failure: str = "none", when_right: Any = None):
    judge = server_or_judge.judge() if isinstance(server_or_judge, ChatServer) else server_or_judge
    return judged(
        "points",
        judge=judge,
        ask=lambda rollout: Question.about("Grade it.", quoted(rollout.text), schema=SCHEMA),
        read=lambda reply, rollout: reply.data["score"] / 10,
        on_failure=on_failure,
        when_right=when_right,
    )


def scored(term: Any, *groups: Group) -> list[list[Score]]:
    found = asyncio.run(weighted((term, 1.0)).score(groups))
    return [[rollout.scores["points"] for rollout in group.rollouts] for group in found]


def written(text: str) -> Rollout:
    return rollout_of(None, text=text)


def test_every_rollout_gets_its_own_points(serve):
    def script(body: dict[str, Any], number: int) -> str:
        time.sleep(0.01 * (number * 5 % 7))
        (line,) = [line for line in asked(body).splitlines() if line.startswith("| ")]
        if line == "| 4":
            raise Sent(400, "not this one")
        return json.dumps({"score": int(line[2:])})

    server = serve(script)
    groups = [group_of(*(written(str(10 - 5 * g - i)) for i in range(5)), sample=sample_of(f"s{g}")) for g in range(2)]
    first, second = scored(points(server), *groups)
    assert [score.value for score in first] == [1.0, 0.9, 0.8, 0.7, 0.6]
    assert [score.value for score in second] == [0.5, None, 0.3, 0.2, 0.1]  # nobody else's answer took the place
    assert "HTTP 400: not this one" in second[1].why and first[0].why == '{"score": 10}'


def right(rollout: Rollout) -> bool:
    return rollout.text == "7"


@reward(best=2.0)
async def right_twice(rollout: Rollout, progress: float) -> float:
    assert progress == 0.5
    return 2.0 if rollout.text == "7" else 1.0


@pytest.mark.parametrize(
    ("on_failure", "when_right", "values"),
    [
        ("none", None, [None, None]),
        ("zero", None, [0.0, 0.0]),
        ("half", right, [0.5, 0.0]),
        ("half", right_twice, [0.5, 0.0]),
        ("half", lambda rollout: None, [None, None]),
    ],
)
@pytest.mark.parametrize("trouble", ["dead", "wrong"])
def test_what_a_failed_judge_means_is_as_agreed(serve, on_failure, when_right, values, trouble):
    if trouble == "dead":
        judge = Server(url=dead_url(), model="m", tries=2, backoff=0.01)
    else:
        judge = serve(lambda body, n: "ten out of ten").judge(tries=2)
    term = points(judge, on_failure=on_failure, when_right=when_right)
    (group,) = asyncio.run(weighted((term, 1.0)).score([group_of(written("7"), written("8"))], progress=0.5))
    found = [rollout.scores["points"] for rollout in group.rollouts]
    assert [score.value for score in found] == values
    assert all(score.why.startswith("judge failed: the judge ") for score in found)


def test_a_failed_judge_can_stop_the_run():
    judge = Server(url=dead_url(), model="m", tries=1)
    with pytest.raises(RewardError, match="'points' failed on row 's': JudgeFailed.*cannot be reached"):
        scored(points(judge, on_failure="stop"), group_of(written("7")))


# the cache, in front of a server


def test_a_second_run_asks_nothing_and_other_questions_do(serve, tmp_path):
    server = serve(lambda body, n: json.dumps({"score": n % 11}))
    for _ in range(2):  # an object of its own, as in another run
        judge = Cached(server.judge(), tmp_path / "deep" / "judge.sqlite")
        (scores,) = scored(points(judge), group_of(written("7"), written("8"), written("7")))
        assert len(server.bodies) == 2  # the two equal ones were asked once, though at the same time
        assert scores[0].value == scores[2].value
    for n, change in enumerate([{"seed": 1}, {"temperature": 0.5}]):
        scored(points(Cached(server.judge(**change), tmp_path / "deep" / "judge.sqlite")), group_of(written("7")))
        assert len(server.bodies) == 3 + n


def test_failures_are_not_kept(serve, tmp_path):
    server = serve(sending(Sent(403, "not now"), "seven", '{"score": 7}'))
    judge = Cached(server.judge(tries=1), tmp_path / "judge.sqlite")
    values = [scored(points(judge), group_of(written("7")))[0][0].value for _ in range(4)]
    assert values == [None, None, 0.7, 0.7] and len(server.bodies) == 3


def _in_a_process(url: str, path: str, first: int) -> None:
    judge = Cached(Server(url=url, model="fake"), path)
    found = ask(judge, *(question(str(i), schema=SCHEMA) for i in range(first, first + 10)))
    assert [reply.data["score"] for reply in found] == [i % 11 for i in range(first, first + 10)], found


def test_processes_share_a_cache(serve, tmp_path):
    server = serve(lambda body, n: json.dumps({"score": int(asked(body)) % 11}))
    path = str(tmp_path / "judge.sqlite")
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_in_a_process, args=(server.url, path, first)) for first in (0, 5, 20)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    before = len(server.bodies)
    assert 25 <= before <= 30  # two of them have five questions in common
    _in_a_process(server.url, path, 0)
    _in_a_process(server.url, path, 20)
    assert len(server.bodies) == before
