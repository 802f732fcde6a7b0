#!/usr/bin/env python3
"""Trains both byte-level BPE tokenizers and writes their Hugging Face files.

Each has 1024 entries: 256 bytes, merges learnt from the training text, special tokens at the end.
Numbers are split into digits while merges are learnt, so no entry holds two digits.
"""

import argparse
import dataclasses
import json
import pathlib

import jinja2
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

import chat
import make_data

VOCABULARY = 1024
CONTEXT = 1024
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+")
LLAMA3_PATTERN = QWEN2_PATTERN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")


@dataclasses.dataclass(frozen=True)
class Family:
    """What sets one tokenizer apart from the other."""

    pattern: str
    specials: tuple[str, ...]
    bos: str | None
    eos: str
    pad: str
    nfc: bool
    ignore_merges: bool


FAMILIES = {
    "regatta-dense": Family(
        LLAMA3_PATTERN,
        ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
         "<|eot_id|>"),
        "<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>", nfc=False, ignore_merges=True),
    "regatta-moe": Family(
        QWEN2_PATTERN, ("<|endoftext|>", "<|im_start|>", "<|im_end|>"), None, "<|im_end|>",
        "<|endoftext|>", nfc=True, ignore_merges=False),
}


def _split(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(tokenizers.Regex(pattern), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def corpus(conversations: int) -> list[str]:
    """The contents and roles of training messages, without special tokens."""
    source = make_data.conversations("tokenizer")
    texts = []
    for _ in range(conversations):
        messages = next(source)
        texts += [m["role"] for m in messages] + [m["content"] for m in messages]
    return texts


def train(name: str, texts: list[str]) -> tokenizers.Tokenizer:
    """The tokenizer of one model."""
    family = FAMILIES[name]
    tokenizer = tokenizers.Tokenizer(models.BPE(ignore_merges=family.ignore_merges))
    if family.nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = _split(QWEN2_PATTERN)
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(family.specials), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.pre_tokenizer = _split(family.pattern)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(family.specials))
    byte_level = processors.ByteLevel(trim_offsets=False)
    if family.bos:
        bos = (family.bos, tokenizer.token_to_id(family.bos))
        tokenizer.post_processor = processors.Sequence([
            byte_level,
            processors.TemplateProcessing(
                single=f"{family.bos} $A",
                pair=f"{family.bos} $A {family.bos}:1 $B:1", special_tokens=[bos])])
    else:
        tokenizer.post_processor = byte_level
    return tokenizer


def check(name: str, tokenizer: tokenizers.Tokenizer) -> None:
    """Asserts size, digits, and that templates and segment-wise encoding agree."""
    family, style = FAMILIES[name], chat.STYLES[name]
    vocabulary = tokenizer.get_vocab()
    assert sorted(vocabulary.values()) == list(range(VOCABULARY)), len(vocabulary)
    assert all(sum(c.isdigit() for c in entry) <= 1 for entry in vocabulary)
    template = jinja2.Environment().from_string(style.template)
    source = make_data.conversations("check")
    for _ in range(500):
        messages = next(source)
        text = style.render(messages[:-1])
        assert text == template.render(
            messages=messages[:-1], bos_token=family.bos, add_generation_prompt=True)
        pieces = [tokenizer.encode(part, add_special_tokens=False).ids
                  for part, _ in style.segments(messages)]
        whole = "".join(part for part, _ in style.segments(messages))
        assert sum(pieces, []) == tokenizer.encode(whole, add_special_tokens=False).ids
        assert tokenizer.decode(sum(pieces, []), skip_special_tokens=False) == whole


def _write_json(path: pathlib.Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write(name: str, tokenizer: tokenizers.Tokenizer, folder: pathlib.Path) -> None:
    """tokenizer.json, tokenizer_config.json and special_tokens_map.json."""
    family = FAMILIES[name]
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {key: token for key, token in (
        ("bos_token", family.bos), ("eos_token", family.eos), ("pad_token", family.pad)) if token}
    added = {str(tokenizer.token_to_id(token)): {
        "content": token, "lstrip": False, "normalized": False, "rstrip": False,
        "single_word": False, "special": True} for token in family.specials}
    _write_json(folder / "tokenizer_config.json", {
        "added_tokens_decoder": added, **named,
        "chat_template": chat.STYLES[name].template, "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"], "model_max_length": CONTEXT,
        "tokenizer_class": "PreTrainedTokenizerFast"})
    _write_json(folder / "special_tokens_map.json", named)


def main() -> None:
    """Trains, checks and writes both tokenizers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=20_000, help="size of the text")
    parser.add_argument("--out", type=pathlib.Path, default=make_data.HERE)
    args = parser.parse_args()
    texts = corpus(args.conversations)
    for name in FAMILIES:
        tokenizer = train(name, texts)
        check(name, tokenizer)
        write(name, tokenizer, args.out / name)
        print(f"{name}: {tokenizer.get_vocab_size()} entries")


if __name__ == "__main__":
    main()
