"""A model is not asked again what it has answered, and never gets the answer to something else."""

import math

import pytest
from langchain_core.language_models import FakeListChatModel, FakeListLLM, GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, GenerationChunk
from langchain_tests.integration_tests import AsyncCacheTestSuite, SyncCacheTestSuite

from langchain_vicinal import VicinalCache, VicinalEmbeddings, VicinalSemanticCache
from vicinal.errors import InvalidArgumentError
from vicinal.testing import HashEmbeddingFunction

EMBEDDING = VicinalEmbeddings(HashEmbeddingFunction())
KINDS = {
    "exact": VicinalCache,
    "semantic": lambda **place: VicinalSemanticCache(EMBEDDING, 0.7, **place),
}


@pytest.fixture(params=["memory", "directory"])
def place(request, tmp_path):
    return {"path": tmp_path} if request.param == "directory" else {}


@pytest.fixture(params=KINDS)
def any_cache(request, place):
    cache = KINDS[request.param](**place)
    yield cache
    assert cache._connection.client.check() == []
    cache.close()


@pytest.fixture
def semantic(place):
    return KINDS["semantic"](**place)


class TestStandard(SyncCacheTestSuite):
    @pytest.fixture
    def cache(self, any_cache):
        return any_cache


class TestStandardAsync(AsyncCacheTestSuite):
    @pytest.fixture
    async def cache(self, any_cache):
        return any_cache


def message(text, **fields):
    return ChatGeneration(message=AIMessage(text, **fields))


