"""What can be done with a database from the command line?

`vicinal import` brings a Chroma directory in. `check`, `backup`, `compact`, `info`: each opens a directory as
any program would, and means all of its tenants and databases. A directory that cannot be written is opened to
read.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from typing import TextIO

from vicinal._admin import AdminClient
from vicinal._version import __version__
from vicinal.cli import moving
from vicinal.cli.lines import one_line
from vicinal.client import PersistentClient
from vicinal.collection import Collection
from vicinal.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings
from vicinal.errors import InvalidArgumentError, NotFoundError, StorageError, VicinalError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when all is well, 1 when something was found, 2 when it cannot be done."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # it may lack what a name is made of
    try:
        code = int(options.command(options))
        print(end="", flush=True)  # there may be no sys.stdout
    except VicinalError as error:
        _complain(error)
        return 2
    except OSError as error:  # of the output; a database's are StorageErrors
        if not _has_seen_enough(error):
            _complain(error)
        _silence(sys.stdout)
        return 2
    return code


def _has_seen_enough(error: OSError) -> bool:
    """Whether nobody reads the output any more, as `head` after some lines; Windows calls that invalid."""
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)


def _complain(error: Exception) -> None:
    if sys.stderr is None:  # then it would go to the output
        return
    try:
        print(f"vicinal: {error}", file=sys.stderr, flush=True)
    except OSError:  # the exit code says it all
        _silence(sys.stderr)


def _silence(stream: TextIO | None) -> None:
    """Nothing more is written: the interpreter's last flush would fail, and change the exit code."""
    if stream is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vicinal", description="Look after a Vicinal database.")
    parser.add_argument("--version", action="version", version=f"vicinal {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="read everything and compare it with its checksums")
    check.add_argument("--repair", action="store_true", help="save what is whole, list what is not")
    check.set_defaults(command=_check)
    info = commands.add_parser("info", help="list the collections")
    info.set_defaults(command=_info)
    backup = commands.add_parser("backup", help="copy the database while others use it")
    backup.set_defaults(command=_backup)
    compact = commands.add_parser("compact", help="give the space of deleted records back to the disk")
    compact.add_argument("--collection", help="this one only", metavar="NAME")
    compact.add_argument("--tenant", help="whose collection that is")
    compact.add_argument("--database", help="where that collection is")
    compact.set_defaults(command=_compact)
    for command in (check, info, backup, compact):
        command.add_argument("path", help="the directory of the database")
    moving.add_command(commands)
    backup.add_argument("target", help="a new directory, or an earlier backup to bring up to date")
    return parser


def _open(path: str) -> AdminClient:
    """A directory that exists: these commands make none."""
    settings = Settings(is_persistent=True, persist_directory=path)
    return AdminClient(settings, must_exist=True, read_only=_is_sealed(path))


def _is_sealed(path: str) -> bool:
    place = os.path.expanduser(path)  # as the client does; a shell leaves a quoted ~ alone
    return os.path.isdir(place) and not os.access(place, os.W_OK)


def _check_writable(path: str) -> None:
    """The client's own words would advise read_only, which is not said here."""
    if _is_sealed(path):
        raise StorageError(path=path, problem="the directory is not writable")


def _collections(path: str) -> Iterator[tuple[str, Collection]]:
    """(name, collection) of all databases; outside of the default one, a name tells where it is."""
    with _open(path) as admin:
        spaces = [
            (space["tenant"], space["name"])
            for tenant in admin.list_tenants()
            for space in admin.list_databases(tenant=tenant["name"])
        ]
    for tenant, database in spaces:
        where = "" if (tenant, database) == (DEFAULT_TENANT, DEFAULT_DATABASE) else f"{tenant}/{database}/"
        with PersistentClient(
            path, tenant=tenant, database=database, must_exist=True, read_only=_is_sealed(path)
        ) as client:
            for collection in client.list_collections():
                yield where + collection.name, collection


def _check(options: argparse.Namespace) -> int:
    with _open(options.path) as client:
        findings = client.check()
        for finding in findings:
            print(one_line(finding))
        if not findings:
            print("all is well")
            return 0
        if options.repair:
            _check_writable(options.path)
            for line in client.repair():
                print(one_line(line))
            return int(bool(client.check()))
    return 1


def _info(options: argparse.Namespace) -> int:
    damaged = 0
    for name, collection in _collections(options.path):
        try:
            print(one_line(f"{name}: {collection.count():,} records"))
        except StorageError as error:
            print(one_line(f"{name}: {error}"))
            damaged = 1
    return damaged


def _backup(options: argparse.Namespace) -> int:
    with _open(options.path) as client:
        client.backup(options.target)
    return 0


def _compact(options: argparse.Namespace) -> int:
    _check_writable(options.path)
    if options.collection is not None:
        space = (options.tenant or DEFAULT_TENANT, options.database or DEFAULT_DATABASE)
        with PersistentClient(options.path, None, *space, must_exist=True) as client:
            try:
                client.get_collection(options.collection).compact()
            except NotFoundError:
                hint = f"vicinal info {options.path} lists them; --tenant and --database say where one is"
                raise NotFoundError(kind="Collection", key=options.collection, hint=hint) from None
        return 0
    if options.tenant is not None or options.database is not None:
        raise InvalidArgumentError("--tenant and --database say where --collection is; give that, too")
    for _, collection in _collections(options.path):
        collection.compact()
    return 0
