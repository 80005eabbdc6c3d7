"""What can be saved from a damaged collection?

Every record whose texts and vector still agree with its checksum is written to new files; the others are
listed. A copy of the damaged directory is kept, so nothing is destroyed, and until the new table of
records replaces the old one nothing is changed: a repair that is killed can be begun again. Where the
records are whole, checkpoints that are not are removed. Nobody else may have the database open meanwhile.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid4

import numpy as np

from vicinal._live import CHECKPOINTS
from vicinal._opened import OpenCollections
from vicinal._storage import catalog, changes, checkpoint, checksums, generations, records
from vicinal._storage.changes import Delta, State
from vicinal._storage.database import Database, Transaction, beside
from vicinal._storage.files import Files, check_descriptors, exists, is_directory, translated
from vicinal._storage.schema import RECORDS
from vicinal._storage.vectors import VectorFile
from vicinal.errors import ClosedError, CorruptionError, FormatVersionError, NotFoundError, VicinalError
from vicinal.types import Vectors

_NO_ROWS = np.empty(0, dtype=np.int64)
_COLUMNS = "row, position, id, document, metadata, uri, checksum"
_RECORDS = f"SELECT {_COLUMNS} FROM records WHERE row BETWEEN ? AND ?"
_LIVE = "SELECT position, row FROM live WHERE position BETWEEN ? AND ?"
_NAMES = "SELECT row, id FROM ids JOIN live USING (position)"
_NAMES_1 = "SELECT row, id FROM records"  # of format 1, where an index holds both
_STRANGE = (TypeError, ValueError, OverflowError)
"""What values of the wrong kind lead to, where they come from damaged tables."""
_DESCRIPTORS = 24
"""More than it takes to open a collection, to read another's database and to copy a file."""
_SAMPLE = 5  # records; all of them damaged, the state's word is taken
_ROWS_MAX = 1 << 62  # when the state does not know
_DIMENSION_MAX = 8192  # tried when the state does not know: a second or two


def repair(opened: OpenCollections, files: Files) -> list[str]:
    """Repair every damaged collection; returns what was done and what was lost, in sentences."""
    if opened.path is None:
        return []
    opened.catalog.check_place()  # else there would be nothing to repair
    with opened.catalog.read() as tx:
        names, unreadable = catalog.names(tx), catalog.unreadable(tx)
    report: list[str] = []
    for id, name in names.items():
        if id in unreadable:  # nothing that is saved of its records could be reached
            report.append(f"collection {name}: not repaired: {unreadable[id]}")
            continue
        directory = opened.path / "collections" / id
        check_descriptors(directory, _DESCRIPTORS)
        with translated(directory):  # what cannot be read is no more damaged than what cannot be opened
            findings = _findings(opened, UUID(id)) if exists(directory) else []
            if findings:
                opened.forget(UUID(id))
                derived = all(finding.startswith("checkpoint") for finding in findings)
                lines = _discard(directory, files) if derived else _salvage(directory, opened.path, files)
                report += [f"collection {name}: {line}" for line in lines]
    return report


def _findings(opened: OpenCollections, id: UUID) -> list[str]:
    try:
        with opened.using(id) as live:
            return live.check()
    except (FormatVersionError, NotFoundError):
        return []  # whole, and not ours to touch; or deleted since
    except ClosedError:
        raise
    except (VicinalError, *_STRANGE) as error:
        return [f"cannot be opened: {error}"]


def _discard(directory: Path, files: Files) -> Iterator[str]:
    """Remove the checkpoints that cannot be believed: what they hold is made anew from the records."""
    kept_in = directory / "checkpoints"
    for name in CHECKPOINTS:
        for finding in checkpoint.check(kept_in, name):
            checkpoint.discard(kept_in, name, files)
            if not checkpoint.check(kept_in, name):
                yield f"checkpoint {name}: removed; it will be made anew"
            else:
                yield f"{finding}; it cannot be removed"


def _salvage(directory: Path, root: Path, files: Files) -> Iterator[str]:
    fresh = root / "repairing" / directory.name
    files.remove_tree(fresh)
    files.make_directory(fresh)
    lost: list[str] = []
    whole = list(_whole(directory, lost))
    check_descriptors(directory, _DESCRIPTORS)  # it must not be for want of them that records were lost
    kept_at = root / "damaged" / f"{directory.name}-{uuid4().hex[:8]}"
    files.make_directory(kept_at.parent)
    _keep(directory, kept_at, files)
    # A generation of its own: neither this directory nor a backup of it has a file of that name.
    generation = 1 + max(generations.numbers(directory), default=-1)
    _write(fresh, whole, generation, files)
    _install(fresh, directory, files)
    files.remove_tree(fresh.parent)
    yield f"{len(whole)} records saved; the damaged files are in {kept_at}"
    yield from lost


