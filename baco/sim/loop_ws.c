/* loop_ws: a whole tiled matrix product, or a residual addition, as the sequence of instructions it stands for (GEMMINI_ISA.md 7.10).
 *
 * Operands lie where Spike puts them. Hardware alternates between the halves of both memories, so what a program could only see by
 * knowing the place (data left from an earlier loop without saying which half) is refused. */
#include "internal.h"

struct matmul {
    uint32_t i, j, k, pad_i, pad_j, pad_k;
    uint64_t a, b, c, d, a_stride, b_stride, c_stride, d_stride;
    bool accumulate, full_c, low_d, transpose_a, transpose_b;
    uint32_t activation, a_id, b_id;
    uint32_t a_row, b_row; /* where they start in the scratchpad */
};

static struct matmul decode(const struct gemmini *m, const struct command *c) {
    const struct command *bounds = &m->loop_configs[INSTRUCTION_LOOP_WS_CONFIG_BOUNDS];
    const struct command *ab = &m->loop_configs[INSTRUCTION_LOOP_WS_CONFIG_ADDRS_AB];
    const struct command *dc = &m->loop_configs[INSTRUCTION_LOOP_WS_CONFIG_ADDRS_DC];
    const struct command *strides_ab = &m->loop_configs[INSTRUCTION_LOOP_WS_CONFIG_STRIDES_AB];
    const struct command *strides_dc = &m->loop_configs[INSTRUCTION_LOOP_WS_CONFIG_STRIDES_DC];
    return (struct matmul){
        .i = LOOP_WS_CONFIG_BOUNDS_I(bounds),
        .j = LOOP_WS_CONFIG_BOUNDS_J(bounds),
        .k = LOOP_WS_CONFIG_BOUNDS_K(bounds),
        .pad_i = LOOP_WS_CONFIG_BOUNDS_PAD_I(bounds),
        .pad_j = LOOP_WS_CONFIG_BOUNDS_PAD_J(bounds),
        .pad_k = LOOP_WS_CONFIG_BOUNDS_PAD_K(bounds),
        .a = LOOP_WS_CONFIG_ADDRS_AB_A(ab),
        .b = LOOP_WS_CONFIG_ADDRS_AB_B(ab),
        .c = LOOP_WS_CONFIG_ADDRS_DC_C(dc),
        .d = LOOP_WS_CONFIG_ADDRS_DC_D(dc),
        .a_stride = LOOP_WS_CONFIG_STRIDES_AB_A_STRIDE(strides_ab),
        .b_stride = LOOP_WS_CONFIG_STRIDES_AB_B_STRIDE(strides_ab),
        .c_stride = LOOP_WS_CONFIG_STRIDES_DC_C_STRIDE(strides_dc),
        .d_stride = LOOP_WS_CONFIG_STRIDES_DC_D_STRIDE(strides_dc),
        .accumulate = LOOP_WS_EX_ACCUMULATE(c),
        .full_c = LOOP_WS_FULL_C(c),
        .low_d = LOOP_WS_LOW_D(c),
        .transpose_a = LOOP_WS_TRANSPOSE_A(c),
        .transpose_b = LOOP_WS_TRANSPOSE_B(c),
        .activation = LOOP_WS_ACTIVATION(c),
        .a_id = LOOP_WS_A_SPAD_ID(c),
        .b_id = LOOP_WS_B_SPAD_ID(c),
    };
}

/* Load configuration `id` must be set, load whole tiles without scattering their blocks, and shrink or not as the loop needs. */
static bool check_load(struct gemmini *m, uint32_t id, bool shrink_matters, bool shrink, const char *why) {
    const struct load_config *load = &m->loads[id];
    CHECK(load->set, FAULT_STATE_FAULT, "load configuration %u is used before a config_ld set it.", id);
    STRICT(load->block_stride == m->setup.dim, RULE_LOOP_CONFIGURATION, FAULT_STATE_FAULT, "loop_ws needs block stride %u (DIM) in load configuration %u, not %u.",
          m->setup.dim, id, load->block_stride);
    STRICT(load->pixel_repeats == 1, RULE_LOOP_CONFIGURATION, FAULT_STATE_FAULT, "loop_ws cannot load with pixel_repeats %u (load configuration %u).",
          load->pixel_repeats, id);
    STRICT(!shrink_matters || load->shrink == shrink, RULE_LOOP_CONFIGURATION, FAULT_STATE_FAULT, "load configuration %u has shrink %d, but %s.", id, load->shrink,
          why);
    return true;
}

