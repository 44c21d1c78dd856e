// Turns mvout commands into block requests for the store pipeline, and completes them when their rows have been read.
//
// Timing (UARCH 4.1): a configuration takes 1 cycle; an mvout of N blocks max(N, 2), one a cycle, rows outermost, the first in the cycle
// in which the command is at the head of the queue, provided one of ST_TRACKERS places is free. It completes the cycle after the last row
// has been read, long before the data is in DRAM. With pooling there is a request for each pixel of each window, windows outermost; pixels
// in the padding read nothing and count as 0.

module store_controller
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import load_store_pkg::*;
(
    input  logic         clk,
    input  logic         rst,
    // from and to the reservation station
    input  logic         issue_st_valid,
    output logic         issue_st_ready,
    /* verilator lint_off UNUSEDSIGNAL */  // which loop it comes from matters to the station
    input  cmd_t         issue_st_cmd,
    /* verilator lint_on UNUSEDSIGNAL */
    input  rs_id_t       issue_st_id,
    output logic         st_done_valid,
    input  logic         st_done_ready,
    output rs_id_t       st_done_id,
    // blocks to the store pipeline
    output logic         store_block_valid,
    input  logic         store_block_ready,
    output store_block_t store_block,
    // a block has been read from its memory
    input  logic         store_read_valid,
    input  st_tracker_t  store_read_tracker,
    // counters and stall report
    output logic         st_pooling,
    output logic         st_waits_for_tracker,
    output logic         st_waits_for_dma
);
  // Queue of commands
  typedef struct packed {
    logic [6:0]  funct;
    logic [63:0] rs1;
    logic [63:0] rs2;
    rs_id_t      id;
  } entry_t;
  entry_t pushed, head;
  logic head_valid, pop;
  assign pushed.funct = issue_st_cmd.funct;
  assign pushed.rs1 = issue_st_cmd.rs1;
  assign pushed.rs2 = issue_st_cmd.rs2;
  assign pushed.id = issue_st_id;
  /* verilator lint_off PINCONNECTEMPTY */
  queue #(
      .WIDTH($bits(pushed)),
      .ENTRIES(ST_QUEUE)
  ) commands (
      .clk(clk),
      .rst(rst),
      .in_valid(issue_st_valid),
      .in_ready(issue_st_ready),
      .in_data(pushed),
      .out_valid(head_valid),
      .out_ready(pop),
      .out_data(head),
      .count()
  );
  /* verilator lint_on PINCONNECTEMPTY */
  logic is_config;
  assign is_config = head.funct == FUNCT_CONFIG;

  // State: the first request is made while idle, or in FIRST if the pipeline was not ready then.
  typedef enum logic [1:0] {
    IDLE,
    FIRST,
    BLOCKS
  } state_t;
  state_t state;

  // Configuration. A scale of all ones keeps the one before; the pooled image is set only while pooling is switched on (GEMMINI_ISA 7.3).
  localparam int SIDE_BITS = CONFIG_ST_OUT_ROWS_WIDTH;  // bits of rows or columns of an image
  localparam int WINDOW_BITS = CONFIG_ST_POOL_SIZE_WIDTH;
  logic [31:0] dram_stride, scale;
  logic [2:0] activation;
  logic [WINDOW_BITS-1:0] pool_stride, pool_size, upper_pad, left_pad;
  logic [SIDE_BITS-1:0] out_pitch, out_rows, out_columns, image_rows, image_columns;
  logic set;
  assign set = head_valid && is_config && state == IDLE;
  always_ff @(posedge clk)
    if (set) begin
      dram_stride <= head.rs2[CONFIG_ST_DRAM_STRIDE_LSB+:CONFIG_ST_DRAM_STRIDE_WIDTH];
      activation  <= {1'b0, head.rs1[CONFIG_ST_ACTIVATION_LSB+:CONFIG_ST_ACTIVATION_WIDTH]};
      pool_stride <= head.rs1[CONFIG_ST_POOL_STRIDE_LSB+:WINDOW_BITS];
      if (!(&head.rs2[CONFIG_ST_ACC_SCALE_LSB+:CONFIG_ST_ACC_SCALE_WIDTH]))
        scale <= head.rs2[CONFIG_ST_ACC_SCALE_LSB+:CONFIG_ST_ACC_SCALE_WIDTH];
      if (head.rs1[CONFIG_ST_POOL_STRIDE_LSB+:WINDOW_BITS] != '0) begin
        pool_size <= head.rs1[CONFIG_ST_POOL_SIZE_LSB+:WINDOW_BITS];
        upper_pad <= head.rs1[CONFIG_ST_POOL_UPPER_PAD_LSB+:WINDOW_BITS];
        left_pad <= head.rs1[CONFIG_ST_POOL_LEFT_PAD_LSB+:WINDOW_BITS];
        out_pitch <= head.rs1[CONFIG_ST_POOL_OUT_DIM_LSB+:SIDE_BITS];
        out_rows <= head.rs1[CONFIG_ST_POOL_OUT_ROWS_LSB+:SIDE_BITS];
        out_columns <= head.rs1[CONFIG_ST_POOL_OUT_COLS_LSB+:SIDE_BITS];
        image_rows <= head.rs1[CONFIG_ST_OUT_ROWS_LSB+:SIDE_BITS];
        image_columns <= head.rs1[CONFIG_ST_OUT_COLS_LSB+:SIDE_BITS];
      end
    end
  logic pooling;
  assign pooling = pool_stride != '0;

  st_tracker_t tracker, free_tracker;
  logic tracker_free, start, taken, first, last, ended;
  assign start = state == IDLE && head_valid && !is_config && tracker_free;
  assign store_block_valid = start || state == FIRST || (state == BLOCKS && !ended);
  assign taken = store_block_valid && store_block_ready;
  assign first = state != BLOCKS;
  assign pop = state == IDLE ? head_valid && is_config : state == BLOCKS && (ended || (last && taken));

  // Plain: block within row within command
  tile_t row;
  move_cols_t block, blocks;
  tile_t columns_left;  // in the last block
  logic [63:0] row_dram;
  logic last_block;
  assign blocks = blocks_of(move_cols(head.rs2));
  assign last_block = block + MOVE_COLS_BITS'(1) == blocks;
  assign columns_left = TILE_BITS'(move_cols(head.rs2) - (block << DIM_BITS));

  // Pooling: pixel within window within row of windows
  logic [SIDE_BITS-1:0] pool_row, pool_column;
  logic [WINDOW_BITS-1:0] window_row, window_column;
  localparam int PIXEL_AT_BITS = SIDE_BITS + WINDOW_BITS + 2;
  logic [PIXEL_AT_BITS-1:0] at_row, at_column;  // negative in the padding
  logic padding, last_window_column, last_window_row, last_pool_column, last_pool_row;
  localparam int PITCH_BITS = SIDE_BITS + CONFIG_ST_DRAM_STRIDE_WIDTH;
  logic [63:0] pool_dram, pool_row_dram, next_pool_row_dram;
  always_comb begin
    at_row = '0;
    at_column = '0;
    if (pooling) begin
      at_row = PIXEL_AT_BITS'(pool_row) * PIXEL_AT_BITS'(pool_stride) + PIXEL_AT_BITS'(window_row) - PIXEL_AT_BITS'(upper_pad);
      at_column = PIXEL_AT_BITS'(pool_column) * PIXEL_AT_BITS'(pool_stride) + PIXEL_AT_BITS'(window_column) - PIXEL_AT_BITS'(left_pad);
    end
  end
  assign padding = at_row >= PIXEL_AT_BITS'(image_rows) || at_column >= PIXEL_AT_BITS'(image_columns);
  assign last_window_column = window_column + WINDOW_BITS'(1) == pool_size;
  assign last_window_row = window_row + WINDOW_BITS'(1) == pool_size;
  assign last_pool_column = pool_column + SIDE_BITS'(1) == out_columns;
  assign last_pool_row = pool_row + SIDE_BITS'(1) == out_rows;
  assign last = pooling ? last_window_column && last_window_row && last_pool_column && last_pool_row :
      last_block && row + TILE_BITS'(1) == operand_rows(head.rs2);

  // The request
  local_row_t base;
  assign base = local_row(head.rs2[31:0]);
  always_comb begin
    store_block.garbage = local_is_garbage(head.rs2[31:0]) || (pooling && padding);
    store_block.is_acc = local_is_acc(head.rs2[31:0]);
    store_block.full_width = local_is_acc(head.rs2[31:0]) && local_full_width(head.rs2[31:0]) && !pooling;
    store_block.activation = activation;
    store_block.scale = scale;
    store_block.tracker = state == IDLE ? free_tracker : tracker;
    if (pooling) begin
      store_block.dram = first ? head.rs1 : pool_dram;
      store_block.row = base + LOCAL_ROW_BITS'(LOCAL_ROW_BITS'(at_row) * LOCAL_ROW_BITS'(image_columns)) + LOCAL_ROW_BITS'(at_column);
      store_block.cols = TILE_BITS'(move_cols(head.rs2));
      store_block.block = '0;
      store_block.pool = window_row != '0 || window_column != '0;
      store_block.store = last_window_column && last_window_row;
    end else begin
      store_block.dram = first ? head.rs1 : row_dram;
      store_block.row = base + LOCAL_ROW_BITS'(row) + (LOCAL_ROW_BITS'(block) << DIM_BITS);
      store_block.cols = last_block ? columns_left : TILE_BITS'(DIM);
      store_block.block = block;
      store_block.pool = 1'b0;
      store_block.store = last_block;
    end
  end

  always_ff @(posedge clk) begin
    if (start) tracker <= free_tracker;
    if (start) state <= taken ? BLOCKS : FIRST;
    else if (state == FIRST && taken) state <= BLOCKS;
    else if (pop) state <= IDLE;
    if (taken) ended <= last;
    if (pop) ended <= 1'b0;

    if (taken && !pooling) begin
      block <= last_block ? '0 : block + MOVE_COLS_BITS'(1);
      row_dram <= store_block.dram + (last_block ? 64'(dram_stride) : '0);
      if (last_block) row <= row + TILE_BITS'(1);
    end
    if (taken && pooling) begin
      window_column <= last_window_column ? '0 : window_column + WINDOW_BITS'(1);
      if (first) begin
        pool_row_dram <= head.rs1;
        pool_dram <= head.rs1;
      end
      if (last_window_column) window_row <= last_window_row ? '0 : window_row + WINDOW_BITS'(1);
      if (last_window_column && last_window_row) begin
        pool_column <= last_pool_column ? '0 : pool_column + SIDE_BITS'(1);
        pool_dram <= store_block.dram + 64'(dram_stride);
        if (last_pool_column) begin
          pool_row <= pool_row + SIDE_BITS'(1);
          pool_row_dram <= next_pool_row_dram;
          pool_dram <= next_pool_row_dram;
        end
      end
    end
    if (pop) begin
      row <= '0;
      block <= '0;
      pool_row <= '0;
      pool_column <= '0;
      window_row <= '0;
      window_column <= '0;
    end
    if (rst) begin
      state <= IDLE;
      ended <= 1'b0;
      row <= '0;
      block <= '0;
      pool_row <= '0;
      pool_column <= '0;
      window_row <= '0;
      window_column <= '0;
    end
  end
  assign next_pool_row_dram = (first ? head.rs1 : pool_row_dram) + 64'(PITCH_BITS'(out_pitch) * PITCH_BITS'(dram_stride));

  // Requests that each command under way still has to have read
  localparam int REQUESTS_BITS = 2 * SIDE_BITS + 2 * WINDOW_BITS;
  logic [ST_TRACKERS-1:0] busy, finished;
  rs_id_t ids[0:ST_TRACKERS-1];
  logic [REQUESTS_BITS-1:0] left[0:ST_TRACKERS-1];
  logic [REQUESTS_BITS-1:0] total;
  st_tracker_t done_tracker;
  always_comb begin
    total = REQUESTS_BITS'(operand_rows(head.rs2)) * REQUESTS_BITS'(blocks);
    if (pooling)
      total = REQUESTS_BITS'(out_rows) * REQUESTS_BITS'(out_columns) * REQUESTS_BITS'(pool_size) * REQUESTS_BITS'(pool_size);
    free_tracker = '0;
    done_tracker = '0;
    for (int i = ST_TRACKERS - 1; i >= 0; i--) begin
      finished[i] = busy[i] && left[i] == '0;
      if (!busy[i]) free_tracker = ST_TRACKER_BITS'(i);
      if (finished[i]) done_tracker = ST_TRACKER_BITS'(i);
    end
  end
  assign tracker_free = !(&busy);
  assign st_done_valid = finished != '0;
  assign st_done_id = ids[done_tracker];
  always_ff @(posedge clk) begin
    if (store_read_valid) left[store_read_tracker] <= left[store_read_tracker] - REQUESTS_BITS'(1);
    if (st_done_valid && st_done_ready) busy[done_tracker] <= 1'b0;
    if (start) begin
      busy[free_tracker] <= 1'b1;
      ids[free_tracker]  <= head.id;
      left[free_tracker] <= total;
    end
    if (rst) busy <= '0;
  end

  assign st_pooling = pooling && state == BLOCKS;
  assign st_waits_for_tracker = state == IDLE && head_valid && !is_config && !tracker_free;
  assign st_waits_for_dma = store_block_valid && !store_block_ready;
endmodule
