import assert from 'node:assert/strict';
import test from 'node:test';
import { find, pagesOf } from '../../web/search-all.js';

const said = (seq, text) => ({ seq, from: 'agent', message: { type: 'assistant', message: { content: [{ type: 'text', text }] } } });

/** A relay with these logs. */
function relay(logs) {
  const asked = [];
  const sessions = Object.entries(logs).map(([id, { title = '', updated = '', events, first = 1 }]) => (
    { id, title, updated_at: updated, first_seq: first, last_seq: first + events.length - 1 }));
  const load = async (id, after, limit) => {
    asked.push([id, after, limit]);
    return { events: logs[id].events.filter(({ seq }) => seq > after && seq <= after + limit) };
  };
  return { sessions, load, asked };
}

const hitsOf = async (source, wanted) => {
  const all = [];
  for await (const one of find(source, wanted)) if (typeof one !== 'number') all.push([one.session.id, one.seq]);
  return all;
};

test('a log is read from its end on, all of it, once', () => {
  const pages = [...pagesOf({ first_seq: 501, last_seq: 2600 })];
  assert.deepEqual(pages, [{ after: 1600, limit: 1000 }, { after: 600, limit: 1000 }, { after: 500, limit: 100 }]);
  assert.deepEqual([...pagesOf({ first_seq: 1, last_seq: 0 })], []);
});

test('titles come first, then words, the newest session and event before the others', async () => {
  const source = relay({
    old: { title: 'Bridge', updated: '2026-01-01', events: [said(1, 'nothing')] },
    new: { title: 'Other', updated: '2026-01-02', events: [said(1, 'a bridge'), said(2, 'no'), said(3, 'the Bridge')] },
  });
  assert.deepEqual(await hitsOf(source, 'bridge'), [['old', null], ['new', 3], ['new', 1]]);
});

test('a session with many places gives a few, and is read no further', async () => {
  const events = Array.from({ length: 3000 }, (_, at) => said(at + 1, 'word'));
  const source = relay({ one: { events } });
  assert.equal((await hitsOf(source, 'word')).length, 5);
  assert.equal(source.asked.length, 1);
});

test('a session that is gone meanwhile is passed over, and a relay that is away is not', async () => {
  const source = relay({ gone: { updated: '2', events: [said(1, 'word')] }, there: { updated: '1', events: [said(1, 'word')] } });
  const { load } = source;
  const failing = (status) => ({ ...source, load: (id, ...rest) => (id === 'gone' ? Promise.reject({ status }) : load(id, ...rest)) });
  assert.deepEqual(await hitsOf(failing(404), 'word'), [['there', 1]]);
  await assert.rejects(hitsOf(failing(0), 'word'));
});
