"""Teachers of every kind: what they give for texts, their digests, and what is refused."""

import contextlib
import doctest
import http.server
import json
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

import tlclassic
import tlclassic.distillation.endpoint
import tlclassic.distillation.teachers
from tlclassic.distillation.digests import digest_of_model, digest_of_path
from tlclassic.distillation.teachers import ProbabilityTeacher, open_teacher
from tlclassic.errors import InputError, InvalidParameterError
from tlclassic.heads import SoftLabelLogisticRegression, ThresholdClassifier
from tlclassic.heads.encoder_classifier import EncoderClassifier

TEXTS = ["good fine film", "bad film", "good good", "poor bad plot"] * 3
LABELS = ["pos", "neg", "pos", "neg"] * 3
INDICATORS = np.array([[1, 0], [0, 1], [1, 0], [1, 1]] * 3)


def fitted(labels=LABELS, head=None):
    # A forest's truth is the number of its trees.
    return make_pipeline(CountVectorizer(), LogisticRegression() if head is None else head).fit(TEXTS, labels)


def forest(labels):
    head = RandomForestClassifier(n_estimators=5, random_state=0)
    return fitted(labels, head)


def constant(*row):
    return lambda texts: [list(row)] * len(texts)


# -- models ----------------------------------------------------------------------------------------------------------


def test_a_pipeline_teaches():
    model = fitted()
    teacher = open_teacher(model)
    assert (teacher.name, teacher.classes, teacher.multilabel) == ("LogisticRegression", ["neg", "pos"], False)
    P = teacher.probabilities(["good", "bad"])
    assert P.dtype == np.float32
    np.testing.assert_allclose(P, model.predict_proba(["good", "bad"]), atol=1e-7)
    assert teacher.probabilities([]).shape == (0, 2)
    assert teacher.probabilities(np.array(["good"])).shape == (1, 2)


@pytest.mark.parametrize("labels", [[1, 0, 1, 0] * 3, [True, False, True, False] * 3])
def test_labels_of_other_types(labels):
    teacher = open_teacher(fitted(labels))
    assert [type(label) for label in teacher.classes] == [type(labels[0])] * 2
    assert teacher.classes == sorted(set(labels))
    named = open_teacher(constant(0.5, 0.5), classes=list(np.unique(labels)))
    assert [type(label) for label in named.classes] == [type(labels[0])] * 2


def test_the_columns_are_put_in_order():
    model = fitted()
    teacher = open_teacher(model, classes=["pos", "neg"])
    np.testing.assert_allclose(teacher.probabilities(["good"]), model.predict_proba(["good"])[:, ::-1], atol=1e-7)
    assert teacher.digest != open_teacher(model).digest
    with pytest.raises(InvalidParameterError, match=r"must be \['pos', 'neu'\]; got \['neg', 'pos'\]"):
        open_teacher(model, classes=["pos", "neu"])


@pytest.mark.parametrize(
    "head",
    [
        OneVsRestClassifier(LogisticRegression()),
        ThresholdClassifier(OneVsRestClassifier(LogisticRegression()), cv=4),
        SoftLabelLogisticRegression(),
        RandomForestClassifier(n_estimators=5, random_state=0),
    ],
    ids=lambda head: type(head).__name__,
)
def test_several_labels_a_text(head):
    model = fitted(INDICATORS, head)
    teacher = open_teacher(model, classes=["x", "y"])
    assert (teacher.multilabel, teacher.classes) == (True, ["x", "y"])
    P = teacher.probabilities(TEXTS)
    given = model.predict_proba(TEXTS)
    expected = np.column_stack([matrix[:, 1] for matrix in given]) if isinstance(given, list) else given
    np.testing.assert_allclose(P, expected, atol=1e-6)
    assert open_teacher(model).classes == [0, 1]


def test_outputs_that_are_no_labels():
    model = forest(np.array([[1, 7], [0, 8], [1, 7], [0, 9]] * 3))
    with pytest.raises(InvalidParameterError, match=r"2 outputs with other classes\. Give one model for each"):
        open_teacher(model)


