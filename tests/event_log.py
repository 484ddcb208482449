"""A plain log of what becomes of every update of a federation, kept beside it, and updates that models tell apart.

In place of training each update adds 1 to a number of the model that no other update touches. What that number is in a
model later says how much of the update the model holds: nothing, if it is lost or waits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from satfl_env import Decision, Outcome, RoundReport, When
from satfl_env.federated import LocalData, LocalObjective, TrainingResult

Group = tuple[int, int]
Vector = NDArray[np.float64]
# Numbers that every update changes alike, so that all updates are similar: their cosines are 3/4.
COMMON = 3


class Painter:
    """A trainer whose updates are 1 at a place of their own, by round and satellite, and at a few places of all.

    Attributes:
        places: Columns of the shared parameters that it may change, those of all first; to be set.
    """

    def __init__(self, model: object) -> None:
        self.places = np.zeros(0, dtype=np.int64)
        self._rounds = 0

    def train(
        self,
        parameters: Tensor,
        data: LocalData,
        epochs: NDArray[np.int64],
        seeds: NDArray[np.uint64],
        objective: LocalObjective | None = None,
    ) -> TrainingResult:
        """See `LocalTrainer.train`."""
        trains = np.flatnonzero(epochs > 0)
        trained = parameters.clone()
        trained[np.ix_(trains, self.places[:COMMON])] += 1.0
        trained[trains, self.places[COMMON + self._rounds * len(epochs) + trains]] += 1.0
        self._rounds += 1
        return TrainingResult(
            parameters=trained,
            last_loss=np.where(epochs > 0, 1.0, np.nan),
            diverged=np.zeros(len(epochs), dtype=np.bool_),
            batches=np.minimum(epochs, 1),
            mean_gradient=None if objective is None else torch.zeros_like(objective.shift),
        )


class Event(NamedTuple):
    """An update that waits at a gateway.

    Attributes:
        model: How much of each update its satellite's model holds after training, (U,).
        update: Its number, round times S plus satellite.
        weight: Its weight among those that arrived with it, times their number.
        version: That of the model that it was trained from.
        discount: What it counts for, as far as that is known when it arrives.
    """

    model: Vector
    update: int
    weight: float
    version: int
    discount: float


class EventLog:
    """Fetch, train and return within one contact: gateways take the weighted mean of what has arrived.

    Args:
        num_satellites: Number of satellites, S.
        rounds: Rounds that are played; there are U = rounds x S updates at most.

    Attributes:
        models: How much of each update every gateway's model of a cluster holds, (U,).
        held: The same of the satellites' models, (S, U).
        waiting: Updates that wait at a gateway, by cluster.
        staleness: How often models had changed since the satellites fetched what they trained from, (S,); 0 where
            nothing came back.
        set_aside: Numbers of updates that came back and do not count.
    """

    power = 0.5

    def __init__(self, num_satellites: int, rounds: int) -> None:
        self.models: dict[Group, Vector] = {}
        self.held = np.zeros((num_satellites, rounds * num_satellites))
        self.waiting: dict[Group, list[Event]] = {}
        self.staleness = np.zeros(num_satellites, dtype=np.int64)
        self.set_aside: set[int] = set()
        self._nothing = np.zeros(rounds * num_satellites)
        self._version = 0
        self._fetched = np.zeros(num_satellites, dtype=np.int64)

    def play(self, decision: Decision, report: RoundReport) -> None:
        """One round, of which the report says no more than who came back, and how the cloud merged."""
        returned = np.flatnonzero(report.returned)
        start = self.start(decision, returned)
        events = {it: self.event(it, start[it], report.round * len(self.held) + it) for it in returned.tolist()}
        self.staleness = np.zeros_like(self.staleness)
        self.staleness[returned] = [self._version - event.version for event in events.values()]
        for satellite, event in events.items():
            self.held[satellite] = event.model
        arrivals = dict(self.weighted(decision, self.kept(decision, events)))
        self.aggregate(decision, arrivals)
        if report.merged:
            self.merge(report.gateway_weights)
        for satellite in np.flatnonzero(np.isin(report.outcome, (Outcome.RETURNED, Outcome.FETCHED))).tolist():
            self.held[satellite] = self.model(group_of(decision, satellite))
            self._fetched[satellite] = self._version

    def model(self, group: Group) -> Vector:
        """What a gateway hands out."""
        return self.models.get(group, self._nothing)

    def start(self, decision: Decision, trains: NDArray[np.int64]) -> Mapping[int, Vector]:
        """What each satellite trains from: its gateway's model, or the mean of what its group holds."""
        groups = {it: group_of(decision, it) for it in trains.tolist()}
        mean = {own: self.held[[it for it in groups if groups[it] == own]].mean(axis=0) for own in set(groups.values())}
        return {it: self.models.get(own, mean[own]) for it, own in groups.items()}

    def event(self, satellite: int, start: Vector, update: int) -> Event:
        """What a satellite returns."""
        return Event(start + (np.arange(len(start)) == update), update, np.nan, self._version, 1.0)

    def kept(self, decision: Decision, events: Mapping[int, Event]) -> Mapping[int, Event]:
        """Those updates that count."""
        return events

    def weighted(self, decision: Decision, events: Mapping[int, Event]) -> Iterator[tuple[Group, list[Event]]]:
        """The updates that arrive in a round, by group, with their weights."""
        members = defaultdict(list)
        for satellite in events:
            members[group_of(decision, satellite)].append(satellite)
        for group, own in members.items():
            raw = decision.weights[own]
            share = raw / raw.sum() if raw.any() else np.full(len(own), 1 / len(own))
            yield group, [events[it]._replace(weight=w * len(own)) for it, w in zip(own, share.tolist(), strict=True)]

    def aggregate(self, decision: Decision, arrivals: Mapping[Group, list[Event]]) -> None:
        """Gateways take in what has arrived, at once or together with what has waited."""
        at_once = [group for group in arrivals if group not in self.waiting and counts(decision, group, scheduled=True)]
        before = self._version
        for group, events in arrivals.items():
            if group in at_once:
                self.models[group] = np.sum([event.weight * event.model for event in events], axis=0) / len(events)
            else:
                first = events[0].model - (np.arange(len(events[0].model)) == events[0].update)
                self.models.setdefault(group, first)
                self.waiting.setdefault(group, []).extend(events)
        ripe = [group for group in self.waiting if counts(decision, group, scheduled=True)]
        for group in ripe:
            events = self.waiting.pop(group)
            late = [it._replace(discount=(1 + before - it.version) ** -self.power) for it in events]
            self.models[group] = moved(self.models[group], late)
        self._version += bool(at_once or ripe)

    def merge(self, weights: Vector) -> None:
        """All gateways get the weighted mean of those models of a cluster that have a weight, (S, G)."""
        for cluster in np.flatnonzero(weights.any(axis=1)).tolist():
            gateways = np.flatnonzero(weights[cluster]).tolist()
            merged = np.sum([weights[cluster, it] * self.models[it, cluster] for it in gateways], axis=0)
            self.models.update({(gateway, cluster): merged for gateway in range(weights.shape[1])})


