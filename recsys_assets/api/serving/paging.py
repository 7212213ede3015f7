"""Pages of a list: `after=` gives the next page, without the items of the pages before.

The server keeps nothing. The token of the next page holds the items given so far, by number, and the release whose
numbers they are. So no page repeats an item, whatever happens in between: an event, other rules, another release.
"""

import re
import struct
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final
from zlib import crc32

import msgspec

from recsys_assets.api.serving.serving_release import Serving
from recsys_assets.errors import BrokenReleaseError, PageTokenError
from recsys_assets.release.load import load_item_ids
from recsys_assets.rules.engine.requests import Answer, Request

MOST_GIVEN: Final = 500
"""Items that a token may hold; a page that would need more is the last one."""
LONGEST_TOKEN: Final = 3_000
"""Characters, for `MOST_GIVEN` items of a large catalogue."""
_SMALL_CATALOGUE: Final = 65_536
"""Items up to which a number takes two bytes, above it four."""
_CHECK_BYTES: Final = 4
_IN_URLS: Final = bytes.maketrans(b"+/", b"-_")
_SIZES: Final = {b"H": 2, b"I": 4}
_RELEASE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BEGIN_AGAIN: Final = "begin again without `after`"
_DAMAGED: Final = (
    "after: the token is damaged, or of another list; send `next` of the answer before, or " + _BEGIN_AGAIN
)


class Page(msgspec.Struct, frozen=True):
    """One page of one list."""

    of: str
    """The list: its kind and all that the next page has to agree in, such as the user and the category."""
    given: Sequence[int] = ()
    """Item numbers of the pages before, each once."""

    def with_given(self, request: Request) -> Request:
        """Return the request for the list from its beginning to the end of this page."""
        if not self.given:
            return request
        return msgspec.structs.replace(request, k=request.k + len(self.given))

    def rest(self, answer: Answer, k: int) -> Answer:
        """Return the first k items of an answer to `with_given` that were not given yet."""
        if not self.given:
            return answer
        given = frozenset(self.given)
        places = [place for place, num in enumerate(answer.nums) if num not in given][:k]
        return msgspec.structs.replace(
            answer,
            nums=[answer.nums[place] for place in places],
            scores=[answer.scores[place] for place in places],
        )

    def next_json(self, serving: Serving, nums: Sequence[int], k: int) -> str:
        """Return the JSON of the token of the page after this one; `null` at the end.

        Args:
            serving: the release that answered.
            nums: the item numbers of this page.
            k: the items requested for it; fewer are the end of the list.
        """
        held = len(self.given) + len(nums)
        if len(nums) < k or held > MOST_GIVEN:
            return "null"
        head, pack = _written(serving.release_id, len(serving.release.item_embeddings), held)
        content = head + pack(*self.given, *nums)
        token = b2a_base64(_check(self.of, content) + content, newline=False)
        return f'"{token.rstrip(b"=").translate(_IN_URLS).decode()}"'


@lru_cache(maxsize=2 * MOST_GIVEN)
def _written(release_id: str, items: int, held: int) -> tuple[bytes, Callable[..., bytes]]:
    """Return the beginning of the content of a token of a release, and the function that packs the numbers held."""
    form = "H" if items <= _SMALL_CATALOGUE else "I"
    head = b"%c%s%s" % (len(release_id), release_id.encode(), form.encode())
    return head, struct.Struct(f"<{held}{form}").pack


def page_of(serving: Serving, after: str | None, *of: str | None) -> Page:
    """Return the page that a request wants: the first one without a token.

    Where another release is served by now, the page is one of its list, without the items that were given of the old
    one, so that scrolling on shows nothing twice.

    Args:
        serving: the release that answers.
        after: the token of the answer before.
        of: texts that name the list; the token of another list is rejected.

    Raises:
        PageTokenError: the token is damaged, is of another list, or its release is not kept any more.
    """
    key = "\0".join([part or "" for part in of])
    if after is None:
        return Page(key)
    try:
        token = urlsafe_b64decode(after + "=" * (-len(after) % 4))
    except (Base64Error, ValueError):
        raise PageTokenError(f"after: no token of a page ({after[:20]!r}); {_BEGIN_AGAIN}") from None
    content = token[_CHECK_BYTES:]
    if not content or token[:_CHECK_BYTES] != _check(key, content):
        raise PageTokenError(_DAMAGED)
    return Page(key, _nums_in(serving, content))


def _nums_in(serving: Serving, content: bytes) -> Sequence[int]:
    """Return the item numbers of a token in the release that is served.

    A token may be forged, so its content is taken for nothing until it is looked at.
    """
    release_id, nums = _unpacked(content)
    if len(nums) > MOST_GIVEN:
        raise PageTokenError(f"after: {len(nums)} items were given, at most {MOST_GIVEN}; {_BEGIN_AGAIN}")
    if release_id == serving.release_id:
        return nums
    try:
        before = load_item_ids(serving.release.folder.parent / release_id)
        ids = [before[num] for num in nums]
    except BrokenReleaseError:
        raise PageTokenError(
            f"after: the token is of release {release_id}, which is not kept any more; {_BEGIN_AGAIN}"
        ) from None
    except IndexError:
        raise PageTokenError(_DAMAGED) from None
    return [num for num in serving.release.items.nums(ids).tolist() if num >= 0]


def _unpacked(content: bytes) -> tuple[str, Sequence[int]]:
    end = 1 + content[0]
    kind, packed = content[end : end + 1], content[end + 1 :]
    try:
        release_id = content[1:end].decode("ascii")
        size = _SIZES[kind]
        nums = struct.unpack(f"<{len(packed) // size}{kind.decode()}", packed)
    except (UnicodeDecodeError, KeyError, struct.error):
        raise PageTokenError(_DAMAGED) from None
    if not _RELEASE_ID.fullmatch(release_id):
        raise PageTokenError(_DAMAGED)
    return release_id, nums


def _check(key: str, content: bytes) -> bytes:
    """Return the checksum that shows a changed token. It is no secret: who forges one only leaves items out."""
    return crc32(key.encode("utf-8", "surrogatepass"), crc32(content)).to_bytes(_CHECK_BYTES, "little")
