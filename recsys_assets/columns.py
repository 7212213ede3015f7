"""Every column name, once. What a column means, its type and bounds stand in the stage's contract."""

from typing import Final

USER_ID: Final = "user_id"
ITEM_ID: Final = "item_id"
TIMESTAMP: Final = "timestamp"
RATING: Final = "rating"
QUANTITY: Final = "quantity"
VALUE: Final = "value"
WEIGHT: Final = "weight"

RANK: Final = "rank"
SCORE: Final = "score"

USER_NUM: Final = "user_num"
ITEM_NUM: Final = "item_num"

TITLE: Final = "title"
CATEGORY: Final = "category"
DEPARTMENT: Final = "department"
BRAND: Final = "brand"
PRICE: Final = "price"

STORE_ID: Final = "store_id"
BASKET_ID: Final = "basket_id"
VARIANT_ID: Final = "variant_id"
VERIFIED: Final = "verified"
HELPFUL_VOTES: Final = "helpful_votes"
