"""Double-double arithmetic: a number as the unevaluated sum of two floats, about 106 bits.

Running sums kept this way can be subtracted from each other without losing what a float can hold.
After T. J. Dekker (1971) and D. E. Knuth, The Art of Computer Programming 2, 4.2.2.
"""

from __future__ import annotations

from penstock.engine.kernels.compiled import fma, step


@step
def two_sum(a: float, b: float) -> tuple[float, float]:
    """``a + b`` rounded, and what rounding lost."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


@step
def quick_sum(a: float, b: float) -> tuple[float, float]:
    """As `two_sum`, for ``abs(a) >= abs(b)``."""
    total = a + b
    return total, b - (total - a)


@step
def two_product(a: float, b: float) -> tuple[float, float]:
    """``a * b`` rounded, and what rounding lost."""
    product = a * b
    return product, fma(a, b, -product)


@step
def add(high: float, low: float, more_high: float, more_low: float) -> tuple[float, float]:
    """The sum of two double-doubles."""
    total, lost = two_sum(high, more_high)
    small, smaller = two_sum(low, more_low)
    total, lost = quick_sum(total, lost + small)
    return quick_sum(total, lost + smaller)


@step
def subtract(high: float, low: float, less_high: float, less_low: float) -> tuple[float, float]:
    """The difference of two double-doubles."""
    return add(high, low, -less_high, -less_low)


@step
def scale(high: float, low: float, factor: float) -> tuple[float, float]:
    """A double-double times a float."""
    product, lost = two_product(high, factor)
    return quick_sum(product, lost + low * factor)


@step
def multiply(high: float, low: float, by_high: float, by_low: float) -> tuple[float, float]:
    """The product of two double-doubles."""
    product, lost = two_product(high, by_high)
    return quick_sum(product, lost + (high * by_low + low * by_high))


@step
def divide(high: float, low: float, by_high: float, by_low: float) -> tuple[float, float]:
    """The quotient of two double-doubles."""
    quotient = high / by_high
    product, lost = multiply(quotient, 0.0, by_high, by_low)
    rest, _ = subtract(high, low, product, lost)
    return quick_sum(quotient, rest / by_high)
