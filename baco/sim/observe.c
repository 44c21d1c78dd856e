/* What somebody who watches a run sees: each step with the memory it takes, and who stored last to some bytes of DRAM. */
#include "internal.h"

void observe(struct gemmini *m, uint32_t instruction, uint64_t dram, uint64_t bytes, uint64_t macs, const struct rows *rows, uint32_t count) {
    struct observer *o = m->setup.observer;
    o->last = (struct step){
        .pc = m->pc,
        .clock = m->clock,
        .dram = dram,
        .bytes = bytes,
        .macs = macs,
        .instruction = instruction,
        .parent = m->sent,
        .rows_count = count,
    };
    for (uint32_t i = 0; i < 3 && m->setup.instance != NULL; i++) o->last.instance[i] = (uint32_t)m->setup.instance[i];
    for (uint32_t i = 0; i < count; i++) o->last.rows[i] = rows[i];
    if (o->count < o->capacity) o->steps[o->count] = o->last;
    o->count++;
}

void observe_store(struct gemmini *m, uint64_t dram, uint64_t stride, uint64_t rows, uint64_t bytes) {
    struct observer *o = m->setup.observer;
    for (uint64_t r = 0; r < rows && o->watch_bytes != 0; r++, dram += stride)
        if (dram < o->watch + o->watch_bytes && o->watch < dram + bytes) {
            o->stored = true;
            o->last_store = o->last;
        }
}
