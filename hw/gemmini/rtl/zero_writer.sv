// Rows of zeros: what an mvin from DRAM address 0 writes (UARCH 3.4).
//
// Holds one row, hands out one block of DIM columns a cycle, and takes the next row in the cycle in which the last one leaves.

module zero_writer
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import load_store_pkg::*;
(
    input  logic           clk,
    input  logic           rst,
    input  logic           row_valid,
    output logic           row_ready,
    input  load_row_t      row,
    output logic           out_valid,
    input  logic           out_ready,
    output load_block_t    out_block,
    output logic [DIM-1:0] out_mask
);
  /* verilator lint_off UNUSEDSIGNAL */  // not every field of the shared type matters here
  load_row_t held;
  /* verilator lint_on UNUSEDSIGNAL */
  move_cols_t left;
  logic busy, last;

  assign last = left <= MOVE_COLS_BITS'(DIM);
  assign row_ready = !busy || (out_ready && last);
  assign out_valid = busy;
  assign out_mask = last ? ~({DIM{1'b1}} << left) : '1;
  assign out_block.is_acc = held.is_acc;
  assign out_block.accumulate = held.accumulate;
  assign out_block.row = held.row;
  assign out_block.cols = TILE_BITS'(held.cols);
  assign out_block.pixel_repeats = held.pixel_repeats;
  assign out_block.last = last;
  assign out_block.bytes = ROW_BYTES_BITS'(held.cols) << (held.wide ? 2 : 0);
  assign out_block.tracker = held.tracker;

  always_ff @(posedge clk) begin
    if (row_valid && row_ready) begin
      held <= row;
      left <= row.cols;
      busy <= 1'b1;
    end else if (busy && out_ready) begin
      held.row <= held.row + held.block_stride;
      left <= left - MOVE_COLS_BITS'(DIM);
      if (last) busy <= 1'b0;
    end
    if (rst) busy <= 1'b0;
  end
endmodule
