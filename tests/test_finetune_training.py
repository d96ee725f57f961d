"""Training: what is trained and what is not, kept states of frozen layers, runs that go on from a saved state."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from tlclassic.errors import EncoderFormatError, InvalidParameterError  # noqa: E402
from tlclassic.finetune.options import FineTuneOptions  # noqa: E402
from tlclassic.finetune.trainer import train_encoder  # noqa: E402

pytestmark = pytest.mark.finetune

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "a", "the", "very", "not", "dull", "fine"]
SLOW = {"precision": "float32", "threads": 1, "batch_size": 8, "learning_rate": 3e-3, "head_learning_rate": 1e-2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BERT of two layers with random weights, laid out as a downloaded one."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    path = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, initializer_range=0.2,
    )  # fmt: skip
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(path)
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    # Fixed padding, as some published files carry it.
    tokenizer.enable_padding(length=20)
    tokenizer.save(str(path / "tokenizer.json"))
    return path


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    texts, labels = [], []
    for row in range(60):
        words = random.choice(["film", "a", "the", "very"], random.integers(1, 6)).tolist()
        words.insert(random.integers(0, len(words) + 1), ["good", "bad"][row % 2])
        texts.append(" ".join(words))
        labels.append(["pos", "neg"][row % 2])
    return texts, labels


def trained_weights(folder, data, options, **more):
    model = train_encoder(folder, *data, options, **more).model
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def changed(folder, data, **options):
    """Names of the encoder's parameters that training changed."""
    before = transformers.AutoModel.from_pretrained(folder, add_pooling_layer=False).state_dict()
    after = trained_weights(folder, data, FineTuneOptions(epochs=1, **SLOW, **options))
    return {
        name.removeprefix("backbone.")
        for name, value in after.items()
        if name.startswith("backbone.") and not torch.equal(value, before[name.removeprefix("backbone.")])
    }


def test_a_model_learns_what_its_texts_say(folder, data):
    done = train_encoder(folder, *data, FineTuneOptions(epochs=6, **SLOW), dev=data)
    assert done.best["dev_accuracy"] == 1.0
    assert done.history[-1]["loss"] < done.history[0]["loss"] / 2
    assert [entry["epoch"] for entry in done.history] == [1, 2, 3, 4, 5, 6]
    assert not done.model.training
    assert done.tasks[0].classes.tolist() == ["neg", "pos"]


def test_head_alone_leaves_the_encoder_as_it_was(folder, data):
    assert changed(folder, data, train="head", head=(8,)) == set()


def test_top_layers_are_trained_and_what_is_below_is_not(folder, data):
    names = changed(folder, data, train="top-1")
    assert "encoder.layer.1.output.dense.weight" in names
    assert {name.rpartition("layer.")[2][0] for name in names} == {"1"}


def test_all_trains_embeddings_too(folder, data):
    names = changed(folder, data, train="all")
    assert "embeddings.word_embeddings.weight" in names
    assert "encoder.layer.0.attention.self.query.weight" in names


def test_chosen_prefixes_are_trained(folder, data):
    names = changed(folder, data, train=("encoder.layer.0.attention",))
    assert names
    assert all(name.startswith("encoder.layer.0.attention") for name in names)


def test_layers_join_from_the_top_and_lower_ones_learn_more_slowly(folder, data):
    seen = []

    def watch(trainer):
        groups = trainer.optimizer.param_groups
        free = {group["place"] for group in groups if all(value.requires_grad for value in group["params"])}
        seen.append((free, {group["place"]: group["lr"] for group in groups}))

    options = FineTuneOptions(epochs=8, gradual_unfreezing=True, decay=0.5, schedule="constant", warmup=0, **SLOW)
    train_encoder(folder, *data, options, on_step=watch)
    # Eight steps an epoch: the head, the two layers, then the embeddings.
    assert [seen[step][0] for step in (0, 7, 8, 16, 24)] == [{0}, {0}, {0, 1}, {0, 1, 2}, {0, 1, 2, 3}]
    assert seen[0][1] == pytest.approx({0: 1e-2, 1: 3e-3, 2: 1.5e-3, 3: 0.75e-3})


def test_an_unknown_prefix_is_refused_with_those_that_there_are(folder, data):
    with pytest.raises(InvalidParameterError, match=r"'encoder.layers', with which no parameter begins.*embeddings"):
        train_encoder(folder, *data, FineTuneOptions(train=("encoder.layers",)))


