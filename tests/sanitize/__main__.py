"""`make sanitize`: the parts in C, built with sanitizers, pass their tests and a minute of random input."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "sanitize"
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -O1 -g -Wall -Wextra -Werror"


def build() -> list[Path]:
    """The modules, built with sanitizers."""
    shutil.rmtree(BUILT, ignore_errors=True)
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--force"]
    folders = ["--build-lib", str(BUILT), "--build-temp", str(BUILT)]
    subprocess.run([*command, *folders], cwd=ROOT, env={**os.environ, "REDIRECTOR_STRICT_C": FLAGS}, check=True)
    return [next(BUILT.rglob(f"{name}.*.so")) for name in ("_lines", "_steps", "_carried", "_fast", "_plain")]


def library(name: str) -> str:
    """Where the compiler has the library *name*."""
    compiler = os.environ.get("CC", "cc")
    found = subprocess.run([compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True)
    return found.stdout.strip()


def main() -> None:
    """Build, then run the child with the sanitizers in front of everything else."""
    modules = [*map(str, build())]
    environment = {
        **os.environ,
        "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",  # Python itself leaves memory behind at its end
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",  # each object by itself, so that a step outside of one is seen
    }
    seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
    for work in ("tests", seconds):
        subprocess.run(
            [sys.executable, "-m", "tests.sanitize.child", work, *modules], cwd=ROOT, env=environment, check=True
        )


if __name__ == "__main__":
    main()
