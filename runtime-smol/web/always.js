// @ts-check
// What an agent suggests to allow from now on, in words. A suggestion that cannot be put into words
// is not offered: nobody should agree to what the page does not understand.
import { list, record } from './values.js';

/** More than an agent suggests in good faith, and characters of one thing that it names. */
const MOST = 20;
const NAME = 500;

/** @type {Map<unknown, string>} for how long, and for whom */
const PLACES = new Map([
  ['session', 'until this session ends'],
  ['localSettings', 'in this project, for you'],
  ['projectSettings', 'in this project, for everyone who works on it'],
  ['userSettings', 'in all your projects'],
]);

/** @type {Map<unknown, string>} modes that an agent may suggest to go on in */
const MODES = new Map([
  ['acceptEdits', 'edit files in its folders without asking'],
  ['default', 'ask before each edit'],
  ['plan', 'only plan, and change nothing'],
]);

/** @param {unknown} value @returns {value is string} */
const isName = (value) => typeof value === 'string' && value.trim() !== '' && value.length <= NAME && !value.includes('\n');

/** @param {unknown} value @param {string[]} names @returns {boolean} whether it says nothing that is not understood */
const hasOnly = (value, names) => Object.keys(record(value)).every((name) => names.includes(name));

/** @param {unknown} rule @param {string} place @returns {string | null} */
function ofRule(rule, place) {
  const { toolName, ruleContent } = record(rule);
  if (!hasOnly(rule, ['toolName', 'ruleContent']) || !isName(toolName)) return null;
  if (ruleContent === undefined || ruleContent === null) return `every use of ${toolName}, ${place}`;
  return isName(ruleContent) ? `${toolName}: ${ruleContent} (${place})` : null;
}

/** @param {unknown} update @returns {(string | null)[]} one for each thing that it allows */
function wordsOf(update) {
  const { type, rules, behavior, directories, mode, destination } = record(update);
  const place = PLACES.get(destination);
  if (!place) return [null];
  if (type === 'addRules' && behavior === 'allow' && list(rules).length && hasOnly(update, ['type', 'rules', 'behavior', 'destination'])) {
    return list(rules).slice(0, MOST + 1).map((rule) => ofRule(rule, place));
  }
  if (type === 'addDirectories' && list(directories).length && hasOnly(update, ['type', 'directories', 'destination'])) {
    return list(directories).slice(0, MOST + 1).map((folder) => (isName(folder) ? `work in ${folder}, ${place}` : null));
  }
  const words = MODES.get(mode);
  if (type === 'setMode' && words && hasOnly(update, ['type', 'mode', 'destination'])) return [`${words}, ${place}`];
  return [null];
}

/** @param {Record<string, any>} request @returns {{words: string[], updates: any[]} | null} null if there is nothing to offer */
export function alwaysOf(request) {
  const updates = list(request.permission_suggestions);
  if (!updates.length || updates.length > MOST) return null;
  const words = updates.flatMap(wordsOf);
  if (words.includes(null) || words.length > MOST) return null;
  return { words: /** @type {string[]} */ (words), updates };
}
