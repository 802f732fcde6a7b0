#!/usr/bin/env python3
"""Trains the small tokenizers of tests/common/text/fixtures, each with the structure of a family's tokenizer.json, and stores
what HF `tokenizers` makes of texts with them: golden.json in full for a few, agreement.json as digests for many.

Run once, the results are committed: pip install tokenizers==0.23.3 && python3 make_fixtures.py
"""

import collections
import json
import pathlib
import random
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

import agreement
from generated_text import GeneratedTexts

FOLDER = pathlib.Path(__file__).parent / "fixtures"
DIGESTS = 5000  # Texts of agreement.json.
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
GPT4O = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

TEKKEN = GPT4O.replace("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", "").replace(r"\p{N}{1,3}", r"\p{N}")

WORDS = """
the of and to in is that it for was on are as with his they at be this have from or one had by word
but not what all were we when your can said there use an each which she do how their if will up
other about out many then them these so some her would make like him into time has look two more
write go see number no way could people my than first water been call who oil its now find long down
day did get come made may part over new sound take only little work know place year live me back
give most very after thing our just name good sentence man think say great where help through much
before line right too mean old any same tell boy follow came want show also around form three small
set put end does another well large must big even such because turn here why ask went men read need
land different home us move try kind hand picture again change off play spell air away animal house
point page letter mother answer found study still learn should America world I'm don't it's we'll
they've you're he'd can't HTTP TCP KV GPU tokens sharded pipeline
""".split()
CODE = [
    "for (int i = 0; i < n; ++i) {\n\tsum += a[i] * b[i];\n}\n",
    "def f(x):\n    return x**2  # square\n",
    "#include <vector>\r\n#define X(a) ((a)->b)\r\n",
    "SELECT * FROM t WHERE a >= 10 AND b != 'c''d';",
    '{"key": [1, 2.5e-3, null], "k2": "v\\n"}',
    '<div class="x">&nbsp;</div>\n\n\n',
    "a&&b||!c;;--x++;",
    "https://example.org/a/b?c=d&e=%20f#g",
    "x = lambda *a, **k: a[-1:] or k.get('y')",
    "\t\t\tif err != nil {\n",
]
SPACES = [
    " ",
    "  ",
    "   ",
    "\t",
    "\n",
    "\r\n",
    "\r",
    "\n\n",
    " \n ",
    "\u00a0",
    "\u3000",
    "\u2028",
    "\u2029",
    "\u0085",
    "\u1680",
    "\u180e",
    "\u200b",
    "\u2009",
    "\u202f",
    "\u205f",
    "\ufeff",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x1f",
    " " * 17,
    "\n" * 9,
]
SCRIPTS = [
    "Žluťoučký kůň",
    "Größe, Straße, ẞ",
    "naïve café",
    "Ελληνικά ΣΊΣΥΦΟΣ",
    "Привет, мир! Ёж",
    "שָׁלוֹם עולם",
    "السلام عليكم",
    "हिन्दी में क्षत्रिय",
    "ไทยภาษา",
    "日本語のテキスト、漢字とカナ。",
    "中文分词测试",
    "한국어 텍스트",
    "\u1112\u1161\u11ab\u1100\u1173\u11af",
    "Tiếng Việt",
    "İstanbul ıI ſt ǅ ŉ",
    "e\u0301e\u0301 a\u0328\u0301 \u0301x",
    "A\u030a\u0323 \u212b \u2126",
    "ﬁ ﬀ Ⅷ ½ ²³ ₂ ①",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟘𝟙𝟚",
    "𐍈𐌰 𒀀 𓀀",
    "١٢٣ ४५६ ๗๘๙ 一二三",
    "don’t ‘quote’ “x” … — –",
    "𠀀𠮷",
    "\u0344 \u0958 \u2adc \ufb1d",
    "'ſ 'S 'LL'Ve 'tis I'D",
]
EMOJI = [
    "😀",
    "👩‍👩‍👧‍👦",
    "🏳️‍🌈",
    "👍🏽",
    "🇩🇪🇯🇵",
    "1️⃣",
    "❤️",
    "☃",
    "🧑🏿‍🚀",
    "\U0001f468\u200d\u2695\ufe0f",
    "⌚︎",
]
SPECIALS = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|eot_id|>",
    "<|im_start|>",
    "<|im_end|>",
    "<tool_call>",
    "</tool_call>",
    "<|endoftext|>",
    "<think>",
    "</think>\n\n",
    "<tool_response>",
    "<|start_header_id|>user<|end_header_id|>\n\n",
    "<|reserved_special_token_1|>",
    "[TOOL_CALLS]",
    "[INST]",
    "<|eot_id",
    "<|eot_id|>>",
    "|eot_id|>",
    "<|",
    "|>",
    "<|eot_id|><|eot_id|>",
    "<| eot_id |>",
    "<|EOT_ID|>",
    "<mask>",
    "<end>",
    "<both>",
    "anchor",
    "anchors",
    "_anchor",
    "caf\u00e9\u2603",
    "cafe\u0301\u2603",
    "<|a|>",
    "<|a|>b",
    "<|a|><",
    "<|a",
    "<s>",
    "</s>",
    "<unk>",
    "[INST] x [/INST]",
    "<s><s>",
    " <s> ",
    "<0x41>",
    "\u2581",
    "a\u2581b \u2581\u2581",
]


