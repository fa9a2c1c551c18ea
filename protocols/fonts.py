"""Which font file draws a text: the declared one, PsychoPy's own, or one of the system's.

A text is drawn in one font that has all of its characters. PsychoPy brings Noto Sans (Latin, Greek,
Cyrillic); Arabic, Hebrew, Chinese, Japanese, Korean and others need a font of the system.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator

SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
PREFERRED = (
    "NotoSansArabic", "NotoSansHebrew", "NotoSansCJK", "NotoSans", "DejaVuSans", "SegoeUI", "segoeui",
    "Arial", "arial", "Tahoma", "tahoma", "msyh", "meiryo", "YuGoth", "malgun", "PingFang", "Hiragino",
    "AppleSDGothic", "GeezaPro", "WenQuanYi", "wqy", "DroidSansFallback", "Unifont", "LiberationSans",
)  # fmt: skip
_UNWANTED = ("italic", "oblique", "bold", "light", "thin", "condensed", "narrow", "mono", "black")


@lru_cache(maxsize=256)
def font_for(text: str, font: str | None = None, *, bold: bool = False) -> Path:
    """Return the file of a font that has all characters of a text.

    Parameters
    ----------
    text : str
        What will be drawn; spaces and control characters need no glyph.
    font : str, optional
        File, or part of the file name, of the font that is wanted.
    bold : bool, default False
        Prefer the bold face where there is one.

    Raises
    ------
    DuchenneError
        There is no such font, or it (or, without `font`, every font found) lacks a character.
    """
    needed = _characters(text)
    if font is not None:
        path = _named(font)
        if lacking := sorted(needed - characters_of(path)):
            raise DuchenneError(
                f"the font {path.name} has no character {_describe(lacking[0])}; "
                "choose another with screen: font, or remove the key"
            )
        return path
    missing: set[int] | None = None
    for path in _candidates(bold):
        lacking_here = needed - characters_of(path)
        if not lacking_here:
            return path
        if missing is None or len(lacking_here) < len(missing):
            missing = lacking_here
    if missing is None:
        raise DuchenneError("no font was found; install one, such as Noto Sans or DejaVu Sans")
    raise DuchenneError(
        f"no font here has the character {_describe(min(missing))}; install one that does (such as the "
        "Noto fonts) or give its file with screen: font"
    )


@lru_cache(maxsize=512)
def characters_of(path: Path) -> frozenset[int]:
    """Return the code points for which a font file has a glyph; none where it cannot be read."""
    from fontTools.ttLib import TTFont, TTLibError  # noqa: PLC0415 -- of the extra lab

    try:
        with TTFont(path, fontNumber=0, lazy=True) as font:
            return frozenset(font.getBestCmap() or ())
    except (TTLibError, OSError, AttributeError, KeyError, AssertionError):
        return frozenset()


def _characters(text: str) -> set[int]:
    return {
        ord(c)
        for c in text
        if not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf", "Mn")
    }


def _describe(code: int) -> str:
    name = unicodedata.name(chr(code), "without a name")
    return f"{chr(code)!r} (U+{code:04X}, {name})"


def _named(font: str) -> Path:
    path = Path(font).expanduser()
    if path.is_file():
        return path
    wanted = font.replace(" ", "").lower()
    fitting = [p for p in _all_files() if wanted in p.stem.replace(" ", "").lower()]
    if not fitting:
        raise DuchenneError(f"no font {font!r}: give the file of a font, or leave screen: font out")
    return min(
        fitting, key=lambda p: (sum(word in p.stem.lower() for word in _UNWANTED), len(p.stem))
    )


def _candidates(bold: bool) -> Iterator[Path]:
    folder = _bundled()
    for style in ("Bold", "Regular") if bold else ("Regular",):
        path = folder / f"NotoSans-{style}.ttf" if folder is not None else Path("/nonexistent")
        if path.is_file():
            yield path
    yield from _system_fonts(bold)


def _bundled() -> Path | None:
    spec = find_spec("psychopy")  # does not import it
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "assets" / "fonts"


@lru_cache(maxsize=2)
def _system_fonts(bold: bool) -> tuple[Path, ...]:
    """Return the system's fonts, plain sans serif ones that are known to be good first."""

    def order(path: Path) -> tuple[int, int, int, str]:
        stem = path.stem.replace(" ", "")
        known = next((i for i, name in enumerate(PREFERRED) if stem.startswith(name)), 99)
        unwanted = sum(word in stem.lower() for word in _UNWANTED)
        if bold and "bold" in stem.lower():
            unwanted -= 2
        return known, unwanted, len(stem), stem

    return tuple(sorted(_all_files(), key=order))


@lru_cache(maxsize=1)
def _all_files() -> tuple[Path, ...]:
    found = []
    for folder in _folders():
        for root, _, names in os.walk(folder):
            found += [Path(root) / name for name in names if name.lower().endswith(SUFFIXES)]
    return tuple(sorted(found))


def _folders() -> list[Path]:
    home = Path.home()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", str(home))
        return [
            Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts",
            Path(local) / "Microsoft" / "Windows" / "Fonts",
        ]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts"]
    return [
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
        home / ".local" / "share" / "fonts",
        home / ".fonts",
    ]