def test_more_layers_than_there_are_is_refused(folder, data):
    with pytest.raises(InvalidParameterError, match="at most 'top-2'"):
        train_encoder(folder, *data, FineTuneOptions(train="top-3"))


def test_kept_states_train_as_the_whole_encoder_does(folder, data):
    """Only float16 is between the two: dropout is off, since the frozen layers have none in either."""
    options = {"train": "top-1", "epochs": 3, "dropout": 0.0, "encoder_dropout": 0.0, **SLOW}
    kept = trained_weights(folder, data, FineTuneOptions(**options))
    whole = trained_weights(folder, data, FineTuneOptions(frozen_bytes=0, **options))
    apart = max(float((kept[name] - whole[name]).abs().max()) for name in kept)
    moved = max(float((kept[name] - value).abs().max()) for name, value in trained_weights(
        folder, data, FineTuneOptions(**{**options, "epochs": 1})).items())  # fmt: skip
    assert apart < 0.05 * moved


def test_the_model_is_whole_again_after_training_its_top(folder, data):
    model = train_encoder(folder, *data, FineTuneOptions(train="top-1", epochs=1, **SLOW)).model
    assert len(model.layers) == 2
    ids = torch.tensor([[2, 4, 6, 3]])
    with torch.no_grad():
        assert model(ids)["label"].shape == (1, 2)
        assert not torch.equal(model(ids)["label"], model(torch.tensor([[2, 5, 6, 3]]))["label"])


def test_a_seed_gives_the_same_weights_and_another_seed_others(folder, data):
    first, second, other = (
        trained_weights(folder, data, FineTuneOptions(epochs=1, seed=seed, **SLOW)) for seed in (3, 3, 4)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["heads.0.layers.0.weight"], other["heads.0.layers.0.weight"])


def test_torchs_own_random_state_and_threads_are_left_alone(folder, data):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    threads = torch.get_num_threads()
    train_encoder(folder, *data, FineTuneOptions(epochs=0.1, **SLOW))
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


class Killed(Exception):
    pass


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"train": "top-1", "averaging": 0.9, "class_weight": {"pos": 2.0}},
        {"gradual_unfreezing": True, "evaluations": 2, "patience": 50},
        {"train": "head", "head": (8,)},
    ],
    ids=["all", "top-1", "unfreezing", "head"],
)
@pytest.mark.parametrize("at", [1, 8, 11, 15, 17])
def test_a_run_goes_on_to_the_weights_of_an_unbroken_one(folder, data, more, at):
    options = FineTuneOptions(epochs=2.2, **SLOW, **more)
    saved = {}

    def save_and_die(trainer):
        if trainer.state.step == at:
            saved["arrays"] = {name: value.clone() for name, value in trainer.state_arrays().items()}
            saved["json"] = json.dumps(trainer.state_json())
            raise Killed

    with pytest.raises(Killed):
        train_encoder(folder, *data, options, dev=data, on_step=save_and_die)
    whole = train_encoder(folder, *data, options, dev=data)
    steps = []
    resumed = train_encoder(
        folder, *data, options, dev=data, on_progress=lambda done, total: steps.append((done, total)),
        prepare=lambda trainer: trainer.load_state(saved["arrays"], json.loads(saved["json"])),
    )  # fmt: skip
    assert steps[0] == (at + 1, 18) if at < 17 else steps == [(18, 18)]
    assert resumed.history == whole.history
    for (name, one), (_, other) in zip(resumed.model.named_parameters(), whole.model.named_parameters(), strict=True):
        assert torch.equal(one, other), name


def test_a_state_of_other_options_is_refused(folder, data):
    saved = {}

    def save(trainer):
        saved["state"] = trainer.state_arrays(), trainer.state_json()

    train_encoder(folder, *data, FineTuneOptions(epochs=0.5, **SLOW), on_step=save)
    with pytest.raises(InvalidParameterError, match="other options or texts"):
        train_encoder(
            folder, *data, FineTuneOptions(epochs=0.5, seed=1, **SLOW), prepare=lambda t: t.load_state(*saved["state"])
        )


def test_patience_ends_a_run_that_gets_no_better_and_the_best_is_kept(folder, data):
    texts, labels = data
    wrong = ["pos" if label == "neg" else "neg" for label in labels]
    # The better the model, the worse it is by these labels.
    options = FineTuneOptions(epochs=30, patience=2, metric="loss", **SLOW)
    done = train_encoder(folder, texts, labels, options, dev=(texts, wrong))
    assert len(done.history) == done.history.index(done.best) + 3 < 30


