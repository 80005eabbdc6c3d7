"""Which number has a term?

Postings know terms by their codes. While an index is made, most words of a text have been seen before: the
codes that a word gives are remembered, so that it is cut and stemmed once.
"""

from __future__ import annotations

from collections.abc import Iterable

from vicinal._text.analysis import Analyser

_REMEMBERED = 100_000  # words, some 200 bytes each


class Vocabulary:
    """Terms and their codes. Only ever grows, so that versions of an index can share it."""

    def __init__(self, terms: Iterable[str] = ()) -> None:
        self.terms = list(terms)
        self.codes = {term: code for code, term in enumerate(self.terms)}
        self._cut: _Cut | None = None

    def code(self, term: str) -> int:
        """A term's code, new if need be. For the one thread that extends an index."""
        code = self.codes.get(term)
        if code is None:
            code = len(self.terms)
            self.terms.append(term)
            self.codes[term] = code  # last: who finds it may look it up
        return code

    def cut_by(self, analyser: Analyser) -> _Cut:
        """The codes of words, remembered. For the one thread that extends an index."""
        if self._cut is None or self._cut.analyser is not analyser or len(self._cut) > _REMEMBERED:
            self._cut = _Cut(self, analyser)
        return self._cut


class _Cut(dict[str, tuple[int, ...]]):
    """By word, the codes of its terms."""

    def __init__(self, vocabulary: Vocabulary, analyser: Analyser) -> None:
        self.analyser = analyser
        self._vocabulary = vocabulary

    def __missing__(self, word: str) -> tuple[int, ...]:
        codes = self[word] = tuple(map(self._vocabulary.code, self.analyser.cut(word)))
        return codes
