// What happens, as it happens: one stream a page, which first tells how things are.
import { api } from "./api.js";
import { href } from "./dom.js";

const WORKERS = 64;
const LONGEST_PAUSE_MS = 30_000;

/**
 * listen({ "queue:status": (data) => ..., "system:health": ..., "queue:jobs": ..., worker: (data) => ... }) until the
 * function it returns is called. `lost` is told true when the connection is gone, false when it is back.
 */
export function listen(handlers) {
  const { worker, lost = () => {}, ...topics } = handlers;
  if (worker) for (let n = 0; n < WORKERS; n++) topics[`worker:tag:${n}:status`] = worker;
  let source, timer, pause = 1000;

  function connect() {
    source = new EventSource(href("/api/web/events/status"));
    source.onopen = () => {
      pause = 1000;
      lost(false);
    };
    source.onerror = () => {
      lost(true);
      // A browser comes back by itself unless the answer was an error; then the session may have ended.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(again, pause);
    };
    for (const [name, tell] of Object.entries(topics)) source.addEventListener(name, (event) => tell(JSON.parse(event.data)));
  }

  async function again() {
    pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
    try {
      await api.get("/api/web/queue/queue-depth"); // leads to the login page where that is what is missing
      connect();
    } catch (error) {
      if (error.status !== 401) timer = setTimeout(again, pause);
    }
  }

  function stop() {
    clearTimeout(timer);
    source?.close();
  }

  // A browser opens six connections to a server at most, over all its tabs: those that nobody sees give theirs back.
  function onVisibility() {
    stop();
    if (!document.hidden) connect();
  }

  onVisibility();
  document.addEventListener("visibilitychange", onVisibility);
  return () => {
    document.removeEventListener("visibilitychange", onVisibility);
    stop();
  };
}

/** Calls `work` soon, however often it is asked for, but at most once in so many milliseconds and never twice at once. */
export function atMostEvery(ms, work) {
  let timer = null, last = -Infinity, isRunning = false, isWanted = false;
  async function run() {
    timer = null;
    isRunning = true;
    last = performance.now();
    try {
      await work();
    } finally {
      isRunning = false;
      if (isWanted) ask();
    }
  }
  function ask() {
    isWanted = isRunning;
    if (!isRunning && timer === null) timer = setTimeout(run, Math.max(0, last + ms - performance.now()));
  }
  return ask;
}
