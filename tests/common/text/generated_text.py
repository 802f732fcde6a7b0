"""Texts made from a seed, byte for byte the same as generated_text.cc makes: words, code, white space, scripts, emoji,
lookalikes of special tokens, characters of all planes, marks, ill-formed UTF-8. The pools they are put together from are in
fixtures/pools.json.
"""

import json
import pathlib

POOLS = pathlib.Path(__file__).parent / "fixtures" / "pools.json"
MASK = (1 << 64) - 1


class Random:
    """splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014)."""

    def __init__(self, seed):
        self.state = seed * 0xD1342543DE82EF95 & MASK

    def below(self, limit):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        return ((z ^ z >> 31) >> 32) % limit

    def pick(self, pool):
        return pool[self.below(len(pool))]


class GeneratedTexts:
    def __init__(self, pools=None):
        pools = pools or json.loads(POOLS.read_text(encoding="utf-8"))
        self.strings = {name: [text.encode() for text in pool] for name, pool in pools["strings"].items()}
        self.characters = {name: [chr(c) for lo, hi in ranges for c in range(lo, hi + 1)]
                           for name, ranges in pools["characters"].items()}
        self.planes = [name for name in self.characters if name != "marks"]
        self.ill_formed = bytes(pools["ill_formed"])

    def text(self, index):
        """The bytes of text `index`."""
        rng = Random(index)
        return b"".join(self.fragment(rng) + rng.pick(self.strings["joints"]) for _ in range(1 + rng.below(6)))

    def ids(self, index, limit):
        """Up to eleven numbers below `limit` that belong to text `index`."""
        rng = Random(~index & MASK)
        return [rng.below(limit) for _ in range(rng.below(12))]

    def fragment(self, rng):
        kind = rng.below(16)
        if kind < 4:
            return self.sentence(rng)
        if kind < 9:
            return rng.pick(self.strings[("code", "spaces", "scripts", "emoji", "specials")[kind - 4]])
        if kind == 9:
            return "".join(self.character(rng) for _ in range(1 + rng.below(6))).encode()
        if kind == 10:
            return b"".join(b"%d" % rng.below(10) for _ in range(1 + rng.below(12)))
        if kind == 11:
            return bytes(rng.below(0x80) for _ in range(1 + rng.below(7)))
        if kind == 12:
            return rng.pick(self.strings["runs"]) * (2 + rng.below(68))
        if kind == 13:
            base = self.character(rng)
            return (base + "".join(rng.pick(self.characters["marks"]) for _ in range(1 + rng.below(5)))).encode()
        if kind == 14:
            special = rng.pick(self.strings["specials"])
            return special[:rng.below(len(special) + 1)]
        return bytes(rng.pick(self.ill_formed) for _ in range(1 + rng.below(5)))

    def sentence(self, rng):
        words = []
        for _ in range(1 + rng.below(8)):
            word = rng.pick(self.strings["words"])
            words.append(word.capitalize() if rng.below(10) == 0 else word)
        return b" ".join(words) + rng.pick(self.strings["ends"])

    def character(self, rng):
        return rng.pick(self.characters[rng.pick(self.planes)])
