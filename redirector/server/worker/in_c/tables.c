/* The tables: checked when they are made, so that whoever looks something up need check nothing. */

#include "tables.h"

#include <string.h>

static const size_t item_bytes[COLUMNS] = {
    [TEXTS] = 1, [FRAMES] = sizeof(Frame), [ENTRIES] = 4, [LINEUPS] = 8, [HEADS] = 2, [KEYS] = sizeof(Key),
    [PLACES] = 4, [OWN_CUTS] = 4, [OWN] = 2, [REGULAR] = 1,
    [V4_STARTS] = 4, [V4_VALUES] = 4, [V4_SLOTS] = 4, [V6_STARTS] = 8, [V6_VALUES] = 4, [V6_SLOTS] = 4,
    [DEEP_UPPERS] = 8, [DEEP_CUTS] = 4, [DEEP_STARTS] = 8, [DEEP_VALUES] = 4,
};

#define V4_BITS 16
#define V6_BITS 18
#define DEEP UINT32_MAX

uint64_t
hash_text(uint64_t seed, const char *text, size_t size)
{
    uint64_t hash = seed ^ size * 0x9E3779B97F4A7C15ULL, word;
    for (; size >= 8; text += 8, size -= 8) {
        memcpy(&word, text, 8);
        hash = (hash ^ word) * 0xBF58476D1CE4E5B9ULL;
        hash ^= hash >> 32;
    }
    word = 0;
    if (size > 0) {
        memcpy(&word, text, size);
    }
    hash = (hash ^ word) * 0x94D049BB133111EBULL;
    return hash ^ hash >> 29;
}

static inline uint64_t
hash_list(uint32_t audience, uint16_t sheet, uint8_t family)
{
    uint64_t key = ((uint64_t)audience << 24 | (uint64_t)sheet << 8 | family) * 0x9E3779B97F4A7C15ULL;
    return (key ^ key >> 32) * 0xBF58476D1CE4E5B9ULL;
}

const Frame *
find_frame(const Tables *tables, const char *target, size_t size)
{
    for (size_t at = hash_text(0, target, size);; at++) {
        uint32_t number = tables->targets[at & tables->target_mask];
        if (number == 0) {
            return NULL;
        }
        const Frame *frame = &tables->frames[number - 1];
        if (frame->target_size == size && memcmp(tables->texts + frame->target, target, size) == 0) {
            return frame;
        }
    }
}

static const Lineup *
find_among(const Slot *slots, size_t mask, const char *lineups, uint32_t audience, uint16_t sheet, uint8_t family)
{
    uint64_t hash = hash_list(audience, sheet, family);
    for (size_t at = hash;; at++) {
        Slot slot = slots[at & mask];
        if (slot.place == 0) {
            return NULL;
        }
        if (slot.mark == hash >> 32) {
            const Lineup *lineup = (const Lineup *)(lineups + (size_t)(slot.place - 1) * 8);
            if (lineup->audience == audience && lineup->sheet == sheet && lineup->family == family) {
                return lineup;
            }
        }
    }
}

const Lineup *
find_lineup(const Tables *tables, const Shelf *shelf, uint32_t audience, uint16_t sheet, uint8_t family)
{
    const Lineup *found =
        find_among(tables->lists, tables->list_mask, tables->lineups, audience, sheet, family);
    if (found == NULL && shelf->lineup_count > 0) {
        found = find_among(shelf->lists, SHELF_SLOTS - 1, shelf->lineups, audience, sheet, family);
    }
    return found;
}

/* Enter the line-up that begins at *at*. */
static void
enter(Slot *slots, size_t mask, const char *lineups, size_t at)
{
    const Lineup *lineup = (const Lineup *)(lineups + at);
    uint64_t hash = hash_list(lineup->audience, lineup->sheet, lineup->family);
    size_t place = hash;
    while (slots[place & mask].place != 0) {
        place++;
    }
    slots[place & mask] = (Slot){(uint32_t)(hash >> 32), (uint32_t)(at / 8) + 1};
}

/* Where a table of heads, or of keys, begins: those of the shelf have the numbers behind those of all workers. */
static inline const uint16_t *
heads_at(const Tables *tables, const Shelf *shelf, size_t number)
{
    size_t shared = tables->sizes[HEADS] / SLOTS;
    return number < shared ? tables->heads + number * SLOTS : shelf->heads + (number - shared) * SLOTS;
}

