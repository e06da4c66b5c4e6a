// @ts-check
// How often to be sent something, so that nothing on the way ends a connection for its silence.

/** As often as the relay sends something by itself. */
const USUAL_MS = 15_000;
const MIN_MS = 1_000;
/** Sooner than this, a connection has broken rather than been cut for its silence. */
const MIN_SILENCE_MS = 1_000;
/** The part of a silence that was cut that is still safe. */
const SAFE = 0.6;

export class Rhythm {
  #everyMs = USUAL_MS;
  /** @type {number | null} the silence after which the last connection ended */ #last = null;
  #steady = false;

  /** Seconds, if they are not the usual ones. @returns {number | null} */
  get seconds() {
    return this.#everyMs < USUAL_MS ? Math.max(1, Math.floor(this.#everyMs / 1000)) : null;
  }

  /** Whether connections end so regularly that the end of one says nothing about the relay. */
  get steady() {
    return this.#steady;
  }

  /** A connection ended without a word. @param {number} silenceMs since something came last */
  broke(silenceMs) {
    const last = this.#last;
    this.#last = silenceMs < MIN_SILENCE_MS ? null : silenceMs;
    this.#steady = last !== null && this.#last !== null
      && Math.abs(last - silenceMs) <= Math.max(MIN_SILENCE_MS, silenceMs / 5);
    if (this.#steady && silenceMs < USUAL_MS) {
      this.#everyMs = Math.max(MIN_MS, Math.min(this.#everyMs, silenceMs * SAFE));
    }
  }

  /** On another network, other things are on the way. */
  forget() {
    this.#everyMs = USUAL_MS;
    this.#last = null;
    this.#steady = false;
  }
}
