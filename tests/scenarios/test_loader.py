from __future__ import annotations

from importlib import resources

import pytest
import yaml

from satfl_env import scenarios
from satfl_env.envs import SatFLEnv
from satfl_env.links import FixedIsl
from satfl_env.onboard import EnergyDraws
from satfl_env.scenarios import ScenarioError
from satfl_env.scenarios.links import RadioLinks


@pytest.mark.parametrize("name", scenarios.names())
def test_every_built_in_scenario_loads_and_round_trips(name, tmp_path):
    scenario = scenarios.load(name)
    assert scenario.name == name
    assert scenario.description
    path = tmp_path / "copy.yaml"
    path.write_text(yaml.safe_dump(scenario.model_dump(mode="json")))
    assert scenarios.load(path) == scenario


def test_the_promised_scenarios_are_built_in():
    assert {"leo-multitask", "semspacefl-mini", "task-clustering", "task-clustering-mini"} <= set(scenarios.names())


def test_dotted_overrides_change_only_what_they_name():
    base = scenarios.load("leo-multitask")
    changed = scenarios.load("leo-multitask", **{"training.batch_size": 7, "rounds": {"episode": 3}})
    assert changed.training.batch_size == 7
    assert changed.rounds.episode == 3
    assert changed.rounds.cloud_every == base.rounds.cloud_every
    assert changed.data == base.data


def test_overrides_reach_into_sections_that_are_null_and_leave_the_callers_values_alone():
    links = {"kind": "ideal"}
    changed = scenarios.load(
        "leo-multitask", **{"rounds.late": None, "rounds.late.buffer": 3, "links": links, "links.rate_bps": 1e6}
    )
    assert changed.rounds.late.buffer == 3
    assert changed.links.rate_bps == 1e6
    assert links == {"kind": "ideal"}


