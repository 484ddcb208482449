from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_packages_import_only_downwards():
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_touches_global_random_state():
    forbidden = ("np.random.seed(", "torch.manual_seed(", "random.seed(", "np.random.rand", "np.random.normal(")
    for package in ("satfl_env", "baselines", "agents", "benchmarks"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            assert not [word for word in forbidden if word in text], path
