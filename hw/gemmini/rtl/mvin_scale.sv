// Scales rows of int8 on their way in, and repeats a row that goes to several (UARCH 3.4).
//
// Timing: an input register, which makes the copies (last row first, one a cycle), then one of MVIN_SCALE_ROWS places. A row with scale 1
// leaves its place the cycle after it came: one row a cycle. Others share MVIN_SCALE_UNITS multipliers, lane i using unit i modulo their
// number: DIM / MVIN_SCALE_UNITS cycles a row. Rows leave in order.

module mvin_scale
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import load_store_pkg::*;
  import float32_pkg::*;
(
    input  logic                   clk,
    input  logic                   rst,
    input  logic                   in_valid,
    output logic                   in_ready,
    input  load_block_t            in_block,
    input  tile_t                  in_copies,
    input  logic [31:0]            in_scale,
    input  logic [DIM*IN_BITS-1:0] in_data,
    input  logic [DIM-1:0]         in_mask,
    output logic                   out_valid,
    input  logic                   out_ready,
    output load_block_t            out_block,
    output logic [DIM*IN_BITS-1:0] out_data,
    output logic [DIM-1:0]         out_mask
);
  localparam int UNITS = MVIN_SCALE_UNITS < DIM ? MVIN_SCALE_UNITS : DIM;
  localparam int GROUPS = DIM / UNITS;  // lanes of a unit
  localparam int GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
  localparam int PLACES = MVIN_SCALE_ROWS;
  localparam int PLACE_BITS = PLACES > 1 ? $clog2(PLACES) : 1;
  typedef logic [PLACE_BITS-1:0] place_t;
  typedef logic [GROUP_BITS-1:0] group_t;

  // Input register
  logic held_valid, held_fire, last_copy;
  load_block_t held_block;
  tile_t held_copies;
  logic [31:0] held_scale;
  logic [DIM*IN_BITS-1:0] held_data;
  logic [DIM-1:0] held_mask;
  assign last_copy = held_copies == '0;
  assign in_ready  = !held_valid || (held_fire && last_copy);
  always_ff @(posedge clk) begin
    if (in_valid && in_ready) begin
      held_block  <= in_block;
      held_copies <= in_copies;
      held_scale  <= in_scale;
      held_data   <= in_data;
      held_mask   <= in_mask;
      held_valid  <= 1'b1;
    end else if (held_fire) begin
      held_copies <= held_copies - TILE_BITS'(1);
      if (last_copy) held_valid <= 1'b0;
    end
    if (rst) held_valid <= 1'b0;
  end

  load_block_t copy;
  always_comb begin
    copy = held_block;
    copy.row = held_block.row + LOCAL_ROW_BITS'(held_copies);
    copy.last = held_block.last && last_copy;
  end

  // Places. `started` and `done` say how many of the lanes' groups of UNITS have gone to the units, and come back.
  logic [PLACES-1:0] busy, scaled;
  load_block_t blocks[0:PLACES-1];
  logic [31:0] scales[0:PLACES-1];
  logic [DIM*IN_BITS-1:0] data[0:PLACES-1];
  logic [DIM-1:0] masks[0:PLACES-1];
  group_t started[0:PLACES-1];
  logic [PLACES-1:0] all_started, all_done;
  place_t head, tail;
  assign held_fire = held_valid && !busy[tail];
  assign out_valid = busy[head] && (!scaled[head] || all_done[head]);
  assign out_block = blocks[head];
  assign out_data  = data[head];
  assign out_mask  = masks[head];

  // All units take the same group of one row at a time, the oldest row first: from the head on, then those before it.
  logic unit_valid;
  place_t unit_place;
  logic [PLACES-1:0] waits;
  assign waits = busy & scaled & ~all_started;
  always_comb begin
    unit_valid = waits != '0;
    unit_place = '0;
    for (int i = PLACES - 1; i >= 0; i--) if (waits[i]) unit_place = PLACE_BITS'(i);
    for (int i = PLACES - 1; i >= 0; i--) if (waits[i] && i >= 32'(head)) unit_place = PLACE_BITS'(i);
  end

  // The units: a register at the input, then conversion, product, conversion and what is left of MVIN_SCALE_LATENCY.
  localparam int STAGES = MVIN_SCALE_LATENCY + 1;
  logic [STAGES-1:0] stage_valid;
  place_t stage_place[0:STAGES-1];
  group_t stage_group[0:STAGES-1];
  logic [UNITS*IN_BITS-1:0] picked, result[3:STAGES-1];
  logic [31:0] picked_scale, converted_scale;
  logic [UNITS*32-1:0] converted, product;
  always_ff @(posedge clk) begin
    stage_valid <= {stage_valid[STAGES-2:0], unit_valid};
    for (int s = 1; s < STAGES; s++)
      if (stage_valid[s-1]) begin
        stage_place[s] <= stage_place[s-1];
        stage_group[s] <= stage_group[s-1];
      end
    if (unit_valid) begin
      stage_place[0] <= unit_place;
      stage_group[0] <= started[unit_place];
      picked_scale <= scales[unit_place];
      picked <= data[unit_place][32'(started[unit_place])*UNITS*IN_BITS+:UNITS*IN_BITS];
    end
    if (stage_valid[0]) begin
      converted_scale <= picked_scale;
      for (int u = 0; u < UNITS; u++) converted[u*32+:32] <= float_of_int({{24{picked[u*8+7]}}, picked[u*8+:8]});
    end
    if (stage_valid[1]) for (int u = 0; u < UNITS; u++) product[u*32+:32] <= float_product(converted[u*32+:32], converted_scale);
    if (stage_valid[2]) for (int u = 0; u < UNITS; u++) result[3][u*8+:8] <= int8_of_float(product[u*32+:32]);
    for (int s = 4; s < STAGES; s++) if (stage_valid[s-1]) result[s] <= result[s-1];
    if (rst) stage_valid <= '0;
  end

  always_ff @(posedge clk) begin
    if (unit_valid) begin
      started[unit_place] <= started[unit_place] + GROUP_BITS'(1);
      if (32'(started[unit_place]) == GROUPS - 1) all_started[unit_place] <= 1'b1;
    end
    if (stage_valid[STAGES-1]) begin
      data[stage_place[STAGES-1]][32'(stage_group[STAGES-1])*UNITS*IN_BITS+:UNITS*IN_BITS] <= result[STAGES-1];
      if (32'(stage_group[STAGES-1]) == GROUPS - 1) all_done[stage_place[STAGES-1]] <= 1'b1;
    end
    if (out_valid && out_ready) begin
      busy[head] <= 1'b0;
      head <= 32'(head) == PLACES - 1 ? '0 : head + PLACE_BITS'(1);
    end
    if (held_fire) begin
      busy[tail] <= 1'b1;
      scaled[tail] <= held_scale != FLOAT_ONE;
      blocks[tail] <= copy;
      scales[tail] <= held_scale;
      data[tail] <= held_data;
      masks[tail] <= held_mask;
      started[tail] <= '0;
      all_started[tail] <= 1'b0;
      all_done[tail] <= 1'b0;
      tail <= 32'(tail) == PLACES - 1 ? '0 : tail + PLACE_BITS'(1);
    end
    if (rst) begin
      busy <= '0;
      head <= '0;
      tail <= '0;
    end
  end
endmodule
