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
    STRICT(pool.stride != 0 || pool.size == 0, RULE_POOL_SIZE, FAULT_MALFORMED_INSTRUCTION,
           "pool_size is %u with pool_stride 0: the hardware then stores pixels in a mode of its own; set pool_size to 0.", pool.size);
    STRICT(pool.stride == 0 || pool.size != 0, RULE_POOL_SIZE, FAULT_MALFORMED_INSTRUCTION,
           "pool_size is 0 with pool_stride %u; 1 to 3 are allowed.", pool.stride);
    STRICT(CONFIG_ST_ACC_SCALE(c) != 0xFFFFFFFFu, RULE_KEEP_SCALE, FAULT_MALFORMED_INSTRUCTION,
           "acc_scale has all bits set, which the hardware takes as \"keep the old scale\" and others as NaN; give the scale itself.");
    uint32_t activation = CONFIG_ST_ACTIVATION(c);
    STRICT(activation <= ACTIVATION_RELU, RULE_NORMALISATION, FAULT_UNSUPPORTED_INSTRUCTION,
           "activation is %u; the hardware is built without LAYERNORM and IGELU, so only 0 and 1 (RELU) are allowed.", activation);
    /* As Spike has it, SOFTMAX stays until an activation other than 0 is configured (section 9.7). */
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
    uint32_t base = to.address & WRITE_ROW_MASK;
    for (uint32_t r = 0; r < to.rows; r++)
        for (uint32_t pixel = 0; pixel < load->pixel_repeats && pixel <= base + r; pixel++, written += to.columns) {
            size_t at = (size_t)(base + r - pixel) * m->setup.dim + pixel * to.columns;
            const uint8_t *from = dram == 0 ? NULL : dram_at(m, dram + r * load->dram_stride);
            if (to.address & ACCUMULATOR_BIT)
                load_accumulator_row(m->setup.accumulator + at, from, to.columns, load, to.address & ACCUMULATE_BIT);
            else
                load_scratchpad_row(m->setup.scratchpad + at, from, to.columns, load->scale);
        }
    return written;
}

/* Rule weights_overwritten: the hardware has already read what a preload named. */
static bool check_preloaded(struct gemmini *m, uint64_t first, uint64_t last) {
    struct operand bd = m->preload_bd;
    uint64_t rows = m->weight_stationary && m->transpose_b ? bd.columns : bd.rows;
    STRICT(!m->preload_pending || bd.address == GARBAGE || last < bd.address || bd.address + rows <= first, RULE_WEIGHTS_OVERWRITTEN,
           FAULT_STATE_FAULT, "the move writes scratchpad rows %llu to %llu, of which a preload that waits for its compute names rows from %u.",
           (ull)first, (ull)last, bd.address);
    return true;
}

/* Rule pixel_repeats, and what no machine can do: a row has DIM columns. */
static bool check_repeats(struct gemmini *m, struct operand to, uint32_t repeats) {
    uint32_t dim = m->setup.dim, half = m->setup.scratchpad_rows / 2;
    CHECK(to.columns * repeats <= dim, FAULT_MALFORMED_INSTRUCTION,
          "%u columns, repeated for %u pixels, are %u columns; a scratchpad row has %u.", to.columns, repeats, to.columns * repeats, dim);
    STRICT(!(to.address & ACCUMULATOR_BIT), RULE_PIXEL_REPEATS, FAULT_MALFORMED_INSTRUCTION,
           "pixel_repeats is %u, but the destination is the accumulator.", repeats);
    uint32_t upper = to.address < half ? half : to.address; /* the first row that lies in the upper half, if any does */
    STRICT(to.address + to.rows <= half || upper >= half + repeats - 1, RULE_PIXEL_REPEATS, FAULT_MALFORMED_INSTRUCTION,
           "row %u, repeated for %u pixels, reaches from the upper half of the scratchpad into the lower.", upper, repeats);
    return true;
}

