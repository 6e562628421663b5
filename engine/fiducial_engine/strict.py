"""Reads JSON into the frozen dataclasses of config.py: no defaults, no unknown keys, no lenient types."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from fiducial_engine.config import RunConfig
from fiducial_engine.errors import ConfigError, UserError

T = TypeVar("T")


def load_run_config(path: Path) -> RunConfig:
    """The complete configuration of a run, `run.json`.

    Raises:
        ConfigError: listing every missing key, unknown key and wrong type with its path.
    """
    return load(RunConfig, path)


def load(cls: type[T], path: Path) -> T:
    """One JSON file as `cls`.

    Raises:
        UserError: the file is missing or is not JSON.
        ConfigError: it does not fit; every mistake is listed.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_reject_constant)
    except FileNotFoundError as cause:
        raise UserError(f"There is no {path.name} in {path.parent}.") from cause
    except ValueError as cause:
        raise ConfigError(f"{path} is not JSON: {cause}") from cause
    return typing.cast(T, parse(cls, value, str(path)))


def parse(cls: Any, value: object, where: str) -> Any:
    """`value`, as json.loads gives it, as the type `cls` of config.py.

    Whole numbers are accepted where a float is expected; true and false never count as numbers.

    Raises:
        ConfigError: listing every mistake in `where` with its path.
    """
    mistakes: list[str] = []
    result = _read(cls, value, "", mistakes)
    if mistakes:
        noun = "mistake" if len(mistakes) == 1 else "mistakes"
        lines = "\n".join(f"  {line}" for line in mistakes)
        raise ConfigError(f"{len(mistakes)} {noun} in {where}:\n{lines}")
    return result


def _read(expected: Any, value: object, path: str, mistakes: list[str]) -> Any:
    origin, args = typing.get_origin(expected), typing.get_args(expected)
    if expected is Any:
        return value
    if dataclasses.is_dataclass(expected):
        return _read_dataclass(typing.cast(type, expected), value, path, mistakes)
    if origin in (typing.Union, types.UnionType):
        return _read_union(args, value, path, mistakes)
    if origin is tuple and isinstance(value, list):
        if args[-1] is not Ellipsis and len(value) != len(args):
            mistakes.append(f"{_at(path)}: expected {len(args)} entries, found {len(value)}")
            return ()
        kinds = [args[0]] * len(value) if args[-1] is Ellipsis else args
        return tuple(_read(k, v, _join(path, i), mistakes) for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin is dict and isinstance(value, dict):
        return {k: _read(args[1], v, _join(path, k), mistakes) for k, v in value.items()}
    if expected is float and _is_number(value):
        return float(typing.cast(float, value))
    if _fits_scalar(expected, value):
        return value
    mistakes.append(f"{_at(path)}: expected {_name(expected)}, found {_show(value)}")
    return None


def _read_dataclass(cls: type, value: object, path: str, mistakes: list[str]) -> Any:
    if not isinstance(value, dict):
        mistakes.append(f"{_at(path)}: expected an object, found {_show(value)}")
        return None
    hints = _hints(cls)
    mistakes.extend(f"{_join(path, key)}: unknown key" for key in value if key not in hints)
    fields = {}
    for key, hint in hints.items():
        if key in value:
            fields[key] = _read(hint, value[key], _join(path, key), mistakes)
        elif key in _may_be_absent(cls):
            fields[key] = None
        else:
            mistakes.append(f"{_join(path, key)}: is missing")
    return cls(**fields) if len(fields) == len(hints) else None


@lru_cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


@lru_cache
def _may_be_absent(cls: type) -> frozenset[str]:
    """Keys that came after files without them. Absent, they mean what those files meant."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return frozenset(key for key, hint in hints.items() if typing.get_origin(hint) is typing.Annotated)


def _read_union(members: tuple[Any, ...], value: object, path: str, mistakes: list[str]) -> Any:
    classes = [m for m in members if dataclasses.is_dataclass(m)]
    if len(classes) > 1 and isinstance(value, dict):
        key, by_value = _discriminator(classes)
        if value.get(key) in by_value:
            return _read(by_value[value[key]], value, path, mistakes)
        found = _show(value[key]) if key in value else "nothing"
        mistakes.append(f"{_join(path, key)}: expected one of {', '.join(map(str, by_value))}, found {found}")
        return None
    attempts: list[list[str]] = []
    for member in members:
        attempt: list[str] = []
        result = _read(member, value, path, attempt)
        if not attempt:
            return result
        attempts.append(attempt)
    deepest = [a for a in attempts if not a[0].startswith(f"{_at(path)}: ")]
    if deepest:
        mistakes.extend(deepest[0])
    else:
        mistakes.append(f"{_at(path)}: expected {' or '.join(map(_name, members))}, found {_show(value)}")
    return None


def _discriminator(classes: list[Any]) -> tuple[str, dict[object, Any]]:
    """The key whose one literal value tells the members of a union apart."""
    for key in _hints(classes[0]):
        kinds = [_hints(c).get(key) for c in classes]
        if all(typing.get_origin(k) is typing.Literal and len(typing.get_args(k)) == 1 for k in kinds):
            return key, {typing.get_args(k)[0]: c for k, c in zip(kinds, classes, strict=True)}
    raise AssertionError(f"no discriminator in {classes}")


def _fits_scalar(expected: Any, value: object) -> bool:
    if typing.get_origin(expected) is typing.Literal:
        return any(value == v and type(value) is type(v) for v in typing.get_args(expected))
    if expected is None or expected is type(None):
        return value is None
    if expected is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(expected, type) and type(value) is expected


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _name(expected: Any) -> str:
    if typing.get_origin(expected) is typing.Literal:
        return " or ".join(json.dumps(v) for v in typing.get_args(expected))
    if expected in _NAMES:
        return _NAMES[expected]
    return "a list" if typing.get_origin(expected) is tuple else "an object"


_NAMES: dict[Any, str] = {
    float: "a number",
    int: "a whole number",
    str: "text",
    bool: "true or false",
    type(None): "null",
}


def _show(value: object) -> str:
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return json.dumps(value)


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def _at(path: str) -> str:
    return path or "(top level)"


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number in JSON")
