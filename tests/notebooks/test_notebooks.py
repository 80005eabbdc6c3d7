"""The notebooks run from the top without a network, show what they promise, and are kept so.

Each is executed once, in an empty folder. What its cells put out must have the shape that is
committed; the contents may differ, because every Python carries a documentation of its own.
"""

import ast
import base64
import os
import re
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook
from notebooks import execute as executing

ROOT = Path(__file__).resolve().parents[2]
PATHS = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
BYTES_MAX = 600_000
CELL_LINES_MAX = 25

# Python imports this when it starts. The kernel itself speaks through zmq, which is not asked.
OFFLINE = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise OSError(f"no network here: {event}{arguments[1:]}")

sys.addaudithook(refuse)
"""

ANSWERS = {
    "01_quickstart": ["heapq.merge", "subprocess.Popen.wait", "datetime.date.strftime", "{'deleted': 1}"],
    "02_langchain_rag": ["Wait until the thread terminates. [1]", "secrets.token_urlsafe(", "textwrap.wrap("],
    "03_llama_index_rag": ["Wait until the thread terminates. [1]", '"finally" clause', "TextNode"],
    "04_image_search": ["160 pictures", "the twin comes first for 160 of 160 pictures"],
}
OF_PICTURES = {"04_image_search"}


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """Kernels that start from now on find this repository, no user's settings, and no network."""
    folder = tmp_path_factory.mktemp("offline")
    (folder / "sitecustomize.py").write_text(OFFLINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(ROOT)]))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("LANGSMITH_TRACING_V2", "false")
        yield


@pytest.fixture(scope="module", params=PATHS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def committed(name):
    return nbformat.read(PATHS[name], as_version=4)


@pytest.fixture(scope="module")
def executed(name, offline, tmp_path_factory):
    """The notebook, executed now; a cell that fails raises."""
    notebook = nbformat.read(PATHS[name], as_version=4)
    for cell in code_cells(notebook):
        cell.update(outputs=[], execution_count=None)
    return executing.execute(notebook, tmp_path_factory.mktemp(name))


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cells, kind):
    """What the cells show in that media type."""
    results = [output.get("data", {}) for cell in cells for output in cell.outputs]
    return [data[kind] for data in results if kind in data]


def text_of(cells):
    """What the cells print, and what they show as text."""
    printed = [o.text for cell in cells for o in cell.outputs if o.output_type == "stream"]
    return "\n".join([*printed, *shown(cells, "text/plain")])


def is_a_result(cell):
    """Whether the cell's last line shows what a search or a look-up found."""
    return ast.unparse(ast.parse(cell.source).body[-1]).startswith(("docs.query(", "docs.get(", "show("))


def shapes(notebook):
    """What every cell puts out, without the contents."""
    return [
        [(output.output_type, output.get("name"), sorted(output.get("data", ()))) for output in cell.outputs]
        for cell in code_cells(notebook)
    ]


# --- executed now ------------------------------------------------------------------------------------


def test_every_cell_runs_and_puts_out_what_is_committed(executed, committed):
    assert shapes(committed) == shapes(executed)


def test_what_is_found_is_shown_as_a_table(executed, name):
    if name in OF_PICTURES:
        pytest.skip("shows what is found as pictures")
    asking = [cell for cell in code_cells(executed) if is_a_result(cell)]
    tables = shown(asking, "text/html")
    assert len(tables) == len(asking) >= 7
    assert [table for table in tables if "<table" not in table or "</td>" not in table] == []


def test_a_collection_shows_how_many_records_it_holds(executed, name):
    cards = [html for html in shown(code_cells(executed), "text/html") if "Collection " in html]
    counts = [int(re.search(r"records\D*>([\d,]+)<", card)[1].replace(",", "")) for card in cards]
    assert max(counts) == 160 if name in OF_PICTURES else max(counts) > 6_000


def test_maps_and_grids_are_images(executed, name):
    images = [base64.b64decode(data) for data in shown(code_cells(executed), "image/png")]
    assert len(images) == (5 if name in OF_PICTURES else 1)
    assert all(image.startswith(b"\x89PNG\r\n\x1a\n") and len(image) > 10_000 for image in images)