static inline const Key *
keys_at(const Tables *tables, const Shelf *shelf, size_t number)
{
    size_t shared = tables->sizes[KEYS];
    return number < shared ? tables->keys + number : shelf->keys + (number - shared);
}

/* -- Addresses ------------------------------------------------------------------------------------------------------- */

/* The last of the sorted *starts* that is not above *number*; the first of them is 0. */
static inline size_t
last_32(const uint32_t *starts, size_t from, size_t to, uint32_t number)
{
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (starts[middle] <= number) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from - 1;
}

static inline size_t
last_64(const uint64_t *starts, size_t from, size_t to, uint64_t number)
{
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (starts[middle] <= number) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from - 1;
}

static inline uint64_t
big_endian(const unsigned char *bytes, size_t size)
{
    uint64_t number = 0;
    for (size_t n = 0; n < size; n++) {
        number = number << 8 | bytes[n];
    }
    return number;
}

uint32_t
find_audience(const Tables *tables, const unsigned char *address, size_t size)
{
    if (size == 4) {
        uint32_t number = (uint32_t)big_endian(address, 4);
        const uint32_t *slot = tables->v4.slots + (number >> (32 - V4_BITS));
        return tables->v4.values[last_32(tables->v4.starts, slot[0], slot[1], number)];
    }
    uint64_t upper = big_endian(address, 8);
    const uint32_t *slot = tables->v6.slots + (upper >> (64 - V6_BITS));
    uint32_t value = tables->v6.values[last_64(tables->v6.starts, slot[0], slot[1], upper)];
    if (value != DEEP) {
        return value;
    }
    size_t row = last_64(tables->deep_uppers, 0, tables->sizes[DEEP_UPPERS], upper);
    const uint32_t *cuts = tables->deep_cuts + row;
    return tables->deep_values[last_64(tables->deep_starts, cuts[0], cuts[1], big_endian(address + 8, 8))];
}

/* -- Orders ---------------------------------------------------------------------------------------------------------- */

static inline void
move(uint16_t *order, size_t from, size_t to)
{
    uint16_t host = order[from];
    memmove(order + to + 1, order + to, (from - to) * sizeof(*order));
    order[to] = host;
}

/* Where the host of a slot stands; -1: nowhere. */
static inline int
find_slot(const uint16_t *hosts, const uint32_t *entries, const Span *span, const uint16_t *heads, size_t slot)
{
    uint16_t head = heads[slot];
    if (entries[head] != 0) {
        for (int at = span->start; at < span->stop; at++) {
            if (hosts[at] == head) {
                return at;
            }
        }
    }
    return -1;
}

static int
find_head(const uint16_t *hosts, const uint32_t *entries, const Span *span, const uint16_t *heads, uint64_t seed)
{
    for (size_t n = 0; n < TRIES; n++) {
        int at = find_slot(hosts, entries, span, heads, slot_of(seed, n));
        if (at >= 0) {
            return at;
        }
    }
    return -1;
}

/* Move the hosts with the smallest keys to the span's start, in order. */
static void
move_by_keys(uint16_t *order, const Span *span, const Key *keys, uint64_t seed)
{
    size_t at[MOST_DRAWN];
    size_t kept = draw_by_keys((const char *)keys, (size_t)(span->stop - span->start), seed, at);
    for (size_t n = kept; n-- > 0;) {
        move(order, span->start + place_of(at, kept, n), span->start);
    }
}

int
draw_order(const Tables *tables, const Shelf *shelf, const Lineup *lineup, uint64_t seed, uint16_t *order)
{
    const uint16_t *hosts = hosts_of(lineup);
    const uint32_t *entries = tables->entries + lineup->sheet * tables->hosts;
    memcpy(order, hosts, lineup->hosts * sizeof(*order));
    for (const Span *span = spans_of(lineup), *end = span + lineup->spans; span < end; span++) {
        if (span->heads & BY_KEYS) {
            move_by_keys(order, span, keys_at(tables, shelf, span->heads & ~BY_KEYS), seed);
            continue;
        }
        const uint16_t *heads = heads_at(tables, shelf, span->heads);
        int at = find_head(hosts, entries, span, heads, seed);
        if (at < 0) {
            return 0;
        }
        move(order, (size_t)at, span->start);
        if (span->start > 0) {
            continue;
        }
        /* Clients that fetch from several hosts at once use the second one as much. */
        int second = find_slot(hosts, entries, span, heads, (seed >> 20) % SLOTS);
        if (second == at) {
            second = find_slot(hosts, entries, span, heads, (seed >> 30) % SLOTS);
        }
        if (second >= 0 && second != at) {
            move(order, (size_t)(second < at ? second + 1 : second), 1);
        }
    }
    return 1;
}

