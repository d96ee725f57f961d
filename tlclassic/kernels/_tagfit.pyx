# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""One pass of structured training of the taggers over sentences. Plain twin: _tagfit_plain.py, which describes it.

Design: the scores of all tasks come from one walk over a sentence's features, and so do their updates; a task's loss
sees its own columns alone. Averaged weights are kept as a sum of steps times their number (Daumé 2006, figure 2.3), so
that a step touches only the rows of the features at hand.
"""

from libc.math cimport INFINITY, exp, expf, log, sqrt, sqrtf
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

import numpy as np

from tlclassic.kernels._tagfit_plain import check_problem

#: Steps of a token are left out where no part of them is larger.
cdef float SMALL = 1e-3

cdef struct Problem:
    const int32_t *tokens
    const int32_t *unary
    const int64_t *unary_bounds
    const int32_t *pairs
    const float *vectors
    const float *states
    float *weights
    float *sums
    float *squares
    float *dense
    float *dense_sums
    float *dense_squares
    int64_t k, n_tasks, n_words, window, n_pairs, dim, reach, width, bias
    float rate, dropout, count
    uint64_t seed
    bint adagrad


cdef inline uint64_t _mix(uint64_t x) noexcept nogil:
    x = (x ^ (x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t>0x94D049BB133111EB
    return x ^ (x >> 31)


cdef inline bint _dropped(const Problem *p, int64_t t, int64_t f) noexcept nogil:
    """Whether a feature of a token is left out of this pass."""
    if p.dropout <= 0:
        return False
    cdef uint64_t h = _mix(p.seed + (<uint64_t>t << 32) + <uint64_t>f)
    return <double>(h >> 11) * (1.0 / 9007199254740992.0) < p.dropout


cdef inline int64_t _word(const Problem *p, int64_t place, int64_t first, int64_t last) noexcept nogil:
    if place < first:
        return p.n_words
    return p.n_words + 1 if place >= last else p.tokens[place]


cdef inline void _add(float *out, const float *row, int64_t k) noexcept nogil:
    cdef int64_t c
    for c in range(k):
        out[c] += row[c]


cdef void _scores(const Problem *p, int64_t first, int64_t last, float *out) noexcept nogil:
    """The scores of the tokens of a sentence in all columns."""
    cdef int64_t t, d, e, f, c, cell, k = p.k, width = 2 * p.window + 1
    cdef float *row
    cdef const float *vector
    for t in range(first, last):
        row = out + (t - first) * k
        for c in range(k):
            row[c] = p.weights[p.bias * k + c]
        for d in range(-p.window, p.window + 1):
            cell = _word(p, t + d, first, last) * width + d + p.window
            for e in range(p.unary_bounds[cell], p.unary_bounds[cell + 1]):
                f = p.unary[e]
                if f >= 0 and not _dropped(p, t, f):
                    _add(row, p.weights + f * k, k)
        for e in range(p.n_pairs):
            f = p.pairs[t * p.n_pairs + e]
            if f >= 0 and not _dropped(p, t, f):
                _add(row, p.weights + f * k, k)
        if p.dim:
            for d in range(-p.reach, p.reach + 1):
                vector = p.vectors + _word(p, t + d, first, last) * p.dim
                _dense_scores(vector, p.dense + (d + p.reach) * p.dim * k, p.dim, k, row)
        if p.width:
            _dense_scores(p.states + t * p.width, p.dense + (2 * p.reach + 1) * p.dim * k, p.width, k, row)


cdef void _dense_scores(const float *x, const float *table, int64_t n, int64_t k, float *out) noexcept nogil:
    cdef int64_t i, c
    for i in range(n):
        if x[i] != 0:
            for c in range(k):
                out[c] += x[i] * table[i * k + c]


cdef inline void _step(const Problem *p, float *weights, float *sums, float *square, float x, const float *gradient,
                       float norm, int64_t k) noexcept nogil:
    """One step of a row of weights along the gradient times ``x``; ``norm`` is the gradient's squared length."""
    cdef int64_t c
    cdef float eta = p.rate * x, delta
    if p.adagrad:
        square[0] += x * x * norm
        eta = eta / sqrtf(square[0]) if square[0] > 0 else 0
    for c in range(k):
        delta = eta * gradient[c]
        weights[c] += delta
        sums[c] += p.count * delta


