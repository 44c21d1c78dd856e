// One moving part of loop_ws_unroller: walks the tiles of a matrix and makes one mvin or mvout for up to four neighbours in a row of tiles.
//
// The outer loop is over one dimension of the matrix, the inner over the other; `outer_is_row` says which is which. The dimension that
// runs along a row steps by `blocks` tiles (a command carries that many), the other by one. Addresses are carried along by addition.
//
// Timing: a request accepted at t makes its first command at t+1, then one a cycle while `hold` is low and the command is taken. A null
// DRAM address makes none: the part is idle again at t+2 (GEMMINI_UARCH section 7.1). The tile positions are those of the next command.

module loop_ws_mover
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
#(
    parameter bit ROWS_UNPADDED = 1'b0  // the last row of tiles is not shortened (the B loader, GEMMINI_UARCH section 7.2)
) (
    input  logic                clk,
    input  logic                rst,
    input  logic                req_valid,
    output logic                req_ready,
    input  logic                req_slot,
    input  logic                req_residual,
    input  logic                req_outer_is_row,
    input  logic [15:0]         req_outer_tiles,
    input  logic [15:0]         req_inner_tiles,
    input  logic [DIM_BITS-1:0] req_outer_pad,
    input  logic [DIM_BITS-1:0] req_inner_pad,
    input  logic [63:0]         req_dram,
    input  logic [63:0]         req_stride,  // elements
    input  logic                req_wide,  // elements of four bytes
    input  logic [15:0]         req_max_blocks,
    input  logic [31:0]         req_local,
    input  logic                hold,
    output logic                cmd_valid,
    input  logic                cmd_ready,
    output logic [63:0]         cmd_dram,
    output logic [63:0]         cmd_local,
    output logic [15:0]         outer,
    output logic [15:0]         inner,
    output logic [15:0]         blocks,
    output logic                slot,
    output logic                residual,
    output logic                idle
);
  logic outer_is_row, wide, last_outer, last_inner;
  logic [15:0] outer_tiles, inner_tiles, max_blocks;
  logic [DIM_BITS-1:0] outer_pad, inner_pad;
  logic [63:0] stride, dram, dram_of_outer;
  logic [31:0] local_address, local_of_outer;

  // The part of the position that runs along a row of tiles, and the other.
  logic [15:0] column, columns, row_tiles, row, step_outer, step_inner;
  logic [DIM_BITS-1:0] column_pad, row_pad;
  assign row = outer_is_row ? outer : inner;
  assign row_tiles = outer_is_row ? outer_tiles : inner_tiles;
  assign row_pad = outer_is_row ? outer_pad : inner_pad;
  assign column = outer_is_row ? inner : outer;
  assign columns = outer_is_row ? inner_tiles : outer_tiles;
  assign column_pad = outer_is_row ? inner_pad : outer_pad;
  assign blocks = columns - column < max_blocks ? columns - column : max_blocks;
  assign step_outer = outer_is_row ? 16'd1 : max_blocks;
  assign step_inner = outer_is_row ? max_blocks : 16'd1;
  assign last_inner = 17'(inner) + 17'(step_inner) >= 17'(inner_tiles);
  assign last_outer = 17'(outer) + 17'(step_outer) >= 17'(outer_tiles);

  logic [15:0] rows, cols;
  assign cols = (blocks << DIM_BITS) - (column + blocks == columns ? 16'(column_pad) : 16'd0);
  assign rows = 16'(DIM) - (!ROWS_UNPADDED && row + 16'd1 == row_tiles ? 16'(row_pad) : 16'd0);

  // How far a step goes in DRAM and in private memory.
  logic [63:0] dram_row_step, dram_column_step;
  logic [31:0] local_row_step, local_column_step;
  assign dram_row_step = (wide ? stride << 2 : stride) << DIM_BITS;
  assign dram_column_step = wide ? 64'(max_blocks) << (DIM_BITS + 2) : 64'(max_blocks) << DIM_BITS;
  assign local_row_step = 32'(columns) << DIM_BITS;
  assign local_column_step = 32'(max_blocks) << DIM_BITS;

  assign req_ready = idle;
  assign cmd_valid = !idle && !hold && dram != '0;
  assign cmd_dram = dram;
  assign cmd_local = {rows, cols, local_address};

  always_ff @(posedge clk) begin
    if (idle) begin
      if (req_valid) begin
        idle <= 1'b0;
        slot <= req_slot;
        residual <= req_residual;
        outer_is_row <= req_outer_is_row;
        outer_tiles <= req_outer_tiles;
        inner_tiles <= req_inner_tiles;
        outer_pad <= req_outer_pad;
        inner_pad <= req_inner_pad;
        stride <= req_stride;
        wide <= req_wide;
        max_blocks <= (req_outer_is_row ? req_inner_tiles : req_outer_tiles) < req_max_blocks ?
                      (req_outer_is_row ? req_inner_tiles : req_outer_tiles) : req_max_blocks;
        outer <= '0;
        inner <= '0;
        dram <= req_dram;
        dram_of_outer <= req_dram;
        local_address <= req_local;
        local_of_outer <= req_local;
      end
    end else if (dram == '0) idle <= 1'b1;
    else if (cmd_valid && cmd_ready) begin
      if (!last_inner) begin
        inner <= inner + step_inner;
        dram <= dram + (outer_is_row ? dram_column_step : dram_row_step);
        local_address <= local_address + (outer_is_row ? local_column_step : local_row_step);
      end else begin
        inner <= '0;
        outer <= last_outer ? '0 : outer + step_outer;
        idle <= last_outer;
        dram <= dram_of_outer + (outer_is_row ? dram_row_step : dram_column_step);
        dram_of_outer <= dram_of_outer + (outer_is_row ? dram_row_step : dram_column_step);
        local_address <= local_of_outer + (outer_is_row ? local_row_step : local_column_step);
        local_of_outer <= local_of_outer + (outer_is_row ? local_row_step : local_column_step);
      end
    end
    if (rst) begin
      idle  <= 1'b1;
      slot  <= 1'b0;
      outer <= '0;
      inner <= '0;
    end
  end
endmodule
