/*
 * The plain request in one call: `Lane.answer` in `lane.py` says the same in Python, and takes all that this leaves.
 *
 * A request is plain when its target is known beforehand, what stands around the target and the client's address has
 * been examined before, the address is written as one, and the list of its audience was packed.
 */

#include "door.h"
#include "outbox.h"
#include "tables.h"

#include <arpa/inet.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INTERFACE 4 /* what `redirector/built.py` expects: to be raised with whatever Python sees of this module */

#define MAX_SHAPES 1024
#define SHAPE_ROOM (4 * MAX_SHAPES)
#define HEAD_ROOM 512
#define COMPOSED_BYTES 16384
#define MAX_LINE_BYTES 256 /* of the access log, but for what was asked */
#define BATCH_BYTES 64000  /* as in `access_log.py` */

static const char version[] = " HTTP/1.1\r\n";
static const char forwarded_for[] = "\r\nX-Forwarded-For: ", forwarded_for_low[] = "\r\nx-forwarded-for: ";
static const char metalink_end[] = "   </resources>\n  </file>\n </files>\n</metalink>\n";

#define LENGTH(text) (sizeof(text) - 1)

/* All of a request but its target and its client's address, found to be ordinary. */
typedef struct {
    uint64_t hash;
    PyObject *rest; /* NULL: free */
    size_t cut;     /* where the address stood in it */
    int is_last;
} Shape;

/* What all answers of one form have in common. */
typedef struct {
    uint32_t request_cell, duration_cells;
    Py_buffer head;
} Kind;

typedef struct {
    const char *text;
    size_t size;
} Text;

typedef struct {
    PyObject_HEAD
    Tables *tables;
    Outbox *outbox;
    PyObject *spell;    /* (second) -> what stands behind the length, the same behind a last answer, a metalink's header, the day */
    PyObject *spelled;  /* by it */
    Text end, last_end, metalink_header, day;
    int64_t second;
    int64_t window_s;
    int knows_families;
    Kind kinds[2]; /* mirrorlist, metalink */
    uint32_t tier_cells[TIERS], host_cells[TIERS];
    Py_buffer country_cells; /* by audience, 16 bits each */
    Py_buffer proxies;       /* networks of those that say for whom they speak */
    Shelf shelf;
    uint64_t composed[COMPOSED_BYTES / 8]; /* a line-up of hosts' own networks and those behind them */
    Shape shapes[SHAPE_ROOM];
    size_t shape_count;
    /* The access log in MirrorManager's format; none when `ends` is empty. */
    Py_buffer ends, end_cuts, countries; /* of lines, by frame; where they begin; by audience, 4 bytes each */
    int is_masked;
    PyObject *keep; /* takes a batch of lines */
    char *lines;
    size_t line_bytes, line_room;
} Lane;

/* -- Reading a request ----------------------------------------------------------------------------------------------- */

typedef struct {
    Text target, before, behind; /* what stands around the address */
    Text address;                /* NULL: nobody is spoken for */
} Request;

static const char *
find_text(const char *from, const char *end, const char *wanted, size_t size)
{
    return memmem(from, (size_t)(end - from), wanted, size);
}

/* 0: it is not a request that could be plain. */
static int
cut(const char *data, size_t size, Request *request)
{
    const char *end = data + size;
    if (size < 5 || memcmp(data, "GET /", 5) != 0) {
        return 0;
    }
    const char *rest = find_text(data + 5, end, version, LENGTH(version));
    if (rest == NULL) {
        return 0;
    }
    request->target = (Text){data + 4, (size_t)(rest - data) - 4};
    const char *value = find_text(rest, end, forwarded_for, LENGTH(forwarded_for));
    if (value == NULL) {
        value = find_text(rest, end, forwarded_for_low, LENGTH(forwarded_for_low));
    }
    if (value == NULL) {
        request->before = (Text){rest, (size_t)(end - rest)};
        request->behind = (Text){end, 0};
        request->address = (Text){NULL, 0};
        return 1;
    }
    value += LENGTH(forwarded_for);
    const char *stop = find_text(value, end, "\r\n", 2);
    if (stop == NULL) {
        return 0;
    }
    request->before = (Text){rest, (size_t)(value - rest)};
    request->address = (Text){value, (size_t)(stop - value)};
    request->behind = (Text){stop, (size_t)(end - stop)};
    return 1;
}