cdef void _update(const Problem *p, int64_t task, int64_t column, int64_t k, int64_t first, int64_t last,
                  const float *gradients) noexcept nogil:
    """Step along a task's gradients, of which those of a token begin at ``gradients + (t - first) * p.k + column``."""
    cdef int64_t t, d, e, f, cell, i, c, row, width = 2 * p.window + 1
    cdef const float *g
    cdef const float *x
    cdef float norm, largest
    for t in range(first, last):
        g = gradients + (t - first) * p.k + column
        norm, largest = 0, 0
        for c in range(k):
            norm += g[c] * g[c]
            largest = max(largest, max(g[c], -g[c]))
        if largest <= SMALL:
            continue
        _step(p, p.weights + p.bias * p.k + column, p.sums + p.bias * p.k + column,
              p.squares + p.bias * p.n_tasks + task, 1, g, norm, k)
        for d in range(-p.window, p.window + 1):
            cell = _word(p, t + d, first, last) * width + d + p.window
            for e in range(p.unary_bounds[cell], p.unary_bounds[cell + 1]):
                f = p.unary[e]
                if f >= 0 and not _dropped(p, t, f):
                    _step(p, p.weights + f * p.k + column, p.sums + f * p.k + column, p.squares + f * p.n_tasks + task,
                          1, g, norm, k)
        for e in range(p.n_pairs):
            f = p.pairs[t * p.n_pairs + e]
            if f >= 0 and not _dropped(p, t, f):
                _step(p, p.weights + f * p.k + column, p.sums + f * p.k + column, p.squares + f * p.n_tasks + task,
                      1, g, norm, k)
        for d in range(-p.reach, p.reach + 1):
            x = p.vectors + _word(p, t + d, first, last) * p.dim
            for i in range(p.dim):
                row = (d + p.reach) * p.dim + i
                if x[i] != 0:
                    _step(p, p.dense + row * p.k + column, p.dense_sums + row * p.k + column,
                          p.dense_squares + row * p.n_tasks + task, x[i], g, norm, k)
        for i in range(p.width):
            row = (2 * p.reach + 1) * p.dim + i
            x = p.states + t * p.width
            if x[i] != 0:
                _step(p, p.dense + row * p.k + column, p.dense_sums + row * p.k + column,
                      p.dense_squares + row * p.n_tasks + task, x[i], g, norm, k)


# --- losses ----------------------------------------------------------------------------------------------------------


cdef double _perceptron(float *scores, int64_t stride, int64_t n, int64_t k, const int32_t *gold, const float *links,
                        float margin, float *gradients, float *link_gradients, double *scratch) noexcept nogil:
    """Gold minus best path; with ``margin`` added to every tag but the gold one. Returns how many tokens differ."""
    cdef int64_t t, i, j, wrong = 0, best = 0, guess
    cdef double value
    cdef double *before = scratch
    cdef double *now = scratch + k
    cdef int32_t *back = <int32_t *>(scratch + 2 * k)
    cdef int32_t *path = back + n * k
    for t in range(n):
        for j in range(k):
            if t == 0:
                now[j], back[j] = links[k * k + j], 0
            else:
                now[j], back[t * k + j] = -INFINITY, 0
        if t:
            for i in range(k):
                for j in range(k):
                    value = before[i] + links[i * k + j]
                    if value > now[j]:
                        now[j] = value
                        back[t * k + j] = <int32_t>i
        for j in range(k):
            before[j] = now[j] + scores[t * stride + j] + (margin if j != gold[t] else 0)
    value = -INFINITY
    for j in range(k):
        if before[j] + links[(k + 1) * k + j] > value:
            value, best = before[j] + links[(k + 1) * k + j], j
    for t in range(n - 1, -1, -1):
        path[t] = <int32_t>best
        best = back[t * k + best]
    for t in range(n):
        guess = path[t]
        if guess != gold[t]:
            wrong += 1
            gradients[t * stride + gold[t]] += 1
            gradients[t * stride + guess] -= 1
        i = gold[t - 1] if t else k
        j = path[t - 1] if t else k
        link_gradients[i * k + gold[t]] += 1
        link_gradients[j * k + guess] -= 1
    link_gradients[(k + 1) * k + gold[n - 1]] += 1
    link_gradients[(k + 1) * k + path[n - 1]] -= 1
    return wrong


