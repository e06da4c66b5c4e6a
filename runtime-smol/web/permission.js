// @ts-check
// The agent's permission requests: a card while one is open, a line once anyone has
// answered it. The log decides; until then, this page's own answer is only a guess.
import { h, freshId } from './dom.js';
import { ApiError } from './api.js';
import { entry, isReport, repeatEntry, toolInput } from './messages.js';
import { codeBlock } from './prose.js';
import { isSame, keep, pretty, record, text } from './values.js';

/**
 * @typedef {{seq: number, outcome: 'allowed' | 'denied' | 'withdrawn' | 'failed', detail: string, input?: any}} Resolution
 * @typedef {(answer: any) => Promise<any>} Answer
 */

/** Characters that disguise a command: control characters, direction marks, zero-width ones. */
const DECEPTIVE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/;

/** @param {any} event @returns {boolean} */
export const isQuestion = (event) =>
  event.from === 'agent' && event.message?.type === 'control_request'
  && event.message.request?.subtype === 'can_use_tool' && typeof event.message.request_id === 'string';

/** @param {any} event @returns {[string, Resolution] | null} what an event says about a request */
function resolutionIn(event) {
  const { seq, from, message } = event;
  if (message?.type === 'control_cancel_request') {
    return [message.request_id, { seq, outcome: 'withdrawn', detail: 'the agent withdrew its question' }];
  }
  if (isReport(event, 'permission_withdrawn')) {
    return [message.request_id, { seq, outcome: 'withdrawn', detail: text(message.reason) }];
  }
  if (message?.type !== 'control_response' || from === 'agent') return null;
  const { response } = message;
  if (response?.subtype === 'error') {
    return [response.request_id, { seq, outcome: 'failed', detail: text(response.error) }];
  }
  return [response?.request_id, { seq, ...ofAnswer(response?.response) }];
}

/** @param {any} answer @returns {{outcome: 'allowed' | 'denied', detail: string, input?: any}} */
function ofAnswer(answer) {
  if (answer?.behavior === 'allow') return { outcome: 'allowed', detail: '', input: answer.updatedInput };
  return { outcome: 'denied', detail: text(answer?.message) };
}

/** @param {string} text @returns {number} a guess, for browsers that cannot size a textarea by its content */
const rowsFor = (text) =>
  Math.min(14, text.split('\n').reduce((rows, line) => rows + Math.max(1, Math.ceil(line.length / 34)), 0));

/** Requests that are over and still known, and what is known about requests by their ids. */
const REMEMBERED = 1000;

export class Permissions {
  /** @type {Map<string, Resolution>} */ #resolutions = new Map();
  /** @type {Map<string, Card>} */ #cards = new Map();

  /** @param {Answer} answer @param {() => void} onChange called when a request opens or closes */
  constructor(answer, onChange) {
    this.answer = answer;
    this.onChange = onChange;
  }

