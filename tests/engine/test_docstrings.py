"""Every example in a docstring of vicinal does what it says."""

import doctest
import importlib
import pkgutil

import pytest

import vicinal

FOUND = [module.name for module in pkgutil.walk_packages(vicinal.__path__, "vicinal.")]
MODULES = ["vicinal", *(name for name in FOUND if not name.endswith("__main__"))]  # which runs when imported


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_do_what_they_say(name):
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert 0 == failed


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name))]
    named = {test.name for test in found if test.examples}
    assert named >= {"vicinal.client.EphemeralClient", "vicinal.collection.Collection.add"}


@pytest.mark.parametrize("name", MODULES)
def test_every_module_begins_with_what_it_is_for(name):
    assert importlib.import_module(name).__doc__
