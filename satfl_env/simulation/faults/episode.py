"""The faults of one episode, as the round loop meets them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from satfl_env.federated import TrainingResult
from satfl_env.orbits import SceneSnapshot
from satfl_env.simulation.faults.settings import FaultModel
from satfl_env.simulation.faults.strike import strike
from satfl_env.simulation.faults.upsets import upset_models
from satfl_env.simulation.protocols import Opening, Participation
from satfl_env.simulation.state import BoolArray, FloatArray, IntArray, as_numbers
from satfl_env.simulation.streams import numpy_generator
from satfl_env.simulation.updates import Outcome

# Children of the stream of faults.
_SATELLITES, _GATEWAYS, _CONTACTS, _UPSETS = range(4)


class NoFaults:
    """Nothing fails: everything stays as it is, and nothing is drawn."""

    def health(self, time_s: float) -> dict[str, Any]:
        """The fields of the state about what works."""
        return {}

    def in_order(self, snapshot: SceneSnapshot) -> SceneSnapshot:
        """A snapshot in which only pairs that work see each other."""
        return snapshot

    def working_s(self, since_s: FloatArray, time_s: float) -> FloatArray:
        """How long each satellite has worked since a time of its own, (S,)."""
        return time_s - since_s

    def strike(self, part: Participation, opening: Opening) -> Participation:
        """What is left of a round when what fails in it has failed.

        Args:
            part: The round without faults.
            opening: The round at its start.
        """
        return part

    def upset(
        self,
        result: TrainingResult,
        part: Participation,
        start: Tensor,
        round_index: int,
        usable: Callable[[Tensor, IntArray], BoolArray],
    ) -> tuple[TrainingResult, IntArray | None]:
        """Trained models whose bits have flipped, and how many bits of each, (S,); None where that cannot happen.

        Args:
            result: What came out of the training.
            part: Who trained, and for how long.
            start: Parameters that satellites trained from, (S, P).
            round_index: The round.
            usable: Says which models (R, P) of satellites (R,) are of use.
        """
        return result, None


class EpisodeFaults(NoFaults):
    """The faults of a model, drawn from an episode's seed whatever is decided in it.

    Args:
        model: What may fail.
        seed: Seed of the episode.
        num_satellites: Number of satellites, S.
        num_gateways: Number of gateways, G.
        span_s: Duration of the longest possible episode.
    """

    def __init__(self, model: FaultModel, seed: int, num_satellites: int, num_gateways: int, *, span_s: float) -> None:
        self._model, self._seed = model, seed
        self._satellites = model.satellite_outages(num_satellites, span_s, self._rng(_SATELLITES))
        self._gateways = model.gateway_outages(num_gateways, span_s, self._rng(_GATEWAYS))

    def health(self, time_s: float) -> dict[str, Any]:
        """Satellites (S,) and gateways (G,) that work."""
        return {"satellite_up": self._satellites.works(time_s), "gateway_up": self._gateways.works(time_s)}

    def in_order(self, snapshot: SceneSnapshot) -> SceneSnapshot:
        """Pairs of which one is out of order do not see each other."""
        health = self.health(snapshot.time_s)
        satellite_up = health["satellite_up"]
        visible = snapshot.visible & satellite_up[:, None] & health["gateway_up"]
        window_s = np.where(visible, snapshot.window_s, 0.0)
        return replace(snapshot, visible=visible, window_s=window_s, satellite_up=satellite_up)

    def working_s(self, since_s: FloatArray, time_s: float) -> FloatArray:
        """The time without outages."""
        return self._satellites.working_s(since_s, time_s)

    def strike(self, part: Participation, opening: Opening) -> Participation:
        """Outages that were known at the start of the round, and everything that breaks off in it; see `strike`."""
        state, decision = opening.state, opening.decision
        _, gateway = pair = decision.pairs
        sender = opening.contacts.sender[pair]
        satellite_s = self._satellites.next_failure_s(state.time_s) - state.time_s
        gateway_s = self._gateways.next_failure_s(state.time_s) - state.time_s
        rng = self._rng(_CONTACTS, state.round)
        breaks_s = self._model.breaks_s(state.num_satellites, state.num_gateways, rng)
        breaks_s = as_numbers("breaks_s of the faults", breaks_s)
        struck = strike(
            part,
            satellite_s=satellite_s,
            gateway_s=gateway_s[gateway],
            relay_s=satellite_s[sender],
            breaks_s=breaks_s[sender, gateway],
        )
        health = self.health(state.time_s)
        gateway_down = decision.associated & ~health["gateway_up"][gateway]
        outcome = np.where(gateway_down, Outcome.GATEWAY_DOWN, struck.outcome)
        outcome = np.where(decision.associated & ~health["satellite_up"], Outcome.FAILED, outcome)
        return replace(struck, outcome=outcome)

    def upset(
        self,
        result: TrainingResult,
        part: Participation,
        start: Tensor,
        round_index: int,
        usable: Callable[[Tensor, IntArray], BoolArray],
    ) -> tuple[TrainingResult, IntArray | None]:
        """Bits flip while a model is fetched, trained and returned; one that is of no use then counts as diverged."""
        exposed = part.trains & ~result.diverged
        exposure_s = np.where(exposed, part.download_s + part.compute_s + part.upload_s, 0.0)
        probability = self._model.upset_probability(exposure_s)
        hit, models, flips = upset_models(result.parameters, probability, self._rng(_UPSETS, round_index))
        if not hit.size:
            return result, flips
        kept = usable(models, hit)
        parameters, last_loss, diverged = result.parameters.clone(), result.last_loss.copy(), result.diverged.copy()
        parameters[hit] = models
        lost = hit[~kept]
        parameters[lost], last_loss[lost], diverged[lost] = start[lost], np.nan, True
        return replace(result, parameters=parameters, last_loss=last_loss, diverged=diverged), flips

    def _rng(self, *key: int) -> np.random.Generator:
        return numpy_generator(self._seed, "faults", *key)


def episode_faults(
    model: FaultModel | None, seed: int, num_satellites: int, num_gateways: int, *, span_s: float
) -> NoFaults:
    """The faults of an episode; None of them without a model. Arguments as for `EpisodeFaults`."""
    if model is None:
        return NoFaults()
    return EpisodeFaults(model, seed, num_satellites, num_gateways, span_s=span_s)
