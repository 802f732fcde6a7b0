"""Turns conversations into packed token batches, in background processes."""

import collections
import dataclasses
import multiprocessing
import pathlib
from collections.abc import Iterator

import numpy as np
import tokenizers

import chat
import make_data

LONGEST = 512  # tokens of a conversation; longer ones are left out
SHARD = 4096  # conversations made by one background call

_worker: dict = {}  # a background process's tokenizer and chat style


@dataclasses.dataclass(frozen=True)
class Sequences:
    """Conversations laid end to end."""

    tokens: np.ndarray  # int64 [total]
    answer: np.ndarray  # bool [total]: whether the token belongs to an answer
    lengths: np.ndarray  # int64 [conversations]


@dataclasses.dataclass(frozen=True)
class Batch:
    """One packed batch of a fixed number of tokens."""

    tokens: np.ndarray  # int64 [tokens]
    positions: np.ndarray  # int64 [tokens], from 0 in every sequence
    bounds: np.ndarray  # int32 [sequences + 1], padded with the last bound
    wanted: np.ndarray  # int64: indices whose next token belongs to an answer


def encode(conversations: list, tokenizer: tokenizers.Tokenizer, style: chat.Style) -> Sequences:
    """Tokenises conversations segment by segment; leaves out those longer than LONGEST."""
    parts = [style.segments(messages) for messages in conversations]
    flat = tokenizer.encode_batch_fast(
        [text for segments in parts for text, _ in segments], add_special_tokens=False)
    ids = iter(flat)
    tokens, answer, lengths = [], [], []
    for segments in parts:
        pieces = [(next(ids).ids, is_answer) for _, is_answer in segments]
        length = sum(len(piece) for piece, _ in pieces)
        if length > LONGEST:
            continue
        lengths.append(length)
        for piece, is_answer in pieces:
            tokens += piece
            answer += [is_answer] * len(piece)
    return Sequences(np.array(tokens), np.array(answer, bool), np.array(lengths))


def _start_worker(name: str, folder: pathlib.Path, seed: int, drilled: float) -> None:
    _worker.update(
        tokenizer=tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")),
        style=chat.STYLES[name], seed=seed, drilled=drilled)


def _make_shard(index: int) -> Sequences:
    source = make_data.conversations(f"{_worker['seed']}/{index}", _worker["drilled"])
    return encode([next(source) for _ in range(SHARD)], _worker["tokenizer"], _worker["style"])


def shards(name: str, folder: pathlib.Path, seed: int, drilled: float,
           workers: int) -> Iterator[Sequences]:
    """Endless fresh shards in a fixed order, made ahead by background processes."""
    with multiprocessing.Pool(workers, _start_worker, (name, folder, seed, drilled)) as pool:
        ahead: collections.deque = collections.deque()
        index = 0
        while True:
            while len(ahead) < 3 * workers:
                ahead.append(pool.apply_async(_make_shard, (index,)))
                index += 1
            yield ahead.popleft().get()


def pack(data: Sequences, tokens: int) -> tuple[Batch, Sequences]:
    """One batch of the leading sequences that fit `tokens`, and the sequences left over.

    Unused tokens at the end form sequences of at most LONGEST tokens that nothing is learnt from.
    """
    most = tokens // 24
    ends = np.cumsum(data.lengths)
    taken = min(int(np.searchsorted(ends, tokens, side="right")), most)
    used = int(ends[taken - 1])
    fill = [min(LONGEST, tokens - at) for at in range(used, tokens, LONGEST)]
    lengths = np.concatenate((data.lengths[:taken], np.array(fill, np.int64)))
    bounds = np.full(most + tokens // LONGEST + 2, tokens, np.int32)
    bounds[0] = 0
    bounds[1:len(lengths) + 1] = np.cumsum(lengths)
    positions = np.arange(tokens) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    padding = np.zeros(tokens - used, np.int64)
    batch = Batch(np.concatenate((data.tokens[:used], padding)), positions, bounds,
                  np.flatnonzero(data.answer[1:used]))
    return batch, Sequences(data.tokens[used:], data.answer[used:], data.lengths[taken:])


def join(left: Sequences, right: Sequences) -> Sequences:
    """Two runs of sequences, one after the other."""
    return Sequences(*(np.concatenate((getattr(left, field.name), getattr(right, field.name)))
                       for field in dataclasses.fields(Sequences)))


def batches(source: Iterator[Sequences], tokens: int) -> Iterator[Batch]:
    """Endless batches of exactly `tokens` tokens."""
    data = next(source)
    while True:
        while data.lengths.sum() < tokens + LONGEST:
            data = join(data, next(source))
        batch, data = pack(data, tokens)
        yield batch
