"""Imported first: Chroma's tests import its server, which needs a web framework and is not tested here."""

import sys
from types import ModuleType

for _name in ("chromadb.server", "chromadb.server.fastapi"):
    sys.modules[_name] = ModuleType(_name)
