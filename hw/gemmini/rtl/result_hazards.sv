// Whether an operand of one of the next commands is a result that is still under way: equal start addresses only (GEMMINI_UARCH 6.1).
//
// Results are under way from the first row of the operation that names them until their tag leaves the array's queue.

module result_hazards
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import execute_pkg::*;
(
    input  logic clk,
    input  logic rst,
    // tags in the array, and results that enter (asks) and leave (sends) the queue on the way to it
    input  logic [TAGS-1:0]          tags_real,
    /* verilator lint_off UNUSEDSIGNAL */  // only where they start
    input  logic [TAGS*TAG_BITS-1:0] tags,
    /* verilator lint_on UNUSEDSIGNAL */
    input  logic                     asks,
    input  logic [LOCAL_ROW_BITS:0]  asked,  // accumulator, row
    input  logic                     sends,
    // operands of the first three commands
    /* verilator lint_off UNUSEDSIGNAL */
    input  logic [31:0]              d0,
    input  logic [31:0]              a1,
    input  logic [31:0]              bd1,
    input  logic [31:0]              a2,
    input  logic [31:0]              bd2,
    /* verilator lint_on UNUSEDSIGNAL */
    output logic                     hazard_preload,  // a preload first
    output logic                     hazard_both      // a compute first, a preload second
);
  localparam bit HAZARDS = EX_READ_FROM_ACC || EX_WRITE_TO_SPAD;

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
    assign is_d0[t] = acc == local_is_acc(d0) && start == local_row(d0);
    assign is_a1[t] = acc == local_is_acc(a1) && start == local_row(a1);
    assign is_bd1[t] = acc == local_is_acc(bd1) && start == local_row(bd1);
    assign is_a2[t] = acc == local_is_acc(a2) && start == local_row(a2);
    assign is_bd2[t] = acc == local_is_acc(bd2) && start == local_row(bd2);
  end

  assign hazard_preload = HAZARDS && (checked_real & (is_d0 | is_a1 | is_bd1)) != '0;
  assign hazard_both = HAZARDS && (checked_real & (is_a1 | is_a2 | is_bd2)) != '0;

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
        if (left_free[i]) next_unsent[i*(LOCAL_ROW_BITS+1)+:LOCAL_ROW_BITS+1] = asked;
    end
  end
  always_ff @(posedge clk) begin
    unsent_real <= rst ? '0 : next_real;
    unsent <= next_unsent;
  end
endmodule
