"""From label distributions to curves: which satellites should learn together, and what they gain."""

from __future__ import annotations

import os

import gymnasium as gym
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import satfl_env  # noqa: F401  (registers SatFL-v0)
from satfl_baselines.clustering import cluster_tasks

# What each satellite tells the parameter server: how often its labels are "1", "2", "6" and "other".
PMFS = np.array([[0.0, 0.7, 0.0, 0.3], [0.45, 0.45, 0.0, 0.1], [0.0, 0.0, 0.7, 0.3]])


def learn(env: gym.Env, cluster: np.ndarray, seed: int = 0) -> list[float]:
    """Average accuracy before the first and after every round, with fixed clusters."""
    _, info = env.reset(seed=seed)
    satellites = len(cluster)
    action = {
        "association": np.zeros(satellites, dtype=np.int64),
        "cpu_frequency": np.ones(satellites),
        "cluster": cluster,
        "weights": np.ones(satellites),
        "gateway_weights": np.ones(1),
    }
    curve, done = [info["metrics"]["accuracy"]], False
    while not done:
        _, _, terminated, truncated, info = env.step(action)
        curve.append(info["metrics"]["accuracy"])
        done = terminated or truncated
    return curve


def main(picture: str = "task_clustering.png") -> None:
    """Cluster, learn in three ways, draw the curves; on MNIST if SATFL_DATA names its folder, else on 8x8 digits."""
    digits = {} if "SATFL_DATA" in os.environ else {"data.source": "digits", "data.partition.samples": [60, 60]}
    env = gym.make("SatFL-v0", scenario="task-clustering", overrides=digits)
    clusters = {"clustered": cluster_tasks(PMFS), "unclustered": np.zeros(3, dtype=int), "individual": np.arange(3)}
    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="Communication round", ylabel="Average accuracy")
    for name, labels in clusters.items():
        curve = learn(env, labels)
        axes.plot(curve, label=name)
        print(f"{name:12} clusters {labels.tolist()}  final accuracy {curve[-1]:.3f}")
    axes.legend()
    figure.savefig(picture)


if __name__ == "__main__":
    main()
