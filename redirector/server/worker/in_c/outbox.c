/* Answers of one turn of the loop, sent together. */

#include "door.h"
#include "outbox.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_HELD_BYTES 524288 /* as in `outbox.py` */
#define KEPT_BYTES (2 * MAX_HELD_BYTES)

static const uint64_t bounds_ns[] = {50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 25000000,
                                     50000000, 100000000, 250000000, 1000000000};

#define BUCKETS (sizeof(bounds_ns) / sizeof(*bounds_ns) + 1)

static PyObject *say_write, *say_close, *say_is_closing, *say_buffered;

uint64_t
nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

char *
reserve(Outbox *outbox, size_t size)
{
    if (size > outbox->room - outbox->filled) {
        size_t more = outbox->filled + size > MAX_HELD_BYTES ? 2 * (outbox->filled + size) : KEPT_BYTES;
        char *grown = more > outbox->filled ? PyMem_RawRealloc(outbox->bytes, more) : NULL;
        if (grown == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        outbox->bytes = grown;
        outbox->room = more;
    }
    return outbox->bytes + outbox->filled;
}

/* See `Counters.count_duration`. */
static void
count_duration(Outbox *outbox, uint32_t first, uint64_t duration_ns)
{
    size_t bucket = 0;
    while (bucket < BUCKETS - 1 && bounds_ns[bucket] < duration_ns) {
        bucket++;
    }
    uint64_t *cells = cells_of(outbox) + first;
    cells[bucket] += 1;
    cells[BUCKETS] += duration_ns;
}

/* Whether all of *held* went to its socket at once; otherwise *sent* bytes of it did. Nothing may wait in the transport. */
static int
send_directly(const Held *held, const char *bytes, size_t *sent)
{
    PyObject *waiting = PyObject_CallMethodNoArgs(held->transport, say_buffered);
    if (waiting == NULL) {
        PyErr_Clear();
        return 0;
    }
    long size = PyLong_AsLong(waiting);
    Py_DECREF(waiting);
    if (size != 0) {
        PyErr_Clear();
        return 0;
    }
    ssize_t done = send(held->descriptor, bytes, held->size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (done > 0) { /* what is wrong with a socket the transport finds out by itself */
        *sent = (size_t)done;
    }
    return *sent == held->size;
}

static int
send_one(const Held *held, const char *bytes)
{
    PyObject *closing = PyObject_CallMethodNoArgs(held->transport, say_is_closing);
    int is_closing = closing == NULL ? -1 : PyObject_IsTrue(closing);
    Py_XDECREF(closing);
    if (is_closing != 0) {
        return is_closing < 0 ? -1 : 0;
    }
    size_t sent = 0;
    if (held->descriptor < 0 || !send_directly(held, bytes, &sent)) {
        PyObject *rest = PyBytes_FromStringAndSize(bytes + sent, (Py_ssize_t)(held->size - sent));
        PyObject *done = rest == NULL ? NULL : PyObject_CallMethodOneArg(held->transport, say_write, rest);
        Py_XDECREF(rest);
        if (done == NULL) {
            return -1;
        }
        Py_DECREF(done);
    }
    if (held->is_last) {
        PyObject *done = PyObject_CallMethodNoArgs(held->transport, say_close);
        if (done == NULL) {
            return -1;
        }
        Py_DECREF(done);
    }
    return 0;
}

/* Send over a descriptor of ours, and close it; by somebody else, who takes it over, when not all can be sent at once. */
static int
send_last(Outbox *outbox, const Held *held, const char *bytes)
{
    ssize_t sent = send(held->descriptor, bytes, held->size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == (ssize_t)held->size) {
        say_goodbye(held->descriptor);
        return 0;
    }
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) { /* the client has left */
        close(held->descriptor);
        return 0;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    PyObject *kept = PyObject_CallFunction(outbox->keep, "iy#", held->descriptor, bytes + done,
                                           (Py_ssize_t)(held->size - done));
    if (kept == NULL) {
        return -1;
    }
    Py_DECREF(kept);
    return 0;
}

/* Whoever is called meanwhile may hold more: what is being sent is taken away first. */
static void
send_all(Outbox *outbox)
{
    Outbox taken = *outbox;
    outbox->bytes = NULL;
    outbox->held = NULL;
    outbox->filled = outbox->room = outbox->count = outbox->held_room = 0;
    for (size_t n = 0; n < taken.count; n++) {
        const Held *held = &taken.held[n];
        const char *bytes = taken.bytes + held->from;
        if ((held->transport == NULL ? send_last(outbox, held, bytes) : send_one(held, bytes)) < 0) {
            PyErr_WriteUnraisable((PyObject *)outbox);
        }
        count_duration(outbox, held->duration_cells, nanoseconds() - held->began_ns);
        Py_XDECREF(held->transport);
    }
    if (outbox->bytes == NULL && taken.room <= KEPT_BYTES) {
        outbox->bytes = taken.bytes;
        outbox->room = taken.room;
    } else {
        PyMem_RawFree(taken.bytes);
    }
    if (outbox->held == NULL) {
        outbox->held = taken.held;
        outbox->held_room = taken.held_room;
    } else {
        PyMem_RawFree(taken.held);
    }
}

int
hold(Outbox *outbox, PyObject *transport, int descriptor, size_t from, size_t end, int is_last, uint64_t began_ns,
     uint32_t duration_cells)
{
    if (outbox->count == outbox->held_room) {
        size_t more = outbox->held_room == 0 ? 64 : 2 * outbox->held_room;
        Held *grown = PyMem_RawRealloc(outbox->held, more * sizeof(*grown));
        if (grown == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        outbox->held = grown;
        outbox->held_room = more;
    }
    if (outbox->count == 0) {
        PyObject *done = PyObject_CallNoArgs(outbox->wake);
        if (done == NULL) {
            return -1;
        }
        Py_DECREF(done);
    }
    outbox->held[outbox->count++] = (Held){Py_XNewRef(transport), from, end - from, began_ns, duration_cells, descriptor,
                                           is_last};
    outbox->filled = end;
    if (outbox->filled > MAX_HELD_BYTES) { /* what is held for longer leaves the cache */
        send_all(outbox);
    }
    return 0;
}

static PyObject *
put(Outbox *outbox, PyObject *args)
{
    PyObject *transport, *parts;
    int is_last;
    unsigned long long began_ns;
    unsigned int duration_cells;
    if (!PyArg_ParseTuple(args, "OO!pKI", &transport, &PyTuple_Type, &parts, &is_last, &began_ns, &duration_cells)) {
        return NULL;
    }
    if (duration_cells > (size_t)outbox->cell_count || outbox->cell_count - duration_cells <= (Py_ssize_t)BUCKETS) {
        PyErr_SetString(PyExc_ValueError, "no such cells");
        return NULL;
    }
    size_t size = 0, from = outbox->filled;
    for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(parts); n++) {
        if (!PyBytes_CheckExact(PyTuple_GET_ITEM(parts, n))) {
            PyErr_SetString(PyExc_TypeError, "an answer is bytes");
            return NULL;
        }
        size += (size_t)PyBytes_GET_SIZE(PyTuple_GET_ITEM(parts, n));
    }
    char *to = reserve(outbox, size + 1);
    if (to == NULL) {
        return NULL;
    }
    for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(parts); n++) {
        PyObject *part = PyTuple_GET_ITEM(parts, n);
        memcpy(to, PyBytes_AS_STRING(part), (size_t)PyBytes_GET_SIZE(part));
        to += PyBytes_GET_SIZE(part);
    }
    if (hold(outbox, transport, -1, from, from + size, is_last, began_ns, duration_cells) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
send_held(Outbox *outbox, PyObject *Py_UNUSED(nothing))
{
    send_all(outbox);
    Py_RETURN_NONE;
}

static PyObject *
make_outbox(PyTypeObject *type, PyObject *args, PyObject *named)
{
    static char *names[] = {"wake", "keep", "cells", NULL};
    PyObject *wake, *keep, *cells;
    if (!PyArg_ParseTupleAndKeywords(args, named, "OOO", names, &wake, &keep, &cells)) {
        return NULL;
    }
    Outbox *outbox = (Outbox *)type->tp_alloc(type, 0);
    if (outbox == NULL) {
        return NULL;
    }
    if (PyObject_GetBuffer(cells, &outbox->memory, PyBUF_WRITABLE) < 0) {
        Py_DECREF(outbox);
        return NULL;
    }
    if ((uintptr_t)outbox->memory.buf % sizeof(uint64_t) != 0) {
        PyErr_SetString(PyExc_ValueError, "cells are numbers of 64 bits");
        Py_DECREF(outbox);
        return NULL;
    }
    outbox->cell_count = outbox->memory.len / (Py_ssize_t)sizeof(uint64_t);
    outbox->wake = Py_NewRef(wake);
    outbox->keep = Py_NewRef(keep);
    return (PyObject *)outbox;
}

static int
visit_outbox(Outbox *outbox, visitproc visit, void *arg)
{
    Py_VISIT(outbox->wake);
    Py_VISIT(outbox->keep);
    for (size_t n = 0; n < outbox->count; n++) {
        Py_VISIT(outbox->held[n].transport);
    }
    return 0;
}

static int
clear_outbox(Outbox *outbox)
{
    size_t count = outbox->count;
    outbox->count = 0;
    for (size_t n = 0; n < count; n++) {
        if (outbox->held[n].transport == NULL) {
            close(outbox->held[n].descriptor);
        }
        Py_XDECREF(outbox->held[n].transport);
    }
    Py_CLEAR(outbox->wake);
    Py_CLEAR(outbox->keep);
    return 0;
}

static void
forget_outbox(Outbox *outbox)
{
    PyObject_GC_UnTrack(outbox);
    clear_outbox(outbox);
    PyBuffer_Release(&outbox->memory);
    PyMem_RawFree(outbox->bytes);
    PyMem_RawFree(outbox->held);
    Py_TYPE(outbox)->tp_free((PyObject *)outbox);
}

static PyMethodDef methods[] = {
    {"put", (PyCFunction)put, METH_VARARGS, "See redirector.server.worker.outbox.Outbox.put."},
    {"send", (PyCFunction)send_held, METH_NOARGS, "See redirector.server.worker.outbox.Outbox.send."},
    {NULL, NULL, 0, NULL},
};

int
name_methods(void)
{
    say_write = PyUnicode_InternFromString("write");
    say_close = PyUnicode_InternFromString("close");
    say_is_closing = PyUnicode_InternFromString("is_closing");
    say_buffered = PyUnicode_InternFromString("get_write_buffer_size");
    return say_write && say_close && say_is_closing && say_buffered ? 0 : -1;
}

PyTypeObject OutboxType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "redirector.server.worker._plain.Outbox",
    .tp_doc = "Outbox(wake, keep, cells): see redirector.server.worker.outbox.Outbox.",
    .tp_basicsize = sizeof(Outbox),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = make_outbox,
    .tp_dealloc = (destructor)forget_outbox,
    .tp_traverse = (traverseproc)visit_outbox,
    .tp_clear = (inquiry)clear_outbox,
    .tp_methods = methods,
};
