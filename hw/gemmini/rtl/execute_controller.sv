// Execute controller: preload, compute and config_ex commands -> operand reads, rows for the array, result writes.
//
// Commands pass the preload unroller into a queue whose first EX_HEADS entries are visible. In the cycle in which an operation is
// chosen its first rows are already requested (GEMMINI_UARCH 6.1):
//   preload, when its compute is there                         rows of D alone
//   compute with the next preload and the compute after that   rows of A, B and the next D together (no gap between operations)
//   compute otherwise                                          rows of A and B alone
//   config_ex, when no result is under way                     applied in a cycle
//   config_ex before that, or nothing to do and output-stationary results under way   DIM empty rows flush the array
// An operation takes `rows` row-cycles (6.2). Operands in one bank alternate, and none is more than one row ahead of another.
//
// Timing: first request in the cycle s + 2 after issue in s; a row in the array's input registers two cycles after its request (the
// scratchpad's latency); results 1 + 2*DIM later, written at once. A compute completes in the cycle after its last row was requested,
// a preload with its last result row.
//
// ex_events: performance counter events 24 to 37 in bits 0 to 13 and event 44 in bit 14. ex_stall, why the head of the queue does not
// move: 0 config_ex waits for the array, 1 preload waits for its compute, 2 a result under way is an operand, 3 flush, 4 scratchpad
// refuses a read, 5 accumulator refuses a read, 6 operands share a bank, 7 the array cannot take more (tags, or operands not here yet).

