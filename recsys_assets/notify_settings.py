"""Settings of notices: who learns of a recall, a rejected day, a failed gate and a failed build.

The password of the mail server is no setting: it comes from the variable `RECSYS_SMTP_PASSWORD`.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from recsys_assets.storage.bounds import Line

PASSWORD_VARIABLE: Final = "RECSYS_SMTP_PASSWORD"  # noqa: S105  a name
"""Variable with the password of `[notify.mail] username`."""

_HOST: Final = r"(\[[0-9A-Fa-f:.]+\]|[^\s/?#@:\[\]\\\x00-\x1f\x7f]+)"
_PORT: Final = r"([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
SecretUrl = Annotated[
    str,
    Meta(
        pattern=rf"^https?://{_HOST}(:{_PORT})?([/?][^\s\\\x00-\x1f\x7f]*)?$",
        description="a URL, http:// or https://, without a user",
        extra_json_schema={"secret": True},
    ),
]


class MailSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mail server that notices go through; its password is in the variable `RECSYS_SMTP_PASSWORD`."""

    host: Line | None = None
    """Name of the server; left out, no mail is sent."""
    port: Annotated[int, Meta(ge=1, le=65_535)] = 587
    """Port of the server; on 465 the connection is encrypted from its start."""
    sender: Line | None = None
    """Address that mails are from."""
    to: list[Line] = []
    """Addresses that mails go to."""
    starttls: bool = True
    """Encrypt the connection, and check the server's certificate."""
    username: Line | None = None
    """Name to log in with; left out, nobody logs in."""

    def fault(self) -> tuple[str, str] | None:
        """Return the field that contradicts another one, and why; None where mails can be sent, or none are wanted."""
        if self.host is None:
            return None
        if self.sender is None:
            return "sender", "missing; [notify.mail] host needs the address that mails are from"
        if not self.to:
            return "to", "missing; [notify.mail] host needs an address that mails go to"
        if self.username is not None and not self.starttls and self.port != SMTPS_PORT:
            return (
                "username",
                "a password is not sent unencrypted; set starttls = true, or leave the name out",
            )
        return None


SMTPS_PORT: Final = 465
"""Port whose connections are encrypted from their start."""


class NotifySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Notices of recalls, replays, rejected days, failed gates and failed builds."""

    webhooks: list[SecretUrl] = []
    """Addresses that get each notice by POST, as JSON with `id`, `at`, `kind`, `subject`, `text` and `details`."""
    slack: list[SecretUrl] = []
    """Incoming webhooks of Slack, or of what takes the same `{"text": …}`."""
    timeout_seconds: Annotated[float, Meta(ge=0.1, le=60)] = 10.0
    """Longest time of one attempt."""
    retry_seconds: Annotated[float, Meta(ge=0.1, le=3_600)] = 30.0
    """Time after the first failed attempt; it doubles with each, up to 6 hours."""
    give_up_days: Annotated[float, Meta(ge=0.01, le=365)] = 3.0
    """Give a notice up that could not be delivered for N days; `recsys doctor` names it."""
    mail: MailSettings = MailSettings()
    """The mail server."""
