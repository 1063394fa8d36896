"""Who met with a gap is told once that it is answered: in the thread where they asked, else in a direct message."""

import logging
from collections.abc import Sequence

from bot import blocks_gaps, installations
from bot.access import reads_internal, sources_for
from bot.desk import Desk
from bot.errors import SlackRefused
from bot.failing import insist
from bot.messages import GAP_EVENT
from bot.slack import Address
from data import store, store_gaps
from data.articles import Article
from data.errors import DeskError
from data.store_gaps import Example

log = logging.getLogger(__name__)

IN_THREADS = ("mention", "direct")
"""How something is asked that is answered in its thread."""


async def tell(desk: Desk) -> None:
    """Tell whom nobody has told yet; what Slack does not take now is said at the next start."""
    async with desk.telling:
        waiting: dict[tuple[str, str], list[Example]] = {}
        for gap_id, example in store_gaps.untold(desk.db):
            waiting.setdefault((gap_id, example.asked_by), []).append(example)
        for (gap_id, _), examples in waiting.items():
            article = store_gaps.newest_article(desk.db, gap_id)
            if article is None:
                continue
            try:
                await _tell(desk, examples, article)
            except SlackRefused as error:
                # The channel is archived, or the person has gone: that will be no different the next time.
                log.warning("nobody told that gap %s is answered: %s", gap_id, error.error)
            except DeskError as error:
                log.warning("gap %s: told at the next start: %s", gap_id, type(error).__name__)
                continue
            # After it was said: a crash in between says it twice in a direct message, which is better than never. In
            # a thread it is looked for.
            store_gaps.record_told(desk.db, [example.suggestion_id for example in examples])


async def _tell(desk: Desk, examples: Sequence[Example], article: Article) -> None:
    """Say it once, however often the person asked."""
    newest = examples[-1]
    installations.enter_team(newest.team_id)
    message = blocks_gaps.answered(newest, article)
    if newest.kind != "not_found":
        await insist(lambda: desk.workspace.whisper([message], Address("", newest.asked_by)))
        return
    sources = await sources_for(desk.db, desk.workspace, store.suggestion(desk.db, newest.suggestion_id))
    is_open = sources.audience == "internal" or article.audience == "customer_safe"
    if not is_open and not await reads_internal(desk.workspace, newest.channel_id, newest.asked_by):
        return
    # What guests who read along may not read is told to a colleague alone.
    if newest.asked_in not in IN_THREADS or not is_open:
        await insist(lambda: desk.workspace.whisper([message], Address("", newest.asked_by)))
        return

    async def post() -> None:
        await desk.workspace.post_once(
            [message],
            channel_id=newest.channel_id,
            thread_ts=newest.thread_ts,
            event_type=GAP_EVENT,
            suggestion_id=newest.suggestion_id,
            look=True,
        )

    await insist(post)
