/* What device_print and device_assert need: characters, integers and floats on the console, one by one through the host interface (HTIF),
 * and the end of the program. */

extern volatile unsigned long tohost, fromhost;

void baco_put(long character) {
    tohost = 0x0101000000000000UL | (unsigned char)character; /* device 1, command 1: write one character */
    while (fromhost == 0) {
    }
    fromhost = 0;
}

void baco_put_int(long value) {
    char digits[20];
    int n = 0;
    unsigned long rest = value < 0 ? -(unsigned long)value : (unsigned long)value;
    if (value < 0) baco_put('-');
    do {
        digits[n++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    while (n) baco_put(digits[--n]);
}

static void put_text(const char *text) {
    while (*text) baco_put(*text++);
}

/* Seven significant digits with an exponent, as C's %.6e. */
void baco_put_float(float value) {
    double x = value;
    int exponent = 0;
    if (x != x) {
        put_text("nan");
        return;
    }
    if (x < 0 || (x == 0 && 1 / x < 0)) {
        baco_put('-');
        x = -x;
    }
    if (x - x != 0) {
        put_text("inf");
        return;
    }
    for (; x >= 10.0; exponent++) x /= 10.0;
    for (; x > 0 && x < 1.0; exponent--) x *= 10.0;
    long digits = (long)(x * 1e6 + 0.5);
    if (digits >= 10000000) {
        digits /= 10;
        exponent++;
    }
    baco_put('0' + digits / 1000000);
    baco_put('.');
    for (long place = 100000; place; place /= 10) baco_put('0' + digits / place % 10);
    put_text(exponent < 0 ? "e-" : "e+");
    if (exponent < 0) exponent = -exponent;
    if (exponent < 10) baco_put('0');
    baco_put_int(exponent);
}

/* The end after a check that failed: exit code 134, as of a process that aborts. */
void baco_stop(void) {
    tohost = 134UL << 1 | 1;
    for (;;) {
    }
}
