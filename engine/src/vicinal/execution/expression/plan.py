"""Chroma's place of `Search`, kept for programs that change an import."""

from vicinal.search import Search

__all__ = ["Search"]
