// LOOP_WS commands become primitive ones: loads of A, B and D, preload and compute pairs, stores of C. Other commands pass unchanged.
//
// Two loops are held at a time (slots). Configuration goes to the head slot if it is free, else to the other; the run command makes the
// slot live. Each of the five parts works for one loop and moves to the other slot when it is idle and that slot is live. A slot is
// free again when all its parts have made their last command; then head and tail swap. Commands outside loops wait until no loop is live.
//
// Timing (GEMMINI_UARCH sections 1.2 and 7): input queue of two; one command leaves a cycle, by fixed priority store, execute, D, A or B.
// Run command at the queue's head at t: slot live t+1, loads start t+2, execute t+3, store t+4; so the first load is in the reservation
// station 6 cycles after the run command entered the accelerator. At most LOOP_LD_LIMIT, LOOP_EX_LIMIT and LOOP_ST_LIMIT commands of a
// part are made and not completed, so the station never refuses one.
//
// Commands of a loop wait when made: execute until the loads of what it reads have been made (the generator compares B's j with A's k,
// and so does this), stores until the last product of their tiles has been made. The station then orders them by the rows they touch.
//
// Private memory: A starts at the bottom of the slot's half of the scratchpad and B ends at its top, or of the half that a spad id
// names. The accumulator half of D, execute and C flips with each loop that has a C. Residual additions use the slot's half instead.
// Normalising activations and stores to an external scratchpad (spad_only) are not built.

