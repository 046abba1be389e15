#!/usr/bin/env python3
"""Golden numbers of resized and cut pictures, by Pillow (as the image processors of transformers call it).

    /usr/bin/python3 scripts/golden_pictures.py > pkg/data/testdata/pictures/pillow.json

A picture is w x h pixels of colour(x, y); a case says what is done to it and which bytes come out, row by row.
"""
import json
import PIL
from PIL import Image


def colour(x, y):
    """Between 64 and 191: Pillow cuts off what a filter makes of more at each of its two passes, others once."""
    return tuple(64 + v % 128 for v in (37 * x + 11 * y, 5 * x * x + 29 * y, 13 * x ^ 41 * y))


def picture(w, h):
    m = Image.new("RGB", (w, h))
    m.putdata([colour(x, y) for y in range(h) for x in range(w)])
    return m


def centre(m, h, w):
    """transformers.image_transforms.center_crop: black where the picture is smaller."""
    out, top, left = Image.new("RGB", (w, h)), (m.height - h) // 2, (m.width - w) // 2
    out.paste(m, (-left, -top))
    return out


cases = []
for resample in (0, 1, 2, 3, 5):
    for w, h in ((13, 7), (5, 4), (9, 21)):
        cases.append(dict(w=w, h=h, height=8, width=8, resample=resample))
for w, h in ((13, 7), (7, 13), (5, 5)):
    cases.append(dict(w=w, h=h, shortest=9, resample=3, crop=8))
    cases.append(dict(w=w, h=h, shortest=8, resample=2, crop=8))
    cases.append(dict(w=w, h=h, crop=8))
for c in cases:
    m = picture(c["w"], c["h"])
    if "height" in c:
        m = m.resize((c["width"], c["height"]), c["resample"])
    if "shortest" in c:
        s, w, h = c["shortest"], c["w"], c["h"]
        m = m.resize((s, int(s * h / w)) if w <= h else (int(s * w / h), s), c["resample"])
    if "crop" in c:
        m = centre(m, c["crop"], c["crop"])
    c["pixels"] = list(m.tobytes())
print(json.dumps({"pillow": PIL.__version__, "cases": cases}, separators=(",", ":")))
