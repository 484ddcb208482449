"""A policy in the way of SatFed's queues: a scarce link goes to whom it serves most.

Zhang et al., "SatFed: A Resource-Efficient LEO Satellite-Assisted Heterogeneous Federated Learning Framework", arXiv
2409.13503; after the abstract.
"""

from __future__ import annotations

from dataclasses import replace

from satfl_baselines.association import neediest
from satfl_baselines.policies import make_policy

# FedAvg's, but for whom the beams go to.
satfed = replace(make_policy("nearest-fedavg"), name="satfed", association=neediest)