ANSWERS = {
    "none": [],
    "text": [Generation(text="a"), Generation(text="ü ✓", generation_info={"n": [1, None, 2.5]})],
    "chunk": [
        GenerationChunk(text="a"),
        ChatGenerationChunk(message=AIMessageChunk("a"), generation_info={}),
    ],
    "message": [message("a", id="7", response_metadata={"model": "m"}, additional_kwargs={"x": {"y": 1}})],
    "tools": [message("", tool_calls=[{"name": "f", "args": {"a": 1}, "id": "1", "type": "tool_call"}])],
    "usage": [message("a", usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3})],
    "half an emoji": [Generation(text="\ud83d"), message("\ud83d", response_metadata={"p": [float("inf")]})],
    "parts": [message([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": "u"}])],
}


CIRCLE = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_comes_back_equal_and_of_its_class(any_cache, answer):
    any_cache.update("prompt", "model", answer)
    for found in (any_cache.lookup("prompt", "model"), await any_cache.alookup("prompt", "model")):
        assert found == answer
        assert list(map(type, found)) == list(map(type, answer))


@pytest.mark.parametrize("value", [object(), b"\xff", CIRCLE], ids=["object", "bytes", "circle"])
def test_what_cannot_be_written_down_is_refused(any_cache, value):
    with pytest.raises(InvalidArgumentError, match="cannot be written as JSON"):
        any_cache.update("prompt", "model", [Generation(text="", generation_info={"x": value})])
    assert any_cache.lookup("prompt", "model") is None


def test_another_model_or_another_prompt_is_another_question(any_cache):
    any_cache.update("prompt", "model", [Generation(text="a")])
    assert any_cache.lookup("prompt", "other") is None
    assert any_cache.lookup("quite different", "model") is None
    assert any_cache.lookup("promptmodel", "") is None


def test_a_later_answer_replaces_an_earlier_one(any_cache):
    for text in ("old", "new"):
        any_cache.update("prompt", "model", [Generation(text=text)])
    assert any_cache.lookup("prompt", "model") == [Generation(text="new")]


def test_answers_survive_reopening(tmp_path):
    for make in KINDS.values():
        make(path=tmp_path).update("prompt", "model", [Generation(text="a")])
        assert make(path=tmp_path).lookup("prompt", "model") == [Generation(text="a")]


async def test_a_chain_asks_its_model_once(any_cache):
    model = FakeListLLM(responses=["first", "second"], cache=any_cache)
    assert model.invoke("q") == model.invoke("q") == await model.ainvoke("q") == "first"
    chat = FakeListChatModel(responses=["first", "second"], cache=any_cache)
    assert (
        chat.invoke("q").content == chat.invoke("q").content == (await chat.ainvoke("q")).content == "first"
    )


async def test_a_similar_prompt_has_the_same_answer(semantic):
    semantic.update("how tall is the tower", "model", [Generation(text="330 m")])
    similar = "how tall is the tower now"
    assert semantic.lookup(similar, "model") == [Generation(text="330 m")]
    assert await semantic.alookup(similar, "model") == [Generation(text="330 m")]
    assert semantic.lookup(similar, "other") is None
    semantic.score_threshold = 0.99
    assert semantic.lookup(similar, "model") is None


async def test_async_answers_are_found_too(semantic):
    await semantic.aupdate("how tall is the tower", "model", [Generation(text="330 m")])
    assert semantic.lookup("how tall is the tower now", "model") == [Generation(text="330 m")]


class Asked(VicinalEmbeddings):
    """Remembers what it was asked to embed."""

    def embed_query(self, text):
        self.asked = [*getattr(self, "asked", []), text]
        return super().embed_query(text)


async def test_the_same_prompt_is_found_without_embedding(place):
    embedding = Asked(HashEmbeddingFunction())
    cache = VicinalSemanticCache(embedding, **place)
    cache.update("prompt", "model", [Generation(text="a")])
    assert cache.lookup("prompt", "model") == await cache.alookup("prompt", "model") == [Generation(text="a")]
    assert embedding.asked == ["prompt"]


@pytest.mark.parametrize(("threshold", "similar"), [(0, "right angle"), (1, "longer")])
def test_what_reaches_the_threshold_is_similar(table, threshold, similar):
    embedding = table({"prompt": [1.0, 0.0], "right angle": [0.0, 1.0], "longer": [2.0, 0.0]})
    cache = VicinalSemanticCache(embedding, threshold)
    cache.update("prompt", "model", [Generation(text="a")])
    assert cache.lookup(similar, "model") == [Generation(text="a")]


def chat(cache, answers):
    return GenericFakeChatModel(messages=iter(AIMessage(answer) for answer in answers), cache=cache)


def test_of_a_chat_the_last_text_may_vary_and_nothing_else(semantic):
    model = chat(semantic, ["330 m", "in feet: 1083", "with image"])
    asked, similar = HumanMessage("how tall is the tower"), HumanMessage("how tall is the tower now")
    assert model.invoke([asked]).content == "330 m"
    assert model.invoke([similar]).content == "330 m"
    assert model.invoke([SystemMessage("Answer in feet"), similar]).content == "in feet: 1083"
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    with_image = HumanMessage([{"type": "text", "text": "how tall is the tower"}, image])
    assert model.invoke([with_image]).content == "with image"


def test_parts_of_a_message_that_are_no_texts_must_be_equal(place):
    embedding = Asked(HashEmbeddingFunction())
    model = chat(VicinalSemanticCache(embedding, 0.7, **place), ["a tower", "plain", "no tower"])
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    tall = {"type": "text", "text": "how tall"}
    assert model.invoke([HumanMessage([image])]).content == "a tower"
    assert model.invoke([HumanMessage(["a tower", tall])]).content == "plain"
    assert model.invoke([HumanMessage(["no tower", tall])]).content == "no tower"
    assert set(embedding.asked) == {"(no text)", "how tall"}  # some models refuse an empty one


def test_short_chats_are_not_similar_for_being_chats(semantic):
    model = chat(semantic, ["4", "Paris"])
    assert model.invoke("2 + 2").content == "4"
    assert model.invoke("capital of France").content == "Paris"


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "[]",
        "[1]",
        '[{"kwargs": {}}]',
        '{"kwargs": 1}',
        "null",
        "\ud800",
        "[" * 3000,
        '[{"kwargs": {"content": null}}]',
        '[{"kwargs": {"content": [{"type": "text", "text": null}]}}]',
    ],
    ids=lambda prompt: prompt[:20],
)
def test_prompts_that_look_like_json_are_prompts(any_cache, prompt):
    if prompt == "\ud800":
        prompt = '"\\ud800"'
    any_cache.update(prompt, "model", [Generation(text="a")])
    assert any_cache.lookup(prompt, "model") == [Generation(text="a")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"embedding": None},
        {"embedding": len},
        *({"score_threshold": no} for no in (1.5, -0.1, math.nan, "0.9", True, None)),
    ],
    ids=str,
)
def test_a_semantic_cache_needs_a_model_and_a_sane_threshold(wrong):
    with pytest.raises(InvalidArgumentError, match=next(iter(wrong))):
        VicinalSemanticCache(**({"embedding": EMBEDDING} | wrong))
