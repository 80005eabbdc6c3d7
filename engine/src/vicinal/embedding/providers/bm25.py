"""How is text turned into the sparse vectors of BM25, the same ones as Chroma makes?

A component per stemmed word, numbered by its hash; its value is the share of the BM25 score that depends
on the document alone. The inner product of a document's and a query's vector, weighted by how rare each
word is, is then the BM25 score. Needs `vicinal[text]` for the stemmer; the hash is written out below.

Source of the weights: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond
(2009); of the hash: MurmurHash3 (x86, 32 bits), in the public domain; of the stop words: NLTK's English
list, without those with an apostrophe, which no token has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from vicinal._given import listed, number, whole
from vicinal._stemming import snowball
from vicinal.embedding.sparse import SparseEmbeddingFunction
from vicinal.errors import InvalidArgumentError
from vicinal.types import Documents, SparseVector

_WORDS = """
    a about above after again against ain all am an and any are aren as at be because been before being
    below between both but by can couldn d did didn do does doesn doing don down during each few for from
    further had hadn has hasn have haven having he her here hers herself him himself his how i if in into
    is isn it its itself just ll m ma me mightn more most mustn my myself needn no nor not now o of off on
    once only or other our ours ourselves out over own re s same shan she should shouldn so some such t
    than that the their theirs them themselves then there these they this those through to too under until
    up ve very was wasn we were weren what when where which while who whom why will with won wouldn y you
    your yours yourself yourselves
"""
STOP_WORDS = frozenset(_WORDS.split())
_NO_WORD = re.compile(r"[^\w\s]+")
_CACHED = 50_000
_LENGTH_MIN = 1e-6


class ChromaBm25EmbeddingFunction(SparseEmbeddingFunction):
    """BM25 as sparse vectors, component for component those of Chroma. Needs `vicinal[text]`.

    Args:
        k: How soon further occurrences of a word count for less; 0 or more.
        b: How much long documents are held back, from 0 to 1.
        avg_doc_length: The length that counts as usual, in words that are no stop words; above 0.
        token_max_length: Longer words are left out.
        stopwords: Words to leave out; NLTK's English list unless given.
        include_tokens: Put each component's word into `labels`.
    """

    def __init__(
        self,
        k: float = 1.2,
        b: float = 0.75,
        avg_doc_length: float = 256.0,
        token_max_length: int = 40,
        stopwords: Iterable[str] | None = None,
        include_tokens: bool = False,
    ) -> None:
        self.k, self.b = _finite(k, "k", 0), _finite(b, "b", 0)
        self.avg_doc_length = _finite(avg_doc_length, "avg_doc_length", _LENGTH_MIN)
        self.token_max_length = whole(token_max_length, "token_max_length", 0)
        self.include_tokens = bool(include_tokens)
        given = None if stopwords is None else listed(stopwords, "stopwords", "a list of words")
        self.stopwords = None if given is None else [str(word) for word in given]
        self._left_out = STOP_WORDS if stopwords is None else {word.lower() for word in self.stopwords or ()}
        self._stem = lru_cache(_CACHED)(snowball("english", "BM25 embeddings"))

    def __call__(self, input: Documents) -> list[SparseVector]:
        return [self._encode(text) for text in input]

    def _encode(self, text: str) -> SparseVector:
        counts: dict[int, int] = {}
        labels: dict[int, str] = {}
        for token in self._tokens(text):
            number = _component(token)
            counts[number] = counts.get(number, 0) + 1
            labels.setdefault(number, token)
        indices = sorted(counts)
        damping = self.k * (1 - self.b + self.b * sum(counts.values()) / self.avg_doc_length)
        values = [counts[i] * (self.k + 1) / (counts[i] + damping) for i in indices]
        named = self.include_tokens and indices  # no labels of nothing, as in Chroma
        return SparseVector(indices, values, [labels[i] for i in indices] if named else None)

    def _tokens(self, text: str) -> Iterator[str]:
        for word in _NO_WORD.sub(" ", text).lower().split():
            if word not in self._left_out and len(word) <= self.token_max_length:
                stem = self._stem(word).strip()
                if stem:
                    yield stem

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickling, which words' kept stems would not survive."""
        return self.build_from_config, (self.get_config(),)

    @staticmethod
    def name() -> str:
        return "chroma_bm25"

    def get_config(self) -> dict[str, Any]:
        names = ("k", "b", "avg_doc_length", "token_max_length", "include_tokens")
        config = {name: getattr(self, name) for name in names}
        return config if self.stopwords is None else {**config, "stopwords": list(self.stopwords)}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> SparseEmbeddingFunction:
        return ChromaBm25EmbeddingFunction(**config)


def _finite(value: Any, argument: str, minimum: float) -> float:
    found = number(value, argument)
    if not minimum <= found < math.inf:
        raise InvalidArgumentError(f"{argument}: expected a finite number of at least {minimum}, got {value}")
    return found


@lru_cache(_CACHED)
def _component(token: str) -> int:
    """The component of a word: the absolute value of its hash as a signed number."""
    unsigned = murmur3(token.encode("utf-8", "surrogatepass"))
    return unsigned if unsigned < 1 << 31 else (1 << 32) - unsigned


def murmur3(data: bytes, seed: int = 0) -> int:
    """MurmurHash3, x86, 32 bits, as an unsigned number."""
    mask = 0xFFFFFFFF
    state = seed
    whole = len(data) & ~3
    for start in range(0, whole, 4):
        state ^= _mixed(int.from_bytes(data[start : start + 4], "little"))
        state = ((state << 13 | state >> 19) & mask) * 5 + 0xE6546B64 & mask
    if whole < len(data):
        state ^= _mixed(int.from_bytes(data[whole:], "little"))
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B & mask
    state = (state ^ state >> 13) * 0xC2B2AE35 & mask
    return state ^ state >> 16


def _mixed(block: int) -> int:
    block = block * 0xCC9E2D51 & 0xFFFFFFFF
    return (block << 15 | block >> 17) * 0x1B873593 & 0xFFFFFFFF
