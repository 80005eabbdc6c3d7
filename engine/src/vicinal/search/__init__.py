"""How is a search put into words, with more than one ranking in it?

The expressions that `Collection.search` takes, with the names and the JSON of Chroma's: fields and filters
(`_keys`), rankings and their arithmetic (`_ranks`), and what is wanted of the answer (`_plan`). Nothing is
searched here. Scores ascend: the lowest is the best.
"""

from vicinal.search._keys import K, Key, Where
from vicinal.search._plan import Aggregate, GroupBy, Limit, MaxK, MinK, Search, Select
from vicinal.search._ranks import (
    Abs,
    Div,
    Exp,
    Knn,
    Log,
    Max,
    Min,
    Mul,
    Rank,
    Rrf,
    Sub,
    Sum,
    Val,
    resolved,
)

__all__ = [
    "Abs",
    "Aggregate",
    "Div",
    "Exp",
    "GroupBy",
    "K",
    "Key",
    "Knn",
    "Limit",
    "Log",
    "Max",
    "MaxK",
    "Min",
    "MinK",
    "Mul",
    "Rank",
    "Rrf",
    "Search",
    "Select",
    "Sub",
    "Sum",
    "Val",
    "Where",
    "resolved",
]
