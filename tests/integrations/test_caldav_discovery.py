"""From any address of an account to its calendars, and never to a stranger's."""

from collections.abc import Iterator, Mapping

import pytest
from pytest_django import Settings

from calendars.providers import BadProviderData, Connection, ReconnectNeeded, UnexpectedAnswer, Unreachable
from integrations.caldav.provider import AppleProvider, CalDAVProvider
from tests.contracts.contract import BERLIN, calendar_object
from tests.integrations.simulated import multistatus, response
from tests.proxy import Ask, Canned, Proxy

EMAIL = "alice@acme.example"
CALENDAR = "<D:resourcetype><D:collection/><C:calendar/></D:resourcetype>"


@pytest.fixture
def server(settings: Settings) -> Iterator[Proxy]:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    with Proxy() as running:
        yield running


def answers(server: Proxy, places: Mapping[str, Canned]) -> None:
    server.answer = lambda ask: places.get(ask.path, Canned(404))


def provider(server: Proxy, path: str = "", state: dict[str, object] | None = None) -> CalDAVProvider:
    credentials = {"server_url": server.url + path, "username": "alice", "password": "alice-secret"}
    return CalDAVProvider(Connection(email=EMAIL, credentials=credentials, state=state or {}))


def principal(href: str) -> str:
    return f"<D:current-user-principal><D:href>{href}</D:href></D:current-user-principal>"


def home(*hrefs: str) -> str:
    return f"<C:calendar-home-set>{''.join(f'<D:href>{href}</D:href>' for href in hrefs)}</C:calendar-home-set>"


WORK = multistatus(
    response("/dav/alice/", "<D:resourcetype><D:collection/></D:resourcetype>"), response("/dav/alice/work/", CALENDAR)
)


def found(given: CalDAVProvider) -> list[str]:
    return [calendar.external_id.partition("/dav/")[2] for calendar in given.calendars()]


@pytest.mark.parametrize(
    ("path", "places"),
    [
        pytest.param(
            "",
            {
                "/": multistatus(response("/", principal("/p/alice/"))),
                "/p/alice/": multistatus(response("/p/alice/", home("/dav/alice/"))),
                "/dav/alice/": WORK,
            },
            id="the root names the principal, the principal the home",
        ),
        pytest.param(
            "p/alice/",
            {"/p/alice/": multistatus(response("/p/alice/", home("/dav/alice/"))), "/dav/alice/": WORK},
            id="the address is the principal",
        ),
        pytest.param("dav/alice/", {"/dav/alice/": WORK}, id="the address is a folder of calendars"),
        pytest.param(
            "dav/alice/work/",
            {"/dav/alice/work/": multistatus(response("/dav/alice/work/", CALENDAR))},
            id="the address is a calendar",
        ),
        pytest.param(
            "some/web/page",
            {
                "/some/web/page": Canned(200, b"<html>Welcome</html>"),
                "/.well-known/caldav": Canned(301, headers={"Location": "/dav/"}),
                "/dav/": multistatus(response("/dav/", principal("/p/alice/"))),
                "/p/alice/": multistatus(response("/p/alice/", home("/dav/alice/"))),
                "/dav/alice/": WORK,
            },
            id="the address is a web page, and well-known knows more",
        ),
        pytest.param(
            "old/",
            {
                "/.well-known/caldav": Canned(405),
                "/": multistatus(response("/", principal("/p/alice/"))),
                "/p/alice/": multistatus(response("/p/alice/", home("/dav/alice/"))),
                "/dav/alice/": WORK,
            },
            id="neither address nor well-known, but the root",
        ),
    ],
)
def test_calendars_are_found_from_any_address_of_the_account(
    server: Proxy, path: str, places: Mapping[str, Canned]
) -> None:
    answers(server, places)
    assert found(provider(server, path)) == ["alice/work/"]


