// @ts-check
// Stores the access token. It arrives in the URL's fragment, which a browser never
// sends to a server, and is removed from the address bar before anything else runs.

const KEY = 'footbridge.token';
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

/**
* People paste the whole address as often as just the token.
 * @param {string} text @returns {string}
 */
export function tokenIn(text) {
  const match = /[#&]token=([^&\s]+)/.exec(text);
  if (!match) return text.trim();
  try {
    return decodeURIComponent(match[1]);
  } catch {
    return match[1];
  }
}

/** @returns {string} the token that the address bar held, and no longer does; empty if there was none */
export function takeTokenFromAddress() {
  if (!/[#&]token=/.test(location.hash)) return '';
  const token = tokenIn(location.hash);
  const rest = location.hash.replace(/[#&]token=[^&]*/, '').replace(/^&/, '#');
  history.replaceState(null, '', location.pathname + location.search + rest);
  return token;
}

/**
* The token is sent as a WebSocket subprotocol, which is an HTTP token: a narrower
 * alphabet than a header's.
 * @param {string} token @returns {boolean}
 */
export const isUsableToken = (token) => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,4096}$/.test(token);
