/* loop_conv_ws: one tile of a convolution, as the sequence of instructions it stands for (GEMMINI_ISA.md 7.11).
 *
 * Placement and order are Spike's. Sizes are refused before they could wrap in the 16-bit arithmetic of the sources. */
#include "internal.h"

struct conv {
    /* as configured */
    uint32_t batch_size, in_row_dim, in_col_dim, in_channels, out_channels, in_stride, weight_stride, out_stride;
    uint32_t out_row_dim, out_col_dim, pool_out_row_dim, pool_out_col_dim, stride, kernel_dim, dilation;
    uint32_t pool_size, pool_stride, pool_upper_pad, pool_left_pad;
    uint32_t batches, porows, pocols, ochs, krows, kcols, kchs, orows, ocols;
    int32_t lpad, rpad, upad, dpad;
    uint64_t weights, output, bias, input;
    bool no_bias, rotate, output_1203, weight_1203, weight_0132, input_3120, depthwise, no_pool, dilated;
    uint32_t downsample, pixels, a_id, b_id, activation;
    /* derived; i* include the padding, *_unpadded do not */
    int32_t irows, icols, irows_unpadded, icols_unpadded, in_upad, in_dpad, in_lpad, in_rpad;
    uint32_t image, plane; /* scratchpad rows of one input image, accumulator rows of one output image */
    uint32_t a_row, b_row, a_block, b_block; /* where A and B start, rows between their column blocks */
    uint32_t bias_row, output_row;
};

static struct conv decode(const struct gemmini *m, const struct command *c) {
    const struct command *c1 = &m->loop_configs[INSTRUCTION_LOOP_CONV_WS_CONFIG_1], *c2 = &m->loop_configs[INSTRUCTION_LOOP_CONV_WS_CONFIG_2];
    const struct command *c3 = &m->loop_configs[INSTRUCTION_LOOP_CONV_WS_CONFIG_3], *c4 = &m->loop_configs[INSTRUCTION_LOOP_CONV_WS_CONFIG_4];
    const struct command *c5 = &m->loop_configs[INSTRUCTION_LOOP_CONV_WS_CONFIG_5], *c6 = &m->loop_configs[INSTRUCTION_LOOP_CONV_WS_CONFIG_6];
    return (struct conv){
        .batch_size = LOOP_CONV_WS_CONFIG_1_BATCH_SIZE(c1),
        .in_row_dim = LOOP_CONV_WS_CONFIG_1_IN_ROW_DIM(c1),
        .in_channels = LOOP_CONV_WS_CONFIG_1_IN_CHANNELS(c1),
        .out_channels = LOOP_CONV_WS_CONFIG_1_OUT_CHANNELS(c1),
        .out_row_dim = LOOP_CONV_WS_CONFIG_1_OUT_ROW_DIM(c1),
        .pool_out_row_dim = LOOP_CONV_WS_CONFIG_1_POOL_OUT_ROW_DIM(c1),
        .out_col_dim = LOOP_CONV_WS_CONFIG_1_OUT_COL_DIM(c1),
        .stride = LOOP_CONV_WS_CONFIG_1_STRIDE(c1),
        .pool_stride = LOOP_CONV_WS_CONFIG_2_POOL_STRIDE(c2),
        .pool_size = LOOP_CONV_WS_CONFIG_2_POOL_SIZE(c2),
        .pool_out_col_dim = LOOP_CONV_WS_CONFIG_2_POOL_OUT_COL_DIM(c2),
        .kernel_dim = LOOP_CONV_WS_CONFIG_2_KERNEL_DIM(c2),
        .ochs = LOOP_CONV_WS_CONFIG_2_POCHS(c2),
        .pocols = LOOP_CONV_WS_CONFIG_2_POCOLS(c2),
        .porows = LOOP_CONV_WS_CONFIG_2_POROWS(c2),
        .batches = LOOP_CONV_WS_CONFIG_2_BATCHES(c2),
        .lpad = (int32_t)LOOP_CONV_WS_CONFIG_3_LPAD(c3),
        .kchs = LOOP_CONV_WS_CONFIG_3_KCHS(c3),
        .kcols = LOOP_CONV_WS_CONFIG_3_KCOLS(c3),
        .krows = LOOP_CONV_WS_CONFIG_3_KROWS(c3),
        .in_col_dim = LOOP_CONV_WS_CONFIG_3_IN_COL_DIM(c3),
        .pool_left_pad = LOOP_CONV_WS_CONFIG_3_PLPAD(c3),
        .dpad = (int32_t)LOOP_CONV_WS_CONFIG_3_DPAD(c3),
        .upad = (int32_t)LOOP_CONV_WS_CONFIG_3_UPAD(c3),
        .rpad = (int32_t)LOOP_CONV_WS_CONFIG_3_RPAD(c3),
        .dilation = LOOP_CONV_WS_CONFIG_4_KERNEL_DILATION(c4),
        .pool_upper_pad = LOOP_CONV_WS_CONFIG_4_PUPAD(c4),
        .orows = LOOP_CONV_WS_CONFIG_4_OROWS(c4),
        .ocols = LOOP_CONV_WS_CONFIG_4_OCOLS(c4),
        .out_stride = LOOP_CONV_WS_CONFIG_4_OUT_STRIDE(c4),
        .weight_stride = LOOP_CONV_WS_CONFIG_4_WEIGHT_STRIDE(c4),
        .in_stride = LOOP_CONV_WS_CONFIG_4_IN_STRIDE(c4),
        .weights = LOOP_CONV_WS_CONFIG_5_WEIGHTS(c5),
        .output = LOOP_CONV_WS_CONFIG_5_OUTPUT(c5),
        .bias = LOOP_CONV_WS_CONFIG_6_BIAS(c6),
        .input = LOOP_CONV_WS_CONFIG_6_INPUT(c6),
        .no_bias = LOOP_CONV_WS_NO_BIAS(c),
        .rotate = LOOP_CONV_WS_WROT180(c),
        .output_1203 = LOOP_CONV_WS_TRANS_OUTPUT_1203(c),
        .weight_1203 = LOOP_CONV_WS_TRANS_WEIGHT_1203(c),
        .weight_0132 = LOOP_CONV_WS_TRANS_WEIGHT_0132(c),
        .input_3120 = LOOP_CONV_WS_TRANS_INPUT_3120(c),
        .depthwise = LOOP_CONV_WS_DEPTHWISE(c),
        .pixels = LOOP_CONV_WS_MAX_PIXELS_PER_ROW(c) == 0 ? 1 : LOOP_CONV_WS_MAX_PIXELS_PER_ROW(c),
        .a_id = LOOP_CONV_WS_A_SPAD_ID(c),
        .b_id = LOOP_CONV_WS_B_SPAD_ID(c),
        .no_pool = LOOP_CONV_WS_NO_POOL(c),
        .downsample = LOOP_CONV_WS_DOWNSAMPLE(c),
        .dilated = LOOP_CONV_WS_INPUT_DILATED(c),
        .activation = LOOP_CONV_WS_ACTIVATION(c),
    };
}

