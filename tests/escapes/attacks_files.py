"""Files of the host, its environment, other processes of the box and of the host."""

from __future__ import annotations

from escape_attack import DENIED, KERNEL, LIFTED, SHARED, SPLIT, Attack

__all__ = ["ATTACKS"]

ALL = (LIFTED, SPLIT, SHARED)


def _blocked(name: str, action: str, kind: str = "files", modes: tuple[str, ...] = (LIFTED,)) -> Attack:
    source = f"{KERNEL}\ndef f(x):\n    return blocked(lambda: {action})\n"
    return Attack(name=name, kind=kind, solution=source, expected=DENIED, modes=modes)


def _lists(name: str, body: str, kind: str = "files", modes: tuple[str, ...] = (LIFTED,)) -> Attack:
    return Attack(name=name, kind=kind, solution=f"{KERNEL}\ndef f(x):\n{body}", expected=DENIED, modes=modes)


_WALK = """
    seen = []
    for folder, folders, files in os.walk("/"):
        for name in files:
            path = os.path.join(folder, name)
            try:
                with open(path, "rb") as file:
                    if b"@SECRET" b"-TEXT@" in file.read(1 << 20) and "urandom" not in path:
                        seen.append(path)
            except OSError:
                pass
        folders[:] = [name for name in folders if name not in ("lib", "packages")]
    return seen or 2
"""
_WRITABLE = """
    made = []
    for folder in [item[0] for item in os.walk("/")][:4000]:
        path = os.path.join(folder, "@ESCAPED@")
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o666))
            made.append(path)
        except OSError:
            pass
    return made or 2
"""
_OVERWRITE = """
    import json
    changed = []
    for path in (json.__file__, os.__file__, "/box/inside/wire.py", "/box/inside/unit.py", "/box-filter.bpf"):
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND, os.O_RDONLY | os.O_TRUNC):
            try:
                os.close(os.open(path, flags))
                changed.append(path)
            except OSError:
                pass
    return changed or 2
"""
_PROC = """
    found = [path for path in ("/proc/self/fd", "/proc/1/environ", "/proc/1/maps", "/sys/kernel", "/proc")
             if os.path.exists(path)]
    return found or 2
"""
_ENVIRONMENT = """
    known = {"PYTHONHASHSEED", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "LC_ALL", "LC_CTYPE", "HOME", "PWD"}
    extra = sorted(set(os.environ) - known)
    return extra or (2 if "@SECRET@" not in "".join(os.environ.values()) else "the secret is there")
"""
_DESCRIPTORS = """
    import stat
    open_ones = []
    for number in range(5, 4096):
        try:
            open_ones.append((number, stat.S_IFMT(os.fstat(number).st_mode)))
        except OSError:
            pass
    return open_ones or 2
"""
_NULL_ONLY = """
    kinds = [os.path.samestat(os.fstat(number), os.stat("/dev/null")) for number in (0, 1, 2)]
    return 2 if all(kinds) else kinds
"""
_DEVICES = """
    names = sorted(os.listdir("/dev"))
    return 2 if names == ["null", "urandom"] else names
"""
_IDENTITY = """
    groups = [group for group in os.getgroups() if group != 65534]
    users, owned = set(os.getresuid()), set(os.getresgid())
    alone = len(users) == 1 and not users & set(range(1000)) and owned == {65534} and not groups
    return 2 if alone and os.uname().nodename == "box" else [users, owned, groups]
"""
_RAISE_LIMITS = """
    import resource
    # Python reports EPERM here as a ValueError.
    return blocked(lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)), OSError, ValueError)
"""
_IMPORTED = """
    import importlib
    got = []
    for name in ("msgspec", "torch", "executor", "coderm_tasks", "lm_eval", "evalplus", "pytest"):
        try:
            importlib.import_module(name)
            got.append(name)
        except ImportError:
            pass
    return got or 2
"""

