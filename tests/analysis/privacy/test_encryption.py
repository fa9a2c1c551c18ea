"""Encrypted face video: nothing in clear is left, nothing is lost, and whoever lacks the key is told."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from PIL import Image
from support.sessions import write_session
from tests.analysis.constructed import markers
from typer.testing import CliRunner

from duchenne.analysis.privacy.encryption import SUFFIX, decrypt_file, encrypt_file
from duchenne.analysis.privacy.identity import session_digest
from duchenne.analysis.provenance import sha256_of
from duchenne.analysis.session import analyze_session
from duchenne.cli import app
from duchenne.recorder.convert import convert
from duchenne.recorder.keyring import Key, KeyRing
from duchenne.recorder.locked_file import SCRYPT, is_locked, read_maybe_locked, write_private
from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

N_FRAMES = 40


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setitem(SCRYPT, "n", 2**10)
        for name in ("DUCHENNE_KEY", "DUCHENNE_PASSPHRASE"):
            patched.setenv(name, "")
            patched.delenv(name)
        yield


def picture(seed: int) -> bytes:
    """Return a picture of noise, 70 kB: a film of them spans several chunks."""
    noise = np.random.default_rng(seed).integers(0, 255, (200, 260, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


FRAMES = [picture(i) for i in range(N_FRAMES)]


def session(folder: Path, participant: str = "P01", n: int = N_FRAMES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"sub-{participant}_ses-01_task-test_run-01"
    times = np.arange(n) / 30 + 1
    frames = [FRAMES[i % N_FRAMES] for i in range(n)]
    return write_session(
        folder / f"{stem}_session.h5",
        markers=markers(),
        frames=(times, frames),
        participant=participant,
    )


def packets(file: Path) -> list[bytes]:
    with Recording.open(file) as recording:
        return list(recording.streams["FaceVideo"].packets())


def test_encrypted_and_back_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = session(tmp_path)
    before = h5py.File(file)["streams/Markers/samples"].asstr()[:].tolist()
    ring = KeyRing(tmp_path / "keys" / "k.json").with_key_of("P01")
    ring.write()
    assert (ring.path.stat().st_mode & 0o777) == 0o600
    changed = encrypt_file(file, ring.keys["P01"])
    assert changed.n_videos == 1
    content = file.read_bytes()
    assert not any(frame[100:160] in content for frame in FRAMES)
    assert b"\xff\xd8\xff\xe0" not in content
    monkeypatch.setenv("DUCHENNE_KEY", str(ring.path))
    assert packets(file) == FRAMES
    with Recording.open(file) as recording:
        stream = recording.streams["FaceVideo"]
        assert stream.packet(7) == FRAMES[7]
        assert stream.is_encrypted
        assert recording.changed_datasets(thorough=True) == []
    assert encrypt_file(file, ring.keys["P01"]).n_videos == 0
    assert decrypt_file(file, KeyRing.read(ring.path)).n_videos == 1
    monkeypatch.delenv("DUCHENNE_KEY")
    assert packets(file) == FRAMES
    assert h5py.File(file)["streams/Markers/samples"].asstr()[:].tolist() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [file.name]


def test_xdf_holds_the_film_in_clear_and_needs_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = session(tmp_path, n=5)
    ring = KeyRing(tmp_path / "k.json").with_key_of("P01")
    ring.write()
    encrypt_file(file, ring.keys["P01"])
    with pytest.raises(DuchenneError, match="is encrypted: name its key file"):
        convert(file, tmp_path / "x.xdf")
    monkeypatch.setenv("DUCHENNE_KEY", str(ring.path))
    convert(file, tmp_path / "x.xdf")
    monkeypatch.delenv("DUCHENNE_KEY")
    convert(tmp_path / "x.xdf", tmp_path / "y.h5")
    assert packets(tmp_path / "y.h5") == FRAMES[:5]


def test_no_byte_can_be_changed_or_moved_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = session(tmp_path)
    ring = KeyRing(tmp_path / "k.json").with_key_of("P01")
    ring.write()
    encrypt_file(file, ring.keys["P01"])
    monkeypatch.setenv("DUCHENNE_KEY", str(ring.path))
    with h5py.File(file, "a") as content:
        data = content["streams/FaceVideo/packets_encrypted"]
        whole = data[:]
        assert len(whole) > 2 * (1 << 20)
        size = (1 << 20) + 16
        data[:size], data[size : 2 * size] = whole[size : 2 * size], whole[:size]
    with pytest.raises(DuchenneError, match="cannot be decrypted: chunk 0 was changed"):
        packets(file)


def test_whoever_lacks_the_key_is_told_and_gaze_is_analysed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = session(tmp_path)
    ring = KeyRing(tmp_path / "k.json").with_key_of("P01").with_key_of("P02")
    ring.write()
    encrypt_file(file, ring.keys["P01"])
    paths = analyze_session(file, report=False)
    (told,) = [note for note in paths.notes if "encrypted" in note]
    assert "name its key file with --key, or in DUCHENNE_KEY" in told
    assert paths.summary.is_file()
    assert not paths.au.exists()
    told = CliRunner().invoke(app, ["inspect", str(file)]).output
    assert "encrypted, and no key given: not looked at" in " ".join(told.split())
    ring.without("P01").write()
    monkeypatch.setenv("DUCHENNE_KEY", str(ring.path))
    with pytest.raises(DuchenneError, match="is in another key file, or was destroyed"):
        packets(file)
    monkeypatch.setenv("DUCHENNE_KEY", str(tmp_path / "nowhere.json"))
    with pytest.raises(DuchenneError, match="DUCHENNE_KEY names"):
        packets(file)


def test_a_passphrase_locks_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "k.json"
    ring = KeyRing(path).with_key_of("P01")
    with pytest.raises(UsageError, match="too short"):
        ring.write("short")
    ring.write("correct horse")
    assert is_locked(path)
    assert b"P01" not in path.read_bytes()
    assert KeyRing.read(path, "correct horse").keys == ring.keys
    with pytest.raises(DuchenneError, match="the passphrase is wrong"):
        KeyRing.read(path, "another horse")
    with pytest.raises(DuchenneError, match="is locked: set DUCHENNE_PASSPHRASE"):
        KeyRing.read(path)
    monkeypatch.setenv("DUCHENNE_PASSPHRASE", "correct horse")
    assert KeyRing.read(path).keys == ring.keys
    write_private(path, b"plain")
    assert read_maybe_locked(path) == b"plain"


def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from duchenne.recorder.sealed_image import SealedImage

    file = session(tmp_path)
    before = file.read_bytes()

    def full(_self: SealedImage, place: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SealedImage, "_write_at", full)
    with pytest.raises(DuchenneError, match=r"No space left on device.*it is as it was"):
        encrypt_file(file, Key.new())
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def study(root: Path) -> list[Path]:
    (root / "sourcedata").mkdir(parents=True)
    (root / "study.yaml").write_text("name: x\n")
    return [session(root / "sourcedata" / f"sub-{who}" / "ses-01", who) for who in ("P01", "P02")]


def test_the_command_encrypts_a_study_and_results_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = study(tmp_path / "study")
    digest = sha256_of(files[0])
    inside = CliRunner().invoke(
        app, ["encrypt", str(tmp_path / "study"), "--key", str(tmp_path / "study" / "k.json")]
    )
    assert isinstance(inside.exception, UsageError)
    assert "never lies in a study folder" in str(inside.exception)
    key = tmp_path / "k.json"
    done = CliRunner().invoke(app, ["encrypt", str(tmp_path / "study"), "--key", str(key)])
    assert done.exit_code == 0, done.output
    assert "2 of 2 session files encrypted" in done.output
    assert done.stdout.strip().splitlines()[-1] == f"Keys: {key}"
    assert set(KeyRing.read(key).keys) == {"P01", "P02"}
    assert sha256_of(files[0]) != digest
    assert session_digest(files[0]) == digest
    back = CliRunner().invoke(app, ["decrypt", str(tmp_path / "study"), "--key", str(key)])
    assert back.exit_code == 0, back.output
    assert session_digest(files[0]) == digest
    assert packets(files[1]) == FRAMES


CHILD = """
import sys
from pathlib import Path
from duchenne.analysis.privacy.encryption import encrypt_file
from duchenne.recorder.keyring import KeyRing
encrypt_file(Path(sys.argv[1]), KeyRing.read(Path(sys.argv[2])).keys["P01"])
"""


def test_killed_at_any_moment_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed later and later after it began to write: the file is whole each time, in clear or encrypted."""
    file = session(tmp_path / "s", n=300)
    ring = KeyRing(tmp_path / "k.json").with_key_of("P01")
    ring.write()
    monkeypatch.setenv("DUCHENNE_KEY", str(ring.path))
    expected = [FRAMES[i % N_FRAMES] for i in range(300)]
    aside = file.with_name(file.name + SUFFIX)
    states: list[tuple[float, bool, bool]] = []
    for pause_s in (0.0, 0.15, 60.0):
        aside.unlink(missing_ok=True)
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(file), str(ring.path)])
        deadline = time.monotonic() + 120
        while child.poll() is None and not aside.exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        with suppress(subprocess.TimeoutExpired):
            child.wait(pause_s)
        child.kill()
        child.wait(20)
        with h5py.File(file, "r") as content:
            encrypted = "packets_encrypted" in content["streams/FaceVideo"]
        assert packets(file) == expected
        states.append((pause_s, encrypted, aside.exists()))
    assert states[-1][1:] == (True, False), states
    assert states[0][1:] == (False, True), states  # it was killed while it wrote
    assert encrypt_file(file, ring.keys["P01"]).n_videos == 0
    assert {path.name for path in file.parent.iterdir()} <= {file.name, aside.name}
