"""Writes golden.json: what transformers makes of conversations by the templates of this folder, and what jinja2, set up as
transformers sets it up, makes of small ones.

  python3 tests/common/jinja/make_golden.py [FOLDER]     (needs: pip install jinja2==3.1.6 transformers==5.24.0)

With a FOLDER, whose templates/ holds .jinja files: FOLDER/golden.json of those. JINJA_CASES=FOLDER jinja_test then compares them: so
templates are tried that are not ours to ship.
"""
import datetime
import json
import pathlib
import random
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from transformers.utils import chat_template_utils

HERE = pathlib.Path(__file__).parent


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

    def _text(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: "2026"  # four characters; templates here print only their number
    return env


def render(source, variables):
    """The text, or None where jinja2 fails."""
    try:
        return environment().from_string(source).render(**variables)
    except Exception:
        return None


def render_chat(source, messages, **variables):
    """The same of a conversation, by the steps of apply_chat_template."""
    try:
        messages = chat_template_utils._normalize_chat_messages(messages)
        text = chat_template_utils.render_jinja_template([messages], chat_template=source, **variables)[0][0]
        return text.replace(datetime.date.today().strftime("%d %b %Y"), "01 Jan 1970")  # The test's clock stands at 0.
    except Exception:
        return None


WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city, \"now\".",
    "parameters": {"type": "object", "required": ["city"], "properties": {
        "city": {"type": "string"}, "unit": {"enum": ["°C", "°F"]},
        "days": {"type": "array", "items": {"type": "integer"}},
        "more": {"type": "object", "properties": {"b": {"type": "number"}, "a": {"type": ""}}}}}}}
TIME = {"type": "function", "function": {"name": "time", "parameters": {"type": "object", "properties": {}}}}


