"""Segmentation from a shard set on: what is learned, resumed, shared among ranks, predicted and exported."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file, save_file
from tiny_set import events, write_lock
from tiny_volumes import NAMES, NO_AUGMENT, PATCH, make_segment_run, make_volumes
from zygote import Zygote, wait_until

from fiducial_engine import export, predict, train
from fiducial_engine.config import RunEvent
from fiducial_engine.errors import UserError
from fiducial_engine.select import dice_metrics
from fiducial_engine.shards import file_sha256
from fiducial_engine.strict import parse

LIVELY = {
    **NO_AUGMENT,
    **{"flip": ["z", "x"], "rotate": 0.5, "scale": 0.5, "elastic": 0.3, "noise": 0.5, "blur": 0.5, "gamma": 0.5},
    **{"brightness": 0.5, "contrast": 0.5, "low_resolution": 0.5},
}


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_volumes(tmp_path_factory.mktemp("volumes") / "set")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory, volumes: dict[str, Any]) -> Path:
    """A run trained until the ball is plain to see."""
    return trained(tmp_path_factory.mktemp("segment") / "run", volumes, train__epochs=12, train__lr=0.02)


def trained(run_dir: Path, data: dict[str, Any], **changes: Any) -> Path:
    make_segment_run(run_dir, data, **changes)
    train.main(["--run-dir", str(run_dir), "--generation", "1"])
    return run_dir


def test_a_network_learns_what_is_plain_to_see(run_dir: Path) -> None:
    metrics = events(run_dir, "validation")[-1]["metrics"]
    assert set(metrics) == {"dice_mean", "dice_ball", "dice_box", "loss"}
    assert metrics["dice_ball"] > 0.9
    assert metrics["dice_mean"] == pytest.approx((metrics["dice_ball"] + metrics["dice_box"]) / 2)
    for line in (run_dir / "events.jsonl").read_text().splitlines():
        parse(RunEvent, json.loads(line), line)
    assert not (run_dir / "predictions").exists()


@pytest.mark.parametrize(
    ("dtype", "changes"),
    [
        ("uint8", {"augment": LIVELY, "train__ema": 0.9, "train__precision": "bf16"}),
        ("int16", {"task__exclusive": False, "train__loss": {"kind": "dice", "batch": True, "background": False}}),
        ("float32", {"train__loss": {"kind": "generalized_dice", "background": True}, "train__accumulate": 2}),
    ],
    ids=["uint8, augmented, ema, bf16", "int16, regions, batch Dice", "float32, generalised Dice"],
)
def test_every_stored_type_and_loss_trains(tmp_path: Path, dtype: str, changes: dict[str, Any]) -> None:
    data = make_volumes(tmp_path / "set", channels=2, dtype=dtype)
    found = trained(tmp_path / "run", data, train__epochs=5, train__lr=0.02, **changes)
    assert events(found, "end")[0]["status"] == "finished"
    steps = events(found, "step")
    assert steps[-1]["loss"] < steps[0]["loss"]


def test_deep_supervision_trains_and_validates_the_output_alone(tmp_path: Path, volumes: dict[str, Any]) -> None:
    model = {"family": "dynunet", "base_channels": 6, "max_channels": 12, "residual": True, "deep_supervision": 2}
    changes = {"task__patch_size": [16, 16, 16], "train__epochs": 3, "train__lr": 0.01}
    found = trained(tmp_path / "run", volumes, model={**model, "weights": "none"}, **changes)
    assert events(found, "validation")[-1]["metrics"]["dice_mean"] is not None


def test_volumes_of_one_size_are_classified(tmp_path: Path) -> None:
    data = make_volumes(tmp_path / "set", num=40, size=(12, 14, 16), has_masks=False)
    run_dir = tmp_path / "run"
    make_segment_run(run_dir, data, train__epochs=12, train__lr=0.01, train__select="auroc_mean", augment=LIVELY)
    config = json.loads((run_dir / "run.json").read_text())
    config["task"] = {"kind": "classify", "labels": list(NAMES), "exclusive": False}
    config["model"] = {"family": "resnet3d", "depth": 10, "base_channels": 8, "weights": "none"}
    config["train"]["loss"] = {"kind": "bce", "pos_weight": "none"}
    (run_dir / "run.json").write_text(json.dumps(config))
    train.main(["--run-dir", str(run_dir), "--generation", "1"])
    lines = (run_dir / "predictions" / "val.jsonl").read_text().splitlines()
    assert [json.loads(line)["case_id"] for line in lines] == [f"case-{row:03d}" for row in range(3, 40, 5)]
    steps = events(run_dir, "step")
    assert steps[-1]["loss"] < steps[0]["loss"]


def test_a_run_killed_is_resumed_to_the_same_bits(zygote: Zygote, tmp_path: Path, volumes: dict[str, Any]) -> None:
    changes: dict[str, Any] = {"augment": LIVELY, "train__epochs": 8, "train__ema": 0.9, "train__accumulate": 2}
    whole = make_segment_run(tmp_path / "whole", volumes, **changes)
    killed = make_segment_run(tmp_path / "killed", volumes, **changes)
    assert zygote.run("train", "--run-dir", whole, "--generation", 1, log=whole / "log") == 0
    pid = zygote.start("train", "--run-dir", killed, "--generation", 1, log=killed / "log")
    log = killed / "events.jsonl"
    wait_until(lambda: log.exists() and len(events(killed, "checkpoint")) >= 3)
    os.kill(pid, signal.SIGKILL)
    assert zygote.wait(pid) == -signal.SIGKILL
    write_lock(killed, 2)
    assert zygote.run("train", "--run-dir", killed, "--generation", 2, log=killed / "log") == 0
    assert events(killed, "resume")[0]["step"] > 0
    for name in ("model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json"):
        assert last_file(killed, name) == last_file(whole, name)


def last_file(run_dir: Path, name: str) -> bytes:
    folder = run_dir / "checkpoints" / str(json.loads((run_dir / "checkpoints" / "latest.json").read_text())["folder"])
    return (folder / name).read_bytes()


def test_two_ranks_train_as_one(zygote: Zygote, tmp_path: Path, volumes: dict[str, Any]) -> None:
    runs = [make_segment_run(tmp_path / n, volumes, augment=LIVELY, train__epochs=2) for n in ("one", "two")]
    assert zygote.run("train", "--run-dir", runs[0], "--generation", 1, log=runs[0] / "log") == 0
    pids = zygote.start_ranks(2, "train", "--run-dir", runs[1], "--generation", 1, log=runs[1] / "log")
    assert [zygote.wait(pid) for pid in pids] == [0, 0]
    losses = [[e["loss"] for e in events(run_dir, "step")] for run_dir in runs]
    assert np.allclose(losses[0], losses[1], atol=1e-4)
    metrics = [events(run_dir, "validation")[-1]["metrics"] for run_dir in runs]
    assert metrics[0]["loss"] == pytest.approx(metrics[1]["loss"], abs=1e-3)
    assert metrics[0]["dice_mean"] == pytest.approx(metrics[1]["dice_mean"], abs=0.01)


def test_predict_writes_probabilities_on_the_stored_grid_and_their_cases_last(run_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "val"
    arguments = ["--run-dir", str(run_dir), "--part", "val", "--out", str(out)]
    assert predict.main([*arguments, "--mirror", "x,z"])["cases"] == 4
    lines = [json.loads(line) for line in (out / "cases.jsonl").read_text().splitlines()]
    assert [line["row"] for line in lines] == [3, 8, 13, 18]
    assert lines[1] == {
        **{"row": 8, "case_id": "case-008", "patient_id": "patient-004", "labels": {"ball": 1, "box": 0}},
        "attributes": {"age": 8, "sex": None},
    }
    assert {path.name for path in out.iterdir()} == {
        *(f"{row:06d}.safetensors" for row in (3, 8, 13, 18)),
        "cases.jsonl",
    }
    shards = Path(json.loads((run_dir / "run.json").read_text())["data"]["shard_set"]) / "shards"
    both = found = real = 0
    for row in (3, 8, 13, 18):
        tensors = load_file(out / f"{row:06d}.safetensors")
        mask = load_file(shards / f"{row:05d}.safetensors")["mask"]
        assert set(tensors) == {"probabilities", "mirrored"}
        for probability in tensors.values():
            assert probability.dtype == np.float32 and probability.shape == (3, *mask.shape)
            assert np.abs(probability.sum(0) - 1).max() < 1e-5
        ball = tensors["probabilities"].argmax(0) == 1
        both, found, real = both + (ball & (mask == 1)).sum(), found + ball.sum(), real + (mask == 1).sum()
    assert 2 * both / (found + real) > 0.9


def test_the_exported_network_and_monais_blending_are_what_predict_computes(run_dir: Path, tmp_path: Path) -> None:
    data = json.loads((run_dir / "run.json").read_text())["data"]
    image = load_file(Path(data["shard_set"]) / "shards" / "00003.safetensors")["image"]
    save_file({"case": image}, tmp_path / "volumes.safetensors")
    patches = np.random.default_rng(0).normal(0, 1, (3, 1, *PATCH)).astype(np.float16)
    save_file({"image": patches}, tmp_path / "patches.safetensors")
    result = export.main(
        [
            *(
                "--run-dir",
                str(run_dir),
                "--out",
                str(tmp_path / "onnx"),
                "--tensors",
                f"{tmp_path}/patches.safetensors",
            ),
            *("--logits", f"{tmp_path}/logits.safetensors", "--batches", "1,2"),
            *("--volumes", f"{tmp_path}/volumes.safetensors", "--volumes-out", f"{tmp_path}/blended.safetensors"),
            *("--mirror", "y"),
        ]
    )
    assert result["files"] == ["model.onnx"]
    logits = load_file(tmp_path / "logits.safetensors")
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx" / "model.onnx"), providers=["CPUExecutionProvider"])
    [taken] = session.get_inputs()
    assert (taken.type, taken.shape[1:]) == ("tensor(float16)", [1, *PATCH])
    assert np.abs(session.run(["logits"], {"image": patches})[0] - logits["logits_b2"]).max() < 1e-4
    predict.main(["--run-dir", str(run_dir), "--part", "val", "--out", str(tmp_path / "val"), "--mirror", "y"])
    ours = load_file(tmp_path / "val" / "000003.safetensors")
    blended = load_file(tmp_path / "blended.safetensors")["case"]
    assert np.abs(ours["mirrored"] - blended).max() < 1e-5
    assert np.abs(ours["probabilities"] - blended).max() > 1e-3


def test_a_structure_missed_or_falsely_found_counts_0_and_one_that_is_absent_does_not_count() -> None:
    both = np.array([[5.0, 0.0], [0.0, 0.0], [4.0, 0.0]])
    found = np.array([[5.0, 9.0], [0.0, 0.0], [4.0, 3.0]])
    real = np.array([[5.0, 0.0], [8.0, 0.0], [12.0, 0.0]])
    metrics = dice_metrics(["a", "b"], both, found, real)
    assert metrics == {"dice_mean": pytest.approx(0.25), "dice_a": pytest.approx(0.5), "dice_b": 0.0}
    nowhere = dice_metrics(["b"], both[:, 1:], np.zeros((3, 1)), real[:, 1:])
    assert nowhere == {"dice_mean": None, "dice_b": None}


def test_a_structure_that_no_training_case_has_is_told(tmp_path: Path, volumes: dict[str, Any]) -> None:
    part_N = np.where(np.arange(20) % 4 == 0, 1, 2).astype(np.uint8)
    data = make_volumes(tmp_path / "set", part_N=part_N)
    found = trained(tmp_path / "run", data, train__epochs=1)
    assert [w["message"] for w in events(found, "warning")] == [
        "Structure box: in no training case; it can't be learned."
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train__loss": {"kind": "bce", "pos_weight": "none"}}, "use dice_ce"),
        ({"model": {"family": "mlp", "hidden": [4], "dropout": 0, "weights": "none"}}, "needs mask of volumes"),
    ],
)
def test_what_does_not_fit_is_refused_with_advice(
    tmp_path: Path, volumes: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        trained(tmp_path / "run", volumes, **changes)


def test_a_set_without_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no masks"):
        trained(tmp_path / "run", make_volumes(tmp_path / "set", has_masks=False))


def test_a_case_that_breaks_the_loss_is_named_alone(tmp_path: Path) -> None:
    data = make_volumes(tmp_path / "set", dtype="float32")
    file = tmp_path / "set" / "shards" / "00010.safetensors"
    tensors = load_file(file)
    tensors["image"][:] = np.nan
    save_file(tensors, file)
    index = json.loads((tmp_path / "set" / "index.json").read_text())
    index["shards"][10]["sha256"] = file_sha256(file)
    (tmp_path / "set" / "index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"The loss of step \d is not finite; its cases: case-010\."):
        trained(tmp_path / "run", data, train__clip_norm=None)


def test_axes_that_there_are_not_are_refused(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        predict.main(["--run-dir", str(run_dir), "--part", "val", "--out", str(tmp_path / "o"), "--mirror", "z,z"])
