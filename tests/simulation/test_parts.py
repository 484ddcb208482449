"""Parts of the user's own: they are used, and one of the wrong form is told at once, by name."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from satfl_env import Classifier, Outcome, SatFLEnv, Simulation, decision_to_action, scenarios
from satfl_env.federated import Compression, FedAvgM, Layout, LocalData, Quantised
from satfl_env.links import FixedIsl, IdealLinks
from satfl_env.onboard import Battery, OnboardComputer
from satfl_env.orbits import PlanarScene
from satfl_env.scenarios import ScenarioError
from satfl_env.semantics import SemanticModel
from satfl_env.simulation import FederatedData, GridLinks, OneContact, PlaneLinks, Relays
from satfl_env.simulation.parts import model_factory
from tests.factories import decide

QUICK = {"training.max_epochs": 2, "rounds.episode": 3, "data.test_samples": 20}


def build(parts: Any, **changes: Any) -> Simulation:
    return scenarios.build(scenarios.load("leo-multitask", **{**QUICK, **changes}), parts=parts)


def play(parts: Any, rounds: int = 3, **changes: Any) -> list:
    simulation = build(parts, **changes)
    state, reports = simulation.reset(0), []
    for _ in range(rounds):
        state, report = simulation.step(decide(state))
        reports.append(report)
    return reports


def square(rng: np.random.Generator, kind: type[PlanarScene] = PlanarScene) -> PlanarScene:
    return kind(
        circle_radius_m=np.full(5, 1e6),
        phase_rad=rng.uniform(0, 2 * np.pi, 5),
        gateway_m=[(0.0, 0.0), (1e6, 1e6)],
        centre_m=(0.0, 0.0),
        speed_mps=7600.0,
        altitude_m=500e3,
        coverage_radius_m=2e6,
    )


class Turns(OneContact):
    """Satellites with even and with odd numbers take turns."""

    def participate(self, opening):
        state, decision = opening.state, opening.decision
        turn = np.arange(state.num_satellites) % 2 == state.round % 2
        association = np.where(turn, decision.association, state.sits_out)
        return super().participate(replace(opening, decision=replace(decision, association=association)))


def no_change(updates: Tensor, weights: Tensor) -> Tensor:
    return torch.zeros(updates.shape[1])


def test_a_scene_decides_how_many_satellites_there_are():
    simulation = build({"scene": square})
    state = simulation.reset(0)
    assert (state.num_satellites, state.num_gateways) == (5, 2)
    assert len(simulation.tasks) == 5
    _, report = simulation.step(decide(state))
    assert report.returned.any()


def test_a_computer_has_numbers_for_each_satellite():
    fast = np.linspace(0.1e9, 1e9, 10)
    simulation = build({"computer": SimpleNamespace(cpu_max_hz=fast, cycles_per_sample=1.2e9, kappa=5e-27)})
    state = simulation.reset(0)
    np.testing.assert_array_equal(state.cpu_max_hz, fast)
    np.testing.assert_array_equal(state.kappa, np.full(10, 5e-27))
    as_before = build({"computer": OnboardComputer(cpu_max_hz=1e9, cycles_per_sample=1.2e9, kappa=5e-27)})
    np.testing.assert_array_equal(as_before.reset(0).cpu_max_hz, np.full(10, 1e9))


def test_the_same_object_as_a_part_gives_the_same_trajectory():
    battery = {"kind": "battery", "capacity_j": 150.0, "initial_j": 120.0, "harvest_w": 0.05}
    links = {"kind": "ideal", "rate_bps": 1e6, "transmit_power_w": 2.0}
    by_scenario = play(None, **{"onboard.energy": battery, "links": links})
    by_parts = play(
        {
            "energy": Battery(capacity_j=150.0, initial_j=120.0, harvest_w=0.05),
            "links": IdealLinks(rate_bps=1e6, transmit_power_w=2.0),
        }
    )
    for one, other in zip(by_scenario, by_parts, strict=True):
        np.testing.assert_array_equal(one.energy_j, other.energy_j)
        np.testing.assert_array_equal(one.test_loss, other.test_loss)


def test_a_protocol_decides_who_trains():
    for index, report in enumerate(play({"protocol": Turns()})):
        assert not report.returned[(1 - index % 2) :: 2].any()
        assert (report.outcome[(1 - index % 2) :: 2] == Outcome.SAT_OUT).all()


def test_a_server_rule_decides_what_gateways_learn():
    """Gateways that change nothing keep the first model, so that encoders stay what they were."""
    simulation = build({"combine": no_change})
    state = simulation.reset(0)
    first = simulation.get_state()["models"]["held"]
    for _ in range(3):
        state, report = simulation.step(decide(state))
    assert report.returned.any()
    after = simulation.get_state()["models"]
    for model in after["gateway_models"].values():
        torch.testing.assert_close(model, first[0, : len(model)], rtol=0, atol=1e-6)
    shared = len(model)
    assert (after["held"][:, shared:] != first[:, shared:]).any()


def test_a_model_of_ones_own_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    parts = {"model": lambda: Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))}
    first, again = (play(parts, rounds=2)[-1].test_loss for _ in range(2))
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(first, again)


class Rates(list):
    """Links that are a list, empty and so falsy."""

    transmit_power_w = 2.0

    def solo_rate_bps(self, snapshot) -> np.ndarray:
        return np.full(snapshot.distance_m.shape, 1e6)

    def associated_rate_bps(self, snapshot, association) -> np.ndarray:
        return np.full(len(association), 1e6)

    def highest_rate_bps(self, min_distance_m: float) -> float:
        return 1e6


def test_a_part_is_used_even_if_it_is_empty():
    links = Rates()
    assert not links
    assert build({"links": links}).ingredients.links is links


def test_a_scenario_s_model_has_an_output_for_a_class_that_no_satellite_holds():
    images = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(40) % 2

    def two_of_three(scene, rng) -> FederatedData:
        satellites = scene.num_satellites
        return FederatedData(
            train=LocalData(images, targets, np.linspace(0, 40, satellites + 1).astype(np.int64)),
            label_pmf=np.tile([0.5, 0.5, 0.0], (satellites, 1)),
            test_images=images[:4],
            test_targets=targets[:4].repeat(satellites, 1),
            test_weights=torch.full((satellites, 4), 0.25),
        )

    simulation = build({"data": two_of_three})
    model = simulation.ingredients.model()
    assert model(images, model.draw_channel(40, torch.Generator())).shape[-1] == 3


class Line(Classifier):
    """A classifier with a class as factory."""

    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))


def test_factories_take_a_class_a_function_or_a_model():
    model = Line()
    layout = Layout.of(model)
    assert isinstance(model_factory(Line)(), Line)
    copied = model_factory(model)()
    assert copied is not model
    assert torch.equal(layout.flatten(model), layout.flatten(copied))
    state = torch.get_rng_state()
    model_factory(lambda: Line())()
    assert torch.equal(torch.get_rng_state(), state)


def test_scene_and_data_are_drawn_once_for_all_trials():
    data, drawn = build(None).ingredients.data, []

    def counted_scene(rng) -> PlanarScene:
        drawn.append("scene")
        return square(rng)

    def counted_data(scene, rng) -> FederatedData:
        drawn.append("data")
        return data(scene, rng)

    build({"scene": counted_scene, "data": counted_data, "model": Line(), "combine": no_change})
    assert sorted(drawn) == ["data", "scene"]


class Nothing:
    """Has no method at all."""


class WholeCharge:
    """Energies as a careless author writes them: whole numbers, and lists."""

    highest_j = 100

    def first_charge_j(self, num_satellites):
        return [100] * num_satellites

    def available_j(self, charge_j, rng):
        return charge_j.astype(int)

    def charge_after_j(self, charge_j, *, spent_j, sunlit_s, duration_s):
        return charge_j.astype(int).tolist()


class Leaky(Battery):
    """A battery whose author forgot that rounds go by the balance."""

    def charge_after_j(self, charge_j, *, spent_j, sunlit_s, duration_s):
        return (charge_j - spent_j) * 0.5


class HalfSupply(WholeCharge):
    """Knows what is stored, but gives no balance."""

    def stored_j(self, charge_j):
        return charge_j


class Indebted(Battery):
    """Stores less than nothing."""

    def stored_j(self, charge_j):
        return charge_j - 1e6


class Shrunk:
    """A compressor that loses a number."""

    def size_bits(self, num_parameters):
        return 8.0 * num_parameters

    def compress(self, vectors, generator):
        return vectors[:, 1:]

    def variance(self, vectors):
        return vectors.new_zeros(len(vectors))


class Countless(Quantised):
    """A compressor that does not know its bits."""

    def size_bits(self, num_parameters):
        return float("nan")


class Forgetful(FedAvgM):
    """A server that gives its momentum another shape."""

    def step(self, models, updates, moments):
        models, moments = super().step(models, updates, moments)
        return models, moments[0]


BAD: list[tuple[str, Any, type[Exception], str]] = [
    ("scene", 3, TypeError, r"parts\['scene'\] must be .* got int, which cannot be called"),
    ("scene", lambda rng: Nothing(), TypeError, r"parts\['scene'\] must be a Scene; Nothing lacks the method at\(\)"),
    ("links", Nothing(), TypeError, r"parts\['links'\] .* Nothing lacks the method solo_rate_bps\(\)"),
    ("links", IdealLinks, TypeError, r"parts\['links'\] .* got the class IdealLinks instead of an object of it"),
    ("energy", Nothing(), TypeError, r"parts\['energy'\] .* Nothing lacks the method first_charge_j\(\)"),
    (
        "energy",
        HalfSupply(),
        TypeError,
        r"parts\['energy'\] must be a Supply, .* HalfSupply lacks the method balance\(\)",
    ),
    (
        "energy",
        Leaky(capacity_j=100.0, initial_j=100.0),
        ValueError,
        r"parts\['energy'\].balance\(\).charge_j must be what charge_after_j\(\) gives, \[50",
    ),
    (
        "energy",
        Indebted(capacity_j=100.0, initial_j=100.0),
        ValueError,
        r"parts\['energy'\].stored_j\(\) must be finite and at least 0, got -999900.0",
    ),
    ("computer", SimpleNamespace(cpu_max_hz=1e9, kappa=1e-27), TypeError, r"lacks cycles_per_sample"),
    (
        "computer",
        SimpleNamespace(cpu_max_hz=np.ones(3), cycles_per_sample=1e8, kappa=1e-27),
        ValueError,
        r"parts\['computer'\].cpu_max_hz must have shape \(10,\), got \(3,\)",
    ),
    (
        "computer",
        SimpleNamespace(cpu_max_hz=-1e9, cycles_per_sample=1e8, kappa=1e-27),
        ValueError,
        r"parts\['computer'\].cpu_max_hz must be finite and at least .*, got -1000000000.0",
    ),
    ("data", lambda scene, rng: [1, 2], TypeError, r"parts\['data'\] must give FederatedData, got list"),
    ("model", "mlp", TypeError, r"parts\['model'\] must be .* got str, which cannot be called"),
    (
        "model",
        nn.Linear(3, 3),
        TypeError,
        r"parts\['model'\]: Linear lacks sample_loss\(.*wrap .* satfl_env.Classifier",
    ),
    ("model", lambda: 7, TypeError, r"parts\['model'\]: int is no torch.nn.Module; derive it from satfl_env.Sem"),
    ("model", SemanticModel, TypeError, r"parts\['model'\] must make .* without arguments: .*abstract.*sample_loss"),
    (
        "model",
        lambda size: nn.Linear(size, 3),
        TypeError,
        r"parts\['model'\] must make a model when it is called without arguments: .*missing .* 'size'",
    ),
    (
        "model",
        lambda: Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 10))),
        ValueError,
        r"parts\['model'\]: sample_loss failed .* there are 10 logits for 3 classes",
    ),
    ("protocol", Nothing(), TypeError, r"parts\['protocol'\] .* Nothing lacks the method contacts\(\)"),
    ("combine", "median", TypeError, r"parts\['combine'\] .* got str, which cannot be called"),
    (
        "combine",
        lambda updates, weights: updates,
        ValueError,
        r"parts\['combine'\]: the server rule <lambda> must give .* \(4,\), got \(3, 4\)",
    ),
    (
        "combine",
        lambda updates, weights: updates[0] * np.nan,
        ValueError,
        r"parts\['combine'\]: the server rule <lambda> must give finite",
    ),
    ("compression", Quantised(), TypeError, r"parts\['compression'\] .* Quantised lacks the method upload_share\(\)"),
    (
        "compression",
        Compression(upload=Shrunk()),
        ValueError,
        r"parts\['compression'\]: the compressor Shrunk must give .* \(3, 4\), got \(3, 3\)",
    ),
    (
        "compression",
        Compression(download=Countless()),
        ValueError,
        r"parts\['compression'\]: download_share\(\) must be finite and at least .*, got nan",
    ),
    ("server", FedAvgM, TypeError, r"parts\['server'\] .* got the class FedAvgM instead of an object of it"),
    ("server", Nothing(), TypeError, r"parts\['server'\] .* Nothing lacks the method step\(\)"),
    (
        "server",
        Forgetful(),
        ValueError,
        r"parts\['server'\]: the server optimiser Forgetful must .* moments \(1, 3, 4\), got .* \(3, 4\)$",
    ),
    ("modle", nn.Linear(3, 3), TypeError, r"unknown part 'modle', did you mean 'model'\?; there are: scene, "),
]


@pytest.mark.parametrize(("name", "part", "error", "words"), BAD)
def test_a_part_of_the_wrong_form_is_told_when_it_comes_in(name, part, error, words):
    with pytest.raises(error, match=words):
        build({name: part})


def test_parts_are_a_mapping():
    with pytest.raises(TypeError, match="parts must be a mapping of names to parts, got list"):
        build([("model", nn.Linear)])


def test_data_of_the_wrong_size_is_told_when_it_comes_in():
    data = build(None).ingredients.data

    def too_few(scene, rng) -> FederatedData:
        return data(SimpleNamespace(num_satellites=3), rng)

    with pytest.raises(ValueError, match=r"parts\['data'\] must hold samples of 10 satellites, got 3"):
        build({"data": too_few})


def test_whole_numbers_and_lists_count_like_any_others():
    whole = play({"energy": WholeCharge()})
    assert whole[0].returned.any()
    full = Battery(capacity_j=100.0, initial_j=100.0, harvest_w=1e6)
    for one, other in zip(whole, play({"energy": full}), strict=True):
        np.testing.assert_array_equal(one.outcome, other.outcome)


class Numbered(PlanarScene):
    """A scene that says by numbers who is visible."""

    def at(self, time_s):
        snapshot = super().at(time_s)
        return replace(snapshot, visible=snapshot.visible.astype(float))


def test_a_scene_may_say_by_numbers_who_is_visible():
    numbered, plain = (play({"scene": lambda rng, kind=kind: square(rng, kind)}) for kind in (Numbered, PlanarScene))
    for one, other in zip(numbered, plain, strict=True):
        np.testing.assert_array_equal(one.outcome, other.outcome)
        assert one.returned.any()


class Fading(IdealLinks):
    """Links that give no number once the first round is over."""

    def solo_rate_bps(self, snapshot):
        return super().solo_rate_bps(snapshot) * (np.nan if snapshot.time_s > 0 else 1.0)


def test_what_is_no_number_is_told_in_the_round_in_which_it_comes():
    with pytest.raises(ValueError, match=r"rates of the links must be numbers, got NaN at index \[0, 0\]"):
        play({"links": Fading()})


def test_a_rule_may_keep_track_of_gradients():
    weight = torch.ones((), requires_grad=True)
    assert play({"combine": lambda updates, weights: weight * (weights @ updates)})[0].returned.any()


def test_data_of_impossible_numbers_are_told_when_they_come_in():
    data = build(None).ingredients.data

    def spoilt(scene, rng):
        drawn = data(scene, rng)
        return replace(drawn, test_images=torch.full_like(drawn.test_images, torch.nan))

    def heavy(scene, rng):
        drawn = data(scene, rng)
        return replace(drawn, test_weights=30 * drawn.test_weights)

    def double(scene, rng):
        drawn = data(scene, rng)
        return replace(drawn, train=replace(drawn.train, images=drawn.train.images.double()))

    for part, words in (
        (spoilt, "test_images must be finite, got nan"),
        (heavy, "test_weights must be >= 0 and sum to 1"),
        (double, "train.images must be of dtype torch.float32, got torch.float64"),
    ):
        with pytest.raises(ValueError, match=words):
            build({"data": part})


class Backwards(PlanarScene):
    def at(self, time_s):
        snapshot = super().at(time_s)
        return replace(snapshot, distance_m=-snapshot.distance_m)


class TooLow(IdealLinks):
    def highest_rate_bps(self, min_distance_m):
        return 1.0


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"links": TooLow()}, r"highest_rate_bps\(\) must be finite and at least 1e\+09, got 1.0"),
        ({"scene": lambda rng: square(rng, Backwards)}, r"distance_m must be finite and at least 0, got -"),
        (
            {"protocol": Relays(PlaneLinks(3), FixedIsl(1e6))},
            r"parts\['protocol'\]: num_planes must divide .*, 10, got 3",
        ),
        (
            {"protocol": Relays(GridLinks(3, 0), FixedIsl())},
            r"parts\['protocol'\]: num_planes must divide .*, 10, got 3",
        ),
    ],
)
def test_impossible_numbers_are_told_when_they_come_in(parts, words):
    with pytest.raises(ValueError, match=words):
        build(parts)


def table(scene, rng) -> FederatedData:
    """Seven numbers per sample instead of an image; the first one's sign is the class."""
    satellites = scene.num_satellites
    train, test = (torch.from_numpy(rng.normal(size=(count, 7)).astype(np.float32)) for count in (40 * satellites, 50))
    return FederatedData(
        train=LocalData(train, (train[:, 0] > 0).long(), np.arange(0, len(train) + 1, 40)),
        label_pmf=np.full((satellites, 2), 0.5),
        test_images=test,
        test_targets=(test[:, 0] > 0).long().expand(satellites, -1),
        test_weights=torch.full((satellites, 50), 1 / 50),
    )


