/* Loads and stores and their configurations (GEMMINI_ISA.md 7.2, 7.3, 7.5 and 7.6). */
#include "internal.h"

bool config_ld(struct gemmini *m, const struct command *c) {
    CHECK(CONFIG_LD_LOAD_ID(c) <= 2, FAULT_MALFORMED_INSTRUCTION, "load_id is %u; there are load configurations 0, 1 and 2.",
          CONFIG_LD_LOAD_ID(c));
    m->loads[CONFIG_LD_LOAD_ID(c)] = (struct load_config){
        .set = true,
        .shrink = CONFIG_LD_SHRINK(c),
        .block_stride = CONFIG_LD_BLOCK_STRIDE(c),
        .pixel_repeats = CONFIG_LD_PIXEL_REPEATS(c) == 0 ? 1 : CONFIG_LD_PIXEL_REPEATS(c),
        .scale = bits_to_float(CONFIG_LD_SCALE(c)),
        .dram_stride = CONFIG_LD_DRAM_STRIDE(c),
    };
    return true;
}

bool config_st(struct gemmini *m, const struct command *c) {
    struct pooling pool = {
        .stride = CONFIG_ST_POOL_STRIDE(c),
        .size = CONFIG_ST_POOL_SIZE(c),
        .upper_pad = CONFIG_ST_POOL_UPPER_PAD(c),
        .left_pad = CONFIG_ST_POOL_LEFT_PAD(c),
        .out_pitch = CONFIG_ST_POOL_OUT_DIM(c),
        .out_rows = CONFIG_ST_POOL_OUT_ROWS(c),
        .out_columns = CONFIG_ST_POOL_OUT_COLS(c),
        .rows = CONFIG_ST_OUT_ROWS(c),
        .columns = CONFIG_ST_OUT_COLS(c),
    };
    CHECK(pool.stride != 0 || pool.size == 0, FAULT_MALFORMED_INSTRUCTION,
          "pool_size is %u with pool_stride 0: the hardware then stores pixels in a mode of its own; set pool_size to 0.", pool.size);
    CHECK(pool.stride == 0 || pool.size != 0, FAULT_MALFORMED_INSTRUCTION, "pool_size is 0 with pool_stride %u; 1 to 3 are allowed.",
          pool.stride);
    CHECK(CONFIG_ST_ACC_SCALE(c) != 0xFFFFFFFFu, FAULT_MALFORMED_INSTRUCTION,
          "acc_scale has all bits set, which the hardware takes as \"keep the old scale\" and others as NaN; give the scale itself.");
    /* As Spike has it, SOFTMAX stays until an activation other than 0 is configured (section 9.7). */
    uint32_t activation = CONFIG_ST_ACTIVATION(c);
    if (activation == ACTIVATION_NONE && m->store.activation == ACTIVATION_SOFTMAX) activation = ACTIVATION_SOFTMAX;
    m->store = (struct store_config){
        .set = true,
        .activation = activation,
        .dram_stride = CONFIG_ST_DRAM_STRIDE(c),
        .scale = bits_to_float(CONFIG_ST_ACC_SCALE(c)),
        .pool = pool,
    };
    return true;
}

/* ---- moves (7.5, 7.6) ---------------------------------------------------------------------------------------------------- */

/* `restrict` lets the compiler scale many elements at once. */
static void store_scaled_row(uint8_t *restrict to, const int32_t *restrict from, uint32_t columns, float scale, bool relu) {
    int8_t least_value = relu ? 0 : -128;
    for (uint32_t i = 0; i < columns; i++) {
        int8_t value = scale_to_int8(from[i], scale);
        to[i] = (uint8_t)(value < least_value ? least_value : value);
    }
}

static void load_scratchpad_row(int8_t *restrict to, const uint8_t *restrict from, uint32_t columns, float scale) {
    if (from == NULL) {
        memset(to, 0, columns);
    } else if (scale == 1.0f) {
        memcpy(to, from, columns);
    } else {
        for (uint32_t i = 0; i < columns; i++) to[i] = scale_to_int8((int8_t)from[i], scale);
    }
}

