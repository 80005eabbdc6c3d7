"""What is an embedding function?

A callable from a list of texts to as many vectors of one length; a multimodal one takes a list of
pictures (numpy arrays) too. A subclass of `EmbeddingFunction` that also has a name and a configuration
is stored with its collection, so that opening the collection finds it again; any other callable works,
but must be passed at every opening. Embedding objects of LangChain and LlamaIndex work as they are
(`frameworks.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, wraps
from inspect import Parameter, signature
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, ClassVar, Generic

import numpy as np

from vicinal._optional import package
from vicinal.errors import EmbeddingFunctionError
from vicinal.types import Documents, Image, Space, Vectors

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # a TypeVar's default came with Python 3.13

    Input = TypeVar("Input", default=Documents)
else:
    from typing import TypeVar

    Input = TypeVar("Input")


class EmbeddingFunction(Generic[Input]):
    """Base class of embedding functions. Override `__call__`, and the rest to be remembered by name.

    Whatever numbers a subclass returns, whoever calls it gets float32 arrays, as in Chroma: a list of them,
    or one of two dimensions if that is what it returns. A single vector, without a list around it, will do
    for a single text.

    Example:
        >>> from vicinal.embedding import EmbeddingFunction
        >>> class Lengths(EmbeddingFunction):
        ...     def __call__(self, input):
        ...         return [[float(len(text)), 1.0] for text in input]
        >>> Lengths()(["ab", "c"])
        [array([2., 1.], dtype=float32), array([1., 1.], dtype=float32)]
    """

    config_may_differ: ClassVar[frozenset[str]] = frozenset()
    """Keys of the configuration that do not change the vectors, such as a key's name or an address: a
    function may be given to an existing collection when it differs in these only."""

    config_paths: ClassVar[frozenset[str]] = frozenset()
    """Keys of the configuration of which only the last part of the path is compared: a model's directory
    may have moved."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "__call__" in cls.__dict__:
            cls.__call__ = _returning_arrays(cls.__dict__["__call__"])  # type: ignore[method-assign]

    def __call__(self, input: Input) -> Any:
        """Embed documents: one vector per text or picture, as lists of floats or numpy arrays."""
        raise NotImplementedError(f"{type(self).__name__} must implement __call__(self, input)")

    def embed_query(self, input: Input) -> Any:
        """Embed queries; models that treat queries unlike documents override this."""
        return called(self, input=input)

    def supports_images(self) -> bool | None:
        """Whether `input` may hold pictures: True, False (they are refused), or None.

        None, the default, means that the function does not say: pictures are handed to it.
        """
        return None

    @staticmethod
    def name() -> str:
        """The name under which collections remember this function; must be unique."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """What `build_from_config` needs to make an equal function, as JSON. Never a secret."""
        raise NotImplementedError

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> EmbeddingFunction[Any]:
        """Make the function that `get_config` described."""
        raise NotImplementedError

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        """Raise when a configuration cannot be meant; `modify` asks before a collection remembers it."""

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        """Raise when `modify` must not give a collection of the old configuration the new one."""

    def default_space(self) -> Space:
        """The space that a new collection gets when its creator names none."""
        return "l2"

    def supported_spaces(self) -> list[Space]:
        """The spaces in which this function's distances mean something."""
        return ["l2", "cosine", "ip"]

    def is_legacy(self) -> bool:
        """Whether collections cannot remember this function: it lacks a name, a configuration, or a class
        that builds it again, and has to be passed at every opening."""
        from vicinal.embedding.registry import describe  # it imports this module

        return describe(self) == {"type": "legacy"}

    def embed_with_retries(self, input: Input, **retry_kwargs: Any) -> Any:
        """Embed documents, again after each error, as the arguments of `tenacity.retry` say.

        Without arguments it never gives up, as in Chroma. Needs `vicinal[retries]`.
        """
        return with_retries(self, input, retry_kwargs)


