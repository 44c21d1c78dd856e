/* Normalised stores (GEMMINI_ISA.md 7.4 and 7.6): statistics of rows on their way out, and the functions made from them.
 *
 * All of it as Spike computes it, in int32 that wraps and with conversions that give the smallest integer where the value does not fit.
 * Hardware rounds elsewhere (section 9.6 and 7.6), so these results are not portable to the bit. */
#include "internal.h"

enum { SUM = 1, MEAN, VARIANCE, INVERSE_STDDEV, MAXIMUM, SUM_EXP, INVERSE_SUM_EXP };

static int32_t truncate_to_int32(double x) { return x > -2147483649.0 && x < 2147483648.0 ? (int32_t)x : INT32_MIN; }

bool config_norm(struct gemmini *m, const struct command *c) {
    uint32_t slot = CONFIG_NORM_STATS_SLOT(c), activation = m->store.activation;
    STRICT(false, RULE_NORMALISATION, FAULT_UNSUPPORTED_INSTRUCTION,
           "the hardware is built without normalisations, and takes config_norm for something else.");
    CHECK(slot < NORM_SLOTS, FAULT_MALFORMED_INSTRUCTION, "stats_slot is %u; there are slots 0 to %d.", slot, NORM_SLOTS - 1);
    if (!CONFIG_NORM_SET_STATS_SLOT_ONLY(c)) {
        bool softmax = CONFIG_NORM_ACTIVATION_MSB(c);
        CHECK(!softmax || activation == ACTIVATION_NONE || activation == ACTIVATION_SOFTMAX, FAULT_MALFORMED_INSTRUCTION,
              "activation_msb is set while the store activation is %u; SOFTMAX is the bit with activation 0.", activation);
        if (softmax) m->store.activation = ACTIVATION_SOFTMAX;
        m->norm.qb = (int32_t)CONFIG_NORM_QB(c);
        m->norm.qc = (int32_t)CONFIG_NORM_QC(c);
        if (CONFIG_NORM_CONSTANT_ID(c))
            m->norm.qln2_inverse = (int32_t)CONFIG_NORM_CONSTANT(c);
        else
            m->norm.qln2 = (int32_t)CONFIG_NORM_CONSTANT(c);
    }
    m->norm.slot = slot;
    return true;
}

/* Shift counts beyond 31 use their low 5 bits, as the machines that Spike runs on do. */
static int32_t exponential(const struct norm *n, int32_t q) {
    int32_t z = -q * n->qln2_inverse >> 16, p = q + z * n->qln2;
    return ((p + n->qb) * (p + n->qb) + n->qc) >> (z & 31);
}

static int32_t gelu(const struct norm *n, int32_t q) {
    int32_t size = q < 0 ? -q : q, clipped = size > -n->qb ? -n->qb : size;
    int32_t polynomial = (clipped + n->qb) * (clipped + n->qb) + n->qc;
    return q * ((q < 0 ? -polynomial : polynomial) + n->qc);
}

int32_t activated_value(const struct gemmini *m, int32_t value) {
    const struct statistics *s = &m->norm.slots[m->norm.slot];
    switch (m->store.activation) {
    case ACTIVATION_LAYERNORM: return truncate_to_int32((float)(value - s->mean) * s->inverse_stddev);
    case ACTIVATION_IGELU: return gelu(&m->norm, value);
    case ACTIVATION_SOFTMAX: return scale_to_int8(exponential(&m->norm, value - s->max), s->inverse_sum_exp);
    default: return value;
    }
}

static void normalise_block(struct gemmini *m, const int32_t *x, uint32_t count, uint32_t command) {
    struct statistics *s = &m->norm.slots[m->norm.slot];
    if (!s->running) {
        s->sum = s->count = 0;
        s->running_max = INT32_MIN;
    }
    s->running = command != MEAN && command != INVERSE_STDDEV;
    if (command == SUM_EXP || command == INVERSE_SUM_EXP) s->max = s->running_max;
    for (uint32_t i = 0; i < count; i++) {
        if (command == SUM || command == MEAN)
            s->sum += x[i];
        else if (command == VARIANCE || command == INVERSE_STDDEV)
            s->sum += (x[i] - s->mean) * (x[i] - s->mean);
        else if (command == MAXIMUM)
            s->running_max = x[i] > s->running_max ? x[i] : s->running_max;
        else if (command == SUM_EXP || command == INVERSE_SUM_EXP)
            s->sum += exponential(&m->norm, x[i] - s->max);
    }
    if (command >= SUM && command <= INVERSE_STDDEV) s->count += (int32_t)count;
    if (command == MEAN) {
        s->mean = s->sum / s->count;
    } else if (command == INVERSE_STDDEV) {
        int32_t variance = s->sum / s->count, deviation = truncate_to_int32(__builtin_elementwise_sqrt((double)variance));
        s->inverse_stddev = 1.0f / (float)(variance == 0 ? 1 : deviation);
    } else if (command == INVERSE_SUM_EXP) {
        s->running_max = INT32_MIN;
        s->inverse_sum_exp = 127.0f / (float)s->sum;
    }
}

void normalise_row(struct gemmini *m, const int32_t *first_block, uint32_t columns, uint32_t command) {
    uint32_t dim = m->setup.dim, in_between = command == MEAN             ? SUM
                                              : command == INVERSE_STDDEV ? VARIANCE
                                              : command == INVERSE_SUM_EXP ? SUM_EXP
                                                                           : command;
    for (uint32_t column = 0; column < columns; column += dim)
        normalise_block(m, first_block + (size_t)column * dim, least(dim, columns - column), column + dim < columns ? in_between : command);
}
