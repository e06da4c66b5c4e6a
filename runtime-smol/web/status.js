// @ts-check
// The state of the page's connection to the relay. Where it has two connections, the
// worse one counts.
import { h, setAttributes, setText } from './dom.js';

const WORDS = { connected: 'Connected', reconnecting: 'Reconnecting', offline: 'Offline' };
const RANK = { connected: 0, reconnecting: 1, offline: 2 };

export class StatusLine {
  /** @type {Map<string, import('./connection.js').Status>} */ #known = new Map();
  /** @type {ReturnType<typeof setInterval> | undefined} */ #ticking;

  /** @param {() => void} retry */
  constructor(retry) {
    // Only the word is a live region: nobody wants a countdown read out.
    this.word = h('span', { role: 'status' });
    this.detail = h('span', { class: 'next-try' });
    this.retry = h('button', { type: 'button', class: 'link', hidden: true, on: { click: retry } }, 'Try now');
    this.element = h('div', { class: 'connection', 'data-testid': 'connection' },
      h('span', { class: 'dot', 'aria-hidden': 'true' }), this.word, this.detail, this.retry);
    this.#render();
  }

  /** @param {string} name @param {import('./connection.js').Status | null} status null when there is no such connection */
  set(name, status) {
    if (status) this.#known.set(name, status);
    else this.#known.delete(name);
    this.#render();
  }

  #render() {
    const worst = [...this.#known.values()].sort((a, b) => RANK[b.state] - RANK[a.state])[0];
    const state = worst?.state ?? 'reconnecting';
    const connecting = !worst || (state === 'reconnecting' && worst.first && worst.trying);
    setAttributes(this.element, { 'data-state': state });
    setText(this.word, connecting ? 'Connecting' : WORDS[state]);
    const waiting = state !== 'connected' && worst?.nextTryAt;
    const seconds = waiting ? Math.max(0, Math.ceil((Number(worst.nextTryAt) - Date.now()) / 1000)) : 0;
    setText(this.detail, waiting ? `· retry in ${seconds} s` : state !== 'connected' && !connecting ? '· trying now' : '');
    const focused = document.activeElement === this.retry;
    this.retry.hidden = !(waiting && seconds > 1) && !focused;
    clearInterval(this.#ticking);
    if (waiting) this.#ticking = setInterval(() => this.#render(), 500);
  }
}
