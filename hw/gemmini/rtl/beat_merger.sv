// Collects the beats of a Get and hands out the rows of private memory in them (UARCH 3.3).
//
// One Get at a time: a beat in and a row out a cycle, overlapped. A row leaves from the cycle after the beat that completes it. The first
// beat of the next Get is accepted in the cycle in which the last row leaves; a last beat without useful bytes costs one cycle more.

module beat_merger
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import load_store_pkg::*;
(
    input  logic                     clk,
    input  logic                     rst,
    // beats, with what the transaction table says of their Get
    input  logic                     beat_valid,
    output logic                     beat_ready,
    output logic                     beat_last,
    input  logic [BUS_BITS-1:0]      beat_data,
    input  load_row_t                get_row,
    input  logic [3:0]               get_size,
    input  line_offset_t             get_shift,
    input  row_bytes_t               get_useful,
    input  row_bytes_t               get_offset,
    // rows
    output logic                     out_valid,
    input  logic                     out_ready,
    output load_block_t              out_block,
    output logic                     out_wide,
    output tile_t                    out_copies,
    output logic [31:0]              out_scale,
    output logic [DIM*ACC_BITS-1:0]  out_data,
    output logic [4*DIM-1:0]         out_mask  // bytes
);
  localparam int ROW_BYTES = DIM * IN_BITS / 8;
  localparam int WIDE_BYTES = DIM * ACC_BITS / 8;
  localparam int MAX_BEATS = 1 << (BEATS_BITS - 1);
  localparam int WORDS = MAX_BEATS + 1;
  localparam int WORD_BITS = $clog2(WORDS);

  // The Get under way. Its useful bytes are placed in the buffer as in rows of the private memory, from the beat-wide word on that the
  // first of them falls into.
  /* verilator lint_off UNUSEDSIGNAL */  // not every field of the shared type matters here
  load_row_t row;
  /* verilator lint_on UNUSEDSIGNAL */
  line_offset_t shift;
  row_bytes_t useful, offset, sent;  // offset of the next row's first byte; bytes that left
  beats_t beats, beats_read;
  logic busy;
  logic [(BUS_BITS << WORD_BITS)-1:0] buffer;

  // Rows out
  row_bytes_t read, useful_read, row_bytes, end_of_row, next_sent;
  logic all_read, all_sent, last_row, out_fire;
  assign row_bytes = row.wide ? ROW_BYTES_BITS'(WIDE_BYTES) : ROW_BYTES_BITS'(ROW_BYTES);
  always_comb begin
    read = ROW_BYTES_BITS'(beats_read) << BUS_BYTES_BITS;
    read = read > ROW_BYTES_BITS'(shift) ? read - ROW_BYTES_BITS'(shift) : '0;
    useful_read = read < useful ? read : useful;
    next_sent = row_bytes - offset >= useful - sent ? useful : sent + (row_bytes - offset);
    end_of_row = offset + (next_sent - sent);
  end
  assign all_read = beats_read == beats;
  assign all_sent = sent == useful;
  assign last_row = next_sent == useful;
  assign out_valid = busy && useful_read > sent && (useful_read - sent >= row_bytes || useful_read == useful);
  assign out_fire = out_valid && out_ready;

  // Beats in
  logic get_ready, beat_first, beat_fire;
  assign get_ready = !busy || (out_fire && last_row && all_read);
  assign beat_first = !busy || all_read;
  assign beat_ready = beat_first ? get_ready : 1'b1;
  assign beat_fire = beat_valid && beat_ready;
  beats_t get_beats;
  assign get_beats = BEATS_BITS'(1) << (get_size - 4'(MIN_SIZE));
  assign beat_last = beat_first ? get_beats == BEATS_BITS'(1) : beats_read + BEATS_BITS'(1) == beats;

  // Where a beat's bytes go: `turn` bytes up in one word of the buffer, the rest into the next.
  localparam int PLACE_BITS = MAX_SIZE + 2;
  logic signed [PLACE_BITS-1:0] place;  // of the first beat's first byte; negative where that is useless
  logic signed [PLACE_BITS-1:0] word, next_word;
  logic [BUS_BYTES_BITS-1:0] turn, held_turn;
  logic [2*BUS_BITS-1:0] turned;
  logic [BUS_BITS-1:0] keep;
  assign place = $signed({{(PLACE_BITS - BUS_BYTES_BITS) {1'b0}}, get_offset[BUS_BYTES_BITS-1:0]}) - $signed({2'b00, get_shift});
  always_comb begin
    turn = beat_first ? place[BUS_BYTES_BITS-1:0] : held_turn;
    word = beat_first ? place >>> BUS_BYTES_BITS : next_word;
    turned = '0;
    keep = '0;
    if (beat_fire) begin
      turned = {{BUS_BITS{1'b0}}, beat_data} << {turn, 3'b000};
      keep = ~({BUS_BITS{1'b1}} << {turn, 3'b000});
    end
  end

  // `from` is where the next row starts in the buffer, modulo the buffer's size.
  localparam int FROM_BITS = WORD_BITS + BUS_BYTES_BITS;
  logic [FROM_BITS-1:0] from;
  always_ff @(posedge clk) begin
    if (beat_fire) begin
      for (int w = 0; w < WORDS; w++) begin
        if (32'(word) == w) buffer[w*BUS_BITS+:BUS_BITS] <= (buffer[w*BUS_BITS+:BUS_BITS] & keep) | turned[0+:BUS_BITS];
        if (32'(word) + 1 == w) buffer[w*BUS_BITS+:BUS_BITS] <= turned[BUS_BITS+:BUS_BITS];
      end
      held_turn  <= turn;
      next_word  <= word + 1'b1;
      beats_read <= beat_first ? BEATS_BITS'(1) : beats_read + BEATS_BITS'(1);
    end
    if (beat_fire && beat_first) begin
      row <= get_row;
      shift <= get_shift;
      useful <= get_useful;
      offset <= get_offset;
      sent <= '0;
      beats <= get_beats;
      from <= '0 - FROM_BITS'(get_offset >> BUS_BYTES_BITS << BUS_BYTES_BITS);
      busy <= 1'b1;
    end else begin
      if (out_fire) begin
        sent <= next_sent;
        offset <= '0;
        from <= from + FROM_BITS'(row_bytes);
        row.row <= row.row + row.block_stride;
      end
      if (busy && ((out_fire && last_row && all_read) || (all_sent && (all_read || (beat_fire && beat_last))))) busy <= 1'b0;
    end
    if (rst) begin
      busy <= 1'b0;
      for (int w = WORDS; w < 1 << WORD_BITS; w++) buffer[w*BUS_BITS+:BUS_BITS] <= '0;  // never read
    end
  end

  // A row narrower than a word of the buffer is one of the pieces of that word; a wider one is several words.
  logic [DIM*IN_BITS-1:0] narrow_data;
  logic [DIM*ACC_BITS-1:0] wide_data;
  generate
    if (ROW_BYTES < BUS_BYTES) begin : g_narrow_piece
      assign narrow_data = buffer[{from, 3'b000}+:DIM*IN_BITS];
    end else begin : g_narrow_words
      for (genvar w = 0; w < ROW_BYTES / BUS_BYTES; w++) begin : g_word
        logic [WORD_BITS-1:0] index;
        localparam logic [WORD_BITS-1:0] OFFSET = WORD_BITS'(w);
        assign index = from[FROM_BITS-1:BUS_BYTES_BITS] + OFFSET;
        assign narrow_data[w*BUS_BITS+:BUS_BITS] = buffer[{index, {(BUS_BYTES_BITS + 3) {1'b0}}}+:BUS_BITS];
      end
    end
    if (WIDE_BYTES < BUS_BYTES) begin : g_wide_piece
      assign wide_data = buffer[{from, 3'b000}+:DIM*ACC_BITS];
    end else begin : g_wide_words
      for (genvar w = 0; w < WIDE_BYTES / BUS_BYTES; w++) begin : g_word
        logic [WORD_BITS-1:0] index;
        localparam logic [WORD_BITS-1:0] OFFSET = WORD_BITS'(w);
        assign index = from[FROM_BITS-1:BUS_BYTES_BITS] + OFFSET;
        assign wide_data[w*BUS_BITS+:BUS_BITS] = buffer[{index, {(BUS_BYTES_BITS + 3) {1'b0}}}+:BUS_BITS];
      end
    end
  endgenerate

  assign out_wide = row.wide;
  assign out_copies = row.copies;
  assign out_scale = row.scale;
  always_comb begin
    out_data = '0;
    out_mask = '0;
    if (out_valid) begin
      if (row.wide) out_data = wide_data;
      else out_data[0+:DIM*IN_BITS] = narrow_data;
      out_mask = ({4 * DIM{1'b1}} << offset) & ~({4 * DIM{1'b1}} << end_of_row);
    end
  end
  assign out_block.is_acc = row.is_acc;
  assign out_block.accumulate = row.accumulate;
  assign out_block.row = row.row;
  assign out_block.cols = TILE_BITS'(row.cols);
  assign out_block.pixel_repeats = row.pixel_repeats;
  assign out_block.last = last_row;
  assign out_block.bytes = useful;
  assign out_block.tracker = row.tracker;
endmodule
