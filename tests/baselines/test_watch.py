"""`satfl watch` writes an episode as a film that other programs can play."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence
from typer.testing import CliRunner, Result

from satfl_baselines import make_policy
from satfl_baselines.film import film_writer, play_film, write_film
from satfl_env import Decision, NetworkState, SatFLEnv, decision_to_action
from satfl_env.commands import make_app
from tests.factories import physics_only

APP = make_app([EntryPoint("watch", "satfl_baselines.commands.watch:watch", "satfl.commands")])
SHORT = ("--set", "training.engine=none", "--set", "rounds.episode=2", "--size", "401x301")


def watch(*arguments: object) -> Result:
    return CliRunner().invoke(APP, ["watch", "leo-multitask", *SHORT, *map(str, arguments)])


def refused(result: Result, words: str) -> None:
    message = result.stderr.strip()
    assert result.exit_code != 0
    assert message.startswith("error: ")
    assert len(message.splitlines()) == 1
    assert words in message


def test_a_gif_has_a_frame_of_the_start_and_of_each_round(tmp_path):
    out = tmp_path / "episode.gif"
    result = watch("--out", out, "--fps", 5, "--policy", "random", "--seed", 3)
    assert result.exit_code == 0, result.output
    assert f"The episode is in {out}" in result.stdout
    with Image.open(out) as film:
        assert film.n_frames == 3
        assert film.size == (401, 301)
        assert film.info["duration"] == 200
        frames = [np.asarray(frame.convert("RGB"), dtype=int) for frame in ImageSequence.Iterator(film)]
    # The same episode in the environment; a GIF has 256 colours.
    overrides = {"training.engine": "none", "rounds.episode": 2}
    env = SatFLEnv("leo-multitask", overrides, render_mode="rgb_array", render_size=(401, 301))
    env.reset(seed=3)
    policy = make_policy("random", 3)
    for frame in frames:
        assert np.abs(frame - env.render()).mean() < 4
        if frame is not frames[-1]:
            state = env.simulation.state
            env.step(decision_to_action(policy(state), state))
    assert [path.name for path in tmp_path.iterdir()] == ["episode.gif"]


def test_an_mp4_has_as_many_frames(tmp_path):
    reader = pytest.importorskip("imageio.v3")
    pytest.importorskip("imageio_ffmpeg")
    out = tmp_path / "episode.mp4"
    assert watch("--out", out, "--policy", "full").exit_code == 0
    film = reader.imread(out, plugin="FFMPEG")
    assert film.shape == (3, 300, 400, 3)
    start = next(play_film(physics_only(2), "full", 0, size=(401, 301)))
    assert start.shape == (301, 401, 3)
    again = tmp_path / "again.mp4"
    assert watch("--out", again, "--policy", "full").exit_code == 0
    assert out.read_bytes() == again.read_bytes()


def test_ffmpeg_says_nothing_of_large_frames(tmp_path, capfd):
    pytest.importorskip("imageio_ffmpeg")
    assert film_writer(tmp_path / "film.mp4")([np.zeros((900, 1200, 3), np.uint8)] * 3, 2.0)
    assert not capfd.readouterr().err


def test_mp4_without_the_extra_is_told_in_one_line_before_anything_is_played(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setattr("satfl_baselines.film.play_film", None)
    result = watch("--out", tmp_path / "episode.mp4")
    refused(result, "MP4 needs imageio and FFmpeg: pip install -e '.[video]'; GIF does not")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--out", "episode.avi"), "must end in .mp4, .gif, .png, got 'episode.avi'"),
        (("--out", "nowhere/episode.gif"), "folder 'nowhere' of the film 'episode.gif' is not there"),
        (
            ("--out", "episode.gif", "--size", "640"),
            "--size takes WIDTHxHEIGHT in pixels, such as 1920x1080, got '640'",
        ),
        (("--out", "episode.gif", "--size", "64x64"), "too small for its text"),
        (("--out", "episode.gif", "--dpi", "-1"), "render_dpi must be a positive number"),
        (("--out", "episode.gif", "--policy", "fulll"), "'fulll'"),
    ],
)
def test_what_makes_no_film_is_refused_in_one_line(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    refused(watch(*arguments), words)
    assert not list(tmp_path.iterdir())


def test_a_film_that_breaks_off_leaves_the_earlier_one(tmp_path):
    def frames():
        yield np.zeros((300, 400, 3), np.uint8)
        raise RuntimeError("the power went off")

    path = tmp_path / "episode.gif"
    path.write_bytes(b"earlier")
    with pytest.raises(RuntimeError, match="power"):
        write_film(path, frames(), 4.0)
    assert path.read_bytes() == b"earlier"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_still_is_the_last_frame(tmp_path):
    frames = [np.full((300, 400, 3), shade, np.uint8) for shade in (10, 20, 30)]
    write_film(tmp_path / "last.png", iter(frames), 4.0)
    with Image.open(tmp_path / "last.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), frames[-1])


def test_names_of_films_may_be_in_capitals():
    assert film_writer(Path("EPISODE.GIF")) is film_writer(Path("episode.gif"))


def test_a_policy_that_fails_is_named_with_its_round():
    def fails(state: NetworkState) -> Decision:
        raise KeyError("mine")

    frames = play_film("task-clustering-mini", fails, 3)
    with pytest.raises(RuntimeError, match=r"the policy .*fails in round 0 of seed 3 failed at .*KeyError"):
        list(frames)
