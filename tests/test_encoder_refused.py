"""What ``OnnxEncoder`` refuses: folders written half, graphs that cannot be run, parameters; and what it then says."""

import json

import onnx
import pytest
from onnx import TensorProto, helper
from tiny_encoder import make_tiny_encoder

from tlclassic.encoders import OnnxEncoder
from tlclassic.errors import EncoderFormatError, InvalidParameterError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


def _refused(folder, match):
    with pytest.raises(EncoderFormatError, match=match):
        OnnxEncoder(folder).transform(["a"])


def test_no_folder(tmp_path):
    _refused(tmp_path / "missing", r"missing: there is no such folder\. Give the folder that holds tokenizer\.json")
    (tmp_path / "file").write_text("")
    _refused(tmp_path / "file", "is a file, not an encoder's folder")
    with pytest.raises(InvalidParameterError, match="model must be the path"):
        OnnxEncoder(3).open()


def test_no_tokenizer(tmp_path):
    made = make_tiny_encoder(tmp_path / "e")
    (made / "tokenizer.json").unlink()
    _refused(made, r"has no tokenizer\.json.*save_pretrained")


def test_no_graph_says_which_there_are(tmp_path):
    made = make_tiny_encoder(tmp_path / "e")
    with pytest.raises(EncoderFormatError, match=r"no graph 'model_O4\.onnx'; graphs there: onnx/model\.onnx"):
        OnnxEncoder(made, file="model_O4.onnx").open()
    with pytest.raises(EncoderFormatError, match="no graph 'int8'"):
        OnnxEncoder(made, file="int8").open()
    (made / "onnx/model.onnx").unlink()
    _refused(made, r"has no graph; no \.onnx file is there.*tlclassic encoder export")


@pytest.mark.parametrize("keep", [0, 1, 100, -200])
def test_a_graph_that_is_cut_short(tmp_path, keep):
    made = make_tiny_encoder(tmp_path / "e")
    whole = (made / "onnx/model.onnx").read_bytes()
    (made / "onnx/model.onnx").write_bytes(whole[:keep])
    _refused(made, r"model\.onnx: ")


def test_a_graph_that_is_none(tmp_path):
    made = make_tiny_encoder(tmp_path / "e")
    (made / "onnx/model.onnx").write_text("version https://git-lfs.github.com/spec/v1")
    _refused(made, r"is not a whole ONNX graph.*Export it again")


def _from_the_future(model):
    model.opset_import[0].version = 99


def _of_a_new_format(model):
    model.ir_version = 99


def _of_an_old_opset(model):
    # Unsqueeze had no second input then.
    model.opset_import[0].version = 11


def _with_a_foreign_operator(model):
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(helper.make_opsetid("com.example", 1))


@pytest.mark.parametrize(
    ("alter", "match"),
    [
        (_from_the_future, r"needs a newer onnxruntime.*Opset 99.*Upgrade onnxruntime"),
        (_of_a_new_format, r"needs a newer onnxruntime.*IR version: 99.*Upgrade onnxruntime"),
        (_of_an_old_opset, r"operators that onnxruntime does not know in the opset.*Unsqueeze:11.*opset 17"),
        (_with_a_foreign_operator, r"operators that onnxruntime does not know.*com\.example:Gather.*of ONNX alone"),
    ],
)
def test_a_wrong_opset(tmp_path, alter, match):
    made = make_tiny_encoder(tmp_path / "e")
    model = onnx.load(made / "onnx/model.onnx")
    alter(model)
    onnx.save(model, made / "onnx/model.onnx")
    _refused(made, match)


