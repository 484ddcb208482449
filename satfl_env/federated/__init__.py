"""How satellites learn together: local training engines and the aggregation of their models."""

from __future__ import annotations

from satfl_env.federated.aggregation import (
    cloud_aggregate,
    combine_groups,
    combine_updates,
    gateway_aggregate,
    normalise_weights,
    raw_cloud_weights,
)
from satfl_env.federated.clients import ClientTrainer
from satfl_env.federated.combine import (
    COMBINE_RULES,
    ClippedMean,
    Combine,
    GeometricMedian,
    TrimmedMean,
    coordinate_median,
    weighted_mean,
)
from satfl_env.federated.compression import (
    FLOAT_BITS,
    Compression,
    Compressor,
    LinkCompressor,
    Quantised,
    RandomK,
    TopK,
)
from satfl_env.federated.cost import forward_flops
from satfl_env.federated.engines import ENGINES, check_engine, make_trainer
from satfl_env.federated.hardware import Hardware, available_cores, data_on, model_on, one_blas_thread, thread_limit
from satfl_env.federated.kernel import CompiledTest, channel_arrays
from satfl_env.federated.local import LocalData, LocalTrainer, TrainingResult, TrainingSettings
from satfl_env.federated.loop import LoopTrainer
from satfl_env.federated.mixing import component_means, components, metropolis_weights
from satfl_env.federated.model import TrainableModel
from satfl_env.federated.objective import LocalObjective
from satfl_env.federated.parameters import Layout, Shared
from satfl_env.federated.progressive import Progressive
from satfl_env.federated.rows import take_rows, write_rows
from satfl_env.federated.server import FedAdam, FedAvg, FedAvgM, ServerOptimiser, server_step
from satfl_env.federated.stacked import StackedTrainer
from satfl_env.federated.structures import overlapping_mean, width_mask
from satfl_env.federated.threads import map_in_threads
from satfl_env.federated.torch_defaults import torch_defaults
from satfl_env.federated.trainer import RowTrainer
from satfl_env.federated.usable import LARGEST_USABLE, MODELS_AT_ONCE, is_usable, usable_models
from satfl_env.federated.workers import WorkerError, Workers, packed

__all__ = [
    "COMBINE_RULES",
    "ENGINES",
    "FLOAT_BITS",
    "LARGEST_USABLE",
    "MODELS_AT_ONCE",
    "ClientTrainer",
    "ClippedMean",
    "Combine",
    "CompiledTest",
    "Compression",
    "Compressor",
    "FedAdam",
    "FedAvg",
    "FedAvgM",
    "GeometricMedian",
    "Hardware",
    "Layout",
    "LinkCompressor",
    "LocalData",
    "LocalObjective",
    "LocalTrainer",
    "LoopTrainer",
    "Progressive",
    "Quantised",
    "RandomK",
    "RowTrainer",
    "ServerOptimiser",
    "Shared",
    "StackedTrainer",
    "TopK",
    "TrainableModel",
    "TrainingResult",
    "TrainingSettings",
    "TrimmedMean",
    "WorkerError",
    "Workers",
    "available_cores",
    "channel_arrays",
    "check_engine",
    "cloud_aggregate",
    "combine_groups",
    "combine_updates",
    "component_means",
    "components",
    "coordinate_median",
    "data_on",
    "forward_flops",
    "gateway_aggregate",
    "is_usable",
    "make_trainer",
    "map_in_threads",
    "metropolis_weights",
    "model_on",
    "normalise_weights",
    "one_blas_thread",
    "overlapping_mean",
    "packed",
    "raw_cloud_weights",
    "server_step",
    "take_rows",
    "thread_limit",
    "torch_defaults",
    "usable_models",
    "weighted_mean",
    "width_mask",
    "write_rows",
]
