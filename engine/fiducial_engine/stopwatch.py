"""Where the time goes. On a GPU, work queued on the device is timed by the device's own events."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Stopwatch:
    """Seconds by phase since it was made; what no phase claims is `other`."""

    def __init__(self, device: torch.device) -> None:
        self._began = time.perf_counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._use_device_events = device.type == "cuda"
        self._queued: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    def add(self, phase: str, seconds: float) -> None:
        """Time measured elsewhere."""
        self._seconds[phase] += seconds

    @contextmanager
    def host(self, phase: str) -> Iterator[None]:
        """Time the host spends in a block."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[phase] += time.perf_counter() - began

    @contextmanager
    def device(self, phase: str) -> Iterator[None]:
        """Time the device spends on what a block queues; the host's where the device runs as it is told."""
        if not self._use_device_events:
            with self.host(phase):
                yield
            return
        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        first.record()
        yield
        last.record()
        self._queued.append((phase, first, last))
        if len(self._queued) > 4096:
            self._collect()

    def seconds(self) -> dict[str, float]:
        """Every phase, and `other`, the rest of the wall time."""
        self._collect()
        elapsed = time.perf_counter() - self._began
        known = dict(self._seconds)
        return {**known, "other": max(0.0, elapsed - sum(known.values()))}

    def _collect(self) -> None:
        for phase, first, last in self._queued:
            last.synchronize()
            self._seconds[phase] += first.elapsed_time(last) / 1e3
        self._queued.clear()