# Bytes at the edges of what UTF-8 allows.
ILL_FORMED = bytes.fromhex("417f809fa0bfc0c1c2dfe0e1ecedeeeff0f1f3f4f5ff8f90")


def is_settled(c):
    """Whether all tables agree on character `c`: newer ones count only where normalisation leaves them alone, because the
    library's tables are older. Nothing is assigned in planes 4 to 13."""
    if 0x40000 <= ord(c) < 0xE0000:
        return True
    old = unicodedata.ucd_3_2_0.category(c) != "Cn"
    plain = unicodedata.normalize("NFKD", c) == c and unicodedata.combining(c) == 0
    return unicodedata.category(c) not in ("Cn", "Cs") and (old or plain)


def ranges(begin, end, accept):
    """Code points of [begin, end) that are accepted, as [first, last]."""
    found = []
    for c in range(begin, end):
        if not accept(chr(c)):
            continue
        if found and found[-1][1] == c - 1:
            found[-1][1] = c
        else:
            found.append([c, c])
    return found


def make_pools():
    """What generated_text.py puts texts together from."""
    limits = [0, 0x80, 0x250, 0x3000, 0x10000, 0x20000, 0x40000, 0xE0000, 0xF0000, 0x110000]
    characters = {f"from {begin:#x}": ranges(begin, end, is_settled) for begin, end in zip(limits, limits[1:])}
    old_mark = lambda c: unicodedata.ucd_3_2_0.combining(c) != 0
    characters["marks"] = ranges(0x300, 0x10000, old_mark)
    strings = {
        "words": WORDS, "code": CODE, "spaces": SPACES, "scripts": SCRIPTS, "emoji": EMOJI, "specials": SPECIALS,
        "ends": [".", ",", "", "!", "?", ":", ";"], "joints": ["", " ", " ", "  ", "\n"], "runs": list("ax= -_*#.\n0é😀"),
    }
    return {"strings": strings, "characters": characters, "ill_formed": list(ILL_FORMED)}


def corpus(seed, texts):
    """Texts to train on: English words, and every fourth one anything."""
    rng = random.Random(seed)
    generated = GeneratedTexts()
    anything = lambda: generated.text(rng.getrandbits(40)).decode("utf-8", "ignore")
    return [
        anything() if i % 4 == 0 else " ".join(rng.choice(WORDS) for _ in range(12)) for i in range(texts)
    ]


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(pattern, behavior, invert)


