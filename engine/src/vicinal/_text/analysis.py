"""Which words does a text consist of?

A text is cut into words (runs of letters, digits, underscores and the marks that belong to letters); each
word becomes one or more terms: NFKC and case folding first, then

* a name in code is kept whole and also cut: `copy_file2` → copy_file2, copy, file, 2; `HTTPServer` likewise;
* scripts that put no spaces between words give every pair of neighbouring characters;
* stop words are left out, and what is left is stemmed.

The terms of a word do not depend on its neighbours, so those of the latest words are remembered. Without any
optional package English is reduced by Harman's S stemmer; with `vicinal[text]` every Snowball language is
there. A caller's own function can take the place of it all.

Sources: Harman, How Effective Is Suffixing? (JASIS 1991), table 1; the Snowball stemmers of Porter and
others (snowballstem.org); bigrams for Han and kana as in Lucene's CJKBigramFilter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from vicinal._given import listed
from vicinal._stemming import snowball
from vicinal._text.stop_words import ENGLISH
from vicinal.config import Analysis
from vicinal.errors import ArgumentTypeError, InvalidArgumentError

Stemmer = Callable[[str], str]
Words = Callable[[str], Iterable[str]]
"""A caller's own analysis: a text's terms, in order, repeated as often as they occur."""

_REMEMBERED = 20_000
_JOINING = 30  # NFKC is asked about so many characters at a time: a base and its marks are fewer
_FOR_CODE = re.compile(r"[^\d_]+|\d+")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")  # ASCII; other names are cut at _ and digits


class Span(NamedTuple):
    """Where a word stands in its text, and its terms."""

    start: int
    end: int
    terms: tuple[str, ...]


class Analyser:
    """An `Analysis` at work. Threads may share it.

    Raises:
        InvalidArgumentError: There is no such language or function.
        MissingDependencyError: The Snowball stemmers are not installed.
    """

    def __init__(self, analysis: Analysis | None = None) -> None:
        self.analysis = analysis = analysis or Analysis()
        self._function = _registered(analysis.function) if analysis.function is not None else None
        self._stem = _stemmer(analysis)
        listed = analysis.stop_words
        if listed is None:
            listed = tuple(ENGLISH) if analysis.language == "english" else ()
        self._stop_words = frozenset(_folded(word) for word in listed)
        self.terms: Callable[[str], tuple[str, ...]] = lru_cache(_REMEMBERED)(self.cut)
        """`cut`, remembered."""
        self._stemmed: Callable[[str], str] = lru_cache(_REMEMBERED)(self._stem_of)

    def tokens(self, text: str) -> list[str]:
        """A text's terms, in order, with repetitions."""
        return [term for word in self.words(text) for term in self.terms(word)]

    def words(self, text: str) -> list[str]:
        """A text's words as they stand there; what `terms` takes."""
        if self._function is not None:
            return _terms(self._function(text), self.analysis.function)
        if text.isascii():
            return text.translate(_SPACED).split()  # as _ASCII.findall, in a third of the time
        return _unicode().findall(text)

    def spans(self, text: str) -> Iterator[Span]:
        """The same words with their places; a registered function's terms are looked for in the text."""
        if self._function is not None:
            yield from _found_again(text, self.words(text))
            return
        if text.isascii():
            for found in _ASCII.finditer(text):
                yield Span(found.start(), found.end(), self.terms(found[0]))
            return
        for found in _unicode().finditer(text):
            if _RUN.match(found[0]):  # a run without spaces: a word for each pair
                yield from self._pairs(found.start(), found[0])
            else:
                yield Span(found.start(), found.end(), self.terms(found[0]))

    def _pairs(self, start: int, run: str) -> Iterator[Span]:
        """What `cut` makes of a run, each with the characters that it was made from."""
        normal, places = _normalised(run)
        for found in _unicode().finditer(normal):
            parts = self._runs(found[0]) if _RUN.match(found[0]) else [found[0]]
            for at, part in enumerate(parts, start=found.start()):
                first, last = places[at], places[at + len(part) - 1]
                yield Span(start + first[0], start + last[1], self.terms(part))

    def cut(self, word: str) -> tuple[str, ...]:
        """The terms of one of `words`."""
        if self._function is not None:
            return (word,)
        if word.isascii():
            return tuple(self._cut(word))
        pattern = _unicode()
        normal = unicodedata.normalize("NFKC", word)
        terms: list[str] = []
        for found in pattern.finditer(normal):
            terms.extend(self._runs(found[0]) if _RUN.match(found[0]) else self._cut(found[0]))
        return tuple(terms)

    def _runs(self, run: str) -> list[str]:
        size = self.analysis.ngrams
        return [run[at : at + size] for at in range(max(len(run) - size, 0) + 1)]

    def _cut(self, word: str) -> list[str]:
        """The terms of a word with spaces around it."""
        if self.analysis.split_identifiers and not _is_plain(word):
            is_camel = word.isascii() and not word.islower() and not word.isupper()
            cutting = _CAMEL if is_camel else _FOR_CODE
            parts = cutting.findall(word)
            if len(parts) > 1 or (parts and parts[0] != word):
                return [_folded(word), *filter(None, map(self._stemmed, parts))]
        stemmed = self._stemmed(word)
        return [stemmed] if stemmed else []

    def _stem_of(self, word: str) -> str:
        """The stem of a word that is not cut further; empty when it is left out."""
        folded = _folded(word)
        return "" if folded in self._stop_words else self._stem(folded)