/* ---- checks -------------------------------------------------------------------------------------------------------------- */

static bool check_fields(struct gemmini *m, const struct conv *l) {
    CHECK(l->batches >= 1 && l->orows >= 1 && l->ocols >= 1 && l->ochs >= 1, FAULT_MALFORMED_INSTRUCTION,
          "the output tile is %u batches of %u x %u pixels of %u channels; each must be at least 1.", l->batches, l->orows, l->ocols,
          l->ochs);
    CHECK(l->krows >= 1 && l->kcols >= 1 && l->kchs >= 1 && l->stride >= 1, FAULT_MALFORMED_INSTRUCTION,
          "the kernel tile is %u x %u of %u channels with stride %u; each must be at least 1.", l->krows, l->kcols, l->kchs, l->stride);
    CHECK(l->dilation >= 1 && l->dilation <= 255, FAULT_MALFORMED_INSTRUCTION, "kernel_dilation is %u; 1 to 255 are allowed.", l->dilation);
    CHECK(!l->dilated || l->stride == 1, FAULT_MALFORMED_INSTRUCTION, "a dilated input needs stride 1, but the stride is %u.", l->stride);
    CHECK(l->a_id <= 2 && l->b_id <= 2, FAULT_MALFORMED_INSTRUCTION,
          "the scratchpad ids of input and weights are %u and %u; 0 to 2 are allowed.", l->a_id, l->b_id);
    STRICT((l->input != 0 || l->a_id != 0) && (l->weights != 0 || l->b_id != 0), RULE_LOOP_PLACEMENT, FAULT_STATE_FAULT,
          "%s is null, so the scratchpad's data is used again, but with spad id 0 the hardware alternates between halves; use id 1 or 2.",
          l->input == 0 && l->a_id == 0 ? "the input" : "the weights");
    if (l->no_pool || l->output == 0) return true;
    CHECK(l->pool_stride >= 1 && l->pool_stride <= 3 && l->pool_size >= 1 && l->pool_size <= 3 && l->pool_upper_pad <= 3 &&
              l->pool_left_pad <= 3,
          FAULT_MALFORMED_INSTRUCTION, "pooling has stride %u, size %u and pads %u and %u; the fields hold at most 3.", l->pool_stride,
          l->pool_size, l->pool_upper_pad, l->pool_left_pad);
    CHECK(l->orows <= 255 && l->ocols <= 255 && l->porows <= 255 && l->pocols <= 255 && l->pool_out_col_dim <= 255,
          FAULT_MALFORMED_INSTRUCTION, "pooling makes %u x %u of %u x %u pixels, %u a row; the fields hold at most 255.", l->porows,
          l->pocols, l->orows, l->ocols, l->pool_out_col_dim);
    STRICT(l->activation <= ACTIVATION_RELU, RULE_LOOP_FIELDS, FAULT_UNSUPPORTED_INSTRUCTION,
           "activation %u with pooling is not portable; 0 and 1 are.", l->activation);
    STRICT(!l->output_1203, RULE_LOOP_FIELDS, FAULT_UNSUPPORTED_INSTRUCTION, "trans_output_1203 has no effect with pooling; store without pooling.");
    return true;
}

