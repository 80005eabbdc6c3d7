"""The clients that engine tests are given: in memory and on disk, and sound when the test ends.

`client` is one client of each kind. `store` is a client with a collection factory and `reopen`, which
closes a persistent client and opens it again, so that a test asserts on what is on disk. `new_client`
opens further ones. Whatever was handed out is checked and closed at the end.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest

import vicinal
from vicinal._storage.database import Database, Transaction
from vicinal.testing import check

hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("search", deadline=None, database=None, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

SNAPSHOTS = Path(__file__).parent / "snapshots"
KINDS = ["ephemeral", "persistent"]


@pytest.fixture
def new_client() -> Iterator[Callable[..., vicinal.Client]]:
    """`new_client()` opens an ephemeral client, `new_client(path)` a persistent one."""
    clients: list[vicinal.Client] = []

    def open_one(path: Path | None = None) -> vicinal.Client:
        clients.append(vicinal.EphemeralClient() if path is None else vicinal.PersistentClient(path))
        return clients[-1]

    yield open_one
    findings = [finding for client in clients for finding in _checked(client)]
    for client in clients:
        client.close()
    assert findings == []


def _checked(client: vicinal.Client) -> list[str]:
    try:
        return check(client)
    except vicinal.errors.ClosedError:  # the test closed it
        if not isinstance(client, vicinal.PersistentClient):
            return []
    with vicinal.PersistentClient(client.path) as again:
        return check(again)


@pytest.fixture(params=KINDS)
def client(request: Any, new_client: Any, tmp_path: Path) -> vicinal.Client:
    """A client of each kind."""
    return new_client(tmp_path / "data" if request.param == "persistent" else None)


@pytest.fixture
def collection(client: vicinal.Client) -> vicinal.Collection:
    """An empty collection without an embedding function, in a client of each kind."""
    return client.create_collection("things", embedding_function=None)


class Store:
    """A client, a factory of collections, and a way to see what survives closing."""

    def __init__(self, client: vicinal.Client, new_client: Callable[..., vicinal.Client]) -> None:
        self.client, self._new_client = client, new_client

    def collection(self, name: str = "things", **records: Any) -> vicinal.Collection:
        """A new collection without an embedding function, holding `records` (arguments of `add`)."""
        made = self.client.create_collection(name, embedding_function=None)
        if records:
            made.add(**records)
        return made

    def reopen(self, collection: vicinal.Collection) -> vicinal.Collection:
        """The same collection, read from disk by a new client when there is a disk."""
        if not isinstance(self.client, vicinal.PersistentClient):
            return collection
        self.client.close()
        self.client = self._new_client(self.client.path)
        return self.client.get_collection(collection.name)


@pytest.fixture
def store(client: vicinal.Client, new_client: Any) -> Store:
    """`store.collection(ids=…, embeddings=…)` makes one, `store.reopen(collection)` reads it again."""
    return Store(client, new_client)


@pytest.fixture
def on_alarm() -> Iterator[Callable[[Callable[..., None]], None]]:
    """`on_alarm(ring)` has `ring` called when `signal.setitimer` is over; without such timers, skips."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("needs Unix")
    before = signal.getsignal(signal.SIGALRM)
    yield lambda ring: signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Callable[[Database], AbstractContextManager[None]]:
    """`with interrupted(database):` a signal in the middle of its COMMITs is raised when they are done."""
    write = Database.write

    @contextmanager
    def within(wanted: Database) -> Iterator[None]:
        @contextmanager
        def interrupted_write(database: Database) -> Iterator[Transaction]:
            with write(database) as tx:
                yield tx
            if database is wanted:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Database, "write", interrupted_write)
            yield

    return within


@contextmanager
def _sealed(path: Path) -> Iterator[None]:
    if os.name != "posix":
        pytest.skip("modes and mounts are POSIX's")
    if os.geteuid():
        places = [path, *path.rglob("*")]
        for place in places:
            place.chmod(0o555 if place.is_dir() else 0o444)
        try:
            yield
        finally:
            for place in places:
                place.chmod(0o755 if place.is_dir() else 0o644)
        return
    mounted = shutil.which("mount") and not subprocess.call(
        ["mount", "--bind", str(path), str(path)], stderr=subprocess.DEVNULL
    )
    if not mounted:
        pytest.skip("root may write everywhere, and may not mount here")
    try:
        subprocess.check_call(["mount", "-o", "remount,ro,bind", str(path)])
        yield
    finally:
        subprocess.check_call(["umount", str(path)])


@pytest.fixture
def sealed() -> Callable[[Path], AbstractContextManager[None]]:
    """`with sealed(path):` the operating system lets nobody write there: by mode, or, as root, by a mount."""
    return _sealed


@pytest.fixture
def snapshot() -> Callable[[str, Any], None]:
    """`snapshot("errors", value)` compares with snapshots/errors.json; UPDATE_SNAPSHOTS=1 rewrites it."""

    def compare(name: str, value: Any) -> None:
        path = SNAPSHOTS / f"{name}.json"
        if os.environ.get("UPDATE_SNAPSHOTS"):
            text = json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
            path.write_text(text, encoding="utf-8")
        assert json.loads(path.read_text(encoding="utf-8")) == value

    return compare
