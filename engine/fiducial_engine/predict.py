"""Predicts one part of the split with a run's checkpoint, in full float32.

`python -m fiducial_engine.predict --run-dir DIR --checkpoint best --part val --out OUT [--mirror z,y,x]`
Classification writes a file of lines; segmentation a folder of probabilities and cases.jsonl, its manifest.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from fiducial_engine.dist import Ranks
from fiducial_engine.entry import run_entry
from fiducial_engine.inference import PART_CODES
from fiducial_engine.sampling import PartRows
from fiducial_engine.tasks.registry import TASKS
from fiducial_engine.trained import load_trained


def main(arguments: list[str]) -> Mapping[str, object]:
    parser = argparse.ArgumentParser(prog="fiducial_engine.predict")
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--checkpoint", choices=("best", "latest"), default="best")
    parser.add_argument("--part", choices=tuple(PART_CODES), required=True)
    parser.add_argument("--out", type=Path, required=True, help="one prediction a line, or a folder of probabilities")
    parser.add_argument("--mirror", type=axes, default=(), help="axes to average over as well, e.g. z,y,x")
    options = parser.parse_args(arguments)
    config, pointer, network, device = load_trained(options.run_dir.resolve(), options.checkpoint, "auto")
    task = TASKS[config.task.kind].open(config, device)
    rows = PartRows(task.tables.part_N, task.shard_start, PART_CODES[options.part]).all()
    alone = Ranks(rank=0, size=1, local_rank=0, local_size=1)
    num = task.predict(network, rows, alone, options.out, f"step {pointer.step}", mirror=options.mirror)
    return {"out": str(options.out), "cases": num, "step": pointer.step}


def axes(text: str) -> tuple[int, ...]:
    """`z,x` as array axes, for argparse."""
    names = text.split(",")
    if len(set(names)) < len(names) or not set(names) <= set("zyx"):
        raise argparse.ArgumentTypeError("name axes of z,y,x, each once")
    return tuple(sorted("zyx".index(name) for name in names))


if __name__ == "__main__":
    run_entry(main)