static void load_accumulator_row(int32_t *restrict to, const uint8_t *restrict from, uint32_t columns, const struct load_config *load,
                                 bool accumulate) {
    bool shrink = load->shrink;
    float scale = load->scale;
    for (uint32_t i = 0; i < columns; i++) {
        int32_t value = 0;
        if (from != NULL && shrink)
            value = scale_to_int8((int8_t)from[i], scale);
        else if (from != NULL)
            memcpy(&value, from + 4 * (size_t)i, sizeof value);
        to[i] = accumulate ? wrapping_add(to[i], value) : value;
    }
}

/* Each row also goes `pixel` rows up and as many times `columns` to the right: what a convolution with few channels reads together. */
static uint64_t load_repeated(struct gemmini *m, const struct load_config *load, uint64_t dram, struct operand to) {
    uint64_t written = 0;
    for (uint32_t r = 0; r < to.rows; r++)
        for (uint32_t pixel = 0; pixel < load->pixel_repeats && pixel <= to.address + r; pixel++, written += to.columns)
            load_scratchpad_row(m->setup.scratchpad + (size_t)(to.address + r - pixel) * m->setup.dim + pixel * to.columns,
                                dram == 0 ? NULL : dram_at(m, dram + r * load->dram_stride), to.columns, load->scale);
    return written;
}

bool mvin(struct gemmini *m, uint32_t load_id, uint64_t dram, struct operand to) {
    const struct load_config *load = &m->loads[load_id];
    uint32_t address = to.address, rows = to.rows, columns = to.columns, dim = m->setup.dim;
    bool accumulator = address & ACCUMULATOR_BIT, accumulate = accumulator && (address & ACCUMULATE_BIT);
    CHECK(load->set, FAULT_STATE_FAULT, "load configuration %u is used before a config_ld set it.", load_id);
    CHECK(address != GARBAGE, FAULT_LOCAL_ADDRESS_FAULT, "the destination is the garbage address; name scratchpad or accumulator rows.");
    uint32_t element = accumulator && !load->shrink ? 4 : 1;
    if (!check_size(m, "the move", rows, columns, element == 4 ? m->setup.max_accumulator_columns : m->setup.max_block_columns)) return false;
    CHECK(load->block_stride >= rows, FAULT_MALFORMED_INSTRUCTION,
          "load configuration %u has block stride %u, less than the %u rows moved; the hardware needs at least as many.", load_id,
          load->block_stride, rows);
    uint32_t base = address & WRITE_ROW_MASK, blocks = blocks_of(columns, dim), repeats = load->pixel_repeats;
    if (repeats > 1) {
        CHECK(!accumulator, FAULT_MALFORMED_INSTRUCTION, "pixel_repeats is %u, but the destination is the accumulator.", repeats);
        CHECK(columns * repeats <= dim, FAULT_MALFORMED_INSTRUCTION,
              "%u columns, repeated for %u pixels, are %u columns; a scratchpad row has %u.", columns, repeats, columns * repeats, dim);
    }
    if (!check_local(m, "the move", accumulator, base, (uint64_t)base + (uint64_t)(blocks - 1) * load->block_stride + rows - 1)) return false;
    if (dram != 0 && !check_dram(m, dram, load->dram_stride, rows, columns * element, false)) return false;

    uint64_t words = (uint64_t)rows * columns, read = dram == 0 ? 0 : words, *n = m->counters;
    if (repeats > 1) {
        words = load_repeated(m, load, dram, (struct operand){base, columns, rows});
    } else {
        for (uint32_t r = 0; r < rows; r++) {
            const uint8_t *from = dram == 0 ? NULL : dram_at(m, dram + r * load->dram_stride);
            for (uint32_t b = 0; b < blocks; b++) {
                size_t at = ((size_t)base + r + (size_t)b * load->block_stride) * dim;
                const uint8_t *block = from == NULL ? NULL : from + (size_t)b * dim * element;
                if (accumulator)
                    load_accumulator_row(m->setup.accumulator + at, block, least(dim, columns - b * dim), load, accumulate);
                else
                    load_scratchpad_row(m->setup.scratchpad + at, block, least(dim, columns - b * dim), load->scale);
            }
        }
    }

    n[COUNTER_DRAM_BYTES_READ] += read * element;
    if (accumulator) {
        n[COUNTER_READS_DRAM_OUTPUTS] += read;
        n[COUNTER_WRITES_ACCUMULATOR_OUTPUTS] += words;
        n[COUNTER_READS_ACCUMULATOR_OUTPUTS] += accumulate ? words : 0;
    } else {
        n[load_id == 1 ? COUNTER_READS_DRAM_WEIGHTS : COUNTER_READS_DRAM_INPUTS] += read;
        n[load_id == 1 ? COUNTER_WRITES_SCRATCHPAD_WEIGHTS : COUNTER_WRITES_SCRATCHPAD_INPUTS] += words;
    }
    return true;
}

