"""The units of a derivative: a quotient in CF spelling, or nothing where that is uncertain."""

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

__all__ = ["quotient"]

# Common units whose names CF data spell in many ways, by pint's name for them. The two
# temperature scales become the units of their differences, of which a derivative is one; and a
# difference of latitudes does not point north. Other units stay as the user spells them.
_SYMBOLS = {
    "bar": "bar",
    "day": "d",
    "degree": "degree",
    "degree_Celsius": "K",
    "degrees": "degree",
    "degrees_east": "degree",
    "degrees_north": "degree",
    "delta_degree_Celsius": "K",
    "delta_degree_Fahrenheit": "degR",
    "gram": "g",
    "hertz": "Hz",
    "hour": "h",
    "joule": "J",
    "kelvin": "K",
    "meter": "m",
    "minute": "min",
    "mole": "mol",
    "newton": "N",
    "pascal": "Pa",
    "percent": "%",
    "practical_salinity_unit": "psu",
    "radian": "rad",
    "second": "s",
    "steradian": "sr",
    "volt": "V",
    "watt": "W",
}

# Spellings that UDUNITS or users know, and the registry does not.
_SPELLINGS = {
    "%": "%",
    "Kelvin": "K",
    "Kelvins": "K",
    "degree_true": "degree",
    "degrees_true": "degree",
    "dimensionless": "",
}

# What most data is in, so that most reading of units does not wait for the registry to load,
# which takes longer than many a computation.
_COMMON = {
    "K": "K",
    "Pa": "Pa",
    "degC": "K",
    "degree": "degree",
    "degree_east": "degree",
    "degree_north": "degree",
    "degrees": "degree",
    "degrees_east": "degree",
    "degrees_north": "degree",
    "days": "d",
    "hPa": "hPa",
    "hours": "h",
    "kg": "kg",
    "km": "km",
    "m": "m",
    "mm": "mm",
    "s": "s",
    "seconds": "s",
}

# Symbols that not every reader takes an exponent after: pint's `%-1` is a subtraction.
_WORDS = {"%": "percent"}

# Temperatures in as many words, or with as many letters, as there are archives.
_DEGREES_OF = re.compile(r"\bdeg(?:rees?)?[ _](C|F|K)(?:elsius|ahrenheit|elvin)?\b", re.IGNORECASE)

# Text beyond these is damaged, not a unit.
_LONGEST = 200
_SMALLEST, _LARGEST = Fraction(1, 10**99), Fraction(10**99)

_SUPERSCRIPTS = str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789")

_TOKEN = re.compile(
    r"""
    (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,2}(?!\d))?)
    | (?P<name>(?:[^\W\d]|[%°])+)(?P<power>[+-]?\d{1,2}(?!\d|\.\d))?
    | \s*(?:\*\*|\^)\s*(?P<raised>[+-]?\d{1,2})(?!\d|\.\d)
    | (?P<divided>\s*/\s*|\s+per\s+)
    | (?P<times>\s*[*·]\s*|\.(?!\d)|\s+)
    | (?P<open>\(\s*)
    | (?P<close>\s*\))
    """,
    re.VERBOSE,
)


class _UnknownUnitError(ValueError):
    """Text is not surely a unit."""


@dataclass(frozen=True)
class _Unit:
    """A number times powers of symbols, in the order that they were written in."""

    scale: Fraction
    powers: tuple[tuple[str, int], ...] = ()

    def times(self, other: "_Unit", power: int) -> "_Unit":
        powers = dict(self.powers)
        for symbol, exponent in other.powers:
            powers[symbol] = powers.get(symbol, 0) + power * exponent
        return _Unit(self.scale * other.scale**power, tuple(powers.items()))

    def spelt(self) -> str:
        if not _SMALLEST < self.scale < _LARGEST:
            raise _UnknownUnitError(self)
        words = [] if self.scale == 1 else [repr(float(self.scale)).removesuffix(".0")]
        for symbol, power in self.powers:
            if power:
                words.append(symbol if power == 1 else f"{_WORDS.get(symbol, symbol)}{power}")
        return " ".join(words) or "1"


_ONE = _Unit(Fraction(1))


