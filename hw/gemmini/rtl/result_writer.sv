// Result rows, from the array into the scratchpad or the accumulator.
//
// Row by row from the start of C; output-stationary results come last row first. Rows and columns that C does not have are left out. What
// goes to the scratchpad is clamped to int8, after which the activation applies; the accumulator takes sums as they are.
//
// Timing: written in the cycle in which the array puts the row out; nobody can refuse it (GEMMINI_UARCH 5.2).

module result_writer
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import execute_pkg::*;
(
    input  logic clk,
    input  logic rst,
    input  logic                                os,
    input  logic                                relu,
    input  local_row_t                          c_stride,
    // a row of the array, if its result goes anywhere
    input  logic                                row_valid,
    input  logic [ROWS_BITS-1:0]                result_rows,  // of the operation
    /* verilator lint_off UNUSEDSIGNAL */  // which command made it does not matter here
    input  tag_t                                result,
    /* verilator lint_on UNUSEDSIGNAL */
    input  logic [DIM*ACC_BITS-1:0]             result_row,
    output logic [SPAD_BANKS-1:0]               ex_spad_write_valid,
    output logic [SPAD_BANKS*SPAD_ROW_BITS-1:0] ex_spad_write_row,
    output logic [SPAD_BANKS*DIM*IN_BITS-1:0]   ex_spad_write_data,
    output logic [SPAD_BANKS*DIM-1:0]           ex_spad_write_mask,
    output logic [ACC_BANKS-1:0]                ex_acc_write_valid,
    output logic [ACC_BANKS*ACC_ROW_BITS-1:0]   ex_acc_write_row,
    output logic [ACC_BANKS*DIM*ACC_BITS-1:0]   ex_acc_write_data,
    output logic [ACC_BANKS*DIM-1:0]            ex_acc_write_mask,
    output logic [ACC_BANKS-1:0]                ex_acc_write_accumulate
);
  localparam LINE = DIM * IN_BITS;
  localparam BEYOND = ACC_BITS - IN_BITS + 1;  // bits that are all the sign in a number that fits int8

  logic [ROWS_BITS-1:0] result_count, result_index;
  local_row_t result_offset, result_at;
  logic [OPERAND_BANK_BITS-1:0] result_bank;
  logic write_result;
  logic [DIM-1:0] result_mask;
  logic [LINE-1:0] narrow_row;

  assign result_index = os ? result_rows - 1'b1 - result_count : result_count;
  assign result_at = result.start + (os ? LOCAL_ROW_BITS'(result_rows) - 1'b1 - result_offset : result_offset);
  assign result_bank = operand_bank(result.acc, result_at);
  assign write_result = row_valid && result_index < ROWS_BITS'(result.rows);
  assign result_mask = ~({DIM{1'b1}} << result.cols);

  always_ff @(posedge clk) begin
    if (row_valid) begin
      result_count  <= result_count == result_rows - 1'b1 ? '0 : result_count + 1'b1;
      result_offset <= result_count == result_rows - 1'b1 ? '0 : result_offset + c_stride;
    end
    if (rst) begin
      result_count  <= '0;
      result_offset <= '0;
    end
  end

  // To the scratchpad: clamped, and the activation
  always_comb begin
    narrow_row = '0;
    if (EX_WRITE_TO_SPAD && write_result && !result.acc) begin
      for (int i = 0; i < DIM; i++) begin
        if (result_row[i*ACC_BITS+ACC_BITS-1]) begin
          if (relu) narrow_row[i*IN_BITS+:IN_BITS] = '0;
          else if (&result_row[i*ACC_BITS+IN_BITS-1+:BEYOND]) narrow_row[i*IN_BITS+:IN_BITS] = result_row[i*ACC_BITS+:IN_BITS];
          else narrow_row[i*IN_BITS+:IN_BITS] = {1'b1, {(IN_BITS - 1) {1'b0}}};
        end else if (|result_row[i*ACC_BITS+IN_BITS-1+:BEYOND]) narrow_row[i*IN_BITS+:IN_BITS] = {1'b0, {(IN_BITS - 1) {1'b1}}};
        else narrow_row[i*IN_BITS+:IN_BITS] = result_row[i*ACC_BITS+:IN_BITS];
      end
    end
  end

  always_comb begin
    for (int i = 0; i < SPAD_BANKS; i++)
      ex_spad_write_valid[i] = EX_WRITE_TO_SPAD && write_result && !result.acc && result_bank == OPERAND_BANK_BITS'(i);
    for (int i = 0; i < ACC_BANKS; i++) ex_acc_write_valid[i] = write_result && result.acc && result_bank == OPERAND_BANK_BITS'(i);
  end
  assign ex_spad_write_row = {SPAD_BANKS{result_at[SPAD_ROW_BITS-1:0]}};
  assign ex_spad_write_data = {SPAD_BANKS{narrow_row}};
  assign ex_spad_write_mask = {SPAD_BANKS{result_mask}};
  assign ex_acc_write_row = {ACC_BANKS{row_in_acc_bank(result_at)}};
  assign ex_acc_write_data = {ACC_BANKS{result_row}};
  assign ex_acc_write_mask = {ACC_BANKS{result_mask}};
  assign ex_acc_write_accumulate = {ACC_BANKS{result.accumulate}};
endmodule
