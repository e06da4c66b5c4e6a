// @ts-check
// Markdown within a paragraph, as a tree: emphasis, code, links. What is not recognised stays as it
// was written; nothing is ever taken for HTML.

/**
 * @typedef {string | Inline} Piece
 * @typedef {{tag: 'strong' | 'em' | 'del' | 'code', kids: Piece[]} | {tag: 'a', href: string, kids: Piece[]}} Inline
 */

/** Marks of emphasis in one paragraph; beyond it, they are shown as they are. */
const MARKS = 400;
/** Characters of an address. */
const ADDRESS = 2000;

const PUNCTUATION = /[\p{P}\p{S}]/u;
const SPACE = /\s/u;

const ESCAPED = /\\([!-/:-@[-`{-~])/y;
const BARE = /https?:\/\/[^\s<>"`\u0000-\u001f]{1,2000}/y;
const POINTED = /<(https?:\/\/[^\s<>]{1,2000})>/y;
const ENTITY = /&(amp|lt|gt|quot|nbsp|#39|#x27);/y;
/** @type {Record<string, string>} */
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', nbsp: '\u00a0', '#39': '\'', '#x27': '\'' };

/** @param {RegExp} sign sticky @param {string} text @param {number} at */
function matchAt(sign, text, at) {
  sign.lastIndex = at;
  return sign.exec(text);
}

/** @param {string} href @returns {string} without what belongs to the sentence around it */
export function withoutTail(href) {
  let end = href.length;
  for (;;) {
    const last = href[end - 1];
    if (last === undefined) break;
    if ('?!.,:;*_~\'"'.includes(last)) end -= 1;
    else if (')]}'.includes(last)) {
      const opener = '([{'[')]}'.indexOf(last)];
      const part = href.slice(0, end);
      if (part.split(opener).length >= part.split(last).length) break;
      end -= 1;
    } else break;
  }
  return href.slice(0, end);
}

/** @param {string} text @param {number} at of `[` @returns {{label: string, href: string, end: number} | null} */
function linkAt(text, at) {
  let depth = 0;
  let close = -1;
  for (let index = at; index < text.length; index += 1) {
    const one = text[index];
    if (one === '\\') index += 1;
    else if (one === '[') depth += 1;
    else if (one === ']') {
      depth -= 1;
      if (depth === 0) {
        close = index;
        break;
      }
    }
  }
  if (close === -1 || text[close + 1] !== '(') return null;
  const rest = /^\(\s{0,20}(?:<([^<>\n]{0,2000})>|((?:[^\s()\\]|\\.|\([^\s()]{0,500}\)){0,2000}))(?:\s+(?:"[^"]{0,500}"|'[^']{0,500}'))?\s{0,20}\)/.exec(text.slice(close + 1, close + 2 * ADDRESS));
  if (!rest) return null;
  return { label: text.slice(at + 1, close), href: (rest[1] ?? rest[2] ?? '').replaceAll(/\\([!-/:-@[-`{-~])/g, '$1'), end: close + 1 + rest[0].length };
}

/** @typedef {{mark: string, count: number, opens: boolean, closes: boolean}} Delimiter */
/** @typedef {string | Inline | Delimiter} Token */

/** @param {Token} token @returns {token is Delimiter} */
const isDelimiter = (token) => typeof token === 'object' && 'mark' in token;

/** @param {string} text @param {number} at @param {number} end @returns {Delimiter} */
function delimiter(text, at, end) {
  const before = at === 0 ? ' ' : /** @type {string} */ ([...text.slice(Math.max(0, at - 2), at)].pop());
  const after = end >= text.length ? ' ' : String.fromCodePoint(text.codePointAt(end) ?? 32);
  const [spaceBefore, spaceAfter] = [SPACE.test(before), SPACE.test(after)];
  const [pointBefore, pointAfter] = [PUNCTUATION.test(before), PUNCTUATION.test(after)];
  const left = !spaceAfter && (!pointAfter || spaceBefore || pointBefore);
  const right = !spaceBefore && (!pointBefore || spaceAfter || pointAfter);
  const mark = text[at];
  const isUnderscore = mark === '_';
  return {
    mark, count: end - at, opens: left && (!isUnderscore || !right || pointBefore), closes: right && (!isUnderscore || !left || pointAfter),
  };
}

/** @param {string} text @param {boolean} mayLink @returns {Token[]} */
function tokensOf(text, mayLink) {
  /** @type {Token[]} */ const tokens = [];
  let held = '';
  let marks = 0;
  const add = (/** @type {Token} */ token) => {
    if (held) tokens.push(held);
    held = '';
    tokens.push(token);
  };
  for (let at = 0; at < text.length;) {
    const one = text[at];
    let found;
    if (one === '\\' && (found = matchAt(ESCAPED, text, at))) {
      held += found[1];
      at += 2;
    } else if (one === '`') {
      let end = at;
      while (text[end] === '`') end += 1;
      const run = text.slice(at, end);
      let close = text.indexOf(run, end);
      while (close !== -1 && (text[close + run.length] === '`' || text[close - 1] === '`')) {
        let past = close;
        while (text[past] === '`') past += 1;
        close = text.indexOf(run, past);
      }
      if (close === -1) {
        held += run;
        at = end;
      } else {
        const code = text.slice(end, close).replaceAll('\n', ' ');
        add({ tag: 'code', kids: [/^ .*[^ ].* $/.test(code) ? code.slice(1, -1) : code] });
        at = close + run.length;
      }
    } else if (one === '&' && (found = matchAt(ENTITY, text, at))) {
      held += ENTITIES[found[1]];
      at += found[0].length;
    } else if (mayLink && one === '<' && (found = matchAt(POINTED, text, at))) {
      add({ tag: 'a', href: found[1], kids: [found[1]] });
      at += found[0].length;
    } else if (mayLink && one === 'h' && !/[\p{L}\p{N}]/u.test(text[at - 1] ?? ' ') && (found = matchAt(BARE, text, at))) {
      const href = withoutTail(found[0]);
      if (href.length > 'https://'.length) add({ tag: 'a', href, kids: [href] });
      else held += href;
      at += Math.max(href.length, 1);
    } else if (mayLink && (one === '[' || (one === '!' && text[at + 1] === '['))) {
      const link = linkAt(text, one === '!' ? at + 1 : at);
      // Only what leads to a page: a path of the agent's machine is shown by its name.
      if (!link) {
        held += one;
        at += 1;
      } else {
        const kids = inlineOf(link.label, false);
        if (/^(?:https?:\/\/|mailto:)\S/.test(link.href)) add({ tag: 'a', href: link.href, kids: kids.length ? kids : [link.href] });
        else for (const kid of kids) add(kid);
        at = link.end;
      }
    } else if ((one === '*' || one === '_' || one === '~') && marks < MARKS) {
      let end = at;
      while (text[end] === one) end += 1;
      if (one === '~' && end - at !== 2) held += text.slice(at, end);
      else {
        marks += 1;
        add(delimiter(text, at, end));
      }
      at = end;
    } else {
      held += one;
      at += 1;
    }
  }
  if (held) tokens.push(held);
  return tokens;
}

/** @param {Token[]} tokens @returns {Piece[]} */
function emphasised(tokens) {
  for (let close = 0; close < tokens.length; close += 1) {
    const closer = tokens[close];
    if (!isDelimiter(closer) || !closer.closes || !closer.count) continue;
    for (let open = close - 1; open >= 0; open -= 1) {
      const opener = tokens[open];
      if (!isDelimiter(opener) || !opener.opens || opener.mark !== closer.mark || !opener.count) continue;
      const isOdd = (opener.closes || closer.opens) && (opener.count + closer.count) % 3 === 0 && (opener.count % 3 !== 0 || closer.count % 3 !== 0);
      if (isOdd && closer.mark !== '~') continue;
      const used = Math.min(opener.count, closer.count) >= 2 ? 2 : 1;
      const tag = closer.mark === '~' ? 'del' : used === 2 ? 'strong' : 'em';
      const kids = tokens.slice(open + 1, close).map((one) => (isDelimiter(one) ? one.mark.repeat(one.count) : one)).filter((one) => one !== '');
      opener.count -= used;
      closer.count -= used;
      tokens.splice(open + 1, close - open - 1, /** @type {Inline} */ ({ tag, kids }));
      // The same closer may close another one.
      close = closer.count ? open + 1 : open + 2;
      break;
    }
  }
  /** @type {Piece[]} */ const pieces = [];
  for (const token of tokens) {
    const piece = isDelimiter(token) ? token.mark.repeat(token.count) : token;
    if (piece === '') continue;
    const last = pieces.length - 1;
    if (typeof piece === 'string' && typeof pieces[last] === 'string') pieces[last] += piece;
    else pieces.push(piece);
  }
  return pieces;
}

/** @param {string} text of one paragraph @param {boolean} [mayLink] @returns {Piece[]} */
export const inlineOf = (text, mayLink = true) => emphasised(tokensOf(text, mayLink));
