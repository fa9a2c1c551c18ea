"""Coding sheets for ELAN (EAF 3.0): one tier per Action Unit, filled by choosing from a list.

The order of elements and attributes is that of the schema EAFv3.0.xsd.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from duchenne.analysis.face.validation_codes import CODED, CODED_VALUES, INTENSITIES
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
INTENSITY_TYPE, CODED_TYPE = "intensity", "coded"
DATE = "2000-01-01T00:00:00+00:00"
"""The same in every file, so that it does not tell in which order clips were drawn."""


def write_elan(path: Path, video: str, duration_s: float, au_names: Sequence[str]) -> None:
    """Write an empty coding sheet.

    Parameters
    ----------
    path : Path
        Ends with ``.eaf``.
    video : str
        Name of the clip beside it.
    duration_s : float
    au_names : sequence of str
    """
    ET.register_namespace("xsi", XSI)
    root = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "",
            "DATE": DATE,
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{{{XSI}}}noNamespaceSchemaLocation": SCHEMA,
        },
    )
    header = ET.SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    media = {"MEDIA_URL": f"file:./{video}", "MIME_TYPE": "video/mp4"}
    ET.SubElement(header, "MEDIA_DESCRIPTOR", media | {"RELATIVE_MEDIA_URL": f"./{video}"})
    names = (CODED, *au_names)
    last = ET.SubElement(header, "PROPERTY", {"NAME": "lastUsedAnnotationId"})
    last.text = str(len(names))
    order = ET.SubElement(root, "TIME_ORDER")
    for number in range(1, 2 * len(names) + 1):
        value = 0 if number % 2 else round(duration_s * 1000)
        slot = {"TIME_SLOT_ID": f"ts{number}", "TIME_VALUE": str(value)}
        ET.SubElement(order, "TIME_SLOT", slot)
    for number, name in enumerate(names, start=1):
        kind = CODED_TYPE if name == CODED else INTENSITY_TYPE
        tier = ET.SubElement(root, "TIER", {"LINGUISTIC_TYPE_REF": kind, "TIER_ID": name})
        annotation = ET.SubElement(ET.SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION")
        annotation.set("ANNOTATION_ID", f"a{number}")
        annotation.set("TIME_SLOT_REF1", f"ts{2 * number - 1}")
        annotation.set("TIME_SLOT_REF2", f"ts{2 * number}")
        ET.SubElement(annotation, "ANNOTATION_VALUE")
    for kind in (CODED_TYPE, INTENSITY_TYPE):
        ET.SubElement(
            root,
            "LINGUISTIC_TYPE",
            {
                "CONTROLLED_VOCABULARY_REF": kind,
                "GRAPHIC_REFERENCES": "false",
                "LINGUISTIC_TYPE_ID": kind,
                "TIME_ALIGNABLE": "true",
            },
        )
    language = {"LANG_DEF": "http://cdb.iso.org/lg/CDB-00130975-001", "LANG_ID": "und"}
    ET.SubElement(root, "LANGUAGE", language | {"LANG_LABEL": "undetermined (und)"})
    _vocabulary(root, CODED_TYPE, CODED_VALUES)
    _vocabulary(root, INTENSITY_TYPE, INTENSITIES)
    ET.indent(root, "    ")
    ET.ElementTree(root).write(path, encoding="UTF-8", xml_declaration=True)


def read_elan(path: Path) -> dict[str, list[str]]:
    """Return what coders entered: tier name to its annotations' texts, empty ones left out.

    Raises
    ------
    DuchenneError
        When the file is no EAF document.
    """
    try:
        root = ET.parse(path).getroot()  # noqa: S314 -- expat of Python >= 3.10 bounds entity expansion
    except (ET.ParseError, OSError) as error:
        raise DuchenneError(f"{path} cannot be read as an ELAN file: {error}.") from None
    if root.tag != "ANNOTATION_DOCUMENT":
        raise DuchenneError(f"{path} is not an ELAN file: it begins with <{root.tag}>.")
    entered: dict[str, list[str]] = {}
    for tier in root.iter("TIER"):
        texts = [(node.text or "").strip() for node in tier.iter("ANNOTATION_VALUE")]
        entered.setdefault(tier.get("TIER_ID", ""), []).extend(text for text in texts if text)
    return entered


def _vocabulary(root: ET.Element, name: str, values: Mapping[str, str]) -> None:
    vocabulary = ET.SubElement(root, "CONTROLLED_VOCABULARY", {"CV_ID": name})
    ET.SubElement(vocabulary, "DESCRIPTION", {"LANG_REF": "und"})
    for number, (value, meaning) in enumerate(values.items()):
        entry = ET.SubElement(vocabulary, "CV_ENTRY_ML", {"CVE_ID": f"{name}-{number}"})
        told = ET.SubElement(entry, "CVE_VALUE", {"DESCRIPTION": meaning, "LANG_REF": "und"})
        told.text = value