/* -- Hosts' own networks --------------------------------------------------------------------------------------------- */

/* How much a host shows; 0: nothing. */
static size_t
measure(const Tables *tables, const Lineup *lineup, uint16_t host, size_t *urls)
{
    size_t at = host < tables->hosts ? tables->entries[lineup->sheet * tables->hosts + host] : 0, bytes = 0;
    if (at == 0) {
        return 0;
    }
    uint16_t count, size;
    memcpy(&count, tables->texts + at, sizeof(count));
    for (size_t each = 0; each < 2 * (size_t)count; each++) {
        memcpy(&size, tables->texts + at + 2 + 2 * each, sizeof(size));
        bytes += size;
    }
    *urls += count;
    return bytes + 1;
}

/* Which of the hosts on the networks of an audience show something. */
static uint16_t
shown_own(const Tables *tables, uint32_t audience, uint16_t sheet)
{
    const uint32_t *entries = tables->entries + sheet * tables->hosts;
    const uint16_t *own = tables->own + tables->own_cuts[audience];
    size_t count = tables->own_cuts[audience + 1] - tables->own_cuts[audience];
    unsigned int shown = 0;
    for (size_t n = 0; n < count; n++) {
        shown |= (unsigned int)(entries[own[n]] != 0) << n;
    }
    return (uint16_t)shown;
}

/* Where hosts of *front* stand in *behind*, in no order; returns how many do. */
static size_t
find_again(const Lineup *front, const Lineup *behind, uint16_t again[MOST_OWN])
{
    const uint16_t *hosts = hosts_of(behind);
    size_t found = 0;
    for (size_t n = 0; n < front->hosts; n++) {
        for (uint16_t at = 0; at < behind->hosts; at++) {
            if (hosts[at] == hosts_of(front)[n]) {
                again[found++] = at;
                break;
            }
        }
    }
    return found;
}

/* The spans of *behind* when so many hosts come before them, and some leave; returns the end of them, NULL: one has to
   have other heads. */
static Span *
close_up(Span *to, const Lineup *behind, const uint16_t *again, size_t count, uint16_t before)
{
    for (const Span *span = spans_of(behind), *end = span + behind->spans; span < end; span++) {
        uint16_t earlier = 0, inside = 0;
        for (size_t n = 0; n < count; n++) {
            earlier += again[n] < span->start;
            inside += again[n] >= span->start && again[n] < span->stop;
        }
        int left = span->stop - span->start - inside;
        if (inside > 0 && left < 2) {
            continue;
        }
        if (inside > span->spare) {
            return NULL;
        }
        *to = *span;
        to->start = (uint16_t)(span->start + before - earlier);
        to->stop = (uint16_t)(to->start + left);
        to++;
    }
    return to;
}

static void *
copy_to(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
    return (char *)to + size;
}

