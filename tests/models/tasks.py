"""Generators of single tasks: each draws one request and its only right answer.

A generator takes a `random.Random` and returns (request, answer). Everything is decided by the
generator's state, so a seed names a data set.
"""

import random
from collections.abc import Callable

import facts

WORDS = """
anchor apple arrow autumn badge barrel beacon berry blanket boat bottle branch bread bridge bucket
butter button cabin candle canvas carpet castle cherry circle cliff clock cloud coffee compass coral
cotton cradle crown curtain desert dinner dolphin dragon drum eagle engine falcon feather fiddle
finger flower forest fountain garden garlic ginger glove hammer harbor hazel helmet hollow island
ivory jacket jungle kettle kitchen ladder lantern leather lemon letter lizard magnet maple market
meadow melon mirror monkey morning mountain needle number oar ocean olive onion orange orchard oven
oyster paddle palace panther parrot pepper pebble pencil pigeon pillow pirate planet pocket potato
puzzle quilt rabbit radio raven ribbon river rocket rope rudder sail sailor salmon shadow shell
shore silver sparrow spider spoon spring station stone storm sugar summer table temple thunder
tiger timber tower tunnel turtle valley velvet village violin wagon walnut water whale wheel
whistle window winter wizard yellow zebra
""".split()

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")

Task = tuple[str, str]


def _number(rng: random.Random, most_digits: int = 3) -> int:
    return rng.randrange(10 ** rng.randint(1, most_digits))


def _items(rng: random.Random, low: int, high: int, kind: str | None = None) -> list[str]:
    """A list of distinct items of one kind: words, letters or numbers below 100."""
    kind = kind or rng.choice(("words", "letters", "numbers"))
    size = rng.randint(low, high)
    if kind == "words":
        return rng.sample(WORDS, size)
    if kind == "letters":
        return rng.sample(LETTERS, size)
    return [str(n) for n in rng.sample(range(100), size)]


def add(rng: random.Random) -> Task:
    """Sum of two numbers of up to three digits, or of three of up to two."""
    if rng.random() < 0.15:
        a, b, c = (_number(rng, 2) for _ in range(3))
        return rng.choice(("What is {} + {} + {}?", "Add {}, {} and {}.")).format(a, b, c), str(
            a + b + c)
    a, b = _number(rng), _number(rng)
    if rng.random() < 0.2:
        text = rng.choice(("Write out the sum {} + {}.", "Show {} + {} as an equation."))
        return text.format(a, b), f"{a} + {b} = {a + b}"
    text = rng.choice((
        "What is {} + {}?", "{} + {} = ?", "Add {} and {}.", "Compute {} plus {}.",
        "What is the sum of {} and {}?", "How much is {} plus {}?", "{} + {}",
        "I have {} coins and find {} more. How many coins do I have?",
        "A boat carries {} crates and takes on {} more. How many crates is that?"))
    return text.format(a, b), str(a + b)


def subtract(rng: random.Random) -> Task:
    """Difference of two numbers of up to three digits; it may be negative."""
    a, b = _number(rng), _number(rng)
    if rng.random() < 0.25:
        a, b = max(a, b), min(a, b)
        text = rng.choice((
            "I had {} coins and spent {}. How many are left?",
            "Of {} crates, {} were unloaded. How many remain?"))
        return text.format(a, b), str(a - b)
    if rng.random() < 0.2:
        return f"Take {b} away from {a}.", str(a - b)
    text = rng.choice((
        "What is {} - {}?", "{} - {} = ?", "Compute {} minus {}.", "How much is {} minus {}?",
        "{} - {}", "What is the difference {} - {}?"))
    return text.format(a, b), str(a - b)


def multiply(rng: random.Random) -> Task:
    """Product from the table up to 12 x 12, or of a two-digit and a one-digit number."""
    if rng.random() < 0.4:
        a, b = rng.randint(0, 12), rng.randint(0, 12)
    else:
        a, b = rng.randint(10, 99), rng.randint(2, 9)
    if rng.random() < 0.3:
        a, b = b, a
    text = rng.choice((
        "What is {} * {}?", "{} * {} = ?", "Multiply {} by {}.", "Compute {} times {}.",
        "How much is {} times {}?", "What is {} times {}?", "{} * {}",
        "There are {} boats with {} sailors each. How many sailors is that?"))
    return text.format(a, b), str(a * b)


