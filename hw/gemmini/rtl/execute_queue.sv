// The execute controller's commands: the preload unroller, then a queue whose first EX_HEADS = 3 entries are visible.
//
// Timing: an issued command is at the head two cycles later; 0, 1 or 2 leave in a cycle (GEMMINI_UARCH 6.1).

module execute_queue
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
(
    input  logic clk,
    input  logic rst,
    input  logic        in_valid,
    output logic        in_ready,
    /* verilator lint_off UNUSEDSIGNAL */  // who made the command matters to the station only
    input  cmd_t        in_cmd,
    /* verilator lint_on UNUSEDSIGNAL */
    input  rs_id_t      in_id,
    output logic        unrolling,
    // the first three commands
    input  logic [1:0]  pop,
    output logic        here0,
    output logic        here1,
    output logic        here2,
    output logic [6:0]  funct0,
    output logic [6:0]  funct1,
    output logic [6:0]  funct2,
    output logic [63:0] rs1_0,
    output logic [63:0] rs2_0,
    output logic [63:0] rs1_1,
    output logic [63:0] rs2_1,
    output logic [63:0] rs1_2,
    output logic [63:0] rs2_2,
    output logic        has_id0,
    output logic        has_id1,
    output rs_id_t      id0,
    output rs_id_t      id1
);
  logic unrolled_valid, unrolled_ready, unrolled_has_id;
  logic [6:0] unrolled_funct;
  logic [63:0] unrolled_rs1, unrolled_rs2;
  rs_id_t unrolled_id;

  preload_unroller preload_unroller (
      .clk,
      .rst,
      .in_valid(in_valid),
      .in_ready(in_ready),
      .in_funct(in_cmd.funct),
      .in_rs1(in_cmd.rs1),
      .in_rs2(in_cmd.rs2),
      .in_id(in_id),
      .out_valid(unrolled_valid),
      .out_ready(unrolled_ready),
      .out_funct(unrolled_funct),
      .out_rs1(unrolled_rs1),
      .out_rs2(unrolled_rs2),
      .out_has_id(unrolled_has_id),
      .out_id(unrolled_id),
      .active(unrolling)
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

  assign funct0 = functs[head];
  assign funct1 = functs[head1];
  assign funct2 = functs[head2];
  assign rs1_0 = rs1s[head];
  assign rs2_0 = rs2s[head];
  assign rs1_1 = rs1s[head1];
  assign rs2_1 = rs2s[head1];
  assign rs1_2 = rs1s[head2];
  assign rs2_2 = rs2s[head2];
  assign has_id0 = has_ids[head];
  assign has_id1 = has_ids[head1];
  assign id0 = ids[head];
  assign id1 = ids[head1];
endmodule
