// Turns mvin commands into row requests for the DMA, and completes them when their data is in the private memories.
//
// Timing (UARCH 3.1): a configuration takes 1 cycle; an mvin of R rows max(R, 2), its first row being requested in the cycle in which the
// command is at the head of the queue, provided one of LD_TRACKERS places is free. A place is taken until the cycle after the last write.
// With a DRAM stride of 0 only one row is requested, to be copied; with DRAM address 0 all are, as zeros.

module load_controller
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import load_store_pkg::*;
(
    input  logic        clk,
    input  logic        rst,
    // from and to the reservation station
    input  logic        issue_ld_valid,
    output logic        issue_ld_ready,
    /* verilator lint_off UNUSEDSIGNAL */  // which loop it comes from matters to the station
    input  cmd_t        issue_ld_cmd,
    /* verilator lint_on UNUSEDSIGNAL */
    input  rs_id_t      issue_ld_id,
    output logic        ld_done_valid,
    input  logic        ld_done_ready,
    output rs_id_t      ld_done_id,
    // rows to the reader
    output logic        load_row_valid,
    input  logic        load_row_ready,
    output load_row_t   load_row,
    // what has been written to the private memories
    input  logic        load_written_valid,
    input  ld_tracker_t load_written_tracker,
    input  load_bytes_t load_written_bytes,
    // counters and stall report
    output logic        ld_waits_for_tracker,
    output logic        ld_waits_for_dma
);
  localparam int CONFIGS = 3;
  typedef struct packed {
    logic [63:0] dram_stride;
    logic [31:0] scale;
    local_row_t  block_stride;
    pixels_t     pixel_repeats;
    logic        shrink;
  } config_t;

  // Queue of commands. Of the funct only which load configuration it uses matters, or that it sets one.
  typedef struct packed {
    logic [6:0]  funct;
    logic [63:0] rs1;
    logic [63:0] rs2;
    rs_id_t      id;
  } entry_t;
  entry_t pushed, head;
  logic head_valid, pop;
  assign pushed.funct = issue_ld_cmd.funct;
  assign pushed.rs1 = issue_ld_cmd.rs1;
  assign pushed.rs2 = issue_ld_cmd.rs2;
  assign pushed.id = issue_ld_id;
  /* verilator lint_off PINCONNECTEMPTY */
  queue #(
      .WIDTH($bits(pushed)),
      .ENTRIES(LD_QUEUE)
  ) commands (
      .clk(clk),
      .rst(rst),
      .in_valid(issue_ld_valid),
      .in_ready(issue_ld_ready),
      .in_data(pushed),
      .out_valid(head_valid),
      .out_ready(pop),
      .out_data(head),
      .count()
  );
  /* verilator lint_on PINCONNECTEMPTY */
  logic is_config;
  logic [1:0] which;
  assign is_config = head.funct == FUNCT_CONFIG;
  assign which = head.funct == FUNCT_MVIN2 ? 2'd1 : head.funct == FUNCT_MVIN3 ? 2'd2 : 2'd0;

  // Load configurations
  config_t configs[0:CONFIGS-1];
  config_t set, used;
  pixels_t pixel_repeats;
  assign pixel_repeats = head.rs1[CONFIG_LD_PIXEL_REPEATS_LSB+:PIXEL_BITS];
  assign set.dram_stride = head.rs2;
  assign set.scale = head.rs1[CONFIG_LD_SCALE_LSB+:32];
  assign set.block_stride = LOCAL_ROW_BITS'(head.rs1[CONFIG_LD_BLOCK_STRIDE_LSB+:CONFIG_LD_BLOCK_STRIDE_WIDTH]);
  assign set.pixel_repeats = pixel_repeats == '0 ? PIXEL_BITS'(1) : pixel_repeats;
  assign set.shrink = head.rs1[CONFIG_LD_SHRINK_LSB];
  assign used = configs[which];

  // State: the first row is requested while idle, or in FIRST if the reader was not ready then.
  typedef enum logic [1:0] {
    IDLE,
    FIRST,
    ROWS
  } state_t;
  state_t state;
  tile_t row;  // requested next
  logic [63:0] next_dram;
  ld_tracker_t tracker;

  logic from_zero, wide, start, tracker_free, row_taken, last_row;
  tile_t rows, requests;
  ld_tracker_t free_tracker;
  assign from_zero = head.rs1 == '0;
  assign wide = local_is_acc(head.rs2[31:0]) && !used.shrink;
  assign rows = operand_rows(head.rs2);
  assign requests = used.dram_stride == '0 && !from_zero ? TILE_BITS'(1) : rows;
  assign start = state == IDLE && head_valid && !is_config && tracker_free;
  assign load_row_valid = start || state == FIRST || (state == ROWS && row != '0);
  assign row_taken = load_row_valid && load_row_ready;
  assign last_row = row == requests - TILE_BITS'(1);
  assign pop = state == IDLE ? head_valid && is_config : state == ROWS && (row == '0 || (last_row && row_taken));

  assign load_row.dram = state == ROWS ? next_dram : head.rs1;
  assign load_row.is_acc = local_is_acc(head.rs2[31:0]);
  assign load_row.accumulate = local_accumulate(head.rs2[31:0]);
  assign load_row.wide = wide;
  assign load_row.row = local_row(head.rs2[31:0]) + (state == ROWS ? LOCAL_ROW_BITS'(row) : '0);
  assign load_row.block_stride = used.block_stride;
  assign load_row.cols = move_cols(head.rs2);
  assign load_row.copies = rows - requests;
  assign load_row.pixel_repeats = used.pixel_repeats;
  assign load_row.scale = used.scale;
  assign load_row.tracker = state == IDLE ? free_tracker : tracker;

  always_ff @(posedge clk) begin
    if (state == IDLE && head_valid && is_config) configs[head.rs1[CONFIG_LD_LOAD_ID_LSB+:2]] <= set;
    if (start) tracker <= free_tracker;
    if (row_taken) begin
      row <= last_row ? '0 : row + TILE_BITS'(1);
      next_dram <= from_zero ? '0 : load_row.dram + used.dram_stride;
    end
    if (start) state <= row_taken ? ROWS : FIRST;
    else if (state == FIRST && row_taken) state <= ROWS;
    else if (pop) state <= IDLE;
    if (rst) begin
      state <= IDLE;
      row   <= '0;
    end
  end

  // Bytes that each command under way still has to write
  logic [LD_TRACKERS-1:0] busy, finished;
  rs_id_t ids[0:LD_TRACKERS-1];
  load_bytes_t left[0:LD_TRACKERS-1];
  load_bytes_t total;
  ld_tracker_t done_tracker;
  assign total = LOAD_BYTES_BITS'(LOAD_BYTES_BITS'(requests) * LOAD_BYTES_BITS'(move_cols(head.rs2))) << (wide ? 2 : 0);

  always_comb begin
    free_tracker = '0;
    done_tracker = '0;
    for (int i = LD_TRACKERS - 1; i >= 0; i--) begin
      finished[i] = busy[i] && left[i] == '0;
      if (!busy[i]) free_tracker = LD_TRACKER_BITS'(i);
      if (finished[i]) done_tracker = LD_TRACKER_BITS'(i);
    end
  end
  assign tracker_free = !(&busy);
  assign ld_done_valid = finished != '0;
  assign ld_done_id = ids[done_tracker];

  always_ff @(posedge clk) begin
    if (load_written_valid) left[load_written_tracker] <= left[load_written_tracker] - load_written_bytes;
    if (ld_done_valid && ld_done_ready) busy[done_tracker] <= 1'b0;
    if (start) begin
      busy[free_tracker] <= 1'b1;
      ids[free_tracker]  <= head.id;
      left[free_tracker] <= total;
    end
    if (rst) busy <= '0;
  end

  assign ld_waits_for_tracker = state == IDLE && head_valid && !is_config && !tracker_free;
  assign ld_waits_for_dma = load_row_valid && !load_row_ready;
endmodule
