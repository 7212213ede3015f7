"""Published sets of ratings, listens and clicks."""

import zipfile

from recsys_assets_tests.lake.sources.presets.reading import events, items, left_out, utc, write


def test_movielens_100k_has_genres_of_flags(tmp_path):
    write(tmp_path, u__data="196\t242\t3\t881250949\n186\t302\t5\t891717742\n")
    flags = "0|1|0|0|0|1|" + "|".join(["0"] * 13)
    (tmp_path / "u.item").write_text(
        f'242|Café "Élan" (1996)|24-Jan-1997||http://imdb/x|{flags}\n302|unknown|||\n', encoding="latin-1"
    )
    spec = f"movielens-100k:{tmp_path / 'u.data'}"

    assert events(spec, "rating", "timestamp") == [
        ("196", "242", 3.0, utc("1997-12-04 15:55:49")),
        ("186", "302", 5.0, utc("1998-04-04 19:22:22")),
    ]
    assert items(spec, "title", "department", "category") == [
        ("242", 'Café "Élan" (1996)', "Action", "Action | Comedy"),
        ("302", "unknown", None, None),
    ]


def test_netflix_rows_belong_to_the_film_above(tmp_path):
    write(
        tmp_path,
        combined_data_1__txt="1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n885013,4,2005-10-19\n",
    )
    write(tmp_path, combined_data_2__txt="3:\n822109,1,2005-01-01\n")
    (tmp_path / "movie_titles.csv").write_text(
        "1,2003,Dinosaur Planet\n2,NULL,Élan, Vital, and Co\n", "latin-1"
    )
    spec = f"netflix:{tmp_path}"

    assert events(spec, "rating", "timestamp") == [
        ("1488844", "1", 3.0, utc("2005-09-06")),
        ("822109", "1", 5.0, utc("2005-05-13")),
        ("885013", "2", 4.0, utc("2005-10-19")),
        ("822109", "3", 1.0, utc("2005-01-01")),
    ]
    assert left_out(spec) == {}
    assert items(spec, "title") == [("1", "Dinosaur Planet"), ("2", "Élan, Vital, and Co")]


def test_mind_clicks_are_views_and_the_history_is_read_once(tmp_path):
    write(
        tmp_path,
        behaviors__tsv="1\tU1\t11/11/2019 9:05:58 AM\tN1 N2\tN3-1 N4-0\n2\tU1\t11/12/2019 6:11:30 PM\tN1 N2\tN5-0\n"
        "3\tU2\t11/12/2019 12:00:00 AM\t\tN3-1\n",
        news__tsv='N3\tlifestyle\troyals\t"The" brands\tShop\thttps://x\t[]\t[]\n',
    )
    spec = f"mind:{tmp_path}"

    assert events(spec, "kind", "timestamp") == [
        ("U1", "N3", "view", utc("2019-11-11 09:05:58")),
        ("U1", "N4", "impression", utc("2019-11-11 09:05:58")),
        ("U1", "N5", "impression", utc("2019-11-12 18:11:30")),
        ("U2", "N3", "view", utc("2019-11-12 00:00:00")),
        ("U1", "N1", "view", utc("2019-11-08 12:00:00")),
        ("U1", "N2", "view", utc("2019-11-08 12:00:00")),
    ]
    assert items(spec, "title", "department", "category") == [("N3", '"The" brands', "lifestyle", "royals")]


def test_lastfm_listens_have_times_and_artists(tmp_path):
    name = "userid-timestamp-artid-artname-traid-traname.tsv"
    (tmp_path / name).write_text(
        'user_000001\t2009-05-04T23:08:57Z\tf1b1cf71\tDeep "D" Dish\t\tFuck Me\n'
        "user_000001\t2009-05-04T13:54:10Z\t\tNo Id\ta7f7df4a\tX\n"
    )
    spec = f"lastfm:{tmp_path}"

    assert events(spec, "timestamp") == [
        ("user_000001", "f1b1cf71", utc("2009-05-04 23:08:57")),
        ("user_000001", "No Id", utc("2009-05-04 13:54:10")),
    ]
    assert items(spec, "title") == [("No Id", "No Id"), ("f1b1cf71", 'Deep "D" Dish')]


def test_lastfm_plays_are_quantities_of_one_day(tmp_path):
    (tmp_path / "usersha1-artmbid-artname-plays.tsv").write_text(
        "00000c28\t3bd73256\tBetty Blowtorch\t2137\n"
    )
    one_day = events(f"lastfm:{tmp_path}", "quantity", "timestamp")

    assert [row[:3] for row in one_day] == [("00000c28", "3bd73256", 2137.0)]
    assert one_day[0][3].time().isoformat() == "00:00:00"


