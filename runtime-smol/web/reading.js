// @ts-check
// Whether all of something has been on the screen: nobody should allow what they have seen in
// part without knowing it. What is not in sight is counted at the edge where it begins.
import { h, setText } from './dom.js';

/** Differences in layout that are smaller than any line, in pixels. */
const TOLERANCE = 6;

/** @param {number} count @returns {string} */
const lines = (count) => (count === 1 ? '1 more line' : `${count.toLocaleString()} more lines`);

export class Reading {
  /** @type {[number, number][]} parts that have been on the screen, in order, as fractions of the height */
  #seen = [];
  #abort = new AbortController();
  #target;
  #edge;

  /** @param {HTMLElement} target whose height is that of all its text @param {HTMLElement} edge what may lie on it at its lower end */
  constructor(target, edge) {
    [this.#target, this.#edge] = [target, edge];
    this.above = h('p', { class: 'more above', hidden: true, 'data-testid': 'lines-above' });
    this.below = h('p', { class: 'more below', hidden: true, 'data-testid': 'lines-below' });
    this.element = h('div', { class: 'reading' }, this.above, target, this.below);
    const measure = () => this.measure();
    const options = { signal: this.#abort.signal, passive: true };
    document.addEventListener('scroll', measure, { ...options, capture: true });
    document.addEventListener('visibilitychange', measure, options);
    this.observer = new ResizeObserver(measure);
    this.observer.observe(target);
  }

  stop() {
    this.#abort.abort();
    this.observer.disconnect();
  }

  /** What is shown has changed. */
  again() {
    this.#seen = [];
    this.measure();
  }

  /** @returns {{lines: number, unseen: number, first: number}} `first` is where the first one is, in pixels */
  get progress() {
    const height = this.#target.offsetHeight || 1;
    const text = this.#target.querySelector('pre code') ?? this.#target;
    const line = parseFloat(getComputedStyle(text).lineHeight) || 20;
    const total = Math.max(1, Math.round((height - 2 * TOLERANCE) / line));
    let [covered, reached, first] = [0, 0, NaN];
    for (const [from, to] of [...this.#seen, /** @type {[number, number]} */ ([1, 1])]) {
      const gap = (from - reached) * height;
      if (gap > TOLERANCE) first = Number.isNaN(first) ? reached * height : first;
      else covered += from - reached;
      covered += to - from;
      reached = to;
    }
    const unseen = Number.isNaN(first) ? 0 : Math.max(1, Math.round((1 - covered) * total));
    return { lines: total, unseen, first: Number.isNaN(first) ? 0 : first };
  }

  /** Brings what has not been seen into view. */
  goToUnseen() {
    const scroller = this.#target.closest('.scroller');
    if (!scroller) return;
    const top = this.#target.getBoundingClientRect().top + this.progress.first;
    scroller.scrollTop += top - scroller.getBoundingClientRect().top - 48;
  }

  /** Takes in what is on the screen now. */
  measure() {
    const box = this.#target.getBoundingClientRect();
    const around = this.#target.closest('.scroller')?.getBoundingClientRect();
    if (!around || !box.height) return;
    const clipTop = Math.max(around.top, 0);
    const end = Math.min(around.bottom, innerHeight);
    const clipBottom = Math.min(end, this.#edge.getBoundingClientRect().top);
    const raised = `${Math.max(0, Math.round(end - clipBottom))}px`;
    if (this.below.style.bottom !== raised) this.below.style.bottom = raised;
    const [from, to] = [Math.max(box.top, clipTop), Math.min(box.bottom, clipBottom)];
    if (to > from && !document.hidden) this.#add((from - box.top) / box.height, (to - box.top) / box.height);
    const { lines: total, unseen } = this.progress;
    const count = (/** @type {number} */ pixels) => Math.round((Math.max(0, pixels) / box.height) * total);
    const [above, below] = [count(clipTop - box.top), count(box.bottom - clipBottom)];
    this.above.hidden = !unseen || !above || to <= from;
    this.below.hidden = !unseen || !below || to <= from;
    setText(this.above, `▲ ${lines(above)} above`);
    setText(this.below, `▼ ${lines(below)} below`);
  }

  /** @param {number} from @param {number} to */
  #add(from, to) {
    const apart = this.#seen.filter(([a, b]) => b < from || a > to);
    const joined = this.#seen.filter(([a, b]) => b >= from && a <= to);
    apart.push([Math.min(from, ...joined.map(([a]) => a)), Math.max(to, ...joined.map(([, b]) => b))]);
    this.#seen = apart.sort(([a], [b]) => a - b);
  }
}