def train(name, stages, normalizer=None, alphabet=True, vocab=1200, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(stages) if len(stages) > 1 else stages[0]
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    sentences = corpus(name, 6000)
    if not alphabet:
        sentences = [text.encode("ascii", "ignore").decode().replace("\x00", "") for text in sentences]
    specials = ["<unk>"] if model.get("unk_token") else []
    tokenizer.train_from_iterator(
        sentences,
        trainers.BpeTrainer(
            vocab_size=vocab,
            show_progress=False,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if alphabet else [],
        ),
    )
    return tokenizer


def llama3_style():
    t = train(
        "llama3",
        [split(Regex(LLAMA3)), pre_tokenizers.ByteLevel(False, use_regex=False)],
        ignore_merges=True,
    )
    t.add_special_tokens(
        ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
        + [f"<|reserved_special_token_{i}|>" for i in range(12)]
    )
    bos = ("<|begin_of_text|>", t.token_to_id("<|begin_of_text|>"))
    t.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{bos[0]} $A", pair=f"{bos[0]} $A {bos[0]} $B:1", special_tokens=[bos]
            ),
        ]
    )
    return t


def qwen_style(name, added):
    t = train(
        name,
        [split(Regex(QWEN2)), pre_tokenizers.ByteLevel(False, use_regex=False)],
        normalizers.NFC(),
        continuing_subword_prefix="",
        end_of_word_suffix="",
    )
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    t.add_tokens([AddedToken(x, normalized=False) for x in added])
    return t


def qwen2_style():
    """Qwen2.5 adds the tokens of tools, which are not special."""
    return qwen_style("qwen2", ["<tool_call>", "</tool_call>"])


def qwen3_style():
    tags = [f"<{slash}{name}>" for name in ("tool_call", "tool_response", "think") for slash in ("", "/")]
    return qwen_style("qwen3", tags)


def gpt2_style():
    t = train("gpt2", [pre_tokenizers.ByteLevel(True)])
    t.add_special_tokens(["<|endoftext|>"])
    return t


def gpt4o_style():
    t = train("gpt4o", [split(Regex(GPT4O)), pre_tokenizers.ByteLevel(False, use_regex=False)])
    t.add_special_tokens(["<|end_of_text|>"])
    return t


# One token has an accent and a snowman: the library decodes added tokens that fit into the byte
# alphabet ("\u00e9" alone) to ill-formed bytes, where ours give back what was written.
ADDED = [
    AddedToken("<mask>", lstrip=True, special=True),
    AddedToken("<end>", rstrip=True, special=True),
    AddedToken("<both>", lstrip=True, rstrip=True, normalized=False),
    AddedToken("anchor", single_word=True),
    AddedToken("caf\u00e9\u2603"),
    AddedToken("  ", normalized=True),
    AddedToken("<|a|>", special=True, normalized=False),
    AddedToken("<|a|>b", special=True, normalized=False),
    AddedToken("<|a|><", normalized=False),
]


def stages_unk():
    t = train(
        "stages",
        [
            pre_tokenizers.Digits(True),
            split(Regex("[,;]+"), "removed"),
            split("-", "merged_with_next"),
            split(Regex("[A-Z]+"), "contiguous"),
            split(Regex(r"\w+"), "merged_with_previous", True),
            pre_tokenizers.ByteLevel(True),
        ],
        normalizers.Sequence([normalizers.NFKD(), normalizers.NFC()]),
        False,
        700,
        unk_token="<unk>",
        fuse_unk=True,
    )
    t.add_tokens(ADDED)
    t.post_processor = processors.TemplateProcessing(
        single="<mask> $A <end> <|a|>",
        special_tokens=[(x, t.token_to_id(x)) for x in ("<mask>", "<end>", "<|a|>")],
    )
    return t


