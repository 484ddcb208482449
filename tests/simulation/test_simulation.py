from __future__ import annotations

import copy
import io
import pickle
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from satfl_env import Outcome, Simulation, scenarios
from tests.factories import decide, parts_of

NO_TRAINING = {"training.engine": "none"}


def build(name: str = "leo-multitask", **overrides: object) -> Simulation:
    return scenarios.build(scenarios.load(name, **overrides))


def run(simulation: Simulation, seed: int, rounds: int, **changes: object) -> list:
    state = simulation.reset(seed)
    reports = []
    for _ in range(rounds):
        state, report = simulation.step(decide(state, **changes))
        reports.append(report)
    return reports


def assert_same(first: object, second: object) -> None:
    others = parts_of(second)
    for part, one in parts_of(first).items():
        other = others[part]
        if isinstance(one, dict):
            assert one.keys() == other.keys()
            for name in one:
                np.testing.assert_array_equal(one[name], other[name])
        else:
            np.testing.assert_array_equal(one, other, err_msg=part)


def test_equal_seeds_give_equal_episodes_and_others_do_not():
    simulation = build()
    first, again, other = run(simulation, 1, 4), run(build(), 1, 4), run(simulation, 2, 4)
    for one, two in zip(first, again, strict=True):
        assert_same(one, two)
    assert not np.array_equal(first[0].test_loss_before, other[0].test_loss_before)


def test_a_federation_learns_and_the_drop_of_the_loss_telescopes():
    reports = run(build(), 0, 15, cluster=np.array([0, 0, 2, 0, 0, 2, 0, 0, 2, 0]))
    first, last = reports[0].test_loss_before.mean(), reports[-1].test_loss.mean()
    assert last < first - 0.2
    drops = [(report.test_loss_before - report.test_loss).mean() for report in reports]
    assert sum(drops) == pytest.approx(first - last)
    for earlier, later in pairwise(reports):
        np.testing.assert_array_equal(earlier.test_loss, later.test_loss_before)


