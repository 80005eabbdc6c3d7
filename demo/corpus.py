"""Which documentation does the user's own Python carry?

Three sources, none of which imports a module that is not already loaded
(test_reading_imports_nothing):

* the standard library's files, as source (`source.py`);
* the language reference behind `help("…")`: the file `pydoc_data/topics.py`, read as a literal;
* what is written in C and loaded in every Python (`builtins`, `sys`, `itertools` …), from its live
  docstrings.

A module that only passes on a private one (`datetime` from `_pydatetime`, `pathlib` from
`pathlib._local`, `concurrent.futures` from `._base`) shows that one's definitions under its own
name: that is how users know them.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from . import source
from .entries import RECIPE, Entry, Passage, entries_of, sections_of, slug, with_ids_of_their_own

TOPICS = "pydoc_data.topics"
# Tests, vendored packages and whole applications: their docstrings answer no user's question.
_SKIPPED = {
    "test", "tests", "idle_test", "idlelib", "lib2to3", "turtledemo", "ensurepip", "pydoc_data",
    "site-packages", "dist-packages", "lib-dynload", "__pycache__",
}  # fmt: skip
# Loaded before this file's first line or by its imports (`math` by numpy). What is in C has no source.
_LOADED = ("builtins", "sys", "os", "time", "math", "itertools", "collections", "functools", "re")
# Where the functions of `os` say they live.
_OTHER_HOMES = ("posix", "nt")

OnFile = Callable[[int, int], None]
"""Called as `(files_done, files_total)` while files are read."""


def unwatched(done: int, total: int) -> None:
    """For callers that show no progress."""


class CorpusError(ValueError):
    """There is nothing to read here. The message says where it was looked for and what to do."""


@dataclass(frozen=True)
class SourceFile:
    """A file of the standard library and its module's name."""

    path: Path
    module: str


def fingerprint() -> str:
    """What the entries depend on: this Python and the recipe that cuts them."""
    return f"python {sys.version.split()[0]}, recipe {RECIPE}"


def python_docs(on_file: OnFile = unwatched) -> list[Entry]:
    """Every entry of this Python's own documentation, in a fixed order. Takes two to three seconds.

    Args:
        on_file: For a progress bar.

    Raises:
        CorpusError: This Python came without its library's source files.
    """
    return list(entries_of(passages(on_file)))


def passages(on_file: OnFile = unwatched) -> Iterator[Passage]:
    """The documentation before it is cut into entries: one passage a docstring or section."""
    root = Path(os.__file__).parent  # not from sysconfig, which imports the build's configuration
    files = library_files(root)
    if not files:
        raise CorpusError(
            f"No Python source files under {root}. This Python carries its standard library in another form "
            f"(a zip file, or byte code only); run the demo with a Python that has its .py files."
        )
    yield from with_ids_of_their_own(topic_passages(root))
    deprecated: set[str] = set()
    for done, file in enumerate(files, start=1):
        yield from _passages_of_file(file, root, deprecated)
        on_file(done, len(files))
    # Last, so that of a name that exists both in source and in C the source, read first, is kept.
    for name in _LOADED:
        if name in sys.modules:
            yield from live_passages(sys.modules[name])


# --- the library's files -----------------------------------------------------------------------------


def library_files(root: Path) -> list[SourceFile]:
    """The public modules under `root`, packages before their modules."""
    found = []
    for path in root.rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        name = parts[:-1] if parts[-1] == "__init__" else parts
        public = all(part.isidentifier() and source.is_public(part) for part in name)
        if name and public and not _SKIPPED.intersection(name):
            found.append(SourceFile(path, ".".join(name)))
    return sorted(found, key=lambda file: file.module)


def _passages_of_file(file: SourceFile, root: Path, deprecated: set[str]) -> Iterator[Passage]:
    package = file.module.partition(".")[0]
    module = _parse(file.path, file.module, root, deprecated=package in deprecated)
    if module is None:
        return
    if module.deprecated and file.module == package:
        deprecated.add(package)
    yield from source.passages_of_module(module)
    for path, wanted in _private_sources(module, file.path, root):
        private = _parse(path, file.module, root, deprecated=module.deprecated)
        if private is not None:
            yield from source.passages_of_definitions(private, wanted)


def _parse(path: Path, module: str, root: Path, *, deprecated: bool) -> source.Module | None:
    try:
        file = path.relative_to(root).as_posix()
        return source.parse(path.read_bytes(), module, file, deprecated=deprecated)
    except (OSError, SyntaxError, ValueError):
        return None  # templates and deliberately broken files ship beside the library; they document nothing


