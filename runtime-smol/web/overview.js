// @ts-check
// Machines and their sessions, as the relay sees them now.
import { h, freshId, setAttributes, setText } from './dom.js';
import { ApiError, uuid } from './api.js';
import { Connection } from './connection.js';
import { waitingIn } from './attention.js';
import { ago, shortId, titleOf } from './format.js';
import { SearchAll } from './search-all.js';
import { stateOf } from './states.js';
import { visibleText } from './visible.js';
import { list, record, text } from './values.js';

const SHOWN_AT_FIRST = 20;

export class Overview {
  /** @type {Map<string, any>} */ #environments = new Map();
  /** @type {Map<string, any>} */ #sessions = new Map();
  /** @type {Map<string, Group>} */ #groups = new Map();
  #loaded = false;
  #scheduled = false;
  /** @type {string | null} */ #current = null;

  /**
   * @param {{
   *   api: import('./api.js').Api,
   *   onStatus: (status: import('./connection.js').Status | null) => void,
   *   onChange: () => void,
   *   open: (sessionId: string) => void,
   *   extra?: HTMLElement,
   * }} options
   */
  constructor(options) {
    this.options = options;
    const { api } = options;
    const headId = freshId('overview');
    this.heading = h('h2', { id: headId, tabindex: '-1' }, 'Machines and sessions');
    this.search = new SearchAll(() => ({ sessions: [...this.#sessions.values()], load: (id, after, limit) => api.events(id, after, limit) }));
    this.waiting = h('section', { class: 'needs-you', hidden: true, 'data-testid': 'needs-you' });
    this.list = h('div', { class: 'groups' });
    this.note = h('p', { class: 'muted', role: 'status' }, 'Loading…');
    this.element = h('section', { class: 'overview', 'aria-labelledby': headId }, h('div', { class: 'overview-head' }, this.heading, options.extra), this.note, this.waiting, this.search.element, this.list);
    this.connection = new Connection({
      api,
      prepare: async (refused) => {
        if (refused) await api.environments();
        return 'v1/overview/ws';
      },
      open: (path) => api.socket(path),
      onMessage: (message) => this.#take(message),
      onStatus: options.onStatus,
      onEnd: (error) => setText(this.note, error.message),
    });
  }

  start() {
    this.connection.start();
    this.clock = setInterval(() => this.#schedule(), 30_000);
  }

  destroy() {
    this.connection.stop();
    clearInterval(this.clock);
  }

  /** @param {string | null} sessionId the one open beside the list */
  set current(sessionId) {
    this.#current = sessionId;
    this.#schedule();
  }

  /** @param {string} environmentId @returns {string} */
  placeOf(environmentId) {
    const environment = this.#environments.get(environmentId);
    return environment ? placeText(environment) : '';
  }

  /** @returns {string[]} the machines by name, each once */
  get machines() {
    return [...new Set([...this.#environments.values()].map(({ machine_name: name }) => text(name)).filter(Boolean))];
  }

  /** @returns {import('./continuing.js').Place[]} */
  get places() {
    return [...this.#environments.values()].filter((one) => !isItsOwnSession(one)).map((one) => ({ id: one.id, place: placeText(one), directory: text(one.directory), isOnline: one.online === true }));
  }

  /** @param {string} environmentId @returns {boolean} whether its machine is there, as far as is known */
  isOnline(environmentId) {
    return this.#environments.get(environmentId)?.online ?? !this.#loaded;
  }

  /** @returns {import('./attention.js').Waiting[]} */
  get waitingSessions() {
    return waitingIn(this.#sessions.values());
  }

  /** @param {any} session as it has been heard of elsewhere */
  learn(session) {
    const known = this.#sessions.get(session.id);
    if (!known || known.updated_at > session.updated_at) return;
    this.#sessions.set(session.id, session);
    this.#schedule();
  }

  /** @param {string} id a session that the relay no longer has */
  forget(id) {
    if (this.#sessions.delete(id)) this.#schedule();
    // What has been heard may be of a relay before this one.
    this.connection.restart();
  }

  /** @param {any} message */
  #take(message) {
    switch (message.type) {
      case 'overview':
        this.#environments = new Map(message.environments.map((/** @type {any} */ item) => [item.id, item]));
        this.#sessions = new Map(message.sessions.map((/** @type {any} */ item) => [item.id, item]));
        this.#loaded = true;
        break;
      case 'environment': this.#environments.set(message.environment.id, message.environment); break;
      case 'environment_gone': this.#environments.delete(message.id); break;
      case 'session': this.#sessions.set(message.session.id, message.session); break;
      case 'session_gone': this.#sessions.delete(message.id); break;
      default: return;
    }
    this.#schedule();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#render();
    });
  }

  #render() {
    if (!this.#loaded) return;
    /** @type {Map<string, any[]>} */
    const sessions = new Map();
    const newestFirst = [...this.#sessions.values()].sort((a, b) => b.created_at.localeCompare(a.created_at));
    const need = new Map(newestFirst.map((session) => [session, stateOf(session).need]));
    newestFirst.sort((a, b) => (need.get(a) ?? 0) - (need.get(b) ?? 0));
    for (const session of newestFirst) {
      const home = this.#environments.has(session.environment_id) ? session.environment_id : '';
      sessions.set(home, [...(sessions.get(home) ?? []), session]);
    }
    const titles = newestFirst.map(titleOf);
    const repeated = new Set(titles.filter((title, at) => titles.indexOf(title) !== at));
    const environments = [...this.#environments.values()].sort((a, b) =>
      Number(b.online) - Number(a.online) || b.created_at.localeCompare(a.created_at));
    const wanted = environments.map((environment) => this.#group(environment.id, environment, sessions.get(environment.id) ?? [], repeated));
    if (sessions.has('')) wanted.push(this.#group('', null, sessions.get('') ?? [], repeated));
    const kept = new Set(wanted);
    for (const [id, group] of this.#groups) if (!kept.has(group)) this.#groups.delete(id);
    arrange(this.list, wanted.map((group) => group.element));
    setText(this.note, environments.length ? '' : 'No machine is registered yet. Start a worker in the directory where the agent should work; it will appear here.');
    this.note.hidden = environments.length > 0;
    this.#showWaiting();
    this.options.onChange();
  }

  #showWaiting() {
    const waiting = this.waitingSessions;
    this.waiting.hidden = !waiting.length;
    const rows = waiting.map(({ id, title, tool, count }) => [id, title, count > 1 ? `${count} questions` : tool || 'a question']);
    const said = rows.flat().join('\n');
    // The focus stays where it is while nothing changes.
    if (this.#said === said) return;
    this.#said = said;
    this.waiting.replaceChildren(h('h3', {}, 'Waits for you'), h('ul', { class: 'sessions' }, rows.map(([id, title, what]) =>
      h('li', {}, h('a', { href: `#/session/${encodeURIComponent(id)}` }, h('span', { class: 'item-title', dir: 'auto' }, title), h('span', { class: 'small muted' }, visibleText(what)))))));
  }

  #said = '';

  /** @param {string} id @param {any} environment @param {any[]} sessions @param {Set<string>} repeated titles of several sessions */
  #group(id, environment, sessions, repeated) {
    let group = this.#groups.get(id);
    if (!group) {
      group = new Group(this.options.api, this.options.open);
      this.#groups.set(id, group);
    }
    group.update(environment, sessions, this.#current, repeated);
    return group;
  }
}

/** @param {any} environment */
const placeText = ({ machine_name: machine, directory, branch }) =>
  visibleText([machine, directory, branch].filter(Boolean).join(' · '));

/**
 * Moves only what is out of place: an element that is removed and reinserted loses
 * the keyboard focus.
 * @param {Element} parent @param {Element[]} children
 */
function arrange(parent, children) {
  const wanted = new Set(children);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
}

/**
 * A program that is the one session of its environment takes no other: one that was asked for there
 * would wait for ever.
 * @param {any} environment @returns {boolean}
 */
function isItsOwnSession(environment) {
  return ['footbridge_bridge', 'footbridge_assistant'].includes(environment.worker_type);
}

class Group {
  /** @type {Map<string, Item>} */ #items = new Map();
  /** @type {any} */ #environment = null;
  #shown = SHOWN_AT_FIRST;
  #showsArchive = false;
  /** @type {any[]} */ #sessions = [];
  /** @type {string | null} */ #current = null;
  /** @type {Set<string>} */ #repeated = new Set();
  #key = '';

  /** @param {import('./api.js').Api} api @param {(id: string) => void} open */
  constructor(api, open) {
    this.api = api;
    this.open = open;
    const headId = freshId('environment');
    this.name = h('h3', { id: headId });
    this.online = h('p', { class: 'online' });
    this.place = h('p', { class: 'place muted' });
    this.create = h('button', { type: 'button', 'data-testid': 'new-session', on: { click: () => this.#newSession() } }, 'New session');
    this.error = h('p', { class: 'error', role: 'alert' });
    this.list = h('ul', { class: 'sessions', 'aria-labelledby': headId });
    this.more = h('button', { type: 'button', class: 'link', hidden: true, on: { click: () => this.#showMore() } });
    this.archive = h('button', { type: 'button', class: 'link', hidden: true, 'data-testid': 'archived', on: { click: () => this.#toggleArchive() } });
    this.element = h('section', { class: 'environment', 'aria-labelledby': headId },
      h('header', {}, h('div', { class: 'environment-name' }, this.name, this.online, this.place), this.create),
      this.error, this.list, this.more, this.archive);
  }

  /** @param {any} environment null for sessions whose machine is no longer known @param {any[]} sessions @param {string | null} current @param {Set<string>} repeated */
  update(environment, sessions, current, repeated) {
    this.#repeated = repeated;
    this.#environment = environment;
    this.#sessions = sessions;
    this.#current = current;
    const online = environment?.online ?? false;
    setText(this.name, environment ? visibleText(environment.machine_name) : 'Sessions on machines that are no longer registered');
    const draining = online && environment?.draining === true;
    const presence = online ? (draining ? 'Online, but takes no more sessions: its worker was told to end with its last one' : 'Online') : `Offline, last seen ${ago(environment?.last_seen_at)}`;
    setText(this.online, environment ? presence : '');
    setText(this.place, environment ? visibleText([environment.directory, environment.branch].filter(Boolean).join(' · ')) : '');
    setAttributes(this.element, { 'data-testid': environment ? 'environment' : null, 'data-online': environment ? String(online) : null, 'data-draining': draining ? 'true' : null });
    setAttributes(this.create, { 'aria-label': `New session on ${visibleText(environment?.machine_name ?? '')}` });
    this.create.hidden = !environment || isItsOwnSession(environment);
    const isAway = (/** @type {any} */ { id, archived }) => archived === true && id !== current;
    const away = sessions.filter(isAway).length;
    const listed = this.#showsArchive ? sessions : sessions.filter((session) => !isAway(session));
    const shown = listed.slice(0, this.#shown);
    const ids = new Set(shown.map(({ id }) => id));
    for (const id of this.#items.keys()) if (!ids.has(id)) this.#items.delete(id);
    arrange(this.list, shown.map((session) => this.#item(session, current)));
    this.list.hidden = !shown.length;
    this.more.hidden = listed.length <= shown.length;
    setText(this.more, `Show ${listed.length - shown.length} older`);
    this.archive.hidden = away === 0;
    setText(this.archive, this.#showsArchive ? 'Hide what is archived' : `${away} archived`);
    setAttributes(this.archive, { 'aria-expanded': String(this.#showsArchive) });
  }

  /** @param {any} session @param {string | null} current */
  #item(session, current) {
    const item = this.#items.get(session.id) ?? new Item(session.id);
    this.#items.set(session.id, item);
    item.update(session, current === session.id, this.#environment?.online ?? false, this.#repeated.has(titleOf(session)));
    return item.element;
  }

  #toggleArchive() {
    this.#showsArchive = !this.#showsArchive;
    this.update(this.#environment, this.#sessions, this.#current, this.#repeated);
  }

  #showMore() {
    const next = this.#shown;
    this.#shown += 50;
    this.update(this.#environment, this.#sessions, this.#current, this.#repeated);
    this.list.children[next]?.querySelector('a')?.focus();
  }

  async #newSession() {
    if (this.create.getAttribute('aria-disabled') === 'true') return;
    // After a failure, send the same key again: the first attempt may have arrived.
    this.#key ||= uuid();
    this.create.setAttribute('aria-disabled', 'true');
    setText(this.error, '');
    try {
      const session = await this.api.newSession(this.#environment.id, this.#key);
      this.#key = '';
      this.open(session.id);
    } catch (error) {
      const refusal = error instanceof ApiError ? error : new ApiError(0, '', String(error));
      if (!refusal.passing) this.#key = '';
      setText(this.error, `No session was created. ${refusal.message}`);
    } finally {
      this.create.removeAttribute('aria-disabled');
    }
  }
}

class Item {
  /** @param {string} id */
  constructor(id) {
    this.title = h('span', { class: 'item-title' });
    this.when = h('span', { class: 'muted small' });
    this.state = h('span', { class: 'state' });
    this.doing = h('span', { class: 'item-doing muted small', 'data-testid': 'doing' });
    this.link = h('a', { href: `#/session/${encodeURIComponent(id)}` },
      this.title, h('span', { class: 'item-facts' }, this.state, this.when), this.doing);
    this.element = h('li', { 'data-testid': 'session-item', 'data-session-id': id }, this.link);
  }

  /** @param {any} session @param {boolean} current @param {boolean} isOnline @param {boolean} isRepeated whether others have its title */
  update(session, current, isOnline, isRepeated) {
    const { state, detail, label, tone } = stateOf(session, isOnline);
    setText(this.title, isRepeated && session.title ? `${titleOf(session)} · ${shortId(session.id)}` : titleOf(session));
    setText(this.when, ago(session.created_at));
    setText(this.state, label);
    const last = record(list(session.activities).at(-1));
    const doing = session.state === 'running' ? visibleText(text(last.what)) : '';
    setText(this.doing, doing);
    this.doing.hidden = !doing;
    setAttributes(this.state, { 'data-tone': tone });
    setAttributes(this.element, { 'data-state': state, 'data-detail': detail });
    setAttributes(this.link, { 'aria-current': current ? 'page' : null });
  }
}
