"""Partition sections: one for each way to distribute images. A new kind needs a section here."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from satfl_env.data import ImageData, count_split, dirichlet_split, equal_split, places_under_track
from satfl_env.memory import Need
from satfl_env.orbits import ConstellationScene, Scene, ground_track
from satfl_env.scenarios.errors import prefixed
from satfl_env.scenarios.partition_section import IndexArray, PartitionSection, samples_need
from satfl_env.scenarios.task_partition import TaskPartition
from satfl_env.settings import Count, Finite, Positive, default_of

# Satellites in low orbits sweep the ground at some 7 km/s; between samples their track is interpolated.
_SAMPLES_PER_SWATH, _GROUND_SPEED_MPS = 2, 7500.0
# A sixth of an orbit is too long for that: the track would be off by some ten kilometres.
_LONGEST_STEP_S = 200.0
# Bytes, measured as peaks of a reset.
_PER_TRACK_POINT = 256


class EqualPartition(PartitionSection):
    """A random disjoint split into equal shares of `total_samples` images (`null`: all of them)."""

    kind: Literal["equal"] = "equal"
    total_samples: Count | None = None

    def most_samples(self, images: ImageData) -> int:
        """All samples of the split."""
        return _total(self.total_samples, images)

    def shards(self, images: ImageData, scene: Scene, rng: np.random.Generator) -> list[IndexArray]:
        """Shares whose sizes differ by one at most."""
        pool = _pool(self.total_samples, images, rng)
        with prefixed("total_samples: "):
            return [pool[shard] for shard in equal_split(len(pool), scene.num_satellites, rng)]


class DirichletPartition(PartitionSection):
    """A disjoint split, class by class, with shares drawn from Dirichlet(alpha)."""

    kind: Literal["dirichlet"] = "dirichlet"
    alpha: Positive
    min_samples: Count = default_of(dirichlet_split, "min_size")
    total_samples: Count | None = None

    def most_samples(self, images: ImageData) -> int:
        """All samples of the split."""
        return _total(self.total_samples, images)

    def shards(self, images: ImageData, scene: Scene, rng: np.random.Generator) -> list[IndexArray]:
        """Shares of at least `min_samples`."""
        pool = _pool(self.total_samples, images, rng)
        labels, satellites = images.train_labels[pool], scene.num_satellites
        with prefixed("min_samples: "):
            shards = dirichlet_split(labels, satellites, alpha=self.alpha, rng=rng, min_size=self.min_samples)
        return [pool[shard] for shard in shards]


class CountsPartition(PartitionSection):
    """A random disjoint split into given sample counts, one per satellite."""

    kind: Literal["counts"] = "counts"
    counts: Annotated[tuple[Count, ...], Field(min_length=1)]

    def most_samples(self, images: ImageData) -> int:
        """All samples, a bound that does not depend on who gets which count."""
        return sum(self.counts)

    def shards(self, images: ImageData, scene: Scene, rng: np.random.Generator) -> list[IndexArray]:
        """Shares of these sizes."""
        if len(self.counts) != scene.num_satellites:
            raise ValueError(f"counts must have {scene.num_satellites} entries (satellites), got {len(self.counts)}")
        with prefixed("counts: "):
            return count_split(len(images.train_labels), self.counts, rng)


class GroundTrackPartition(PartitionSection):
    """Each satellite holds the images under its own ground track: what it saw by day in the span before the episode.

    Satellites may hold the same images; one that saw more than `max_samples` keeps a random choice.
    """

    kind: Literal["ground-track"] = "ground-track"
    span_s: Positive = 86_400.0
    swath_m: Positive = 290e3
    min_sun_elevation_deg: Annotated[Finite, Field(ge=-18, lt=90)] = 10.0
    max_samples: Count = 200

    @property
    def step_s(self) -> float:
        """Time between two points of a ground track."""
        return min(self.swath_m / _SAMPLES_PER_SWATH / _GROUND_SPEED_MPS, _LONGEST_STEP_S)

    def check(self, images: ImageData) -> None:
        """Check that the images have places."""
        super().check(images)
        if images.train_places_deg is None:
            raise ValueError("kind 'ground-track' needs the places of the images, places_deg, got None")

    def most_samples(self, images: ImageData) -> int:
        """The bound of the random choice."""
        return self.max_samples

    def memory_needs(self, num_satellites: int, image_numbers: int) -> list[Need]:
        """Memory for the tracks, and for what is kept of the images below them."""
        points = num_satellites * self.span_s / self.step_s
        return [
            Need("ground tracks", _PER_TRACK_POINT * points, "span_s"),
            samples_need(num_satellites, self.max_samples, image_numbers, "max_samples"),
        ]

    def shards(self, images: ImageData, scene: Scene, rng: np.random.Generator) -> list[IndexArray]:
        """What each satellite's sensor swept."""
        if not isinstance(scene, ConstellationScene):
            raise ValueError(f"kind 'ground-track' needs orbits around the Earth, got a {type(scene).__name__}")
        # `check` lets nothing else through.
        assert images.train_places_deg is not None
        steps = int(np.ceil(self.span_s / self.step_s))
        track = ground_track(scene.orbits, -np.linspace(0.0, self.span_s, steps + 1))
        seen = places_under_track(
            images.train_places_deg,
            track.latitude_deg,
            track.longitude_deg,
            track.sun_elevation_deg,
            swath_m=self.swath_m,
            min_sun_elevation_deg=self.min_sun_elevation_deg,
        )
        blind = [satellite for satellite, shard in enumerate(seen) if not len(shard)]
        if blind:
            raise ValueError(
                f"span_s must be longer than {self.span_s:g} s: satellites {blind[:10]} saw no image by day"
            )
        return [rng.permutation(shard)[: self.max_samples] for shard in seen]


Partition = TaskPartition | EqualPartition | DirichletPartition | CountsPartition | GroundTrackPartition


def _total(total_samples: int | None, images: ImageData) -> int:
    return len(images.train_labels) if total_samples is None else total_samples


def _pool(total_samples: int | None, images: ImageData, rng: np.random.Generator) -> IndexArray:
    """A random choice of that many training images."""
    total, available = _total(total_samples, images), len(images.train_labels)
    if total > available:
        raise ValueError(f"total_samples must be at most {available}, got {total}")
    return rng.permutation(available)[:total]