static bool check_state(struct gemmini *m, const struct conv *l) {
    for (uint32_t n = INSTRUCTION_LOOP_CONV_WS_CONFIG_1; n <= INSTRUCTION_LOOP_CONV_WS_CONFIG_6; n++)
        CHECK(m->loop_config_set[n], FAULT_STATE_FAULT, "loop_conv_ws is used before a %s.", instruction_names[n]);
    CHECK(m->execute_set, FAULT_STATE_FAULT, "the execute configuration is used before a config_ex set it.");
    STRICT(m->weight_stationary, RULE_LOOP_CONFIGURATION, FAULT_STATE_FAULT, "loop_conv_ws needs config_ex with the weight-stationary dataflow.");
    STRICT(m->transpose_a == l->input_3120 && m->transpose_b == l->weight_0132, RULE_LOOP_CONFIGURATION, FAULT_STATE_FAULT,
          "config_ex has transpose_a %d and transpose_b %d; loop_conv_ws with trans_input_3120 %d and trans_weight_0132 %d needs the same.",
          m->transpose_a, m->transpose_b, l->input_3120, l->weight_0132);
    uint32_t a_stride = l->stride >> l->downsample, c_stride = 1u << l->dilated;
    STRICT(l->input_3120 || (m->a_stride == a_stride && m->c_stride == c_stride), RULE_LOOP_CONFIGURATION, FAULT_STATE_FAULT,
          "config_ex has a_stride %u and c_stride %u; this loop_conv_ws needs %u and %u.", m->a_stride, m->c_stride, a_stride, c_stride);
    if (l->output != 0) {
        CHECK(m->store.set, FAULT_STATE_FAULT, "the store configuration is used before a config_st set it.");
        STRICT(!l->no_pool || m->store.pool.stride == 0, RULE_LOOP_CONFIGURATION, FAULT_STATE_FAULT,
              "loop_conv_ws has no_pool, but pooling is configured (pool_stride %u).", m->store.pool.stride);
    }
    bool open = m->conv_bias_row != m->conv_output_row;
    STRICT(l->bias == 0 || !open, RULE_LOOP_PLACEMENT, FAULT_STATE_FAULT,
          "a bias is loaded again before the last tile's output was stored; the hardware and Spike then place the sums differently.");
    STRICT(l->bias != 0 || open, RULE_LOOP_PLACEMENT, FAULT_STATE_FAULT,
          "the bias pointer is null, but no tile is begun: the sums would be added to whatever is there; pass one, with no_bias for zeros.");
    return true;
}

