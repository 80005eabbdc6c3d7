"""Which errors can Vicinal raise, and what does each tell its catcher to do?

The whole tree stands here. Every class carries the facts of its case as attributes, builds its own
text from them, survives pickling, and is also the built-in exception that people write `except` for.
Names shared with Chroma mean what they mean there; `ChromaError` is an alias of the root. Those (but
for `VersionMismatchError`) can also be made of a text alone, as programs make Chroma's in their tests.

    VicinalError
    ├── InvalidArgumentError (ValueError)      the call is wrong; nothing was changed
    │   ├── ArgumentTypeError (TypeError)      … an argument has the wrong Python type
    │   ├── InvalidFilterError                 … `where` or `where_document` cannot be understood
    │   ├── InvalidDimensionError              … an embedding has the wrong number of components
    │   ├── DuplicateIDError                   … an id occurs twice, or exists already
    │   └── EmbeddingFunctionError             … text came in and no function can embed it, or two disagree
    ├── NotFoundError (KeyError)               a collection, tenant or database does not exist
    ├── InternalError                          Chroma's class for what follows; never raised itself
    │   └── UniqueConstraintError (ValueError) … a name is taken
    ├── AuthorizationError (PermissionError)   the client's settings do not allow it
    ├── NotSupportedError (NotImplementedError)  Chroma has it, this Vicinal has not
    ├── MissingDependencyError (ImportError)   an optional package is needed; the text says which
    ├── StorageError (OSError)                 the directory cannot be used
    │   ├── FormatVersionError                 … it was written by a newer Vicinal
    │   ├── ReadOnlyError (PermissionError)    … the client was opened to read, and this would write
    │   └── CorruptionError                    … its content contradicts itself
    └── ClosedError (RuntimeError)             the client was closed

Chroma has further names, for which Vicinal has no occasion; they stand at the end, directly below the root,
so that programs that were written for Chroma can name them in `except`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_MESSAGE_MAX = 1_000


def shown(value: Any, most: int = _MESSAGE_MAX) -> str:
    """What a value looks like in at most so many characters, also where Python cannot say it."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # integers of more than 4,300 digits, or lists in lists without end
        text = f"<{type(value).__name__}, too large to be shown>"
    return text if len(text) <= most else text[: most - 3] + "..."


class VicinalError(Exception):
    """The root of every error that Vicinal raises on purpose."""

    status = 500
    trace_id: str | None = None
    """Chroma's server numbers its requests; without one this is None."""
    _kind = ""

    def __init__(self, message: str = "", **facts: Any) -> None:
        # What callers passed may be huge, or no valid text; the message is neither.
        message = message.encode(errors="backslashreplace").decode()
        if len(message) > _MESSAGE_MAX:
            message = f"{message[: _MESSAGE_MAX // 2]} […] {message[-_MESSAGE_MAX // 2 :]}"
        super().__init__(message)
        self.__dict__.update(facts)

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError's own __str__ would show the repr

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)

    def message(self) -> str:
        """What `str` gives; Chroma's name for it."""
        return str(self)

    def code(self) -> int:
        """The HTTP status that a server answers with for this error."""
        return self.status

    @classmethod
    def _name(cls) -> str:
        """Chroma's name for errors of this kind; the class's own where Chroma has none."""
        return cls._kind or cls.__name__

    name: Any = _name  # Any, because some errors are an ImportError too, whose `name` is a string


def _rebuild(cls: type[VicinalError], args: tuple[Any, ...], facts: dict[str, Any]) -> VicinalError:
    error = cls.__new__(cls, *args)
    error.args = args  # OSError's __new__ leaves them to __init__
    for name, value in facts.items():
        setattr(error, name, value)
    return error


class InvalidArgumentError(VicinalError, ValueError):
    """An argument is outside what the call accepts. Nothing was read or written."""

    status = 400
    _kind = "InvalidArgument"


class ArgumentTypeError(InvalidArgumentError, TypeError):
    """An argument has a Python type that the call cannot use."""

    def __init__(self, *, argument: str, expected: str, got: Any) -> None:
        super().__init__(
            f"Expected {argument} to be {expected}, got {shown(got, 80)} which is a {type(got).__name__}.",
            argument=argument,
            expected=expected,
            got_type=type(got).__name__,
        )


class InvalidFilterError(InvalidArgumentError):
    """A filter cannot be understood; `path` says which part of it, e.g. `where["$and"][1]["year"]`."""

    problem: str

    def __init__(self, *, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}", path=path, problem=problem)


class InvalidDimensionError(InvalidArgumentError):
    """An embedding has another number of components than the collection's embeddings.

    The usual cause is a second embedding model used on one collection.
    """

    _kind = "InvalidDimension"

    def __init__(
        self,
        message: str = "",
        *,
        collection: str = "",
        expected: int = 0,
        got: int = 0,
        item: int | None = None,
    ) -> None:
        place = "the query" if item is None else f"item {item} of this batch"
        super().__init__(
            message
            or f'Collection "{collection}" expecting embedding with dimension of {expected}, got {got} '
            f"in {place}. All vectors of a collection come from one embedding model: use that model, "
            "or create a new collection.",
            collection=collection,
            expected=expected,
            got=got,
            item=item,
        )


