// loop_conv_ws: seven commands describe one tile of a convolution; this module sends the primitive commands that they stand for.
//
// Commands that are none of the seven pass while no loop is configured, and wait otherwise. There are two slots: a loop is configured and
// started into the head's if that is free, else into the other's; with both taken the next loop command waits. Five FSMs send commands,
// each for one loop at a time: bias, weights and input as soon as a loop is started, products once every load of their loop has been sent,
// stores once every product has been. While the products wait for loads, loads of the other loop are held. A slot is free again when all
// five have sent its last command, and head and tail change places.
//
// Slot 0 owns the lower half of the scratchpad and slot 1 the upper one, unless the run command names a half; bias, products and stores each
// alternate between the accumulator's halves, after a loop that stores.
//
// Throttle: loads, products and stores sent but not completed stay below the reservation station's entries. One command leaves a cycle:
// stores before products before bias before weights before input.
//
// Timing: from the run command at the head of the input queue to the first unrolled command at the output 4 cycles, from the accelerator's
// command port to the reservation station 8 (GEMMINI_UARCH sections 1.2 and 7.3).

module loop_conv_unroller
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import loop_conv_pkg::*;
(
    input  logic       clk,
    input  logic       rst,
    input  logic       in_valid,
    output logic       in_ready,
    input  cmd_t       in_cmd,
    output logic       out_valid,
    input  logic       out_ready,
    output cmd_t       out_cmd,
    // completions of commands with from_conv, in this cycle
    input  logic [1:0] conv_done_ld,
    input  logic [1:0] conv_done_ex,
    input  logic [1:0] conv_done_st,
    output logic       stall_slot,  // a command of a loop waits for a slot
    output logic       busy
);
  localparam logic [31:0] HALF_SPAD = 32'(SPAD_ROWS / 2);
  localparam logic [31:0] HALF_ACC = 32'(ACC_ROWS / 2);
  localparam int LD_BITS = $clog2(LOOP_LD_LIMIT + 2);
  localparam int EX_BITS = $clog2(LOOP_EX_LIMIT + 2);
  localparam int ST_BITS = $clog2(LOOP_ST_LIMIT + 2);

  // ---- the command at the head of the queue ----

  cmd_t cmd;
  logic cmd_valid, cmd_ready;
  queue #(
      .WIDTH($bits(in_cmd)),
      .ENTRIES(CMD_QUEUE)
  ) commands (
      .clk,
      .rst,
      .in_valid,
      .in_ready,
      .in_data(in_cmd),
      .out_valid(cmd_valid),
      .out_ready(cmd_ready),
      .out_data(cmd),
      /* verilator lint_off PINCONNECTEMPTY */  // nobody asks how full it is
      .count()
      /* verilator lint_on PINCONNECTEMPTY */
  );

  logic is_run, is_config, starts;
  logic head, fill;  // slots: the older loop's, and the one that configuration goes to
  logic [1:0] configured;
  assign is_run = cmd.funct == FUNCT_LOOP_CONV_WS;
  assign is_config = cmd.funct >= FUNCT_LOOP_CONV_WS_CONFIG_1 && cmd.funct <= FUNCT_LOOP_CONV_WS_CONFIG_6;
  assign fill = head ^ configured[head];
  assign cmd_ready = is_run || is_config ? !configured[fill] : configured == '0 && out_ready;
  assign starts = cmd_valid && is_run && !configured[fill];

  // ---- configuration; it stays between loops ----

  conv_config_t c;
  always_ff @(posedge clk) begin
    if (cmd_valid && cmd_ready) begin
      case (cmd.funct)
        FUNCT_LOOP_CONV_WS_CONFIG_1: begin
          c.batch_size <= cmd.rs1[LOOP_CONV_WS_CONFIG_1_BATCH_SIZE_LSB+:16];
          c.in_row_dim <= cmd.rs1[LOOP_CONV_WS_CONFIG_1_IN_ROW_DIM_LSB+:16];
          c.in_channels <= cmd.rs1[LOOP_CONV_WS_CONFIG_1_IN_CHANNELS_LSB+:16];
          c.out_channels <= cmd.rs1[LOOP_CONV_WS_CONFIG_1_OUT_CHANNELS_LSB+:16];
          c.out_row_dim <= cmd.rs2[LOOP_CONV_WS_CONFIG_1_OUT_ROW_DIM_LSB+:16];
          c.pool_out_row_dim <= cmd.rs2[LOOP_CONV_WS_CONFIG_1_POOL_OUT_ROW_DIM_LSB+:16];
          c.out_col_dim <= cmd.rs2[LOOP_CONV_WS_CONFIG_1_OUT_COL_DIM_LSB+:16];
          c.stride <= cmd.rs2[LOOP_CONV_WS_CONFIG_1_STRIDE_LSB+:8];
        end
        FUNCT_LOOP_CONV_WS_CONFIG_2: begin
          c.pool_stride <= cmd.rs1[LOOP_CONV_WS_CONFIG_2_POOL_STRIDE_LSB+:2];
          c.pool_size <= cmd.rs1[LOOP_CONV_WS_CONFIG_2_POOL_SIZE_LSB+:2];
          c.pool_out_col_dim <= cmd.rs1[LOOP_CONV_WS_CONFIG_2_POOL_OUT_COL_DIM_LSB+:16];
          c.kernel_dim <= cmd.rs1[LOOP_CONV_WS_CONFIG_2_KERNEL_DIM_LSB+:16];
          c.ochs <= cmd.rs2[LOOP_CONV_WS_CONFIG_2_POCHS_LSB+:16];
          c.pocols <= cmd.rs2[LOOP_CONV_WS_CONFIG_2_POCOLS_LSB+:8];
          c.porows <= cmd.rs2[LOOP_CONV_WS_CONFIG_2_POROWS_LSB+:8];
          c.batches <= cmd.rs2[LOOP_CONV_WS_CONFIG_2_BATCHES_LSB+:16];
        end
        FUNCT_LOOP_CONV_WS_CONFIG_3: begin
          c.lpad <= cmd.rs1[LOOP_CONV_WS_CONFIG_3_LPAD_LSB+:16];
          c.kchs <= cmd.rs1[LOOP_CONV_WS_CONFIG_3_KCHS_LSB+:16];
          c.kcols <= cmd.rs1[LOOP_CONV_WS_CONFIG_3_KCOLS_LSB+:16];
          c.krows <= cmd.rs1[LOOP_CONV_WS_CONFIG_3_KROWS_LSB+:16];
          c.in_col_dim <= cmd.rs2[LOOP_CONV_WS_CONFIG_3_IN_COL_DIM_LSB+:16];
          c.pool_left_pad <= cmd.rs2[LOOP_CONV_WS_CONFIG_3_PLPAD_LSB+:2];
          c.dpad <= 16'(cmd.rs2[LOOP_CONV_WS_CONFIG_3_DPAD_LSB+:8]);
          c.upad <= cmd.rs2[LOOP_CONV_WS_CONFIG_3_UPAD_LSB+:16];
          c.rpad <= cmd.rs2[LOOP_CONV_WS_CONFIG_3_RPAD_LSB+:16];
        end
        FUNCT_LOOP_CONV_WS_CONFIG_4: begin
          c.dilation <= cmd.rs1[LOOP_CONV_WS_CONFIG_4_KERNEL_DILATION_LSB+:10];
          c.pool_upper_pad <= cmd.rs1[LOOP_CONV_WS_CONFIG_4_PUPAD_LSB+:2];
          c.orows <= cmd.rs1[LOOP_CONV_WS_CONFIG_4_OROWS_LSB+:16];
          c.ocols <= cmd.rs2[LOOP_CONV_WS_CONFIG_4_OCOLS_LSB+:16];
          c.out_stride <= cmd.rs2[LOOP_CONV_WS_CONFIG_4_OUT_STRIDE_LSB+:16];
          c.weight_stride <= cmd.rs2[LOOP_CONV_WS_CONFIG_4_WEIGHT_STRIDE_LSB+:16];
          c.in_stride <= cmd.rs2[LOOP_CONV_WS_CONFIG_4_IN_STRIDE_LSB+:16];
        end
        FUNCT_LOOP_CONV_WS_CONFIG_5: begin
          c.weights_at <= cmd.rs1;
          c.output_at <= cmd.rs2;
        end
        FUNCT_LOOP_CONV_WS_CONFIG_6: begin
          c.bias_at <= cmd.rs1;
          c.input_at <= cmd.rs2;
        end
        default: ;
      endcase
    end
  end

  // ---- a started loop, with the sizes that follow ----

  conv_flags_t f;
  conv_loop_t fresh, slot0, slot1;
  logic [31:0] image, plane, b_block, b_rows, b_half_end;
  logic signed [16:0] taps_down, taps_across, rows_unpadded, cols_unpadded, pad_up, pad_down, pad_left, pad_right;
  logic [15:0] rows_kept, cols_kept;

  always_comb begin
    f.no_bias = cmd.rs1[LOOP_CONV_WS_NO_BIAS_LSB];
    f.rotate = cmd.rs1[LOOP_CONV_WS_WROT180_LSB];
    f.output_1203 = cmd.rs1[LOOP_CONV_WS_TRANS_OUTPUT_1203_LSB];
    f.weight_1203 = cmd.rs1[LOOP_CONV_WS_TRANS_WEIGHT_1203_LSB];
    f.weight_0132 = cmd.rs1[LOOP_CONV_WS_TRANS_WEIGHT_0132_LSB];
    f.input_3120 = cmd.rs1[LOOP_CONV_WS_TRANS_INPUT_3120_LSB];
    f.depthwise = cmd.rs1[LOOP_CONV_WS_DEPTHWISE_LSB];
    f.pixels = cmd.rs1[LOOP_CONV_WS_MAX_PIXELS_PER_ROW_LSB+:8];
    if (f.pixels == '0) f.pixels = 8'd1;
    f.a_id = cmd.rs1[LOOP_CONV_WS_A_SPAD_ID_LSB+:2];
    f.b_id = cmd.rs1[LOOP_CONV_WS_B_SPAD_ID_LSB+:2];
    f.no_pool = cmd.rs2[LOOP_CONV_WS_NO_POOL_LSB];
    f.downsample = cmd.rs2[LOOP_CONV_WS_DOWNSAMPLE_LSB];
    f.dilated = cmd.rs2[LOOP_CONV_WS_INPUT_DILATED_LSB];
    f.activation = cmd.rs2[LOOP_CONV_WS_ACTIVATION_LSB+:2];
  end

  // Rows of the input under `outputs` rows of the output, with its padding, less that padding; every second one of a dilated input.
  assign taps_down = 17'(c.krows) + (17'(c.dilation) - 17'd1) * (17'(c.krows) - 17'd1);
  assign taps_across = 17'(c.kcols) + (17'(c.dilation) - 17'd1) * (17'(c.kcols) - 17'd1);
  assign rows_unpadded = (17'(c.orows) * 17'(c.stride) + taps_down - 17'd1 - 17'(c.upad) - 17'(c.dpad) + 17'(f.dilated)) >>> f.dilated;
  assign cols_unpadded = (17'(c.ocols) * 17'(c.stride) + taps_across - 17'd1 - 17'(c.lpad) - 17'(c.rpad) + 17'(f.dilated)) >>> f.dilated;
  assign pad_up = (17'(c.upad) + 17'(f.dilated)) >> f.dilated;
  assign pad_down = (17'(c.dpad) + 17'(f.dilated)) >> f.dilated;
  assign pad_left = (17'(c.lpad) + 17'(f.dilated)) >> f.dilated;
  assign pad_right = (17'(c.rpad) + 17'(f.dilated)) >> f.dilated;
  assign rows_kept = 16'((rows_unpadded + pad_up + pad_down) >> f.downsample);
  assign cols_kept = 16'((cols_unpadded + pad_left + pad_right) >> f.downsample);

  assign b_half_end = f.b_id == 2'd0 ? (fill ? 32'(SPAD_ROWS) : HALF_SPAD) : f.b_id == 2'd1 ? HALF_SPAD : 32'(SPAD_ROWS);
  assign b_block = 32'(c.krows) * 32'(c.kcols) * to_32_bits(f.weight_0132 ? c.ochs : c.kchs);
  assign b_rows = b_block * dim_blocks(f.weight_0132 ? c.kchs : c.ochs);
  assign image = 32'(rows_kept) * 32'(cols_kept);
  assign plane = 32'(c.orows) * 32'(c.ocols);
  always_comb begin
    fresh.c = c;
    fresh.f = f;
    fresh.irows_unpadded = rows_unpadded;
    fresh.icols_unpadded = cols_unpadded;
    fresh.irow_first = -pad_up;
    fresh.icol_first = -pad_left;
    fresh.irow_end = rows_unpadded + pad_down;
    fresh.icol_end = cols_unpadded + pad_right;
    fresh.icols_ds = cols_kept;
    fresh.image = image;
    fresh.plane = plane;
    fresh.a_block = image * to_32_bits(f.input_3120 ? c.kchs : c.batches);
    fresh.b_block = b_block;
    fresh.c_block = plane * 32'(c.batches);
    fresh.a_row = f.a_id == 2'd0 ? (fill ? HALF_SPAD : '0) : f.a_id == 2'd1 ? '0 : HALF_SPAD;
    fresh.b_row = b_half_end - b_rows;
  end

  // ---- which FSM is where with which slot ----

  localparam int BIAS = 0, WEIGHTS = 1, INPUT = 2, EX = 3, ST = 4;
  logic [4:0] started0, started1, sent0, sent1;  // of each slot, by FSM
  logic [4:0] idle, id, req_valid, req_ready, req_id, taken, limit, valid, ready;
  logic loads_held, release_head;

  // An FSM asks for the head's loop until it has begun that, then for the tail's; products after all loads have begun, stores after those.
  function automatic logic may_start(input logic is_configured, input logic [4:0] started, input logic [2:0] which);
    case (which)
      3'(EX): may_start = is_configured && !started[EX] && started[BIAS] && started[WEIGHTS] && started[INPUT];
      3'(ST): may_start = is_configured && !started[ST] && started[EX];
      default: may_start = is_configured && !started[which];
    endcase
  endfunction

  always_comb begin
    for (int i = 0; i < 5; i++) begin
      req_id[i] = head ^ (head ? started1[i] : started0[i]);
      req_valid[i] = may_start(configured[req_id[i]], req_id[i] ? started1 : started0, 3'(i));
    end
  end
  assign taken = req_valid & req_ready;

  assign loads_held = (id[EX] ? started1[EX] && !sent1[EX] && sent1[INPUT:BIAS] != '1
                              : started0[EX] && !sent0[EX] && sent0[INPUT:BIAS] != '1);
  assign release_head = head ? sent1 == '1 : sent0 == '1;

  always_ff @(posedge clk) begin
    for (int i = 0; i < 5; i++) begin
      if (taken[i] && !req_id[i]) started0[i] <= 1'b1;
      if (taken[i] && req_id[i]) started1[i] <= 1'b1;
      if (idle[i] && !id[i] && started0[i]) sent0[i] <= 1'b1;
      if (idle[i] && id[i] && started1[i]) sent1[i] <= 1'b1;
    end
    if (starts) begin
      configured[fill] <= 1'b1;
      if (fill) slot1 <= fresh;
      else slot0 <= fresh;
    end
    if (rst || (release_head && !head)) begin
      configured[0] <= 1'b0;
      started0 <= '0;
      sent0 <= '0;
    end
    if (rst || (release_head && head)) begin
      configured[1] <= 1'b0;
      started1 <= '0;
      sent1 <= '0;
    end
    head <= !rst && (head ^ release_head);
  end

  // ---- halves of the accumulator ----

  logic [31:0] bias_row, ex_row, st_row;
  logic [4:0] stores;  // the loop that each FSM takes has an output
  always_comb for (int i = 0; i < 5; i++) stores[i] = taken[i] && (req_id[i] ? slot1.c.output_at != '0 : slot0.c.output_at != '0);

  always_ff @(posedge clk) begin
    if (stores[BIAS]) bias_row <= bias_row ^ HALF_ACC;
    if (stores[EX]) ex_row <= ex_row ^ HALF_ACC;
    if (stores[ST]) st_row <= st_row ^ HALF_ACC;
    if (rst) begin
      bias_row <= '0;
      ex_row <= '0;
      st_row <= '0;
    end
  end

  // ---- throttle ----

  logic [LD_BITS-1:0] ld_out;
  logic [EX_BITS-1:0] ex_out;
  logic [ST_BITS-1:0] st_out;
  logic sent_ld, sent_ex, sent_st;
  assign sent_ld = |(valid[INPUT:BIAS] & ready[INPUT:BIAS]);
  assign sent_ex = valid[EX] && ready[EX];
  assign sent_st = valid[ST] && ready[ST];
  assign limit = {st_out >= ST_BITS'(LOOP_ST_LIMIT), ex_out >= EX_BITS'(LOOP_EX_LIMIT), {3{ld_out >= LD_BITS'(LOOP_LD_LIMIT)}}};

  always_ff @(posedge clk) begin
    ld_out <= ld_out + LD_BITS'(sent_ld) - LD_BITS'(conv_done_ld);
    ex_out <= ex_out + EX_BITS'(sent_ex) - EX_BITS'(conv_done_ex);
    st_out <= st_out + ST_BITS'(sent_st) - ST_BITS'(conv_done_st);
    if (rst) begin
      ld_out <= '0;
      ex_out <= '0;
      st_out <= '0;
    end
  end

  // ---- FSMs ----

  cmd_t bias_cmd, weights_cmd, input_cmd, ex_cmd, st_cmd;

  loop_conv_load_bias load_bias (
      .clk,
      .rst,
      .req_valid(req_valid[BIAS]),
      .req_ready(req_ready[BIAS]),
      .req_id(req_id[BIAS]),
      .slot0,
      .slot1,
      .req_row(bias_row),
      .hold(loads_held && id[BIAS] != id[EX]),
      .out_limit(limit[BIAS]),
      .out_valid(valid[BIAS]),
      .out_ready(ready[BIAS]),
      .out_cmd(bias_cmd),
      .idle(idle[BIAS]),
      .loop_id(id[BIAS])
  );

  loop_conv_load_weights load_weights (
      .clk,
      .rst,
      .req_valid(req_valid[WEIGHTS]),
      .req_ready(req_ready[WEIGHTS]),
      .req_id(req_id[WEIGHTS]),
      .slot0,
      .slot1,
      .hold(loads_held && id[WEIGHTS] != id[EX]),
      .out_limit(limit[WEIGHTS]),
      .out_valid(valid[WEIGHTS]),
      .out_ready(ready[WEIGHTS]),
      .out_cmd(weights_cmd),
      .idle(idle[WEIGHTS]),
      .loop_id(id[WEIGHTS])
  );

  loop_conv_load_input load_input (
      .clk,
      .rst,
      .req_valid(req_valid[INPUT]),
      .req_ready(req_ready[INPUT]),
      .req_id(req_id[INPUT]),
      .slot0,
      .slot1,
      .hold(loads_held && id[INPUT] != id[EX]),
      .out_limit(limit[INPUT]),
      .out_valid(valid[INPUT]),
      .out_ready(ready[INPUT]),
      .out_cmd(input_cmd),
      .idle(idle[INPUT]),
      .loop_id(id[INPUT])
  );

  loop_conv_execute execute (
      .clk,
      .rst,
      .req_valid(req_valid[EX]),
      .req_ready(req_ready[EX]),
      .req_id(req_id[EX]),
      .slot0,
      .slot1,
      .req_row(ex_row),
      .loads_sent((idle[BIAS] || id[BIAS] != id[EX]) && (idle[WEIGHTS] || id[WEIGHTS] != id[EX]) &&
                  (idle[INPUT] || id[INPUT] != id[EX])),
      .out_limit(limit[EX]),
      .out_valid(valid[EX]),
      .out_ready(ready[EX]),
      .out_cmd(ex_cmd),
      .idle(idle[EX]),
      .loop_id(id[EX])
  );

  loop_conv_store store (
      .clk,
      .rst,
      .req_valid(req_valid[ST]),
      .req_ready(req_ready[ST]),
      .req_id(req_id[ST]),
      .slot0,
      .slot1,
      .req_row(st_row),
      .products_sent(idle[EX] || id[EX] != id[ST]),
      .out_limit(limit[ST]),
      .out_valid(valid[ST]),
      .out_ready(ready[ST]),
      .out_cmd(st_cmd),
      .idle(idle[ST]),
      .loop_id(id[ST])
  );

  // ---- one command a cycle ----

  always_comb begin
    ready = '0;
    out_cmd = cmd;
    out_valid = valid != '0;
    if (configured == '0) out_valid = cmd_valid && !is_run && !is_config;
    else if (valid[ST]) begin
      out_cmd = st_cmd;
      ready[ST] = out_ready;
    end else if (valid[EX]) begin
      out_cmd = ex_cmd;
      ready[EX] = out_ready;
    end else if (valid[BIAS]) begin
      out_cmd = bias_cmd;
      ready[BIAS] = out_ready;
    end else if (valid[WEIGHTS]) begin
      out_cmd = weights_cmd;
      ready[WEIGHTS] = out_ready;
    end else begin
      out_cmd = input_cmd;
      ready[INPUT] = out_ready;
    end
  end

  assign stall_slot = cmd_valid && (is_run || is_config) && configured[fill];
  assign busy = cmd_valid || configured != '0;
endmodule