ATTACKS: tuple[Attack, ...] = (
    _blocked("read /etc/passwd", 'open("/etc/passwd").read()', modes=ALL),
    _blocked("read /etc/hostname", 'open("/etc/hostname").read()'),
    _blocked("read a file of the host by its path", 'open("@SECRET_FILE@").read()', modes=ALL),
    _blocked("read the repository", 'open("@REPOSITORY@/pyproject.toml").read()'),
    _blocked("list the home directory's files", 'open(os.path.expanduser("~root/.bashrc")).read()'),
    _blocked("climb out with ..", 'open("/box/inside/../../../../../../../../etc/passwd").read()'),
    _blocked("climb out of the library with ..", 'open(os.__file__ + "/../../../../../../../etc/passwd").read()'),
    _blocked("plant a symbolic link", 'os.symlink("/etc/passwd", "/box/link")'),
    _blocked("plant a hard link", 'os.link(os.__file__, "/box/link")'),
    _blocked("make a folder", 'os.mkdir("/@ESCAPED@")'),
    _blocked("write to the root", 'open("/@ESCAPED@", "w")', modes=ALL),
    _blocked("write to /tmp", 'open("/tmp/@ESCAPED@", "w")'),
    _blocked("write to /dev/shm", 'open("/dev/shm/@ESCAPED@", "w")'),
    _blocked("write to the standard library", 'open(os.__file__, "a")'),
    _blocked("write beside the judge", 'open("/box/inside/judge.py", "w")', modes=ALL),
    _blocked("truncate the standard library", "os.truncate(os.__file__, 0)"),
    _blocked("change a mode", "os.chmod(os.__file__, 0o777)"),
    _blocked("change a mode by descriptor", "os.fchmod(os.open(os.__file__, 0), 0o777)"),
    _blocked("change an owner", "os.chown(os.__file__, 0, 0)"),
    _blocked("remove a file", "os.unlink(os.__file__)"),
    _blocked("rename a file", 'os.rename(os.__file__, os.__file__ + "@ESCAPED@")'),
    _blocked("set times", "os.utime(os.__file__, (0, 0))"),
    _blocked("make a device", 'os.mknod("/dev/@ESCAPED@", 0o20666, os.makedev(1, 1))'),
    _blocked("make a fifo", 'os.mkfifo("/@ESCAPED@")'),
    _blocked("take a lease on a file", "__import__('fcntl').fcntl(os.open(os.__file__, 0), 1024, 1)"),
    _blocked("a temporary file", "__import__('tempfile').TemporaryFile()"),
    _blocked("an anonymous file", 'os.memfd_create("x")'),
    _lists("look for the secret in every readable file", _WALK),
    _lists("write in every folder", _WRITABLE),
    _lists("overwrite what the box runs", _OVERWRITE),
    _lists("read the environment", _ENVIRONMENT, modes=ALL),
    _lists("devices beside null and urandom", _DEVICES),
    _lists("import the harness and its packages", _IMPORTED, modes=ALL),
    _lists("/proc and /sys", _PROC, kind="processes", modes=ALL),
    _lists("inherited descriptors", _DESCRIPTORS, kind="processes", modes=ALL),
    _lists("standard streams that lead out", _NULL_ONLY, kind="processes", modes=ALL),
    _lists("be somebody", _IDENTITY, kind="processes", modes=ALL),
    _blocked("fork", "os.fork()", kind="processes", modes=ALL),
    _blocked("spawn a program", '__import__("subprocess").run([__import__("sys").executable, "-c", "1"])', "processes"),
    _blocked("a shell", 'os.execv("/bin/sh", ["sh"])', kind="processes"),
    _blocked("posix_spawn", 'os.posix_spawn("/bin/true", ["true"], {})', kind="processes"),
    _blocked("a process pool", '__import__("multiprocessing").Process(target=print).start()', kind="processes"),
    _blocked("kill the zygote", "os.kill(1, 9)", kind="processes", modes=ALL),
    _blocked("stop the zygote", "os.kill(1, 19)", kind="processes"),
    _blocked("kill everything", "os.kill(-1, 9)", kind="processes", modes=ALL),
    _blocked("kill the own group", "os.killpg(0, 9)", kind="processes"),
    _blocked("a new session", "os.setsid()", kind="survivors"),
    _blocked("a double fork that sets a session", "os.fork() or os.setsid() or os.fork()", kind="survivors", modes=ALL),
    _lists("raise the own limits", _RAISE_LIMITS, kind="processes"),
    _blocked("change priority", "os.setpriority(0, 0, -20)", kind="processes"),
    _blocked("change processors", "os.sched_setaffinity(0, {0})", kind="processes"),
    _blocked("a TCP connection", '__import__("socket").create_connection(("127.0.0.1", 80), 1)', "network", ALL),
    _blocked("a UDP datagram", '__import__("socket").socket(2, 2).sendto(b"x", ("127.0.0.1", 53))', "network"),
    _blocked("DNS", '__import__("socket").getaddrinfo("example.com", 80)', "network"),
    _blocked("a listener on loopback", '__import__("socket").create_server(("127.0.0.1", 0))', "network"),
    _blocked("an abstract unix socket", '__import__("socket").socket(1, 1).bind("\\0coderm")', "network"),
    _blocked("a pair of sockets", '__import__("socket").socketpair()', "network"),
    _blocked("a netlink socket", '__import__("socket").socket(16, 3)', "network"),
    _blocked("a vsock socket", '__import__("socket").socket(40, 1)', "network"),
    _blocked("a raw packet socket", '__import__("socket").socket(17, 3)', "network"),
    _blocked("fetch a page", '__import__("urllib.request").request.urlopen("http://127.0.0.1/", timeout=1)', "network"),
)
