#include "harness.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <stdexcept>

#include "Vgemmini.h"
#include "memory.h"
#include "verilated.h"

// Sizes of this machine, given when the library is built.
constexpr unsigned BUS_BYTES = BACO_BUS_BYTES, DMA_MAX_BYTES = BACO_DMA_MAX_BYTES, MEM_ID_BITS = BACO_MEM_ID_BITS, RS_ID_BITS = BACO_RS_ID_BITS;

// What a simulation task such as $fatal asks for comes here instead of ending the process.
void vl_fatal(const char *file, int line, const char *, const char *message) {
    throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " + message);
}
void vl_stop(const char *file, int line, const char *scope) { vl_fatal(file, line, scope, "an assertion of the design failed."); }
void vl_finish(const char *file, int line, const char *scope) { vl_fatal(file, line, scope, "the design asked to end the simulation."); }

namespace {

// Ports wider than 64 bits are arrays of words; either kind is its bytes, the lowest first.
template <typename Port> const uint8_t *bytes_of(const Port &port) { return reinterpret_cast<const uint8_t *>(&port); }
template <typename Port> uint8_t *bytes_of(Port &port) { return reinterpret_cast<uint8_t *>(&port); }

template <typename Port> uint64_t bits(const Port &port, unsigned low, unsigned width) {
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++) value |= uint64_t(bytes_of(port)[(low + i) / 8] >> (low + i) % 8 & 1) << i;
    return value;
}

template <typename Port> uint64_t word(const Port &port, unsigned byte) {
    uint64_t value;
    memcpy(&value, bytes_of(port) + byte, sizeof value);
    return value;
}

struct Command {
    uint32_t funct7;
    uint64_t rs1, rs2;
    uint64_t from;    // the first cycle in which it may be at the command port
    uint64_t *value;  // where its answer goes
};

}  // namespace

struct rtl {
    explicit rtl(const rtl_settings &settings)
        : settings(settings), top(new Vgemmini(&context)), memory(settings, BUS_BYTES, DMA_MAX_BYTES, 1u << MEM_ID_BITS, counts) {
        top->clk = 0;
        top->rst = 1;
        top->cmd_valid = 0;
        top->mem_a_ready = 0;
        top->mem_d_valid = 0;
        for (int i = 0; i < 8; i++) {
            top->clk = i & 1;
            top->eval();
        }
        top->rst = 0;
    }

    ~rtl() { top->final(); }

    // One rising edge.
    void step() {
        const uint64_t now = counts.cycle;
        const Memory::Beat *beat = memory.offer(now);
        bool command = !router.empty() && router.front().from <= now;
        top->clk = 0;
        top->mem_a_ready = memory.ready(now);
        top->mem_d_valid = beat != nullptr;
        if (beat) {
            top->mem_d_ack = beat->ack;
            top->mem_d_id = beat->id;
            if (!beat->ack) memcpy(bytes_of(top->mem_d_data), beat->data, BUS_BYTES);
        }
        top->cmd_valid = command;
        if (command) {
            top->cmd_funct = router.front().funct7;
            top->cmd_rs1 = router.front().rs1;
            top->cmd_rs2 = router.front().rs2;
        }
        top->eval();
        busy = top->busy;
        bool moved = false;
        if (top->mem_a_valid && top->mem_a_ready) {
            Request request{bool(top->mem_a_put), top->mem_a_addr, 1u << top->mem_a_size, top->mem_a_id};
            if (!memory.take(now, request, bytes_of(top->mem_a_data), bytes_of(top->mem_a_mask))) throw std::runtime_error(memory.fault);
            moved = true;
        }
        if (beat && top->mem_d_ready) {
            memory.taken();
            moved = true;
        }
        if (command && top->cmd_ready) {
            taken(now);
            moved = true;
        }
        if (top->resp_valid && answer) {
            *answer = top->resp_data;
            answer = nullptr;
            answered = true;
        }
        moved |= watch(now);
        top->clk = 1;
        top->eval();
        counts.cycle++;
        if (busy) {
            counts.busy_cycles++;
            counts.last_busy = counts.cycle;
        }
        // With nothing under way there is nothing to wait for; a command that is refused waits even where nothing is busy.
        if (moved || !(busy || command)) last_moved = now;
        quiet = idle() ? quiet + 1 : 0;
    }

