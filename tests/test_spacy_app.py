"""``tlclassic spacy``: configs that ``spacy train`` takes, corpora of categories; spaCy's own commands on these."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from spacy_cases import LABELS, TEXTS, installed, save_compiled

from tlclassic.errors import InvalidParameterError

spacy = pytest.importorskip("spacy")
from spacy.tokens import Doc, DocBin  # noqa: E402
from thinc.api import Config  # noqa: E402

from tlclassic.spacy_ext import register  # noqa: E402
from tlclassic.spacy_ext.configs import init_config  # noqa: E402
from tlclassic.spacy_ext.converting import write_categories  # noqa: E402

register()
STEPS = {"training.max_steps": 6, "training.eval_frequency": 3, "components.tok2vec.model.width": 16}


@pytest.fixture
def corpora(tmp_path, run):
    """A folder of three corpora: categories, entities, and trees with tags."""
    folder = tmp_path / "corpora"
    folder.mkdir()
    rows = "".join(f"{text}\t{label}\n" for text, label in zip(TEXTS, LABELS, strict=True))
    (tmp_path / "texts.tsv").write_text(f"text\ttopic\n{rows}")
    code, _, said = run("spacy", "convert", tmp_path / "texts.tsv", "--label", "topic", "--out", folder / "cats.spacy")
    assert (code, said) == (0, f"wrote {folder / 'cats.spacy'}: 6 documents\n")
    vocab = spacy.blank("en").vocab
    words = ["Anna", "likes", "Berlin"]
    named = Doc(vocab, words=words, ents=["B-PER", "O", "B-LOC"])
    tree = Doc(vocab, words=words, tags=["N", "V", "N"], heads=[1, 1, 1], deps=["nsubj", "ROOT", "obj"])
    DocBin(docs=[named] * 4).to_disk(folder / "ner.spacy")
    DocBin(docs=[tree] * 4).to_disk(folder / "trees.spacy")
    return folder


def test_categories_of_a_file(corpora):
    docs = list(DocBin().from_disk(corpora / "cats.spacy").get_docs(spacy.blank("en").vocab))
    assert [doc.text for doc in docs[:2]] == TEXTS[:2]
    assert [doc.cats for doc in docs[2:4]] == [{"neg": 0.0, "pos": 1.0}, {"neg": 1.0, "pos": 0.0}]


def test_a_missing_label_is_no_category(tmp_path):
    assert write_categories(["a", "b"], [None, ["x", "y"]], tmp_path / "c.spacy", lang="en") == 2
    docs = list(DocBin().from_disk(tmp_path / "c.spacy").get_docs(spacy.blank("en").vocab))
    assert [doc.cats for doc in docs] == [{}, {"x": 1.0, "y": 1.0}]
    with pytest.raises(InvalidParameterError, match="labels must hold at least one label; all are missing"):
        write_categories(["a"], [None], tmp_path / "c.spacy", lang="en")


# spaCy's packaging leaves files to be closed by the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("backbone", ["static", "onnx"])
def test_a_config_is_trained_evaluated_assembled_and_packaged(tmp_path, corpora, run, backbone):
    from spacy.cli.assemble import assemble_cli
    from spacy.cli.evaluate import evaluate
    from spacy.cli.package import package
    from spacy.cli.train import train

    options = []
    if backbone == "onnx":
        from tiny_encoder import make_tiny_encoder

        options = ["--backbone", "onnx", "--encoder", make_tiny_encoder(tmp_path / "encoder")]
    tasks = "textcat,ner,parser,tagger"
    code, text, said = run("spacy", "init-config", "--tasks", tasks, "--max-steps", "6", *options)
    assert (code, said) == (0, "")
    config = tmp_path / "config.cfg"
    config.write_text(text)
    paths = {"paths.train": str(corpora), "paths.dev": str(corpora)}
    train(config, tmp_path / "out", overrides={**paths, **STEPS, "components.parser.min_action_freq": 1})
    best = tmp_path / "out" / "model-best"
    nlp = spacy.load(best)
    assert nlp.pipe_names == ["tok2vec", *tasks.split(",")]
    assert nlp.get_pipe("textcat").labels == ("neg", "pos")
    scores = evaluate(str(best), str(corpora), silent=True)
    assert {"tag_acc", "dep_las", "ents_f", "cats_score"} <= set(scores)
    package(best, tmp_path, name="tiny", version="0.0.1", create_meta=False, create_sdist=False, silent=True)
    packaged = spacy.load(tmp_path / "en_tiny-0.0.1" / "en_tiny" / "en_tiny-0.0.1")
    assert packaged("a good film").cats == nlp("a good film").cats
    if backbone == "static":
        assembled = spacy.blank("en").config
        components = {name: {"source": str(best)} for name in nlp.pipe_names}
        components["labels"] = {"factory": "tlclassic_textcat", "model": str(save_compiled(tmp_path))}
        components["means"] = {"factory": "tlclassic_vectors", "store": "refer"}
        assembled["nlp"]["pipeline"], assembled["components"] = list(components), components
        (tmp_path / "assembled.cfg").write_text(assembled.to_str())
        context = type("Context", (), {"args": []})()
        assemble_cli(context, tmp_path / "assembled.cfg", tmp_path / "assembled", None, False)
        doc = spacy.load(tmp_path / "assembled")("a good film")
        assert [token.tag_ for token in doc] == [token.tag_ for token in nlp("a good film")]
        assert doc._.tlclassic["labels"]["label"] == "pos"
        assert doc.vector.any()


def test_our_own_classifier_is_trained_by_spacy_train(tmp_path):
    from spacy.cli.train import train

    write_categories(TEXTS, LABELS, tmp_path / "cats.spacy", lang="en")
    corpus = {"@readers": "spacy.Corpus.v1", "path": str(tmp_path / "cats.spacy")}
    partial = {
        "nlp": {"lang": "en", "pipeline": ["classes"]},
        "components": {"classes": {"factory": "tlclassic_textcat", "options": {"bits": 12}}},
        "corpora": {"train": corpus, "dev": corpus},
        "training": {"max_steps": 20, "eval_frequency": 10},
    }
    config = spacy.util.load_model_from_config(Config(partial), auto_fill=True).config
    (tmp_path / "config.cfg").write_text(config.to_str())
    train(tmp_path / "config.cfg", tmp_path / "out")
    assert spacy.load(tmp_path / "out" / "model-last")("a good film").cats["pos"] > 0.7


def test_a_config_is_complete_and_says_what_was_asked(tmp_path):
    pytest.importorskip("onnxruntime")
    from tiny_encoder import make_tiny_encoder

    make_tiny_encoder(tmp_path, graph="onnx/model_qint8.onnx")
    said = {"file": "int8", "store": "refer", "width": 64, "depth": 3}
    text = init_config(["ner"], "onnx", encoder=tmp_path, lang="de", seed=7, **said)
    config = Config().from_str(text, interpolate=False)
    model = config["components"]["tok2vec"]["model"]
    assert {key: model[key] for key in said} == said
    assert model["model"] == str(tmp_path)
    assert model["cache_tokens"] == 1_000_000
    assert (config["nlp"]["lang"], config["system"]["seed"], config["training"]["max_steps"]) == ("de", 7, 20_000)
    assert config["components"]["ner"]["model"]["tok2vec"]["width"] == "${components.tok2vec.model.width}"
    assert config["corpora"]["dev"]["path"] == "${paths.dev}"
    static = Config().from_str(init_config(["senter"], "static"), interpolate=False)
    assert static["components"]["tok2vec"]["model"]["vectors"] == "base-en"
    assert static["components"]["tok2vec"]["model"]["depth"] == 4


def test_what_is_refused(run):
    code, out, said = run("spacy", "init-config", "--tasks", "ner,nothing")
    assert (code, out) == (2, "")
    assert said.startswith("error: tasks must be one of 'textcat', 'textcat_multilabel', 'ner', ")
    with pytest.raises(InvalidParameterError, match="encoder must be the folder of an ONNX encoder"):
        init_config(["ner"], "onnx")
    with pytest.raises(InvalidParameterError, match="tasks must be a list of different tasks"):
        init_config(["ner", "ner"])
    with pytest.raises(InvalidParameterError, match="language must be a code such as 'en'; got 'nothing'"):
        init_config(["ner"], lang="nothing")
    with pytest.raises(InvalidParameterError, match="backbone must be one of 'static', 'onnx'; got 'x'"):
        init_config(["ner"], "x")


def test_a_backbone_that_is_not_there_is_refused(tmp_path, run):
    pytest.importorskip("onnxruntime")
    from tiny_encoder import make_tiny_encoder

    def refused(*options):
        code, out, said = run("spacy", "init-config", "--tasks", "ner", *options)
        assert (code, out) == (2, "")
        return said.replace(str(tmp_path), "FOLDER")

    onnx = ("--backbone", "onnx", "--encoder")
    said = refused(*onnx, tmp_path / "nothing")
    assert "got 'FOLDER/nothing': FOLDER/nothing: there is no such folder. Give the folder that holds" in said
    folder = make_tiny_encoder(tmp_path / "encoder")
    said = refused(*onnx, folder, "--encoder-file", "int8")
    assert "the graph file='int8'; got 'FOLDER/encoder': FOLDER/encoder: has no graph 'int8'; graphs there: " in said
    assert "onnx/model.onnx. Give one of them" in said
    (folder / "tokenizer.json").unlink()
    assert "FOLDER/encoder: has no tokenizer.json. Save it beside the graph" in refused(*onnx, folder)
    pooled = make_tiny_encoder(tmp_path / "pooled", output="pooled")
    assert "encoder must be an encoder whose graph gives states of tokens; onnx/model.onnx" in refused(*onnx, pooled)
    assert "got 'nothing': name_or_path must be the name of packaged vectors ('base-en')" in refused(
        "--vectors", "nothing"
    )
    (tmp_path / "vectors.txt").write_text("")
    assert "got 'FOLDER/vectors.txt': FOLDER/vectors.txt: " in refused("--vectors", tmp_path / "vectors.txt")
    (tmp_path / "vectors.txt").write_text("good 0.1 0.2\nbad 0.3 0.4\n")
    assert run("spacy", "init-config", "--tasks", "ner", "--vectors", tmp_path / "vectors.txt")[0] == 0


@pytest.mark.slow
@pytest.mark.skipif(not installed(), reason="spaCy finds the entry points of an installed tlclassic alone")
def test_the_example_of_the_page_runs(tmp_path):
    page = (Path(__file__).resolve().parent.parent / "docs" / "spacy.md").read_text("utf-8")
    block = re.findall(r"^```bash\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)[1]
    assert block.count("tlclassic ") == 4
    short = block.replace("--max-steps 400", "--max-steps 4").replace("eval_frequency 100", "eval_frequency 2")
    assert short != block
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", short], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert (tmp_path / "topics" / "model-best" / "config.cfg").exists()
