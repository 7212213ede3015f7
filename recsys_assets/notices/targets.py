"""The targets of notices, from `[notify]`, and one attempt to deliver: an HTTP POST or a mail."""

import hashlib
import logging
import os
import smtplib
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from http.client import HTTPException, responses
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from recsys_assets.errors import DeliveryError
from recsys_assets.notices.outbox import Notice
from recsys_assets.notify_settings import PASSWORD_VARIABLE, SMTPS_PORT, MailSettings, NotifySettings

log = logging.getLogger("recsys.notices")

_ANSWER_BYTES: Final = 1_024
_AGENT: Final = "recsys-assets"
_NO_MAIL: Final = MailSettings()


@dataclass(frozen=True, kw_only=True)
class Target:
    """One receiver of notices."""

    kind: Literal["webhook", "slack", "mail"]
    """The way to it."""
    address: str
    """The URL, which may hold a secret; for mails the receivers."""
    mail: MailSettings = _NO_MAIL
    """The mail server."""

    @property
    def key(self) -> str:
        """Name of the target in the outbox, which says nothing of its address."""
        return f"{self.kind}:{hashlib.sha256(self.address.encode()).hexdigest()[:16]}"

    @property
    def shown(self) -> str:
        """The target without secrets: of a URL only its beginning."""
        if self.kind == "mail":
            return f"mail to {self.address}"
        try:
            parts = urlsplit(self.address)
        except ValueError:  # no address in its brackets
            return f"{self.kind} …"
        return f"{self.kind} {parts.scheme}://{parts.netloc}/…"

    def send(self, notice: Notice, *, seconds: float) -> None:
        """Deliver a notice, or give up after a time.

        Args:
            notice: the notice.
            seconds: most of them, all together.

        Raises:
            DeliveryError: it did not arrive, or nobody knows; the message holds no secret.
        """
        attempt = self._mail if self.kind == "mail" else self._post
        _within(seconds, lambda: attempt(notice, seconds))

    def _post(self, notice: Notice, seconds: float) -> None:
        body = as_slack(notice) if self.kind == "slack" else as_json(notice)
        headers = {"Content-Type": "application/json", "User-Agent": _AGENT, "X-Notice-Id": notice.id}
        request = urllib.request.Request(self.address, data=body, headers=headers, method="POST")  # noqa: S310  settings allow http and https only
        try:
            with _OPENER.open(request, timeout=seconds) as answer:
                answer.read(_ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            error.close()
            raise DeliveryError(f"answered {error.code} {_phrase(error.code)}".strip()) from None
        except urllib.error.URLError as error:
            raise DeliveryError(_reason(error.reason)) from None
        except (OSError, HTTPException, ValueError) as error:
            raise DeliveryError(_reason(error)) from None

    def _mail(self, notice: Notice, seconds: float) -> None:
        server, message = self.mail, as_mail(notice, self.mail)
        host = server.host or ""
        try:
            context = ssl.create_default_context()
            direct = server.port == SMTPS_PORT
            connection = (
                smtplib.SMTP_SSL(host, server.port, timeout=seconds, context=context)
                if direct
                else smtplib.SMTP(host, server.port, timeout=seconds)
            )
            with connection:
                if server.starttls and not direct:
                    connection.starttls(context=context)
                if server.username is not None:
                    connection.login(server.username, _password())
                if rejected := connection.send_message(message):
                    log.warning("a notice was not delivered", extra={"rejected": sorted(rejected)})
        except smtplib.SMTPResponseException as error:
            said = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else ""
            raise DeliveryError(f"{host}:{server.port} answered {error.smtp_code} {said}".strip()) from None
        except (OSError, ValueError) as error:
            raise DeliveryError(f"{host}:{server.port}: {_reason(error)}") from None


def targets_of(settings: NotifySettings) -> list[Target]:
    """Return the targets that the settings name, each once."""
    found = [
        *(Target(kind="webhook", address=url) for url in settings.webhooks),
        *(Target(kind="slack", address=url) for url in settings.slack),
    ]
    if settings.mail.host is not None:
        found.append(Target(kind="mail", address=", ".join(settings.mail.to), mail=settings.mail))
    return list({target.key: target for target in found}.values())


def as_json(notice: Notice) -> bytes:
    """Return the body of a webhook: the notice's fields."""
    return msgspec.json.encode(notice)


def as_slack(notice: Notice) -> bytes:
    """Return the body for Slack: subject and text as one, without what Slack takes for a link or a mention."""
    text = f"{notice.subject}\n{notice.text}"
    for character, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(character, escaped)
    return msgspec.json.encode({"text": text})


def as_mail(notice: Notice, server: MailSettings) -> EmailMessage:
    """Return the mail; its `Message-ID` is the notice's id, so that a second copy is recognised."""
    message = EmailMessage()
    message["Subject"] = " ".join(notice.subject.split())
    message["From"] = server.sender or ""
    message["To"] = ", ".join(server.to)
    message["Date"] = format_datetime(notice.at)
    message["Message-ID"] = f"<{notice.id}@recsys-assets>"
    message.set_content(notice.text)
    return message


def _password() -> str:
    password = os.environ.get(PASSWORD_VARIABLE)
    if not password:
        raise DeliveryError(f"the variable {PASSWORD_VARIABLE} is not set; [notify.mail] username needs it")
    return password


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: a notice goes to the address that a person wrote, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        """Make no other request; the answer is an error then."""


_OPENER: Final = urllib.request.build_opener(_NoRedirects)


def _phrase(code: int) -> str:
    """Return a status in words, by the standard: a server's own words might hold the URL."""
    elsewhere = "; redirects are not followed" if 300 <= code < 400 else ""  # noqa: PLR2004  HTTP's range
    return f"{responses.get(code, '')}{elsewhere}"


def _reason(error: object) -> str:
    """Return an error in words; those of the system name no URL."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__ if isinstance(error, ValueError | HTTPException) else str(error)


def _within(seconds: float, attempt: Callable[[], None]) -> None:
    """Run an attempt, and wait no longer for it than it may take: a name server or a slow answer cannot hold more.

    Raises:
        DeliveryError: it did not end in time; it may yet arrive, so that the notice arrives twice.
    """
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            attempt()
        except BaseException as error:  # noqa: BLE001  raised below, in the caller's thread
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=run, name="recsys-notice", daemon=True)
    thread.start()
    thread.join(seconds)
    if not ended:
        raise DeliveryError("no answer in time")
    if isinstance(ended[0], Exception) and not isinstance(ended[0], DeliveryError):
        raise DeliveryError(type(ended[0]).__name__)  # its words might hold the URL
    if ended[0] is not None:
        raise ended[0]
