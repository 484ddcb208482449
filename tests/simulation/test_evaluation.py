"""The test by machine code is that of PyTorch."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from satfl_env.federated import CompiledTest, Hardware, Layout, LocalData, RowTrainer, TrainingSettings, make_trainer
from satfl_env.semantics import Channel, MLPLink, mlp_kernel
from satfl_env.simulation import testers
from satfl_env.simulation.evaluation import EvaluationJob, evaluate, evaluate_each
from satfl_env.simulation.federated_data import FederatedData
from satfl_env.simulation.testers import CompiledTester, TorchTester

SATELLITES, IMAGES, CLASSES = 4, 30, 3
TASKS = torch.tensor([[True, True, False], [True, True, True], [True, True, False], [True, True, True]])


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def link(kind: type[MLPLink] = MLPLink, fading: str = "awgn", draws: int = 1) -> MLPLink:
    return kind(9, CLASSES, channel=Channel(fading), channel_draws=draws, generator=generator(0))


def job_of(model: MLPLink, tasks: torch.Tensor | None, dtype: torch.dtype = torch.float32) -> EvaluationJob:
    """The test of four random models, where each has classes of its own if there are tasks."""
    targets = torch.randint(0, CLASSES if tasks is None else 2, (SATELLITES, IMAGES), generator=generator(1))
    if tasks is None:
        targets = targets[:1].expand(SATELLITES, -1)
    images = torch.rand(IMAGES, 1, 3, 3, generator=generator(2))
    train = LocalData(images[:SATELLITES], targets[:, 0], np.arange(SATELLITES + 1), tasks)
    weights = torch.full((SATELLITES, IMAGES), 1 / IMAGES)
    data = FederatedData(train, np.ones((SATELLITES, 1)), images, targets, weights)
    rows = torch.randn(SATELLITES, Layout.of(model).num_parameters, generator=generator(3), dtype=dtype)
    return EvaluationJob(rows, np.arange(SATELLITES), data, model.draw_channel(IMAGES, generator(4)))


def compiled_test(model: MLPLink, job: EvaluationJob, engine: str = "auto", workers: int = 1) -> CompiledTest | None:
    trainer = make_trainer(engine, model, TrainingSettings(), Hardware(workers=workers))
    assert isinstance(trainer, RowTrainer)
    return trainer.compiled_test(job.models)


def by_torch(model: MLPLink) -> TorchTester:
    return TorchTester(model, Layout.of(model), "cpu")


def by_machine_code(model: MLPLink, job: EvaluationJob, workers: int = 1) -> CompiledTester:
    test = compiled_test(model, job, workers=workers)
    assert test
    return CompiledTester(test)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tasks", [None, TASKS])
@pytest.mark.parametrize(("fading", "draws"), [("awgn", 1), ("rayleigh", 3)])
def test_machine_code_gives_what_pytorch_gives(fading, draws, tasks, dtype):
    model = link(fading=fading, draws=draws)
    job = job_of(model, tasks, dtype)
    job.models[2] = job.models[0]
    if dtype == torch.float64:
        images, weights = job.data.test_images.double(), job.data.test_weights.double()
        expected = evaluate(by_torch(model), job._replace(data=_double(job.data, images, weights)))
    else:
        expected = evaluate(by_torch(model), job)
    found = evaluate(by_machine_code(model, job), job)
    assert found.loss == pytest.approx(expected.loss, rel=1e-5 if dtype == torch.float32 else 1e-12)
    assert list(found.metrics) == list(expected.metrics)
    for name, values in expected.metrics.items():
        assert found.metrics[name] == pytest.approx(values, abs=1e-6)
    assert not found.untestable.any()


def _double(data: FederatedData, images: torch.Tensor, weights: torch.Tensor) -> FederatedData:
    """The same data in double precision, which `FederatedData` itself does not take."""
    doubled = replace(data)
    vars(doubled).update(test_images=images, test_weights=weights)
    return doubled


@pytest.mark.parametrize("spoiled", [np.nan, np.inf, 1e30])
def test_models_that_cannot_be_tested_are_the_same(spoiled):
    model = link()
    job = job_of(model, TASKS)
    job.models[1, 5] = spoiled
    with np.errstate(all="ignore"):
        ways = [evaluate(tester, job) for tester in (by_torch(model), by_machine_code(model, job))]
    assert ways[0].untestable.tolist() == ways[1].untestable.tolist()
    assert ways[1].untestable[1] == (spoiled != 1e30)
    assert not ways[1].untestable[[0, 2, 3]].any()


def sharing_an_encoder(model: MLPLink, job: EvaluationJob) -> EvaluationJob:
    """A job whose first and third model have the same encoder, and decoders of their own."""
    encoder = Layout.of(model).num_shared("encoder")
    job.models[2, :encoder] = job.models[0, :encoder]
    return job


@pytest.mark.parametrize("shares", [False, True])
def test_bits_depend_on_nobody_else(shares):
    model = link()
    job = job_of(model, TASKS)
    job = sharing_an_encoder(model, job) if shares else job
    tester = by_machine_code(model, job)
    together = evaluate(tester, job)
    for satellite in range(SATELLITES):
        alone = job._replace(models=job.models[satellite : satellite + 1], satellites=np.array([satellite]))
        found = evaluate(tester, alone)
        assert found.loss[0] == together.loss[satellite]
        assert found.metrics["balanced_accuracy"][0] == together.metrics["balanced_accuracy"][satellite]


def test_an_encoder_that_models_share_is_used_once(monkeypatch: pytest.MonkeyPatch):
    for name, function in vars(mlp_kernel).items():
        if hasattr(function, "py_func"):
            monkeypatch.setattr(mlp_kernel, name, function.py_func)
    channel, used = mlp_kernel._column_channel, []
    monkeypatch.setattr(mlp_kernel, "_column_channel", lambda *them: used.append(channel(*them)))
    model = link()
    job = sharing_an_encoder(model, job_of(model, TASKS))
    interpreted = partial(mlp_kernel.evaluate_mlp_link, model.evaluation_kernel()[1])
    found = evaluate(CompiledTester(CompiledTest(interpreted, model.evaluated_metrics, 1)), job)
    assert len(used) == SATELLITES - 1
    np.testing.assert_allclose(found.loss, evaluate(by_torch(model), job).loss, rtol=1e-5)


def test_threads_share_the_models_and_change_no_bit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(testers, "_MODELS_PER_THREAD", 1)
    sizes, model = [], link()
    job = job_of(model, TASKS)
    test = compiled_test(model, job, workers=3)
    assert test

    def kernel(rows, *arguments):
        sizes.append(len(rows))
        test.kernel(rows, *arguments)

    shared = evaluate(CompiledTester(test._replace(kernel=kernel)), job)
    alone = evaluate(by_machine_code(model, job), job)
    assert sorted(sizes) == [1, 1, 2]
    np.testing.assert_array_equal(shared.loss, alone.loss)
    np.testing.assert_array_equal(shared.metrics["balanced_accuracy"], alone.metrics["balanced_accuracy"])


class Counting(MLPLink):
    """A link with a metric of its own."""

    def metrics(self, outputs, images, targets, output_mask=None):
        return {"outputs": torch.full(outputs.shape[:1], 1.0)}


@pytest.mark.parametrize(("kind", "engine"), [(Counting, "auto"), (MLPLink, "stacked"), (MLPLink, "loop")])
def test_pytorch_tests_other_models_and_engines(kind, engine):
    model = link(kind)
    assert compiled_test(model, job_of(model, None), engine) is None


def test_targets_of_other_integers_need_no_machine_code_of_their_own():
    model = link()
    job = job_of(model, TASKS)
    short = job._replace(data=replace(job.data, test_targets=job.data.test_targets.int()))
    tester = by_machine_code(model, job)
    expected = evaluate(tester, job)
    compiled_for = model.evaluation_kernel()[0].signatures
    found = evaluate(tester, short)
    np.testing.assert_array_equal(found.loss, expected.loss)
    assert model.evaluation_kernel()[0].signatures == compiled_for


def test_what_does_not_fit_the_link_is_no_crash():
    model = link()
    job = job_of(model, TASKS)
    tester = by_machine_code(model, job)
    few, tall = job.draw._replace(noise=job.draw.noise[:5]), job.data.test_targets + CLASSES
    with pytest.raises(ValueError, match="draw of the channel"):
        evaluate(tester, job._replace(draw=few))
    with pytest.raises(IndexError, match="target"):
        evaluate(tester, job._replace(data=replace(job.data, test_targets=tall)))


@pytest.mark.parametrize("tasks", [None, TASKS])
@pytest.mark.parametrize("way", [by_machine_code, lambda model, _: by_torch(model)])
def test_jobs_tested_together_give_what_each_gives(way, tasks):
    model = link()
    job = job_of(model, tasks)
    job.models[3] = job.models[0]
    other = job._replace(models=job.models + 1, draw=model.draw_channel(IMAGES, generator(5)))
    nobody = job._replace(models=job.models[:0], satellites=job.satellites[:0])
    jobs, tester = [other, nobody, job], way(model, job)
    for found, each in zip(evaluate_each(tester, jobs), jobs, strict=True):
        expected = evaluate(tester, each)
        np.testing.assert_array_equal(found.loss, expected.loss)
        assert len(found.untestable) == len(each.models)
        for name, values in expected.metrics.items():
            np.testing.assert_array_equal(found.metrics[name], values)