def test_calendar_given_by_its_own_address_is_not_listed_with_all_its_events(server: Proxy) -> None:
    answers(server, {"/dav/alice/work/": multistatus(response("/dav/alice/work/", CALENDAR))})
    provider(server, "dav/alice/work/").calendars()
    assert {ask.headers["Depth"] for ask in server.asked} == {"0"}


def test_every_home_is_listed_and_no_calendar_twice(server: Proxy) -> None:
    answers(
        server,
        {
            "/": multistatus(response("/", home("/dav/alice/", "/dav/shared/"))),
            "/dav/alice/": WORK,
            "/dav/shared/": multistatus(response("/dav/shared/team/", CALENDAR), response("/dav/alice/work", CALENDAR)),
        },
    )
    assert found(provider(server)) == ["alice/work/", "shared/team/"]


@pytest.mark.parametrize(
    ("properties", "listed"),
    [
        pytest.param(CALENDAR, True, id="a calendar that says nothing of its components"),
        pytest.param(
            CALENDAR + '<C:supported-calendar-component-set><C:comp name="VEVENT"/><C:comp name="VTODO"/>'
            "</C:supported-calendar-component-set>",
            True,
            id="a calendar of events and tasks",
        ),
        pytest.param(
            CALENDAR
            + '<C:supported-calendar-component-set><C:comp name="VTODO"/></C:supported-calendar-component-set>',
            False,
            id="a list of tasks",
        ),
        pytest.param("<D:resourcetype><D:collection/></D:resourcetype>", False, id="a folder"),
        pytest.param(
            "<D:resourcetype><D:collection/><C:schedule-inbox/></D:resourcetype>", False, id="the scheduling inbox"
        ),
        pytest.param(
            "<D:resourcetype><D:collection/><C:calendar/><C:schedule-outbox/></D:resourcetype>", False, id="outbox"
        ),
        pytest.param("<D:resourcetype><D:collection/><S:notification/></D:resourcetype>", False, id="notifications"),
        pytest.param(
            "<D:resourcetype><D:collection/><C:calendar/><S:subscribed/></D:resourcetype>", False, id="a subscription"
        ),
    ],
)
def test_which_collections_are_calendars(server: Proxy, properties: str, listed: bool) -> None:
    answers(
        server,
        {
            "/": multistatus(response("/", home("/dav/alice/"))),
            "/dav/alice/": multistatus(response("/dav/alice/x/", properties)),
        },
    )
    assert found(provider(server)) == (["alice/x/"] if listed else [])


def test_property_that_the_server_refuses_does_not_count(server: Proxy) -> None:
    refused = response("/dav/alice/x/", CALENDAR, status="HTTP/1.1 404 Not Found")
    answers(
        server,
        {"/": multistatus(response("/", home("/dav/alice/"))), "/dav/alice/": multistatus(refused)},
    )
    assert found(provider(server)) == []


@pytest.mark.parametrize(
    ("properties", "name", "color", "time_zone"),
    [
        pytest.param("", "work", "", "", id="nothing: the last part of its path"),
        pytest.param("<D:displayname> Work </D:displayname>", "Work", "", "", id="a name"),
        pytest.param("<A:calendar-color>#FF2968FF</A:calendar-color>", "work", "#FF2968", "", id="a colour with alpha"),
        pytest.param("<A:calendar-color>url(x)</A:calendar-color>", "work", "", "", id="no colour"),
        pytest.param(
            f"<C:calendar-timezone>{calendar_object(BERLIN)}</C:calendar-timezone>",
            "work",
            "",
            "Europe/Berlin",
            id="a zone",
        ),
        pytest.param(
            "<C:calendar-timezone-id>W. Europe Standard Time</C:calendar-timezone-id>",
            "work",
            "",
            "Europe/Berlin",
            id="the name of a zone",
        ),
        pytest.param("<C:calendar-timezone>BEGIN:VCALENDAR</C:calendar-timezone>", "work", "", "", id="half a zone"),
    ],
)
def test_what_is_known_of_a_calendar(server: Proxy, properties: str, name: str, color: str, time_zone: str) -> None:
    answers(
        server,
        {
            "/": multistatus(response("/", home("/dav/alice/"))),
            "/dav/alice/": multistatus(response("/dav/alice/work/", CALENDAR + properties)),
        },
    )
    (calendar,) = provider(server).calendars()
    assert (calendar.name, calendar.color, calendar.time_zone) == (name, color, time_zone)


