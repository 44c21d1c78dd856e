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
    input  cmd_t        issue_ld_cmd,
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
endmodule
