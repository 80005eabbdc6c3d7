"""A query by words answers from the records that are there, ranked by BM25, alone or mixed with distance."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engine.formulas import bm25

import vicinal
from vicinal import K, Knn, Search, SparseVector, _by_field
from vicinal._index import planner
from vicinal._storage import records
from vicinal._upkeep import Upkeep
from vicinal.errors import ArgumentTypeError, InvalidArgumentError
from vicinal.testing import HashEmbeddingFunction, wait_for_index

WORDS = ["ant", "bee", "cat", "dog", "eel"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)
QUESTIONS = st.lists(st.sampled_from([*WORDS, "fly"]), max_size=3).map(" ".join)
FIRST = [
    ("add", ["ant bee", "ant", "cat cat ant", "dog", "bee eel"]),
    ("title", 0, "ant cat"),
    ("title", 3, "cat"),
    ("ask",),  # from here on the indexes have to keep up
]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(TEXTS, min_size=1, max_size=4)),
        st.tuples(st.just("upsert"), st.integers(0, 7), TEXTS),
        st.tuples(st.just("document"), st.integers(0, 7), TEXTS),
        st.tuples(st.just("title"), st.integers(0, 7), st.none() | TEXTS),
        st.tuples(st.just("delete"), st.integers(0, 7)),
        st.tuples(st.sampled_from(["compact", "ask", "reopen"])),
    ),
    min_size=2,
    max_size=10,
).map(lambda steps: [*FIRST, *steps])


class History:
    """A collection, and what it should hold: (document, title, vector) by id."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.client, self.truth = path, None, {}
        self.open()
        self.collection = self.client.create_collection("things", embedding_function=None)

    def open(self) -> None:
        if self.path is None:
            self.client = self.client or vicinal.EphemeralClient()
        else:
            self.client = vicinal.PersistentClient(self.path)

    def ask(self, question: str, **how: Any) -> dict[str, float]:
        found = self.collection.query(query_texts=question, mode="text", n_results=50, **how)
        assert found["scores"][0] == sorted(found["scores"][0], reverse=True)
        assert found["distances"] is None
        return dict(zip(found["ids"][0], found["scores"][0]))

    def apply(self, step: Any) -> None:
        kind, *rest = step
        id = f"r{rest[0]}" if rest and isinstance(rest[0], int) else ""
        if kind == "add":
            ids = [f"r{len(self.truth) + i}" for i in range(len(rest[0]))]
            ids = [id for id in ids if id not in self.truth]
            self.collection.add(ids, [[1.0, 0.0]] * len(ids), documents=rest[0][: len(ids)])
            self.truth |= {id: (text, None, 0) for id, text in zip(ids, rest[0])}
        elif kind == "upsert":
            self.collection.upsert(id, [[1.0, float(len(rest[1]))]], documents=[rest[1]])
            self.truth[id] = (rest[1], self.truth.get(id, (None, None))[1])
        elif kind == "document" and id in self.truth:  # the vector may stay, and then the row does
            self.collection.update(id, [[1.0, 0.0]], documents=[rest[1]])
            self.truth[id] = (rest[1], self.truth[id][1])
        elif kind == "title" and id in self.truth:
            self.collection.update(id, metadatas=[{"title": rest[1]}])
            self.truth[id] = (self.truth[id][0], rest[1])
        elif kind == "delete":
            self.collection.delete([id])
            self.truth.pop(id, None)
        elif kind == "compact":
            self.collection.compact()
        elif kind == "reopen" and self.path is not None:
            self.client.close()
            self.open()
            self.collection = self.client.get_collection("things")
        elif kind == "ask":
            self.ask("ant bee")
            self.ask("cat", text_key="title")

    def check(self, question: str) -> None:
        documents = {id: entry[0] for id, entry in self.truth.items()}
        titles = {id: entry[1] for id, entry in self.truth.items() if entry[1] is not None}
        assert self.ask(question) == pytest.approx(bm25(documents, question))
        assert self.ask(question, text_key="title") == pytest.approx(bm25(titles, question))
        some = {id: score for id, score in bm25(documents, question).items() if "ant" in documents[id]}
        assert self.ask(question, where_document={"$contains": "ant"}) == pytest.approx(some)
        odd = [id for id in documents if int(id[1:]) % 2]
        some = {id: score for id, score in bm25(documents, question).items() if id in odd}
        assert self.ask(question, ids=odd) == pytest.approx(some)


