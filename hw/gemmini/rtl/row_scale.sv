// Makes int8 of a row of the accumulator: RELU, product with a float32, rounding, saturation. A row can also pass as it is.
//
// Timing (UARCH 4.2): ACC_SCALE_LATENCY (at least 3) registers, each of which moves on when there is room before it; a row a cycle. The
// first holds the row as float32, the second the products, the third the int8 values (in the low DIM bytes), the others only delay.

module row_scale
  import gemmini_config_pkg::*;
  import float32_pkg::*;
(
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     in_valid,
    output logic                     in_ready,
    input  logic [ACC_BANK_BITS:0]   in_tag,
    input  logic                     in_full,
    input  logic                     in_relu,
    input  logic [31:0]              in_scale,
    input  logic [DIM*ACC_BITS-1:0]  in_data,
    output logic                     out_valid,
    input  logic                     out_ready,
    output logic [ACC_BANK_BITS:0]   out_tag,
    output logic [DIM*ACC_BITS-1:0]  out_data
);
  localparam int STAGES = ACC_SCALE_LATENCY;
  localparam int LABEL_BITS = ACC_BANK_BITS + 1;

  logic [STAGES-1:0] valid, move;  // move: the register takes what the one before it has
  logic [STAGES*LABEL_BITS-1:0] tags;
  logic [1:0] full;
  logic [31:0] scale;
  logic [DIM*ACC_BITS-1:0] converted, product, rounded, delayed[2:STAGES-1];

  always_comb begin
    move[STAGES-1] = !valid[STAGES-1] || out_ready;
    for (int s = STAGES - 2; s >= 0; s--) move[s] = !valid[s] || move[s+1];
  end
  assign in_ready = move[0];
  assign out_valid = valid[STAGES-1];
  assign out_tag = tags[(STAGES-1)*LABEL_BITS+:LABEL_BITS];
  assign out_data = delayed[STAGES-1];

  always_ff @(posedge clk) begin
    for (int s = 0; s < STAGES; s++)
      if (move[s]) begin
        valid[s] <= s == 0 ? in_valid : valid[s-1];
        tags[s*LABEL_BITS+:LABEL_BITS] <= s == 0 ? in_tag : tags[(s-1)*LABEL_BITS+:LABEL_BITS];
      end
    if (rst) valid <= '0;
  end

  always_ff @(posedge clk)
    if (move[0] && in_valid) begin
      full[0] <= in_full;
      scale <= in_scale;
      converted <= in_data;
      if (!in_full)
        for (int i = 0; i < DIM; i++)
          converted[i*32+:32] <= in_relu && in_data[i*32+31] ? 32'd0 : float_of_int(in_data[i*32+:32]);
    end
  always_ff @(posedge clk)
    if (move[1] && valid[0]) begin
      full[1] <= full[0];
      product <= converted;
      if (!full[0]) for (int i = 0; i < DIM; i++) product[i*32+:32] <= float_product(converted[i*32+:32], scale);
    end
  always_ff @(posedge clk)
    if (move[2] && valid[1]) begin
      rounded <= product;
      if (!full[1]) for (int i = 0; i < DIM; i++) rounded[i*8+:8] <= int8_of_float(product[i*32+:32]);
    end
  assign delayed[2] = rounded;
  generate
    for (genvar s = 3; s < STAGES; s++) begin : g_delay
      always_ff @(posedge clk) if (move[s] && valid[s-1]) delayed[s] <= delayed[s-1];
    end
  endgenerate
endmodule
