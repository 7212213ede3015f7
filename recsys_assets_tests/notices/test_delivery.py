"""Notices arrive at least once: exactly these requests and mails, retries after failures, and giving up."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from recsys_assets.notices.delivery import (
    deliver_due,
    forget_causes,
    remove_old_notices,
    send_notice,
    unknown_causes,
)
from recsys_assets.notices.outbox import Notice, Outbox
from recsys_assets.notify_settings import MailSettings, NotifySettings
from recsys_assets.storage.home import Home
from recsys_assets.storage.locks import locked
from recsys_assets_tests.notices.servers import http_receiver, mail_receiver

NOW = datetime(2026, 11, 27, 6, tzinfo=UTC)
NOTICE = Notice(
    id="recall-20261127T060000",
    at=NOW,
    kind="recall",
    subject="2017-02-10 was recalled: prices in <roubles> & more",
    text="Releases: 20170228-0f3a5bc2d1.\nNext: recsys build",
    details={"days": ["2017-02-10"], "answers": {"20170228-0f3a5bc2d1": 7}},
)


def after(**time):
    return NOW + timedelta(**time)


def states(home):
    with Outbox(home.notices_db) as outbox:
        return [(one.state, one.attempts, one.problem) for one in outbox.deliveries()]


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def receiver():
    with http_receiver() as running:
        yield running


@pytest.fixture
def to_webhook(receiver):
    return NotifySettings(webhooks=[receiver.url], timeout_seconds=5)


def test_a_webhook_gets_the_notice_as_json_with_its_text_once(home, receiver, to_webhook):
    send_notice(home, to_webhook, NOTICE)
    assert receiver.bodies == []
    assert deliver_due(home, to_webhook, NOW).sent == 1
    assert deliver_due(home, to_webhook, after(days=1)).sent == 0
    assert receiver.bodies == [msgspec.to_builtins(NOTICE)]
    assert receiver.paths == ["/hook/T0KEN"]
    assert receiver.headers[0]["Content-Type"] == "application/json"
    assert receiver.headers[0]["X-Notice-Id"] == NOTICE.id


def test_slack_gets_one_text_in_which_nothing_is_a_link_or_a_mention(home, receiver):
    settings = NotifySettings(slack=[receiver.url])
    send_notice(home, settings, NOTICE)
    assert deliver_due(home, settings, NOW).sent == 1
    assert receiver.bodies == [
        {
            "text": "2017-02-10 was recalled: prices in &lt;roubles&gt; &amp; more\n"
            "Releases: 20170228-0f3a5bc2d1.\nNext: recsys build"
        }
    ]


def test_a_mail_has_subject_text_and_a_name_that_is_the_notices(home):
    with mail_receiver() as server:
        mail = MailSettings(
            host="127.0.0.1", port=server.port, sender="shop@a.org", to=["x@b.org", "y@b.org"], starttls=False
        )
        send_notice(home, NotifySettings(mail=mail), NOTICE)
        server.answers = ["451 later"]
        assert deliver_due(home, NotifySettings(mail=mail), NOW).failed == 1
        assert deliver_due(home, NotifySettings(mail=mail), after(minutes=1)).sent == 1
    first, second = server.mails
    assert first["Message-ID"] == second["Message-ID"] == f"<{NOTICE.id}@recsys-assets>"
    assert second["Subject"] == NOTICE.subject
    assert (second["From"], second["To"]) == ("shop@a.org", "x@b.org, y@b.org")
    assert second.get_content().split() == NOTICE.text.split()
    assert server.receivers[1] == ["<x@b.org>", "<y@b.org>"]


def test_no_password_is_sent_to_a_server_without_encryption(home, monkeypatch):
    monkeypatch.setenv("RECSYS_SMTP_PASSWORD", "s3cret")
    with mail_receiver() as server:
        mail = MailSettings(
            host="127.0.0.1", port=server.port, sender="a@b.org", to=["x@b.org"], username="ann"
        )
        send_notice(home, NotifySettings(mail=mail), NOTICE)
        assert deliver_due(home, NotifySettings(mail=mail), NOW).failed == 1
    ((_, _, problem),) = states(home)
    assert "STARTTLS" in problem
    assert "s3cret" not in problem


def test_a_name_without_a_password_says_which_variable_is_missing(home, monkeypatch):
    monkeypatch.delenv("RECSYS_SMTP_PASSWORD", raising=False)
    with mail_receiver() as server:
        mail = MailSettings(
            host="127.0.0.1",
            port=server.port,
            sender="a@b.org",
            to=["x@b.org"],
            username="ann",
            starttls=False,
        )
        send_notice(home, NotifySettings(mail=mail), NOTICE)
        deliver_due(home, NotifySettings(mail=mail), NOW)
    assert "RECSYS_SMTP_PASSWORD is not set" in states(home)[0][2]


@pytest.mark.parametrize("answer", [500, 503, 404, 429])
def test_a_server_that_fails_is_tried_again_after_a_wait_that_doubles(home, receiver, to_webhook, answer):
    receiver.answers = [answer] * 3
    send_notice(home, to_webhook, NOTICE)
    tried = [
        deliver_due(home, to_webhook, after(seconds=seconds)).failed for seconds in (0, 29, 30, 89, 90, 209)
    ]
    assert tried == [1, 0, 1, 0, 1, 0]
    assert deliver_due(home, to_webhook, after(seconds=210)).sent == 1
    assert receiver.bodies == [msgspec.to_builtins(NOTICE)] * 4


def test_a_server_that_is_down_and_comes_back_gets_the_notice(home):
    with http_receiver() as gone:
        settings = NotifySettings(webhooks=[gone.url])
    send_notice(home, settings, NOTICE)
    assert deliver_due(home, settings, NOW).failed == 1
    assert states(home)[0][2] == "Connection refused"
    with http_receiver(gone.port) as back:
        assert deliver_due(home, settings, after(minutes=1)).sent == 1
        assert back.bodies == [msgspec.to_builtins(NOTICE)]


def test_a_server_that_never_answers_holds_the_sender_no_longer_than_the_timeout(home, receiver):
    settings = NotifySettings(webhooks=[receiver.url], timeout_seconds=0.2)
    receiver.answers = ["hang"]
    send_notice(home, settings, NOTICE)
    assert deliver_due(home, settings, NOW).failed == 1
    assert states(home) == [("waiting", 1, "no answer in time")]


def test_a_redirect_is_not_followed(home, receiver, to_webhook):
    with http_receiver() as elsewhere:
        receiver.answers = [elsewhere.url]
        send_notice(home, to_webhook, NOTICE)
        assert deliver_due(home, to_webhook, NOW).failed == 1
        assert elsewhere.bodies == []
    assert "redirects are not followed" in states(home)[0][2]


def test_a_target_that_fails_keeps_no_other_from_its_notice(home, receiver):
    with http_receiver() as down:
        settings = NotifySettings(webhooks=[down.url, receiver.url])
    send_notice(home, settings, NOTICE)
    delivered = deliver_due(home, settings, NOW)
    assert (delivered.sent, delivered.failed, delivered.waiting) == (1, 1, 1)


def test_a_notice_is_given_up_after_the_days_of_the_settings(home, receiver):
    settings = NotifySettings(webhooks=[receiver.url], give_up_days=1)
    receiver.answers = [500, 500]
    send_notice(home, settings, NOTICE)
    assert deliver_due(home, settings, NOW).failed == 1
    assert deliver_due(home, settings, after(days=1)).given_up == 1
    assert deliver_due(home, settings, after(days=9)).sent == 0
    assert states(home) == [("given up", 2, "answered 500 Internal Server Error")]


def test_a_target_that_is_no_longer_in_the_settings_is_given_up(home, receiver, to_webhook):
    send_notice(home, to_webhook, NOTICE)
    assert deliver_due(home, NotifySettings(), NOW).given_up == 1
    assert receiver.bodies == []


def test_a_clock_that_is_put_back_delays_nothing(home, to_webhook):
    send_notice(home, to_webhook, NOTICE)
    assert deliver_due(home, to_webhook, after(days=-400)).sent == 1


def test_the_same_notice_is_kept_and_sent_once(home, receiver, to_webhook):
    for _ in range(3):
        send_notice(home, to_webhook, NOTICE)
    deliver_due(home, to_webhook, NOW)
    assert len(receiver.bodies) == 1


def test_two_processes_do_not_deliver_at_once(home, to_webhook):
    send_notice(home, to_webhook, NOTICE)
    with locked(home.lock("notices")):
        assert deliver_due(home, to_webhook, NOW).sent == 0
    assert deliver_due(home, to_webhook, NOW).sent == 1


def test_a_secret_in_an_address_is_neither_kept_nor_shown(home, receiver, to_webhook):
    receiver.answers = [500]
    send_notice(home, to_webhook, NOTICE)
    deliver_due(home, to_webhook, NOW)
    with Outbox(home.notices_db) as outbox:
        (shown,) = [one.shown for one in outbox.deliveries()]
    assert shown == f"webhook http://127.0.0.1:{receiver.port}/…"
    assert all(b"T0KEN" not in file.read_bytes() for file in home.root.iterdir())


def test_a_cause_is_known_until_it_is_over(home, to_webhook):
    causes = ["failed-release-a", "rejected-raw-2017-02-10"]
    assert unknown_causes(home, causes) == causes
    send_notice(home, to_webhook, NOTICE, causes=causes[:1])
    assert unknown_causes(home, causes) == causes[1:]
    forget_causes(home, "failed-release-")
    assert unknown_causes(home, causes) == causes


KILLED = """
import os, signal, sys
from pathlib import Path
import msgspec
from recsys_assets.notices import delivery, outbox
from recsys_assets.notify_settings import NotifySettings
from recsys_assets.storage.home import Home

