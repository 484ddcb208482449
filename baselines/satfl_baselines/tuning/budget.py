"""What a search for a rule may cost, and where it starts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from satfl_env.settings import STRICT, Count

# A policy that is a case of the rule.
DEFAULT_START = "curriculum"


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Budget:
    """What a search may cost: `generations * population * seeds + 2 * checks` episodes.

    Attributes:
        generations: Generations of candidates.
        population: Candidates in each.
        seeds: Seeds that all candidates of a generation play; every generation has new ones.
        checks: Other seeds on which the result is compared with the rule that the search started from.
    """

    generations: Count = 20
    population: Annotated[Count, Field(ge=4)] = 24
    seeds: Count = 8
    checks: Annotated[Count, Field(ge=2)] = 30