@settings(max_examples=100)
@given(STEPS, QUESTIONS)
def test_any_history_in_memory_ranks_as_the_formula(steps, question):
    history = History(None)
    with history.client:
        for step in steps:
            history.apply(step)
        history.check(question)


@settings(max_examples=15)
@given(STEPS, QUESTIONS)
def test_any_history_on_disk_ranks_as_the_formula(steps, question):
    path = tempfile.mkdtemp()
    try:
        history = History(Path(path))
        for step in steps:
            history.apply(step)
        history.check(question)
        history.apply(("reopen",))
        history.check(question)
        history.client.close()
    finally:
        shutil.rmtree(path)


def test_a_text_that_was_taken_away_is_found_no_more(store):
    made = store.collection(ids=["a", "b"], embeddings=[[1], [2]], metadatas=[{"t": "ant"}, {"t": "ant"}])
    assert made.query(query_texts="ant", mode="text", text_key="t")["ids"] == [["a", "b"]]
    made.update(ids=["a"], metadatas=[{"t": None}])
    assert made.query(query_texts="ant", mode="text", text_key="t")["ids"] == [["b"]]
    made.update(ids=["b"], metadatas=[{"t": 5}])
    assert made.query(query_texts="ant", mode="text", text_key="t")["ids"] == [[]]


# --- more than one writer --------------------------------------------------------------------------


def test_what_another_client_wrote_is_found_at_once(new_client, tmp_path):
    ours = new_client(tmp_path).create_collection("things", embedding_function=None)
    theirs = new_client(tmp_path).get_collection("things")
    ours.add(ids=["a", "b"], embeddings=[[1], [2]], documents=["red ant", "bee"])
    assert theirs.query(query_texts="ant", mode="text")["ids"] == [["a"]]
    ours.update(ids=["b"], embeddings=[[2]], documents=["ant ant"])
    ours.delete(ids=["a"])
    assert theirs.query(query_texts="ant", mode="text")["ids"] == [["b"]]


