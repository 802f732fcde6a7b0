// Server-sent events read from the body of a fetch (WHATWG HTML, 9.2.6): their data alone.

// Yields the data of each whole event of `body`, a ReadableStream of bytes. Comments and other
// fields are skipped; an event that the end cuts off is dropped. Leaving early cancels the stream.
export async function* eventData(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let data = [];
  try {
    for (;;) {
      const {value, done} = await reader.read();
      if (done) return;
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      for (const ended of lines) {
        const line = ended.endsWith('\r') ? ended.slice(0, -1) : ended;
        if (line.startsWith('data:')) {
          data.push(line.slice(line[5] === ' ' ? 6 : 5));
        } else if (line === '' && data.length > 0) {
          yield data.join('\n');
          data = [];
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});  // of a stream that has broken: nothing is left to cancel
  }
}
