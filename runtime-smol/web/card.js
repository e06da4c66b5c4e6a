// @ts-check
// The card of one permission request. What it says first is what the answer is about: the
// tool's true name and its whole input, with nothing hidden. What the agent says about it
// comes after, as the agent's words.
import { append, h, disclosure, freshId } from './dom.js';
import { ApiError } from './api.js';
import { answerLink } from './answer-link.js';
import { alwaysOf } from './always.js';
import { askedOf } from './asked.js';
import { callOf } from './calls.js';
import { entry } from './entries.js';
import { Reading } from './reading.js';
import { clip, isSame, record, text } from './values.js';
import { visible, visibleText } from './visible.js';

/**
 * @typedef {'allowed' | 'denied' | 'withdrawn' | 'failed'} Outcome
 * @typedef {{seq: number, outcome: Outcome, detail: string, input?: any}} Resolution
 * @typedef {(answer: any) => Promise<any>} Answer
 */

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

/** @param {any} request @param {import('./asked.js').Asked} asked @returns {[string, unknown][]} what the agent says about its question */
function remarks(request, { subject = '', saysDescription = false }) {
  const { display_name: name, description, blocked_path: path } = request;
  const said = description ?? (saysDescription ? '' : record(request.input).description);
  // That it is about a file, without the folder, has been said.
  const isKnown = typeof said === 'string' && subject !== '' && subject.endsWith(said);
  return [
    ['The agent calls it', name === request.tool_name ? '' : name],
    ['The agent says', isKnown ? '' : said],
    ['Path', path === subject ? '' : path],
  ];
}

/** What is said on and about the buttons, unless the tool has words of its own. */
const WORDS_OF_ANY = {
  allow: 'Allow', deny: 'Deny', reason: 'Reason for denying (optional)', denied: 'Denied by the user.',
  outcomes: { allowed: 'Allowed', denied: 'Denied', withdrawn: 'Withdrawn', failed: 'Answered with an error' },
};

export class Card {
  open = true;
  #request;
  #answer;
  #link;
  #onResolved;
  /** @type {import('./asked.js').Asked} */ #asked;
  #words;
  /** @type {import('./call-card.js').CallCard | undefined} what it is about */ #call;
  /** Whether that shows the same. */ #isShown = false;
  #turnEnded = false;
  /** @type {Reading | null} null if nothing needs to have been read */ #reading = null;
  #maySkip = false;
  /** The answer that waits for a connection. @type {any} */ #queued = null;
  /** @type {import('./kept-answers.js').KeptAnswers | undefined} */ #kept;
  /** @type {any[] | null} what would have been allowed from then on */ #updates = null;