@pytest.mark.parametrize(
    "href",
    [
        "/dav/alice/my%20calendar/",
        "/dav/alice/my calendar",
        "/dav//alice/my%20calendar/",
        "/d%61v/alice/my%20calendar",
        "//127.0.0.1:{port}/dav/alice/my%20calendar/",
    ],
)
def test_calendar_has_one_identity_however_its_address_is_spelt(server: Proxy, href: str) -> None:
    answers(
        server,
        {
            "/": multistatus(response("/", home("/dav/alice/"))),
            "/dav/alice/": multistatus(response(href.format(port=server.port), CALENDAR)),
        },
    )
    (calendar,) = provider(server).calendars()
    assert calendar.external_id == f"{server.url}dav/alice/my%20calendar/"


def test_percent_sign_in_a_name_stays_one(server: Proxy) -> None:
    answers(
        server,
        {
            "/": multistatus(response("/", home("/dav/alice/"))),
            "/dav/alice/": multistatus(response("/dav/alice/100%2525/", CALENDAR)),
        },
    )
    (calendar,) = provider(server).calendars()
    assert calendar.external_id == f"{server.url}dav/alice/100%2525/"


# What is remembered -----------------------------------------------------------------------------------------------


def test_homes_that_were_found_are_asked_at_once(server: Proxy) -> None:
    answers(server, {"/": multistatus(response("/", home("/dav/alice/"))), "/dav/alice/": WORK})
    first = provider(server)
    first.calendars()
    server.forget()
    assert found(provider(server, state=first.state())) == ["alice/work/"]
    assert [ask.path for ask in server.asked] == ["/dav/alice/"]


def test_home_that_is_no_more_is_looked_for_again(server: Proxy) -> None:
    answers(server, {"/": multistatus(response("/", home("/dav/alice/"))), "/dav/alice/": WORK})
    moved: dict[str, object] = {"server_url": server.url, "homes": [[f"{server.url}old/", 1]]}
    again = provider(server, state=moved)
    assert found(again) == ["alice/work/"]
    assert again.state() == {"server_url": server.url, "homes": [[f"{server.url}dav/alice/", 1]]}


def test_what_is_remembered_of_another_server_is_not_used(server: Proxy) -> None:
    with Proxy() as stranger:
        answers(server, {"/": multistatus(response("/", home("/dav/alice/"))), "/dav/alice/": WORK})
        state: dict[str, object] = {"server_url": stranger.url, "homes": [[f"{stranger.url}dav/alice/", 1]]}
        assert found(provider(server, state=state)) == ["alice/work/"]
        assert stranger.asked == []


# What goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [principal, home])
def test_principal_or_home_on_another_site_receives_nothing(server: Proxy, kind: object) -> None:
    assert callable(kind)
    with Proxy() as stranger:
        answers(server, {"/": multistatus(response("/", kind(f"{stranger.url}dav/alice/")))})
        with pytest.raises(UnexpectedAnswer, match="another site"):
            provider(server).calendars()
        assert stranger.asked == []


def test_password_that_is_refused_asks_to_reconnect(server: Proxy) -> None:
    answers(server, {"/": Canned(401)})
    with pytest.raises(ReconnectNeeded):
        provider(server).calendars()


def test_server_that_lets_everybody_in_and_knows_nobody_asks_to_reconnect(server: Proxy) -> None:
    nobody = "<D:current-user-principal><D:unauthenticated/></D:current-user-principal>"
    answers(server, {"/": multistatus(response("/", nobody))})
    with pytest.raises(ReconnectNeeded):
        provider(server).calendars()


