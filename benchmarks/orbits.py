"""Propagation and contact windows: our own seconds, and how many times longer boinor and skyfield take.

The memory of windows is measured in a separate process. A step besides training is all of it except the call of the
trainer: physics, observation, aggregation and test.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from astropy import units
from astropy.time import TimeDelta
from boinor.bodies import Earth
from boinor.twobody import Orbit
from boinor.twobody.sampling import EpochsArray
from skyfield.api import EarthSatellite, load, wgs84

from benchmarks.memory import forget_peak_mb, peak_mb
from benchmarks.timing import duration_s
from satfl_baselines import make_policy
from satfl_env import SatFLEnv, decision_to_action
from satfl_env.envs.joint_step import JointStep
from satfl_env.federated import thread_limit
from satfl_env.orbits import KeplerOrbits, Sgp4Orbits, contact_windows, load_elements, samples, sites, walker
from satfl_env.scenarios import load as load_scenario

DAY_S = 86_400.0
EPOCH = "2026-03-01T00:00:00"


def run(quick: bool) -> dict[str, float]:
    """Measure everything; `quick` takes fewer satellites and shorter spans.

    Returns:
        Values by name; each name ends in its unit, ratios say what they compare.
    """
    many, span_s = (200, DAY_S / 4) if quick else (1000, DAY_S)
    return {
        **propagation(satellites=many, times=200 if quick else 1000),
        **passes(satellites=7, gateways=3, span_s=span_s),
        **passes(satellites=many // 5, gateways=10, span_s=span_s),
        **windows(satellites=many, gateways=10, span_s=span_s),
        **({} if quick else windows(satellites=10_000, gateways=30, span_s=span_s)),
        **shell("starlink-shell", rounds=3 if quick else 30),
        **({} if quick else shell("mega-shell", rounds=5)),
    }


def propagation(*, satellites: int, times: int) -> dict[str, float]:
    """Two-body states of all satellites at all times, against boinor's `Orbit.to_ephem` satellite by satellite."""
    orbits = walker(satellites, 10, 1, altitude_m=600e3, inclination_deg=70, epoch=EPOCH, j2=False)
    time_s = np.linspace(0.0, DAY_S, times)
    ours_s = fastest(lambda: orbits.states(time_s))
    strategy = EpochsArray(orbits.epoch.tdb + TimeDelta(time_s, format="sec"))
    few = [_boinor_orbit(orbits, satellite) for satellite in range(5)]
    theirs_s = fastest(lambda: [orbit.to_ephem(strategy) for orbit in few]) / len(few) * satellites
    name = f"propagation, {satellites} satellites x {times} times"
    return {f"{name}: seconds": ours_s, f"{name}: boinor to_ephem / ours": theirs_s / ours_s}


