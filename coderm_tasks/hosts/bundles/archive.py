"""A bundle as a file: a zip whose bytes depend on nothing but its content, and a careful way back."""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec
from msgspec import Struct

from coderm_tasks.atomic import atomic_bytes
from coderm_tasks.errors import InputError

__all__ = [
    "MANIFEST",
    "FileHash",
    "Manifest",
    "is_safe_name",
    "list_files",
    "manifest_of",
    "unpack",
    "write_zip",
]

MANIFEST = "MANIFEST.json"
MOST_FILES = 20_000
MOST_BYTES = 2 << 30
"""A hundred samples and a hundred tests of a thousand problems take a tenth of this."""
_WHEN = (1980, 1, 1, 0, 0, 0)
_BLOCK = 1 << 20
_UNSOUND = (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error)
"""What zipfile ends in over a damaged file."""


class FileHash(Struct, frozen=True, kw_only=True):
    """One file of a bundle."""

    sha256: str
    bytes: int


class Manifest(Struct, frozen=True, kw_only=True):
    """``MANIFEST.json``: every other file of the bundle, by path."""

    format: int = 1
    files: dict[str, FileHash]


def manifest_of(files: Mapping[str, bytes]) -> bytes:
    """Encode the manifest of these files."""
    hashes = {
        name: FileHash(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data)) for name, data in sorted(files.items())
    }
    return msgspec.json.format(msgspec.json.encode(Manifest(files=hashes)), indent=2) + b"\n"


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """Write the files and their manifest: sorted, without times and owners, so that equal content is equal bytes.

    Raises:
        StoreError: the file cannot be written; what stood there before is untouched.
    """
    whole = {**files, MANIFEST: manifest_of(files)}
    with atomic_bytes(path) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(whole):
            info = zipfile.ZipInfo(name, _WHEN)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, whole[name])


def unpack(path: Path, folder: Path) -> None:
    """Unpack a zip that anyone may have written. Everything is checked by its table before a byte is written.

    Raises:
        InputError: no zip; names that lead out of the folder, links, doubled names, encryption, or more data than any
            bundle holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_entries(path, entries)
            for entry in entries:
                target = folder / entry.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, target.open("xb") as sink:
                    _copy(path, entry, source, sink)
    except _UNSOUND as error:
        raise InputError(f"{path}: is no sound zip file ({error}); expected a bundle; fetch it again") from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be unpacked ({error.strerror or error}); expected a bundle that coderm bundle wrote"
        ) from error


def _check_entries(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise InputError(
            f"{path}: would unpack to more than {MOST_FILES:,} files or {MOST_BYTES >> 30} GiB (a zip bomb?); "
            "expected a bundle; do not open it"
        )
    seen: set[str] = set()
    for entry in entries:
        complaint = _complaint(entry)
        if not complaint and entry.filename in seen:
            complaint = "occurs twice"
        if complaint:
            raise InputError(
                f"{path}: the entry {entry.filename!r} {complaint}; expected plain files below the "
                "bundle; do not open it"
            )
        seen.add(entry.filename)


def _complaint(entry: zipfile.ZipInfo) -> str:
    """What is wrong with an entry; empty if nothing is."""
    mode = entry.external_attr >> 16
    if not is_safe_name(entry.filename):
        return "leads out of the bundle, or is no portable name"
    if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is a link or a device"
    if entry.flag_bits & 0x1:
        return "is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed in an unusual way"
    return ""


def is_safe_name(name: str) -> bool:
    """Whether a path of a bundle stays in it, on every system: relative, no ``..``, printable, no ``\\`` or ``:``."""
    parts = name.split("/")
    plain = name.isprintable() and not any(letter in name for letter in '\\:*?"<>|')
    return plain and len(name) < 1000 and all(part not in ("", ".", "..") and len(part) < 200 for part in parts)


def _copy(path: Path, entry: zipfile.ZipInfo, source: IO[bytes], sink: IO[bytes]) -> None:
    written = 0
    while block := source.read(_BLOCK):
        written += len(block)
        if written > entry.file_size:  # the table lied
            raise InputError(f"{path}: {entry.filename!r} is longer than it says; expected a bundle; do not open it")
        sink.write(block)


def list_files(folder: Path) -> dict[str, Path]:
    """Every file below ``folder`` by its path in the bundle.

    Raises:
        InputError: a link or a special file, which a bundle does not have.
    """
    found: dict[str, Path] = {}
    for place, folders, names in os.walk(folder):
        for name in sorted((*folders, *names)):
            path = Path(place) / name
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise InputError(f"{path}: is a link or a special file; expected plain files; unpack the bundle again")
            if stat.S_ISREG(mode):
                found[str(PurePosixPath(path.relative_to(folder)))] = path
    return found
