// What the parts of the loop_conv_ws unroller share: a loop as it was configured with the sizes that follow from it, and commands in parts.
//
// Rows of the private memories that a loop uses (GEMMINI_UARCH section 7.3), one row holding up to DIM channels:
//   input        (channel / DIM) * a_block + batch * image + row * icols_ds + column
//   weights      (output channel / DIM) * b_block + (row * kcols + column) * kchs + channel
//   accumulator  (output channel / DIM) * c_block + batch * plane + row * ocols + column

package loop_conv_pkg;
  import gemmini_config_pkg::*;

  // What configuration commands 1 to 6 say, less the fields that only the host's library reads.
  typedef struct packed {
    logic [15:0] batch_size;
    logic [15:0] in_row_dim;
    logic [15:0] in_col_dim;
    logic [15:0] in_channels;
    logic [15:0] out_channels;
    logic [15:0] out_row_dim;
    logic [15:0] out_col_dim;
    logic [15:0] pool_out_row_dim;
    logic [15:0] pool_out_col_dim;
    logic [15:0] in_stride;
    logic [15:0] weight_stride;
    logic [15:0] out_stride;
    logic [15:0] kernel_dim;
    logic [7:0]  stride;
    logic [9:0]  dilation;
    logic [1:0]  pool_stride;
    logic [1:0]  pool_size;
    logic [1:0]  pool_upper_pad;
    logic [1:0]  pool_left_pad;
    logic [15:0] batches;
    logic [15:0] orows;
    logic [15:0] ocols;
    logic [15:0] ochs;
    logic [7:0]  porows;
    logic [7:0]  pocols;
    logic [15:0] krows;
    logic [15:0] kcols;
    logic [15:0] kchs;
    logic [15:0] upad;
    logic [15:0] dpad;
    logic [15:0] lpad;
    logic [15:0] rpad;
    logic [63:0] input_at;
    logic [63:0] weights_at;
    logic [63:0] output_at;
    logic [63:0] bias_at;
  } conv_config_t;

  // Flags of the run command.
  typedef struct packed {
    logic       no_bias;
    logic       rotate;
    logic       output_1203;
    logic       weight_1203;
    logic       weight_0132;
    logic       input_3120;
    logic       depthwise;
    logic [7:0] pixels;
    logic [1:0] a_id;
    logic [1:0] b_id;
    logic       no_pool;
    logic       downsample;
    logic       dilated;
    logic [1:0] activation;
  } conv_flags_t;

  // A loop that can run. Rows and columns of the input include its padding, in pixels that are kept; *_unpadded do not.
  typedef struct packed {
    conv_config_t       c;
    conv_flags_t        f;
    logic signed [16:0] irows_unpadded;
    logic signed [16:0] icols_unpadded;
    logic signed [16:0] irow_first;  // minus the upper pad
    logic signed [16:0] icol_first;
    logic signed [16:0] irow_end;  // one past the lower pad
    logic signed [16:0] icol_end;
    logic [15:0]        icols_ds;  // columns that are kept of an input row
    logic [31:0]        image;  // input rows of a batch, or of a channel where batches fill the rows
    logic [31:0]        a_block;
    logic [31:0]        b_block;
    logic [31:0]        c_block;
    logic [31:0]        plane;
    logic [31:0]        a_row;  // first row of the input
    logic [31:0]        b_row;  // first row of the weights, which end where a half of the scratchpad ends
  } conv_loop_t;

  localparam int BLOCK_BITS = $clog2(DIM);

  // x of rows or columns left, at most `most`.
  function automatic logic [15:0] least(input logic [15:0] x, input logic [15:0] most);
    least = x < most ? x : most;
  endfunction

  // 16 bits in 32: the argument keeps its own width, which an operand of a cast does not.
  function automatic logic [31:0] to_32_bits(input logic [15:0] x);
    to_32_bits = 32'(x);
  endfunction

  // The DIM-wide blocks before element x.
  function automatic logic [31:0] blocks_before(input logic [15:0] x);
    blocks_before = 32'(x) >> BLOCK_BITS;
  endfunction

  function automatic logic [31:0] dim_blocks(input logic [15:0] x);
    dim_blocks = (32'(x) + 32'(DIM - 1)) >> BLOCK_BITS;
  endfunction

  // A local operand: bits 31:0 the address, and its columns and rows.
  function automatic logic [63:0] operand(input logic [31:0] at, input logic [15:0] rows, input logic [15:0] cols);
    operand = 64'(at) << MVIN_LOCAL_LSB | 64'(cols) << MVIN_LOCAL_COLS_LSB | 64'(rows) << MVIN_LOCAL_ROWS_LSB;
  endfunction

  // rs1 of a config_ld without shrinking and with scale 1.
  function automatic logic [63:0] load_config(input logic [1:0] load_id, input logic [7:0] repeats, input logic [15:0] block_stride);
    load_config = 64'(CONFIG_LD) | 64'(load_id) << CONFIG_LD_LOAD_ID_LSB | 64'(repeats) << CONFIG_LD_PIXEL_REPEATS_LSB |
                  64'(block_stride) << CONFIG_LD_BLOCK_STRIDE_LSB | 64'h3f80_0000 << CONFIG_LD_SCALE_LSB;
  endfunction

  localparam logic [31:0] TO_ACCUMULATOR = 32'd1 << ACCUMULATOR_BIT;
  localparam logic [31:0] TO_ACCUMULATE = TO_ACCUMULATOR | 32'd1 << ACCUMULATE_BIT;
endpackage
