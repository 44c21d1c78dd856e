module memory_port
  import gemmini_config_pkg::*;
(
    input  logic                      clk,
    input  logic                      rst,
    // reader
    input  logic                      get_valid,
    output logic                      get_ready,
    input  logic [63:0]               get_addr,
    input  logic [3:0]                get_size,
    input  logic [IN_FLIGHT_BITS-1:0] get_id,
    output logic                      get_beat_valid,
    input  logic                      get_beat_ready,
    output logic [IN_FLIGHT_BITS-1:0] get_beat_id,
    output logic [BUS_BITS-1:0]       get_beat_data,
    // writer
    input  logic                      put_valid,
    output logic                      put_ready,
    input  logic                      put_last,
    input  logic [63:0]               put_addr,
    input  logic [3:0]                put_size,
    input  logic [IN_FLIGHT_BITS-1:0] put_id,
    input  logic [BUS_BITS-1:0]       put_data,
    input  logic [BUS_BYTES-1:0]      put_mask,
    output logic                      put_ack_valid,
    output logic [IN_FLIGHT_BITS-1:0] put_ack_id,
    // memory
    output logic                      mem_a_valid,
    input  logic                      mem_a_ready,
    output logic                      mem_a_put,
    output logic [63:0]               mem_a_addr,
    output logic [3:0]                mem_a_size,
    output logic [MEM_ID_BITS-1:0]    mem_a_id,
    output logic [BUS_BITS-1:0]       mem_a_data,
    output logic [BUS_BYTES-1:0]      mem_a_mask,
    input  logic                      mem_d_valid,
    output logic                      mem_d_ready,
    input  logic                      mem_d_ack,
    input  logic [MEM_ID_BITS-1:0]    mem_d_id,
    input  logic [BUS_BITS-1:0]       mem_d_data
);
endmodule
