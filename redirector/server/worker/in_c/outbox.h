/* Answers that are made and not yet sent: `Outbox` in `outbox.py` says the same. */

#ifndef REDIRECTOR_OUTBOX_H
#define REDIRECTOR_OUTBOX_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

typedef struct {
    PyObject *transport; /* NULL: the descriptor is ours, and is closed behind the answer */
    size_t from, size; /* in the outbox's bytes */
    uint64_t began_ns;
    uint32_t duration_cells;
    int descriptor; /* the transport's socket; -1: the transport writes */
    int is_last;
} Held;

typedef struct {
    PyObject_HEAD
    PyObject *wake;   /* called when something is held that has to be sent when the turn ends */
    PyObject *keep;   /* takes (descriptor, bytes): what a socket of ours did not take yet, and the socket with it */
    Py_buffer memory; /* of the counters */
    Py_ssize_t cell_count;
    char *bytes; /* one answer behind the other */
    size_t filled, room;
    Held *held;
    size_t count, held_room;
} Outbox;

extern PyTypeObject OutboxType;

uint64_t nanoseconds(void);

static inline uint64_t *
cells_of(Outbox *outbox)
{
    return outbox->memory.buf;
}

/* Names of the methods that are called. -1: an error is set. */
int name_methods(void);

/* Where *size* bytes may be written behind all that is held; NULL: an error is set. */
char *reserve(Outbox *outbox, size_t size);

/* Hold an answer that stands at *from*, in what was reserved, up to what is filled then. -1: an error is set. */
int hold(Outbox *outbox, PyObject *transport, int descriptor, size_t from, size_t end, int is_last, uint64_t began_ns,
         uint32_t duration_cells);

#endif