    bool idle() const { return !busy && router.empty() && memory.idle(); }

    // Step to a cycle. Cycles in which nothing can happen are left out: nothing in the design changes in them.
    void step_to(uint64_t cycle) {
        while (counts.cycle < cycle) {
            if (quiet >= SETTLE) {
                counts.cycle = cycle;
                last_moved = cycle;
                return;
            }
            step();
        }
    }

    // Whether everything is done. `busy` is of the cycle stepped last, in which a command may have been taken that it does not know of.
    bool rests() const { return router.empty() && !busy && counts.cycle > counts.last_accepted + 1; }

    bool hangs() const { return counts.cycle - last_moved > settings.hang_cycles; }

    static constexpr unsigned SETTLE = 64;  // idle cycles after which the design's own registers are at rest

    const rtl_settings settings;
    rtl_counts counts{};
    VerilatedContext context;
    std::unique_ptr<Vgemmini> top;
    Memory memory;
    std::deque<Command> router;
    bool busy = false;
    bool answered = false;
    uint64_t *answer = nullptr;
    uint64_t last_moved = 0, quiet = 0;
    uint64_t *taken_at = nullptr;  // where the cycles of taken commands go
    uint64_t streamed = 0;         // commands of a stream that were given to the router
    rtl_event *events = nullptr;
    uint64_t capacity = 0;
    rtl_entry entries[ENTRIES]{};
    std::string fault;

  private:
    void note(uint32_t kind, uint32_t id, const rtl_entry &entry) {
        if (counts.events++ < capacity)
            events[counts.events - 1] = {counts.cycle, entry.rs1, entry.rs2, kind, id, entry.funct7, entry.origin};
    }

    void taken(uint64_t now) {
        const Command &c = router.front();
        if (counts.accepted == 0) counts.first_accepted = now;
        counts.last_accepted = now;
        if (taken_at) taken_at[counts.accepted - taken_from] = now;
        note(EVENT_SENT, uint32_t(counts.accepted), {c.rs1, c.rs2, 0, 0, 0, c.funct7, 0, 0});
        counts.accepted++;
        if (c.value) answer = c.value;
        router.pop_front();
    }

    // The reservation station's doings, and what stands still.
    bool watch(uint64_t now) {
        bool moved = false;
        if (top->trace_done_valid) {
            moved = true;
            done(top->trace_done_id);
        }
        if (top->trace_issue_valid) {
            moved = true;
            for (unsigned type = 0; type < 3; type++) {
                if (!(top->trace_issue_valid >> type & 1)) continue;
                uint32_t id = uint32_t(bits(top->trace_issue_id, type * RS_ID_BITS, RS_ID_BITS));
                entries[id].issued = now;
                entries[id].state = 2;
                note(EVENT_ISSUED, id, entries[id]);
                if (entries[id].funct7 == 0 && type != 1) done(id);  // config of loads and stores
            }
        }
        if (top->trace_alloc_valid) {
            moved = true;
            uint32_t head = uint32_t(bits(top->trace_alloc_cmd, 128, 9));
            rtl_entry &entry = entries[top->trace_alloc_id];
            entry = {word(top->trace_alloc_cmd, 8), word(top->trace_alloc_cmd, 0), now, 0, 1, head & 127, head >> 8 & 1 ? 1u : head >> 7 & 1 ? 2u : 0u, 0};
            note(EVENT_ALLOCATED, top->trace_alloc_id, entry);
        }
        uint64_t stalls = top->stall_ld | uint64_t(top->stall_ex) << 8 | uint64_t(top->stall_execute) << 16 | uint64_t(top->stall_st) << 24 |
                          uint64_t(top->stall_rs) << 32 | uint64_t(top->stall_loop) << 40;
        for (; stalls; stalls &= stalls - 1) counts.stalls[__builtin_ctzll(stalls)]++;
        return moved;
    }