cdef void _legal(const float *links, int64_t k, int32_t *follows, int32_t *ends) noexcept nogil:
    """The tags that may stand behind tag i: follows[ends[i - 1]:ends[i]]. Of BILOU's most tags only two may."""
    cdef int64_t i, j
    cdef int32_t n = 0
    for i in range(k):
        for j in range(k):
            if links[i * k + j] != -INFINITY:
                follows[n] = <int32_t>j
                n += 1
        ends[i] = n


cdef inline double _dot(const double *x, const double *y, int64_t k) noexcept nogil:
    """Four sums at a time, which do not wait for each other."""
    cdef double a = 0, b = 0, c = 0, d = 0
    cdef int64_t j = 0
    while j + 4 <= k:
        a += x[j] * y[j]
        b += x[j + 1] * y[j + 1]
        c += x[j + 2] * y[j + 2]
        d += x[j + 3] * y[j + 3]
        j += 4
    while j < k:
        a += x[j] * y[j]
        j += 1
    return (a + b) + (c + d)


cdef double _crf(const float *scores, int64_t stride, int64_t n, int64_t k, const int32_t *gold, const float *links,
                 const int32_t *follows, const int32_t *ends, float *gradients, float *link_gradients,
                 double *scratch) noexcept nogil:
    """Gold minus marginals (Lafferty, McCallum and Pereira 2001); returns the loss, -1 where it is beyond double."""
    cdef int64_t t, i, j, e, begin
    cdef double total, loss = 0, value, top
    cdef double *ways = scratch
    cdef double *alpha = ways + (k + 2) * k
    cdef double *local = alpha + n * k
    cdef double *beta = local + n * k
    cdef double *before = beta + k
    cdef double *row
    begin = 0
    for i in range(k):
        for e in range(begin, ends[i]):
            ways[i * k + follows[e]] = expf(links[i * k + follows[e]])
        begin = ends[i]
    for i in range(k * k, (k + 2) * k):
        ways[i] = expf(links[i])
    for t in range(n):
        top = scores[t * stride]
        for j in range(k):
            top = max(top, <double>scores[t * stride + j])
        for j in range(k):
            local[t * k + j] = exp(scores[t * stride + j] - top)
            alpha[t * k + j] = ways[k * k + j] if t == 0 else 0
        if t:
            begin, row = 0, alpha + t * k
            for i in range(k):
                value = alpha[(t - 1) * k + i]
                if ends[i] - begin == k:
                    for j in range(k):
                        row[j] += value * ways[i * k + j]
                else:
                    for e in range(begin, ends[i]):
                        row[follows[e]] += value * ways[i * k + follows[e]]
                begin = ends[i]
        total = 0
        for j in range(k):
            alpha[t * k + j] *= local[t * k + j]
            total += alpha[t * k + j] * (ways[(k + 1) * k + j] if t == n - 1 else 1)
        if not (1e-250 < total < 1e250):
            return -1
        for j in range(k):
            alpha[t * k + j] /= total
            # Divided here once, so that the products below are marginals.
            local[t * k + j] /= total
        loss += log(total) + top - scores[t * stride + gold[t]] - links[(gold[t - 1] if t else k) * k + gold[t]]
    loss -= links[(k + 1) * k + gold[n - 1]]
    for j in range(k):
        beta[j] = ways[(k + 1) * k + j]
        link_gradients[(k + 1) * k + j] -= <float>(alpha[(n - 1) * k + j] * beta[j])
    for t in range(n - 1, -1, -1):
        for j in range(k):
            gradients[t * stride + j] -= <float>(alpha[t * k + j] * beta[j])
            before[j] = local[t * k + j] * beta[j]
        if t == 0:
            for j in range(k):
                link_gradients[k * k + j] -= <float>(ways[k * k + j] * before[j])
            break
        begin = 0
        for i in range(k):
            value, row = alpha[(t - 1) * k + i], ways + i * k
            if ends[i] - begin == k:
                beta[i] = _dot(row, before, k)
                for j in range(k):
                    link_gradients[i * k + j] -= <float>(value * row[j] * before[j])
            else:
                beta[i] = 0
                for e in range(begin, ends[i]):
                    total = row[follows[e]] * before[follows[e]]
                    beta[i] += total
                    link_gradients[i * k + follows[e]] -= <float>(value * total)
            begin = ends[i]
    for t in range(n):
        gradients[t * stride + gold[t]] += 1
        link_gradients[(gold[t - 1] if t else k) * k + gold[t]] += 1
    link_gradients[(k + 1) * k + gold[n - 1]] += 1
    return loss


