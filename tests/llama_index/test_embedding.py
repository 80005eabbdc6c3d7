"""An embedding function of Vicinal's embeds for LlamaIndex."""

import functools
import json
import pickle
import threading
from typing import Any, ClassVar

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.node_parser import SemanticSplitterNodeParser
from llama_index.core.schema import TextNode

from llama_index.vector_stores.vicinal import VicinalEmbedding, VicinalVectorStore
from vicinal.embedding import DefaultEmbeddingFunction, EmbeddingFunction, register_embedding_function
from vicinal.errors import ArgumentTypeError, EmbeddingFunctionError
from vicinal.utils.embedding_functions import OllamaEmbeddingFunction


class Lengths(EmbeddingFunction):
    """Long texts are near long texts; queries are told from documents by their sign."""

    threads: ClassVar[set[int]] = set()

    def __call__(self, input):
        self.threads.add(threading.get_ident())
        return [[float(len(text)), 1.0] for text in input]

    def embed_query(self, input):
        return [[-x, y] for x, y in self(input)]

    @staticmethod
    def name() -> str:
        return "lengths"


def test_documents_and_queries_are_embedded_each_in_their_way():
    model = VicinalEmbedding(Lengths())
    assert isinstance(model, BaseEmbedding)
    assert model.get_text_embedding("abc") == [3.0, 1.0]
    assert model.get_text_embedding_batch(["a", "ab"]) == [[1.0, 1.0], [2.0, 1.0]]
    assert model.get_query_embedding("abc") == [-3.0, 1.0]
    assert model.model_name == "lengths"


async def test_the_asynchronous_methods_embed_off_the_loop():
    Lengths.threads.clear()
    model = VicinalEmbedding(Lengths())
    assert await model.aget_text_embedding("abc") == [3.0, 1.0]
    assert await model.aget_text_embedding_batch(["a", "ab"]) == [[1.0, 1.0], [2.0, 1.0]]
    assert await model.aget_query_embedding("abc") == [-3.0, 1.0]
    assert threading.get_ident() not in Lengths.threads


def test_any_callable_embeds():
    model = VicinalEmbedding(lambda texts: [(1, 2) for _ in texts], embed_batch_size=3)
    assert model.get_query_embedding("x") == [1.0, 2.0]
    assert model.embed_batch_size == 3


@pytest.mark.parametrize("wrong", [-1, 1])
async def test_a_vector_too_few_or_too_many_is_caught_before_texts_get_those_of_others(wrong):
    model = VicinalEmbedding(lambda texts: [[float(text)] for text in (texts * 2)[: len(texts) + wrong]])
    model.embed_batch_size = 2
    for embed in (model.get_text_embedding_batch, model.aget_text_embedding_batch):
        with pytest.raises(EmbeddingFunctionError, match=rf"returned shape \({2 + wrong}, 1\) for 2 texts"):
            await embed(list("1234")) if embed.__name__.startswith("a") else embed(list("1234"))


@pytest.mark.parametrize("given", [5, "default"])
def test_what_is_no_function_is_refused_at_once(given):
    with pytest.raises(ArgumentTypeError, match="Expected function to be a function from texts to vectors"):
        VicinalEmbedding(given)


class Nameless(EmbeddingFunction):
    """As the engine takes it too: `name()` is not implemented."""

    def __call__(self, input):
        return [[7.0, 7.0] for _ in input]


def seven(texts):
    return [[7.0] for _ in texts]


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (Nameless(), f"{__name__}.Nameless"),
        (seven, f"{__name__}.seven"),
        (lambda texts: [], f"{__name__}.<lambda>"),
        (functools.partial(seven), "functools.partial"),
    ],
)
def test_a_model_without_a_name_is_called_as_its_function_is_defined(function, name):
    assert VicinalEmbedding(function).model_name == name
    assert VicinalEmbedding(function, model_name="mine").model_name == "mine"


# --- written down and made again ------------------------------------------------------------------


@register_embedding_function
class Constant(EmbeddingFunction):
    """Every text is at the same place, which is its configuration; a lock does not pickle."""

    def __init__(self, value: float) -> None:
        self.value = value
        self.lock = threading.Lock()

    def __call__(self, input):
        return [[self.value] for _ in input]

    @staticmethod
    def name() -> str:
        return "constant"

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}

    @staticmethod
    def build_from_config(config):
        return Constant(config["value"])


class Unbuildable:
    """As in LlamaIndex or LangChain: a name and a configuration, but nothing that builds it again."""

    def __init__(self, value: float, called: str = "unbuildable") -> None:
        self.value, self.called = value, called

    def __call__(self, input):
        return [[self.value] for _ in input]

    def name(self) -> str:
        return self.called

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


class Anonymous(Unbuildable):
    """Is known by its configuration alone."""

    name = None


class Failing(Unbuildable):
    """Cannot say what it is."""

    def get_config(self):
        raise RuntimeError("no configuration yet")


class Moved(Constant):
    """Has the name of another class, by which it is not found."""


def test_a_pickled_model_keeps_its_function():
    for function in (seven, Nameless(), Lengths(), Constant(3.0)):
        model = VicinalEmbedding(function, embed_batch_size=5)
        copy = pickle.loads(pickle.dumps(model))
        assert copy.get_text_embedding("abc") == model.get_text_embedding("abc")
        assert copy.to_dict() == model.to_dict()


