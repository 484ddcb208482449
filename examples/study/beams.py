"""Who should get a beam, and how scarce must beams be for it to matter?

python examples/study/beams.py play --workers 2
python examples/study/beams.py table
python examples/study/beams.py figure --out beams.pdf

Episodes are kept in results/beams; what is there is not played again.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rules import BY_LOSS, BY_WINDOW, IN_TURN

from satfl_baselines import Comparison, Estimate, compare
from satfl_baselines.seeds import HELD_OUT
from satfl_env.drawing import COLOURS, UNDATED, own_style
from satfl_env.scenarios import load

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCENARIO, METRIC = "rush-hour", "balanced_accuracy"
BEAMS = (1, 2, 3, 4, 6)  # of each of the three gateways, for 16 satellites
OWN = {"in-turn": IN_TURN, "by-window": BY_WINDOW, "by-loss": BY_LOSS}
STUDIED = "neediest"  # by loss times window
# The gateways of `curriculum` choose by the weights of the updates, which grow with samples.
RULES = {
    "curriculum": "most samples",
    "in-turn": "in turn",
    "by-window": "longest window",
    "by-loss": "highest loss",
    STUDIED: "loss times window",
}

app = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False)
Folder = Annotated[Path, typer.Option(help="Where episodes are.")]
Seeds = Annotated[int, typer.Option(min=2, help="Number of held-out seeds.")]
Rounds = Annotated[int, typer.Option(min=1, help="Rounds of an episode.")]


def played(folder: Path, seeds: int, rounds: int, workers: int = 1) -> dict[int, Comparison]:
    """All rules on the same seeds for every number of beams; plays what is missing."""
    return {
        beams: compare(
            load(SCENARIO, **{"access.beams": beams, "rounds.episode": rounds}),
            list(RULES),
            HELD_OUT[:seeds],
            folder / f"{beams}-beams",
            own=OWN,
            workers=workers,
        )
        for beams in BEAMS
    }


def final(comparison: Comparison, rule: str) -> Estimate:
    """The metric after the last round."""
    return Estimate.of(comparison.outcomes(rule)[METRIC])


def gain(comparison: Comparison, rule: str) -> Estimate:
    """What the studied rule is ahead of another one, paired by seed."""
    return Estimate.of(comparison.outcomes(STUDIED)[METRIC] - comparison.outcomes(rule)[METRIC])


@app.command()
def play(folder: Folder = Path("results/beams"), seeds: Seeds = 40, rounds: Rounds = 30, workers: int = 1) -> None:
    """Play all episodes."""
    comparisons = played(folder, seeds, rounds, workers)
    print(f"{sum(len(comparison.episodes) for comparison in comparisons.values())} episodes in {folder}")


@app.command()
def table(folder: Folder = Path("results/beams"), seeds: Seeds = 40, rounds: Rounds = 30) -> None:
    """Print the table, in Markdown, and write it as beams.csv into the folder."""
    comparisons = played(folder, seeds, rounds)
    others = [rule for rule in RULES if rule != STUDIED]
    header = ["beams", *RULES.values(), *(f"ahead of {RULES[rule]}" for rule in others)]
    rows = [
        [
            str(beams),
            *(f"{final(comparison, rule).mean:.3f}" for rule in RULES),
            *(f"{found.mean:+.3f} ± {found.half_width:.3f}" for found in (gain(comparison, rule) for rule in others)),
        ]
        for beams, comparison in comparisons.items()
    ]
    with (folder / "beams.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    for row in (header, ["---"] * len(header), *rows):
        print(f"| {' | '.join(row)} |")


@app.command()
def figure(
    out: Path = Path("beams.pdf"), folder: Folder = Path("results/beams"), seeds: Seeds = 40, rounds: Rounds = 30
) -> None:
    """Draw the figure; the name of the file says in which format."""
    comparisons = played(folder, seeds, rounds)
    with own_style():
        from matplotlib.figure import Figure

        drawn = Figure(figsize=(7.2, 3.2), layout="constrained")
        left, right = drawn.subplots(1, 2)
        for place, rule in enumerate(RULES):
            draw(left, comparisons, partial(final, rule=rule), place)
            if rule != STUDIED:
                draw(right, comparisons, partial(gain, rule=rule), place)
        left.set_ylabel("balanced accuracy")
        left.legend(title="beams go to", loc="lower right")
        right.set_ylabel(f"{RULES[STUDIED]}: ahead by")
        right.axhline(0.0, color="0.4", linewidth=0.8)
        for panel in (left, right):
            panel.set_xlabel("beams of each gateway")
            panel.set_xticks(BEAMS)
            panel.grid(visible=False, axis="x")
        drawn.savefig(out, metadata=UNDATED.get(out.suffix[1:]))
    print(f"the figure is {out}")


def draw(
    panel: Axes, comparisons: Mapping[int, Comparison], estimated: Callable[[Comparison], Estimate], place: int
) -> None:
    """A line of means with 95 % intervals against beams; lines are set apart a little, so that intervals are seen."""
    estimates = [estimated(comparison) for comparison in comparisons.values()]
    panel.errorbar(
        np.array(BEAMS) + 0.05 * (place - 2),
        [estimate.mean for estimate in estimates],
        [estimate.half_width for estimate in estimates],
        color=COLOURS[-1 - place],
        label=list(RULES.values())[place],
        marker="os^vD"[place],
        markersize=4,
        capsize=2,
        linewidth=1.3,
    )


if __name__ == "__main__":
    app()
