from __future__ import annotations

import numpy as np
import pytest
import yaml

from satfl_baselines import make_policy
from satfl_env import Decision, NetworkState, Outcome, Simulation, scenarios
from satfl_env.orbits import ConstellationScene
from satfl_env.scenarios import ScenarioError
from tests.factories import decide as longest_window

NO_TRAINING = {"training.engine": "none"}
SMALL = {**NO_TRAINING, "data.test_samples": 4, "data.partition.max_samples": 20, "data.partition.span_s": 7200.0}


def build(name: str, **overrides: object) -> Simulation:
    return scenarios.build(scenarios.load(name, **overrides))


def decide(state: NetworkState) -> Decision:
    return longest_window(state, cpu_frequency=np.full(state.num_satellites, 3e8))


@pytest.fixture(scope="module")
def walker_earth() -> Simulation:
    return build("walker-earth", **SMALL)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("walker-earth", (24, 10)),
        ("sentinel", (7, 8)),
        ("stratosphere", (40, 10)),
        ("starlink-shell", (1584, 30)),
        ("mega-shell", (10_000, 50)),
    ],
)
def test_configurations_know_their_size(name, shape):
    constellation = scenarios.load(name).constellation
    assert (constellation.num_satellites, constellation.num_gateways) == shape


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"constellation.planes": 7}, ["constellation", "planes must divide satellites = 24, got 7"]),
        ({"constellation.phasing": 6}, ["phasing must lie in 0..5, got 6"]),
        ({"constellation.altitude_m": -1}, ["constellation.altitude_m", "equal to 100000"]),
        ({"constellation.altitude_m": 1e30}, ["constellation.altitude_m", "less than or equal to 1493621863"]),
        (
            {"constellation.epoch": "2035-12-31T23:59:00"},
            ["constellation.start_within_s is too long, got 86400: epoch must lie in the years 2000..2035, got 2036"],
        ),
        ({"constellation.start_within_s": 1e50}, ["constellation.start_within_s is too long, got 1e+50"]),
        ({"rounds.cadence_s": 1e12}, ["constellation.start_within_s and the rounds", "cadence_s", "at most 3.2e+09 s"]),
        ({"rounds.minimum_s": 1e60}, ["constellation.start_within_s and the rounds", "minimum_s", "got 3e+61 s"]),
        ({"constellation.satellites": 0}, ["constellation.satellites", "greater than or equal to 1"]),
        ({"constellation.epoch": "soon"}, ["constellation.epoch", "ISO 8601"]),
        ({"constellation.epoch": "1900-01-01"}, ["constellation.epoch", "years 2000..2035"]),
        ({"constellation.gateways": []}, ["constellation.gateways: there must be at least one gateway, got none"]),
        ({"constellation.gateways": ["Svalbord"]}, ["constellation.gateways.0", "did you mean 'Svalbard'"]),
        ({"constellation.gateways": ["Kourou", "Kourou"]}, ["constellation.gateways", "distinct names"]),
        (
            {"constellation.gateways": [{"name": "Off", "latitude_deg": 91, "longitude_deg": 0}]},
            ["constellation.gateways.0.latitude_deg", "less than or equal to 90"],
        ),
        ({"constellation.gateways": [{"name": "Half", "latitude_deg": 1}]}, ["gateways.0.longitude_deg: missing"]),
        (
            {"constellation": {"kind": "tle", "elements": "none.tle", "gateways": ["Kourou"]}},
            ["constellation", "no file of orbital elements '", "/none.tle'", "sentinel-like"],
        ),
        ({"onboard.energy.panels": {"area_m2": 0.1}}, ["onboard.energy", "give harvest_w or panels, not both"]),
        ({"onboard.energy.depth_of_discharge": 1.2}, ["onboard.energy.depth_of_discharge", "less than or equal to 1"]),
        ({"data.partition.swath_m": 0}, ["data.partition.swath_m"]),
    ],
)
def test_bad_constellations_are_refused_with_field_value_and_what_is_allowed(overrides, words):
    with pytest.raises(ScenarioError) as error:
        scenarios.load("walker-earth", **overrides)
    for word in words:
        assert word in str(error.value)


