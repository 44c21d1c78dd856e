// The input of a loop_conv_ws tile: config_ld 0, then mvin of up to DIM pixels (rows) by MAX_COLS channels; padding is written as zeros.
//
// Order: batch, input row, run of columns, channel in steps of MAX_COLS. A run never crosses a border of the padding. With downsample every
// second row and column is loaded. With trans_input_3120 batches fill the columns, and steps of batches and channels change places. With a
// null pointer there are no commands. Timing: as loop_conv_load_bias (GEMMINI_UARCH section 7.3).

module loop_conv_load_input
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
  logic [15:0] b, ch;
  logic signed [16:0] row, col, run, left, most;
  logic load_first, load_second, stages_valid, stages_busy;
  logic skip, last_ch, last_col, last_row, last_b;
  logic [15:0] b_step, ch_step, pixel_pitch;
  logic signed [16:0] row_step;
  logic [15:0] row_kept, col_kept;

  // first stage
  logic s_config, s_inside;
  logic [15:0] s_offset, s_col_from, s_rows, s_cols;
  logic [31:0] s_line, s_base, s_row, s_col;

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

  assign skip = l.c.input_at == '0;
  assign idle = state == IDLE && !stages_busy;
  assign req_ready = idle;
  assign out_valid = stages_valid && !out_limit;

  // The run of columns from `col` on: to the next border, at most DIM that are kept.
  always_comb begin
    most = 17'(DIM);
    if (col < 0) left = -col;
    else if (col >= l.icols_unpadded) left = l.icol_end - col;
    else begin
      left = l.icols_unpadded - col;
      most = 17'(DIM) <<< l.f.downsample;
    end
    run = left < most ? left : most;
  end

  assign b_step = l.f.input_3120 ? 16'(MAX_COLS) : 16'd1;
  assign ch_step = l.f.input_3120 ? 16'd1 : 16'(MAX_COLS);
  assign row_step = l.f.downsample ? 17'sd2 : 17'sd1;
  assign row_kept = 16'(row - l.irow_first) >> l.f.downsample;
  assign col_kept = 16'(col - l.icol_first) >> l.f.downsample;
  assign pixel_pitch = l.f.input_3120 ? l.c.batch_size : l.c.in_stride;
  assign last_ch = 17'(ch) + 17'(ch_step) >= 17'(l.c.kchs);
  assign last_col = col + run >= l.icol_end;
  assign last_row = row + row_step >= l.irow_end;
  assign last_b = 17'(b) + 17'(b_step) >= 17'(l.c.batches);

  always_ff @(posedge clk) begin
    if (req_valid && req_ready) begin
      state <= CONFIG;
      l <= req_id ? slot1 : slot0;
      loop_id <= req_id;
      b <= '0;
      ch <= '0;
      row <= req_id ? slot1.irow_first : slot0.irow_first;
      col <= req_id ? slot1.icol_first : slot0.icol_first;
    end else if (state == CONFIG && skip) begin
      state <= IDLE;
    end else if (load_first) begin
      s_config <= state == CONFIG;
      s_inside <= row >= 0 && row < l.irows_unpadded && col >= 0 && col < l.icols_unpadded;
      s_offset <= l.f.input_3120 ? b : ch;
      s_col_from <= col[15:0];
      s_rows <= 16'(run >>> l.f.downsample);
      s_cols <= l.f.input_3120 ? least(l.c.batches - b, 16'(MAX_COLS)) : least(l.c.kchs - ch, 16'(MAX_COLS));
      s_line <= to_32_bits(l.f.input_3120 ? ch : b) * 32'(l.c.in_row_dim) + 32'(row[15:0]);
      s_base <= l.a_row + (l.f.input_3120 ? blocks_before(b) * l.a_block + 32'(ch) * l.image
                                          : blocks_before(ch) * l.a_block + 32'(b) * l.image);
      s_row <= to_32_bits(row_kept);
      s_col <= to_32_bits(col_kept);
      if (state == CONFIG) begin
        state <= MOVE;
      end else begin
        ch <= last_ch ? '0 : ch + ch_step;
        if (last_ch) col <= last_col ? l.icol_first : col + run;
        if (last_ch && last_col) row <= last_row ? l.irow_first : row + row_step;
        if (last_ch && last_col && last_row) b <= b + b_step;
        if (last_ch && last_col && last_row && last_b) state <= IDLE;
      end
    end
    if (load_second) begin
      out_cmd.from_ws   <= 1'b0;
      out_cmd.from_conv <= 1'b1;
      out_cmd.funct <= s_config ? FUNCT_CONFIG : FUNCT_MVIN;
      if (s_config) begin
        out_cmd.rs1 <= load_config(2'd0, l.f.pixels, l.a_block[15:0]);
        out_cmd.rs2 <= 64'(pixel_pitch) << l.f.downsample << CONFIG_LD_DRAM_STRIDE_LSB;
      end else begin
        out_cmd.rs1 <= !s_inside ? '0 : l.c.input_at +
            (64'(s_line) * 64'(l.c.in_col_dim) + 64'(s_col_from)) * 64'(pixel_pitch) + 64'(s_offset);
        out_cmd.rs2 <= operand(s_base + s_row * 32'(l.icols_ds) + s_col, s_rows, s_cols);
      end
    end
    if (rst) begin
      state <= IDLE;
      loop_id <= 1'b0;
    end
  end
endmodule
