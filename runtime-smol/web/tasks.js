// @ts-check
// What the agent has set itself to do, and how much of it is done, as its tools say: a whole list at
// once, or one task after another.
import { keep, list, record } from './values.js';

/** @typedef {'pending' | 'in_progress' | 'completed'} Status */
/** @typedef {{id: string, subject: string, doing: string, status: Status}} Task `doing` is what is said while it is done */

/** Tasks that are kept, calls that may still get a result, and characters of one text. */
const MOST = 200;
const CHARS = 300;
const STATUSES = new Set(['pending', 'in_progress', 'completed']);

/** @param {unknown} value @returns {string} */
const words = (value) => (typeof value === 'string' ? value.slice(0, CHARS) : '');

/** @param {unknown} value @param {Status} otherwise @returns {Status} */
const statusOf = (value, otherwise) => (STATUSES.has(/** @type {any} */ (value)) ? /** @type {Status} */ (value) : otherwise);

export class Tasks {
  /** @type {Map<string, Task>} */ #all = new Map();
  /** @type {Map<unknown, {name: string, given: Record<string, any>}>} calls without a result, by their ids */ #asked = new Map();

  /** @returns {Task[]} */
  get all() {
    return [...this.#all.values()];
  }

  get done() {
    return this.all.filter(({ status }) => status === 'completed').length;
  }

  /** @returns {Task | undefined} what is being done, or comes next */
  get current() {
    return this.all.find(({ status }) => status === 'in_progress') ?? this.all.find(({ status }) => status === 'pending');
  }

  clear() {
    this.#all.clear();
    this.#asked.clear();
  }

  /** @param {any} event of the log @returns {boolean} whether it changes anything */
  take({ from, message: said }) {
    const message = record(said);
    // Other agents have lists of their own.
    if (from !== 'agent' || message.parent_tool_use_id) return false;
    const blocks = list(record(message.message).content).slice(0, MOST).map(record);
    if (message.type === 'assistant') return blocks.map((block) => this.#call(block)).includes(true);
    if (message.type === 'user') return blocks.map((block) => this.#result(block, message)).includes(true);
    return false;
  }

  /** @param {Record<string, any>} block @returns {boolean} */
  #call({ type, id, name, input }) {
    if (type !== 'tool_use') return false;
    const given = record(input);
    if (name === 'TodoWrite') return this.#replace(list(given.todos).map(record));
    if (name !== 'TaskCreate' && name !== 'TaskUpdate') return false;
    // It counts once the agent's tool has done it.
    keep(this.#asked, id, { name, given }, MOST);
    return false;
  }

  /** @param {Record<string, any>[]} todos @returns {boolean} */
  #replace(todos) {
    this.#all.clear();
    todos.slice(0, MOST).forEach(({ content, activeForm, status }, at) => {
      this.#all.set(`${at}`, { id: `${at}`, subject: words(content), doing: words(activeForm), status: statusOf(status, 'pending') });
    });
    return true;
  }

  /** @param {Record<string, any>} given @returns {boolean} */
  #update({ taskId, status, subject, activeForm }) {
    const id = words(typeof taskId === 'number' ? `${taskId}` : taskId);
    if (!id) return false;
    if (status === 'deleted') return this.#all.delete(id);
    const known = this.#all.get(id) ?? { id, subject: `Task ${id}`, doing: '', status: /** @type {Status} */ ('pending') };
    this.#add({ ...known, subject: words(subject) || known.subject, doing: words(activeForm) || known.doing, status: statusOf(status, known.status) });
    return true;
  }

  /** @param {Record<string, any>} block @param {any} message @returns {boolean} */
  #result({ type, tool_use_id: call, content, is_error: failed }, message) {
    const asked = this.#asked.get(call);
    if (type !== 'tool_result' || !asked) return false;
    this.#asked.delete(call);
    if (failed) return false;
    if (asked.name === 'TaskUpdate') return this.#update(asked.given);
    const said = typeof content === 'string' ? content : list(content).map((part) => words(record(part).text)).join('\n');
    const id = words(record(record(message.tool_use_result).task).id) || /#(\w{1,20})/.exec(said.slice(0, CHARS))?.[1];
    if (!id) return false;
    this.#add({ id, subject: words(asked.given.subject), doing: words(asked.given.activeForm), status: 'pending' });
    return true;
  }

  /** @param {Task} task */
  #add(task) {
    this.#all.set(task.id, task);
    if (this.#all.size > MOST) this.#all.delete(/** @type {string} */ (this.#all.keys().next().value));
  }
}
