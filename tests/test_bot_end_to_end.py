"""The bot with a real vLLM: what it drafts is what the server writes for the prompt that it stored."""

import json

from bot_fixtures import Bot, bot_environment, last_ephemeral
from conftest import VllmServer
from sandbox_fixtures import SandboxClient

from bot.drafting import NEW_TOKENS
from data import store
from serving.engine import Engine

pytest_plugins = ("bot_fixtures", "sandbox_fixtures")


async def test_a_draft_is_what_vllm_writes_for_the_stored_prompt(
    vllm_server: VllmServer, sandbox: SandboxClient, model, tmp_path
):
    environment = bot_environment(
        sandbox,
        model,
        tmp_path,
        DATABASE_PATH=str(vllm_server.database),
        LLM_BASE_URL=vllm_server.base_url,
        BASE_MODEL=str(vllm_server.model),
    )
    bot = Bot(environment, store.connect(vllm_server.database))
    bot.start()
    ts = sandbox.message("C0HELP", "U0CUSTOMER1", "My invoice is wrong, please help")["ts"]
    assert sandbox.shortcut("C0HELP", "U0AGENT1", ts, "suggest_reply")["ok"]
    row = bot.until(lambda: (r := bot.newest())["state"] in ("shown", "failed") and r)
    assert row["state"] == "shown", row["error"]
    engine = Engine(vllm_server.base_url)
    completion = await engine.complete(json.loads(row["messages"]), model="base", max_tokens=NEW_TOKENS["reply"])
    await engine.close()
    assert row["draft"] == completion.text.strip().replace("\x00", "\ufffd")
    last_ephemeral(sandbox, "U0AGENT1", row["id"])
    assert bot.stop() == 0
    bot.db.conn.close()
