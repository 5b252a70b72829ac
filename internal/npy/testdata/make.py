#!/usr/bin/env python3
"""Writes the files that npy's tests read, with numpy itself. usage: make.py (in this folder)"""
import numpy as np
from numpy.lib import format as npf


def save(name, a, version=None):
    with open(name + ".npy", "wb") as f:
        npf.write_array(f, a, version=version)


a = np.arange(6).reshape(2, 3)
save("f4", a.astype("<f4") - 2.5)
save("f4_big_fortran", np.asfortranarray(a.astype(">f4") - 2.5))
save("f8_v2", a.astype("<f8") / 4, (2, 0))
save("f2_v3", a.astype("<f2"), (3, 0))
save("i8_big", a.astype(">i8") - 3)
save("u2_3d_fortran", np.asfortranarray(np.arange(24, dtype="<u2").reshape(2, 3, 4)))
save("bool", a % 2 == 0)
save("c8_big", (a + 1j * a.max() - 1j * a).astype(">c8"))
save("unicode_big", np.array([["héllo", ""], ["日本", "x"]]).astype(">U5"))
save("bytes", np.array([b"ab", b"", b"xyz"]))
save("scalar", np.array(7, np.int32))
save("empty", np.zeros((3, 0, 2), np.float32))