def _keep(directory: Path, kept_at: Path, files: Files) -> None:
    """Copy a directory, whole or not at all; what fails is named, which `shutil.copytree` has as a list."""
    try:
        with translated(kept_at):
            kept_at.mkdir()
        for path in files.find(directory, "*"):
            if is_directory(path):
                _keep(path, kept_at / path.name, files)
            else:
                with translated(path):
                    shutil.copy2(path, kept_at / path.name)
        with translated(directory):
            shutil.copystat(directory, kept_at)
    except BaseException:
        files.remove_tree(kept_at)
        raise


def _install(fresh: Path, directory: Path, files: Files) -> None:
    """Replace the files of a collection; it is repaired when its table is, the rest is tidying."""
    vectors = files.find(fresh, generations.FILES)
    for path in vectors:
        files.replace(path, directory / path.name)
    for suffix in ("-wal", "-shm"):  # they would be taken for those of the new table
        files.remove(beside(directory / "records.sqlite3", suffix))
    files.step("repair: before table")
    files.replace(fresh / "records.sqlite3", directory / "records.sqlite3")
    files.step("repair: table replaced")
    installed = {path.name for path in vectors}
    for path in files.find(directory, generations.FILES):
        if path.name not in installed:
            files.remove(path)
    files.remove_tree(directory / "checkpoints")


Found = TypeVar("Found")
Whole = tuple[tuple[Any, ...], Any]
"""(position, id, document, metadata, uri, checksum), and the vector."""


def _whole(directory: Path, lost: list[str]) -> Iterator[Whole]:
    """The records that are as they were written, in the order of `get`."""
    try:
        database, lists = _as_it_is(directory / "records.sqlite3")
    except (VicinalError, *_STRANGE) as error:
        lost.append(f"no record can be read: {error}")
        return
    found: list[Whole] = []
    try:
        with closing(database), database.read() as tx:
            for entry in _sound(directory, database, tx, lists, lost):
                found.append(entry)  # noqa: PERF402 - what was read before the damage counts
    except (VicinalError, *_STRANGE) as error:
        lost.append(f"reading ended early: {error}")
    found.sort(key=lambda entry: entry[0][0])
    newest = {entry[0][1]: entry for entry in found}  # one that was deleted has a lower position
    yield from (entry for entry in found if newest[entry[0][1]] is entry)


def _sound(
    directory: Path, database: Database, tx: Transaction, lists: bool, lost: list[str]
) -> Iterator[Whole]:
    """The records that live, by row, but for those that are `lost`."""
    state: State | None = _had(database, lambda: changes.state(tx), None)
    # The lists of ids and of the living may be whole where the records are not.
    names = _NAMES if lists else _NAMES_1
    listed: dict[Any, str] = _had(database, lambda: dict(tx.execute(names).fetchall()), {})
    vectors = _vectors(directory, state, _sample(database, tx))
    most = max(state.rows, len(vectors)) if state else _ROWS_MAX
    named = {row: id for row, id in listed.items() if _can_be(row, most)}
    rows = max([state.rows if state else len(vectors), *(1 + row for row in named)])
    table: dict[int, Whole] = {
        row: (tuple(record), vectors[row])
        for row, *record in _readable(database, tx, _RECORDS, 0, min(rows, len(vectors)) - 1)
    }
    sound = {row for row, (record, vector) in table.items() if _agrees(record, vector)}
    positions = {row: record[0] for row, (record, _) in table.items() if isinstance(record[0], int)}
    living, certain = set(table), True
    if lists:
        living, certain = _living(database, tx, state, positions, sound, most)
    if not certain:
        lost.append("the list of living records is damaged: some that were deleted may be back")
    for row in sorted(living & table.keys()):
        id = table[row][0][1]
        named.setdefault(row, id)
        if row in sound:
            yield table[row]
        else:
            lost.append(f"record {id!r}: its texts or its vector are not what was written")
    for row in sorted(named.keys() - table.keys()):
        problem = "its vector is missing" if row >= len(vectors) else "cannot be read"
        lost.append(f"record {named[row]!r}: {problem}")
    if state and state.records > len(named):
        lost.append(f"{state.records - len(named)} records of which not even the id can be read")


def _as_it_is(path: Path) -> tuple[Database, bool]:
    """The database, and whether it lists who lives. What it says of its format may be damaged, too; format 1,
    which holds the living alone, is not brought up to date: all of it would have to be readable."""
    database = Database(path, None, must_exist=True)
    try:
        with database.read() as tx:
            tables = {name for (name,) in tx.execute("SELECT name FROM sqlite_master")}
            [(version,)] = tx.execute("PRAGMA user_version")
        if "records" not in tables:
            raise CorruptionError(path=str(path), problem="has no table of records")
        return database, version > 1 or not tables.isdisjoint({"ids", "live"})
    except BaseException:
        database.close()
        raise


def _agrees(record: Sequence[Any], vector: Any) -> bool:
    """Whether a record is what was written: values of the right kinds that have its checksum."""
    position, id, document, metadata, uri, checksum = record
    texts = all(text is None or isinstance(text, str) for text in (document, metadata, uri))
    if not (isinstance(position, int) and isinstance(id, str) and texts):
        return False
    return bool(checksum == checksums.of_record(position, id, document, metadata, uri, vector))