def test_what_another_process_wrote_is_found_at_once(new_client, tmp_path):
    ours = new_client(tmp_path).create_collection("things", embedding_function=None)
    ours.add(ids=["a"], embeddings=[[1]], documents=["bee"])
    assert ours.query(query_texts="ants", mode="text")["ids"] == [[]]
    program = (
        "import sys, vicinal\n"
        "with vicinal.PersistentClient(sys.argv[1]) as client:\n"
        "    things = client.get_collection('things')\n"
        "    things.upsert(ids=['a', 'b'], embeddings=[[1], [2]], documents=['ant', 'ant ant'])\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    assert ours.query(query_texts="ants", mode="text")["ids"] == [["b", "a"]]


def test_a_question_that_overtakes_the_background_loses_nothing(new_client, tmp_path):
    client = new_client(tmp_path)
    things = client.create_collection("things", embedding_function=None)
    asked = {"query_texts": "ant", "mode": "text", "n_results": 50}
    product = {"query_sparse": SparseVector([1], [1.0]), "sparse_key": "s", "mode": "sparse", "n_results": 50}

    def written(ids):
        metadatas = [{"s": SparseVector([1], [1.0])}] * len(ids)
        things.add(ids, [[1.0]] * len(ids), metadatas, ["ant"] * len(ids))
        return [things.query(**how)["ids"][0] for how in (asked, product)]

    written([f"old{i}" for i in range(10)])
    with client._backend._opened.using(things.id) as live, live.read() as older:
        with ThreadPoolExecutor(1) as other:
            found = other.submit(written, [f"new{i}" for i in range(10)]).result()
        live.words.refresh(older.tx, older.view)
    assert [len(ids) for ids in found] == [20, 20]
    assert [things.query(**how)["ids"][0] for how in (asked, product)] == found


# --- checkpoints -----------------------------------------------------------------------------------

KEPT = ["words", "sparse", "signatures"]


@pytest.fixture
def indexed(monkeypatch, tmp_path):
    """A closed collection whose words, sparse vectors and signatures have checkpoints, and its answers."""
    monkeypatch.setattr(planner, "GRAPH_BYTES_MIN", 1000)
    path = tmp_path / "data"
    rng = np.random.default_rng(1)
    documents = [" ".join(rng.choice(WORDS, 4)) + f" n{i:03}n" for i in range(300)]
    metadatas = [metadata(text) for text in documents]
    with vicinal.PersistentClient(path) as client:
        things = client.create_collection("things", embedding_function=None)
        vectors = rng.normal(size=(300, 8))
        things.add(["r0"], vectors[:1], metadatas[:1], documents[:1])
        answers(things)  # from here on the indexes are kept up in the background
        things.add([f"r{i}" for i in range(1, 300)], vectors[1:], metadatas[1:], documents[1:])
        wait_for_index(things)
        expected = answers(things)
    assert all(expected)
    return path, expected


def metadata(text: str) -> dict[str, Any]:
    """Words for the title, and a sparse vector of how often each animal occurs."""
    counts = [float(text.split().count(word)) for word in WORDS]
    return {"title": text, "body": text[:7], "s": SparseVector(range(len(WORDS)), counts)}


def answers(things: vicinal.Collection) -> list[list[str]]:
    patterns = [{"$contains": "t n12"}, {"$regex": r"n1.5n"}]
    asked = {"query_texts": "ants n123n bees", "mode": "text", "n_results": 7}
    words = [things.query(**asked, text_key=key)["ids"][0] for key in (None, "title", "body")]
    product = things.query(query_sparse=SparseVector([0, 2], [1.0, 2.0]), mode="sparse", sparse_key="s")
    found = [things.get(where_document=pattern)["ids"] for pattern in patterns]
    return [*words, product["ids"][0], *found]


def checkpoints(path: Path, name: str) -> list[Path]:
    return [file for file in path.rglob(f"{name}*") if file.is_file()]


@pytest.fixture
def read(monkeypatch):
    """The rows that were read to make or to extend an index, with its field."""
    rows: list[tuple[str, int]] = []
    values = _by_field._values

    def recording(tx, field, *which):
        for row, value in values(tx, field, *which):
            rows.append((field, row))
            yield row, value

    monkeypatch.setattr(_by_field, "_values", recording)
    return rows


@pytest.mark.parametrize("name", KEPT)
def test_every_index_is_kept_on_disk(indexed, name):
    assert checkpoints(indexed[0], name)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("words", {"mode": "text", "query_texts": "ants"}),
        ("sparse", {"mode": "sparse", "query_sparse": SparseVector([0], [1.0]), "sparse_key": "s"}),
    ],
)
def test_what_a_question_has_made_is_kept_though_nobody_writes(indexed, name, asked):
    """Else each process that opens the directory, asks and goes would index all texts anew."""
    path, _ = indexed
    for file in checkpoints(path, name):
        file.unlink()
    with vicinal.PersistentClient(path) as client:
        things = client.get_collection("things")
        things.peek()
        opened = client._backend._opened
        with opened.using(things.id) as live:
            opened.indexer.wait(Upkeep(live))  # which has nothing to do any more, and was not told of words
            assert things.query(**asked)["ids"][0]
            opened.indexer.wait(Upkeep(live))
    assert checkpoints(path, name)


def test_a_kept_index_is_not_made_again(indexed, read):
    path, expected = indexed
    with vicinal.PersistentClient(path) as client:
        things = client.get_collection("things")
        assert answers(things) == expected
        assert read == []
        things.add(["new"], [[0.0] * 8], [metadata("ant")], ["ant"])
        answers(things)
        assert set(read) == {("#document", 300), ("title", 300), ("body", 300), ("s", 300)}


