/* Functional model of the accelerator: faults, address checks and the dispatch of commands.
 *
 * Each instruction is one function: checks first, then its effect (GEMMINI_ISA.md sections 4 to 8). compute.c has the array, moves.c
 * loads and stores, pooling.c and norm.c their special stores, loop_ws.c and loop_conv_ws.c the loops, events.c the counters.
 *
 * Where the sources disagree the model does as Spike does, or refuses it in strict mode; rules.py has the list. Field layouts,
 * instruction indices and counter places come from generated.h, made from baco.isa and baco.traffic; nothing here repeats them. */
#include "internal.h"

#include <stdarg.h>

#define FUNCT7_FENCE_COMMAND 127

int vsnprintf(char *to, size_t size, const char *format, va_list arguments);

bool gemmini_fault(struct gemmini *m, uint32_t kind, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(m->fault.reason, sizeof m->fault.reason, format, arguments);
    va_end(arguments);
    m->fault.kind = kind;
    m->fault.rule = RULE_NONE;
    return false;
}

bool gemmini_fault_in(struct gemmini *m, const char *format, ...) {
    char reason[sizeof m->fault.reason];
    memcpy(reason, m->fault.reason, sizeof reason);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(m->fault.reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof reason) {
        memcpy(m->fault.reason + length, reason, sizeof reason - (size_t)length);
        m->fault.reason[sizeof reason - 1] = 0;
    }
    return false;
}

bool check_local(struct gemmini *m, const char *what, bool accumulator, uint64_t first, uint64_t last) {
    uint32_t limit = accumulator ? m->setup.accumulator_rows : m->setup.scratchpad_rows;
    const char *memory = accumulator ? "accumulator" : "scratchpad";
    CHECK(last < limit, FAULT_LOCAL_ADDRESS_FAULT, "%s takes %s rows %llu to %llu, but the %s has rows 0 to %u.", what, memory, (ull)first,
          (ull)last, memory, limit - 1);
    return true;
}

bool check_dram(struct gemmini *m, uint64_t address, uint64_t stride, uint32_t rows, uint32_t bytes, bool write) {
    const struct region *regions = m->setup.regions;
    const char *verb = write ? "writes" : "reads";
    uint32_t n = (uint32_t)m->setup.region_count, k = m->region_hint;
    if (k >= n || address - regions[k].base >= regions[k].size)
        for (k = 0; k < n && address - regions[k].base >= regions[k].size; k++) {}
    CHECK(k < n, FAULT_DRAM_ADDRESS_FAULT, "%s DRAM at 0x%llx, which is in no buffer of the program.", verb, (ull)address);
    m->region_hint = k;
    CHECK(!write || regions[k].writable, FAULT_DRAM_ADDRESS_FAULT, "writes DRAM at 0x%llx, which is in %s, a read-only buffer.",
          (ull)address, regions[k].name);
    uint64_t offset = address - regions[k].base, size = regions[k].size;
    for (uint32_t r = 0; r < rows; r++, offset += stride)
        CHECK(offset < size && bytes <= size - offset, FAULT_DRAM_ADDRESS_FAULT,
              "row %u %s %u bytes of DRAM at 0x%llx, outside %s, which is 0x%llx to 0x%llx.", r, verb, bytes,
              (ull)(regions[k].base + offset), regions[k].name, (ull)regions[k].base, (ull)(regions[k].base + size - 1));
    return true;
}

bool check_size(struct gemmini *m, uint32_t rule, const char *what, uint32_t rows, uint32_t columns, uint32_t max_columns) {
    uint32_t dim = m->setup.dim;
    STRICT(rows >= 1 && rows <= dim, rule, FAULT_MALFORMED_INSTRUCTION, "%s has %u rows; 1 to %u (DIM) are allowed.", what, rows, dim);
    STRICT(columns >= 1 && columns <= max_columns, rule, FAULT_MALFORMED_INSTRUCTION, "%s has %u columns; 1 to %u are allowed here.", what,
           columns, max_columns);
    return true;
}

bool check_scale(struct gemmini *m, float scale) {
    STRICT(scale >= -2147483648.0f && scale <= 2147483648.0f, RULE_LARGE_SCALE, FAULT_UNSUPPORTED_INSTRUCTION,
           "the scale is %g; products of 2^63 or more and NaN saturate differently, so at most 2^31 in size is allowed.", (double)scale);
    return true;
}

static bool move_in(struct gemmini *m, const struct command *c, uint32_t load_id) {
    return mvin(m, load_id, MVIN_DRAM(c), (struct operand){MVIN_LOCAL(c), MVIN_LOCAL_COLS(c), MVIN_LOCAL_ROWS(c)});
}

static bool execute_compute(struct gemmini *m, const struct command *c, bool preloaded) {
    struct operand a = {COMPUTE_PRELOADED_A(c), COMPUTE_PRELOADED_A_COLS(c), COMPUTE_PRELOADED_A_ROWS(c)};
    struct operand bd = {COMPUTE_PRELOADED_BD(c), COMPUTE_PRELOADED_BD_COLS(c), COMPUTE_PRELOADED_BD_ROWS(c)};
    return compute(m, a, bd, preloaded);
}

