// The accumulator: ACC_BANKS banks of int32 rows, with a read and a write port each.
//
// Timing (UARCH 5.2): a write passes two registers and is in the memory ACC_LATENCY cycles after its acceptance. One that accumulates reads
// the old row in the cycle of its acceptance; the sum is made in the next. So does one with parts of elements (of int32 rows at odd DRAM
// addresses, split between two Gets), which keeps the other parts. Reads are answered the cycle after. A read is refused while an accumulating write is presented to the bank, while a write to its row is in the registers, and while
// the row read before waits. The execute controller's writes are always taken. Those of loads and zeros wait for them, and, if they
// accumulate, for writes to their row.

module accumulator
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
(
    input  logic                                     clk,
    input  logic                                     rst,
    // execute controller, a bank each; scaled answers come from the store pipeline
    input  logic [ACC_BANKS-1:0]                     ex_acc_read_valid,
    output logic [ACC_BANKS-1:0]                     ex_acc_read_ready,
    input  logic [ACC_BANKS*ACC_ROW_BITS-1:0]   ex_acc_read_row,
    input  logic [31:0]                              ex_acc_scale,
    input  logic [2:0]                               ex_acc_act,
    input  logic [ACC_BANKS-1:0]                     ex_acc_write_valid,
    input  logic [ACC_BANKS*ACC_ROW_BITS-1:0]   ex_acc_write_row,
    input  logic [ACC_BANKS*DIM*ACC_BITS-1:0]   ex_acc_write_data,
    input  logic [ACC_BANKS*DIM-1:0]            ex_acc_write_mask,  // a bit an element
    input  logic [ACC_BANKS-1:0]                     ex_acc_write_accumulate,
    // loads; row numbers of the whole memory
    input  logic                                     dma_acc_write_valid,
    output logic                                     dma_acc_write_ready,
    /* verilator lint_off UNUSEDSIGNAL */  // only as many bits of a row number as the accumulator has
    input  local_row_t                               dma_acc_write_row,
    /* verilator lint_on UNUSEDSIGNAL */
    input  logic [DIM*ACC_BITS-1:0]                  dma_acc_write_data,
    input  logic [4*DIM-1:0]                         dma_acc_write_mask,  // bytes
    input  logic                                     dma_acc_write_accumulate,
    input  logic                                     zero_acc_write_valid,
    output logic                                     zero_acc_write_ready,
    /* verilator lint_off UNUSEDSIGNAL */  // only as many bits of a row number as the accumulator has
    input  local_row_t                               zero_acc_write_row,
    /* verilator lint_on UNUSEDSIGNAL */
    input  logic [DIM-1:0]                           zero_acc_write_mask,
    input  logic                                     zero_acc_write_accumulate,
    // stores
    input  logic                                     st_acc_read_valid,
    output logic                                     st_acc_read_ready,
    /* verilator lint_off UNUSEDSIGNAL */  // only as many bits of a row number as the accumulator has
    input  local_row_t                               st_acc_read_row,
    /* verilator lint_on UNUSEDSIGNAL */
    // rows read, to the store pipeline, where they are scaled
    output logic                                     acc_row_valid,
    input  logic                                     acc_row_ready,
    output logic                                     acc_row_from_store,
    output logic [ACC_BANK_BITS-1:0]                 acc_row_bank,
    output logic [DIM*ACC_BITS-1:0]                  acc_row_data,
    output logic [31:0]                              acc_row_ex_scale,
    output logic [2:0]                               acc_row_ex_act
);
  localparam int ROW_BITS = ACC_BANK_BITS + ACC_ROW_BITS + 1;
  typedef logic [ROW_BITS-1:0] row_t;

  logic [ACC_BANKS-1:0] dma_taken, zero_taken, store_taken;
  logic [ACC_BANKS-1:0] out_valid, out_from_store, out_taken, store_waits;
  logic [ACC_BANKS*DIM*ACC_BITS-1:0] out_data;
  logic [ACC_BANKS*32-1:0] out_scale;
  logic [ACC_BANKS*3-1:0] out_act;
  assign dma_acc_write_ready  = dma_taken != '0;
  assign zero_acc_write_ready = zero_taken != '0;
  assign st_acc_read_ready = store_taken != '0;

  // Rows out: one bank a cycle, the lowest first. A store's row never waits in two banks, so that they stay in order.
  assign acc_row_valid = out_valid != '0;
  always_comb begin
    acc_row_bank = '0;
    for (int b = ACC_BANKS - 1; b >= 0; b--) if (out_valid[b]) acc_row_bank = ACC_BANK_BITS'(b);
  end
  always_comb begin
    out_taken = '0;
    out_taken[acc_row_bank] = acc_row_ready;
  end
  always_comb begin
    acc_row_data = '0;
    if (acc_row_valid) acc_row_data = out_data[acc_row_bank*DIM*ACC_BITS+:DIM*ACC_BITS];
  end
  assign acc_row_from_store = out_from_store[acc_row_bank];
  assign acc_row_ex_scale = out_scale[acc_row_bank*32+:32];
  assign acc_row_ex_act = out_act[acc_row_bank*3+:3];

  // Elements that a loaded row has, and whether it has parts of some
  logic [DIM-1:0] dma_elements;
  logic dma_partial;
  always_comb begin
    dma_elements = '0;
    dma_partial = 1'b0;
    if (dma_acc_write_valid)
      for (int i = 0; i < DIM; i++) begin
        dma_elements[i] = dma_acc_write_mask[i*4+:4] != '0;
        if (dma_elements[i] && dma_acc_write_mask[i*4+:4] != '1) dma_partial = 1'b1;
      end
  end

  generate
    for (genvar b = 0; b < ACC_BANKS; b++) begin : g_bank
      logic [DIM*ACC_BITS-1:0] mem[0:ACC_BANK_ROWS-1];

      // Requests for this bank. Row numbers of banks that do not hold a power of two of rows need the subtraction.
      logic dma_here, zero_here, store_here;
      row_t dma_row, zero_row, store_row;
      assign dma_row = ROW_BITS'(dma_acc_write_row) - ROW_BITS'(b * ACC_BANK_ROWS);
      assign zero_row = ROW_BITS'(zero_acc_write_row) - ROW_BITS'(b * ACC_BANK_ROWS);
      assign store_row = ROW_BITS'(st_acc_read_row) - ROW_BITS'(b * ACC_BANK_ROWS);
      assign dma_here = dma_acc_write_valid && 32'(dma_row) < ACC_BANK_ROWS;
      assign zero_here = zero_acc_write_valid && 32'(zero_row) < ACC_BANK_ROWS;
      assign store_here = st_acc_read_valid && 32'(store_row) < ACC_BANK_ROWS;

      // The write of this cycle
      logic write, presented_accumulate, accumulate, collides;
      logic [ACC_ROW_BITS-1:0] write_row;
      logic first_valid, first_accumulate, first_partial, second_valid;
      logic [ACC_ROW_BITS-1:0] first_row, second_row;
      logic [DIM*ACC_BITS-1:0] first_data, second_data, old;
      logic [4*DIM-1:0] first_bytes;  // of elements that are there in part
      logic [DIM-1:0] first_mask, second_mask;
      always_comb begin
        write_row = ex_acc_write_row[b*ACC_ROW_BITS+:ACC_ROW_BITS];
        accumulate = ex_acc_write_accumulate[b];
        if (!ex_acc_write_valid[b]) begin
          write_row = dma_here ? dma_row[ACC_ROW_BITS-1:0] : zero_row[ACC_ROW_BITS-1:0];
          accumulate = dma_here ? dma_acc_write_accumulate || dma_partial : zero_acc_write_accumulate;
        end
      end
      assign presented_accumulate = (ex_acc_write_valid[b] || dma_here || zero_here) && accumulate;
      assign collides = accumulate && ((first_valid && first_row == write_row) || (second_valid && second_row == write_row));
      assign dma_taken[b] = dma_here && !ex_acc_write_valid[b] && !collides;
      assign zero_taken[b] = zero_here && !dma_here && !ex_acc_write_valid[b] && !collides;
      assign write = ex_acc_write_valid[b] || dma_taken[b] || zero_taken[b];

      // The read of this cycle
      logic can_read, read;
      logic [ACC_ROW_BITS-1:0] read_row;
      assign read_row = ex_acc_read_valid[b] ? ex_acc_read_row[b*ACC_ROW_BITS+:ACC_ROW_BITS] : store_row[ACC_ROW_BITS-1:0];
      assign can_read = !presented_accumulate && !(first_valid && first_row == read_row) && !(second_valid && second_row == read_row) &&
          (!out_valid[b] || out_taken[b]);
      assign ex_acc_read_ready[b] = can_read;
      assign store_waits[b] = out_valid[b] && out_from_store[b] && !out_taken[b];
      assign store_taken[b] = store_here && can_read && !ex_acc_read_valid[b] && store_waits == '0;
      assign read = can_read && (ex_acc_read_valid[b] || store_taken[b]);

      // The memory. A row read for accumulation is used in the next cycle; one read for somebody who is not ready moves out of the way.
      logic [ACC_ROW_BITS-1:0] port_row;
      logic held;
      logic [DIM*ACC_BITS-1:0] held_data;
      assign port_row = write && accumulate ? write_row : read_row;
      assign out_data[b*DIM*ACC_BITS+:DIM*ACC_BITS] = held ? held_data : old;
      always_ff @(posedge clk) begin
        if (read || (write && accumulate)) old <= mem[port_row];
      end
      for (genvar i = 0; i < DIM; i++) begin : g_element
        always_ff @(posedge clk)
          if (second_valid && second_mask[i]) mem[second_row][i*ACC_BITS+:ACC_BITS] <= second_data[i*ACC_BITS+:ACC_BITS];
      end
      always_ff @(posedge clk) begin
        if (read) begin
          out_valid[b] <= 1'b1;
          out_from_store[b] <= !ex_acc_read_valid[b];
          out_scale[b*32+:32] <= ex_acc_scale;
          out_act[b*3+:3] <= ex_acc_act;
        end else if (out_taken[b]) begin
          out_valid[b] <= 1'b0;
        end
        held <= out_valid[b] && !out_taken[b];
        if (out_valid[b] && !out_taken[b] && !held) held_data <= old;
        if (rst) begin
          out_valid[b] <= 1'b0;
          held <= 1'b0;
        end
      end

      // The write pipe. Bytes that are not there are zero, so that a part of an element can be added.
      always_ff @(posedge clk) begin
        first_valid  <= write;
        second_valid <= first_valid;
        if (write) begin
          first_row <= write_row;
          first_accumulate <= accumulate;
          first_partial <= 1'b0;
          if (ex_acc_write_valid[b]) begin
            first_data <= ex_acc_write_data[b*DIM*ACC_BITS+:DIM*ACC_BITS];
            first_mask <= ex_acc_write_mask[b*DIM+:DIM];
          end else if (dma_here) begin
            first_partial <= dma_partial && !dma_acc_write_accumulate;
            first_bytes <= dma_acc_write_mask;
            first_mask <= dma_elements;
            first_data <= dma_acc_write_data;
            if (dma_partial)
              for (int i = 0; i < 4 * DIM; i++) first_data[i*8+:8] <= dma_acc_write_mask[i] ? dma_acc_write_data[i*8+:8] : 8'd0;
          end else begin
            first_data <= '0;
            first_mask <= zero_acc_write_mask;
          end
        end
        if (first_valid) begin
          second_row  <= first_row;
          second_mask <= first_mask;
          second_data <= first_data;
          if (first_partial)
            for (int i = 0; i < 4 * DIM; i++) second_data[i*8+:8] <= first_bytes[i] ? first_data[i*8+:8] : old[i*8+:8];
          else if (first_accumulate)
            for (int i = 0; i < DIM; i++)
              second_data[i*ACC_BITS+:ACC_BITS] <= first_data[i*ACC_BITS+:ACC_BITS] + old[i*ACC_BITS+:ACC_BITS];
        end
        if (rst) begin
          first_valid  <= 1'b0;
          second_valid <= 1'b0;
        end
      end
    end
  endgenerate
endmodule
