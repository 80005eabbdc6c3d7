"""Chroma's place of the client classes, kept for programs that change an import.

Of `SharedSystemClient` programs call `clear_system_cache()`, which every client has.
"""

from vicinal._admin import AdminClient
from vicinal.client import Client
from vicinal.client import Client as SharedSystemClient

__all__ = ["AdminClient", "Client", "SharedSystemClient"]
