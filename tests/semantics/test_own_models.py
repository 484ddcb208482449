"""A model of somebody's own: what it is given, and what it is told where it does not fit."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from satfl_env.federated import Hardware, Layout, LocalData, TrainingSettings, make_trainer
from satfl_env.semantics import (
    Autoencoder,
    Channel,
    Classifier,
    ConvJSCC,
    MLPLink,
    NoChannelDraw,
    SemanticModel,
    SwinJSCC,
    check_model,
    normalise_power,
    transmit,
)

IMAGES = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(3))
TARGETS = torch.tensor([0, 3, 1, 2, 0, 1])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Own(SemanticModel):
    """The ten lines."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 3, 3), nn.GroupNorm(1, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 4))

    def forward(self, images: Tensor, draw: object) -> Tensor:
        return self.encoder(images)

    def sample_loss(self, outputs, images, targets, output_mask=None) -> Tensor:
        return -outputs.log_softmax(-1).gather(-1, targets[..., None])[..., 0]

    def metrics(self, outputs, images, targets, output_mask=None) -> dict[str, Tensor]:
        return {"hits": (outputs.argmax(-1) == targets).float().mean(-1)}


class OverTheAir(Autoencoder):
    """An autoencoder with a channel."""

    def __init__(self) -> None:
        super().__init__()
        self.channel, self.channel_uses = Channel(snr_db=(1.0, 11.0)), 5
        self.encoder, self.decoder = nn.Linear(64, 5), nn.Linear(5, 64)

    def forward(self, images: Tensor, draw) -> Tensor:
        received = transmit(normalise_power(self.encoder(images.flatten(1))), draw)[:, 0]
        return self.decoder(received).sigmoid().view(images.shape)


def plain() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 4))


def built_in() -> list[SemanticModel]:
    channel = Channel("rayleigh", (1.0, 11.0))
    return [
        MLPLink(64, 4, channel=channel, generator=generator(), hidden=12, channel_draws=2),
        ConvJSCC((1, 8, 8), channel=channel, generator=generator(), widths=(2, 3, 4)),
        SwinJSCC((1, 8, 8), channel=channel, generator=generator(), width=8, head_width=4, depths=(1,), window=2),
    ]


@pytest.mark.parametrize(
    "model", [Own(), OverTheAir(), Classifier(plain()), *built_in()], ids=lambda m: type(m).__name__
)
def test_models_that_fit_pass_and_stay_as_they_are(model: SemanticModel):
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    check_model(model, IMAGES, TARGETS)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(part, before[name]) for name, part in model.state_dict().items())


def test_weights_come_from_the_generator_alone_with_the_spread_of_the_layers():
    models = [Own() for _ in range(3)]
    state = torch.get_rng_state()
    for model, seed in zip(models, (1, 1, 2), strict=True):
        model.draw_weights(generator(seed))
    assert torch.equal(torch.get_rng_state(), state)
    first, again, other = (Layout.of(model).flatten(model) for model in models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    weight = models[0].encoder[4].weight.detach()
    assert float(weight.abs().max()) == pytest.approx(108**-0.5, rel=0.05)
    assert torch.equal(models[0].encoder[1].weight, torch.ones(3)), "GroupNorm starts with ones"


def test_one_generator_gives_one_model_after_the_other():
    model, source = Own(), generator()
    rows = []
    for _ in range(2):
        model.draw_weights(source)
        rows.append(Layout.of(model).flatten(model))
    assert not torch.equal(*rows)


def test_attention_resets_itself_and_a_layer_that_cannot_is_named():
    check_model(Classifier(Attention()), IMAGES, TARGETS)

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.scale = plain(), nn.Parameter(torch.ones(1))

        def forward(self, images: Tensor) -> Tensor:
            return self.scale * self.inner(images)

    with pytest.raises(
        TypeError, match=r"draw_weights failed.*Scaled, the owner of the parameter 'encoder\.scale', has"
    ):
        check_model(Classifier(Scaled()), IMAGES, TARGETS)
    Scaled.reset_parameters = lambda self: self.scale.data.fill_(1.0)
    check_model(Classifier(Scaled()), IMAGES, TARGETS)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention, self.out = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(64, 4)

    def forward(self, images: Tensor) -> Tensor:
        rows = images[:, 0]
        return self.out(self.attention(rows, rows, rows, need_weights=False)[0].flatten(1))


def test_a_classifier_has_the_library_s_cross_entropy_and_counts_right_answers():
    model = Classifier(plain())
    logits = model(IMAGES, model.draw_channel(6, generator()))
    assert logits.shape == (6, 1, 4)
    loss = model.sample_loss(logits, IMAGES, TARGETS)
    assert torch.allclose(loss, F.cross_entropy(logits[:, 0], TARGETS, reduction="none"), atol=1e-6)
    mask = torch.tensor([True, True, False, True])
    masked = logits[:, 0].masked_fill(~mask, -torch.inf)
    chosen = TARGETS != 2
    found = model.sample_loss(logits, IMAGES, TARGETS, mask)[chosen]
    assert torch.allclose(found, F.cross_entropy(masked, TARGETS, reduction="none")[chosen], atol=1e-6)
    answers = F.one_hot(torch.tensor([0, 3, 1, 2, 1, 0]), 4).float()[:, None]
    found = model.metrics(answers, IMAGES, TARGETS)
    assert float(found["accuracy"]) == pytest.approx(4 / 6)
    assert float(found["balanced_accuracy"]) == pytest.approx((0.5 + 0.5 + 1 + 1) / 4)


def test_a_head_stays_on_board_and_a_whole_module_is_federated():
    whole, parted = Classifier(plain()), Classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 12)), nn.Linear(12, 4))
    layout = Layout.of(whole)
    assert layout.num_shared("encoder") == layout.num_shared("all") == layout.num_parameters
    assert Layout.of(parted).num_shared("encoder") == 65 * 12
    assert Layout.of(parted).num_shared("all") == 65 * 12 + 13 * 4


