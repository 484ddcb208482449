"""JAX: a round of the fully connected link as one compiled program, the fastest thing a researcher could write instead.

`vmap` over the satellites of a `scan` over their minibatches, compiled by `jit`, with Adam from Optax and the draws in
the same program. Satellites with fewer steps wait for the one with the most. Compilation is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from benchmarks.timing import medians
from benchmarks.workloads import Workload, workload
from satfl_env.federated import Hardware, make_trainer
from satfl_env.federated.schedule import Work
from satfl_env.imports import to_install
from satfl_env.semantics import MLPLink
from satfl_env.semantics.channel import POWER_FLOOR

QUICK = ("default round",)


def run(quick: bool) -> dict[str, float]:
    """Measure everything; `quick` takes the shortest round alone.

    Returns:
        Values by name; each name ends in its unit, ratios say what they compare.

    Raises:
        ImportError: If JAX or Optax is not installed.
    """
    if find_spec("jax") is None or find_spec("optax") is None:
        raise ImportError(f"JAX is not installed: {to_install('bench')}")
    values: dict[str, float] = {}
    for name in QUICK if quick else (*QUICK, "W1s", "W1m", "W1"):
        work = workload(name)
        trainer = make_trainer("auto", work.model, work.settings, Hardware(workers=torch.get_num_threads()))
        jobs: dict[str, Callable[[], object]] = {"JAX": compiled_round(work), "auto": partial(work.train, trainer)}
        seconds = medians(jobs, 3 if name in ("W1m", "W1") else 15)
        values |= {
            f"{work.name}: JAX, s": seconds["JAX"],
            f"{work.name}: auto, s": seconds["auto"],
            f"{work.name}: JAX / auto": seconds["JAX"] / seconds["auto"],
        }
    return values


def compiled_round(work: Workload) -> Callable[[], dict[str, Any]]:
    """A round of a workload with an `MLPLink` and plain noise, every time with other draws.

    Returns:
        A function that trains all satellites and returns their parameters, each (S, ...).
    """
    import jax
    import jax.numpy as jnp
    import optax

    model, data, settings = work.model, work.data, work.settings
    assert isinstance(model, MLPLink)
    assert settings.batches_per_epoch is None
    assert settings.round_share == 1.0
    optimizer = optax.adam(settings.learning_rate)
    start = {name: jnp.asarray(value.detach().numpy()) for name, value in model.named_parameters()}
    longest, size = int(data.samples.max()), settings.batch_size
    # Rows of each satellite, filled up with copies of its last one.
    row = np.minimum(data.offsets[:-1, None] + np.arange(longest), data.offsets[1:, None] - 1)
    images = jnp.asarray(data.images.flatten(1).numpy())[row]
    targets = jnp.asarray(data.targets.numpy())[row]
    batches = Work.of(data.samples, work.epochs, settings).batches
    most_steps, most_epochs = int((batches * work.epochs).max()), int(work.epochs.max())
    assert model.channel is not None
    assert isinstance(model.channel.snr_db, float)
    noise_scale = 10.0 ** (-model.channel.snr_db / 20.0)

    def loss(parameters: Any, images: Any, targets: Any, noise: Any, share: Any) -> Any:
        def linear(layer: str, inputs: Any) -> Any:
            return inputs @ parameters[f"{layer}.weight"].T + parameters[f"{layer}.bias"]

        symbols = linear("encoder.2", jax.nn.relu(linear("encoder.0", images)))
        symbols /= jnp.sqrt(jnp.mean(symbols**2, axis=-1, keepdims=True) + POWER_FLOOR)
        logits = linear("decoder.2", jax.nn.relu(linear("decoder.0", symbols[:, None] + noise)))
        each = optax.softmax_cross_entropy_with_integer_labels(logits, targets[:, None]).mean(axis=-1)
        return (each * share).sum()

    def train_one(key: Any, images: Any, targets: Any, samples: Any, batches: Any, epochs: Any) -> Any:
        order_key, noise_key = jax.random.split(key)
        # Places beyond the satellite's samples come last.
        keys = jax.random.uniform(order_key, (most_epochs, longest)) + (jnp.arange(longest) >= samples)
        order = jnp.pad(jnp.argsort(keys, axis=-1), ((0, 0), (0, -longest % size)))

        def step(carry: Any, number: Any) -> Any:
            epoch, first = number // batches, number % batches * size
            chosen = jax.lax.dynamic_slice(order, (epoch, first), (1, size))[0]
            share = (first + jnp.arange(size) < samples) / jnp.minimum(samples - first, size)
            shape = (size, model.channel_draws, model.channel_uses)
            noise = noise_scale * jax.random.normal(jax.random.fold_in(noise_key, number), shape)
            parameters, state = carry
            gradient = jax.grad(loss)(parameters, images[chosen], targets[chosen], noise, share)
            updates, after = optimizer.update(gradient, state)
            trained = (optax.apply_updates(parameters, updates), after)
            return jax.tree.map(partial(jnp.where, number < batches * epochs), trained, carry), None

        (parameters, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), jnp.arange(most_steps))
        return parameters

    train_all = jax.jit(jax.vmap(train_one))
    satellites = (images, targets, *map(jnp.asarray, (data.samples, batches, work.epochs)))
    rounds = iter(range(2**31))

    def train() -> dict[str, Any]:
        keys = jax.random.split(jax.random.key(next(rounds)), work.num_satellites)
        return dict(jax.block_until_ready(train_all(keys, *satellites)))

    return train
