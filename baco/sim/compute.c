/* Execution: config_ex, preload and the two computes (GEMMINI_ISA.md 7.1 and 7.8). */
#include "internal.h"

/* R: arithmetic right shift, half to even on the dropped bits. */
static inline int32_t rounding_shift(int32_t x, uint32_t n) {
    if (n == 0) return x;
    int64_t wide = x, kept = wide >> n, dropped = wide - kept * ((int64_t)1 << n), half = (int64_t)1 << (n - 1);
    return (int32_t)(kept + (dropped > half || (dropped == half && (kept & 1))));
}

static inline int8_t clamp_to_int8(int32_t x) { return x > 127 ? 127 : x < -128 ? -128 : (int8_t)x; }

bool config_ex(struct gemmini *m, const struct command *c) {
    bool ws = CONFIG_EX_DATAFLOW(c), ta = CONFIG_EX_TRANSPOSE_A(c), tb = CONFIG_EX_TRANSPOSE_B(c);
    CHECK(!(ws && ta && tb), FAULT_MALFORMED_INSTRUCTION, "weight-stationary cannot transpose both A and B; transpose one.");
    CHECK(ws || !tb || ta, FAULT_MALFORMED_INSTRUCTION, "output-stationary cannot transpose B unless A is transposed too.");
    if (!CONFIG_EX_SET_ONLY_STRIDES(c)) {
        STRICT(ws || !m->setup.weight_stationary_only, RULE_WEIGHT_STATIONARY_ONLY, FAULT_UNSUPPORTED_INSTRUCTION,
               "this hardware has no output-stationary dataflow.");
        CHECK(CONFIG_EX_IN_SHIFT(c) < 32, FAULT_MALFORMED_INSTRUCTION, "in_shift is %u; at most 31 is allowed.", CONFIG_EX_IN_SHIFT(c));
        m->execute_set = true;
        m->weight_stationary = ws;
        m->execute_relu = CONFIG_EX_ACTIVATION(c) == ACTIVATION_RELU; /* the others have no effect here */
        m->transpose_a = ta;
        m->transpose_b = tb;
        m->in_shift = CONFIG_EX_IN_SHIFT(c);
    }
    m->a_stride = CONFIG_EX_A_STRIDE(c);
    m->c_stride = CONFIG_EX_C_STRIDE(c);
    return true;
}

/* A real operand must be scratchpad rows; element (i, j) is at row address + stride * i, column j (or the reverse, transposed). */
static bool check_operand(struct gemmini *m, const char *what, struct operand o, uint32_t stride, bool transposed) {
    if (o.address == GARBAGE) return true;
    if (!check_size(m, RULE_OPERAND_SIZE, what, o.rows, o.columns, m->setup.dim)) return false;
    if (o.rows == 0 || o.columns == 0) return true;
    CHECK(o.address <= WRITE_ROW_MASK, FAULT_LOCAL_ADDRESS_FAULT,
          "%s has local address 0x%x; operands come from the scratchpad, whose addresses have bits 31 to 29 clear.", what, o.address);
    uint64_t span = (uint64_t)stride * ((transposed ? o.columns : o.rows) - 1);
    return check_local(m, what, false, o.address, o.address + span);
}

static bool check_result(struct gemmini *m, struct operand c) {
    uint32_t dim = m->setup.dim, base = c.address & WRITE_ROW_MASK;
    bool accumulator = c.address & ACCUMULATOR_BIT;
    if (c.address == GARBAGE) return true;
    if (!check_size(m, RULE_OPERAND_SIZE, "C", c.rows, c.columns, dim)) return false;
    if (c.rows == 0 || c.columns == 0) return true;
    CHECK(c.rows <= dim && c.columns <= dim, FAULT_MALFORMED_INSTRUCTION, "C has %u rows of %u columns; at most %u (DIM) are allowed.", c.rows,
          c.columns, dim);
    STRICT(accumulator || !m->setup.weight_stationary_only, RULE_WEIGHT_STATIONARY_ONLY, FAULT_UNSUPPORTED_INSTRUCTION,
           "C is in the scratchpad, but this hardware writes results to the accumulator only.");
    STRICT(m->weight_stationary || m->c_stride == 1, RULE_OUTPUT_STATIONARY_STRIDE, FAULT_UNSUPPORTED_INSTRUCTION,
           "c_stride is %u; the output-stationary hardware places rows of C elsewhere unless it is 1.", m->c_stride);
    STRICT(m->weight_stationary || !accumulator || m->in_shift == 0, RULE_OUTPUT_STATIONARY_SHIFT, FAULT_UNSUPPORTED_INSTRUCTION,
           "in_shift is %u and C is in the accumulator; some shift such results and some do not.", m->in_shift);
    return check_local(m, "C", accumulator, base, base + (uint64_t)m->c_stride * (c.rows - 1));
}

