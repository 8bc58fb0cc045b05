"""System calls that a cell must not have, one attack each, asked for directly, past Python and the C library."""

from __future__ import annotations

import platform

from escape_attack import DENIED, KERNEL, LIFTED, NEVER_PASS, Attack

__all__ = ["ATTACKS"]

# name: number on x86-64, number on aarch64 (from the kernel's tables)
_NUMBERS = {
    "unshare": (272, 97), "setns": (308, 268), "clone3": (435, 435), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "fsopen": (430, 430), "open_tree": (428, 428),
    "move_mount": (429, 429), "mount_setattr": (442, 442), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "bpf": (321, 280), "perf_event_open": (298, 241), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "userfaultfd": (323, 282), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "process_madvise": (440, 440), "kcmp": (312, 272), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "kill": (62, 129), "tkill": (200, 130),
    "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "setuid": (105, 146), "setresuid": (117, 147),
    "setgid": (106, 144), "setgroups": (116, 159), "capset": (126, 91), "prctl": (157, 167), "seccomp": (317, 277),
    "personality": (135, 92), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "openat2": (437, 437), "memfd_create": (319, 279), "memfd_secret": (447, 447), "execve": (59, 221),
    "execveat": (322, 281), "socket": (41, 198), "socketpair": (53, 199), "shmget": (29, 194), "semget": (64, 190),
    "msgget": (68, 186), "mq_open": (240, 180), "inotify_init1": (294, 26), "fanotify_init": (300, 262),
    "timer_create": (222, 107), "settimeofday": (164, 170), "clock_settime": (227, 112), "syslog": (103, 116),
    "reboot": (169, 142), "swapon": (167, 224), "init_module": (175, 105), "finit_module": (313, 273),
    "kexec_load": (246, 104), "acct": (163, 89), "vmsplice": (278, 75), "splice": (275, 76), "mbind": (237, 235),
    "landlock_create_ruleset": (444, 444), "setpgid": (109, 154), "sethostname": (170, 161),
}  # fmt: skip
_COLUMN = 0 if platform.machine() == "x86_64" else 1


def _refused(name: str) -> Attack:
    number = _NUMBERS[name][_COLUMN]
    return Attack(
        name=f"system call {name}",
        kind="kernel",
        solution=f"{KERNEL}\ndef f(x):\n    return refused({number}, 0, 0, 0, 0, 0)\n",
        expected=DENIED,
        modes=(LIFTED,),
    )


def _kernel(name: str, body: str, expected: str = DENIED, machine: str = "") -> Attack:
    source = f"{KERNEL}\ndef f(x):\n{body}"
    return Attack(name=name, kind="kernel", solution=source, expected=expected, modes=(LIFTED,), machine=machine)


_CLONE = _NUMBERS["unshare"][_COLUMN] * 0 + (56, 220)[_COLUMN]
_PRLIMIT = (302, 261)[_COLUMN]
_NAMESPACES = f"""
    answers = [refused({_CLONE}, flag | 17, 0, 0, 0, 0) for flag in
               (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)]
    return 2 if answers == [2] * 7 else answers
"""
_THREAD_FLAGS = f"""
    # A thread's flags together with a new namespace's.
    return refused({_CLONE}, 0x50F00 | 0x10000000, 0, 0, 0, 0)
"""
_TIOCSTI = """
    answers = [call(@IOCTL@, number, request, ctypes.create_string_buffer(b"x" * 64))[1]
               for number in (0, 1, 2, 3, 4) for request in (0x5412, 0x541C, 0x5423, 0x5415)]
    return 2 if set(answers) <= {"EPERM", "ENOSYS"} else answers
""".replace("@IOCTL@", str((16, 29)[_COLUMN]))
_PRLIMIT_OTHER = f"""
    limits = (ctypes.c_ulong * 2)(0, 0)
    return refused({_PRLIMIT}, 1, 0, ctypes.byref(limits), 0)
"""
_SIGNAL_BY_PIPE = """
    # Ask the kernel to signal process 1 whenever a pipe can be read: F_SETOWN, F_SETSIG, O_ASYNC.
    import fcntl, signal
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGSEGV, signal.SIGALRM):
        read, write = os.pipe()
        try:
            fcntl.fcntl(read, fcntl.F_SETOWN, 1)
            fcntl.fcntl(read, 10, number)
            fcntl.fcntl(read, fcntl.F_SETFL, fcntl.fcntl(read, fcntl.F_GETFL) | 0x2000)
            os.write(write, b"x")
        except OSError:
            pass
        os.close(read), os.close(write)
    return 2
"""
_MACHINE_CODE = """
    import mmap
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex("{code}"))
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    ctypes.CFUNCTYPE(ctypes.c_long)(address)()
    return 2
"""
_INT80 = "b814000000cd80c3"  # mov eax, 20 (getpid of i386); int 0x80; ret
_X32 = "b827000040" + "0f05c3"  # mov eax, 0x40000027 (getpid of x32); syscall; ret

ATTACKS: tuple[Attack, ...] = (
    *(_refused(name) for name in _NUMBERS),
    _kernel("clone with new namespaces", _NAMESPACES),
    _kernel("a thread in a new user namespace", _THREAD_FLAGS),
    _kernel("TIOCSTI and its kin on every descriptor", _TIOCSTI),
    _kernel("set the zygote's limits", _PRLIMIT_OTHER),
    _kernel("signal the zygote through a pipe's owner", _SIGNAL_BY_PIPE),
    _kernel("32-bit system calls", _MACHINE_CODE.format(code=_INT80), NEVER_PASS, "x86_64"),
    _kernel("x32 system calls", _MACHINE_CODE.format(code=_X32), NEVER_PASS, "x86_64"),
)
