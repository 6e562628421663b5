"""The network as trained and exported: stored values in, logits out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fiducial_engine.config import EngineVolumes, InputNormalization, RunConfig
from fiducial_engine.errors import UserError
from fiducial_engine.models.conv3d import with_sound_convolutions
from fiducial_engine.models.registry import MODELS
from fiducial_engine.models.spec import Family, NetworkSpec
from fiducial_engine.models.weights import load_into, split_source
from fiducial_engine.shards import file_sha256
from fiducial_engine.tasks.registry import TASKS
from fiducial_engine.tasks.task import Shapes


class Normalize(nn.Module):
    """Stored value → ((value + offset) * scale - mean) / std, per channel; the first node of every network."""

    offset: Tensor
    scale: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, normalization: InputNormalization, num_axes: int) -> None:
        """
        Args:
            num_axes: of an image, 2, or of a volume, 3.
        """
        super().__init__()
        per_channel = (1, -1, *[1] * num_axes)
        # Constants of run.json, not weights: they stay out of checkpoints.
        self.register_buffer("offset", torch.tensor(normalization.offset), persistent=False)
        self.register_buffer("scale", torch.tensor(normalization.scale), persistent=False)
        self.register_buffer("mean", torch.tensor(normalization.mean).view(per_channel), persistent=False)
        self.register_buffer("std", torch.tensor(normalization.std).view(per_channel), persistent=False)

    def forward(self, stored: Tensor) -> Tensor:
        x = (stored.to(torch.float32) + self.offset) * self.scale
        return (x - self.mean) / self.std


class Network(nn.Module):
    """Normalisation and the model as one module: training, ONNX and the certificate compute the same function."""

    def __init__(self, normalize: Normalize, net: nn.Module) -> None:
        super().__init__()
        self.normalize = normalize
        self.net = net

    def forward(self, image: Tensor) -> Any:
        """Stored values (B, C, …), of the stored type or float, → logits (B, L), or (B, K, …) of masks; what a network
        gives only in training may be a list of them.
        """
        return self.net(self.normalize(image))


@dataclass(frozen=True, slots=True)
class InitialWeights:
    """What a network starts from."""

    sha256: str | None  # Of the file loaded; None where the start is random.
    warnings: list[str]


def build_network(config: RunConfig, run_dir: Path, *, weights: str = "none") -> tuple[Network, InitialWeights]:
    """The network of a run on the CPU, and the weights it starts from.

    Raises:
        UserError: the model is unknown, does not fit the input, gives outputs of another shape, or its weights
            can't be had.
    """
    shapes = TASKS[config.task.kind].network_shapes(config)
    family = MODELS[config.model.family]
    _check_family(family, config)
    by_family, file = split_source(weights, config.model.family)
    channels, *size = shapes.input
    spec = NetworkSpec(
        in_channels=channels,
        num_outputs=shapes.output[0],
        size=tuple(size),
        spacing_mm=config.data.spacing_mm if isinstance(config.data, EngineVolumes) else None,
        run_dir=run_dir,
        weights=by_family,
    )
    net = with_sound_convolutions(family.build(config.model, spec))
    warnings = load_into(net, file) if file is not None else []
    loaded = [*spec.loaded, file] if file is not None else spec.loaded
    network = Network(Normalize(config.data.normalization, len(size)), net)
    _check_output(network, shapes)
    return network, InitialWeights(file_sha256(loaded[-1]) if loaded else None, warnings)


def _check_family(family: Family, config: RunConfig) -> None:
    gives = TASKS[config.task.kind].output
    if family.gives not in ("any", gives) or family.reads not in ("any", config.data.kind):
        fitting = [n for n, f in MODELS.items() if f.gives in ("any", gives) and f.reads in ("any", config.data.kind)]
        raise UserError(
            f"model: {config.model.family} gives {family.gives} of {family.reads}; task.kind: {config.task.kind} needs "
            f"{gives} of {config.data.kind}.\n  do: choose one of {', '.join(fitting)}."
        )


def _check_output(network: Network, shapes: Shapes) -> None:
    expected = (2, *shapes.output)
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            found = network(torch.zeros((2, *shapes.input), dtype=torch.float32))
    except Exception as cause:
        raise UserError(f"model: the network can't take images of shape {shapes.input}: {cause}") from cause
    finally:
        network.train(was_training)
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    if shape != expected:
        raise UserError(f"model: for 2 images the network must give logits of shape {expected}; it gave {shape}.")