class LateLog(EventLog):
    """Fetch at one contact, return at the next: gateways collect updates until there are enough.

    Args:
        num_satellites: As of `EventLog`.
        rounds: Likewise.
        buffer: Updates that a gateway waits for.
        power: An update counts (1 + staleness)^-power.
    """

    def __init__(self, num_satellites: int, rounds: int, *, buffer: int = 1, power: float = 0.5) -> None:
        super().__init__(num_satellites, rounds)
        self.buffer, self.power = buffer, power

    def start(self, decision: Decision, trains: NDArray[np.int64]) -> Mapping[int, Vector]:
        """What it fetched last."""
        return {it: self.held[it].copy() for it in trains.tolist()}

    def event(self, satellite: int, start: Vector, update: int) -> Event:
        """It is as stale as it is when it arrives."""
        version = int(self._fetched[satellite])
        discount = (1 + self._version - version) ** -self.power
        return super().event(satellite, start, update)._replace(version=version, discount=discount)

    def aggregate(self, decision: Decision, arrivals: Mapping[Group, list[Event]]) -> None:
        """Gateways move their models by what has been collected."""
        for group, events in arrivals.items():
            self.waiting.setdefault(group, []).extend(events)
        full = [
            group
            for group, events in self.waiting.items()
            if counts(decision, group, scheduled=len(events) >= self.buffer)
        ]
        for group in full:
            self.models[group] = self.stepped(self.model(group), self.waiting.pop(group))
        self._version += bool(full)

    def stepped(self, model: Vector, events: list[Event]) -> Vector:
        """A model moved by what has been collected."""
        return moved(model, events)


