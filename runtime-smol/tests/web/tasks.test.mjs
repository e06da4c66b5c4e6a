import assert from 'node:assert/strict';
import test from 'node:test';
import { Tasks } from '../../web/tasks.js';

const call = (name, input, id = 't') => ({ from: 'agent', message: { type: 'assistant', message: { content: [{ type: 'tool_use', id, name, input }] } } });
const result = (id, content, more = {}) => ({ from: 'agent', message: { type: 'user', message: { content: [{ type: 'tool_result', tool_use_id: id, content }] }, ...more } });

/** A call that has been done. */
const does = (tasks, name, input) => [call(name, input, 'u'), result('u', 'done')].map((event) => tasks.take(event)).includes(true);

test('tasks are added, done and deleted one after another', () => {
  const tasks = new Tasks();
  assert.ok(!tasks.take(call('TaskCreate', { subject: 'Read', activeForm: 'Reading' }, 'a')), 'it has no number yet');
  assert.ok(tasks.take(result('a', 'Task #1 created successfully: Read')));
  tasks.take(call('TaskCreate', { subject: 'Write' }, 'b'));
  tasks.take(result('b', [{ type: 'text', text: 'done' }], { tool_use_result: { task: { id: '2', subject: 'Write' } } }));
  assert.equal(tasks.current?.subject, 'Read');
  does(tasks, 'TaskUpdate', { taskId: '1', status: 'completed' });
  does(tasks, 'TaskUpdate', { taskId: 2, status: 'in_progress' });
  assert.equal(tasks.done, 1);
  assert.deepEqual(tasks.current, { id: '2', subject: 'Write', doing: '', status: 'in_progress' });
  tasks.take(call('TaskUpdate', { taskId: '2', status: 'completed' }, 'x'));
  assert.ok(!tasks.take({ from: 'agent', message: { type: 'user', message: { content: [{ type: 'tool_result', tool_use_id: 'x', is_error: true, content: 'no such tool' }] } } }));
  assert.equal(tasks.current?.subject, 'Write', 'what failed counts');
  does(tasks, 'TaskUpdate', { taskId: '1', status: 'deleted' });
  assert.equal(tasks.all.length, 1);
});

test('a list replaces the one before', () => {
  const tasks = new Tasks();
  const todo = (content, status) => ({ content, status, activeForm: `${content}ing` });
  tasks.take(call('TodoWrite', { todos: [todo('Read', 'completed'), todo('Test', 'in_progress')] }));
  assert.deepEqual(tasks.all.map(({ subject, doing, status }) => [subject, doing, status]), [['Read', 'Reading', 'completed'], ['Test', 'Testing', 'in_progress']]);
  tasks.take(call('TodoWrite', { todos: [] }));
  assert.equal(tasks.all.length, 0);
});

test('a task that is not known yet has its number for a name', () => {
  const tasks = new Tasks();
  does(tasks, 'TaskUpdate', { taskId: '7', status: 'in_progress' });
  assert.equal(tasks.current?.subject, 'Task 7');
});

test('lists of other agents, and what nobody can read, change nothing', () => {
  const tasks = new Tasks();
  const other = call('TodoWrite', { todos: [{ content: 'x', status: 'pending' }] });
  other.message.parent_tool_use_id = 'toolu_1';
  const odd = [other, { from: 'viewer', message: call('TodoWrite', { todos: [{}] }).message }, call('TaskUpdate', null), call('TaskUpdate', { taskId: {} }),
    { from: 'agent', message: null }, { from: 'agent', message: { type: 'assistant', message: { content: 'x' } } }, result('nobody', 'Task #1')];
  for (const event of odd) assert.equal(tasks.take(event), false, JSON.stringify(event));
  assert.equal(tasks.all.length, 0);
  for (let at = 0; at < 5000; at += 1) does(tasks, 'TaskUpdate', { taskId: `${at}` });
  assert.ok(tasks.all.length <= 200);
});