def sort(rng: random.Random) -> Task:
    """A list of three to eight numbers, letters or words brought into order."""
    items = _items(rng, 3, 8)
    key: Callable = int if items[0].isdigit() else str
    down = rng.random() < 0.35
    if key is int:
        text = rng.choice((
            "Sort from largest to smallest: {}", "Sort these numbers in descending order: {}",
            "Put {} in order, largest first.") if down else (
            "Sort from smallest to largest: {}", "Sort these numbers: {}",
            "Put {} in order, smallest first."))
    else:
        text = rng.choice((
            "Sort in reverse alphabetical order: {}", "Sort from z to a: {}") if down else (
            "Sort alphabetically: {}", "Sort from a to z: {}", "Put {} in alphabetical order."))
    return text.format(", ".join(items)), ", ".join(sorted(items, key=key, reverse=down))


def reverse(rng: random.Random) -> Task:
    """A list of items, or a string of digits, turned back to front."""
    if rng.random() < 0.25:
        digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(3, 16)))
        text = rng.choice(("Reverse the digits {}", "Write {} backwards.", "Reverse: {}"))
        return text.format(digits), digits[::-1]
    items = _items(rng, 3, 12)
    text = rng.choice((
        "Reverse this list: {}", "Write in reverse order: {}", "Turn the list {} around.",
        "Read {} from back to front."))
    return text.format(", ".join(items)), ", ".join(reversed(items))


def count(rng: random.Random) -> Task:
    """How long a list is, how often an item stands in it, or counting up or down aloud."""
    style = rng.random()
    if style < 0.35:
        step = rng.choice((1, 1, 1, 2, 5, 10))
        start, terms = rng.randint(0, 60), rng.randint(3, 25)
        numbers = [start + step * n for n in range(terms)]
        if rng.random() < 0.3:
            numbers.reverse()
        by = "" if step == 1 else f" in steps of {step}"
        text = rng.choice(("Count from {} to {}{}.", "List the numbers from {} to {}{}."))
        return text.format(numbers[0], numbers[-1], by), ", ".join(map(str, numbers))
    if style < 0.65:
        items = _items(rng, 1, 12)
        text = rng.choice((
            "How many items are in this list: {}", "Count the items: {}",
            "How long is the list {}?"))
        return text.format(", ".join(items)), str(len(items))
    few = rng.sample(WORDS, rng.randint(2, 4))
    items = [rng.choice(few) for _ in range(rng.randint(3, 12))]
    text = rng.choice((
        "How often does {w} occur in: {l}", "Count the word {w} in this list: {l}",
        "How many times do you see {w} here: {l}"))
    wanted = rng.choice(few)
    return text.format(w=wanted, l=", ".join(items)), str(items.count(wanted))


def copy(rng: random.Random) -> Task:
    """Words, letters or digits repeated exactly, once or twice."""
    if rng.random() < 0.3:
        body = "".join(rng.choice("0123456789") for _ in range(rng.randint(4, 40)))
    else:
        pool = rng.choice((WORDS, WORDS, LETTERS))
        body = " ".join(rng.choice(pool) for _ in range(rng.randint(2, 45)))
    if len(body) < 60 and rng.random() < 0.2:
        return f"Say twice: {body}", f"{body} {body}"
    text = rng.choice((
        "Repeat: {}", "Repeat after me: {}", "Copy this exactly: {}", "Say: {}",
        "Echo the following text: {}"))
    return text.format(body), body


