/* The host core's side of a run: hooks that unicorn calls directly, so that no Python runs per instruction.
 *
 * unicorn has no custom-3 opcode and raises RISC-V exception 2 for it with the program counter 4 past the instruction; the hook runs
 * the command on the accelerator model and returns, and the core goes on behind it. The block hook counts instructions, looks whether
 * the program has written `tohost`, and gives control back to Python now and then so that ctrl-C works. */
#include "internal.h"

#define BLOCKS_PER_CLOCK_CHECK 256
#define FUNCT3_COMMAND 3
#define FUNCT3_RESULT 4 /* the bit of funct3 that says there is a destination register */

/* Mirrored in Python. */
struct host {
    struct gemmini *gemmini;
    int (*reg_read)(void *engine, int id, void *value);
    int (*reg_write)(void *engine, int id, const void *value);
    int (*reg_read_batch)(void *engine, int *ids, void **values, int count);
    int (*emu_stop)(void *engine);
    uint8_t *memory; /* guest addresses base to base + size - 1 */
    uint64_t base, size;
    const uint64_t *tohost;
    uint64_t instructions, instruction_limit;
    uint64_t slice_end; /* on host_now's clock */
    uint64_t blocks;
    int32_t reg_x0, reg_pc;
    uint32_t stop; /* one of the values below */
    const uint64_t *clock_reads; /* addresses of instructions that read a clock, rising; the loader has made them illegal */
    uint64_t clock_read_count;
};
enum { STOP_NONE, STOP_EXIT, STOP_SLICE, STOP_FAULT };

/* enum uc_mem_type of unicorn.h: reads and writes of mapped but forbidden memory follow the unmapped ones. */
enum { UC_MEM_READ_UNMAPPED = 19, UC_MEM_WRITE_UNMAPPED = 20, UC_MEM_WRITE_PROT = 22, UC_MEM_READ_PROT = 23 };

long clock(void);

/* Processor time of the process in microseconds: cheap, and needs no structure of the C library's. */
uint64_t host_now(void) { return (uint64_t)clock(); }

uint64_t host_gemmini_size(void) { return sizeof(struct gemmini); }

struct setup *host_setup(struct gemmini *m) { return &m->setup; }

struct fault *host_fault(struct gemmini *m) { return &m->fault; }

uint64_t *host_counters(struct gemmini *m) { return m->counters; }

static void stop(struct host *h, void *engine, uint32_t why) {
    h->stop = why;
    h->emu_stop(engine);
}

static void stop_with_fault(struct host *h, void *engine, uint64_t pc) {
    h->gemmini->fault.pc = pc;
    h->gemmini->fault.has_pc = true;
    stop(h, engine, STOP_FAULT);
}

static uint64_t program_counter(struct host *h, void *engine) {
    uint64_t pc = 0;
    h->reg_read(engine, h->reg_pc, &pc);
    return pc;
}

static bool in_memory(const struct host *h, uint64_t address, uint64_t bytes) {
    return address - h->base < h->size && h->size - (address - h->base) >= bytes;
}

static uint32_t word_at(const struct host *h, uint64_t address) {
    uint32_t word = 0;
    if (in_memory(h, address, sizeof word)) memcpy(&word, h->memory + (address - h->base), sizeof word);
    return word;
}

static const char *exception_name(uint32_t number) {
    switch (number) {
    case 0: return "misaligned jump";
    case 1: case 12: return "instruction fetch fault";
    case 3: return "breakpoint (ebreak)";
    case 4: return "misaligned load";
    case 5: case 13: return "load fault";
    case 6: return "misaligned store";
    case 7: case 15: return "store fault";
    case 8: case 9: case 11: return "environment call (ecall)";
    default: return "exception";
    }
}

/* Rule register_flags: funct3 says which source registers are sent. Spike takes one that is not for all ones. */
static bool check_registers(struct gemmini *m, struct command *c, uint32_t word) {
    uint32_t funct3 = word >> 12 & 7;
    if (m->setup.strict && funct3 != FUNCT3_COMMAND) {
        gemmini_fault(m, FAULT_MALFORMED_INSTRUCTION, "the instruction word 0x%08x has funct3 %u; Gemmini commands have %u.", word, funct3,
                      FUNCT3_COMMAND);
        m->fault.rule = RULE_REGISTER_FLAGS;
        return false;
    }
    if (!(funct3 & 2)) c->rs1 = ~0ull;
    if (!(funct3 & 1)) c->rs2 = ~0ull;
    return true;
}