static const Lineup *
join_lineups(const Tables *tables, const Lineup *front, const Lineup *behind, void *room)
{
    Lineup *made = room;
    *made = *behind;
    uint16_t again[MOST_OWN];
    size_t count = find_again(front, behind, again), urls = 0;
    made->hosts = (uint16_t)(front->hosts + behind->hosts - count);
    Span *spans = copy_to(made + 1, spans_of(front), front->spans * sizeof(Span));
    Span *end = close_up(spans, behind, again, count, front->hosts);
    if (end == NULL) {
        return NULL;
    }
    made->spans = (uint16_t)(end - (Span *)(made + 1));
    uint16_t *hosts = copy_to(end, hosts_of(front), front->hosts * sizeof(uint16_t));
    for (uint16_t at = 0; at < behind->hosts; at++) {
        int is_again = 0;
        for (size_t n = 0; n < count; n++) {
            is_again |= again[n] == at;
        }
        if (!is_again) {
            *hosts++ = hosts_of(behind)[at];
        }
    }
    for (size_t n = 0; n < front->hosts; n++) { /* those that are there twice are counted twice: it is a bound */
        made->text_bytes += (uint32_t)measure(tables, behind, hosts_of(front)[n], &urls);
    }
    made->urls += (uint32_t)urls;
    if (front->hosts > 0) {
        made->tier = front->tier;
        made->abroad = 0;
    }
    char *comment = copy_to(hosts, abroad_of(behind), made->abroad * sizeof(uint16_t));
    comment = copy_to(comment, comment_of(front), front->comment_size);
    memcpy(comment, comment_of(behind), behind->comment_size);
    made->comment_size = (uint16_t)(front->comment_size + behind->comment_size);
    return made;
}

const Lineup *
put_together(const Tables *tables, const Shelf *shelf, uint32_t audience, uint16_t sheet, uint8_t family, void *room,
             size_t size)
{
    uint32_t place = tables->places[audience];
    if (place == audience || !tables->regular[sheet] || shelf->lineup_count == 0) {
        return NULL;
    }
    const Lineup *front = find_among(shelf->lists, SHELF_SLOTS - 1, shelf->lineups, audience,
                                     shown_own(tables, audience, sheet), family | FRONT);
    const Lineup *behind = front == NULL ? NULL : find_lineup(tables, shelf, place, sheet, family);
    if (behind == NULL || (front->hosts > 0 && behind->has_reserve)) {
        return NULL;
    }
    size_t needed = sizeof(Lineup) + (front->spans + (size_t)behind->spans) * sizeof(Span)
                    + 2 * (front->hosts + (size_t)behind->hosts + behind->abroad) + front->comment_size
                    + (size_t)behind->comment_size;
    if (needed > size || front->comment_size + (size_t)behind->comment_size > UINT16_MAX) {
        return NULL;
    }
    return join_lineups(tables, front, behind, room);
}

/* -- Making and checking --------------------------------------------------------------------------------------------- */

static int
refuse(const char *what)
{
    PyErr_Format(PyExc_ValueError, "not what was packed: %s", what);
    return -1;
}

/* Whether a text lies within the texts. */
static inline int
is_text(const Tables *tables, size_t from, size_t size)
{
    return from <= tables->sizes[TEXTS] - PAD && size <= tables->sizes[TEXTS] - PAD - from;
}

static int
check_frames(Tables *tables)
{
    for (size_t n = 0; n < tables->sizes[FRAMES]; n++) {
        const Frame *frame = &tables->frames[n];
        if (!is_text(tables, frame->target, frame->target_size) || !is_text(tables, frame->top, frame->top_size)
            || !is_text(tables, frame->seam, frame->seam_size) || frame->sheet >= tables->sheets
            || frame->is_metalink > 1) {
            return refuse("a frame");
        }
        size_t at = hash_text(0, tables->texts + frame->target, frame->target_size);
        while (tables->targets[at & tables->target_mask] != 0) {
            at++;
        }
        tables->targets[at & tables->target_mask] = (uint32_t)n + 1;
    }
    return 0;
}

/* What a host shows: how many URLs, then of each how long it is before and behind its preference, then their texts. */
static int
check_entries(const Tables *tables)
{
    for (size_t n = 0; n < tables->sizes[ENTRIES]; n++) {
        size_t at = tables->entries[n];
        uint16_t urls, size;
        if (at == 0) {
            continue;
        }
        if (!is_text(tables, at, sizeof(urls))) {
            return refuse("an entry");
        }
        memcpy(&urls, tables->texts + at, sizeof(urls));
        size_t sizes = at + sizeof(urls), text = sizes + 4 * (size_t)urls;
        if (urls == 0 || !is_text(tables, sizes, 4 * (size_t)urls)) {
            return refuse("the sizes of an entry");
        }
        for (size_t each = 0; each < 2 * (size_t)urls; each++) {
            memcpy(&size, tables->texts + sizes + 2 * each, sizeof(size));
            text += size;
        }
        if (!is_text(tables, text, 0)) {
            return refuse("the text of an entry");
        }
    }
    return 0;
}

