"""Shut this process in: which folders it may read, which it may write to, which TCP ports it may use.

Landlock is a part of the Linux kernel (5.13 and later) that needs no root. What a process gives up it cannot have
back, and neither can any process that it starts. Python has no functions for it, so these are the three system calls.
"""

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on every processor
VERSION = 1  # a flag: asks which version of Landlock there is
PATH_RULE, PORT_RULE = 1, 2
NO_NEW_PRIVILEGES = 38  # for prctl; a process must promise it first

EXECUTE, READ_FILE, READ_DIR = 1 << 0, 1 << 2, 1 << 3
WRITE_FILE, TRUNCATE, DEVICE_CONTROL = 1 << 1, 1 << 14, 1 << 15
ON_FILES = EXECUTE | READ_FILE | WRITE_FILE | TRUNCATE | DEVICE_CONTROL  # the rest means something for folders only
READ = EXECUTE | READ_FILE | READ_DIR
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many rights on files each version knows; later ones 16
BIND_TCP, CONNECT_TCP = 1, 2
OUTSIDE = 3  # abstract sockets of other processes, and signals to them


class Ruleset(ctypes.Structure):
    """What is forbidden unless a rule allows it."""

    _fields_ = (("files", ctypes.c_uint64), ("ports", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class PathRule(ctypes.Structure):
    """Rights on a file, or on a folder and all it holds."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("opened", ctypes.c_int32))


class PortRule(ctypes.Structure):
    """Rights on a TCP port."""

    _fields_ = (("rights", ctypes.c_uint64), ("port", ctypes.c_uint64))


def version() -> int:
    """Return the version of Landlock here: 0 where there is none; ports need 4, signals 6."""
    if sys.platform != "linux":
        return 0
    found: int = ctypes.CDLL(None).syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION)
    return max(0, found)


def shut_in(*, read: Iterable[Path], write: Iterable[Path], ports: Iterable[int]) -> None:
    """Allow this process only to read below ``read``, to do all below ``write``, and to listen on TCP ``ports``.

    Paths that do not exist are passed over. Threads that run already are not shut in: call this before any starts.

    Raises:
        OSError: Landlock refused.
    """
    known = version()
    every = (1 << RIGHTS.get(known, 16)) - 1
    rules = Ruleset(every, BIND_TCP | CONNECT_TCP if known >= 4 else 0, OUTSIDE if known >= 6 else 0)
    ruleset = _call(CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(ctypes.sizeof(rules)), 0)
    for paths, rights in ((read, READ), (write, every)):
        for path in paths:
            if path.exists():
                opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
                rule = PathRule(rights & every & (-1 if path.is_dir() else ON_FILES), opened)
                _call(ADD_RULE, ruleset, PATH_RULE, ctypes.byref(rule), 0)
                os.close(opened)
    if known >= 4:
        for port in ports:
            _call(ADD_RULE, ruleset, PORT_RULE, ctypes.byref(PortRule(BIND_TCP, port)), 0)
    if ctypes.CDLL(None, use_errno=True).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl refused")
    _call(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _call(number: int, *arguments: object) -> int:
    result: int = ctypes.CDLL(None, use_errno=True).syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock refused ({os.strerror(ctypes.get_errno())})")
    return result
