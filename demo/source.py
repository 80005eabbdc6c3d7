"""What does a Python file say about itself, read without importing it?

`passages_of_module` walks a file's syntax tree and gives a passage for the module and for every
public class, function, method and property that carries a docstring. Public: no part of the path
begins with an underscore. Nothing is executed, so a file of any age, platform or quality can be
read; `SyntaxError` is the caller's to report.

`Reading.EVERYTHING` is for a user's own code: private and undocumented definitions too, with their
source text.
"""

from __future__ import annotations

import ast
import enum
import io
import re
import textwrap
import tokenize
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Union

from .entries import MetadataValue, Passage, valid_text

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
Definition = Union[Function, ast.ClassDef]
_PROPERTY_DECORATORS = {"property", "cached_property", "functools.cached_property", "abc.abstractproperty"}
_SAYS_DEPRECATED = re.compile(
    r"^\s*(?:\.\. )?deprecated\b|\b(?:is|are|been|now) deprecated\b", re.IGNORECASE | re.MULTILINE
)


class Reading(enum.Enum):
    """Which definitions of a file are worth an entry."""

    DOCUMENTED = "public and with a docstring"
    EVERYTHING = "private and undocumented too, each with its source"


@dataclass(frozen=True)
class Module:
    """A parsed file, the dotted name under which users know it, and where it lies."""

    name: str
    file: str
    tree: ast.Module
    lines: tuple[str, ...]
    deprecated: bool


@dataclass(frozen=True)
class Documented:
    """A documented name, wherever it was found: in a file or in the running interpreter."""

    module: str
    qualname: str
    kind: str
    docstring: str
    signature: str
    lines: int
    deprecated: bool = False
    file: str = ""
    line: int = 0

    def passage(self) -> Passage:
        """As a passage. The signature stays out of the text: in a mean of word vectors it is noise."""
        metadata: dict[str, MetadataValue] = {
            "module": self.module,
            "package": self.module.partition(".")[0],
            "qualname": self.qualname,
            "name": self.qualname.rpartition(".")[2],
            "kind": self.kind,
            "signature": self.signature,
            "lines": self.lines,
            # A word and not a flag: LlamaIndex's filters take no bool.
            "status": "deprecated" if self.deprecated else "current",
            "file": self.file,
            "line": self.line,
        }
        docstring = valid_text(self.docstring)  # a literal may spell a lone surrogate
        return Passage(self.qualname, self.qualname, docstring, metadata, begins_with_summary=True)


def parse(source: bytes, name: str, file: str, *, deprecated: bool = False) -> Module:
    """Parse a file. Raises SyntaxError, or ValueError for bytes that no parser accepts (null bytes)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in someone's file is not the reader's concern
        tree = ast.parse(source)
    # As the parser reads it: by the encoding that the file names, and no line ends at a form feed.
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source).readline)
    text = io.TextIOWrapper(io.BytesIO(source), encoding, errors="replace").read()
    lines = tuple(text.removesuffix("\n").split("\n"))
    return Module(name, file, tree, lines, deprecated or _warns_at_once(tree))


def passages_of_module(module: Module, reading: Reading = Reading.DOCUMENTED) -> Iterator[Passage]:
    """The module's docstring first, then its definitions in the order of the file."""
    docstring = ast.get_docstring(module.tree)
    if docstring:
        yield Documented(
            module=module.name,
            qualname=module.name,
            kind="module",
            docstring=docstring,
            signature="",
            lines=len(module.lines),
            deprecated=module.deprecated,
            file=module.file,
            line=1,
        ).passage()
    yield from passages_of_definitions(module, is_public, reading)


def passages_of_definitions(
    module: Module, wanted: Callable[[str], bool], reading: Reading = Reading.DOCUMENTED
) -> Iterator[Passage]:
    """The module's own top-level definitions whose name is `wanted`, and what is inside them."""
    for node in _definitions_in(module.tree.body):
        if reading is Reading.EVERYTHING or wanted(node.name):
            yield from _passages_of_definition(node, module, module.name, in_class=False, reading=reading)


