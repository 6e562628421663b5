"""The network as trained and exported: stored values in, logits out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fiducial_engine.config import InputNormalization, RunConfig
from fiducial_engine.errors import UserError
from fiducial_engine.models.registry import MODELS
from fiducial_engine.models.spec import NetworkSpec
from fiducial_engine.models.weights import load_into, split_source
from fiducial_engine.shards import file_sha256


class Normalize(nn.Module):
    """Stored value → ((value + offset) * scale - mean) / std, per channel; the first node of every network."""

    offset: Tensor
    scale: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, normalization: InputNormalization) -> None:
        super().__init__()
        # Constants of run.json, not weights: they stay out of checkpoints.
        self.register_buffer("offset", torch.tensor(normalization.offset), persistent=False)
        self.register_buffer("scale", torch.tensor(normalization.scale), persistent=False)
        self.register_buffer("mean", torch.tensor(normalization.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(normalization.std).view(1, -1, 1, 1), persistent=False)

    def forward(self, stored_BCHW: Tensor) -> Tensor:
        x = (stored_BCHW.to(torch.float32) + self.offset) * self.scale
        return (x - self.mean) / self.std


class Network(nn.Module):
    """Normalisation and the model as one module: training, ONNX and the certificate compute the same function."""

    def __init__(self, normalize: Normalize, net: nn.Module) -> None:
        super().__init__()
        self.normalize = normalize
        self.net = net

    def forward(self, image: Tensor) -> Tensor:
        """Stored values (B, C, H, W), of the stored type or float, → logits (B, L)."""
        logits: Tensor = self.net(self.normalize(image))
        return logits


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
    channels, height, width = config.data.sample_shape
    by_family, file = split_source(weights, config.model.family)
    spec = NetworkSpec(
        in_channels=channels,
        num_outputs=len(config.task.labels),
        size=(height, width),
        run_dir=run_dir,
        weights=by_family,
    )
    net = MODELS[config.model.family](config.model, spec)
    warnings = load_into(net, file) if file is not None else []
    loaded = [*spec.loaded, file] if file is not None else spec.loaded
    network = Network(Normalize(config.data.normalization), net)
    _check_output(network, config)
    return network, InitialWeights(file_sha256(loaded[-1]) if loaded else None, warnings)


def _check_output(network: Network, config: RunConfig) -> None:
    expected = (2, len(config.task.labels))
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            found = network(torch.zeros((2, *config.data.sample_shape), dtype=torch.float32))
    except Exception as cause:
        raise UserError(f"model: the network can't take images of shape {config.data.sample_shape}: {cause}") from cause
    finally:
        network.train(was_training)
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    if shape != expected:
        raise UserError(f"model: for 2 images the network must give logits of shape {expected}; it gave {shape}.")
