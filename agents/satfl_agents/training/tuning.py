"""Searching hyperparameters with Optuna: short runs, judged on seeds of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from satfl_agents.hyperparameters.reading import nested, read_file, with_changes
from satfl_agents.training.assignment import Assignment
from satfl_agents.training.learning import learn
from satfl_agents.training.run_folder import RunFolder
from satfl_agents.training.validation import Validator
from satfl_baselines.files import write_table, write_yaml
from satfl_baselines.seeds import TUNING

STUDY, BEST = "study.log", "best.yaml"


def tune(
    assignment: Assignment,
    folder: Path,
    num_trials: int,
    *,
    progress: Callable[[int, int], None] = lambda done, trials: None,
    tell: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Try hyperparameters until there are enough finished trials, and keep the best ones.

    A trial's value is the best mean of the metric that judges, over the judgements of its run. Trials that were killed
    go on where they were.

    Args:
        assignment: What is to be learned; its hyperparameters hold where the file of the algorithm names no range.
        folder: Folder of the study and of its runs.
        num_trials: Number of trials.
        progress: Called with the numbers of finished trials and of all.
        tell: Called with a line about each trial.

    Returns:
        The best hyperparameters by dotted name, which `best.yaml` in the folder has as the section of a scenario;
        `trials.csv` has all finished trials.

    Raises:
        ValueError: If the algorithm's file names no ranges.
    """
    ranges = read_file(assignment.algo).get("search")
    if not ranges:
        raise ValueError(f"the hyperparameters of {assignment.algo} name no ranges to search")
    folder.mkdir(parents=True, exist_ok=True)
    study = _study(folder, assignment.seed)
    validator = Validator(
        assignment.scenario, assignment.hyperparameters.validation, folder / "rules", assignment.brought, TUNING
    )

    def value(trial: optuna.Trial) -> float:
        chosen = {name: _suggested(trial, name, allowed) for name, allowed in ranges.items()}
        settings = with_changes(assignment.hyperparameters, chosen)
        run = RunFolder(
            folder / f"trial-{_label(trial)}",
            assignment.scenario,
            settings,
            algo=assignment.algo,
            seed=assignment.seed,
            **assignment.brought,
        )
        found = learn(replace(assignment, hyperparameters=settings), run, validator)
        tell(f"trial {trial.number}: {found:.4f} with {chosen}")
        return found

    while (done := len(study.get_trials(states=(TrialState.COMPLETE,)))) < num_trials:
        progress(done, num_trials)
        study.optimize(value, n_trials=1)
    progress(num_trials, num_trials)
    finished = study.get_trials(states=(TrialState.COMPLETE,))
    rows = [
        {"trial": trial.number, "value": trial.value, **{name: trial.params.get(name) for name in ranges}}
        for trial in finished
    ]
    write_table(folder / "trials.csv", rows)
    section = {assignment.scenario.name: nested(study.best_params) | {"tuned": True}}
    write_yaml(folder / BEST, {"scenarios": section})
    return dict(study.best_params)


def _study(folder: Path, seed: int) -> optuna.Study:
    """The study of a folder; trials that never finished are put in line again."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(folder / STUDY)))
    study = optuna.create_study(storage=storage, study_name="satfl", direction="maximize", load_if_exists=True)
    # Goes on with other draws than those of the trials that there are.
    study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.enqueue_trial(trial.params, user_attrs={"label": _label(trial)})
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _label(trial: optuna.Trial | optuna.trial.FrozenTrial) -> int:
    """Number of the trial that began with these values."""
    return int(trial.user_attrs.get("label", trial.number))


def _suggested(trial: optuna.Trial, name: str, allowed: Mapping[str, Any]) -> Any:
    if "choices" in allowed:
        return trial.suggest_categorical(name, allowed["choices"])
    return trial.suggest_float(name, allowed["low"], allowed["high"], log=allowed.get("log", False))
