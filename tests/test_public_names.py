from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = ("satfl_env", "satfl_baselines", "satfl_agents")


def imported_by_the_stub(package: str) -> set[tuple[str, str]]:
    """Module and name of each import of a package's `__init__.pyi`; the module is empty for modules themselves."""
    file = importlib.import_module(package).__file__
    assert file is not None
    imports = [node for node in ast.parse(Path(file + "i").read_text()).body if isinstance(node, ast.ImportFrom)]
    return {(node.module or "", name.name) for node in imports for name in node.names}


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_those_that_type_checkers_see(package):
    module = importlib.import_module(package)
    stated = imported_by_the_stub(package)
    assert {name for _, name in stated} == set(module.__all__)
    for home, name in stated:
        if home:
            assert getattr(module, name) is getattr(importlib.import_module(f"{package}.{home}"), name)
        assert name in dir(module)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_hides_a_name(package):
    module = importlib.import_module(package)
    names = {name for home, name in imported_by_the_stub(package) if home}
    assert not {found.name for found in pkgutil.iter_modules(module.__path__)} & names


def test_unknown_names_and_modules_of_the_package():
    import satfl_env

    assert satfl_env.scenarios.names()
    assert not hasattr(satfl_env, "absent")
    with pytest.raises(ImportError, match="absent"):
        exec("from satfl_env import absent", {})


def test_importing_the_packages_is_cheap_and_registers_the_environment():
    code = (
        "import sys, satfl_env, satfl_baselines, satfl_agents, gymnasium; "
        "names = set(dir(satfl_env)) & {'SatFLEnv', 'Decision'}; "
        "print(len(names), 'SatFL-v0' in gymnasium.registry, 'torch' in sys.modules, 'scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["2", "True", "False", "False"], done.stderr


def test_an_environment_and_its_first_step_import_little_besides_pytorch():
    unused = {"astropy", "boinor", "erfa", "matplotlib", "pandas", "sklearn", "sympy", "torchmetrics"}
    compiling = {"numba", "scipy"}  # an episode tests and trains by machine code
    code = (
        "import sys, gymnasium, satfl_env; env = gymnasium.make('SatFL-v0', overrides={'data.test_samples': 3}); "
        f"print(sorted({unused | compiling} & set(sys.modules))); env.reset(seed=0); "
        f"env.step(env.action_space.sample()); print(sorted({unused} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["[]", "[]"], done.stderr
