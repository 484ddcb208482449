from __future__ import annotations

import copy
import importlib.util
import pickle
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from satfl_env.federated import (
    Hardware,
    Layout,
    LocalData,
    LocalTrainer,
    TrainingResult,
    TrainingSettings,
    make_trainer,
    model_on,
    stacked,
    torch_defaults,
)
from satfl_env.semantics import Channel, ConvJSCC, MLPLink, SwinJSCC

SAMPLES = (23, 5, 64, 16, 1, 40, 0)
EPOCHS = np.array([3, 8, 2, 0, 5, 4, 2])
SEEDS = np.array([3, 1, 4, 2**64 - 1, 5, 9, 2], dtype=np.uint64)
NEEDS_RAY = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no GPU")
ON_CPU = Hardware(workers=2)
ENGINES = [
    "loop",
    "compiled",
    "stacked",
    "processes",
    "auto",
    pytest.param("ray", marks=NEEDS_RAY),
    pytest.param("loop cuda", marks=NEEDS_GPU),
    pytest.param("stacked cuda", marks=NEEDS_GPU),
]
all_engines = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture(autouse=True)
def usual_settings() -> Iterator[None]:
    """As in simulations: convolutions on a GPU are otherwise too coarse to compare."""
    with torch_defaults():
        yield


class AutomaticMLP(nn.Module):
    """The same link without its closed-form gradient: the stacked engine must differentiate it."""

    def __init__(self, link: MLPLink) -> None:
        super().__init__()
        self.encoder, self.decoder = link.encoder, link.decoder
        self.__dict__["link"] = link
        for name in ("draw_channel", "stacked_forward", "sample_loss", "metrics"):
            self.__dict__[name] = getattr(link, name)

    def forward(self, images: Tensor, draw: object) -> Tensor:
        link = copy.copy(self.__dict__["link"])
        link.__dict__["_modules"] = {"encoder": self.encoder, "decoder": self.decoder}
        return link(images, draw)


def mlp(seed: int = 0, num_draws: int = 1, kind: str = "awgn") -> MLPLink:
    generator = torch.Generator().manual_seed(seed)
    return MLPLink(64, 4, channel=Channel(kind), generator=generator, hidden=32, channel_draws=num_draws)


def conv(seed: int = 0) -> ConvJSCC:
    generator = torch.Generator().manual_seed(seed)
    return ConvJSCC((1, 8, 8), channel=Channel("rician", (1.0, 11.0)), generator=generator, widths=(4, 6, 8))


def local_data(dtype: torch.dtype = torch.float32) -> LocalData:
    generator = torch.Generator().manual_seed(7)
    classes = torch.tensor([4, 2, 3, 2, 4, 2, 3])
    images = [torch.rand(n, 1, 8, 8, generator=generator, dtype=dtype) for n in SAMPLES]
    targets = [torch.randint(0, int(c), (n,), generator=generator) for n, c in zip(SAMPLES, classes, strict=True)]
    return LocalData.concatenate(images, targets, torch.arange(4) < classes.unsqueeze(1))


def starts(build, dtype: torch.dtype = torch.float32) -> Tensor:
    layout = Layout.of(build())
    return torch.stack([layout.flatten(build(seed)) for seed in range(len(SAMPLES))]).to(dtype)


def make(engine: str, model, settings: TrainingSettings) -> LocalTrainer:
    name, *device = engine.split()
    return make_trainer(name, model, settings, Hardware(*device) if device else ON_CPU)


def train(engine: str, build, settings: TrainingSettings, **changes) -> TrainingResult:
    dtype = changes.pop("dtype", torch.float32)
    arguments = {
        "parameters": starts(build, dtype),
        "data": local_data(dtype),
        "epochs": EPOCHS,
        "seeds": SEEDS,
    } | changes
    return make(engine, build(), settings).train(**arguments)


