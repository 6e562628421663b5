"""What may go wrong for a reason that the user can mend, and how a process says so."""

from __future__ import annotations


class UserError(Exception):
    """A mistake that the user can mend: its message alone is printed, exit code 2.

    The message says what is wrong, where, and what to do.
    """


class ConfigError(UserError):
    """A file that does not fit its schema; lists every mistake with its path."""


class StoppedError(Exception):
    """Stopped by a signal after saving: exit code 75; the same command resumes."""
