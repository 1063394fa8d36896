"""Which hosts a text links to, with https and without."""

import pytest

from finetune.links import hosts


@pytest.mark.parametrize(
    "text",
    [
        "See https://Cheap.example/now?x=1.",
        "See <http://cheap.example|here>",
        "[here](https://www.cheap.example)",
        "at www.cheap.example, now",
        "Claim it at cheap.example/now",
        "hxxps://cheap.example",
        "https://shop.example@cheap.example:8080",
    ],
)
def test_a_link_is_found_with_https_and_without(text):
    assert hosts(text) == {"cheap.example"}


def test_a_bare_host_is_a_link_where_its_ending_is_one_of_hosts_alone():
    assert hosts("Go to Cheap-Refunds.com. Or bit.ly/x1, or shop.cheap.net:") == {
        "cheap-refunds.com",
        "bit.ly",
        "shop.cheap.net",
    }


@pytest.mark.parametrize(
    "text",
    [
        "Write to help@cheap.com or ann.lee@mail.cheap.com.",
        "Sorry.We look, i.e. at 9 a.m./p.m., 24/7, at 1.5/hour and.or so.",
        "file.txt, v1.2/3, U.S./Canada, and/or, node.js, Thanks.Common sense",
    ],
)
def test_addresses_and_sentences_without_a_space_are_no_links(text):
    assert hosts(text) == set()
