from sqlite_utils import Database

from data.schema import migrations


@migrations()
def m026_question_vectors(db: Database) -> None:
    """Questions behind gaps have vectors, so that one asked in quite other words is the same gap.

    A vector tells something of its text: it is erased with it.
    """
    db.executescript("""
        create table question_vectors (
            suggestion_id text primary key references suggestions (id) on delete cascade,
            model text not null,
            -- float16, of unit length.
            vector blob not null
        );
        create trigger question_vectors_blanked after update of request, messages on suggestions
        when new.request = '{}' and new.messages is null begin
            delete from question_vectors where suggestion_id = new.id;
        end;
        """)