/* As `parse_address` in `addresses.py`: how many bytes *address* has then, 0 for what is none. */
static size_t
parse(Text text, unsigned char *address)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    char copy[INET6_ADDRSTRLEN + 1];
    if (text.size >= sizeof(copy) || memchr(text.text, '\0', text.size) != NULL) {
        return 0;
    }
    memcpy(copy, text.text, text.size);
    copy[text.size] = '\0';
    if (memchr(copy, ':', text.size) == NULL) {
        return inet_pton(AF_INET, copy, address) == 1 ? 4 : 0;
    }
    if (inet_pton(AF_INET6, copy, address) != 1) {
        return 0;
    }
    if (memcmp(address, mapped, sizeof(mapped)) != 0) {
        return 16;
    }
    memmove(address, address + 12, 4);
    return 4;
}

static uint64_t
hash_request(const Request *request)
{
    return hash_text(hash_text(0, request->before.text, request->before.size), request->behind.text,
                     request->behind.size);
}

static const Shape *
find_shape(const Lane *lane, const Request *request)
{
    uint64_t hash = hash_request(request);
    for (size_t at = hash;; at++) {
        const Shape *shape = &lane->shapes[at % SHAPE_ROOM];
        if (shape->rest == NULL) {
            return NULL;
        }
        if (shape->hash == hash && shape->cut == request->before.size
            && (size_t)PyBytes_GET_SIZE(shape->rest) == request->before.size + request->behind.size) {
            const char *rest = PyBytes_AS_STRING(shape->rest);
            if (memcmp(rest, request->before.text, request->before.size) == 0
                && memcmp(rest + shape->cut, request->behind.text, request->behind.size) == 0) {
                return shape;
            }
        }
    }
}

/* -- Who asks -------------------------------------------------------------------------------------------------------- */

static uint32_t crc_table[256];

static void
fill_crc_table(void)
{
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t value = n;
        for (int bit = 0; bit < 8; bit++) {
            value = value & 1 ? 0xEDB88320u ^ value >> 1 : value >> 1;
        }
        crc_table[n] = value;
    }
}

/* See `client_seed` in `reading.py`. */
static uint64_t
seed_of(const unsigned char *address, size_t size, int64_t now, int64_t window_s)
{
    uint32_t crc = UINT32_MAX;
    for (size_t n = 0; n < size && n < 8; n++) {
        crc = crc_table[(crc ^ address[n]) & 0xff] ^ crc >> 8;
    }
    uint64_t number = crc ^ UINT32_MAX;
    uint64_t window = (uint64_t)((now + (int64_t)number) / window_s);
    uint64_t mixed = (number + window * 0x9E3779B97F4A7C15ULL) * 0xBF58476D1CE4E5B9ULL;
    mixed = (mixed ^ mixed >> 30) * 0x94D049BB133111EBULL;
    return mixed ^ mixed >> 31;
}

/* -- Spelling an answer ---------------------------------------------------------------------------------------------- */

/* Copies in steps of 32 bytes: *to* has room for them, and what is copied is followed by `PAD` bytes at least. */
static inline char *
put(char *to, const char *text, size_t size)
{
    size_t done = 0;
    do {
        memcpy(to + done, text + done, 32);
        done += 32;
    } while (done < size);
    return to + size;
}

static inline char *
put_exactly(char *to, Text text)
{
    memcpy(to, text.text, text.size);
    return to + text.size;
}

/* Digits of *number* up to *end*; returns where they begin. */
static char *
put_number(char *end, size_t number)
{
    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return end;
}

