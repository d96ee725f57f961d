"""The folder of a result: what is in it, what is checked before it appears, and what it may replace."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import tlclassic  # noqa: E402
from tests.finetune_cases import LABELS, TEXTS, files_below, make_torch_encoder  # noqa: E402
from tlclassic.errors import EncoderFormatError, InputError, InvalidParameterError  # noqa: E402
from tlclassic.finetune import fine_tune, result, running  # noqa: E402
from tlclassic.finetune.curves import learning_curves  # noqa: E402
from tlclassic.finetune.folders import new_folder  # noqa: E402

pytestmark = pytest.mark.finetune

FAST = {"epochs": 3, "batch_size": 8, "learning_rate": 3e-3, "precision": "float32", "threads": 1, "int8": False}
HEAD = {**FAST, "train": "head", "epochs": 1}
UNSEEN = ["a great parcel", "a poor parcel"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_torch_encoder(tmp_path_factory.mktemp("result") / "tiny")


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    """A whole result, with everything that may be written."""
    out = tmp_path_factory.mktemp("made") / "out"
    settings = {**FAST, "epochs": 8, "learning_rate": 0.01, "head_learning_rate": 0.01, "int8": True, "weights": True}
    return fine_tune(folder, TEXTS, LABELS, out, dev=(TEXTS, LABELS), head=(8,), dropout=0.0, **settings)


# -- what is in it -----------------------------------------------------------------------------------------------------


def test_the_folder_holds_all_that_prediction_needs_and_nothing_else(made):
    assert files_below(made.path) == [
        "1_Pooling/config.json", "README.md", "config.json", "curves.svg", "heads.tlc", "model.safetensors",
        "modules.json", "onnx/model.onnx", "onnx/model_qint8.onnx", "sentence_bert_config.json", "tlclassic.json",
        "tokenizer.json", "tokenizer_config.json", "training.json",
    ]  # fmt: skip
    assert [path.name for path in made.path.parent.iterdir()] == ["out"]


def test_it_predicts_and_names_its_labels(made):
    model = tlclassic.load(made.path)
    assert model.classes_.tolist() == ["neg", "pos"]
    assert model.predict(UNSEEN).tolist() == ["pos", "neg"]
    assert model.predict_proba(UNSEEN).sum(axis=1) == pytest.approx([1, 1])


def test_training_json_says_how_it_was_made(made):
    said = json.loads((made.path / "training.json").read_text("utf-8"))
    assert (said["format"], said["rows"], said["base"]["name"], said["resumed_at_step"]) == (1, 32, "tiny", None)
    assert said["tasks"] == [{"name": "label", "classes": ["neg", "pos"], "multilabel": False, "labelled": 32}]
    assert (said["options"]["epochs"], said["options"]["head"]) == (8, [8])
    assert [entry["step"] for entry in said["history"]] == [4, 8, 12, 16, 20, 24, 28, 32]
    assert said["best"] == made.best
    assert said["best"]["dev_accuracy"] == 1.0
    assert said["parity"] == made.parity
    assert made.parity["texts"] == 32
    assert made.parity["max_difference"] < 1e-4
    assert made.parity["agreement"] == 1.0


def test_the_curves_are_well_formed(made):
    root = ElementTree.fromstring((made.path / "curves.svg").read_text("utf-8"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert [line[0].text for line in lines] == ["training", "dev", "accuracy", "macro-F1"]
    assert [len(line.get("points").split()) for line in lines] == [8, 8, 8, 8]


@pytest.mark.parametrize(
    ("history", "curves"),
    [([], 0), ([{"epoch": 0.0, "loss": 0.0}], 1), ([{"epoch": 1, "loss": 1.0}, {"epoch": 2, "loss": 1.0}], 1)],
)
def test_curves_of_next_to_nothing_are_well_formed_too(history, curves):
    root = ElementTree.fromstring(learning_curves(history))
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == curves


def test_the_card_says_what_it_is_made_from(made):
    card = (made.path / "README.md").read_text("utf-8")
    assert "- Base: tiny (weights SHA-256 `" in card
    assert "its card names none; ask before you pass this on" in card
    assert "- label: one label a text, 32 labelled; 2 classes: neg, pos." in card
    assert "- dev_accuracy: 1.0000" in card
    assert "## Limits" in card


def test_the_licence_of_the_base_is_kept(folder, tmp_path):
    source = _copy(folder, tmp_path / "licensed")
    (source / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Base\n", "utf-8")
    card = (fine_tune(source, TEXTS, LABELS, tmp_path / "out", **HEAD).path / "README.md").read_text("utf-8")
    assert card.startswith("---\nlicense: apache-2.0\n---\n")
    assert "Base\n" not in card.replace("- Base:", "")


def test_a_result_with_its_weights_is_fine_tuned_further(made, tmp_path):
    again = fine_tune(
        made.path,
        TEXTS,
        LABELS,
        tmp_path / "again",
        dev=(TEXTS, LABELS),
        **{**HEAD, "epochs": 4, "head_learning_rate": 0.1},
    )
    assert again.best["dev_accuracy"] == 1.0
    assert "model.safetensors" not in files_below(again.path)


# -- what is checked ---------------------------------------------------------------------------------------------------


def test_a_graph_that_is_not_torchs_model_is_refused(folder, tmp_path, monkeypatch):
    own = result._onnx_logits

    def shifted(*args):
        return {name: value + np.array([0.0, 0.01]) for name, value in own(*args).items()}

    monkeypatch.setattr(result, "_onnx_logits", shifted)
    with pytest.raises(EncoderFormatError, match=r"logits differ from torch's by up to 0\.01"):
        fine_tune(folder, TEXTS, LABELS, tmp_path / "out", **HEAD)
    # The trained state stays, so that nothing is trained twice.
    assert [path.name for path in tmp_path.iterdir()] == [".out.checkpoint"]


def test_logits_that_are_no_numbers_are_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(result, "_torch_logits", lambda *_: {"label": np.full((32, 2), np.nan, np.float32)})
    with pytest.raises(EncoderFormatError, match="differ from torch's by up to nan"):
        fine_tune(folder, TEXTS, LABELS, tmp_path / "out", **HEAD)


@pytest.mark.parametrize(
    ("speedup", "wrong", "dev", "preferred", "reason"),
    [
        (2.0, 0, True, True, "yes: int8 is 2.00 x as fast, 1.05 x wanted"),
        (1.0, 0, True, False, "no: int8 is 1.00 x as fast, 1.05 x wanted"),
        (2.0, 1, True, False, "no: dev accuracy 0.9688 with int8, 1.0000 fp32"),
        (2.0, 0, False, True, "yes: 100.00% of the answers equal, 99.5% wanted"),
        (2.0, 1, False, False, "no: 96.88% of the answers equal, 99.5% wanted"),
    ],
)
def test_int8_is_preferred_only_where_it_is_faster_and_as_good(
    folder, tmp_path, monkeypatch, speedup, wrong, dev, preferred, reason
):
    """Logits are given, so that only the rule is tested: ``wrong`` answers of int8 among 32."""

    def logits(made, file, texts, threads):
        found = np.array([[0.0, 1.0] if label == "pos" else [1.0, 0.0] for label in LABELS])
        if "qint8" in file:
            found[:wrong] = found[:wrong, ::-1]
        return {"label": found}

    report = SimpleNamespace(speedup=speedup, cosine_mean=0.99, as_dict=lambda: {"prefer": "x", "speedup": speedup})
    monkeypatch.setattr(result, "_onnx_logits", logits)
    monkeypatch.setattr(result, "_parity", lambda *_: {"texts": 32, "max_difference": 0.0, "agreement": 1.0})
    monkeypatch.setattr(result, "check", lambda *_, **__: report)
    held_out = (TEXTS, LABELS) if dev else None
    made = fine_tune(folder, TEXTS, LABELS, tmp_path / "out", dev=held_out, **{**HEAD, "int8": True})
    assert made.int8["preferred"] is preferred
    assert reason in made.int8["reasons"]
    said = json.loads((made.path / "tlclassic.json").read_text("utf-8"))
    assert said["prefer"] == ("onnx/model_qint8.onnx" if preferred else "onnx/model.onnx")


# -- what it replaces --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [["mine.txt"], ["heads.tlc"], ["training.json", "onnx/model.onnx"]])
def test_a_foreign_folder_is_never_replaced(folder, tmp_path, names):
    out = tmp_path / "out"
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        fine_tune(folder, TEXTS, LABELS, out, force=True, **HEAD)
    assert files_below(out) == sorted(names)


def test_a_file_and_a_link_are_never_replaced(folder, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(InputError, match="exists and is no folder"):
            fine_tune(folder, TEXTS, LABELS, tmp_path / name, force=True, **HEAD)
    assert (tmp_path / "file").read_text() == "mine"


def _result(path, text):
    path.mkdir()
    for name in ("heads.tlc", "training.json"):
        (path / name).write_text(text)


def test_a_failure_leaves_the_earlier_result(tmp_path):
    _result(tmp_path / "out", "old")
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "out", force=True) as made:
        (made / "half").write_text("new")
        raise ZeroDivisionError
    assert (tmp_path / "out" / "heads.tlc").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_two_runs_do_not_write_one_folder(tmp_path):
    with new_folder(tmp_path / "out", force=False) as made:
        (made / "first").touch()
        with (
            pytest.raises(InputError, match=r"out: another run is writing this folder\. Wait for it"),
            new_folder(tmp_path / "out", force=False),
        ):
            pass
        with new_folder(tmp_path / "other", force=False):
            pass
    assert files_below(tmp_path) == ["out/first"]


@pytest.mark.parametrize("name", ["out", "a" * 100])
def test_what_killed_runs_left_is_removed_and_nothing_else(tmp_path, name):
    with new_folder(tmp_path / name, force=False) as made:
        hidden = made.name
    left = hidden[: -len("abcdefgh.partial")]
    for leftover in (f"{left}abcd_123.partial", f"{left}abcd_123.old"):
        _result(tmp_path / leftover, "left")
    for kept in (f".{name}.mine", f"{left}abcd_123.partial.txt", ".other.abcd_123.partial"):
        (tmp_path / kept).mkdir()
    with new_folder(tmp_path / name, force=False) as made:
        (made / "new").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [name, f".{name}.mine", f"{left}abcd_123.partial.txt", ".other.abcd_123.partial"]
    )


def test_an_earlier_result_that_a_killed_run_set_aside_comes_back(tmp_path):
    _result(tmp_path / ".out.abcd_123.old", "old")
    with pytest.raises(InputError, match="there is a result already"), new_folder(tmp_path / "out", force=False):
        pass
    assert files_below(tmp_path) == ["out/heads.tlc", "out/training.json"]


def test_a_place_that_cannot_be_written_is_told_before_training(folder, tmp_path):
    (tmp_path / "file").touch()
    steps = []
    with pytest.raises(InputError, match="cannot write here"):
        fine_tune(folder, TEXTS, LABELS, tmp_path / "file" / "out", on_progress=lambda *at: steps.append(at), **HEAD)
    assert steps == []


# -- folders of many kinds ---------------------------------------------------------------------------------------------


def _copy(folder, to):
    import shutil

    return Path(shutil.copytree(folder, to))


def _modules(source, *kinds):
    entries = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds)
    ]
    (source / "modules.json").write_text(json.dumps(entries), "utf-8")
    return source


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "mean_sqrt_len", "weightedmean", "lasttoken"])
def test_every_way_of_pooling_predicts_as_it_was_trained(tmp_path, pooling):
    source = make_torch_encoder(tmp_path / "tiny", pooling=pooling)
    made = fine_tune(source, TEXTS, LABELS, tmp_path / "out", **{**FAST, "epochs": 0.5})
    assert made.parity["max_difference"] < 1e-4
    assert tlclassic.load(made.path).encoder.describe()["pooling"] == [pooling]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True},
            "one way of pooling; this folder has max",
        ),
        ({"pooling_mode": "attention"}, "asks for the pooling attention"),
        ({"pooling_mode_mean_tokens": False}, "asks for the pooling of no kind"),
    ],
)
def test_other_ways_of_pooling_are_refused_by_name(folder, tmp_path, config, message):
    source = _copy(folder, tmp_path / "tiny")
    (source / "1_Pooling" / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(EncoderFormatError, match=message):
        fine_tune(source, TEXTS, LABELS, tmp_path / "out", **HEAD)


@pytest.mark.parametrize(
    ("kind", "message"),
    [("Dense", r"does not train the Dense module '2_Own'.*Remove it"), ("LSTM", "models.LSTM' cannot be applied")],
)
def test_modules_that_are_not_trained_are_refused_by_name(folder, tmp_path, kind, message):
    source = _modules(_copy(folder, tmp_path / "tiny"), ("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Own", kind))
    with pytest.raises(EncoderFormatError, match=message):
        fine_tune(source, TEXTS, LABELS, tmp_path / "out", **HEAD)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_the_older_layout_opens_as_the_newer_one(folder, tmp_path):
    source = tmp_path / "old"
    _copy(folder, source / "0_Transformer")
    (source / "0_Transformer" / "1_Pooling").rename(source / "1_Pooling")
    (source / "0_Transformer" / "modules.json").unlink()
    _modules(source, ("0_Transformer", "Transformer"), ("1_Pooling", "Pooling"))
    plain, old = (fine_tune(own, TEXTS, LABELS, tmp_path / f"out-{own.name}", **FAST).path for own in (folder, source))
    assert files_below(old) == files_below(plain)
    assert (old / "heads.tlc").read_bytes() == (plain / "heads.tlc").read_bytes()
    assert json.loads((old / "modules.json").read_text("utf-8"))[0]["path"] == ""


def test_a_default_prompt_is_not_put_before_texts_that_were_trained_without(folder, tmp_path):
    source = _copy(folder, tmp_path / "tiny")
    said = {"prompts": {"query": "the bad film "}, "default_prompt_name": "query"}
    (source / "config_sentence_transformers.json").write_text(json.dumps(said), "utf-8")
    made = fine_tune(source, TEXTS, LABELS, tmp_path / "out", **HEAD)
    assert made.parity["max_difference"] < 1e-4
    assert not (made.path / "config_sentence_transformers.json").exists()


def test_training_and_prediction_cut_long_texts_alike(folder, tmp_path):
    """Where tokenizer_config.json alone names a length, and where an option does."""
    source = _copy(folder, tmp_path / "tiny")
    (source / "sentence_bert_config.json").unlink()
    (source / "tokenizer_config.json").write_text('{"model_max_length": 7}', "utf-8")
    texts = [f"{text} {' the a my' * 30} {text}" for text in TEXTS]
    for place, (options, length) in enumerate((({}, 7), ({"max_length": 20}, 20))):
        made = fine_tune(source, texts, LABELS, tmp_path / f"out{place}", **FAST, **options)
        assert made.parity["max_difference"] < 1e-4
        assert tlclassic.load(made.path).encoder.describe()["max_length"] == length


def test_positions_that_begin_behind_the_padding_are_enough_for_the_longest_text(folder, tmp_path):
    """RoBERTa counts positions from the padding token's number on, so that 30 serve 28 tokens."""
    source = _copy(folder, tmp_path / "roberta")
    (source / "sentence_bert_config.json").unlink()
    bert = transformers.AutoConfig.from_pretrained(source)
    config = transformers.RobertaConfig(
        vocab_size=bert.vocab_size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=30, pad_token_id=1, type_vocab_size=1,
    )  # fmt: skip
    transformers.RobertaModel(config).save_pretrained(source)
    made = fine_tune(source, [f"{text} {'film ' * 50}" for text in TEXTS], LABELS, tmp_path / "out", **FAST)
    assert made.parity["max_difference"] < 1e-4
    assert tlclassic.load(made.path).encoder.describe()["max_length"] == 28
    with pytest.raises(InvalidParameterError, match="max_length must be at most 28"):
        fine_tune(source, TEXTS, LABELS, tmp_path / "two", max_length=29, **HEAD)


def test_more_tokens_than_positions_are_refused(folder, tmp_path):
    with pytest.raises(InvalidParameterError, match="max_length must be at most 64, the positions of this encoder"):
        fine_tune(folder, TEXTS, LABELS, tmp_path / "out", max_length=65, **HEAD)


def test_threads_are_those_asked_for_from_first_to_last(folder, tmp_path, monkeypatch):
    seen = []
    own = running.write_result

    def watched(*args, **options):
        seen.append(torch.get_num_threads())
        return own(*args, **options)

    monkeypatch.setattr(running, "write_result", watched)
    before = torch.get_num_threads()
    settings = {**HEAD, "threads": before + 1}
    fine_tune(folder, TEXTS, LABELS, tmp_path / "out", on_progress=lambda *_: seen.append(torch.get_num_threads()),
              **settings)  # fmt: skip
    assert set(seen) == {before + 1}
    assert len(seen) == 5
    assert torch.get_num_threads() == before
