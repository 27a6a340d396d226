from typing import Any

import pytest
from cf_xarray.units import units as registry
from hypothesis import given
from hypothesis import strategies as st

from bigrad.labelled.units import _COMMON, _looked_up, quotient


@pytest.mark.parametrize(
    ("units", "per", "expected"),
    [
        ("K", "m", "K m-1"),
        ("m s**-1", "s", "m s-2"),
        ("m**2 s**-2", "m", "m s-2"),
        ("m", "m", "1"),
        ("1", "m", "m-1"),
        ("1", "1", "1"),
        ("%", "hPa", "% hPa-1"),
        ("m", "%", "m percent-1"),
        ("hPa", "m", "hPa m-1"),
        ("millibars", "millibar", "1"),
        ("K", "millibars", "K mbar-1"),
        ("mb", "m", "mb m-1"),
        ("kg m-2 s-1", "s", "kg m-2 s-2"),
        ("W/m^2", "m", "W m-3"),
        ("W/m²", "m", "W m-3"),
        ("m s⁻¹", "m", "s-1"),
        ("W/(m2 K)", "K", "W m-2 K-2"),
        ("J/kg/K", "m", "J kg-1 K-1 m-1"),
        ("kg.m-2.s-1", "m", "kg m-3 s-1"),
        ("K/day", "m", "K d-1 m-1"),
        ("mm day-1", "hours", "mm d-1 h-1"),
        ("degrees per day", "m", "degree d-1 m-1"),
        ("psu", "m", "psu m-1"),
        ("1e-3", "m", "0.001 m-1"),
        ("1e-3 kg", "10 m", "0.0001 kg m-1"),
        ("10^3 kg", "m", "1000 kg m-1"),
        ("100 m", "100 s", "m s-1"),
        ("degrees_north", "degrees_east", "1"),
        ("K", "degrees_north", "K degree-1"),
        ("degrees_true", "m", "degree m-1"),
        ("days since 1850-01-01", "m", "d m-1"),
        ("m", "hours since 1900-01-01 00:00:00", "m h-1"),
        ("Sv", "degree", "Sv degree-1"),
    ],
)
def test_quotients_as_cf_spells_them(units: str, per: str, expected: str) -> None:
    assert quotient(units, per) == expected


CELSIUS = "degC degree_C degrees_C deg_C celsius °C degree_Celsius degrees_celsius delta_degC"
CELSIUS_IN_WORDS = ["degrees C", "deg C", "degree Celsius", "deg K", "degrees_Celsius"]


@pytest.mark.parametrize(
    "spelling", ["K", "kelvin", "Kelvin", *CELSIUS.split(), *CELSIUS_IN_WORDS]
)
def test_differences_of_temperatures_are_in_kelvin(spelling: str) -> None:
    assert quotient(spelling, "m") == "K m-1"
    assert quotient(f"{spelling} m-1", "m") == "K m-2"
    assert quotient("m", spelling) == "m K-1"


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "0", "0 m", "-", "unknown", "none", "dB", "H2O", "mol CO2", "1e400"),
        *("m//s", "/s", "m*", "(m", "m)", "()", "m(s)", "(0 - 1)", "m - s", "K; m", "2 per"),
        *("mg C m-3", "g C m-2", "C s-1"),
        *("m0.5", "m^0.5", "m123", "m^2^3", "m2^3", "10-3 kg", "1e99^99", "1e-99^99"),
        *("K @ 273.15", "lg(re 1 mW)", "log10(m)", "since 2000-01-01", "m" * 300, "(" * 150),
    ],
)
def test_what_cannot_be_parsed_has_no_quotient(text: str) -> None:
    assert quotient(text, "m") is None
    assert quotient("K", text) is None


def test_unknown_units_have_no_quotient() -> None:
    assert quotient(None, "m") is None
    assert quotient("K", None) is None


NAMES = ["m", "metres", "km", "s", "hours", "days", "K", "hPa", "millibars", "pascal", "kg", "g"]
NAMES += ["degrees_north", "radians", "percent", "J", "watts", "mol", "knots", "psu", "micrograms"]


@st.composite
def products(draw: Any) -> str:
    """Units that pint and UDUNITS read alike."""
    factors = draw(
        st.lists(st.tuples(st.sampled_from(NAMES), st.integers(-3, 3)), min_size=1, max_size=3)
    )
    scale = draw(st.sampled_from(["", "", "100 ", "1e-3 ", "0.5 "]))
    power = draw(st.sampled_from(["**{}", "{}", "^{}"]))
    joint = draw(st.sampled_from([" ", "*", " * "]))
    return str(scale + joint.join(name + power.format(n) for name, n in factors))


@given(products(), products())
def test_pint_agrees(units: str, per: str) -> None:
    found = quotient(units, per)
    assert found is not None
    known: Any = registry
    expected = (known.parse_expression(units) / known.parse_expression(per)).to_base_units()
    actual = known.Quantity(1, "") * known.parse_expression(found)
    ratio = (actual / expected).to_base_units()
    assert ratio.dimensionless
    assert ratio.magnitude == pytest.approx(1.0, rel=1e-12)


@given(products(), products())
def test_a_quotient_can_be_read_again(units: str, per: str) -> None:
    once = quotient(units, per)
    assert once is not None
    assert quotient(once, "1") == once
    assert quotient(once, once) == "1"


def test_the_users_registry_stays_the_users() -> None:
    import pint

    import bigrad.labelled.units as module

    before = pint.application_registry.get()
    mine: Any = pint.UnitRegistry()
    try:
        pint.set_application_registry(mine)
        module._registry.cache_clear()
        assert quotient("nautical_mile", "fortnight") == "nautical_mile fortnight-1"
        assert pint.application_registry.get() is mine
    finally:
        pint.set_application_registry(before)


@pytest.mark.parametrize("name", sorted(_COMMON))
def test_common_units_are_what_the_registry_has(name: str) -> None:
    assert _COMMON[name] == _looked_up(name)
