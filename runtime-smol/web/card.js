// @ts-check
// The card of one permission request. What it says first is what the answer is about: the
// tool's true name and its whole input, with nothing hidden. What the agent says about it
// comes after, as the agent's words.
import { h, freshId } from './dom.js';
import { ApiError } from './api.js';
import { entry, toolInput } from './messages.js';
import { LongText } from './long.js';
import { Reading } from './reading.js';
import { clip, isSame, prettyParts, prettyWithin, record, text } from './values.js';
import { isDeceptive, visible, visibleCode, visibleForm, visibleText } from './visible.js';

/**
 * @typedef {'allowed' | 'denied' | 'withdrawn' | 'failed'} Outcome
 * @typedef {{seq: number, outcome: Outcome, detail: string, input?: any}} Resolution
 * @typedef {(answer: any) => Promise<any>} Answer
 */

/** Characters of an input that are shown before someone asks for the rest. */
const SHOWN = 20_000;
/** Characters that a textarea shows without holding the page; a longer input is shown in pieces, and cannot be edited. */
const EDITABLE = 40_000;
/** Of one with hidden characters, each of which is marked. */
const EDITABLE_MARKED = 3000;
/** Characters of what the agent says about its question. */
const WORDS = 600;
const NAME = 200;

/** @param {any} answer @returns {{outcome: Outcome, detail: string, input?: any}} */
export function ofAnswer(answer) {
  if (answer?.behavior === 'allow') return { outcome: 'allowed', detail: '', input: answer.updatedInput };
  if (answer?.behavior === 'deny') return { outcome: 'denied', detail: text(answer.message) };
  // Nobody has denied what only cannot be read.
  return { outcome: 'failed', detail: 'the answer is neither yes nor no' };
}

/** @param {string} value @returns {number} a guess, for browsers that cannot size a textarea by its content */
const rowsFor = (value) =>
  value.split('\n').reduce((rows, line) => rows + Math.max(1, Math.ceil(line.length / 34)), 0);

/** @param {any} request @returns {[string, unknown][]} what the agent says about its question */
function remarks(request) {
  const name = request.display_name;
  return [
    ['The agent calls it', name === request.tool_name ? '' : name],
    ['The agent says', request.description ?? record(request.input).description],
    ['Path', request.blocked_path],
  ];
}

/** @param {any} input of a command @returns {Record<string, any> | null} what it comes with besides itself */
function othersIn({ command, description, ...others }) {
  return Object.keys(others).length ? others : null;
}

export class Card {
  open = true;
  #request;
  #answer;
  #onResolved;
  #isCommand;
  /** The whole input, as text; its beginning, if it is too long to be edited. */ #source;
  /** @type {LongText | null} the whole input, if it is too long to be edited */ #long = null;
  /** @type {LongText | null} what a command comes with besides itself, such as where it runs */ #others = null;
  #turnEnded = false;
  /** @type {HTMLTextAreaElement} */ #input;
  #shownInput = '';
  /** How many characters of it are shown. */ #shown;
  /** @type {Reading} */ #reading;
  #maySkip = false;

  /** @param {any} event @param {Answer} answer @param {(resolution: Resolution) => void} onResolved */
  constructor(event, answer, onResolved) {
    this.id = event.message.request_id;
    this.seq = event.seq;
    this.#request = record(event.message.request);
    this.#answer = answer;
    this.#onResolved = onResolved;
    const { tool_name: tool, input } = this.#request;
    this.#isCommand = tool === 'Bash' && typeof input?.command === 'string';
    const source = this.#isCommand ? input.command : prettyWithin(input ?? {}, EDITABLE);
    const tooLong = source === null || source.length > EDITABLE
      || (source.length > EDITABLE_MARKED && isDeceptive(source));
    const read = () => this.#reading.again();
    if (tooLong) this.#long = new LongText(this.#isCommand ? source : prettyParts(input), source?.length, visibleForm, read);
    this.#source = source?.slice(0, EDITABLE) ?? '';
    const others = this.#isCommand && othersIn(input);
    if (others) this.#others = new LongText(prettyParts(others), NaN, visibleForm, read);
    this.#shown = SHOWN;
    this.tool = visibleText(clip(text(tool, 'a tool without a name'), NAME));
    this.body = h('section', { class: 'permission', 'data-testid': 'permission-card', 'data-request-id': this.id });
    this.element = entry(event, 'permission', [this.body]);
    this.#input = this.#build();
  }

  /** @returns {string} what a screen reader announces at once */
  get announcement() {
    return `Permission requested: ${this.tool}. ${visibleText(this.#source.slice(0, 200))}`;
  }

