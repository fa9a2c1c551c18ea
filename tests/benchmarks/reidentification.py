"""Does a face embedding take the de-identified video for the person? Distances of dlib's ResNet embedding.

``python tests/benchmarks/reidentification.py ORIGINAL DEIDENTIFIED [--others FOLDER]`` embeds a few frames
of both videos (every face that dlib's or MediaPipe's detector finds) and, for scale, pictures of other
persons. The network's author takes two faces for one person below a distance of 0.6. Needs ``dlib-bin`` and
``face-recognition-models`` (models CC0), both in the extra ``peers``.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
from pathlib import Path

import dlib
import numpy as np

from duchenne.analysis.face.decode import image_frame, video_frames
from duchenne.analysis.face.deidentify_finder import FaceFinder

SAME_PERSON = 0.6
MODELS = "face_recognition_models"
N_FRAMES = 12


def model(name: str) -> str:
    """Return the path of a model of the package, which is located without being imported."""
    files = importlib.metadata.files(MODELS) or []
    return next(str(file.locate()) for file in files if file.name == name)


class Embedder:
    """Finds faces in pictures and embeds them."""

    def __init__(self) -> None:
        self._detect = dlib.get_frontal_face_detector()
        self._shape = dlib.shape_predictor(model("shape_predictor_5_face_landmarks.dat"))
        self._embed = dlib.face_recognition_model_v1(
            model("dlib_face_recognition_resnet_model_v1.dat")
        )

    def __call__(self, image: np.ndarray, finder: FaceFinder) -> tuple[np.ndarray | None, bool]:
        """Return the embedding of the largest face, and whether dlib's own detector found it."""
        image = np.ascontiguousarray(image)
        faces = list(self._detect(image, 0))
        by_dlib = bool(faces)
        if not faces:
            boxes = finder.find(image, tiles=False)
            faces = [dlib.rectangle(*(int(v) for v in box)) for box in boxes]
        if not faces:
            return None, False
        face = max(faces, key=lambda box: box.area())
        vector = self._embed.compute_face_descriptor(image, self._shape(image, face))
        return np.array(vector), by_dlib


def some(video: Path) -> list[np.ndarray]:
    """Return some pictures of a video, or the picture of a file."""
    if video.suffix.lower() in {".jpg", ".png"}:
        return [image_frame(video)]
    images = [image for _, _, image in video_frames(video) if image is not None]
    return [images[i] for i in np.linspace(0, len(images) - 1, N_FRAMES).astype(int)]


def main() -> None:
    """Print the distances."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("original", type=Path)
    parser.add_argument("deidentified", type=Path)
    parser.add_argument("--others", type=Path, help="folder of pictures of other persons")
    options = parser.parse_args()
    embedder = Embedder()
    with FaceFinder(0.5) as finder:
        sets = {"original": some(options.original), "deidentified": some(options.deidentified)}
        if options.others:
            pictures = sorted(options.others.glob("*.jpg"))[:20]
            sets["others"] = [image for path in pictures for image in some(path)]
        found = {
            name: [embedder(image, finder) for image in images] for name, images in sets.items()
        }
    vectors = {}
    for name, results in found.items():
        vectors[name] = np.array([vector for vector, _ in results if vector is not None])
        print(
            f"{name:13} {len(results)} pictures, a face in {len(vectors[name])} "
            f"(dlib's detector: {sum(by_dlib for _, by_dlib in results)})"
        )
    for a, b in itertools.combinations_with_replacement(vectors, 2):
        if not len(vectors[a]) or not len(vectors[b]):
            continue
        table = np.linalg.norm(vectors[a][:, None] - vectors[b][None], axis=2)
        values = table[np.triu_indices(len(table), 1)] if a == b else table.ravel()
        if len(values):
            share = np.mean(values < SAME_PERSON)
            print(
                f"{a} – {b}: median {np.median(values):.2f}, least {values.min():.2f}; {share:.0%} < 0.6"
            )


if __name__ == "__main__":
    main()
