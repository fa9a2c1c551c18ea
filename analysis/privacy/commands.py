"""The commands of privacy: encrypt, decrypt, forget, consent, participants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.privacy.consent_command import CONSENT_EPILOG, consent
from duchenne.analysis.privacy.encrypt_command import (
    DECRYPT_EPILOG,
    ENCRYPT_EPILOG,
    decrypt,
    encrypt,
)
from duchenne.analysis.privacy.forget_command import FORGET_EPILOG, forget
from duchenne.analysis.privacy.participants_command import PARTICIPANTS_EPILOG, participants

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(epilog=CONSENT_EPILOG)(consent)
    app.command(epilog=PARTICIPANTS_EPILOG)(participants)
    app.command(epilog=ENCRYPT_EPILOG)(encrypt)
    app.command(epilog=DECRYPT_EPILOG)(decrypt)
    app.command(epilog=FORGET_EPILOG)(forget)
