"""Who is calling: which address is believed, and what is kept of it."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onetime.model import Caller
from onetime.settings import Network
from onetime.web import caller

NOBODY: tuple[Network, ...] = ()
PROXIES = (ip_network("10.0.0.0/8"), ip_network("192.0.2.1/32"), ip_network("2001:db8:1::/48"))
CLIENT = "203.0.113.77"
NETWORK = "203.0.113.0/24"


def network(peer: str, forwarded: str = "", trusted: tuple[Network, ...] = PROXIES) -> str:
    return caller.of(peer, forwarded, trusted).network


@pytest.mark.parametrize(
    ("peer", "kept"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("127.0.0.1", "127.0.0.0/24"),
        ("2001:db8:77a1:1::77", "2001:db8:77a1::/48"),
        ("2001:0DB8:77A1:ffff:1:2:3:4", "2001:db8:77a1::/48"),
        ("::1", "::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("::ffff:cb00:714d", "203.0.113.0/24"),
    ],
)
@pytest.mark.parametrize("trusted", [NOBODY, PROXIES], ids=["alone", "behind proxies"])
def test_an_address_is_reduced_to_its_network(
    peer: str, kept: str, trusted: tuple[Network, ...]
) -> None:
    assert caller.of(peer, "", trusted) == Caller(network=kept)


@pytest.mark.parametrize("forwarded", [CLIENT, f"{CLIENT}, 10.0.0.1", "garbage"])
def test_what_a_stranger_forwards_is_not_believed(forwarded: str) -> None:
    assert network("198.51.100.9", forwarded) == "198.51.100.0/24"
    assert network("10.0.0.1", forwarded, NOBODY) == "10.0.0.0/24"


@pytest.mark.parametrize(
    "forwarded",
    [
        CLIENT,
        f"{CLIENT}:4711",
        f" {CLIENT}\t",
        f"::ffff:{CLIENT}",
        f"[::ffff:{CLIENT}]:4711",
        f"{CLIENT}, 10.9.9.9",
        f"{CLIENT},10.9.9.9,192.0.2.1,2001:db8:1::5",
        f"{CLIENT}, 10.9.9.9:80, [2001:db8:1::5]:443",
        # Forged further left: by the client, before the first of our proxies.
        f"198.51.100.1, {CLIENT}",
        f"10.1.1.1, {CLIENT}, 10.9.9.9",
        f"garbage, {CLIENT}",
        f"{CLIENT.replace('203', '204')},{'9' * 100_000}, {CLIENT}",
        f"{'198.51.100.1, ' * 10_000}{CLIENT}",
    ],
    ids=lambda text: text[:40],
)
@pytest.mark.parametrize("peer", ["10.0.0.1", "192.0.2.1", "::ffff:10.0.0.1", "2001:db8:1::1", ""])
def test_the_rightmost_address_that_is_no_proxy_of_ours_is_the_client(
    peer: str, forwarded: str
) -> None:
    assert network(peer, forwarded) == NETWORK


@pytest.mark.parametrize(
    ("forwarded", "kept"),
    [
        ("", "10.0.0.0/24"),
        ("garbage", "10.0.0.0/24"),
        ("unknown, 10.2.2.2", "10.2.2.0/24"),
        ("203.0.113.77.1, 10.2.2.2", "10.2.2.0/24"),
        (", 10.2.2.2", "10.2.2.0/24"),
        ("10.3.3.3, 10.2.2.2", "10.3.3.0/24"),
        ("_hidden", "10.0.0.0/24"),
        ("\x00", "10.0.0.0/24"),
        ("\uff11\uff12\uff17.0.0.1", "10.0.0.0/24"),
    ],
)
def test_where_the_chain_ends_or_breaks_the_last_good_address_counts(
    forwarded: str, kept: str
) -> None:
    assert network("10.0.0.1", forwarded) == kept


def test_a_socket_file_is_one_network_until_a_proxy_is_trusted() -> None:
    assert network("", CLIENT, NOBODY) == "local"
    assert network("", "", PROXIES) == "local"
    assert network("", CLIENT, PROXIES) == NETWORK
    assert network("", "garbage", PROXIES) == "local"


def test_an_address_cut_at_the_bound_of_the_header_is_not_taken_for_another() -> None:
    proxy = ",10.0.0.1"
    hops = proxy * (caller.LONGEST_FORWARDED // len(proxy))
    for left in range(len(proxy) * 2):
        cut = f"203.0.113.7{'7' * left}"
        assert network("10.0.0.1", cut + hops) in {NETWORK, "10.0.0.0/24"}


@given(st.text(max_size=60), st.lists(st.sampled_from([CLIENT, "10.0.0.1", "::1", "x", ":"])))
def test_nothing_that_is_sent_makes_it_fail(peer: str, hops: list[str]) -> None:
    assert network(peer, ",".join(hops))
    assert network("10.0.0.1", peer)
    assert network("10.0.0.1", ",".join([peer, *hops]))
