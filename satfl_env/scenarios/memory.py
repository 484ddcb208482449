"""How much memory a scenario will need, estimated before it is taken."""

from __future__ import annotations

from collections.abc import Sequence

from satfl_env.memory import Need, available_bytes, gigabytes
from satfl_env.scenarios.errors import ScenarioError
from satfl_env.scenarios.schema import Scenario

# Bytes, measured as peaks of a reset and two rounds: 8 for each number that exists at the same time.
_PER_OBSERVED_PAIR = 36
_PER_LINK = 320
_PER_FORESEEN_CONTACT = 70
_PER_SATELLITE = 8_000
# Held, at the start, trained, received, its gradient and Adam's two moments, each once or twice, as float32.
_PER_PARAMETER = 40
_PER_WORKER = 300e6


def memory_needs(scenario: Scenario, *, image_numbers: int = 0, parameters: int = 0) -> list[Need]:
    r"""What a scenario's parts need beside the loaded libraries and the image set: an estimate within a factor of 3.

    With $S$ satellites, $M$ observed similarities of every two of them, $G$ gateways, $K$ observed contacts of each
    pair to come, $P$ parameters, $n$ samples on each satellite of $d$ numbers, $T$ points of a ground track and $W$
    worker processes:

    $$36 M S^2 + 320 S G + 70 S G K + 8000 S + 256 S T + 4 S n d + 40 S P + 3 \cdot 10^8 W$$

    What layers hold between forward and backward is not counted, nor are similarities that are not observed: a policy
    that reads one takes $16 S^2$ more.

    Args:
        scenario: The scenario.
        image_numbers: Numbers in an image, d; 0 while they are not known.
        parameters: Parameters of the model, P; 0 while they are not known.
    """
    constellation, observation = scenario.constellation, scenario.observation
    pairs = constellation.num_satellites * constellation.num_gateways
    foreseen = observation.contacts * any(part.startswith("contact_") for part in observation.parts)
    satellites, fewer = constellation.num_satellites, f"constellation.{constellation.size_field}"
    matrices = sum(part.endswith("similarity") for part in observation.parts)
    data = scenario.data.partition.memory_needs(satellites, image_numbers)
    return [
        Need("pairs of satellites", _PER_OBSERVED_PAIR * matrices * satellites**2, fewer),
        Need("links", _PER_LINK * pairs, fewer),
        Need("contacts to come", _PER_FORESEEN_CONTACT * pairs * foreseen, "observation.contacts"),
        Need("satellites", _PER_SATELLITE * satellites, fewer),
        Need("models", _PER_PARAMETER * satellites * parameters, "model"),
        Need("worker processes", _PER_WORKER * (scenario.training.workers or 0), "training.workers"),
        *(need._replace(field=f"data.partition.{need.field}") for need in data),
    ]


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