def test_a_field_that_is_asked_for_later_is_kept_beside_the_others(indexed, read):
    path, expected = indexed
    asked = {"query_texts": "eel", "mode": "text", "text_key": "late", "n_results": 50}
    with vicinal.PersistentClient(path) as client:
        things = client.get_collection("things")
        things.update(["r5", "r7"], metadatas=[{"late": "eels"}, {"late": "an eel"}])
        found = things.query(**asked)["ids"]
        things.add(["new"], [[0.0] * 8])  # the background looks at what was written
        wait_for_index(things)
    read.clear()
    with vicinal.PersistentClient(path) as client:
        things = client.get_collection("things")
        assert (things.query(**asked)["ids"], found) == ([["r5", "r7"]], [["r5", "r7"]])
        assert answers(things) == expected
    assert {row for _, row in read} <= {5, 7, 300}  # what the others, nobody having asked, had not seen
    assert "late" not in {field for field, _ in read}


def test_a_checkpoint_of_another_analysis_is_not_believed(indexed):
    path, expected = indexed
    [manifest] = [file for file in checkpoints(path, "words") if file.name == "words.json"]
    entry = json.loads(manifest.read_text(encoding="utf-8"))
    entry["covers"]["analysis"]["stemmer"] = None
    del entry["seal"]
    entry["seal"] = zlib.crc32(json.dumps(entry, sort_keys=True).encode())
    manifest.write_text(json.dumps(entry))
    with vicinal.PersistentClient(path) as client:
        assert answers(client.get_collection("things")) == expected


def test_a_checkpoint_without_a_list_of_fields_is_not_believed(indexed):
    path, expected = indexed
    for name in KEPT:
        [manifest] = [file for file in checkpoints(path, name) if file.name == f"{name}.json"]
        entry = json.loads(manifest.read_text(encoding="utf-8"))
        del entry["covers"]["fields"], entry["seal"]
        entry["seal"] = zlib.crc32(json.dumps(entry, sort_keys=True).encode())
        manifest.write_text(json.dumps(entry))
    with vicinal.PersistentClient(path) as client:
        assert answers(client.get_collection("things")) == expected


@pytest.mark.parametrize("damage", ["none", "zeroed", "short", "gone", "manifest"])
@pytest.mark.parametrize("name", KEPT)
def test_a_damaged_checkpoint_changes_no_answer(indexed, name, damage):
    path, expected = indexed
    for file in checkpoints(path, name):
        content = file.read_bytes()
        if damage == "gone":
            file.unlink()
        elif damage == "manifest" and file.suffix == ".json":
            file.write_text("{}")
        elif damage in ("zeroed", "short") and file.suffix != ".json":
            file.write_bytes(bytes(len(content)) if damage == "zeroed" else content[: len(content) // 2])
    with vicinal.PersistentClient(path) as client:
        assert answers(client.get_collection("things")) == expected


def test_a_stale_checkpoint_changes_no_answer(indexed, tmp_path):
    path, _ = indexed
    shutil.copytree(path, tmp_path / "old")
    with vicinal.PersistentClient(path) as client:
        things = client.get_collection("things")
        things.update(
            ["r3"],
            things.get(["r3"], include=["embeddings"])["embeddings"],
            [metadata("cat cat n123n")],
            ["ant n123n"],
        )
        things.add(["new"], [[0.0] * 8], [metadata("cat cat cat n123n")], ["n125n ant n129n"])
        things.delete(["r123"])
        expected = answers(things)
    for name in KEPT:
        for file in checkpoints(path, name):
            file.unlink()
        for file in checkpoints(tmp_path / "old", name):
            shutil.copy(file, path / file.relative_to(tmp_path / "old"))
    with vicinal.PersistentClient(path) as client:
        things = client.get_collection("things")
        assert answers(things) == expected
        things.compact()
        assert answers(things) == expected


# --- mixtures --------------------------------------------------------------------------------------

VECTORS = np.array([[1, 0], [0, 1], [1, 1], [2, 1], [-1, 0]], dtype=np.float32)
DOCUMENTS = ["ant", "ant bee", "cat", "bee bee cat ant", "dog"]
IDS = list("abcde")


@pytest.fixture(scope="module", params=["l2", "cosine", "ip"])
def mixed(request):
    with vicinal.EphemeralClient() as client:
        made = client.create_collection(
            "things", embedding_function=None, configuration={"hnsw": {"space": request.param}}
        )
        metadatas = [{"n": i, "t": text} for i, text in enumerate(DOCUMENTS)]
        made.add(IDS, VECTORS, metadatas, DOCUMENTS)
        yield made


def similarities(space: str, query: list[float]) -> dict[str, float]:
    dots = VECTORS @ np.asarray(query)
    if space == "l2":
        values = 1 / (1 + ((VECTORS - query) ** 2).sum(axis=1))
    elif space == "ip":
        values = dots
    else:
        values = dots / np.linalg.norm(VECTORS, axis=1) / np.linalg.norm(query)
    return dict(zip(IDS, values.tolist()))


def nearness(space: str, query: list[float]) -> dict[str, float]:
    """1 / (1 + (distance / mean distance)²); inner products count from the largest that lengths allow."""
    near = similarities(space, query)
    most = 1.0 if space == "cosine" else np.linalg.norm(VECTORS, axis=1).max() * np.linalg.norm(query)
    away = {id: 1 / value - 1 if space == "l2" else most - value for id, value in near.items()}
    mean = sum(away.values()) / len(away)
    return {id: 1 / (1 + (distance / mean) ** 2) for id, distance in away.items()}


def completeness(words: set[str]) -> float:
    """Of the question "bee ant", among five documents of which two say bee and three say ant."""
    bee, ant = np.log(1 + 3.5 / 2.5), np.log(1 + 2.5 / 3.5)
    share = (bee * ("bee" in words) + ant * ("ant" in words)) / (bee + ant)
    return float(share / (1 + 2 * (1 - share)))


def ask(collection: vicinal.Collection, **how: Any) -> Any:
    how = {"query_embeddings": [[1.0, 0.5]], "query_texts": "bee ant", "n_results": 5, "explain": True} | how
    return collection.query(mode="hybrid", **how)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0, None])
