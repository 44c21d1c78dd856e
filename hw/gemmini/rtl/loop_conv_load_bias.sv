// The bias of a loop_conv_ws tile: config_ld 2, then mvin3 of the channels' biases, repeated for up to DIM output pixels of a row.
//
// Order: batch, output row, output column in steps of DIM, output channel in steps of MAX_ACC_COLS. Without a bias the same commands write
// zeros; with a null bias pointer there are none. Timing: a request is taken while idle; the first command is offered three edges later,
// then one a cycle (GEMMINI_UARCH section 7.3).

module loop_conv_load_bias
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
    input  logic        hold,  // the execute side waits for the other loop's loads
    input  logic        out_limit,  // as many commands under way as there may be
    output logic        out_valid,
    input  logic        out_ready,
    output cmd_t        out_cmd,
    output logic        idle,
    output logic        loop_id
);
  typedef enum logic [1:0] {IDLE, CONFIG, MOVE} state_t;
  localparam logic [15:0] STEP = 16'(MAX_ACC_COLS);

  state_t state;
  /* verilator lint_off UNUSEDSIGNAL */  // a loop is taken whole; synthesis drops what this FSM does not read
  conv_loop_t l;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [31:0] first_row;
  logic [15:0] b, row, col, o;
  logic load_first, load_second, stages_valid, stages_busy;
  logic skip, last_o, last_col, last_row, last_b;

  // first stage
  logic s_config;
  logic [15:0] s_o, s_rows, s_cols;
  logic [31:0] s_base, s_line, s_col;

  loop_conv_stages stages (
      .clk,
      .rst,
      .in_valid(state != IDLE && !skip && !hold),
      .load_first,
      .load_second,
      .out_valid(stages_valid),
      .out_ready(out_ready && !out_limit),
      .busy(stages_busy)
  );

  assign skip = l.c.bias_at == '0;
  assign idle = state == IDLE && !stages_busy;
  assign req_ready = idle;
  assign out_valid = stages_valid && !out_limit;
  assign last_o = 17'(o) + 17'(STEP) >= 17'(l.c.ochs);
  assign last_col = 17'(col) + 17'(DIM) >= 17'(l.c.ocols);
  assign last_row = row + 16'd1 == l.c.orows;
  assign last_b = b + 16'd1 == l.c.batches;

  always_ff @(posedge clk) begin
    if (req_valid && req_ready) begin
      state <= CONFIG;
      l <= req_id ? slot1 : slot0;
      loop_id <= req_id;
      first_row <= req_row;
      b <= '0;
      row <= '0;
      col <= '0;
      o <= '0;
    end else if (state == CONFIG && skip) begin
      state <= IDLE;
    end else if (load_first) begin
      s_config <= state == CONFIG;
      s_o <= o;
      s_rows <= least(l.c.ocols - col, 16'(DIM));
      s_cols <= least(l.c.ochs - o, STEP);
      s_base <= first_row + blocks_before(o) * l.c_block + 32'(b) * l.plane;
      s_line <= 32'(row) * 32'(l.c.ocols);
      s_col <= 32'(col);
      if (state == CONFIG) begin
        state <= MOVE;
      end else begin
        o <= last_o ? '0 : o + STEP;
        if (last_o) col <= last_col ? '0 : col + 16'(DIM);
        if (last_o && last_col) row <= last_row ? '0 : row + 16'd1;
        if (last_o && last_col && last_row) b <= b + 16'd1;
        if (last_o && last_col && last_row && last_b) state <= IDLE;
      end
    end
    if (load_second) begin
      out_cmd.from_ws   <= 1'b0;
      out_cmd.from_conv <= 1'b1;
      out_cmd.funct <= s_config ? FUNCT_CONFIG : FUNCT_MVIN3;
      out_cmd.rs1 <= s_config ? load_config(2'd2, 8'd1, l.c_block[15:0]) : l.f.no_bias ? '0 : l.c.bias_at + 64'({s_o, 2'b00});
      out_cmd.rs2 <= s_config ? '0 : operand(TO_ACCUMULATOR | (s_base + s_line + s_col), s_rows, s_cols);
    end
    if (rst) begin
      state <= IDLE;
      loop_id <= 1'b0;
    end
  end
endmodule