def passes(*, satellites: int, gateways: int, span_s: float) -> dict[str, float]:
    """Passes of satellites propagated by SGP4, against skyfield's `find_events` for some of the pairs, one by one."""
    sample = load_elements(samples()["sentinel-like"])
    copies = -(-satellites // sample.num_satellites)
    orbits = Sgp4Orbits((sample.satellites * copies)[:satellites], (sample.names * copies)[:satellites])
    places = list(sites().values())[:gateways]
    ours_s = fastest(lambda: contact_windows(orbits, places, 0.0, span_s))
    timescale = load.timescale(builtin=True)
    start = timescale.from_astropy(orbits.epoch)
    end = timescale.tt_jd(start.tt + span_s / DAY_S)
    pairs = [(record, place) for record in sample.satellites for place in places[:3]]

    def theirs() -> None:
        for record, place in pairs:
            spot = wgs84.latlon(place.latitude_deg, place.longitude_deg, place.altitude_m)
            twin = EarthSatellite.from_satrec(record, timescale)
            twin.find_events(spot, start, end, altitude_degrees=place.min_elevation_deg)

    theirs_s = fastest(theirs) / len(pairs) * satellites * gateways
    name = f"passes, {satellites} satellites x {gateways} gateways x {span_s / 3600:g} h, SGP4"
    return {f"{name}: seconds": ours_s, f"{name}: skyfield find_events / ours": theirs_s / ours_s}


def windows(*, satellites: int, gateways: int, span_s: float) -> dict[str, float]:
    """All contact windows of a large Walker constellation, and the memory they take at the most."""
    command = [sys.executable, "-m", "benchmarks.orbits", str(satellites), str(gateways), str(span_s)]
    ours_s, more_mb = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    name = f"windows, {satellites} satellites x {gateways} gateways x {span_s / 3600:g} h"
    return {f"{name}: seconds": ours_s, f"{name}: more memory at the peak, MB": more_mb}


def shell(scenario: str, *, rounds: int) -> dict[str, float]:
    """A whole shell: the slower of two resets, one of them the process's first, and a step besides its training.

    Where nobody trains, models are not moved, compared and tested either.
    """
    reset_s, steps_s = {}, {}
    for engine in ("none", "auto"):
        reset_s[engine], steps_s[engine] = _episode_s(scenario, engine, rounds)
    return {
        f"{scenario}: reset, s": max(reset_s.values()),
        f"{scenario}: step besides training, ms": 1e3 * statistics.median(steps_s["auto"]),
        f"{scenario}: step where nobody trains, ms": 1e3 * statistics.median(steps_s["none"]),
    }


def fastest(job: Callable[[], object], *, repeats: int = 3) -> float:
    """The shortest of some runs in seconds, after one that warms up where there are several."""
    if repeats > 1:
        job()
    return min(duration_s(job) for _ in range(repeats))


def _boinor_orbit(orbits: KeplerOrbits, satellite: int) -> Orbit:
    return Orbit.from_classical(
        Earth,
        orbits.semi_major_axis_m[satellite] * units.m,
        orbits.eccentricity[satellite] * units.one,
        orbits.inclination_rad[satellite] * units.rad,
        orbits.raan_rad[satellite] * units.rad,
        orbits.argument_of_perigee_rad[satellite] * units.rad,
        orbits.mean_anomaly_rad[satellite] * units.rad,
        epoch=orbits.epoch.tdb,
    )


def _episode_s(scenario: str, engine: str, rounds: int) -> tuple[float, list[float]]:
    """Seconds of a reset, and of each of some steps after two that warm up; two environments may not fit the memory."""
    env = SatFLEnv(load_scenario(scenario, **{"training.engine": engine, "rounds.episode": rounds + 2}))
    reset_s = duration_s(partial(env.reset, seed=0))
    return reset_s, [_step_besides_training_s(env) for _ in range(rounds + 2)][2:]


def _step_besides_training_s(env: SatFLEnv) -> float:
    """Seconds of a step under SemSpaceFL's policy, part by part, without those of policy and training."""
    simulation = env.simulation
    action = decision_to_action(make_policy("semspacefl")(simulation.state), simulation.state)
    with thread_limit(1):
        step = JointStep(env.step, simulation)
        began = time.perf_counter()
        opened = simulation.begin(step.switch(action))
        before_s = time.perf_counter() - began
        trained = simulation.trainer.train(*opened.job)
        began = time.perf_counter()
        learned = simulation.learn(opened, trained)
        test = simulation.evaluate(learned.job)
        step.switch(simulation.finish(learned, test))
        return before_s + time.perf_counter() - began


def _measure_windows(satellites: int, gateways: int, span_s: float) -> tuple[float, float]:
    """Seconds, and more memory at the peak in MB, of the windows of a large constellation in this process."""
    orbits = walker(satellites, 20, 1, altitude_m=550e3, inclination_deg=53, epoch=EPOCH)
    places = list(sites().values())[:gateways]
    contact_windows(orbits, places[:1], 0.0, 600.0)
    before_mb = forget_peak_mb()
    ours_s = duration_s(lambda: contact_windows(orbits, places, 0.0, span_s))
    return ours_s, peak_mb() - before_mb


if __name__ == "__main__":
    print(json.dumps(_measure_windows(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))))
