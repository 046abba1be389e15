#!/usr/bin/env python3
"""Writes a text corpus: the sources of Go's and Python's standard libraries.

usage: sources.py GO_SRC PYTHON_LIB OUT.jsonl     (say /usr/local/go/src /usr/lib/python3.11)

A line is a file, {"text": ...}, in an order that a seed decides, each text once. Generated
tables are left out: files above 256 KiB, and those of which more than a third is digits.
"""
import hashlib
import json
import pathlib
import random
import sys


def texts(root, pattern):
    for path in sorted(pathlib.Path(root).rglob(pattern)):
        if not path.is_file() or "testdata" in path.parts or path.stat().st_size > 256 << 10:
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        digits = sum(c.isdigit() for c in text)
        if "�" not in text and len(text) > 256 and 3 * digits < len(text):
            yield text


def main():
    go, python, out = sys.argv[1:]
    seen, lines = set(), []
    for text in [*texts(go, "*.go"), *texts(python, "*.py")]:
        digest = hashlib.sha256(text.encode()).digest()
        if digest not in seen:
            seen.add(digest)
            lines.append(json.dumps({"text": text}))
    random.Random(1).shuffle(lines)
    pathlib.Path(out).write_text("\n".join(lines) + "\n")
    print(len(lines), "files,", sum(map(len, lines)), "bytes")


if __name__ == "__main__":
    main()
