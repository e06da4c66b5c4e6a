// @ts-check
// One session: its connection, its state, and the parts that show it.
import { h, freshId, setAttributes, setText } from './dom.js';
import { ApiError } from './api.js';
import { Checklist } from './checklist.js';
import { Composer } from './composer.js';
import { Connection } from './connection.js';
import { exitOf, titleOf, withoutColour } from './format.js';
import { isReport } from './entries.js';
import { Permissions } from './permission.js';
import { clipped, codeForm } from './long.js';
import { Receipts } from './receipts.js';
import { stateOf } from './states.js';
import { Transcript } from './transcript.js';
import { list, text } from './values.js';
import { KeptWorktree } from './worktree.js';

/** How much of a long session is shown at first; the rest loads on request. */
const FIRST_LOOK = 2000;

export class SessionView {
  /** @type {any} */ #session = null;
  /** @type {number | null} the last event received; null before the first load */
  #lastSeq = null;
  #freshSocket = false;
  #working = false;
  #caughtUp = false;
  #announced = new Set();
  #gone = false;
  /** @type {Set<Element>} cards already in view, with no need of a link to them */
  #inSight = new Set();

  /**
   * @param {{
   *   id: string,
   *   api: import('./api.js').Api,
   *   placeOf: (environmentId: string) => string,
   *   isOnline: (environmentId: string) => boolean,
   *   waitingSessions: () => import('./attention.js').Waiting[],
   *   onSession: (session: any) => void,
   *   onGone: () => void,
   *   announce: (text: string) => void,
   *   onStatus: (status: import('./connection.js').Status | null) => void,
   *   onTitle: (title: string) => void,
   * }} options
   */
  constructor(options) {
    this.options = options;
    this.id = options.id;
    const { api } = options;
    this.permissions = new Permissions((answer) => api.answer(this.id, answer), () => this.#questionsChanged());
    this.interruptButton = h('button', {
      type: 'button', 'data-testid': 'interrupt', on: { click: () => this.#interrupt() },
    }, 'Interrupt');
    this.composer = new Composer({
      sessionId: this.id, send: (message) => api.send(this.id, message), extra: this.interruptButton,
    });
    this.working = h('p', { class: 'working', hidden: true }, 'The agent is working');
    this.receipts = new Receipts((text) => { if (this.#caughtUp) options.announce(text); }, (message, key) => this.#sendAgain(message, key));
    this.checklist = new Checklist();
    this.transcript = new Transcript({
      permissions: this.permissions,
      receipts: this.receipts,
      loadEarlier: (after, limit) => api.events(this.id, after, limit),
      onCaughtUp: () => this.#onCaughtUp(),
      tail: h('div', {}, this.composer.outbox, this.working),
    });
    this.connection = new Connection({
      api,
      prepare: (refused) => this.#path(refused),
      open: (path) => api.socket(path),
      onMessage: (message) => this.#take(message),
      onStatus: (status) => {
        options.onStatus(status);
        this.#showWork();
      },
      onEnd: (error) => this.#end(error),
    });
    this.#build();
    this.sight = new IntersectionObserver((seen) => this.#sighted(seen), { root: this.transcript.scroller });
  }

  #build() {
    const headId = freshId('session');
    this.heading = h('h2', { id: headId, tabindex: '-1' }, 'Session');
    this.place = h('p', { class: 'place muted' });
    this.state = h('p', { class: 'state', role: 'status', 'data-testid': 'session-state' });
    this.stopButton = h('button', {
      type: 'button', class: 'danger', 'data-testid': 'stop', 'aria-label': 'Stop session', on: { click: () => this.#askToStop() },
    }, 'Stop', h('span', { class: 'stop-what' }, ' session'));
    this.notice = h('p', { class: 'error', role: 'alert' });
    this.elsewhere = h('a', { class: 'elsewhere', hidden: true, role: 'status', 'data-testid': 'elsewhere' });
    this.waiting = h('button', {
      type: 'button', class: 'waiting', hidden: true, on: { click: () => this.permissions.pending[0]?.focus() },
    });
    this.ending = h('section', { class: 'ending', 'aria-label': 'How the session ended', hidden: true });
    this.worktree = new KeptWorktree((ask) => this.#askOfWorktree(ask), (seq) => this.options.api.events(this.id, seq - 1, 1));
    this.foot = h('footer', { class: 'session-foot' }, this.checklist.element, this.waiting, this.notice, this.ending, this.worktree.element, this.composer.form);
    this.element = h('section', { class: 'session', 'aria-labelledby': headId },
      h('header', { class: 'session-head' },
        h('a', { class: 'back', href: '#/' }, h('span', { 'aria-hidden': 'true' }, '‹'), h('span', { class: 'sr' }, 'Back to the overview')),
        h('div', { class: 'session-name' }, this.heading, this.place),
        this.state,
        this.stopButton),
      this.elsewhere,
      this.transcript.element,
      this.foot);
    this.#buildDialog();
  }

  #buildDialog() {
    const headId = freshId('stop');
    this.dialog = h('dialog', { 'aria-labelledby': headId },
      h('h3', { id: headId }, 'Stop this session?'),
      h('p', {}, 'This ends the agent’s process. The transcript stays, but the conversation cannot be resumed.'),
      h('form', { method: 'dialog', class: 'actions' },
        h('button', { value: 'keep' }, 'Keep it running'),
        h('button', {
          value: 'stop', class: 'danger', 'data-testid': 'stop-confirm', on: { click: () => this.#stop() },
        }, 'Stop session')));
    this.element.append(this.dialog);
  }

  start() {
    this.connection.start();
  }

  /** To be called once the element is on the page. */
  attached() {
    this.composer.attached();
    this.heading.focus({ preventScroll: true });
  }

  destroy() {
    this.connection.stop();
    this.transcript.destroy();
    this.permissions.leave();
    this.sight.disconnect();
    this.options.onStatus(null);
  }

  /** Called when the overview changes, of which this session and its machine are a part. */
  placeChanged() {
    if (this.#session) {
      setText(this.place, this.options.placeOf(this.#session.environment_id));
      this.#showState();
    }
    const [other] = this.options.waitingSessions().filter(({ id }) => id !== this.id);
    this.elsewhere.hidden = !other;
    if (!other) return;
    this.elsewhere.setAttribute('href', `#/session/${encodeURIComponent(other.id)}`);
    setText(this.elsewhere, `Another session waits for you: ${other.title}`);
  }

  #showState() {
    if (this.#gone) return;
    const { state, detail, label, tone } = stateOf(this.#session, this.options.isOnline(this.#session.environment_id));
    setText(this.state, label);
    setAttributes(this.state, { 'data-state': state, 'data-detail': detail, 'data-tone': tone });
  }

  /** @param {boolean} refused @returns {Promise<string>} */
  async #path(refused) {
    if (this.#lastSeq === null || refused) {
      await this.#learnHousekeeping();
      const session = await this.options.api.session(this.id);
      this.#startsAfresh(session);
      if (this.#lastSeq === null) await this.#firstLook(session);
    }
    this.transcript.setReplaying();
    this.#caughtUp = false;
    this.#freshSocket = true;
    return `v1/sessions/${encodeURIComponent(this.id)}/events/ws?after=${this.#lastSeq}`;
  }

  async #learnHousekeeping() {
    try {
      this.transcript.housekeeping.table = await this.options.api.housekeeping();
    } catch (error) {
      // A relay of an earlier version has no table: then everything is shown.
      if (!(error instanceof ApiError) || error.passing || error.status === 401) throw error;
    }
  }

  /** @param {any} session */
  async #firstLook(session) {
    const after = Math.max(session.first_seq - 1, session.last_seq - FIRST_LOOK, 0);
    const older = (session.pending_permissions ?? []).filter((/** @type {any} */ { seq }) => seq <= after);
    const pages = await Promise.all(older.map((/** @type {any} */ { seq }) => this.options.api.events(this.id, seq - 1, 1)));
    this.#show(session);
    this.transcript.beginAfter(after);
    for (const event of pages.flatMap((page) => page.events).reverse()) this.transcript.pin(event);
    this.#lastSeq = after;
  }

  /** @param {any} session @returns {boolean} whether the relay's log is shorter than ours, hence another log */
  #startsAfresh(session) {
    if (this.#lastSeq === null || session.last_seq >= this.#lastSeq) return false;
    this.#lastSeq = null;
    this.#working = false;
    this.permissions.clear();
    this.receipts.clear();
    this.checklist.clear();
    this.transcript.clear();
    return true;
  }

  /** @param {any} message */
  #take(message) {
    switch (message.type) {
      case 'session':
        if (this.#freshSocket && this.#startsAfresh(message.session)) {
          this.connection.restart();
          return;
        }
        this.#freshSocket = false;
        this.#show(message.session);
        break;
      case 'receipts':
        this.receipts.show(message.receipts);
        break;
      case 'event':
        this.#takeEvent(message);
        break;
      case 'gap':
        if (message.resumes_after <= (this.#lastSeq ?? 0)) return;
        this.#lastSeq = message.resumes_after;
        this.transcript.push(message);
        break;
      case 'live':
        this.transcript.setLive();
        break;
      default:
    }
  }

  /** @param {any} event */
  #takeEvent(event) {
    const last = this.#lastSeq ?? 0;
    if (event.seq <= last) return;
    this.#lastSeq = event.seq;
    this.transcript.push(event);
    this.composer.sawEvent(event);
    this.worktree.saw(event);
    if (this.#session?.state !== 'ended') this.checklist.take(event);
    this.#noteWork(event);
  }

  /** @param {any} event */
  #noteWork(event) {
    const { from, message } = event;
    const type = message?.type;
    // One that was killed with its worker says nothing of its end; but the next one does of its beginning.
    const isOver = ['agent_exited', 'agent_resumed', 'agent_restarted'].some((what) => isReport(event, what));
    if (type === 'result' || isOver) this.#working = false;
    else if (type === 'assistant' || type === 'stream_event' || (type === 'user' && from === 'viewer')) this.#working = true;
    else return;
    this.#showWork();
  }

  #showWork() {
    const { state, connected, working = this.#working } = this.#session ?? {};
    const { state: way } = this.connection.status;
    this.working.hidden = !(working && way === 'connected' && state === 'running' && connected !== false && !this.permissions.waiting.length);
  }

  /** @param {any} session */
  #show(session) {
    this.#session = session;
    this.receipts.show(session.receipts);
    this.permissions.learn(list(session.pending_permissions));
    this.options.onSession(session);
    const { state, label, tone } = stateOf(session);
    setText(this.heading, titleOf(session));
    this.options.onTitle(titleOf(session));
    this.placeChanged();
    this.transcript.loggedFrom = session.first_seq ?? 1;
    const ended = state === 'ended';
    this.receipts.sessionEnded = ended;
    this.stopButton.hidden = ended;
    setAttributes(this.stopButton, { 'aria-disabled': session.stopping ? 'true' : null });
    setAttributes(this.interruptButton, { 'aria-disabled': state === 'running' ? null : 'true' });
    this.composer.form.hidden = ended;
    this.worktree.show(session);
    if (ended) {
      this.checklist.clear();
      this.dialog.close();
      this.permissions.sessionEnded();
      this.#showEnding(session.result, label, tone);
    } else {
      this.ending.hidden = true;
    }
    this.#showWork();
  }

  /** @param {any} result @param {string} label @param {string} tone */
  #showEnding(result, label, tone) {
    if (!this.ending.hidden) return;
    const exit = exitOf(result);
    const stderr = withoutColour(text(result?.stderr)).trim();
    this.ending.replaceChildren(
      h('p', { 'data-tone': tone }, h('strong', {}, label), exit && ` · ${exit}`),
      result?.message ? h('p', { class: 'muted' }, text(result.message)) : '',
      stderr ? h('details', { class: 'folded', ...(tone === 'bad' ? { open: true } : {}) },
        h('summary', {}, 'Last lines of stderr'), clipped(stderr, codeForm)) : '',
    );
    this.ending.hidden = false;
  }

  #onCaughtUp() {
    this.#caughtUp = true;
    if (this.#session?.state === 'ended') this.permissions.sessionEnded();
    this.#questionsChanged();
  }

  #questionsChanged() {
    this.permissions.learn(list(this.#session?.pending_permissions));
    // While the log is replayed, long-answered questions would look open until their answers come.
    const open = list(this.#session?.pending_permissions).map((/** @type {any} */ { seq }) => seq);
    this.permissions.showOnly(this.#caughtUp ? null : new Set(open));
    const pending = this.permissions.pending.filter((card) => !card.element.hidden);
    for (const card of pending) this.sight.observe(card.element);
    this.#showWaiting();
    setText(this.waiting, pending.length > 1
      ? `Go to the first of ${pending.length} questions`
      : `Go to the question: ${pending[0]?.tool ?? ''}`);
    this.#showWork();
    if (!this.#caughtUp) return;
    for (const card of pending) {
      if (this.#announced.has(card.seq)) continue;
      this.#announced.add(card.seq);
      this.options.announce(card.announcement);
    }
  }

  /** @param {IntersectionObserverEntry[]} seen */
  #sighted(seen) {
    for (const { target, isIntersecting } of seen) {
      if (isIntersecting) this.#inSight.add(target);
      else this.#inSight.delete(target);
    }
    this.#showWaiting();
  }

  #showWaiting() {
    this.waiting.hidden = this.permissions.pending.every((card) => card.element.hidden || this.#inSight.has(card.element));
  }

  async #interrupt() {
    if (this.interruptButton.getAttribute('aria-disabled') === 'true') return;
    await this.#attempt(() => this.options.api.interrupt(this.id), 'Interrupt');
  }

  /**
   * A message that may not have been read. It is a new one: whether the first copy was acted on is for the person to know.
   * @param {any} message @param {string} key of a new session, if it needs one @returns {Promise<boolean>}
   */
  async #sendAgain(message, key) {
    const { api } = this.options;
    const sent = await this.#attempt(async () => {
      const isHere = this.#session?.state !== 'ended';
      const id = isHere ? this.id : (await api.newSession(this.#session.environment_id, key)).id;
      await api.send(id, message);
      if (!isHere) location.hash = `#/session/${encodeURIComponent(id)}`;
      return true;
    }, 'Send again');
    return sent === true;
  }

  /** @param {import('./worktree.js').Ask} ask */
  async #askOfWorktree(ask) {
    const session = await this.#attempt(() => this.options.api.worktree(this.id, ask), 'The worktree');
    if (session?.id && session.updated_at > (this.#session?.updated_at ?? '')) this.#show(session);
  }

  #askToStop() {
    if (this.stopButton.getAttribute('aria-disabled') !== 'true') this.dialog.showModal();
  }

  async #stop() {
    const session = await this.#attempt(() => this.options.api.stop(this.id), 'Stop session');
    // Whatever the subscription has delivered meanwhile is newer than the response, and wins.
    if (session?.id && session.updated_at > (this.#session?.updated_at ?? '')) this.#show(session);
  }

  /** @param {() => Promise<any>} call @param {string} what */
  async #attempt(call, what) {
    setText(this.notice, '');
    try {
      return await call();
    } catch (error) {
      const reason = error instanceof ApiError ? error.message : String(error);
      if (!this.#gone) setText(this.notice, `${what}: that failed. ${reason}`);
      return null;
    }
  }

  /** @param {ApiError} error this session cannot be loaded */
  #end(error) {
    if (error.status === 401) return;
    this.#gone = true;
    this.options.onStatus(null);
    const gone = error.status === 404;
    if (gone) this.options.onGone();
    const heading = h('h3', { tabindex: '-1' }, gone ? 'This session no longer exists' : 'This session cannot be shown');
    const reason = gone
      ? 'The relay no longer has it. The relay may have restarted, or the session may have been too old to keep.'
      : error.message;
    const farewell = h('section', { class: 'ending', 'data-testid': 'session-gone' },
      heading, h('p', {}, reason), h('p', {}, h('a', { class: 'button', href: '#/' }, 'Back to the overview')));
    this.permissions.sessionEnded();
    setText(this.state, gone ? 'Gone' : 'Unavailable');
    setAttributes(this.state, { 'data-state': 'gone', 'data-detail': 'gone', 'data-tone': 'bad' });
    this.stopButton.hidden = true;
    this.working.hidden = true;
    this.dialog.close();
    // What is already on the page stays readable.
    this.foot.replaceChildren(farewell);
    heading.focus({ preventScroll: true });
  }
}
