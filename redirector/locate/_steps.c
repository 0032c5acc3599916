/*
 * A million nested prefixes become the steps of a table, at every start and reload. `paint_plainly` in `steps.py` says the
 * same in Python, and stands in where there was no compiler.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#define MOST_NESTED 65 /* prefixes of 0 to 64 bits around one number */

/* The prefix around a number that is painted last, and those around it below. */
typedef struct {
    uint64_t last;
    uint32_t value;
} Coat;

typedef struct {
    uint64_t *starts;
    uint32_t *values;
    size_t count;
} Steps;

/* From `start` on it is `value`; of two steps with one start the later counts. */
static inline void
step(Steps *steps, uint64_t start, uint32_t value)
{
    steps->count += steps->starts[steps->count - 1] != start;
    steps->starts[steps->count - 1] = start;
    steps->values[steps->count - 1] = value;
}

/* Returns how many coats there are at most at one place; above `MOST_NESTED` nothing was painted beyond. */
static size_t
paint_all(Steps *steps, const uint64_t *firsts, const uint64_t *lasts, const uint32_t *values, size_t count,
          uint64_t end)
{
    Coat coats[MOST_NESTED + 1] = {{UINT64_MAX, steps->values[0]}};
    size_t top = 0;
    for (size_t n = 0; n <= count; n++) {
        while (top > 0 && (n == count || coats[top].last < firsts[n])) {
            uint64_t last = coats[top--].last;
            if (last < end) {
                step(steps, last + 1, coats[top].value);
            }
        }
        if (n == count) {
            break;
        }
        if (top > 0 && firsts[n] == firsts[n - 1] && coats[top].last == lasts[n]) {
            top--;
        }
        if (++top > MOST_NESTED) {
            break;
        }
        coats[top] = (Coat){lasts[n], values[n]};
        step(steps, firsts[n], values[n]);
    }
    return top;
}

static PyObject *
paint(PyObject *Py_UNUSED(module), PyObject *args)
{
    Py_buffer firsts, lasts, values;
    unsigned int ground;
    unsigned long long end;
    if (!PyArg_ParseTuple(args, "y*y*y*IK", &firsts, &lasts, &values, &ground, &end)) {
        return NULL;
    }
    PyObject *painted = NULL;
    size_t count = (size_t)values.len / sizeof(uint32_t), most = 2 * count + 1;
    PyObject *starts_made = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(most * sizeof(uint64_t)));
    PyObject *values_made = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(most * sizeof(uint32_t)));
    if (starts_made == NULL || values_made == NULL) {
        goto done;
    }
    if ((size_t)values.len % sizeof(uint32_t) != 0 || (size_t)firsts.len != count * sizeof(uint64_t)
        || lasts.len != firsts.len || (uintptr_t)firsts.buf % sizeof(uint64_t) != 0
        || (uintptr_t)lasts.buf % sizeof(uint64_t) != 0 || (uintptr_t)values.buf % sizeof(uint32_t) != 0) {
        PyErr_SetString(PyExc_ValueError, "paint: no columns of the same length");
        goto done;
    }
    Steps steps = {(uint64_t *)PyBytes_AS_STRING(starts_made), (uint32_t *)PyBytes_AS_STRING(values_made), 1};
    steps.starts[0] = 0;
    steps.values[0] = ground;
    if (paint_all(&steps, firsts.buf, lasts.buf, values.buf, count, end) > MOST_NESTED) {
        PyErr_SetString(PyExc_ValueError, "paint: no prefixes, or not in order");
        goto done;
    }
    if (_PyBytes_Resize(&starts_made, (Py_ssize_t)(steps.count * sizeof(uint64_t))) == 0
        && _PyBytes_Resize(&values_made, (Py_ssize_t)(steps.count * sizeof(uint32_t))) == 0) {
        painted = PyTuple_Pack(2, starts_made, values_made);
    }
done:
    Py_XDECREF(starts_made);
    Py_XDECREF(values_made);
    PyBuffer_Release(&firsts);
    PyBuffer_Release(&lasts);
    PyBuffer_Release(&values);
    return painted;
}

static PyMethodDef methods[] = {
    {"paint", paint, METH_VARARGS, "See redirector.locate.steps.paint_plainly."},
    {NULL, NULL, 0, NULL},
};

/* What `steps.py` expects: to be raised with whatever Python sees of this module. */
static int
fill_module(PyObject *module)
{
    return PyModule_AddIntConstant(module, "INTERFACE", 1);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)fill_module}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "redirector.locate._steps",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__steps(void)
{
    return PyModuleDef_Init(&definition);
}