def _returning_arrays(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def returning(*given: Any, **named: Any) -> Any:
        return _as_arrays(call(*given, **named))

    return returning


def _as_arrays(answer: Any) -> Any:
    """The vectors of an answer, numbers alone being one, as in Chroma.

    An answer that holds none stays as it is, for `embed` says what is wrong.
    """
    listed = list(answer) if isinstance(answer, Iterator) else answer
    try:
        if isinstance(listed, np.ndarray):
            array = np.asarray(listed, dtype=np.float32)
            return [array] if array.ndim == 1 and array.size else array
        arrays = [np.asarray(vector, dtype=np.float32) for vector in listed]
        return [np.stack(arrays)] if arrays and not any(array.ndim for array in arrays) else arrays
    except (TypeError, ValueError):
        return listed


def called(function: Callable[..., Any], **argument: Any) -> Any:
    """Call a function with its argument: by name, as Chroma does, or by position if that is another."""
    return function(**argument) if _takes(function, *argument) else function(*argument.values())


def _takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function, and what a decorator made of it, is to be given an argument by this name."""
    method = getattr(function, "__func__", type(function).__call__)
    return _method_takes(method, name) if isinstance(method, FunctionType) else _allows(function, name)


@lru_cache(maxsize=256)
def _method_takes(method: FunctionType, name: str) -> bool:
    """The same for every object of a class; looked at once, for that takes a tenth of a short query."""
    return _allows(MethodType(method, object()), name)


def _allows(function: Callable[..., Any], name: str) -> bool:
    try:
        signature(function, follow_wrapped=False).bind(**{name: None})
        parameters = signature(function).parameters.values()
    except (TypeError, ValueError):  # it has no such argument, or does not say which it has
        return False
    return any(p.name == name and p.kind is not Parameter.POSITIONAL_ONLY for p in parameters) or all(
        p.kind is Parameter.VAR_KEYWORD for p in parameters
    )


def with_retries(function: Callable[..., Any], input: Any, retry_kwargs: dict[str, Any]) -> Any:
    """What a function makes of texts or pictures, tried again as `tenacity.retry` is told."""
    tenacity = package("tenacity", name="tenacity", extra="retries", feature="Embedding with retries")
    return tenacity.retry(**retry_kwargs)(called)(function, input=input)


Embedder = Callable[[Any], Any]
"""Texts or pictures in, as many vectors out."""


def embed(function: Embedder, items: Sequence[str] | Sequence[Image], *, query: bool) -> Vectors:
    """Run a function over texts, or over pictures; the answer is float32 of shape (len(items), dimension).

    Raises `EmbeddingFunctionError` for pictures when the function takes text only, and for an answer
    that is not one vector per item. What the function itself raises passes through.
    """
    pictures = any(not isinstance(item, str) for item in items)
    if pictures and supports_images(function) is False:
        raise EmbeddingFunctionError(
            f"Embedding function {type(function).__name__} embeds text only, and images were given. "
            "Pass embeddings, or create the collection with a function for both, such as "
            "OpenCLIPEmbeddingFunction or ColorShapeEmbeddingFunction"
        )
    embed_query = getattr(function, "embed_query", None) if query else None
    answer = called(embed_query or function, input=list(items))
    name, kind = type(function).__name__, "image" if pictures else "text"
    try:
        vectors = np.asarray([np.asarray(vector, dtype=np.float32) for vector in answer], np.float32)
    except (TypeError, ValueError) as error:
        raise EmbeddingFunctionError(
            f"Embedding function {name} must return one vector per {kind}, all of one length: {error}"
        ) from error
    if vectors.ndim != 2 or len(vectors) != len(items):
        raise EmbeddingFunctionError(
            f"Embedding function {name} returned shape {vectors.shape} for {len(items)} {kind}s; "
            f"expected ({len(items)}, dimension)"
        )
    return vectors


def supports_images(function: Embedder) -> bool | None:
    """Whether a function takes pictures; None when it does not say."""
    says = getattr(function, "supports_images", None)
    return bool(answer) if callable(says) and (answer := says()) is not None else None
