"""A feature says what to install when its package is missing, and what is broken when its package is."""

import sys

import pytest

import vicinal
from vicinal._text.analysis import Analyser
from vicinal.config import Analysis
from vicinal.embedding import ImageLoader, wordllama
from vicinal.errors import MissingDependencyError
from vicinal.testing import HashEmbeddingFunction
from vicinal.utils.embedding_functions import HuggingFaceEmbeddingServer, OpenAIEmbeddingFunction
from vicinal.utils.results import get_result_to_df


def regex():
    collection = vicinal.EphemeralClient().create_collection("things")
    collection.add(ids="a", documents="text", embeddings=[1])
    return collection.get(where_document={"$regex": "a pattern that no other test has"})


def embedded():
    wordllama._model.cache_clear()
    return wordllama.WordLlamaEmbeddingFunction()(["text"])


def indexed():
    return vicinal.EphemeralClient().create_collection("things").optimize(progress=True)


FEATURES = {
    "re2": (regex, "regex"),
    "snowballstemmer": (lambda: Analyser(Analysis(language="german", stemmer="snowball")), "text"),
    "wordllama": (embedded, "wordllama"),
    "rich": (indexed, "progress"),
    "tenacity": (lambda: HashEmbeddingFunction(2).embed_with_retries(["text"]), "retries"),
    "pandas": (lambda: get_result_to_df({"ids": [], "included": []}), "pandas"),
    "PIL": (lambda: ImageLoader()(["a.png"]), "images"),
    "httpx": (lambda: HuggingFaceEmbeddingServer(url="http://localhost:1"), "huggingface"),
    "openai": (lambda: OpenAIEmbeddingFunction(api_key="key"), "openai"),
}
BROKEN = {
    "lacks a package": ("import bolts_and_nuts", "bolts_and_nuts"),
    "lacks a part of itself": ("from {module} import bolts", "cannot import name"),
    "lacks a library": ("raise ImportError('libbolts.so: no such file', name='{module}')", "libbolts"),
    "says it itself": ("raise ImportError('Unable to import bolts')", "Unable to import bolts"),
}


@pytest.fixture(params=FEATURES)
def package(request, monkeypatch):
    """The name of a package that seems not to have been imported yet."""
    for loaded in [name for name in sys.modules if name.partition(".")[0] == request.param]:
        monkeypatch.delitem(sys.modules, loaded)
    return request.param


def test_without_its_package_a_feature_says_what_to_install(package, monkeypatch):
    use, extra = FEATURES[package]
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf'pip install "vicinal\[{extra}\]"'):
        use()


@pytest.mark.parametrize("how", BROKEN)
def test_a_package_that_is_there_and_broken_is_not_called_missing(package, how, monkeypatch, tmp_path):
    source, problem = BROKEN[how]
    (tmp_path / f"{package}.py").write_text(source.format(module=package))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=problem) as raised:
        FEATURES[package][0]()
    assert not isinstance(raised.value, MissingDependencyError)