static void store_activated_row(struct gemmini *m, uint8_t *to, const int32_t *from, uint32_t columns) {
    for (uint32_t i = 0; i < columns; i++) to[i] = (uint8_t)scale_to_int8(activated_value(m, from[i]), m->store.scale);
}

bool mvout(struct gemmini *m, uint64_t dram, struct operand from) {
    uint32_t address = from.address, rows = from.rows, columns = from.columns, dim = m->setup.dim;
    bool accumulator = address & ACCUMULATOR_BIT, full = accumulator && (address & FULL_WIDTH_BIT);
    bool transformed = m->store.activation >= ACTIVATION_LAYERNORM;
    uint32_t command = accumulator ? NORMALISE_COMMAND(address) : 0;
    CHECK(m->store.set, FAULT_STATE_FAULT, "the store configuration is used before a config_st set it.");
    CHECK(address != GARBAGE, FAULT_LOCAL_ADDRESS_FAULT, "the source is the garbage address; name scratchpad or accumulator rows.");
    if (m->store.pool.stride != 0) return pooled_mvout(m, dram, from);
    CHECK(!full || !transformed, FAULT_UNSUPPORTED_INSTRUCTION,
          "a 32-bit store with activation %u (LAYERNORM, IGELU, SOFTMAX) is transformed by some and raw on others; store int8.",
          m->store.activation);
    if (!check_size(m, "the move", rows, columns, full ? dim : m->setup.max_block_columns)) return false;
    uint32_t base = address & ROW_MASK, blocks = blocks_of(columns, dim), element = full ? 4 : 1;
    if (!check_local(m, "the move", accumulator, base, (uint64_t)base + (uint64_t)(blocks - 1) * dim + rows - 1)) return false;
    uint64_t words = (uint64_t)rows * columns, *n = m->counters;
    if (command == 0 && !check_dram(m, dram, m->store.dram_stride, rows, columns * element, true)) return false;

    if (accumulator && command == 0) m->norm.slots[m->norm.slot].running = false; /* statistics end with the store they are for */
    for (uint32_t r = 0; r < rows; r++) {
        if (command != 0) {
            normalise_row(m, m->setup.accumulator + ((size_t)base + r) * dim, columns, command);
            continue;
        }
        uint8_t *to = dram_at(m, dram + (uint64_t)r * m->store.dram_stride);
        for (uint32_t b = 0; b < blocks; b++) {
            size_t at = ((size_t)base + r + (size_t)b * dim) * dim;
            uint32_t count = least(dim, columns - b * dim);
            if (full)
                memcpy(to, m->setup.accumulator + at, 4 * (size_t)count);
            else if (!accumulator)
                memcpy(to + (size_t)b * dim, m->setup.scratchpad + at, count);
            else if (transformed)
                store_activated_row(m, to + (size_t)b * dim, m->setup.accumulator + at, count);
            else
                store_scaled_row(to + (size_t)b * dim, m->setup.accumulator + at, count, m->store.scale,
                                 m->store.activation == ACTIVATION_RELU);
        }
    }

    n[accumulator ? COUNTER_READS_ACCUMULATOR_OUTPUTS : COUNTER_READS_SCRATCHPAD_INPUTS] += words;
    n[COUNTER_WRITES_DRAM_OUTPUTS] += command == 0 ? words : 0;
    n[COUNTER_DRAM_BYTES_WRITTEN] += command == 0 ? words * element : 0;
    return true;
}