@pytest.mark.parametrize("parts", [{"data": table}, {"data": table, "model": lambda: Classifier(nn.Linear(7, 2))}])
def test_data_need_not_be_pictures(parts):
    changes = {"training.learning_rate": 0.1, "onboard.cycles_per_sample": 1e8, "rounds.episode": 3}
    env = SatFLEnv(overrides=changes, parts=parts)
    _, info = env.reset(seed=0)
    first = info["metrics"]["accuracy"]
    for _ in range(3):
        state = env.simulation.state
        *_, info = env.step(decision_to_action(decide(state), state))
    assert info["metrics"]["accuracy"] > max(first + 0.1, 0.8)


def test_a_class_that_the_model_lacks_is_told_whichever_satellite_has_it():
    def rare(scene, rng) -> FederatedData:
        data = table(scene, rng)
        data.train.targets[-1] = 2
        return data

    with pytest.raises(ValueError, match=r"shape \(2, 1, 2\) and targets \[0, 2\]: .*out of bounds"):
        build({"data": rare, "model": lambda: Classifier(nn.Linear(7, 2))})


def test_models_of_pictures_say_what_they_need():
    with pytest.raises(
        ScenarioError, match=r"model: images must have the shape \(channels, height, width\), got \(7,\)"
    ):
        scenarios.build("semspacefl-mini", parts={"data": table})
