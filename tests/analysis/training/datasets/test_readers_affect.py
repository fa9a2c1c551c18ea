"""Readers of expressions, valence and arousal, and of faces without labels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from duchenne.analysis.training.datasets.affectnet import is_consistent
from duchenne.analysis.training.datasets.base import EXPRESSIONS, expression
from duchenne.recorder import sources
from duchenne.stimuli.errors import DuchenneError

FILM = Path(sources.__file__).parent / "data" / "participant" / "neutral.mp4"


def film_at(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(FILM, path)


def named(picture: Any) -> str:
    return EXPRESSIONS[int(picture.labels["expression"])]


def test_classes_by_name() -> None:
    assert [expression(w) for w in ("Happy", "happiness", " ANGRY ", "contempt", "Other")] == [
        1,
        1,
        6,
        7,
        None,
    ]


def grey(value: int) -> str:
    return " ".join([str(value)] * 48**2)


def test_fer2013_and_ferplus(lay: Any, read: Any) -> None:
    rows = [(0, 10, "Training"), (3, 20, "PublicTest"), (6, 30, "PrivateTest")]
    table = "emotion,pixels,Usage\n" + "".join(f"{e},{grey(v)},{u}\n" for e, v, u in rows)
    votes = (
        "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
        "Training,a,0,0,0,0,2,1,0,7,0,0\nPublicTest,b,5,5,0,0,0,0,0,0,0,0\nPrivateTest,c,0,0,0,0,0,0,0,0,0,10\n"
    )
    source = lay({"fer2013.csv": table, "fer2013new.csv": votes})
    found, _ = read("fer2013", source)
    assert [named(p) for p in found] == ["anger", "happiness", "neutral"]
    assert [p.condition for p in found] == ["Training", "PublicTest", "PrivateTest"]
    image = found[1].load()
    assert image.shape == (48, 48, 3)
    assert set(np.unique(image)) == {20}
    plus, notes = read("ferplus", source)
    assert [named(p) for p in plus] == ["contempt"]
    assert notes == ["2 of 3 pictures have no clear class"]
    lay({"fer2013.csv": "emotion,pixels,Usage\n7,1 2,Training\n"})
    with pytest.raises(DuchenneError, match="emotion is 7 in row 2"):
        read("fer2013", source)
    lay({"fer2013.csv": "emotion,pixels,Usage\n1,1 2,Training\n"})
    with pytest.raises(DuchenneError, match="row 2 holds no picture"):
        read("fer2013", source)[0][0].load()
    with pytest.raises(DuchenneError, match=r"has 3 rows, and .* has 1"):
        read("ferplus", source)


def test_affectnet_tables(lay: Any, read: Any) -> None:
    head = (
        "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,"
        "expression,valence,arousal\n"
    )
    rows = (
        "1/a.jpg,10,20,100,120,1;2,1,0.5,-0.25\n"
        "1/b.jpg,10,20,100,120,1;2,8,0.1,0.1\n"
        "1/c.jpg,10,20,100,120,1;2,10,-2,-2\n"
        "1/gone.jpg,10,20,100,120,1;2,0,0,0\n"
    )
    source = lay(
        {"training.csv": head + rows} | {f"Manually_Annotated_Images/1/{n}.jpg": "" for n in "abc"}
    )
    found, notes = read("affectnet-csv", source)
    assert [dict(p.labels) for p in found] == [
        {"valence": 0.5, "arousal": -0.25, "expression": 1},
        {"valence": 0.1, "arousal": 0.1},
    ]
    assert found[0].box == (10, 20, 100, 120)
    assert [p.condition for p in found] == ["training consistent", "training"]
    assert notes == ["training.csv: 1 pictures are missing"]
    lay({"training.csv": head + "1/a.jpg,1,1,1,1,1,11,0,0\n"})
    with pytest.raises(DuchenneError, match="expression is 11, and may be 0 to 10"):
        read("affectnet-csv", source)
    (source / "training.csv").unlink()
    with pytest.raises(DuchenneError, match=r"no training.csv or validation.csv"):
        read("affectnet-csv", source)


def test_affectnet_folders(lay: Any, read: Any) -> None:
    source = lay({"val_set/images/3.jpg": "", "val_set/images/12.jpg": ""})
    notes_folder = source / "val_set" / "annotations"
    notes_folder.mkdir()
    for stem, values in {
        "3": ("7", "-0.4", "0.2"),
        "12": (0, 0.0, -2.0),
        "40": (0, 0.0, 0.0),
    }.items():
        for what, value in zip(("exp", "val", "aro"), values, strict=True):
            np.save(notes_folder / f"{stem}_{what}.npy", np.array(value))
    found, notes = read("affectnet", source)
    assert [p.path.name for p in found] == ["3.jpg", "12.jpg"]
    assert dict(found[0].labels) == {"valence": -0.4, "arousal": 0.2, "expression": 7}
    assert dict(found[1].labels) == {"valence": 0.0, "expression": 0}
    assert notes == ["there is no train_set", "val_set: 1 pictures are missing"]
    np.save(notes_folder / "3_val.npy", np.zeros(3))
    with pytest.raises(DuchenneError, match=r"3_val.npy is missing or holds no single number"):
        read("affectnet", source)


def test_affectnet_without_headings_and_where_labels_agree(lay: Any, read: Any) -> None:
    rows = [
        (1, 0.5, 0.3),
        (1, -0.5, 0.3),
        (0, 0.1, 0.1),
        (0, 0.3, 0),
        (6, -0.6, 0.5),
        (6, -0.6, -0.5),
        (3, 0.1, 0.6),
    ]
    table = "".join(f"9/{i}.jpg,1,2,3,4,1;2,{c},{v},{a}\n" for i, (c, v, a) in enumerate(rows))
    files = {f"Manually_Annotated_Images/9/{i}.jpg": "" for i in range(len(rows))}
    found, _ = read("affectnet-csv", lay(files | {"validation.csv": table}))
    assert len(found) == len(rows)
    agree = [p.condition == "validation consistent" for p in found]
    assert agree == [True, False, True, False, True, False, True]
    assert not is_consistent({"valence": 0.5, "arousal": 0.5})


def picture_bytes(grey: int) -> bytes:
    _, encoded = cv2.imencode(".png", np.full((4, 4, 3), grey, np.uint8))
    return bytes(encoded)


def test_affectnet_hq(lay: Any, read: Any) -> None:
    names = ("train/happy/b.jpg", "train/7/a.png", "train/maybe/c.jpg", "d.jpg")
    source = lay(dict.fromkeys(names, ""))
    found, notes = read("affectnet-hq", source)
    assert [(p.condition, named(p), p.subject) for p in found] == [
        ("train", "contempt", "train/7/a.png"),
        ("train", "happiness", "train/happy/b.jpg"),
    ]
    assert notes[0] == "'data' is no class of ours: 1 pictures are left out"
    assert len(notes) == 2
    table = pa.table(
        {
            "image": [{"bytes": picture_bytes(v), "path": "x"} for v in (10, 20, 30)],
            "label": [1, 0, 2],
        }
    )
    listed = {"info": {"features": {"label": {"names": ["anger", "happy", "unsure"]}}}}
    path = source / "validation-00000-of-00001.parquet"
    pq.write_table(
        table.replace_schema_metadata({"huggingface": json.dumps(listed)}), path, row_group_size=1
    )
    found, notes = read("affectnet-hq", source)
    assert [(p.condition, named(p)) for p in found] == [
        ("validation", "happiness"),
        ("validation", "anger"),
    ]
    assert [int(p.load()[0, 0, 0]) for p in found] == [10, 20]
    assert notes == [f"{path.name}: 1 pictures have no class of ours"]
    pq.write_table(table, path)
    with pytest.raises(DuchenneError, match="label is 1, and the file does not say which class"):
        read("affectnet-hq", source)
    path.write_bytes(b"PAR1")
    with pytest.raises(DuchenneError, match="no readable column label"):
        read("affectnet-hq", source)


def test_aff_wild2(lay: Any, read: Any) -> None:
    units = "AU1,AU2,AU4\n1,0,-1\n-1,-1,-1\n"
    classes = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n4\n-1\n7\n1\n"
    source = lay(
        {
            "annotations/VA_Estimation_Challenge/Train_Set/1-30_left.txt": (
                "valence,arousal\n0.5,-0.5\n-5,-5\n0.1,0.2\n"
            ),
            "6th ABAW Annotations/EXPR_Recognition_Challenge/Validation_Set/1-30_left.txt": classes,
            "annotations/AU_Detection_Challenge/Train_Set/1-30_left.txt": units,
            "annotations/AU_Detection_Challenge/Train_Set/9.txt": units,
            **{f"cropped_aligned/1-30_left/{i:05d}.jpg": "" for i in (1, 2, 4)},
        }
    )
    found, _ = read("aff-wild2-va", source)  # line 3 has no picture, line 2 no rating
    assert [dict(p.labels) for p in found] == [{"valence": 0.5, "arousal": -0.5}]
    assert (found[0].subject, found[0].frame, found[0].condition) == ("1-30", 0, "Train_Set")
    found, _ = read("aff-wild2-expr", source)
    assert [(named(p), p.path.name) for p in found] == [
        ("happiness", "00001.jpg"),
        ("anger", "00004.jpg"),
    ]
    found, notes = read("aff-wild2-au", source)
    assert [dict(p.labels) for p in found] == [{"AU01": 1, "AU02": 0}]
    assert notes == ["9 has labels, but no pictures"]
    lay(
        {
            "6th ABAW Annotations/EXPR_Recognition_Challenge/Validation_Set/1-30_left.txt": classes
            + "12\n"
        }
    )
    with pytest.raises(DuchenneError, match=r"line 6: '12' cannot be read \(the class is 12"):
        read("aff-wild2-expr", source)
    lay({"annotations/VA_Estimation_Challenge/Train_Set/1-30_left.txt": "valence,arousal\n3,0\n"})
    with pytest.raises(DuchenneError, match="valence is 3, and may be -1 to 1"):
        read("aff-wild2-va", source)


def test_afew_va(lay: Any, read: Any) -> None:
    note = {
        "actor": "a_1",
        "frames": {
            "00000": {"landmarks": [[1, 2]], "valence": -3.0, "arousal": 10.0},
            "00001": {"landmarks": [[1, 2]], "valence": 0.0, "arousal": 0.0},
        },
    }
    source = lay({"01/001/001.json": json.dumps(note), "01/001/00000.png": ""})
    found, notes = read("afew-va", source)
    assert [dict(p.labels) for p in found] == [{"valence": -0.3, "arousal": 1.0}]
    assert (found[0].subject, found[0].condition) == ("a_1", "001")
    assert notes == ["001: 1 pictures are missing"]
    lay({"01/001/001.json": json.dumps(note)[:-3]})
    with pytest.raises(DuchenneError, match=r"001.json cannot be read"):
        read("afew-va", source)


def test_recola(lay: Any, read: Any) -> None:
    def arff(*values: float) -> str:
        lines = "".join(f"'P16',{i * 0.04:.2f},{v}\n" for i, v in enumerate(values))
        return f"@relation x\n@attribute a numeric\n\n@data\n{lines}"

    source = lay(
        {
            "ratings_gold_standard/valence/P16.arff": arff(0.1, 0.2),
            "ratings_gold_standard/arousal/P16.arff": arff(-0.1, -0.2),
            "ratings_gold_standard/valence/P17.arff": arff(0.1, 0.2),
            "recordings_video/P16.mp4": "",
        }
    )
    found, notes = read("recola", source)
    assert [(p.time_s, dict(p.labels)) for p in found] == [
        (0.0, {"valence": 0.1, "arousal": -0.1}),
        (0.04, {"valence": 0.2, "arousal": -0.2}),
    ]
    assert notes == ["P17 has no film"]
    shutil.rmtree(source / "ratings_gold_standard")
    lay(
        {
            "ratings_individual/valence/P16.csv": "time;FM1;FM2\n0.00;0.2;0.4\n0.04;0;0\n",
            "ratings_individual/arousal/P16.csv": "time;FM1;FM2\n0.00;-1;0\n0.04;0;0\n",
        }
    )
    found, _ = read("recola", source)
    assert found[0].labels == pytest.approx({"valence": 0.3, "arousal": -0.5})


def test_sewa(lay: Any, read: Any) -> None:
    table = (
        "name;timestamp;arousal;valence;liking\n" + "Train_01;0.0;0.1;0.2;0\nTrain_01;0.1;0.3;;0\n"
    )
    found, notes = read(
        "sewa",
        lay({"labels/Train_01.csv": table, "video/Train_01.avi": "", "meta.csv": "a,b\n1,2\n"}),
    )
    assert [(p.time_s, dict(p.labels)) for p in found] == [
        (0.0, {"arousal": 0.1, "valence": 0.2}),
        (0.1, {"arousal": 0.3}),
    ]
    assert notes == ["meta.csv has no time, or neither valence nor arousal"]


def test_omg_emotion(lay: Any, read: Any) -> None:
    table = (
        "link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"
        "x,0,1,abc,utterance_1.mp4,0.25,-0.5,5\nx,1,2,abc,utterance_2.mp4,0.5,0,4\n"
    )
    hidden = "link,start,end,video,utterance\nx,0,1,abc,utterance_3.mp4\n"
    source = lay({"omg_TrainVideos.csv": table, "omg_TestVideos_WithoutLabels.csv": hidden})
    film_at(source / "TrainVideos" / "abc" / "utterance_1.mp4")
    found, notes = read("omg-emotion", source)
    assert len(found) > 100
    assert dict(found[7].labels) == {"valence": -0.5, "arousal": -0.5, "expression": 2}
    assert (found[7].subject, found[7].frame) == ("abc", 7)
    assert notes == [
        "omg_TestVideos_WithoutLabels.csv has no labels",
        "omg_TrainVideos.csv: 1 utterances have no film",
    ]


def test_raf_db(lay: Any, read: Any) -> None:
    source = lay(
        {
            "basic/EmoLabel/list_patition_label.txt": (
                "train_00001.jpg 5\ntest_0002.jpg 4\ntest_0003.jpg 1\n"
            ),
            "basic/Image/original/train_00001.jpg": "",
            "basic/Annotation/boundingbox/train_00001_boundingbox.txt": "10.5 20 110.5 140 \n",
            "basic/Image/aligned/test_0002_aligned.jpg": "",
        }
    )
    found, notes = read("raf-db", source)
    assert [(named(p), p.condition, p.box) for p in found] == [
        ("sadness", "train", (10.5, 20, 100, 120)),
        ("happiness", "test", None),
    ]
    assert notes == ["1 pictures are missing"]
    lay({"basic/EmoLabel/list_patition_label.txt": "train_00001.jpg 8\n"})
    with pytest.raises(DuchenneError, match="has the class '8', and may have 1 to 7"):
        read("raf-db", source)


def test_mead(lay: Any, read: Any) -> None:
    source = lay({"M003/audio/x.txt": "", "W009/readme.txt": ""})
    film_at(source / "M003/video/front/disgusted/level_2/001.mp4")
    film_at(source / "M003/video/front/bored/level_2/001.mp4")
    found, notes = read("mead", source)
    assert {named(p) for p in found} == {"disgust"}
    assert (found[3].subject, found[3].condition) == ("M003", "front disgusted level_2 001")
    assert notes == ["'bored' is no class of ours", "W009 has no films"]


def test_celebv_hq(lay: Any, read: Any) -> None:
    def clip(labels: Any) -> dict[str, Any]:
        emotion = {"sep_flag": not isinstance(labels, str), "labels": labels}
        return {"ytb_id": "M2", "attributes": {"emotion": emotion}}

    parts = [
        {"emotion": "neutral", "start_sec": 0, "end_sec": 0.28},
        {"emotion": "happy", "start_sec": 1.28, "end_sec": 1.4},
    ]
    clips = {"M2_1": clip("sadness"), "M2_2": clip(parts), "M2_3": clip("neutral")}
    source = lay({"celebvhq_info.json": json.dumps({"clips": clips})})
    film_at(source / "M2_1.mp4")
    film_at(source / "M2_2.mp4")
    found, notes = read("celebv-hq", source)
    whole = [p for p in found if p.condition == "M2_1"]
    assert {named(p) for p in whole} == {"sadness"}
    stretches = [(named(p), p.time_s) for p in found if p.condition == "M2_2"]
    assert stretches[:2] == [("neutral", 0.0), ("neutral", 0.04)]
    assert stretches[-3:] == [("happiness", 1.28), ("happiness", 1.32), ("happiness", 1.36)]
    assert {p.subject for p in found} == {"M2"}
    assert notes == ["1 of 3 clips have no film"]


def test_faces_without_labels(lay: Any, read: Any) -> None:
    source = lay(
        {
            "people/0001/a.jpg": "",
            "people/0001/b.png": "",
            "people/0002/c.jpg": "",
            "people/0003/none.txt": "",
            "celeba/img_align_celeba/000001.jpg": "",
            "celeba/identity_CelebA.txt": "000001.jpg 2880\n000002.jpg 7\n",
        }
    )
    found, notes = read("faces-by-person", source / "people")
    assert [p.subject for p in found] == ["0001", "0001", "0002"]
    assert notes == ["0003 holds no pictures"]
    assert found[0].labels == {}
    found, notes = read("celeba", source / "celeba")
    assert ([p.subject for p in found], notes) == (["2880"], ["1 pictures are missing"])
    found, _ = read("faces", source / "people")
    assert [p.subject for p in found] == ["0001/a.jpg", "0001/b.png", "0002/c.jpg"]
