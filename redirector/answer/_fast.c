/*
 * What is done for every host of every list: its place is drawn, and its text is joined to the body. `draw_plainly` in
 * `draw.py` and `join_plainly` in `join.py` say the same in Python, and stand in where there was no compiler.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#include "draws.h"

#define SEAM_MARK '\0'
#define PREFERENCE_MARK '\1'

/*
 * What is being joined. The room is kept from call to call and copied when its size is known: bytes that are made too
 * large and then cut leave holes, which cost a worker 30 MB within two million answers.
 */
static char *body;
static size_t filled, room;

static inline int
put(const char *text, size_t size)
{
    if (size > room - filled) {
        size_t more = 2 * (filled + size);
        char *grown = more > filled ? PyMem_RawRealloc(body, more) : NULL;
        if (grown == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        body = grown;
        room = more;
    }
    if (size > 0) {  /* nothing may be copied from nowhere, not even nothing (C17, 7.24.1) */
        memcpy(body + filled, text, size);
        filled += size;
    }
    return 0;
}

static inline int
put_bytes(PyObject *bytes)
{
    return put(PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
}

/* One entry, with `seam` for each of its marks and behind it, and `preference`, if any, where those go. */
static inline int
put_entry(PyObject *entry, PyObject *seam, PyObject *preference)
{
    const char *text = PyBytes_AS_STRING(entry), *end = text + PyBytes_GET_SIZE(entry), *mark, *gap;
    do {
        mark = memchr(text, SEAM_MARK, (size_t)(end - text));
        const char *stop = mark != NULL ? mark : end;
        while (preference != NULL && (gap = memchr(text, PREFERENCE_MARK, (size_t)(stop - text))) != NULL) {
            if (put(text, (size_t)(gap - text)) < 0 || put_bytes(preference) < 0) {
                return -1;
            }
            text = gap + 1;
        }
        if (put(text, (size_t)(stop - text)) < 0 || put_bytes(seam) < 0) {
            return -1;
        }
        text = stop + 1;
    } while (mark != NULL);
    return 0;
}

static int
are_all_bytes(PyObject *const *items, Py_ssize_t count)
{
    for (Py_ssize_t n = 0; n < count; n++) {
        if (!PyBytes_CheckExact(items[n])) {
            PyErr_Format(PyExc_TypeError, "bytes are joined, not %.100s", Py_TYPE(items[n])->tp_name);
            return 0;
        }
    }
    return 1;
}

static PyObject *
join(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 5 || !PyList_CheckExact(args[1]) || !PyTuple_CheckExact(args[4])) {
        PyErr_SetString(PyExc_TypeError, "join(top, [entry, ...], seam, end, (preference, ...))");
        return NULL;
    }
    PyObject *top = args[0], *seam = args[2], *end = args[3];
    PyObject **entries = ((PyListObject *)args[1])->ob_item, **preferences = ((PyTupleObject *)args[4])->ob_item;
    Py_ssize_t length = PyList_GET_SIZE(args[1]), ranks = PyTuple_GET_SIZE(args[4]);
    if (!are_all_bytes(&top, 1) || !are_all_bytes(entries, length) || !are_all_bytes(&seam, 1)
        || !are_all_bytes(&end, 1) || !are_all_bytes(preferences, ranks)) {
        return NULL;
    }

    filled = 0;
    if (put_bytes(top) < 0) {
        return NULL;
    }
    for (Py_ssize_t n = 0; n < length; n++) {
        PyObject *preference = ranks > 0 ? preferences[n < ranks ? n : ranks - 1] : NULL;
        if (put_entry(entries[n], seam, preference) < 0) {
            return NULL;
        }
    }
    return put_bytes(end) < 0 ? NULL : PyBytes_FromStringAndSize(body, (Py_ssize_t)filled);
}

/* See `draw.py`. */
typedef struct {
    Py_ssize_t start, stop;
    PyObject *heads, *alone;
} Span;

static int
read_span(Span *span, PyObject *item, Py_ssize_t length)
{
    if (!PyTuple_CheckExact(item) || PyTuple_GET_SIZE(item) != 4 || !PyLong_CheckExact(PyTuple_GET_ITEM(item, 0))
        || !PyLong_CheckExact(PyTuple_GET_ITEM(item, 1))
        || !(PyUnicode_CheckExact(PyTuple_GET_ITEM(item, 2)) || PyBytes_CheckExact(PyTuple_GET_ITEM(item, 2)))) {
        PyErr_SetString(PyExc_TypeError, "a span is (start, stop, heads, alone)");
        return -1;
    }
    span->start = PyLong_AsSsize_t(PyTuple_GET_ITEM(item, 0));
    span->stop = PyLong_AsSsize_t(PyTuple_GET_ITEM(item, 1));
    span->heads = PyTuple_GET_ITEM(item, 2);
    span->alone = PyTuple_GET_ITEM(item, 3);
    Py_ssize_t size = PyBytes_CheckExact(span->heads)
                          ? PyBytes_GET_SIZE(span->heads) - (span->stop - span->start + 1) * (Py_ssize_t)sizeof(Key)
                          : PyUnicode_GET_LENGTH(span->heads) - SLOTS;
    if (span->start < 0 || span->start >= span->stop || span->stop > length || size != 0) {
        PyErr_SetString(PyExc_ValueError, "a span lies outside of its hosts, or has not as many heads as slots");
        return -1;
    }
    return 0;
}

/* Where the host of a slot stands; -1: nowhere; -2: an error is set. */
static inline Py_ssize_t
find_slot(PyObject *hosts, const Span *span, size_t slot)
{
    Py_UCS4 head = PyUnicode_READ_CHAR(span->heads, (Py_ssize_t)slot);
    return PyUnicode_FindChar(hosts, head, span->start, span->stop, 1);
}

/* Where the host stands that comes first; below 0: an error is set. */
static Py_ssize_t
find_head(PyObject *hosts, const Span *span, unsigned long long seed)
{
    for (size_t n = 0; n < TRIES; n++) {
        Py_ssize_t at = find_slot(hosts, span, slot_of(seed, n));
        if (at != -1) {
            return at;
        }
    }
    PyObject *present = PyUnicode_Substring(hosts, span->start, span->stop);
    PyObject *head = present == NULL ? NULL : PyObject_CallMethod(span->alone, "draw_alone", "NK", present, seed);
    if (head == NULL) {
        return -1;
    }
    Py_ssize_t at = PyUnicode_Check(head) ? PyUnicode_Find(hosts, head, span->start, span->stop, 1) : -1;
    Py_DECREF(head);
    if (at < 0 && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "the host that was drawn is not there");
    }
    return at;
}

