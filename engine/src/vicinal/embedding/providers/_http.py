"""How is a provider reached that has no package of its own?

One POST of JSON through httpx, tried again when the provider asks for it. This is the one file of the
engine that imports httpx, and only when such a function is made.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from vicinal._optional import package
from vicinal.embedding.providers._base import TIMEOUT_S
from vicinal.errors import EmbeddingFunctionError

TRIES = 3
_AGAIN = {408, 429, 500, 502, 503, 504}
_WAIT_MAX_S = 20.0


class Http:
    """A connection to one address; `key`, if any, goes into its Authorization header and nowhere else."""

    def __init__(self, url: str, key: str | None, *, extra: str, timeout_s: float = TIMEOUT_S) -> None:
        httpx = package("httpx", name="httpx", extra=extra, feature="Embedding over HTTP")
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._url = url
        self._unreachable = (httpx.ConnectError, httpx.ConnectTimeout)
        # No transport of one's own: httpx then ignores the environment's proxies.
        self._client = httpx.Client(headers=headers, timeout=timeout_s)

    def post(self, body: Mapping[str, Any]) -> Any:
        """The JSON of the answer. Raises `EmbeddingFunctionError` with the provider's words for an error."""
        for left in reversed(range(TRIES)):
            try:
                answer = self._client.post(self._url, json=body)
            except self._unreachable:
                if not left:
                    raise
                time.sleep(_wait_s(None, TRIES - 1 - left))
                continue
            if answer.status_code not in _AGAIN or not left:
                break
            time.sleep(_wait_s(answer.headers.get("retry-after"), TRIES - 1 - left))
        shown = _without_secrets(self._url)
        if not answer.is_success:
            raise EmbeddingFunctionError(f"{shown} answered {answer.status_code}: {answer.text[:300]}")
        try:
            return answer.json()
        except ValueError:  # a page for people, as of a proxy
            raise EmbeddingFunctionError(f"{shown} answered with no JSON: {answer.text[:300]}") from None


def _without_secrets(url: str) -> str:
    """An address as errors show it: without a user, a password and what follows a question mark."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _wait_s(asked: str | None, tried: int) -> float:
    try:
        return min(max(0.0, float(asked or "")), _WAIT_MAX_S)
    except ValueError:  # none, or a date
        return 0.5 * (1 << tried)
