"""The system calls a box and a cell may make. Source of the shipped seccomp programs (``make seccomp``).

Two programs, both allowlists. ``box`` binds the zygote from its first instruction; ``cell`` binds in addition every
process that runs foreign code: no process creation, no signals, no way to another process or to the network. What is
in neither list answers ENOSYS, as an older kernel would, so that libraries fall back; what is a known attack answers
EPERM; foreign architectures (32-bit, x32) kill the process.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ARCHITECTURES", "BOX_ONLY", "CELL", "DENIED", "program_name"]

ARCHITECTURES: Final = ("x86_64", "aarch64")

CELL: Final = frozenset(
    """
    access arch_prctl brk clock_getres clock_gettime clock_nanosleep close close_range dup dup2 dup3 epoll_create1
    epoll_ctl epoll_pwait epoll_wait eventfd2 exit exit_group faccessat faccessat2 fcntl fstat fstatfs futex
    getcwd getdents64 getegid geteuid getgid getgroups getitimer getpgrp getpid getppid getrandom getresgid
    getresuid getrlimit getrusage gettid gettimeofday getuid lseek lstat madvise membarrier mmap mprotect mremap
    munmap nanosleep newfstatat open openat pipe pipe2 poll ppoll pread64 preadv pselect6 pwrite64 read readlink
    readlinkat readv restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend
    rt_sigtimedwait sched_getaffinity sched_getparam sched_getscheduler sched_yield select set_robust_list
    set_tid_address setitimer sigaltstack stat statfs statx sysinfo time times umask uname wait4 waitid write
    writev alarm pause
    """.split()
)
"""Allowed to foreign code without looking at arguments. ``clone`` (threads only), ``ioctl`` (terminal state only) and
``prlimit64`` (reading only) are allowed by argument in the program's builder."""

BOX_ONLY: Final = frozenset(
    """
    capget chdir clone execve fork kill pidfd_open prctl prlimit64 seccomp setgroups setresgid setresuid setrlimit
    setsid tgkill vfork
    """.split()
)
"""What the zygote needs on top: it starts, forks, limits and kills."""

DENIED: Final = frozenset(
    """
    accept accept4 acct add_key adjtimex bind bpf capset chmod chown chroot clock_adjtime clock_settime connect
    copy_file_range creat delete_module execve execveat fallocate fanotify_init fchmod fchmodat fchown fchownat
    finit_module fork fsconfig fsmount fsopen fspick ftruncate getpeername getsockname getsockopt init_module
    inotify_init1 io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load
    keyctl kill lchown link linkat listen lookup_dcookie mbind memfd_create memfd_secret migrate_pages mkdir
    mkdirat mknod mknodat mount mount_setattr move_mount move_pages mq_open msgget name_to_handle_at
    open_by_handle_at open_tree perf_event_open personality pidfd_getfd pidfd_open pidfd_send_signal pivot_root
    prctl process_madvise process_vm_readv process_vm_writev ptrace quotactl reboot recvfrom recvmmsg recvmsg
    rename renameat renameat2 request_key rmdir rt_sigqueueinfo rt_tgsigqueueinfo sched_setaffinity seccomp semget
    sendmmsg sendmsg sendto set_mempolicy setdomainname setfsgid setfsuid setgid setgroups sethostname setns
    setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setsockopt settimeofday setuid
    shmat shmctl shmget shutdown socket socketpair swapoff swapon symlink symlinkat syslog tgkill timer_create
    tkill truncate umount2 unlink unlinkat unshare userfaultfd ustat utimensat vfork vhangup vmsplice
    """.split()
)
"""Named attacks and everything that creates, signals or talks: EPERM in a cell, whatever the arguments."""


def program_name(kind: str, architecture: str) -> str:
    """File name of a shipped program; ``kind`` is ``box`` or ``cell``."""
    return f"{kind}-{architecture}.bpf"
