// Brings the reader's Gets and the writer's Puts onto one memory port, and answers back to them.
//
// Timing (UARCH 1.1): two queues on each way, as the generator's two bus buffers around its crossbar: 2 cycles from `get_*` or `put_*` to
// `mem_a_*`, 2 from `mem_d_*` to `get_beat_*` or `put_ack_*`. Reader and writer take turns; the beats of a Put stay together.

module memory_port
  import gemmini_config_pkg::*;
(
    input  logic                      clk,
    input  logic                      rst,
    // reader
    input  logic                      get_valid,
    output logic                      get_ready,
    input  logic [63:0]               get_addr,
    input  logic [3:0]                get_size,
    input  logic [IN_FLIGHT_BITS-1:0] get_id,
    output logic                      get_beat_valid,
    input  logic                      get_beat_ready,
    output logic [IN_FLIGHT_BITS-1:0] get_beat_id,
    output logic [BUS_BITS-1:0]       get_beat_data,
    // writer
    input  logic                      put_valid,
    output logic                      put_ready,
    input  logic                      put_last,
    input  logic [63:0]               put_addr,
    input  logic [3:0]                put_size,
    input  logic [IN_FLIGHT_BITS-1:0] put_id,
    input  logic [BUS_BITS-1:0]       put_data,
    input  logic [BUS_BYTES-1:0]      put_mask,
    output logic                      put_ack_valid,
    output logic [IN_FLIGHT_BITS-1:0] put_ack_id,
    // memory
    output logic                      mem_a_valid,
    input  logic                      mem_a_ready,
    output logic                      mem_a_put,
    output logic [63:0]               mem_a_addr,
    output logic [3:0]                mem_a_size,
    output logic [MEM_ID_BITS-1:0]    mem_a_id,
    output logic [BUS_BITS-1:0]       mem_a_data,
    output logic [BUS_BYTES-1:0]      mem_a_mask,
    input  logic                      mem_d_valid,
    output logic                      mem_d_ready,
    input  logic                      mem_d_ack,
    /* verilator lint_off UNUSEDSIGNAL */  // its top bit says what mem_d_ack says
    input  logic [MEM_ID_BITS-1:0]    mem_d_id,
    /* verilator lint_on UNUSEDSIGNAL */
    input  logic [BUS_BITS-1:0]       mem_d_data
);
  localparam int BUFFER = 2;  // entries of each queue

  typedef struct packed {
    logic                      last;
    logic [63:0]               addr;
    logic [3:0]                size;
    logic [IN_FLIGHT_BITS-1:0] id;
  } head_t;
  typedef struct packed {
    logic [BUS_BITS-1:0]  data;
    logic [BUS_BYTES-1:0] mask;
  } body_t;
  typedef struct packed {
    logic                      ack;
    logic [IN_FLIGHT_BITS-1:0] id;
    logic [BUS_BITS-1:0]       data;
  } answer_t;

  // Towards the memory
  head_t get_in, get_out, put_in_head, put_out_head;
  body_t put_in_body, put_out_body;
  logic get_out_valid, get_out_ready, put_out_valid, put_out_ready;
  assign get_in.last = 1'b1;
  assign get_in.addr = get_addr;
  assign get_in.size = get_size;
  assign get_in.id = get_id;
  assign put_in_head.last = put_last;
  assign put_in_head.addr = put_addr;
  assign put_in_head.size = put_size;
  assign put_in_head.id = put_id;
  assign put_in_body.data = put_data;
  assign put_in_body.mask = put_mask;
  /* verilator lint_off PINCONNECTEMPTY */
  queue #(
      .WIDTH($bits(get_in)),
      .ENTRIES(BUFFER)
  ) gets (
      .clk(clk),
      .rst(rst),
      .in_valid(get_valid),
      .in_ready(get_ready),
      .in_data(get_in),
      .out_valid(get_out_valid),
      .out_ready(get_out_ready),
      .out_data(get_out),
      .count()
  );
  queue #(
      .WIDTH($bits(get_in) + $bits(put_in_body)),
      .ENTRIES(BUFFER)
  ) puts (
      .clk(clk),
      .rst(rst),
      .in_valid(put_valid),
      .in_ready(put_ready),
      .in_data({put_in_head, put_in_body}),
      .out_valid(put_out_valid),
      .out_ready(put_out_ready),
      .out_data({put_out_head, put_out_body}),
      .count()
  );

  logic choose_put, in_burst, last_was_put, out_valid, out_ready;
  head_t chosen;
  body_t chosen_body;
  assign choose_put = in_burst || (put_out_valid && !(get_out_valid && last_was_put));
  assign out_valid = choose_put ? put_out_valid : get_out_valid;
  assign put_out_ready = choose_put && out_ready;
  assign get_out_ready = !choose_put && out_ready;
  assign chosen = choose_put ? put_out_head : get_out;
  assign chosen_body = choose_put ? put_out_body : '0;
  always_ff @(posedge clk) begin
    if (out_valid && out_ready) begin
      in_burst <= !chosen.last;
      last_was_put <= choose_put;
    end
    if (rst) begin
      in_burst <= 1'b0;
      last_was_put <= 1'b0;
    end
  end
  localparam int OUT_BITS = 1 + 64 + 4 + IN_FLIGHT_BITS + $bits(put_in_body);
  logic [IN_FLIGHT_BITS-1:0] out_id;
  queue #(
      .WIDTH(OUT_BITS),
      .ENTRIES(BUFFER)
  ) requests (
      .clk(clk),
      .rst(rst),
      .in_valid(out_valid),
      .in_ready(out_ready),
      .in_data({choose_put, chosen.addr, chosen.size, chosen.id, chosen_body}),
      .out_valid(mem_a_valid),
      .out_ready(mem_a_ready),
      .out_data({mem_a_put, mem_a_addr, mem_a_size, out_id, mem_a_data, mem_a_mask}),
      .count()
  );
  assign mem_a_id = {mem_a_put, out_id};

  // From the memory
  answer_t answer_in, answer;
  logic answer_valid, answer_ready, beat_ready, ack_ready;
  assign answer_in.ack = mem_d_ack;
  assign answer_in.id = mem_d_id[IN_FLIGHT_BITS-1:0];
  assign answer_in.data = mem_d_data;
  queue #(
      .WIDTH($bits(answer_in)),
      .ENTRIES(BUFFER)
  ) answers (
      .clk(clk),
      .rst(rst),
      .in_valid(mem_d_valid),
      .in_ready(mem_d_ready),
      .in_data(answer_in),
      .out_valid(answer_valid),
      .out_ready(answer_ready),
      .out_data(answer),
      .count()
  );
  assign answer_ready = answer.ack ? ack_ready : beat_ready;
  queue #(
      .WIDTH(IN_FLIGHT_BITS + BUS_BITS),
      .ENTRIES(BUFFER)
  ) beats (
      .clk(clk),
      .rst(rst),
      .in_valid(answer_valid && !answer.ack),
      .in_ready(beat_ready),
      .in_data({answer.id, answer.data}),
      .out_valid(get_beat_valid),
      .out_ready(get_beat_ready),
      .out_data({get_beat_id, get_beat_data}),
      .count()
  );
  queue #(
      .WIDTH(IN_FLIGHT_BITS),
      .ENTRIES(BUFFER)
  ) acks (
      .clk(clk),
      .rst(rst),
      .in_valid(answer_valid && answer.ack),
      .in_ready(ack_ready),
      .in_data(answer.id),
      .out_valid(put_ack_valid),
      .out_ready(1'b1),
      .out_data(put_ack_id),
      .count()
  );
  /* verilator lint_on PINCONNECTEMPTY */
endmodule
