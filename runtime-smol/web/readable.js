// @ts-check
// What a permission request is about, to be read: a change as a diff, a plan as prose, anything
// else as names and values. The input itself is one click away, and can be changed there.
import { h, disclosure, freshId } from './dom.js';
import { nodesOf, viewOf } from './calls.js';
import { Editor } from './editor.js';
import { LongText } from './long.js';
import { prettyWithin, record } from './values.js';
import { isDeceptive, visible } from './visible.js';

/** Characters that are searched for what is hidden in them; it is marked in any case. */
const SEARCHED = 40_000;

const PLAN_WORDS = {
  allow: 'Approve', deny: 'Reject', reason: 'What to change (optional)', denied: 'The user rejected the plan.',
  outcomes: { allowed: 'Approved', denied: 'Rejected', withdrawn: 'Withdrawn', failed: 'Answered with an error' },
};

/** @type {[string, string][]} in which mode the agent may go on once its plan is approved */
const MODES = [['default', 'Ask before each edit'], ['acceptEdits', 'Edit files without asking']];

/** @returns {HTMLElement} */
function modes() {
  const name = freshId('mode');
  const choices = MODES.map(([mode, words], at) => {
    const input = h('input', { type: 'radio', name, value: mode, 'data-testid': 'mode' });
    input.checked = at === 0;
    return h('label', { class: 'choice' }, input, h('span', { class: 'choice-label' }, words));
  });
  return h('fieldset', { class: 'question' }, h('legend', {}, 'And then'), choices);
}

/**
 * An agent may say its plan with its call alone, and ask with nothing in its hands.
 * @param {unknown} tool @param {unknown} input @param {unknown} called the input of the call @returns {unknown} what is to be read
 */
function shownOf(tool, input, called) {
  const { plan } = record(called);
  const isWithCall = tool === 'ExitPlanMode' && input === record(input) && !Object.hasOwn(record(input), 'plan') && typeof plan === 'string' && plan.trim() !== '';
  return isWithCall ? { ...record(input), plan } : input;
}

/**
 * @param {unknown} tool @param {unknown} input @param {() => void} onMore @param {unknown} [called] the input of the call that it is about
 * @returns {Readable | null} null if the input does not suit the tool
 */
export function readableOf(tool, input, onMore, called) {
  const shown = shownOf(tool, input, called);
  const view = viewOf(tool, shown, onMore);
  return view && new Readable(tool, input, view, onMore, shown);
}

/** @implements {import('./asked.js').Asked} */
export class Readable {
  name = 'Permission requested';
  saysDescription = true;
  before = [];
  /** @type {Editor | null} */ #editor = null;
  /** @type {LongText[]} */ #texts;

  /** @param {unknown} tool @param {unknown} input @param {import('./calls.js').View} view @param {() => void} onMore @param {unknown} shown */
  constructor(tool, input, view, onMore, shown) {
    this.shown = shown;
    const { subject, label, isProse, parts } = view;
    this.subject = subject;
    this.#texts = /** @type {LongText[]} */ (parts.filter((part) => part instanceof LongText));
    /** @type {HTMLElement | null} */
    this.modes = tool === 'ExitPlanMode' ? modes() : null;
    if (this.modes) {
      this.name = 'Plan to approve';
      this.words = PLAN_WORDS;
    }
    this.isDisguised = isDeceptive(prettyWithin(shown, SEARCHED) ?? '');
    this.element = h('div', { class: 'asked', 'data-testid': 'asked' },
      subject && h('p', { class: 'subject' }, h('span', { class: 'label' }, `${label}: `), h('code', { dir: isProse ? 'auto' : 'ltr' }, visible(subject))),
      nodesOf(parts),
      !subject && !parts.length && h('p', { class: 'muted' }, 'Nothing is given to the tool.'));
    this.summary = (subject || this.element.textContent || '').slice(0, 200);
    this.after = [disclosure('Exact input, to check or change', () => {
      this.#editor = new Editor(input, false, onMore);
      return h('div', { class: 'exact' }, this.#editor.before, this.#editor.element, this.#editor.after);
    }, 'folded'), this.modes];
  }

  get hidden() {
    return this.#texts.reduce((sum, { left }) => sum + left, 0);
  }

  focusHidden() {
    this.#texts.find(({ isComplete }) => !isComplete)?.button.focus();
  }

  permissions() {
    const mode = this.modes?.querySelector('input:checked')?.getAttribute('value');
    return mode ? [{ type: 'setMode', mode, destination: 'session' }] : null;
  }

  /** @param {(words: string) => void} complain @returns {any} */
  changed(complain) {
    return this.#editor ? this.#editor.changed(complain) : null;
  }
}
