"""Every column name, once. Its meaning, type and bounds are in the contract of the stage."""

from typing import Final

USER_ID: Final = "user_id"
ITEM_ID: Final = "item_id"
TIMESTAMP: Final = "timestamp"
RATING: Final = "rating"
QUANTITY: Final = "quantity"
VALUE: Final = "value"
KIND: Final = "kind"
WEIGHT: Final = "weight"

RANK: Final = "rank"
SCORE: Final = "score"
REASON: Final = "reason"
RELEASE: Final = "release"
RULES: Final = "rules"
SCENARIO: Final = "scenario"
EXPORTED_AT: Final = "exported_at"
DELETED: Final = "deleted"

TITLE: Final = "title"
CATEGORY: Final = "category"
SEVERAL: Final = " | "
"""Text between the categories of one item that has several."""
DEPARTMENT: Final = "department"
BRAND: Final = "brand"
PRICE: Final = "price"

STATUS: Final = "status"
ORDER_ID: Final = "order_id"
LINE: Final = "line"

EVENT_ID: Final = "event_id"
RECEIVED_AT: Final = "received_at"
ANSWER_ID: Final = "answer_id"

STORE_ID: Final = "store_id"
BASKET_ID: Final = "basket_id"
VARIANT_ID: Final = "variant_id"
VERIFIED: Final = "verified"
HELPFUL_VOTES: Final = "helpful_votes"

PARTITION: Final = "__partition"
"""The UTC day that a row was delivered in, a `pl.Date`; only while days are judged together, never in a file."""