def quotient(units: str | None, per: str | None) -> str | None:
    """Units of a difference of one quantity per difference of another.

    Origins drop out of differences: degrees Celsius become kelvins, and ``days since ...``
    become days.

    Parameters
    ----------
    units, per : str or None
        The units of the two quantities as found: CF's, or with ``**``, ``^`` and ``/``.

    Returns
    -------
    str or None
        The quotient as CF spells it; None where either is unknown or cannot be parsed.

    Notes
    -----
    The grammar is that of UDUNITS for products, quotients and powers. Names are known from the
    tables of this module, else to the registry of cf-xarray, which is loaded when one is looked
    up there; a name that is in neither has no quotient.

    Examples
    --------
    >>> quotient("degC", "m")
    'K m-1'
    >>> quotient("m**2 s**-2", "degrees_north")
    'm2 s-2 degree-1'
    >>> quotient("hPa", "hours since 1900-01-01")
    'hPa h-1'
    >>> quotient("(0 - 1)", "m") is None
    True
    """
    if units is None or per is None:
        return None
    try:
        return _parse(units).times(_parse(per), -1).spelt()
    except _UnknownUnitError:
        return None


@cache
def _parse(text: str) -> _Unit:
    stripped = re.split(r"\s+since\s+", text.strip(), maxsplit=1)[0]
    stripped = _DEGREES_OF.sub(lambda found: f"deg{found[1].upper()}", stripped)
    if not stripped or len(stripped) > _LONGEST:
        raise _UnknownUnitError(text)
    raised = re.sub(
        "[⁺⁻⁰¹²³⁴-⁹]+", lambda found: "^" + found[0].translate(_SUPERSCRIPTS), stripped
    )
    tokens = list(_tokens(raised))
    if len(tokens) > 1 and any(token["name"] == "C" for token in tokens):
        raise _UnknownUnitError(text)  # alone it is Celsius, in a product carbon or coulombs
    unit, end = _product(tokens, 0)
    if end is not None:
        raise _UnknownUnitError(text)
    return unit


def _tokens(text: str) -> Iterator[re.Match[str]]:
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise _UnknownUnitError(text)
        yield token
        place = token.end()


def _product(tokens: list[re.Match[str]], at: int) -> tuple[_Unit, int | None]:
    """Read a product up to a closing parenthesis, whose place is returned, or to the end."""
    total, factor, sign, raised = _ONE, None, 1, False
    while at < len(tokens):
        token = tokens[at]
        kind = token.lastgroup
        if kind == "raised":
            if factor is None or raised:
                raise _UnknownUnitError(token.string)
            factor = _ONE.times(factor, int(token["raised"]))
            raised = True
        elif kind in ("times", "divided"):
            if factor is None:
                raise _UnknownUnitError(token.string)
            total, factor, raised = total.times(factor, sign), None, False
            sign = -1 if kind == "divided" else 1
        elif kind == "close":
            break
        elif factor is not None:
            raise _UnknownUnitError(token.string)
        elif kind == "open":
            factor, close = _product(tokens, at + 1)
            if close is None:
                raise _UnknownUnitError(token.string)
            at = close
        else:
            factor, raised = _factor(token), bool(token["power"])
        at += 1
    if factor is None:
        msg = "nothing where a unit should be"
        raise _UnknownUnitError(msg)
    return total.times(factor, sign), at if at < len(tokens) else None


def _factor(token: re.Match[str]) -> _Unit:
    if token["number"]:
        scale = Fraction(token["number"])
        if not scale:
            raise _UnknownUnitError(token.string)
        return _Unit(scale)
    symbol = _symbol(token["name"])
    return _Unit(Fraction(1), ((symbol, int(token["power"] or 1)),)) if symbol else _ONE


def _symbol(name: str) -> str:
    """Symbol of a unit; the name itself where it is no common one."""
    known = _COMMON.get(name, _SPELLINGS.get(name))
    return _looked_up(name) if known is None else known


def _looked_up(name: str) -> str:
    """Symbol of a unit by the registry."""
    registry = _registry()
    known = registry.parse_unit_name(name)
    if not known:
        raise _UnknownUnitError(name)
    prefix, unit, _ = known[0]
    if unit in _SYMBOLS and not prefix:
        return _SYMBOLS[unit]
    if registry.Quantity(0, prefix + unit).to_base_units().magnitude:
        # Its zero is not zero, as with decibels: the units of its differences are uncertain.
        raise _UnknownUnitError(name)
    # Only a prefix that is spelt out is sure to be one: `mb` is a millibar, which pint takes
    # for a millibarn, and stays as it is.
    if unit in _SYMBOLS and name.startswith(prefix):
        symbol = str(registry.get_symbol(prefix + unit))
        return symbol if symbol.isascii() else name
    return name


@cache
def _registry() -> Any:
    import pint

    # That import makes its registry the one that all of pint uses. Which one that is, is the
    # user's choice, and the reading of an attribute should not change it.
    users = pint.application_registry.get()
    with warnings.catch_warnings():
        # Without matplotlib, cf-xarray warns that its registry will not help with plots.
        warnings.simplefilter("ignore", UserWarning)
        from cf_xarray.units import units
    pint.set_application_registry(users)
    return units
