"""The Gymnasium environment: one step is one communication round of a federated satellite constellation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from greenlet import GreenletExit
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from numpy.typing import NDArray

from satfl_env.arguments import checked_seed
from satfl_env.builtin import DEFAULT_SCENARIO
from satfl_env.drawing import own_style
from satfl_env.envs.frame import Frame, in_shadow, usual_size
from satfl_env.envs.info import no_round_info, round_info
from satfl_env.envs.joint_step import play
from satfl_env.envs.picture_size import picture_size
from satfl_env.envs.rewards import Reward, RewardChoice, judging_metric
from satfl_env.envs.spaces import (
    Action,
    BoolArray,
    Observation,
    ObservationWriter,
    action_space,
    action_to_decision,
    any_scene,
    association_mask,
    observation_space,
)
from satfl_env.envs.spec import PortableSpec
from satfl_env.orbits import SceneSnapshot
from satfl_env.scenarios import Scenario, build, resolve
from satfl_env.settings import default_of
from satfl_env.simulation import Decision, RoundReport, Simulation

_NO_EPISODE = "no episode is running: call reset() before the first step() and after an episode's end"

FloatArray = NDArray[np.float64]
LastRound = tuple[SceneSnapshot, Decision, RoundReport]


class SatFLEnv(PortableSpec, gym.Env[Observation, Action]):
    """Schedule federated learning over a constellation of satellites.

    ## Description

    Satellites learn semantic-communication models together. In every communication round the agent associates them with
    gateways, sets their CPU frequencies, assigns them to clusters and weights their updates. A satellite fetches its
    cluster's model at its gateway, trains on its own data for as many epochs as its contact window and its energy
    allow, and returns the update before the window closes. Each gateway averages what came back, cluster by cluster;
    the cloud merges the gateways' models every few rounds. Orbits, links and energy are simulated, and the models
    really train in PyTorch.

    `S` is the number of satellites and `G` the number of gateways of the scenario (10 and 3 in `leo-multitask`).

    ## Action Space

    The action is a `Dict`:

    | Key               | Space                      | Meaning                                                   |
    |-------------------|----------------------------|-----------------------------------------------------------|
    | `association`     | `MultiDiscrete([G+1] * S)` | gateway of each satellite; `G` sits the round out         |
    | `cpu_frequency`   | `Box(0, 1, (S,), float64)` | fraction of the satellite's highest CPU frequency         |
    | `cluster`         | `MultiDiscrete([S] * S)`   | cluster label; satellites with equal labels share a model |
    | `weights`         | `Box(0, 1, (S,), float64)` | raw weight of the update in its (gateway, cluster) group  |
    | `gateway_weights` | `Box(0, 1, (G,), float64)` | raw weight of each gateway when the cloud merges          |

    With `rounds.aggregate: decided` there is also `aggregate`, `MultiDiscrete([3] * (G+1))`: for each gateway, and
    last for the cloud, whether it aggregates as scheduled (0), now (1), or lets updates and merge wait (2). It may be
    left out, which is 0. The observation then has `waiting`, see below.

    With `access.sharing: decided` there is also `bandwidth`, `Box(0, 1, (S,), float64)`: each satellite's raw share of
    its gateway's band. It may be left out, and shares are equal then.

    A group whose raw weights are all zero falls back to equal weights, and `info` says so. Associating a satellite
    with a gateway that does not see it is allowed, but its update is lost; `action_masks()` shows which gateways do.
    Actions outside the space raise `ValueError` and leave the environment as it was.

    ## Observation Space

    The observation is a `Dict` with the fields of `satfl_env.NetworkState`, in SI units, clipped to finite bounds
    (`float64` boxes where not said otherwise). `satfl_env.observation_to_state` converts it back.

    | Key                 | Shape    | Min | Max                              | Meaning                             |
    |---------------------|----------|-----|----------------------------------|-------------------------------------|
    | `round`             | `(1,)`   | 0   | rounds in the episode            | rounds played                       |
    | `time_s`            | `(1,)`   | 0   | duration of the longest episode  | simulated time                      |
    | `position_m`        | `(S, 3)` | -   | farthest coordinate of the scene | satellite positions                 |
    | `velocity_mps`      | `(S, 3)` | -   | highest speed of the scene       | satellite velocities                |
    | `distance_m`        | `(S, G)` | 0   | longest slant range of the scene | slant ranges                        |
    | `visible`           | `(S, G)` | 0   | 1 (int8)                         | inside the gateway's coverage       |
    | `window_s`          | `(S, G)` | 0   | horizon of the scene             | remaining contact window            |
    | `rate_bps`          | `(S, G)` | 0   | rate at the shortest slant range | rate alone on the gateway's band    |
    | `link_s`            | `(S, G)` | 0   | horizon of the scene             | both model transfers at that rate   |
    | `energy_j`          | `(S,)`   | 0   | highest draw, or capacity        | energy to be spent this round       |
    | `transmit_power_w`  | `(S,)`   | 0   | highest of the links, or 1       | power of uploads, if that counts    |
    | `samples`           | `(S,)`   | 0   | most samples on board            | training samples on board           |
    | `last_loss`         | `(S,)`   | 0   | 10                               | training loss of the last epoch     |
    | `last_epochs`       | `(S,)`   | 0   | most epochs in a round           | epochs of the last update           |
    | `cluster`           | `(S,)`   | 0   | S - 1 (`MultiDiscrete`)          | cluster label in the last round     |
    | `similarity`        | `(S, S)` | 0   | 1                                | similarity of label distributions   |
    | `update_similarity` | `(S, S)` | -   | 1                                | cosine of the last updates          |
    | `cpu_max_hz`        | `(S,)`   | 0   | its highest value                | highest CPU frequency               |
    | `cycles_per_sample` | `(S,)`   | 0   | its highest value                | CPU cycles to train one sample once |
    | `kappa`             | `(S,)`   | 0   | its highest value                | switched capacitance                |
    | `max_epochs`        | `(S,)`   | 0   | its value                        | most local epochs in a round        |

    A minimum of "-" is the negative of the maximum. With `compression` the maximum of `transmit_power_w` is twice as
    high. The scenario's `observation.leave_out` names parts to be left out, and `observation.add` any of these, for `K`
    contacts (`observation.contacts`, by default 2) up to a horizon (`observation.horizon_s`, by default that of the
    scene):

    | Key               | Shape       | Min | Max                   | Meaning                                      |
    |-------------------|-------------|-----|-----------------------|----------------------------------------------|
    | `contact_start_s` | `(S, G, K)` | 0   | horizon               | when the next contacts begin, in s from now  |
    | `contact_end_s`   | `(S, G, K)` | 0   | horizon               | when they end                                |
    | `eclipse_start_s` | `(S,)`      | 0   | horizon               | when the next eclipse begins; 0 during one   |
    | `eclipse_end_s`   | `(S,)`      | 0   | horizon               | when it ends                                 |
    | `gateway_version` | `(G, S)`    | 0   | rounds in the episode | version of each gateway's model of a cluster |
    | `rounds_to_merge` | `(1,)`      | 0   | `rounds.cloud_every`  | rounds until the cloud merges                |
    | `rounds_left`     | `(1,)`      | 0   | rounds in the episode | rounds until the episode's end               |
    | `waiting`         | `(G,)`      | 0   | S times rounds        | updates that wait at each gateway            |
    | `beams`           | `(G,)`      | 0   | S                     | most satellites that a gateway serves        |
    | `cluster_loss`    | `(S, K)`    | 0   | 10                    | loss under each of `rounds.broadcast` models |

    With the scenario's section `faults`, or a part of that name, there are also `satellite_up`, `(S,)`, and
    `gateway_up`, `(G,)`, both int8: 1 for what works.

    ## Rewards

    The reward is a weighted sum of named terms. Costs are negative already, so a positive weight penalises them.

    | Term           | Default weight | Value                                                           |
    |----------------|----------------|-----------------------------------------------------------------|
    | `metric_gain`  | 1              | rise of the mean test metric; the return is last minus first    |
    | `final_metric` | 0              | the mean test metric at the episode's end, 0 before             |
    | `loss_drop`    | 0              | drop of the mean test loss; the return is first minus last loss |
    | `energy_j`     | 0              | minus the joules spent on training and transmission             |
    | `time_s`       | 0              | minus the seconds the round took                                |
    | `lost_updates` | 0              | minus the number of associated satellites with a lost update    |

    The metric is the one of the scenario's target; without a target it is the balanced accuracy, or the first metric
    where there is none. The loss drop can rank overconfident models below untrained ones, so its default weight is 0.
    The scenario's `reward_scale`, 1 in the built-in ones, multiplies the whole reward, but not the terms in `info`.
    `final_metric` is paid at the ends below. It knows nothing of a `TimeLimit` around the environment, such as
    `max_episode_steps` makes: shorten episodes by `rounds.episode` instead.

    `reward` takes a mapping of the weights to change, or a function `RoundReport -> float`, which is then the whole
    reward. The keys of a mapping may also be such functions:

    ```python
    >>> def fairness(report):
    ...     return -float(report.test_loss.std())
    >>> alone = gym.make("SatFL-v0", reward=fairness)
    >>> both = gym.make("SatFL-v0", reward={"energy_j": 1e-4, fairness: 0.5})  # metric_gain counts too

    ```

    ## Starting State

    The phases of the satellites or the start time, the split of the data, the energy and the first models are drawn
    from the episode's seed. That is the `seed` of `reset`; without one it is drawn from `np_random`, so the first seed
    determines all later episodes. Equal seeds and equal actions give bit-identical trajectories on one machine.

    ## Episode End

    1. Termination: the scenario has a target, and the mean of its metric over satellites has reached the value.
    2. Truncation: all rounds of the scenario's episode have been played, or a satellite has come down (with
       `constellation.decay: end-episode`).

    ## Arguments

    ```python
    >>> import gymnasium as gym
    >>> import satfl_env
    >>> env = gym.make("SatFL-v0", overrides={"rounds.episode": 10}, reward={"energy_j": 1e-4})

    ```

    | Parameter       | Type                                | Default           | Description                         |
    |-----------------|-------------------------------------|-------------------|-------------------------------------|
    | `scenario`      | **str**, **Path** or **Scenario**   | `"leo-multitask"` | built-in name, YAML file, or loaded |
    | `overrides`     | **dict** or **None**                | `None`            | scenario fields to change, dotted   |
    | `reward`        | **dict**, function or **None**      | `None`            | weights that differ, own terms      |
    | `parts`         | **dict** or **None**                | `None`            | parts of your own, by name          |
    | `render_mode`   | `"rgb_array"`, `"ansi"` or **None** | `None`            | what `render()` returns             |
    | `torch_threads` | **int** or **None**                 | `1`               | PyTorch threads; None: as they are  |
    | `render_size`   | width, height or **None**           | `None`            | pixels of an image                  |
    | `render_dpi`    | **float** or **None**               | `None`            | dots per inch of an image           |

    An image has 1120 x 790 pixels on the globe and 1120 x 640 on the plane, at 100 dots per inch. Text and lines have a
    size in inches: at 200 `render_dpi` the same image has twice as many pixels a side. With `render_size` alone they
    grow with the image.

    With `render_mode="human"` Gymnasium wraps `"rgb_array"` in its `HumanRendering`, which needs pygame.

    PyTorch's threads do not survive a fork: unless `torch_threads` is 1, start asynchronous vector environments
    with `vector_kwargs={"context": "spawn"}`.

    ## Info

    `reset` and `step` give the same keys, each a number, an array of fixed shape or a `dict` of these:

    | Key                   | Meaning                                                             |
    |-----------------------|---------------------------------------------------------------------|
    | `seed`                | seed of the episode                                                 |
    | `label_pmf`           | distribution of each satellite's labels, `(S, labels)`              |
    | `batches_per_epoch`   | minibatches that stand for a simulated epoch; 0: all                |
    | `round_share`         | fraction of those minibatches really trained, in (0, 1]             |
    | `action_mask`         | `{"association": (S, G+1) bool}`: visible gateways, and sitting out |
    | `metrics`             | mean over satellites of each test metric                            |
    | `satellite_metrics`   | each test metric, `(S,)`                                            |
    | `test_loss`           | mean test loss over satellites                                      |
    | `satellite_test_loss` | test loss, `(S,)`                                                   |
    | `untestable`          | satellites whose model has diverged and cannot be tested, `(S,)`    |
    | `time_s`              | simulated time                                                      |
    | `decayed`             | satellites that have come down, which ends the episode, `(S,)` bool |
    | `charge_j`            | energy stored, `(S,)`                                               |
    | `beams`               | most satellites that each gateway serves, `(G,)`, if it has a limit |
    | `reward_terms`        | value of each reward term, without its weight                       |
    | `outcome`             | `satfl_env.Outcome` of each satellite, `(S,)`                       |
    | `epochs`, `batches`   | simulated epochs and minibatches really trained, `(S,)`             |
    | `staleness`           | model changes since the update's model was fetched, `(S,)`          |
    | `energy_j`            | energy spent, `(S,)`                                                |
    | `harvested_j`         | energy that came in, `(S,)`                                         |
    | `standing_j`          | energy drawn by all else, `(S,)`                                    |
    | `spilled_j`           | energy that came in and found no room, `(S,)`                       |
    | `duration_s`          | duration of the round                                               |
    | `equal_weights`       | satellites in a group whose raw weights were all zero, `(S,)` bool  |
    | `equal_merges`        | clusters whose gateways' raw weights were all zero, `(S,)` bool     |

    The keys from `reward_terms` on describe the last round; after `reset` they are 0, and all satellites have sat out.
    So `energy_j` is what was spent in the last round, and in the observation what may be spent in the next one.

    ## Version History

    * v0: Initial version, of package 0.2.0: reward `metric_gain`, five parts in the action, 21 in the observation, in
      SI units. Development versions before it rewarded the drop of the test loss, which is now
      `reward={"metric_gain": 0, "loss_drop": 1}`, and did not show `transmit_power_w`: policies trained on their
      observations do not fit.
    """

    action_space: spaces.Dict
    observation_space: spaces.Dict
    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4}  # noqa: RUF012 (the base class declares it so)

    def __init__(
        self,
        scenario: str | Path | Scenario = DEFAULT_SCENARIO,
        overrides: Mapping[str, Any] | None = None,
        reward: RewardChoice | None = None,
        parts: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        torch_threads: int | None = default_of(Simulation, "torch_threads"),
        render_size: Sequence[int] | None = None,
        render_dpi: float | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be one of {self.metadata['render_modes']} or None, got {render_mode!r}")
        self.scenario = resolve(scenario, overrides)
        self._reward = Reward.of(self.scenario, reward)
        self.render_mode = render_mode
        self.simulation = build(self.scenario, parts=parts, torch_threads=torch_threads)
        ingredients = self.simulation.ingredients
        scene = any_scene(ingredients)
        self.observation_space = observation_space(ingredients, scene, self.scenario.observation.parts)
        self.action_space = action_space(ingredients, scene)
        most_served = ingredients.access.most_served
        # Of each gateway, where there is a limit.
        self._beams = {} if most_served is None else {"beams": np.full(scene.num_gateways, most_served)}
        self._picture_size = picture_size(render_size, render_dpi, usual_size(scene))
        self._write_observation = ObservationWriter(self.observation_space)
        self._why_no_step: str | None = _NO_EPISODE
        self._seed: int
        self._snapshot: SceneSnapshot
        self._last_round: LastRound | None = None
        self._history: list[dict[str, float]] = []

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Seed of the episode, from 0 to 2**63 - 1; if None, it is drawn from `np_random`.
            options: Not supported.

        Raises:
            TypeError: If the seed is no integer.
            ValueError: If the seed is out of range, or options are given: the episode goes on then.
        """
        if options:
            raise ValueError(f"reset() takes no options, got {options}")
        seed = None if seed is None else checked_seed("seed", seed)
        self._why_no_step, self._history = "the last reset() broke off: call it again", []
        super().reset(seed=seed)
        episode_seed = int(self.np_random.integers(2**32)) if seed is None else seed
        state = self.simulation.reset(episode_seed)
        self._snapshot = self.simulation.snapshot
        self._last_round = None
        self._history = [self._mean_metrics()]
        self._target_reached()  # raises at once if there is no such metric
        self._seed = episode_seed
        info = self._info(dict.fromkeys(self._reward.weights, 0.0)) | no_round_info(state.num_satellites)
        self._why_no_step = None
        return self._write_observation(state), info

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Play one communication round.

        Raises:
            ResetNeeded: Before the first reset, after the end of an episode, and after a step or reset that broke off.
            TypeError: If a reward function does not return a number.
            ValueError: If the action is outside the action space: nothing has changed then. If a reward function
                returns NaN or infinity.

        Any other exception than that about an action, and an interrupt, breaks the step off.
        """
        if self._why_no_step:
            raise ResetNeeded(self._why_no_step)
        decision = action_to_decision(action, self.action_space, self.simulation.state.cpu_max_hz)
        try:
            return self._play_round(decision)
        except GreenletExit:  # the step of another environment broke off before any round was played
            raise
        except BaseException:
            self._why_no_step = "the last step() broke off, perhaps in the middle of its round: call reset()"
            raise

    def action_masks(self) -> dict[str, BoolArray]:
        """Which values of the discrete parts of the action make sense: `association`, (S, G + 1).

        Raises:
            ResetNeeded: Before the first reset.
        """
        if not self._history:
            raise ResetNeeded("there is nothing to mask yet: call reset() before action_masks()")
        return {"association": association_mask(self.simulation.state)}

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on from here, generator included, with `set_state`.

        Raises:
            ResetNeeded: Before the first reset.
        """
        if not self._history:
            raise ResetNeeded("there is no state yet: call reset() before get_state()")
        return {
            "simulation": self.simulation.get_state(),
            "generator": self.np_random.bit_generator.state,
            "seed": self._seed,
            "history": [dict(means) for means in self._history],
            "last_round": self._last_round,
            "why_no_step": self._why_no_step,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to a state taken by `get_state` of an environment with the same arguments.

        Raises:
            ValueError: If it comes from an environment of other sizes, models or metrics; nothing has changed then.
        """
        self.simulation.set_state(state["simulation"])
        self._snapshot = self.simulation.snapshot
        self.np_random.bit_generator.state = state["generator"]
        self._seed, self._last_round, self._why_no_step = state["seed"], state["last_round"], state["why_no_step"]
        self._history = [dict(means) for means in state["history"]]

    def render(self) -> NDArray[np.uint8] | str | None:
        """The last round, or the start of the episode, as an image (H, W, 3) or as text, by `render_mode`.

        Raises:
            ResetNeeded: Before the first reset.
        """
        if self.render_mode is None:
            gym.logger.warn("render() needs a render_mode: gym.make('SatFL-v0', render_mode='rgb_array')")
            return None
        if not self._history:
            raise ResetNeeded("there is nothing to render yet: call reset() before render()")
        frame = self._frame()
        with own_style():
            # Matplotlib takes a second to import, and most environments are never rendered.
            from satfl_env.envs.render import describe, draw

            return draw(frame, self._picture_size) if self.render_mode == "rgb_array" else describe(frame)

    def _frame(self) -> Frame:
        test, target = self.simulation.test, self.scenario.target
        metric = judging_metric(test.metrics, target)
        last = self._last_round
        return Frame(
            scenario=self.scenario.name,
            rounds=self.scenario.rounds.episode,
            scene=self.simulation.scene,
            snapshot=self.simulation.snapshot if last is None else last[0],
            coverage_radius_m=getattr(self.simulation.scene, "coverage_radius_m", None),
            last_round=None if last is None else last[1:],
            time_s=self.simulation.state.time_s,
            metric=metric,
            satellite_metric=test.metrics[metric],
            history=[means[metric] for means in self._history],
            charge=self._charge(),
            in_shadow=in_shadow(self.simulation.scene, self.simulation.snapshot),
        )

    def _charge(self) -> FloatArray | None:
        """What each battery holds, as a share of its capacity, (S,)."""
        capacity_j = getattr(self.simulation.ingredients.energy, "capacity_j", None)
        return None if capacity_j is None else self.simulation.charge_j / np.asarray(capacity_j)

    def _play_round(self, decision: Decision) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        state, report = play(self.simulation, decision)
        self._last_round = (self._snapshot, decision, report)
        self._snapshot = self.simulation.snapshot
        self._history.append(self._mean_metrics())

        terminated, truncated = self._target_reached(), report.last
        terms = self._reward.terms(report, ended=terminated)
        info = self._info(terms) | round_info(report)
        if terminated or truncated:
            self._why_no_step = _NO_EPISODE
        return self._write_observation(state), self._reward.total(terms), terminated, truncated, info

    def _info(self, reward_terms: dict[str, float]) -> dict[str, Any]:
        """`info` about the current state and the episode."""
        test, training = self.simulation.test, self.scenario.training
        return {
            "seed": self._seed,
            "label_pmf": self.simulation.label_pmf.copy(),
            "batches_per_epoch": training.batches_per_epoch or 0,
            "round_share": training.round_share,
            "action_mask": self.action_masks(),
            "metrics": dict(self._history[-1]),
            "satellite_metrics": {name: values.copy() for name, values in test.metrics.items()},
            "test_loss": float(test.loss.mean()),
            "satellite_test_loss": test.loss.copy(),
            "untestable": test.untestable.copy(),
            "time_s": self.simulation.state.time_s,
            "decayed": self.simulation.decayed,
            "charge_j": self.simulation.charge_j.copy(),
            **{name: beams.copy() for name, beams in self._beams.items()},
            "reward_terms": reward_terms,
        }

    def _mean_metrics(self) -> dict[str, float]:
        return {name: float(values.mean()) for name, values in self.simulation.test.metrics.items()}

    def _target_reached(self) -> bool:
        target = self.scenario.target
        return target is not None and target.reached(self.simulation.test.metrics)
