"""A damaged or hostile compiled classifier is refused by the name of what is wrong."""

from __future__ import annotations

import copy
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlclassic.errors import ArtifactVersionError, CorruptArtifactError, TlclassicError
from tlclassic.runtime import CompiledClassifier
from tlclassic.storage import ArtifactWriter

CASES = runpy.run_path(str(Path(__file__).with_name("runtime_cases.py")))


def good():
    rng = np.random.default_rng(2)
    families = [
        CASES["ngrams"](rng, 3, layout="bitmap", norm="l2", idf=True),
        CASES["ngrams"](rng, 3, dtype="float16", bits=4),
        CASES["vectors"](rng, 3, ["film", "fine"], "int8"),
    ]
    return CASES["state"](3, *families)


def refused(metadata, arrays, message, kind=CorruptArtifactError):
    with pytest.raises(kind, match=message):
        CompiledClassifier(metadata, arrays)


def test_the_good_one_is_taken():
    assert CompiledClassifier(*good()).predict(["a fine film"]).shape == (1,)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("format",), "1", "format must be of type int; got '1'"),
        (("format",), 0, "format must be from 1 to"),
        (("outputs",), 0, "outputs must be from 1 to 65536; got 0"),
        (("outputs",), True, "outputs must be of type int; got True"),
        (("classes",), ["a", "b"], "classes must be 3 for 3 outputs; got 2"),
        (("classes",), ["a", "b", 3], "classes[2] must be of type 'str'; got 3"),
        (("classes",), ["a", "b", "b"], "classes must differ"),
        (("classes_dtype",), "object", "classes_dtype must be one of"),
        (("link",), "probit", "link must be one of 'softmax'"),
        (("link",), "sigmoid", "link must not be 'sigmoid' for 3 outputs"),
        (("multilabel",), 1, "multilabel must be of type bool"),
        (("multilabel",), True, "link must be 'sigmoid' or 'none' for several labels"),
        (("families",), {}, "families must be of type list"),
        (("families",), [3], "families[0] must be an object"),
        (("families", 0, "type"), "trees", "families[0].type must be one of"),
        (("families", 0, "bits"), 99, "families[0].bits must be from 1 to 28; got 99"),
        (("families", 0, "bits"), 11, "array '0/bitmap' must hold 32 numbers; got 16"),
        (("families", 1, "bits"), 5, "array '1/table' must hold 32 rows of 3"),
        (("families", 0, "ngrams"), [0, 2], "families[0].ngrams must be [shortest, longest]"),
        (("families", 0, "ngrams"), [2, 99], "families[0].ngrams must be [shortest, longest]"),
        (("families", 0, "norm"), "l3", "families[0].norm must be one of"),
        (("families", 0, "idf_default"), "x", "families[0].idf_default must be a finite number"),
        (("families", 0, "dtype"), "float32", "array '0/table' must be contiguous float32"),
        (("families", 2, "tokenizer"), {}, "the tokenizer of family 2 cannot be made"),
        (("families", 2, "blocks"), [{}], "families[2].blocks[0].dtype must be of type str"),
        (("provenance",), [], "provenance must be an object"),
    ],
)
def test_metadata(place, value, message):
    metadata, arrays = good()
    target = metadata
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    refused(metadata, arrays, re.escape(message))


def test_newer_versions():
    for name, known in (("format", 2), ("hash_version", 1)):
        metadata, arrays = good()
        metadata[name] = known + 1
        refused(metadata, arrays, f"{name} is {known + 1}; this tlclassic reads up to {known}", ArtifactVersionError)


@pytest.mark.parametrize("name", list(good()[1]))
def test_arrays(name):
    metadata, arrays = good()
    for bad in (
        None,
        arrays[name][:-1],
        arrays[name].astype("i2"),
        arrays[name][None],
        np.repeat(arrays[name], 2)[::2],
    ):
        changed = {**arrays, name: bad}
        if bad is None:
            del changed[name]
        refused(metadata, changed, r"array '[0-9a-z/]+' ")


def test_ranks_that_do_not_count_the_bits():
    metadata, arrays = good()
    arrays["0/ranks"] = arrays["0/ranks"] + np.uint32(1)
    refused(metadata, arrays, "'0/ranks' does not count the bits of '0/bitmap'")
    metadata, arrays = good()
    arrays["0/bitmap"] = np.full_like(arrays["0/bitmap"], np.uint64(0xFFFFFFFFFFFFFFFF))
    refused(metadata, arrays, "'0/ranks' does not count")


@pytest.mark.parametrize("name", ["bias", "0/scales", "2/0/scales"])
def test_numbers_that_are_not_finite(name):
    metadata, arrays = good()
    arrays[name][0] = np.nan
    refused(metadata, arrays, f"array '{name}' must be finite")


def test_offsets_of_words():
    for change in ([5, 8], [0, 99, 8], [0, 4, 7]):
        metadata, arrays = good()
        arrays["2/offsets"] = np.array(change, dtype=np.int64)
        if len(change) == 3 and change[-1] == 8:
            # Bounded when it is followed.
            CompiledClassifier(metadata, arrays).predict(["film fine"])
        else:
            refused(metadata, arrays, "2/offsets' does not cut")


@settings(max_examples=100)
@given(st.data())
def test_any_change_of_the_metadata_is_refused_or_harmless(data):
    metadata, arrays = good()
    metadata = copy.deepcopy(metadata)
    target = metadata
    while isinstance(target, (dict, list)) and target:
        keys = list(target) if isinstance(target, dict) else list(range(len(target)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(target[key], (dict, list)) or data.draw(st.booleans()):
            target[key] = data.draw(
                st.one_of(
                    st.none(), st.integers(-3, 40), st.text(max_size=3), st.booleans(), st.lists(st.integers(0, 9))
                )
            )
            break
        target = target[key]
    try:
        model = CompiledClassifier(metadata, arrays)
    except TlclassicError:
        return
    assert len(model.predict(CASES["TEXTS"])) == len(CASES["TEXTS"])


def test_tables_of_noise_give_numbers_and_no_crash():
    metadata, arrays = good()
    rng = np.random.default_rng(0)
    for name in ("1/table", "0/idf", "2/slots", "2/1/weights", "2/0/unknown"):
        arrays[name] = np.frombuffer(rng.bytes(arrays[name].nbytes), dtype=arrays[name].dtype)
    with np.errstate(all="ignore"):
        model = CompiledClassifier(metadata, arrays)
        assert set(model.predict(CASES["TEXTS"])) <= set(model.classes_)


def test_a_file_of_the_right_kind_with_nothing_in_it(tmp_path):
    with ArtifactWriter(tmp_path / "empty.tlc", kind="compiled"):
        pass
    with pytest.raises(CorruptArtifactError, match="format must be of type int; got None"):
        CompiledClassifier.load(tmp_path / "empty.tlc")
