import assert from 'node:assert/strict';
import test from 'node:test';
import { AgentFacts } from '../../web/agent-facts.js';
import { conversationIn, wayOn } from '../../web/continuing.js';

const here = { id: 'env_1', place: 'vm · /w', directory: '/w', isOnline: true };
const facts = { conversation: 'c-1', directory: '/w' };
const session = { id: 'session_1', environment_id: 'env_1', worktree: null };

test('a conversation is continued where it is', () => {
  const way = wayOn(facts, session, [here]);
  assert.equal(way.environmentId, 'env_1');
  assert.match(way.words, /vm · \/w/);
  assert.doesNotMatch(way.words, /worktree/);
  assert.equal(wayOn({ ...facts, conversation: '' }, session, [here]), null);
  assert.match(wayOn(facts, session, [{ ...here, isOnline: false }]).words, /offline/);
});

test('what becomes of a worktree is said', () => {
  const directory = '/s/worktrees/session_1';
  assert.match(wayOn({ ...facts, directory }, session, [here]).words, /Its worktree is gone/);
  assert.match(wayOn({ ...facts, directory }, { ...session, worktree: { path: directory } }, [here]).words, /stays there/);
});

test('a machine that is gone is replaced by one that works in the same directory, or by nothing', () => {
  const other = { ...here, id: 'env_2', place: 'vm2 · /w' };
  const way = wayOn(facts, session, [other]);
  assert.equal(way.environmentId, 'env_2');
  assert.match(way.words, /another machine/);
  for (const places of [[], [{ ...other, directory: '/x' }], [{ ...other, isOnline: false }], [other, { ...other, id: 'env_3' }]]) {
    const none = wayOn(facts, session, places);
    assert.equal(none.environmentId, null);
    assert.match(none.words, /no longer registered/);
  }
});

test('the conversation is the one that the agent names, if that can go onto a command line', () => {
  const init = (id, from = 'agent') => ({ from, message: { type: 'system', subtype: 'init', session_id: id } });
  assert.equal(conversationIn([{}, init('x', 'viewer'), init('--x'), init('a-1'), init('b')]), 'a-1');
  assert.equal(conversationIn([]), '');
  const known = new AgentFacts();
  known.take(init('a-1'));
  known.take({ from: 'agent', message: { type: 'result', session_id: 'b-2' } });
  known.take({ from: 'agent', message: { type: 'result', session_id: '../c' } });
  assert.equal(known.conversation, 'b-2');
  known.take({ from: 'worker', message: { type: 'footbridge', subtype: 'agent_resumed', conversation: 'd-3' } });
  assert.equal(known.conversation, 'd-3');
});
