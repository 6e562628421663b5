"""nnU-Net v2 on one fold of a data set in the Decathlon's layout, for so many CPU seconds of training.

Run by bench/nnunet.ts with a Python that has nnunetv2: `python nnunet.py ROOT SPLIT.json SECONDS OUT`. SPLIT.json holds
{"train": [ids], "val": [ids]}; the masks of the validation cases go to OUT as NIfTI. Everything but the length is
nnU-Net's own: plans, patch, batch, augmentation, losses, mirroring at prediction. Its learning rate falls over the
epochs, so their number is set from the CPU time that iterations take, measured first. The processes that augment count.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

ITERATIONS_PER_EPOCH = 25
DATASET = "Dataset004_bench"


def main(root: Path, split: Path, budget: float, out: Path) -> None:
    base = out / "nnunet"
    for name in ("raw", "preprocessed", "results"):
        (base / name).mkdir(parents=True, exist_ok=True)
        os.environ[f"nnUNet_{name}"] = str(base / name)
    os.environ["nnUNet_n_proc_DA"] = "1"
    write_raw(root, base / "raw" / DATASET)

    import torch
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprints,
        plan_experiments,
        preprocess,
    )
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    torch.set_num_threads(2)
    started = time.perf_counter()
    extract_fingerprints([4], num_processes=2, check_dataset_integrity=False)
    plan_experiments([4])
    preprocess([4], configurations=("3d_fullres",), num_processes=(2,))
    folder = base / "preprocessed" / DATASET
    (folder / "splits_final.json").write_text(
        json.dumps([json.loads(split.read_text())])
    )
    prepared = time.perf_counter() - started

    class Trainer(nnUNetTrainer):
        """As it is, but for the number of epochs."""

        seconds = 0.0

        def run_training(self) -> None:
            self.num_iterations_per_epoch, self.num_val_iterations_per_epoch = (
                ITERATIONS_PER_EPOCH,
                1,
            )
            self.on_train_start()
            began = cpu_seconds()
            for _ in range(5):
                self.train_step(next(self.dataloader_train))
            per_iteration = (cpu_seconds() - began) / 5
            epochs = max(1, round(budget / (ITERATIONS_PER_EPOCH * per_iteration)))
            self.num_epochs = epochs
            self.initialize_again()
            print(
                f"{per_iteration:.2f} CPU seconds an iteration: {epochs} epochs of {ITERATIONS_PER_EPOCH}",
                file=sys.stderr,
            )
            for _ in range(epochs):
                self.on_epoch_start()
                self.on_train_epoch_start()
                began = cpu_seconds()
                outputs = [
                    self.train_step(next(self.dataloader_train))
                    for _ in range(ITERATIONS_PER_EPOCH)
                ]
                Trainer.seconds += cpu_seconds() - began
                self.on_train_epoch_end(outputs)
                with torch.no_grad():
                    self.on_validation_epoch_start()
                    self.on_validation_epoch_end(
                        [self.validation_step(next(self.dataloader_val))]
                    )
                self.on_epoch_end()
                if Trainer.seconds > budget:
                    break
            self.save_checkpoint(str(Path(self.output_folder) / "checkpoint_final.pth"))
            self.on_train_end()

        def initialize_again(self) -> None:
            # What the five measured iterations taught is forgotten.
            for layer in self.network.modules():
                reset = getattr(layer, "reset_parameters", None)
                if reset is not None:
                    reset()
            if hasattr(self.network, "initialize"):
                self.network.apply(self.network.initialize)
            self.optimizer, self.lr_scheduler = self.configure_optimizers()

    plans = json.loads((folder / "nnUNetPlans.json").read_text())
    plans["continue_training"] = False
    dataset_json = json.loads((folder / "dataset.json").read_text())
    trainer = Trainer(plans, "3d_fullres", 0, dataset_json, device=torch.device("cpu"))
    trainer.disable_checkpointing = False
    trainer.initialize()
    trainer.run_training()
    trainer.perform_actual_validation(save_probabilities=False)
    found = Path(trainer.output_folder) / "validation"
    for mask in sorted(found.glob("*.nii.gz")):
        shutil.copy(mask, out / mask.name)
    configuration = plans["configurations"]["3d_fullres"]
    print(
        json.dumps(
            {
                "cpu_seconds": round(Trainer.seconds, 1),
                "prepare_seconds": round(prepared, 1),
                "epochs": trainer.num_epochs,
                "patch_size": configuration["patch_size"],
                "batch_size": configuration["batch_size"],
            }
        )
    )


def cpu_seconds() -> float:
    """Of this process and of those it has started, from Linux's /proc."""
    total, waiting = 0.0, [os.getpid()]
    while waiting:
        folder = Path(f"/proc/{waiting.pop()}")
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            for task in (folder / "task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except FileNotFoundError:
            continue
    return total


def write_raw(root: Path, to: Path) -> None:
    """The data set in nnU-Net's layout: a channel a file."""
    described = json.loads((root / "dataset.json").read_text())
    if len(described["modality"]) != 1:
        raise SystemExit("this comparison is of data sets with one modality")
    for folder in ("imagesTr", "labelsTr"):
        (to / folder).mkdir(parents=True, exist_ok=True)
    for pair in described["training"]:
        name = Path(pair["image"]).name
        shutil.copy(
            root / pair["image"],
            to / "imagesTr" / name.replace(".nii.gz", "_0000.nii.gz"),
        )
        shutil.copy(root / pair["label"], to / "labelsTr" / name)
    labels = {name: int(value) for value, name in described["labels"].items()}
    content = {
        "channel_names": described["modality"],
        "labels": labels,
        "numTraining": len(described["training"]),
        "file_ending": ".nii.gz",
    }
    (to / "dataset.json").write_text(json.dumps(content))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
