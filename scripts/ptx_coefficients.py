#!/usr/bin/env python3
"""Fits the polynomials of codegen/ptx (math.go) and prints them as Go slices, lowest power first.

Each is fitted to minimise the relative error of the function it makes up, by reweighted least squares on Chebyshev
nodes in 80-bit arithmetic (Lawson's algorithm), then rounded to float32 one coefficient at a time, lowest first, the rest
fitted again.  Needs numpy and mpmath or scipy's erf functions; nothing else of the project uses it.
"""
import numpy as np
from scipy import special

L = np.longdouble


def fit(f, lo, hi, degree, weight, fixed=(), rounds=60):
    """Coefficients c of p with weight * |p - f| about minimal on [lo, hi]; the first ones may be fixed."""
    k = np.arange(4000)
    x = (L(lo) + L(hi)) / 2 + (L(hi) - L(lo)) / 2 * np.cos(np.pi * (k + 0.5) / 4000).astype(L)
    y, w0 = f(x), weight(x)
    out = list(fixed)
    while len(out) <= degree:
        rest = range(len(out), degree + 1)
        target = y - sum(L(c) * x**i for i, c in enumerate(out))
        a = np.stack([x**i for i in rest], 1)
        w = np.ones_like(x)
        for _ in range(rounds):
            s = np.sqrt(w) * w0
            c = np.linalg.lstsq((a * s[:, None]).astype(float), (target * s).astype(float), rcond=None)[0]
            e = np.abs((a @ c.astype(L) - target) * w0)
            w = w * (e / e.max() + 1e-3)
            w /= w.sum()
        out.append(float(np.float32(c[0])))
    err = np.abs((sum(L(c) * x**i for i, c in enumerate(out)) - y) * w0).max()
    return out, float(err)


def show(name, result):
    c, err = result
    print(f"// relative error {err:.2g}")
    print(f"var {name} = []float32{{{', '.join(np.format_float_scientific(np.float32(v), unique=True, trim='-') for v in c)}}}")


def erfcx(x):
    return special.erfcx(x.astype(float)).astype(L)


# exp(r) = 1 + r + r^2 p(r) on half a binade
show("expPoly", fit(lambda r: (np.expm1(r) - r) / r**2, -0.3470, 0.3470, 4, lambda r: r**2 / np.exp(r)))
# log(1 + f) = f + f^2 p(f) on [-1/3, 1/3]
show("logPoly", fit(lambda f: (np.log1p(f) - f) / f**2, -1 / 3 - 1e-6, 1 / 3 + 1e-6, 8, lambda f: np.abs(f**2 / np.log1p(f)), fixed=[-0.5]))
# tanh(x) = x + x^3 p(x^2) below 0.6
show("tanhPoly", fit(lambda s: (np.tanh(np.sqrt(s)) / np.sqrt(s) - 1) / s, 1e-6, 0.36, 4, lambda s: s))
# erf(x) = x + x p(x^2) below 0.92
show("erfPoly", fit(lambda s: special.erf(np.sqrt(s).astype(float)).astype(L) / np.sqrt(s) - 1, 1e-5, 0.8465, 6, lambda s: 1 / (1 + 0 * s)))
# erf(x) = 1 - exp(-x q(x)) from 0.92 to 4
show("erfcPoly", fit(lambda x: -np.log(special.erfc(x.astype(float))).astype(L) / x, 0.92, 4.0, 7, lambda x: x * special.erfc(x.astype(float)).astype(L)))
