"""MONAI's side of bench/prepare_volumes.ts: its transforms over a Decathlon folder, a process a worker, saved as .npy.

    python bench/prepare_volumes.py <data> <out> <workers>

Prints CPU seconds of all workers and wall seconds, from the first case to the last, once every worker has started.
"""

import json
import multiprocessing
import sys
import time
from pathlib import Path

import numpy as np
import torch
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    LoadImaged,
    NormalizeIntensityd,
    Orientationd,
    Spacingd,
)

root, out, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
transform = Compose(
    [
        LoadImaged(keys=("image", "label"), image_only=False),
        EnsureChannelFirstd(keys=("image", "label")),
        Orientationd(
            keys=("image", "label"),
            axcodes="RAS",
            labels=(("L", "R"), ("P", "A"), ("I", "S")),
        ),
        Spacingd(
            keys=("image", "label"),
            pixdim=(1.5, 1.5, 2.0),
            mode=("bilinear", "nearest"),
            dtype=np.float32,
        ),
        NormalizeIntensityd(keys="image", nonzero=True, channel_wise=True),
    ]
)


def prepare(number: int, pair: dict[str, str]) -> float:
    start = time.process_time()
    made = transform({key: str(root / pair[key]) for key in ("image", "label")})
    np.save(out / f"{number}_image.npy", np.asarray(made["image"], dtype=np.float16))
    np.save(out / f"{number}_label.npy", np.asarray(made["label"], dtype=np.uint8))
    return time.process_time() - start


def ready(_: int) -> None:
    torch.set_num_threads(1)
    time.sleep(0.5)  # So that each worker takes one.


if __name__ == "__main__":
    pairs = json.loads((root / "dataset.json").read_text())["training"]
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        pool.map(ready, range(workers), chunksize=1)
        began = time.perf_counter()
        cpu = sum(pool.starmap(prepare, enumerate(pairs), chunksize=1))
        wall = time.perf_counter() - began
    print(json.dumps({"cpu": cpu, "wall": wall}))