static bool check_sizes(struct gemmini *m, const struct matmul *l, bool residual) {
    uint32_t dim = m->setup.dim;
    STRICT(l->i >= 1 && l->j >= 1 && (l->k >= 1 || residual), RULE_LOOP_CONFIGURATION, FAULT_MALFORMED_INSTRUCTION,
          "the loop has %u x %u x %u tiles (I, J, K); each must be at least 1.", l->i, l->j, l->k);
    CHECK(l->pad_i < dim && l->pad_j < dim && l->pad_k < dim, FAULT_MALFORMED_INSTRUCTION,
          "the last tiles lack %u, %u and %u elements (I, J, K); at most %u can be missing of DIM.", l->pad_i, l->pad_j, l->pad_k, dim - 1);
    uint64_t a_and_b = ((uint64_t)l->i * l->k + (uint64_t)l->k * l->j) * dim, c = (uint64_t)l->i * l->j * dim;
    CHECK(a_and_b <= m->setup.scratchpad_rows / 2, FAULT_MALFORMED_INSTRUCTION,
          "A and B tiles (I %u, J %u, K %u) take %llu scratchpad rows; a loop may use half of them, %u.", l->i, l->j, l->k, (ull)a_and_b,
          m->setup.scratchpad_rows / 2);
    CHECK(c <= m->setup.accumulator_rows / 2, FAULT_MALFORMED_INSTRUCTION,
          "C tiles (I %u, J %u) take %llu accumulator rows; a loop may use half of them, %u.", l->i, l->j, (ull)c,
          m->setup.accumulator_rows / 2);
    return true;
}

static bool check_loop(struct gemmini *m, const struct command *c, const struct matmul *l, bool residual) {
    for (uint32_t n = INSTRUCTION_LOOP_WS_CONFIG_BOUNDS; n <= INSTRUCTION_LOOP_WS_CONFIG_STRIDES_DC; n++)
        CHECK(m->loop_config_set[n], FAULT_STATE_FAULT, "loop_ws is used before a %s.", instruction_names[n]);
    STRICT(!(LOOP_WS_SKIP_LD_A(c) | LOOP_WS_SKIP_LD_B(c) | LOOP_WS_SKIP_LD_D(c) | LOOP_WS_SKIP_EX(c) | LOOP_WS_SKIP_ST(c) |
            LOOP_WS_ADVANCE_HALF(c) | LOOP_WS_SPAD_ONLY(c) | LOOP_WS_C_SPAD_ROW(c)),
          RULE_LOOP_FIELDS, FAULT_UNSUPPORTED_INSTRUCTION, "rs2 is 0x%llx: bits beyond 2 mean something only on some hardware; leave them 0.", (ull)c->rs2);
    STRICT(l->activation <= ACTIVATION_SOFTMAX, RULE_LOOP_FIELDS, FAULT_MALFORMED_INSTRUCTION, "activation is %u; 0 to 4 are allowed.",
           l->activation);
    if (!check_sizes(m, l, residual)) return false;
    if (l->c != 0) {
        CHECK(m->store.set, FAULT_STATE_FAULT, "the store configuration is used before a config_st set it.");
        STRICT(m->store.pool.stride == 0, RULE_LOOP_CONFIGURATION, FAULT_STATE_FAULT, "loop_ws cannot store while pooling is configured (pool_stride %u).",
              m->store.pool.stride);
    }
    if (residual) {
        STRICT(l->a != 0 && l->b != 0, RULE_LOOP_CONFIGURATION, FAULT_STATE_FAULT, "the residual addition has a null pointer to %s.", l->a == 0 ? "A" : "B");
        const char *why = "the residual addition adds int8";
        return check_load(m, 0, true, true, why) && check_load(m, 1, true, true, why);
    }
    CHECK(m->execute_set, FAULT_STATE_FAULT, "the execute configuration is used before a config_ex set it.");
    STRICT(m->weight_stationary && m->a_stride == 1 && m->c_stride == 1, RULE_LOOP_CONFIGURATION, FAULT_STATE_FAULT,
          "loop_ws needs config_ex with the weight-stationary dataflow and strides 1; it has dataflow %d, a_stride %u and c_stride %u.",
          m->weight_stationary, m->a_stride, m->c_stride);
    STRICT(m->transpose_a == l->transpose_a && m->transpose_b == l->transpose_b, RULE_LOOP_CONFIGURATION, FAULT_STATE_FAULT,
          "loop_ws has transpose_a %d and transpose_b %d, but config_ex %d and %d; they must agree.", l->transpose_a, l->transpose_b,
          m->transpose_a, m->transpose_b);
    STRICT(l->a_id <= 2 && l->b_id <= 2, RULE_LOOP_FIELDS, FAULT_MALFORMED_INSTRUCTION, "the scratchpad ids of A and B are %u and %u; 0 to 2 are allowed.",
          l->a_id, l->b_id);
    STRICT((l->a != 0 || l->a_id != 0) && (l->b != 0 || l->b_id != 0), RULE_LOOP_PLACEMENT, FAULT_STATE_FAULT,
          "%s is null, so the scratchpad's data is used again, but with spad id 0 the hardware alternates between halves; use id 1 or 2.",
          l->a == 0 && l->a_id == 0 ? "A" : "B");
    return (l->a == 0 || check_load(m, 0, false, false, "")) && (l->b == 0 || check_load(m, 1, false, false, "")) &&
           (l->d == 0 || check_load(m, 2, true, l->low_d, l->low_d ? "low_d says int8" : "low_d says int32"));
}