/* Sizes of the input with 64 bits, so that whatever fits 16 later is known to. */
static bool derive(struct gemmini *m, struct conv *l) {
    int64_t rows = (int64_t)l->orows * l->stride + (l->krows + (int64_t)(l->dilation - 1) * (l->krows - 1)) - 1;
    int64_t columns = (int64_t)l->ocols * l->stride + (l->kcols + (int64_t)(l->dilation - 1) * (l->kcols - 1)) - 1;
    CHECK(rows <= INT16_MAX && columns <= INT16_MAX && l->kchs <= INT16_MAX, FAULT_MALFORMED_INSTRUCTION,
          "the tile needs an input of %lld x %lld pixels of %u channels; each is limited to %d.", (long long)rows, (long long)columns, l->kchs,
          INT16_MAX);
    CHECK(l->upad + l->dpad <= rows && l->lpad + l->rpad <= columns, FAULT_MALFORMED_INSTRUCTION,
          "the padding (%d above, %d below, %d left, %d right) is more than the whole input of %lld x %lld pixels.", l->upad, l->dpad, l->lpad,
          l->rpad, (long long)rows, (long long)columns);
    int32_t d = l->dilated;
    l->in_upad = (l->upad + d) >> d;
    l->in_dpad = (l->dpad + d) >> d;
    l->in_lpad = (l->lpad + d) >> d;
    l->in_rpad = (l->rpad + d) >> d;
    l->irows_unpadded = ((int32_t)rows - l->upad - l->dpad + d) >> d;
    l->icols_unpadded = ((int32_t)columns - l->lpad - l->rpad + d) >> d;
    l->irows = l->irows_unpadded + l->in_upad + l->in_dpad;
    l->icols = l->icols_unpadded + l->in_lpad + l->in_rpad;

    uint32_t dim = m->setup.dim, half = m->setup.scratchpad_rows / 2;
    uint64_t image = (uint64_t)(l->irows >> l->downsample) * (uint64_t)(l->icols >> l->downsample);
    uint64_t taps = (uint64_t)l->krows * l->kcols;
    uint64_t a_block = image * (l->input_3120 ? l->kchs : l->batches), b_block = taps * (l->weight_0132 ? l->ochs : l->kchs);
    uint64_t a_rows = a_block * blocks_of(l->input_3120 ? l->batches : l->kchs, dim);
    uint64_t b_rows = b_block * blocks_of(l->weight_0132 ? l->kchs : l->ochs, dim);
    STRICT(a_rows + b_rows <= half, RULE_LOOP_SIZE, FAULT_MALFORMED_INSTRUCTION,
          "input and weights take %llu and %llu scratchpad rows; a loop may use half of them, %u.", (ull)a_rows, (ull)b_rows, half);
    CHECK(b_rows <= (l->b_id == 2 ? 2 * half : half), FAULT_MALFORMED_INSTRUCTION,
          "the weights take %llu scratchpad rows, more than there are below where they end.", (ull)b_rows);
    uint64_t plane = (uint64_t)l->orows * l->ocols, c_block = plane * l->batches, c_rows = c_block * blocks_of(l->ochs, dim);
    STRICT(c_rows <= m->setup.accumulator_rows / 2, RULE_LOOP_SIZE, FAULT_MALFORMED_INSTRUCTION,
          "the output tile takes %llu accumulator rows; a loop may use half of them, %u.", (ull)c_rows, m->setup.accumulator_rows / 2);
    CHECK(a_block <= UINT16_MAX && b_block <= UINT16_MAX && c_block <= UINT16_MAX, FAULT_MALFORMED_INSTRUCTION,
          "the column blocks are %llu, %llu and %llu rows apart; block strides hold at most %d.", (ull)a_block, (ull)b_block, (ull)c_block,
          UINT16_MAX);
    l->image = (uint32_t)image;
    l->plane = (uint32_t)plane;
    l->a_block = (uint32_t)a_block;
    l->b_block = (uint32_t)b_block;
    l->a_row = l->a_id == 2 ? half : 0;
    l->b_row = (l->b_id == 2 ? 2 * half : half) - (uint32_t)b_rows;
    return true;
}

/* ---- loads ----------------------------------------------------------------------------------------------------------------- */

static void set_load(struct gemmini *m, uint32_t id, uint32_t block_stride, uint32_t pixels, uint64_t dram_stride) {
    m->loads[id] = (struct load_config){true, false, block_stride, pixels, 1.0f, dram_stride};
    unrolled(m, INSTRUCTION_CONFIG_LD, true);
}