def _had(database: Database, reading: Callable[[], Found], otherwise: Found) -> Found:
    """What can be read, when it can."""
    try:
        with database.translated():
            return reading()
    except (VicinalError, *_STRANGE):
        return otherwise


def _sample(database: Database, tx: Transaction) -> list[tuple[Any, ...]]:
    """A few records that can be read, to see which vectors are theirs."""
    found: list[tuple[Any, ...]] = []
    with suppress(VicinalError, *_STRANGE), database.translated():
        for record in tx.execute(f"SELECT {_COLUMNS} FROM records LIMIT {_SAMPLE}"):
            found.append(record)  # noqa: PERF402 - what was read before the damage counts
    return found


def _vectors(directory: Path, state: State | None, sample: list[tuple[Any, ...]]) -> Vectors:
    """All whole vectors of the file, committed or not; the checksums tell them apart.

    Which file and which dimension, the state says; when it says nothing that agrees with any checksum,
    all are tried.
    """
    numbers = generations.numbers(directory)
    data = {n: np.fromfile(generations.path_of(directory, n), dtype="<f4") for n in numbers}
    stated: list[tuple[int, int]] = []
    if state is not None and state.dimension and state.dimension <= len(data.get(state.generation, ())):
        stated = [(state.generation, state.dimension)]
    others = ((n, dimension) for n in data for dimension in range(1, _DIMENSION_MAX + 1))
    for n, dimension in chain(stated, others):
        vectors = _shaped(data[n], dimension)
        if any(row < len(vectors) and _agrees(record, vectors[row]) for row, *record in sample):
            return vectors
    return _shaped(data[stated[0][0]], stated[0][1]) if stated else np.empty((0, 0), dtype=np.float32)


def _shaped(data: Any, dimension: int) -> Vectors:
    rows = len(data) // dimension
    shaped: Vectors = data[: rows * dimension].reshape(rows, dimension)
    return shaped


def _can_be(row: Any, most: int) -> bool:
    """Whether this is one of so many rows, and not what damage has made of one."""
    return isinstance(row, int) and 0 <= row < most


def _living(
    database: Database,
    tx: Transaction,
    state: State | None,
    positions: dict[int, int],
    sound: set[int],
    most: int,
) -> tuple[set[int], bool]:
    """The rows that live, where `positions` (by ascending row) could be read; and whether that is certain.

    The list is not believed where it names what is no row, where a sound row says that its position is
    another, or the log that the row was taken out. A position that is missing from a damaged list is taken to
    live, in the newest of its rows that the log does not say was taken out.
    """
    removed, remembered = _had(database, lambda: changes.taken_out(tx), (_NO_ROWS, False))
    gone = set(removed.tolist())
    newest = {position: row for row, position in positions.items() if row not in gone}
    # Damage may say that there are 2**62 positions, which could not be halved to their end.
    known = max((positions[row] for row in sound), default=0) + len(positions)
    last = min(max([-1 if state is None else state.positions, *newest]), known)
    entries = _readable(database, tx, _LIVE, 0, last)
    listed = {p: row for p, row in entries if _can_be(row, most) and row not in gone}
    living: set[int] = set()
    for position, row in listed.items():
        if row not in sound or positions[row] == position:
            living.add(row)
        elif position in newest:
            living.add(newest[position])
    whole = state is not None and len(listed) == state.records
    if not whole:
        living.update(row for position, row in newest.items() if position not in listed)
    return living, whole or remembered


def _readable(
    database: Database, tx: Transaction, statement: str, first: int, last: int
) -> Iterator[tuple[Any, ...]]:
    """What a statement finds between two numbers, halving what cannot be read until only the damaged rows are
    left out."""
    try:
        with database.translated():
            batch = tx.execute(statement, (first, last)).fetchall()
    except (VicinalError, *_STRANGE):
        if first < last:
            middle = (first + last) // 2
            yield from _readable(database, tx, statement, first, middle)
            yield from _readable(database, tx, statement, middle + 1, last)
        return
    yield from batch


def _write(directory: Path, whole: list[Whole], generation: int, files: Files) -> None:
    """A collection's directory that holds these records."""
    with closing(Database(directory / "records.sqlite3", RECORDS)) as database, database.write() as tx:
        dimension, positions = None, 0
        if whole:
            vectors = np.stack([vector for _, vector in whole])
            dimension, positions = vectors.shape[1], 1 + max(texts[0] for texts, _ in whole)
            path = generations.path_of(directory, generation)
            VectorFile(path, dimension, generation, files, create=True).append(0, vectors)
            records.insert(tx, [(row, *texts) for row, (texts, _) in enumerate(whole)], position=0)
        state = State(1, len(whole), len(whole), positions, dimension, generation, dropped=False)
        changes.log(tx, state, Delta())
