/* Products of tiles of int8, the most frequent thing that the model does.
 *
 * Elements are multiplied in pairs: a lane of 32 bits holds two neighbours of a row of A, or two of a column of W, as int16, and one
 * instruction of most processors multiplies both and adds the two products. Nothing is lost: two products of int8 fit 32 bits, and what is
 * added up wraps as the accumulator does. */
#include "internal.h"

#if defined(__AVX512BW__)
#define WIDEST 16
#elif defined(__AVX2__)
#define WIDEST 8
#else
#define WIDEST 4
#endif

/* Both products of each lane, added up. */
#define ADD_BOTH(a, w) (((a) << 16 >> 16) * ((w) << 16 >> 16) + ((a) >> 16) * ((w) >> 16))

#define LANES(width) typedef int32_t lanes##width __attribute__((vector_size(4 * (width)), aligned(4)))
LANES(2);
LANES(4);
LANES(8);
LANES(16);

static inline lanes2 products2(lanes2 a, lanes2 w) { return ADD_BOTH(a, w); }

#if defined(__SSE2__)
typedef int16_t halves8 __attribute__((vector_size(16)));
static inline lanes4 products4(lanes4 a, lanes4 w) { return (lanes4)__builtin_ia32_pmaddwd128((halves8)a, (halves8)w); }
#else
static inline lanes4 products4(lanes4 a, lanes4 w) { return ADD_BOTH(a, w); }
#endif

#if WIDEST >= 8
typedef int16_t halves16 __attribute__((vector_size(32)));
static inline lanes8 products8(lanes8 a, lanes8 w) { return (lanes8)__builtin_ia32_pmaddwd256((halves16)a, (halves16)w); }
#endif
#if WIDEST >= 16
typedef int16_t halves32 __attribute__((vector_size(64)));
static inline lanes16 products16(lanes16 a, lanes16 w) { return (lanes16)__builtin_ia32_pmaddwd512((halves32)a, (halves32)w); }
#endif

/* Rows of A that share the loads of W. */
#define TOGETHER 4

/* `rows` (a constant) rows of the product, in column blocks of one vector each. */
#define DEFINE_ROWS(width)                                                                                                             \
    static inline __attribute__((always_inline)) void rows##width(const struct product *p, uint32_t first, const int rows) {               \
        uint32_t dim = p->dim, pairs = (p->inner + 1) / 2;                                                                             \
        int16_t a[TOGETHER][MAX_DIM];                                                                                                  \
        for (int r = 0; r < rows; r++) {                                                                                               \
            const int8_t *from = p->a + (first + r) * p->a_step;                                                                       \
            for (uint32_t k = 0; k < dim; k += (width))                                                                                \
                for (uint32_t n = 0; n < (width); n++) a[r][k + n] = from[k + n];                                                      \
            if (p->inner % 2) a[r][p->inner] = 0;                                                                                      \
        }                                                                                                                              \
        for (uint32_t j = 0; j < dim; j += (width)) {                                                                                  \
            lanes##width sum[TOGETHER] = {0};                                                                                          \
            for (uint32_t k = 0; k < pairs; k++) {                                                                                     \
                lanes##width w = *(const lanes##width *)(p->pairs + k * dim + j);                                                      \
                for (int r = 0; r < rows; r++) {                                                                                       \
                    int32_t both;                                                                                                      \
                    memcpy(&both, &a[r][2 * k], sizeof both);                                                                          \
                    sum[r] += products##width((lanes##width){0} + both, w);                                                            \
                }                                                                                                                      \
            }                                                                                                                          \
            for (int r = 0; r < rows; r++) {                                                                                           \
                lanes##width *out = (lanes##width *)(p->out + (first + r) * p->out_step + j);                                          \
                *out = p->add ? *out + sum[r] : sum[r];                                                                                \
            }                                                                                                                          \
        }                                                                                                                              \
    }                                                                                                                                  \
    static void multiply##width(const struct product *p) {                                                                             \
        uint32_t i = 0;                                                                                                                \
        for (; i + TOGETHER <= p->rows; i += TOGETHER) rows##width(p, i, TOGETHER);                                                    \
        for (; i < p->rows; i++) rows##width(p, i, 1);                                                                                 \
    }
DEFINE_ROWS(2)
DEFINE_ROWS(4)
#if WIDEST >= 8
DEFINE_ROWS(8)
#endif
#if WIDEST >= 16
DEFINE_ROWS(16)
#endif

void product(const struct product *p) {
    switch (least(p->dim, WIDEST)) {
    case 2: multiply2(p); break;
    case 4: multiply4(p); break;
#if WIDEST >= 8
    case 8: multiply8(p); break;
#endif
#if WIDEST >= 16
    case 16: multiply16(p); break;
#endif
    }
}

void pair_up(uint32_t dim, const int32_t *restrict tile, int32_t *restrict pairs) {
    for (uint32_t k = 0; k < dim; k += 2)
        for (uint32_t j = 0; j < dim; j++) pairs[k / 2 * dim + j] = (tile[k * dim + j] & 0xFFFF) | (int32_t)((uint32_t)tile[(k + 1) * dim + j] << 16);
}