def stages_drop():
    t = train(
        "drop",
        [
            pre_tokenizers.Digits(False),
            split(Regex(r"\s+"), "merged_with_previous"),
            split(Regex(r"\W"), "merged_with_next"),
            split(".", "isolated", True),
            split(Regex("(?=[A-Z])"), "isolated"),
            pre_tokenizers.ByteLevel(False, use_regex=False),
        ],
        normalizers.NFD(),
        False,
        700,
    )
    t.add_tokens(ADDED[::-1])
    return t


def tekken_style():
    t = train(
        "tekken",
        [split(Regex(TEKKEN)), pre_tokenizers.ByteLevel(False, use_regex=False)],
        ignore_merges=True,
    )
    t.add_special_tokens(["<unk>", "<s>", "</s>", "[INST]", "[/INST]"])
    return t


def sentencepiece_style(name, normalizer, stage, decoder, bytes_known=range(256), extra=(), **model):
    """Pieces of words behind U+2581; specials, then byte tokens, come first, as in Llama 2."""
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    sentences = [text.translate({0: None}).replace("<0x", "") for text in corpus(name, 3000)]
    counts = collections.Counter("".join(sentences))
    # The trainer's own limit_alphabet breaks ties by chance.
    alphabet = set(sorted(counts, key=lambda c: (-counts[c], c))[:300])
    sentences = ["".join(c for c in text if c in alphabet) for text in sentences]
    trained.train_from_iterator(
        sentences,
        trainers.BpeTrainer(
            vocab_size=800, show_progress=False, special_tokens=["<unk>"]
        ),
    )
    data = json.loads(trained.to_str())["model"]
    first = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in bytes_known] + list(extra)
    rest = [token for token in sorted(data["vocab"], key=data["vocab"].get) if token not in first]
    vocab = {token: i for i, token in enumerate(first + rest)}
    merges = [tuple(pair) for pair in data["merges"]]
    if extra:  # Runs of spaces, as Llama 2 has them.
        merges += [(extra[0][0] * (len(x) // 2), extra[0][0] * (len(x) // 2)) for x in extra]
    t = Tokenizer(
        models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True, **model)
    )
    if normalizer:
        t.normalizer = normalizer
    if stage:
        t.pre_tokenizer = stage
    t.decoder = decoder
    t.add_special_tokens(["<unk>", "<s>", "</s>"])
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", vocab["<s>"])]
    )
    return t


INSTRUCTIONS = ["[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"]
RUNS = ["\u2581" * 2, "\u2581" * 4, "\u2581" * 8, "\u2581" * 16]


def llama2_decoder(*last):
    return decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), *last]
    )


def llama2_style():
    """The older file: a normaliser writes the spaces, before every stretch of text one."""
    return sentencepiece_style(
        "llama2",
        normalizers.Sequence(
            [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
        ),
        None,
        llama2_decoder(decoders.Strip(" ", 1, 0)),
        extra=RUNS,
    )


def mixtral_style():
    """Structure of the older file, with tokens of instructions and tools."""
    t = sentencepiece_style(
        "mixtral",
        normalizers.Sequence(
            [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
        ),
        None,
        llama2_decoder(decoders.Strip(" ", 1, 0)),
        extra=RUNS,
    )
    t.add_special_tokens(INSTRUCTIONS)
    return t


def mistral_style():
    """The newer file: Metaspace writes the spaces, one before the beginning only."""
    t = sentencepiece_style(
        "mistral",
        None,
        pre_tokenizers.Metaspace("\u2581", "first", split=False),
        llama2_decoder(decoders.Strip(" ", 1, 0)),
        extra=RUNS,
    )
    t.add_special_tokens(INSTRUCTIONS)
    return t


def metaspace_always():
    """Not all bytes have tokens, so <unk> occurs; added tokens of all kinds."""
    t = sentencepiece_style(
        "always",
        None,
        pre_tokenizers.Metaspace("\u2581", "always", split=True),
        decoders.Metaspace("\u2581", "always"),
        bytes_known=range(0x80, 0xE3),
    )
    t.add_tokens(ADDED[:5] + ADDED[6:])
    return t


def metaspace_never():
    t = sentencepiece_style(
        "never",
        normalizers.Sequence(
            [
                normalizers.Strip(),
                normalizers.Lowercase(),
                normalizers.Replace(Regex(r"[\r\n]+"), " "),
                normalizers.Replace("--", "\u2014"),
                normalizers.NFKC(),
            ]
        ),
        pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(True), pre_tokenizers.Metaspace("\u2581", "never", split=False)]
        ),
        decoders.Sequence(
            [
                decoders.ByteFallback(),
                decoders.Metaspace("\u2581", "never"),
                decoders.Fuse(),
                decoders.Replace("e", "E"),
                decoders.Strip(" ", 2, 0),
            ]
        ),
    )
    t.add_tokens([AddedToken("Anchor", normalized=True), AddedToken("[INST]", normalized=False)])
    return t


