// A DIM x DIM array of bytes that rows enter on one side while columns leave on another (GEMMINI_UARCH 6.7).
//
// Rows enter from the right, moving left, or from below, moving up; every DIM rows the direction turns. What leaves on the opposite
// side is, byte by byte, the transpose of the DIM rows that entered before the turn.
//
// Timing: one row a cycle with in_valid; out_column belongs to that cycle (column n of the last DIM rows with row n of the next).

module transposer
  import gemmini_config_pkg::*;
(
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   in_valid,
    input  logic [DIM*IN_BITS-1:0] in_row,
    output logic [DIM*IN_BITS-1:0] out_column
);
  localparam ROW_BITS = DIM * IN_BITS;
  localparam LAST = DIM - 1;

  logic upwards;
  logic [DIM_BITS-1:0] count;
  logic [DIM*ROW_BITS-1:0] rows;  // of the array, the top one lowest
  logic [ROW_BITS-1:0] leftmost;

  for (genvar r = 0; r < DIM; r++) begin : row
    logic [ROW_BITS-1:0] bytes;  // the leftmost one lowest
    logic [ROW_BITS-1:0] from_below, from_right;
    if (r == LAST) assign from_below = in_row;
    else assign from_below = rows[(r+1)*ROW_BITS+:ROW_BITS];
    assign from_right = {in_row[r*IN_BITS+:IN_BITS], bytes[ROW_BITS-1:IN_BITS]};
    always_ff @(posedge clk) if (in_valid) bytes <= upwards ? from_below : from_right;
    assign rows[r*ROW_BITS+:ROW_BITS] = bytes;
    assign leftmost[r*IN_BITS+:IN_BITS] = bytes[IN_BITS-1:0];
  end

  assign out_column = upwards ? rows[ROW_BITS-1:0] : leftmost;

  always_ff @(posedge clk) begin
    if (in_valid) begin
      count <= count + 1'b1;
      if (count == DIM_BITS'(LAST)) upwards <= !upwards;
    end
    if (rst) begin
      count   <= '0;
      upwards <= 1'b0;
    end
  end
endmodule