def assert_same(first: TrainingResult, second: TrainingResult, tolerance: float) -> None:
    assert float((first.parameters - second.parameters).abs().max()) < tolerance
    assert first.last_loss == pytest.approx(second.last_loss, abs=tolerance, nan_ok=True)
    assert np.array_equal(first.diverged, second.diverged)
    assert np.array_equal(first.batches, second.batches)


BUILDS = {
    "mlp": mlp,
    "mlp-three-draws": lambda seed=0: mlp(seed, 3, "rayleigh"),
    "mlp-automatic": lambda seed=0: AutomaticMLP(mlp(seed)),
    "conv": conv,
}


def skip_what_it_cannot_train(engine: str, name: str) -> None:
    if engine in ("processes", "ray") and name == "mlp-automatic":
        pytest.skip("a class of this test file is not known in another process")
    if engine == "compiled" and name in ("mlp-automatic", "conv"):
        pytest.skip("it has no kernel")


@pytest.mark.parametrize("name", BUILDS)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("batches_per_epoch", [None, 2])
@pytest.mark.parametrize("engine", ENGINES[1:])
def test_engines_agree(engine: str, name: str, optimizer: str, batches_per_epoch: int | None):
    skip_what_it_cannot_train(engine, name)
    settings = TrainingSettings(16, 2e-3 if optimizer == "adam" else 0.05, optimizer, batches_per_epoch)
    loop, other = (train(which, BUILDS[name], settings) for which in ("loop", engine))
    assert_same(loop, other, 1e-5)
    moved = (other.parameters != starts(BUILDS[name])).any(1).numpy()
    assert moved.tolist() == [True, True, True, False, True, True, False]
    assert np.isfinite(other.last_loss).tolist() == moved.tolist()
    assert not other.diverged.any()


@pytest.mark.parametrize("name", BUILDS)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("engine", ENGINES[1:])
def test_engines_agree_in_double_precision(engine: str, name: str, optimizer: str):
    skip_what_it_cannot_train(engine, name)
    settings = TrainingSettings(16, 0.01, optimizer)
    loop, other = (train(which, BUILDS[name], settings, dtype=torch.float64) for which in ("loop", engine))
    assert loop.parameters.dtype == other.parameters.dtype == torch.float64
    assert_same(loop, other, 1e-9)


@pytest.mark.parametrize("build", [mlp, conv])
def test_groups_that_fit_the_cache_change_nothing(build, monkeypatch: pytest.MonkeyPatch):
    whole = train("stacked", build, TrainingSettings())
    monkeypatch.setattr(stacked, "_CACHE_BYTES", 150_000)
    assert 1 < len(make("stacked", build(), TrainingSettings())._groups(7, local_data())) < 7
    assert_same(whole, train("stacked", build, TrainingSettings()), 1e-5)


def test_groups_on_a_device_fit_its_memory(monkeypatch: pytest.MonkeyPatch):
    """Two minibatches of images at a time; the rows of small models hardly matter."""
    there = LocalData(torch.empty(149, 1, 8, 8, device="meta"), torch.empty(149, device="meta"), local_data().offsets)
    trainer = make("stacked", mlp(), TrainingSettings(16))
    assert len(trainer._groups(7, there)) == 1
    monkeypatch.setattr(stacked, "_DEVICE_VALUES", 2 * 16 * 64)
    assert [group.tolist() for group in trainer._groups(7, there)] == [[0, 1], [2, 3], [4, 5], [6]]


def test_a_model_on_a_device_has_its_buffers_there():
    model = SwinJSCC((3, 8, 8), channel=Channel(), generator=torch.Generator(), patch=2, width=4, head_width=4)
    there = model_on("meta", model)
    assert {tensor.device.type for tensor in there.state_dict().values()} == {"meta"}
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"cpu"}
    assert model_on("cpu", model) is model


