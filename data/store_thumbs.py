"""What people's thumbs say of each text that they saw: a draft, or what was sent in its place."""

import json
from dataclasses import dataclass

from sqlite_utils import Database

from data.models import Message, Task
from data.prompts import NOT_FOUND
from data.store_connection import rows


@dataclass(frozen=True)
class RatedText:
    """One text with the prompt that it answers. `net` is its sum of thumbs, in which a supervisor's counts twice."""

    id: str
    """The suggestion's: a draft and what was sent in its place share it."""
    task: Task
    thread_id: str
    messages: list[Message]
    text: str
    net: int
    supervisors_down: int
    rater: str | None
    """Whose thumb alone it has; None where several people rated it."""
    created_at: str


def rated_texts(db: Database) -> list[RatedText]:
    """Every rated text that may be learned from, oldest first, held-out threads included; each person's newest thumb.

    As with pairs: only of channels with consent, nothing that was taken back, is not sent yet, or has a wrong or
    outdated fact. A thumb says nothing where it is not known which text it is about, but that a supervisor's down
    forbids imitation; nor does one on the refusal of a question, which is a gap in the help centre.
    """
    found = rows(
        db,
        """
        with thumbed as (
            select s.id, s.task, coalesce(s.thread_id, s.id) as thread_id, s.messages, s.created_at,
                   case r.about when 'sent' then d.text when 'draft' then s.draft end as text,
                   r.user_id, r.role, r.value
            from newest_ratings r
            join suggestions s on s.id = r.suggestion_id
            left join decisions d on d.suggestion_id = s.id
            where r.value <> 0
              and s.messages is not null
              and coalesce(d.reason, '') not in ('wrong_fact', 'outdated')
              and (s.task <> 'reply' or d.kind = 'dismissed' or d.posted_ts is not null)
              and s.id not in (select suggestion_id from withdrawals)
              and s.channel_id in (select channel_id from consented_channels)
        )
        select id, task, thread_id, messages, text,
               sum(case role when 'supervisor' then 2 * value else value end) as net,
               sum(role = 'supervisor' and value = -1) + (
                   select count(*) from newest_ratings u
                   where u.suggestion_id = thumbed.id and u.role = 'supervisor' and u.value = -1 and u.about is null
               ) as supervisors_down,
               case when count(distinct user_id) = 1 then min(user_id) end as rater,
               created_at
        from thumbed
        where trim(text) <> '' and not (task = 'answer' and text like ? || '%')
        group by id, text
        order by created_at, id, text
        """,
        [NOT_FOUND],
    )
    return [RatedText(**(one | {"messages": json.loads(one["messages"])})) for one in found]
