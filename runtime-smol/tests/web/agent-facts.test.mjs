import assert from 'node:assert/strict';
import test from 'node:test';
import { AgentFacts, fitting, startedAt } from '../../web/agent-facts.js';

const agent = (message) => ({ from: 'agent', message });
const asked = (id, request) => ({ from: 'viewer', message: { type: 'control_request', request_id: id, request } });
const answered = (id, response = {}, subtype = 'success') => agent({ type: 'control_response', response: { subtype, request_id: id, response } });

test('mode and model are what the agent says, and what it has agreed to', () => {
  const facts = new AgentFacts();
  assert.ok(facts.take(agent({ type: 'system', subtype: 'init', model: 'm', permissionMode: 'default', cwd: '/w', slash_commands: ['review', 'exit', 'a b', 7] })));
  assert.deepEqual([facts.mode, facts.model, facts.commands.map(({ name }) => name)], ['default', 'm', ['review']]);
  facts.take(asked('1', { subtype: 'set_permission_mode', mode: 'plan' }));
  assert.equal(facts.mode, 'default', 'it has not agreed yet');
  assert.ok(facts.take(answered('1')));
  assert.equal(facts.mode, 'plan');
  facts.take(asked('2', { subtype: 'set_model', model: 'other' }));
  facts.take(answered('2', {}, 'error'));
  assert.equal(facts.model, 'm');
  facts.take(agent({ type: 'system', subtype: 'status', permissionMode: 'acceptEdits' }));
  assert.equal(facts.mode, 'acceptEdits');
});

test('an introduction names commands and models', () => {
  const facts = new AgentFacts();
  facts.take(asked('1', { subtype: 'initialize' }));
  facts.take(answered('1', { commands: [{ name: 'compact', description: 'Shorten' }], models: [{ value: 'fast', displayName: 'Fast' }, {}] }));
  assert.deepEqual(facts.commands, [{ name: 'compact', about: 'Shorten' }]);
  assert.deepEqual(facts.models, [{ id: 'fast', name: 'Fast' }]);
  facts.take(agent({ type: 'system', subtype: 'init', slash_commands: ['compact', 'review'] }));
  assert.deepEqual(facts.commands.map(({ about }) => about), ['Shorten', '']);
});

test('paths are those that the agent has touched, from its directory', () => {
  const facts = new AgentFacts();
  facts.take(agent({ type: 'system', subtype: 'init', cwd: '/w' }));
  const use = (path) => agent({ type: 'assistant', message: { content: [{ type: 'tool_use', name: 'Read', input: { file_path: path } }] } });
  for (const path of ['/w/a.js', '/w/b.js', '/x/c', '/w/a.js', 'line\nbreak', { odd: 1 }]) facts.take(use(path));
  assert.deepEqual(facts.paths, ['a.js', '/x/c', 'b.js']);
});

test('a completion starts with a slash at the beginning, or an at sign at a word', () => {
  assert.deepEqual(startedAt('/com', 4), { from: 0, to: 4, kind: '/', typed: 'com' });
  assert.deepEqual(startedAt('see @src/m', 10), { from: 4, to: 10, kind: '@', typed: 'src/m' });
  for (const [text, at] of [['a /com', 6], ['me@x.org', 8], ['/com x', 6], ['', 0]]) assert.equal(startedAt(text, at), null, text);
  assert.deepEqual(fitting(['review', 'pr-review', 'other'], (one) => one, 're', 5), ['review', 'pr-review']);
});

test('whatever an agent prints, it is taken without a fault', () => {
  const facts = new AgentFacts();
  for (const odd of [null, 7, 'x', [], {}, { type: 'system', subtype: 'init', slash_commands: {}, model: {}, cwd: [] }, { type: 'assistant', message: null }, { type: 'control_response', response: null }]) facts.take(agent(odd));
  assert.deepEqual([facts.mode, facts.commands], ['', []]);
});
