"""Texts whose tasks depend on each other, and on nothing but their words."""

from __future__ import annotations

import numpy as np

GOOD, BAD, MEDIA = ("good", "great", "fine", "lovely"), ("bad", "dull", "awful", "poor"), ("film", "book", "song")


def reviews(n=240, seed=0, gaps=True):
    """Texts and labels of five kinds: how many of three words are good decides all but the medium."""
    random = np.random.default_rng(seed)
    texts, y = [], {"tone": [], "medium": [], "tags": [], "grade": [], "score": []}

    def sometimes(value, share):
        return None if gaps and random.random() < share else value

    for _ in range(n):
        place, good = int(random.integers(3)), int(random.integers(4))
        words = [GOOD[random.integers(4)] for _ in range(good)] + [BAD[random.integers(4)] for _ in range(3 - good)]
        words += [f"w{number}" for number in random.integers(0, 40, 4)] + [MEDIA[place]]
        texts.append(" ".join(random.permutation(words)))
        y["tone"].append(sometimes("+" if good >= 2 else "-", 0.4))
        y["medium"].append(MEDIA[place])
        y["tags"].append(sometimes([tag for tag, has in (("fun", good > 1), ("seen", place == 0)) if has], 0.3))
        y["grade"].append(sometimes(good, 0.2))
        y["score"].append(sometimes(1.5 * good + 0.2 * float(random.normal()), 0.3))
    return texts, y


KINDS = {"grade": "ordinal"}
