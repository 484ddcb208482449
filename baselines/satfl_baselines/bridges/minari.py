"""Minari: episodes of a policy as a data set, for learning without the environment."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gymnasium as gym
import numpy as np

import satfl_env
from satfl_baselines.evaluate import Decide, decided, function_of, in_round, policy_name
from satfl_env import Decision, NetworkState, Simulation, decision_to_action
from satfl_env.commands.doctor import versions
from satfl_env.counted import counted
from satfl_env.imports import to_install
from satfl_env.scenarios.portable import portable
from satfl_env.settings import default_of
from satfl_env.suggestions import did_you_mean
from satfl_env.wrappers import BoxAction, ScaledObservation

try:
    import minari
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_dataset import parse_dataset_id
    from minari.namespace import create_namespace, list_local_namespaces
    from minari.storage import get_dataset_path
except ImportError as error:
    raise ImportError(f"data sets of episodes need Minari: {to_install('minari')}") from error

Form = Callable[[gym.Env[Any, Any], int], gym.Env[Any, Any]]

FORMS: Mapping[str, Form] = {
    "flat": lambda env, clusters: ScaledObservation(BoxAction(env, clusters)),
    "native": lambda env, clusters: env,
}
"""Forms of observations and actions: boxes of numbers in [-1, 1], or the environment's own dictionaries in SI units."""

FORMATS = ("hdf5", "arrow", "parquet")
"""Formats of files that Minari has."""

_ROOT = "MINARI_DATASETS_PATH"


def record(
    out: str,
    scenario: str | Path,
    policy: Decide | str,
    seeds: Sequence[int],
    *,
    name: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    form: str = next(iter(FORMS)),
    clusters: int = default_of(BoxAction, "num_clusters"),
    data_format: str = FORMATS[0],
    progress: Callable[[int, int], None] = lambda finished, total: None,
) -> Path:
    """Play episodes and write them as a Minari data set; it is there once all are played, or not at all.

    What is recorded as an action is what the environment got, so the same actions from the same seed give the same
    rewards. In the form `flat` that is the policy's decision in float32 with clusters counted anew, see `BoxAction`.
    The data set's metadata have, as `satfl`, the scenario, what was changed in it, the policy, the seeds, the form and
    the versions.

    Args:
        out: Id of the data set, such as `satfl/full-v0`, kept where Minari keeps its own (`MINARI_DATASETS_PATH`); or
            its folder, which begins with `.`, `/` or `~`: the last part is the id.
        scenario: A built-in name, or a YAML file.
        policy: Decides every round: a function `NetworkState -> Decision`, or a name in the registry.
        seeds: Seed of each episode, and of a policy of the registry.
        name: What the data set calls the policy; its own name if not given.
        overrides: Scenario fields to change, dotted.
        form: One of `FORMS`.
        clusters: Cluster labels that an action has in the form `flat`.
        data_format: One of `FORMATS`; all but `hdf5` need pyarrow.
        progress: Called with the numbers of finished and of all episodes whenever the first changes.

    Returns:
        The folder of the data set.

    Raises:
        ValueError: If the id is not one, the data set is there already, a name is unknown, there are no seeds, or the
            policy makes more clusters than there are labels.
        OSError: If the folder cannot be written.
        ImportError: If the format needs pyarrow, and that is not installed.
    """
    _check_choice("form", form, FORMS)
    _check_choice("format", data_format, FORMATS)
    if not seeds:
        raise ValueError("a data set needs at least one episode, got no seeds")
    root, set_id = _place(out)
    target = root / set_id
    env = FORMS[form](gym.make("SatFL-v0", scenario=scenario, overrides=overrides), clusters)
    about = {
        "scenario": env.get_wrapper_attr("scenario").name,
        "overrides": portable({"overrides": overrides or {}})["overrides"],
        "policy": name or policy_name(policy),
        "seeds": list(seeds),
        "form": form,
        "versions": versions(),
    }
    root.mkdir(parents=True, exist_ok=True)
    with closing(env), TemporaryDirectory(dir=root, prefix=".") as parts, _minari_root(parts):
        dataset = None
        for number, seed in enumerate(seeds):
            decide = function_of(policy, seed, about["scenario"])
            episode = _play(env, decide, about["policy"], seed)
            if dataset is None:
                dataset = _created(set_id, env, episode, about, data_format)
            else:
                dataset.update_dataset_from_buffer([episode])
            progress(number + 1, len(seeds))
        with _minari_root(root):
            _publish(Path(parts) / set_id, target, set_id)
    return target


