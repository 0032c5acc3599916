/*
 * A million lines `PREFIX/LENGTH ASN`, read at every start and reload. `read_lines_plainly` in `asn_lines.py` says the
 * same in Python, and stands in where there was no compiler.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#define NAMED 5
#define MOST_DIGITS 10
#define DEEP UINT32_MAX

/* The shortest lines, `0.0.0.0/1 0` and `::/1 0`, with their ends; and what is told of them. */
#define V4_LINE 12
#define V6_LINE 7
#define V4_RECORD (4 + 1 + 4)
#define V6_RECORD (16 + 1 + 4)

/* What a line may be besides a prefix of either family, whose record has so many bytes. */
#define WRONG 0
#define BLANK (-1)

static inline int
is_space(char character)
{
    return character == ' ' || (character >= '\t' && character <= '\r');
}

static inline const char *
skip(const char *at, const char *end, int spaces)
{
    while (at < end && is_space(*at) == spaces) {
        at++;
    }
    return at;
}

/* A number in digits alone; -1: there is none. */
static inline int64_t
read_number(const char *at, const char *end)
{
    if (at == end || end - at > MOST_DIGITS) {
        return -1;
    }
    int64_t number = 0;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9') {
            return -1;
        }
        number = 10 * number + (*at - '0');
    }
    return number;
}

/* Write address, length and AS number of one line to `record`, and return how many bytes that took. */
static inline int
read_line(const char *line, const char *end, char *record)
{
    char text[INET6_ADDRSTRLEN];
    const char *prefix = skip(line, end, 1), *behind = skip(prefix, end, 0);
    if (prefix == end) {
        return BLANK;
    }
    const char *asn = skip(behind, end, 1), *asn_end = skip(asn, end, 0);
    const char *slash = memchr(prefix, '/', (size_t)(behind - prefix));
    if (slash == NULL || skip(asn_end, end, 1) != end || (size_t)(slash - prefix) >= sizeof text) {
        return WRONG;
    }
    size_t size = (size_t)(slash - prefix);
    memcpy(text, prefix, size);
    text[size] = '\0';
    int is_v6 = memchr(text, ':', size) != NULL, width = is_v6 ? 16 : 4;
    int64_t length = read_number(slash + 1, behind), number = read_number(asn, asn_end);
    /* A default route would give everybody an AS. */
    if (length <= 0 || length > 8 * width || number < 0 || number >= DEEP || strlen(text) != size
        || inet_pton(is_v6 ? AF_INET6 : AF_INET, text, record) != 1) {
        return WRONG;
    }
    uint32_t as_number = (uint32_t)number;
    record[width] = (char)length;
    memcpy(record + width + 1, &as_number, sizeof as_number);
    return is_v6 ? V6_RECORD : V4_RECORD;
}

static PyObject *
read_lines(PyObject *Py_UNUSED(module), PyObject *text)
{
    if (!PyBytes_CheckExact(text)) {
        PyErr_SetString(PyExc_TypeError, "read_lines(bytes)");
        return NULL;
    }
    size_t size = (size_t)PyBytes_GET_SIZE(text);
    const char *at = PyBytes_AS_STRING(text), *end = at + size;
    char *v4 = PyMem_RawMalloc((size + 1) / V4_LINE * V4_RECORD + V6_RECORD);
    char *v6 = PyMem_RawMalloc((size + 1) / V6_LINE * V6_RECORD + V6_RECORD);
    PyObject *named = PyList_New(0), *found = NULL;
    if (v4 == NULL || v6 == NULL || named == NULL) {
        PyErr_NoMemory();
        goto done;
    }
    char *v4_end = v4, *v6_end = v6, record[V6_RECORD];
    Py_ssize_t count = 0, wrong = 0;
    for (int is_last = 0; !is_last; count++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        is_last = stop == NULL;
        stop = is_last ? end : stop;
        int taken = read_line(at, stop, record);
        if (taken == V4_RECORD) {
            memcpy(v4_end, record, V4_RECORD);
            v4_end += V4_RECORD;
        }
        else if (taken == V6_RECORD) {
            memcpy(v6_end, record, V6_RECORD);
            v6_end += V6_RECORD;
        }
        else if (taken == WRONG && wrong++ < NAMED) {
            PyObject *line = Py_BuildValue("ny#", count + 1, at, stop - at);
            int failed = line == NULL || PyList_Append(named, line) < 0;
            Py_XDECREF(line);
            if (failed) {
                goto done;
            }
        }
        at = stop + 1;
    }
    found = Py_BuildValue("ny#y#nO", count, v4, v4_end - v4, v6, v6_end - v6, wrong, named);
done:
    PyMem_RawFree(v4);
    PyMem_RawFree(v6);
    Py_XDECREF(named);
    return found;
}

static PyMethodDef methods[] = {
    {"read_lines", read_lines, METH_O, "See redirector.locate.asn_lines.read_lines_plainly."},
    {NULL, NULL, 0, NULL},
};

/* What `asn_lines.py` expects: to be raised with whatever Python sees of this module. */
static int
fill_module(PyObject *module)
{
    return PyModule_AddIntConstant(module, "INTERFACE", 1);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)fill_module}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "redirector.locate._lines",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__lines(void)
{
    return PyModuleDef_Init(&definition);
}
