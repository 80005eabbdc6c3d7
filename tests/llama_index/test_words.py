"""Words find nodes by BM25 over their texts, alone, mixed with embeddings, and before a reranker."""

import contextlib
import pickle

import numpy as np
import pytest
from llama_index.core.postprocessor import SimilarityPostprocessor
from llama_index.core.schema import ImageNode, MetadataMode, NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

import vicinal
from llama_index.vector_stores.vicinal import VicinalVectorStore
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, InvalidDimensionError

COUNT = 40
RANDOM = np.random.default_rng(5)
WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath"]
TEXTS = [" ".join(RANDOM.choice(WORDS, RANDOM.integers(2, 6))) for _ in range(COUNT)]
VECTORS = RANDOM.normal(size=(COUNT, 4)).round(3)
EMBEDDED = RANDOM.normal(size=4).round(3)
ASKED = "amber fjord"
TEXT_MODES = ["text_search", "sparse"]


def made(i: int) -> TextNode:
    node = TextNode(id_=str(i), text=TEXTS[i], embedding=list(VECTORS[i]), metadata={"i": i, "title": "zeal"})
    node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=f"d{i % 4}")
    return node


@pytest.fixture(scope="module")
def full() -> VicinalVectorStore:
    """Read only."""
    store = VicinalVectorStore()
    store.add([made(i) for i in range(COUNT)])
    return store


def asking(mode: str, k: int = 5, words: str | None = ASKED, **fields) -> VectorStoreQuery:
    embedding = None if mode in TEXT_MODES else list(EMBEDDED)
    asked = {"query_embedding": embedding, "query_str": words, "similarity_top_k": k, **fields}
    return VectorStoreQuery(mode=VectorStoreQueryMode(mode), **asked)


def said(store: VicinalVectorStore, words: str = ASKED) -> dict[int, float]:
    """Every node that has one of the words, with its BM25 as the engine gives it, best first."""
    found = store.collection.query(query_texts=words, mode="text", n_results=COUNT)
    return dict(zip(map(int, found["ids"][0]), found["scores"][0]))


def cosines() -> dict[int, float]:
    """Every node with its cosine, best first."""
    values = VECTORS @ EMBEDDED / np.linalg.norm(VECTORS, axis=1) / np.linalg.norm(EMBEDDED)
    return {int(i): float(values[i]) for i in np.argsort(-values)}


def completeness(i: int) -> float:
    """s / (1 + 2 (1 − s)), where s is the part of the idf of the two words asked for that is the node's."""
    having = {word: sum(word in text.split() for text in TEXTS) for word in ASKED.split()}
    idf = {word: np.log(1 + (COUNT - n + 0.5) / (n + 0.5)) for word, n in having.items()}
    share = sum(idf[word] for word in idf if word in TEXTS[i].split()) / sum(idf.values())
    return float(share / (1 + 2 * (1 - share)))


def mixture(store, alpha: float, among: set[int]) -> dict[str, float]:
    """alpha · nearness + (1 − alpha) · ((1 − alpha) · BM25 / highest + alpha · completeness), best first."""
    away, words = {i: 1 - cosine for i, cosine in cosines().items() if i in among}, said(store)
    mean = sum(away.values()) / len(away)
    most = max(words.get(i, 0) for i in among) or 1
    scores = {
        i: alpha / (1 + (away[i] / mean) ** 2)
        + (1 - alpha) * ((1 - alpha) * words.get(i, 0) / most + alpha * completeness(i))
        for i in among
    }
    return {str(i): scores[i] for i in sorted(scores, key=lambda i: (-scores[i], i))}


def same(found, expected: dict[str, float], k: int) -> None:
    assert found.ids == list(expected)[:k]
    assert found.similarities == pytest.approx(list(expected.values())[:k], abs=1e-6)
    assert [node.node_id for node in found.nodes] == found.ids


# --- words alone --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", TEXT_MODES)
@pytest.mark.parametrize("k", [1, 5, 1000])
def test_words_rank_by_bm25_without_an_embedding(full, mode, k):
    expected = {str(i): score for i, score in said(full).items()}
    assert 5 < len(expected) < COUNT
    same(full.query(asking(mode, k)), expected, k)


@pytest.mark.parametrize("mode", TEXT_MODES)
def test_an_embedding_makes_no_difference_to_words(full, mode):
    with_one = full.query(asking(mode, query_embedding=[1.0, 2.0]))  # not even of this dimension
    assert with_one.ids == full.query(asking(mode)).ids