  /**
   * @param {any} event @param {Answer} answer @param {(resolution: Resolution) => void} onResolved
   * @param {import('./call-card.js').CallCard} [call] what it is about
   * @param {import('./answer-link.js').MakeLink} [link] makes a link by which somebody else can answer
   * @param {import('./kept-answers.js').KeptAnswers} [kept] answers that wait for a connection
   */
  constructor(event, answer, onResolved, call, link, kept) {
    this.id = event.message.request_id;
    this.seq = event.seq;
    this.#request = record(event.message.request);
    this.#answer = answer;
    this.#link = link;
    this.#kept = kept;
    this.#onResolved = onResolved;
    this.#asked = askedOf(this.#request, () => this.#reading?.again(), call?.input);
    this.#words = this.#asked.words ?? WORDS_OF_ANY;
    this.tool = visibleText(clip(text(this.#request.tool_name, 'a tool without a name'), NAME));
    this.body = h('section', { class: 'permission', role: 'group', 'data-testid': 'permission-card', 'data-request-id': this.id });
    this.element = entry(event, 'permission', [this.body]);
    this.#build();
    this.belongTo(call);
    const waits = kept?.of(this.seq);
    if (waits?.isOld) {
      kept?.forget(this.seq);
      this.#complain('Not sent: you answered without a connection, and that was long ago. Answer again.');
    } else if (waits) this.#wait(waits.answer);
  }

  /** @param {import('./call-card.js').CallCard | undefined} call on whose card it is shown */
  belongTo(call) {
    if (!call || call === this.#call) return;
    this.#call = call;
    this.#isShown = isSame(call.input, this.#asked.shown ?? this.#request.input) === true;
    // Nothing is shown twice: while it is open, what it is about is here.
    call.ask(this.element, this.#isShown, this.open);
  }

  /** @returns {string} what a screen reader announces at once */
  get announcement() {
    return `${this.#asked.name}: ${this.tool}. ${visibleText(this.#asked.summary)}`;
  }

  focus() {
    this.element.scrollIntoView({ block: 'nearest' });
    // Not a field: on a phone, that would bring up the keyboard.
    this.heading.focus({ preventScroll: true });
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

  /** There is a connection. */
  resend() {
    if (this.#queued && this.open) this.#post(this.#queued);
  }

  /** To be called when it leaves the page unanswered. */
  leave() {
    this.#reading?.stop();
  }

  #build() {
    const request = this.#request;
    const asked = this.#asked;
    const [headId, reasonId] = ['ask', 'reason'].map(freshId);
    this.error = h('p', { class: 'error', role: 'alert' });
    this.reason = h('input', { id: reasonId, type: 'text', autocomplete: 'off', 'data-testid': 'deny-reason' });
    this.skip = h('button', {
      type: 'button', class: 'danger', hidden: true, 'data-testid': 'allow-unread', on: { click: () => this.#allowUnread() },
    }, 'Allow unread');
    this.over = h('p', { class: 'line warn', hidden: true, 'data-testid': 'turn-ended' },
      'The turn that asked this has ended. An answer still reaches the agent, which may no longer be waiting for it.');
    // It stays on the screen while what is asked is.
    this.foot = h('div', { class: 'answer' }, this.error, h('div', { class: 'actions' },
      h('button', { type: 'button', class: 'primary', 'data-testid': 'allow', on: { click: () => this.#allow() } }, this.#words.allow),
      h('button', { type: 'button', class: 'danger', 'data-testid': 'deny', on: { click: () => this.#deny() } }, this.#words.deny),
      this.skip));
    if (asked.needsReading !== false) this.#reading = new Reading(asked.element, this.foot);
    this.heading = h('h3', { id: headId, tabindex: '-1' }, asked.name, asked.words ? ' ' : ': ',
      h('span', { 'data-testid': 'tool', class: asked.words && 'muted small' }, this.tool));
    this.body.setAttribute('aria-labelledby', headId);
    this.body.addEventListener('input', () => this.#complain(''));
    append(this.body, [
      this.heading,
      remarks(request, asked).filter(([, words]) => text(words)).map(([who, words]) =>
        h('p', { class: 'muted remark' }, `${who}: `, h('q', {}, visible(clip(text(words), WORDS))))),
      request.agent_id ? h('p', { class: 'muted' }, 'Asked by a subagent') : null,
      this.over,
      asked.isDisguised
        ? h('p', { class: 'line warn' }, 'Careful: this contains characters that are invisible, or that change how others are shown. They are marked.') : null,
      asked.before,
      this.#reading?.element ?? asked.element,
      asked.after,
      this.foot,
      this.#always(),
      h('div', { class: 'reason' }, h('label', { for: reasonId }, this.#words.reason), this.reason),
      this.#link && this.#request.tool_name !== 'AskUserQuestion' ? answerLink({ request_id: this.id, seq: this.seq }, this.#link) : null,
    ]);
  }

  /** @returns {HTMLElement | null} what can be allowed from now on, as the agent suggests */
  #always() {
    const always = alwaysOf(this.#request);
    if (!always) return null;
    const id = freshId('always');
    return h('div', { class: 'always' },
      h('button', {
        type: 'button', 'data-testid': 'allow-always', 'aria-describedby': id, on: { click: () => this.#allow(always.updates) },
      }, 'Always allow'),
      h('div', { id, 'data-testid': 'always-what' }, h('p', { class: 'muted small' }, 'Allow this, and from now on:'),
        h('ul', {}, always.words.map((words) => h('li', { dir: 'auto' }, visible(words))))));
  }

  /** @param {any[] | null} [updates] what is allowed from now on */
  #allow(updates = null) {
    if (this.#isUnread(updates)) return;
    /** @type {any} */
    const answer = { request_id: this.id, behavior: 'allow' };
    answer.seq = this.seq;
    const changed = this.#asked.changed((words) => this.#complain(words));
    if (changed === undefined) return;
    if (changed !== null) answer.updatedInput = changed;
    const permissions = updates ?? this.#asked.permissions?.();
    if (permissions) answer.updatedPermissions = permissions;
    this.#post(answer);
  }

  /** @param {any[] | null} updates @returns {boolean} whether there is something in it that the person has neither seen nor waived */
  #isUnread(updates) {
    if (this.#maySkip || !this.#reading) return false;
    const { hidden } = this.#asked;
    this.#reading.measure();
    const { lines, unseen } = this.#reading.progress;
    if (hidden === 0 && !unseen) return false;
    const what = Number.isNaN(hidden) ? 'parts of it'
      : hidden ? `${hidden.toLocaleString()} characters of it` : `${unseen} of about ${lines} lines`;
    this.#complain(`Not sent: ${what} have not been on this screen. Read to the end, or allow it unread.`);
    this.skip.hidden = false;
    this.#updates = updates;
    if (!unseen) this.#asked.focusHidden();
    else this.#reading.goToUnseen();
    return true;
  }

  #allowUnread() {
    this.#maySkip = true;
    this.#allow(this.#updates);
  }

  #deny() {
    const message = this.reason.value.trim() || this.#words.denied;
    this.#post({ request_id: this.id, seq: this.seq, behavior: 'deny', message });
  }

  /** @param {string} text */
  #complain(text) {
    this.error.classList.remove('queued');
    if (this.error.textContent !== text) this.error.textContent = text;
  }

  /** @param {boolean} busy */
  #setBusy(busy) {
    this.body.toggleAttribute('aria-busy', busy);
    // Not `disabled`: that would lose the keyboard focus while waiting.
    for (const button of this.body.querySelectorAll('button')) button.setAttribute('aria-disabled', String(busy));
  }

  /** @param {any} answer */
  #wait(answer) {
    this.#queued = answer;
    this.#complain('Your answer waits for the connection, and is sent when it is back. You can still change it.');
    this.error.classList.add('queued');
  }

  /** @param {any} answer */
  async #post(answer) {
    if (this.body.hasAttribute('aria-busy')) return;
    this.#queued = null;
    this.#complain('');
    this.#setBusy(true);
    try {
      const { seq } = await this.#answer(answer);
      if (this.open) this.#onResolved({ seq: seq ?? Infinity, ...ofAnswer(answer) });
    } catch (error) {
      this.#setBusy(false);
      if (!this.open) return;
      const refusal = error instanceof ApiError ? error : new ApiError(0, '', String(error));
      const counts = refusal.detail?.answer?.response ?? refusal.detail?.answer;
      if (refusal.type === 'permission_conflict' && counts) {
        const known = ofAnswer(counts);
        this.#onResolved({ seq: Infinity, ...known, detail: known.detail || 'answered elsewhere first' });
      } else if (refusal.status === 404 || refusal.status === 409 || refusal.status === 410) {
        this.#onResolved({ seq: Infinity, outcome: 'withdrawn', detail: refusal.message });
      } else if (refusal.status === 0) {
        this.#kept?.keep(this.seq, answer);
        this.#wait(answer);
      } else {
        this.#kept?.forget(this.seq);
        this.#complain(`Not sent. ${refusal.message} Your answer is still here; try again.`);
      }
    }
  }

  /** @param {Resolution} resolution */
  resolve({ outcome, detail, input }) {
    const hadFocus = this.body.contains(document.activeElement);
    this.open = false;
    this.#kept?.forget(this.seq);
    this.#reading?.stop();
    const own = this.#asked.resolved?.(outcome, input);
    const changed = !own && outcome === 'allowed' && input !== undefined && isSame(input, this.#request.input ?? {}) === false;
    const summary = h('p', { class: `resolved ${outcome}`, tabindex: '-1' },
      h('strong', {}, this.#words.outcomes[outcome]), !this.#call && ` · ${this.tool}`, changed && ' · edited', detail && ` · ${visibleText(clip(detail, WORDS))}`);
    this.body.replaceChildren(summary);
    const blockOf = (/** @type {unknown} */ value) => {
      const { nodes } = callOf(this.#request.tool_name, value);
      return nodes.length ? nodes : [h('p', { class: 'muted small' }, 'Nothing is given to the tool.')];
    };
    if (own) append(this.body, own);
    else if (changed) append(this.body, blockOf(input));
    else if (!this.#isShown) append(this.body, [disclosure('What was asked', () => blockOf(this.#request.input), 'folded')]);
    this.body.classList.add('closed');
    this.body.dataset.testid = 'permission-resolved';
    this.body.dataset.outcome = outcome;
    this.body.removeAttribute('aria-busy');
    this.body.removeAttribute('aria-labelledby');
    this.#call?.answered(this.element);
    if (hadFocus) summary.focus({ preventScroll: true });
  }
}
