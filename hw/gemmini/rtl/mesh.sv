// The systolic array: DIM x DIM elements with their skew in front and behind.
//
// A row of A, B and D and its control word enter together and meet the elements as a diagonal wave: element (r, c) works on a row
// r + c cycles after element (0, 0) (A is delayed a cycle a row of elements, B, D and control a cycle a column, GEMMINI_UARCH 6.5).
// Every element has two registers, c1 and c2. `propagate` says which one passes its value down and takes what comes from above (D);
// the other one is the weight (weight-stationary: sum below = sum above + a * weight), or the sum (output-stationary: sum += a * b).
// Sums are MESH_BITS wide and wrap. Sums that leave an output-stationary array are shifted right, half to even, in the row where
// propagate changes.
//
// Timing: a row presented in cycle t is in element (0, 0) in t + 1 and in element (DIM-1, DIM-1) in t + 2*DIM - 1; its results are
// at the output, columns aligned again, in t + 2*DIM (UARCH 6.4). A row a cycle.
//
// For the simulator's sake the array is one clocked process that updates its registers with loops over all elements, which C++
// compilers turn into vector instructions (an always_ff for each element simulates several times slower). The registers belong to
// that process alone; what leaves it is assigned with <=. It sleeps while no row is on its way.

module mesh
  import gemmini_config_pkg::*;