/* What a host shows, at the place *place* of a list. */
static inline char *
put_entry(char *to, const char *entry, const Frame *frame, const char *seam, size_t place)
{
    uint16_t urls, sizes[2];
    memcpy(&urls, entry, sizeof(urls));
    const char *counts = entry + sizeof(urls), *text = counts + sizeof(sizes) * urls;
    char digits[4] = "1";
    size_t width = 1;
    if (frame->is_metalink && place < 91) {
        width = place == 0 ? 3 : 2;
        size_t preference = 100 - place;
        digits[0] = (char)(place == 0 ? '1' : '0' + preference / 10);
        digits[1] = (char)(place == 0 ? '0' : '0' + preference % 10);
        digits[2] = '0';
    } else if (frame->is_metalink && place < 100) {
        digits[0] = (char)('0' + (100 - place));
    }
    for (; urls > 0; urls--, counts += sizeof(sizes)) {
        memcpy(sizes, counts, sizeof(sizes));
        to = put(to, text, sizes[0]);
        text += sizes[0];
        if (frame->is_metalink) {
            memcpy(to, digits, sizeof(digits));
            to = put(to + width, text, sizes[1]);
            text += sizes[1];
        }
        to = put(to, seam, frame->seam_size);
    }
    return to;
}

static char *
put_body(char *to, const Lane *lane, const Frame *frame, const Lineup *lineup, const uint16_t *order)
{
    const Tables *tables = lane->tables;
    const uint32_t *entries = tables->entries + lineup->sheet * tables->hosts;
    const char *seam = tables->texts + frame->seam;
    size_t count = lineup->hosts < lineup->length ? lineup->hosts : lineup->length;
    if (frame->is_metalink) {
        to = put_exactly(to, lane->metalink_header);
        to = put(to, tables->texts + frame->top, frame->top_size);
    } else if (frame->has_words) {
        to = put(to, tables->texts + frame->top, frame->top_size);
        to = put_exactly(to, (Text){comment_of(lineup), lineup->comment_size});
        *to++ = '\n';
    }
    for (size_t n = 0; n < count; n++) {
        to = put_entry(to, tables->texts + entries[order[n]], frame, seam, n);
    }
    if (lineup->origin != NOBODY) {
        to = put_entry(to, tables->texts + entries[lineup->origin], frame, seam, count);
    }
    return frame->is_metalink ? put_exactly(to, (Text){metalink_end, LENGTH(metalink_end)}) : to;
}

/* How long a body can be, at most. */
static size_t
bound(const Lane *lane, const Frame *frame, const Lineup *lineup)
{
    return lane->metalink_header.size + frame->top_size + lineup->comment_size + 1u + lineup->text_bytes
           + (size_t)lineup->urls * (frame->seam_size + 3u) + LENGTH(metalink_end);
}

/* Spell what all answers of one second have in common. */
static int
tick(Lane *lane, int64_t now)
{
    PyObject *spelled = PyObject_CallFunction(lane->spell, "L", (long long)now);
    Text texts[4];
    if (spelled == NULL) {
        return -1;
    }
    if (!PyTuple_CheckExact(spelled) || PyTuple_GET_SIZE(spelled) != 4) {
        PyErr_SetString(PyExc_TypeError, "four texts are spelled");
        Py_DECREF(spelled);
        return -1;
    }
    for (Py_ssize_t n = 0; n < 4; n++) {
        PyObject *text = PyTuple_GET_ITEM(spelled, n);
        if (!PyBytes_CheckExact(text) || (n != 2 && PyBytes_GET_SIZE(text) > 100)) {
            PyErr_SetString(PyExc_TypeError, "a short text is spelled as bytes");
            Py_DECREF(spelled);
            return -1;
        }
        texts[n] = (Text){PyBytes_AS_STRING(text), (size_t)PyBytes_GET_SIZE(text)};
    }
    Py_XSETREF(lane->spelled, spelled);
    lane->end = texts[0];
    lane->last_end = texts[1];
    lane->metalink_header = texts[2];
    lane->day = texts[3];
    lane->second = now;
    return 0;
}

/* -- Counting and logging -------------------------------------------------------------------------------------------- */

