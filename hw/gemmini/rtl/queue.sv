// A first-in first-out queue with valid/ready on both sides.
//
// Timing: what is accepted at an edge is at the head after it (one cycle), one transfer a cycle on each side.
//   PIPE = 1: a full queue also accepts in the cycle in which its head leaves (in_ready then depends on out_ready).
//   FLOW = 1: an empty queue passes its input through in the same cycle.

module queue #(
    parameter int WIDTH   = 8,
    parameter int ENTRIES = 2,
    parameter bit PIPE    = 1'b0,
    parameter bit FLOW    = 1'b0
) (
    input  logic                       clk,
    input  logic                       rst,
    input  logic                       in_valid,
    output logic                       in_ready,
    input  logic [WIDTH-1:0]           in_data,
    output logic                       out_valid,
    input  logic                       out_ready,
    output logic [WIDTH-1:0]           out_data,
    output logic [$clog2(ENTRIES+1)-1:0] count
);
  localparam int PTR_BITS = ENTRIES > 1 ? $clog2(ENTRIES) : 1;
  localparam int COUNT_BITS = $clog2(ENTRIES + 1);
  localparam logic [PTR_BITS-1:0] LAST = PTR_BITS'(ENTRIES - 1);

  logic [WIDTH-1:0] mem[0:ENTRIES-1];
  logic [PTR_BITS-1:0] head, tail;
  logic empty, full, push, pop;

  assign empty = count == '0;
  assign full = count == COUNT_BITS'(ENTRIES);
  assign in_ready = !full || (PIPE && out_ready);
  assign out_valid = !empty || (FLOW && in_valid);
  assign out_data = FLOW && empty ? in_data : mem[head];
  assign push = in_valid && in_ready && !(FLOW && empty && out_ready);
  assign pop = out_ready && !empty;

  always_ff @(posedge clk) begin
    if (push) begin
      mem[tail] <= in_data;
      tail <= tail == LAST ? '0 : tail + 1'b1;
    end
    if (pop) head <= head == LAST ? '0 : head + 1'b1;
    if (push != pop) count <= push ? count + 1'b1 : count - 1'b1;
    if (rst) begin
      head  <= '0;
      tail  <= '0;
      count <= '0;
    end
  end
endmodule
