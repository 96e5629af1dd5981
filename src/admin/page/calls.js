// Calls to the sidecar. The token lives in this variable and nowhere else: it is gone with the page.
let token = null;

class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? String(status));
    this.status = status;
    this.problems = problem.problems ?? [];
  }
}

async function call(method, path, body, type) {
  const headers = token === null ? {} : { authorization: "Bearer " + token };
  if (body !== undefined) headers["content-type"] = type ?? "application/json";
  const text = body === undefined || type ? body : JSON.stringify(body);
  const answer = await fetch(path, { method, headers, body: text, cache: "no-store", signal: AbortSignal.timeout(10000) });
  if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
  return answer.status === 204 ? null : answer.json();
}
const ask = (name) => call("GET", "/api/v1/" + name);
const send = (name, body) => call("POST", "/api/v1/" + name, body);

// Figures once a second. EventSource cannot show a token, so the stream is read by hand. It ends, breaks or stands still:
// then it is asked for again, later each time.
const STILL = 5000;
const FIRST_PAUSE = 300;
const LONGEST_PAUSE = 5000;

async function listen(onFigures, onState) {
  for (let pause = FIRST_PAUSE; ; ) {
    try {
      await readStream((figures) => {
        pause = FIRST_PAUSE;
        onFigures(figures);
      });
      onState("lost");
    } catch (error) {
      onState(error instanceof Refused && error.status === 401 ? "token" : "lost");
    }
    await wake(pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }
}

// A pause that a new token cuts short.
let wakeUp = () => {};
const wake = (pause) => new Promise((done) => {
  wakeUp = done;
  setTimeout(done, pause);
});

async function readStream(onFigures) {
  const cancel = new AbortController();
  let watchdog = setTimeout(() => cancel.abort(), STILL);
  try {
    const headers = token === null ? {} : { authorization: "Bearer " + token };
    const answer = await fetch("/api/v1/stream", { headers, cache: "no-store", signal: cancel.signal });
    if (!answer.ok) throw new Refused(answer.status, await answer.json().catch(() => ({})));
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ; ) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => cancel.abort(), STILL);
      const events = (rest + value).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const line = event.split("\n").find((one) => one.startsWith("data: "));
        if (line) onFigures(JSON.parse(line.slice(6)));
      }
    }
  } finally {
    clearTimeout(watchdog);
    cancel.abort();
  }
}
