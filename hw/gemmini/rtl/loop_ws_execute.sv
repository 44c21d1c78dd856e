// The executing part of loop_ws_unroller: a preload and a compute for each tile product, k outermost, then j, then i.
//
// Weights are preloaded for i = 0 and kept (garbage B) for the other i. Addresses are carried along by addition.
//
// Timing: a request accepted at t makes its first command at t+1, then one a cycle while `hold` is low and the command is taken; with
// `req_skip` none, idle again at t+2. The position is that of the next pair (GEMMINI_UARCH section 7.2).

module loop_ws_execute
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
(
    input  logic                clk,
    input  logic                rst,
    input  logic                req_valid,
    output logic                req_ready,
    input  logic                req_slot,
    input  logic                req_skip,
    input  logic [15:0]         req_i,
    input  logic [15:0]         req_j,
    input  logic [15:0]         req_k,
    input  logic [DIM_BITS-1:0] req_pad_i,
    input  logic [DIM_BITS-1:0] req_pad_j,
    input  logic [DIM_BITS-1:0] req_pad_k,
    input  logic                req_transpose_a,
    input  logic                req_transpose_b,
    input  logic                req_accumulate,
    input  logic [31:0]         req_a,  // first rows of A, B and C
    input  logic [31:0]         req_b,
    input  logic [31:0]         req_c,
    input  logic                hold,
    output logic                cmd_valid,
    input  logic                cmd_ready,
    output logic [6:0]          cmd_funct,
    output logic [63:0]         cmd_rs1,
    output logic [63:0]         cmd_rs2,
    output logic [15:0]         i,
    output logic [15:0]         j,
    output logic [15:0]         k,
    output logic                slot,
    output logic                idle
);
  logic skip, computing, accumulate, transpose_a, transpose_b;
  logic [15:0] tiles_i, tiles_j, tiles_k;
  logic [DIM_BITS-1:0] pad_i, pad_j, pad_k;
  logic [31:0] a, a_of_k, b, b_of_k, c, c_of_j, c_first;

  logic last_i, last_j, last_k;
  assign last_i = i + 16'd1 == tiles_i;
  assign last_j = j + 16'd1 == tiles_j;
  assign last_k = k + 16'd1 == tiles_k;

  logic [15:0] size_i, size_j, size_k;
  assign size_i = 16'(DIM) - (last_i ? 16'(pad_i) : 16'd0);
  assign size_j = 16'(DIM) - (last_j ? 16'(pad_j) : 16'd0);
  assign size_k = 16'(DIM) - (last_k ? 16'(pad_k) : 16'd0);

  // Rows from one tile to the next. A is stored by (i, k), B by (k, j) and C by (i, j); transposed, A by (k, i) and B by (j, k).
  logic [31:0] a_step_i, a_step_k, b_step_j, b_step_k, c_step_i;
  assign a_step_i = transpose_a ? 32'(DIM) : 32'(tiles_k) << DIM_BITS;
  assign a_step_k = transpose_a ? 32'(tiles_i) << DIM_BITS : 32'(DIM);
  assign b_step_j = transpose_b ? 32'(tiles_k) << DIM_BITS : 32'(DIM);
  assign b_step_k = transpose_b ? 32'(DIM) : 32'(tiles_j) << DIM_BITS;
  assign c_step_i = 32'(tiles_j) << DIM_BITS;

  logic [31:0] c_flags;
  assign c_flags = (32'd1 << ACCUMULATOR_BIT) | (32'(accumulate || k != '0) << ACCUMULATE_BIT);

  assign req_ready = idle;
  assign cmd_valid = !idle && !hold && !skip;
  assign cmd_funct = !computing ? FUNCT_PRELOAD : i == '0 ? FUNCT_COMPUTE_PRELOADED : FUNCT_COMPUTE_ACCUMULATED;
  assign cmd_rs1 = computing ? {size_i, size_k, a} : {size_k, size_j, i == '0 ? b : GARBAGE};
  assign cmd_rs2 = computing ? {16'(DIM), 16'(DIM), GARBAGE} : {size_i, size_j, c | c_flags};

  always_ff @(posedge clk) begin
    if (idle) begin
      if (req_valid) begin
        idle <= 1'b0;
        computing <= 1'b0;
        slot <= req_slot;
        skip <= req_skip;
        tiles_i <= req_i;
        tiles_j <= req_j;
        tiles_k <= req_k;
        pad_i <= req_pad_i;
        pad_j <= req_pad_j;
        pad_k <= req_pad_k;
        transpose_a <= req_transpose_a;
        transpose_b <= req_transpose_b;
        accumulate <= req_accumulate;
        i <= '0;
        j <= '0;
        k <= '0;
        a <= req_a;
        a_of_k <= req_a;
        b <= req_b;
        b_of_k <= req_b;
        c <= req_c;
        c_of_j <= req_c;
        c_first <= req_c;
      end
    end else if (skip) idle <= 1'b1;
    else if (cmd_valid && cmd_ready) begin
      computing <= !computing;
      if (computing) begin
        if (!last_i) begin
          i <= i + 16'd1;
          a <= a + a_step_i;
          c <= c + c_step_i;
        end else begin
          i <= '0;
          if (!last_j) begin
            j <= j + 16'd1;
            a <= a_of_k;
            b <= b + b_step_j;
            c <= c_of_j + 32'(DIM);
            c_of_j <= c_of_j + 32'(DIM);
          end else begin
            j <= '0;
            k <= last_k ? '0 : k + 16'd1;
            idle <= last_k;
            a <= a_of_k + a_step_k;
            a_of_k <= a_of_k + a_step_k;
            b <= b_of_k + b_step_k;
            b_of_k <= b_of_k + b_step_k;
            c <= c_first;
            c_of_j <= c_first;
          end
        end
      end
    end
    if (rst) begin
      idle <= 1'b1;
      slot <= 1'b0;
      i <= '0;
      j <= '0;
      k <= '0;
    end
  end
endmodule