def test_relative_scores_are_added(mixed, alpha):
    space = mixed.configuration_json["hnsw"]["space"]
    near = nearness(space, [1.0, 0.5])
    said = dict.fromkeys(IDS, 0.0) | bm25(dict(zip(IDS, DOCUMENTS)), "bee ant")
    best = max(said.values())
    a = 0.5 if alpha is None else alpha
    found = ask(mixed, alpha=alpha)
    expected = {
        id: a * near[id] + (1 - a) * ((1 - a) * said[id] / best + a * completeness(set(text.split())))
        for id, text in zip(IDS, DOCUMENTS)
    }
    assert dict(zip(found["ids"][0], found["scores"][0])) == pytest.approx(expected)
    assert found["scores"][0] == sorted(found["scores"][0], reverse=True)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_reciprocal_ranks_are_added(mixed, alpha):
    near = mixed.query(query_embeddings=[[1.0, 0.5]])["ids"][0]
    said = mixed.query(query_texts="bee ant", mode="text")["ids"][0]
    expected = {id: alpha / (60 + place) for place, id in enumerate(near, 1)}
    for place, id in enumerate(said, 1):
        expected[id] += (1 - alpha) / (60 + place)
    found = ask(mixed, alpha=alpha, fusion="rrf")
    assert dict(zip(found["ids"][0], found["scores"][0])) == pytest.approx(expected)


@pytest.mark.parametrize(("mode", "fusion"), [("text", None), ("hybrid", "relative"), ("hybrid", "rrf")])
def test_what_each_part_gave_makes_the_score(mixed, mode, fusion):
    given = {"query_embeddings": [[1.0, 0.5]]} if mode == "hybrid" else {}
    found = mixed.query(query_texts=["bee ant"], mode=mode, fusion=fusion, explain=True, **given)
    shares = found["explain"].contributions[0]
    assert [sum(share.values()) for share in shares] == pytest.approx(found["scores"][0])
    assert {name for share in shares for name in share} <= {"dense", "text"}


def test_distances_of_a_mixture_are_those_of_a_dense_query(mixed):
    near = mixed.query(query_embeddings=[[1.0, 0.5]])
    found = ask(mixed)
    assert dict(zip(found["ids"][0], found["distances"][0])) == pytest.approx(
        dict(zip(near["ids"][0], near["distances"][0]))
    )


