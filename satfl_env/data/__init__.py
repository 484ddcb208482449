"""Images, tasks and how samples are distributed over satellites."""

from __future__ import annotations

from satfl_env.data.blue_marble import read_land
from satfl_env.data.ground_track import places_under_track
from satfl_env.data.images import ImageData
from satfl_env.data.own import own_images
from satfl_env.data.partition import count_split, dirichlet_split, draw_task_samples, equal_split
from satfl_env.data.sources import NUM_CLASSES, SOURCES, check_source, load_images
from satfl_env.data.tasks import Task, common_alphabet, label_pmf, task_labels, task_letters

__all__ = [
    "NUM_CLASSES",
    "SOURCES",
    "ImageData",
    "Task",
    "check_source",
    "common_alphabet",
    "count_split",
    "dirichlet_split",
    "draw_task_samples",
    "equal_split",
    "label_pmf",
    "load_images",
    "own_images",
    "places_under_track",
    "read_land",
    "task_labels",
    "task_letters",
]