/* Whether so many keys from that one on, or that table of heads, are there as a whole. */
static int
are_heads(const Tables *tables, const Shelf *shelf, const Span *span)
{
    size_t number = span->heads & ~BY_KEYS, size = span->stop - span->start + 1u;
    if (!(span->heads & BY_KEYS)) {
        return number < tables->sizes[HEADS] / SLOTS + shelf->head_tables;
    }
    size_t shared = tables->sizes[KEYS];
    return number < shared ? size <= shared - number
                           : number - shared <= shelf->key_count && size <= shelf->key_count - (number - shared);
}

static int
check_spans(const Tables *tables, const Shelf *shelf, const Lineup *lineup)
{
    const uint16_t *hosts = hosts_of(lineup);
    uint32_t before = 0;
    for (const Span *span = spans_of(lineup), *end = span + lineup->spans; span < end; span++) {
        if (span->start < before || span->start >= span->stop || span->stop > lineup->hosts) {
            return refuse("a span");
        }
        before = span->stop;
        if (!are_heads(tables, shelf, span)) {
            return refuse("the heads of a span");
        }
    }
    for (size_t n = 0; n < lineup->hosts; n++) {
        if (hosts[n] >= tables->hosts) {
            return refuse("a host");
        }
    }
    return 0;
}

/* Its hosts are on the networks of its audience, and are among those that show something where it is found. */
static int
check_front(const Tables *tables, const Lineup *front)
{
    if (front->audience >= tables->audiences || front->hosts > MOST_OWN || front->abroad > 0) {
        return refuse("a front");
    }
    const uint16_t *own = tables->own + tables->own_cuts[front->audience];
    size_t count = tables->own_cuts[front->audience + 1] - tables->own_cuts[front->audience];
    unsigned int left = front->sheet;
    for (size_t n = 0; n < front->hosts; n++) {
        unsigned int found = 0;
        for (size_t at = 0; at < count; at++) {
            found |= (unsigned int)(own[at] == hosts_of(front)[n]) << at;
        }
        if ((left & found) == 0) {
            return refuse("a host of a front");
        }
        left &= ~found;
    }
    return 0;
}

/* And note how much its entries show. */
static int
check_lineup(const Tables *tables, const Shelf *shelf, Lineup *lineup, size_t left)
{
    if (left < sizeof(*lineup) || (!(lineup->family & FRONT) && lineup->sheet >= tables->sheets)
        || lineup->hosts > MOST_HOSTS || lineup->tier >= TIERS
        || left - sizeof(*lineup) < lineup->spans * sizeof(Span) + 2u * (lineup->hosts + lineup->abroad)
                                        + lineup->comment_size) {
        return refuse("a line-up");
    }
    size_t bytes = 0, urls = 0, some;
    if (check_spans(tables, shelf, lineup) < 0) {
        return -1;
    }
    if (lineup->family & FRONT) {
        return check_front(tables, lineup);
    }
    for (size_t n = 0; n < lineup->hosts; n++) {
        if ((some = measure(tables, lineup, hosts_of(lineup)[n], &urls)) == 0) {
            return refuse("a host without an entry");
        }
        bytes += some - 1;
    }
    if (lineup->origin != NOBODY) {
        if ((some = measure(tables, lineup, lineup->origin, &urls)) == 0) {
            return refuse("an origin without an entry");
        }
        bytes += some - 1;
    }
    if (bytes > UINT32_MAX || urls > UINT32_MAX || lineup->length == 0
        || (lineup->hosts == 0 && lineup->origin == NOBODY)) {
        return refuse("the size of a line-up");
    }
    lineup->text_bytes = (uint32_t)bytes;
    lineup->urls = (uint32_t)urls;
    return 0;
}

/* With what is behind it, up to where the next one may begin. */
static size_t
size_of(const Lineup *lineup)
{
    return (size_t)(comment_of(lineup) + lineup->comment_size - (const char *)lineup + 7) / 8 * 8;
}

static int
check_lineups(Tables *tables)
{
    static const Shelf none;
    size_t all = tables->sizes[LINEUPS] * 8, at = 0;
    for (; at < all; tables->lineup_count++) {
        Lineup *lineup = (Lineup *)((char *)tables->columns[LINEUPS].buf + at);
        if (check_lineup(tables, &none, lineup, all - at) < 0) {
            return -1;
        }
        at += size_of(lineup);
    }
    return at == all ? 0 : refuse("the last line-up");
}