static bool load_bias(struct gemmini *m, const struct conv *l) {
    uint32_t dim = m->setup.dim, block = l->batches * l->plane, widest = least(l->ochs, m->setup.max_accumulator_columns);
    set_load(m, 2, block, 1, 0);
    for (uint32_t b = 0; b < l->batches; b++)
        for (uint32_t row = 0; row < l->orows; row++)
            for (uint32_t column = 0; column < l->ocols; column += dim)
                for (uint32_t o = 0; o < l->ochs; o += widest) {
                    uint32_t to = l->bias_row + o / dim * block + b * l->plane + row * l->ocols + column;
                    struct operand pixels = {ACCUMULATOR_BIT | to, least(l->ochs - o, widest), least(l->ocols - column, dim)};
                    STEP(unrolled(m, INSTRUCTION_MVIN3, mvin(m, 2, l->no_bias ? 0 : l->bias + 4 * (uint64_t)o, pixels)),
                         "loading the bias of channels from %u: ", o);
                }
    return true;
}

/* How many pixels from column `at` on may be loaded together: never across a border of the padding. */
static int32_t run_of(const struct gemmini *m, const struct conv *l, int32_t at) {
    int32_t dim = (int32_t)m->setup.dim, left = l->icols_unpadded - at, most = dim << l->downsample;
    if (at < 0) {
        left = -at;
        most = dim;
    } else if (left <= 0) {
        left = l->icols_unpadded + l->in_rpad - at;
        most = dim;
    }
    return left < most ? left : most;
}

static bool load_pixels(struct gemmini *m, const struct conv *l, uint32_t b, int32_t row, int32_t column, int32_t run, uint32_t ch,
                        uint32_t widest) {
    uint32_t dim = m->setup.dim, ds = l->downsample;
    bool inside = row >= 0 && row < l->irows_unpadded && column >= 0 && column < l->icols_unpadded;
    int64_t pixel = ((int64_t)(l->input_3120 ? ch : b) * l->in_row_dim + row) * l->in_col_dim + column;
    uint64_t dram = l->input + (uint64_t)(l->input_3120 ? pixel * l->batch_size + b : pixel * l->in_stride + ch);
    uint32_t to = l->a_row + (uint32_t)((row + l->in_upad) >> ds) * (uint32_t)(l->icols >> ds) + (uint32_t)((column + l->in_lpad) >> ds);
    to += l->input_3120 ? b / dim * l->a_block + ch * l->image : ch / dim * l->a_block + b * l->image;
    struct operand pixels = {to, least(l->input_3120 ? l->batches - b : l->kchs - ch, widest), (uint32_t)(run >> ds)};
    STEP(unrolled(m, INSTRUCTION_MVIN, mvin(m, 0, inside ? dram : 0, pixels)),
         "loading the input of batch %u, row %d, column %d, channel %u: ", b, row, column, ch);
    return true;
}

static bool load_input(struct gemmini *m, const struct conv *l) {
    uint32_t widest = least(l->input_3120 ? l->batches : l->kchs, m->setup.max_block_columns);
    uint32_t batch_step = l->input_3120 ? widest : 1, channel_step = l->input_3120 ? 1 : widest;
    set_load(m, 0, l->a_block, l->pixels, (uint64_t)(l->input_3120 ? l->batch_size : l->in_stride) << l->downsample);
    for (uint32_t b = 0; b < l->batches; b += batch_step)
        for (int32_t row = -l->in_upad; row < l->irows_unpadded + l->in_dpad; row += 1 << l->downsample)
            for (int32_t column = -l->in_lpad, run; column < l->icols_unpadded + l->in_rpad; column += run) {
                run = run_of(m, l, column);
                for (uint32_t ch = 0; ch < l->kchs; ch += channel_step)
                    if (!load_pixels(m, l, b, row, column, run, ch, widest)) return false;
            }
    return true;
}

