"""What do plain inserts and SQLite's own full-text index cost? No vectors are searched here.

Records without their vectors go into one table, a transaction a batch, write-ahead log and
`synchronous=FULL`; the index of words, FTS5, is made by `finish`.
"""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

from bench.engines.base import Answer, Batch, Engine

_WORD = re.compile(r"\w+")
_TABLE = """CREATE TABLE IF NOT EXISTS records(
    row INTEGER PRIMARY KEY, id TEXT UNIQUE, document TEXT, metadata TEXT)"""
_INDEX = "CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(document, content=records, content_rowid=row)"
_FIND = """SELECT id, records.document, metadata FROM words JOIN records ON row = words.rowid
    WHERE words MATCH ? ORDER BY bm25(words) LIMIT ?"""


class SQLite(Engine):
    """Python's own `sqlite3`."""

    package = "sqlite3"

    def open(self, directory: Path, shape: tuple[int, int]) -> None:  # noqa: ARG002 - it need not know
        self.database = sqlite3.connect(directory / "plain.sqlite", isolation_level=None)
        self.database.execute("PRAGMA journal_mode=WAL")
        self.database.execute("PRAGMA synchronous=FULL")
        self.database.execute(_TABLE)

    def close(self) -> None:
        self.database.close()

    def add(self, batch: Batch) -> None:
        columns = zip(batch["ids"], batch["documents"], batch["metadatas"])
        rows = [(id, text, json.dumps(more)) for id, text, more in columns]
        self.database.execute("BEGIN")
        self.database.executemany("INSERT INTO records VALUES (NULL, ?, ?, ?)", rows)
        self.database.execute("COMMIT")

    def finish(self) -> None:
        self.database.execute(_INDEX)
        self.database.execute("INSERT INTO words(words) VALUES ('rebuild')")

    def text(self, question: str, k: int) -> Answer:
        words = " OR ".join(f'"{word}"' for word in dict.fromkeys(_WORD.findall(question.lower())))
        found = self.database.execute(_FIND, (words or '""', k)).fetchall()
        return (
            [id for id, _, _ in found],
            [text for _, text, _ in found],
            [json.loads(m) for _, _, m in found],
        )