def test_pickling_changes_nothing_and_warns_of_nothing(caplog):
    model = VicinalEmbedding(Constant(3.0))
    pickle.dumps(model)
    assert model.get_text_embedding("x") == [3.0]
    assert caplog.text == ""


@pytest.mark.parametrize(
    "function", [lambda texts: [[7.0]], Moved(3.0)], ids=["lambda", "another class's name"]
)
def test_a_function_that_cannot_be_carried_is_refused_by_name(function):
    with pytest.raises(EmbeddingFunctionError, match=r"(<lambda>|Moved) cannot be pickled"):
        pickle.dumps(VicinalEmbedding(function))


def test_a_model_comes_back_from_its_dictionary():
    for function in (Constant(3.0), OllamaEmbeddingFunction(model_name="bge-m3"), DefaultEmbeddingFunction()):
        model = VicinalEmbedding(function, embed_batch_size=5)
        copy = VicinalEmbedding.from_json(model.to_json())
        assert type(copy._function) is type(function)
        assert copy._function.get_config() == function.get_config()
        assert copy.to_dict() == model.to_dict()


def test_a_model_comes_back_from_what_pydantic_writes_down():
    model = VicinalEmbedding(Constant(3.0), embed_batch_size=5)
    for copy in (
        VicinalEmbedding.model_validate(model.model_dump()),
        VicinalEmbedding.model_validate_json(model.model_dump_json()),
    ):
        assert copy.get_text_embedding("x") == [3.0]
        assert copy.to_dict() == model.to_dict()


def test_pydantic_makes_no_other_function_of_one_that_cannot_be_built_again():
    for function in (seven, Unbuildable(3.0)):
        written = VicinalEmbedding(function).model_dump()
        with pytest.raises(ValueError, match="cannot be built again"):
            VicinalEmbedding.model_validate(written)
        copy = VicinalEmbedding.model_validate({**written, "function": function})
        assert copy.to_dict() == VicinalEmbedding(function).to_dict()


UNBUILDABLE = [
    (VicinalEmbedding(seven).to_dict(), f"{__name__}.seven"),
    (VicinalEmbedding(Lengths()).to_dict(), "Lengths"),
    (VicinalEmbedding(Moved(3.0)).to_dict(), "Moved"),
    ({"model_name": "x", "embedding_function": {"type": "known", "name": "gone", "config": {}}}, "gone"),
    ({"model_name": "x"}, "cannot be built again"),
]


@pytest.mark.parametrize(("data", "text"), UNBUILDABLE)
def test_a_function_that_cannot_be_built_again_is_refused_and_may_be_given(data, text):
    with pytest.raises(EmbeddingFunctionError, match=text):
        VicinalEmbedding.from_json(json.dumps(data))
    assert VicinalEmbedding.from_dict(data, function=seven).get_text_embedding("x") == [7.0]


DIFFERENT = [
    (OllamaEmbeddingFunction(model_name="all-minilm"), OllamaEmbeddingFunction(model_name="bge-m3")),
    (Constant(1.0), Constant(2.0)),
    (Constant(1.0), Moved(1.0)),
    (Moved(1.0), Moved(2.0)),
    (Unbuildable(1.0), Unbuildable(2.0)),
    (Unbuildable(1.0), Unbuildable(1.0, "other")),
    (Anonymous(1.0), Anonymous(2.0)),
    (seven, Nameless()),
]


@pytest.mark.parametrize("functions", DIFFERENT)
def test_different_models_are_told_apart_also_inside_of_others(functions):
    one, other = (VicinalEmbedding(function, model_name="same") for function in functions)
    assert one.to_dict() != other.to_dict()
    one, other = (SemanticSplitterNodeParser(embed_model=model) for model in (one, other))
    assert one.to_dict()["embed_model"] != other.to_dict()["embed_model"]


@pytest.mark.parametrize("kind", [Constant, Unbuildable, Anonymous])
def test_a_pipelines_cache_is_of_one_model(kind):
    cache = IngestionCache()
    for value in (1.0, 2.0):
        pipeline = IngestionPipeline(transformations=[VicinalEmbedding(kind(value))], cache=cache)
        assert pipeline.run(nodes=[TextNode(id_="a", text="hello")])[0].embedding == [value]


@pytest.mark.filterwarnings("ignore:Failing cannot be remembered")
def test_a_function_that_says_nothing_is_written_down_as_its_place():
    for function in (seven, Nameless(), Failing(1.0, called=5)):
        written = VicinalEmbedding(function).to_dict()["embedding_function"]
        place = f"{__name__}.{getattr(function, '__name__', type(function).__name__)}"
        assert written == {"type": "legacy", "name": place, "config": None}


def test_the_default_works_offline(films):
    pytest.importorskip("wordllama")
    index = VectorStoreIndex.from_vector_store(VicinalVectorStore(), VicinalEmbedding())
    for film in films:
        index.insert(film)
    (found,) = index.as_retriever(similarity_top_k=1).retrieve("sand dunes on another world")
    assert found.node.ref_doc_id == "dune"
