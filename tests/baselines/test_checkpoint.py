"""States in files: they come back as they were, and reading them runs no code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from satfl_baselines import checkpoint


class Code:
    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


def test_a_checkpoint_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state": Code()}, "harmful")
    Path("broken").write_bytes(b"PK\3\4 nothing")
    Path("empty").write_bytes(b"")
    for name in ("harmful", "broken", "empty"):
        with pytest.raises(ValueError, match=f"'{name}' is damaged .it is no checkpoint."):
            checkpoint.load(Path(name))
    assert not Path("ran").exists()


def test_a_checkpoint_gives_back_what_was_saved(tmp_path: Path):
    content = {
        "numbers": (1, 2.5, True, None, "text", np.float64(0.1)),
        "arrays": [np.arange(3), np.array([[np.nan, -0.0]]), np.array([True]), np.array(2**63, np.uint64)],
        ("gateway", 0): torch.arange(3.0),
    }
    checkpoint.save(tmp_path / "file", content)
    found = checkpoint.load(tmp_path / "file")
    assert list(found) == list(content)
    assert found["numbers"] == content["numbers"]
    assert torch.equal(found["gateway", 0], torch.arange(3.0))
    for mine, theirs in zip(content["arrays"], found["arrays"], strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
