import numpy as np


def drop(texts, n, rs):
    r = np.random.default_rng(rs)
    for _ in range(n):
        t = texts[r.integers(len(texts))].split()
        yield " ".join(w for w in t if r.random() > 0.2) or "x"


METHODS = {"drop_tokens": drop, "replace_neighbours": drop}


def augment(texts, n, *, methods, random_state, vectors=None):
    return drop(texts, n, random_state)
