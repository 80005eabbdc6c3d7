"""Chroma's place of what is in `vicinal.search`, kept for programs that change an import."""

from vicinal.search import *  # noqa: F403
