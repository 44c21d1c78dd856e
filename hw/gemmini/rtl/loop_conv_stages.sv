// Two stages between a loop's counters and its commands, as in the generator: in the first the counters' products are taken, in the second
// the command is put together. This module only holds which stages are full; its user holds what is in them.
//
// Timing: what is accepted at an edge leaves at the second edge after it at the earliest; one a cycle; gaps close while the output waits.

module loop_conv_stages (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic load_first,  // the first stage takes the counters at this edge
    output logic load_second,  // the second takes the first
    output logic out_valid,
    input  logic out_ready,
    output logic busy
);
  logic first, second, in_ready;

  assign load_second = !second || out_ready;
  assign in_ready = !first || load_second;
  assign load_first = in_valid && in_ready;
  assign out_valid = second;
  assign busy = first || second;

  always_ff @(posedge clk) begin
    if (in_ready) first <= in_valid;
    if (load_second) second <= first;
    if (rst) begin
      first  <= 1'b0;
      second <= 1'b0;
    end
  end
endmodule
