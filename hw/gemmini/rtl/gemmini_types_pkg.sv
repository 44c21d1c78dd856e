// Types that modules share: commands, reservation-station ids, local addresses.
//
// Encodings and sizes come from gemmini_config_pkg; this file only gives them shape.

/* verilator lint_off UNUSEDPARAM */   // not every module asks for every type
/* verilator lint_off UNUSEDSIGNAL */  // a function takes a whole operand and looks at one field
package gemmini_types_pkg;
  import gemmini_config_pkg::*;

  // A RoCC command as the program (or an unroller) wrote it. from_ws and from_conv say which unroller counts its completion.
  typedef struct packed {
    logic        from_ws;
    logic        from_conv;
    logic [6:0]  funct;
    logic [63:0] rs1;
    logic [63:0] rs2;
  } cmd_t;

  localparam CMD_BITS = 2 + 7 + 64 + 64;  // for queues of commands

  // Why the oldest command of a table that is not issued waits (bits of the station's stall outputs; none: it does not wait).
  localparam WAITS_LD = 0;  // completion of a load
  localparam WAITS_EX = 1;  // completion of an execute command
  localparam WAITS_ST = 2;  // completion of a store
  localparam WAITS_CONTROLLER = 3;  // room in the controller's queue
  localparam WAITS_BITS = 4;

  // A reservation-station entry: its table (RS_LD, RS_EX, RS_ST) above its place there. Controllers hand it back as they got it.
  localparam logic [1:0] RS_LD = 2'd0;
  localparam logic [1:0] RS_EX = 2'd1;
  localparam logic [1:0] RS_ST = 2'd2;
  typedef logic [RS_ID_BITS-1:0] rs_id_t;

  // A local address has as many row bits as the larger memory needs; the next bit up marks garbage (GEMMINI_ISA section 4).
  localparam LOCAL_ROW_BITS = $clog2(SPAD_ROWS) > $clog2(ACC_ROWS) ? $clog2(SPAD_ROWS) : $clog2(ACC_ROWS);
  typedef logic [LOCAL_ROW_BITS-1:0] local_row_t;

  // Rows and columns of a tile (0..DIM), and columns of an mvin or mvout (0..MAX_COLS).
  localparam TILE_BITS = $clog2(DIM) + 1;
  localparam MOVE_COLS_BITS = $clog2(MAX_COLS) + 1;
  typedef logic [TILE_BITS-1:0] tile_t;
  typedef logic [MOVE_COLS_BITS-1:0] move_cols_t;

  // The local operand form: bits 31:0 address, 47:32 columns, 63:48 rows. Only the low bits of rows and columns exist.
  function automatic logic local_is_garbage(input logic [31:0] a);
    local_is_garbage = (&a[ACCUMULATOR_BIT:FULL_WIDTH_BIT]) & (&a[LOCAL_ROW_BITS:0]);
  endfunction

  function automatic logic local_is_acc(input logic [31:0] a);
    local_is_acc = a[ACCUMULATOR_BIT];
  endfunction

  function automatic logic local_accumulate(input logic [31:0] a);
    local_accumulate = a[ACCUMULATE_BIT];
  endfunction

  function automatic logic local_full_width(input logic [31:0] a);
    local_full_width = a[FULL_WIDTH_BIT];
  endfunction

  function automatic logic [2:0] local_norm(input logic [31:0] a);
    local_norm = a[NORM_COMMAND_LSB+:NORM_COMMAND_WIDTH];
  endfunction

  function automatic local_row_t local_row(input logic [31:0] a);
    local_row = a[LOCAL_ROW_BITS-1:0];
  endfunction

  function automatic tile_t operand_rows(input logic [63:0] operand);
    operand_rows = operand[48+:TILE_BITS];
  endfunction

  function automatic tile_t operand_cols(input logic [63:0] operand);
    operand_cols = operand[32+:TILE_BITS];
  endfunction

  function automatic move_cols_t move_cols(input logic [63:0] operand);
    move_cols = operand[32+:MOVE_COLS_BITS];
  endfunction

  // The DIM-wide blocks that so many columns take.
  function automatic move_cols_t blocks_of(input move_cols_t cols);
    blocks_of = (cols + MOVE_COLS_BITS'(DIM - 1)) >> DIM_BITS;
  endfunction

endpackage
/* verilator lint_on UNUSEDSIGNAL */
/* verilator lint_on UNUSEDPARAM */