def call(name, arguments, id="abcdefghi"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def turn(role, content, **more):
    return {"role": role, "content": content, **more}


CONVERSATIONS = {
    "one": [turn("user", "Hello!")],
    "system": [turn("system", "Be brief.\n"), turn("user", " Hi <there>  ")],
    "turns": [turn("user", "1 + 1?"), turn("assistant", "2"), turn("user", "and 2 + 2?\n\n"), turn("assistant", " 4 "), turn("user", "thanks")],
    "unicode": [turn("system", "Ünïcode 😀"), turn("user", "日本語\u2028\u00a0x\t\u200d"), turn("assistant", "e\u0301 ß ŉ ﬁ"), turn("user", "?")],
    "thoughts": [turn("user", "a"), turn("assistant", "<think>\nhm\n</think>\n\nb"), turn("user", "c"), turn("assistant", "<think>\nwell\n</think>\n\nd")],
    "reasoning": [turn("user", "a"), turn("assistant", "b", reasoning_content="\nso\n")],
    "calls": [turn("user", "Weather?"), turn("assistant", "", tool_calls=[call("get_weather", {"city": "Köln", "days": [1, 2], "exact": True, "x": 1.5, "n": None})]),
              turn("tool", "{\"t\": 21}", tool_call_id="abcdefghi"), turn("assistant", "21 °C"), turn("user", "ok")],
    "parallel": [turn("user", "Both?"), turn("assistant", "Looking.", tool_calls=[call("get_weather", {"city": "A"}), call("time", {}, "123456789")]),
                 turn("tool", "1", tool_call_id="abcdefghi"), turn("tool", "2", tool_call_id="123456789")],
    "system late": [turn("user", "a"), turn("system", "b"), turn("user", "c")],
    "assistant first": [turn("assistant", "a"), turn("user", "b")],
    "role": [turn("critic", "a")],
    "parts": [turn("user", [{"type": "text", "text": "in parts"}])],
    "nothing": [],
    "no content": [{"role": "user"}],
    "null content": [turn("user", None)],
    "null calls": [turn("user", "a", name=None), turn("assistant", None, tool_calls=[call("time", {})], refusal=None), turn("tool", "1", tool_call_id="abcdefghi")],
    "thinking": [turn("user", "a"), turn("assistant", "b", thinking="so"), turn("user", "c"), turn("assistant", "d", reasoning="well", thinking=None)],
    "open": [turn("user", "a"), turn("assistant", " so far,  ")],
    "open parts": [turn("user", "a"), turn("assistant", [{"type": "text", "text": "in "}, {"type": "text", "text": "parts "}, {"type": "image"}])],
    "lines": [turn("user", "a\r\nb\rc\n"), turn("assistant", "\n\nx\n")],
}
SETTINGS = [{"add_generation_prompt": True}, {"add_generation_prompt": False}, {"tools": [WEATHER, TIME]},
            {"tools": [WEATHER], "tools_in_user_message": False, "date_string": "1 Jan 2027"}, {"enable_thinking": False},
            {"add_generation_prompt": False, "continue_final_message": True}]


def chat_cases(files):
    for path in files:
        source = path.read_text()
        for name, messages in CONVERSATIONS.items():
            for settings in SETTINGS:
                variables = {"add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>", **settings}
                yield {"template": path.name, "conversation": name, "settings": settings, "text": render_chat(source, messages, **variables)}


VARIABLES = {"a": 7, "b": -3, "f": 2.5, "g": -0.0, "big": 12345678901234567890, "s": "Hello, Wörld 😀!", "t": "a,b,,c ", "e": "", "w": "  one\ttwo \n three ",
             "l": [3, 1, 2], "m": ["b", "A", "c", "a"], "o": [{"x": 1, "y": "B"}, {"x": 3, "y": "a"}, {"x": 2}], "d": {"x": 1, "y": [1, 2], "z": None, "items": 5},
             "n": None, "yes": True, "no": False, "nested": {"p": {"q": [10, {"r": "deep"}]}}}

TEMPLATES = [line for line in (HERE / "expressions.txt").read_text().split("\n%%\n") if line]


ROUNDINGS = ["", "1", "2", "0, 'floor'", "1, 'ceil'"]


class RandomExpressions:
    """Expressions of a random grammar: mostly of fitting types, so that most of them are no errors."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, *options):
        option = self.random.choice(options)
        return option() if callable(option) else option

    def number(self, depth):
        if depth <= 0:
            return self.pick("a", "b", "f", "0", "2", "10", "1.5", "loop_free|length")
        sub = lambda: self.number(depth - 1)
        return self.pick(
            lambda: f"({sub()} {self.pick('+', '-', '*', '/', '//', '%')} {sub()})", lambda: f"({sub()})|abs", lambda: f"-{self.number(0)}",
            lambda: f"({sub()})|round({self.pick(*ROUNDINGS)})", lambda: f"({sub()})|int", lambda: f"({sub()})|float",
            lambda: f"({self.items(depth - 1)})|length", lambda: f"({self.text(depth - 1)})|length", lambda: f"(l|{self.pick('sum', 'min', 'max', 'first', 'last')})",
            lambda: f"{self.text(depth - 1)}.{self.pick('find', 'count', 'rfind')}({self.text(0)})", lambda: f"({sub()} if {self.truth(depth - 1)} else {sub()})",
            lambda: f"({sub()} ** 2)", lambda: f"({sub()} {self.pick('and', 'or')} {sub()})")

    def text(self, depth):
        if depth <= 0:
            return self.pick("s", "t", "e", "w", "'x'", "'é\\n'", '"o"', "','", "'l'", "' '")
        sub = lambda: self.text(depth - 1)
        index = lambda: self.pick("", "0", "1", "-1", "3", "-4", "100", "a", "b")
        return self.pick(
            lambda: f"({sub()} ~ {self.any(depth - 1)})", lambda: f"({sub()} + {sub()})", lambda: f"{sub()}[{index()}:{index()}]",
            lambda: f"{sub()}[{index()}:{index()}:{self.pick('2', '-1', '-2', '1')}]", lambda: f"({sub()})|{self.pick('upper', 'lower', 'title', 'capitalize', 'trim', 'string', 'reverse', 'e', 'wordcount')}",
            lambda: f"{sub()}.{self.pick('strip', 'upper', 'lower', 'title', 'capitalize', 'lstrip', 'rstrip')}()", lambda: f"{sub()}.strip({self.text(0)})",
            lambda: f"{sub()}.replace({self.text(0)}, {self.text(0)})", lambda: f"({self.items(depth - 1)})|join({self.text(0)})", lambda: f"({self.any(depth - 1)})|tojson",
            lambda: f"({self.any(depth - 1)})|string", lambda: f"({sub()} * {self.pick('2', '0', 'b', '3')})", lambda: f"'%s|%5s|%-4s|' % ({self.any(0)}, {sub()}, {self.number(0)})",
            lambda: f"({sub()})|replace({self.text(0)}, {self.text(0)})", lambda: f"({sub()})|indent({self.pick('2', '4, true', '1, false, true')})",
            lambda: f"({sub()})|center({self.pick('20', '21', '3')})", lambda: f"({sub()} if {self.truth(depth - 1)} else {sub()})", lambda: f"({sub()})|default({self.text(0)}, true)")

    def items(self, depth):
        if depth <= 0:
            return self.pick("l", "m", "range(4)", "[1, 2.0, 'x']", "(1, 2)", "[]", "d", "m[1:]", "[true, none]")
        sub = lambda: self.items(depth - 1)
        return self.pick(
            lambda: f"({sub()})|list", lambda: f"{self.text(depth - 1)}.split({self.pick('', lambda: self.text(0))})", lambda: f"({self.pick('l', 'm')})|sort{self.pick('', '(reverse=true)')}",
            lambda: f"({sub()})|reverse|list", lambda: f"({sub()})|map({self.pick(chr(39) + 'string' + chr(39), chr(39) + 'upper' + chr(39))})|list", lambda: f"[{self.any(depth - 1)}, {self.any(depth - 1)}]",
            lambda: f"({sub()})|select({self.pick('', chr(39) + 'string' + chr(39), chr(39) + 'number' + chr(39))})|list", lambda: f"({sub()})|unique|list", lambda: f"o|map(attribute='x')|list",
            lambda: f"o|selectattr('y', 'defined')|map(attribute='y')|list", lambda: f"d.{self.pick('keys', 'values', 'items')}()|list", lambda: f"d|dictsort", lambda: f"({sub()})|list + l",
            lambda: f"{self.text(depth - 1)}.rsplit({self.text(0)}, 1)", lambda: f"({sub()})|batch(2)|list", lambda: f"{self.text(depth - 1)}.splitlines()")

    def truth(self, depth):
        if depth <= 0:
            return self.pick("yes", "no", "n", "a", "e", "s", "l", "nope")
        sub = lambda: self.truth(depth - 1)
        return self.pick(
            lambda: f"{self.number(depth - 1)} {self.pick('<', '<=', '>', '>=', '==', '!=')} {self.number(depth - 1)}", lambda: f"({sub()} {self.pick('and', 'or')} {sub()})", lambda: f"not {sub()}",
            lambda: f"{self.text(0)} {self.pick('in', 'not in')} {self.text(depth - 1)}", lambda: f"{self.any(0)} {self.pick('in', 'not in')} ({self.items(depth - 1)})",
            lambda: f"({self.any(depth - 1)}) is {self.pick('', 'not ')}{self.pick('string', 'number', 'defined', 'none', 'mapping', 'iterable', 'sequence', 'integer', 'float', 'boolean', 'true', 'false')}",
            lambda: f"{self.text(depth - 1)}.{self.pick('startswith', 'endswith')}({self.text(0)})", lambda: f"{self.text(depth - 1)}.is{self.pick('upper', 'lower', 'digit', 'alpha', 'space', 'alnum')}()",
            lambda: f"{self.any(depth - 1)} == {self.any(depth - 1)}", lambda: f"(a is {self.pick('odd', 'even', 'divisibleby 3', 'gt 3', 'in l')})")

    def any(self, depth):
        return self.pick(lambda: self.number(depth), lambda: self.text(depth), lambda: self.items(depth), lambda: self.truth(depth), "d", "nested.p.q[1].r", "o[0]", "none", "nope", "big", "g")


def expression_cases(count):
    for source in TEMPLATES:
        yield {"source": source, "text": render(source, VARIABLES)}
    maker = RandomExpressions(7)
    made = 0
    while made < count:
        source = "{{ " + maker.any(maker.random.randint(1, 3)) + " }}"
        try:
            environment().from_string(source)
        except jinja2.exceptions.TemplateAssertionError:
            continue  # no such filter: an error to us only when it is reached
        except jinja2.exceptions.TemplateSyntaxError:
            pass
        text = render(source, VARIABLES)
        if text is None and maker.random.random() < 0.8:  # few errors
            continue
        if len(source) > 120 or (text is not None and (len(text) > 150 or " object at 0x" in text)):
            continue
        made += 1
        yield {"source": source, "text": text}


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    golden = {"made_by": f"jinja2 {jinja2.__version__}", "conversations": CONVERSATIONS, "variables": VARIABLES,
              "chats": list(chat_cases(sorted(folder.glob("templates/*.jinja")))), "expressions": list(expression_cases(2000))}
    with open(folder / "golden.json", "w") as file:
        file.write(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