(
    input  logic                    clk,
    input  logic                    rst,
    input  logic                    in_valid,
    input  logic                    in_propagate,
    input  logic                    in_os,         // output-stationary
    input  logic [4:0]              in_shift,      // of sums that leave, where propagate changes
    input  logic [DIM*IN_BITS-1:0]  in_a,
    input  logic [DIM*IN_BITS-1:0]  in_b,
    input  logic [DIM*IN_BITS-1:0]  in_d,
    output logic [DIM*ACC_BITS-1:0] out_data,      // sign-extended from MESH_BITS
    output logic [2*DIM-1:0]        on_the_way     // rows, youngest in bit 0; the last one leaves now
);
  localparam int unsigned ELEMENTS = DIM * DIM;
  localparam int unsigned LAST_ROW = ELEMENTS - DIM;
  localparam int SIGN = MESH_BITS - IN_BITS;

  function automatic logic [MESH_BITS-1:0] widened(input logic [IN_BITS-1:0] x);
    widened = {{SIGN{x[IN_BITS-1]}}, x};
  endfunction

  // Arithmetic shift right, half to even.
  function automatic logic [MESH_BITS-1:0] rounded(input logic [MESH_BITS-1:0] x, input logic [4:0] shift);
    logic [ACC_BITS-1:0] wide, lost;
    logic [MESH_BITS-1:0] kept;
    logic up;
    wide = {{(ACC_BITS - MESH_BITS) {x[MESH_BITS-1]}}, x};
    kept = MESH_BITS'($signed(wide) >>> shift);
    lost = wide << (6'd32 - {1'b0, shift});  // the dropped bits, left-aligned; none for a shift of 0
    up = lost[ACC_BITS-1] && ((|lost[ACC_BITS-2:0]) || kept[0]);
    rounded = kept + {{(MESH_BITS - 1) {1'b0}}, up};
  endfunction

  // Where propagate changes is the same for all elements, so it is seen here once.
  logic last_propagate;
  logic leaving, any_shift;
  logic [4:0] shift_in;
  assign leaving = in_os && in_propagate != last_propagate;
  assign shift_in = leaving ? in_shift : '0;

  logic [2*DIM-1:0] shifting;  // rows on the way whose sums are shifted
  assign any_shift = |shifting;

  always_ff @(posedge clk) begin
    on_the_way <= {on_the_way[2*DIM-2:0], in_valid};
    shifting   <= {shifting[2*DIM-2:0], in_valid && shift_in != '0};
    if (in_valid) last_propagate <= in_propagate;
    if (rst) begin
      on_the_way <= '0;
      shifting <= '0;
      last_propagate <= 1'b0;
    end
  end

  // Element (r, c) is number r * DIM + c. Inputs of the elements, and the two registers of each.
  logic [IN_BITS-1:0] a[0:ELEMENTS-1];
  logic [MESH_BITS-1:0] b[0:ELEMENTS-1];
  logic [MESH_BITS-1:0] d[0:ELEMENTS-1];
  logic valid[0:ELEMENTS-1];
  logic propagate[0:ELEMENTS-1];
  logic os[0:ELEMENTS-1];
  logic [4:0] shift[0:ELEMENTS-1];
  logic [MESH_BITS-1:0] c1[0:ELEMENTS-1];
  logic [MESH_BITS-1:0] c2[0:ELEMENTS-1];
  // What they compute in this cycle: a sum, and the two values passed down.
  logic [MESH_BITS-1:0] sum[0:ELEMENTS-1];
  logic [MESH_BITS-1:0] b_down[0:ELEMENTS-1];
  logic [MESH_BITS-1:0] d_down[0:ELEMENTS-1];
  // Delay lines, stage * DIM + row (of A) or column; each row or column uses as many stages as it needs.
  logic [IN_BITS-1:0] a_delay[0:ELEMENTS-1];
  logic [IN_BITS-1:0] b_delay[0:ELEMENTS-1];
  logic [IN_BITS-1:0] d_delay[0:ELEMENTS-1];
  logic valid_delay[0:DIM-1];
  logic propagate_delay[0:DIM-1];
  logic os_delay[0:DIM-1];
  logic [4:0] shift_delay[0:DIM-1];
  logic [MESH_BITS-1:0] out_delay[0:ELEMENTS-1];
  logic [MESH_BITS-1:0] left[0:DIM-1];  // the array in this cycle

  /* verilator lint_off BLKSEQ */  // private registers of one process, see above
  always_ff @(posedge clk) begin : elements
    int unsigned i, c;
    i = 0;  // assigned outside the condition, so that simulators keep them in machine registers
    c = 0;
    if (in_valid || on_the_way != '0) begin
      // Elements
      for (i = 0; i < ELEMENTS; i = i + 1)
        sum[i] = (os[i] ? (propagate[i] ? c2[i] : c1[i]) : b[i])
            + widened(a[i]) * widened(os[i] ? b[i][IN_BITS-1:0] : propagate[i] ? c2[i][IN_BITS-1:0] : c1[i][IN_BITS-1:0]);
      for (i = 0; i < ELEMENTS; i = i + 1) d_down[i] = propagate[i] ? c1[i] : c2[i];
      if (any_shift) for (i = 0; i < ELEMENTS; i = i + 1) d_down[i] = rounded(d_down[i], shift[i]);
      for (i = 0; i < ELEMENTS; i = i + 1) b_down[i] = os[i] ? b[i] : sum[i];
      for (i = 0; i < ELEMENTS; i = i + 1) c1[i] = !valid[i] ? c1[i] : propagate[i] ? d[i] : os[i] ? sum[i] : c1[i];
      for (i = 0; i < ELEMENTS; i = i + 1) c2[i] = !valid[i] ? c2[i] : !propagate[i] ? d[i] : os[i] ? sum[i] : c2[i];

      // Out of the last row, through the output register and the delays that align the columns
      for (c = 0; c < DIM; c = c + 1) left[c] = os[LAST_ROW+c] ? d_down[LAST_ROW+c] : b_down[LAST_ROW+c];
      for (c = 0; c < DIM - 1; c = c + 1)
        out_data[c*ACC_BITS+:ACC_BITS] <= {{(ACC_BITS - MESH_BITS) {out_delay[(DIM-2-c)*DIM+c][MESH_BITS-1]}}, out_delay[(DIM-2-c)*DIM+c]};
      out_data[(DIM-1)*ACC_BITS+:ACC_BITS] <= {{(ACC_BITS - MESH_BITS) {left[DIM-1][MESH_BITS-1]}}, left[DIM-1]};
      for (i = ELEMENTS - 1; i >= DIM; i = i - 1) out_delay[i] = out_delay[i-DIM];
      for (c = 0; c < DIM; c = c + 1) out_delay[c] = left[c];

      // One element down, and A one to the right
      for (i = ELEMENTS - 1; i >= DIM; i = i - 1) b[i] = b_down[i-DIM];
      for (i = ELEMENTS - 1; i >= DIM; i = i - 1) d[i] = d_down[i-DIM];
      for (i = ELEMENTS - 1; i >= DIM; i = i - 1) valid[i] = valid[i-DIM];
      for (i = ELEMENTS - 1; i >= DIM; i = i - 1) propagate[i] = propagate[i-DIM];
      for (i = ELEMENTS - 1; i >= DIM; i = i - 1) os[i] = os[i-DIM];
      for (i = ELEMENTS - 1; i >= DIM; i = i - 1) shift[i] = shift[i-DIM];
      for (i = ELEMENTS - 1; i >= 1; i = i - 1) a[i] = a[i-1];

      // Into the first row and column, from the end of each delay line
      for (c = 1; c < DIM; c = c + 1) begin
        a[c*DIM] = a_delay[(c-1)*DIM+c];
        b[c] = widened(b_delay[(c-1)*DIM+c]);
        d[c] = widened(d_delay[(c-1)*DIM+c]);
        valid[c] = valid_delay[c-1];
        propagate[c] = propagate_delay[c-1];
        os[c] = os_delay[c-1];
        shift[c] = shift_delay[c-1];
      end
      a[0] = in_a[0+:IN_BITS];
      b[0] = widened(in_b[0+:IN_BITS]);
      d[0] = widened(in_d[0+:IN_BITS]);
      valid[0] = in_valid;
      propagate[0] = in_propagate;
      os[0] = in_os;
      shift[0] = shift_in;
      for (i = ELEMENTS - 1; i >= DIM; i = i - 1) a_delay[i] = a_delay[i-DIM];
      for (i = ELEMENTS - 1; i >= DIM; i = i - 1) b_delay[i] = b_delay[i-DIM];
      for (i = ELEMENTS - 1; i >= DIM; i = i - 1) d_delay[i] = d_delay[i-DIM];
      for (c = 0; c < DIM; c = c + 1) begin
        a_delay[c] = in_a[c*IN_BITS+:IN_BITS];
        b_delay[c] = in_b[c*IN_BITS+:IN_BITS];
        d_delay[c] = in_d[c*IN_BITS+:IN_BITS];
      end
      for (c = DIM - 1; c >= 1; c = c - 1) begin
        valid_delay[c] = valid_delay[c-1];
        propagate_delay[c] = propagate_delay[c-1];
        os_delay[c] = os_delay[c-1];
        shift_delay[c] = shift_delay[c-1];
      end
      valid_delay[0] = in_valid;
      propagate_delay[0] = in_propagate;
      os_delay[0] = in_os;
      shift_delay[0] = shift_in;
    end
  end
  /* verilator lint_on BLKSEQ */
endmodule
