"""Commands of ``stimuli/``: look at stimulus sets, import, check, measure, compare and match them."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.manifest import StimulusSet
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from duchenne.stimuli.compare import Comparison

PLAIN_WIDTH = 140
"""Columns of a table that is not written to a terminal."""

ManifestArgument = Annotated[str, typer.Argument(help="A manifest.tsv or its folder.")]
PLENTY = 12
"""Notes shown on the terminal; all of them go to a file."""

app = typer.Typer(
    no_args_is_help=True,
    help="Import, check, measure, compare and match stimulus sets.",
    epilog="Example: duchenne stimuli check my-pictures/manifest.tsv",
)


@app.command("list", epilog="Example: duchenne stimuli list my-pictures/manifest.tsv")
def list_(
    manifest: Annotated[
        str | None,
        typer.Argument(help="A manifest.tsv or its folder; the bundled set by default."),
    ] = None,
) -> None:
    """Show the stimuli of a set with their norms."""
    stimuli = StimulusSet.bundled() if manifest is None else StimulusSet.load(manifest)
    _print_table(_table(stimuli))
    typer.echo(f"{len(stimuli)} stimuli in {stimuli.folder}")


@app.command(epilog="Example: duchenne stimuli check my-pictures/manifest.tsv")
def check(
    manifest: ManifestArgument,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Take notes (variable frame rate, no sound) for problems."),
    ] = False,
) -> None:
    """Check the manifest and every file of a set; exit 1 if anything is wrong."""
    from rich.progress import track

    from duchenne.stimuli.checks import media_notes, media_problems
    from duchenne.stimuli.reading import empty_categories, manifest_file, read_manifest

    found = read_manifest(Path(manifest))
    problems = [*found.problems, *empty_categories(found, manifest_file(Path(manifest)))]
    notes = []
    faulty = {problem.id for problem in problems}
    for stimulus in track(
        found.stimuli, description="Checking", transient=True, disable=not sys.stdout.isatty()
    ):
        if stimulus.id not in faulty:
            wrong = media_problems([stimulus])
            problems += wrong
            notes += [] if wrong else media_notes([stimulus])
    if strict:
        problems += notes
    else:
        for note in notes:
            typer.echo(f"note: {note}; sessions with it are refused", err=True)
    if problems:
        for problem in problems:
            typer.echo(str(problem), err=True)
        noun = "problem" if len(problems) == 1 else "problems"
        raise DuchenneError(f"{len(problems)} {noun} in {found.folder}; correct the lines above")
    typer.echo(f"{len(found.stimuli)} stimuli are in order in {found.folder}")


@app.command("import", epilog="Example: duchenne stimuli import oasis my-oasis --neutral-zone 0.2")
def import_(
    database: Annotated[
        str,
        typer.Argument(
            help="bass deap emdb filmstim gaped iaps kdef naps oasis rafd, or csv for any table."
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="Your copy of the database.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the set; FOLDER itself by default.")
    ] = None,
    norms: Annotated[
        Path | None, typer.Option("--norms", help="Table of norms; looked for by default.")
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", help="NAME=COLUMN: which column of the table holds what; repeat."),
    ] = None,
    sample: Annotated[
        str,
        typer.Option(
            "--sample", help="Whose norms: us, ch (bass); men, women (oasis); male, female (iaps)."
        ),
    ] = "",
    category: Annotated[
        str | None,
        typer.Option("--category", help="Column that is the category, instead of the quadrant."),
    ] = None,
    neutral_zone: Annotated[
        float,
        typer.Option(
            "--neutral-zone", min=0.0, max=0.9, help="Half-width of 'neutral' on [-1, 1]; 0: none."
        ),
    ] = 0.0,
    scale: Annotated[
        tuple[float, float] | None, typer.Option("--scale", help="Ends of the norms' scale (csv).")
    ] = None,
    redistributable: Annotated[
        bool | None,
        typer.Option("--redistributable/--not-redistributable", help="What your licence says."),
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the media files to --out.")] = False,
    link: Annotated[
        bool, typer.Option("--link", help="Hard-link the media files to --out.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a manifest (kept as .bak).")
    ] = False,
) -> None:
    """Turn a folder that you have into a stimulus set with norms and licence notes."""
    from duchenne.stimuli.databases.building import NOTES_FILE, import_set
    from duchenne.stimuli.databases.cells import Cells

    if copy and link:
        raise UsageError("--copy or --link, not both")
    columns = {}
    for pair in map_ or ():
        name, equals, column = pair.partition("=")
        if not (name and equals and column):
            raise UsageError(f"--map {pair}: write NAME=COLUMN")
        columns[name.strip()] = column.strip()
    done = import_set(
        database,
        folder,
        out=out,
        norms=norms,
        columns=columns,
        sample=sample,
        cells=Cells(category, neutral_zone),
        files="copy" if copy else "link" if link else "in place",
        scale=scale,
        redistributable=redistributable,
        replace=replace,
        progress=sys.stdout.isatty(),
    )
    _print_notes(done.notes, done.manifest.with_name(NOTES_FILE))
    counts: dict[str, int] = {}
    for row in done.rows:
        counts[row["category"]] = counts.get(row["category"], 0) + 1
    typer.echo(", ".join(f"{name} {n}" for name, n in counts.items()))
    typer.echo(f"{len(done.rows)} stimuli written to {done.manifest}")


@app.command(epilog="Example: duchenne stimuli measure my-pictures --write")
def measure(
    manifest: ManifestArgument,
    write: Annotated[
        bool,
        typer.Option("--write", help="Also put the measures into the manifest (kept as .bak)."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Table; measures.tsv beside the manifest by default."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, max=64, help="Threads; all processors by default."),
    ] = None,
    monitor_gamma: Annotated[
        float | None, typer.Option("--monitor-gamma", help="Exponent of your monitor.")
    ] = None,
    peak_cd_m2: Annotated[
        float | None, typer.Option("--peak-cd-m2", help="Luminance of its white, cd/m².")
    ] = None,
    black_cd_m2: Annotated[
        float, typer.Option("--black-cd-m2", help="Luminance of its black, cd/m².")
    ] = 0.0,
    pixels_per_degree: Annotated[
        float | None,
        typer.Option("--pixels-per-degree", min=1.0, help="Of the pictures as shown."),
    ] = None,
    no_faces: Annotated[bool, typer.Option("--no-faces", help="Do not look for faces.")] = False,
) -> None:
    """Measure luminance, contrast, colour, spectrum and faces; of films also motion, cuts, loudness."""
    from functools import partial

    from rich.progress import track

    from duchenne.stimuli.display_profile import Monitor
    from duchenne.stimuli.measures_set import (
        measure_one,
        measure_set,
        measures_table,
        merge,
        write_frames,
    )
    from duchenne.stimuli.writing import write_text

    if (monitor_gamma is None) != (peak_cd_m2 is None):
        raise UsageError("--monitor-gamma and --peak-cd-m2 belong together; give both")
    monitor = None
    if monitor_gamma is not None and peak_cd_m2 is not None:
        monitor = Monitor(monitor_gamma, peak_cd_m2, black_cd_m2)
    stimuli = StimulusSet.load(manifest)
    one = partial(
        measure_one, monitor=monitor, pixels_per_degree=pixels_per_degree, faces=not no_faces
    )
    done = []
    for found in track(
        measure_set(stimuli.stimuli, one, workers),
        description="Measuring",
        total=len(stimuli),
        transient=True,
        disable=not sys.stdout.isatty(),
    ):
        if found.problem is not None:
            typer.echo(f"not measured: {found.problem}", err=True)
        write_frames(out.parent if out else stimuli.folder, found)
        done.append(dataclasses.replace(found, frames={}))
    if all(m.problem for m in done):
        raise DuchenneError(f"{stimuli.folder}: no stimulus could be measured")
    text, codebook = measures_table(done)
    table = out or stimuli.folder / "measures.tsv"
    write_text(table, text)
    write_text(
        table.with_suffix(".json"), json.dumps(codebook, indent=2, ensure_ascii=False) + "\n"
    )
    if write:
        settings = {"PixelsPerDegree": pixels_per_degree, "MonitorGamma": monitor_gamma}
        settings |= {"PeakCdM2": peak_cd_m2, "BlackCdM2": black_cd_m2 if monitor else None}
        merge(Path(manifest), done, settings)
        typer.echo(f"measures put into {stimuli.folder / 'manifest.tsv'}")
    failed = sum(m.problem is not None for m in done)
    left = f" ({failed} could not be measured)" if failed else ""
    typer.echo(f"{len(done) - failed} stimuli measured{left}: {table}")


@app.command(epilog="Example: duchenne stimuli compare my-pictures --strict")
def compare(
    manifest: ManifestArgument,
    by: Annotated[str, typer.Option("--by", help="Column that makes the groups.")] = "category",
    on: Annotated[
        str, typer.Option("--on", help="Measures, with commas between; all by default.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 if there is a confound.")
    ] = False,
) -> None:
    """Compare categories on low-level measures and warn where they differ."""
    from duchenne.stimuli.compare import compare as compare_categories
    from duchenne.stimuli.reading import read_cells

    stimuli = StimulusSet.load(manifest)
    groups = None
    if by != "category":
        _, rows = read_cells(Path(manifest))
        if by not in rows[0]:
            raise UsageError(f"--by {by}: no such column{did_you_mean(by, rows[0])}")
        groups = {row["id"]: row[by] for row in rows}
    names = [name.strip() for name in on.split(",") if name.strip()] or None
    found = compare_categories(stimuli.stimuli, on=names, groups=groups)
    confounds = [c for c in found if c.verdict == "confound"]
    if as_json:
        typer.echo(json.dumps([c.to_dict() for c in found], indent=2, ensure_ascii=False))
    else:
        _print_table(_comparison_table(found))
        for c in confounds:
            typer.echo(f"confound: {c.sentence}")
        watch = sum(c.verdict == "watch" for c in found)
        typer.echo(
            f"{len(confounds)} of {len(found)} measures are confounded with {by}"
            + (f", {watch} more could be" if watch else "")
        )
    if strict and confounds:
        raise DuchenneError(
            f"{len(confounds)} measures are confounded with {by} (first: "
            f"{confounds[0].measure}); draw "
            "matched stimuli (select: match) or match the pictures (duchenne stimuli match)"
        )


@app.command(
    epilog="Example: duchenne stimuli match my-pictures --out matched --on luminance,contrast"
)
def match(
    manifest: ManifestArgument,
    out: Annotated[Path, typer.Option("--out", help="Folder of the new set.")],
    on: Annotated[
        str,
        typer.Option("--on", help="luminance contrast histogram spectrum, with commas between."),
    ] = "luminance,contrast",
    grey: Annotated[bool, typer.Option("--grey", help="Write grey pictures.")] = False,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, max=50, help="Alternations of spectrum and the rest.")
    ] = 5,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a manifest (kept as .bak).")
    ] = False,
) -> None:
    """Write the pictures of a set anew, alike in luminance, contrast, histogram or spectrum."""
    from duchenne.stimuli.match_set import aspects, match_set

    names = aspects([name.strip() for name in on.split(",") if name.strip()])
    done = match_set(
        StimulusSet.load(manifest),
        out,
        names,
        grey=grey,
        rounds=rounds,
        replace=replace,
        progress=sys.stdout.isatty(),
    )
    cut = {name: share for name, share in done.clipped.items() if share > 0.001}
    if cut:
        worst = max(cut, key=lambda name: cut[name])
        typer.echo(
            f"note: {len(cut)} pictures lost light or shade at the ends of the range, most {worst} "
            f"({100 * cut[worst]:.1f} % of its pixels)",
            err=True,
        )
    if done.left_out:
        typer.echo(f"note: {len(done.left_out)} films, sounds and texts were left out", err=True)
    typer.echo("note: norms were obtained with the originals, not with these pictures", err=True)
    typer.echo(f"{len(done.clipped)} pictures matched on {', '.join(names)}: {done.manifest}")


def _print_notes(notes: Sequence[str], file: Path) -> None:
    """Show the first notes; write them all to a file where there are more."""
    for note in notes[:PLENTY]:
        typer.echo(f"note: {note}", err=True)
    if len(notes) > PLENTY:
        file.write_text("\n".join(notes) + "\n", encoding="utf-8")
        typer.echo(f"note: and {len(notes) - PLENTY} more, all in {file}", err=True)


def _comparison_table(found: Sequence[Comparison]) -> Table:
    from rich.table import Table

    names = list(dict.fromkeys(cell.name for c in found for cell in c.cells))
    table = Table(title="Low-level measures by category: mean (standard deviation)")
    table.add_column("measure", no_wrap=True)
    for name in ("verdict", "eta²", "90 % interval", "largest |d|", *names):
        table.add_column(name, justify="right", no_wrap=True)
    for c in found:
        if c.verdict == "constant":
            continue
        cells = {cell.name: f"{cell.mean:.3g} ({cell.sd:.2g})" for cell in c.cells}
        interval = f"{c.eta2_low:.2f} to {c.eta2_high:.2f}"
        effect = (c.verdict, f"{c.eta2:.2f}", interval, f"{abs(c.pairs[0].d):.2f}")
        table.add_row(c.measure, *effect, *(cells.get(name, "n/a") for name in names))
    return table


def _table(stimuli: StimulusSet) -> Table:
    from rich.table import Table

    table = Table(title=stimuli.name)
    for name in ("id", "kind", "category"):
        table.add_column(name, no_wrap=True)
    for name in ("valence", "arousal", "scale", "seconds", "luminance"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("licence", no_wrap=True)
    table.add_column("file")
    for s in stimuli:
        scale = "" if s.norm_min is None or s.norm_max is None else f"{s.norm_min:g}–{s.norm_max:g}"
        numbers = [_shown(v) for v in (s.valence, s.arousal)]
        facts = [_shown(v) for v in (s.duration_s, s.luminance)]
        table.add_row(s.id, s.kind, s.category, *numbers, scale, *facts, s.licence or "", s.file)
    return table


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _print_table(table: Table) -> None:
    from rich.console import Console

    console = Console()
    (console if console.is_terminal else Console(width=PLAIN_WIDTH)).print(table)