/* The address of tile (row, column) of a matrix whose rows are `stride` elements apart. */
static uint64_t tile_at(const struct gemmini *m, uint64_t base, uint64_t stride, uint32_t row, uint32_t column, uint32_t size) {
    return base + (row * stride + column) * m->setup.dim * size;
}

static uint32_t extent(const struct gemmini *m, uint32_t tile, uint32_t tiles, uint32_t pad) {
    return m->setup.dim - (tile == tiles - 1 ? pad : 0);
}

static bool load_tile(struct gemmini *m, uint32_t id, const char *name, uint64_t dram, struct operand to, uint32_t row, uint32_t column) {
    STEP(unrolled(m, mvin_instruction(id), mvin(m, id, dram, to)), "loading %s tile (%u, %u): ", name, row, column);
    return true;
}

static bool store_tile(struct gemmini *m, const struct matmul *l, struct operand from, uint32_t i, uint32_t j) {
    uint64_t dram = tile_at(m, l->c, l->c_stride, i, j, l->full_c ? 4 : 1);
    STEP(unrolled(m, INSTRUCTION_MVOUT, mvout(m, dram, from)), "storing C tile (%u, %u): ", i, j);
    return true;
}

/* Whole rows of C, one statistics slot a row: two passes for the statistics, a third that stores. */
static bool store_normalised(struct gemmini *m, const struct matmul *l, uint32_t i) {
    static const uint8_t commands[2][3][2] = {{{1, 2}, {3, 4}, {0, 0}}, {{5, 5}, {6, 7}, {0, 0}}};
    const uint8_t(*passes)[2] = commands[l->activation == ACTIVATION_SOFTMAX];
    uint32_t dim = m->setup.dim, rows = extent(m, i, l->i, l->pad_i), element = l->full_c ? 4 : 1;
    for (uint32_t first = 0; first < rows; first += NORM_SLOTS)
        for (uint32_t pass = 0; pass < 3; pass++)
            for (uint32_t slot = 0; slot < NORM_SLOTS && first + slot < rows; slot++) {
                m->norm.slot = slot;
                unrolled(m, INSTRUCTION_CONFIG_NORM, true);
                for (uint32_t j = 0; j < l->j; j++) {
                    uint32_t r = first + slot, row = (i * l->j + j) * dim + r;
                    uint32_t flags = ACCUMULATOR_BIT | (uint32_t)passes[pass][j + 1 == l->j] << NORM_COMMAND_LOW;
                    flags |= l->full_c ? FULL_WIDTH_BIT : 0;
                    uint64_t dram = tile_at(m, l->c, l->c_stride, i, j, element) + r * l->c_stride * element;
                    struct operand from = {flags | row, extent(m, j, l->j, l->pad_j), 1};
                    STEP(unrolled(m, INSTRUCTION_MVOUT, mvout(m, dram, from)), "storing row %u of C tile (%u, %u): ", r, i, j);
                }
            }
    return true;
}

static bool residual_add(struct gemmini *m, const struct matmul *l) {
    for (uint32_t i = 0; i < l->i; i++)
        for (uint32_t j = 0; j < l->j; j++) {
            struct operand tile = {ACCUMULATOR_BIT | (i * l->j + j) * m->setup.dim, extent(m, j, l->j, l->pad_j),
                                   extent(m, i, l->i, l->pad_i)};
            if (!load_tile(m, 0, "A", tile_at(m, l->a, l->a_stride, i, j, 1), tile, i, j)) return false;
            tile.address |= ACCUMULATE_BIT;
            if (!load_tile(m, 1, "B", tile_at(m, l->b, l->b_stride, i, j, 1), tile, i, j)) return false;
            tile.address |= l->full_c ? FULL_WIDTH_BIT : 0;
            if (l->c != 0 && !store_tile(m, l, tile, i, j)) return false;
        }
    return true;
}

