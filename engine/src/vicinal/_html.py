"""How does a result show itself in a notebook?

Small HTML tables, styled cell by cell, because notebooks align cells their own way and some viewers drop
style sheets. All text is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_TABLE_ROWS_MAX = 20
_TEXT_MAX = 160
_ID_UNBROKEN_MAX = 44

# On every cell, because Jupyter's style sheet would align it to the right and GitHub drops style sheets.
_TEXT_STYLE = "text-align: left; vertical-align: top; overflow-wrap: anywhere"
_STYLES = {
    "distance": "text-align: right; vertical-align: top",
    "document": f"{_TEXT_STYLE}; min-width: 16em",
    "metadata": f"{_TEXT_STYLE}; min-width: 10em",
}


def facts_table(caption: str, facts: Mapping[str, Any]) -> str:
    """An HTML table of two columns, for an object that shows itself in a notebook."""
    styles = (f"{_TEXT_STYLE}; font-weight: bold", _TEXT_STYLE)
    rows = "".join(_row("td", (_text(name), _text(fact)), styles) for name, fact in facts.items())
    return f"<table><caption>{_text(caption)}</caption><tbody>{rows}</tbody></table>"


def _columns(result: Mapping[str, Any], query: int | None) -> dict[str, list[Any]]:
    return {
        key[:-1]: list(result[key] if query is None else result[key][query])
        for key in ("ids", "distances", "documents", "metadatas", "uris")
        if result.get(key) is not None
    }


def result_table(result: Mapping[str, Any], query: int | None, caption: str) -> str:
    """A result, or one query's part of it, as an HTML table cut to what a notebook cell can show."""
    columns = _columns(result, query)
    count = len(columns["id"])
    styles = [_STYLES.get(name, _TEXT_STYLE) for name in columns]
    body = "".join(
        _row("td", [_cell(name, values[i]) for name, values in columns.items()], styles)
        for i in range(min(count, _TABLE_ROWS_MAX))
    )
    more = f"<p>… and {count - _TABLE_ROWS_MAX:,} more</p>" if count > _TABLE_ROWS_MAX else ""
    return (
        f"<table><caption>{caption}</caption><thead>{_row('th', columns, styles)}</thead>"
        f"<tbody>{body}</tbody></table>{more}"
    )


def _row(tag: str, cells: Iterable[str], styles: Iterable[str]) -> str:
    return "<tr>" + "".join(f'<{tag} style="{s}">{cell}</{tag}>' for cell, s in zip(cells, styles)) + "</tr>"


def _cell(column: str, value: Any) -> str:
    if column == "id":
        unbroken = ' style="white-space: nowrap"' if len(value) <= _ID_UNBROKEN_MAX else ""
        return f"<code{unbroken}>{_text(value)}</code>"
    return f"{value:.4f}" if column == "distance" else _text(value)


def _text(value: Any) -> str:
    """A value as short, escaped text; an object as `key: value` with the dotted keys of a `where`."""
    if isinstance(value, Mapping):
        value = ", ".join(f"{key}: {leaf}" for key, leaf in _leaves(value))
    text = "" if value is None else " ".join(str(value).split())
    return html.escape(text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 1] + "…")


def _leaves(metadata: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in metadata.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
