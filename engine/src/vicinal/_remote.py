"""What does Chroma have that needs a server?  Names that say so, instead of an AttributeError."""

from __future__ import annotations

from typing import Any, NoReturn

from vicinal.errors import NotSupportedError

INSTEAD = (
    "this Vicinal has no server and no client of one: it is embedded. Use PersistentClient(path=…), which "
    "several processes may open at the same time"
)


def HttpClient(*_: Any, **__: Any) -> NoReturn:  # noqa: N802 - Chroma's name
    """Chroma's client of a server. Raises `NotSupportedError`."""
    raise NotSupportedError(f"HttpClient: {INSTEAD}")


def AsyncHttpClient(*_: Any, **__: Any) -> NoReturn:  # noqa: N802 - Chroma's name
    """Chroma's async client of a server. Raises `NotSupportedError`."""
    raise NotSupportedError(f"AsyncHttpClient: {INSTEAD} (AsyncPersistentClient from an event loop)")


def CloudClient(*_: Any, **__: Any) -> NoReturn:  # noqa: N802 - Chroma's name
    """Chroma's client of its cloud. Raises `NotSupportedError`."""
    raise NotSupportedError(f"CloudClient: {INSTEAD}")
