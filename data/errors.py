"""Every error that may be shown to a person. The message is the sentence they read: what, which one, what to do.

Exception
└─ NightshiftError                 caught in two places only: Bolt's error handler and the command line's main
   ├─ StoreError
   │  ├─ DatabaseTooNew            the file was written by a newer version
   │  ├─ DatabaseUnusable          the file cannot be opened, or is no database
   │  ├─ DatabaseBusy              another process writes for too long
   │  ├─ UnknownSuggestion
   │  ├─ UnknownGap
   │  ├─ UnknownAdapter            also: vLLM was asked for an adapter that it does not have
   │  ├─ UnknownRun
   │  └─ UnknownGateReport
   ├─ BadFile                      an input file that cannot be read, or is not what it should be
   │  └─ NotAllImported            some files were skipped, each with its reason
   ├─ BadSetting                   a value in the environment or .env that cannot be used
   │  └─ MissingToken              a Slack token is missing, malformed or refused
   ├─ EmbedderMissing              no model that makes vectors: search is by words alone
   ├─ ServingError
   │  ├─ EngineUnreachable         nothing answers at LLM_BASE_URL
   │  ├─ EngineFailed              it answered, but not with a whole completion
   │  ├─ ContextTooLong            the prompt does not fit the model's context
   │  ├─ BrokenAdapter             vLLM would refuse it, or serve it silently broken
   │  ├─ ModelMissing              the base model is not on this machine
   │  └─ CannotServe               vLLM cannot start: no memory, port taken, …
   ├─ DeskError                    what an agent, supervisor or admin asked for cannot be done
   │  ├─ EmptyThread
   │  ├─ EmptyText                 a modal sent without text
   │  └─ NotAllowed                the person's role does not permit it
   └─ NightError
      ├─ NotEnoughPairs
      ├─ NightRunning              another night holds the lock
      └─ TrainingFailed
"""

from collections.abc import Sequence


class NightshiftError(Exception):
    """Its message is one sentence, fit to show a person."""


class StoreError(NightshiftError):
    """The store refuses."""


class DatabaseTooNew(StoreError):
    """The database has migrations that this version does not know."""

    def __init__(self, path: str, unknown: Sequence[str]) -> None:
        super().__init__(
            f"{path} was written by a newer version of Nightshift (it has {', '.join(unknown)}): "
            "upgrade Nightshift, or point DATABASE_PATH at another file."
        )


class DatabaseUnusable(StoreError):
    """The database file cannot be opened or is no SQLite database."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"The database {path} cannot be used: {reason}. Check DATABASE_PATH, or restore a backup.")


class DatabaseBusy(StoreError):
    """Another process has held the write lock for too long."""

    def __init__(self) -> None:
        super().__init__("Another process has been writing to the database for too long: try again in a moment.")


class UnknownSuggestion(StoreError):
    """No suggestion has this id."""

    def __init__(self, suggestion_id: str) -> None:
        super().__init__(f"There is no suggestion {suggestion_id}: ask for a new one.")


class UnknownGap(StoreError):
    """No gap has this id."""

    def __init__(self, gap_id: str) -> None:
        super().__init__(f"There is no gap {gap_id} in the queue: open my Home tab for those that there are.")


class UnknownAdapter(StoreError):
    """No adapter has this name, in the store or at the server."""

    def __init__(self, name: str, hint: str = "`python -m serving adapters` lists those that exist") -> None:
        super().__init__(f"There is no adapter {name}: {hint}.")


class UnknownRun(StoreError):
    """No run has this id."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"There is no run {run_id}: `python -m data stats` counts those that exist.")


class UnknownGateReport(StoreError):
    """No gate report has this id."""

    def __init__(self, report_id: str) -> None:
        super().__init__(f"There is no gate report {report_id}: name one that a night has written.")


class BadFile(NightshiftError):
    """An input file that cannot be read, or is not what it should be."""


class NotAllImported(BadFile):
    """Some of the files that were to be imported were skipped; the others were imported."""

    def __init__(self, count: int) -> None:
        what = "One file or part of one was" if count == 1 else f"{count} files or parts of files were"
        super().__init__(f"{what} skipped, for the reasons above; everything else is imported.")


class BadSetting(NightshiftError):
    """A value in the environment or .env that cannot be used."""


class MissingToken(BadSetting):
    """A Slack token is missing, malformed or refused."""


class EmbedderMissing(NightshiftError):
    """The model that makes vectors is not installed, or cannot be read."""


class ServingError(NightshiftError):
    """The model's server, or an adapter for it, does not work."""


class EngineUnreachable(ServingError):
    """Nothing answers at LLM_BASE_URL."""


class EngineFailed(ServingError):
    """The engine answered, but not with a whole completion."""


class ContextTooLong(ServingError):
    """The prompt does not fit the model's context."""


class BrokenAdapter(ServingError):
    """An adapter that vLLM would refuse, or serve silently broken."""


class ModelMissing(ServingError):
    """The base model is not on this machine."""


class CannotServe(ServingError):
    """vLLM cannot start."""


class DeskError(NightshiftError):
    """What a person asked for in Slack cannot be done."""


class EmptyThread(DeskError):
    """The thread has no customer message to answer."""


class EmptyText(DeskError):
    """A text to send, or a question to answer, has no words."""


class NotAllowed(DeskError):
    """The person's role does not permit what they asked for."""


class NightError(NightshiftError):
    """A night, or a step of it, could not be done; the incumbent serves on."""


class NotEnoughPairs(NightError):
    """Too few pairs to train on."""

    def __init__(self, found: int, needed: int) -> None:
        self.found, self.needed = found, needed
        super().__init__(
            f"There are {found} training pairs and a night needs {needed}: "
            "let agents decide on more drafts, or import history."
        )


class NightRunning(NightError):
    """Another night holds the lock."""


class TrainingFailed(NightError):
    """The training process ended without an adapter."""