def _is_plain(word: str) -> bool:
    """Whether a word is obviously no name to be cut: most are not, and cutting takes longer than this."""
    return word.isascii() and word.isalpha() and (word.islower() or word.istitle() or word.isupper())


def _folded(word: str) -> str:
    return word.lower() if word.isascii() else unicodedata.normalize("NFKC", word.casefold())


def _normalised(run: str) -> tuple[str, list[tuple[int, int]]]:
    """A run in NFKC, and for each character of that where in the run it comes from."""
    normal = unicodedata.normalize("NFKC", run)
    if normal == run:
        return run, [(at, at + 1) for at in range(len(run))]
    places: list[tuple[int, int]] = []
    start = 0
    for end in range(1, len(run) + 1):
        if not _joins(run[max(start, end - _JOINING) : end], run[end : end + 1]):
            made = unicodedata.normalize("NFKC", run[start:end])
            places += [(start, end)] * len(made)
            start = end
    return normal, places if len(places) == len(normal) else [(0, len(run))] * len(normal)


def _joins(before: str, after: str) -> bool:
    """Whether NFKC makes more of two texts than one after the other."""
    one, other = unicodedata.normalize("NFKC", before), unicodedata.normalize("NFKC", after)
    return after != "" and unicodedata.normalize("NFKC", before + after) != one + other


# --- words ------------------------------------------------------------------------------------------------

_ASCII = re.compile(r"\w+")
_SPACED = "".join(char if _ASCII.match(char) else " " for char in map(chr, range(128)))

# Thai, Lao, Myanmar, Khmer, kana, Han and its extensions; the half-width kana.
_UNSPACED = (
    r"\u0e00-\u0e4e\u0e80-\u0ece\u1000-\u1049\u1780-\u17d3\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af"
)

_RUN = re.compile(f"[{_UNSPACED}]")


@lru_cache(1)
def _unicode() -> re.Pattern[str]:
    """Runs without spaces, or words, to which combining marks belong, as `\\w` alone forgets."""
    marks = _marks()
    return re.compile(rf"[{_UNSPACED}]+|(?:(?![{_UNSPACED}])[\w{marks}])+")


def _marks() -> str:
    """A character class of every combining mark, as ranges."""
    codes = [code for code in range(0x300, 0x1F000) if unicodedata.category(chr(code))[0] == "M"]
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


def _found_again(text: str, terms: Iterable[str]) -> Iterator[Span]:
    """Places of terms of which only the order is known; one that does not stand there has none."""
    lowered, at = text.lower(), 0
    places: Sequence[int] = range(len(text))
    if len(lowered) != len(text):  # İ becomes two characters
        places = [place for place, char in enumerate(text) for _ in char.lower()]
    for term in terms:
        wanted = term.lower()
        start = lowered.find(wanted, at) if wanted else -1
        if start >= 0:
            at = start + len(wanted)
            yield Span(places[start], places[at - 1] + 1, (term,))


# --- stemmers ---------------------------------------------------------------------------------------------


def s_stem(word: str) -> str:
    """Harman's S stemmer: the first rule whose suffix fits decides, and English plurals lose it."""
    if len(word) < 4 or word[-1] != "s":
        return word
    if word.endswith("ies"):
        return word if word[-4] in "ae" else word[:-3] + "y"
    if word.endswith("es"):
        return word if word[-3] in "aeo" else word[:-1]
    return word if word[-2] in "us" else word[:-1]


def _stemmer(analysis: Analysis) -> Stemmer:
    if analysis.stemmer is None or analysis.language is None or analysis.function is not None:
        return str
    if analysis.stemmer == "light":
        if analysis.language != "english":
            raise InvalidArgumentError(
                f"language={analysis.language!r}: the built-in stemmer knows English only; use "
                "stemmer='snowball' (pip install 'vicinal[text]') or stemmer=None"
            )
        return s_stem
    return snowball(analysis.language, "A Snowball stemmer")


# --- a caller's own ---------------------------------------------------------------------------------------

_FUNCTIONS: dict[str, Words] = {}


def register_analysis(name: str, function: Words | None = None) -> Any:
    """Let collections name a function that takes a text and gives its terms; also a decorator.

    The same function must be registered whenever such a collection is opened. A later registration of a
    name replaces an earlier one. Raises `ArgumentTypeError` for a name that is no str, as where the decorator
    is written without one, and for what is no function.
    """
    if not isinstance(name, str):
        raise ArgumentTypeError(argument="name", expected='a str, as in @register_analysis("name")', got=name)
    if function is None:
        return lambda decorated: register_analysis(name, decorated)
    if not callable(function):
        raise ArgumentTypeError(
            argument="function", expected="a function that gives a text's terms", got=function
        )
    _FUNCTIONS[name] = function
    return function


def _terms(terms: Any, name: str | None) -> list[str]:
    """What a registered function gives, which may be anything."""
    argument, expected = f"what the analysis {name!r} gives", "a list of terms"
    found = listed(terms, argument, expected)
    if not all(isinstance(term, str) for term in found):
        raise ArgumentTypeError(argument=argument, expected=expected, got=found)
    return found


def _registered(name: str) -> Words:
    try:
        return _FUNCTIONS[name]
    except KeyError:
        raise InvalidArgumentError(
            f"function={name!r}: no analysis is registered under this name; call "
            f"register_analysis({name!r}, …) before the collection is opened"
        ) from None
