module accumulator
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
(
    input  logic                                     clk,
    input  logic                                     rst,
    // execute controller, a bank each; scaled answers come from the store pipeline
    input  logic [ACC_BANKS-1:0]                     ex_acc_read_valid,
    output logic [ACC_BANKS-1:0]                     ex_acc_read_ready,
    input  logic [ACC_BANKS-1:0][ACC_ROW_BITS-1:0]   ex_acc_read_row,
    input  logic [31:0]                              ex_acc_scale,
    input  logic [2:0]                               ex_acc_act,
    input  logic [ACC_BANKS-1:0]                     ex_acc_write_valid,
    input  logic [ACC_BANKS-1:0][ACC_ROW_BITS-1:0]   ex_acc_write_row,
    input  logic [ACC_BANKS-1:0][DIM*ACC_BITS-1:0]   ex_acc_write_data,
    input  logic [ACC_BANKS-1:0][DIM-1:0]            ex_acc_write_mask,  // a bit an element
    input  logic [ACC_BANKS-1:0]                     ex_acc_write_accumulate,
    // loads; row numbers of the whole memory
    input  logic                                     dma_acc_write_valid,
    output logic                                     dma_acc_write_ready,
    input  local_row_t                               dma_acc_write_row,
    input  logic [DIM*ACC_BITS-1:0]                  dma_acc_write_data,
    input  logic [DIM-1:0]                           dma_acc_write_mask,
    input  logic                                     dma_acc_write_accumulate,
    input  logic                                     zero_acc_write_valid,
    output logic                                     zero_acc_write_ready,
    input  local_row_t                               zero_acc_write_row,
    input  logic [DIM-1:0]                           zero_acc_write_mask,
    input  logic                                     zero_acc_write_accumulate,
    // stores
    input  logic                                     st_acc_read_valid,
    output logic                                     st_acc_read_ready,
    input  local_row_t                               st_acc_read_row,
    // rows read, to the store pipeline, where they are scaled
    output logic                                     acc_row_valid,
    input  logic                                     acc_row_ready,
    output logic                                     acc_row_from_store,
    output logic [ACC_BANK_BITS-1:0]                 acc_row_bank,
    output logic [DIM*ACC_BITS-1:0]                  acc_row_data,
    output logic [31:0]                              acc_row_ex_scale,
    output logic [2:0]                               acc_row_ex_act
);
endmodule