@pytest.mark.parametrize("build", [mlp, conv])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NEEDS_GPU)])
def test_bfloat16_is_close(build, device: str):
    exact = train("stacked", build, TrainingSettings())
    trainer = make_trainer("stacked", build(), TrainingSettings(), Hardware(device, "bfloat16"))
    mixed = trainer.train(starts(build), local_data(), EPOCHS, SEEDS)
    assert mixed.parameters.dtype == torch.float32
    assert not torch.equal(mixed.parameters, exact.parameters)
    assert float((mixed.parameters - exact.parameters).abs().mean()) < 2e-3
    assert mixed.last_loss == pytest.approx(exact.last_loss, rel=0.02, nan_ok=True)


@all_engines
def test_counts_and_last_loss(engine: str):
    result = train(engine, mlp, TrainingSettings(16, batches_per_epoch=2))
    assert result.batches.tolist() == [6, 8, 4, 0, 5, 8, 0]
    # One full-batch epoch: its loss is that of the start on the same channel draw.
    model, data = mlp(), local_data()
    start = Layout.of(model).flatten(model).repeat(len(SAMPLES), 1)
    ones = np.ones(len(SAMPLES), dtype=np.int64)
    result = make(engine, model, TrainingSettings(100)).train(start, data, ones, SEEDS)
    generator = torch.Generator().manual_seed(int(SEEDS[2]))
    order = torch.rand(64, dtype=torch.float64, generator=generator).argsort()
    first = int(data.offsets[2])
    images, targets = data.images[first : first + 64][order], data.targets[first : first + 64][order]
    with torch.no_grad():
        outputs = model(images, model.draw_channel(64, generator))
        expected = model.sample_loss(outputs, images, targets, data.output_mask[2]).mean()
    assert result.last_loss[2] == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("name", ["mlp", "conv"])
@all_engines
def test_a_share_of_a_round_is_its_first_minibatches(engine: str, name: str):
    skip_what_it_cannot_train(engine, name)
    build = BUILDS[name]
    settings = TrainingSettings(16, round_share=0.4)
    result = train(engine, build, settings)
    # All: 6, 8, 8, 0, 5, 12 and 0 minibatches of 2, 1, 4, 1, 1, 3 and 0 an epoch.
    assert result.batches.tolist() == [3, 4, 4, 0, 2, 5, 0]
    assert_same(result, train("loop", build, settings), 1e-5)
    # Where that is a whole number of epochs, it is the same as training for as many.
    whole = train(engine, build, TrainingSettings(16), epochs=np.array([0, 4, 1, 0, 2, 0, 0]))
    assert torch.allclose(result.parameters[[1, 2, 4]], whole.parameters[[1, 2, 4]], atol=1e-6)
    assert result.last_loss[[1, 2, 4]] == pytest.approx(whole.last_loss[[1, 2, 4]], rel=1e-5)


@pytest.mark.parametrize("name", ["mlp", "conv"])
@all_engines
def test_a_satellite_does_not_depend_on_the_others(engine: str, name: str):
    skip_what_it_cannot_train(engine, name)
    build = BUILDS[name]
    settings = TrainingSettings()
    together = train(engine, build, settings)
    alone = train(engine, build, settings, epochs=np.where(np.arange(7) == 5, EPOCHS, 0))
    assert torch.allclose(together.parameters[5], alone.parameters[5], atol=1e-6)


@pytest.mark.parametrize("name", ["mlp", "mlp-automatic", "conv"])
@all_engines
def test_a_diverged_satellite_keeps_its_row_and_harms_nobody(engine: str, name: str):
    skip_what_it_cannot_train(engine, name)
    build = BUILDS[name]
    good = train(engine, build, TrainingSettings())
    data, start = local_data(), starts(build)
    data.images[int(data.offsets[0]) + 1] = torch.inf
    start[5, 0] = torch.nan
    result = train(engine, build, TrainingSettings(), data=data, parameters=start)
    assert result.diverged.tolist() == [True, False, False, False, False, True, False]
    assert np.isnan(result.last_loss[[0, 5]]).all()
    assert torch.equal(result.parameters[[0, 5]].nan_to_num(9.0), start[[0, 5]].nan_to_num(9.0))
    others = [1, 2, 3, 4, 6]
    assert torch.allclose(result.parameters[others], good.parameters[others], atol=1e-6)
    assert result.last_loss[others] == pytest.approx(good.last_loss[others], nan_ok=True)


