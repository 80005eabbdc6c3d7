"""Threads may share a stemmer of Snowball's."""

from __future__ import annotations

import sys
from threading import Thread
from typing import Any

import pytest

from vicinal._stemming import snowball

pytest.importorskip("snowballstemmer")


def test_threads_stem_words_side_by_side() -> None:
    """Whenever one thread is inside a stemmer, another stems a word from its beginning to its end."""
    shared, alone = (snowball("german", "a test") for _ in range(2))
    others: list[Thread] = []

    def intrude(frame: Any, event: str, _argument: Any) -> None:
        if event == "call" and "snowballstemmer" in frame.f_code.co_filename and len(others) < 9:
            others.append(Thread(target=shared, args=["x" * len(others) + "freundlichkeiten"]))
            others[-1].start()
            others[-1].join()

    sys.setprofile(intrude)
    try:
        stemmed = shared("häuserchen")
    finally:
        sys.setprofile(None)
    assert others
    assert stemmed == alone("häuserchen")