static void
count(Lane *lane, const Kind *kind, uint32_t audience, const Lineup *lineup, uint16_t first)
{
    uint64_t *cells = cells_of(lane->outbox);
    const uint16_t *abroad = abroad_of(lineup);
    uint8_t tier = lineup->tier;
    for (size_t n = 0; n < lineup->abroad; n++) {
        if (abroad[n] == first) {
            tier = GLOBAL_TIER;
        }
    }
    cells[kind->request_cell] += 1;
    cells[((const uint16_t *)lane->country_cells.buf)[audience]] += 1;
    cells[lane->tier_cells[tier]] += 1;
    cells[lane->host_cells[tier] + (size_t)first * TIERS] += 1;
}

static PyObject *
take_lines(Lane *lane, PyObject *Py_UNUSED(nothing))
{
    PyObject *lines = PyBytes_FromStringAndSize(lane->lines, (Py_ssize_t)lane->line_bytes);
    if (lines != NULL) {
        lane->line_bytes = 0;
    }
    return lines;
}

/* MirrorManager's line, see `spell_facts` in `access_log.py`. -1: an error is set. */
static int
log_line(Lane *lane, const Frame *frame, const unsigned char *address, size_t size, uint32_t audience)
{
    const uint32_t *cuts = lane->end_cuts.buf;
    size_t number = (size_t)(frame - lane->tables->frames), end_size = cuts[number + 1] - cuts[number];
    if (end_size == 0) {
        return 0;
    }
    if (lane->line_bytes > BATCH_BYTES) {
        PyObject *lines = take_lines(lane, NULL);
        PyObject *done = lines == NULL ? NULL : PyObject_CallOneArg(lane->keep, lines);
        Py_XDECREF(lines);
        if (done == NULL) {
            return -1;
        }
        Py_DECREF(done);
    }
    if (end_size + MAX_LINE_BYTES > lane->line_room - lane->line_bytes) {
        size_t more = 2 * (lane->line_room + end_size + MAX_LINE_BYTES);
        char *grown = PyMem_RawRealloc(lane->lines, more);
        if (grown == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        lane->lines = grown;
        lane->line_room = more;
    }
    unsigned char shown[16] = {0};
    memcpy(shown, address, lane->is_masked ? (size == 4 ? 3 : 6) : size);
    char *to = lane->lines + lane->line_bytes;
    to = put_exactly(to, (Text){"IP: ", 4});
    if (size == 4) {
        for (int n = 0; n < 4; n++) {
            char digits[3], *start = put_number(digits + 3, shown[n]);
            to = put_exactly(to, (Text){start, (size_t)(digits + 3 - start)});
            *to++ = '.';
        }
        to--;
    } else {
        inet_ntop(AF_INET6, shown, to, INET6_ADDRSTRLEN);
        to += strlen(to);
    }
    to = put_exactly(to, (Text){"; DATE: ", 8});
    to = put_exactly(to, lane->day);
    to = put_exactly(to, (Text){"; COUNTRY: ", 11});
    const char *country = (const char *)lane->countries.buf + 4 * (size_t)audience;
    to = put_exactly(to, (Text){country, strnlen(country, 4)});
    to = put_exactly(to, (Text){"; ", 2});
    to = put_exactly(to, (Text){(const char *)lane->ends.buf + cuts[number], end_size});
    lane->line_bytes = (size_t)(to - lane->lines);
    return 0;
}

/* -- The call -------------------------------------------------------------------------------------------------------- */

/*
 * 1: it is answered; 0: nothing was done; -1: an error is set. Without a *transport* the descriptor is ours, and only
 * what is the last request of its connection is answered.
 */
static int
answer_plainly(Lane *lane, Text data, PyObject *transport, int descriptor, Text peer, int trusts, int64_t now)
{
    uint64_t began_ns = nanoseconds();
    Request request;
    unsigned char address[16];
    size_t size;
    if (!cut(data.text, data.size, &request)) {
        return 0;
    }
    if (request.address.text != NULL) {
        size = trusts ? parse(request.address, address) : 0;
    } else {
        size = peer.size;
        if (size == 4 || size == 16) {
            memcpy(address, peer.text, size);
        }
    }
    const Frame *frame = size == 4 || size == 16 ? find_frame(lane->tables, request.target.text, request.target.size)
                                                 : NULL;
    const Shape *shape = frame == NULL ? NULL : find_shape(lane, &request);
    if (shape == NULL || (transport == NULL && !shape->is_last)) {
        return 0;
    }
    uint32_t audience = find_audience(lane->tables, address, size);
    uint8_t family = !lane->knows_families ? 0 : size == 4 ? 4 : 6;
    const Lineup *lineup = find_lineup(lane->tables, &lane->shelf, audience, frame->sheet, family);
    if (lineup == NULL) {
        lineup = put_together(lane->tables, &lane->shelf, audience, frame->sheet, family, lane->composed,
                              sizeof(lane->composed));
    }
    uint16_t order[MOST_HOSTS];
    if (lineup == NULL
        || !draw_order(lane->tables, &lane->shelf, lineup, seed_of(address, size, now, lane->window_s), order)) {
        return 0;
    }
    if (now != lane->second && tick(lane, now) < 0) {
        return -1;
    }
    const Kind *kind = &lane->kinds[frame->is_metalink];
    Text end = shape->is_last ? lane->last_end : lane->end;
    char *room = reserve(lane->outbox, HEAD_ROOM + bound(lane, frame, lineup) + PAD);
    if (room == NULL) {
        return -1;
    }
    char *body = room + HEAD_ROOM, *stop = put_body(body, lane, frame, lineup, order), *start = body - end.size;
    put_exactly(start, end);
    start = put_number(start, (size_t)(stop - body)) - kind->head.len;
    put_exactly(start, (Text){kind->head.buf, (size_t)kind->head.len});
    count(lane, kind, audience, lineup, lineup->hosts > 0 ? order[0] : lineup->origin);
    if (lane->ends.len > 0 && log_line(lane, frame, address, size, audience) < 0) {
        return -1;
    }
    const char *bytes = lane->outbox->bytes;
    return hold(lane->outbox, transport, descriptor, (size_t)(start - bytes), (size_t)(stop - bytes), shape->is_last,
                began_ns, kind->duration_cells) < 0 ? -1 : 1;
}

static PyObject *
answer(Lane *lane, PyObject *const *args, Py_ssize_t arg_count)
{
    if ((arg_count != 5 && arg_count != 6) || !PyBytes_CheckExact(args[0]) || !PyLong_CheckExact(args[2])
        || (arg_count == 6 && !PyLong_CheckExact(args[5]))) {
        PyErr_SetString(PyExc_TypeError, "answer(data, transport, descriptor, peer, trusts[, now])");
        return NULL;
    }
    long descriptor = PyLong_AsLong(args[2]);
    int trusts = PyObject_IsTrue(args[4]);
    int64_t now = arg_count == 6 ? PyLong_AsLongLong(args[5]) : (int64_t)time(NULL);
    if (((descriptor == -1 || now == -1) && PyErr_Occurred()) || trusts < 0) {
        return NULL;
    }
    if (descriptor < INT32_MIN || descriptor > INT32_MAX || now < 0 || now > INT64_MAX / 2) {
        PyErr_SetString(PyExc_ValueError, "no such descriptor, or no such time");
        return NULL;
    }
    Text data = {PyBytes_AS_STRING(args[0]), (size_t)PyBytes_GET_SIZE(args[0])};
    Text peer = {NULL, 0};
    if (PyBytes_CheckExact(args[3])) {
        peer = (Text){PyBytes_AS_STRING(args[3]), (size_t)PyBytes_GET_SIZE(args[3])};
    }
    int done = answer_plainly(lane, data, args[1], (int)descriptor, peer, trusts, now);
    return done < 0 ? NULL : PyBool_FromLong(done);
}

/* 1: *guest* has its answer, and nobody else need meet it; 0: nothing was done; -1: an error is set. */
static int
serve(Lane *lane, const Guest *guest, int64_t now)
{
    if (guest->size == 0 || guest->size == PACKET_BYTES) {
        return 0;
    }
    int trusts = is_proxy(lane->proxies.buf, (size_t)lane->proxies.len / sizeof(Network), guest);
    Text peer = {(const char *)guest->address, trusts && !is_loopback(guest) ? 0 : guest->address_size};
    return answer_plainly(lane, (Text){guest->data, guest->size}, NULL, guest->descriptor, peer, trusts, now);
}

/*
 * Let in who waits at a listening socket, up to the first who is not answered: returns its descriptor, from which nothing
 * was read. So whoever stays is let in by whichever worker is idle, as if each were accepted alone.
 */
static PyObject *
accept_some(Lane *lane, PyObject *args)
{
    int listener, most;
    long long now = (long long)time(NULL);
    if (!PyArg_ParseTuple(args, "ii|L", &listener, &most, &now)) {
        return NULL;
    }
    if (now < 0 || now > INT64_MAX / 2) {
        PyErr_SetString(PyExc_ValueError, "no such time");
        return NULL;
    }
    for (int n = 0; n < most; n++) {
        Guest guest;
        int came = let_in(listener, &guest);
        if (came < 0 && n == 0) {
            return PyErr_SetFromErrno(PyExc_OSError);
        }
        if (came <= 0) {
            break;
        }
        int done = serve(lane, &guest, now);
        if (done < 0) {
            close(guest.descriptor);
            return NULL;
        }
        if (done == 0) {
            return PyLong_FromLong(guest.descriptor);
        }
    }
    Py_RETURN_NONE;
}

static void
forget_shapes(Lane *lane)
{
    for (size_t n = 0; n < SHAPE_ROOM; n++) {
        Py_CLEAR(lane->shapes[n].rest);
    }
    lane->shape_count = 0;
}

/* Remember what stands around the target and the address of *data*, which was examined. */
static PyObject *
learn(Lane *lane, PyObject *args)
{
    PyObject *data;
    int is_last;
    Request request;
    if (!PyArg_ParseTuple(args, "O!p", &PyBytes_Type, &data, &is_last)) {
        return NULL;
    }
    if (!cut(PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data), &request)
        || find_shape(lane, &request) != NULL) {
        Py_RETURN_NONE;
    }
    if (lane->shape_count >= MAX_SHAPES) {
        forget_shapes(lane);
    }
    PyObject *rest = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(request.before.size + request.behind.size));
    if (rest == NULL) {
        return NULL;
    }
    put_exactly(put_exactly(PyBytes_AS_STRING(rest), request.before), request.behind);
    uint64_t hash = hash_request(&request);
    size_t at = hash;
    while (lane->shapes[at % SHAPE_ROOM].rest != NULL) {
        at++;
    }
    lane->shapes[at % SHAPE_ROOM] = (Shape){hash, rest, request.before.size, is_last};
    lane->shape_count++;
    Py_RETURN_NONE;
}

