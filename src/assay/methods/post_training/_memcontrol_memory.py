"""What is remembered, how far an answer leans on it, and the switch (memory control, 2601.05107)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

LEVELS = (1, 2, 3, 4, 5)


@dataclass(frozen=True)
class Memory:
    """Remembered texts by where they come from: who the user is, earlier sessions, and this session so far."""

    profile: tuple[str, ...] = ()
    inter_session: tuple[str, ...] = ()
    intra_session: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All of it, the oldest first."""
        return (*self.profile, *self.inter_session, *self.intra_session)

    def __bool__(self) -> bool:
        return any(text.strip() for text in self.texts)

    def shown(self) -> str:
        """The memory as a part of a prompt; "(none)" where there is none."""
        return "\n".join(f"- {text}" for text in self.texts) or "(none)"

    def to_dict(self) -> dict[str, list[str]]:
        return {name: list(getattr(self, name)) for name in self.__dataclass_fields__}


def read_memory(given: Memory | Mapping[str, Any] | Sequence[str] | str) -> Memory:
    """A memory from a text, a list of texts, or an object of lists "profile", "inter_session", "intra_session".

    Raises ValueError for anything else. A plain text or list is taken for earlier sessions.
    """
    if isinstance(given, Memory):
        return given
    if isinstance(given, str):
        return Memory(inter_session=(given,) if given.strip() else ())
    if isinstance(given, Mapping):
        unknown = set(given) - set(Memory.__dataclass_fields__)
        if unknown:
            raise ValueError(f"memory: got the field {min(unknown)!r}, wanted {', '.join(Memory.__dataclass_fields__)}")
        return Memory(**{name: _texts(value) for name, value in given.items()})
    return Memory(inter_session=_texts(given))


def _texts(given: Any) -> tuple[str, ...]:
    if not isinstance(given, (list, tuple)) or not all(isinstance(text, str) for text in given):
        raise ValueError(f"memory: got {str(given)[:60]!r}, wanted a list of texts")
    return tuple(given)


class MDScore(Protocol):
    """How far a response leans on the memory: 1, not at all, to 5, on nothing else. 1 without a memory."""

    async def __call__(self, query: str, memory: Memory, response: str) -> int: ...


def check_level(name: str, level: Any) -> int:
    """`level` as it came; ValueError unless it is a whole number from 1 to 5."""
    if isinstance(level, bool) or level not in LEVELS:
        raise ValueError(f"{name}: got {level!r}, wanted a whole number from 1 to 5")
    return int(level)


def mask_memory(memory: Memory, level: int, shown_from: int = 3) -> Memory:
    """The switch that memory control is measured against: all memory from level `shown_from` on, below it none."""
    check_level("level", level)
    check_level("shown_from", shown_from)
    return memory if level >= shown_from else Memory()
