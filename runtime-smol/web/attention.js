// @ts-check
// What waits for a person, wherever on the page they are: in the title, on the app's icon, and in a
// line above a session that is not the one.
import { titleOf } from './format.js';
import { list } from './values.js';

/** @typedef {{id: string, title: string, tool: string, count: number, seq: number, since: string}} Waiting a session, and its first question */

/** @param {any} session @returns {any[]} the questions that its agent waits for */
const openIn = ({ state, pending_permissions: all }) => (state === 'ended' ? [] : list(all).filter((one) => one?.turn_ended !== true));

/** @param {Iterable<any>} sessions @returns {Waiting[]} the one that has waited longest first */
export function waitingIn(sessions) {
  const all = [];
  for (const session of sessions) {
    const open = openIn(session);
    if (!open.length) continue;
    const { tool_name: tool, seq } = open[0];
    all.push({ id: session.id, title: titleOf(session), tool: typeof tool === 'string' ? tool : '', count: open.length, seq, since: session.updated_at ?? '' });
  }
  return all.sort((a, b) => a.since.localeCompare(b.since));
}

/** @param {Waiting[]} waiting @returns {number} of questions */
export const questionCount = (waiting) => waiting.reduce((sum, { count }) => sum + count, 0);

/** @param {string} title @param {number} count @returns {string} */
export const titleWith = (title, count) => `${count ? `(${count}) ` : ''}${title ? `${title} · ` : ''}Footbridge`;

/** The document's title, and the badge of the installed app. */
export class Attention {
  #title = '';
  #count = 0;
  #badge = -1;

  /** @param {string} title of what is shown; empty for the overview */
  set title(title) {
    this.#title = title;
    this.#show();
  }

  /** @param {number} count questions that wait, in all sessions */
  set count(count) {
    this.#count = count;
    this.#show();
  }

  #show() {
    const title = titleWith(this.#title, this.#count);
    if (document.title !== title) document.title = title;
    if (this.#badge === this.#count) return;
    this.#badge = this.#count;
    const { setAppBadge, clearAppBadge } = /** @type {any} */ (navigator);
    // Where it does not exist, or is not allowed, the title says it.
    if (this.#count) setAppBadge?.call(navigator, this.#count)?.catch?.(() => {});
    else clearAppBadge?.call(navigator)?.catch?.(() => {});
  }
}
