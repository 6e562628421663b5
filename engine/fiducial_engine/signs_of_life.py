"""A line now and then from work that would be silent: the agent's watchdog ends ranks that say nothing for long."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def signs_of_life(doing: str, *, seconds: float = 30.0) -> Iterator[None]:
    """Say on stderr, every so many seconds until the block ends, what is being done and for how long."""
    ended, began = threading.Event(), time.monotonic()

    def say() -> None:
        while not ended.wait(seconds):
            print(f"still {doing}, for {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
