"""A reranker reads the question with each of the best documents, and its order is the answer's."""

from __future__ import annotations

import numpy as np
import pytest

import vicinal
from vicinal._rerank import register_reranker
from vicinal.errors import ArgumentTypeError, InvalidArgumentError

DOCUMENTS = ["ant", "ant bee", "ant bee cat", "dog", "eel bee"]


def by_length(query: str, documents: list[str]) -> list[float]:
    return [len(document) for document in documents]


@pytest.fixture
def things(client):
    made = client.create_collection("things", embedding_function=None)
    made.add(list("abcde"), [[float(i), 0.0] for i in range(5)], [{"n": i} for i in range(5)], DOCUMENTS)
    return made


def ask(things, **how):
    return things.query(
        **({"query_embeddings": [[0.0, 0.0]], "query_texts": ["bee"], "rerank": by_length} | how)
    )


@pytest.mark.parametrize("mode", ["dense", "text", "hybrid"])
def test_the_rerankers_order_is_the_answers(things, mode):
    given = {"query_embeddings": None} if mode == "text" else {}
    found = ask(things, mode=mode, n_results=2, include=["metadatas"], **given)
    assert found["ids"] == [["c", "b"]]
    assert found["rerank_scores"] == [[11.0, 7.0]]
    assert found["metadatas"] == [[{"n": 2}, {"n": 1}]]
    assert found["documents"] is None
    assert (found.get("scores") is None) == (mode == "dense")


def test_every_column_follows(things):
    found = ask(things, include=["embeddings", "distances", "documents"], n_results=3)
    assert found["ids"] == [["c", "b", "e"]]
    assert found["embeddings"][0][:, 0].tolist() == [2.0, 1.0, 4.0]
    assert found["distances"] == [[4.0, 1.0, 16.0]]
    assert found["documents"] == [["ant bee cat", "ant bee", "eel bee"]]


def test_it_reads_as_many_as_fetch_k_says(things):
    seen = []

    def watch(query, documents):
        seen.append((query, documents))
        return by_length(query, documents)

    assert ask(things, rerank=watch, n_results=1, fetch_k=2)["ids"] == [["b"]]
    assert seen == [("bee", ["ant", "ant bee"])]


def test_each_question_has_its_own_order(things):
    def nearness(query, documents):
        return np.array([document.count(query) for document in documents])

    found = ask(
        things, query_embeddings=[[0, 0]] * 2, query_texts=["dog", "eel"], rerank=nearness, n_results=1
    )
    assert found["ids"] == [["d"], ["e"]]


def test_scores_in_a_column_are_scores_too(things):
    found = ask(things, rerank=lambda query, documents: np.array([by_length(query, documents)]).T)
    assert found == ask(things)


def test_records_without_a_document_stand_last(things):
    things.add(["none"], [[0.0, 0.0]])
    found = ask(things)
    assert found["ids"][0][-1] == "none"
    assert found["rerank_scores"][0][-1] == -np.inf


def test_even_the_worst_document_stands_before_none_at_all(things):
    things.add(["none"], [[0.0, 0.0]])
    found = ask(things, rerank=lambda query, documents: [-np.inf] * len(documents))
    assert found["ids"] == [[*"abcde", "none"]]


@pytest.mark.parametrize("mode", ["text", "hybrid"])
def test_the_explanation_follows_too(things, mode):
    given = {"query_embeddings": None} if mode == "text" else {"query_embeddings": [[0.0, 0.0]] * 2}
    asked = {"query_texts": ["bee", "dog"], "mode": mode, "explain": True, "n_results": 2, **given}
    found = ask(things, **asked)
    shares = found["explain"].contributions
    assert [[sum(parts.values()) for parts in query] for query in shares] == found["scores"]
    plain = ask(things, **asked | {"n_results": 5, "rerank": None})
    for number, ids in enumerate(found["ids"]):
        by_id = dict(zip(plain["ids"][number], plain["explain"].contributions[number]))
        assert list(shares[number]) == [by_id[id] for id in ids]


