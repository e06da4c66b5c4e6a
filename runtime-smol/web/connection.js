// @ts-check
// A WebSocket that reconnects by itself and never claims to be connected when it
// is not: it must have heard something within the last 45 s.
import { ApiError } from './api.js';
import { Rhythm } from './rhythm.js';

const SILENCE_MS = 45_000;
const ALIVE_MS = 15_000;
/** The relay sends something every 15 s; after a laptop wakes up, longer silence is suspect. */
const DOUBT_MS = 20_000;
const HANDSHAKE_MS = 10_000;
const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 15_000;
/** A connection that dies sooner does not reset the backoff, to go easy on a relay in a crash loop. */
const STEADY_MS = 5_000;

/** @typedef {{state: 'connected' | 'reconnecting' | 'offline', nextTryAt: number | null, trying: boolean, first: boolean}} Status */

export class Connection {
  /** @type {WebSocket | null} */ #socket = null;
  #running = false;
  #everConnected = false;
  #connected = false;
  #heardAt = 0;
  #spokeAt = 0;
  #connectedAt = 0;
  #attempt = 0;
  #trying = false;
  #refused = false;
  /** @type {number | null} */ #nextTryAt = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  #generation = 0;
  #rhythm = new Rhythm();
  #abort = new AbortController();

  /**
   * @param {{
   *   prepare: (refused: boolean) => Promise<string> | string,
   *   api: { doubt: () => void, assure: () => Promise<void> },
   *   open: (path: string) => WebSocket,
   *   onMessage: (message: any) => void,
   *   onStatus: (status: Status) => void,
   *   onEnd: (error: ApiError) => void,
   * }} options `prepare` gives the path for the next attempt. A browser does not say
   *   why a handshake was refused; with `refused`, it finds out with an ordinary request. After
   *   a connection has ended, `api` has to be sure that what answers is still the relay.
   */
  constructor(options) {
    this.options = options;
  }

  start() {
    this.#running = true;
    const { signal } = this.#abort;
    const wake = () => this.wake();
    window.addEventListener('online', () => {
      this.#rhythm.forget();
      wake();
    }, { signal });
    window.addEventListener('focus', wake, { signal });
    window.addEventListener('pageshow', wake, { signal });
    // A connection that has lost its network says nothing of it. One that needs none is back at once.
    window.addEventListener('offline', () => this.restart(), { signal });
    document.addEventListener('visibilitychange', () => {
      if (this.#connected) this.#speak();
      if (document.visibilityState === 'visible') wake();
    }, { signal });
    this.#connect();
  }

  stop() {
    this.#running = false;
    this.#abort.abort();
    this.#drop();
  }

  /** Leaves until `resume`. */
  pause() {
    this.#running = false;
    this.#drop();
  }

  resume() {
    if (this.#abort.signal.aborted) return;
    this.#running = true;
    this.#connect();
  }

  /** Tries at once unless the connection is known to be alive. */
  wake() {
    if (!this.#running || this.#trying) return;
    if (this.#connected && Date.now() - this.#heardAt < DOUBT_MS) return;
    this.#connect();
  }

  /** Reconnects, to the path that `prepare` gives now. */
  restart() {
    if (this.#running) this.#connect();
  }

  /** @returns {Status} */
  get status() {
    const state = this.#connected ? 'connected' : navigator.onLine ? 'reconnecting' : 'offline';
    return { state, nextTryAt: this.#nextTryAt, trying: this.#trying, first: !this.#everConnected };
  }

  #publish() {
    this.options.onStatus(this.status);
  }

  #drop() {
    clearTimeout(this.#timer);
    this.#generation += 1;
    this.#connected = false;
    this.#spokeAt = 0;
    this.#trying = false;
    this.#nextTryAt = null;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  async #connect() {
    this.#drop();
    this.#trying = true;
    this.#publish();
    const generation = this.#generation;
    const stale = () => generation !== this.#generation;
    let path;
    try {
      path = await this.options.prepare(this.#refused);
      await this.options.api.assure();
    } catch (error) {
      if (stale()) return;
      const fatal = error instanceof ApiError && !error.passing;
      if (fatal) this.#end(error);
      else this.#later(error instanceof ApiError ? error.detail?.retryAfter ?? 0 : 0);
      return;
    }
    if (stale()) return;

    const seconds = this.#rhythm.seconds;
    const wish = seconds === null ? '' : `${path.includes('?') ? '&' : '?'}alive=${seconds}`;
    const socket = this.options.open(path + wish);
    this.#socket = socket;
    this.#refused = true;
    this.#timer = setTimeout(() => this.#later(), HANDSHAKE_MS);
    socket.onopen = () => {
      if (!stale()) this.#refused = false;
    };
    socket.onmessage = ({ data }) => {
      if (!stale()) this.#heard(data);
    };
    socket.onclose = ({ code }) => {
      if (stale()) return;
      // Nobody has closed it: it was cut.
      if (code === 1006 && this.#connected) this.#rhythm.broke(Date.now() - this.#heardAt);
      if (code === 4404) this.#end(new ApiError(404, 'session_unknown', 'The relay no longer has this session.'));
      else this.#later(code === 4429 ? 5 : 0);
    };
  }

  /** @param {unknown} data */
  #heard(data) {
    this.#heardAt = Date.now();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#later(), SILENCE_MS);
    if (!this.#connected) {
      this.#connected = true;
      this.#everConnected = true;
      this.#trying = false;
      this.#connectedAt = this.#heardAt;
      this.#publish();
    }
    // Tells the relay that this viewer is alive. Not on a timer: those stop in a hidden tab.
    if (this.#heardAt - this.#spokeAt >= ALIVE_MS) {
      this.#speak();
    }
    let message;
    try {
      message = JSON.parse(String(data));
    } catch {
      return;
    }
    if (message?.type !== 'alive') this.options.onMessage(message);
  }

  /** Says that this viewer is alive, and whether a person looks: then they are not told elsewhere. */
  #speak() {
    this.#spokeAt = Date.now();
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(`{"type":"alive","visible":${document.visibilityState === 'visible'}}`);
  }

  /** @param {ApiError} error */
  #end(error) {
    this.stop();
    this.options.onEnd(error);
  }

  /** @param {number} [atLeastSeconds] the delay the relay asked for */
  #later(atLeastSeconds = 0) {
    this.options.api.doubt();
    const lasted = Date.now() - this.#connectedAt > STEADY_MS;
    if (this.#connected && (lasted || this.#rhythm.steady)) this.#attempt = 0;
    this.#drop();
    const ceiling = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#attempt);
    // Half fixed, half random: a relay's many viewers must not all return at once.
    const delay = Math.max(ceiling * (0.5 + Math.random() / 2), Math.min(atLeastSeconds, 60) * 1000);
    this.#attempt += 1;
    this.#nextTryAt = Date.now() + delay;
    this.#timer = setTimeout(() => this.#connect(), delay);
    this.#publish();
  }
}