def _check_choice(what: str, name: str, known: Sequence[str] | Mapping[str, Any]) -> None:
    if name not in known:
        raise ValueError(f"{what} must be one of {', '.join(known)}, got {name!r}{did_you_mean(name, known)}")


def _place(out: str) -> tuple[Path, str]:
    """Where data sets are kept, and the id of the one that is to be written."""
    folder = Path(out).expanduser().absolute()
    root, name = (
        (folder.parent, folder.name) if out.startswith((".", "/", "~")) else (get_dataset_path().absolute(), out)
    )
    try:
        parse_dataset_id(name)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the id of a data set must be letters, digits, _ and - with a version at the end, such as satfl/full-v0, "
            f"got {name!r}"
        ) from error
    _check_absent(root / name)
    return root, name


def _check_absent(target: Path) -> None:
    if target.exists():
        raise ValueError(f"the data set {str(target)!r} is there already; choose another name or version")


@contextmanager
def _minari_root(folder: Path | str) -> Iterator[None]:
    """Let Minari keep its data sets in a folder meanwhile."""
    before = os.environ.get(_ROOT)
    os.environ[_ROOT] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_ROOT]
        else:
            os.environ[_ROOT] = before


def _play(env: gym.Env[Any, Any], decide: Decide, policy: str, seed: int) -> EpisodeBuffer:
    """One episode."""
    observation, info = env.reset(seed=seed)
    observations, infos = [observation], [info]
    actions: list[Any] = []
    rewards: list[Any] = []
    ends: list[tuple[bool, bool]] = []
    simulation: Simulation = env.get_wrapper_attr("simulation")
    while not (ends and any(ends[-1])):
        state = simulation.state
        action = _action(env, decided(decide, state, in_round(policy, state, seed)), state)
        observation, reward, terminated, truncated, info = env.step(action)
        observations.append(observation)
        infos.append(info)
        actions.append(action)
        rewards.append(reward)
        ends.append((terminated, truncated))
    terminations, truncations = map(list, zip(*ends, strict=True))
    return EpisodeBuffer(
        seed=seed,
        observations=_columns(observations),
        actions=_columns(actions),
        rewards=rewards,
        terminations=terminations,
        truncations=truncations,
        infos=_columns(infos),
    )


def _action(env: gym.Env[Any, Any], decision: Decision, state: NetworkState) -> Any:
    """The action that stands for a decision in the environment's form."""
    native = decision_to_action(decision, state)
    if not env.has_wrapper_attr("reverse_action"):
        return native
    made, labels = len(np.unique(decision.cluster)), env.get_wrapper_attr("num_clusters")
    if made > labels:
        raise ValueError(
            f"the policy makes {made} clusters in round {state.round}, but actions of the form 'flat' have "
            f"{counted(labels, 'label')}: give them more (clusters={made}), or record the form 'native'"
        )
    return env.get_wrapper_attr("reverse_action")(native)


def _columns(rows: list[Any]) -> Any:
    """The values of each key, for dictionaries of the same keys inside each other."""
    if not isinstance(rows[0], Mapping):
        return rows
    return {key: _columns([row[key] for row in rows]) for key in rows[0]}


def _created(
    name: str, env: gym.Env[Any, Any], episode: EpisodeBuffer, about: Mapping[str, Any], data_format: str
) -> Any:
    """A data set of one episode."""
    with warnings.catch_warnings():
        # Minari asks for an author, an address and a link.
        warnings.simplefilter("ignore", UserWarning)
        dataset = minari.create_dataset_from_buffers(
            name,
            [episode],
            env=env,
            algorithm_name=about["policy"],
            description=f"Policy {about['policy']} on the scenario {about['scenario']} of satfl-env, one step a round.",
            requirements=[f"satfl-env=={satfl_env.__version__}"],
            data_format=data_format,
        )
    dataset.storage.update_metadata({"satfl": dict(about)})
    return dataset


def _publish(whole: Path, target: Path, name: str) -> None:
    """Move a finished data set to its place, at once."""
    namespace, _, _ = parse_dataset_id(name)
    if namespace is not None and namespace not in list_local_namespaces():
        with suppress(ValueError):  # another process has just made it
            create_namespace(namespace)
    try:
        os.rename(whole, target)
    except OSError:
        _check_absent(target)
        raise
