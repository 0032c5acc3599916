/*
 * How hosts are drawn: what `_fast.c` does over lists of Python and the plain request (`server/worker/in_c/tables.c`) over
 * its tables. `draw.py` says the same in Python.
 */

#ifndef REDIRECTOR_DRAWS_H
#define REDIRECTOR_DRAWS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define SLOTS 1024 /* of a table of heads */
#define TRIES 20   /* at it, before it is given up */
#define MOST_DRAWN 64 /* places by keys */

/* What a key is made of, see `KEY` in `draws.py`. */
typedef struct {
    uint64_t name;
    double scale;
} Key;

/* The slot that the *n*th try looks into. */
static inline size_t
slot_of(uint64_t seed, size_t n)
{
    static const unsigned char shifts[TRIES / 2] = {0, 10, 20, 30, 40, 5, 15, 25, 35, 45};
    uint64_t round = n < TRIES / 2 ? seed : (seed * 0x9E3779B97F4A7C15ULL) >> 9;
    return (round >> shifts[n % (TRIES / 2)]) % SLOTS;
}

/*
 * Where the hosts with the smallest keys stand, the smallest first; returns how many they are. `records` are keys, one for
 * each of `count` hosts, behind a first one whose name says how many are drawn; they need not be aligned.
 */
static inline size_t
draw_by_keys(const char *records, size_t count, uint64_t seed, size_t at[MOST_DRAWN])
{
    Key key;
    memcpy(&key, records, sizeof(key));
    size_t kept = 0, drawn = key.name < MOST_DRAWN ? (size_t)key.name : MOST_DRAWN;
    drawn = drawn < 1 ? 1 : drawn < count ? drawn : count;
    double prices[MOST_DRAWN];
    for (size_t n = 0; n < count; n++) {
        memcpy(&key, records + (n + 1) * sizeof(key), sizeof(key));
        uint64_t mixed = key.name ^ seed;
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9ULL;
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EBULL;
        double chance = ((double)(mixed >> 11) + 0.5) * 0x1p-53;
        /* Never more than -log(chance): most hosts need no logarithm to be known to come too late. */
        if (kept == drawn && (1.0 - chance) * key.scale * 0.999999 >= prices[kept - 1]) {
            continue;
        }
        double price = -log(chance) * key.scale;
        if (kept == drawn && price >= prices[kept - 1]) {
            continue;
        }
        size_t place = kept < drawn ? kept++ : kept - 1;
        for (; place > 0 && prices[place - 1] > price; place--) {
            prices[place] = prices[place - 1];
            at[place] = at[place - 1];
        }
        prices[place] = price;
        at[place] = n;
    }
    return kept;
}

/* Where the *n*th of the drawn stands once those behind it were put before all others, the last of them first. */
static inline size_t
place_of(const size_t *at, size_t kept, size_t n)
{
    size_t before = 0;
    for (size_t later = n + 1; later < kept; later++) {
        before += at[later] > at[n];
    }
    return at[n] + before;
}

#endif
