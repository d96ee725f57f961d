"""Several tasks on one encoder: attention of each task, between tasks, sampling, one graph, several files."""

from __future__ import annotations

import doctest

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import tlclassic  # noqa: E402
from tests.finetune_cases import LABELS, TEXTS, make_torch_encoder  # noqa: E402
from tlclassic import EncoderClassifier  # noqa: E402
from tlclassic.distillation import open_teacher  # noqa: E402
from tlclassic.encoders import OnnxEncoder  # noqa: E402
from tlclassic.errors import InvalidParameterError  # noqa: E402
from tlclassic.finetune import batches, fine_tune, fine_tune_tasks, joining  # noqa: E402
from tlclassic.finetune.batches import sampled_rows  # noqa: E402
from tlclassic.finetune.frozen import StateInputs, TokenInputs, frozen_layers  # noqa: E402
from tlclassic.finetune.loop import Trainer  # noqa: E402
from tlclassic.finetune.model import EncoderWithHeads, load_backbone, parameter_groups  # noqa: E402
from tlclassic.finetune.options import FineTuneOptions  # noqa: E402
from tlclassic.finetune.task_attention import CrossTask, TaskPooling  # noqa: E402

pytestmark = pytest.mark.finetune

FAST = {
    "epochs": 12, "batch_size": 8, "learning_rate": 0.01, "head_learning_rate": 0.01, "dropout": 0.0,
    "precision": "float32", "threads": 1, "int8": False,
}  # fmt: skip
#: Half of the texts say the mood, the other half the thing, by several labels a text.
MOODS = (TEXTS[:16], LABELS[:16])
THINGS = (TEXTS[16:], np.array([["card" in text, "phone" in text] for text in TEXTS[16:]], np.float32))
SETS = {"mood": MOODS, "its.things": THINGS}
KINDS = {"classes": {"its.things": ["card", "phone"]}, "multilabel": {"its.things": True}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_torch_encoder(tmp_path_factory.mktemp("tasks") / "tiny")


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "out"
    return fine_tune_tasks(folder, SETS, out, dev={"mood": MOODS}, **KINDS, **{**FAST, "epochs": 20, "int8": True})


# -- attention ---------------------------------------------------------------------------------------------------------


def test_a_task_attends_to_tokens_and_not_to_padding():
    torch.manual_seed(0)
    pool = TaskPooling(4, 3)
    states, mask = torch.randn(2, 5, 4), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    weights = pool.weights(states, mask)
    assert weights.shape == (2, 3, 5)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(2, 3))
    assert (weights[0, :, 3:] == 0).all()
    found = pool(states, mask)
    torch.testing.assert_close(found[0], pool(states[:1, :3], None)[0])
    # Queries begin near zero: all tasks pool by the mean.
    torch.testing.assert_close(found[1], states[1].mean(dim=0).expand(3, 4), atol=0.1, rtol=0)
    with torch.no_grad():
        pool.query[0] = 100 * states[1, 2]
    torch.testing.assert_close(pool(states, mask)[1, 0], states[1, 2], atol=1e-3, rtol=1e-3)


def test_tasks_attend_to_each_other():
    torch.manual_seed(0)
    cross, vectors = CrossTask(4), torch.randn(2, 3, 4)
    torch.testing.assert_close(cross(vectors), vectors)
    torch.testing.assert_close(cross.weights(vectors).sum(dim=2), torch.ones(2, 3))
    with torch.no_grad():
        cross.out.weight.copy_(torch.eye(4))
    changed = vectors.clone()
    changed[:, 2] += 1
    assert (cross(changed)[:, 0] != cross(vectors)[:, 0]).any()


def _model(folder, **options):
    settings = FineTuneOptions(**options)
    model = EncoderWithHeads(load_backbone(folder), {"a": 2, "b": 3}, settings)
    return model, settings, parameter_groups(model, settings)


def test_what_is_not_of_the_encoder_is_trained_at_the_rate_of_heads(folder):
    model, settings, groups = _model(folder, train="head", task_pooling="attention", cross_attention=True)
    trained = {id(parameter) for group in groups for parameter in group["params"]}
    assert {id(model.task_pooling.query), id(model.cross_task.out.weight), id(model.heads[1].layers[0].bias)} <= trained
    assert {group["rate"] for group in groups} == {settings.head_rate}
    # Their vectors are not fixed by frozen layers: the uppermost runs every time.
    assert frozen_layers(model) == len(model.layers) - 1
    assert frozen_layers(_model(folder, train="head")[0]) == len(model.layers)
    assert frozen_layers(_model(folder, train="all", task_pooling="attention")[0]) == -1


# -- sampling ----------------------------------------------------------------------------------------------------------


