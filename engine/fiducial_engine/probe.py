"""Resolves, on the node that trains, what only it can know. `python -m fiducial_engine.probe --config run.json`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from fiducial_engine.device import memory_bytes, num_accelerators, num_threads, resolve_device, resolve_precision
from fiducial_engine.entry import run_entry
from fiducial_engine.strict import load_run_config


def main(arguments: list[str]) -> Mapping[str, object]:
    parser = argparse.ArgumentParser(prog="fiducial_engine.probe")
    parser.add_argument("--config", type=Path, required=True, help="run.json, whose device and precision may be auto")
    config = load_run_config(parser.parse_args(arguments).config)
    device = resolve_device(config.train.device)
    precision = resolve_precision(config.train.precision, device)
    if config.train.device == "auto":
        found = torch.cuda.get_device_name() if device == "cuda" else device
        print(f"Training on {found} in {precision}.", file=sys.stderr)
    return {
        "device": device,
        "precision": precision,
        "threads": num_threads(),
        "torch": str(torch.__version__),
        "accelerators": num_accelerators(device),
        "memory_bytes": memory_bytes(device),
    }


if __name__ == "__main__":
    run_entry(main)
