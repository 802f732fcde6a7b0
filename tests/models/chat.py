"""The two chat formats: how a conversation becomes text, in Python and as a Jinja template.

`render` and `template` of a style yield the same text; make_tokenizers.py checks that they do.
"""

import dataclasses

Messages = list[dict[str, str]]

LLAMA3_TEMPLATE = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}"
    "{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}")
CHATML_TEMPLATE = (
    "{% for message in messages %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


@dataclasses.dataclass(frozen=True)
class Style:
    """One chat format: the text around every message's content."""

    template: str  # Jinja, for tokenizer_config.json
    start: str  # before the first message
    header: str  # before a message's content; {} is the role
    end: str  # the token that ends a message, and so an answer
    gap: str  # after the end token

    def segments(self, messages: Messages) -> list[tuple[str, bool]]:
        """The conversation cut into (text, is an answer with its end token), in order."""
        parts, plain = [], self.start
        for message in messages:
            plain += self.header.format(message["role"])
            if message["role"] == "assistant":
                parts += [(plain, False), (message["content"] + self.end, True)]
                plain = self.gap
            else:
                plain += message["content"] + self.end + self.gap
        return parts + ([(plain, False)] if plain else [])

    def render(self, messages: Messages) -> str:
        """The prompt up to where the assistant's next answer begins."""
        text = "".join(part for part, _ in self.segments(messages))
        return text + self.header.format("assistant")


STYLES = {
    "regatta-dense": Style(
        LLAMA3_TEMPLATE, "<|begin_of_text|>", "<|start_header_id|>{}<|end_header_id|>\n\n",
        "<|eot_id|>", ""),
    "regatta-moe": Style(CHATML_TEMPLATE, "", "<|im_start|>{}\n", "<|im_end|>", "\n"),
}
