/* From texts to what a convolution over their words weighs: texts are read some at a time (ngrams.h), their words are
 * looked up, and their windows are added up (convolve.h) while the rows of the words that follow are fetched.
 */
#ifndef TLCLASSIC_CONVOLVE_TEXT_H
#define TLCLASSIC_CONVOLVE_TEXT_H

#include <stdlib.h>

#include "convolve_levels.h"
#include "ngrams.h"

typedef struct {
    tlc_options options;
    tlc_known known;
    const char *table; /* the last of its rows is that of unknown words */
    /* sums: numbers of a row, behind those of the windows, that are added up over the text */
    int64_t n_rows, row_bytes, width, filters, sums, hidden, n_outputs;
    /* scales, of filters and sums: NULL for a table of float32; weights, of what is shown to the head and of the hidden
     * layer (none: hidden is 0): as tlc_stride says */
    const float *scales, *bias, *weights, *hidden_weights, *hidden_bias;
    /* Of a table of int8 with a hidden layer, instead of hidden_weights: as tlc_hidden_portable reads them, what their
     * sums are multiplied by, and the filters' biases in codes */
    const int16_t *hidden_codes, *code_bias;
    const float *hidden_scales;
    /* Whether hidden_codes are there and windows are bytes */
    int bytes;
} tlc_convolution;

/* Texts whose features are multiplied by the weights together. */
enum { TLC_GROUP = 16 };

typedef struct {
    tlc_scratch scratch;
    int64_t *ends;
    const char **rows;
    size_t rows_room;
    /* Of float32: a text's rows with zeros before and after it. */
    const float **padded;
    size_t padded_room;
    char *memory, *nothing;
    int together;
    /* Of a group of texts. */
    double *inner;
    float *features, *activations;
    int32_t *products;
    int16_t *shown;
    /* Of a text. */
    double *totals;
    float *best, *window;
    int32_t *at;
    int16_t *codes, *sums;
} tlc_convolve_work;

static inline void tlc_convolve_free(tlc_convolve_work *w) {
    tlc_scratch_free(&w->scratch);
    free(w->ends), free(w->rows), free(w->padded), free(w->memory);
}

/* For so many texts at a time. */
static int tlc_convolve_init(tlc_convolve_work *w, const tlc_convolution *c, size_t n_texts) {
    const size_t features = (size_t)(c->filters + c->sums), sums = (size_t)c->sums, hidden = (size_t)c->hidden;
    memset(w, 0, sizeof *w);
    w->ends = malloc((n_texts + 1) * sizeof *w->ends);
    /* The widest type first: all sizes are multiples of 16. */
    w->memory = calloc(
        1, TLC_GROUP * (hidden * (sizeof(double) + sizeof(float) + sizeof(int32_t)) +
                        features * (sizeof(float) + sizeof(int16_t))) +
               sums * sizeof(double) + features * (2 * sizeof(float) + sizeof(int32_t) + 2 * sizeof(int16_t)) +
               (size_t)c->row_bytes);
    if (w->ends == NULL || w->memory == NULL) return -1;
    w->together = tlc_products_together();
    w->inner = (double *)w->memory, w->totals = w->inner + TLC_GROUP * hidden;
    w->features = (float *)(w->totals + sums), w->activations = w->features + TLC_GROUP * features;
    w->best = w->activations + TLC_GROUP * hidden, w->window = w->best + features;
    w->products = (int32_t *)(w->window + features), w->at = w->products + TLC_GROUP * hidden;
    w->shown = (int16_t *)(w->at + features), w->codes = w->shown + TLC_GROUP * features;
    w->sums = w->codes + features, w->nothing = (char *)(w->sums + features);
    return 0;
}

static inline int tlc_address_room(void *addresses, size_t *room, size_t n) {
    if (n <= *room) return 0;
    if (tlc_resize(addresses, (n + n / 2) * sizeof(void *))) return -1;
    *room = n + n / 2;
    return 0;
}

static int tlc_windows_of_text(
    const tlc_convolution *c, const char *const *rows, int64_t n, tlc_convolve_work *w, float *features) {
    const int64_t pad = c->width - 1, n_windows = n ? n + pad : 1;
    if (tlc_address_room(&w->padded, &w->padded_room, (size_t)(n_windows + pad))) return -1;
    for (int64_t i = 0; i < n_windows + pad; i++)
        w->padded[i] = (const float *)(i >= pad && i < pad + n ? rows[i - pad] : w->nothing);
    tlc_windows_float32(w->best, w->at, w->window, w->padded, n_windows, c->width, c->filters);
    tlc_activate_float32(features, w->best, c->bias, c->filters);
    return 0;
}

/* A text of a group from the rows of its n words: its features, or where there is a hidden layer of integers, what that
 * is shown; 0, or -1 without memory. */
