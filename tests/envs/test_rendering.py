"""Pictures of a round: their size, lines across the date line, names that do not collide, and what panels show."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import RecordVideo
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from satfl_env import SatFLEnv
from satfl_env.envs import globe_lines
from satfl_env.envs.labels import free_boxes
from satfl_env.envs.panels import draw_batteries, draw_satellites, panels
from satfl_env.envs.picture_size import picture_size
from satfl_env.envs.render import describe
from satfl_env.orbits import sun_position_m
from tests.factories import physics_only

PLANE = physics_only(2)


@pytest.fixture(scope="module")
def globe() -> SatFLEnv:
    """An episode of walker-earth before its first round."""
    overrides = {"training.engine": "none", "rounds.episode": 2}
    made = SatFLEnv("walker-earth", overrides, render_mode="rgb_array", render_size=(800, 450))
    made.reset(seed=0)
    return made


def plane(**options) -> gym.Env:
    return gym.make("SatFL-v0", scenario=PLANE, render_mode="rgb_array", **options)


@pytest.mark.parametrize(
    ("size", "dpi", "shape"),
    [
        (None, None, (640, 1120)),
        (None, 50, (320, 560)),
        ([641, 479], None, (479, 641)),
        (np.array([1920, 1080]).tolist(), 150, (1080, 1920)),
    ],
)
def test_images_have_the_size_that_is_asked_for(size, dpi, shape):
    made = plane(render_size=size, render_dpi=dpi)
    made.reset(seed=0)
    assert made.render().shape == (*shape, 3)


def test_a_globe_fills_a_wide_picture(globe):
    image = globe.render()
    assert image.shape == (450, 800, 3)
    assert (image[150] != 255).any(axis=1).mean() > 0.8


@given(st.integers(400, 8192), st.integers(300, 8192))
def test_every_size_is_met_to_the_pixel(width, height):
    try:
        size = picture_size((width, height), None, (1120, 640))
    except ValueError:
        return
    figure = Figure(figsize=size.inches, dpi=size.dpi)
    assert tuple(int(pixels) for pixels in figure.bbox.size) == (width, height)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"render_size": 640}, TypeError, "render_size must be a width and a height in pixels, or None, got 640"),
        ({"render_size": (640.5, 480)}, TypeError, "render_size must be an integer, got 640.5"),
        ({"render_size": (0, 480)}, ValueError, "render_size must be at least 1, got 0"),
        ({"render_size": (100_000, 480)}, ValueError, "at most 8192 pixels a side, got 100000 x 480"),
        ({"render_size": (640, 480), "render_dpi": 300}, ValueError, r"at 300 dpi is 2\.13 x 1\.6 inches: too small"),
        ({"render_dpi": 0}, ValueError, "render_dpi must be a positive number or None, got 0"),
        ({"render_dpi": "high"}, ValueError, "render_dpi must be a positive number or None, got 'high'"),
    ],
)
def test_sizes_that_make_no_picture_are_refused_at_once(options, error, words):
    with pytest.raises(error, match=words):
        SatFLEnv(PLANE, **options)


def test_gymnasium_records_videos_of_any_size(tmp_path):
    pytest.importorskip("moviepy")
    made = RecordVideo(plane(render_size=(480, 360)), str(tmp_path), disable_logger=True)
    made.reset(seed=0)
    for _ in range(2):
        made.step(made.action_space.sample())
    made.close()
    assert [path.suffix for path in tmp_path.glob("*.mp4")] == [".mp4"]


def test_a_window_shows_what_an_image_shows(monkeypatch):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with pytest.warns(UserWarning, match="HumanRendering"):
        window = gym.make("SatFL-v0", scenario=PLANE, render_mode="human", render_size=(480, 360))
    image = plane(render_size=(480, 360))
    window.reset(seed=0)
    image.reset(seed=0)
    seen = pygame.surfarray.array3d(window.get_wrapper_attr("window")).transpose(1, 0, 2)
    np.testing.assert_array_equal(seen, image.render())
    window.close()


points = arrays(np.float64, (6, 2), elements=st.floats(-1, 1)).map(lambda share: share * (180.0, 89.0))


@given(points)
def test_lines_go_the_short_way_and_come_in_again_where_they_left(line):
    drawn, which = globe_lines.copies([line, line[::-1]])
    drawn = [piece for piece, number in zip(drawn, which, strict=True) if number == 0]
    for piece in drawn:
        assert (np.abs(np.diff(piece[:, 0])) <= 180 + 1e-9).all()
    # The plain check: every step, on its own, from where it begins.
    for start, end in pairwise(line):
        middle = start + np.array([(end[0] - start[0] + 180) % 360 - 180, end[1] - start[1]]) / 2
        seen = [
            place
            for piece in drawn
            for place in (piece[:-1] + piece[1:]) / 2
            if abs(place[1] - middle[1]) < 1e-6 and abs((place[0] - middle[0] + 180) % 360 - 180) < 1e-6
        ]
        if abs(abs(end[0] - start[0]) - 180) > 1e-6:  # both ways are short there
            assert any(-180 <= x <= 180 for x, _ in seen)


@given(arrays(np.float64, 20, elements=st.floats(-180, 180)), st.floats(0, globe_lines.BEYOND_DEG / 2))
def test_every_point_is_whole_on_the_map_at_least_once(longitude, border):
    x, which = globe_lines.places(longitude, border)
    assert set(which) == set(range(20))
    np.testing.assert_allclose((x - longitude[which]) % 360 % 360, 0, atol=1e-9)
    assert (np.abs(x) <= 180 + globe_lines.BEYOND_DEG - border).all()


@given(points.map(np.radians), st.floats(0.01, 3.0))
def test_a_circle_has_its_radius_everywhere(places, radius):
    longitude, latitude = places[0]
    centre = np.array([np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)])
    x, y = np.radians(globe_lines.circle(7e6 * centre, radius).T)
    rim = np.stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)], axis=-1)
    np.testing.assert_allclose(np.arccos((rim @ centre).clip(-1, 1)), radius, atol=1e-6)


def test_a_way_between_two_places_is_the_shortest_on_the_globe():
    ends = 6.4e6 * np.array([[0.5, -np.sqrt(0.75), 0.0], [0.5, np.sqrt(0.75), 0.0]])
    line = globe_lines.segments(ends)
    np.testing.assert_allclose(line[:, 1], 0.0, atol=1e-9)
    assert line[0, 0] == pytest.approx(-60)
    assert line[-1, 0] == pytest.approx(60)
    # Across the date line.
    west, east = globe_lines.segments(-ends)[[0, -1], 0]
    assert (west, east) == (pytest.approx(120), pytest.approx(-120))


sizes = arrays(np.float64, (8, 2), elements=st.floats(5, 40))
centres = arrays(np.float64, (8, 2), elements=st.floats(0, 200))
INSIDE = Bbox.from_extents(0, 0, 200, 200)


@given(centres, sizes)
def test_names_hide_neither_each_other_nor_what_is_kept(centres, sizes):
    kept = [Bbox.from_extents(50, 0, 150, 20)]
    found = [box for box in free_boxes(centres, sizes, 3.0, INSIDE, kept=kept) if box is not None]
    for one, other in combinations([*kept, *found], 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        along = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(across, along) <= 1e-9
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= 200 and box.y1 <= 200 for box in found)


def test_a_name_goes_where_it_hides_nothing():
    centre, size = np.array([[100.0, 100.0]]), np.array([[20.0, 10.0]])
    (below,) = free_boxes(centre, size, 3.0, INSIDE)
    assert below is not None
    assert below.y1 == pytest.approx(97)
    (above,) = free_boxes(centre, size, 3.0, INSIDE, obstacles=[below])
    assert above is not None
    assert above.y0 == pytest.approx(103)
    assert free_boxes(centre, size, 3.0, Bbox.from_extents(90, 90, 110, 110)) == [None]


def test_thousands_of_satellites_are_a_histogram():
    values = np.linspace(0.2, 0.9, 3000)
    made = plane().unwrapped
    made.reset(seed=0)
    shown = replace(
        made._frame(), satellite_metric=values, charge=np.full(3000, 0.5), in_shadow=np.arange(3000) % 3 == 0
    )
    for draw, expected in ((draw_satellites, 3000), (draw_batteries, 3000)):
        axes = Figure().subplots()
        draw(axes, shown)
        assert len(axes.patches) < 300
        assert sum(bar.get_height() for bar in axes.patches) == expected
    tall = [bar for bar in axes.patches if bar.get_height()]
    assert sorted(bar.get_height() for bar in tall) == [1000, 2000]


def test_batteries_are_shown_where_there_are_some_by_day_and_night(globe):
    made = plane().unwrapped
    made.reset(seed=0)
    assert len(panels(made._frame())) == 2
    shown = globe._frame()
    assert len(panels(shown)) == 3
    battery = globe.simulation.ingredients.energy
    np.testing.assert_allclose(shown.charge, battery.initial_j / battery.capacity_j)
    # In the shadow the Sun is behind the Earth: the line of sight passes within its radius.
    globe.step(globe.action_space.sample())
    shown = globe._frame()
    now = globe.simulation.snapshot
    sun = sun_position_m(globe.simulation.scene.orbits.epoch, np.array([now.time_s]))[0]
    way = sun / np.linalg.norm(sun)
    along = now.position_m @ way
    nearest = np.linalg.norm(now.position_m - np.outer(along, way), axis=1)
    np.testing.assert_array_equal(shown.in_shadow, (along < 0) & (nearest < 6378136.6))
    assert 0 < shown.in_shadow.sum() < 24
    assert shown.date.endswith(" UTC")


def test_text_names_the_metric_with_its_unit(globe):
    assert "mean PSNR (dB)" in describe(globe._frame())
