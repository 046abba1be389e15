#!/usr/bin/env python3
"""Writes a text corpus: the sources of Go's and Python's standard libraries.

usage: sources.py GO_SRC PYTHON_LIB OUT.jsonl [HELD.jsonl]     (say /usr/local/go/src /usr/lib/python3.11)

A line is a file, {"text": ...}, in an order that a seed decides, each text once. Generated
tables are left out: files above 256 KiB, and those of which more than a third is digits.
The last 300 files are left out of OUT where HELD is given, which has 512 characters from
the middle of each of them.
"""
import hashlib
import json
import pathlib
import random
import sys


HELD = 300  # files
EXCERPT = 512  # characters


def texts(root, pattern):
    for path in sorted(pathlib.Path(root).rglob(pattern)):
        if not path.is_file() or "testdata" in path.parts or path.stat().st_size > 256 << 10:
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        digits = sum(c.isdigit() for c in text)
        if "�" not in text and len(text) > 256 and 3 * digits < len(text):
            yield text


def middle(text):
    at = max(0, (len(text) - EXCERPT) // 2)
    return text[at : at + EXCERPT]


def write(path, texts):
    lines = [json.dumps({"text": text}) for text in texts]
    pathlib.Path(path).write_text("\n".join(lines) + "\n")
    print(path, len(lines), "files,", sum(map(len, lines)), "bytes")


def main():
    go, python, out, *held = sys.argv[1:]
    seen, files = set(), []
    for text in [*texts(go, "*.go"), *texts(python, "*.py")]:
        digest = hashlib.sha256(text.encode()).digest()
        if digest not in seen:
            seen.add(digest)
            files.append(text)
    random.Random(1).shuffle(files)
    if held:
        write(held[0], [middle(text) for text in files[-HELD:]])
        del files[-HELD:]
    write(out, files)


if __name__ == "__main__":
    main()
