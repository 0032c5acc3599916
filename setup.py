"""The one thing that `pyproject.toml` cannot say for sure yet: a part in C, left out where there is no compiler."""

from setuptools import Extension, setup

setup(ext_modules=[Extension("redirector.answer._fast", ["redirector/answer/_fast.c"], optional=True)])
