"""Few labels: pairs, what they teach, exact seeds, and everything that is refused by its name."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.finetune_cases import LABELS, TEXTS, make_torch_encoder  # noqa: E402
from tlclassic.errors import InvalidParameterError  # noqa: E402
from tlclassic.finetune import fine_tune  # noqa: E402
from tlclassic.finetune.batches import TextTokenizer  # noqa: E402
from tlclassic.finetune.contrastive import _vectors, train_few  # noqa: E402
from tlclassic.finetune.layout import read_layout  # noqa: E402
from tlclassic.finetune.options import FineTuneOptions  # noqa: E402
from tlclassic.finetune.pairs import PairTrainer, draw_pairs  # noqa: E402

pytestmark = pytest.mark.finetune

FAST = {"learning_rate": 1e-2, "decay": 1.0, "schedule": "linear", "encoder_dropout": 0.0, "precision": "float32",
        "threads": 1}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_torch_encoder(tmp_path_factory.mktemp("few") / "tiny")


def few(folder, texts=TEXTS, labels=LABELS, *, pairs=640, dev=None, classes=None, on_progress=None, **options):
    hooks = {name: options.pop(name, None) for name in ("prepare", "on_step")}
    options = FineTuneOptions(**{**FAST, **options})
    return train_few(
        folder, texts, labels, options, pairs=pairs, dev=dev, classes=classes, on_progress=on_progress, **hooks
    )


def vectors(folder, model):
    tokenizer = TextTokenizer(read_layout(folder))
    found = _vectors(model, tokenizer(TEXTS), tokenizer.pad)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def apart(unit):
    """Mean cosine of texts of one class less that of texts of two."""
    same = np.equal.outer(np.array(LABELS), np.array(LABELS))
    cosines = unit @ unit.T
    return cosines[same].mean() - cosines[~same].mean()


def test_texts_of_one_class_become_alike_and_new_ones_are_told(folder):
    unseen = ["a great parcel", "a poor parcel", "my fine order", "my late order"]
    steps = []
    done = few(folder, dev=(unseen, ["pos", "neg"] * 2), on_progress=lambda *at: steps.append(at))
    before = few(folder, train="head")
    assert apart(vectors(folder, before.model)) < 0.5
    assert apart(vectors(folder, done.model)) > 0.8
    assert done.best["dev_accuracy"] == 1.0
    assert done.tasks[0].classes.tolist() == ["neg", "pos"]
    assert (steps[0], steps[-1], len(steps)) == ((1, 40), (40, 40), 40)
    assert [entry["step"] for entry in done.history] == [4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 40]
    assert done.history[-1]["loss"] < done.history[0]["loss"] / 2
    assert not done.model.training


def test_head_alone_is_a_regression_on_vectors_as_they_were(folder):
    first, second = (few(folder, train="head", seed=seed).model.state_dict() for seed in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_seed_gives_the_same_weights_and_another_seed_others(folder):
    first, second, other = (few(folder, pairs=64, seed=seed).model.state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["heads.0.layers.0.weight"], other["heads.0.layers.0.weight"])


def test_torchs_own_random_state_is_left_alone(folder):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    few(folder, pairs=16)
    assert torch.equal(torch.rand(3), expected)


def test_weights_of_classes_move_the_border(folder):
    def lean(weight):
        model = few(folder, train="head", class_weight=weight).model
        with torch.no_grad():
            logits = model(
                torch.from_numpy(TextTokenizer(read_layout(folder))(["the film"]).ids[None].astype(np.int64))
            )
        return float(logits["label"][0, 1] - logits["label"][0, 0])

    assert lean({"pos": 20.0}) > lean(None) + 0.3
    assert lean({"neg": 20.0}) < lean(None) - 0.3


def members(targets):
    return [np.flatnonzero(targets == own) for own in np.unique(targets)]


def test_pairs_are_half_of_one_class_and_rare_classes_are_drawn_as_often():
    targets = np.array([0] * 900 + [1] * 90 + [2] * 10)
    steps = [draw_pairs(members(targets), 0, step) for step in range(500)]
    left, right, wanted = (np.concatenate(parts) for parts in zip(*steps, strict=True))
    assert len(left) == 8000
    assert wanted.mean() == 0.5
    np.testing.assert_array_equal(targets[left] == targets[right], wanted == 1)
    shares = np.bincount(targets[left]) / 8000
    np.testing.assert_allclose(shares, 1 / 3, atol=0.03)
    # Of the 900 texts of the first class each comes about three times on the left, and no two steps are the same.
    assert len(np.unique(left)) > 900
    assert len({tuple(own) for own, _, _ in steps}) == 500


def test_pairs_of_a_step_depend_on_the_seed_and_the_step_alone():
    own = members(np.arange(1000) % 2)
    first, second, later, other = (draw_pairs(own, *at)[0] for at in ((3, 7), (3, 7), (3, 8), (4, 7)))
    np.testing.assert_array_equal(first, second)
    assert (first != later).any()
    assert (first != other).any()


def test_memory_of_pairs_does_not_grow_with_their_number():
    rows = members(np.arange(20_000) % 2)
    tracemalloc.start()
    for step in range(200):
        draw_pairs(rows, 0, step)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All pairs of so many texts would be 400 million; their rows alone are 160 kB.
    assert peak < 2_000_000


def test_a_state_holds_what_is_trained_and_fits_its_own_run_alone(folder):
    kept = {}

    def keep(trainer):
        if trainer.state.step == 3:
            arrays = {name: value.clone() for name, value in trainer.state_arrays().items()}
            kept.update(arrays=arrays, state=json.loads(json.dumps(trainer.state_json())))

    few(folder, pairs=160, train="top-1", on_step=keep)
    assert {name.split("/")[0] for name in kept["arrays"]} == {"weights", "step", "exp_avg", "exp_avg_sq"}
    assert {name.split("/")[1].split(".layer.1.")[0] for name in kept["arrays"]} == {"backbone.encoder"}
    assert kept["state"]["step"] == 3
    assert kept["state"]["finished"] is False
    assert [entry["step"] for entry in kept["state"]["history"]] == [1, 2, 3]

    def load(trainer):
        assert isinstance(trainer, PairTrainer)
        trainer.load_state(kept["arrays"], kept["state"])

    steps = []
    few(folder, pairs=160, train="top-1", prepare=load, on_progress=lambda *at: steps.append(at))
    assert steps == [(step, 10) for step in range(4, 11)]
    for other in ({"pairs": 320}, {"seed": 1}):
        with pytest.raises(InvalidParameterError, match="of a run with other options or texts"):
            few(folder, **{"pairs": 160, "train": "top-1", "prepare": load, **other})


def test_where_the_head_alone_is_trained_there_is_no_state_to_keep(folder):
    calls = []
    done = few(folder, train="head", prepare=calls.append, on_step=calls.append)
    assert (calls, done.history) == ([], [{"step": 0, "epoch": 0.0, "loss": 0.0}])


@pytest.mark.parametrize(
    ("labels", "more", "message"),
    [
        (np.full((32, 2), 0.5), {"classes": ["a", "b"]}, "one hard label a text"),
        ({"a": LABELS, "b": LABELS}, {}, "needs one task"),
        ([None, *LABELS[1:]], {}, "missing labels"),
        (LABELS, {"classes": ["neg", "odd", "pos"]}, "a text of every class; there is none of 'odd'"),
        (LABELS, {"head": (8,)}, "fits a linear head. Leave head out"),
        (LABELS, {"epochs": 2}, "epochs has no say in few-shot tuning"),
        (LABELS, {"patience": 3}, "patience has no say in few-shot tuning"),
        (LABELS, {"gradual_unfreezing": True}, "gradual_unfreezing has no say in few-shot tuning"),
        (LABELS, {"train": "top-3"}, "at most 'top-2'"),
        (LABELS, {"max_length": 65}, "max_length must be at most 64, the positions of this encoder; got 65"),
        (LABELS[:5], {}, "a row for every text: 32; got 5"),
    ],
)
def test_what_few_labels_cannot_be_is_refused(folder, labels, more, message):
    with pytest.raises(InvalidParameterError, match=message):
        few(folder, labels=labels, **more)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"contrastive": True, "sample_weight": np.ones(32)}, "contrastive takes hard labels without weights"),
        ({"contrastive": True, "multilabel": True}, "contrastive takes hard labels without weights"),
        ({"contrastive": True, "pairs": 0}, "pairs must be .*1"),
        ({"pairs": 10}, "pairs are drawn with contrastive=True alone"),
        ({"contrastive": "yes"}, "contrastive must be"),
    ],
)
def test_options_that_do_not_go_together_are_refused(folder, tmp_path, more, message):
    with pytest.raises(InvalidParameterError, match=message):
        fine_tune(folder, TEXTS, LABELS, tmp_path / "out", **more)
    assert list(tmp_path.iterdir()) == []


def test_the_result_is_a_folder_as_any_other(folder, tmp_path):
    import tlclassic

    result = fine_tune(folder, TEXTS, LABELS, tmp_path / "out", contrastive=True, pairs=640, int8=False,
                       dev=(TEXTS, LABELS), learning_rate=3e-3, threads=1)  # fmt: skip
    assert result.resumed is None
    assert tlclassic.load(result.path).predict(["a great parcel", "a poor parcel"]).tolist() == ["pos", "neg"]
    assert (
        "Contrastive tuning on pairs, then logistic regression (640 pairs)" in (result.path / "README.md").read_text()
    )
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