/* Rule mesh_width: whether sums fit the 20 bits of the mesh. Sums of 16 products of int8 and a bias always do. */
static bool check_sums(struct gemmini *m, const int32_t *sums, uint32_t rows) {
    uint32_t dim = m->setup.dim;
    for (uint32_t i = 0; i < rows * dim; i++)
        STRICT(sums[i] >= -(1 << 19) && sums[i] < 1 << 19, RULE_MESH_WIDTH, FAULT_UNSUPPORTED_INSTRUCTION,
               "the sum in row %u, column %u is %d; the mesh carries %d to %d.", i / dim, i % dim, sums[i], -(1 << 19), (1 << 19) - 1);
    return true;
}

/* As many rows and columns as there are in the array; the rest is not read. */
static struct operand clipped(const struct gemmini *m, struct operand o) {
    return (struct operand){o.address, least(o.columns, m->setup.dim), least(o.rows, m->setup.dim)};
}

bool preload(struct gemmini *m, struct operand bd, struct operand result) {
    CHECK(m->execute_set, FAULT_STATE_FAULT, "the execute configuration is used before a config_ex set it.");
    bool transposed = m->weight_stationary && m->transpose_b;
    /* Spike looks at what is preloaded when it computes; so only a refusal in strict mode can come as early as here. */
    if (m->setup.strict && (!check_operand(m, m->weight_stationary ? "B" : "D", bd, 1, transposed) || !check_result(m, result))) return false;
    m->preload_bd = clipped(m, bd);
    m->preload_c = result;
    m->preloaded = m->preload_pending = true;
    if (observed(m)) observe(m, INSTRUCTION_PRELOAD, 0, 0, 0, NULL, 0);
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

/* out += A * array, whose elements may be any int32: sums that output-stationary computes left there, taken for weights. */
static void multiply_sums(const struct gemmini *m, const struct product *p) {
    for (uint32_t i = 0; i < p->rows; i++)
        for (uint32_t k = 0; k < p->inner; k++)
            for (uint32_t j = 0; j < p->dim; j++) p->out[i * p->out_step + j] += p->a[i * p->a_step + k] * m->array[k * p->dim + j];
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
}

static void count_result(struct gemmini *m, struct operand c) {
    bool accumulator = c.address & ACCUMULATOR_BIT, accumulate = accumulator && (c.address & ACCUMULATE_BIT);
    uint64_t words = (uint64_t)c.rows * c.columns;
    m->counters[accumulator ? COUNTER_WRITES_ACCUMULATOR_OUTPUTS : COUNTER_WRITES_SCRATCHPAD_INPUTS] += words;
    m->counters[COUNTER_READS_ACCUMULATOR_OUTPUTS] += accumulate ? words : 0;
}

static void load_array(struct gemmini *m) {
    struct operand bd = m->preload_bd;
    read_tile(m, m->array, bd, m->weight_stationary && m->transpose_b);
    pair_up(m->setup.dim, m->array, m->array_pairs);
    m->array_paired = true;
    if (bd.address == GARBAGE) return;
    uint64_t words = (uint64_t)bd.rows * bd.columns, *n = m->counters;
    if (m->weight_stationary) {
        n[COUNTER_READS_SCRATCHPAD_WEIGHTS] += words;
        n[COUNTER_WRITES_REGISTERS_WEIGHTS] += words;
    } else {
        n[COUNTER_READS_SCRATCHPAD_INPUTS] += words;
    }
}

/* C = A * W + D. False: strict mode refuses the sums. */
static bool multiply_by_weights(struct gemmini *m, struct product p, struct operand d) {
    struct operand c = m->preload_c;
    uint32_t dim = p.dim;
    bool check = dim > 16 && m->setup.strict;
    p.rows = least(p.rows, c.rows);
    p.pairs = m->array_pairs;
    if (m->array_paired && d.address == GARBAGE && (c.address & ACCUMULATOR_BIT) && c.columns == dim && !check) {
        /* Whole rows go to the accumulator directly: nearly every compute of a program is like this. */
        p.add = c.address & ACCUMULATE_BIT;
        p.out = m->setup.accumulator + (size_t)(c.address & WRITE_ROW_MASK) * dim;
        p.out_step = (size_t)m->c_stride * dim;
        product(&p);
        for (uint32_t i = p.rows; i < c.rows && !p.add; i++) memset(p.out + i * p.out_step, 0, sizeof *p.out * dim);
        return true;
    }
    read_tile(m, m->result, d, false);
    p.out = m->result;
    p.out_step = dim;
    if (m->array_paired)
        product(&p);
    else
        multiply_sums(m, &p);
    if (check && !check_sums(m, m->result, c.rows)) return false;
    store_result(m, c, m->result);
    return true;
}

/* array += A * B. False: strict mode refuses the sums. */
static bool add_product(struct gemmini *m, struct product p, struct operand b) {
    read_tile(m, m->b_tile, b, m->transpose_b);
    pair_up(p.dim, m->b_tile, m->b_pairs);
    p.pairs = m->b_pairs;
    p.out = m->array;
    p.out_step = p.dim;
    product(&p);
    m->array_paired = false;
    return !m->setup.strict || check_sums(m, m->array, p.dim);
}

/* What strict mode asks of a weight-stationary compute. */
static bool check_weight_stationary(struct gemmini *m, struct operand a, struct operand d) {
    struct operand c = m->preload_c;
    bool real_d = d.address != GARBAGE;
    STRICT(!real_d || !m->setup.weight_stationary_only, RULE_WEIGHT_STATIONARY_ONLY, FAULT_UNSUPPORTED_INSTRUCTION,
           "D is in the scratchpad, but this hardware takes no bias from there; move it to the accumulator.");
    STRICT(c.address == GARBAGE || c.rows <= a.rows, RULE_ROWS_BEYOND_A, FAULT_UNSUPPORTED_INSTRUCTION,
           "C has %u rows and A %u: hardware only writes the others if new weights move in behind.", c.rows, a.rows);
    return true;
}

static void observe_compute(struct gemmini *m, struct operand a, struct operand bd, bool preloaded, uint64_t macs) {
    struct rows taken[EVENT_ROWS];
    uint32_t count = 0;
    bool ws = m->weight_stationary, transposed = ws ? m->transpose_b : false;
    struct operand stay = m->preload_bd, c = m->preload_c;
    if (preloaded && stay.address != GARBAGE)
        taken[count++] = (struct rows){stay.address, transposed ? stay.columns : stay.rows, 1, 1, 0, READ};
    if (a.address != GARBAGE) taken[count++] = (struct rows){a.address, m->transpose_a ? a.columns : a.rows, m->a_stride, 1, 0, READ};
    if (bd.address != GARBAGE) taken[count++] = (struct rows){bd.address, !ws && m->transpose_b ? bd.columns : bd.rows, 1, 1, 0, READ};
    if (c.address != GARBAGE) {
        bool accumulator = c.address & ACCUMULATOR_BIT, accumulate = accumulator && (c.address & ACCUMULATE_BIT);
        uint32_t local = c.address & (accumulator ? ACCUMULATOR_BIT | WRITE_ROW_MASK : WRITE_ROW_MASK);
        taken[count++] = (struct rows){local, c.rows, m->c_stride, 1, 0, accumulate ? READ | WRITE : WRITE};
    }
    observe(m, preloaded ? INSTRUCTION_COMPUTE_PRELOADED : INSTRUCTION_COMPUTE_ACCUMULATED, 0, 0, macs, taken, count);
}

bool compute(struct gemmini *m, struct operand a, struct operand bd, bool preloaded) {
    bool ws = m->weight_stationary;
    uint32_t dim = m->setup.dim;
    struct operand result = m->preload_c;
    bool real_a = a.address != GARBAGE, real_bd = bd.address != GARBAGE, real_c = result.address != GARBAGE;
    CHECK(m->execute_set, FAULT_STATE_FAULT, "the execute configuration is used before a config_ex set it.");
    CHECK(m->preloaded, FAULT_STATE_FAULT, "there is no preload for this compute; every compute needs a preload of its own.");
    STRICT(m->preload_pending, RULE_COMPUTE_WITHOUT_PRELOAD, FAULT_STATE_FAULT,
           "there is no preload for this compute; every compute needs a preload of its own.");
    CHECK(real_a || !real_c, FAULT_STATE_FAULT, "A is garbage but C is not, so the result is undefined; give A or make C garbage.");
    CHECK(real_a || ws || !real_bd, FAULT_STATE_FAULT,
          "A is garbage but B is not, so the output-stationary sums become undefined; give A or make B garbage.");
    if (!check_operand(m, "A", a, m->a_stride, m->transpose_a)) return false;
    if (!check_operand(m, ws ? "D" : "B", bd, 1, !ws && m->transpose_b)) return false;
    /* Spike also reads the rows of an operand that it then takes transposed, though it uses nothing of them. */
    if (!ws && m->transpose_b && !check_operand(m, "B", bd, 1, false)) return false;
    /* Strides and transposes may have changed since the preload was checked. */
    if (preloaded && !check_operand(m, ws ? "B" : "D", m->preload_bd, 1, ws && m->transpose_b)) return false;
    if (!check_result(m, result)) return false;
    if (ws && !check_weight_stationary(m, a, bd)) return false;
    a = clipped(m, a);
    bd = clipped(m, bd);

    if (preloaded) load_array(m);
    const int8_t *a_rows = m->setup.scratchpad + (size_t)(real_a ? a.address : 0) * dim;
    size_t a_step = (size_t)m->a_stride * dim;
    if (real_a && m->transpose_a) {
        for (uint32_t i = 0; i < a.rows; i++)
            for (uint32_t k = 0; k < a.columns; k++) m->a_tile[i * dim + k] = a_rows[k * a_step + i];
        a_rows = m->a_tile;
        a_step = dim;
    }
    uint64_t *n = m->counters, macs = 0;
    n[COUNTER_READS_SCRATCHPAD_INPUTS] += real_a ? (uint64_t)a.rows * a.columns : 0;
    struct product p = {.dim = dim, .rows = a.rows, .inner = a.columns, .a = a_rows, .a_step = a_step, .add = true};
    if (ws) {
        if (real_c) {
            if (!multiply_by_weights(m, p, bd)) return false;
            macs = (uint64_t)a.rows * a.columns * result.columns;
            n[COUNTER_READS_REGISTERS_WEIGHTS] += macs;
        }
        n[COUNTER_READS_SCRATCHPAD_INPUTS] += real_bd ? (uint64_t)bd.rows * bd.columns : 0;
    } else {
        if (real_a && real_bd) {
            if (!add_product(m, p, bd)) return false;
            macs = (uint64_t)a.rows * a.columns * bd.columns;
            n[COUNTER_READS_SCRATCHPAD_WEIGHTS] += (uint64_t)bd.rows * bd.columns;
        }
        if (real_c) store_result(m, result, m->array);
    }
    n[COUNTER_MACS] += macs;
    if (real_c) count_result(m, result);
    m->preload_pending = false;
    if (observed(m)) observe_compute(m, a, bd, preloaded, macs);
    return true;
}

