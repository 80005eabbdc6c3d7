"""Every Python example in the README and the docs runs, and prints what the page says it prints."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import textwrap
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("README.md", "docs/**/*.md", "engine/README.md", "adapters/*/README.md")
    for path in ROOT.glob(pattern)
)
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)

FIGURES = [
    ("rows a second, acknowledged", "ingest", "", "rows_per_s", ",.0f"),
    ("seconds until the graph has all", "ingest", "", "indexed_s", ".0f"),
    ("a question, k = 10, with documents: ms", "query", "", "p50_ms", ".2f"),
    ("with a filter that half of the rows pass: ms", "filter", "random 50%", "p50_ms", ".2f"),
    ("with one that 11 % pass, far from the question: ms", "filter", "far 11%", "p50_ms", ".2f"),
    ("recall there", "filter", "far 11%", "recall", ".3f"),
    ("with a substring that texts must have: ms", "document", "$contains", "p50_ms", ".2f"),
    ("a new process, from opening to its first answer: ms", "reopen", "", "answer_ms", ",.0f"),
]
"""The README's table: label, workload, case, figure, format."""


def examples(page: Path) -> list[tuple[int, str, str | None]]:
    """(line, code, the output that a `text` block right after it promises) of each example."""
    text = page.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    found = []
    for block, following in zip(blocks, [*blocks[1:], None]):
        if block[2] != "python":
            continue
        adjacent = following is not None and not text[block.end() : following.start()].strip()
        output = textwrap.dedent(following[3]) if adjacent and following[2] == "text" else None
        line = text[: block.start()].count("\n") + 2
        found.append((line, textwrap.dedent(block[3]), output))
    return found


def sections(page: Path) -> set[str]:
    """The anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of_a_page_run_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for line, code, output in examples(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)
        if output is not None:
            assert output.strip() == printed.getvalue().strip(), f"{page}:{line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [] == [link for link in links if not os.path.exists(page.parent / link)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_sections_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
    assert [] == [
        (file, section)
        for file, section in links
        if section not in sections(page.parent / file if file else page)
    ]


def test_every_page_is_found_from_the_readme():
    """By links alone; one to a folder leads to all pages in it."""
    found, left = set(), [ROOT / "README.md"]
    while left:
        page = left.pop().resolve()
        pages = list(page.glob("*.md")) if page.is_dir() else []
        if page.suffix == ".md":
            links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
            pages = [page.parent / link for link in links]
        found.add(page)
        left += [each for each in pages if each.resolve() not in found]
    assert [] == [
        page for page in (*ROOT.glob("docs/**/*.md"), ROOT / "CHANGELOG.md") if page.resolve() not in found
    ]


def test_the_readmes_figures_are_the_last_benchmarks():
    turns = json.loads((ROOT / "docs/benchmarks.json").read_text(encoding="utf-8"))["turns"]

    def cell(engine: str, workload: str, case: str, figure: str, form: str) -> str:
        of = [t for t in turns if (t["engine"], t["workload"], t["case"]) == (engine, workload, case)]
        return format(median(turn[figure] for turn in of), form)

    rows = [
        f"| {label} | {' | '.join(cell(engine, *figure) for engine in ('vicinal', 'hnswlib', 'chroma'))} |"
        for label, *figure in FIGURES
    ]
    assert "\n".join(rows) in (ROOT / "README.md").read_text(encoding="utf-8")
