// @ts-check
// The log on the screen: appended once per frame, bounded, and only scrolled
// automatically while the reader is at its end.
import { h } from './dom.js';
import { Housekeeping, QuietFold } from './housekeeping.js';
import { entry, isReport, rawEntry } from './entries.js';
import { Ledger } from './ledger.js';
import { entriesOf } from './messages.js';
import { nextFrame } from './long.js';
import { isQuestion } from './permission.js';
import { Streams, writerOf } from './stream.js';

/** Entries that stay on the page while its reader follows the end. */
const KEPT = 600;
const EARLIER_PAGE = 300;
const FRAME_BUDGET_MS = 5;
const HIDDEN_BUDGET_MS = 25;
/** @typedef {{streams: Streams, quiet: QuietFold}} Place what an event is shown beside */

/** What is added between two frames has to be laid out, too: so many entries, and about so many elements and characters. */
const FRAME_ENTRIES = 50;
const FRAME_NODES = 500;
const FRAME_CHARS = 16_000;
const AT_END_PX = 48;
/** How far up an event is looked for, and for how long it is marked once it is found. */
const PAGES_TO_GO = 6;
/** Screens above the reader that are loaded before they are asked for. */
const AHEAD = 2;
const SOUGHT_MS = 3000;

export class Transcript {
  /** @type {any[]} */ #queue = [];
  /** @type {Iterator<HTMLElement> | null} the entries of the item before those in the queue, as far as they have not been made */
  #making = null;
  #scheduled = false;
  #follow = true;
  #lastTop = 0;
  #kept = KEPT;
  /** The earliest event that is shown; those before it are only in the relay's log. */
  #first = 1;
  #loggedFrom = 1;
  #live = false;
  #place = { streams: new Streams(), quiet: new QuietFold() };
  #memory = this.#newMemory();
  #permissions;
  #receipts;
  #loadEarlier;
  #onCaughtUp;

