"""What does an activation give, and how steep is it there? ELU, ReLU and GELU as polynomials in the lanes.

A call to the C library for each lane would cost more than the convolution before it.
"""

import math

import numpy as np
from llvmlite import ir
from numpy.polynomial import chebyshev
from scipy.special import erfcx

from .lanes import Body
from .plan import Activation


def applied(body: Body, activation: Activation, x: ir.Value) -> tuple[ir.Value, ir.Value | None]:
    """f(x); and f'(x) where `slope` cannot tell it from f(x)."""
    zero = body.lanes.constant(0)
    if activation.kind == "relu":
        return body.choose("<=", x, zero, zero, x), None  # NaN stays NaN
    if activation.kind == "elu":
        below = body.b.fmul(body.lanes.constant(activation.alpha), exponential(body, x, minus_one=True))
        return body.choose("<=", x, zero, below, x), None
    if activation.kind == "gelu":
        return _gelu(body, x)
    return x, None


def slope(body: Body, activation: Activation, y: ir.Value) -> ir.Value | None:
    """f'(x) from y = f(x), of ELU. None: f' = 1."""
    if activation.kind != "elu":
        return None
    one, alpha = body.lanes.constant(1), body.lanes.constant(activation.alpha)
    return body.choose("<=", y, body.lanes.constant(0), body.b.fadd(y, alpha), one)


def backward(body: Body, activation: Activation, g: ir.Value, y: ir.Value, steepness: ir.Value | None) -> ir.Value:
    """Gradient before the activation from the one after it, g; y is its output."""
    if activation.kind == "relu":
        zero = body.lanes.constant(0)
        return body.choose("<=", y, zero, zero, g)
    factor = steepness if steepness is not None else slope(body, activation, y)
    return g if factor is None else body.b.fmul(g, factor)


def exponential(body: Body, x: ir.Value, minus_one: bool) -> ir.Value:
    """exp(x) or exp(x) - 1, for x <= 0; x > 0 counts as 0.

    x = m ln 2 + r with |r| <= ln(2)/2, then exp(x) - 1 = 2^m (exp(r) - 1) + (2^m - 1) with Taylor's series.
    """
    b, lanes = body.b, body.lanes
    least, terms = (-708.0, 14) if lanes.double else (-87.0, 8)
    x = body.choose(">", x, lanes.constant(least), x, lanes.constant(least))
    x = body.choose("<", x, lanes.constant(0), x, lanes.constant(0))
    m = body.call("rint", b.fmul(x, lanes.constant(1 / math.log(2))))
    # ln 2 in two parts, of which the first has so few digits that m times it is exact
    high = 0.693359375 if not lanes.double else float.fromhex("0x1.62e42fee00000p-1")
    low = -2.12194440e-4 if not lanes.double else 1.9082149292705877e-10
    r = body.fma(m, lanes.constant(-high), x)
    r = body.fma(m, lanes.constant(-low), r)
    q = lanes.constant(1 / math.factorial(terms - 1))
    for i in range(terms - 2, 0, -1):
        q = body.fma(q, r, lanes.constant(1 / math.factorial(i)))
    q = b.fmul(q, r)  # exp(r) - 1
    mantissa, bias = (52, 1023) if lanes.double else (23, 127)
    whole = b.fptosi(m, lanes.integers)
    each = lanes.integers.element
    bits = b.shl(
        b.add(whole, ir.Constant(lanes.integers, [each(bias)] * lanes.width)),
        ir.Constant(lanes.integers, [each(mantissa)] * lanes.width),
    )
    power = b.bitcast(bits, lanes.vector)  # 2^m
    rest = b.fsub(power, lanes.constant(1)) if minus_one else power
    return body.fma(power, q, rest)


def _gelu(body: Body, x: ir.Value) -> tuple[ir.Value, ir.Value]:
    """y = x P(x) and y' = P(x) + x p(x), with P and p the normal distribution and its density.

    P(-|x|) = exp(-x^2/2) erfcx(|x|/sqrt 2) / 2, and the scaled complementary error function erfcx is u times a
    Chebyshev series in u = 2 / (2 + |x|/sqrt 2), which lies in (0, 1].
    """
    b, lanes = body.b, body.lanes
    z = b.fmul(body.call("fabs", x), lanes.constant(math.sqrt(0.5)))
    u = b.fdiv(lanes.constant(2), b.fadd(lanes.constant(2), z))
    v = b.fsub(b.fmul(u, lanes.constant(2)), lanes.constant(1))  # in (-1, 1]
    tail = b.fmul(_series(body, _erfcx(27 if lanes.double else 12), v), b.fmul(u, lanes.constant(0.5)))
    density = exponential(body, b.fneg(b.fmul(z, z)), minus_one=False)  # sqrt(2 pi) p(x)
    below = b.fmul(density, tail)  # P(-|x|)
    p = body.choose("<=", x, lanes.constant(0), below, b.fsub(lanes.constant(1), below))
    steep = body.fma(b.fmul(x, lanes.constant(1 / math.sqrt(2 * math.pi))), density, p)
    return b.fmul(x, p), steep


def _series(body: Body, coefficients: np.ndarray, v: ir.Value) -> ir.Value:
    """Chebyshev's series by Clenshaw's recurrence."""
    twice = body.b.fmul(v, body.lanes.constant(2))
    one, two = body.lanes.constant(0), body.lanes.constant(0)
    for c in coefficients[:0:-1]:
        one, two = body.fma(twice, one, body.b.fsub(body.lanes.constant(c), two)), one
    return body.fma(v, one, body.b.fsub(body.lanes.constant(coefficients[0]), two))


def _erfcx(terms: int) -> np.ndarray:
    """Coefficients of erfcx(z) / u over v = 2u - 1, u = 2 / (2 + z)."""

    def over(v: np.ndarray) -> np.ndarray:
        u = (v + 1) / 2
        return erfcx(2 / u - 2) / u

    return chebyshev.chebinterpolate(over, terms - 1)