module execute_controller
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import execute_pkg::*;
(
    input  logic                                clk,
    input  logic                                rst,
    // reservation station
    input  logic                                issue_ex_valid,
    output logic                                issue_ex_ready,
    /* verilator lint_off UNUSEDSIGNAL */  // who made the command matters to the station only
    input  cmd_t                                issue_ex_cmd,
    /* verilator lint_on UNUSEDSIGNAL */
    input  rs_id_t                              issue_ex_id,
    output logic                                ex_done_valid,
    input  logic                                ex_done_ready,
    output rs_id_t                              ex_done_id,
    // scratchpad, a bank each
    output logic [SPAD_BANKS-1:0]               ex_spad_read_valid,
    input  logic [SPAD_BANKS-1:0]               ex_spad_read_ready,
    output logic [SPAD_BANKS*SPAD_ROW_BITS-1:0] ex_spad_read_row,
    input  logic [SPAD_BANKS-1:0]               ex_spad_resp_valid,
    output logic [SPAD_BANKS-1:0]               ex_spad_resp_ready,
    input  logic [SPAD_BANKS*DIM*IN_BITS-1:0]   ex_spad_resp_data,
    output logic [SPAD_BANKS-1:0]               ex_spad_write_valid,
    output logic [SPAD_BANKS*SPAD_ROW_BITS-1:0] ex_spad_write_row,
    output logic [SPAD_BANKS*DIM*IN_BITS-1:0]   ex_spad_write_data,
    output logic [SPAD_BANKS*DIM-1:0]           ex_spad_write_mask,
    // accumulator, a bank each; operands come back scaled
    output logic [ACC_BANKS-1:0]                ex_acc_read_valid,
    input  logic [ACC_BANKS-1:0]                ex_acc_read_ready,
    output logic [ACC_BANKS*ACC_ROW_BITS-1:0]   ex_acc_read_row,
    output logic [31:0]                         ex_acc_scale,
    output logic [2:0]                          ex_acc_act,
    input  logic [ACC_BANKS-1:0]                ex_acc_resp_valid,
    output logic [ACC_BANKS-1:0]                ex_acc_resp_ready,
    input  logic [ACC_BANKS*DIM*IN_BITS-1:0]    ex_acc_resp_data,
    output logic [ACC_BANKS-1:0]                ex_acc_write_valid,
    output logic [ACC_BANKS*ACC_ROW_BITS-1:0]   ex_acc_write_row,
    output logic [ACC_BANKS*DIM*ACC_BITS-1:0]   ex_acc_write_data,
    output logic [ACC_BANKS*DIM-1:0]            ex_acc_write_mask,
    output logic [ACC_BANKS-1:0]                ex_acc_write_accumulate,
    // performance counters and stall report
    output logic [14:0]                         ex_events,
    output logic [7:0]                          ex_stall
);
  localparam LINE = DIM * IN_BITS;  // bits of a row of an operand

  typedef enum logic [1:0] {
    WAITING,
    COMPUTING,
    FLUSH,
    FLUSHING
  } state_t;
  typedef enum logic [1:0] {
    PRELOAD,
    BOTH,
    COMPUTE
  } operate_t;

  // Bank and row there of an address. Scratchpad banks have a power of two of rows, accumulator banks need not.
  localparam bit ACC_SLICES = (ACC_BANK_ROWS & (ACC_BANK_ROWS - 1)) == 0;

  function automatic logic [OPERAND_BANK_BITS-1:0] bank_of(input logic acc, input local_row_t row);
    bank_of = OPERAND_BANK_BITS'(row >> SPAD_ROW_BITS) & OPERAND_BANK_BITS'(SPAD_BANKS - 1);
    if (acc && ACC_SLICES) bank_of = OPERAND_BANK_BITS'(row >> ACC_ROW_BITS) & OPERAND_BANK_BITS'(ACC_BANKS - 1);
    else if (acc) begin
      bank_of = '0;
      for (int i = 1; i < ACC_BANKS; i++) if (row >= LOCAL_ROW_BITS'(i * ACC_BANK_ROWS)) bank_of = OPERAND_BANK_BITS'(i);
    end
  endfunction

  function automatic logic [ACC_ROW_BITS-1:0] acc_row(input local_row_t row);
    acc_row = row[ACC_ROW_BITS-1:0];
    if (!ACC_SLICES)
      for (int i = 1; i < ACC_BANKS; i++) if (row >= LOCAL_ROW_BITS'(i * ACC_BANK_ROWS)) acc_row = ACC_ROW_BITS'(row - LOCAL_ROW_BITS'(i * ACC_BANK_ROWS));
  endfunction

  // Two operands that cannot be read in the same cycle; the accumulator has one way to the array for all its banks.
  function automatic logic share_bank(input logic acc_x, input logic acc_y, input logic [OPERAND_BANK_BITS-1:0] bank_x,
                                      input logic [OPERAND_BANK_BITS-1:0] bank_y);
    share_bank = acc_x == acc_y && (acc_x || bank_x == bank_y);
  endfunction

  logic req_ready, req_valid, due_valid, go;  // of the array, and of the rows on their way to it, see below

  // ---- Commands ---------------------------------------------------------------------------------------------------------------

  logic unrolled_valid, unrolled_ready, unrolled_has_id;
  logic [6:0] unrolled_funct;
  logic [63:0] unrolled_rs1, unrolled_rs2;
  rs_id_t unrolled_id;

  preload_unroller preload_unroller (
      .clk,
      .rst,
      .in_valid(issue_ex_valid),
      .in_ready(issue_ex_ready),
      .in_funct(issue_ex_cmd.funct),
      .in_rs1(issue_ex_cmd.rs1),
      .in_rs2(issue_ex_cmd.rs2),
      .in_id(issue_ex_id),
      .out_valid(unrolled_valid),
      .out_ready(unrolled_ready),
      .out_funct(unrolled_funct),
      .out_rs1(unrolled_rs1),
      .out_rs2(unrolled_rs2),
      .out_has_id(unrolled_has_id),
      .out_id(unrolled_id),
      .active(ex_events[14])
  );

  localparam PTR_BITS = $clog2(EX_QUEUE);
  localparam LEN_BITS = $clog2(EX_QUEUE + 1);
  logic [6:0] functs[0:EX_QUEUE-1];
  logic [63:0] rs1s[0:EX_QUEUE-1];
  logic [63:0] rs2s[0:EX_QUEUE-1];
  logic has_ids[0:EX_QUEUE-1];
  rs_id_t ids[0:EX_QUEUE-1];
  logic [PTR_BITS-1:0] head, head1, head2, tail;
  logic [LEN_BITS-1:0] len;
  logic push;
  logic [1:0] pop;
  logic here0, here1, here2;

  function automatic logic [PTR_BITS-1:0] after(input logic [PTR_BITS-1:0] x);
    after = x == PTR_BITS'(EX_QUEUE - 1) ? '0 : x + 1'b1;
  endfunction

  assign head1 = after(head);
  assign head2 = after(head1);
  assign here0 = len != '0;
  assign here1 = len > LEN_BITS'(1);
  assign here2 = len > LEN_BITS'(2);
  assign unrolled_ready = len != LEN_BITS'(EX_QUEUE);
  assign push = unrolled_valid && unrolled_ready;

  always_ff @(posedge clk) begin
    if (push) begin
      functs[tail] <= unrolled_funct;
      rs1s[tail] <= unrolled_rs1;
      rs2s[tail] <= unrolled_rs2;
      has_ids[tail] <= unrolled_has_id;
      ids[tail] <= unrolled_id;
      tail <= after(tail);
    end
    if (pop != '0) head <= pop[1] ? head2 : head1;
    len <= len + LEN_BITS'(push) - LEN_BITS'(pop);
    if (rst) begin
      head <= '0;
      tail <= '0;
      len  <= '0;
    end
  end

  // ---- Configuration ----------------------------------------------------------------------------------------------------------

  logic os, a_transpose, bd_transpose, relu;
  logic [1:0] activation;
  logic [4:0] in_shift;
  logic [31:0] acc_scale;
  local_row_t a_stride, c_stride;
  logic configure, to_os, new_dataflow;

  assign to_os = !WEIGHT_STATIONARY_ONLY && !rs1s[head][CONFIG_EX_DATAFLOW_LSB];
  assign new_dataflow = !rs1s[head][CONFIG_EX_SET_ONLY_STRIDES_LSB] && to_os != os;

  assign relu = activation == 2'd1;
  assign ex_acc_scale = acc_scale;
  assign ex_acc_act = {1'b0, activation};

  always_ff @(posedge clk) begin
    if (configure) begin
      a_stride <= LOCAL_ROW_BITS'(rs1s[head][CONFIG_EX_A_STRIDE_LSB+:CONFIG_EX_A_STRIDE_WIDTH]);
      c_stride <= LOCAL_ROW_BITS'(rs2s[head][CONFIG_EX_C_STRIDE_LSB+:CONFIG_EX_C_STRIDE_WIDTH]);
      if (!rs1s[head][CONFIG_EX_SET_ONLY_STRIDES_LSB]) begin
        os <= to_os;
        activation <= rs1s[head][CONFIG_EX_ACTIVATION_LSB+:CONFIG_EX_ACTIVATION_WIDTH];
        a_transpose <= rs1s[head][CONFIG_EX_TRANSPOSE_A_LSB];
        bd_transpose <= rs1s[head][CONFIG_EX_TRANSPOSE_B_LSB];
        acc_scale <= rs1s[head][CONFIG_EX_ACC_SCALE_LSB+:CONFIG_EX_ACC_SCALE_WIDTH];
        in_shift <= rs2s[head][CONFIG_EX_IN_SHIFT_LSB+:5];
      end
    end
    if (rst) begin
      os <= 1'b0;
      a_transpose <= 1'b0;
      bd_transpose <= 1'b0;
    end
  end

  logic a_turns, b_turns, d_turns;  // goes through the transposer
  assign a_turns = os != a_transpose;
  assign b_turns = os && bd_transpose;
  assign d_turns = !os && bd_transpose;

  // ---- What the head of the queue asks for --------------------------------------------------------------------------------------

  logic config0, preload0, preload1, compute0, flip0;
  assign config0  = functs[head] == FUNCT_CONFIG;
  assign preload0 = functs[head] == FUNCT_PRELOAD;
  assign preload1 = functs[head1] == FUNCT_PRELOAD;
  assign flip0    = functs[head] == FUNCT_COMPUTE_PRELOADED;
  assign compute0 = flip0 || functs[head] == FUNCT_COMPUTE_ACCUMULATED;

  // Operands. The transposer takes an operand an operation early, so it comes from the compute after next.
  logic [63:0] a_from, b_from, d_from, c_from;
  assign a_from = preload0 ? rs1s[head1] : a_turns ? rs1s[head2] : rs1s[head];
  assign b_from = preload0 ? rs2s[head1] : b_turns ? rs2s[head2] : rs2s[head];
  assign d_from = preload0 ? rs1s[head] : rs1s[head1];
  assign c_from = preload0 ? rs2s[head] : rs2s[head1];

  logic a_garbage, b_garbage, d_garbage, c_garbage, a_acc, b_acc, d_acc;
  tile_t a_rows, a_cols, b_rows, b_cols, d_rows, d_cols;
  assign a_garbage = local_is_garbage(a_from[31:0]);
  assign b_garbage = local_is_garbage(b_from[31:0]);
  assign d_garbage = local_is_garbage(d_from[31:0]);
  assign c_garbage = local_is_garbage(c_from[31:0]);
  assign a_acc = EX_READ_FROM_ACC && local_is_acc(a_from[31:0]);
  assign b_acc = EX_READ_FROM_ACC && local_is_acc(b_from[31:0]);
  assign d_acc = EX_READ_FROM_ACC && local_is_acc(d_from[31:0]);
  assign a_rows = a_transpose ? operand_cols(a_from) : operand_rows(a_from);
  assign a_cols = a_transpose ? operand_rows(a_from) : operand_cols(a_from);
  assign b_rows = b_turns ? operand_cols(b_from) : operand_rows(b_from);
  assign b_cols = b_turns ? operand_rows(b_from) : operand_cols(b_from);
  assign d_rows = d_turns ? operand_cols(d_from) : operand_rows(d_from);
  assign d_cols = d_turns ? operand_rows(d_from) : operand_cols(d_from);

  // ---- Results under way that an operand might be -------------------------------------------------------------------------------

  localparam bit HAZARDS = EX_READ_FROM_ACC || EX_WRITE_TO_SPAD;
  logic [TAGS-1:0] tags_real;
  logic [TAGS*TAG_BITS-1:0] tags;
  logic results_under_way, hazard_preload, hazard_both;

  // Those whose request the array has not taken yet: not more than the queue on the way to it has room for
  localparam UNSENT = MESH_CONTROL_QUEUE / 2 + 1;
  localparam CHECKED = TAGS + UNSENT;
  logic [UNSENT-1:0] unsent_real;
  logic [UNSENT*(LOCAL_ROW_BITS+1)-1:0] unsent;  // acc, start; the oldest lowest
  logic [CHECKED-1:0] checked_real;
  logic [CHECKED*(LOCAL_ROW_BITS+1)-1:0] checked;
  logic [CHECKED-1:0] is_d0, is_a1, is_bd1, is_a2, is_bd2;  // same start as an operand of the first, second or third command

  assign checked_real = {unsent_real, tags_real};
  assign checked[TAGS*(LOCAL_ROW_BITS+1)+:UNSENT*(LOCAL_ROW_BITS+1)] = unsent;
  for (genvar t = 0; t < TAGS; t++) begin : taken
    assign checked[t*(LOCAL_ROW_BITS+1)+:LOCAL_ROW_BITS+1] = {tags[t*TAG_BITS+TAG_ACC_BIT], tags[t*TAG_BITS+TAG_START_LSB+:LOCAL_ROW_BITS]};
  end

  for (genvar t = 0; t < CHECKED; t++) begin : result_under_way
    logic acc;
    local_row_t start;
    assign {acc, start} = checked[t*(LOCAL_ROW_BITS+1)+:LOCAL_ROW_BITS+1];
    assign is_d0[t] = acc == local_is_acc(rs1s[head][31:0]) && start == local_row(rs1s[head][31:0]);
    assign is_a1[t] = acc == local_is_acc(rs1s[head1][31:0]) && start == local_row(rs1s[head1][31:0]);
    assign is_bd1[t] = acc == local_is_acc(rs2s[head1][31:0]) && start == local_row(rs2s[head1][31:0]);
    assign is_a2[t] = acc == local_is_acc(rs1s[head2][31:0]) && start == local_row(rs1s[head2][31:0]);
    assign is_bd2[t] = acc == local_is_acc(rs2s[head2][31:0]) && start == local_row(rs2s[head2][31:0]);
  end

  assign results_under_way = tags_real != '0;
  assign hazard_preload = HAZARDS && (checked_real & (is_d0 | is_a1 | is_bd1)) != '0;
  assign hazard_both = HAZARDS && (checked_real & (is_a1 | is_a2 | is_bd2)) != '0;

  // ---- Choice -----------------------------------------------------------------------------------------------------------------

  state_t state;
  operate_t operate, operate_now;
  logic pending0, pending1;  // completions of the last operation
  rs_id_t pending0_id, pending1_id;
  logic needs_third, may_choose, choose_preload, choose_both, choose_compute, choose_flush, operating, all_rows_requested;

  assign needs_third = HAZARDS || a_turns || b_turns;
  assign configure = state == WAITING && here0 && config0 && !results_under_way && !pending0 && !pending1 && !(new_dataflow && due_valid);
  assign may_choose = state == WAITING && here0 && !(DIM < MIN_ROWS && (pending0 || pending1));  // one completion a cycle
  assign choose_preload = may_choose && preload0 && here1 && !hazard_preload;
  assign choose_both = may_choose && compute0 && here1 && preload1 && (!needs_third || (here2 && !hazard_both));
  assign choose_compute = may_choose && compute0 && !choose_both;
  assign choose_flush = state == WAITING && results_under_way && (os || (here0 && config0)) && !choose_preload && !(here0 && compute0);

  always_comb begin
    operate_now = operate;
    if (state == WAITING) operate_now = choose_preload ? PRELOAD : choose_both ? BOTH : COMPUTE;
    operating = state == COMPUTING || choose_preload || choose_both || choose_compute;
  end

  logic a_starts, b_starts, d_starts;
  assign a_starts = operating && (operate_now == BOTH || (operate_now == PRELOAD) == a_turns);
  assign b_starts = operating && (operate_now == BOTH || (operate_now == PRELOAD) == b_turns);
  assign d_starts = operating && operate_now != COMPUTE;

  // ---- Rows -------------------------------------------------------------------------------------------------------------------

  // Weights that stay need no rows of D. A flip to nothing does, to clear them; where the next compute is not known yet, it could be one.
  logic clears, clearing;
  always_comb begin
    clears = clearing;
    if (state == WAITING) clears = operate_now == PRELOAD ? functs[head1] == FUNCT_COMPUTE_PRELOADED : !here2 || functs[head2] == FUNCT_COMPUTE_PRELOADED;
  end
  always_ff @(posedge clk) clearing <= clears;

  logic [ROWS_BITS-1:0] rows, last;
  always_comb begin
    rows = ROWS_BITS'(DIM);
    if (!os && (!d_starts || (d_garbage && !clears)) && !a_turns && !d_turns) begin
      rows = ROWS_BITS'(MIN_ROWS);
      if (a_starts && !a_garbage && ROWS_BITS'(a_rows) > rows) rows = ROWS_BITS'(a_rows);
      if (b_starts && !b_garbage && ROWS_BITS'(b_rows) > rows) rows = ROWS_BITS'(b_rows);
    end
    last = rows - 1'b1;
  end

  logic [ROWS_BITS-1:0] a_count, b_count, d_count, a_next, b_next, d_next, a_sent, b_sent, d_sent, d_from_end;
  logic a_started, b_started, d_started;
  local_row_t a_offset, a_row, b_row, d_row;
  logic [OPERAND_BANK_BITS-1:0] a_bank, b_bank, d_bank;
  logic a_live, b_live, d_live;  // a row of it could be read
  logic a_may, b_may, d_may, a_read, b_read, d_read, a_refused, b_refused, d_refused, a_fire, b_fire, d_fire;
  logic ab_share, ad_share, bd_share, control_ready;

  assign d_from_end = ROWS_BITS'(DIM - 1) - d_count;
  assign a_row = local_row(a_from[31:0]) + a_offset;
  assign b_row = local_row(b_from[31:0]) + LOCAL_ROW_BITS'(b_count);
  assign d_row = local_row(d_from[31:0]) + LOCAL_ROW_BITS'(d_from_end);
  assign a_bank = bank_of(a_acc, a_row);
  assign b_bank = bank_of(b_acc, b_row);
  assign d_bank = bank_of(d_acc, d_row);
  assign a_next = a_count == last ? '0 : a_count + 1'b1;
  assign b_next = b_count == last ? '0 : b_count + 1'b1;
  assign d_next = d_count == last ? '0 : d_count + 1'b1;

  // Operands in one bank take turns, A before B before D; nobody runs ahead by more than a row
  assign a_live = a_starts && !a_garbage;
  assign b_live = b_starts && !b_garbage;
  assign d_live = d_starts && !d_garbage;
  assign ab_share = a_live && b_live && share_bank(a_acc, b_acc, a_bank, b_bank) && a_started == b_started && a_count == b_count;
  assign ad_share = a_live && d_live && share_bank(a_acc, d_acc, a_bank, d_bank) && a_started == d_started && a_count == d_count;
  assign bd_share = b_live && d_live && share_bank(b_acc, d_acc, b_bank, d_bank) && b_started == d_started && b_count == d_count;
  assign a_sent = a_started && a_count == '0 ? rows : a_count;
  assign b_sent = b_started && b_count == '0 ? rows : b_count;
  assign d_sent = d_started && d_count == '0 ? rows : d_count;
  assign a_may = !(a_sent == b_sent + 1'b1 || a_sent == d_sent + 1'b1);
  assign b_may = !(b_sent == a_sent + 1'b1 || b_sent == d_sent + 1'b1) && !ab_share;
  assign d_may = !(d_sent == a_sent + 1'b1 || d_sent == b_sent + 1'b1) && !ad_share && !bd_share;

  // Rows and columns outside the operand are zeros and are not read
  assign a_read = a_may && a_live && a_count < ROWS_BITS'(a_rows) && a_cols != '0;
  assign b_read = b_may && b_live && b_count < ROWS_BITS'(b_rows) && b_cols != '0;
  assign d_read = d_may && d_live && d_from_end < ROWS_BITS'(d_rows) && d_cols != '0;

  always_comb begin
    a_refused = 1'b0;
    b_refused = 1'b0;
    d_refused = 1'b0;
    ex_spad_read_valid = '0;
    ex_spad_read_row = '0;
    ex_acc_read_valid = '0;
    ex_acc_read_row = '0;
    for (int i = 0; i < SPAD_BANKS; i++) begin
      if (d_read && !d_acc && d_bank == OPERAND_BANK_BITS'(i)) begin
        d_refused = !ex_spad_read_ready[i];
        ex_spad_read_valid[i] = control_ready;
        ex_spad_read_row[i*SPAD_ROW_BITS+:SPAD_ROW_BITS] = d_row[SPAD_ROW_BITS-1:0];
      end
      if (b_read && !b_acc && b_bank == OPERAND_BANK_BITS'(i)) begin
        b_refused = !ex_spad_read_ready[i];
        ex_spad_read_valid[i] = control_ready;
        ex_spad_read_row[i*SPAD_ROW_BITS+:SPAD_ROW_BITS] = b_row[SPAD_ROW_BITS-1:0];
      end
      if (a_read && !a_acc && a_bank == OPERAND_BANK_BITS'(i)) begin
        a_refused = !ex_spad_read_ready[i];
        ex_spad_read_valid[i] = control_ready;
        ex_spad_read_row[i*SPAD_ROW_BITS+:SPAD_ROW_BITS] = a_row[SPAD_ROW_BITS-1:0];
      end
    end
    for (int i = 0; i < ACC_BANKS; i++) begin
      if (d_read && d_acc && d_bank == OPERAND_BANK_BITS'(i)) begin
        d_refused = !ex_acc_read_ready[i];
        ex_acc_read_valid[i] = control_ready;
        ex_acc_read_row[i*ACC_ROW_BITS+:ACC_ROW_BITS] = acc_row(d_row);
      end
      if (b_read && b_acc && b_bank == OPERAND_BANK_BITS'(i)) begin
        b_refused = !ex_acc_read_ready[i];
        ex_acc_read_valid[i] = control_ready;
        ex_acc_read_row[i*ACC_ROW_BITS+:ACC_ROW_BITS] = acc_row(b_row);
      end
      if (a_read && a_acc && a_bank == OPERAND_BANK_BITS'(i)) begin
        a_refused = !ex_acc_read_ready[i];
        ex_acc_read_valid[i] = control_ready;
        ex_acc_read_row[i*ACC_ROW_BITS+:ACC_ROW_BITS] = acc_row(a_row);
      end
    end
  end

  assign a_fire = a_may && !a_refused;
  assign b_fire = b_may && !b_refused;
  assign d_fire = d_may && !d_refused;
  assign all_rows_requested = control_ready && (a_started || b_started || d_started)
      && ((a_count == last && a_fire) || a_count == '0) && ((b_count == last && b_fire) || b_count == '0)
      && ((d_count == last && d_fire) || d_count == '0);

  always_ff @(posedge clk) begin
    if (!operating) begin
      a_count  <= '0;
      b_count  <= '0;
      d_count  <= '0;
      a_offset <= '0;
    end else if (control_ready) begin
      if (a_fire) begin
        a_count   <= a_next;
        a_offset  <= a_count == last ? '0 : a_offset + a_stride;
        a_started <= 1'b1;
      end
      if (b_fire) begin
        b_count   <= b_next;
        b_started <= 1'b1;
      end
      if (d_fire) begin
        d_count   <= d_next;
        d_started <= 1'b1;
      end
    end
    if (all_rows_requested || rst) begin
      a_started <= 1'b0;
      b_started <= 1'b0;
      d_started <= 1'b0;
    end
  end

  // ---- State, and what is popped ----------------------------------------------------------------------------------------------

  logic flip_in_flush;  // output-stationary: a flush must turn the array, because a result waits in it

  always_comb begin
    pop = 2'd0;
    if (configure) pop = 2'd1;
    if (state == COMPUTING && all_rows_requested) pop = operate == BOTH ? 2'd2 : 2'd1;
  end

  always_ff @(posedge clk) begin
    case (state)
      WAITING: begin
        operate <= operate_now;
        if (operating) state <= COMPUTING;
        else if (choose_flush) state <= FLUSH;
      end
      COMPUTING: if (all_rows_requested) state <= WAITING;
      FLUSH: if (req_valid && req_ready) state <= FLUSHING;
      FLUSHING: if (req_ready) state <= WAITING;
    endcase
    if (!os) flip_in_flush <= 1'b0;
    else if (state == COMPUTING && all_rows_requested && operate != COMPUTE) flip_in_flush <= !c_garbage;
    if (rst) state <= WAITING;
  end

  // ---- Rows under way from the memories to the array ----------------------------------------------------------------------------

  operand_t a_asked, b_asked, d_asked, a_due, b_due, d_due;
  operation_t asked, due;
  tag_t asked_tag;
  logic first_asked, first_due;

  always_comb begin
    a_asked = {a_fire, a_read, a_acc, a_bank, a_cols};
    b_asked = {b_fire, b_read, b_acc, b_bank, b_cols};
    d_asked = {d_fire, d_read, d_acc, d_bank, d_cols};
    first_asked = !a_started && !b_started && !d_started;
    asked_tag.acc = local_is_acc(c_from[31:0]);
    asked_tag.accumulate = local_accumulate(c_from[31:0]);
    asked_tag.start = local_row(c_from[31:0]);
    asked_tag.rows = operand_rows(c_from);
    asked_tag.cols = operand_cols(c_from);
    asked_tag.id = preload0 ? ids[head] : ids[head1];
    asked.flip = operate_now == PRELOAD ? flip_in_flush : flip0;
    asked.os = os;
    asked.shift = in_shift;
    asked.a_transpose = a_transpose;
    asked.bd_transpose = bd_transpose;
    asked.rows = rows;
    asked.tag_real = operate_now != COMPUTE && !c_garbage;
    asked.tag = asked_tag;
  end

  /* verilator lint_off PINCONNECTEMPTY */  // both queues move together; their counts are of no use
  queue #(
      .WIDTH(3 * OPERAND_BITS + 1),
      .ENTRIES(MESH_CONTROL_QUEUE),
      .PIPE(1'b1)
  ) rows_due (
      .clk,
      .rst,
      .in_valid(operating),
      .in_ready(control_ready),
      .in_data({first_asked, a_asked, b_asked, d_asked}),
      .out_valid(due_valid),
      .out_ready(go),
      .out_data({first_due, a_due, b_due, d_due}),
      .count()
  );

  queue #(
      .WIDTH(OPERATION_BITS),
      .ENTRIES(MESH_CONTROL_QUEUE),
      .PIPE(1'b1)
  ) operations_due (
      .clk,
      .rst,
      .in_valid(operating),
      .in_ready(),
      .in_data(asked),
      .out_valid(),
      .out_ready(go),
      .out_data(due),
      .count()
  );
  /* verilator lint_on PINCONNECTEMPTY */

  logic asks, sends;  // the first row of an operation with a result
  assign asks = operating && control_ready && first_asked && (a_fire || b_fire || d_fire) && asked.tag_real;
  assign sends = go && first_due && (a_due.fire || b_due.fire || d_due.fire) && due.tag_real;
  logic [UNSENT-1:0] left_real, left_free, next_real;
  logic [UNSENT*(LOCAL_ROW_BITS+1)-1:0] next_unsent;
  assign left_real = sends ? unsent_real >> 1 : unsent_real;
  assign left_free = ~left_real & {left_real[UNSENT-2:0], 1'b1};  // the first free place
  always_comb begin
    next_real = left_real;
    next_unsent = sends ? unsent >> (LOCAL_ROW_BITS + 1) : unsent;
    if (asks) begin
      next_real = left_real | left_free;
      for (int i = 0; i < UNSENT; i++)
        if (left_free[i]) next_unsent[i*(LOCAL_ROW_BITS+1)+:LOCAL_ROW_BITS+1] = {asked_tag.acc, asked_tag.start};
    end
  end
  always_ff @(posedge clk) begin
    unsent_real <= rst ? '0 : next_real;
    unsent <= next_unsent;
  end

  // A row goes when everything that was read for it is here and the array takes it.
  logic a_here, b_here, d_here, a_ready, b_ready, d_ready;
  logic [LINE-1:0] a_line, b_line, d_line;

  assign a_here = !a_due.read || (a_due.acc ? ex_acc_resp_valid[a_due.bank[ACC_BANK_BITS-1:0]] : ex_spad_resp_valid[a_due.bank[SPAD_BANK_BITS-1:0]]);
  assign b_here = !b_due.read || (b_due.acc ? ex_acc_resp_valid[b_due.bank[ACC_BANK_BITS-1:0]] : ex_spad_resp_valid[b_due.bank[SPAD_BANK_BITS-1:0]]);
  assign d_here = !d_due.read || (d_due.acc ? ex_acc_resp_valid[d_due.bank[ACC_BANK_BITS-1:0]] : ex_spad_resp_valid[d_due.bank[SPAD_BANK_BITS-1:0]]);
  assign go = due_valid && (!first_due || req_ready) && (!a_due.fire || (a_here && a_ready)) && (!b_due.fire || (b_here && b_ready))
      && (!d_due.fire || (d_here && d_ready));

  // `cols` bytes of the answer of one bank, or zeros
  function automatic logic [LINE-1:0] first_bytes(input logic [LINE-1:0] row, input tile_t cols);
    first_bytes = row & ~({LINE{1'b1}} << {cols, 3'b000});
  endfunction

  always_comb begin
    a_line = '0;
    b_line = '0;
    d_line = '0;
    for (int i = 0; i < SPAD_BANKS; i++) begin
      if (a_due.read && !a_due.acc && a_due.bank == OPERAND_BANK_BITS'(i)) a_line = ex_spad_resp_data[i*LINE+:LINE];
      if (b_due.read && !b_due.acc && b_due.bank == OPERAND_BANK_BITS'(i)) b_line = ex_spad_resp_data[i*LINE+:LINE];
      if (d_due.read && !d_due.acc && d_due.bank == OPERAND_BANK_BITS'(i)) d_line = ex_spad_resp_data[i*LINE+:LINE];
    end
    for (int i = 0; i < ACC_BANKS; i++) begin
      if (a_due.read && a_due.acc && a_due.bank == OPERAND_BANK_BITS'(i)) a_line = ex_acc_resp_data[i*LINE+:LINE];
      if (b_due.read && b_due.acc && b_due.bank == OPERAND_BANK_BITS'(i)) b_line = ex_acc_resp_data[i*LINE+:LINE];
      if (d_due.read && d_due.acc && d_due.bank == OPERAND_BANK_BITS'(i)) d_line = ex_acc_resp_data[i*LINE+:LINE];
    end
    a_line = first_bytes(a_line, a_due.cols);
    b_line = first_bytes(b_line, b_due.cols);
    d_line = first_bytes(d_line, d_due.cols);
  end

  always_comb begin
    for (int i = 0; i < SPAD_BANKS; i++)
      ex_spad_resp_ready[i] = go && ((a_due.fire && a_due.read && !a_due.acc && a_due.bank == OPERAND_BANK_BITS'(i))
          || (b_due.fire && b_due.read && !b_due.acc && b_due.bank == OPERAND_BANK_BITS'(i))
          || (d_due.fire && d_due.read && !d_due.acc && d_due.bank == OPERAND_BANK_BITS'(i)));
    for (int i = 0; i < ACC_BANKS; i++)
      ex_acc_resp_ready[i] = go && ((a_due.fire && a_due.read && a_due.acc && a_due.bank == OPERAND_BANK_BITS'(i))
          || (b_due.fire && b_due.read && b_due.acc && b_due.bank == OPERAND_BANK_BITS'(i))
          || (d_due.fire && d_due.read && d_due.acc && d_due.bank == OPERAND_BANK_BITS'(i)));
  end

  // ---- The array --------------------------------------------------------------------------------------------------------------

  logic flush_now, resp_valid, resp_last, resp_real;
  tag_t result;
  logic [ROWS_BITS-1:0] result_rows;
  logic [DIM*ACC_BITS-1:0] result_row;

  assign flush_now = state == FLUSH && !due_valid;
  assign req_valid = flush_now || (go && (a_due.fire || b_due.fire || d_due.fire));

  mesh_sequencer mesh_sequencer (
      .clk,
      .rst,
      .a_valid(go && a_due.fire),
      .a_ready,
      .a_row(a_line),
      .b_valid(go && b_due.fire),
      .b_ready,
      .b_row(b_line),
      .d_valid(go && d_due.fire),
      .d_ready,
      .d_row(d_line),
      .req_valid,
      .req_ready,
      .req_flush(flush_now),
      .req_flip(flush_now ? flip_in_flush : due.flip),
      .req_os(flush_now ? os : due.os),
      .req_shift(flush_now ? in_shift : due.shift),
      .req_a_transpose(flush_now ? a_transpose : due.a_transpose),
      .req_bd_transpose(flush_now ? bd_transpose : due.bd_transpose),
      .req_rows(flush_now ? ROWS_BITS'(DIM) : due.rows),
      .req_tag_real(due.tag_real),
      .req_tag(due.tag),
      .resp_valid,
      .resp_last,
      .resp_real,
      .resp_tag(result),
      .resp_rows(result_rows),
      .resp_data(result_row),
      .forget_tags(configure && new_dataflow),
      .tags_real,
      .tags
  );

  // ---- Results ----------------------------------------------------------------------------------------------------------------

  // Row by row from the start of C; output-stationary results come last row first.
  logic [ROWS_BITS-1:0] result_count, result_index;
  local_row_t result_offset, result_at;
  logic [OPERAND_BANK_BITS-1:0] result_bank;
  logic write_result;
  logic [DIM-1:0] result_mask;
  logic [LINE-1:0] narrow_row;

  assign result_index = os ? result_rows - 1'b1 - result_count : result_count;
  assign result_at = result.start + (os ? LOCAL_ROW_BITS'(result_rows) - 1'b1 - result_offset : result_offset);
  assign result_bank = bank_of(result.acc, result_at);
  assign write_result = resp_valid && resp_real && result_index < ROWS_BITS'(result.rows);
  assign result_mask = ~({DIM{1'b1}} << result.cols);

  always_ff @(posedge clk) begin
    if (resp_valid && resp_real) begin
      result_count  <= result_count == result_rows - 1'b1 ? '0 : result_count + 1'b1;
      result_offset <= result_count == result_rows - 1'b1 ? '0 : result_offset + c_stride;
    end
    if (rst) begin
      result_count  <= '0;
      result_offset <= '0;
    end
  end

  // To the scratchpad: clamped, and the activation
  always_comb begin
    narrow_row = '0;
    if (EX_WRITE_TO_SPAD && write_result && !result.acc) begin
      for (int i = 0; i < DIM; i++) begin
        if (result_row[i*ACC_BITS+ACC_BITS-1]) begin
          if (!relu) narrow_row[i*IN_BITS+:IN_BITS] = &result_row[i*ACC_BITS+IN_BITS-1+:ACC_BITS-IN_BITS+1] ? result_row[i*ACC_BITS+:IN_BITS] : {1'b1, {(IN_BITS - 1) {1'b0}}};
        end else begin
          narrow_row[i*IN_BITS+:IN_BITS] = |result_row[i*ACC_BITS+IN_BITS-1+:ACC_BITS-IN_BITS+1] ? {1'b0, {(IN_BITS - 1) {1'b1}}} : result_row[i*ACC_BITS+:IN_BITS];
        end
      end
    end
  end

  always_comb begin
    for (int i = 0; i < SPAD_BANKS; i++) ex_spad_write_valid[i] = EX_WRITE_TO_SPAD && write_result && !result.acc && result_bank == OPERAND_BANK_BITS'(i);
    for (int i = 0; i < ACC_BANKS; i++) ex_acc_write_valid[i] = write_result && result.acc && result_bank == OPERAND_BANK_BITS'(i);
  end
  assign ex_spad_write_row = {SPAD_BANKS{result_at[SPAD_ROW_BITS-1:0]}};
  assign ex_spad_write_data = {SPAD_BANKS{narrow_row}};
  assign ex_spad_write_mask = {SPAD_BANKS{result_mask}};
  assign ex_acc_write_row = {ACC_BANKS{acc_row(result_at)}};
  assign ex_acc_write_data = {ACC_BANKS{result_row}};
  assign ex_acc_write_mask = {ACC_BANKS{result_mask}};
  assign ex_acc_write_accumulate = {ACC_BANKS{result.accumulate}};

  // ---- Completion ---------------------------------------------------------------------------------------------------------------

  logic result_done;
  assign result_done   = resp_valid && resp_real && resp_last;
  assign ex_done_valid = result_done || pending0 || pending1 || configure;
  assign ex_done_id    = result_done ? result.id : pending0 ? pending0_id : pending1 ? pending1_id : ids[head];

  always_ff @(posedge clk) begin
    if (ex_done_ready && !result_done) begin
      if (pending0) pending0 <= 1'b0;
      else pending1 <= 1'b0;
    end
    if (state == COMPUTING && all_rows_requested) begin
      // The first command of the operation, if it does not wait for its result, and the preload of an operation with both
      pending0 <= has_ids[head] && (operate != PRELOAD || c_garbage);
      pending0_id <= ids[head];
      pending1 <= operate == BOTH && has_ids[head1] && c_garbage;
      pending1_id <= ids[head1];
    end
    if (rst) begin
      pending0 <= 1'b0;
      pending1 <= 1'b0;
    end
  end

  // ---- Counters and stalls ------------------------------------------------------------------------------------------------------

  assign ex_events[0] = state == COMPUTING;
  assign ex_events[1] = state == FLUSH || state == FLUSHING;
  assign ex_events[2] = operating && !control_ready;
  assign ex_events[3] = here0 && preload0 && here1 && hazard_preload;
  assign ex_events[4] = here0 && compute0 && here1 && preload1 && here2 && hazard_both;
  assign ex_events[5] = due_valid && a_due.fire && !a_due.acc && !(a_here && a_ready);
  assign ex_events[6] = due_valid && b_due.fire && !b_due.acc && !(b_here && b_ready);
  assign ex_events[7] = due_valid && d_due.fire && !d_due.acc && !(d_here && d_ready);
  assign ex_events[8] = due_valid && a_due.fire && a_due.acc && !(a_here && a_ready);
  assign ex_events[9] = due_valid && b_due.fire && b_due.acc && !(b_here && b_ready);
  assign ex_events[10] = due_valid && d_due.fire && d_due.acc && !(d_here && d_ready);
  assign ex_events[11] = due_valid && !a_due.read;
  assign ex_events[12] = due_valid && !b_due.read;
  assign ex_events[13] = due_valid && !d_due.read;

  logic any_refused;
  assign any_refused = a_refused || b_refused || d_refused;
  assign ex_stall[0] = state == WAITING && here0 && config0 && !configure;
  assign ex_stall[1] = state == WAITING && here0 && preload0 && !here1;
  assign ex_stall[2] = state == WAITING && here0 && preload0 && here1 && hazard_preload;
  assign ex_stall[3] = state == FLUSH || state == FLUSHING;
  assign ex_stall[4] = operating && control_ready && any_refused && !((a_refused && a_acc) || (b_refused && b_acc) || (d_refused && d_acc));
  assign ex_stall[5] = operating && control_ready && ((a_refused && a_acc) || (b_refused && b_acc) || (d_refused && d_acc));
  assign ex_stall[6] = operating && control_ready && !any_refused && (ab_share || ad_share || bd_share);
  assign ex_stall[7] = operating && !control_ready;
endmodule