static PyObject *
learn_lineup(Lane *lane, PyObject *args)
{
    Py_buffer lineup, heads, keys;
    Py_ssize_t limit_bytes;
    if (!PyArg_ParseTuple(args, "y*y*y*n", &lineup, &heads, &keys, &limit_bytes)) {
        return NULL;
    }
    int done = shelve(lane->tables, &lane->shelf, &lineup, &heads, &keys, limit_bytes < 0 ? 0 : (size_t)limit_bytes);
    PyBuffer_Release(&lineup);
    PyBuffer_Release(&heads);
    PyBuffer_Release(&keys);
    return done < 0 ? NULL : PyBool_FromLong(done);
}

static PyObject *
forget_lineups(Lane *lane, PyObject *Py_UNUSED(nothing))
{
    clear_shelf(&lane->shelf);
    Py_RETURN_NONE;
}

/* -- Making one ------------------------------------------------------------------------------------------------------ */

static int
read_cells(PyObject *numbers, uint32_t *cells, size_t behind, Py_ssize_t all)
{
    if (PyTuple_GET_SIZE(numbers) != TIERS) {
        PyErr_SetString(PyExc_ValueError, "one cell a tier");
        return -1;
    }
    for (Py_ssize_t n = 0; n < TIERS; n++) {
        long cell = PyLong_AsLong(PyTuple_GET_ITEM(numbers, n));
        if (cell < 0 || cell >= all || (size_t)(all - cell) <= behind) {
            if (!PyErr_Occurred()) {
                PyErr_SetString(PyExc_ValueError, "no such cell");
            }
            return -1;
        }
        cells[n] = (uint32_t)cell;
    }
    return 0;
}

