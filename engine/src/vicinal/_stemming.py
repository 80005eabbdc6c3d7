"""What is the stem of a word, in one of the languages of Snowball?"""

from __future__ import annotations

import threading
from collections.abc import Callable

from vicinal._optional import package
from vicinal.errors import InvalidArgumentError


def snowball(language: str, feature: str) -> Callable[[str], str]:
    """A stemmer that threads may share. `feature` is what needs the package."""
    snowballstemmer = package("snowballstemmer", name="snowballstemmer", extra="text", feature=feature)
    known = snowballstemmer.algorithms()
    if language not in known:
        raise InvalidArgumentError(
            f"language={language!r}: there is no such stemmer; there are {', '.join(sorted(known))}"
        )
    own = threading.local()  # one of theirs holds the word that it works on

    def stem(word: str) -> str:
        if not hasattr(own, "stemmer"):
            own.stemmer = snowballstemmer.stemmer(language)
        return str(own.stemmer.stemWord(word))

    return stem