@pytest.mark.parametrize("mode", TEXT_MODES)
def test_words_find_only_nodes_that_have_them(full, mode):
    for words in ("", "   ", "unheard", "the"):
        found = full.query(asking(mode, words=words))
        assert (found.nodes, found.ids, found.similarities) == ([], [], [])


@pytest.mark.parametrize("mode", TEXT_MODES)
def test_sparse_top_k_is_how_many_words_find(full, mode):
    assert full.query(asking(mode, 2, sparse_top_k=4)).ids == full.query(asking(mode, 4)).ids
    assert full.query(asking(mode, 2, sparse_top_k=0)).ids == []


def test_the_text_is_searched_and_not_what_was_embedded(store):
    node = TextNode(id_="a", text="a crew in space", metadata={"title": "Alien"}, embedding=[1.0, 0.0])
    store.add([node, ImageNode(id_="b", image="aGVsbG8=", embedding=[0.0, 1.0])])
    assert "Alien" in node.get_content(MetadataMode.EMBED)
    assert store.query(asking("text_search", words="crew")).ids == ["a"]
    assert store.query(asking("text_search", words="alien")).ids == []


def test_the_words_of_a_metadata_key_can_be_searched(store, node):
    store.add([node("a", title="Alien", _node_x="inner"), node("b", title="Brazil")])
    assert store.query(asking("text_search", words="alien"), text_key="title").ids == ["a"]
    assert store.query(asking("text_search", words="inner"), text_key="_node_x").ids == ["a"]


def test_how_texts_become_words_is_configured_with_the_collection(node):
    for text, found in (({"stemmer": "light"}, ["a"]), ({"stemmer": None}, [])):
        store = VicinalVectorStore(collection_configuration={"text": text})
        store.add([node("a")])
        assert store.query(asking("sparse", words="texts")).ids == found


def test_words_follow_every_write(store, node, reopen):
    store.add([node("a"), node("b")])
    ask = asking("text_search", words="text of b")
    assert store.query(ask).ids == ["b", "a"]
    store.add([TextNode(id_="a", text="b b b", embedding=[1.0, 0.0])])
    store.delete_nodes(["b"])
    assert store.query(ask).ids == reopen(store).query(ask).ids == ["a"]


# --- mixtures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [None, 0.1, 0.5, 0.9, 1, 1.0])
def test_a_mixture_weighs_nearness_by_alpha_and_words_by_the_rest(full, alpha):
    expected = mixture(full, 0.5 if alpha is None else alpha, set(range(COUNT)))
    for k in (1, 7, 1000):
        same(full.query(asking("hybrid", k, alpha=alpha)), expected, k)


@pytest.mark.parametrize("k", [3, 1000])
def test_alpha_one_is_the_order_of_nearness_and_zero_that_of_words(full, k):
    assert full.query(asking("hybrid", k, alpha=1.0)).ids == full.query(asking("default", k)).ids
    for zero in (0, 0.0):
        same(full.query(asking("hybrid", k, alpha=zero)), mixture(full, 0, set(said(full))), k)
        assert full.query(asking("hybrid", k, alpha=zero)).ids == full.query(asking("sparse", k)).ids
    assert full.query(asking("hybrid", k, "unheard", alpha=0)).ids == []


LIMITS = [(2, 10, 3), (5, None, 9), (1, 1, 5), (3, 40, None), (4, 0, 9), (0, 6, 9), (7, 2, 1)]


@pytest.mark.parametrize("alpha", [None, 0.0, 0.3, 1.0])
@pytest.mark.parametrize(("near", "words", "final"), LIMITS)
def test_the_three_limits_choose_candidates_and_answers(full, alpha, near, words, final):
    among = set(list(cosines())[:near]) if alpha != 0 else set()
    if alpha != 1:
        among |= set(list(said(full))[: near if words is None else words])
    expected = mixture(full, 0.5 if alpha is None else alpha, among) if among else {}
    found = full.query(asking("hybrid", near, alpha=alpha, sparse_top_k=words, hybrid_top_k=final))
    same(found, expected, near if final is None else final)


def test_no_answers_are_wanted_no_answers_come(full):
    for fields in ({"k": 0}, {"hybrid_top_k": 0}, {"k": 0, "sparse_top_k": 0, "hybrid_top_k": 3}):
        assert full.query(asking("hybrid", **fields)).ids == []


