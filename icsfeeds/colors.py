"""Colours of calendars: RFC 7986 §5.9 takes the names of CSS, Apple the value itself."""

_NAMES = {
    "black": 0x000000, "gray": 0x808080, "silver": 0xC0C0C0, "white": 0xFFFFFF, "maroon": 0x800000, "red": 0xFF0000,
    "crimson": 0xDC143C, "salmon": 0xFA8072, "brown": 0xA52A2A, "chocolate": 0xD2691E, "orange": 0xFFA500,
    "gold": 0xFFD700, "yellow": 0xFFFF00, "olive": 0x808000, "lime": 0x00FF00, "green": 0x008000,
    "yellowgreen": 0x9ACD32, "teal": 0x008080, "turquoise": 0x40E0D0, "aqua": 0x00FFFF, "skyblue": 0x87CEEB,
    "dodgerblue": 0x1E90FF, "royalblue": 0x4169E1, "blue": 0x0000FF, "navy": 0x000080, "purple": 0x800080,
    "orchid": 0xDA70D6, "fuchsia": 0xFF00FF, "hotpink": 0xFF69B4, "pink": 0xFFC0CB, "tan": 0xD2B48C,
}  # fmt: skip


def nearest_name(color: str) -> str:
    """The CSS name that comes nearest to `#RRGGBB`."""
    wanted = _parts(int(color.removeprefix("#"), 16))

    def distance(name: str) -> int:
        return sum((a - b) ** 2 for a, b in zip(wanted, _parts(_NAMES[name]), strict=True))

    return min(_NAMES, key=distance)


def _parts(value: int) -> tuple[int, int, int]:
    return value >> 16, value >> 8 & 0xFF, value & 0xFF
