"""Write a file whole or not at all."""

from __future__ import annotations

import gzip
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import IO, BinaryIO, TextIO, cast

from coderm_tasks.errors import StoreError

__all__ = ["atomic_bytes", "atomic_writer", "check_writable"]


def check_writable(path: Path | str) -> None:
    """Make sure that :func:`atomic_writer` can write ``path``; called before any work is done. Leaves nothing behind.

    Raises:
        StoreError: the folder is missing or not writable, or ``path`` is not an ordinary, writable file.
    """
    target = _target(Path(path))
    stream, temporary = _temporary(target)
    stream.close()
    temporary.unlink()


@contextmanager
def atomic_writer(path: Path | str) -> Iterator[TextIO]:
    """Open ``path`` for UTF-8 text that appears whole, on leaving the block, or not at all. ``*.gz`` gets compressed.

    Raises:
        StoreError: the file cannot be written; what stood there before is untouched.
    """
    packed = _target(Path(path)).suffix == ".gz"
    with atomic_bytes(path) as stream, _text_layer(stream, packed=packed) as text:
        yield text


@contextmanager
def atomic_bytes(path: Path | str) -> Iterator[BinaryIO]:
    """Open ``path`` for bytes that appear whole, on leaving the block, or not at all.

    Raises:
        StoreError: the file cannot be written; what stood there before is untouched.
    """
    target = _target(Path(path))
    stream, temporary = _temporary(target)
    try:
        try:
            with stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            raise StoreError(
                f"{path}: cannot be written ({error.strerror or error}); free space or name another path"
            ) from error
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


@contextmanager
def _text_layer(stream: BinaryIO, *, packed: bool) -> Iterator[TextIO]:
    """UTF-8 text over ``stream``, which stays open. EvalPlus tells gzip by the name, so ``*.gz`` must hold gzip."""
    # mtime=0: same content, same bytes.
    with gzip.GzipFile("", "wb", 9, stream, mtime=0) if packed else nullcontext(stream) as binary:
        text = TextIOWrapper(cast(IO[bytes], binary), encoding="utf-8", newline="\n")
        try:
            yield text
        finally:
            text.detach()  # flushes


def _target(path: Path) -> Path:
    """Follow links, so that the file behind a link is replaced and the link stays."""
    try:
        target = path.resolve()
    except (OSError, RuntimeError) as error:
        raise StoreError(f"{path}: is a link that leads nowhere; expected a file; name another path") from error
    if target.is_dir():
        raise StoreError(f"{path}: is a folder; expected the name of a file; add one")
    if target.exists() and not target.is_file():
        raise StoreError(
            f"{path}: is a device or pipe; expected an ordinary file, which can be replaced whole; name one"
        )
    if not target.parent.is_dir():
        raise StoreError(f"{path}: its folder {target.parent} does not exist; expected a folder; create it (mkdir -p)")
    if target.exists() and not os.access(target, os.W_OK):
        raise StoreError(
            f"{path}: exists and is read-only; expected a writable file; name another path or change its mode"
        )
    return target


def _temporary(target: Path) -> tuple[BinaryIO, Path]:
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        # Not tempfile: its files are private (mode 600), and results should follow the user's umask.
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise StoreError(
            f"{target}: cannot be written ({error.strerror}); expected a writable folder with space; name another path"
        ) from error
    return os.fdopen(handle, "wb"), temporary


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable. Not every file system can sync a folder; the file's content is safe by then."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