def test_max_distance_leaves_the_nearest_of_a_mixture(mixed):
    everyone = ask(mixed)
    most = sorted(everyone["distances"][0])[2]
    expected = [id for id, d in zip(everyone["ids"][0], everyone["distances"][0]) if d <= most]
    assert ask(mixed, max_distance=most)["ids"] == [expected]
    assert ask(mixed, max_distance=most, n_results=2)["ids"] == [expected[:2]]


def test_filters_come_before_the_ranking(mixed):
    assert set(ask(mixed, where={"n": {"$gte": 2}}, n_results=3)["ids"][0]) == {"c", "d", "e"}
    assert ask(mixed, ids=["e", "nobody"])["ids"] == [["e"]]


def test_words_that_nobody_has_decide_nothing(mixed):
    found = ask(mixed, query_texts="zebra")
    assert found["ids"] == mixed.query(query_embeddings=[[1.0, 0.5]])["ids"]
    assert {share["text"] for share in found["explain"].contributions[0]} == {0.0}


def test_lambda_1_is_no_diversity_and_less_is_some(mixed):
    plain = ask(mixed, n_results=4)["ids"]
    assert ask(mixed, n_results=4, lambda_mult=1.0)["ids"] == plain
    diverse = ask(mixed, n_results=4, lambda_mult=0.0)["ids"][0]
    assert diverse[0] == plain[0][0]
    assert diverse != plain[0]


def test_documents_may_be_named_as_in_knn(mixed):
    ask = {"query_texts": "cat", "mode": "text"}
    assert mixed.query(**ask, text_key="#document") == mixed.query(**ask)


def test_a_metadata_field_is_searched_like_a_document(mixed):
    for mode in ("text", "hybrid"):
        given = {"query_embeddings": [[1.0, 0.5]]} if mode == "hybrid" else {}
        one = mixed.query(query_texts="bee", mode=mode, **given)
        other = mixed.query(query_texts="bee", mode=mode, text_key="t", **given)
        assert (one["ids"], one["scores"]) == (other["ids"], other["scores"])


def test_texts_are_embedded_when_no_vector_is_given(client):
    made = client.create_collection("things", embedding_function=HashEmbeddingFunction())
    made.add(ids=["a", "b"], documents=["red ant", "grey cat"])
    found = made.query(query_texts=["ants", "cats"], mode="hybrid", n_results=1)
    assert found["ids"] == [["a"], ["b"]]


def test_a_small_fetch_k_is_deep_enough_for_the_results(mixed):
    assert len(ask(mixed, fetch_k=1)["ids"][0]) == 5


# --- the rest of the answer --------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 3])
def test_equal_scores_come_by_age_wherever_their_rows_are(client, k):
    weights = [{"w": SparseVector([1], [1.0])}] * 3
    things = client.create_collection("things", embedding_function=None)
    things.add(["a", "b", "c"], [[1, 0], [0, 1], [1, 1]], documents=["ant"] * 3, metadatas=weights)
    things.update("a", embeddings=[[0, 2]])  # a new row, and still the oldest record

    def answers() -> list[list[str]]:
        ant = Knn("ant", key=K.DOCUMENT, limit=k, return_rank=True)
        mixed = {"query_texts": "ant", "query_embeddings": [[1, 1]], "mode": "hybrid", "alpha": 0.0}
        sparse = {"query_sparse": SparseVector([1], [1.0]), "sparse_key": "w", "mode": "sparse"}
        asked = [{"query_texts": "ant", "mode": "text"}, sparse, mixed, {**mixed, "fusion": "rrf"}]
        found = [things.query(**how, n_results=k)["ids"][0] for how in asked]
        return [*found, things.search(Search(rank=ant))["ids"][0]]

    assert answers() == [["a", "b", "c"][:k]] * 5
    things.compact()
    assert answers() == [["a", "b", "c"][:k]] * 5


def test_snippets_show_the_matching_words(client):
    made = client.create_collection("things", embedding_function=None)
    text = "Ants walk in lines. " + "Nothing here at all. " * 40 + "The queen of the ants stays at home."
    made.add(ids=["a", "b"], embeddings=[[1], [2]], documents=[text, "ant"])
    found = made.query(query_texts="queens of ants", mode="text", snippets=1)
    [snippet] = found["snippets"][0][found["ids"][0].index("a")]
    assert snippet.text == text[snippet.start : snippet.end]
    assert {text[start:end].lower() for start, end in snippet.highlights} == {"queen", "ants"}
    assert len(made.query(query_texts="ants", mode="text", snippets=True)["snippets"][0][0]) <= 3


