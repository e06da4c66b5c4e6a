// @ts-check
// Notifications, as the service worker shows them: what waits, until it no longer does. What can be read
// whole can be answered there; everything else opens the page.

(() => {
  const worker = /** @type {any} */ (self);
  const base = new URL('./', worker.location.href);
  /** Where the page leaves what is needed to answer: its storage is closed to service workers. */
  const KEPT = 'footbridge-notifications';
  const LIMIT_MS = 20_000;
  /** How the tokens begin that are a text and a signature of 43 characters. */
  const SIGNED = 'fbbrowser-';
  const SIGNATURE = 43;

  /** @typedef {{token: string, name: string, preferences: any}} Kept */

  /** @returns {Promise<Kept | null>} */
  async function kept() {
    const found = await (await caches.open(KEPT)).match(new URL('kept', base));
    return found ? found.json() : null;
  }

  /** @param {string} path */
  const urlOf = (path) => new URL(path, base);

  /**
   * What a notification about a session says.
   * @param {any} waits @param {boolean} mayAnswer @returns {{title: string, options: any}}
   */
  function words(waits, mayAnswer) {
    const { what, tag, session, seq, request_id: requestId, tool, detail, whole, machine } = waits;
    const name = waits.title || 'A session';
    const place = machine ? ` · ${machine}` : '';
    const isQuestion = what === 'question';
    const title = isQuestion ? `${name} waits for you` : what === 'turn' ? `${name}: your turn` : `${name} has failed`;
    const asked = [tool || 'a question', detail].filter(Boolean).join(': ');
    const said = isQuestion ? asked : detail || '';
    const canAnswer = isQuestion && whole === true && mayAnswer && typeof requestId === 'string';
    const actions = canAnswer ? [{ action: 'allow', title: 'Allow' }, { action: 'deny', title: 'Deny' }] : [];
    const data = { session, seq, requestId: canAnswer ? requestId : null };
    const body = `${said}${place}`.replace(/^ · /, '');
    return {
      title,
      options: { body, tag, data, actions, icon: urlOf('icon-192.png').href, requireInteraction: isQuestion },
    };
  }

  /**
   * What waited while it was quiet, in words.
   * @param {any} waited @returns {string}
   */
  function summary({ questions, turns, failed }) {
    const parts = [
      questions > 0 && (questions === 1 ? 'a question waits for you' : `${questions} questions wait for you`),
      turns > 0 && (turns === 1 ? 'a session has done what you asked' : `${turns} sessions have done what you asked`),
      failed > 0 && (failed === 1 ? 'a session has failed' : `${failed} sessions have failed`),
    ].filter(Boolean);
    return parts.join(', ').replace(/^./, (first) => first.toUpperCase());
  }

  /** @param {number} waiting */
  function badge(waiting) {
    const { navigator } = worker;
    if (waiting) navigator.setAppBadge?.(waiting)?.catch?.(() => {});
    else navigator.clearAppBadge?.()?.catch?.(() => {});
  }

  /** @returns {Promise<any[]>} the page's windows */
  const windows = () => worker.clients.matchAll({ type: 'window', includeUncontrolled: true });

  /** @param {string} session @returns {Promise<boolean>} whether it is on the screen */
  async function isShown(session) {
    const all = await windows();
    return all.some(({ visibilityState, url }) => visibilityState === 'visible' && url.includes(`#/session/${session}`));
  }

  /** @param {string} tag what is over */
  async function takeBack(tag) {
    const shown = await worker.registration.getNotifications({ tag });
    // Apple's browsers take a site its subscription that shows nothing for a message.
    if (/Apple/.test(worker.navigator.vendor ?? '') && shown.length) {
      await worker.registration.showNotification('No longer waiting', { tag, silent: true });
    }
    for (const one of shown) one.close();
  }

  /** @param {any} data */
  async function onPush(data) {
    let message;
    try {
      message = data.json();
    } catch {
      message = {};
    }
    const { registration } = worker;
    switch (message.kind) {
      case 'waits': {
        badge(message.waiting);
        if (await isShown(message.session)) return;
        const { title, options } = words(message, (await kept()) !== null);
        await registration.showNotification(title, options);
        return;
      }
      case 'waited':
        badge(message.waiting);
        await registration.showNotification('While it was quiet', {
          body: summary(message), tag: message.tag, data: { session: message.session, seq: 0, requestId: null },
          icon: urlOf('icon-192.png').href, requireInteraction: message.questions > 0,
        });
        return;
      case 'over':
        badge(message.waiting);
        await takeBack(message.tag);
        return;
      case 'test':
        for (const client of await windows()) client.postMessage({ kind: 'push-test', nonce: message.nonce });
        await registration.showNotification('Notifications arrive', { body: 'You asked for this one.', tag: 'test', icon: urlOf('icon-192.png').href });
        return;
      default:
        // One of a later version: something has to be shown for it.
        await registration.showNotification('Footbridge', { body: 'Something has happened in a session.', tag: 'other' });
    }
  }

  /** @param {ArrayBuffer} bytes @returns {string} */
  const base64url = (bytes) =>
    btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');

  /**
   * Whether what answers is still the relay that knows the token: it is shown to nobody else. As in
   * `proof.js`, which service workers cannot load everywhere.
   * @param {string} token @param {AbortSignal} signal
   */
  async function isRelay(token, signal) {
    const utf8 = new TextEncoder();
    const key = await crypto.subtle.importKey('raw', utf8.encode(token), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
    const nonce = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
    /** @param {string} purpose */
    const sign = async (purpose) => base64url(await crypto.subtle.sign('HMAC', key, utf8.encode(`${purpose}\0${nonce}`)));
    const url = urlOf('v1/proof');
    const of = token.startsWith(SIGNED) ? token.slice(0, -SIGNATURE) : '';
    url.search = new URLSearchParams({ of, nonce, mac: await sign('question') }).toString();
    const response = await fetch(url, { signal, cache: 'no-store', credentials: 'omit', redirect: 'error' });
    return response.ok && (await response.json())?.proof === await sign('proof');
  }

  /** @param {string} path @param {any} body @returns {Promise<string>} why it was not done; empty if it was */
  async function post(path, body) {
    const known = await kept();
    if (!known) return 'You are signed out.';
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), LIMIT_MS);
    try {
      if (!await isRelay(known.token, abort.signal)) return 'What answers is not the relay, or does not know this browser any more.';
      const response = await fetch(urlOf(path), {
        method: 'POST', signal: abort.signal, cache: 'no-store', credentials: 'same-origin', redirect: 'error',
        headers: { authorization: `Bearer ${known.token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      if (response.ok) return '';
      const refused = await response.json().catch(() => null);
      return refused?.error?.message ?? `The relay has answered ${response.status}.`;
    } catch {
      return 'The relay cannot be reached.';
    } finally {
      clearTimeout(timer);
    }
  }

  /** @param {string} behavior @param {any} notification */
  async function answer(behavior, notification) {
    const { data, title, body, tag } = notification;
    const { session, seq, requestId } = data;
    const denied = behavior === 'deny' ? { message: 'the person said no' } : {};
    const why = await post(`v1/sessions/${encodeURIComponent(session)}/permission`, { request_id: requestId, seq, behavior, ...denied });
    if (!why) return;
    await worker.registration.showNotification(`Not answered: ${title}`, { body: `${why}\n${body}`, tag, data: { session, seq, requestId: null }, icon: urlOf('icon-192.png').href });
  }

  /** @param {any} data what is to be shown */
  async function open({ session, seq }) {
    const place = session ? `#/session/${encodeURIComponent(session)}${seq ? `/${seq}` : ''}` : '#/';
    const [client] = await windows();
    if (!client) return worker.clients.openWindow(new URL(place, base).href);
    client.postMessage({ kind: 'open', place });
    return client.focus();
  }

  /** The browser has replaced its subscription. @param {any} event */
  async function onReplaced(event) {
    const known = await kept();
    const options = event.oldSubscription?.options;
    if (!known || !options) return;
    const fresh = event.newSubscription ?? await worker.registration.pushManager.subscribe(options);
    const { endpoint, keys } = fresh.toJSON();
    await post('v1/push/subscriptions', { endpoint, keys, name: known.name, preferences: known.preferences });
  }

  worker.addEventListener('push', (/** @type {any} */ event) => event.waitUntil(onPush(event.data)));
  worker.addEventListener('pushsubscriptionchange', (/** @type {any} */ event) => event.waitUntil(onReplaced(event)));
  worker.addEventListener('notificationclick', (/** @type {any} */ event) => {
    const { action, notification } = event;
    notification.close();
    const isAnswer = (action === 'allow' || action === 'deny') && notification.data?.requestId;
    event.waitUntil(isAnswer ? answer(action, notification) : open(notification.data ?? {}));
  });
})();
