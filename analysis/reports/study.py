"""The report of a study: a single HTML file that needs nothing else."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from duchenne.analysis.reports.charts_live import charts_json, plotly_script
from duchenne.analysis.reports.charts_still import chart_uri
from duchenne.analysis.reports.colours import category_colours
from duchenne.analysis.reports.consent import consent_of, notice
from duchenne.analysis.reports.data import backend_of
from duchenne.analysis.reports.exclusion_flow import exclusion_flow
from duchenne.analysis.reports.group_curves import gather, strongest_measures
from duchenne.analysis.reports.likeness import likeness_tables
from duchenne.analysis.reports.methods import methods_of
from duchenne.analysis.reports.multiverse_view import multiverse_figures, summary_said
from duchenne.analysis.reports.people import quality_lines, session_rows
from duchenne.analysis.reports.profile import au_profile, prototype_profile
from duchenne.analysis.reports.ratings_view import rating_checks, ratings_uri
from duchenne.analysis.reports.rendering import Fact, render
from duchenne.analysis.reports.session import NOTE
from duchenne.analysis.reports.statistics_view import (
    contrast_rows,
    curve_figures,
    curve_notes,
    forest_reach,
)
from duchenne.analysis.reports.strips import study_strips
from duchenne.analysis.reports.study_curves import (
    MOST_STIMULI,
    N_AUS,
    category_chart,
    chosen_stimuli,
    group_cards,
)
from duchenne.analysis.reports.study_data import StudyData
from duchenne.analysis.tables import replacing
from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from duchenne.analysis.reports.charts import Chart
    from duchenne.analysis.reports.strips import Strip
    from duchenne.analysis.statistics.results import StudyStatistics

    Progress = Callable[[str, int, int], None]

REPORT = "report.html"
CATEGORY_IN = (12.0, 6.0)
MOST_SESSION_ROWS = 400


def write_study_report(
    study: Path, out: Path | None = None, *, progress: Progress | None = None
) -> Path:
    """Draw the report of a study from its tables and write it as ``report.html`` beside them.

    Parameters
    ----------
    study : Path
        Folder of the study.
    out : Path, optional
        Folder of the results, where they are not in ``STUDY/derivatives/duchenne``.
    progress : callable, optional
        Called with the name of the stage, what is done, and how much there is.

    Raises
    ------
    DuchenneError
        If nothing was analysed, a table cannot be read, or the report cannot be written.
    """
    data = StudyData.read(study, out)
    path = data.root / REPORT
    html = study_report(data, study, statistics=statistics_of(data.root), progress=progress)
    with replacing(path) as aside:
        aside.write_text(html, encoding="utf-8", errors="replace")
    return path


def study_report(
    data: StudyData,
    study: Path,
    *,
    statistics: StudyStatistics | None = None,
    progress: Progress | None = None,
) -> str:
    """Return the report of a study as HTML; see `write_study_report`."""
    tell = progress or (lambda _stage, _done, _total: None)
    consents = [consent_of(session) for session in data.sessions]
    colours = category_colours(data.categories)
    aus = strongest_measures(data.used, N_AUS)
    unreadable = list(data.unreadable)
    gathered = gather(data, aus, lambda done, total: tell("curves", done, total), unreadable)
    tell("report", 0, 3)
    cards = group_cards(data, gathered, _strips(data), colours, aus)
    tell("report", 1, 3)
    categories = category_chart(data, gathered, colours, aus)
    curves = curve_figures(statistics) if statistics else []
    charts: dict[str, Chart] = {
        f"s{i}": card.chart for i, card in enumerate(cards, 1) if card.chart is not None
    }
    charts |= {f"c{i}": curve.chart for i, curve in enumerate(curves, 1)}
    if categories:
        charts["categories"] = categories
    tell("report", 2, 3)
    html = render(
        "study.html",
        charts=charts_json(charts),
        plotly=plotly_script() if charts else None,
        title=data.name,
        facts=_facts(data),
        problems=[line for line in (notice(consents), *_problems(data, unreadable)) if line],
        sessions=session_rows(data, data.root, consents)[:MOST_SESSION_ROWS],
        n_sessions=len(data.sessions),
        quality=quality_lines(data),
        flow=exclusion_flow(data),
        ratings=rating_checks(data),
        ratings_figure=ratings_uri(data, colours),
        norms=_norm_rows(statistics),
        profile=au_profile(data),
        prototypes=prototype_profile(data),
        categories=categories,
        categories_still=chart_uri(categories, CATEGORY_IN, legend_columns=6)
        if categories
        else None,
        colours=colours,
        cards=cards,
        n_stimuli=int(data.summary["stimulus_id"].nunique()),
        most_stimuli=MOST_STIMULI,
        statistics=statistics,
        contrasts=contrast_rows(statistics) if statistics else [],
        reach=forest_reach(statistics) if statistics else 1.0,
        curves=curves,
        curve_notes=curve_notes(statistics) if statistics else [],
        multiverse=multiverse_figures(statistics) if statistics else [],
        multiverse_said=[
            f"{one.contrast}: {summary_said(one)}" for one in statistics.multiverse_summary
        ]
        if statistics
        else [],
        likeness=likeness_tables(data),
        methods=methods_of(data, study, statistics),
        note=NOTE,
    )
    tell("report", 3, 3)
    return html


def statistics_of(root: Path) -> StudyStatistics | None:
    """Return the contrasts and curves that were computed; None where nothing was."""
    from duchenne.analysis.statistics.study import read_statistics  # noqa: PLC0415 (heavy)

    return read_statistics(root)


def _strips(data: StudyData) -> dict[str, Strip]:
    with ExitStack() as stack:

        def recordings() -> Iterator[Recording]:
            seen: set[str] = set()
            for session in data.sessions:
                own = set(data.summary.loc[_rows_of(data, session.participant), "stimulus_id"])
                if session.file is None or not session.counted or own <= seen:
                    continue
                try:
                    recording = stack.enter_context(Recording.open(session.file))
                except DuchenneError:
                    continue
                seen |= own
                yield recording

        return study_strips(recordings(), set(chosen_stimuli(data.summary)))


def _rows_of(data: StudyData, participant: str) -> Any:
    return data.summary["participant"].astype(str) == participant


def _facts(data: StudyData) -> list[Fact]:
    used = data.used
    excluded = len(data.summary) - len(used)
    return [
        Fact("Participants", str(len(data.participants))),
        Fact("Sessions", f"{len(data.sessions)} analysed"),
        Fact("Stimuli", str(data.summary["stimulus_id"].nunique())),
        Fact("Presentations", f"{len(data.summary)}, {excluded} excluded"),
        Fact("Participants used", str(used["participant"].nunique())),
    ]


def _problems(data: StudyData, unreadable: list[str]) -> list[str]:
    """Return what a reader must know before anything else."""
    said = [f"Left out, as its results cannot be read: {one}." for one in unreadable[:5]]
    if len(unreadable) > 5:
        said.append(f"{len(unreadable) - 5} more sessions cannot be read.")
    if data.not_analyzed:
        shown = ", ".join(data.not_analyzed[:5]) + (" …" if len(data.not_analyzed) > 5 else "")
        said.append(f"{len(data.not_analyzed)} recorded sessions have no results: {shown}.")
    if len(data.participants) == 1:
        said.append(
            "One participant: means over participants are that participant's, without intervals."
        )
    backends = {
        backend_of(one.provenance.get("configuration", {})) for one in data.sessions if one.counted
    } - {""}
    if len(backends) > 1:
        said.append(
            f"Action Units were measured by different backends ({', '.join(sorted(backends))}): analyze all "
            "sessions again with one of them."
        )
    versions = {
        str(one.provenance.get("software", {}).get("duchenne"))
        for one in data.sessions
        if one.counted
    }
    if len(versions) > 1:
        said.append(
            f"Sessions were analysed with different versions ({', '.join(sorted(versions))})."
        )
    protocols = {
        str(one.provenance.get("protocol", {}).get("sha256"))
        for one in data.sessions
        if one.counted
    }
    if len(protocols) > 1:
        said.append(
            f"The protocol changed within the study: {len(protocols)} versions of it were run."
        )
    return said


def _norm_rows(statistics: StudyStatistics | None) -> list[str]:
    """Return which participants' ratings do not follow the norms, in words."""
    if not statistics:
        return []
    return [
        f"{one.participant}: {one.rating} ratings do not follow the norms of the stimuli"
        + (f" ({one.note})" if one.note else f" (r = {one.correlation_with_norm:.2f})")
        for one in statistics.manipulation_participants
        if one.follows_norm is False
    ]
