"""Which settings a learner has, and what they may be: from the signature of its class."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, TypeAdapter, ValidationError

from satfl_agents.algorithms.algorithm import algorithm
from satfl_env.scenarios.errors import plain_words
from satfl_env.settings import Count, Finite, NonNegative, Positive, Share, Whole
from satfl_env.suggestions import did_you_mean

# Arguments of a learner that a run gives itself, or that cannot be continued bit for bit.
_OURS = ("policy", "env", "seed", "device", "tensorboard_log", "verbose", "_init_setup_model")
_NOT_CONTINUED = ("use_sde", "sde_sample_freq", "use_sde_at_warmup", "optimize_memory_usage")

# What may be stated for a type of a signature; all else, such as classes and functions, may not be stated.
_Automatic = Annotated[str, Field(pattern=r"^auto(_[0-9.]+)?$")]
_STATED: dict[Any, Any] = {bool: bool, int: Count, float: NonNegative, str: _Automatic, type(None): None}
# Settings whose meaning has another range.
_UpToOne = Annotated[Finite, Field(ge=0, le=1)]
_RANGES: dict[str, Any] = {
    "clip_range_vf": Positive | None,
    "gae_lambda": _UpToOne,
    "gamma": _UpToOne,
    "gradient_steps": Annotated[int, Field(ge=-1)],
    "learning_rate": Positive,
    "learning_starts": Whole,
    "rate": Share,
    "target_entropy": Finite | Literal["auto"],
    "tau": Share,
    "top_quantiles_to_drop_per_net": Whole,
}


def check_learner(algo: str, settings: Mapping[str, Any]) -> None:
    """Check the arguments of an algorithm's class before it is made.

    Args:
        algo: Name of the algorithm.
        settings: The hyperparameters `learner`.

    Raises:
        ValueError: If there is no such algorithm or setting, or a value is out of its range; the message says what is
            allowed.
    """
    known = learner_settings(algo)
    for name, value in settings.items():
        if name not in known:
            raise ValueError(
                f"hyperparameter learner.{name}: {algo} has no such setting here"
                f"{did_you_mean(name, known)}; there are: {', '.join(sorted(known))}"
            )
        try:
            TypeAdapter(known[name]).validate_python(value, strict=True)
        except ValidationError as error:
            raise ValueError(f"hyperparameter learner.{name}: {_allowed(error)}, got {value!r}") from error


def _allowed(error: ValidationError) -> str:
    """What a value may be, for a setting of several kinds each in turn; our own words have the value in them."""
    reasons = (plain_words(problem).partition(", got ")[0] for problem in error.errors())
    return " or ".join(dict.fromkeys(reasons))


def learner_settings(algo: str) -> dict[str, Any]:
    """What may be stated for each setting of an algorithm, by name."""
    signature = inspect.signature(algorithm(algo).learner, eval_str=True)
    return {
        name: stated
        for name, parameter in signature.parameters.items()
        if name not in (*_OURS, *_NOT_CONTINUED) and (stated := _stated(name, parameter.annotation)) is not None
    }


def _stated(name: str, annotation: Any) -> Any:
    """What may be stated for a setting; None if nothing may."""
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind in _STATED]
    if not set(kinds) - {type(None)}:
        return None
    return _RANGES.get(name) or reduce(or_, (_STATED[kind] for kind in kinds))
