// Shows the page's transcript one message after another with something wrong in it: each
// value of each kind of message replaced by each of many others, and some by two at once.
// After every few, a question has to show. Evaluates to what went wrong, and some counts.
(async (seed, pairs) => {
  const names = ['transcript', 'permission', 'receipts', 'composer'];
  const [{ Transcript }, { Permissions }, { Receipts }, { Composer }] = await Promise.all(names.map((name) => import(`/${name}.js`)));
  const ask = { type: 'control_request', request_id: 'P', request: { subtype: 'can_use_tool', tool_name: 'Bash', input: { command: 'ls', description: 'd' }, tool_use_id: 't', permission_suggestions: [], blocked_path: '/w/f', display_name: 'Bash', description: 'list', agent_id: 'a' } };
  const asked = (tool_name, input) => ['agent', { ...ask, request: { ...ask.request, tool_name, input } }];
  const answer = { type: 'control_response', response: { subtype: 'success', request_id: 'P', response: { behavior: 'allow', updatedInput: { command: 'ls -l' }, message: 'm' } } };
  const delta = { type: 'stream_event', event: { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'h' } }, parent_tool_use_id: null };
  const report = (subtype, more) => ['worker', { type: 'footbridge', subtype, ...more }];
  const said = (...content) => ['agent', { type: 'assistant', message: { role: 'assistant', model: 'm', content }, parent_tool_use_id: 'toolu_1' }];
  // Each with the one field of it in which something is replaced, if it is only that.
  const SEEDS = [
    said({ type: 'text', text: 'hi **there** `x`\n\n```\ncode\n```' }),
    said({ type: 'thinking', thinking: 'hm' }, { type: 'tool_use', id: 't', name: 'Bash', input: { command: 'ls', description: 'd' } }),
    said({ type: 'image', source: { media_type: 'image/png', data: 'AAAA' } }),
    ['agent', { type: 'user', message: { content: [{ type: 'tool_result', tool_use_id: 't', is_error: false, content: [{ type: 'text', text: 'out' }] }] } }],
    ['agent', { type: 'user', message: { content: 'hello' }, uuid: 'u', isReplay: true }],
    ['viewer', { type: 'user', message: { content: 'hello' }, uuid: 'u' }],
    ['agent', { type: 'result', subtype: 'success', is_error: false, duration_ms: 1, num_turns: 2, result: 'r', total_cost_usd: 0.5 }],
    ['agent', { type: 'result', subtype: 'error_during_execution', is_error: true, errors: ['text'], result: 'r' }],
    ['agent', { type: 'system', subtype: 'init', model: 'm', permissionMode: 'default' }],
    ['agent', { type: 'system', subtype: 'permission_denied', tool_name: 'Bash', message: 'text' }],
    ['agent', { type: 'system', subtype: 'api_retry', attempt: 1, max_retries: 10, error_status: 429, error: 'rate_limit' }],
    ['agent', { type: 'system', subtype: 'status', status: null }],
    ['agent', ask],
    ...[
      ['AskUserQuestion', { questions: [{ question: 'q', header: 'h', options: [{ label: 'a', description: 'd', preview: 'p' }], multiSelect: true }] }],
      ['Edit', { file_path: 'f', old_string: 'a\nb', new_string: 'a\nc', replace_all: true }],
      ['MultiEdit', { file_path: 'f', edits: [{ old_string: 'a', new_string: 'b' }] }],
      ['Write', { file_path: 'f', content: 'x\ny' }],
      ['NotebookEdit', { notebook_path: 'f', new_source: 's', cell_id: 'c', edit_mode: 'insert' }],
      ['TodoWrite', { todos: [{ content: 'c', status: 'pending', activeForm: 'a' }] }],
      ['ExitPlanMode', { plan: '# p', planFilePath: 'f' }],
      ['Read', { file_path: 'f', offset: 1 }],
      ['mcp__a__b', { a: { b: ['c'] } }],
    ].flatMap(([name, input]) => [[...asked(name, input), 'input'], [...said({ type: 'tool_use', id: 't', name, input }), 'input']]),
    ['agent', { ...ask, request: { ...ask.request, permission_suggestions: [
      { type: 'addRules', behavior: 'allow', destination: 'session', rules: [{ toolName: 'Bash', ruleContent: 'ls' }] },
      { type: 'addDirectories', directories: ['d'], destination: 'session' }, { type: 'setMode', mode: 'acceptEdits', destination: 'session' }] } }, 'permission_suggestions'],
    ['agent', { type: 'control_cancel_request', request_id: 'P' }],
    ['agent', { type: 'control_request', request_id: 'H', request: { subtype: 'hook_callback', callback_id: 'h' } }],
    ['agent', { type: 'control_response', response: { subtype: 'error', request_id: 'r', error: 'text' } }],
    ['viewer', answer],
    ['viewer', { type: 'control_request', request_id: 'r', request: { subtype: 'interrupt' } }],
    ['agent', delta],
    ['agent', { type: 'stream_event', event: { type: 'message_start' }, parent_tool_use_id: null }],
    report('session_state', { state: 'ended', result: { status: 'failed', exit_code: 1, signal: 9 } }),
    report('agent_started', { pid: 1 }), report('agent_exited', { exit_code: 1, signal: null }),
    report('agent_stderr', { text: 'e', dropped: 2 }), report('agent_output_error', { message: 'm', line: 'l' }),
    report('lines_lost', { after: 1, resumes_after: 3 }), report('messages_lost', { message: 'm' }),
    report('messages_indeterminate', { uuids: ['u'], request_ids: ['r'], answers: ['P'], seqs: [1], reason: 'r' }),
    report('requests_unanswered', { request_ids: ['r'], reason: 'r' }), report('permission_withdrawn', { request_id: 'P', reason: 'r' }),
  ];
  const nested = (open) => {
    let value = open(0);
    for (let level = 0; level < 20_000; level += 1) value = open(value);
    return value;
  };
  const VALUES = [
    undefined, null, true, 0, -1, 1.5e308, Infinity, '', 'x', '\u0000\ud800\u202e', '__proto__', 'constructor', 'x'.repeat(300_000), '\n\n'.repeat(20_000),
    [], [null], [[[]]], {}, { toString: null }, { valueOf: null, toString: null }, { length: -1 }, { type: { toString: null } }, { then: null },
    JSON.parse('{"__proto__":{"toString":null}}'), nested((value) => [value]), nested((value) => ({ a: value })),
    Array.from({ length: 3000 }, () => ({ type: 'text', text: {} })), Array.from({ length: 150_000 }, () => 0),
  ];
  const pathsOf = (value, path = []) => (typeof value === 'object' && value
    ? Object.keys(value).flatMap((key) => [[...path, key], ...pathsOf(value[key], [...path, key])]) : []);
  const replace = (value, [key, ...rest], by) => {
    if (typeof value !== 'object' || !value) return value;
    const copy = Array.isArray(value) ? [...value] : { ...value };
    copy[key] = rest.length ? replace(copy[key], rest, by) : by;
    return copy;
  };
  let state = seed;
  const draw = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const events = SEEDS.flatMap(([from, message, only]) => pathsOf(message).filter((path) => !only || path.includes(only)).flatMap((path) => VALUES.map((value) => [from, replace(message, path, value)])));
  events.push(...VALUES.map((value) => ['agent', value]));
  for (let count = 0; count < pairs; count += 1) {
    let [from, message] = SEEDS[draw(SEEDS.length)];
    for (let times = 0; times < 2; times += 1) {
      const paths = pathsOf(SEEDS[draw(SEEDS.length)][1]);
      message = replace(message, paths[draw(paths.length)], VALUES[draw(VALUES.length - 2)]);
    }
    events.push([['agent', 'viewer', 'worker', 'relay'][draw(4)], message]);
  }

  const wrong = [];
  addEventListener('error', ({ message }) => wrong.push(`error: ${message}`));
  addEventListener('unhandledrejection', ({ reason }) => wrong.push(`rejection: ${reason}`));
  const permissions = new Permissions(() => Promise.resolve({}), () => {});
  const receipts = new Receipts(() => {});
  const composer = new Composer({ sessionId: 'x', send: () => Promise.resolve({}), extra: document.createElement('p') });
  const transcript = new Transcript({
    permissions, receipts, loadEarlier: () => Promise.reject(), onCaughtUp: () => {}, tail: document.createElement('div'),
  });
  document.querySelector('main').replaceChildren(transcript.element);
  transcript.setLive();

  let seq = 0;
  let raw = 0;
  const push = (from, message) => {
    seq += 1;
    const event = { type: 'event', seq, at: '2026-01-01T00:00:00Z', from, message };
    transcript.push(event);
    composer.sawEvent(event);
  };
  const shows = async (id) => {
    for (let tries = 0; tries < 400; tries += 1) {
      if (transcript.log.querySelector(`[data-testid="permission-card"][data-request-id="${id}"] [data-testid="allow"]`)) return true;
      await new Promise((wake) => setTimeout(wake, 25));
    }
    return false;
  };
  const sentry = transcript.log;
  for (let at = 0; at < events.length; at += 100) {
    const batch = events.slice(at, at + 100);
    for (const [from, message] of batch) push(from, message);
    const id = `after-${at}`;
    push('agent', replace(ask, ['request_id'], id));
    if (!await shows(id)) return { wrong: [...wrong, `no question shows after messages ${at} to ${at + 99}`], at };
    raw += [...sentry.querySelectorAll('summary')].filter((one) => one.textContent.startsWith('Cannot be shown')).length;
    for (const details of sentry.querySelectorAll('details')) details.open = true;
    await new Promise((wake) => setTimeout(wake, 0));
    for (const card of permissions.pending) push('viewer', replace(answer, ['response', 'request_id'], card.id));
    // So that what is opened does not add up.
    if (at % 1000 === 0) transcript.clear();
  }
  // Even if a part of the page has a fault of its own.
  receipts.take = ({ message }) => { if (message?.type === 'assistant') throw new Error('a fault of the page'); };
  push(...SEEDS[0]);
  push('agent', replace(ask, ['request_id'], 'last'));
  if (!await shows('last')) wrong.push('a fault of the page stops it');
  const net = [...sentry.querySelectorAll('summary')].filter((one) => one.textContent.startsWith('Cannot be shown'));
  if (net.length !== 1 || !net[0].textContent.includes('assistant')) wrong.push('what failed is not shown raw');
  return { wrong, events: events.length, raw };
})
