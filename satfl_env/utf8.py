"""Text of files, which must be UTF-8."""

from __future__ import annotations


def decoded(content: bytes) -> str:
    """The text of a file, with or without a byte order mark; its lines end in a line feed alone.

    Raises:
        ValueError: If it is not UTF-8; the message names the line.
    """
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        # Positions count from after a byte order mark.
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line}: must be UTF-8 text, got byte 0x{error.object[error.start]:02x}") from error
