"""What do all providers' embedding functions have in common?

Each names the constructor's arguments that a collection remembers; from them follow `get_config`,
`build_from_config` and `repr`. A key is read from the environment when the function is made, handed to
the provider's package, and kept nowhere else: what is stored is the variable's name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from vicinal.embedding.protocol import EmbeddingFunction, Input
from vicinal.errors import EmbeddingFunctionError
from vicinal.types import Space, Vector

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing since Python 3.11

TIMEOUT_S = 60
"""How long a function waits for an answer, where its provider's package would wait without end."""

_Item = TypeVar("_Item")


class Provider(EmbeddingFunction[Input]):
    """Base of the functions in this package: the arguments in `remembered` are its configuration."""

    remembered: ClassVar[tuple[str, ...]] = ()
    """Arguments of the constructor, also attributes, that make an equal function."""

    accepted: ClassVar[tuple[str, ...]] = ()
    """Arguments that a stored configuration may hold too, and that are not stored by us."""

    config_may_differ = frozenset({"api_key_env_var"})

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.remembered}

    @classmethod
    def build_from_config(cls, config: dict[str, Any]) -> EmbeddingFunction[Any]:
        unknown = sorted(config.keys() - {*cls.remembered, *cls.accepted})
        if unknown:
            raise EmbeddingFunctionError(
                f"The stored configuration of embedding function {cls.name()} has {', '.join(unknown)}, "
                f"which this Vicinal does not know; it knows {', '.join(cls.remembered)}. Upgrade Vicinal, "
                "or pass embedding_function=... to get_collection()"
            )
        return cls(**{name: value for name, value in config.items() if value is not None})

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self.get_config().items() if value is not None)
        return f"{type(self).__name__}({', '.join(shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickling: as from a collection, so without a key."""
        return type(self).build_from_config, (self.get_config(),)

    def __copy__(self) -> Self:
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:  # a copy in this process keeps its key
        return self.__copy__()

    def supports_images(self) -> bool | None:
        return False

    def default_space(self) -> Space:
        return "cosine"


def secret(api_key: str | None, *variables: str | None) -> str:
    """The key: as given, or from the first of these environment variables that is set."""
    key = optional_secret(api_key, *variables)
    if key is None:
        names = [name for name in variables if name is not None]
        if not names:
            raise EmbeddingFunctionError("api_key_env_var must name a variable that holds the key")
        others = "".join(f" (nor is {name})" for name in names[1:])
        raise EmbeddingFunctionError(f"The {names[0]} environment variable is not set{others}")
    return key


def optional_secret(api_key: str | None, *variables: str | None) -> str | None:
    """The same, or None without one; without the white space around it, as a file of secrets ends in.

    A key that no header can hold is refused here, for whoever sent it would show it in an error.
    """
    given = {"api_key": api_key, **{name: os.environ.get(name) for name in variables if name is not None}}
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise EmbeddingFunctionError(f"{name} must be text, got {type(value).__name__}")
        key = (value or "").strip()
        if not (key.isascii() and key.isprintable()):
            raise EmbeddingFunctionError(f"{name} is no key: only printable ASCII characters can be sent")
        if key:
            return key
    return None


def batches(texts: Sequence[str], items_max: int, size_bytes_max: int | None = None) -> Iterator[list[str]]:
    """Cut a list into requests that a provider accepts: so many texts, and so many bytes, of UTF-8.

    A text that is larger alone is a request of its own: the provider truncates it, or says its limit.
    An empty text, which most providers refuse, is sent as a space.
    """
    batch: list[str] = []
    size = 0
    for text in texts:
        length = len(text.encode(errors="replace"))
        full = size_bytes_max is not None and size + length > size_bytes_max
        if batch and (full or len(batch) == items_max):
            yield batch
            batch, size = [], 0
        batch.append(text or " ")
        size += length
    if batch:
        yield batch


def embedded(
    requests: Iterable[_Item], send: Callable[[_Item], Iterable[ArrayLike]], kind: str = "texts"
) -> list[Vector]:
    """Send each request and join the answers; each must have as many vectors as its request has items."""
    vectors: list[Vector] = []
    for request in requests:
        given = send(request)
        try:
            answer = [np.asarray(vector, dtype=np.float32) for vector in given]
        except (TypeError, ValueError):
            raise no_vectors(given) from None
        if any(vector.ndim == 0 for vector in answer):
            raise no_vectors(given)
        wanted = len(request)  # type: ignore[arg-type]
        if len(answer) != wanted:
            raise EmbeddingFunctionError(
                f"The provider answered a request for {wanted} {kind} with {len(answer)} vectors"
            )
        vectors += answer
    return vectors


def in_order(items: Sequence[_Item], indices: Sequence[Any]) -> list[_Item]:
    """Items by their index in the request; as they came, if any has none."""
    if any(not isinstance(index, int) for index in indices):
        return list(items)
    return [items[place] for place in sorted(range(len(items)), key=indices.__getitem__)]


def no_vectors(answer: Any) -> EmbeddingFunctionError:
    """The error for an answer of another form, which may say why."""
    return EmbeddingFunctionError(f"The provider answered with no vectors: {str(answer)[:300]}")
