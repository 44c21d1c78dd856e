// Rows on their way from the private memories to DRAM: reads them in order, and scales, activates and saturates those of the accumulator.
//
// Timing (UARCH 4.2): requests pass four queues: dispatch (read of the memory), norm (row on its way), scale, and issue (row in the scale,
// or in the scratchpad's queue). From a read of the accumulator to the row at `write_block`: 10 cycles, of which the scale takes
// ACC_SCALE_LATENCY. As a request stays in the issue queue for these, STORE_ISSUE_QUEUE rows can pass in that time: 1.6 cycles a row.
// Rows that the execute controller reads pass the same scale, without the queues. The order is RELU, scale, saturation.

module store_pipeline
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import load_store_pkg::*;
(
    input  logic                    clk,
    input  logic                    rst,
    input  logic                    store_block_valid,
    output logic                    store_block_ready,
    input  store_block_t            store_block,
    output logic                    store_read_valid,
    output st_tracker_t             store_read_tracker,
    // reads of the memories; the row number is that of the whole memory
    output logic                    st_spad_read_valid,
    input  logic                    st_spad_read_ready,
    output local_row_t              st_spad_read_row,
    input  logic                    st_spad_resp_valid,
    output logic                    st_spad_resp_ready,
    input  logic [DIM*IN_BITS-1:0]  st_spad_resp_data,
    output logic                    st_acc_read_valid,
    input  logic                    st_acc_read_ready,
    output local_row_t              st_acc_read_row,
    // rows of the accumulator on their way out, of stores and of the execute controller
    input  logic                    acc_row_valid,
    output logic                    acc_row_ready,
    input  logic                    acc_row_from_store,
    input  logic [ACC_BANK_BITS-1:0] acc_row_bank,
    input  logic [DIM*ACC_BITS-1:0] acc_row_data,
    input  logic [31:0]             acc_row_ex_scale,
    input  logic [2:0]              acc_row_ex_act,
    output logic [ACC_BANKS-1:0]    ex_acc_resp_valid,
    input  logic [ACC_BANKS-1:0]    ex_acc_resp_ready,
    output logic [ACC_BANKS*DIM*IN_BITS-1:0] ex_acc_resp_data,
    // blocks to the writer
    output logic                    write_block_valid,
    input  logic                    write_block_ready,
    output store_block_t            write_block,
    output logic [DIM*ACC_BITS-1:0] write_block_data,
    output logic                    store_pipeline_busy
);
  localparam int ROW_QUEUE = 2;

  // Requests
  logic dispatch_valid, dispatch_ready, norm_in_valid, norm_in_ready, norm_valid, norm_ready;
  logic scale_in_valid, scale_in_ready, scale_valid, scale_ready, issue_in_valid, issue_in_ready, issue_valid, issue_ready;
  store_block_t dispatch, issue;
  /* verilator lint_off UNUSEDSIGNAL */  // not every field matters at every place
  store_block_t norm, scale;
  /* verilator lint_on UNUSEDSIGNAL */
  /* verilator lint_off PINCONNECTEMPTY */
  queue #(
      .WIDTH(STORE_BLOCK_BITS),
      .ENTRIES(STORE_DISPATCH_QUEUE)
  ) dispatch_queue (
      .clk(clk),
      .rst(rst),
      .in_valid(store_block_valid),
      .in_ready(store_block_ready),
      .in_data(store_block),
      .out_valid(dispatch_valid),
      .out_ready(dispatch_ready),
      .out_data(dispatch),
      .count()
  );
  queue #(
      .WIDTH(STORE_BLOCK_BITS),
      .ENTRIES(STORE_NORM_QUEUE)
  ) norm_queue (
      .clk(clk),
      .rst(rst),
      .in_valid(norm_in_valid),
      .in_ready(norm_in_ready),
      .in_data(dispatch),
      .out_valid(norm_valid),
      .out_ready(norm_ready),
      .out_data(norm),
      .count()
  );
  queue #(
      .WIDTH(STORE_BLOCK_BITS),
      .ENTRIES(STORE_SCALE_QUEUE)
  ) scale_queue (
      .clk(clk),
      .rst(rst),
      .in_valid(scale_in_valid),
      .in_ready(scale_in_ready),
      .in_data(norm),
      .out_valid(scale_valid),
      .out_ready(scale_ready),
      .out_data(scale),
      .count()
  );
  queue #(
      .WIDTH(STORE_BLOCK_BITS),
      .ENTRIES(STORE_ISSUE_QUEUE),
      .PIPE(1'b1)
  ) issue_queue (
      .clk(clk),
      .rst(rst),
      .in_valid(issue_in_valid),
      .in_ready(issue_in_ready),
      .in_data(scale),
      .out_valid(issue_valid),
      .out_ready(issue_ready),
      .out_data(issue),
      .count()
  );
  /* verilator lint_on PINCONNECTEMPTY */
  assign store_pipeline_busy = dispatch_valid || norm_valid || scale_valid || issue_valid;

  // Dispatch: read the row, and pass the request on
  assign st_spad_read_valid = dispatch_valid && norm_in_ready && !dispatch.garbage && !dispatch.is_acc;
  assign st_acc_read_valid = dispatch_valid && norm_in_ready && !dispatch.garbage && dispatch.is_acc;
  assign st_spad_read_row = dispatch.row;
  assign st_acc_read_row = dispatch.row;
  assign norm_in_valid = dispatch_valid && (dispatch.garbage || (dispatch.is_acc ? st_acc_read_valid && st_acc_read_ready :
      st_spad_read_valid && st_spad_read_ready));
  assign dispatch_ready = norm_in_valid && norm_in_ready;
  assign store_read_valid = dispatch_ready;
  assign store_read_tracker = dispatch.tracker;

  // Norm: a row of the accumulator goes with its request into a queue of its own; other requests just pass.
  logic norm_wants_row, row_taken, row_queue_ready;
  assign norm_wants_row = norm.is_acc && !norm.garbage;
  assign acc_row_ready = row_queue_ready && (!acc_row_from_store || (norm_valid && norm_wants_row && scale_in_ready));
  assign row_taken = acc_row_valid && acc_row_ready;
  assign scale_in_valid = norm_valid && (!norm_wants_row || (row_taken && acc_row_from_store));
  assign norm_ready = scale_in_ready && (!norm_wants_row || (row_taken && acc_row_from_store));

  logic row_valid, row_ready, row_from_store;
  logic [ACC_BANK_BITS-1:0] row_bank;
  logic [31:0] row_ex_scale;
  logic [2:0] row_ex_act;
  logic [DIM*ACC_BITS-1:0] row_data;
  /* verilator lint_off PINCONNECTEMPTY */
  queue #(
      .WIDTH(1 + ACC_BANK_BITS + 32 + 3 + DIM * ACC_BITS),
      .ENTRIES(ROW_QUEUE)
  ) row_queue (
      .clk(clk),
      .rst(rst),
      .in_valid(row_taken),
      .in_ready(row_queue_ready),
      .in_data({acc_row_from_store, acc_row_bank, acc_row_ex_scale, acc_row_ex_act, acc_row_data}),
      .out_valid(row_valid),
      .out_ready(row_ready),
      .out_data({row_from_store, row_bank, row_ex_scale, row_ex_act, row_data}),
      .count()
  );
  /* verilator lint_on PINCONNECTEMPTY */

  // Scale: a request whose row goes into the scale moves on to the issue queue in that cycle; other requests just pass.
  logic scale_wants_row, enter_valid, enter_ready, enter;
  assign scale_wants_row = scale.is_acc && !scale.garbage;
  assign enter_valid = row_valid && (!row_from_store || (scale_valid && scale_wants_row && issue_in_ready));
  assign enter = enter_valid && enter_ready;
  assign row_ready = enter;
  assign issue_in_valid = scale_valid && (!scale_wants_row || (enter && row_from_store));
  assign scale_ready = issue_in_ready && (!scale_wants_row || (enter && row_from_store));

  logic scaled_valid, scaled_ready, scaled_from_store;
  logic [ACC_BANK_BITS-1:0] scaled_bank;
  logic [DIM*ACC_BITS-1:0] scaled_data;
  row_scale scaler (
      .clk(clk),
      .rst(rst),
      .in_valid(enter_valid),
      .in_ready(enter_ready),
      .in_tag({row_from_store, row_bank}),
      .in_full(row_from_store && scale.full_width),
      .in_relu(row_from_store ? scale.activation == ACTIVATION_RELU : row_ex_act == ACTIVATION_RELU),
      .in_scale(row_from_store ? scale.scale : row_ex_scale),
      .in_data(row_data),
      .out_valid(scaled_valid),
      .out_ready(scaled_ready),
      .out_tag({scaled_from_store, scaled_bank}),
      .out_data(scaled_data)
  );

  // Issue: the request meets its row.
  logic from_scale, from_spad;
  assign from_scale = issue.is_acc && !issue.garbage;
  assign from_spad = !issue.is_acc && !issue.garbage;
  assign write_block = issue;
  assign write_block_valid = issue_valid && (issue.garbage || (from_scale ? scaled_valid && scaled_from_store : st_spad_resp_valid));
  assign issue_ready = write_block_valid && write_block_ready;
  assign st_spad_resp_ready = issue_valid && from_spad && write_block_ready;
  always_comb begin
    write_block_data = '0;
    if (issue_valid && from_scale) write_block_data = scaled_data;
    else if (issue_valid && from_spad) write_block_data[DIM*IN_BITS-1:0] = st_spad_resp_data;
  end

  // Rows for the execute controller
  always_comb begin
    ex_acc_resp_valid = '0;
    ex_acc_resp_valid[scaled_bank] = scaled_valid && !scaled_from_store;
    ex_acc_resp_data = '0;
    if (scaled_valid && !scaled_from_store)
      for (int b = 0; b < ACC_BANKS; b++) ex_acc_resp_data[b*DIM*IN_BITS+:DIM*IN_BITS] = scaled_data[DIM*IN_BITS-1:0];
  end
  assign scaled_ready = scaled_from_store ? issue_valid && from_scale && write_block_ready : ex_acc_resp_ready[scaled_bank];
endmodule
