// @ts-check
// A part of a long log far above its end, in place of the transcript: so that no more has to be on the page
// than what is looked at.
import { h, setText } from './dom.js';
import { Permissions } from './permission.js';
import { Receipts } from './receipts.js';
import { Transcript } from './transcript.js';
import { list } from './values.js';

/** Events before and after the one that is looked for, and how many more a click shows. */
const AROUND = 60;
const LATER = 200;

export class Excerpt {
  /** @type {Transcript | null} */ #transcript = null;
  #last = 0;

  /**
   * @param {{
   *   load: (after: number, limit: number) => Promise<{events: any[], first_seq: number, last_seq: number}>,
   *   answer: import('./card.js').Answer,
   *   session: () => any,
   *   housekeeping: () => import('./housekeeping.js').Housekeeping,
   *   onChange: (isOpen: boolean) => void,
   * }} options
   */
  constructor(options) {
    this.options = options;
    this.element = h('section', { class: 'excerpt', hidden: true, 'aria-label': 'An earlier part of the conversation', 'data-testid': 'excerpt' });
    this.later = h('button', { type: 'button', class: 'earlier', on: { click: () => this.#showLater() } }, 'Show later');
  }

  get isOpen() {
    return this.#transcript !== null;
  }

  /** @param {number} seq of the event to be shown */
  async open(seq) {
    this.close();
    const { load, session, answer, housekeeping } = this.options;
    const first = Math.max(seq - AROUND, session()?.first_seq ?? 1);
    const page = await load(first - 1, 2 * AROUND);
    // What is open is answered at the end of the log; here, it is only shown.
    const permissions = new Permissions(answer, () => {});
    const receipts = new Receipts(() => {}, async () => false);
    receipts.show(session()?.receipts);
    const transcript = new Transcript({
      permissions, receipts, loadEarlier: load, tail: this.later, onEnd: () => this.close(),
      onCaughtUp: () => {
        permissions.showOnly(new Set());
        void transcript.goTo(seq);
      },
    });
    transcript.housekeeping = housekeeping();
    transcript.loggedFrom = page.first_seq ?? 1;
    transcript.beginAfter(first - 1);
    this.#transcript = transcript;
    this.#take(page);
    this.element.replaceChildren(
      h('p', { class: 'excerpt-head' }, h('span', {}, 'An earlier part of this conversation'), h('button', { type: 'button', 'data-testid': 'to-latest', on: { click: () => this.close() } }, 'Back to the latest')),
      transcript.element);
    this.element.hidden = false;
    this.options.onChange(true);
    transcript.stay();
    transcript.setLive();
  }

  /** @param {{events: any[], last_seq: number}} page */
  #take(page) {
    for (const event of list(page.events)) {
      this.#transcript?.push(event);
      this.#last = event.seq;
    }
    this.later.hidden = this.#last >= page.last_seq;
  }

  async #showLater() {
    if (this.later.getAttribute('aria-disabled') === 'true') return;
    this.later.setAttribute('aria-disabled', 'true');
    try {
      this.#take(await this.options.load(this.#last, LATER));
      setText(this.later, 'Show later');
    } catch {
      setText(this.later, 'Show later (loading failed; try again)');
    }
    this.later.removeAttribute('aria-disabled');
  }

  /** Back to the end of the log. */
  close() {
    if (!this.#transcript) return;
    this.#transcript.destroy();
    this.#transcript = null;
    this.element.hidden = true;
    this.element.replaceChildren();
    this.options.onChange(false);
  }
}
