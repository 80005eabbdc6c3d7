"""This Python's documentation, read and embedded once for all the demo's tests."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from demo import answering, corpus, library
from demo.__main__ import main
from demo.asking import Asker
from demo.embedding import as_vectors
from demo.entries import Entry
from rich.console import Console

import vicinal

# wordllama sets up logging when it is first used; pytest's own setup is to stay.
logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def entries() -> list[Entry]:
    return corpus.python_docs()


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]) -> Path:
    """A directory that holds the documentation of this Python, as a first run leaves it."""
    path = tmp_path_factory.mktemp("demo") / "data"
    with vicinal.PersistentClient(path) as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "python_docs", lambda on_file: entries)  # read once is enough
        assert library.open_python_docs(client).embedded == len(entries)
    return path


@pytest.fixture(scope="session")
def collection(data: Path) -> Iterator[vicinal.Collection]:
    with vicinal.PersistentClient(data) as client:
        yield client.get_collection(library.PYTHON_DOCS)


@pytest.fixture(scope="session")
def asker(collection: vicinal.Collection) -> Asker:
    embed = collection.embedding_function
    assert embed is not None
    return Asker(collection, embed, answering.answerer({}, partial(as_vectors, embed)))


@pytest.fixture
def demo(data: Path) -> Callable[..., tuple[int, str]]:
    """Runs the command; returns its exit status and what it printed."""

    def run(*arguments: str, environment: dict[str, str] | None = None, data: Path = data) -> tuple[int, str]:
        console = Console(file=io.StringIO(), width=200)
        status = main([*arguments, "--data", str(data)], environment or {}, console)
        assert isinstance(console.file, io.StringIO)
        return status, console.file.getvalue()

    return run