def test_the_questions_are_answered(executed, name):
    text = text_of(code_cells(executed))
    assert [answer for answer in ANSWERS[name] if answer not in text] == []


def test_a_notebook_that_reaches_for_the_network_fails(offline, tmp_path):
    reaching = new_code_cell("import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=1)")
    with pytest.raises(CellExecutionError, match="no network here"):
        executing.execute(new_notebook(cells=[reaching]), tmp_path)


# --- committed ---------------------------------------------------------------------------------------


def test_every_notebook_has_answers_to_find():
    assert list(PATHS) == list(ANSWERS)


def test_every_cell_was_executed_in_order(committed):
    cells = code_cells(committed)
    assert list(range(1, len(cells) + 1)) == [cell.execution_count for cell in cells]


def test_no_cell_failed_or_warned(committed):
    outputs = [output for cell in code_cells(committed) for output in cell.outputs]
    assert [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"] == []


def test_nothing_tells_of_the_machine(committed, name):
    assert executing.tidy(nbformat.from_dict(committed)) == committed
    text = PATHS[name].read_text(encoding="utf-8")
    told = (str(ROOT), str(Path.home()) + os.sep, "/home/", "/Users/", "/tmp/", "site-packages")
    assert [part for part in told if part in text] == []


def test_a_notebook_is_small(name):
    assert PATHS[name].stat().st_size < BYTES_MAX


def test_a_cell_is_short_and_explained(committed):
    assert [c.source for c in code_cells(committed) if len(c.source.splitlines()) > CELL_LINES_MAX] == []
    kinds = [cell.cell_type for cell in committed.cells]
    assert ("code", "code") not in set(pairwise(kinds))


INSTALLED_AS = {
    "vicinal": '"vicinal[',
    "langchain_vicinal": "langchain-vicinal ",
    "llama_index": "llama-index-vector-stores-vicinal ",
    "matplotlib": " matplotlib",
    "re2": ",regex]",
}


def imported(source):
    """The packages that a source needs when it is imported, those of this repository's modules included."""
    packages = set()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Import):
            packages |= {alias.name.split(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            module = (statement.module or "").removeprefix("demo").strip(".")
            ours = [name for alias in statement.names for name in (module, alias.name)]
            files = {ROOT / folder / f"{name}.py" for folder in ("demo", "notebooks") for name in ours}
            if statement.level == 0:
                packages.add(statement.module.split(".")[0])
            for file in files:
                packages |= imported(file.read_text(encoding="utf-8")) if file.exists() else set()
    return packages


def test_a_notebook_names_what_must_be_installed(committed):
    sources = [cell.source for cell in code_cells(committed)]
    needed = set().union(*map(imported, sources)) | ({"re2"} if "$regex" in "".join(sources) else set())
    [line] = re.findall(r"It needs `pip install (.+?)`", committed.cells[0].source)
    assert [
        name for package, name in INSTALLED_AS.items() if package in needed and name not in f"{line} "
    ] == []


# --- executed in place -------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of notebooks for `execute.py`, with one that has never been executed."""
    monkeypatch.setattr(executing, "FOLDER", tmp_path)
    write(tmp_path / "new.ipynb", "print('hello')\n1 + 1")
    return tmp_path


def write(path, source):
    metadata = {"authors": ["someone"], "language_info": {"name": "python", "version": "3.99"}}
    nbformat.write(new_notebook(cells=[new_code_cell(source)], metadata=metadata), path)


def test_executing_in_place_keeps_the_outputs_and_nothing_else(folder, capsys):
    executing.main([])
    notebook = nbformat.read(folder / "new.ipynb", as_version=4)
    assert notebook.metadata == {"kernelspec": executing.KERNEL, "language_info": {"name": "python"}}
    assert (text_of(notebook.cells), notebook.cells[0].metadata) == ("hello\n\n2", {})
    assert capsys.readouterr().out.startswith("new.ipynb  ")


def test_a_notebook_that_fails_stays_as_it_was(folder):
    path = folder / "failing.ipynb"
    write(path, "1 / 0")
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        executing.main(["failing.ipynb"])
    assert before == path.read_bytes()
