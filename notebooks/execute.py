"""How are the committed outputs of the notebooks made anew?

`python -m notebooks.execute [NAME …]`, or `make notebooks`: executes each notebook in this folder
from the top, in place, and keeps nothing of the machine it ran on. A notebook that fails stays as
it was.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
TIMEOUT_S = 300
INLINE = "module://matplotlib_inline.backend_inline"
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def execute(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """Run every cell in order, in a fresh kernel started in `folder`; an error in a cell raises."""
    client = NotebookClient(
        notebook,
        kernel_name=KERNEL["name"],
        timeout=TIMEOUT_S,
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],  # newer kernels warn, on every start, of talking over TCP
        resources={"metadata": {"path": str(folder)}},
    )
    return client.execute(env={**os.environ, "MPLBACKEND": INLINE})  # Agg, common in CI, would show nothing


def tidy(notebook: NotebookNode) -> NotebookNode:
    """Drop what differs between two machines that got the same results."""
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", []):
            if "metadata" in output:
                output.metadata = {}
    return notebook


def main(names: list[str]) -> None:
    paths = [FOLDER / name for name in names] or sorted(FOLDER.glob("*.ipynb"))
    for path in paths:
        started = time.perf_counter()
        notebook = tidy(execute(nbformat.read(path, as_version=4), FOLDER))
        nbformat.write(notebook, path)
        size_kb = path.stat().st_size / 1000
        print(f"{path.name}  {time.perf_counter() - started:.1f} s  {size_kb:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