cdef double _document(const float *scores, int64_t stride, int64_t n, int64_t k, const float *targets, bint softmax,
                      float *gradients, double *z) noexcept nogil:
    """Target minus probability of a document's labels, whose logits are the tokens' sum over the root of their number."""
    cdef int64_t t, c
    cdef double scale = 1.0 / sqrt(<double>n), top = -INFINITY, total = 0, loss = 0, share
    for c in range(k):
        z[c] = 0
    for t in range(n):
        for c in range(k):
            z[c] += scores[t * stride + c]
    for c in range(k):
        z[c] *= scale
        top = max(top, z[c])
    for c in range(k):
        total += exp(z[c] - top)
    for c in range(k):
        if softmax:
            share = exp(z[c] - top) / total
            loss += targets[c] * (log(total) + top - z[c])
        else:
            share = 1.0 / (1.0 + exp(-z[c])) if z[c] > 0 else exp(z[c]) / (1.0 + exp(z[c]))
            loss += (log(1.0 + exp(-z[c])) if z[c] > 0 else log(1.0 + exp(z[c])) - z[c]) + (1.0 - targets[c]) * z[c]
        share = (targets[c] - share) * scale
        for t in range(n):
            gradients[t * stride + c] = <float>share
    return loss


# --- the pass --------------------------------------------------------------------------------------------------------


cdef void _link_step(const Problem *p, float *links, float *sums, float *squares, const float *gradients,
                     int64_t n) noexcept nogil:
    cdef int64_t i
    cdef float delta
    for i in range(n):
        if gradients[i] == 0 or links[i] == -INFINITY:
            continue
        delta = p.rate * gradients[i]
        if p.adagrad:
            squares[i] += gradients[i] * gradients[i]
            delta /= sqrtf(squares[i])
        links[i] += delta
        sums[i] += p.count * delta


cdef inline float *_address(object array) except? NULL:
    """Of the first number of an array; NULL of an empty one."""
    cdef float[::1] flat = array.reshape(-1)
    return &flat[0] if flat.shape[0] else NULL


