"""Settings as text: ``k=5,mode=ntk``. Their only writer and reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: what separates levels and axes, and so stands in none
RESERVED = ",=\n\r"


def level_text(level: Any) -> str:
    """A level as it is written everywhere: in full precision, whole numbers without a point, ``true`` or ``false``."""
    if isinstance(level, bool):
        return "true" if level else "false"
    if isinstance(level, float):
        return str(int(level)) if level.is_integer() and abs(level) < 1e16 else repr(level)
    return str(level)


def setting_string(setting: Mapping[str, Any]) -> str:
    """``{"mode": "ntk", "k": 5}`` -> ``"k=5,mode=ntk"``: axes in alphabetical order."""
    return ",".join(f"{axis}={level_text(level)}" for axis, level in sorted(setting.items()))


def parse_setting(text: str) -> dict[str, str]:
    """``"k=5,mode=ntk"`` -> ``{"k": "5", "mode": "ntk"}``.

    Raises:
        ValueError: a part without an equals sign, or an axis that stands twice.
    """
    setting: dict[str, str] = {}
    for part in text.split(",") if text else ():
        axis, sign, level = part.partition("=")
        if not (axis and sign) or "=" in level:
            raise ValueError(f"{part!r} must be written axis=level")
        if axis in setting:
            raise ValueError(f"the axis {axis!r} stands twice")
        setting[axis] = level
    return setting
