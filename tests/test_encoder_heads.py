"""``heads.tlc``: layers by hand, what is written is read, and what does not fit is refused."""

import math

import numpy as np
import pytest

from tlclassic.errors import (
    ArtifactVersionError,
    CorruptArtifactError,
    ForeignArtifactError,
    InputError,
    InvalidParameterError,
)
from tlclassic.heads.encoder_heads import HEADS_FILE, Heads, HeadTask, TaskHead, read_heads, write_heads
from tlclassic.storage import Artifact, ArtifactWriter

IDENTITY = (np.eye(2), np.zeros(2))


def task(name="label", classes=("neg", "pos"), layers=(IDENTITY,), **options):
    return HeadTask(name, classes, layers, **options)


def test_one_layer_by_hand():
    head = task(layers=[([[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]], [0.5, 0.0, -1.0])], classes=[3, 1, 2])
    assert head.logits([[1.0, 1.0], [0.0, 2.0]]).tolist() == [[3.5, -1.0, 2.5], [4.5, -2.0, 0.0]]
    assert head.logits(np.zeros((0, 2))).shape == (0, 3)
    assert head.dim == 2
    assert TaskHead.of(head).predict([[1.0, 1.0], [0.0, 2.0]]).tolist() == [3, 3]


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", lambda x: max(x, 0.0)),
        ("tanh", math.tanh),
        ("gelu", lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2)))),
    ],
)
def test_activations_stand_between_layers_and_not_after_the_last(activation, function):
    head = task(layers=[IDENTITY, ([[2.0, 0.0], [0.0, -3.0]], [0.0, 1.0])], activation=activation)
    got = head.logits([[0.7, -1.3]])
    assert got[0].tolist() == pytest.approx([2 * function(0.7), 1 - 3 * function(-1.3)], rel=1e-6)


@pytest.mark.parametrize(
    ("classes", "dtype"),
    [
        (["neg", "ümläut"], "<U6"),
        ([-5, 7], "int64"),
        ([False, True], "bool"),
        ([0.5, 2.0], "float64"),
        (np.array(["a", "bc"], dtype=object), "<U2"),
        (np.array([1, 2], dtype=np.uint8), "int64"),
    ],
)
def test_what_is_written_is_read(tmp_path, classes, dtype):
    rng = np.random.default_rng(0)
    deep = HeadTask(
        "topic/ü",
        ["x", "y", "z"],
        [(rng.normal(size=(4, 2)), rng.normal(size=4)), (rng.normal(size=(3, 4)), rng.normal(size=3))],
        multilabel=True,
        thresholds=[0.1, 0.5, 1.0],
        activation="gelu",
    )
    provenance = {"task": {"text": "body", "label": "label", "separator": ","}, "epochs": 3}
    write_heads(tmp_path, [task(classes=classes), deep], provenance)
    heads = read_heads(tmp_path / HEADS_FILE)
    assert heads.names == ["label", "topic/ü"]
    assert heads.provenance == provenance
    assert heads["label"].classes.dtype == dtype
    assert heads["label"].classes.tolist() == list(classes)
    assert (heads["label"].multilabel, heads["label"].thresholds, heads["label"].activation) == (False, None, None)
    again = heads["topic/ü"]
    assert (again.multilabel, again.thresholds.tolist(), again.activation) == (True, [0.1, 0.5, 1.0], "gelu")
    assert [array.tobytes() for pair in again.layers for array in pair] == [
        array.tobytes() for pair in deep.layers for array in pair
    ]
    assert read_heads(tmp_path).names == heads.names


def test_thresholds_decide_labels():
    head = task(multilabel=True, thresholds=[0.8, 0.2])
    logits = [[1.0, 1.0], [2.0, -1.0], [-3.0, -3.0]]
    assert TaskHead.of(head).predict(logits).tolist() == [[0, 1], [1, 1], [0, 0]]
    assert TaskHead.of(task(multilabel=True)).predict(logits).tolist() == [[1, 1], [1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": ""}, "name must be a string that is not empty; got ''"),
        ({"classes": ["a"]}, "has 2 outputs, but 1 classes"),
        ({"classes": ["a", "a"]}, "must be distinct"),
        ({"classes": ["a", 1]}, "must be a list of strings, integers, booleans or floats"),
        ({"classes": [0.0, math.nan]}, "must be distinct|finite"),
        ({"classes": [None, "a"]}, "must be a list of strings"),
        ({"layers": []}, "must have 1 to 16 layers; got 0"),
        ({"layers": [IDENTITY] * 17, "activation": "relu"}, "must have 1 to 16 layers; got 17"),
        ({"layers": [(np.eye(2), np.zeros(3))]}, r"layer 0 has a weight of shape \(2, 2\) and a bias of shape \(3,\)"),
        ({"layers": [IDENTITY, (np.ones((2, 3)), np.zeros(2))], "activation": "relu"}, r"layer 1 .* \(out, 2\)"),
        ({"layers": [(np.full((2, 2), np.inf), np.zeros(2))]}, "layer 0 holds numbers that are not finite"),
        ({"layers": [IDENTITY, IDENTITY]}, "activation must be one of 'gelu', 'relu', 'tanh'; got None"),
        ({"layers": [IDENTITY, IDENTITY], "activation": "swish"}, "activation must be one of .* got 'swish'"),
        ({"thresholds": [0.5, 0.5]}, "thresholds are for multilabel=True"),
        ({"thresholds": [0.5], "multilabel": True}, "thresholds must be 2 numbers in 0..1"),
        ({"thresholds": [0.5, 1.5], "multilabel": True}, "thresholds must be 2 numbers in 0..1"),
        ({"layers": [(np.ones((1, 2)), np.zeros(1))], "classes": ["a"]}, "needs two classes at least"),
    ],
)
def test_parts_that_do_not_fit_are_refused(options, message):
    with pytest.raises(InvalidParameterError, match=message):
        task(**options)