def _private_sources(
    module: source.Module, path: Path, root: Path
) -> Iterator[tuple[Path, Callable[[str], bool]]]:
    """Private files whose definitions the module offers as its own, with the names it takes from each."""
    twin = root / f"_py{module.name}.py"  # the Python twin of a module in C: _pydatetime, _pydecimal, _pyio
    if twin.is_file():
        yield twin, source.is_public
    package = path.parent if path.name == "__init__.py" else None
    offered = _exported_names(module)
    for node in source.statements_in(module.tree.body):
        if not isinstance(node, ast.ImportFrom) or not node.module or node.module.startswith("_py"):
            continue
        base = package if node.level and package else path.parent if node.level else root
        found = base.joinpath(*node.module.split(".")).with_suffix(".py")
        if found.name.startswith("_") and found.is_file():
            names = {alias.name for alias in node.names}
            yield found, (source.is_public if "*" in names else names.intersection(offered).__contains__)


def _exported_names(module: source.Module) -> set[str]:
    """What the module's `__all__` lists: of the names it imports, those it means to pass on."""
    for node in module.tree.body:
        if not isinstance(node, ast.Assign) or ast.unparse(node.targets[0]) != "__all__":
            continue
        if isinstance(node.value, (ast.List, ast.Tuple)):
            names = {str(item.value) for item in node.value.elts if isinstance(item, ast.Constant)}
            return set(filter(source.is_public, names))  # importlib.__import__ is for nobody's eyes
    return set()


# --- the language reference ---------------------------------------------------------------------------


def topic_passages(root: Path) -> Iterator[Passage]:
    """The chapters of the language reference, a passage for each section; none if this Python has none."""
    path = root / "pydoc_data" / "topics.py"
    if not path.is_file():
        return
    for topic, chapter in sorted(topics_in(path.read_text(encoding="utf-8")).items()):
        for headings, _, body in sections_of(chapter):
            name = f"help/{topic}/{slug(headings[-1])}" if headings else f"help/{topic}"
            title = " › ".join(headings)
            yield Passage(
                id=name,
                heading=title,
                body=body,
                metadata={
                    "module": TOPICS,
                    "package": "language reference",
                    "qualname": topic,
                    "name": topic,
                    "kind": "topic",
                    "title": title,
                    "signature": f'help("{topic}")',
                    "lines": body.count("\n") + 1,
                    "status": "current",
                },
            )


def topics_in(text: str) -> dict[str, str]:
    """`topics = {…}` however it is spelled: one long literal, or from 3.14 a long string for each topic."""
    for node in ast.parse(text).body:
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(target, ast.Name) and target.id == "topics" for target in targets):
            return {str(topic): str(chapter) for topic, chapter in ast.literal_eval(node.value).items()}
    return {}


# --- what is written in C -----------------------------------------------------------------------------


def live_passages(module: ModuleType) -> Iterator[Passage]:
    """The public functions and classes of a loaded module, and the methods of its classes."""
    for name, value in sorted(vars(module).items()):
        if not source.is_public(name) or not (isinstance(value, type) or inspect.isroutine(value)):
            continue
        if getattr(value, "__module__", None) in (None, module.__name__, *_OTHER_HOMES):
            yield from _live_definition(value, f"{module.__name__}.{name}", module.__name__)


def _live_definition(value: object, qualname: str, module: str) -> Iterator[Passage]:
    yield from _live_passage(value, qualname, module, "class" if isinstance(value, type) else "function")
    if isinstance(value, type):
        for name, member in sorted(vars(value).items()):
            function = getattr(member, "__func__", member)  # inside a class method or static method
            is_data = inspect.isdatadescriptor(function)
            if source.is_public(name) and (is_data or inspect.isroutine(function)):
                kind = "property" if is_data else "method"
                yield from _live_passage(function, f"{qualname}.{name}", module, kind)


def _live_passage(value: object, qualname: str, module: str, kind: str) -> Iterator[Passage]:
    docstring = getattr(value, "__doc__", None)
    if not isinstance(docstring, str) or not docstring.strip():
        return
    docstring = inspect.cleandoc(docstring)
    arguments = getattr(value, "__text_signature__", None) or ""
    arguments = re.sub(r"\$(self|module|type)(, )?(/, |/)?", "", " ".join(arguments.split()))
    yield source.Documented(
        module=module,
        qualname=qualname,
        kind=kind,
        docstring=docstring,
        signature=qualname.rpartition(".")[2] + arguments,
        lines=docstring.count("\n") + 1,
    ).passage()
