from __future__ import annotations

import pytest

from satfl_env.counted import counted


@pytest.mark.parametrize(("number", "text"), [(0, "0 rounds"), (1, "1 round"), (2, "2 rounds")])
def test_one_is_no_plural(number: int, text: str) -> None:
    assert counted(number, "round") == text
