// Types of the load and store paths: row requests to the reader, block requests to the store pipeline.

/* verilator lint_off UNUSEDPARAM */  // not every module asks for every type
package load_store_pkg;
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;

  // A place in the table of mvins (mvouts) that the DMA works on.
  localparam int LD_TRACKER_BITS = LD_TRACKERS > 1 ? $clog2(LD_TRACKERS) : 1;
  localparam int ST_TRACKER_BITS = ST_TRACKERS > 1 ? $clog2(ST_TRACKERS) : 1;
  typedef logic [LD_TRACKER_BITS-1:0] ld_tracker_t;
  typedef logic [ST_TRACKER_BITS-1:0] st_tracker_t;

  // Bytes of a row in DRAM, of a request, and of a whole mvin.
  localparam int ROW_MAX_BYTES = 4 * MAX_ACC_COLS > MAX_COLS ? 4 * MAX_ACC_COLS : MAX_COLS;
  localparam int ROW_BYTES_BITS = $clog2(ROW_MAX_BYTES + 1);
  localparam int LOAD_BYTES_BITS = $clog2(DIM * ROW_MAX_BYTES + 1);
  typedef logic [ROW_BYTES_BITS-1:0] row_bytes_t;
  typedef logic [LOAD_BYTES_BITS-1:0] load_bytes_t;

  // Pixel repeats: the generator keeps log2(DIM) + 1 bits of the eight.
  localparam int PIXEL_BITS = TILE_BITS > 8 ? 8 : TILE_BITS;
  typedef logic [PIXEL_BITS-1:0] pixels_t;

  // A row to be loaded. `copies` more of it go to the rows after it (a DRAM stride of 0).
  typedef struct packed {
    logic [63:0] dram;
    logic        is_acc;
    logic        accumulate;
    logic        wide;  // int32 in DRAM
    local_row_t  row;
    local_row_t  block_stride;
    move_cols_t  cols;
    tile_t       copies;
    pixels_t     pixel_repeats;
    logic [31:0] scale;
    ld_tracker_t tracker;
  } load_row_t;

  // A block of a row to be stored. The rows of a pooling window but the last only take part in its maximum (`store` low).
  typedef struct packed {
    logic [63:0] dram;
    logic        garbage;  // zeros, from no memory
    logic        is_acc;
    logic        full_width;
    local_row_t  row;
    tile_t       cols;
    move_cols_t  block;
    logic        pool;  // take the maximum with the rows of this window before it
    logic        store;  // the last of a row or window
    logic [2:0]  activation;
    logic [31:0] scale;
    st_tracker_t tracker;
  } store_block_t;
  localparam STORE_BLOCK_BITS = 64 + 5 + 3 + 32 + LOCAL_ROW_BITS + TILE_BITS + MOVE_COLS_BITS + ST_TRACKER_BITS;

  localparam logic [2:0] ACTIVATION_RELU = 3'd1;

  // What a load writes at once: up to one row of a private memory. `last` is set on the last write of a Get's (or zero row's) data, of
  // which there are `bytes`.
  typedef struct packed {
    logic        is_acc;
    logic        accumulate;
    local_row_t  row;
    tile_t       cols;
    pixels_t     pixel_repeats;
    logic        last;
    row_bytes_t  bytes;
    ld_tracker_t tracker;
  } load_block_t;

  // Requests are aligned to their size: a power of two from a beat up to the largest (UARCH 3.2).
  localparam int MIN_SIZE = BUS_BYTES_BITS;
  localparam int MAX_SIZE = $clog2(DMA_MAX_BYTES) > MIN_SIZE ? $clog2(DMA_MAX_BYTES) : MIN_SIZE;
  localparam int BEATS_BITS = MAX_SIZE - MIN_SIZE + 1;  // bits of a number of beats
  typedef logic [MAX_SIZE-1:0] line_offset_t;
  typedef logic [BEATS_BITS-1:0] beats_t;

  // The place in its line (of the largest size) of what is aligned to 2^size bytes before an offset.
  function automatic line_offset_t aligned_offset(input line_offset_t offset, input logic [3:0] size);
    aligned_offset = offset & ~((MAX_SIZE'(1) << size) - MAX_SIZE'(1));
  endfunction

  typedef struct packed {
    logic [3:0] size;  // log2 of its bytes
    row_bytes_t useful;  // bytes of the row in it
  } request_t;

  // The request that covers the most of the next `left` bytes at an address with these low bits; the smallest of those.
  function automatic logic [3+ROW_BYTES_BITS:0] best_request(input line_offset_t offset, input row_bytes_t left);
    row_bytes_t useful, most;
    logic [3:0] size;
    most = '0;
    size = 4'(MIN_SIZE);
    for (int s = MIN_SIZE; s <= MAX_SIZE; s++) begin
      useful = ROW_BYTES_BITS'((1 << s) - (32'(offset) & ((1 << s) - 1)));
      if (useful > left) useful = left;
      if (useful > most) begin
        most = useful;
        size = 4'(s);
      end
    end
    best_request = {size, most};
  endfunction

endpackage
/* verilator lint_on UNUSEDPARAM */
