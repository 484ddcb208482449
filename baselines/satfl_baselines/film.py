"""An episode as a film: a frame of the start, and one of each round played."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from satfl_baselines.evaluate import Decide, decided, function_of, in_round, loaded, policy_name
from satfl_baselines.files import require_place, write_whole
from satfl_env import SatFLEnv, decision_to_action
from satfl_env.imports import to_install
from satfl_env.scenarios import Scenario

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Frame = NDArray[np.uint8]
Writer = Callable[[Iterable[Frame], float], bytes]

# Of x264, from 0 to 10: text stays sharp.
_QUALITY = 8
_COLOURS = 256


def play_film(
    scenario: Scenario | str | Path,
    policy: Decide | str,
    seed: int,
    *,
    parts: Mapping[str, Any] | None = None,
    size: Sequence[int] | None = None,
    dpi: float | None = None,
    progress: Callable[[int, int], Any] = lambda finished, total: None,
) -> Iterator[Frame]:
    """Play an episode and draw it, each round when its frame is asked for.

    Args:
        scenario: A scenario, its built-in name, or the path of a YAML file.
        policy: Decides every round: a function `NetworkState -> Decision`, or a name in the registry.
        seed: Seed of the episode, and of a policy of the registry.
        parts: Your own parts in place of the scenario's.
        size: Width and height in pixels, `render_size` of the environment.
        dpi: Dots per inch, `render_dpi` of the environment.
        progress: Called with the numbers of drawn and of all rounds.

    Returns:
        Frames, (H, W, 3).

    Raises:
        ValueError, TypeError: As the environment does, at once; when it is played as `run_episode` does.
    """
    scenario = loaded(scenario)
    decide = function_of(policy, seed, scenario.name)
    env = SatFLEnv(scenario, parts=parts, render_mode="rgb_array", render_size=size, render_dpi=dpi)
    return _frames(env, decide, policy_name(policy), seed, progress)


def _frames(
    env: SatFLEnv, decide: Decide, policy: str, seed: int, progress: Callable[[int, int], Any]
) -> Iterator[Frame]:
    with closing(env):
        env.reset(seed=seed)
        rounds, over = env.scenario.rounds.episode, False
        while True:
            frame = env.render()
            assert isinstance(frame, np.ndarray)
            progress(env.simulation.state.round, rounds)
            yield frame
            if over:
                return
            state = env.simulation.state
            decision = decided(decide, state, in_round(policy, state, seed))
            _, _, terminated, truncated, _ = env.step(decision_to_action(decision, state))
            over = terminated or truncated


def write_film(path: Path, frames: Iterable[Frame], fps: float) -> None:
    """Write a film as MP4 or GIF, or its last frame as PNG, as its name says; it appears whole or not at all.

    Args:
        path: The file.
        frames: At least one, all of one shape (H, W, 3). MP4 leaves the last row or column of an odd number out.
        fps: Frames per second.

    Raises:
        ValueError, OSError, ImportError: As `film_writer` does.
    """
    write_whole(path, film_writer(path)(frames, fps))


def film_writer(path: Path) -> Writer:
    """What makes a film of this name, checked before what it shows is played.

    Raises:
        ValueError: If the name ends in none of `.mp4`, `.gif` and `.png`.
        OSError: If it is a folder, or its folder is not there.
        ImportError: If it is MP4 and the extra `video` is not installed.
    """
    require_place(path, "film", _WRITERS)
    writer = _WRITERS[path.suffix.lower()]
    if writer is _mp4:
        _imageio()
    return writer


def _mp4(frames: Iterable[Frame], fps: float) -> bytes:
    options = {
        "fps": fps,
        "quality": _QUALITY,
        "macro_block_size": 1,
        "output_params": ["-fflags", "+bitexact"],
        # Of large frames it warns that it cannot guess their rate, which it is told.
        "ffmpeg_log_level": "error",
    }
    with TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        with _imageio().get_writer(path, format="FFMPEG", mode="I", **options) as film:
            for frame in frames:
                height, width, _ = frame.shape
                film.append_data(frame[: height // 2 * 2, : width // 2 * 2])
        return path.read_bytes()


def _imageio() -> Any:
    try:
        import imageio.v2
        import imageio_ffmpeg  # noqa: F401  (its plugin, which imageio imports only to write)
    except ImportError as error:
        raise ImportError(f"MP4 needs imageio and FFmpeg: {to_install('video')}; GIF does not") from error
    return imageio.v2


def _gif(frames: Iterable[Frame], fps: float) -> bytes:
    images = map(_few_colours, frames)
    first, film = next(images), io.BytesIO()
    # Pillow draws each frame on those before it and keeps what has changed.
    first.save(film, format="GIF", save_all=True, append_images=images, duration=round(1000 / fps), loop=0)
    return film.getvalue()


def _few_colours(frame: Frame) -> Picture:
    from PIL import Image

    return Image.fromarray(frame).quantize(_COLOURS, Image.Quantize.MAXCOVERAGE)


def _last(frames: Iterable[Frame], fps: float) -> bytes:
    """The last frame alone."""
    from PIL import Image

    (last,), picture = deque(frames, maxlen=1), io.BytesIO()
    Image.fromarray(last).save(picture, format="PNG")
    return picture.getvalue()


_WRITERS: Mapping[str, Writer] = {".mp4": _mp4, ".gif": _gif, ".png": _last}