static int
are_networks(const Py_buffer *networks)
{
    const Network *network = networks->buf;
    int is_right = networks->len % (Py_ssize_t)sizeof(*network) == 0;
    for (Py_ssize_t n = 0; is_right && n < networks->len / (Py_ssize_t)sizeof(*network); n++) {
        is_right = (network[n].size == 4 || network[n].size == 16) && network[n].bits <= 8 * network[n].size;
    }
    return is_right;
}

static int
check_lane(const Lane *lane)
{
    const Tables *tables = lane->tables;
    size_t cells = (size_t)lane->outbox->cell_count;
    const uint16_t *countries = lane->country_cells.buf;
    int is_right = (size_t)lane->country_cells.len == 2 * tables->audiences && lane->window_s > 0
                   && (uintptr_t)countries % 2 == 0 && are_networks(&lane->proxies);
    for (size_t n = 0; is_right && n < tables->audiences; n++) {
        is_right = countries[n] < cells;
    }
    for (size_t n = 0; is_right && n < 2; n++) {
        const Kind *kind = &lane->kinds[n];
        is_right = kind->request_cell < cells && kind->duration_cells < cells && cells - kind->duration_cells > 14
                   && kind->head.len < HEAD_ROOM - 200;
    }
    if (is_right && lane->ends.len > 0) {
        const uint32_t *cuts = lane->end_cuts.buf;
        size_t frames = tables->sizes[FRAMES];
        is_right = (size_t)lane->end_cuts.len == 4 * (frames + 1) && (uintptr_t)cuts % 4 == 0
                   && (size_t)lane->countries.len == 4 * tables->audiences;
        for (size_t n = 0; is_right && n <= frames; n++) {
            is_right = cuts[n] <= (size_t)lane->ends.len && (n == 0 || cuts[n] >= cuts[n - 1]);
        }
    }
    if (!is_right) {
        PyErr_SetString(PyExc_ValueError, "a lane that does not suit its tables and cells");
    }
    return is_right ? 0 : -1;
}