/* Whether the instruction at `pc` is rdcycle, rdtime or rdinstret: they give instructions so far, the same in every run. */
static bool reads_clock(const struct host *h, uint64_t pc) {
    uint64_t low = 0, high = h->clock_read_count;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (h->clock_reads[middle] == pc) return true;
        if (h->clock_reads[middle] < pc)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* UC_HOOK_INTR */
void host_interrupt(void *engine, uint32_t number, void *user) {
    struct host *h = user;
    struct gemmini *m = h->gemmini;
    if (h->stop == STOP_FAULT) return;
    uint64_t pc = program_counter(h, engine) - 4;
    if (number != 2) {
        gemmini_fault(m, FAULT_HOST_FAULT, "the host core raised exception %u, %s, which a bare-metal program cannot handle.", number,
                      exception_name(number));
        stop_with_fault(h, engine, pc);
        return;
    }
    uint32_t word = word_at(h, pc);
    if (reads_clock(h, pc)) {
        if ((word >> 7 & 31) != 0) h->reg_write(engine, h->reg_x0 + (int)(word >> 7 & 31), &h->instructions);
        return;
    }
    if ((word & 0x7F) != OPCODE) {
        if ((word & 3) == 3)
            gemmini_fault(m, FAULT_ILLEGAL_INSTRUCTION, "0x%08x is not an instruction of the host core (RV64GC).", word);
        else
            gemmini_fault(m, FAULT_ILLEGAL_INSTRUCTION, "0x%04x is not an instruction of the host core (RV64GC).", word & 0xFFFF);
        stop_with_fault(h, engine, pc);
        return;
    }
    struct command c = {.funct7 = word >> 25};
    int ids[2] = {h->reg_x0 + (int)(word >> 15 & 31), h->reg_x0 + (int)(word >> 20 & 31)};
    void *values[2] = {&c.rs1, &c.rs2};
    h->reg_read_batch(engine, ids, values, 2);
    bool known = c.funct7 == FUNCT7_COUNTER || check_registers(m, &c, word);
    if (!known) {
        m->fault.has_command = true;
        m->fault.funct7 = c.funct7;
        m->fault.rs1 = c.rs1;
        m->fault.rs2 = c.rs2;
    }
    m->clock = h->instructions;
    m->pc = pc;
    if (!known || !gemmini_execute(m, &c)) {
        stop_with_fault(h, engine, pc);
    } else if ((word >> 12 & FUNCT3_RESULT) && (word >> 7 & 31) != 0) {
        uint64_t result = c.funct7 == FUNCT7_COUNTER ? m->value : 0; /* as Spike answers other commands that ask */
        h->reg_write(engine, h->reg_x0 + (int)(word >> 7 & 31), &result);
    }
}

/* The last region that ends at or before an address; NULL if there is none. */
static const struct region *region_before(const struct setup *s, uint64_t address) {
    const struct region *found = NULL;
    for (uint64_t i = 0; i < s->region_count; i++) {
        const struct region *r = &s->regions[i];
        if (r->base + r->size <= address && (found == NULL || r->base + r->size > found->base + found->size)) found = r;
    }
    return found;
}

/* UC_HOOK_MEM_WRITE, on the bytes that an observer watches */
void host_store(void *engine, uint32_t type, uint64_t address, int size, int64_t value, void *user) {
    (void)type, (void)value;
    struct host *h = user;
    struct gemmini *m = h->gemmini;
    m->pc = program_counter(h, engine);
    m->sent = INSTRUCTION_NONE;
    observe(m, INSTRUCTION_NONE, address, (uint64_t)size, 0, NULL, 0);
    observe_store(m, address, 0, 1, (uint64_t)size);
}

/* UC_HOOK_MEM_UNMAPPED | UC_HOOK_MEM_PROT. False stops the run. */
bool host_memory_fault(void *engine, uint32_t type, uint64_t address, int size, int64_t value, void *user) {
    (void)value;
    struct host *h = user;
    const char *verb = type == UC_MEM_READ_UNMAPPED || type == UC_MEM_READ_PROT     ? "reads"
                       : type == UC_MEM_WRITE_UNMAPPED || type == UC_MEM_WRITE_PROT ? "writes"
                                                                                    : NULL;
    const struct region *before = in_memory(h, address, 1) ? region_before(&h->gemmini->setup, address) : NULL;
    if (verb && before)
        gemmini_fault(h->gemmini, FAULT_HOST_FAULT, "the host core %s %d bytes at 0x%llx, %llu bytes beyond the end of %s.", verb, size,
                      (unsigned long long)address, (unsigned long long)(address - (before->base + before->size)), before->name);
    else if (verb)
        gemmini_fault(h->gemmini, FAULT_HOST_FAULT, "the host core %s %d bytes at 0x%llx, outside the program's memory (0x%llx to 0x%llx).",
                      verb, size, (unsigned long long)address, (unsigned long long)h->base, (unsigned long long)(h->base + h->size - 1));
    else
        gemmini_fault(h->gemmini, FAULT_HOST_FAULT, "the host core jumped to 0x%llx, where there is no code.", (unsigned long long)address);
    stop_with_fault(h, engine, program_counter(h, engine));
    return false;
}

/* Instructions in the `size` bytes of a basic block: those of 4 bytes have both low bits set. */
static uint64_t count_instructions(const struct host *h, uint64_t address, uint32_t size) {
    if (!in_memory(h, address, size)) return 0;
    const uint8_t *at = h->memory + (address - h->base), *end = at + size;
    uint64_t n = 0;
    for (; at < end; n++) at += (*at & 3) == 3 ? 4 : 2;
    return n;
}

/* UC_HOOK_BLOCK */
void host_block(void *engine, uint64_t address, uint32_t size, void *user) {
    struct host *h = user;
    if (*h->tohost != 0) {
        stop(h, engine, STOP_EXIT);
        return;
    }
    if (h->instructions >= h->instruction_limit) {
        gemmini_fault(h->gemmini, FAULT_LIMIT_REACHED, "the program was stopped after %llu host instructions, its limit.",
                      (unsigned long long)h->instructions);
        stop_with_fault(h, engine, address);
        return;
    }
    if (++h->blocks % BLOCKS_PER_CLOCK_CHECK == 0 && host_now() >= h->slice_end) {
        stop(h, engine, STOP_SLICE);
        return;
    }
    h->instructions += count_instructions(h, address, size);
}
