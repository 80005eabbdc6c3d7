"""A provider's function asks its service as the service wants to be asked, and never shows its key."""

import copy
import json
import pickle
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from vicinal.embedding import known_embedding_functions
from vicinal.embedding.registry import build, describe
from vicinal.errors import EmbeddingFunctionError
from vicinal.utils import embedding_functions as ef

KEY = "sk-a-very-secret-key"
VARIABLES = [
    *("CHROMA_OPENAI_API_KEY", "OPENAI_API_KEY", "CHROMA_COHERE_API_KEY", "COHERE_API_KEY"),
    *("CHROMA_VOYAGE_API_KEY", "VOYAGE_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "MISTRAL_API_KEY"),
    *("CHROMA_JINA_API_KEY", "JINA_API_KEY"),
    *("CHROMA_HUGGINGFACE_API_KEY", "HUGGINGFACE_API_KEY", "HF_TOKEN"),
]


@dataclass
class Asked:
    """One request that came in."""

    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Service:
    """A server on this machine; `answer` makes the JSON of a request's answer."""

    url: str = ""
    answer: Callable[[Any], Any] = lambda body: {}
    asked: list[Asked] = field(default_factory=list)
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Statuses and headers with which the next requests are answered instead."""


@pytest.fixture
def service() -> Iterator[Service]:
    """A provider to talk to, closed at the end."""
    made = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.asked.append(Asked(self.path, headers, body))
            status, extra = made.failures.pop(0) if made.failures else (200, {})
            reply = made.answer(body) if status == 200 else {"error": {"message": "not today"}}
            written = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            self.send_response(status)
            for name, value in {**extra, "content-type": "application/json"}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def vectors(texts: list[Any]) -> list[list[float]]:
    """What the services of these tests answer: a text's length and its place in the request."""
    return [[float(len(text)), float(i)] for i, text in enumerate(texts)]


def openai_like(body: Any) -> Any:
    data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors(body["input"]))]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "id": "1", "data": data[::-1], "model": body["model"], "usage": usage}


def in_order(body: Any) -> Any:
    answer = openai_like(body)
    return {**answer, "data": answer["data"][::-1]}


def cohere(body: Any) -> Any:
    content = body.get("texts") or body["images"]
    return {"id": "1", "response_type": "embeddings_by_type", "embeddings": {"float": vectors(content)}}


def google(body: Any) -> Any:
    texts = [one["content"]["parts"][0]["text"] for one in body["requests"]]
    return {"embeddings": [{"values": vector} for vector in vectors(texts)]}


