#!/usr/bin/env python3
"""Trains the small tokenizers of tests/common/text/fixtures and stores what HF `tokenizers`
makes of many texts with them.

Run once, the results are committed: pip install tokenizers==0.23.3 && python3 make_fixtures.py
With --check DIR --count N it trains nothing and writes a larger golden of the same fixtures to DIR,
for tokenizer_golden_test DIR/golden.json.
"""

import argparse
import json
import pathlib
import random
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

FOLDER = pathlib.Path(__file__).parent / "fixtures"
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


def assigned(rng):
    """A character of any plane; newer ones only where normalisation leaves them alone, because the
    library's tables are older."""
    while True:
        c = chr(
            rng.choice(
                [
                    rng.randrange(0x3000),
                    rng.randrange(0x10000),
                    rng.randrange(0x10000, 0x30000),
                    rng.randrange(0xE0000, 0xE01F0),
                    rng.randrange(0xF0000, 0x110000),
                ]
            )
        )
        old = unicodedata.ucd_3_2_0.category(c) != "Cn"
        plain = unicodedata.normalize("NFKD", c) == c and unicodedata.combining(c) == 0
        if unicodedata.category(c) not in ("Cn", "Cs") and (old or plain):
            return c


def fragment(rng):
    kind = rng.randrange(13)
    if kind <= 3:
        words = [rng.choice(WORDS) for _ in range(rng.randrange(1, 9))]
        return " ".join(w.capitalize() if rng.random() < 0.1 else w for w in words) + rng.choice(
            [".", ",", "", "!", "?", ":", ";"]
        )
    if kind == 4:
        return rng.choice(CODE)
    if kind == 5:
        return "".join(rng.choice(SPACES) for _ in range(rng.randrange(1, 5)))
    if kind == 6:
        return rng.choice(SCRIPTS)
    if kind == 7:
        return rng.choice(EMOJI) * rng.choice([1, 1, 3])
    if kind == 8:
        return rng.choice(SPECIALS)
    if kind == 9:
        return "".join(assigned(rng) for _ in range(rng.randrange(1, 7)))
    if kind == 10:
        return str(rng.randrange(10 ** rng.randrange(1, 12)))
    if kind == 11:
        return "".join(chr(rng.randrange(0x80)) for _ in range(rng.randrange(1, 8)))
    return rng.choice("ax= -_*#.\n0é") * rng.randrange(2, 70)


def make_text(rng):
    joints = ["", " ", " ", "  ", "\n"]
    return "".join(fragment(rng) + rng.choice(joints) for _ in range(rng.randrange(1, 7)))


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(pattern, behavior, invert)


def train(name, stages, normalizer=None, alphabet=True, vocab=1200, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(stages) if len(stages) > 1 else stages[0]
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    rng = random.Random(name)
    corpus = [
        make_text(rng) if i % 4 == 0 else " ".join(rng.choice(WORDS) for _ in range(12))
        for i in range(6000)
    ]
    if not alphabet:
        corpus = [text.encode("ascii", "ignore").decode().replace("\x00", "") for text in corpus]
    specials = ["<unk>"] if model.get("unk_token") else []
    tokenizer.train_from_iterator(
        corpus,
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
        ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]
        + [f"<|reserved_{i}|>" for i in range(20)]
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


def qwen2_style():
    t = train(
        "qwen2",
        [split(Regex(QWEN2)), pre_tokenizers.ByteLevel(False, use_regex=False)],
        normalizers.NFC(),
    )
    t.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    t.add_tokens([AddedToken(x, normalized=False) for x in ("<tool_call>", "</tool_call>")])
    return t


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
    rng = random.Random(name)
    corpus = [
        make_text(rng) if i % 4 == 0 else " ".join(rng.choice(WORDS) for _ in range(12))
        for i in range(3000)
    ]
    corpus = [text.translate({0: None}).replace("<0x", "") for text in corpus]
    trained.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=800, limit_alphabet=300, show_progress=False, special_tokens=["<unk>"]
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


def mistral_style():
    """The newer file: Metaspace writes the spaces, one before the beginning only."""
    return sentencepiece_style(
        "mistral",
        None,
        pre_tokenizers.Metaspace("\u2581", "first", split=False),
        llama2_decoder(decoders.Strip(" ", 1, 0)),
        extra=RUNS,
    )


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
    lead = bytes(
        [
            0x41,
            0x7F,
            0x80,
            0x9F,
            0xA0,
            0xBF,
            0xC0,
            0xC1,
            0xC2,
            0xDF,
            0xE0,
            0xE1,
            0xEC,
            0xED,
            0xEE,
            0xEF,
            0xF0,
            0xF1,
            0xF3,
            0xF4,
            0xF5,
            0xFF,
            0x8F,
            0x90,
        ]
    )
    cases = [bytes(rng.choice(lead) for _ in range(rng.randrange(1, 9))) for _ in range(600)]
    cases += ["aé€😀".encode()[:n] for n in range(11)]
    return [[case.hex(), case.decode("utf-8", "replace")] for case in cases]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", type=pathlib.Path, help="folder for a larger golden of the committed fixtures"
    )
    parser.add_argument("--count", type=int, default=110, help="number of texts")
    parser.add_argument("--seed", default="texts")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    texts = (
        ["", " ", "a", "\u0000", "Hello, world!"]
        + SCRIPTS
        + EMOJI
        + SPECIALS
        + [make_text(rng) for _ in range(args.count)]
    )
    out = args.check or FOLDER
    out.mkdir(exist_ok=True)
    result = {"texts": texts, "lossy": lossy(), "tokenizers": {}}
    for make in (
        llama3_style,
        qwen2_style,
        gpt2_style,
        gpt4o_style,
        tekken_style,
        llama2_style,
        mistral_style,
        metaspace_always,
        metaspace_never,
        words_only,
        stages_unk,
        stages_drop,
    ):
        path = FOLDER / f"{make.__name__}.json"
        if not args.check:
            make().save(str(path), pretty=False)
            if make is stages_unk:  # The older spelling of merges.
                data = json.loads(path.read_text())
                data["model"]["merges"] = [" ".join(pair) for pair in data["model"]["merges"]]
                path.write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")))
        result["tokenizers"][make.__name__] = golden(Tokenizer.from_file(str(path)), texts, rng)
    (out / "golden.json").write_text(json.dumps(result, ensure_ascii=False, separators=(",", ":")))


if __name__ == "__main__":
    main()