static void
enter_lineups(Tables *tables)
{
    size_t all = tables->sizes[LINEUPS] * 8;
    for (size_t at = 0; at < all; at += size_of((const Lineup *)(tables->lineups + at))) {
        enter(tables->lists, tables->list_mask, tables->lineups, at);
    }
}

static int
check_networks(const Tables *tables)
{
    if (tables->sizes[PLACES] != tables->audiences || tables->sizes[OWN_CUTS] != tables->audiences + 1
        || tables->own_cuts[0] != 0 || tables->own_cuts[tables->audiences] != tables->sizes[OWN]
        || tables->sizes[REGULAR] != tables->sheets) {
        return refuse("the sizes of networks");
    }
    for (size_t n = 0; n < tables->audiences; n++) {
        if (tables->places[n] >= tables->audiences || tables->own_cuts[n + 1] < tables->own_cuts[n]
            || tables->own_cuts[n + 1] - tables->own_cuts[n] > MOST_OWN) {
            return refuse("the networks of an audience");
        }
    }
    for (size_t n = 0; n < tables->sizes[OWN]; n++) {
        if (tables->own[n] >= tables->hosts) {
            return refuse("a host on its network");
        }
    }
    return 0;
}

static int
check_steps(const Tables *tables, const Steps *steps, int column, size_t bits)
{
    size_t count = tables->sizes[column], slots = (size_t)1 << bits;
    if (count == 0 || tables->sizes[column + 1] != count || tables->sizes[column + 2] != slots + 1) {
        return refuse("the sizes of steps");
    }
    if (steps->slots[0] != 0 || steps->slots[slots] != count
        || (bits == V4_BITS ? *(const uint32_t *)steps->starts : *(const uint64_t *)steps->starts) != 0) {
        return refuse("the first or last slot");
    }
    for (size_t n = 1; n <= slots; n++) {
        if (steps->slots[n] < steps->slots[n - 1] || steps->slots[n] == 0) {
            return refuse("a slot");
        }
    }
    for (size_t n = 0; n < count; n++) {
        if (steps->values[n] >= tables->audiences && !(steps->values[n] == DEEP && column == V6_STARTS)) {
            return refuse("an audience");
        }
    }
    return 0;
}

static int
check_deep(const Tables *tables)
{
    size_t count = tables->sizes[DEEP_UPPERS], rows = tables->sizes[DEEP_STARTS], row = 0;
    if (tables->sizes[DEEP_CUTS] != count + 1 || tables->sizes[DEEP_VALUES] != rows || tables->deep_cuts[0] != 0
        || tables->deep_cuts[count] != rows) {
        return refuse("the sizes of deep steps");
    }
    for (size_t n = 0; n < count; n++) {
        if (tables->deep_cuts[n + 1] <= tables->deep_cuts[n] || tables->deep_starts[tables->deep_cuts[n]] != 0
            || (n > 0 && tables->deep_uppers[n] <= tables->deep_uppers[n - 1])) {
            return refuse("deep steps");
        }
    }
    for (size_t n = 0; n < rows; n++) {
        if (tables->deep_values[n] >= tables->audiences) {
            return refuse("an audience in deep steps");
        }
    }
    const uint64_t *starts = tables->v6.starts;
    for (size_t n = 0; n < tables->v6.count; n++) {
        if (tables->v6.values[n] == DEEP) {
            while (row < count && tables->deep_uppers[row] < starts[n]) {
                row++;
            }
            if (row == count || tables->deep_uppers[row] != starts[n]) {
                return refuse("a /64 without steps of its own");
            }
        }
    }
    return 0;
}

static size_t
room_for(size_t count)
{
    size_t room = 8;
    while (room < 2 * count) {
        room *= 2;
    }
    return room;
}

