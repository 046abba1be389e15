"""Writes internal/jinja/testdata/golden.json: small templates and what Jinja2, set up as
Hugging Face's transformers does it, makes of them:

    python3 golden_jinja.py OUT

A template that Jinja2 refuses has "error": true.
"""
import datetime
import json
import sys

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

VALUES = {"n": 3, "f": 1.5, "s": "Ab c\n d", "q": "it's \"x\" \\ \u00e9\u200b\n", "none": None, "yes": True, "l": [3, 1, 2], "words": ["b", "A", "c", "a"], "empty": [],
          "d": {"b": 1, "a": [1, "x", None, True, 2.0], "items_": {"k": "<&>\"\u2028"}}, "rows": [{"k": 1, "v": "x"}, {"k": 2}, {"k": 1, "v": "y", "w": {"z": 5}}],
          "messages": [{"role": "system", "content": "Be."}, {"role": "user", "content": "Hi "}, {"role": "assistant", "content": "Ho", "tool_calls": [{"name": "f", "arguments": {"x": 1}}]}]}

EXPRESSIONS = """
1 + 2 * 3 - 4 // 2|7 // 2|-7 // 2|7 // -2|-7 % 3|7 % -3|7.5 % 2|2 ** 10|2 ** -1|(-2) ** 3|1 / 2|4 / 2|1e3|1.0|10.0 ** 20|1e-5|0.1 + 0.2|1_000
-n|+n|--n|not n|not not n|n == 3.0|1 == true|'a' == 'a'|'a' < 'b'|[1, 2] < [1, 3]|1 < 2 < 3|1 < 2 > 3|3 in l|4 not in l|'b' in d|'A' in s|none is none|n is not none
'a' ~ 1 ~ none ~ true|'a' * 3|'a' 'b'|[1] + [2, 3]|(1, 2) + (3,)|(1,)|()|[]|{}|{'a': 1, 2: 'b'}|{1: 2}[1]|'x' if n else 'y'|'x' if 0|('x' if 0) is undefined
s[0]|s[-1]|s[1:]|s[:-1]|s[::-1]|s[::2]|l[1:]|l[::-1]|l[-2:]|l[5:]|l[2:0:-1]|s[10]|l[9] is defined|l[true]|d.b|d['b']|d.a[1]|d.nothing|d.nothing is defined|rows[0].v|rows.0.v
q|[q]|d|[none, true, 1.0, -0.0, 1e16, 1e15, 'x']|('it\\'s',)|["\\n\\t\\\\ \\x00 \\u00e9 \\U0001f98a"]|1e400|-1e400
s|upper|s|lower|s|title|"they're o'clock x1y"|title|s|capitalize|s|trim|' x '|trim ~ '.'|'xxaxx'|trim('x')|s|length|l|length|d|length|l|count|nothing|length
l|sort|l|sort(reverse=true)|words|sort|words|sort(case_sensitive=true)|rows|sort(attribute='k')|words|unique|list|['a', 'A', 'b']|unique|list|l|first|l|last|empty|first|l|sum|rows|sum(attribute='k')|l|min|l|max|words|max
l|join|l|join(', ')|rows|join('-', attribute='k')|l|reverse|list|s|reverse|s|list|d|list|d|items|list|d|dictsort|d|dictsort(reverse=true)|l|map('string')|list|words|map('upper')|join|rows|map(attribute='k')|list|rows|map(attribute='w.z', default=0)|list
l|select('odd')|list|l|reject('odd')|list|l|select('gt', 1)|list|l|select|list|rows|selectattr('v')|list|rows|selectattr('k', 'equalto', 1)|map(attribute='v')|list|rows|rejectattr('v', 'defined')|list|rows|selectattr('k', '==', 2)|list
nothing|default('x')|''|default('x')|''|default('x', true)|none|d('y', true)|n|default(4)|'5'|int + 1|'x'|int|'x'|int(7)|'2.7'|int|2.7|int|'1.5'|float|'z'|float|n|string + '1'|-3|abs|2.5|round|3.14159|round(2)|2.1|round(0, 'ceil')|2.9|round(method='floor')
d|tojson|d|tojson(indent=2)|q|tojson|none|tojson|[1, [2, {}], {'a': []}]|tojson(indent=4)|d|tojson(sort_keys=true)|[1, 2]|tojson(separators=(',', ':'))|1.0|tojson|'a\\nb\\n\\nc'|indent|'a\\nb'|indent(2, true)|'a\\n\\nb'|indent(2, blank=true)|'<a&"\\'>'|e|'%s-%d'|format('a', 3)
s.upper()|s.split()|s.split(' ')|'a,b,,c'.split(',')|'a,b,c'.split(',', 1)|' a  b '.split()|' a  b c '.split(none, 1)|'a.b.c'.rsplit('.', 1)|'a b  c'.rsplit(none, 1)|'a\\nb\\r\\nc\\n'.splitlines()|'a\\nb'.splitlines(true)|s.startswith('A')|s.endswith(('x', 'd'))|s.find('c')|s.find('zz')|'aXbXc'.rfind('X')
'a-b-c'.replace('-', '+')|'a-b-c'.replace('-', '+', 1)|'abc'.replace('', '.')|'xay'.strip('xy')|'  x'.lstrip() ~ '|'|'x  '.rstrip() ~ '|'|'a'.join(['1', '2'])|'abca'.count('a')|'a=b=c'.partition('=')|'a=b=c'.rpartition('=')|'pre-x'.removeprefix('pre-')|'x.y'.removesuffix('.y')|'12'.isdigit()|'ab'.isalpha()|'a1'.isalnum()|' '.isspace()|'AB'.isupper()|'7'.zfill(3)|'-7'.zfill(4)
d.items()|list|d.keys()|list|d.values()|list|d.get('b')|d.get('x')|d.get('x', 4)|l.index(2)|l.count(1)|range(3)|list|range(1, 4)|list|range(5, 0, -2)|list|range(0)|list|dict(a=1, b=2)|dict({'x': 1}, y=2)
n is number|s is string|l is sequence|d is mapping|n is integer|f is float|yes is boolean|yes is true|n is odd|4 is even|n is divisibleby 3|n is divisibleby(2)|nothing is defined|nothing is not defined|l is iterable|'a' is in 'abc'|n is eq 3|n is gt 2|n is ne(3)|'ab' is lower|'AB' is upper|range is callable|n is sameas 3|nothing is sequence
n is string or s is string|n if n is odd else 0|(n, s) | length|n|string|length|-n|abs|'a' if none else 'b' if 0 else 'c'|[1, 2][0] + 1|(l|first) + 1|n * -1|not n in l|'x'.upper().lower()|strftime_now('%d %b %Y')|strftime_now('%B %-d, %H:%M')
1 + 'a'|nothing.x|nothing()|n()|1 // 0|1 % 0|d + 1|l['a']|'a' in 3|nothing + 1|s|nofilter|n is notest|{[1]: 2}|1 < 'a'|raise_exception('no')|'abc'.index('z')|'a'.split('')|n[0]|l|tojson(bad=1)
"""

