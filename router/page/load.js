// What the server is doing, from its metrics, while the page is looked at.
import {ApiError} from './api.js';
import {formatRate} from './speed.js';

const PERIOD_MS = 2000;

// Sums of the samples of each name in Prometheus' text format: Map from name to value.
function readMetrics(text) {
  const sums = new Map();
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{.*\})? (\S+)/.exec(line);
    if (match) sums.set(match[1], (sums.get(match[1]) ?? 0) + Number(match[2]));
  }
  return sums;
}

export class Load {
  #api;
  #show;
  #lacking = false;  // the server has no metrics, or shows them only for another key
  #before = null;    // {time, tokens} of the last metrics

  // `show(state, load)` is called every other second: state is 'ready', 'busy' (loading,
  // recovering, draining) or 'gone'; load is {running, waiting, cache, rate} as texts, or null.
  constructor(api, show) {
    this.#api = api;
    this.#show = show;
  }

  // Asks now and then for as long as the page lives.
  async watch() {
    for (;;) {
      if (document.visibilityState === 'visible') await this.#look();
      await new Promise((wake) => setTimeout(wake, PERIOD_MS));
    }
  }

  // The key has changed: metrics may be shown now.
  forget() {
    this.#lacking = false;
    this.#before = null;
  }

  async #look() {
    try {
      const ready = await this.#api.ready();
      this.#show(ready ? 'ready' : 'busy', this.#lacking ? null : await this.#read());
    } catch {
      this.#before = null;
      this.#show('gone', null);
    }
  }

  async #read() {
    let text;
    try {
      text = await this.#api.metrics();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status === 0) throw error;
      this.#lacking = error.status < 500;
      return null;
    }
    const values = readMetrics(text);
    const running = values.get('regatta_num_requests_running');
    if (running === undefined) return null;
    const now = {time: performance.now(), tokens: values.get('regatta_generation_tokens_total')};
    const rate = this.#before
      ? Math.max(0, now.tokens - this.#before.tokens) / ((now.time - this.#before.time) / 1000) : 0;
    this.#before = now;
    return {
      running: String(running),
      waiting: String(values.get('regatta_num_requests_waiting')),
      cache: `${Math.round(100 * values.get('regatta_kv_cache_usage_perc'))} %`,
      rate: formatRate(rate),
    };
  }
}
