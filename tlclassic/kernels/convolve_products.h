/* Products of features with the weights of outputs or hidden units, in float32: a text by itself or four together.
 */
#ifndef TLCLASSIC_CONVOLVE_PRODUCTS_H
#define TLCLASSIC_CONVOLVE_PRODUCTS_H

#include <stdint.h>
#include <string.h>

#include "wide.h"

/* Features come in multiples of this. */
#define TLC_LANES 16

/* Outputs whose weights lie side by side, so many that their sums fit in registers: eight, and sixteen where there are
 * so many and more. */
#define TLC_BLOCK 8
#define TLC_WIDE_BLOCK 16

/* Places of a filter's weights: outputs in whole blocks, but for one alone. The weights of a block lie together, filter
 * after filter, so that they are read in a row. */
static inline int64_t tlc_stride(int64_t n_outputs) {
    return n_outputs == 1 ? 1 : (n_outputs + TLC_BLOCK - 1) / TLC_BLOCK * TLC_BLOCK;
}

#if defined(__GNUC__)
/* A vector by name, for compilers unroll a loop of eight instead of keeping it in one register. */
typedef float tlc_block __attribute__((vector_size(4 * TLC_BLOCK), aligned(4)));
typedef float tlc_wide_block __attribute__((vector_size(4 * TLC_WIDE_BLOCK), aligned(4)));
#define TLC_ADD_PRODUCTS(block, sums, factor, row) (sums) += (factor) * *(const block *)(row)
#define TLC_ADD(sums, others) (sums) += (others)
#else
typedef struct { float at[TLC_BLOCK]; } tlc_block;
typedef struct { float at[TLC_WIDE_BLOCK]; } tlc_wide_block;
#define TLC_ADD_PRODUCTS(block, sums, factor, row)                                                                     \
    for (size_t k = 0; k < sizeof(block) / sizeof(float); k++) (sums).at[k] += (factor) * (row)[k]
#define TLC_ADD(sums, others) for (size_t k = 0; k < sizeof(sums) / sizeof(float); k++) (sums).at[k] += (others).at[k]
#endif

/* Adds the sums of a block to the first n outputs, all of them in most blocks: a loop of known length. */
#define TLC_ADD_SUMS(out, sums, size, n)                                                                               \
    do {                                                                                                               \
        if ((n) >= (size))                                                                                             \
            for (int64_t k = 0; k < (size); k++) (out)[k] += (double)(sums)[k];                                        \
        else                                                                                                           \
            for (int64_t k = 0; k < (n); k++) (out)[k] += (double)(sums)[k];                                           \
    } while (0)

/* Adds the inner products of a block of outputs, whose weights begin at w, to out; at most n of them. */
#define TLC_ADD_BLOCK(block, out, x, w, filters, n)                                                                    \
    do {                                                                                                               \
        enum { size = sizeof(block) / sizeof(float) };                                                                 \
        block first = {0}, second = {0}, third = {0}, fourth = {0};                                                    \
        float sums[size];                                                                                              \
        const float *row = (w);                                                                                        \
        for (int64_t j = 0; j < (filters); j += 4, row += 4 * size) {                                                  \
            TLC_ADD_PRODUCTS(block, first, (x)[j], row);                                                               \
            TLC_ADD_PRODUCTS(block, second, (x)[j + 1], row + size);                                                   \
            TLC_ADD_PRODUCTS(block, third, (x)[j + 2], row + 2 * size);                                                \
            TLC_ADD_PRODUCTS(block, fourth, (x)[j + 3], row + 3 * size);                                               \
        }                                                                                                              \
        TLC_ADD(first, second);                                                                                        \
        TLC_ADD(third, fourth);                                                                                        \
        TLC_ADD(first, third);                                                                                         \
        memcpy(sums, &first, sizeof sums);                                                                             \
        TLC_ADD_SUMS(out, sums, size, n);                                                                              \
    } while (0)

/* out[k] += the inner product of x and the weights of output k, which lie as tlc_stride says. In float32, every
 * fourth filter in a sum of its own, so that no addition waits for the one before; for one output in TLC_LANES sums,
 * which are added up in halves. How many outputs a block has does not change their sums. */