static bool execute(struct gemmini *m, const struct command *c, uint32_t instruction) {
    switch (instruction) {
    case INSTRUCTION_CONFIG_EX: return config_ex(m, c);
    case INSTRUCTION_CONFIG_LD: return config_ld(m, c);
    case INSTRUCTION_CONFIG_ST: return config_st(m, c);
    case INSTRUCTION_CONFIG_NORM: return config_norm(m, c);
    case INSTRUCTION_MVIN: return move_in(m, c, 0);
    case INSTRUCTION_MVIN2: return move_in(m, c, 1);
    case INSTRUCTION_MVIN3: return move_in(m, c, 2);
    case INSTRUCTION_MVOUT: return mvout(m, MVOUT_DRAM(c), (struct operand){MVOUT_LOCAL(c), MVOUT_LOCAL_COLS(c), MVOUT_LOCAL_ROWS(c)});
    case INSTRUCTION_PRELOAD:
        return preload(m, (struct operand){PRELOAD_BD(c), PRELOAD_BD_COLS(c), PRELOAD_BD_ROWS(c)},
                       (struct operand){PRELOAD_C(c), PRELOAD_C_COLS(c), PRELOAD_C_ROWS(c)});
    case INSTRUCTION_COMPUTE_PRELOADED: return execute_compute(m, c, true);
    case INSTRUCTION_COMPUTE_ACCUMULATED: return execute_compute(m, c, false);
    case INSTRUCTION_LOOP_WS: return loop_ws(m, c);
    case INSTRUCTION_LOOP_CONV_WS: return loop_conv_ws(m, c);
    case INSTRUCTION_LOOP_WS_CONFIG_BOUNDS:
    case INSTRUCTION_LOOP_WS_CONFIG_ADDRS_AB:
    case INSTRUCTION_LOOP_WS_CONFIG_ADDRS_DC:
    case INSTRUCTION_LOOP_WS_CONFIG_STRIDES_AB:
    case INSTRUCTION_LOOP_WS_CONFIG_STRIDES_DC:
    case INSTRUCTION_LOOP_CONV_WS_CONFIG_1:
    case INSTRUCTION_LOOP_CONV_WS_CONFIG_2:
    case INSTRUCTION_LOOP_CONV_WS_CONFIG_3:
    case INSTRUCTION_LOOP_CONV_WS_CONFIG_4:
    case INSTRUCTION_LOOP_CONV_WS_CONFIG_5:
    case INSTRUCTION_LOOP_CONV_WS_CONFIG_6:
        /* Later loops use them until they are set again. */
        m->loop_configs[instruction] = *c;
        m->loop_config_set[instruction] = true;
        return true;
    case INSTRUCTION_COUNTER: return counter(m, c);
    case INSTRUCTION_FLUSH:                /* of the TLB only: nothing that can be seen */
    case INSTRUCTION_CLOCK_GATE:           /* nor is this */
    case INSTRUCTION_LOOP_WS_CONFIG_SPAD_C: /* accepted and ignored by the hardware */
        return true;
    case INSTRUCTION_MVOUT_SPAD:
        return gemmini_fault(m, FAULT_UNSUPPORTED_INSTRUCTION, "mvout_spad only has an effect where the scratchpad is an external memory.");
    case INSTRUCTION_LOOP_WS_CONFIG_SPAD_AB:
        return gemmini_fault(m, FAULT_UNSUPPORTED_INSTRUCTION, "loop_ws_config_spad_ab is for loops on an external scratchpad only.");
    case INSTRUCTION_NONE:
        if (c->funct7 == FUNCT7_FENCE_COMMAND) {
            STRICT(false, RULE_FENCE_COMMAND, FAULT_ILLEGAL_INSTRUCTION,
                   "funct7 %u is no command of the hardware, which would hang; use the RISC-V fence instruction.", c->funct7);
            return true;
        }
        /* fall through */
    default: return gemmini_fault(m, FAULT_ILLEGAL_INSTRUCTION, "funct7 %u is not a Gemmini instruction.", c->funct7);
    }
}

/* Moves and computes, which tell what memory they take once they are done. */
static bool observes_itself(uint32_t instruction) {
    switch (instruction) {
    case INSTRUCTION_MVIN: case INSTRUCTION_MVIN2: case INSTRUCTION_MVIN3: case INSTRUCTION_MVOUT: case INSTRUCTION_PRELOAD:
    case INSTRUCTION_COMPUTE_PRELOADED: case INSTRUCTION_COMPUTE_ACCUMULATED: return true;
    default: return false;
    }
}

bool gemmini_execute(struct gemmini *m, const struct command *c) {
    uint32_t instruction = c->funct7 == 0 ? instruction_of_selector[c->rs1 & 3] : instruction_of_funct7[c->funct7 & 127];
    m->clock++;
    m->sent = instruction;
    if (observed(m) && !observes_itself(instruction)) observe(m, instruction, 0, 0, 0, NULL, 0);
    if (execute(m, c, instruction)) {
        if (instruction == INSTRUCTION_NONE) return true; /* counted nowhere */
        m->counters[instruction]++;
        return true;
    }
    m->fault.has_command = true;
    m->fault.funct7 = c->funct7;
    m->fault.rs1 = c->rs1;
    m->fault.rs2 = c->rs2;
    return false;
}
