// The accelerator: a command port, a memory port, and the blocks between them.
//
// Commands: port -> queue -> loop_conv_unroller -> loop_ws_unroller -> queue -> reservation station -> load, execute, store controllers.
//
// Timing (GEMMINI_UARCH section 1.2): a command taken at t is at the head of the last queue at t+4, where it enters the station (or, FLUSH,
// counter and clock-gate commands, is executed), and is issued at t+5 at the earliest. cmd_ready says only that the first queue has room.
// `busy` (section 1.5) is high from the cycle after a command is taken until one cycle after everything it started is over.
//
// The trace and stall outputs only look: trace_* are the station's allocations, issues and completions of the cycle; stall_* say why
// the head of each queue does not move in the cycle, one bit a reason, none when it moves or there is nothing.

module gemmini
  import gemmini_config_pkg::*;
  import gemmini_types_pkg::*;
  import load_store_pkg::*;
(
    input  logic                    clk,
    input  logic                    rst,
    // commands
    input  logic                    cmd_valid,
    output logic                    cmd_ready,
    input  logic [6:0]              cmd_funct,
    input  logic [63:0]             cmd_rs1,
    input  logic [63:0]             cmd_rs2,
    output logic                    resp_valid,
    output logic [63:0]             resp_data,
    output logic                    busy,
    // memory
    output logic                    mem_a_valid,
    input  logic                    mem_a_ready,
    output logic                    mem_a_put,
    output logic [63:0]             mem_a_addr,
    output logic [3:0]              mem_a_size,
    output logic [MEM_ID_BITS-1:0]  mem_a_id,
    output logic [BUS_BITS-1:0]     mem_a_data,
    output logic [BUS_BYTES-1:0]    mem_a_mask,
    input  logic                    mem_d_valid,
    output logic                    mem_d_ready,
    input  logic                    mem_d_ack,
    input  logic [MEM_ID_BITS-1:0]  mem_d_id,
    input  logic [BUS_BITS-1:0]     mem_d_data,
    // what happens in the station in this cycle; issues: bit 0 load, 1 execute, 2 store
    output logic                    trace_alloc_valid,
    output rs_id_t                  trace_alloc_id,
    output cmd_t                    trace_alloc_cmd,
    output logic [2:0]              trace_issue_valid,
    output logic [3*RS_ID_BITS-1:0] trace_issue_id,
    output logic                    trace_done_valid,
    output rs_id_t                  trace_done_id,
    // why queues wait: bits 3:0 are WAITS_* of gemmini_types_pkg, then those of the controller
    output logic [7:0]              stall_ld,  // 4: no free tracker, 5: the reader takes no row, 6: no free Get
    output logic [7:0]              stall_ex,  // bits 3:0 only
    output logic [7:0]              stall_execute,  // the execute controller's own (execute_controller)
    output logic [7:0]              stall_st,  // 4: no free tracker, 5: the store pipeline takes no row, 6: no free Put
    output logic [2:0]              stall_rs,  // the last command queue waits for an entry: bit 0 load, 1 execute, 2 store
    output logic [1:0]              stall_loop,  // a loop command waits for a slot: bit 0 loop_ws, 1 loop_conv_ws
    output logic [23:0]             rs_count  // entries in use, 8 bits each: load, execute, store
);
  // ------------------------------------------------------------------ commands
  cmd_t port_cmd, conv_cmd, ws_cmd, head_cmd;
  logic [CMD_BITS-1:0] raw_bits, head_bits;
  logic raw_valid, raw_ready, conv_valid, conv_ready, ws_valid, ws_ready, head_valid, head_ready;
  logic [1:0] ws_done_ld, ws_done_ex, ws_done_st, conv_done_ld, conv_done_ex, conv_done_st;
  logic conv_busy, ws_busy, conv_stall, ws_stall;
  assign port_cmd = {2'b00, cmd_funct, cmd_rs1, cmd_rs2};
  assign head_cmd = head_bits;

  /* verilator lint_off PINCONNECTEMPTY */
  queue #(
      .WIDTH(CMD_BITS),
      .ENTRIES(CMD_QUEUE)
  ) raw_queue (
      .clk,
      .rst,
      .in_valid(cmd_valid),
      .in_ready(cmd_ready),
      .in_data(port_cmd),
      .out_valid(raw_valid),
      .out_ready(raw_ready),
      .out_data(raw_bits),
      .count()
  );

  loop_conv_unroller loop_conv (
      .clk,
      .rst,
      .in_valid(raw_valid),
      .in_ready(raw_ready),
      .in_cmd(raw_bits),
      .out_valid(conv_valid),
      .out_ready(conv_ready),
      .out_cmd(conv_cmd),
      .conv_done_ld,
      .conv_done_ex,
      .conv_done_st,
      .busy(conv_busy),
      .stall_slot(conv_stall)
  );

  loop_ws_unroller loop_ws (
      .clk,
      .rst,
      .in_valid(conv_valid),
      .in_ready(conv_ready),
      .in_cmd(conv_cmd),
      .out_valid(ws_valid),
      .out_ready(ws_ready),
      .out_cmd(ws_cmd),
      .ws_done_ld,
      .ws_done_ex,
      .ws_done_st,
      .busy(ws_busy),
      .stall_slot(ws_stall)
  );

  queue #(
      .WIDTH(CMD_BITS),
      .ENTRIES(CMD_QUEUE)
  ) unrolled_queue (
      .clk,
      .rst,
      .in_valid(ws_valid),
      .in_ready(ws_ready),
      .in_data(ws_cmd),
      .out_valid(head_valid),
      .out_ready(head_ready),
      .out_data(head_bits),
      .count()
  );
  /* verilator lint_on PINCONNECTEMPTY */

  // At the head: addresses are physical, so there is no TLB to flush, and no clock to gate.
  logic is_counter, is_immediate, alloc_valid, alloc_ready, counter_ready;
  assign is_counter = head_cmd.funct == FUNCT_COUNTER;
  assign is_immediate = head_cmd.funct == FUNCT_FLUSH || head_cmd.funct == FUNCT_CLOCK_GATE;
  assign alloc_valid = head_valid && !is_counter && !is_immediate;
  assign head_ready = is_counter ? counter_ready : is_immediate || alloc_ready;

  // ------------------------------------------------------------------ reservation station
  logic issue_ld_valid, issue_ld_ready, issue_ex_valid, issue_ex_ready, issue_st_valid, issue_st_ready;
  logic ld_done_valid, ld_done_ready, ex_done_valid, ex_done_ready, st_done_valid, st_done_ready;
  cmd_t issue_ld_cmd, issue_ex_cmd, issue_st_cmd, alloc_cmd;
  rs_id_t issue_ld_id, issue_ex_id, issue_st_id, ld_done_id, ex_done_id, st_done_id, alloc_id, done_id;
  logic done_valid, station_busy, ld_running, ex_running, st_running;
  logic [31:0] ld_count, ex_count, st_count;
  logic [WAITS_BITS-1:0] waits_ld, waits_ex, waits_st;
  assign alloc_cmd = head_cmd;

  reservation_station station (
      .busy(station_busy),
      .stall_ld(waits_ld),
      .stall_ex(waits_ex),
      .stall_st(waits_st),
      .*
  );

  // ------------------------------------------------------------------ load path
  logic load_row_valid, load_row_ready, load_written_valid, ld_waits_for_tracker, ld_waits_for_dma;
  load_row_t load_row;
  ld_tracker_t load_written_tracker;
  load_bytes_t load_written_bytes;
  logic get_valid, get_ready, get_beat_valid, get_beat_ready, reader_busy, reader_waits_for_id;
  logic [63:0] get_addr;
  logic [3:0] get_size;
  logic [IN_FLIGHT_BITS-1:0] get_id, get_beat_id;
  logic [BUS_BITS-1:0] get_beat_data;
  logic [IN_FLIGHT_BITS:0] gets_in_flight;
  logic dma_spad_write_valid, dma_spad_write_ready, zero_spad_write_valid, zero_spad_write_ready;
  logic dma_acc_write_valid, dma_acc_write_ready, dma_acc_write_accumulate;
  logic zero_acc_write_valid, zero_acc_write_ready, zero_acc_write_accumulate;
  local_row_t dma_spad_write_row, zero_spad_write_row, dma_acc_write_row, zero_acc_write_row;
  logic [DIM*IN_BITS-1:0] dma_spad_write_data;
  logic [DIM*ACC_BITS-1:0] dma_acc_write_data;
  logic [DIM-1:0] dma_spad_write_mask, zero_spad_write_mask, zero_acc_write_mask;
  logic [4*DIM-1:0] dma_acc_write_mask;

  load_controller loads (.*);
  dma_reader reader (.*);

  // ------------------------------------------------------------------ store path
  logic store_block_valid, store_block_ready, store_read_valid, st_pooling, st_waits_for_tracker, st_waits_for_dma;
  store_block_t store_block, write_block;
  st_tracker_t store_read_tracker;
  logic st_spad_read_valid, st_spad_read_ready, st_spad_resp_valid, st_spad_resp_ready, st_acc_read_valid, st_acc_read_ready;
  local_row_t st_spad_read_row, st_acc_read_row;
  logic [DIM*IN_BITS-1:0] st_spad_resp_data;
  logic acc_row_valid, acc_row_ready, acc_row_from_store;
  logic [ACC_BANK_BITS-1:0] acc_row_bank;
  logic [DIM*ACC_BITS-1:0] acc_row_data;
  logic [31:0] acc_row_ex_scale;
  logic [2:0] acc_row_ex_act;
  logic write_block_valid, write_block_ready, store_pipeline_busy;
  logic [DIM*ACC_BITS-1:0] write_block_data;
  logic put_valid, put_ready, put_last, put_ack_valid, writer_busy, writer_waits_for_id;
  logic [63:0] put_addr;
  logic [3:0] put_size;
  logic [IN_FLIGHT_BITS-1:0] put_id, put_ack_id;
  logic [BUS_BITS-1:0] put_data;
  logic [BUS_BYTES-1:0] put_mask;
  logic [IN_FLIGHT_BITS:0] puts_in_flight;

  store_controller stores (.*);
  store_pipeline store_rows (.*);
  dma_writer writer (.*);
  memory_port port (.*);

  // ------------------------------------------------------------------ private memories and the array
  logic [SPAD_BANKS-1:0] ex_spad_read_valid, ex_spad_read_ready, ex_spad_resp_valid, ex_spad_resp_ready, ex_spad_write_valid;
  logic [SPAD_BANKS*SPAD_ROW_BITS-1:0] ex_spad_read_row, ex_spad_write_row;
  logic [SPAD_BANKS*DIM*IN_BITS-1:0] ex_spad_resp_data, ex_spad_write_data;
  logic [SPAD_BANKS*DIM-1:0] ex_spad_write_mask;
  logic [ACC_BANKS-1:0] ex_acc_read_valid, ex_acc_read_ready, ex_acc_resp_valid, ex_acc_resp_ready, ex_acc_write_valid;
  logic [ACC_BANKS-1:0] ex_acc_write_accumulate;
  logic [ACC_BANKS*ACC_ROW_BITS-1:0] ex_acc_read_row, ex_acc_write_row;
  logic [ACC_BANKS*DIM*IN_BITS-1:0] ex_acc_resp_data;
  logic [ACC_BANKS*DIM*ACC_BITS-1:0] ex_acc_write_data;
  logic [ACC_BANKS*DIM-1:0] ex_acc_write_mask;
  logic [31:0] ex_acc_scale;
  logic [2:0] ex_acc_act;
  logic [14:0] ex_events;
  logic [7:0] ex_stall;

  scratchpad operands (.*);
  accumulator results (.*);
  execute_controller execute (.*);

  // ------------------------------------------------------------------ busy
  logic working, was_working;
  assign working = raw_valid || conv_busy || ws_busy || head_valid || station_busy || reader_busy || writer_busy || store_pipeline_busy;
  always_ff @(posedge clk) was_working <= working && !rst;
  assign busy = working || was_working;

  // ------------------------------------------------------------------ counters
  // Events by number (GEMMINI_ISA section 7.9). Controllers count as active while they have a command.
  logic [44:0] events;
  logic get_fire, put_fire;
  assign get_fire = get_valid && get_ready;
  assign put_fire = put_valid && put_ready;
  always_comb begin
    events = '0;
    events[1] = ld_running && !st_running && !ex_running;
    events[2] = !ld_running && st_running && !ex_running;
    events[3] = !ld_running && !st_running && ex_running;
    events[4] = ld_running && st_running && !ex_running;
    events[5] = ld_running && !st_running && ex_running;
    events[6] = !ld_running && st_running && ex_running;
    events[7] = ld_running && st_running && ex_running;
    events[8] = ld_waits_for_dma;
    events[9] = ld_running;
    events[10] = (dma_spad_write_valid && !dma_spad_write_ready) || (dma_acc_write_valid && !dma_acc_write_ready);
    events[11] = st_waits_for_dma;
    events[12] = st_running;
    events[13] = st_pooling;
    events[14] = (st_spad_read_valid && !st_spad_read_ready) || (st_acc_read_valid && !st_acc_read_ready);
    events[16] = get_fire || put_fire;  // every request is a TLB hit
    events[17] = get_fire || put_fire;
    events[18] = reader_busy;
    events[20] = get_valid && !get_ready;
    events[21] = writer_busy;
    events[23] = put_valid && !put_ready;
    events[37:24] = ex_events[13:0];
    events[41] = alloc_valid && !alloc_ready;
    events[42] = station_busy;
    events[43] = ws_busy;
    events[44] = ex_events[14];
  end

  performance_counters counters (
      .clk,
      .rst,
      .cmd_valid(head_valid && is_counter),
      .cmd_ready(counter_ready),
      .cmd_rs1(head_cmd.rs1),
      .resp_valid,
      .resp_data,
      .events,
      .ld_count,
      .ex_count,
      .st_count,
      .get_beat(get_beat_valid && get_beat_ready),
      .put_beat(put_fire),
      .gets_in_flight,
      .puts_in_flight
  );

  // ------------------------------------------------------------------ trace and stalls
  assign trace_alloc_valid = alloc_valid && alloc_ready;
  assign trace_alloc_id = alloc_id;
  assign trace_alloc_cmd = head_cmd;
  assign trace_issue_valid = {issue_st_valid && issue_st_ready, issue_ex_valid && issue_ex_ready, issue_ld_valid && issue_ld_ready};
  assign trace_issue_id = {issue_st_id, issue_ex_id, issue_ld_id};
  assign trace_done_valid = done_valid;
  assign trace_done_id = done_id;
  assign stall_ld = {1'b0, reader_waits_for_id, ld_waits_for_dma, ld_waits_for_tracker, waits_ld};
  assign stall_ex = {4'b0, waits_ex};
  assign stall_execute = ex_stall;
  assign stall_st = {1'b0, writer_waits_for_id, st_waits_for_dma, st_waits_for_tracker, waits_st};
  assign stall_rs = alloc_valid && !alloc_ready ? 3'b001 << alloc_id[RS_ID_BITS-1-:2] : 3'b000;
  assign stall_loop = {conv_stall, ws_stall};
  assign rs_count = {8'(st_count), 8'(ex_count), 8'(ld_count)};
endmodule