static int
fill_lane(Lane *lane, PyObject *args, PyObject *named)
{
    static char *names[] = {"tables", "outbox", "spell", "window_s", "knows_families", "mirrorlist", "metalink",
                            "tier_cells", "host_cells", "country_cells", "proxies", "ends", "end_cuts", "countries", "is_masked",
                            "keep", NULL};
    PyObject *tables, *outbox, *tier_cells, *host_cells;
    long long window_s;
    Kind *lists = &lane->kinds[0], *metalinks = &lane->kinds[1];
    if (!PyArg_ParseTupleAndKeywords(args, named, "O!O!OLp(IIy*)(IIy*)O!O!y*y*y*y*y*pO", names, &TablesType, &tables,
                                     &OutboxType, &outbox, &lane->spell, &window_s, &lane->knows_families,
                                     &lists->request_cell, &lists->duration_cells, &lists->head,
                                     &metalinks->request_cell, &metalinks->duration_cells, &metalinks->head,
                                     &PyTuple_Type, &tier_cells, &PyTuple_Type, &host_cells, &lane->country_cells, &lane->proxies,
                                     &lane->ends, &lane->end_cuts, &lane->countries, &lane->is_masked,
                                     &lane->keep)) {
        lane->spell = lane->keep = NULL;
        return -1;
    }
    Py_INCREF(lane->spell);
    Py_INCREF(lane->keep);
    lane->tables = (Tables *)Py_NewRef(tables);
    lane->outbox = (Outbox *)Py_NewRef(outbox);
    lane->window_s = window_s;
    lane->second = -1;
    size_t last_host = (lane->tables->hosts - 1) * TIERS;
    if (read_cells(tier_cells, lane->tier_cells, 0, lane->outbox->cell_count) < 0
        || read_cells(host_cells, lane->host_cells, last_host, lane->outbox->cell_count) < 0) {
        return -1;
    }
    return check_lane(lane);
}

