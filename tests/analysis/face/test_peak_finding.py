"""The same peaks as scipy's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import signal

from duchenne.analysis.face.peak_finding import find_peaks, peak_ends


@pytest.mark.parametrize("wlen", [2, 3, 9, 30, 500])
@pytest.mark.parametrize("seed", range(6))
def test_as_scipy(seed, wlen):
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.normal(size=300)) if seed % 2 else rng.integers(0, 5, 300).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, about = signal.find_peaks(values, prominence=0.8, wlen=wlen)
    ours, found = find_peaks(values, prominence=0.8, wlen=wlen)
    assert ours.tolist() == theirs.tolist()
    kept = ("prominences", "left_bases", "right_bases")
    for name, values_found in zip(kept, found, strict=True):
        np.testing.assert_allclose(values_found, about[name])
    for rel_height in (0.5, 0.9, 1.0):
        data = tuple(about[name] for name in kept)
        _, _, left, right = signal.peak_widths(
            values, theirs, rel_height=rel_height, prominence_data=data
        )
        ends = peak_ends(values, ours, rel_height=rel_height, prominence_data=data)
        np.testing.assert_allclose(ends[0], left)
        np.testing.assert_allclose(ends[1], right)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [3.0, 3.0, 3.0], [1.0, 2.0, 3.0]])
def test_no_peaks(values):
    peaks, about = find_peaks(np.array(values), prominence=0.1, wlen=5)
    assert [len(values) for values in (peaks, *about)] == [0] * 4
