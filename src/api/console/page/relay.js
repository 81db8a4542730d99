// The admin interface, asked with one key. The key lives in this object only, and ends with it.

/** Milliseconds in which an answer must have come, unless told otherwise. */
const PATIENCE = 20_000;

/** Why something was not done: our envelope's code and sentence. */
class Refusal extends Error {
  constructor(status, code, message, requestId) {
    super(message);
    Object.assign(this, { status, code, requestId });
  }
}

export class Relay {
  #key;
  #ended;

  /** `ended` is told the refusal when the key opens nothing any more. */
  constructor(key, ended) {
    this.#key = key;
    this.#ended = ended;
  }

  get = (path, signal, patience) => this.#ask("GET", path, undefined, signal, patience);
  post = (path, body) => this.#ask("POST", path, body);
  patch = (path, body) => this.#ask("PATCH", path, body);

  /** Whether calls would be served. Open to everybody; 503 is an answer like another. */
  async readiness(signal) {
    const response = await fetch("ready", { cache: "no-store", signal });
    return response.json();
  }

  async #ask(method, path, body, signal, patience = PATIENCE) {
    const headers = { Accept: "application/json" };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const timeout = AbortSignal.timeout(patience);
    const response = await this.#fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    return response.json();
  }

  async #fetch(path, options) {
    let response;
    try {
      response = await fetch(path, {
        ...options,
        headers: { ...options.headers, Authorization: `Bearer ${this.#key}` },
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal(0, "UNREACHABLE", "Tollgate does not answer.");
    }
    if (response.ok) return response;
    const answer = await response.json().catch(() => ({}));
    const { code = `HTTP ${response.status}`, message = "Tollgate refused.", request_id: id } = answer.error ?? {};
    const refusal = new Refusal(response.status, code, message, id);
    if (response.status === 401 || code === "SCOPE_DENIED" && options.method === "GET") this.#ended(refusal);
    throw refusal;
  }

  /**
   * What happens to a job, from its first event on: `{id, type, data}`. Read by hand, as an EventSource cannot send a key.
   * A line that breaks is taken up again behind the last event, until the job has ended or `signal` fires.
   */
  async *events(job, signal) {
    let last = 0;
    for (let broken = 0; !signal.aborted; broken += 1) {
      try {
        const headers = last ? { Accept: "text/event-stream", "Last-Event-ID": String(last) } : { Accept: "text/event-stream" };
        const response = await this.#fetch(`admin/jobs/${job}/events`, { method: "GET", headers, signal });
        if (response.status === 204) return;
        for await (const event of frames(response.body)) {
          if (event.id) last = event.id;
          broken = 0;
          yield event;
        }
      } catch (error) {
        if (signal.aborted || error.status) throw error;
      }
      await pause(Math.min(10_000, 500 * 2 ** broken), signal);
    }
  }
}

/** Server-sent events out of bytes as they come. Comments are passed over. */
async function* frames(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const whole = text.split("\n\n");
    text = whole.pop();
    for (const frame of whole) {
      const fields = Object.fromEntries(
        frame.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]),
      );
      if (fields.data) yield { id: Number(fields.id ?? 0), type: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

function pause(milliseconds, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), done()), { once: true });
  });
}
