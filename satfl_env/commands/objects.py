"""Objects of the user's own modules, named `module:object` on the command line."""

from __future__ import annotations

import importlib
import sys
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any


def import_object(spec: str) -> Any:
    """The object that `module:object` names.

    The current folder comes first while the module is imported. It stays on the path, but last, so that worker
    processes find the module again and nothing in the folder takes the place of an installed package.

    Raises:
        ValueError: If the text has a different form, there is no such module or object, or importing it fails.
    """
    name, separator, path = spec.partition(":")
    if not separator or not all(part.isidentifier() for part in [*name.split("."), *path.split(".")]):
        raise ValueError(f"expected MODULE:OBJECT, for instance mine:parts, got {spec!r}")
    module = _import(name)
    try:
        return attrgetter(path)(module)
    except AttributeError as error:
        raise ValueError(f"module {name!r} ({getattr(module, '__file__', None)}) has no {path!r}") from error


def _import(name: str) -> ModuleType:
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # A module that exists but imports a missing one raises its own error.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ModuleNotFoundError(f"module {name!r} cannot be imported: {error}", name=error.name) from error
        raise ValueError(f"there is no module {name!r} in {folder} or among the installed packages") from error
    except Exception as error:
        raise ValueError(f"module {name!r} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)
