"""The settings of a training, as a YAML file has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from duchenne.stimuli.errors import DuchenneError

Optimizer = Literal["adamw", "adam", "sgd"]
Schedule = Literal["constant", "cosine", "step"]
Precision = Literal["fp32", "bf16", "fp16"]
Balance = Literal["none", "over", "under"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Augmentation(_Strict):
    """How training pictures are varied.

    Parameters
    ----------
    flip : bool
        Mirror half of them; labels of sides change places.
    crop : float
        Cut out a square of at least this share of the side.
    brightness, contrast, colour : float
        Largest change, as a share.
    blur, noise : float
        Largest standard deviation, in pixels and as a share of the range.
    erase : float
        Share of pictures of which a rectangle is covered.
    """

    flip: bool = True
    crop: float = Field(0.875, gt=0.3, le=1.0)
    brightness: float = Field(0.3, ge=0, lt=1)
    contrast: float = Field(0.3, ge=0, lt=1)
    colour: float = Field(0.1, ge=0, lt=1)
    blur: float = Field(0.0, ge=0)
    noise: float = Field(0.02, ge=0)
    erase: float = Field(0.0, ge=0, le=1)


class Clip(_Strict):
    """How films are cut into clips.

    Parameters
    ----------
    frames : int, optional
        Pictures in a clip; as the system is published where absent (32 or 100).
    every : int, optional
        Pictures from the start of one clip to the start of the next; as many as a clip has where absent.
    largest_gap : float
        A film is in two where frames are missing for more than this many usual steps from frame to frame.
    """

    frames: int | None = Field(None, ge=2)
    every: int | None = Field(None, ge=1)
    largest_gap: float = Field(5.0, ge=1)


class DistillSettings(_Strict):
    """How a student learns beside its teacher.

    Parameters
    ----------
    features, task, divergence : float
        Weights of the parts of its loss (:class:`duchenne.analysis.training.distill.DistillWeights`).
    resize : {"linear_proj", "nearest"}
        How features of the student get the length of the teacher's.
    """

    features: float = Field(1.0, ge=0)
    task: float = Field(1.0, ge=0)
    divergence: float = Field(1.0, ge=0)
    resize: Literal["linear_proj", "nearest"] = "linear_proj"


class TrainSettings(_Strict):
    """Everything that a training depends on but its data.

    Parameters
    ----------
    model : str
        Name of a system (`duchenne models list`).
    labels : tuple of str
        What is learnt, such as ``AU01`` … ``AU26``, or ``valence`` and ``arousal``, or ``expression``.
    model_settings : dict
        Settings of the system itself.
    input_px : int, optional
        Side of the pictures it sees; as the system is listed where absent.
    window : float, optional
        Share of the side that is seen, as published systems of Action Units do: somewhere in training, the
        middle of it elsewhere (0.88 of A1, 0.875 of A2). Absent, the whole picture is seen, and in training
        ``augmentation.crop`` of it or more.
    initial : Path, optional
        Checkpoint to start from; weights that do not fit are told and left out.
    teacher : Path, optional
        Checkpoint of the teacher of a distillation.
    distill : DistillSettings
        Only read where there is a teacher.
    epochs, batch_size : int
        A batch is that of all processes together.
    accumulate : int
        Parts that a batch is worked on in, where memory is short.
    learning_rate, weight_decay, momentum : float
    optimizer : {"adamw", "adam", "sgd"}
    betas : pair of float
        Of Adam and AdamW.
    schedule : {"cosine", "constant", "step"}
        ``step`` multiplies by ``step_factor`` every ``step_epochs``.
    warmup_epochs : float
        The learning rate rises from 0 over this many.
    clip_norm : float
        Largest length of the gradient; 0 leaves it.
    ema : float
        Decay of the running mean of the weights that is evaluated; 0 for none.
    precision : {"fp32", "bf16", "fp16"}
    patience : int
        Epochs without a better validation after which it ends; 0 goes to the end.
    seed : int
    checkpoint_minutes : float
        A checkpoint at least this often, besides one after every epoch.
    validation, test : float
        Share of the subjects, where no published parts are named.
    test_subjects, validation_subjects : list of str, or Path
        Who is in each, so that several systems are scored on the same people: names, or a file with one
        name a line. The shares above are drawn where a list is absent.
    folds : {"bp4d", "disfa", "subjects"}, optional
        Split by the published parts of this data set; ``subjects`` makes a part of each subject, by name.
    fold : int
        Which part is left for the test, from 0.
    paper_protocol : bool
        Choose the best weights on the test part, as the published programs do, and keep nobody aside for
        it: figures come out too high.
    balance : {"none", "over", "under"}
        ``over`` shows rare labels more often: every class as often as the most frequent one (expression),
        copies of rare Action Units (``balance_share`` of all pictures, ML-ROS), every cell of the
        valence-arousal plane as often as any other (and so the classes, or Action Units, of pictures that
        have neither). ``under`` shows every class as often as the rarest one.
    balance_share : float
    neutral_reference : bool
        Show systems of pairs a neutral face of the same person; without, the shown face itself stands for
        it, and the difference is 0.
    clip : Clip
        Of systems that see clips.
    augmentation : Augmentation
    """

    model: str
    labels: tuple[str, ...] = ()
    model_settings: dict[str, Any] = Field(default_factory=dict)
    input_px: int | None = Field(None, ge=16, le=1024)
    window: float | None = Field(None, gt=0.3, le=1)
    initial: Path | None = None
    teacher: Path | None = None
    distill: DistillSettings = DistillSettings()
    epochs: int = Field(12, ge=1)
    batch_size: int = Field(64, ge=2)
    accumulate: int = Field(1, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    optimizer: Optimizer = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Schedule = "cosine"
    step_epochs: int = Field(2, ge=1)
    step_factor: float = Field(0.3, gt=0, le=1)
    warmup_epochs: float = Field(0.0, ge=0)
    clip_norm: float = Field(1.0, ge=0)
    ema: float = Field(0.0, ge=0, lt=1)
    precision: Precision = "fp32"
    patience: int = Field(0, ge=0)
    seed: int = 0
    checkpoint_minutes: float = Field(10.0, gt=0)
    validation: float = Field(0.15, ge=0, lt=1)
    test: float = Field(0.2, ge=0, lt=1)
    test_subjects: tuple[str, ...] | Path = ()
    validation_subjects: tuple[str, ...] | Path = ()
    folds: Literal["bp4d", "disfa", "subjects"] | None = None
    fold: int = Field(0, ge=0)
    paper_protocol: bool = False
    balance: Balance = "none"
    balance_share: float = Field(0.25, gt=0, le=4)
    neutral_reference: bool = True
    clip: Clip = Clip()
    augmentation: Augmentation = Augmentation()


def read_settings(path: Path) -> TrainSettings:
    """Return the settings in a YAML file.

    Raises
    ------
    DuchenneError
        When it cannot be read, or a key is unknown or out of its range.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
        if not isinstance(content, dict):
            raise DuchenneError(f"{path} holds no settings.")
        return TrainSettings.model_validate(content)
    except OSError as error:
        raise DuchenneError(f"{path} cannot be read ({error.strerror or error}).") from error
    except yaml.YAMLError as error:
        raise DuchenneError(f"{path} is no YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DuchenneError(f"{path}: {where}: {first['msg']}") from error
