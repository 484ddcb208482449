"""Training and testing of the fully connected link as machine code: all minibatches of some satellites in one call.

A small model's training step costs PyTorch's dispatch, not arithmetic. Here the same step, with its gradient in closed
form (see `MLPLink.stacked_gradient`), is compiled by Numba; matrix products are those of the BLAS library of SciPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Numba compiles this file anew where it has changed itself, not where only that other one has.
from satfl_env.semantics.meeting import meet

Array = NDArray[Any]
# Weight (out, in) and bias (out,).
Layer = tuple[Array, Array]

# Assignments and copies of NumPy take seconds to compile, since their errors name shapes: loops stand in their place.
# NaN and infinity pass through as in NumPy, for the trainer to find. Threads may run other satellites beside.
_machine_code = njit(nogil=True, error_model="numpy")


@_machine_code
def _copy(source: Array, target: Array) -> None:
    """Overwrite a row by another, as long or longer."""
    for i in range(len(target)):
        target[i] = source[i]


@_machine_code
def _layer(flat: Array, first: int, outputs: int, inputs: int) -> tuple[Layer, int]:
    """The layer that begins at `first` of a flat row, and where it ends."""
    middle = first + outputs * inputs
    return (flat[first:middle].reshape((outputs, inputs)), flat[middle : middle + outputs]), middle + outputs


@_machine_code
def _layers(flat: Array, sizes: tuple[int, int, int, int, int]) -> tuple[Layer, Layer, Layer, Layer]:
    """The four layers of the link in a flat row, in the order of its parameters."""
    pixels, hidden, symbols, decoder_hidden, classes = sizes
    encoder, at = _layer(flat, 0, hidden, pixels)
    encoder2, at = _layer(flat, at, symbols, hidden)
    decoder, at = _layer(flat, at, decoder_hidden, symbols)
    decoder2, at = _layer(flat, at, classes, decoder_hidden)
    if at != len(flat):
        raise ValueError("the parameters are not those of a fully connected link")
    return encoder, encoder2, decoder, decoder2


@_machine_code
def _linear(inputs: Array, layer: Layer, outputs: Array) -> None:
    weight, bias = layer
    np.dot(inputs, weight.T, outputs)
    for i in range(outputs.shape[0]):
        for j in range(outputs.shape[1]):
            outputs[i, j] += bias[j]


@_machine_code
def _relu(values: Array) -> None:
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            if values[i, j] < 0:
                values[i, j] = 0


@_machine_code
def _linear_backward(inputs: Array, outputs_gradient: Array, gradient: Layer) -> None:
    """Write a layer's gradient."""
    weight, bias = gradient
    np.dot(outputs_gradient.T, inputs, weight)
    bias[:] = 0
    for i in range(outputs_gradient.shape[0]):
        for j in range(outputs_gradient.shape[1]):
            bias[j] += outputs_gradient[i, j]


@_machine_code
def _relu_backward(outputs: Array, gradient: Array) -> None:
    """From the gradient after a ReLU, in place, to that before it."""
    for i in range(outputs.shape[0]):
        for j in range(outputs.shape[1]):
            if outputs[i, j] == 0:
                gradient[i, j] = 0


@_machine_code
def _normalise_power(symbols: Array, unit: Array, scale: Array, floor: float) -> None:
    """Symbols (B, n) at unit power, and the factor of each sample, (B,)."""
    real = symbols.dtype.type
    n = real(symbols.shape[1])
    for i in range(symbols.shape[0]):
        power = real(0)
        for j in range(symbols.shape[1]):
            power += symbols[i, j] * symbols[i, j]
        scale[i] = real(1) / np.sqrt(power / n + real(floor))
        for j in range(symbols.shape[1]):
            unit[i, j] = symbols[i, j] * scale[i]


@_machine_code
def _transmit(unit: Array, noise: Array, gain: Array, received: Array) -> None:
    """Every sample goes out once per draw: (B, n) to (B L, n)."""
    num_draws = noise.shape[1]
    for i in range(unit.shape[0]):
        for draw in range(num_draws):
            for j in range(unit.shape[1]):
                received[i * num_draws + draw, j] = gain[i, draw, 0] * unit[i, j] + noise[i, draw, j]


