// @ts-check
// Whether this browser is told of what waits, and how: its subscription at its push service, and at the
// relay.
import { ApiError } from './api.js';

const KEY = 'footbridge.push';
/** Where the service worker finds what it needs to answer. */
const KEPT = 'footbridge-notifications';
/** How long a test may take to arrive. */
const ARRIVES_WITHIN_MS = 15_000;

/** @typedef {{quiet?: {from: number, until: number, offset: number}, muted?: string[]}} Preferences */
/** @typedef {{id: string, preferences: Preferences}} Known */

/** @param {string} base64url @returns {Uint8Array<ArrayBuffer>} */
export function bytesOf(base64url) {
  const text = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** @param {any} agent the browser's own names @returns {string} for people */
export function browserName({ userAgent = '', platform = '' }) {
  const browsers = [['Edg/', 'Edge'], ['OPR/', 'Opera'], ['Firefox/', 'Firefox'], ['Chrome/', 'Chrome'], ['Safari/', 'Safari']];
  const systems = [['Android', 'Android'], ['iPhone', 'iPhone'], ['iPad', 'iPad'], ['Mac', 'Mac'], ['Windows', 'Windows'], ['CrOS', 'ChromeOS'], ['Linux', 'Linux']];
  const of = (/** @type {string[][]} */ table, /** @type {string} */ text) => table.find(([mark]) => text.includes(mark))?.[1];
  return [of(browsers, userAgent) ?? 'A browser', of(systems, `${userAgent} ${platform}`)].filter(Boolean).join(' on ');
}

/**
 * Why this browser cannot be told, in words; empty if it can.
 * @param {any} [scope]
 */
export function obstacle(scope = window) {
  const { navigator, isSecureContext } = scope;
  const isApples = /iPhone|iPad/.test(navigator.userAgent ?? '');
  if (!isSecureContext) return 'Browsers allow this only over https, or on the relay’s own computer: open this page by an https address.';
  if (isApples && navigator.standalone !== true) return 'On an iPhone or iPad, put this page on the home screen first (Share, then Add to Home Screen), and open it from there.';
  if (!navigator.serviceWorker || !scope.PushManager || !scope.Notification) return 'This browser has no notifications.';
  if (scope.Notification.permission === 'denied') return 'This browser does not let this page notify you. Allow notifications in the settings of the site, beside its address, and reload the page.';
  return '';
}

/** @param {Date} [now] @returns {number} minutes east of UTC */
export const offsetOf = (now = new Date()) => -now.getTimezoneOffset();

export class Push {
  /** @param {import('./api.js').Api} api @param {string} token */
  constructor(api, token) {
    this.api = api;
    this.token = token;
  }

  /** @returns {Known | null} what the relay was told last */
  get known() {
    try {
      const known = JSON.parse(localStorage.getItem(KEY) ?? 'null');
      return typeof known?.id === 'string' ? { id: known.id, preferences: known.preferences ?? {} } : null;
    } catch {
      return null;
    }
  }

  /** Asks for permission, which takes a tap, and subscribes. */
  async turnOn() {
    if (await Notification.requestPermission() !== 'granted') throw new Error(obstacle() || 'It was not allowed. Nothing has changed.');
    await this.#post(this.known?.preferences ?? {});
  }

  /** Says again what is known: a day or a sign-in later, a time zone or a key may be another one. */
  async renew() {
    const { known } = this;
    if (!known || obstacle() || Notification.permission !== 'granted') return;
    await this.#post(known.preferences);
  }

  /** @param {Preferences} preferences */
  async change(preferences) {
    await this.#post(preferences);
  }

  /** @param {Preferences} wanted */
  async #post(wanted) {
    const preferences = wanted.quiet ? { ...wanted, quiet: { ...wanted.quiet, offset: offsetOf() } } : wanted;
    const registration = await navigator.serviceWorker.ready;
    const { key } = await this.api.pushKey();
    const subscription = await subscribed(registration.pushManager, key);
    const { endpoint, keys } = subscription.toJSON();
    const name = browserName(navigator);
    const { id } = await this.api.addPush({ endpoint, keys, name, preferences });
    localStorage.setItem(KEY, JSON.stringify({ id, preferences }));
    const cache = await caches.open(KEPT);
    await cache.put(new URL('kept', document.baseURI), new Response(JSON.stringify({ token: this.token, name, preferences })));
  }

  /** Also before a person signs out. */
  async turnOff() {
    const { known } = this;
    localStorage.removeItem(KEY);
    if ('caches' in window) await caches.delete(KEPT);
    if (known) {
      await this.api.removePush(known.id).catch((error) => {
        if (!(error instanceof ApiError && error.status === 404)) throw error;
      });
    }
    const registration = await navigator.serviceWorker?.getRegistration();
    const subscription = await registration?.pushManager?.getSubscription();
    await subscription?.unsubscribe();
  }

  /** @returns {Promise<{arrived: boolean, accepted: boolean, detail: string}>} what became of a message to this browser */
  async test() {
    const { known } = this;
    if (!known) throw new Error('Turn notifications on first.');
    const nonce = crypto.randomUUID();
    const arrival = arrived(nonce);
    const { accepted, detail } = await this.api.testPush(known.id, nonce);
    return { accepted, detail, arrived: accepted && await arrival };
  }
}

/**
 * @param {PushManager} manager @param {string} key the relay's
 * @returns {Promise<PushSubscription>} one that is bound to this key
 */
async function subscribed(manager, key) {
  const applicationServerKey = bytesOf(key);
  const old = await manager.getSubscription();
  const bound = old?.options?.applicationServerKey;
  const isSame = bound && bytesEqual(new Uint8Array(bound), applicationServerKey);
  if (old && isSame) return old;
  // A relay with another key could not send to it.
  await old?.unsubscribe();
  return manager.subscribe({ userVisibleOnly: true, applicationServerKey });
}

/** @param {Uint8Array} one @param {Uint8Array} other */
const bytesEqual = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

/** @param {string} nonce @returns {Promise<boolean>} whether the service worker has got it in time */
function arrived(nonce) {
  return new Promise((done) => {
    const abort = new AbortController();
    const timer = setTimeout(() => finish(false), ARRIVES_WITHIN_MS);
    const finish = (/** @type {boolean} */ is) => {
      clearTimeout(timer);
      abort.abort();
      done(is);
    };
    navigator.serviceWorker.addEventListener('message', ({ data }) => {
      if (data?.kind === 'push-test' && data.nonce === nonce) finish(true);
    }, { signal: abort.signal });
  });
}