def test_without_limits_each_part_ranks_a_hundred(store):
    """The node that is last by nearness and only twentieth by words is found; with limits it is not."""
    texts = ["amber"] * 20 + ["birch"] * 20
    at = [[float(i + 1), 1.0] for i in range(40)]
    store.add(
        [TextNode(id_=str(i), text=t, embedding=v) for i, (t, v) in enumerate(zip(texts, reversed(at)))]
    )
    ask = {"words": "amber", "query_embedding": [0.0, 1.0], "alpha": 0.5}
    assert store.query(asking("hybrid", 1, **ask)).ids == ["19"]
    assert store.query(asking("hybrid", 1, sparse_top_k=1, **ask)).ids != ["19"]


def test_reciprocal_ranks_can_be_asked_for(full):
    near, words = list(cosines()), list(said(full))
    places = {
        i: 0.3 / (60 + near.index(i) + 1) + (0.7 / (60 + words.index(i) + 1) if i in words else 0)
        for i in near
    }
    expected = {str(i): places[i] for i in sorted(places, key=lambda i: (-places[i], i))}
    same(full.query(asking("hybrid", 9, alpha=0.3), fusion="rrf"), expected, 9)


def varied(scores: dict[str, float], threshold: float, k: int) -> list[str]:
    """Maximal marginal relevance: score, as a part of the best, against cosine to what is picked."""
    best = max(scores.values())
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    left, picked = list(scores), []
    while left and len(picked) < k:
        overlap = [max((unit[int(a)] @ unit[int(b)] for b in picked), default=0) for a in left]
        gains = [threshold * scores[a] / best - (1 - threshold) * o for a, o in zip(left, overlap)]
        picked.append(left.pop(int(np.argmax(gains)) if picked else 0))
    return picked


@pytest.mark.parametrize("threshold", [0, 0.4, 1.0])
def test_a_mixture_can_be_varied(full, threshold):
    whole = mixture(full, 0.5, set(range(COUNT)))
    found = full.query(asking("hybrid", 6), mmr_threshold=threshold)
    assert found.ids == varied(whole, threshold, 6)
    assert found.similarities == pytest.approx([whole[each] for each in found.ids])
    limited = mixture(full, 0.5, {*list(cosines())[:8], *list(said(full))[:5]})
    asked = asking("hybrid", 8, sparse_top_k=5, hybrid_top_k=6)
    assert full.query(asked, mmr_threshold=threshold).ids == varied(limited, threshold, 6)


def test_words_that_nobody_has_leave_the_order_of_nearness(full):
    for words in ("", "unheard"):
        assert full.query(asking("hybrid", 9, words)).ids == full.query(asking("default", 9)).ids


@pytest.mark.parametrize("space", ["cosine", "ip", "l2"])
def test_a_mixture_is_larger_for_nearer_in_every_space(space):
    store = VicinalVectorStore(collection_configuration={"hnsw": {"space": space}})
    store.add([made(i) for i in range(COUNT)])
    found = store.query(asking("hybrid", COUNT))
    assert found.similarities == sorted(found.similarities, reverse=True)
    assert store.query(asking("hybrid", 9, alpha=1.0)).ids == store.query(asking("default", 9)).ids


# --- restrictions -------------------------------------------------------------------------------

LOW = MetadataFilters(filters=[MetadataFilter(key="i", value=20, operator="<")])
FEW = [str(i) for i in range(0, COUNT, 3)]
RESTRICTED = [
    ({"filters": LOW}, lambda i: i < 20),
    ({"node_ids": FEW}, lambda i: i % 3 == 0),
    ({"doc_ids": ["d1", "d2"]}, lambda i: i % 4 in (1, 2)),
    ({"filters": LOW, "node_ids": FEW, "doc_ids": ["d1"]}, lambda i: i < 20 and i % 3 == 0 and i % 4 == 1),
    ({"node_ids": [], "doc_ids": [], "filters": None}, lambda i: True),
]


@pytest.mark.parametrize(("restriction", "allowed"), RESTRICTED)
@pytest.mark.parametrize("mode", TEXT_MODES)
def test_restrictions_come_before_words(full, mode, restriction, allowed):
    """BM25 counts over the whole store, so scores are the same with a filter."""
    expected = {str(i): score for i, score in said(full).items() if allowed(i)}
    same(full.query(asking(mode, 6, **restriction)), expected, 6)


