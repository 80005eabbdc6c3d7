"""What `vicinal` offers is what its front door names, and importing it costs little and does nothing."""

import inspect
import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import vicinal

CLASSES = [
    vicinal.Client,
    vicinal.EphemeralClient,
    vicinal.PersistentClient,
    vicinal.AdminClient,
    vicinal.AsyncClient,
    vicinal.AsyncEphemeralClient,
    vicinal.AsyncPersistentClient,
    vicinal.Collection,
    vicinal.AsyncCollection,
]
MODULES_MAX = 450
FOREIGN = [
    "langchain",
    "langchain_core",
    "llama_index",
    "fastapi",
    "starlette",
    "httpx",
    "requests",
    "pandas",
]
LAZY = ["wordllama", "re2", "vicinal.testing", "vicinal.api", "vicinal.execution", "vicinal.utils"]

REPORT = """
import sys
before = set(sys.modules)
import vicinal
modules = sorted(set(sys.modules) - before)
import json, threading
print(json.dumps({"modules": modules, "threads": threading.active_count()}))
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What a fresh interpreter in an empty directory looks like once it has imported vicinal."""
    tmp_path = tmp_path_factory.mktemp("home")
    env = {**os.environ, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-W", "error", "-c", REPORT]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    return {**json.loads(done.stdout), "stderr": done.stderr, "files": list(tmp_path.rglob("*"))}


def described(cls: type) -> dict[str, str]:
    """Every public attribute of a class: a method's signature, or "property"."""
    public = {name: member for name, member in inspect.getmembers(cls) if not name.startswith("_")}
    public["__init__"] = cls.__init__
    return {
        name: str(inspect.signature(member)) if callable(member) else type(member).__name__
        for name, member in public.items()
    }


def test_the_front_door_names_exactly_these(snapshot):
    snapshot("public_names", sorted(vicinal.__all__))


def test_every_name_of_the_front_door_exists():
    assert [name for name in vicinal.__all__ if not hasattr(vicinal, name)] == []


def test_the_public_methods_have_exactly_these_signatures(snapshot):
    snapshot("signatures", {cls.__name__: described(cls) for cls in CLASSES})


def test_every_public_method_has_a_docstring():
    public = [(cls, name) for cls in CLASSES for name in described(cls) if name != "__init__"]
    assert [f"{cls.__name__}.{name}" for cls, name in public if not getattr(cls, name).__doc__] == []


def test_modules_that_are_not_public_wear_an_underscore():
    public = {"client", "collection", "config", "embedding", "errors", "search", "testing", "types"}
    chromas = {"api", "execution", "utils"}
    found = {Path(entry.name).stem for entry in resources.files("vicinal").iterdir()}
    open_ones = {name for name in found if not name.startswith("_") and name != "py"}
    assert public | chromas <= open_ones <= public | chromas | {"cli", "server"}  # the later floors


def test_importing_loads_no_framework(imported):
    loaded = {name.split(".")[0] for name in imported["modules"]} | set(imported["modules"])
    assert loaded.isdisjoint([*FOREIGN, *LAZY])


def test_importing_loads_few_modules(imported):
    assert len(imported["modules"]) <= MODULES_MAX


def test_importing_starts_nothing_writes_nothing_and_says_nothing(imported):
    assert (imported["threads"], imported["files"], imported["stderr"]) == (1, [], "")


def test_the_types_are_shipped():
    assert resources.files("vicinal").joinpath("py.typed").is_file()


def test_the_version_is_a_release_number():
    assert all(part.isdigit() for part in vicinal.__version__.split(".")[:2])
