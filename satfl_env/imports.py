"""Imports that leave what belongs to the user as it was, whatever the imported libraries change."""

from __future__ import annotations

import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import lazy_loader


@contextmanager
def tidy_imports() -> Iterator[None]:
    """After the block `random`, `os.environ` and the treatment of warnings are as before it.

    PyTorch, SciPy, Astropy and others add warning filters when they are imported, torchvision a variable, Rich draws
    numbers.
    """
    drawn, environ = random.getstate(), dict(os.environ)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        random.setstate(drawn)
        for name in os.environ.keys() - environ.keys():
            del os.environ[name]
        os.environ.update(environ)


def import_tidily(name: str) -> Any:
    """A module of a library that is imported when it is first used; see `tidy_imports`."""
    if name in sys.modules:
        return sys.modules[name]
    with tidy_imports():
        return import_module(name)


def to_install(extra: str) -> str:
    """The command that installs an extra of this project, in a clone of its repository."""
    return f"pip install -e '.[{extra}]'"


def lazy_names(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package whose names are in its stub, each imported when first used.

    Args:
        package: `__name__` of the package.
        file: `__file__` of the package.
    """
    find, listed, public = lazy_loader.attach_stub(package, file)

    def get(name: str) -> Any:
        with tidy_imports():
            found = vars(sys.modules[package])[name] = find(name)
        return found

    return get, listed, public
