// Scenarios of the Agent SDK: node scenarios.mjs CLI NAME. Prints what the SDK's program sees, a line for each
// message, so that a run against the agent itself and one through `footbridge attach` compare.
import { execFileSync } from 'node:child_process';
import { deflateSync, crc32 } from 'node:zlib';
import { createSdkMcpServer, query, tool } from '@anthropic-ai/claude-agent-sdk';
import { z } from 'zod';

const [, , named, name] = process.argv;
const cli = named.includes('/') ? named : execFileSync('which', [named]).toString().trim();
const short = (text) => String(text).slice(0, 60).replaceAll('\n', ' ');
const text = (content) => Array.isArray(content)
  ? content.map((part) => part.text ?? part.type).join(' ') : content;

function seen(message) {
  const blocks = (content) => (Array.isArray(content) ? content : [{ type: 'text', text: content }]);
  if (message.type === 'assistant') {
    for (const block of message.message.content) console.log('assistant', block.type, short(block.text ?? block.name ?? ''));
  } else if (message.type === 'user') {
    for (const block of blocks(message.message.content)) console.log('user', block.type, block.is_error, short(text(block.content ?? block.text)));
  } else if (message.type === 'result') {
    console.log('result', message.subtype, message.is_error, short(message.result));
  } else if (message.type === 'system') {
    console.log('system', message.subtype);
    if (message.subtype === 'init' && name === 'model') console.log('model', message.model);
  } else if (message.type === 'stream_event') {
    console.log('stream_event', message.event.type);
  } else {
    console.log(message.type);
  }
}

const user = (content) => ({ type: 'user', message: { role: 'user', content }, parent_tool_use_id: null });
const bash = (command) => `TOOL Bash ${JSON.stringify({ command, description: 'd' })}`;
const env = { ...process.env };
const options = (more = {}) => ({ pathToClaudeCodeExecutable: cli, env, stderr: (line) => console.error('stderr', line), ...more });

// A conversation: what is said next is decided once a turn is over.
async function talk(steps, more = {}, act = async () => {}) {
  let next;
  const turn = () => new Promise((resolve) => { next = resolve; });
  async function* prompts() {
    for (const step of steps) {
      const over = turn();
      yield user(step);
      await over;
    }
  }
  const running = query({ prompt: prompts(), options: options(more) });
  let turns = 0;
  for await (const message of running) {
    seen(message);
    if (message.type === 'result') {
      turns += 1;
      await act(running, turns);
      next();
    }
  }
}

function png() {
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const head = Buffer.from([0, 0, 0, 8, 0, 0, 0, 8, 8, 2, 0, 0, 0]);
  const row = Buffer.concat([Buffer.from([0]), ...Array(8).fill(Buffer.from([255, 0, 0]))]);
  const data = deflateSync(Buffer.concat(Array(8).fill(row)));
  const magic = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([magic, chunk('IHDR', head), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

const scenarios = {
  async turns() {
    await talk(['one', 'two', 'three'], {}, async (running, turns) => {
      if (turns === 2) {
        await running.setPermissionMode('acceptEdits');
        await running.setModel('some-model');
      }
    });
  },
  async permission() {
    let asked = 0;
    const canUseTool = async (tool, input, { suggestions }) => {
      asked += 1;
      console.log('asked', tool, suggestions?.length ?? 0);
      const command = input.command ?? '';
      if (command.includes('denied')) return { behavior: 'deny', message: 'not that' };
      if (command.includes('changed')) return { behavior: 'allow', updatedInput: { ...input, command: 'echo it was changed' } };
      if (command.includes('always')) return { behavior: 'allow', updatedInput: input, updatedPermissions: suggestions };
      return { behavior: 'allow', updatedInput: input };
    };
    const commands = ['touch allowed', 'touch denied', 'touch changed', 'touch always', 'touch always'];
    await talk(commands.map(bash), { canUseTool });
    console.log('times asked', asked);
  },
  async interrupt() {
    let release;
    const over = new Promise((resolve) => { release = resolve; });
    async function* prompts() {
      yield user('SLOW');
      await over;
      yield user('after that');
    }
    const running = query({ prompt: prompts(), options: options() });
    let turns = 0;
    setTimeout(() => running.interrupt(), 3000);
    for await (const message of running) {
      seen(message);
      if (message.type === 'result' && (turns += 1) === 1) release();
    }
  },
  async partial() {
    await talk(['in parts'], { includePartialMessages: true });
  },
  async one_shot() {
    for await (const message of query({ prompt: 'one shot', options: options() })) seen(message);
  },
  async hook() {
    const guard = async (input) => {
      console.log('hook', input.hook_event_name, input.tool_name);
      return { hookSpecificOutput: { hookEventName: 'PreToolUse', permissionDecision: 'deny', permissionDecisionReason: 'the hook says no' } };
    };
    const canUseTool = async (tool, input) => ({ behavior: 'allow', updatedInput: input });
    await talk([bash('touch hooked')], { canUseTool, hooks: { PreToolUse: [{ matcher: 'Bash', hooks: [guard] }] } });
  },
  async mcp() {
    const add = tool('add', 'adds two numbers', { a: z.number(), b: z.number() }, async ({ a, b }) => {
      console.log('tool add', a + b);
      return { content: [{ type: 'text', text: `the sum is ${a + b}` }] };
    });
    const calc = createSdkMcpServer({ name: 'calc', tools: [add] });
    const canUseTool = async (tool, input) => {
      console.log('asked', tool);
      return { behavior: 'allow', updatedInput: input };
    };
    await talk(['TOOL mcp__calc__add {"a": 2, "b": 3}'], { canUseTool, mcpServers: { calc } });
  },
  async image() {
    const source = { type: 'base64', media_type: 'image/png', data: png().toString('base64') };
    await talk([[{ type: 'text', text: 'an image' }, { type: 'image', source }]]);
  },
  async other() {
    const canUseTool = (tool, input, { signal }) => new Promise((resolve) => {
      console.log('asked', tool);
      signal.addEventListener('abort', () => {
        console.log('withdrawn');
        resolve({ behavior: 'deny', message: 'too late' });
      });
    });
    await talk([bash('touch theirs')], { canUseTool });
  },
  async slow() {
    await talk(['before', 'SLOW', 'after'], {}, async (running, turns) => {
      if (turns === 1) console.log('working');
    });
  },
  async model() {
    await talk(['which model'], { model: 'some-model' });
  },
  async allowed() {
    try {
      await talk(['x'], { allowedTools: ['Read'], stderr: (line) => console.log('stderr', line) });
    } catch (error) {
      console.log('error', error.message);
    }
  },
};

await scenarios[name]();
console.log('done');
