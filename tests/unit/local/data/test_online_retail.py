"""The shipped shop: complete, dated to today, with categories that a shopper would understand."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from local.data.online_retail import shop, taxonomy
from local.data.shop import Shop
from local.errors import Refused

AFTERNOON = datetime(2026, 6, 1, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
def loaded() -> Shop:
    return shop.make(AFTERNOON)


def test_the_files_are_small_enough_to_ship() -> None:
    assert sum(file.stat().st_size for file in shop.FOLDER.glob("*.parquet")) < 2_000_000
    assert "CC BY 4.0" in (shop.FOLDER / "ATTRIBUTION.md").read_text()


def test_every_sale_to_a_known_customer_is_there(loaded: Shop) -> None:
    assert len(loaded.events.ids) == 396_337
    assert len(set(loaded.events.ids.to_pylist())) == 396_337
    assert len(np.unique(loaded.events.user)) == len(loaded.users) == 4334
    assert len(np.unique(loaded.events.product)) == 3659
    assert loaded.products["external_id"].is_unique
    assert {"85123A", "22423", "85099B"} <= set(loaded.products["external_id"])


def test_a_line_of_the_source_is_in_the_loaded_shop(loaded: Shop) -> None:
    # invoice 536365, the first of the source: six of 85123A to customer 17850 on 2010-12-01 at 08:26, a Wednesday
    positions = [index for index in range(100) if loaded.events.session_id[index].as_py() == "536365"]
    codes = loaded.products["external_id"].to_numpy()[loaded.events.product[positions]]
    assert sorted(codes) == ["21730", "22752", "71053", "84029E", "84029G", "84406B", "85123A"]
    holder = positions[list(codes).index("85123A")]
    assert loaded.users["external_id"].iloc[loaded.events.user[holder]] == "17850"
    assert loaded.events.quantity[holder] == 6
    assert str(loaded.events.occurred_at[holder]).endswith("08:26:00.000000")
    product = loaded.products.set_index("external_id").loc["85123A"]
    assert (product["name"], product["category"]) == ("WHITE HANGING HEART T-LIGHT HOLDER", "Candles & Lanterns")


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        (datetime(2026, 6, 1, 15, tzinfo=UTC), "2026-06-01T12:50"),
        (datetime(2026, 6, 1, 12, 50, tzinfo=UTC), "2026-06-01T12:50"),
        (datetime(2026, 6, 1, 12, 49, tzinfo=UTC), "2026-05-31T12:50"),
    ],
)
def test_history_ends_today_and_never_in_the_future(now: datetime, ends: str) -> None:
    last_minute = int(datetime(2011, 12, 9, 12, 50, tzinfo=UTC).timestamp()) // 60
    moved = timedelta(minutes=last_minute) + timedelta(days=shop.days_to_move(last_minute, now))
    assert (datetime(1970, 1, 1) + moved).isoformat(timespec="minutes") == ends  # noqa: DTZ001


def test_the_same_events_are_loaded_on_any_day(loaded: Shop) -> None:
    later = shop.make(AFTERNOON + timedelta(days=40))
    assert later.events.ids.equals(loaded.events.ids)
    assert np.all(later.events.occurred_at - loaded.events.occurred_at == np.timedelta64(40, "D"))
    assert later.products["quantity"].equals(loaded.products["quantity"])


def test_nothing_lies_in_the_future_and_nothing_is_sold_before_it_exists(loaded: Shop) -> None:
    assert loaded.events.occurred_at.max() <= np.datetime64("2026-06-01T15:00")
    first = np.full(len(loaded.products), np.datetime64("2100-01-01"), "datetime64[us]")
    np.minimum.at(first, loaded.events.product, loaded.events.occurred_at)
    assert np.all(loaded.products["created_at"].to_numpy() <= first)


def test_every_sold_product_is_active_with_a_name_and_a_price(loaded: Shop) -> None:
    active = loaded.products["is_active"].to_numpy()
    unsold = set(loaded.products["external_id"][~active][loaded.products["name"].str.startswith("Article")])
    sold = set(loaded.products["external_id"].to_numpy()[np.unique(loaded.events.product)])
    assert not unsold & sold
    # services that went through the till as if they were articles
    services = loaded.products[~active & loaded.products["external_id"].isin(sold)]
    assert set(services["name"]) == {"PACKING CHARGE", "Next Day Carriage", "High Resolution Image"}
    assert (loaded.products["price"][active].astype(float) > 0).all()
    assert (loaded.products["quantity"][~active] == 0).all()


def test_a_few_percent_are_out_of_stock(loaded: Shop) -> None:
    active = loaded.products[loaded.products["is_active"]]
    assert 0.02 < (active["quantity"] == 0).mean() < 0.06


def test_wholesale_lines_are_capped(loaded: Shop) -> None:
    assert loaded.events.quantity.max() == shop.MAX_QUANTITY
    assert (loaded.events.quantity == shop.MAX_QUANTITY).mean() < 0.001


def test_nearly_everything_has_a_category_and_no_category_is_nearly_everything(loaded: Shop) -> None:
    active = loaded.products[loaded.products["is_active"]]
    counts = active["category"].value_counts()
    assert set(counts.index) == set(taxonomy.CATEGORIES)
    assert counts[taxonomy.OTHER] < 0.02 * len(active)
    assert counts.max() < 0.12 * len(active)
    assert counts.drop(taxonomy.OTHER).min() >= 40


@pytest.mark.parametrize(
    ("title", "category"),
    [
        ("WHITE METAL LANTERN", "Candles & Lanterns"),
        ("JUMBO BAG RED RETROSPOT", "Bags & Purses"),
        ("LUNCH BAG SPACEBOY DESIGN", "Lunch & Picnic"),
        ("REGENCY CAKESTAND 3 TIER", "Baking & Party"),
        ("ALARM CLOCK BAKELIKE GREEN", "Clocks & Signs"),
        ("BIRTHDAY CARD, RETRO SPOT", "Stationery & Cards"),
        ("CARD CHRISTMAS VILLAGE", "Christmas"),
        ("PACK OF 6 SKULL PAPER CUPS", "Baking & Party"),
        ("GREEN REGENCY TEACUP AND SAUCER", "Kitchen & Dining"),
        ("PINK CRYSTAL GUITAR PHONE CHARM", "Bags & Purses"),
        ("DROP DIAMANTE EARRINGS PURPLE", "Jewellery & Hair"),
        ("HOT WATER BOTTLE KEEP CALM", "Bath & Beauty"),
        ("VINTAGE SEASIDE JIGSAW PUZZLES", "Toys & Children"),
        ("BLUE STRIPE CERAMIC DRAWER KNOB", "Hooks & Furniture"),
        ("QUITE UNHEARD OF", "Other"),
    ],
)
def test_a_title_decides_the_category(title: str, category: str) -> None:
    assert taxonomy.category(title) == category


def test_tags_and_ranges_are_whole_words_of_the_title() -> None:
    assert taxonomy.tags("RED RETROSPOT HEARTS T-LIGHT HOLDER") == ["red", "heart", "retrospot"]
    assert taxonomy.tags("TINTED BLACKBOARD") == []
    assert taxonomy.brand("CHARLIE+LOLA PINK HOT WATER BOTTLE") == "Charlie and Lola"
    assert taxonomy.brand("WHITE METAL LANTERN") is None


def test_a_missing_file_is_one_clear_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shop, "FOLDER", tmp_path)
    with pytest.raises(Refused, match=r"items\.parquet is missing"):
        shop.make()
