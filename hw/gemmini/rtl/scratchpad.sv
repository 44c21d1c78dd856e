module scratchpad
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
(
    input  logic                                      clk,
    input  logic                                      rst,
    // execute controller, a bank each
    input  logic [SPAD_BANKS-1:0]                     ex_spad_read_valid,
    output logic [SPAD_BANKS-1:0]                     ex_spad_read_ready,
    input  logic [SPAD_BANKS-1:0][SPAD_ROW_BITS-1:0]  ex_spad_read_row,
    output logic [SPAD_BANKS-1:0]                     ex_spad_resp_valid,
    input  logic [SPAD_BANKS-1:0]                     ex_spad_resp_ready,
    output logic [SPAD_BANKS-1:0][DIM*IN_BITS-1:0]    ex_spad_resp_data,
    input  logic [SPAD_BANKS-1:0]                     ex_spad_write_valid,
    input  logic [SPAD_BANKS-1:0][SPAD_ROW_BITS-1:0]  ex_spad_write_row,
    input  logic [SPAD_BANKS-1:0][DIM*IN_BITS-1:0]    ex_spad_write_data,
    input  logic [SPAD_BANKS-1:0][DIM-1:0]            ex_spad_write_mask,
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
endmodule
