"""Where satellites are: scenes, positions, velocities and contact windows."""

from __future__ import annotations

from satfl_env.orbits.planar import PlanarScene, remaining_window_s, uniform_phases
from satfl_env.orbits.scene import Scene, SceneSnapshot

__all__ = ["PlanarScene", "Scene", "SceneSnapshot", "remaining_window_s", "uniform_phases"]
