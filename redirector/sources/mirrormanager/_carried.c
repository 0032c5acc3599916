/*
 * One record for each directory, of which a snapshot has tens of thousands, is taken apart: what differs, and what most
 * of them share. `split_plainly` in `carried.py` says the same by protobuf, and takes whatever is odd.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#define DIRECTORY 1
#define SUBPATH 3
#define MOST_FIELD 536870911 /* 29 bits, as in Protocol Buffers' specification */

enum { VARINT = 0, EIGHT_BYTES = 1, SIZED = 2, FOUR_BYTES = 5 };

typedef struct {
    const unsigned char *at;
    Py_ssize_t size;
} Span;

/* The number at `*at`, which moves behind it; -1: it is cut off, or has more than 63 bits. */
static inline int64_t
read_number(const unsigned char **at, const unsigned char *end)
{
    uint64_t number = 0;
    for (int shift = 0; shift < 63 && *at < end; shift += 7) {
        unsigned char byte = *(*at)++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return (int64_t)number;
        }
    }
    return -1;
}

/* Pass the value of a field, and say where what it holds begins; NULL: it is cut off, or of a kind that is not used. */
static inline const unsigned char *
pass_value(const unsigned char **at, const unsigned char *end, int kind)
{
    int64_t size = kind == EIGHT_BYTES ? 8 : 4;
    const unsigned char *start = *at;
    if (kind == VARINT) {
        for (int bytes = 1; *at < end && bytes <= 10; bytes++) {
            if (*(*at)++ < 0x80) {
                return start;
            }
        }
        return NULL;
    }
    if (kind == SIZED) {
        size = read_number(at, end);
        start = *at;
    }
    else if (kind != EIGHT_BYTES && kind != FOUR_BYTES) {
        return NULL;
    }
    if (size < 0 || size > end - start) {
        return NULL;
    }
    *at = start + size;
    return start;
}

static PyObject *
split(PyObject *Py_UNUSED(module), PyObject *record)
{
    if (!PyBytes_CheckExact(record)) {
        PyErr_SetString(PyExc_TypeError, "split(bytes)");
        return NULL;
    }
    const unsigned char *at = (const unsigned char *)PyBytes_AS_STRING(record), *end = at + PyBytes_GET_SIZE(record);
    const unsigned char *behind = at; /* what was taken last: from here on nothing was copied */
    Span directory = {NULL, 0}, subpath = {at, 0};
    PyObject *lists = PyBytes_FromStringAndSize(NULL, end - at);
    if (lists == NULL) {
        return NULL;
    }
    char *filled = PyBytes_AS_STRING(lists);
    while (at < end) {
        const unsigned char *start = at;
        int64_t tag = read_number(&at, end);
        int kind = (int)(tag & 7);
        int64_t field = tag >> 3;
        const unsigned char *value = tag < 0 ? NULL : pass_value(&at, end, kind);
        if (value == NULL || field < 1 || field > MOST_FIELD) {
            goto odd;
        }
        if (field == DIRECTORY || field == SUBPATH) {
            if (kind != SIZED) {
                goto odd;
            }
            *(field == DIRECTORY ? &directory : &subpath) = (Span){value, at - value};
            memcpy(filled, behind, (size_t)(start - behind));
            filled += start - behind;
            behind = at;
        }
    }
    if (directory.at == NULL) {
        goto odd;
    }
    memcpy(filled, behind, (size_t)(end - behind));
    filled += end - behind;
    if (_PyBytes_Resize(&lists, filled - PyBytes_AS_STRING(lists)) < 0) {
        return NULL;
    }
    return Py_BuildValue("y#y#N", directory.at, directory.size, subpath.at, subpath.size, lists);
odd:
    Py_DECREF(lists);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"split", split, METH_O, "See redirector.sources.mirrormanager.carried."},
    {NULL, NULL, 0, NULL},
};

/* What `carried.py` expects: to be raised with whatever Python sees of this module. */
static int
fill_module(PyObject *module)
{
    return PyModule_AddIntConstant(module, "INTERFACE", 1);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)fill_module}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "redirector.sources.mirrormanager._carried",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__carried(void)
{
    return PyModuleDef_Init(&definition);
}
