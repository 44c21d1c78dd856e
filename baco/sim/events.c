/* The counter command (GEMMINI_ISA.md 7.9): eight counters that a program chooses events for and reads.
 *
 * A functional model has no cycles, so it gives numbers that are the same in every run and grow as the hardware's do:
 * - a cycle event (1 to 44) counts instructions of the host core, one a cycle, from the moment it was chosen or reset, as soon as an
 *   instruction of its kind has run since: a load for load and read-DMA events, a store for store and write-DMA events, a preload or
 *   compute for execution events, any of them for the rest;
 * - external events 1 to 3 count loads, stores and executions (loops as the instructions they stand for), 4 and 5 the bytes read from
 *   and written to DRAM, 6 and 7 (latencies) nothing. */
#include "internal.h"

#define EXTERNAL 0x80000000u

static uint64_t ran(const struct gemmini *m, uint32_t instruction) {
    return m->counters[instruction] + m->counters[COUNTER_UNROLLED + instruction];
}

static uint64_t loads(const struct gemmini *m) { return ran(m, INSTRUCTION_MVIN) + ran(m, INSTRUCTION_MVIN2) + ran(m, INSTRUCTION_MVIN3); }

static uint64_t executions(const struct gemmini *m) {
    return ran(m, INSTRUCTION_PRELOAD) + ran(m, INSTRUCTION_COMPUTE_PRELOADED) + ran(m, INSTRUCTION_COMPUTE_ACCUMULATED);
}

/* How much work of an event's kind was done so far. An event is its number in bits 5:0, and whether it is external in bit 31. */
static uint64_t work(const struct gemmini *m, uint32_t event) {
    uint64_t stores = ran(m, INSTRUCTION_MVOUT);
    switch (event) {
    case EXTERNAL | 1: case 1: case 8: case 9: case 10: case 18: case 19: case 20: return loads(m);
    case EXTERNAL | 2: case 2: case 11: case 12: case 13: case 14: case 21: case 22: case 23: return stores;
    case EXTERNAL | 3: case 3: case 24: case 25: case 26: case 27: case 28: return executions(m);
    case EXTERNAL | 4: return m->counters[COUNTER_DRAM_BYTES_READ];
    case EXTERNAL | 5: return m->counters[COUNTER_DRAM_BYTES_WRITTEN];
    default: return event & EXTERNAL ? 0 : loads(m) + stores + executions(m);
    }
}

static void restart(struct gemmini *m, struct event_counter *e) {
    e->work = work(m, e->event);
    e->clock = m->clock;
}

static uint64_t value(const struct gemmini *m, const struct event_counter *e) {
    uint64_t done = work(m, e->event) - e->work;
    return e->event & EXTERNAL || done == 0 ? done : m->clock - e->clock;
}

bool counter(struct gemmini *m, const struct command *c) {
    struct event_counter *all = m->event_counters, *e = &all[COUNTER_INDEX(c)];
    if (COUNTER_RESET(c))
        for (uint32_t i = 0; i < EVENT_COUNTERS; i++) restart(m, &all[i]);
    if (COUNTER_RELEASE_SNAPSHOT(c)) m->snapshot_taken = false;
    if (COUNTER_TAKE_SNAPSHOT(c)) {
        m->snapshot_taken = true;
        for (uint32_t i = 0; i < EVENT_COUNTERS; i++) all[i].snapshot = value(m, &all[i]);
    }
    if (COUNTER_REPROGRAM(c)) {
        e->event = COUNTER_EVENT(c) | COUNTER_EXTERNAL(c) << 31;
        restart(m, e);
    }
    m->value = m->snapshot_taken ? e->snapshot : value(m, e);
    return true;
}
