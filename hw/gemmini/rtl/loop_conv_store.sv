// The stores of a loop_conv_ws tile: mvout of up to DIM output pixels by DIM channels, or one pooling mvout for each batch and DIM channels.
//
// Order: batch, output row, output column in steps of DIM, output channel in steps of DIM. With pooling: config_st with the pooling, batch,
// output channel, config_st without. Both configurations keep the scale (all ones stands for that). With a null output pointer there are no
// commands. Timing: nothing is sent before all products of this loop have been; then one command a cycle (GEMMINI_UARCH section 7.3).

module loop_conv_store
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import loop_conv_pkg::*;
(
    input  logic        clk,
    input  logic        rst,
    input  logic        req_valid,
    output logic        req_ready,
    input  logic        req_id,
    input  conv_loop_t  slot0,
    input  conv_loop_t  slot1,
    input  logic [31:0] req_row,  // the accumulator's first row for this tile
    input  logic        products_sent,  // all products of this FSM's loop have been sent
    input  logic        out_limit,  // as many commands under way as there may be
    output logic        out_valid,
    input  logic        out_ready,
    output cmd_t        out_cmd,
    output logic        idle,
    output logic        loop_id
);
  typedef enum logic [2:0] {IDLE, MOVE, POOL_ON, POOL, POOL_OFF} state_t;
  localparam logic [31:0] KEEP_SCALE = 32'hffff_ffff;

  state_t state;
  /* verilator lint_off UNUSEDSIGNAL */  // a loop is taken whole; synthesis drops what this FSM does not read
  conv_loop_t l;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [31:0] first_row;
  logic [15:0] b, row, col, o;
  logic load_first, load_second, stages_valid, stages_busy;
  logic skip, pooling, last_o, last_col, last_row, last_b, last;

  // first stage
  logic s_config, s_pool_on;
  logic [15:0] s_batch, s_o, s_rows, s_cols;
  logic [31:0] s_base, s_line, s_col, s_image_line;
  // second stage
  logic [63:0] pixel, element, pool_fields;

  loop_conv_stages stages (
      .clk,
      .rst,
      .in_valid(state != IDLE && !skip && products_sent),
      .load_first,
      .load_second,
      .out_valid(stages_valid),
      .out_ready(out_ready && !out_limit),
      .busy(stages_busy)
  );

  assign skip = l.c.output_at == '0;
  assign idle = state == IDLE && !stages_busy;
  assign req_ready = idle;
  assign out_valid = stages_valid && !out_limit;
  assign pooling = state == POOL;
  assign last_o = 17'(o) + 17'(DIM) >= 17'(l.c.ochs);
  assign last_col = pooling || 17'(col) + 17'(DIM) >= 17'(l.c.ocols);
  assign last_row = pooling || row + 16'd1 == l.c.orows;
  assign last_b = b + 16'd1 == l.c.batches;
  assign last = last_o && last_col && last_row && last_b;

  always_ff @(posedge clk) begin
    if (req_valid && req_ready) begin
      l <= req_id ? slot1 : slot0;
      state <= (req_id ? slot1.f.no_pool : slot0.f.no_pool) ? MOVE : POOL_ON;
      loop_id <= req_id;
      first_row <= req_row;
      b <= '0;
      row <= '0;
      col <= '0;
      o <= '0;
    end else if (state != IDLE && skip) begin
      state <= IDLE;
    end else if (load_first) begin
      s_config <= state == POOL_ON || state == POOL_OFF;
      s_pool_on <= state == POOL_ON;
      s_batch <= b;
      s_o <= o;
      s_rows <= pooling ? '0 : least(l.c.ocols - col, 16'(DIM));
      s_cols <= least(l.c.ochs - o, 16'(DIM));
      s_base <= first_row + blocks_before(o) * l.c_block + 32'(b) * l.plane;
      s_line <= 32'(row) * 32'(l.c.ocols);
      s_col <= 32'(col);
      s_image_line <= pooling ? 32'(b) * 32'(l.c.pool_out_row_dim)
                              : l.f.output_1203 ? 32'(row) : 32'(b) * 32'(l.c.out_row_dim) + 32'(row);
      if (state == POOL_ON) state <= POOL;
      else if (state == POOL_OFF) state <= IDLE;
      else begin
        o <= last_o ? '0 : o + 16'(DIM);
        if (last_o) col <= last_col ? '0 : col + 16'(DIM);
        if (last_o && last_col) row <= last_row ? '0 : row + 16'd1;
        if (last_o && last_col && last_row) b <= b + 16'd1;
        if (last) state <= pooling ? POOL_OFF : IDLE;
      end
    end
    if (rst) begin
      state <= IDLE;
      loop_id <= 1'b0;
    end
  end

  assign pixel = 64'(s_image_line) * 64'(to_32_bits(l.f.no_pool ? l.c.out_col_dim : l.c.pool_out_col_dim)) + 64'(s_col);
  // with trans_output_1203 batches follow each other within a pixel; pooling has no such form
  assign element = l.f.no_pool && l.f.output_1203 ? (pixel * 64'(l.c.batch_size) + 64'(s_batch)) * 64'(l.c.out_channels) + 64'(s_o)
                                                  : pixel * 64'(l.c.out_stride) + 64'(s_o);
  assign pool_fields = 64'(l.c.pool_stride) << CONFIG_ST_POOL_STRIDE_LSB | 64'(l.c.pool_size) << CONFIG_ST_POOL_SIZE_LSB |
                       64'(l.c.pool_upper_pad) << CONFIG_ST_POOL_UPPER_PAD_LSB | 64'(l.c.pool_left_pad) << CONFIG_ST_POOL_LEFT_PAD_LSB |
                       64'(l.c.pool_out_col_dim[7:0]) << CONFIG_ST_POOL_OUT_DIM_LSB |
                       64'(l.c.porows) << CONFIG_ST_POOL_OUT_ROWS_LSB | 64'(l.c.pocols) << CONFIG_ST_POOL_OUT_COLS_LSB |
                       64'(l.c.orows[7:0]) << CONFIG_ST_OUT_ROWS_LSB | 64'(l.c.ocols[7:0]) << CONFIG_ST_OUT_COLS_LSB;

  always_ff @(posedge clk) begin
    if (load_second) begin
      out_cmd.from_ws   <= 1'b0;
      out_cmd.from_conv <= 1'b1;
      if (s_config) begin
        out_cmd.funct <= FUNCT_CONFIG;
        out_cmd.rs1 <= 64'(CONFIG_ST) | 64'(l.f.activation) << CONFIG_ST_ACTIVATION_LSB | (s_pool_on ? pool_fields : '0);
        out_cmd.rs2 <= 64'(l.c.out_stride) << CONFIG_ST_DRAM_STRIDE_LSB | 64'(KEEP_SCALE) << CONFIG_ST_ACC_SCALE_LSB;
      end else begin
        out_cmd.funct <= FUNCT_MVOUT;
        out_cmd.rs1 <= l.c.output_at + element;
        out_cmd.rs2 <= operand(TO_ACCUMULATE | (s_base + s_line + s_col), s_rows, s_cols);
      end
    end
  end
endmodule
