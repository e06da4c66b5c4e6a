// Answers that wait for a connection are there after a reload, and are forgotten once they are given.
import assert from 'node:assert/strict';
import test from 'node:test';
import { KeptAnswers } from '../../web/kept-answers.js';
import { forgetAll } from '../../web/outbox.js';

const storageOf = () => {
  const kept = {};
  Object.defineProperties(kept, {
    getItem: { value: (key) => kept[key] ?? null },
    setItem: { value: (key, value) => { kept[key] = value; } },
    removeItem: { value: (key) => { delete kept[key]; } },
  });
  return kept;
};
const allow = { request_id: 'P', seq: 7, behavior: 'allow' };

test('an answer is there after a reload, for its own question and session', () => {
  const storage = storageOf();
  new KeptAnswers({ sessionId: 's', storage: () => storage }).keep(7, allow);
  const again = new KeptAnswers({ sessionId: 's', storage: () => storage });
  assert.deepEqual(again.of(7), { answer: allow, isOld: false });
  assert.equal(again.of(8), null);
  assert.equal(new KeptAnswers({ sessionId: 't', storage: () => storage }).of(7), null);
  again.forget(7);
  assert.equal(again.of(7), null);
  assert.deepEqual(Object.keys(storage), []);
});

test('one of long ago is known to be old', () => {
  const storage = storageOf();
  let now = 1;
  const answers = new KeptAnswers({ sessionId: 's', storage: () => storage, now: () => now });
  answers.keep(7, allow);
  now += 13 * 60 * 60 * 1000;
  assert.equal(answers.of(7)?.isOld, true);
});

test('signing out forgets it, and what is no answer counts for nothing', () => {
  const storage = storageOf();
  const answers = new KeptAnswers({ sessionId: 's', storage: () => storage });
  answers.keep(7, allow);
  forgetAll(storage);
  assert.equal(answers.of(7), null);
  for (const bad of ['', '[', '7', 'null', '{"7":1}', '{"7":{"answer":{"behavior":1}}}']) {
    storage.setItem('footbridge.unsent.answers.s', bad);
    assert.equal(answers.of(7), null, bad);
  }
});

test('without a storage nothing fails', () => {
  const answers = new KeptAnswers({ sessionId: 's', storage: () => { throw new Error('none'); } });
  answers.keep(7, allow);
  assert.equal(answers.of(7), null);
  answers.forget(7);
});