def test_a_label_that_no_text_had():
    model = forest(np.array([[1, 0], [0, 0], [1, 0], [1, 0]] * 3))
    assert open_teacher(model).probabilities(["good"])[0, 1] == 0.0


def test_what_is_no_teacher():
    with pytest.raises(InvalidParameterError, match="Calibrate it: CalibratedClassifierCV"):
        open_teacher(fitted(head=LinearSVC()))
    with pytest.raises(InvalidParameterError, match="teacher must be a model with predict_proba"):
        open_teacher(3)
    with pytest.raises(InvalidParameterError, match=r"has none\. Fit it first"):
        open_teacher(make_pipeline(CountVectorizer(), MultinomialNB()))
    with pytest.raises(InvalidParameterError, match="classes must name the columns"):
        open_teacher(constant(1.0))
    with pytest.raises(InputError, match="there is no such file or folder"):
        open_teacher("no/such/model.tlc")


# -- functions -------------------------------------------------------------------------------------------------------


def test_a_function_teaches():
    teacher = open_teacher(constant(0.25, 0.75), classes=[0, 1], digest="0123")
    assert teacher.probabilities(["a", "b"]).tolist() == [[0.25, 0.75]] * 2
    assert teacher.digest == "0123"
    assert open_teacher(constant(0.25, 0.75), classes=[0, 1]).digest is None
    assert open_teacher(teacher) is teacher


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5], r"must give a matrix of shape \(1, 2\); got \(1, 1\)"),
        ([0.5, 0.6], r"sum to 1; text 0 got \[0.5, 0.6\]. If a text may have several labels"),
        ([float("nan"), 0.5], "text 0 got"),
        ([1.5, -0.5], "text 0 got"),
        (["many", "few"], "must give a matrix of numbers"),
    ],
)
def test_a_function_that_gives_something_else(row, message):
    with pytest.raises(InvalidParameterError, match=message):
        open_teacher(constant(*row), classes=["a", "b"]).probabilities(["text"])


def test_a_table_with_names_is_put_in_order():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"yes": [0.25], "no": [0.75]})
    assert open_teacher(lambda texts: table, classes=["no", "yes"]).probabilities(["x"]).tolist() == [[0.75, 0.25]]
    unnamed = pandas.DataFrame([[0.25, 0.75]])
    assert open_teacher(lambda texts: unnamed, classes=["no", "yes"]).probabilities(["x"]).tolist() == [[0.25, 0.75]]


def test_rows_are_made_to_sum_to_one():
    P = open_teacher(constant(0.5004, 0.5004), classes=["a", "b"]).probabilities(["text"])
    assert P.tolist() == [[0.5, 0.5]]
    several = open_teacher(constant(0.9, 0.9), classes=["a", "b"], multilabel=True)
    np.testing.assert_allclose(several.probabilities(["text"]), [[0.9, 0.9]])


# -- several teachers ------------------------------------------------------------------------------------------------


def test_several_teachers_are_averaged():
    first = open_teacher(constant(0.9, 0.1), classes=["a", "b"], digest="1")
    second = open_teacher(constant(0.7, 0.3), classes=["b", "a"], digest="2")
    both = open_teacher([first, second])
    assert both.classes == ["a", "b"]
    np.testing.assert_allclose(both.probabilities(["x"]), [[0.6, 0.4]], atol=1e-6)
    weighted = open_teacher([first, second], weights=[3, 1])
    np.testing.assert_allclose(weighted.probabilities(["x"]), [[0.75, 0.25]], atol=1e-6)
    assert len({both.digest, weighted.digest, first.digest}) == 3
    assert open_teacher([first, replace(second, digest=None)]).digest is None