def test_small_tasks_are_drawn_more_often():
    large, small = np.arange(100) < 90, np.arange(100) >= 90
    assert sampled_rows([large, small], 1.0, 0, 0).tolist() == list(range(100))
    rows = sampled_rows([large, small], 2.0, 0, 0)
    # The roots of 90 and 10 are as 3 to 1.
    assert len(rows) == 100
    assert (rows >= 90).sum() in (25, 26)
    counts = np.bincount(rows, minlength=100)
    assert set(counts[:90]) == {0, 1}
    assert set(counts[90:]) == {2, 3}
    assert (sampled_rows([large, small], 2.0, 0, 1) != rows).any()
    assert (sampled_rows([large, small], 2.0, 0, 0) == rows).all()


def test_texts_without_a_label_are_not_drawn():
    first, second = np.arange(10) < 2, (np.arange(10) >= 2) & (np.arange(10) < 6)
    assert sampled_rows([first, second], 3.0, 0, 0).max() < 6


def test_doctests():
    for module in (batches, joining):
        found = doctest.testmod(module)
        assert found.attempted > 0
        assert found.failed == 0


# -- the result --------------------------------------------------------------------------------------------------------


def test_sets_without_a_common_text_train_one_model(made):
    model = tlclassic.load(made.path)
    assert model.tasks == ["mood", "its.things"]
    assert made.best["dev_accuracy"] == 1.0
    assert model.predict_tasks(["a great film", "a poor plot"])["mood"].tolist() == ["pos", "neg"]
    assert model.predict_tasks(["a great card", "a poor phone"])["its.things"].tolist() == [[1, 0], [0, 1]]
    assert made.int8 is not None


def test_one_graph_has_the_logits_of_every_task(made):
    session = onnxruntime.InferenceSession(made.path / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    assert names == ["sentence_embedding", "logits_mood", "logits_its.things"]
    encoder = OnnxEncoder(made.path, file="onnx/model.onnx")
    assert encoder.transform(["a great card"]).shape == (1, 2 * 16)
    ids = np.array([encoder._opened.pieces.numbers(["a great card"], 64)[0][0]], np.int64)
    logits = dict(zip(names, session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)}), strict=True))
    shares = EncoderClassifier(made.path, file="onnx/model.onnx").predict_proba_tasks(["a great card"])
    mood = np.exp(logits["logits_mood"])
    np.testing.assert_allclose(shares["mood"], mood / mood.sum(), atol=1e-5)
    np.testing.assert_allclose(shares["its.things"], 1 / (1 + np.exp(-logits["logits_its.things"])), atol=1e-5)


def test_it_teaches_several_tasks(made):
    model = EncoderClassifier(made.path)
    shares = model.predict_proba_tasks(TEXTS)
    assert {name: P.shape for name, P in shares.items()} == {"mood": (32, 2), "its.things": (32, 2)}
    assert [own.tolist() for own in model.classes_of_tasks().values()] == [["neg", "pos"], ["card", "phone"]]
    teacher = open_teacher(EncoderClassifier(made.path, task="its.things"))
    assert teacher.multilabel
    np.testing.assert_allclose(teacher.probabilities(TEXTS), shares["its.things"], atol=1e-5)


@pytest.mark.parametrize(("train", "kind"), [("head", StateInputs), ("top-1", StateInputs), ("all", TokenInputs)])
def test_whatever_is_trained_the_graph_gives_its_logits(folder, tmp_path, monkeypatch, train, kind):
    seen = []
    whole = Trainer.run
    monkeypatch.setattr(Trainer, "run", lambda own: (seen.append(type(own.inputs)), whole(own)))
    result = fine_tune_tasks(folder, SETS, tmp_path / "out", train=train, head=(4,), **KINDS, **{**FAST, "epochs": 1})
    assert seen == [kind]
    assert result.parity["max_difference"] < 1e-4


def test_the_same_seed_gives_the_same_weights(folder, tmp_path):
    paths = [tmp_path / name for name in ("first", "second")]
    for path in paths:
        fine_tune_tasks(folder, SETS, path, **KINDS, **{**FAST, "epochs": 2, "dropout": 0.2})
    first, second = (EncoderClassifier(path).predict_proba_tasks(TEXTS) for path in paths)
    np.testing.assert_array_equal(first["mood"], second["mood"])


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FineTuneOptions(cross_attention=True), "cross_attention=True needs a vector for each task"),
        (lambda: FineTuneOptions(temperature=0.5), "temperature must be at least 1"),
        (lambda: FineTuneOptions(task_pooling="own"), "task_pooling must be one of"),
        (lambda: fine_tune_tasks("x", {}, "y"), "sets must be a dict of name to"),
        (lambda: fine_tune_tasks("x", {"a": (["t"], [])}, "y"), r"sets\['a'\] must have a label for each of 1 texts"),
        (lambda: fine_tune_tasks("x", {"a": MOODS}, "y", dev={"b": MOODS}), "dev must have tasks of sets"),
    ],
)
def test_refused(call, message):
    with pytest.raises(InvalidParameterError, match=message):
        call()


def test_pairs_of_few_labels_have_one_pooling(folder, tmp_path):
    with pytest.raises(InvalidParameterError, match="task_pooling has no say in few-shot tuning"):
        fine_tune(folder, TEXTS, LABELS, tmp_path / "out", contrastive=True, task_pooling="attention")
