"""A client that nobody closes is closed when the garbage collector comes upon it, and at exit."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

import vicinal
from vicinal import _left

LEAVES = """
import gc, sys, threading, time, vicinal
from vicinal import _left

def works():
    begun.set()
    time.sleep(1)
    print("ended", flush=True)

begun = threading.Event()
_left._WAIT_S = 0.01
client = vicinal.PersistentClient(sys.argv[1])
client._backend._opened.indexer.wake(works)
begun.wait()
"""


@pytest.mark.parametrize("then", ["", "del client; gc.collect()"])
def test_at_exit_what_a_client_that_is_left_does_is_waited_for(then: str, tmp_path: Path) -> None:
    program = [sys.executable, "-c", LEAVES + then, tmp_path]
    ran = subprocess.run(program, check=True, capture_output=True, text=True, timeout=60)
    assert (ran.stdout, ran.stderr) == ("ended\n", "")


@pytest.mark.parametrize("writes", [False, True])
def test_a_client_that_is_collected_where_its_background_has_to_wait_holds_nobody_up(
    writes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_left, "_WAIT_S", 0.1)
    begun, ended = threading.Event(), threading.Event()

    def collected() -> None:
        client = vicinal.PersistentClient(tmp_path)
        opened = client._backend._opened
        catalog, wake = opened.catalog, opened.indexer.wake
        del opened

        def works() -> None:
            with catalog.write() if writes else nullcontext():
                begun.set()
                with lock:
                    ended.set()

        with lock:
            wake(works)
            assert begun.wait(10)
            del client
            gc.collect()

    lock = threading.Lock()
    thread = threading.Thread(target=collected, daemon=True)
    thread.start()
    assert ended.wait(30)
    for closing in list(_left._closing):
        closing.join(30)
    assert not _left._closing


def test_a_client_that_its_own_background_comes_upon_is_not_waited_for_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing waits for the background; and the garbage collector, wherever it is asked, for itself."""
    monkeypatch.setattr(_left, "_WAIT_S", 60)
    clients = [vicinal.PersistentClient(tmp_path)]
    went_on = threading.Event()

    def works() -> None:
        clients.clear()
        gc.collect()
        went_on.set()

    clients[0]._backend._opened.indexer.wake(works)
    assert went_on.wait(30)
    for closing in list(_left._closing):
        closing.join(30)
    assert not _left._closing