@_machine_code
def _symbols_gradient(received_gradient: Array, gain: Array, unit: Array, scale: Array, gradient: Array) -> None:
    """From the gradient of what arrives, (B L, n), to that of the symbols before power normalisation, (B, n)."""
    real = unit.dtype.type
    num_draws, n = gain.shape[1], real(unit.shape[1])
    for i in range(unit.shape[0]):
        along = real(0)
        for j in range(unit.shape[1]):
            gradient[i, j] = 0
            for draw in range(num_draws):
                gradient[i, j] += received_gradient[i * num_draws + draw, j] * gain[i, draw, 0]
            along += unit[i, j] * gradient[i, j]
        for j in range(unit.shape[1]):
            gradient[i, j] = (gradient[i, j] - unit[i, j] * along / n) * scale[i]


@_machine_code
def _infomax(logits: Array, targets: Array, num_draws: int, exists: Array, share: Any) -> float:
    """Sum of the samples' losses (task-clustering paper, eq. 4).

    Logits (B L, C) become the gradient of the mean over the minibatch, in which each of them has a `share`.
    """
    real = logits.dtype.type
    total = 0.0
    for i in range(len(logits)):
        row, target = logits[i], targets[i // num_draws]
        highest = real(-np.inf)
        for c in range(len(row)):
            if len(exists) and not exists[c]:
                row[c] = -np.inf
            highest = max(highest, row[c])
        total += highest - row[target]
        sum_exp = real(0)
        for c in range(len(row)):
            row[c] = np.exp(row[c] - highest)
            sum_exp += row[c]
        total += np.log(sum_exp)
        for c in range(len(row)):
            row[c] *= share / sum_exp
        row[target] -= share
    return total / num_draws


@_machine_code
def _column_linear(layer: Layer, inputs: Array, outputs: Array, relu: bool) -> None:
    """A layer with samples in columns, which makes long loops of short ones: (in, B) to (out, B)."""
    weight, bias = layer
    np.dot(weight, inputs, outputs)
    least = outputs.dtype.type(0 if relu else -np.inf)
    for j in range(outputs.shape[0]):
        row, shift = outputs[j], bias[j]
        for i in range(len(row)):
            value = row[i] + shift
            # NaN, too, passes a ReLU.
            row[i] = least if value < least else value


@_machine_code
def _column_channel(symbols: Array, noise: Array, gain: Array, floor: float, scale: Array, received: Array) -> None:
    """Symbols (n, B) at unit power over L draws of the channel, (L, n, B) and (L, B), to (n, L B)."""
    real = symbols.dtype.type
    num_symbols, num_samples = symbols.shape
    scale[:] = 0
    for j in range(num_symbols):
        for i in range(num_samples):
            scale[i] += symbols[j, i] * symbols[j, i]
    for i in range(num_samples):
        scale[i] = real(1) / np.sqrt(scale[i] / real(num_symbols) + real(floor))
    for j in range(num_symbols):
        for draw in range(len(gain)):
            arrived, own_gain, own_noise = received[j, draw * num_samples :], gain[draw], noise[draw, j]
            for i in range(num_samples):
                arrived[i] = own_gain[i] * (symbols[j, i] * scale[i]) + own_noise[i]


@_machine_code
def _columns(rows: Array) -> Array:
    """Rows (n, m) as columns, (m, n)."""
    columns = np.empty((rows.shape[1], rows.shape[0]), rows.dtype)
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            columns[j, i] = rows[i, j]
    return columns


@_machine_code
def _equal(one: Array, other: Array) -> bool:
    """Whether two rows hold the same numbers; NaN equals nothing."""
    differ = False
    for i in range(len(one)):
        differ |= one[i] != other[i]
    return not differ


@_machine_code
def _scores(logits: Array, targets: Array, weights: Array, exists: Array, result: Array) -> None:
    """Loss, accuracy and balanced accuracy of a model from its logits (C, L B), as `Classifier` defines them."""
    (num_classes, num_columns), num_samples = logits.shape, len(targets)
    decided, highest = np.full(num_columns, -1), np.full(num_columns, -np.inf, logits.dtype)
    for c in range(num_classes):
        row = logits[c]
        if len(exists) and not exists[c]:
            row[:] = -np.inf
            continue
        for i in range(num_columns):
            if decided[i] < 0 or row[i] > highest[i]:
                decided[i], highest[i] = c, row[i]
    sum_exp = np.zeros(num_columns)
    for c in range(num_classes):
        row = logits[c]
        if not len(exists) or exists[c]:
            for i in range(num_columns):
                sum_exp[i] += np.exp(row[i] - highest[i])
    members, right = np.zeros(num_classes), np.zeros(num_classes)
    loss = 0.0
    for first in range(0, num_columns, num_samples):
        for i in range(num_samples):
            column, target = first + i, targets[i]
            loss += weights[i] * (highest[column] - logits[target, column] + np.log(sum_exp[column]))
            members[target] += 1
            right[target] += decided[column] == target
    result[0], result[1], result[2] = loss * num_samples / num_columns, right.sum() / num_columns, 0.0
    for c in range(num_classes):
        if members[c]:
            result[2] += right[c] / members[c] / np.count_nonzero(members)


@_machine_code
def _add(first: Array, second: Array, total: Array) -> None:
    for i in range(len(total)):
        total[i] = first[i] + second[i]


@_machine_code
def _adam(parameters: Array, gradient: Array, moments: Array, step: int, learning_rate: float) -> None:
    """The `step`-th update, counted from 1, with PyTorch's default constants."""
    real = parameters.dtype.type
    beta, beta2, epsilon = real(0.9), real(0.999), real(1e-8)
    rest, rest2 = real(1 - 0.9), real(1 - 0.999)
    size = real(learning_rate / (1 - 0.9**step))
    correction = real(np.sqrt(1 - 0.999**step))
    mean, square = moments[0], moments[1]
    for i in range(len(parameters)):
        mean[i] = beta * mean[i] + rest * gradient[i]
        square[i] = beta2 * square[i] + rest2 * gradient[i] * gradient[i]
        parameters[i] -= size * mean[i] / (np.sqrt(square[i]) / correction + epsilon)


@_machine_code
def _sgd(parameters: Array, gradient: Array, learning_rate: float) -> None:
    size = parameters.dtype.type(learning_rate)
    for i in range(len(parameters)):
        parameters[i] -= size * gradient[i]


@_machine_code
def _guide(parameters: Array, gradient: Array, terms: Array, proximal_mu: float) -> None:
    """Add the gradient of the terms beside the loss; that of the loss goes into their sum."""
    start, shift, total = terms[0], terms[1], terms[2]
    mu = parameters.dtype.type(proximal_mu)
    for i in range(len(total)):
        total[i] += gradient[i]
        gradient[i] += mu * (parameters[i] - start[i]) + shift[i]


@_machine_code
def _check(
    sizes: tuple[int, int, int, int, int],
    images: Array,
    channel: tuple[Array, Array, Array],
    count: int,
    mask_length: int,
) -> None:
    """Raise an error if images, the channel of `count` of them or the mask of classes, empty or not, do not fit."""
    pixels, _, symbols, _, classes = sizes
    noise, gain, _ = channel
    num_draws = noise.shape[1]
    if images.shape[1] != pixels:
        raise ValueError("the images have not as many pixels as the link has inputs")
    if noise.shape != (count, num_draws, symbols) or gain.shape != (count, num_draws, 1):
        raise ValueError("the draw of the channel has not the link's shape")
    if mask_length != 0 and mask_length != classes:
        raise ValueError("there are not as many logits as classes")


@_machine_code
def _check_class(target: int, num_classes: int) -> None:
    """Raise an error if a target is no class."""
    if target < 0 or target >= num_classes:
        raise IndexError("a target is not among the classes")


@_machine_code
def _gather(images: Array, targets: Array, samples: Array, inputs: Array, labels: Array) -> None:
    """Copy samples to the beginning of `inputs` and `labels`."""
    for i, sample in enumerate(samples):
        _copy(images[sample], inputs[i])
        labels[i] = targets[sample]


# A part of its caller: with so many arrays a call would cost a thirtieth of a minibatch.
@njit(nogil=True, error_model="numpy", inline="always")
def _gradient(
    layers: tuple[Layer, Layer, Layer, Layer],
    gradients: tuple[Layer, Layer, Layer, Layer],
    inputs: Array,
    labels: Array,
    noise: Array,
    gain: Array,
    exists: Array,
    share: Any,
    power_floor: float,
    features: Array,
    features_gradient: Array,
    code: Array,
    unit: Array,
    scale: Array,
    arrived: Array,
    arrived_gradient: Array,
    decoded: Array,
    decoded_gradient: Array,
    logits: Array,
) -> float:
    """Sum of the losses of samples of a minibatch; writes their gradients, and into what follows `power_floor`."""
    encoder, encoder2, decoder, decoder2 = layers
    encoder_gradient, encoder2_gradient, decoder_gradient, decoder2_gradient = gradients
    _linear(inputs, encoder, features)
    _relu(features)
    _linear(features, encoder2, code)
    _normalise_power(code, unit, scale, power_floor)
    _transmit(unit, noise, gain, arrived)
    _linear(arrived, decoder, decoded)
    _relu(decoded)
    _linear(decoded, decoder2, logits)

    loss = _infomax(logits, labels, noise.shape[1], exists, share)
    _linear_backward(decoded, logits, decoder2_gradient)
    np.dot(logits, decoder2[0], decoded_gradient)
    _relu_backward(decoded, decoded_gradient)
    _linear_backward(arrived, decoded_gradient, decoder_gradient)
    np.dot(decoded_gradient, decoder[0], arrived_gradient)
    _symbols_gradient(arrived_gradient, gain, unit, scale, code)
    _linear_backward(features, code, encoder2_gradient)
    np.dot(code, encoder2[0], features_gradient)
    _relu_backward(features, features_gradient)
    _linear_backward(inputs, features_gradient, encoder_gradient)
    return loss


@njit(nogil=True, error_model="numpy", cache=True)
def train_mlp_link(
    link: tuple[int, int, int, int, int, float],
    rows: Array,
    moments: Array,
    terms: Array,
    done: Array,
    steps: Array,
    losses: Array,
    images: Array,
    targets: Array,
    output_mask: Array,
    used: Array,
    which: Array,
    order: Array,
    ends: Array,
    channel: tuple[Array, Array, Array],
    batch_size: int,
    learning_rate: float,
    adam: bool,
    proximal_mu: float,
    halves: tuple[int, int, Array, Array],
) -> None:
    """Train satellites one after the other, each through a block of epochs; see `MLPLink.kernel`."""
    sizes, power_floor = link[:5], link[5]
    pixels, hidden, symbols, decoder_hidden, classes = sizes
    noise, gain, _ = channel
    num_draws = noise.shape[1]
    least_halved, own_half, half_gradients, met = halves
    _check(sizes, images, channel, order.size, output_mask.shape[1])
    for sample in order:
        _check_class(targets[sample], classes)
    # In memory of their own, aligned alike, numbers are rounded alike wherever the row lies.
    parameters, real = np.empty(rows.shape[1], rows.dtype), rows.dtype
    gradient = np.empty_like(parameters)
    layers, gradients = _layers(parameters, sizes), _layers(gradient, sizes)
    most = min(batch_size, order.size)
    inputs, labels = np.empty((most, pixels), real), np.empty(most, np.int64)
    features, features_gradient = np.empty((most, hidden), real), np.empty((most, hidden), real)
    code, unit, scale = np.empty((most, symbols), real), np.empty((most, symbols), real), np.empty(most, real)
    arrived = np.empty((most * num_draws, symbols), real)
    arrived_gradient = np.empty((most * num_draws, symbols), real)
    decoded = np.empty((most * num_draws, decoder_hidden), real)
    decoded_gradient = np.empty((most * num_draws, decoder_hidden), real)
    logits = np.empty((most * num_draws, classes), real)
    at, turn = 0, 0
    for satellite, end in zip(which, ends):  # noqa: B905 (Numba knows no strict zip)
        _copy(rows[satellite], parameters)
        epoch_end = at
        while at < end and done[satellite] < steps[satellite]:
            if at == epoch_end:
                epoch_end += used[satellite]
            n = min(batch_size, epoch_end - at)
            halved = n >= least_halved
            both = half_gradients[turn]
            for half in range(2 if halved else 1):
                if halved and half == 1 - own_half:
                    continue
                first = at + half * (n // 2)
                last = first + n // 2 if halved and half == 0 else at + n
                size = last - first
                _gather(images, targets, order[first:last], inputs, labels)
                loss = _gradient(
                    layers,
                    gradients,
                    inputs[:size],
                    labels[:size],
                    noise[first:last],
                    gain[first:last],
                    output_mask[satellite],
                    real.type(1) / real.type(n * num_draws),
                    power_floor,
                    features[:size],
                    features_gradient[:size],
                    code[:size],
                    unit[:size],
                    scale,
                    arrived[: size * num_draws],
                    arrived_gradient[: size * num_draws],
                    decoded[: size * num_draws],
                    decoded_gradient[: size * num_draws],
                    logits[: size * num_draws],
                )
                if halved:
                    _copy(gradient, both[half])
                if halved or own_half != 1:
                    losses[satellite, done[satellite]] += loss
            if halved:
                if own_half >= 0:
                    meet(met, own_half)
                _add(both[0], both[1], gradient)
                turn = 1 - turn
            at += n
            done[satellite] += 1
            if terms.shape[2]:
                _guide(parameters, gradient, terms[satellite], proximal_mu)
            if adam:
                _adam(parameters, gradient, moments[satellite], done[satellite], learning_rate)
            else:
                _sgd(parameters, gradient, learning_rate)
        at = end
        _copy(parameters, rows[satellite])


@njit(nogil=True, error_model="numpy", cache=True)
def evaluate_mlp_link(
    link: tuple[int, int, int, int, int, float],
    rows: Array,
    satellites: Array,
    images: Array,
    targets: Array,
    weights: Array,
    output_mask: Array,
    channel: tuple[Array, Array, Array],
    results: Array,
) -> None:
    """Test models, each on the targets of a satellite; see `MLPLink.evaluation_kernel`."""
    sizes, power_floor = link[:5], link[5]
    _, hidden, symbols, decoder_hidden, classes = sizes
    noise, gain, _ = channel
    n, num_draws, real = len(images), noise.shape[1], rows.dtype
    _check(sizes, images, channel, n, output_mask.shape[1])
    for own_targets in targets:
        for target in own_targets:
            _check_class(target, classes)
    inputs, scale = _columns(images), np.empty(n, real)
    column_noise = _columns(noise.reshape((n, num_draws * symbols))).reshape((num_draws, symbols, n))
    column_gain = _columns(gain.reshape((n, num_draws)))
    features, code = np.empty((hidden, n), real), np.empty((symbols, n), real)
    arrived, decoded = np.empty((symbols, num_draws * n), real), np.empty((decoder_hidden, num_draws * n), real)
    logits = np.empty((classes, num_draws * n), real)
    # In memory of their own, aligned alike, numbers are rounded alike wherever the row lies.
    parameters = np.full(rows.shape[1], np.nan, real)
    encoder, encoder2, decoder, decoder2 = _layers(parameters, sizes)
    encoder_size = encoder[0].size + encoder[1].size + encoder2[0].size + encoder2[1].size
    # Models of one encoder follow each other: what arrives is the same for all of them.
    for index in np.argsort(rows[:, encoder_size - 1]):
        row, satellite = rows[index], satellites[index]
        if not _equal(row[:encoder_size], parameters[:encoder_size]):
            _copy(row, parameters[:encoder_size])
            _column_linear(encoder, inputs, features, True)
            _column_linear(encoder2, features, code, False)
            _column_channel(code, column_noise, column_gain, power_floor, scale, arrived)
        _copy(row[encoder_size:], parameters[encoder_size:])
        _column_linear(decoder, arrived, decoded, True)
        _column_linear(decoder2, decoded, logits, False)
        _scores(logits, targets[satellite], weights[satellite], output_mask[satellite], results[index])
