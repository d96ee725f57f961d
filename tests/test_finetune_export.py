"""Export of torch encoders: parity, layout, whole or not at all."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
onnxruntime = pytest.importorskip("onnxruntime")

from tlclassic.errors import EncoderFormatError, InputError, InvalidParameterError  # noqa: E402
from tlclassic.finetune import export as module  # noqa: E402
from tlclassic.finetune.export import export_module, export_onnx  # noqa: E402

pytestmark = [pytest.mark.finetune, pytest.mark.filterwarnings("ignore")]

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghij"]
SMALL = {
    "vocab_size": len(WORDS),
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}


def _bert(kind=None, **settings):
    torch.manual_seed(0)
    return (kind or transformers.BertModel)(transformers.BertConfig(**SMALL, **settings)).eval()


@pytest.fixture
def source(tmp_path):
    """A folder as transformers and sentence-transformers write it."""
    folder = tmp_path / "source"
    _bert().save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (folder / "evil.py").write_text("raise SystemExit")
    (folder / "tlclassic.json").write_text("{}")
    return folder


def _feeds(n, t, names=("input_ids", "attention_mask", "token_type_ids")):
    draw = np.random.default_rng(n + t)
    feeds = {name: np.zeros((n, t), dtype=np.int64) for name in names}
    feeds["input_ids"][:] = draw.integers(1, len(WORDS), size=(n, t))
    feeds["attention_mask"][:] = np.arange(t) < draw.integers(1, t + 1, size=(n, 1))
    return feeds


def _differences(model, path, field, shapes=((1, 1), (5, 3), (2, 64))):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    for shape in shapes:
        feeds = _feeds(*shape, names)
        with torch.no_grad():
            expected = model(**{name: torch.from_numpy(value) for name, value in feeds.items()})[field].numpy()
        kept = feeds["attention_mask"].astype(bool) if field == "last_hidden_state" else slice(None)
        yield float(np.abs(session.run(None, feeds)[0][kept] - expected[kept]).max())


def test_a_folder_is_exported(source, tmp_path):
    made = export_onnx(source, tmp_path / "out")
    names = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert {"onnx/model.onnx", "tokenizer.json", "config.json", "modules.json", "1_Pooling/config.json"} <= names
    assert not [name for name in names if name.endswith((".py", ".safetensors"))]
    assert "tlclassic.json" not in names
    assert (
        max(_differences(transformers.BertModel.from_pretrained(source), made / "onnx/model.onnx", "last_hidden_state"))
        < 1e-5
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_the_transformer_in_a_folder_of_its_own(source, tmp_path):
    outer = tmp_path / "outer"
    outer.mkdir()
    modules = json.loads((source / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (source / "1_Pooling").rename(outer / "1_Pooling")
    (source / "modules.json").unlink()
    source.rename(outer / "0_Transformer")
    (outer / "modules.json").write_text(json.dumps(modules))
    made = export_onnx(outer, tmp_path / "out")
    assert json.loads((made / "modules.json").read_text())[0]["path"] == ""
    assert (made / "tokenizer.json").is_file()
    assert (made / "1_Pooling" / "config.json").is_file()


def test_dense_weights_of_torch_become_safetensors(source, tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    modules = json.loads((source / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    (source / "modules.json").write_text(json.dumps(modules))
    (source / "2_Dense").mkdir()
    torch.save({"linear.weight": torch.eye(16)[:4]}, source / "2_Dense" / "pytorch_model.bin")
    made = export_onnx(source, tmp_path / "out")
    assert [path.name for path in (made / "2_Dense").iterdir()] == ["model.safetensors"]
    weights = safetensors.load_file(made / "2_Dense" / "model.safetensors")
    assert np.array_equal(weights["linear.weight"], np.eye(16, dtype=np.float32)[:4])
    (source / "2_Dense" / "pytorch_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(EncoderFormatError, match=r"pytorch_model\.bin: the weights cannot be loaded"):
        export_onnx(source, tmp_path / "other")


def test_a_classifier_gives_logits(source, tmp_path):
    model = _bert(transformers.BertForSequenceClassification, num_labels=3)
    model.save_pretrained(source)
    made = export_onnx(source, tmp_path / "out")
    assert max(_differences(model, made / "onnx/model.onnx", "logits")) < 1e-5


def test_models_without_token_types(source, tmp_path):
    torch.manual_seed(0)
    config = transformers.DistilBertConfig(
        vocab_size=len(WORDS), dim=16, n_layers=1, n_heads=4, hidden_dim=32, max_position_embeddings=64
    )
    transformers.DistilBertModel(config).save_pretrained(source)
    made = export_onnx(source, tmp_path / "out")
    session = onnxruntime.InferenceSession(made / "onnx/model.onnx", providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_inputs()] == ["input_ids", "attention_mask"]


def test_a_live_module_stays_as_it_was(tmp_path):
    model = _bert().train()
    model.set_attn_implementation("sdpa")
    export_module(model, tmp_path / "model.onnx")
    assert model.training
    assert model.config._attn_implementation == "sdpa"
    assert max(_differences(model.eval(), tmp_path / "model.onnx", "last_hidden_state")) < 1e-5


def test_a_module_that_gives_a_tensor(tmp_path):
    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.states = torch.nn.Embedding(len(WORDS), 4)

        def forward(self, input_ids, attention_mask):
            mask = attention_mask.unsqueeze(-1).float()
            return (self.states(input_ids) * mask).sum(1) / mask.sum(1)

    path = export_module(Pooled(), tmp_path / "m.onnx", inputs=["input_ids", "attention_mask"], output="pooled")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [entry.name for entry in session.get_outputs()] == ["sentence_embedding"]
    assert session.run(None, _feeds(3, 9, ["input_ids", "attention_mask"]))[0].shape == (3, 4)


def test_a_failed_export_leaves_nothing(source, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_TOLERANCE", -1.0)
    with pytest.raises(EncoderFormatError, match="differs from torch"):
        export_onnx(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_module_that_cannot_be_traced(tmp_path):
    class Broken(torch.nn.Module):
        def forward(self, **inputs):
            raise RuntimeError("no way")

    with pytest.raises(EncoderFormatError, match=r"cannot be exported to ONNX .*no way"):
        export_module(Broken(), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_refused(source, tmp_path):
    with pytest.raises(InputError, match="this exists already"):
        export_onnx(source, source)
    with pytest.raises(EncoderFormatError, match="there is no such folder"):
        export_onnx(tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(InvalidParameterError, match="output must be one of"):
        export_module(torch.nn.Linear(1, 1), tmp_path / "m.onnx", output="states")
    for opset in (10, 21):
        with pytest.raises(InvalidParameterError, match="opset must be"):
            export_onnx(source, tmp_path / "out", opset=opset)
    with pytest.raises(InputError, match="does not exist"):
        export_module(torch.nn.Linear(1, 1), tmp_path / "nowhere" / "m.onnx")
    (source / "model.safetensors").write_bytes(b"half")
    with pytest.raises(EncoderFormatError, match="weights cannot be loaded"):
        export_onnx(source, tmp_path / "out")
    (source / "config.json").write_text("{")
    with pytest.raises(EncoderFormatError, match=r"config.json: this is not JSON"):
        export_onnx(source, tmp_path / "out")
    (source / "config.json").unlink()
    with pytest.raises(EncoderFormatError, match=r"there is no config\.json here"):
        export_onnx(source, tmp_path / "out")
    (source / "modules.json").write_text('[{"path": "../.."}]')
    with pytest.raises(EncoderFormatError, match="leaves the folder"):
        export_onnx(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
