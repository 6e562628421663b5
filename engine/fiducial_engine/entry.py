"""How every entry point starts and ends: exit codes, the last line on stdout, signals.

0 done; 2 the user's mistake (its message on stderr, {"error": …} last on stdout); 75 stopped by a signal, resumable;
1 our bug, with its stack trace.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from fiducial_engine.errors import StoppedError, UserError


def run_entry(main: Callable[[list[str]], Mapping[str, object]]) -> None:
    """Run `main` on the command line's arguments, print its result as one JSON line, and exit."""
    try:
        result = main(sys.argv[1:])
    except UserError as error:
        print(str(error), file=sys.stderr, flush=True)
        _leave(2, {"error": str(error)})
    except StoppedError as error:
        print(str(error), file=sys.stderr, flush=True)
        _leave(75, {"stopped": str(error)})
    except Exception as error:
        mistake = as_user_error(error)
        if mistake is None:
            raise
        traceback.print_exc()
        _leave(2, {"error": str(mistake)})
    _leave(0, result)


def as_user_error(error: BaseException) -> UserError | None:
    """Memory or disk that ran out, and passes too small to train on, are the user's to mend; anything else is None."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        at = "" if error.filename is None else f"\n  at: {error.filename}"
        return UserError(f"The disk is full.{at}\n  do: free some space and run the same command again; it resumes.")
    if isinstance(error, MemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY):
        what = "The accelerator's memory" if "CUDA" in str(error) or "MPS" in str(error) else "Memory"
        return UserError(
            f"{what} ran out: {str(error).splitlines()[0] if str(error) else 'no more is to be had'}\n"
            "  do: free what others hold and run the same command, which resumes; or start another run with a lower\n"
            "      train.global_batch, a higher train.accumulate, a smaller prepare.size or a smaller model."
        )
    if "Expected more than 1 value per channel when training" in str(error):
        return UserError(
            "A pass holds a single sample, and the model's batch norm needs two.\n"
            "  do: raise train.global_batch, lower train.accumulate, or use fewer ranks."
        )
    return None


# What torch says: on CUDA, on MPS, and of the allocator for the CPU.
_OUT_OF_MEMORY = ("CUDA out of memory", "MPS backend out of memory", "can't allocate memory: you tried to allocate")


class StopRequest:
    """Set by SIGTERM or SIGINT; training looks at it once a step.

    With FIDUCIAL_STOP_AT_EOF=1 the end of stdin sets it too: the agent holds the other end of that pipe, and a
    training whose agent was killed must not go on unseen.
    """

    def __init__(self) -> None:
        self.is_set = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._set)
        if os.environ.get("FIDUCIAL_STOP_AT_EOF") == "1":
            threading.Thread(target=_stop_at_eof, daemon=True).start()

    def _set(self, number: int, frame: FrameType | None) -> None:
        if not self.is_set:
            self.is_set = True
            # Not print: a signal may come in the midst of one, and a stream that is being written takes no other text.
            with suppress(OSError):
                os.write(2, b"Stopping after this step; a checkpoint is written first.\n")


def _stop_at_eof() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    # Nobody reads the pipes any more, and writing into them would fail; a log file is still written.
    for fd in (1, 2):
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.dup2(os.open(os.devnull, os.O_WRONLY), fd)
    os.kill(os.getpid(), signal.SIGTERM)


def _leave(code: int, result: Mapping[str, object]) -> NoReturn:
    """Print the last line and end at once. Everything is written and closed by now, and taking torch's communication
    threads down with the interpreter aborted one finished rank in fifteen ("terminate called without an active
    exception", code 134), which torchrun then started again.
    """
    print(json.dumps(result), flush=True)
    sys.stderr.flush()
    os._exit(code)
