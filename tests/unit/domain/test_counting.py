"""Which user agents call themselves crawlers."""

import pytest

from shared.domain.counting import is_crawler


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0) Chrome/116.0 Safari/537.36",
        "Mozilla/5.0 (compatible; GPTBot/1.2)",
        "AdsBot-Google (+http://www.google.com/adsbot.html)",
        "Googlebot-Image/1.0",
        "Mozilla/5.0 (compatible; Baiduspider/2.0)",
        "Mozilla/5.0 (compatible; Yahoo! Slurp)",
        "MyShopCrawler/3",
        "ia_archiver",
        "facebookexternalhit/1.1",
        "our bots, version 2",
    ],
)
def test_an_agent_that_calls_itself_a_bot_is_a_crawler(user_agent: str) -> None:
    assert is_crawler(user_agent)


@pytest.mark.parametrize(
    "user_agent",
    [
        "",
        "python-requests/2.32.3",
        "python-httpx/0.28.1",
        "curl/8.9.1",
        "Go-http-client/2.0",
        "okhttp/4.12.0",
        "aisle-smoke",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
        "Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 Chrome/130.0.0.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Linux; Android 11; CUBOT_NOTE_20) Chrome/130.0.0.0",
        "BottleShop/1.0",
    ],
)
def test_browsers_and_libraries_of_programs_are_none(user_agent: str) -> None:
    assert not is_crawler(user_agent)
