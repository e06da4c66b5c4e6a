// @ts-check
// How a session ended, in place of the message box, and what can come after it.
import { h } from './dom.js';
import { exitOf, withoutColour } from './format.js';
import { clipped, codeForm } from './long.js';
import { text } from './values.js';

export class Ending {
  /** @param {() => void} onNew called for another session in its place */
  constructor(onNew) {
    this.onNew = onNew;
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
      h('p', { class: 'actions' }, h('button', { type: 'button', 'data-testid': 'another-session', on: { click: () => this.onNew() } }, 'New session here')),
    );
    this.element.hidden = false;
  }

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
