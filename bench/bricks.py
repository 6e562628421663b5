"""What deflating volumes costs: size on disk, and time for random crops, against plain shards of the same cases.

python bench/bricks.py RECIPE [path=value …]: prepares the recipe twice (`prepare.compression` none and deflate) into a temporary
folder, then reads 200 random crops of 64³ (or what the case has) from each, page cache warm, one thread.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "engine"))

from fiducial_engine.config import VolumeShardIndex
from fiducial_engine.strict import load
from fiducial_engine.volumes import VolumeSet

NUM_CROPS, SIDE = 200, 64


def main(recipe: str, *overrides: str) -> None:
    results = {}
    with tempfile.TemporaryDirectory() as work:
        for compression in ("none", "deflate"):
            began = time.perf_counter()
            sets = [f"prepare.compression={compression}", *overrides]
            command = [
                ROOT / "fiducial",
                "prepare",
                Path(recipe).resolve(),
                "--json",
                "--quiet",
                "--workers",
                "1",
            ]
            flags = [flag for one in sets for flag in ("--set", one)]
            said = subprocess.run(
                [*command, *flags], cwd=work, check=True, stdout=subprocess.PIPE
            )
            prepared = json.loads(said.stdout)
            seconds = time.perf_counter() - began
            folder = Path(prepared["out"])
            volumes = VolumeSet(
                folder, load(VolumeShardIndex, folder / "index.json"), None
            )
            read_crops(volumes)
            best = min(read_crops(volumes) for _ in range(3))
            results[compression] = {
                "bytes": prepared["bytes"],
                "prepare_s": seconds,
                "crop_ms": 1000 * best / NUM_CROPS,
            }
    ratio = {
        key: round(results["deflate"][key] / results["none"][key], 2)
        for key in results["none"]
    }
    print(json.dumps({**results, "deflate over none": ratio}, indent=2))


def read_crops(volumes: VolumeSet) -> float:
    rng = np.random.default_rng(0)
    began = time.process_time()
    for _ in range(NUM_CROPS):
        volume = volumes[int(rng.integers(len(volumes)))]
        sides = [min(SIDE, side) for side in volume.image.shape[1:]]
        low = [
            int(rng.integers(whole - side + 1))
            for whole, side in zip(volume.image.shape[1:], sides, strict=True)
        ]
        image = np.empty((volume.image.shape[0], *sides), volume.image.dtype)
        volume.crop((low[0], low[1], low[2]), image, np.empty(sides, np.uint8))
    return time.process_time() - began


if __name__ == "__main__":
    main(*sys.argv[1:])
