// How fast one answer comes, as its reader sees it.

export class Speed {
  #begin;
  #first = null;       // {time, tokens} when the first token came
  #last = null;

  // `now`: milliseconds, on any clock, when the request was sent.
  constructor(now) {
    this.#begin = now;
  }

  // `tokens`: how many of the answer have come by now, at least one.
  add(tokens, now) {
    this.#last = {time: now, tokens};
    this.#first ??= this.#last;
  }

  get tokens() {
    return this.#last?.tokens ?? 0;
  }

  // Milliseconds to the first token; null before it.
  get ttft() {
    return this.#first && this.#first.time - this.#begin;
  }

  // Tokens a second after the first ones; null until there are some.
  get rate() {
    if (!this.#first || this.#last.tokens === this.#first.tokens) return null;
    const seconds = (this.#last.time - this.#first.time) / 1000;
    return seconds > 0 ? (this.#last.tokens - this.#first.tokens) / seconds : null;
  }
}

// "48 ms", "1.25 s".
export function formatTime(milliseconds) {
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  return `${(milliseconds / 1000).toFixed(2)} s`;
}

// Three digits or more: "0", "8.25", "48.3", "1,204".
export function formatRate(rate) {
  if (rate === 0) return '0';
  const digits = rate < 10 ? 2 : rate < 100 ? 1 : 0;
  return rate.toLocaleString('en', {minimumFractionDigits: digits, maximumFractionDigits: digits});
}
