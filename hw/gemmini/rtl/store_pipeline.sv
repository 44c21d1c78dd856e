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
    output logic [ACC_BANKS-1:0][DIM*IN_BITS-1:0] ex_acc_resp_data,
    // blocks to the writer
    output logic                    write_block_valid,
    input  logic                    write_block_ready,
    output store_block_t            write_block,
    output logic [DIM*ACC_BITS-1:0] write_block_data,
    output logic                    store_pipeline_busy
);
endmodule