def test_tasks_that_do_not_fit_together_are_refused(tmp_path):
    with pytest.raises(InvalidParameterError, match="names must differ"):
        write_heads(tmp_path, [task(), task()], {})
    with pytest.raises(InvalidParameterError, match="same width"):
        write_heads(tmp_path, [task(), task("b", layers=[(np.ones((2, 3)), np.zeros(2))])], {})
    with pytest.raises(InvalidParameterError, match="1 to 1000 tasks; got 0"):
        Heads(())
    with pytest.raises(InvalidParameterError, match="cannot be written as JSON"):
        write_heads(tmp_path, [task()], {"model": object()})
    assert list(tmp_path.iterdir()) == []


def test_vectors_of_another_encoder_are_refused():
    with pytest.raises(InvalidParameterError, match=r"takes vectors of shape \(n, 2\); got \(1, 3\)"):
        task().logits([[1.0, 2.0, 3.0]])
    with pytest.raises(InvalidParameterError, match="task must be one of 'label'; got 'sentiment'"):
        Heads([task()])["sentiment"]


# -- files that were altered -----------------------------------------------------------------------------------------


def rewrite(path, metadata=None, arrays=None, kind="encoder-heads"):
    """The file at ``path`` with other facts or blocks, and right checksums."""
    old = Artifact(path)
    blocks = {name: np.array(old.array(name)) for name in old.names}
    facts = {**old.metadata, **(metadata or {})}
    del old
    with ArtifactWriter(path, kind=kind) as writer:
        writer.metadata.update(facts)
        for name, array in {**blocks, **(arrays or {})}.items():
            if array is not None:
                writer.add(name, array)


def facts(**changes):
    return {
        "tasks": [
            {
                "name": "label",
                "classes": ["neg", "pos"],
                "classes_dtype": "str",
                "multilabel": False,
                "thresholds": None,
                "activation": None,
                "layers": 1,
                **changes,
            }
        ]
    }


@pytest.mark.parametrize(
    ("metadata", "arrays"),
    [
        ({"format": 0}, {}),
        ({"format": "1"}, {}),
        ({"tasks": []}, {}),
        ({"tasks": {}}, {}),
        ({"tasks": [None]}, {}),
        ({"tasks": facts()["tasks"] * 2000}, {}),
        ({"provenance": []}, {}),
        (facts(name=3), {}),
        (facts(classes=["neg"]), {}),
        (facts(classes=["neg", 1]), {}),
        (facts(classes="np"), {}),
        (facts(classes=[["a"], ["b"]]), {}),
        (facts(classes_dtype="object"), {}),
        (facts(classes_dtype=["str"]), {}),
        (facts(classes_dtype="int64"), {}),
        (facts(classes=[1 << 80, 2], classes_dtype="int64"), {}),
        (facts(multilabel=1), {}),
        (facts(thresholds="0.5"), {}),
        (facts(thresholds=[0.1, 0.2]), {}),
        (facts(multilabel=True, thresholds=[0.1, None]), {}),
        (facts(activation="sin"), {}),
        (facts(layers=0), {}),
        (facts(layers=2), {}),
        (facts(layers=10**9), {}),
        (facts(layers=True), {}),
        ({}, {"0/0/weight": None}),
        ({}, {"0/0/weight": np.zeros((3, 2), dtype=np.float32)}),
        ({}, {"0/0/weight": np.zeros((2, 2), dtype=np.float64)}),
        ({}, {"0/0/bias": np.array([0, np.nan], dtype=np.float32)}),
    ],
)
def test_altered_files_are_refused(tmp_path, metadata, arrays):
    write_heads(tmp_path, [task()])
    rewrite(tmp_path / HEADS_FILE, metadata, arrays)
    with pytest.raises(CorruptArtifactError, match=HEADS_FILE):
        read_heads(tmp_path)


def test_damaged_foreign_newer_and_missing_files_are_refused(tmp_path):
    path = tmp_path / HEADS_FILE
    with pytest.raises(InputError, match="cannot be read"):
        read_heads(path)
    write_heads(path, [task(layers=[(np.ones((2, 400_000)), np.zeros(2))])])
    raw = bytearray(path.read_bytes())
    raw[2_000_000] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CorruptArtifactError, match="block '0/0/weight' is damaged"):
        read_heads(path)
    write_heads(path, [task()])
    rewrite(path, {"format": 2})
    with pytest.raises(ArtifactVersionError, match="heads of format 2; this tlclassic reads up to 1"):
        read_heads(path)
    rewrite(path, {"format": 1}, kind="pipeline")
    with pytest.raises(ForeignArtifactError, match="holds 'pipeline', not 'encoder-heads'"):
        read_heads(path)
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ForeignArtifactError, match="not a tlclassic file"):
        read_heads(path)
