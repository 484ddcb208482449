"""Training a policy: it goes on after a kill as if nothing had happened, and the same seed gives the same policy."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

from satfl_agents.algorithms.algorithm import algorithm
from satfl_agents.envs.episodes import EpisodeRecorder
from satfl_agents.envs.vec_env import SatFLVecEnv
from satfl_agents.forms.form import wrapped
from satfl_agents.surroundings import one_thread, own_generators
from satfl_agents.training.assignment import Assignment
from satfl_agents.training.checkpoints import set_training_state, training_state
from satfl_agents.training.cloning import clone
from satfl_agents.training.judging import Judge
from satfl_agents.training.run_folder import RunFolder
from satfl_agents.training.tracked import Tracked
from satfl_agents.training.validation import Validator
from satfl_baselines.tracking import TRACKERS, Tracker, TrackerName


def learn(
    assignment: Assignment,
    folder: RunFolder,
    validator: Validator,
    *,
    progress: Callable[[int, int], None] = lambda done, all_rounds: None,
    tell: Callable[[str], None] = lambda line: None,
    track: Sequence[str] = (),
) -> float:
    """Train, or go on training, until the folder is complete.

    Args:
        assignment: What is to be learned.
        folder: Where everything is kept.
        validator: Judges the policy meanwhile.
        progress: Called with the numbers of rounds played and of all.
        tell: Called with a line about each judgement.
        track: Trackers beside TensorBoard, see `satfl_baselines.tracking`.

    Returns:
        The best value of the metric that judges, over the judgements.

    Raises:
        ValueError: If the algorithm does not take the form of the actions, or a setting is not valid.
    """
    with own_generators(), one_thread(), folder.in_use():
        envs = _make_envs(assignment)
        try:
            learner = _make_learner(assignment, envs)
            run = _Run(assignment, folder, validator, learner, progress, tell, track)
            state = folder.read_checkpoint()
            if state is not None:
                run.set_state(state)
                tell(f"going on from round {learner.num_timesteps}")
            elif assignment.hyperparameters.clone.policy:
                tell(_cloned(learner, assignment))
            run.play(resumed=state is not None)
            return run.best
        finally:
            envs.close()


def _cloned(learner: BaseAlgorithm, assignment: Assignment) -> str:
    settings, parts = assignment.hyperparameters, assignment.brought.get("parts")
    first, last = clone(learner, assignment.scenario, settings, assignment.seed, parts)
    return f"cloned {settings.clone.policy}: loss {first:.3g} in the first pass, {last:.3g} in the last"


def _make_learner(assignment: Assignment, envs: VecEnv) -> BaseAlgorithm:
    chosen, settings = algorithm(assignment.algo), assignment.hyperparameters
    if not isinstance(envs.action_space, chosen.actions):
        takes = " or ".join(space.__name__ for space in chosen.actions)
        raise ValueError(
            f"{assignment.algo} takes actions of kind {takes}, and the form {settings.action.kind!r} gives "
            f"{type(envs.action_space).__name__}; choose another form: hyperparameter action"
        )
    try:
        learner = chosen.learner(
            chosen.policy_class(envs.observation_space, settings.network),
            envs,
            seed=assignment.seed,
            device="cpu",
            policy_kwargs=settings.network.policy_kwargs,
            **settings.learner,
        )
    except AssertionError as error:  # Stable-Baselines3 checks settings against each other in this way
        raise ValueError(f"hyperparameters learner: {' '.join(str(error).split())}") from error
    # Stable-Baselines3 has seeded them with numbers that learners of neighbouring seeds share.
    envs.seed(int(np.random.SeedSequence(assignment.seed).generate_state(1)[0]))
    return learner


def _make_envs(assignment: Assignment) -> VecEnv:
    settings = assignment.hyperparameters
    envs = EpisodeRecorder(
        SatFLVecEnv(
            settings.envs,
            partial(wrapped, observation=settings.observation, action=settings.action),
            workers=min(assignment.workers, settings.envs),
            scenario=assignment.scenario,
            **assignment.brought,
        ),
        goes_on=settings.goes_on,
    )
    if not settings.normalise_reward:
        return envs
    return VecNormalize(envs, norm_obs=False, gamma=settings.learner.get("gamma", 0.99))


class _Run(BaseCallback):
    """Has a learner judged, recorded and kept while it learns."""

    def __init__(
        self,
        assignment: Assignment,
        folder: RunFolder,
        validator: Validator,
        learner: BaseAlgorithm,
        progress: Callable[[int, int], None],
        tell: Callable[[str], None],
        track: Sequence[str],
    ) -> None:
        super().__init__()
        self._track = track
        self._folder, self._learner, self._progress, self._tell = folder, learner, progress, tell
        self._settings = assignment.hyperparameters
        self._recorder = _recorder(learner.env)
        self._judge = Judge(assignment, folder, validator, learner)
        rollout = algorithm(assignment.algo).rollout_rounds(learner)
        self._all_rounds = math.ceil(self._settings.rounds / rollout) * rollout
        self._kept_at = 0
        self._seconds = 0.0

    @property
    def best(self) -> float:
        """The best value so far of the metric that judges."""
        return self._judge.best

    def play(self, *, resumed: bool) -> None:
        """Train until the end."""
        self._started = time.perf_counter()
        names = dict.fromkeys([TrackerName.TENSORBOARD, *self._track])
        self._board = Tracked([self._tracker(name) for name in names])
        self._learner.set_logger(Logger(None, [self._board]))
        left = self._settings.rounds - self._learner.num_timesteps
        self._learner.learn(left, self, reset_num_timesteps=not resumed)
        self._board.close()
        self._folder.finish(self._learner.num_timesteps, self._spent())

    def _tracker(self, name: str) -> Tracker:
        path = self._folder.path
        # TensorBoard shows a run under the name of its folder.
        run = "" if name == TrackerName.TENSORBOARD else path.name
        return TRACKERS[name](path, run, self._settings.model_dump(mode="json"), self._learner.num_timesteps)

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        set_training_state(self._learner, state["training"])
        self._judge.records, self._kept_at, self._seconds = state["validation"], state["kept_at"], state["seconds"]

    def _on_step(self) -> bool:
        self._progress(self.num_timesteps, self._all_rounds)
        return True

    def _on_rollout_start(self) -> None:
        self._judge_if_due(self._settings.validation.every)
        if self.num_timesteps - self._kept_at >= self._settings.checkpoint_every:
            self._keep()

    def _on_training_end(self) -> None:
        self._judge_if_due(1)
        self._keep()

    def _judge_if_due(self, every: int) -> None:
        now, judged = self._learner.num_timesteps, self._judge.last_rounds
        if now - judged < every:
            return
        told = self._judge.judge()
        self._board.add("validation", self._judge.records[-1], now)
        for episode in self._recorder.records:
            if episode["rounds"] > judged:
                self._board.add("episode", episode, int(episode["rounds"]))
        self._folder.write_curves(self._recorder.records, self._judge.records)
        self._tell(f"round {now} of {self._all_rounds}: {told}, {self._spent():.0f} s")

    def _keep(self) -> None:
        self._kept_at = self._learner.num_timesteps
        size = self._folder.write_checkpoint(
            {
                "training": training_state(self._learner),
                "validation": self._judge.records,
                "kept_at": self._kept_at,
                "seconds": self._spent(),
            }
        )
        self._tell(f"round {self._kept_at}: checkpoint of {size / 1e6:.1f} MB")

    def _spent(self) -> float:
        """Seconds of the run so far, those before a kill included."""
        return self._seconds + time.perf_counter() - self._started


def _recorder(envs: VecEnv | None) -> EpisodeRecorder:
    while not isinstance(envs, EpisodeRecorder):
        assert isinstance(envs, VecNormalize)
        envs = envs.venv
    return envs