def test_global_random_state_and_threads_are_left_alone():
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    threads = torch.get_num_threads()
    run(build(), 0, 2)
    assert torch.equal(torch_state, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("name", ["leo-multitask", "semspacefl-mini"])
def test_state_can_be_saved_and_taken_up_elsewhere(name):
    simulation = build(name)
    state = simulation.reset(3)
    for _ in range(2):
        state, _ = simulation.step(decide(state))
    buffer = io.BytesIO()
    torch.save(simulation.get_state(), buffer)
    buffer.seek(0)
    saved = torch.load(buffer, weights_only=False)
    other = build(name)
    taken_up = other.set_state(saved)
    assert_same(taken_up, simulation.state)
    assert_same(simulation.step(decide(state))[1], other.step(decide(taken_up))[1])


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_clones_go_on_alike_and_apart(clone):
    simulation = build()
    state = simulation.reset(0)
    state, _ = simulation.step(decide(state))
    twin = clone(simulation)
    assert_same(simulation.step(decide(state))[1], twin.step(decide(state))[1])


def test_the_task_clustering_paper_is_a_special_case():
    """One server that sees everyone, ten epochs and a merge every round; a cluster of one learns as if alone."""
    together, alone = build("task-clustering-mini"), build("task-clustering-mini")
    state, other = together.reset(0), alone.reset(0)
    assert (state.window_s == state.window_s[0, 0]).all()
    for _ in range(4):
        state, report = together.step(decide(state, cluster=np.array([0, 0, 2])))
        other, individual = alone.step(decide(other, cluster=np.array([0, 1, 2])))
        assert report.epochs.tolist() == [10, 10, 10]
        assert report.merged
        np.testing.assert_allclose(report.weights, [0.5, 0.5, 1.0])
        assert report.test_loss[2] == individual.test_loss[2]
        assert report.test_loss[0] != individual.test_loss[0]


def test_encoders_are_shared_and_decoders_are_not():
    simulation = build("task-clustering-mini")
    simulation.step(decide(simulation.reset(0)))
    state = simulation.get_state()["models"]
    held, shared = state["held"], state["gateway_models"][0, 0]
    assert (held[:, : len(shared)] == shared).all()
    assert not torch.equal(held[0, len(shared) :], held[1, len(shared) :])


def test_cloud_merges_every_n_rounds():
    reports = run(build(), 0, 7)
    assert [report.merged for report in reports] == [False, False, True, False, False, True, False]
    for report in reports:
        assert report.gateway_weights.sum(axis=1)[0] == pytest.approx(1.0 if report.merged else 0.0)


def test_without_training_losses_stay_and_physics_goes_on():
    reports = run(build(**NO_TRAINING), 0, 5)
    assert all((report.test_loss == reports[0].test_loss_before).all() for report in reports)
    assert not any(report.batches.any() for report in reports)
    trained = run(build(), 0, 5)
    for without, with_ in zip(reports, trained, strict=True):
        np.testing.assert_array_equal(without.epochs, with_.epochs)
        np.testing.assert_array_equal(without.compute_energy_j, with_.compute_energy_j)
        assert without.time_s == with_.time_s


def test_time_advances_until_the_last_is_back_or_by_the_cadence():
    reports = run(build(**NO_TRAINING), 0, 3)
    for report, following in pairwise(reports):
        assert following.time_s == report.time_s + report.duration_s
        busy = report.download_s + report.compute_s + report.upload_s
        assert report.duration_s == pytest.approx(max(busy.max(), 60.0))
    for report in run(build(**NO_TRAINING, **{"rounds.cadence_s": 150.0}), 0, 3):
        assert report.duration_s == 150.0
        assert (report.download_s + report.compute_s + report.upload_s <= 150.0 + 1e-6).all()


def test_only_who_returns_an_update_has_sent_a_model():
    simulation = build(**{"training.engine": "none", "rounds.episode": 2})
    decision = decide(simulation.reset(0))
    decision.association[::2] = simulation.state.sits_out
    _, report = simulation.step(decision)
    assert 0 < report.returned.sum() < len(report.sends) / 2 + 1
    np.testing.assert_array_equal(report.sends, report.returned)
    np.testing.assert_array_equal(report.upload_bits, report.returned * report.upload_model_bits)


def test_a_round_that_everyone_sits_out_only_passes_time():
    simulation = build()
    state = simulation.reset(0)
    after, report = simulation.step(decide(state, association=np.full(10, 3)))
    assert (report.outcome == Outcome.SAT_OUT).all()
    assert report.duration_s == 60.0
    assert after.time_s == 60.0
    np.testing.assert_array_equal(report.test_loss, report.test_loss_before)


def test_a_diverging_satellite_loses_its_update_and_spoils_nobody():
    simulation = build(**{"training.learning_rate": 1e30, "training.optimizer": "sgd"})
    state = simulation.reset(0)
    after, report = simulation.step(decide(state))
    assert (report.outcome == Outcome.DIVERGED).any()
    assert (report.weights[report.outcome == Outcome.DIVERGED] == 0).all()
    assert np.isfinite(report.test_loss[report.lost]).all()
    assert np.isfinite(after.last_loss).all()


def test_a_diverged_satellite_keeps_the_epochs_of_its_last_update():
    simulation = build(**{"training.learning_rate": 1e30, "training.optimizer": "sgd"})
    state = simulation.reset(0)
    after, report = simulation.step(decide(state))
    diverged = report.outcome == Outcome.DIVERGED
    assert (report.epochs[diverged] > 0).all()
    assert diverged.any()
    np.testing.assert_array_equal(after.last_epochs, np.where(diverged, 0, report.epochs))


def test_link_times_are_at_most_the_horizon():
    simulation = build(**NO_TRAINING, **{"links.model_bits": 1e15})
    state = simulation.reset(0)
    assert (state.link_s == simulation.scene.horizon_s).all()


def test_the_battery_carries_over():
    battery = {"kind": "battery", "capacity_j": 150.0, "initial_j": 120.0, "depth_of_discharge": 0.9, "harvest_w": 0.05}
    simulation = build(**NO_TRAINING, **{"onboard.energy": battery})
    state = simulation.reset(0)
    charge = np.full(10, 120.0)
    for _ in range(5):
        np.testing.assert_allclose(state.energy_j, np.maximum(charge - 15.0, 0.0))
        state, report = simulation.step(decide(state))
        charge = np.clip(charge - report.energy_j + 0.05 * report.duration_s, 0, 150.0)
    assert (charge < 120.0).any()


def test_energy_draws_follow_the_seed_and_not_the_decisions():
    one, other = build(**NO_TRAINING), build(**NO_TRAINING)
    state, idle = one.reset(5), other.reset(5)
    state, _ = one.step(decide(state))
    idle, _ = other.step(decide(idle, association=np.full(10, 3)))
    np.testing.assert_array_equal(state.energy_j, idle.energy_j)


@pytest.mark.parametrize(("seed", "kind"), [(-1, ValueError), (2**63, ValueError), ("0", TypeError), (1.5, TypeError)])
def test_a_seed_is_a_whole_number_and_not_negative(seed, kind):
    with pytest.raises(kind, match=r"^seed must "):
        build(**NO_TRAINING).reset(seed)


def test_steps_outside_an_episode_are_refused():
    simulation = build(**NO_TRAINING, **{"rounds.episode": 1})
    with pytest.raises(RuntimeError, match=r"call reset\(seed\) first"):
        simulation.finished  # noqa: B018
    state = simulation.reset(0)
    with pytest.raises(ValueError, match=r"decision.weights must be finite"):
        simulation.step(decide(state, weights=np.full(10, np.nan)))
    state, _ = simulation.step(decide(state))
    assert simulation.finished
    with pytest.raises(RuntimeError, match="the episode ended after 1 round;"):
        simulation.step(decide(state))


def test_epochs_are_those_the_scheduler_can_foresee():
    simulation = build(**NO_TRAINING, **{"onboard.cycles_per_sample": 1e8, "training.max_epochs": 1000})
    state = simulation.reset(0)
    decision = decide(state)
    # Slower than the best frequency time is short, faster energy.
    cpu_hz = decision.cpu_frequency * np.tile([0.8, 1.2], 5)
    chosen, cycles = (np.arange(10), decision.association), state.cycles_per_sample * state.samples
    in_time = (state.window_s[chosen] - state.link_s[chosen]) * cpu_hz / cycles
    in_energy = state.energy_j / (state.kappa * cycles * cpu_hz**2)
    assert (in_time < in_energy).tolist() == [True, False] * 5
    _, report = simulation.step(replace(decision, cpu_frequency=cpu_hz))
    # Sharing the band makes transfers longer than alone, but of models this small by milliseconds only.
    np.testing.assert_array_equal(report.epochs, np.floor(np.minimum(in_time, in_energy)))
    assert (report.epochs > 5).all()


def test_a_state_of_another_size_is_refused():
    simulation, other = build(), build("task-clustering-mini")
    simulation.reset(0)
    other.reset(0)
    with pytest.raises(ValueError, match=r"state\['progress'\]\['\w+'\] has shape"):
        simulation.set_state(other.get_state())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda state: state["test_metrics"].pop("accuracy"), r"state\['test_metrics'\] has the entries"),
        (lambda state: state.pop("untestable"), "state has the entries"),
        (lambda state: state.pop("seed"), r"state\['seed'\] must be an integer, got None"),
        (lambda state: state["progress"].update(last_loss=np.zeros(9)), r"\['last_loss'\] has shape \(9,\)"),
        (lambda state: state["models"].update(held=torch.zeros(10, 3)), r"\['held'\] has shape"),
        (lambda state: state["models"]["gateway_models"].update({(0, 0): torch.zeros(3)}), r"\[\(0, 0\)\] has shape"),
    ],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_state_that_does_not_fit_is_refused_as_a_whole(spoil, message, seed):
    simulation, other = build(), build()
    state = simulation.reset(0)
    simulation.step(decide(state))
    other.reset(seed)
    taken, before = other.get_state(), simulation.get_state()
    spoil(taken)
    with pytest.raises((TypeError, ValueError), match=message):
        simulation.set_state(taken)
    _, report = simulation.step(decide(simulation.state))
    simulation.set_state(before)
    _, again = simulation.step(decide(simulation.state))
    np.testing.assert_array_equal(report.test_loss, again.test_loss)
    assert report.round == again.round == 1


