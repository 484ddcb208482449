"""Where satellites are: scenes, positions, velocities, contact windows and the Earth's shadow."""

from __future__ import annotations

from satfl_env.orbits.constellation import ConstellationScene
from satfl_env.orbits.contacts import ContactWindows, contact_windows
from satfl_env.orbits.cowell import CowellOrbits
from satfl_env.orbits.eclipse import eclipses, in_cylindrical_shadow, sunlit_fraction, sunlit_s
from satfl_env.orbits.elements import load_elements, samples
from satfl_env.orbits.family import FamilyScene
from satfl_env.orbits.forecast import REACH_S, Forecast, ForecastSettings
from satfl_env.orbits.frames import make_epoch, sun_position_m, times_after
from satfl_env.orbits.gateways import Gateway, site, sites
from satfl_env.orbits.ground_track import GroundTrack, geodetic, geodetic_deg, ground_track
from satfl_env.orbits.intervals import Intervals
from satfl_env.orbits.kepler import KeplerOrbits, orbits_from_boinor, orbits_from_states
from satfl_env.orbits.line_of_sight import GrazingHeight, line_of_sight
from satfl_env.orbits.planar import PlanarScene, remaining_window_s, uniform_phases
from satfl_env.orbits.planes import plane_numbers
from satfl_env.orbits.propagation import Orbits, earth_fixed_states
from satfl_env.orbits.sampled import as_foreseen
from satfl_env.orbits.scene import ForeseenScene, Scene, SceneSnapshot, positions_m
from satfl_env.orbits.sgp4_orbits import Sgp4Orbits
from satfl_env.orbits.space_gateways import GeostationaryGateway, OrbitingGateway, SpaceGateway
from satfl_env.orbits.walker import walker

__all__ = [
    "REACH_S",
    "ConstellationScene",
    "ContactWindows",
    "CowellOrbits",
    "FamilyScene",
    "Forecast",
    "ForecastSettings",
    "ForeseenScene",
    "Gateway",
    "GeostationaryGateway",
    "GrazingHeight",
    "GroundTrack",
    "Intervals",
    "KeplerOrbits",
    "OrbitingGateway",
    "Orbits",
    "PlanarScene",
    "Scene",
    "SceneSnapshot",
    "Sgp4Orbits",
    "SpaceGateway",
    "as_foreseen",
    "contact_windows",
    "earth_fixed_states",
    "eclipses",
    "geodetic",
    "geodetic_deg",
    "ground_track",
    "in_cylindrical_shadow",
    "line_of_sight",
    "load_elements",
    "make_epoch",
    "orbits_from_boinor",
    "orbits_from_states",
    "plane_numbers",
    "positions_m",
    "remaining_window_s",
    "samples",
    "site",
    "sites",
    "sun_position_m",
    "sunlit_fraction",
    "sunlit_s",
    "times_after",
    "uniform_phases",
    "walker",
]
