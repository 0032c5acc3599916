/*
 * What plain requests are answered from: flat tables that a nursery packs (`redirector/answer/packed.py`, which says what
 * each column holds), checked once, then read by all its workers and written by nobody. So no page of them is ever copied.
 */

#ifndef REDIRECTOR_TABLES_H
#define REDIRECTOR_TABLES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>

#include "../../../answer/draws.h"

#define NOBODY UINT16_MAX
#define BY_KEYS 0x80000000u /* in a span's heads: the rest of it says where its keys are */
#define PAD 64              /* so many bytes behind the texts mean nothing: copying reads ahead */
#define MOST_HOSTS 32768
#define TIERS 6 /* and the last but one is that of hosts anywhere */
#define GLOBAL_TIER 4

/* One target, and what of its answer depends on neither client nor time. */
typedef struct {
    uint32_t target, top, seam, top_size;
    uint16_t target_size, seam_size, sheet;
    uint8_t is_metalink, has_words;
} Frame;

/* The list of one audience and one sheet; behind it stand its spans, hosts, hosts abroad, and its comment. */
typedef struct {
    uint32_t audience;
    uint16_t sheet;
    uint8_t family, tier;
    uint16_t hosts, spans, abroad, comment_size;
    uint16_t length, origin;
    uint32_t text_bytes, urls; /* of all entries, counted when it is checked */
    uint32_t has_reserve;
} Lineup;

/*
 * In the family of a *front*: the hosts on the networks of an audience, which stand before all others. Its sheet says which
 * of these hosts show something, so one serves many sheets; and how much they show is not known beforehand.
 */
#define FRONT 0x80
#define MOST_OWN 16

typedef struct {
    uint16_t start, stop;
    uint32_t heads;
    uint16_t spare, unused; /* how many of its hosts may leave, whoever they are, and leave the heads as they are */
} Span;

static inline const Span *
spans_of(const Lineup *lineup)
{
    return (const Span *)(lineup + 1);
}

static inline const uint16_t *
hosts_of(const Lineup *lineup)
{
    return (const uint16_t *)(spans_of(lineup) + lineup->spans);
}

static inline const uint16_t *
abroad_of(const Lineup *lineup)
{
    return hosts_of(lineup) + lineup->hosts;
}

static inline const char *
comment_of(const Lineup *lineup)
{
    return (const char *)(abroad_of(lineup) + lineup->abroad);
}

/* A step function, as in `ranges.py`: sorted starts, and leading bits that pick the part of them to bisect. */
typedef struct {
    const void *starts;
    const uint32_t *values, *slots;
    size_t count;
} Steps;

enum {
    TEXTS, FRAMES, ENTRIES, LINEUPS, HEADS, KEYS, PLACES, OWN_CUTS, OWN, REGULAR,
    V4_STARTS, V4_VALUES, V4_SLOTS, V6_STARTS, V6_VALUES, V6_SLOTS,
    DEEP_UPPERS, DEEP_CUTS, DEEP_STARTS, DEEP_VALUES,
    COLUMNS
};

typedef struct {
    uint32_t mark, place;
} Slot;

typedef struct {
    PyObject_HEAD
    Py_buffer columns[COLUMNS];
    size_t sizes[COLUMNS]; /* in items */
    const char *texts;
    const Frame *frames;
    const uint32_t *entries;
    const char *lineups;
    const uint16_t *heads;
    const Key *keys;
    const uint32_t *places, *own_cuts;
    const uint16_t *own;
    const uint8_t *regular;
    size_t hosts, sheets, audiences;
    Steps v4, v6;
    const uint64_t *deep_uppers, *deep_starts;
    const uint32_t *deep_cuts, *deep_values;
    uint32_t *targets; /* open addressing: a frame's number and 1; 0: free */
    Slot *lists;       /* likewise: where a line-up begins, in units of 8 bytes, and 1 */
    size_t target_mask, list_mask, lineup_count;
} Tables;

/* What one worker packs besides, for whom it meets: bounded, and its own. */
typedef struct {
    char *lineups;
    uint16_t *heads;
    Key *keys;
    size_t filled, head_tables, key_count, lineup_count; /* filled: in bytes */
    size_t limit_bytes; /* of all three together */
    Slot *lists;        /* `SHELF_SLOTS`; NULL, as the others, before there is something to find */
} Shelf;

#define SHELF_SLOTS 131072
#define MOST_SHELVED (SHELF_SLOTS / 2)

extern PyTypeObject TablesType;

/* 64 bits of some text. Who sends what has no say in what the tables hold, so they need no secret. */
uint64_t hash_text(uint64_t seed, const char *text, size_t size);

/* NULL: it is not known beforehand. */
const Frame *find_frame(const Tables *tables, const char *target, size_t size);

/* Of 4 or 16 bytes, IPv4-mapped ones unwrapped. */
uint32_t find_audience(const Tables *tables, const unsigned char *address, size_t size);

/* NULL: it was not packed. */
const Lineup *find_lineup(const Tables *tables, const Shelf *shelf, uint32_t audience, uint16_t sheet, uint8_t family);

/*
 * The line-up of an audience on hosts' own networks, put together in *room* of so many bytes, as `Lineup.behind` does in
 * `lineup.py`: valid until the next one. NULL: its parts were not packed, or it is out of the ordinary.
 */
const Lineup *put_together(const Tables *tables, const Shelf *shelf, uint32_t audience, uint16_t sheet, uint8_t family,
                           void *room, size_t size);

/* The hosts in a client's order, as `draw_plainly` in `draw.py` has them. 0: no table has a host that is there. */
int draw_order(const Tables *tables, const Shelf *shelf, const Lineup *lineup, uint64_t seed, uint16_t *order);

/*
 * Put a line-up there, with tables of heads and keys that it needs besides. 1: done; 0: it is full; -1: an error is set.
 * The first limit stays until `clear_shelf`.
 */
int shelve(const Tables *tables, Shelf *shelf, Py_buffer *lineup, Py_buffer *heads, Py_buffer *keys, size_t limit_bytes);

void clear_shelf(Shelf *shelf);

#endif
