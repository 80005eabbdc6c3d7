"""Which real text do the engines hold, and what are they asked?

First the documentation that this Python carries, read as the demo reads it; then, for more rows, the
source of the standard library and of the installed packages, cut into pieces of the same size. The
order is fixed and no text occurs twice. Questions are the beginnings of texts that were held out.
All is embedded once, by Vicinal's default function, and kept in the cache directory.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import pickle
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from demo.corpus import fingerprint, passages
from demo.entries import entries_of, pieces_of

from bench.filters import Vectors, numbers_of

Text = tuple[str, str, dict[str, Any]]
"""(id, text, metadata)"""

_SKIPPED = {"__pycache__", "test", "tests", "site-packages"}
_PIECE_CHARS_MIN = 200
_QUESTION_CHARS = 120


@dataclass(frozen=True)
class Corpus:
    """Records by column, and the questions asked of them; vectors are float32."""

    ids: list[str]
    documents: list[str]
    metadatas: list[dict[str, Any]]
    vectors: Vectors
    questions: Vectors
    sides: list[bool]
    """For each question, on which side of the corpus it lies: see `filters.py`."""

    def describe(self) -> dict[str, Any]:
        """What the report says of it; the digest tells whether two runs had the same data."""
        digest = hashlib.blake2b(self.vectors.tobytes() + self.questions.tobytes(), digest_size=6)
        (rows, dimension), text_mb = self.vectors.shape, sum(map(len, self.documents)) / 1e6
        return {"rows": rows, "dimension": dimension, "text_mb": text_mb, "digest": digest.hexdigest()}


def load(cache: Path, rows: int, questions: int) -> Corpus:
    """The first texts that are found, as a corpus; from the cache where it was made before."""
    recipe = hashlib.blake2b(fingerprint().encode(), digest_size=4).hexdigest()
    path = cache / f"corpus-{recipe}-{rows}-{questions}.pickle"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(_make(rows, questions)))
    corpus: Corpus = pickle.loads(path.read_bytes())
    return corpus


def _make(rows: int, questions: int) -> Corpus:
    from vicinal.embedding import DefaultEmbeddingFunction  # not where engines are timed as they import

    found = list(itertools.islice(_texts(), rows + questions))
    if len(found) < rows + questions:
        raise SystemExit(f"Only {len(found):,} texts are installed here; ask for fewer --rows.")
    held = set(np.linspace(0, len(found) - 1, questions).astype(int).tolist())
    ids, documents, metadatas = zip(*(text for i, text in enumerate(found) if i not in held))
    embed = DefaultEmbeddingFunction()
    vectors = np.array(embed(documents), dtype=np.float32)
    asked = np.array(embed([found[i][1][:_QUESTION_CHARS] for i in sorted(held)]), dtype=np.float32)
    numbers, sides = numbers_of(vectors, asked)
    extended = [{**metadata, **more} for metadata, more in zip(metadatas, numbers)]
    return Corpus(list(ids), list(documents), extended, vectors, asked, sides)


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
