// Splits rows into Gets, one a cycle (UARCH 3.2).
//
// Holds one row; takes the next in the cycle in which it emits the last Get of the previous one. Each Get takes the lowest free place in
// the transaction table, and two registers (where the generator looks up its TLB) later is at `get_*`: 4 cycles to the memory port.

module row_packetiser
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import load_store_pkg::*;
(
    input  logic                      clk,
    input  logic                      rst,
    input  logic                      row_valid,
    output logic                      row_ready,
    input  load_row_t                 row,
    // what to do with the answer
    output logic                      reserve_valid,
    input  logic                      reserve_ready,
    input  logic [IN_FLIGHT_BITS-1:0] reserve_id,
    output load_row_t                 reserve_row,  // of its first block
    output logic [3:0]                reserve_size,
    output line_offset_t              reserve_shift,  // useless bytes at the start
    output row_bytes_t                reserve_useful,  // then useful ones
    output row_bytes_t                reserve_offset,  // place of the first in its row of the private memory
    // Gets
    output logic                      get_valid,
    input  logic                      get_ready,
    output logic [63:0]               get_addr,
    output logic [3:0]                get_size,
    output logic [IN_FLIGHT_BITS-1:0] get_id,
    output logic                      waits_for_id
);
  localparam int WIDE_BITS = DIM_BITS + 2;

  logic busy, last, stage_ready;
  load_row_t held;
  row_bytes_t sent, left;
  logic [63:0] dram, line;
  request_t request;

  assign dram = held.dram + 64'(sent);
  assign left = (ROW_BYTES_BITS'(held.cols) << (held.wide ? 2 : 0)) - sent;
  assign request = best_request(MAX_SIZE'(dram), left);
  assign last = request.useful == left;
  assign line = {dram[63:MAX_SIZE], aligned_offset(dram[MAX_SIZE-1:0], request.size)};

  assign reserve_valid = busy && stage_ready;
  assign reserve_size = request.size;
  assign reserve_shift = MAX_SIZE'(dram) - MAX_SIZE'(line);
  assign reserve_useful = request.useful;
  assign waits_for_id = busy && !reserve_ready;

  // Which block of the row the Get starts in, and where.
  row_bytes_t block;
  always_comb begin
    block = held.wide ? sent >> WIDE_BITS : sent >> DIM_BITS;
    reserve_offset = sent - (held.wide ? block << WIDE_BITS : block << DIM_BITS);
    reserve_row = held;
    reserve_row.row = held.row + LOCAL_ROW_BITS'(LOCAL_ROW_BITS'(block) * held.block_stride);
  end

  logic fire;
  assign fire = reserve_valid && reserve_ready;
  assign row_ready = !busy || (fire && last);
  always_ff @(posedge clk) begin
    if (row_valid && row_ready) begin
      held <= row;
      sent <= '0;
      busy <= 1'b1;
    end else if (fire) begin
      sent <= sent + request.useful;
      if (last) busy <= 1'b0;
    end
    if (rst) busy <= 1'b0;
  end

  // Two registers that pass on
  localparam int WIDTH = 64 + 4 + IN_FLIGHT_BITS;
  logic [WIDTH-1:0] first, second;
  logic first_valid, second_valid, first_ready;
  assign first_ready = !second_valid || get_ready;
  assign stage_ready = !first_valid || first_ready;
  assign get_valid = second_valid;
  assign {get_addr, get_size, get_id} = second;
  always_ff @(posedge clk) begin
    if (stage_ready) first_valid <= fire;
    if (fire) first <= {line, request.size, reserve_id};
    if (first_ready) second_valid <= first_valid;
    if (first_ready && first_valid) second <= first;
    if (rst) begin
      first_valid  <= 1'b0;
      second_valid <= 1'b0;
    end
  end
endmodule
