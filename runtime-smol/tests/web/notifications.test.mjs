import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import vm from 'node:vm';
import { minutesOf, timeOf, verdict } from '../../web/notifications.js';
import { browserName, bytesOf, obstacle } from '../../web/push.js';

const scope = { isSecureContext: true, navigator: { userAgent: 'Chrome/1', serviceWorker: {} }, PushManager: {}, Notification: { permission: 'default' } };

test('why a browser cannot be told is said in words that say what to do', () => {
  assert.equal(obstacle(scope), '');
  assert.match(obstacle({ ...scope, isSecureContext: false }), /https/);
  assert.match(obstacle({ ...scope, navigator: { ...scope.navigator, userAgent: 'iPhone Safari/1' } }), /home screen/);
  assert.equal(obstacle({ ...scope, navigator: { ...scope.navigator, userAgent: 'iPhone Safari/1', standalone: true } }), '');
  assert.match(obstacle({ ...scope, PushManager: undefined }), /no notifications/);
  assert.match(obstacle({ ...scope, Notification: { permission: 'denied' } }), /settings of the site/);
});

test('a browser has a name that its person knows it by', () => {
  assert.equal(browserName({ userAgent: 'Mozilla/5.0 (Linux; Android 14) Chrome/120 Mobile Safari/537' }), 'Chrome on Android');
  assert.equal(browserName({ userAgent: 'Mozilla/5.0 (Windows NT 10.0) Chrome/120 Safari/537 Edg/120' }), 'Edge on Windows');
  assert.equal(browserName({}), 'A browser');
});

test('times of day and keys are read as they are written', () => {
  for (const time of ['00:00', '07:05', '22:00', '23:59']) assert.equal(timeOf(minutesOf(time)), time);
  assert.equal(minutesOf(''), 0);
  assert.deepEqual([...bytesOf('AP-_')], [0, 255, 191]);
});

test('a test says whether it arrived, and what to try', () => {
  assert.match(verdict({ accepted: true, arrived: true, detail: '' }), /^It has arrived/);
  assert.match(verdict({ accepted: true, arrived: false, detail: '' }), /not arrived/);
  assert.match(verdict({ accepted: false, arrived: false, detail: 'HTTP 403' }), /HTTP 403/);
});

/** The service worker's part, with what it is given and what it has done. */
function worker({ clients = [], kept = null } = {}) {
  const shown = [];
  const listeners = {};
  const said = [];
  const registration = {
    showNotification: async (title, options) => {
      const old = shown.findIndex((one) => one.tag === options.tag);
      if (old !== -1) shown.splice(old, 1);
      const one = { title, ...options, close: () => shown.splice(shown.indexOf(one), 1) };
      shown.push(one);
    },
    getNotifications: async ({ tag }) => shown.filter((one) => one.tag === tag),
  };
  const self = {
    location: { href: 'https://relay.example/sw.js' },
    navigator: { setAppBadge: async (count) => said.push(`badge ${count}`), clearAppBadge: async () => said.push('badge 0') },
    registration,
    clients: { matchAll: async () => clients, openWindow: async (url) => said.push(`open ${url}`) },
    addEventListener: (name, listener) => { listeners[name] = listener; },
  };
  const caches = { open: async () => ({ match: async () => (kept ? { json: async () => kept } : undefined) }) };
  vm.runInNewContext(readFileSync(new URL('../../web/sw-push.js', import.meta.url), 'utf8'), { self, caches, URL, Error });
  const send = async (name, event) => {
    let until = Promise.resolve();
    listeners[name]({ waitUntil: (promise) => { until = promise; }, ...event });
    await until;
  };
  return { shown, said, push: (message) => send('push', { data: { json: () => message } }), click: (action, notification) => send('notificationclick', { action, notification }) };
}

const question = {
  kind: 'waits', what: 'question', tag: 's:12', session: 's', title: 'Fix it', machine: 'laptop', seq: 12,
  request_id: 'q', tool: 'Bash', detail: 'cargo test', whole: true, waiting: 2,
};
const signedIn = { token: 't', name: 'n', preferences: {} };

test('a question is shown with its command, and can be answered there only if all of it is shown', async () => {
  const whole = worker({ kept: signedIn });
  await whole.push(question);
  assert.equal(whole.shown[0].title, 'Fix it waits for you');
  assert.equal(whole.shown[0].body, 'Bash: cargo test · laptop');
  assert.equal(whole.shown[0].actions.map(({ action }) => action).join(), 'allow,deny');
  assert.deepEqual(whole.said, ['badge 2']);
  for (const [message, kept] of [[{ ...question, whole: false }, signedIn], [question, null], [{ ...question, what: 'turn' }, signedIn], [{ ...question, request_id: undefined }, signedIn]]) {
    const other = worker({ kept });
    await other.push(message);
    assert.equal(other.shown[0].actions.length, 0);
  }
});

test('one for each question: shown once, and taken back by its tag', async () => {
  const { shown, said, push } = worker();
  await push(question);
  await push(question);
  await push({ ...question, tag: 's:13', seq: 13 });
  assert.equal(shown.length, 2);
  await push({ kind: 'over', tag: 's:12', waiting: 0 });
  assert.deepEqual(shown.map(({ tag }) => tag), ['s:13']);
  assert.equal(said.at(-1), 'badge 0');
});

test('what is on the screen already is not shown again', async () => {
  const { shown, push } = worker({ clients: [{ visibilityState: 'visible', url: 'https://relay.example/#/session/s' }] });
  await push(question);
  assert.equal(shown.length, 0);
});

test('a tap opens the question, in a window that is there or in a new one', async () => {
  const alone = worker();
  await alone.push(question);
  await alone.click('', alone.shown[0]);
  assert.deepEqual(alone.said.at(-1), 'open https://relay.example/#/session/s/12');
  assert.equal(alone.shown.length, 0);
  const told = [];
  const client = { visibilityState: 'hidden', url: 'https://relay.example/', postMessage: (message) => told.push(message), focus: async () => told.push('focus') };
  const there = worker({ clients: [client] });
  await there.push(question);
  await there.click('', there.shown[0]);
  assert.equal(JSON.stringify(told), '[{"kind":"open","place":"#/session/s/12"},"focus"]');
});

test('a message that cannot be read shows something all the same', async () => {
  const { shown, push } = worker();
  await push({ kind: 'later' });
  assert.equal(shown.length, 1);
});

test('what waited while it was quiet is one notification, which opens its session or the list', async () => {
  const of = async (counts) => {
    const it = worker();
    await it.push({ kind: 'waited', tag: 'quiet', questions: 0, turns: 0, failed: 0, waiting: counts.questions ?? 0, ...counts });
    return it;
  };
  const one = await of({ questions: 1, session: 's' });
  assert.deepEqual([one.shown[0].title, one.shown[0].body], ['While it was quiet', 'A question waits for you']);
  await one.click('', one.shown[0]);
  assert.deepEqual(one.said, ['badge 1', 'open https://relay.example/#/session/s']);
  const many = await of({ questions: 2, turns: 1, failed: 3 });
  assert.equal(many.shown[0].body, '2 questions wait for you, a session has done what you asked, 3 sessions have failed');
  await many.click('', many.shown[0]);
  assert.equal(many.said.at(-1), 'open https://relay.example/#/');
  const over = await of({ turns: 2 });
  await over.push({ kind: 'over', tag: 'quiet', waiting: 0 });
  assert.deepEqual(over.shown, []);
});