TLC_WIDEST static void tlc_add_products(
    double *TLC_RESTRICT out, const float *TLC_RESTRICT x, const float *TLC_RESTRICT weights, int64_t n_outputs,
    int64_t filters) {
    if (n_outputs == 1) {
        float lanes[TLC_LANES] = {0};
        for (int64_t j = 0; j < filters; j += TLC_LANES)
            for (int i = 0; i < TLC_LANES; i++) lanes[i] += x[j + i] * weights[j + i];
        for (int n = TLC_LANES / 2; n; n /= 2)
            for (int i = 0; i < n; i++) lanes[i] += lanes[i + n];
        out[0] += (double)lanes[0];
        return;
    }
    const int64_t stride = tlc_stride(n_outputs);
    int64_t start = 0;
    for (; start + TLC_WIDE_BLOCK <= stride; start += TLC_WIDE_BLOCK)
        TLC_ADD_BLOCK(tlc_wide_block, out + start, x, weights + start * filters, filters, n_outputs - start);
    if (start < stride)
        TLC_ADD_BLOCK(tlc_block, out + start, x, weights + start * filters, filters, n_outputs - start);
}

/* So many texts share one reading of the weights, which are larger than the first-level cache. */
enum { TLC_TOGETHER = 4 };

/* TLC_ADD_BLOCK of TLC_TOGETHER texts, whose features and outputs lie x_step and out_step apart. */
#define TLC_ADD_BLOCK_TOGETHER(block, out, out_step, x, x_step, w, filters, n)                                         \
    do {                                                                                                               \
        enum { size = sizeof(block) / sizeof(float) };                                                                 \
        block parts[TLC_TOGETHER][4] = {{{0}}};                                                                        \
        const float *row = (w);                                                                                        \
        for (int64_t j = 0; j < (filters); j += 4, row += 4 * size)                                                    \
            for (int c = 0; c < 4; c++)                                                                                \
                for (int t = 0; t < TLC_TOGETHER; t++)                                                                 \
                    TLC_ADD_PRODUCTS(block, parts[t][c], (x)[t * (x_step) + j + c], row + c * size);                   \
        for (int t = 0; t < TLC_TOGETHER; t++) {                                                                       \
            float sums[size];                                                                                          \
            TLC_ADD(parts[t][0], parts[t][1]);                                                                         \
            TLC_ADD(parts[t][2], parts[t][3]);                                                                         \
            TLC_ADD(parts[t][0], parts[t][2]);                                                                         \
            memcpy(sums, &parts[t][0], sizeof sums);                                                                   \
            TLC_ADD_SUMS((out) + t * (out_step), sums, size, n);                                                       \
        }                                                                                                              \
    } while (0)

/* tlc_add_products of TLC_TOGETHER texts: the same sums. It pays where the sums of all of them fit in registers. */
TLC_WIDEST static void tlc_add_products_together(
    double *TLC_RESTRICT out, const float *TLC_RESTRICT x, int64_t x_step, const float *TLC_RESTRICT weights,
    int64_t n_outputs, int64_t filters) {
    const int64_t stride = tlc_stride(n_outputs);
    int64_t start = 0;
    for (; start + TLC_WIDE_BLOCK <= stride; start += TLC_WIDE_BLOCK)
        TLC_ADD_BLOCK_TOGETHER(
            tlc_wide_block, out + start, n_outputs, x, x_step, weights + start * filters, filters, n_outputs - start);
    if (start < stride)
        TLC_ADD_BLOCK_TOGETHER(
            tlc_block, out + start, n_outputs, x, x_step, weights + start * filters, filters, n_outputs - start);
}

static inline int tlc_products_together(void) {
#if defined(__x86_64__) && defined(__GNUC__)
    return __builtin_cpu_supports("avx512f") != 0;
#else
    return 0;
#endif
}

/* tlc_add_products of n texts. */
static void tlc_add_all_products(
    double *out, const float *x, int64_t x_step, const float *weights, int64_t n_outputs, int64_t filters, int64_t n,
    int together) {
    int64_t i = 0;
    if (together && n_outputs > 1)
        for (; i + TLC_TOGETHER <= n; i += TLC_TOGETHER)
            tlc_add_products_together(out + i * n_outputs, x + i * x_step, x_step, weights, n_outputs, filters);
    for (; i < n; i++) tlc_add_products(out + i * n_outputs, x + i * x_step, weights, n_outputs, filters);
}

#endif
