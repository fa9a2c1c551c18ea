"""A trained student as the files that the ``student`` backend runs: 8-bit ONNX, and its weights.

The 8-bit network is made by static quantisation: pictures of the training's own subjects go through the
network, and the range that each layer answers in becomes its scale. Weights have a scale for each
channel. The first step (normalising) is part of the network; the last two layers and the mean before
them stay as they are. The weights in half precision are there to train on from.
"""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from duchenne.analysis.face.backends.student_model import (
    ALIGNMENT,
    CARD,
    FORMAT,
    NETWORK,
    WEIGHTS,
)
from duchenne.analysis.models.exporting import quiet_exporters
from duchenne.analysis.models.registry import model_entry
from duchenne.analysis.tables import write_json
from duchenne.analysis.training.augment import normalised, plain_batch
from duchenne.analysis.training.checkpoint import load_fitting, read_checkpoint, write_checkpoint
from duchenne.analysis.training.metrics import pcc
from duchenne.analysis.training.settings import TrainSettings
from duchenne.analysis.training.systems import build, entry_of
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from duchenne.analysis.training.prepared import Faces

EXPORTABLE = ("resnet18_student", "cnn_baseline")
FLOAT_NETWORK = "student.fp32.onnx"
OPSET = 17
QUANTISED = ["Conv", "Add", "MaxPool", "Relu"]
# Pictures whose answers say what 8 bits cost.
N_CHECKED = 600
CHECKED_AT_ONCE = 50


@dataclass(frozen=True)
class Exported:
    """What was written.

    Parameters
    ----------
    folder : Path
    card : dict
        Of ``student.json``.
    """

    folder: Path
    card: dict[str, Any]


class _Grey(nn.Module):
    """Grey pictures in, (b, 1, px, px) from 0 to 1; intensities out."""

    def __init__(self, net: nn.Module, preprocessing: str) -> None:
        super().__init__()
        self.net, self.preprocessing = net, preprocessing
        self.eval()

    def forward(self, grey: Tensor) -> Tensor:
        colour = torch.cat([grey, grey, grey], dim=1)
        values: Tensor = self.net(normalised(colour, self.preprocessing)).values
        return values


