// HTTP requests to the console. Every answer is JSON; every refusal carries one sentence for the operator.

/** A refusal by the server, or no answer at all (status 0). */
export class Refused extends Error {
  constructor(status, message, field) {
    super(message);
    this.status = status;
    this.field = field;
  }
}

const TIMEOUT_MS = 15000;

async function ask(path, options, timeout_ms = TIMEOUT_MS) {
  let answer;
  try {
    answer = await fetch(path, {
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(timeout_ms),
      ...options,
    });
  } catch {
    throw new Refused(0, "The console does not answer.", null);
  }
  let content = {};
  try {
    content = await answer.json();
  } catch {
    content = {};
  }
  if (!answer.ok) {
    const said = typeof content.error === "string" ? content.error : `Refused (${answer.status}).`;
    throw new Refused(answer.status, said, content.field ?? null);
  }
  return content;
}

export function get(path, parameters = {}, timeout_ms = TIMEOUT_MS) {
  const query = new URLSearchParams(parameters).toString();
  return ask(query ? `${path}?${query}` : path, { method: "GET" }, timeout_ms);
}

export function post(path, body = {}) {
  return ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
}