def is_public(name: str) -> bool:
    return not name.startswith("_")


def signature_of(node: Definition) -> str:
    """The call as a user writes it: `most_common(n=None)`; a class with its `__init__`'s arguments."""
    if isinstance(node, ast.ClassDef):
        for inner in _definitions_in(node.body):
            if inner.name == "__init__" and not isinstance(inner, ast.ClassDef):
                return f"{node.name}({_arguments(inner)})"
        return node.name
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({_arguments(node)}){returns}"


def _passages_of_definition(
    node: Definition, module: Module, parent: str, *, in_class: bool, reading: Reading
) -> Iterator[Passage]:
    qualname = f"{parent}.{node.name}"
    docstring = ast.get_docstring(node) or ""
    code = _source_of(node, module) if reading is Reading.EVERYTHING else ""
    if docstring or code:
        yield Documented(
            module=module.name,
            qualname=qualname,
            kind=_kind(node, in_class),
            docstring="\n\n".join(filter(None, [docstring, code])),
            signature=signature_of(node),
            lines=(node.end_lineno or node.lineno) - node.lineno + 1,
            deprecated=module.deprecated or _warns_at_once(node) or bool(_SAYS_DEPRECATED.search(docstring)),
            file=module.file,
            line=node.lineno,
        ).passage()
    if isinstance(node, ast.ClassDef):
        for inner in _definitions_in(node.body):
            if is_public(inner.name) or reading is Reading.EVERYTHING:
                yield from _passages_of_definition(inner, module, qualname, in_class=True, reading=reading)


def _source_of(node: Definition, module: Module) -> str:
    if isinstance(node, ast.ClassDef):
        return ""  # its methods have entries of their own
    lines = list(module.lines[node.lineno - 1 : node.end_lineno])
    if ast.get_docstring(node):  # said already, and said better
        docstring = node.body[0]
        del lines[docstring.lineno - node.lineno : (docstring.end_lineno or 0) - node.lineno + 1]
    return textwrap.indent(textwrap.dedent("\n".join(lines)), "    ")


def statements_in(body: Iterable[ast.AST]) -> Iterator[ast.stmt]:
    """The statements of this body, also under `if`, `try` and the like: a platform's own version counts too.

    What is inside a definition is its own.
    """
    for node in body:
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for block in ("body", "handlers", "cases", "orelse", "finalbody"):
                yield from statements_in(getattr(node, block, ()))


def _definitions_in(body: Iterable[ast.stmt]) -> Iterator[Definition]:
    for node in statements_in(body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node


def _kind(node: Definition, in_class: bool) -> str:
    if isinstance(node, ast.ClassDef):
        return "class"
    if not in_class:
        return "function"
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    return "property" if decorators & _PROPERTY_DECORATORS else "method"


def _arguments(node: Function) -> str:
    """The arguments without `self` or `cls`, which no caller writes."""
    given = node.args
    positional = [*given.posonlyargs, *given.args]
    if not positional or positional[0].arg not in ("self", "cls"):
        return ast.unparse(given)
    every_one_has_a_default = len(given.defaults) == len(positional)
    without = ast.arguments(
        posonlyargs=given.posonlyargs[1:],
        args=given.args if given.posonlyargs else given.args[1:],
        vararg=given.vararg,
        kwonlyargs=given.kwonlyargs,
        kw_defaults=given.kw_defaults,
        kwarg=given.kwarg,
        defaults=given.defaults[1:] if every_one_has_a_default else given.defaults,
    )
    return ast.unparse(without)


def _warns_at_once(node: ast.AST) -> bool:
    """Does calling (or importing) it always warn of deprecation? A warning under an `if` does not count."""
    for statement in getattr(node, "body", []):
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            call = ast.unparse(statement.value)
            if "DeprecationWarning" in call or call.startswith("warnings._deprecated("):
                return True
    return False
