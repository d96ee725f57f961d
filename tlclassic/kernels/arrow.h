/* String columns through the Arrow C data interface: https://arrow.apache.org/docs/format/CDataInterface.html
 *
 * Formats u, U, vu (UTF-8) and z, Z, vz (bytes): offsets of 32 or 64 bits, or views. Nothing is copied.
 */
#ifndef TLCLASSIC_ARROW_H
#define TLCLASSIC_ARROW_H

#include <stdint.h>
#include <string.h>

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE
struct ArrowSchema {
    const char *format, *name, *metadata;
    int64_t flags, n_children;
    struct ArrowSchema **children, *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};
struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children, *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif
#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};
#endif

enum { TLC_ARROW_OTHER, TLC_ARROW_32, TLC_ARROW_64, TLC_ARROW_VIEW };

static inline int tlc_arrow_layout(const struct ArrowSchema *schema) {
    const char *f = schema->format;
    if (schema->dictionary != NULL || f == NULL) return TLC_ARROW_OTHER;
    if (!strcmp(f, "u") || !strcmp(f, "z")) return TLC_ARROW_32;
    if (!strcmp(f, "U") || !strcmp(f, "Z")) return TLC_ARROW_64;
    if (!strcmp(f, "vu") || !strcmp(f, "vz")) return TLC_ARROW_VIEW;
    return TLC_ARROW_OTHER;
}

/* The row of the first null, or -1. */
static inline int64_t tlc_arrow_null(const struct ArrowArray *a) {
    const uint8_t *valid = a->n_buffers > 0 ? a->buffers[0] : NULL;
    if (a->null_count == 0 || valid == NULL) return -1;
    for (int64_t i = 0; i < a->length; i++)
        if (!(valid[(a->offset + i) >> 3] >> ((a->offset + i) & 7) & 1)) return i;
    return -1;
}

/* The bytes of row i; their number is negative where the column contradicts itself. */
static inline int64_t tlc_arrow_bytes(const struct ArrowArray *a, int layout, int64_t i, const uint8_t **data) {
    i += a->offset;
    *data = (const uint8_t *)"";
    if (layout == TLC_ARROW_VIEW) {
        const uint8_t *view = (const uint8_t *)a->buffers[1] + 16 * i;
        int32_t n, where[2];
        memcpy(&n, view, 4);
        if (n > 12) {
            memcpy(where, view + 8, 8);
            /* Behind the two first buffers the data, behind those their sizes. */
            if (where[0] < 0 || where[0] >= a->n_buffers - 3 || where[1] < 0) return -1;
            *data = (const uint8_t *)a->buffers[2 + where[0]] + where[1];
        } else if (n > 0)
            *data = view + 4;
        return n;
    }
    int64_t start, end;
    if (layout == TLC_ARROW_32)
        start = ((const int32_t *)a->buffers[1])[i], end = ((const int32_t *)a->buffers[1])[i + 1];
    else
        start = ((const int64_t *)a->buffers[1])[i], end = ((const int64_t *)a->buffers[1])[i + 1];
    if (start < 0) return -1;
    if (end > start) *data = (const uint8_t *)a->buffers[2] + start;
    return end - start;
}

#endif
