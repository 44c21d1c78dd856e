// What the Verilator library of one machine offers to its caller: plain C structures and functions, mirrored in baco/sim/verilator.py.
//
// The caller owns guest memory and the arrays of events; the library owns the clock. A cycle is one rising edge: inputs are set before it,
// outputs are read just before it, and a transfer happens where valid and ready are both high.
#pragma once
#include <cstdint>

enum { FLAT = 0, CACHED = 1 };

struct rtl_settings {
    uint8_t *memory;  // guest addresses base to base + size - 1
    uint64_t base, size;
    uint32_t model;        // FLAT or CACHED
    uint32_t get_latency;  // flat: from a Get on A to its first beat on D
    uint32_t put_latency;  // flat: from the last beat of a Put to its acknowledge
    // cached (GEMMINI_UARCH section 10.2)
    uint32_t hit_latency, miss_latency, put_miss_latency, line_put_latency;
    uint32_t cache_bytes, cache_ways, line_bytes, misses, line_cycles;
    uint32_t router_entries;  // of the queue between the core and the command port
    uint64_t hang_cycles;     // cycles without any transfer after which an accelerator that is busy hangs
};

enum { EVENT_SENT, EVENT_ALLOCATED, EVENT_ISSUED, EVENT_DONE };

// A step in the life of a command: handed to the command port, entered in the reservation station, issued, completed.
struct rtl_event {
    uint64_t cycle;
    uint64_t rs1, rs2;
    uint32_t kind;
    uint32_t id;     // of its entry in the station; of a command sent, its number
    uint32_t funct7;
    uint32_t origin; // 0 the program, 1 loop_ws, 2 loop_conv_ws
};

enum { STALLS = 48, ENTRIES = 256 };

struct rtl_counts {
    uint64_t cycle;                 // the cycle that comes next
    uint64_t busy_cycles;           // cycles in which the accelerator was busy
    uint64_t sent, accepted;        // commands given to the router, and taken by the command port
    uint64_t first_accepted, last_accepted;
    uint64_t last_busy;             // the first cycle that was idle again
    uint64_t gets, get_beats, puts, put_beats, put_bytes;
    uint64_t hits, misses, write_backs;
    uint64_t stalls[STALLS];        // cycles in which each bit of the stall outputs was high, 8 bits an output
    uint64_t events;                // that happened, whether or not there was room for them
};

// A command in the reservation station.
struct rtl_entry {
    uint64_t rs1, rs2, allocated, issued;
    uint32_t state;  // 0 free, 1 waits, 2 issued
    uint32_t funct7, origin, padding;
};

enum { RTL_DONE = 0, RTL_AGAIN = 1, RTL_HANGS = 2, RTL_BROKEN = 3 };

extern "C" {
struct rtl *rtl_new(const rtl_settings *settings);
void rtl_free(rtl *r);
// Who takes events down, up to `capacity`.
void rtl_record(rtl *r, rtl_event *events, uint64_t capacity);
// Hand a command to the router not before cycle `*now`; the cycle after which it took it comes back in `*now`. `value` is where the answer
// to a counter command goes, null for other commands. RTL_AGAIN after `patience` cycles without success.
int rtl_command(rtl *r, uint64_t *now, uint64_t patience, uint32_t funct7, uint64_t rs1, uint64_t rs2, uint64_t *value);
// Step to cycle `*now` at least, and on until nothing is busy; the first idle cycle comes back.
int rtl_fence(rtl *r, uint64_t *now, uint64_t patience);
// Present `count` commands at the command port itself, each `interval` cycles after the one before was taken at the earliest, and run until
// nothing is busy; `taken` are the cycles in which they were taken. To be called again after RTL_AGAIN.
int rtl_stream(rtl *r, const uint32_t *funct7, const uint64_t *rs1, const uint64_t *rs2, uint64_t count, uint32_t interval, uint64_t *taken,
               uint64_t patience);
const rtl_counts *rtl_look(rtl *r);
const rtl_entry *rtl_entries(rtl *r);
const char *rtl_fault(rtl *r);
}
