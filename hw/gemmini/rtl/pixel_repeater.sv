// Writes a row of pixels several times, each time one row up and `cols` columns to the right (UARCH 3.4; first layers of networks).
//
// One register; a repeat a cycle, the highest first. Repeats that would fall below row 0, or from the upper half of the scratchpad into
// the lower, are left out, and take their cycle. Columns beyond DIM are dropped.

module pixel_repeater
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import load_store_pkg::*;
(
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   in_valid,
    output logic                   in_ready,
    input  load_block_t            in_block,
    input  logic [DIM*IN_BITS-1:0] in_data,
    input  logic [DIM-1:0]         in_mask,
    output logic                   out_valid,
    input  logic                   out_ready,
    output load_block_t            out_block,
    output logic [DIM*IN_BITS-1:0] out_data,
    output logic [DIM-1:0]         out_mask
);
  localparam local_row_t HALF = LOCAL_ROW_BITS'(SPAD_ROWS / 2);

  logic busy, underflow, step;
  pixels_t pixel;  // repeats after this one
  load_block_t block;
  logic [DIM*IN_BITS-1:0] data;
  logic [DIM-1:0] mask;
  local_row_t up;

  assign up = LOCAL_ROW_BITS'(pixel);
  assign underflow = block.row >= HALF ? block.row - up < HALF || up > block.row : up > block.row;
  assign out_valid = busy && !underflow;
  assign step = busy && (out_ready || underflow);
  assign in_ready = !busy || (step && pixel == '0);

  localparam int COLUMNS_BITS = PIXEL_BITS + TILE_BITS;
  logic [COLUMNS_BITS-1:0] columns;
  assign columns = COLUMNS_BITS'(pixel) * COLUMNS_BITS'(block.cols);
  always_comb begin
    out_block = block;
    out_block.row = block.row - up;
    out_block.last = block.last && pixel == '0;
    out_data = data;
    out_mask = mask;
    if (pixel != '0) begin
      out_data = data << {columns, 3'b000};
      out_mask = mask << columns;
    end
  end

  always_ff @(posedge clk) begin
    if (in_valid && in_ready) begin
      block <= in_block;
      data  <= in_data;
      mask  <= in_mask;
      pixel <= in_block.pixel_repeats - PIXEL_BITS'(1);
      busy  <= 1'b1;
    end else if (step) begin
      pixel <= pixel - PIXEL_BITS'(1);
      if (pixel == '0) busy <= 1'b0;
    end
    if (rst) busy <= 1'b0;
  end
endmodule
