"""Pictures do not depend on what the user has set up for Matplotlib, and show names as they are."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import gymnasium as gym
import matplotlib
import numpy as np
import pytest

from satfl_baselines.evaluate import NOT_PLAYED, Run
from satfl_baselines.plot import draw_curves
from satfl_baselines.summary import Comparison
from satfl_env.drawing import own_style
from tests.factories import physics_only

USERS = {"text.usetex": True, "font.size": 30.0, "axes.facecolor": "red", "savefig.transparent": True}
NAMES = ("_hidden:rule", "$x", "$\\frac$", "a\x1b\nb")


def comparison() -> Comparison:
    record = dict.fromkeys(["time_s", "test_loss", "clusters", *NOT_PLAYED, "accuracy"], 1.0)
    episode = [record | {"round": float(index)} for index in range(3)]
    return Comparison(NAMES, (0, 1), {Run(name, seed): episode for name in NAMES for seed in (0, 1)})


@pytest.mark.parametrize("scenario", [physics_only(2), "walker-earth"], ids=["planar", "globe"])
def test_a_users_settings_change_no_rendering_and_are_left(scenario):
    env = gym.make("SatFL-v0", scenario=scenario, render_mode="rgb_array")
    env.reset(seed=0)
    usual = env.render()
    with matplotlib.rc_context(USERS):
        before = dict(matplotlib.rcParams)
        assert np.array_equal(env.render(), usual)
        assert dict(matplotlib.rcParams) == before


def test_pictures_show_every_name_as_it_is():
    with matplotlib.rc_context(USERS), own_style():
        figure = draw_curves(comparison(), "50 $ a $ b")
        figure.canvas.draw()
        shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == ["_hidden:rule", "$x", "$\\frac$", r"a\x1b\nb"]


def test_characters_that_no_font_has_are_no_warning_and_rounds_are_whole_numbers():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with own_style():
            figure = draw_curves(comparison(), "卫星")
            figure.canvas.draw()
    ticks = figure.axes[0].get_xticks()
    assert (ticks == ticks.round()).all()


@pytest.mark.parametrize("settings", [b"text.usetex: True\nbackend: tkagg\n", b"font.size: 30\n# H\xf6he\n", b"\0\xff"])
def test_neither_a_backend_nor_settings_that_can_be_read_are_needed(tmp_path, settings):
    (tmp_path / "matplotlibrc").write_bytes(settings)
    code = (
        "import os; from satfl_env.drawing import own_style\n"
        "with own_style(): from matplotlib.figure import Figure; import io; Figure().savefig(io.BytesIO())\n"
        "assert os.environ['MPLBACKEND'] == 'nonsense'"
    )
    environment = os.environ | {"MPLBACKEND": "nonsense"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
