#!/usr/bin/env python3
"""An instruction set and preferences made of stories: python3 scripts/instructions.py STORIES OUT

STORIES is a text of stories divided by lines <|endoftext|>, such as a part of TinyStories. OUT gets
chats.jsonl (go on from a story's first sentence; the first four fifths of the stories) and
pairs.jsonl (of the rest: a story's own next two sentences are chosen, two later ones of another
story, which nobody chooses, are rejected). docs/results/finetune.md says what was learned from them.
"""
import json
import os
import re
import sys


def main():
    stories, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    told = []
    for story in open(stories, encoding="utf-8").read().split("<|endoftext|>"):
        sentences = re.findall(r"[^.!?]+[.!?]+[\"”]?", " ".join(story.split()))
        if len(sentences) > 5:
            told.append([s.strip() for s in sentences])
    cut = len(told) * 4 // 5
    with open(os.path.join(out, "chats.jsonl"), "w", encoding="utf-8") as f:
        for s in told[:cut]:
            f.write(json.dumps({"messages": [{"role": "user", "content": "Go on: " + s[0]}, {"role": "assistant", "content": " ".join(s[1:])}]}, ensure_ascii=False) + "\n")
    rest = told[cut:]
    with open(os.path.join(out, "pairs.jsonl"), "w", encoding="utf-8") as f:
        for s, other in zip(rest, rest[1:] + rest[:1]):
            f.write(json.dumps({"prompt": "Go on: " + s[0], "chosen": " ".join(s[1:3]), "rejected": " ".join(other[3:5])}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