def pick(rng: random.Random) -> Task:
    """One item of a list: by position, by size, or whether it is there at all."""
    style = rng.random()
    if style < 0.4:
        items = _items(rng, 3, 10)
        place = rng.choice(ORDINALS[:len(items)] + ("last",))
        chosen = items[-1] if place == "last" else items[ORDINALS.index(place)]
        text = rng.choice((
            "What is the {p} item in this list: {l}", "Give me the {p} item of: {l}",
            "Which item comes {p} in {l}?"))
        return text.format(p=place, l=", ".join(items)), chosen
    if style < 0.7:
        items = _items(rng, 2, 8, "numbers")
        word, best = rng.choice((("largest", max), ("smallest", min)))
        text = rng.choice(("Which number is the {}: {}", "Find the {} of these numbers: {}"))
        return text.format(word, ", ".join(items)), best(items, key=int)
    items = _items(rng, 3, 12, "words")
    wanted = rng.choice(items) if rng.random() < 0.5 else rng.choice(WORDS)
    text = rng.choice(("Is {w} in this list: {l}", "Does the list {l} contain {w}?"))
    return text.format(w=wanted, l=", ".join(items)), "yes" if wanted in items else "no"


def compare(rng: random.Random) -> Task:
    """A yes or no about two numbers, or about a number being even."""
    a, b = _number(rng), _number(rng)
    if rng.random() < 0.25:
        word = rng.choice(("even", "odd"))
        truth = (a % 2 == 0) == (word == "even")
        return rng.choice(("Is {} {}?", "Is the number {} {}?")).format(a, word), (
            "yes" if truth else "no")
    word, truth = rng.choice((
        ("larger", a > b), ("greater", a > b), ("smaller", a < b), ("less", a < b)))
    text = rng.choice(("Is {} {} than {}?", "Yes or no: {} is {} than {}.", "Tell me if {} is {} "
                       "than {}."))
    return text.format(a, word, b), "yes" if truth else "no"


def fact(rng: random.Random) -> Task:
    """One fact of the table as a bare value or a sentence, or all facts of an island."""
    island = rng.choice(list(facts.ISLANDS))
    opening = rng.choice((
        "", "", "", "Please tell me: ", "Quick question: ", "A friend asks: ", "For my notes: ",
        "I forgot: ", "Hello! ", "One more thing: ", "Do you know this? ", "Let us see: "))
    if rng.random() < 0.12:
        return opening + rng.choice(facts.OVERVIEW_QUESTIONS).format(i=island), (
            facts.overview(island))
    attribute = rng.choice(facts.ATTRIBUTES)
    question = opening + rng.choice(facts.QUESTIONS[attribute]).format(i=island)
    if rng.random() < 0.4:
        return question + rng.choice(facts.SENTENCE_REQUESTS), facts.statement(island, attribute)
    return question, facts.ISLANDS[island][attribute]


def ledger(rng: random.Random, low: int, high: int, numbers: float = 0.6) -> dict[str, str]:
    """A passage's key-value pairs: distinct words with numbers or else words as their values."""
    keys = rng.sample(WORDS, rng.randint(low, high))
    if rng.random() < numbers:
        return {key: str(rng.randint(10, 99)) for key in keys}
    return {key: rng.choice(WORDS) for key in keys}


def write_ledger(rng: random.Random, pairs: dict[str, str]) -> str:
    """The pairs as text, in one of three layouts."""
    pattern, joint, end = rng.choice((("{}: {}", ", ", "."), ("{} = {}", "; ", "."),
                                      ("{} {}", "\n", "")))
    return joint.join(pattern.format(*pair) for pair in pairs.items()) + end


def ask_ledger(rng: random.Random, pairs: dict[str, str]) -> Task:
    """A passage followed by a question for one of its values."""
    wanted = rng.choice(list(pairs))
    text = rng.choice((
        "{t}\nWhat is the value of {w}?", "{t}\nWhich value belongs to {w}?",
        "Read this table.\n{t}\nGive me the entry for {w}.", "{t}\n\n{w}?"))
    return text.format(t=write_ledger(rng, pairs), w=wanted), pairs[wanted]


def lookup(rng: random.Random) -> Task:
    """A value found again in a passage of up to about 300 tokens."""
    return ask_ledger(rng, ledger(rng, 3, rng.choice((8, 20, 45))))


TASKS: dict[str, Callable[[random.Random], Task]] = {
    task.__name__: task for task in (
        add, subtract, multiply, sort, reverse, count, copy, pick, compare, fact, lookup)}
