// Between the execute controller and the array: operand registers, the operation under way, the transposer, and the tags that
// tell where results go.
//
// A request opens an operation of req_rows rows; rows of A, B and D arrive each on its own channel, and when all three are here the
// row enters the array. The next request is taken with the last row of the one before. A flush pushes DIM rows with zeros for A.
// Results of a preload's C leave with the next operation (weight-stationary) or the one after it (output-stationary), so a
// tag waits in a queue until the operation with its number comes out (GEMMINI_UARCH 6.3 to 6.6).
//
// Timing: first row and request in cycle m, in the array's input m + 1, results from m + 1 + 2*DIM on. MESH_IN_FLIGHT + 1 tags: that
// many operations can be open, which bounds short ones to (rows + 2*DIM + 1) / MESH_IN_FLIGHT cycles each.

module mesh_sequencer
  import gemmini_config_pkg::*;
  import execute_pkg::*;
(
    input  logic                    clk,
    input  logic                    rst,
    // operands: a row for those with valid
    input  logic                    a_valid,
    output logic                    a_ready,
    input  logic [DIM*IN_BITS-1:0]  a_row,
    input  logic                    b_valid,
    output logic                    b_ready,
    input  logic [DIM*IN_BITS-1:0]  b_row,
    input  logic                    d_valid,
    output logic                    d_ready,
    input  logic [DIM*IN_BITS-1:0]  d_row,
    // operations
    input  logic                    req_valid,
    output logic                    req_ready,
    input  logic                    req_flush,
    input  logic                    req_flip,
    input  logic                    req_os,
    input  logic [4:0]              req_shift,
    input  logic                    req_a_transpose,
    input  logic                    req_bd_transpose,
    input  logic [ROWS_BITS-1:0]    req_rows,
    input  logic                    req_tag_real,
    input  logic [TAG_BITS-1:0]     req_tag,
    // result rows
    output logic                    resp_valid,
    output logic                    resp_last,
    output logic                    resp_real,
    output logic [TAG_BITS-1:0]     resp_tag,
    output logic [ROWS_BITS-1:0]    resp_rows,
    output logic [DIM*ACC_BITS-1:0] resp_data,
    // tags under way; another dataflow counts operations otherwise, so tags without results are dropped before it
    input  logic                    forget_tags,
    output logic [TAGS-1:0]         tags_real,
    output logic [TAGS*TAG_BITS-1:0] tags
);
  localparam NUMBER_BITS = $clog2(MESH_IN_FLIGHT);
  localparam PTR_BITS = $clog2(TAGS);
  localparam DEPTH = 2 * DIM;
  localparam ROW_BITS = DIM * IN_BITS;

  function automatic logic [NUMBER_BITS-1:0] plus(input logic [NUMBER_BITS-1:0] x, input logic [1:0] n);
    logic [NUMBER_BITS:0] sum;
    sum  = {1'b0, x} + (NUMBER_BITS + 1)'(n);
    if (sum >= (NUMBER_BITS + 1)'(MESH_IN_FLIGHT)) sum = sum - (NUMBER_BITS + 1)'(MESH_IN_FLIGHT);
    plus = sum[NUMBER_BITS-1:0];
  endfunction

  function automatic logic [PTR_BITS-1:0] next(input logic [PTR_BITS-1:0] x);
    next = x == PTR_BITS'(TAGS - 1) ? '0 : x + 1'b1;
  endfunction

  // The operation under way
  logic busy, flushing, os, a_transpose, bd_transpose, propagate;
  logic [4:0] shift;
  logic [ROWS_BITS-1:0] rows, row;
  logic [NUMBER_BITS-1:0] number;
  logic [ROW_BITS-1:0] a, b, d;
  logic a_here, b_here, d_here;
  logic row_enters, last_row, tags_full, row_counts_full;

  assign row_enters = busy && ((a_here && b_here && d_here) || flushing);
  assign last_row = row_enters && row == rows - 1'b1;
  assign req_ready = (!busy || last_row) && !tags_full && !row_counts_full && !pause;
  assign a_ready = !a_here || row_enters || req_ready;
  assign b_ready = !b_here || row_enters || req_ready;
  assign d_ready = !d_here || row_enters || req_ready;

  logic take;
  assign take = req_valid && req_ready;

  // In an array smaller than MIN_ROWS, operations keep apart: results for the same rows must not follow each other any closer.
  logic pause;
  if (DIM < MIN_ROWS) begin : small_array
    logic [MIN_ROWS-DIM-1:0] since;
    assign pause = last_row || since != '0;
    always_ff @(posedge clk) since <= rst ? '0 : (MIN_ROWS - DIM)'({since, last_row});
  end else begin : no_pause
    assign pause = 1'b0;
  end

  always_ff @(posedge clk) begin
    if (take) begin
      busy <= 1'b1;
      flushing <= req_flush;
      os <= req_os;
      shift <= req_shift;
      a_transpose <= req_a_transpose;
      bd_transpose <= req_bd_transpose;
      rows <= req_rows;
      propagate <= propagate ^ req_flip;
      number <= plus(number, 2'd1);
    end else if (last_row) busy <= 1'b0;
    if (row_enters) begin
      a_here <= 1'b0;
      b_here <= 1'b0;
      d_here <= 1'b0;
      row <= last_row ? '0 : row + 1'b1;
    end
    if (a_valid && a_ready) begin
      a_here <= 1'b1;
      a <= a_row;
    end
    if (b_valid && b_ready) begin
      b_here <= 1'b1;
      b <= b_row;
    end
    if (d_valid && d_ready) begin
      d_here <= 1'b1;
      d <= d_row;
    end
    if (rst) begin
      busy <= 1'b0;
      propagate <= 1'b0;
      number <= '0;
      row <= '0;
      a_here <= 1'b0;
      b_here <= 1'b0;
      d_here <= 1'b0;
    end
  end

  // Transposed operands: D enters the transposer backwards, because its rows come last one first
  logic a_turns, b_turns, d_turns;
  logic [ROW_BITS-1:0] turned, column, backwards, d_backwards, to_turn;

  assign a_turns = os != a_transpose;
  assign b_turns = os && bd_transpose;
  assign d_turns = !os && bd_transpose;
  for (genvar i = 0; i < DIM; i++) begin : reversal
    assign d_backwards[i*IN_BITS+:IN_BITS] = d[(DIM-1-i)*IN_BITS+:IN_BITS];
    assign backwards[i*IN_BITS+:IN_BITS]   = column[(DIM-1-i)*IN_BITS+:IN_BITS];
  end
  assign to_turn = b_turns ? b : d_turns ? d_backwards : a;
  assign turned  = d_turns ? backwards : column;

  transposer transposer (
      .clk,
      .rst,
      .in_valid(row_enters && (a_turns || b_turns || d_turns)),
      .in_row(to_turn),
      .out_column(column)
  );

  // The array, and beside it the number of each row's operation and whether it is the last row
  logic [DEPTH-1:0] on_the_way, last_pipe;
  logic [DEPTH*NUMBER_BITS-1:0] number_pipe;
  logic [NUMBER_BITS-1:0] out_number;

  mesh mesh (
      .clk,
      .rst,
      .in_valid(row_enters),
      .in_propagate(propagate),
      .in_os(os),
      .in_shift(shift),
      .in_a(flushing ? '0 : a_turns ? turned : a),  // sums that stay in the array must not change
      .in_b(b_turns ? turned : b),
      .in_d(d_turns ? turned : d),
      .out_data(resp_data),
      .on_the_way
  );

  always_ff @(posedge clk)
    if (row_enters || on_the_way != '0) begin
      last_pipe   <= {last_pipe[DEPTH-2:0], last_row};
      number_pipe <= {number_pipe[(DEPTH-1)*NUMBER_BITS-1:0], number};
    end

  assign resp_valid = on_the_way[DEPTH-1];
  assign resp_last  = last_pipe[DEPTH-1];
  assign out_number = number_pipe[(DEPTH-1)*NUMBER_BITS+:NUMBER_BITS];

  // Tags, and how many rows each operation has; both in order of the requests, found by the number of the operation they wait for
  logic [PTR_BITS-1:0] tag_head, tag_tail;
  logic [PTR_BITS:0] tag_count;
  logic [TAGS*NUMBER_BITS-1:0] tag_numbers;
  logic tag_push, tag_pop, tag_match;

  assign tags_full = tag_count == (PTR_BITS + 1)'(TAGS);
  assign tag_push  = take && !req_flush;
  assign tag_match = tag_count != '0 && tag_numbers[tag_head*NUMBER_BITS+:NUMBER_BITS] == out_number;
  assign tag_pop   = resp_valid && resp_last && tag_match;
  assign resp_tag  = tags[tag_head*TAG_BITS+:TAG_BITS];
  assign resp_real = tag_match && tags_real[tag_head];

  logic [PTR_BITS-1:0] rows_head, rows_tail;
  logic [PTR_BITS:0] rows_count;
  logic [TAGS*NUMBER_BITS-1:0] rows_numbers;
  logic [TAGS*ROWS_BITS-1:0] rows_of;
  logic rows_pop, rows_match;

  assign row_counts_full = rows_count == (PTR_BITS + 1)'(TAGS);
  assign rows_match = rows_count != '0 && rows_numbers[rows_head*NUMBER_BITS+:NUMBER_BITS] == out_number;
  assign rows_pop = resp_valid && resp_last && rows_match;
  assign resp_rows = rows_match ? rows_of[rows_head*ROWS_BITS+:ROWS_BITS] : ROWS_BITS'(DIM);

  always_ff @(posedge clk) begin
    if (tag_pop) begin
      tags_real[tag_head] <= 1'b0;
      tag_head <= next(tag_head);
    end
    if (rows_pop) rows_head <= next(rows_head);
    if (tag_push) begin
      tags_real[tag_tail] <= req_tag_real;
      tags[tag_tail*TAG_BITS+:TAG_BITS] <= req_tag;
      tag_numbers[tag_tail*NUMBER_BITS+:NUMBER_BITS] <= plus(number, req_os ? 2'd3 : 2'd2);
      tag_tail <= next(tag_tail);
      rows_of[rows_tail*ROWS_BITS+:ROWS_BITS] <= req_rows;
      rows_numbers[rows_tail*NUMBER_BITS+:NUMBER_BITS] <= plus(number, 2'd1);
      rows_tail <= next(rows_tail);
    end
    if (tag_push != tag_pop) tag_count <= tag_push ? tag_count + 1'b1 : tag_count - 1'b1;
    if (tag_push != rows_pop) rows_count <= tag_push ? rows_count + 1'b1 : rows_count - 1'b1;
    if (rst || forget_tags) begin
      tags_real <= '0;
      tag_head <= '0;
      tag_tail <= '0;
      tag_count <= '0;
    end
    if (rst) begin
      rows_head <= '0;
      rows_tail <= '0;
      rows_count <= '0;
    end
  end
endmodule
