module dma_writer
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import load_store_pkg::*;
(
    input  logic                      clk,
    input  logic                      rst,
    input  logic                      write_block_valid,
    output logic                      write_block_ready,
    input  store_block_t              write_block,
    input  logic [DIM*ACC_BITS-1:0]   write_block_data,
    // Puts
    output logic                      put_valid,
    input  logic                      put_ready,
    output logic                      put_last,
    output logic [63:0]               put_addr,
    output logic [3:0]                put_size,
    output logic [IN_FLIGHT_BITS-1:0] put_id,
    output logic [BUS_BITS-1:0]       put_data,
    output logic [BUS_BYTES-1:0]      put_mask,
    input  logic                      put_ack_valid,
    input  logic [IN_FLIGHT_BITS-1:0] put_ack_id,
    // counters
    output logic                      writer_busy,
    output logic [IN_FLIGHT_BITS:0]   puts_in_flight,
    output logic                      writer_waits_for_id
);
endmodule