  focus() {
    this.element.scrollIntoView({ block: 'nearest' });
    if (this.#long) this.body.querySelector('button')?.focus();
    else this.#input.focus();
  }

  get turnEnded() {
    return this.#turnEnded;
  }

  /** Whether the turn that asked has ended without an answer. */
  set turnEnded(ended) {
    this.#turnEnded = ended;
    this.over.hidden = !ended;
    this.body.toggleAttribute('data-turn-ended', ended);
  }

  /** @param {any} request @returns {boolean} whether another request asks the same */
  asks(request) {
    const { tool_name: tool, input } = record(request);
    return tool === this.#request.tool_name && isSame(input ?? {}, this.#request.input ?? {}) === true;
  }

  /** To be called when it leaves the page unanswered. */
  leave() {
    this.#reading.stop();
  }

  #build() {
    const request = this.#request;
    const [headId, inputId, errorId, reasonId] = ['ask', 'input', 'error', 'reason'].map(freshId);
    const input = h('textarea', {
      id: inputId,
      class: 'code',
      'data-testid': 'permission-input',
      spellcheck: 'false',
      autocapitalize: 'off',
      autocomplete: 'off',
      dir: 'ltr',
      'aria-describedby': errorId,
    });
    this.error = h('p', { id: errorId, class: 'error', role: 'alert' });
    this.reason = h('input', { id: reasonId, type: 'text', autocomplete: 'off', 'data-testid': 'deny-reason' });
    this.rest = h('button', { type: 'button', 'data-testid': 'show-rest', on: { click: () => this.#showRest() } });
    this.skip = h('button', {
      type: 'button', class: 'danger', hidden: true, 'data-testid': 'allow-unread', on: { click: () => this.#allowUnread() },
    }, 'Allow unread');
    const label = this.#isCommand ? 'Command' : 'Input (JSON)';
    const isDisguised = isDeceptive(this.#source.replaceAll('\r\n', '\n'));
    // A textarea cannot show what is hidden in its text.
    this.clear = isDisguised || this.#long ? h('div', { class: 'clear-text', 'data-testid': 'clear-text' }) : null;
    if (this.#long) this.clear?.append(this.#long.element, this.#long.button);
    const others = this.#others && [
      h('p', { class: 'label' }, 'Also given to the tool'), this.#others.element, this.#others.button,
    ];
    this.over = h('p', { class: 'line warn', hidden: true, 'data-testid': 'turn-ended' },
      'The turn that asked this has ended. An answer still reaches the agent, which may no longer be waiting for it.');
    this.#reading = new Reading(h('div', { class: 'asked' }, this.clear ?? input, others));
    this.body.setAttribute('aria-labelledby', headId);
    this.body.append(
      h('h3', { id: headId }, 'Permission requested: ', h('span', { 'data-testid': 'tool' }, this.tool)),
      ...remarks(request).filter(([, words]) => text(words)).map(([who, words]) =>
        h('p', { class: 'muted remark' }, `${who}: `, h('q', {}, visible(clip(text(words), WORDS))))),
      request.agent_id ? h('p', { class: 'muted' }, 'Asked by a subagent') : '',
      this.over,
      isDisguised
        ? h('p', { class: 'line warn' }, 'Careful: this contains characters that are invisible, or that change how others are shown. They are marked.') : '',
      this.clear ? h('p', { class: 'label' }, label) : h('label', { for: inputId }, label),
      this.#reading.element,
      this.rest,
      ...(this.clear && !this.#long ? [h('label', { for: inputId }, 'To edit it (what is hidden is not marked here)'), input] : []),
      this.#long ? h('p', { class: 'muted' }, 'It is too long to be edited here.') : '',
      this.error,
      h('div', { class: 'actions' },
        h('button', { type: 'button', class: 'primary', 'data-testid': 'allow', on: { click: () => this.#allow() } }, 'Allow'),
        h('button', { type: 'button', class: 'danger', 'data-testid': 'deny', on: { click: () => this.#deny() } }, 'Deny'),
        this.skip),
      h('div', { class: 'reason' }, h('label', { for: reasonId }, 'Reason for denying (optional)'), this.reason),
    );
    this.#input = input;
    this.#show();
    return input;
  }

  /** @returns {number} characters that are not shown yet; NaN if it is not known how many */
  get #hidden() {
    const inPieces = (this.#long?.left ?? 0) + (this.#others?.left ?? 0);
    return inPieces + (this.#long ? 0 : Math.max(0, this.#source.length - this.#shown));
  }

  #show() {
    if (this.#long) {
      this.rest.hidden = true;
      return;
    }
    const part = this.#source.slice(0, this.#shown);
    const hidden = Math.max(0, this.#source.length - this.#shown);
    this.#input.rows = rowsFor(part);
    this.#input.value = part;
    // A textarea changes line endings; only the user's own changes count as an edit.
    this.#shownInput = this.#input.value;
    this.#input.readOnly = hidden > 0;
    this.clear?.replaceChildren(visibleCode(part));
    this.rest.hidden = !hidden;
    this.rest.textContent = `${hidden.toLocaleString()} more characters are not shown: show them`;
  }

  #showRest() {
    this.#shown = Infinity;
    this.#show();
    this.#input.focus({ preventScroll: true });
    this.#reading.again();
  }

  #allow() {
    if (this.#isUnread()) return;
    /** @type {any} */
    const answer = { request_id: this.id, behavior: 'allow' };
    answer.seq = this.seq;
    if (!this.#long && this.#input.value !== this.#shownInput) {
      const edited = this.#edited();
      if (edited === undefined) return;
      answer.updatedInput = edited;
    }
    this.#post(answer);
  }

  /** @returns {boolean} whether there is something in it that the person has neither seen nor waived */
  #isUnread() {
    if (this.#maySkip) return false;
    const hidden = this.#hidden;
    this.#reading.measure();
    const { lines, unseen } = this.#reading.progress;
    if (hidden === 0 && !unseen) return false;
    const what = Number.isNaN(hidden) ? 'parts of it'
      : hidden ? `${hidden.toLocaleString()} characters of it` : `${unseen} of about ${lines} lines`;
    this.#complain(`Not sent: ${what} have not been on this screen. Read to the end, or allow it unread.`);
    this.skip.hidden = false;
    if (!unseen) (this.#long?.button ?? this.#others?.button ?? this.rest).focus();
    else this.#reading.goToUnseen();
    return true;
  }

  #allowUnread() {
    this.#maySkip = true;
    this.#allow();
  }

  #deny() {
    const message = this.reason.value.trim() || 'Denied by the user.';
    this.#post({ request_id: this.id, seq: this.seq, behavior: 'deny', message });
  }

  /** @returns {any} undefined if it cannot be sent as it is */
  #edited() {
    const text = this.#input.value;
    if (this.#isCommand) return { ...this.#request.input, command: text };
    try {
      const value = JSON.parse(text);
      if (value && typeof value === 'object' && !Array.isArray(value)) return value;
      this.#complain('The input must be a JSON object, in braces.');
    } catch (error) {
      this.#complain(`This is not valid JSON: ${/** @type {Error} */ (error).message}`);
    }
    this.#input.setAttribute('aria-invalid', 'true');
    this.#input.focus();
    return undefined;
  }

  /** @param {string} text */
  #complain(text) {
    this.error.textContent = text;
  }

  /** @param {boolean} busy */
  #setBusy(busy) {
    this.body.toggleAttribute('aria-busy', busy);
    // Not `disabled`: that would lose the keyboard focus while waiting.
    for (const button of this.body.querySelectorAll('button')) button.setAttribute('aria-disabled', String(busy));
  }

  /** @param {any} answer */
  async #post(answer) {
    if (this.body.hasAttribute('aria-busy')) return;
    this.#complain('');
    this.#input.removeAttribute('aria-invalid');
    this.#setBusy(true);
    try {
      const { seq } = await this.#answer(answer);
      if (this.open) this.#onResolved({ seq: seq ?? Infinity, ...ofAnswer(answer) });
    } catch (error) {
      this.#setBusy(false);
      if (!this.open) return;
      const refusal = error instanceof ApiError ? error : new ApiError(0, '', String(error));
      const answer = refusal.detail?.answer?.response ?? refusal.detail?.answer;
      if (refusal.type === 'permission_conflict' && answer) {
        const known = ofAnswer(answer);
        this.#onResolved({ seq: Infinity, ...known, detail: known.detail || 'answered elsewhere first' });
      } else if (refusal.status === 404 || refusal.status === 409 || refusal.status === 410) {
        this.#onResolved({ seq: Infinity, outcome: 'withdrawn', detail: refusal.message });
      } else {
        this.#complain(`Not sent. ${refusal.message} Your answer is still here; try again.`);
      }
    }
  }

  /** @param {Resolution} resolution */
  resolve({ outcome, detail, input }) {
    const hadFocus = this.body.contains(document.activeElement);
    this.open = false;
    this.#reading.stop();
    const words = { allowed: 'Allowed', denied: 'Denied', withdrawn: 'Withdrawn', failed: 'Answered with an error' };
    const changed = outcome === 'allowed' && input !== undefined && isSame(input, this.#request.input ?? {}) === false;
    const shown = changed ? input : this.#request.input;
    const summary = h('p', { class: `resolved ${outcome}`, tabindex: '-1' },
      h('strong', {}, words[outcome]), ` · ${this.tool}`, changed && ' · edited', detail && ` · ${visibleText(clip(detail, WORDS))}`);
    const block = toolInput(shown);
    this.body.replaceChildren(summary, ...(block.length ? block : [visibleCode('{}')]));
    this.body.classList.add('closed');
    this.body.dataset.testid = 'permission-resolved';
    this.body.dataset.outcome = outcome;
    this.body.removeAttribute('aria-busy');
    this.body.removeAttribute('aria-labelledby');
    if (hadFocus) summary.focus({ preventScroll: true });
  }
}