static int
make_indexes(Tables *tables)
{
    size_t targets = room_for(tables->sizes[FRAMES]), lists = room_for(tables->lineup_count);
    tables->targets = PyMem_RawCalloc(targets, sizeof(*tables->targets));
    tables->lists = PyMem_RawCalloc(lists, sizeof(*tables->lists));
    if (tables->targets == NULL || tables->lists == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    tables->target_mask = targets - 1;
    tables->list_mask = lists - 1;
    return 0;
}

static int
check_tables(Tables *tables)
{
    if (tables->sizes[TEXTS] < PAD || tables->sizes[TEXTS] > UINT32_MAX || tables->sizes[LINEUPS] > UINT32_MAX - 1
        || tables->hosts == 0 || tables->hosts > MOST_HOSTS || tables->sizes[ENTRIES] % tables->hosts != 0
        || tables->sizes[FRAMES] >= UINT32_MAX || tables->audiences == 0) {
        return refuse("sizes");
    }
    tables->sheets = tables->sizes[ENTRIES] / tables->hosts;
    for (size_t n = 0; n < tables->sizes[HEADS]; n++) {
        if (tables->heads[n] >= tables->hosts) {
            return refuse("a head");
        }
    }
    if (check_steps(tables, &tables->v4, V4_STARTS, V4_BITS) < 0
        || check_steps(tables, &tables->v6, V6_STARTS, V6_BITS) < 0 || check_deep(tables) < 0
        || check_networks(tables) < 0 || check_entries(tables) < 0 || check_lineups(tables) < 0 || make_indexes(tables) < 0
        || check_frames(tables) < 0) {
        return -1;
    }
    enter_lineups(tables);
    return 0;
}

static void
name_columns(Tables *tables)
{
    const void *starts[COLUMNS];
    for (int n = 0; n < COLUMNS; n++) {
        starts[n] = tables->columns[n].buf;
        tables->sizes[n] = (size_t)tables->columns[n].len / item_bytes[n];
    }
    tables->texts = starts[TEXTS];
    tables->frames = starts[FRAMES];
    tables->entries = starts[ENTRIES];
    tables->lineups = starts[LINEUPS];
    tables->heads = starts[HEADS];
    tables->keys = starts[KEYS];
    tables->places = starts[PLACES];
    tables->own_cuts = starts[OWN_CUTS];
    tables->own = starts[OWN];
    tables->regular = starts[REGULAR];
    tables->v4 = (Steps){starts[V4_STARTS], starts[V4_VALUES], starts[V4_SLOTS], tables->sizes[V4_STARTS]};
    tables->v6 = (Steps){starts[V6_STARTS], starts[V6_VALUES], starts[V6_SLOTS], tables->sizes[V6_STARTS]};
    tables->deep_uppers = starts[DEEP_UPPERS];
    tables->deep_cuts = starts[DEEP_CUTS];
    tables->deep_starts = starts[DEEP_STARTS];
    tables->deep_values = starts[DEEP_VALUES];
}

/*
 * All of it at once, for each of the three: what nothing was written to takes no memory, and what grows is copied, which
 * leaves its old place behind.
 */
static int
reserve(Shelf *shelf, size_t limit_bytes)
{
    shelf->lineups = PyMem_RawMalloc(limit_bytes);
    shelf->heads = PyMem_RawMalloc(limit_bytes);
    shelf->keys = PyMem_RawMalloc(limit_bytes);
    shelf->lists = PyMem_RawCalloc(SHELF_SLOTS, sizeof(Slot));
    if (shelf->lineups == NULL || shelf->heads == NULL || shelf->keys == NULL || shelf->lists == NULL) {
        clear_shelf(shelf);
        PyErr_NoMemory();
        return -1;
    }
    shelf->limit_bytes = limit_bytes;
    return 0;
}

int
shelve(const Tables *tables, Shelf *shelf, Py_buffer *lineup, Py_buffer *heads, Py_buffer *keys, size_t limit_bytes)
{
    size_t head_bytes = SLOTS * sizeof(uint16_t), size = (size_t)lineup->len;
    if (shelf->lists == NULL && reserve(shelf, limit_bytes) < 0) {
        return -1;
    }
    size_t used = shelf->filled + shelf->head_tables * head_bytes + shelf->key_count * sizeof(Key);
    if (used + size + (size_t)heads->len + (size_t)keys->len > shelf->limit_bytes || shelf->lineup_count >= MOST_SHELVED) {
        return 0;
    }
    if (size % 8 != 0 || (size_t)heads->len % head_bytes != 0 || (size_t)keys->len % sizeof(Key) != 0) {
        return refuse("a line-up of a worker");
    }
    for (size_t n = 0; n < (size_t)heads->len / 2; n++) {
        uint16_t host;
        memcpy(&host, (const char *)heads->buf + 2 * n, 2);
        if (host >= tables->hosts) {
            return refuse("a head of a worker");
        }
    }
    memcpy(shelf->lineups + shelf->filled, lineup->buf, size);
    memcpy(shelf->heads + shelf->head_tables * SLOTS, heads->buf, (size_t)heads->len);
    memcpy(shelf->keys + shelf->key_count, keys->buf, (size_t)keys->len);
    shelf->head_tables += (size_t)heads->len / head_bytes; /* what others need stays, even if this one is refused */
    shelf->key_count += (size_t)keys->len / sizeof(Key);
    Lineup *put = (Lineup *)(shelf->lineups + shelf->filled);
    if (check_lineup(tables, shelf, put, size) < 0) {
        return -1;
    }
    if (size_of(put) != size) {
        return refuse("the size of a line-up of a worker");
    }
    if (find_lineup(tables, shelf, put->audience, put->sheet, put->family) == NULL) {
        enter(shelf->lists, SHELF_SLOTS - 1, shelf->lineups, shelf->filled);
        shelf->filled += size;
        shelf->lineup_count++;
    }
    return 1;
}

void
clear_shelf(Shelf *shelf)
{
    PyMem_RawFree(shelf->lineups);
    PyMem_RawFree(shelf->heads);
    PyMem_RawFree(shelf->keys);
    PyMem_RawFree(shelf->lists);
    *shelf = (Shelf){0};
}

static PyObject *
make_tables(PyTypeObject *type, PyObject *args, PyObject *named)
{
    static char *names[] = {"columns", "hosts", "audiences", NULL};
    PyObject *columns;
    Py_ssize_t hosts, audiences;
    if (!PyArg_ParseTupleAndKeywords(args, named, "O!nn", names, &PyTuple_Type, &columns, &hosts, &audiences)) {
        return NULL;
    }
    if (PyTuple_GET_SIZE(columns) != COLUMNS || hosts < 0 || audiences < 0) {
        refuse("columns");
        return NULL;
    }
    Tables *tables = (Tables *)type->tp_alloc(type, 0);
    if (tables == NULL) {
        return NULL;
    }
    for (int n = 0; n < COLUMNS; n++) {
        Py_buffer *column = &tables->columns[n];
        if (PyObject_GetBuffer(PyTuple_GET_ITEM(columns, n), column, n == LINEUPS ? PyBUF_WRITABLE : PyBUF_SIMPLE) < 0) {
            Py_DECREF(tables);
            return NULL;
        }
        size_t alignment = item_bytes[n] > 8 ? 8 : item_bytes[n];
        if ((size_t)column->len % item_bytes[n] != 0 || (column->len > 0 && (uintptr_t)column->buf % alignment != 0)) {
            refuse("a column");
            Py_DECREF(tables);
            return NULL;
        }
    }
    tables->hosts = (size_t)hosts;
    tables->audiences = (size_t)audiences;
    name_columns(tables);
    if (check_tables(tables) < 0) {
        Py_DECREF(tables);
        return NULL;
    }
    return (PyObject *)tables;
}

static void
forget_tables(Tables *tables)
{
    for (int n = 0; n < COLUMNS; n++) {
        PyBuffer_Release(&tables->columns[n]); /* of one that was never had it does nothing */
    }
    PyMem_RawFree(tables->targets);
    PyMem_RawFree(tables->lists);
    Py_TYPE(tables)->tp_free((PyObject *)tables);
}

static PyObject *
count_lineups(Tables *tables, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(tables->lineup_count);
}

static PyGetSetDef fields[] = {
    {"lineups", (getter)count_lineups, NULL, "How many line-ups were packed.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject TablesType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "redirector.server.worker._plain.Tables",
    .tp_doc = "Tables(columns, hosts, audiences): see redirector.answer.packed.Packed.",
    .tp_basicsize = sizeof(Tables),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = make_tables,
    .tp_dealloc = (destructor)forget_tables,
    .tp_getset = fields,
};
