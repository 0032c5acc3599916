"""What `pyproject.toml` cannot say: a part in C, left out where there is no compiler; and the sample, file by file."""

import os

from setuptools import Extension, setup

STRICT = os.environ.get("REDIRECTOR_STRICT_C", "").split()
"""More flags for the compiler; with them, a part that does not compile is an error. `make check` lets no warning pass,
`make sanitize` builds with sanitizers."""

SAMPLE = "share/redirector/sample"
"""Where the sample is installed, below the environment's folder; `redirector sample` copies it from there."""


def sample_files() -> list[tuple[str, list[str]]]:
    """Folder -> the files of the sample that go there."""
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
    found = []
    for folder, _, names in sorted(os.walk(top)):
        inside = os.path.relpath(folder, os.path.dirname(top))
        target = os.path.normpath(os.path.join(SAMPLE, os.path.relpath(folder, top)))
        found.append((target, [os.path.join(inside, name) for name in sorted(names)]))
    return [(target, names) for target, names in found if names]


PLAIN = "redirector/server/worker/in_c"
"""Where the plain request is answered."""

DRAWS = "redirector/answer/draws.h"
"""How hosts are drawn, in both."""

PARTS = {
    "redirector.locate._lines": (["redirector/locate/_lines.c"], []),
    "redirector.locate._steps": (["redirector/locate/_steps.c"], []),
    "redirector.sources.mirrormanager._carried": (["redirector/sources/mirrormanager/_carried.c"], []),
    "redirector.answer._fast": (["redirector/answer/_fast.c"], [DRAWS]),
    "redirector.server.worker._plain": (
        [f"{PLAIN}/{name}.c" for name in ("door", "lane", "outbox", "tables")],
        [DRAWS, *(f"{PLAIN}/{name}.h" for name in ("door", "outbox", "tables"))],
    ),
}
"""What is in C: its sources, and what these include."""

setup(
    data_files=sample_files(),
    ext_modules=[
        Extension(
            name,
            sources,
            depends=headers,
            optional=not STRICT,
            extra_compile_args=STRICT,
            extra_link_args=[flag for flag in STRICT if flag.startswith("-fsanitize")],
        )
        for name, (sources, headers) in PARTS.items()
    ],
)
