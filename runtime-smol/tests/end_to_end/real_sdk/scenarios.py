"""Scenarios of the Agent SDK: python3 scenarios.py CLI NAME [OUT]. Prints what the SDK program sees, a line
for each message, so that a run against the agent itself and one through `footbridge attach` compare."""
import asyncio, base64, json, os, struct, sys, zlib
from claude_agent_sdk import (
    AssistantMessage, ClaudeAgentOptions, ClaudeSDKClient, HookMatcher, PermissionResultAllow,
    PermissionResultDeny, ResultMessage, StreamEvent, SystemMessage, UserMessage, create_sdk_mcp_server, query, tool,
)

CLI = sys.argv[1]
NAME = sys.argv[2]


def seen(message):
    if isinstance(message, AssistantMessage):
        for block in message.content:
            kind = type(block).__name__
            text = getattr(block, "text", None) or getattr(block, "name", None) or ""
            print("assistant", kind, text[:60].replace("\n", " "), flush=True)
    elif isinstance(message, UserMessage):
        for block in message.content if isinstance(message.content, list) else [message.content]:
            content = getattr(block, "content", block)
            if isinstance(content, list):
                content = " ".join(str(part.get("text", part.get("type"))) for part in content)
            print("user", type(block).__name__, getattr(block, "is_error", None), str(content)[:60].replace("\n", " "), flush=True)
    elif isinstance(message, ResultMessage):
        print("result", message.subtype, message.is_error, str(message.result)[:60].replace("\n", " "), flush=True)
    elif isinstance(message, SystemMessage):
        print("system", message.subtype, flush=True)
    elif isinstance(message, StreamEvent):
        print("stream_event", message.event.get("type"), flush=True)
    else:
        print(type(message).__name__, flush=True)


def options(**more):
    more.setdefault("system_prompt", None)
    return ClaudeAgentOptions(cli_path=CLI, stderr=lambda line: print("stderr", line, file=sys.stderr), **more)


async def turn(client, text):
    await client.query(text)
    async for message in client.receive_response():
        seen(message)


async def turns():
    async with ClaudeSDKClient(options()) as client:
        info = await client.get_server_info()
        print("initialized", "commands" in info)
        await turn(client, "one")
        await turn(client, "two")
        await client.set_permission_mode("acceptEdits")
        await client.set_model("some-model")
        await turn(client, "three")


async def permission():
    asked = []

    async def decide(name, given, context):
        asked.append(name)
        print("asked", name, len(context.suggestions), flush=True)
        if "denied" in given.get("command", ""):
            return PermissionResultDeny(message="not that")
        if "changed" in given.get("command", ""):
            return PermissionResultAllow(updated_input={**given, "command": "echo it was changed"})
        if "always" in given.get("command", ""):
            return PermissionResultAllow(updated_permissions=context.suggestions)
        return PermissionResultAllow()

    def bash(command):
        return "TOOL Bash " + json.dumps({"command": command, "description": "d"})

    async with ClaudeSDKClient(options(can_use_tool=decide)) as client:
        for command in ["touch allowed", "touch denied", "touch changed", "touch always", "touch always"]:
            await turn(client, bash(command))
    print("times asked", len(asked))


async def interrupt():
    async with ClaudeSDKClient(options()) as client:
        await client.query("SLOW")
        await asyncio.sleep(3)
        await client.interrupt()
        async for message in client.receive_response():
            seen(message)
        await turn(client, "after that")


async def partial():
    async with ClaudeSDKClient(options(include_partial_messages=True)) as client:
        await turn(client, "in parts")


async def one_shot():
    async for message in query(prompt="one shot", options=options()):
        seen(message)


async def hook():
    async def guard(given, tool_use_id, context):
        print("hook", given["hook_event_name"], given["tool_name"], flush=True)
        return {"hookSpecificOutput": {"hookEventName": "PreToolUse", "permissionDecision": "deny",
                                       "permissionDecisionReason": "the hook says no"}}

    async def allow(name, given, context):
        print("asked", name, flush=True)
        return PermissionResultAllow()

    hooks = {"PreToolUse": [HookMatcher(matcher="Bash", hooks=[guard])]}
    async with ClaudeSDKClient(options(hooks=hooks, can_use_tool=allow)) as client:
        await turn(client, 'TOOL Bash {"command": "touch hooked", "description": "d"}')


async def mcp():
    @tool("add", "adds two numbers", {"a": float, "b": float})
    async def add(given):
        print("tool add", given["a"] + given["b"], flush=True)
        return {"content": [{"type": "text", "text": f"the sum is {given['a'] + given['b']}"}]}

    async def allow(name, given, context):
        print("asked", name, flush=True)
        return PermissionResultAllow()

    servers = {"calc": create_sdk_mcp_server("calc", tools=[add])}
    async with ClaudeSDKClient(options(mcp_servers=servers, can_use_tool=allow)) as client:
        await turn(client, 'TOOL mcp__calc__add {"a": 2, "b": 3}')


def png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" + b"\xff\0\0" * 8 * 8)) + chunk(b"IEND", b"")


async def image():
    data = base64.b64encode(png()).decode()
    content = [{"type": "text", "text": "an image"},
               {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}]

    async def prompts():
        yield {"type": "user", "message": {"role": "user", "content": content}, "parent_tool_use_id": None}

    async with ClaudeSDKClient(options()) as client:
        await client.query(prompts())
        async for message in client.receive_response():
            seen(message)


async def other():
    """Somebody else answers the question; stays open until then."""
    async def never(name, given, context):
        print("asked", name, flush=True)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("withdrawn", flush=True)
            raise
        return PermissionResultDeny(message="too late")

    async with ClaudeSDKClient(options(can_use_tool=never)) as client:
        await turn(client, 'TOOL Bash {"command": "touch theirs", "description": "d"}')


async def slow():
    """A turn of half a minute, in which the test may do its worst."""
    async with ClaudeSDKClient(options()) as client:
        await turn(client, "before")
        print("working", flush=True)
        await turn(client, "SLOW")
        await turn(client, "after")


async def model():
    async with ClaudeSDKClient(options(model="some-model")) as client:
        await client.query("which model")
        async for message in client.receive_response():
            if isinstance(message, SystemMessage) and message.subtype == "init":
                print("model", message.data["model"], flush=True)


async def allowed():
    shown = ClaudeAgentOptions(cli_path=CLI, allowed_tools=["Read"], stderr=lambda line: print("stderr", line, flush=True))
    try:
        async with ClaudeSDKClient(shown) as client:
            await turn(client, "x")
    except Exception as error:
        print("error", error, flush=True)


asyncio.run(globals()[NAME]())
print("done", flush=True)
