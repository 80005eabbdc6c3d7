"""How is Chroma asked? Its persistent client, without telemetry; its indexes are made by itself."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from bench.engines.base import NotOfferedError
from bench.engines.vicinal import ChromaApi
from bench.filters import ANY, Condition


class Chroma(ChromaApi):
    """`chromadb.PersistentClient`. SQLite with synchronous commits."""

    package = "chromadb"

    def _connect(self, directory: Path) -> Any:
        chromadb = importlib.import_module("chromadb")
        settings = chromadb.Settings(anonymized_telemetry=False)
        return chromadb.PersistentClient(path=str(directory), settings=settings)

    def finish(self) -> None:
        self.collection.query(query_embeddings=self.collection.peek(1)["embeddings"], n_results=1)

    def query(self, vector: Any, k: int, condition: Condition = ANY) -> Any:
        if any(isinstance(v, str) and o in ("$lt", "$gte") for _, o, v in condition.parts()):
            raise NotOfferedError  # compares numbers only
        return super().query(vector, k, condition)