@pytest.mark.parametrize(
    "canned",
    [
        pytest.param(Canned(404), id="nothing there"),
        pytest.param(Canned(200, b"<html>"), id="a web server"),
        pytest.param(Canned(405), id="a server that knows no PROPFIND"),
        pytest.param(multistatus(), id="an empty answer"),
        pytest.param(multistatus(response("/", "<D:resourcetype/>")), id="WebDAV without calendars"),
    ],
)
def test_address_without_caldav_says_so(server: Proxy, canned: Canned) -> None:
    server.answer = lambda ask: canned
    with pytest.raises(UnexpectedAnswer, match="no CalDAV server"):
        provider(server).calendars()


def test_server_that_fails_is_unreachable_and_not_without_calendars(server: Proxy) -> None:
    def failing(ask: Ask) -> Canned:
        return Canned(502) if ask.path == "/dav/alice/" else multistatus(response("/", home("/dav/alice/")))

    server.answer = failing
    with pytest.raises(Unreachable):
        provider(server).calendars()


# What is given ----------------------------------------------------------------------------------------------------


def test_credentials_take_the_user_name_from_the_email_and_normalise_the_address(settings: Settings) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    given = {"server_url": " http://127.0.0.1:5232 ", "password": " secret "}
    assert CalDAVProvider.credentials_from(given, email=EMAIL) == {
        "server_url": "http://127.0.0.1:5232/",
        "username": EMAIL,
        "password": " secret ",
    }


def test_apples_address_is_known(settings: Settings) -> None:
    settings.APPLE_CALDAV_URL = "https://caldav.icloud.com"
    assert AppleProvider.credentials_from({"password": "abcd-efgh"}, email=EMAIL) == {
        "server_url": "https://caldav.icloud.com",
        "username": EMAIL,
        "password": "abcd-efgh",
    }


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        pytest.param({"server_url": ""}, "server_url", id="no address"),
        pytest.param({"server_url": None}, "server_url", id="an empty address"),
        pytest.param({"server_url": 7}, "server_url", id="an address that is no text"),
        pytest.param({"server_url": "http://10.0.0.1/"}, "server_url", id="an inner address"),
        pytest.param({"server_url": "http://[::ffff:10.0.0.1]/"}, "server_url", id="an inner address in disguise"),
        pytest.param({"server_url": "http://a:b@127.0.0.1/"}, "server_url", id="a password in the address"),
        pytest.param({"server_url": "http://127.0.0.1/\r\nX: y"}, "server_url", id="a line end in the address"),
        pytest.param({"username": "a:b"}, "username", id="a colon in the user name"),
        pytest.param({"username": "a\nb"}, "username", id="a line end in the user name"),
        pytest.param({"username": ["alice"]}, "username", id="a user name that is no text"),
        pytest.param({"password": ""}, "password", id="no password"),
        pytest.param({"password": "p" * 2_000}, "password", id="an endless password"),
    ],
)
def test_what_cannot_be_used_names_its_field(settings: Settings, changed: dict[str, object], field: str) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    given = {"server_url": "http://127.0.0.1/", "username": "alice", "password": "secret", **changed}
    with pytest.raises(BadProviderData) as refused:
        CalDAVProvider.credentials_from(given, email=EMAIL)
    assert refused.value.field == field
    assert "secret" not in refused.value.reason


def test_address_given_for_apple_is_checked_like_any_other() -> None:
    with pytest.raises(BadProviderData):
        AppleProvider.credentials_from({"server_url": "http://169.254.169.254/", "password": "secret"}, email=EMAIL)


def test_password_stands_in_no_representation() -> None:
    connection = Connection(email=EMAIL, credentials={"password": "alice-secret"})
    assert "alice-secret" not in repr(connection)
