"""Fine-tuning on tagged tokens: alignment, what is learned and what is masked, resuming, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tests.finetune_cases import SENTENCES, TAGS, make_torch_encoder  # noqa: E402
from tests.finetune_cases import TAG_SETTINGS as FAST  # noqa: E402
from tlclassic.errors import InvalidParameterError, RepairWarning, TlclassicWarning  # noqa: E402
from tlclassic.finetune import fine_tune_tokens  # noqa: E402
from tlclassic.finetune.frozen import TokenInputs  # noqa: E402
from tlclassic.finetune.layout import read_layout  # noqa: E402
from tlclassic.finetune.model import EncoderWithHeads, load_backbone  # noqa: E402
from tlclassic.finetune.options import TokenOptions  # noqa: E402
from tlclassic.finetune.sentences import SentenceTokenizer  # noqa: E402
from tlclassic.finetune.tag_tasks import read_tag_tasks, read_tagged, tag_scores  # noqa: E402
from tlclassic.finetune.tagged import train_tokens  # noqa: E402

pytestmark = pytest.mark.finetune

FILES = {"int8": False, "weights": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_torch_encoder(tmp_path_factory.mktemp("tokens") / "tiny")


@pytest.fixture(scope="module")
def layout(folder):
    return read_layout(folder)


def trained(layout, sentences, tags, dev=None, **more):
    options = TokenOptions(**{**FAST, "epochs": 1, **more})
    return train_tokens(layout, read_tagged(sentences, tags), options, dev=None if dev is None else read_tagged(*dev))


def weights(done):
    return {name: value.detach().numpy().copy() for name, value in done.model.state_dict().items()}


def same(first, second):
    return all(np.array_equal(value, second[name]) for name, value in first.items()) and len(first) == len(second)


# -- alignment ---------------------------------------------------------------------------------------------------------


def test_pieces_belong_to_the_token_that_they_begin_in(layout):
    pieces = SentenceTokenizer(layout)([["my", "zq", "card"], [], ["i", "\u200b", "you're"]])
    # [CLS] my z ##q card [SEP], [CLS] [SEP], [CLS] i you ' r ##e [SEP]: a token of no letters has no piece.
    assert pieces.lengths.tolist() == [6, 2, 7]
    assert pieces.owner.tolist() == [-1, 0, 1, 1, 2, -1, -1, -1, -1, 0, 2, 2, 2, 2, -1]
    assert pieces.seen.tolist() == [True, True, True, True, False, True]
    assert (len(pieces), pieces.n_units, pieces.bounds.tolist()) == (3, 6, [0, 3, 3, 6])
    assert pieces.units(np.array([2, 1, 0])).tolist() == [3, 4, 5, 0, 1, 2]
    assert pieces.with_units(np.array([0, 0, 1, 0, 0, 0], bool)).tolist() == [True, False, False]


def test_tokens_beyond_the_length_of_the_encoder_are_not_seen(layout):
    pieces = SentenceTokenizer(layout, 5)([["my", "zq", "card", "is"]])
    assert pieces.owner.tolist() == [-1, 0, 1, 1, -1]
    assert pieces.seen.tolist() == [True, True, False, False]
    assert pieces.truncated == 1


def test_a_token_has_the_mean_state_of_its_pieces(folder, layout):
    model = EncoderWithHeads(load_backbone(folder), {"tags": 2}, TokenOptions()).eval()
    sentences = [["zq"], ["my", "zqp", "\u200b", "card"], []]
    inputs = TokenInputs(SentenceTokenizer(layout)(sentences), layout.pad)
    with torch.no_grad():
        found = inputs.vectors(model, np.array([1, 2, 0]))
        ids, _ = inputs.tokens.padded(np.array([1]), 0)
        states = model.states(torch.from_numpy(ids), None)[0]
    # [CLS] my z ##q ##p card [SEP]
    expected = torch.stack([states[1], states[2:5].mean(dim=0), torch.zeros(16), states[5]])
    torch.testing.assert_close(found[:4], expected, atol=1e-5, rtol=1e-5)
    assert found.shape == (5, 16)
    assert float((found[1] - found[3]).abs().max()) > 0.1


# -- what is learned ---------------------------------------------------------------------------------------------------


def test_tags_are_learned_and_the_best_state_is_told_by_entities(layout):
    done = trained(layout, SENTENCES, TAGS, dev=(SENTENCES, TAGS), epochs=25)
    assert list(done.history[0]) == ["step", "epoch", "loss", "dev_loss", "dev_accuracy", "dev_score"]
    assert done.history[-1]["loss"] < done.history[0]["loss"] / 4
    assert done.best["dev_score"] == 1.0
    assert [(task.name, task.classes.tolist(), task.metric) for task in done.tasks] == [
        ("tags", ["B-THING", "I-THING", "O"], "entity_f1")
    ]


@pytest.mark.parametrize("kind", [str, int, bool])
def test_tags_are_of_any_type(layout, kind):
    tags = [[kind(token in ("card", "phone")) for token in sentence] for sentence in SENTENCES]
    done = trained(layout, SENTENCES, tags, dev=(SENTENCES, tags), epochs=10)
    assert done.tasks[0].classes.tolist() == [kind(False), kind(True)]
    assert done.tasks[0].metric == "token_accuracy"
    assert done.best["dev_score"] == done.best["dev_accuracy"] == 1.0


def test_several_tasks_are_learned_where_each_has_tags(layout):
    long = [[len(token) > 3 for token in sentence] for sentence in SENTENCES]
    half = {
        "ner": [own if row < 16 else None for row, own in enumerate(TAGS)],
        "long.one": [None if row < 8 else own for row, own in enumerate(long)],
    }
    done = trained(layout, SENTENCES, half, dev=(SENTENCES, {"ner": TAGS, "long.one": long}), epochs=25)
    assert [(task.name, int(task.labelled.sum())) for task in done.tasks] == [("ner", 68), ("long.one", 68)]
    assert [task.metric for task in done.tasks] == ["entity_f1", "token_accuracy"]
    assert done.best["dev_score"] == 1.0


def test_small_tasks_are_drawn_more_often(layout):
    """Two sentences of a task of their own are a twelfth of all, but a half of what is drawn."""
    tasks = {"ner": [*TAGS[:-2], None, None], "few": [*[None] * 22, ["A"] * 5, ["B"] * 3]}
    seen = []

    def watch(trainer):
        drawn = trainer._rest_of_epoch() if not trainer.state.step else []
        seen.extend(row for rows in drawn for row in rows.tolist())

    data = read_tagged(SENTENCES, tasks)
    options = TokenOptions(**{**FAST, "epochs": 1, "temperature": 1e9})
    train_tokens(layout, data, options, prepare=watch)
    assert (len(seen), sum(row >= 22 for row in seen)) == (24, 12)


@pytest.mark.parametrize("train", ["head", "top-1", ("encoder.layer.0",)])
def test_parts_are_trained(folder, layout, train):
    before = load_backbone(folder).state_dict()
    done = trained(layout, SENTENCES, TAGS, train=train)
    changed = {name for name, value in done.model.backbone.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.split(".")[2] for name in changed} == {"head": set(), "top-1": {"1"}}.get(train, {"0"})
    assert done.history[-1]["loss"] > 0


def test_kept_states_and_vectors_train_as_the_whole_encoder_does(layout, monkeypatch):
    """Only float16 is between kept states and the whole encoder; kept vectors are float32."""
    kept = weights(trained(layout, SENTENCES, TAGS, train="top-1"))
    whole = weights(trained(layout, SENTENCES, TAGS, train="top-1", frozen_bytes=0))
    started = weights(trained(layout, SENTENCES, TAGS, train="top-1", learning_rate=1e-9, head_learning_rate=1e-9))
    name = "backbone.encoder.layer.1.output.dense.weight"
    assert np.abs(kept[name] - whole[name]).max() < np.abs(kept[name] - started[name]).max() / 20
    dev = (SENTENCES, TAGS)
    options = {"train": "head", "head_learning_rate": 0.1, "epochs": 30}
    assert trained(layout, SENTENCES, TAGS, dev=dev, **options).best["dev_accuracy"] > 0.8


def test_classes_are_weighted(layout):
    tasks = read_tag_tasks(read_tagged(SENTENCES, TAGS), class_weight="balanced")
    task = tasks[0]
    sums = [float((task.weights * task.P)[:, place].sum()) for place in range(3)]
    assert sums == pytest.approx([102 / 3] * 3, rel=1e-5)
    named = read_tag_tasks(read_tagged(SENTENCES, TAGS), class_weight={"O": 0.0})[0]
    assert named.labelled.all()
    assert (named.weights * named.P)[:, 2].sum() == 0


# -- what does not matter ----------------------------------------------------------------------------------------------


def test_sentences_without_tags_and_empty_ones_do_not_matter(layout):
    more = [["card", "lost"], *SENTENCES, [], ["phone"]]
    assert same(weights(trained(layout, more, [None, *TAGS, [], None])), weights(trained(layout, SENTENCES, TAGS)))


def test_unknown_tags_of_one_task_move_its_head_by_nothing(layout):
    """Two tasks; what the second says is unknown of half of the sentences, whatever else there is."""
    other = [None if row % 2 else own for row, own in enumerate(TAGS)]
    data = read_tagged(SENTENCES, {"a": TAGS, "b": other})
    first, second = read_tag_tasks(data)
    unknown = np.repeat([bool(row % 2) for row in range(24)], data.lengths)
    assert (second.weights[unknown] == 0).all()
    assert (second.weights[~unknown] == 1).all()
    assert (first.weights == 1).all()


def test_tags_of_tokens_that_are_cut_off_do_not_matter(layout):
    tags = [["A", "B", "A", "B", "A"][: len(own)] for own in TAGS]
    other = [["A", "B", "B", "B", "B"][: len(own)] for own in TAGS]
    # [CLS], two pieces, [SEP].
    cut = {"max_length": 4}
    assert same(weights(trained(layout, SENTENCES, tags, **cut)), weights(trained(layout, SENTENCES, other, **cut)))
    assert not same(weights(trained(layout, SENTENCES, tags)), weights(trained(layout, SENTENCES, other)))


def test_dev_counts_every_token_also_unknown_tags_and_what_is_cut_off():
    train = read_tag_tasks(read_tagged([["a", "b"]], [["O", "B-X"]]))
    with pytest.warns(RepairWarning, match="1 tags that iob2 does not allow were repaired"):
        data = read_tagged([["a", "b", "c", "d"], [], ["e"], ["f"]], [["B-X", "O", "I-Y", "O"], [], None, ["O"]])
    assert data.sentences == [["a", "b", "c", "d"], ["f"]]
    (task,) = read_tag_tasks(data, of=train)
    assert task.tags == [["B-X", "O", "B-Y", "O"], ["O"]]
    assert task.labelled.tolist() == [True, True, False, True, True]
    # B-X, O, O, O and B-X: of two entities one is found, and one is found that is none.
    logits = np.array([[1, 0], [0, 1], [0, 1], [0, 1], [1, 0]], np.float32)
    said = tag_scores(task, logits)
    assert (said["accuracy"], said["score"]) == (0.6, 0.5)
    right, wrong = np.log(1 + np.exp(-1)), np.log(1 + np.exp(1))
    assert said["loss"] == pytest.approx((3 * right + wrong) / 4, rel=1e-5)


# -- going on ----------------------------------------------------------------------------------------------------------


def _stop_at(step):
    def stop(done, total):
        if done == step:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("more", [{}, {"train": "top-1", "averaging": 0.9, "dropout": 0.1}, {"train": "head"}])
def test_a_run_goes_on_to_the_same_weights(folder, tmp_path, more):
    settings = {**FAST, **FILES, "epochs": 4, "dev": (SENTENCES[:8], TAGS[:8]), **more}
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        fine_tune_tokens(folder, SENTENCES, TAGS, out, **settings, checkpoint_seconds=0, on_progress=_stop_at(8))
    assert [path.name for path in tmp_path.iterdir()] == [".out.checkpoint"]
    again = fine_tune_tokens(folder, SENTENCES, TAGS, out, **settings)
    whole = fine_tune_tokens(folder, SENTENCES, TAGS, tmp_path / "whole", **settings)
    assert (again.resumed, whole.resumed) == (7, None)
    assert again.history == whole.history
    for name in ("model.safetensors", "token_heads.tlc"):
        assert (again.path / name).read_bytes() == (whole.path / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "whole"]


def test_a_state_of_other_tags_is_passed_over(folder, tmp_path):
    settings = {**FAST, "int8": False, "train": "head", "epochs": 2}
    with pytest.raises(KeyboardInterrupt):
        fine_tune_tokens(
            folder, SENTENCES, TAGS, tmp_path / "out", **settings, checkpoint_seconds=0, on_progress=_stop_at(3)
        )
    other = [TAGS[1], TAGS[0], *TAGS[2:]]
    swapped = [SENTENCES[1], SENTENCES[0], *SENTENCES[2:]]
    with pytest.warns(TlclassicWarning, match="other data or settings"):
        assert fine_tune_tokens(folder, swapped, other, tmp_path / "out", **settings).resumed is None


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentences", "tags", "options", "said"),
    [
        ([["a", "b"]], [["O"]], {}, r"tags\[0\] must hold a tag for each of the 2 tokens; got 1"),
        ([["a"], ["b"]], [["O"]], {}, "tags must hold an item for each of the 2 sentences; got 1"),
        (["a b"], [["O", "O"]], {}, r"sentences\[0\] must be a list of tokens; got 'a b'"),
        ([["a", 1]], [["O", "X"]], {}, r"sentences\[0\] must hold tokens of type str; got \['a', 1\]"),
        ([["a", "b"]], [["O", "O"]], {}, r"tags must hold at least two different tags; got \['O'\]"),
        ([["a", "b"]], {"x": [["O", 1]]}, {}, "x must have labels of one type; got int, str"),
        ([["a"], ["b"]], [None, None], {}, "tags must hold at least one sentence's tags or label; all are None"),
        ([["a"], ["b"]], {"mood": ["x", "y"]}, {}, "mood must hold a list of tags for each sentence; got labels"),
        (SENTENCES, TAGS, {"epoch": 3}, "epoch is no option of fine_tune_tokens; there are activation, "),
        (SENTENCES, TAGS, {"task_pooling": "attention"}, "task_pooling has no say in fine-tuning on tagged tokens"),
        (SENTENCES, TAGS, {"cross_attention": True}, "cross_attention has no say"),
        (SENTENCES, TAGS, {"head": (8,)}, "head has no say in fine-tuning on tagged tokens, whose heads are linear"),
        (SENTENCES, TAGS, {"metric": "macro_f1"}, "metric must be one of 'score', 'accuracy', 'loss'"),
        (SENTENCES, TAGS, {"max_length": 65}, "max_length must be at most 64"),
        (SENTENCES, TAGS, {"train": "top-3"}, "train must be at most 'top-2'"),
        (SENTENCES, TAGS, {"int8": 1}, "int8 must be one of True, False; got 1"),
        (SENTENCES, TAGS, {"class_weight": {"X": 1.0}}, "class_weight names 'X', which is not among the classes"),
        (SENTENCES, TAGS, {"dev": (SENTENCES, {"ner": TAGS})}, r"dev must have tasks of tags \(tags\); got 'ner'"),
        (SENTENCES, TAGS, {"dev": ([[]], [[]])}, "dev: tags must hold at least one tag; all its sentences are empty"),
    ],
)  # fmt: skip
def test_wrong_input_is_refused_by_name_and_leaves_nothing(folder, tmp_path, sentences, tags, options, said):
    with pytest.raises(InvalidParameterError, match=said):
        fine_tune_tokens(folder, sentences, tags, tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []


def test_options_go_through_json_without_what_has_no_say():
    options = TokenOptions(train=("encoder.layer.5",), epochs=2)
    said = json.loads(json.dumps(options.to_json()))
    assert TokenOptions.from_json(said) == options
    assert {"head", "activation", "task_pooling", "cross_attention"} & set(said) == set()
    assert (said["learning_rate"], said["batch_size"], said["metric"]) == (2e-4, 32, "score")
