// The scratchpad: SPAD_BANKS banks of int8 rows with one port each.
//
// Timing (UARCH 5.1): a bank does one thing a cycle. A write wins over a read: the read is then not ready. Among writes the execute
// controller's goes first (it can not wait), then loaded rows, then zeros; among reads the execute controller's. A row comes one cycle
// after its request out of the memory and then passes a queue of READ_QUEUE rows, one for each reader and bank: it is there 2 cycles
// after the request, one row a cycle. A read is refused while the row before it waits for room in its queue.

module scratchpad
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
(
    input  logic                                      clk,
    input  logic                                      rst,
    // execute controller, a bank each
    input  logic [SPAD_BANKS-1:0]                     ex_spad_read_valid,
    output logic [SPAD_BANKS-1:0]                     ex_spad_read_ready,
    input  logic [SPAD_BANKS*SPAD_ROW_BITS-1:0]  ex_spad_read_row,
    output logic [SPAD_BANKS-1:0]                     ex_spad_resp_valid,
    input  logic [SPAD_BANKS-1:0]                     ex_spad_resp_ready,
    output logic [SPAD_BANKS*DIM*IN_BITS-1:0]    ex_spad_resp_data,
    input  logic [SPAD_BANKS-1:0]                     ex_spad_write_valid,
    input  logic [SPAD_BANKS*SPAD_ROW_BITS-1:0]  ex_spad_write_row,
    input  logic [SPAD_BANKS*DIM*IN_BITS-1:0]    ex_spad_write_data,
    input  logic [SPAD_BANKS*DIM-1:0]            ex_spad_write_mask,
    // loads; row numbers of the whole memory
    input  logic                                      dma_spad_write_valid,
    output logic                                      dma_spad_write_ready,
    input  local_row_t                                dma_spad_write_row,
    input  logic [DIM*IN_BITS-1:0]                    dma_spad_write_data,
    input  logic [DIM-1:0]                            dma_spad_write_mask,
    input  logic                                      zero_spad_write_valid,
    output logic                                      zero_spad_write_ready,
    input  local_row_t                                zero_spad_write_row,
    input  logic [DIM-1:0]                            zero_spad_write_mask,
    // stores
    input  logic                                      st_spad_read_valid,
    output logic                                      st_spad_read_ready,
    input  local_row_t                                st_spad_read_row,
    output logic                                      st_spad_resp_valid,
    input  logic                                      st_spad_resp_ready,
    output logic [DIM*IN_BITS-1:0]                    st_spad_resp_data
);
  localparam int READ_QUEUE = 4;
  localparam int ROW_BITS = $clog2(SPAD_ROWS);

  logic [SPAD_BANKS-1:0] dma_here, zero_here, store_here;  // a request for this bank
  logic [SPAD_BANKS-1:0] dma_taken, zero_taken, store_taken;
  logic [SPAD_BANKS-1:0] store_out_valid, store_out_waits;
  logic [SPAD_BANKS*DIM*IN_BITS-1:0] out_data;
  logic store_queue_ready;
  assign dma_spad_write_ready  = dma_taken != '0;
  assign zero_spad_write_ready = zero_taken != '0;
  assign st_spad_read_ready = store_taken != '0;

  // Rows of stores from all banks share a queue. They stay in order because a bank is not read while another's row waits.
  logic [DIM*IN_BITS-1:0] store_data;
  always_comb begin
    store_data = '0;
    for (int b = 0; b < SPAD_BANKS; b++) if (store_out_valid[b]) store_data = out_data[b*DIM*IN_BITS+:DIM*IN_BITS];
  end
  /* verilator lint_off PINCONNECTEMPTY */
  queue #(
      .WIDTH(DIM * IN_BITS),
      .ENTRIES(READ_QUEUE),
      .PIPE(1'b1)
  ) store_queue (
      .clk(clk),
      .rst(rst),
      .in_valid(store_out_valid != '0),
      .in_ready(store_queue_ready),
      .in_data(store_data),
      .out_valid(st_spad_resp_valid),
      .out_ready(st_spad_resp_ready),
      .out_data(st_spad_resp_data),
      .count()
  );

  generate
    for (genvar b = 0; b < SPAD_BANKS; b++) begin : g_bank
      logic [DIM*IN_BITS-1:0] mem[0:SPAD_BANK_ROWS-1];
      logic write, read, out_valid, out_from_store, out_taken, can_read, queue_ready;
      logic [SPAD_ROW_BITS-1:0] row;
      logic [DIM*IN_BITS-1:0] data, out;
      logic [DIM-1:0] mask;

      assign dma_here[b] = dma_spad_write_valid && 32'(dma_spad_write_row[ROW_BITS-1:0]) >> SPAD_ROW_BITS == b;
      assign zero_here[b] = zero_spad_write_valid && 32'(zero_spad_write_row[ROW_BITS-1:0]) >> SPAD_ROW_BITS == b;
      assign store_here[b] = st_spad_read_valid && 32'(st_spad_read_row[ROW_BITS-1:0]) >> SPAD_ROW_BITS == b;
      assign write = ex_spad_write_valid[b] || dma_here[b] || zero_here[b];
      assign dma_taken[b] = dma_here[b] && !ex_spad_write_valid[b];
      assign zero_taken[b] = zero_here[b] && !ex_spad_write_valid[b] && !dma_here[b];

      assign can_read = !write && (!out_valid || out_taken);
      assign ex_spad_read_ready[b] = can_read;
      assign store_taken[b] = store_here[b] && can_read && !ex_spad_read_valid[b] && store_out_waits == '0;
      assign read = can_read && (ex_spad_read_valid[b] || store_taken[b]);

      always_comb begin
        data = ex_spad_write_data[b*DIM*IN_BITS+:DIM*IN_BITS];
        mask = ex_spad_write_mask[b*DIM+:DIM];
        if (ex_spad_write_valid[b]) begin
          row = ex_spad_write_row[b*SPAD_ROW_BITS+:SPAD_ROW_BITS];
        end else if (dma_here[b]) begin
          row  = dma_spad_write_row[SPAD_ROW_BITS-1:0];
          data = dma_spad_write_data;
          mask = dma_spad_write_mask;
        end else if (zero_here[b]) begin
          row  = zero_spad_write_row[SPAD_ROW_BITS-1:0];
          data = '0;
          mask = zero_spad_write_mask;
        end else if (ex_spad_read_valid[b]) begin
          row = ex_spad_read_row[b*SPAD_ROW_BITS+:SPAD_ROW_BITS];
        end else begin
          row = st_spad_read_row[SPAD_ROW_BITS-1:0];
        end
      end

      always_ff @(posedge clk) begin
        if (read) out <= mem[row];
      end
      for (genvar i = 0; i < DIM; i++) begin : g_byte
        always_ff @(posedge clk) if (write && mask[i]) mem[row][i*IN_BITS+:IN_BITS] <= data[i*IN_BITS+:IN_BITS];
      end

      assign out_data[b*DIM*IN_BITS+:DIM*IN_BITS] = out;
      assign store_out_valid[b] = out_valid && out_from_store;
      assign store_out_waits[b] = store_out_valid[b] && !store_queue_ready;
      assign out_taken = out_from_store ? store_queue_ready : queue_ready;
      always_ff @(posedge clk) begin
        if (read) begin
          out_valid <= 1'b1;
          out_from_store <= !ex_spad_read_valid[b];
        end else if (out_taken) begin
          out_valid <= 1'b0;
        end
        if (rst) out_valid <= 1'b0;
      end

      queue #(
          .WIDTH(DIM * IN_BITS),
          .ENTRIES(READ_QUEUE),
          .PIPE(1'b1)
      ) ex_queue (
          .clk(clk),
          .rst(rst),
          .in_valid(out_valid && !out_from_store),
          .in_ready(queue_ready),
          .in_data(out),
          .out_valid(ex_spad_resp_valid[b]),
          .out_ready(ex_spad_resp_ready[b]),
          .out_data(ex_spad_resp_data[b*DIM*IN_BITS+:DIM*IN_BITS]),
          .count()
      );
    end
  endgenerate
  /* verilator lint_on PINCONNECTEMPTY */
endmodule
