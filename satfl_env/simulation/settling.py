"""Who takes part in a round once its decision is there, and how long the transfers take."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from satfl_env.orbits import SceneSnapshot
from satfl_env.settings import Each
from satfl_env.simulation.decision import Decision
from satfl_env.simulation.episode import Episode
from satfl_env.simulation.observing import View
from satfl_env.simulation.progress import Progress
from satfl_env.simulation.protocols import Opening, Participation, Transfers, settle
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray, as_numbers
from satfl_env.simulation.upload_positions import DecidedLinks, moved


def who_takes_part(episode: Episode, view: View, progress: Progress, decision: Decision) -> tuple[Participation, Each]:
    """Who trains in a round, for how long, and what it costs, faults included; and the bits of each one's update, (S,).

    The bits are one number where all updates have the same.
    """
    ingredients, contacts, supply = episode.ingredients, view.contacts, episode.supply
    links = _RoundLinks(episode, view, decision)
    now = links.now()
    opening = Opening(
        state=view.state,
        decision=decision,
        **now.alone._asdict(),
        fetched=progress.fetched(episode.faults),
        transmit_power_w=episode.equipment.links.transmit_power_w,
        counts_transmission=supply.counts_transmission,
        limit_s=ingredients.rounds.limit_s,
        stored_j=supply.stored_j(progress.charge_j),
        standing_w=supply.standing_w,
        contacts=contacts,
    )
    timed, transfers = ingredients.upload_positions(ingredients.protocol, opening, now, links.later)
    serves = partial(ingredients.access.served, view.state, decision)
    part, shared = settle(ingredients.protocol, timed, transfers, partial(contacts.served, serves, decision))
    upload_bits = np.rint(shared.upload_size * episode.bits.mean)
    return episode.faults.strike(part, opening), upload_bits


class _RoundLinks:
    """The links that a decision asks for."""

    def __init__(self, episode: Episode, view: View, decision: Decision) -> None:
        self._episode, self._view, self._decision = episode, view, decision
        self._pair = decision.pairs
        self._in_sight = decision.associated & view.state.visible[self._pair]
        self._carry_s = view.contacts.carry_s[self._pair]
        self._window_s = np.minimum(view.state.window_s[self._pair], episode.ingredients.rounds.limit_s)
        self._senders = self._at_start()

    def now(self) -> DecidedLinks:
        """The links with each sender where it is at the round's start."""
        return self._from(self._senders, self._view.state.rate_bps[self._pair])

    def later(self, after_s: FloatArray) -> DecidedLinks:
        """The links with each sender where it is some time after the round's start, (S,)."""
        there = moved(self._episode.scene, self._senders, self._pair[1], self._view.state.time_s + after_s)
        solo_bps = as_numbers("rates of the links", self._episode.equipment.links.solo_rate_bps(there))
        return self._from(there, solo_bps[self._pair])

    def _at_start(self) -> SceneSnapshot:
        """The satellites that talk to the decided gateways, in rows, (S,)."""
        direct, contacts = self._view.direct, self._view.contacts
        if contacts.snapshot is direct:
            return direct
        sender = contacts.sender[self._pair]
        return replace(
            direct,
            position_m=direct.position_m[sender],
            velocity_mps=direct.velocity_mps[sender],
            distance_m=direct.distance_m[sender],
            clear=None if direct.clear is None else direct.clear[sender],
            sender=sender,
        )

    def _from(self, senders: SceneSnapshot, alone_bps: FloatArray) -> DecidedLinks:
        """The links from senders in rows, with the rates of those in sight if no other transmits, (S,)."""
        shared_bps = partial(self._shared_bps, senders)
        times = partial(
            self._episode.bits.times,
            distance_m=senders.distance_m[self._pair],
            carry_s=self._carry_s,
            window_s=self._window_s,
        )

        def among(transmits: BoolArray) -> Transfers:
            rate_bps = self._view.contacts.rates_bps(shared_bps, self._decision, transmits)
            return times(as_numbers("rates of the links", rate_bps))

        return DecidedLinks(alone=times(np.where(self._in_sight, alone_bps, 0.0)), among=among)

    def _shared_bps(self, senders: SceneSnapshot, association: IntArray) -> FloatArray:
        """Rates of the satellites that take band, (S,), from the gateway of each, G for the others, (S,)."""
        state = self._view.state
        share = self._episode.ingredients.access.shares(state, self._decision, association < state.sits_out)
        options = {} if share is None else {"share": share}
        return self._episode.equipment.links.associated_rate_bps(senders, association, **options)
