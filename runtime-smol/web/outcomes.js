// @ts-check
// What came of a tool's use, in a few words, and how much of what it said is worth showing at once.
import { withoutColour } from './format.js';
import { list, record, text } from './values.js';

/** Lines and characters that are shown of a result without a click. */
const PEEK = { lines: 3, chars: 300 };
/** A result that is hardly longer is shown whole. */
const WHOLE = { lines: 5, chars: 480 };
/** Characters that are searched for what a result says. */
const SEARCHED = 20_000;

/** Tools whose heads say it all: their results confirm them, or repeat what is in a file. */
const QUIET = new Set([
  'Read', 'NotebookRead', 'Glob', 'Grep', 'LS', 'Edit', 'MultiEdit', 'Write', 'NotebookEdit', 'TodoWrite', 'TaskCreate', 'TaskUpdate', 'TaskList',
  'TaskGet', 'AskUserQuestion', 'ExitPlanMode', 'EnterPlanMode', 'WebSearch', 'ToolSearch',
]);

/** Tools that start another agent. */
const AGENTS = new Set(['Task', 'Agent']);

/** Tools whose calls say nothing more than their heads. */
const SHORT = new Set(['Read', 'NotebookRead', 'Glob', 'Grep', 'LS', 'WebFetch', 'WebSearch', 'TodoWrite', 'TaskCreate', 'TaskUpdate', 'TaskList', 'TaskGet', 'ToolSearch']);

/** @param {unknown} tool */
export const isQuiet = (tool) => QUIET.has(/** @type {any} */ (tool));

/** @param {unknown} tool */
export const isAgent = (tool) => AGENTS.has(/** @type {any} */ (tool));

/** @param {unknown} tool @returns {boolean} whether its call is worth showing while it runs */
export const isOpenAtFirst = (tool) => !SHORT.has(/** @type {any} */ (tool)) && !isAgent(tool) && tool !== 'AskUserQuestion';

/** What agents say in place of a result when a person did not let the tool run. */
const REFUSED = /^\s*(?:The user doesn.t want to (?:proceed with|take) this|User rejected)/;
/** And at the end of one, when a person has ended it. */
const INTERRUPTED = /(?:^|\n)\s*\[?(?:Request i|I)nterrupted(?: by user[^\n\]]{0,60})?\]?\s*$/;

/** @param {string} said @returns {boolean} whether a person has ended what says this */
export const isInterrupted = (said) => INTERRUPTED.test(said.slice(-200));

/** @param {string} said @returns {boolean} whether a person, and no fault, is why there is no result */
export const isRefusal = (said) => REFUSED.test(said.slice(0, 200)) || isInterrupted(said);

/** @param {string} said @returns {string} without the tags that are meant for the model */
export const withoutFrame = (said) => /^<tool_use_error>([^]*)<\/tool_use_error>\s*$/.exec(said)?.[1] ?? said;

/**
 * @param {string} said what an agent that another one has started has reported
 * @returns {string} its own words, without the frame that tells the other one whose they are
 */
export function reportOf(said) {
  const framed = /^\[Subagent hand-back\][^\n]*\n/.exec(said);
  const body = framed ? said.slice(framed[0].length) : said;
  const end = body.search(/\n(?:agentId: \w+ \(|<usage>)/);
  const own = (end === -1 ? body : body.slice(0, end)).trimEnd();
  return framed ? own.replace(/^ {2}/gm, '') : own;
}

/** @param {string} said @returns {number} of lines with something at their end or after them */
export function lineCount(said) {
  let [count, at] = [0, 0];
  while (at < said.length) {
    const end = said.indexOf('\n', at);
    count += 1;
    at = end === -1 ? said.length : end + 1;
  }
  return count;
}

/** @param {number} many @param {string} one @param {string} [more] @returns {string} */
export const counted = (many, one, more = `${one}s`) => `${many.toLocaleString('en')} ${many === 1 ? one : more}`;

/** @param {string} line */
const cut = (line) => (line.length > PEEK.chars ? `${line.slice(0, PEEK.chars)}…` : line);

/**
 * @param {string} said @param {boolean} isFromEnd whether its end says more than its beginning
 * @returns {{text: string, more: number}} what to show of it, and how many lines that leaves out; `more` is 0 if it is
 *   all there is, and at least 1 if it is not
 */
export function peekOf(said, isFromEnd) {
  if (said.length <= WHOLE.chars) {
    const whole = withoutColour(said).replace(/\s+$/, '');
    if (lineCount(whole) <= WHOLE.lines) return { text: whole, more: 0 };
  }
  const all = lineCount(said);
  // The few lines that are shown are in here, or longer than what is shown of them.
  const part = isFromEnd ? said.slice(-SEARCHED).replace(/\s+$/, '') : said.slice(0, SEARCHED).replace(/^\s*\n/, '');
  const lines = withoutColour(part).split('\n');
  const shown = (isFromEnd ? lines.slice(-PEEK.lines) : lines.slice(0, PEEK.lines)).map(cut);
  return { text: shown.join('\n'), more: Math.max(1, all - shown.length) };
}

/** @param {string} said @returns {string[]} what a search has found, one to a line */
export const foundIn = (said) => said.split('\n').map((line) => line.trim()).filter((line) => line && !/^Found \d+ |^No (?:files|matches) found/.test(line));

/** @param {string} said of a search of the web @returns {{title: string, url: string}[]} the pages that it names */
export function linksIn(said) {
  const from = said.indexOf('Links: [');
  if (from === -1) return [];
  const end = said.indexOf(']\n', from);
  try {
    const all = JSON.parse(said.slice(from + 'Links: '.length, end === -1 ? undefined : end + 1));
    const known = list(all).map(record).map(({ title, url }) => ({ title: text(title), url: text(url) }));
    return known.filter(({ url }) => /^https?:\/\//.test(url)).slice(0, 50);
  } catch {
    return [];
  }
}

/**
 * @param {unknown} tool @param {string} said its result, if it did not fail
 * @returns {string} what came of it, for the head of its card
 */
export function outcomeOf(tool, said) {
  const start = said.slice(0, SEARCHED);
  switch (tool) {
    case 'Read': case 'NotebookRead': return said ? counted(lineCount(said.replace(/\n*<system-reminder>[^]*$/, '')), 'line') : 'empty';
    case 'Glob': case 'LS': case 'Grep': {
      const found = /^Found (\d+) (\w+)/.exec(start);
      if (found) return `${found[1]} ${found[2]}`;
      const many = foundIn(said.slice(0, 200_000)).length;
      return many ? counted(many, tool === 'Grep' ? 'line' : 'file') : 'nothing found';
    }
    case 'WebSearch': {
      const many = linksIn(start).length;
      return many ? counted(many, 'page') : '';
    }
    case 'TaskCreate': return /#(\d{1,9})\b/.exec(start)?.[0] ?? '';
    default: return said.trim() || isQuiet(tool) ? '' : 'no output';
  }
}

/** @param {string} said a failure @returns {string} in a few words, for the head of a card */
export function failureOf(said) {
  const code = /^Exit code (\d{1,3})\b/.exec(said);
  return code ? `exit code ${code[1]}` : 'failed';
}
