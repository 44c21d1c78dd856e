// Collects the blocks of a row, or the maximum over a pooling window, and writes it with Puts.
//
// Timing (UARCH 4.3): a block that is not the last of its row takes 1 cycle. After the last one the writer sends a beat a cycle, from the
// next cycle on, of Puts chosen as the reader's Gets are, and takes the next block in the cycle of the last beat. A Put's first beat needs
// one of MAX_IN_FLIGHT numbers, which is free again the cycle after its acknowledgement. Two registers (where the generator looks up its
// TLB) follow: 2 cycles from a beat to `put_*`.

module dma_writer
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import load_store_pkg::*;
(
    input  logic                      clk,
    input  logic                      rst,
    input  logic                      write_block_valid,
    output logic                      write_block_ready,
    /* verilator lint_off UNUSEDSIGNAL */  // what concerns the pipeline only
    input  store_block_t              write_block,
    /* verilator lint_on UNUSEDSIGNAL */
    input  logic [DIM*ACC_BITS-1:0]   write_block_data,
    // Puts
    output logic                      put_valid,
    input  logic                      put_ready,
    output logic                      put_last,
    output logic [63:0]               put_addr,
    output logic [3:0]                put_size,
    output logic [IN_FLIGHT_BITS-1:0] put_id,
    output logic [BUS_BITS-1:0]       put_data,
    output logic [BUS_BYTES-1:0]      put_mask,
    input  logic                      put_ack_valid,
    input  logic [IN_FLIGHT_BITS-1:0] put_ack_id,
    // counters
    output logic                      writer_busy,
    output logic [IN_FLIGHT_BITS:0]   puts_in_flight,
    output logic                      writer_waits_for_id
);
  localparam int WORDS = (ROW_MAX_BYTES + BUS_BYTES - 1) / BUS_BYTES;  // beats of an aligned row

  // The row. Data of `pool` blocks is the maximum with what is there.
  logic [WORDS*BUS_BITS-1:0] row;
  logic [63:0] dram;
  row_bytes_t sent, total;
  logic writing, block_taken, last_beat_sent;
  assign write_block_ready = !writing || last_beat_sent;
  assign block_taken = write_block_valid && write_block_ready;

  logic [DIM*IN_BITS-1:0] pooled;
  always_comb begin
    pooled = write_block_data[DIM*IN_BITS-1:0];
    if (block_taken && write_block.pool)
      for (int i = 0; i < DIM; i++)
        if ($signed(row[i*IN_BITS+:IN_BITS]) > $signed(write_block_data[i*IN_BITS+:IN_BITS]))
          pooled[i*IN_BITS+:IN_BITS] = row[i*IN_BITS+:IN_BITS];
  end

  // Puts. `word` is the beat's place in DRAM, counted from the one with the row's first byte; negative where a Put starts before it.
  localparam int PLACE_BITS = $clog2(WORDS + 1) + MAX_SIZE + 2;
  logic in_put, beat_valid, beat_ready, beat_fire, first_beat, last_beat, id_free;
  logic [IN_FLIGHT_BITS-1:0] free_id, id;
  logic [MAX_IN_FLIGHT-1:0] taken;
  logic [63:0] address, line, put_line;
  request_t request;
  logic [3:0] size;
  row_bytes_t useful, put_useful;
  beats_t beats_left;
  logic signed [PLACE_BITS-1:0] word, next_word;
  logic [BUS_BYTES_BITS-1:0] turn;

  assign first_beat = !in_put;
  assign address = dram + 64'(sent);
  assign request = best_request(MAX_SIZE'(address), total - sent);
  assign put_line = {address[63:MAX_SIZE], aligned_offset(address[MAX_SIZE-1:0], request.size)};
  assign beat_valid = writing && id_free;  // any beat: the generator holds a Put that took the last number back until one is free again
  assign beat_fire = beat_valid && beat_ready;
  assign turn = dram[BUS_BYTES_BITS-1:0];
  always_comb begin
    put_useful = first_beat ? request.useful : useful;
    // Distance of the Put from the word of the row's first byte; a row spans less than 2^PLACE_BITS words.
    word = first_beat ? $signed(PLACE_BITS'(put_line >> BUS_BYTES_BITS) - PLACE_BITS'(dram >> BUS_BYTES_BITS)) : next_word;
    last_beat = first_beat ? request.size == 4'(MIN_SIZE) : beats_left == BEATS_BITS'(1);
  end
  assign last_beat_sent = beat_fire && last_beat && sent + put_useful == total;

  // Data and mask of a beat: bytes [from, to) of it are the row's.
  localparam int BYTE_BITS = PLACE_BITS + BUS_BYTES_BITS;
  function automatic logic [BUS_BYTES_BITS:0] clamp(input logic signed [BYTE_BITS-1:0] place);
    clamp = place < 0 ? '0 : place > BUS_BYTES ? (BUS_BYTES_BITS + 1)'(BUS_BYTES) : place[BUS_BYTES_BITS:0];
  endfunction
  logic [2*BUS_BITS-1:0] pair;
  logic [BUS_BITS-1:0] data;
  logic [BUS_BYTES-1:0] mask;
  logic signed [BYTE_BITS-1:0] from, to;
  always_comb begin
    pair = '0;
    data = '0;
    mask = '0;
    from = $signed(BYTE_BITS'(turn)) - $signed({word, {BUS_BYTES_BITS{1'b0}}});
    to = from + $signed(BYTE_BITS'(total));
    if (beat_valid) begin
      for (int w = 0; w < WORDS; w++) begin
        if (32'(word) == w) pair[BUS_BITS+:BUS_BITS] = row[w*BUS_BITS+:BUS_BITS];
        if (32'(word) == w + 1) pair[0+:BUS_BITS] = row[w*BUS_BITS+:BUS_BITS];
      end
      data = BUS_BITS'(pair >> (32'(BUS_BYTES) - 32'(turn)) * 8);
      mask = ({BUS_BYTES{1'b1}} << clamp(from)) & ~({BUS_BYTES{1'b1}} << clamp(to));
    end
  end

  always_ff @(posedge clk) begin
    if (block_taken) begin
      dram <= write_block.dram;
      sent <= '0;
      writing <= write_block.store;
      if (write_block.full_width) begin
        row[0+:DIM*ACC_BITS] <= write_block_data;
        total <= ROW_BYTES_BITS'(write_block.cols) << 2;
      end else begin
        for (int b = 0; b < MAX_BLOCKS; b++) if (32'(write_block.block) == b) row[b*DIM*IN_BITS+:DIM*IN_BITS] <= pooled;
        total <= (ROW_BYTES_BITS'(write_block.block) << DIM_BITS) + ROW_BYTES_BITS'(write_block.cols);
      end
    end else if (last_beat_sent) begin
      writing <= 1'b0;
    end else if (beat_fire && last_beat) begin
      sent <= sent + put_useful;
    end
    if (beat_fire) begin
      in_put <= !last_beat;
      next_word <= word + 1'b1;
      beats_left <= first_beat ? (BEATS_BITS'(1) << (request.size - 4'(MIN_SIZE))) - BEATS_BITS'(1) : beats_left - BEATS_BITS'(1);
      if (first_beat) begin
        useful <= request.useful;
        size <= request.size;
        line <= put_line;
        id <= free_id;
      end
    end
    if (rst) begin
      writing <= 1'b0;
      in_put  <= 1'b0;
    end
  end

  // Numbers of Puts
  logic take_id;
  assign take_id = beat_fire && first_beat;
  assign id_free = !(&taken);
  always_comb begin
    free_id = '0;
    for (int i = MAX_IN_FLIGHT - 1; i >= 0; i--) if (!taken[i]) free_id = IN_FLIGHT_BITS'(i);
  end
  always_ff @(posedge clk) begin
    if (put_ack_valid) taken[put_ack_id] <= 1'b0;
    if (take_id) taken[free_id] <= 1'b1;
    if (take_id != put_ack_valid) puts_in_flight <= take_id ? puts_in_flight + 1'b1 : puts_in_flight - 1'b1;
    if (rst) begin
      taken <= '0;
      puts_in_flight <= '0;
    end
  end
  assign writer_busy = writing || taken != '0;
  assign writer_waits_for_id = writing && first_beat && !id_free;

  // Two registers that pass on
  localparam int WIDTH = 1 + 64 + 4 + IN_FLIGHT_BITS + BUS_BITS + BUS_BYTES;
  logic [WIDTH-1:0] first, second;
  logic first_valid, second_valid, first_ready;
  assign first_ready = !second_valid || put_ready;
  assign beat_ready = !first_valid || first_ready;
  assign put_valid = second_valid;
  assign {put_last, put_addr, put_size, put_id, put_data, put_mask} = second;
  always_ff @(posedge clk) begin
    if (beat_ready) first_valid <= beat_fire;
    if (beat_fire)
      first <= {last_beat, first_beat ? put_line : line, first_beat ? request.size : size, first_beat ? free_id : id, data, mask};
    if (first_ready) second_valid <= first_valid;
    if (first_ready && first_valid) second <= first;
    if (rst) begin
      first_valid  <= 1'b0;
      second_valid <= 1'b0;
    end
  end
endmodule