bool mvin(struct gemmini *m, uint32_t load_id, uint64_t dram, struct operand to) {
    const struct load_config *load = &m->loads[load_id];
    uint32_t address = to.address, rows = to.rows, columns = to.columns, dim = m->setup.dim;
    bool accumulator = address & ACCUMULATOR_BIT, accumulate = accumulator && (address & ACCUMULATE_BIT);
    CHECK(load->set, FAULT_STATE_FAULT, "load configuration %u is used before a config_ld set it.", load_id);
    CHECK(address != GARBAGE, FAULT_LOCAL_ADDRESS_FAULT, "the destination is the garbage address; name scratchpad or accumulator rows.");
    uint32_t element = accumulator && !load->shrink ? 4 : 1;
    uint32_t widest = element == 4 ? m->setup.max_accumulator_columns : m->setup.max_block_columns;
    if (!check_size(m, RULE_MOVE_SIZE, "the move", rows, columns, widest)) return false;
    if (rows == 0 || columns == 0) return true;
    STRICT(load->block_stride >= rows, RULE_BLOCK_STRIDE, FAULT_MALFORMED_INSTRUCTION,
           "load configuration %u has block stride %u, less than the %u rows moved; the hardware needs at least as many.", load_id,
           load->block_stride, rows);
    if (element == 1 && !check_scale(m, load->scale)) return false;
    uint32_t base = address & WRITE_ROW_MASK, blocks = blocks_of(columns, dim), repeats = load->pixel_repeats;
    if (repeats > 1 && !check_repeats(m, to, repeats)) return false;
    uint64_t last = (uint64_t)base + (uint64_t)(blocks - 1) * load->block_stride + rows - 1;
    if (!check_local(m, "the move", accumulator, base, last)) return false;
    if (!accumulator && !check_preloaded(m, base < repeats ? 0 : base - (repeats - 1), last)) return false;
    if (dram != 0 && !check_dram(m, dram, load->dram_stride, rows, columns * element, false)) return false;

    uint64_t words = (uint64_t)rows * columns, read = dram == 0 ? 0 : words, *n = m->counters;
    if (repeats > 1) {
        words = load_repeated(m, load, dram, to);
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
    if (observed(m)) {
        uint32_t local = address & (accumulator ? ACCUMULATOR_BIT | WRITE_ROW_MASK : WRITE_ROW_MASK);
        struct rows taken = {local, rows, 1, blocks, load->block_stride, accumulate ? READ | WRITE : WRITE};
        observe(m, mvin_instruction(load_id), dram, read * element, 0, &taken, 1);
    }
    return true;
}

static void store_activated_row(struct gemmini *m, uint8_t *to, const int32_t *from, uint32_t columns) {
    for (uint32_t i = 0; i < columns; i++) to[i] = (uint8_t)scale_to_int8(activated_value(m, from[i]), m->store.scale);
}

static void store_activated_words(struct gemmini *m, uint8_t *to, const int32_t *from, uint32_t columns) {
    for (uint32_t i = 0; i < columns; i++) {
        int32_t value = activated_value(m, from[i]);
        memcpy(to + 4 * (size_t)i, &value, sizeof value);
    }
}

/* What strict mode asks of a store from the accumulator. */
bool check_store(struct gemmini *m, bool full, uint32_t command) {
    STRICT(command == 0 && m->store.activation < ACTIVATION_LAYERNORM, RULE_NORMALISATION, FAULT_UNSUPPORTED_INSTRUCTION,
           "the store has normalisation command %u and activation %u; the hardware is built without normalisations.", command,
           m->store.activation);
    STRICT(!full || m->setup.full_width_stores, RULE_FULL_WIDTH_STORES, FAULT_UNSUPPORTED_INSTRUCTION,
           "this hardware cannot store 32-bit rows of the accumulator.");
    STRICT(full || m->store.activation != ACTIVATION_RELU || m->store.scale >= 0, RULE_RELU_ORDER, FAULT_UNSUPPORTED_INSTRUCTION,
           "the scale is %g, with RELU: the hardware takes the RELU before it scales, so only scales of at least 0 are allowed.",
           (double)m->store.scale);
    return full || check_scale(m, m->store.scale);
}

bool mvout(struct gemmini *m, uint64_t dram, struct operand from) {
    uint32_t address = from.address, rows = from.rows, columns = from.columns, dim = m->setup.dim;
    bool accumulator = address & ACCUMULATOR_BIT, full = accumulator && (address & FULL_WIDTH_BIT);
    bool transformed = m->store.activation >= ACTIVATION_LAYERNORM;
    uint32_t command = accumulator ? NORMALISE_COMMAND(address) : 0;
    CHECK(m->store.set, FAULT_STATE_FAULT, "the store configuration is used before a config_st set it.");
    CHECK(address != GARBAGE, FAULT_LOCAL_ADDRESS_FAULT, "the source is the garbage address; name scratchpad or accumulator rows.");
    if (m->store.pool.stride != 0) return pooled_mvout(m, dram, from);
    if (accumulator && !check_store(m, full, command)) return false;
    if (!check_size(m, RULE_MOVE_SIZE, "the move", rows, columns, full ? dim : m->setup.max_block_columns)) return false;
    if (rows == 0 || columns == 0) return true;
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
            if (full && transformed)
                store_activated_words(m, to + 4 * (size_t)b * dim, m->setup.accumulator + at, count);
            else if (full)
                memcpy(to + 4 * (size_t)b * dim, m->setup.accumulator + at, 4 * (size_t)count);
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
    if (observed(m)) {
        struct rows taken = {base | (accumulator ? ACCUMULATOR_BIT : 0), rows, 1, blocks, dim, READ};
        observe(m, INSTRUCTION_MVOUT, dram, command == 0 ? words * element : 0, 0, &taken, 1);
        if (command == 0) observe_store(m, dram, m->store.dram_stride, rows, (uint64_t)columns * element);
    }
    return true;
}