def test_equal_scores_keep_the_order_of_the_search(things):
    assert ask(things, rerank=lambda query, documents: [0.0] * len(documents))["ids"] == [list("abcde")]


def test_an_object_that_predicts_and_a_registered_name_will_do(things):
    class Model:
        def predict(self, pairs):
            assert all(query == "bee" for query, _ in pairs)
            return np.array([len(document) for _, document in pairs], dtype=np.float32)

    register_reranker("length", by_length)
    register_reranker("model", Model())
    expected = ask(things)
    for given in (Model(), "length", "model"):
        assert ask(things, rerank=given) == expected


def test_nothing_found_is_nothing_to_rerank(things):
    def refuse(query, documents):
        raise AssertionError

    found = ask(things, rerank=refuse, where={"n": 99})
    assert (found["ids"], found["rerank_scores"]) == ([[]], [[]])


def test_an_error_of_the_reranker_is_the_callers(things):
    def fail(query, documents):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        ask(things, rerank=fail)


async def later(query, documents):
    return [0.0] * len(documents)


INVALID = [
    ({"rerank": "nobody"}, InvalidArgumentError, "no reranker is registered as 'nobody'"),
    ({"rerank": 5}, ArgumentTypeError, "rerank"),
    ({"rerank": lambda query, documents: [1.0]}, InvalidArgumentError, "gave 1 scores for 5 documents"),
    ({"rerank": lambda query, documents: [np.nan] * 5}, InvalidArgumentError, "not a number"),
    ({"rerank": lambda query, documents: ["best"] * 5}, InvalidArgumentError, "rerank: expected numbers"),
    ({"rerank": lambda query, documents: [10**400] * 5}, InvalidArgumentError, "too large for a float"),
    ({"rerank": lambda query, documents: [-(10**5000)] * 5}, InvalidArgumentError, "too large for a float"),
    ({"rerank": lambda query, documents: None}, InvalidArgumentError, "rerank: expected numbers"),
    ({"rerank": lambda query, documents: [[1, 2]] * 5}, InvalidArgumentError, "rerank: expected numbers"),
    ({"rerank": later}, InvalidArgumentError, "is a coroutine function"),
    ({"query_texts": None}, InvalidArgumentError, "give query_texts"),
    ({"lambda_mult": 0.5}, InvalidArgumentError, "both decide the order"),
    ({"fetch_k": 0}, InvalidArgumentError, "fetch_k: expected at least 1"),
    ({"query_texts": ["a", "b"]}, InvalidArgumentError, "Unequal lengths"),
]


@pytest.mark.parametrize(("how", "kind", "text"), INVALID, ids=[text for _, _, text in INVALID])
def test_what_cannot_rerank_is_refused(things, how, kind, text):
    with pytest.raises(kind, match=text):
        ask(things, **how)


@pytest.mark.parametrize(("name", "reranker"), [(5, by_length), (None, by_length), ("five", 5)])
def test_only_a_reranker_is_registered_and_only_by_a_name(name, reranker):
    with pytest.raises(ArgumentTypeError):
        register_reranker(name, reranker)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cross_encoder_reranks(things, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ant", "bee", "cat", "dog", "eel"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = transformers.BertConfig(vocab_size=len(words), num_labels=1, **sizes)
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    model = sentence_transformers.CrossEncoder(str(tmp_path), device="cpu")
    found = ask(things, rerank=model)
    expected = model.predict([("bee", document) for document in DOCUMENTS])
    assert found["ids"] == [[list("abcde")[i] for i in np.argsort(-expected, kind="stable")]]
    assert found["rerank_scores"][0] == pytest.approx(sorted(expected.tolist(), reverse=True), rel=1e-5)


def test_the_name_is_public():
    assert vicinal.register_reranker is register_reranker
