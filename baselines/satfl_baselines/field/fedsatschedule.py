"""The policy of FedSatSchedule: satellites take part in the last round of a pass, foreseen from the orbits.

N. Razmi, B. Matthiesen, A. Dekorsy, P. Popovski, "Scheduling for Ground-Assisted Federated Learning in LEO Satellite
Constellations", EUSIPCO 2022 (arXiv 2206.01952; we know the abstract): visits are predicted to lessen staleness.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from satfl_baselines.arrays import IntArray
from satfl_baselines.association import nearest
from satfl_baselines.policies import make_policy
from satfl_baselines.ration import training_time_s
from satfl_env import NetworkState


def last_of_pass(state: NetworkState) -> IntArray:
    """The closest gateway in sight for satellites whose transfers would not fit the next round; others sit out.

    The model that they take along is then the newest that the pass could give them.
    """
    association = nearest(state)
    can_wait = (training_time_s(state, association)[:, 1:2] > 0).any(axis=1)
    return np.where(can_wait, state.sits_out, association)


# FedSat's, but for who takes part.
fedsatschedule = replace(make_policy("fedsat"), name="fedsatschedule", association=last_of_pass)
