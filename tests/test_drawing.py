"""Pictures do not depend on what the user has set up for Matplotlib, and show names as they are, with their units."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings

import gymnasium as gym
import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text
from scipy.optimize import minimize

from satfl_baselines.evaluate import NOT_PLAYED, Run
from satfl_baselines.field.table import headings
from satfl_baselines.files import write_figure
from satfl_baselines.plot import draw_curves, draw_gains, name_lines, side_by_side, spread
from satfl_baselines.summary import Comparison
from satfl_baselines.tables import comparison_table
from satfl_env.drawing import FORMATS, own_style
from satfl_env.quantities import quantity
from tests.factories import physics_only

USERS = {"text.usetex": True, "font.size": 30.0, "axes.facecolor": "red", "savefig.transparent": True}
NAMES = ("_hidden:rule", "$x", "$\\frac$", "a\x1b\nb")


def comparison(metric: str = "accuracy") -> Comparison:
    record = dict.fromkeys(["time_s", "test_loss", "clusters", *NOT_PLAYED, metric], 1.0)
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
        shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown == ["_hidden:rule", "$x", "$\\frac$", r"a\x1b\nb"]


def test_characters_that_no_font_has_are_no_warning_and_rounds_are_whole_numbers():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with own_style():
            figure = draw_curves(comparison(), "卫星")
            for name in FORMATS:
                figure.savefig(io.BytesIO(), format=name)
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


def test_a_picture_of_the_same_data_is_the_same_to_the_byte_and_holds_text(tmp_path):
    for folder, settings in (("usual", {}), ("users", USERS | {"svg.fonttype": "path", "pdf.fonttype": 3})):
        (tmp_path / folder).mkdir()
        with matplotlib.rc_context(settings):
            with own_style():
                figure = draw_curves(comparison(), "same")
            write_figure(tmp_path / folder / "curves", figure, FORMATS)
    for name in FORMATS:
        usual, users = ((tmp_path / folder / f"curves.{name}").read_bytes() for folder in ("usual", "users"))
        assert usual == users
    assert ">communication round</text>" in (tmp_path / "usual" / "curves.svg").read_text()
    document = (tmp_path / "usual" / "curves.pdf").read_bytes()
    assert b"/Type3" not in document
    assert b"Date" not in document


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("psnr_db", "PSNR (dB)"),
        ("ms_ssim", "MS-SSIM"),
        ("balanced_accuracy", "balanced accuracy"),
        ("energy_j", "energy (kJ)"),
        ("time_s", "simulated time (h)"),
        ("latency_s", "latency (s)"),
        ("db", "db"),
        ("my\x1bown", r"my\x1bown"),
    ],
)
def test_axes_have_words_and_units(name, shown):
    assert quantity(name).label == shown
    with own_style():
        assert draw_curves(comparison(name), "", [name]).axes[0].get_ylabel() == shown


def test_energy_is_drawn_in_the_unit_that_its_axis_names():
    with own_style():
        figure = draw_curves(comparison("energy_j"), "", ["energy_j"])
    np.testing.assert_allclose(figure.axes[0].get_lines()[0].get_ydata(), 1e-3)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0.01, 0.3))
def test_names_beside_lines_keep_apart_in_order_and_move_as_little_as_they_can(heights, pitch):
    heights = np.array(heights)
    pitch = min(pitch, 1 / max(len(heights) - 1, 1))
    places = spread(heights, pitch)
    assert places.min() >= -1e-12
    assert places.max() <= 1 + 1e-12
    order = np.argsort(heights, kind="stable")
    assert (np.diff(places[order]) >= pitch - 1e-9).all()
    apart = {"type": "ineq", "fun": lambda ordered: np.diff(ordered) - pitch}
    best = minimize(
        lambda ordered: np.square(ordered - heights[order]).sum(),
        np.arange(len(heights)) * pitch,
        bounds=[(0, 1)] * len(heights),
        constraints=[apart] if len(heights) > 1 else [],
        method="SLSQP",
    )
    moved = np.square(places - heights).sum()
    assert moved <= best.fun + 1e-6


def test_names_of_many_lines_that_end_together_do_not_overlap():
    names = [f"policy-{index}" for index in range(25)]
    with own_style():
        figure = side_by_side(1, names)
        (panel,) = figure.axes
        for index in range(len(names)):
            panel.plot([0, 1], [index, 0.5 + index / 1000])
        panel.plot([0, 1], [np.nan, np.nan])
        name_lines(panel, [*names, "diverged"])
        figure.draw_without_rendering()
        boxes = [Text.get_window_extent(text) for text in panel.texts]  # without the lines that lead to them
    assert len(boxes) == 26
    assert not any(one.overlaps(other) for index, one in enumerate(boxes) for other in boxes[:index])
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in boxes)


def test_gains_leave_no_empty_panel():
    rows = [
        {"factor": factor, "value": str(value), "seeds": 2}
        | {f"over_{other}{end}": 1.0 for other in ("unclustered", "individual") for end in ("", "_ci95")}
        for factor in ("snr_db", "samples", "channel")
        for value in (1, 2)
    ]
    with own_style():
        figure = draw_gains(rows)
    assert [panel.get_xlabel() for panel in figure.axes if panel.get_visible()] == ["SNR (dB)", "samples", "channel"]


def test_tables_name_metrics_as_pictures_do():
    table = comparison_table(comparison("psnr_db"), "title")
    assert "PSNR (dB)" in [column.header for column in table.columns]
    assert headings("psnr_db")["metric"] == "PSNR (dB)"
