import assert from 'node:assert/strict';
import test from 'node:test';
import { questionCount, titleWith, waitingIn } from '../../web/attention.js';
import { stateOf } from '../../web/states.js';

const running = { id: 's', state: 'running', connected: true, working: true, pending_permissions: [] };
const question = { request_id: 'q', tool_name: 'Bash', seq: 3 };

test('what a session does is told apart, and comes in the order of need', () => {
  const table = [
    [{ ...running, pending_permissions: [question] }, 'Waits for you', 'waiting'],
    [{ ...running, pending_permissions: [question, question] }, '2 questions wait for you', 'waiting'],
    [running, 'Working', 'working'],
    [{ ...running, connected: false }, 'Its machine cannot be reached', 'disconnected'],
    [{ state: 'starting' }, 'Starting', 'starting'],
    [{ ...running, working: false }, 'Your turn', 'idle'],
    [{ ...running, working: false, pending_permissions: [{ ...question, turn_ended: true }] }, 'Your turn, a question was left open', 'left-open'],
    [{ state: 'ended', result: { status: 'interrupted' } }, 'Stopped by you', 'interrupted'],
    [{ state: 'ended', result: { status: 'failed' } }, 'Failed', 'failed'],
  ];
  let need = 0;
  for (const [session, label, detail] of table) {
    const found = stateOf(session);
    assert.deepEqual([found.label, found.detail], [label, detail]);
    assert.ok(found.need >= need, label);
    need = found.need;
  }
  assert.equal(stateOf({ ...running, working: undefined }).label, 'Running', 'a relay of an earlier version');
  assert.equal(stateOf({ state: 'of tomorrow' }).label, 'of tomorrow');
});

test('what was stopped by a person is no fault', () => {
  assert.equal(stateOf({ state: 'ended', result: { status: 'interrupted' } }).tone, 'quiet');
});

test('a session waits for its machine, and says so', () => {
  assert.equal(stateOf({ state: 'queued' }, true).label, 'Queued');
  assert.equal(stateOf({ state: 'queued', worker_draining: true }).label, 'Queued: its machine takes no more sessions now');
  assert.equal(stateOf({ state: 'queued' }, false).label, 'Queued until its machine is back');
});

test('questions are counted in the title', () => {
  const sessions = [
    { ...running, id: 'a', title: 'A', updated_at: '2', pending_permissions: [question, question] },
    { ...running, id: 'b', title: 'B', updated_at: '1', pending_permissions: [question, { ...question, turn_ended: true }] },
    { ...running, id: 'c', updated_at: '0' },
    { id: 'd', state: 'ended', updated_at: '0', pending_permissions: [question] },
    { id: 'e', state: 'running', pending_permissions: 'odd' },
  ];
  const waiting = waitingIn(sessions);
  assert.deepEqual(waiting.map(({ id, count }) => [id, count]), [['b', 1], ['a', 2]]);
  assert.equal(questionCount(waiting), 3);
  assert.equal(titleWith('A', 3), '(3) A · Footbridge');
  assert.equal(titleWith('', 0), 'Footbridge');
});