@dataclass
class Case:
    """A provider: its class, where it is pointed to, what it should send and what it limits."""

    cls: Any
    package: str
    arguments: dict[str, Any]
    address: tuple[str, str]  # the argument, and what follows the server's own address
    variables: tuple[str, ...]
    answer: Callable[[Any], Any]
    path: str
    body: dict[str, Any]
    header: tuple[str, str] = ("authorization", f"Bearer {KEY}")
    texts_max: int = 32

    def make(self, service: Service, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Any:
        """The function, its key in the environment, asking `service`."""
        pytest.importorskip(self.package)
        if self.variables:
            monkeypatch.setenv(self.variables[-1], KEY)
        service.answer = self.answer
        name, suffix = self.address
        return self.cls(**{**self.arguments, name: service.url + suffix, **more})


def part(text: str) -> dict[str, Any]:
    return {"content": {"parts": [{"text": text}]}, "model": "models/m"}


CASES = {
    "openai": Case(
        ef.OpenAIEmbeddingFunction,
        "openai",
        {"model_name": "m"},
        ("api_base", "/v1"),
        ("CHROMA_OPENAI_API_KEY", "OPENAI_API_KEY"),
        openai_like,
        "/v1/embeddings",
        {"model": "m", "input": ["a", "bbb"], "encoding_format": "float"},
        texts_max=2048,
    ),
    "cohere": Case(
        ef.CohereEmbeddingFunction,
        "cohere",
        {"model_name": "m"},
        ("base_url", ""),
        ("CHROMA_COHERE_API_KEY", "COHERE_API_KEY"),
        cohere,
        "/v2/embed",
        {"model": "m", "texts": ["a", "bbb"], "input_type": "search_document", "embedding_types": ["float"]},
        texts_max=96,
    ),
    "voyageai": Case(
        ef.VoyageAIEmbeddingFunction,
        "voyageai",
        {"model_name": "m"},
        ("base_url", "/v1"),
        ("CHROMA_VOYAGE_API_KEY", "VOYAGE_API_KEY"),
        in_order,
        "/v1/embeddings",
        {"model": "m", "input": ["a", "bbb"], "truncation": True, "encoding_format": "base64"},
        texts_max=1000,
    ),
    "google": Case(
        ef.GoogleGeminiEmbeddingFunction,
        "google.genai",
        {"model_name": "m"},
        ("base_url", ""),
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        google,
        "/models/m:batchEmbedContents",  # after the version
        {"requests": [part("a"), part("bbb")]},
        header=("x-goog-api-key", KEY),
        texts_max=100,
    ),
    "mistral": Case(
        ef.MistralEmbeddingFunction,
        "mistralai.client",
        {"model": "m"},
        ("base_url", ""),
        ("MISTRAL_API_KEY",),
        openai_like,
        "/v1/embeddings",
        {"model": "m", "input": ["a", "bbb"]},
        texts_max=512,
    ),
    "jina": Case(
        ef.JinaEmbeddingFunction,
        "httpx",
        {"model_name": "m"},
        ("base_url", "/v1"),
        ("CHROMA_JINA_API_KEY", "JINA_API_KEY"),
        openai_like,
        "/v1/embeddings",
        {"model": "m", "input": ["a", "bbb"]},
        texts_max=512,
    ),
    "ollama": Case(
        ef.OllamaEmbeddingFunction,
        "ollama",
        {"model_name": "m"},
        ("url", ""),
        (),
        lambda body: {"model": "m", "embeddings": vectors(body["input"])},
        "/api/embed",
        {"model": "m", "input": ["a", "bbb"]},
        texts_max=256,
    ),
    "huggingface": Case(
        ef.HuggingFaceEmbeddingFunction,
        "huggingface_hub",
        {"model_name": "m"},
        ("base_url", "/endpoint"),
        ("CHROMA_HUGGINGFACE_API_KEY", "HUGGINGFACE_API_KEY", "HF_TOKEN"),
        lambda body: vectors(body["inputs"]),
        "/endpoint",
        {"inputs": ["a", "bbb"]},
    ),
    "huggingface_server": Case(
        ef.HuggingFaceEmbeddingServer,
        "httpx",
        {"api_key_env_var": "HF_TOKEN"},
        ("url", "/embed"),
        ("HF_TOKEN",),
        lambda body: vectors(body["inputs"]),
        "/embed",
        {"inputs": ["a", "bbb"]},
    ),
}
every_provider = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
with_a_key = pytest.mark.parametrize(
    "case", [case for case in CASES.values() if case.variables], ids=[n for n in CASES if n != "ollama"]
)


# --- what goes out and what comes back -------------------------------------------------------


@every_provider
def test_texts_come_back_as_vectors_in_their_order(service, monkeypatch, case):
    found = case.make(service, monkeypatch)(["a", "bbb"])
    assert [[1.0, 0.0], [3.0, 1.0]] == [vector.tolist() for vector in found]


@every_provider
def test_the_vectors_are_float32(service, monkeypatch, case):
    assert {np.dtype("float32")} == {vector.dtype for vector in case.make(service, monkeypatch)(["a"])}


@every_provider
def test_a_request_has_exactly_this_form(service, monkeypatch, case):
    case.make(service, monkeypatch)(["a", "bbb"])
    (asked,) = service.asked
    body = {name: value for name, value in asked.body.items() if value is not None}
    assert (True, case.body) == (asked.path.endswith(case.path), body)


@every_provider
def test_no_texts_ask_nothing(service, monkeypatch, case):
    assert ([], []) == (case.make(service, monkeypatch)([]), service.asked)


@every_provider
def test_many_texts_are_sent_in_as_many_requests_as_needed(service, monkeypatch, case):
    found = case.make(service, monkeypatch)(["t"] * (case.texts_max + 1))
    places = [vector.tolist()[1] for vector in found]
    assert ([*range(case.texts_max), 0], 2) == (places, len(service.asked))


@every_provider
def test_an_empty_text_is_sent_as_a_space(service, monkeypatch, case):
    found = case.make(service, monkeypatch)(["a", ""])
    assert [[1.0, 0.0], [1.0, 1.0]] == [vector.tolist() for vector in found]


@every_provider
def test_an_answer_with_too_few_vectors_is_refused(service, monkeypatch, case):
    function = case.make(service, monkeypatch)
    short = [vector[:1] for vector in vectors(["a"])]

    def one_only(body: Any) -> Any:
        full = case.answer(body)
        if isinstance(full, list):
            return short
        for name in ("data", "embeddings"):
            if isinstance(full.get(name), list):
                full[name] = full[name][:1]
            elif name in full:
                full[name] = {"float": short}
        return full

    service.answer = one_only
    with pytest.raises(EmbeddingFunctionError, match=r"request for 2 (texts|items) with 1 vectors"):
        function(["a", "b"])


@every_provider
def test_a_refusal_of_the_service_is_raised_without_the_key(service, monkeypatch, case):
    function = case.make(service, monkeypatch)
    service.failures = [(401, {})] * 9
    with pytest.raises(Exception, match=r"401|not today") as refused:
        function(["a"])
    assert KEY not in f"{refused.value!r} {refused.value}"


@pytest.mark.parametrize("case", [CASES[name] for name in ("openai", "cohere", "jina", "huggingface_server")])
def test_a_service_that_is_busy_is_asked_again(service, monkeypatch, case):
    function = case.make(service, monkeypatch)
    service.failures = [(429, {"retry-after-ms": "1", "retry-after": "0"})]
    assert ([[1.0, 0.0]], 2) == ([v.tolist() for v in function(["a"])], len(service.asked))


@pytest.mark.parametrize("wait", ["-1", "nan", "soon"])
def test_a_service_that_asks_for_no_possible_wait_is_asked_again(service, monkeypatch, wait):
    function = CASES["huggingface_server"].make(service, monkeypatch)
    service.failures = [(503, {"retry-after": wait})]
    assert [[1.0, 0.0]] == [v.tolist() for v in function(["a"])]


@pytest.mark.parametrize("case", [CASES[name] for name in ("jina", "huggingface_server")])
def test_an_answer_that_is_no_json_is_refused_with_its_words(service, monkeypatch, case):
    function = case.make(service, monkeypatch)
    service.answer = lambda body: b"<html>Please log in"
    with pytest.raises(EmbeddingFunctionError, match="answered with no JSON: <html>Please log in"):
        function(["a"])


@pytest.mark.parametrize(
    ("provider", "answer"),
    [
        *(("jina", answer) for answer in ({"detail": "quota"}, [1], None, {"data": None}, {"data": [1]})),
        *(("jina", {"data": [{"index": 0, "embedding": wrong}]}) for wrong in ("x", None, {"float": [1]})),
        *(("huggingface_server", answer) for answer in ({"error": "x"}, None, 5, [["a"]], [None])),
    ],
)
def test_an_answer_without_vectors_is_refused_with_its_words(service, monkeypatch, provider, answer):
    function = CASES[provider].make(service, monkeypatch)
    service.answer = lambda body: answer
    with pytest.raises(EmbeddingFunctionError, match="answered with no vectors: ") as refused:
        function(["a"])
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("provider", ["openai", "jina", "mistral"])
@pytest.mark.parametrize("index", [{}, {"index": None}])
def test_vectors_without_an_index_stay_in_their_order(service, monkeypatch, provider, index):
    function = CASES[provider].make(service, monkeypatch)

    def unnumbered(body: Any) -> Any:
        full = in_order(body)
        return {**full, "data": [{"object": "e", "embedding": d["embedding"], **index} for d in full["data"]]}

    service.answer = unnumbered
    assert [[1.0, 0.0], [3.0, 1.0]] == [v.tolist() for v in function(["a", "bbb"])]


@pytest.mark.parametrize("provider", ["jina", "huggingface_server"])
def test_the_proxy_of_the_environment_is_asked(service, monkeypatch, provider):
    case = CASES[provider]
    for name in ("HTTP_PROXY", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", service.url)
    case.make(service, monkeypatch)
    function = case.cls(**{**case.arguments, case.address[0]: "http://elsewhere.invalid"})
    assert [[1.0, 0.0]] == [vector.tolist() for vector in function(["a"])]


def test_a_server_that_is_not_there_yet_is_asked_again(service, monkeypatch):
    httpx = pytest.importorskip("httpx")
    function = CASES["jina"].make(service, monkeypatch)
    post, failures = httpx.Client.post, [httpx.ConnectError("refused"), httpx.ConnectTimeout("late")]

    def unreachable(*given: Any, **named: Any) -> Any:
        if failures:
            raise failures.pop()
        return post(*given, **named)

    monkeypatch.setattr(httpx.Client, "post", unreachable)
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert [[1.0, 0.0]] == [vector.tolist() for vector in function(["a"])]
    failures += [httpx.ConnectError("refused")] * 3
    with pytest.raises(httpx.ConnectError):
        function(["a"])


@pytest.mark.parametrize("provider", ["huggingface", "google", "mistral"])
def test_a_service_that_never_answers_is_not_waited_for_without_end(service, monkeypatch, provider):
    client = CASES[provider].make(service, monkeypatch)._client
    found = {
        "huggingface": lambda: client.timeout * 1_000,
        "google": lambda: client._api_client._http_options.timeout,
        "mistral": lambda: client.sdk_configuration.timeout_ms,
    }
    assert 60_000 == found[provider]()


# --- keys -------------------------------------------------------------------------------------


@with_a_key
def test_the_key_is_sent_in_a_header(service, monkeypatch, case):
    case.make(service, monkeypatch)(["a"])
    name, value = case.header
    assert value == service.asked[0].headers[name]


@with_a_key
def test_the_key_is_neither_stored_nor_shown(service, monkeypatch, case):
    function = case.make(service, monkeypatch)
    assert KEY not in f"{function!r} {describe(function)}"


@with_a_key
def test_white_space_around_a_key_is_no_part_of_it(service, monkeypatch, case):
    function = case.make(service, monkeypatch)
    monkeypatch.setenv(case.variables[-1], f" {KEY}\r\n")
    name, suffix = case.address
    case.cls(**{**case.arguments, name: service.url + suffix})(["a"])
    function(["a"])
    sent, value = case.header
    assert [value] * 2 == [asked.headers[sent] for asked in service.asked]


@with_a_key
@pytest.mark.parametrize("key", [KEY + "…", "sk-a\nvery-secret-key", "sk-a\x7fvery-secret-key"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(service, monkeypatch, case, key):
    case.make(service, monkeypatch)
    monkeypatch.setenv(case.variables[-1], key)
    with pytest.raises(EmbeddingFunctionError, match=f"^{case.variables[-1]} is no key") as refused:
        case.cls(**case.arguments if "url" not in case.address else {**case.arguments, "url": service.url})
    assert "very-secret" not in str(refused.value)


def test_a_key_that_is_given_and_cannot_be_sent_is_refused(service):
    for key in ("sk-…", b"sk-"):
        with pytest.raises(EmbeddingFunctionError, match=r"^api_key (is no key|must be text)"):
            ef.HuggingFaceEmbeddingServer(service.url, api_key=key)


@with_a_key
def test_a_function_is_pickled_without_its_key(service, monkeypatch, case):
    function = case.make(service, monkeypatch)
    written = pickle.dumps(function)
    assert KEY.encode() not in written
    again = pickle.loads(written)
    assert ([[1.0, 0.0]], function.get_config()) == ([v.tolist() for v in again(["a"])], again.get_config())


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_in_this_process_keeps_its_key(service, copied):
    service.answer = CASES["jina"].answer
    copied(ef.JinaEmbeddingFunction(KEY, base_url=service.url))(["a"])
    assert f"Bearer {KEY}" == service.asked[0].headers["authorization"]


@pytest.mark.parametrize("provider", ["jina", "huggingface_server"])
@pytest.mark.parametrize("answer", [None, b"<html>"])
def test_an_address_is_shown_without_its_password(service, monkeypatch, provider, answer):
    case = CASES[provider]
    function = case.make(service, monkeypatch)
    name, suffix = case.address
    address = service.url.replace("//", "//me:pa55word@") + suffix
    if name == "url":
        address += "?key=pa55word"
    function = case.cls(**{**case.arguments, name: address})
    if answer is None:
        service.failures = [(401, {})]
    else:
        service.answer = lambda body: answer
    with pytest.raises(EmbeddingFunctionError, match=service.url + case.path + " answered") as refused:
        function(["a"])
    assert "pa55word" not in str(refused.value)


@pytest.mark.parametrize("provider", ["openai", "jina", "cohere", "mistral", "voyageai", "huggingface"])
def test_a_key_needs_a_variable_or_a_name_of_one(service, monkeypatch, provider):
    case = CASES[provider]
    case.make(service, monkeypatch)
    monkeypatch.delenv(case.variables[-1])
    with pytest.raises(EmbeddingFunctionError, match=r"is not set|must name a variable"):
        case.cls(**case.arguments, api_key_env_var=None)


@pytest.mark.parametrize("case", [c for n, c in CASES.items() if c.variables and n != "huggingface_server"])
def test_without_a_key_the_error_names_the_variables(case):
    pytest.importorskip(case.package)
    with pytest.raises(EmbeddingFunctionError) as refused:
        case.cls(**case.arguments)
    assert all(variable in str(refused.value) for variable in case.variables)


def test_the_variable_that_was_named_comes_first(service, monkeypatch):
    monkeypatch.setenv("OTHER_KEY", "sk-other")
    CASES["openai"].make(service, monkeypatch, api_key_env_var="OTHER_KEY")(["a"])
    assert "Bearer sk-other" == service.asked[0].headers["authorization"]


def test_a_server_without_a_key_is_sent_none(service, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", KEY)
    service.answer = CASES["huggingface_server"].answer
    ef.HuggingFaceEmbeddingServer(service.url)(["a"])
    assert "authorization" not in service.asked[0].headers


def test_headers_are_sent_and_not_stored(service, monkeypatch):
    function = CASES["openai"].make(service, monkeypatch, default_headers={"X-Team": "secret-team"})
    function(["a"])
    assert ("secret-team", False) == (
        service.asked[0].headers["x-team"],
        "secret-team" in str(describe(function)),
    )


# --- from a collection and back ---------------------------------------------------------------


@every_provider
def test_a_function_is_rebuilt_from_what_is_stored(service, monkeypatch, case):
    stored = json.loads(json.dumps(describe(case.make(service, monkeypatch))))
    again = build(stored)
    assert (case.cls, stored) == (type(again), describe(again))


@every_provider
def test_a_rebuilt_function_asks_the_same(service, monkeypatch, case):
    function = case.make(service, monkeypatch)
    function(["a"])
    build(describe(function))(["a"])
    first, second = service.asked
    assert (first.path, first.body) == (second.path, second.body)


@every_provider
def test_chromas_name_leads_to_the_class(case):
    assert case.cls is known_embedding_functions[case.cls.name()]


@every_provider
def test_cosine_is_the_space_of_a_new_collection(service, monkeypatch, case):
    function = case.make(service, monkeypatch)
    assert ("cosine", True) == (function.default_space(), "cosine" in function.supported_spaces())


def test_a_stored_configuration_from_a_newer_release_is_refused():
    description = {"type": "known", "name": "ollama", "config": {"url": "http://x", "shape": "round"}}
    with pytest.raises(EmbeddingFunctionError, match=r"^The stored configuration .* ollama has shape, which"):
        build(description)


# --- one by one -------------------------------------------------------------------------------


def test_openai_is_asked_for_shorter_vectors(service, monkeypatch):
    CASES["openai"].make(service, monkeypatch, dimensions=64)(["a"])
    assert 64 == service.asked[0].body["dimensions"]


def test_openai_gets_no_request_larger_than_it_takes(service, monkeypatch):
    CASES["openai"].make(service, monkeypatch)(["x" * 400_000, "y" * 400_000, "z"])
    assert [1, 2] == [len(asked.body["input"]) for asked in service.asked]


def test_azure_is_asked_at_its_deployment(service, monkeypatch):
    azure = {"api_type": "azure", "api_version": "2024-02-01", "deployment_id": "d"}
    CASES["openai"].make(service, monkeypatch, api_base=service.url, **azure)(["a"])
    asked = service.asked[0]
    expected = ("/openai/deployments/d/embeddings?api-version=2024-02-01", KEY)
    assert expected == (asked.path, asked.headers["api-key"])


def test_azure_without_a_deployment_says_what_is_missing(service, monkeypatch):
    with pytest.raises(EmbeddingFunctionError, match="deployment_id must be specified"):
        CASES["openai"].make(service, monkeypatch, api_type="azure", api_version="1")


@pytest.mark.parametrize(
    ("provider", "arguments", "name", "document", "query"),
    [
        ("cohere", {}, "input_type", "search_document", "search_query"),
        ("voyageai", {"input_type": "document"}, "input_type", "document", "query"),
        ("voyageai", {}, "input_type", None, None),
        ("jina", {"task": "p", "query_config": {"task": "q"}}, "task", "p", "q"),
    ],
)
def test_queries_are_told_from_documents(service, monkeypatch, provider, arguments, name, document, query):
    function = CASES[provider].make(service, monkeypatch, **arguments)
    function(["a"])
    function.embed_query(["a"])
    assert [document, query] == [asked.body.get(name) for asked in service.asked]


def test_google_tells_queries_from_documents(service, monkeypatch):
    function = CASES["google"].make(service, monkeypatch, task_type="RETRIEVAL_DOCUMENT", dimension=8)
    function(["a"])
    function.embed_query(["a"])
    expected = [("RETRIEVAL_DOCUMENT", 8), ("RETRIEVAL_QUERY", 8)]
    sent = [asked.body["requests"][0] for asked in service.asked]
    assert expected == [(one["taskType"], one["outputDimensionality"]) for one in sent]


def test_googles_multimodal_model_gives_each_text_its_vector(service, monkeypatch):
    function = CASES["google"].make(service, monkeypatch, model_name="gemini-embedding-2")
    assert 2 == len(function(["a", "b"]))


def test_ollama_may_be_named_by_the_address_of_its_endpoint(service, monkeypatch):
    CASES["ollama"].make(service, monkeypatch, url=service.url + "/api/embeddings")(["a"])
    assert "/api/embed" == service.asked[0].path


@pytest.mark.parametrize("provider", ["cohere", "jina"])
def test_pictures_are_sent_as_png(service, monkeypatch, provider):
    function = CASES[provider].make(service, monkeypatch)
    assert 2 == len(function([np.zeros((4, 4, 3), np.uint8)] * 2))
    assert "iVBORw0KGgo" in json.dumps(service.asked[0].body)


def test_jina_takes_texts_and_pictures_in_one_request(service, monkeypatch):
    CASES["jina"].make(service, monkeypatch)(["a", np.zeros((4, 4), np.uint8)])
    assert [["text"], ["image"]] == [list(item) for item in service.asked[0].body["input"]]


@pytest.mark.parametrize("provider", [name for name in CASES if name not in ("cohere", "jina")])
def test_pictures_are_refused_where_only_text_is_embedded(service, monkeypatch, provider):
    function = CASES[provider].make(service, monkeypatch)
    assert function.supports_images() is False
