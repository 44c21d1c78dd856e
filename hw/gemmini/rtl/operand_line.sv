// An operand's row on its way into the array: the answer of the bank that was asked for it, or zeros.
//
// Timing: combinational; `here` says that the answer, if one is needed, has come. What was read leaves its queue with `taken`.

module operand_line
  import gemmini_config_pkg::*;
  import execute_pkg::*;
(
    input  operand_t                          due,
    input  logic                              taken,
    output logic                              here,
    output logic [DIM*IN_BITS-1:0]            line,
    input  logic [SPAD_BANKS-1:0]             spad_valid,
    input  logic [SPAD_BANKS*DIM*IN_BITS-1:0] spad_data,
    output logic [SPAD_BANKS-1:0]             spad_taken,
    input  logic [ACC_BANKS-1:0]              acc_valid,
    input  logic [ACC_BANKS*DIM*IN_BITS-1:0]  acc_data,
    output logic [ACC_BANKS-1:0]              acc_taken
);
  localparam LINE = DIM * IN_BITS;

  logic [SPAD_BANKS-1:0] in_spad;  // the bank that it is read from
  logic [ACC_BANKS-1:0] in_acc;

  for (genvar i = 0; i < SPAD_BANKS; i++) begin : spad_bank
    assign in_spad[i] = due.read && !due.acc && due.bank == OPERAND_BANK_BITS'(i);
  end
  for (genvar i = 0; i < ACC_BANKS; i++) begin : acc_bank
    assign in_acc[i] = due.read && due.acc && due.bank == OPERAND_BANK_BITS'(i);
  end

  assign here = !due.read || (in_spad & spad_valid) != '0 || (in_acc & acc_valid) != '0;
  assign spad_taken = taken && due.fire ? in_spad : '0;
  assign acc_taken = taken && due.fire ? in_acc : '0;

  always_comb begin
    line = '0;
    for (int i = 0; i < SPAD_BANKS; i++) if (in_spad[i]) line = spad_data[i*LINE+:LINE];
    for (int i = 0; i < ACC_BANKS; i++) if (in_acc[i]) line = acc_data[i*LINE+:LINE];
    line = line & ~({LINE{1'b1}} << {due.cols, 3'b000});
  end
endmodule