class DuplicateIDError(InvalidArgumentError):
    """An id occurs more than once in one call, or `on_conflict="error"` met an existing id."""

    _kind = "DuplicateID"

    def __init__(self, message: str = "", *, ids: Sequence[str] = (), existing: str | None = None) -> None:
        some = ", ".join(map(str, ids[:5])) + (", ..." if len(ids) > 5 else "")
        if existing is None:
            text = f"Expected IDs to be unique, found duplicates of: {some}. Give each record its own id."
        else:
            text = (
                f'Collection "{existing}" already holds {len(ids)} of these ids: {some}. '
                "Use upsert() to replace records, or on_conflict='keep' to leave them as they are."
            )
        super().__init__(message or text, ids=list(ids), existing=existing)


class EmbeddingFunctionError(InvalidArgumentError):
    """Text cannot be embedded, or the given embedding function is not the collection's."""


class NotFoundError(VicinalError, KeyError):
    """A collection, database or tenant does not exist (any more)."""

    status = 404
    kind: str

    def __init__(self, message: str = "", *, kind: str = "", key: str = "", hint: str = "") -> None:
        text = f"{kind} [{key}] does not exist" + (f". {hint}" if hint else "")
        super().__init__(message or text, kind=kind, key=key)


class InternalError(VicinalError):
    """What Chroma raises for a name that is taken. Vicinal raises only what is derived from it.

    Chroma raises it for a damaged directory, too. Here that is a `CorruptionError` and no `InternalError`, to
    which programs answer by deleting the directory: `repair` may save it.
    """


class UniqueConstraintError(InternalError, ValueError):
    """A name that must be unique is taken."""

    status = 409

    def __init__(self, message: str = "", *, kind: str = "", key: str = "", hint: str = "") -> None:
        text = f"{kind} [{key}] already exists" + (f". {hint}" if hint else "")
        super().__init__(message or text, kind=kind, key=key)


class AuthorizationError(VicinalError, PermissionError):
    """The client's settings do not allow the operation."""

    status = 401


class NotSupportedError(VicinalError, NotImplementedError):
    """A part of Chroma's interface that this Vicinal does not have; the text says what to use instead."""

    status = 501


class MissingDependencyError(VicinalError, ImportError):
    """A feature needs an optional package that is not installed."""

    status = 501

    def __init__(self, *, feature: str, package: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the package {package}, which is not installed. "
            f'Install it with:  pip install "vicinal[{extra}]"',
            feature=feature,
            package=package,
            extra=extra,
        )


class StorageError(VicinalError, OSError):
    """The directory cannot be used: not a directory, not writable, full, or failing."""

    problem: str

    def __init__(self, *, path: str, problem: str, errno: int | None = None) -> None:
        super().__init__(f"{path}: {problem}", path=path, problem=problem)
        self.errno = errno

    def __reduce__(self) -> tuple[Any, ...]:
        # OSError keeps errno outside of __dict__.
        return _rebuild, (type(self), self.args, {**self.__dict__, "errno": self.errno})


class FormatVersionError(StorageError):
    """The directory was written by a newer Vicinal than this one."""

    _kind = "VersionMismatchError"

    def __init__(self, *, path: str, found: int, supported: int) -> None:
        super().__init__(
            path=path,
            problem=f"written in format {found}; this Vicinal reads up to format {supported}. "
            "Upgrade with:  pip install --upgrade vicinal",
        )
        self.found, self.supported = found, supported


class ReadOnlyError(StorageError, PermissionError):
    """Something would be written through a client that was opened with `read_only=True`."""

    status = 403

    def __init__(self, *, path: str, operation: str) -> None:
        super().__init__(
            path=path,
            problem=f"opened with read_only=True, so {operation} is refused. Open it without read_only to "
            "write",
        )
        self.operation = operation


class CorruptionError(StorageError):
    """The directory's content contradicts itself.

    `check()` lists every contradiction, and `repair()` saves what is whole.
    """


class ClosedError(VicinalError, RuntimeError):
    """The client was closed; open a new one."""

    def __init__(self, *, what: str = "This client") -> None:
        super().__init__(f"{what} is closed. Open a new client to go on.", what=what)


# Chroma's names for the same things.
ChromaError = VicinalError
InvalidDimensionException = InvalidDimensionError
InvalidCollectionException = NotFoundError
VersionMismatchError = FormatVersionError


# Chroma's names for what does not happen here.


class IDAlreadyExistsError(VicinalError):
    """Never raised: `add` keeps existing records, or raises `DuplicateIDError` with `on_conflict="error"`."""

    status = 409
    _kind = "IDAlreadyExists"


class BatchSizeExceededError(VicinalError):
    """Never raised: a batch may have any size."""

    status = 413


class InvalidUUIDError(VicinalError):
    """Never raised: what is no id of a collection is an `InvalidArgumentError`."""

    status = 400
    _kind = "InvalidUUID"


class ChromaAuthError(VicinalError):
    """Never raised: there are no users."""

    status = 403
    _kind = "AuthError"


class InvalidHTTPVersion(VicinalError):  # noqa: N818
    """Never raised: nothing is asked over HTTP."""

    status = 400


class QuotaError(VicinalError):
    """Never raised: nothing is rationed."""

    status = 400


class RateLimitError(VicinalError):
    """Never raised: nothing is rationed. Those of an embedding service's own package pass through."""

    status = 429
