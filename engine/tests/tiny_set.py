"""A shard set and a run, made in a moment: what `prepare` and `train` leave for the engine, small."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from fiducial_engine.shards import file_sha256

ENGINE = Path(__file__).parents[1]
EXAMPLE = ENGINE.parent / "src" / "schema" / "examples" / "run" / "valid" / "timm.json"
SET_ID, LABELS_ID, SPLIT_ID = "a" * 64, "b" * 64, "c" * 64


def make_set(
    folder: Path,
    *,
    num: int = 60,
    shape: tuple[int, int, int] = (1, 12, 10),
    labels: tuple[str, ...] = ("finding",),
    shards: int = 3,
    dtype: str = "uint8",
    exclusive: bool = False,
    truth_NL: NDArray[np.int8] | None = None,
    part_N: NDArray[np.uint8] | None = None,
) -> dict[str, Any]:
    """Write a set whose label l brightens its own rows of the image; return run.json's `data`. Parts go 3:1:1."""
    rng = np.random.default_rng(7)
    if truth_NL is None:
        one_hot = np.eye(len(labels), dtype=np.int8)[np.arange(num) % len(labels)]
        truth_NL = one_hot if exclusive else rng.integers(0, 2, (num, len(labels))).astype(np.int8)
    if part_N is None:
        part_N = np.array([1, 1, 1, 2, 3], dtype=np.uint8)[np.arange(num) % 5]
    channels, height, width = shape
    pixels = rng.normal(100, 25, (num, channels, height, width))
    for label in range(len(labels)):
        band = slice(label * height // len(labels), (label + 1) * height // len(labels))
        pixels[:, :, band] += 45 * (truth_NL[:, label] == 1)[:, None, None, None]
    low, high = (0, 255) if dtype == "uint8" else (-32768, 32767)
    stored = np.clip(pixels if dtype == "uint8" else pixels * 257 - 32768, low, high).astype(dtype)

    entries = []
    (folder / "shards").mkdir(parents=True)
    for number, rows in enumerate(np.array_split(np.arange(num), shards)):
        file = f"shards/{number:05d}.safetensors"
        save_file({"image": np.ascontiguousarray(stored[rows])}, folder / file)
        data = (folder / file).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        entries.append({"file": file, "num_cases": len(rows), "bytes": len(data), "sha256": digest})
    write_tables(folder / "tables", labels, truth_NL, part_N)
    preprocess = {
        **{"kind": "image", "size": [height, width], "channels": channels, "fit": "squash", "resample": "bilinear"},
        **{"antialias": True, "pad_value": 0, "window": None, "exif_orientation": True, "flip": []},
        **{"channel_order": "rgb", "stain": None, "dtype": dtype},
    }
    index = {
        **{
            "kind": "images",
            "format": 1,
            "set_id": SET_ID,
            "preprocess": preprocess,
            "code_version": 1,
            "num_cases": num,
        },
        **{"sample_shape": list(shape), "dtype": dtype, "shards": entries},
    }
    (folder / "index.json").write_text(json.dumps(index))
    return {
        "kind": "images",
        "shard_set": str(folder),
        **{"set_id": SET_ID, "labels_id": LABELS_ID, "split_id": SPLIT_ID},
        "sample_shape": list(shape),
        "dtype": dtype,
        "normalization": _normalization(dtype, channels),
    }


def _normalization(dtype: str, channels: int) -> dict[str, Any]:
    offset, scale = (0, 1 / 255) if dtype == "uint8" else (32768, 1 / 65535)
    return {"offset": offset, "scale": scale, "mean": [0.45] * channels, "std": [0.15] * channels}


def write_tables(tables: Path, labels: tuple[str, ...], truth_NL: NDArray[np.int8], part_N: NDArray[np.uint8]) -> None:
    num = len(truth_NL)
    folder = tables / f"labels-{LABELS_ID[:12]}"
    folder.mkdir(parents=True)
    save_file({"labels": np.ascontiguousarray(truth_NL)}, folder / "labels.safetensors")
    with (folder / "cases.jsonl").open("w") as file:
        for row in range(num):
            values = {n: (None if v < 0 else int(v)) for n, v in zip(labels, truth_NL[row], strict=True)}
            ids = {"case_id": f"case-{row:03d}", "patient_id": f"patient-{row // 2:03d}"}
            file.write(json.dumps({**ids, "labels": values, "attributes": {"age": row, "sex": None}}) + "\n")
    meta = {
        **{"format": 1, "set_id": SET_ID, "labels_id": LABELS_ID, "labels": list(labels), "num_cases": num},
        "sha256": file_sha256(folder / "labels.safetensors"),
    }
    (folder / "labels.json").write_text(json.dumps(meta))

    folder = tables / f"split-{SPLIT_ID[:12]}"
    folder.mkdir(parents=True)
    save_file({"part": part_N}, folder / "split.safetensors")
    counts = {name: int((part_N == code).sum()) for name, code in (("train", 1), ("val", 2), ("test", 3))}
    split = {
        **{"format": 1, "set_id": SET_ID, "split_id": SPLIT_ID, "labels_id": LABELS_ID, "kind": "random"},
        **{"cases": counts, "patients": counts, "leaks": [], "normalization": _normalization("uint8", 1)},
        "sha256": file_sha256(folder / "split.safetensors"),
    }
    (folder / "split.json").write_text(json.dumps(split))


MLP: dict[str, Any] = {"family": "mlp", "hidden": [16], "dropout": 0.1, "weights": "none"}


def make_run(run_dir: Path, data: dict[str, Any], *, example: Path = EXAMPLE, **changes: Any) -> Path:
    """Write run.json and lock.json. `changes` name keys by path, `train__lr=0.1`; the rest is the shared example's."""
    config = json.loads(example.read_text())
    config["data"] = data
    config["model"] = copy.deepcopy(MLP)
    labels = json.loads((Path(data["shard_set"]) / "tables" / f"labels-{LABELS_ID[:12]}" / "labels.json").read_text())
    if config["task"]["kind"] == "classify":
        config["task"]["labels"] = labels["labels"]
    config["train"] |= {"epochs": 2, "global_batch": 8, "lr": 0.01}
    for path, value in changes.items():
        *keys, last = path.split("__")
        at = config
        for key in keys:
            at = at[key]
        at[last] = value
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "run.json").write_text(json.dumps(config))
    write_lock(run_dir, 1)
    return run_dir


def write_lock(run_dir: Path, generation: int) -> None:
    lock = {"generation": generation, "pid": os.getpid(), "host": "here", "process_start": None, "time": "then"}
    (run_dir / "lock.json").write_text(json.dumps(lock))


def events(run_dir: Path, type: str | None = None) -> list[dict[str, Any]]:
    """Events that can be read, in order."""
    found = []
    for line in (run_dir / "events.jsonl").read_text().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if type in (None, event["type"]):
            found.append(event)
    return found


def start(entry: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start an engine entry point as TypeScript does."""
    return subprocess.Popen(
        [sys.executable, "-m", f"fiducial_engine.{entry}", *arguments],
        env={**os.environ, "PYTHONPATH": str(ENGINE), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(entry: str, *arguments: str, **environment: str) -> tuple[int, dict[str, Any], str]:
    """Run an entry point to its end: exit code, last JSON line of stdout, stderr."""
    process = start(entry, *arguments, **environment)
    out, err = process.communicate(timeout=300)
    lines = out.strip().splitlines()
    return process.returncode, json.loads(lines[-1]) if lines else {}, err
