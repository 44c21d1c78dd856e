// Execute controller: preload, compute and config_ex commands -> operand reads, rows for the array, result writes.

module execute_controller
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
(
    input  logic                               clk,
    input  logic                               rst,
    // reservation station
    input  logic                               issue_ex_valid,
    output logic                               issue_ex_ready,
    input  cmd_t                               issue_ex_cmd,
    input  rs_id_t                             issue_ex_id,
    output logic                               ex_done_valid,
    input  logic                               ex_done_ready,
    output rs_id_t                             ex_done_id,
    // scratchpad, a bank each
    output logic [SPAD_BANKS-1:0]              ex_spad_read_valid,
    input  logic [SPAD_BANKS-1:0]              ex_spad_read_ready,
    output logic [SPAD_BANKS*SPAD_ROW_BITS-1:0] ex_spad_read_row,
    input  logic [SPAD_BANKS-1:0]              ex_spad_resp_valid,
    output logic [SPAD_BANKS-1:0]              ex_spad_resp_ready,
    input  logic [SPAD_BANKS*DIM*IN_BITS-1:0]  ex_spad_resp_data,
    output logic [SPAD_BANKS-1:0]              ex_spad_write_valid,
    output logic [SPAD_BANKS*SPAD_ROW_BITS-1:0] ex_spad_write_row,
    output logic [SPAD_BANKS*DIM*IN_BITS-1:0]  ex_spad_write_data,
    output logic [SPAD_BANKS*DIM-1:0]          ex_spad_write_mask,
    // accumulator, a bank each; operands come back scaled
    output logic [ACC_BANKS-1:0]               ex_acc_read_valid,
    input  logic [ACC_BANKS-1:0]               ex_acc_read_ready,
    output logic [ACC_BANKS*ACC_ROW_BITS-1:0]  ex_acc_read_row,
    output logic [31:0]                        ex_acc_scale,
    output logic [2:0]                         ex_acc_act,
    input  logic [ACC_BANKS-1:0]               ex_acc_resp_valid,
    output logic [ACC_BANKS-1:0]               ex_acc_resp_ready,
    input  logic [ACC_BANKS*DIM*IN_BITS-1:0]   ex_acc_resp_data,
    output logic [ACC_BANKS-1:0]               ex_acc_write_valid,
    output logic [ACC_BANKS*ACC_ROW_BITS-1:0]  ex_acc_write_row,
    output logic [ACC_BANKS*DIM*ACC_BITS-1:0]  ex_acc_write_data,
    output logic [ACC_BANKS*DIM-1:0]           ex_acc_write_mask,
    output logic [ACC_BANKS-1:0]               ex_acc_write_accumulate,
    // performance counters and stall report (bit numbers: the ports' comments in the README)
    output logic [11:0]                        ex_events,
    output logic [7:0]                         ex_stall
);
endmodule
