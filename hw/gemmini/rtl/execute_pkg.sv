// Types of the execute controller and of what feeds the array.

/* verilator lint_off UNUSEDPARAM */  // not every module asks for every type
package execute_pkg;
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;

  // Rows of an operation of the array: up to DIM, and MIN_ROWS even in a smaller array.
  localparam ROWS_BITS = DIM >= MIN_ROWS ? DIM_BITS + 1 : $clog2(MIN_ROWS) + 1;

  // Where the result of an operation goes: the C of a preload, and the preload to complete.
  typedef struct packed {
    logic       acc;
    logic       accumulate;
    local_row_t start;
    tile_t      rows;
    tile_t      cols;
    rs_id_t     id;
  } tag_t;
  localparam TAG_BITS = 2 + LOCAL_ROW_BITS + 2 * TILE_BITS + RS_ID_BITS;
  localparam TAG_ACC_BIT = TAG_BITS - 1;
  localparam TAG_START_LSB = 2 * TILE_BITS + RS_ID_BITS;
  localparam TAGS = MESH_IN_FLIGHT + 1;

  // What one cycle of an operation does with an operand: its row goes to the array, and whether it is `cols` bytes of an answer of
  // `bank` of one of the memories, or zeros.
  localparam OPERAND_BANK_BITS = SPAD_BANK_BITS > ACC_BANK_BITS ? SPAD_BANK_BITS : ACC_BANK_BITS;
  typedef struct packed {
    logic                         fire;
    logic                         read;
    logic                         acc;
    logic [OPERAND_BANK_BITS-1:0] bank;
    tile_t                        cols;
  } operand_t;
  localparam OPERAND_BITS = 3 + OPERAND_BANK_BITS + TILE_BITS;

  // What all cycles of an operation share.
  typedef struct packed {
    logic                 flip;
    logic                 os;
    logic [4:0]           shift;
    logic                 a_transpose;
    logic                 bd_transpose;
    logic [ROWS_BITS-1:0] rows;
    logic                 tag_real;
    tag_t                 tag;
  } operation_t;
  localparam OPERATION_BITS = 10 + ROWS_BITS + TAG_BITS;

  // Bank and row there of an address. Scratchpad banks have a power of two of rows, accumulator banks need not.
  localparam bit ACC_SLICES = (ACC_BANK_ROWS & (ACC_BANK_ROWS - 1)) == 0;

  function automatic logic [OPERAND_BANK_BITS-1:0] operand_bank(input logic acc, input local_row_t row);
    operand_bank = OPERAND_BANK_BITS'(row >> SPAD_ROW_BITS) & OPERAND_BANK_BITS'(SPAD_BANKS - 1);
    if (acc && ACC_SLICES) operand_bank = OPERAND_BANK_BITS'(row >> ACC_ROW_BITS) & OPERAND_BANK_BITS'(ACC_BANKS - 1);
    else if (acc) begin
      operand_bank = '0;
      for (int i = 1; i < ACC_BANKS; i++) if (row >= LOCAL_ROW_BITS'(i * ACC_BANK_ROWS)) operand_bank = OPERAND_BANK_BITS'(i);
    end
  endfunction

  function automatic logic [ACC_ROW_BITS-1:0] row_in_acc_bank(input local_row_t row);
    row_in_acc_bank = row[ACC_ROW_BITS-1:0];
    if (!ACC_SLICES)
      for (int i = 1; i < ACC_BANKS; i++)
        if (row >= LOCAL_ROW_BITS'(i * ACC_BANK_ROWS)) row_in_acc_bank = ACC_ROW_BITS'(row - LOCAL_ROW_BITS'(i * ACC_BANK_ROWS));
  endfunction

endpackage
/* verilator lint_on UNUSEDPARAM */
