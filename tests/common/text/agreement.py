#!/usr/bin/env python3
"""What HF `tokenizers` makes of generated texts, as a digest of each; and the long check of our tokenizers against it.

    agreement.py PROGRAM COUNT    runs PROGRAM (tokenizer_agreement_test) on COUNT texts of every fixture
    agreement.py show NAME INDEX  shows what the library makes of one text

Needs the library: pip install tokenizers==0.23.3. Without it the exit status is 77, which ctest calls skipped.
"""

import base64
import concurrent.futures
import functools
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

from generated_text import GeneratedTexts

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
SKIPPED = 77
CHUNK = 5000
# The structure of each family's files, and further components.
NAMES = [
    "llama2_style", "llama3_style", "mistral_style", "tekken_style", "mixtral_style", "qwen2_style", "qwen3_style",
    "gpt2_style", "gpt4o_style", "metaspace_always", "metaspace_never", "words_only", "stages_unk", "stages_drop",
]


@functools.cache
def load(name):
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(FIXTURES / f"{name}.json"))


@functools.cache
def texts():
    return GeneratedTexts()


def outcome(name, index):
    """(ids with special tokens as text, ids, their text, the same without special tokens, random ids, their text)."""
    tokenizer = load(name)
    text = texts().text(index).decode("utf-8", "replace")
    tokenizer.encode_special_tokens = True
    plain = tokenizer.encode(text, add_special_tokens=False).ids
    tokenizer.encode_special_tokens = False
    ids = tokenizer.encode(text).ids
    random_ids = texts().ids(index, tokenizer.get_vocab_size() + 5)
    decode = lambda ids, skip: tokenizer.decode(ids, skip_special_tokens=skip).encode()
    return plain, ids, decode(ids, False), decode(ids, True), random_ids, decode(random_ids, False)


def digest(name, index):
    """Three bytes of the checksum over lists of ids and texts, each behind its length."""
    parts = []
    for value in outcome(name, index):
        parts.append(struct.pack("<I", len(value)))
        parts.append(value if isinstance(value, bytes) else struct.pack(f"<{len(value)}I", *value))
    return zlib.crc32(b"".join(parts)).to_bytes(4, "little")[:3]


def digests(name, begin, end):
    """Of the texts [begin, end): four characters of base64 for each."""
    return base64.b64encode(b"".join(digest(name, i) for i in range(begin, end))).decode()


def check(program, count):
    chunks = [(begin, min(begin + CHUNK, count)) for begin in range(0, count, CHUNK)]
    golden = {}
    with concurrent.futures.ProcessPoolExecutor() as pool:
        for name in NAMES:
            parts = [pool.submit(digests, name, *chunk) for chunk in chunks]
            golden[name] = "".join(part.result() for part in parts)
            print(f"{name}: the library has tokenised {count} texts", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "agreement.json")
        pathlib.Path(path).write_text(json.dumps(golden))
        return subprocess.run([program, path]).returncode


def show(name, index):
    print("text", texts().text(index))
    for title, value in zip(("plain", "parsed", "decoded", "skipped", "random ids", "random text"), outcome(name, index)):
        print(title, value)


def main():
    try:
        import tokenizers
    except ImportError:
        print("SKIPPED: nothing was compared, the Python library is missing: pip install tokenizers==0.23.3")
        return SKIPPED
    print("tokenizers", tokenizers.__version__)
    if sys.argv[1] == "show":
        return show(sys.argv[2], int(sys.argv[3]))
    return check(sys.argv[1], int(sys.argv[2]))


if __name__ == "__main__":
    sys.exit(main())
