"""The run that says it is on real services is on them."""

import pytest
import redis
from celery import current_app
from django.core.cache import cache
from django.db import connection

pytestmark = [pytest.mark.services, pytest.mark.django_db]


def test_database_is_postgresql():
    assert connection.vendor == "postgresql"


def test_cache_is_kept_by_the_broker_of_the_run(settings):
    cache.set("colour", "green")
    assert redis.Redis.from_url(settings.REDIS_URL).dbsize() == 1


def test_sent_task_waits_in_the_queue_of_its_route(broker):
    current_app.send_task("calendars.tasks.poll_due_accounts")
    assert redis.Redis.from_url(broker).llen(current_app.conf.task_default_queue) == 1
