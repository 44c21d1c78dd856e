/* What compiled kernels may call: block copies, and the float32 functions that RISC-V has no instruction for.
 *
 * Functions are computed in double precision and rounded once, so that they are right in all but the last fraction of a unit in the
 * last place. sinf and cosf keep this up to about 2^20. Nothing here calls anything else. */

typedef unsigned char byte;
typedef unsigned long size;
typedef union {
    double value;
    unsigned long bits;
} number;

void *memcpy(void *to, const void *from, size n) {
    for (size i = 0; i < n; i++) ((byte *)to)[i] = ((const byte *)from)[i];
    return to;
}

void *memmove(void *to, const void *from, size n) {
    if ((byte *)to <= (const byte *)from) return memcpy(to, from, n);
    while (n--) ((byte *)to)[n] = ((const byte *)from)[n];
    return to;
}

void *memset(void *to, int value, size n) {
    for (size i = 0; i < n; i++) ((byte *)to)[i] = (byte)value;
    return to;
}

static const double LN2 = 0x1.62e42fefa39efp-1, LOG2E = 0x1.71547652b82fep+0;

/* The nearest whole number; the argument is small. */
static long nearest(double x) { return (long)(x < 0 ? x - 0.5 : x + 0.5); }

/* e^r * 2^n for |r| <= ln(2)/2 and n from -200 to 200: a Taylor sum whose rest is below 1e-11, then the exponent's bits. */
static float exp_scaled(double r, long n) {
    double sum = 1.0;
    for (int k = 10; k >= 1; k--) sum = 1.0 + sum * r / k;
    number power = {.bits = (unsigned long)(1023 + n) << 52};
    return (float)(sum * power.value);
}

float expf(float x) {
    if (x != x) return x;
    if (x > 89.0f) return __builtin_inff();
    if (x < -104.0f) return 0.0f;
    long n = nearest((double)x * LOG2E);
    return exp_scaled((double)x - n * LN2, n);
}

float exp2f(float x) {
    if (x != x) return x;
    if (x > 128.0f) return __builtin_inff();
    if (x < -151.0f) return 0.0f;
    long n = nearest(x);
    return exp_scaled(((double)x - n) * LN2, n);
}

/* ln(x) for x > 0: with x = m * 2^e and s = (m-1)/(m+1), ln(m) = 2 (s + s^3/3 + s^5/5 + ...), |s| < 0.172. */
static double natural_log(float x) {
    number m = {.value = x};
    long e = (long)(m.bits >> 52) - 1023;
    m.bits = (m.bits & 0xfffffffffffffUL) | 0x3ff0000000000000UL;
    if (m.value > 0x1.6a09e667f3bcdp+0) {
        m.value *= 0.5;
        e++;
    }
    double s = (m.value - 1.0) / (m.value + 1.0), square = s * s, sum = 0.0;
    for (int k = 17; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
    return e * LN2 + 2.0 * s * sum;
}

static float log_in_base(float x, double factor) {
    if (x != x || x == __builtin_inff()) return x;
    if (x == 0.0f) return -__builtin_inff();
    if (x < 0.0f) return __builtin_nanf("");
    return (float)(natural_log(x) * factor);
}

float logf(float x) { return log_in_base(x, 1.0); }
float log2f(float x) { return log_in_base(x, LOG2E); }

/* sin(x + quarter turns) by reduction to |r| <= pi/4 and Taylor sums whose rests are below 1e-12. */
static float sine(float x, long turns) {
    if (!(x - x == 0.0f)) return __builtin_nanf("");
    long n = nearest((double)x * 0x1.45f306dc9c883p-1);
    double r = ((double)x - n * 0x1.921fb54400000p+0) - n * 0x1.0b4611a626331p-34, square = r * r, sum = 1.0;
    n += turns;
    for (int k = n & 1 ? 14 : 15; k >= 2; k -= 2) sum = 1.0 - sum * square / (k * (k - 1));
    if (!(n & 1)) sum *= r;
    return (float)(n & 2 ? -sum : sum);
}

float sinf(float x) { return sine(x, 0); }
float cosf(float x) { return sine(x, 1); }