def test_averaged_weights_are_what_is_kept(folder, data):
    plain = trained_weights(folder, data, FineTuneOptions(epochs=4, **SLOW))
    averaged = trained_weights(folder, data, FineTuneOptions(epochs=4, averaging=0.9, **SLOW))
    name = "backbone.encoder.layer.1.output.dense.weight"
    assert not torch.equal(plain[name], averaged[name])
    assert float((plain[name] - averaged[name]).abs().max()) < 0.5


def test_several_tasks_and_missing_labels(folder, data):
    texts, labels = data
    half = [label if row < 40 else None for row, label in enumerate(labels)]
    length = [None if row < 20 else len(text.split()) > 4 for row, text in enumerate(texts)]
    done = train_encoder(
        folder, texts, {"feeling": half, "long.one": length}, FineTuneOptions(epochs=12, encoder_dropout=0.0, **SLOW),
        dev=(texts, {"feeling": half, "long.one": length}),
    )  # fmt: skip
    assert [(task.name, task.classes.tolist()) for task in done.tasks] == [
        ("feeling", ["neg", "pos"]),
        ("long.one", [False, True]),
    ]
    assert done.best["dev_accuracy"] > 0.9


def test_soft_labels_are_met(folder, data):
    texts, labels = data
    P = np.array([[0.8, 0.2] if label == "pos" else [0.3, 0.7] for label in labels])
    done = train_encoder(folder, texts, P, FineTuneOptions(epochs=20, encoder_dropout=0.0, dropout=0.0, **SLOW),
                         classes=["yes", "no"], dev=(texts, P))  # fmt: skip
    entropy = -(P * np.log(P)).sum(axis=1).mean()
    assert done.history[-1]["dev_loss"] == pytest.approx(entropy, abs=0.02)


def test_several_labels_a_text(folder, data):
    texts, _ = data
    Y = np.array([["good" in text, "film" in text, "the" in text] for text in texts]).astype(int)
    done = train_encoder(folder, texts, Y, FineTuneOptions(epochs=15, encoder_dropout=0.0, **SLOW),
                         dev=(texts, Y), multilabel=True)  # fmt: skip
    assert done.tasks[0].multilabel
    assert done.best["dev_macro_f1"] > 0.95


def test_weights_of_rows_decide_between_contradictions(folder):
    texts = ["film", "film"] * 20
    for weights, said in (([1.0, 0.01], 0), ([0.01, 1.0], 1)):
        done = train_encoder(
            folder, texts, ["a", "b"] * 20, FineTuneOptions(epochs=10, **SLOW), sample_weight=weights * 20
        )
        with torch.no_grad():
            assert int(done.model(torch.tensor([[2, 6, 3]]))["label"].argmax()) == said


@pytest.mark.parametrize("schedule", ["slanted", "linear", "cosine", "constant"])
def test_every_schedule_trains_also_for_less_than_an_epoch(folder, data, schedule):
    done = train_encoder(folder, *data, FineTuneOptions(epochs=0.3, schedule=schedule, **SLOW))
    assert [entry["step"] for entry in done.history] == [3]


def test_bfloat16_learns_too(folder, data):
    done = train_encoder(folder, *data, FineTuneOptions(epochs=6, **{**SLOW, "precision": "bfloat16"}), dev=data)
    assert done.best["dev_accuracy"] > 0.95


def test_empty_and_overlong_texts_are_taken(folder):
    texts = ["", "good " * 500, "bad", "\U0001f600"] * 4
    done = train_encoder(folder, texts, ["a", "b", "c", "d"] * 4, FineTuneOptions(epochs=1, **SLOW))
    assert len(done.history) == 1


@pytest.mark.parametrize("left_out", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_with_a_file_missing_is_refused_by_name(folder, data, tmp_path, left_out):
    for file in folder.iterdir():
        if file.name != left_out:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(EncoderFormatError, match=left_out):
        train_encoder(tmp_path, *data)


def test_no_texts_and_too_few_labels_are_refused(folder):
    with pytest.raises(InvalidParameterError, match="at least one text"):
        train_encoder(folder, [], [])
    with pytest.raises(InvalidParameterError, match="a row for every text: 2; got 1"):
        train_encoder(folder, ["a", "b"], ["x"])
    with pytest.raises(InvalidParameterError, match="at least two classes"):
        train_encoder(folder, ["a", "b"], ["x", "x"])
