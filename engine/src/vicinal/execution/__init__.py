"""Chroma's place of the expressions of searches, kept for programs that change an import."""

from vicinal.execution import expression

__all__ = ["expression"]
