"""What may a client do, and where does it keep its collections?

Chroma's `Settings`, as far as they mean something without a server. As in Chroma, a setting that is not
given is taken from the environment, where it has its name in capitals: `ALLOW_RESET`, `IS_PERSISTENT`,
`PERSIST_DIRECTORY`. No file is read.
"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from vicinal._remote import INSTEAD
from vicinal.errors import ArgumentTypeError, InvalidArgumentError, NotSupportedError

_OBSOLETE = "chroma_db_impl"
_WITHOUT_EFFECT: dict[str, Any] = {
    **dict.fromkeys(
        [
            _OBSOLETE,
            "chroma_api_impl",  # a class of Chroma's, which is not here; a client of a server is refused
            "chroma_auth_token_transport_header",
            "chroma_client_auth_credentials",
            "chroma_client_auth_provider",
            "chroma_http_max_connections",
            "chroma_http_max_keepalive_connections",
            "chroma_segment_cache_policy",
            "chroma_server_authn_credentials",
            "chroma_server_authn_credentials_file",
            "chroma_server_authn_provider",
            "chroma_server_authz_config",
            "chroma_server_authz_config_file",
            "chroma_server_authz_provider",
            "chroma_server_grpc_port",
            "chroma_server_headers",
            "chroma_server_host",
            "chroma_server_http_port",
            "chroma_server_nofile",
            "chroma_server_ssl_verify",
        ]
    ),
    "chroma_http_keepalive_secs": 40.0,
    "chroma_memory_limit_bytes": 0,
    "chroma_server_api_default_path": "/api/v2",
    "chroma_server_auth_ignore_paths": {
        f"/api/{version}{place}": ["GET"]
        for version in ("v2", "v1")
        for place in ("", "/heartbeat", "/version")
    },
    "chroma_server_cors_allow_origins": [],
    "chroma_server_ssl_enabled": False,
    "chroma_server_thread_pool_size": 40,
    "environment": "",
    "tenant_id": "default",
    "topic_namespace": "default",
}
"""Chroma's settings that a program may read to learn whether there is a server, with their defaults."""
_OF_SERVERS = ("FastAPI", "AsyncFastAPI", "rest")
"""The last part of a `chroma_api_impl` that makes Chroma's `Client(settings)` the client of a server."""


class Settings(BaseModel):
    """How a client behaves. Chroma's other settings are accepted, and have no effect; but a client is refused
    whose `chroma_api_impl` names Chroma's client of a server.

    What programs read of them without having given it is there, too: Chroma's defaults about servers.

    Raises:
        InvalidArgumentError: A value of the wrong kind, or `chroma_db_impl`, which Chroma gave up.
    """

    model_config = ConfigDict(extra="allow")

    is_persistent: bool = False
    """Whether `Client(settings)` keeps its collections in `persist_directory`, or in memory."""
    persist_directory: str | Path = "./vicinal"
    """The directory of `Client(settings)` and `AdminClient(settings)`, when they are persistent."""
    allow_reset: bool = False
    """Whether `reset()` may delete everything."""
    anonymized_telemetry: bool = False
    """Accepted for Chroma's sake: there is no telemetry to turn off."""

    def __init__(self, **values: Any) -> None:
        for name in Settings.model_fields:
            if name not in values and name.upper() in os.environ:
                values[name] = os.environ[name.upper()]
        if values.get(_OBSOLETE) is not None:
            raise InvalidArgumentError(
                f"Settings({_OBSOLETE}=…) is from before Chroma 0.4. Use PersistentClient(path=…), or "
                "Settings(is_persistent=True, persist_directory=…)"
            )
        try:
            super().__init__(**{**copy.deepcopy(_WITHOUT_EFFECT), **values})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"][:1]))
            raise InvalidArgumentError(f"Settings.{where}: {first['msg']}, got {first['input']!r}") from None

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def require(self, name: str) -> Any:
        """The value of a setting; `InvalidArgumentError` when it has none."""
        value = getattr(self, name, None)
        if value is None:
            raise InvalidArgumentError(f"Settings.{name} is needed, and has no value")
        return value


def directory_of(value: Any, argument: str) -> Path:
    """A path that the operating system can be given."""
    if not isinstance(value, (str, os.PathLike)):
        raise ArgumentTypeError(argument=argument, expected="a str or Path", got=value)
    if "\0" in str(value):
        raise InvalidArgumentError(f"{argument}: a NUL character cannot be part of a path, got {value!r}")
    try:
        # Half a surrogate pair is no character. Windows has such names, but SQLite has not.
        str(value).encode() if os.name == "nt" else os.fsencode(value)
        return Path(value).expanduser()
    except UnicodeEncodeError:
        raise InvalidArgumentError(f"{argument}: no file can have this name, got {value!r}") from None
    except RuntimeError:  # there is no such user, or the process' own is not known, as in some containers
        raise InvalidArgumentError(
            f"{argument}: the home directory that ~ stands for is not known, got {value!r}"
        ) from None


def settings_of(given: Settings | None, **fixed: Any) -> Settings:
    """A copy of what a client was given, with what its class decides itself."""
    if given is not None and not isinstance(given, Settings):
        raise ArgumentTypeError(
            argument="settings",
            expected="a vicinal.config.Settings (PersistentClient takes a path)",
            got=given,
        )
    implementation = str(getattr(given, "chroma_api_impl", None))
    if implementation.rpartition(".")[2] in _OF_SERVERS:  # in memory, all that was meant for it would be lost
        raise NotSupportedError(f"Settings.chroma_api_impl is {implementation!r}: {INSTEAD}")
    return (given or Settings()).model_copy(update=fixed)
