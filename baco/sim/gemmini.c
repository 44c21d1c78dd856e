/* Functional model of the accelerator: one function an instruction, checks first, then its effect (GEMMINI_ISA.md sections 4 to 8).
 *
 * Where the sources disagree the model does as Spike does, and refuses what section 9 calls undefined or non-portable. Field layouts,
 * instruction indices and counter places come from generated.h, made from baco.isa and baco.traffic; nothing here repeats them. */
#include "gemmini.h"

#include <stdarg.h>

/* mvin destinations and C keep bits 28:0 of a local address as the row, mvout sources bits 25:0; the rest are flags. */
#define WRITE_ROW_MASK 0x1FFFFFFFu
#define NORMALISE_COMMAND(address) ((address) >> 26 & 7)

#define CHECK(condition, kind, ...)                                                                                                    \
    do {                                                                                                                               \
        if (!(condition)) return gemmini_fault(m, kind, __VA_ARGS__);                                                                  \
    } while (0)

typedef unsigned long long ull;

int vsnprintf(char *to, size_t size, const char *format, va_list arguments);

bool gemmini_fault(struct gemmini *m, uint32_t kind, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(m->fault.reason, sizeof m->fault.reason, format, arguments);
    va_end(arguments);
    m->fault.kind = kind;
    return false;
}

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

/* R: arithmetic right shift, half to even on the dropped bits. */
static inline int32_t rounding_shift(int32_t x, uint32_t n) {
    if (n == 0) return x;
    int64_t wide = x, kept = wide >> n, dropped = wide - kept * ((int64_t)1 << n), half = (int64_t)1 << (n - 1);
    return (int32_t)(kept + (dropped > half || (dropped == half && (kept & 1))));
}

static inline int8_t clamp_to_int8(int32_t x) { return x > 127 ? 127 : x < -128 ? -128 : (int8_t)x; }

static inline int32_t wrapping_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

/* ---- addresses ----------------------------------------------------------------------------------------------------------- */

/* Rows `first` to `last` of the scratchpad (or accumulator) must exist. */
static bool check_local(struct gemmini *m, const char *what, bool accumulator, uint64_t first, uint64_t last) {
    uint32_t limit = accumulator ? m->setup.accumulator_rows : m->setup.scratchpad_rows;
    const char *memory = accumulator ? "accumulator" : "scratchpad";
    CHECK(last < limit, FAULT_LOCAL_ADDRESS_FAULT, "%s takes %s rows %llu to %llu, but the %s has rows 0 to %u.", what, memory, (ull)first,
          (ull)last, memory, limit - 1);
    return true;
}

/* Every one of `rows` rows of `bytes` bytes from `address` on must lie in one region, which must be writable for a write. */
static bool check_dram(struct gemmini *m, uint64_t address, uint64_t stride, uint32_t rows, uint32_t bytes, bool write) {
    const struct region *regions = m->setup.regions;
    const char *verb = write ? "writes" : "reads";
    uint32_t n = (uint32_t)m->setup.region_count, k = m->region_hint;
    if (k >= n || address - regions[k].base >= regions[k].size)
        for (k = 0; k < n && address - regions[k].base >= regions[k].size; k++) {}
    CHECK(k < n, FAULT_DRAM_ADDRESS_FAULT, "%s DRAM at 0x%llx, which is in no buffer of the program.", verb, (ull)address);
    m->region_hint = k;
    CHECK(!write || regions[k].writable, FAULT_DRAM_ADDRESS_FAULT, "writes DRAM at 0x%llx, which is in %s, a read-only buffer.",
          (ull)address, regions[k].name);
    uint64_t offset = address - regions[k].base, size = regions[k].size;
    for (uint32_t r = 0; r < rows; r++, offset += stride)
        CHECK(offset < size && bytes <= size - offset, FAULT_DRAM_ADDRESS_FAULT,
              "row %u %s %u bytes of DRAM at 0x%llx, outside %s, which is 0x%llx to 0x%llx.", r, verb, bytes,
              (ull)(regions[k].base + offset), regions[k].name, (ull)regions[k].base, (ull)(regions[k].base + size - 1));
    return true;
}

static inline uint8_t *dram_at(struct gemmini *m, uint64_t address) { return m->setup.dram + (address - m->setup.dram_base); }

