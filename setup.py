"""The one thing that `pyproject.toml` cannot say for sure yet: a part in C, left out where there is no compiler."""

import os

from setuptools import Extension, setup

STRICT = os.environ.get("REDIRECTOR_STRICT_C", "").split()
"""More flags for the compiler; with them, a part that does not compile is an error. `make check` lets no warning pass,
`make sanitize` builds with sanitizers."""

setup(
    ext_modules=[
        Extension(
            "redirector.answer._fast",
            ["redirector/answer/_fast.c"],
            optional=not STRICT,
            extra_compile_args=STRICT,
            extra_link_args=[flag for flag in STRICT if flag.startswith("-fsanitize")],
        )
    ]
)
