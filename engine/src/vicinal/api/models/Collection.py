"""Chroma's place of the class of collections, kept for programs that change an import."""  # noqa: N999

from vicinal.collection import Collection

__all__ = ["Collection"]