TEMPLATES = [
    "a\n{% if yes %}\n  b\n{% endif %}\nc\n", "a\n  {%- if yes -%}  \n b \n{%- endif %}\n c", "  {% if yes %}x{% endif %}  \ny", "{{ 1 }}\n{{ 2 }}\n\n", "x {# c #}\n y\n  {# d #}\nz", "a\r\nb\rc{% if 1 %}\r\nd{% endif %}",
    "{%+ if yes %}a{% endif +%}\nb", "  {%+ if yes %}a\n  {%+ endif %}\nb", "{{- 1 -}}  x {{- 2 }} {{ 3 -}} \n y", "{% if a %}1{% elif n == 3 %}2{% else %}3{% endif %}", "{% if a %}1{% elif b %}2{% else %}3{% endif %}", "\n\n{% if 1 %}\n\na{% endif %}\n\n\n",
    "{% for x in l %}{{ loop.index }}/{{ loop.length }}:{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}", "{% for x in empty %}x{% else %}none{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for (k, v) in d|dictsort %}{{ k }}{% endfor %}",
    "{% for x in l if x > 1 %}{{ loop.index0 }}{{ x }}{{ loop.first }}{{ loop.revindex }}{{ loop.revindex0 }} {% endfor %}", "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}", "{% for x in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }}{% endfor %}",
    "{% for x in l %}{% for y in l %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}", "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% if x == 2 %}{% break %}{% endif %}{% endfor %}", "{% for c in 'ab' %}{{ c }}.{% endfor %}", "{% for x in nothing %}{% else %}e{% endfor %}", "{% for x in n %}{% endfor %}",
    "{% set x = 1 %}{% for y in l %}{% set x = y %}{% endfor %}{{ x }}", "{% set ns = namespace(x=0, s='') %}{% for y in l %}{% set ns.x = ns.x + y %}{% set ns.s = ns.s ~ y %}{% endfor %}{{ ns.x }}{{ ns.s }}", "{% set a, b = 1, 2 %}{{ b }}{{ a }}", "{% set x %}a{{ n }}\n{% endset %}[{{ x }}]", "{% set x | upper %}ab{% endset %}{{ x }}",
    "{% if yes %}{% set z = 5 %}{% endif %}{{ z }}", "{% set d2 = dict(d, c=3) %}{{ d2.c }}{{ d2|length }}", "{% set l2 = l + [9] %}{{ l2 }}{{ l }}", "{% set ns = namespace() %}{% set ns.a = 1 %}{{ ns.a }}{{ ns.b }}", "{% set x = (1, 2) %}{{ x }}", "{% set x = 1, 2 %}{{ x[1] }}",
    "{% macro f(a, b='x', c=none) %}<{{ a }}{{ b }}{{ c }}>{% endmacro %}{{ f(1) }}{{ f(1, 2) }}{{ f(c=3, a=1) }}{{ f() }}", "{% macro f(x) -%}\n  {{ x }}\n{%- endmacro %}[{{ f('a') }}]", "{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}", "{% macro f() %}({{ caller() }}){% endmacro %}{% call f() %}in{{ n }}{% endcall %}",
    "{% set g = 1 %}{% macro f() %}{{ g }}{% endmacro %}{% set g = 2 %}{{ f() }}", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}", "{% macro f(a) %}{% set q2 = a %}{% endmacro %}{{ f(1) }}{{ q2 }}", "{% macro json(x) %}{{ x|tojson }}{% endmacro %}{{ json(d) }}", "{% filter upper %}a{{ s }}{% endfilter %}", "{% filter trim|length %} ab {% endfilter %}", "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% raw %}{{ x }}{% y %}{% endraw %}z", "a\n{% raw %}\n{{ x }}\n{% endraw %}\nb", "{{ '}}' }}{{ \"{%\" }}{{ {'a': {'b': 1}}['a']['b'] }}", "{% generation %}a{{ n }}{% endgeneration %}b", "{%- for m in messages -%}{{ m.role }}:{{ m['content'] | trim }}{% if m.tool_calls %}{{ m.tool_calls[0].arguments | tojson }}{% endif %}\n{% endfor %}",
    "{{ messages[0]['role'] }}{{ messages[-1].content }}{{ messages[1:]|length }}", "{% if messages[0].role != 'system' %}{{ raise_exception('x') }}{% endif %}ok", "{% if x is defined and x %}a{% endif %}{% if not x %}b{% endif %}", "{{ messages|map(attribute='role')|join(',') }}", "{{ (messages | selectattr('role', 'equalto', 'user') | list)[-1].content }}", "{{ ('<' ~ n ~ '>') * 2 }}",
    "{% for m in messages %}{% if loop.first and m.role == 'system' %}{% set sys = m.content %}{% endif %}{% endfor %}{{ sys is defined }}", "{{", "{% if %}{% endif %}", "{% if 1 %}", "{% endif %}", "{{ 1 + }}", "{{ 'a }}", "{% unknown %}", "{% break %}", "{{ (1, }}", "{% for x %}{% endfor %}", "{% set %}", "{{ a b }}", "{{ f(a=1, 2) }}", "{% set ns = 3 %}{% set ns.a = 1 %}",
]


class Generation(Extension):
    """{% generation %} prints what it holds."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(["name:endgeneration"], drop_needle=True)).set_lineno(line)


def environment():
    e = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation])

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    e.filters["tojson"] = lambda x, ensure_ascii=False, indent=None, separators=None, sort_keys=False: json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    e.globals["raise_exception"] = raise_exception
    e.globals["strftime_now"] = lambda f: datetime.datetime(2026, 3, 7, 9, 5).strftime(f)
    return e


def split(line):
    """Expressions are divided by |, but for one before the name of a filter."""
    joined, known = [], set(environment().filters) | {"nofilter"}
    for p in line.split("|"):
        name = p.split("(")[0].split(" ")[0].split("-")[0].split("+")[0].strip()
        if joined and name in known:
            joined[-1] += "|" + p
        else:
            joined.append(p)
    return joined


def main():
    e, out = environment(), []
    sources = ["{{ " + x + " }}" for line in EXPRESSIONS.strip().splitlines() for x in split(line)] + TEMPLATES
    for source in sources:
        case = {"source": source}
        try:
            case["text"] = e.from_string(source).render(**VALUES)
        except Exception:
            case["error"] = True
        out.append(case)
    with open(sys.argv[1], "w") as f:
        json.dump({"values": VALUES, "cases": out}, f, ensure_ascii=False, indent=0)
    print(len(out), sum("error" in c for c in out))


main()
