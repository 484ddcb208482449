"""The steps that all protocols share whose updates arrive one contact late."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from satfl_env.simulation.decision import Decision
from satfl_env.simulation.models import Arrivals, Holdings, ModelStore
from satfl_env.simulation.protocols.costs import cost_of_training, epochs_in_time_and_affordable
from satfl_env.simulation.protocols.direct import Direct
from satfl_env.simulation.protocols.epoch_cost import EpochCost
from satfl_env.simulation.protocols.round_protocol import Fetched, Opening, Participation
from satfl_env.simulation.state import BoolArray, IntArray
from satfl_env.simulation.updates import Outcome, first_reason


class NextContact(Direct):
    """Satellites train between two contacts and return their update at the second; how it counts is left open."""

    def participate(self, opening: Opening) -> Participation:
        """Satellites return what they have trained since their last contact; only the transfers have to fit this one.

        The energy is taken from this round's budget, although it was spent on the way. A satellite that has fetched no
        model yet, or fetched one at 0 Hz, only fetches. One whose battery does not carry the transfers browns out.
        """
        fetched = opening.fetched
        fits = opening.visible & (opening.download_s + opening.upload_s <= opening.window_s)
        # What was fetched at 0 Hz never gets trained.
        never = np.isnan(fetched.since_s) | (fetched.cpu_hz <= 0)
        away_s = np.where(never, 0.0, fetched.since_s)
        download_s, upload_s = np.where(fits, opening.download_s, 0.0), np.where(fits, opening.upload_s, 0.0)
        # Standing power on the way has been drawn in rounds before.
        epoch = EpochCost.at(fetched.cpu_hz, opening.state, standing_w=0.0)
        energy_j, stored_j = opening.spendable_j(upload_s), opening.left_j(download_s, upload_s)
        in_time, affordable = epochs_in_time_and_affordable(epoch, away_s, energy_j, stored_j)
        outcome = first_reason(
            (Outcome.SAT_OUT, ~opening.associated),
            (Outcome.NOT_VISIBLE, ~opening.visible),
            (Outcome.OUT_OF_TIME, ~fits),
            (Outcome.BROWNED_OUT, stored_j <= 0),
            (Outcome.FETCHED, never),
            (Outcome.OUT_OF_TIME, in_time < 1),
            (Outcome.OUT_OF_ENERGY, affordable < 1),
        )
        download_s = np.where(self.fetches(outcome), opening.download_s, 0.0)
        upload_s = np.where(outcome == Outcome.RETURNED.value, opening.upload_s, 0.0)
        return cost_of_training(opening, outcome, affordable, epoch, download_s, upload_s, in_round=False)

    def start(self, models: Holdings, decision: Decision, trains: BoolArray) -> Tensor:
        """Satellites have trained from the model they hold, the one they fetched."""
        return models.held

    def fetches(self, outcome: IntArray) -> BoolArray:
        """All satellites that met their gateway, including those whose training diverged."""
        return np.isin(outcome, (Outcome.RETURNED, Outcome.FETCHED, Outcome.DIVERGED))


def staleness_at_arrival(models: ModelStore, arrivals: Arrivals, fetched: Fetched) -> IntArray:
    """How often gateways have changed their models since each returned update's was fetched; 0 for the others, (S,)."""
    return np.where(arrivals.returned, models.version - fetched.version, 0)
