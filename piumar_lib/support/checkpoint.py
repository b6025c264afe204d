"""Checkpoints that are written atomically and contain no pickles.

Tensors are stored in a safetensors file, everything else in its header as JSON. A temporary file beside
it replaces the old one once it is on disk, so a run that is killed at any time leaves either the old
checkpoint or the new one.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from piumar_lib.support.files import whole

Nested = dict[str, Any]  # tensors, numbers, strings and lists of these, nested in dicts


def save(path: Path, state: Nested) -> None:
    """Write ``state``, nested dicts of tensors and of values that JSON can represent, atomically.

    Raises:
        OSError: If it cannot be written; an existing file is then unchanged.
    """
    tensors: dict[str, Tensor] = {}
    rest = _split(state, "", tensors)
    # Safetensors refuses tensors that share memory; a copy on the CPU does not.
    copies = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    write_tensors(path, copies, {"state": json.dumps(rest)})


def write_tensors(path: Path, tensors: dict[str, Tensor], about: dict[str, str] | None = None) -> None:
    """Write a safetensors file atomically; ``about`` is stored in its header.

    Raises:
        OSError: If it cannot be written; an existing file is then unchanged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    with whole(path) as part:
        try:
            save_file(tensors, part, about)
        except SafetensorError as error:  # has the system's error as text
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, str(error)) from error
        with part.open("r+b") as file:  # Windows flushes only files that are open for writing
            os.fsync(file.fileno())


def load(path: Path, keys: Iterable[str] = ()) -> Nested:
    """Read what `save` wrote; tensors are on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no checkpoint, or damaged, or lacks one of ``keys``.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no checkpoint.")
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            rest = json.loads((file.metadata() or {})["state"])
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(f"{path}: is no checkpoint of this course ({error}). Remove it.") from error
    if missing := [key for key in keys if key not in rest]:
        raise ValueError(f"{path}: is another checkpoint, without {', '.join(missing)}. Remove it.")
    return _join(rest, "", tensors)


class OtherModel(ValueError):
    """Weights that do not fit a model; the message lists the first three of all ``faults``."""

    def __init__(self, faults: Sequence[str]) -> None:
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        super().__init__("; ".join(faults[:3]) + more)


def restore_weights(model: nn.Module, state: Mapping[str, Any], free: Collection[str] = ()) -> None:
    """Load weights into a model, all of them or none: no tensor keeps its initial values.

    ``state`` is as such a model's ``state_dict`` gave it; the tensors named in ``free`` may have any
    shape.

    Raises:
        OtherModel: If a tensor is missing, has another shape, or is none of the model's.
    """
    own = model.state_dict()
    faults = [
        _say_shapes(name, state.get(name), tensor.shape)
        for name, tensor in own.items()
        if name not in state or (name not in free and state[name].shape != tensor.shape)
    ]
    faults += [_say_shapes(name, value, None) for name, value in state.items() if name not in own]
    if faults:
        raise OtherModel(faults)
    model.load_state_dict(dict(state))


def _say_shapes(name: str, saved: Any, own: torch.Size | None) -> str:
    """Description of a mismatch: a tensor's shape in the file and in the model, if it is in both."""
    theirs = "is missing" if saved is None else f"has shape {tuple(getattr(saved, 'shape', ()))}"
    return f"{name} {theirs}, {'but there is none' if own is None else tuple(own)} here"


def _split(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """``state`` with every tensor replaced by null; the tensors are added to ``tensors``."""
    if isinstance(value, dict):
        return {str(key): _split(v, f"{name}/{key}", tensors) for key, v in value.items()}
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": True}
    return value


def _join(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if name in tensors:
            return tensors[name]
        return {key: _join(v, f"{name}/{key}", tensors) for key, v in value.items()}
    return value


def optimizer_state(optimizer: torch.optim.Optimizer) -> Nested:
    """An optimiser's state in a form that `save` accepts."""
    state = optimizer.state_dict()["state"]
    return {str(k): {n: v for n, v in entry.items() if v is not None} for k, entry in state.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, state: Nested) -> None:
    """Restore what `optimizer_state` returned; learning rates and decays of ``optimizer`` are kept.

    Moments get the memory layout of their parameter, because fused optimisers traverse both in memory
    order: with weights in channels-last layout, entries would be paired with the wrong moments.

    Raises:
        OtherModel: If a tensor has another shape than its parameter, or there is no such parameter.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, entry in state.items():
        own = parameters[int(key)].shape if int(key) < len(parameters) else None
        for name, value in entry.items():
            # Step counters are tensors without dimensions; all others have the shape of the parameter.
            if own is None or (isinstance(value, Tensor) and value.ndim and value.shape != own):
                faults = [_say_shapes(f"{name} of the optimizer's parameter {key}", value, own)]
                raise OtherModel(faults)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": {int(k): v for k, v in state.items()}, "param_groups": groups})
    for parameter, entry in optimizer.state.items():
        for name, value in entry.items():
            if torch.is_tensor(value) and value.shape == parameter.shape:
                entry[name] = torch.empty_like(parameter.detach(), dtype=value.dtype).copy_(value)
