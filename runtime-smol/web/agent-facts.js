// @ts-check
// What the agent has said about itself: its mode and model, the commands and models that it knows,
// and the files that it has touched.
import { conversationId } from './continuing.js';
import { keep, list, record } from './values.js';

/** @typedef {{name: string, about: string}} Command */
/** @typedef {{id: string, name: string}} Model */

/** Commands, models and paths that are kept, and characters of one text. */
const MOST = 300;
const PATHS = 500;
const CHARS = 200;

/** @param {unknown} value @returns {string} a text on one line, or nothing */
const line = (value) => (typeof value === 'string' && value.length <= CHARS && !/[\n\r]/.test(value) ? value : '');

/** Modes that a person may choose; others are shown if the agent is in them. @type {[string, string][]} */
export const MODES = [['default', 'Ask before edits'], ['acceptEdits', 'Edit freely'], ['plan', 'Plan only']];

/** @param {string} mode @returns {string} */
export const modeName = (mode) => new Map([...MODES, ['bypassPermissions', 'Ask nothing'], ['dontAsk', 'Ask nothing']]).get(mode) ?? mode;

/** The agent's own housekeeping commands make no sense from here. */
const FOR_TERMINALS = new Set(['exit', 'quit', 'vim', 'terminal-setup', 'login', 'logout']);

export class AgentFacts {
  mode = '';
  model = '';
  directory = '';
  conversation = '';
  /** @type {Command[]} */ commands = [];
  /** @type {Model[]} */ models = [];
  /** @type {Map<string, true>} */ #paths = new Map();
  /** @type {Map<string, any>} what was asked of the agent and not answered yet */ #asked = new Map();
  isIntroduced = false;
  /** @type {Map<string, string>} what runs beside the conversation, by its id, and what it does */ running = new Map();

  /** @returns {string[]} files that the agent has touched, the last one first */
  get paths() {
    return [...this.#paths.keys()].reverse();
  }

  clear() {
    Object.assign(this, { mode: '', model: '', directory: '', conversation: '', commands: [], models: [], isIntroduced: false });
    this.#paths.clear();
    this.running.clear();
    this.#asked.clear();
  }

  /** @param {any} event of the log @returns {boolean} whether it says anything new */
  take({ from, message: said }) {
    const message = record(said);
    if (from === 'viewer' && message.type === 'control_request') {
      const request = record(message.request);
      if (['set_permission_mode', 'set_model', 'initialize'].includes(request.subtype)) keep(this.#asked, message.request_id, request, MOST);
      return false;
    }
    if (message.type === 'footbridge' && message.subtype === 'agent_exited') this.running.clear();
    if (from === 'worker' && message.subtype === 'agent_resumed') this.conversation = conversationId(message.conversation) || this.conversation;
    if (from !== 'agent') return false;
    switch (message.type) {
      case 'system': return this.#system(message);
      case 'control_response': return this.#answer(record(message.response));
      case 'result': return this.#converses(message.session_id);
      case 'assistant': return this.#calls(list(record(message.message).content));
      default: return false;
    }
  }

  /** @param {Record<string, any>} message @returns {boolean} */
  #system({ subtype, model, permissionMode, cwd, slash_commands: commands, task_id: id, description, is_backgrounded: isBeside, session_id: conversation }) {
    if (subtype === 'task_started' || subtype === 'task_notification') return isBeside !== false && this.#task(subtype, id, description);
    if (subtype !== 'init' && subtype !== 'status') return false;
    this.mode = line(permissionMode) || this.mode;
    if (subtype === 'status') return Boolean(line(permissionMode));
    this.model = line(model) || this.model;
    this.directory = line(cwd) || this.directory;
    this.#converses(conversation);
    const known = new Map(this.commands.map((one) => [one.name, one]));
    this.#learn(list(commands).map((name) => known.get(name) ?? { name: line(name), about: '' }));
    return true;
  }

  /** @param {unknown} id @returns {boolean} whether it is another one than before */
  #converses(id) {
    const before = this.conversation;
    this.conversation = conversationId(id) || before;
    return this.conversation !== before;
  }

  /** @param {string} subtype @param {unknown} id @param {unknown} description @returns {boolean} */
  #task(subtype, id, description) {
    if (!line(id)) return false;
    if (subtype === 'task_notification') return this.running.delete(line(id));
    keep(this.running, line(id), typeof description === 'string' && description ? description.slice(0, CHARS) : line(id), MOST);
    return true;
  }

  /** @param {Record<string, any>} response @returns {boolean} */
  #answer({ subtype, request_id: id, response }) {
    const asked = this.#asked.get(id);
    if (!asked) return false;
    this.#asked.delete(id);
    if (subtype !== 'success') return true;
    const answer = record(response);
    if (asked.subtype === 'set_permission_mode') this.mode = line(answer.mode) || line(asked.mode) || this.mode;
    if (asked.subtype === 'set_model') this.model = line(asked.model) || this.model;
    if (asked.subtype === 'initialize') {
      this.isIntroduced = true;
      const told = list(answer.commands).map(record).map(({ name, description }) => ({ name: line(name), about: typeof description === 'string' ? description.slice(0, CHARS) : '' }));
      const names = new Set(told.map(({ name }) => name));
      // What it has named before stays, if it says no more about it.
      this.#learn([...told, ...this.commands.filter(({ name }) => !names.has(name))]);
      this.models = list(answer.models).slice(0, MOST).map(record).map(({ value, displayName }) => ({ id: line(value), name: line(displayName) || line(value) })).filter(({ id: one }) => one);
    }
    return true;
  }

  /** @param {Command[]} commands */
  #learn(commands) {
    const good = commands.filter(({ name }) => name && !/\s/.test(name) && !FOR_TERMINALS.has(name)).slice(0, MOST);
    if (good.length) this.commands = good.sort((a, b) => a.name.localeCompare(b.name));
  }

  /** @param {any[]} blocks @returns {boolean} */
  #calls(blocks) {
    let isNew = false;
    for (const block of blocks.slice(0, MOST)) {
      const { type, input } = record(block);
      const path = type === 'tool_use' && (line(record(input).file_path) || line(record(input).notebook_path));
      if (!path) continue;
      const inside = this.directory && path.startsWith(`${this.directory}/`) ? path.slice(this.directory.length + 1) : path;
      keep(this.#paths, inside, true, PATHS);
      isNew = true;
    }
    return isNew;
  }
}

/** @typedef {{from: number, to: number, kind: '/' | '@', typed: string}} Started what is being completed, and where it stands */

/** @param {string} text @param {number} at the caret @returns {Started | null} */
export function startedAt(text, at) {
  const before = text.slice(0, at);
  const command = /^\/([\w:.-]{0,80})$/.exec(before);
  if (command) return { from: 0, to: at, kind: '/', typed: command[1] };
  const path = /(?:^|\s)@([^\s@]{0,200})$/.exec(before);
  return path ? { from: at - path[1].length - 1, to: at, kind: '@', typed: path[1] } : null;
}

/** @template T @param {T[]} all @param {(one: T) => string} nameOf @param {string} typed @param {number} most @returns {T[]} those that begin so, and then those that hold it */
export function fitting(all, nameOf, typed, most) {
  const wanted = typed.toLowerCase();
  const begins = all.filter((one) => nameOf(one).toLowerCase().startsWith(wanted));
  const holds = all.filter((one) => !begins.includes(one) && nameOf(one).toLowerCase().includes(wanted));
  return [...begins, ...holds].slice(0, most);
}
