"""Test that the library agrees with the code that a chapter has just written out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def assert_same(ours: Callable[..., Tensor], library: Callable[..., Tensor], *inputs: Tensor) -> None:
    """Check that two functions of ``inputs`` agree in value and in gradient, and print the result.

    Both get the same inputs, floating point tensors, and the same random numbers. Gradients are those of
    a random weighting of the outputs, so that no error in a single entry is missed.

    Raises:
        AssertionError: If a value or a gradient differs.
    """
    inputs = tuple(value.detach().clone().requires_grad_() for value in inputs)
    outputs = []
    with torch.random.fork_rng():
        for function in (ours, library):
            torch.manual_seed(0)
            out = function(*inputs)
            outputs.append(torch.view_as_real(out) if out.is_complex() else out)
        weight = torch.randn_like(outputs[0])
    torch.testing.assert_close(*outputs)
    gradients = [torch.autograd.grad((out * weight).sum(), inputs) for out in outputs]
    torch.testing.assert_close(*gradients)
    print(f"equal in value {tuple(outputs[0].shape)} and in gradient")
