// @ts-check
// Characters that nobody sees, or that change where others are seen, shown by their numbers:
// wherever a person decides by what a text says. Unicode's own classes say which they are.
import { h } from './dom.js';
import { preformatted } from './long.js';

/**
 * Ignorable ones (zero width, tags, fillers, variation selectors), direction marks, control and
 * format characters, halves of pairs, separators, every space but the usual one, and two
 * symbols without ink. Lines may be indented and may end.
 */
const HIDDEN = /(?:(?![ \t\n]|\r\n)[\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Cc}\p{Cf}\p{Cs}\p{Z}\u2800\u{1D159}])+/gu;
/** Of one run, these are named; the others are counted. */
const NAMED = 4;

/** @param {string} run @returns {string} */
function nameOf(run) {
  const characters = [...run];
  const names = characters.slice(0, NAMED).map((one) => `U+${one.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')}`);
  const rest = characters.length - NAMED;
  return `⟨${names.join(' ')}${rest > 0 ? ` and ${rest.toLocaleString()} more` : ''}⟩`;
}

/** @param {string} text @returns {boolean} */
export const isDeceptive = (text) => text.search(HIDDEN) !== -1;

/** @param {string} text @returns {string} for titles and buttons */
export const visibleText = (text) => text.replace(HIDDEN, nameOf);

/** @param {string} text @returns {(string | Node)[]} with what is hidden marked */
export function visible(text) {
  const parts = [];
  let done = 0;
  for (const match of text.matchAll(HIDDEN)) {
    parts.push(text.slice(done, match.index), h('mark', { class: 'hidden-character' }, nameOf(match[0])));
    done = match.index + match[0].length;
  }
  parts.push(text.slice(done));
  return parts;
}

/** @param {string} text @returns {HTMLElement} */
export const visibleCode = (text) => h('pre', { dir: 'ltr' }, h('code', {}, visible(text)));

/** The same for a text that may be long. */
export const visibleForm = preformatted(visible);
