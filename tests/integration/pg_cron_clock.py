"""A private server with pg_cron, whose clock a test sets: minutes need not be waited for."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
import servers
from servers import Cluster

# PostgreSQL reads the time of day with gettimeofday alone; how long things take is not touched.
SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

int gettimeofday(struct timeval *restrict tv, void *restrict tz) {
    static int (*real)(struct timeval *, void *);
    static volatile long *offset;
    if (!real) {
        int file = open(OFFSET, O_RDONLY);
        offset = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
        close(file);
        real = dlsym(RTLD_NEXT, "gettimeofday");
    }
    int result = real(tv, tz);
    tv->tv_sec += *offset;
    return result;
}
"""

SetClock = Callable[[datetime], None]
Start = Callable[[Mapping[str, str]], Cluster]


@contextmanager
def server_with_a_clock() -> Iterator[tuple[Start, SetClock]]:
    """Give a function that (re)starts the server with some settings, and one that sets its clock.

    Set the clock forward only, and not before a start: pg_cron and pg_ctl wait until their own time
    has come. Skips where no pg_cron or no C compiler is installed.
    """
    compiler = shutil.which("cc")
    bin_dir = servers.installed_bin_dirs().get("debian")
    if not bin_dir or not (bin_dir.parent / "lib" / "pg_cron.so").exists():
        pytest.skip("no installed PostgreSQL with pg_cron")
    if not compiler:
        pytest.skip("no C compiler to make the server's clock movable with")
    scratch = servers.Scratch(bin_dir, in_memory=True)
    try:
        offset = scratch.folder / "offset"
        _write(offset, 0)
        wrapped = _wrap(bin_dir, scratch.folder, compiler, offset)

        def start(settings: Mapping[str, str]) -> Cluster:
            return servers.start_in(scratch.folder, wrapped, settings=settings)

        def set_clock(time: datetime) -> None:
            _write(offset, round(time.timestamp() - datetime.now().timestamp()))

        yield start, set_clock
    finally:
        scratch.close()


def _wrap(bin_dir: Path, folder: Path, compiler: str, offset: Path) -> Path:
    """Return a folder of programs like ``bin_dir`` that start a server with our clock."""
    library = folder / "clock.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", f'-DOFFSET="{offset}"', "-o", library, "-xc", "-", "-ldl"],
        input=SOURCE,
        text=True,
        check=True,
    )
    library.chmod(0o755)
    wrapped = folder / "bin"
    wrapped.mkdir()
    for program in bin_dir.iterdir():
        (wrapped / program.name).symlink_to(program)
    pg_ctl = wrapped / "pg_ctl"
    pg_ctl.unlink()
    pg_ctl.write_text(f'#!/bin/sh\nLD_PRELOAD={library} exec {bin_dir / "pg_ctl"} "$@"\n')
    pg_ctl.chmod(0o755)
    wrapped.chmod(0o755)
    return wrapped


def _write(offset: Path, seconds: int) -> None:
    """Write in place: the server has the file mapped."""
    handle = os.open(offset, os.O_WRONLY | os.O_CREAT, 0o644)
    os.pwrite(handle, seconds.to_bytes(8, "little", signed=True), 0)
    os.close(handle)