@pytest.mark.parametrize("include", [[], ["documents"], ["metadatas", "distances"]])
def test_snippets_read_each_document_once(client, monkeypatch, include):
    made = client.create_collection("things", embedding_function=None)
    made.add(ids=["a", "b"], embeddings=[[1], [2]], documents=["red ant", None])
    expected = made.query(query_texts="ants", mode="text", snippets=1)["snippets"]
    reads, fetch = [], records.fetch

    def recording(tx, rows, columns):
        reads.append(columns)
        return fetch(tx, rows, columns)

    monkeypatch.setattr(records, "fetch", recording)
    found = made.query(query_texts="ants", mode="text", snippets=1, include=include)
    assert found["snippets"] == expected
    assert [snippet.text for snippet in expected[0][0]] == ["red ant"]
    assert sum("document" in columns for columns in reads) == 1
    assert found["documents"] == ([["red ant"]] if "documents" in include else None)


@pytest.mark.parametrize("mode", ["text", "hybrid"])
def test_an_empty_collection_has_no_answers(collection, mode):
    given = {"query_embeddings": [[1.0]]} if mode == "hybrid" else {}
    found = collection.query(query_texts="ants", mode=mode, snippets=True, **given)
    assert (found["ids"], found["scores"], found["snippets"]) == ([[]], [[]], [[]])


@pytest.mark.parametrize("mode", ["dense", "text", "sparse", "hybrid"])
@pytest.mark.parametrize(
    "extras", [{}, {"snippets": 2}, {"rerank": lambda query, documents: [0.0] * len(documents)}]
)
def test_no_question_has_the_columns_of_one(mixed, mode, extras):
    if "snippets" in extras and mode in ("dense", "sparse"):
        extras = {}
    columns = {
        "query_texts": ["cat"],
        "query_embeddings": [[1.0, 0.0]],
        "n_results": 1,
        "mode": mode,
        **extras,
    }
    if mode == "sparse":
        columns |= {"query_sparse": [SparseVector([1], [1.0])], "sparse_key": "s"}
    none = {name: [] for name in ("query_texts", "query_sparse", "query_embeddings") if name in columns}
    one = mixed.query(**columns, include=["documents", "distances"])
    found = mixed.query(**columns | none, include=["documents", "distances"])
    assert found == {
        name: [] if isinstance(value, list) and name != "included" else value for name, value in one.items()
    }


@pytest.mark.parametrize("question", ["", "the of", "?!", "zebra"])
def test_a_question_without_a_known_word_has_no_answers(mixed, question):
    assert mixed.query(query_texts=question, mode="text")["ids"] == [[]]


def test_several_questions_have_an_answer_each(mixed):
    assert mixed.query(query_texts=["cat", "dog"], mode="text", n_results=1)["ids"] == [["c"], ["e"]]


def test_the_configuration_says_what_a_word_is(store):
    vicinal.register_analysis("shouted", lambda text: [word for word in text.split() if word.isupper()])
    plain = {"language": None, "stemmer": None}
    for text, question, expected in (
        (None, "ant", [["a", "b"]]),
        (plain, "ant", [["a"]]),
        ({"function": "shouted"}, "ant ANTS", [["b"]]),
    ):
        name = f"things-{len(store.client.list_collections())}"
        configuration = {} if text is None else {"text": text}
        made = store.client.create_collection(name, embedding_function=None, configuration=configuration)
        made.add(ids=["a", "b"], embeddings=[[1], [2]], documents=["an ant", "two ANTS run"])
        made = store.reopen(made)
        found = made.query(query_texts=question, mode="text")
        assert [sorted(ids) for ids in found["ids"]] == expected


