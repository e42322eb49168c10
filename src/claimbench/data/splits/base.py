"""What a split protocol is: parameters with defaults and limits, the data it takes, and how it cuts them.

Importing this package reads no data and needs nothing but the standard library, because plans are made with it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from claimbench.errors import UserError, nearest
from claimbench.files import digest

if TYPE_CHECKING:
    from claimbench.data.entries import Entry

Arrays = dict[str, Any]
Parts = tuple[Arrays, Arrays]
"""What fit may see, and what only score may see."""


def parameter(default: Any, ok: Callable[[Any], bool], allowed: str) -> Any:
    """A field of a protocol that ``split`` in paper.yaml may set.

    Args:
        default: for a split that leaves it out.
        ok: whether a value is allowed.
        allowed: the same in words, for the message and the documentation.
    """
    return dataclasses.field(default=default, metadata={"ok": ok, "allowed": allowed})


def count(default: int | None, least: int = 1, allowed: str = "a number of samples") -> Any:
    """An integer of at least ``least``; None only where it is the default."""
    return parameter(default, lambda value: (value is None and default is None) or is_count(value, least), allowed)


def fraction(default: float) -> Any:
    """A number strictly between 0 and 1."""
    return parameter(default, is_fraction, "a fraction between 0 and 1")


def word(default: str, *allowed: str) -> Any:
    """One of some words."""
    return parameter(default, lambda value: value in allowed, " or ".join(allowed))


def is_count(value: Any, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def is_fraction(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1


def is_percentage(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 100


@dataclass(frozen=True, kw_only=True)
class Split:
    """A protocol with its parameters, the fields of the class.

    A protocol is a subclass, itself a frozen dataclass, with a ``name`` and :meth:`cut`. Its docstring's first sentence
    and its fields are its documentation.

    Raises:
        UserError: a parameter out of range.
    """

    name: ClassVar[str]
    #: raised whenever :meth:`cut` gives something else for the same parameters
    version: ClassVar[int | str] = 1
    one_for_all_seeds: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, value := tuple(value))
            if not field.metadata["ok"](value):
                shown = list(value) if isinstance(value, tuple) else value
                raise UserError(f"{field.name} is {shown!r}; allowed: {field.metadata['allowed']}")

    def refuses(self, entry: Entry) -> str:
        """Why this protocol cannot cut a dataset, as ``needs a graph``; empty when the entry tells no reason."""
        raise NotImplementedError

    def cut(self, arrays: Arrays, index: int) -> Parts:
        """What fit may see of split ``index``, and what only score may see beside it.

        Args:
            arrays: all that the loader gives, apart from inputs that are cut by rows.
            index: number of the run (its seed), from 0.

        Returns:
            Arrays by name for each. ``rows`` in the parts are the samples whose inputs the part gets; those of the
            second part, and ``test_rows`` of the first, arrive with ``test_`` before their names.

        Raises:
            UserError: the dataset cannot be cut so; the message goes on after the name of dataset and protocol.
        """
        raise NotImplementedError

    @property
    def withholds(self) -> tuple[str, ...]:
        """Arrays that fit does not get whole, because :meth:`cut` gives parts of them."""
        return ()

    @property
    def parameters(self) -> dict[str, Any]:
        """The protocol and all its parameters; ``queries`` only when visible, as before there was that word."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if values.get("queries") == "hidden":
            del values["queries"]
        return {"protocol": self.name, **values}

    def key(self, index: int) -> str:
        """Name of the files of one split, for example ``kfold-3-1f0c5a2e``."""
        index = 0 if self.one_for_all_seeds else index
        return f"{self.name}-{index}-{digest([self.version, self.parameters])[:8]}"


def make(split: Mapping[str, Any], protocols: Mapping[str, type[Split]], where: str = "split") -> Split:
    """The split that a mapping of paper.yaml describes.

    Args:
        split: ``protocol`` and its parameters; what is left out has its default.
        protocols: the protocols that may be named, by name.
        where: file and key, for messages.

    Raises:
        UserError: no or an unknown protocol, an unknown parameter, or a value that is not allowed.
    """
    if "protocol" not in split:
        raise UserError(f"{where} names no protocol; allowed: {', '.join(sorted(protocols))}")
    name = split["protocol"]
    if not isinstance(name, str) or name not in protocols:
        raise UserError(f"{where}.protocol is {name!r} ({nearest(str(name), protocols)})")
    known = [field.name for field in dataclasses.fields(protocols[name])]
    for key in split:
        if key != "protocol" and key not in known:
            raise UserError(f"{where} ({name}) has the unknown key {key!r} ({nearest(str(key), ['protocol', *known])})")
    try:
        return protocols[name](**{key: value for key, value in split.items() if key != "protocol"})
    except UserError as error:
        raise UserError(f"{where} ({name}): {error}") from error