static PyObject *
make_lane(PyTypeObject *type, PyObject *args, PyObject *named)
{
    Lane *lane = (Lane *)type->tp_alloc(type, 0);
    if (lane != NULL && fill_lane(lane, args, named) < 0) {
        Py_DECREF(lane);
        return NULL;
    }
    return (PyObject *)lane;
}

static int
visit_lane(Lane *lane, visitproc visit, void *arg)
{
    Py_VISIT(lane->tables);
    Py_VISIT(lane->outbox);
    Py_VISIT(lane->spell);
    Py_VISIT(lane->keep);
    return 0;
}

static int
clear_lane(Lane *lane)
{
    Py_CLEAR(lane->spell);
    Py_CLEAR(lane->keep);
    return 0;
}

static void
forget_lane(Lane *lane)
{
    PyObject_GC_UnTrack(lane);
    clear_lane(lane);
    forget_shapes(lane);
    clear_shelf(&lane->shelf);
    Py_XDECREF(lane->tables);
    Py_XDECREF(lane->outbox);
    Py_XDECREF(lane->spelled);
    Py_buffer *buffers[] = {&lane->kinds[0].head, &lane->kinds[1].head, &lane->country_cells,
                            &lane->proxies, &lane->ends, &lane->end_cuts, &lane->countries};
    for (size_t n = 0; n < sizeof(buffers) / sizeof(*buffers); n++) {
        PyBuffer_Release(buffers[n]);
    }
    PyMem_RawFree(lane->lines);
    Py_TYPE(lane)->tp_free((PyObject *)lane);
}

static PyMethodDef methods[] = {
    {"answer", (PyCFunction)(void (*)(void))answer, METH_FASTCALL,
     "answer(data, transport, descriptor, peer, trusts[, now]): whether *data* was plain, and is answered."},
    {"accept", (PyCFunction)accept_some, METH_VARARGS,
     "accept(listener, most[, now]): let in up to *most*; the descriptor of the first that is not answered."},
    {"learn", (PyCFunction)learn, METH_VARARGS,
     "learn(data, is_last): take what stands around target and address of *data*, which was examined, for ordinary."},
    {"learn_lineup", (PyCFunction)learn_lineup, METH_VARARGS,
     "learn_lineup(lineup, heads, keys, limit_bytes): pack one more, for this worker; False: there is no room."},
    {"forget_lineups", (PyCFunction)forget_lineups, METH_NOARGS, "Forget all that `learn_lineup` was told."},
    {"take_lines", (PyCFunction)take_lines, METH_NOARGS, "Lines of the access log since it was called last."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject LaneType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "redirector.server.worker._plain.Lane",
    .tp_doc = "The plain request in one call, see redirector.server.worker.lane.Lane.",
    .tp_basicsize = sizeof(Lane),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = make_lane,
    .tp_dealloc = (destructor)forget_lane,
    .tp_traverse = (traverseproc)visit_lane,
    .tp_clear = (inquiry)clear_lane,
    .tp_methods = methods,
};

static int
fill_module(PyObject *module)
{
    fill_crc_table();
    if (name_methods() < 0 || PyModule_AddType(module, &TablesType) < 0 || PyModule_AddType(module, &OutboxType) < 0
        || PyModule_AddType(module, &LaneType) < 0) {
        return -1;
    }
    return PyModule_AddIntConstant(module, "INTERFACE", INTERFACE);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)fill_module}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "redirector.server.worker._plain",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__plain(void)
{
    return PyModuleDef_Init(&definition);
}
