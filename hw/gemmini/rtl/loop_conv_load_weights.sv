// The weights of a loop_conv_ws tile: config_ld 1, then mvin2 of up to DIM input channels (rows) by MAX_COLS output channels.
//
// Order: output channel in steps of MAX_COLS, kernel row, kernel column, input channel in steps of DIM. With trans_weight_0132 rows are
// output channels and columns input channels, and so are the steps. With a null pointer there are no commands: the weights of an earlier
// loop are used. Timing: as loop_conv_load_bias (GEMMINI_UARCH section 7.3).

module loop_conv_load_weights
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import loop_conv_pkg::*;
(
    input  logic       clk,
    input  logic       rst,
    input  logic       req_valid,
    output logic       req_ready,
    input  logic       req_id,
    input  conv_loop_t slot0,
    input  conv_loop_t slot1,
    input  logic       hold,  // the execute side waits for the other loop's loads
    input  logic       out_limit,  // as many commands under way as there may be
    output logic       out_valid,
    input  logic       out_ready,
    output cmd_t       out_cmd,
    output logic       idle,
    output logic       loop_id
);
  typedef enum logic [1:0] {IDLE, CONFIG, MOVE} state_t;

  state_t state;
  /* verilator lint_off UNUSEDSIGNAL */  // a loop is taken whole; synthesis drops what this FSM does not read
  conv_loop_t l;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [15:0] o, krow, kcol, ch;
  logic load_first, load_second, stages_valid, stages_busy;
  logic skip, last_ch, last_kcol, last_krow, last_o;
  logic [15:0] o_step, ch_step;
  logic [63:0] kernel_area, dram_stride;

  // first stage
  logic s_config;
  logic [15:0] s_o, s_ch, s_rows, s_cols;
  logic [63:0] s_tap;
  logic [31:0] s_place, s_base;

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

  assign skip = l.c.weights_at == '0;
  assign idle = state == IDLE && !stages_busy;
  assign req_ready = idle;
  assign out_valid = stages_valid && !out_limit;
  assign o_step = l.f.weight_0132 ? 16'(DIM) : 16'(MAX_COLS);
  assign ch_step = l.f.weight_0132 ? 16'(MAX_COLS) : 16'(DIM);
  assign last_ch = 17'(ch) + 17'(ch_step) >= 17'(l.c.kchs);
  assign last_kcol = kcol + 16'd1 == l.c.kcols;
  assign last_krow = krow + 16'd1 == l.c.krows;
  assign last_o = 17'(o) + 17'(o_step) >= 17'(l.c.ochs);

  // Bytes between a block's rows in memory; input channels are rows unless trans_weight_0132.
  assign kernel_area = 64'(l.c.kernel_dim) * 64'(l.c.kernel_dim);
  always_comb begin
    if (l.f.depthwise) dram_stride = 64'd1;
    else if (l.f.weight_1203) dram_stride = kernel_area * 64'(l.c.out_channels);
    else if (l.f.weight_0132) dram_stride = 64'(l.c.in_channels);
    else dram_stride = 64'(l.c.weight_stride);
  end

  always_ff @(posedge clk) begin
    if (req_valid && req_ready) begin
      state <= CONFIG;
      l <= req_id ? slot1 : slot0;
      loop_id <= req_id;
      o <= '0;
      krow <= '0;
      kcol <= '0;
      ch <= '0;
    end else if (state == CONFIG && skip) begin
      state <= IDLE;
    end else if (load_first) begin
      s_config <= state == CONFIG;
      s_o <= o;
      s_ch <= ch;
      s_rows <= l.f.weight_0132 ? least(l.c.ochs - o, 16'(DIM)) : least(l.c.kchs - ch, 16'(DIM));
      s_cols <= l.f.weight_0132 ? least(l.c.kchs - ch, 16'(MAX_COLS)) : least(l.c.ochs - o, 16'(MAX_COLS));
      s_tap <= 64'(krow) * 64'(l.c.kernel_dim) + 64'(kcol);
      s_place <= 32'(krow) * 32'(l.c.kcols) + 32'(kcol);
      s_base <= l.b_row + (l.f.weight_0132 ? blocks_before(ch) : blocks_before(o)) * l.b_block;
      if (state == CONFIG) begin
        state <= MOVE;
      end else begin
        ch <= last_ch ? '0 : ch + ch_step;
        if (last_ch) kcol <= last_kcol ? '0 : kcol + 16'd1;
        if (last_ch && last_kcol) krow <= last_krow ? '0 : krow + 16'd1;
        if (last_ch && last_kcol && last_krow) o <= o + o_step;
        if (last_ch && last_kcol && last_krow && last_o) state <= IDLE;
      end
    end
    if (load_second) begin
      out_cmd.from_ws   <= 1'b0;
      out_cmd.from_conv <= 1'b1;
      out_cmd.funct <= s_config ? FUNCT_CONFIG : FUNCT_MVIN2;
      if (s_config) begin
        out_cmd.rs1 <= load_config(2'd1, 8'd1, l.b_block[15:0]);
        out_cmd.rs2 <= dram_stride << CONFIG_LD_DRAM_STRIDE_LSB;
      end else begin
        if (l.f.depthwise) out_cmd.rs1 <= l.c.weights_at + s_tap;
        else if (l.f.weight_1203)
          out_cmd.rs1 <= l.c.weights_at + (64'(s_ch) * kernel_area + s_tap) * 64'(l.c.out_channels) + 64'(s_o);
        else if (l.f.weight_0132)
          out_cmd.rs1 <= l.c.weights_at + (s_tap * 64'(l.c.out_channels) + 64'(s_o)) * 64'(l.c.in_channels) + 64'(s_ch);
        else out_cmd.rs1 <= l.c.weights_at + (s_tap * 64'(l.c.in_channels) + 64'(s_ch)) * 64'(l.c.weight_stride) + 64'(s_o);
        out_cmd.rs2 <= operand(
            s_base + (l.f.weight_0132 ? s_place * 32'(l.c.ochs) + 32'(s_o) : s_place * 32'(l.c.kchs) + 32'(s_ch)), s_rows, s_cols
        );
      end
    end
    if (rst) begin
      state <= IDLE;
      loop_id <= 1'b0;
    end
  end
endmodule