def test_a_set_without_times_is_read_from_its_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "lastfm.zip", "w") as archive:
        archive.writestr(
            "lastfm-360K/usersha1-artmbid-artname-plays.tsv", "00000c28\t3bd73256\tBetty Blowtorch\t2137\n"
        )
        archive.writestr("x/usersha1-profile.tsv", "00000c28\tf\t22\tGermany\tFeb 1, 2007\n")

    assert events(f"lastfm:{tmp_path / 'lastfm.zip'}", "quantity") == [("00000c28", "3bd73256", 2137.0)]


def test_hetrec_artists_are_named(tmp_path):
    write(
        tmp_path,
        user_artists__dat="userID\tartistID\tweight\n2\t51\t13883\n",
        artists__dat="id\tname\turl\tpictureURL\n51\tDuran Duran\thttp://x\thttp://y\n",
    )

    assert events(f"lastfm:{tmp_path}", "quantity") == [("2", "51", 13883.0)]
    assert items(f"lastfm:{tmp_path}", "title") == [("51", "Duran Duran")]


def test_book_crossing_zeros_are_views(tmp_path):
    (tmp_path / "BX-Book-Ratings.csv").write_text(
        '"User-ID";"ISBN";"Book-Rating"\n"276725";"034545104X";"0"\n"276726";"0155061224";"5"\n'
    )
    (tmp_path / "BX-Books.csv").write_text(
        '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher"\n'
        '"0155061224";"Rites of \\"Passage\\"; Élan";"Judith Rae";"2001";"Heinle"\n',
        encoding="latin-1",
    )
    spec = f"book-crossing:{tmp_path}"

    assert events(spec, "rating", "kind") == [
        ("276725", "034545104X", None, "view"),
        ("276726", "0155061224", 5.0, "rating"),
    ]
    assert items(spec, "title", "brand") == [("0155061224", 'Rites of "Passage"; Élan', "Judith Rae")]


def test_book_crossing_of_kaggle_is_the_same(tmp_path):
    write(tmp_path, Ratings__csv="User-ID,ISBN,Book-Rating\n276725,034545104X,0\n")

    assert events(f"book-crossing:{tmp_path}", "rating", "kind") == [("276725", "034545104X", None, "view")]


def test_yelp_reviews_rate_businesses(tmp_path):
    write(
        tmp_path,
        yelp_academic_dataset_review__json='{"review_id":"r1","user_id":"u1","business_id":"b1","stars":4.0,'
        '"useful":0,"text":"Nice\\nplace","date":"2018-07-07 22:09:11"}\n',
        yelp_academic_dataset_business__json='{"business_id":"b1","name":"Cafe Élan","city":"X","stars":4.5,'
        '"categories":"Coffee & Tea, Food","attributes":{"a":"b"}}\n',
    )
    spec = f"yelp:{tmp_path}"

    assert events(spec, "rating", "timestamp") == [("u1", "b1", 4.0, utc("2018-07-07 22:09:11"))]
    assert items(spec, "title", "department", "category") == [
        ("b1", "Cafe Élan", "Coffee & Tea", "Coffee & Tea | Food")
    ]


def test_goodreads_dates_have_their_zone(tmp_path):
    write(
        tmp_path,
        goodreads_interactions_poetry__json='{"user_id":"8842281e","book_id":"24375664","review_id":"r","is_read":true,'
        '"rating":5,"date_added":"Fri Aug 25 13:55:02 -0700 2017","read_at":""}\n'
        '{"user_id":"8842281e","book_id":"7","review_id":"s","is_read":false,"rating":0,'
        '"date_added":"Sat Mar 16 17:12:45 +0000 2013","read_at":""}\n',
        goodreads_books_poetry__json='{"book_id":"24375664","title":"Verses","publisher":"P","popular_shelves":[]}\n',
    )
    spec = f"goodreads:{tmp_path}"

    assert events(spec, "rating", "kind", "timestamp") == [
        ("8842281e", "24375664", 5.0, "rating", utc("2017-08-25 20:55:02")),
        ("8842281e", "7", None, "view", utc("2013-03-16 17:12:45")),
    ]
    assert items(spec, "title") == [("24375664", "Verses")]


def test_goodreads_numbers_of_the_csv_are_translated(tmp_path):
    write(
        tmp_path,
        goodreads_interactions__csv="user_id,book_id,is_read,rating,is_reviewed\n0,948,1,5,0\n0,947,1,0,1\n",
        book_id_map__csv="book_id_csv,book_id\n948,12\n",
    )

    assert events(f"goodreads:{tmp_path}", "rating", "kind") == [
        ("0", "12", 5.0, "rating"),
        ("0", "947", None, "view"),
    ]