def words_only():
    return sentencepiece_style(
        "words",
        normalizers.NFD(),
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Whitespace()]),
        decoders.Sequence([decoders.Strip("a", 1, 0), decoders.Fuse()]),
        bytes_known=(),
        ignore_merges=True,
    )


def golden(tokenizer, texts, rng):
    plain, parsed, decoded, skipped = [], [], [], []
    for text in texts:
        tokenizer.encode_special_tokens = True
        plain.append(tokenizer.encode(text, add_special_tokens=False).ids)
        tokenizer.encode_special_tokens = False
        ids = tokenizer.encode(text, add_special_tokens=True).ids
        parsed.append(None if ids == plain[-1] else ids)
        decoded.append(tokenizer.decode(ids, skip_special_tokens=False))
        skipped.append(tokenizer.decode(ids, skip_special_tokens=True))
    random_ids = [
        [rng.randrange(tokenizer.get_vocab_size() + 5) for _ in range(rng.randrange(12))]
        for _ in range(len(texts) // 4)
    ]
    same = lambda values, others: [None if v == o else v for v, o in zip(values, others)]
    return {
        "plain": plain,
        "parsed": parsed,
        "decoded": same(decoded, texts),
        "skipped": same(skipped, decoded),
        "random_ids": random_ids,
        "random_text": [tokenizer.decode(ids, skip_special_tokens=False) for ids in random_ids],
    }


def lossy():
    """Ill-formed UTF-8 and what Python makes of it."""
    rng = random.Random("lossy")
    cases = [bytes(rng.choice(ILL_FORMED) for _ in range(rng.randrange(1, 9))) for _ in range(600)]
    cases += ["aé€😀".encode()[:n] for n in range(11)]
    return [[case.hex(), case.decode("utf-8", "replace")] for case in cases]


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def main():
    FOLDER.mkdir(exist_ok=True)
    write(FOLDER / "pools.json", make_pools())
    generated = GeneratedTexts()
    texts = ["", " ", "a", "\u0000", "Hello, world!"] + SCRIPTS + EMOJI + SPECIALS
    texts += [generated.text(i).decode("utf-8", "replace") for i in range(40)]
    rng = random.Random("ids")
    result = {"texts": texts, "lossy": lossy(), "tokenizers": {}}
    digests = {}
    for name in agreement.NAMES:
        path = FOLDER / f"{name}.json"
        globals()[name]().save(str(path), pretty=False)
        if name == "stages_unk":  # The older spelling of merges.
            data = json.loads(path.read_text())
            data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
            write(path, data)
        result["tokenizers"][name] = golden(Tokenizer.from_file(str(path)), texts, rng)
        digests[name] = agreement.digests(name, 0, DIGESTS)
        print(name)
    write(FOLDER / "golden.json", result)
    write(FOLDER / "agreement.json", digests)


if __name__ == "__main__":
    main()
