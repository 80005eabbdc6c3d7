"""`python -m tests.chroma [pytest arguments]` runs Chroma's own tests on Vicinal."""

from __future__ import annotations

import fnmatch
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import chromadb
import chromadb.test
from tests.chroma.left_out import LEFT_OUT

VERSION = "1.5.9"
ENVIRONMENT = {
    "CHROMA_RUST_BINDINGS_TEST_ONLY": "1",  # what Chroma sets for tests of its embedded client
    "CHROMA_HYPOTHESIS_CI_REPRODUCE_ONLY": "1",  # a failing example is not made smaller, which takes minutes
}
SETTINGS = """[pytest]
addopts = -q --import-mode=importlib --tb=short -p no:randomly -p no:benchmark -p no:codspeed -p no:recording
asyncio_mode = auto
markers =
    dual_database
    test_with_multi_region
    skip_single_region
    flaky
"""


def main() -> int:
    """Copy the tests, put the overlay in front of them, run them."""
    if chromadb.__version__ != VERSION:
        sys.exit(f"These are the tests of chromadb {VERSION}; {chromadb.__version__} is installed")
    suite, here = Path(next(iter(chromadb.test.__path__))), Path(__file__).parent
    patterns = [pattern for group in LEFT_OUT.values() for pattern in group]
    with tempfile.TemporaryDirectory() as made:
        for file in sorted(suite.rglob("test_*.py")):
            name = file.relative_to(suite).as_posix()
            if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns):
                target = Path(made) / name
                target.parent.mkdir(exist_ok=True)
                shutil.copy(file, target)
        shutil.copy(here / "overlay.py", Path(made) / "conftest.py")
        (Path(made) / "pytest.ini").write_text(SETTINGS)
        environment = {**os.environ, "PYTHONPATH": str(here.parents[1]), **ENVIRONMENT}
        command = [sys.executable, "-m", "pytest", "-W", "ignore", *sys.argv[1:]]
        return subprocess.run(command, cwd=made, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
