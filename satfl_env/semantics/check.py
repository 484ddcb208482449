"""Checks, before the first round, that every engine can train a user's own model."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_WRITTEN = {
    "forward": "forward(images, draw)",
    "sample_loss": "sample_loss(outputs, images, targets, output_mask=None)",
    "metrics": "metrics(outputs, images, targets, output_mask=None)",
}
_GIVEN = {
    "draw_weights": "draw_weights(generator)",
    "draw_channel": "draw_channel(count, generator, *, snr_db=None)",
    "stacked_forward": "stacked_forward(parameters, images, draw)",
}
# Satellites and samples of the trial; they differ, so that axes that are mixed up show.
_SATELLITES, _SAMPLES = 3, 2
# Engines agree up to rounding; what is wrong differs by far more.
_RTOL, _ATOL = 1e-2, 1e-4


def check_model(model: Any, images: Tensor, targets: Tensor, output_mask: Tensor | None = None) -> None:
    """Try a model on two samples: one by one, together, and stacked as several satellites.

    The model and the global random state are left as they were.

    Args:
        model: The model; any object.
        images: Images of the data, (N, ...), at least one; those with the lowest and the highest target are taken.
        targets: Their targets, (N,).
        output_mask: True where the task of these targets has a class, (C,); None where there are no tasks.

    Raises:
        TypeError: If it is not a module or lacks a method; the message names it.
        ValueError: If a method fails or returns something wrong, or the model has something unsupported: buffers that
            change, random layers, samples that depend on one another, frozen parameters.
    """
    _check_methods(model)
    chosen = [int(targets.argmin()), int(targets.argmax())]
    images, targets = images[chosen], targets[chosen]
    models = [copy.deepcopy(model) for _ in range(_SATELLITES)]
    for seed, one in enumerate(models):
        _check_weights(one, seed)
    draw = _check_channel(models[0])
    with torch.random.fork_rng(devices=[]):
        alone = [_check_forward(one, images, draw) for one in models]
        _check_loss(models[0], alone[0], images, targets, output_mask)
        _check_stacked(models, torch.stack([part.detach() for part in alone]), images, draw, targets, output_mask)


def _check_methods(model: Any) -> None:
    missing = [text for name, text in (_WRITTEN | _GIVEN).items() if not callable(getattr(model, name, None))]
    if isinstance(model, nn.Module) and not missing:
        return
    name = type(model).__qualname__
    if not isinstance(model, nn.Module):
        raise TypeError(f"{name} is no torch.nn.Module; derive it from satfl_env.SemanticModel")
    raise TypeError(
        f"{name} lacks {', '.join(missing)}; derive it from satfl_env.SemanticModel and write "
        f"{', '.join(_WRITTEN)}, or wrap a module that gives logits in satfl_env.Classifier"
    )


def _check_weights(model: Any, seed: int) -> None:
    """Draw a model's weights, and check that all of them come from the generator."""
    parameters = dict(model.named_parameters())
    if not parameters:
        raise ValueError("there are no parameters, and so nothing to train")
    for name, parameter in parameters.items():
        if parameter.dtype != torch.float32 or not parameter.requires_grad:
            raise ValueError(
                f"the parameter {name!r} has dtype {parameter.dtype} with requires_grad "
                f"{parameter.requires_grad}; allowed are float32 and True: make what stays as it is a buffer"
            )
    drawn = []
    for _ in range(2):
        for parameter in parameters.values():
            parameter.data.fill_(torch.nan)
        with _calling("draw_weights"):
            model.draw_weights(torch.Generator().manual_seed(seed))
        drawn.append({name: parameter.detach().clone() for name, parameter in parameters.items()})
    for name, parameter in drawn[0].items():
        if not torch.equal(parameter, drawn[1][name]):
            raise ValueError(
                f"draw_weights must draw every parameter anew, to finite numbers, from its generator alone; "
                f"{name!r} is not"
            )


def _check_channel(model: Any) -> Any:
    with _calling("draw_channel"):
        draw = model.draw_channel(_SAMPLES, torch.Generator().manual_seed(0))
        model.draw_channel(_SAMPLES, torch.Generator().manual_seed(0), snr_db=0.0)
    is_named = isinstance(draw, tuple) and hasattr(draw, "_fields")
    if not is_named or any(not isinstance(part, Tensor) or len(part) != _SAMPLES for part in draw):
        raise ValueError(f"draw_channel must give a named tuple of tensors with one row per sample, got {draw!r}")
    return draw


