"""The device a run uses, and how it is set up: kernels, threads, precision."""

from __future__ import annotations

import math
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch

from fiducial_engine.errors import UserError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(asked: str) -> str:
    """cpu, cuda or mps for what the recipe asks; `auto` is the accelerator where there is one.

    Raises:
        UserError: the recipe names an accelerator that this machine lacks; the CPU never takes its place unasked.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked == "auto":
        return next(kind for kind in ("cuda", "mps", "cpu") if available[kind])
    if not available[asked]:
        build = f"torch {torch.__version__}" + (f", built for CUDA {torch.version.cuda}" if torch.version.cuda else "")
        raise UserError(
            f"train.device: {asked}, but {build}, finds none here.\n"
            "  do: check the driver (nvidia-smi) against that build, or set train.device: auto."
        )
    return asked


def resolve_precision(asked: str, device: str) -> str:
    """fp32, bf16 or fp16; `auto` is bf16 where the device has units for it, else fp32.

    Those are GPUs from compute capability 8.0, and CPUs with AMX or AVX-512 BF16: a ResNet-18 trains 1.6 to 1.8 times
    as fast there in bf16, a DynUNet twice.

    Raises:
        UserError: the device can't train in the precision asked for.
    """
    if asked == "auto":
        return "bf16" if _has_bf16_units(device) else "fp32"
    if asked == "bf16" and device == "cuda" and not _has_bf16_units(device):
        raise UserError("train.precision: bf16 needs a GPU of compute capability 8.0 or more; use fp16 or fp32.")
    return asked


def num_accelerators(device: str) -> int:
    """Accelerators that ranks can be placed on."""
    return torch.cuda.device_count() if device == "cuda" else int(device == "mps")


def num_threads(local_world_size: int = 1) -> int:
    """Physical cores that this process may use, shared by the machine's ranks: affinity and container quota count."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores = {_siblings(cpu) for cpu in allowed}
    return max(1, int(min(len(cores), _quota())) // local_world_size)


def set_up(device: str, local_rank: int, threads: int, *, deterministic: bool) -> torch.device:
    """Set threads and kernels for training, and return the rank's device."""
    torch.set_num_threads(threads)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = not deterministic
    if device != "cuda":
        return torch.device(device)
    if local_rank >= torch.cuda.device_count():
        raise UserError(f"Rank {local_rank} has no GPU: {torch.cuda.device_count()} on this machine.")
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Mixed precision for the forward pass; nothing for fp32."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision])


def memory_format(device: torch.device, precision: str, num_axes: int) -> torch.memory_format:
    """Channels last where convolutions are faster so: on GPUs; on the CPU of images in bf16 (1.7 times) and of volumes
    in fp32 (1.0 to 1.5 times); of the others it gains nothing there.

    Args:
        num_axes: of an image, 2, or of a volume, 3.
    """
    if device.type != "cuda" and (precision == "fp32") == (num_axes == 2):
        return torch.contiguous_format
    return torch.channels_last if num_axes == 2 else torch.channels_last_3d


def memory_bytes(device: str) -> int:
    """Memory of one accelerator, or, on the CPU, of what the machine and the container allow."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    if device == "mps":
        return int(torch.mps.recommended_max_memory())
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        limit = "max"
    return machine if limit == "max" else min(machine, int(limit))


def exact_float32() -> None:
    """Turn TF32 off: scores that others are compared with are computed in full float32."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def _has_bf16_units(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # Older builds of torch do not say.
    if device != "cpu" or capabilities is None:
        return False
    return any(capabilities().get(name, False) for name in ("amx_bf16", "avx512_bf16"))


def _siblings(cpu: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return path.read_text().strip()
    except OSError:
        return str(cpu)


def _quota() -> float:
    """CPUs that a container's quota allows (cgroup v2), or infinity."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return math.inf
    return math.inf if limit == "max" else math.ceil(int(limit) / int(period))
