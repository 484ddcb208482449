"""Constellations of published elements of which each episode draws some satellites."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from satfl_env import SatFLEnv, scenarios
from satfl_env.orbits import FamilyScene, load_elements, samples
from satfl_env.scenarios import Scenario, ScenarioError
from satfl_env.simulation import ScenePart
from tests.scenarios.test_decay import FALLING, HIGH

FAMILY = {
    "kind": "catalogue-family",
    "elements": ["polar-like", "sentinel-like"],
    "satellites": 6,
    "planes": [2, 3],
    "start_within_s": 20 * 86_400.0,
    "gateways_drawn": 2,
    "gateways": ["Svalbard", "Kourou", "Awarua", "Troll"],
}
BOUNDS = ("horizon_s", "min_distance_m", "max_distance_m", "max_position_m", "max_speed_mps")
SEEDS = range(30)


def load(**changes: Any) -> Scenario:
    """`earth` with another constellation and no training."""
    return scenarios.load(
        "earth", **{"constellation": FAMILY | changes, "training.engine": "none", "rounds.episode": 2}
    )


def part(**changes: Any) -> ScenePart:
    scenario = load(**changes)
    return scenario.constellation.scenes(scenario.rounds)


def drawn(**changes: Any) -> list[FamilyScene]:
    make = part(**changes)
    return [make(np.random.default_rng(seed)) for seed in SEEDS]


def plane(name: str) -> str:
    """POLAR-LIKE 3-2 is of POLAR-LIKE 3, and SENTINEL-1A-LIKE of SENTINEL-1."""
    return name.split("-LIKE")[0][:10] if name.startswith("SENTINEL") else name[:12]


def test_everything_that_may_differ_does_and_keeps_its_size():
    scenes = drawn()
    members = [[plane(name) for name in scene.orbits.names] for scene in scenes]
    sizes = [sorted(names.count(one) for one in set(names)) for names in members]
    assert {tuple(size) for size in sizes} == {(2, 2, 2), (3, 3)}
    assert set().union(*(scene.orbits.names for scene in scenes)) == set(load().constellation.orbits().names)
    assert {gateway.name for scene in scenes for gateway in scene.gateways} == set(FAMILY["gateways"])
    assert all(scene.num_satellites == 6 and scene.num_gateways == 2 for scene in scenes)
    started_days = np.array([scene.orbits.epoch.jd for scene in scenes]) - 2_461_041.5
    assert 0 <= started_days.min() < 3
    assert 17 < started_days.max() <= 20


def test_planes_that_have_not_more_satellites_than_needed_fly_whole():
    for scene in drawn(elements=["polar-like"], planes=[2]):
        names = scene.orbits.names
        assert names[:3] + names[3:] == tuple(f"{plane(names[row])}-{1 + row % 3}" for row in range(6))


def test_without_planes_any_satellites_fly():
    scenes = drawn(planes=[], satellites=5)
    counts = {len({plane(name) for name in scene.orbits.names}) for scene in scenes}
    assert counts >= {3, 4}
    assert len({scene.orbits.names for scene in scenes}) == len(scenes)


def test_the_satellites_drawn_are_where_their_elements_say():
    whole = load().constellation.orbits()
    scene = drawn()[0]
    elapsed_s = (scene.orbits.epoch - whole.epoch).sec
    rows = [whole.names.index(name) for name in scene.orbits.names]
    expected_m = whole.states(np.array([elapsed_s + 600.0]))[0][0, rows]
    np.testing.assert_allclose(scene.orbits.states(np.array([600.0]))[0][0], expected_m, atol=0.5)


def test_bounds_hold_for_the_whole_family():
    scenes = drawn()
    for name in BOUNDS:
        assert len({getattr(scene, name) for scene in scenes}) == 1
    for scene in scenes[:10]:
        snapshot = scene.at(3000.0)
        assert np.abs(snapshot.position_m).max() <= scene.max_position_m
        assert np.linalg.norm(snapshot.velocity_mps, axis=1).max() <= scene.max_speed_mps
        assert scene.min_distance_m <= snapshot.distance_m.min()
        assert snapshot.distance_m.max() <= scene.max_distance_m
        assert snapshot.window_s.max() <= scene.horizon_s
    # That of the polar satellites, which are the higher ones.
    assert scenes[0].horizon_s == pytest.approx(86_400 / 13.15, rel=1e-3)


def test_episodes_have_one_space_and_their_seed_decides():
    env, twin = SatFLEnv(load()), SatFLEnv(load())
    first, _ = env.reset(seed=1)
    other, _ = env.reset(seed=2)
    again, _ = twin.reset(seed=1)
    assert first in env.observation_space
    assert other in env.observation_space
    for key, values in first.items():
        np.testing.assert_array_equal(values, again[key])
    assert not np.array_equal(first["position_m"], other["position_m"])


def test_names_divide_a_catalogue_into_families_without_a_common_satellite():
    train, held_out = (
        {name for scene in drawn(planes=[], satellites=4, names=names) for name in scene.orbits.names}
        for names in (["POLAR-LIKE [12]-*", "SENTINEL-1*"], ["POLAR-LIKE [!12]-*"])
    )
    assert train == {f"POLAR-LIKE {p}-{n}" for p in (1, 2) for n in (1, 2, 3)} | {
        "SENTINEL-1A-LIKE",
        "SENTINEL-1C-LIKE",
    }
    assert held_out == {f"POLAR-LIKE {p}-{n}" for p in (3, 4) for n in (1, 2, 3)}


def test_several_files_are_read_as_one(tmp_path: Path):
    """A history may be spread over files: of each satellite the newest set that is not newer than the epoch flies."""
    header, *rows = samples()["polar-like"].read_text(encoding="utf-8").splitlines()[1:]
    files = [tmp_path / f"{day}.csv" for day in (1, 2, 3)]
    for day, file in enumerate(files, 1):
        later = [row.replace("2026-01-01T", f"2026-01-{day:02}T") for row in rows]
        file.write_text("\n".join([header, *later]), encoding="utf-8")
    orbits = load_elements([*files, samples()["sentinel-like"]], "2026-01-02T12:00:00")
    assert orbits.num_satellites == 19
    assert {satellite.jdsatepoch for satellite in orbits.satellites[:12]} == {2_461_042.5}
    one = load_elements(str(files[1]), "2026-01-02T12:00:00")
    np.testing.assert_array_equal(one.states(np.zeros(1))[0], orbits.states(np.zeros(1))[0][:, :12])


def test_files_are_found_beside_the_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "own.csv").write_bytes(samples()["polar-like"].read_bytes())
    raw = load().model_dump(mode="json")
    raw["constellation"]["elements"] = ["own.csv", "sentinel-like"]
    (folder / "scenario.yaml").write_text(yaml.safe_dump(raw))
    monkeypatch.chdir(tmp_path)
    scenario = scenarios.load("mine/scenario.yaml")
    assert scenario.constellation.elements == (str(folder / "own.csv"), "sentinel-like")
    changed = scenarios.load("mine/scenario.yaml", **{"constellation.elements": ["mine/own.csv"]})
    assert changed.constellation.elements == (str(folder / "own.csv"),)


def test_satellites_that_come_down_are_drawn_in_no_episode(tmp_path: Path):
    file = tmp_path / "falling.tle"
    file.write_text("\n".join([*HIGH, *FALLING]), encoding="utf-8")
    changes: dict[str, Any] = {"elements": [str(file), "sentinel-like"], "planes": [], "satellites": 8}
    with pytest.raises(ScenarioError, match=r"constellation\.decay: 'FALLING' comes down at "):
        load(**changes)
    assert {"FALLING"}.isdisjoint(drawn(**changes, decay="leave-out")[0].orbits.names)
    with pytest.raises(ScenarioError, match=r"constellation\.satellites must be at most 8, those to draw from, got 9"):
        load(**{**changes, "satellites": 9}, decay="leave-out")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"planes": [2, 4]}, "constellation.planes must divide satellites = 6, got 4"),
        ({"planes": [1]}, "constellation.planes must be at most 0, those of 7 with 6 satellites or more, got 1"),
        ({"satellites": 18, "planes": [6]}, "constellation.planes must be at most 5, those of 7 with 3 satellites"),
        ({"satellites": 20, "planes": []}, "constellation.satellites must be at most 19, those to draw from, got 20"),
        ({"names": ["SENT*", "IRIDIUM*"]}, "constellation.names: none of 19 satellites has a name like 'IRIDIUM*'"),
        ({"names": []}, "constellation.names"),
        ({"elements": ["polar-like", "none.tle"]}, "constellation.elements: there is no file of orbital elements '"),
        ({"elements": "polar-like"}, "constellation.elements: Input should be a valid list, got 'polar-like'"),
        ({"elements": []}, "constellation.elements"),
        ({"gateways_drawn": 5}, "constellation.gateways_drawn must be at most 4, as many as gateways, got 5"),
        ({"start_within_s": 40 * 86_400.0}, "constellation.start_within_s is too long, got 3.456e+06: epoch must be"),
    ],
)
def test_impossible_families_are_refused_by_field(changes: dict[str, Any], words: str):
    with pytest.raises(ScenarioError) as error:
        load(**changes)
    assert words in str(error.value)
