"""How fast training goes, for the events of its steps."""

from __future__ import annotations

import time


class Meter:
    """Throughput and waiting since the last reading; validation and checkpoints do not count."""

    def __init__(self, global_batch: int) -> None:
        self._global_batch = global_batch
        self._steps = 0
        self._began: float | None = None
        self._waited = 0.0

    def begin(self, waited: float) -> None:
        """A step's batch has arrived."""
        if self._began is None:
            self._began, self._waited = time.perf_counter(), waited
        self._steps += 1

    def is_due(self, step: int) -> bool:
        return step < 10 or (self._began is not None and time.perf_counter() - self._began >= 0.9)

    def read(self, waited: float) -> tuple[float, float]:
        """Samples a second and the share of time spent waiting for data; starts the next interval."""
        now = time.perf_counter()
        elapsed = max(1e-9, now - (self._began or now))
        rate, share = self._steps * self._global_batch / elapsed, (waited - self._waited) / elapsed
        self._began, self._waited, self._steps = now, waited, 0
        return rate, min(1.0, share)

    def restart(self, waited: float) -> None:
        self._began, self._waited, self._steps = time.perf_counter(), waited, 0