def test_paths_inside_a_file_count_from_its_folder(tmp_path, monkeypatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    sample = scenarios.load("sentinel").constellation.path
    (folder / f"elements{sample.suffix}").write_bytes(sample.read_bytes())
    raw = scenarios.load("sentinel").model_dump(mode="json")
    raw["constellation"]["elements"] = f"elements{sample.suffix}"
    raw["data"]["data_dir"] = "images"
    (folder / "scenario.yaml").write_text(yaml.safe_dump(raw))
    monkeypatch.chdir(tmp_path)
    scenario = scenarios.load("mine/scenario.yaml")
    assert scenario.constellation.num_satellites == 7
    assert scenario.data.data_dir == str(folder / "images")
    # Overrides count from where one is.
    elements = f"mine/elements{sample.suffix}"
    changed = scenarios.load("mine/scenario.yaml", **{"constellation.elements": elements})
    assert changed.constellation.num_satellites == 7
    assert scenarios.load("sentinel", **{"constellation.elements": "polar-like"}).constellation.num_satellites


@pytest.mark.parametrize(
    ("text", "epoch"),
    [
        ("2026-03-20", "2026-03-20"),
        ("2026-03-20T06:00:00", "2026-03-20T06:00:00"),
        ("2026-03-20T06:00:00Z", "2026-03-20T06:00:00"),
        ("2026-03-20T06:00:00+02:00", "2026-03-20T04:00:00"),
        ("'2026-03-20T06:00:00'", "2026-03-20T06:00:00"),
    ],
)
def test_epochs_need_no_quotes(text, epoch):
    assert scenarios.load("walker-earth", **{"constellation.epoch": yaml.safe_load(text)}).constellation.epoch == epoch


def test_bad_elements_name_file_and_line(tmp_path):
    path = tmp_path / "bad.tle"
    path.write_text("1 99001U\n")
    with pytest.raises(ScenarioError, match=r"bad\.tle: line 1: .* 69 characters"):
        scenarios.load("sentinel", **{"constellation.elements": str(path)})


def test_an_error_is_told_once():
    with pytest.raises(ScenarioError) as error:
        scenarios.load("walker-earth", **{"constellation.gateways": [{"name": "Svalbard", "min_elevation_deg": 90}]})
    _, *problems = str(error.value).splitlines()
    assert problems == ["  constellation.gateways.0.min_elevation_deg: Input should be less than 90, got 90"]


def test_episodes_may_not_start_long_after_the_elements():
    with pytest.raises(
        ScenarioError, match=r"start_within_s is too long, got 3\.456e\+06: epoch must be within 30 days"
    ):
        scenarios.load("sentinel", **{"constellation.start_within_s": 40 * 86_400.0})


@pytest.mark.parametrize("epoch", ["2000-01-01T00:00:00", "2035-12-31T23:59:00"])
def test_episodes_run_at_the_ends_of_the_years(epoch):
    # The ground track lies before the start, the rounds after it.
    simulation = build("walker-earth", **SMALL, **{"constellation.epoch": epoch, "constellation.start_within_s": 0.0})
    state = simulation.reset(0)
    for _ in range(2):
        state, _ = simulation.step(decide(state))
    assert np.isfinite(state.position_m).all()


def test_ground_tracks_need_a_globe_and_images_with_a_place():
    with pytest.raises(ScenarioError, match="'ground-track' needs a constellation on the globe"):
        scenarios.load("semspacefl-mini", **{"data.partition": {"kind": "ground-track"}})
    with pytest.raises(ValueError, match=r"data\.source must be 'blue-marble'"):
        build("walker-earth", **{**SMALL, "data.source": "digits"}).reset(0)


def test_episodes_start_at_different_times_within_the_span(walker_earth):
    walker_earth.reset(0)
    first = walker_earth.scene
    walker_earth.reset(1)
    assert isinstance(first, ConstellationScene)
    apart = (walker_earth.scene.orbits.epoch - first.orbits.epoch).sec
    assert 1.0 < abs(apart) < 86_400.0
    fixed = build("walker-earth", **{**SMALL, "constellation.start_within_s": 0.0})
    np.testing.assert_array_equal(fixed.reset(0).position_m, fixed.reset(1).position_m)


def test_own_places_and_sites_become_gateways():
    places = ["kiruna", {"name": "Mine", "latitude_deg": 10, "longitude_deg": 200, "min_elevation_deg": 30}]
    simulation = build("walker-earth", **{**SMALL, "constellation.gateways": places})
    simulation.reset(0)
    one, other = simulation.scene.gateways
    assert (one.name, one.altitude_m) == ("Kiruna", 400.0)
    assert (other.latitude_deg, other.longitude_deg, other.min_elevation_deg) == (10.0, 200.0, 30.0)


def test_batteries_fill_in_sunlight_alone_and_keep_their_floor(walker_earth):
    state = walker_earth.reset(2)
    energy = scenarios.load("walker-earth").onboard.energy
    charge = np.full(24, energy.initial_j)
    floor = (1 - energy.depth_of_discharge) * energy.capacity_j
    lit = np.zeros(24)
    for _ in range(8):
        np.testing.assert_allclose(state.energy_j, np.maximum(charge - floor, 0), rtol=1e-9)
        state, report = walker_earth.step(decide(state))
        seconds = walker_earth.scene.sunlit_s(report.time_s, report.time_s + report.duration_s)
        lit += seconds / report.duration_s / 8
        charge += energy.harvest_w * seconds - energy.standing_w * report.duration_s - report.energy_j
        charge = np.clip(charge, 0, energy.capacity_j)
    assert lit.min() < 0.9
    assert lit.max() > 0.6


@pytest.mark.parametrize("policy", ["full", "semspacefl"])
def test_the_battery_of_walker_earth_binds(policy):
    """Satellites are without energy in some rounds and not in all."""
    simulation = build("walker-earth", **{**SMALL, "data.partition.max_samples": 100})
    decide_by, state, rounds = make_policy(policy, 0), simulation.reset(0), []
    while not simulation.finished:
        state, report = simulation.step(decide_by(state))
        rounds.append((np.sum(report.outcome == Outcome.OUT_OF_ENERGY), np.sum(report.returned)))
    short, returned = np.transpose(rounds)
    assert 0.1 < np.mean(short > 0) < 0.9
    assert 0.02 < short.sum() / (short.sum() + returned.sum()) < 0.5


def test_satellites_hold_what_lies_under_their_track(walker_earth):
    state = walker_earth.reset(0)
    assert ((state.samples > 0) & (state.samples <= 20)).all()
    shares = walker_earth.label_pmf
    assert shares.shape == (24, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert np.ptp(shares[:, 0]) > 0.2
    with pytest.raises(ValueError, match=r"span_s must be longer .* saw no image"):
        build("walker-earth", **{**SMALL, "data.partition.span_s": 10.0}).reset(0)


def test_a_cohort_is_drawn_anew_from_those_in_sight_every_round():
    simulation = build("starlink-shell", **{**NO_TRAINING, "rounds.cohort": 5, "data.test_samples": 4})
    state = simulation.reset(0)
    cohorts = []
    for _ in range(3):
        decision = decide(state)
        state, report = simulation.step(decision)
        cohorts.append(np.flatnonzero(report.outcome != Outcome.SAT_OUT))
        assert len(cohorts[-1]) == 5
        assert (decision.association[cohorts[-1]] < 30).all()
    assert len(np.unique(np.concatenate(cohorts))) > 10
    again = simulation.reset(0)
    _, report = simulation.step(decide(again))
    np.testing.assert_array_equal(np.flatnonzero(report.outcome != Outcome.SAT_OUT), cohorts[0])


@pytest.mark.slow
def test_ten_thousand_satellites_play_a_round():
    simulation = build("mega-shell", **{**NO_TRAINING, "data.test_samples": 4})
    _, report = simulation.step(decide(simulation.reset(0)))
    assert np.count_nonzero(report.outcome != Outcome.SAT_OUT) == 200


def test_fewer_candidates_than_the_cohort_all_take_part(walker_earth):
    limited = build("walker-earth", **{**SMALL, "rounds.cohort": 24})
    state, other = walker_earth.reset(3), limited.reset(3)
    _, report = walker_earth.step(decide(state))
    _, same = limited.step(decide(other))
    np.testing.assert_array_equal(report.outcome, same.outcome)
