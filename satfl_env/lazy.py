"""Public names that are imported when they are first used, so that `import` and `--help` stay fast (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """What a package needs for public names that live in its modules.

    Args:
        package: Name of the package, its `__name__`.
        homes: The public names of each module, by the module's full name. No name may also be that of a module of the
            package: importing that module would hide it.

    Returns:
        The package's `__getattr__`, `__dir__` and `__all__`. Modules of the package are found as attributes, too.
    """
    home = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name in home:
            value = getattr(import_module(home[name]), name)
            setattr(sys.modules[package], name, value)
            return value
        if find_spec(f"{package}.{name}") is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return import_module(f"{package}.{name}")

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home})

    return get, names, sorted(home)