def test_records_cannot_be_written_to():
    simulation = build(**NO_TRAINING)
    state = simulation.reset(0)
    state, report = simulation.step(decide(state))
    values = [value for record in (state, report) for value in parts_of(record).values()]
    inner = [array for value in values if isinstance(value, dict) for array in value.values()]
    assert len(inner) == 4
    for value in [*values, *inner]:
        if isinstance(value, np.ndarray):
            with pytest.raises(ValueError, match="read-only"):
                value[...] = 0
    report.metrics.clear()
    assert simulation.test.metrics


def test_who_is_out_of_sight_takes_no_bandwidth():
    simulation = build(**NO_TRAINING, **{"links.model_bits": 2e10})
    state = simulation.reset(0)
    gateway = int(state.visible.sum(axis=0).argmax())
    alone, crowd = np.full((2, state.num_satellites), state.num_gateways)
    in_sight = np.flatnonzero(state.visible[:, gateway])
    alone[in_sight[0]] = crowd[in_sight[0]] = gateway
    crowd[~state.visible[:, gateway]] = gateway
    assert (crowd < state.num_gateways).sum() > 1
    times = []
    for association in (alone, crowd):
        state = simulation.reset(0)
        _, report = simulation.step(decide(state, association=association))
        times.append(report.upload_s[in_sight[0]])
    assert times[0] == times[1] > 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"association": np.full(10, 0.5)}, "decision.association must hold integers"),
        ({"weights": np.ones(10, dtype=complex)}, "decision.weights must hold real numbers, got dtype complex128"),
        ({"weights": [1.0] * 10}, r"decision.weights must be an array of shape \(10,\), got list"),
    ],
)
def test_decisions_of_the_wrong_type_are_refused(changes: dict, message: str):
    simulation = build(**NO_TRAINING)
    decision = decide(simulation.reset(0), **changes)
    with pytest.raises(ValueError, match=message):
        simulation.step(decision)


