"""A model that the environment names answers in place of the reader, through both frameworks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from demo import answering
from demo.answering import Endpoint, ModelError
from demo.reader import NAME

pytest.importorskip("langchain_openai")
pytest.importorskip("llama_index.llms.openai_like")

# LlamaIndex counts a chat prompt's tokens by asyncio.get_event_loop(), of which Python 3.12 warns.
pytestmark = pytest.mark.filterwarnings("ignore:There is no current event loop:DeprecationWarning")

ANSWER = "Call heapq.merge [1]."
ASK = ("--ask", "How do I merge several sorted inputs into one?")


class Stub(BaseHTTPRequestHandler):
    """An OpenAI-compatible endpoint that gives one answer and keeps what it was sent."""

    requests: list[tuple[str, dict[str, Any]]]
    status = 200

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).requests.append((self.headers["Authorization"], asked))
        self.send_response(self.status)
        streamed = bool(asked.get("stream")) and self.status == 200
        self.send_header("Content-Type", "text/event-stream" if streamed else "application/json")
        self.end_headers()
        self.wfile.write(_streamed() if streamed else json.dumps(_whole(self.status)).encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _whole(status: int) -> dict[str, Any]:
    if status != 200:
        return {"error": {"message": "no such key", "type": "invalid_request_error", "code": "bad"}}
    message = {"role": "assistant", "content": ANSWER}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }


def _streamed() -> bytes:
    lines = []
    for word in (ANSWER[:9], ANSWER[9:]):
        choice = {"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}
        part = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
        lines.append(f"data: {json.dumps(part)}\n\n")
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


@pytest.fixture
def stub() -> Iterator[type[Stub]]:
    handler = type("Handler", (Stub,), {"requests": []})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        handler.environment = {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1",
            "OPENAI_API_KEY": "secret",
            "OPENAI_MODEL": "mine",
        }
        yield handler
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("framework", ["langchain", "llama-index"])
def test_the_configured_model_answers(stub: Any, demo: Callable[..., Any], framework: str) -> None:
    status, printed = demo(*ASK, "--with", framework, environment=stub.environment)
    assert status == 0
    assert f"Answer (mine at {stub.environment['OPENAI_BASE_URL']})" in printed
    assert ANSWER in printed
    assert "Sources [1] heapq.py:" in printed


@pytest.mark.parametrize("framework", ["langchain", "llama-index"])
def test_the_model_is_sent_the_numbered_entries_and_the_question(stub, demo, framework: str) -> None:
    demo(*ASK, "--with", framework, environment=stub.environment)
    [(authorization, asked)] = stub.requests
    prompt = asked["messages"][-1]["content"]
    assert (authorization, asked["model"], asked["temperature"]) == ("Bearer secret", "mine", 0)
    assert "=== [1] heapq.merge(*iterables, key=None, reverse=False) ===\nMerge multiple" in prompt
    assert f"Question: {ASK[1]}" in prompt


def test_what_one_prompt_cannot_hold_is_sent_in_several(stub, demo) -> None:
    demo(*ASK, "--with", "llama-index", "-k", "200", environment=stub.environment)
    first, *further = [asked["messages"][-1]["content"] for _, asked in stub.requests]
    assert "=== [1] heapq.merge(" in first
    assert further
    assert all(f"Question: {ASK[1]}\nAnswer so far: {ANSWER}" in prompt for prompt in further)
    assert "\n=== [200] " in further[-1]


@pytest.mark.parametrize("framework", ["langchain", "llama-index"])
def test_a_model_that_refuses_is_a_clear_error(stub, demo, framework: str) -> None:
    stub.status = 401
    status, printed = demo(*ASK, "--with", framework, environment=stub.environment)
    assert status == 1
    assert "Error: mine at http://127.0.0.1" in printed
    assert "no such key" in printed
    assert "--reader" in printed
    assert "secret" not in printed


def test_the_reader_can_be_asked_for_instead(stub, demo) -> None:
    status, printed = demo(*ASK, "--reader", environment=stub.environment)
    assert (status, stub.requests) == (0, [])
    assert f"Answer ({NAME})" in printed


@pytest.mark.parametrize(
    ("environment", "endpoint"),
    [
        ({}, None),
        ({"OPENAI_API_KEY": "", "OPENAI_MODEL": "m"}, None),
        ({"OPENAI_API_KEY": "k"}, Endpoint(answering.DEFAULT_MODEL, "k", None)),
        ({"OPENAI_BASE_URL": "u", "OPENAI_MODEL": "m"}, Endpoint("m", "none", "u")),
        ({"OPENAI_API_KEY": "k", "OPENAI_MODEL": "m", "VICINAL_DEMO_MODEL": "v"}, Endpoint("v", "k", None)),
    ],
)
def test_the_environment_names_the_endpoint(environment: dict[str, str], endpoint: Endpoint | None) -> None:
    assert Endpoint.from_environment(environment) == endpoint


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(answering.importlib, "import_module", missing)
    with pytest.raises(ModelError, match=r"-m pip install langchain-openai\. With --reader"):
        answering.answerer({"OPENAI_API_KEY": "k"}, lambda texts: None)
