"""The folder of an encoder fine-tuned on tagged tokens, taggers on its states, and ``tlclassic tag finetune``."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import tlclassic  # noqa: E402
from tests.finetune_cases import SENTENCES, TAGS, files_below, make_torch_encoder  # noqa: E402
from tests.finetune_cases import TAG_SETTINGS as FAST  # noqa: E402
from tlclassic import TokenTagger, _compat  # noqa: E402
from tlclassic.app import finetune_options  # noqa: E402
from tlclassic.encoders import OnnxEncoder  # noqa: E402
from tlclassic.errors import EncoderFormatError, InputError  # noqa: E402
from tlclassic.finetune import fine_tune_tokens, tagged_result  # noqa: E402
from tlclassic.finetune.layout import read_layout  # noqa: E402
from tlclassic.finetune.sentences import SentenceTokenizer  # noqa: E402
from tlclassic.heads.encoder_heads import read_heads  # noqa: E402
from tlclassic.tagging import EncoderStates  # noqa: E402

pytestmark = pytest.mark.finetune

LEARNED = {**FAST, "epochs": 25}
HEAD = {**FAST, "train": "head", "epochs": 1, "int8": False}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_torch_encoder(tmp_path_factory.mktemp("result") / "tiny")


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    """A whole result, with everything that may be written."""
    out = tmp_path_factory.mktemp("made") / "out"
    return fine_tune_tokens(folder, SENTENCES, TAGS, out, dev=(SENTENCES, TAGS), weights=True, **LEARNED)


# -- what is in it -----------------------------------------------------------------------------------------------------


def test_the_folder_holds_an_encoder_and_its_heads_and_nothing_else(made):
    assert files_below(made.path) == [
        "1_Pooling/config.json", "README.md", "config.json", "curves.svg", "model.safetensors", "modules.json",
        "onnx/model.onnx", "onnx/model_qint8.onnx", "sentence_bert_config.json", "tlclassic.json", "token_heads.tlc",
        "tokenizer.json", "tokenizer_config.json", "training.json",
    ]  # fmt: skip
    assert [path.name for path in made.path.parent.iterdir()] == ["out"]


def test_dev_scores_and_parity_are_told(made):
    assert made.scores == {"tags": {"metric": "entity_f1", "score": 1.0, "accuracy": 1.0}}
    assert (made.best["dev_score"], made.resumed) == (1.0, None)
    assert (made.parity["sentences"], made.parity["tokens"], made.parity["agreement"]) == (24, 102, 1.0)
    assert made.parity["max_difference"] < 1e-4
    assert (made.int8["fp32_dev_score"], made.int8["preferred"] in (True, False)) == (1.0, True)


def test_training_json_card_and_curves_say_how_it_was_made(made):
    said = json.loads((made.path / "training.json").read_text("utf-8"))
    assert (said["kind"], said["rows"], said["tokens"], said["scores"]) == ("tokens", 24, 102, made.scores)
    assert said["tasks"] == [
        {"name": "tags", "classes": ["B-THING", "I-THING", "O"], "multilabel": False, "labelled": 102, "scheme": "iob2"}
    ]
    assert "task_pooling" not in said["options"]
    card = (made.path / "README.md").read_text("utf-8")
    assert card.startswith("# An encoder fine-tuned on tagged tokens\n")
    assert "- tags: a tag a token (iob2), 102 labelled; 3 classes: B-THING, I-THING, O." in card
    assert "- tags, by its head in ONNX: entity f1 1.0000" in card
    assert "of the answers equal, on 24 sentences." in card
    root = ElementTree.fromstring((made.path / "curves.svg").read_text("utf-8"))
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert [line[0].text for line in lines] == ["training", "dev", "accuracy", "score"]


def test_states_of_the_folder_and_its_heads_give_the_logits_of_torch(folder, tmp_path):
    """From outside: torch's own weights of the result, means taken by hand, beside ONNX and the heads' file."""
    from transformers import AutoModel

    done = fine_tune_tokens(folder, SENTENCES, TAGS, tmp_path / "out", weights=True, **{**HEAD, "train": "all"})
    (head,) = read_heads(done.path / "token_heads.tlc")
    assert (head.name, head.classes.tolist(), len(head.layers)) == ("tags", ["B-THING", "I-THING", "O"], 1)
    sentences = [["my", "zqp", "card", "\u200b"], [], ["lost"]]
    states = EncoderStates(OnnxEncoder(done.path, file="onnx/model.onnx"))(sentences)
    assert [part.shape for part in states] == [(4, 16), (0, 16), (1, 16)]
    model = AutoModel.from_pretrained(done.path, attn_implementation="eager").eval()
    # [CLS] my z ##q ##p card [SEP]
    tokens = SentenceTokenizer(read_layout(done.path))(sentences)
    with torch.no_grad():
        found = model(torch.from_numpy(tokens.ids[:7].astype(np.int64))[None]).last_hidden_state[0].numpy()
    means = np.stack([found[1], found[2:5].mean(axis=0), found[5], np.zeros(16)])
    weight, bias = head.layers[0]
    np.testing.assert_allclose(head.logits(states[0]), means @ weight.T + bias, atol=1e-5)
    assert np.abs(head.logits(states[0])[0] - head.logits(states[0])[2]).max() > 1e-3


@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken"])
def test_however_the_folder_pools_tokens_are_means(tmp_path, pooling):
    source = make_torch_encoder(tmp_path / "tiny", pooling=pooling)
    done = fine_tune_tokens(source, SENTENCES, TAGS, tmp_path / "out", **HEAD)
    assert done.parity["max_difference"] < 1e-4
    assert OnnxEncoder(done.path).transform(["my card"]).shape == (1, 16)


def test_sentences_that_are_cut_and_tokens_of_no_letters_are_written_too(folder, tmp_path):
    sentences = [["\u200b", "my", "card", "\u200b", "zqzqzqzq"], ["my"] * 200, [], ["\u200b"], *SENTENCES]
    tags = [["O", "O", "B-X", "O", "O"], ["O"] * 200, [], ["O"], *TAGS]
    settings = {**HEAD, "train": "all", "max_length": 8}
    done = fine_tune_tokens(folder, sentences, tags, tmp_path / "out", dev=(sentences, tags), **settings)
    assert done.parity["max_difference"] < 1e-4
    said = json.loads((done.path / "training.json").read_text("utf-8"))
    # [CLS] my card z ##q ##z ##q [SEP]; six of two hundred; none; and "where is my phone !" as well as others whole.
    assert (said["tokens"], said["tasks"][0]["labelled"]) == (308, 3 + 6 + 0 + 102)
    assert json.loads((done.path / "sentence_bert_config.json").read_text("utf-8"))["max_seq_length"] == 8


# -- a tagger on it ----------------------------------------------------------------------------------------------------


def test_a_tagger_learns_from_the_states(made, tmp_path):
    """Words around are left out, so that only the encoder knows of the word before."""
    alone = {"vectors": None, "window": 0, "affixes": False, "pairs": False, "state_dims": 8, "epochs": 30}
    states = EncoderStates(made.path)
    tagger = TokenTagger(**alone, states=states).fit(SENTENCES, TAGS)
    assert tagger.score(SENTENCES, TAGS) == 1.0
    assert TokenTagger(**alone).fit(SENTENCES, TAGS).score(SENTENCES, TAGS) < 0.9
    tagger.compile().save(tmp_path / "ner.tlc")
    again = tlclassic.load(tmp_path / "ner.tlc")
    again.states = states
    assert again.predict([["my", "card"], ["the", "card"]]) == tagger.predict([["my", "card"], ["the", "card"]])


def test_a_result_with_its_weights_is_fine_tuned_further(made, tmp_path):
    settings = {**HEAD, "epochs": 10, "head_learning_rate": 0.1}
    again = fine_tune_tokens(made.path, SENTENCES, TAGS, tmp_path / "again", dev=(SENTENCES, TAGS), **settings)
    assert again.scores["tags"]["score"] == 1.0
    assert "model.safetensors" not in files_below(again.path)


# -- what is checked, replaced, refused --------------------------------------------------------------------------------


def test_a_graph_that_is_not_torchs_model_is_refused(folder, tmp_path, monkeypatch):
    own = tagged_result._onnx_logits

    def shifted(*args):
        return {name: value + np.array([0.0, 0.01, 0.0]) for name, value in own(*args).items()}

    monkeypatch.setattr(tagged_result, "_onnx_logits", shifted)
    with pytest.raises(EncoderFormatError, match=r"logits differ from torch's by up to 0\.01"):
        fine_tune_tokens(folder, SENTENCES, TAGS, tmp_path / "out", **HEAD)
    assert [path.name for path in tmp_path.iterdir()] == [".out.checkpoint"]


@pytest.mark.parametrize(
    ("speedup", "wrong", "dev", "preferred", "reason"),
    [
        (2.0, 0, True, True, "yes: dev score 1.0000 with int8, 1.0000 fp32"),
        (1.0, 0, True, False, "no: int8 is 1.00 x as fast, 1.05 x wanted"),
        # Of twelve entities one is missed: F1 22 / 23.
        (2.0, 1, True, False, "no: dev score 0.9565 with int8, 1.0000 fp32"),
        (2.0, 1, False, False, "no: 99.02% of the answers equal, 99.5% wanted"),
    ],
)
def test_int8_is_preferred_only_where_it_is_faster_and_as_good(
    folder, tmp_path, monkeypatch, speedup, wrong, dev, preferred, reason
):
    """Logits are given, so that only the rule is tested: ``wrong`` answers of int8, all of them missed entities."""
    classes = ["B-THING", "I-THING", "O"]
    right = np.array([[float(tag == own) for own in classes] for tags in TAGS for tag in tags])

    def logits(made, file, sentences, threads):
        found = right.copy()
        if "qint8" in file:
            # "phone" of the third sentence.
            found[[12][:wrong]] = [0, 0, 1]
        return {"tags": found}

    report = SimpleNamespace(speedup=speedup, cosine_mean=0.99, as_dict=lambda: {"prefer": "x", "speedup": speedup})
    monkeypatch.setattr(tagged_result, "_onnx_logits", logits)
    monkeypatch.setattr(tagged_result, "parity_of", lambda *_: {"max_difference": 0.0, "agreement": 1.0})
    monkeypatch.setattr(tagged_result, "check", lambda *_, **__: report)
    held_out = (SENTENCES, TAGS) if dev else None
    done = fine_tune_tokens(folder, SENTENCES, TAGS, tmp_path / "out", dev=held_out, **{**HEAD, "int8": True})
    assert done.int8["preferred"] is preferred
    assert reason in done.int8["reasons"]
    said = json.loads((done.path / "tlclassic.json").read_text("utf-8"))
    assert said["prefer"] == ("onnx/model_qint8.onnx" if preferred else "onnx/model.onnx")


def test_it_is_no_classifier_of_texts_and_says_what_it_is_for(made, run, tmp_path):
    with pytest.raises(EncoderFormatError, match=r"tagged tokens and labels no texts\. .*tlclassic tag train"):
        tlclassic.load(made.path)
    (tmp_path / "texts.txt").write_text("my card\n", "utf-8")
    code, out, said = run("predict", made.path, tmp_path / "texts.txt")
    assert (code, out) == (1, "")
    assert said == (
        f"error: {made.path}: this encoder was fine-tuned on tagged tokens and labels no texts. "
        f"Train a tagger on its states: tlclassic tag train TRAIN --encoder {made.path} --out tagger.tlc\n"
    )


def test_results_replace_results_alone(folder, tmp_path):
    out = tmp_path / "out"
    fine_tune_tokens(folder, SENTENCES, TAGS, out, **HEAD)
    with pytest.raises(InputError, match="there is a result already"):
        fine_tune_tokens(folder, SENTENCES, TAGS, out, **HEAD)
    fine_tune_tokens(folder, SENTENCES, TAGS, out, force=True, **HEAD)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "token_heads.tlc").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        fine_tune_tokens(folder, SENTENCES, TAGS, tmp_path / "mine", force=True, **HEAD)
    assert files_below(tmp_path / "mine") == ["token_heads.tlc"]


# -- the command -------------------------------------------------------------------------------------------------------

QUICK = ("--batch-size", "4", "--learning-rate", "0.01", "--threads", "1")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """train.conll with a column between, and dev.conll; what the command sets for itself is taken back."""
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "before")
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    told = {"card": "B-THING", "phone": "B-THING", "zq": "I-THING"}
    for name, rows in (("train", slice(None)), ("dev", slice(8))):
        blocks = [
            "".join(f"{token} {len(token) > 3} {told.get(token, 'O')}\n" for token in sentence)
            for sentence in SENTENCES[rows]
        ]
        (tmp_path / f"{name}.conll").write_text("\n".join(blocks), "utf-8")
    return tmp_path


def test_from_a_file_to_an_encoder_to_a_tagger(run, files, folder):
    code, out, said = run(
        "tag", "finetune", "train.conll", "--dev", "dev.conll", "--encoder", folder, "--out", "tuned",
        "--epochs", "25", *QUICK, "--seed", "1", "--weights", "--json",
    )  # fmt: skip
    assert code == 0, said
    found = json.loads(out)
    assert list(found) == ["n", "tasks", "best", "scores", "parity", "int8", "resumed_at_step", "encoder"]
    assert (found["n"], found["tasks"], found["encoder"]) == (24, ["tags"], "tuned")
    assert found["scores"] == {"tags": {"metric": "entity_f1", "score": 1.0, "accuracy": 1.0}}
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    assert "model.safetensors" in files_below(files / "tuned")
    options = ("--vectors", "none", "--encoder", "tuned")
    code, out, said = run("tag", "train", "train.conll", "--dev", "dev.conll", "--out", "ner.tlc", *options, "--json")
    assert code == 0, said
    assert json.loads(out)["tags"]["score"] == 1.0
    code, out, _ = run("tag", "evaluate", "ner.tlc", "dev.conll", "--encoder", "tuned", "--json")
    assert (code, json.loads(out)["tags"]["score"]) == (0, 1.0)


def test_several_columns_are_tasks_and_it_is_said_in_words(run, files, folder):
    arguments = ("--names", "token,long,ner", "--column", "ner", "--column", "long", "--train", "head", "--no-int8")
    code, out, said = run(
        "tag", "finetune", "train.conll", "--dev", "dev.conll", "-e", folder, "-o", "tuned", *arguments, *QUICK,
        "--epochs", "1",
    )  # fmt: skip
    assert code == 0, said
    lines = out.splitlines()
    assert lines[0] == "fine-tuned on 24 sentences, tasks: ner, long"
    assert lines[1].startswith("ner: entity f1 0.")
    assert lines[2].startswith("long: token accuracy ")
    assert lines[-2:] == [
        "saved tuned", "a tagger on its states: tlclassic tag train TRAIN --encoder tuned --out tagger.tlc",
    ]  # fmt: skip
    assert [task.name for task in read_heads(files / "tuned" / "token_heads.tlc")] == ["ner", "long"]


def test_what_is_refused_leaves_no_folder(run, files, folder, monkeypatch):
    def refused(code, *arguments):
        found, out, said = run("tag", "finetune", *arguments, "--out", "tuned")
        assert (found, out, (files / "tuned").exists()) == (code, "", False)
        return said

    assert "nothing.conll: cannot read it" in refused(1, "nothing.conll", "--encoder", folder)
    assert "there is no such folder" in refused(1, "train.conll", "--encoder", "nothing")
    assert "learning_rate must be above 0; got 0.0" in refused(
        2, "train.conll", "--encoder", folder, "--learning-rate", "0"
    )
    assert "train must be at most 'top-2'" in refused(2, "train.conll", "--encoder", folder, "--train", "top-9")
    own = _compat.is_installed
    for place in (_compat, finetune_options):
        monkeypatch.setattr(place, "is_installed", lambda module: module != "torch" and own(module))
    assert refused(1, "train.conll", "--encoder", folder) == (
        "error: Fine-tuning needs torch, which is not installed. Install it with: pip install 'tlclassic[finetune]'\n"
    )
