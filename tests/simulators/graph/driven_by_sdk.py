"""Microsoft's own client drives the simulator: what its typed models do not know, the simulator has made up.

The client is large and takes part in nothing else, so it lives in an environment of its own:

    python -m tests.simulators                            # prints URL, token and calendar
    python -m venv /tmp/sdk && /tmp/sdk/bin/pip install msgraph-sdk
    /tmp/sdk/bin/python tests/simulators/graph/driven_by_sdk.py URL TOKEN CALENDAR
"""
# mypy: ignore-errors

import asyncio
import sys

from kiota_abstractions.authentication import AuthenticationProvider
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.users.item.calendars.item.calendar_view.delta.delta_request_builder import DeltaRequestBuilder

PREFER = 'odata.maxpagesize=50, outlook.timezone="UTC", IdType="ImmutableId"'
# Members that the models leave to the reader.
EXPECTED = {"@odata.etag", "@removed"}


class Bearer(AuthenticationProvider):
    def __init__(self, token):
        self.token = token

    async def authenticate_request(self, request, additional_authentication_context=None):
        request.headers.add("Authorization", f"Bearer {self.token}")


def configuration(query=None):
    made = RequestConfiguration(query_parameters=query)
    made.headers.add("Prefer", PREFER)
    return made


async def main(url, token, calendar_id):
    adapter = GraphRequestAdapter(Bearer(token))
    adapter.base_url = url
    client = GraphServiceClient(request_adapter=adapter)
    print((await client.me.get()).mail, [found.name for found in (await client.me.calendars.get()).value])
    calendar = client.me.calendars.by_calendar_id(calendar_id)
    delta = calendar.calendar_view.delta
    span = DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(
        start_date_time="2026-01-01T00:00:00Z", end_date_time="2027-12-01T00:00:00Z"
    )
    page = await delta.get(request_configuration=configuration(span))
    events = list(page.value)
    while page.odata_next_link:
        page = await delta.with_url(page.odata_next_link).get(request_configuration=configuration())
        events += page.value
    for event in events:
        print(event.type, event.subject, event.show_as, event.start.date_time)
        # The client turns a word that it does not know into None.
        assert event.type is not None
        assert set(event.additional_data) <= EXPECTED, event.additional_data
        whole = await calendar.events.by_event_id(event.id).get(request_configuration=configuration())
        assert None not in (whole.subject, whole.show_as, whole.sensitivity, whole.response_status.response)
        assert set(whole.additional_data) <= EXPECTED, whole.additional_data
    page = await delta.with_url(page.odata_delta_link).get(request_configuration=configuration())
    assert page.value == []
    print(f"{len(events)} items understood")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