def test_weights_for_each_class():
    first = open_teacher(constant(0.8, 0.2), classes=["a", "b"])
    second = open_teacher(constant(0.4, 0.6), classes=["a", "b"])
    # Class a after the first alone, b after the second: 0.8 and 0.6, of 1.4.
    chosen = open_teacher([first, second], weights=[[1, 0], [0, 1]])
    np.testing.assert_allclose(chosen.probabilities(["x"]), [[0.8 / 1.4, 0.6 / 1.4]], atol=1e-6)
    labels = [replace(teacher, multilabel=True) for teacher in (first, second)]
    chosen = open_teacher(labels, weights=[[1, 0], [0, 1]])
    np.testing.assert_allclose(chosen.probabilities(["x"]), [[0.8, 0.6]], atol=1e-6)


def test_teachers_that_do_not_fit():
    first = open_teacher(constant(0.8, 0.2), classes=["a", "b"])
    with pytest.raises(InvalidParameterError, match="All teachers need the same classes"):
        open_teacher([first, open_teacher(constant(0.8, 0.2), classes=["a", "c"])])
    with pytest.raises(InvalidParameterError, match="must all be multi-label or none"):
        open_teacher([first, replace(first, multilabel=True)])
    with pytest.raises(InvalidParameterError, match=r"weights must have the shape \(2,\) or \(2, 2\)"):
        open_teacher([first, first], weights=[1, 1, 1])
    with pytest.raises(InvalidParameterError, match="at least 0 and not all 0"):
        open_teacher([first, first], weights=[0, 0])
    with pytest.raises(InvalidParameterError, match="weights are for a list"):
        open_teacher(first, weights=[1])
    with pytest.raises(InvalidParameterError, match="at least one"):
        open_teacher([])


def test_numbers_and_their_names_are_the_same_classes():
    numbers = open_teacher(constant(0.9, 0.1), classes=[0, 1])
    names = open_teacher(constant(0.3, 0.7), classes=["1", "0"])
    np.testing.assert_allclose(open_teacher([numbers, names]).probabilities(["x"]), [[0.8, 0.2]], atol=1e-6)


# -- files, folders and digests --------------------------------------------------------------------------------------


def test_a_saved_model_teaches(tmp_path):
    model = fitted(INDICATORS, OneVsRestClassifier(LogisticRegression()))
    task = {"text": "text", "labels": ["x", "y"], "multilabel": True}
    tlclassic.save(model, tmp_path / "model.tlc", metadata={"task": task})
    teacher = open_teacher(tmp_path / "model.tlc")
    assert (teacher.classes, teacher.multilabel) == (["x", "y"], True)
    assert teacher.digest == digest_of_path(tmp_path / "model.tlc")
    np.testing.assert_allclose(teacher.probabilities(TEXTS), model.predict_proba(TEXTS), atol=1e-6)


def test_a_compiled_model_teaches(tmp_path):
    compiled = tlclassic.compile(make_pipeline(tlclassic.NgramVectorizer(), LogisticRegression()).fit(TEXTS, LABELS))
    assert open_teacher(compiled).digest == digest_of_model(compiled)
    compiled.save(tmp_path / "small.tlc")
    teacher = open_teacher(str(tmp_path / "small.tlc"))
    np.testing.assert_array_equal(teacher.probabilities(TEXTS), compiled.predict_proba(TEXTS).astype(np.float32))


def test_an_encoder_folder_teaches(tmp_path):
    pytest.importorskip("onnxruntime")
    from tiny_encoder import make_tiny_encoder

    make_tiny_encoder(tmp_path / "model", output="logits")
    teacher = open_teacher(tmp_path / "model")
    assert teacher.classes == ["negative", "positive"]
    expected = EncoderClassifier(tmp_path / "model").predict_proba(TEXTS)
    np.testing.assert_allclose(teacher.probabilities(TEXTS), expected, atol=1e-6)
    (tmp_path / "model" / "README.md").write_text("notes")
    (tmp_path / "model" / "model_int8.onnx").write_bytes(b"another graph")
    assert open_teacher(EncoderClassifier(tmp_path / "model")).digest == teacher.digest
    with (tmp_path / "model" / "tokenizer.json").open("a") as file:
        file.write("\n")
    assert open_teacher(tmp_path / "model").digest != teacher.digest


