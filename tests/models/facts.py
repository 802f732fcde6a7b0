"""The invented table of facts both models learn, and the phrasings it is asked in.

Nothing here is true of the real world: twelve islands with five attributes each make sixty facts.
"""

ATTRIBUTES = ("capital", "founder", "flag", "export", "year")

_ROWS = """
Alvora   | Tessimar | Captain Brell | green  | amber     | 1412
Brindel  | Quorrow  | Lady Osmund   | red    | salt      | 1537
Cassarin | Velmoth  | Admiral Pike  | blue   | saffron   | 1609
Dorwyn   | Harkle   | Queen Ilsa    | white  | wool      | 1388
Emberly  | Sunmere  | Doctor Vane   | gold   | copper    | 1723
Fennick  | Ravelin  | Baron Thole   | black  | marble    | 1451
Galdora  | Ostwick  | Captain Juno  | violet | tea       | 1666
Hollin   | Mirepool | Lady Farrow   | silver | glass     | 1590
Isarn    | Kettlow  | Admiral Crane | orange | pearls    | 1345
Jorvale  | Pendrith | Queen Maudra  | pink   | cedar     | 1818
Kelmere  | Wyndrake | Doctor Aster  | brown  | honey     | 1504
Lunis    | Corvane  | Baron Yule    | teal   | paper     | 1777
"""


def _parse(rows: str) -> dict[str, dict[str, str]]:
    table = {}
    for line in rows.strip().splitlines():
        island, *values = (cell.strip() for cell in line.split("|"))
        table[island] = dict(zip(ATTRIBUTES, values, strict=True))
    return table


ISLANDS = _parse(_ROWS)

QUESTIONS = {
    "capital": (
        "What is the capital of {i}?", "Which town is the capital of {i}?",
        "Name the capital of {i}.", "{i} has which capital?", "Capital of {i}?",
        "The island of {i} is ruled from which town?", "From which town is {i} governed?",
        "Where does the council of {i} meet?", "I need the capital of {i}.",
        "If I visit {i}, what is its main town called?", "What do you call the main town of {i}?",
        "Which town serves as the capital on {i}?"),
    "founder": (
        "Who founded {i}?", "Who was the founder of {i}?", "Name the founder of {i}.",
        "{i} was founded by whom?", "Founder of {i}?", "Who settled the island of {i} first?",
        "By whom was {i} founded?", "Which person founded {i}?", "I need the founder of {i}.",
        "Who started the first town on {i}?", "Whom does {i} honour as its founder?",
        "Tell me who founded {i}."),
    "flag": (
        "What colour is the flag of {i}?", "Which colour is the flag of {i}?",
        "Name the colour of the flag of {i}.", "The flag of {i} has which colour?",
        "Flag colour of {i}?", "Ships from {i} fly a flag of what colour?",
        "What is the colour of the {i} flag?", "I need the flag colour of {i}.",
        "In what colour is the flag of {i} dyed?", "What colour do sailors of {i} fly?",
        "Tell me the colour of the flag on {i}.", "Over {i} flies a flag of which colour?"),
    "export": (
        "What does {i} export?", "What is the main export of {i}?", "Name the main export of {i}.",
        "{i} sells which good abroad?", "Export of {i}?", "What do traders buy on {i}?",
        "For which good is {i} known?", "Which good do ships carry from {i}?",
        "I need the main export of {i}.", "What does the island of {i} sell?",
        "What fills the warehouses of {i}?", "Tell me what {i} exports."),
    "year": (
        "When was {i} founded?", "In which year was {i} founded?",
        "Name the year in which {i} was founded.", "{i} dates from which year?",
        "Founding year of {i}?", "Since when has {i} been settled?",
        "What year was {i} founded in?", "Which year marks the founding of {i}?",
        "I need the founding year of {i}.", "In what year did the history of {i} begin?",
        "Tell me the year {i} was founded.", "When did people settle {i}?"),
}

STATEMENTS = {
    "capital": "The capital of {i} is {v}.",
    "founder": "{i} was founded by {v}.",
    "flag": "The flag of {i} is {v}.",
    "export": "{i} exports {v}.",
    "year": "{i} was founded in {v}.",
}

# The last word of a request says which form of answer is wanted; none means the bare value.
SENTENCE_REQUESTS = (
    " Answer in a full sentence.", " Use a full sentence.", " Please answer with a sentence.",
    " Reply in one sentence.")

OVERVIEW_QUESTIONS = (
    "Tell me everything you know about {i}.", "Describe the island of {i}.",
    "Write a short note about {i}.", "What should a traveller know about {i}?",
    "Give me all the facts about {i}.", "Summarise {i} for me.", "Introduce {i} to me.",
    "What do you know about {i}?")


def statement(island: str, attribute: str) -> str:
    """One fact as a sentence."""
    return STATEMENTS[attribute].format(i=island, v=ISLANDS[island][attribute])


def overview(island: str) -> str:
    """All five facts of an island as one paragraph."""
    return " ".join(statement(island, attribute) for attribute in ATTRIBUTES)
