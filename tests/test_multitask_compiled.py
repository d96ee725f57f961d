"""Models of several tasks compiled into one file, and on the command line."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from multitask_cases import KINDS, reviews
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

import tlclassic
from tlclassic import EmbeddingVectorizer, MultiTaskClassifier, NgramVectorizer, WordVectors
from tlclassic.app.main import build
from tlclassic.errors import CorruptArtifactError, InvalidParameterError
from tlclassic.kernels import _score_plain, load
from tlclassic.multitask import distil_tasks, stack
from tlclassic.multitask.distilling import _mixed
from tlclassic.multitask.targets import read_targets
from tlclassic.runtime import CompiledTasks

TEXTS, Y = reviews()
TEST_TEXTS, TEST_Y = reviews(seed=1, gaps=False)
WORDS = ["good", "great", "bad", "dull", "film", "book", "w1", "w2"]


def model_of(sharing="none", features=None, **options):
    features = NgramVectorizer(bits=12, idf=True) if features is None else features
    options = {"kinds": KINDS, "cv": 3, "strengths": [3.0], **options}
    return MultiTaskClassifier(features, sharing=sharing, **options).fit(TEXTS, Y)


@pytest.fixture(scope="module")
def attending():
    return model_of("attention")


def largest_error(model, compiled):
    left, right = model.predict_proba(TEST_TEXTS), compiled.predict_proba(TEST_TEXTS)
    assert list(left) == list(right)
    return max(float(np.abs(left[name] - right[name]).max()) for name in left)


@pytest.mark.parametrize("sharing", ["none", "low-rank", "chain", "attention"])
def test_what_is_compiled_answers_as_its_source(sharing, tmp_path):
    model = model_of(sharing)
    compiled = tlclassic.compile(model, texts=TEST_TEXTS, labels=TEST_Y)
    compiled.save(tmp_path / "model.tlc")
    opened = tlclassic.load(tmp_path / "model.tlc")
    assert isinstance(opened, CompiledTasks)
    assert opened.kinds_ == model.kinds_
    assert largest_error(model, opened) < 1e-5
    expected, got = model.predict(TEST_TEXTS), opened.predict(TEST_TEXTS)
    for name in model.tasks_:
        if name != "score":
            assert got[name].tolist() == expected[name].tolist()
    assert pickle.loads(pickle.dumps(opened)).predict(TEST_TEXTS[:3])["tone"].tolist() == got["tone"][:3].tolist()
    steps = opened.metadata["report"]["steps"]
    assert [step["step"] for step in steps] == ["source", "folded"]
    assert steps[1]["score"] == pytest.approx(model.score(TEST_TEXTS, TEST_Y), abs=1e-6)
    assert steps[1]["agreement"] == 1.0


def test_sizes_are_kept_and_int8_says_what_it_costs(attending, tmp_path):
    whole = tlclassic.compile(attending)
    small = tlclassic.compile(attending, dtype="int8", texts=TEST_TEXTS, labels=TEST_Y)
    assert small.nbytes < 0.6 * whole.nbytes
    assert 0 < largest_error(attending, small) < 0.2
    assert [step["step"] for step in small.metadata["report"]["steps"]] == ["source", "folded", "int8"]
    limit = whole.nbytes // 2
    bounded = tlclassic.compile(attending, max_size=limit)
    bounded.save(tmp_path / "model.tlc")
    assert (tmp_path / "model.tlc").stat().st_size <= limit
    assert tlclassic.compile(attending, prune=0.5).nbytes < whole.nbytes
    with pytest.raises(InvalidParameterError, match="max_size=1,000 bytes is too small"):
        tlclassic.compile(attending, max_size=1000)


def test_word_vectors_fold_beside_ngrams():
    vectors = WordVectors.from_arrays(WORDS, np.random.default_rng(0).normal(size=(8, 6)).astype("float32"))
    features = FeatureUnion(
        [
            ("ngrams", NgramVectorizer(bits=10, word_ngrams=(1, 1))),
            ("vectors", make_pipeline(EmbeddingVectorizer(vectors), StandardScaler())),
        ],
        transformer_weights={"vectors": 0.4},
    )
    model = model_of("chain", features)
    compiled = tlclassic.compile(model)
    assert [family["type"] for family in compiled.metadata["families"]] == ["ngrams", "vectors"]
    assert largest_error(model, compiled) < 1e-4


def test_tasks_of_different_texts_have_tables_of_their_own():
    random = np.random.default_rng(0)

    def texts(first):
        return [" ".join(f"{first}{number}" for number in random.integers(0, 3000, 12)) for _ in range(300)]

    labels = random.integers(0, 3, (5, 300))
    parts = {name: (texts(name), labels[place]) for place, name in enumerate("abcde")}
    options = {"sharing": "none", "strengths": [1.0], "calibrate": False}
    model = MultiTaskClassifier(NgramVectorizer(bits=18), **options).fit(*stack(parts))
    compiled = tlclassic.compile(model)
    assert [family["columns"] for family in compiled.metadata["families"]] == [[3 * i, 3 * i + 3] for i in range(5)]
    singles = {
        name: tlclassic.compile(MultiTaskClassifier(NgramVectorizer(bits=18), **options).fit(own, {name: y}))
        for name, (own, y) in parts.items()
    }
    assert compiled.nbytes <= sum(single.nbytes for single in singles.values())
    for name, single in singles.items():
        own = parts[name][0]
        np.testing.assert_allclose(single.predict_proba(own)[name], compiled.predict_proba(own)[name], atol=1e-6)


def test_a_matrix_model_does_not_compile():
    X = np.random.default_rng(0).normal(size=(40, 3))
    model = MultiTaskClassifier(strengths=[1.0]).fit(X, (X[:, 0] > 0).astype(int))
    with pytest.raises(InvalidParameterError, match="fitted must start from texts; got a MultiTaskClassifier of a mat"):
        tlclassic.compile(model)
    with pytest.raises(InvalidParameterError, match="classes must be None for a MultiTaskClassifier"):
        tlclassic.compile(model_of(), classes=["a"])
    with pytest.raises(InvalidParameterError, match="fitted is compiled already; got a CompiledTasks"):
        tlclassic.compile(tlclassic.compile(model_of()))


def test_explanations_add_up_to_the_output():
    compiled = tlclassic.compile(model_of())
    shown = compiled.explain("a good great film", "medium", "film")
    assert shown.label == "film"
    total = shown.bias + sum(part.weight for part in shown.contributions)
    assert total == pytest.approx(shown.logit, abs=1e-6)
    assert max(shown.contributions, key=lambda part: part.weight).text in ("film", "great film")
    with pytest.raises(InvalidParameterError, match="task must be one of"):
        compiled.explain("a", "other")


def _change(metadata, path, value):
    metadata = copy.deepcopy(metadata)
    *before, last = path
    place = metadata
    for step in before:
        place = place[step]
    place[last] = value
    return metadata


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("tasks",), [], "tasks must be a list"),
        (("tasks", 0, "kind"), "ternary", r"tasks\[0\] is malformed"),
        (("tasks", 0, "columns"), [0, 2], r"tasks\[0\] is malformed"),
        (("tasks", 1, "columns"), [0, 3], r"tasks\[1\] must begin where"),
        (("tasks", 1, "name"), "tone", "must have different names"),
        (("tasks", 0, "temperature"), 0.0, r"tasks\[0\] is malformed"),
        (("tasks", 3, "cuts"), [0.0], r"tasks\[3\] is malformed"),
        (("layer", "kind"), "dense", "layer must be an object of kind"),
        (("layer", "order"), [9], "layer.order must be numbers of tasks"),
        (("families", 0, "columns"), [0, 99], r"families\[0\].columns must be"),
        (("families", 0, "columns"), [0, 3], "table' must hold"),
    ],
)
def test_damaged_files_are_refused(attending, path, value, message):
    compiled = tlclassic.compile(attending)
    arrays = {**compiled._base._arrays, **compiled._own}
    with pytest.raises(CorruptArtifactError, match=message):
        CompiledTasks(_change(compiled.metadata, path, value), arrays)


def test_a_layer_of_the_wrong_size_is_refused(attending):
    compiled = tlclassic.compile(attending)
    arrays = {**compiled._base._arrays, **compiled._own, "layer/bias": np.zeros(3)}
    with pytest.raises(CorruptArtifactError, match="array 'layer/bias' must hold"):
        CompiledTasks(compiled.metadata, arrays)


def test_families_of_other_columns_are_read_once_and_added_in_their_place():
    random = np.random.default_rng(0)
    texts = ["a b c a", "b", "", "c c d e f g h", "ä 東 b"]
    families = []
    for columns, counts in (([0, 2], 0), ([2, 3], 0), ([3, 5], 1)):
        width = columns[1] - columns[0]
        bitmap = random.integers(0, 1 << 63, 16, dtype=np.uint64)
        ranks = load("score").rank_words(bitmap)
        families.append(
            {
                "unit": 0, "lo": 1, "hi": 2, "bits": 10, "fold": True, "keep_punctuation": True, "counts": counts,
                "norm": 2, "columns": columns, "scales": None, "bitmap": bitmap, "ranks": ranks, "idf": None,
                "idf_default": 1.0, "table": random.normal(size=int(ranks[-1]) * width).astype(np.float32),
            }
        )  # fmt: skip
    bias = np.arange(5.0)
    found = []
    for module in (load("score"), _score_plain):
        out = np.tile(bias, (len(texts), 1))
        module.Scorer(bias, families).logits(module.Texts(texts), 0, len(texts), out)
        found.append(out)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12, atol=1e-12)
    assert np.abs(found[0][0] - bias).min() > 0
    assert found[0][2].tolist() == bias.tolist()


# -- the command line ------------------------------------------------------------------------------------------------


def run(*arguments, code=0, text=None):
    result = CliRunner().invoke(build(), [str(part) for part in arguments], input=text)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


def write_rows(path, texts, columns):
    lines = ["\t".join(["text", *columns])]
    for place, text in enumerate(texts):
        cells = ["" if values[place] is None else values[place] for values in columns.values()]
        cells = [",".join(cell) if isinstance(cell, list) else str(cell) for cell in cells]
        lines.append("\t".join([text, *cells]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_one_file_with_a_column_a_task(tmp_path):
    names = ("tone", "grade", "tags", "score")
    train = write_rows(tmp_path / "train.tsv", TEXTS, {name: Y[name] for name in names})
    test = write_rows(tmp_path / "test.tsv", TEST_TEXTS, {name: TEST_Y[name] for name in names})
    model, small = tmp_path / "model.tlc", tmp_path / "small.tlc"
    tasks = [part for name in names for part in ("--task", name)]
    kinds = ["--kind", "grade=ordinal", "--kind", "tags=multilabel", "--kind", "score=regression"]
    options = [*kinds, "--sharing", "none", "--bits", "12", "--dev", test, "--out", model, "--json"]
    report = json.loads(run("train", train, *tasks, *options))
    assert {name: task["kind"] for name, task in report["tasks"].items()} == {
        "tone": "binary", "grade": "ordinal", "tags": "multilabel", "score": "regression",
    }  # fmt: skip
    assert report["tasks"]["tone"]["n"] == sum(label is not None for label in Y["tone"])
    assert min(report["dev"].values()) > 0.85
    assert "saved" in run("compile", model, "--out", small, "--dev", test)
    for path in (model, small):
        measured = json.loads(run("evaluate", path, test, "--json"))
        assert measured["score"] == pytest.approx(np.mean(list(report["dev"].values())), abs=1e-6)
        assert measured["tasks"]["tone"]["evaluation"]["accuracy"] == measured["tasks"]["tone"]["score"]
        rows = [json.loads(line) for line in run("predict", path, test, "--proba", "--keep", "text").splitlines()]
        assert len(rows) == len(TEST_TEXTS)
        assert sorted(rows[0]) == ["grade", "proba", "score", "tags", "text", "tone"]
        assert sum(rows[0]["proba"]["tone"].values()) == pytest.approx(1.0)
        assert sorted(rows[0]["proba"]) == ["grade", "tags", "tone"]
    table = run("predict", small, test, "--format", "tsv", "--proba").splitlines()
    assert table[0].split("\t")[:5] == ["tone", "grade", "tags", "score", "proba_tone_+"]
    printed = run("evaluate", small, test, "--task", "tone")
    assert "tone (binary): accuracy" in printed
    assert "mean over 1 tasks" in printed


def test_a_file_for_each_task(tmp_path):
    halves = {"tone": slice(0, 120), "medium": slice(120, 240)}
    files = {
        name: write_rows(tmp_path / f"{name}.tsv", TEXTS[part], {"label": Y[name][part]})
        for name, part in halves.items()
    }
    test = write_rows(tmp_path / "test.tsv", TEST_TEXTS, {"label": TEST_Y["medium"]})
    model = tmp_path / "model.tlc"
    printed = run("train", *files.values(), "--task", "tone", "--task", "medium", "--bits", "12", "--out", model)
    assert printed.splitlines()[0].split() == ["task", "kind", "texts", "metric", "alone", "chosen", "sharing"]
    measured = json.loads(run("evaluate", model, test, "--task", "medium", "--json"))
    assert list(measured["tasks"]) == ["medium"]
    assert measured["score"] > 0.95
    with pytest.raises(InvalidParameterError, match="task must say which task the labels"):
        run("evaluate", model, test)
    with pytest.raises(InvalidParameterError, match="task must be one of tone, medium"):
        run("evaluate", model, test, "--task", "other")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "tone", "--kind", "tone=large"], "kind must be TASK=KIND"),
        (["--task", "tone", "--task", "tone"], "task must name each task once"),
        (["--task", "tone", "--balanced"], "balanced must be left out with --task"),
        (["--sharing", "none"], "are for several tasks; name them with --task"),
    ],
)
def test_options_that_do_not_fit_are_named(tmp_path, options, message):
    train = write_rows(tmp_path / "train.tsv", TEXTS[:9], {"label": Y["tone"][:9], "tone": Y["tone"][:9]})
    with pytest.raises(InvalidParameterError, match=message):
        run("train", train, *options, "--out", tmp_path / "model.tlc")


# -- distilling ------------------------------------------------------------------------------------------------------


def test_a_student_learns_what_its_teacher_says_of_every_task(attending):
    student = distil_tasks(attending, TEXTS, features=NgramVectorizer(bits=10), strengths=[30.0], cv=3)
    assert student.kinds_ == attending.kinds_
    assert set(student.sharing_.values()) == {"none"}
    wanted, got = attending.predict(TEST_TEXTS), student.predict(TEST_TEXTS)
    for name in ("tone", "medium", "grade"):
        assert (wanted[name] == got[name]).mean() > 0.8
    compiled = tlclassic.compile(attending)
    again = distil_tasks(compiled, TEXTS, features=NgramVectorizer(bits=10), strengths=[30.0], cv=3)
    assert (again.predict(TEST_TEXTS)["tone"] == got["tone"]).mean() > 0.99


def test_true_labels_are_mixed_with_the_teachers_answers(attending):
    y = {"tone": ["+", None, "-"], "score": [4.0, None, 0.0]}
    target, number = read_targets(y, 3, {"score": "regression"}, {"tone": ["+", "-"]})
    soft = np.array([[0.6, 0.4]] * 4)
    assert _mixed(soft, target, 0.5).tolist() == [[0.8, 0.2], [0.6, 0.4], [0.3, 0.7], [0.6, 0.4]]
    assert _mixed(np.full(4, 1.0), number, 0.25).round(6).tolist() == [1.75, 1.0, 0.75, 1.0]
    student = distil_tasks(attending, [], labelled=(TEXTS, Y), hard_weight=1.0, features=NgramVectorizer(bits=10), cv=3)
    assert student.score(TEST_TEXTS, TEST_Y) > 0.9
    with pytest.raises(InvalidParameterError, match="texts must hold at least one text"):
        distil_tasks(attending, [])
    with pytest.raises(InvalidParameterError, match="teacher must answer a dict of tasks"):
        distil_tasks(MultiTaskClassifier(strengths=[1.0]).fit(TEXTS, np.array(Y["medium"])), TEXTS)


def test_the_command_distils_all_tasks(tmp_path, attending):
    tlclassic.save(attending, tmp_path / "teacher.tlc")
    train = write_rows(tmp_path / "train.tsv", TEXTS, Y)
    dev = write_rows(tmp_path / "dev.tsv", TEST_TEXTS, TEST_Y)
    plain = tmp_path / "plain.txt"
    plain.write_text("\n".join(TEST_TEXTS), encoding="utf-8")
    out = tmp_path / "student.tlc"
    report = json.loads(run("distill", tmp_path / "teacher.tlc", "--texts", plain, "--train", train, "--dev", dev,
                            "--max-size", "300kB", "--out", out, "--json"))  # fmt: skip
    assert report["bytes"] == out.stat().st_size <= 300_000
    assert report["steps"][0]["score"] > 0.85
    assert tlclassic.load(out).tasks_ == attending.tasks_
    with pytest.raises(InvalidParameterError, match="augment must be left out for a teacher of several tasks"):
        run("distill", tmp_path / "teacher.tlc", "--texts", plain, "--augment", "none", "--out", out)
    for option, value in (("student", "convolution"), ("effort", "large"), ("objective", "logits"), ("threads", 2)):
        with pytest.raises(InvalidParameterError, match=f"{option} must be left out for a teacher of several tasks"):
            run("distill", tmp_path / "teacher.tlc", "--texts", plain, f"--{option}", value, "--out", out)
