"""Keys of an S3 server: from the environment, or from the files of AWS's own clients; never from `recsys.toml`."""

import configparser
from collections.abc import Mapping
from pathlib import Path

from recsys_assets.errors import SettingsError

_NAMES = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")


def s3_credentials(environ: Mapping[str, str]) -> Mapping[str, str]:
    """Return access key, secret and session token by the names that obstore and polars use; empty for none found.

    The environment's `AWS_ACCESS_KEY_ID` and so on come first, then the section `AWS_PROFILE` (`default`) of
    `AWS_SHARED_CREDENTIALS_FILE` (`~/.aws/credentials`). Where both are missing, a client finds those of the machine
    itself (a role of EC2, ECS or Kubernetes).

    Raises:
        SettingsError: a profile is named that the file has not, or the file cannot be read.
    """
    found = {name: environ[name.upper()] for name in _NAMES if environ.get(name.upper())}
    if "aws_access_key_id" in found:
        return found
    named = environ.get("AWS_PROFILE") or environ.get("AWS_DEFAULT_PROFILE")
    home = environ.get("HOME")
    kept_in = environ.get("AWS_SHARED_CREDENTIALS_FILE") or (f"{home}/.aws/credentials" if home else None)
    file = None if kept_in is None else Path(kept_in).expanduser()
    if file is None or not file.is_file():
        if named:
            raise SettingsError(
                f"AWS_PROFILE is {named!r}, and there is no file {file}: write it, or unset AWS_PROFILE"
            )
        return {}
    return _section(file, named)


def _section(file: Path, named: str | None) -> Mapping[str, str]:
    parser = configparser.RawConfigParser(default_section="\0")  # `default` is a section like others here
    try:
        parser.read_string(file.read_text("utf-8"), source=str(file))
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(
            f"{file}: cannot be read as credentials ({reason}); mend it, or set AWS_*"
        ) from error
    section = named or "default"
    if not parser.has_section(section):
        if named:
            known = ", ".join(parser.sections()) or "none"
            raise SettingsError(f"{file}: no profile {section!r} (AWS_PROFILE); there are: {known}")
        return {}
    return {name: parser.get(section, name) for name in _NAMES if parser.get(section, name, fallback="")}
