// The performance counters and the command that programs and reads them (GEMMINI_ISA section 7.9).
//
// A counter adds one in each cycle in which its event (1 to 44) is high, or shows one of the external values (1 to 7): entries of the
// reservation station in use, bytes read and written, and the sums over all requests of the cycles they were under way. A snapshot
// holds all values for the reads that follow, while counting goes on.
//
// Timing: a command is taken in one cycle and answered in the next with what the counter showed before the command's own effects.

module performance_counters
  import gemmini_config_pkg::*;
#(
    parameter EVENTS = 45
) (
    input  logic                    clk,
    input  logic                    rst,
    input  logic                    cmd_valid,
    output logic                    cmd_ready,
    input  logic [63:0]             cmd_rs1,
    output logic                    resp_valid,
    output logic [63:0]             resp_data,
    input  logic [EVENTS-1:0]       events,
    input  logic [31:0]             ld_count,
    input  logic [31:0]             ex_count,
    input  logic [31:0]             st_count,
    input  logic                    get_beat,  // a beat of a Get arrives
    input  logic                    put_beat,  // a beat of a Put leaves
    input  logic [IN_FLIGHT_BITS:0] gets_in_flight,
    input  logic [IN_FLIGHT_BITS:0] puts_in_flight
);
  localparam INDEX_BITS = COUNTER_INDEX_WIDTH;
  localparam EVENT_BITS = COUNTER_EVENT_WIDTH;
  localparam logic [EVENT_BITS-1:0] EVENTS_LIMIT = EVENT_BITS'(EVENTS);

  logic [63:0] counts[0:COUNTERS-1];
  logic [63:0] snapshots[0:COUNTERS-1];
  logic [EVENT_BITS-1:0] selected[0:COUNTERS-1];
  logic [COUNTERS-1:0] is_external, happens;
  logic holding;
  logic [31:0] bytes_read, bytes_written, read_latency, write_latency;

  logic fire, clear, release_snapshot, take_snapshot, reprogram;
  logic [INDEX_BITS-1:0] index;
  assign cmd_ready = !resp_valid;
  assign fire = cmd_valid && cmd_ready;
  assign clear = fire && cmd_rs1[COUNTER_RESET_LSB];
  assign release_snapshot = fire && cmd_rs1[COUNTER_RELEASE_SNAPSHOT_LSB];
  assign take_snapshot = fire && cmd_rs1[COUNTER_TAKE_SNAPSHOT_LSB];
  assign reprogram = fire && cmd_rs1[COUNTER_REPROGRAM_LSB];
  assign index = cmd_rs1[COUNTER_INDEX_LSB+:INDEX_BITS];

  function automatic logic [31:0] external_value(input logic [EVENT_BITS-1:0] number);
    case (number)
      EVENT_BITS'(1): external_value = ld_count;
      EVENT_BITS'(2): external_value = st_count;
      EVENT_BITS'(3): external_value = ex_count;
      EVENT_BITS'(4): external_value = bytes_read;
      EVENT_BITS'(5): external_value = bytes_written;
      EVENT_BITS'(6): external_value = read_latency;
      EVENT_BITS'(7): external_value = write_latency;
      default: external_value = '0;
    endcase
  endfunction

  for (genvar i = 0; i < COUNTERS; i++) begin : counter
    assign happens[i] = !is_external[i] && selected[i] < EVENTS_LIMIT && events[selected[i]];
    always_ff @(posedge clk) begin
      if (reprogram && index == INDEX_BITS'(i)) begin
        counts[i] <= '0;
        selected[i] <= cmd_rs1[COUNTER_EVENT_LSB+:EVENT_BITS];
        is_external[i] <= cmd_rs1[COUNTER_EXTERNAL_LSB];
      end else if (happens[i]) counts[i] <= counts[i] + 64'd1;
      if (take_snapshot) snapshots[i] <= is_external[i] ? 64'(external_value(selected[i])) : counts[i];
      if (clear || rst) begin
        counts[i] <= '0;
        snapshots[i] <= '0;
      end
      if (rst) begin
        selected[i] <= '0;
        is_external[i] <= 1'b0;
      end
    end
  end

  always_ff @(posedge clk) begin
    resp_valid <= fire;
    if (fire) resp_data <= holding ? snapshots[index] : is_external[index] ? 64'(external_value(selected[index])) : counts[index];
    if (release_snapshot) holding <= 1'b0;
    else if (take_snapshot) holding <= 1'b1;
    if (get_beat) bytes_read <= bytes_read + 32'(BUS_BYTES);
    if (put_beat) bytes_written <= bytes_written + 32'(BUS_BYTES);
    read_latency  <= read_latency + 32'(gets_in_flight);
    write_latency <= write_latency + 32'(puts_in_flight);
    if (clear || rst) begin
      holding <= 1'b0;
      bytes_read <= '0;
      bytes_written <= '0;
      read_latency <= '0;
      write_latency <= '0;
    end
    if (rst) resp_valid <= 1'b0;
  end
endmodule
