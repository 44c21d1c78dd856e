module dma_reader
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import load_store_pkg::*;
(
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   load_row_valid,
    output logic                   load_row_ready,
    input  load_row_t              load_row,
    output logic                   load_written_valid,
    output ld_tracker_t            load_written_tracker,
    output load_bytes_t            load_written_bytes,
    // Gets
    output logic                   get_valid,
    input  logic                   get_ready,
    output logic [63:0]            get_addr,
    output logic [3:0]             get_size,
    output logic [IN_FLIGHT_BITS-1:0] get_id,
    input  logic                   get_beat_valid,
    output logic                   get_beat_ready,
    input  logic [IN_FLIGHT_BITS-1:0] get_beat_id,
    input  logic [BUS_BITS-1:0]    get_beat_data,
    // rows to the private memories; the row number is that of the whole memory
    output logic                   dma_spad_write_valid,
    input  logic                   dma_spad_write_ready,
    output local_row_t             dma_spad_write_row,
    output logic [DIM*IN_BITS-1:0] dma_spad_write_data,
    output logic [DIM-1:0]         dma_spad_write_mask,
    output logic                   zero_spad_write_valid,
    input  logic                   zero_spad_write_ready,
    output local_row_t             zero_spad_write_row,
    output logic [DIM-1:0]         zero_spad_write_mask,
    output logic                   dma_acc_write_valid,
    input  logic                   dma_acc_write_ready,
    output local_row_t             dma_acc_write_row,
    output logic [DIM*ACC_BITS-1:0] dma_acc_write_data,
    output logic [DIM-1:0]         dma_acc_write_mask,
    output logic                   dma_acc_write_accumulate,
    output logic                   zero_acc_write_valid,
    input  logic                   zero_acc_write_ready,
    output local_row_t             zero_acc_write_row,
    output logic [DIM-1:0]         zero_acc_write_mask,
    output logic                   zero_acc_write_accumulate,
    // counters
    output logic                   reader_busy,
    output logic [IN_FLIGHT_BITS:0] gets_in_flight,
    output logic                   reader_waits_for_id
);
endmodule