def train(dict problem, dict model, const int64_t[::1] order, *, bint crf, bint adagrad, float rate, float margin=0.0,
          float dropout=0.0, uint64_t seed=0, int64_t count=1):
    """One pass over the sentences ``order``; see the plain twin. Returns the sum of the losses before the steps."""
    check_problem(problem, model, np.asarray(order))
    cdef Problem p
    cdef const int32_t[::1] tokens = problem["tokens"], unary = problem["unary"]
    cdef const int32_t[::1] pairs = problem["pairs"].reshape(-1)
    cdef const int64_t[::1] bounds = problem["bounds"], unary_bounds = problem["unary_bounds"]
    cdef const float[::1] vectors = problem["vectors"].reshape(-1), states = problem["states"].reshape(-1)
    cdef const int32_t[:, ::1] gold = problem["gold"], tasks = problem["tasks"]
    cdef const float[:, ::1] targets = problem["targets"]
    cdef float *links = _address(model["links"])
    cdef float *link_sums = _address(model["link_sums"])
    cdef float *link_squares = _address(model["link_squares"])
    p.weights, p.sums = _address(model["weights"]), _address(model["sums"])
    p.squares = _address(model["squares"])
    p.dense, p.dense_sums = _address(model["dense"]), _address(model["dense_sums"])
    p.dense_squares = _address(model["dense_squares"])
    p.tokens = &tokens[0] if tokens.shape[0] else NULL
    p.unary = &unary[0] if unary.shape[0] else NULL
    p.pairs = &pairs[0] if pairs.shape[0] else NULL
    p.vectors = &vectors[0] if vectors.shape[0] else NULL
    p.states = &states[0] if states.shape[0] else NULL
    p.unary_bounds = &unary_bounds[0]
    p.k, p.n_tasks, p.n_words = model["weights"].shape[1], tasks.shape[0], problem["vectors"].shape[0] - 2
    p.bias = model["weights"].shape[0] - 1
    p.window, p.n_pairs = problem["window"], problem["pairs"].shape[1]
    p.dim, p.reach, p.width = problem["vectors"].shape[1], problem["reach"], problem["states"].shape[1]
    p.rate, p.dropout, p.seed, p.adagrad = rate, dropout, seed, adagrad
    cdef int64_t i, s, a, first, last, n, k, longest = 1, widest = 1, at
    cdef double loss = 0, part
    for i in range(bounds.shape[0] - 1):
        longest = max(longest, bounds[i + 1] - bounds[i])
    for a in range(tasks.shape[0]):
        widest = max(widest, <int64_t>tasks[a, 1] - tasks[a, 0])
    cdef float *scores = <float *>malloc(2 * longest * p.k * sizeof(float))
    cdef float *gradients = scores + longest * p.k
    cdef float *link_gradients = <float *>malloc((widest + 2) * widest * sizeof(float))
    cdef double *scratch = <double *>malloc(((widest + 4) * widest + (2 * widest + 1) * longest) * sizeof(double))
    cdef int32_t *follows = <int32_t *>malloc((model["links"].shape[0] + 1) * sizeof(int32_t))
    cdef int32_t *ends = <int32_t *>malloc((p.k + 1) * sizeof(int32_t))
    if scores == NULL or link_gradients == NULL or scratch == NULL or follows == NULL or ends == NULL:
        free(scores)
        free(follows)
        free(ends)
        free(link_gradients)
        free(scratch)
        raise MemoryError()
    with nogil:
        for a in range(tasks.shape[0]):
            if tasks[a, 2] == 0:
                _legal(links + tasks[a, 3], tasks[a, 1] - tasks[a, 0], follows + tasks[a, 3], ends + tasks[a, 0])
        for i in range(order.shape[0]):
            s = order[i]
            first, last = bounds[s], bounds[s + 1]
            n, p.count = last - first, <float>(count + i)
            if n == 0:
                continue
            _scores(&p, first, last, scores)
            memset(gradients, 0, n * p.k * sizeof(float))
            for a in range(tasks.shape[0]):
                k, at = tasks[a, 1] - tasks[a, 0], tasks[a, 3]
                if tasks[a, 2] != 0:
                    if targets[s, at] < 0:
                        continue
                    loss += _document(scores + tasks[a, 0], p.k, n, k, &targets[s, at], tasks[a, 2] == 1,
                                      gradients + tasks[a, 0], scratch)
                else:
                    if gold[tasks[a, 4], first] < 0:
                        continue
                    memset(link_gradients, 0, (k + 2) * k * sizeof(float))
                    part = -1
                    if crf:
                        part = _crf(scores + tasks[a, 0], p.k, n, k, &gold[tasks[a, 4], first], links + at,
                                    follows + at, ends + tasks[a, 0], gradients + tasks[a, 0], link_gradients, scratch)
                    if part < 0:
                        part = _perceptron(scores + tasks[a, 0], p.k, n, k, &gold[tasks[a, 4], first], links + at,
                                           margin, gradients + tasks[a, 0], link_gradients, scratch)
                    loss += part
                    _link_step(&p, links + at, link_sums + at, link_squares + at, link_gradients, (k + 2) * k)
                _update(&p, a, tasks[a, 0], k, first, last, gradients)
        free(scores)
        free(link_gradients)
        free(scratch)
        free(follows)
        free(ends)
    return loss
