"""How is a package imported that need not be installed?"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from vicinal.errors import MissingDependencyError


def package(module: str, *, name: str, extra: str, feature: str) -> Any:
    """Import a module of an optional package, or raise `MissingDependencyError` with what installs it.

    A package that is there and cannot be imported, for it lacks another one or a library of its own, raises
    what it raises: installing it again would not help.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise
        raise MissingDependencyError(feature=feature, package=name, extra=extra) from None