static inline void
move(PyObject **entries, Py_ssize_t from, Py_ssize_t to)
{
    PyObject *entry = entries[from];
    memmove(entries + to + 1, entries + to, (size_t)(from - to) * sizeof(*entries));
    entries[to] = entry;
}

/* Move the hosts with the smallest keys to the span's start, in order. Returns where the first of them stood. */
static Py_ssize_t
move_by_keys(PyObject **entries, const Span *span, unsigned long long seed)
{
    size_t at[MOST_DRAWN];
    size_t kept = draw_by_keys(PyBytes_AS_STRING(span->heads), (size_t)(span->stop - span->start), seed, at);
    for (size_t n = kept; n-- > 0;) {
        move(entries, span->start + (Py_ssize_t)place_of(at, kept, n), span->start);
    }
    return span->start + (Py_ssize_t)at[0];
}

/* Move the heads of all spans to their starts. Returns where the list's first host stood; -1: an error is set. */
static Py_ssize_t
move_heads(PyObject **entries, PyObject *hosts, PyObject *spans, unsigned long long seed)
{
    Py_ssize_t first = 0;
    for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(spans); n++) {
        Span span;
        if (read_span(&span, PyTuple_GET_ITEM(spans, n), PyUnicode_GET_LENGTH(hosts)) < 0) {
            return -1;
        }
        if (PyBytes_CheckExact(span.heads)) {
            Py_ssize_t at = move_by_keys(entries, &span, seed);
            first = span.start == 0 ? at : first;
            continue;
        }
        Py_ssize_t at = find_head(hosts, &span, seed);
        if (at < 0) {
            return -1;
        }
        move(entries, at, span.start);
        if (span.start > 0) {
            continue;
        }
        first = at;
        /* Clients that fetch from several hosts at once use the second one as much. */
        Py_ssize_t second = find_slot(hosts, &span, (seed >> 20) % SLOTS);
        if (second == at) {
            second = find_slot(hosts, &span, (seed >> 30) % SLOTS);
        }
        if (second < -1) {
            return -1;
        }
        if (second >= 0 && second != at) {
            move(entries, second < at ? second + 1 : second, 1);
        }
    }
    return first;
}

static PyObject *
draw(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 4 || !PyTuple_CheckExact(args[0]) || !PyUnicode_CheckExact(args[1]) || !PyTuple_CheckExact(args[2])
        || !PyLong_CheckExact(args[3]) || PyTuple_GET_SIZE(args[0]) != PyUnicode_GET_LENGTH(args[1])) {
        PyErr_SetString(PyExc_TypeError, "draw((entry, ...), hosts, (span, ...), seed): as many entries as hosts");
        return NULL;
    }
    PyObject *hosts = args[1], *entries = PySequence_List(args[0]), *number = NULL, *drawn = NULL;
    if (entries == NULL) {
        return NULL;
    }
    unsigned long long seed = PyLong_AsUnsignedLongLongMask(args[3]);
    Py_ssize_t first = move_heads(((PyListObject *)entries)->ob_item, hosts, args[2], seed);
    if (first >= 0) {
        number = PyUnicode_GET_LENGTH(hosts) > 0 ? PyLong_FromUnsignedLong(PyUnicode_READ_CHAR(hosts, first))
                                                 : Py_NewRef(Py_None);
    }
    if (number != NULL) {
        drawn = PyTuple_Pack(2, entries, number);
        Py_DECREF(number);
    }
    Py_DECREF(entries);
    return drawn;
}

static PyMethodDef methods[] = {
    {"draw", (PyCFunction)(void (*)(void))draw, METH_FASTCALL, "See redirector.answer.draw.draw_plainly."},
    {"join", (PyCFunction)(void (*)(void))join, METH_FASTCALL, "See redirector.answer.join.join_plainly."},
    {NULL, NULL, 0, NULL},
};

/* What `draw.py` and `join.py` expect: to be raised with whatever Python sees of this module. */
static int
fill_module(PyObject *module)
{
    return PyModule_AddIntConstant(module, "INTERFACE", 2);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)fill_module}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "redirector.answer._fast",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__fast(void)
{
    return PyModuleDef_Init(&definition);
}