def _check_forward(model: Any, images: Tensor, draw: Any) -> Tensor:
    """Outputs (B, ...) of a model that changes nothing, draws nothing and treats each sample alone."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    before = torch.get_rng_state()
    with _calling("forward"):
        outputs: Tensor = model(images, draw)
    _check_shape("forward", outputs, (_SAMPLES,), "outputs of shape (B, ...)", more=True)
    for name, buffer in model.named_buffers():
        if not torch.equal(buffer, buffers[name]):
            raise ValueError(
                f"forward changes the buffer {name!r}, which is not federated (BatchNorm in training mode?); "
                "take LayerNorm or GroupNorm, or call model.eval()"
            )
    if not torch.equal(torch.get_rng_state(), before):
        raise ValueError(
            "forward draws random numbers (dropout in training mode?); call model.eval(), or draw in draw_channel"
        )
    with _calling("forward"), torch.no_grad():
        first = model(images[:1], type(draw)(*(part[:1] for part in draw)))
    _check_shape("forward", first, (1, *outputs.shape[1:]), "for a single image outputs of shape (1, ...)")
    if not torch.allclose(first, outputs[:1].detach(), _RTOL, _ATOL):
        raise ValueError(
            "forward must treat each sample alone: an image's outputs differ with the images beside it "
            "(BatchNorm, or a mean over the batch?)"
        )
    return outputs


def _check_loss(model: Any, outputs: Tensor, images: Tensor, targets: Tensor, output_mask: Tensor | None) -> None:
    given = f", outputs of shape {tuple(outputs.shape)} and targets {targets.tolist()}"
    with _calling("sample_loss", given):
        loss = model.sample_loss(outputs, images, targets, output_mask)
    _check_shape("sample_loss", loss, (_SAMPLES,), "one loss per sample, shape (B,)")
    if not loss.requires_grad:
        raise ValueError("sample_loss must depend on the parameters by operations that have a gradient")
    with _calling("metrics", given), torch.no_grad():
        metrics = model.metrics(outputs, images, targets, output_mask)
    if not isinstance(metrics, Mapping) or not metrics:
        raise ValueError(f"metrics must give tensors by name, at least one, got {metrics!r}")
    for name, value in metrics.items():
        _check_shape(f"metrics[{name!r}]", value, (), "one number, shape ()")


def _check_stacked(
    models: list[Any], alone: Tensor, images: Tensor, draw: Any, targets: Tensor, output_mask: Tensor | None
) -> None:
    """Check that many satellites at once get what each gets alone."""

    def repeat(part: Tensor) -> Tensor:
        return part.expand(_SATELLITES, *part.shape)

    rows = [dict(model.named_parameters()) for model in models]
    parameters = {name: torch.stack([row[name].detach() for row in rows]) for name in rows[0]}
    images, targets = repeat(images), repeat(targets)
    mask = None if output_mask is None else repeat(output_mask)
    model = models[0]
    leaves = {name: parameter.requires_grad_() for name, parameter in parameters.items()}
    with _calling("stacked_forward"):
        outputs = model.stacked_forward(leaves, images, type(draw)(*map(repeat, draw)))
    _check_shape("stacked_forward", outputs, tuple(alone.shape), "outputs of shape (S, B, ...)")
    with _calling("the gradient of stacked_forward"):
        torch.autograd.grad(outputs.sum(), list(leaves.values()), allow_unused=True)
    with torch.no_grad():
        _check_equal("stacked_forward", outputs, alone, "forward")
        with _calling("sample_loss"):
            loss = model.sample_loss(alone, images, targets, mask)
        _check_shape("sample_loss", loss, (_SATELLITES, _SAMPLES), "one loss per sample, (S, B) of several satellites")
        with _calling("metrics"):
            metrics = model.metrics(alone, images, targets, mask)
        for index, own in enumerate(zip(alone, images, targets, strict=True)):
            own_mask = None if mask is None else mask[index]
            _check_equal("sample_loss of several satellites", loss[index], model.sample_loss(*own, own_mask), "it")
            for name, value in model.metrics(*own, own_mask).items():
                found = metrics[name]
                _check_shape(f"metrics[{name!r}]", found, (_SATELLITES,), "one number per satellite, shape (S,)")
                _check_equal(f"metrics[{name!r}] of several satellites", found[index], value, "it")


@contextmanager
def _calling(method: str, given: str = "") -> Iterator[None]:
    """Name the method that an error comes from, and what it was given."""
    try:
        yield
    except Exception as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{method} failed on a trial of {_SAMPLES} samples{given}: {error}") from error


def _check_shape(method: str, found: Any, shape: tuple[int, ...], must: str, *, more: bool = False) -> None:
    """Raise unless a result has a shape, or, with `more`, starts with it."""
    if not isinstance(found, Tensor):
        raise ValueError(f"{method} must give {must}, a tensor, got {type(found).__name__}")
    if tuple(found.shape)[: len(shape) if more else None] != shape:
        raise ValueError(f"{method} must give {must} = {shape} here, got {tuple(found.shape)}")


def _check_equal(method: str, found: Tensor, wanted: Tensor, reference: str) -> None:
    if not torch.allclose(found, wanted.to(found), _RTOL, _ATOL, equal_nan=True):
        raise ValueError(f"{method} must give what {reference} gives for each satellite alone, up to rounding")
