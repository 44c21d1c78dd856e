// The products of a loop_conv_ws tile: a preload and a compute for each run of up to DIM output pixels, always accumulating.
//
// Order: output channel in steps of DIM, kernel row, kernel column in steps of the pixels that a row holds, input channel in steps of DIM,
// batch, output row, output column in steps of DIM. Weights are preloaded at the first run after they change, and kept for the others.
// With trans_input_3120 a config_ex for the strides comes first, batches go in steps of DIM and columns one by one. With a dilated input
// the positions that fall on the zeros between its pixels are passed over, one step a cycle.
//
// Timing: nothing is sent before all loads of this loop have been; then one command a cycle (GEMMINI_UARCH section 7.3).

module loop_conv_execute
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
    input  logic        loads_sent,  // all loads of this FSM's loop have been sent
    input  logic        out_limit,  // as many commands under way as there may be
    output logic        out_valid,
    input  logic        out_ready,
    output cmd_t        out_cmd,
    output logic        idle,
    output logic        loop_id
);
  typedef enum logic [1:0] {IDLE, CONFIG, PRELOAD, COMPUTE} state_t;

  state_t state;
  /* verilator lint_off UNUSEDSIGNAL */  // a loop is taken whole; synthesis drops what this FSM does not read
  conv_loop_t l;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [31:0] first_row;
  logic [15:0] o, krow, kcol, ch, b, row, col;
  logic fresh;  // the weights of this position are not in the array yet
  logic load_first, load_second, stages_valid, stages_busy;
  logic skip_row, skip_col, skip;
  logic last_col, last_row, last_b, last_ch, last_kcol, last_krow, last_o, last_run;
  logic [15:0] col_step, b_step;

  // first stage
  logic s_config, s_preload, s_fresh;
  logic [15:0] s_o, s_ch, s_inner, s_outer, s_count;
  logic [31:0] s_place, s_b_base, s_a_base, s_irow, s_icol, s_c_base, s_line, s_col;
  // second stage
  logic [31:0] weights_row, input_row, output_row;
  logic [15:0] image_rows;

  loop_conv_stages stages (
      .clk,
      .rst,
      .in_valid(state != IDLE && !skip && loads_sent),
      .load_first,
      .load_second,
      .out_valid(stages_valid),
      .out_ready(out_ready && !out_limit),
      .busy(stages_busy)
  );

  assign idle = state == IDLE && !stages_busy;
  assign req_ready = idle;
  assign out_valid = stages_valid && !out_limit;

  // Odd positions of a dilated input are zeros.
  assign skip_row = l.f.dilated && ((krow[0] & l.c.dilation[0]) ^ row[0] ^ l.c.upad[0]);
  assign skip_col = l.f.dilated && ((kcol[0] & l.c.dilation[0]) ^ col[0] ^ l.c.lpad[0]);
  assign skip = state == PRELOAD && (skip_row || skip_col);

  assign col_step = skip || l.f.input_3120 ? 16'd1 : 16'(DIM) << l.f.dilated;
  assign b_step = l.f.input_3120 ? 16'(DIM) : 16'd1;
  assign last_col = (skip && skip_row) || 17'(col) + 17'(col_step) >= 17'(l.c.ocols);
  assign last_row = row + 16'd1 == l.c.orows;
  assign last_b = 17'(b) + 17'(b_step) >= 17'(l.c.batches);
  assign last_ch = 17'(ch) + 17'(DIM) >= 17'(l.c.kchs);
  assign last_kcol = 17'(kcol) + 17'(l.f.pixels) >= 17'(l.c.kcols);
  assign last_krow = krow + 16'd1 == l.c.krows;
  assign last_o = 17'(o) + 17'(DIM) >= 17'(l.c.ochs);
  assign last_run = last_col && last_row && last_b;

  always_ff @(posedge clk) begin
    if (req_valid && req_ready) begin
      l <= req_id ? slot1 : slot0;
      state <= (req_id ? slot1.f.input_3120 : slot0.f.input_3120) ? CONFIG : PRELOAD;
      loop_id <= req_id;
      first_row <= req_row;
      fresh <= 1'b1;
      o <= '0;
      krow <= '0;
      kcol <= '0;
      ch <= '0;
      b <= '0;
      row <= '0;
      col <= '0;
    end else if (load_first || skip) begin
      if (state == CONFIG) state <= PRELOAD;
      else if (state == PRELOAD && !skip) state <= COMPUTE;
      else begin
        state <= last_run && last_ch && last_kcol && last_krow && last_o ? IDLE : PRELOAD;
        fresh <= last_run || (fresh && skip);
        col <= last_col ? '0 : col + col_step;
        if (last_col) row <= last_row ? '0 : row + 16'd1;
        if (last_col && last_row) b <= last_b ? '0 : b + b_step;
        if (last_run) begin
          ch <= last_ch ? '0 : ch + 16'(DIM);
          if (last_ch) kcol <= last_kcol ? '0 : kcol + 16'(l.f.pixels);
          if (last_ch && last_kcol) krow <= last_krow ? '0 : krow + 16'd1;
          if (last_ch && last_kcol && last_krow) o <= o + 16'(DIM);
        end
      end
    end
    if (load_first) begin
      s_config <= state == CONFIG;
      s_preload <= state == PRELOAD;
      s_fresh <= fresh;
      s_o <= o;
      s_ch <= ch;
      s_inner <= 16'(least(l.c.kcols - kcol, 16'(l.f.pixels)) * least(l.c.kchs - ch, 16'(DIM)));
      s_outer <= least(l.c.ochs - o, 16'(DIM));
      s_count <= l.f.input_3120 ? least(l.c.batches - b, 16'(DIM))
                                : (least(l.c.ocols - col, 16'(DIM) << l.f.dilated) + 16'(l.f.dilated)) >> l.f.dilated;
      s_place <= to_32_bits(l.f.rotate ? l.c.krows - krow - 16'd1 : krow) * 32'(l.c.kcols) +
                 to_32_bits(l.f.rotate ? l.c.kcols - kcol - 16'd1 : kcol);
      s_b_base <= l.b_row + (l.f.weight_0132 ? blocks_before(ch) : blocks_before(o)) * l.b_block;
      s_a_base <= l.a_row + (l.f.input_3120 ? blocks_before(b) * l.a_block + 32'(ch) * l.image
                                            : blocks_before(ch) * l.a_block + 32'(b) * l.image);
      s_irow <= (32'(row) * 32'(l.c.stride) + 32'(krow) * 32'(l.c.dilation) + 32'(l.f.dilated)) >> l.f.dilated >> l.f.downsample;
      s_icol <= (32'(col) * 32'(l.c.stride) + 32'(kcol) * 32'(l.c.dilation) + 32'(l.f.dilated)) >> l.f.dilated >> l.f.downsample;
      s_c_base <= first_row + blocks_before(o) * l.c_block + 32'(b) * l.plane;
      s_line <= 32'(row) * 32'(l.c.ocols);
      s_col <= 32'(col);
    end
    if (rst) begin
      state <= IDLE;
      loop_id <= 1'b0;
    end
  end

  assign image_rows = 16'(l.irow_end - l.irow_first) * 16'(l.icol_end - l.icol_first);  // all of them, also with downsample
  assign weights_row = s_b_base + (l.f.weight_0132 ? s_place * 32'(l.c.ochs) + 32'(s_o) : s_place * 32'(l.c.kchs) + 32'(s_ch));
  assign input_row = s_a_base + s_irow * 32'(l.icols_ds) + s_icol;
  assign output_row = s_c_base + s_line + s_col;

  always_ff @(posedge clk) begin
    if (load_second) begin
      out_cmd.from_ws   <= 1'b0;
      out_cmd.from_conv <= 1'b1;
      if (s_config) begin
        out_cmd.funct <= FUNCT_CONFIG;
        out_cmd.rs1 <= 64'(CONFIG_EX) | 64'd1 << CONFIG_EX_SET_ONLY_STRIDES_LSB | 64'(image_rows) << CONFIG_EX_A_STRIDE_LSB;
        out_cmd.rs2 <= 64'(l.plane[15:0]) << CONFIG_EX_C_STRIDE_LSB;
      end else if (s_preload) begin
        out_cmd.funct <= FUNCT_PRELOAD;
        out_cmd.rs1 <= operand(s_fresh ? weights_row : GARBAGE, s_inner, s_outer);
        out_cmd.rs2 <= operand(TO_ACCUMULATE | output_row, s_count, s_outer);
      end else begin
        out_cmd.funct <= s_fresh ? FUNCT_COMPUTE_PRELOADED : FUNCT_COMPUTE_ACCUMULATED;
        out_cmd.rs1 <= operand(input_row, s_count, s_inner);
        out_cmd.rs2 <= operand(GARBAGE, s_count, s_outer);
      end
    end
  end
endmodule
