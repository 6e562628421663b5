"""A user's own network, from the copy of its file in the run folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from torch import nn

from fiducial_engine.config import FileModel
from fiducial_engine.errors import UserError
from fiducial_engine.models.spec import NetworkSpec
from fiducial_engine.shards import file_sha256


def build(config: FileModel, spec: NetworkSpec) -> nn.Module:
    """Call `name(in_channels=…, num_outputs=…, size=[y, x] or [z, y, x], **args)` of the file.

    Raises:
        UserError: the copy was changed, can't be imported, lacks the name, or fails.
    """
    path = spec.run_dir / config.file
    if not path.exists():
        raise UserError(f"model.file: there is no {path}.")
    found = file_sha256(path)
    if found != config.sha256:
        raise UserError(
            f"model.file: {path} was changed since the run began: sha256 {found[:12]}…, not {config.sha256[:12]}…."
            "\n  do: change the original beside the recipe and start another run with --new."
        )
    try:
        found_spec = importlib.util.spec_from_file_location("fiducial_user_model", path)
        assert found_spec is not None and found_spec.loader is not None
        module = importlib.util.module_from_spec(found_spec)
        found_spec.loader.exec_module(module)
    except Exception as cause:
        raise UserError(f"model.file: {path.name} can't be imported: {_explain(cause, path)}") from cause
    factory = getattr(module, config.name, None)
    if not callable(factory):
        raise UserError(f"model.name: {path.name} defines no {config.name!r}.")
    try:
        network = factory(
            in_channels=spec.in_channels, num_outputs=spec.num_outputs, size=list(spec.size), **config.args
        )
    except Exception as cause:
        raise UserError(f"model: {config.name} of {path.name} failed: {_explain(cause, path)}") from cause
    if not isinstance(network, nn.Module):
        raise UserError(f"model.name: {config.name} of {path.name} gave {type(network).__name__}, not a torch Module.")
    return network


def _explain(cause: Exception, path: Path) -> str:
    line = None
    trace = cause.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{type(cause).__name__}: {cause}" + (f" (line {line})" if line else "")