static bool load_weights(struct gemmini *m, const struct conv *l) {
    uint32_t dim = m->setup.dim, kernel = l->kernel_dim;
    bool t = l->weight_0132; /* scratchpad rows are output channels, columns input channels */
    uint64_t stride = l->depthwise     ? 1
                      : l->weight_1203 ? (uint64_t)kernel * kernel * l->out_channels
                      : t              ? l->in_channels
                                       : l->weight_stride;
    uint32_t widest = least(t ? l->kchs : l->ochs, m->setup.max_block_columns);
    set_load(m, 1, l->b_block, 1, stride);
    for (uint32_t o = 0; o < l->ochs; o += t ? dim : widest)
        for (uint32_t row = 0; row < l->krows; row++)
            for (uint32_t column = 0; column < l->kcols; column++)
                for (uint32_t ch = 0; ch < l->kchs; ch += t ? widest : dim) {
                    uint64_t tap = (uint64_t)row * kernel + column;
                    uint64_t at = l->depthwise     ? tap
                                  : l->weight_1203 ? ((uint64_t)ch * kernel * kernel + tap) * l->out_channels + o
                                  : t              ? (tap * l->out_channels + o) * l->in_channels + ch
                                                   : (tap * l->in_channels + ch) * l->weight_stride + o;
                    uint32_t place = row * l->kcols + column;
                    uint32_t to = l->b_row + (t ? ch / dim * l->b_block + place * l->ochs + o : o / dim * l->b_block + place * l->kchs + ch);
                    struct operand block = {to, least(t ? l->kchs - ch : l->ochs - o, widest), least(t ? l->ochs - o : l->kchs - ch, dim)};
                    STEP(unrolled(m, INSTRUCTION_MVIN2, mvin(m, 1, l->weights + at, block)),
                         "loading the weights of row %u, column %u, channels %u to %u: ", row, column, ch, o);
                }
    return true;
}

/* ---- sums ------------------------------------------------------------------------------------------------------------------ */

/* One position of the kernel, one block of input and output channels: all output pixels, with the same weights. */
static bool multiply_tap(struct gemmini *m, const struct conv *l, uint32_t o, uint32_t krow, uint32_t kcol, uint32_t ch) {
    uint32_t dim = m->setup.dim, ds = l->downsample, d = l->dilated, columns = (uint32_t)(l->icols >> ds);
    uint32_t pixels = least(l->kcols - kcol, l->pixels), inner = pixels * least(l->kchs - ch, dim), outer = least(l->ochs - o, dim);
    uint32_t place = (l->rotate ? l->krows - krow - 1 : krow) * l->kcols + (l->rotate ? l->kcols - kcol - 1 : kcol);
    uint32_t weights = l->b_row + (l->weight_0132 ? ch / dim * l->b_block + place * l->ochs + o : o / dim * l->b_block + place * l->kchs + ch);
    bool fresh = true;
    for (uint32_t b = 0; b < l->batches; b += l->input_3120 ? dim : 1)
        for (uint32_t row = 0; row < l->orows; row++) {
            if (d && (krow * l->dilation + row - (uint32_t)l->upad) % 2) continue; /* a row of zeros between the input's */
            for (uint32_t column = 0; column < l->ocols;) {
                if (d && (kcol * l->dilation + column - (uint32_t)l->lpad) % 2) {
                    column++;
                    continue;
                }
                uint32_t irow = (row * l->stride + krow * l->dilation + d) >> d, icol = (column * l->stride + kcol * l->dilation + d) >> d;
                uint32_t count = l->input_3120 ? least(l->batches - b, dim) : (least(l->ocols - column, dim << d) + d) >> d;
                uint32_t from = l->a_row + (irow >> ds) * columns + (icol >> ds);
                from += l->input_3120 ? b / dim * l->a_block + ch * l->image : ch / dim * l->a_block + b * l->image;
                uint32_t to = l->output_row + o / dim * l->batches * l->plane + b * l->plane + row * l->ocols + column;
                struct operand result = {ACCUMULATOR_BIT | ACCUMULATE_BIT | to, outer, count};
                uint32_t instruction = fresh ? INSTRUCTION_COMPUTE_PRELOADED : INSTRUCTION_COMPUTE_ACCUMULATED;
                STEP(unrolled(m, INSTRUCTION_PRELOAD, preload(m, (struct operand){fresh ? weights : GARBAGE, outer, inner}, result)) &&
                         unrolled(m, instruction,
                                  compute(m, (struct operand){from, inner, count}, (struct operand){GARBAGE, outer, count}, fresh)),
                     "multiplying kernel row %u, column %u, channels %u to %u, at batch %u, row %u, column %u: ", krow, kcol, ch, o, b, row,
                     column);
                fresh = false;
                column += l->input_3120 ? 1 : dim << d;
            }
        }
    return true;
}

