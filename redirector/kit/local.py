"""Looks at a mirror on its own machine: users, rights, programs, room."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator

from redirector.kit.finding import Finding, Level
from redirector.kit.wishes import Wishes

SERVERS = ("www-data", "nginx", "apache", "http", "lighttpd", "ftp", "vsftpd")
"""Who serves by http and ftp in the distributions that there are."""

_DEPTH = 4
_FOLDERS = 5000
_ROOM = 0.1
_LITTLE_ROOM = 0.02


def check_local(wishes: Wishes) -> Iterator[Finding]:
    """Findings about the machine that keeps the mirror *wishes* describes."""
    yield from _check_users(wishes)
    yield from _check_rights(wishes)
    yield from _check_rsync()
    yield from _check_disk(wishes)
    yield from _check_tools(wishes)


def _say(subject: str, check: str, level: Level, text: str) -> Finding:
    return Finding(subject, check, level, text)


def _servers(wishes: Wishes) -> dict[str, int]:
    """Who serves, of the users that this machine has."""
    found = {}
    for name in dict.fromkeys((wishes.rsync_user, *SERVERS)):
        try:
            found[name] = pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    return found


def _check_users(wishes: Wishes) -> Iterator[Finding]:
    try:
        own = pwd.getpwnam(wishes.user)
    except KeyError:
        yield _say(wishes.user, "users", Level.WARNING, "no such user: who synchronizes?")
        return
    servers = _servers(wishes)
    same = [name for name, uid in servers.items() if uid == own.pw_uid]
    if own.pw_uid == 0:
        yield _say(wishes.user, "users", Level.ERROR, "synchronizes as root")
    elif same:
        yield _say(wishes.user, "users", Level.ERROR, f"synchronizes, and serves as {', '.join(same)}")
    else:
        yield _say(wishes.user, "users", Level.OK, f"synchronizes; {', '.join(servers) or 'nobody'} serves")
    try:
        group = grp.getgrnam(wishes.group)
    except KeyError:
        yield _say(wishes.group, "users", Level.WARNING, "no such group")
        return
    inside = [name for name in servers if name in group.gr_mem or pwd.getpwnam(name).pw_gid == group.gr_gid]
    if inside:
        text = f"{', '.join(inside)} is in it, and reads what is not released yet"
        yield _say(wishes.group, "users", Level.ERROR, text)


def _check_rights(wishes: Wishes) -> Iterator[Finding]:
    root = wishes.root
    try:
        top = os.stat(root)
    except OSError as error:
        yield _say(root, "rights", Level.ERROR, error.strerror or str(error))
        return
    servers = _servers(wishes)
    groups = {name: _groups_of(name) for name in servers}
    if not top.st_mode & stat.S_IXOTH or not top.st_mode & stat.S_IROTH:
        yield _say(root, "rights", Level.ERROR, "the world may not read it")
    writable: dict[str, list[str]] = {}
    hidden, server_readable = [], []
    for path, found in _folders(root):
        if found.st_mode & stat.S_IWOTH:
            writable.setdefault("anybody may write there", []).append(path)
        for name, uid in servers.items():
            if uid == found.st_uid:
                writable.setdefault(f"belongs to {name}, who serves", []).append(path)
            elif found.st_mode & stat.S_IWGRP and found.st_gid in groups[name]:
                writable.setdefault(f"{name}, who serves, may write there", []).append(path)
        if not found.st_mode & stat.S_IXOTH and path != root:
            hidden.append(path)
            if found.st_mode & stat.S_IRGRP and any(found.st_gid in each for each in groups.values()):
                server_readable.append(path)
    for text, paths in writable.items():
        yield _say(paths[0], "rights", Level.ERROR, text + _more(paths))
    if server_readable:
        text = "is hidden from the world, and readable for who serves" + _more(server_readable)
        yield _say(server_readable[0], "staged", Level.ERROR, text)
    elif hidden:
        yield _say(hidden[0], "staged", Level.OK, "is hidden" + _more(hidden))
    if not writable:
        yield _judge_owner(wishes, root, top.st_uid)


def _groups_of(name: str) -> set[int]:
    """The groups of the user *name*, who is there."""
    return set(os.getgrouplist(name, pwd.getpwnam(name).pw_gid))


def _judge_owner(wishes: Wishes, root: str, owner: int) -> Finding:
    """What it means that nobody but *owner* may write into the tree."""
    try:
        if pwd.getpwnam(wishes.user).pw_uid != owner:
            return _say(root, "rights", Level.WARNING, f"does not belong to {wishes.user}, who synchronizes")
    except KeyError:
        pass  # said already
    return _say(root, "rights", Level.OK, "readable for all, writable for who synchronizes alone")


def _more(paths: list[str]) -> str:
    return f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""


def _folders(root: str) -> Iterator[tuple[str, os.stat_result]]:
    """Folders near the top, and how they are; a synchronization may take one away meanwhile."""
    left = _FOLDERS
    for path, folders, _ in os.walk(root):
        try:
            yield path, os.stat(path)
        except OSError:
            continue
        left -= 1
        if left <= 0:
            return
        if path[len(root) :].count("/") >= _DEPTH:
            folders[:] = []


def _check_rsync() -> Iterator[Finding]:
    try:
        ran = subprocess.run(
            ["rsync", "--version"], capture_output=True, text=True, timeout=10, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        yield _say("rsync", "xxhash", Level.ERROR, "the program rsync does not run")
        return
    yield judge_rsync(ran.stdout)


def judge_rsync(text: str) -> Finding:
    """What `rsync --version` says of checksums."""
    found = re.search(r"Checksum list:\s*\n\s*(.*)", text)
    version = re.search(r"version (\S+)", text)
    name = version[1] if version else "unknown"
    known = set(found[1].split()) if found else set()
    if "xxh128" in known:
        return Finding("rsync", "xxhash", Level.OK, f"version {name} has xxh128 in its list of checksums")
    text = f"version {name} has no xxh128 in its list of checksums: comparing costs much more"
    return Finding("rsync", "xxhash", Level.WARNING, text)


def _check_disk(wishes: Wishes) -> Iterator[Finding]:
    for subject in dict.fromkeys((wishes.root, wishes.state)):
        try:
            room = os.statvfs(subject)
        except OSError:
            continue
        free = room.f_bavail / max(room.f_blocks, 1)
        files = room.f_favail / room.f_files if room.f_files else 1.0
        for share, what in ((free, "of the bytes"), (files, "of the files")):
            level = Level.ERROR if share < _LITTLE_ROOM else Level.WARNING if share < _ROOM else Level.OK
            yield _say(subject, "disk", level, f"{share:.0%} {what} are free")


def _check_tools(wishes: Wishes) -> Iterator[Finding]:
    needed = ["flock", "rsync", "find", "awk", "od"]
    needed += ["vnstat"] if wishes.interface else []
    needed += ["curl"] if wishes.staged and wishes.read_token else []
    needed += ["redirector"] if wishes.report else []
    missing = [name for name in needed if shutil.which(name) is None]
    if missing:
        yield _say("PATH", "tools", Level.WARNING, f"missing: {', '.join(missing)}")
    else:
        yield _say("PATH", "tools", Level.OK, f"{', '.join(needed)} are there")
    for secret in filter(None, (wishes.report_token, wishes.read_token, wishes.source_password)):
        try:
            mode = os.stat(secret).st_mode
        except OSError as error:
            yield _say(secret, "rights", Level.WARNING, error.strerror or str(error))
        else:
            if mode & 0o077:
                yield _say(secret, "rights", Level.ERROR, "others may read this secret: 0600 is needed")
