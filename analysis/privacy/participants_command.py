"""The command ``duchenne participants``: the key table, outside the study."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- typer reads the annotations
from typing import Annotated

import typer

from duchenne.analysis.privacy.encrypt_command import passphrases
from duchenne.stimuli.errors import UsageError

PARTICIPANTS_EPILOG = (
    'Example: duchenne participants /media/stick/who.tsv --add P07 --identity "A. Example"'
)


def participants(
    table: Annotated[
        Path, typer.Argument(metavar="KEYTABLE", help="File outside every study; made if missing.")
    ],
    *,
    add: Annotated[str | None, typer.Option(metavar="LABEL", help="A label to note.")] = None,
    identity: Annotated[str | None, typer.Option(help="Who that is; asked for if missing.")] = None,
    remove: Annotated[str | None, typer.Option(metavar="LABEL", help="A label to remove.")] = None,
    study: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A study it must not lie in.")
    ] = None,
    passphrase: Annotated[
        bool,
        typer.Option("--passphrase", help="Lock it with a passphrase (else DUCHENNE_PASSPHRASE)."),
    ] = False,
) -> None:
    """Keep who is behind each label in a file outside the study, locked with a passphrase if you like.

    Without --add and --remove it is shown.
    """
    from duchenne.analysis.privacy.key_table import KeyTable  # noqa: PLC0415
    from duchenne.analysis.privacy.places import refuse_inside_study  # noqa: PLC0415
    from duchenne.recorder.label_check import label_warning  # noqa: PLC0415

    refuse_inside_study(table, "a key table", [study] if study else [])
    if add and remove:
        raise UsageError("--add and --remove: one at a time.")
    told, lock = passphrases(table, ask=passphrase)
    keys = KeyTable.read(table, told)
    if not add and not remove:
        for label, person in sorted(keys.people.items()):
            typer.echo(f"{label}\t{person.identity}\t{person.added}")
        typer.echo(f"{len(keys.people)} labels: {table}")
        return
    if add:
        warning = label_warning(add)
        if warning:
            typer.echo(warning, err=True)
        who = identity or str(typer.prompt(f"Who is {add}", err=True))
        keys = keys.having(add, who)
    else:
        keys = keys.without(str(remove))
    keys.write(lock)
    typer.echo(f"{add or remove} {'noted' if add else 'removed'}: {table}")