module loop_ws_unroller
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
(
    input  logic       clk,
    input  logic       rst,
    input  logic       in_valid,
    output logic       in_ready,
    input  cmd_t       in_cmd,
    output logic       out_valid,
    input  logic       out_ready,
    output cmd_t       out_cmd,
    input  logic [1:0] ws_done_ld,
    input  logic [1:0] ws_done_ex,
    input  logic [1:0] ws_done_st,
    output logic       busy,
    output logic       stall_slot  // a loop command waits for a free slot
);
  typedef struct packed {
    logic [15:0] i;
    logic [15:0] j;
    logic [15:0] k;
    logic [DIM_BITS-1:0] pad_i;
    logic [DIM_BITS-1:0] pad_j;
    logic [DIM_BITS-1:0] pad_k;
    logic [63:0] a;
    logic [63:0] b;
    logic [63:0] d;
    logic [63:0] c;
    logic [63:0] a_stride;
    logic [63:0] b_stride;
    logic [63:0] d_stride;
    logic [63:0] c_stride;
    logic accumulate;
    logic full_c;
    logic low_d;
    logic [1:0] a_id;
    logic [1:0] b_id;
    logic transpose_a;
    logic transpose_b;
    logic residual;
  } loop_t;
  localparam LOOP_BITS = 3 * 16 + 3 * DIM_BITS + 8 * 64 + 3 + 4 + 3;
  localparam SPAD_HALF = SPAD_ROWS / 2;
  localparam ACC_HALF = ACC_ROWS / 2;
  localparam LD_COUNT_BITS = $clog2(LOOP_LD_LIMIT + 1);
  localparam EX_COUNT_BITS = $clog2(LOOP_EX_LIMIT + 1);
  localparam ST_COUNT_BITS = $clog2(LOOP_ST_LIMIT + 1);

  logic [LOOP_BITS-1:0] loops[0:1];
  logic [31:0] a_rows[0:1];  // scratchpad row of A with spad id 0
  logic [31:0] b_ends[0:1];  // scratchpad row after B with spad id 0
  logic [1:0] configured, running;
  logic [1:0] a_started, b_started, d_started, ex_started, st_started;
  logic [1:0] a_made, b_made, d_made, ex_made, st_made;
  logic head;

  // ------------------------------------------------------------------ commands in
  logic cmd_valid, cmd_ready, is_run, is_config, is_loop, live, target;
  logic [CMD_BITS-1:0] cmd_bits;
  cmd_t cmd;
  /* verilator lint_off PINCONNECTEMPTY */
  queue #(
      .WIDTH(CMD_BITS),
      .ENTRIES(CMD_QUEUE)
  ) commands (
      .clk,
      .rst,
      .in_valid,
      .in_ready,
      .in_data(in_cmd),
      .out_valid(cmd_valid),
      .out_ready(cmd_ready),
      .out_data(cmd_bits),
      .count()
  );
  /* verilator lint_on PINCONNECTEMPTY */
  assign cmd = cmd_bits;
  assign is_run = cmd.funct == FUNCT_LOOP_WS;
  assign is_config = (cmd.funct >= FUNCT_LOOP_WS_CONFIG_BOUNDS && cmd.funct <= FUNCT_LOOP_WS_CONFIG_STRIDES_DC) ||
                     cmd.funct == FUNCT_LOOP_WS_CONFIG_SPAD_AB || cmd.funct == FUNCT_LOOP_WS_CONFIG_SPAD_C;
  assign is_loop = is_run || is_config;
  assign live = |configured;
  assign target = configured[head] ? !head : head;
  assign cmd_ready = is_loop ? !configured[target] : !live && out_ready;
  assign stall_slot = cmd_valid && is_loop && configured[target];
  assign busy = cmd_valid || live;

  loop_t written;
  always_comb begin
    written = loops[target];
    case (cmd.funct)
      FUNCT_LOOP_WS_CONFIG_BOUNDS: begin
        written.i = cmd.rs2[LOOP_WS_CONFIG_BOUNDS_I_LSB+:16];
        written.j = cmd.rs2[LOOP_WS_CONFIG_BOUNDS_J_LSB+:16];
        written.k = cmd.rs2[LOOP_WS_CONFIG_BOUNDS_K_LSB+:16];
        written.pad_i = cmd.rs1[LOOP_WS_CONFIG_BOUNDS_PAD_I_LSB+:DIM_BITS];
        written.pad_j = cmd.rs1[LOOP_WS_CONFIG_BOUNDS_PAD_J_LSB+:DIM_BITS];
        written.pad_k = cmd.rs1[LOOP_WS_CONFIG_BOUNDS_PAD_K_LSB+:DIM_BITS];
      end
      FUNCT_LOOP_WS_CONFIG_ADDRS_AB: begin
        written.a = cmd.rs1;
        written.b = cmd.rs2;
      end
      FUNCT_LOOP_WS_CONFIG_ADDRS_DC: begin
        written.d = cmd.rs1;
        written.c = cmd.rs2;
      end
      FUNCT_LOOP_WS_CONFIG_STRIDES_AB: begin
        written.a_stride = cmd.rs1;
        written.b_stride = cmd.rs2;
      end
      FUNCT_LOOP_WS_CONFIG_STRIDES_DC: begin
        written.d_stride = cmd.rs1;
        written.c_stride = cmd.rs2;
      end
      FUNCT_LOOP_WS: begin
        written.accumulate = cmd.rs1[LOOP_WS_EX_ACCUMULATE_LSB];
        written.full_c = cmd.rs1[LOOP_WS_FULL_C_LSB];
        written.low_d = cmd.rs1[LOOP_WS_LOW_D_LSB];
        written.a_id = cmd.rs1[LOOP_WS_A_SPAD_ID_LSB+:2];
        written.b_id = cmd.rs1[LOOP_WS_B_SPAD_ID_LSB+:2];
        written.transpose_a = cmd.rs2[LOOP_WS_TRANSPOSE_A_LSB];
        written.transpose_b = cmd.rs2[LOOP_WS_TRANSPOSE_B_LSB];
        written.residual = cmd.rs2[LOOP_WS_RESIDUAL_ADD_LSB];
      end
      default: ;
    endcase
  end

  // ------------------------------------------------------------------ the parts, each at its own loop
  logic a_next, b_next, d_next, ex_next, st_next;  // slots they ask for work
  /* verilator lint_off UNUSEDSIGNAL */  // a part looks at its own fields only
  loop_t a_loop, b_loop, d_loop, ex_loop, st_loop;
  /* verilator lint_on UNUSEDSIGNAL */
  assign a_next = a_started[head] ? !head : head;
  assign b_next = b_started[head] ? !head : head;
  assign d_next = d_started[head] ? !head : head;
  assign ex_next = ex_started[head] ? !head : head;
  assign st_next = st_started[head] ? !head : head;
  assign a_loop = loops[a_next];
  assign b_loop = loops[b_next];
  assign d_loop = loops[d_next];
  assign ex_loop = loops[ex_next];
  assign st_loop = loops[st_next];

  logic a_req, b_req, d_req, ex_req, st_req, a_free, b_free, d_free, ex_free, st_free;
  assign a_req = configured[a_next] && !a_started[a_next];
  assign b_req = configured[b_next] && !b_started[b_next];
  assign d_req = configured[d_next] && !d_started[d_next];
  assign ex_req = configured[ex_next] && !ex_started[ex_next] && a_started[ex_next] && b_started[ex_next] && d_started[ex_next];
  assign st_req = configured[st_next] && !st_started[st_next] && (ex_started[st_next] || st_loop.residual);

  // Rows of A and after B
  function automatic logic [31:0] row_of_a(input logic [1:0] id, input logic [31:0] by_slot);
    row_of_a = id == 2'd0 ? by_slot : id == 2'd1 ? 32'd0 : id == 2'd2 ? 32'(SPAD_HALF) : 32'(2 * SPAD_HALF);
  endfunction
  function automatic logic [31:0] row_after_b(input logic [1:0] id, input logic [31:0] by_slot);
    row_after_b = id == 2'd0 ? by_slot : row_of_a(id, 32'd0) + 32'(SPAD_HALF);
  endfunction
  function automatic logic [31:0] half_of_slot(input logic slot);
    half_of_slot = slot ? 32'(ACC_HALF) : 32'd0;
  endfunction

  logic [31:0] ex_b_row, b_row;
  assign b_row = row_after_b(b_loop.b_id, b_ends[b_next]) - (32'(b_loop.k * b_loop.j) << DIM_BITS);
  assign ex_b_row = row_after_b(ex_loop.b_id, b_ends[ex_next]) - (32'(ex_loop.k * ex_loop.j) << DIM_BITS);

  // Halves of the accumulator that D, execute and C are at.
  logic d_half, ex_half, st_half;

  localparam logic [31:0] ACC_FLAG = 32'd1 << ACCUMULATOR_BIT;
  localparam logic [31:0] ACCUMULATE_FLAG = 32'd1 << ACCUMULATE_BIT;

  logic a_hold, b_hold, d_hold, ex_hold, st_hold;
  logic a_valid, b_valid, d_valid, ex_valid, st_valid, a_ready, b_ready, d_ready, ex_ready, st_ready;
  logic a_idle, b_idle, d_idle, ex_idle, st_idle, a_slot, b_slot, d_slot, ex_slot, st_slot, a_residual, b_residual, st_residual;
  logic [63:0] a_rs1, a_rs2, b_rs1, b_rs2, d_rs1, d_rs2, ex_rs1, ex_rs2, st_rs1, st_rs2;
  logic [6:0] ex_funct;
  logic [15:0] a_outer, a_inner, b_outer, b_inner, st_outer, st_inner, st_blocks, ex_i, ex_j, ex_k;

  /* verilator lint_off PINCONNECTEMPTY */
  loop_ws_mover load_a (
      .clk,
      .rst,
      .req_valid(a_req),
      .req_ready(a_free),
      .req_slot(a_next),
      .req_residual(a_loop.residual),
      .req_outer_is_row(a_loop.transpose_a),
      .req_outer_tiles(a_loop.residual ? a_loop.j : a_loop.k),
      .req_inner_tiles(a_loop.i),
      .req_outer_pad(a_loop.residual ? a_loop.pad_j : a_loop.pad_k),
      .req_inner_pad(a_loop.pad_i),
      .req_dram(a_loop.a),
      .req_stride(a_loop.a_stride),
      .req_wide(1'b0),
      .req_max_blocks(16'(MAX_BLOCKS)),
      .req_local(a_loop.residual ? ACC_FLAG | half_of_slot(a_next) : row_of_a(a_loop.a_id, a_rows[a_next])),
      .hold(a_hold),
      .cmd_valid(a_valid),
      .cmd_ready(a_ready),
      .cmd_dram(a_rs1),
      .cmd_local(a_rs2),
      .outer(a_outer),
      .inner(a_inner),
      .blocks(),
      .slot(a_slot),
      .residual(a_residual),
      .idle(a_idle)
  );

  loop_ws_mover #(
      .ROWS_UNPADDED(1'b1)
  ) load_b (
      .clk,
      .rst,
      .req_valid(b_req),
      .req_ready(b_free),
      .req_slot(b_next),
      .req_residual(b_loop.residual),
      .req_outer_is_row(!b_loop.transpose_b),
      .req_outer_tiles(b_loop.residual ? b_loop.i : b_loop.k),
      .req_inner_tiles(b_loop.j),
      .req_outer_pad(b_loop.residual ? b_loop.pad_i : b_loop.pad_k),
      .req_inner_pad(b_loop.pad_j),
      .req_dram(b_loop.b),
      .req_stride(b_loop.b_stride),
      .req_wide(1'b0),
      .req_max_blocks(16'(MAX_BLOCKS)),
      .req_local(b_loop.residual ? ACC_FLAG | ACCUMULATE_FLAG | half_of_slot(b_next) : b_row),
      .hold(b_hold),
      .cmd_valid(b_valid),
      .cmd_ready(b_ready),
      .cmd_dram(b_rs1),
      .cmd_local(b_rs2),
      .outer(b_outer),
      .inner(b_inner),
      .blocks(),
      .slot(b_slot),
      .residual(b_residual),
      .idle(b_idle)
  );

  loop_ws_mover load_d (
      .clk,
      .rst,
      .req_valid(d_req),
      .req_ready(d_free),
      .req_slot(d_next),
      .req_residual(d_loop.residual),
      .req_outer_is_row(1'b0),
      .req_outer_tiles(d_loop.j),
      .req_inner_tiles(d_loop.i),
      .req_outer_pad(d_loop.pad_j),
      .req_inner_pad(d_loop.pad_i),
      .req_dram(d_loop.d),
      .req_stride(d_loop.d_stride),
      .req_wide(!d_loop.low_d),
      .req_max_blocks(d_loop.low_d ? 16'(MAX_BLOCKS) : 16'(MAX_ACC_BLOCKS)),
      .req_local(ACC_FLAG | half_of_slot(d_half)),
      .hold(d_hold),
      .cmd_valid(d_valid),
      .cmd_ready(d_ready),
      .cmd_dram(d_rs1),
      .cmd_local(d_rs2),
      .outer(),
      .inner(),
      .blocks(),
      .slot(d_slot),
      .residual(),
      .idle(d_idle)
  );

  loop_ws_execute execute (
      .clk,
      .rst,
      .req_valid(ex_req),
      .req_ready(ex_free),
      .req_slot(ex_next),
      .req_skip(ex_loop.residual),
      .req_i(ex_loop.i),
      .req_j(ex_loop.j),
      .req_k(ex_loop.k),
      .req_pad_i(ex_loop.pad_i),
      .req_pad_j(ex_loop.pad_j),
      .req_pad_k(ex_loop.pad_k),
      .req_transpose_a(ex_loop.transpose_a),
      .req_transpose_b(ex_loop.transpose_b),
      .req_accumulate(ex_loop.accumulate),
      .req_a(row_of_a(ex_loop.a_id, a_rows[ex_next])),
      .req_b(ex_b_row),
      .req_c(half_of_slot(ex_half)),
      .hold(ex_hold),
      .cmd_valid(ex_valid),
      .cmd_ready(ex_ready),
      .cmd_funct(ex_funct),
      .cmd_rs1(ex_rs1),
      .cmd_rs2(ex_rs2),
      .i(ex_i),
      .j(ex_j),
      .k(ex_k),
      .slot(ex_slot),
      .idle(ex_idle)
  );

  loop_ws_mover store_c (
      .clk,
      .rst,
      .req_valid(st_req),
      .req_ready(st_free),
      .req_slot(st_next),
      .req_residual(st_loop.residual),
      .req_outer_is_row(1'b0),
      .req_outer_tiles(st_loop.j),
      .req_inner_tiles(st_loop.i),
      .req_outer_pad(st_loop.pad_j),
      .req_inner_pad(st_loop.pad_i),
      .req_dram(st_loop.c),
      .req_stride(st_loop.c_stride),
      .req_wide(st_loop.full_c),
      .req_max_blocks(st_loop.full_c ? 16'd1 : 16'(MAX_BLOCKS)),
      .req_local(ACC_FLAG | (32'(st_loop.full_c) << FULL_WIDTH_BIT) | half_of_slot(st_loop.residual ? st_next : st_half)),
      .hold(st_hold),
      .cmd_valid(st_valid),
      .cmd_ready(st_ready),
      .cmd_dram(st_rs1),
      .cmd_local(st_rs2),
      .outer(st_outer),
      .inner(st_inner),
      .blocks(st_blocks),
      .slot(st_slot),
      .residual(st_residual),
      .idle(st_idle)
  );
  /* verilator lint_on PINCONNECTEMPTY */

  // ------------------------------------------------------------------ when commands may be made
  logic [LD_COUNT_BITS-1:0] ld_under_way;
  logic [EX_COUNT_BITS-1:0] ex_under_way;
  logic [ST_COUNT_BITS-1:0] st_under_way;
  logic ld_full, ex_full, st_full;
  assign ld_full = ld_under_way >= LD_COUNT_BITS'(LOOP_LD_LIMIT);
  assign ex_full = ex_under_way >= EX_COUNT_BITS'(LOOP_EX_LIMIT);
  assign st_full = st_under_way >= ST_COUNT_BITS'(LOOP_ST_LIMIT);
  assign a_hold = ld_full;
  assign b_hold = ld_full;
  assign d_hold = ld_full;

  logic a_done, b_done, d_done, a_ahead, b_ahead, ex_done, ex_ahead, loaded, added;
  logic [15:0] a_k, b_k, st_j_end;
  assign a_k = a_outer;
  assign b_k = b_outer;
  assign a_done = a_slot != ex_slot || a_idle;
  assign b_done = b_slot != ex_slot || b_idle;
  assign d_done = d_slot != ex_slot || d_idle;
  assign a_ahead = a_done || a_k > ex_k || (a_k == ex_k && a_inner > ex_i);
  assign b_ahead = b_done || b_k > ex_k || (a_k == ex_k && b_inner > ex_j);
  assign ex_hold = ex_full || !(a_ahead && b_ahead && d_done);

  assign st_j_end = st_outer + st_blocks;
  assign ex_done = ex_slot != st_slot || ex_idle;
  assign ex_ahead = ex_done || (ex_k + 16'd1 == st_k && (ex_j >= st_j_end || (ex_j + 16'd1 == st_j_end && ex_i > st_inner)));
  assign loaded = (a_slot != st_slot || a_idle) && (b_slot != st_slot || b_idle);
  assign added = loaded || b_outer > st_inner || (b_outer == st_inner && b_inner >= st_j_end);
  assign st_hold = st_full || !(st_residual ? added : ex_ahead);

  logic [15:0] st_k;  // K of the loop whose C is stored
  always_ff @(posedge clk) if (st_req && st_free) st_k <= st_loop.k;

  // ------------------------------------------------------------------ one command a cycle
  logic same_loop, residual_loads, force_a, force_b, pick_b, ab_valid, unrolled_valid, unrolled_ready;
  assign same_loop = a_slot == b_slot;
  assign residual_loads = a_idle ? b_residual : a_residual;
  assign force_a = residual_loads ? same_loop && !a_idle : !same_loop && a_slot == head;
  assign force_b = (!same_loop && b_slot == head) || (residual_loads && a_idle);
  assign pick_b = !force_a && (force_b || a_idle || (!b_idle && (a_k > b_k || (b_k == '0 && b_inner == '0))));
  assign ab_valid = pick_b ? b_valid : a_valid;

  assign unrolled_valid = st_valid || ex_valid || d_valid || ab_valid;
  assign unrolled_ready = out_ready && live;
  assign st_ready = unrolled_ready;
  assign ex_ready = unrolled_ready && !st_valid;
  assign d_ready = ex_ready && !ex_valid;
  assign a_ready = d_ready && !d_valid && !pick_b;
  assign b_ready = d_ready && !d_valid && pick_b;

  always_comb begin
    out_cmd = cmd;
    if (live) begin
      out_cmd.from_ws   = 1'b1;
      out_cmd.from_conv = 1'b0;
      if (st_valid) begin
        out_cmd.funct = FUNCT_MVOUT;
        out_cmd.rs1   = st_rs1;
        out_cmd.rs2   = st_rs2;
      end else if (ex_valid) begin
        out_cmd.funct = ex_funct;
        out_cmd.rs1   = ex_rs1;
        out_cmd.rs2   = ex_rs2;
      end else if (d_valid) begin
        out_cmd.funct = FUNCT_MVIN3;
        out_cmd.rs1   = d_rs1;
        out_cmd.rs2   = d_rs2;
      end else if (pick_b) begin
        out_cmd.funct = FUNCT_MVIN2;
        out_cmd.rs1   = b_rs1;
        out_cmd.rs2   = b_rs2;
      end else begin
        out_cmd.funct = FUNCT_MVIN;
        out_cmd.rs1   = a_rs1;
        out_cmd.rs2   = a_rs2;
      end
    end
  end
  assign out_valid = live ? unrolled_valid : cmd_valid && !is_loop;

  // ------------------------------------------------------------------ slots
  logic release_head;
  assign release_head = running[head] && a_made[head] && b_made[head] && d_made[head] && ex_made[head] && st_made[head];

  always_ff @(posedge clk) begin
    ld_under_way <= ld_under_way + LD_COUNT_BITS'((a_valid && a_ready) || (b_valid && b_ready) || (d_valid && d_ready)) -
        LD_COUNT_BITS'(ws_done_ld);
    ex_under_way <= ex_under_way + EX_COUNT_BITS'(ex_valid && ex_ready) - EX_COUNT_BITS'(ws_done_ex);
    st_under_way <= st_under_way + ST_COUNT_BITS'(st_valid && st_ready) - ST_COUNT_BITS'(ws_done_st);

    if (cmd_valid && is_loop && cmd_ready) begin
      loops[target] <= written;
      if (cmd.funct == FUNCT_LOOP_WS_CONFIG_SPAD_AB) begin
        a_rows[target] <= cmd.rs1[31:0];
        b_ends[target] <= cmd.rs2[31:0];
      end
      if (is_run) begin
        configured[target] <= 1'b1;
        a_started[target] <= cmd.rs2[LOOP_WS_SKIP_LD_A_LSB];
        b_started[target] <= cmd.rs2[LOOP_WS_SKIP_LD_B_LSB];
        d_started[target] <= cmd.rs2[LOOP_WS_SKIP_LD_D_LSB];
        ex_started[target] <= cmd.rs2[LOOP_WS_SKIP_EX_LSB];
        st_started[target] <= cmd.rs2[LOOP_WS_SKIP_ST_LSB];
        a_made[target] <= cmd.rs2[LOOP_WS_SKIP_LD_A_LSB];
        b_made[target] <= cmd.rs2[LOOP_WS_SKIP_LD_B_LSB];
        d_made[target] <= cmd.rs2[LOOP_WS_SKIP_LD_D_LSB];
        ex_made[target] <= cmd.rs2[LOOP_WS_SKIP_EX_LSB];
        st_made[target] <= cmd.rs2[LOOP_WS_SKIP_ST_LSB];
      end
    end

    if (a_req && a_free) begin
      running[a_next]   <= 1'b1;
      a_started[a_next] <= 1'b1;
    end
    if (b_req && b_free) begin
      running[b_next]   <= 1'b1;
      b_started[b_next] <= 1'b1;
    end
    if (d_req && d_free) begin
      running[d_next]   <= 1'b1;
      d_started[d_next] <= 1'b1;
      if (d_loop.c != '0) d_half <= !d_half;
    end
    if (ex_req && ex_free) begin
      running[ex_next] <= 1'b1;
      ex_started[ex_next] <= 1'b1;
      if (ex_loop.c != '0) ex_half <= !ex_half;
    end
    if (st_req && st_free) begin
      running[st_next] <= 1'b1;
      st_started[st_next] <= 1'b1;
      if (st_loop.c != '0) st_half <= !st_half;
    end

    if (a_idle && running[a_slot] && a_started[a_slot]) a_made[a_slot] <= 1'b1;
    if (b_idle && running[b_slot] && b_started[b_slot]) b_made[b_slot] <= 1'b1;
    if (d_idle && running[d_slot] && d_started[d_slot]) d_made[d_slot] <= 1'b1;
    if (ex_idle && running[ex_slot] && ex_started[ex_slot]) ex_made[ex_slot] <= 1'b1;
    if (st_idle && running[st_slot] && st_started[st_slot]) st_made[st_slot] <= 1'b1;

    if (release_head) begin
      head <= !head;
      configured[head] <= 1'b0;
      running[head] <= 1'b0;
      a_started[head] <= 1'b0;
      b_started[head] <= 1'b0;
      d_started[head] <= 1'b0;
      ex_started[head] <= 1'b0;
      st_started[head] <= 1'b0;
      a_made[head] <= 1'b0;
      b_made[head] <= 1'b0;
      d_made[head] <= 1'b0;
      ex_made[head] <= 1'b0;
      st_made[head] <= 1'b0;
    end

    if (rst) begin
      head <= 1'b0;
      configured <= '0;
      running <= '0;
      {a_started, b_started, d_started, ex_started, st_started} <= '0;
      {a_made, b_made, d_made, ex_made, st_made} <= '0;
      {d_half, ex_half, st_half} <= '0;
      ld_under_way <= '0;
      ex_under_way <= '0;
      st_under_way <= '0;
      a_rows[0] <= '0;
      a_rows[1] <= 32'(SPAD_HALF);
      b_ends[0] <= 32'(SPAD_HALF);
      b_ends[1] <= 32'(2 * SPAD_HALF);
    end
  end
endmodule