def test_a_section_without_a_kind_is_of_the_default_one(tmp_path):
    config = scenarios.load("leo-multitask").model_dump(mode="json")
    del config["links"]
    config["onboard"]["energy"] = {"std_j": 5.0}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(config))
    mine = scenarios.load(path, **{"links.carrier_hz": 20e9, "onboard.energy.mean_j": 50.0})
    assert mine.links == RadioLinks(carrier_hz=20e9)
    assert mine.onboard.energy == EnergyDraws(mean_j=50.0, std_j=5.0)
    globe = scenarios.load("walker-earth", **{"rounds.relay.isl": {"rate_bps": 2e8}})
    assert globe.rounds.relay.isl == FixedIsl(rate_bps=2e8)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"training.batch_sise": 4}, ["training.batch_sise", "unknown key", "did you mean 'batch_size'"]),
        ({"training.batch_size": 0}, ["training.batch_size", "greater than or equal to 1", "got 0"]),
        ({"training.learning_rate": float("nan")}, ["training.learning_rate", "got nan"]),
        ({"training.engine": "warp"}, ["training.engine", "'stacked'", "got 'warp'"]),
        ({"constellation.gateways_m": [[1, 2, 3]]}, ["constellation.gateways_m.0"]),
        ({"constellation.gateways_m": []}, ["constellation.gateways_m"]),
        ({"onboard.energy.mean_j": -1}, ["onboard.energy", "mean_j", "greater than 0", "got -1"]),
        ({"onboard.energy": {"meen_j": 5.0}}, ["meen_j", "did you mean 'mean_j'"]),
        ({"data.partition.samples": [80, 15]}, ["data.partition", "lowest <= highest"]),
        ({"model.hidden.units": 4}, ["model.hidden", "no fields inside"]),
        ({"data.partition": {"kind": "equal", "tasks": [], "samples": [1, 2]}}, ["data.partition"]),
    ],
)
def test_bad_values_are_refused_with_field_value_and_what_is_allowed(overrides, words):
    with pytest.raises(ScenarioError) as error:
        scenarios.load("leo-multitask", **overrides)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("name", "overrides", "problem"),
    [
        (
            "walker-earth",
            {"constellation.circles": []},
            "constellation.circles: unknown key of kind 'walker', belongs to kind 'planar'",
        ),
        (
            "semspacefl-mini",
            {"onboard.energy": {"capacity_j": 5.0}},
            "onboard.energy.capacity_j: unknown key of kind 'draws', belongs to kind 'battery'",
        ),
        (
            "leo-multitask",
            {"links": None, "links.rate_bps": 1e6},
            "links.rate_bps: unknown key of kind 'radio', belongs to kind 'ideal'",
        ),
        (
            "leo-multitask",
            {"links": None, "links.carrier_hz": "20e9x"},
            "links.carrier_hz: Input should be a valid number, unable to parse string as a number, got '20e9x'",
        ),
        (
            "leo-multitask",
            {"server.beta_1": 0.5},
            "server.kind: missing, allowed are 'fedavg', 'fedavgm', 'fedadam'; its keys are those of 'fedadam'",
        ),
        (
            "leo-multitask",
            {"links.kind": "radoi"},
            "links.kind: must be one of 'radio', 'noma', 'ideal', got 'radoi', did you mean 'radio'?",
        ),
        (
            "leo-multitask",
            {"compression.upload": {"kind": "quantized", "bits": 4}},
            "compression.upload.kind: must be one of 'quantised', 'top-k', 'random-k', 'progressive', got 'quantized', "
            "did you mean 'quantised'?",
        ),
        ("leo-multitask", {"links": 3}, "links: must be a section with kind 'radio', 'noma', 'ideal', got 3"),
        (
            "leo-multitask",
            {"rounds.late": 3},
            "rounds.late: must be a section with kind 'buffered', 'fedsat', 'fedasync', 'asyncfleo', 'fedgsm', got 3",
        ),
        ("leo-multitask", {"batch_size": 3}, "batch_size: unknown key, did you mean 'training.batch_size'?"),
        (
            "leo-multitask",
            {"rounds.late": {"zzz": 3}},
            "rounds.late.zzz: unknown key, allowed are buffer, server_rate, staleness_power, kind",
        ),
        (
            "leo-multitask",
            {"constellation.circles": [{"radius_m": 1e6, "satellites": 0}]},
            "constellation.circles.0.satellites: Input should be greater than or equal to 1, got 0",
        ),
        (
            "leo-multitask",
            {"model.channel.snr_db": float("inf")},
            "model.channel.snr_db: must be a number or [lowest, highest] within -200..200 dB, got inf",
        ),
        (
            "leo-multitask",
            {"model.channel.snr_db": [3, 1]},
            "model.channel.snr_db: must be a number or [lowest, highest] within -200..200 dB, got [3, 1]",
        ),
        (
            "leo-multitask",
            {"model.channel.snr_db": 500},
            "model.channel.snr_db: must be a number or [lowest, highest] within -200..200 dB, got 500",
        ),
        (
            "leo-multitask",
            {"data.source": "digitz"},
            "data.source: unknown name 'digitz', did you mean 'digits'? "
            "allowed: blue-marble, digits, eurosat, image-folder, imagenette, mnist",
        ),
        (
            "semspacefl",
            {"data.image_size": None},
            "data.image_size: missing, source 'imagenette' needs the side in pixels that images are scaled to",
        ),
        (
            "leo-multitask",
            {"training": {"engine": "loop", "precision": "bfloat16"}},
            "training.precision must be 'float32' with engine 'loop', got 'bfloat16'",
        ),
        (
            "leo-multitask",
            {"training": {"engine": "ray", "device": "cuda"}},
            "training.device must be 'cpu' with engine 'ray', got 'cuda'",
        ),
        ("leo-multitask", {"training.device": "gpu"}, "training.device: must be cpu, cuda or cuda:<index>, got 'gpu'"),
        (
            "leo-multitask",
            {"constellation.altitude_m": 600},
            "constellation.altitude_m: Input should be greater than or equal to 100000, got 600",
        ),
        (
            "leo-multitask",
            {"constellation.speed_mps": 3e8},
            "constellation.speed_mps: Input should be less than or equal to 299792458, got 300000000.0",
        ),
        ("leo-multitask", {"constellation.circles": 3}, "constellation.circles: Input should be a valid list, got 3"),
        (
            "leo-multitask",
            {"links.array_shape": [1, 2, 3]},
            "links.array_shape: List should have at most 2 items after validation, not 3, got [1, 2, 3]",
        ),
    ],
)
def test_a_problem_is_one_line_that_says_what_is_allowed(name, overrides, problem):
    with pytest.raises(ScenarioError) as error:
        scenarios.load(name, **overrides)
    _, *problems = str(error.value).splitlines()
    assert problems == [f"  {problem}"]


