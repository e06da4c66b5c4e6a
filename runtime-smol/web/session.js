// @ts-check
// One session: its connection, its state, and the parts that show it.
import { h, freshId, setAttributes, setText } from './dom.js';
import { Acts } from './acts.js';
import { ApiError } from './api.js';
import { AgentFacts } from './agent-facts.js';
import { Checklist } from './checklist.js';
import { Composer } from './composer.js';
import { Connection } from './connection.js';
import { Controls } from './controls.js';
import { Excerpt } from './excerpt.js';
import { Ending, farewell } from './ending.js';
import { titleOf } from './format.js';
import { isReport } from './entries.js';
import { KeptAnswers } from './kept-answers.js';
import { Permissions } from './permission.js';
import { Receipts } from './receipts.js';
import { Search } from './search.js';
import { stateOf } from './states.js';
import { Stopping } from './stopping.js';
import { Tidying } from './tidying.js';
import { Transcript } from './transcript.js';
import { list } from './values.js';
import { WayToQuestion } from './way.js';
import { KeptWorktree } from './worktree.js';

/** How much of a long session is read at first, for what the agent has said of itself, and how much of that is shown; the rest loads on request. */
const FIRST_LOOK = 1000;
const SHOWN_AT_FIRST = 200;
/** How often what waits for a connection is tried again while there seems to be one. */
const RETRY_MS = 5000;

export class SessionView {
  /** @type {any} */ #session = null;
  /** @type {number | null} the last event received; null before the first load */
  #lastSeq = null;
  #freshSocket = false;
  #working = false;
  #caughtUp = false;
  #announced = new Set();
  #gone = false;
  #gonePage = new AbortController();
  /** Events up to this one are not in the transcript until they are asked for. */ #shownAfter = 0;
  /** @type {number | null} the event to go to once the log is there */ #sought = null;