def export_student(
    checkpoint: Path,
    faces: Faces,
    out: Path,
    *,
    n_pictures: int = 256,
    keep_float: bool = False,
) -> Exported:
    """Write a student for the ``student`` backend.

    Parameters
    ----------
    checkpoint : Path
        Of ``duchenne train``.
    faces : Faces
        The prepared set that it was trained on: pictures of its training subjects set the scales of the 8-bit
        network, those of its validation subjects tell what 8 bits cost.
    out : Path
        Folder; files of the same names are replaced.
    n_pictures : int
        How many pictures set the scales.
    keep_float : bool
        Write the network in single precision too (four times larger).

    Raises
    ------
    DuchenneError
        When the checkpoint is of a system that cannot be exported or does not fit its settings, the faces
        are not those it was trained on or in colour, or the folder cannot be written.
    """
    tensors, about = read_checkpoint(checkpoint)
    settings = TrainSettings.model_validate(about["settings"])
    source = _Source(
        net=_network(checkpoint, settings, tensors, about),
        settings=settings,
        about=about,
        faces=faces,
        px=settings.input_px or model_entry(settings.model).input_px,
    )
    ranged = source.some("train", n_pictures)
    if not len(ranged):
        raise DuchenneError(
            f"the prepared faces hold none of the subjects that {checkpoint} was trained on"
        )
    some = faces.images[ranged[:: max(1, len(ranged) // 16)]]
    if (some != some[..., :1]).any():
        raise DuchenneError(
            "the prepared faces are in colour; the student backend sees grey ones: train it on grey pictures "
            "(three equal channels)."
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as aside:
            plain = Path(aside) / FLOAT_NETWORK
            _write_float(source, plain)
            quantise(plain, out / NETWORK, source.grey(ranged), "grey")
            figures = _compared(source, plain, out / NETWORK)
            if keep_float:
                (out / FLOAT_NETWORK).write_bytes(plain.read_bytes())
    except OSError as error:
        raise DuchenneError(f"{out} cannot be written ({error.strerror or error}).") from error
    about = {**about, "settings": _told(settings)}
    write_checkpoint(out / WEIGHTS, _halved(tensors), about)
    (out / WEIGHTS).chmod(0o644)
    card = _card(source)
    card["int8"] = {"n_scale_pictures": len(ranged), **figures}
    card["checkpoint_sha256"] = _sha256(checkpoint)
    card["files"] = {
        name: {"bytes": (out / name).stat().st_size, "sha256": _sha256(out / name)}
        for name in (NETWORK, WEIGHTS)
    }
    write_json(card, out / CARD)
    return Exported(out, card)


@dataclass(frozen=True)
class _Source:
    """A trained network and what it was trained with."""

    net: nn.Module
    settings: TrainSettings
    about: dict[str, Any]
    faces: Faces
    px: int

    @property
    def grey_net(self) -> _Grey:
        return _Grey(self.net, model_entry(self.settings.model).preprocessing)

    def some(self, part: str, n: int) -> NDArray[np.intp]:
        """Return up to ``n`` pictures of a part of the subjects, spread over all of them."""
        subjects = list(self.about.get("split", {}).get(part, ()))
        rows = np.flatnonzero(np.isin(self.faces.subject, subjects))
        some = np.linspace(0, max(len(rows) - 1, 0), min(n, len(rows))).round().astype(np.intp)
        return rows[some].astype(np.intp)

    def grey(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return pictures as the network gets them: (k, 1, px, px)."""
        pictures = plain_batch(self.faces, rows, self.px, "RGB, 0 to 1").images[:, :1]
        return np.ascontiguousarray(pictures.numpy(), np.float32)


def _network(
    path: Path, settings: TrainSettings, tensors: dict[str, Tensor], about: dict[str, Any]
) -> nn.Module:
    if settings.model not in EXPORTABLE:
        raise DuchenneError(
            f"{path} is of {settings.model}; the student backend runs {', '.join(EXPORTABLE)}."
        )
    if settings.window or entry_of(settings).task != "intensity":
        raise DuchenneError(
            f"{path} learnt {'the middle of pictures (`window`)' if settings.window else 'no intensities'}; "
            "the student backend shows whole pictures and expects intensities."
        )
    net = build(settings, int(about["n_outputs"]))
    problems = load_fitting(net, {k: _single(v) for k, v in tensors.items()})
    if problems:
        raise DuchenneError(f"{path} does not fit its own settings: {problems[0]}")
    return net.eval()


def _write_float(source: _Source, path: Path) -> None:
    """Write a network as ONNX; batches may be of any size."""
    sizes = {"grey": {0: "faces"}, "intensity": {0: "faces"}}
    with warnings.catch_warnings(), quiet_exporters():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            source.grey_net,
            (torch.zeros(1, 1, source.px, source.px),),
            str(path),
            dynamo=False,
            input_names=["grey"],
            output_names=["intensity"],
            dynamic_axes=sizes,
            opset_version=OPSET,
        )


def quantise(plain: Path, path: Path, pictures: NDArray[np.float32], given: str) -> None:
    """Write the 8-bit network, with scales from what it answers to pictures.

    Parameters
    ----------
    plain, path : Path
        In single precision, and where the other goes.
    pictures : (n, …) float32
    given : str
        Name of its input.
    """
    from onnxruntime.quantization import (  # noqa: PLC0415  (needed to export alone)
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    class Pictures(CalibrationDataReader):  # type: ignore[misc]  # the package has no types
        def __init__(self) -> None:
            self._left = iter(pictures)

        def get_next(self) -> dict[str, Any] | None:
            picture = next(self._left, None)
            return None if picture is None else {given: picture[None]}

    prepared = plain.with_name("prepared.onnx")
    with warnings.catch_warnings(), quiet_exporters():
        warnings.simplefilter("ignore")
        quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(path),
            Pictures(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=QUANTISED,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def _compared(source: _Source, plain: Path, small: Path) -> dict[str, Any]:
    """Return what 8 bits cost on pictures of subjects that were not trained on; empty without any."""
    from onnxruntime import InferenceSession  # noqa: PLC0415  (needed to export alone)

    rows = source.some("validation", N_CHECKED)
    if not len(rows):
        return {}
    sessions = [
        InferenceSession(str(p), providers=["CPUExecutionProvider"]) for p in (plain, small)
    ]
    net = source.grey_net
    answers: list[list[Any]] = [[], [], []]
    for first in range(0, len(rows), CHECKED_AT_ONCE):
        grey = source.grey(rows[first : first + CHECKED_AT_ONCE])
        with torch.inference_mode():
            answers[0].append(net(torch.from_numpy(grey)).numpy())
        for session, into in zip(sessions, answers[1:], strict=True):
            into.append(session.run(None, {"grey": grey})[0])
    trained, whole, eight = (np.concatenate(some).astype(np.float64) for some in answers)
    names = source.settings.labels
    truth = source.faces.with_labels(names).truth[rows].astype(np.float64)
    before = [pcc(truth[:, i], whole[:, i]) for i in range(len(names))]
    after = [pcc(truth[:, i], eight[:, i]) for i in range(len(names))]
    return {
        "n_pictures": len(rows),
        "largest_difference_torch_onnx": float(np.abs(trained - whole).max()),
        "mean_difference_fp32_int8": round(float(np.abs(whole - eight).mean()), 4),
        "pcc_fp32": _rounded(_mean(before)),
        "pcc_int8": _rounded(_mean(after)),
        "pcc_lost": _rounded(_mean(before) - _mean(after)),
        "validation_pcc_int8": {n: _rounded(v) for n, v in zip(names, after, strict=True)},
    }


def _told(settings: TrainSettings) -> dict[str, Any]:
    """Return settings whose files are named without the folders of one machine."""
    told = settings.model_dump(mode="json")
    for name in ("initial", "teacher"):
        if told.get(name):
            told[name] = "/".join(Path(told[name]).parts[-2:])
    return told


def _mean(values: list[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _single(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _halved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the network's weights in half precision; running means and variances as they are."""
    return {
        name: value.half() if value.is_floating_point() and value.ndim > 1 else value
        for name, value in tensors.items()
        if name.startswith("net.")
    }


def _card(source: _Source) -> dict[str, Any]:
    settings, about = source.settings, source.about
    split, data = about.get("split", {}), dict(about.get("data", {}))
    return {
        "format": FORMAT,
        "units": list(settings.labels),
        "input_px": source.px,
        "stored_px": int(source.faces.images.shape[1]),
        "alignment": str(data.get("alignment", ALIGNMENT)),
        "trained": {
            "model": settings.model,
            "data": data,
            "data_sha256": about.get("data_sha256"),
            "n_train_subjects": len(split.get("train", ())),
            "n_validation_subjects": len(split.get("validation", ())),
            "epochs": about.get("epoch"),
            "git_revision": about.get("git_revision"),
            "settings": _told(settings),
        },
    }


def _rounded(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
