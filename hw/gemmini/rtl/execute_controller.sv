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
    input  cmd_t                                issue_ex_cmd,
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

  logic req_ready, req_valid, due_valid, go;  // of the array, and of the rows on their way to it, see below

  // ---- Commands ---------------------------------------------------------------------------------------------------------------

  logic [1:0] pop;
  logic here0, here1, here2, has_id0, has_id1;
  logic [6:0] funct0, funct1, funct2;
  logic [63:0] rs1_0, rs2_0, rs1_1, rs2_1, rs1_2, rs2_2;
  rs_id_t id0, id1;

  execute_queue commands (
      .clk,
      .rst,
      .in_valid(issue_ex_valid),
      .in_ready(issue_ex_ready),
      .in_cmd(issue_ex_cmd),
      .in_id(issue_ex_id),
      .unrolling(ex_events[14]),
      .pop,
      .here0,
      .here1,
      .here2,
      .funct0,
      .funct1,
      .funct2,
      .rs1_0,
      .rs2_0,
      .rs1_1,
      .rs2_1,
      .rs1_2,
      .rs2_2,
      .has_id0,
      .has_id1,
      .id0,
      .id1
  );

  // ---- Configuration ----------------------------------------------------------------------------------------------------------

  logic os, a_transpose, bd_transpose, relu;
  logic [1:0] activation;
  logic [4:0] in_shift;
  logic [31:0] acc_scale;
  local_row_t a_stride, c_stride;
  logic configure, to_os, new_dataflow;

  assign to_os = !WEIGHT_STATIONARY_ONLY && !rs1_0[CONFIG_EX_DATAFLOW_LSB];
  assign new_dataflow = !rs1_0[CONFIG_EX_SET_ONLY_STRIDES_LSB] && to_os != os;

  assign relu = activation == 2'd1;
  assign ex_acc_scale = acc_scale;
  assign ex_acc_act = {1'b0, activation};

  always_ff @(posedge clk) begin
    if (configure) begin
      a_stride <= LOCAL_ROW_BITS'(rs1_0[CONFIG_EX_A_STRIDE_LSB+:CONFIG_EX_A_STRIDE_WIDTH]);
      c_stride <= LOCAL_ROW_BITS'(rs2_0[CONFIG_EX_C_STRIDE_LSB+:CONFIG_EX_C_STRIDE_WIDTH]);
      if (!rs1_0[CONFIG_EX_SET_ONLY_STRIDES_LSB]) begin
        os <= to_os;
        activation <= rs1_0[CONFIG_EX_ACTIVATION_LSB+:CONFIG_EX_ACTIVATION_WIDTH];
        a_transpose <= rs1_0[CONFIG_EX_TRANSPOSE_A_LSB];
        bd_transpose <= rs1_0[CONFIG_EX_TRANSPOSE_B_LSB];
        acc_scale <= rs1_0[CONFIG_EX_ACC_SCALE_LSB+:CONFIG_EX_ACC_SCALE_WIDTH];
        in_shift <= rs2_0[CONFIG_EX_IN_SHIFT_LSB+:5];
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
  assign config0  = funct0 == FUNCT_CONFIG;
  assign preload0 = funct0 == FUNCT_PRELOAD;
  assign preload1 = funct1 == FUNCT_PRELOAD;
  assign flip0    = funct0 == FUNCT_COMPUTE_PRELOADED;
  assign compute0 = flip0 || funct0 == FUNCT_COMPUTE_ACCUMULATED;

  // Operands. The transposer takes an operand an operation early, so it comes from the compute after next.
  logic [63:0] a_from, b_from, d_from, c_from;
  assign a_from = preload0 ? rs1_1 : a_turns ? rs1_2 : rs1_0;
  assign b_from = preload0 ? rs2_1 : b_turns ? rs2_2 : rs2_0;
  assign d_from = preload0 ? rs1_0 : rs1_1;
  assign c_from = preload0 ? rs2_0 : rs2_1;

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

  localparam bit HAZARDS = EX_READ_FROM_ACC || EX_WRITE_TO_SPAD;  // otherwise no operand can be a result
  logic [TAGS-1:0] tags_real;
  logic [TAGS*TAG_BITS-1:0] tags;
  logic results_under_way, hazard_preload, hazard_both;

  logic asks, sends;  // the first row of an operation with a result enters and leaves the queue on the way to the array

  assign results_under_way = tags_real != '0;
  result_hazards hazards (
      .clk,
      .rst,
      .tags_real,
      .tags,
      .asks,
      .asked({local_is_acc(c_from[31:0]), local_row(c_from[31:0])}),
      .sends,
      .d0(rs1_0[31:0]),
      .a1(rs1_1[31:0]),
      .bd1(rs2_1[31:0]),
      .a2(rs1_2[31:0]),
      .bd2(rs2_2[31:0]),
      .hazard_preload,
      .hazard_both
  );

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
    if (state == WAITING) clears = operate_now == PRELOAD ? funct1 == FUNCT_COMPUTE_PRELOADED : !here2 || funct2 == FUNCT_COMPUTE_PRELOADED;
  end
  always_ff @(posedge clk) clearing <= clears;

  logic [ROWS_BITS-1:0] rows;
  always_comb begin
    rows = ROWS_BITS'(DIM);
    if (!os && (!d_starts || (d_garbage && !clears)) && !a_turns && !d_turns) begin
      rows = ROWS_BITS'(MIN_ROWS);
      if (a_starts && !a_garbage && ROWS_BITS'(a_rows) > rows) rows = ROWS_BITS'(a_rows);
      if (b_starts && !b_garbage && ROWS_BITS'(b_rows) > rows) rows = ROWS_BITS'(b_rows);
    end
  end

  operand_t a_asked, b_asked, d_asked;
  logic control_ready, first_asked, sharing, spad_refuses, acc_refuses;

  operand_requests requests (
      .clk,
      .rst,
      .operating,
      .rows,
      .control_ready,
      .a_stride,
      .a_live(a_starts && !a_garbage),
      .a_acc,
      .a_start(local_row(a_from[31:0])),
      .a_rows,
      .a_cols,
      .a_asked,
      .b_live(b_starts && !b_garbage),
      .b_acc,
      .b_start(local_row(b_from[31:0])),
      .b_rows,
      .b_cols,
      .b_asked,
      .d_live(d_starts && !d_garbage),
      .d_acc,
      .d_start(local_row(d_from[31:0])),
      .d_rows,
      .d_cols,
      .d_asked,
      .first_asked,
      .all_rows_requested,
      .sharing,
      .spad_refuses,
      .acc_refuses,
      .ex_spad_read_valid,
      .ex_spad_read_ready,
      .ex_spad_read_row,
      .ex_acc_read_valid,
      .ex_acc_read_ready,
      .ex_acc_read_row
  );

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

  operand_t a_due, b_due, d_due;
  operation_t asked, due;
  tag_t asked_tag;
  logic first_due;

  always_comb begin
    asked_tag.acc = local_is_acc(c_from[31:0]);
    asked_tag.accumulate = local_accumulate(c_from[31:0]);
    asked_tag.start = local_row(c_from[31:0]);
    asked_tag.rows = operand_rows(c_from);
    asked_tag.cols = operand_cols(c_from);
    asked_tag.id = preload0 ? id0 : id1;
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

  assign asks = operating && control_ready && first_asked && (a_asked.fire || b_asked.fire || d_asked.fire) && asked.tag_real;
  assign sends = go && first_due && (a_due.fire || b_due.fire || d_due.fire) && due.tag_real;
  // A row goes when everything that was read for it is here and the array takes it.
  logic a_here, b_here, d_here, a_ready, b_ready, d_ready;
  logic [LINE-1:0] a_line, b_line, d_line;
  logic [SPAD_BANKS-1:0] a_spad_taken, b_spad_taken, d_spad_taken;
  logic [ACC_BANKS-1:0] a_acc_taken, b_acc_taken, d_acc_taken;

  assign go = due_valid && (!first_due || req_ready) && (!a_due.fire || (a_here && a_ready)) && (!b_due.fire || (b_here && b_ready))
      && (!d_due.fire || (d_here && d_ready));
  assign ex_spad_resp_ready = a_spad_taken | b_spad_taken | d_spad_taken;
  assign ex_acc_resp_ready = a_acc_taken | b_acc_taken | d_acc_taken;

  operand_line a_lines (
      .due(a_due),
      .taken(go),
      .here(a_here),
      .line(a_line),
      .spad_valid(ex_spad_resp_valid),
      .spad_data(ex_spad_resp_data),
      .spad_taken(a_spad_taken),
      .acc_valid(ex_acc_resp_valid),
      .acc_data(ex_acc_resp_data),
      .acc_taken(a_acc_taken)
  );

  operand_line b_lines (
      .due(b_due),
      .taken(go),
      .here(b_here),
      .line(b_line),
      .spad_valid(ex_spad_resp_valid),
      .spad_data(ex_spad_resp_data),
      .spad_taken(b_spad_taken),
      .acc_valid(ex_acc_resp_valid),
      .acc_data(ex_acc_resp_data),
      .acc_taken(b_acc_taken)
  );

  operand_line d_lines (
      .due(d_due),
      .taken(go),
      .here(d_here),
      .line(d_line),
      .spad_valid(ex_spad_resp_valid),
      .spad_data(ex_spad_resp_data),
      .spad_taken(d_spad_taken),
      .acc_valid(ex_acc_resp_valid),
      .acc_data(ex_acc_resp_data),
      .acc_taken(d_acc_taken)
  );

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

  result_writer writer (
      .clk,
      .rst,
      .os,
      .relu,
      .c_stride,
      .row_valid(resp_valid && resp_real),
      .result_rows,
      .result,
      .result_row,
      .ex_spad_write_valid,
      .ex_spad_write_row,
      .ex_spad_write_data,
      .ex_spad_write_mask,
      .ex_acc_write_valid,
      .ex_acc_write_row,
      .ex_acc_write_data,
      .ex_acc_write_mask,
      .ex_acc_write_accumulate
  );

  // ---- Completion ---------------------------------------------------------------------------------------------------------------

  logic result_done;
  assign result_done   = resp_valid && resp_real && resp_last;
  assign ex_done_valid = result_done || pending0 || pending1 || configure;
  assign ex_done_id    = result_done ? result.id : pending0 ? pending0_id : pending1 ? pending1_id : id0;

  always_ff @(posedge clk) begin
    if (ex_done_ready && !result_done) begin
      if (pending0) pending0 <= 1'b0;
      else pending1 <= 1'b0;
    end
    if (state == COMPUTING && all_rows_requested) begin
      // The first command of the operation, if it does not wait for its result, and the preload of an operation with both
      pending0 <= has_id0 && (operate != PRELOAD || c_garbage);
      pending0_id <= id0;
      pending1 <= operate == BOTH && has_id1 && c_garbage;
      pending1_id <= id1;
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

  assign ex_stall[0] = state == WAITING && here0 && config0 && !configure;
  assign ex_stall[1] = state == WAITING && here0 && preload0 && !here1;
  assign ex_stall[2] = state == WAITING && here0 && preload0 && here1 && hazard_preload;
  assign ex_stall[3] = state == FLUSH || state == FLUSHING;
  assign ex_stall[4] = operating && control_ready && spad_refuses && !acc_refuses;
  assign ex_stall[5] = operating && control_ready && acc_refuses;
  assign ex_stall[6] = operating && control_ready && !spad_refuses && !acc_refuses && sharing;
  assign ex_stall[7] = operating && !control_ready;
endmodule
