"""PyTorch's reference for a package's certificate: logits of stored tensors, in batches of several sizes.

`python -m fiducial_engine.score --run-dir DIR --checkpoint best --tensors in.safetensors --batches 1,2,7
--out out.safetensors` reads `image` [N, C, H, W] of the stored type and writes `logits_b1`, `logits_b2`, `logits_b7`,
float32 [N, L], computed on the CPU.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from fiducial_engine.entry import run_entry
from fiducial_engine.errors import UserError
from fiducial_engine.trained import load_trained


def main(arguments: list[str]) -> Mapping[str, object]:
    parser = argparse.ArgumentParser(prog="fiducial_engine.score")
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--checkpoint", choices=("best", "latest"), default="best")
    parser.add_argument("--tensors", type=Path, required=True)
    parser.add_argument("--batches", type=_sizes, default=(1, 2, 7), help="batch sizes, e.g. 1,2,7")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    config, pointer, network, _ = load_trained(options.run_dir.resolve(), options.checkpoint)
    image_NCHW = _read_image(options.tensors, config.data.sample_shape, config.data.dtype)
    with torch.no_grad():
        logits = {
            f"logits_b{size}": torch.cat([network(part) for part in image_NCHW.split(size)])
            if len(image_NCHW)
            else torch.empty((0, len(config.task.labels)))
            for size in options.batches
        }
    save_file(logits, options.out)
    return {"out": str(options.out), "cases": len(image_NCHW), "step": pointer.step}


def _read_image(path: Path, sample_shape: tuple[int, int, int], dtype: str) -> torch.Tensor:
    try:
        image = load_file(path)["image"]
    except (OSError, KeyError, SafetensorError) as cause:
        raise UserError(f"{path} holds no tensor `image`: {cause}") from cause
    expected = {"uint8": torch.uint8, "int16": torch.int16}[dtype]
    if image.dtype != expected or tuple(image.shape[1:]) != sample_shape:
        raise UserError(
            f"{path}: `image` is {image.dtype} {list(image.shape)}; the network takes {expected} [N, *{sample_shape}]."
        )
    return image


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(int(part) for part in text.split(","))
    if not sizes or min(sizes) < 1:
        raise argparse.ArgumentTypeError("batch sizes are 1 or more")
    return sizes


if __name__ == "__main__":
    run_entry(main)
