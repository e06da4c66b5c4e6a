// @ts-check
// What a person does in a session, by the relay: it says what became of it where it fails.
import { ApiError, uuid } from './api.js';

export class Acts {
  #anotherKey = uuid();

  /**
   * @param {{
   *   id: string,
   *   api: import('./api.js').Api,
   *   session: () => any,
   *   onSession: (session: any) => void,
   *   say: (words: string) => void,
   * }} options `session` is the one that is known; `onSession` is told of a later one; `say` shows why something failed
   */
  constructor({ id, api, session, onSession, say }) {
    this.id = id;
    this.api = api;
    this.session = session;
    this.onSession = onSession;
    this.say = say;
  }

  interrupt() {
    return this.attempt(() => this.api.interrupt(this.id), 'Interrupt');
  }

  async stop() {
    this.#learn(await this.attempt(() => this.api.stop(this.id), 'Stop session'));
  }

  /** @param {import('./worktree.js').Ask} ask */
  async askOfWorktree(ask) {
    this.#learn(await this.attempt(() => this.api.worktree(this.id, ask), 'The worktree'));
  }

  /** @param {any} session as an answer has it: whatever the subscription has delivered meanwhile is newer, and wins */
  #learn(session) {
    if (session?.id && session.updated_at > (this.session()?.updated_at ?? '')) this.onSession(session);
  }

  /** Another session in the place of this one, which has ended. */
  async another() {
    const session = await this.attempt(() => this.api.newSession(this.session().environment_id, this.#anotherKey), 'New session');
    if (session?.id) location.hash = `#/session/${encodeURIComponent(session.id)}`;
  }

  /** @type {Map<string, string>} by the machine: the same click again is not a second session */ #continuing = new Map();

  /** The conversation of this session, which has ended, in a new one. @param {string} environmentId @param {string} conversation */
  async resume(environmentId, conversation) {
    const key = this.#continuing.get(environmentId) ?? uuid();
    this.#continuing.set(environmentId, key);
    const { title } = this.session();
    const more = { claude_code_args: { resume: conversation }, ...(title ? { title } : {}) };
    const session = await this.attempt(() => this.api.newSession(environmentId, key, more), 'Continue');
    if (session?.id) location.hash = `#/session/${encodeURIComponent(session.id)}`;
  }

  /**
   * A message that may not have been read. It is a new one: whether the first copy was acted on is for the person to know.
   * @param {any} message @param {string} key of a new session, if it needs one @returns {Promise<boolean>}
   */
  async sendAgain(message, key) {
    const sent = await this.attempt(async () => {
      const isHere = this.session()?.state !== 'ended';
      const id = isHere ? this.id : (await this.api.newSession(this.session().environment_id, key)).id;
      await this.api.send(id, message);
      if (!isHere) location.hash = `#/session/${encodeURIComponent(id)}`;
      return true;
    }, 'Send again');
    return sent === true;
  }

  /** @param {any} request for the agent itself @returns {Promise<boolean>} whether it was sent */
  async ask(request) {
    return (await this.attempt(() => this.api.control(this.id, request), 'The agent could not be asked')) !== null;
  }

  /** @param {() => Promise<any>} call @param {string} what @returns {Promise<any>} null if it failed */
  async attempt(call, what) {
    this.say('');
    try {
      return await call();
    } catch (error) {
      const reason = error instanceof ApiError ? error.message : String(error);
      this.say(`${what}: that failed. ${reason}`);
      return null;
    }
  }
}
