"""What can be done with a database from the command line?

`vicinal check`, `backup`, `compact`, `info`: each opens a directory as any program would.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from vicinal import __version__
from vicinal.client import PersistentClient
from vicinal.errors import StorageError, VicinalError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when all is well, 1 when something was found, 2 when it cannot be done."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except VicinalError as error:
        print(f"vicinal: {error}", file=sys.stderr)
        return 2


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
    compact.set_defaults(command=_compact)
    for command in (check, info, backup, compact):
        command.add_argument("path", help="the directory of the database")
    backup.add_argument("target", help="a new directory, or an earlier backup to bring up to date")
    return parser


def _open(path: str) -> PersistentClient:
    """A client on a directory that exists: these commands make none."""
    return PersistentClient(path, must_exist=True)


def _check(options: argparse.Namespace) -> int:
    with _open(options.path) as client:
        findings = client.check()
        for finding in findings:
            print(finding)
        if not findings:
            print("all is well")
            return 0
        if options.repair:
            for line in client.repair():
                print(line)
            return int(bool(client.check()))
    return 1


def _info(options: argparse.Namespace) -> int:
    damaged = 0
    with _open(options.path) as client:
        for collection in client.list_collections():
            try:
                print(f"{collection.name}: {collection.count():,} records")
            except StorageError as error:
                print(f"{collection.name}: {error}")
                damaged = 1
    return damaged


def _backup(options: argparse.Namespace) -> int:
    with _open(options.path) as client:
        client.backup(options.target)
    return 0


def _compact(options: argparse.Namespace) -> int:
    with _open(options.path) as client:
        one = options.collection
        for collection in [client.get_collection(one)] if one else client.list_collections():
            collection.compact()
    return 0