@all_engines
def test_a_huge_learning_rate_diverges_and_is_undone(engine: str):
    result = train(engine, mlp, TrainingSettings(16, 1e38, "sgd"))
    assert result.diverged[[0, 1, 2, 5]].all()
    assert torch.equal(result.parameters[:3], starts(mlp)[:3])


@all_engines
def test_equal_seeds_give_equal_bits_and_inputs_and_global_state_stay(engine: str):
    start, data, before = starts(mlp), local_data(), torch.get_rng_state()
    kept = start.clone()
    model = mlp()
    trainer = pickle.loads(pickle.dumps(make(engine, model, TrainingSettings())))
    first = trainer.train(start, data, EPOCHS, SEEDS)
    again = copy.deepcopy(trainer).train(start, data, EPOCHS, SEEDS)
    other = trainer.train(start, data, EPOCHS, SEEDS + np.uint64(1))
    assert torch.equal(first.parameters, again.parameters)
    assert not torch.equal(first.parameters, other.parameters)
    assert torch.equal(start, kept)
    assert torch.equal(torch.get_rng_state(), before)
    assert not first.parameters.requires_grad
    assert torch.equal(Layout.of(model).flatten(model), Layout.of(model).flatten(mlp()))


@all_engines
def test_training_lowers_the_loss(engine: str):
    before = train(engine, mlp, TrainingSettings(), epochs=np.ones(7, dtype=np.int64))
    after = train(engine, mlp, TrainingSettings(learning_rate=5e-3), epochs=np.full(7, 60))
    assert np.nanmean(after.last_loss) < 0.8 * np.nanmean(before.last_loss)


@all_engines
def test_nobody_trains(engine: str):
    result = train(engine, mlp, TrainingSettings(), epochs=np.zeros(7, dtype=np.int64))
    assert torch.equal(result.parameters, starts(mlp))
    assert np.isnan(result.last_loss).all()


@all_engines
@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"epochs": np.array([1])}, "epochs has shape"),
        ({"epochs": np.full(7, -1)}, "epochs must be"),
        ({"seeds": SEEDS[:3]}, "seeds has shape"),
        ({"parameters": torch.zeros(7, 3)}, "parameters has shape"),
    ],
)
def test_bad_rounds_are_rejected(engine: str, changes: dict, word: str):
    with pytest.raises(ValueError, match=word):
        train(engine, mlp, TrainingSettings(), **changes)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"optimizer": "lion"}, "'adam' or 'sgd'"),
        ({"batches_per_epoch": 0}, "batches_per_epoch"),
        ({"round_share": 0.0}, "round_share"),
        ({"round_share": 1.5}, "round_share"),
    ],
)
def test_bad_settings_are_rejected(changes: dict, word: str):
    with pytest.raises(ValueError, match=word):
        TrainingSettings(**changes)


def test_bad_data_and_engines_are_rejected():
    images, targets = torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ValueError, match="targets has 3 rows"):
        LocalData(images, targets[:3], np.array([0, 4]))
    with pytest.raises(ValueError, match="offsets must rise"):
        LocalData(images, targets, np.array([0, 3]))
    with pytest.raises(ValueError, match="output_mask has 1 rows"):
        LocalData(images, targets, np.array([0, 2, 4]), torch.ones(1, 2, dtype=torch.bool))
    with pytest.raises(
        ValueError, match="'auto', 'compiled', 'stacked', 'loop', 'processes', 'ray', 'none', got 'warp'"
    ):
        make_trainer("warp", mlp(), TrainingSettings())