def test_without_a_channel_there_is_nothing_to_draw():
    state = generator().get_state()
    source = generator()
    assert Own().draw_channel(5, source, snr_db=3.0) == NoChannelDraw()
    assert torch.equal(source.get_state(), state)
    draw = OverTheAir().draw_channel(5, source, snr_db=3.0)
    assert draw.noise.shape == (5, 1, 5)
    assert draw.snr_db.tolist() == [3.0] * 5


class Faded(Channel):
    """A channel that draws something of its own."""

    def draw(self, *arguments, **options):
        draw = super().draw(*arguments, **options)
        return draw._replace(gain=draw.gain / 2)


class Louder(MLPLink):
    """A link that does so."""

    def draw_channel(self, count, generator, *, snr_db=None):
        draw = super().draw_channel(count, generator, snr_db=snr_db)
        return draw._replace(noise=2 * draw.noise)


OTHER = SimpleNamespace(draw=Channel().draw)
CHANNELS = [Channel(), Channel("rician", (0.0, 9.0)), Faded("rayleigh", 2.0), OTHER]
LINKS = [kind(64, 4, channel=channel, generator=generator()) for kind in (MLPLink, Louder) for channel in CHANNELS]


@pytest.mark.parametrize("model", [*LINKS, Own()])
def test_draws_of_several_generators_are_those_of_each(model: SemanticModel):
    counts, alone, together = [3, 20, 1], [generator(seed) for seed in range(3)], [generator(seed) for seed in range(3)]
    for _ in range(2):
        draws = [model.draw_channel(*each) for each in zip(counts, alone, strict=True)]
        joint = model.draw_channels(counts, together)
        assert type(joint) is type(draws[0])
        assert all(torch.equal(part, torch.cat(own)) for part, own in zip(joint, zip(*draws, strict=True), strict=True))


class OtherLoss(MLPLink):
    """It changes what is learned, but not the link's gradient and kernel, which are of no use then."""

    def __init__(self) -> None:
        super().__init__(64, 4, channel=Channel(), generator=generator())

    def sample_loss(self, outputs, images, targets, output_mask=None):
        return 3 * super().sample_loss(outputs, images, targets, output_mask) + outputs.square().mean((-2, -1))


class OtherLayers(MLPLink):
    """It says so in `stacked_forward`, which `check_model` asks for: gradient and kernel are of no use then."""

    def __init__(self) -> None:
        super().__init__(64, 4, channel=Channel(), generator=generator())
        self.encoder[1] = nn.Tanh()

    stacked_forward = SemanticModel.stacked_forward


@pytest.mark.parametrize("engine", ["stacked", "auto", "processes"])
@pytest.mark.parametrize("make", [Own, OverTheAir, OtherLoss, OtherLayers, lambda: Classifier(plain())])
def test_every_engine_trains_it_as_the_loop_does(make, engine: str):
    model = make()
    model.draw_weights(generator())
    data = LocalData(IMAGES.double().repeat(4, 1, 1, 1), TARGETS.repeat(4), np.array([0, 5, 17, 24]))
    arguments = (
        Layout.of(model).flatten(model).double().repeat(3, 1), data, np.array([2, 0, 3]), np.arange(3, dtype=np.uint64)
    )  # fmt: skip
    settings = TrainingSettings(4)
    expected = make_trainer("loop", model, settings).train(*arguments)
    found = make_trainer(engine, model, settings, Hardware(workers=2)).train(*arguments)
    assert torch.allclose(found.parameters, expected.parameters, atol=1e-9)
    assert not torch.allclose(expected.parameters[0], arguments[0][0], atol=1e-3)


def changed(**methods) -> SemanticModel:
    return type("Changed", (Own,), methods)()


def with_forward(layer: nn.Module) -> SemanticModel:
    return Classifier(nn.Sequential(nn.Conv2d(1, 2, 3), layer, nn.Flatten(), nn.Linear(72, 4)))


