from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("satfl_env", "satfl_baselines")


def imported_for_type_checkers(package: str) -> set[tuple[str, str]]:
    """Module and name of each import of a package's `if TYPE_CHECKING` block."""
    file = importlib.import_module(package).__file__
    assert file is not None
    (block,) = (node for node in ast.parse(Path(file).read_text()).body if isinstance(node, ast.If) and node.orelse)
    return {(str(node.module), name.name) for node in block.body for name in node.names}  # type: ignore[attr-defined]


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_those_that_type_checkers_see(package):
    module = importlib.import_module(package)
    stated = imported_for_type_checkers(package)
    assert {name for _, name in stated} == set(module.__all__)
    for home, name in stated:
        assert getattr(module, name) is getattr(importlib.import_module(home), name)
        assert name in dir(module)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_hides_a_name(package):
    module = importlib.import_module(package)
    assert not {found.name for found in pkgutil.iter_modules(module.__path__)} & set(module.__all__)


def test_unknown_names_and_modules_of_the_package():
    import satfl_env

    assert satfl_env.scenarios.names()
    assert not hasattr(satfl_env, "absent")
    with pytest.raises(ImportError, match="absent"):
        exec("from satfl_env import absent", {})


def test_importing_the_packages_is_cheap_and_registers_the_environment():
    code = (
        "import sys, satfl_env, satfl_baselines, satfl_agents, gymnasium; "
        "names = set(dir(satfl_env)) & {'SatFLEnv', 'Decision', '__version__'}; "
        "print(len(names), 'SatFL-v0' in gymnasium.registry, 'torch' in sys.modules, 'scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["3", "True", "False", "False"], done.stderr
