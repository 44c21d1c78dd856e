/* The host core's side of a run: hooks that unicorn calls directly, so that no Python runs per instruction.
 *
 * unicorn has no custom-3 opcode and raises RISC-V exception 2 for it with the program counter 4 past the instruction; the hook runs
 * the command on the accelerator model and returns, and the core goes on behind it. The block hook counts instructions, looks whether
 * the program has written `tohost`, and gives control back to Python now and then so that ctrl-C works.
 *
 * Where there is a device, commands go to it instead of to the model, and the core has a clock: each instruction takes the cycles that an
 * in-order core with its caches warm and its branches predicted would (baco/sim/verilator.py). */
#include "internal.h"

#define BLOCKS_PER_CLOCK_CHECK 256
#define FUNCT3_COMMAND 3
#define FUNCT3_RESULT 4 /* the bit of funct3 that says there is a destination register */

/* A device does what it is asked in this many cycles of its own, or says that it must be asked again: so ctrl-C works while it is busy. */
#define DEVICE_PATIENCE 20000
enum { DEVICE_DONE, DEVICE_AGAIN };

/* Something with a clock in place of the model. Both functions take the core's cycle and give back the one in which it may go on. A command
 * with a place for its value waits for it. Mirrored in Python. */
struct device {
    void *self;
    int (*command)(void *self, uint64_t *cycle, uint64_t patience, uint32_t funct7, uint64_t rs1, uint64_t rs2, uint64_t *value);
    int (*fence)(void *self, uint64_t *cycle, uint64_t patience);
};

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
    const uint64_t *taken; /* addresses of the instructions that come here instead of being run, rising; the loader has made them illegal */
    uint64_t taken_count;
    const struct device *device; /* NULL: the model */
    uint64_t cycles;             /* of the core's clock, if there is a device: those in which the instructions so far are done */
    uint64_t queue_cycles, fence_cycles; /* of them, those in which the core waited to hand a command over, and at fences */
    uint64_t resume;             /* where to go on after a stop; 0 at the program counter */
    uint64_t value;              /* the device's answer to a command */
};
enum { STOP_NONE, STOP_EXIT, STOP_SLICE, STOP_FAULT, STOP_DEVICE };

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

static bool is_taken(const struct host *h, uint64_t pc) {
    uint64_t low = 0, high = h->taken_count;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (h->taken[middle] == pc) return true;
        if (h->taken[middle] < pc)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* The instruction at `pc` is to be run again: take back what its block, which is itself alone, counted. */
static void again(struct host *h, void *engine, uint64_t pc) {
    h->instructions--;
    h->cycles--;
    h->resume = pc;
    stop(h, engine, STOP_SLICE);
}

/* The device's answer after it was asked for something at cycle `since`. */
static bool device_did(struct host *h, void *engine, uint64_t pc, int state, uint64_t since, uint64_t *waited) {
    *waited += h->cycles - since;
    if (state == DEVICE_AGAIN) {
        again(h, engine, pc);
    } else if (state != DEVICE_DONE) {
        h->resume = pc;
        stop(h, engine, STOP_DEVICE);
    }
    return state == DEVICE_DONE;
}

/* A fence takes FENCE_CYCLES with the accelerator at rest, and the next instruction comes FENCE_AFTER cycles after it is
 * (GEMMINI_UARCH section 9.2). */
static void fence(struct host *h, void *engine, uint64_t pc) {
    uint64_t since = h->cycles, idle = h->cycles;
    int state = h->device->fence(h->device->self, &idle, DEVICE_PATIENCE);
    if (state == DEVICE_DONE) {
        uint64_t least = since - 1 + FENCE_CYCLES;
        h->cycles = idle > since ? idle + FENCE_AFTER : least;
        if (h->cycles < least) h->cycles = least;
    }
    device_did(h, engine, pc, state, since, &h->fence_cycles);
}

/* A clock read gives cycles, or instructions so far, which are also the cycles where there is no clock: the same in every run. */
static void taken(struct host *h, void *engine, uint64_t pc, uint32_t word) {
    if (word >> TAKEN_KIND == TAKEN_FENCE) {
        fence(h, engine, pc);
    } else if ((word >> 7 & 31) != 0) {
        const uint64_t *clock = h->device && word >> TAKEN_KIND == TAKEN_CYCLE ? &h->cycles : &h->instructions;
        h->reg_write(engine, h->reg_x0 + (int)(word >> 7 & 31), clock);
    }
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
    if (is_taken(h, pc)) {
        taken(h, engine, pc, word);
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
    if (known && h->device) {
        uint64_t since = h->cycles;
        uint64_t *value = c.funct7 == FUNCT7_COUNTER ? &h->value : NULL;
        int state = h->device->command(h->device->self, &h->cycles, DEVICE_PATIENCE, c.funct7, c.rs1, c.rs2, value);
        if (!device_did(h, engine, pc, state, since, &h->queue_cycles)) return;
    } else if (!known || !gemmini_execute(m, &c)) {
        stop_with_fault(h, engine, pc);
        return;
    }
    if ((word >> 12 & FUNCT3_RESULT) && (word >> 7 & 31) != 0) {
        uint64_t answer = h->device ? h->value : m->value;
        uint64_t result = c.funct7 == FUNCT7_COUNTER ? answer : 0; /* as Spike answers other commands that ask */
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

/* Cycles of an instruction of 4 bytes beyond its one: the multiplier and the divider work bit by bit. */
static uint64_t more_cycles(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, sizeof word);
    bool divides = word >> 14 & 1;
    bool integer = ((word & 0x7F) == 0x33 || (word & 0x7F) == 0x3B) && word >> 25 == 1;
    bool floating = (word & 0x7F) == 0x53 && ((word >> 27) & 0x0F) == 3;
    return integer ? (divides ? DIVIDE_CYCLES : MULTIPLY_CYCLES) - 1 : floating ? DIVIDE_CYCLES - 1 : 0;
}

/* Counts the instructions in the `size` bytes of a basic block, and their cycles: those of 4 bytes have both low bits set. */
static void count_block(struct host *h, uint64_t address, uint32_t size) {
    if (!in_memory(h, address, size)) return;
    const uint8_t *at = h->memory + (address - h->base), *end = at + size;
    uint64_t n = 0;
    if (h->device)
        for (const uint8_t *i = at; i + 4 <= end; i += (*i & 3) == 3 ? 4 : 2)
            if ((*i & 3) == 3) h->cycles += more_cycles(i);
    for (; at < end; n++) at += (*at & 3) == 3 ? 4 : 2;
    h->instructions += n;
    h->cycles += n;
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
    count_block(h, address, size);
}
