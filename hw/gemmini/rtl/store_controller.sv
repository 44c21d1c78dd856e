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
    input  cmd_t         issue_st_cmd,
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
endmodule
