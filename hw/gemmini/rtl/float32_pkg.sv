// Scaling of integers by a float32 in plain integer logic: convert, multiply, convert back (GEMMINI_ISA section 6, S8).
//
// The three steps are functions of their own so that pipelines can put registers between them. Each rounds half to even. Numbers below
// 2^-126 count as zero: what is scaled by them is far below one half. Products too large for float32 become infinite, NaN counts as
// positive infinity. A float32 is its usual 32 bits: sign, 8 bits of exponent biased by 127, 23 of fraction.

/* verilator lint_off UNUSEDPARAM */  // not every module scales
package float32_pkg;

  localparam logic [31:0] FLOAT_ONE = 32'h3f80_0000;

  // An int32 as float32.
  function automatic logic [31:0] float_of_int(input logic [31:0] x);
    logic [31:0] magnitude;
    logic [4:0] lead;
    logic [23:0] rounded;
    magnitude = x[31] ? -x : x;
    lead[4] = magnitude[31:16] == '0;
    if (lead[4]) magnitude = magnitude << 16;
    lead[3] = magnitude[31:24] == '0;
    if (lead[3]) magnitude = magnitude << 8;
    lead[2] = magnitude[31:28] == '0;
    if (lead[2]) magnitude = magnitude << 4;
    lead[1] = magnitude[31:30] == '0;
    if (lead[1]) magnitude = magnitude << 2;
    lead[0] = !magnitude[31];
    if (lead[0]) magnitude = magnitude << 1;
    // A carry out of the fraction leaves it zero and goes to the exponent.
    rounded = {1'b0, magnitude[30:8]} + 24'(magnitude[7] && (magnitude[6:0] != '0 || magnitude[8]));
    float_of_int = {x[31], magnitude[31] ? 8'd158 - {3'd0, lead} + {7'd0, rounded[23]} : 8'd0, rounded[22:0]};
  endfunction

  // The product of two float32.
  function automatic logic [31:0] float_product(input logic [31:0] a, input logic [31:0] b);
    logic [47:0] product;
    logic [9:0] exponent;
    logic [23:0] rounded;
    logic sign;
    product = {24'd0, 1'b1, a[22:0]} * {24'd0, 1'b1, b[22:0]};
    exponent = {2'b00, a[30:23]} + {2'b00, b[30:23]} + {9'd0, product[47]};
    if (!product[47]) product = product << 1;
    rounded = {1'b0, product[46:24]} + 24'(product[23] && (product[22:0] != '0 || product[24]));
    exponent = exponent + {9'd0, rounded[23]};
    sign = a[31] ^ b[31];
    float_product = {sign, exponent[7:0] - 8'd127, rounded[22:0]};
    if (a[30:23] == 8'd255 || b[30:23] == 8'd255) begin
      // Infinity times zero is NaN too.
      if ((a[30:23] == 8'd255 && a[22:0] != '0) || (b[30:23] == 8'd255 && b[22:0] != '0) || a[30:23] == 8'd0 || b[30:23] == 8'd0)
        sign = 1'b0;
      float_product = {sign, 8'd255, 23'd0};
    end else if (a[30:23] == 8'd0 || b[30:23] == 8'd0 || exponent <= 10'd127) begin
      float_product = {sign, 31'd0};
    end else if (exponent >= 10'd382) begin
      float_product = {sign, 8'd255, 23'd0};
    end
  endfunction

  // A float32 rounded to a whole number and saturated to int8.
  function automatic logic [7:0] int8_of_float(input logic [31:0] x);
    logic [31:0] fixed;  // 8 bits before the point
    logic [7:0] magnitude;
    int8_of_float = '0;
    fixed = '0;
    magnitude = '0;
    if (x[30:23] >= 8'd134) begin
      int8_of_float = x[31] ? 8'h80 : 8'h7f;
    end else if (x[30:23] >= 8'd126) begin
      fixed = {8'd0, 1'b1, x[22:0]} << (x[30:23] - 8'd126);
      magnitude = fixed[31:24] + 8'(fixed[23] && (fixed[22:0] != '0 || fixed[24]));
      if (magnitude[7]) int8_of_float = x[31] ? 8'h80 : 8'h7f;
      else int8_of_float = x[31] ? -magnitude : magnitude;
    end
  endfunction

endpackage
/* verilator lint_on UNUSEDPARAM */
