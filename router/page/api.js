// The server's API: models, answers as they are written, readiness, metrics.
import {eventData} from './event_stream.js';

// What the server refused or broke off, in its own words.
export class ApiError extends Error {
  // `status` is HTTP's, 0 where there is none; `retryAfter` in seconds, 0 = not told.
  constructor(status, message, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const UNREACHABLE = 'The server cannot be reached.';

// The error that a response with a bad status tells of.
async function errorOf(response) {
  const text = await response.text().catch(() => '');
  let message = `${response.status} ${response.statusText}`;
  try {
    message = JSON.parse(text).error.message || message;
  } catch {
    // A proxy's page, most likely: its status says more to people.
  }
  return new ApiError(response.status, message, Number(response.headers.get('retry-after')) || 0);
}

// What one event of either kind of stream says: {text, tokens, promptTokens, finish}. Counts are
// undefined where the event does not give them.
function readChunk(data) {
  const chunk = JSON.parse(data);
  if (chunk.error) throw new ApiError(0, chunk.error.message);
  const choice = chunk.choices?.[0];
  return {
    text: choice?.delta?.content ?? choice?.text ?? '',
    finish: choice?.finish_reason ?? undefined,
    tokens: chunk.usage?.completion_tokens,
    promptTokens: chunk.usage?.prompt_tokens,
  };
}

// Paths are relative, so that the page works behind a proxy that serves it below a folder.
export class Api {
  key = '';
  #completing = new Set();  // models that have no chat template

  // Served models: [{id, max_model_len}, ...].
  async models() {
    const response = await this.#ask('v1/models');
    return (await response.json()).data;
  }

  // Whether requests would be answered now; throws when nothing answers at all.
  async ready() {
    const response = await fetch('ready', {cache: 'no-store'}).catch(() => {
      throw new ApiError(0, UNREACHABLE);
    });
    return response.ok;
  }

  // Prometheus' text format. ApiError with status 404 where the server has none.
  async metrics() {
    const response = await this.#ask('metrics');
    return response.text();
  }

  // The model is known to continue text only; learnt from its first answer.
  completes(model) {
    return this.#completing.has(model);
  }

  // Yields chunks (readChunk) of the answer to `messages`, the last of them the user's. `options`:
  // {temperature, max_tokens}, undefined = the server's. A model without chat template continues
  // the last message instead. Aborting `signal` cancels the request on the server.
  async *answer(model, messages, options, signal) {
    if (!this.completes(model)) {
      try {
        yield* this.#stream('v1/chat/completions', {model, messages, ...options}, signal);
        return;
      } catch (error) {
        if (error.status !== 400 || !/no chat template/.test(error.message)) throw error;
        this.#completing.add(model);
      }
    }
    const prompt = messages.at(-1).content;
    yield* this.#stream('v1/completions', {model, prompt, max_tokens: 256, ...options}, signal);
  }

  async *#stream(path, request, signal) {
    const body = JSON.stringify({
      ...request,
      stream: true,
      stream_options: {include_usage: true, continuous_usage_stats: true},
    });
    const response = await this.#ask(path, {
      method: 'POST', body, signal, headers: {'content-type': 'application/json'},
    });
    try {
      for await (const data of eventData(response.body)) {
        if (data === '[DONE]') return;
        yield readChunk(data);
      }
    } catch (error) {
      if (error instanceof TypeError) throw new ApiError(0, 'The connection broke off.');
      throw error;
    }
    throw new ApiError(0, 'The answer broke off.');
  }

  // A response with a good status; throws ApiError otherwise, AbortError when aborted.
  async #ask(path, options = {}) {
    const headers = {...options.headers};
    if (this.key) headers.authorization = `Bearer ${this.key}`;
    const response = await fetch(path, {cache: 'no-store', ...options, headers}).catch((error) => {
      throw error.name === 'AbortError' ? error : new ApiError(0, UNREACHABLE);
    });
    if (!response.ok) throw await errorOf(response);
    return response;
  }
}
