// @ts-check
// The relay's HTTP calls. Every call that is retried here is safe to repeat.
import { askForProof } from './proof.js';

/** A request that failed, with the relay's own message; `status` 0 means that it was unreachable, or that something else has answered in its place. */
export class ApiError extends Error {
  /** @param {number} status @param {string} type @param {string} message @param {any} [detail] */
  constructor(status, type, message, detail) {
    super(message);
    this.status = status;
    this.type = type;
    this.detail = detail;
  }

  /** @returns {boolean} whether the same call may succeed later */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const LIMIT_MS = 20_000;
const RETRY_DELAYS_MS = [400, 1200, 3000];

/** @returns {string} a version 4 UUID; works on plain http too, where `randomUUID` does not exist */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** @param {string} path @returns {URL} */
const urlOf = (path) => new URL(path, document.baseURI);

export class Api {
  #token;
  #onDenied;
  /** Something else may answer by now: it has to prove that it is the relay before it is sent the token. */
  #inDoubt = false;

  /** @param {string} token @param {() => void} onDenied called when the relay rejects the token */
  constructor(token, onDenied) {
    this.#token = token;
    this.#onDenied = onDenied;
  }

  /** A connection broke. */
  doubt() {
    this.#inDoubt = true;
  }

  /** @returns {Promise<void>} once what answers may be sent the token */
  async assure() {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), LIMIT_MS);
    try {
      await this.#assure(abort.signal);
    } catch (error) {
      throw this.#failure(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param {AbortSignal} signal */
  async #assure(signal) {
    if (!this.#inDoubt) return;
    const unproved = await askForProof(this.#token, urlOf('v1/proof'), signal);
    if (unproved) {
      // The relay may not know the token, or not be able to tell now.
      const why = unproved.ok ? null : await refusal(unproved);
      if (why?.status === 401 || why?.passing) throw why;
      throw new ApiError(0, 'unproved', 'What answers at this address is not the relay.');
    }
    this.#inDoubt = false;
  }

  /** @param {unknown} error @returns {ApiError} what to throw */
  #failure(error) {
    const failure = error instanceof ApiError ? error : new ApiError(0, 'unreachable', 'The relay could not be reached.');
    if (failure.passing || failure.status === 401) this.#inDoubt = true;
    if (failure.status === 401) this.#onDenied();
    return failure;
  }

  /**
   * @param {string} path @returns {WebSocket} a socket that carries the token as a
   *   subprotocol, since a URL ends up in logs
   */
  socket(path) {
    const url = urlOf(path);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return new WebSocket(url.href, ['footbridge.viewer.v1', `footbridge.bearer.${this.#token}`]);
  }

  /** @returns {Promise<{token: string}>} a token of this browser's own, for a code or an access token; not repeated, since a code works once */
  signIn() {
    return this.#call('POST', 'v1/sign-in');
  }

  /** @returns {Promise<{provider: string | null}>} with which provider people may sign in */
  oidc() {
    return this.#retry('GET', 'v1/oidc');
  }

  /** @returns {Promise<any>} which messages of agents are not for people */
  housekeeping() {
    return this.#retry('GET', 'v1/housekeeping');
  }

  /** @returns {Promise<{account: string, shared?: boolean}>} whose token it is, and whether others use the relay as well */
  whoAmI() {
    return this.#retry('GET', 'v1/whoami');
  }

  environments() {
    return this.#call('GET', 'v1/environments');
  }

  /** @param {string} code @returns {Promise<any>} what the machine asks for that shows this code */
  logIn(code) {
    return this.#retry('GET', `v1/oauth/device?user_code=${encodeURIComponent(code.replace(/[^0-9A-Za-z]/g, ''))}`);
  }

  /** @param {string} code @param {'approve' | 'deny'} answer */
  answerLogIn(code, answer) {
    return this.#call('POST', 'v1/oauth/device', { user_code: code, answer });
  }

  /** @returns {Promise<any>} who is logged in */
  devices() {
    return this.#retry('GET', 'v1/devices');
  }

  /** @returns {Promise<{key: string}>} what a browser binds its subscription to */
  pushKey() {
    return this.#retry('GET', 'v1/push/key');
  }

  /** @returns {Promise<any>} the person's browsers that are told of what waits */
  pushes() {
    return this.#retry('GET', 'v1/push/subscriptions');
  }

  /** @param {any} subscription @returns {Promise<{id: string}>} */
  addPush(subscription) {
    return this.#retry('POST', 'v1/push/subscriptions', subscription);
  }

  /** @param {string} id */
  removePush(id) {
    return this.#call('DELETE', `v1/push/subscriptions/${encodeURIComponent(id)}`);
  }

  /** @param {string} id @param {string} nonce @returns {Promise<{accepted: boolean, detail: string}>} */
  testPush(id, nonce) {
    return this.#call('POST', `v1/push/subscriptions/${encodeURIComponent(id)}/test`, { nonce });
  }

  /** @param {string} id */
  revokeDevice(id) {
    return this.#call('POST', `v1/devices/${encodeURIComponent(id)}/revoke`);
  }

  /** @param {string} id */
  session(id) {
    return this.#call('GET', `v1/sessions/${encodeURIComponent(id)}`);
  }

  /** @param {string} id @param {number} after @param {number} limit */
  events(id, after, limit) {
    return this.#retry('GET', `v1/sessions/${encodeURIComponent(id)}/events?after=${after}&limit=${limit}`);
  }

  /**
   * @param {string} environmentId @param {string} key one per click, so a retry does not create a second session
   * @param {{title?: string, claude_code_args?: Record<string, string>}} [more]
   */
  newSession(environmentId, key, more = {}) {
    return this.#retry('POST', 'v1/sessions', { environment_id: environmentId, ...more }, { 'idempotency-key': key });
  }

  /** @param {string} id @param {any} message with a `uuid`, by which the relay recognises duplicates */
  send(id, message) {
    return this.#retry('POST', `v1/sessions/${encodeURIComponent(id)}/messages`, { messages: [message] });
  }

  /** @param {string} id @param {any} request for the agent itself, such as another mode */
  control(id, request) {
    const [requestId, name] = [uuid(), uuid()];
    return this.send(id, { type: 'control_request', request_id: requestId, request, uuid: name });
  }

  /** @param {string} id @param {any} answer */
  answer(id, answer) {
    return this.#retry('POST', `v1/sessions/${encodeURIComponent(id)}/permission`, answer);
  }

  /** @param {string} id @param {{request_id: string, seq: number}} question @returns {Promise<{token: string, url: string | null}>} a link that answers it once */
  answerLink(id, question) {
    return this.#call('POST', `v1/sessions/${encodeURIComponent(id)}/permission/link`, question);
  }

  /** @returns {Promise<any>} the question that this link is for */
  linked() {
    return this.#retry('GET', 'v1/answer');
  }

  /** @param {{behavior: 'allow' | 'deny', message?: string}} answer */
  answerLinked(answer) {
    return this.#call('POST', 'v1/answer', answer);
  }

  /** @param {string} id */
  interrupt(id) {
    return this.#retry('POST', `v1/sessions/${encodeURIComponent(id)}/interrupt`, {});
  }

  /** @param {string} id */
  stop(id) {
    return this.#retry('POST', `v1/sessions/${encodeURIComponent(id)}/stop`, {});
  }

  /** @param {string} id @param {{title?: string, archived?: boolean}} change */
  changeSession(id, change) {
    return this.#retry('POST', `v1/sessions/${encodeURIComponent(id)}`, change);
  }

  /** @param {string} id one that has ended */
  deleteSession(id) {
    return this.#call('DELETE', `v1/sessions/${encodeURIComponent(id)}`);
  }

  /** @param {string} id @param {any} ask what to do with its worktree, which was kept */
  worktree(id, ask) {
    return this.#retry('POST', `v1/sessions/${encodeURIComponent(id)}/worktree`, ask);
  }

  /** @param {string} method @param {string} path @param {any} [body] @param {Record<string, string>} [headers] */
  async #retry(method, path, body, headers) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#call(method, path, body, headers);
      } catch (error) {
        const delay = RETRY_DELAYS_MS[attempt];
        if (!(error instanceof ApiError) || !error.passing || delay === undefined) throw error;
        const asked = error.detail?.retryAfter ?? 0;
        if (asked > 10) throw error;
        await new Promise((wake) => setTimeout(wake, Math.max(delay, asked * 1000)));
      }
    }
  }

  /** @param {string} method @param {string} path @param {any} [body] @param {Record<string, string>} [headers] */
  async #call(method, path, body, headers = {}) {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), LIMIT_MS);
    try {
      await this.#assure(abort.signal);
      const response = await fetch(urlOf(path), {
        method,
        signal: abort.signal,
        cache: 'no-store',
        // That this browser is a trusted one is in a cookie (D).
        credentials: 'same-origin',
        redirect: 'error',
        headers: {
          authorization: `Bearer ${this.#token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      if (response.ok) return await response.json();
      throw await refusal(response);
    } catch (error) {
      throw this.#failure(error);
    } finally {
      clearTimeout(timer);
    }
  }
}

/**
 * Only an answer with the relay's own error in it says anything about the call: a captive portal, a
 * proxy or a page about maintenance may answer with any status.
 * @param {Response} response @returns {Promise<ApiError>}
 */
async function refusal(response) {
  const body = await response.json().catch(() => null);
  const error = body?.error ?? {};
  const retryAfter = Number(response.headers.get('retry-after')) || 0;
  if (typeof error.type !== 'string' || error.type === '') {
    const words = `Something else than the relay has answered (HTTP ${response.status}). Does this network want you to sign in?`;
    return new ApiError(0, 'unreachable', words, { retryAfter });
  }
  const message = typeof error.message === 'string' ? error.message : `The relay answered ${response.status}.`;
  return new ApiError(response.status, error.type, message, { ...error, retryAfter });
}
