"""Chroma's place of what is in `vicinal.search`, kept for programs that change an import."""

from vicinal.execution.expression import operator as operator
from vicinal.execution.expression import plan as plan
from vicinal.search import *  # noqa: F403
from vicinal.search import Where as SearchWhere  # noqa: F401