@pytest.mark.parametrize(
    ("name", "kind", "shape", "match"),
    [
        ("pixel_values", TensorProto.INT64, ["batch", "tokens"], "asks for the input pixel_values"),
        ("attention_mask", TensorProto.FLOAT, ["batch", "tokens"], r"attention_mask \(tensor\(float\)"),
        ("attention_mask", TensorProto.INT64, ["batch", 1, "tokens"], "attention_mask"),
    ],
)
def test_unknown_inputs(tmp_path, name, kind, shape, match):
    made = make_tiny_encoder(tmp_path / "e")
    inputs = [
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"]),
        helper.make_tensor_value_info(name, kind, shape),
    ]
    result = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens"])
    node = helper.make_node("Cast", ["input_ids"], ["last_hidden_state"], to=TensorProto.FLOAT)
    graph = helper.make_graph([node], "odd", inputs, [result])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), made / "onnx/model.onnx"
    )
    _refused(made, match)


def test_a_graph_that_fails_while_it_runs(tmp_path):
    made = make_tiny_encoder(tmp_path / "e")
    for name in ("config.json", "tokenizer_config.json", "sentence_bert_config.json"):
        (made / name).unlink()
    with pytest.raises(EncoderFormatError, match=r"failed on 1 texts of 502 tokens.*Lower max_length"):
        OnnxEncoder(made).transform(["a " * 500])


def test_the_tokenizer_of_a_larger_model(tmp_path):
    made = make_tiny_encoder(tmp_path / "e")
    said = json.loads((made / "tokenizer.json").read_text())
    said["model"]["vocab"]["zebra"] = 999
    (made / "tokenizer.json").write_text(json.dumps(said))
    assert OnnxEncoder(made).transform(["a"]).shape == (1, 16)
    with pytest.raises(EncoderFormatError, match=r"out of data bounds.*copy tokenizer\.json anew"):
        OnnxEncoder(made).transform(["a zebra"])


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("config.json", '{\n"a": 1,\n}', r"config\.json:3: is not JSON"),
        ("config.json", "[]", "must be an object; it is list"),
        ("modules.json", "{}", "must be a list; it is dict"),
        ("modules.json", '[{"type": "evil.Module", "path": ""}]', r"the module 'evil\.Module' cannot be applied here"),
        ("modules.json", "[3]", "a module is described as 3"),
        ("1_Pooling/config.json", '{"pooling_mode": "attention"}', "asks for the pooling attention"),
        ("1_Pooling/config.json", "{}", "asks for the pooling of no kind"),
        ("modules.json", '[{"type": "a.Pooling", "path": "../other/1_Pooling"}]', "a module lies outside the folder"),
        ("modules.json", '[{"type": "a.Pooling"}]', "asks for the pooling of no kind"),
        ("config.json", '{"model_type": "roberta", "pad_token_id": null}', "pad_token_id must be a number; it is None"),
        ("config_sentence_transformers.json", '{"default_prompt_name": ["q"]}', "which prompts lack"),
        ("tokenizer.json", '{\n\n"x"', r"tokenizer\.json:3: is not JSON"),
        ("tokenizer.json", '{"a": 1}', "cannot be used as a tokenizer"),
        ("config_sentence_transformers.json", '{"prompts": {"a": 3}}', "prompts must map names to texts"),
        ("config_sentence_transformers.json", '{"default_prompt_name": "q"}', "which prompts lack"),
    ],
)
def test_malformed_files(tmp_path, name, content, match):
    made = make_tiny_encoder(tmp_path / "e")
    (made / name).write_text(content)
    _refused(made, match)


def test_a_folder_written_half(tmp_path):
    made = make_tiny_encoder(tmp_path / "e")
    (made / "1_Pooling/config.json").unlink()
    _refused(made, r"is missing, and modules\.json names it.*Copy the folder again")


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"pooling": "median"}, "pooling must be one of"),
        ({"pooling": None}, r"pooling must be one of.*got None"),
        ({"prompt": ["query"]}, "prompt must be one of"),
        ({"normalize": "yes"}, "normalize must be one of"),
        ({"max_length": 0}, "max_length must be at least 1"),
        ({"batch_tokens": 0}, "batch_tokens must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"file": None}, "file must be"),
        ({"cache": 3}, "cache must be None, True or a path"),
    ],
)
def test_parameters(folder, params, match):
    with pytest.raises(InvalidParameterError, match=match):
        OnnxEncoder(folder, **params).fit(["a"])