@pytest.mark.parametrize(("restriction", "allowed"), RESTRICTED)
@pytest.mark.parametrize("limits", [{}, {"sparse_top_k": 2}])
def test_restrictions_come_before_mixtures(full, limits, restriction, allowed):
    near = [i for i in cosines() if allowed(i)]
    words = [i for i in said(full) if allowed(i)]
    among = set(near) if not limits else {*near[:6], *words[:2]}
    same(full.query(asking("hybrid", 6, **limits, **restriction)), mixture(full, 0.5, among), 6)


@pytest.mark.parametrize("mode", [*TEXT_MODES, "hybrid"])
def test_the_engines_own_filters_and_output_fields_hold(full, mode):
    found = full.query(asking(mode, 40, output_fields=["i"]), where={"i": {"$gte": 30}})
    assert found.nodes
    assert all(list(node.metadata) == ["i"] and node.metadata["i"] >= 30 for node in found.nodes)


@pytest.mark.parametrize("mode", [*TEXT_MODES, "hybrid", "semantic_hybrid"])
def test_an_empty_store_answers_nothing(store, node, mode):
    ask = asking(mode, query_embedding=[1.0, 0.0], sparse_top_k=3)
    for _ in range(2):  # before and after the dimension is known
        found = store.query(ask, **({"rerank": length} if mode == "semantic_hybrid" else {}))
        assert (found.nodes, found.ids, found.similarities) == ([], [], [])
        store.add([node("a")])
        store.clear()


@pytest.mark.parametrize("mode", [*TEXT_MODES, "hybrid"])
async def test_asynchronous_answers_are_the_same(full, mode):
    ask = asking(mode, 7, hybrid_top_k=5, filters=LOW)
    found, expected = await full.aquery(ask), full.query(ask)
    assert (found.ids, found.similarities) == (expected.ids, expected.similarities)


# --- rerankers ----------------------------------------------------------------------------------


def length(question: str, texts: list[str]) -> list[float]:
    """Prefers long texts."""
    return [float(len(text)) for text in texts]


class Pairs:
    """What sentence-transformers' CrossEncoder looks like."""

    def predict(self, pairs):
        return [float(len(text)) for _, text in pairs]


def reranked(ids: list[str], k: int) -> dict[str, float]:
    ordered = sorted(ids, key=lambda each: -len(TEXTS[int(each)]))[:k]
    return {each: float(len(TEXTS[int(each)])) for each in ordered}


@pytest.mark.parametrize("given", [length, Pairs(), "by length"])
def test_semantic_hybrid_is_the_mixture_in_the_rerankers_order(full, given):
    vicinal.register_reranker("by length", length)
    store = VicinalVectorStore(collection=full.collection, rerank=given)
    mixed = store.query(asking("hybrid", 20)).ids  # four times as many, at least 20
    same(store.query(asking("semantic_hybrid", 3)), reranked(mixed, 3), 3)


def test_limits_choose_what_the_reranker_reads(full):
    store = VicinalVectorStore(collection=full.collection, rerank=length)
    limits = {"sparse_top_k": 4, "alpha": 0.2}
    mixed = store.query(asking("hybrid", 6, hybrid_top_k=COUNT, **limits)).ids
    assert len(mixed) <= 10
    found = store.query(asking("semantic_hybrid", 6, hybrid_top_k=2, **limits))
    same(found, reranked(mixed, 2), 2)


def test_alpha_zero_reranks_what_words_find(full):
    store = VicinalVectorStore(collection=full.collection, rerank=length)
    words = store.query(asking("sparse", 20)).ids
    same(store.query(asking("semantic_hybrid", 3, alpha=0.0)), reranked(words, 3), 3)


@pytest.mark.parametrize("mode", ["default", "sparse", "text_search", "hybrid", "semantic_hybrid"])
def test_a_reranker_can_be_a_keyword_of_the_query(full, mode):
    plain = "hybrid" if mode == "semantic_hybrid" else mode
    expected = reranked(full.query(asking(plain, 20)).ids, 4)
    same(full.query(asking(mode, 4), rerank=length), expected, 4)


def test_the_stores_reranker_orders_no_other_mode(full):
    store = VicinalVectorStore(collection=full.collection, rerank=length)
    for mode in ("default", "sparse", "hybrid"):
        assert store.query(asking(mode)).ids == full.query(asking(mode)).ids


def test_the_keyword_goes_before_the_stores_reranker(full):
    store = VicinalVectorStore(collection=full.collection, rerank=length)
    shorter = store.query(asking("semantic_hybrid"), rerank=lambda _, texts: [-len(text) for text in texts])
    assert shorter.similarities[0] == max(shorter.similarities) < 0


