"""Weights that training starts from: found, checked and loaded, or the run stops. Never silently random."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from fiducial_engine.checkpoint import damaged_files, read_pointer
from fiducial_engine.errors import UserError

# Checkpoints hold fiducial_engine.models.network.Network, whose model is `net`.
_OURS = "net."


def split_source(weights: str, family: str) -> tuple[str, Path | None]:
    """Who loads the weights: (what the model family loads itself, the file that `load_into` loads).

    Raises:
        UserError: the file or run does not exist, or the family has no weights by that name.
    """
    if weights == "none":
        return "none", None
    if weights == "pretrained" or weights.startswith("timm:"):
        if family != "timm":
            raise UserError(
                f"model.weights: {weights!r} is for timm models; use none, a .safetensors file or a run folder."
            )
        return weights, None
    file = _file(Path(weights))
    if family == "timm" and not any(key.startswith(_OURS) for key in _keys(file)):
        return str(file), None
    return "none", file


def load_into(net: nn.Module, file: Path) -> list[str]:
    """Load a checkpoint's or a plain state dict's tensors into a model.

    Outputs of another number than the file's are the only part that may differ: that layer keeps its random start,
    and the warning returned says so.

    Raises:
        UserError: other tensors are missing, left over, or of another shape.
    """
    with safe_open(file, framework="pt") as tensors:
        found = {key.removeprefix(_OURS): tensors.get_tensor(key) for key in _keys(file)}
    wanted = net.state_dict()
    head = _head(net)
    mistakes = [f"missing {key}" for key in wanted if key not in found]
    mistakes += [f"left over {key}" for key in found if key not in wanted]
    other = [key for key, value in found.items() if key in wanted and value.shape != wanted[key].shape]
    mistakes += [f"{k}: {_shape(found[k])}, the model has {_shape(wanted[k])}" for k in other if k not in head]
    if mistakes:
        more = f"\n  … and {len(mistakes) - 10} more" if len(mistakes) > 10 else ""
        raise UserError("\n  ".join([f"model.weights: {file} does not fit the model:", *mistakes[:10]]) + more)
    with torch.no_grad():
        for key, value in found.items():
            if key not in other:
                wanted[key].copy_(value)
    if not other:
        return []
    return [f"model.weights: {file} has other outputs; {', '.join(sorted(other))} start at random values."]


def _file(path: Path) -> Path:
    if path.is_dir():
        pointer = path / "checkpoints" / "best.json"
        if not pointer.exists():
            raise UserError(f"model.weights: {path} holds no best checkpoint ({pointer} is missing).")
        folder = path / "checkpoints" / read_pointer(path, "best").folder
        wrong = damaged_files(folder)
        if wrong:
            raise UserError(f"model.weights: {folder} is damaged: {', '.join(wrong)}.\n  do: name another run or file.")
        averaged = folder / "ema.safetensors"
        return averaged if averaged.exists() else folder / "model.safetensors"
    if not path.exists():
        raise UserError(
            f"model.weights: there is no {path}.\n"
            "  do: place the .safetensors file there, or name pretrained, timm:<tag>, a run folder or none."
        )
    if path.suffix != ".safetensors":
        raise UserError(f"model.weights: {path.name} is not a .safetensors file; pickled weights are never loaded.")
    return path


def _keys(file: Path) -> list[str]:
    try:
        with safe_open(file, framework="pt") as tensors:
            return list(tensors.keys())
    except SafetensorError as cause:
        raise UserError(f"model.weights: {file} can't be read: {cause}") from cause


def _head(net: nn.Module) -> set[str]:
    """Names of the last layer's parameters."""
    layers = [(name, m) for name, m in net.named_modules() if next(m.parameters(recurse=False), None) is not None]
    if not layers:
        return set()
    name, layer = layers[-1]
    return {f"{name}.{key}" if name else key for key, _ in layer.named_parameters(recurse=False)}


def _shape(tensor: Tensor) -> list[int]:
    return list(tensor.shape)
