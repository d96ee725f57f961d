"""The parts of training: options, schedules, batches, losses, tasks."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tlclassic.errors import InvalidParameterError  # noqa: E402
from tlclassic.finetune.batches import Tokens, epoch_batches, sorted_batches  # noqa: E402
from tlclassic.finetune.losses import loss_of, scores_of, smoothed  # noqa: E402
from tlclassic.finetune.options import FineTuneOptions  # noqa: E402
from tlclassic.finetune.schedule import factor, unfrozen  # noqa: E402
from tlclassic.finetune.tasks import read_tasks  # noqa: E402

pytestmark = pytest.mark.finetune


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"train": "top-0"}, "'top-K' with K of 1 or more"),
        ({"train": ()}, "prefixes of parameter names"),
        ({"head": (0,)}, "head must be at least 1"),
        ({"head": 8}, "sizes of its layers"),
        ({"dropout": 1.5}, "dropout must be at most 1"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"epochs": float("nan")}, "epochs must be finite"),
        ({"schedule": "triangle"}, "schedule must be one of 'slanted'"),
        ({"precision": "float16"}, "precision must be one of"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"batch_size": 2.5}, "batch_size must be an integer"),
    ],
)
def test_options_outside_their_domain_are_refused(changed, said):
    with pytest.raises(InvalidParameterError, match=said):
        FineTuneOptions(**changed)


def test_options_go_through_json():
    options = FineTuneOptions(train=("encoder.layer.5",), head=(64,), class_weight={"a": 2.0})
    assert FineTuneOptions.from_json(options.to_json()) == options
    with pytest.raises(InvalidParameterError, match="'lr' is no option"):
        FineTuneOptions.from_json({"lr": 1})


def test_slanted_rises_fast_and_falls_slowly_to_a_32nd():
    shares = [factor("slanted", step, 100, 0.1) for step in range(100)]
    assert int(np.argmax(shares)) in (9, 10)
    assert max(shares) == 1.0
    assert shares[-1] == pytest.approx(1 / 32, abs=0.02)
    assert np.all(np.diff(shares[10:]) < 0)


@pytest.mark.parametrize("schedule", ["slanted", "linear", "cosine", "constant"])
@pytest.mark.parametrize("total", [1, 2, 7])
@pytest.mark.parametrize("warmup", [0, 0.5, 1])
def test_every_rate_is_above_zero(schedule, total, warmup):
    assert all(0 < factor(schedule, step, total, warmup) <= 1 for step in range(total))


def test_all_layers_are_free_in_the_second_half_even_of_a_short_run():
    assert unfrozen(0, 10, 100, 6) == 0
    assert unfrozen(5, 10, 100, 6) == 6


def test_an_epoch_has_every_row_once_and_next_to_no_padding():
    lengths = np.random.default_rng(0).integers(3, 60, 5000)
    batches = epoch_batches(lengths, 32, seed=1, epoch=0)
    assert sorted(np.concatenate(batches)) == list(range(5000))
    padded = sum(len(rows) * lengths[rows].max() for rows in batches)
    assert padded / lengths.sum() < 1.04
    again = epoch_batches(lengths, 32, seed=1, epoch=0)
    assert all(np.array_equal(one, other) for one, other in zip(batches, again, strict=True))
    assert not np.array_equal(batches[0], epoch_batches(lengths, 32, seed=1, epoch=1)[0])


def test_batches_of_evaluation_hold_every_row_once_within_their_tokens():
    lengths = np.array([5, 300, 2, 9, 9])
    batches = list(sorted_batches(lengths, 20))
    assert [rows.tolist() for rows in batches] == [[1], [3, 4], [0, 2]]
    assert list(sorted_batches(np.zeros(0, np.int64), 20)) == []


def test_padding_is_marked():
    ids, mask = Tokens.of([[5, 6, 7], [], [8]]).padded(np.array([2, 0]), 1)
    assert ids.tolist() == [[8, 1, 1], [5, 6, 7]]
    assert mask.tolist() == [[1, 0, 0], [1, 1, 1]]


def test_losses_are_those_of_torch():
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    P, ones = torch.eye(3)[[0, 2, 1, 1, 0]], torch.ones(5, 3)
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 2, 1, 1, 0]), label_smoothing=0.1)
    assert float(loss_of(logits, smoothed(P, 0.1, False), ones, False)) == pytest.approx(float(expected), rel=1e-5)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, P) * 3
    assert float(loss_of(logits, P, ones, True)) == pytest.approx(float(expected), rel=1e-5)


def test_weights_are_one_on_average_and_missing_rows_weigh_nothing():
    (task,) = read_tasks({"t": ["a", None, "b", "b", "b"]}, 5, class_weight="balanced")
    assert task.labelled.tolist() == [True, False, True, True, True]
    assert (task.weights * task.P).sum() == pytest.approx(4)
    assert task.weights[0, 0] == pytest.approx(3 * task.weights[2, 1])


def test_scores_of_dev_look_at_labelled_rows_alone():
    (task,) = read_tasks({"t": ["a", None, "b", "b"]}, 4)
    logits = np.array([[1, 0], [9, 0], [0, 1], [1, 0]], np.float32)
    scores = scores_of(task, logits)
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["macro_f1"] == pytest.approx(2 / 3)


def test_a_fault_names_its_task():
    with pytest.raises(InvalidParameterError, match="Task 'topic': labels must have a row for every text: 2; got 3"):
        read_tasks({"topic": ["a", "b", "c"]}, 2)
    with pytest.raises(InvalidParameterError, match="all are missing"):
        read_tasks([None, None], 2)
    with pytest.raises(InvalidParameterError, match="sample_weight must be finite"):
        read_tasks(["a", "b"], 2, sample_weight=[1, -1])
