#!/usr/bin/env python3
"""Writes small pictures and what Pillow makes of them, for imaging's tests. usage: make.py (in this folder)"""
import numpy as np
from PIL import Image, ImageOps

rng = np.random.default_rng(4)
y, x = np.mgrid[0:29, 0:37].astype(float)
rgb = np.stack([x * 6, y * 8, 255 - x * 3 - y * 4], -1)
rgb[(x - 20) ** 2 + (y - 12) ** 2 < 60] = (230, 20, 40)
rgb[18:26, 4:14] = (10, 240, 30)
rgb = np.clip(rgb + rng.normal(0, 6, rgb.shape), 0, 255).astype(np.uint8)
im = Image.fromarray(rgb)
a = im.copy(); a.putalpha(Image.fromarray((x * 7 % 256).astype(np.uint8)))


def put(name, image, **kw):
    image.save(name, **kw)
    got = ImageOps.exif_transpose(Image.open(name))
    np.save(name + ".npy", np.asarray(got if got.mode == "L" else got.convert("RGB")))


put("rgb.png", im)
put("alpha.png", a)
put("grey.png", im.convert("L"))
put("palette.png", im.quantize(32))
put("still.gif", im.quantize(64))
put("plain.bmp", im)
put("s420.jpg", im, quality=85, subsampling=2)
put("s422.jpg", im, quality=85, subsampling=1)
put("s444.jpg", im, quality=85, subsampling=0)
put("progressive.jpg", im, quality=85, progressive=True)
put("grey.jpg", im.convert("L"), quality=90)
put("lossy.webp", im, quality=80)
put("lossless.webp", im, lossless=True)
put("alpha.webp", a, quality=80, exact=True)
for o in range(1, 9):
    e = Image.Exif(); e[0x112] = o
    im.crop((14, 6, 28, 16)).save(f"orient{o}.png", exif=e)
    np.save(f"orient{o}.png.npy", np.asarray(ImageOps.exif_transpose(Image.open(f"orient{o}.png"))))
for suffix in ("jpg", "webp"):
    e = Image.Exif(); e[0x112] = 6
    put(f"orient6.{suffix}", im, exif=e, **({"lossless": True} if suffix == "webp" else {"quality": 90, "subsampling": 0}))
for name, f in (("nearest", Image.NEAREST), ("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
    for w, h in ((16, 11), (50, 41), (37, 10), (74, 29), (3, 60)):
        np.save(f"resize_{name}_{w}x{h}.npy", np.asarray(im.resize((w, h), f)))
        np.save(f"resizegrey_{name}_{w}x{h}.npy", np.asarray(im.convert("L").resize((w, h), f)))
