"""`satfl watch`: an episode as a film."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from satfl_baselines.commands.episode_options import DEFAULT_POLICY, EpisodePolicy, EpisodeScenario, EpisodeSeed
from satfl_baselines.commands.policy_names import own_policies
from satfl_env.commands import (
    Overrides,
    Parts,
    error_console,
    load_parts,
    output_console,
    parse_overrides,
    progress_bar,
    say,
)

_SIZE = re.compile(r"(\d+)x(\d+)")


def watch(
    scenario: EpisodeScenario,
    out: Annotated[
        Path,
        typer.Option(
            help="The film to write: FILE.mp4, which needs the extra video, or FILE.gif; FILE.png is its last frame."
        ),
    ],
    policy: EpisodePolicy = DEFAULT_POLICY,
    seed: EpisodeSeed = 0,
    fps: Annotated[float, typer.Option(min=0.1, max=60.0, help="Frames per second; each round is one.")] = 4.0,
    size: Annotated[
        str | None, typer.Option(metavar="WIDTHxHEIGHT", help="Pixels of the film, such as 1920x1080.")
    ] = None,
    dpi: Annotated[
        float | None, typer.Option(help="Dots per inch: text and lines grow with it; they fit the size if not given.")
    ] = None,
    overrides: Overrides = None,
    parts: Parts = None,
) -> None:
    """Play an episode and write it as a film: the map and the curves, round by round."""
    # These take seconds to import, which --help need not wait for.
    from satfl_baselines.film import film_writer, play_film, write_film
    from satfl_env.scenarios import load
    from satfl_env.scenarios.errors import named

    film_writer(out)
    pixels = parse_size(size)
    config = load(scenario, **parse_overrides(overrides))
    own, brought = own_policies([policy]).get(policy, policy), load_parts(parts)
    with named(scenario), progress_bar(error_console(), "rounds") as progress:
        frames = play_film(config, own, seed, parts=brought, size=pixels, dpi=dpi, progress=progress)
        write_film(out, frames, fps)
    say(output_console(), f"The episode is in {out}")


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Width and height of `--size`.

    Raises:
        ValueError: If the text has another form.
    """
    if text is None:
        return None
    numbers = _SIZE.fullmatch(text)
    if numbers is None:
        raise ValueError(f"--size takes WIDTHxHEIGHT in pixels, such as 1920x1080, got {text!r}")
    return int(numbers[1]), int(numbers[2])
