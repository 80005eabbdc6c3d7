"""Chroma's place of the class of collections, kept for programs that change an import."""

from vicinal.api.models import Collection

__all__ = ["Collection"]