  /**
   * @param {{
   *   permissions: import('./permission.js').Permissions,
   *   receipts: import('./receipts.js').Receipts,
   *   loadEarlier: (after: number, limit: number) => Promise<{events: any[], first_seq: number}>,
   *   onCaughtUp: () => void,
   *   tail: HTMLElement,
   *   onEnd?: () => void,
   * }} options `tail` is shown below the log: what is not in it yet; `onEnd` is for who has to go elsewhere to see the latest
   */
  constructor({ permissions, receipts, loadEarlier, onCaughtUp, tail, onEnd = () => this.toEnd() }) {
    this.#permissions = permissions;
    this.#receipts = receipts;
    this.#loadEarlier = loadEarlier;
    this.#onCaughtUp = onCaughtUp;
    this.earlier = h('button', {
      type: 'button', class: 'earlier', hidden: true, on: { click: () => this.#showEarlier() },
    }, 'Show earlier');
    this.beginning = h('p', { class: 'line quiet', hidden: true });
    this.log = h('div', { role: 'log', 'aria-label': 'Transcript', 'aria-live': 'off', 'aria-busy': 'true', class: 'log' });
    this.housekeeping = new Housekeeping();
    const { streams, quiet } = this.#place;
    this.content = h('div', { class: 'content' }, this.earlier, this.beginning, this.log, streams.element, quiet.element, tail);
    this.scroller = h('div', {
      class: 'scroller', tabindex: '0', role: 'region', 'aria-label': 'Conversation', 'data-testid': 'transcript',
    }, this.content);
    this.jump = h('button', {
      type: 'button', class: 'jump', hidden: true, 'data-testid': 'jump', on: { click: onEnd },
    }, 'Jump to latest');
    this.element = h('div', { class: 'transcript' }, this.scroller, this.jump);
    this.scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.observer = new ResizeObserver(() => this.#stick());
    this.observer.observe(this.content);
    this.observer.observe(this.scroller);
  }

  destroy() {
    this.observer.disconnect();
    this.#queue = [];
    this.#making = null;
  }

  /** @param {number} after the log is shown from the event after this one */
  beginAfter(after) {
    this.#first = after + 1;
    this.#updateEarlier();
  }

  /** @param {number} seq the first event that the relay still has */
  set loggedFrom(seq) {
    this.#loggedFrom = seq;
    this.#updateEarlier();
  }

  /** @param {any} item an event, or a gap */
  push(item) {
    this.#queue.push(item);
    this.#schedule();
  }

  /** From here on, events are new to the reader and worth reading out. */
  setLive() {
    this.#live = true;
    this.#schedule();
  }

  /** What follows is a replay, which a screen reader must not read out. */
  setReplaying() {
    this.#live = false;
    this.log.setAttribute('aria-live', 'off');
    this.log.setAttribute('aria-busy', 'true');
  }

  clear() {
    this.#queue = [];
    this.#making = null;
    this.#memory = this.#newMemory();
    this.#place.streams.settle();
    this.#place.quiet.take();
    this.#first = 1;
    this.#loggedFrom = 1;
    this.#kept = KEPT;
    this.#follow = true;
    this.log.replaceChildren();
    this.setReplaying();
    this.#updateEarlier();
  }

  toEnd() {
    this.#follow = true;
    this.#kept = KEPT;
    this.#trim();
    this.#stick();
    this.scroller.focus({ preventScroll: true });
  }

  /** The reader is not at the end, whatever comes. */
  stay() {
    this.#follow = false;
  }

  /** @param {number} seq @returns {boolean} whether an event is too far up for all between to be on the page */
  isFar(seq) {
    return seq < this.#first - PAGES_TO_GO * EARLIER_PAGE;
  }

  /** @param {number} seq an event to be shown, which may not be on the page yet */
  async goTo(seq) {
    this.#follow = false;
    try {
      for (let pages = 0; pages < PAGES_TO_GO && this.#first > Math.max(seq, this.#loggedFrom); pages += 1) {
        const page = await this.#earlierPage();
        this.#kept += page.childElementCount;
        this.#prepend(page);
        this.#updateEarlier();
      }
    } catch {
      // What is on the page is shown.
    }
    const all = [...this.log.querySelectorAll('[data-seq]')];
    const seqOf = (/** @type {Element} */ one) => Number(/** @type {HTMLElement} */ (one).dataset.seq);
    const found = all.find((one) => seqOf(one) === seq) ?? all.filter((one) => seqOf(one) < seq).pop();
    if (!found) return;
    for (let at = found.parentElement; at && at !== this.log; at = at.parentElement) if (at instanceof HTMLDetailsElement) at.open = true;
    found.scrollIntoView({ block: 'center' });
    found.classList.add('sought');
    setTimeout(() => found.classList.remove('sought'), SOUGHT_MS);
    this.#lastTop = this.scroller.scrollTop;
    this.#showJump();
  }

  /** @param {any} event an open request from before the part that is shown */
  pin(event) {
    this.log.prepend(...this.#render(event, this.#place));
  }

  #newMemory() {
    return { calls: new Ledger(), viewerUuids: new Map() };
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const run = () => {
      if (!this.#scheduled) return;
      this.#scheduled = false;
      clearTimeout(timer);
      cancelAnimationFrame(frame);
      this.#flush();
    };
    const frame = requestAnimationFrame(run);
    // A hidden page gets no frames, and its queue must not grow for hours.
    const timer = setTimeout(run, 500);
  }

  #flush() {
    const until = performance.now() + (document.hidden ? HIDDEN_BUDGET_MS : FRAME_BUDGET_MS);
    const batch = document.createDocumentFragment();
    let [taken, chars, nodes] = [0, 0, 0];
    while (batch.childNodes.length < FRAME_ENTRIES && nodes < FRAME_NODES && chars < FRAME_CHARS && performance.now() < until) {
      this.#making ??= taken < this.#queue.length ? this.#render(this.#queue[taken++], this.#place) : null;
      if (!this.#making) break;
      const { value, done } = this.#making.next();
      if (done) {
        this.#making = null;
      } else {
        batch.append(value);
        chars += value.textContent?.length ?? 0;
        nodes += value.querySelectorAll('*').length;
      }
    }
    this.#queue.splice(0, taken);
    this.#place.streams.flush();
    const grew = batch.hasChildNodes();
    this.log.append(batch);
    this.#trim();
    this.#stick();
    if (grew) this.#showJump();
    if (this.#queue.length || this.#making) this.#schedule();
    else if (this.#live && this.log.getAttribute('aria-live') === 'off') {
      this.log.setAttribute('aria-live', 'polite');
      this.log.setAttribute('aria-busy', 'false');
      this.#onCaughtUp();
    }
  }

  /**
   * @param {any} item @param {Place} place
   * @returns {Generator<HTMLElement>} whatever is wrong with one event, the next ones are still shown
   */
  *#render(item, place) {
    try {
      yield* this.#entries(item, place);
    } catch {
      yield rawEntry(item);
    }
  }

  /** @param {any} item @param {Place} place @returns {Generator<HTMLElement>} one at a time, since there may be many */
  *#entries(item, place) {
    const { message } = item;
    if (item.type === 'gap') yield gapLine(item);
    else if (message?.type === 'stream_event') yield* place.streams.take(item);
    else if (isQuestion(item)) yield* this.#question(item);
    else if (this.#permissions.take(item)) this.#receipts.mark(item, this.#permissions.cardOf(item));
    else yield* this.#ordinary(item, place);
  }

  /** @param {any} item @returns {Generator<HTMLElement>} */
  *#question(item) {
    const call = this.#memory.calls.before(item.message.request.tool_use_id, item.seq);
    const card = this.#permissions.card(item, call);
    if (!call?.element.contains(card)) yield card;
  }

  /** @param {any} item @param {Place} place @returns {Generator<HTMLElement>} */
  *#ordinary(item, { streams, quiet }) {
    const { message } = item;
    const { calls } = this.#memory;
    this.#receipts.take(item);
    if (message?.type === 'assistant') streams.discard(writerOf(message));
    const isOver = message?.type === 'result' || isReport(item, 'agent_exited');
    if (isOver) {
      yield* streams.settle();
      calls.turnEnded(item.seq);
    }
    const showing = this.housekeeping.showing(item);
    if (isOver || message?.type === 'assistant' || item.from === 'viewer') quiet.isShown = !isOver;
    let last;
    for (const entry of entriesOf(item, this.#memory)) {
      if (showing === 'never') continue;
      last = entry;
      const isQuiet = showing === 'quiet' || entry.dataset.quiet === '';
      if (isOver) quiet.settleIn(entry);
      if (isQuiet && !isOver) quiet.add(entry);
      else if (!calls.place(item, entry)) yield entry;
    }
    this.#receipts.mark(item, last);
  }

  #trim() {
    let surplus = this.log.childElementCount - this.#kept;
    if (surplus <= 0) return;
    // Someone reading further up keeps their place, within reason.
    if (!this.#follow && surplus < 2 * KEPT) return;
    surplus += 200;
    let cut = 0;
    for (const element of [...this.log.children]) {
      const seq = Number(/** @type {HTMLElement} */ (element).dataset.seq);
      if (surplus <= 0 && seq !== cut) break;
      if (element.querySelector('[data-testid="permission-card"]')) continue;
      element.remove();
      this.#memory.calls.left(element);
      surplus -= 1;
      cut = seq;
    }
    this.#first = Math.max(this.#first, cut + 1);
    this.#updateEarlier();
  }

  #updateEarlier() {
    this.earlier.hidden = this.#first <= this.#loggedFrom;
    this.beginning.hidden = !this.earlier.hidden || this.#loggedFrom <= 1;
    this.beginning.textContent = 'Earlier events are no longer kept.';
  }

  async #showEarlier() {
    if (this.earlier.getAttribute('aria-disabled') === 'true') return;
    const hadFocus = document.activeElement === this.earlier;
    this.earlier.setAttribute('aria-disabled', 'true');
    this.earlier.textContent = 'Loading…';
    try {
      const batch = document.createDocumentFragment();
      // A batch may hold only pieces of a message: load more until there is something to see.
      for (let pages = 0; pages < 8 && batch.childElementCount < 20 && this.#first > this.#loggedFrom; pages += 1) {
        batch.prepend(await this.#earlierPage());
      }
      this.#kept += batch.childElementCount;
      this.#prepend(batch);
      this.earlier.textContent = 'Show earlier';
    } catch {
      this.earlier.textContent = 'Show earlier (loading failed; try again)';
    }
    this.earlier.setAttribute('aria-disabled', 'false');
    this.#updateEarlier();
    if (hadFocus && this.earlier.hidden) this.scroller.focus({ preventScroll: true });
  }

  async #earlierPage() {
    const end = this.#first - 1;
    const start = Math.max(this.#loggedFrom, this.#first - EARLIER_PAGE);
    const events = [];
    for (let after = start - 1; after < end;) {
      const page = await this.#loadEarlier(after, end - after);
      this.#loggedFrom = Math.max(this.#loggedFrom, page.first_seq ?? 1);
      const wanted = page.events.filter((event) => event.seq > after && event.seq <= end);
      if (!wanted.length) break;
      events.push(...wanted);
      after = wanted[wanted.length - 1].seq;
    }
    this.#first = Math.max(start, this.#loggedFrom);
    const place = { streams: new Streams(), quiet: new QuietFold() };
    const page = document.createDocumentFragment();
    let until = performance.now() + FRAME_BUDGET_MS;
    for (const event of events) {
      for (const entry of this.#render(event, place)) page.append(entry);
      if (performance.now() < until) continue;
      await nextFrame();
      until = performance.now() + FRAME_BUDGET_MS;
    }
    // A call may be on this page, and its result after it.
    const results = await Promise.all(this.#memory.calls.missing.map((seq) => this.#loadEarlier(seq - 1, 1)));
    for (const event of results.flatMap(({ events: found }) => found)) for (const entry of this.#render(event, place)) page.append(entry);
    // Its turn ends after this page.
    page.append(place.quiet.take() ?? '');
    return page;
  }

  /** @param {DocumentFragment} batch added without moving what the reader is looking at, in any browser */
  #prepend(batch) {
    const anchor = this.log.firstElementChild;
    const before = anchor?.getBoundingClientRect().top ?? 0;
    this.scroller.classList.add('still');
    this.#follow = false;
    this.log.prepend(batch);
    if (anchor) this.scroller.scrollTop += anchor.getBoundingClientRect().top - before;
    requestAnimationFrame(() => this.scroller.classList.remove('still'));
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const atEnd = scrollHeight - clientHeight - scrollTop < AT_END_PX;
    // Growing content also moves the end away; only scrolling up means the reader wants to stay.
    if (atEnd) this.#follow = true;
    else if (scrollTop < this.#lastTop - 2) {
      this.#follow = false;
      if (scrollTop < AHEAD * clientHeight && !this.earlier.hidden) void this.#showEarlier();
    }
    this.#lastTop = scrollTop;
    if (this.#follow) this.jump.hidden = true;
    else this.#showJump();
  }

  #stick() {
    if (!this.#follow) return;
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.#lastTop = this.scroller.scrollTop;
  }

  #showJump() {
    this.jump.hidden = this.#follow;
  }
}

/** @param {{after: number, resumes_after: number}} gap */
function gapLine({ after, resumes_after: to }) {
  const text = to > after + 1 ? `Events ${after + 1} to ${to} are no longer kept.` : `Event ${to} is no longer kept.`;
  return entry({ seq: to, at: '', from: 'relay', message: null }, 'gap', [h('p', { class: 'line quiet' }, text)]);
}
