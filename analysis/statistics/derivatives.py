"""Numerical derivatives, which give a mixed model its degrees of freedom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from duchenne.analysis.statistics.types import FloatArray

STEP = 1e-3
"""Relative step."""


def gradient(function: Callable[[FloatArray], float], at: FloatArray) -> FloatArray:
    """Return the first derivatives of a function of several variables, none of them 0: (n,) float64."""
    result = np.empty(len(at))
    for i, step in enumerate(np.abs(at) * STEP):
        shift = np.zeros(len(at))
        shift[i] = step
        result[i] = (function(at + shift) - function(at - shift)) / (2 * step)
    return result


def hessian(function: Callable[[FloatArray], float], at: FloatArray) -> FloatArray:
    """Return the second derivatives of a function of several variables, none of them 0: (n, n) float64."""
    n, steps = len(at), np.abs(at) * STEP * 10
    middle = function(at)
    result = np.empty((n, n))
    for i in range(n):
        for j in range(i + 1):
            a, b = np.zeros(n), np.zeros(n)
            a[i], b[j] = steps[i], steps[j]
            if i == j:
                second = (function(at + a) - 2 * middle + function(at - a)) / steps[i] ** 2
            else:
                second = (
                    function(at + a + b)
                    - function(at + a - b)
                    - function(at - a + b)
                    + function(at - a - b)
                ) / (4 * steps[i] * steps[j])
            result[i, j] = result[j, i] = second
    return result
