#include "memory.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

Memory::Memory(const rtl_settings &settings, unsigned beat_bytes, unsigned largest, unsigned ids, rtl_counts &counts)
    : settings(settings), beat_bytes(beat_bytes), largest(largest), counts(counts), timing(make_timing(settings)), data(size_t(ids) * largest),
      in_flight(ids) {}

Memory::~Memory() { delete timing; }

bool Memory::complain(const Request &request, const char *what) {
    char text[200];
    snprintf(text, sizeof text, "the accelerator's %s of %u bytes at 0x%llx with id %u %s.", request.put ? "Put" : "Get", request.bytes,
             (unsigned long long)request.address, request.id, what);
    fault = text;
    return false;
}

void Memory::load(uint64_t address, uint32_t bytes, uint8_t *to) const {
    // A request is aligned down to its size, and loops read whole blocks of B, so what lies before or behind memory may be asked for.
    uint64_t at = address - settings.base;
    if (at < settings.size && settings.size - at >= bytes) {
        memcpy(to, settings.memory + at, bytes);
        return;
    }
    for (uint32_t i = 0; i < bytes; i++) to[i] = at + i < settings.size ? settings.memory[at + i] : 0;
}

void Memory::store(uint64_t address, const uint8_t *from, const uint8_t *mask) {
    uint64_t at = address - settings.base;
    for (unsigned i = 0; i < beat_bytes; i++) {
        if (!(mask[i / 8] >> i % 8 & 1)) continue;
        counts.put_bytes++;
        if (at + i < settings.size) settings.memory[at + i] = from[i];
    }
}

bool Memory::take(uint64_t cycle, const Request &request, const uint8_t *bytes, const uint8_t *mask) {
    if (put_left) {
        if (!request.put || request.id != put.id || request.address != put.address || request.bytes != put.bytes)
            return complain(request, "comes between the beats of another request");
    } else {
        if (request.id >= in_flight.size() || in_flight[request.id]) return complain(request, "has the id of a request that is under way");
        if (request.bytes > largest || request.address % request.bytes) return complain(request, "is no aligned request of a legal size");
        if (request.put && request.address - settings.base >= settings.size) return complain(request, "is outside the program's memory");
        in_flight[request.id] = true;
    }
    if (!request.put) {
        load(request.address, request.bytes, &data[size_t(request.id) * largest]);
        unsigned beats = request.bytes > beat_bytes ? request.bytes / beat_bytes : 1;
        counts.gets++;
        counts.get_beats += beats;
        answers.push({timing->answer(request, cycle, cycle, counts), number++, false, request.id, beats});
        return true;
    }
    if (!put_left) {
        put = request;
        put_left = request.bytes > beat_bytes ? request.bytes / beat_bytes : 1;
        put_first = cycle;
        put_at = request.address;
        counts.puts++;
    }
    counts.put_beats++;
    store(put_at, bytes, mask);
    put_at += beat_bytes;
    if (--put_left == 0) acks.push({timing->answer(put, put_first, cycle, counts), number++, true, put.id, 1});
    return true;
}

Memory::Answers *Memory::next(uint64_t cycle) {
    if (!answers.empty() && answers.top().due <= cycle) return &answers;
    return !acks.empty() && acks.top().due <= cycle ? &acks : nullptr;
}

const Memory::Beat *Memory::offer(uint64_t cycle) {
    if (left == 0) {
        Answers *due = next(cycle);
        if (!due) return nullptr;
        current = due->top();
        due->pop();
        left = current.beats;
        beat = {current.ack, current.id, &data[size_t(current.id) * largest]};
    }
    return &beat;
}

void Memory::taken() {
    beat.data += beat_bytes;
    if (--left == 0) in_flight[current.id] = false;
}

namespace {

// Every access takes the same time, and one beat a cycle comes back.
class Flat : public Timing {
  public:
    explicit Flat(const rtl_settings &s) : get(s.get_latency), put(s.put_latency) {}
    bool accepts(uint64_t) override { return true; }
    uint64_t answer(const Request &request, uint64_t, uint64_t cycle, rtl_counts &) override { return cycle + (request.put ? put : get); }

  private:
    const uint64_t get, put;
};

// A set-associative cache that writes back, before one DRAM channel. Lines are fetched one after the other, `line_cycles` each; as many
// misses as there are miss registers are under way, and with none free the A channel stands still. A Put of a whole line fetches nothing.
class Cached : public Timing {
  public:
    explicit Cached(const rtl_settings &s)
        : s(s), sets(s.cache_bytes / s.line_bytes / s.cache_ways), lines(size_t(sets) * s.cache_ways), free_at(s.misses) {}

    bool accepts(uint64_t cycle) override { return *next_free() <= cycle; }

    uint64_t answer(const Request &request, uint64_t first, uint64_t, rtl_counts &counts) override {
        uint64_t due = 0, end = request.address + request.bytes;
        for (uint64_t at = request.address / s.line_bytes * s.line_bytes; at < end; at += s.line_bytes) {
            bool whole = request.address <= at && at + s.line_bytes <= end;
            uint64_t line_due = one(at / s.line_bytes, request.put, whole, first, counts);
            if (line_due > due) due = line_due;
        }
        return due;
    }

  private:
    struct Line {
        uint64_t tag = ~0ull, ready = 0;
        bool dirty = false;
    };

    uint64_t one(uint64_t number, bool put, bool whole, uint64_t cycle, rtl_counts &counts) {
        Line *set = &lines[number % sets * s.cache_ways], *line = nullptr;
        for (unsigned i = 0; i < s.cache_ways && !line; i++)
            if (set[i].tag == number) line = &set[i];
        if (line) {
            counts.hits++;
            line->dirty |= put;
            return std::max(cycle + s.hit_latency, line->ready);
        }
        counts.misses++;
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        line = &set[(random >> 33) % s.cache_ways];
        if (line->tag != ~0ull && line->dirty) counts.write_backs++;
        *line = {number, 0, put};
        if (put && whole) return line->ready = cycle + s.line_put_latency;
        uint64_t start = std::max(cycle, channel);
        channel = start + s.line_cycles;
        line->ready = start + (put ? s.put_miss_latency : s.miss_latency);
        *next_free() = line->ready;
        return line->ready;
    }

    uint64_t *next_free() { return &*std::min_element(free_at.begin(), free_at.end()); }

    const rtl_settings s;
    const uint64_t sets;
    std::vector<Line> lines;
    std::vector<uint64_t> free_at;  // when each miss register is free
    uint64_t channel = 0;           // when the DRAM channel is
    uint64_t random = 1;
};

}  // namespace

Timing *make_timing(const rtl_settings &settings) {
    if (settings.model == CACHED) return new Cached(settings);
    return new Flat(settings);
}
