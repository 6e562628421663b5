import errno
import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from tiny_set import write_lock
from torch import nn

from fiducial_engine.checkpoint import Checkpoints, Progress, Trainee, damaged_files, load_weights, read_pointer
from fiducial_engine.config import CheckpointPointer
from fiducial_engine.errors import UserError


def trainee(seed: int = 0) -> Trainee:
    """A network and optimizer that have taken a step; channels last, as training has it."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    network(torch.randn(5, 3, 4, 4).to(memory_format=torch.channels_last)).sum().backward()
    optimizer.step()
    return Trainee(network, optimizer, None)


def checkpoints(run_dir: Path, keep: int = 2) -> Checkpoints:
    write_lock(run_dir, 1)
    return Checkpoints(run_dir, 1, keep)


def test_what_is_saved_is_restored_to_the_bit_and_in_the_same_memory_layout(tmp_path: Path) -> None:
    saved, fresh = trainee(0), trainee(1)
    best = CheckpointPointer(step=3, epoch=0.5, folder="step-00000003", metrics={"auroc_mean": None})
    (tmp_path / "checkpoints" / "step-00000003").mkdir(parents=True)
    progress = Progress(step=7, epoch=1.25, best=best, plateau_drops=2, scaler={"scale": 65536.0})
    checkpoints(tmp_path).save(saved, progress, is_best=False)
    (tmp_path / "checkpoints" / "step-00000003").mkdir(exist_ok=True)
    restored, warnings = checkpoints(tmp_path).restore(fresh)
    assert restored == progress
    assert warnings == []
    for a, b in zip(saved.network.parameters(), fresh.network.parameters(), strict=True):
        assert torch.equal(a, b)
        mine, theirs = saved.optimizer.state[a], fresh.optimizer.state[b]
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[k], theirs[k]) and mine[k].stride() == theirs[k].stride() for k in mine)


def test_files_are_safetensors_and_json_only(tmp_path: Path) -> None:
    name = checkpoints(tmp_path).save(trainee(), Progress(step=1), is_best=True)
    files = {path.name for path in (tmp_path / "checkpoints" / name).iterdir()}
    assert files == {"model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"}
    assert json.loads((tmp_path / "checkpoints" / "best.json").read_text())["folder"] == name == "step-00000001"


def test_the_best_is_kept_beside_the_newest(tmp_path: Path) -> None:
    writer, progress = checkpoints(tmp_path, keep=2), Progress()
    for step in range(1, 6):
        progress.step = step
        writer.save(trainee(), progress, is_best=step == 2)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").glob("step-*"))
    assert kept == ["step-00000002", "step-00000004", "step-00000005"]
    assert read_pointer(tmp_path, "best").step == 2


def test_a_half_written_folder_is_removed_and_never_read(tmp_path: Path) -> None:
    writer = checkpoints(tmp_path)
    writer.save(trainee(), Progress(step=1), is_best=True)
    half = tmp_path / "checkpoints" / ".tmp-step-00000002-123"
    half.mkdir()
    (half / "model.safetensors").write_bytes(b"x")
    writer.remove_unfinished()
    assert not half.exists()
    restored, _ = writer.restore(trainee())
    assert restored is not None
    assert restored.step == 1


@pytest.mark.parametrize("harm", ["flipped bit", "missing file", "no manifest", "manifest of nonsense"])
def test_a_damaged_checkpoint_is_found_and_its_file_named(tmp_path: Path, harm: str) -> None:
    name = checkpoints(tmp_path).save(trainee(), Progress(step=1), is_best=True)
    folder = tmp_path / "checkpoints" / name
    assert damaged_files(folder) == []
    if harm == "flipped bit":
        data = bytearray((folder / "model.safetensors").read_bytes())
        data[-1] ^= 1
        (folder / "model.safetensors").write_bytes(data)
    elif harm == "missing file":
        (folder / "model.safetensors").unlink()
    elif harm == "no manifest":
        (folder / "manifest.json").unlink()
    else:
        (folder / "manifest.json").write_text("[1]")
    expected = "manifest.json" if "manifest" in harm else "model.safetensors"
    with pytest.raises(UserError, match=f"Checkpoint step-00000001 is damaged: {expected}"):
        load_weights(tmp_path, read_pointer(tmp_path, "best"), trainee().network)
    with pytest.raises(UserError, match="none of these can be resumed"):
        checkpoints(tmp_path).restore(trainee())


def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before_and_is_written_again(tmp_path: Path) -> None:
    writer = checkpoints(tmp_path)
    for step in (1, 2):
        writer.save(trainee(), Progress(step=step), is_best=True)
    (tmp_path / "checkpoints" / "step-00000002" / "state.json").write_text("{}")
    restored, warnings = writer.restore(trainee())
    assert restored is not None
    assert restored.step == 1
    assert "step-00000002 is damaged: state.json" in warnings[0]
    writer.save(trainee(), Progress(step=2), is_best=False)
    assert damaged_files(tmp_path / "checkpoints" / "step-00000002") == []


def test_a_damaged_newer_checkpoint_goes_instead_of_the_one_just_saved(tmp_path: Path) -> None:
    for step in (20, 30):
        checkpoints(tmp_path).save(trainee(), Progress(step=step), is_best=False)
    (tmp_path / "checkpoints" / "step-00000030" / "state.json").write_text("{}")
    writer = checkpoints(tmp_path, keep=1)
    restored, _ = writer.restore(trainee())
    assert restored is not None
    restored.step = 25
    writer.save(trainee(), restored, is_best=False)
    assert [path.name for path in (tmp_path / "checkpoints").glob("step-*")] == ["step-00000025"]
    assert read_pointer(tmp_path, "latest").folder == "step-00000025"


def test_no_pointer_names_a_best_checkpoint_that_was_lost(tmp_path: Path) -> None:
    writer = checkpoints(tmp_path)
    writer.save(trainee(), Progress(step=10), is_best=False)
    writer.save(trainee(), Progress(step=20), is_best=True)
    (tmp_path / "checkpoints" / "step-00000020" / "state.json").write_text("{}")
    restored, _ = writer.restore(trainee())
    assert restored is not None
    writer.repair_pointers(restored)
    with pytest.raises(UserError, match="has no best checkpoint yet"):
        read_pointer(tmp_path, "best")


def test_another_generation_writes_nothing(tmp_path: Path) -> None:
    writer = checkpoints(tmp_path)
    write_lock(tmp_path, 2)
    with pytest.raises(UserError, match="Another process writes this run now"):
        writer.save(trainee(), Progress(step=1), is_best=True)
    assert not (tmp_path / "checkpoints").exists()


def test_a_run_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no best checkpoint yet"):
        read_pointer(tmp_path, "best")


def test_a_full_disk_leaves_the_checkpoint_before_and_says_what_to_do(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        writer = checkpoints(disk, keep=5)
        writer.save(trainee(), Progress(step=1), is_best=True)
        with pytest.raises(UserError, match="The disk is full") as error:
            for step in range(2, 30):
                writer.save(trainee(), Progress(step=step), is_best=False)
        assert "free some space" in str(error.value)
        assert not list((disk / "checkpoints").glob(".tmp-*"))
        restored, warnings = writer.restore(trainee())
        assert restored is not None
        assert warnings == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_told_apart_from_our_own_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = checkpoints(tmp_path)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(UserError, match="The disk is full"):
        writer.save(trainee(), Progress(step=1), is_best=True)
    assert not list((tmp_path / "checkpoints").iterdir())
