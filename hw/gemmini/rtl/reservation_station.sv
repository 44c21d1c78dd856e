// The reservation station: three tables (load, execute, store) between the command queue and the controllers.
//
// A command enters the lowest free entry of its table (one a cycle, in program order, none free: everything behind waits). It notes
// which older commands it must wait for, by the private-memory rows that both touch, and is issued when none is left.
//
// Timing (GEMMINI_UARCH sections 1.2 and 2): allocated at t, first issued at t+1; one issue a table and cycle, the lowest-numbered ready
// entry; one completion a cycle for all tables (ex before ld before st), its dependants issue from the next cycle. Loads and execute
// commands are ordered among themselves by issue, stores by completion. config_ld, config_st and config_norm complete at issue.
//
// Rows are tracked by command, as [start, end) (section 2.1); the strides that this needs are copies of what config commands set, taken
// when those are allocated. A load with pixel repeats covers the rows below its start that the repeats reach, and its own.

module reservation_station
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
(
    input  logic                  clk,
    input  logic                  rst,
    input  logic                  alloc_valid,
    output logic                  alloc_ready,
    input  cmd_t                  alloc_cmd,
    output logic                  issue_ld_valid,
    input  logic                  issue_ld_ready,
    output cmd_t                  issue_ld_cmd,
    output rs_id_t                issue_ld_id,
    output logic                  issue_ex_valid,
    input  logic                  issue_ex_ready,
    output cmd_t                  issue_ex_cmd,
    output rs_id_t                issue_ex_id,
    output logic                  issue_st_valid,
    input  logic                  issue_st_ready,
    output cmd_t                  issue_st_cmd,
    output rs_id_t                issue_st_id,
    input  logic                  ld_done_valid,
    output logic                  ld_done_ready,
    input  rs_id_t                ld_done_id,
    input  logic                  ex_done_valid,
    output logic                  ex_done_ready,
    input  rs_id_t                ex_done_id,
    input  logic                  st_done_valid,
    output logic                  st_done_ready,
    input  rs_id_t                st_done_id,
    output logic [1:0]            ws_done_ld,
    output logic [1:0]            ws_done_ex,
    output logic [1:0]            ws_done_st,
    output logic [1:0]            conv_done_ld,
    output logic [1:0]            conv_done_ex,
    output logic [1:0]            conv_done_st,
    output rs_id_t                alloc_id,
    output logic                  done_valid,
    output rs_id_t                done_id,
    output logic                  busy,
    output logic                  ld_running,  // the controller has a command
    output logic                  ex_running,
    output logic                  st_running,
    output logic [31:0]           ld_count,
    output logic [31:0]           ex_count,
    output logic [31:0]           st_count,
    output logic [WAITS_BITS-1:0] stall_ld,
    output logic [WAITS_BITS-1:0] stall_ex,
    output logic [WAITS_BITS-1:0] stall_st
);
  // All tables in one numbering: loads, then execute commands, then stores.
  localparam N = LD_ENTRIES + EX_ENTRIES + ST_ENTRIES;
  localparam EX0 = LD_ENTRIES;
  localparam ST0 = LD_ENTRIES + EX_ENTRIES;
  localparam N_BITS = $clog2(N);
  localparam PLACE_BITS = RS_ID_BITS - 2;
  localparam END_BITS = LOCAL_ROW_BITS + 1;
  localparam LENGTH_BITS = TILE_BITS + 17;
  localparam logic [N-1:0] LD_MASK = (N'(1) << EX0) - N'(1);
  localparam logic [N-1:0] ST_MASK = ~((N'(1) << ST0) - N'(1));
  localparam logic [N-1:0] EX_MASK = ~(LD_MASK | ST_MASK);

  // Entries
  logic [N-1:0] valid, issued, is_config, from_ws, from_conv, a_is_dst, a_valid, a_acc, b_valid, b_acc;
  logic [N-1:0] deps[0:N-1];
  logic [LOCAL_ROW_BITS-1:0] a_start[0:N-1];
  logic [LOCAL_ROW_BITS-1:0] b_start[0:N-1];
  logic [END_BITS-1:0] a_end[0:N-1];
  logic [END_BITS-1:0] b_end[0:N-1];
  logic [CMD_BITS-1:0] cmds[0:N-1];

  // Shadow configuration
  logic [15:0] a_stride, c_stride;
  logic a_transpose, pooling, lone_preload;
  logic [15:0] block_stride[0:2];
  logic [7:0] repeats_below[0:2];  // pixel repeats less one

  // ------------------------------------------------------------------ the new command
  logic [6:0] funct;
  logic new_config, new_ld, new_ex, new_st, new_preload, new_compute, new_mvin, new_mvout, new_mvout_spad;
  logic [1:0] load_id;
  assign funct = alloc_cmd.funct;
  assign new_config = funct == FUNCT_CONFIG;
  assign new_preload = funct == FUNCT_PRELOAD;
  assign new_compute = funct == FUNCT_COMPUTE_PRELOADED || funct == FUNCT_COMPUTE_ACCUMULATED;
  assign new_mvin = funct == FUNCT_MVIN || funct == FUNCT_MVIN2 || funct == FUNCT_MVIN3;
  assign new_mvout = funct == FUNCT_MVOUT;
  assign new_mvout_spad = funct == FUNCT_MVOUT_SPAD;
  assign new_ld = new_mvin || (new_config && alloc_cmd.rs1[1:0] == CONFIG_LD);
  assign new_ex = new_preload || new_compute || (new_config && alloc_cmd.rs1[1:0] == CONFIG_EX);
  assign new_st = !new_ld && !new_ex;
  assign load_id = funct == FUNCT_MVIN2 ? 2'd1 : funct == FUNCT_MVIN3 ? 2'd2 : 2'd0;

  // Row numbers inside one memory: they wrap at its size.
  function automatic logic [LOCAL_ROW_BITS-1:0] row_of(input logic [31:0] address);
    row_of = local_row(address) & LOCAL_ROW_BITS'(local_is_acc(address) ? (1 << $clog2(ACC_ROWS)) - 1 : SPAD_ROWS - 1);
  endfunction

  // The end of so many rows; past the top of the memory it stays above every row (section 2.2: unbounded). No row counts as one.
  function automatic logic [END_BITS-1:0] end_of(input logic [LOCAL_ROW_BITS-1:0] start, input logic [LENGTH_BITS-1:0] length);
    logic [LENGTH_BITS:0] sum;
    sum = (LENGTH_BITS + 1)'(start) + (LENGTH_BITS + 1)'(length) + (LENGTH_BITS + 1)'(length == '0);
    end_of = (|sum[LENGTH_BITS:END_BITS]) ? '1 : sum[END_BITS-1:0];
  endfunction

  // A pooling mvout may read from its start to the end of that accumulator bank (section 2.1).
  function automatic logic [END_BITS-1:0] bank_end(input logic [LOCAL_ROW_BITS-1:0] start);
    bank_end = '1;
    for (int b = ACC_BANKS - 1; b > 0; b--) if (32'(start) < 32'(b * ACC_BANK_ROWS)) bank_end = END_BITS'(b * ACC_BANK_ROWS);
  endfunction

  logic new_a_valid, new_a_acc, new_a_is_dst, new_b_valid, new_b_acc;
  logic [LOCAL_ROW_BITS-1:0] new_a_start, new_b_start;
  logic [END_BITS-1:0] new_a_end, new_b_end;

  always_comb begin
    logic [31:0] a_address, b_address;
    logic [LENGTH_BITS-1:0] a_length, b_length;
    logic [MOVE_COLS_BITS-1:0] more_blocks;
    logic [LOCAL_ROW_BITS-1:0] floor_row, below;
    logic [LENGTH_BITS-1:0] rows1, rows2, cols1;
    rows1 = LENGTH_BITS'(operand_rows(alloc_cmd.rs1));
    cols1 = LENGTH_BITS'(operand_cols(alloc_cmd.rs1));
    rows2 = LENGTH_BITS'(operand_rows(alloc_cmd.rs2));
    more_blocks = blocks_of(move_cols(alloc_cmd.rs2)) - MOVE_COLS_BITS'(1);
    a_address = alloc_cmd.rs2[31:0];
    b_address = alloc_cmd.rs1[31:0];
    a_length = rows2;
    b_length = rows1;
    if (new_mvin) a_length = LENGTH_BITS'(more_blocks) * LENGTH_BITS'(block_stride[load_id]) + rows2;
    if (new_mvout) a_length = LENGTH_BITS'(more_blocks) * LENGTH_BITS'(DIM) + rows2;
    if (new_preload) a_length = rows2 * LENGTH_BITS'(c_stride);
    if (new_mvout_spad || new_compute) begin
      a_address = alloc_cmd.rs1[31:0];
      b_address = alloc_cmd.rs2[31:0];
      b_length  = rows2;
    end
    if (new_mvout_spad) b_length = LENGTH_BITS'(more_blocks) * LENGTH_BITS'(DIM) + rows2;
    if (new_compute) a_length = (a_transpose ? cols1 : rows1) * LENGTH_BITS'(a_stride);

    new_a_is_dst = new_preload || new_mvin || new_mvout_spad;
    new_a_valid = !new_config && !local_is_garbage(a_address);
    new_b_valid = (new_preload || new_compute || new_mvout_spad) && !local_is_garbage(b_address);
    new_a_acc = local_is_acc(a_address);
    new_b_acc = local_is_acc(b_address);
    new_a_start = row_of(a_address);
    new_b_start = row_of(b_address);
    new_a_end = new_mvout && pooling ? bank_end(new_a_start) : end_of(new_a_start, a_length);
    new_b_end = end_of(new_b_start, b_length);
    floor_row = new_a_start >= LOCAL_ROW_BITS'(SPAD_ROWS / 2) ? LOCAL_ROW_BITS'(SPAD_ROWS / 2) : '0;
    below = LOCAL_ROW_BITS'(repeats_below[load_id]);
    if (new_mvin && !new_a_acc) new_a_start = new_a_start - floor_row < below ? floor_row : new_a_start - below;
  end

  // The lowest free entry of its table
  logic [N-1:0] free, place;
  logic alloc_fire;
  assign free = ~valid & (new_ld ? LD_MASK : new_ex ? EX_MASK : ST_MASK);
  assign place = free & (~free + N'(1));
  assign alloc_ready = |free;
  assign alloc_fire = alloc_valid && alloc_ready;

  // ------------------------------------------------------------------ issue and completion
  logic [N-1:0] ready, issue_ld, issue_ex, issue_st, issue, done;
  logic [N_BITS-1:0] ld_place, ex_place, st_place, done_place;
  logic ld_fire, ex_fire, st_fire;

  always_comb begin
    for (int i = 0; i < N; i++) ready[i] = valid[i] && !issued[i] && deps[i] == '0;
  end

  always_comb begin
    ld_place = '0;
    ex_place = '0;
    st_place = '0;
    for (int i = LD_ENTRIES - 1; i >= 0; i--) if (ready[i]) ld_place = N_BITS'(i);
    for (int i = ST0 - 1; i >= EX0; i--) if (ready[i]) ex_place = N_BITS'(i);
    for (int i = N - 1; i >= ST0; i--) if (ready[i]) st_place = N_BITS'(i);
  end

  assign issue_ld_valid = |(ready & LD_MASK);
  assign issue_ex_valid = |(ready & EX_MASK);
  assign issue_st_valid = |(ready & ST_MASK);
  assign issue_ld_cmd = cmds[ld_place];
  assign issue_ex_cmd = cmds[ex_place];
  assign issue_st_cmd = cmds[st_place];
  assign issue_ld_id = {RS_LD, PLACE_BITS'(ld_place)};
  assign issue_ex_id = {RS_EX, PLACE_BITS'(ex_place - N_BITS'(EX0))};
  assign issue_st_id = {RS_ST, PLACE_BITS'(st_place - N_BITS'(ST0))};
  assign ld_fire = issue_ld_valid && issue_ld_ready;
  assign ex_fire = issue_ex_valid && issue_ex_ready;
  assign st_fire = issue_st_valid && issue_st_ready;
  assign issue_ld = N'(ld_fire) << ld_place;
  assign issue_ex = N'(ex_fire) << ex_place;
  assign issue_st = N'(st_fire) << st_place;
  assign issue = issue_ld | issue_ex | issue_st;

  assign ex_done_ready = 1'b1;
  assign ld_done_ready = !ex_done_valid;
  assign st_done_ready = !ex_done_valid && !ld_done_valid;
  assign done_valid = ex_done_valid || ld_done_valid || st_done_valid;
  assign done_id = ex_done_valid ? ex_done_id : ld_done_valid ? ld_done_id : st_done_id;
  assign done_place = N_BITS'(done_id[PLACE_BITS-1:0]) +
                      (done_id[RS_ID_BITS-1-:2] == RS_LD ? N_BITS'(0) : done_id[RS_ID_BITS-1-:2] == RS_EX ? N_BITS'(EX0) : N_BITS'(ST0));
  assign done = N'(done_valid) << done_place;

  // Entries that leave now, and the older commands that each table's entries need not wait for any longer.
  logic [N-1:0] leave, clear_ld, clear_ex;
  assign leave = done | (issue & is_config & ~EX_MASK);
  assign clear_ld = leave | issue_ld;
  assign clear_ex = leave | issue_ex;

  function automatic logic [1:0] leaving(input logic [N-1:0] table_mask, input logic [N-1:0] made_by, input logic [N-1:0] at_issue,
                                         input logic [N-1:0] at_end);
    leaving = 2'(|(at_issue & table_mask & made_by)) + 2'(|(at_end & table_mask & made_by));
  endfunction

  assign ws_done_ld   = leaving(LD_MASK, from_ws, issue & is_config, done);
  assign ws_done_ex   = leaving(EX_MASK, from_ws, '0, done);
  assign ws_done_st   = leaving(ST_MASK, from_ws, issue & is_config, done);
  assign conv_done_ld = leaving(LD_MASK, from_conv, issue & is_config, done);
  assign conv_done_ex = leaving(EX_MASK, from_conv, '0, done);
  assign conv_done_st = leaving(ST_MASK, from_conv, issue & is_config, done);

  // ------------------------------------------------------------------ what a new command waits for (section 2.3)
  function automatic logic [N-1:0] waits_for();
    logic hit_aa, hit_ab, hit_ba, hit;
    waits_for = '0;
    for (int i = 0; i < N; i++) begin
      hit_aa = a_valid[i] && new_a_valid && a_acc[i] == new_a_acc && {1'b0, a_start[i]} < new_a_end && {1'b0, new_a_start} < a_end[i];
      hit_ab = b_valid[i] && new_a_valid && b_acc[i] == new_a_acc && {1'b0, b_start[i]} < new_a_end && {1'b0, new_a_start} < b_end[i];
      hit_ba = a_valid[i] && new_b_valid && a_acc[i] == new_b_acc && {1'b0, a_start[i]} < new_b_end && {1'b0, new_b_start} < a_end[i];
      if (i < EX0) hit = new_ld ? !issued[i] : hit_aa || hit_ba;
      else if (i < ST0) begin
        if (new_ex) hit = !issued[i];
        else if (new_a_is_dst) hit = hit_aa || hit_ab || (new_st && a_is_dst[i] && hit_ba);
        else hit = a_is_dst[i] && hit_aa;
      end else begin
        if (new_st) hit = 1'b1;
        else if (new_ld) hit = hit_aa || hit_ab;
        else if (a_is_dst[i]) hit = hit_aa || hit_ba || (new_a_is_dst && hit_ab);
        else hit = new_a_is_dst && hit_aa;
      end
      waits_for[i] = valid[i] && hit;
    end
  endfunction

  logic [N-1:0] new_deps;
  logic [N_BITS-1:0] new_place;

  always_comb begin
    new_deps = '0;
    if (alloc_valid) new_deps = waits_for() & ~(new_ld ? clear_ld : new_ex ? clear_ex : leave);
  end

  always_comb begin
    new_place = '0;
    for (int i = 0; i < N; i++) if (place[i]) new_place = N_BITS'(i);
  end
  assign alloc_id = new_ld ? {RS_LD, PLACE_BITS'(new_place)} : new_ex ? {RS_EX, PLACE_BITS'(new_place - N_BITS'(EX0))}
                                                             : {RS_ST, PLACE_BITS'(new_place - N_BITS'(ST0))};

  for (genvar i = 0; i < N; i++) begin : entry
    always_ff @(posedge clk) begin
      if (alloc_fire && place[i]) deps[i] <= new_deps;
      else deps[i] <= deps[i] & ~(i < EX0 ? clear_ld : i < ST0 ? clear_ex : leave);
    end
  end

  always_ff @(posedge clk) begin
    valid  <= (valid & ~leave) | (alloc_fire ? place : '0);
    issued <= (issued | issue) & ~(alloc_fire ? place : '0);
    if (alloc_fire) begin
      is_config[new_place] <= new_config;
      from_ws[new_place] <= alloc_cmd.from_ws;
      from_conv[new_place] <= alloc_cmd.from_conv;
      a_is_dst[new_place] <= new_a_is_dst;
      a_valid[new_place] <= new_a_valid;
      a_acc[new_place] <= new_a_acc;
      a_start[new_place] <= new_a_start;
      a_end[new_place] <= new_a_end;
      b_valid[new_place] <= new_b_valid;
      b_acc[new_place] <= new_b_acc;
      b_start[new_place] <= new_b_start;
      b_end[new_place] <= new_b_end;
      cmds[new_place] <= alloc_cmd;
      if (new_preload) lone_preload <= 1'b1;
      if (new_compute) lone_preload <= 1'b0;
      if (new_config && new_ex) begin
        a_stride <= alloc_cmd.rs1[CONFIG_EX_A_STRIDE_LSB+:CONFIG_EX_A_STRIDE_WIDTH];
        c_stride <= alloc_cmd.rs2[CONFIG_EX_C_STRIDE_LSB+:CONFIG_EX_C_STRIDE_WIDTH];
        if (!alloc_cmd.rs1[CONFIG_EX_SET_ONLY_STRIDES_LSB]) a_transpose <= alloc_cmd.rs1[CONFIG_EX_TRANSPOSE_A_LSB];
      end
      if (new_config && new_ld) begin
        for (int i = 0; i < 3; i++) begin
          if (alloc_cmd.rs1[CONFIG_LD_LOAD_ID_LSB+:CONFIG_LD_LOAD_ID_WIDTH] == 2'(i)) begin
            block_stride[i] <= alloc_cmd.rs1[CONFIG_LD_BLOCK_STRIDE_LSB+:CONFIG_LD_BLOCK_STRIDE_WIDTH];
            repeats_below[i] <= alloc_cmd.rs1[CONFIG_LD_PIXEL_REPEATS_LSB+:8] == '0 ? '0
                                                                                   : alloc_cmd.rs1[CONFIG_LD_PIXEL_REPEATS_LSB+:8] - 8'd1;
          end
        end
      end
      if (new_config && alloc_cmd.rs1[1:0] == CONFIG_ST) pooling <= |alloc_cmd.rs1[CONFIG_ST_POOL_STRIDE_LSB+:CONFIG_ST_POOL_STRIDE_WIDTH];
    end
    if (rst) begin
      valid <= '0;
      lone_preload <= 1'b0;
      pooling <= 1'b0;
      a_transpose <= 1'b0;
      a_stride <= '0;
      c_stride <= '0;
      for (int i = 0; i < 3; i++) begin
        block_stride[i]  <= '0;
        repeats_below[i] <= '0;
      end
    end
  end

  // ------------------------------------------------------------------ busy, counts and stalls
  assign busy = valid != '0 && !(lone_preload && (valid & (valid - N'(1))) == '0);

  function automatic logic [31:0] count_of(input logic [N-1:0] entries);
    count_of = '0;
    for (int i = 0; i < N; i++) count_of = count_of + 32'(entries[i]);
  endfunction

  assign ld_running = |(valid & issued & LD_MASK);
  assign ex_running = |(valid & issued & EX_MASK);
  assign st_running = |(valid & issued & ST_MASK);
  assign ld_count = count_of(valid & LD_MASK);
  assign ex_count = count_of(valid & EX_MASK);
  assign st_count = count_of(valid & ST_MASK);

  // The oldest waiting entry of a table is the one that waits for no other waiting one of it.
  function automatic logic [N-1:0] oldest_deps(input logic [N-1:0] waiting);
    oldest_deps = '0;
    for (int i = 0; i < N; i++) if (waiting[i] && (deps[i] & waiting) == '0) oldest_deps = deps[i];
  endfunction

  function automatic logic [WAITS_BITS-1:0] stall_of(input logic [N-1:0] table_mask, input logic issue_valid, input logic fire);
    logic [N-1:0] waited;
    waited = oldest_deps(valid & ~issued & table_mask);
    stall_of = '0;
    stall_of[WAITS_CONTROLLER] = issue_valid && !fire;
    if (!issue_valid) begin
      stall_of[WAITS_LD] = |(waited & LD_MASK);
      stall_of[WAITS_EX] = |(waited & EX_MASK);
      stall_of[WAITS_ST] = |(waited & ST_MASK);
    end
  endfunction

  assign stall_ld = stall_of(LD_MASK, issue_ld_valid, ld_fire);
  assign stall_ex = stall_of(EX_MASK, issue_ex_valid, ex_fire);
  assign stall_st = stall_of(ST_MASK, issue_st_valid, st_fire);
endmodule
