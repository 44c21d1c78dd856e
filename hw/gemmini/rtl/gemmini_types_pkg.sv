// Types that modules share: commands, reservation-station ids, local addresses.
//
// Encodings and sizes come from gemmini_config_pkg; this file only gives them shape.

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

  // Index into the reservation-station table of the channel that it travels on.
  localparam int RS_MAX_ENTRIES = RS_LD_ENTRIES > RS_EX_ENTRIES ? (RS_LD_ENTRIES > RS_ST_ENTRIES ? RS_LD_ENTRIES : RS_ST_ENTRIES)
                                                                : (RS_EX_ENTRIES > RS_ST_ENTRIES ? RS_EX_ENTRIES : RS_ST_ENTRIES);
  localparam int RS_ID_BITS = RS_MAX_ENTRIES > 1 ? $clog2(RS_MAX_ENTRIES) : 1;
  typedef logic [RS_ID_BITS-1:0] rs_id_t;

  // A local address has as many row bits as the larger memory needs; the next bit up marks garbage (GEMMINI_ISA section 4).
  localparam int SPAD_ROW_BITS = $clog2(SPAD_ROWS);
  localparam int ACC_ROW_BITS = $clog2(ACC_ROWS);
  localparam int LOCAL_ROW_BITS = SPAD_ROW_BITS > ACC_ROW_BITS ? SPAD_ROW_BITS : ACC_ROW_BITS;
  typedef logic [LOCAL_ROW_BITS-1:0] local_row_t;

  // Whole-memory row addresses, bank numbers, and rows in a bank.
  localparam int SPAD_BANK_BITS = SPAD_BANKS > 1 ? $clog2(SPAD_BANKS) : 1;
  localparam int ACC_BANK_BITS = ACC_BANKS > 1 ? $clog2(ACC_BANKS) : 1;
  localparam int SPAD_BANK_ROW_BITS = $clog2(SPAD_BANK_ROWS);
  localparam int ACC_BANK_ROW_BITS = $clog2(ACC_BANK_ROWS);

  // Rows and columns of a tile (0..DIM), and columns of an mvin or mvout (0..max(DIM, DMA_MAX_BYTES)).
  localparam int TILE_BITS = $clog2(DIM) + 1;
  localparam int MOVE_COLS_MAX = DMA_MAX_BYTES > DIM ? DMA_MAX_BYTES : DIM;
  localparam int MOVE_COLS_BITS = $clog2(MOVE_COLS_MAX) + 1;
  typedef logic [TILE_BITS-1:0] tile_t;
  typedef logic [MOVE_COLS_BITS-1:0] move_cols_t;

  // The local operand form: bits 31:0 address, 47:32 columns, 63:48 rows. Only the low bits of rows and columns exist.
  function automatic logic local_is_garbage(input logic [31:0] a);
    local_is_garbage = (&a[31:29]) & (&a[LOCAL_ROW_BITS:0]);
  endfunction

  function automatic logic local_is_acc(input logic [31:0] a);
    local_is_acc = a[31];
  endfunction

  function automatic logic local_accumulate(input logic [31:0] a);
    local_accumulate = a[30];
  endfunction

  function automatic logic local_full_width(input logic [31:0] a);
    local_full_width = a[29];
  endfunction

  function automatic logic [2:0] local_norm(input logic [31:0] a);
    local_norm = a[28:26];
  endfunction

  function automatic local_row_t local_row(input logic [31:0] a);
    local_row = a[LOCAL_ROW_BITS-1:0];
  endfunction

  function automatic tile_t operand_rows(input logic [63:0] operand);
    operand_rows = operand[48 +: TILE_BITS];
  endfunction

  function automatic tile_t operand_cols(input logic [63:0] operand);
    operand_cols = operand[32 +: TILE_BITS];
  endfunction

  function automatic move_cols_t move_cols(input logic [63:0] operand);
    move_cols = operand[32 +: MOVE_COLS_BITS];
  endfunction

  // The DIM-wide blocks that so many columns take.
  function automatic move_cols_t blocks_of(input move_cols_t cols);
    blocks_of = (cols + move_cols_t'(DIM - 1)) >> $clog2(DIM);
  endfunction

endpackage
