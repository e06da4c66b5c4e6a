// @ts-check
// What a permission request is about, as text that can be changed before it is allowed: a command,
// or the whole input as JSON.
import { h, freshId } from './dom.js';
import { LongText } from './long.js';
import { prettyParts, prettyWithin, record } from './values.js';
import { isDeceptive, visibleCode, visibleForm } from './visible.js';

/** Characters of an input that are shown before someone asks for the rest. */
const SHOWN = 20_000;
/** Characters that a textarea shows without holding the page; a longer input is shown in pieces, and cannot be edited. */
const EDITABLE = 40_000;
/** Of one with hidden characters, each of which is marked. */
const EDITABLE_MARKED = 3000;

/** @param {string} value @returns {number} a guess, for browsers that cannot size a textarea by its content */
const rowsFor = (value) =>
  value.split('\n').reduce((rows, line) => rows + Math.max(1, Math.ceil(line.length / 34)), 0);

/** @param {any} input of a command @returns {Record<string, any> | null} what it comes with besides itself */
function othersIn({ command, description, ...others }) {
  return Object.keys(others).length ? others : null;
}

/** @implements {import('./asked.js').Asked} */
export class Editor {
  name = 'Permission requested';
  #input;
  #isCommand;
  /** The whole input, as text; its beginning, if it is too long to be edited. */ #source;
  /** @type {LongText | null} the whole input, if it is too long to be edited */ #long = null;
  /** @type {LongText | null} what a command comes with besides itself, such as where it runs */ #others = null;
  #field;
  #shownText = '';
  /** How many characters of it are shown. */ #shown = SHOWN;
  #onMore;

  /** @param {unknown} input @param {boolean} isCommand whether its `command` is what counts @param {() => void} onMore called when more of it is shown */
  constructor(input, isCommand, onMore) {
    this.#input = /** @type {any} */ (input);
    this.#isCommand = isCommand;
    this.#onMore = onMore;
    const source = isCommand ? this.#input.command : prettyWithin(input ?? {}, EDITABLE);
    const isLong = source === null || source.length > EDITABLE
      || (source.length > EDITABLE_MARKED && isDeceptive(source));
    if (isLong) this.#long = new LongText(isCommand ? source : prettyParts(input), source?.length, visibleForm, onMore);
    this.#source = source?.slice(0, EDITABLE) ?? '';
    const others = isCommand && othersIn(this.#input);
    if (others) this.#others = new LongText(prettyParts(others), NaN, visibleForm, onMore);
    this.isDisguised = isDeceptive(this.#source.replaceAll('\r\n', '\n'));
    this.summary = this.#source.slice(0, 200);
    const id = freshId('input');
    this.#field = h('textarea', {
      id,
      class: 'code',
      'data-testid': 'permission-input',
      spellcheck: 'false',
      autocapitalize: 'off',
      autocomplete: 'off',
      dir: 'ltr',
    });
    this.rest = h('button', { type: 'button', 'data-testid': 'show-rest', on: { click: () => this.#showRest() } });
    this.#build(id);
    this.#show();
  }

  /** @param {string} id of the field */
  #build(id) {
    const label = this.#isCommand ? 'Command' : 'Input (JSON)';
    // A textarea cannot show what is hidden in its text.
    this.clear = this.isDisguised || this.#long ? h('div', { class: 'clear-text', 'data-testid': 'clear-text' }) : null;
    if (this.#long) this.clear?.append(this.#long.element, this.#long.button);
    const others = this.#others && [
      h('p', { class: 'label' }, 'Also given to the tool'), this.#others.element, this.#others.button,
    ];
    this.before = [this.clear ? h('p', { class: 'label' }, label) : h('label', { for: id }, label)];
    this.element = h('div', { class: 'asked' }, this.clear ?? this.#field, others);
    this.after = [
      this.rest,
      ...(this.clear && !this.#long ? [h('label', { for: id }, 'To edit it (what is hidden is not marked here)'), this.#field] : []),
      ...(this.#long ? [h('p', { class: 'muted' }, 'It is too long to be edited here.')] : []),
    ];
  }

  get hidden() {
    const inPieces = (this.#long?.left ?? 0) + (this.#others?.left ?? 0);
    return inPieces + (this.#long ? 0 : Math.max(0, this.#source.length - this.#shown));
  }

  focusHidden() {
    (this.#long?.button ?? this.#others?.button ?? this.rest).focus();
  }

  #show() {
    if (this.#long) {
      this.rest.hidden = true;
      return;
    }
    const part = this.#source.slice(0, this.#shown);
    const hidden = Math.max(0, this.#source.length - this.#shown);
    this.#field.rows = rowsFor(part);
    this.#field.value = part;
    // A textarea changes line endings; only the user's own changes count as an edit.
    this.#shownText = this.#field.value;
    this.#field.readOnly = hidden > 0;
    this.clear?.replaceChildren(visibleCode(part));
    this.rest.hidden = !hidden;
    this.rest.textContent = `${hidden.toLocaleString()} more characters are not shown: show them`;
  }

  #showRest() {
    this.#shown = Infinity;
    this.#show();
    this.#field.focus({ preventScroll: true });
    this.#onMore();
  }

  /** @param {(words: string) => void} complain @returns {any} */
  changed(complain) {
    this.#field.removeAttribute('aria-invalid');
    if (this.#long || this.#field.value === this.#shownText) return null;
    const text = this.#field.value;
    if (this.#isCommand) return { ...this.#input, command: text };
    try {
      const value = JSON.parse(text);
      if (value && typeof value === 'object' && !Array.isArray(value)) return value;
      complain('The input must be a JSON object, in braces.');
    } catch (error) {
      complain(`This is not valid JSON: ${/** @type {Error} */ (error).message}`);
    }
    this.#field.setAttribute('aria-invalid', 'true');
    this.#field.focus();
    return undefined;
  }
}

/** @param {unknown} input @returns {boolean} */
export const isCommandLine = (input) => typeof record(input).command === 'string';
