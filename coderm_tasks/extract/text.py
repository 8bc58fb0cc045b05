"""What surrounds code in a model's answer: byte order marks, reasoning sections, prose and Markdown fences."""

from __future__ import annotations

import re
import textwrap

from msgspec import Struct

from coderm_tasks.extract.source import parse

__all__ = ["MAX_CHARS", "Block", "blocks", "is_python", "normalise"]

MAX_CHARS = 100_000
"""Text beyond this, reasoning aside, is not looked at: a bound on the time that an answer takes."""

_THINK = r"think(?:ing)?|thought|reasoning"
_OPEN_THINK = re.compile(rf"^[ \t]*<({_THINK})>", re.IGNORECASE | re.MULTILINE)
_CLOSE_THINK = re.compile(rf"</(?:{_THINK})>[ \t]*(?=\n|$|```|[A-Z*#])", re.IGNORECASE)
_FENCE = re.compile(r"^(?P<indent>[ \t]*)(?:>[ ]?)?(?P<mark>`{3,}|~{3,})(?P<info>[^`\n]*)$")
_TAIL_FENCE = re.compile(r"^(?P<code>.*\S)[ \t]*`{3,}[ \t]*$")
_CODE_IN_INFO = re.compile(
    r"^(?:(?P<language>[\w+#.-]+)[ \t]+)?(?P<code>(?:def|class|import|from|assert|async|@)[ \t]*\S.*)$"
)
_PYTHON = frozenset({"", "python", "python3", "py", "py3", "python2", "ipython", "ipython3", "pycon", "sage", "code"})
_REACH = 4  # how many closing fences a block may span when the nearest one cuts it in two


class Block(Struct, frozen=True):
    """One fenced block."""

    code: str
    language: str
    """The info string's first word, lower case; empty if there is none."""
    closed: bool
    """False where the text ends before the closing fence."""


def normalise(text: str) -> str:
    """Cut to :data:`MAX_CHARS`; drop the byte order mark, NUL, other newlines than ``\\n`` and reasoning sections."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\ufeff", "").replace("\u200b", "").replace("\0", "")
    text = text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates cannot be parsed
    return _without_reasoning(text)[:MAX_CHARS]


def _without_reasoning(text: str) -> str:
    # Chat templates may open the section in the prompt, so that an answer only holds its end.
    closings = list(_CLOSE_THINK.finditer(text))
    if closings and (not _OPEN_THINK.search(text) or _OPEN_THINK.match(text.lstrip())):
        text = text[closings[-1].end() :]
    kept, at = [], 0
    while opening := _OPEN_THINK.search(text, at):
        kept.append(text[at : opening.start()])
        closing = _CLOSE_THINK.search(text, opening.end())
        if closing is None:  # cut off while reasoning: what follows is no answer
            return "".join(kept)
        at = closing.end()
    return "".join([*kept, text[at:]])


def is_python(block: Block) -> bool:
    """Whether the block is marked as Python, or not marked at all."""
    return block.language in _PYTHON


def blocks(text: str) -> list[Block]:
    """Fenced blocks in order. A fence inside a block's own string does not end it if the code then parses better.

    Nested fences: an opening fence inside a block (``markdown`` around ``python``) ends the outer block.
    """
    lines = text.split("\n")
    found: list[Block] = []
    at = 0
    while at < len(lines):
        match = _FENCE.match(lines[at])
        if match is None:
            at += 1
            continue
        block, at = _read_block(lines, at, match)
        if block.code.strip():
            found.append(block)
    return found


def _read_block(lines: list[str], at: int, opening: re.Match[str]) -> tuple[Block, int]:
    """The block opened on line ``at`` and the line to go on from."""
    info = opening["info"].strip()
    first: list[str] = []
    if code := _CODE_IN_INFO.match(info):
        info, first = code["language"] or "", [code["code"]]
    language = info.split()[0].lower().strip("{}.") if info.split() else ""
    width = len(opening["indent"].expandtabs(4))
    fallback: tuple[Block, int] | None = None
    for end, kind, tail in _ends(lines, at + 1, opening["mark"]):
        body = first + [_dedent(line, width) for line in lines[at + 1 : end]] + tail
        block = Block(textwrap.dedent("\n".join(body)), language, kind != "end")
        following = end if kind == "open" else end + 1
        if parse(block.code) is not None:
            return block, following
        if fallback is None:
            fallback = block, following
    assert fallback is not None  # _ends yields at least the end of the text
    return fallback


def _ends(lines: list[str], start: int, mark: str) -> list[tuple[int, str, list[str]]]:
    """Where the block may end, nearest first: (line, ``close`` | ``open`` | ``end``, code on the closing line)."""
    ends: list[tuple[int, str, list[str]]] = []
    for number in range(start, len(lines)):
        line = lines[number]
        if "```" not in line and "~~~" not in line:
            continue
        fence = _FENCE.match(line)
        if fence and fence["mark"][0] == mark[0] and len(fence["mark"]) >= len(mark) and not fence["info"].strip():
            ends.append((number, "close", []))
        elif fence and fence["info"].strip():
            ends.append((number, "open", []))
        elif mark[0] == "`" and (tail := _TAIL_FENCE.match(line)):
            ends.append((number, "close", [tail["code"]]))
        if len(ends) == _REACH:
            return ends
    if not ends:
        ends.append((len(lines), "end", []))
    return ends


def _dedent(line: str, width: int) -> str:
    """Without the opening fence's own indentation."""
    return line[width:] if width and line[:width].isspace() else line
