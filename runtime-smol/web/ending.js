// @ts-check
// How a session ended, in place of the message box, and what can come after it.
import { conversationIn, wayOn } from './continuing.js';
import { freshId, h } from './dom.js';
import { exitOf, withoutColour } from './format.js';
import { clipped, codeForm } from './long.js';
import { text } from './values.js';

export class Ending {
  /**
   * @param {{
   *   facts: import('./agent-facts.js').AgentFacts,
   *   places: () => import('./continuing.js').Place[],
   *   load: () => Promise<{events: any[]}>,
   *   onNew: () => void,
   *   onContinue: (environmentId: string) => void,
   * }} options `load` is for the beginning of the log; the others are called for another session in the place of this one
   */
  constructor(options) {
    this.options = options;
    this.way = h('div', { class: 'way', 'data-testid': 'way-on' });
    this.element = h('section', { class: 'ending', 'aria-label': 'How the session ended', hidden: true });
  }

  /** @param {any} result @param {string} label @param {string} tone */
  show(result, label, tone) {
    if (!this.element.hidden) return;
    const exit = exitOf(result);
    const stderr = withoutColour(text(result?.stderr)).trim();
    this.element.replaceChildren(
      h('p', { 'data-tone': tone }, h('strong', {}, label), exit && ` · ${exit}`),
      result?.message ? h('p', { class: 'muted' }, text(result.message)) : '',
      stderr ? h('details', { class: 'folded', ...(tone === 'bad' ? { open: true } : {}) },
        h('summary', {}, 'Last lines of stderr'), clipped(stderr, codeForm)) : '',
      this.way,
      h('p', { class: 'actions' }, h('button', { type: 'button', 'data-testid': 'another-session', on: { click: () => this.options.onNew() } }, 'New session here')),
    );
    this.element.hidden = false;
  }

  /** Says how its conversation can be continued. @param {any} session as it is now */
  async offer(session) {
    if (session?.state !== 'ended') return;
    const { facts, places, load, onContinue } = this.options;
    if (!facts.conversation && !this.#hasLooked) {
      // The part that is shown of a long session may not say which conversation it is.
      this.#hasLooked = true;
      const page = await load().catch(() => null);
      facts.conversation ||= conversationIn(page?.events ?? []);
    }
    const way = wayOn(facts, session, places());
    const said = way ? `${way.environmentId} ${way.words}` : '';
    // The focus stays where it is while nothing changes.
    if (this.#said === said) return;
    this.#said = said;
    if (!way) return this.way.replaceChildren();
    const { environmentId, words } = way;
    const id = freshId('way');
    this.way.replaceChildren(
      environmentId === null ? '' : h('button', {
        type: 'button', class: 'primary', 'data-testid': 'continue', 'aria-describedby': id, on: { click: () => onContinue(environmentId) },
      }, 'Continue'),
      h('p', { id, class: 'muted small', dir: 'auto' }, words));
  }

  #said = '';
  #hasLooked = false;

  hide() {
    this.element.hidden = true;
  }
}

/** @param {boolean} isGone whether the relay no longer has it @param {string} why @returns {{element: HTMLElement, heading: HTMLElement}} */
export function farewell(isGone, why) {
  const heading = h('h3', { tabindex: '-1' }, isGone ? 'This session no longer exists' : 'This session cannot be shown');
  const reason = isGone ? 'The relay no longer has it. The relay may have restarted, or the session may have been too old to keep.' : why;
  return {
    heading,
    element: h('section', { class: 'ending', 'data-testid': 'session-gone' },
      heading, h('p', {}, reason), h('p', {}, h('a', { class: 'button', href: '#/' }, 'Back to the overview'))),
  };
}
