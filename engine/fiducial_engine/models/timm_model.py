"""Any timm model, at any input size it can take, with 1 or 3 channels. Weights are those asked for or none at all."""

from __future__ import annotations

import difflib
import inspect
import os
from pathlib import Path
from typing import Any

from torch import nn

from fiducial_engine.config import TimmModel
from fiducial_engine.errors import UserError
from fiducial_engine.models.spec import NetworkSpec
from fiducial_engine.signs_of_life import signs_of_life


def build(config: TimmModel, spec: NetworkSpec) -> nn.Module:
    """As spec says. Weights made for another number of channels, outputs or another size are adapted by timm.

    Raises:
        UserError: timm knows no such model, it can't take this input, or the weights can't be had.
    """
    weights = spec.weights
    timm = _import_timm(may_download=weights == "pretrained" or weights.startswith("timm:"))
    kind = config.kind
    if weights.startswith("timm:"):
        kind = f"{kind.split('.')[0]}.{weights.removeprefix('timm:')}"
    if not timm.is_model(kind.split(".")[0]):
        near = difflib.get_close_matches(kind, timm.list_models(), n=3, cutoff=0.5)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UserError(f"model.kind: timm {timm.__version__} has no model {kind!r}{hint}")
    height, width = spec.size
    if weights == "none":
        return _create(timm, kind, _arguments(timm, kind, config, spec), (height, width))
    file = _weights_file(timm, kind, weights)
    arguments = _arguments(timm, kind, config, spec)
    arguments |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(file)}}
    try:
        network = _create(timm, kind, arguments, (height, width))
    except (RuntimeError, KeyError) as cause:
        raise UserError(f"model.weights: {file} does not fit {kind}.\n  {cause}") from cause
    spec.loaded.append(file)
    return network


def _import_timm(*, may_download: bool) -> Any:
    # No host is contacted unless the recipe asks for weights by name.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if not may_download:
        os.environ["HF_HUB_OFFLINE"] = "1"
    import timm

    return timm


def _arguments(timm: Any, kind: str, config: TimmModel, spec: NetworkSpec) -> dict[str, Any]:
    arguments: dict[str, Any] = {"in_chans": spec.in_channels, "num_classes": spec.num_outputs}
    if config.drop_rate > 0:
        arguments["drop_rate"] = config.drop_rate
    if config.drop_path_rate > 0:
        arguments["drop_path_rate"] = config.drop_path_rate
    # Models with position embeddings are built for one size; the others take any.
    cfg = timm.get_pretrained_cfg(kind, allow_unregistered=True)
    if cfg is not None and (getattr(cfg, "fixed_input_size", False) or _takes_img_size(timm, kind)):
        arguments["img_size"] = spec.size
    return arguments


def _takes_img_size(timm: Any, kind: str) -> bool:
    module = inspect.getmodule(timm.models.model_entrypoint(kind.split(".")[0]))
    classes = [
        c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == getattr(module, "__name__", "")
    ]
    family = [c for c in classes if issubclass(c, nn.Module) and "num_classes" in inspect.signature(c).parameters]
    return any("img_size" in inspect.signature(c).parameters for c in family)


def _create(timm: Any, kind: str, arguments: dict[str, Any], size: tuple[int, int]) -> nn.Module:
    try:
        network: nn.Module = timm.create_model(kind, **arguments)
    except TypeError as cause:
        if "img_size" in arguments and "img_size" in str(cause):
            without = {k: v for k, v in arguments.items() if k != "img_size"}
            return _create(timm, kind, without, size)
        raise UserError(f"model: {kind} does not take what the recipe asks for: {cause}") from cause
    except AssertionError as cause:
        raise UserError(
            f"model.kind: {kind} can't take images of {size[0]}×{size[1]}: {cause}\n"
            "  do: choose a prepare.size that its patches divide, or another model."
        ) from cause
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", None)
    if patch is not None and any(side % p for side, p in zip(size, patch, strict=False)):
        raise UserError(
            f"model.kind: {kind} cuts images into patches of {patch[0]}×{patch[1]}, which do not divide "
            f"{size[0]}×{size[1]}; the rest would be ignored.\n  do: choose another prepare.size, or another model."
        )
    return network


def _weights_file(timm: Any, kind: str, weights: str) -> Path:
    """The file of pretrained weights: placed by hand, or from the Hugging Face hub."""
    if weights != "pretrained" and not weights.startswith("timm:"):
        return Path(weights)
    tags = timm.list_pretrained(f"{kind.split('.')[0]}.*")
    if not tags or ("." in kind and kind not in tags):
        raise UserError(f"model.weights: timm has no weights {kind!r}; it has {', '.join(tags) or 'none for it'}.")
    cfg = timm.get_pretrained_cfg(kind)
    tag = f"{cfg.architecture}.{cfg.tag}" if cfg.tag else str(cfg.architecture)
    placed = _placed_folder() / f"{tag}.safetensors"
    if placed.exists():
        return placed
    repo = f"{cfg.hf_hub_id}{tag}" if str(cfg.hf_hub_id).endswith("/") else str(cfg.hf_hub_id)
    try:
        from huggingface_hub import hf_hub_download

        with signs_of_life(f"downloading the weights {tag}"):
            return Path(hf_hub_download(repo, "model.safetensors"))
    except Exception as cause:
        reason = f"{type(cause).__name__}: {str(cause).strip().splitlines()[0] if str(cause).strip() else ''}"
        raise UserError(
            f"model.weights: the weights {tag} can't be had, and random ones are never used instead.\n"
            f"  why: {reason}\n"
            f"  do: download https://huggingface.co/{repo}/resolve/main/model.safetensors on another machine and\n"
            f"      place it at {placed}; or set model.weights: none."
        ) from cause


def _placed_folder() -> Path:
    named = os.environ.get("FIDUCIAL_WEIGHTS")
    return Path(named) if named else Path.home() / ".cache" / "fiducial" / "weights"