static int tlc_read_text(
    const tlc_convolution *c, const tlc_convolve_level *level, const char *const *rows, int64_t n, tlc_convolve_work *w,
    int64_t place) {
    const int64_t first = c->width * c->filters, n_features = c->filters + c->sums;
    float *const features = w->features + place * n_features, *const sums = features + c->filters;
    if (c->scales == NULL) {
        if (c->sums) tlc_sums_float32(sums, (const float *const *)rows, n, first, c->sums, w->totals);
        return tlc_windows_of_text(c, rows, n, w, features);
    }
    const int8_t *const *const codes = (const int8_t *const *)rows;
    int16_t *const shown = w->shown + place * n_features;
    const int integers = c->hidden_codes != NULL;
    if (c->bytes && n <= TLC_SHORT) {
        level->shown(shown, codes, n, c->width, c->filters, c->sums, c->code_bias, tlc_share_in_steps(n),
                     w->codes);
        return 0;
    }
    if (c->sums && integers && n <= TLC_SHORT) {
        level->short_sums(w->sums, codes, n, first, c->sums);
        tlc_short_sums_int16(shown + c->filters, w->sums, c->sums, tlc_share_in_steps(n));
    } else if (c->sums) {
        tlc_totals(level, w->totals, w->sums, codes, n, first, c->sums);
        if (integers) tlc_sums_int16(shown + c->filters, w->totals, c->sums, tlc_share_in_steps(n));
        else tlc_sums_int8(sums, w->totals, c->scales + c->filters, c->sums, n);
    }
    level->windows(w->codes, codes, n, c->width, c->filters);
    if (integers) tlc_activate_int16(shown, w->codes, c->code_bias, c->filters);
    else tlc_activate_int8(features, w->codes, c->scales, c->bias, c->filters);
    return 0;
}

/* Adds what a group of n texts weighs, by their features, to `out`. */
static void tlc_add_group(
    const tlc_convolution *c, const tlc_convolve_level *level, int64_t n, tlc_convolve_work *w, double *out) {
    const int64_t n_features = c->filters + c->sums, hidden = c->hidden;
    const int together = w->together;
    if (hidden == 0) {
        tlc_add_all_products(out, w->features, n_features, c->weights, c->n_outputs, n_features, n, together);
        return;
    }
    if (c->hidden_codes == NULL) {
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < hidden; k++) w->inner[i * hidden + k] = (double)c->hidden_bias[k];
        tlc_add_all_products(w->inner, w->features, n_features, c->hidden_weights, hidden, n_features, n, together);
        for (int64_t k = 0; k < n * hidden; k++) w->activations[k] = w->inner[k] > 0.0 ? (float)w->inner[k] : 0.0f;
    } else {
        level->hidden(w->products, w->shown, n, c->hidden_codes, n_features, hidden);
        for (int64_t k = 0; k < n * hidden; k += hidden)
            tlc_activate_products(w->activations + k, w->products + k, c->hidden_scales, c->hidden_bias, hidden);
    }
    tlc_add_all_products(out, w->activations, hidden, c->weights, c->n_outputs, hidden, n, together);
}

/* Adds what texts weigh to `out`, of shape (n, n_outputs); 0, or -1 without memory. */
static int tlc_convolve(
    const tlc_convolution *c, const tlc_convolve_level *level, const tlc_text *texts, size_t n, tlc_convolve_work *w,
    double *out
) {
    w->scratch.n_word = 0;
    if (tlc_ngrams(&c->options, texts, n, &w->scratch, w->ends, w->ends)) return -1;
    const size_t n_words = w->scratch.n_word;
    if (tlc_address_room(&w->rows, &w->rows_room, n_words + TLC_AHEAD)) return -1;
    if (tlc_bucket_room(&w->scratch.word, &w->scratch.word_room, n_words + TLC_AHEAD)) return -1;
    memset(w->scratch.word + n_words, 0, TLC_AHEAD * sizeof(uint32_t));
    level->rows(&c->known, w->scratch.word, n_words, c->table, c->n_rows, c->row_bytes, w->rows);
    for (size_t i = 0; i < TLC_AHEAD; i++) w->rows[n_words + i] = w->nothing;
    for (size_t i = 0; i < TLC_AHEAD; i++) tlc_fetch(w->rows[i], c->row_bytes);
    for (size_t start = 0; start < n; start += TLC_GROUP) {
        const size_t size = n - start < TLC_GROUP ? n - start : TLC_GROUP;
        for (size_t i = start; i < start + size; i++) {
            const int64_t begin = i ? w->ends[i - 1] : 0;
            if (tlc_read_text(c, level, w->rows + begin, w->ends[i] - begin, w, (int64_t)(i - start))) return -1;
        }
        tlc_add_group(c, level, (int64_t)size, w, out + start * (size_t)c->n_outputs);
    }
    return 0;
}

#endif