def frozen() -> SemanticModel:
    model = Own()
    model.encoder[0].weight.requires_grad_(False)
    return model


def of_noise(self, generator) -> None:
    for parameter in self.parameters():
        parameter.data.normal_()


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (object(), TypeError, r"object is no torch.nn.Module; derive it from satfl_env.SemanticModel"),
        (
            plain(),
            TypeError,
            r"Sequential lacks sample_loss\(outputs.*metrics\(.*draw_weights.*satfl_env\.Classifier",
        ),
        (Classifier(nn.Flatten()), ValueError, "there are no parameters"),
        (frozen(), ValueError, r"'encoder\.0\.weight' has dtype torch\.float32 with requires_grad False"),
        (Own().double(), ValueError, "has dtype torch.float64"),
        (changed(draw_weights=of_noise), ValueError, "draw_weights must draw every parameter anew"),
        (
            changed(draw_weights=lambda self, g: None),
            ValueError,
            r"from its generator alone; 'encoder\.0\.weight' is not",
        ),
        (
            changed(draw_channel=lambda self, count, generator: NoChannelDraw()),
            TypeError,
            r"draw_channel failed.*snr_db",
        ),
        (changed(draw_channel=lambda self, c, g, snr_db=None: torch.zeros(c)), ValueError, "named tuple of tensors"),
        (changed(forward=lambda self, images: images), TypeError, "forward failed on a trial of 2 samples"),
        (Classifier(nn.Linear(9, 4)), ValueError, "forward failed on a trial"),
        (
            changed(forward=lambda self, images, draw: self.encoder(images).sum()),
            ValueError,
            r"forward must give outputs",
        ),
        (with_forward(nn.BatchNorm2d(2)), ValueError, r"changes the buffer 'encoder\.1\.running_mean'.*GroupNorm"),
        (with_forward(nn.Dropout(0.5)), ValueError, r"forward draws random numbers \(dropout"),
        (
            changed(forward=lambda self, images, draw: self.encoder(images - images.mean(0))),
            ValueError,
            "must treat each sample alone",
        ),
        (
            changed(sample_loss=lambda self, o, i, t, m=None: F.cross_entropy(o, t)),
            ValueError,
            r"shape \(B,\) = \(2,\).*got \(\)",
        ),
        (changed(sample_loss=lambda self, o, i, t, m=None: o.detach().sum(-1)), ValueError, "have a gradient"),
        (changed(sample_loss=lambda self, o, i, t, m=None: o.flatten(1).sum(1)), ValueError, r"\(S, B\) .*= \(3, 2\)"),
        (
            changed(sample_loss=lambda self, o, i, t, m=None: F.cross_entropy(o, t, reduction="none")),
            ValueError,
            r"sample_loss failed",
        ),
        (changed(sample_loss=lambda self, o, i, t, m=None: o.sum(-1) / len(o)), ValueError, "for each satellite alone"),
        (changed(metrics=lambda self, o, i, t, m=None: {}), ValueError, "metrics must give tensors by name"),
        (changed(metrics=lambda self, o, i, t, m=None: {"a": 1.0}), ValueError, r"metrics\['a'\].*a tensor, got float"),
        (
            changed(metrics=lambda self, o, i, t, m=None: {"a": o.mean()}),
            ValueError,
            r"one number per satellite, shape \(S,\)",
        ),
        (changed(stacked_forward=lambda self, p, i, d: i.flatten(2)), ValueError, r"stacked_forward must give outputs"),
        (
            changed(stacked_forward=lambda self, p, i, d: self.encoder(i.flatten(0, 1)).unflatten(0, (3, 2))),
            ValueError,
            "stacked_forward must give what forward gives",
        ),
    ],
)
def test_what_does_not_fit_is_named(model, error, words):
    with pytest.raises(error, match=words):
        check_model(model, IMAGES, TARGETS)


def test_targets_beyond_the_outputs_show():
    with pytest.raises(ValueError, match=r"of shape \(2, 4\) and targets \[0, 4\]: .*out of bounds"):
        check_model(Own(), IMAGES, torch.tensor([0, 1, 2, 3, 4, 0]))
    with pytest.raises(ValueError, match=r"targets \[-1, 3\]: .*out of bounds"):
        check_model(Own(), IMAGES, torch.tensor([0, 1, 2, 3, -1, 0]))


@pytest.mark.parametrize("classes", [3, 5])
def test_a_classifier_of_another_number_of_classes_than_a_task_says_both(classes: int):
    mask = torch.arange(classes) < 2
    with pytest.raises(ValueError, match=rf"sample_loss failed on a trial .*there are 4 logits for {classes} classes"):
        check_model(Classifier(plain()), IMAGES, TARGETS % 2, mask)


def test_in_evaluation_mode_fixed_layers_are_welcome():
    check_model(with_forward(nn.BatchNorm2d(2)).eval(), IMAGES, TARGETS)
    check_model(with_forward(nn.Dropout(0.5)).eval(), IMAGES, TARGETS)
