"""`recsys notices`, `doctor` on notices, and the notice of `recsys releases recall`."""

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from recsys_assets.cli import main
from recsys_assets.commands.doctor import examine
from recsys_assets.notices.delivery import deliver_due, send_notice
from recsys_assets.notices.outbox import Notice
from recsys_assets.settings import load_settings
from recsys_assets.storage.home import Home
from recsys_assets_tests.notices.servers import http_receiver
from recsys_assets_tests.release.building import build_world
from recsys_assets_tests.release.world import LAST_DAY, LINEAGE

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOTICE = Notice(id="n1", at=AT, kind="failed_build", subject="Build failed at features: disk full", text="…")


@pytest.fixture
def receiver():
    with http_receiver() as running:
        yield running


@pytest.fixture
def home(tmp_path, receiver) -> Home:
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.settings_file.write_text(
        '[source]\nspec = "tabular:events.csv"\nfirst_day = 2024-01-01\nlast_day = 2024-01-31\n'
        f'[notify]\nwebhooks = ["{receiver.url}"]\nretry_seconds = 3600\n'
    )
    return home


def run(home, *arguments):
    return CliRunner().invoke(main, [*arguments, "--home", str(home.root)])


def test_a_home_without_notices_says_so(home):
    assert run(home, "notices", "list").output == "There are no notices.\n"
    assert run(home, "notices", "send").output == "There are no notices.\n"
    assert not home.notices_db.exists()


def test_the_list_shows_a_notice_and_its_state_without_the_secret(home, receiver):
    receiver.answers = [503]
    send_notice(home, load_settings(home).notify, NOTICE)
    place = f"webhook http://127.0.0.1:{receiver.port}/…"
    later = "2026-01-02 04:04:05"
    headline = "2026-01-02 03:04:05  failed_build  Build failed at features: disk full"
    assert run(home, "notices", "list").output.splitlines() == [headline, f"  {place}: waiting"]
    deliver_due(home, load_settings(home).notify, AT)
    assert run(home, "notices", "list").output.splitlines() == [
        headline,
        f"  {place}: waiting after 1 attempt, the last: answered 503 Service Unavailable; next at {later} UTC",
    ]
    found = json.loads(run(home, "notices", "list", "--json").output)["notices"][0]
    assert (found["id"], found["targets"][0]["state"], found["targets"][0]["attempts"]) == (
        "n1",
        "waiting",
        1,
    )
    assert "T0KEN" not in json.dumps(found)


def test_send_tries_what_waits_at_once_and_its_exit_code_says_whether_all_arrived(home, receiver):
    receiver.answers = [503, 503]
    send_notice(home, load_settings(home).notify, NOTICE)
    deliver_due(home, load_settings(home).notify, AT)
    failed = run(home, "notices", "send")
    assert failed.exit_code == 1
    done = run(home, "notices", "send", "--given-up")
    assert (done.exit_code, done.output) == (0, "Notices: 1 sent.\n")
    assert run(home, "notices", "list").output.splitlines()[1].endswith("UTC")
    assert len(receiver.bodies) == 3


def test_doctor_names_what_was_given_up(home, receiver):
    receiver.answers = [404]
    send_notice(home, load_settings(home).notify, NOTICE)
    deliver_due(home, load_settings(home).notify, datetime(2026, 2, 2, tzinfo=UTC))
    facts = examine(home).facts
    place = facts.index(("notices", f"1 given up; recsys notices list --home {home.root}"))
    assert facts[place + 1] == ("", f"webhook http://127.0.0.1:{receiver.port}/…: answered 404 Not Found")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('webhooks = ["ftp://a.org/S3CRET"]', "[notify] webhooks: the value is not allowed"),
        ('webhooks = ["http://a.org:65536/S3CRET"]', "[notify] webhooks: the value is not allowed"),
        ('webhooks = ["http://[::1/S3CRET"]', "[notify] webhooks: the value is not allowed"),
        ('slack = ["https://ann:S3CRET@a.org/x"]', "[notify] slack: the value is not allowed"),
        ('[notify.mail]\nhost = "a.org"', "sender: missing"),
        ('[notify.mail]\nhost = "a.org"\nsender = "a@b.org"', "to: missing"),
        (
            '[notify.mail]\nhost = "a.org"\nsender = "a@b.org"\nto = ["c@d.org"]\nusername = "a"\nstarttls = false',
            "a password is not sent unencrypted",
        ),
    ],
)
def test_settings_that_cannot_be_used_are_named_without_their_secret(home, lines, said):
    text = home.settings_file.read_text().partition("[notify]")[0]
    home.settings_file.write_text(f"{text}[notify]\n{lines}\n")
    done = run(home, "notices", "send")
    assert (done.exit_code, done.output) == (0, "There are no notices.\n") or said in done.output
    done = run(home, "doctor")
    assert said in " ".join(done.output.split())
    assert "S3CRET" not in done.output


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return build_world(tmp_path_factory.mktemp("world") / "artifacts")


def test_a_recall_notifies_at_once_and_is_kept_where_nobody_answers(world, home, receiver):
    text = home.settings_file.read_text()
    home.settings_file.unlink()  # the releases of this world are of another source
    for letter in "ab":
        world.publish(home.root, lineage=LINEAGE | {LAST_DAY: letter * 64})
    world.publish(home.root, lineage={day: sum_ for day, sum_ in LINEAGE.items() if day != LAST_DAY})
    home.settings_file.write_text(text)
    receiver.answers = [503]
    done = run(home, "releases", "recall", f"{LAST_DAY}", "--why", "prices in roubles")
    assert "Notices: 1 failed, 1 waiting." in done.output
    assert run(home, "notices", "send").exit_code == 0
    first, second = receiver.bodies
    assert first == second
    assert first["kind"] == "recall"
    assert len(first["details"]["releases"]) == 2
    for release in first["details"]["releases"]:
        assert release in first["text"]