static bool multiply(struct gemmini *m, const struct conv *l) {
    if (l->input_3120) {
        m->a_stride = (uint32_t)l->irows * (uint32_t)l->icols & 0xFFFF;
        m->c_stride = l->plane;
        unrolled(m, INSTRUCTION_CONFIG_EX, true);
    }
    for (uint32_t o = 0; o < l->ochs; o += m->setup.dim)
        for (uint32_t krow = 0; krow < l->krows; krow++)
            for (uint32_t kcol = 0; kcol < l->kcols; kcol += l->pixels)
                for (uint32_t ch = 0; ch < l->kchs; ch += m->setup.dim)
                    if (!multiply_tap(m, l, o, krow, kcol, ch)) return false;
    return true;
}

/* ---- stores ---------------------------------------------------------------------------------------------------------------- */

static bool store(struct gemmini *m, const struct conv *l) {
    uint32_t dim = m->setup.dim, flags = ACCUMULATOR_BIT | ACCUMULATE_BIT;
    for (uint32_t b = 0; b < l->batches; b++)
        for (uint32_t row = 0; row < l->orows; row++)
            for (uint32_t column = 0; column < l->ocols; column += dim)
                for (uint32_t o = 0; o < l->ochs; o += dim) {
                    uint64_t pixel = (uint64_t)row * l->out_col_dim + column;
                    uint64_t at = l->output_1203 ? (pixel * l->batch_size + b) * l->out_channels + o
                                                 : ((uint64_t)b * l->out_row_dim * l->out_col_dim + pixel) * l->out_stride + o;
                    uint32_t from = l->output_row + (o / dim * l->batches + b) * l->plane + row * l->ocols + column;
                    struct operand pixels = {flags | from, least(l->ochs - o, dim), least(l->ocols - column, dim)};
                    STEP(unrolled(m, INSTRUCTION_MVOUT, mvout(m, l->output + at, pixels)),
                         "storing batch %u, row %u, column %u, channel %u: ", b, row, column, o);
                }
    return true;
}

static void set_store(struct gemmini *m, const struct conv *l, struct pooling pool) {
    uint32_t activation = l->activation != 0 ? ACTIVATION_RELU : m->store.activation == ACTIVATION_SOFTMAX ? ACTIVATION_SOFTMAX : 0;
    m->store = (struct store_config){true, activation, l->out_stride, m->store.scale, pool};
    unrolled(m, INSTRUCTION_CONFIG_ST, true);
}

static bool store_pooled(struct gemmini *m, const struct conv *l) {
    uint32_t dim = m->setup.dim, flags = ACCUMULATOR_BIT | ACCUMULATE_BIT;
    set_store(m, l,
              (struct pooling){.stride = l->pool_stride,
                               .size = l->pool_size,
                               .upper_pad = l->pool_upper_pad,
                               .left_pad = l->pool_left_pad,
                               .out_pitch = l->pool_out_col_dim,
                               .out_rows = l->porows,
                               .out_columns = l->pocols,
                               .rows = l->orows,
                               .columns = l->ocols});
    for (uint32_t b = 0; b < l->batches; b++)
        for (uint32_t o = 0; o < l->ochs; o += dim) {
            uint64_t at = (uint64_t)b * l->pool_out_row_dim * l->pool_out_col_dim * l->out_stride + o;
            struct operand image = {flags | (l->output_row + (o / dim * l->batches + b) * l->plane), least(l->ochs - o, dim), 0};
            STEP(unrolled(m, INSTRUCTION_MVOUT, mvout(m, l->output + at, image)), "storing batch %u, channel %u: ", b, o);
        }
    set_store(m, l, (struct pooling){0});
    return true;
}

bool loop_conv_ws(struct gemmini *m, const struct command *command) {
    struct conv l = decode(m, command);
    if (!check_state(m, &l) || !check_fields(m, &l) || !derive(m, &l)) return false;
    uint32_t rows = m->setup.accumulator_rows;
    l.bias_row = m->conv_bias_row;
    l.output_row = m->conv_output_row;
    /* Successive tiles alternate between the halves of the accumulator. */
    if (l.bias != 0) m->conv_bias_row = (m->conv_bias_row + rows / 2) % rows;
    if (l.output != 0) m->conv_output_row = (m->conv_output_row + rows / 2) % rows;
    if (l.bias != 0 && !load_bias(m, &l)) return false;
    if (l.input != 0 && !load_input(m, &l)) return false;
    if (l.weights != 0 && !load_weights(m, &l)) return false;
    if (!multiply(m, &l)) return false;
    if (l.output == 0) return true;
    return l.no_pool ? store(m, &l) : store_pooled(m, &l);
}
