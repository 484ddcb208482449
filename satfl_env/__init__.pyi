"""The public names of the package and the modules they live in; each is imported when it is first used."""

from . import scenarios as scenarios
from . import wrappers as wrappers
from .data import (
    read_land as read_land,
)
from .envs import (
    ProcessVectorEnv as ProcessVectorEnv,
)
from .envs import (
    Reward as Reward,
)
from .envs import (
    RewardChoice as RewardChoice,
)
from .envs import (
    SatFLEnv as SatFLEnv,
)
from .envs import (
    SatFLVectorEnv as SatFLVectorEnv,
)
from .envs import (
    decision_to_action as decision_to_action,
)
from .envs import (
    judging_metric as judging_metric,
)
from .envs import (
    make_vector_env as make_vector_env,
)
from .envs import (
    observation_to_state as observation_to_state,
)
from .envs import (
    primary_metrics as primary_metrics,
)
from .federated import (
    COMBINE_RULES as COMBINE_RULES,
)
from .federated import (
    ClippedMean as ClippedMean,
)
from .federated import (
    Compression as Compression,
)
from .federated import (
    GeometricMedian as GeometricMedian,
)
from .federated import (
    TrimmedMean as TrimmedMean,
)
from .federated import (
    coordinate_median as coordinate_median,
)
from .federated import (
    weighted_mean as weighted_mean,
)
from .onboard import (
    affordable_epochs as affordable_epochs,
)
from .onboard import (
    optimal_frequency_hz as optimal_frequency_hz,
)
from .scenarios import (
    FederatedImages as FederatedImages,
)
from .semantics import (
    Autoencoder as Autoencoder,
)
from .semantics import (
    Classifier as Classifier,
)
from .semantics import (
    SemanticModel as SemanticModel,
)
from .semantics import (
    semantic_similarity as semantic_similarity,
)
from .simulation import (
    ClientJob as ClientJob,
)
from .simulation import (
    ClientResult as ClientResult,
)
from .simulation import (
    Decision as Decision,
)
from .simulation import (
    FederatedData as FederatedData,
)
from .simulation import (
    NetworkState as NetworkState,
)
from .simulation import (
    OneContact as OneContact,
)
from .simulation import (
    Outcome as Outcome,
)
from .simulation import (
    RemoteRound as RemoteRound,
)
from .simulation import (
    RoundReport as RoundReport,
)
from .simulation import (
    Simulation as Simulation,
)
from .simulation import (
    When as When,
)
from .simulation import (
    check_decision as check_decision,
)
from .simulation import (
    train_client as train_client,
)
from .wrappers import (
    parallel_env as parallel_env,
)

__version__: str
