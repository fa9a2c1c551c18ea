"""Clocks that are shifted, drift, step and sleep: the alignment error against the truth, and pyxdf's."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pyxdf
from support.xdf_chunks import write_plain_xdf

from duchenne.recorder import derivation
from duchenne.recorder.certificate import StreamCertificate, certify
from duchenne.recorder.clock import ClockSettings, correct, fit_offsets
from duchenne.recorder.derivation import derive_times
from duchenne.recorder.streams import StreamInfo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    Offset = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


def probe(
    duration_s: float, offset: Offset, *, seed: int, congested: float = 0.1, start_s: float = 0.0
) -> npt.NDArray[np.float64]:
    """Measure a clock every 5 s over a network of 0.2 ms, on which some packets wait on one way."""
    rng = np.random.default_rng(seed)
    when = np.arange(start_s, start_s + duration_s, 5.0)
    when = when + rng.uniform(0, 0.2, when.size)
    there = 1e-4 + rng.exponential(5e-5, when.size)
    back = 1e-4 + rng.exponential(5e-5, when.size)
    there[rng.random(when.size) < congested] += rng.exponential(3e-3)
    return np.column_stack([when, offset(when) + (there - back) / 2, there + back])


@pytest.mark.parametrize("duration_s", [10.0, 30.0, 60.0, 600.0, 3 * 3600.0])
@pytest.mark.parametrize(("shift_s", "ppm"), [(1234.5, 50.0), (-77.0, -50.0), (1.7e9, 50.0)])
def test_shifted_and_drifting_senders_are_aligned_within_a_millisecond(
    duration_s: float, shift_s: float, ppm: float
) -> None:
    def offset(t):
        return shift_s + 1e-6 * ppm * t

    true = np.linspace(0, duration_s, 5000)
    for seed in range(5):
        fitted = fit_offsets(probe(duration_s, offset, seed=seed))
        assert len(fitted) == 1
        error = np.abs(correct(true - offset(true), fitted) - true)
        assert error.max() < (1e-3 if duration_s < 30 else 1e-4)


def test_two_senders_of_one_event_agree_within_a_millisecond() -> None:
    true = np.arange(0, 120, 1 / 250)
    senders = []
    for number, (shift_s, ppm) in enumerate([(1234.5, 50e-6), (-77.0, -50e-6)]):

        def offset(t, shift_s=shift_s, ppm=ppm):
            return shift_s + ppm * t

        measured = probe(120, offset, seed=number)
        times, method = derive_times(
            true - offset(true), measured, nominal_srate_hz=250.0, can_drop_samples=False
        )
        assert method == "clock offsets, dejittered"
        senders.append(times)
    assert np.abs(senders[0] - senders[1]).max() < 1e-4
    assert np.abs(senders[0] - true).max() < 1e-4


def test_a_drift_that_changes_with_the_temperature_is_followed() -> None:
    def offset(t):  # 3 ppm more each hour: a straight line would be 12 ms off
        return 5.0 + 1e-6 * t + 0.5 * 3e-6 / 3600 * t**2

    true = np.linspace(0, 3 * 3600, 5000)
    measured = probe(3 * 3600, offset, seed=3)
    error = correct(true - offset(true), fit_offsets(measured)) - true
    assert np.abs(error).max() < 1e-4
    straight = ClockSettings(bend_ppm=1e-6)
    error = correct(true - offset(true), fit_offsets(measured, straight)) - true
    assert np.abs(error).max() > 5e-3


@pytest.mark.parametrize("asleep_s", [0.03, 2.0, 3600.0])
def test_a_sender_that_slept_is_placed_again(asleep_s: float) -> None:
    """A clock that stood still while its machine slept: the offset grows by as long as it slept."""
    true = np.concatenate([np.arange(0, 61, 0.01), 61 + asleep_s + np.arange(0, 60, 0.01)])
    offset = np.where(true < 61, 3.0, 3.0 + asleep_s)

    def at(t):
        return np.where(t < 61, 3.0, 3.0 + asleep_s)

    measured = np.concatenate(
        [
            probe(60, at, seed=1, congested=0),
            probe(60, at, seed=2, congested=0, start_s=62 + asleep_s),
        ]
    )
    fitted = fit_offsets(measured)
    assert len(fitted) == 2
    starts = np.arange(0, true.size, 5)
    received = np.column_stack([starts, true[np.minimum(starts + 4, true.size - 1)] + 0.005])
    found = correct(true - offset, fitted, received)
    assert (np.abs(found - true) > 1e-3).sum() <= 5
    assert np.abs(found[[0, 100, -100, -1]] - true[[0, 100, -100, -1]]).max() < 1e-3


@pytest.mark.parametrize("step_s", [10.0, -10.0, 0.5])
def test_without_arrival_times_the_jump_of_the_stamps_divides_them(step_s: float) -> None:
    true = np.arange(0, 200, 0.01)
    offset = np.where(true < 98.3, 1.0, 1.0 - step_s)
    when = np.arange(0, 200, 5.0)
    fitted = fit_offsets(np.column_stack([when, np.where(when < 98.3, 1.0, 1.0 - step_s)]))
    np.testing.assert_allclose(correct(true - offset, fitted), true, atol=1e-6)


def test_a_last_measurement_that_is_nonsense_moves_no_sample() -> None:
    """An outlet that goes away while it is asked may leave one wrong offset behind (liblsl issue 246)."""
    true = np.arange(0, 100, 0.01)
    when = np.arange(0, 100, 5.0)
    offsets = np.full(when.size, 2.0)
    offsets[-1] = 812.0
    starts = np.arange(0, true.size, 5)
    received = np.column_stack([starts, true[starts + 4] + 0.004])
    found = correct(true - 2.0, fit_offsets(np.column_stack([when, offsets])), received)
    np.testing.assert_allclose(found, true, atol=1e-6)


def test_one_probe_and_probes_at_one_moment_give_a_constant() -> None:
    for rows in ([[5.0, 2.0, 1e-4]], [[5.0, 2.0, 1e-4]] * 3, [[5.0, 2.0, np.nan]]):
        np.testing.assert_allclose(
            correct(np.array([1.0, 9.0]), fit_offsets(np.array(rows))), [3, 11]
        )


def _pyxdf_times(path: Path, **options: object) -> npt.NDArray[np.float64]:
    logging.disable(logging.WARNING)
    try:
        ((stream,), _) = pyxdf.load_xdf(str(path), **options)
    finally:
        logging.disable(logging.NOTSET)
    return np.asarray(stream["time_stamps"])


def test_a_regular_stream_gets_the_times_that_pyxdf_gives_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    true = 1000 + np.arange(0, 300, 1 / 250)

    def offset(t):
        return -77.0 + 40e-6 * (t - 1000)

    measured = probe(300, offset, seed=5, congested=0, start_s=1000)
    stamps = true - offset(true) + rng.normal(0, 3e-4, true.size)
    theirs = _pyxdf_times(write_plain_xdf(tmp_path / "a.xdf", stamps, measured, srate_hz=250))
    ours, _ = derive_times(stamps, measured[:, :2], nominal_srate_hz=250, can_drop_samples=False)
    assert np.abs(ours - theirs).max() < 1e-4
    assert np.abs(ours - true).max() < 1e-4
    plain, _ = derive_times(
        stamps,
        measured[:, :2],
        nominal_srate_hz=250,
        can_drop_samples=False,
        settings=ClockSettings(smooth=False),
    )
    theirs = _pyxdf_times(tmp_path / "a.xdf", dejitter_timestamps=False)
    assert np.abs(plain - theirs).max() < 1e-4


def test_camera_stamps_stay_where_pyxdf_moves_them_by_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    true = np.concatenate([np.arange(300) / 30, 16 + np.arange(300) / 30])
    stamps = true + rng.normal(0, 1e-3, true.size)
    measured = np.column_stack([np.arange(0, 26, 5.0), np.zeros(6)])
    theirs = _pyxdf_times(write_plain_xdf(tmp_path / "c.xdf", stamps, measured, srate_hz=30))
    ours, method = derive_times(stamps, measured, nominal_srate_hz=30, can_drop_samples=True)
    assert method == "clock offsets"
    np.testing.assert_allclose(ours, stamps, atol=1e-9)
    assert np.abs(theirs - true).max() > 2.0
    forced, _ = derive_times(
        stamps,
        measured,
        nominal_srate_hz=30,
        can_drop_samples=True,
        settings=ClockSettings(smooth=True),
    )
    assert np.abs(forced - true).max() < 5e-3


def test_the_method_says_what_was_done() -> None:
    true = np.arange(0, 60, 1 / 250)
    stamps = true + np.random.default_rng(4).normal(0, 2e-4, true.size)
    measured = probe(60, lambda t: np.full(t.shape, 3.0), seed=1)

    def method(stamps: Any, measured: Any, rate_hz: float, *, can_drop: bool = False) -> str:
        return derive_times(stamps, measured, nominal_srate_hz=rate_hz, can_drop_samples=can_drop)[
            1
        ]

    unmeasured = "stamps as received: the clock offset was never measured"
    assert method(stamps, measured, 250.0) == "clock offsets, dejittered"
    assert method(stamps, measured, 0.0) == "clock offsets"
    assert method(stamps, measured, 250.0, can_drop=True) == "clock offsets"
    assert method(stamps[:50], measured, 250.0) == "clock offsets"
    assert method(stamps, np.zeros((0, 3)), 0.0) == unmeasured
    assert method(stamps, np.zeros((0, 3)), 250.0) == f"{unmeasured}, dejittered"
    assert method(np.zeros(0), measured, 250.0) == "clock offsets"
    lossy = np.delete(stamps, np.arange(7500, 15000, 7))
    told = method(lossy, measured, 250.0)
    assert told.startswith("clock offsets, dejittered in part (")


def test_a_long_stream_is_derived_and_certified_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    true = np.arange(0, 120, 1 / 250)
    stamps = true - 1234.5 + rng.normal(0, 5e-4, true.size)
    stamps[[100, 20_000]] = np.nan
    stamps = np.delete(stamps, np.arange(9000, 9500))
    starts = (0, 9000, 25_000)
    measured = probe(120, lambda t: np.full(t.shape, 1234.5), seed=1)
    info = StreamInfo("EEG", "EEG", nominal_srate_hz=250.0)

    def derived() -> tuple[Any, str, StreamCertificate]:
        times, method = derive_times(
            stamps, measured, nominal_srate_hz=250, can_drop_samples=False, starts=starts
        )
        return times, method, certify(info, stamps, measured, times_s=times, starts=starts)

    times, method, certificate = derived()
    monkeypatch.setattr(derivation, "BLOCK_SAMPLES", 4001)
    in_pieces, same_method, same = derived()
    assert method == same_method
    np.testing.assert_allclose(in_pieces, times, atol=1e-4)
    assert same.n_gaps == certificate.n_gaps == 4  # 2 s, two of one NaN, the second return
    for field in ("n_nonfinite", "missing_samples", "n_backwards", "n_segments"):
        assert getattr(same, field) == getattr(certificate, field), field
    for ours, theirs in zip(same.segments, certificate.segments, strict=True):
        assert (ours.start_index, ours.n_samples) == (theirs.start_index, theirs.n_samples)
        assert ours.first_lsl_s == pytest.approx(theirs.first_lsl_s, abs=1e-3)
        assert ours.last_lsl_s == pytest.approx(theirs.last_lsl_s, abs=1e-3)
    assert same.jitter_ms == pytest.approx(certificate.jitter_ms, rel=0.02)
    assert same.effective_srate_hz == pytest.approx(certificate.effective_srate_hz, rel=1e-5)


def test_stamps_around_a_step_are_divided_by_their_order_where_arrivals_are_unknown() -> None:
    when = np.arange(0, 100, 5.0)
    offsets = np.where(when < 48, 5.0, 2.0)
    true = np.arange(0, 95, 0.1)
    stamps = true - np.where(true < 47, 5.0, 2.0)
    fits = fit_offsets(np.column_stack([when, offsets]))
    unknown = np.column_stack([np.arange(0, true.size, 10), np.zeros(95)])
    np.testing.assert_allclose(correct(stamps, fits, unknown), true, atol=1e-6)
