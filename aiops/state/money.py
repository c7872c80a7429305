"""Money is a whole number of nano-dollars: sums are exact, in Python, SQLite, Postgres, Lua and LMDB alike.

The largest amount is 9 quadrillion nano-dollars (nine million dollars), which a double of Lua still counts exactly.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

NANO = 1_000_000_000
MOST = 2**53 - 1


def nano(dollars: float | int | str | Decimal) -> int:
    """US dollars to nano-dollars, the half to the even one. Raises ValueError for what is no amount, or too large."""
    try:
        amount = Decimal(str(dollars)) * NANO
        whole = int(amount.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
    except (InvalidOperation, OverflowError, ValueError) as error:
        raise ValueError(f"{dollars!r} is no amount of money") from error
    if abs(whole) > MOST:
        raise ValueError(f"{dollars} dollars are more than can be counted")
    return whole


def dollars(nanos: int) -> float:
    """For JSON in LiteLLM's shapes, whose amounts are floats."""
    return nanos / NANO


def shown(nanos: int) -> str:
    """For people: ``$12.50``, ``$0.000031``."""
    sign, whole = ("-" if nanos < 0 else ""), abs(nanos)
    units, rest = divmod(whole, NANO)
    fraction = f"{rest:09d}".rstrip("0").ljust(2, "0")
    return f"{sign}${units:,}.{fraction}"
