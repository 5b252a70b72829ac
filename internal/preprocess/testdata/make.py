#!/usr/bin/env python3
"""Writes what Pillow and numpy make of imaging's test pictures, for preprocess's tests. usage: make.py (in this folder)"""
import numpy as np
from PIL import Image, ImageOps

src = "../imaging/testdata/"
rgb = Image.open(src + "rgb.png")  # 37 x 29
mean, std = np.float64([.485, .456, .406]), np.float64([.229, .224, .225])
hwc = lambda im: np.asarray(im).astype(np.float64)


def short(im, size, crop, f):  # torchvision's Resize and CenterCrop
    w, h = im.size
    w, h = (size, int(size * h / w)) if w <= h else (int(size * w / h), size)
    im = im.resize((w, h), f)
    top, left = int(round((h - crop) / 2)), int(round((w - crop) / 2))
    return im.crop((left, top, left + crop, top + crop))


x = (hwc(short(rgb, 20, 16, Image.BILINEAR)) / 255 - mean) / std
np.save("imagenet.npy", x.transpose(2, 0, 1)[None].astype(np.float32))
x = (hwc(short(rgb, 20, 15, Image.BICUBIC)) / 255 - 127 / 255) / (128 / 255)
np.save("lite0.npy", x.transpose(2, 0, 1)[None].astype(np.float32))
x = hwc(rgb.resize((12, 10), Image.BILINEAR)) / 127.5 - 1
np.save("tensorflow.npy", x[None].astype(np.float32))
box = ImageOps.pad(rgb, (24, 24), Image.BILINEAR, (114, 114, 114))
np.save("letterbox_bgr_f16.npy", (hwc(box)[..., ::-1] / 255).astype(np.float32).astype(np.float16).transpose(2, 0, 1)[None])
np.save("grey_u8.npy", np.asarray(rgb.convert("L").resize((9, 7), Image.NEAREST))[None, None])