@pytest.mark.parametrize(
    ("name", "overrides"),
    [("semspacefl", {"training.engine": "none"}), ("leo-multitask", {"model.channel.final_snrs_db": [1]})],
)
def test_final_snrs_need_gateways_with_whole_models(name, overrides):
    with pytest.raises(ScenarioError, match=r"model\.channel\.final_snrs_db must be empty.* training\.shared is 'all'"):
        scenarios.load(name, **overrides)
    assert scenarios.load(name, **{**overrides, "model.channel.final_snrs_db": []})


def test_what_another_kind_of_model_leaves_behind_says_whose_it_is():
    with pytest.raises(
        ScenarioError, match=r"model\.widths: unknown key of kind 'mlp-link', belongs to .* 'conv-jscc'"
    ):
        scenarios.load("semspacefl-mini", **{"model.kind": "mlp-link"})


def test_unknown_scenario_suggests_near_names():
    with pytest.raises(ScenarioError, match="did you mean 'leo-multitask'"):
        scenarios.load("leo-multitusk")
    with pytest.raises(ScenarioError, match="no scenario file"):
        scenarios.load("nowhere.yaml")


@pytest.mark.parametrize("scenario", [3, None, {"name": "mine"}])
def test_a_scenario_is_named_by_text_or_a_path(scenario):
    with pytest.raises(TypeError, match=r"name_or_path must be a scenario's name or a YAML file's path, got "):
        scenarios.load(scenario)
    with pytest.raises(TypeError, match="name_or_path must be"):
        SatFLEnv(scenario)


@pytest.mark.parametrize("overrides", [["training.batch_size"], {3: 3}, "rounds.episode=3"])
def test_overrides_map_names_to_values(overrides):
    with pytest.raises(TypeError, match=r"overrides must be a mapping of dotted field names \(text\) to values, got "):
        SatFLEnv("leo-multitask", overrides)


def test_scenario_files_cannot_run_code(tmp_path):
    path = tmp_path / "evil.yaml"
    path.write_text("name: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(ScenarioError, match="not valid YAML"):
        scenarios.load(path)


def test_a_key_given_twice_is_refused_with_both_lines(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text("name: twice\nrounds: {episode: 3}\nlinks: {kind: ideal}\nrounds: {cohort: 2}\n")
    with pytest.raises(ScenarioError, match=r"twice\.yaml.* line 4: key 'rounds' was given in line 2 already"):
        scenarios.load(path)
    path.write_text("name: twice\nrounds: {episode: 3, episode: 4}\n")
    with pytest.raises(ScenarioError, match="line 2: key 'episode' was given in line 2"):
        scenarios.load(path)


def test_dates_that_do_not_exist_are_refused(tmp_path):
    path = tmp_path / "dated.yaml"
    path.write_text("constellation: {epoch: 2026-13-45}\n")
    with pytest.raises(ScenarioError, match="not valid YAML: line 1: not a valid timestamp: month"):
        scenarios.load(path)


def test_a_merged_mapping_may_be_changed(tmp_path):
    text = (resources.files("satfl_env.scenarios") / "builtin" / "leo-multitask.yaml").read_text()
    path = tmp_path / "merged.yaml"
    energy = "&draws {kind: draws, mean_j: 100, std_j: 10}"
    changed = text.replace("energy: {kind: draws, mean_j: 100, std_j: 10}", f"energy: {{<<: {energy}, mean_j: 7}}")
    path.write_text(changed)
    assert changed != text
    assert scenarios.load(path).onboard.energy.mean_j == 7


def test_models_and_partitions_must_fit():
    with pytest.raises(ScenarioError, match=r"needs data\.partition\.kind 'tasks'"):
        scenarios.load("semspacefl-mini", model={"kind": "mlp-link"})
