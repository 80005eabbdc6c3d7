"""A collection is brought up to date by embedding what is new, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from demo import corpus, library
from demo.entries import Entry

import vicinal


def make_entries(count: int, **text: str) -> list[Entry]:
    made = {f"e{n}": f"entry number {n}" for n in range(count)} | text
    return [Entry(id, words, {"kind": "section", "chunk": 1}) for id, words in made.items()]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[], vicinal.Collection]]:
    """Opens the same collection again, through a client of its own, as the next process does."""
    with ExitStack() as clients:

        def open_() -> vicinal.Collection:
            client = clients.enter_context(vicinal.PersistentClient(tmp_path / "data"))
            return library._open(client, "texts", {"holds": "texts"})

        yield open_


def test_the_first_run_embeds_everything(opened: Callable[[], vicinal.Collection]) -> None:
    assert library.fill(opened(), make_entries(5)).embedded == 5
    assert opened().get()["documents"] == [f"entry number {n}" for n in range(5)]


def test_a_second_run_embeds_nothing(opened: Callable[[], vicinal.Collection]) -> None:
    library.fill(opened(), make_entries(5))
    assert library.fill(opened(), make_entries(5)).embedded == 0


def test_only_what_changed_is_embedded_again(opened: Callable[[], vicinal.Collection]) -> None:
    library.fill(opened(), make_entries(5))
    assert library.fill(opened(), make_entries(5, e3="changed", e9="new")).embedded == 2
    assert opened().get(ids=["e3"])["documents"] == ["changed"]


def test_what_is_gone_is_removed(opened: Callable[[], vicinal.Collection]) -> None:
    library.fill(opened(), make_entries(5))
    assert library.fill(opened(), make_entries(3)).removed == 2
    assert opened().get()["ids"] == ["e0", "e1", "e2"]


def test_metadata_is_replaced_and_not_merged(opened: Callable[[], vicinal.Collection]) -> None:
    library.fill(opened(), [Entry("a", "text", {"old": 1})])
    library.fill(opened(), [Entry("a", "text", {"new": 2})])
    metadata = (opened().get()["metadatas"] or [{}])[0]
    assert {key: metadata[key] for key in metadata if key != "digest"} == {"new": 2}


def test_an_interrupted_run_is_continued(
    opened: Callable[[], vicinal.Collection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "BATCH", 10)

    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "storing" and done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.fill(opened(), make_entries(35), interrupt)
    assert opened().count() == 20
    assert library.fill(opened(), make_entries(35)).embedded == 15
    assert opened().get()["ids"] == [f"e{n}" for n in range(35)]


def test_progress_is_told_by_stage(opened: Callable[[], vicinal.Collection], monkeypatch) -> None:
    monkeypatch.setattr(library, "BATCH", 2)
    told: list[tuple[str, int, int]] = []
    library.fill(opened(), make_entries(3), lambda *step: told.append(step))
    assert told == [("embedding", 2, 3), ("storing", 2, 3), ("embedding", 3, 3), ("storing", 3, 3)]


def test_opening_the_python_docs_again_does_not_even_read_them(
    data: Path, entries: list[Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "python_docs", lambda on_file: pytest.fail("the corpus was read"))
    with vicinal.PersistentClient(data) as client:
        filled = library.open_python_docs(client)
        assert (filled.embedded, filled.collection.count()) == (0, len(entries))


def test_another_python_brings_the_collection_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpus, "python_docs", lambda on_file: make_entries(3))
    with vicinal.PersistentClient(tmp_path / "data") as client:
        library.open_python_docs(client)
        monkeypatch.setattr(corpus, "fingerprint", lambda: "python 9.9")
        monkeypatch.setattr(corpus, "python_docs", lambda on_file: make_entries(3, e1="other"))
        assert library.open_python_docs(client).embedded == 1
        assert library.open_python_docs(client).embedded == 0


def test_folders_of_one_name_have_collections_of_their_own() -> None:
    names = {library.folder_collection_name(Path(path)) for path in ("/a/docs", "/b/docs", "/", "/ü ü")}
    assert len(names) == 4
