"""Compares ecospa's rendering of chat templates, byte for byte, with Jinja2 set up as
transformers does it and, where node and npm's @huggingface/jinja are there, with that:

    python3 chat.py SOURCES TEMPLATE.jinja...

SOURCES is scripts/interop. Each template is rendered with every conversation below. A
rendering that Jinja2 refuses must be refused. Prints one JSON object; exits with 1 when
anything differs from Jinja2.
"""
import datetime
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment


class Generation(Extension):
    """{% generation %} as transformers has it: here it prints what it holds."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


def environment():
    e = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation])

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    e.filters["tojson"] = tojson
    e.globals["raise_exception"] = raise_exception
    e.globals["strftime_now"] = lambda f: datetime.datetime(2026, 3, 7, 9, 5).strftime(f)
    return e


TOOL = {"type": "function", "function": {"name": "weather", "description": "The weather \"now\" in a <place>.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string", "description": "a city, é"}, "days": {"type": "integer", "enum": [1, 2]}}, "required": ["place"]}}}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"id": "abcdef123", "type": "function", "function": {"name": "weather", "arguments": {"place": "Ulm", "days": 2, "exact": True, "x": None, "f": 1.5}}}]}
SYSTEM, HI, HELLO, MORE = ({"role": "system", "content": " Be brief.\n"}, {"role": "user", "content": "Hi!  "}, {"role": "assistant", "content": "Hello\n\nthere é 🦊"}, {"role": "user", "content": "1 < 2 && 'x'\n"})
CONVERSATIONS = {
    "one": {"messages": [HI], "add_generation_prompt": True},
    "two": {"messages": [HI, HELLO], "add_generation_prompt": False},
    "system": {"messages": [SYSTEM, HI, HELLO, MORE], "add_generation_prompt": True},
    "long": {"messages": [SYSTEM, HI, HELLO, MORE, HELLO, HI, HELLO], "add_generation_prompt": False},
    "thinking": {"messages": [HI, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nAh."}, MORE, {"role": "assistant", "content": "So.", "reasoning_content": "ok\n"}], "add_generation_prompt": False},
    "no thinking": {"messages": [HI], "add_generation_prompt": True, "enable_thinking": False},
    "tools": {"messages": [SYSTEM, HI], "tools": [TOOL, TOOL], "add_generation_prompt": True},
    "call": {"messages": [HI, CALL, {"role": "tool", "name": "weather", "tool_call_id": "abcdef123", "content": "{\"c\": 21}"}, HELLO], "tools": [TOOL], "add_generation_prompt": False},
    "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": "a "}, {"type": "text", "text": "b"}]}, HELLO], "add_generation_prompt": False},
    "wrong roles": {"messages": [HI, HI, {"role": "nobody", "content": "?"}], "add_generation_prompt": False},
    "empty": {"messages": [], "add_generation_prompt": True},
}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}

NODE = """
import {Template} from "@huggingface/jinja";
import {createInterface} from "node:readline";
for await (const line of createInterface({input: process.stdin})) {
    const {template, values} = JSON.parse(line);
    try { console.log(JSON.stringify({text: new Template(template).render(values)})); }
    catch (e) { console.log(JSON.stringify({error: String(e.message)})); }
}
"""


def lines(command, text, **how):
    out = subprocess.run(command, input=text, capture_output=True, text=True, check=True, **how).stdout
    return [json.loads(s) for s in out.split("\n") if s]


def main():
    here, paths = Path(sys.argv[1]), sys.argv[2:]
    cases = [(p, name, {"template": Path(p).read_text(), "values": {**TOKENS, **c}}) for p in paths for name, c in CONVERSATIONS.items()]
    text = "".join(json.dumps(c) + "\n" for _, _, c in cases)
    with tempfile.TemporaryDirectory() as work:
        subprocess.run(["go", "build", "-o", work + "/render", "./render"], cwd=here, check=True)
        ours = lines([work + "/render"], text)
    try:
        theirs = lines(["node", "--input-type=module", "-e", NODE], text, cwd=here)
    except (OSError, subprocess.CalledProcessError):
        theirs = [None] * len(cases)
    report, bad, e = {"cases": len(cases), "same": 0, "refused": 0, "node_differs_from_jinja2": 0, "node": [], "differ": []}, False, environment()
    for (path, name, c), got, node in zip(cases, ours, theirs):
        try:
            want = {"text": e.from_string(c["template"]).render(**c["values"])}
        except Exception as x:
            want = {"error": f"{type(x).__name__}: {x}"}
        same = got.get("text") == want.get("text")
        report["same"] += same
        report["refused"] += same and "error" in want
        if node is not None and node.get("text") != want.get("text"):
            report["node_differs_from_jinja2"] += 1
            report["node"].append([path, name, (node.get("error") or node.get("text"))[:80], (want.get("error") or want.get("text"))[:80]])
        if not same:
            report["differ"].append({"template": path, "conversation": name, "ours": got, "jinja2": want, "node": node})
    print(json.dumps(report, ensure_ascii=False, indent=1))
    sys.exit(1 if report["differ"] else 0)


main()
