"""What `duchenne inspect` says of a session file: for people, and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from duchenne.recorder.findings import verdict_of
from duchenne.recorder.recorded_stream import damage_told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.recorder.certificate import StreamCertificate
    from duchenne.recorder.findings import Finding
    from duchenne.recorder.recording import Recording

COLOURS = {"ok": "green", "pass": "green", "note": "cyan", "warn": "yellow", "fail": "red"}
WIDTH = 100
MAX_GAPS = 5
FACTS = ("participant", "session", "task", "run")


def content_of(recording: Recording, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return everything that is known of a session, as plain values for JSON; NaN is None.

    Returns
    -------
    dict
        ``file``, ``verdict``, ``attributes``, ``streams`` (the certificates, and the type of each),
        ``calibrations`` and ``audit``.
    """
    with damage_told(recording.path):
        return _content_of(recording, findings)


def _content_of(recording: Recording, findings: Sequence[Finding]) -> dict[str, Any]:
    start = recording.start_lsl_s
    certificates = recording.certificate
    return {
        "file": str(recording.path),
        "verdict": verdict_of(findings),
        "attributes": {key: _plain(value) for key, value in recording.attrs.items()},
        "session_start_lsl_s": _plain(start),
        "streams": {
            key: {"type": stream.info.type, "n_samples": stream.n}
            | (certificates[key].to_json() if key in certificates else {})
            for key, stream in recording.streams.items()
        },
        "calibrations": [
            {"name": c.name, "end_lsl_s": _plain(c.end_lsl_s)} for c in recording.calibrations
        ],
        "audit": [{"level": f.level, "about": f.about, "what": f.what} for f in findings],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, np.ndarray)):
        return str(value)
    return None if isinstance(value, float) and not np.isfinite(value) else value


def page_console() -> Console:
    """Return a console on standard output; 100 columns wide where that is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def show(recording: Recording, findings: Sequence[Finding], console: Console) -> None:
    """Print a session: its labels, the streams, gaps, what was found, and the verdict."""
    with damage_told(recording.path):
        _show(recording, findings, console)


def _show(recording: Recording, findings: Sequence[Finding], console: Console) -> None:
    facts = [f"{name} {recording.attrs.get(name) or '–'}" for name in FACTS]
    console.print(Text(recording.path.name, style="bold"), soft_wrap=True)
    console.print(
        escape(f"{', '.join(facts)}; made {recording.attrs.get('created_utc') or '–'}"),
        highlight=False,
        soft_wrap=True,
    )
    console.print(stream_table(recording.certificate))
    for key, certificate in recording.certificate.items():
        _show_gaps(key, certificate, recording.start_lsl_s, console)
        _show_calibrations(key, certificate, recording, console)
    show_findings(findings, console)


def stream_table(certificates: dict[str, StreamCertificate]) -> Table:
    """Return the certificates as a table of less than 100 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("stream", max_width=16, overflow="ellipsis", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    headings = (
        "samples",
        "rate\nHz",
        "jitter\nms",
        "lost",
        "gaps",
        "longest\ngap s",
        "clock\n± ms",
        "drift\nppm",
        "device\nlag",
    )
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for key, value in certificates.items():
        colour = COLOURS[value.verdict]
        table.add_row(escape(key), f"[{colour}]{value.verdict}[/{colour}]", *_cells(value))
    return table


def _cells(value: StreamCertificate) -> tuple[str, ...]:
    regular = value.nominal_srate_hz > 0
    rate = f"{value.effective_srate_hz:.2f}/{value.nominal_srate_hz:g}" if regular else "irregular"
    lost = value.missing_samples if value.n_lost is None else value.n_lost
    known = np.isfinite(value.device_latency_s)
    return (
        str(value.n_samples),
        rate,
        f"{value.jitter_ms:.2f}" if regular else "–",
        str(lost) if regular or value.counter else "–",
        str(value.n_gaps),
        f"{value.longest_gap_s:.2f}" if value.n_gaps else "–",
        f"{value.offset_uncertainty_ms:.3f}" if value.n_offsets else "–",
        f"{value.drift_ppm:.1f}" if value.n_offsets else "–",
        f"{1e3 * value.device_latency_s:.0f} ms" if known else "unknown",
    )


def _show_gaps(
    key: str, certificate: StreamCertificate, start_lsl_s: float, console: Console
) -> None:
    longest = sorted(certificate.gaps, key=lambda gap: -gap.duration_s)[:MAX_GAPS]
    for gap in sorted(longest, key=lambda gap: gap.after_lsl_s):
        missing = f", {gap.missing} samples would fit in" if gap.missing else ""
        gone = "; the stream had gone and came back" if gap.reappearance else ""
        text = f"  {key}: gap of {gap.duration_s:.3f} s at {gap.after_lsl_s - start_lsl_s:.3f} s"
        console.print(escape(text + missing + gone), highlight=False, soft_wrap=True)
    if certificate.n_gaps > MAX_GAPS:
        text = f"  {key}: {certificate.n_gaps - MAX_GAPS} shorter gaps (--json lists them)"
        console.print(escape(text), highlight=False, soft_wrap=True)


def _show_calibrations(
    key: str, certificate: StreamCertificate, recording: Recording, console: Console
) -> None:
    if key not in recording.streams or recording.streams[key].info.type != "Gaze":
        return
    for number, part in enumerate(certificate.segments, start=1):
        which = f" segment {number}" if len(certificate.segments) > 1 else ""
        text = f"  {key}{which}: calibration {part.calibration}"
        console.print(escape(text), highlight=False, soft_wrap=True)


def show_findings(findings: Sequence[Finding], console: Console) -> None:
    """Print what was found, one line each, and the verdict as the last one."""
    for finding in findings:
        colour = COLOURS[finding.level]
        mark = f"[{colour}]{finding.level:4}[/{colour}]"
        console.print(f"{mark} {escape(finding.what)}", highlight=False, soft_wrap=True)
    verdict = verdict_of(findings)
    counts = {level: sum(f.level == level for f in findings) for level in ("fail", "warn")}
    words = [f"{n} {level}" for level, n in counts.items() if n]
    why = f": {', '.join(words)} of {len(findings)} checks" if words else ""
    colour = COLOURS[verdict]
    console.print(f"verdict [{colour}]{verdict}[/{colour}]{why}", highlight=False, soft_wrap=True)
