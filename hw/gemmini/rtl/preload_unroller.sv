// Transposed weights, expanded in front of the execute queue (GEMMINI_UARCH 6.7).
//
// The transposer needs one pass over the rows of B before the weights can enter the array. So with B transposed and
// weight-stationary, each (preload, compute_preloaded) becomes four commands:
//   preload(B, no C), compute_accumulated(A, D), preload(nothing, C), compute_preloaded(A, D).
// The first two carry no station id. The extra compute reads its operands like the real one; its result goes nowhere.
//
// Timing: a queue of two; one command a cycle, from the cycle after it arrived. A preload waits for its compute while B is transposed.

module preload_unroller
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
(
    input  logic        clk,
    input  logic        rst,
    input  logic        in_valid,
    output logic        in_ready,
    input  logic [6:0]  in_funct,
    input  logic [63:0] in_rs1,
    input  logic [63:0] in_rs2,
    input  rs_id_t      in_id,
    output logic        out_valid,
    input  logic        out_ready,
    output logic [6:0]  out_funct,
    output logic [63:0] out_rs1,
    output logic [63:0] out_rs2,
    output logic        out_has_id,
    output rs_id_t      out_id,
    output logic        active
);
  localparam ENTRIES = PRELOAD_UNROLLER_QUEUE;
  localparam LEN_BITS = $clog2(ENTRIES + 1);
  localparam PTR_BITS = ENTRIES > 1 ? $clog2(ENTRIES) : 1;
  localparam logic [PTR_BITS-1:0] LAST = PTR_BITS'(ENTRIES - 1);

  typedef enum logic [1:0] {
    PASS,
    EXTRA_COMPUTE,
    SECOND_PRELOAD
  } state_t;
  state_t state;

  logic [6:0] functs[0:ENTRIES-1];
  logic [63:0] rs1s[0:ENTRIES-1];
  logic [63:0] rs2s[0:ENTRIES-1];
  rs_id_t ids[0:ENTRIES-1];
  logic [PTR_BITS-1:0] head, second, tail;
  logic [LEN_BITS-1:0] len;
  logic push, pop, first_preload, unroll, transposed, is_config;

  assign in_ready = len != LEN_BITS'(ENTRIES);
  assign push = in_valid && in_ready;
  assign second = head == LAST ? '0 : head + 1'b1;

  assign first_preload = state == PASS && len != '0 && functs[head] == FUNCT_PRELOAD;
  assign unroll = first_preload && transposed && len > LEN_BITS'(1) && functs[second] == FUNCT_COMPUTE_PRELOADED;
  assign out_valid = first_preload ? !transposed || len > LEN_BITS'(1) : len != '0;
  assign pop = out_valid && out_ready && !unroll && state != EXTRA_COMPUTE;
  assign active = state != PASS;

  always_comb begin
    out_funct = functs[head];
    out_rs1 = rs1s[head];
    out_rs2 = rs2s[head];
    out_has_id = 1'b1;
    out_id = ids[head];
    if (unroll) begin
      out_rs2[31:0] = GARBAGE;
      out_has_id = 1'b0;
    end else if (state == EXTRA_COMPUTE) begin
      out_funct = FUNCT_COMPUTE_ACCUMULATED;
      out_rs1 = rs1s[second];
      out_rs2 = rs2s[second];
      out_has_id = 1'b0;
    end else if (state == SECOND_PRELOAD) begin
      out_rs1[31:0] = GARBAGE;
    end
  end

  assign is_config = functs[head] == FUNCT_CONFIG && rs1s[head][1:0] == CONFIG_EX;

  always_ff @(posedge clk) begin
    if (push) begin
      functs[tail] <= in_funct;
      rs1s[tail] <= in_rs1;
      rs2s[tail] <= in_rs2;
      ids[tail] <= in_id;
      tail <= tail == LAST ? '0 : tail + 1'b1;
    end
    if (pop) head <= second;
    if (push != pop) len <= push ? len + 1'b1 : len - 1'b1;
    if (out_valid && out_ready) begin
      if (is_config) begin
        if (!rs1s[head][CONFIG_EX_SET_ONLY_STRIDES_LSB])
          transposed <= (WEIGHT_STATIONARY_ONLY || rs1s[head][CONFIG_EX_DATAFLOW_LSB]) && rs1s[head][CONFIG_EX_TRANSPOSE_B_LSB];
      end else if (unroll) state <= EXTRA_COMPUTE;
      else if (state == EXTRA_COMPUTE) state <= SECOND_PRELOAD;
      else state <= PASS;
    end
    if (rst) begin
      head <= '0;
      tail <= '0;
      len <= '0;
      state <= PASS;
      transposed <= 1'b0;
    end
  end
endmodule
