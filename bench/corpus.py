"""Which real text do the engines hold, and what are they asked?

First the documentation that this Python carries, read as the demo reads it; then, for more rows, the
source of the standard library and of the installed packages, cut into pieces of the same size. The
order is fixed and no text occurs twice, as far as the installed text goes; after that texts repeat, with
vectors moved a little. Questions are the beginnings of texts that were held out. All is embedded once, by
Vicinal's default function, and kept in the cache directory.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import pickle
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from demo.corpus import fingerprint, passages
from demo.entries import entries_of, pieces_of

from bench.filters import Facts, Vectors, fields_of, phrases_of

Text = tuple[str, str, dict[str, Any]]
"""(id, text, metadata)"""

DIMENSION_MAX = 512
_RECIPE = 3
_SKIPPED = {"__pycache__", "test", "tests", "site-packages"}
_PIECE_CHARS_MIN = 200
_QUESTION_CHARS = 120
_ENDING_CHARS = 200
_MOVED = 0.2
"""How far a repeated text's vector is moved, in lengths of the vector."""


@dataclass(frozen=True)
class Corpus:
    """Records by column, and the questions asked of them; vectors are float32."""

    ids: list[str]
    documents: list[str]
    metadatas: list[dict[str, Any]]
    vectors: Vectors
    asked: list[str]
    questions: Vectors
    sides: list[bool]
    """For each question, on which side of the corpus it lies: see `filters.py`."""
    repeated: int = 0
    """How many of the last records repeat a text."""

    def describe(self) -> dict[str, Any]:
        """What the report says of it; the digest tells whether two runs had the same data."""
        digest = hashlib.blake2b(self.vectors.tobytes() + self.questions.tobytes(), digest_size=6)
        (rows, dimension), text_mb = self.vectors.shape, sum(len(d.encode()) for d in self.documents) / 1e6
        return {
            "rows": rows,
            "dimension": dimension,
            "text_mb": text_mb,
            "digest": digest.hexdigest(),
            "repeated": self.repeated,
        }

    def facts(self) -> Facts:
        """What conditions are made of."""
        return Facts(len(self.ids), self.sides, phrases_of(self.documents))


def load(cache: Path, rows: int, questions: int, dimension: int) -> Corpus:
    """The first texts that are found, as a corpus; from the cache where it was made before."""
    recipe = hashlib.blake2b(f"{fingerprint()} {_RECIPE}".encode(), digest_size=4).hexdigest()
    path = cache / f"corpus-{recipe}-{rows}-{questions}-{dimension}.pickle"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(_make(rows, questions, dimension)))
    corpus: Corpus = pickle.loads(path.read_bytes())
    return corpus


def _make(rows: int, questions: int, dimension: int) -> Corpus:
    found = list(itertools.islice(_texts(), rows + questions))
    held = set(np.linspace(0, len(found) - 1, questions).astype(int).tolist())
    ids, documents, metadatas = map(list, zip(*(text for i, text in enumerate(found) if i not in held)))
    openings = [found[i][1][:_QUESTION_CHARS] for i in sorted(held)]
    asked = embed(openings, [found[i][1] for i in sorted(held)], dimension)
    vectors = embed(documents, documents, dimension)
    corpus = _repeat(Corpus(ids, documents, metadatas, vectors, openings, asked, []), rows)
    fields, sides = fields_of(corpus.vectors, asked)
    extended = [{**metadata, **more} for metadata, more in zip(corpus.metadatas, fields)]
    return replace(corpus, metadatas=extended, sides=sides)


def embed(texts: Sequence[str], wholes: Sequence[str], dimension: int) -> Vectors:
    """Vicinal's default embedding, cut to a smaller dimension or continued by that of the endings."""
    from vicinal.embedding import DefaultEmbeddingFunction  # not where engines are timed as they import

    function = DefaultEmbeddingFunction()
    vectors = np.array(function(texts), dtype=np.float32)
    missing = dimension - vectors.shape[1]
    if missing > 0:
        endings = np.array(function([whole[-_ENDING_CHARS:] for whole in wholes]), dtype=np.float32)
        vectors = np.concatenate([vectors, endings[:, :missing]], axis=1)
    return np.ascontiguousarray(vectors[:, :dimension])


def _repeat(corpus: Corpus, rows: int) -> Corpus:
    """As many rows as are wanted: texts again, each with another id and a vector moved a little."""
    installed, missing = len(corpus.ids), rows - len(corpus.ids)
    if missing <= 0:
        return corpus
    again = [row % installed for row in range(missing)]
    noise = np.random.default_rng(1).standard_normal((missing, corpus.vectors.shape[1])).astype(np.float32)
    near = corpus.vectors[again]
    lengths = np.linalg.norm(near, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
    return replace(
        corpus,
        ids=corpus.ids + [f"{corpus.ids[row]}~{1 + i // installed}" for i, row in enumerate(again)],
        documents=corpus.documents + [corpus.documents[row] for row in again],
        metadatas=corpus.metadatas + [corpus.metadatas[row] for row in again],
        vectors=np.concatenate([corpus.vectors, near + np.float32(_MOVED) * lengths * noise]),
        repeated=missing,
    )


def _texts() -> Iterator[Text]:
    seen: set[str] = set()
    documentation = ((entry.id, entry.text, dict(entry.metadata)) for entry in entries_of(passages()))
    for text in itertools.chain(documentation, _source()):
        if text[1] not in seen:
            seen.add(text[1])
            yield text


def _source() -> Iterator[Text]:
    for root in (Path(os.__file__).parent, Path(sysconfig.get_path("purelib"))):
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).parts
            if _SKIPPED.intersection(parts):
                continue
            for number, piece in enumerate(pieces_of(path.read_text("utf-8", "replace"))):
                if len(piece) >= _PIECE_CHARS_MIN:
                    metadata = {"package": parts[0], "kind": "source", "file": parts[-1], "chunk": number}
                    yield f"{'/'.join(parts)}#{number}", piece, metadata
