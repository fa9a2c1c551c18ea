"""The umbrella command: collects the command groups of the four root folders."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer

# What the commands multiply is small: the threads of the linear algebra would only spin.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from duchenne import __version__
from duchenne.analysis.cli import app as analysis_app
from duchenne.protocols.cli import app as protocols_app
from duchenne.recorder.cli import app as recorder_app
from duchenne.recorder.sources.cli import app as sources_app
from duchenne.recorder.timing_command import timing
from duchenne.stimuli.cli import app as stimuli_app
from duchenne.stimuli.errors import DuchenneError

EXTRAS = {
    "av": "camera",
    "cv2": "camera",
    "cryptography": "study",
    "dask": "study",
    "distributed": "study",
    "duckdb": "study",
    "fastapi": "console",
    "plotly": "study",
    "uvicorn": "console",
    "websockets": "console",
    "psychopy": "lab",
    "PIL": "lab",
    "jinja2": "analysis",
    "matplotlib": "analysis",
    "mediapipe": "analysis",
    "onnx": "export",
    "onnxruntime": "analysis",
    "moderngl": "rendering",
    "ETDQualitizer": "analysis",
    "pyarrow": "analysis",
    "pymovements": "analysis",
    "scipy": "lab",
    "skimage": "lab",
    "torch": "analysis",
    "transformers": "analysis",
    "remodnav": "peers",
    "I2MC": "peers",
    "multimatch_gaze": "peers",
    "serial": "devices",
    "sounddevice": "devices",
    "tobii_research": "tobii",
}
"""Which extra brings a package that the core install does without."""

FULL = {errno.ENOSPC, errno.EDQUOT}
"""Errors of the system that say enough without a file."""

app = typer.Typer(
    name="duchenne",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Run emotion-induction experiments, record gaze and face on one clock, and measure what they did.",
    epilog="Start with: duchenne demo",
)
app.add_typer(recorder_app)
app.add_typer(analysis_app)
app.add_typer(stimuli_app, name="stimuli")
app.add_typer(protocols_app, name="protocol")
protocols_app.command(
    epilog="Example: duchenne protocol timing P01_session.h5 --camera",
)(timing)
app.add_typer(sources_app, name="sources")


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"duchenne {__version__}")
        raise typer.Exit


@app.callback()
def _umbrella(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; tell known problems in one line and exit 1 or 2."""
    try:
        app()
    except DuchenneError as error:
        sys.stderr.write(f"duchenne: {error}\n")
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        sys.stderr.write(f"duchenne: this needs {error.name}: pip install 'duchenne[{extra}]'\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("duchenne: interrupted\n")
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.filename is None and error.errno not in FULL:
            raise
        place = f"{error.filename}: " if error.filename is not None else ""
        sys.stderr.write(f"duchenne: {place}{error.strerror}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
