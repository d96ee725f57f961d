"""The example of docs/encoders.md runs, on an encoder made here."""

import re
from pathlib import Path

from tiny_encoder import make_tiny_encoder

PAGE = Path(__file__).resolve().parent.parent / "docs" / "encoders.md"


def test_the_example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_tiny_encoder("all-MiniLM-L6-v2")
    code = re.findall(r"(?:^    .*\n|^\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    (example,) = [block for block in code if "make_pipeline(" in block]
    names = {"texts": ["my card is lost", "the film was bad"] * 3, "labels": [0, 1] * 3}
    exec("\n".join(line[4:] for line in example.splitlines()), names)
    assert names["model"].predict(["the film was bad"]).tolist() == [1]


def test_every_link_leads_somewhere():
    targets = re.findall(r"\]\(([^)#]+)", PAGE.read_text(encoding="utf-8"))
    assert targets
    assert [target for target in targets if not (PAGE.parent / target).exists()] == []
