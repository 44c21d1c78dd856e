// The memory behind the accelerator's port: one A channel (Gets, Puts) and one D channel (data, acknowledges). What is due on D goes in the
// order in which it became so, but data before acknowledges: those wait for a beat that no data needs.
#pragma once
#include <functional>
#include <queue>
#include <string>
#include <vector>

#include "harness.h"

struct Request {
    bool put;
    uint64_t address;
    uint32_t bytes, id;
};

// When a request is answered. A Put is asked about with its last beat, `first` being the cycle of its first one.
class Timing {
  public:
    virtual ~Timing() = default;
    // Whether the A channel takes anything in this cycle.
    virtual bool accepts(uint64_t cycle) = 0;
    virtual uint64_t answer(const Request &request, uint64_t first, uint64_t cycle, rtl_counts &counts) = 0;
};

class Memory {
  public:
    Memory(const rtl_settings &settings, unsigned beat_bytes, unsigned largest, unsigned ids, rtl_counts &counts);
    ~Memory();
    bool ready(uint64_t cycle) { return timing->accepts(cycle); }
    // A beat on A was taken in this cycle. False with `fault` set for what no memory takes.
    bool take(uint64_t cycle, const Request &request, const uint8_t *data, const uint8_t *mask);
    // The beat that stands on D in this cycle, null if there is none; it stands there until it is taken.
    struct Beat {
        bool ack;
        uint32_t id;
        const uint8_t *data;
    };
    const Beat *offer(uint64_t cycle);
    void taken();
    bool idle() const { return answers.empty() && acks.empty() && left == 0 && put_left == 0; }
    std::string fault;

  private:
    struct Answer {
        uint64_t due, number;
        bool ack;
        uint32_t id, beats;
        bool operator>(const Answer &other) const { return due != other.due ? due > other.due : number > other.number; }
    };
    bool complain(const Request &request, const char *what);
    void store(uint64_t address, const uint8_t *data, const uint8_t *mask);
    void load(uint64_t address, uint32_t bytes, uint8_t *to) const;

    const rtl_settings settings;
    const unsigned beat_bytes, largest;
    rtl_counts &counts;
    Timing *timing;
    using Answers = std::priority_queue<Answer, std::vector<Answer>, std::greater<Answer>>;
    Answers answers, acks;          // of Gets and of Puts
    Answers *next(uint64_t cycle);
    std::vector<uint8_t> data;      // of each id, the bytes of its Get
    std::vector<bool> in_flight;    // by id
    uint64_t number = 0;
    Answer current{};
    unsigned left = 0;              // beats of `current`
    Beat beat{};
    Request put{};                  // the Put whose beats come in
    unsigned put_left = 0;
    uint64_t put_first = 0, put_at = 0;
};

Timing *make_timing(const rtl_settings &settings);