    void done(uint32_t id) {
        if (entries[id].state == 0) return;
        note(EVENT_DONE, id, entries[id]);
        entries[id].state = 0;
    }

  public:
    uint64_t taken_from = 0;
};

namespace {

// Runs `body`, which steps, and turns what the design or the memory complains of into an answer.
template <typename Body> int guarded(rtl *r, Body body) {
    try {
        return body();
    } catch (const std::exception &error) {
        r->fault = error.what();
        return RTL_BROKEN;
    }
}

// Steps until `ready`, for `patience` cycles at most.
template <typename Ready> int step_until(rtl *r, uint64_t patience, Ready ready) {
    for (; !ready(); patience--) {
        if (!patience) return RTL_AGAIN;
        if (r->hangs()) return RTL_HANGS;
        r->step();
    }
    return RTL_DONE;
}

}  // namespace

extern "C" {

rtl *rtl_new(const rtl_settings *settings) { return new rtl(*settings); }

void rtl_free(rtl *r) { delete r; }

void rtl_record(rtl *r, rtl_event *events, uint64_t capacity) {
    r->events = events;
    r->capacity = capacity;
}

int rtl_command(rtl *r, uint64_t *now, uint64_t patience, uint32_t funct7, uint64_t rs1, uint64_t rs2, uint64_t *value) {
    return guarded(r, [&] {
        if (!r->answer && !r->answered) {
            r->step_to(*now);
            int state = step_until(r, patience, [&] { return r->router.size() < r->settings.router_entries; });
            if (state) return state;
            *now = std::max(*now, r->counts.cycle);
            r->counts.sent++;
            r->router.push_back({funct7, rs1, rs2, *now + 1, value});
            if (!value) return int(RTL_DONE);
        }
        int state = step_until(r, patience, [&] { return r->answered; });
        if (state) return state;
        r->answered = false;
        *now = r->counts.cycle;
        return int(RTL_DONE);
    });
}

int rtl_fence(rtl *r, uint64_t *now, uint64_t patience) {
    return guarded(r, [&] {
        r->step_to(*now);
        int state = step_until(r, patience, [&] { return r->rests(); });
        if (state) return state;
        *now = std::max(*now, r->counts.last_busy);
        return int(RTL_DONE);
    });
}

int rtl_stream(rtl *r, const uint32_t *funct7, const uint64_t *rs1, const uint64_t *rs2, uint64_t count, uint32_t interval, uint64_t *taken,
               uint64_t patience) {
    return guarded(r, [&] {
        if (r->streamed == 0) {
            r->taken_at = taken;
            r->taken_from = r->counts.accepted;
        }
        for (;;) {
            int state = step_until(r, patience, [&] { return r->router.empty(); });
            if (state) return state;
            if (r->streamed == count) break;
            uint64_t i = r->streamed++;
            uint64_t from = i ? std::max(r->counts.cycle, r->counts.last_accepted + interval) : r->counts.cycle;
            r->router.push_back({funct7[i], rs1[i], rs2[i], from, nullptr});
        }
        int state = step_until(r, patience, [&] { return r->rests(); });
        if (state) return state;
        r->streamed = 0;
        r->taken_at = nullptr;
        return int(RTL_DONE);
    });
}

const rtl_counts *rtl_look(rtl *r) { return &r->counts; }

const rtl_entry *rtl_entries(rtl *r) { return r->entries; }

const char *rtl_fault(rtl *r) { return r->fault.c_str(); }
}
