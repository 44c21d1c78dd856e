/* What the files of the accelerator model share: checks, arithmetic, and the instructions as functions, which loops also call. */
#ifndef BACO_SIM_INTERNAL_H
#define BACO_SIM_INTERNAL_H

#include "gemmini.h"

/* mvin destinations and C keep bits 28:0 of a local address as the row, mvout sources bits 25:0; the rest are flags. */
#define WRITE_ROW_MASK 0x1FFFFFFFu
#define NORMALISE_COMMAND(address) ((address) >> NORM_COMMAND_LOW & 7)

#define CHECK(condition, kind, ...)                                                                                                    \
    do {                                                                                                                               \
        if (!(condition)) return gemmini_fault(m, kind, __VA_ARGS__);                                                                  \
    } while (0)

/* The same for a rule of strict mode (baco/sim/rules.py); without it the model does as Spike does. */
#define STRICT(condition, broken_rule, kind, ...)                                                                                      \
    do {                                                                                                                               \
        if (m->setup.strict && !(condition)) {                                                                                         \
            gemmini_fault(m, kind, __VA_ARGS__);                                                                                       \
            m->fault.rule = broken_rule;                                                                                               \
            return false;                                                                                                              \
        }                                                                                                                              \
    } while (0)

typedef unsigned long long ull;

/* ---- arithmetic (section 6) ---------------------------------------------------------------------------------------------- */

static inline float bits_to_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* S8: one fp32 product, half to even, clamped. NaN and products of 2^63 and more give -128, as Spike's conversion does. */
static inline int8_t scale_to_int8(int32_t x, float scale) {
    float y = (float)x * scale;
    y = y >= 9223372036854775808.0f || y != y ? -128.0f : y > 127.0f ? 127.0f : y < -128.0f ? -128.0f : y;
    /* Beside 1.5 * 2^23 float32 has no fraction bits left, so the sum rounds to a whole number, half to even. */
    return (int8_t)((y + 12582912.0f) - 12582912.0f);
}

static inline int32_t wrapping_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

static inline uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

static inline uint32_t blocks_of(uint32_t columns, uint32_t dim) { return (columns + dim - 1) / dim; }

static inline uint8_t *dram_at(struct gemmini *m, uint64_t address) { return m->setup.dram + (address - m->setup.dram_base); }

/* ---- checks (gemmini.c) -------------------------------------------------------------------------------------------------- */

/* Rows `first` to `last` of the scratchpad (or accumulator) must exist. */
bool check_local(struct gemmini *m, const char *what, bool accumulator, uint64_t first, uint64_t last);

/* Every one of `rows` rows of `bytes` bytes from `address` on must lie in one region, which must be writable for a write. */
bool check_dram(struct gemmini *m, uint64_t address, uint64_t stride, uint32_t rows, uint32_t bytes, bool write);

/* Rules move_size or operand_size. */
bool check_size(struct gemmini *m, uint32_t rule, const char *what, uint32_t rows, uint32_t columns, uint32_t max_columns);

/* Rule large_scale. */
bool check_scale(struct gemmini *m, float scale);

/* Puts a place in front of the reason of the fault just recorded, and returns false. */
bool gemmini_fault_in(struct gemmini *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- observation (observe.c) ------------------------------------------------------------------------------------------------ */

/* Whether loops must be run step by step, because somebody wants to see the steps. */
static inline bool observed(const struct gemmini *m) { return m->setup.observer != NULL; }

/* Takes a step down; `count` entries of `rows` say which private memory it took. To be called where `observed`. */
void observe(struct gemmini *m, uint32_t instruction, uint64_t dram, uint64_t bytes, uint64_t macs, const struct rows *rows, uint32_t count);

/* Takes the last step as the one that stored `rows` times `bytes` bytes, `stride` apart, if those watched are among them. */
void observe_store(struct gemmini *m, uint64_t dram, uint64_t stride, uint64_t rows, uint64_t bytes);

/* ---- instructions -------------------------------------------------------------------------------------------------------- */

bool config_ex(struct gemmini *m, const struct command *c);
bool config_ld(struct gemmini *m, const struct command *c);
bool config_st(struct gemmini *m, const struct command *c);
bool config_norm(struct gemmini *m, const struct command *c);
bool preload(struct gemmini *m, struct operand bd, struct operand result);
bool compute(struct gemmini *m, struct operand a, struct operand bd, bool preloaded);
bool mvin(struct gemmini *m, uint32_t load_id, uint64_t dram, struct operand to);
bool mvout(struct gemmini *m, uint64_t dram, struct operand from);
bool loop_ws(struct gemmini *m, const struct command *c);
bool loop_conv_ws(struct gemmini *m, const struct command *c);
bool counter(struct gemmini *m, const struct command *c);

/* What strict mode asks of a store from the accumulator (moves.c). */
bool check_store(struct gemmini *m, bool full, uint32_t command);

/* A pooling store (pooling.c); `mvout` calls it while pooling is configured. */
bool pooled_mvout(struct gemmini *m, uint64_t dram, struct operand from);

/* ---- products (product.c) ------------------------------------------------------------------------------------------------- */

/* out = A * W, or out += A * W; sums wrap. All `dim` columns of W take part. */
struct product {
    uint32_t dim, rows, inner; /* rows of A, and how many of its columns count */
    const int8_t *a;           /* element (i, k) at a_step * i + k; `dim` elements of each row can be read */
    size_t a_step;
    const int32_t *pairs; /* W, from pair_up */
    int32_t *out;         /* element (i, j) at out_step * i + j */
    size_t out_step;
    bool add;
};

void product(const struct product *p);

/* A dim x dim tile of int8 values, rows 2k and 2k + 1 side by side in lanes of 32 bits: what `product` takes. */
void pair_up(uint32_t dim, const int32_t *restrict tile, int32_t *restrict pairs);

/* ---- what loops are made of: the same instructions, counted as unrolled, with the place added to a refusal ----------------- */

#define STEP(call, ...)                                                                                                                \
    do {                                                                                                                               \
        if (!(call)) return gemmini_fault_in(m, __VA_ARGS__);                                                                          \
    } while (0)

static inline bool unrolled(struct gemmini *m, uint32_t instruction, bool done) {
    m->counters[COUNTER_UNROLLED + instruction] += done;
    return done;
}

static inline uint32_t mvin_instruction(uint32_t load_id) {
    return load_id == 0 ? INSTRUCTION_MVIN : load_id == 1 ? INSTRUCTION_MVIN2 : INSTRUCTION_MVIN3;
}

/* ---- normalised stores (norm.c) -------------------------------------------------------------------------------------------- */

/* Feeds one row of `columns` elements to the statistics; `command` is the one the store names, not 0. */
void normalise_row(struct gemmini *m, const int32_t *first_block, uint32_t columns, uint32_t command);

/* The value that is scaled and stored instead of `value` while LAYERNORM, IGELU or SOFTMAX is configured. */
int32_t activated_value(const struct gemmini *m, int32_t value);

#endif
