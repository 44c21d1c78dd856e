/* Pooling stores (GEMMINI_ISA.md 7.6): the maximum over windows of an image whose pixels are rows of private memory. */
#include "internal.h"

/* The last of the `extent` rows (or columns) of an image that a window covers; extent if none does. */
static uint32_t last_covered(uint32_t extent, uint32_t windows, uint32_t stride, uint32_t size, uint32_t pad) {
    uint32_t last = extent;
    for (uint32_t w = 0; w < windows; w++)
        for (uint32_t k = 0; k < size; k++) {
            int64_t at = (int64_t)w * stride + k - pad;
            if (at >= 0 && at < extent) last = (uint32_t)at;
        }
    return last;
}

/* Takes the maximum of `best` and one pixel, scaled as a plain store does. */
static void pool_pixel(const struct gemmini *m, int8_t *best, bool accumulator, size_t row, uint32_t channels) {
    bool relu = m->store.activation == ACTIVATION_RELU;
    size_t at = row * m->setup.dim;
    for (uint32_t i = 0; i < channels; i++) {
        int8_t value = accumulator ? scale_to_int8(m->setup.accumulator[at + i], m->store.scale) : m->setup.scratchpad[at + i];
        if (accumulator && relu && value < 0) value = 0;
        if (value > best[i]) best[i] = value;
    }
}

bool pooled_mvout(struct gemmini *m, uint64_t dram, struct operand from) {
    struct pooling p = m->store.pool;
    bool accumulator = from.address & ACCUMULATOR_BIT;
    uint32_t base = from.address & ROW_MASK, channels = from.columns, dim = m->setup.dim, stride = m->store.dram_stride;
    if (accumulator && !check_store(m, false, NORMALISE_COMMAND(from.address))) return false;
    STRICT(channels >= 1, RULE_MOVE_SIZE, FAULT_MALFORMED_INSTRUCTION, "the pooling store has 0 columns; 1 to %u (DIM) are allowed.", dim);
    CHECK(channels <= dim, FAULT_MALFORMED_INSTRUCTION, "the pooling store has %u columns; 1 to %u (DIM) are allowed.",
          channels, dim);
    STRICT(p.out_rows != 0 && p.out_columns != 0, RULE_POOL_SIZE, FAULT_MALFORMED_INSTRUCTION,
           "the pooling store makes %u rows of %u pixels, nothing.", p.out_rows, p.out_columns);
    STRICT(!accumulator || !(from.address & FULL_WIDTH_BIT), RULE_MOVE_SIZE, FAULT_MALFORMED_INSTRUCTION,
           "a pooling store writes int8, not 32 bits.");
    if (p.out_rows == 0 || p.out_columns == 0 || channels == 0) return true;
    uint32_t last_row = last_covered(p.rows, p.out_rows, p.stride, p.size, p.upper_pad);
    uint32_t last_column = last_covered(p.columns, p.out_columns, p.stride, p.size, p.left_pad);
    bool reads = last_row < p.rows && last_column < p.columns;
    if (reads && !check_local(m, "the pooled image", accumulator, base, (uint64_t)base + (uint64_t)last_row * p.columns + last_column))
        return false;
    for (uint32_t row = 0; row < p.out_rows; row++)
        if (!check_dram(m, dram + (uint64_t)row * p.out_pitch * stride, stride, p.out_columns, channels, true)) return false;

    uint64_t *n = m->counters, pixels = 0;
    for (uint32_t row = 0; row < p.out_rows; row++)
        for (uint32_t column = 0; column < p.out_columns; column++) {
            int8_t best[MAX_DIM];
            memset(best, -128, channels);
            for (uint32_t k = 0; k < p.size * p.size; k++) {
                int64_t at_row = (int64_t)row * p.stride + k / p.size - p.upper_pad;
                int64_t at_column = (int64_t)column * p.stride + k % p.size - p.left_pad;
                if (at_row >= 0 && at_row < p.rows && at_column >= 0 && at_column < p.columns) {
                    pool_pixel(m, best, accumulator, (size_t)(base + at_row * p.columns + at_column), channels);
                    pixels++;
                } else {
                    for (uint32_t i = 0; i < channels; i++) best[i] = best[i] < 0 ? 0 : best[i]; /* pixels outside count as 0 */
                }
            }
            memcpy(dram_at(m, dram + ((uint64_t)row * p.out_pitch + column) * stride), best, channels);
        }
    uint64_t written = (uint64_t)p.out_rows * p.out_columns * channels;
    n[accumulator ? COUNTER_READS_ACCUMULATOR_OUTPUTS : COUNTER_READS_SCRATCHPAD_INPUTS] += pixels * channels;
    n[COUNTER_WRITES_DRAM_OUTPUTS] += written;
    n[COUNTER_DRAM_BYTES_WRITTEN] += written;
    if (observed(m)) {
        struct rows image = {base | (accumulator ? ACCUMULATOR_BIT : 0), reads ? last_row * p.columns + last_column + 1 : 0, 1, 1, 0, READ};
        observe(m, INSTRUCTION_MVOUT, dram, written, 0, &image, 1);
        for (uint32_t row = 0; row < p.out_rows; row++)
            observe_store(m, dram + (uint64_t)row * p.out_pitch * stride, stride, p.out_columns, channels);
    }
    return true;
}
