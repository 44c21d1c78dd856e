// Loads rows: row requests in, Gets out, and rows of the private memories from the beats that come back (UARCH 3.2 to 3.4).
//
// A queue of READ_ISSUE_QUEUE row requests, the packetiser, a table of MAX_IN_FLIGHT Gets, the beat merger, and then for int8 data the
// scale and the pixel repeater, for int32 data a register. Rows from DRAM address 0 take a short cut as zeros.
// Cycles: row request accepted at 0; Get at `get_*` 4 later; a beat accepted at 0 is written at 4 (int8) or 2 (int32), the write's
// bytes reported in the same cycle. A place in the table is taken from the packetiser's Get to the acceptance of its last beat here.

module dma_reader
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import load_store_pkg::*;
(
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   load_row_valid,
    output logic                   load_row_ready,
    input  load_row_t              load_row,
    output logic                   load_written_valid,
    output ld_tracker_t            load_written_tracker,
    output load_bytes_t            load_written_bytes,
    // Gets
    output logic                   get_valid,
    input  logic                   get_ready,
    output logic [63:0]            get_addr,
    output logic [3:0]             get_size,
    output logic [IN_FLIGHT_BITS-1:0] get_id,
    input  logic                   get_beat_valid,
    output logic                   get_beat_ready,
    input  logic [IN_FLIGHT_BITS-1:0] get_beat_id,
    input  logic [BUS_BITS-1:0]    get_beat_data,
    // rows to the private memories; the row number is that of the whole memory
    output logic                   dma_spad_write_valid,
    input  logic                   dma_spad_write_ready,
    output local_row_t             dma_spad_write_row,
    output logic [DIM*IN_BITS-1:0] dma_spad_write_data,
    output logic [DIM-1:0]         dma_spad_write_mask,
    output logic                   zero_spad_write_valid,
    input  logic                   zero_spad_write_ready,
    output local_row_t             zero_spad_write_row,
    output logic [DIM-1:0]         zero_spad_write_mask,
    output logic                   dma_acc_write_valid,
    input  logic                   dma_acc_write_ready,
    output local_row_t             dma_acc_write_row,
    output logic [DIM*ACC_BITS-1:0] dma_acc_write_data,
    output logic [4*DIM-1:0]       dma_acc_write_mask,  // bytes
    output logic                   dma_acc_write_accumulate,
    output logic                   zero_acc_write_valid,
    input  logic                   zero_acc_write_ready,
    output local_row_t             zero_acc_write_row,
    output logic [DIM-1:0]         zero_acc_write_mask,
    output logic                   zero_acc_write_accumulate,
    // counters
    output logic                   reader_busy,
    output logic [IN_FLIGHT_BITS:0] gets_in_flight,
    output logic                   reader_waits_for_id
);
  // Row requests
  logic from_zero, queue_ready, zero_ready;
  logic queued_valid, queued_ready;
  load_row_t queued;
  assign from_zero = load_row.dram == '0;
  assign load_row_ready = from_zero ? zero_ready : queue_ready;
  /* verilator lint_off PINCONNECTEMPTY */
  queue #(
      .WIDTH($bits(load_row)),
      .ENTRIES(READ_ISSUE_QUEUE),
      .PIPE(1'b1)
  ) row_queue (
      .clk(clk),
      .rst(rst),
      .in_valid(load_row_valid && !from_zero),
      .in_ready(queue_ready),
      .in_data(load_row),
      .out_valid(queued_valid),
      .out_ready(queued_ready),
      .out_data(queued),
      .count()
  );
  /* verilator lint_on PINCONNECTEMPTY */

  // Gets under way: who takes the data
  typedef struct packed {
    load_row_t    row;
    logic [3:0]   size;
    line_offset_t shift;
    row_bytes_t   useful;
    row_bytes_t   offset;
  } get_t;
  get_t gets[0:MAX_IN_FLIGHT-1];
  get_t reserved, answered;
  logic [MAX_IN_FLIGHT-1:0] taken;
  logic [IN_FLIGHT_BITS-1:0] free_id;
  logic reserve, release_id;
  logic reserve_valid, reserve_ready;
  assign reserve_ready = !(&taken);
  assign reserve = reserve_valid && reserve_ready;
  always_comb begin
    free_id = '0;
    for (int i = MAX_IN_FLIGHT - 1; i >= 0; i--) if (!taken[i]) free_id = IN_FLIGHT_BITS'(i);
  end
  assign answered = gets[get_beat_id];
  always_ff @(posedge clk) begin
    if (release_id) taken[get_beat_id] <= 1'b0;
    if (reserve) begin
      taken[free_id] <= 1'b1;
      gets[free_id]  <= reserved;
    end
    if (reserve != release_id) gets_in_flight <= reserve ? gets_in_flight + 1'b1 : gets_in_flight - 1'b1;
    if (rst) begin
      taken <= '0;
      gets_in_flight <= '0;
    end
  end
  assign reader_busy = taken != '0;

  row_packetiser packetiser (
      .clk(clk),
      .rst(rst),
      .row_valid(queued_valid),
      .row_ready(queued_ready),
      .row(queued),
      .reserve_valid(reserve_valid),
      .reserve_ready(reserve_ready),
      .reserve_id(free_id),
      .reserve_row(reserved.row),
      .reserve_size(reserved.size),
      .reserve_shift(reserved.shift),
      .reserve_useful(reserved.useful),
      .reserve_offset(reserved.offset),
      .get_valid(get_valid),
      .get_ready(get_ready),
      .get_addr(get_addr),
      .get_size(get_size),
      .get_id(get_id),
      .waits_for_id(reader_waits_for_id)
  );

  // Beats to rows
  logic beat_last;
  logic merged_valid, merged_ready, merged_wide;
  load_block_t merged;
  tile_t merged_copies;
  logic [31:0] merged_scale;
  logic [DIM*ACC_BITS-1:0] merged_data;
  logic [4*DIM-1:0] merged_mask;
  assign release_id = get_beat_valid && get_beat_ready && beat_last;
  beat_merger merger (
      .clk(clk),
      .rst(rst),
      .beat_valid(get_beat_valid),
      .beat_ready(get_beat_ready),
      .beat_last(beat_last),
      .beat_data(get_beat_data),
      .get_row(answered.row),
      .get_size(answered.size),
      .get_shift(answered.shift),
      .get_useful(answered.useful),
      .get_offset(answered.offset),
      .out_valid(merged_valid),
      .out_ready(merged_ready),
      .out_block(merged),
      .out_wide(merged_wide),
      .out_copies(merged_copies),
      .out_scale(merged_scale),
      .out_data(merged_data),
      .out_mask(merged_mask)
  );

  // int8 data: scale, pixel repeats
  logic scale_ready, wide_ready;
  assign merged_ready = merged_wide ? wide_ready : scale_ready;
  logic scaled_valid, scaled_ready;
  load_block_t scaled;
  logic [DIM*IN_BITS-1:0] scaled_data;
  logic [DIM-1:0] scaled_mask;
  mvin_scale scale (
      .clk(clk),
      .rst(rst),
      .in_valid(merged_valid && !merged_wide),
      .in_ready(scale_ready),
      .in_block(merged),
      .in_copies(merged_copies),
      .in_scale(merged_scale),
      .in_data(merged_data[DIM*IN_BITS-1:0]),
      .in_mask(merged_mask[DIM-1:0]),
      .out_valid(scaled_valid),
      .out_ready(scaled_ready),
      .out_block(scaled),
      .out_data(scaled_data),
      .out_mask(scaled_mask)
  );
  logic pixel_valid, pixel_ready;
  /* verilator lint_off UNUSEDSIGNAL */  // not every field of the shared type matters here
  load_block_t pixel;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [DIM*IN_BITS-1:0] pixel_data;
  logic [DIM-1:0] pixel_mask;
  pixel_repeater repeater (
      .clk(clk),
      .rst(rst),
      .in_valid(scaled_valid),
      .in_ready(scaled_ready),
      .in_block(scaled),
      .in_data(scaled_data),
      .in_mask(scaled_mask),
      .out_valid(pixel_valid),
      .out_ready(pixel_ready),
      .out_block(pixel),
      .out_data(pixel_data),
      .out_mask(pixel_mask)
  );

  // int32 data: a register, which makes the copies of a repeated row, the last row first
  logic wide_valid, wide_fire, wide_last_copy;
  /* verilator lint_off UNUSEDSIGNAL */  // not every field of the shared type matters here
  load_block_t wide;
  /* verilator lint_on UNUSEDSIGNAL */
  tile_t wide_copies;
  logic [DIM*ACC_BITS-1:0] wide_data;
  logic [4*DIM-1:0] wide_mask;
  assign wide_last_copy = wide_copies == '0;
  assign wide_ready = !wide_valid || (wide_fire && wide_last_copy);
  always_ff @(posedge clk) begin
    if (merged_valid && merged_wide && wide_ready) begin
      wide_valid  <= 1'b1;
      wide        <= merged;
      wide_copies <= merged_copies;
      wide_data   <= merged_data;
      wide_mask   <= merged_mask;
    end else if (wide_fire) begin
      wide_copies <= wide_copies - TILE_BITS'(1);
      if (wide_last_copy) wide_valid <= 1'b0;
    end
    if (rst) wide_valid <= 1'b0;
  end

  // Zeros
  logic zeros_valid, zeros_ready, zero_valid, zero_fire;
  load_block_t zeros;
  /* verilator lint_off UNUSEDSIGNAL */  // not every field of the shared type matters here
  load_block_t zero;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [DIM-1:0] zeros_mask, zero_mask;
  zero_writer zero_rows (
      .clk(clk),
      .rst(rst),
      .row_valid(load_row_valid && from_zero),
      .row_ready(zero_ready),
      .row(load_row),
      .out_valid(zeros_valid),
      .out_ready(zeros_ready),
      .out_block(zeros),
      .out_mask(zeros_mask)
  );
  /* verilator lint_off PINCONNECTEMPTY */
  pixel_repeater zero_repeater (
      .clk(clk),
      .rst(rst),
      .in_valid(zeros_valid),
      .in_ready(zeros_ready),
      .in_block(zeros),
      .in_data('0),
      .in_mask(zeros_mask),
      .out_valid(zero_valid),
      .out_ready(zero_fire),
      .out_block(zero),
      .out_data(),
      .out_mask(zero_mask)
  );
  /* verilator lint_on PINCONNECTEMPTY */

  // Writes. Only one Get can be reported as written a cycle: int8 data goes first, then int32, then zeros (UARCH 5.2).
  logic pixel_last, wide_go, zero_go;
  assign pixel_last = pixel_valid && pixel.last;
  assign wide_go = wide_valid && !(pixel_valid && pixel.is_acc) && !pixel_last;
  assign zero_go = zero_valid && !pixel_last && !(wide_valid && wide.last && wide_last_copy);

  assign dma_spad_write_valid = pixel_valid && !pixel.is_acc;
  assign dma_spad_write_row = pixel.row;
  assign dma_spad_write_data = pixel_data;
  assign dma_spad_write_mask = pixel_mask;
  assign zero_spad_write_valid = zero_go && !zero.is_acc;
  assign zero_spad_write_row = zero.row;
  assign zero_spad_write_mask = zero_mask;

  logic pixel_to_acc;
  assign pixel_to_acc = pixel_valid && pixel.is_acc;
  assign dma_acc_write_valid = pixel_to_acc || wide_go;
  assign dma_acc_write_accumulate = pixel_to_acc ? pixel.accumulate : wide.accumulate;
  always_comb begin
    dma_acc_write_row  = wide.row + LOCAL_ROW_BITS'(wide_copies);
    dma_acc_write_data = wide_data;
    dma_acc_write_mask = wide_mask;
    if (pixel_to_acc) begin
      dma_acc_write_row = pixel.row;
      for (int i = 0; i < DIM; i++) begin
        dma_acc_write_data[i*ACC_BITS+:ACC_BITS] = {{(ACC_BITS - IN_BITS) {pixel_data[i*IN_BITS+IN_BITS-1]}}, pixel_data[i*IN_BITS+:IN_BITS]};
        dma_acc_write_mask[i*4+:4] = {4{pixel_mask[i]}};
      end
    end
  end
  assign zero_acc_write_valid = zero_go && zero.is_acc;
  assign zero_acc_write_row = zero.row;
  assign zero_acc_write_mask = zero_mask;
  assign zero_acc_write_accumulate = zero.accumulate;

  assign pixel_ready = pixel.is_acc ? dma_acc_write_ready : dma_spad_write_ready;
  assign wide_fire = wide_go && dma_acc_write_ready;
  assign zero_fire = zero_go && (zero.is_acc ? zero_acc_write_ready : zero_spad_write_ready);

  // Report
  always_comb begin
    load_written_valid = zero_fire && zero.last;
    load_written_tracker = zero.tracker;
    load_written_bytes = LOAD_BYTES_BITS'(zero.bytes);
    if (pixel_last) begin
      load_written_valid = pixel_ready;
      load_written_tracker = pixel.tracker;
      load_written_bytes = LOAD_BYTES_BITS'(pixel.bytes);
    end else if (wide_valid && wide.last && wide_last_copy) begin
      load_written_valid = wide_fire;
      load_written_tracker = wide.tracker;
      load_written_bytes = LOAD_BYTES_BITS'(wide.bytes);
    end
  end
endmodule