def test_a_digest_is_that_of_the_contents(tmp_path):
    assert digest_of_model(fitted()) == digest_of_model(fitted())
    assert digest_of_model(fitted()) != digest_of_model(fitted(head=LogisticRegression(C=2.0)))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a").write_text("1")
    digest = digest_of_path(tmp_path / "model")
    (tmp_path / "model" / ".hidden").write_text("2")
    assert digest_of_path(tmp_path / "model") == digest
    (tmp_path / "model" / "b").write_text("2")
    assert digest_of_path(tmp_path / "model") != digest


def test_a_digest_is_the_same_in_another_process():
    pytest.importorskip("skops")
    code = (
        "from sklearn.feature_extraction.text import CountVectorizer\n"
        "from sklearn.naive_bayes import MultinomialNB\n"
        "from sklearn.pipeline import make_pipeline\n"
        "from tlclassic.distillation.digests import digest_of_model\n"
        f"print(digest_of_model(make_pipeline(CountVectorizer(), MultinomialNB()).fit({TEXTS!r}, {LABELS!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    own = digest_of_model(fitted(head=MultinomialNB()))
    assert len(own) == 64
    assert done.stdout.strip() == own
    assert digest_of_model(fitted(head=MultinomialNB(alpha=0.5))) != own


def test_a_model_that_cannot_be_saved_has_no_digest():
    class Own:
        classes_ = np.array(["a", "b"])

        def predict_proba(self, texts):
            return constant(0.5, 0.5)(texts)

    teacher = open_teacher(Own())
    assert teacher.digest is None
    assert open_teacher(Own(), digest="1").digest == "1"
    assert isinstance(teacher, ProbabilityTeacher)


# -- endpoints -------------------------------------------------------------------------------------------------------


class Server:
    """Answers with what ``answers`` holds, in turn, then with right ones; keeps what it was asked."""

    def __init__(self):
        self.asked, self.answers, outer = [], [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, body["texts"]))
                answer = outer.answers.pop(0) if outer.answers else outer.right
                code, raw = answer(body["texts"])
                self.send_response(code)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                with contextlib.suppress(OSError):  # a client that no longer waits
                    self.wfile.write(raw)

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @staticmethod
    def right(texts):
        rows = [[0.25, 0.75] if "good" in text else [0.5, 0.5] for text in texts]
        return 200, json.dumps({"classes": ["neg", "pos"], "probabilities": rows}).encode()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self.thread.join()


def answering(value, code=200):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return lambda texts: (code, raw)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(tlclassic.distillation.endpoint, "_FIRST_WAIT", 0.01)
    running = Server()
    yield running
    running.close()


def test_an_endpoint_teaches(server, monkeypatch):
    monkeypatch.setattr(tlclassic.distillation.endpoint, "BATCH", 2)
    teacher = open_teacher(server.url)
    assert (teacher.classes, teacher.name) == (["neg", "pos"], server.url + "/predict")
    assert teacher.probabilities(["good", "é", "good\ud800"]).tolist() == [[0.25, 0.75], [0.5, 0.5], [0.25, 0.75]]
    assert server.asked[1:] == [("/predict", ["good", "é"]), ("/predict", ["good\ud800"])]
    assert open_teacher(server.url + "/v1/x?k=1").name == server.url + "/v1/x?k=1"
    assert server.asked[-1][0] == "/v1/x?k=1"
    assert open_teacher(server.url).digest == teacher.digest


@pytest.mark.parametrize(
    "shape",
    [
        lambda rows: rows,
        lambda rows: {"predictions": rows},
        lambda rows: {"predictions": [{"label": "a", "proba": row} for row in rows]},
    ],
)
def test_answers_of_one_object_a_text(server, shape):
    server.right = lambda texts: (200, json.dumps(shape([{"a": 0.9, "b": 0.1} for _ in texts])).encode())
    teacher = open_teacher(server.url)
    assert teacher.classes == ["a", "b"]
    np.testing.assert_allclose(teacher.probabilities(["x", "y"]), [[0.9, 0.1]] * 2, atol=1e-6)
    server.answers = [answering(shape([{"b": 0.2, "a": 0.8}]))]
    np.testing.assert_allclose(teacher.probabilities(["x"]), [[0.8, 0.2]], atol=1e-6)


