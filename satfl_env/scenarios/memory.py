"""How much memory a scenario will need, estimated before it is taken."""

from __future__ import annotations

from collections.abc import Sequence

from satfl_env.memory import Need, available_bytes, gigabytes
from satfl_env.scenarios.errors import ScenarioError
from satfl_env.scenarios.rounds import Rounds
from satfl_env.scenarios.schema import Scenario
from satfl_env.simulation import BufferedUpdates, FedSat

# Bytes, measured as peaks of a reset and two rounds: 8 for each number that exists at the same time.
_PER_OBSERVED_PAIR = 36
_PER_LINK = 320
_PER_FORESEEN_CONTACT = 70
_PER_SATELLITE = 8_000
# Held, at the start, trained, received, its gradient and Adam's two moments, each once or twice, as float32.
_PER_PARAMETER = 40
# Its seed, and where its samples are.
_PER_DEVICE = 100
# Own and fetched, of which a round has copies, correction and mean gradient, and what gateways have added up.
_PER_CONTROL_VARIATE = 40
# Held, with the update added, compressed, sent and left over.
_PER_REMEMBERED = 30
# Held, and copied as others join it.
_PER_WAITING = 8
# Held, and beside the one that takes its place.
_PER_DELIVERED = 8
_PER_WORKER = 300e6


def memory_needs(
    scenario: Scenario, *, image_numbers: int = 0, parameters: int = 0, shared_parameters: int = 0
) -> list[Need]:
    r"""What a scenario's parts need beside the loaded libraries and the image set: an estimate within a factor of 3.

    With $S$ satellites, $M$ observed similarities of every two of them, $G$ gateways, $K$ observed contacts of each
    pair to come, $P$ parameters, $P'$ of them shared, $n$ samples on each satellite of $d$ numbers, $T$ points of a
    ground track and $W$ worker processes:

    $$36 M S^2 + 320 S G + 70 S G K + 8000 S + 256 S T + 4 S n d + 40 S P + (40 V + 30 E + 8 R + 8 L) S P'
    + S D (100 + 40 P) + 3 \cdot 10^8 W$$

    $V$ is 1 with control variates and $E$ with error feedback, else 0. $R$ is the most updates of a satellite that ever
    wait at gateways, see `most_waiting`. $D$ is the number of devices that train in each satellite's place, else 0.
    $L$ is 1 where the server remembers what each has delivered last (FedSat), else 0.

    What layers hold between forward and backward is not counted, nor are similarities that are not observed: a policy
    that reads one takes $16 S^2$ more.

    Args:
        scenario: The scenario.
        image_numbers: Numbers in an image, d; 0 while they are not known.
        parameters: Parameters of the model, P; 0 while they are not known.
        shared_parameters: Those that are federated, P'; 0 while they are not known.
    """
    constellation, observation = scenario.constellation, scenario.observation
    pairs = constellation.num_satellites * constellation.num_gateways
    foreseen = observation.contacts * any(part.startswith("contact_") for part in observation.parts)
    satellites, fewer = constellation.num_satellites, f"constellation.{constellation.size_field}"
    matrices = sum(part.endswith("similarity") for part in observation.parts)
    data = scenario.data.partition.memory_needs(satellites, image_numbers)
    vectors, remembered = scenario.local.extra_vectors, scenario.compression.error_feedback
    waiting = most_waiting(scenario.rounds, constellation.num_gateways)
    delivers = isinstance(scenario.rounds.late, FedSat)
    devices = satellites * scenario.rounds.clients * (scenario.rounds.clients > 1)
    return [
        Need("pairs of satellites", _PER_OBSERVED_PAIR * matrices * satellites**2, fewer),
        Need("links", _PER_LINK * pairs, fewer),
        Need("contacts to come", _PER_FORESEEN_CONTACT * pairs * foreseen, "observation.contacts"),
        Need("satellites", _PER_SATELLITE * satellites, fewer),
        Need("models", _PER_PARAMETER * satellites * parameters, "model"),
        Need("devices", (_PER_DEVICE + _PER_PARAMETER * parameters) * devices, "rounds.relay.clients.clients"),
        Need("control variates", _PER_CONTROL_VARIATE * vectors * satellites * shared_parameters, "local"),
        Need(
            "error feedback",
            _PER_REMEMBERED * remembered * satellites * shared_parameters,
            "compression.error_feedback",
        ),
        Need("updates that may wait", _PER_WAITING * waiting * satellites * shared_parameters, "rounds.episode"),
        Need("delivered models", _PER_DELIVERED * delivers * satellites * shared_parameters, "rounds.late"),
        Need("worker processes", _PER_WORKER * (scenario.training.workers or 0), "training.workers"),
        *(need._replace(field=f"data.partition.{need.field}") for need in data),
    ]


def most_waiting(rounds: Rounds, num_gateways: int) -> int:
    """Updates of a satellite that wait at gateways at most: one a round, and where buffers decide, what these hold."""
    if rounds.decides:
        return rounds.episode
    buffer = rounds.late.buffer if isinstance(rounds.late, BufferedUpdates) else 1
    # A cluster's buffer is full at `buffer`, and there are at most as many clusters as satellites.
    return min(rounds.episode, num_gateways * (buffer - 1))


def check_memory(needs: Sequence[Need]) -> None:
    """Check that all of it fits the memory of this machine.

    Raises:
        ScenarioError: If it does not; the message names the field that makes the largest part smaller.
    """
    total, available = sum(need.num_bytes for need in needs), available_bytes()
    if total > available:
        largest = max(needs, key=lambda need: need.num_bytes)
        raise ScenarioError(
            f"{largest.field}: the scenario needs about {gigabytes(total)} of memory, {gigabytes(largest.num_bytes)} "
            f"of it for {largest.what}, and {gigabytes(available)} are available; use a smaller one"
        )
