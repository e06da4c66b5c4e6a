// @ts-check
// Whether what answers is still the relay that knows this browser's token, found out without
// showing it: another program may have taken the relay's port while this page was open.

/** How the tokens begin that are a text and a signature of 43 characters. */
const SIGNED = 'fbbrowser-';
const SIGNATURE = 43;

/** @param {ArrayBuffer} bytes @returns {string} */
function base64url(bytes) {
  const text = btoa(String.fromCharCode(...new Uint8Array(bytes)));
  return text.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/**
 * @param {string} token @param {URL} url where proofs are given @param {AbortSignal} signal
 * @returns {Promise<Response | null>} what was answered instead of a proof
 */
export async function askForProof(token, url, signal) {
  // Browsers have no keyed hashes for pages that came over plain http from another machine.
  if (!crypto.subtle) return null;
  const utf8 = new TextEncoder();
  const key = await crypto.subtle.importKey('raw', utf8.encode(token), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const nonce = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
  /** @param {string} purpose */
  const sign = async (purpose) => base64url(await crypto.subtle.sign('HMAC', key, utf8.encode(`${purpose}\0${nonce}`)));
  const of = token.startsWith(SIGNED) ? token.slice(0, -SIGNATURE) : '';
  url.search = new URLSearchParams({ of, nonce, mac: await sign('question') }).toString();
  const response = await fetch(url, { signal, cache: 'no-store', credentials: 'omit', redirect: 'error' });
  if (!response.ok) return response;
  const answer = await response.json();
  return answer?.proof === await sign('proof') ? null : response;
}