  /** @returns {Card[]} open requests, oldest first */
  get pending() {
    return [...this.#cards.values()].filter((card) => card.open).sort((a, b) => a.seq - b.seq);
  }

  /** @param {any} event @returns {HTMLElement} the one card for this request, wherever it is shown */
  card(event) {
    const id = event.message.request_id;
    const known = this.#cards.get(id);
    if (known && known.seq === event.seq) return known.element;
    if (known && known.seq > event.seq) {
      // A restarted agent may number its requests from the start again.
      const old = new Card(event, this.answer, () => {});
      old.resolve({ seq: known.seq, outcome: 'withdrawn', detail: 'asked again later with the same id' });
      return old.element;
    }
    // An answer names only the id, and is one to the question that was asked first.
    if (known?.open) return repeatEntry(event);
    const card = new Card(event, this.answer, (resolution) => this.resolve(id, resolution));
    this.#cards.set(id, card);
    if (this.#cards.size > 2 * REMEMBERED) this.#forgetOldest();
    const resolution = this.#resolutions.get(id);
    if (resolution && resolution.seq > event.seq) card.resolve(resolution);
    else this.onChange();
    return card.element;
  }

  /** @param {any} event @returns {boolean} whether the event belongs to a request and is shown on its card */
  take(event) {
    const found = resolutionIn(event);
    if (!found || typeof found[0] !== 'string') return false;
    this.resolve(...found);
    return this.#cards.has(found[0]);
  }

  /** @param {any} event an answer @returns {HTMLElement | undefined} the card of its question */
  cardOf(event) {
    return this.#cards.get(event.message.response?.request_id)?.element;
  }

  /** @param {string} id @param {Resolution} resolution */
  resolve(id, resolution) {
    keep(this.#resolutions, id, resolution, 2 * REMEMBERED);
    const card = this.#cards.get(id);
    if (!card || resolution.seq <= card.seq) return;
    card.resolve(resolution);
    this.onChange();
  }

  #forgetOldest() {
    const over = [...this.#cards].filter(([, card]) => !card.open);
    for (const [id] of over.slice(0, -REMEMBERED)) this.#cards.delete(id);
  }

  /** No one is left to receive an answer. */
  sessionEnded() {
    for (const card of this.pending) {
      this.resolve(card.id, { seq: Infinity, outcome: 'withdrawn', detail: 'the session ended' });
    }
  }

  clear() {
    this.#cards.clear();
    this.#resolutions.clear();
    this.onChange();
  }
}

class Card {
  open = true;
  #request;
  #answer;
  #onResolved;
  /** @type {HTMLTextAreaElement} */ #input;
  #shownInput = '';
  #isCommand;

  /** @param {any} event @param {Answer} answer @param {(resolution: Resolution) => void} onResolved */
  constructor(event, answer, onResolved) {
    this.id = event.message.request_id;
    this.seq = event.seq;
    this.#request = event.message.request;
    this.#answer = answer;
    this.#onResolved = onResolved;
    this.#isCommand = this.#request.tool_name === 'Bash' && typeof this.#request.input?.command === 'string';
    this.tool = text(this.#request.display_name) || text(this.#request.tool_name, 'a tool');
    this.body = h('section', { class: 'permission', 'data-testid': 'permission-card', 'data-request-id': this.id });
    this.element = entry(event, 'permission', [this.body]);
    this.#input = this.#build();
  }

  /** @returns {string} what a screen reader announces at once */
  get announcement() {
    return `Permission requested: ${this.tool}. ${this.#shownInput.slice(0, 200)}`;
  }

  focus() {
    this.element.scrollIntoView({ block: 'nearest' });
    this.#input.focus();
  }

  #build() {
    const request = this.#request;
    const source = this.#isCommand ? request.input.command : pretty(request.input ?? {});
    const [headId, inputId, errorId, reasonId] = ['ask', 'input', 'error', 'reason'].map(freshId);
    const input = h('textarea', {
      id: inputId,
      class: 'code',
      'data-testid': 'permission-input',
      spellcheck: 'false',
      autocapitalize: 'off',
      autocomplete: 'off',
      dir: 'ltr',
      rows: rowsFor(source),
      'aria-describedby': errorId,
      value: source,
    });
    // A textarea changes line endings; only the user's own changes count as an edit.
    this.#shownInput = input.value;
    this.error = h('p', { id: errorId, class: 'error', role: 'alert' });
    this.reason = h('input', { id: reasonId, type: 'text', autocomplete: 'off', 'data-testid': 'deny-reason' });
    const note = request.description ?? request.input?.description;
    const facts = [note, request.blocked_path && `Path: ${text(request.blocked_path)}`, request.agent_id && 'Asked by a subagent'];
    this.body.setAttribute('aria-labelledby', headId);
    this.body.append(
      h('h3', { id: headId }, 'Permission requested: ', this.tool),
      ...facts.filter(Boolean).map((fact) => h('p', { class: 'muted' }, text(fact))),
      DECEPTIVE.test(source.replaceAll('\r\n', '\n'))
        ? h('p', { class: 'line warn' }, 'Careful: this contains invisible or direction-changing characters.') : '',
      h('label', { for: inputId }, this.#isCommand ? 'Command' : 'Input (JSON)'),
      input,
      this.error,
      h('div', { class: 'actions' },
        h('button', { type: 'button', class: 'primary', 'data-testid': 'allow', on: { click: () => this.#allow() } }, 'Allow'),
        h('button', { type: 'button', class: 'danger', 'data-testid': 'deny', on: { click: () => this.#deny() } }, 'Deny')),
      h('div', { class: 'reason' }, h('label', { for: reasonId }, 'Reason for denying (optional)'), this.reason),
    );
    return input;
  }

  #allow() {
    /** @type {any} */
    const answer = { request_id: this.id, behavior: 'allow' };
    if (this.#input.value !== this.#shownInput) {
      const edited = this.#edited();
      if (edited === undefined) return;
      answer.updatedInput = edited;
    }
    this.#post(answer);
  }

  #deny() {
    const message = this.reason.value.trim() || 'Denied by the user.';
    this.#post({ request_id: this.id, behavior: 'deny', message });
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
      if (refusal.type === 'permission_conflict') {
        const known = ofAnswer(refusal.detail?.answer?.response ?? refusal.detail?.answer);
        this.#onResolved({ seq: Infinity, ...known, detail: known.detail || 'answered elsewhere first' });
      } else if (refusal.status === 404 || refusal.status === 410) {
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
    const words = { allowed: 'Allowed', denied: 'Denied', withdrawn: 'Withdrawn', failed: 'Answered with an error' };
    const changed = outcome === 'allowed' && input !== undefined && !isSame(input, this.#request.input ?? {});
    const shown = changed ? input : this.#request.input;
    const summary = h('p', { class: `resolved ${outcome}`, tabindex: '-1' },
      h('strong', {}, words[outcome]), ` · ${this.tool}`, changed && ' · edited', detail && ` · ${detail}`);
    const block = toolInput(shown);
    this.body.replaceChildren(summary, ...(block.length ? block : [codeBlock('{}')]));
    this.body.classList.add('closed');
    this.body.dataset.testid = 'permission-resolved';
    this.body.dataset.outcome = outcome;
    this.body.removeAttribute('aria-busy');
    this.body.removeAttribute('aria-labelledby');
    if (hadFocus) summary.focus({ preventScroll: true });
  }
}