home, settings = Home(Path(sys.argv[1])), msgspec.json.decode(sys.argv[2], type=NotifySettings)
notice = msgspec.json.decode(sys.argv[3], type=outbox.Notice)
if sys.argv[4] == "after keeping":
    delivery.send_notice(home, settings, notice)
    os.kill(os.getpid(), signal.SIGKILL)
delivery.send_notice(home, settings, notice)
outbox.Outbox.set = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
delivery.deliver_due(home, settings, notice.at)
"""


@pytest.mark.parametrize(("killed", "copies"), [("after keeping", 1), ("after sending", 2)])
def test_a_process_that_is_killed_loses_no_notice(home, receiver, to_webhook, killed, copies):
    arguments = [str(home.root), msgspec.json.encode(to_webhook), msgspec.json.encode(NOTICE), killed]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], env=os.environ, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert deliver_due(home, to_webhook, after(seconds=1)).sent == 1
    assert receiver.bodies == [msgspec.to_builtins(NOTICE)] * copies


def test_an_address_that_nobody_can_use_takes_no_notice_from_others(home, receiver):
    settings = NotifySettings(webhooks=["http://[1:2]/T0KEN", receiver.url])
    send_notice(home, settings, NOTICE)
    done = deliver_due(home, settings, NOW)
    assert (done.sent, done.failed) == (1, 1)
    assert not any("T0KEN" in str(state) for state in states(home))


def test_old_notices_go_but_for_those_that_wait_and_their_causes_stay_known(home, to_webhook):
    waiting = msgspec.structs.replace(NOTICE, id="recall-2")
    send_notice(home, to_webhook, NOTICE, causes=["rejected day"])
    assert deliver_due(home, to_webhook, NOW).sent == 1
    send_notice(home, to_webhook, waiting)

    assert remove_old_notices(home, before=NOW) == 0
    assert remove_old_notices(home, before=after(seconds=1), dry_run=True) == 1
    assert remove_old_notices(home, before=after(seconds=1)) == 1

    with Outbox(home.notices_db) as outbox:
        assert outbox.notices() == [waiting]
    assert states(home) == [("waiting", 0, "")]
    assert unknown_causes(home, ["rejected day"]) == []