static bool check_size(struct gemmini *m, const char *what, uint32_t rows, uint32_t columns, uint32_t max_columns) {
    uint32_t dim = m->setup.dim;
    CHECK(rows >= 1 && rows <= dim, FAULT_MALFORMED_INSTRUCTION, "%s has %u rows; 1 to %u (DIM) are allowed.", what, rows, dim);
    CHECK(columns >= 1 && columns <= max_columns, FAULT_MALFORMED_INSTRUCTION, "%s has %u columns; 1 to %u are allowed here.", what,
          columns, max_columns);
    return true;
}

static inline uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* ---- configuration (7.1 to 7.3) ------------------------------------------------------------------------------------------ */

static bool config_ex(struct gemmini *m, const struct command *c) {
    bool ws = CONFIG_EX_DATAFLOW(c), ta = CONFIG_EX_TRANSPOSE_A(c), tb = CONFIG_EX_TRANSPOSE_B(c);
    CHECK(!(ws && ta && tb), FAULT_MALFORMED_INSTRUCTION, "weight-stationary cannot transpose both A and B; transpose one.");
    CHECK(ws || !tb || ta, FAULT_MALFORMED_INSTRUCTION, "output-stationary cannot transpose B unless A is transposed too.");
    if (!CONFIG_EX_SET_ONLY_STRIDES(c)) {
        CHECK(ws || !m->setup.weight_stationary_only, FAULT_UNSUPPORTED_INSTRUCTION, "this hardware has no output-stationary dataflow.");
        CHECK(CONFIG_EX_ACTIVATION(c) <= 1, FAULT_UNSUPPORTED_INSTRUCTION, "activation %u is not supported yet; 0 (none) and 1 (RELU) are.",
              CONFIG_EX_ACTIVATION(c));
        CHECK(CONFIG_EX_IN_SHIFT(c) < 32, FAULT_MALFORMED_INSTRUCTION, "in_shift is %u; at most 31 is allowed.", CONFIG_EX_IN_SHIFT(c));
        m->execute_set = true;
        m->weight_stationary = ws;
        m->execute_relu = CONFIG_EX_ACTIVATION(c) == 1;
        m->transpose_a = ta;
        m->transpose_b = tb;
        m->in_shift = CONFIG_EX_IN_SHIFT(c);
    }
    m->a_stride = CONFIG_EX_A_STRIDE(c);
    m->c_stride = CONFIG_EX_C_STRIDE(c);
    return true;
}

static bool config_ld(struct gemmini *m, const struct command *c) {
    CHECK(CONFIG_LD_LOAD_ID(c) <= 2, FAULT_MALFORMED_INSTRUCTION, "load_id is %u; there are load configurations 0, 1 and 2.",
          CONFIG_LD_LOAD_ID(c));
    CHECK(CONFIG_LD_PIXEL_REPEATS(c) <= 1, FAULT_UNSUPPORTED_INSTRUCTION, "pixel_repeats %u is not supported yet; 0 and 1 are.",
          CONFIG_LD_PIXEL_REPEATS(c));
    m->loads[CONFIG_LD_LOAD_ID(c)] = (struct load_config){
        .set = true,
        .shrink = CONFIG_LD_SHRINK(c),
        .block_stride = CONFIG_LD_BLOCK_STRIDE(c),
        .scale = bits_to_float(CONFIG_LD_SCALE(c)),
        .dram_stride = CONFIG_LD_DRAM_STRIDE(c),
    };
    return true;
}