static bool load_bias(struct gemmini *m, const struct matmul *l) {
    for (uint32_t i = 0; i < l->i; i++)
        for (uint32_t j = 0; j < l->j; j++) {
            struct operand tile = {ACCUMULATOR_BIT | (i * l->j + j) * m->setup.dim, extent(m, j, l->j, l->pad_j),
                                   extent(m, i, l->i, l->pad_i)};
            if (!load_tile(m, 2, "D", tile_at(m, l->d, l->d_stride, i, j, l->low_d ? 1 : 4), tile, i, j)) return false;
        }
    return true;
}

/* One preload and compute, with the loads that come just before it. */
static bool multiply_tile(struct gemmini *m, const struct matmul *l, uint32_t i, uint32_t j, uint32_t k) {
    uint32_t dim = m->setup.dim, rows = extent(m, i, l->i, l->pad_i), columns = extent(m, j, l->j, l->pad_j);
    uint32_t inner = extent(m, k, l->k, l->pad_k);
    struct operand a = {l->a_row + (l->transpose_a ? k * l->i + i : i * l->k + k) * dim, inner, rows};
    struct operand b = {l->b_row + (l->transpose_b ? j * l->k + k : k * l->j + j) * dim, columns, inner};
    struct operand c = {ACCUMULATOR_BIT | (i * l->j + j) * dim, columns, rows};
    if (l->accumulate || k > 0) c.address |= ACCUMULATE_BIT;
    if (j == 0 && l->a != 0) {
        bool t = l->transpose_a;
        struct operand to = {a.address, t ? rows : inner, t ? inner : rows};
        uint32_t row = t ? k : i, column = t ? i : k;
        if (!load_tile(m, 0, "A", tile_at(m, l->a, l->a_stride, row, column, 1), to, row, column)) return false;
    }
    if (i == 0 && l->b != 0) {
        bool t = l->transpose_b;
        struct operand to = {b.address, t ? inner : columns, t ? columns : inner};
        uint32_t row = t ? j : k, column = t ? k : j;
        if (!load_tile(m, 1, "B", tile_at(m, l->b, l->b_stride, row, column, 1), to, row, column)) return false;
    }
    if (i != 0) b.address = GARBAGE; /* the weights stay in the array */
    uint32_t instruction = i == 0 ? INSTRUCTION_COMPUTE_PRELOADED : INSTRUCTION_COMPUTE_ACCUMULATED;
    STEP(unrolled(m, INSTRUCTION_PRELOAD, preload(m, b, c)) &&
             unrolled(m, instruction, compute(m, a, (struct operand){GARBAGE, dim, dim}, i == 0)),
         "multiplying tiles (I %u, J %u, K %u): ", i, j, k);
    return true;
}

bool loop_ws(struct gemmini *m, const struct command *command) {
    struct matmul l = decode(m, command);
    bool residual = LOOP_WS_RESIDUAL_ADD(command);
    if (!check_loop(m, command, &l, residual)) return false;
    if (residual) return residual_add(m, &l);
    uint32_t dim = m->setup.dim, half = m->setup.scratchpad_rows / 2;
    l.a_row = l.a_id == 2 ? half : 0;
    l.b_row = (l.b_id == 2 ? 2 * half : half) - l.k * l.j * dim;
    bool normalised = l.activation == ACTIVATION_LAYERNORM || l.activation == ACTIVATION_SOFTMAX;
    if (l.d != 0 && !load_bias(m, &l)) return false;
    for (uint32_t k = 0; k < l.k; k++)
        for (uint32_t j = 0; j < l.j; j++)
            for (uint32_t i = 0; i < l.i; i++) {
                if (!multiply_tile(m, &l, i, j, k)) return false;
                if (l.c == 0 || k + 1 < l.k) continue;
                uint32_t address = ACCUMULATOR_BIT | (l.full_c ? FULL_WIDTH_BIT : 0) | (i * l.j + j) * dim;
                struct operand tile = {address, extent(m, j, l.j, l.pad_j), extent(m, i, l.i, l.pad_i)};
                if (!normalised && !store_tile(m, &l, tile, i, j)) return false;
                if (normalised && j + 1 == l.j && !store_normalised(m, &l, i)) return false;
            }
    return true;
}