def test_a_policy_that_returns_something_else_is_told_so():
    simulation = build(**NO_TRAINING)
    simulation.reset(0)
    with pytest.raises(ValueError, match="a policy must return a Decision, got NoneType"):
        simulation.step(None)


SMALL_IMAGES = {"data.test_samples": 8, "training.max_epochs": 1, "training.batches_per_epoch": 1, "rounds.episode": 2}
SHORT_TRACK = {"data.partition.span_s": 7200.0, "data.partition.max_samples": 20}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("leo-multitask", {"rounds.episode": 2}),
        ("task-clustering-mini", {"rounds.episode": 2}),
        ("semspacefl-mini", SMALL_IMAGES),
        ("walker-earth", {**SMALL_IMAGES, **SHORT_TRACK}),
        ("sentinel", {**SMALL_IMAGES, **SHORT_TRACK}),
    ],
)
def test_an_episode_is_the_same_whatever_was_played_before(name, changes):
    """To the bit: in a fresh simulation, after other episodes, after half of one, and after `set_state`."""

    def play(simulation: Simulation) -> list:
        state, seen = simulation.reset(5), []
        seen += [state.last_loss, simulation.test.loss]
        while not simulation.finished:
            state, report = simulation.step(decide(state))
            seen += [report.test_loss, report.train_loss, report.weights, state.last_loss]
        return seen

    fresh, reused, restored = (build(name, **changes) for _ in range(3))
    expected = play(fresh)
    run(reused, 1, 2)
    run(reused, 2, 1)
    run(restored, 3, 1)
    saved = restored.get_state()
    run(restored, 4, 1)
    restored.set_state(saved)
    for simulation in (reused, fresh, restored):
        for found, wanted in zip(play(simulation), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