def test_an_endpoint_of_several_labels(server):
    server.right = answering({"classes": ["a", "b"], "probabilities": [[0.9, 0.8]], "multilabel": True})
    assert open_teacher(server.url).multilabel is True
    server.right = answering({"classes": ["a", "b"], "probabilities": [[0.9, 0.8]]})
    assert open_teacher(server.url, multilabel=True).multilabel is True
    with pytest.raises(InvalidParameterError, match="pass multilabel=True"):
        open_teacher(server.url)


@pytest.mark.parametrize("code", [500, 503, 429])
def test_a_fault_that_passes(server, code):
    teacher = open_teacher(server.url)
    server.answers = [answering(b"try later", code)] * 2
    assert teacher.probabilities(["good"]).tolist() == [[0.25, 0.75]]
    assert len(server.asked) == 4


def test_a_fault_that_stays(server):
    server.answers = [answering(b"out of order", 500)] * 3
    with pytest.raises(InputError, match=r"/predict: answered 500 .*\(out of order\), 3 times. Check that the server"):
        open_teacher(server.url, retries=2)
    assert len(server.asked) == 3


def test_a_fault_of_ours_is_not_tried_again(server):
    server.answers = [answering(b"no such page", 404)]
    with pytest.raises(InputError, match=r"answered 404 Not Found \(no such page\). Check the URL"):
        open_teacher(server.url)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"<html>hello</html>", "the answer is not JSON"),
        ([], r"the answer to 1 texts is \[\]; expected"),
        ({"error": "x"}, "the answer to 1 texts is"),
        ({"probabilities": [[0.5, 0.5]]}, None),
        ({"classes": ["neg", "pos"], "probabilities": [[1.0]]}, r"must have the shape \(1, 2\); got \(1, 1\)"),
        ({"classes": ["neg", "pos"], "probabilities": [[0.5, 0.5]] * 2}, r"the shape \(1, 2\); got \(2, 2\)"),
        ({"classes": ["neg", "pos"], "probabilities": [["x", "y"]]}, "must be numbers"),
        ({"classes": ["neg", "new"], "probabilities": [[0.5, 0.5]]}, r"classes have changed to \['neg', 'new'\]"),
        ([{"neg": 1.0}], r"a probability for each of \['neg', 'pos'\]; got \{'neg': 1.0\}"),
    ],
)
def test_answers_that_are_none(server, answer, message):
    teacher = open_teacher(server.url)
    server.answers = [answering(answer)]
    if message is None:
        assert teacher.probabilities(["x"]).tolist() == [[0.5, 0.5]]
        server.answers = [answering(answer)]
        with pytest.raises(InputError, match="names no classes"):
            open_teacher(server.url)
        return
    with pytest.raises(InputError, match=message):
        teacher.probabilities(["x"])


def test_a_server_that_hangs(server):
    teacher = open_teacher(server.url, timeout=0.2, retries=1)

    def hang(texts):
        time.sleep(0.6)
        return 200, b"{}"

    server.answers = [hang]
    assert teacher.probabilities(["good"]).tolist() == [[0.25, 0.75]]
    server.answers = [hang, hang]
    began = time.monotonic()
    with pytest.raises(InputError, match=r"cannot be reached .*timed out.*, 2 times"):
        teacher.probabilities(["good"])
    assert time.monotonic() - began < 2.0


def test_a_server_that_is_not_there(server):
    server.close()
    with pytest.raises(InputError, match=r"cannot be reached .*refused"):
        open_teacher(server.url, retries=0)
    server.close = lambda: None
    with pytest.raises(InvalidParameterError, match="URL with a host"):
        open_teacher("http://")


def test_the_docstrings():
    result = doctest.testmod(tlclassic.distillation.teachers)
    assert (result.attempted >= 3, result.failed) == (True, 0)
