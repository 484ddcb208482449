"""Rounds whose satellites train elsewhere are those of `Simulation.step`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from satfl_env import ClientResult, Outcome, RemoteRound, Simulation, train_client
from satfl_env.scenarios import build, load
from tests.factories import decide, parts_of

SHORT = {"training.max_epochs": 2, "data.test_samples": 8, "rounds.episode": 3}
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "own decoders": {"training.shared": "encoder"},
    "SCAFFOLD": {"local": {"kind": "scaffold"}},
    "FedProx": {"local": {"kind": "fedprox", "proximal_mu": 0.1}},
    "compressed": {"compression": {"upload": {"kind": "top-k", "share": 0.2}}},
}


def make(**overrides: Any) -> Simulation:
    return build(load("leo-multitask", **{**SHORT, "training.engine": "loop", **overrides}))


def started(**overrides: Any) -> Simulation:
    simulation = make(**overrides)
    simulation.reset(0)
    return simulation


def answers(board: Simulation, remote: RemoteRound) -> dict[int, ClientResult]:
    return {satellite: train_client(board, satellite, job) for satellite, job in remote.jobs.items()}


@pytest.mark.parametrize("overrides", CASES.values(), ids=CASES)
def test_clients_that_train_one_by_one_give_the_same_rounds(overrides):
    ours, theirs, board = started(**overrides), started(**overrides), started(**overrides)
    returned = 0
    while not ours.finished:
        decision = decide(ours.state)
        state, report = ours.step(decision)
        remote = RemoteRound(theirs, decision)
        assert set(remote.jobs) == set(np.flatnonzero(report.epochs))
        other_state, other_report = remote.close(answers(board, remote))
        np.testing.assert_equal(parts_of(other_report), parts_of(report))
        np.testing.assert_equal(parts_of(other_state), parts_of(state))
        assert ours.gateway_models.keys() == theirs.gateway_models.keys()
        for group, model in ours.gateway_models.items():
            for name, part in model.items():
                assert torch.equal(theirs.gateway_models[group][name], part)
        returned += report.returned.sum()
    assert returned > 10


def test_gateways_hold_the_federated_parameters_alone():
    simulation = started(**{"training.shared": "encoder"})
    assert simulation.gateway_models == {}
    simulation.step(decide(simulation.state))
    (names,) = {frozenset(model) for model in simulation.gateway_models.values()}
    assert names == {name for name in simulation.layout.names if name.startswith("encoder.")}


def test_a_client_that_fails_has_lost_its_update():
    simulation, board = started(), started()
    remote = RemoteRound(simulation, decide(simulation.state))
    results = answers(board, remote)
    silent, broken, overflown, *kept = results
    del results[silent]
    results[broken] = results[broken]._replace(diverged=True)
    spoilt = {name: torch.full_like(part, torch.inf) for name, part in results[overflown].parameters.items()}
    results[overflown] = results[overflown]._replace(parameters=spoilt)
    _, report = remote.close(results)
    assert (report.outcome[[silent, broken, overflown]] == Outcome.DIVERGED).all()
    assert (report.outcome[kept] == Outcome.RETURNED).all()


def test_what_does_not_fit_is_told_and_changes_nothing():
    simulation, board = started(), started()
    remote = RemoteRound(simulation, decide(simulation.state))
    results = answers(board, remote)
    first = next(iter(results))
    parameters = results[first].parameters
    name = next(iter(parameters))
    wrong = {
        r"satellite 99 answers, but these were asked: \[": {99: results[first]},
        rf"parameter '{name}' has shape None; expected \(": {
            first: ClientResult({other: part for other, part in parameters.items() if other != name})
        },
        r"parameter 'extra' has shape \(1,\); expected None": {
            first: ClientResult({**parameters, "extra": torch.zeros(1)})
        },
    }
    for message, given in wrong.items():
        with pytest.raises(ValueError, match=message):
            remote.close(given)
    _, report = remote.close(results)
    _, expected = board.step(decide(board.state))
    np.testing.assert_equal(parts_of(report), parts_of(expected))


def test_a_mean_gradient_is_asked_for_and_checked():
    scaffold = CASES["SCAFFOLD"]
    simulation, board = started(**scaffold), started(**scaffold)
    remote = RemoteRound(simulation, decide(simulation.state))
    results = answers(board, remote)
    first, second = list(results)[:2]
    for wrong, found in ((None, "none"), (torch.zeros(3), "shape \\(3,\\)")):
        with pytest.raises(ValueError, match=f"mean gradient of satellite {first} must have shape .*, got {found}"):
            remote.close({**results, first: results[first]._replace(mean_gradient=wrong)})
    gradient = results[second].mean_gradient
    assert gradient is not None
    broken = results[second]._replace(mean_gradient=torch.full_like(gradient, np.nan))
    _, report = remote.close({**results, second: broken})
    assert report.outcome[second] == Outcome.DIVERGED
    assert report.outcome[first] != Outcome.DIVERGED


def test_a_round_is_closed_once():
    simulation, board = started(), started()
    remote = RemoteRound(simulation, decide(simulation.state))
    results = answers(board, remote)
    state, _ = remote.close(results)
    with pytest.raises(RuntimeError, match="closed already"):
        remote.close(results)
    assert simulation.state is state
