import assert from 'node:assert/strict';
import test from 'node:test';
import { ApiError } from '../../web/api.js';
import { Outbox, forgetAll } from '../../web/outbox.js';
import { fitted } from '../../web/pictures.js';

class Memory {
  getItem(key) { return this[key] ?? null; }
  setItem(key, value) { this[key] = value; }
  removeItem(key) { delete this[key]; }
}
const settled = () => new Promise((wake) => setTimeout(wake, 5));
const away = () => Promise.reject(new ApiError(0, 'unreachable', 'away'));
const box = (send, storage, now) => new Outbox({ sessionId: 's', send, onChange: () => {}, storage: () => storage, now });

test('what is written without a connection is queued, and sent once and in order when there is one', async () => {
  const storage = new Memory();
  const sent = [];
  let isAway = true;
  const outbox = box((message) => (isAway ? away() : (sent.push(message), Promise.resolve({ accepted: [{ seq: sent.length }] }))), storage);
  outbox.add('one', []);
  outbox.add('two', []);
  await settled();
  assert.deepEqual(outbox.items.map(({ state }) => state), ['queued', 'queued']);
  isAway = false;
  // Over a reload, too.
  const later = box(outbox.options.send, storage);
  later.connected();
  later.connected();
  await settled();
  assert.deepEqual(sent.map(({ message }) => message.content), ['one', 'two']);
  assert.equal(new Set(sent.map(({ uuid }) => uuid)).size, 2);
  later.saw({ seq: 2, message: { type: 'user', uuid: sent[0].uuid } });
  later.saw({ seq: 3, message: { type: 'user', uuid: sent[1].uuid } });
  assert.equal(later.items.length, 0);
  assert.equal(storage.getItem('footbridge.unsent.s'), null);
});

test('what is refused waits for a person, and holds back what comes after it', async () => {
  const outbox = box(() => Promise.reject(new ApiError(410, 'session_ended', 'It has ended.')), new Memory());
  outbox.add('one', []);
  outbox.add('two', []);
  await settled();
  assert.deepEqual(outbox.items.map(({ state, error }) => [state, error]), [['unsent', 'It has ended.'], ['unsent', 'It is waiting for the message before it.']]);
  outbox.connected();
  assert.ok(outbox.items.every(({ state }) => state === 'unsent'));
});

test('what is old does not leave by itself', () => {
  const storage = new Memory();
  let now = 1e12;
  box(away, storage, () => now).add('old', []);
  now += 24 * 60 * 60 * 1000;
  assert.equal(box(away, storage, () => now).items[0].state, 'unsent');
  storage.setItem('footbridge.unsent.s', '{"odd":[');
  assert.deepEqual(box(away, storage, () => now).items, []);
  forgetAll(storage);
  assert.deepEqual(Object.keys(storage), []);
});

test('pictures go before the words, and are scaled down in their shape', async () => {
  const sent = [];
  const outbox = box((message) => (sent.push(message), Promise.resolve({})), new Memory());
  outbox.add('look', [{ type: 'image/png', data: 'AAAA' }]);
  await settled();
  assert.deepEqual(sent[0].message.content, [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } }, { type: 'text', text: 'look' }]);
  assert.deepEqual(fitted(4000, 3000), [1568, 1176]);
  assert.deepEqual(fitted(100, 50), [100, 50]);
  assert.deepEqual(fitted(1, 100_000), [1, 1568]);
});