static bool config_st(struct gemmini *m, const struct command *c) {
    CHECK(CONFIG_ST_POOL_STRIDE(c) == 0 && CONFIG_ST_POOL_SIZE(c) == 0, FAULT_UNSUPPORTED_INSTRUCTION,
          "pooling (pool_stride %u, pool_size %u) is not supported yet; set both to 0.", CONFIG_ST_POOL_STRIDE(c), CONFIG_ST_POOL_SIZE(c));
    CHECK(CONFIG_ST_ACTIVATION(c) <= 1, FAULT_UNSUPPORTED_INSTRUCTION, "activation %u is not supported yet; 0 (none) and 1 (RELU) are.",
          CONFIG_ST_ACTIVATION(c));
    m->store_set = true;
    m->store_relu = CONFIG_ST_ACTIVATION(c) == 1;
    m->store_stride = CONFIG_ST_DRAM_STRIDE(c);
    m->store_scale = bits_to_float(CONFIG_ST_ACC_SCALE(c));
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

static bool mvin(struct gemmini *m, const struct command *c, uint32_t load_id) {
    const struct load_config *load = &m->loads[load_id];
    uint64_t dram = MVIN_DRAM(c);
    uint32_t address = MVIN_LOCAL(c), rows = MVIN_LOCAL_ROWS(c), columns = MVIN_LOCAL_COLS(c), dim = m->setup.dim;
    bool accumulator = address & ACCUMULATOR_BIT, accumulate = accumulator && (address & ACCUMULATE_BIT);
    CHECK(load->set, FAULT_STATE_FAULT, "load configuration %u is used before a config_ld set it.", load_id);
    CHECK(address != GARBAGE, FAULT_LOCAL_ADDRESS_FAULT, "the destination is the garbage address; name scratchpad or accumulator rows.");
    uint32_t element = accumulator && !load->shrink ? 4 : 1;
    if (!check_size(m, "the move", rows, columns, element == 4 ? m->setup.max_accumulator_columns : m->setup.max_block_columns)) return false;
    CHECK(load->block_stride >= rows, FAULT_MALFORMED_INSTRUCTION,
          "load configuration %u has block stride %u, less than the %u rows moved; the hardware needs at least as many.", load_id,
          load->block_stride, rows);
    uint32_t base = address & WRITE_ROW_MASK, blocks = (columns + dim - 1) / dim;
    if (!check_local(m, "the move", accumulator, base, (uint64_t)base + (uint64_t)(blocks - 1) * load->block_stride + rows - 1)) return false;
    if (dram != 0 && !check_dram(m, dram, load->dram_stride, rows, columns * element, false)) return false;

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

    uint64_t words = (uint64_t)rows * columns, *n = m->counters;
    uint64_t read = dram == 0 ? 0 : words;
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

static bool mvout(struct gemmini *m, const struct command *c) {
    uint64_t dram = MVOUT_DRAM(c);
    uint32_t address = MVOUT_LOCAL(c), rows = MVOUT_LOCAL_ROWS(c), columns = MVOUT_LOCAL_COLS(c), dim = m->setup.dim;
    bool accumulator = address & ACCUMULATOR_BIT, full = accumulator && (address & FULL_WIDTH_BIT);
    CHECK(m->store_set, FAULT_STATE_FAULT, "the store configuration is used before a config_st set it.");
    CHECK(address != GARBAGE, FAULT_LOCAL_ADDRESS_FAULT, "the source is the garbage address; name scratchpad or accumulator rows.");
    CHECK(!accumulator || NORMALISE_COMMAND(address) == 0, FAULT_UNSUPPORTED_INSTRUCTION, "normalised stores are not supported yet.");
    if (!check_size(m, "the move", rows, columns, full ? dim : m->setup.max_block_columns)) return false;
    uint32_t base = address & ROW_MASK, blocks = (columns + dim - 1) / dim, element = full ? 4 : 1;
    if (!check_local(m, "the move", accumulator, base, (uint64_t)base + (uint64_t)(blocks - 1) * dim + rows - 1)) return false;
    if (!check_dram(m, dram, m->store_stride, rows, columns * element, true)) return false;

    for (uint32_t r = 0; r < rows; r++) {
        uint8_t *to = dram_at(m, dram + (uint64_t)r * m->store_stride);
        for (uint32_t b = 0; b < blocks; b++) {
            size_t at = ((size_t)base + r + (size_t)b * dim) * dim;
            uint32_t count = least(dim, columns - b * dim);
            if (full) {
                memcpy(to, m->setup.accumulator + at, 4 * (size_t)count);
            } else if (!accumulator) {
                memcpy(to + (size_t)b * dim, m->setup.scratchpad + at, count);
            } else {
                store_scaled_row(to + (size_t)b * dim, m->setup.accumulator + at, count, m->store_scale, m->store_relu);
            }
        }
    }

    uint64_t words = (uint64_t)rows * columns, *n = m->counters;
    n[accumulator ? COUNTER_READS_ACCUMULATOR_OUTPUTS : COUNTER_READS_SCRATCHPAD_INPUTS] += words;
    n[COUNTER_WRITES_DRAM_OUTPUTS] += words;
    n[COUNTER_DRAM_BYTES_WRITTEN] += words * element;
    return true;
}

/* ---- execution (7.8) ----------------------------------------------------------------------------------------------------- */

/* A real operand must be scratchpad rows; element (i, j) is at row address + stride * i, column j (or the reverse, transposed). */
static bool check_operand(struct gemmini *m, const char *what, struct operand o, uint32_t stride, bool transposed) {
    if (o.address == GARBAGE) return true;
    if (!check_size(m, what, o.rows, o.columns, m->setup.dim)) return false;
    CHECK(o.address <= WRITE_ROW_MASK, FAULT_LOCAL_ADDRESS_FAULT,
          "%s has local address 0x%x; operands come from the scratchpad, whose addresses have bits 31 to 29 clear.", what, o.address);
    uint64_t span = (uint64_t)stride * ((transposed ? o.columns : o.rows) - 1);
    return check_local(m, what, false, o.address, o.address + span);
}

static bool check_result(struct gemmini *m, struct operand c) {
    if (c.address == GARBAGE) return true;
    if (!check_size(m, "C", c.rows, c.columns, m->setup.dim)) return false;
    uint32_t base = c.address & WRITE_ROW_MASK;
    return check_local(m, "C", c.address & ACCUMULATOR_BIT, base, base + (uint64_t)m->c_stride * (c.rows - 1));
}

static bool preload(struct gemmini *m, const struct command *c) {
    struct operand bd = {PRELOAD_BD(c), PRELOAD_BD_COLS(c), PRELOAD_BD_ROWS(c)};
    struct operand result = {PRELOAD_C(c), PRELOAD_C_COLS(c), PRELOAD_C_ROWS(c)};
    CHECK(m->execute_set, FAULT_STATE_FAULT, "the execute configuration is used before a config_ex set it.");
    bool transposed = m->weight_stationary && m->transpose_b;
    if (!check_operand(m, m->weight_stationary ? "B" : "D", bd, 1, transposed) || !check_result(m, result)) return false;
    m->preload_bd = bd;
    m->preload_c = result;
    m->preload_pending = true;
    return true;
}

/* A whole dim x dim tile of int32 from an operand, zeros outside it and for garbage. */
static void read_tile(const struct gemmini *m, int32_t *tile, struct operand o, bool transposed) {
    uint32_t dim = m->setup.dim;
    memset(tile, 0, sizeof *tile * dim * dim);
    if (o.address == GARBAGE) return;
    const int8_t *from = m->setup.scratchpad + (size_t)o.address * dim;
    if (transposed) {
        for (uint32_t i = 0; i < o.rows; i++)
            for (uint32_t j = 0; j < o.columns; j++) tile[i * dim + j] = from[(size_t)j * dim + i];
    } else {
        for (uint32_t i = 0; i < o.rows; i++)
            for (uint32_t j = 0; j < o.columns; j++) tile[i * dim + j] = from[(size_t)i * dim + j];
    }
}

/* out += A * W, both `dim` wide; `rows` and `inner` are the parts of A that are not zero. Made for one width of column block each, as
 * an explicit vector: left to find it itself, the compiler keeps the sums in memory, 20 times slower at DIM 16. */
#define DEFINE_MULTIPLY(width)                                                                                                         \
    typedef uint32_t vector##width __attribute__((vector_size(4 * (width)), aligned(4)));                                              \
    static void multiply##width(uint32_t dim, const int8_t *a, size_t a_step, uint32_t rows, uint32_t inner, const int32_t *w,         \
                                int32_t *out) {                                                                                        \
        for (uint32_t j = 0; j < dim; j += (width))                                                                                    \
            for (uint32_t i = 0; i < rows; i++) {                                                                                      \
                vector##width sum = *(const vector##width *)(out + i * dim + j);                                                       \
                for (uint32_t k = 0; k < inner; k++)                                                                                   \
                    sum += (uint32_t)a[i * a_step + k] * *(const vector##width *)(w + k * dim + j);                                    \
                *(vector##width *)(out + i * dim + j) = sum;                                                                           \
            }                                                                                                                          \
    }
DEFINE_MULTIPLY(2)
DEFINE_MULTIPLY(4)
DEFINE_MULTIPLY(8)
DEFINE_MULTIPLY(16)
DEFINE_MULTIPLY(32)

static void multiply(uint32_t dim, const int8_t *a, size_t a_step, uint32_t rows, uint32_t inner, const int32_t *w, int32_t *out) {
    switch (dim) {
    case 2: multiply2(dim, a, a_step, rows, inner, w, out); break;
    case 4: multiply4(dim, a, a_step, rows, inner, w, out); break;
    case 8: multiply8(dim, a, a_step, rows, inner, w, out); break;
    case 16: multiply16(dim, a, a_step, rows, inner, w, out); break;
    default: multiply32(dim, a, a_step, rows, inner, w, out);
    }
}

static void store_result(struct gemmini *m, struct operand c, const int32_t *result) {
    uint32_t dim = m->setup.dim, base = c.address & WRITE_ROW_MASK;
    bool accumulator = c.address & ACCUMULATOR_BIT, accumulate = accumulator && (c.address & ACCUMULATE_BIT);
    for (uint32_t i = 0; i < c.rows; i++) {
        size_t at = ((size_t)base + (size_t)m->c_stride * i) * dim;
        const int32_t *row = result + (size_t)i * dim;
        if (accumulate) {
            for (uint32_t j = 0; j < c.columns; j++) m->setup.accumulator[at + j] = wrapping_add(m->setup.accumulator[at + j], row[j]);
        } else if (accumulator) {
            memcpy(m->setup.accumulator + at, row, sizeof *row * c.columns);
        } else {
            for (uint32_t j = 0; j < c.columns; j++) {
                int8_t value = clamp_to_int8(m->weight_stationary ? row[j] : rounding_shift(row[j], m->in_shift));
                m->setup.scratchpad[at + j] = m->execute_relu && value < 0 ? 0 : value;
            }
        }
    }
    uint64_t words = (uint64_t)c.rows * c.columns;
    m->counters[accumulator ? COUNTER_WRITES_ACCUMULATOR_OUTPUTS : COUNTER_WRITES_SCRATCHPAD_INPUTS] += words;
    m->counters[COUNTER_READS_ACCUMULATOR_OUTPUTS] += accumulate ? words : 0;
}

static void load_array(struct gemmini *m) {
    struct operand bd = m->preload_bd;
    read_tile(m, m->array, bd, m->weight_stationary && m->transpose_b);
    if (bd.address == GARBAGE) return;
    uint64_t words = (uint64_t)bd.rows * bd.columns, *n = m->counters;
    if (m->weight_stationary) {
        n[COUNTER_READS_SCRATCHPAD_WEIGHTS] += words;
        n[COUNTER_WRITES_REGISTERS_WEIGHTS] += words;
    } else {
        n[COUNTER_READS_SCRATCHPAD_INPUTS] += words;
    }
}

static bool compute(struct gemmini *m, const struct command *c, bool preloaded) {
    bool ws = m->weight_stationary;
    uint32_t dim = m->setup.dim;
    struct operand a = {COMPUTE_PRELOADED_A(c), COMPUTE_PRELOADED_A_COLS(c), COMPUTE_PRELOADED_A_ROWS(c)};
    struct operand bd = {COMPUTE_PRELOADED_BD(c), COMPUTE_PRELOADED_BD_COLS(c), COMPUTE_PRELOADED_BD_ROWS(c)};
    struct operand result = m->preload_c;
    bool real_a = a.address != GARBAGE, real_bd = bd.address != GARBAGE, real_c = result.address != GARBAGE;
    CHECK(m->execute_set, FAULT_STATE_FAULT, "the execute configuration is used before a config_ex set it.");
    CHECK(m->preload_pending, FAULT_STATE_FAULT, "there is no preload for this compute; every compute needs a preload of its own.");
    CHECK(real_a || !real_c, FAULT_STATE_FAULT, "A is garbage but C is not, so the result is undefined; give A or make C garbage.");
    CHECK(real_a || ws || !real_bd, FAULT_STATE_FAULT,
          "A is garbage but B is not, so the output-stationary sums become undefined; give A or make B garbage.");
    if (!check_operand(m, "A", a, m->a_stride, m->transpose_a)) return false;
    if (!check_operand(m, ws ? "D" : "B", bd, 1, !ws && m->transpose_b)) return false;
    /* Strides and transposes may have changed since the preload was checked. */
    if (preloaded && !check_operand(m, ws ? "B" : "D", m->preload_bd, 1, ws && m->transpose_b)) return false;
    if (!check_result(m, result)) return false;

    if (preloaded) load_array(m);
    const int8_t *a_rows = m->setup.scratchpad + (size_t)(real_a ? a.address : 0) * dim;
    size_t a_step = (size_t)m->a_stride * dim;
    if (real_a && m->transpose_a) {
        for (uint32_t i = 0; i < a.rows; i++)
            for (uint32_t k = 0; k < a.columns; k++) m->a_tile[i * dim + k] = a_rows[k * a_step + i];
        a_rows = m->a_tile;
        a_step = dim;
    }
    uint64_t *n = m->counters;
    n[COUNTER_READS_SCRATCHPAD_INPUTS] += real_a ? (uint64_t)a.rows * a.columns : 0;
    const int32_t *sums = m->array;
    if (ws) {
        if (real_c) {
            read_tile(m, m->result, bd, false);
            multiply(dim, a_rows, a_step, least(a.rows, result.rows), a.columns, m->array, m->result);
            uint64_t macs = (uint64_t)a.rows * a.columns * result.columns;
            n[COUNTER_MACS] += macs;
            n[COUNTER_READS_REGISTERS_WEIGHTS] += macs;
        }
        n[COUNTER_READS_SCRATCHPAD_INPUTS] += real_bd ? (uint64_t)bd.rows * bd.columns : 0;
        sums = m->result;
    } else if (real_a && real_bd) {
        read_tile(m, m->b_tile, bd, m->transpose_b);
        multiply(dim, a_rows, a_step, a.rows, a.columns, m->b_tile, m->array);
        n[COUNTER_MACS] += (uint64_t)a.rows * a.columns * bd.columns;
        n[COUNTER_READS_SCRATCHPAD_WEIGHTS] += (uint64_t)bd.rows * bd.columns;
    }
    if (real_c) store_result(m, result, sums);
    m->preload_pending = false;
    return true;
}

/* ---- dispatch ------------------------------------------------------------------------------------------------------------ */

static bool execute(struct gemmini *m, const struct command *c, uint32_t instruction) {
    switch (instruction) {
    case INSTRUCTION_CONFIG_EX: return config_ex(m, c);
    case INSTRUCTION_CONFIG_LD: return config_ld(m, c);
    case INSTRUCTION_CONFIG_ST: return config_st(m, c);
    case INSTRUCTION_MVIN: return mvin(m, c, 0);
    case INSTRUCTION_MVIN2: return mvin(m, c, 1);
    case INSTRUCTION_MVIN3: return mvin(m, c, 2);
    case INSTRUCTION_MVOUT: return mvout(m, c);
    case INSTRUCTION_PRELOAD: return preload(m, c);
    case INSTRUCTION_COMPUTE_PRELOADED: return compute(m, c, true);
    case INSTRUCTION_COMPUTE_ACCUMULATED: return compute(m, c, false);
    case INSTRUCTION_FLUSH: return true; /* of the TLB only: nothing that can be seen */
    case INSTRUCTION_NONE: return gemmini_fault(m, FAULT_ILLEGAL_INSTRUCTION, "funct7 %u is not a Gemmini instruction.", c->funct7);
    default: return gemmini_fault(m, FAULT_UNSUPPORTED_INSTRUCTION, "%s is not supported yet.", instruction_names[instruction]);
    }
}

bool gemmini_execute(struct gemmini *m, const struct command *c) {
    uint32_t instruction = c->funct7 == 0 ? instruction_of_selector[c->rs1 & 3] : instruction_of_funct7[c->funct7 & 127];
    if (execute(m, c, instruction)) {
        m->counters[instruction]++;
        return true;
    }
    m->fault.has_command = true;
    m->fault.funct7 = c->funct7;
    m->fault.rs1 = c->rs1;
    m->fault.rs2 = c->rs2;
    return false;
}