  /**
   * @param {{
   *   id: string,
   *   api: import('./api.js').Api,
   *   placeOf: (environmentId: string) => string,
   *   places: () => import('./continuing.js').Place[],
   *   isOnline: (environmentId: string) => boolean,
   *   waitingSessions: () => import('./attention.js').Waiting[],
   *   onSession: (session: any) => void,
   *   onGone: () => void,
   *   isNew: boolean,
   *   seq: number | null,
   *   announce: (text: string) => void,
   *   onStatus: (status: import('./connection.js').Status | null) => void,
   *   onTitle: (title: string) => void,
   * }} options
   */
  constructor(options) {
    this.options = options;
    this.id = options.id;
    this.#sought = options.seq;
    const { api } = options;
    this.acts = new Acts({
      id: this.id, api, session: () => this.#session, onSession: (session) => this.#show(session),
      say: (words) => { if (!this.#gone) setText(this.notice, words); },
    });
    this.permissions = new Permissions(
      (answer) => api.answer(this.id, answer), () => this.#questionsChanged(), (question) => api.answerLink(this.id, question),
      new KeptAnswers({ sessionId: this.id, storage: () => localStorage }),
    );
    this.interruptButton = h('button', {
      type: 'button', 'data-testid': 'interrupt', on: { click: () => this.#interrupt() },
    }, 'Interrupt');
    this.facts = new AgentFacts();
    this.controls = new Controls({ facts: this.facts, ask: (request) => this.acts.ask(request) });
    this.composer = new Composer({
      sessionId: this.id, send: (message) => api.send(this.id, message), extra: this.interruptButton, controls: this.controls.element,
      facts: this.facts, onCommand: () => this.controls.introduce(),
    });
    this.stopping = new Stopping({
      interrupt: () => this.#interrupt(), stopTask: (id) => this.acts.ask({ subtype: 'stop_task', task_id: id }), end: () => this.acts.stop(), tasks: () => this.facts.running,
    });
    this.working = h('p', { class: 'working', hidden: true }, 'The agent is working');
    this.receipts = new Receipts((text) => { if (this.#caughtUp) options.announce(text); }, (message, key) => this.acts.sendAgain(message, key));
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
        if (status.state === 'connected') this.#connected();
      },
      onEnd: (error) => this.#end(error),
    });
    this.#build();
    this.waiting = new WayToQuestion(this.permissions, this.transcript.scroller);
    this.waiting.element.addEventListener('click', () => this.excerpt.close(), { capture: true });
    this.foot.insertBefore(this.waiting.element, this.notice);
  }

  #build() {
    const headId = freshId('session');
    this.heading = h('h2', { id: headId, tabindex: '-1' }, 'Session');
    this.place = h('p', { class: 'place muted' });
    this.state = h('p', { class: 'state', role: 'status', 'data-testid': 'session-state' });
    this.notice = h('p', { class: 'error', role: 'alert' });
    this.elsewhere = h('a', { class: 'elsewhere', hidden: true, 'data-testid': 'elsewhere' });
    this.search = new Search({ load: (after, limit) => this.options.api.events(this.id, after, limit), goTo: (seq) => this.goTo(seq) });
    this.tidying = new Tidying({
      change: (change) => this.options.api.changeSession(this.id, change), remove: () => this.#remove(),
      onChanged: (session) => this.#show(session), onRemoved: () => { this.options.onGone(); location.hash = '#/'; },
    });
    this.ending = new Ending({
      facts: this.facts, places: this.options.places, load: () => this.options.api.events(this.id, 0, 200),
      onNew: () => this.acts.another(), onContinue: (environmentId) => this.acts.resume(environmentId, this.facts.conversation),
    });
    this.excerpt = new Excerpt({
      load: (after, limit) => this.options.api.events(this.id, after, limit), answer: (answer) => this.options.api.answer(this.id, answer),
      session: () => this.#session, housekeeping: () => this.transcript.housekeeping, onChange: (isOpen) => { this.transcript.element.hidden = isOpen; },
    });
    this.worktree = new KeptWorktree((ask) => this.acts.askOfWorktree(ask), (seq) => this.options.api.events(this.id, seq - 1, 1));
    this.foot = h('footer', { class: 'session-foot' }, this.checklist.element, this.notice, this.ending.element, this.worktree.element, this.composer.form);
    this.element = h('section', { class: 'session', 'aria-labelledby': headId },
      h('header', { class: 'session-head' },
        h('a', { class: 'back', href: '#/' }, h('span', { 'aria-hidden': 'true' }, '‹'), h('span', { class: 'sr' }, 'Back to the overview')),
        h('div', { class: 'session-name' }, this.heading, h('div', { class: 'session-facts' }, this.state, this.place)),
        this.search.toggle,
        this.tidying.button,
        this.stopping.button),
      h('div', { role: 'status' }, this.elsewhere),
      this.search.element,
      this.transcript.element,
      this.excerpt.element,
      this.foot);
    this.element.append(this.stopping.dialog, this.tidying.dialog);
  }

  start() {
    this.connection.start();
    // What waits is tried again now and then: a connection may be there without having been away.
    const again = () => { if (this.connection.status.state === 'connected') this.#connected(); };
    this.retrying = setInterval(again, RETRY_MS);
    window.addEventListener('online', again, { signal: this.#gonePage.signal });
  }

  /** To be called once the element is on the page. */
  attached() {
    this.composer.attached();
    if (this.options.isNew) this.composer.box.focus();
    else this.heading.focus({ preventScroll: true });
  }

  destroy() {
    this.connection.stop();
    clearInterval(this.retrying);
    this.#gonePage.abort();
    this.transcript.destroy();
    this.excerpt.close();
    this.permissions.leave();
    this.waiting.destroy();
    this.options.onStatus(null);
  }

  /** Nothing asks for a session that is being deleted: the answer would be that it is unknown. */
  async #remove() {
    this.connection.pause();
    try {
      return await this.options.api.deleteSession(this.id);
    } catch (error) {
      this.connection.resume();
      throw error;
    }
  }

  /** @param {number} seq an event to be shown */
  goTo(seq) {
    if (!this.#caughtUp) this.#sought = seq;
    else if (this.transcript.isFar(seq)) void this.excerpt.open(seq).catch((error) => setText(this.notice, `That part cannot be loaded. ${error.message}`));
    else {
      this.excerpt.close();
      void this.transcript.goTo(seq);
    }
  }

  /** Called when the overview changes, of which this session and its machine are a part. */
  placeChanged() {
    if (this.#session) {
      setText(this.place, this.options.placeOf(this.#session.environment_id));
      this.#showState();
      if (this.#caughtUp) void this.ending.offer(this.#session);
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
    this.#shownAfter = Math.max(after, session.last_seq - SHOWN_AT_FIRST);
    const older = (session.pending_permissions ?? []).filter((/** @type {any} */ { seq }) => seq <= this.#shownAfter);
    const pages = await Promise.all(older.map((/** @type {any} */ { seq }) => this.options.api.events(this.id, seq - 1, 1)));
    this.#show(session);
    this.transcript.beginAfter(this.#shownAfter);
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
    this.facts.clear();
    this.transcript.clear();
    this.excerpt.close();
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
    if (event.seq > this.#shownAfter) this.transcript.push(event);
    this.composer.sawEvent(event);
    if (this.facts.take(event)) this.#factsChanged();
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
    this.stopping.button.hidden = ended;
    this.stopping.update({ isRunning: state === 'running', isWorking: session.working === true, isStopping: session.stopping === true });
    setAttributes(this.interruptButton, { 'aria-disabled': state === 'running' ? null : 'true' });
    this.interruptButton.hidden = session.working === false && !list(session.pending_permissions).length;
    this.composer.form.hidden = ended;
    this.worktree.show(session);
    this.tidying.show(session);
    if (ended) {
      this.checklist.clear();
      this.stopping.close();
      this.permissions.sessionEnded();
      this.ending.show(session.result, label, tone);
      if (this.#caughtUp) void this.ending.offer(session);
    } else {
      this.ending.hide();
    }
    this.#showWork();
  }

  #onCaughtUp() {
    this.#caughtUp = true;
    void this.ending.offer(this.#session);
    const sought = this.#sought;
    this.#sought = null;
    if (sought !== null) this.goTo(sought);
    if (this.#session?.state === 'ended') this.permissions.sessionEnded();
    this.#questionsChanged();
  }

  #questionsChanged() {
    this.permissions.learn(list(this.#session?.pending_permissions));
    // While the log is replayed, long-answered questions would look open until their answers come.
    const open = list(this.#session?.pending_permissions).map((/** @type {any} */ { seq }) => seq);
    this.permissions.showOnly(this.#caughtUp ? null : new Set(open));
    const pending = this.permissions.pending.filter((card) => !card.element.hidden);
    this.waiting?.show(pending);
    this.#showWork();
    if (!this.#caughtUp) return;
    for (const card of pending) {
      if (this.#announced.has(card.seq)) continue;
      this.#announced.add(card.seq);
      this.options.announce(card.announcement);
    }
  }

  async #interrupt() {
    if (this.interruptButton.getAttribute('aria-disabled') === 'true') return;
    await this.acts.interrupt();
  }

  #isFactsScheduled = false;

  /** The agent has said something about itself; while a log is replayed, it does so often. */
  #factsChanged() {
    if (this.#isFactsScheduled) return;
    this.#isFactsScheduled = true;
    requestAnimationFrame(() => {
      this.#isFactsScheduled = false;
      this.controls.update();
      if (this.composer.completion.isOpen) this.composer.completion.update();
    });
  }

  /** What has waited for a connection is sent. */
  #connected() {
    this.composer.connected();
    this.permissions.resend();
  }

  /** @param {ApiError} error this session cannot be loaded */
  #end(error) {
    if (error.status === 401) return;
    this.#gone = true;
    this.options.onStatus(null);
    const gone = error.status === 404;
    if (gone) this.options.onGone();
    const { element, heading } = farewell(gone, error.message);
    this.permissions.sessionEnded();
    setText(this.state, gone ? 'Gone' : 'Unavailable');
    setAttributes(this.state, { 'data-state': 'gone', 'data-detail': 'gone', 'data-tone': 'bad' });
    this.stopping.button.hidden = true;
    this.tidying.button.disabled = true;
    this.working.hidden = true;
    this.stopping.close();
    // What is already on the page stays readable.
    this.foot.replaceChildren(element);
    heading.focus({ preventScroll: true });
  }
}
