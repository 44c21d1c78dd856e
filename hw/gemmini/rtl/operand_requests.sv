// Requests for the rows of an operation's operands, to the scratchpad and the accumulator (GEMMINI_UARCH 6.2).
//
// Each cycle each operand moves on by a row or waits: while its bank is refused; while another operand, A before B before D, reads the
// same bank for the same row; or while it is a row ahead of another. Rows and columns outside an operand are zeros and are not read.
//
// Timing: a row a cycle; two operands in one bank take two cycles a row, three take three.

module operand_requests
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import execute_pkg::*;
(
    input  logic clk,
    input  logic rst,
    input  logic                                operating,
    input  logic [ROWS_BITS-1:0]                rows,           // of the operation
    input  logic                                control_ready,  // what is asked for can be noted
    input  local_row_t                          a_stride,
    // A: whether its rows are read, from where, and what of it there is
    input  logic                                a_live,
    input  logic                                a_acc,
    input  local_row_t                          a_start,
    input  tile_t                               a_rows,
    input  tile_t                               a_cols,
    output operand_t                            a_asked,
    // B: whether its rows are read, from where, and what of it there is
    input  logic                                b_live,
    input  logic                                b_acc,
    input  local_row_t                          b_start,
    input  tile_t                               b_rows,
    input  tile_t                               b_cols,
    output operand_t                            b_asked,
    // D, last row first: whether its rows are read, from where, and what of it there is
    input  logic                                d_live,
    input  logic                                d_acc,
    input  local_row_t                          d_start,
    input  tile_t                               d_rows,
    input  tile_t                               d_cols,
    output operand_t                            d_asked,
    output logic                                first_asked,  // nothing has been asked for before
    output logic                                all_rows_requested,
    output logic                                sharing,
    output logic                                spad_refuses,
    output logic                                acc_refuses,
    // memories, a bank each
    output logic [SPAD_BANKS-1:0]               ex_spad_read_valid,
    input  logic [SPAD_BANKS-1:0]               ex_spad_read_ready,
    output logic [SPAD_BANKS*SPAD_ROW_BITS-1:0] ex_spad_read_row,
    output logic [ACC_BANKS-1:0]                ex_acc_read_valid,
    input  logic [ACC_BANKS-1:0]                ex_acc_read_ready,
    output logic [ACC_BANKS*ACC_ROW_BITS-1:0]   ex_acc_read_row
);
  // Two operands that cannot be read in the same cycle; the accumulator has one way to the array for all its banks.
  function automatic logic share_bank(input logic acc_x, input logic acc_y, input logic [OPERAND_BANK_BITS-1:0] bank_x,
                                      input logic [OPERAND_BANK_BITS-1:0] bank_y);
    share_bank = acc_x == acc_y && (acc_x || bank_x == bank_y);
  endfunction

  logic [ROWS_BITS-1:0] last;
  assign last = rows - 1'b1;

  logic [ROWS_BITS-1:0] a_count, b_count, d_count, a_next, b_next, d_next, a_sent, b_sent, d_sent, d_from_end;
  logic a_started, b_started, d_started;
  local_row_t a_offset, a_row, b_row, d_row;
  logic [OPERAND_BANK_BITS-1:0] a_bank, b_bank, d_bank;
  logic a_may, b_may, d_may, a_read, b_read, d_read, a_refused, b_refused, d_refused, a_fire, b_fire, d_fire;
  logic ab_share, ad_share, bd_share;

  assign d_from_end = ROWS_BITS'(DIM - 1) - d_count;
  assign a_row = a_start + a_offset;
  assign b_row = b_start + LOCAL_ROW_BITS'(b_count);
  assign d_row = d_start + LOCAL_ROW_BITS'(d_from_end);
  assign a_bank = operand_bank(a_acc, a_row);
  assign b_bank = operand_bank(b_acc, b_row);
  assign d_bank = operand_bank(d_acc, d_row);
  assign a_next = a_count == last ? '0 : a_count + 1'b1;
  assign b_next = b_count == last ? '0 : b_count + 1'b1;
  assign d_next = d_count == last ? '0 : d_count + 1'b1;

  // Operands in one bank take turns, A before B before D; nobody runs ahead by more than a row
  assign ab_share = a_live && b_live && share_bank(a_acc, b_acc, a_bank, b_bank) && a_started == b_started && a_count == b_count;
  assign ad_share = a_live && d_live && share_bank(a_acc, d_acc, a_bank, d_bank) && a_started == d_started && a_count == d_count;
  assign bd_share = b_live && d_live && share_bank(b_acc, d_acc, b_bank, d_bank) && b_started == d_started && b_count == d_count;
  assign a_sent = a_started && a_count == '0 ? rows : a_count;
  assign b_sent = b_started && b_count == '0 ? rows : b_count;
  assign d_sent = d_started && d_count == '0 ? rows : d_count;
  assign a_may = !(a_sent == b_sent + 1'b1 || a_sent == d_sent + 1'b1);
  assign b_may = !(b_sent == a_sent + 1'b1 || b_sent == d_sent + 1'b1) && !ab_share;
  assign d_may = !(d_sent == a_sent + 1'b1 || d_sent == b_sent + 1'b1) && !ad_share && !bd_share;

  // Rows and columns outside the operand are zeros and are not read
  assign a_read = a_may && a_live && a_count < ROWS_BITS'(a_rows) && a_cols != '0;
  assign b_read = b_may && b_live && b_count < ROWS_BITS'(b_rows) && b_cols != '0;
  assign d_read = d_may && d_live && d_from_end < ROWS_BITS'(d_rows) && d_cols != '0;

  always_comb begin
    a_refused = 1'b0;
    b_refused = 1'b0;
    d_refused = 1'b0;
    ex_spad_read_valid = '0;
    ex_spad_read_row = '0;
    ex_acc_read_valid = '0;
    ex_acc_read_row = '0;
    for (int i = 0; i < SPAD_BANKS; i++) begin
      if (d_read && !d_acc && d_bank == OPERAND_BANK_BITS'(i)) begin
        d_refused = !ex_spad_read_ready[i];
        ex_spad_read_valid[i] = control_ready;
        ex_spad_read_row[i*SPAD_ROW_BITS+:SPAD_ROW_BITS] = d_row[SPAD_ROW_BITS-1:0];
      end
      if (b_read && !b_acc && b_bank == OPERAND_BANK_BITS'(i)) begin
        b_refused = !ex_spad_read_ready[i];
        ex_spad_read_valid[i] = control_ready;
        ex_spad_read_row[i*SPAD_ROW_BITS+:SPAD_ROW_BITS] = b_row[SPAD_ROW_BITS-1:0];
      end
      if (a_read && !a_acc && a_bank == OPERAND_BANK_BITS'(i)) begin
        a_refused = !ex_spad_read_ready[i];
        ex_spad_read_valid[i] = control_ready;
        ex_spad_read_row[i*SPAD_ROW_BITS+:SPAD_ROW_BITS] = a_row[SPAD_ROW_BITS-1:0];
      end
    end
    for (int i = 0; i < ACC_BANKS; i++) begin
      if (d_read && d_acc && d_bank == OPERAND_BANK_BITS'(i)) begin
        d_refused = !ex_acc_read_ready[i];
        ex_acc_read_valid[i] = control_ready;
        ex_acc_read_row[i*ACC_ROW_BITS+:ACC_ROW_BITS] = row_in_acc_bank(d_row);
      end
      if (b_read && b_acc && b_bank == OPERAND_BANK_BITS'(i)) begin
        b_refused = !ex_acc_read_ready[i];
        ex_acc_read_valid[i] = control_ready;
        ex_acc_read_row[i*ACC_ROW_BITS+:ACC_ROW_BITS] = row_in_acc_bank(b_row);
      end
      if (a_read && a_acc && a_bank == OPERAND_BANK_BITS'(i)) begin
        a_refused = !ex_acc_read_ready[i];
        ex_acc_read_valid[i] = control_ready;
        ex_acc_read_row[i*ACC_ROW_BITS+:ACC_ROW_BITS] = row_in_acc_bank(a_row);
      end
    end
  end

  assign a_fire = a_may && !a_refused;
  assign b_fire = b_may && !b_refused;
  assign d_fire = d_may && !d_refused;
  assign all_rows_requested = control_ready && (a_started || b_started || d_started)
      && ((a_count == last && a_fire) || a_count == '0) && ((b_count == last && b_fire) || b_count == '0)
      && ((d_count == last && d_fire) || d_count == '0);

  always_ff @(posedge clk) begin
    if (!operating) begin
      a_count  <= '0;
      b_count  <= '0;
      d_count  <= '0;
      a_offset <= '0;
    end else if (control_ready) begin
      if (a_fire) begin
        a_count   <= a_next;
        a_offset  <= a_count == last ? '0 : a_offset + a_stride;
        a_started <= 1'b1;
      end
      if (b_fire) begin
        b_count   <= b_next;
        b_started <= 1'b1;
      end
      if (d_fire) begin
        d_count   <= d_next;
        d_started <= 1'b1;
      end
    end
    if (all_rows_requested || rst) begin
      a_started <= 1'b0;
      b_started <= 1'b0;
      d_started <= 1'b0;
    end
  end

  assign first_asked = !a_started && !b_started && !d_started;
  assign a_asked = {a_fire, a_read, a_acc, a_bank, a_cols};
  assign b_asked = {b_fire, b_read, b_acc, b_bank, b_cols};
  assign d_asked = {d_fire, d_read, d_acc, d_bank, d_cols};
  assign sharing = ab_share || ad_share || bd_share;
  assign spad_refuses = (a_refused && !a_acc) || (b_refused && !b_acc) || (d_refused && !d_acc);
  assign acc_refuses = (a_refused && a_acc) || (b_refused && b_acc) || (d_refused && d_acc);
endmodule
