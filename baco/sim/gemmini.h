/* The accelerator model's state and its interface to Python (baco/sim/accelerator.py mirrors the three structures marked so). */
#ifndef BACO_SIM_GEMMINI_H
#define BACO_SIM_GEMMINI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "generated.h" /* from baco.isa: field extractors, instruction indices, counters, fault kinds */

/* No header of a C library is used: those few functions are declared where they are called and come from the process that loads the
 * library. So the compiler need not build a C library of its own first, which takes it ten seconds. */
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);

#define MAX_DIM 128

struct command {
    uint32_t funct7;
    uint64_t rs1, rs2;
};

/* Mirrored in Python. A range of DRAM that the accelerator may touch. */
struct region {
    uint64_t base, size;
    uint32_t writable;
    char name[60];
};

/* Mirrored in Python. The machine, its memories (owned by Python) and its view of DRAM. */
struct setup {
    uint32_t dim, scratchpad_rows, accumulator_rows, max_block_columns, max_accumulator_columns, weight_stationary_only, full_width_stores;
    uint32_t strict; /* refuse what breaks a rule (baco/sim/rules.py), instead of doing as Spike does */
    int8_t *scratchpad;
    int32_t *accumulator;
    uint8_t *dram; /* holds guest addresses dram_base to dram_base + dram_size - 1 */
    uint64_t dram_base, dram_size;
    const struct region *regions;
    uint64_t region_count;
    struct observer *observer; /* NULL: nobody watches */
    const uint64_t *instance;  /* the program instance that runs, three numbers; NULL where a program does not say */
};

/* Mirrored in Python. Rows of private memory that a step took: `blocks` times `rows` rows. */
struct rows {
    uint32_t address, rows, stride, blocks, block_stride;
    uint32_t access; /* READ, WRITE or both */
};
enum { READ = 1, WRITE = 2 };
#define EVENT_ROWS 4

/* Mirrored in Python. A step: an instruction, or one that a loop stands for. */
struct step {
    uint64_t pc, clock, dram, bytes, macs;
    uint32_t instruction, parent; /* the instruction sent; the loop, or the instruction itself */
    uint32_t instance[3];
    uint32_t rows_count;
    struct rows rows[EVENT_ROWS];
};

/* Mirrored in Python. Takes down the first `capacity` steps, and the last one that stored to the bytes watched. */
struct observer {
    struct step *steps;
    uint64_t capacity, count; /* all steps count; those beyond the capacity are not taken down */
    uint64_t watch, watch_bytes;
    struct step last, last_store;
    uint64_t stored; /* whether anything stored there */
};

/* Mirrored in Python. Why the last command was refused. */
struct fault {
    uint32_t kind; /* FAULT_NONE or one of the generated kinds */
    uint32_t rule; /* RULE_NONE or one of the generated rules */
    uint32_t has_command, has_pc;
    uint32_t funct7;
    uint64_t rs1, rs2, pc;
    char reason[400];
};

struct load_config {
    bool set, shrink;
    uint32_t block_stride, pixel_repeats;
    float scale;
    uint64_t dram_stride;
};

/* Activations of config_st; SOFTMAX is set by config_norm. */
enum { ACTIVATION_NONE, ACTIVATION_RELU, ACTIVATION_LAYERNORM, ACTIVATION_IGELU, ACTIVATION_SOFTMAX };

/* Pooling is off while `stride` is 0. */
struct pooling {
    uint32_t stride, size, upper_pad, left_pad, out_pitch, out_rows, out_columns, rows, columns;
};

struct store_config {
    bool set;
    uint32_t activation, dram_stride;
    float scale;
    struct pooling pool;
};

/* An operand of a move, preload or compute: a local address and its logical (already transposed) size. */
struct operand {
    uint32_t address, columns, rows;
};

#define NORM_SLOTS 4

struct norm {
    uint32_t slot;
    int32_t qln2, qln2_inverse, qb, qc;
    struct statistics {
        bool running; /* false: the next command starts afresh */
        int32_t sum, count, mean, running_max, max;
        float inverse_stddev, inverse_sum_exp;
    } slots[NORM_SLOTS];
};

#define EVENT_COUNTERS 8

struct event_counter {
    uint32_t event;
    uint64_t work, clock; /* when it was chosen or reset */
    uint64_t snapshot;
};

struct gemmini {
    struct setup setup;
    uint32_t region_hint;
    /* configuration */
    bool execute_set, weight_stationary, execute_relu, transpose_a, transpose_b;
    uint32_t a_stride, c_stride, in_shift;
    struct load_config loads[3];
    struct store_config store;
    struct norm norm;
    struct command loop_configs[INSTRUCTION_NONE]; /* by instruction; a loop decodes the last ones when it runs */
    bool loop_config_set[INSTRUCTION_NONE];
    uint32_t conv_bias_row, conv_output_row; /* where the next loop_conv_ws puts its bias and its sums (section 7.11) */
    struct event_counter event_counters[EVENT_COUNTERS];
    bool snapshot_taken;
    /* execution */
    bool preloaded, preload_pending; /* ever; and not yet computed with */
    struct operand preload_bd, preload_c;
    int32_t array[MAX_DIM * MAX_DIM];  /* weights (weight-stationary) or partial sums, dim x dim */
    int32_t result[MAX_DIM * MAX_DIM];
    int8_t a_tile[MAX_DIM * MAX_DIM];
    int32_t b_tile[MAX_DIM * MAX_DIM];
    bool array_paired; /* whether `array_pairs` holds the array, all of it int8 values; not so after output-stationary computes */
    int32_t array_pairs[MAX_DIM * MAX_DIM / 2], b_pairs[MAX_DIM * MAX_DIM / 2];
    uint64_t pc;    /* of the command; 0 where there is no host core */
    uint32_t sent;  /* the instruction that is being executed, of which others may be steps */
    uint64_t clock; /* instructions of the host core so far; commands, where there is no host core */
    uint64_t value; /* what the last counter command answers, for its destination register */
    uint64_t counters[COUNTER_COUNT];
    struct fault fault;
};

/* Executes one command. False: it was refused, and nothing but the fault changed; a loop may have done the steps before the one at fault. */
bool gemmini_execute(struct gemmini *m, const struct command *c);

/* Records a fault and returns false. */
bool gemmini_fault(struct gemmini *m, uint32_t kind, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
