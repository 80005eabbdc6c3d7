"""Which records does this condition select?

A filter arrives as a dictionary, is parsed once into the small tree of `ast.py` (which is where its
meaning is written down), and is then evaluated by `masks.py` to one boolean per row. Nothing outside
`parse.py` walks filter dictionaries.
"""

from vicinal._filter.ast import DOCUMENT, ID, Node, keys_of, values_in
from vicinal._filter.parse import parse_where, parse_where_document

__all__ = ["DOCUMENT", "ID", "Node", "keys_of", "parse_where", "parse_where_document", "values_in"]