def test_a_registered_name_survives_the_stores_dictionary_and_pickle(tmp_path):
    vicinal.register_reranker("by length", length)
    with contextlib.closing(VicinalVectorStore(path=tmp_path, rerank="by length")) as store:
        pickled = pickle.dumps(store)
    with contextlib.closing(pickle.loads(pickled)) as copy:
        assert copy.rerank == "by length"
    for given, kept in (("by length", "by length"), (length, None)):
        data = VicinalVectorStore(rerank=given).to_dict()
        copy = VicinalVectorStore.from_dict(data, client=vicinal.EphemeralClient())
        assert copy.rerank == kept


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [*TEXT_MODES, "hybrid", "semantic_hybrid"])
def test_a_mode_that_reads_words_says_that_it_has_none(full, mode):
    keywords = {"rerank": length} if mode == "semantic_hybrid" else {}
    with pytest.raises(
        InvalidArgumentError, match=r"needs query_str; got None\. Set VectorStoreQuery.query_str"
    ):
        full.query(asking(mode, words=None), **keywords)


@pytest.mark.parametrize("mode", ["hybrid", "semantic_hybrid"])
def test_a_mixture_says_that_it_has_no_embedding(full, mode):
    text = f"query mode '{mode}' needs query_embedding; got None.*'sparse', 'text_search' need none"
    with pytest.raises(InvalidArgumentError, match=text):
        full.query(asking(mode, query_embedding=None), **({"rerank": length} if mode != "hybrid" else {}))


WRONG = [
    ("hybrid", {"alpha": 1.5}, {}, "alpha: expected a number from 0 to 1, got 1.5"),
    ("hybrid", {"alpha": float("nan")}, {}, "alpha: expected a number from 0 to 1"),
    ("hybrid", {"sparse_top_k": -1}, {}, "sparse_top_k: expected at least 0, got -1"),
    ("sparse", {"hybrid_top_k": -2}, {}, "hybrid_top_k: expected at least 0, got -2"),
    ("hybrid", {}, {"fusion": "max"}, "fusion: expected"),
    ("hybrid", {}, {"text_key": 3}, "Expected text_key to be a metadata key"),
    ("sparse", {}, {"fusion": "rrf"}, "'sparse' has no use for the keyword fusion; it belongs to 'hybrid', "),
    (
        "default",
        {},
        {"mmr_threshold": 0.5},
        "'default' has no use for the keyword mmr_threshold; it belongs to",
    ),
    ("hybrid", {}, {"mmr_prefetch_k": 9}, "'hybrid' has no use for the keyword mmr_prefetch_k"),
    (
        "hybrid",
        {},
        {"mmr_threshold": 0.5, "rerank": length},
        "mmr_threshold and rerank both decide the order",
    ),
    ("default", {}, {"text_key": "title"}, "'default' has no use for the keyword text_key"),
    ("svm", {}, {"rerank": length}, "'svm' has no use for the keyword rerank"),
    ("semantic_hybrid", {}, {}, r"it has no reranker. Give VicinalVectorStore\(rerank=…\)"),
    ("semantic_hybrid", {}, {"rerank": "unknown"}, "no reranker is registered as 'unknown'"),
    ("default", {"query_str": None}, {"rerank": length}, "A reranker reads words and needs query_str"),
]


@pytest.mark.parametrize(("mode", "fields", "keywords", "text"), WRONG)
def test_what_cannot_be_meant_is_refused_by_name(full, mode, fields, keywords, text):
    with pytest.raises(ValueError, match=text):
        full.query(asking(mode, **fields), **keywords)


def test_a_question_is_one_string(full):
    for mode in ("sparse", "hybrid"):
        with pytest.raises(ArgumentTypeError, match="query_str"):
            full.query(asking(mode, query_str=["amber", "fjord"]))


def test_a_mixture_refuses_vectors_of_another_dimension(full):
    for fields in ({}, {"sparse_top_k": 3}, {"alpha": 0.0}):
        with pytest.raises(InvalidDimensionError):
            full.query(asking("hybrid", query_embedding=[1.0], **fields))


def test_a_reranker_that_is_none_is_refused_at_once():
    postprocessor = SimilarityPostprocessor(similarity_cutoff=0.5)
    for given, text in (
        (3, "Expected rerank to be a function"),
        (postprocessor, "belongs among a query engine's node_postprocessors"),
    ):
        with pytest.raises(ArgumentTypeError, match=text):
            VicinalVectorStore(rerank=given)
