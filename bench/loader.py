"""How fast the engine's loader reads shuffled samples, against indexing one np.memmap with shuffled rows.

PYTHONPATH=engine .venv/bin/python bench/loader.py [--num 4000] [--size 224] [--batch 64] [--shards 4] [--epochs 8]

Both gather whole batches of the same images, in turns of some epochs, in one process; the pixels are in the page cache.
Prints one JSON line: images a second of each and their ratio (median over the turns).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from fiducial_engine.loader import Loader
from fiducial_engine.sampling import PartRows, Sampler
from fiducial_engine.shards import open_data

sys.path.insert(0, str(Path(__file__).parents[1] / "engine" / "tests"))
from test_shards import engine_data
from tiny_set import make_set


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--num", type=int, default=4000)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--turns", type=int, default=9)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ratios, ours, plains = [], [], []
        measure = prepare(Path(folder), options)
        for turn in range(options.turns + 1):
            plain, loader = measure(turn)
            if (
                turn > 0
            ):  # The first turn fills the page cache and checks the shards' sha256.
                plains.append(plain)
                ours.append(loader)
                ratios.append(loader / plain)
    result = {
        "memmap": round(median(plains)),
        "loader": round(median(ours)),
        "ratio": round(median(ratios), 3),
    }
    print(json.dumps({**vars(options), **result}))


def prepare(folder: Path, options: argparse.Namespace):
    """Write a set, and its pixels once more as one plain file; return the function that measures one turn."""
    part = np.ones(options.num, np.uint8)
    shape = (1, options.size, options.size)
    data = make_set(
        folder / "set", num=options.num, shape=shape, shards=options.shards, part_N=part
    )
    shards, tables = open_data(engine_data(data), ("finding",))
    whole = np.memmap(
        folder / "whole", dtype=np.uint8, mode="w+", shape=(options.num, *shape)
    )
    for row in range(0, options.num, 100):
        rows = np.arange(row, min(row + 100, options.num))
        shards.gather(rows, whole[rows[0] : rows[-1] + 1])
    whole.flush()
    whole = np.memmap(
        folder / "whole", dtype=np.uint8, mode="r", shape=(options.num, *shape)
    )
    rows = PartRows(tables.part_N, shards.start, 1)
    steps = options.epochs * options.num // options.batch

    def measure(turn: int) -> tuple[float, float]:
        random = np.random.default_rng(turn)
        order = np.concatenate(
            [random.permutation(options.num) for _ in range(options.epochs)]
        )
        began = time.perf_counter()
        for step in range(steps):
            whole[order[step * options.batch : (step + 1) * options.batch]]
        middle = time.perf_counter()
        sampler = Sampler(
            rows, seed=turn, global_batch=options.batch, streams=64, window=8
        )
        for _ in Loader(
            shards, tables.labels_NL, sampler, first_step=0, end_step=steps
        ):
            pass
        ended = time.perf_counter()
        num = steps * options.batch
        return num / (middle - began), num / (ended - middle)

    return measure


if __name__ == "__main__":
    main()