class ShareLog(LateLog):
    """FedSat's: one server, the first gateway, holds the mean by samples of what satellites have delivered last.

    Args:
        num_satellites: As of `EventLog`.
        rounds: Likewise.
        samples: Training samples of each satellite, (S,).
    """

    def __init__(self, num_satellites: int, rounds: int, *, samples: NDArray[np.int64]) -> None:
        super().__init__(num_satellites, rounds)
        self._shares = samples / samples.sum()
        self._delivered = np.zeros_like(self.held)

    def play(self, decision: Decision, report: RoundReport) -> None:
        """What a satellite returns takes the place of what it has delivered before."""
        returned = np.flatnonzero(report.returned)
        self._delivered[returned] = self.held[returned]
        self._delivered[returned, report.round * len(self.held) + returned] += 1.0
        super().play(decision, report)

    def aggregate(self, decision: Decision, arrivals: Mapping[Group, list[Event]]) -> None:
        """All gateways pass on what they receive."""
        if arrivals:
            self.models[0, 0] = self._shares @ self._delivered
            self._version += 1


class GroupedLog(LateLog):
    """AsyncFLEO's, where all updates are similar: stale ones do not count beside fresh ones of their cluster."""

    def kept(self, decision: Decision, events: Mapping[int, Event]) -> Mapping[int, Event]:
        """Fresh ones; where a cluster has none, all."""
        fresh = {it for it, event in events.items() if event.version == self._version}
        clusters = set(decision.cluster[list(fresh)].tolist())
        kept = {it: event for it, event in events.items() if it in fresh or decision.cluster[it] not in clusters}
        self.set_aside |= {event.update for it, event in events.items() if it not in kept}
        return kept


class MixedLog(LateLog):
    """FedAsync's: models are mixed in one after the other."""

    def stepped(self, model: Vector, events: list[Event]) -> Vector:
        """Algorithm 1 of the paper."""
        for event in events:
            alpha = min(1.0, 0.6 * event.weight * event.discount)
            model = (1 - alpha) * model + alpha * event.model
        return model


def moved(model: Vector, events: list[Event]) -> Vector:
    """A model moved by the weighted mean of some updates, each discounted."""
    step = np.zeros_like(model)
    for event in events:
        step[event.update] += event.discount * event.weight / len(events)
    return model + step


def group_of(decision: Decision, satellite: int) -> Group:
    """Its gateway and cluster."""
    return int(decision.association[satellite]), int(decision.cluster[satellite])


def counts(decision: Decision, group: Group, *, scheduled: bool) -> bool:
    """Whether a gateway aggregates in a round."""
    when = When.SCHEDULED if decision.aggregate is None else decision.aggregate[group[0]]
    return bool(scheduled if when == When.SCHEDULED else when == When.NOW)


def log_of(settings: Mapping[str, Any], samples: NDArray[np.int64], rounds: int) -> EventLog:
    """The log of a round protocol, from what a system sets, and the samples of its satellites, (S,)."""
    late, num_satellites = settings.get("rounds.late"), len(samples)
    if late is None:
        return EventLog(num_satellites, rounds)
    if late.get("kind") == "fedsat":
        return ShareLog(num_satellites, rounds, samples=samples)
    kinds = {"fedasync": MixedLog, "asyncfleo": GroupedLog}
    options = {"buffer": late.get("buffer", 1), "power": late.get("staleness_power", EventLog.power)}
    return kinds.get(late.get("kind", ""), LateLog)(num_satellites, rounds, **options)
