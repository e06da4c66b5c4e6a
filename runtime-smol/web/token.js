// @ts-check
// Stores this browser's token. The relay gives it to a browser that comes with a code, which
// works once, or with the access token, which is not kept. Both may come in the URL's fragment,
// which a browser never sends to a server but keeps in its history; it is removed from the
// address bar before anything else runs.
//
// The token is in the storage of this origin, not in a cookie: a cookie knows no ports, so every
// program that listens on the same host would be sent it, and it would be sent along with
// requests that other pages make.

const KEY = 'footbridge.token';
/** How the tokens of browsers begin. */
const OF_BROWSERS = 'fbbrowser-';
/** @type {string | null} only used if the browser denies us storage */
let inMemory = null;

/** @returns {string | null} */
export function readToken() {
  try {
    return localStorage.getItem(KEY) ?? inMemory;
  } catch {
    return inMemory;
  }
}

/** @param {string | null} token */
export function keepToken(token) {
  inMemory = token;
  try {
    if (token === null) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, token);
  } catch {
    // Storage is blocked: the token lasts as long as the page.
  }
}

/** @typedef {{value: string, isCode: boolean}} Credential */

/**
 * People paste the whole address as often as just the token.
 * @param {string} text @returns {Credential}
 */
export function credentialIn(text) {
  const match = /[#&](code|token)=([^&\s]+)/.exec(text);
  if (!match) return { value: text.trim(), isCode: text.trim().startsWith('fbcode-') };
  const isCode = match[1] === 'code';
  try {
    return { value: decodeURIComponent(match[2]), isCode };
  } catch {
    return { value: match[2], isCode };
  }
}

/** @returns {Credential | null} what the address bar held, and no longer does */
export function takeFromAddress() {
  if (!/[#&](code|token)=/.test(location.hash)) return null;
  const credential = credentialIn(location.hash);
  const rest = location.hash.replace(/[#&](code|token)=[^&]*/g, '').replace(/^&/, '#');
  history.replaceState(null, '', location.pathname + location.search + rest);
  return credential;
}

/** @param {string} token @returns {boolean} whether it is more than a browser should keep */
export const isAccessToken = (token) => !token.startsWith(OF_BROWSERS);

/**
* The token is sent as a WebSocket subprotocol, which is an HTTP token: a narrower
 * alphabet than a header's.
 * @param {string} token @returns {boolean}
 */
export const isUsableToken = (token) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,4096}$/.test(token);
