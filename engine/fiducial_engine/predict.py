"""Scores one part of the split with a run's checkpoint.

`python -m fiducial_engine.predict --run-dir DIR --checkpoint best --part val --out FILE.jsonl`
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from fiducial_engine.entry import run_entry
from fiducial_engine.finite import check_logits
from fiducial_engine.inference import PART_CODES, logits_of_rows, write_predictions
from fiducial_engine.sampling import PartRows
from fiducial_engine.shards import open_data
from fiducial_engine.trained import load_trained


def main(arguments: list[str]) -> Mapping[str, object]:
    parser = argparse.ArgumentParser(prog="fiducial_engine.predict")
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--checkpoint", choices=("best", "latest"), default="best")
    parser.add_argument("--part", choices=tuple(PART_CODES), required=True)
    parser.add_argument("--out", type=Path, required=True, help="one prediction a line")
    options = parser.parse_args(arguments)
    config, pointer, network, device = load_trained(options.run_dir.resolve(), options.checkpoint, "auto")
    shards, tables = open_data(config.data, config.task.labels)
    rows = PartRows(tables.part_N, shards.start, PART_CODES[options.part]).all()
    logits = logits_of_rows(network, shards, tables, rows, device, precision="fp32")
    check_logits(logits, tables, rows, f"step {pointer.step}")
    num = write_predictions(options.out, tables.cases(rows), logits.numpy(), config.task)
    return {"out": str(options.out), "cases": num, "step": pointer.step}


if __name__ == "__main__":
    run_entry(main)