@pytest.mark.parametrize("text", [None, {"stemmer": None}])
def test_words_that_the_configuration_asks_for_are_ready_before_the_first_question(tmp_path, text):
    configuration = {} if text is None else {"text": text}
    with vicinal.PersistentClient(tmp_path) as client:
        made = client.create_collection("things", embedding_function=None, configuration=configuration)
        made.add(ids=["a", "b"], embeddings=[[1], [2]], documents=["an ant", "a bee"])
        wait_for_index(made)
    assert bool([*tmp_path.rglob("words.json")]) == (text is not None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ({"language": "german"}, "knows English only; use stemmer='snowball'"),
        ({"language": "klingon", "stemmer": "snowball"}, "there is no such stemmer"),
        ({"function": "nobody's"}, "no analysis is registered under this name"),
    ],
)
def test_a_collection_that_could_cut_no_text_is_not_made(client, text, problem):
    """What a word is cannot be changed later, when the first question would find out."""
    if "stemmer" in text:
        pytest.importorskip("snowballstemmer")
    with pytest.raises(InvalidArgumentError, match=problem):
        client.create_collection("things", configuration={"text": text})
    assert client.list_collections() == []


def test_a_read_only_client_searches_words_too(tmp_path):
    with vicinal.PersistentClient(tmp_path) as client:
        made = client.create_collection("things", embedding_function=None)
        made.add(ids=["a", "b"], embeddings=[[1], [2]], documents=["ant", "bee"])
    with vicinal.PersistentClient(tmp_path, read_only=True) as client:
        things = client.get_collection("things")
        assert things.query(query_texts="ants", mode="text")["ids"] == [["a"]]
        search = vicinal.Search(rank=vicinal.Knn("ants", key=vicinal.K.DOCUMENT))
        assert things.search(search)["ids"] == [["a"]]


INVALID = [
    ({"mode": "fuzzy"}, ValueError, 'expected "dense", "text", "sparse" or "hybrid"'),
    ({"mode": np.array(["text", "dense"])}, ValueError, 'expected "dense", "text", "sparse" or "hybrid"'),
    ({"mode": "text", "fusion": "sum"}, ValueError, 'fusion: expected "relative" or "rrf"'),
    ({"mode": "text", "fusion": np.array(["rrf"] * 2)}, ValueError, 'fusion: expected "relative" or "rrf"'),
    ({"mode": "hybrid", "alpha": 1.5}, ValueError, "alpha: expected a number from 0 to 1"),
    ({"mode": "hybrid", "alpha": "0.5"}, TypeError, "alpha"),
    ({"mode": "text", "alpha": 0.5}, ValueError, "alpha mixes vectors and words"),
    ({"mode": "text", "fusion": "rrf"}, ValueError, "fusion mixes vectors and words"),
    ({"mode": "text", "max_distance": 1}, ValueError, "measures no distance"),
    ({"mode": "text", "text_key": 5}, ArgumentTypeError, "text_key"),
    *(
        ({"mode": mode, "text_key": key}, InvalidArgumentError, f"text_key: expected .*, got '{key}'")
        for mode, key in (("text", "#id"), ("hybrid", "#embedding"), ("text", "#nonsense"))
    ),
    ({"mode": "text", "snippets": -1}, ValueError, "snippets: expected at least 0"),
    ({"mode": "text", "fetch_k": 0}, ValueError, "fetch_k: expected at least 1"),
    ({"mode": "text", "fetch_k": 2}, InvalidArgumentError, "fetch_k belongs to MMR, a mixture or a reranker"),
    ({"mode": "hybrid", "query_embeddings": [[1, 2]] * 2}, InvalidArgumentError, "Unequal lengths"),
    ({"text_key": "t", "query_embeddings": [[1, 2]]}, ValueError, "text_key belongs to"),
    ({"snippets": 2, "query_embeddings": [[1, 2]]}, ValueError, "snippets show words"),
    ({"query_texts": None, "mode": "text", "query_embeddings": [[1, 2]]}, ValueError, "give query_texts"),
]


@pytest.mark.parametrize(("how", "kind", "text"), INVALID, ids=[text for _, _, text in INVALID])
def test_what_cannot_be_asked_is_refused(mixed, how, kind, text):
    with pytest.raises(kind, match=text):
        mixed.query(**{"query_texts": ["ant"], **how})
