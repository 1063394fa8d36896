"""Find keys, tokens and passwords in a line: detect-secrets knows their forms, and words tell what a password is."""

import re
from collections.abc import Iterator

from detect_secrets.plugins.artifactory import ArtifactoryDetector
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

DETECTORS = tuple(
    detector()
    for detector in (
        ArtifactoryDetector, AWSKeyDetector, AzureStorageKeyDetector, BasicAuthDetector, DiscordBotTokenDetector,
        GitHubTokenDetector, GitLabTokenDetector, JwtTokenDetector, MailchimpDetector, NpmDetector, OpenAIDetector,
        PrivateKeyDetector, PypiTokenDetector, SendGridDetector, SlackDetector, SquareOAuthDetector, StripeDetector,
        TelegramBotTokenDetector, TwilioKeyDetector,
    )
)  # fmt: skip
WORTH_A_LOOK = re.compile(r"[\w+/=.-]{16}|://[^\s/]+:|-----BEGIN|&sig=")
"""Nothing shorter is a key, and the nineteen looks are slow."""
SAID = re.compile(
    r"\b(?:password|passwort|passcode|kennwort|contraseña|mot de passe|api[ _-]?key|access[ _-]?key|secret(?: key)?|"
    r"(?:access|auth|bearer|api) token|pin(?: code)?|cvv|cvc)\b\s*(?:is|was|ist|:|=|->)+\s*"
    r"[\"'`]?(?P<secret>[^\s\"'`,;]{3,})",
    re.IGNORECASE,
)
PLAIN = re.compile(r"[^\W\d_]+\.?")
"""A word as any other: "my password is wrong"."""


def secrets(line: str) -> Iterator[tuple[int, int]]:
    """Where secrets stand in a line, as (start, end)."""
    for found in SAID.finditer(line):
        if not PLAIN.fullmatch(found["secret"]):
            yield found.span("secret")
    if not WORTH_A_LOOK.search(line):
        return
    for detector in DETECTORS:
        for secret in detector.analyze_string(line):
            if isinstance(secret, str) and secret:
                at = line.find(secret)
                while at >= 0:
                    yield at, at + len(secret)
                    at = line.find(secret, at + len(secret))
