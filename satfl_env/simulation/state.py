"""What the simulation tells a scheduler: the state of the network, and the report of a round.

`S` is the number of satellites, `G` the number of gateways. All quantities are in SI units; arrays are NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from satfl_env.settings import Each
from satfl_env.simulation.updates import Outcome, is_lost

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class NetworkState:
    """What the decision maker may know at the start of a communication round; the observation shows exactly this.

    A state that was read from an observation has the parts that are observed, as a scenario's section `observation`
    chooses them. Reading another one raises `AttributeError`, and so does `dataclasses.replace` if a part that is
    observed by default is neither there nor given.

    Attributes:
        round: Number of finished rounds, 0 at the start.
        time_s: Simulated time since the start of the episode.
        position_m: Satellite positions, (S, 3).
        velocity_mps: Satellite velocities, (S, 3).
        distance_m: Slant range of every pair, (S, G).
        visible: Whether the satellite is inside the gateway's coverage and neither is out of order, (S, G).
        window_s: Remaining contact window, (S, G); 0 where not visible.
        rate_bps: Rate the pair would have alone on the gateway's whole band, (S, G).
        link_s: Time to fetch the model and return it at that rate, propagation included, (S, G).
        energy_j: Energy each satellite may spend this round on training, and on transmission where that counts, (S,).
        transmit_power_w: Power that takes from `energy_j` while a satellite returns its model, counted over half of
            `link_s` if it is alone on the links, (S,); 0 where transmission does not count. Where a model has more bits
            one way than the other, it is that of the links times twice the upload's share of the bits.
        samples: Training samples on board, (S,).
        last_loss: Mean training loss in the satellite's last trained epoch; before that, of its first model, (S,).
        last_epochs: Local epochs in the last round the satellite took part in, 0 before that, (S,).
        cluster: Cluster label of the satellite in the last round, in 0..S-1, (S,).
        similarity: Semantic similarity of the satellites' label distributions (task clustering, eq. 8), (S, S).
        update_similarity: Cosine of every two satellites' updates of the shared parameters, as received in the last
            round that brought back both, in [-1, 1]; 0 before there was one, 1 on the diagonal, (S, S).
        cpu_max_hz: Highest CPU frequency of each satellite, (S,).
        cycles_per_sample: CPU cycles to train one sample once, (S,).
        kappa: Switched capacitance of the chip in J s^2 / cycle^3, (S,).
        max_epochs: Most local epochs a satellite trains in one round, whatever it could afford, (S,).
        satellite_up: Satellites that are not out of order, (S,); None where nothing can fail.
        gateway_up: Gateways that are not out of order, (G,); None where nothing can fail.
        on_request: Parts by name that are not given above: values, or functions without arguments that compute one when
            it is first read as an attribute of the state. Large parts that few policies read cost nothing until then.
        contact_start_s: When the next contacts of each pair after the one under way begin, in s from now, (S, G, K);
            the forecast's horizon where none does before it. K and the horizon are settings, `observation.contacts` and
            `observation.horizon_s`. A satellite's own contacts, also where others relay its models.
        contact_end_s: When they end, (S, G, K); at the horizon at the latest.
        eclipse_start_s: When the next eclipse of each satellite begins, in s from now, (S,); 0 while it is in one.
        eclipse_end_s: When that ends, (S,); at the horizon at the latest.
        gateway_version: How often gateways had changed their models when each gateway got the one that it holds of each
            cluster, in a merge or by its own satellites, (G, S) by label; 0 where it holds none yet.
        rounds_to_merge: Rounds until the cloud merges the gateways' models; 1 if it does at the end of the coming one.
        rounds_left: Rounds until the end of the episode, the coming one included; 0 at its end.
        waiting: Updates that wait at each gateway to be aggregated, (G,); observed where the action decides on that.
        beams: Most satellites that each gateway serves in a round, (G,); all S of them where there is no limit. Those
            whose updates go down as one, combined on board, count as one.
        cluster_loss: Mean loss of each satellite's training samples under the newest model of each cluster 0 to K - 1,
            (S, K), with K the setting `rounds.broadcast`; its own decoder where that stays on board. 1e12 where no
            gateway has a model of the cluster; 0 with K = 1, where there is nothing to choose between, and where nobody
            trains. Observed where K is more than one. It is what satellites find once they have fetched the K models.
            All K are tested in every round, whether it is read or not.
    """

    round: int
    time_s: float
    position_m: FloatArray
    velocity_mps: FloatArray
    distance_m: FloatArray
    visible: BoolArray
    window_s: FloatArray
    rate_bps: FloatArray
    link_s: FloatArray
    energy_j: FloatArray
    transmit_power_w: FloatArray
    samples: IntArray
    last_loss: FloatArray
    last_epochs: IntArray
    cluster: IntArray
    similarity: FloatArray
    update_similarity: FloatArray
    cpu_max_hz: FloatArray
    cycles_per_sample: FloatArray
    kappa: FloatArray
    max_epochs: IntArray
    satellite_up: BoolArray | None = None
    gateway_up: BoolArray | None = None
    on_request: Mapping[str, Any] = field(default_factory=dict)
    contact_start_s: FloatArray = field(init=False)
    contact_end_s: FloatArray = field(init=False)
    eclipse_start_s: FloatArray = field(init=False)
    eclipse_end_s: FloatArray = field(init=False)
    gateway_version: IntArray = field(init=False)
    rounds_to_merge: int = field(init=False)
    rounds_left: int = field(init=False)
    waiting: IntArray = field(init=False)
    beams: IntArray = field(init=False)
    cluster_loss: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        """Make the arrays read-only: a policy looks at the network, it does not change it."""
        _protect(self)

    @classmethod
    def of(cls, parts: Mapping[str, Any], on_request: Mapping[str, Any] | None = None) -> NetworkState:
        """A state that has some of its parts, and computes others when they are first read; see `on_request`."""
        state = object.__new__(cls)
        vars(state).update(parts)
        _protect(state)
        # These are protected when they are read.
        vars(state)["on_request"] = on_request or {}
        return state

    if not TYPE_CHECKING:  # else every name would do

        def __getattr__(self, name: str) -> Any:
            """A part that is asked for the first time."""
            on_request = vars(self).get("on_request", {})
            if name in on_request:
                part = on_request[name]
                value = vars(self)[name] = _read_only(part() if callable(part) else part)
                return value
            if name in STATE_PARTS or name in MORE_PARTS:
                setting = "leave_out" if name in STATE_PARTS else "add"
                raise AttributeError(
                    f"{name!r} is not in this state: it was not in the observation that it was read from, see the "
                    f"scenario's observation.{setting}"
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        known = (f"{name}={value!r}" for name, value in vars(self).items() if name != "on_request")
        return f"{type(self).__name__}({', '.join(known)})"

    @property
    def num_satellites(self) -> int:
        """Number of satellites, S."""
        return len(self.distance_m)

    @property
    def num_gateways(self) -> int:
        """Number of gateways, G."""
        return int(self.distance_m.shape[1])

    @property
    def sits_out(self) -> int:
        """The association of a satellite that sits the round out: G, one more than the last gateway."""
        return self.num_gateways


STATE_PARTS = tuple(
    part.name
    for part in fields(NetworkState)
    if part.init and part.default is MISSING and part.default_factory is MISSING
)
"""Names of the parts that every state has, and that are observed by default."""

MORE_PARTS = tuple(part.name for part in fields(NetworkState) if not part.init)
"""Names of those that can be observed as well."""


@dataclass(frozen=True, eq=False)
class RoundReport:
    """What happened in one communication round.

    `returned`, `lost`, `download_bits`, `upload_bits` and `energy_j` follow from the attributes, each (S,).

    Attributes:
        round: Index of the round, from 0.
        time_s: Simulated time at which it began.
        duration_s: Simulated time it took.
        outcome: `Outcome` of each satellite, (S,).
        epochs: Simulated local epochs trained, (S,).
        batches: Minibatches really trained in PyTorch, (S,).
        download_s: Time to fetch the model, (S,); 0 for satellites that did not train, as in the next four.
        compute_s: Training time, (S,).
        upload_s: Time to return the model, (S,).
        compute_energy_j: Energy spent on training, (S,).
        transmit_energy_j: Energy spent on returning the model, (S,).
        charge_before_j: Energy stored at the start of the round, (S,); as in the next four, see `EnergyBalance`.
        charge_j: Energy stored at its end: the charge before and what was harvested, less what was spent, standing or
            spilled, (S,).
        harvested_j: Energy that came in, (S,).
        standing_j: Energy drawn by everything but training and transmission, (S,).
        spilled_j: Energy that came in and found no room, (S,).
        download_model_bits: Bits of a model that is fetched, one number or (S,).
        upload_model_bits: Bits of an update that is returned, one number or (S,).
        sends: Models that each satellite has sent, (S,): one to its gateway, or one to each of several satellites; 0
            where it has sent nothing. A transfer that broke off counts whole.
        staleness: How often the models have changed since the satellite fetched the one it trained from, (S,); 0 where
            updates come back in the round they were trained in.
        weights: Aggregation weights actually used, (S,); sum to 1 in each (gateway, cluster) group, 0 for lost updates.
        equal_weights: Satellites in groups whose raw weights were all zero and were made equal, (S,).
        merged: Whether the cloud merged the gateways' models at the end of this round.
        gateway_weights: Weights actually used in the merge, (S, G): row k for cluster k; zeros without a merge.
        equal_merges: Clusters, by label, whose gateways' raw weights were all zero and were made equal, (S,).
        train_loss: Mean training loss in the last local epoch, (S,); NaN for satellites that did not train or diverged.
        test_loss_before: Test loss of the model each satellite held before the round, (S,); for a task, its classes
            count the same.
        test_loss: Test loss of the model each satellite holds after the round, (S,).
        metrics_before: Test metrics of the model each satellite held before the round, each (S,).
        metrics: Test metrics of the model each satellite holds after the round, each (S,).
        untestable: Satellites whose model cannot be tested after the round, because its loss or a metric is no number
            or the loss exceeds 1e12, (S,). Their loss counts 1e12, their metrics 0, or what they were before if less.
        last: Whether it was the last round of the episode.
        upsets: Bits of each satellite's trained model that were flipped in memory, (S,); None where nothing can fail.
    """

    round: int
    time_s: float
    duration_s: float
    outcome: IntArray
    epochs: IntArray
    batches: IntArray
    download_s: FloatArray
    compute_s: FloatArray
    upload_s: FloatArray
    compute_energy_j: FloatArray
    transmit_energy_j: FloatArray
    charge_before_j: FloatArray
    charge_j: FloatArray
    harvested_j: FloatArray
    standing_j: FloatArray
    spilled_j: FloatArray
    download_model_bits: Each
    upload_model_bits: Each
    sends: FloatArray
    staleness: IntArray
    weights: FloatArray
    equal_weights: BoolArray
    merged: bool
    gateway_weights: FloatArray
    equal_merges: BoolArray
    train_loss: FloatArray
    test_loss_before: FloatArray
    test_loss: FloatArray
    metrics_before: Mapping[str, FloatArray]
    metrics: Mapping[str, FloatArray]
    untestable: BoolArray
    last: bool
    upsets: IntArray | None = None

    def __post_init__(self) -> None:
        """Make the arrays read-only: later rounds use some of them again."""
        _protect(self)

    @property
    def returned(self) -> BoolArray:
        """Satellites whose update was aggregated, (S,)."""
        return np.asarray(self.outcome == Outcome.RETURNED.value)

    @property
    def lost(self) -> BoolArray:
        """Satellites that were associated but whose update was lost, (S,)."""
        return is_lost(self.outcome)

    @property
    def download_bits(self) -> FloatArray:
        """Bits each satellite fetched in the round, (S,); a transfer that broke off counts whole."""
        return np.where(self.download_s > 0, self.download_model_bits, 0.0)

    @property
    def upload_bits(self) -> FloatArray:
        """Bits each satellite returned in the round, (S,); a transfer that broke off counts whole."""
        return self.sends * self.upload_model_bits

    @property
    def energy_j(self) -> FloatArray:
        """Energy each satellite spent in the round, (S,)."""
        return self.compute_energy_j + self.transmit_energy_j


class Once:
    """A function without arguments that is called once, when its value is first asked for.

    Unlike one of `functools.cache` it can be copied and pickled.

    Args:
        function: The function.
    """

    def __init__(self, function: Callable[[], FloatArray]) -> None:
        self._function = function

    def __call__(self) -> FloatArray:
        """Its value."""
        return self._value

    @cached_property
    def _value(self) -> FloatArray:
        return self._function()


def _protect(record: NetworkState | RoundReport) -> None:
    """Put read-only views in place of a record's arrays; their owner may still write to them."""
    fields = vars(record)
    for name, value in fields.items():
        fields[name] = _read_only(value)


def _read_only(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if not value.flags.writeable:
            return value
        view = value.view()
        view.setflags(write=False)
        return view
    if isinstance(value, Mapping):
        return {name: _read_only(inner) for name, inner in value.items()}
    return value


def as_numbers(name: str, value: Any) -> FloatArray:
    """What a part gave, as an array of float64.

    Raises:
        ValueError: If a number is NaN; the message begins with `name`.
    """
    numbers = np.asarray(value, dtype=np.float64)
    if np.isnan(numbers).any():
        raise ValueError(f"{name} must be numbers, got NaN at index {np.argwhere(np.isnan(numbers))[0].tolist()}")
    return numbers
